//! A batch of rows as it came in, judged by itself: what every row must look like whatever is there already. Each fault names its row.

use super::is_of_run;
use crate::identity::adopted_hash::AdoptedHash;
use crate::text;
use charter_kernel::catalogue::ModuleScope;
use charter_kernel::facts::{Level, OrganizationStatus, PrincipalStatus};
use charter_kernel::problem::FieldProblem;
use charter_kernel::{Key, ModuleKey, OrganizationId, Pattern, PrincipalId, Problem, ProblemKind, RoleKey};
use charter_policy::Index;
use charter_store::adoption_password::PasswordState;
use charter_store::adoption_row::{
    NewAssignment, NewEntitlement, NewGrant, NewMembership, NewOrganization, NewRole, NewUser,
};
use std::collections::HashMap;
use std::hash::Hash;

/// Most rows of a kind in one batch.
pub const ROWS_MAX: usize = 5_000;
/// Most faults that are told at once.
const FAULTS_MAX: usize = 100;
/// Most characters of an id of the other system.
const LEGACY_ID_MAX: usize = 500;
/// Largest document of enabled modules.
const MODULES_MAX: usize = 64 * 1024;

/// An organization of the other system.
#[derive(Debug, Clone)]
pub struct OrganizationRow {
    /// Its id there.
    pub legacy_id: String,
    /// Its id here: one of the run, or that of an organization that is there.
    pub id: OrganizationId,
    /// Its key.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// The document of the modules it has, as found.
    pub enabled_modules: Option<String>,
    /// `active`, `suspended` or `closed`.
    pub status: String,
}

/// A role of an organization's own.
#[derive(Debug, Clone)]
pub struct RoleRow {
    /// Whose.
    pub organization: OrganizationId,
    /// Its key.
    pub key: RoleKey,
    /// Its name.
    pub name: String,
    /// Its level.
    pub level: String,
    /// What it gives.
    pub permissions: Vec<Pattern>,
}

/// A user of the other system.
#[derive(Clone)]
pub struct UserRow {
    /// Their id there.
    pub legacy_id: String,
    /// The account here: one of the run, or one that is there.
    pub id: PrincipalId,
    /// E-mail or user name.
    pub login: String,
    /// Shown name; the login when left out.
    pub name: Option<String>,
    /// `active` or `deactivated`.
    pub status: String,
    /// The hash of the password, in the other system's format.
    pub password_hash: Option<String>,
}

impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserRow").field("id", &self.id).field("login", &self.login).finish_non_exhaustive()
    }
}

/// A membership.
#[derive(Debug, Clone)]
pub struct MembershipRow {
    /// Where.
    pub organization: OrganizationId,
    /// Whose.
    pub principal: PrincipalId,
    /// `active`, `suspended` or `deactivated`.
    pub status: String,
}

/// An assignment.
#[derive(Debug, Clone)]
pub struct AssignmentRow {
    /// Its id, one of the run.
    pub id: u128,
    /// Where.
    pub organization: OrganizationId,
    /// The role, shipped or the organization's own.
    pub role: RoleKey,
    /// Whose.
    pub principal: PrincipalId,
}

/// A grant that reaches the organization as a whole.
#[derive(Debug, Clone)]
pub struct GrantRow {
    /// Its id, one of the run.
    pub id: u128,
    /// Where.
    pub organization: OrganizationId,
    /// Whose.
    pub principal: PrincipalId,
    /// What it allows.
    pub pattern: Pattern,
}

/// Whether an organization may use a module.
#[derive(Debug, Clone)]
pub struct EntitlementRow {
    /// Whose.
    pub organization: OrganizationId,
    /// The module.
    pub module: ModuleKey,
    /// `enabled` or `disabled`.
    pub status: String,
}

/// A batch.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Organizations.
    pub organizations: Vec<OrganizationRow>,
    /// Roles.
    pub roles: Vec<RoleRow>,
    /// Users.
    pub users: Vec<UserRow>,
    /// Memberships.
    pub memberships: Vec<MembershipRow>,
    /// Assignments.
    pub assignments: Vec<AssignmentRow>,
    /// Grants.
    pub grants: Vec<GrantRow>,
    /// Entitlements.
    pub entitlements: Vec<EntitlementRow>,
}

/// A batch whose rows are well formed, each in the place it came in.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub organizations: Vec<(String, NewOrganization)>,
    pub roles: Vec<NewRole>,
    /// Without the hashes of their passwords, which follow.
    pub users: Vec<(String, NewUser)>,
    pub hashes: Vec<Option<AdoptedHash>>,
    /// Users, by their places, whose accounts stand and get another password.
    pub followed: HashMap<usize, PasswordState>,
    pub memberships: Vec<NewMembership>,
    pub assignments: Vec<NewAssignment>,
    pub grants: Vec<NewGrant>,
    pub entitlements: Vec<NewEntitlement>,
}

/// What is wrong with a batch.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<FieldProblem>);

impl Faults {
    pub fn add(&mut self, kind: &str, place: usize, field: &str, detail: impl Into<String>) {
        self.0.push(FieldProblem { field: format!("{kind}/{place}/{field}"), detail: detail.into() });
    }

    /// Takes note of what another check says about a field.
    pub fn note<T>(&mut self, kind: &str, place: usize, field: &str, found: Result<T, Problem>) -> Option<T> {
        match found {
            Ok(value) => Some(value),
            Err(problem) => {
                let detail = problem.fields.into_iter().next().map_or(problem.detail, |it| it.detail);
                self.add(kind, place, field, detail);
                None
            }
        }
    }

    /// Refuses when there are any.
    pub fn none(mut self) -> Result<(), Problem> {
        let count = self.0.len();
        if count == 0 {
            return Ok(());
        }
        self.0.truncate(FAULTS_MAX);
        let detail = format!("{count} of the rows cannot be written, and none was; the fields tell why");
        Err(Problem { fields: self.0, ..Problem::new(ProblemKind::Invalid, detail) })
    }
}

/// Values that stand once in a batch.
pub(super) struct Once<T>(HashMap<T, usize>);

impl<T: Eq + Hash> Once<T> {
    pub fn new() -> Self {
        Self(HashMap::new())
    }

    pub fn see(&mut self, faults: &mut Faults, kind: &str, place: usize, field: &str, value: T) {
        if let Some(first) = self.0.get(&value) {
            faults.add(kind, place, field, format!("the same as {kind}/{first}"));
        } else {
            self.0.insert(value, place);
        }
    }
}

fn legacy_id(text: &str) -> Result<(), Problem> {
    if text.is_empty() || text.chars().count() > LEGACY_ID_MAX || text.contains('\0') {
        return Err(Problem::invalid("legacy_id", format!("1 to {LEGACY_ID_MAX} characters are expected")));
    }
    Ok(())
}

fn word<T>(text: &str, from_word: fn(&str) -> Option<T>, expected: &str) -> Result<T, Problem> {
    from_word(text).ok_or_else(|| Problem::invalid("status", format!("{expected} is expected")))
}

/// The words of an entitlement that an adoption writes.
fn switch(text: &str) -> Option<&'static str> {
    match text {
        "enabled" => Some("enabled"),
        "disabled" => Some("disabled"),
        _ => None,
    }
}

const STANDING: &str = "active, suspended or deactivated";

/// The batch, or what is wrong with it.
pub(super) fn read(index: &Index, run: u64, rows: Rows) -> Result<Ready, Problem> {
    let sizes = [
        ("organizations", rows.organizations.len()),
        ("roles", rows.roles.len()),
        ("users", rows.users.len()),
        ("memberships", rows.memberships.len()),
        ("assignments", rows.assignments.len()),
        ("grants", rows.grants.len()),
        ("entitlements", rows.entitlements.len()),
    ];
    if let Some((kind, count)) = sizes.iter().find(|(_, count)| *count > ROWS_MAX) {
        return Err(Problem::invalid(
            *kind,
            format!("at most {ROWS_MAX} rows are taken at once, and these are {count}"),
        ));
    }
    if sizes.iter().all(|(_, count)| *count == 0) {
        return Err(Problem::invalid("rows", "there is none in it"));
    }
    let mut faults = Faults::default();
    let mut ready = Ready::default();
    organizations(&mut faults, &mut ready, rows.organizations);
    roles(&mut faults, &mut ready, index, rows.roles);
    users(&mut faults, &mut ready, rows.users);
    memberships(&mut faults, &mut ready, rows.memberships);
    let own = |faults: &mut Faults, kind: &str, place: usize, id: u128| {
        if !is_of_run(run, id) {
            faults.add(kind, place, "id", format!("is no id of run {run}"));
        }
    };
    let mut seen = Once::new();
    for (place, row) in rows.assignments.into_iter().enumerate() {
        own(&mut faults, "assignments", place, row.id);
        seen.see(&mut faults, "assignments", place, "id", row.id);
        let AssignmentRow { id, organization, role, principal } = row;
        ready.assignments.push(NewAssignment { id, organization, role, principal });
    }
    let mut seen = Once::new();
    for (place, row) in rows.grants.into_iter().enumerate() {
        own(&mut faults, "grants", place, row.id);
        seen.see(&mut faults, "grants", place, "id", row.id);
        if index.pattern(&row.pattern).is_empty() {
            let detail = format!("{} matches no permission of the catalogue", row.pattern);
            faults.add("grants", place, "pattern", detail);
        }
        let GrantRow { id, organization, principal, pattern } = row;
        ready.grants.push(NewGrant { id, organization, principal, pattern });
    }
    entitlements(&mut faults, &mut ready, index, rows.entitlements);
    faults.none()?;
    Ok(ready)
}

fn organizations(faults: &mut Faults, ready: &mut Ready, rows: Vec<OrganizationRow>) {
    const KIND: &str = "organizations";
    let (mut ids, mut keys, mut legacy) = (Once::new(), Once::new(), Once::new());
    for (place, row) in rows.into_iter().enumerate() {
        ids.see(faults, KIND, place, "id", row.id);
        keys.see(faults, KIND, place, "key", row.key.clone());
        legacy.see(faults, KIND, place, "legacy_id", row.legacy_id.clone());
        faults.note(KIND, place, "legacy_id", legacy_id(&row.legacy_id));
        let name = faults.note(KIND, place, "name", text::name("name", &row.name));
        let status = word(&row.status, OrganizationStatus::from_word, "active, suspended or closed");
        let status = faults.note(KIND, place, "status", status);
        if row.enabled_modules.as_ref().is_some_and(|text| text.len() > MODULES_MAX || text.contains('\0')) {
            let detail = format!("at most {MODULES_MAX} bytes without zero bytes are expected");
            faults.add(KIND, place, "enabled_modules", detail);
        }
        ready.organizations.push((
            row.legacy_id,
            NewOrganization {
                id: row.id,
                key: row.key,
                name: name.unwrap_or_default(),
                status: status.map_or("", OrganizationStatus::as_str),
                enabled_modules: row.enabled_modules,
            },
        ));
    }
}

fn roles(faults: &mut Faults, ready: &mut Ready, index: &Index, rows: Vec<RoleRow>) {
    const KIND: &str = "roles";
    let mut seen = Once::new();
    for (place, mut row) in rows.into_iter().enumerate() {
        seen.see(faults, KIND, place, "key", (row.organization, row.key.clone()));
        if index.catalogue().role(&row.key).is_some() {
            faults.add(KIND, place, "key", format!("{} is a shipped role", row.key));
        }
        let name = faults.note(KIND, place, "name", text::name("name", &row.name));
        let level = Level::from_word(&row.level);
        if level.is_none() {
            faults.add(KIND, place, "level", "viewer, developer, manager or admin is expected");
        }
        for (at, pattern) in row.permissions.iter().enumerate() {
            if index.pattern(pattern).is_empty() {
                let detail = format!("{pattern} matches no permission of the catalogue");
                faults.add(KIND, place, &format!("permissions/{at}"), detail);
            }
        }
        row.permissions.sort();
        row.permissions.dedup();
        ready.roles.push(NewRole {
            organization: row.organization,
            key: row.key,
            name: name.unwrap_or_default(),
            level: level.map_or("", Level::as_str),
            permissions: row.permissions,
        });
    }
}

fn users(faults: &mut Faults, ready: &mut Ready, rows: Vec<UserRow>) {
    const KIND: &str = "users";
    let (mut ids, mut logins, mut legacy) = (Once::new(), Once::new(), Once::new());
    for (place, row) in rows.into_iter().enumerate() {
        ids.see(faults, KIND, place, "id", row.id);
        legacy.see(faults, KIND, place, "legacy_id", row.legacy_id.clone());
        faults.note(KIND, place, "legacy_id", legacy_id(&row.legacy_id));
        let login = faults.note(KIND, place, "login", text::login("login", &row.login)).unwrap_or_default();
        if !login.is_empty() {
            logins.see(faults, KIND, place, "login", login.clone());
        }
        let name = match row.name.as_deref().filter(|name| !name.trim().is_empty()) {
            Some(name) => faults.note(KIND, place, "name", text::name("name", name)).unwrap_or_default(),
            None => login.clone(),
        };
        // Accounts that wait for the proof are suspended: it tells them from those that stay as they are.
        let standing =
            |text: &str| PrincipalStatus::from_word(text).filter(|it| *it != PrincipalStatus::Suspended);
        let status = word(&row.status, standing, "active or deactivated");
        let status = faults.note(KIND, place, "status", status);
        let hash = row.password_hash.as_deref().map(AdoptedHash::parse).transpose();
        let hash = hash.unwrap_or_else(|refused| {
            faults.add(KIND, place, "password_hash", refused.to_string());
            None
        });
        ready.hashes.push(hash);
        let status = status.map_or("", PrincipalStatus::as_str);
        ready.users.push((row.legacy_id, NewUser { id: row.id, login, name, status, password_hash: None }));
    }
}

fn memberships(faults: &mut Faults, ready: &mut Ready, rows: Vec<MembershipRow>) {
    const KIND: &str = "memberships";
    let mut seen = Once::new();
    for (place, row) in rows.into_iter().enumerate() {
        seen.see(faults, KIND, place, "principal", (row.organization, row.principal));
        let status =
            faults.note(KIND, place, "status", word(&row.status, PrincipalStatus::from_word, STANDING));
        ready.memberships.push(NewMembership {
            organization: row.organization,
            principal: row.principal,
            status: status.map_or("", PrincipalStatus::as_str),
        });
    }
}

fn entitlements(faults: &mut Faults, ready: &mut Ready, index: &Index, rows: Vec<EntitlementRow>) {
    const KIND: &str = "entitlements";
    let mut seen = Once::new();
    for (place, row) in rows.into_iter().enumerate() {
        seen.see(faults, KIND, place, "module", (row.organization, row.module.clone()));
        match index.catalogue().module(row.module.as_str()) {
            None => faults.add(KIND, place, "module", format!("no module {} in the catalogue", row.module)),
            Some(module) if module.scope == ModuleScope::System => {
                faults.add(
                    KIND,
                    place,
                    "module",
                    format!("{} is for the platform organization only", row.module),
                );
            }
            Some(_) => {}
        }
        let status = faults.note(KIND, place, "status", word(&row.status, switch, "enabled or disabled"));
        let EntitlementRow { organization, module, .. } = row;
        ready.entitlements.push(NewEntitlement { organization, module, status: status.unwrap_or_default() });
    }
}
