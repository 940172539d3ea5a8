//! A batch of changes as it came in, judged by itself: what every row must look like whatever is there already.

use super::form::{Faults, Once, ROWS_MAX};
use crate::text;
use charter_kernel::facts::{OrganizationStatus, PrincipalStatus};
use charter_kernel::{ModuleKey, OrganizationId, Pattern, PrincipalId, Problem, RoleKey};
use charter_policy::Index;

/// Most accounts of one batch: sessions end with them, one by one.
pub const ACCOUNTS_MAX: usize = 500;
/// Largest document of enabled modules.
const MODULES_MAX: usize = 64 * 1024;

/// Where a membership is in its life from now on.
#[derive(Debug, Clone)]
pub struct MembershipDraft {
    /// Where.
    pub organization: OrganizationId,
    /// Whose.
    pub principal: PrincipalId,
    /// `active`, `deactivated` or `removed`.
    pub status: String,
}

/// What an account is from now on; what is left out stays.
#[derive(Debug, Clone)]
pub struct AccountDraft {
    /// The account.
    pub principal: PrincipalId,
    /// `active` or `deactivated`.
    pub status: Option<String>,
    /// Its login.
    pub login: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// What a role gives from now on.
#[derive(Debug, Clone)]
pub struct RoleChange {
    /// Whose.
    pub organization: OrganizationId,
    /// Its key.
    pub key: RoleKey,
    /// Its name.
    pub name: String,
    /// What it gives.
    pub permissions: Vec<Pattern>,
}

/// What an organization is from now on; what is left out stays.
#[derive(Debug, Clone)]
pub struct OrganizationDraft {
    /// The organization.
    pub organization: OrganizationId,
    /// Its name.
    pub name: Option<String>,
    /// `active` or `closed`.
    pub status: Option<String>,
    /// The document of the modules it has; `Some(None)` is none.
    pub enabled_modules: Option<Option<String>>,
}

/// A batch of changes.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Assignments that go, with their organizations.
    pub assignments: Vec<(OrganizationId, u128)>,
    /// Grants that go.
    pub grants: Vec<(OrganizationId, u128)>,
    /// Memberships.
    pub memberships: Vec<MembershipDraft>,
    /// Accounts.
    pub accounts: Vec<AccountDraft>,
    /// Roles.
    pub roles: Vec<RoleChange>,
    /// Modules, `enabled` or `disabled`.
    pub entitlements: Vec<(OrganizationId, ModuleKey, String)>,
    /// Organizations.
    pub organizations: Vec<OrganizationDraft>,
}

#[derive(Debug)]
pub(super) struct MembershipChange {
    pub organization: OrganizationId,
    pub principal: PrincipalId,
    pub status: &'static str,
}

#[derive(Debug)]
pub(super) struct AccountChange {
    pub principal: PrincipalId,
    pub status: Option<&'static str>,
    pub login: Option<String>,
    pub name: Option<String>,
}

#[derive(Debug)]
pub(super) struct OrganizationChange {
    pub organization: OrganizationId,
    pub name: Option<String>,
    pub status: Option<&'static str>,
    pub enabled_modules: Option<Option<String>>,
}

/// A batch whose rows are well formed, each in the place it came in.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub assignments: Vec<(OrganizationId, u128)>,
    pub grants: Vec<(OrganizationId, u128)>,
    pub memberships: Vec<MembershipChange>,
    pub accounts: Vec<AccountChange>,
    pub roles: Vec<RoleChange>,
    pub entitlements: Vec<(OrganizationId, ModuleKey, &'static str)>,
    pub organizations: Vec<OrganizationChange>,
}

fn standing(text: &str) -> Result<&'static str, Problem> {
    match PrincipalStatus::from_word(text) {
        Some(status @ (PrincipalStatus::Active | PrincipalStatus::Deactivated)) => Ok(status.as_str()),
        _ => Err(Problem::invalid("status", "active or deactivated is expected")),
    }
}

/// Of a membership that goes.
pub(super) const REMOVED: &str = "removed";

fn place(text: &str) -> Result<&'static str, Problem> {
    if text == REMOVED {
        return Ok(REMOVED);
    }
    standing(text).map_err(|_| Problem::invalid("status", "active, deactivated or removed is expected"))
}

fn life(text: &str) -> Result<&'static str, Problem> {
    match OrganizationStatus::from_word(text) {
        Some(status @ (OrganizationStatus::Active | OrganizationStatus::Closed)) => Ok(status.as_str()),
        _ => Err(Problem::invalid("status", "active or closed is expected")),
    }
}

fn switch(text: &str) -> Result<&'static str, Problem> {
    match text {
        "enabled" => Ok("enabled"),
        "disabled" => Ok("disabled"),
        _ => Err(Problem::invalid("status", "enabled or disabled is expected")),
    }
}

/// The batch, or what is wrong with it.
pub(super) fn read(index: &Index, changes: Changes) -> Result<Ready, Problem> {
    let sizes = [
        ("assignments", changes.assignments.len(), ROWS_MAX),
        ("grants", changes.grants.len(), ROWS_MAX),
        ("memberships", changes.memberships.len(), ROWS_MAX),
        ("accounts", changes.accounts.len(), ACCOUNTS_MAX),
        ("roles", changes.roles.len(), ROWS_MAX),
        ("entitlements", changes.entitlements.len(), ROWS_MAX),
        ("organizations", changes.organizations.len(), ROWS_MAX),
    ];
    if let Some((kind, count, most)) = sizes.iter().find(|(_, count, most)| count > most) {
        let detail = format!("at most {most} rows are taken at once, and these are {count}");
        return Err(Problem::invalid(*kind, detail));
    }
    if sizes.iter().all(|(_, count, _)| *count == 0) {
        return Err(Problem::invalid("changes", "there is none in it"));
    }
    let (mut faults, mut ready) = (Faults::default(), Ready::default());
    for (kind, list) in [("assignments", &changes.assignments), ("grants", &changes.grants)] {
        let mut seen = Once::new();
        for (place, row) in list.iter().enumerate() {
            seen.see(&mut faults, kind, place, "id", *row);
        }
    }
    (ready.assignments, ready.grants) = (changes.assignments, changes.grants);
    let mut seen = Once::new();
    for (at, it) in changes.memberships.into_iter().enumerate() {
        seen.see(&mut faults, "memberships", at, "principal", (it.organization, it.principal));
        let status = faults.note("memberships", at, "status", place(&it.status)).unwrap_or_default();
        let MembershipDraft { organization, principal, .. } = it;
        ready.memberships.push(MembershipChange { organization, principal, status });
    }
    accounts(&mut faults, &mut ready, changes.accounts);
    roles(&mut faults, &mut ready, index, changes.roles);
    let mut seen = Once::new();
    for (place, (organization, module, status)) in changes.entitlements.into_iter().enumerate() {
        seen.see(&mut faults, "entitlements", place, "module", (organization, module.clone()));
        let status = faults.note("entitlements", place, "status", switch(&status)).unwrap_or_default();
        ready.entitlements.push((organization, module, status));
    }
    organizations(&mut faults, &mut ready, changes.organizations);
    faults.none()?;
    Ok(ready)
}

fn accounts(faults: &mut Faults, ready: &mut Ready, drafts: Vec<AccountDraft>) {
    const KIND: &str = "accounts";
    let (mut ids, mut logins) = (Once::new(), Once::new());
    for (place, it) in drafts.into_iter().enumerate() {
        ids.see(faults, KIND, place, "principal", it.principal);
        let status = it.status.as_deref().and_then(|text| faults.note(KIND, place, "status", standing(text)));
        let login = it.login.as_deref();
        let login = login.and_then(|text| faults.note(KIND, place, "login", text::login("login", text)));
        if let Some(login) = &login {
            logins.see(faults, KIND, place, "login", login.clone());
        }
        let name = it.name.as_deref();
        let name = name.and_then(|text| faults.note(KIND, place, "name", text::name("name", text)));
        ready.accounts.push(AccountChange { principal: it.principal, status, login, name });
    }
}

fn roles(faults: &mut Faults, ready: &mut Ready, index: &Index, drafts: Vec<RoleChange>) {
    const KIND: &str = "roles";
    let mut seen = Once::new();
    for (place, mut it) in drafts.into_iter().enumerate() {
        seen.see(faults, KIND, place, "key", (it.organization, it.key.clone()));
        if let Some(name) = faults.note(KIND, place, "name", text::name("name", &it.name)) {
            it.name = name;
        }
        for (at, pattern) in it.permissions.iter().enumerate() {
            if index.pattern(pattern).is_empty() {
                let detail = format!("{pattern} matches no permission of the catalogue");
                faults.add(KIND, place, &format!("permissions/{at}"), detail);
            }
        }
        it.permissions.sort();
        it.permissions.dedup();
        ready.roles.push(it);
    }
}

fn organizations(faults: &mut Faults, ready: &mut Ready, drafts: Vec<OrganizationDraft>) {
    const KIND: &str = "organizations";
    let mut seen = Once::new();
    for (place, it) in drafts.into_iter().enumerate() {
        seen.see(faults, KIND, place, "organization", it.organization);
        let name = it.name.as_deref();
        let name = name.and_then(|name| faults.note(KIND, place, "name", text::name("name", name)));
        let status = it.status.as_deref().and_then(|text| faults.note(KIND, place, "status", life(text)));
        let document = it.enabled_modules.as_ref().and_then(Option::as_ref);
        if document.is_some_and(|text| text.len() > MODULES_MAX || text.contains('\0')) {
            let detail = format!("at most {MODULES_MAX} bytes without zero bytes are expected");
            faults.add(KIND, place, "enabled_modules", detail);
        }
        let OrganizationDraft { organization, enabled_modules, .. } = it;
        ready.organizations.push(OrganizationChange { organization, name, status, enabled_modules });
    }
}
