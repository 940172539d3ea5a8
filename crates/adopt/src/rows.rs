//! The rows that a run writes, kind by kind. What is here already is in [`crate::known`], and what makes them of facts in [`crate::making`].

pub use crate::known::Known;
pub use crate::making::{Making, ONE, Source};

use serde::Serialize;

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrganizationRow {
    /// Its id in the other system.
    pub legacy_id: String,
    /// Its id here.
    pub id: String,
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its `enabled_modules`, as it stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled_modules: Option<String>,
    /// `active` or `closed`.
    pub status: &'static str,
}

/// A role of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleRow {
    /// The organization.
    pub organization: String,
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its level.
    pub level: &'static str,
    /// What it gives.
    pub permissions: Vec<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserRow {
    /// Its id in the other system.
    pub legacy_id: String,
    /// Its id here.
    pub id: String,
    /// What it signs in with.
    pub login: String,
    /// Its shown name.
    pub name: String,
    /// `active` or `deactivated`.
    pub status: &'static str,
    /// The hash of the password, as it stands there, where it is one that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
}

/// A user in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MembershipRow {
    /// The organization.
    pub organization: String,
    /// The user.
    pub principal: String,
    /// `active` or `deactivated`.
    pub status: &'static str,
}

/// A role of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssignmentRow {
    /// Its id.
    pub id: String,
    /// The organization.
    pub organization: String,
    /// The role.
    pub role: String,
    /// The user.
    pub principal: String,
}

/// A right of a user besides roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantRow {
    /// Its id.
    pub id: String,
    /// The organization.
    pub organization: String,
    /// The user.
    pub principal: String,
    /// What it is about.
    pub pattern: String,
}

/// A module of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntitlementRow {
    /// The organization.
    pub organization: String,
    /// The module.
    pub module: String,
    /// `enabled` or `disabled`.
    pub status: &'static str,
}

/// Rows that are written together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each field is a list of the type it names")]
pub struct Rows {
    pub organizations: Vec<OrganizationRow>,
    pub roles: Vec<RoleRow>,
    pub users: Vec<UserRow>,
    pub memberships: Vec<MembershipRow>,
    pub assignments: Vec<AssignmentRow>,
    pub grants: Vec<GrantRow>,
    pub entitlements: Vec<EntitlementRow>,
}

impl Rows {
    /// How many there are of each kind.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            organizations: self.organizations.len() as u64,
            roles: self.roles.len() as u64,
            users: self.users.len() as u64,
            memberships: self.memberships.len() as u64,
            assignments: self.assignments.len() as u64,
            grants: self.grants.len() as u64,
            entitlements: self.entitlements.len() as u64,
        }
    }

    /// The most rows of one kind.
    #[must_use]
    pub fn longest(&self) -> usize {
        let lists = [
            self.organizations.len(),
            self.roles.len(),
            self.users.len(),
            self.memberships.len(),
            self.assignments.len(),
            self.grants.len(),
            self.entitlements.len(),
        ];
        lists.into_iter().max().unwrap_or(0)
    }
}

/// How many rows of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each field counts rows of the type it names")]
pub struct Counts {
    pub organizations: u64,
    pub roles: u64,
    pub users: u64,
    pub memberships: u64,
    pub assignments: u64,
    pub grants: u64,
    pub entitlements: u64,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.organizations += other.organizations;
        self.roles += other.roles;
        self.users += other.users;
        self.memberships += other.memberships;
        self.assignments += other.assignments;
        self.grants += other.grants;
        self.entitlements += other.entitlements;
    }

    /// All of them.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.organizations
            + self.roles
            + self.users
            + self.memberships
            + self.assignments
            + self.grants
            + self.entitlements
    }
}
