//! Sign-in: tokens, sessions, passwords, signing keys, and what a former system left.

use super::{DAY, Kind, MINUTE, Reader, Setting, setting};

pub const ALL: &[Setting] = &[
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
];
