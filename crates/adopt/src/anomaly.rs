//! What would break a migration, each named with its row.

use serde::Serialize;
use std::collections::BTreeMap;

/// How many rows of one kind are named; all are counted.
pub const NAMED_MAX: usize = 100;

/// A kind of thing that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AnomalyKind {
    /// Two users sign in with names that differ in case, or in the form of their letters.
    DuplicateLogin,
    /// Two users have one id and sign in with different names.
    DuplicateUser,
    /// A user has nothing to sign in with.
    MissingLogin,
    /// What a user signs in with cannot be one here.
    UnfitLogin,
    /// A row refers to something that is not there.
    Orphan,
    /// A user has no role.
    MissingRole,
    /// A role is named that is neither shipped nor mapped.
    UnknownRole,
    /// A column that decides something holds nothing.
    MissingValue,
    /// A user who may not sign in holds roles.
    InactiveWithRoles,
    /// An `enabled_modules` that cannot be read.
    UnreadableModules,
    /// A module is named that nobody knows.
    UnknownModule,
    /// Several names of one document mean one module.
    DoubledModule,
    /// A password in a format that cannot be taken over.
    UnknownPassword,
    /// Two organizations have the same key.
    DuplicateOrganization,
    /// Something that hangs on the record, or on its fields, and not on who asks alone.
    Condition,
    /// Something other than a user holds roles.
    OtherHolder,
    /// An account that no person signs in with.
    Program,
}

impl AnomalyKind {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::DuplicateLogin,
        Self::DuplicateUser,
        Self::MissingLogin,
        Self::UnfitLogin,
        Self::Orphan,
        Self::MissingRole,
        Self::UnknownRole,
        Self::MissingValue,
        Self::InactiveWithRoles,
        Self::UnreadableModules,
        Self::UnknownModule,
        Self::DoubledModule,
        Self::UnknownPassword,
        Self::DuplicateOrganization,
        Self::Condition,
        Self::OtherHolder,
        Self::Program,
    ];

    /// What it means, and what becomes of it.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Self::DuplicateUser => "users with one id and different logins: make them differ",
            Self::DuplicateLogin => {
                "logins that are one login here: make them differ, or leave one out by the mapping"
            }
            Self::MissingLogin => "users without anything to sign in with: they are left out",
            Self::UnfitLogin => "logins that cannot be taken over: they are left out",
            Self::Orphan => "rows that refer to something that is not there: they are left out",
            Self::MissingRole => "users without a role: they become members without rights",
            Self::UnknownRole => {
                "roles that are neither shipped nor mapped: whoever holds them gets nothing from them"
            }
            Self::MissingValue => {
                "columns that decide something and hold nothing that can be read: taken as no"
            }
            Self::InactiveWithRoles => "users who may not sign in and hold roles: they come over inactive",
            Self::UnreadableModules => {
                "enabled_modules that cannot be read: everything but what is always on is off"
            }
            Self::UnknownModule => "modules that nobody knows: they are left out",
            Self::DoubledModule => "modules that stand twice in a document: one name that is on is enough",
            Self::UnknownPassword => {
                "passwords in formats that cannot be taken over: these users ask for a new one"
            }
            Self::DuplicateOrganization => "organizations with the same key: make them differ",
            Self::Condition => {
                "rules that hang on the record and not on who asks alone: they are not taken over, so write them as conditions or grants on resources"
            }
            Self::OtherHolder => "roles held by something other than a user: they are left out",
            Self::Program => {
                "accounts of programs: they are left out, so give those programs service accounts"
            }
        }
    }

    /// Whether nothing is taken over before it is mended.
    #[must_use]
    pub const fn stops(self) -> bool {
        matches!(self, Self::DuplicateLogin | Self::DuplicateUser | Self::DuplicateOrganization)
    }
}

/// One row that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Anomaly {
    /// The row: its table and id.
    pub row: String,
    /// What is wrong with it.
    pub detail: String,
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anomalies(BTreeMap<AnomalyKind, (u64, Vec<Anomaly>)>);

impl Anomalies {
    /// Notes one.
    pub fn note(&mut self, kind: AnomalyKind, row: impl Into<String>, detail: impl Into<String>) {
        let (count, named) = self.0.entry(kind).or_default();
        *count += 1;
        if named.len() < NAMED_MAX {
            named.push(Anomaly { row: row.into(), detail: detail.into() });
        }
    }

    /// What was found, by kind: how many, and the first of them.
    pub fn iter(&self) -> impl Iterator<Item = (AnomalyKind, u64, &[Anomaly])> {
        self.0.iter().map(|(kind, (count, named))| (*kind, *count, named.as_slice()))
    }

    /// How many of a kind.
    #[must_use]
    pub fn count(&self, kind: AnomalyKind) -> u64 {
        self.0.get(&kind).map_or(0, |(count, _)| *count)
    }
}
