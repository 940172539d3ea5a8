//! API keys: how programs sign in. A key belongs to a user or to a service account of one organization, works in that organization only,
//! and is limited to its scopes; what it may do is what its owner may do at that moment, and never more. A service account's keys,
//! also called service tokens, outlive the people who made them.
//!
//! Here they are made, listed and revoked; `credential_change.rs` changes and rotates them, `credential_caller.rs` lets their bearers in.

use super::credential_text::{CredentialKind, generate};
use super::key_scope;
use crate::App;
use crate::audit;
use crate::caller::{Listing, Page, RequestContext};
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{limit, member, rules, text};
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::{MemberFact, OrganizationFacts, PrincipalKind, PrincipalStatus};
use charter_kernel::{CredentialId, OrganizationId, PrincipalId, Problem, ProblemKind, Timestamp, Window};
use charter_policy::condition::AddressRange;
use charter_store as store;
use charter_store::credential::HashAlgorithm;
use zeroize::Zeroizing;

pub use super::credential_state::{KeyFilter, KeyState};
pub use charter_store::credential::Credential;

/// The limit of the plan.
pub(super) const LIMIT: &str = "api_keys";
/// Most blocks of addresses of one key.
const BLOCKS_MAX: usize = 100;
/// Most requests a minute a rate may say.
const PER_MINUTE_MAX: u32 = 600_000;
/// How many rows are read at a time where not every row is wanted.
const READ_AT_ONCE: u32 = 500;

/// A key to be made.
#[derive(Debug, Clone)]
pub struct CredentialDraft {
    /// The service account it belongs to, by id or name; none is whoever asks.
    pub account: Option<String>,
    /// What it is for.
    pub name: String,
    /// Scopes its rights are limited to; left out, all its owner has.
    pub scopes: Option<Vec<String>>,
    /// Blocks of addresses it may be used from; left out, any.
    pub addresses: Option<Vec<String>>,
    /// When it is valid.
    pub window: Window,
    /// How many requests a minute it is good for; left out, no limit of its own.
    pub requests_per_minute: Option<u32>,
}

/// A key that was made; its text is seen here and never again.
pub struct NewCredential {
    /// The key as it is kept.
    pub credential: Credential,
    /// Its text.
    pub token: Zeroizing<String>,
}

impl std::fmt::Debug for NewCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCredential").field("key_id", &self.credential.key_id).finish_non_exhaustive()
    }
}

/// Which keys of an organization somebody has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Their own, and those of service accounts.
    Own,
    /// Those of service accounts.
    Service,
    /// All of them.
    All,
}

impl Reach {
    fn holds(self, ctx: &RequestContext, row: &Credential) -> bool {
        let is_service = row.kind == CredentialKind::Service.letter();
        match self {
            Self::All => true,
            Self::Service => is_service,
            Self::Own => {
                is_service || ctx.is_operator() || ctx.principal().is_some_and(|it| it.id == row.principal)
            }
        }
    }
}

/// Whether a key comes from a former system.
pub fn is_adopted(row: &Credential) -> bool {
    row.alg != HashAlgorithm::Hmac
}

/// The beginning of a key's text, by which people find it again: everything that is public of it.
pub fn preview(row: &Credential, is_live: bool) -> String {
    let mode = if is_live { "live" } else { "test" };
    if is_adopted(row) { row.key_id.clone() } else { format!("ch{}_{mode}_{}", row.kind, row.key_id) }
}

pub(super) fn missing(id: CredentialId) -> Problem {
    Problem::not_found(format!("no API key {id} in this organization"))
}

/// Keys make no keys, and change none: who has found one would else never be rid of.
pub(super) fn by_a_person(ctx: &RequestContext) -> Result<(), Problem> {
    if ctx.is_by_program() {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "neither an API key nor an application makes, changes or rotates keys: sign in as a user",
        ));
    }
    Ok(())
}

pub(super) fn checked_addresses(blocks: Option<&[String]>) -> Result<(), Problem> {
    let Some(blocks) = blocks else { return Ok(()) };
    if blocks.is_empty() || blocks.len() > BLOCKS_MAX {
        return Err(Problem::invalid(
            "addresses",
            format!("1 to {BLOCKS_MAX} blocks are expected; leave it out for no limit"),
        ));
    }
    match blocks.iter().find_map(|block| AddressRange::parse(block).err()) {
        Some(wrong) => Err(Problem::invalid("addresses", wrong.to_string())),
        None => Ok(()),
    }
}

pub(super) fn checked_rate(per_minute: Option<u32>) -> Result<(), Problem> {
    match per_minute {
        Some(rate) if rate == 0 || rate > PER_MINUTE_MAX => Err(Problem::invalid(
            "requests_per_minute",
            format!("1 to {PER_MINUTE_MAX} is expected; leave it out for no limit of its own"),
        )),
        _ => Ok(()),
    }
}

/// Nobody gets the text of a key that may do more than they may.
pub(super) fn not_beyond(
    app: &App,
    ctx: &RequestContext,
    facts: &OrganizationFacts,
    owner: PrincipalId,
    scopes: Option<&[String]>,
) -> Result<(), Problem> {
    let index = app.snapshots().index();
    let Some(giver) = ctx.principal().filter(|giver| giver.id != owner) else { return Ok(()) };
    let given = rules::may_hold(&index, facts, owner).intersect(&key_scope::ceiling(&index, scopes)?);
    let beyond = given.without(&rules::held_by(&index, facts, giver.id, ctx.now));
    match beyond.iter().next().and_then(|first| index.code(first)) {
        Some(code) => Err(Problem::new(
            ProblemKind::BeyondGiver,
            format!(
                "the key could do what you may not ({code}): limit it with scopes, or ask somebody who may"
            ),
        )),
        None => Ok(()),
    }
}

fn owner_of<'a>(
    ctx: &RequestContext,
    facts: &'a OrganizationFacts,
    account: Option<&str>,
) -> Result<(&'a MemberFact, CredentialKind), Problem> {
    let (owner, kind) = match (account, ctx.principal()) {
        (Some(account), _) => {
            let found = member::find(facts, account)?;
            if found.kind != PrincipalKind::ServiceAccount {
                return Err(Problem::invalid(
                    "account",
                    "is a user: users make their own keys, others get theirs through a service account",
                ));
            }
            (found, CredentialKind::Service)
        }
        (None, Some(caller)) => {
            let found = member::find(facts, &caller.id.to_string())?;
            if found.kind != PrincipalKind::User {
                return Err(Problem::invalid("account", "is missing: say which service account"));
            }
            (found, CredentialKind::User)
        }
        (None, None) => {
            return Err(Problem::invalid(
                "account",
                "is missing: the operator is no user, so say for which service account",
            ));
        }
    };
    if owner.standing() != PrincipalStatus::Active {
        return Err(Problem::invalid("account", format!("is {}", owner.standing().as_str())));
    }
    Ok((owner, kind))
}

/// Makes a key.
pub async fn create(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    draft: CredentialDraft,
) -> Result<NewCredential, Problem> {
    by_a_person(ctx)?;
    let (organization, now) = (permit.organization(), ctx.now);
    let name = text::name("name", &draft.name)?;
    if draft.window.is_over(now) {
        return Err(Problem::invalid("expires_at", "lies in the past"));
    }
    if let Some(scopes) = &draft.scopes {
        key_scope::check(&app.snapshots().index(), scopes)?;
    }
    checked_addresses(draft.addresses.as_deref())?;
    checked_rate(draft.requests_per_minute)?;
    let facts = crate::facts(app, organization).await?;
    let (owner, kind) = owner_of(ctx, &facts, draft.account.as_deref())?;
    not_beyond(app, ctx, &facts, owner.principal, draft.scopes.as_deref())?;
    let (mut credential, token) = fresh(app, ctx, organization, owner.principal, kind);
    credential.name = name;
    credential.scopes = draft.scopes;
    credential.addresses = draft.addresses;
    credential.window = draft.window;
    credential.requests_per_minute = draft.requests_per_minute;
    let (ctx_inside, row, catalogue) = (ctx.clone(), credential.clone(), app.snapshots().catalogue());
    let ((), revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let count = store::credential::count_live(transaction.tx(), organization, now).await?;
                limit::keep_within(transaction.tx(), &catalogue, organization, LIMIT, count + 1, now).await?;
                store::credential::insert(transaction.tx(), &row).await?;
                let event = told(&ctx_inside, "credential.issue", None, Some(&row), row.id);
                transaction.commit(event, Vec::new(), ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await?;
    app.identity().credentials.forget(credential.key_id.as_str());
    app.snapshots().hear_own(organization, revision).await?;
    Ok(NewCredential { credential, token })
}

/// A key nobody has yet, with its text.
pub(super) fn fresh(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    owner: PrincipalId,
    kind: CredentialKind,
) -> (Credential, Zeroizing<String>) {
    let identity = app.identity();
    let token = generate(kind, identity.settings.is_live, || app.world().random());
    let (pepper_version, hash) = identity.pepper.stamped_token(&token.text);
    let credential = Credential {
        organization,
        id: CredentialId(app.fresh_id()),
        principal: owner,
        kind: kind.letter(),
        key_id: token.id,
        alg: HashAlgorithm::Hmac,
        pepper_version: Some(pepper_version),
        hash: hash.to_vec(),
        name: String::new(),
        scopes: None,
        addresses: None,
        window: Window::ALWAYS,
        revoked_at: None,
        revoked_by: None,
        revoke_reason: None,
        successor_of: None,
        overlap_until: None,
        created_by: ctx.principal().map(|caller| caller.id),
        created_at: ctx.now,
        last_used_at: None,
        last_used_address: None,
        use_count: 0,
        row_version: 1,
        requests_per_minute: None,
        upgraded_hash: None,
        quarantined_at: None,
        notice_days: None,
    };
    (credential, token.text)
}

/// A key as the audit trail has it: everything but the hash.
fn record(row: &Credential) -> String {
    serde_json::json!({
        "key_id": row.key_id,
        "name": row.name,
        "principal": row.principal,
        "scopes": row.scopes,
        "addresses": row.addresses,
        "not_before": row.window.from(),
        "expires_at": row.window.to(),
        "requests_per_minute": row.requests_per_minute,
        "overlap_until": row.overlap_until,
        "successor_of": row.successor_of,
    })
    .to_string()
}

/// The event of a change of a key.
pub(super) fn told(
    ctx: &RequestContext,
    action: &'static str,
    before: Option<&Credential>,
    after: Option<&Credential>,
    id: CredentialId,
) -> charter_kernel::audit::AuditEvent {
    let organization = before.or(after).map_or(OrganizationId(0), |row| row.organization);
    let mut event = audit::event(ctx, organization, action, "credential", id.to_string());
    event.before = before.map(record);
    event.after = after.map(record);
    event
}

/// One key, without its secret.
pub async fn get(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    reach: Reach,
    id: CredentialId,
) -> Result<Credential, Problem> {
    let organization = permit.organization();
    reading!(app.database(), organization, |conn| store::credential::get(conn, organization, id))?
        .filter(|row| reach.holds(ctx, row))
        .ok_or_else(|| missing(id))
}

/// The key with an id, while the organization's lock is held.
pub(super) async fn locked(
    transaction: &mut Transaction<'_>,
    ctx: &RequestContext,
    reach: Reach,
    id: CredentialId,
) -> Result<Credential, Problem> {
    let organization = transaction.organization();
    store::credential::get(transaction.tx(), organization, id)
        .await?
        .filter(|row| reach.holds(ctx, row))
        .ok_or_else(|| missing(id))
}

/// Whose keys are listed for somebody: those of the service account they name, else their own; the operator sees all.
pub async fn owner_asked(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    account: Option<&str>,
) -> Result<Option<PrincipalId>, Problem> {
    let Some(account) = account else { return Ok(ctx.principal().map(|caller| caller.id)) };
    let facts = crate::facts(app, permit.organization()).await?;
    let found = member::find(&facts, account)?;
    let is_own = ctx.is_operator() || ctx.principal().is_some_and(|caller| caller.id == found.principal);
    if is_own || found.kind == PrincipalKind::ServiceAccount {
        return Ok(Some(found.principal));
    }
    Err(Problem::not_found(format!("no service account {account:?} in this organization")))
}

/// The keys a filter wants in the order they were made, revoked ones too, one page.
pub async fn list(
    app: &App,
    permit: &Permit,
    filter: &KeyFilter,
    now: Timestamp,
    page: &Page,
) -> Result<Listing<Credential>, Problem> {
    let organization = permit.organization();
    let mut after = match &page.after {
        None => CredentialId(0),
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
    };
    let limit = page.limit as usize;
    let mut items: Vec<Credential> = Vec::new();
    loop {
        let (owner, from) = (filter.owner, after);
        let found = reading!(app.database(), organization, |conn| async move {
            match owner {
                Some(owner) => {
                    store::credential::page_of_principal(conn, organization, owner, from, READ_AT_ONCE).await
                }
                None => store::credential::page(conn, organization, from, READ_AT_ONCE).await,
            }
        })?;
        let last = found.rows.last().map(|row| row.id);
        items.extend(found.rows.into_iter().filter(|row| filter.wants(row, now)));
        if items.len() > limit {
            items.truncate(limit);
            let next = items.last().map(|row| row.id.to_string());
            return Ok(Listing { items, next });
        }
        match last {
            Some(last) if found.more => after = last,
            _ => return Ok(Listing { items, next: None }),
        }
    }
}

/// Revokes a key, for good. It stays in the list, for the trail.
pub async fn revoke(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    reach: Reach,
    id: CredentialId,
    reason: &str,
) -> Result<Credential, Problem> {
    let (organization, now) = (permit.organization(), ctx.now);
    let reason = text::reason("reason", reason)?;
    let (ctx_inside, catalogue) = (ctx.clone(), app.snapshots().catalogue());
    let (credential, revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let by = ctx_inside.principal().map(|caller| caller.id);
                let before = locked(&mut transaction, &ctx_inside, reach, id).await?;
                if !store::credential::revoke(transaction.tx(), organization, id, by, &reason, now).await? {
                    return Err(Problem::new(ProblemKind::InUse, "the key was revoked before"));
                }
                let after = locked(&mut transaction, &ctx_inside, reach, id).await?;
                let count = store::credential::count_live(transaction.tx(), organization, now).await?;
                limit::note(transaction.tx(), &catalogue, organization, LIMIT, count, now).await?;
                let mut event = told(&ctx_inside, "credential.revoke", Some(&before), None, id);
                event.reason = reason;
                transaction.commit(event, Vec::new(), after).await
            }) as BoxFuture<'_, Result<Committed<Credential>, Problem>>
        })
        .await?;
    app.identity().credentials.forget(credential.key_id.as_str());
    app.snapshots().hear_own(organization, revision).await?;
    Ok(credential)
}
