//! The tree of commands: those written by hand, and one for every other operation of the API.

use super::{
    adopt, arguments, audit, catalogue, completions, config, generic, key_timer, keys, migrate, people,
    policy, question, rescue, serve, truncate, users, vault,
};
use crate::operation::Operation;
use crate::output;
use clap::Command;
use std::collections::BTreeMap;
use std::ffi::OsString;

#[derive(Default)]
struct Node {
    command: Option<Command>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn place(&mut self, words: &[&str], command: Command) {
        match words {
            [] => {
                if self.command.is_none() {
                    self.command = Some(command);
                }
            }
            [first, rest @ ..] => self.children.entry((*first).to_owned()).or_default().place(rest, command),
        }
    }

    fn into_command(self, name: &str) -> Command {
        let words: Vec<&str> = self.children.keys().map(String::as_str).collect();
        let about = format!("{}: {}", upper_first(&name.replace('-', " ")), words.join(", "));
        let has_work = self.command.is_some();
        let mut command = match self.command {
            Some(command) => command.name(name.to_owned()),
            None => Command::new(name.to_owned()).about(about),
        };
        if !self.children.is_empty() {
            command = if has_work {
                command.subcommand_negates_reqs(true).args_conflicts_with_subcommands(true)
            } else {
                command.subcommand_required(true).arg_required_else_help(true)
            };
        }
        for (word, child) in self.children {
            command = command.subcommand(child.into_command(&word));
        }
        command
    }
}

fn upper_first(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

/// The commands written by hand, each with its words.
fn written() -> Vec<(&'static [&'static str], Command)> {
    vec![
        (&["serve"], serve::command()),
        (&["config", "check"], config::check_command()),
        (&["config", "show"], config::show_command()),
        (&["migrate", "up"], migrate::up_command()),
        (&["migrate", "down"], migrate::down_command()),
        (&["migrate", "status"], migrate::status_command()),
        (&["check"], question::check_command()),
        (&["who-can"], question::who_can_command()),
        (&["what-can"], question::what_can_command()),
        (&["list-resources"], question::list_resources_command()),
        (&["policy", "export"], policy::export_command()),
        (&["policy", "plan"], policy::plan_command()),
        (&["policy", "apply"], policy::apply_command()),
        (&["policy", "test"], policy::test_command()),
        (&["catalogue", "lint"], catalogue::lint_command()),
        (&["catalogue", "diff"], catalogue::diff_command()),
        (&["catalogue", "apply"], catalogue::apply_command()),
        (&["catalogue", "export"], catalogue::export_command()),
        (&["keys", "rotate"], keys::rotate_command()),
        (&["keys", "revoke"], keys::revoke_command()),
        (&["keys", "schedule"], key_timer::command()),
        (&["setup"], people::setup_command()),
        (&["password", "set"], people::password_command()),
        (&["adopt", "inspect"], adopt::inspect_command()),
        (&["adopt", "codes"], adopt::codes_command()),
        (&["adopt", "apply"], adopt::apply_command()),
        (&["adopt", "rollback"], adopt::rollback_command()),
        (&["adopt", "status"], adopt::status_command()),
        (&["adopt", "verify"], adopt::verify_command()),
        (&["adopt", "check-proof"], adopt::check_proof_command()),
        (&["adopt", "plan"], adopt::plan_command()),
        (&["adopt", "shadow"], adopt::shadow_command()),
        (&["adopt", "shadow", "status"], adopt::shadow::status_command()),
        (&["adopt", "shadow", "start"], adopt::shadow::start_command()),
        (&["adopt", "shadow", "flips"], adopt::shadow::flips_command()),
        (&["adopt", "shadow", "cut-over"], adopt::shadow::cut_over_command()),
        (&["adopt", "shadow", "back"], adopt::shadow::back_command()),
        (&["adopt", "shadow", "stop"], adopt::shadow::stop_command()),
        (&["users", "import"], users::import_command()),
        (&["entitlements", "truncate"], truncate::command()),
        (&["rescue"], rescue::command()),
        (&["audit", "verify"], audit::verify_command()),
        (&["vault", "status"], vault::status_command()),
        (&["vault", "rotate"], vault::rotate_command()),
        (&["vault", "encrypt-existing"], vault::encrypt_command()),
        (&["completions"], completions::command()),
        (&["version"], Command::new("version").about("Print the version")),
    ]
}

/// Operations that a command written by hand stands for.
const COVERED: &[&str] = &[
    "keys.record-legacy-rotation",
    "setup.complete",
    "users.set-password",
    "users.import",
    "catalogue.own",
    "shadow.list",
    "shadow.show",
    "shadow.set",
    "shadow.flips",
    "shadow.replay",
    "vault.rotate-pepper",
];

/// The whole tree.
pub fn root(operations: &[Operation]) -> Command {
    let mut top = Node::default();
    for (words, command) in written() {
        top.place(words, command);
    }
    for operation in operations.iter().filter(|operation| !COVERED.contains(&operation.id.as_str())) {
        let words: Vec<&str> = operation.id.split('.').collect();
        top.place(&words, generic::command(operation));
    }
    let mut command = Command::new("charter")
        .about("Access, entitlements and audit of multi-tenant business software")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .max_term_width(110)
        .after_help(
            "Commands talk to the service that runs on the data folder, or do their work themselves when none runs.\n\
             Exit codes: 0 done or allowed, 1 denied or different, 2 an error.",
        );
    command = arguments::common(command);
    let first = ["serve", "setup", "check", "who-can", "what-can", "list-resources", "policy", "catalogue"];
    for (word, node) in top.children {
        let order = first.iter().position(|known| *known == word).unwrap_or(first.len());
        command = command.subcommand(node.into_command(&word).display_order(order));
    }
    command
}

/// The words that can stand where an unknown one was typed.
pub fn beside(operations: &[Operation], arguments: &[OsString]) -> String {
    let root = root(operations);
    let mut here = &root;
    for word in arguments.iter().skip(1).filter_map(|word| word.to_str()) {
        here = here.find_subcommand(word).unwrap_or(here);
    }
    let words: Vec<&str> = here.get_subcommands().map(Command::get_name).collect();
    output::wrapped("It can be: ", &words.join(", "))
}
