//! `charter adopt apply`: carries a plan out, in four stages. A stage that fails takes the whole run back; a run that was broken off goes on
//! where it was.

use super::super::Invocation;
use super::super::show;
use super::desk::{Desk, Holder};
use super::here::{self, Here};
use super::interrupt::{self, Stop};
use super::legacy::{self, Legacy, Looking};
use super::passwords::Kept;
use super::proof;
use super::ready::{self, Ready};
use super::record::{self, Record};
use super::stages::{Failed, Proved, Stages, Work};
use super::telling::{Telling, compared};
use super::{drift, follow, own_role, place, plan, remembered, runs, tables};
use crate::client::Client;
use crate::config::Configuration;
use crate::config::text::without_password;
use crate::failure::{Failure, Outcome, Result};
use crate::{installation, output};
use charter_adopt::accepting::{ANEW, UNFIT_LOGIN};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::change::Changes;
use charter_adopt::over_all::Reaching;
use charter_adopt::plan::{self as planned, Ground, Plan, catalogue_sum};
use charter_adopt::source::Heard;
use charter_adopt::taken::{BACK, Found};
use clap::parser::ValueSource;
use clap::{Arg, Command};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const PLAN: &str = "plan";
const FROM: &str = "from";
const PROOF: &str = "proof";
/// What is told of a plan that is carried out by nobody.
const OTHERWISE: &str = "the plan does not say what it comes to";
/// Settings that say where the installation is.
const PLACES: [&str; 5] = ["config", "data", "database", "database_schema", "url"];

pub fn command() -> Command {
    Command::new("apply")
        .about("Carry a plan out: additive rows only, in four stages, each taken back when it fails")
        .arg(Arg::new(PLAN).long(PLAN).value_name("FILE").default_value("plan.json").help("The plan"))
        .arg(
            Arg::new(FROM)
                .long(FROM)
                .value_name("ADDRESS")
                .help("The other system's database, where the plan does not have all of its address (a plan never has a password); it is the plan's but for that"),
        )
        .args(ready::arguments())
        .arg(Arg::new(PROOF).long(PROOF).value_name("FILE").help("Where the proof goes besides the data folder"))
        .after_help(
            "The other system's tables are read and never written. The same plan applied again goes on where it was broken off, or changes \
             nothing. Exit code 1: a stage failed, and the run was taken back.",
        )
}

/// The address of the other system: what was typed, or what the plan has.
fn address(invocation: &Invocation<'_>, plan: &Plan) -> Result<String> {
    let typed = invocation.matches.get_one::<String>(FROM);
    if typed.is_none() && plan.from.contains("***") {
        return Err(Failure::new(
            "a plan has no password: give the whole address with --from, as @file so that it is in no list of processes",
        ));
    }
    let from = typed.unwrap_or(&plan.from);
    place::is_of_plan(from, plan)?;
    legacy::address(from)
}

/// Carries a plan out.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let path = invocation.matches.get_one::<String>(PLAN).map_or("plan.json", String::as_str);
    let plan = plan::read(path)?;
    let obstacles = plan.obstacles();
    if !obstacles.is_empty() {
        let told: Vec<String> =
            obstacles.iter().map(|it| format!("\n{}", output::wrapped("  - ", it).trim_end())).collect();
        return Err(Failure::new(format!("{path} cannot be carried out:{}", told.concat())));
    }
    let telling = Telling::new(invocation);
    let mut stop = Stop::listen()?;
    match stop.unless(begun(invocation, &plan, &telling)).await {
        Err(code) => Ok(interrupt::told(code, telling.stopped(&again(invocation)))),
        Ok(begun) => {
            let Begun { address, found, ready, passwords, mut here, holder } = begun?;
            let work = Work {
                configuration: &invocation.loaded.configuration,
                plan: &plan,
                found: &found,
                telling: &telling,
                ready: &ready,
                address: &address,
                started_at: &ready.started_at,
            };
            let done = stop.unless(carry_out(&mut here, &work, passwords, &holder)).await;
            let closed = here.close().await;
            match done {
                Err(code) => Ok(interrupt::told(code, telling.stopped(&again(invocation)))),
                Ok(done) => {
                    let (number, carried) = done?;
                    let outcome = ended(invocation, &work, number, carried).await?;
                    match (outcome, closed) {
                        (Outcome::Good, closed) => closed.map(|()| outcome),
                        // What failed was told; this is what came of it.
                        (_, closed) => {
                            closed.inspect_err(|failure| telling.line(&failure.to_string())).ok();
                            Ok(outcome)
                        }
                    }
                }
            }
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "@%+=:,./-_".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The command that goes on, with what was typed and without a password.
fn again(invocation: &Invocation<'_>) -> String {
    let mut command = "charter adopt apply".to_owned();
    let matches = invocation.matches;
    let is_typed = |name: &str| {
        matches.try_contains_id(name).is_ok_and(|is_there| is_there)
            && matches.value_source(name) == Some(ValueSource::CommandLine)
    };
    let typed = [PLAN, FROM].into_iter().chain(ready::NAMES).chain([PROOF]).chain(PLACES);
    for name in typed.filter(|name| *name == PLAN || is_typed(name)) {
        let Some(value) = matches.get_one::<String>(name) else { continue };
        let plain = if value.starts_with('@') { value.clone() } else { without_password(value) };
        // One that was typed with its password is given from a file.
        let value = if plain == *value { quoted(value) } else { "@FILE".to_owned() };
        command.push_str(&format!(" --{} {value}", name.replace('_', "-")));
    }
    command
}

/// What stands once the first stage is done.
struct Begun {
    address: String,
    found: Legacy,
    ready: Ready,
    passwords: Kept,
    here: Here,
    holder: Holder,
}

/// The first stage, and the installation.
async fn begun(invocation: &Invocation<'_>, plan: &Plan, telling: &Telling) -> Result<Begun> {
    let configuration = &invocation.loaded.configuration;
    if let Some(file) = invocation.matches.get_one::<String>(PROOF) {
        proof::can_be_handed_out(file)?;
    }
    Holder::nobody(&configuration.data)?;
    let mut mapping = legacy::parsed("the mapping of the plan", &plan.mapping)?;
    mapping.superuser_role = own_role::of_plan(plan);
    let address = address(invocation, plan)?;
    let look = async || {
        let mut looking =
            Looking::open(&address, configuration.read_share, Some(plan.system), Some(&mapping)).await?;
        let heard = looking.hear(&mut |_, _| {}).await?;
        Ok((looking, heard))
    };
    let (mut looking, heard) = legacy::patiently(look).await?;
    if heard.fingerprint != plan.facts {
        return Err(other_rows(configuration, plan, &heard.fingerprint).await?);
    }
    nothing_stops(&heard)?;
    if ready::through(configuration).is_none() {
        tables::fit(configuration, &address, &looking.read).await?;
    }
    let mut ready = ready::look(invocation.matches, configuration, plan, &mut looking, &heard).await?;
    if !installation::is_there(configuration).await {
        let data = configuration.data.display();
        ready
            .lines
            .push(format!("there is no installation yet: a new one is made, with its data folder in {data}"));
    }
    let found = Legacy {
        system: plan.system,
        engine: looking.engine(),
        tables: looking.tables.clone(),
        mapping: Some(mapping),
        mapping_text: Some(plan.mapping.clone()),
        heard,
        passwords: BTreeMap::new(),
    };
    let passwords = Kept::read(looking, &configuration.data).await?;
    // Whoever has the installation to itself has this place, too, so that others need not wait to be told.
    let holder = Holder::take(&configuration.data)?;
    let here = Here::open(configuration, &plan.source, &found).await?;
    if let Some(client) = &here.client
        && let Err(other) = tables::of_the_service(configuration, client).await
    {
        here.close().await?;
        return Err(other);
    }
    telling.stage(1, "before", &ready.lines);
    Ok(Begun { address, found, ready, passwords, here, holder })
}

/// Rows that decide nothing by themselves, and so are no part of the fingerprint, may stop a plan since it was made.
fn nothing_stops(heard: &Heard) -> Result<()> {
    let stopping = heard.anomalies.iter().filter(|(kind, ..)| kind.stops());
    let stopping: Vec<String> = stopping.map(|(kind, count, _)| kind.counted(count)).collect();
    if stopping.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the other system has rows by now that stop a plan, and had none when this one was made: {}. Mend them there, or say it in the mapping, and \
         make the plan again",
        stopping.join("; ")
    )))
}

/// The other system changed since the plan was made: what that means for its run, if there is one.
async fn other_rows(configuration: &Configuration, plan: &Plan, now: &str) -> Result<Failure> {
    let short = |sum: &str| sum.get(..12).unwrap_or_default().to_owned();
    let begun = match installation::is_there(configuration).await {
        true => {
            let client = Client::connect(configuration).await?;
            let begun = runs::newest(&client, &plan.source, &runs::UNDER_WAY).await;
            client.close().await?;
            begun?.filter(|run| here::text(run, "plan_hash") == plan.hash)
        }
        false => None,
    };
    let what = match begun {
        None => "Make the plan again; nothing was written".to_owned(),
        Some(run) => format!(
            "{} of this plan {}, and cannot go on: what it wrote stands, and the accounts it brought can do nothing before its proof. Take it \
             back, {}, and make the plan again",
            runs::named(&run),
            runs::under_way(&run),
            runs::rollback(&run)
        ),
    };
    Ok(Failure::new(format!(
        "the other system has other rows than those the plan was made from ({} there, {} in the plan): they changed since, or it is another \
         database. {what}",
        short(now),
        short(&plan.facts)
    )))
}

/// Tells how a run ended.
async fn ended(invocation: &Invocation<'_>, work: &Work<'_>, number: u64, carried: Carried) -> Result {
    let telling = work.telling;
    match carried {
        Ok(Proved { equivalence, text, signature }) => {
            if let Some(file) = invocation.matches.get_one::<String>(PROOF) {
                proof::hand_out(file, &text, &signature).map_err(|failure| {
                    let kept = record::folder(&work.configuration.data);
                    Failure::new(format!(
                        "run {number} is applied, and its proof lies in {}: {failure}",
                        kept.display()
                    ))
                })?;
            }
            if invocation.is_json {
                show::raw(&json!({ "run": number, "state": "applied", "equivalence": equivalence }));
            }
            telling
                .line(&format!("run {number} is applied: charter adopt verify proves it again at any time"));
            Ok(Outcome::Good)
        }
        Err(None) => {
            if invocation.is_json {
                show::raw(&json!({ "run": number, "state": "applied", "changed": false }));
            }
            telling.line(&format!("run {number} of this plan is applied already: nothing changed"));
            Ok(Outcome::Good)
        }
        Err(Some(failed)) => {
            let lines = match other_system(work).await {
                Ok(lines) => lines,
                Err(failure) => vec![format!("the other system's tables could not be compared: {failure}")],
            };
            for line in &lines {
                telling.line(line);
            }
            let Failed { stage, why, stuck, .. } = failed;
            let state = if stuck.is_some() { "undoing" } else { "undone" };
            let rollback = runs::rollback(&json!({ "source": work.plan.source }));
            let stuck = stuck.map(|failure| {
                format!(
                    "\n  and the run could not be taken back: {failure}\n  charter adopt status says how it stands; where it is not applied, {rollback} goes on \
                     with that"
                )
            });
            let error = format!("{why}{}", stuck.unwrap_or_default());
            if invocation.is_json {
                show::raw(
                    &json!({ "run": number, "state": state, "stage": stage, "error": error, "other_system": lines }),
                );
            } else {
                output::complain(&format!("charter: the stage {stage} failed: {error}"));
            }
            Ok(Outcome::Denied)
        }
    }
}

/// Whether the other system's tables are as they were before the run.
async fn other_system(work: &Work<'_>) -> Result<Vec<String>> {
    let share = work.configuration.read_share;
    let mapping = work.found.mapping.as_ref();
    let now = ready::summed(work.address, share, Some(work.plan.system), mapping).await?;
    Ok(compared(&work.ready.sums, &now))
}

/// Refuses a plan that says something else than what it comes to.
fn as_planned(
    plan: &Plan,
    ground: &Ground<'_>,
    found: &Legacy,
    here: &Here,
    changes: Option<&Changes>,
) -> Result<()> {
    let unfit = |anomalies: &BTreeMap<String, u64>| anomalies.get(UNFIT_LOGIN).copied();
    // Of a run that is applied everything stands, and nothing of it is given.
    let is_over_all_known = changes.is_none_or(|changes| {
        let none = Found::default();
        let later = plan.follows.map(|_| (changes, &none));
        let found = drift::over_all(ground, &here.known, later, &plan.accepted);
        let is_back = |it: &Reaching| plan.accepted.contains(&format!("{BACK}{}", it.login));
        let named: BTreeSet<&str> = plan.over_all.named.iter().map(|it| it.login.as_str()).collect();
        let is_cut = plan.over_all.users > named.len() as u64;
        let is_named = |it: &Reaching| is_cut || named.contains(it.login.as_str());
        found.named.iter().all(|it| is_back(it) || (it.accepted && is_named(it)))
    });
    let (new, _) = ground.new_organizations(&here.known, &[]);
    let key = |legacy_id: &str| plan.new_organizations.iter().find(|it| it.legacy_id == legacy_id);
    if let Some(other) = new.iter().find(|it| key(&it.legacy_id).is_some_and(|planned| planned.key != it.key))
    {
        return Err(Failure::new(format!(
            "the organization {} would get the key {} by now, and another in the plan: make the plan again",
            other.name, other.key
        )));
    }
    let faults = ground.faults(&found.heard.anomalies, &plan.gone_roles);
    if let Some(first) = faults.first() {
        return Err(Failure::new(format!("{OTHERWISE}: {first}. Make it again")));
    }
    // These rows are no part of the fingerprint.
    let is_as_odd = ground.lifted(&found.heard.anomalies) == plan.lifted
        && found.heard.anomalies.losing(AnomalyKind::MissingLogin) == plan.nameless
        && unfit(&planned::counted(&found.heard.anomalies)) == unfit(&plan.anomalies);
    if !is_as_odd {
        return Err(Failure::new(format!(
            "{OTHERWISE}: other rows of the other system are not as they should be than it has. charter adopt inspect names them; make it again"
        )));
    }
    let is_same = ground.verdict(&plan.accepted, &plan.beyond, &mut |_| {}) == plan.verdict
        && ground.without_before() == plan.without_before
        && ground.intent.unmapped == plan.unmapped
        && ground.roles() == plan.roles
        && is_over_all_known
        && ground.unseen() == plan.unseen;
    if is_same {
        return Ok(());
    }
    Err(Failure::new(format!("{OTHERWISE}: make it again")))
}

type Carried = std::result::Result<Proved, Option<Failed>>;

async fn carry_out(
    here: &mut Here,
    work: &Work<'_>,
    passwords: Kept,
    holder: &Holder,
) -> Result<(u64, Carried)> {
    let Work { configuration, plan, found, telling, .. } = *work;
    // What stands of a run that is being taken back says nothing of what anybody would have to mend.
    if let Some(client) = &here.client
        && let Some(why) = runs::in_the_way(client, plan).await?
    {
        return Err(Failure::new(why));
    }
    let accounts = here.accounts.iter().map(|it| {
        let word = if it.is_linked { ANEW } else { "account:" };
        (format!("{word}{}", it.login), format!("account {}", it.login))
    });
    let organizations =
        here.organizations.iter().map(|key| (format!("organization:{key}"), format!("organization {key}")));
    if let Some((_, first)) = accounts.chain(organizations).find(|(name, _)| !plan.accepted.contains(name)) {
        return Err(Failure::new(format!(
            "{first} came to be here since the plan was made, and nobody accepted it: make the plan again"
        )));
    }
    here.claim(found).await?;
    let (catalogue, own) = here.catalogue(found)?;
    if catalogue_sum(&catalogue) != plan.catalogue {
        return Err(Failure::new(
            "the catalogue is another one than when the plan was made: make the plan again",
        ));
    }
    let mapping = found.mapping.as_ref().ok_or_else(|| Failure::new("the plan has no mapping"))?;
    let mut ground = Ground::new(&found.heard.facts, mapping, catalogue)
        .map_err(|wrong| Failure::new(wrong.to_string()))?;
    let missing = || Failure::new("there is no installation");
    let client = here.client.as_ref().ok_or_else(missing)?;
    let (changes, away, is_applied) = follow::as_planned(client, &ground, here, plan).await?;
    ground.away = away;
    as_planned(plan, &ground, found, here, (!is_applied).then_some(&changes))?;
    let asked =
        remembered::stopping(&ground, &here.known, &here.remembered, &plan.accepted, &plan.approved_by);
    if let Some(asked) = asked.first() {
        return Err(Failure::new(format!("{asked}: make the plan again")));
    }
    for (login, codes) in here.beyond(&ground).await? {
        if !charter_adopt::proof::is_among(&codes, plan.beyond.get(&login)) {
            return Err(Failure::new(format!(
                "account {login} may do more of the installation itself than when the plan was made: make the plan again"
            )));
        }
    }
    let stages = Stages { ground: &ground, here, own: &own, changes: &changes, work };
    let client = stages.client()?;
    let desk = Desk::begin(client, holder, plan).await?;
    telling.reaches(desk.run, "before");
    if desk.state() == "applied" {
        return Ok((desk.run, Err(None)));
    }
    if desk.found.get("resumed") == Some(&Value::Bool(true)) {
        telling.line(&format!("run {} goes on", desk.run));
    }
    let mut outcome = stages.carry_out(&desk, passwords).await;
    if let Err(failed) = &mut outcome {
        failed.stuck = stages.back(&desk, failed).await.err();
    }
    let state = match &outcome {
        Ok(_) => "applied",
        Err(Failed { stuck: None, .. }) => "undone",
        Err(_) => "undoing",
    };
    if let Ok(Some(record)) = Record::of(&configuration.data, u32::try_from(desk.run).unwrap_or(u32::MAX))
        && record.plan_hash == plan.hash
    {
        let written = Record { state: state.to_owned(), ..record }.write(&configuration.data);
        if let Err(why) = written {
            telling.line(&format!(
                "the record of the run in {} does not say that it is {state}: {why}",
                configuration.data.display()
            ));
        }
    }
    Ok((desk.run, outcome.map_err(Some)))
}
