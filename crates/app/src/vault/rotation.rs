//! A new key of the vault, sealed by the newest key-encryption key. Keys that an older one sealed are sealed by the newest as well.

use super::{KEEP_SECONDS, KEEP_SECONDS_DEFAULT, PUBLISHED_SECONDS, internal, learn, reseal};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::identity::node;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store as store;
use store::vault::VaultKey;
use zeroize::Zeroizing;

/// How a rotation is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct RotationDraft {
    /// Seconds the old key is kept when nothing is sealed by it any more.
    pub keep_seconds: Option<u32>,
    /// No new key: those there are, sealed by the newest key-encryption key.
    pub is_rewrap_only: bool,
}

impl RotationDraft {
    fn keep(&self) -> Result<u32, Problem> {
        let seconds = self.keep_seconds.unwrap_or(KEEP_SECONDS_DEFAULT);
        if KEEP_SECONDS.contains(&seconds) {
            return Ok(seconds);
        }
        let (least, most) = (KEEP_SECONDS.start(), KEEP_SECONDS.end());
        Err(Problem::invalid("keep_seconds", format!("{least} to {most} s are expected")))
    }
}

/// What a rotation does, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The number of the new key; none when none is made.
    pub key: Option<u32>,
    /// The key-encryption key that seals it.
    pub kek: String,
    /// Keys that an older key-encryption key sealed, which the newest seals now.
    pub rewrapped: Vec<u32>,
    /// From when it seals.
    pub activates_at: Timestamp,
    /// How many values are to be sealed again.
    pub values: u64,
    /// Seconds the old key is kept when nothing is sealed by it any more.
    pub keep_seconds: u32,
}

fn planned(
    app: &App,
    keys: &[VaultKey],
    draft: RotationDraft,
    counts: &[Vec<(Option<u32>, u64)>],
    is_alone: bool,
    now: Timestamp,
) -> Result<Rotation, Problem> {
    let keep_seconds = draft.keep()?;
    let values = reseal::sum(counts, |_| true);
    let direct = reseal::sum(counts, |key| key.is_none());
    if draft.is_rewrap_only && direct > 0 {
        return Err(Problem::new(
            ProblemKind::InUse,
            format!(
                "{direct} values are sealed by a key-encryption key itself, and would still need the old one: run `charter vault \
                 encrypt-existing` first, or rotate without `--rewrap-only`"
            ),
        ));
    }
    let live: Vec<&VaultKey> = keys.iter().filter(|key| key.destroyed_at.is_none()).collect();
    let newest = keys.iter().map(|key| key.number).max().unwrap_or(0);
    let is_running =
        live.iter().any(|key| key.activates_at > now || (key.number < newest && key.retired_at.is_none()));
    if is_running && !draft.is_rewrap_only {
        return Err(Problem::new(
            ProblemKind::InUse,
            format!(
                "a rotation to vault key {newest} is under way: `charter vault status` shows how far it is"
            ),
        ));
    }
    let kek = app.identity().sealer().keks().into_iter().next().unwrap_or_default();
    let rewrapped = live.iter().filter(|key| key.kek != kek).map(|key| key.number).collect();
    Ok(Rotation {
        key: (!draft.is_rewrap_only).then_some(newest + 1),
        kek,
        rewrapped,
        // Where no node runs there is none that has to read it first.
        activates_at: if is_alone { now } else { now.plus_seconds(PUBLISHED_SECONDS) },
        values: if draft.is_rewrap_only { 0 } else { values },
        keep_seconds,
    })
}

/// What a rotation would do; writes nothing.
pub async fn plan(
    app: &App,
    _: &Permit,
    ctx: &RequestContext,
    draft: RotationDraft,
) -> Result<Rotation, Problem> {
    let now = ctx.now;
    let (keys, counts, is_alone) = reading_all!(app.database(), |conn| async move {
        let (keys, counts) = (store::vault::keys(conn).await?, reseal::counts(conn).await?);
        Ok::<_, charter_db::Error>((keys, counts, node::none_runs(conn, now).await?))
    })?;
    planned(app, &keys, draft, &counts, is_alone, now)
}

/// Publishes a new key. It seals some seconds later, at once where no node runs; then what other keys sealed is sealed again, by the rounds of the service or by
/// `advance`.
pub async fn rotate(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    draft: RotationDraft,
) -> Result<Rotation, Problem> {
    if draft.is_rewrap_only {
        let plan = plan(app, permit, ctx, draft).await?;
        if plan.rewrapped.is_empty() {
            return Ok(plan);
        }
    }
    let (platform, now) = (permit.organization(), ctx.now);
    let secret = Zeroizing::new(app.world().random::<32>());
    let (inside, ctx_inside) = (app.clone(), ctx.clone());
    let (done, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                let keys = store::vault::keys(tx).await?;
                let (counts, is_alone) = (reseal::counts(tx).await?, node::none_runs(tx, now).await?);
                let plan = planned(&inside, &keys, draft, &counts, is_alone, now)?;
                if plan.key.is_none() && plan.rewrapped.is_empty() {
                    return Err(Problem::new(
                        ProblemKind::InUse,
                        "every key of the vault is sealed by the newest key-encryption key already",
                    ));
                }
                let sealer = inside.identity().sealer();
                let mut events = Vec::new();
                if let Some(number) = plan.key {
                    let (kek, wrapped) = sealer.wrap(number, &secret, inside.world().random()).map_err(internal)?;
                    let key = VaultKey {
                        number,
                        kek,
                        wrapped: Some(wrapped),
                        created_at: now,
                        activates_at: plan.activates_at,
                        keep_seconds: plan.keep_seconds,
                        unreadable: 0,
                        retired_at: None,
                        destroy_at: None,
                        destroyed_at: None,
                    };
                    store::vault::insert_key(tx, &key).await?;
                    let mut event =
                        audit::event(&ctx_inside, platform, "vault_key.rotate", "vault_key", number.to_string());
                    event.after = Some(
                        serde_json::json!({
                            "activates_at": plan.activates_at, "keep_seconds": plan.keep_seconds, "key_encryption_key": plan.kek,
                        })
                        .to_string(),
                    );
                    events.push(event);
                }
                for key in keys.iter().filter(|key| plan.rewrapped.contains(&key.number)) {
                    let clear = sealer.unwrap(key).map_err(internal)?;
                    let (kek, wrapped) =
                        sealer.wrap(key.number, &clear, inside.world().random()).map_err(internal)?;
                    store::vault::rewrap(tx, key.number, &kek, &wrapped).await?;
                    let number = key.number.to_string();
                    let mut event = audit::event(&ctx_inside, platform, "vault_key.rewrap", "vault_key", number);
                    event.before = Some(serde_json::json!({ "key_encryption_key": key.kek }).to_string());
                    event.after = Some(serde_json::json!({ "key_encryption_key": kek }).to_string());
                    events.push(event);
                }
                let first = events.remove(0);
                transaction.commit(first, events, plan).await
            }) as BoxFuture<'_, Result<Committed<Rotation>, Problem>>
        })
        .await?;
    learn(app).await?;
    Ok(done)
}
