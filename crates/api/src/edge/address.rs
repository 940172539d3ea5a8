//! The client's address: the peer's, unless the peer is a proxy we were told to trust; then what it and trusted proxies
//! before it saw, read from the right. Whatever stands further left was written by the client.

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::net::IpAddr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address a request came from.
pub fn client_address(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut client = peer?.to_canonical();
    if trusted.is_empty() || !is_trusted(client, trusted) {
        return Some(client);
    }
    let chain: Vec<&str> = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(str::trim)
        .collect();
    for entry in chain.into_iter().rev() {
        let Some(address) = parse(entry) else { break };
        client = address;
        if !is_trusted(client, trusted) {
            break;
        }
    }
    Some(client)
}

/// Whether an address is that of a proxy we were told to trust.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address))
}

/// An address, with or without a port or brackets.
fn parse(entry: &str) -> Option<IpAddr> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(address) = entry.parse::<std::net::SocketAddr>() {
        return Some(address.ip().to_canonical());
    }
    let inner = entry.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<std::net::Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical())
}
