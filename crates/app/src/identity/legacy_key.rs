//! API keys of a former system: a unique prefix in the clear and a bcrypt hash of the whole key. They work as they are. On the first use a
//! keyed hash of ours is put beside the one they came with, which stays as it was, so that the former system can take over again; from
//! then on they cost what our own keys cost.
//!
//! bcrypt reads 72 bytes and, in some libraries, no further than a NUL: a longer key, or one with a NUL, is refused before it is hashed.
//! One evaluation takes a core for tens of milliseconds, so there are at most five a minute for a prefix, and none twice for the same
//! wrong key.

use super::authenticate::Stop;
use super::credential::{LIMIT, by_a_person, checked_addresses, checked_rate, fresh, not_beyond, told};
use super::credential_caller::{self, Adopted, Found};
use super::credential_text::{CredentialKind, standing};
use super::key_scope;
use super::shelf::Shelf;
use super::token::TokenFault;
use crate::App;
use crate::caller::{Caller, RequestContext};
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{audit, limit, member, text};
use arc_swap::ArcSwap;
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::problem::FieldProblem;
use charter_kernel::{CredentialId, Problem, ProblemKind, Timestamp, Window};
use charter_store as store;
use charter_store::credential::{Credential, HashAlgorithm};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// What bcrypt reads of a key.
const BYTES_MAX: usize = 72;
/// Shortest and longest prefix.
const PREFIX: std::ops::RangeInclusive<usize> = 6..=16;
/// Most work a hash may ask for, as a power of two.
const COST_MAX: u32 = 15;
/// Evaluations for one prefix in a minute.
const PER_MINUTE: u32 = 5;
const MINUTE: i64 = 60;
/// How many may wait for an evaluation.
const QUEUE: usize = 16;
const WRONG_MAX: usize = 10_000;
/// Most keys taken over at once.
pub const KEYS_MAX: usize = 1_000;
/// The setting that lists the lengths of prefixes, so that a node knows where to look, and that it need not.
const SETTING: &str = "legacy_key_lengths";

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
fn key_id(prefix: &str) -> String {
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

async fn lengths(app: &App) -> Result<Vec<usize>, Problem> {
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

/// A key of a former system to be taken over.
#[derive(Debug, Clone)]
pub struct LegacyKeyDraft {
    /// Its unique prefix.
    pub prefix: String,
    /// bcrypt hash of the whole key.
    pub hash: String,
    /// Whose it is: a member, by login or id.
    pub owner: String,
    /// What it is for.
    pub name: String,
    /// Scopes its rights are limited to; left out, all its owner has.
    pub scopes: Option<Vec<String>>,
    /// Blocks of addresses it may be used from; left out, any.
    pub addresses: Option<Vec<String>>,
    /// Until when; left out, until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// How many requests a minute it is good for.
    pub requests_per_minute: Option<u32>,
}

fn is_hash(text: &str) -> bool {
    let cost = text.get(4..6).and_then(|digits| digits.parse::<u32>().ok());
    text.len() == 60
        && ["$2a$", "$2b$", "$2y$", "$2x$"].iter().any(|kind| text.starts_with(kind))
        && cost.is_some_and(|cost| (4..=COST_MAX).contains(&cost))
        && text.as_bytes().get(6) == Some(&b'$')
        && text.bytes().skip(7).all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/')
}

fn is_prefix(text: &str) -> bool {
    PREFIX.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !["chk_", "chs_", "chr_", "cho_", "chi_"].iter().any(|ours| text.starts_with(ours))
}

fn taken_over(
    app: &App,
    ctx: &RequestContext,
    facts: &charter_kernel::facts::OrganizationFacts,
    draft: LegacyKeyDraft,
) -> Result<Credential, Problem> {
    if !is_prefix(&draft.prefix) {
        return Err(Problem::invalid(
            "prefix",
            format!(
                "{} to {} visible characters are expected, unlike our own keys",
                PREFIX.start(),
                PREFIX.end()
            ),
        ));
    }
    if !is_hash(&draft.hash) {
        return Err(Problem::invalid("hash", format!("a bcrypt hash of cost 4 to {COST_MAX} is expected")));
    }
    if let Some(scopes) = &draft.scopes {
        key_scope::check(&app.snapshots().index(), scopes)?;
    }
    checked_addresses(draft.addresses.as_deref())?;
    checked_rate(draft.requests_per_minute)?;
    if draft.expires_at.is_some_and(|end| end <= ctx.now) {
        return Err(Problem::invalid("expires_at", "lies in the past"));
    }
    let owner = member::find(facts, &draft.owner)?;
    // Whoever writes a hash may know what it is of.
    not_beyond(app, ctx, facts, owner.principal, draft.scopes.as_deref())?;
    let kind = match owner.kind {
        PrincipalKind::User => CredentialKind::User,
        PrincipalKind::ServiceAccount => CredentialKind::Service,
    };
    let (row, _) = fresh(app, ctx, facts.organization.id, owner.principal, kind);
    Ok(Credential {
        key_id: key_id(&draft.prefix),
        alg: HashAlgorithm::Bcrypt,
        pepper_version: None,
        hash: draft.hash.into_bytes(),
        name: text::name("name", &draft.name)?,
        scopes: draft.scopes,
        addresses: draft.addresses,
        window: Window::new(None, draft.expires_at)
            .map_err(|error| Problem::invalid("expires_at", error.to_string()))?,
        requests_per_minute: draft.requests_per_minute,
        ..row
    })
}

/// What became of keys of a former system.
#[derive(Debug, Clone)]
pub struct TakenOver {
    /// Those that were taken over, or would be.
    pub made: Vec<Credential>,
    /// Those that are in already, as they are.
    pub kept: Vec<Credential>,
}

/// The field of one key in what is asked.
fn field(at: usize, name: &str) -> String {
    format!("keys.{at}.{name}")
}

fn of_key(at: usize, mut problem: Problem) -> Problem {
    problem.detail = field(at, &problem.detail);
    problem.fields.iter_mut().for_each(|it| it.field = field(at, &it.field));
    problem
}

/// Each prefix once.
fn distinct(drafts: &[LegacyKeyDraft]) -> Result<(), Problem> {
    let mut seen = HashMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        if let Some(first) = seen.insert(draft.prefix.as_str(), at) {
            let what = format!("`{}` is the prefix of keys.{first} as well", draft.prefix);
            return Err(Problem::invalid(field(at, "prefix"), what));
        }
    }
    Ok(())
}

/// Why a prefix that is known cannot be taken over again; none is that it is the same key.
fn not_the_same(
    facts: &charter_kernel::facts::OrganizationFacts,
    draft: &LegacyKeyDraft,
    known: &Credential,
) -> Option<String> {
    let prefix = &draft.prefix;
    if known.organization != facts.organization.id {
        return Some(format!("`{prefix}` is the prefix of a key of another organization"));
    }
    if known.alg != HashAlgorithm::Bcrypt || known.hash != draft.hash.as_bytes() {
        return Some(format!("`{prefix}` is in already, with another hash"));
    }
    // An owner who has left keeps nobody from going on.
    let is_others = member::find(facts, &draft.owner).is_ok_and(|owner| owner.principal != known.principal);
    is_others.then(|| format!("`{prefix}` is in already, as the key of another member"))
}

fn refused(faults: Vec<FieldProblem>) -> Problem {
    let detail = match faults.as_slice() {
        [only] => format!("{}: {}; none was taken over", only.field, only.detail),
        _ => format!("{} of the keys cannot be taken over, and none was; the fields tell why", faults.len()),
    };
    Problem { fields: faults, ..Problem::new(ProblemKind::Taken, detail) }
}

/// Takes keys of a former system over, all of them or none. Those that are in already are kept as they are; a dry run tells the same.
pub async fn import(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    drafts: Vec<LegacyKeyDraft>,
    is_dry_run: bool,
) -> Result<TakenOver, Problem> {
    by_a_person(ctx)?;
    if drafts.is_empty() || drafts.len() > KEYS_MAX {
        return Err(Problem::invalid("keys", format!("1 to {KEYS_MAX} keys are expected")));
    }
    distinct(&drafts)?;
    let (organization, now) = (permit.organization(), ctx.now);
    let facts = crate::facts(app, organization).await?;
    let ids: Vec<String> = drafts.iter().map(|draft| key_id(&draft.prefix)).collect();
    let known = reading_all!(app.database(), |conn| async move {
        let mut known = Vec::with_capacity(ids.len());
        for id in &ids {
            known.push(store::credential::by_key_id(conn, id).await?);
        }
        Ok::<_, charter_db::Error>(known)
    })?;
    let (mut rows, mut kept, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let mut all_lengths = lengths(app).await?;
    for (at, (draft, known)) in drafts.into_iter().zip(known).enumerate() {
        match known.map(|known| (not_the_same(&facts, &draft, &known), known)) {
            Some((None, known)) => kept.push(known),
            Some((Some(detail), _)) => faults.push(FieldProblem { field: field(at, "prefix"), detail }),
            None => {
                all_lengths.push(draft.prefix.len());
                rows.push(taken_over(app, ctx, &facts, draft).map_err(|problem| of_key(at, problem))?);
            }
        }
    }
    if !faults.is_empty() {
        return Err(refused(faults));
    }
    let (catalogue, new) = (app.snapshots().catalogue(), rows.len() as u64);
    if is_dry_run && new > 0 {
        crate::reading::boxed(app.database().read(
            Scope::Installation,
            move |conn: &mut charter_db::Conn| {
                crate::reading::boxed(async move {
                    let count = store::credential::count_live(conn, organization, now).await? + new;
                    limit::require_within(conn, &catalogue, organization, LIMIT, count, now).await
                })
            },
        ))
        .await?;
        return Ok(TakenOver { made: rows, kept });
    }
    if new == 0 {
        return Ok(TakenOver { made: rows, kept });
    }
    // The longest first: what begins with it is meant.
    all_lengths.sort_unstable_by(|a, b| b.cmp(a));
    all_lengths.dedup();
    let setting = serde_json::json!(all_lengths).to_string();
    let (ctx_inside, written) = (ctx.clone(), rows.clone());
    let ((), revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let mut events = Vec::with_capacity(written.len());
                let count = store::credential::count_live(transaction.tx(), organization, now).await? + new;
                limit::keep_within(transaction.tx(), &catalogue, organization, LIMIT, count, now).await?;
                for row in &written {
                    store::credential::insert(transaction.tx(), row).await.map_err(|error| match error {
                        charter_db::Error::Unique { .. } => Problem::new(
                            ProblemKind::Taken,
                            "a key with one of these prefixes was made meanwhile: ask again, and what is in is kept",
                        ),
                        other => other.into(),
                    })?;
                    events.push(told(&ctx_inside, "credential.adopt", None, Some(row), row.id));
                }
                store::setting::put(transaction.tx(), SETTING, &setting, now).await?;
                let first = events.remove(0);
                transaction.commit(first, events, ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await?;
    for row in &rows {
        app.identity().credentials.forget(row.key_id.as_str());
    }
    learn(app).await?;
    app.snapshots().hear_own(organization, revision).await?;
    Ok(TakenOver { made: rows, kept })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_prefixes_are_read_strictly() {
        let good = "$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m";
        assert!(is_hash(good) && is_hash(&good.replace("$2b$12", "$2y$04")));
        for wrong in [
            "",
            "$2b$12$",
            &good[..59],
            &format!("{good}x"),
            &good.replace("$2b$", "$1b$"),
            &good.replace("$12$", "$16$"),
            &good.replace("$12$", "$31$"),
            &good.replace("$12$", "$03$"),
            &good.replace("$12$", "$1x$"),
            &good.replace("$12$", "$12."),
            &good.replace('/', "!"),
            &good.replace('/', "\0"),
        ] {
            assert!(!is_hash(wrong), "{wrong}");
        }
        assert!(is_prefix("ak_1234") && is_prefix("abcdef") && is_prefix("abcdefghijklmnop"));
        for wrong in
            ["abcde", "abcdefghijklmnopq", "abc def", "chk_abcd", "chs_abcd", "abcd\u{e9}f", "abc\0def"]
        {
            assert!(!is_prefix(wrong), "{wrong}");
        }
    }

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
