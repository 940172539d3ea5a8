//! What seals values and keys, and the vault that may hold it.

use super::{Kind, Reader, Setting, secret, setting};

pub const ALL: &[Setting] = &[
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
];
