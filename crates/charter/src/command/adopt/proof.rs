//! The file of a proof: all that an auditor asks about a run, in one document, with a signature in a file beside it; and
//! `charter adopt check-proof`, which looks at both again.

use super::super::Invocation;
use super::super::show;
use super::checksum::sum;
use super::desk::send;
use super::equivalence::Equivalence;
use super::here::text;
use super::legacy;
use crate::client::{Call, Client};
use crate::config::text::without_password;
use crate::config::{Configuration, account};
use crate::failure::{Failure, Outcome, Result};
use crate::folder::write_private;
use crate::{output, whole_file};
use charter_adopt::accepting::name_of;
use charter_adopt::anomaly::Anomaly;
use charter_adopt::over_all::OverAll;
use charter_adopt::plan::{Plan, PlannedRole};
use charter_adopt::rows::Counts;
use charter_adopt::sums::TableSum;
use clap::{Arg, Command};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The form of these files.
const FORMAT: u32 = 2;
const FILE: &str = "file";
const SIGNATURE: &str = "signature";
/// What before means where there is more than words.
const OWN_PERMISSIONS: &str = "what the other system's own rows of permissions allow, by its rules";
/// What makes a proof besides runs.
const VERIFY: &str = "verify";
/// How the name of a signature goes on after that of its file.
const SIGNED: &str = ".jws";

/// Tables of the other system, and what they came to.
pub type Sums = BTreeMap<String, TableSum>;

/// Who made a proof, and where.
#[derive(Debug, Serialize)]
struct By<'a> {
    /// The account of the operating system.
    account: &'a str,
    /// The machine.
    machine: String,
}

/// The other system.
#[derive(Debug, Serialize)]
struct Other<'a> {
    name: &'a str,
    system: &'static str,
    engine: &'a str,
    address: &'a str,
    server_version: Option<&'a str>,
    /// What the rows came to that decide who may do what.
    facts: &'a str,
    /// Its tables before the run.
    tables_before: Sums,
    /// The same when the proof was made.
    tables_after: &'a Sums,
    /// Those that differ: nothing here writes them.
    tables_changed: Vec<String>,
}

/// This installation.
#[derive(Debug, Serialize)]
struct Here<'a> {
    database: String,
    schema: Option<&'a str>,
    /// What the catalogue came to.
    catalogue: &'a str,
}

/// What before means.
#[derive(Debug, Serialize)]
struct Before<'a> {
    what: &'static str,
    /// Roles of which nobody can see what they allowed.
    roles_without: &'a [String],
}

#[derive(Debug, Serialize)]
struct MappingOf<'a> {
    sha256: String,
    text: &'a str,
    /// What the run's own came to, where this is another.
    sha256_of_run: Option<&'a str>,
}

/// What `verify` went by that no plan says, and that nobody approved.
#[derive(Debug, Default)]
pub struct ByVerify {
    /// What was accepted by name.
    pub accepted: BTreeSet<String>,
    /// What the mapping of the run came to, where another was given.
    pub mapping_of_run: Option<String>,
}

impl ByVerify {
    /// Whether there is anything that those who approved the plan did not see.
    fn is_more(&self) -> bool {
        !self.accepted.is_empty() || self.mapping_of_run.is_some()
    }
}

#[derive(Debug, Serialize)]
struct RoleOf<'a> {
    name: &'a str,
    becomes: Option<&'a str>,
    users: u64,
}

/// Rows of the other system that were not as they should be, of one kind.
#[derive(Debug, Serialize)]
struct AnomalyOf<'a> {
    kind: &'a str,
    count: u64,
    /// The first of them.
    rows: &'a [Anomaly],
    /// By which name it was accepted, where it wants that.
    accepted: Option<&'static str>,
}

impl<'a> AnomalyOf<'a> {
    fn new(plan: &'a Plan, kind: &'a str, count: u64) -> Self {
        let name = serde_json::from_value(Value::from(kind)).ok().and_then(name_of);
        Self {
            kind,
            count,
            rows: plan.anomaly_rows.get(kind).map(Vec::as_slice).unwrap_or_default(),
            accepted: name.filter(|name| plan.accepted.contains(*name)),
        }
    }
}

/// How many of those who differ are named one by one.
#[derive(Debug, Serialize)]
struct Names {
    named: u64,
    of: u64,
    is_whole: bool,
    /// Where all of them are, when they are not here.
    whole_list: Option<&'static str>,
}

impl Names {
    fn of(named: u64, of: u64) -> Self {
        let is_whole = named == of;
        let list = "charter adopt plan --from ADDRESS --map MAPPING --differences FILE names every user by the same mapping";
        Self { named, of, is_whole, whole_list: (!is_whole).then_some(list) }
    }
}

/// A proof, as it is kept.
#[derive(Debug, Serialize)]
pub struct Proof<'a> {
    format: u32,
    tool: String,
    /// What made it: `run`, or `verify` later.
    made_by: &'static str,
    run: u64,
    /// Whether before is after, but for what was accepted.
    holds: bool,
    by: By<'a>,
    /// When the run began.
    run_started_at: &'a str,
    /// When the command began that made this.
    started_at: &'a str,
    /// When it was made.
    ended_at: String,
    source: Other<'a>,
    installation: Here<'a>,
    /// Which backup there was, or who decided to go on without.
    backup: Value,
    plan: &'a str,
    mapping: MappingOf<'a>,
    before: Before<'a>,
    roles: Vec<RoleOf<'a>>,
    /// Rows of the run, each counted as it was sent; as many were planned.
    rows: Counts,
    /// Those that were not there before, when the rows were written last.
    rows_new: Value,
    /// What was wrong with the other system's rows.
    anomalies: Vec<AnomalyOf<'a>>,
    /// Who got all of the installation by the run.
    over_all: &'a OverAll,
    /// What the plan accepted by name.
    accepted: BTreeSet<&'a String>,
    /// What `verify` accepted besides, which nobody approved.
    accepted_by_verify: BTreeSet<&'a String>,
    /// Who approved the plan; nobody where `verify` went by more than that.
    approved_by: BTreeSet<&'a String>,
    names: Names,
    equivalence: &'a Equivalence,
}

/// What a proof is made of besides what is compared.
pub struct Ground<'a> {
    /// How this installation is reached.
    pub configuration: &'a Configuration,
    /// The run, as the service has it.
    pub run: &'a Value,
    /// Its plan, with what was accepted.
    pub plan: &'a Plan,
    /// What `verify` went by besides; none where the run itself is proved.
    pub verified: Option<&'a ByVerify>,
    /// What the other system's rows came to now.
    pub facts: &'a str,
    /// What the catalogue comes to.
    pub catalogue: &'a str,
    /// Where the other system is; without a password.
    pub address: &'a str,
    /// The version of its server, where it tells one.
    pub server_version: Option<&'a str>,
    /// Its tables now.
    pub tables_after: &'a Sums,
    /// When the command began.
    pub started_at: &'a str,
}

/// More about a step of a run.
fn detail<'v>(run: &'v Value, step: &str, name: &str) -> Option<&'v Value> {
    let steps = run.get("steps").and_then(Value::as_array)?;
    steps.iter().find(|it| text(it, "step") == step)?.get("detail")?.get(name)
}

impl<'a> Proof<'a> {
    /// The proof of a run.
    pub fn new(ground: &Ground<'a>, equivalence: &'a Equivalence) -> Self {
        let Ground { run, plan, verified, tables_after, .. } = *ground;
        let beyond = |name: &&String| verified.is_some_and(|it| it.accepted.contains(*name));
        let before = detail(run, "before", "tables").cloned().unwrap_or_default();
        let tables_before: Sums = serde_json::from_value(before).unwrap_or_default();
        let differs = |name: &&String| tables_before.get(*name) != tables_after.get(*name);
        let both: BTreeSet<&String> = tables_before.keys().chain(tables_after.keys()).collect();
        let tables_changed = both.into_iter().filter(differs).cloned().collect();
        let verdict = &equivalence.verdict;
        let role = |role: &'a PlannedRole| RoleOf {
            name: &role.name,
            becomes: role.becomes.as_deref(),
            users: role.users,
        };
        Self {
            format: FORMAT,
            tool: format!("charter {}", env!("CARGO_PKG_VERSION")),
            made_by: if verified.is_some() { VERIFY } else { "run" },
            run: super::runs::number(run),
            holds: equivalence.holds(),
            by: By { account: &ground.configuration.account, machine: account::machine() },
            run_started_at: text(run, "started_at"),
            started_at: ground.started_at,
            ended_at: crate::installation::now().to_string(),
            source: Other {
                name: plan.source.as_str(),
                system: legacy::name(plan.system),
                engine: &plan.engine,
                address: ground.address,
                server_version: ground.server_version,
                facts: ground.facts,
                tables_before,
                tables_after,
                tables_changed,
            },
            installation: Here {
                database: without_password(&ground.configuration.database),
                schema: ground.configuration.database_schema.as_deref(),
                catalogue: ground.catalogue,
            },
            backup: detail(run, "before", "backup").cloned().unwrap_or_default(),
            plan: &plan.hash,
            mapping: MappingOf {
                sha256: sum(plan.mapping.as_bytes()),
                text: &plan.mapping,
                sha256_of_run: verified.and_then(|it| it.mapping_of_run.as_deref()),
            },
            before: Before {
                what: if plan.without_before.is_some() { super::plan::BEFORE } else { OWN_PERMISSIONS },
                roles_without: plan.without_before.as_deref().unwrap_or_default(),
            },
            roles: plan.roles.iter().map(role).collect(),
            rows: plan.rows,
            rows_new: detail(run, "data", "inserted").cloned().unwrap_or_default(),
            anomalies: plan
                .anomalies
                .iter()
                .map(|(kind, count)| AnomalyOf::new(plan, kind, *count))
                .collect(),
            over_all: &plan.over_all,
            accepted: plan.accepted.iter().filter(|name| !beyond(name)).collect(),
            accepted_by_verify: plan.accepted.iter().filter(beyond).collect(),
            approved_by: match verified {
                Some(by) if by.is_more() => BTreeSet::new(),
                _ => plan.approved_by.iter().collect(),
            },
            names: Names::of(verdict.named.len() as u64, verdict.users_differing),
            equivalence,
        }
    }

    /// Its text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Where the signature of a file is.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SIGNED);
    name.into()
}

/// Has the text of a proof signed.
pub async fn sign(client: &Client, run: u64, text: &str) -> Result<String> {
    let body = json!({ "sha256": sum(text.as_bytes()) });
    let call = Call::new("POST", format!("/api/v1/adoption/runs/{run}/proof")).json(&body);
    let answer = send(client, &call).await?.json()?;
    let signature = answer.get("signature").and_then(Value::as_str);
    signature.map(str::to_owned).ok_or_else(|| Failure::new("the service signed the proof with nothing"))
}

/// Writes a proof into the data folder; one that does not hold has no signature.
pub fn keep(path: &Path, text: &str, signature: Option<&str>) -> Result<()> {
    let beside = beside(path);
    if beside.exists() {
        std::fs::remove_file(&beside)
            .map_err(|error| Failure::new(format!("{} cannot be removed: {error}", beside.display())))?;
    }
    write_private(path, text).map_err(Failure::new)?;
    match signature {
        Some(signature) => write_private(&beside, &format!("{signature}\n")).map_err(Failure::new),
        None => Ok(()),
    }
}

/// Refuses a place where no proof can be written, before there is one.
pub fn can_be_handed_out(file: &str) -> Result<()> {
    let path = Path::new(file);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() && !path.is_dir() {
        return Ok(());
    }
    Err(Failure::new(format!("--proof {file}: name a file in a folder that is there; nothing was written")))
}

/// Writes a proof where it was asked for.
pub fn hand_out(file: &str, text: &str, signature: &str) -> Result<()> {
    let write = |path: &Path, text: &str| {
        let written = whole_file::write(path, text);
        written.map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))
    };
    write(Path::new(file), text)?;
    write(&beside(Path::new(file)), &format!("{signature}\n"))
}

pub fn command() -> Command {
    Command::new("check-proof")
        .about("Say whether the file of a proof is as this installation signed it, and what it proves")
        .arg(Arg::new(FILE).value_name("FILE").required(true).help("The proof: proof-000001.json"))
        .arg(
            Arg::new(SIGNATURE)
                .long(SIGNATURE)
                .value_name("FILE")
                .help("Its signature, where it is not beside it under the same name with .jws"),
        )
        .after_help("Exit code 1: the file was changed, its signature is none of this installation's, or the proof does not hold.")
}

/// Looks at a proof again.
pub async fn check(invocation: &Invocation<'_>) -> Result {
    let given = |name: &str| invocation.matches.get_one::<String>(name).map(PathBuf::from);
    let path = given(FILE).unwrap_or_default();
    let signed = given(SIGNATURE).unwrap_or_else(|| beside(&path));
    let bytes = std::fs::read(&path)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
    let signature = std::fs::read_to_string(&signed).map_err(|error| {
        Failure::new(format!(
            "its signature {} cannot be read: {error}; --signature FILE names another",
            signed.display()
        ))
    })?;
    let body = json!({ "sha256": sum(&bytes), "signature": signature.trim() });
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let answer = client.call(&Call::new("POST", "/api/v1/adoption/proofs/check").json(&body)).await;
    client.close().await?;
    let checked = answer?.json()?;
    let is_signed = checked.get("holds") == Some(&Value::Bool(true));
    let proof: Value = match serde_json::from_slice(&bytes) {
        Ok(proof) => proof,
        Err(_) if !is_signed => Value::Null,
        Err(flaw) => return Err(Failure::new(format!("{} is not a proof: {flaw}", path.display()))),
    };
    let holds = proof.get("holds") == Some(&Value::Bool(true));
    if invocation.is_json {
        // What nobody signed says nothing.
        let said = |name: &str| proof.pointer(name).filter(|_| is_signed).cloned().unwrap_or_default();
        show::raw(&json!({
            "signature": checked, "holds": is_signed && holds, "run": said("/run"), "tool": said("/tool"), "source": said("/source/name"),
            "system": said("/source/system"), "address": said("/source/address"), "account": said("/by/account"),
            "machine": said("/by/machine"), "pairs": said("/equivalence/verdict/pairs"), "gains": said("/equivalence/verdict/gains"),
            "losses": said("/equivalence/verdict/losses"), "made_by": said("/made_by"), "accepted_by_verify": said("/accepted_by_verify"),
            "mapping_of_run": said("/mapping/sha256_of_run"),
        }));
    } else {
        output::print(&told(&path, &checked, &proof, is_signed));
    }
    Ok(if is_signed && holds { Outcome::Good } else { Outcome::Denied })
}

fn told(path: &Path, checked: &Value, proof: &Value, is_signed: bool) -> String {
    let path = path.display();
    if !is_signed {
        return output::wrapped(&format!("{path} proves nothing: "), text(checked, "fault"));
    }
    let number = |name: &str| proof.pointer(name).and_then(Value::as_u64).unwrap_or(0);
    let word = |name: &str| proof.pointer(name).and_then(Value::as_str).unwrap_or_default();
    let mut told = format!(
        "{path} is as it was signed at {}\n  key        {}\n",
        output::to_the_second(text(checked, "signed_at")),
        text(checked, "kid")
    );
    told.push_str(&format!(
        "  run        {} of {}, by {}\n",
        number("/run"),
        word("/source/name"),
        word("/tool")
    ));
    told.push_str(&output::wrapped(
        "  other      ",
        &format!("{} at {}", word("/source/system"), word("/source/address")),
    ));
    told.push_str(&format!("  made       by {} on {}\n", word("/by/account"), word("/by/machine")));
    told.push_str(&format!(
        "  compared   {} pairs: {} gained, {} lost\n",
        number("/equivalence/verdict/pairs"),
        number("/equivalence/verdict/gains"),
        number("/equivalence/verdict/losses")
    ));
    let is_unclear =
        proof.pointer("/equivalence/unclear").and_then(Value::as_array).is_some_and(|it| !it.is_empty());
    told.push_str(if proof.get("holds") == Some(&Value::Bool(true)) {
        "before was after, but for what was accepted by name\n"
    } else if is_unclear {
        "nothing was proved: nobody could tell who might do what in the other system\n"
    } else {
        "before was not after: somebody had more or less, and nobody accepted it\n"
    });
    if checked.get("is_of_the_step") == Some(&Value::Bool(true)) {
        told.push_str("it is the proof by which the run is applied\n");
    }
    told.push_str(&by_verify(proof));
    let since = output::to_the_second(text(checked, "run_ended_at"));
    told.push_str(&match text(checked, "run_state") {
        "undone" => output::wrapped(
            "",
            &format!("the run was taken back since, at {since}: what it proves is not so any more"),
        ),
        "undoing" => output::wrapped("", "the run is being taken back: what it proves is not so any more"),
        "applying" | "failed" => {
            output::wrapped("", "the run is not applied now: charter adopt status shows how it stands")
        }
        _ => String::new(),
    });
    told
}

/// What is told of a proof that is not the run's own.
fn by_verify(proof: &Value) -> String {
    if text(proof, "made_by") != VERIFY {
        return String::new();
    }
    let mut told = "it is a proof of charter adopt verify, and not the run's own\n".to_owned();
    let names = proof.get("accepted_by_verify").and_then(Value::as_array).into_iter().flatten();
    let names: Vec<&str> = names.filter_map(Value::as_str).collect();
    if !names.is_empty() {
        let line = format!("verify accepted beyond the plan, and nobody approved it: {}", names.join(", "));
        told.push_str(&output::wrapped("  ", &line));
    }
    if proof.pointer("/mapping/sha256_of_run").is_some_and(Value::is_string) {
        told.push_str(&output::wrapped(
            "  ",
            "it compares by another mapping than the run's, and nobody approved it",
        ));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_that_is_cut_says_so_and_where_all_are() {
        let names = |named: u64, of: u64| serde_json::to_value(Names::of(named, of)).unwrap();
        assert_eq!(names(3, 3), json!({ "named": 3, "of": 3, "is_whole": true, "whole_list": null }));
        let cut = names(1_000, 4_211);
        assert_eq!(
            (&cut["named"], &cut["of"], &cut["is_whole"]),
            (&json!(1_000), &json!(4_211), &json!(false))
        );
        assert!(cut["whole_list"].as_str().unwrap().contains("--differences"));
    }

    #[test]
    fn a_signature_stands_beside_its_file() {
        assert_eq!(beside(Path::new("a/proof-000001.json")), Path::new("a/proof-000001.json.jws"));
    }
}
