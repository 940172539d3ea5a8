//! Mail and webhooks.

use super::{Kind, Reader, Setting, secret, setting};

pub const ALL: &[Setting] = &[
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
];
