//! What people took away by hand of what runs gave: asked for, decided by what was accepted, told, and sent with the run that keeps it away.

use super::desk::{Desk, send};
use super::here::{Here, id, text};
use crate::client::{Call, Client};
use crate::failure::{Failure, Result};
use crate::output;
use charter_adopt::away::{self, Away, Kept, What};
use charter_adopt::change::Changes;
use charter_adopt::named::Named;
use charter_adopt::plan::{Ground, Plan, more};
use charter_adopt::removals::{KeptAway, Removals};
use charter_adopt::taken::{self, Becomes, Decided, Found, TakenAway, UNNOTED};
use charter_kernel::{Key, OrganizationId, PrincipalId, counted};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one page, and of one call.
const PAGE: &str = "50000";
const ROWS: usize = 5_000;
/// Rights that are told by name; the file of the plan has more.
const TOLD_MAX: usize = 10;
/// Logins that are told of one kind.
const LOGINS_MAX: usize = 5;

fn kept_row(row: &Value) -> Option<Kept> {
    let (organization, principal) = (id(row, "organization")?, id(row, "principal")?);
    let what = What::from_words(text(row, "kind"), text(row, "key"))?;
    Some((OrganizationId(organization), PrincipalId(principal), what))
}

fn gives(row: &Value) -> Vec<String> {
    let gives = row.get("gives").and_then(Value::as_array).into_iter().flatten();
    gives.filter_map(|pattern| Some(pattern.as_str()?.to_owned())).collect()
}

fn module_row(row: &Value) -> Option<(OrganizationId, String)> {
    Some((OrganizationId(id(row, "organization")?), text(row, "module").to_owned()))
}

/// What the newest run of a source keeps away, and whether removals were noted since; and modules that people removed.
pub async fn kept(client: &Client, source: &Key) -> Result<KeptAway> {
    let mut away = KeptAway::default();
    let mut last: Option<Value> = None;
    loop {
        let mut call = Call::new("GET", "/api/v1/adoption/kept-away").ask("source", source.as_str());
        if let Some(last) = &last {
            for word in ["organization", "principal", "kind", "key"] {
                call = call.ask(word, text(last, word));
            }
        }
        let page = send(client, &call.ask("limit", PAGE)).await?.json()?;
        let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let unknown = || Failure::new("the service told of what is kept away in words unknown here");
        for row in &items {
            away.kept.insert(kept_row(row).ok_or_else(unknown)?, gives(row));
        }
        for row in page.get("modules").and_then(Value::as_array).into_iter().flatten() {
            away.modules.push(module_row(row).ok_or_else(unknown)?);
        }
        last = items.into_iter().next_back();
        if page.get("more") != Some(&Value::Bool(true)) || last.is_none() {
            away.is_unnoted = page.get("noted") == Some(&Value::Bool(false));
            away.on = on(client, &away.modules).await?;
            return Ok(away);
        }
    }
}

/// The modules that are on now where people removed modules, whatever says so.
async fn on(
    client: &Client,
    removed: &[(OrganizationId, String)],
) -> Result<BTreeMap<OrganizationId, BTreeSet<String>>> {
    let organizations: BTreeSet<OrganizationId> =
        removed.iter().map(|(organization, _)| *organization).collect();
    let mut all = BTreeMap::new();
    for organization in organizations {
        let call = Call::new("GET", "/api/v1/adoption/answers").ask("organization", organization.to_string());
        let page = send(client, &call.ask("limit", "1")).await?.json()?;
        let unknown = || Failure::new("the service told of modules in words unknown here");
        let modules = page.get("modules").and_then(Value::as_object).ok_or_else(unknown)?;
        let on = modules.iter().filter(|(_, is_on)| **is_on == Value::Bool(true));
        all.insert(organization, on.map(|(module, _)| module.clone()).collect());
    }
    Ok(all)
}

/// Decides what becomes of what people took away; gives what was found besides.
pub fn decide(
    ground: &Ground<'_>,
    here: &Here,
    changes: &Changes,
    removals: &Removals,
    accepted: &BTreeSet<String>,
) -> (Found, Decided) {
    let found = taken::find(ground, &here.known, changes, removals);
    let decided = taken::decide(ground, &here.known, &found, accepted);
    (found, decided)
}

/// What the newest run of a source keeps away of what the other system gives now, and the modules that were accepted as people left them.
pub async fn of_newest(
    client: &Client,
    ground: &Ground<'_>,
    here: &Here,
    accepted: &BTreeSet<String>,
) -> Result<Away> {
    let kept = kept(client, &here.source).await?;
    let removals = Removals::of_kept(KeptAway { is_unnoted: false, ..kept });
    let is_left = |name: &&String| *name == taken::KEEP_ALL || name.starts_with(taken::MODULES_AWAY);
    let accepted = accepted.iter().filter(is_left).cloned().collect();
    Ok(decide(ground, here, &Changes::default(), &removals, &accepted).1.away)
}

fn first(logins: &BTreeSet<String>) -> String {
    let first: Vec<&str> = logins.iter().take(LOGINS_MAX).map(String::as_str).collect();
    format!("{}{}", first.join(", "), more(logins.len() as u64, first.len()))
}

/// What people took away and nobody said anything of, one by one: each right, and each organization with the modules that they removed.
pub fn named(decided: &Decided) -> Vec<Named> {
    let rights = decided.open.iter().map(|(login, what)| {
        Named::why("stops", login, &format!("people took away {what}, and nobody said what becomes of it"))
    });
    let modules = decided.told.modules_that(Becomes::Open).map(|it| {
        let modules: Vec<&str> = it.modules.iter().map(String::as_str).collect();
        let why =
            format!("people removed modules ({}), and nobody said what becomes of them", modules.join(", "));
        Named::why("stops", &it.organization, &why)
    });
    rights.chain(modules).collect()
}

/// What keeps a plan from being carried out besides what nobody decided yet.
pub fn stopping(found: &Found, decided: &Decided, accepted: &BTreeSet<String>) -> Vec<String> {
    let mut stopping = Vec::new();
    if !decided.twice.is_empty() {
        let logins = first(&decided.twice);
        stopping.push(format!("accepted as given back and as kept away: {logins}; say one of both by each"));
    }
    if !found.unsure.is_empty() && !accepted.contains(UNNOTED) {
        stopping.push(format!(
            "the newest run was made by a version that took no note of what people take away here, and {} something by this one ({}): look that \
             nobody took it from them, or take it away there, and accept all of it with --accept {UNNOTED}",
            counted(found.unsure.len() as u64, "user gets", "users get"),
            first(&found.unsure)
        ));
    }
    stopping
}

/// Tells the service what a run keeps away.
pub async fn write(desk: &Desk<'_>, ground: &Ground<'_>) -> Result<Option<String>> {
    let row = |(organization, principal, what): &Kept| {
        let (kind, key) = what.words();
        let gives = away::gives(&ground.intent, what);
        json!({ "organization": organization, "principal": principal, "kind": kind, "key": key, "gives": gives })
    };
    let rows: Vec<Value> = ground.away.list.iter().map(row).collect();
    for part in rows.chunks(ROWS) {
        desk.changes(json!({ "kept_away": part })).await?;
    }
    Ok((!rows.is_empty()).then(|| format!("kept away: {}", rights(rows.len() as u64))))
}

fn rights(count: u64) -> String {
    counted(count, "right or membership", "rights and memberships")
}

/// What is told of what people took away.
pub fn told(plan: &Plan) -> String {
    let TakenAway { open, back, away, named, .. } = &plan.taken;
    let all = open + back + away;
    if all == 0 {
        return modules_told(&plan.taken);
    }
    let parts = [(open, "not decided"), (back, "given back"), (away, "kept away")];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(count, _)| **count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let heading =
        format!("taken away by hand here, and still given there: {} ({})", rights(all), parts.join(", "));
    let mut told = output::wrapped("", &heading);
    for it in named.iter().take(TOLD_MAX) {
        let becomes = match it.becomes {
            Becomes::Open => "",
            Becomes::Back => " (given back)",
            Becomes::Away => " (kept away)",
        };
        told.push_str(&output::wrapped(
            "  ",
            &format!("{}: {} in {}{becomes}", it.login, it.what, it.organization),
        ));
    }
    let more = more(all, named.len().min(TOLD_MAX));
    if !more.is_empty() {
        told.push_str(&format!(" {more}: the file of the plan names the first thousand\n"));
    }
    told + &modules_told(&plan.taken)
}

/// What is told of modules that people removed, by organization.
fn modules_told(taken: &TakenAway) -> String {
    let mut told = String::new();
    for it in taken.modules.iter().take(TOLD_MAX) {
        let becomes = match it.becomes {
            Becomes::Open => "not decided",
            Becomes::Back => "switched as the other system says",
            Becomes::Away => "left as people left them",
        };
        let count = counted(it.modules.len() as u64, "module", "modules");
        let heading = format!("{count} removed by hand in {}: ", it.organization);
        told.push_str(&output::wrapped(&heading, becomes));
    }
    let more = more(taken.modules.len() as u64, taken.modules.len().min(TOLD_MAX));
    if !more.is_empty() {
        told.push_str(&format!(" {more} organizations: the file of the plan names them\n"));
    }
    told
}
