//! Calls to a running service over HTTP.

use super::{Answer, Call};
use crate::config::Secret;
use crate::failure::{Failure, Result};
use reqwest::Method;
use std::net::IpAddr;
use std::time::Duration;

/// A service at an address.
pub struct Remote {
    base: String,
    http: reqwest::Client,
    token: Secret,
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((inside, _)) => inside,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Whether an address is on this machine.
pub fn is_loopback(url: &str) -> bool {
    let host = host(url);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn client(url: &str, timeout: Duration) -> Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("charter/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| Failure::new(format!("no HTTP client can be made: {}", chain(&error))))
}

/// Whether something answers at an address.
pub async fn is_reachable(url: &str) -> bool {
    let Ok(client) = client(url, Duration::from_secs(2)) else { return false };
    client.get(format!("{url}/healthz")).send().await.is_ok()
}

/// What a service at an address says of whether it is ready.
pub async fn readiness(url: &str) -> Option<serde_json::Value> {
    let answer = client(url, Duration::from_secs(10)).ok()?.get(format!("{url}/readyz")).send().await.ok()?;
    serde_json::from_slice(&answer.bytes().await.ok()?).ok()
}

impl Remote {
    /// A service at an address, spoken to with a credential.
    pub fn new(url: &str, token: Secret) -> Result<Self> {
        let base = url.trim_end_matches('/').to_owned();
        if !is_loopback(&base) && base.starts_with("http://") {
            crate::output::complain("warning: the credential travels in the clear; use an https address");
        }
        let http = client(&base, Duration::from_secs(120))?;
        Ok(Self { base, http, token })
    }

    /// Sends a call.
    pub async fn send(&self, call: &Call) -> Result<Answer> {
        let method: Method = call
            .method
            .parse()
            .map_err(|_| Failure::new(format!("{} is not an HTTP method", call.method)))?;
        let mut request = self.http.request(method, format!("{}{}", self.base, call.target()));
        request = request.bearer_auth(self.token.reveal());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some((kind, body)) = &call.body {
            request = request.header("content-type", kind).body(body.clone());
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?.to_vec();
        Ok(Answer { status, headers, body })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let what = if error.is_timeout() { "did not answer in time" } else { "cannot be reached" };
        Failure::new(format!("the service at {} {what}: {}", self.base, chain(error)))
    }
}

/// The innermost cause: the outer ones repeat the address.
fn chain(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
