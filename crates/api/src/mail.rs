//! Mail on its way, for those who run the installation: what waits, what failed and why. Texts of mails are never shown.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use charter_app::App;
use charter_app::mail::{self, MailStatus};
use charter_kernel::{MailId, PrincipalId, Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const READ: Guard = Guard::PlatformPermission("platform.jobs.read");
const EXECUTE: Guard = Guard::PlatformPermission("platform.jobs.execute");

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::list("/api/v1/platform/mail", READ, list)
            .named("mail.list", "Mail", "Lists mails with their state, newest first.")
            .described("A mail that was sent or given up is listed for 30 days. Its text is never shown."),
        Route::get("/api/v1/platform/mail/{mail}", READ, show)
            .named("mail.show", "Mail", "Shows the state of one mail.")
            .problems(&[ProblemKind::NotFound]),
        Route::post("/api/v1/platform/mail/{mail}/retry", EXECUTE, retry)
            .named("mail.retry", "Mail", "Tries a mail again at once that waits or has failed.")
            .problems(&[ProblemKind::NotFound, ProblemKind::InUse]),
    ]
}

/// A mail on its way.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Mail")]
struct MailView {
    /// Its id, also the first part of its Message-ID.
    #[schemars(with = "wire::Id")]
    id: MailId,
    /// What it tells, such as `password_changed`.
    kind: String,
    /// Whom it is for; null is somebody who had no account then.
    #[schemars(with = "Option<wire::Id>")]
    principal_id: Option<PrincipalId>,
    /// Their address, partly hidden; null once the mail was sent.
    recipient: Option<String>,
    /// `queued`, `sent`, `failed` or `expired` (not sent while it was of use).
    status: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried next, while it waits.
    #[schemars(with = "Option<wire::Time>")]
    next_attempt_at: Option<Timestamp>,
    /// When it was queued.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// When it was sent or given up.
    #[schemars(with = "Option<wire::Time>")]
    finished_at: Option<Timestamp>,
    /// What went wrong the last time, in the words of the mail server where it said any.
    last_error: Option<String>,
}

impl From<mail::MailView> for MailView {
    fn from(it: mail::MailView) -> Self {
        Self {
            id: it.id,
            kind: it.kind,
            principal_id: it.principal,
            recipient: it.recipient,
            status: it.status.as_str(),
            attempts: it.attempts,
            next_attempt_at: it.next_attempt_at,
            created_at: it.created_at,
            finished_at: it.finished_at,
            last_error: it.last_error,
        }
    }
}

/// Which mails.
#[derive(Debug, Deserialize, JsonSchema)]
struct ListQuery {
    /// Only those of one state: `queued`, `sent`, `failed` or `expired`.
    #[serde(default)]
    status: Option<String>,
}

/// A place in the outbox.
#[derive(Debug, Deserialize, JsonSchema)]
struct MailPath {
    /// Its id.
    #[schemars(with = "wire::Id")]
    mail: MailId,
}

async fn list(call: Call<(), ListQuery>) -> Result<Reply<Items<MailView>>, Problem> {
    let status = match &call.query.status {
        None => None,
        Some(word) => Some(MailStatus::from_word(word).ok_or_else(|| {
            Problem::invalid("status", "one of queued, sent, failed and expired is expected")
        })?),
    };
    let found = mail::list(&call.app, call.permit()?, status, &call.page()).await?;
    Ok(call.items(found.items, found.next))
}

async fn show(call: Call<MailPath>) -> Result<Reply<MailView>, Problem> {
    Ok(Reply::new(mail::get(&call.app, call.permit()?, call.path.mail).await?.into()))
}

async fn retry(call: Call<MailPath>) -> Result<Reply<MailView>, Problem> {
    Ok(Reply::new(mail::retry(&call.app, &call.ctx, call.permit()?, call.path.mail).await?.into()))
}
