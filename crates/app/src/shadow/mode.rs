//! How an organization goes on and back: nothing compared, the other system's answers, ours. For the operator only; every change is an event
//! of the organization's trail, and a new revision, so that every node knows.

use super::standing::{Standing, off, standing};
use super::tally::day;
use super::{Quiet, ShadowMode, ShadowRow};
use crate::caller::RequestContext;
use crate::transaction::{Committed, Transaction};
use crate::{App, audit};
use charter_db::{BoxFuture, Conn, Scope};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use serde_json::json;

/// For how long no answer may have differed before an organization is cut over, when nobody says otherwise.
pub const AFTER_SECONDS: u32 = 72 * 3_600;
/// How many answers have to have been compared in that time, when nobody says otherwise.
pub const COMPARED_MIN: u64 = 1_000;
/// The least of both that counts: a quiet hour, and one answer. With less nothing is proved, and `is_forced` says so openly.
pub const AFTER_SECONDS_MIN: u32 = 3_600;
const COMPARED_LEAST: u64 = 1;
/// One in so many checks may have been left without an answer of the other system.
const UNKNOWN_ONE_IN: u64 = 100;

/// A mode to be set.
#[derive(Debug, Clone)]
pub struct ModeChange {
    /// The mode.
    pub mode: ShadowMode,
    /// Whether the organization goes back by itself after it was cut over; left out, it does.
    pub is_automatic: Option<bool>,
    /// For how long no answer may have differed.
    pub after_seconds: u32,
    /// How many answers have to have been compared.
    pub compared_min: u64,
    /// Whether what is missing is put up with.
    pub is_forced: bool,
    /// Why, for the trail.
    pub reason: String,
}

/// Refuses everybody but the operator.
pub fn operator_only(ctx: &RequestContext) -> Result<(), Problem> {
    if ctx.is_operator() {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::Forbidden,
        "whose rule answers is for the operator alone: use `charter adopt shadow` on the machine of the service",
    ))
}

fn span(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What is missing before an organization in shadow mode may be cut over.
async fn lacking(
    conn: &mut Conn,
    row: &ShadowRow,
    change: &ModeChange,
    now: Timestamp,
) -> Result<Vec<String>, Problem> {
    let mut missing = Vec::new();
    if row.mode != ShadowMode::Shadow {
        missing.push("it is not in shadow mode: nothing was compared".to_owned());
        return Ok(missing);
    }
    let after = i64::from(change.after_seconds);
    let from = now.plus_seconds(-after);
    if row.since > from {
        let shadowed = now.seconds() - row.since.seconds();
        missing.push(format!("it is in shadow mode for {} of {}", span(shadowed), span(after)));
    }
    if let Some(last) = row.last_flip_at.filter(|last| *last > from) {
        let ago = now.seconds() - last.seconds();
        missing.push(format!("answers differed {} ago: none may differ for {}", span(ago), span(after)));
    }
    let counts = store::shadow_count::sum(conn, row.organization, row.since, day(from)).await?;
    let (compared, unknown) = (counts.compared, counts.unknown);
    // Days are counted as a whole, and answers before the last difference prove nothing.
    let undisputed = compared.min(row.quiet.compared);
    if undisputed < change.compared_min {
        missing.push(format!(
            "{undisputed} of {} answers were compared without a difference (pairs of user and permission: {})",
            change.compared_min, row.quiet.pairs
        ));
    }
    if unknown.saturating_mul(UNKNOWN_ONE_IN) > compared + unknown {
        missing.push(format!(
            "the other system gave no answer to {unknown} of {} checks: at most one in {UNKNOWN_ONE_IN} may be left without",
            compared + unknown
        ));
    }
    Ok(missing)
}

/// Refuses what would prove nothing.
fn checked(change: &ModeChange) -> Result<(), Problem> {
    if change.mode != ShadowMode::CutOver {
        return Ok(());
    }
    if change.compared_min < COMPARED_LEAST {
        let why = "at least 1 is expected: where nothing was compared nothing is known; --force cuts over whatever is missing";
        return Err(Problem::invalid("compared", why));
    }
    if change.after_seconds < AFTER_SECONDS_MIN {
        let why = format!(
            "at least {AFTER_SECONDS_MIN} is expected, an hour without a difference; --force cuts over whatever is missing"
        );
        return Err(Problem::invalid("after_seconds", why));
    }
    Ok(())
}

fn refused(what: &str, missing: &[String]) -> Problem {
    Problem::new(ProblemKind::NotReady, format!("{what}: {}", missing.join("; ")))
}

/// Why a mode may not be set, if it may not.
async fn objection(
    conn: &mut Conn,
    before: &ShadowRow,
    change: &ModeChange,
    can_ask: bool,
    now: Timestamp,
) -> Result<Option<Problem>, Problem> {
    Ok(match (before.mode, change.mode) {
        (ShadowMode::Off, ShadowMode::Shadow) => {
            let mut missing = Vec::new();
            if !can_ask {
                missing.push(
                    "the service is not told how to ask the other system: set shadow_from_file or shadow_endpoint in charter.toml, and start the \
                     service again"
                        .to_owned(),
                );
            }
            if !store::shadow::is_adopted(conn, before.organization).await? {
                missing.push("the organization was not taken over from another system".to_owned());
            }
            (!missing.is_empty()).then(|| refused("the other system's rule cannot answer", &missing))
        }
        (ShadowMode::Shadow | ShadowMode::Off, ShadowMode::CutOver) if !change.is_forced => {
            let missing = lacking(conn, before, change, now).await?;
            (!missing.is_empty()).then(|| refused("not cut over", &missing))
        }
        (ShadowMode::Shadow, ShadowMode::Off) if !change.is_forced => {
            let missing =
                ["it is not cut over: our answers would be given from one moment to the next, which takes --force".to_owned()];
            Some(refused("shadow mode goes on", &missing))
        }
        _ => None,
    })
}

fn told(row: &ShadowRow) -> String {
    json!({
        "mode": row.mode.as_str(),
        "since": row.since.to_string(),
        "automatic": row.is_automatic,
        "compared_since_flip": row.quiet.compared,
        "pairs_since_flip": row.quiet.pairs,
    })
    .to_string()
}

/// The row after a change; the same when there is nothing to change.
fn after(before: &ShadowRow, change: &ModeChange, by: Option<PrincipalId>, now: Timestamp) -> ShadowRow {
    let is_new = before.mode != change.mode;
    let is_automatic = match change.is_automatic {
        Some(said) => said,
        None if is_new => true,
        None => before.is_automatic,
    };
    ShadowRow {
        organization: before.organization,
        mode: change.mode,
        since: if is_new { now } else { before.since },
        is_automatic,
        changed_by: if is_new { by } else { before.changed_by },
        // A comparison that begins anew has seen nothing yet.
        last_flip_at: before.last_flip_at.filter(|_| before.mode != ShadowMode::Off),
        quiet: if before.mode == ShadowMode::Off { Quiet::default() } else { before.quiet },
    }
}

/// Sets the mode of an organization.
pub async fn change(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    change: ModeChange,
) -> Result<Standing, Problem> {
    operator_only(ctx)?;
    checked(&change)?;
    // What was compared until now counts.
    super::flush(app).await?;
    let (inside, can_ask, now) = (ctx.clone(), app.shadow().can_ask(), ctx.now);
    let scope = Scope::Organization(organization.bits());
    let written = app.write(scope, organization, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let tx = transaction.tx();
            let before = store::shadow::hold(tx, organization).await?.unwrap_or_else(|| off(organization));
            if let Some(objection) = objection(tx, &before, &change, can_ask, now).await? {
                return Err(objection);
            }
            let after = after(&before, &change, inside.principal().map(|by| by.id), now);
            if before.mode == ShadowMode::Off {
                store::shadow_count::forget(tx, organization).await?;
            }
            store::shadow::put(tx, organization, &after).await?;
            store::shadow::quiet(tx, organization, after.quiet).await?;
            let mut event =
                audit::event(&inside, organization, "shadow.set", "organization", organization.to_string());
            event.reason = change.reason.clone();
            event.before = Some(told(&before));
            event.after = Some(told(&after));
            let standing = standing(transaction.tx(), organization).await?;
            transaction.commit(event, Vec::new(), standing).await
        }) as BoxFuture<'_, Result<Committed<Standing>, Problem>>
    });
    let (standing, revision) = written.await?;
    app.snapshots().hear_own(organization, revision).await?;
    Ok(standing)
}

/// Takes an organization back to shadow mode by itself, unless somebody changed its mode meanwhile.
pub(super) async fn go_back(
    app: &App,
    organization: OrganizationId,
    since: Timestamp,
    why: String,
) -> Result<(), Problem> {
    let now = app.now();
    let reason = why.clone();
    let scope = Scope::Organization(organization.bits());
    let written = app.write(scope, organization, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let before = store::shadow::hold(transaction.tx(), organization).await?;
            let still =
                |row: &ShadowRow| row.mode == ShadowMode::CutOver && row.since == since && row.is_automatic;
            let Some(before) = before.filter(still) else {
                return Err(Problem::new(ProblemKind::Changed, "the mode was changed meanwhile"));
            };
            let after =
                ShadowRow { mode: ShadowMode::Shadow, since: now, changed_by: None, ..before.clone() };
            store::shadow::put(transaction.tx(), organization, &after).await?;
            let target = organization.to_string();
            let mut event: AuditEvent =
                audit::system_event("shadow", organization, now, "shadow.back", "organization", target);
            event.reason = reason;
            event.before = Some(told(&before));
            event.after = Some(told(&after));
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    });
    match written.await {
        Ok(((), revision)) => {
            tracing::warn!(%organization, why, "gone back to shadow mode: the other system's answers are given again");
            app.snapshots().hear_own(organization, revision).await?;
            Ok(())
        }
        Err(problem) if problem.kind == ProblemKind::Changed => Ok(()),
        Err(problem) => Err(problem),
    }
}
