//! Sending what is due. Several nodes may do this at once: a mail is taken by counting the attempt, which one of them does first, and it
//! comes back by itself when its sender died. A mail may thus arrive twice, never be lost; both copies have one Message-ID.

use super::{Carrier, Undelivered, letter, line};
use crate::App;
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store as store;
use std::sync::Arc;
use store::mail::{Mail, MailStatus};
use tokio::task::JoinSet;

/// Mails under way at once.
const AT_ONCE: u32 = 5;
/// How long a sender has for one mail before another may take it.
const LEASE_SECONDS: i64 = 180;
/// Seconds before each further attempt; after the last the mail has failed.
const WAITS: [i64; 8] = [60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400];
/// How long the list remembers a mail.
const KEPT_SECONDS: i64 = 30 * 86_400;

/// When a mail that was tried so often is tried again.
fn next_attempt(attempts: u32, now: Timestamp) -> Option<Timestamp> {
    let tried = usize::try_from(attempts.max(1) - 1).ok()?;
    WAITS.get(tried).map(|seconds| now.plus_seconds(*seconds))
}

async fn writing<T: Send + 'static>(
    app: &App,
    body: impl for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    app.database().write(Scope::Installation, move |tx: &mut Tx| body(tx)).await
}

/// Sends what is due; gives how many mails were tried. Called about once a second.
pub async fn deliver_due(app: &App, carrier: &Arc<dyn Carrier>) -> Result<usize, Problem> {
    let now = app.now();
    let due = reading_all!(app.database(), |conn| store::mail::due(conn, now, AT_ONCE))?;
    let mut under_way = JoinSet::new();
    let mut tried = 0;
    for mail in due {
        if mail.expires_at <= now {
            end(app, &mail, mail.attempts, MailStatus::Expired, Some("it was not sent in time".to_owned()))
                .await?;
            continue;
        }
        let (id, attempts) = (mail.id, mail.attempts);
        let until = now.plus_seconds(LEASE_SECONDS);
        let is_ours = writing(app, move |tx| {
            Box::pin(async move { Ok(store::mail::take(tx, id, attempts, until).await?) })
        })
        .await?;
        if !is_ours {
            continue;
        }
        tried += 1;
        let (app, carrier) = (app.clone(), Arc::clone(carrier));
        under_way.spawn(async move { send(&app, carrier.as_ref(), mail).await });
    }
    let mut first = Ok(());
    while let Some(ended) = under_way.join_next().await {
        let broken = |error| Problem::new(ProblemKind::Internal, format!("a sender broke off: {error}"));
        first = first.and(ended.unwrap_or_else(|error| Err(broken(error))));
    }
    first.map(|()| tried)
}

async fn send(app: &App, carrier: &dyn Carrier, mail: Mail) -> Result<(), Problem> {
    let attempts = mail.attempts + 1;
    let outcome = match letter(app, &mail).await {
        Ok(letter) => carrier.carry(&letter).await,
        Err(fault) => Err(fault),
    };
    let now = app.now();
    match outcome {
        Ok(()) => {
            tracing::debug!(mail = %mail.id, kind = mail.kind, "a mail was sent");
            end(app, &mail, attempts, MailStatus::Sent, None).await
        }
        Err(Undelivered::Never(error)) => {
            tracing::warn!(mail = %mail.id, kind = mail.kind, error = line(&error), "a mail was refused");
            end(app, &mail, attempts, MailStatus::Failed, Some(line(&error))).await
        }
        Err(Undelivered::Later(error)) => {
            let error = line(&error);
            match next_attempt(attempts, now) {
                Some(next) => {
                    tracing::warn!(mail = %mail.id, kind = mail.kind, error, next = %next, "a mail could not be sent");
                    let id = mail.id;
                    writing(app, move |tx| {
                        Box::pin(async move {
                            store::mail::postpone(tx, id, attempts, next, &error).await?;
                            Ok(())
                        })
                    })
                    .await
                }
                None => {
                    tracing::warn!(mail = %mail.id, kind = mail.kind, error, "a mail was given up");
                    end(app, &mail, attempts, MailStatus::Failed, Some(error)).await
                }
            }
        }
    }
}

async fn end(
    app: &App,
    mail: &Mail,
    attempts: u32,
    status: MailStatus,
    error: Option<String>,
) -> Result<(), Problem> {
    let (id, now) = (mail.id, app.now());
    writing(app, move |tx| {
        Box::pin(async move {
            store::mail::finish(tx, id, attempts, status, now, error.as_deref()).await?;
            Ok(())
        })
    })
    .await
}

/// Forgets mails that were sent or given up a month ago.
pub async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let before = now.plus_seconds(-KEPT_SECONDS);
    writing(app, move |tx| {
        Box::pin(async move {
            store::mail::purge(tx, before).await?;
            Ok(())
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_tried_again_after_longer_and_longer_and_then_given_up() {
        let now = Timestamp(0);
        let waits: Vec<i64> =
            (1..10).map_while(|attempts| Some(next_attempt(attempts, now)?.seconds())).collect();
        assert_eq!(waits, [60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400]);
        assert_eq!(next_attempt(9, now), None);
    }
}
