//! Requests of newcomers on an administrator's desk: who waits, who is let in, who is turned down. Nobody lets themselves in, and nobody
//! gives a role above their own.

use super::newcomer::{self, KEPT_SECONDS, admit, fetch, open, organization_of};
use super::newcomer_mail::{self, NewcomerMail};
use super::registration::{LIFE_SECONDS, email_place, name_place, roles_of};
use super::{password_reset, registration_settings};
use crate::App;
use crate::audit;
use crate::caller::{Listing, Page, RequestContext};
use crate::guard::Permit;
use crate::rules;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, RegistrationId, RoleKey, Timestamp};
use charter_store as store;
use store::registration::{Closing, Registration};

pub use charter_store::registration::RegistrationStatus;

/// Requests ended in one round of the job.
const AT_ONCE: u32 = 100;

/// A request as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationView {
    /// Its id.
    pub id: RegistrationId,
    /// The address, which was proved.
    pub email: String,
    /// The name they gave.
    pub name: String,
    /// The role they asked for.
    pub role: Option<RoleKey>,
    /// Where it is in its life.
    pub status: RegistrationStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its time is over.
    pub expires_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// By whom; none is the operator, or nobody.
    pub decided_by: Option<PrincipalId>,
    /// Why.
    pub reason: Option<String>,
    /// The account that came of it.
    pub principal: Option<PrincipalId>,
}

async fn view(app: &App, it: Registration, now: Timestamp) -> Result<RegistrationView, Problem> {
    let is_over = it.status == RegistrationStatus::Waiting && it.expires_at <= now;
    Ok(RegistrationView {
        email: open(app, &email_place(it.id), &it.email).await?,
        name: open(app, &name_place(it.id), &it.name).await?,
        id: it.id,
        role: it.role,
        status: if is_over { RegistrationStatus::Expired } else { it.status },
        created_at: it.created_at,
        expires_at: it.expires_at,
        decided_at: it.decided_at,
        decided_by: it.decided_by,
        reason: it.reason,
        principal: it.principal,
    })
}

fn missing(id: RegistrationId) -> Problem {
    Problem::not_found(format!("no request {id} in this organization"))
}

/// Requests whose address was proved, newest first, one page.
pub async fn list(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    status: Option<RegistrationStatus>,
    page: &Page,
) -> Result<Listing<RegistrationView>, Problem> {
    let (organization, limit) = (permit.organization(), page.limit);
    let below = newcomer::below(page, RegistrationId(u128::MAX))?;
    let found = reading!(app.database(), organization, |conn| store::registration::page(
        conn,
        organization,
        below,
        status,
        limit
    ))?;
    newcomer::listing(found, |it| it.id, |it| Box::pin(view(app, it, ctx.now))).await
}

/// One request.
pub async fn get(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: RegistrationId,
) -> Result<RegistrationView, Problem> {
    let organization = permit.organization();
    let found =
        reading!(app.database(), organization, |conn| store::registration::get(conn, organization, id))?;
    let found = found.filter(|request| request.proved_at.is_some());
    view(app, found.ok_or_else(|| missing(id))?, ctx.now).await
}

/// A request that waits for a decision.
async fn waiting(
    tx: &mut Tx,
    organization: OrganizationId,
    id: RegistrationId,
    now: Timestamp,
) -> Result<Registration, Problem> {
    let found = store::registration::get(tx, organization, id).await?;
    let request = found.filter(|request| request.proved_at.is_some()).ok_or_else(|| missing(id))?;
    if request.status != RegistrationStatus::Waiting || request.expires_at <= now {
        let status = request.status.as_str();
        let over = if request.status == RegistrationStatus::Waiting { "expired" } else { status };
        return Err(Problem::new(ProblemKind::Gone, format!("the request is {over} already")));
    }
    Ok(request)
}

fn of_caller(ctx: &RequestContext, email: &str) -> Result<(), Problem> {
    let is_own = ctx.principal().is_some_and(|caller| text::fold_login(&caller.login) == email);
    if is_own {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "nobody decides on their own request: ask somebody else",
        ));
    }
    Ok(())
}

fn event(
    ctx: &RequestContext,
    organization: OrganizationId,
    action: &'static str,
    id: RegistrationId,
    reason: &str,
) -> charter_kernel::audit::AuditEvent {
    let mut event = audit::event(ctx, organization, action, "registration", id.to_string());
    event.reason = reason.to_owned();
    event
}

/// Lets a newcomer in, with the role they asked for, another of the list, or the default one.
pub async fn approve(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: RegistrationId,
    role: Option<String>,
    reason: String,
) -> Result<RegistrationView, Problem> {
    let (organization, now) = (permit.organization(), ctx.now);
    let reason = text::demanded_reason("reason", &reason)?;
    let role = role.as_deref().map(|text| registration_settings::role("role", text)).transpose()?;
    let shown = get(app, ctx, permit, id).await?;
    of_caller(ctx, &shown.email)?;
    let fact = organization_of(app, organization).await?;
    let arrival = fetch(app, &shown.email, &shown.name, now).await?;
    let (app_inside, ctx_inside) = (app.clone(), ctx.clone());
    let (done, revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let (app, ctx) = (app_inside, ctx_inside);
                let request = waiting(transaction.tx(), organization, id, now).await?;
                let settings = store::registration_settings::get(transaction.tx(), organization).await?;
                let wanted = role.as_ref().or(request.role.as_ref());
                let roles = roles_of(&app, &mut transaction, &settings, wanted).await?;
                require_may_let_in(&app, &ctx, &mut transaction, &roles).await?;
                let events = admit(&app, &mut transaction, &ctx, &arrival, &roles, &reason).await?;
                let principal = &arrival.principal;
                let closing = Closing {
                    status: RegistrationStatus::Approved,
                    at: now,
                    by: ctx.principal().map(|caller| caller.id),
                    reason: reason.clone(),
                    principal: Some(principal.id),
                };
                let tx = transaction.tx();
                if !store::registration::close(tx, organization, id, RegistrationStatus::Waiting, &closing)
                    .await?
                {
                    return Err(Problem::new(ProblemKind::Gone, "the request ended meanwhile"));
                }
                let token = match &principal.password_hash {
                    Some(_) => None,
                    None => Some(password_reset::make(&app, tx, principal, now, LIFE_SECONDS).await?),
                };
                let mail =
                    NewcomerMail::Approved { organization: fact.name, token, lasts_seconds: LIFE_SECONDS };
                let (to, account) = (&principal.login_folded, Some(principal.id));
                newcomer_mail::queue(&app, tx, to, account, &mail, now).await?;
                let done =
                    store::registration::get(tx, organization, id).await?.ok_or_else(|| missing(id))?;
                let first = event(&ctx, organization, "registration.approve", id, &reason);
                transaction.commit(first, events, done).await
            }) as BoxFuture<'_, Result<Committed<Registration>, Problem>>
        })
        .await?;
    app.snapshots().hear_own(organization, revision).await?;
    view(app, done, now).await
}

/// Nobody lets in above their own level, or with rights they do not hold.
async fn require_may_let_in(
    app: &App,
    ctx: &RequestContext,
    transaction: &mut Transaction<'_>,
    roles: &[RoleKey],
) -> Result<(), Problem> {
    let Some(caller) = ctx.principal() else { return Ok(()) };
    let organization = transaction.organization();
    let facts = store::facts::read(transaction.tx(), organization)
        .await?
        .ok_or_else(|| Problem::not_found("no such organization"))?;
    let index = app.snapshots().index();
    let ceiling = caller.ceiling.as_ref().map(|ceiling| ceiling.under(&index));
    rules::require_may_give(&index, &facts, caller.id, ceiling.as_ref(), roles, ctx.now)
}

/// Turns a newcomer down, and tells them why.
pub async fn reject(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: RegistrationId,
    reason: String,
) -> Result<RegistrationView, Problem> {
    let (organization, now) = (permit.organization(), ctx.now);
    let reason = text::demanded_reason("reason", &reason)?;
    let shown = get(app, ctx, permit, id).await?;
    of_caller(ctx, &shown.email)?;
    let fact = organization_of(app, organization).await?;
    let (app_inside, ctx_inside) = (app.clone(), ctx.clone());
    let (done, revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let (app, ctx, tx) = (app_inside, ctx_inside, transaction.tx());
                waiting(tx, organization, id, now).await?;
                let closing = Closing {
                    status: RegistrationStatus::Rejected,
                    at: now,
                    by: ctx.principal().map(|caller| caller.id),
                    reason: reason.clone(),
                    principal: None,
                };
                store::registration::close(tx, organization, id, RegistrationStatus::Waiting, &closing)
                    .await?;
                let mail = NewcomerMail::Rejected { organization: fact.name, reason: reason.clone() };
                newcomer_mail::queue(&app, tx, &shown.email, None, &mail, now).await?;
                let done =
                    store::registration::get(tx, organization, id).await?.ok_or_else(|| missing(id))?;
                let event = event(&ctx, organization, "registration.reject", id, &reason);
                transaction.commit(event, Vec::new(), done).await
            }) as BoxFuture<'_, Result<Committed<Registration>, Problem>>
        })
        .await?;
    app.snapshots().hear_own(organization, revision).await?;
    view(app, done, now).await
}

/// Ends requests whose time is over.
pub(super) async fn expire(app: &App, now: Timestamp) -> Result<(), Problem> {
    let platform = app.platform();
    let overdue = reading_all!(app.database(), |conn| store::registration::overdue(conn, now, AT_ONCE))?;
    for (organization, id) in overdue {
        let written = app
            .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    let tx = transaction.tx();
                    let found = store::registration::get(tx, organization, id).await?;
                    let request = found.ok_or_else(|| missing(id))?;
                    let reason = "nobody proved or decided it in time".to_owned();
                    let status = RegistrationStatus::Expired;
                    let closing = Closing { status, at: now, by: None, reason, principal: None };
                    if !store::registration::close(tx, organization, id, request.status, &closing).await? {
                        return Err(missing(id));
                    }
                    let action = "registration.expire";
                    let mut event = audit::system_event(
                        "identity",
                        organization,
                        now,
                        action,
                        "registration",
                        id.to_string(),
                    );
                    event.reason = closing.reason;
                    transaction.commit(event, Vec::new(), ()).await
                }) as BoxFuture<'_, Result<Committed<()>, Problem>>
            })
            .await;
        match written {
            // Another node was first.
            Err(problem) if problem.kind == ProblemKind::NotFound => {}
            Err(problem) => {
                tracing::warn!(registration = %id, %problem, "a request for an account could not be ended: later again");
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Forgets ended requests after a while.
pub(super) async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let before = now.plus_seconds(-KEPT_SECONDS);
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                store::registration::purge(tx, before).await?;
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}
