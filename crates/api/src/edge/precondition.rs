//! Versions on the wire: strong entity tags, `If-Match` against lost updates, `If-None-Match` against needless bytes.

use charter_kernel::{Problem, ProblemKind, Revision};
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// A strong entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// The tag of a row's version.
    pub fn version(version: u64) -> Self {
        Self(format!("\"v{version}\""))
    }

    /// The tag of an organization's facts at a revision.
    pub fn revision(revision: Revision) -> Self {
        Self(format!("\"r{revision}\""))
    }

    /// The tag of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(34);
        text.push('"');
        for byte in Sha256::digest(bytes).iter().take(16) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('"');
        Self(text)
    }

    /// The tag with its quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag as a header's value.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("\"\""))
    }
}

/// The conditions a request put on the version of what it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    Any,
    /// Weak tags are kept with their `W/`, so that they never equal a strong one.
    Listed(Vec<String>),
}

impl Tags {
    fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        let wrong = || {
            Problem::new(
                ProblemKind::Malformed,
                format!("{name} is not a list of entity tags: expected \"...\" in double quotes, or *"),
            )
        };
        let mut listed = Vec::new();
        for value in headers.get_all(name) {
            let mut rest = value.to_str().map_err(|_| wrong())?.trim();
            if rest == "*" {
                return Ok(Some(Self::Any));
            }
            while !rest.is_empty() {
                let opaque = rest.strip_prefix("W/").unwrap_or(rest);
                let weak = rest.len() - opaque.len();
                let inner = opaque.strip_prefix('"').ok_or_else(wrong)?;
                let end = inner.find('"').ok_or_else(wrong)?;
                let (tag, after) = rest.split_at_checked(weak + end + 2).ok_or_else(wrong)?;
                listed.push(tag.to_owned());
                rest = after.trim_start();
                rest = match rest.strip_prefix(',') {
                    Some(next) => next.trim_start(),
                    None if rest.is_empty() => rest,
                    None => return Err(wrong()),
                };
            }
        }
        Ok(if listed.is_empty() { None } else { Some(Self::Listed(listed)) })
    }
}

impl Precondition {
    /// The conditions in the headers of a request.
    pub fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            if_match: Tags::read(headers, &IF_MATCH)?,
            if_none_match: Tags::read(headers, &IF_NONE_MATCH)?,
        })
    }

    /// Whether `If-Match` was sent.
    pub fn has_if_match(&self) -> bool {
        self.if_match.is_some()
    }

    /// Refuses (412) when `If-Match` names other versions than the current one.
    pub fn check(&self, current: &ETag) -> Result<(), Problem> {
        match &self.if_match {
            None | Some(Tags::Any) => Ok(()),
            Some(Tags::Listed(tags)) if tags.iter().any(|tag| tag == current.as_str()) => Ok(()),
            Some(Tags::Listed(_)) => Err(changed()),
        }
    }

    /// The one row version `If-Match` names; none when it was not sent or is `*`. A tag that is no row version can never
    /// match: 412.
    pub fn expected_version(&self) -> Result<Option<u64>, Problem> {
        self.expected("\"v")
    }

    /// The one revision of an organization's facts `If-Match` names, by the same rules.
    pub fn expected_revision(&self) -> Result<Option<Revision>, Problem> {
        Ok(self.expected("\"r")?.map(Revision))
    }

    fn expected(&self, prefix: &str) -> Result<Option<u64>, Problem> {
        match &self.if_match {
            None | Some(Tags::Any) => Ok(None),
            Some(Tags::Listed(tags)) => {
                let [tag] = tags.as_slice() else { return Err(changed()) };
                let version = tag.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('"'));
                version.and_then(|digits| digits.parse().ok()).map(Some).ok_or_else(changed)
            }
        }
    }

    /// Whether the client says it has this version (weak comparison, RFC 9110).
    pub fn has_already(&self, current: &ETag) -> bool {
        match &self.if_none_match {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::Listed(tags)) => {
                tags.iter().any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == current.as_str())
            }
        }
    }
}

fn changed() -> Problem {
    Problem::new(
        ProblemKind::Changed,
        "it changed since you read it: read it again, then repeat the change with its new ETag",
    )
}
