//! What is good enough only for trying out. All of it is named at once, each with what to do.

use super::{Configuration, Fault, Secret, ShadowFrom, ShadowSettings};
use std::path::Path;

const RANDOM: &str = "make one with `openssl rand -base64 32`";

/// Everything in a configuration, its files and its data folder that production may not start with.
pub fn faults(configuration: &Configuration, file: Option<&Path>) -> Vec<Fault> {
    let mut faults = Vec::new();
    secrets(configuration, &mut faults);
    if !configuration.database_is_set {
        faults.push(Fault::new(
            "database",
            "is not set, and production does not guess where its data is",
            "set CHARTER_DATABASE or database_file, for example to postgres://charter:...@db.internal/charter; \
             for one machine sqlite:///var/lib/charter/charter.db is fine",
        ));
    }
    network(configuration, &mut faults);
    files(configuration, file, &mut faults);
    faults
}

fn secrets(configuration: &Configuration, faults: &mut Vec<Fault>) {
    let is_in_vault = configuration.vault.is_some();
    let mut secret = |key: &str, value: &Option<Secret>| match value {
        None if is_in_vault => {}
        None => faults.push(Fault::new(
            key,
            "is missing; a generated one would be lost with the data folder",
            format!(
                "{RANDOM}, keep it in a vault, and pass it as CHARTER_{} or in a file named by {key}_file",
                key.to_uppercase()
            ),
        )),
        Some(value) => {
            if let Some(weakness) = value.weakness() {
                faults.push(Fault::new(key, format!("is weak: it {weakness}"), RANDOM));
            }
        }
    };
    secret("key_encryption_key", &configuration.key_encryption_key);
    secret("pepper", &configuration.pepper);
    if let (Some(key), Some(pepper)) = (&configuration.key_encryption_key, &configuration.pepper)
        && key.bytes() == pepper.bytes()
    {
        faults.push(Fault::new(
            "pepper",
            "is the same secret as key_encryption_key",
            format!("give each its own: {RANDOM}"),
        ));
    }
    if let Some(wrong) = database_password(&configuration.database) {
        faults.push(Fault::new(
            "database",
            wrong,
            "give the account of the database a password of its own, or peer authentication",
        ));
    }
}

/// What is wrong with the password in an address of a database.
fn database_password(address: &str) -> Option<String> {
    const DEFAULTS: &[&str] = &[
        "postgres", "password", "charter", "changeme", "admin", "root", "secret", "test", "demo", "example",
        "123456",
    ];
    let authority = address.split_once("://")?.1.split(['/', '?']).next()?;
    let (user, password) = authority.rsplit_once('@')?.0.split_once(':')?;
    let lower = password.to_lowercase();
    if DEFAULTS.contains(&lower.as_str()) || lower == user.to_lowercase() {
        return Some("has a default password".to_owned());
    }
    (password.chars().count() < 8).then(|| "has a password of fewer than 8 characters".to_owned())
}

fn network(configuration: &Configuration, faults: &mut Vec<Fault>) {
    let is_https = configuration.public_url.starts_with("https://");
    if !is_https {
        let wrong = if configuration.public_url_is_set {
            format!("{} is not https: credentials would travel in the clear", configuration.public_url)
        } else {
            "is not set, and plain HTTP would carry credentials in the clear".to_owned()
        };
        let remedy =
            "put a proxy with TLS in front and set its address, for example https://charter.example.com";
        faults.push(Fault::new("public_url", wrong, remedy));
    }
    if is_https && !configuration.issuer.starts_with("https://") {
        faults.push(Fault::new(
            "issuer",
            format!("{} is not https", configuration.issuer),
            "use public_url, or an https address",
        ));
    }
    if let Some(vault) = &configuration.vault
        && vault.url.starts_with("http://")
        && !["localhost", "127.0.0.1", "[::1]"].contains(&charter_api::edge::host::name_in(&vault.url))
    {
        faults.push(Fault::new(
            "vault_url",
            format!("{} is not https: the keys of everything would travel in the clear", vault.url),
            "write https://",
        ));
    }
    if let Some(ShadowSettings { from: ShadowFrom::Endpoint { url, .. }, .. }) = &configuration.shadow
        && url.starts_with("http://")
        && !["localhost", "127.0.0.1", "[::1]"].contains(&charter_api::edge::host::name_in(url))
    {
        faults.push(Fault::new(
            "shadow_endpoint",
            format!("{url} is not https: whoever is in between would say who may do what"),
            "write https://",
        ));
    }
    if configuration.mail_server.as_ref().is_some_and(|server| server.is_in_the_clear()) {
        faults.push(Fault::new(
            "mail_url",
            "sends mail, with links that let their readers in, in the clear to another machine",
            "write tls=required, or smtps://",
        ));
    }
    if !configuration.listen.ip().is_loopback() && configuration.trusted_proxies.is_empty() {
        faults.push(Fault::new(
            "listen",
            format!(
                "{} is plain HTTP that other machines can reach, and no proxy is declared",
                configuration.listen
            ),
            "list the proxies that end TLS in trusted_proxies, or listen on 127.0.0.1",
        ));
    }
    for network in configuration.trusted_proxies.iter().filter(|network| network.prefix_len() == 0) {
        faults.push(Fault::new(
            "trusted_proxies",
            format!("{network} is everybody: any client could claim any address"),
            "list the proxies alone",
        ));
    }
}

fn files(configuration: &Configuration, file: Option<&Path>, faults: &mut Vec<Fault>) {
    let data = &configuration.data;
    readable_by_others("data", data, "chmod 700", faults);
    for path in &configuration.secret_files {
        readable_by_others("key file", path, "chmod 600", faults);
    }
    if let Some(path) = &configuration.legacy_env {
        readable_by_others(
            "legacy_env",
            path,
            "chmod 600, or 640 with the group of the former system",
            faults,
        );
    }
    for name in ["operator-token", "charter.db"] {
        readable_by_others("data", &data.join(name), "chmod 600", faults);
    }
    for entry in std::fs::read_dir(data.join("secrets")).into_iter().flatten().flatten() {
        readable_by_others("key file", &entry.path(), "chmod 600", faults);
    }
    if let Some(path) = file
        && holds_a_secret(path)
    {
        readable_by_others("config", path, "it holds a secret: chmod 600", faults);
    }
}

fn holds_a_secret(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| {
        text.lines().any(|line| {
            let key = line.split('=').next().unwrap_or_default().trim();
            super::setting::find(key).is_some_and(|setting| setting.secret || setting.key == "database")
        })
    })
}

#[cfg(unix)]
fn readable_by_others(place: &str, path: &Path, remedy: &str, faults: &mut Vec<Fault>) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = std::fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        faults.push(Fault::new(
            place,
            format!("{} can be read by every user of the machine (mode {mode:04o})", path.display()),
            format!("{remedy} {}", path.display()),
        ));
    }
}

#[cfg(not(unix))]
fn readable_by_others(_place: &str, _path: &Path, _remedy: &str, _faults: &mut Vec<Fault>) {}
