//! The facts of one organization: what a decision reads, row by row, as the store loads them in one read transaction.

use crate::entitlement::{EntitlementFact, LimitOverrideFact, PreviewFact, SubscriptionFact};
use crate::{
    AssignmentId, BlockId, Condition, ConditionKey, Effect, GrantId, Key, OrganizationId, Pattern,
    PrincipalId, ResourceTypeKey, Revision, RoleKey, TeamId, TeamKey, Timestamp, Window,
};
use std::sync::Arc;

/// Where an organization is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrganizationStatus {
    /// In use.
    Active,
    /// Stopped for a while; almost everything is denied.
    Suspended,
    /// Ended; everything is denied.
    Closed,
}

/// Whether the organization is the one that runs the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrganizationKind {
    /// The platform organization: permissions of scope system are checked here and nowhere else.
    Platform,
    /// Any other.
    Customer,
}

/// Kind of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A program.
    ServiceAccount,
}

/// Where a principal is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalStatus {
    /// May act.
    Active,
    /// Stopped for a while.
    Suspended,
    /// Ended.
    Deactivated,
}

macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        impl $name {
            /// The word used on the wire and in the database.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word),* } }
            /// The value a word names.
            pub fn from_word(word: &str) -> Option<Self> { match word { $($word => Some(Self::$variant),)* _ => None } }
        }
    )*};
}

words! {
    OrganizationStatus { Active = "active", Suspended = "suspended", Closed = "closed" }
    OrganizationKind { Platform = "platform", Customer = "customer" }
    PrincipalKind { User = "user", ServiceAccount = "service_account" }
    PrincipalStatus { Active = "active", Suspended = "suspended", Deactivated = "deactivated" }
}

/// The organization itself.
#[derive(Debug, Clone, PartialEq)]
pub struct OrganizationFact {
    /// Its id.
    pub id: OrganizationId,
    /// Its key, used in commands and addresses.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Platform or customer.
    pub kind: OrganizationKind,
    /// Where it is in its life.
    pub status: OrganizationStatus,
    /// The legacy `enabled_modules` document, as found.
    pub enabled_modules: Option<String>,
    /// Version of these facts.
    pub revision: Revision,
    /// Which attributes a caller may assert with a check, as `subject.department` or `resource.*`; the rest are ignored.
    pub assertable: Vec<String>,
}

/// A membership with what the decision needs of its principal.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberFact {
    /// The principal.
    pub principal: PrincipalId,
    /// User or service account.
    pub kind: PrincipalKind,
    /// Login name (e-mail of a user), folded.
    pub login: String,
    /// Shown name.
    pub name: String,
    /// Where the membership is in its life: the organization's own business.
    pub status: PrincipalStatus,
    /// Where the account is in its life, in all organizations: the platform's business.
    pub account_status: PrincipalStatus,
    /// When the membership is in force.
    pub window: Window,
    /// Attributes of the principal in this organization, a JSON object.
    pub attributes: String,
}

impl MemberFact {
    /// Where the member is in its life: active where both the account and the membership are.
    pub fn standing(&self) -> PrincipalStatus {
        match (self.account_status, self.status) {
            (PrincipalStatus::Active, PrincipalStatus::Active) => PrincipalStatus::Active,
            (PrincipalStatus::Deactivated, _) | (_, PrincipalStatus::Deactivated) => {
                PrincipalStatus::Deactivated
            }
            _ => PrincipalStatus::Suspended,
        }
    }
}

/// A team; members of a team are members of the team above it as well.
#[derive(Debug, Clone, PartialEq)]
pub struct TeamFact {
    /// Its id.
    pub id: TeamId,
    /// Its key.
    pub key: TeamKey,
    /// Its name.
    pub name: String,
    /// The team above.
    pub parent: Option<TeamId>,
    /// Direct members.
    pub members: Vec<PrincipalId>,
}

/// Who a role or grant goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// One principal.
    Principal(PrincipalId),
    /// Every member of a team and of the teams below it.
    Team(TeamId),
}

/// Who a block stops.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlockSubject {
    /// One principal.
    Principal(PrincipalId),
    /// Every member of a team and of the teams below it.
    Team(TeamId),
    /// Everybody who holds the role or one that inherits from it.
    Role(RoleKey),
    /// Everybody.
    Everyone,
}

/// One line of a role.
#[derive(Debug, Clone, PartialEq)]
pub struct RolePermission {
    /// What it gives.
    pub pattern: Pattern,
    /// When.
    pub condition: Option<ConditionKey>,
}

/// The four levels, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Viewer = 1,
    Developer = 2,
    Manager = 3,
    Admin = 4,
}

words! { Level { Viewer = "viewer", Developer = "developer", Manager = "manager", Admin = "admin" } }

/// A role, shipped or the organization's own.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleFact {
    /// Its key.
    pub key: RoleKey,
    /// Its name.
    pub name: String,
    /// Roles whose permissions it holds as well.
    pub parents: Vec<RoleKey>,
    /// What it gives.
    pub permissions: Vec<RolePermission>,
    /// Its level, for rights on single things.
    pub level: Level,
}

/// A role given to somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct AssignmentFact {
    /// Its id.
    pub id: AssignmentId,
    /// The role.
    pub role: RoleKey,
    /// Who holds it.
    pub subject: Subject,
    /// When.
    pub window: Window,
    /// And under which condition.
    pub condition: Option<ConditionKey>,
}

/// One thing acted on: type and id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceRef {
    /// The type.
    pub kind: ResourceTypeKey,
    /// The id within the type, as the application names it.
    pub id: Arc<str>,
}

/// How far a grant or block reaches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// The whole organization.
    Organization,
    /// Every resource of one type.
    Type(ResourceTypeKey),
    /// One resource.
    Resource(ResourceRef),
}

/// A right, or a denial, outside roles.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantFact {
    /// Its id.
    pub id: GrantId,
    /// Who it goes to.
    pub subject: Subject,
    /// What it is about.
    pub pattern: Pattern,
    /// How far it reaches.
    pub reach: Reach,
    /// Allow or deny.
    pub effect: Effect,
    /// When.
    pub window: Window,
    /// And under which condition.
    pub condition: Option<ConditionKey>,
    /// Why it was given.
    pub reason: String,
    /// Who gave it.
    pub given_by: Option<PrincipalId>,
    /// When it was given.
    pub given_at: Timestamp,
}

/// A denial that nothing overrides.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockFact {
    /// Its id.
    pub id: BlockId,
    /// Who it stops.
    pub subject: BlockSubject,
    /// What it stops.
    pub pattern: Pattern,
    /// How far it reaches.
    pub reach: Reach,
    /// When.
    pub window: Window,
    /// And under which condition; one that fails to evaluate counts as met.
    pub condition: Option<ConditionKey>,
    /// Why.
    pub reason: String,
    /// The separation-of-duty conflict it comes from, if any.
    pub conflict: Option<Key>,
}

/// A named condition.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionFact {
    /// Its key.
    pub key: ConditionKey,
    /// What it says.
    pub condition: Condition,
}

/// A registered resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceFact {
    /// Type and id.
    pub resource: ResourceRef,
    /// Its owner.
    pub owner: Option<PrincipalId>,
    /// Its attributes, a JSON object; they win over those a caller sends.
    pub attributes: String,
}

/// Everything a decision about one organization reads, apart from the catalogue.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each field is a list of the type it names")]
pub struct OrganizationFacts {
    pub organization: OrganizationFact,
    pub members: Vec<MemberFact>,
    pub teams: Vec<TeamFact>,
    /// The organization's own roles; shipped roles come from the catalogue.
    pub roles: Vec<RoleFact>,
    pub assignments: Vec<AssignmentFact>,
    pub grants: Vec<GrantFact>,
    pub blocks: Vec<BlockFact>,
    pub conditions: Vec<ConditionFact>,
    pub resources: Vec<ResourceFact>,
    pub entitlements: Vec<EntitlementFact>,
    pub previews: Vec<PreviewFact>,
    pub subscriptions: Vec<SubscriptionFact>,
    pub limit_overrides: Vec<LimitOverrideFact>,
}
