//! Configuration: flags, then environment, then `charter.toml`, then defaults, read once and passed on as values. Every
//! fault is found in one go. `setting.rs` is the list; `layers.rs` knows where a value came from; `production.rs` says
//! what is good enough only for trying out.

mod account;
mod fault;
mod file;
mod layers;
pub mod production;
pub mod report;
mod secret;
pub mod setting;
pub mod text;

pub use fault::Fault;
pub use layers::{Found, Source};
pub use secret::Secret;

use clap::ArgMatches;
use ipnet::IpNet;
use layers::Layers;
use setting::{Kind, SETTINGS, Setting};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Everything that was configured.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The data folder.
    pub data: PathBuf,
    /// Address of the database.
    pub database: String,
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
    /// Seals signing keys; none is to be generated.
    pub key_encryption_key: Option<Secret>,
    /// Mixed into hashes of tokens; none is to be generated.
    pub pepper: Option<Secret>,
    /// Life of an access token.
    pub token_life: Duration,
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
    let shown = SETTINGS.iter().map(|setting| shown(setting, &layers, &configuration)).collect();
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

struct Reading<'a> {
    layers: &'a Layers,
    faults: Vec<Fault>,
    secret_files: Vec<PathBuf>,
}

impl Reading<'_> {
    fn configuration(&mut self) -> Configuration {
        let data = PathBuf::from(self.text("data"));
        let listen = self.read("listen", text::address, "an address and a port, such as 127.0.0.1:8080");
        let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let public_url = self.url("public_url");
        let database = self.database();
        let public_url_is_set = public_url.is_some();
        let public_url = public_url.unwrap_or_else(|| default_url(listen));
        let issuer = self.url("issuer");
        let issuer_is_set = issuer.is_some();
        let issuer = issuer.unwrap_or_else(|| public_url.clone());
        let key_encryption_key = self.secret("key_encryption_key", "key_encryption_key_file");
        let pepper = self.secret("pepper", "pepper_file");
        Configuration {
            database_is_set: database.is_some(),
            database: database.unwrap_or_else(|| default_database(&data)),
            data,
            database_pool: self.number("database_pool") as usize,
            production: self.switch("production"),
            listen,
            public_url,
            issuer,
            trusted_proxies: self.networks("trusted_proxies"),
            key_encryption_key,
            pepper,
            token_life: self.duration("token_life"),
            max_staleness: self.duration("max_staleness"),
            forget_organizations_after: self.duration("forget_organizations_after"),
            legacy_super_admin: self.switch("legacy_super_admin"),
            body_limit: self.number("body_limit") as usize,
            request_timeout: self.duration("request_timeout"),
            shutdown_timeout: self.duration("shutdown_timeout"),
            shutdown_delay: self.duration("shutdown_delay"),
            log: self.filter("log"),
            log_format: self.choice("log_format"),
            url: self.url("url"),
            token: self.layers.set("token").map(|found| Secret::new(&found.text)),
            organization: self.layers.set("organization").map(|found| found.text.trim().to_owned()),
            account: String::new(),
            secret_files: std::mem::take(&mut self.secret_files),
            public_url_is_set,
            issuer_is_set,
        }
    }

    fn text(&self, key: &str) -> String {
        self.layers.get(key).map(|found| found.text).unwrap_or_default()
    }

    fn fault(&mut self, key: &str, found: &Found, wrong: impl Into<String>, remedy: impl Into<String>) {
        let place = match &found.source {
            Source::Default => key.to_owned(),
            source => format!("{key} ({source})"),
        };
        self.faults.push(Fault::new(place, wrong, remedy));
    }

    fn read<T>(&mut self, key: &str, parse: impl Fn(&str) -> Option<T>, expected: &str) -> Option<T> {
        let found = self.layers.get(key).filter(|found| !found.text.trim().is_empty())?;
        let value = parse(&found.text);
        if value.is_none() {
            let wrong = format!("`{}` cannot be understood", found.text);
            self.fault(key, &found, wrong, format!("write {expected}"));
        }
        value
    }

    fn url(&mut self, key: &str) -> Option<String> {
        self.read(key, text::url, "an address such as https://charter.example.com")
    }

    fn networks(&mut self, key: &str) -> Vec<IpNet> {
        self.read(key, |text| text::networks(text).ok(), "addresses or networks such as 10.0.0.0/8,192.0.2.7")
            .unwrap_or_default()
    }

    fn switch(&mut self, key: &str) -> bool {
        let parse = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        };
        self.read(key, parse, "true or false").unwrap_or(false)
    }

    fn duration(&mut self, key: &'static str) -> Duration {
        let (least, most) = bounds(key);
        let within =
            |span: &Duration| (Duration::from_secs(least)..=Duration::from_secs(most)).contains(span);
        let expected = format!("a span of time from {least}s to {most}s, such as 30s, 10m, 1h or 7d");
        self.read(key, |text| text::duration(text).filter(within), &expected)
            .or_else(|| text::duration(setting::find(key)?.default?))
            .unwrap_or_default()
    }

    fn number(&mut self, key: &'static str) -> u64 {
        let (least, most) = bounds(key);
        let is_size = setting::find(key).is_some_and(|setting| matches!(setting.kind, Kind::Size(..)));
        let parse = move |text: &str| {
            let number = if is_size { text::size(text) } else { text.trim().parse().ok() };
            number.filter(|number| (least..=most).contains(number))
        };
        let expected = if is_size {
            format!("a size from {least} to {most} bytes, such as 512KiB or 1MiB")
        } else {
            format!("a whole number from {least} to {most}")
        };
        self.read(key, parse, &expected).or_else(|| parse(setting::find(key)?.default?)).unwrap_or_default()
    }

    fn choice(&mut self, key: &'static str) -> String {
        let words = match setting::find(key).map(|setting| setting.kind) {
            Some(Kind::Choice(words)) => words,
            _ => &[],
        };
        let parse =
            |text: &str| words.iter().find(|word| **word == text.trim()).map(|word| (*word).to_owned());
        let expected = format!("one of {}", words.join(", "));
        self.read(key, parse, &expected)
            .or_else(|| words.first().map(|word| (*word).to_owned()))
            .unwrap_or_default()
    }

    fn filter(&mut self, key: &'static str) -> String {
        let parse = |text: &str| {
            tracing_subscriber::EnvFilter::builder().parse(text).ok().map(|_| text.trim().to_owned())
        };
        self.read(
            key,
            parse,
            "a level (error, warn, info, debug, trace) or a filter such as info,charter_db=debug",
        )
        .unwrap_or_else(|| "info".to_owned())
    }

    /// The text of a file that a setting names.
    fn file(&mut self, key: &'static str) -> Option<String> {
        let found = self.layers.set(key)?.clone();
        let path = PathBuf::from(&found.text);
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => {
                self.secret_files.push(path);
                Some(text.trim().to_owned())
            }
            Ok(_) => {
                self.fault(key, &found, format!("{} is empty", path.display()), "write the value into it");
                None
            }
            Err(error) => {
                let wrong = format!("{} cannot be read: {error}", path.display());
                self.fault(key, &found, wrong, "name a file that exists and that this account may read");
                None
            }
        }
    }

    fn one_of_two(&mut self, key: &'static str, file_key: &'static str) {
        if let (Some(_), Some(found)) = (self.layers.set(key), self.layers.set(file_key).cloned()) {
            let wrong = format!("`{key}` is set as well");
            self.fault(file_key, &found, wrong, "keep one of the two");
        }
    }

    fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        self.one_of_two(key, file_key);
        let from_file = self.file(file_key);
        let text = self.layers.set(key).map(|found| found.text.clone()).or(from_file)?;
        Some(Secret::new(&text))
    }

    fn database(&mut self) -> Option<String> {
        self.one_of_two("database", "database_file");
        let from_file = self.file("database_file");
        let (key, found) = match (self.layers.set("database").cloned(), from_file) {
            (Some(found), _) => ("database", found),
            (None, Some(text)) => {
                let source =
                    self.layers.set("database_file").map_or(Source::Default, |found| found.source.clone());
                ("database_file", Found { text, source })
            }
            (None, None) => return None,
        };
        let address = found.text.trim();
        if address.starts_with("postgres://") || address.starts_with("postgresql://") {
            return Some(address.to_owned());
        }
        match address.strip_prefix("sqlite://").or_else(|| address.strip_prefix("sqlite:")) {
            Some(":memory:") => {
                let wrong = "a database in memory is gone when the command ends";
                self.fault(key, &found, wrong, "name a file: sqlite:///path/to/file");
                None
            }
            Some(path) if !path.is_empty() => Some(format!("sqlite://{path}")),
            _ => {
                let wrong = "is neither a SQLite file nor a PostgreSQL database";
                let remedy = "write sqlite:///path/to/file or postgres://user:password@host/name";
                self.fault(key, &found, wrong, remedy);
                None
            }
        }
    }
}

fn bounds(key: &str) -> (u64, u64) {
    match setting::find(key).map(|setting| setting.kind) {
        Some(Kind::Duration(least, most) | Kind::Size(least, most) | Kind::Count(least, most)) => {
            (least, most)
        }
        _ => (0, u64::MAX),
    }
}

fn default_url(listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
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
            if layers.set(&format!("{}_file", setting.key)).is_some() {
                format!("(from {}_file)", setting.key)
            } else if configuration.production {
                "(missing)".to_owned()
            } else {
                format!("(generated in {})", configuration.data.join("secrets").display())
            }
        }
        (_, Some(found)) if setting.secret => hidden(found),
        ("config", None) => {
            layers.file.as_ref().map_or_else(|| "(none)".to_owned(), |path| path.display().to_string())
        }
        (_, Some(found)) => found.text.trim().to_owned(),
        (_, None) => setting.default.map_or_else(|| format!("({})", setting.otherwise), str::to_owned),
    };
    Shown { setting, value, source }
}
