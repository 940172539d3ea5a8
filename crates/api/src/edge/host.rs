//! The name a request was sent to. A page of somebody else's can have its own name point at this machine, and then reads what a service
//! here answers as if it were its own (DNS rebinding); the name in the request gives it away.

use charter_kernel::{Problem, ProblemKind};
use http::header::HOST;
use http::request::Parts;
use std::net::IpAddr;

/// The name without its port, and without the brackets of an IPv6 address.
fn name(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(name, _)| name),
    }
}

/// The name in an address such as `https://charter.example.com:8443/`.
pub fn name_in(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    name(rest.split('/').next().unwrap_or_default())
}

/// Refuses a request that was sent to a name that is none of ours.
pub(crate) fn check(parts: &Parts, names: &[String]) -> Result<(), Problem> {
    let in_header = parts.headers.get(HOST).map(|value| value.to_str().unwrap_or("?"));
    let Some(sent) = parts.uri.authority().map(http::uri::Authority::as_str).or(in_header) else {
        return Ok(());
    };
    let name = name(sent);
    let is_ours = name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is_ours {
        return Ok(());
    }
    let detail =
        "the Host header names another service: use the address this one was started with, or set public_url";
    Err(Problem::new(ProblemKind::Malformed, detail))
}
