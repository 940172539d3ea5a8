//! Addresses a browser is sent back to: what may be registered, when one that is asked for is a registered one, and how an answer is put
//! on it. They are compared letter by letter (RFC 9700); only the port of an application on its user's device may differ (RFC 8252).

use charter_store::oauth_client::ClientKind;
use url::{Host, Url, form_urlencoded};

const LENGTH_MAX: usize = 2_000;
/// The addresses of a device itself that an application may listen on.
const LOOPBACKS: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];

/// What an answer says behind the address.
const ANSWERS: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

/// What is wrong with an address that is to be registered, if anything.
pub fn fault(text: &str, kind: ClientKind, is_live: bool) -> Option<String> {
    let wrong = |what: &str| Some(format!("{text:?} {what}"));
    if text.len() > LENGTH_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(format!("an address of at most {LENGTH_MAX} visible ASCII characters is expected"));
    }
    let Ok(url) = Url::parse(text) else { return wrong("is no address") };
    // What a browser makes of it has to be what stands there.
    if url.as_str() != text && url.as_str().strip_suffix('/') != Some(text) {
        return Some(format!("{text:?} is written otherwise: {url}"));
    }
    if text.contains('#') || text.contains('*') || !url.username().is_empty() || url.password().is_some() {
        return wrong("has a fragment, a wildcard or a name in it: it is compared letter by letter");
    }
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| ANSWERS.contains(&&**name)) {
        return wrong(&format!("has the parameter {name}, which is what answers are told in"));
    }
    let is_here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => None,
        "http" if kind == ClientKind::Native && split_port(text).is_some() => None,
        "http" if is_here && !is_live => None,
        "http" if kind == ClientKind::Native => {
            wrong("is not the device itself: http://127.0.0.1 and http://[::1] are, localhost may be another")
        }
        "http" => wrong("is not https"),
        scheme if kind == ClientKind::Native && scheme.contains('.') && !url.cannot_be_a_base() => None,
        _ if kind == ClientKind::Native => wrong(
            "is neither https nor of a scheme of the application's own, such as com.example.app:/callback",
        ),
        _ => wrong("is not https"),
    }
}

/// An address of the device itself without its port: what is before, what is behind.
fn split_port(text: &str) -> Option<(&'static str, &str)> {
    let (base, rest) = LOOPBACKS.iter().find_map(|base| Some((*base, text.strip_prefix(base)?)))?;
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (port, behind) = rest.split_at(digits);
            let is_port = !port.starts_with('0') && port.parse::<u16>().is_ok();
            is_port.then_some(behind)?
        }
    };
    (rest.is_empty() || rest.starts_with('/') || rest.starts_with('?')).then_some((base, rest))
}

/// Whether an address that is asked for is a registered one.
pub fn is_registered(registered: &[String], kind: ClientKind, asked: &str) -> bool {
    let is_same = |known: &String| {
        known == asked
            || (kind == ClientKind::Native
                && split_port(asked).is_some_and(|asked| split_port(known) == Some(asked)))
    };
    // A fragment is never registered, and behind a port nothing but what is compared can hide.
    registered.iter().any(is_same)
}

/// Where an address is, as people read it: the server, or the scheme of an application's own.
pub fn place(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return String::new() };
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => format!("{}:", url.scheme()),
    }
}

/// The address with an answer on it.
pub fn with(uri: &str, answer: &[(&str, &str)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    for (name, value) in answer {
        text.append_pair(name, value);
    }
    let mark = match uri.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some(_) => "&",
    };
    format!("{uri}{mark}{}", text.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_makes_a_reader_stumble_and_what_is_registered_is_found_again() {
        let seeds = [
            "https://app.example/callback?a=b",
            "http://127.0.0.1:7000/callback",
            "http://[::1]/callback",
            "com.example.app:/callback",
        ];
        for text in charter_testkit::hostile::texts(&seeds, 3_000) {
            let registered = [seeds[0].to_owned(), seeds[1].to_owned()];
            for kind in [ClientKind::Confidential, ClientKind::Public, ClientKind::Native] {
                if fault(&text, kind, true).is_none() {
                    assert!(is_registered(std::slice::from_ref(&text), kind, &text), "{text:?}");
                    assert!(!text.contains(['#', '*', ' ']), "{text:?}");
                }
                if is_registered(&registered, kind, &text) {
                    assert!(registered.contains(&text) || text.starts_with("http://127.0.0.1"), "{text:?}");
                }
            }
            let _ = (place(&text), with(&text, &[("state", text.as_str())]));
        }
    }

    #[test]
    fn what_may_be_registered_depends_on_where_the_client_runs() {
        use ClientKind::{Confidential, Native, Public};
        for (text, kind, is_live) in [
            ("https://app.example/callback", Confidential, true),
            ("https://app.example", Public, true),
            ("https://app.example:8443/a?b=c", Confidential, true),
            ("http://localhost:3000/callback", Confidential, false),
            ("http://127.0.0.1/callback", Native, true),
            ("http://[::1]:7000/callback", Native, true),
            ("com.example.app:/callback", Native, true),
        ] {
            assert_eq!(fault(text, kind, is_live), None, "{text}");
        }
        for (text, kind, is_live) in [
            ("http://app.example/callback", Confidential, false),
            ("http://localhost:3000/callback", Confidential, true),
            ("http://localhost/callback", Native, true),
            ("https://app.example/callback#x", Public, true),
            ("https://app.example/callback?code=1", Public, true),
            ("https://app.example/callback?a=b&stat%65=1", Public, true),
            ("https://*.example/callback", Public, true),
            ("https://ann@app.example/", Public, true),
            ("https://app.example/a/../b", Public, true),
            ("https://APP.example/", Public, true),
            ("https:\\\\app.example\\", Public, true),
            ("https://app.example/\u{e9}", Public, true),
            ("https://app.example/ x", Public, true),
            ("javascript:alert(1)", Native, true),
            ("data:text/html,x", Native, true),
            ("app:/callback", Native, true),
            ("com.example.app:callback", Native, true),
            ("com.example.app:/callback", Public, true),
            ("/callback", Public, true),
            ("", Public, true),
        ] {
            assert!(fault(text, kind, is_live).is_some(), "{text}");
        }
    }

    /// Attacks 48 and 103.
    #[test]
    fn an_address_is_a_registered_one_letter_by_letter() {
        let known = ["https://app.example/callback".to_owned()];
        for other in [
            "https://app.example/callback/",
            "https://app.example/callback/x",
            "https://app.example/callbac",
            "https://app.example/callback?x=1",
            "https://app.example/callback#",
            "https://app.example:443/callback",
            "https://app.example@evil.example/callback",
            "https://app.example.evil.example/callback",
            "https://APP.example/callback",
            "https://app.example/%63allback",
            "http://app.example/callback",
            "//app.example/callback",
            "",
        ] {
            assert!(!is_registered(&known, ClientKind::Confidential, other), "{other}");
        }
        assert!(is_registered(&known, ClientKind::Confidential, &known[0]));
    }

    #[test]
    fn the_port_of_a_device_may_differ_for_native_clients_alone() {
        let known = ["http://127.0.0.1/cb".to_owned(), "http://[::1]:1/cb".to_owned()];
        for same in
            ["http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", "http://[::1]:65535/cb", "http://[::1]/cb"]
        {
            assert!(is_registered(&known, ClientKind::Native, same), "{same}");
        }
        assert!(!is_registered(&known, ClientKind::Public, "http://127.0.0.1:49152/cb"));
        for other in [
            "http://127.0.0.1:49152/cb2",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:1@evil.example/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.2:1/cb",
            "http://localhost:1/cb",
            "https://127.0.0.1:1/cb",
            "http://127.0.0.1:1/cb#x",
        ] {
            assert!(!is_registered(&known, ClientKind::Native, other), "{other}");
        }
    }

    #[test]
    fn an_answer_is_put_on_an_address_that_has_a_query_or_none() {
        assert_eq!(
            with("https://a.example/", &[("code", "x y"), ("state", "a&b")]),
            "https://a.example/?code=x+y&state=a%26b"
        );
        assert_eq!(with("https://a.example/?b=c", &[("code", "x")]), "https://a.example/?b=c&code=x");
    }

    #[test]
    fn people_read_the_server_of_an_address() {
        for (uri, read) in [
            ("https://shop.example/callback?a=b", "shop.example"),
            ("https://shop.example:8443/", "shop.example:8443"),
            ("http://[::1]:7000/cb", "[::1]:7000"),
            ("com.example.app:/callback", "com.example.app:"),
        ] {
            assert_eq!(place(uri), read);
        }
    }
}
