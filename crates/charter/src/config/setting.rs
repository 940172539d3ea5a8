//! The one list of settings: each flag, each variable, each key of `charter.toml`, each row of the guide comes from here.

/// What a setting's text has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Address and port.
    Address,
    /// A file or folder.
    Path,
    /// `sqlite:` or `postgres:` address.
    Database,
    /// `http:` or `https:` address.
    Url,
    /// Networks, separated by commas.
    Networks,
    /// A span of time between two bounds, in seconds.
    Duration(u64, u64),
    /// Bytes between two bounds.
    Size(u64, u64),
    /// A whole number between two bounds.
    Count(u64, u64),
    /// `true` or `false`.
    Switch,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A filter of log messages.
    Filter,
    /// Any text.
    Text,
}

/// Who reads a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Every command.
    Everyone,
    /// The server.
    Server,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Key in `charter.toml`; flag and variable follow from it.
    pub key: &'static str,
    /// What its text has to be.
    pub kind: Kind,
    /// The text when nobody sets it; none is "not set", or worked out from other settings.
    pub default: Option<&'static str>,
    /// How the default is described where it is not a text.
    pub otherwise: &'static str,
    /// Never shown, and no flag: other users of the machine can read the arguments of a process.
    pub secret: bool,
    /// Who reads it.
    pub reader: Reader,
    /// One sentence.
    pub summary: &'static str,
}

impl Setting {
    /// Name of the environment variable.
    pub fn variable(&self) -> String {
        format!("CHARTER_{}", self.key.to_uppercase())
    }

    /// The flag without its hyphens in front, for settings that have one.
    pub fn flag(&self) -> Option<String> {
        (!self.secret).then(|| self.key.replace('_', "-"))
    }

    /// The default as a person reads it.
    pub fn default_text(&self) -> &'static str {
        self.default.unwrap_or(self.otherwise)
    }
}

const fn setting(
    key: &'static str,
    kind: Kind,
    default: Result<&'static str, &'static str>,
    reader: Reader,
    summary: &'static str,
) -> Setting {
    let (default, otherwise) = match default {
        Ok(text) => (Some(text), ""),
        Err(otherwise) => (None, otherwise),
    };
    Setting { key, kind, default, otherwise, secret: false, reader, summary }
}

const fn secret(setting: Setting) -> Setting {
    Setting { secret: true, ..setting }
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Every setting, in the order they are shown.
pub const SETTINGS: &[Setting] = &[
    setting(
        "config",
        Kind::Path,
        Err("charter.toml, when it is there"),
        Reader::Everyone,
        "The configuration file",
    ),
    setting("data", Kind::Path, Ok("./charter-data"), Reader::Everyone, "The data folder"),
    setting(
        "database",
        Kind::Database,
        Err("charter.db in the data folder"),
        Reader::Everyone,
        "Address of the database: `sqlite:///path/to/file` or `postgres://user:password@host/name`",
    ),
    setting(
        "database_file",
        Kind::Path,
        Err("not set"),
        Reader::Everyone,
        "A file that holds the address of the database, in place of `database`",
    ),
    setting(
        "database_schema",
        Kind::Text,
        Err("none: where PostgreSQL looks by itself, which is `public`"),
        Reader::Everyone,
        "PostgreSQL: the schema that Charter's tables stand in, beside another system's in the same database; made when it is missing",
    ),
    setting(
        "database_pool",
        Kind::Count(1, 500),
        Err("8 for PostgreSQL, 4 for SQLite"),
        Reader::Server,
        "Connections to PostgreSQL, or readers of SQLite",
    ),
    setting(
        "production",
        Kind::Switch,
        Ok("false"),
        Reader::Everyone,
        "Refuse to start on anything that is good enough only for trying out",
    ),
    setting("listen", Kind::Address, Ok("127.0.0.1:8080"), Reader::Server, "Address and port to listen on"),
    setting(
        "public_url",
        Kind::Url,
        Err("http://localhost and the port, or http:// and `listen`"),
        Reader::Server,
        "The address clients know the service by",
    ),
    setting("issuer", Kind::Url, Err("`public_url`"), Reader::Server, "Issuer named in access tokens"),
    setting(
        "trusted_proxies",
        Kind::Networks,
        Err("none"),
        Reader::Server,
        "Addresses or networks of the proxies whose `X-Forwarded-For` counts, separated by commas",
    ),
    setting(
        "proxy_user_header",
        Kind::Text,
        Err("not set: no proxy names users"),
        Reader::Server,
        "The header in which a trusted proxy names the user it signed in, by login",
    ),
    secret(setting(
        "proxy_secret",
        Kind::Text,
        Err("not set"),
        Reader::Server,
        "What the proxy sends in `Charter-Proxy-Secret` when it does: 32 characters or more",
    )),
    setting(
        "proxy_secret_file",
        Kind::Path,
        Err("not set"),
        Reader::Server,
        "A file that holds it, in place of `proxy_secret`",
    ),
    secret(setting(
        "key_encryption_key",
        Kind::Text,
        Err("generated into the data folder"),
        Reader::Everyone,
        "Secret that seals the keys of the vault in the database: 32 random bytes as base64 or hex",
    )),
    setting(
        "key_encryption_key_file",
        Kind::Path,
        Err("not set"),
        Reader::Everyone,
        "A file that holds it, in place of `key_encryption_key`",
    ),
    secret(setting(
        "key_encryption_key_previous",
        Kind::Text,
        Err("none"),
        Reader::Everyone,
        "Those before it, newest first, separated by commas: they still open what they sealed",
    )),
    setting(
        "key_encryption_key_previous_file",
        Kind::Path,
        Err("not set"),
        Reader::Everyone,
        "A file that holds them, one a line, in place of `key_encryption_key_previous`",
    ),
    secret(setting(
        "pepper",
        Kind::Text,
        Err("generated into the data folder"),
        Reader::Everyone,
        "Secret mixed into the hashes of service tokens: 32 random bytes as base64 or hex",
    )),
    setting(
        "pepper_file",
        Kind::Path,
        Err("not set"),
        Reader::Everyone,
        "A file that holds it, in place of `pepper`",
    ),
    setting(
        "vault_url",
        Kind::Url,
        Err("not set"),
        Reader::Everyone,
        "Address of a HashiCorp Vault that holds `key_encryption_key` and `pepper`, in place of those settings",
    ),
    setting(
        "vault_mount",
        Kind::Text,
        Ok("secret"),
        Reader::Everyone,
        "Where its key/value engine (version 2) is mounted",
    ),
    setting("vault_path", Kind::Text, Ok("charter"), Reader::Everyone, "Path of the secret in that engine"),
    setting("vault_namespace", Kind::Text, Err("not set"), Reader::Everyone, "Its namespace"),
    secret(setting(
        "vault_token",
        Kind::Text,
        Err("not set"),
        Reader::Everyone,
        "The token that may read the secret",
    )),
    setting(
        "vault_token_file",
        Kind::Path,
        Err("not set"),
        Reader::Everyone,
        "A file that holds it, in place of `vault_token`",
    ),
    setting(
        "vault_ca_file",
        Kind::Path,
        Err("not set: those of the system"),
        Reader::Everyone,
        "Certificates of authorities that its certificate may come from, as PEM",
    ),
    secret(setting(
        "mail_url",
        Kind::Text,
        Err("not set: mail is written to files in the data folder, and in production it waits"),
        Reader::Server,
        "Mail server: `smtp://user:password@host:587?tls=required` or `smtps://user:password@host`",
    )),
    setting(
        "mail_url_file",
        Kind::Path,
        Err("not set"),
        Reader::Server,
        "A file that holds it, in place of `mail_url`",
    ),
    setting(
        "mail_from",
        Kind::Text,
        Err("charter@ and the host of `public_url`"),
        Reader::Server,
        "Who mail is from: `charter@example.com` or `Charter <charter@example.com>`",
    ),
    setting(
        "webhook_networks",
        Kind::Networks,
        Err("none"),
        Reader::Server,
        "Private addresses or networks that webhooks may reach all the same, separated by commas",
    ),
    setting("token_life", Kind::Duration(MINUTE, DAY), Ok("10m"), Reader::Server, "Life of an access token"),
    setting(
        "session_life",
        Kind::Duration(10 * MINUTE, 365 * DAY),
        Ok("30d"),
        Reader::Server,
        "How long a session that is used by tokens lasts at most",
    ),
    setting(
        "session_idle",
        Kind::Duration(10 * MINUTE, 365 * DAY),
        Ok("8h"),
        Reader::Server,
        "How long it lasts when it is not refreshed",
    ),
    setting(
        "cookie_session_life",
        Kind::Duration(MINUTE, 365 * DAY),
        Ok("12h"),
        Reader::Server,
        "How long a session of a browser, which has a cookie, lasts at most",
    ),
    setting(
        "cookie_session_idle",
        Kind::Duration(MINUTE, 365 * DAY),
        Ok("30m"),
        Reader::Server,
        "How long it lasts when it is not used",
    ),
    setting(
        "password_characters",
        Kind::Count(8, 64),
        Ok("15"),
        Reader::Server,
        "Fewest characters of a new password",
    ),
    setting(
        "breached_passwords",
        Kind::Path,
        Err("not set"),
        Reader::Server,
        "A file of passwords that leaked, which no new one may be among: SHA-1 hashes in order, a line each, as Have I Been Pwned publishes them",
    ),
    setting(
        "key_rotation_days",
        Kind::Count(0, 3_650),
        Ok("90"),
        Reader::Server,
        "Days a signing key signs before the next one does; 0 rotates only by hand",
    ),
    setting(
        "key_rotation_hour",
        Kind::Count(0, 23),
        Ok("2"),
        Reader::Server,
        "Hour of the day, in UTC, at which a new signing key begins to sign",
    ),
    setting(
        "key_publish_ahead",
        Kind::Duration(10 * MINUTE, 30 * DAY),
        Ok("1d"),
        Reader::Server,
        "How long a new signing key is published before it signs",
    ),
    setting(
        "key_history",
        Kind::Count(0, 10),
        Ok("3"),
        Reader::Server,
        "How many signing keys that no longer sign keep verifying",
    ),
    setting("key_grace_days", Kind::Count(1, 270), Ok("270"), Reader::Server, "For how many days they do"),
    setting(
        "legacy_env",
        Kind::Path,
        Err("not set"),
        Reader::Server,
        "The `.env` file of the former system: tokens signed with its `SECRET_KEY` and `SECRET_KEYS_HISTORY` are taken",
    ),
    setting(
        "legacy_until",
        Kind::Text,
        Err("270 days after the first start with `legacy_env`"),
        Reader::Server,
        "Until when they are taken, such as 2027-03-31T00:00:00Z; never longer than the default",
    ),
    setting(
        "legacy_accept_weak",
        Kind::Switch,
        Ok("false"),
        Reader::Server,
        "Take tokens of secrets that can be guessed too, for a day",
    ),
    secret(setting(
        "shadow_from",
        Kind::Database,
        Err("not set"),
        Reader::Server,
        "The database of a system that organizations were taken over from, read again and again in shadow mode",
    )),
    setting(
        "shadow_from_file",
        Kind::Path,
        Err("not set"),
        Reader::Server,
        "A file that holds its address, in place of `shadow_from`",
    ),
    setting(
        "shadow_map",
        Kind::Path,
        Err("not set: its tables tell"),
        Reader::Server,
        "The mapping by which its organizations were taken over",
    ),
    setting(
        "shadow_endpoint",
        Kind::Url,
        Err("not set"),
        Reader::Server,
        "An address of that system that says who may do what, in place of `shadow_from`",
    ),
    secret(setting(
        "shadow_token",
        Kind::Text,
        Err("not set"),
        Reader::Server,
        "What is sent to `shadow_endpoint` as `Authorization: Bearer`",
    )),
    setting(
        "shadow_token_file",
        Kind::Path,
        Err("not set"),
        Reader::Server,
        "A file that holds it, in place of `shadow_token`",
    ),
    setting(
        "shadow_source",
        Kind::Text,
        Ok("legacy"),
        Reader::Server,
        "The name under which that system was taken over",
    ),
    setting(
        "shadow_refresh",
        Kind::Duration(1, DAY),
        Ok("30s"),
        Reader::Server,
        "How often `shadow_from` is read; three times as long without a reading, and it gives no answers",
    ),
    setting(
        "shadow_losses_max",
        Kind::Count(0, 100_000),
        Ok("100"),
        Reader::Server,
        "How many of 100,000 checks of a day may be losses after a cut-over; with more the organization goes back by itself",
    ),
    setting(
        "shadow_losses_from",
        Kind::Count(1, 1_000_000_000),
        Ok("1000"),
        Reader::Server,
        "From how many checks of a day on losses take an organization back",
    ),
    setting(
        "max_staleness",
        Kind::Duration(2, HOUR),
        Ok("30s"),
        Reader::Server,
        "How long decisions go on from memory when the database is away",
    ),
    setting(
        "forget_organizations_after",
        Kind::Duration(MINUTE, 365 * DAY),
        Ok("1h"),
        Reader::Server,
        "How long an organization nobody asks about stays in memory",
    ),
    setting(
        "legacy_super_admin",
        Kind::Switch,
        Ok("false"),
        Reader::Server,
        "Give super administrators a bypass of permissions, as former systems did; shown as a warning",
    ),
    setting("body_limit", Kind::Size(4 * KIB, 256 * MIB), Ok("1MiB"), Reader::Server, "Largest request body"),
    setting(
        "request_timeout",
        Kind::Duration(1, HOUR),
        Ok("30s"),
        Reader::Server,
        "How long one request may take",
    ),
    setting(
        "shutdown_timeout",
        Kind::Duration(1, HOUR),
        Ok("20s"),
        Reader::Server,
        "How long requests under way may take to end when the server stops",
    ),
    setting(
        "shutdown_delay",
        Kind::Duration(0, 10 * MINUTE),
        Ok("0s"),
        Reader::Server,
        "How long the server still takes requests after it says that it is not ready, before it stops",
    ),
    setting(
        "log",
        Kind::Filter,
        Ok("info"),
        Reader::Everyone,
        "Which messages are logged: a level, or a filter such as `info,charter_db=debug`",
    ),
    setting(
        "log_format",
        Kind::Choice(&["auto", "text", "json"]),
        Ok("auto"),
        Reader::Everyone,
        "Form of the log: `text`, `json`, or `auto` (text in a terminal, JSON otherwise)",
    ),
    setting(
        "url",
        Kind::Url,
        Err("the service of the data folder"),
        Reader::Everyone,
        "A running service that commands talk to",
    ),
    secret(setting(
        "token",
        Kind::Text,
        Err("the operator token of the data folder"),
        Reader::Everyone,
        "The credential commands send: an access token or a service token",
    )),
    setting(
        "organization",
        Kind::Text,
        Err("not set"),
        Reader::Everyone,
        "The organization commands are about when they do not say",
    ),
];

/// The setting of a key.
pub fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}
