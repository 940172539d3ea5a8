//! The outbox for those who run the installation: what waits, what failed and why, and trying again. Texts are never shown.

use super::{MailStatus, letter};
use crate::App;
use crate::audit;
use crate::caller::{Listing, Page, RequestContext};
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{MailId, PrincipalId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use store::mail::Mail;

/// A mail as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailView {
    /// Its id.
    pub id: MailId,
    /// What it tells.
    pub kind: String,
    /// To whom; none is somebody who had no account then.
    pub principal: Option<PrincipalId>,
    /// Their address with all but its first letter and its domain hidden; none once the mail was sent.
    pub recipient: Option<String>,
    /// Where it is on its way.
    pub status: MailStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, while it waits.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was sent or given up.
    pub finished_at: Option<Timestamp>,
    /// What went wrong the last time.
    pub last_error: Option<String>,
}

/// An address of which a reader who knows it recognises enough.
fn masked(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first: String = local.chars().take(1).collect();
    format!("{first}***@{domain}")
}

async fn view(app: &App, mail: Mail) -> MailView {
    MailView {
        recipient: letter(app, &mail).await.ok().map(|letter| masked(&letter.recipient)),
        id: mail.id,
        kind: mail.kind,
        principal: mail.principal,
        status: mail.status,
        attempts: mail.attempts,
        next_attempt_at: (mail.status == MailStatus::Queued).then_some(mail.next_attempt_at),
        created_at: mail.created_at,
        finished_at: mail.finished_at,
        last_error: mail.last_error,
    }
}

fn missing(id: MailId) -> Problem {
    Problem::not_found(format!("no mail {id}"))
}

/// Mails, newest first, one page.
pub async fn list(
    app: &App,
    _permit: &Permit,
    status: Option<MailStatus>,
    page: &Page,
) -> Result<Listing<MailView>, Problem> {
    let limit = page.limit;
    let below = match &page.after {
        None => MailId(u128::MAX),
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
    };
    let found = reading_all!(app.database(), |conn| store::mail::page(conn, below, status, limit))?;
    let next = if found.more { found.rows.last().map(|mail| mail.id.to_string()) } else { None };
    let mut items = Vec::with_capacity(found.rows.len());
    for mail in found.rows {
        items.push(view(app, mail).await);
    }
    Ok(Listing { items, next })
}

/// One mail.
pub async fn get(app: &App, _permit: &Permit, id: MailId) -> Result<MailView, Problem> {
    let found = reading_all!(app.database(), |conn| store::mail::get(conn, id))?;
    Ok(view(app, found.ok_or_else(|| missing(id))?).await)
}

/// Tries a mail again at once, as if for the first time.
pub async fn retry(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: MailId,
) -> Result<MailView, Problem> {
    let (now, platform, ctx_inside) = (ctx.now, permit.organization(), ctx.clone());
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let tx = transaction.tx();
            let mail = store::mail::get(tx, id).await?.ok_or_else(|| missing(id))?;
            let ended = |why: &str| Err(Problem::new(ProblemKind::InUse, why));
            if mail.status == MailStatus::Sent {
                return ended("the mail was sent before");
            }
            if mail.expires_at <= now || mail.status == MailStatus::Expired {
                return ended("what the mail says no longer holds");
            }
            if !store::mail::again(tx, id, now).await? {
                return ended("nothing is left of the mail to be sent");
            }
            let mut event = audit::event(&ctx_inside, platform, "mail.retry", "mail", id.to_string());
            event.before = Some(
                serde_json::json!({ "status": mail.status.as_str(), "attempts": mail.attempts }).to_string(),
            );
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    get(app, permit, id).await
}
