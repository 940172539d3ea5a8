//! Sessions of a member, for administrators.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::member::MemberPath;
use crate::own_account::{SessionView, SessionsEnded};
use charter_app::App;
use charter_app::identity::member_session;
use charter_kernel::{Problem, ProblemKind, SessionId};
use schemars::JsonSchema;
use serde::Deserialize;

const READ: Guard = Guard::Permission("admin.sessions.read");
const END: Guard = Guard::Permission("admin.sessions.revoke");

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    const SESSIONS: &str = "/api/v1/organizations/{organization}/members/{member}/sessions";
    vec![
        Route::list(SESSIONS, READ, list)
            .named("members.sessions", "Members", "Lists the sessions of a member, oldest first.")
            .described(
                "Those for this organization; those for none in particular as well, when the account belongs to no other \
                 organization.",
            )
            .problems(&[ProblemKind::NotFound]),
        Route::delete(SESSIONS, END, end_all)
            .named("members.end-sessions", "Members", "Ends the sessions of a member that the list shows.")
            .problems(&[ProblemKind::NotFound]),
        Route::delete(
            "/api/v1/organizations/{organization}/members/{member}/sessions/{session}",
            END,
            end,
        )
        .named("members.end-session", "Members", "Ends one session of a member.")
        .problems(&[ProblemKind::NotFound]),
    ]
}

async fn list(call: Call<MemberPath>) -> Result<Reply<Items<SessionView>>, Problem> {
    let current = call.ctx.principal().and_then(|caller| caller.session);
    let member = &call.path.member;
    let found = member_session::list(&call.app, &call.ctx, call.permit()?, member, &call.page()).await?;
    SessionView::listed(&call, found, current).await
}

/// Why.
#[derive(Deserialize, JsonSchema)]
struct EndQuery {
    /// Why, for the audit trail.
    reason: String,
}

async fn end_all(call: Call<MemberPath, EndQuery>) -> Result<Reply<SessionsEnded>, Problem> {
    let (member, reason) = (&call.path.member, &call.query.reason);
    let ended = member_session::end(&call.app, &call.ctx, call.permit()?, member, None, reason).await?;
    Ok(Reply::new(SessionsEnded { sessions_ended: ended }))
}

/// One session of a member.
#[derive(Deserialize, JsonSchema)]
struct MemberSessionPath {
    /// Login or id of the member.
    member: String,
    /// Id of the session.
    #[schemars(with = "wire::Id")]
    session: SessionId,
}

async fn end(call: Call<MemberSessionPath, EndQuery>) -> Result<Reply<()>, Problem> {
    let MemberSessionPath { member, session } = &call.path;
    let one = Some(*session);
    member_session::end(&call.app, &call.ctx, call.permit()?, member, one, &call.query.reason).await?;
    Ok(Reply::empty())
}
