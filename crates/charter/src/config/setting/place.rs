//! Where everything is: files, the database, the addresses of the service and of what stands before it.

use super::{Kind, Reader, Setting, secret, setting};

pub const ALL: &[Setting] = &[
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
];
