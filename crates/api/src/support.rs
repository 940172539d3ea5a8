//! Support sessions: somebody of the platform acts as a member of an organization.

use crate::edge::{Call, Guard, Reply, Route};
use crate::signed_in::{self, SignedInView};
use charter_app::App;
use charter_app::identity::sign_in::{Opening, SessionKind};
use charter_app::identity::support::{self, SupportDraft};
use charter_kernel::{Problem, ProblemKind};
use schemars::JsonSchema;
use serde::Deserialize;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post(
            "/api/v1/organizations/{organization}/members/{member}/support-session",
            Guard::PlatformPermission(support::PERMISSION),
            begin,
        )
        .named(
            "members.support",
            "Members",
            "Begins a session in which somebody of the platform acts as a member, for support.",
        )
        .described(
            "For an hour at most, with a reason, for this organization alone, and never as somebody of the platform. The member is told \
             by mail, `GET /api/v1/me` says who really acts, the trail has both names, and administrators see and end it among the \
             sessions of the member. It does nothing dangerous, nothing in the administration but read, and nothing to the member's own \
             account.",
        )
        .problems(&[ProblemKind::NotFound])
        .example(r#"{"reason":"ticket 4711: the invoice list stays empty","minutes":30}"#)
        .demands_recent_sign_in()
        .knows_client()
        .keeps_no_answers(),
    ]
}

/// Where, and as whom.
#[derive(Deserialize, JsonSchema)]
struct SupportPath {
    /// Key or id of the organization.
    organization: String,
    /// Login or id of the member.
    member: String,
}

/// Why, and for how long.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SupportSessionDraft")]
#[serde(deny_unknown_fields)]
struct SupportBody {
    /// Why: the member and the trail are told.
    reason: String,
    /// For how many minutes at most, 1 to 60.
    #[serde(default = "half_an_hour")]
    minutes: u32,
}

fn half_an_hour() -> u32 {
    30
}

async fn begin(call: Call<SupportPath, (), SupportBody>) -> Result<Reply<SignedInView>, Problem> {
    let opening = Opening { kind: SessionKind::Bearer, user_agent: call.client.user_agent.clone() };
    let (SupportPath { organization, member }, SupportBody { reason, minutes }) = (&call.path, &call.body);
    let draft = SupportDraft { organization, member, reason, minutes: *minutes };
    let begun = support::begin(&call.app, &call.ctx, call.permit()?, draft, opening).await?;
    Ok(signed_in::answer(begun, &call.client, call.ctx.now))
}
