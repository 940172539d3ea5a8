//! What stands by earlier runs of a source, set beside the facts: it comes in page by page, organization by organization. What people did here
//! stays, and is told.
//!
//! The id of a row says what it is of, whichever run wrote it: its lower bits are those that the row would have in this run. So one that is
//! still wanted is known by them, and is not written a second time.

use crate::change::{
    ACTIVE, AccountChange, CLOSED, Changes, DEACTIVATED, Held, HeldAccount, HeldMember, HeldOrganization,
    MembershipChange, ModuleChange, OrganizationChange, REMOVED, Removed, RoleChange, lower,
};
use crate::facts::LegacyUser;
use crate::named::Named;
use crate::plan::more;
use crate::removals::Removals;
use crate::rows::{EntitlementRow, Making, OrganizationRow, RoleRow, Rows};
use crate::rules::is_open;
use charter_kernel::facts::{OrganizationStatus, PrincipalStatus};
use charter_kernel::{AssignmentId, GrantId, OrganizationId, PrincipalId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Differences of one kind that are told one by one.
const TOLD_MAX: usize = 5;
const SUSPENDED: &str = PrincipalStatus::Suspended.as_str();
/// What is told of accounts that nobody here lets act, and whose users would have rights.
pub const STOPPED_HERE: &str = "accounts are deactivated or suspended here and may sign in there: activate them here when all they have may act \
                                again, or stop them there";
/// What is told of organizations that people closed here and that are open there.
pub const CLOSED_HERE: &str =
    "organizations were closed or suspended here and are active there: open them here, or close them there";
const OPEN: &str = OrganizationStatus::Active.as_str();

/// A login or a name as it is kept here; none where it can be none.
pub type Word = fn(&str) -> Option<String>;

/// What people did here that a run leaves alone, by what is told of it, each by name.
type Told = BTreeMap<&'static str, Vec<String>>;

/// Sets what stands beside the facts.
pub struct Following<'a> {
    making: Making<'a>,
    /// Accounts of users, by the places of these in the facts.
    principals: Vec<u128>,
    /// Those places, in the order of the accounts.
    order: Vec<u32>,
    /// Organizations, by their ids there.
    places: HashMap<String, u32>,
    roles: HashMap<(String, String), RoleRow>,
    modules: HashMap<(String, String), &'static str>,
    login: Word,
    name: Word,
    changes: Changes,
    /// Accounts that act on though their users may not sign in there, until what runs gave them is taken away: with their logins.
    going_on: HashMap<u128, String>,
    removals: Removals,
    stopping: Told,
    left: Told,
}

fn tell(told: &mut Told, what: &'static str, whom: impl FnOnce() -> String) {
    told.entry(what).or_default().push(whom());
}

fn words(told: &Told) -> Vec<String> {
    let line = |(what, named): (&&str, &Vec<String>)| {
        let first = named.get(..named.len().min(TOLD_MAX)).unwrap_or_default();
        format!("{what} ({}{})", first.join(", "), more(named.len() as u64, first.len()))
    };
    told.iter().map(line).collect()
}

fn one_by_one<'t>(word: &'static str, told: &'t Told) -> impl Iterator<Item = Named> + use<'t> {
    told.iter().flat_map(move |(why, named)| named.iter().map(move |who| Named::why(word, who, why)))
}

impl<'a> Following<'a> {
    /// Begins; `login` and `name` are how Charter keeps them.
    #[must_use]
    pub fn new(making: Making<'a>, login: Word, name: Word) -> Self {
        let facts = making.source().facts;
        let principals: Vec<u128> = facts.users.iter().map(|user| making.principal(user.id).0).collect();
        let mut order: Vec<u32> = (0..principals.len()).filter_map(|at| u32::try_from(at).ok()).collect();
        let of = |at: &u32| principals.get(*at as usize).copied().unwrap_or(0);
        order.sort_unstable_by_key(of);
        let frame = making.frame();
        let role = |row: RoleRow| ((row.organization.clone(), row.key.clone()), row);
        let module = |row: EntitlementRow| ((row.organization, row.module), row.status);
        let legacy_ids = making.organizations().iter().map(|row| row.legacy_id.clone());
        Self {
            places: legacy_ids.zip(0..).collect(),
            roles: frame.roles.into_iter().map(role).collect(),
            modules: frame.entitlements.into_iter().map(module).collect(),
            making,
            principals,
            order,
            login,
            name,
            changes: Changes::default(),
            going_on: HashMap::new(),
            removals: Removals::default(),
            stopping: Told::new(),
            left: Told::new(),
        }
    }

    /// The rows of the facts in which an account stands.
    fn rows_of(&self, principal: PrincipalId) -> impl Iterator<Item = u32> + use<'_, 'a> {
        let of = |at: &u32| self.principals.get(*at as usize).copied().unwrap_or(0);
        let from = self.order.partition_point(|at| of(at) < principal.0);
        let rest = self.order.get(from..).unwrap_or_default().iter();
        rest.copied().take_while(move |at| of(at) == principal.0)
    }

    fn users(&self, principal: PrincipalId) -> Vec<LegacyUser<'a>> {
        let users = &self.making.source().facts.users;
        self.rows_of(principal).filter_map(|at| users.get(at as usize)).collect()
    }

    /// Takes an account.
    pub fn account(&mut self, held: &HeldAccount) {
        let users = self.users(held.principal);
        let is_active = users.iter().any(|user| user.is_active);
        let login = users.first().and_then(|user| (self.login)(user.login));
        let name = users.first().map(|user| if user.name.is_empty() { user.login } else { user.name });
        let name = name.and_then(self.name);
        let login = login.filter(|login| *login != held.login);
        let name = name.filter(|name| *name != held.name);
        if !held.own {
            if login.is_some() {
                let what = "accounts that were here before have another login there now, and keep theirs";
                tell(&mut self.left, what, || held.login.clone());
            }
            self.not_own(held, &users);
            return;
        }
        let mut change = AccountChange {
            principal: held.principal,
            status: None,
            login: None,
            name: None,
            login_before: held.login.clone(),
        };
        match (is_active, if held.waits { ACTIVE } else { held.status.as_str() }) {
            (false, DEACTIVATED) | (true, ACTIVE) => {}
            (false, _) => change.status = Some(DEACTIVATED),
            (true, DEACTIVATED) if held.status_settled => change.status = Some(ACTIVE),
            (true, _) => {
                let what = "accounts were deactivated or suspended here and may sign in there: activate them here, or stop them there";
                tell(&mut self.stopping, what, || held.login.clone());
            }
        }
        if login.is_some() || name.is_some() {
            if held.name_settled {
                (change.login, change.name) = (login, name);
            } else {
                let what = "accounts have a login or name that was changed here, and keep it";
                tell(&mut self.left, what, || held.login.clone());
            }
        }
        if change.status.is_some() || change.login.is_some() || change.name.is_some() {
            self.changes.accounts.push(change);
        }
    }

    /// Takes an account that was here before the source's runs, or that another source has as well: it goes on whatever this one says, and acts
    /// again only where a run of this one stopped it.
    fn not_own(&mut self, held: &HeldAccount, users: &[LegacyUser<'_>]) {
        let is_active = users.iter().any(|user| user.is_active);
        if self.making.source().known.is_own(held.principal) {
            // A run that is under way brought it.
            return;
        }
        match (is_active, held.status.as_str()) {
            (true, ACTIVE) => {}
            (false, ACTIVE) => {
                self.going_on.insert(held.principal.0, held.login.clone());
            }
            (false, _) => {}
            (true, DEACTIVATED) if held.status_settled && self.making.source().known.made(held.principal) => {
                self.changes.accounts.push(AccountChange {
                    principal: held.principal,
                    status: Some(ACTIVE),
                    login: None,
                    name: None,
                    login_before: held.login.clone(),
                });
            }
            (true, _) => {
                let mut rows = Rows::default();
                users.iter().for_each(|user| self.making.member(*user, &mut rows));
                if !rows.assignments.is_empty() || !rows.grants.is_empty() {
                    tell(&mut self.stopping, STOPPED_HERE, || held.login.clone());
                }
            }
        }
    }

    /// Takes what stands in an organization, a page of its members; `place` is where it stands in the facts, if it still does.
    pub fn organization(&mut self, id: OrganizationId, place: Option<u32>, held: &Held, is_first: bool) {
        if is_first {
            self.itself(id, place, &held.organization);
            self.roles(id, held);
            self.modules(id, place, held);
            self.removals.add(id, &held.removed);
        }
        for member in &held.members {
            self.member(id, member);
        }
    }

    fn row(&self, place: Option<u32>) -> Option<&OrganizationRow> {
        self.making.organizations().get(place? as usize)
    }

    fn itself(&mut self, id: OrganizationId, place: Option<u32>, held: &HeldOrganization) {
        if !held.own {
            return;
        }
        let facts = self.making.source().facts;
        let is_open = place.is_some_and(|place| is_open(facts, place));
        let row = self.row(place).cloned();
        let mut change = OrganizationChange {
            organization: id,
            name: None,
            status: None,
            enabled_modules: None,
            modules_before: held.enabled_modules.clone(),
            name_before: held.name.clone(),
            was_closed: held.status == CLOSED,
        };
        match (is_open, if held.waits { OPEN } else { held.status.as_str() }) {
            (false, CLOSED) | (true, OPEN) => {}
            (false, _) => change.status = Some(CLOSED),
            (true, CLOSED) if held.settled => change.status = Some(OPEN),
            (true, _) => {
                tell(&mut self.stopping, CLOSED_HERE, || held.name.clone());
            }
        }
        if let Some(row) = row {
            let name = (self.name)(&row.name).filter(|name| *name != held.name);
            let modules = Some(row.enabled_modules).filter(|modules| *modules != held.enabled_modules);
            if held.settled {
                (change.name, change.enabled_modules) = (name, modules);
            } else if name.is_some() || modules.is_some() {
                let what = "organizations were changed here, and keep their name and document of modules";
                tell(&mut self.left, what, || held.name.clone());
            }
        }
        if change.name.is_some() || change.status.is_some() || change.enabled_modules.is_some() {
            self.changes.organizations.push(change);
        }
    }

    fn roles(&mut self, id: OrganizationId, held: &Held) {
        for role in &held.roles {
            let Some(wanted) = self.roles.get(&(id.to_string(), role.key.clone())) else { continue };
            let is: BTreeSet<&str> = role.permissions.iter().map(String::as_str).collect();
            let ought: BTreeSet<&str> = wanted.permissions.iter().map(String::as_str).collect();
            let name = (self.name)(&wanted.name).unwrap_or_else(|| role.name.clone());
            if is == ought && name == role.name && !role.extended {
                continue;
            }
            if !role.settled || role.extended {
                let what = "roles were changed here and allow something else there: change them back, or give them another name";
                tell(&mut self.stopping, what, || format!("{} of {}", role.key, held.organization.name));
                continue;
            }
            self.changes.roles.push(RoleChange {
                organization: id,
                key: role.key.clone(),
                name,
                permissions: wanted.permissions.clone(),
                gains: ought.difference(&is).map(|pattern| (*pattern).to_owned()).collect(),
            });
        }
    }

    fn modules(&mut self, id: OrganizationId, place: Option<u32>, held: &Held) {
        let facts = self.making.source().facts;
        if !place.is_some_and(|place| is_open(facts, place)) {
            return;
        }
        for module in &held.modules {
            let wanted = self.modules.get(&(id.to_string(), module.module.clone())).copied();
            let Some(status) = wanted.filter(|wanted| *wanted != module.status) else { continue };
            if module.settled {
                self.changes.modules.push(ModuleChange {
                    organization: id,
                    module: module.module.clone(),
                    status,
                });
            } else {
                let what = "modules were switched here and stand otherwise there: switch them back, or there";
                tell(&mut self.stopping, what, || format!("{} of {}", module.module, held.organization.name));
            }
        }
    }

    fn member(&mut self, id: OrganizationId, held: &HeldMember) {
        let own = id.to_string();
        let mut rows = Rows::default();
        let users = self.users(held.principal);
        for user in &users {
            self.making.member(*user, &mut rows);
        }
        let bits = |id: &str| id.parse::<OrganizationId>().map_or(0, |id| lower(id.0));
        let here = |organization: &String| *organization == own;
        let assignments: BTreeSet<u64> =
            rows.assignments.iter().filter(|row| here(&row.organization)).map(|row| bits(&row.id)).collect();
        let grants: BTreeSet<u64> =
            rows.grants.iter().filter(|row| here(&row.organization)).map(|row| bits(&row.id)).collect();
        let mut is_less = false;
        for (AssignmentId(row), role) in &held.assignments {
            self.removals.stands(*row);
            if assignments.contains(&lower(*row)) {
                self.changes.kept.add(*row);
            } else {
                is_less = true;
                self.changes.assignments.push(Removed { id: *row, organization: id });
                *self.changes.by_role.entry(role.clone()).or_default() += 1;
            }
        }
        for (GrantId(row), _) in &held.grants {
            self.removals.stands(*row);
            if grants.contains(&lower(*row)) {
                self.changes.kept.add(*row);
            } else {
                is_less = true;
                self.changes.grants.push(Removed { id: *row, organization: id });
            }
        }
        let wanted = rows.memberships.iter().find(|row| here(&row.organization)).map(|row| row.status);
        let is_wanted = wanted == Some(ACTIVE);
        // One that came with its account stops with it, unless the account goes on.
        let known = self.making.source().known;
        let is_ours = held.recorded || held.with_account;
        if wanted.is_none() && held.bare && is_ours && known.is_own(held.principal) && !users.is_empty() {
            // Its user is somewhere else by now.
            self.begins(id, held.principal, REMOVED);
            return;
        }
        let ends_alone = held.recorded || (held.with_account && known.shared.contains(&held.principal));
        // One that people ended by a date is none that stands, nor one that a run lets in again.
        let in_time = !held.out_of_time;
        match (is_wanted, if held.waits { ACTIVE } else { held.status.as_str() }) {
            (true, ACTIVE) if in_time => {}
            (false, DEACTIVATED) => {}
            (true, DEACTIVATED) if is_ours && held.settled && in_time => {
                self.begins(id, held.principal, ACTIVE);
            }
            (true, _) => {
                let what = "memberships were ended or suspended here, by hand or by a date, and stand there: let them in again here, or end them there";
                let login = users.first().map(|user| user.login.to_owned());
                tell(&mut self.stopping, what, || login.unwrap_or_else(|| held.principal.to_string()));
            }
            (false, ACTIVE | SUSPENDED) if ends_alone => {
                is_less = true;
                self.begins(id, held.principal, DEACTIVATED);
            }
            (false, _) => {}
        }
        if is_less && let Some(login) = self.going_on.remove(&held.principal.0) {
            let what = "accounts that were here before, or that another system has as well, may not sign in there: they lose what runs gave for \
                        it and act on; deactivate those that nobody else lets in";
            tell(&mut self.left, what, || login);
        }
    }

    fn begins(&mut self, organization: OrganizationId, principal: PrincipalId, status: &'static str) {
        self.changes.memberships.push(MembershipChange { organization, principal, status });
    }

    /// What people removed of what runs gave, as far as it was told.
    pub fn removals(&mut self) -> Removals {
        std::mem::take(&mut self.removals)
    }

    /// Ends: what is changed, what keeps the plan from being carried out, and what stays otherwise here.
    #[must_use]
    pub fn end(mut self) -> (Changes, Vec<String>, Vec<String>) {
        // An account may be of two users there, one of whom is gone.
        self.changes.accounts.sort_by_key(|it| it.principal.0);
        self.changes.accounts.dedup_by_key(|it| it.principal.0);
        self.changes.memberships.sort_by_key(|it| (it.organization, it.principal.0));
        self.changes.kept.close();
        self.changes.told =
            one_by_one("stops", &self.stopping).chain(one_by_one("left", &self.left)).collect();
        (self.changes, words(&self.stopping), words(&self.left))
    }

    /// Where an organization of the other system stands in the facts.
    #[must_use]
    pub fn place(&self, legacy_id: &str) -> Option<u32> {
        self.places.get(legacy_id).copied()
    }
}
