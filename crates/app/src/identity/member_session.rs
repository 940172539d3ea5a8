//! Sessions of a member, seen and ended by an administrator: those for the organization, and those for none in particular when the
//! account belongs to no other organization.

use super::own_session::list_live;
use super::session::{event, forget};
use crate::App;
use crate::audit;
use crate::caller::{Listing, Page, RequestContext};
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{member, text};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{OrganizationId, PrincipalId, Problem, SessionId, Timestamp};
use charter_store as store;
use charter_store::session::Session;

/// Whose sessions, and which of them an administrator here may see.
#[derive(Debug, Clone, Copy)]
struct View {
    organization: OrganizationId,
    who: PrincipalId,
    sees_unbound: bool,
}

impl View {
    fn shows(&self, session: &Session) -> bool {
        session.principal == self.who
            && match session.organization {
                Some(organization) => organization == self.organization,
                None => self.sees_unbound,
            }
    }
}

async fn view(app: &App, ctx: &RequestContext, permit: &Permit, who: &str) -> Result<View, Problem> {
    let organization = permit.organization();
    let who = member::find(&crate::facts(app, organization).await?, who)?.principal;
    let organizations = reading_all!(app.database(), |conn| store::membership::organizations_of(conn, who))?;
    let sees_unbound = ctx.is_operator() || organizations.iter().all(|other| *other == organization);
    Ok(View { organization, who, sees_unbound })
}

/// The live sessions of a member, oldest first, one page.
pub async fn list(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    who: &str,
    page: &Page,
) -> Result<Listing<Session>, Problem> {
    let view = view(app, ctx, permit, who).await?;
    list_live(app, view.who, ctx.now, page, |session| view.shows(session)).await
}

/// Ends one session of a member, or all that are seen; tells how many ended.
pub async fn end(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    who: &str,
    one: Option<SessionId>,
    reason: &str,
) -> Result<usize, Problem> {
    let reason = text::demanded_reason("reason", reason)?;
    let (view, now, platform) = (view(app, ctx, permit, who).await?, ctx.now, app.platform());
    let missing = move |id: SessionId| Problem::not_found(format!("the member has no session {id}"));
    let ctx_inside = ctx.clone();
    // The lock is the one under which sessions begin: none that one of these, or a token of a former system, let in is written after they
    // were ended.
    let ((ended, given), _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                let mut after = (Timestamp::MIN, SessionId(0));
                let mut found = Vec::new();
                if let Some(id) = one {
                    found.extend(store::session::get(tx, id).await?);
                } else {
                    loop {
                        let page = store::session::of_principal(tx, view.who, after, 500).await?;
                        after = page.rows.last().map_or(after, |session| (session.created_at, session.id));
                        found.extend(page.rows);
                        if !page.more {
                            break;
                        }
                    }
                }
                let mut ended = Vec::new();
                let mut events = Vec::new();
                let why = reason.as_str();
                for session in found.iter().filter(|session| view.shows(session) && session.is_live(now)) {
                    if store::session::end(tx, session.id, why, now).await? {
                        ended.push(session.id);
                        events.push(event(&ctx_inside, platform, session, "session.end", why));
                    }
                }
                // What applications were given by them goes with them, wherever it is for.
                let mut given = Vec::new();
                for id in &ended {
                    given.extend(store::session::end_of_parent(tx, *id, why, now).await?);
                }
                if let (Some(id), true) = (one, ended.is_empty()) {
                    return Err(missing(id));
                }
                // A token of a former system is bound to no organization either.
                if one.is_none() && view.sees_unbound {
                    store::token_floor::end_former(transaction.tx(), view.who, why, now).await?;
                }
                let mut first = audit::event(
                    &ctx_inside,
                    view.organization,
                    "member.end_sessions",
                    "principal",
                    view.who.to_string(),
                );
                first.reason = why.to_owned();
                first.after = Some(format!(r#"{{"sessions_ended":{}}}"#, ended.len()));
                transaction.commit(first, events, (ended, given)).await
            }) as BoxFuture<'_, Result<Committed<(Vec<SessionId>, Vec<SessionId>)>, Problem>>
        })
        .await?;
    forget(app, &ended);
    forget(app, &given);
    Ok(ended.len())
}
