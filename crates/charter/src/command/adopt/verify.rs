//! `charter adopt verify`: the proof again, at any time, of what both systems say now. It writes nothing but a file that was asked for.

use super::super::Invocation;
use super::super::show;
use super::checksum::sum;
use super::equivalence::{self, Accepted, Equivalence, UnknownMember};
use super::here::{self, Here};
use super::legacy::{self, Legacy, Looking};
use super::proof::{self, ByVerify, Proof, Sums};
use super::{accepting, own_role, plan, ready, runs, tables, taken};
use crate::client::Client;
use crate::config::text::without_password;
use crate::failure::{Failure, Outcome, Result};
use crate::{installation, output};
use charter_adopt::accepting::MEMBER;
use charter_adopt::plan::{self as planned, Ground, Plan, catalogue_sum};
use charter_adopt::proof::OVER_ALL;
use clap::{Arg, Command};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PROOF: &str = "proof";

pub fn command() -> Command {
    Command::new("verify")
        .about("Prove again that before is after, with what both systems say now")
        .arg(legacy::from())
        .arg(legacy::map())
        .arg(plan::source())
        .arg(plan::accept())
        .arg(plan::accept_file())
        .arg(Arg::new(PROOF).long(PROOF).value_name("FILE").help("Where the proof goes"))
        .after_help(
            "The mapping is that of the last run of the source, unless --map names another. Exit code 1: somebody has more or less than in \
             the other system, and nobody accepted it.",
        )
}

/// The plan of the last run of a source that is applied.
async fn applied(client: &Client, source: &charter_kernel::Key) -> Result<(Value, Plan)> {
    let missing = || {
        Failure::new(format!(
            "no run of {source} is applied: charter adopt plan, then apply; or name another with --source"
        ))
    };
    let run = runs::newest(client, source, &["applied"]).await?.ok_or_else(missing)?;
    let plan = runs::plan_of(client, runs::number(&run)).await?;
    Ok((run, plan))
}

/// Proves.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let matches = invocation.matches;
    let source = plan::source_of(matches)?;
    let configuration = &invocation.loaded.configuration;
    if !installation::is_there(configuration).await {
        return Err(Failure::new("there is no installation here: nothing was taken over yet"));
    }
    let given = legacy::mapping_of(matches)?;
    let accepted = plan::accepted(matches)?;
    let address = legacy::address(&legacy::typed(matches))?;
    let started_at = installation::now().to_string();
    let client = Client::connect(configuration).await?;
    let outcome = proved(invocation, &client, &source, given, &address, accepted).await;
    let outcome = match outcome {
        Err(failure) => Err(failure),
        Ok(proved) => handed_out(invocation, &client, &proved, &without_password(&address), &started_at)
            .await
            .map(|proof| (proved, proof)),
    };
    client.close().await?;
    let (proved, proof) = outcome?;
    let equivalence = &proved.equivalence;
    if invocation.is_json {
        show::raw(&json!({ "holds": equivalence.holds(), "proof": proof }));
    } else {
        let changed =
            if proved.facts == proved.plan_facts { "" } else { "the other system changed since the run\n" };
        output::print(&format!("{changed}{}", equivalence::told(equivalence).trim_end()));
    }
    Ok(if equivalence.holds() { Outcome::Good } else { Outcome::Denied })
}

/// What was proved, and with what.
struct Proved {
    run: Value,
    plan: Plan,
    /// What no plan says.
    by_verify: ByVerify,
    /// What the other system's rows came to when the plan was made, and come to now.
    plan_facts: String,
    facts: String,
    catalogue: String,
    server_version: Option<String>,
    tables: Sums,
    equivalence: Equivalence,
}

/// Writes the proof where it was asked for, signed.
async fn handed_out(
    invocation: &Invocation<'_>,
    client: &Client,
    proved: &Proved,
    address: &str,
    started_at: &str,
) -> Result<Value> {
    let ground = proof::Ground {
        configuration: &invocation.loaded.configuration,
        run: &proved.run,
        plan: &proved.plan,
        verified: Some(&proved.by_verify),
        facts: &proved.facts,
        catalogue: &proved.catalogue,
        address,
        server_version: proved.server_version.as_deref(),
        tables_after: &proved.tables,
        started_at,
    };
    let proof = Proof::new(&ground, &proved.equivalence);
    if let Some(file) = invocation.matches.get_one::<String>(PROOF) {
        tables::of_the_service(&invocation.loaded.configuration, client).await?;
        let text = proof.text();
        let signature = proof::sign(client, runs::number(&proved.run), &text).await?;
        proof::hand_out(file, &text, &signature)?;
    }
    serde_json::to_value(&proof).map_err(|flaw| Failure::new(format!("the proof cannot be written: {flaw}")))
}

/// What was typed as accepted, and is nothing that could be.
async fn mistyped(
    client: &Client,
    source: &charter_kernel::Key,
    here: &Here,
    ground: &Ground<'_>,
    typed: &BTreeSet<String>,
    equivalence: &Equivalence,
) -> Result<Option<String>> {
    let mut names = accepting::known(client, source, &here.known, ground.strangers(typed)).await?;
    let named = typed.iter().map(String::as_str).filter(|name| name.starts_with(MEMBER)).collect();
    let mut members = accepting::earlier(client, source, &named).await?;
    members.extend(equivalence.members.iter().map(UnknownMember::name));
    names.extend(members.iter().cloned());
    let gone = runs::known_roles(client, source, ground.missing_roles(typed)).await?;
    let wrong = ground.misnamed(typed, &gone, &names).into_iter().chain(ground.no_strangers(typed, &members));
    // Where there are more than are named, one of the others may be meant.
    let is_cut = equivalence.unknown_members > equivalence.members.len() as u64;
    let idle = Ground::without_rights(typed, &members).filter(|_| !is_cut);
    Ok(wrong.chain(idle).next())
}

async fn proved(
    invocation: &Invocation<'_>,
    client: &Client,
    source: &charter_kernel::Key,
    given: Option<(charter_adopt::mapping::Mapping, String)>,
    address: &str,
    mut accepted: BTreeSet<String>,
) -> Result<Proved> {
    let (run, mut plan) = applied(client, source).await?;
    // Whatever an account has that is accepted here by its name.
    for login in accepted.iter().filter_map(|name| name.strip_prefix("account:")) {
        plan.beyond.insert(login.to_owned(), BTreeSet::from([OVER_ALL.to_owned()]));
    }
    let typed = accepted.clone();
    let mut by_verify =
        ByVerify { accepted: accepted.difference(&plan.accepted).cloned().collect(), mapping_of_run: None };
    accepted.append(&mut plan.accepted);
    plan.accepted = accepted;
    let mut mapping = match given {
        Some((mapping, text)) => {
            by_verify.mapping_of_run = (text != plan.mapping).then(|| sum(plan.mapping.as_bytes()));
            plan.mapping = text;
            mapping
        }
        None => legacy::parsed("the mapping of the run", &plan.mapping)?,
    };
    mapping.superuser_role = own_role::of_plan(&plan);
    let share = invocation.loaded.configuration.read_share;
    let look = async || {
        let mut looking = Looking::open(address, share, Some(mapping.system), Some(&mapping)).await?;
        let (heard, passwords) = legacy::heard(&mut looking, Some(&mapping)).await?;
        Ok((looking, heard, passwords))
    };
    let (mut looking, heard, passwords) = legacy::patiently(look).await?;
    let tables = ready::sums(&mut looking).await?;
    let server_version = ready::server_version(&mut looking).await;
    let found = Legacy {
        system: mapping.system,
        engine: looking.engine(),
        tables: looking.tables.clone(),
        mapping: Some(mapping),
        mapping_text: Some(plan.mapping.clone()),
        heard,
        passwords,
    };
    drop(looking);
    let mut here = Here::empty(source);
    here.own = here::own(client).await?;
    here::links(client, source, &mut here.known).await?;
    let (catalogue, _) = here.catalogue(&found)?;
    let mapping = found.mapping.as_ref().ok_or_else(|| Failure::new("there is no mapping"))?;
    let mut ground = Ground::new(&found.heard.facts, mapping, catalogue)
        .map_err(|wrong| Failure::new(wrong.to_string()))?;
    ground.away = taken::of_newest(client, &ground, &here, &plan.accepted).await?;
    let accepted = Accepted { names: &plan.accepted, beyond: &plan.beyond };
    let mut equivalence =
        equivalence::compare(client, source, &ground, &here.known, accepted, runs::number(&run)).await?;
    if let Some(wrong) = mistyped(client, source, &here, &ground, &typed, &equivalence).await? {
        return Err(Failure::new(wrong));
    }
    equivalence.unclear = ground.unclear(&found.heard.anomalies);
    plan.anomalies = planned::counted(&found.heard.anomalies);
    plan.anomaly_rows = planned::rows_of(&found.heard.anomalies);
    plan.roles = ground.roles();
    plan.without_before = ground.without_before();
    Ok(Proved {
        run,
        plan_facts: plan.facts.clone(),
        plan,
        by_verify,
        facts: found.heard.fingerprint.clone(),
        catalogue: catalogue_sum(&ground.catalogue),
        server_version,
        tables,
        equivalence,
    })
}
