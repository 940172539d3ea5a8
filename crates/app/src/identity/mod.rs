//! Identity: passwords, sessions, access tokens, signing keys, service tokens, the first administrator.
//!
//! Pure parts judge (`password.rs`, `token.rs`, `signing_key.rs`, `credential_text.rs`, `throttle.rs`, `seal.rs`, `pepper.rs`); use cases write
//! (`sign_in.rs`, `begin.rs`, `refresh.rs`, `session.rs`, `own_password.rs`, `password_reset.rs`, `credential.rs`, `setup.rs`,
//! `lineage.rs`); newcomers come in by `invitation.rs` and `registration.rs`; `oauth` lets applications in on behalf of people; `authenticate.rs` turns a bearer token, a cookie or the word of a
//! trusted proxy into a `Caller` from memory. What a principal may do is never decided here: a token says who, the engine says what.

pub mod adopted_hash;
pub(crate) mod argon;
pub mod authenticate;
pub mod begin;
pub mod breached;
mod challenge;
pub mod credential;
pub mod credential_caller;
pub mod credential_change;
pub mod credential_state;
pub mod credential_text;
pub(crate) mod demand;
pub mod device;
pub mod email_change;
pub mod factor_proof;
mod guesses;
pub mod identity_settings;
pub mod invitation;
mod invitation_end;
pub mod key_bulk;
mod key_flush;
pub mod key_report;
pub mod key_rotation;
pub mod key_schedule;
pub mod key_scope;
pub mod key_use;
pub mod leaked_key;
pub mod legacy_caller;
pub mod legacy_key;
pub mod legacy_key_import;
pub mod legacy_secret;
pub mod legacy_token;
pub mod lineage;
mod mailed_code;
pub mod member_factor;
pub mod member_session;
mod membership;
pub mod newcomer;
mod newcomer_mail;
pub mod node;
pub mod notice;
pub mod oauth;
mod one_time_code;
pub mod own_factor;
pub mod own_password;
pub mod own_session;
pub mod passkey;
pub mod password;
pub mod password_reset;
pub mod password_rules;
pub mod pepper;
mod present;
pub mod proved_sign_in;
pub mod proxied_caller;
pub mod refresh;
pub mod refresh_token;
pub mod refusal;
pub mod registration;
pub mod registration_desk;
pub mod registration_settings;
pub mod seal;
pub mod second_sign_in;
pub mod session;
mod session_limits;
pub mod setup;
mod shelf;
pub mod sign_in;
pub mod signed_statement;
pub mod signing_key;
pub mod step_up;
pub mod support;
pub mod throttle;
pub mod token;
pub mod token_floor;
pub mod totp;
pub mod user_import;
mod verified_tokens;
mod webauthn;

use crate::App;
use crate::clock::{LastRead, World};
use crate::vault::{self, Vault};
use arc_swap::{ArcSwap, ArcSwapOption};
use charter_db::Database;
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store as store;
use lineage::Lineage;
use password::{HashCost, Hasher};
use proxied_caller::ProxySecret;
use seal::{Pepper, Sealer};
use signing_key::KeySet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use throttle::Throttle;
use token::TokenTerms;
use zeroize::Zeroizing;

/// What only the configuration knows.
#[derive(Clone, Copy)]
pub struct Secrets {
    /// Seals private keys in the database.
    pub key_encryption_key: [u8; 32],
    /// Goes into every keyed hash.
    pub pepper: [u8; 32],
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(..)")
    }
}

/// Key-encryption keys before the present one, newest first. They are shown to nobody, and wiped when they are forgotten.
#[derive(Clone, Default)]
pub struct PreviousKeys(Zeroizing<Vec<[u8; 32]>>);

impl PreviousKeys {
    /// The keys.
    pub fn reveal(&self) -> &[[u8; 32]] {
        &self.0
    }
}

impl From<Vec<[u8; 32]>> for PreviousKeys {
    fn from(keys: Vec<[u8; 32]>) -> Self {
        Self(Zeroizing::new(keys))
    }
}

impl std::fmt::Debug for PreviousKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PreviousKeys({})", self.0.len())
    }
}

/// The token that makes its bearer the operator at the machine.
#[derive(Clone)]
pub struct OperatorToken {
    /// The token: `cho_` and at least 32 more characters.
    pub token: String,
    /// The operating system's account the installation runs as, for the audit trail.
    pub account: String,
}

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OperatorToken(account: {})", self.account)
    }
}

/// What every operator token begins with.
pub const OPERATOR_PREFIX: &str = "cho_";

/// How sign-in works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `iss` of our tokens: the address the service is reached at.
    pub issuer: String,
    /// `aud` of our tokens.
    pub audience: String,
    /// The address people reach the service at: links in mails begin with it.
    pub public_url: String,
    /// How mail leaves the installation.
    pub mail: crate::mail::Way,
    /// How long an access token lives.
    pub access_token_seconds: u32,
    /// How long a session lasts at most that is used by tokens.
    pub session_seconds: u32,
    /// How long it lasts when it is not refreshed.
    pub session_idle_seconds: u32,
    /// How long a browser's session lasts at most.
    pub cookie_session_seconds: u32,
    /// How long it lasts when it is not used.
    pub cookie_session_idle_seconds: u32,
    /// When signing keys come and go.
    pub key_policy: key_schedule::KeyPolicy,
    /// The secrets of the configuration.
    pub secrets: Secrets,
    /// Key-encryption keys before the present one, newest first: they only open.
    pub previous_key_encryption_keys: PreviousKeys,
    /// The operator's token, where there is one.
    pub operator: Option<OperatorToken>,
    /// The secret a trusted proxy shows when it names a user; without one none may.
    pub proxy_secret: Option<ProxySecret>,
    /// A real installation: its service tokens say `live`, the others' `test`, and neither takes the other's.
    pub is_live: bool,
    /// What hashing a password costs.
    pub hash_cost: HashCost,
    /// Cores of the machine; one fewer hashes passwords at a time.
    pub cores: usize,
    /// Fewest characters of a new password.
    pub password_characters_min: u32,
    /// Passwords that leaked elsewhere, which no new one may be among; none is not to look.
    pub breached_passwords: Option<Arc<dyn breached::BreachedPasswords>>,
}

impl Settings {
    /// The defaults for an address and the secrets.
    pub fn new(issuer: impl Into<String>, secrets: Secrets) -> Self {
        let issuer = issuer.into();
        Self {
            public_url: issuer.clone(),
            mail: crate::mail::Way::default(),
            issuer,
            audience: "charter".to_owned(),
            access_token_seconds: 600,
            session_seconds: 30 * 86_400,
            session_idle_seconds: 8 * 3_600,
            cookie_session_seconds: 12 * 3_600,
            cookie_session_idle_seconds: 30 * 60,
            key_policy: key_schedule::KeyPolicy::default(),
            secrets,
            previous_key_encryption_keys: PreviousKeys::default(),
            operator: None,
            proxy_secret: None,
            is_live: false,
            hash_cost: HashCost::default(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            password_characters_min: password_rules::CHARACTERS_MIN,
            breached_passwords: None,
        }
    }
}

/// How far the clocks of two nodes may be apart.
pub(crate) const LEEWAY_SECONDS: i64 = charter_store::token_floor::LEEWAY_SECONDS;
/// How often sessions that are long over are forgotten.
const PURGE_EVERY_SECONDS: i64 = 3_600;
const SESSIONS_MAX: usize = 100_000;
const CREDENTIALS_MAX: usize = 50_000;

/// Everything a node keeps in memory to know who is asking.
pub struct Identity {
    settings: Settings,
    terms: TokenTerms,
    sealer: Sealer,
    pepper: Pepper,
    vault: Vault,
    hasher: Hasher,
    throttle: Throttle,
    token_throttle: Throttle,
    keys: ArcSwap<KeySet>,
    id_keys: ArcSwap<KeySet>,
    rs256_keys: ArcSwap<KeySet>,
    keys_read_at: AtomicI64,
    beat: node::Beat,
    floors: ArcSwap<token_floor::Floors>,
    legacy: ArcSwapOption<legacy_token::LegacyTokens>,
    verified: verified_tokens::VerifiedTokens,
    sessions: shelf::Shelf<charter_kernel::SessionId, session::Remembered>,
    cookies: shelf::Shelf<[u8; 32], charter_kernel::SessionId>,
    uses: session::Uses,
    credentials: shelf::Shelf<Box<str>, credential_caller::Remembered>,
    key_uses: key_use::KeyUses,
    keys_flushed_at: AtomicI64,
    legacy_keys: legacy_key::LegacyKeys,
    refusals: refusal::Refusals,
    last_read: LastRead,
    purged_at: AtomicI64,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Identity {
    /// Makes and verifies hashes of passwords.
    pub(crate) fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// With the keys the database has. The first key is made by the first `refresh`, because that writes.
    pub async fn open(database: &Database, world: &World, settings: &Settings) -> Result<Self, Problem> {
        let unusable =
            |error| Problem::new(ProblemKind::Internal, format!("the key-encryption key: {error}"));
        let previous = settings.previous_key_encryption_keys.reveal();
        let sealer = Sealer::with(&settings.secrets.key_encryption_key, previous).map_err(unusable)?;
        let pepper = Pepper::new(&settings.secrets.pepper);
        let vault = Vault::open(database, world, &sealer, &pepper, &settings.secrets.pepper).await?;
        let keys = reading_all!(database, |conn| store::signing_key::list(conn))?;
        let set_of = |lineage: Lineage| {
            let kept = keys.iter().filter(|key| Lineage::of(key) == Some(lineage)).cloned().collect();
            KeySet::new(kept, &sealer).map(ArcSwap::from_pointee)
        };
        let floors = reading_all!(database, |conn| store::token_floor::set_since(conn, Timestamp::MIN))?;
        let now = world.now();
        Ok(Self {
            terms: TokenTerms {
                issuer: settings.issuer.clone(),
                audience: settings.audience.clone(),
                life_seconds: i64::from(settings.access_token_seconds),
                leeway_seconds: LEEWAY_SECONDS,
            },
            keys: set_of(Lineage::Access)?,
            id_keys: set_of(Lineage::Id)?,
            rs256_keys: set_of(Lineage::IdRs256)?,
            keys_read_at: AtomicI64::new(now.micros()),
            beat: node::Beat::new(now),
            floors: ArcSwap::from_pointee(token_floor::Floors::default().with(&floors)),
            sealer,
            pepper,
            vault,
            hasher: Hasher::new(settings.hash_cost, settings.cores, filler(world))
                .with_breached(settings.breached_passwords.clone()),
            throttle: Throttle::default(),
            token_throttle: Throttle::default(),
            legacy: ArcSwapOption::empty(),
            verified: verified_tokens::VerifiedTokens::default(),
            sessions: shelf::Shelf::new(SESSIONS_MAX),
            cookies: shelf::Shelf::new(SESSIONS_MAX),
            uses: session::Uses::default(),
            credentials: shelf::Shelf::new(CREDENTIALS_MAX),
            key_uses: key_use::KeyUses::default(),
            keys_flushed_at: AtomicI64::new(now.micros()),
            legacy_keys: legacy_key::LegacyKeys::default(),
            refusals: refusal::Refusals::default(),
            last_read: LastRead::new(world.moment()),
            purged_at: AtomicI64::new(0),
            settings: settings.clone(),
        })
    }

    /// How many passwords are being hashed or looked at, or wait for that.
    pub fn passwords_in_line(&self) -> usize {
        self.hasher.in_line()
    }

    /// Where the keys in force of a lineage are.
    fn place_of(&self, lineage: Lineage) -> &ArcSwap<KeySet> {
        match lineage {
            Lineage::Access => &self.keys,
            Lineage::Id => &self.id_keys,
            Lineage::IdRs256 => &self.rs256_keys,
        }
    }

    /// The keys in force of a lineage.
    pub fn keys_of(&self, lineage: Lineage) -> Arc<KeySet> {
        self.place_of(lineage).load_full()
    }

    /// The keys in force for access tokens.
    pub fn keys(&self) -> Arc<KeySet> {
        self.keys.load_full()
    }

    /// Keys of a former system.
    pub fn legacy_keys(&self) -> &legacy_key::LegacyKeys {
        &self.legacy_keys
    }

    /// How sign-in works.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What this node knows of the vault.
    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Reads a credential again when it is shown next.
    pub(crate) fn forget_credential(&self, key_id: &str) {
        self.credentials.forget(key_id);
    }

    /// Reads a session again when it is named next, unless it is known to have ended: nobody is let in by one meanwhile.
    pub(crate) fn forget_session(&self, id: charter_kernel::SessionId) {
        self.sessions.forget_unless(&id, |there| matches!(there, session::Remembered::Ended));
    }

    /// Hashes what must be recognised.
    pub(crate) fn pepper(&self) -> &Pepper {
        &self.pepper
    }

    /// Seals what must be read again.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Brings keys and ended sessions up to date, makes the first signing key, looks at forgotten passwords, and writes the refusals that
    /// wait. Called about once a second, and once at start.
    pub async fn refresh(&self, app: &App) -> Result<(), Problem> {
        let moment = app.world().moment();
        let (started, since) = (moment.at, self.last_read.since(moment));
        // First of all: what the others read may be sealed by a key that is new.
        vault::learn(app).await?;
        lineage::reload(app).await?;
        if let Err(problem) = key_rotation::advance(app).await {
            // A step that cannot be written is done later: as long as a key signs, what else there is to learn is learned.
            if !self.keys().has_signer() {
                return Err(problem);
            }
            tracing::warn!(%problem, "what is due about the signing keys could not be done");
        }
        token_floor::learn(app, since.plus_seconds(-session::OVERLAP_SECONDS)).await?;
        legacy_caller::learn(app).await?;
        legacy_key::learn(app).await?;
        session::learn_ended(app, since).await?;
        session::write_uses(app, started).await?;
        self.last_read.note(moment);
        let purged_at = Timestamp(self.purged_at.load(Ordering::Acquire));
        if purged_at.plus_seconds(PURGE_EVERY_SECONDS) <= started {
            session::purge(app, started).await?;
            password_reset::purge(app, started).await?;
            registration_desk::purge(app, started).await?;
            invitation_end::purge(app, started).await?;
            email_change::purge(app, started).await?;
            crate::mail::purge(app, started).await?;
            crate::webhook::purge(app, started).await?;
            key_flush::hourly(app, started).await?;
            oauth::purge(app, started).await?;
            node::purge(app, started).await?;
            crate::organization::purge(app, started).await?;
            self.purged_at.store(started.micros(), Ordering::Release);
        }
        key_flush::flush(app, started, false).await;
        legacy_caller::flush(app, false).await;
        refusal::flush(app).await?;
        vault::round(app).await;
        password_reset::work(app).await?;
        invitation_end::expire(app, app.now()).await?;
        registration::work(app).await
    }

    /// Writes how keys were used and that this node stops, when the service ends.
    pub async fn close(&self, app: &App) {
        key_flush::flush(app, app.now(), true).await;
        legacy_caller::flush(app, true).await;
        node::leave(app).await;
    }

    /// Refuses when a session may have ended without this node knowing.
    fn require_fresh(&self, app: &App, now: Timestamp) -> Result<(), Problem> {
        let limit = i64::from(app.settings().max_staleness_seconds);
        if self.last_read.age_micros(app.world().moment_of(now)) < (limit + 1) * 1_000_000 {
            return Ok(());
        }
        Err(Problem::new(
            ProblemKind::Unavailable,
            format!("ended sessions could not be read for more than {limit} s: nobody is let in until the database answers"),
        )
        .retry_after(1))
    }
}

/// What stands for the password of accounts that do not exist.
fn filler(world: &World) -> [u8; 48] {
    world.random()
}

#[cfg(test)]
mod tests {
    use super::{Secrets, Settings};

    // Attack 24: settings are written to logs.
    #[test]
    fn settings_that_are_written_down_show_no_key() {
        let secrets = Secrets { key_encryption_key: [211; 32], pepper: [212; 32] };
        let mut settings = Settings::new("https://charter.example", secrets);
        settings.previous_key_encryption_keys = vec![[213; 32]].into();
        let text = format!("{settings:?}");
        assert!(
            text.contains("PreviousKeys(1)") && !["211", "212", "213"].iter().any(|it| text.contains(it)),
            "{text}"
        );
    }
}

#[cfg(test)]
mod token_attacks;
