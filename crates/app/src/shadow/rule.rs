//! How the other system is asked. The binary knows three ways: its database read into memory, an address of its own, a recorded log.

use charter_db::BoxFuture;
use charter_kernel::{OrganizationId, PermissionCode, PrincipalId, Reason, Timestamp};

/// Letters of a reason that are kept.
const REASON_MAX: usize = 200;

/// May this account do this in this organization, by the roles it has in the other system?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyQuestion {
    /// Where. The other system's roles hold in the organization as a whole.
    pub organization: OrganizationId,
    /// Who.
    pub principal: PrincipalId,
    /// What.
    pub permission: PermissionCode,
    /// Its description in the catalogue, which tells the name of one that was taken over.
    pub description: String,
    /// When it is asked.
    pub at: Timestamp,
}

/// What the other system says, each with why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegacyAnswer {
    /// Yes.
    Allow(String),
    /// No.
    Deny(String),
    /// It does not know the account, the permission, or the account in this organization.
    Unknown(String),
    /// It cannot be asked, or what was read of it is too old.
    Unavailable(String),
}

impl LegacyAnswer {
    /// Whether it allows; nothing where that cannot be told.
    pub fn allows(&self) -> Option<bool> {
        match self {
            Self::Allow(_) => Some(true),
            Self::Deny(_) => Some(false),
            Self::Unknown(_) | Self::Unavailable(_) => None,
        }
    }

    /// The reason of a decision that follows it.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Allow(_) => Reason::AllowedByLegacy,
            Self::Deny(_) => Reason::DeniedByLegacy,
            Self::Unknown(_) => Reason::LegacyUnknown,
            Self::Unavailable(_) => Reason::LegacyUnavailable,
        }
    }

    /// Why, as the other system says, or as was found out in its place: one line, and not a long one.
    pub fn why(&self) -> String {
        let (Self::Allow(why) | Self::Deny(why) | Self::Unknown(why) | Self::Unavailable(why)) = self;
        why.chars().filter(|letter| !letter.is_control()).take(REASON_MAX).collect()
    }
}

/// An answer that is there, or that has to be waited for.
pub enum Answering {
    /// Read from memory.
    Now(LegacyAnswer),
    /// On its way.
    Later(BoxFuture<'static, LegacyAnswer>),
}

/// The rule of the other system. Whatever becomes of it, it answers: what it does not know is unknown, and what it cannot tell is unavailable.
pub trait LegacyRule: Send + Sync {
    /// Asks.
    fn ask(&self, question: &LegacyQuestion) -> Answering;
}
