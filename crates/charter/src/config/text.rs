//! Texts of settings and what they mean: spans of time, sizes, networks, addresses.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A span of time: `10m`, `90s`, `1h`, `7d`, `500ms`.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(milliseconds)?))
}

/// A number of bytes: `1MiB`, `512KiB`, `1048576`.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Networks separated by commas; a single address is a network of one. The part that is none, otherwise.
pub fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse::<IpNet>()
                .or_else(|_| part.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| part.to_owned())
        })
        .collect()
}

/// Address and port; `localhost:8080` and `:8080` are the loopback address.
pub fn address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':'))?;
    Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
}

/// An `http:` or `https:` address without a slash at the end.
pub fn url(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let host = rest.split('/').next().unwrap_or_default();
    let fits = !host.is_empty()
        && !rest.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '@'));
    fits.then(|| text.to_owned())
}

/// An address of a database with its password hidden, wherever a driver would look for one. It rather hides too much: a password that
/// holds a slash or a question mark connects, although it should be escaped.
pub fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://").filter(|(scheme, _)| *scheme != "sqlite") else {
        return address.to_owned();
    };
    let hidden = rest.rsplit_once('@').and_then(|(user, tail)| {
        let (name, _) = user.split_once(':')?;
        Some(format!("{name}:***@{tail}"))
    });
    let parts: Vec<String> =
        hidden.as_deref().unwrap_or(rest).split('&').map(without_password_in_query).collect();
    format!("{scheme}://{}", parts.join("&"))
}

/// A part of a query, or what stands before it and its first part.
fn without_password_in_query(part: &str) -> String {
    const KEY: &str = "password=";
    let shown = match part.to_ascii_lowercase().find(KEY) {
        Some(at) => part.get(..at + KEY.len()),
        // A key that is written with escapes can be any.
        None => part
            .split_once('=')
            .map(|(key, _)| key)
            .filter(|key| key.rsplit_once('?').map_or(*key, |(_, key)| key).contains('%'))
            .and_then(|key| part.get(..=key.len())),
    };
    shown.map_or_else(|| part.to_owned(), |shown| format!("{shown}***"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use charter_testkit::hostile::texts;

    /// Keys as files, variables and vaults hold them, and the file of settings.
    #[test]
    fn no_key_and_no_file_of_settings_makes_a_reader_stumble() {
        let seeds = [
            "3q2+7wABkL0Vt5u9ZxCw1YpQmR8sN4hJ6gFdKbTeU0o=",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "correct horse battery staple\n",
        ];
        for text in texts(&seeds, 3_000) {
            let secret = crate::config::Secret::new(&text);
            assert_eq!(secret.bytes(), crate::config::Secret::new(secret.reveal()).bytes(), "{text:?}");
            let _ = secret.weakness();
        }
        let file = "# ours\nlisten = \"127.0.0.1:8080\"\ntoken_life = \"10m\"\nproduction = true\n[server]\nport = 1\n";
        for text in texts(&[file], 2_000) {
            let (values, faults) = crate::config::file::parse(std::path::Path::new("charter.toml"), &text);
            let lines = text.lines().count().max(1);
            assert!(values.values().all(|value| (1..=lines).contains(&value.line)), "{text:?}");
            drop(faults);
        }
    }

    #[test]
    fn a_password_is_hidden_whatever_characters_it_holds() {
        for (address, shown) in [
            ("postgres://u:secret@h:5432/db", "postgres://u:***@h:5432/db"),
            ("postgres://u:hun/ter2@host/db", "postgres://u:***@host/db"),
            ("postgres://u:hun?ter2@host/db", "postgres://u:***@host/db"),
            ("postgres://u:hun#ter:2@host/db", "postgres://u:***@host/db"),
            ("postgres://u:h@n/t?r@host/db?sslmode=require", "postgres://u:***@host/db?sslmode=require"),
            (
                "postgres://u@h/db?password=a?b@c&sslmode=require",
                "postgres://u@h/db?password=***&sslmode=require",
            ),
            ("postgres://u@h/db?pass%77ord=secret", "postgres://u@h/db?pass%77ord=***"),
            (
                "postgres://u:s@h/db?sslmode=require&password=x/y",
                "postgres://u:***@h/db?sslmode=require&password=***",
            ),
            ("postgres://u@%2Frun%2Fpg/db?sslmode=disable", "postgres://u@%2Frun%2Fpg/db?sslmode=disable"),
            ("postgres://postgres@/erp?host=/tmp/pg", "postgres://postgres@/erp?host=/tmp/pg"),
            ("sqlite:///srv/a:b@c/charter.db", "sqlite:///srv/a:b@c/charter.db"),
        ] {
            assert_eq!(without_password(address), shown);
            assert_eq!(without_password(shown), shown);
        }
    }

    #[test]
    fn no_text_of_a_setting_makes_a_reader_stumble() {
        let seeds = [
            "10m",
            "500ms",
            "512KiB",
            "10.0.0.0/8, 2001:db8::/32",
            "localhost:8080",
            "https://charter.example/x",
            "postgres://u:secret@h:5432/db?password=secret&sslmode=require",
            "postgres://u:hun/t?r2@x@h:5432/db?pass%77ord=a@b:c&password=a?b",
        ];
        for text in texts(&seeds, 3_000) {
            if let Some(address) = address(&text) {
                assert_eq!(super::address(&address.to_string()), Some(address), "{text:?}");
            }
            if let Some(url) = url(&text) {
                assert_eq!(super::url(&url).as_ref(), Some(&url), "{text:?}");
            }
            let _ = (duration(&text), size(&text), networks(&text));
            let hidden = without_password(&text);
            assert_eq!(without_password(&hidden), hidden, "{text:?}");
        }
    }
}
