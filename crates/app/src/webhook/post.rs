//! Sending what waits. A delivery is taken by counting the attempt, as a mail is; it comes back by itself when its sender died. A message may
//! thus arrive twice, with one id. An answer of 2xx ends a delivery's way, 410 switches its webhook off, everything else is tried again for
//! three days; a webhook at which nothing succeeded in that time is switched off, and who made it is told.

use super::{Delivery, DeliveryStatus, sealed_as, signature};
use crate::App;
use crate::audit;
use crate::identity::notice::{self, Notice};
use crate::mail::line;
use crate::transaction::{Committed, Transaction};
use crate::vault;
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{DeliveryId, OrganizationId, Problem, ProblemKind, Timestamp, WebhookId};
use charter_store as store;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use store::webhook::Webhook;
use tokio::task::{Id, JoinError, JoinSet};

/// Deliveries looked at in one round.
const LOOKED_AT: u32 = 200;
/// Deliveries under way at once, of those of one organization, and of those to one webhook: slow receivers leave room for the others.
const AT_ONCE: usize = 64;
const OF_ONE_ORGANIZATION: usize = 8;
const TO_ONE_WEBHOOK: usize = 4;
/// How long a sender has for one delivery before another may take it.
const LEASE_SECONDS: i64 = 60;
/// Seconds before each further attempt, after the Standard Webhooks specification: three days and a little more.
const WAITS: [i64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// A webhook at which nothing succeeded for this long is switched off.
const PATIENCE_SECONDS: i64 = 3 * 86_400;
/// How long a delivery that arrived or was given up is listed.
const KEPT_SECONDS: i64 = 30 * 86_400;

/// One request to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Where to.
    pub url: String,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`, in seconds.
    pub timestamp: i64,
    /// `webhook-signature`.
    pub signature: String,
    /// The body, JSON.
    pub body: String,
}

/// What a receiver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It answered with a status.
    Status(u16),
    /// There was no answer, or nothing was sent, and why.
    None(String),
}

/// What a courier is doing.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Takes requests to receivers; the binary chooses one.
pub trait Courier: Send + Sync {
    /// Sends one request, to a public address only, following no redirect. Ends within ten seconds and a little, whatever happens.
    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Delivering<'a>;
}

fn next_attempt(attempts: u32, now: Timestamp) -> Option<Timestamp> {
    let tried = usize::try_from(attempts.max(1) - 1).ok()?;
    WAITS.get(tried).map(|seconds| now.plus_seconds(*seconds))
}

async fn writing<T: Send + 'static>(
    app: &App,
    organization: OrganizationId,
    body: impl for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    app.database().write(Scope::Organization(organization.bits()), move |tx: &mut Tx| body(tx)).await
}

/// Deliveries under way. A receiver that takes its time holds its own place and nobody else's.
#[derive(Debug, Default)]
pub struct Sending {
    tasks: JoinSet<Result<(), Problem>>,
    places: HashMap<Id, (OrganizationId, WebhookId)>,
}

impl Sending {
    /// Begins to send what is due and waits for no receiver; gives how many deliveries began. Called about once a second, and whenever
    /// one ended.
    pub async fn begin_due(&mut self, app: &App, courier: &Arc<dyn Courier>) -> Result<usize, Problem> {
        let now = app.now();
        let turns = u32::try_from(2 * OF_ONE_ORGANIZATION).unwrap_or(u32::MAX);
        let due =
            reading_all!(app.database(), |conn| store::webhook_delivery::due(conn, now, turns, LOOKED_AT))?;
        let mut begun = 0;
        for delivery in due {
            let (organization, webhook) = (delivery.organization, delivery.webhook);
            let of = |is: &dyn Fn(&(OrganizationId, WebhookId)) -> bool| {
                self.places.values().filter(|&place| is(place)).count()
            };
            if self.places.len() >= AT_ONCE {
                break;
            }
            if of(&|place| place.0 == organization) >= OF_ONE_ORGANIZATION
                || of(&|place| place.1 == webhook) >= TO_ONE_WEBHOOK
            {
                continue;
            }
            let (id, attempts, until) = (delivery.id, delivery.attempts, now.plus_seconds(LEASE_SECONDS));
            let is_ours = writing(app, organization, move |tx| {
                Box::pin(async move {
                    Ok(store::webhook_delivery::take(tx, organization, id, attempts, until).await?)
                })
            })
            .await?;
            if !is_ours {
                continue;
            }
            let (app, courier) = (app.clone(), Arc::clone(courier));
            let task = self.tasks.spawn(async move { send(&app, courier.as_ref(), delivery).await });
            self.places.insert(task.id(), (organization, webhook));
            begun += 1;
        }
        Ok(begun)
    }

    /// Waits until at least one delivery ended, which is forever when none is under way.
    pub async fn ended(&mut self) -> Result<(), Problem> {
        let Some(first) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
        let mut outcome = self.leave(first);
        while let Some(next) = self.tasks.try_join_next_with_id() {
            outcome = outcome.and(self.leave(next));
        }
        outcome
    }

    fn leave(&mut self, ended: Result<(Id, Result<(), Problem>), JoinError>) -> Result<(), Problem> {
        let (id, outcome) = ended.unwrap_or_else(|error| {
            let broken = Problem::new(ProblemKind::Internal, format!("a sender broke off: {error}"));
            (error.id(), Err(broken))
        });
        self.places.remove(&id);
        outcome
    }
}

/// Sends what is due and waits until it was; gives how many deliveries were tried.
pub async fn deliver_due(app: &App, courier: &Arc<dyn Courier>) -> Result<usize, Problem> {
    let mut sending = Sending::default();
    let begun = sending.begin_due(app, courier).await;
    let mut first = Ok(());
    while !sending.places.is_empty() {
        first = first.and(sending.ended().await);
    }
    begun.and_then(|begun| first.map(|()| begun))
}

/// The request of a delivery, signed at this instant.
async fn parcel(app: &App, webhook: &Webhook, delivery: &Delivery, now: Timestamp) -> Result<Parcel, String> {
    let url = app.webhook_rules().read(&webhook.url)?;
    let name = sealed_as(webhook.id);
    let open = async |sealed: &[u8]| {
        vault::open(app, &name, sealed).await.map_err(|error| format!("the secret {error}"))
    };
    let secret = open(&webhook.secret).await?;
    let previous = match (&webhook.previous_secret, webhook.previous_until) {
        (Some(sealed), Some(until)) if now < until => Some(open(sealed).await?),
        _ => None,
    };
    let secrets = std::iter::once(&secret).chain(&previous).map(|secret| secret.as_slice());
    Ok(Parcel {
        url: url.into(),
        id: delivery.message.clone(),
        timestamp: now.seconds(),
        signature: signature::sign(secrets, &delivery.message, now.seconds(), &delivery.payload),
        body: delivery.payload.clone(),
    })
}

async fn send(app: &App, courier: &dyn Courier, delivery: Delivery) -> Result<(), Problem> {
    let (organization, id) = (delivery.organization, delivery.webhook);
    let attempt = (delivery.id, delivery.attempts + 1);
    let webhook = reading!(app.database(), organization, |conn| store::webhook::get(conn, organization, id))?;
    // Its deliveries went with it.
    let Some(webhook) = webhook else { return Ok(()) };
    if !webhook.is_active {
        return give_up(app, &webhook, attempt, None, "the webhook is switched off".to_owned(), None).await;
    }
    let answer = match parcel(app, &webhook, &delivery, app.now()).await {
        Ok(parcel) => courier.deliver(&parcel).await,
        Err(why) => Answer::None(why),
    };
    let now = app.now();
    let (status, error) = match answer {
        Answer::Status(status @ 200..=299) => return arrived(app, &webhook, attempt, status).await,
        Answer::Status(status) => (Some(u32::from(status)), format!("the receiver answered {status}")),
        Answer::None(why) => (None, line(&why)),
    };
    if status == Some(410) {
        let reason = "the receiver answered 410 Gone".to_owned();
        return give_up(app, &webhook, attempt, status, error, Some(reason)).await;
    }
    match next_attempt(attempt.1, now) {
        Some(next) => {
            writing(app, organization, move |tx| {
                Box::pin(async move {
                    store::webhook::failing(tx, organization, id, now).await?;
                    store::webhook_delivery::postpone(tx, organization, attempt, next, status, &error)
                        .await?;
                    Ok(())
                })
            })
            .await
        }
        None => {
            let is_over =
                webhook.failing_since.is_some_and(|since| since.plus_seconds(PATIENCE_SECONDS) <= now);
            let reason = is_over.then(|| format!("nothing arrived for three days; the last time {error}"));
            give_up(app, &webhook, attempt, status, error, reason).await
        }
    }
}

async fn arrived(
    app: &App,
    webhook: &Webhook,
    attempt: (DeliveryId, u32),
    status: u16,
) -> Result<(), Problem> {
    let (organization, id, now) = (webhook.organization, webhook.id, app.now());
    writing(app, organization, move |tx| {
        Box::pin(async move {
            let end = (DeliveryStatus::Delivered, now);
            let status = Some(u32::from(status));
            store::webhook_delivery::finish(tx, organization, attempt, end, status, None).await?;
            store::webhook::well(tx, organization, id).await?;
            Ok(())
        })
    })
    .await
}

/// Ends a delivery's way, and with a reason switches its webhook off and tells who made it.
async fn give_up(
    app: &App,
    webhook: &Webhook,
    attempt: (DeliveryId, u32),
    status: Option<u32>,
    error: String,
    disable: Option<String>,
) -> Result<(), Problem> {
    let (organization, id, now) = (webhook.organization, webhook.id, app.now());
    let end = (DeliveryStatus::Failed, now);
    let Some(reason) = disable else {
        return writing(app, organization, move |tx| {
            Box::pin(async move {
                let error = Some(error.as_str());
                store::webhook_delivery::finish(tx, organization, attempt, end, status, error).await?;
                Ok(())
            })
        })
        .await;
    };
    let (app_inside, name, maker) = (app.clone(), webhook.name.clone(), webhook.created_by);
    let (_, revision) = app
        .write(
            Scope::Organization(organization.bits()),
            organization,
            now,
            move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    let tx = transaction.tx();
                    store::webhook_delivery::finish(tx, organization, attempt, end, status, Some(&error))
                        .await?;
                    let mut event = audit::system_event(
                        "webhooks",
                        organization,
                        now,
                        "webhook.disable",
                        "webhook",
                        id.to_string(),
                    );
                    event.reason.clone_from(&reason);
                    if store::webhook::disable(tx, organization, id, &reason, now).await?
                        && let Some(maker) = maker
                    {
                        let organization = super::delivery::about(tx, organization).await?.key.to_string();
                        let notice = Notice::WebhookDisabled { name, organization, reason };
                        notice::queue(&app_inside, tx, maker, notice, now).await?;
                    }
                    transaction.commit(event, Vec::new(), ()).await
                }) as BoxFuture<'_, Result<Committed<()>, Problem>>
            },
        )
        .await?;
    app.snapshots().hear_own(organization, revision).await.map(drop)
}

/// Forgets deliveries that arrived or were given up a month ago.
pub async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let before = now.plus_seconds(-KEPT_SECONDS);
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                store::webhook_delivery::purge(tx, before).await?;
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_for_three_days() {
        let total: i64 = WAITS.iter().sum();
        assert!((PATIENCE_SECONDS..PATIENCE_SECONDS + 86_400).contains(&total));
        assert_eq!(next_attempt(1, Timestamp(0)), Some(Timestamp::from_seconds(5)));
        assert_eq!(next_attempt(10, Timestamp(0)), None);
    }
}
