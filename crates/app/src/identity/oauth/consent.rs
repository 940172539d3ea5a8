//! What somebody agreed that applications may do on their behalf: seeing it, and taking it back.

use crate::App;
use crate::audit;
use crate::caller::{Listing, Page, RequestContext};
use crate::identity::own_session::own_session_of;
use crate::identity::session;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope as Sees, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{OauthClientId, OrganizationId, PrincipalId, Problem, SessionId, Timestamp};
use charter_store as store;
use std::collections::BTreeMap;

pub use charter_store::oauth_consent::OauthConsent;

fn read_cursor(text: &str) -> Option<(OrganizationId, OauthClientId)> {
    let (organization, client) = text.split_once('_')?;
    Some((organization.parse().ok()?, client.parse().ok()?))
}

/// What the caller agreed to, one organization after the other, one page.
pub async fn list_own(
    app: &App,
    ctx: &RequestContext,
    page: &Page,
) -> Result<Listing<OauthConsent>, Problem> {
    let (caller, _) = own_session_of(ctx)?;
    let who = caller.id;
    let wrong = || Problem::invalid("cursor", "not a cursor of this list");
    let (from, mut after) = match &page.after {
        None => (OrganizationId(0), OauthClientId(0)),
        Some(cursor) => read_cursor(cursor).ok_or_else(wrong)?,
    };
    let places = reading_all!(app.database(), |conn| store::membership::organizations_of(conn, who))?;
    let mut items: Vec<OauthConsent> = Vec::new();
    for organization in places.into_iter().filter(|place| *place >= from) {
        let missing = page.limit - u32::try_from(items.len()).unwrap_or(page.limit);
        let (first, limit) = (if organization == from { after } else { OauthClientId(0) }, missing.max(1));
        let found = reading!(app.database(), organization, |conn| store::oauth_consent::of_principal(
            conn,
            organization,
            who,
            first,
            limit
        ))?;
        if missing == 0 {
            if found.rows.is_empty() {
                continue;
            }
            return Ok(ended(items));
        }
        items.extend(found.rows);
        if found.more {
            return Ok(ended(items));
        }
        after = OauthClientId(0);
    }
    Ok(Listing { items, next: None })
}

/// A page after which there are more.
fn ended(items: Vec<OauthConsent>) -> Listing<OauthConsent> {
    let next = items.last().map(|last| format!("{}_{}", last.organization, last.client));
    Listing { items, next }
}

/// Takes back what the caller agreed to: the application is asked about again, and what it has of them ends.
pub async fn withdraw(app: &App, ctx: &RequestContext, client: OauthClientId) -> Result<(), Problem> {
    const WHY: &str = "the user took back what they agreed to";
    let (caller, _) = own_session_of(ctx)?;
    let (who, now, platform, ctx_inside) = (caller.id, ctx.now, app.platform(), ctx.clone());
    let missing = move || Problem::not_found(format!("you let in no application {client}"));
    let found = reading_all!(app.database(), |conn| store::oauth_client::anywhere(conn, client))?;
    let organization = found.ok_or_else(missing)?.organization;
    // The lock is the one under which codes are exchanged: what comes before ends here, what comes after finds nothing agreed.
    let (ended, _) = app
        .write(Sees::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                let had = store::oauth_consent::delete(tx, organization, client, who).await?;
                store::oauth_code::delete_unused(tx, organization, client, who).await?;
                let ended = store::session::end_of_grant(tx, client, who, WHY, now).await?;
                if !had && ended.is_empty() {
                    return Err(missing());
                }
                let action = "oauth_client.withdraw";
                let mut event =
                    audit::event(&ctx_inside, organization, action, "oauth_client", client.to_string());
                event.reason = WHY.to_owned();
                event.after = Some(serde_json::json!({ "sessions_ended": ended.len() }).to_string());
                transaction.commit(event, Vec::new(), ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    Ok(())
}

fn withdrawn(
    ctx: &RequestContext,
    organization: OrganizationId,
    client: OauthClientId,
    why: &str,
    after: &serde_json::Value,
) -> AuditEvent {
    let mut event =
        audit::event(ctx, organization, "oauth_client.withdraw", "oauth_client", client.to_string());
    (event.reason, event.after) = (why.to_owned(), Some(after.to_string()));
    event
}

/// Takes back what somebody agreed to in an organization since an instant, and every code that waits; their sessions are ended by whoever
/// asks for this. Gives an event for each application.
pub(crate) async fn end_since(
    tx: &mut Tx,
    ctx: &RequestContext,
    organization: OrganizationId,
    who: PrincipalId,
    since: Timestamp,
    why: &str,
) -> Result<Vec<AuditEvent>, Problem> {
    let agreed = store::oauth_consent::delete_since(tx, organization, who, since).await?;
    store::oauth_code::delete_unused_of_principal(tx, organization, who).await?;
    let after = serde_json::json!({ "principal": who.to_string() });
    Ok(agreed.into_iter().map(|client| withdrawn(ctx, organization, client, why, &after)).collect())
}

/// Ends all that applications of an organization have of a member who is one no longer: what they agreed to, codes that wait, sessions with
/// their refresh tokens. Nothing of it counts again when they come back. Gives the sessions, and an event for each application that had
/// something.
pub(crate) async fn end_with_membership(
    tx: &mut Tx,
    ctx: &RequestContext,
    organization: OrganizationId,
    who: PrincipalId,
) -> Result<(Vec<SessionId>, Vec<AuditEvent>), Problem> {
    end_in(tx, ctx, organization, who, "the membership of the organization ended").await
}

/// Ends all that applications of any organization have of an account that was deactivated, in the same way.
pub(crate) async fn end_with_account(
    tx: &mut Tx,
    ctx: &RequestContext,
    who: PrincipalId,
) -> Result<(Vec<SessionId>, Vec<AuditEvent>), Problem> {
    let (mut ended, mut events) = (Vec::new(), Vec::new());
    for place in store::membership::organizations_of(tx, who).await? {
        let (sessions, more) = end_in(tx, ctx, place, who, "the account was deactivated").await?;
        ended.extend(sessions);
        events.extend(more);
    }
    Ok((ended, events))
}

async fn end_in(
    tx: &mut Tx,
    ctx: &RequestContext,
    organization: OrganizationId,
    who: PrincipalId,
    why: &str,
) -> Result<(Vec<SessionId>, Vec<AuditEvent>), Problem> {
    let agreed = store::oauth_consent::delete_of_principal(tx, organization, who).await?;
    store::oauth_code::delete_unused_of_principal(tx, organization, who).await?;
    let ended = store::session::end_of_member(tx, who, organization, why, ctx.now).await?;
    let mut clients: BTreeMap<OauthClientId, usize> = agreed.into_iter().map(|client| (client, 0)).collect();
    for (_, client) in &ended {
        *clients.entry(*client).or_default() += 1;
    }
    let event = |(client, sessions): (OauthClientId, usize)| {
        let after = serde_json::json!({ "principal": who.to_string(), "sessions_ended": sessions });
        withdrawn(ctx, organization, client, why, &after)
    };
    let events = clients.into_iter().map(event).collect();
    Ok((ended.into_iter().map(|(session, _)| session).collect(), events))
}
