//! How the service runs, its log, and what commands talk to.

use super::{DAY, HOUR, KIB, Kind, MIB, MINUTE, Reader, Setting, secret, setting};

pub const ALL: &[Setting] = &[
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
