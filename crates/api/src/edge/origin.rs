//! Where a request was made: on a page of ours, or on somebody else's. A browser sends its cookies whoever's page asks, so a cookie alone
//! changes nothing; that a page of ours asks is told by the browser (`Sec-Fetch-Site`, else `Origin`), and where an old one tells
//! neither, by a token only our pages know.

use super::cookie::Cookies;
use super::pipeline::Settings;
use charter_kernel::{Problem, ProblemKind};
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Name of the header with the token of old browsers' pages.
pub const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");

/// What a browser says of where a request was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// On a page of ours, or typed by its user.
    Here,
    /// On somebody else's page.
    Elsewhere,
    /// It says nothing: an old browser, or no browser.
    Unsaid,
}

/// Scheme, host and port of an address.
fn origin_in(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| start + at);
    url.get(..end).unwrap_or(url)
}

fn is_ours(origin: &str, headers: &HeaderMap, settings: &Settings) -> bool {
    if origin.eq_ignore_ascii_case(origin_in(&settings.public_url)) {
        return true;
    }
    // A service only this machine reaches has several names here; which of them is ours was looked at before.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    settings.cookies == Cookies::Plain
        && host.is_some_and(|host| {
            origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host))
        })
}

/// Where a request was made.
pub(crate) fn made(headers: &HeaderMap, settings: &Settings) -> Made {
    let mut sites = headers.get_all(FETCH_SITE).iter();
    if let Some(site) = sites.next() {
        let is_here = sites.next().is_none() && (site == "same-origin" || site == "none");
        return if is_here { Made::Here } else { Made::Elsewhere };
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Made::Unsaid };
    let is_here =
        origins.next().is_none() && origin.to_str().is_ok_and(|origin| is_ours(origin, headers, settings));
    if is_here { Made::Here } else { Made::Elsewhere }
}

/// Whether a method changes nothing.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses a change that was not asked for on a page of ours. `is_token` judges the token of a page; where it is missing the request
/// came without a cookie, and only a browser that says where it is from is asked.
pub(crate) fn check(
    parts: &Parts,
    settings: &Settings,
    is_token: Option<&dyn Fn(&str) -> bool>,
) -> Result<(), Problem> {
    if is_safe(&parts.method) {
        return Ok(());
    }
    match (made(&parts.headers, settings), is_token) {
        (Made::Here, _) | (Made::Unsaid, None) => Ok(()),
        (Made::Elsewhere, _) => Err(Problem::new(
            ProblemKind::Forbidden,
            "the request was made on a page of another site: open this service's own page and try again",
        )),
        (Made::Unsaid, Some(is_token)) => {
            let sent = parts.headers.get(CSRF_TOKEN).and_then(|value| value.to_str().ok());
            if sent.is_some_and(is_token) {
                return Ok(());
            }
            Err(Problem::new(
                ProblemKind::Forbidden,
                "nothing says that a page of this service asks: send X-CSRF-Token with the csrf_token of the sign-in",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(headers: &[(HeaderName, &'static str)], cookies: Cookies) -> Made {
        let settings = Settings {
            public_url: "https://charter.example:8443/app".to_owned(),
            cookies,
            ..Settings::default()
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_static(value));
        }
        made(&map, &settings)
    }

    /// Attacks 40 and 41.
    #[test]
    fn only_our_own_origin_is_ours() {
        assert_eq!(of(&[], Cookies::Secure), Made::Unsaid);
        assert_eq!(of(&[(ORIGIN, "https://charter.example:8443")], Cookies::Secure), Made::Here);
        for other in [
            "null",
            "",
            "https://evil.example",
            "https://charter.example:8443.evil.example",
            "https://evil.example?https://charter.example:8443",
            "http://charter.example:8443",
            "https://charter.example",
            "https://charter.example:443",
            "https://charter.example:8443/",
            "https://charter.example:84430",
            "https://a.charter.example:8443",
        ] {
            assert_eq!(of(&[(ORIGIN, other)], Cookies::Secure), Made::Elsewhere, "{other}");
        }
        for (site, told) in [
            ("same-origin", Made::Here),
            ("none", Made::Here),
            ("same-site", Made::Elsewhere),
            ("cross-site", Made::Elsewhere),
            ("Same-Origin", Made::Elsewhere),
        ] {
            assert_eq!(of(&[(FETCH_SITE, site)], Cookies::Secure), told, "{site}");
        }
        let two = [(FETCH_SITE, "same-origin"), (FETCH_SITE, "cross-site")];
        assert_eq!(of(&two, Cookies::Secure), Made::Elsewhere);
        let both = [(FETCH_SITE, "cross-site"), (ORIGIN, "https://charter.example:8443")];
        assert_eq!(of(&both, Cookies::Secure), Made::Elsewhere);
    }

    #[test]
    fn on_this_machine_the_name_that_was_asked_is_ours() {
        let asked = |origin: &'static str| [(HOST, "localhost:8080"), (ORIGIN, origin)];
        assert_eq!(of(&asked("http://localhost:8080"), Cookies::Plain), Made::Here);
        assert_eq!(of(&asked("http://localhost:9090"), Cookies::Plain), Made::Elsewhere);
        assert_eq!(of(&asked("http://localhost:8080"), Cookies::Secure), Made::Elsewhere);
    }
}
