//! Signing keys over time: what is due is done on every node's round, the operator rotates early, and a key that leaked is revoked.
//!
//! Each step is one transaction behind the platform's row lock that looks at the keys again before it does anything: two nodes that rotate
//! at once make one key, and a node that dies leaves keys from which the next step is found. Sessions do not depend on signing keys, so
//! nobody is signed out.

use super::LEEWAY_SECONDS;
use super::key_schedule::{self, AHEAD_SECONDS_MIN, Step};
use super::lineage;
use super::signing_key::{ACCESS, generate};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{OrganizationId, Problem, ProblemKind, Timestamp};
use charter_store as store;
pub use charter_store::signing_key::{KeyState, SigningKey};
use sha2::{Digest, Sha256};

/// More steps than this in one round are not to be expected; the next round goes on.
const STEPS_MAX: usize = 8;
/// Longest time a key may be published before it signs.
const AHEAD_SECONDS_MAX: u32 = 30 * 86_400;

/// Does what is due: publishes the next key, lets it sign, removes what has verified for long enough.
pub async fn advance(app: &App) -> Result<(), Problem> {
    let policy = app.identity().settings.key_policy;
    for _ in 0..STEPS_MAX {
        let now = app.now();
        if key_schedule::due(app.identity().keys().kept(), &policy, now).is_none() {
            return Ok(());
        }
        let (platform, key) = (app.platform(), fresh(app, KeyState::Pending, now, now)?);
        let written = app
            .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    let kept = store::signing_key::of_purpose(transaction.tx(), ACCESS).await?;
                    let Some(step) = key_schedule::due(&kept, &policy, now) else {
                        return Err(Problem::new(ProblemKind::Taken, "another node did what was due"));
                    };
                    let events = take(&mut transaction, &kept, step, key, now, |action, kid| {
                        audit::system_event("identity", platform, now, action, "signing_key", kid)
                    })
                    .await?;
                    commit(transaction, events).await
                }) as BoxFuture<'_, Result<Committed<()>, Problem>>
            })
            .await;
        match written {
            Ok(_) => {}
            Err(problem) if problem.kind == ProblemKind::Taken => {}
            Err(problem) => return Err(problem),
        }
        lineage::reload(app).await?;
    }
    Ok(())
}

fn fresh(app: &App, state: KeyState, now: Timestamp, activates_at: Timestamp) -> Result<SigningKey, Problem> {
    let world = app.world();
    generate(&world.random(), world.random(), &app.identity().sealer, state, now, activates_at)
}

async fn commit(transaction: Transaction<'_>, mut events: Vec<AuditEvent>) -> Result<Committed<()>, Problem> {
    if events.is_empty() {
        return Err(Problem::new(ProblemKind::Taken, "another node did what was due"));
    }
    let first = events.remove(0);
    transaction.commit(first, events, ()).await
}

/// Does one step. `key` is used when the step makes one.
async fn take(
    transaction: &mut Transaction<'_>,
    kept: &[SigningKey],
    step: Step,
    mut key: SigningKey,
    now: Timestamp,
    event: impl Fn(&'static str, String) -> AuditEvent,
) -> Result<Vec<AuditEvent>, Problem> {
    let tx = transaction.tx();
    let mut events = Vec::new();
    match step {
        Step::Begin => {
            key.state = KeyState::Active;
            // Active from a little earlier, so that a node whose clock is behind can sign with it at once.
            key.activates_at = now.plus_seconds(-LEEWAY_SECONDS);
            store::signing_key::insert(tx, &key).await?;
            events.push(event("signing_key.activate", key.kid));
        }
        Step::Publish { activates_at } => {
            key.activates_at = activates_at;
            store::signing_key::insert(tx, &key).await?;
            events.push(event("signing_key.publish", key.kid));
        }
        Step::Activate { kid } => {
            if let Some(active) = key_schedule::active(kept)
                && store::signing_key::retire(tx, &active.kid, now).await?
            {
                events.push(event("signing_key.retire", active.kid.clone()));
            }
            if store::signing_key::activate(tx, &kid, now).await? {
                events.push(event("signing_key.activate", kid));
            }
        }
        Step::Remove { kid } => {
            if store::signing_key::remove(tx, &kid, now).await? {
                events.push(event("signing_key.remove", kid));
            }
        }
    }
    Ok(events)
}

/// How a rotation is asked for.
#[derive(Debug, Clone, Default)]
pub struct RotationDraft {
    /// Seconds the new key is published before it signs; none is what the policy says.
    pub ahead_seconds: Option<u32>,
    /// The plan that was looked at: the rotation is refused when it would not be exactly that any more.
    pub plan: Option<String>,
}

/// What a rotation does, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationPlan {
    /// Names the plan: the same keys, the same policy, the same wish.
    pub hash: String,
    /// The key that signs now.
    pub active: Option<String>,
    /// The published key that signs next; in a dry run, none when it is yet to be made.
    pub next: Option<String>,
    /// Whether a key is made; otherwise the one that waits is taken.
    pub makes_key: bool,
    /// When the next key begins to sign, and the active one stops.
    pub activates_at: Timestamp,
    /// Keys that stop verifying once the next one signs.
    pub leave: Vec<String>,
    /// Until when what the active key signed is accepted.
    pub accepted_until: Timestamp,
}

fn planned(
    kept: &[SigningKey],
    app: &App,
    draft: &RotationDraft,
    now: Timestamp,
) -> Result<RotationPlan, Problem> {
    let policy = app.identity().settings.key_policy;
    let ahead = match draft.ahead_seconds {
        None => policy.ahead_seconds(),
        Some(seconds) if i64::from(seconds) < AHEAD_SECONDS_MIN => {
            return Err(Problem::invalid(
                "ahead_seconds",
                format!(
                    "verifiers keep our public keys for a while: {AHEAD_SECONDS_MIN} s at least; a leaked key is revoked instead"
                ),
            ));
        }
        Some(seconds) if seconds > AHEAD_SECONDS_MAX => {
            return Err(Problem::invalid("ahead_seconds", format!("{AHEAD_SECONDS_MAX} s at most")));
        }
        Some(seconds) => i64::from(seconds),
    };
    let pending = key_schedule::pending(kept);
    let wanted = now.plus_seconds(ahead);
    let activates_at = pending.map_or(wanted, |key| key.activates_at.min(wanted));
    let mut retiring: Vec<&SigningKey> = kept.iter().filter(|key| key.state == KeyState::Retiring).collect();
    retiring.sort_by(|a, b| (b.retired_at, &b.kid).cmp(&(a.retired_at, &a.kid)));
    let stay = (policy.history as usize).saturating_sub(1);
    let leave: Vec<String> = retiring.iter().skip(stay).map(|key| key.kid.clone()).collect();
    let mut sum = Sha256::new();
    for key in kept {
        sum.update(format!("{} {}\n", key.kid, key.state.as_str()));
    }
    sum.update(format!("{policy:?} {ahead} {}", pending.is_some()));
    Ok(RotationPlan {
        hash: audit::hex(sum.finalize().get(..8).unwrap_or_default()),
        active: key_schedule::active(kept).map(|key| key.kid.clone()),
        next: pending.map(|key| key.kid.clone()),
        makes_key: pending.is_none(),
        activates_at,
        leave,
        accepted_until: activates_at.plus_seconds(i64::from(policy.grace_days) * 86_400),
    })
}

fn is_same_plan(draft: &RotationDraft, plan: &RotationPlan) -> Result<(), Problem> {
    match &draft.plan {
        Some(looked_at) if *looked_at != plan.hash => Err(Problem::new(
            ProblemKind::Changed,
            format!("the plan is {} now, not {looked_at}: look at it again with a dry run", plan.hash),
        )),
        _ => Ok(()),
    }
}

/// What a rotation would do; writes nothing.
pub async fn plan(app: &App, ctx: &RequestContext, draft: &RotationDraft) -> Result<RotationPlan, Problem> {
    let kept = reading_all!(app.database(), |conn| store::signing_key::of_purpose(conn, ACCESS))?;
    let plan = planned(&kept, app, draft, ctx.now)?;
    is_same_plan(draft, &plan)?;
    Ok(plan)
}

/// Publishes the next key now, or lets the one that waits sign earlier.
pub async fn rotate(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    draft: RotationDraft,
) -> Result<RotationPlan, Problem> {
    let (platform, now) = (permit.organization(), ctx.now);
    let key = fresh(app, KeyState::Pending, now, now)?;
    let (inner, ctx_inside) = (app.clone(), ctx.clone());
    let (done, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let kept = store::signing_key::of_purpose(transaction.tx(), ACCESS).await?;
                let mut plan = planned(&kept, &inner, &draft, now)?;
                is_same_plan(&draft, &plan)?;
                let mut key = key;
                let kid = match key_schedule::pending(&kept) {
                    Some(pending) => {
                        store::signing_key::reschedule(transaction.tx(), &pending.kid, plan.activates_at)
                            .await?;
                        pending.kid.clone()
                    }
                    None => {
                        key.activates_at = plan.activates_at;
                        store::signing_key::insert(transaction.tx(), &key).await?;
                        key.kid
                    }
                };
                let mut event =
                    audit::event(&ctx_inside, platform, "signing_key.rotate", "signing_key", kid.clone());
                event.after = Some(
                    serde_json::json!({ "activates_at": plan.activates_at, "plan": plan.hash }).to_string(),
                );
                plan.next = Some(kid);
                transaction.commit(event, Vec::new(), plan).await
            }) as BoxFuture<'_, Result<Committed<RotationPlan>, Problem>>
        })
        .await?;
    lineage::reload(app).await?;
    Ok(done)
}

/// Refuses everything a key signed, at once and for good; another key signs from the same instant.
pub async fn revoke(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    kid: &str,
    reason: &str,
) -> Result<SigningKey, Problem> {
    let (platform, now) = (permit.organization(), ctx.now);
    let reason = text::reason("reason", reason)?;
    if reason.is_empty() {
        return Err(Problem::invalid("reason", "is missing: say why the key is revoked"));
    }
    let successor = fresh(app, KeyState::Active, now, now.plus_seconds(-LEEWAY_SECONDS))?;
    let (kid, ctx_inside) = (kid.to_owned(), ctx.clone());
    let (revoked, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let events =
                    revoke_inside(&mut transaction, &ctx_inside, platform, &kid, &reason, successor).await?;
                let key =
                    store::signing_key::get(transaction.tx(), &kid).await?.ok_or_else(|| unknown(&kid))?;
                let (first, more) = events;
                transaction.commit(first, more, key).await
            }) as BoxFuture<'_, Result<Committed<SigningKey>, Problem>>
        })
        .await?;
    lineage::reload(app).await?;
    Ok(revoked)
}

fn unknown(kid: &str) -> Problem {
    Problem::not_found(format!("no signing key {kid}: `charter keys list` shows them"))
}

async fn revoke_inside(
    transaction: &mut Transaction<'_>,
    ctx: &RequestContext,
    platform: OrganizationId,
    kid: &str,
    reason: &str,
    successor: SigningKey,
) -> Result<(AuditEvent, Vec<AuditEvent>), Problem> {
    let now = ctx.now;
    let tx = transaction.tx();
    let kept = store::signing_key::of_purpose(tx, ACCESS).await?;
    let key = kept.iter().find(|key| key.kid == kid).ok_or_else(|| unknown(kid))?;
    if !store::signing_key::revoke(tx, kid, reason, now).await? {
        return Err(Problem::new(ProblemKind::InUse, "the key was revoked before"));
    }
    let mut event = audit::event(ctx, platform, "signing_key.revoke", "signing_key", kid.to_owned());
    event.reason = reason.to_owned();
    event.before = Some(serde_json::json!({ "state": key.state.as_str() }).to_string());
    let mut more = Vec::new();
    if key.state == KeyState::Active {
        // Whoever could read this key may have read the one that waits.
        store::signing_key::insert(tx, &successor).await?;
        more.push(audit::event(ctx, platform, "signing_key.activate", "signing_key", successor.kid));
    }
    Ok((event, more))
}

/// The keys of the lineage, newest first.
pub async fn list(app: &App, _: &Permit) -> Result<Vec<SigningKey>, Problem> {
    let mut kept = reading_all!(app.database(), |conn| store::signing_key::of_purpose(conn, ACCESS))?;
    kept.reverse();
    Ok(kept)
}
