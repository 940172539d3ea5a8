//! The caller behind a service token, from memory.
//!
//! A node remembers a token's record together with the revision of the organization it was read at. Any change of the organization makes
//! the revision of its snapshot pass the record's, and the record is read again: a revocation holds on every node as soon as policy
//! changes do. Nothing is written when a token is used.

use super::authenticate::Stop;
use super::service_token::{self, Presented, TokenRecord, judge};
use super::token::TokenFault;
use crate::App;
use crate::caller::{Caller, Ceiling, SignedIn};
use charter_kernel::facts::{PrincipalKind, PrincipalStatus};
use charter_kernel::{Pattern, Problem, ProblemKind, Timestamp};
use charter_policy::Index;
use charter_policy::condition::AddressRange;
use charter_store as store;
use charter_store::credential::HashAlgorithm;
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
    signed_in: Arc<SignedIn>,
    index: Arc<Index>,
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
    // Whether it is a member at all is a step of each decision.
    let is_standing = member.is_none_or(|member| member.standing() == PrincipalStatus::Active);
    let broken = |what: &str| {
        Problem::new(ProblemKind::Internal, format!("service token {}: {what}", credential.key_id))
    };
    let scopes: Option<Vec<Pattern>> = credential
        .scopes
        .as_ref()
        .map(|scopes| scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>())
        .transpose()
        .map_err(|_| broken("a scope is no pattern"))?;
    let addresses: Option<Vec<AddressRange>> = credential
        .addresses
        .as_ref()
        .map(|blocks| blocks.iter().map(|block| AddressRange::parse(block)).collect::<Result<_, _>>())
        .map(|blocks| blocks.map_err(|_| broken("an address block is none")))
        .transpose()?;
    let index = app.snapshots().index();
    let is_ours = credential.kind == 's' && credential.alg == HashAlgorithm::Hmac;
    Ok(Some(Arc::new(Found {
        signed_in: Arc::new(SignedIn {
            id: credential.principal,
            kind: PrincipalKind::ServiceAccount,
            login: principal.login_folded,
            name: principal.name,
            session: None,
            credential: Some(credential.id),
            organization: Some(credential.organization),
            ceiling: scopes.as_ref().map(|scopes| Ceiling::new(scopes.as_slice(), &index)),
            by_client: None,
            amr: vec!["swk".to_owned()],
            authenticated_at: None,
            expires_at: credential.window.to(),
        }),
        index,
        is_active: principal.status == PrincipalStatus::Active && is_standing && is_ours,
        record: TokenRecord {
            organization: credential.organization,
            credential: credential.id,
            principal: credential.principal,
            pepper_version: credential.pepper_version,
            hash: credential.hash,
            scopes,
            addresses,
            not_before: credential.window.from(),
            expires_at: credential.window.to(),
            is_revoked: credential.revoked_at.is_some(),
            revision,
        },
    })))
}

/// The record of an id: remembered, or read. Ids that nobody has cost their address a guess.
async fn find(
    app: &App,
    presented: Presented<'_>,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Option<Arc<Found>>, Problem> {
    let identity = app.identity();
    match identity.credentials.get(presented.id) {
        Some(Remembered::Nothing { at }) if at.plus_seconds(NOTHING_SECONDS) > now => return Ok(None),
        Some(Remembered::Found(found)) => {
            let organization = found.record.organization;
            let snapshot = app.snapshots().snapshot(organization, now).await?;
            let is_current = found.record.revision >= snapshot.shard().revision()
                && Arc::ptr_eq(&found.index, snapshot.index());
            if is_current {
                return Ok(Some(found));
            }
        }
        _ => identity.token_throttle.take_from_address(address, now)?,
    }
    let found = Box::pin(read(app, presented.id)).await?;
    match &found {
        Some(found) => {
            identity.token_throttle.give_back_to_address(address);
            identity.credentials.put(presented.id.into(), Remembered::Found(Arc::clone(found)), |there| {
                matches!(there, Remembered::Found(there) if there.record.revision > found.record.revision)
            });
            // The snapshot the request is decided with must not be older than the record.
            app.snapshots().snapshot(found.record.organization, now).await?;
        }
        None => identity.credentials.put(presented.id.into(), Remembered::Nothing { at: now }, |_| false),
    }
    Ok(found)
}

/// The caller a service token proves.
pub(super) async fn caller(
    app: &App,
    bearer: &str,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Caller, Stop> {
    let identity = app.identity();
    let presented = service_token::read(bearer).ok_or(TokenFault::ServiceToken)?;
    if presented.is_live != identity.settings.is_live {
        return Err(TokenFault::ServiceToken.into());
    }
    let found = find(app, presented, address, now).await?;
    let record = found.as_ref().map(|found| &found.record);
    if let Err(refused) = judge(&identity.pepper, presented, record, address, now) {
        tracing::info!(key_id = presented.id, ?refused, "a service token was refused");
        return Err(TokenFault::ServiceToken.into());
    }
    let Some(found) = found.filter(|found| found.is_active) else { return Err(TokenFault::Principal.into()) };
    Ok(Caller::Principal(Arc::clone(&found.signed_in)))
}
