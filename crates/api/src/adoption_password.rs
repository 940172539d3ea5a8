//! Passwords that changed in another system since they were taken over, counted for a plan.

use crate::adoption::{OPERATOR, TAG};
use crate::edge::{Call, Reply, Route, wire};
use charter_app::App;
use charter_app::adoption;
use charter_kernel::{Key, Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post("/api/v1/adoption/passwords", OPERATOR, changed)
            .named("adoption.passwords", TAG, "Counts passwords that changed in another system, as the operator.")
            .described(
                "At most 5,000 users at once. Those count whose account has what a run took over still, and would get what is there by now. \
                 Nothing is written.",
            )
            .problems(&[ProblemKind::Forbidden])
            .example(
                r#"{"source":"legacy","users":[{"legacy_id":"7","password_hash":"$2b$12$YR9kJGp91ozTGzddZdeg0ulI4VHBPLWlzj9CThDPrMd84JAE6hVyC"}]}"#,
            )
            .body_limit(8 * 1024 * 1024)
            .timeout(Duration::from_secs(120))
            .keeps_no_answers(),
    ]
}

/// A user and the hash of the password.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AskedPassword")]
#[serde(deny_unknown_fields)]
struct UserBody {
    /// The id there.
    legacy_id: String,
    /// The hash, as the other system has it.
    password_hash: String,
}

/// Users whose passwords may have changed.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AskedPasswords")]
#[serde(deny_unknown_fields)]
struct PasswordsBody {
    /// The other system, by the name the operator gave it.
    #[schemars(with = "wire::Key")]
    source: Key,
    /// The users.
    #[schemars(length(max = 5_000))]
    users: Vec<UserBody>,
}

/// How many changed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChangedPasswords")]
struct ChangedView {
    /// Accounts that would get another password.
    changed: u64,
}

async fn changed(call: Call<(), (), PasswordsBody>) -> Result<Reply<ChangedView>, Problem> {
    let PasswordsBody { source, users } = call.body;
    let users = users.into_iter().map(|it| (it.legacy_id, it.password_hash)).collect();
    let changed = adoption::changed_passwords(&call.app, &call.ctx, source, users).await?;
    Ok(Reply::new(ChangedView { changed }))
}
