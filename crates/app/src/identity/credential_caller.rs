//! The caller behind an API key or service token, from memory.
//!
//! A node remembers a token's record together with the revision of the organization it was read at. Any change of the organization makes
//! the revision of its snapshot pass the record's, and the record is read again: a revocation holds on every node as soon as policy
//! changes do. Nothing is written when a token is used; that it was is kept in memory for a while (`key_use.rs`).

use super::authenticate::Stop;
use super::credential_text::{self, CredentialKind, Presented, Refused, TokenRecord, judge};
use super::key_scope;
use super::key_use::KeyUse;
use super::token::TokenFault;
use crate::App;
use crate::caller::{Caller, Ceiling, SignedIn};
use crate::vault::rehash;
use charter_kernel::facts::{MemberFact, PrincipalKind, PrincipalStatus};
use charter_kernel::problem::RateLimit;
use charter_kernel::{CredentialId, Problem, ProblemKind, Revision, Timestamp, Window};
use charter_policy::Index;
use charter_policy::condition::AddressRange;
use charter_store as store;
use charter_store::credential::{Credential, HashAlgorithm};
use charter_store::principal::Principal;
use std::net::IpAddr;
use std::sync::Arc;

/// What a node remembers under a key id.
#[derive(Clone)]
pub enum Remembered {
    /// A record.
    Found(Arc<Found>),
    /// No token has this id; ids are random and never used again, so this stays true but for one made this minute.
    Nothing {
        /// When it was looked up.
        at: Timestamp,
    },
}

/// A token's record with what its caller is made of.
pub struct Found {
    record: TokenRecord,
    is_active: bool,
    membership: Window,
    per_minute: Option<u32>,
    uses: Arc<KeyUse>,
    adopted: Option<Adopted>,
    signed_in: Arc<SignedIn>,
    index: Arc<Index>,
}

/// The hashes of a key of a former system: the one it came with, and ours from its first use on.
pub(super) struct Adopted {
    /// bcrypt, as it came.
    pub hash: String,
    /// Keyed hash of the whole key, with the version of the pepper that made it.
    pub upgraded: Option<(u32, Vec<u8>)>,
}

impl Found {
    pub(super) fn record(&self) -> &TokenRecord {
        &self.record
    }

    pub(super) fn adopted(&self) -> Option<&Adopted> {
        self.adopted.as_ref()
    }

    pub(super) fn note_refusal(&self, now: Timestamp) {
        self.uses.note_refusal(now);
    }
}

const NOTHING_SECONDS: i64 = 60;

async fn read(app: &App, key_id: &str) -> Result<Option<Arc<Found>>, Problem> {
    let wanted = key_id.to_owned();
    let read = reading_all!(app.database(), |conn| async move {
        let Some(credential) = store::credential::by_key_id(conn, &wanted).await? else { return Ok(None) };
        let revision = store::revision::get(conn, credential.organization).await?;
        let principal = store::principal::by_id(conn, credential.principal).await?;
        let member = store::membership::get(conn, credential.organization, credential.principal).await?;
        Ok::<_, charter_db::Error>(principal.map(|principal| (credential, revision, principal, member)))
    })?;
    let Some((credential, revision, principal, member)) = read else { return Ok(None) };
    found(app, credential, revision, principal, member).map(Some)
}

fn found(
    app: &App,
    credential: Credential,
    revision: Revision,
    principal: Principal,
    member: Option<MemberFact>,
) -> Result<Arc<Found>, Problem> {
    // Who is no member any more has no keys here.
    let is_standing = member.as_ref().is_some_and(|member| member.standing() == PrincipalStatus::Active);
    let broken =
        |what: &str| Problem::new(ProblemKind::Internal, format!("API key {}: {what}", credential.key_id));
    let scopes = credential
        .scopes
        .as_deref()
        .map(key_scope::patterns)
        .transpose()
        .map_err(|_| broken("a scope is none"))?;
    let addresses: Option<Vec<AddressRange>> = credential
        .addresses
        .as_ref()
        .map(|blocks| blocks.iter().map(|block| AddressRange::parse(block)).collect::<Result<_, _>>())
        .map(|blocks| blocks.map_err(|_| broken("an address block is none")))
        .transpose()?;
    let index = app.snapshots().index();
    let uses = app.identity().key_uses.of(credential.organization, credential.id);
    uses.set_rate(credential.requests_per_minute);
    let kind = match (credential.kind, principal.kind) {
        ('s', PrincipalKind::ServiceAccount) => CredentialKind::Service,
        ('k', PrincipalKind::User) => CredentialKind::User,
        _ => return Err(broken("belongs to another kind of account than it says")),
    };
    let adopted = (credential.alg == HashAlgorithm::Bcrypt).then(|| Adopted {
        hash: String::from_utf8_lossy(&credential.hash).into_owned(),
        upgraded: credential.pepper_version.zip(credential.upgraded_hash),
    });
    // A replaced key goes on for its overlap, and never beyond its own end.
    let expires_at = match (credential.window.to(), credential.overlap_until) {
        (Some(end), Some(overlap)) => Some(end.min(overlap)),
        (end, overlap) => end.or(overlap),
    };
    Ok(Arc::new(Found {
        signed_in: Arc::new(SignedIn {
            id: credential.principal,
            kind: principal.kind,
            login: principal.login_folded,
            name: principal.name,
            session: None,
            credential: Some(credential.id),
            organization: Some(credential.organization),
            ceiling: scopes.map(|scopes| Ceiling::new(scopes, &index)),
            amr: vec!["swk".to_owned()],
            authenticated_at: None,
            expires_at,
            legacy_issued_at: None,
            support: None,
            by_client: None,
        }),
        index,
        is_active: principal.status == PrincipalStatus::Active && is_standing,
        membership: member.map_or(Window::ALWAYS, |member| member.window),
        per_minute: credential.requests_per_minute,
        uses,
        adopted,
        record: TokenRecord {
            organization: credential.organization,
            credential: credential.id,
            kind,
            principal: credential.principal,
            pepper_version: credential.pepper_version,
            hash: if credential.alg == HashAlgorithm::Hmac { credential.hash } else { Vec::new() },
            addresses,
            not_before: credential.window.from(),
            expires_at,
            is_revoked: credential.revoked_at.is_some(),
            is_quarantined: credential.quarantined_at.is_some(),
            revision,
        },
    }))
}

/// The record of an id: remembered, or read. Ids that nobody has cost their address a guess.
pub(super) async fn find(
    app: &App,
    key_id: &str,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Option<Arc<Found>>, Problem> {
    let identity = app.identity();
    match identity.credentials.get(key_id) {
        Some(Remembered::Nothing { at }) if at.plus_seconds(NOTHING_SECONDS) > now => return Ok(None),
        Some(Remembered::Found(found)) => {
            let organization = found.record.organization;
            let snapshot = app.snapshots().snapshot(organization, now).await?;
            let is_current = found.record.revision >= snapshot.shard().revision()
                && Arc::ptr_eq(&found.index, snapshot.index())
                // Hashed by a pepper that has ended: what is kept may be hashed anew since.
                && found.record.pepper_version.is_none_or(|version| identity.pepper.is_live(version));
            if is_current {
                return Ok(Some(found));
            }
        }
        _ => identity.token_throttle.take_from_address(address, now)?,
    }
    let found = Box::pin(read(app, key_id)).await?;
    match &found {
        Some(found) => {
            identity.token_throttle.give_back_to_address(address);
            identity.credentials.put(key_id.into(), Remembered::Found(Arc::clone(found)), |there| {
                matches!(there, Remembered::Found(there) if there.record.revision > found.record.revision)
            });
            // The snapshot the request is decided with must not be older than the record.
            app.snapshots().snapshot(found.record.organization, now).await?;
        }
        None => identity.credentials.put(key_id.into(), Remembered::Nothing { at: now }, |_| false),
    }
    Ok(found)
}

/// The caller an API key or service token proves.
pub(super) async fn caller(
    app: &App,
    bearer: &str,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Caller, Stop> {
    let identity = app.identity();
    let presented = credential_text::read(bearer).ok_or(TokenFault::ServiceToken)?;
    if presented.is_live != identity.settings.is_live {
        return Err(TokenFault::ServiceToken.into());
    }
    let found = find(app, presented.id, address, now).await?;
    let record = found.as_ref().map(|found| &found.record);
    if let Err(refused) = judge(&identity.pepper, presented, record, address, now) {
        tracing::info!(key_id = presented.id, ?refused, "an API key was refused");
        if let Some(found) = &found {
            found.uses.note_refusal(now);
            if refused == Refused::Secret {
                // The id is public: who tries secrets with it runs out of tries, and its owner does not.
                identity.token_throttle.take_from_address(address, now)?;
            }
        }
        return Err(fault(refused).into());
    }
    let Some(found) = found else { return Err(TokenFault::ServiceToken.into()) };
    rehash::note_credential(app, found.record(), presented);
    let_in(&found, address, now)
}

/// Whether a text is the whole of a key. Without a record the same hash is made all the same.
pub(super) fn is_secret(app: &App, presented: Presented<'_>, found: Option<&Found>) -> bool {
    credential_text::is_secret(&app.identity().pepper, presented, found.map(Found::record))
}

pub(super) fn fault(refused: Refused) -> TokenFault {
    match refused {
        Refused::Secret => TokenFault::ServiceToken,
        Refused::Revoked => TokenFault::KeyRevoked,
        Refused::Quarantined => TokenFault::KeyQuarantined,
        Refused::Time => TokenFault::KeyTime,
        Refused::Address => TokenFault::KeyAddress,
    }
}

/// Lets the bearer of a key in whose secret, state, time and address are right: when its owner may act, at its rate.
pub(super) fn let_in(found: &Found, address: Option<IpAddr>, now: Timestamp) -> Result<Caller, Stop> {
    if !found.is_active || !found.membership.is_live(now) {
        found.uses.note_refusal(now);
        return Err(TokenFault::Principal.into());
    }
    if let Some(per_minute) = found.per_minute
        && let Err(limit) = found.uses.take(per_minute, now)
    {
        found.uses.note_refusal(now);
        let detail = format!("this key is good for {per_minute} requests a minute: wait, then try again");
        let problem = Problem::new(ProblemKind::Throttled, detail).retry_after(limit.retry_seconds);
        return Err(problem.limited(limit).into());
    }
    found.uses.note(address, now);
    Ok(Caller::Principal(Arc::clone(&found.signed_in)))
}

/// What is left of the rate of the key a caller came with, where it has one.
pub fn rate(app: &App, key: CredentialId, now: Timestamp) -> Option<RateLimit> {
    app.identity().key_uses.get(key)?.rate(now)
}
