//! The answer: effect, reason, the row that decided, the revision it was read from, and how long it may be kept.

use crate::{AssignmentId, BlockId, GrantId, Timestamp};
use core::fmt;

/// Allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// Go on.
    Allow,
    /// Stop.
    Deny,
}

impl Effect {
    /// The word used on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    /// The effect a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "allow" => Some(Self::Allow),
            "deny" => Some(Self::Deny),
            _ => None,
        }
    }
}

/// Version of an organization's facts; grows by one with each change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which of the three layers said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Names, organization, principal, membership, resource's home, ceiling.
    Organization,
    /// Plan, module, submodule, limit.
    Entitlement,
    /// Blocks, grants, roles.
    Permission,
}

impl Layer {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Entitlement => "entitlement",
            Self::Permission => "permission",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $layer:ident, $effect:ident, $sentence:literal;)*) => {
        /// Why a decision is what it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $name),* }

        impl Reason {
            /// Every reason, for documents and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word a program reads; it never changes.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// The layer that decided.
            pub const fn layer(self) -> Layer {
                match self { $(Self::$name => Layer::$layer),* }
            }

            /// The effect that goes with the reason.
            pub const fn effect(self) -> Effect {
                match self { $(Self::$name => Effect::$effect),* }
            }

            /// A sentence an administrator reads.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence),* }
            }
        }
    };
}

reasons! {
    /// The permission is not in the catalogue, or retired.
    UnknownPermission = "unknown_permission", Organization, Deny, "the permission is not in the catalogue";
    /// The type of resource is not in the catalogue.
    UnknownType = "unknown_type", Organization, Deny, "the type of resource is not in the catalogue";
    /// The type's resources are all registered, and this one is not.
    UnknownResource = "unknown_resource", Organization, Deny, "no such resource";
    /// No such principal.
    UnknownSubject = "unknown_subject", Organization, Deny, "no such user or service account";
    /// No such organization, or none the caller may know of.
    NotFound = "not_found", Organization, Deny, "no such organization";
    /// The organization is closed.
    OrganizationClosed = "org_closed", Organization, Deny, "the organization is closed";
    /// The organization is suspended.
    OrganizationSuspended = "org_suspended", Organization, Deny, "the organization is suspended";
    /// The permission works across organizations and the check was not put in the platform organization.
    SystemScope = "system_scope", Organization, Deny, "the permission belongs to the platform organization";
    /// The principal is deactivated or suspended.
    PrincipalInactive = "principal_inactive", Organization, Deny, "the account is not active";
    /// The principal has no membership in force here.
    NotAMember = "not_a_member", Organization, Deny, "the account is not a member of the organization";
    /// A fresh second factor is demanded.
    StepUpRequired = "step_up_required", Organization, Deny, "a second factor is required first";
    /// The resource is registered in another organization.
    CrossOrganization = "cross_organization", Organization, Deny, "the resource belongs to another organization";
    /// Outside what the credential is limited to.
    OutOfScope = "out_of_scope", Organization, Deny, "the credential does not reach this permission";
    /// No answer can be given from fresh enough facts.
    Unavailable = "unavailable", Organization, Deny, "the facts could not be read";
    /// The module is not part of what the organization has.
    NotEntitled = "not_entitled", Entitlement, Deny, "the organization's plan does not include the module";
    /// The submodule is not part of what the organization has.
    SubmoduleNotEntitled = "submodule_not_entitled", Entitlement, Deny, "the organization's plan does not include this part of the module";
    /// The module or submodule is blocked for the organization.
    EntitlementBlocked = "entitlement_blocked", Entitlement, Deny, "the module is blocked for the organization";
    /// The module is in preview for listed principals only.
    PreviewOnly = "preview_only", Entitlement, Deny, "the module is in preview for others only";
    /// The entitlement ended and its grace is over; reading and export may still go on.
    EntitlementExpired = "expired", Entitlement, Deny, "the organization's right to the module has ended";
    /// The module is read only.
    ReadOnly = "read_only", Entitlement, Deny, "the module is read only: reading and export go on, changes do not";
    /// A hard limit is reached.
    LimitReached = "limit_reached", Entitlement, Deny, "the limit of the plan is reached";
    /// A block applies.
    Blocked = "blocked", Permission, Deny, "a block forbids it";
    /// A denial on exactly this resource.
    DeniedOnResource = "denied_on_resource", Permission, Deny, "a denial on this resource forbids it";
    /// A denial on this type of resource.
    DeniedOnType = "denied_on_type", Permission, Deny, "a denial on this type of resource forbids it";
    /// A denial for the user or a team.
    DeniedForSubject = "denied_for_subject", Permission, Deny, "a denial for the user or a team forbids it";
    /// The role holds it, but its level is too low for this type of resource.
    LevelTooLow = "level_too_low", Permission, Deny, "the level of the roles is too low for this type of resource";
    /// Something would allow it, but its condition does not hold now.
    ConditionNotMet = "condition_not_met", Permission, Deny, "a condition does not hold now";
    /// Nothing allows it.
    NoGrant = "no_grant", Permission, Deny, "no role and no grant allows it";
    /// A grant on exactly this resource.
    GrantedOnResource = "granted_on_resource", Permission, Allow, "a grant on this resource allows it";
    /// A grant on this type of resource.
    GrantedOnType = "granted_on_type", Permission, Allow, "a grant on this type of resource allows it";
    /// A grant to the user or a team.
    GrantedToSubject = "granted_to_subject", Permission, Allow, "a grant to the user or a team allows it";
    /// A role.
    GrantedByRole = "granted_by_role", Permission, Allow, "a role allows it";
    /// The other system that the organization was taken over from allows it, and its rule is still asked.
    AllowedByLegacy = "allowed_by_legacy", Permission, Allow, "the other system allows it";
    /// The other system denies it.
    DeniedByLegacy = "denied_by_legacy", Permission, Deny, "the other system denies it";
    /// The other system knows the account or the permission not at all, or not in this organization.
    LegacyUnknown = "legacy_unknown", Permission, Deny, "the other system does not know the account or the permission";
    /// The other system gives no answer that is fresh enough.
    LegacyUnavailable = "legacy_unavailable", Permission, Deny, "the other system could not be asked";
}

impl Reason {
    /// Whether the other system an organization was taken over from gave the answer, or failed to.
    pub const fn is_legacy(self) -> bool {
        matches!(
            self,
            Self::AllowedByLegacy | Self::DeniedByLegacy | Self::LegacyUnknown | Self::LegacyUnavailable
        )
    }

    /// The reason a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The row that decided, as far as the fast engine knows it; `explain` names all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecidedBy {
    /// No single row: names, organization, membership, entitlement, or nothing at all.
    Nothing,
    /// A block.
    Block(BlockId),
    /// A grant, allowing or denying.
    Grant(GrantId),
    /// One assignment with a window or condition.
    Assignment(AssignmentId),
    /// The set of roles the principal holds without window or condition.
    Roles,
}

/// The answer to one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Why, which also tells the effect.
    pub reason: Reason,
    /// The row that decided.
    pub decided_by: DecidedBy,
    /// The facts it was read from.
    pub revision: Revision,
    /// The earliest end among the facts that decided: a client may keep the answer until then, never longer.
    pub valid_until: Option<Timestamp>,
    /// The entitlement ran out and its grace period runs: allowed, with a warning to show.
    pub in_grace: bool,
}

impl Decision {
    /// Allow or deny.
    #[inline]
    pub const fn effect(&self) -> Effect {
        self.reason.effect()
    }

    /// Whether it allows.
    #[inline]
    pub const fn is_allow(&self) -> bool {
        matches!(self.reason.effect(), Effect::Allow)
    }
}
