//! Audit events: who did what to what, from where, with which outcome, before and after.

use crate::{Key, OrganizationId, PrincipalId, RequestId, Timestamp};

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in user or service account.
    Principal {
        /// Its id.
        id: PrincipalId,
        /// Its login at that moment, for readers.
        login: String,
    },
    /// The operator at the machine, by the name of the operating system's account.
    Operator {
        /// Account name.
        account: String,
    },
    /// Charter itself: a job, start-up, a migration.
    System {
        /// Which part.
        part: &'static str,
    },
    /// Nobody known: a failed sign-in.
    Nobody,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done.
    Done,
    /// Refused.
    Denied,
    /// Failed.
    Failed,
}

impl Outcome {
    /// The word used on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }

    /// The value a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "done" => Some(Self::Done),
            "denied" => Some(Self::Denied),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// One event as a use case writes it; the chain (sequence, hash) is added when it is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// The organization it belongs to.
    pub organization: OrganizationId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, as `noun.verb`, for example `grant.give`.
    pub action: &'static str,
    /// Kind of thing it was done to.
    pub target_kind: &'static str,
    /// Which one.
    pub target: String,
    /// How it went.
    pub outcome: Outcome,
    /// Why, given by the actor or by the decision.
    pub reason: String,
    /// The thing before, a JSON text, where there was one.
    pub before: Option<String>,
    /// The thing after, a JSON text, where there is one.
    pub after: Option<String>,
    /// The request that caused it.
    pub request: Option<RequestId>,
    /// The address it came from.
    pub address: Option<String>,
}

/// Version of the text that is hashed, so that a verifier years from now knows how.
pub const CHAIN_FORMAT: u8 = 1;

/// A key a reader may filter by.
pub type ActionFilter = Key;
