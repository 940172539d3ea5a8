//! Pages of a list: `limit` and an opaque `cursor` that is good for the list it came from and nothing else.

use super::text::{Pairs, parameter, take};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::{OrganizationId, Problem};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Items on a page when the client does not say.
pub const LIMIT_DEFAULT: u32 = 50;
/// Items on a page, at most.
pub const LIMIT_MAX: u32 = 200;
const TAG_BYTES: usize = 8;

/// One page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Items<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Cursor of the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAsked {
    /// The position the page begins after; none for the first page.
    pub after: Option<String>,
    /// How many items at most.
    pub limit: u32,
    tag: [u8; TAG_BYTES],
}

impl PageAsked {
    /// Takes `limit` and `cursor` out of the query; what is left (the filters), the route and the organization are what a
    /// cursor is bound to.
    pub(crate) fn take(
        route: &str,
        organization: Option<OrganizationId>,
        query: &mut Pairs,
    ) -> Result<Self, Problem> {
        let limit = match take(query, "limit") {
            None => LIMIT_DEFAULT,
            Some(text) => match text.parse() {
                Ok(limit @ 1..=LIMIT_MAX) => limit,
                _ => {
                    return Err(parameter(
                        "limit",
                        format!("is wrong: expected a whole number from 1 to {LIMIT_MAX}"),
                    ));
                }
            },
        };
        let cursor = take(query, "cursor");
        let tag = tag(route, organization, query);
        let after = match cursor {
            None => None,
            Some(cursor) => Some(position(&cursor, &tag).ok_or_else(|| {
                parameter(
                    "cursor",
                    "is not one this list gave out: begin again without it (filters must stay the same)",
                )
            })?),
        };
        Ok(Self { after, limit, tag })
    }

    /// The first page of a list that is not paged.
    pub(crate) fn none() -> Self {
        Self { after: None, limit: LIMIT_DEFAULT, tag: [0; TAG_BYTES] }
    }

    /// The cursor of the page that begins after a position.
    pub fn cursor(&self, position: &str) -> String {
        let mut bytes = Vec::with_capacity(TAG_BYTES + TAG_BYTES + position.len());
        bytes.extend_from_slice(&seal(&self.tag, position.as_bytes()));
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

fn tag(route: &str, organization: Option<OrganizationId>, filters: &Pairs) -> [u8; TAG_BYTES] {
    let mut sum = Sha256::new();
    sum.update(b"charter cursor 1\0");
    sum.update(route.as_bytes());
    sum.update([0]);
    sum.update(organization.map_or([0; 16], |organization| organization.0.to_be_bytes()));
    for (name, value) in filters {
        sum.update((name.len() as u64).to_be_bytes());
        sum.update(name.as_bytes());
        sum.update((value.len() as u64).to_be_bytes());
        sum.update(value.as_bytes());
    }
    first(&sum.finalize())
}

/// Covers the position too, so that a mistyped cursor is told from a good one. It is no secret: a position only says where
/// to go on inside what the guard let the caller see.
fn seal(tag: &[u8; TAG_BYTES], position: &[u8]) -> [u8; TAG_BYTES] {
    let mut sum = Sha256::new();
    sum.update(tag);
    sum.update(position);
    first(&sum.finalize())
}

fn first(sum: &[u8]) -> [u8; TAG_BYTES] {
    sum.first_chunk().copied().unwrap_or_default()
}

fn position(cursor: &str, tag: &[u8; TAG_BYTES]) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (sealed, position) = bytes.split_first_chunk::<TAG_BYTES>()?;
    if *sealed != seal(tag, position) {
        return None;
    }
    String::from_utf8(position.to_vec()).ok()
}
