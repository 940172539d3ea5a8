//! Taking over the users of another system, with the hashes of their passwords.

use crate::edge::{Call, Guard, Reply, Route, wire};
use crate::shown::EditQuery;
use charter_app::App;
use charter_app::identity::user_import::{self, Imported, ImportedUser, Taken, USERS_MAX};
use charter_kernel::{PrincipalId, Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post(
            "/api/v1/users/import",
            Guard::SignedIn("only the operator at the machine gets past the use case"),
            import,
        )
        .named("users.import", "Sign-in", "Takes over users of another system with the hashes of their passwords, as the operator.")
        .described(
            "They sign in with the passwords they have, and at the first sign-in the hash is replaced by one of ours. Hashes of bcrypt, \
             Django, passlib, Werkzeug and argon2 are understood; one that is weak is wrapped in argon2id. All users of a call are taken \
             over or none. An account that has a password keeps it, so a call can be repeated.",
        )
        .problems(&[ProblemKind::Forbidden, ProblemKind::Taken])
        .example(
            r#"{"users":[{"login":"ann@toys.example","name":"Ann Toys","password_hash":"$2b$12$YR9kJGp91ozTGzddZdeg0ulI4VHBPLWlzj9CThDPrMd84JAE6hVyC"}]}"#,
        )
        .body_limit(1024 * 1024)
        .timeout(Duration::from_secs(120))
        .keeps_no_answers(),
    ]
}

/// A user of another system.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ImportedUser")]
#[serde(deny_unknown_fields)]
struct UserBody {
    /// E-mail or user name.
    login: String,
    /// Shown name; the login when left out.
    #[serde(default)]
    name: Option<String>,
    /// The hash of the password, as the other system has it.
    password_hash: String,
}

/// Users of another system.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "UserImport")]
#[serde(deny_unknown_fields)]
struct ImportBody {
    /// The users.
    #[schemars(length(min = 1, max = USERS_MAX))]
    users: Vec<UserBody>,
}

/// What became of a user.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserTakenOver")]
struct UserView {
    /// The account; a dry run has none for users who are not there yet.
    #[schemars(with = "Option<wire::Id>")]
    id: Option<PrincipalId>,
    /// The login, folded.
    login: String,
    /// `made`, `password_set` for an account that was there without a password, `kept` for one that has a password already.
    outcome: &'static str,
    /// How the hash was made.
    scheme: String,
    /// Whether it is wrapped in argon2id, because it is weak.
    is_wrapped: bool,
}

/// What became of them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UsersTakenOver")]
struct ImportView {
    /// Whether nothing was written.
    dry_run: bool,
    /// New accounts.
    made: usize,
    /// Accounts that were there without a password.
    password_set: usize,
    /// Accounts that have a password already.
    kept: usize,
    /// Each user, in the order of the request.
    users: Vec<UserView>,
}

async fn import(call: Call<(), EditQuery, ImportBody>) -> Result<Reply<ImportView>, Problem> {
    let users = call.body.users.into_iter().map(|user| ImportedUser {
        login: user.login,
        name: user.name,
        password_hash: user.password_hash,
    });
    let dry_run = call.query.dry_run;
    let done = user_import::import(&call.app, &call.ctx, users.collect(), dry_run).await?;
    let count = |taken: Taken| done.iter().filter(|it| it.taken == taken).count();
    let (made, password_set, kept) = (count(Taken::Made), count(Taken::PasswordSet), count(Taken::Kept));
    let view = |it: Imported| UserView {
        id: it.id,
        login: it.login,
        outcome: it.taken.as_str(),
        scheme: it.scheme,
        is_wrapped: it.is_wrapped,
    };
    Ok(Reply::new(ImportView {
        dry_run,
        made,
        password_set,
        kept,
        users: done.into_iter().map(view).collect(),
    }))
}
