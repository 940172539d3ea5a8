//! `charter adopt plan`: what would be created, who would gain or lose what, and what stands in the way. It writes a file, and nothing else.

use super::super::Invocation;
use super::super::show;
use super::follow::{self, Looked};
use super::here::Here;
use super::legacy::{self, Legacy, Looking};
use super::{drift, equivalence, passwords, runs, stopped};
use crate::config::text::without_password;
use crate::failure::{Failure, Outcome, Result};
use crate::{installation, output};
use charter_adopt::mapping::{self, Mapping};
use charter_adopt::named::NAMED_MAX;
use charter_adopt::plan::{self, Ground, Plan};
use charter_adopt::proof::Beyond;
use charter_kernel::{Key, counted};
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

const SOURCE: &str = "source";
const ACCEPT: &str = "accept";
const APPROVED_BY: &str = "approved_by";
const OUT: &str = "out";
const DIFFERENCES: &str = "differences";
const CHANGES: &str = "changes";
/// Lines of a kind that are told; the file has all.
const TOLD_MAX: usize = 10;
/// Codes that are told of a list; the file has all.
const CODES_MAX: usize = 2;
/// What before means where a role is a word and its rights stand in code.
pub const BEFORE: &str = "what the shipped role of the same name allows, since a role there is a word and its rights stand in code";

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
        "Accept what becomes of a role, by its name there; or flag:superuser, account:LOGIN, organization:KEY, member:LOGIN, unfit_login. What \
         people took away here comes back with back:LOGIN, and stays away with away:LOGIN or flag:away. Can be given again",
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
        .arg(
            Arg::new(CHANGES)
                .long(CHANGES)
                .value_name("FILE")
                .help("Where every account and organization goes that is stopped, acts again or is renamed, and what stays as it is or stops the plan, a line of JSON each"),
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

/// What the installation says of a plan.
#[derive(Default)]
struct Seen {
    /// What accounts that were here before may do of the installation itself, and could not in the other system.
    beyond: Beyond,
    /// Roles that earlier plans knew and that are gone.
    gone_roles: BTreeSet<String>,
    /// What stands, and what of it changes.
    looked: Looked,
    /// How many passwords changed there.
    passwords: u64,
}

async fn seen(found: &Legacy, here: &Here, asked: &Asked) -> Result<Seen> {
    let (Some(mapping), Some(client)) = (&found.mapping, &here.client) else { return Ok(Seen::default()) };
    let (catalogue, _) = here.catalogue(found)?;
    let ground = Ground::new(&found.heard.facts, mapping, catalogue)
        .map_err(|wrong| Failure::new(wrong.to_string()))?;
    let missing = ground.missing_roles(&asked.accepted);
    let gone_roles = runs::known_roles(client, &asked.source, missing).await?;
    Ok(Seen { beyond: here.beyond(&ground).await?, gone_roles, ..Seen::default() })
}

/// Makes the plan.
fn made(
    asked: Asked,
    found: &Legacy,
    here: &Here,
    text: String,
    seen: Seen,
    differences: Option<&Path>,
) -> Result<Plan> {
    let Seen { beyond, gone_roles, looked, passwords } = seen;
    let no_mapping = || Failure::new("there is no mapping");
    let mapping: &Mapping = found.mapping.as_ref().ok_or_else(no_mapping)?;
    let facts = &found.heard.facts;
    let (catalogue, _) = here.catalogue(found)?;
    let mut ground =
        Ground::new(facts, mapping, catalogue).map_err(|wrong| Failure::new(wrong.to_string()))?;
    ground.away = looked.decided.away;
    let mut file = match differences {
        None => None,
        Some(path) => {
            let file = std::fs::File::create(path)
                .map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))?;
            Some(std::io::BufWriter::new(file))
        }
    };
    let mut broken = None;
    let verdict = ground.verdict(&asked.accepted, &beyond, &mut |difference| {
        if let Some(file) = &mut file {
            let line = serde_json::to_string(difference).unwrap_or_default();
            broken = broken.take().or_else(|| writeln!(file, "{line}").err());
        }
    });
    let ended = file.map(|mut file| file.flush()).transpose();
    if let Some(error) = broken.or_else(|| ended.err()) {
        return Err(Failure::new(format!("the differences cannot be written: {error}")));
    }
    let (new_organizations, new_organizations_count) =
        ground.new_organizations(&here.known, &here.organizations);
    Ok(Plan {
        format: plan::FORMAT,
        tool: format!("charter {}", env!("CARGO_PKG_VERSION")),
        made_at: installation::now().to_string(),
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
        passwords,
        named: looked.named.into_iter().take(NAMED_MAX).collect(),
        taken: looked.decided.told,
        anomalies: plan::counted(&found.heard.anomalies),
        unmapped: ground.intent.unmapped.clone(),
        faults: [
            ground.faults(&found.heard.anomalies, &gone_roles),
            ground.misnamed(&asked.accepted, &gone_roles),
            looked.stopping,
            stopped::here(&ground, &here.accounts).into_iter().collect(),
        ]
        .concat(),
        gone_roles,
        roles: ground.roles(),
        without_before: ground.without_before(),
        new_organizations,
        new_organizations_count,
        existing_organizations: here.organizations.clone(),
        existing_accounts: here.accounts.iter().map(|it| it.login.clone()).collect(),
        beyond,
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
    matches: &ArgMatches,
) -> Result<Plan> {
    let differences = matches.get_one::<String>(DIFFERENCES).map(Path::new);
    let changes = matches.get_one::<String>(CHANGES);
    let mut seen = seen(found, here, &asked).await?;
    let (looked, mut is_more) = drift::look(found, here, &asked.accepted).await?;
    if let Some(client) = here.client.as_ref().filter(|_| !here.known.standing.is_empty()) {
        let address = legacy::address(&legacy::typed(matches))?;
        let looking = Looking::open(&address, Some(found.system), found.mapping.as_ref()).await?;
        seen.passwords = passwords::changed(client, &asked.source, looking).await?;
        is_more |= seen.passwords > 0;
    }
    // Whoever is here already has the rows of their account.
    here.claim(found).await?;
    if let Some(path) = changes {
        follow::write_down(path, &looked.named)?;
    }
    seen.looked = looked;
    let mut plan = made(asked, found, here, text, seen, differences)?;
    if let Some(client) = &here.client {
        follow::follows(client, &mut plan, is_more).await?;
        plan.hash = plan.sum();
        if let Some(fault) = runs::in_the_way(client, &plan).await? {
            // What stands is half of that run: nothing else that was found there can be relied on.
            plan.faults = vec![fault];
        }
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
    let made = followed(asked, &found, &mut here, text, matches).await;
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

/// How many codes, and the first of them.
fn codes(codes: &[String]) -> String {
    if codes.is_empty() {
        return "-".to_owned();
    }
    let first: Vec<&str> = codes.iter().take(CODES_MAX).map(String::as_str).collect();
    format!("{}: {}{}", codes.len(), first.join(", "), plan::more(codes.len() as u64, first.len()))
}

/// What the rows of a plan come to.
fn rows_told(plan: &Plan) -> String {
    let rows = plan.rows;
    let parts = [
        counted(rows.organizations, "organization", "organizations"),
        counted(rows.users, "user", "users"),
        counted(rows.memberships, "membership", "memberships"),
        counted(rows.roles, "role of an organization's own", "roles of organizations' own"),
        counted(rows.assignments, "assignment", "assignments"),
        counted(rows.grants, "grant", "grants"),
        counted(rows.entitlements, "module on or off", "modules on or off"),
    ];
    output::wrapped("", &parts.join(", "))
}

/// The keys that new organizations get.
fn organizations_told(plan: &Plan) -> String {
    if plan.new_organizations_count == 0 {
        return String::new();
    }
    let first = plan.new_organizations.iter().take(TOLD_MAX);
    let first: Vec<String> = first.map(|it| format!("{} ({})", it.key, it.name)).collect();
    let heading = counted(plan.new_organizations_count, "new organization: ", "new organizations, by key: ");
    output::wrapped(
        &heading,
        &format!("{}{}", first.join(", "), plan::more(plan.new_organizations_count, first.len())),
    )
}

/// Roles that are gone there.
fn gone_told(plan: &Plan) -> String {
    if plan.gone_roles.is_empty() {
        return String::new();
    }
    let first: Vec<String> = plan.gone_roles.iter().take(TOLD_MAX).map(|name| format!("{name:?}")).collect();
    let rest = plan::more(plan.gone_roles.len() as u64, first.len());
    let what = "roles of the mapping or of --accept that nobody has there any more";
    output::wrapped("gone there: ", &format!("{what} ({}{rest})", first.join(", ")))
}

/// What before means where a role is a word.
fn before_told(plan: &Plan) -> String {
    let Some(without) = &plan.without_before else { return String::new() };
    let mut told = format!("before: {BEFORE}");
    if !without.is_empty() {
        let first: Vec<String> = without.iter().take(TOLD_MAX).map(|name| format!("{name:?}")).collect();
        told.push_str(&format!(
            "; {}{} {} no shipped namesake and so no before: what is lost with that cannot be seen",
            first.join(", "),
            plan::more(without.len() as u64, first.len()),
            if without.len() == 1 { "has" } else { "have" }
        ));
    }
    output::wrapped("", &told)
}

fn told(plan: &Plan, obstacles: &[String], out: &str) -> String {
    let mut told = rows_told(plan) + &organizations_told(plan);
    told.push_str(&follow::told(plan));
    told.push_str(&gone_told(plan));
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
            output::table_within(&["role", "users", "becomes", "gives more", "gives less"], &lines)
        ));
    }
    let verdict = &plan.verdict;
    told.push_str(&format!("\n{}", before_told(plan)));
    told.push_str(&output::wrapped(
        "",
        &format!("{} users x permissions compared: {}", verdict.pairs, equivalence::sums(verdict)),
    ));
    for difference in verdict.named.iter().take(TOLD_MAX) {
        let accepted = if difference.accepted { " (accepted)" } else { "" };
        told.push_str(&output::wrapped(
            "  ",
            &format!(
                "{}{accepted}: gains {}; loses {}",
                difference.login,
                codes(&difference.gains),
                codes(&difference.losses)
            ),
        ));
    }
    let more = plan::more(verdict.users_differing, verdict.named.len().min(TOLD_MAX));
    if !more.is_empty() {
        told.push_str(&format!(" {more}: --differences FILE names every one\n"));
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
    if Path::new(path).is_dir() {
        return Err(Failure::new(format!(
            "{path} is a folder, and a plan is a file: name it, such as {path}/plan.json"
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "; charter adopt plan makes one",
            _ => "",
        };
        Failure::new(format!("{path} cannot be read: {error}{hint}"))
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(format!("{path} is not a plan: it is no text in UTF-8")))?;
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
