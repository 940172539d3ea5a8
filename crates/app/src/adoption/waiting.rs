//! What a run lets in again waits for its proof: accounts, memberships and organizations. Their notes say what they are to be. An account
//! stands as suspended until then; a membership or an organization stays as it was. Each is stamped with the moment of its note, so that what
//! people do to it meanwhile is seen, and counts.

use super::held::Runs;
use super::{Run, noted};
use charter_db::Tx;
use charter_kernel::facts::{OrganizationStatus, PrincipalStatus};
use charter_kernel::{OrganizationId, Problem, Timestamp};
use charter_store::adoption_change::{self as change, ChangeKind, Note};
use serde_json::Value;
use std::collections::HashSet;

const SUSPENDED: &str = PrincipalStatus::Suspended.as_str();
const DEACTIVATED: &str = PrincipalStatus::Deactivated.as_str();
const ACTIVE: &str = PrincipalStatus::Active.as_str();
const CLOSED: &str = OrganizationStatus::Closed.as_str();

fn status(value: &Value) -> Option<&str> {
    value.get("status")?.as_str()
}

/// Whether a change lets in again what was stopped.
fn is_reopened(kind: ChangeKind, before: &Value, after: &Value) -> bool {
    let (before, after) = (status(before), status(after));
    match kind {
        ChangeKind::Account => before != Some(ACTIVE) && after == Some(ACTIVE),
        ChangeKind::Membership => before == Some(DEACTIVATED) && after != before,
        ChangeKind::Organization => before == Some(CLOSED) && after != before,
        _ => false,
    }
}

/// A change as it is written before the proof.
pub(super) fn until_proved(kind: ChangeKind, before: &Value, after: &Value) -> Value {
    let mut written = after.clone();
    let status = match kind {
        ChangeKind::Account => Value::from(SUSPENDED),
        _ => before.get("status").cloned().unwrap_or_default(),
    };
    if is_reopened(kind, before, after)
        && let Some(written) = written.as_object_mut()
    {
        written.insert("status".to_owned(), status);
    }
    written
}

/// Whether a row stands as its note left it until the proof of the run.
pub(super) fn stands_waiting(kind: ChangeKind, note: &Note, status: &str, updated_at: Timestamp) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    let Some((before, after)) = read(&note.before).zip(note.after.as_deref().and_then(read)) else {
        return false;
    };
    let is_as_written = match kind {
        ChangeKind::Account => status == SUSPENDED,
        _ => self::status(&before) == Some(status),
    };
    is_as_written && updated_at == note.changed_at && is_reopened(kind, &before, &after)
}

/// Whether a row waits for the proof of a run that is under way.
pub(super) fn waits(
    runs: &Runs,
    kind: ChangeKind,
    note: Option<&Note>,
    status: &str,
    updated_at: Timestamp,
) -> bool {
    let pending = note.filter(|note| !runs.numbers.contains(&note.run));
    pending.is_some_and(|note| stands_waiting(kind, note, status, updated_at))
}

/// Notes that organizations which a rollback closed are to have a status again, with the proof; gives those that were not noted before.
pub(super) async fn reopen(
    tx: &mut Tx,
    run: &Run,
    closed: &[(OrganizationId, &'static str)],
    now: Timestamp,
) -> Result<Vec<(OrganizationId, &'static str)>, Problem> {
    const KIND: ChangeKind = ChangeKind::Organization;
    let keys: Vec<_> = closed.iter().map(|(id, _)| (*id, String::new())).collect();
    let known = if keys.is_empty() { Vec::new() } else { change::of_rows(tx, KIND, &keys).await? };
    let known: HashSet<_> =
        known.into_iter().filter(|note| note.run == run.number).map(|note| note.row).collect();
    let mut new = Vec::new();
    for (row, (id, status)) in keys.into_iter().zip(closed).filter(|(row, _)| !known.contains(row)) {
        let Some(before) = noted::read(tx, &run.source, KIND, &row).await? else { continue };
        let mut after = before.clone();
        if let Some(after) = after.as_object_mut() {
            after.insert("status".to_owned(), Value::from(*status));
            after.insert("status_told".to_owned(), Value::from(true));
            after.insert("updated_at".to_owned(), now.micros().into());
        }
        let written = until_proved(KIND, &before, &after);
        change::put(tx, run.number, KIND, &[(row.clone(), before, Some(after))], now).await?;
        noted::write(tx, &run.source, KIND, &row, &written).await?;
        new.push((*id, *status));
    }
    Ok(new)
}
