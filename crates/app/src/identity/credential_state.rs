//! Where an API key is in its life at an instant, and which keys somebody wants to see.

use super::credential_text::CredentialKind;
use charter_kernel::{CredentialId, PrincipalId, Timestamp};
use charter_store::credential::Credential;

/// Where a key is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It lets its bearer in.
    Live,
    /// Not valid yet.
    NotYet,
    /// No longer valid.
    Expired,
    /// Another took its place, and the overlap is over.
    Replaced,
    /// Put aside as leaked.
    Quarantined,
    /// Revoked.
    Revoked,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Live, Self::NotYet, Self::Expired, Self::Replaced, Self::Quarantined, Self::Revoked];

    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::NotYet => "not_yet",
            Self::Expired => "expired",
            Self::Replaced => "replaced",
            Self::Quarantined => "quarantined",
            Self::Revoked => "revoked",
        }
    }

    /// That of a key at an instant.
    pub fn of(row: &Credential, now: Timestamp) -> Self {
        if row.revoked_at.is_some() {
            Self::Revoked
        } else if row.quarantined_at.is_some() {
            Self::Quarantined
        } else if row.overlap_until.is_some_and(|end| now >= end) {
            Self::Replaced
        } else if row.window.is_over(now) {
            Self::Expired
        } else if row.window.is_live(now) {
            Self::Live
        } else {
            Self::NotYet
        }
    }
}

/// Which keys are wanted; what is not said does not matter.
#[derive(Debug, Clone, Default)]
pub struct KeyFilter {
    /// Those of this owner.
    pub owner: Option<PrincipalId>,
    /// Those of users, or of service accounts.
    pub kind: Option<CredentialKind>,
    /// Those in this state.
    pub state: Option<KeyState>,
    /// Those with this scope, by the letter.
    pub scope: Option<String>,
    /// Those that were not used since, or never.
    pub unused_since: Option<Timestamp>,
    /// Those made before.
    pub created_before: Option<Timestamp>,
    /// Those that end before.
    pub expires_before: Option<Timestamp>,
    /// These.
    pub ids: Option<Vec<CredentialId>>,
}

impl KeyFilter {
    /// Whether a key is wanted.
    pub fn wants(&self, row: &Credential, now: Timestamp) -> bool {
        self.owner.is_none_or(|owner| row.principal == owner)
            && self.kind.is_none_or(|kind| row.kind == kind.letter())
            && self.state.is_none_or(|state| KeyState::of(row, now) == state)
            && self
                .scope
                .as_ref()
                .is_none_or(|scope| row.scopes.as_ref().is_some_and(|all| all.contains(scope)))
            && self.unused_since.is_none_or(|since| row.last_used_at.is_none_or(|at| at < since))
            && self.created_before.is_none_or(|before| row.created_at < before)
            && self.expires_before.is_none_or(|before| row.window.to().is_some_and(|end| end < before))
            && self.ids.as_ref().is_none_or(|ids| ids.contains(&row.id))
    }
}
