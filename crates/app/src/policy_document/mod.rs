//! One organization's access policy as a text that people read, edit and keep under version control: conditions, teams, own roles,
//! assignments, grants, blocks and registered resources. A document is the whole policy: what it leaves out is taken away. Members and
//! entitlements are not part of it; people are named by login, teams and roles by key.
//!
//! `export` writes the canonical form, `parse` reads the form and `resolve` gives it meaning against the facts of today, each with every
//! fault at once by line. What has to be written is then `crate::change::changes(before, after)`. Rows without a key of their own
//! (assignments, grants, blocks) carry their id, so that an edited row stays the same row; a row without id is new, unless it says
//! just what an existing row says. `cases` reads expected decisions and compares them with the real ones.
//!
//! Everything here is pure: no clock, no randomness, no storage.

mod cases;
mod export;
mod json;
mod read;
mod resolve;
#[cfg(test)]
mod tests;

pub use cases::{Case, CaseAsked, CaseReport, CaseResult, PolicyCases};
pub use charter_catalogue::Fault;
pub use export::export;
pub use read::parse;
pub use resolve::resolve;

use charter_kernel::facts::Level;
use charter_kernel::{
    Condition, ConditionKey, Effect, Key, Pattern, Reach, ResourceRef, RoleKey, TeamKey, Timestamp,
};

/// The format this crate writes and reads.
pub const FORMAT: &str = "charter-policy/1";
/// The format of expected decisions.
pub const CASES_FORMAT: &str = "charter-policy-cases/1";

/// A value with its place in the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Spot<T> {
    /// Line, counted from 1.
    pub line: usize,
    /// The place, as a path of keys.
    pub at: String,
    /// The value.
    pub value: T,
}

impl<T> Spot<T> {
    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault { line: Some(self.line), at: self.at.clone(), what: what.into() }
    }
}

/// Whom a line of the document is about, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// A member by login.
    Principal(String),
    /// A team by key.
    Team(String),
    /// The holders of a role.
    Role(String),
    /// Everybody.
    Everyone,
}

/// A window as the document says it; whether it ends after it starts is checked when the document gets its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First instant inside.
    pub from: Option<Timestamp>,
    /// First instant outside again.
    pub to: Option<Timestamp>,
}

/// A named condition.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionEntry {
    /// Its key.
    pub key: Spot<ConditionKey>,
    /// What it says.
    pub condition: Condition,
}

/// A team.
#[derive(Debug, Clone, PartialEq)]
pub struct TeamEntry {
    /// Its key.
    pub key: Spot<TeamKey>,
    /// Its name.
    pub name: Spot<String>,
    /// Key of the team above.
    pub parent: Option<Spot<String>>,
    /// Logins of its direct members.
    pub members: Vec<Spot<String>>,
}

/// A role of the organization.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleEntry {
    /// Its key.
    pub key: Spot<RoleKey>,
    /// Its name.
    pub name: Spot<String>,
    /// Its level.
    pub level: Level,
    /// Keys of the roles it inherits from.
    pub parents: Vec<Spot<RoleKey>>,
    /// What it gives, and when.
    pub permissions: Vec<(Spot<Pattern>, Option<Spot<ConditionKey>>)>,
}

/// A role given to somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct AssignmentEntry {
    /// Its id; a new one has none.
    pub id: Option<Spot<u128>>,
    /// The role.
    pub role: Spot<RoleKey>,
    /// Who holds it.
    pub subject: Spot<Named>,
    /// When.
    pub window: Spot<Span>,
    /// Under which condition.
    pub condition: Option<Spot<ConditionKey>>,
}

/// A grant, or a denial outside roles.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantEntry {
    /// Its id; a new one has none.
    pub id: Option<Spot<u128>>,
    /// Who it goes to.
    pub subject: Spot<Named>,
    /// Allow or deny.
    pub effect: Effect,
    /// What it is about.
    pub permission: Spot<Pattern>,
    /// How far it reaches.
    pub reach: Spot<Reach>,
    /// When.
    pub window: Spot<Span>,
    /// Under which condition.
    pub condition: Option<Spot<ConditionKey>>,
    /// Why.
    pub reason: Spot<String>,
}

/// A block.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockEntry {
    /// Its id; a new one has none.
    pub id: Option<Spot<u128>>,
    /// Who it stops.
    pub subject: Spot<Named>,
    /// What it stops.
    pub permission: Spot<Pattern>,
    /// How far it reaches.
    pub reach: Spot<Reach>,
    /// When.
    pub window: Spot<Span>,
    /// Under which condition.
    pub condition: Option<Spot<ConditionKey>>,
    /// Why.
    pub reason: Spot<String>,
    /// The separation-of-duty conflict it resolves.
    pub conflict: Option<Spot<Key>>,
}

/// A registered resource.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceEntry {
    /// Type and id.
    pub resource: Spot<ResourceRef>,
    /// Login of its owner.
    pub owner: Option<Spot<String>>,
    /// Its attributes, a JSON object as text.
    pub attributes: Spot<String>,
}

/// One organization's access policy as written; names are not looked up yet.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each field is a list of the type it names")]
pub struct PolicyDocument {
    /// Key of the organization the document is about.
    pub organization: Spot<String>,
    pub conditions: Vec<ConditionEntry>,
    pub teams: Vec<TeamEntry>,
    pub roles: Vec<RoleEntry>,
    pub assignments: Vec<AssignmentEntry>,
    pub grants: Vec<GrantEntry>,
    pub blocks: Vec<BlockEntry>,
    pub resources: Vec<ResourceEntry>,
}
