//! Second factors of a member, for administrators.

use crate::edge::{Call, Guard, Reply, Route};
use crate::member::MemberPath;
use crate::own_factor::FactorView;
use charter_app::App;
use charter_app::identity::member_factor;
use charter_kernel::{Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    const FACTORS: &str = "/api/v1/organizations/{organization}/members/{member}/factors";
    vec![
        Route::get(FACTORS, Guard::Permission("admin.users.read"), list)
            .named("members.factors", "Members", "Lists the second factors of a member.")
            .problems(&[ProblemKind::NotFound]),
        Route::delete(FACTORS, Guard::Permission("admin.mfa.reset"), reset)
            .named("members.reset-factors", "Members", "Takes the second factors and recovery codes of a member away.")
            .described(
                "For somebody who lost them. Their sessions end, and they sign in with the password alone until they add a \
                 factor again. Only where the account belongs to no other organization; otherwise the operator does it.",
            )
            .problems(&[ProblemKind::NotFound])
            .for_people()
            .demands_recent_sign_in(),
    ]
}

/// The second factors of a member.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MemberFactors")]
struct FactorsView {
    /// Those that count, oldest first.
    factors: Vec<FactorView>,
}

async fn list(call: Call<MemberPath>) -> Result<Reply<FactorsView>, Problem> {
    let found = member_factor::list(&call.app, call.permit()?, &call.path.member).await?;
    Ok(Reply::new(FactorsView { factors: found.into_iter().map(Into::into).collect() }))
}

/// Why.
#[derive(Deserialize, JsonSchema)]
struct ResetQuery {
    /// Why, for the audit trail; it has to be said.
    #[serde(default)]
    reason: String,
}

/// What a reset did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FactorsReset")]
struct ResetView {
    /// How many factors are gone.
    factors_removed: u64,
    /// How many sessions ended.
    sessions_ended: usize,
}

async fn reset(call: Call<MemberPath, ResetQuery>) -> Result<Reply<ResetView>, Problem> {
    let (member, reason) = (&call.path.member, &call.query.reason);
    let (factors_removed, sessions_ended) =
        member_factor::reset(&call.app, &call.ctx, call.permit()?, member, reason).await?;
    Ok(Reply::new(ResetView { factors_removed, sessions_ended }))
}
