//! The vault: looking at it, rotating its key and the pepper, sealing what was stored before it. For operators.

use crate::edge::{Call, Guard, Reply, Route, wire};
use crate::shown::EditQuery;
use charter_app::App;
use charter_app::vault::pepper::{self, PepperEnd, PepperRotation};
use charter_app::vault::rotation::{self, Rotation, RotationDraft};
use charter_app::vault::{self, Existing, KeyState, KeyWord, PepperState, Progress, Status};
use charter_kernel::{Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const READ: Guard = Guard::PlatformPermission("platform.secrets.read");
const ROTATE: Guard = Guard::PlatformPermission("platform.secrets.rotate");

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    let routes = vec![
        Route::get("/api/v1/vault", READ, status)
            .named("vault.status", "Vault", "Shows the keys of the vault, how many values each sealed, how far a rotation is, and the peppers."),
        Route::post("/api/v1/vault/rotate", ROTATE, rotate)
            .named("vault.rotate", "Vault", "Makes a new key of the vault, by which everything is then sealed again.")
            .described(
                "The new key is sealed by the newest key-encryption key and seals 75 seconds later. Then the service seals again what \
                 older keys sealed; both open meanwhile. When nothing is left of the old key it is kept for `keep_seconds` and destroyed. \
                 With `rewrap_only` no key is made: those there are get sealed by the newest key-encryption key; that is refused while values \
                 are left that a key-encryption key sealed itself.",
            )
            .problems(&[ProblemKind::InUse])
            .example(r#"{"keep_seconds":86400}"#),
        Route::post("/api/v1/vault/advance", ROTATE, advance)
            .named("vault.advance", "Vault", "Does at once what the service would do for a rotation within the next seconds, and tells how far it is.")
            .described("A service that runs does the same by itself; this is for an operator who waits, or while none runs."),
        Route::post("/api/v1/vault/encrypt-existing", ROTATE, encrypt_existing)
            .named("vault.encrypt-existing", "Vault", "Seals by the vault what was stored before there was one.")
            .described(
                "Done twice it does nothing; cut short it goes on where it was. One call seals some thousand values: call it until \
                 `remaining` is 0.",
            )
            .problems(&[ProblemKind::InUse]),
        Route::post("/api/v1/vault/peppers/rotate", ROTATE, rotate_pepper)
            .named("vault.rotate-pepper", "Vault", "Makes a new version of the pepper; what older ones hashed is hashed anew when it is used.")
            .problems(&[ProblemKind::InUse, ProblemKind::Changed]),
        Route::post("/api/v1/vault/peppers/{pepper}/end", ROTATE, end_pepper)
            .named("vault.end-pepper", "Vault", "Ends a version of the pepper: credentials that still stand on it are refused from then on.")
            .described(
                "With `dry_run` it only counts what would be refused. Recovery codes are not made anew when somebody signs in: while there \
                 are any of this version it is ended with `force` alone.",
            )
            .problems(&[ProblemKind::NotFound, ProblemKind::InUse]),
    ];
    let is_change = |route: &Route<App>| route.guard() == ROTATE;
    routes
        .into_iter()
        .map(|route| if is_change(&route) { route.demands_recent_sign_in() } else { route })
        .collect()
}

/// A key-encryption key of the configuration.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeyEncryptionKey")]
struct KekView {
    /// What it is known by: nothing can be learned from it.
    id: String,
    /// It seals; the others only open.
    is_newest: bool,
    /// Keys of the vault that it sealed.
    keys: Vec<u32>,
    /// Whether it has to stay configured: it seals, it sealed keys of the vault, or values are left that a key-encryption key sealed itself.
    is_needed: bool,
}

/// A key of the vault.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VaultKey")]
struct KeyView {
    /// Its number, which stands in everything it sealed.
    key: u32,
    /// `pending` (seals from `activates_at`), `active`, `retiring` (what it sealed is being sealed again), `retired` (nothing is left
    /// of it) or `destroyed`.
    state: &'static str,
    /// How many values it sealed.
    values: u64,
    /// The key-encryption key that sealed it.
    key_encryption_key: String,
    /// When it was made.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// From when it seals.
    #[schemars(with = "wire::Time")]
    activates_at: Timestamp,
    /// When nothing was left that it sealed.
    #[schemars(with = "Option<wire::Time>")]
    retired_at: Option<Timestamp>,
    /// When it is destroyed.
    #[schemars(with = "Option<wire::Time>")]
    destroy_at: Option<Timestamp>,
    /// When it was destroyed.
    #[schemars(with = "Option<wire::Time>")]
    destroyed_at: Option<Timestamp>,
}

impl From<KeyState> for KeyView {
    fn from(it: KeyState) -> Self {
        let KeyState { key, state, values } = it;
        Self {
            key: key.number,
            state: state.as_str(),
            values,
            key_encryption_key: key.kek,
            created_at: key.created_at,
            activates_at: key.activates_at,
            retired_at: key.retired_at,
            destroy_at: key.destroy_at,
            destroyed_at: key.destroyed_at,
        }
    }
}

/// How many values one key sealed in one column.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SealedCount")]
struct CountView {
    /// Table and column.
    column: String,
    /// The key; null when a key-encryption key sealed them itself, as it was before there was a vault.
    key: Option<u32>,
    /// How many.
    values: u64,
}

/// How far a rotation is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VaultProgress")]
struct ProgressView {
    /// The key that everything is sealed by at its end.
    key: u32,
    /// From when it seals.
    #[schemars(with = "wire::Time")]
    activates_at: Timestamp,
    /// How many values it sealed.
    done: u64,
    /// How many there are.
    total: u64,
    /// Values that could not be opened when they were last to be sealed again: the log names them.
    unreadable: u64,
}

impl From<Progress> for ProgressView {
    fn from(it: Progress) -> Self {
        let Progress { key, activates_at, done, total, unreadable } = it;
        Self { key, activates_at, done, total, unreadable }
    }
}

/// A version of the pepper.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Pepper")]
struct PepperView {
    /// The version.
    version: u32,
    /// `pending`, `active` (hashes), `retiring` (recognises what it hashed) or `ended`.
    state: &'static str,
    /// API keys and service tokens that stand on it.
    credentials: u64,
    /// OAuth clients whose secret does.
    clients: u64,
    /// Live sessions of browsers whose cookie does.
    cookies: u64,
    /// When it was made.
    #[schemars(with = "wire::Time")]
    created_at: Timestamp,
    /// From when it hashes.
    #[schemars(with = "wire::Time")]
    activates_at: Timestamp,
    /// When it ended.
    #[schemars(with = "Option<wire::Time>")]
    ended_at: Option<Timestamp>,
}

impl From<PepperState> for PepperView {
    fn from(it: PepperState) -> Self {
        let PepperState { pepper, state, credentials, clients, cookies } = it;
        Self {
            version: pepper.version,
            state: if state == KeyWord::Destroyed { "ended" } else { state.as_str() },
            credentials,
            clients,
            cookies,
            created_at: pepper.created_at,
            activates_at: pepper.activates_at,
            ended_at: pepper.ended_at,
        }
    }
}

/// What the vault is like.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VaultStatus")]
struct StatusView {
    /// Key-encryption keys of the configuration, newest first.
    key_encryption_keys: Vec<KekView>,
    /// Keys of the vault, newest first.
    keys: Vec<KeyView>,
    /// Sealed values by column and key.
    values: Vec<CountView>,
    /// The rotation under way; null when there is none.
    rotation: Option<ProgressView>,
    /// Versions of the pepper, newest first.
    peppers: Vec<PepperView>,
}

impl From<Status> for StatusView {
    fn from(it: Status) -> Self {
        let values = it.columns.into_iter().flat_map(|of| {
            let column = format!("{}.{}", of.table, of.column);
            let view = move |(key, values)| CountView { column: column.clone(), key, values };
            of.values.into_iter().map(view)
        });
        Self {
            values: values.collect(),
            key_encryption_keys: it
                .keks
                .into_iter()
                .map(|kek| KekView {
                    id: kek.id,
                    is_newest: kek.is_newest,
                    keys: kek.keys,
                    is_needed: kek.is_needed,
                })
                .collect(),
            keys: it.keys.into_iter().map(Into::into).collect(),
            rotation: it.rotation.map(Into::into),
            peppers: it.peppers.into_iter().map(Into::into).collect(),
        }
    }
}

async fn status(call: Call) -> Result<Reply<StatusView>, Problem> {
    Ok(Reply::new(vault::status(&call.app, call.permit()?).await?.into()))
}

/// How to rotate.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VaultRotation")]
struct RotateBody {
    /// Seconds the old key is kept when nothing is sealed by it any more; 3,600 at least, a day when nothing is said.
    #[serde(default)]
    keep_seconds: Option<u32>,
    /// No new key: those there are get sealed by the newest key-encryption key.
    #[serde(default)]
    rewrap_only: bool,
}

/// What a rotation does, or did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VaultRotationPlan")]
struct RotationView {
    /// Whether nothing was written.
    dry_run: bool,
    /// The number of the new key; null when none is made.
    key: Option<u32>,
    /// The key-encryption key that seals it.
    key_encryption_key: String,
    /// Keys that an older key-encryption key sealed, which the newest seals now.
    rewrapped: Vec<u32>,
    /// From when the new key seals.
    #[schemars(with = "wire::Time")]
    activates_at: Timestamp,
    /// How many values are to be sealed again.
    values: u64,
    /// Seconds the old key is kept when nothing is sealed by it any more.
    keep_seconds: u32,
}

async fn rotate(call: Call<(), EditQuery, RotateBody>) -> Result<Reply<RotationView>, Problem> {
    let permit = call.permit()?.clone();
    let RotateBody { keep_seconds, rewrap_only } = call.body;
    let draft = RotationDraft { keep_seconds, is_rewrap_only: rewrap_only };
    let dry_run = call.query.dry_run;
    let Rotation { key, kek, rewrapped, activates_at, values, keep_seconds } = if dry_run {
        rotation::plan(&call.app, &permit, &call.ctx, draft).await?
    } else {
        rotation::rotate(&call.app, &call.ctx, &permit, draft).await?
    };
    Ok(Reply::new(RotationView {
        dry_run,
        key,
        key_encryption_key: kek,
        rewrapped,
        activates_at,
        values,
        keep_seconds,
    }))
}

/// What is left to be done.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VaultAdvance")]
struct AdvanceView {
    /// The rotation under way; null when it is over.
    rotation: Option<ProgressView>,
}

async fn advance(call: Call) -> Result<Reply<AdvanceView>, Problem> {
    let permit = call.permit()?.clone();
    let rotation = vault::advance(&call.app, &permit).await?.map(Into::into);
    Ok(Reply::new(AdvanceView { rotation }))
}

/// What was stored before there was a vault.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExistingValues")]
struct ExistingView {
    /// Whether nothing was written.
    dry_run: bool,
    /// Columns with values that no key of the vault sealed, as they were found.
    columns: Vec<CountView>,
    /// How many values this call sealed.
    sealed: u64,
    /// How many of them cannot be opened: the log names them.
    unreadable: u64,
    /// How many are left.
    remaining: u64,
}

async fn encrypt_existing(call: Call<(), EditQuery>) -> Result<Reply<ExistingView>, Problem> {
    let permit = call.permit()?.clone();
    let dry_run = call.query.dry_run;
    let Existing { columns, sealed, unreadable, remaining } =
        vault::encrypt_existing(&call.app, &call.ctx, &permit, dry_run).await?;
    let columns = columns.into_iter().filter(|(_, _, values)| *values > 0);
    let columns = columns.map(|(table, column, values)| CountView {
        column: format!("{table}.{column}"),
        key: None,
        values,
    });
    Ok(Reply::new(ExistingView { dry_run, columns: columns.collect(), sealed, unreadable, remaining }))
}

/// What a rotation of the pepper does, or did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PepperRotation")]
struct PepperRotationView {
    /// Whether nothing was written.
    dry_run: bool,
    /// The new version.
    version: u32,
    /// From when it hashes.
    #[schemars(with = "wire::Time")]
    activates_at: Timestamp,
    /// Credentials and secrets of clients on older versions: each is hashed anew when it is used.
    credentials: u64,
}

async fn rotate_pepper(call: Call<(), EditQuery>) -> Result<Reply<PepperRotationView>, Problem> {
    let permit = call.permit()?.clone();
    let dry_run = call.query.dry_run;
    let PepperRotation { version, activates_at, credentials } = if dry_run {
        pepper::plan(&call.app, &permit, &call.ctx).await?
    } else {
        pepper::rotate(&call.app, &call.ctx, &permit).await?
    };
    Ok(Reply::new(PepperRotationView { dry_run, version, activates_at, credentials }))
}

/// One version.
#[derive(Deserialize, JsonSchema)]
struct PepperPath {
    /// Its version.
    pepper: u32,
}

/// How to end one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EndQuery {
    /// Tell what would happen and write nothing.
    #[serde(default)]
    dry_run: bool,
    /// End it although something dies with it: that is refused from then on.
    #[serde(default)]
    force: bool,
}

/// What ending a version means, or meant.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PepperEnd")]
struct PepperEndView {
    /// Whether nothing was written.
    dry_run: bool,
    /// What that means, in words.
    summary: String,
    /// The version.
    version: u32,
    /// API keys and service tokens that die with it.
    credentials: u64,
    /// OAuth clients whose secret dies with it.
    clients: u64,
    /// OAuth clients whose secret before the last change dies with it, though its time is not over.
    previous_client_secrets: u64,
    /// Sessions whose cookie or refresh token dies with it: their users sign in again.
    sessions: u64,
    /// Ended secrets of a former system that would count again: while there are any, the version is not ended.
    ended_legacy_secrets: u64,
    /// Recovery codes that die with it: their owners make new ones.
    recovery_codes: u64,
    /// Open invitations whose link dies with it: they are sent again.
    invitations: u64,
    /// Requests for an account whose link dies with it.
    registrations: u64,
    /// Changes of an address that can be neither proved nor undone any more.
    email_changes: u64,
    /// Links for a new password that die with it.
    password_resets: u64,
}

async fn end_pepper(call: Call<PepperPath, EndQuery>) -> Result<Reply<PepperEndView>, Problem> {
    let permit = call.permit()?.clone();
    let EndQuery { dry_run, force } = call.query;
    let how = pepper::EndDraft { version: call.path.pepper, is_dry_run: dry_run, is_forced: force };
    let ended = pepper::end(&call.app, &call.ctx, &permit, how).await?;
    let summary = ended.summary(dry_run);
    let PepperEnd { version, credentials, clients, sessions, ended_legacy_secrets, others, .. } = ended;
    Ok(Reply::new(PepperEndView {
        dry_run,
        summary,
        version,
        credentials,
        clients,
        sessions,
        ended_legacy_secrets,
        previous_client_secrets: others.previous_client_secrets,
        recovery_codes: others.recovery_codes,
        invitations: others.invitations,
        registrations: others.registrations,
        email_changes: others.email_changes,
        password_resets: others.password_resets,
    }))
}
