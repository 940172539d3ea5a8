//! Service tokens: how programs sign in. A token belongs to a service account of one organization, works in that organization only, and is
//! limited to its scopes; what it may do is what its account may do at that moment, and never more.
//!
//! A node remembers a token's record together with the revision of the organization it was read at. Any change of the organization makes
//! the revision of its snapshot pass the record's, and the record is read again: a revocation holds on every node as soon as policy
//! changes do. Nothing is written when a token is used.

use super::authenticate::Stop;
use super::seal::Pepper;
use super::service_token::{self, AddressBlock, Presented, TokenRecord, generate, judge};
use super::token::TokenFault;
use crate::App;
use crate::audit;
use crate::caller::{Caller, Listing, Page, RequestContext, SignedIn};
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{member, rules, text};
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::{PrincipalKind, PrincipalStatus};
use charter_kernel::{CredentialId, Pattern, Problem, ProblemKind, Timestamp, Window};
use charter_policy::{Index, PermissionSet};
use charter_store as store;
use charter_store::credential::{Credential, HashAlgorithm};
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Most scopes, and most blocks of addresses, of one token.
const LIST_MAX: usize = 100;

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
    login: String,
    name: String,
    is_active: bool,
    ceiling: Option<PermissionSet>,
    index: Arc<Index>,
}

const NOTHING_SECONDS: i64 = 60;

fn ceiling(index: &Index, scopes: &[Pattern]) -> PermissionSet {
    let mut set = PermissionSet::EMPTY;
    for scope in scopes {
        set.add(&index.pattern(scope));
    }
    set
}

async fn read(app: &App, key_id: &str) -> Result<Option<Arc<Found>>, Problem> {
    let wanted = key_id.to_owned();
    let read = reading_all!(app.database(), |conn| async move {
        let Some(credential) = store::credential::by_key_id(conn, &wanted).await? else { return Ok(None) };
        let revision = store::revision::get(conn, credential.organization).await?;
        let principal = store::principal::by_id(conn, credential.principal).await?;
        Ok::<_, charter_db::Error>(principal.map(|principal| (credential, revision, principal)))
    })?;
    let Some((credential, revision, principal)) = read else { return Ok(None) };
    let broken = |what: &str| {
        Problem::new(ProblemKind::Internal, format!("service token {}: {what}", credential.key_id))
    };
    let scopes: Option<Vec<Pattern>> = credential
        .scopes
        .as_ref()
        .map(|scopes| scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>())
        .transpose()
        .map_err(|_| broken("a scope is no pattern"))?;
    let addresses: Option<Vec<AddressBlock>> = credential
        .addresses
        .as_ref()
        .map(|blocks| blocks.iter().map(|block| AddressBlock::parse(block)).collect::<Option<_>>())
        .map(|blocks| blocks.ok_or_else(|| broken("an address block is none")))
        .transpose()?;
    let index = app.snapshots().index();
    let is_ours = credential.kind == 's' && credential.alg == HashAlgorithm::Hmac;
    Ok(Some(Arc::new(Found {
        ceiling: scopes.as_ref().map(|scopes| ceiling(&index, scopes)),
        index,
        login: principal.login_folded,
        name: principal.name,
        is_active: principal.status == PrincipalStatus::Active && is_ours,
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
    let found = read(app, presented.id).await?;
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
    Ok(Caller::Principal(SignedIn {
        id: found.record.principal,
        kind: PrincipalKind::ServiceAccount,
        login: found.login.clone(),
        name: found.name.clone(),
        session: None,
        credential: Some(found.record.credential),
        organization: Some(found.record.organization),
        ceiling: found.ceiling,
        amr: vec!["swk".to_owned()],
        expires_at: found.record.expires_at,
    }))
}

/// A service token to be made.
#[derive(Debug, Clone)]
pub struct ServiceTokenDraft {
    /// The service account it belongs to: its id or name.
    pub account: String,
    /// What it is for.
    pub name: String,
    /// Patterns its rights are limited to; left out, all its account has.
    pub scopes: Option<Vec<Pattern>>,
    /// Blocks of addresses it may be used from; left out, any.
    pub addresses: Option<Vec<String>>,
    /// When it is valid.
    pub window: Window,
}

/// A token that was made; its text is seen here and never again.
pub struct NewServiceToken {
    /// The token as it is kept.
    pub credential: Credential,
    /// Its text.
    pub token: Zeroizing<String>,
}

impl std::fmt::Debug for NewServiceToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewServiceToken").field("key_id", &self.credential.key_id).finish_non_exhaustive()
    }
}

fn missing(id: CredentialId) -> Problem {
    Problem::not_found(format!("no service token {id} in this organization"))
}

/// Makes a token. Nobody makes one that may do more than they may.
pub async fn create(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    draft: ServiceTokenDraft,
) -> Result<NewServiceToken, Problem> {
    if ctx.principal().is_some_and(|caller| caller.credential.is_some()) {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "a service token makes no service tokens: sign in as a user",
        ));
    }
    let (identity, organization, now) = (app.identity(), permit.organization(), ctx.now);
    let name = text::name("name", &draft.name)?;
    if draft.window.is_over(now) {
        return Err(Problem::invalid("expires_at", "lies in the past"));
    }
    let index = app.snapshots().index();
    if let Some(scopes) = &draft.scopes {
        if scopes.is_empty() || scopes.len() > LIST_MAX {
            return Err(Problem::invalid(
                "scopes",
                format!("1 to {LIST_MAX} patterns are expected; leave it out for no limit"),
            ));
        }
        if let Some(empty) = scopes.iter().find(|scope| index.pattern(scope).is_empty()) {
            return Err(Problem::invalid(
                "scopes",
                format!("{empty} matches no permission of the catalogue"),
            ));
        }
    }
    if let Some(blocks) = &draft.addresses {
        if blocks.is_empty() || blocks.len() > LIST_MAX {
            return Err(Problem::invalid(
                "addresses",
                format!("1 to {LIST_MAX} blocks are expected; leave it out for no limit"),
            ));
        }
        if let Some(wrong) = blocks.iter().find(|block| AddressBlock::parse(block).is_none()) {
            return Err(Problem::invalid(
                "addresses",
                format!("{wrong:?} is no block of addresses, for example 192.0.2.0/24 or 2001:db8::/32"),
            ));
        }
    }
    let facts = crate::facts(app, organization).await?;
    let account = member::find(&facts, &draft.account)?;
    if account.kind != PrincipalKind::ServiceAccount {
        return Err(Problem::invalid("account", "is a user: service tokens belong to service accounts"));
    }
    if account.status != PrincipalStatus::Active {
        return Err(Problem::invalid("account", format!("is {}", account.status.as_str())));
    }
    let limit = draft.scopes.as_ref().map_or(*index.all(), |scopes| ceiling(&index, scopes));
    if let Some(giver) = ctx.principal() {
        let given = rules::may_hold(&index, &facts, account.principal).intersect(&limit);
        let beyond = given.without(&rules::held_by(&index, &facts, giver.id, now));
        if let Some(code) = beyond.iter().next().and_then(|first| index.code(first)) {
            return Err(Problem::new(
                ProblemKind::BeyondGiver,
                format!(
                    "the token could do what you may not ({code}): limit it with scopes, or ask somebody who may"
                ),
            ));
        }
    }
    let token = generate(identity.settings.is_live, || app.world().random());
    let credential = Credential {
        organization,
        id: CredentialId(app.fresh_id()),
        principal: account.principal,
        kind: 's',
        key_id: token.id,
        alg: HashAlgorithm::Hmac,
        pepper_version: Some(Pepper::VERSION),
        hash: identity.pepper.of_token(&token.text).to_vec(),
        name,
        scopes: draft.scopes.map(|scopes| scopes.iter().map(Pattern::to_string).collect()),
        addresses: draft.addresses,
        window: draft.window,
        revoked_at: None,
        revoked_by: None,
        revoke_reason: None,
        successor_of: None,
        overlap_until: None,
        created_by: ctx.principal().map(|caller| caller.id),
        created_at: now,
        last_used_at: None,
        last_used_address: None,
        use_count: 0,
        row_version: 1,
    };
    let (ctx_inside, row) = (ctx.clone(), credential.clone());
    let ((), revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                store::credential::insert(transaction.tx(), &row).await?;
                let mut event = audit::event(
                    &ctx_inside,
                    organization,
                    "credential.issue",
                    "credential",
                    row.id.to_string(),
                );
                event.after = Some(record(&row));
                transaction.commit(event, Vec::new(), ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await?;
    identity.credentials.forget(credential.key_id.as_str());
    app.snapshots().hear(organization, revision).await?;
    Ok(NewServiceToken { credential, token: token.text })
}

/// A token as the audit trail has it: everything but the hash.
fn record(row: &Credential) -> String {
    serde_json::json!({
        "key_id": row.key_id,
        "name": row.name,
        "principal": row.principal,
        "scopes": row.scopes,
        "addresses": row.addresses,
        "not_before": row.window.from(),
        "expires_at": row.window.to(),
    })
    .to_string()
}

/// One token, without its secret.
pub async fn get(app: &App, permit: &Permit, id: CredentialId) -> Result<Credential, Problem> {
    let organization = permit.organization();
    reading!(app.database(), organization, |conn| store::credential::get(conn, organization, id))?
        .ok_or_else(|| missing(id))
}

/// Tokens in the order they were made, revoked ones too, one page.
pub async fn list(app: &App, permit: &Permit, page: &Page) -> Result<Listing<Credential>, Problem> {
    let (organization, limit) = (permit.organization(), page.limit);
    let after = match &page.after {
        None => CredentialId(0),
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
    };
    let found = reading!(app.database(), organization, |conn| store::credential::page(
        conn,
        organization,
        after,
        limit
    ))?;
    let next = if found.more { found.rows.last().map(|row| row.id.to_string()) } else { None };
    Ok(Listing { items: found.rows, next })
}

/// Revokes a token, for good. It stays in the list, for the trail.
pub async fn revoke(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: CredentialId,
    reason: &str,
) -> Result<Credential, Problem> {
    let (organization, now) = (permit.organization(), ctx.now);
    let reason = text::reason("reason", reason)?;
    let ctx_inside = ctx.clone();
    let (credential, revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let by = ctx_inside.principal().map(|caller| caller.id);
                let before = store::credential::get(transaction.tx(), organization, id)
                    .await?
                    .ok_or_else(|| missing(id))?;
                if !store::credential::revoke(transaction.tx(), organization, id, by, &reason, now).await? {
                    return Err(Problem::new(ProblemKind::InUse, "the token was revoked before"));
                }
                let after = store::credential::get(transaction.tx(), organization, id)
                    .await?
                    .ok_or_else(|| missing(id))?;
                let mut event = audit::event(
                    &ctx_inside,
                    organization,
                    "credential.revoke",
                    "credential",
                    id.to_string(),
                );
                event.reason = reason;
                event.before = Some(record(&before));
                transaction.commit(event, Vec::new(), after).await
            }) as BoxFuture<'_, Result<Committed<Credential>, Problem>>
        })
        .await?;
    app.identity().credentials.forget(credential.key_id.as_str());
    app.snapshots().hear(organization, revision).await?;
    Ok(credential)
}
