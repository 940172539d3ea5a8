//! `/oauth/userinfo`: who the user of an access token is, as far as they agreed.

use super::{TAG, USER_INFO};
use crate::edge::{Call, Guard, Reply, Route, wire};
use charter_app::App;
use charter_app::identity::oauth::inspect;
use charter_kernel::{PrincipalId, Problem, ProblemKind};
use schemars::JsonSchema;
use serde::Serialize;

const GUARD: Guard = Guard::SignedIn("an application with the scope openid learns who its user is");
const SUMMARY: &str = "Tells an application who its user is, as far as they agreed.";

/// The routes of this file.
pub(super) fn routes() -> Vec<Route<App>> {
    vec![
        Route::get(USER_INFO, GUARD, show)
            .named("oauth.userinfo", TAG, SUMMARY)
            .problems(&[ProblemKind::Forbidden]),
        Route::post(USER_INFO, GUARD, show)
            .named("oauth.userinfo.post", TAG, SUMMARY)
            .problems(&[ProblemKind::Forbidden])
            .keeps_no_answers(),
    ]
}

/// Who the user is (OpenID Connect Core, section 5.3).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserInfo")]
struct UserInfoView {
    /// Their id, the same for every application.
    #[schemars(with = "wire::Id")]
    sub: PrincipalId,
    /// Shown name; with the scope `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Login; with the scope `profile`, and `email` where it is an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<String>,
    /// When the account was last changed, in seconds; with the scope `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<i64>,
    /// E-mail address; with the scope `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

async fn show(call: Call) -> Result<Reply<UserInfoView>, Problem> {
    let (sub, profile) = inspect::user_info(&call.app, &call.ctx).await?;
    Ok(Reply::new(UserInfoView {
        sub,
        name: profile.name,
        preferred_username: profile.preferred_username,
        updated_at: profile.updated_at,
        email: profile.email,
    }))
}
