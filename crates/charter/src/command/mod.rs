//! Commands. A few are written by hand, because people type them all day or because they are not about the API
//! (`serve`, `config`, `migrate`); all others are made from the operations of the API (`generic.rs`).

mod adopt;
pub use adopt::legacy as other_system;
pub mod arguments;
mod audit;
mod catalogue;
mod completions;
mod config;
mod decision;
mod document;
mod generic;
mod key_timer;
mod keys;
mod legacy_keys;
mod migrate;
mod people;
mod policy;
mod question;
mod rescue;
mod serve;
mod show;
mod told;
mod tree;
mod truncate;
mod user_file;
mod users;
mod vault;

use crate::config::{Configuration, Loaded, load, report};
use crate::failure::{Failure, Outcome, Result};
use crate::operation::Operation;
use crate::{log, operation, output};
use clap::ArgMatches;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::process::ExitCode;

const DENIED: u8 = 1;
const FAULT: u8 = 2;

/// Runs the command that the arguments name.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    // A service runs for months, and what its API has is no business of its command line: it would keep the memory.
    let operations = if names_serve(&arguments) {
        crate::memory::bound(&arguments);
        Vec::new()
    } else {
        operation::read(&crate::installation::document())
    };
    let program =
        arguments.first().map_or_else(|| "charter".to_owned(), |it| it.to_string_lossy().into_owned());
    let matches = match tree::root(&operations).try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => {
            let _ = error.print();
            if error.kind() == ErrorKind::InvalidSubcommand {
                output::complain(&tree::beside(&operations, &arguments));
            }
            let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if is_help { 0 } else { FAULT });
        }
    };
    match dispatch(&operations, &matches, &program) {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Denied) => ExitCode::from(DENIED),
        Ok(Outcome::Nothing) => ExitCode::from(FAULT),
        Ok(Outcome::Stopped(code)) => ExitCode::from(code),
        Err(failure) => {
            output::complain(&format!("charter: {failure}"));
            ExitCode::from(FAULT)
        }
    }
}

fn names_serve(arguments: &[OsString]) -> bool {
    let matches = tree::root(&[]).try_get_matches_from(arguments);
    matches.is_ok_and(|matches| matches.subcommand_name() == Some("serve"))
}

/// The words of the command and what was given to it.
fn leaf(matches: &ArgMatches) -> (Vec<&str>, &ArgMatches) {
    let (mut words, mut matches) = (Vec::new(), matches);
    while let Some((word, inner)) = matches.subcommand() {
        words.push(word);
        matches = inner;
    }
    (words, matches)
}

/// What every command is given.
pub struct Invocation<'a> {
    /// Its arguments.
    pub matches: &'a ArgMatches,
    /// The configuration.
    pub loaded: &'a Loaded,
    /// Whether raw JSON is asked for.
    pub is_json: bool,
    /// What the API has.
    pub operations: &'a [Operation],
    /// This program, as it was called.
    pub program: &'a str,
}

impl Invocation<'_> {
    /// The operation of an id; it is missing only when the API was renamed and this program was not.
    pub fn operation(&self, id: &str) -> Result<&Operation> {
        self.operations
            .iter()
            .find(|operation| operation.id == id)
            .ok_or_else(|| Failure::new(format!("this version of the API has no operation {id}")))
    }
}

fn dispatch(operations: &[Operation], matches: &ArgMatches, program: &str) -> Result {
    let (words, matches) = leaf(matches);
    let loaded = load(matches);
    let invocation = Invocation {
        matches,
        loaded: &loaded,
        is_json: matches.get_flag(arguments::JSON),
        operations,
        program,
    };
    let words = words.join(" ");
    match words.as_str() {
        "version" => return version(&invocation),
        "completions" => return completions::print(&invocation),
        "config check" => return config::check(&invocation),
        "config show" => return config::show(&invocation),
        _ => {}
    }
    if !loaded.faults.is_empty() {
        return Err(Failure::new(report::faults(loaded.faults.iter()).trim_end().to_owned()));
    }
    log::start(&loaded.configuration, words == "serve");
    let done = carry_out(&words, &invocation);
    // Whoever reads JSON of an adoption reads there, too, why it was refused.
    if let Err(failure) = &done
        && invocation.is_json
        && words.starts_with("adopt ")
    {
        output::print(&serde_json::json!({ "error": failure.to_string() }).to_string());
    }
    done
}

fn carry_out(words: &str, invocation: &Invocation<'_>) -> Result {
    let operations = invocation.operations;
    match words {
        "serve" => runtime(true)?.block_on(serve::run(invocation)),
        "migrate up" | "migrate down" | "migrate status" => {
            runtime(false)?.block_on(migrate::run(words, invocation))
        }
        "check" => runtime(false)?.block_on(question::check(invocation)),
        "who-can" | "what-can" | "list-resources" => {
            runtime(false)?.block_on(question::search(words, invocation))
        }
        "policy export" => runtime(false)?.block_on(policy::export(invocation)),
        "policy plan" => runtime(false)?.block_on(policy::change("policy.plan", invocation)),
        "policy apply" => runtime(false)?.block_on(policy::change("policy.apply", invocation)),
        "policy test" => runtime(false)?.block_on(policy::test(invocation)),
        "catalogue lint" => runtime(false)?.block_on(catalogue::propose("catalogue.lint", invocation)),
        "catalogue diff" => runtime(false)?.block_on(catalogue::propose("catalogue.diff", invocation)),
        "catalogue apply" => runtime(false)?.block_on(catalogue::propose("catalogue.apply", invocation)),
        "catalogue export" => runtime(false)?.block_on(catalogue::export(invocation)),
        "keys rotate" => runtime(false)?.block_on(keys::rotate(invocation)),
        "keys revoke" => runtime(false)?.block_on(keys::revoke(invocation)),
        "keys schedule" => key_timer::schedule(invocation),
        "setup" => runtime(false)?.block_on(people::setup(invocation)),
        "password set" => runtime(false)?.block_on(people::set_password(invocation)),
        "adopt codes" => runtime(false)?.block_on(adopt::codes(invocation)),
        "adopt inspect" => runtime(false)?.block_on(adopt::inspect(invocation)),
        "adopt apply" => runtime(false)?.block_on(adopt::apply(invocation)),
        "adopt rollback" => runtime(false)?.block_on(adopt::rollback(invocation)),
        "adopt status" => runtime(false)?.block_on(adopt::status(invocation)),
        "adopt verify" => runtime(false)?.block_on(adopt::verify(invocation)),
        "adopt check-proof" => runtime(false)?.block_on(adopt::check_proof(invocation)),
        "adopt shadow" => runtime(false)?.block_on(adopt::replay(invocation)),
        "adopt shadow status" => runtime(false)?.block_on(adopt::shadow::status(invocation)),
        "adopt shadow flips" => runtime(false)?.block_on(adopt::shadow::flips(invocation)),
        "adopt shadow start" | "adopt shadow back" => {
            runtime(false)?.block_on(adopt::shadow::set(invocation, "shadow"))
        }
        "adopt shadow cut-over" => runtime(false)?.block_on(adopt::shadow::set(invocation, "cut_over")),
        "adopt shadow stop" => runtime(false)?.block_on(adopt::shadow::set(invocation, "off")),
        "adopt plan" => runtime(false)?.block_on(adopt::plan(invocation)),
        "users import" => runtime(false)?.block_on(users::import(invocation)),
        "rescue" => runtime(false)?.block_on(rescue::run(invocation)),
        "vault status" => runtime(false)?.block_on(vault::status(invocation)),
        "vault rotate" => runtime(false)?.block_on(vault::rotate(invocation)),
        "vault encrypt-existing" => runtime(false)?.block_on(vault::encrypt_existing(invocation)),
        "entitlements truncate" => runtime(false)?.block_on(truncate::run(invocation)),
        "audit verify" => runtime(false)?.block_on(audit::verify(invocation)),
        _ => {
            let id = words.replace(' ', ".");
            match operations.iter().find(|operation| operation.id == id) {
                Some(operation) => runtime(false)?.block_on(generic::run(operation, invocation)),
                None => Err(Failure::new(format!(
                    "`charter {words}` needs one more word: see `charter {words} --help`"
                ))),
            }
        }
    }
}

/// The flag that names the data folder again in a command that is proposed, where it is not the one every command looks in.
fn data_flag(configuration: &Configuration) -> String {
    let data = &configuration.data;
    if data == std::path::Path::new("./charter-data") {
        return String::new();
    }
    format!(" --data {}", crate::demo::greeting::word(&data.display().to_string()))
}

fn version(invocation: &Invocation<'_>) -> Result {
    let version = env!("CARGO_PKG_VERSION");
    if invocation.is_json {
        output::print(&serde_json::json!({ "version": version }).to_string());
    } else {
        output::print(&format!("charter {version}"));
    }
    Ok(Outcome::Good)
}

fn runtime(is_server: bool) -> Result<tokio::runtime::Runtime> {
    let mut builder = if is_server {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    // A thread that a crowd called for goes soon: each holds memory.
    builder.thread_keep_alive(std::time::Duration::from_secs(1));
    builder.enable_all().build().map_err(|error| Failure::new(format!("no runtime can be started: {error}")))
}
