//! Service tokens: how programs sign in. A token belongs to a service account of one organization, works in that organization only, and is
//! limited to its scopes; what it may do is what its account may do at that moment, and never more.
//!
//! Here they are made, listed and revoked; `service_caller.rs` lets their bearers in.

use super::seal::Pepper;
use super::service_token::generate;
use crate::App;
use crate::audit;
use crate::caller::{Ceiling, Listing, Page, RequestContext};
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{member, rules, text};
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::{PrincipalKind, PrincipalStatus};
use charter_kernel::{CredentialId, Pattern, Problem, ProblemKind, Window};
use charter_policy::condition::AddressRange;
use charter_store as store;
use charter_store::credential::{Credential, HashAlgorithm};
use zeroize::Zeroizing;

/// Most scopes, and most blocks of addresses, of one token.
const LIST_MAX: usize = 100;

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
    if ctx.is_by_program() {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "neither a service token nor an application makes service tokens: sign in as a user",
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
        if let Some(wrong) = blocks.iter().find_map(|block| AddressRange::parse(block).err()) {
            return Err(Problem::invalid("addresses", wrong.to_string()));
        }
    }
    let facts = crate::facts(app, organization).await?;
    let account = member::find(&facts, &draft.account)?;
    if account.kind != PrincipalKind::ServiceAccount {
        return Err(Problem::invalid("account", "is a user: service tokens belong to service accounts"));
    }
    if account.standing() != PrincipalStatus::Active {
        return Err(Problem::invalid("account", format!("is {}", account.standing().as_str())));
    }
    let limit = draft
        .scopes
        .as_ref()
        .map_or(*index.all(), |scopes| Ceiling::new(scopes.as_slice(), &index).under(&index));
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
    app.snapshots().hear_own(organization, revision).await?;
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
    app.snapshots().hear_own(organization, revision).await?;
    Ok(credential)
}
