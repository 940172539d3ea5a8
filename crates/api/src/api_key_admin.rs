//! All API keys of an organization, for who looks after them: listed, revoked and rotated many at once, taken over from a former system,
//! taken back in use after a report. Who may export the list is who they are the business of.

use crate::api_key::{ApiKeyView, KeyPath, MadeApiKeyView, RevokeQuery, is_live, state};
use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use charter_app::App;
use charter_app::identity::credential::{self, Credential, KeyFilter, NewCredential, Reach};
use charter_app::identity::credential_text::CredentialKind;
use charter_app::identity::key_bulk::{self, BulkAction, BulkDone};
use charter_app::identity::leaked_key;
use charter_app::identity::legacy_key_import::{self, LegacyKeyDraft, TakenOver};
use charter_app::member;
use charter_kernel::{CredentialId, Problem, ProblemKind, Timestamp};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const ALL: &str = "admin.api_keys.export";
const TAG: &str = "API keys";

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::list("/api/v1/organizations/{organization}/api-keys", Guard::Permission(ALL), list)
            .named("api-keys.all", TAG, "Lists the API keys of an organization, whoever's they are, without their texts."),
        Route::delete("/api/v1/organizations/{organization}/api-keys/{key}", Guard::Permission("admin.api_keys.revoke"), revoke)
            .named("api-keys.revoke-any", TAG, "Revokes an API key of the organization, whoever's it is.")
            .described("Asks for `admin.api_keys.export` as well: all keys are the business of who may export their list.")
            .problems(&[ProblemKind::NotFound, ProblemKind::InUse]),
        Route::post("/api/v1/organizations/{organization}/api-keys/bulk-revoke", Guard::Permission("admin.api_keys.revoke"), bulk_revoke)
            .named("api-keys.bulk-revoke", TAG, "Revokes every API key a filter wants; a dry run tells which.")
            .described(
                "At most 500 keys at once; `has_more` tells that there are others. Without `dry_run: false` nothing changes. \
                 Each key has an event of its own on the trail. Asks for `admin.api_keys.export` as well.",
            )
            .example(r#"{"unused_since":"2026-06-01T00:00:00Z","reason":"not used for half a year","dry_run":true}"#)
            .for_people(),
        Route::post("/api/v1/organizations/{organization}/api-keys/bulk-rotate", Guard::Permission("admin.api_keys.rotate"), bulk_rotate)
            .named("api-keys.bulk-rotate", TAG, "Puts new keys in the places of those a filter wants; their texts are shown once.")
            .described(
                "Keys of service accounts and one's own: the successor of another user's key is for that user alone, who is left \
                 alone. Otherwise as `api-keys.bulk-revoke`.",
            )
            .example(r#"{"kind":"service_account","created_before":"2026-01-01T00:00:00Z","overlap_seconds":86400,"dry_run":true}"#)
            .keeps_no_answers()
            .demands_recent_sign_in()
            .for_people(),
        Route::post("/api/v1/organizations/{organization}/api-keys/import", Guard::Permission("admin.api_keys.create"), import)
            .named("api-keys.import", TAG, "Takes over API keys of a former system by their prefixes and bcrypt hashes.")
            .described(
                "They work as they are, and get a fast hash beside the old one on their first use; the old one stays as it was. \
                 All are taken over or none. Those that are in already, by prefix and hash, are `kept`, so a list can be sent again when it \
                 has grown. A dry run refuses what the real one refuses. Asks for `admin.api_keys.export` as well.",
            )
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::BeyondGiver, ProblemKind::NotFound, ProblemKind::Taken])
            .example(
                r#"{"keys":[{"prefix":"ak_3f9d1","hash":"$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m","owner":"web-shop","name":"shop server"}],"dry_run":true}"#,
            )
            .demands_recent_sign_in()
            .for_people(),
        Route::post("/api/v1/organizations/{organization}/api-keys/{key}/release", Guard::Permission("admin.api_keys.update"), release)
            .named("api-keys.release", TAG, "Takes an API key back in use that was put aside.")
            .described("Asks for `admin.api_keys.export` as well.")
            .example(r#"{"reason":"the report was of our own test"}"#)
            .problems(&[ProblemKind::NotFound, ProblemKind::InUse])
            .demands_recent_sign_in()
            .for_people(),
    ]
}

/// Refuses who may do this to their own keys, and has no business with others'.
async fn require_all<P, Q, B>(call: &Call<P, Q, B>) -> Result<(), Problem> {
    call.app.require(&call.ctx, call.permit()?.organization(), ALL).await.map(drop)
}

/// A struct with the fields that say which keys are wanted, before fields of its own: of what is left out nothing is asked. Serde's `flatten` would
/// take unknown fields, and tell of none which it is that is wrong.
macro_rules! filtered {
    ($(#[$meta:meta])* struct $name:ident { $($(#[$of:meta])* $own:ident: $type:ty,)* }) => {
        $(#[$meta])*
        struct $name {
            /// Those of this member, by login or id.
            #[serde(default)]
            owner: Option<String>,
            /// Those of users (`user`) or of service accounts (`service_account`).
            #[serde(default)]
            kind: Option<String>,
            /// Those in this state: `live`, `not_yet`, `expired`, `replaced`, `quarantined` or `revoked`.
            #[serde(default)]
            state: Option<String>,
            /// Those that have this scope.
            #[serde(default)]
            scope: Option<String>,
            /// Those not used since, or never.
            #[serde(default)]
            #[schemars(with = "Option<wire::Time>")]
            unused_since: Option<Timestamp>,
            /// Those made before.
            #[serde(default)]
            #[schemars(with = "Option<wire::Time>")]
            created_before: Option<Timestamp>,
            /// Those that end before.
            #[serde(default)]
            #[schemars(with = "Option<wire::Time>")]
            expires_before: Option<Timestamp>,
            $($(#[$of])* $own: $type,)*
        }

        impl $name {
            /// Which keys are wanted.
            fn wanted(&mut self) -> FilterQuery {
                FilterQuery {
                    owner: self.owner.take(),
                    kind: self.kind.take(),
                    state: self.state.take(),
                    scope: self.scope.take(),
                    unused_since: self.unused_since,
                    created_before: self.created_before,
                    expires_before: self.expires_before,
                }
            }
        }
    };
}

filtered! {
    /// Which keys are listed.
    #[derive(Debug, Default, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct FilterQuery {}
}

filtered! {
    /// Which keys are revoked.
    #[derive(Deserialize, JsonSchema)]
    #[schemars(rename = "ApiKeysRevocation")]
    #[serde(deny_unknown_fields)]
    struct RevokeBody {
        /// These, by id.
        #[serde(default)]
        #[schemars(with = "Option<Vec<wire::Id>>")]
        ids: Option<Vec<CredentialId>>,
        /// Why, for the audit trail.
        #[serde(default)]
        reason: Option<String>,
        /// Only tell what would happen; false does it.
        #[serde(default = "yes")]
        dry_run: bool,
    }
}

filtered! {
    /// Which keys are rotated.
    #[derive(Deserialize, JsonSchema)]
    #[schemars(rename = "ApiKeysRotation")]
    #[serde(deny_unknown_fields)]
    struct RotateBody {
        /// These, by id.
        #[serde(default)]
        #[schemars(with = "Option<Vec<wire::Id>>")]
        ids: Option<Vec<CredentialId>>,
        /// For how long the old keys go on, at most thirty days; 0 revokes them at once.
        overlap_seconds: u32,
        /// Why, for the audit trail.
        #[serde(default)]
        reason: Option<String>,
        /// Only tell what would happen; false does it.
        #[serde(default = "yes")]
        dry_run: bool,
    }
}

async fn filter(
    app: &App,
    permit: &charter_app::Permit,
    asked: FilterQuery,
    ids: Option<Vec<CredentialId>>,
) -> Result<KeyFilter, Problem> {
    let owner = match asked.owner {
        Some(text) => Some(member::id_of(app, permit.organization(), &text).await?),
        None => None,
    };
    let kind = match asked.kind.as_deref() {
        None => None,
        Some("user") => Some(CredentialKind::User),
        Some("service_account") => Some(CredentialKind::Service),
        Some(_) => return Err(Problem::invalid("kind", "expected user or service_account")),
    };
    Ok(KeyFilter {
        owner,
        kind,
        state: state(asked.state.as_deref())?,
        scope: asked.scope,
        unused_since: asked.unused_since,
        created_before: asked.created_before,
        expires_before: asked.expires_before,
        ids,
    })
}

async fn list(mut call: Call<(), FilterQuery>) -> Result<Reply<Items<ApiKeyView>>, Problem> {
    let asked = call.query.wanted();
    let (permit, now) = (call.permit()?, call.ctx.now);
    let filter = filter(&call.app, permit, asked, None).await?;
    let found = credential::list(&call.app, permit, &filter, now, &call.page()).await?;
    let is_live = is_live(&call.app);
    Ok(call.items(found.items.into_iter().map(|it| ApiKeyView::of(it, is_live, now)), found.next))
}

async fn revoke(call: Call<KeyPath, RevokeQuery>) -> Result<Reply<ApiKeyView>, Problem> {
    require_all(&call).await?;
    let reason = call.query.reason.as_deref().unwrap_or_default();
    let (permit, id) = (call.permit()?, call.path.key);
    let revoked = credential::revoke(&call.app, &call.ctx, permit, Reach::All, id, reason).await?;
    Ok(Reply::new(ApiKeyView::of(revoked, is_live(&call.app), call.ctx.now)))
}

const fn yes() -> bool {
    true
}

/// What became of one key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeyOutcome")]
struct OutcomeView {
    /// The key.
    api_key: ApiKeyView,
    /// Why nothing happens to it; none is that it is changed.
    left_alone: Option<String>,
    /// The key in its place, with its text.
    successor: Option<MadeApiKeyView>,
}

/// What became of many keys.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeysChanged")]
struct BulkView {
    /// Whether this was only told, and nothing changed.
    dry_run: bool,
    /// How many keys are changed, or would be.
    changed: usize,
    /// Whether the filter wants more keys than are changed at once: ask again.
    has_more: bool,
    /// Key by key.
    keys: Vec<OutcomeView>,
}

impl BulkView {
    fn of(done: BulkDone, dry_run: bool, is_live: bool, now: Timestamp) -> Self {
        let view = |it: key_bulk::BulkOutcome| OutcomeView {
            api_key: ApiKeyView::of(it.credential, is_live, now),
            left_alone: it.left_alone,
            successor: it.successor.map(|(credential, token)| {
                MadeApiKeyView::of(NewCredential { credential, token }, is_live, now)
            }),
        };
        Self {
            dry_run,
            changed: done.outcomes.iter().filter(|it| it.left_alone.is_none()).count(),
            has_more: done.has_more,
            keys: done.outcomes.into_iter().map(view).collect(),
        }
    }
}

async fn bulk_revoke(call: Call<(), (), RevokeBody>) -> Result<Reply<BulkView>, Problem> {
    require_all(&call).await?;
    let permit = call.permit()?.clone();
    let (mut body, app, ctx) = (call.body, &call.app, &call.ctx);
    let filter = filter(app, &permit, body.wanted(), body.ids).await?;
    let (reason, dry_run) = (body.reason.unwrap_or_default(), body.dry_run);
    let done = key_bulk::change(app, ctx, &permit, &filter, BulkAction::Revoke, &reason, dry_run).await?;
    Ok(Reply::new(BulkView::of(done, dry_run, is_live(app), ctx.now)))
}

async fn bulk_rotate(call: Call<(), (), RotateBody>) -> Result<Reply<BulkView>, Problem> {
    require_all(&call).await?;
    let permit = call.permit()?.clone();
    let (mut body, app, ctx) = (call.body, &call.app, &call.ctx);
    let action = BulkAction::Rotate { overlap_seconds: body.overlap_seconds };
    let filter = filter(app, &permit, body.wanted(), body.ids).await?;
    let (reason, dry_run) = (body.reason.unwrap_or_default(), body.dry_run);
    let done = key_bulk::change(app, ctx, &permit, &filter, action, &reason, dry_run).await?;
    Ok(Reply::new(BulkView::of(done, dry_run, is_live(app), ctx.now)))
}

/// A key of a former system.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptedApiKey")]
#[serde(deny_unknown_fields)]
struct AdoptedBody {
    /// Its unique prefix, 6 to 16 characters.
    prefix: String,
    /// The bcrypt hash of the whole key.
    hash: String,
    /// Whose it is: a member, by login or id.
    owner: String,
    /// What it is for.
    name: String,
    /// Scopes or patterns its rights are limited to; left out, all its owner has.
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// Blocks of addresses it may be used from; left out, any.
    #[serde(default)]
    addresses: Option<Vec<String>>,
    /// Until when; left out, until it is revoked.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    expires_at: Option<Timestamp>,
    /// How many requests a minute it is good for; left out, no limit of its own.
    #[serde(default)]
    requests_per_minute: Option<u32>,
}

/// Keys of a former system.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptedApiKeys")]
#[serde(deny_unknown_fields)]
struct ImportBody {
    /// The keys, at most a thousand.
    keys: Vec<AdoptedBody>,
    /// Only tell whether they could be taken over.
    #[serde(default)]
    dry_run: bool,
}

/// What was taken over.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeysAdopted")]
struct ImportView {
    /// Whether this was only told, and nothing changed.
    dry_run: bool,
    /// The keys that were taken over.
    keys: Vec<ApiKeyView>,
    /// Those that were in already, by prefix and hash: they stay as they are.
    kept: Vec<ApiKeyView>,
}

async fn import(call: Call<(), (), ImportBody>) -> Result<Reply<ImportView>, Problem> {
    require_all(&call).await?;
    let permit = call.permit()?.clone();
    let (body, app, ctx) = (call.body, &call.app, &call.ctx);
    let draft = |it: AdoptedBody| LegacyKeyDraft {
        prefix: it.prefix,
        hash: it.hash,
        owner: it.owner,
        name: it.name,
        scopes: it.scopes,
        addresses: it.addresses,
        expires_at: it.expires_at,
        requests_per_minute: it.requests_per_minute,
    };
    let drafts = body.keys.into_iter().map(draft).collect();
    let TakenOver { made, kept } = legacy_key_import::import(app, ctx, &permit, drafts, body.dry_run).await?;
    let (is_live, is_written) = (is_live(app), !body.dry_run && !made.is_empty());
    let views =
        |rows: Vec<Credential>| rows.into_iter().map(|row| ApiKeyView::of(row, is_live, ctx.now)).collect();
    let reply = Reply::new(ImportView { dry_run: body.dry_run, keys: views(made), kept: views(kept) });
    Ok(if is_written { reply } else { reply.status(StatusCode::OK) })
}

/// Why it is taken back in use.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ApiKeyRelease")]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    /// Why, for the audit trail.
    reason: String,
}

async fn release(call: Call<KeyPath, (), ReleaseBody>) -> Result<Reply<ApiKeyView>, Problem> {
    require_all(&call).await?;
    let (permit, id) = (call.permit()?, call.path.key);
    let it = leaked_key::release(&call.app, &call.ctx, permit, id, &call.body.reason).await?;
    Ok(Reply::new(ApiKeyView::of(it, is_live(&call.app), call.ctx.now)))
}
