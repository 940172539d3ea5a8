//! Signing keys and floors: looking at them, rotating, revoking, refusing tokens issued before an instant. For operators.

use crate::edge::{Call, Guard, Reply, Route, wire};
use crate::shown::EditQuery;
use charter_app::App;
use charter_app::identity::key_rotation::{
    self, Reached, RevocationDraft, RotationDraft, RotationPlan, SigningKey,
};
use charter_app::identity::key_schedule;
use charter_app::identity::legacy_caller::{self, Idle};
use charter_app::identity::legacy_token::LegacySecretState;
use charter_app::identity::lineage::Lineage;
use charter_app::identity::node::NodeState;
use charter_app::identity::token_floor::{self, FloorDraft, Whose};
use charter_kernel::{PrincipalId, Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const READ: Guard = Guard::PlatformPermission("platform.secrets.read");
const ROTATE: Guard = Guard::PlatformPermission("platform.secrets.rotate");

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    let routes = vec![
        Route::get("/api/v1/keys", READ, list)
            .named("keys.list", "Signing keys", "Lists the keys that sign tokens, newest first, and when the next one of access tokens signs."),
        Route::post("/api/v1/keys/rotate", ROTATE, rotate)
            .named("keys.rotate", "Signing keys", "Publishes the next signing key now, or lets the one that waits sign earlier.")
            .described(
                "The new key is published first and signs after `ahead_seconds` (by default what the configuration says, at \
                 least 600), so that every verifier has it by then. Sessions go on. With `dry_run` it tells the plan, its \
                 hash and whom it reaches, and writes nothing; with `plan` it does exactly that plan or refuses.",
            )
            .problems(&[ProblemKind::Changed])
            .example(r#"{"ahead_seconds":3600}"#),
        Route::post("/api/v1/keys/{kid}/revoke", ROTATE, revoke)
            .named("keys.revoke", "Signing keys", "Refuses everything a signing key signed, at once and for good.")
            .described(
                "When it is the key that signs, a new one signs from the same instant. Sessions do not depend on keys: nobody is \
                 signed out, clients get a new token with their session.",
            )
            .problems(&[ProblemKind::NotFound, ProblemKind::InUse])
            .example(r#"{"compromised":true,"reason":"found in a backup on a public share"}"#),
        Route::get("/api/v1/keys/legacy", READ, legacy)
            .named("keys.legacy", "Signing keys", "Lists the secrets of the former system whose tokens are taken, and until when."),
        Route::post("/api/v1/keys/legacy/end", ROTATE, end_legacy)
            .named("keys.end-legacy", "Signing keys", "Ends taking tokens of the former system, or those of one of its secrets, for good.")
            .problems(&[ProblemKind::NotFound])
            .example(r#"{"reason":"its secret leaked"}"#),
        Route::post("/api/v1/keys/legacy/rotations", ROTATE, record_rotation)
            .named("keys.record-legacy-rotation", "Signing keys", "Records that the former system's secrets are about to be rotated.")
            .described("`charter keys rotate --legacy-env FILE` asks for it before it writes the file.")
            .example(r#"{"file":"/srv/erp/.env"}"#),
        Route::post("/api/v1/keys/not-before", ROTATE, raise)
            .named("keys.not-before", "Signing keys", "Refuses access tokens issued before an instant.")
            .described(
                "For everybody, for the tokens of one organization, or for those of one principal. Sessions go on and get new \
                 tokens. A floor is only ever raised.",
            )
            .problems(&[ProblemKind::NotFound])
            .example(r#"{"of_organization":"toys","reason":"tokens in a log file"}"#),
    ];
    let is_change = |route: &Route<App>| route.guard() == ROTATE;
    routes
        .into_iter()
        .map(|route| if is_change(&route) { route.demands_recent_sign_in() } else { route })
        .collect()
}

/// A key that signs tokens.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SigningKey")]
struct SigningKeyView {
    /// The id tokens name it by.
    kid: String,
    /// What it signs: `access` tokens, or `id` tokens.
    purpose: String,
    /// `EdDSA` for access tokens, `ES256` or `RS256` for ID tokens.
    alg: String,
    /// `pending` (published, signs from `activates_at`), `active` (signs), `retiring` (verifies what it signed), `retired`,
    /// or `revoked` (refused).
    state: &'static str,
    /// When it was made.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// From when it signs.
    #[schemars(with = "wire::Time")]
    activates_at: Timestamp,
    /// When it stopped signing.
    #[schemars(with = "Option<wire::Time>")]
    retired_at: Option<Timestamp>,
    /// When it stopped verifying.
    #[schemars(with = "Option<wire::Time>")]
    removed_at: Option<Timestamp>,
    /// When it was revoked.
    #[schemars(with = "Option<wire::Time>")]
    revoked_at: Option<Timestamp>,
    /// Why it was revoked.
    revoke_reason: Option<String>,
}

impl From<SigningKey> for SigningKeyView {
    fn from(it: SigningKey) -> Self {
        Self {
            kid: it.kid,
            purpose: it.purpose,
            alg: it.alg,
            state: it.state.as_str(),
            created_at: it.created_at,
            activates_at: it.activates_at,
            retired_at: it.retired_at,
            removed_at: it.removed_at,
            revoked_at: it.revoked_at,
            revoke_reason: it.revoke_reason,
        }
    }
}

/// The keys of the installation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SigningKeys")]
struct SigningKeysView {
    /// The keys, newest first.
    keys: Vec<SigningKeyView>,
    /// When the next key begins to sign; none when keys do not rotate by themselves.
    #[schemars(with = "Option<wire::Time>")]
    next_at: Option<Timestamp>,
    /// What is worth doing: a secret of a former system that nobody seems to need any more can be ended.
    hints: Vec<String>,
}

/// What is worth doing about a secret of which no token came for long.
fn hint(idle: &Idle) -> String {
    let Idle { id, since, are_all } = idle;
    let secret = if *are_all { String::new() } else { format!("--secret {id} ") };
    format!(
        "no token of legacy secret {id} was taken since {since}: `charter keys end-legacy {secret}--reason TEXT` ends {}",
        if *are_all { "what nobody seems to need" } else { "it" }
    )
}

async fn list(call: Call) -> Result<Reply<SigningKeysView>, Problem> {
    let keys = key_rotation::list(&call.app, call.permit()?).await?;
    let of_access: Vec<SigningKey> =
        keys.iter().filter(|key| Lineage::of(key) == Some(Lineage::Access)).cloned().collect();
    let next_at = key_schedule::next_at(&of_access, &call.app.identity().settings().key_policy);
    let idle = legacy_caller::idle(&call.app, call.permit()?, call.ctx.now).await?;
    let hints = idle.iter().map(hint).collect();
    Ok(Reply::new(SigningKeysView { keys: keys.into_iter().map(Into::into).collect(), next_at, hints }))
}

/// How to rotate.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SigningKeyRotation")]
struct RotateBody {
    /// Seconds the new key is published before it signs.
    #[serde(default)]
    ahead_seconds: Option<u32>,
    /// Hash of the plan that was looked at.
    #[serde(default)]
    plan: Option<String>,
    /// Which keys are meant; left out, those of access tokens.
    #[serde(default)]
    lineage: LineageName,
}

/// What keys sign, and how.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[schemars(rename = "SigningKeyLineage")]
#[serde(rename_all = "snake_case")]
enum LineageName {
    /// Access tokens.
    #[default]
    Access,
    /// ID tokens, by ES256.
    Id,
    /// ID tokens, by RS256.
    IdRs256,
}

impl From<LineageName> for Lineage {
    fn from(name: LineageName) -> Self {
        match name {
            LineageName::Access => Self::Access,
            LineageName::Id => Self::Id,
            LineageName::IdRs256 => Self::IdRs256,
        }
    }
}

/// What a rotation does, or did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SigningKeyPlan")]
struct RotationView {
    /// Names this plan.
    plan: String,
    /// Whether nothing was written.
    dry_run: bool,
    /// The key that signs now.
    active: Option<String>,
    /// The key that signs next; in a dry run none when it is yet to be made.
    next: Option<String>,
    /// Whether a key is made; otherwise the one that waits is taken.
    makes_key: bool,
    /// When the next key begins to sign, and the active one stops.
    #[schemars(with = "wire::Time")]
    activates_at: Timestamp,
    /// Keys that stop verifying once the next one signs and the last token they signed has ended.
    leave: Vec<String>,
    /// Until when what the active key signed is accepted, at the latest.
    #[schemars(with = "wire::Time")]
    accepted_until: Timestamp,
    /// In a dry run, whom the rotation reaches.
    reaches: Option<ReachedView>,
}

/// Whom a rotation reaches, and whom it leaves alone.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SigningKeyReach")]
struct ReachedView {
    /// Live sessions. They go on.
    sessions: u64,
    /// Secrets of a former system whose tokens are taken. They stay as they are.
    legacy_secrets: Vec<LegacyUseView>,
    /// Nodes that run, the oldest first. Each reads new keys within a second.
    nodes: Vec<NodeView>,
}

/// How often tokens of a secret of the former system were taken.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LegacySecretUse")]
struct LegacyUseView {
    /// What the secret is called.
    id: String,
    /// How many requests came by a token of it.
    accepted: u64,
    /// When the last of them did.
    #[schemars(with = "Option<wire::Time>")]
    last_accepted_at: Option<Timestamp>,
}

impl From<LegacySecretState> for LegacyUseView {
    fn from(it: LegacySecretState) -> Self {
        Self { id: it.id, accepted: it.accepted, last_accepted_at: it.last_accepted_at }
    }
}

/// A node that runs: one that was seen within a minute.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Node")]
struct NodeView {
    /// What it is known by; another one after every start.
    id: String,
    /// Its version of Charter.
    version: String,
    /// When it started.
    #[schemars(with = "wire::Time")]
    started_at: Timestamp,
    /// When it was seen last.
    #[schemars(with = "wire::Time")]
    seen_at: Timestamp,
    /// Whether it has read the signing keys as they are now.
    has_newest_keys: bool,
}

impl From<NodeState> for NodeView {
    fn from(it: NodeState) -> Self {
        let NodeState { node, is_current } = it;
        Self {
            id: format!("{:032x}", node.id),
            version: node.version,
            started_at: node.started_at,
            seen_at: node.seen_at,
            has_newest_keys: is_current,
        }
    }
}

impl From<Reached> for ReachedView {
    fn from(it: Reached) -> Self {
        let Reached { sessions, legacy, nodes } = it;
        Self {
            sessions,
            legacy_secrets: legacy.into_iter().map(Into::into).collect(),
            nodes: nodes.into_iter().map(Into::into).collect(),
        }
    }
}

impl RotationView {
    fn of(it: RotationPlan, reaches: Option<ReachedView>) -> Self {
        let dry_run = reaches.is_some();
        let RotationPlan { hash, active, next, makes_key, activates_at, leave, accepted_until } = it;
        Self { plan: hash, dry_run, active, next, makes_key, activates_at, leave, accepted_until, reaches }
    }
}

async fn rotate(call: Call<(), EditQuery, RotateBody>) -> Result<Reply<RotationView>, Problem> {
    let permit = call.permit()?.clone();
    let draft = RotationDraft {
        ahead_seconds: call.body.ahead_seconds,
        plan: call.body.plan,
        lineage: Some(call.body.lineage.into()),
    };
    if call.query.dry_run {
        let plan = key_rotation::plan(&call.app, &call.ctx, &draft).await?;
        let reached = key_rotation::reached(&call.app, &call.ctx, &permit).await?;
        return Ok(Reply::new(RotationView::of(plan, Some(reached.into()))));
    }
    let plan = key_rotation::rotate(&call.app, &call.ctx, &permit, draft).await?;
    Ok(Reply::new(RotationView::of(plan, None)))
}

/// One key.
#[derive(Deserialize, JsonSchema)]
struct KeyPath {
    /// Its id.
    kid: String,
}

/// Why it is revoked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SigningKeyRevocation")]
struct RevokeBody {
    /// Somebody else may have the key: the one that waits to sign is revoked with it.
    #[serde(default)]
    compromised: bool,
    /// Why, for the audit trail; may be left out when it is compromised.
    #[serde(default)]
    reason: String,
}

async fn revoke(call: Call<KeyPath, (), RevokeBody>) -> Result<Reply<SigningKeyView>, Problem> {
    let permit = call.permit()?.clone();
    let RevokeBody { compromised, reason } = call.body;
    let draft = RevocationDraft { is_compromised: compromised, reason };
    let revoked = key_rotation::revoke(&call.app, &call.ctx, &permit, &call.path.kid, draft).await?;
    Ok(Reply::new(revoked.into()))
}

/// A secret of the former system.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LegacySecret")]
struct LegacySecretView {
    /// What it is called: nothing can be learned from it.
    id: String,
    /// It can be guessed, and counts for a day only.
    is_weak: bool,
    /// When its tokens are refused.
    #[schemars(with = "wire::Time")]
    until: Timestamp,
    /// Since when its tokens are taken.
    #[schemars(with = "wire::Time")]
    taken_at: Timestamp,
    /// How many requests came by a token of it; those of other nodes, and of times before a restart, count.
    accepted: u64,
    /// When the last of them did.
    #[schemars(with = "Option<wire::Time>")]
    last_accepted_at: Option<Timestamp>,
    /// What is worth doing: after 14 days without a token of it, to end it.
    hint: Option<String>,
}

/// Secrets of the former system, newest first.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LegacySecrets")]
struct LegacySecretsView {
    /// The secrets; none when its tokens are not taken.
    secrets: Vec<LegacySecretView>,
}

async fn legacy(call: Call) -> Result<Reply<LegacySecretsView>, Problem> {
    let states = legacy_caller::states(&call.app, call.permit()?).await?;
    let idle = legacy_caller::idle(&call.app, call.permit()?, call.ctx.now).await?;
    let secrets = states.into_iter().map(|it| LegacySecretView {
        hint: idle.iter().find(|idle| idle.id == it.id).map(hint),
        taken_at: it.taken_at,
        last_accepted_at: it.last_accepted_at,
        id: it.id,
        is_weak: it.is_weak,
        until: it.until,
        accepted: it.accepted,
    });
    Ok(Reply::new(LegacySecretsView { secrets: secrets.collect() }))
}

/// Why it ends.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LegacyEnd")]
struct EndBody {
    /// Why, for the audit trail.
    reason: String,
    /// The one secret that is meant, as `keys.legacy` calls it; left out, all of them.
    #[serde(default)]
    secret: Option<String>,
}

async fn end_legacy(call: Call<(), (), EndBody>) -> Result<Reply<()>, Problem> {
    let permit = call.permit()?.clone();
    let EndBody { reason, secret } = &call.body;
    match secret {
        Some(id) => legacy_caller::end_secret(&call.app, &call.ctx, &permit, id, reason).await?,
        None => legacy_caller::end(&call.app, &call.ctx, &permit, reason).await?,
    }
    Ok(Reply::empty())
}

/// The file of a rotation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LegacyRotation")]
struct LegacyRotationBody {
    /// Path of the file, as it will stand in the trail.
    file: String,
}

async fn record_rotation(call: Call<(), (), LegacyRotationBody>) -> Result<Reply<()>, Problem> {
    let permit = call.permit()?.clone();
    legacy_caller::record_rotation(&call.app, &call.ctx, &permit, &call.body.file).await?;
    Ok(Reply::empty())
}

/// A floor to be set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TokenFloorDraft")]
struct FloorBody {
    /// Key or id of the one organization whose tokens are meant.
    #[serde(default)]
    of_organization: Option<String>,
    /// The one principal whose tokens are meant.
    #[serde(default)]
    #[schemars(with = "Option<wire::Id>")]
    of_principal: Option<PrincipalId>,
    /// Tokens issued before this are refused; left out, now.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    not_before: Option<Timestamp>,
    /// Why, for the audit trail.
    reason: String,
}

/// A floor.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TokenFloor")]
struct FloorView {
    /// `installation`, `organization` or `principal`.
    scope: &'static str,
    /// Tokens issued before this are refused.
    #[schemars(with = "wire::Time")]
    not_before: Timestamp,
}

async fn raise(call: Call<(), (), FloorBody>) -> Result<Reply<FloorView>, Problem> {
    let permit = call.permit()?.clone();
    let FloorBody { of_organization, of_principal, not_before, reason } = call.body;
    let whose = match (of_organization, of_principal) {
        (None, None) => Whose::Everybody,
        (Some(organization), None) => {
            Whose::Organization(call.app.resolve_organization(&organization).await?)
        }
        (None, Some(principal)) => Whose::Principal(principal),
        (Some(_), Some(_)) => {
            return Err(Problem::invalid(
                "of_principal",
                "stands beside of_organization: name one of them, or neither for everybody",
            ));
        }
    };
    let floor =
        token_floor::raise(&call.app, &call.ctx, &permit, FloorDraft { whose, not_before, reason }).await?;
    Ok(Reply::new(FloorView { scope: floor.whose.as_str(), not_before: floor.not_before }))
}
