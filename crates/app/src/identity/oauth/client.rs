//! Clients of an organization: applications it registered, made, changed, switched off and removed by its administrators.
//!
//! A client can come to act for others in two ways without anybody being asked: as the organization's own (no consent), and as a service
//! account. So nobody makes, turns or gives a new secret to a client that could thereby do what they may not.

use super::client_form::{account, check_form, check_reach};
use super::client_secret::generate;
use super::scope::Scope;
use super::{CLIENT_CREDENTIALS, ClientKind, ClientStatus, IdTokenAlg, OauthClient, client_audience};
use crate::App;
use crate::audit;
use crate::caller::{Listing, Page, RequestContext};
use crate::guard::Permit;
use crate::identity::session;
use crate::transaction::{Committed, Transaction};
use crate::{limit, text};
use charter_db::{BoxFuture, Scope as Sees, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{OauthClientId, OrganizationId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use zeroize::Zeroizing;

/// The limit of the plan.
const LIMIT: &str = "oauth_clients";
/// Longest time two secrets are in force.
const OVERLAP_SECONDS_MAX: u32 = 30 * 86_400;

/// A client to be registered.
#[derive(Debug, Clone)]
pub struct ClientDraft {
    /// What people know it as.
    pub name: String,
    /// Where it runs.
    pub kind: ClientKind,
    /// Where browsers may be sent back to.
    pub redirect_uris: Vec<String>,
    /// Where they may be sent after signing out.
    pub post_logout_redirect_uris: Vec<String>,
    /// How it may ask for tokens.
    pub grant_types: Vec<String>,
    /// What it may ask for.
    pub scopes: Vec<String>,
    /// What its access tokens may be for besides Charter itself.
    pub audiences: Vec<String>,
    /// Whether it is the organization's own.
    pub is_first_party: bool,
    /// How its ID tokens are signed.
    pub id_token_alg: IdTokenAlg,
    /// Whom its client credentials stand for: a service account's id or name.
    pub service_account: Option<String>,
}

/// What may change about a client; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientUpdate {
    /// What people know it as.
    pub name: Option<String>,
    /// Where browsers may be sent back to.
    pub redirect_uris: Option<Vec<String>>,
    /// Where they may be sent after signing out.
    pub post_logout_redirect_uris: Option<Vec<String>>,
    /// How it may ask for tokens.
    pub grant_types: Option<Vec<String>>,
    /// What it may ask for.
    pub scopes: Option<Vec<String>>,
    /// What its access tokens may be for besides Charter itself.
    pub audiences: Option<Vec<String>>,
    /// Whether it is the organization's own.
    pub is_first_party: Option<bool>,
    /// How its ID tokens are signed.
    pub id_token_alg: Option<IdTokenAlg>,
    /// Whom its client credentials stand for.
    pub service_account: Option<String>,
    /// Whether it may be used.
    pub is_active: Option<bool>,
}

/// A client with its new secret, which is seen here and never again.
pub struct WithSecret {
    /// The client.
    pub client: OauthClient,
    /// Its secret; clients that can keep none have none.
    pub secret: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for WithSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WithSecret").field("client", &self.client.id).finish_non_exhaustive()
    }
}

fn missing(id: OauthClientId) -> Problem {
    Problem::not_found(format!("no OAuth client {id} in this organization"))
}

fn require_person(ctx: &RequestContext) -> Result<(), Problem> {
    if !ctx.is_by_program() {
        return Ok(());
    }
    let detail =
        "neither a service token nor an application makes or changes OAuth clients: sign in as a user";
    Err(Problem::new(ProblemKind::Forbidden, detail))
}

/// A client as the trail has it: everything but its secrets.
fn record(it: &OauthClient) -> String {
    serde_json::json!({
        "name": it.name,
        "kind": it.kind.as_str(),
        "redirect_uris": it.redirect_uris,
        "post_logout_redirect_uris": it.post_logout_redirect_uris,
        "grant_types": it.grant_types,
        "scopes": it.scopes,
        "audiences": it.audiences,
        "first_party": it.is_first_party,
        "id_token_alg": it.id_token_alg.as_str(),
        "service_account": it.service_account,
        "status": it.status.as_str(),
    })
    .to_string()
}

fn told(ctx: &RequestContext, it: &OauthClient, action: &'static str) -> AuditEvent {
    audit::event(ctx, it.organization, action, "oauth_client", it.id.to_string())
}

async fn one(tx: &mut Tx, organization: OrganizationId, id: OauthClientId) -> Result<OauthClient, Problem> {
    let found = store::oauth_client::get(tx, organization, id).await?;
    found.filter(|client| client.status != ClientStatus::Deleted).ok_or_else(|| missing(id))
}

/// Runs one change of an organization's clients; the sessions it ended are forgotten here at once.
async fn changing<T: Send + 'static>(
    app: &App,
    organization: OrganizationId,
    now: Timestamp,
    body: impl for<'a> FnOnce(Transaction<'a>) -> BoxFuture<'a, Result<Committed<(T, Vec<SessionId>)>, Problem>>
    + Send
    + 'static,
) -> Result<T, Problem> {
    let ((value, ended), revision) = app.write(Sees::Installation, organization, now, body).await?;
    session::forget(app, &ended);
    app.snapshots().hear_own(organization, revision).await?;
    Ok(value)
}

/// Registers a client.
pub async fn create(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    draft: ClientDraft,
) -> Result<WithSecret, Problem> {
    require_person(ctx)?;
    let (organization, now) = (permit.organization(), ctx.now);
    let secret = (draft.kind == ClientKind::Confidential).then(|| generate(app));
    let (secret, version, hash) = match secret {
        Some((secret, version, hash)) => (Some(secret), Some(version), Some(hash)),
        None => (None, None, None),
    };
    let client = OauthClient {
        organization,
        id: OauthClientId(app.fresh_id()),
        name: text::name("name", &draft.name)?,
        kind: draft.kind,
        redirect_uris: draft.redirect_uris,
        post_logout_redirect_uris: draft.post_logout_redirect_uris,
        grant_types: draft.grant_types,
        scopes: draft.scopes,
        audiences: draft.audiences,
        is_first_party: draft.is_first_party,
        id_token_alg: draft.id_token_alg,
        service_account: account(app, organization, draft.service_account.as_deref()).await?,
        pepper_version: version,
        secret_hash: hash,
        previous_secret_hash: None,
        previous_pepper_version: None,
        previous_until: None,
        status: ClientStatus::Active,
        created_by: ctx.principal().map(|caller| caller.id),
        created_at: now,
        updated_at: now,
        row_version: 1,
    };
    check_form(app, &client)?;
    check_reach(app, ctx, &client).await?;
    let (ctx_inside, catalogue) = (ctx.clone(), app.snapshots().catalogue());
    let is_platform = organization == app.platform();
    let client = changing(app, organization, now, move |mut transaction| {
        Box::pin(async move {
            let tx = transaction.tx();
            let count = store::oauth_client::count(tx, organization).await?;
            limit::keep_within(tx, &catalogue, organization, LIMIT, count + 1, now).await?;
            client_audience::take(tx, organization, is_platform, &client.audiences).await?;
            store::oauth_client::insert(tx, organization, &client).await?;
            let mut event = told(&ctx_inside, &client, "oauth_client.create");
            event.after = Some(record(&client));
            transaction.commit(event, Vec::new(), (client, Vec::new())).await
        })
    })
    .await?;
    Ok(WithSecret { client, secret })
}

/// One client, removed or not.
pub async fn get(app: &App, permit: &Permit, id: OauthClientId) -> Result<OauthClient, Problem> {
    let organization = permit.organization();
    reading!(app.database(), organization, |conn| store::oauth_client::get(conn, organization, id))?
        .ok_or_else(|| missing(id))
}

/// Clients in the order they were registered, removed ones too, one page.
pub async fn list(app: &App, permit: &Permit, page: &Page) -> Result<Listing<OauthClient>, Problem> {
    let (organization, limit) = (permit.organization(), page.limit);
    let after = match &page.after {
        None => OauthClientId(0),
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
    };
    let found = reading!(app.database(), organization, |conn| store::oauth_client::page(
        conn,
        organization,
        after,
        limit
    ))?;
    let next = if found.more { found.rows.last().map(|row| row.id.to_string()) } else { None };
    Ok(Listing { items: found.rows, next })
}

/// Whether people have to be asked again, and what they gave has to end: the client goes elsewhere, or reaches further.
fn is_another(app: &App, before: &OauthClient, after: &OauthClient) -> bool {
    let scope = |client: &OauthClient| Scope::of(client.scopes.clone()).unwrap_or_default();
    let goes_elsewhere = after.redirect_uris.iter().any(|uri| !before.redirect_uris.contains(uri));
    let reaches_more = after.audiences.iter().any(|uri| !before.audiences.contains(uri));
    goes_elsewhere || reaches_more || scope(after).beyond(&scope(before), &app.snapshots().index()).is_some()
}

/// Whether what it was given before may be more than it would be given now.
fn is_narrower(before: &OauthClient, after: &OauthClient) -> bool {
    let lacks = |before: &[String], after: &[String]| before.iter().any(|word| !after.contains(word));
    // What nobody was asked about was given because it was the organization's own.
    before.is_first_party && !after.is_first_party
        || lacks(&before.scopes, &after.scopes)
        || lacks(&before.audiences, &after.audiences)
        || lacks(&before.grant_types, &after.grant_types)
        || before.service_account != after.service_account
}

/// Changes a client. Switched off, or with less to ask for, what it was given ends.
pub async fn update(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: OauthClientId,
    update: ClientUpdate,
) -> Result<OauthClient, Problem> {
    require_person(ctx)?;
    let (organization, now) = (permit.organization(), ctx.now);
    let before = get(app, permit, id).await?;
    if before.status == ClientStatus::Deleted {
        return Err(missing(id));
    }
    // Whoever may change clients may stop one, whatever it could do.
    let off = ClientUpdate { is_active: Some(false), ..ClientUpdate::default() };
    let only_switches_off = update == off;
    let account = account(app, organization, update.service_account.as_deref()).await?;
    let mut after = before.clone();
    if let Some(name) = &update.name {
        after.name = text::name("name", name)?;
    }
    after.redirect_uris = update.redirect_uris.unwrap_or(after.redirect_uris);
    after.post_logout_redirect_uris =
        update.post_logout_redirect_uris.unwrap_or(after.post_logout_redirect_uris);
    after.grant_types = update.grant_types.unwrap_or(after.grant_types);
    after.scopes = update.scopes.unwrap_or(after.scopes);
    after.audiences = update.audiences.unwrap_or(after.audiences);
    after.is_first_party = update.is_first_party.unwrap_or(after.is_first_party);
    after.id_token_alg = update.id_token_alg.unwrap_or(after.id_token_alg);
    after.service_account = account.or(after.service_account);
    if !after.grant_types.iter().any(|grant| grant == CLIENT_CREDENTIALS) {
        after.service_account = None;
    }
    if let Some(is_active) = update.is_active {
        after.status = if is_active { ClientStatus::Active } else { ClientStatus::Disabled };
    }
    after.updated_at = now;
    check_form(app, &after)?;
    if !only_switches_off {
        check_reach(app, ctx, &after).await?;
    }
    let is_another = is_another(app, &before, &after);
    let ends = after.status != ClientStatus::Active || is_narrower(&before, &after);
    let (more, less) = (
        client_audience::without(&after.audiences, &before.audiences),
        client_audience::without(&before.audiences, &after.audiences),
    );
    let (ctx_inside, is_platform) = (ctx.clone(), organization == app.platform());
    changing(app, organization, now, move |mut transaction| {
        Box::pin(async move {
            let tx = transaction.tx();
            client_audience::take(tx, organization, is_platform, &more).await?;
            if !store::oauth_client::update(tx, organization, &after).await? {
                let detail = "the client changed meanwhile: try again";
                return Err(Problem::new(ProblemKind::Changed, detail).retry_after(1));
            }
            store::oauth_audience::free(tx, organization, &less).await?;
            if is_another {
                store::oauth_consent::delete_of_client(tx, organization, id).await?;
            }
            let ended = if ends {
                store::session::end_of_client(tx, id, "the client was changed", now).await?
            } else {
                Vec::new()
            };
            let after = one(tx, organization, id).await?;
            let mut event = told(&ctx_inside, &after, "oauth_client.update");
            (event.before, event.after) = (Some(record(&before)), Some(record(&after)));
            transaction.commit(event, Vec::new(), (after, ended)).await
        })
    })
    .await
}

/// Gives a client a new secret; the old one is taken as well for a while. Without that while what it was given ends, too.
pub async fn rotate_secret(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: OauthClientId,
    overlap_seconds: u32,
) -> Result<WithSecret, Problem> {
    require_person(ctx)?;
    if overlap_seconds > OVERLAP_SECONDS_MAX {
        let why = format!("at most {OVERLAP_SECONDS_MAX} (30 days) are allowed");
        return Err(Problem::invalid("overlap_seconds", why));
    }
    let (organization, now, ctx_inside) = (permit.organization(), ctx.now, ctx.clone());
    let before = get(app, permit, id).await?;
    if before.status == ClientStatus::Deleted {
        return Err(missing(id));
    }
    if before.kind != ClientKind::Confidential {
        let detail = "the client keeps no secret: there is nothing to replace";
        return Err(Problem::new(ProblemKind::InUse, detail));
    }
    check_reach(app, ctx, &before).await?;
    let (secret, version, hash) = generate(app);
    let client = changing(app, organization, now, move |mut transaction| {
        Box::pin(async move {
            let tx = transaction.tx();
            let before = one(tx, organization, id).await?;
            let until = now.plus_seconds(i64::from(overlap_seconds));
            let previous =
                before.secret_hash.as_deref().filter(|_| overlap_seconds > 0).map(|hash| (hash, until));
            store::oauth_client::rotate(tx, organization, id, (version, &hash), previous, now).await?;
            let ended = if overlap_seconds == 0 {
                store::session::end_of_client(tx, id, "the client's secret was replaced at once", now).await?
            } else {
                Vec::new()
            };
            let after = one(tx, organization, id).await?;
            let mut event = told(&ctx_inside, &after, "oauth_client.rotate-secret");
            event.after = Some(serde_json::json!({ "previous_until": after.previous_until }).to_string());
            transaction.commit(event, Vec::new(), (after, ended)).await
        })
    })
    .await?;
    Ok(WithSecret { client, secret: Some(secret) })
}

/// Removes a client for good: its secrets go, what it was given ends, its row stays for the trail.
pub async fn delete(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: OauthClientId,
) -> Result<(), Problem> {
    require_person(ctx)?;
    let (organization, now, ctx_inside) = (permit.organization(), ctx.now, ctx.clone());
    let catalogue = app.snapshots().catalogue();
    changing(app, organization, now, move |mut transaction| {
        Box::pin(async move {
            let tx = transaction.tx();
            let before = one(tx, organization, id).await?;
            store::oauth_client::delete(tx, organization, id, now).await?;
            store::oauth_audience::free(tx, organization, &before.audiences).await?;
            let count = store::oauth_client::count(tx, organization).await?;
            limit::note(tx, &catalogue, organization, LIMIT, count, now).await?;
            store::oauth_consent::delete_of_client(tx, organization, id).await?;
            let ended = store::session::end_of_client(tx, id, "the client was removed", now).await?;
            let mut event = told(&ctx_inside, &before, "oauth_client.delete");
            event.before = Some(record(&before));
            transaction.commit(event, Vec::new(), ((), ended)).await
        })
    })
    .await
}
