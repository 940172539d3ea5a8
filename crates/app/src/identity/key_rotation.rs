//! Signing keys over time: what is due is done on every node's round, the operator rotates early, and a key that leaked is revoked.
//!
//! Each step is one transaction behind the platform's row lock that looks at the keys again before it does anything: two nodes that rotate
//! at once make one key, and a node that dies leaves keys from which the next step is found. Sessions do not depend on signing keys, so
//! nobody is signed out.

use super::LEEWAY_SECONDS;
use super::key_schedule::{self, AHEAD_SECONDS_MAX, AHEAD_SECONDS_MIN, Step};
use super::legacy_caller;
use super::legacy_token::LegacySecretState;
use super::lineage::{self, Lineage};
use super::node::{self, NodeState};
use super::signing_key::{generate_for, private_part};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store as store;
pub use charter_store::signing_key::{KeyState, SigningKey};
use sha2::{Digest, Sha256};

/// More steps than this in one round are not to be expected; the next round goes on.
const STEPS_MAX: usize = 8;

/// Does what is due: publishes the next key, lets it sign, removes what has verified for long enough.
pub async fn advance(app: &App) -> Result<(), Problem> {
    for lineage in Lineage::ALL {
        // Where nobody signs in to applications there are no ID tokens, and no keys for them.
        if lineage == Lineage::Access || !app.identity().keys_of(lineage).kept().is_empty() {
            advance_lineage(app, lineage).await?;
        }
    }
    Ok(())
}

/// The same for one lineage; one that has no key begins.
pub(super) async fn advance_lineage(app: &App, lineage: Lineage) -> Result<(), Problem> {
    let policy = app.identity().settings.key_policy;
    let life = app.identity().terms.life_seconds + LEEWAY_SECONDS;
    for _ in 0..STEPS_MAX {
        let now = app.now();
        if key_schedule::due(app.identity().keys_of(lineage).kept(), &policy, life, now).is_none() {
            return Ok(());
        }
        let (platform, key) = (app.platform(), fresh(app, lineage, KeyState::Pending, now, now).await?);
        let written = app
            .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    let kept = lineage.kept(transaction.tx()).await?;
                    let Some(step) = key_schedule::due(&kept, &policy, life, now) else {
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

async fn fresh(
    app: &App,
    lineage: Lineage,
    state: KeyState,
    now: Timestamp,
    activates_at: Timestamp,
) -> Result<SigningKey, Problem> {
    let world = app.world();
    let private = private_part(lineage, world.random()).await?;
    generate_for(lineage, &private, world.random(), &app.identity().sealer, state, now, activates_at)
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
            events.extend(retire(tx, kept, now, &event).await?);
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
            events.extend(retire(tx, kept, now, &event).await?);
            // As above: another node signs with it as soon as it reads of it, by a clock that may be behind.
            if store::signing_key::activate(tx, &kid, now.plus_seconds(-LEEWAY_SECONDS)).await? {
                events.push(event("signing_key.activate", kid));
            }
        }
        Step::BringForward { kid, activates_at } => {
            if store::signing_key::reschedule(tx, &kid, activates_at).await? {
                events.push(event("signing_key.reschedule", kid));
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

/// Stops the active key from signing, where there is one.
async fn retire(
    tx: &mut Tx,
    kept: &[SigningKey],
    now: Timestamp,
    event: &impl Fn(&'static str, String) -> AuditEvent,
) -> Result<Option<AuditEvent>, Problem> {
    let Some(active) = key_schedule::active(kept) else { return Ok(None) };
    let is_retired = store::signing_key::retire(tx, &active.kid, now).await?;
    Ok(is_retired.then(|| event("signing_key.retire", active.kid.clone())))
}

/// How a rotation is asked for.
#[derive(Debug, Clone, Default)]
pub struct RotationDraft {
    /// Seconds the new key is published before it signs; none is what the policy says.
    pub ahead_seconds: Option<u32>,
    /// The plan that was looked at: the rotation is refused when it would not be exactly that any more.
    pub plan: Option<String>,
    /// Which keys are meant; none is those of access tokens.
    pub lineage: Option<Lineage>,
}

impl RotationDraft {
    fn lineage(&self) -> Lineage {
        self.lineage.unwrap_or(Lineage::Access)
    }
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
    /// Keys that stop verifying once the next one signs and the last token they signed has ended.
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
        Some(seconds) if i64::from(seconds) > AHEAD_SECONDS_MAX => {
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
    sum.update(format!("{:?} {policy:?} {ahead} {}", draft.lineage(), pending.is_some()));
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
    let lineage = draft.lineage();
    let kept = reading_all!(app.database(), |conn| lineage.kept(conn))?;
    let plan = planned(&kept, app, draft, ctx.now)?;
    is_same_plan(draft, &plan)?;
    Ok(plan)
}

/// Whom a rotation of signing keys reaches, and whom it leaves alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Live sessions: they go on.
    pub sessions: u64,
    /// Secrets of a former system whose tokens are taken: they stay as they are.
    pub legacy: Vec<LegacySecretState>,
    /// The nodes that run; each reads new keys within a second.
    pub nodes: Vec<NodeState>,
}

/// Looks whom a rotation would reach.
pub async fn reached(app: &App, ctx: &RequestContext, permit: &Permit) -> Result<Reached, Problem> {
    let now = ctx.now;
    Ok(Reached {
        sessions: reading_all!(app.database(), |conn| store::session::live(conn, now))?,
        legacy: legacy_caller::states(app, permit).await?,
        nodes: node::running(app, now).await?,
    })
}

/// Publishes the next key now, or lets the one that waits sign earlier.
pub async fn rotate(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    draft: RotationDraft,
) -> Result<RotationPlan, Problem> {
    let (platform, now) = (permit.organization(), ctx.now);
    let lineage = draft.lineage();
    let key = fresh(app, lineage, KeyState::Pending, now, now).await?;
    let (inner, ctx_inside) = (app.clone(), ctx.clone());
    let ((done, kept), _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let kept = lineage.kept(transaction.tx()).await?;
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
                let kept = lineage.kept(transaction.tx()).await?;
                transaction.commit(event, Vec::new(), (plan, kept)).await
            }) as BoxFuture<'_, Result<Committed<(RotationPlan, Vec<SigningKey>)>, Problem>>
        })
        .await?;
    lineage::learn(app, lineage, kept).await?;
    Ok(done)
}

/// Why a key is revoked.
#[derive(Debug, Clone, Default)]
pub struct RevocationDraft {
    /// Somebody else may have it: whoever could read it may have read the one that waits, which is revoked with it.
    pub is_compromised: bool,
    /// Why, for the trail; may be left out when the key is compromised.
    pub reason: String,
}

/// Refuses everything a key signed, at once and for good; when it is the one that signs, a new key signs from the same instant.
pub async fn revoke(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    kid: &str,
    draft: RevocationDraft,
) -> Result<SigningKey, Problem> {
    let (platform, now) = (permit.organization(), ctx.now);
    let is_compromised = draft.is_compromised;
    let mut reason = text::reason("reason", &draft.reason)?;
    if reason.is_empty() && is_compromised {
        reason = "compromised".to_owned();
    }
    if reason.is_empty() {
        return Err(Problem::invalid("reason", "is missing: say why the key is revoked"));
    }
    let (kid, ctx_inside) = (kid.to_owned(), ctx.clone());
    let wanted = kid.clone();
    let known =
        reading_all!(app.database(), |conn| async move { store::signing_key::get(conn, &wanted).await })?;
    let lineage = known.as_ref().and_then(Lineage::of).unwrap_or(Lineage::Access);
    let successor = fresh(app, lineage, KeyState::Active, now, now.plus_seconds(-LEEWAY_SECONDS)).await?;
    let ((revoked, kept), _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let kept = lineage.kept(transaction.tx()).await?;
                let key = kept.iter().find(|key| key.kid == kid).ok_or_else(|| unknown(&kid))?;
                if key.state == KeyState::Revoked {
                    return Err(Problem::new(ProblemKind::InUse, "the key was revoked before"));
                }
                let tx = transaction.tx();
                let event = |action: &'static str, kid: &str| {
                    audit::event(&ctx_inside, platform, action, "signing_key", kid)
                };
                let waiting =
                    key_schedule::pending(&kept).filter(|waiting| is_compromised && waiting.kid != kid);
                let mut more = Vec::new();
                for gone in [Some(key), waiting].into_iter().flatten() {
                    store::signing_key::revoke(tx, &gone.kid, &reason, now).await?;
                    let mut event = event("signing_key.revoke", &gone.kid);
                    event.reason.clone_from(&reason);
                    event.before = Some(serde_json::json!({ "state": gone.state.as_str() }).to_string());
                    more.push(event);
                }
                if key.state == KeyState::Active {
                    store::signing_key::insert(tx, &successor).await?;
                    more.push(event("signing_key.activate", &successor.kid));
                }
                let first = more.remove(0);
                let kept = lineage.kept(tx).await?;
                let key = kept.iter().find(|key| key.kid == kid).cloned().ok_or_else(|| unknown(&kid))?;
                transaction.commit(first, more, (key, kept)).await
            }) as BoxFuture<'_, Result<Committed<(SigningKey, Vec<SigningKey>)>, Problem>>
        })
        .await?;
    // From what the transaction read itself: nothing can fail now, and what the key signed is refused when this is answered.
    lineage::learn(app, lineage, kept).await?;
    Ok(revoked)
}

fn unknown(kid: &str) -> Problem {
    Problem::not_found(format!("no signing key {kid}: `charter keys list` shows them"))
}

/// The keys of every lineage, newest first.
pub async fn list(app: &App, _: &Permit) -> Result<Vec<SigningKey>, Problem> {
    let mut kept = reading_all!(app.database(), |conn| store::signing_key::list(conn))?;
    kept.reverse();
    Ok(kept)
}
