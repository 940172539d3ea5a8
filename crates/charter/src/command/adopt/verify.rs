//! `charter adopt verify`: the proof again, at any time, of what both systems say now. It writes nothing but a file that was asked for.

use super::super::Invocation;
use super::super::show;
use super::equivalence::{self, Equivalence, Proof};
use super::here::{self, Here};
use super::legacy::{self, Legacy, Looking};
use super::{plan, runs};
use crate::client::Client;
use crate::failure::{Failure, Outcome, Result};
use crate::{installation, output};
use charter_adopt::plan::{Ground, Plan, catalogue_sum};
use clap::{Arg, Command};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const PROOF: &str = "proof";

pub fn command() -> Command {
    Command::new("verify")
        .about("Prove again that before is after, with what both systems say now")
        .arg(legacy::from())
        .arg(legacy::map())
        .arg(plan::source())
        .arg(plan::accept())
        .arg(Arg::new(PROOF).long(PROOF).value_name("FILE").help("Where the proof goes"))
        .after_help(
            "The mapping is that of the last run of the source, unless --map names another. Exit code 1: somebody has more or less than in \
             the other system, and nobody accepted it.",
        )
}

/// The plan of the last run of a source that is applied.
async fn applied(client: &Client, source: &charter_kernel::Key) -> Result<(u64, Plan)> {
    let missing = || {
        Failure::new(format!(
            "no run of {source} is applied: charter adopt plan, then apply; or name another with --source"
        ))
    };
    let run = runs::newest(client, source, &["applied"]).await?.ok_or_else(missing)?;
    let number = runs::number(&run);
    Ok((number, runs::plan_of(client, number).await?))
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
    let address = legacy::address(&legacy::typed(matches))?;
    let client = Client::connect(configuration).await?;
    let outcome = proved(&client, &source, given, &address, plan::accepted(matches)).await;
    client.close().await?;
    let (number, plan, facts, catalogue, equivalence) = outcome?;
    let proof = Proof::new(number, &plan, &facts, &catalogue, &equivalence);
    if let Some(file) = matches.get_one::<String>(PROOF) {
        std::fs::write(file, proof.text())
            .map_err(|error| Failure::new(format!("{file} cannot be written: {error}")))?;
    }
    if invocation.is_json {
        show::raw(&json!({ "holds": equivalence.holds(), "proof": proof }));
    } else {
        let changed = if facts == plan.facts { "" } else { "the other system changed since the run\n" };
        output::print(&format!("{changed}{}", equivalence::told(&equivalence).trim_end()));
    }
    Ok(if equivalence.holds() { Outcome::Good } else { Outcome::Denied })
}

async fn proved(
    client: &Client,
    source: &charter_kernel::Key,
    given: Option<(charter_adopt::mapping::Mapping, String)>,
    address: &str,
    mut accepted: BTreeSet<String>,
) -> Result<(u64, Plan, String, String, Equivalence)> {
    let (number, mut plan) = applied(client, source).await?;
    accepted.append(&mut plan.accepted);
    plan.accepted = accepted;
    let (mapping, text) = match given {
        Some(given) => given,
        None => (legacy::parsed("the mapping of the run", &plan.mapping)?, plan.mapping.clone()),
    };
    let mut looking = Looking::open(address, Some(mapping.system), Some(&mapping)).await?;
    let heard = looking.hear(&mut |_, _| {}).await?;
    let found = Legacy {
        system: mapping.system,
        engine: looking.engine(),
        tables: looking.tables.clone(),
        mapping: Some(mapping),
        mapping_text: Some(text),
        heard,
        passwords: BTreeMap::new(),
    };
    drop(looking);
    let mut here = Here::empty(source);
    here.own = here::own(client).await?;
    here::links(client, source, &mut here.known).await?;
    let (catalogue, _) = here.catalogue(&found)?;
    let mapping = found.mapping.as_ref().ok_or_else(|| Failure::new("there is no mapping"))?;
    let ground = Ground::new(&found.heard.facts, mapping, catalogue)
        .map_err(|wrong| Failure::new(wrong.to_string()))?;
    let equivalence = equivalence::compare(client, &ground, &here.known, &plan.accepted, number).await?;
    Ok((number, plan, found.heard.fingerprint.clone(), catalogue_sum(&ground.catalogue), equivalence))
}
