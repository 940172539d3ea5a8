//! `charter adopt plan`: what would be created, who would gain or lose what, and what stands in the way. It writes a file, and nothing else.

use super::super::Invocation;
use super::super::show;
use super::follow::{self, Looked};
use super::here::{Coming, Here};
use super::legacy::{self, Legacy, Looking};
use super::plan_told::told;
use super::{accepting, drift, own_role, passwords, place, remembered, replaced, runs, stopped};
use crate::config::text::without_password;
use crate::failure::{Failure, Outcome, Result};
use crate::whole_file::{self, WholeFile};
use crate::{installation, output};
use charter_adopt::accepting::{ADDRESS, FEWER, MEMBER};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::mapping::{self, Mapping};
use charter_adopt::named::NAMED_MAX;
use charter_adopt::plan::{self, Ground, Plan};
use charter_adopt::proof::Beyond;
use charter_kernel::Key;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

const SOURCE: &str = "source";
const ACCEPT: &str = "accept";
const ACCEPT_FILE: &str = "accept_file";
const APPROVED_BY: &str = "approved_by";
const OUT: &str = "out";
const DIFFERENCES: &str = "differences";
const CHANGES: &str = "changes";
const FORCE: &str = "force";
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
        "Accept what becomes of a role, by its name there; or flag:superuser, flag:logins, flag:address, flag:fewer, flag:modules, account:LOGIN, anew:LOGIN, over-all:LOGIN, organization:KEY, \
         member:LOGIN, orphan, \
         missing_login, unfit_login, condition. What people took away here comes back with back:LOGIN, and stays away with away:LOGIN or flag:away; \
         new:LOGIN gives what is new there and gives some of it; handed-over:LOGIN says that a login is somebody else's by now; widened:KEY gives more to others who have a role. Modules that people removed: modules-back:KEY, modules-away:KEY. Can be given again",
    )
}

/// The same from a file.
pub fn accept_file() -> Arg {
    Arg::new(ACCEPT_FILE).long("accept-file").value_name("FILE").help(
        "Accept every name of this file, one a line, as --accept does; lines without anything and lines beginning with # say nothing",
    )
}

/// What was accepted.
pub fn accepted(matches: &ArgMatches) -> Result<BTreeSet<String>> {
    let mut accepted = names(matches, ACCEPT);
    let Some(path) = matches.get_one::<String>(ACCEPT_FILE) else { return Ok(accepted) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("--accept-file {path} cannot be read: {error}")))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let named = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    accepted.extend(named.map(str::to_owned));
    Ok(accepted)
}

pub fn command() -> Command {
    Command::new("plan")
        .about("Say what taking over the other system would create, and who would gain or lose what")
        .arg(legacy::from())
        .arg(legacy::map())
        .arg(legacy::system())
        .arg(source())
        .arg(accept())
        .arg(accept_file())
        .arg(
            Arg::new(APPROVED_BY)
                .long("approved-by")
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("Who approves it; a plan by which somebody gains rights wants two"),
        )
        .arg(Arg::new(OUT).long(OUT).value_name("FILE").default_value("plan.json").help("Where the plan goes"))
        .arg(
            Arg::new(FORCE)
                .long(FORCE)
                .action(ArgAction::SetTrue)
                .help("Write the plan over one that was accepted or approved, can be carried out still, and was not"),
        )
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
    place: String,
    accepted: BTreeSet<String>,
    approved_by: BTreeSet<String>,
}

/// What the installation says of a plan.
#[derive(Default)]
struct Seen {
    /// Accepted names of accounts and organizations that are this side's, or that an earlier plan knew.
    known: BTreeSet<String>,
    /// Accepted names of members that an earlier plan was accepted with.
    members: BTreeSet<String>,
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
    let known =
        accepting::known(client, &asked.source, &here.known, ground.strangers(&asked.accepted)).await?;
    let members = asked.accepted.iter().map(String::as_str).filter(|name| name.starts_with(MEMBER)).collect();
    let members = accepting::earlier(client, &asked.source, &members).await?;
    Ok(Seen { beyond: here.beyond(&ground).await?, gone_roles, known, members, ..Seen::default() })
}

/// Those of accounts that are of other users of the source, who are gone there, or of none.
fn logins(accounts: &[Coming], is_linked: bool) -> Vec<String> {
    accounts.iter().filter(|it| it.is_linked == is_linked).map(|it| it.login.clone()).collect()
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
    let Seen { mut known, mut members, beyond, gone_roles, looked, passwords } = seen;
    members.extend(looked.members);
    let no_mapping = || Failure::new("there is no mapping");
    known.extend(members.iter().cloned());
    let mapping: &Mapping = found.mapping.as_ref().ok_or_else(no_mapping)?;
    let facts = &found.heard.facts;
    let (catalogue, _) = here.catalogue(found)?;
    let mut ground =
        Ground::new(facts, mapping, catalogue).map_err(|wrong| Failure::new(wrong.to_string()))?;
    ground.away = looked.decided.away;
    known.extend(remembered::names(&ground, &here.known, &here.remembered));
    let over_all = match looked.over_all {
        Some(over_all) => over_all,
        None => drift::over_all(&ground, &here.known, None, &asked.accepted),
    };
    let mut file = match differences {
        None => None,
        Some(path) => {
            let file = WholeFile::create(path)
                .map_err(|error| Failure::new(format!("{} cannot be written: {error}", path.display())))?;
            Some(file)
        }
    };
    let mut broken = None;
    let verdict = ground.verdict(&asked.accepted, &beyond, &mut |difference| {
        if let Some(file) = &mut file {
            let line = serde_json::to_string(difference).unwrap_or_default();
            broken = broken.take().or_else(|| writeln!(file, "{line}").err());
        }
    });
    let ended = match broken {
        Some(error) => Err(error),
        None => file.map_or(Ok(()), WholeFile::finish),
    };
    if let Err(error) = ended {
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
        place: Some(asked.place),
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
        anomaly_rows: plan::rows_of(&found.heard.anomalies),
        nameless: found.heard.anomalies.losing(AnomalyKind::MissingLogin),
        lifted: ground.lifted(&found.heard.anomalies),
        without_password: found.without_password(),
        new_users: looked.new_users,
        unseen: ground.unseen(),
        over_all,
        opened: ground.modules.opened().clone(),
        unmapped: ground.intent.unmapped.clone(),
        faults: [
            ground.faults(&found.heard.anomalies, &gone_roles),
            ground.misnamed(&asked.accepted, &gone_roles, &known),
            ground.no_strangers(&asked.accepted, &members),
            looked.stopping,
            stopped::here(&ground, &here.accounts).into_iter().collect(),
            remembered::stopping(&ground, &here.known, &here.remembered, &asked.accepted, &asked.approved_by),
            stopped::organizations(&ground, &here.known).into_iter().collect(),
        ]
        .concat(),
        gone_roles,
        roles: ground.roles(),
        without_before: ground.without_before(),
        new_organizations,
        new_organizations_count,
        existing_organizations: here.organizations.clone(),
        existing_accounts: logins(&here.accounts, false),
        anew_accounts: logins(&here.accounts, true),
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
    invocation: &Invocation<'_>,
) -> Result<(Plan, Option<u64>)> {
    let (matches, share) = (invocation.matches, invocation.loaded.configuration.read_share);
    let differences = matches.get_one::<String>(DIFFERENCES).map(Path::new);
    let changes = matches.get_one::<String>(CHANGES);
    let mut seen = seen(found, here, &asked).await?;
    let (mut looked, mut is_more) = drift::look(found, here, &asked.accepted).await?;
    if let Some(client) = here.client.as_ref().filter(|_| !here.known.standing.is_empty()) {
        let address = legacy::address(&legacy::typed(matches))?;
        let looking = Looking::open(&address, share, Some(found.system), found.mapping.as_ref()).await?;
        seen.passwords = passwords::changed(client, &asked.source, looking).await?;
        let moved = place::moved(client, &asked.source, &asked.from, &asked.place).await?;
        // The run after notes where it is by now.
        is_more |= seen.passwords > 0 || moved.is_some();
        looked.stopping.extend(moved.filter(|_| !asked.accepted.contains(ADDRESS)));
        let fewer = place::fewer(&found.heard.facts, &here.known, &looked.changes);
        looked.stopping.extend(fewer.filter(|_| !asked.accepted.contains(FEWER)));
    }
    // Whoever is here already has the rows of their account.
    here.claim(found).await?;
    if let Some(path) = changes {
        follow::write_down(path, &looked.named)?;
    }
    seen.looked = looked;
    let mut plan = made(asked, found, here, text, seen, differences)?;
    let mut unchanged = None;
    if let Some(client) = &here.client {
        unchanged = follow::follows(client, &mut plan, is_more).await?;
        plan.hash = plan.sum();
        if let Some(fault) = runs::in_the_way(client, &plan).await? {
            // What stands is half of that run: nothing else that was found there can be relied on.
            plan.faults = vec![fault];
        }
    }
    plan.hash = plan.sum();
    Ok((plan, unchanged))
}

/// Makes a plan and writes it.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let matches = invocation.matches;
    let asked = Asked {
        source: source_of(matches)?,
        from: kept(&legacy::typed(matches)),
        place: place::of(&legacy::typed(matches))?,
        accepted: accepted(matches)?,
        approved_by: names(matches, APPROVED_BY),
    };
    let mut found = legacy::read(invocation).await?;
    let text = settled(&mut found)?;
    let mut here = Here::look(&invocation.loaded.configuration, &asked.source, &found).await?;
    let made = match own_role::settle(&here, &mut found).await {
        Ok(()) => followed(asked, &found, &mut here, text, invocation).await,
        Err(failure) => Err(failure),
    };
    let out = matches.get_one::<String>(OUT).map_or("plan.json", String::as_str);
    let kept = match &made {
        Ok((plan, _)) if !matches.get_flag(FORCE) => replaced::look(out, plan, here.client.as_ref()).await,
        _ => Ok(()),
    };
    here.close().await?;
    let (plan, unchanged) = made?;
    kept?;
    let json = serde_json::to_string_pretty(&plan).unwrap_or_default();
    whole_file::write(out, &(json + "\n"))
        .map_err(|error| Failure::new(format!("{out} cannot be written: {error}")))?;
    let obstacles = plan.obstacles();
    if invocation.is_json {
        show::raw(
            &serde_json::json!({ "plan": plan, "file": out, "obstacles": obstacles, "unchanged_since": unchanged }),
        );
    } else if let Some(run) = unchanged.filter(|_| obstacles.is_empty()) {
        output::print(&format!("nothing changed since run {run}: there is nothing to apply\n"));
    } else {
        output::print(&told(&plan, &obstacles, out));
    }
    Ok(if obstacles.is_empty() { Outcome::Good } else { Outcome::Denied })
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
