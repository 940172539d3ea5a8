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

/// An address of a database with its password hidden.
pub fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    let hidden =
        rest.get(..authority).and_then(|authority| authority.rsplit_once('@')).map(|(user, host)| {
            let name = user.split(':').next().unwrap_or_default();
            let stars = if user.contains(':') { ":***" } else { "" };
            format!("{name}{stars}@{host}")
        });
    let tail = rest.get(authority..).unwrap_or_default();
    let (path, query) = tail.split_once('?').map_or((tail, None), |(path, query)| (path, Some(query)));
    let query = query.map_or(String::new(), |query| {
        let parts: Vec<String> = query
            .split('&')
            .map(|part| match part.split_once('=') {
                Some(("password", _)) => "password=***".to_owned(),
                _ => part.to_owned(),
            })
            .collect();
        format!("?{}", parts.join("&"))
    });
    format!(
        "{scheme}://{}{path}{query}",
        hidden.as_deref().unwrap_or_else(|| rest.get(..authority).unwrap_or_default())
    )
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
    fn no_text_of_a_setting_makes_a_reader_stumble() {
        let seeds = [
            "10m",
            "500ms",
            "512KiB",
            "10.0.0.0/8, 2001:db8::/32",
            "localhost:8080",
            "https://charter.example/x",
            "postgres://u:secret@h:5432/db?password=secret&sslmode=require",
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
