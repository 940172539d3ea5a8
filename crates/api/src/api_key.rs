//! API keys: one's own, and those of service accounts. The text of a key is in the answer that makes it and nowhere else.

use crate::edge::{Call, ETag, Guard, Items, Reply, Route, wire};
use crate::shown::present;
use charter_app::App;
use charter_app::identity::credential::{
    self, Credential, CredentialDraft, KeyFilter, KeyState, NewCredential, Reach,
};
use charter_app::identity::credential_change::{self, CredentialUpdate};
use charter_app::identity::key_report::{self, HourOfUse, NetworkOfUse};
use charter_app::identity::key_scope::{KeyScope, SCOPES};
use charter_kernel::{CredentialId, PrincipalId, Problem, ProblemKind, Timestamp, Window};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const READ: Guard = Guard::Permission("admin.api_keys.read");
const TAG: &str = "API keys";

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::list("/api/v1/api-keys", READ, list)
            .named("api-keys.list", TAG, "Lists your own API keys, or a service account's, in the order they were made, revoked ones too."),
        Route::post("/api/v1/api-keys", Guard::Permission("admin.api_keys.create"), create)
            .named("api-keys.create", TAG, "Makes an API key, for yourself or for a service account; its text is shown once.")
            .described(
                "A key works in one organization only. It may do what its owner may do at that moment, cut down to its scopes: \
                 who loses a permission loses it for their keys at once, and who is stopped or removed has no keys. \
                 `api-keys.scopes` lists the scopes; a pattern over permission codes is one, too. Keys make no keys.",
            )
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::BeyondGiver, ProblemKind::NotFound])
            .example(
                r#"{"name":"nightly report","scopes":["finance:read"],"addresses":["192.0.2.0/24"],"expires_at":"2027-06-01T00:00:00Z","requests_per_minute":120}"#,
            )
            .keeps_no_answers()
            .demands_recent_sign_in()
            .for_people(),
        Route::get("/api/v1/api-keys/{key}", READ, show)
            .named("api-keys.show", TAG, "Shows one API key, without its text.")
            .conditional()
            .problems(&[ProblemKind::NotFound]),
        Route::patch("/api/v1/api-keys/{key}", Guard::Permission("admin.api_keys.update"), update)
            .named("api-keys.update", TAG, "Changes an API key: its name, addresses and rate; fewer scopes; an earlier end.")
            .described("A key never gets wider: scopes beyond those it has, or a later end, are refused.")
            .example(r#"{"name":"weekly report","addresses":null,"requests_per_minute":60}"#)
            .problems(&[ProblemKind::NotFound, ProblemKind::InUse, ProblemKind::Changed])
            .for_people(),
        Route::post("/api/v1/api-keys/{key}/rotate", Guard::Permission("admin.api_keys.rotate"), rotate)
            .named("api-keys.rotate", TAG, "Puts a new key in the place of one, which goes on for a while; the new text is shown once.")
            .described(
                "The old key goes on for `overlap_seconds`, at most until its own end; with 0 it is revoked at once. \
                 The new key has the same limits and the same end.",
            )
            .status(StatusCode::CREATED)
            .example(r#"{"overlap_seconds":86400}"#)
            .problems(&[ProblemKind::NotFound, ProblemKind::InUse, ProblemKind::BeyondGiver])
            .keeps_no_answers()
            .demands_recent_sign_in()
            .for_people(),
        Route::delete("/api/v1/api-keys/{key}", Guard::Permission("admin.api_keys.revoke"), revoke)
            .named("api-keys.revoke", TAG, "Revokes an API key, for good; it stays in the list, for the trail.")
            .problems(&[ProblemKind::NotFound, ProblemKind::InUse]),
        Route::get("/api/v1/api-keys/{key}/usage", READ, usage)
            .named("api-keys.usage", TAG, "Tells how an API key was used: counts by the hour, and the networks it came from.")
            .problems(&[ProblemKind::NotFound]),
        Route::get("/api/v1/api-key-scopes", READ, scopes)
            .named("api-keys.scopes", TAG, "Lists the scopes that are shipped, the wider ones with those they hold."),
    ]
}

/// An API key to be made.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "NewApiKey")]
#[serde(deny_unknown_fields)]
struct CreateBody {
    /// What the key is for.
    name: String,
    /// The service account it is for, by id or name; left out, yourself.
    #[serde(default)]
    account: Option<String>,
    /// Scopes or patterns its rights are limited to; left out, all its owner has.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// Blocks of addresses it may be used from, as `192.0.2.0/24`; left out, any.
    #[serde(default)]
    addresses: Option<Vec<String>>,
    /// From when it is valid; left out, at once.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    not_before: Option<Timestamp>,
    /// Until when; left out, until it is revoked.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    expires_at: Option<Timestamp>,
    /// How many requests a minute it is good for; left out, no limit of its own.
    #[serde(default)]
    requests_per_minute: Option<u32>,
}

/// Whose keys are listed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// The service account, by id or name; left out, yourself.
    #[serde(default)]
    account: Option<String>,
    /// Only keys in this state: `live`, `not_yet`, `expired`, `replaced`, `quarantined` or `revoked`.
    #[serde(default)]
    state: Option<String>,
}

/// An API key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub(crate) struct ApiKeyView {
    /// Its id.
    #[schemars(with = "wire::Id")]
    id: CredentialId,
    /// What it is for.
    name: String,
    /// The beginning of its text, by which it is found in a log or a file.
    preview: String,
    /// The public part of its text.
    key_id: String,
    /// Whose it is: `user` or `service_account`.
    owner_kind: &'static str,
    /// The id of its owner.
    #[schemars(with = "wire::Id")]
    owner_id: PrincipalId,
    /// Whether it can be used: `live`, `not_yet`, `expired`, `replaced`, `quarantined` or `revoked`.
    state: &'static str,
    /// Scopes or patterns its rights are limited to; none is no limit.
    scopes: Option<Vec<String>>,
    /// Blocks of addresses it may be used from; none is any.
    addresses: Option<Vec<String>>,
    /// How many requests a minute it is good for; none is no limit of its own.
    requests_per_minute: Option<u32>,
    /// From when it is valid.
    #[schemars(with = "Option<wire::Time>")]
    not_before: Option<Timestamp>,
    /// Until when.
    #[schemars(with = "Option<wire::Time>")]
    expires_at: Option<Timestamp>,
    /// Until when it goes on beside its successor.
    #[schemars(with = "Option<wire::Time>")]
    overlap_until: Option<Timestamp>,
    /// The key it took the place of.
    #[schemars(with = "Option<wire::Id>")]
    successor_of: Option<CredentialId>,
    /// Whether it comes from a former system.
    is_adopted: bool,
    /// When it was used last, at most half a minute late.
    #[schemars(with = "Option<wire::Time>")]
    last_used_at: Option<Timestamp>,
    /// From where.
    last_used_address: Option<String>,
    /// How often it was used.
    use_count: u64,
    /// When it was made.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// Who made it; none is the operator.
    #[schemars(with = "Option<wire::Id>")]
    created_by: Option<PrincipalId>,
    /// When it was put aside: it was reported as leaked, or was made with a change of address that was taken back.
    #[schemars(with = "Option<wire::Time>")]
    quarantined_at: Option<Timestamp>,
    /// When it was revoked.
    #[schemars(with = "Option<wire::Time>")]
    revoked_at: Option<Timestamp>,
    /// Why.
    revoke_reason: Option<String>,
}

impl ApiKeyView {
    pub(crate) fn of(it: Credential, is_live: bool, now: Timestamp) -> Self {
        Self {
            id: it.id,
            preview: credential::preview(&it, is_live),
            owner_kind: if it.kind == 'k' { "user" } else { "service_account" },
            owner_id: it.principal,
            state: KeyState::of(&it, now).as_str(),
            is_adopted: credential::is_adopted(&it),
            name: it.name,
            key_id: it.key_id,
            scopes: it.scopes,
            addresses: it.addresses,
            requests_per_minute: it.requests_per_minute,
            not_before: it.window.from(),
            expires_at: it.window.to(),
            overlap_until: it.overlap_until,
            successor_of: it.successor_of,
            last_used_at: it.last_used_at,
            last_used_address: it.last_used_address,
            use_count: it.use_count,
            created_at: it.created_at,
            created_by: it.created_by,
            quarantined_at: it.quarantined_at,
            revoked_at: it.revoked_at,
            revoke_reason: it.revoke_reason,
        }
    }
}

/// An API key with its text.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MadeApiKey")]
pub(crate) struct MadeApiKeyView {
    /// Its text: keep it now, it is not shown again.
    token: String,
    /// The key as it is listed.
    api_key: ApiKeyView,
}

impl MadeApiKeyView {
    pub(crate) fn of(made: NewCredential, is_live: bool, now: Timestamp) -> Self {
        Self { token: made.token.to_string(), api_key: ApiKeyView::of(made.credential, is_live, now) }
    }
}

pub(crate) fn is_live(app: &App) -> bool {
    app.identity().settings().is_live
}

/// A word of a key's state.
pub(crate) fn state(text: Option<&str>) -> Result<Option<KeyState>, Problem> {
    text.map(|text| {
        KeyState::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            let words: Vec<&str> = KeyState::ALL.iter().map(|state| state.as_str()).collect();
            Problem::invalid("state", format!("expected one of {}", words.join(", ")))
        })
    })
    .transpose()
}

/// The place of one key.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct KeyPath {
    /// Its id.
    #[schemars(with = "wire::Id")]
    pub key: CredentialId,
}

async fn list(call: Call<(), ListQuery>) -> Result<Reply<Items<ApiKeyView>>, Problem> {
    let permit = call.permit()?;
    let owner = credential::owner_asked(&call.app, &call.ctx, permit, call.query.account.as_deref()).await?;
    let filter = KeyFilter { owner, state: state(call.query.state.as_deref())?, ..KeyFilter::default() };
    let now = call.ctx.now;
    let found = credential::list(&call.app, permit, &filter, now, &call.page()).await?;
    let is_live = is_live(&call.app);
    Ok(call.items(found.items.into_iter().map(|it| ApiKeyView::of(it, is_live, now)), found.next))
}

async fn create(call: Call<(), (), CreateBody>) -> Result<Reply<MadeApiKeyView>, Problem> {
    let permit = call.permit()?.clone();
    let body = call.body;
    let window = Window::new(body.not_before, body.expires_at)
        .map_err(|error| Problem::invalid("expires_at", error.to_string()))?;
    let draft = CredentialDraft {
        account: body.account,
        name: body.name,
        scopes: body.scopes,
        addresses: body.addresses,
        window,
        requests_per_minute: body.requests_per_minute,
    };
    let made = credential::create(&call.app, &call.ctx, &permit, draft).await?;
    let place = format!("/api/v1/api-keys/{}", made.credential.id);
    let view = MadeApiKeyView::of(made, is_live(&call.app), call.ctx.now);
    Ok(Reply::new(view).location(place))
}

async fn show(call: Call<KeyPath>) -> Result<Reply<ApiKeyView>, Problem> {
    let found = credential::get(&call.app, &call.ctx, call.permit()?, Reach::Own, call.path.key).await?;
    Ok(shown(&call.app, found, call.ctx.now))
}

fn shown(app: &App, it: Credential, now: Timestamp) -> Reply<ApiKeyView> {
    let version = it.row_version;
    Reply::new(ApiKeyView::of(it, is_live(app), now)).etag(ETag::version(version))
}

/// What is to be different about an API key; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ApiKeyUpdate")]
#[serde(deny_unknown_fields)]
struct UpdateBody {
    /// What it is for.
    #[serde(default)]
    name: Option<String>,
    /// Scopes, none of them beyond those it has.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// Blocks of addresses it may be used from; null is any.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    addresses: Option<Option<Vec<String>>>,
    /// How many requests a minute it is good for; null is no limit of its own.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<u32>")]
    requests_per_minute: Option<Option<u32>>,
    /// Until when it is valid: earlier than now said.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    expires_at: Option<Timestamp>,
}

async fn update(call: Call<KeyPath, (), UpdateBody>) -> Result<Reply<ApiKeyView>, Problem> {
    let if_version = call.precondition.expected_version()?;
    let permit = call.permit()?.clone();
    let body = call.body;
    let changes = CredentialUpdate {
        name: body.name,
        scopes: body.scopes,
        addresses: body.addresses,
        requests_per_minute: body.requests_per_minute,
        expires_at: body.expires_at,
        if_version,
    };
    let id = call.path.key;
    let it = credential_change::update(&call.app, &call.ctx, &permit, Reach::Own, id, changes).await?;
    Ok(shown(&call.app, it, call.ctx.now))
}

/// How a key is rotated.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ApiKeyRotation")]
#[serde(deny_unknown_fields)]
struct RotateBody {
    /// For how long the old key goes on, at most thirty days; 0 revokes it at once.
    overlap_seconds: u32,
}

async fn rotate(call: Call<KeyPath, (), RotateBody>) -> Result<Reply<MadeApiKeyView>, Problem> {
    let (permit, id, overlap) = (call.permit()?, call.path.key, call.body.overlap_seconds);
    let made = credential_change::rotate(&call.app, &call.ctx, permit, Reach::Own, id, overlap).await?;
    let place = format!("/api/v1/api-keys/{}", made.credential.id);
    let view = MadeApiKeyView::of(made, is_live(&call.app), call.ctx.now);
    Ok(Reply::new(view).location(place))
}

/// Why it is revoked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RevokeQuery {
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
}

async fn revoke(call: Call<KeyPath, RevokeQuery>) -> Result<Reply<ApiKeyView>, Problem> {
    let reason = call.query.reason.as_deref().unwrap_or_default();
    let (permit, id) = (call.permit()?, call.path.key);
    let revoked = credential::revoke(&call.app, &call.ctx, permit, Reach::Own, id, reason).await?;
    Ok(shown(&call.app, revoked, call.ctx.now))
}

/// Which days are told of.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UsageQuery {
    /// So many days back; 7 when left out, at most 400.
    #[serde(default)]
    days: Option<u32>,
}

/// An hour in which a key was used or refused.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyHour")]
struct HourView {
    /// When it began.
    #[schemars(with = "wire::Time")]
    hour: Timestamp,
    /// How often the key let its bearer in.
    uses: u64,
    /// How often it was refused.
    refusals: u64,
}

/// A network a key was used from.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyNetwork")]
struct NetworkView {
    /// A /24 of IPv4 or a /48 of IPv6.
    network: String,
    /// Since when.
    #[schemars(with = "wire::Time")]
    first_used_at: Timestamp,
}

/// How a key was used.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyUsage")]
struct UsageView {
    /// Hours, oldest first; those in which nothing happened are left out.
    hours: Vec<HourView>,
    /// Networks.
    networks: Vec<NetworkView>,
}

async fn usage(call: Call<KeyPath, UsageQuery>) -> Result<Reply<UsageView>, Problem> {
    let days = call.query.days.unwrap_or(7);
    let (permit, id) = (call.permit()?, call.path.key);
    let (hours, networks) = key_report::usage(&call.app, &call.ctx, permit, Reach::Own, id, days).await?;
    let hour = |it: HourOfUse| HourView { hour: it.hour, uses: it.uses, refusals: it.refusals };
    let network = |it: NetworkOfUse| NetworkView { network: it.network, first_used_at: it.first_used_at };
    Ok(Reply::new(UsageView {
        hours: hours.into_iter().map(hour).collect(),
        networks: networks.into_iter().map(network).collect(),
    }))
}

/// A shipped scope.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyScope")]
struct ScopeView {
    /// Its name.
    scope: &'static str,
    /// What it is for.
    description: &'static str,
    /// The patterns of the permissions it leaves.
    patterns: &'static [&'static str],
    /// The scopes it holds, next below it.
    holds: &'static [&'static str],
}

impl From<KeyScope> for ScopeView {
    fn from(it: KeyScope) -> Self {
        Self { scope: it.key, description: it.description, patterns: it.patterns, holds: it.holds }
    }
}

async fn scopes(call: Call) -> Result<Reply<Items<ScopeView>>, Problem> {
    Ok(call.items(SCOPES, None))
}
