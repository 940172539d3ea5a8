//! A plan: what would be written, who would gain or lose what, and what stands in the way. It is carried out exactly, or not at all.

pub use crate::ground::{CannotPlan, Ground};

use crate::anomaly::{Anomalies, Anomaly, AnomalyKind};
use crate::change::{ChangeCounts, is_none};
use crate::modules::Opened;
use crate::named::Named;
use crate::over_all::OverAll;
use crate::proof::{Beyond, Verdict};
use crate::rows::Counts;
use crate::source::System;
use crate::taken::TakenAway;
use charter_kernel::Key;
use charter_kernel::catalogue::Catalogue;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The form of plans that this program writes and reads.
pub const FORMAT: u32 = 2;
/// Rows of one kind of anomaly that a plan names; all are counted.
const ROWS_MAX: usize = 20;

/// What becomes of one role, and what that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRole {
    /// Its name in the other system.
    pub name: String,
    /// How many users hold it.
    pub users: u64,
    /// The role that takes its place; none where nothing does.
    pub becomes: Option<String>,
    /// What whoever holds it could not do by it before.
    pub gains: Vec<String>,
    /// What whoever holds it cannot do by it any more.
    pub loses: Vec<String>,
}

/// An organization that would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrganization {
    /// Its id in the other system.
    pub legacy_id: String,
    /// The key it would get.
    pub key: String,
    /// Its name.
    pub name: String,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The form of this file.
    pub format: u32,
    /// The version of the program that made it.
    pub tool: String,
    /// When it was made.
    pub made_at: String,
    /// The other system, by the name the operator gave it.
    pub source: Key,
    /// Which system it is.
    pub system: System,
    /// What its database runs on.
    pub engine: String,
    /// Where it is; never with a password.
    pub from: String,
    /// The same as one address, whichever file held it and wherever it was typed; without it the plan was made by an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What its rows came to.
    pub facts: String,
    /// What the catalogue in force came to.
    pub catalogue: String,
    /// The mapping, as the file says.
    pub mapping: String,
    /// Rows that would be there after it.
    pub rows: Counts,
    /// The run it goes on from; none where nothing of the source stands.
    #[serde(default)]
    pub follows: Option<u64>,
    /// What it changes and takes away of what runs before it wrote.
    #[serde(default)]
    pub changes: ChangeCounts,
    /// What stays otherwise here than there, as people changed it here.
    #[serde(default)]
    pub left: Vec<String>,
    /// Passwords that changed there since they were taken over, when it was made: what is there by the time of the run is followed.
    #[serde(default, skip_serializing_if = "is_none")]
    pub passwords: u64,
    /// The first of those whom it changes, who stay as they are, and who stop it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<Named>,
    /// What people took away by hand and the other system still gives, and what becomes of it.
    #[serde(default, skip_serializing_if = "TakenAway::is_none")]
    pub taken: TakenAway,
    /// What is wrong with the other system's rows, by kind.
    pub anomalies: BTreeMap<String, u64>,
    /// The first of these rows, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub anomaly_rows: BTreeMap<String, Vec<Anomaly>>,
    /// Users who hold something there and have nothing to sign in with.
    #[serde(default, skip_serializing_if = "is_none")]
    pub nameless: u64,
    /// Rules on records or fields that are not taken over, where somebody may do something of what they narrow.
    #[serde(default, skip_serializing_if = "is_none")]
    pub lifted: u64,
    /// Users who bring no password that can be taken over.
    #[serde(default, skip_serializing_if = "is_none")]
    pub without_password: u64,
    /// Users who came since the run it goes on from.
    #[serde(default, skip_serializing_if = "is_none")]
    pub new_users: u64,
    /// Roles that become nothing though nobody can see what they allow, with how many lose them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unseen: BTreeMap<String, u64>,
    /// Who would get all of the installation.
    #[serde(default, skip_serializing_if = "OverAll::is_none")]
    pub over_all: OverAll,
    /// Organizations that the mapping gives modules which the other system's documents do not give them.
    #[serde(default, skip_serializing_if = "Opened::is_none")]
    pub opened: Opened,
    /// Roles nobody has said anything of.
    pub unmapped: Vec<String>,
    /// Roles that the mapping or what was accepted names, that were there when an earlier run was planned, and are there no more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gone_roles: BTreeSet<String>,
    /// What else keeps it from being carried out.
    pub faults: Vec<String>,
    /// Roles, and what becomes of them.
    pub roles: Vec<PlannedRole>,
    /// Roles of which nobody can see what they allowed, where a role is a word and its rights stand in code: before is what the shipped
    /// role of the same name allows, and these have none. Nothing where the other system has permissions of its own.
    pub without_before: Option<Vec<String>>,
    /// The first organizations that would be made, by the keys they would get.
    pub new_organizations: Vec<NewOrganization>,
    /// How many there would be.
    pub new_organizations_count: u64,
    /// Organizations that are here already and are not this system's yet, by their keys.
    pub existing_organizations: Vec<String>,
    /// Accounts that are here already and are not this system's yet, by their logins.
    pub existing_accounts: Vec<String>,
    /// Those of users of this system who are gone there, and whose logins users have who are new there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub anew_accounts: Vec<String>,
    /// What accounts that were here before may do of the installation itself, and could not in the other system.
    pub beyond: Beyond,
    /// Who would gain or lose what.
    pub verdict: Verdict,
    /// What was accepted, by name: roles, `organization:KEY`, `account:LOGIN`.
    pub accepted: BTreeSet<String>,
    /// Who approved it.
    pub approved_by: BTreeSet<String>,
    /// What all of the above comes to, but for the time and the organizations that are new.
    pub hash: String,
}

impl Plan {
    /// What the plan comes to.
    #[must_use]
    pub fn sum(&self) -> String {
        let mut plain = Self { made_at: String::new(), hash: String::new(), ..self.clone() };
        // Once they are made they are new no more, and the plan is the same.
        (plain.new_organizations, plain.new_organizations_count) = (Vec::new(), 0);
        let text = serde_json::to_vec(&plain).unwrap_or_default();
        Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it is as it was made.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.format == FORMAT && self.hash == self.sum()
    }
}

/// How many are not told, after some that are.
#[must_use]
pub fn more(all: u64, told: usize) -> String {
    match all.saturating_sub(told as u64) {
        0 => String::new(),
        more => format!(" and {more} more"),
    }
}

/// The word of a kind of anomaly.
fn word(kind: AnomalyKind) -> Option<String> {
    serde_json::to_value(kind).ok()?.as_str().map(str::to_owned)
}

/// What anomalies come to, by kind.
#[must_use]
pub fn counted(anomalies: &Anomalies) -> BTreeMap<String, u64> {
    anomalies.iter().filter_map(|(kind, count, _)| Some((word(kind)?, count))).collect()
}

/// The first rows of each kind.
#[must_use]
pub fn rows_of(anomalies: &Anomalies) -> BTreeMap<String, Vec<Anomaly>> {
    let first = |rows: &[Anomaly]| rows.iter().take(ROWS_MAX).cloned().collect();
    anomalies.iter().filter_map(|(kind, _, rows)| Some((word(kind)?, first(rows)))).collect()
}

/// What a catalogue comes to.
#[must_use]
pub fn catalogue_sum(catalogue: &Catalogue) -> String {
    let text = charter_catalogue::print(catalogue);
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
