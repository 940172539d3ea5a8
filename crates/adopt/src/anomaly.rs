//! What would break a migration, each named with its row.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many rows of one kind are named; all are counted.
pub const NAMED_MAX: usize = 100;

/// A kind of thing that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// A module has a value that says neither on nor off.
    OddModule,
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
    /// An id that is empty, or holds what parts ids here.
    UnfitId,
    /// Two groups are called by one path.
    DuplicateGroup,
    /// More than one kind of thing may be the users, or one of an unusual name.
    SeveralUsers,
    /// Words of roles stand at users, beside roles in tables of their own.
    UnreadRole,
}

impl AnomalyKind {
    /// All of them.
    pub const ALL: [Self; 22] = [
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
        Self::OddModule,
        Self::DoubledModule,
        Self::UnknownPassword,
        Self::DuplicateOrganization,
        Self::Condition,
        Self::OtherHolder,
        Self::Program,
        Self::UnfitId,
        Self::DuplicateGroup,
        Self::SeveralUsers,
        Self::UnreadRole,
    ];

    /// What it means, and what becomes of it, of one and of several.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::DuplicateUser => (
                "user with one id and different logins: make them differ",
                "users with one id and different logins: make them differ",
            ),
            Self::DuplicateLogin => (
                "login that is another one's here: make them differ",
                "logins that are one login here: make them differ",
            ),
            Self::MissingLogin => (
                "user without anything to sign in with: left out",
                "users without anything to sign in with: they are left out",
            ),
            Self::UnfitLogin => (
                "login that cannot be taken over: its user is left out",
                "logins that cannot be taken over: their users are left out",
            ),
            Self::Orphan => (
                "row that refers to something that is not there: left out",
                "rows that refer to something that is not there: they are left out",
            ),
            Self::MissingRole => (
                "user without a role: becomes a member without rights",
                "users without a role: they become members without rights",
            ),
            Self::UnknownRole => (
                "holder of a role that is neither shipped nor mapped: nothing comes of it",
                "holders of roles that are neither shipped nor mapped: nothing comes of these",
            ),
            Self::MissingValue => (
                "column that decides something and holds nothing that can be read: taken as no",
                "columns that decide something and hold nothing that can be read: taken as no",
            ),
            Self::InactiveWithRoles => (
                "user who may not sign in and holds roles: comes over inactive",
                "users who may not sign in and hold roles: they come over inactive",
            ),
            Self::UnreadableModules => (
                "enabled_modules that cannot be read: everything but what is always on is off",
                "enabled_modules that cannot be read: everything but what is always on is off",
            ),
            Self::UnknownModule => {
                ("module that nobody knows: left out", "modules that nobody knows: they are left out")
            }
            Self::OddModule => (
                "module with a value that says neither on nor off: taken as off",
                "modules with a value that says neither on nor off: taken as off",
            ),
            Self::DoubledModule => (
                "module that stands twice in a document: one name that is on is enough",
                "modules that stand twice in a document: one name that is on is enough",
            ),
            Self::UnknownPassword => (
                "password in a format that cannot be taken over: its user asks for a new one",
                "passwords in formats that cannot be taken over: these users ask for a new one",
            ),
            Self::DuplicateOrganization => (
                "organization with the key of another: make them differ",
                "organizations with the same key: make them differ",
            ),
            Self::Condition => (
                "rule that hangs on the record and not on who asks alone: not taken over, so write it as a condition or as grants on resources",
                "rules that hang on the record and not on who asks alone: they are not taken over, so write them as conditions or grants on resources",
            ),
            Self::OtherHolder => (
                "role held by something other than a user: left out",
                "roles held by something other than a user: they are left out",
            ),
            Self::Program => (
                "account of a program: left out, so give that program a service account",
                "accounts of programs: they are left out, so give those programs service accounts",
            ),
            Self::UnfitId => (
                "id that is empty or holds a character that parts ids: give it another",
                "ids that are empty or hold a character that parts ids: give them others",
            ),
            Self::DuplicateGroup => (
                "path of two groups that give different roles: rename one of them",
                "paths of two groups each that give different roles: rename one of each",
            ),
            Self::UnreadRole => (
                "word of a role at users, beside roles in tables: where the tables count, say unused_role = \"COLUMN\" under [source.users], or a list of \
                 columns; where the words do, system = \"role_column\" and role = \"COLUMN\" there",
                "words of roles at users, beside roles in tables: where the tables count, say unused_role = \"COLUMN\" under [source.users], or a list of \
                 columns; where the words do, system = \"role_column\" and role = \"COLUMN\" there",
            ),
            Self::SeveralUsers => (
                "model_type that could be the users: say which counts, as model = \"NAME\" under [source.users]",
                "model_types that could each be the users: say which counts, as model = \"NAME\" under [source.users]",
            ),
        }
    }

    /// What there is of it, in two words.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::DuplicateLogin => "duplicate logins",
            Self::DuplicateUser => "ids with two logins",
            Self::DuplicateOrganization => "duplicate organizations",
            Self::UnfitId => "ids that cannot be told apart",
            Self::DuplicateGroup => "duplicate groups",
            Self::SeveralUsers => "several kinds of users",
            Self::UnreadRole => "roles in two places",
            other => other.means(),
        }
    }

    /// What it means, and what becomes of it.
    #[must_use]
    pub const fn means(self) -> &'static str {
        self.words().1
    }

    /// The same with how many there are.
    #[must_use]
    pub fn counted(self, count: u64) -> String {
        let (one, several) = self.words();
        charter_kernel::counted(count, one, several)
    }

    /// Whether nothing is taken over before it is mended.
    #[must_use]
    pub const fn stops(self) -> bool {
        matches!(
            self,
            Self::DuplicateLogin
                | Self::DuplicateUser
                | Self::DuplicateOrganization
                | Self::UnfitId
                | Self::DuplicateGroup
                | Self::SeveralUsers
                | Self::UnreadRole
        )
    }
}

/// One row that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anomaly {
    /// The row: its table and id.
    pub row: String,
    /// What is wrong with it.
    pub detail: String,
}

/// What was found of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Found {
    count: u64,
    named: Vec<Anomaly>,
    losing: u64,
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anomalies {
    kinds: BTreeMap<AnomalyKind, Found>,
    is_whole: bool,
}

impl Anomalies {
    /// Names every row from now on, and not the first of each kind alone.
    pub const fn name_all(&mut self) {
        self.is_whole = true;
    }

    /// Notes one.
    pub fn note(&mut self, kind: AnomalyKind, row: impl Into<String>, detail: impl Into<String>) {
        let found = self.kinds.entry(kind).or_default();
        found.count += 1;
        if self.is_whole || found.named.len() < NAMED_MAX {
            found.named.push(Anomaly { row: row.into(), detail: detail.into() });
        }
    }

    /// Says of the one noted last of a kind that its user may sign in, holds something, and loses it.
    pub fn note_losing(&mut self, kind: AnomalyKind) {
        self.kinds.entry(kind).or_default().losing += 1;
    }

    /// What was found, by kind: how many, and the first of them.
    pub fn iter(&self) -> impl Iterator<Item = (AnomalyKind, u64, &[Anomaly])> {
        self.kinds.iter().map(|(kind, found)| (*kind, found.count, found.named.as_slice()))
    }

    /// How many of a kind.
    #[must_use]
    pub fn count(&self, kind: AnomalyKind) -> u64 {
        self.kinds.get(&kind).map_or(0, |found| found.count)
    }

    /// How many users of a kind lose what they hold.
    #[must_use]
    pub fn losing(&self, kind: AnomalyKind) -> u64 {
        self.kinds.get(&kind).map_or(0, |found| found.losing)
    }
}
