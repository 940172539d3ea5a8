//! How a system is asked that organizations were taken over from, and what leads back to it.

use super::{DAY, Kind, Reader, Setting, secret, setting};

pub const ALL: &[Setting] = &[
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
        "read_share",
        Kind::Count(1, 100),
        Ok("100"),
        Reader::Everyone,
        "Percent of the time that readings of the other system's database take, of `adopt` and of `shadow_from`; the rest is left to its users",
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
        "shadow_errors_max",
        Kind::Count(0, 100_000),
        Ok("1000"),
        Reader::Server,
        "How many of 100,000 checks of five minutes may fail after a cut-over; with more the organization goes back by itself, unless more of the other system's answers are missing",
    ),
    setting(
        "shadow_errors_from",
        Kind::Count(1, 1_000_000_000),
        Ok("100"),
        Reader::Server,
        "From how many checks of five minutes on failures and slow answers take an organization back",
    ),
    setting(
        "shadow_p99_ms_max",
        Kind::Count(1, 600_000),
        Ok("1000"),
        Reader::Server,
        "How many milliseconds all but one in a hundred checks of five minutes may take after a cut-over",
    ),
];
