//! The user a trusted proxy names. A proxy that signs people in itself says who they are in a header; what it says counts when the
//! connection comes from a proxy we were told to trust, and it shows the secret we share with it. Without both the header is what
//! anybody could have sent, and nobody looks at it.

use super::address::is_trusted;
use super::pipeline::Settings;
use charter_kernel::{Problem, ProblemKind};
use http::{HeaderMap, HeaderName};
use std::net::IpAddr;

/// The header with the secret a proxy shares with this service.
pub const PROXY_SECRET: HeaderName = HeaderName::from_static("charter-proxy-secret");

/// Whom a proxy names, with the secret it shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    pub login: &'a str,
    pub secret: &'a str,
}

/// The user the peer names, when it is a proxy that may and shows a secret.
pub(crate) fn named<'a>(
    headers: &'a HeaderMap,
    peer: Option<IpAddr>,
    settings: &Settings,
) -> Result<Option<Named<'a>>, Problem> {
    let Some(header) = &settings.proxy_user_header else { return Ok(None) };
    let is_proxy = peer.is_some_and(|peer| is_trusted(peer.to_canonical(), &settings.trusted_proxies));
    if !is_proxy || !headers.contains_key(&PROXY_SECRET) {
        return Ok(None);
    }
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => match value.to_str() {
                Ok(text) => Ok(Some(text.trim())),
                Err(_) => Err(malformed(format!("the header {name} is not plain text"))),
            },
            // The client's own may be among them.
            (Some(_), Some(_)) => Err(malformed(format!(
                "the header {name} came twice: the proxy has to set it, not to add it"
            ))),
        }
    };
    let (login, secret) = (one(header)?, one(&PROXY_SECRET)?);
    Ok(match (login, secret) {
        (Some(login), Some(secret)) if !login.is_empty() => Some(Named { login, secret }),
        _ => None,
    })
}

fn malformed(detail: String) -> Problem {
    Problem::new(ProblemKind::Malformed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn of(peer: &str, sent: &[(&'static str, &'static str)], header: Option<&'static str>) -> Option<String> {
        let settings = Settings {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            proxy_user_header: header.map(HeaderName::from_static),
            ..Settings::default()
        };
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        match named(&headers, Some(peer.parse().unwrap()), &settings) {
            Ok(found) => found.map(|found| format!("{} {}", found.login, found.secret)),
            Err(problem) => Some(problem.kind.slug().to_owned()),
        }
    }

    /// Attack 67: whoever is not the proxy names nobody.
    #[test]
    fn a_user_is_named_by_a_trusted_proxy_with_a_secret_and_by_nobody_else() {
        let (user, secret) = (("x-forwarded-user", "ann@toys.example"), ("charter-proxy-secret", "s3"));
        let header = Some("x-forwarded-user");
        let said = Some("ann@toys.example s3".to_owned());
        assert_eq!(of("10.0.0.1", &[user, secret], header), said);
        assert_eq!(of("::ffff:10.0.0.1", &[user, secret], header), said);
        assert_eq!(of("192.0.2.1", &[user, secret], header), None, "not a proxy");
        assert_eq!(of("192.0.2.1", &[user, secret, ("x-forwarded-for", "10.0.0.1")], header), None);
        assert_eq!(of("10.0.0.1", &[user, secret], None), None, "no header is agreed");
        assert_eq!(
            of("10.0.0.1", &[user], header),
            None,
            "a header the client sent and the proxy let through"
        );
        assert_eq!(of("10.0.0.1", &[secret], header), None);
        assert_eq!(of("10.0.0.1", &[("x-forwarded-user", ""), secret], header), None);
        for other in ["x-user-id", "x-org-id", "x-roles", "x-tenant", "remote-user"] {
            assert_eq!(of("10.0.0.1", &[(other, "ann@toys.example"), secret], header), None, "{other}");
        }
        let two = Some("malformed".to_owned());
        assert_eq!(of("10.0.0.1", &[user, user, secret], header), two);
        assert_eq!(of("10.0.0.1", &[user, secret, secret], header), two);
    }
}
