//! API keys of a former system: a unique prefix in the clear and a bcrypt hash of the whole key. They work as they are. On the first use a
//! keyed hash of ours is put beside the one they came with, which stays as it was, so that the former system can take over again; from
//! then on they cost what our own keys cost.
//!
//! bcrypt reads 72 bytes and, in some libraries, no further than a NUL: a longer key, or one with a NUL, is refused before it is hashed.
//! One evaluation takes a core for tens of milliseconds, so there are at most five a minute for a prefix, and none twice for the same
//! wrong key.

use super::authenticate::Stop;
use super::credential_caller::{self, Adopted, Found};
use super::credential_text::standing;
use super::shelf::Shelf;
use super::token::TokenFault;
use crate::App;
use crate::audit;
use crate::caller::Caller;
use crate::transaction::{Committed, Transaction};
use arc_swap::ArcSwap;
use charter_db::{BoxFuture, Scope};
use charter_kernel::{CredentialId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// What bcrypt reads of a key.
const BYTES_MAX: usize = 72;
/// Evaluations for one prefix in a minute.
const PER_MINUTE: u32 = 5;
const MINUTE: i64 = 60;
/// How many may wait for an evaluation.
const QUEUE: usize = 16;
const WRONG_MAX: usize = 10_000;
/// The setting that lists the lengths of prefixes, so that a node knows where to look, and that it need not.
pub(super) const SETTING: &str = "legacy_key_lengths";

/// What a node remembers about keys of a former system.
pub struct LegacyKeys {
    lengths: ArcSwap<Vec<usize>>,
    /// Wrong keys, by a keyed hash and the credential they were tried on, and when they were seen to be wrong.
    wrong: Shelf<[u8; 32], Timestamp>,
    /// When a minute began for a key, and how often it was evaluated since.
    minutes: Mutex<HashMap<CredentialId, (Timestamp, u32)>>,
    /// One at a time: this is a bridge, and key checks and sign-ins need the cores.
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    evaluations: AtomicU64,
}

impl Default for LegacyKeys {
    fn default() -> Self {
        Self {
            lengths: ArcSwap::default(),
            wrong: Shelf::new(WRONG_MAX),
            minutes: Mutex::default(),
            running: Arc::new(Semaphore::new(1)),
            waiting: Arc::default(),
            evaluations: AtomicU64::new(0),
        }
    }
}

impl LegacyKeys {
    /// How many bcrypt hashes this node has evaluated.
    pub fn evaluations(&self) -> u64 {
        self.evaluations.load(Ordering::Relaxed)
    }

    fn take(&self, key: CredentialId, now: Timestamp) -> Result<(), Problem> {
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        minutes.retain(|_, (began, _)| began.plus_seconds(MINUTE) > now);
        let (began, count) = minutes.entry(key).or_insert((now, 0));
        if *count >= PER_MINUTE {
            let wait = began.plus_seconds(MINUTE).seconds() - now.seconds() + 1;
            return Err(Problem::new(ProblemKind::Throttled, "too many attempts: wait, then try again")
                .retry_after(u32::try_from(wait).unwrap_or(1)));
        }
        *count += 1;
        Ok(())
    }

    async fn is_right(&self, text: &str, hash: String) -> Result<bool, Problem> {
        let busy = || {
            Problem::new(
                ProblemKind::Unavailable,
                "too many first uses of keys at this moment: try again in a second",
            )
            .retry_after(1)
        };
        let place = Place(Arc::clone(&self.waiting));
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= QUEUE {
            return Err(busy());
        }
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| busy())?;
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        let text = Zeroizing::new(text.to_owned());
        let broken = |error: &dyn std::fmt::Display| {
            Problem::new(
                ProblemKind::Internal,
                format!("a key of the former system could not be hashed: {error}"),
            )
        };
        tokio::task::spawn_blocking(move || {
            let _held = (turn, place);
            bcrypt::verify(text.as_bytes(), &hash)
        })
        .await
        .map_err(|error| broken(&error))?
        .map_err(|error| broken(&error))
    }
}

/// A place in the queue, free again when the work is done or given up.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The key id under which a prefix is kept: no other credential's has that form.
pub(super) fn key_id(prefix: &str) -> String {
    format!("legacy:{prefix}")
}

/// Whether a bearer may be a key of a former system: there are any, and it is no token of three parts.
pub(super) fn is_possible(app: &App, bearer: &str) -> bool {
    !app.identity().legacy_keys.lengths.load().is_empty() && bearer.matches('.').count() != 2
}

/// The caller a key of a former system proves.
pub(super) async fn caller(
    app: &App,
    bearer: &str,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Caller, Stop> {
    if bearer.len() > BYTES_MAX || bearer.contains('\0') {
        return Err(TokenFault::ServiceToken.into());
    }
    let mut refused = Stop::Refused(TokenFault::ServiceToken);
    // Prefixes of several lengths may fit, of different organizations: nobody's prefix hides another's key.
    for length in app.identity().legacy_keys.lengths.load_full().iter() {
        let Some(prefix) = bearer.get(..*length).filter(|prefix| prefix.len() < bearer.len()) else {
            continue;
        };
        let Some(found) = credential_caller::find(app, &key_id(prefix), address, now).await? else {
            continue;
        };
        match of_prefix(app, bearer, &found, address, now).await {
            Ok(caller) => return Ok(caller),
            Err(stop) => refused = stop,
        }
    }
    Err(refused)
}

/// The same for the key that is kept under one prefix.
async fn of_prefix(
    app: &App,
    bearer: &str,
    found: &Found,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Caller, Stop> {
    let identity = app.identity();
    let Some(adopted) = found.adopted() else { return Err(TokenFault::ServiceToken.into()) };
    let (version, mac) = identity.pepper.stamped_token(bearer);
    if let Err(refused) = standing(found.record(), address, now) {
        found.note_refusal(now);
        return Err(credential_caller::fault(refused).into());
    }
    if !is_right(app, bearer, &mac, found, adopted, now).await? {
        found.note_refusal(now);
        identity.token_throttle.take_from_address(address, now)?;
        return Err(TokenFault::ServiceToken.into());
    }
    if adopted.upgraded.as_ref().is_none_or(|(by, _)| *by != version) {
        upgrade(app, found, (version, mac), now).await?;
    }
    credential_caller::let_in(found, address, now)
}

async fn is_right(
    app: &App,
    bearer: &str,
    mac: &[u8; 32],
    found: &Found,
    adopted: &Adopted,
    now: Timestamp,
) -> Result<bool, Problem> {
    let identity = app.identity();
    // By a pepper that has ended nothing is recognised, and the hash it came with is asked again.
    if let Some((by, hash)) = adopted.upgraded.as_ref().filter(|(by, _)| identity.pepper.is_live(*by)) {
        return Ok(identity.pepper.is_token(Some(*by), bearer, hash));
    }
    let legacy = &identity.legacy_keys;
    let seen = wrong_for(mac, found.record().credential);
    if legacy.wrong.get(&seen).is_some_and(|at| at.plus_seconds(MINUTE) > now) {
        return Ok(false);
    }
    legacy.take(found.record().credential, now)?;
    let is_right = legacy.is_right(bearer, adopted.hash.clone()).await?;
    if !is_right {
        legacy.wrong.put(seen, now, |_| false);
    }
    Ok(is_right)
}

/// Under what a key is remembered as wrong for one credential: it may be right for another.
fn wrong_for(mac: &[u8; 32], credential: CredentialId) -> [u8; 32] {
    let mut seen = *mac;
    for (byte, of_id) in seen.iter_mut().zip(credential.0.to_be_bytes()) {
        *byte ^= of_id;
    }
    seen
}

/// Puts a keyed hash beside the one a key came with.
async fn upgrade(
    app: &App,
    found: &Found,
    (version, mac): (u32, [u8; 32]),
    now: Timestamp,
) -> Result<(), Problem> {
    let (organization, id) = (found.record().organization, found.record().credential);
    let event = audit::system_event(
        "identity",
        organization,
        now,
        "credential.upgrade",
        "credential",
        id.to_string(),
    );
    let ((), revision) = app
        .write(
            Scope::Organization(organization.bits()),
            organization,
            now,
            move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    store::credential::upgrade(transaction.tx(), organization, id, &mac, version).await?;
                    transaction.commit(event, Vec::new(), ()).await
                }) as BoxFuture<'_, Result<Committed<()>, Problem>>
            },
        )
        .await?;
    app.snapshots().hear_own(organization, revision).await.map(drop)
}

pub(super) async fn lengths(app: &App) -> Result<Vec<usize>, Problem> {
    let text = reading_all!(app.database(), |conn| store::setting::get(conn, SETTING))?;
    let read = |text: String| {
        serde_json::from_str(&text)
            .map_err(|error| Problem::new(ProblemKind::Internal, format!("setting {SETTING}: {error}")))
    };
    text.map_or_else(|| Ok(Vec::new()), read)
}

/// Learns where to look for prefixes: another node may have taken keys over.
pub(super) async fn learn(app: &App) -> Result<(), Problem> {
    let found = lengths(app).await?;
    let known = &app.identity().legacy_keys.lengths;
    if **known.load() != found {
        known.store(Arc::new(found));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack 91, the counting.
    #[test]
    fn a_prefix_has_five_evaluations_a_minute() {
        let legacy = LegacyKeys::default();
        let at = |seconds: i64| Timestamp::from_seconds(1_800_000_000 + seconds);
        let taken = (0..100).filter(|_| legacy.take(CredentialId(1), at(0)).is_ok()).count();
        assert_eq!(taken, 5);
        assert_eq!(legacy.take(CredentialId(1), at(59)).unwrap_err().retry_after_seconds, Some(2));
        legacy.take(CredentialId(2), at(59)).unwrap();
        legacy.take(CredentialId(1), at(60)).unwrap();
    }
}
