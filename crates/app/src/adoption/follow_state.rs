//! A batch of changes judged by what is there: each row is one that an earlier run of the source wrote, and people did not change it since.
//! What has to be changed comes out, with each row as it is; what is so already does not count.

use super::Run;
use super::follow_form::{AccountChange, MembershipChange, OrganizationChange, REMOVED, Ready, RoleChange};
use super::held::{self, NOWHERE, Runs};
use super::noted;
use super::waiting::waits;
use charter_db::Conn;
use charter_kernel::facts::{OrganizationKind, OrganizationStatus, PrincipalStatus};
use charter_kernel::{Key, OrganizationId, PrincipalId, Problem, Timestamp};
use charter_store as store;
use charter_store::adoption_change::{self as change, ChangeKind, RowKey, id_of, key_of};
use charter_store::adoption_removal::KeptAway;
use charter_store::{adoption_bare, adoption_held as rows, adoption_lookup as lookup};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap, HashSet};

const DEACTIVATED: &str = PrincipalStatus::Deactivated.as_str();
const ACTIVE: &str = PrincipalStatus::Active.as_str();

/// A row with its state before and after.
pub(super) type Turn = (RowKey, Value, Value);

/// What is to be done.
#[derive(Default)]
pub(super) struct Todo {
    pub assignments: Vec<(RowKey, Value)>,
    pub grants: Vec<(RowKey, Value)>,
    pub memberships: Vec<Turn>,
    /// Memberships that go.
    pub gone: Vec<(RowKey, Value)>,
    pub accounts: Vec<Turn>,
    pub roles: Vec<Turn>,
    pub entitlements: Vec<Turn>,
    pub organizations: Vec<Turn>,
    pub kept_away: Vec<KeptAway>,
}

impl Todo {
    pub fn places(&self) -> BTreeSet<OrganizationId> {
        let removed = self.assignments.iter().chain(&self.grants).chain(&self.gone).map(|((id, _), _)| *id);
        let turned =
            self.memberships.iter().chain(&self.roles).chain(&self.entitlements).chain(&self.organizations);
        let kept_away = self.kept_away.iter().map(|it| it.organization);
        removed.chain(turned.map(|((id, _), ..)| *id)).chain(kept_away).collect()
    }
}

/// Judges the batch.
pub(super) async fn judge(
    conn: &mut Conn,
    run: &Run,
    ready: &Ready,
    kept: &HashMap<String, Vec<[u8; 32]>>,
    now: Timestamp,
) -> Result<Todo, Problem> {
    let mut judging = Judging {
        runs: Runs::before(conn, &run.source, run.number).await?,
        source: &run.source,
        faults: super::form::Faults::default(),
        todo: Todo::default(),
        now,
    };
    judging.removed(conn, ready).await?;
    for (place, it) in ready.memberships.iter().enumerate() {
        judging.membership(conn, place, it).await?;
    }
    judging.accounts(conn, &ready.accounts, kept).await?;
    for (place, it) in ready.roles.iter().enumerate() {
        judging.role(conn, place, it).await?;
    }
    for (place, (organization, module, status)) in ready.entitlements.iter().enumerate() {
        judging.entitlement(conn, place, *organization, module, status).await?;
    }
    for (place, it) in ready.organizations.iter().enumerate() {
        judging.organization(conn, place, it).await?;
    }
    super::removal::judge(conn, &ready.kept_away, &mut judging.faults).await?;
    judging.todo.kept_away = ready.kept_away.clone();
    judging.faults.none()?;
    Ok(judging.todo)
}

struct Judging<'a> {
    runs: Runs,
    source: &'a Key,
    faults: super::form::Faults,
    todo: Todo,
    now: Timestamp,
}

/// What is told of a row that somebody changed here since.
const BY_PEOPLE: &str = "was changed here since a run wrote it: it stays as people left it";

/// A state with other values in it, as changed now.
fn turned(before: &Value, now: Timestamp, fields: &[(&str, Value)]) -> Value {
    let mut after = before.clone();
    if let Some(after) = after.as_object_mut() {
        let stamp = if after.contains_key("changed_at") { "changed_at" } else { "updated_at" };
        after.insert(stamp.to_owned(), now.micros().into());
        for (field, value) in fields {
            after.insert((*field).to_owned(), value.clone());
        }
    }
    after
}

impl Judging<'_> {
    fn no_row(&mut self, kind: &str, place: usize, field: &str) {
        let detail = format!("is no row that a run of {} before this one wrote", self.source);
        self.faults.add(kind, place, field, detail);
    }

    async fn removed(&mut self, conn: &mut Conn, ready: &Ready) -> Result<(), Problem> {
        for (kind, list) in [("assignments", &ready.assignments), ("grants", &ready.grants)] {
            for (place, (_, id)) in list.iter().enumerate() {
                if !self.runs.made(*id) {
                    self.no_row(kind, place, "id");
                }
            }
        }
        let keys = |list: &[(OrganizationId, u128)]| -> Vec<RowKey> {
            list.iter().map(|(organization, id)| (*organization, key_of(*id))).collect()
        };
        // One that is not there any more was removed already, by this run or by people.
        for (organization, row) in change::assignments(conn, &keys(&ready.assignments)).await? {
            if let Some(before) = noted::of_assignment(&row) {
                self.todo.assignments.push((change::of_assignment(organization, &row.assignment), before));
            }
        }
        for (organization, row) in change::grants(conn, &keys(&ready.grants)).await? {
            if let Some(before) = noted::of_grant(&row) {
                self.todo.grants.push((change::of_grant(organization, &row), before));
            }
        }
        Ok(())
    }

    async fn membership(
        &mut self,
        conn: &mut Conn,
        place: usize,
        it: &MembershipChange,
    ) -> Result<(), Problem> {
        const KIND: &str = "memberships";
        let (organization, who) = (it.organization, it.principal);
        let row = (organization, key_of(who.0));
        let found = rows::member(conn, organization, who).await?;
        let Some(found) = found else {
            // One that goes went already.
            if it.status != REMOVED {
                self.no_row(KIND, place, "principal");
            }
            return Ok(());
        };
        let runs = &self.runs.numbers;
        let is_recorded = !rows::recorded_members(conn, runs, organization, (who, who)).await?.is_empty();
        let wrote = if is_recorded { Vec::new() } else { rows::wrote_into(conn, runs, organization).await? };
        if !is_recorded && !self.runs.made_with(who, found.times, &wrote) {
            self.no_row(KIND, place, "principal");
            return Ok(());
        }
        if found.status.as_str() == it.status {
            return Ok(());
        }
        let notes = held::notes(conn, ChangeKind::Membership, std::slice::from_ref(&row)).await?;
        let (is, at) = (found.status.as_str(), found.times.updated_at);
        if it.status == ACTIVE && waits(&self.runs, ChangeKind::Membership, notes.get(&row), is, at) {
            return Ok(());
        }
        if it.status == REMOVED {
            // Assignments and grants of runs went before.
            let more = adoption_bare::with_more(conn, organization, (who, who), 0).await?;
            let is_settled = held::is_settled(found.times, notes.get(&row));
            let state = adoption_bare::get(conn, organization, who).await?;
            match state.filter(|_| more.is_empty() && is_settled && found.is_plain && self.runs.made(who.0)) {
                Some(state) => self.todo.gone.push((row, noted::of_membership(&state))),
                None => self.faults.add(KIND, place, "status", "people made more of it: it stays"),
            }
            return Ok(());
        }
        if it.status != DEACTIVATED && !held::is_settled(found.times, notes.get(&row)) {
            self.faults.add(KIND, place, "status", BY_PEOPLE);
            return Ok(());
        }
        let Some(before) = noted::read(conn, self.source, ChangeKind::Membership, &row).await? else {
            return Ok(());
        };
        let is_told =
            found.status == PrincipalStatus::Active || held::is_settled(found.times, notes.get(&row));
        let after =
            turned(&before, self.now, &[("status", it.status.into()), ("status_told", is_told.into())]);
        self.todo.memberships.push((row, before, after));
        Ok(())
    }

    async fn accounts(
        &mut self,
        conn: &mut Conn,
        changes: &[AccountChange],
        kept: &HashMap<String, Vec<[u8; 32]>>,
    ) -> Result<(), Problem> {
        const KIND: &str = "accounts";
        for (place, it) in changes.iter().enumerate() {
            let held = rows::accounts_of(conn, self.source, &[it.principal]).await?;
            // One that another source has as well may only act again, where a run of this one stopped it.
            let is_again = it.status == Some(ACTIVE) && it.login.is_none() && it.name.is_none();
            let may =
                |held: &&rows::HeldAccount| self.runs.made(held.principal.0) && (!held.is_shared || is_again);
            let Some(held) = held.first().filter(may) else {
                self.no_row(KIND, place, "principal");
                continue;
            };
            let row = (NOWHERE, key_of(it.principal.0));
            let notes = held::notes(conn, ChangeKind::Account, std::slice::from_ref(&row)).await?;
            let is_settled = held::is_status_settled(held, notes.get(&row));
            let mut fields = Vec::new();
            // What people stopped stays stopped by them, whatever a run says after.
            let status_told = is_settled || held.status == PrincipalStatus::Active;
            if let Some(status) = it.status.filter(|status| *status != held.status.as_str()) {
                let (is, at) = (held.status.as_str(), held.times.updated_at);
                if status == ACTIVE && waits(&self.runs, ChangeKind::Account, notes.get(&row), is, at) {
                    continue;
                }
                if status != DEACTIVATED && !(held.status == PrincipalStatus::Deactivated && is_settled) {
                    self.faults.add(KIND, place, "status", BY_PEOPLE);
                    continue;
                }
                fields.push(("status", Value::from(status)));
            }
            let (login, name) =
                (it.login.as_ref().unwrap_or(&held.login), it.name.as_ref().unwrap_or(&held.name));
            if *login != held.login || *name != held.name {
                if !held::is_name_settled(&self.runs, held) {
                    self.faults.add(KIND, place, "login", BY_PEOPLE);
                    continue;
                }
                fields.push(("login", login.as_str().into()));
                fields.push(("name", name.as_str().into()));
                fields.push(("told_sum", held::told_sum(login, name).into()));
                if *login != held.login {
                    // Nobody has proved to read mail at the new one.
                    fields.push(("email_verified_at", Value::Null));
                }
            }
            if fields.is_empty() {
                continue;
            }
            fields.push(("status_told", status_told.into()));
            let Some(before) = noted::read(conn, self.source, ChangeKind::Account, &row).await? else {
                continue;
            };
            let after = turned(&before, self.now, &fields);
            self.todo.accounts.push((row, before, after));
        }
        self.free(conn, changes, kept).await
    }

    /// Whether the logins that accounts come to are free: nobody else's, and not kept for whoever gave them up.
    async fn free(
        &mut self,
        conn: &mut Conn,
        changes: &[AccountChange],
        kept: &HashMap<String, Vec<[u8; 32]>>,
    ) -> Result<(), Problem> {
        let turns: HashSet<PrincipalId> = self
            .todo
            .accounts
            .iter()
            .filter(|(_, before, after)| before.get("login") != after.get("login"))
            .filter_map(|((_, key), ..)| id_of(key).map(PrincipalId))
            .collect();
        let wanted: Vec<String> = changes
            .iter()
            .filter(|it| turns.contains(&it.principal))
            .filter_map(|it| it.login.clone())
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let taken = lookup::logins(conn, &wanted).await?;
        let taken: HashMap<&str, PrincipalId> = taken.iter().map(|it| (it.login.as_str(), it.id)).collect();
        let hashes: Vec<[u8; 32]> =
            wanted.iter().filter_map(|login| kept.get(login)).flatten().copied().collect();
        let given_up = lookup::kept(conn, &hashes, self.now).await?;
        for (place, it) in changes.iter().enumerate().filter(|(_, it)| turns.contains(&it.principal)) {
            let Some(login) = &it.login else { continue };
            if let Some(other) = taken.get(login.as_str()).filter(|other| !turns.contains(other)) {
                let detail = format!("an account has the login {login} already: {other}");
                self.faults.add("accounts", place, "login", detail);
            }
            let hashes = kept.get(login).map(Vec::as_slice).unwrap_or_default();
            let until = given_up.iter().find(|(hash, who, _)| hashes.contains(hash) && *who != it.principal);
            if let Some((_, _, until)) = until {
                let detail = format!("it was given up lately and is kept for its owner until {until}");
                self.faults.add("accounts", place, "login", detail);
            }
        }
        Ok(())
    }

    async fn role(&mut self, conn: &mut Conn, place: usize, it: &RoleChange) -> Result<(), Problem> {
        const KIND: &str = "roles";
        let row = (it.organization, it.key.to_string());
        let found = rows::recorded_roles(conn, &self.runs.numbers, it.organization).await?;
        let Some(role) = found.into_iter().find(|role| role.key == it.key) else {
            self.no_row(KIND, place, "key");
            return Ok(());
        };
        let is_platform = lookup::organizations(conn, &[it.organization]).await?;
        let is_platform = is_platform.first().is_some_and(|it| it.kind == OrganizationKind::Platform);
        if !is_platform && it.permissions.iter().any(|pattern| pattern.as_str() == "*") {
            self.faults.add(KIND, place, "permissions", "a lone * reaches the platform: use *.*.*");
            return Ok(());
        }
        let Some(before) = noted::read(conn, self.source, ChangeKind::Role, &row).await? else {
            return Ok(());
        };
        let lines: Vec<Value> = it
            .permissions
            .iter()
            .map(|line| json!({ "pattern": line.as_str(), "condition": null }))
            .collect();
        let after = turned(&before, self.now, &[("lines", lines.into()), ("name", it.name.as_str().into())]);
        if noted::is_same(ChangeKind::Role, &before, &after) {
            return Ok(());
        }
        let notes = held::notes(conn, ChangeKind::Role, std::slice::from_ref(&row)).await?;
        if !held::is_role_settled(&role, notes.get(&row)) {
            self.faults.add(KIND, place, "key", BY_PEOPLE);
            return Ok(());
        }
        self.todo.roles.push((row, before, after));
        Ok(())
    }

    async fn entitlement(
        &mut self,
        conn: &mut Conn,
        place: usize,
        organization: OrganizationId,
        module: &Key,
        status: &'static str,
    ) -> Result<(), Problem> {
        const KIND: &str = "entitlements";
        let row = (organization, module.to_string());
        let found = rows::recorded_modules(conn, &self.runs.numbers, organization).await?;
        let Some((found, is_written)) = found.into_iter().find(|(it, _)| it.module == *module) else {
            self.no_row(KIND, place, "module");
            return Ok(());
        };
        if found.status == status {
            return Ok(());
        }
        let notes = held::notes(conn, ChangeKind::Entitlement, std::slice::from_ref(&row)).await?;
        if !held::is_module_settled(&found, is_written, notes.get(&row)) {
            self.faults.add(KIND, place, "status", BY_PEOPLE);
            return Ok(());
        }
        let Some(before) = noted::read(conn, self.source, ChangeKind::Entitlement, &row).await? else {
            return Ok(());
        };
        let version = found.row_version + 1;
        let fields =
            [("status", status.into()), ("row_version", version.into()), ("changed_by", Value::Null)];
        let after = turned(&before, self.now, &fields);
        self.todo.entitlements.push((row, before, after));
        Ok(())
    }

    async fn organization(
        &mut self,
        conn: &mut Conn,
        place: usize,
        it: &OrganizationChange,
    ) -> Result<(), Problem> {
        const KIND: &str = "organizations";
        let row = (it.organization, String::new());
        let found = store::organization::get(conn, it.organization).await?;
        let is_own = held::is_own_organization(conn, self.source, it.organization).await?;
        let (Some(found), true) = (found, is_own) else {
            self.no_row(KIND, place, "organization");
            return Ok(());
        };
        let notes = held::notes(conn, ChangeKind::Organization, std::slice::from_ref(&row)).await?;
        let is = found.organization.status.as_str();
        let waits = waits(&self.runs, ChangeKind::Organization, notes.get(&row), is, found.updated_at);
        let mut fields = Vec::new();
        if let Some(name) = it.name.as_ref().filter(|name| **name != found.organization.name) {
            fields.push(("name", Value::from(name.as_str())));
        }
        let closes = it.status == Some(OrganizationStatus::Closed.as_str());
        let turns = |status: &&str| *status != is && (closes || !waits);
        if let Some(status) = it.status.filter(turns) {
            fields.push(("status", status.into()));
        }
        if let Some(modules) =
            it.enabled_modules.as_ref().filter(|it| **it != found.organization.enabled_modules)
        {
            fields.push(("enabled_modules", modules.clone().into()));
        }
        if fields.is_empty() {
            return Ok(());
        }
        let times = rows::Times { created_at: found.created_at, updated_at: found.updated_at };
        // What is closed there is closed here, whoever changed what about it.
        let is_settled = held::is_settled(times, notes.get(&row));
        if !(is_settled || (closes && fields.len() == 1)) {
            self.faults.add(KIND, place, "organization", BY_PEOPLE);
            return Ok(());
        }
        let is_told = is_settled || found.organization.status == OrganizationStatus::Active;
        fields.push(("status_told", is_told.into()));
        let Some(before) = noted::read(conn, self.source, ChangeKind::Organization, &row).await? else {
            return Ok(());
        };
        let after = turned(&before, self.now, &fields);
        self.todo.organizations.push((row, before, after));
        Ok(())
    }
}
