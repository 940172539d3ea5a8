//! Configuration: flags, then environment, then `charter.toml`, then defaults, read once and passed on as values. Every
//! fault is found in one go. `setting.rs` is the list; `layers.rs` knows where a value came from; `production.rs` says
//! what is good enough only for trying out.

pub mod account;
mod fault;
mod file;
mod layers;
mod legacy;
pub mod production;
mod reading;
pub mod report;
mod secret;
pub mod setting;
mod shadow;
pub mod text;

pub use fault::Fault;
pub use secret::Secret;
pub use shadow::{ShadowFrom, ShadowSettings};

use charter_app::identity::key_schedule::KeyPolicy;
use charter_app::identity::legacy_caller::Terms;
use charter_app::shadow::BackLimits;
use charter_courier::{KvAddress, Sender, Server};
use charter_db::foreign::Share;
use clap::ArgMatches;
use http::HeaderName;
use ipnet::IpNet;
use layers::{Found, Layers};
use reading::Reading;
use setting::Setting;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that was configured.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The data folder.
    pub data: PathBuf,
    /// Address of the database.
    pub database: String,
    /// The schema of its tables, where it has one of its own.
    pub database_schema: Option<String>,
    /// Connections or readers.
    pub database_pool: usize,
    /// Whether only what is good enough for production may start.
    pub production: bool,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The address clients know the service by.
    pub public_url: String,
    /// Issuer of access tokens.
    pub issuer: String,
    /// Proxies whose headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they name the user they signed in.
    pub proxy_user_header: Option<HeaderName>,
    /// What they show when they do.
    pub proxy_secret: Option<Secret>,
    /// Seals signing keys; none is to be generated.
    pub key_encryption_key: Option<Secret>,
    /// Those before it, newest first.
    pub previous_key_encryption_keys: Vec<Secret>,
    /// Mixed into hashes of tokens; none is to be generated.
    pub pepper: Option<Secret>,
    /// The vault that holds these, in place of the configuration.
    pub vault: Option<KvAddress>,
    /// The mail server; none writes mail to files.
    pub mail_server: Option<Server>,
    /// Who mail is from, where somebody said so.
    pub mail_from: Option<Sender>,
    /// Private networks that webhooks may reach.
    pub webhook_networks: Vec<IpNet>,
    /// Life of an access token.
    pub token_life: Duration,
    /// How long a session lasts at most that is used by tokens.
    pub session_life: Duration,
    /// How long it lasts when it is not refreshed.
    pub session_idle: Duration,
    /// How long a browser's session lasts at most.
    pub cookie_session_life: Duration,
    /// How long it lasts when it is not used.
    pub cookie_session_idle: Duration,
    /// Fewest characters of a new password.
    pub password_characters: u32,
    /// File of passwords that leaked.
    pub breached_passwords: Option<PathBuf>,
    /// When signing keys come and go.
    pub key_policy: KeyPolicy,
    /// File of the former system's secrets.
    pub legacy_env: Option<PathBuf>,
    /// How its tokens are taken.
    pub legacy_terms: Terms,
    /// How much of the time readings of another system's database take.
    pub read_share: Share,
    /// How the system is asked that organizations were taken over from.
    pub shadow: Option<ShadowSettings>,
    /// What takes an organization back by itself that was cut over from it.
    pub shadow_back: BackLimits,
    /// How long decisions go on without the database.
    pub max_staleness: Duration,
    /// How long an unused organization stays in memory.
    pub forget_organizations_after: Duration,
    /// Whether super administrators bypass permissions.
    pub legacy_super_admin: bool,
    /// Largest body.
    pub body_limit: usize,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How long requests may take to end at a stop.
    pub shutdown_timeout: Duration,
    /// How long requests are still taken after the service says it is not ready.
    pub shutdown_delay: Duration,
    /// Filter of log messages.
    pub log: String,
    /// Form of the log.
    pub log_format: String,
    /// A running service.
    pub url: Option<String>,
    /// The credential of commands.
    pub token: Option<Secret>,
    /// The organization of commands that name none.
    pub organization: Option<String>,
    /// Name of the account this process runs as.
    pub account: String,
    /// Files of key-encryption keys, the pepper and the vault's token.
    pub key_files: Vec<PathBuf>,
    /// Files that hold secrets and were read.
    pub secret_files: Vec<PathBuf>,
    /// Whether the database was chosen by somebody.
    pub database_is_set: bool,
    /// Whether the public address was chosen by somebody.
    pub public_url_is_set: bool,
    /// Whether the issuer was chosen by somebody.
    pub issuer_is_set: bool,
}

impl Configuration {
    /// The same for the address that was really bound: port 0 lets the system choose one.
    pub fn listen_on(&mut self, bound: SocketAddr) {
        self.listen = bound;
        if !self.public_url_is_set {
            self.public_url = default_url(bound);
        }
        if !self.issuer_is_set {
            self.issuer = self.public_url.clone();
        }
    }
}

/// One row of what is in force.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Which setting.
    pub setting: &'static Setting,
    /// Its value, secrets hidden.
    pub value: String,
    /// Where it came from.
    pub source: String,
}

/// What reading the configuration gave.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration, as far as it could be read: a value that could not stands at its default.
    pub configuration: Configuration,
    /// Everything that cannot be read.
    pub faults: Vec<Fault>,
    /// Everything that is good enough only for trying out; empty without `production`.
    pub production_faults: Vec<Fault>,
    /// What is allowed and yet worth a look.
    pub warnings: Vec<String>,
    /// Every setting as it is in force.
    pub shown: Vec<Shown>,
}

/// Reads the configuration of this process.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn load(flags: &ArgMatches) -> Loaded {
    load_from(flags, &std::env::vars_os().collect())
}

fn load_from(flags: &ArgMatches, variables: &BTreeMap<OsString, OsString>) -> Loaded {
    let mut faults = Vec::new();
    let layers = Layers::gather(flags, variables, &mut faults);
    let mut reading = Reading { layers: &layers, faults, secret_files: Vec::new() };
    let mut configuration = reading.configuration();
    configuration.account = account::name(variables);
    let faults = reading.faults;
    let mut warnings: Vec<String> = layers
        .strange_variables
        .iter()
        .map(|name| format!("{name} is set, and there is no such setting"))
        .collect();
    if configuration.legacy_super_admin {
        warnings.push("legacy_super_admin is on: super administrators bypass every permission".to_owned());
    }
    if configuration.legacy_terms.accepts_weak {
        warnings.push(
            "legacy_accept_weak is on: who guesses a secret of the former system signs in as anybody"
                .to_owned(),
        );
    }
    if configuration.production && configuration.mail_server.is_none() {
        warnings.push(
            "mail_url is not set: mail waits until it is, so nobody gets a forgotten password back"
                .to_owned(),
        );
    }
    let shown = setting::all().map(|setting| shown(setting, &layers, &configuration)).collect();
    let production_faults = if configuration.production {
        production::faults(&configuration, layers.file.as_deref())
    } else {
        Vec::new()
    };
    Loaded { configuration, faults, production_faults, warnings, shown }
}

impl Loaded {
    /// Everything that keeps a server from starting.
    pub fn all_faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().chain(&self.production_faults)
    }
}

/// As this machine reaches it. Under its name rather than its number: browsers allow no passkeys at a bare number.
fn default_url(listen: SocketAddr) -> String {
    let is_here = listen.ip() == Ipv4Addr::LOCALHOST || listen.ip() == Ipv6Addr::LOCALHOST;
    if is_here || listen.ip().is_unspecified() {
        format!("http://localhost:{}", listen.port())
    } else {
        format!("http://{listen}")
    }
}

fn default_database(data: &Path) -> String {
    format!("sqlite://{}", data.join("charter.db").display())
}

fn shown(setting: &'static Setting, layers: &Layers, configuration: &Configuration) -> Shown {
    let found = layers.set(setting.key);
    let source = match found {
        Some(found) => found.source.to_string(),
        None => "default".to_owned(),
    };
    let hidden = |found: &Found| format!("(hidden, {} characters)", Secret::new(&found.text).length());
    let value = match (setting.key, found) {
        ("database", _) if configuration.database_is_set && found.is_none() => {
            "(from database_file)".to_owned()
        }
        ("database", _) => text::without_password(&configuration.database),
        ("public_url", _) => configuration.public_url.clone(),
        ("issuer", _) => configuration.issuer.clone(),
        ("key_encryption_key" | "pepper", None) => {
            if layers.set("vault_url").is_some() {
                "(from vault_url)".to_owned()
            } else if layers.set(&format!("{}_file", setting.key)).is_some() {
                format!("(from {}_file)", setting.key)
            } else if configuration.production {
                "(missing)".to_owned()
            } else {
                format!("(generated in {})", configuration.data.join("secrets").display())
            }
        }
        ("shadow_from", None) if layers.set("shadow_from_file").is_some() => {
            "(from shadow_from_file)".to_owned()
        }
        ("mail_url", None) if layers.set("mail_url_file").is_some() => "(from mail_url_file)".to_owned(),
        (_, Some(found)) if setting.secret => hidden(found),
        ("config", None) => {
            layers.file.as_ref().map_or_else(|| "(none)".to_owned(), |path| path.display().to_string())
        }
        (_, Some(found)) => found.text.trim().to_owned(),
        (_, None) => setting.default.map_or_else(|| format!("({})", setting.otherwise), str::to_owned),
    };
    Shown { setting, value, source }
}
