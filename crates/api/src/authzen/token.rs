//! Page tokens of the searches. A token carries the limit, where to go on, and a digest of the question it belongs to, so that it
//! goes on with the same question or not at all. It proves nothing about the caller: every page is authorized anew.

use super::wire::{PageAsked, bad};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::{OrganizationId, Problem};
use sha2::{Digest, Sha256};

/// Results of one page at most, and when nothing is asked.
pub const LIMIT_MAX: u32 = 1_000;

/// Where a search goes on and how much it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The last result of the page before.
    pub after: Option<String>,
    /// How many results.
    pub limit: u32,
}

/// What a token is bound to.
pub fn digest(endpoint: &str, organization: OrganizationId, asked: &[String]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for part in [endpoint, &organization.to_string()].into_iter().chain(asked.iter().map(String::as_str)) {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    half(hasher)
}

fn half(hasher: Sha256) -> [u8; 16] {
    hasher.finalize().first_chunk().copied().unwrap_or_default()
}

fn sealed(bound: &[u8; 16], limit: u32, position: &str) -> [u8; 16] {
    let mut hasher = Sha256::new();
    hasher.update(bound);
    hasher.update(limit.to_le_bytes());
    hasher.update(position.as_bytes());
    half(hasher)
}

/// The token that goes on after a result.
pub fn make(bound: &[u8; 16], limit: u32, position: &str) -> String {
    let mut bytes = Vec::with_capacity(21 + position.len());
    bytes.push(1);
    bytes.extend_from_slice(&sealed(bound, limit, position));
    bytes.extend_from_slice(&limit.to_le_bytes());
    bytes.extend_from_slice(position.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn open(bound: &[u8; 16], token: &str) -> Option<Place> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (seal, rest) = rest.split_first_chunk::<16>()?;
    let (limit, position) = rest.split_first_chunk::<4>()?;
    let (limit, position) = (u32::from_le_bytes(*limit), std::str::from_utf8(position).ok()?);
    (*version == 1 && *seal == sealed(bound, limit, position))
        .then(|| Place { after: (!position.is_empty()).then(|| position.to_owned()), limit })
}

/// The place a request asks for.
pub fn place(bound: &[u8; 16], asked: Option<&PageAsked<'_>>) -> Result<Place, Problem> {
    let Some(asked) = asked else { return Ok(Place { after: None, limit: LIMIT_MAX }) };
    let limit = asked.limit.map(|limit| u32::try_from(limit).unwrap_or(LIMIT_MAX).min(LIMIT_MAX));
    match asked.token.as_deref().filter(|token| !token.is_empty()) {
        None => Ok(Place { after: None, limit: limit.unwrap_or(LIMIT_MAX) }),
        Some(token) => {
            let place = open(bound, token)
                .ok_or_else(|| bad("page.token does not belong to this request: begin again without one"))?;
            if limit.is_some_and(|limit| limit != place.limit) {
                return Err(bad(
                    "page.limit differs from that of the first page: leave it out or begin again",
                ));
            }
            Ok(place)
        }
    }
}
