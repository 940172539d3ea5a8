//! Webhooks of an organization: made, changed, tried out, with what was delivered to them. The secret is in the answer that makes it and
//! nowhere else.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use charter_app::App;
use charter_app::webhook::{self, Delivery, WebhookDraft, WebhookUpdate, WithSecret};
use charter_kernel::{DeliveryId, PrincipalId, Problem, ProblemKind, Timestamp, WebhookId};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const WEBHOOKS: &str = "/api/v1/organizations/{organization}/webhooks";
const WEBHOOK: &str = "/api/v1/organizations/{organization}/webhooks/{webhook}";
const READ: Guard = Guard::Permission("admin.webhooks.read");
const UPDATE: Guard = Guard::Permission("admin.webhooks.update");
const EXECUTE: Guard = Guard::Permission("admin.webhooks.execute");
const OVERLAP_SECONDS: u32 = 86_400;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::list(WEBHOOKS, READ, list).named("webhooks.list", "Webhooks", "Lists webhooks in the order they were made."),
        Route::post(WEBHOOKS, Guard::Permission("admin.webhooks.create"), create)
            .named("webhooks.create", "Webhooks", "Makes a webhook; its secret is shown once.")
            .described(
                "Events are those of the audit trail, so whoever makes a webhook must be allowed to read it \
                 (`audit.events.read`). Patterns are an event type (`grant.give`), all of one noun (`grant.*`), or `*`. The \
                 address has to be https and public.",
            )
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::LimitReached])
            .example(r#"{"name":"ledger","url":"https://hooks.example.com/charter","events":["grant.*","role.assign"]}"#)
            .keeps_no_answers(),
        Route::get(WEBHOOK, READ, show)
            .named("webhooks.show", "Webhooks", "Shows one webhook, without its secret.")
            .problems(&[ProblemKind::NotFound]),
        Route::patch(WEBHOOK, UPDATE, update)
            .named("webhooks.update", "Webhooks", "Changes a webhook, or switches it off and on.")
            .described("One that is switched on again is told what happens from then on. Needs `audit.events.read` as well.")
            .problems(&[ProblemKind::NotFound, ProblemKind::Changed])
            .example(r#"{"active":true}"#),
        Route::delete(WEBHOOK, Guard::Permission("admin.webhooks.delete"), delete)
            .named("webhooks.delete", "Webhooks", "Removes a webhook with its deliveries.")
            .problems(&[ProblemKind::NotFound]),
        Route::post("/api/v1/organizations/{organization}/webhooks/{webhook}/rotate-secret", UPDATE, rotate_secret)
            .named("webhooks.rotate-secret", "Webhooks", "Gives a webhook a new secret, shown once; the old one signs as well for a while.")
            .problems(&[ProblemKind::NotFound])
            .example(r#"{"overlap_seconds":86400}"#)
            .keeps_no_answers(),
        Route::post("/api/v1/organizations/{organization}/webhooks/{webhook}/test", EXECUTE, test)
            .named("webhooks.test", "Webhooks", "Sends a webhook a message that says nothing, to try it out.")
            .status(StatusCode::ACCEPTED)
            .problems(&[ProblemKind::NotFound, ProblemKind::InUse]),
        Route::list("/api/v1/organizations/{organization}/webhooks/{webhook}/deliveries", READ, deliveries)
            .named("webhooks.deliveries", "Webhooks", "Lists what was delivered to a webhook, newest first.")
            .described("A delivery that arrived or was given up is listed for 30 days.")
            .problems(&[ProblemKind::NotFound]),
        Route::post(
            "/api/v1/organizations/{organization}/webhooks/{webhook}/deliveries/{delivery}/redeliver",
            EXECUTE,
            redeliver,
        )
        .named("webhooks.redeliver", "Webhooks", "Repeats a delivery: the same message, with the same id.")
        .status(StatusCode::ACCEPTED)
        .problems(&[ProblemKind::NotFound, ProblemKind::InUse]),
    ]
}

/// A webhook.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
struct WebhookView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: WebhookId,
    /// What it is for.
    name: String,
    /// Where events go.
    url: String,
    /// Patterns of event types.
    events: Vec<String>,
    /// Whether events go there.
    active: bool,
    /// Why Charter switched it off.
    disabled_reason: Option<String>,
    /// Until when the secret before the present one signs as well.
    #[schemars(with = "Option<wire::Time>")]
    previous_secret_until: Option<Timestamp>,
    /// Since when no delivery succeeded.
    #[schemars(with = "Option<wire::Time>")]
    failing_since: Option<Timestamp>,
    /// Who made it; none is the operator.
    #[schemars(with = "Option<wire::Id>")]
    created_by: Option<PrincipalId>,
    /// When it was made.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// When it was last changed.
    #[schemars(with = "wire::Time")]
    updated_at: Timestamp,
}

impl From<webhook::WebhookView> for WebhookView {
    fn from(it: webhook::WebhookView) -> Self {
        Self {
            id: it.id,
            name: it.name,
            url: it.url,
            events: it.events,
            active: it.is_active,
            disabled_reason: it.disabled_reason,
            previous_secret_until: it.previous_secret_until,
            failing_since: it.failing_since,
            created_by: it.created_by,
            created_at: it.created_at,
            updated_at: it.updated_at,
        }
    }
}

/// A webhook with its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookWithSecret")]
struct WithSecretView {
    /// The secret that signs: keep it now, it is not shown again.
    secret: String,
    /// The webhook as it is listed.
    webhook: WebhookView,
}

impl From<WithSecret> for WithSecretView {
    fn from(it: WithSecret) -> Self {
        Self { secret: it.secret.to_string(), webhook: it.webhook.into() }
    }
}

/// A webhook to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "NewWebhook")]
#[serde(deny_unknown_fields)]
struct CreateBody {
    /// What it is for.
    name: String,
    /// Where events go: an https address that is public.
    url: String,
    /// Patterns of event types: `grant.give`, `grant.*`, `*`.
    events: Vec<String>,
}

/// What changes about a webhook; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookChange")]
#[serde(deny_unknown_fields)]
struct UpdateBody {
    /// What it is for.
    #[serde(default)]
    name: Option<String>,
    /// Where events go.
    #[serde(default)]
    url: Option<String>,
    /// Patterns of event types.
    #[serde(default)]
    events: Option<Vec<String>>,
    /// Whether events go there.
    #[serde(default)]
    active: Option<bool>,
}

/// How a secret is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookSecretRotation")]
#[serde(deny_unknown_fields)]
struct RotateBody {
    /// Seconds for which the old secret signs as well, at most 30 days; left out, a day.
    #[serde(default)]
    overlap_seconds: Option<u32>,
}

/// A delivery to a webhook.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
struct DeliveryView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: DeliveryId,
    /// The id of the message, sent as `webhook-id`.
    message_id: String,
    /// What happened.
    event_type: String,
    /// `waiting`, `delivered` or `failed`.
    status: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried next, while it waits.
    #[schemars(with = "Option<wire::Time>")]
    next_attempt_at: Option<Timestamp>,
    /// When it was queued.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// When it arrived or was given up.
    #[schemars(with = "Option<wire::Time>")]
    finished_at: Option<Timestamp>,
    /// The status the receiver answered with the last time.
    last_status: Option<u32>,
    /// What went wrong the last time.
    last_error: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(it: Delivery) -> Self {
        let is_waiting = it.status == webhook::DeliveryStatus::Waiting;
        Self {
            id: it.id,
            message_id: it.message,
            event_type: it.event_type,
            status: it.status.as_str(),
            attempts: it.attempts,
            next_attempt_at: is_waiting.then_some(it.next_attempt_at),
            created_at: it.created_at,
            finished_at: it.finished_at,
            last_status: it.last_status,
            last_error: it.last_error,
        }
    }
}

/// A place in an organization.
#[derive(Debug, Deserialize, JsonSchema)]
struct WebhookPath {
    /// Its id.
    #[schemars(with = "wire::Id")]
    webhook: WebhookId,
}

/// A place in a webhook.
#[derive(Debug, Deserialize, JsonSchema)]
struct DeliveryPath {
    /// Its webhook.
    #[schemars(with = "wire::Id")]
    webhook: WebhookId,
    /// Its id.
    #[schemars(with = "wire::Id")]
    delivery: DeliveryId,
}

async fn list(call: Call) -> Result<Reply<Items<WebhookView>>, Problem> {
    let found = webhook::list(&call.app, call.permit()?, &call.page()).await?;
    Ok(call.items(found.items, found.next))
}

async fn create(call: Call<(), (), CreateBody>) -> Result<Reply<WithSecretView>, Problem> {
    let permit = call.permit()?.clone();
    let CreateBody { name, url, events } = call.body;
    let made = webhook::create(&call.app, &call.ctx, &permit, WebhookDraft { name, url, events }).await?;
    let place = format!("/api/v1/organizations/{}/webhooks/{}", made.webhook.organization, made.webhook.id);
    Ok(Reply::new(made.into()).location(place))
}

async fn show(call: Call<WebhookPath>) -> Result<Reply<WebhookView>, Problem> {
    Ok(Reply::new(webhook::get(&call.app, call.permit()?, call.path.webhook).await?.into()))
}

async fn update(call: Call<WebhookPath, (), UpdateBody>) -> Result<Reply<WebhookView>, Problem> {
    let permit = call.permit()?.clone();
    let UpdateBody { name, url, events, active } = call.body;
    let update = WebhookUpdate { name, url, events, is_active: active };
    Ok(Reply::new(webhook::update(&call.app, &call.ctx, &permit, call.path.webhook, update).await?.into()))
}

async fn delete(call: Call<WebhookPath>) -> Result<Reply<()>, Problem> {
    webhook::delete(&call.app, &call.ctx, call.permit()?, call.path.webhook).await?;
    Ok(Reply::empty())
}

async fn rotate_secret(call: Call<WebhookPath, (), RotateBody>) -> Result<Reply<WithSecretView>, Problem> {
    let (permit, overlap) = (call.permit()?.clone(), call.body.overlap_seconds.unwrap_or(OVERLAP_SECONDS));
    let made = webhook::rotate_secret(&call.app, &call.ctx, &permit, call.path.webhook, overlap).await?;
    Ok(Reply::new(made.into()))
}

async fn test(call: Call<WebhookPath>) -> Result<Reply<DeliveryView>, Problem> {
    Ok(Reply::new(webhook::test(&call.app, &call.ctx, call.permit()?, call.path.webhook).await?.into()))
}

async fn deliveries(call: Call<WebhookPath>) -> Result<Reply<Items<DeliveryView>>, Problem> {
    let found = webhook::deliveries(&call.app, call.permit()?, call.path.webhook, &call.page()).await?;
    Ok(call.items(found.items, found.next))
}

async fn redeliver(call: Call<DeliveryPath>) -> Result<Reply<DeliveryView>, Problem> {
    let (webhook, delivery) = (call.path.webhook, call.path.delivery);
    Ok(Reply::new(webhook::redeliver(&call.app, &call.ctx, call.permit()?, webhook, delivery).await?.into()))
}
