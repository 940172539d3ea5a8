//! Texts of the layers turned into the values of a configuration; each that cannot be is a fault.

use super::layers::{Found, Layers, Source};
use super::setting::{self, Kind};
use super::{Configuration, Fault, Secret, default_database, default_url, text};
use charter_app::identity::key_schedule::KeyPolicy;
use charter_courier::{KvAddress, Sender, Server};
use charter_db::foreign::Share;
use http::HeaderName;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Fewest characters of what a proxy that names users shows.
const SECRET_MIN: usize = 32;

/// Settings that name a file everything hangs on.
const KEY_FILES: [&str; 4] =
    ["key_encryption_key_file", "key_encryption_key_previous_file", "pepper_file", "vault_token_file"];

/// A reading under way.
pub(super) struct Reading<'a> {
    pub(super) layers: &'a Layers,
    pub(super) faults: Vec<Fault>,
    pub(super) secret_files: Vec<PathBuf>,
}

impl Reading<'_> {
    /// The whole configuration; what could not be read stands at its default.
    pub(super) fn configuration(&mut self) -> Configuration {
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
        let previous_key_encryption_keys = self.previous_keys(key_encryption_key.as_ref());
        let pepper = self.secret("pepper", "pepper_file");
        let vault = self.vault();
        let mail_server = self.mail_server();
        let mail_from = self.mail_from();
        let trusted_proxies = self.networks("trusted_proxies");
        let (proxy_user_header, proxy_secret) = self.proxy_user(&trusted_proxies);
        let database_is_set = database.is_some();
        let database = database.unwrap_or_else(|| default_database(&data));
        Configuration {
            database_is_set,
            database_schema: self.schema(&database),
            database_pool: self.pool(&database),
            database,
            data,
            production: self.switch("production"),
            listen,
            public_url,
            issuer,
            trusted_proxies,
            proxy_user_header,
            proxy_secret,
            key_encryption_key,
            previous_key_encryption_keys,
            pepper,
            vault,
            mail_server,
            mail_from,
            webhook_networks: self.networks("webhook_networks"),
            token_life: self.duration("token_life"),
            session_life: self.duration("session_life"),
            session_idle: self.duration("session_idle"),
            cookie_session_life: self.duration("cookie_session_life"),
            cookie_session_idle: self.duration("cookie_session_idle"),
            password_characters: self.number("password_characters") as u32,
            breached_passwords: self
                .layers
                .set("breached_passwords")
                .map(|found| PathBuf::from(found.text.trim())),
            key_policy: self.key_policy(),
            legacy_env: self.layers.set("legacy_env").map(|found| PathBuf::from(found.text.trim())),
            legacy_terms: self.legacy_terms(),
            read_share: Share::of(u32::try_from(self.number("read_share")).unwrap_or(1)),
            shadow: self.shadow(),
            shadow_back: self.shadow_back(),
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
            key_files: KEY_FILES
                .iter()
                .filter_map(|key| self.layers.set(key))
                .map(|found| PathBuf::from(&found.text))
                .collect(),
            secret_files: std::mem::take(&mut self.secret_files),
            public_url_is_set,
            issuer_is_set,
        }
    }

    /// A proxy that names users has to be known, and to show that it is the one.
    fn proxy_user(&mut self, proxies: &[IpNet]) -> (Option<HeaderName>, Option<Secret>) {
        const OWN: &[&str] = &["authorization", "cookie", "host", "x-forwarded-for", "charter-proxy-secret"];
        let expected = "the name of a header such as X-Forwarded-User, which nothing else is told by";
        let parse =
            |text: &str| text.trim().parse().ok().filter(|name: &HeaderName| !OWN.contains(&name.as_str()));
        let header = self.read("proxy_user_header", parse, expected);
        let secret = self.secret("proxy_secret", "proxy_secret_file");
        let Some(found) = self.layers.set("proxy_user_header").cloned().filter(|_| header.is_some()) else {
            return (None, secret);
        };
        if proxies.is_empty() {
            let wrong = "no proxy is trusted, so nobody may name users";
            self.fault("proxy_user_header", &found, wrong, "list the proxy in trusted_proxies");
        }
        let remedy = format!(
            "set proxy_secret_file to a file of {SECRET_MIN} random characters or more, and let the proxy send them in Charter-Proxy-Secret"
        );
        let length = secret.as_ref().map(|secret| secret.reveal().chars().count());
        let given =
            ["proxy_secret", "proxy_secret_file"].into_iter().find(|key| self.layers.set(key).is_some());
        match (length.filter(|length| *length > 0), given) {
            (Some(length), Some(key)) if length < SECRET_MIN => {
                let place = self.layers.set(key).cloned().unwrap_or(found);
                let wrong = format!("holds {length} characters, {SECRET_MIN} are needed");
                self.fault(key, &place, wrong, remedy);
            }
            (Some(_), _) => {}
            (None, _) => {
                let wrong = "nothing proves that it was the proxy that set the header";
                self.fault("proxy_user_header", &found, wrong, remedy);
            }
        }
        (header, secret)
    }

    fn key_policy(&mut self) -> KeyPolicy {
        let mut count = |key| u32::try_from(self.number(key)).unwrap_or(u32::MAX);
        let days = count("key_rotation_days");
        KeyPolicy {
            every_days: (days > 0).then_some(days),
            hour: u8::try_from(count("key_rotation_hour")).unwrap_or(u8::MAX),
            history: count("key_history"),
            grace_days: count("key_grace_days"),
            ahead_seconds: u32::try_from(self.duration("key_publish_ahead").as_secs()).unwrap_or(u32::MAX),
        }
    }

    fn text(&self, key: &str) -> String {
        self.layers.get(key).map(|found| found.text).unwrap_or_default()
    }

    pub(super) fn fault(
        &mut self,
        key: &str,
        found: &Found,
        wrong: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let place = match &found.source {
            Source::Default => key.to_owned(),
            source => format!("{key} ({source})"),
        };
        self.faults.push(Fault::new(place, wrong, remedy));
    }

    pub(super) fn read<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Option<T>,
        expected: &str,
    ) -> Option<T> {
        let found = self.layers.get(key).filter(|found| !found.text.trim().is_empty())?;
        let value = parse(&found.text);
        if value.is_none() {
            let wrong = format!("`{}` cannot be understood", found.text);
            self.fault(key, &found, wrong, format!("write {expected}"));
        }
        value
    }

    pub(super) fn url(&mut self, key: &str) -> Option<String> {
        self.read(key, text::url, "an address such as https://charter.example.com")
    }

    fn networks(&mut self, key: &str) -> Vec<IpNet> {
        self.read(key, |text| text::networks(text).ok(), "addresses or networks such as 10.0.0.0/8,192.0.2.7")
            .unwrap_or_default()
    }

    pub(super) fn switch(&mut self, key: &str) -> bool {
        let parse = |text: &str| match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        };
        self.read(key, parse, "true or false").unwrap_or(false)
    }

    pub(super) fn duration(&mut self, key: &'static str) -> Duration {
        let (least, most) = bounds(key);
        let within =
            |span: &Duration| (Duration::from_secs(least)..=Duration::from_secs(most)).contains(span);
        let expected = format!("a span of time from {least}s to {most}s, such as 30s, 10m, 1h or 7d");
        self.read(key, |text| text::duration(text).filter(within), &expected)
            .or_else(|| text::duration(setting::find(key)?.default?))
            .unwrap_or_default()
    }

    /// Each reader of SQLite keeps pages and statements in this process; a connection keeps them in the server.
    fn pool(&mut self, database: &str) -> usize {
        match self.number("database_pool") {
            0 if database.starts_with("postgres") => 8,
            0 => 4,
            set => set as usize,
        }
    }

    /// SQLite keeps Charter in a file of its own, so nothing of another system is in its way.
    fn schema(&mut self, database: &str) -> Option<String> {
        const KEY: &str = "database_schema";
        let expected = "up to 40 small letters, digits and _, not beginning with pg_";
        let parse = |text: &str| {
            let name = text.trim();
            charter_db::is_schema_name(name).then(|| name.to_owned())
        };
        let name = self.read(KEY, parse, expected)?;
        if database.starts_with("postgres") {
            return Some(name);
        }
        if let Some(found) = self.layers.set(KEY).cloned() {
            let wrong = "is for PostgreSQL, and the database is a SQLite file, which is Charter's alone";
            self.fault(KEY, &found, wrong, "leave the setting out, or name a PostgreSQL database");
        }
        None
    }

    pub(super) fn number(&mut self, key: &'static str) -> u64 {
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

    pub(super) fn one_of_two(&mut self, key: &'static str, file_key: &'static str) {
        if let (Some(_), Some(found)) = (self.layers.set(key), self.layers.set(file_key).cloned()) {
            let wrong = format!("`{key}` is set as well");
            self.fault(file_key, &found, wrong, "keep one of the two");
        }
    }

    pub(super) fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        self.one_of_two(key, file_key);
        let from_file = self.file(file_key);
        let text = self.layers.set(key).map(|found| found.text.clone()).or(from_file)?;
        Some(Secret::new(&text))
    }

    /// Key-encryption keys before the present one. None may be that one: then the past would go on.
    fn previous_keys(&mut self, newest: Option<&Secret>) -> Vec<Secret> {
        let (key, file_key) = ("key_encryption_key_previous", "key_encryption_key_previous_file");
        let Some(text) = self.secret(key, file_key) else { return Vec::new() };
        let keys: Vec<Secret> =
            text.reveal().split([',', '\n']).map(Secret::new).filter(|secret| secret.length() > 0).collect();
        let place = if self.layers.set(key).is_some() { key } else { file_key };
        let found = self.layers.set(place).cloned();
        if let (Some(found), Some(newest)) = (found, newest)
            && keys.iter().any(|secret| secret.bytes() == newest.bytes())
        {
            let wrong = "holds the key that key_encryption_key is now";
            self.fault(place, &found, wrong, "make a new key_encryption_key: one from before is no new one");
        }
        keys
    }

    /// Where secrets are kept, when they are kept in a vault.
    fn vault(&mut self) -> Option<KvAddress> {
        let token = self.secret("vault_token", "vault_token_file");
        let authorities = self.layers.set("vault_ca_file").cloned().and_then(|found| {
            let pem = std::fs::read(&found.text);
            if let Err(error) = &pem {
                let wrong = format!("{} cannot be read: {error}", found.text);
                self.fault(
                    "vault_ca_file",
                    &found,
                    wrong,
                    "name a file that exists and that this account may read",
                );
            }
            pem.ok()
        });
        let url = self.url("vault_url")?;
        let found = self.layers.set("vault_url")?.clone();
        for key in ["key_encryption_key", "key_encryption_key_file", "pepper", "pepper_file"] {
            if self.layers.set(key).is_some() {
                self.fault("vault_url", &found, format!("`{key}` is set as well"), "keep one of the two");
            }
        }
        if token.is_none() {
            let remedy = "set vault_token_file to a file with a token that may read the secret";
            self.fault("vault_url", &found, "no token is set, so the vault will tell nothing", remedy);
        }
        let word = |key: &str| self.text(key).trim().trim_matches('/').to_owned();
        Some(KvAddress {
            url,
            mount: word("vault_mount"),
            path: word("vault_path"),
            namespace: self.layers.set("vault_namespace").map(|found| found.text.trim().to_owned()),
            token: zeroize::Zeroizing::new(token.as_ref().map_or("", Secret::reveal).to_owned()),
            authorities,
        })
    }

    /// The mail server. What is wrong is told without the text, which may hold a password.
    fn mail_server(&mut self) -> Option<Server> {
        let text = self.secret("mail_url", "mail_url_file")?;
        match Server::parse(text.reveal()) {
            Ok(server) => Some(server),
            Err(wrong) => {
                let key = if self.layers.set("mail_url").is_some() { "mail_url" } else { "mail_url_file" };
                let found = self.layers.set(key)?.clone();
                let remedy = "write smtp://user:password@host:587?tls=required or smtps://user:password@host";
                self.fault(key, &found, wrong, remedy);
                None
            }
        }
    }

    fn mail_from(&mut self) -> Option<Sender> {
        let found = self.layers.set("mail_from")?.clone();
        match Sender::parse(&found.text) {
            Ok(sender) => Some(sender),
            Err(wrong) => {
                self.fault("mail_from", &found, wrong, "write an address such as charter@example.com");
                None
            }
        }
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
