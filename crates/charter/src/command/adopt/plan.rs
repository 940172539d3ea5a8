//! `charter adopt plan`: what would be created, who would gain or lose what, and what stands in the way. It writes a file, and nothing else.

use super::super::Invocation;
use super::super::show;
use super::drift;
use super::follow::{self, Looked};
use super::here::Here;
use super::legacy::{self, Legacy};
use crate::config::text::without_password;
use crate::failure::{Failure, Outcome, Result};
use crate::output;
use charter_adopt::mapping::{self, Mapping};
use charter_adopt::plan::{self, Ground, Plan};
use charter_kernel::Key;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

const SOURCE: &str = "source";
const ACCEPT: &str = "accept";
const APPROVED_BY: &str = "approved_by";
const OUT: &str = "out";
const DIFFERENCES: &str = "differences";
/// Lines of a kind that are told; the file has all.
const TOLD_MAX: usize = 10;

/// The name of the other system.
pub fn source() -> Arg {
    Arg::new(SOURCE)
        .long(SOURCE)
        .value_name("KEY")
        .default_value("legacy")
        .help("A name for the other system; runs of one name go on where the last one ended")
}

/// The name of the other system, as it was typed.
pub fn source_of(matches: &ArgMatches) -> Result<Key> {
    let text = matches.get_one::<String>(SOURCE).map_or("legacy", String::as_str);
    text.parse().map_err(|wrong| Failure::new(format!("--source {text}: {wrong}")))
}

/// What is accepted, by name.
pub fn accept() -> Arg {
    Arg::new(ACCEPT).long(ACCEPT).value_name("NAME").action(ArgAction::Append).help(
        "Accept what becomes of a role, by its name there; or flag:superuser, account:LOGIN, organization:KEY, member:LOGIN, unfit_login. \
         Can be given again",
    )
}

/// What was accepted.
pub fn accepted(matches: &ArgMatches) -> BTreeSet<String> {
    names(matches, ACCEPT)
}

pub fn command() -> Command {
    Command::new("plan")
        .about("Say what taking over the other system would create, and who would gain or lose what")
        .arg(legacy::from())
        .arg(legacy::map())
        .arg(legacy::system())
        .arg(source())
        .arg(accept())
        .arg(
            Arg::new(APPROVED_BY)
                .long("approved-by")
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("Who approves it; a plan by which somebody gains rights wants two"),
        )
        .arg(Arg::new(OUT).long(OUT).value_name("FILE").default_value("plan.json").help("Where the plan goes"))
        .arg(
            Arg::new(DIFFERENCES)
                .long(DIFFERENCES)
                .value_name("FILE")
                .help("Where every user goes who would gain or lose something, a line of JSON each"),
        )
        .after_help("Nothing is written but these files. Exit code 1: something keeps the plan from being carried out; it is told.")
}

/// Who accepted or approved.
fn names(matches: &ArgMatches, name: &str) -> BTreeSet<String> {
    let given = matches.get_many::<String>(name).into_iter().flatten();
    given.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

/// The address as a plan keeps it: where its file is, or without a password.
pub fn kept(from: &str) -> String {
    if from.starts_with('@') { from.to_owned() } else { without_password(from) }
}

/// The mapping that was given, or the one that is proposed.
pub fn settled(found: &mut Legacy) -> Result<String> {
    if let (Some(_), Some(text)) = (&found.mapping, &found.mapping_text) {
        return Ok(text.clone());
    }
    let catalogue =
        charter_catalogue::shipped().map_err(|_| Failure::new("the shipped catalogue cannot be read"))?;
    let proposed = mapping::propose(found.system, found.tables.clone(), &found.heard.facts, &catalogue);
    let text = mapping::print(&proposed, &found.heard.facts);
    found.mapping = Some(proposed);
    Ok(text)
}

struct Asked {
    source: Key,
    from: String,
    accepted: BTreeSet<String>,
    approved_by: BTreeSet<String>,
}

/// Makes the plan.
fn made(
    asked: Asked,
    found: &Legacy,
    here: &Here,
    text: String,
    looked: Looked,
    differences: Option<&Path>,
) -> Result<Plan> {
    let no_mapping = || Failure::new("there is no mapping");
    let mapping: &Mapping = found.mapping.as_ref().ok_or_else(no_mapping)?;
    let facts = &found.heard.facts;
    let (catalogue, _) = here.catalogue(found)?;
    let ground = Ground::new(facts, mapping, catalogue).map_err(|wrong| Failure::new(wrong.to_string()))?;
    let mut file = match differences {
        None => None,
        Some(path) => {
            let file = std::fs::File::create(path)
                .map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))?;
            Some(std::io::BufWriter::new(file))
        }
    };
    let mut broken = None;
    let verdict = ground.verdict(&asked.accepted, &mut |difference| {
        if let Some(file) = &mut file {
            let line = serde_json::to_string(difference).unwrap_or_default();
            broken = broken.take().or_else(|| writeln!(file, "{line}").err());
        }
    });
    let ended = file.map(|mut file| file.flush()).transpose();
    if let Some(error) = broken.or_else(|| ended.err()) {
        return Err(Failure::new(format!("the differences cannot be written: {error}")));
    }
    Ok(Plan {
        format: plan::FORMAT,
        tool: format!("charter {}", env!("CARGO_PKG_VERSION")),
        made_at: crate::installation::now().to_string(),
        source: asked.source,
        system: found.system,
        engine: legacy::engine_word(found.engine).to_owned(),
        from: asked.from,
        facts: found.heard.fingerprint.clone(),
        catalogue: plan::catalogue_sum(&ground.catalogue),
        mapping: text,
        rows: ground.counts(&here.known),
        follows: None,
        changes: looked.changes.counts(),
        left: looked.left,
        anomalies: plan::counted(&found.heard.anomalies),
        unmapped: ground.intent.unmapped.clone(),
        faults: [ground.faults(&found.heard.anomalies), ground.misnamed(&asked.accepted), looked.stopping]
            .concat(),
        roles: ground.roles(),
        existing_organizations: here.organizations.clone(),
        existing_accounts: here.accounts.iter().map(|(_, login, _)| login.clone()).collect(),
        verdict,
        accepted: asked.accepted,
        approved_by: asked.approved_by,
        hash: String::new(),
    })
}

/// Makes the plan, with what it changes of what stands.
async fn followed(
    asked: Asked,
    found: &Legacy,
    here: &mut Here,
    text: String,
    differences: Option<&Path>,
) -> Result<Plan> {
    let (looked, is_more) = drift::look(found, here, &asked.accepted).await?;
    // Whoever is here already has the rows of their account.
    here.claim(found).await?;
    let mut plan = made(asked, found, here, text, looked, differences)?;
    if let Some(client) = &here.client {
        follow::follows(client, &mut plan, is_more).await?;
    }
    plan.hash = plan.sum();
    Ok(plan)
}

/// Makes a plan and writes it.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let matches = invocation.matches;
    let asked = Asked {
        source: source_of(matches)?,
        from: kept(&legacy::typed(matches)),
        accepted: names(matches, ACCEPT),
        approved_by: names(matches, APPROVED_BY),
    };
    let mut found = legacy::read(matches).await?;
    let text = settled(&mut found)?;
    let mut here = Here::look(&invocation.loaded.configuration, &asked.source, &found).await?;
    let differences = matches.get_one::<String>(DIFFERENCES).map(Path::new);
    let made = followed(asked, &found, &mut here, text, differences).await;
    here.close().await?;
    let plan = made?;
    let out = matches.get_one::<String>(OUT).map_or("plan.json", String::as_str);
    let json = serde_json::to_string_pretty(&plan).unwrap_or_default();
    std::fs::write(out, json + "\n")
        .map_err(|error| Failure::new(format!("{out} cannot be written: {error}")))?;
    let obstacles = plan.obstacles();
    if invocation.is_json {
        show::raw(&serde_json::json!({ "plan": plan, "file": out, "obstacles": obstacles }));
    } else {
        output::print(&told(&plan, &obstacles, out));
    }
    Ok(if obstacles.is_empty() { Outcome::Good } else { Outcome::Denied })
}

fn codes(codes: &[String]) -> String {
    let first: Vec<&str> = codes.iter().take(3).map(String::as_str).collect();
    match codes.len() {
        0 => "-".to_owned(),
        count @ 1..=3 => format!("{count}: {}", first.join(", ")),
        count => format!("{count}: {}, ...", first.join(", ")),
    }
}

fn told(plan: &Plan, obstacles: &[String], out: &str) -> String {
    let rows = plan.rows;
    let mut told = format!(
        "{} organizations, {} users with {} memberships, {} roles of their own, {} assignments, {} grants, {} modules switched\n",
        rows.organizations,
        rows.users,
        rows.memberships,
        rows.roles,
        rows.assignments,
        rows.grants,
        rows.entitlements
    );
    told.push_str(&follow::told(plan));
    let lines: Vec<Vec<String>> = plan
        .roles
        .iter()
        .map(|role| {
            let becomes = role.becomes.clone().unwrap_or_else(|| "nothing".to_owned());
            vec![role.name.clone(), role.users.to_string(), becomes, codes(&role.gains), codes(&role.loses)]
        })
        .collect();
    if !lines.is_empty() {
        told.push_str(&format!(
            "\n{}",
            output::table(&["role", "users", "becomes", "gives more", "gives less"], &lines)
        ));
    }
    let verdict = &plan.verdict;
    told.push_str(&format!(
        "\n{} users x permissions compared: {} gained by {} users, {} lost by {} users\n",
        verdict.pairs, verdict.gains, verdict.users_gaining, verdict.losses, verdict.users_losing
    ));
    for difference in verdict.named.iter().take(TOLD_MAX) {
        let accepted = if difference.accepted { " (accepted)" } else { "" };
        told.push_str(&format!(
            "  {}{accepted}: gains {}; loses {}\n",
            difference.login,
            codes(&difference.gains),
            codes(&difference.losses)
        ));
    }
    let more = (verdict.users_gaining + verdict.users_losing).saturating_sub(TOLD_MAX as u64);
    if more > 0 && verdict.named.len() > TOLD_MAX {
        told.push_str("  and others: --differences FILE names every one\n");
    }
    if obstacles.is_empty() {
        told.push_str(&format!("\n{out} is ready: charter adopt apply --plan {out}\n"));
    } else {
        told.push_str(&format!("\n{out} cannot be carried out yet:\n"));
        for obstacle in obstacles {
            told.push_str(&output::wrapped("  - ", obstacle));
        }
    }
    told
}

/// Reads a plan, and takes it as it was made.
pub fn read(path: &str) -> Result<Plan> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
    let plan: Plan =
        serde_json::from_str(&text).map_err(|flaw| Failure::new(format!("{path} is not a plan: {flaw}")))?;
    if plan.format != plan::FORMAT {
        return Err(Failure::new(format!(
            "{path} is of form {}, and this program reads form {}: make the plan again",
            plan.format,
            plan::FORMAT
        )));
    }
    if !plan.is_whole() {
        return Err(Failure::new(format!("{path} was changed after it was made: make the plan again")));
    }
    Ok(plan)
}
