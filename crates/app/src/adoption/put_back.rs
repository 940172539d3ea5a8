//! What a run changed of earlier runs' rows, put back as it was noted, some hundred rows a call. A row that people changed since stays as they
//! left it, and is counted before a run is taken back.

use super::Run;
use super::held::{NOWHERE, Runs};
use super::noted;
use super::waiting::stands_waiting;
use crate::caller::RequestContext;
use crate::identity::session;
use charter_db::{Conn, Tx};
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{OrganizationId, PrincipalId, Problem, RoleKey, SessionId, Timestamp};
use charter_policy::Index;
use charter_store as store;
use charter_store::adoption_change::{self as change, ChangeKind, Note, id_of, key_of};
use charter_store::{adoption_bare, adoption_held, adoption_hold, adoption_lookup as lookup, adoption_row};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Rows of one call.
const ROWS: u32 = 500;
/// Rows that are looked at at once before a run is taken back.
const LOOKED_AT: u32 = 2_000;

/// What a call put back.
#[derive(Debug, Default)]
pub(super) struct PutBack {
    /// Rows, whether they were put back or left to people.
    pub rows: u64,
    /// Organizations whose facts changed.
    pub touched: Vec<OrganizationId>,
    /// Sessions that ended.
    pub ended: Vec<SessionId>,
}

fn value(text: &str) -> Result<Value, Problem> {
    serde_json::from_str(text).map_err(|_| {
        Problem::new(charter_kernel::ProblemKind::Internal, "a note of an adoption cannot be read")
    })
}

/// Whether a row is stopped, and was changed since the note of it.
fn is_stopped_since(now: &Value, note: &Note) -> bool {
    let is_stopped = now.get("status").is_some_and(|status| *status != PrincipalStatus::Active.as_str());
    let moment = now.get("updated_at").and_then(Value::as_i64);
    is_stopped && moment.is_some_and(|moment| moment != note.changed_at.micros())
}

/// Whether a row is still as the run left it.
async fn is_as_left(
    conn: &mut Conn,
    run: &Run,
    kind: ChangeKind,
    note: &Note,
) -> Result<Option<Value>, Problem> {
    let (Some(after), Some(now)) = (&note.after, noted::read(conn, &run.source, kind, &note.row).await?)
    else {
        return Ok(None);
    };
    let after = value(after)?;
    if noted::is_same(kind, &now, &after) {
        // What stands still is only looked at closer: somebody may have stopped it again.
        return Ok((!is_stopped_since(&now, note)).then_some(now));
    }
    // What is let in again waits for the proof.
    let status = now.get("status").and_then(Value::as_str).unwrap_or_default();
    let updated_at = Timestamp(now.get("updated_at").and_then(Value::as_i64).unwrap_or_default());
    let waits = stands_waiting(kind, note, status, updated_at)
        && noted::is_same_but_status(kind, &now, &after)
        && adoption_hold::opened_at(conn, run.number).await?.is_none();
    Ok(waits.then_some(now))
}

/// A row as it is, and as it is to be: as it was where it is still as the run left it. Of one that people changed since, what they changed stays,
/// and the rest comes back: whom the run let in is not left in because somebody mended a name.
async fn restored(
    conn: &mut Conn,
    run: &Run,
    kind: ChangeKind,
    note: &Note,
    at: Timestamp,
) -> Result<Option<(Value, Value)>, Problem> {
    let mut before = value(&note.before)?;
    if let Some(now) = is_as_left(conn, run, kind, note).await? {
        return Ok(Some((now, before)));
    }
    let (Some(after), Some(now)) = (&note.after, noted::read(conn, &run.source, kind, &note.row).await?)
    else {
        return Ok(None);
    };
    // Somebody may have stopped it again whom the run had stopped.
    if is_stopped_since(&now, note)
        && let (Some(before), Some(status)) = (before.as_object_mut(), now.get("status"))
    {
        before.insert("status".to_owned(), status.clone());
    }
    Ok(noted::merged(kind, &now, &value(after)?, &before, at).map(|merged| (now, merged)))
}

/// Whether people made a membership anew that the run removed; one that a later run made goes with that.
async fn is_made_anew(conn: &mut Conn, run: &Run, note: &Note) -> Result<bool, Problem> {
    let Some(who) = id_of(&note.row.1).map(PrincipalId) else { return Ok(false) };
    if adoption_bare::get(conn, note.row.0, who).await?.is_none() {
        return Ok(false);
    }
    let mut later = Runs::before(conn, &run.source, u64::MAX).await?.numbers;
    later.retain(|number| *number > run.number);
    Ok(adoption_held::recorded_members(conn, &later, note.row.0, (who, who)).await?.is_empty())
}

/// How many rows that the run changed people changed since, by what they are called.
pub(super) async fn changed_since(
    conn: &mut Conn,
    run: &Run,
) -> Result<Vec<(&'static str, &'static str, u64)>, Problem> {
    let mut found = Vec::new();
    let lost = change::lost(conn, run.number).await?;
    if lost > 0 {
        found.push(("right of a member who is gone", "rights of members who are gone", lost));
    }
    for (kind, one, several) in [
        (ChangeKind::Membership, "changed membership", "changed memberships"),
        (ChangeKind::Account, "changed account", "changed accounts"),
        (ChangeKind::Role, "changed role", "changed roles"),
        (ChangeKind::Entitlement, "changed entitlement", "changed entitlements"),
        (ChangeKind::Organization, "changed organization", "changed organizations"),
    ] {
        let mut count = 0;
        let mut page = change::first(conn, run.number, kind, LOOKED_AT).await?;
        while let Some(last) = page.last().map(|note| note.row.clone()) {
            let keys: Vec<_> = page.iter().map(|note| note.row.clone()).collect();
            let later = change::of_rows(conn, kind, &keys).await?;
            let later = later.into_iter().filter(|note| note.run > run.number).map(|note| note.row);
            // What a later run changed as well is looked at with that one, which goes back before.
            let later: HashSet<_> = later.collect();
            for note in page.iter().filter(|note| !later.contains(&note.row)) {
                count += u64::from(match note.after {
                    Some(_) => is_as_left(conn, run, kind, note).await?.is_none(),
                    None => is_made_anew(conn, run, note).await?,
                });
            }
            page = change::after(conn, run.number, kind, &last, LOOKED_AT).await?;
        }
        if count > 0 {
            found.push((one, several, count));
        }
    }
    Ok(found)
}

/// Puts some rows back; none is left when it did nothing.
pub(super) async fn put_back(
    tx: &mut Tx,
    ctx: &RequestContext,
    index: &Index,
    run: &Run,
    platform: OrganizationId,
) -> Result<PutBack, Problem> {
    for kind in ChangeKind::ALL {
        let notes = change::first(tx, run.number, kind, ROWS).await?;
        if notes.is_empty() {
            continue;
        }
        let mut put = PutBack::default();
        let places = places(tx, kind, &notes).await?;
        put.touched = places.into_iter().filter(|id| *id != platform && *id != NOWHERE).collect();
        adoption_row::touch(tx, &put.touched, ctx.now).await?;
        let keys: Vec<_> = match kind {
            ChangeKind::Assignment | ChangeKind::Grant => {
                rights(tx, index, run, kind, &notes).await?;
                notes.iter().map(|note| note.row.clone()).collect()
            }
            ChangeKind::Account => accounts(tx, ctx, run, notes, &mut put).await?,
            _ => {
                for note in &notes {
                    if note.after.is_none() {
                        come_back(tx, kind, note).await?;
                        continue;
                    }
                    if let Some((_, to)) = restored(tx, run, kind, note, ctx.now).await? {
                        noted::write(tx, &run.source, kind, &note.row, &to).await?;
                    }
                }
                notes.iter().map(|note| note.row.clone()).collect()
            }
        };
        if kind == ChangeKind::Entitlement {
            for organization in keys.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>() {
                store::entitlement::bump_version(tx, organization).await?;
            }
            tell(tx, ctx, run, &keys).await?;
        }
        put.rows = change::forget(tx, run.number, kind, &keys).await?;
        return Ok(put);
    }
    let (rows, ended) = super::password::put_back(tx, ctx, run).await?;
    Ok(PutBack { rows, ended, touched: Vec::new() })
}

/// Makes a membership anew that the run removed, unless people did, or its account is gone.
async fn come_back(tx: &mut Tx, kind: ChangeKind, note: &Note) -> Result<(), Problem> {
    let (Some(who), ChangeKind::Membership) = (id_of(&note.row.1).map(PrincipalId), kind) else {
        return Ok(());
    };
    let is_there = adoption_bare::get(tx, note.row.0, who).await?.is_some();
    if is_there || store::principal::by_id(tx, who).await?.is_none() {
        return Ok(());
    }
    adoption_bare::insert(tx, note.row.0, who, &noted::membership(&value(&note.before)?)?).await?;
    Ok(())
}

async fn places(tx: &mut Tx, kind: ChangeKind, notes: &[Note]) -> Result<BTreeSet<OrganizationId>, Problem> {
    let mut places: BTreeSet<OrganizationId> = notes.iter().map(|note| note.row.0).collect();
    if kind == ChangeKind::Account {
        for id in notes.iter().filter_map(|note| id_of(&note.row.1)) {
            places.extend(store::membership::organizations_of(tx, PrincipalId(id)).await?);
        }
    }
    Ok(places)
}

/// Assignments and grants: each that has a member, a role and a condition to go back to, and is not there.
async fn rights(
    tx: &mut Tx,
    index: &Index,
    run: &Run,
    kind: ChangeKind,
    notes: &[Note],
) -> Result<(), Problem> {
    let mut members = Vec::new();
    let mut befores = Vec::new();
    for note in notes {
        let before = value(&note.before)?;
        members.extend(noted::member_of(note.row.0, &before));
        befores.push(before);
    }
    members.sort();
    members.dedup();
    let members: HashSet<_> = lookup::memberships(tx, &members).await?.into_iter().collect();
    let keys: Vec<_> = notes.iter().map(|note| note.row.clone()).collect();
    let there: HashSet<_> = match kind {
        ChangeKind::Assignment => {
            let found = change::assignments(tx, &keys).await?;
            found.iter().map(|(place, it)| change::of_assignment(*place, &it.assignment)).collect()
        }
        _ => {
            let found = change::grants(tx, &keys).await?;
            found.iter().map(|(place, it)| change::of_grant(*place, it)).collect()
        }
    };
    let mut known: BTreeMap<(OrganizationId, String), bool> = BTreeMap::new();
    for (note, before) in notes.iter().zip(befores) {
        let is_member = noted::member_of(note.row.0, &before).is_some_and(|member| members.contains(&member));
        if !is_member || there.contains(&note.row) {
            continue;
        }
        let place = note.row.0;
        if let Some(role) = before.get("role").and_then(Value::as_str) {
            let is_known = match known.get(&(place, role.to_owned())) {
                Some(is_known) => *is_known,
                None => {
                    let key: Option<RoleKey> = role.parse().ok();
                    let shipped = key.as_ref().is_some_and(|key| index.catalogue().role(key).is_some());
                    let is_known = match key {
                        Some(key) if !shipped => store::role::exists(tx, place, &key).await?,
                        _ => shipped,
                    };
                    known.insert((place, role.to_owned()), is_known);
                    is_known
                }
            };
            if !is_known {
                continue;
            }
        }
        if let Some(condition) = before.get("condition").and_then(Value::as_str) {
            let key = condition.parse().ok();
            let found = match key {
                Some(key) => store::condition::get(tx, place, &key).await?.is_some(),
                None => false,
            };
            if !found {
                continue;
            }
        }
        noted::write(tx, &run.source, kind, &note.row, &before).await?;
    }
    Ok(())
}

/// Accounts, with those that have the logins they go back to, as two may have changed places.
async fn accounts(
    tx: &mut Tx,
    ctx: &RequestContext,
    run: &Run,
    mut notes: Vec<Note>,
    put: &mut PutBack,
) -> Result<Vec<change::RowKey>, Problem> {
    let mut looked = 0;
    while looked < notes.len() {
        let mut wanted = Vec::new();
        for note in notes.iter().skip(looked) {
            wanted.push(noted::login_of(&value(&note.before)?)?.to_owned());
        }
        looked = notes.len();
        let holders = lookup::logins(tx, &wanted).await?;
        let known: HashSet<String> = notes.iter().map(|note| note.row.1.clone()).collect();
        let others: Vec<_> = holders
            .iter()
            .map(|it| (NOWHERE, key_of(it.id.0)))
            .filter(|(_, key)| !known.contains(key))
            .collect();
        if others.is_empty() {
            break;
        }
        let more = change::of_rows(tx, ChangeKind::Account, &others).await?;
        notes.extend(more.into_iter().filter(|note| note.run == run.number));
    }
    let more = places(tx, ChangeKind::Account, &notes).await?;
    let more: Vec<_> = more.into_iter().filter(|id| *id != NOWHERE && !put.touched.contains(id)).collect();
    adoption_row::touch(tx, &more, ctx.now).await?;
    put.touched.extend(more);
    let mut turned = Vec::new();
    for note in &notes {
        let id = id_of(&note.row.1).map(PrincipalId);
        let restored = restored(tx, run, ChangeKind::Account, note, ctx.now).await?;
        if let (Some((now, to)), Some(id)) = (restored, id) {
            turned.push((id, noted::login_of(&now)?.to_owned(), to));
        }
    }
    keep_logins(tx, &mut turned).await?;
    let active = Value::from(PrincipalStatus::Active.as_str());
    for (id, now, before) in &turned {
        if noted::login_of(before)? != now || before.get("status") != Some(&active) {
            let why = "what a run changed about the account was taken back";
            put.ended.extend(session::end_everywhere(tx, *id, why, ctx.now).await?);
        }
    }
    noted::turn_accounts(tx, &run.source, &turned).await?;
    Ok(notes.into_iter().map(|note| note.row).collect())
}

/// Nobody loses a login that people gave them since: who would get it keeps the one they have, and all else goes back.
async fn keep_logins(tx: &mut Tx, turned: &mut [(PrincipalId, String, Value)]) -> Result<(), Problem> {
    let wanted = turned.iter().map(|(_, _, to)| noted::login_of(to).map(str::to_owned));
    let wanted: Vec<String> = wanted.collect::<Result<_, _>>()?;
    let going: HashSet<PrincipalId> = turned.iter().map(|(id, ..)| *id).collect();
    let holders = lookup::logins(tx, &wanted).await?;
    let mut taken: HashSet<String> =
        holders.into_iter().filter(|it| !going.contains(&it.id)).map(|it| it.login).collect();
    loop {
        let before = taken.len();
        for (_, now, to) in turned.iter_mut() {
            let login = noted::login_of(to)?;
            if login != now && taken.contains(login) {
                if let Some(state) = to.as_object_mut() {
                    state.insert("login".to_owned(), Value::from(now.as_str()));
                }
                taken.insert(now.clone());
            }
        }
        if taken.len() == before {
            return Ok(());
        }
    }
}

/// The chain of an organization that the run did not make tells that its modules were put back.
async fn tell(tx: &mut Tx, ctx: &RequestContext, run: &Run, keys: &[change::RowKey]) -> Result<(), Problem> {
    let mut told = Vec::new();
    for (organization, module) in keys {
        if !super::is_of_run(run.number, organization.0)
            && let Ok(module) = module.parse()
        {
            told.push((*organization, module));
        }
    }
    super::undo::tell_entitlements(tx, ctx, run, &told).await
}
