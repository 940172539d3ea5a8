//! A batch of changes of a run: what runs of the source before it wrote and the other system wants no more, or otherwise. One transaction: all
//! of it or nothing, each row noted as it was. A row that no such run wrote is refused, and so is the whole batch.
//!
//! What takes away is carried out within the call before what gives, and an account that is to act again waits for the proof of the run.

use super::follow_form::{AccountChange, Changes, MembershipChange, OrganizationChange, Ready, RoleChange};
use super::held::{self, NOWHERE, Runs};
use super::noted;
use super::{Run, applying, event, hold, require_operator};
use crate::App;
use crate::audit::hex;
use crate::caller::RequestContext;
use crate::entitlement::{Cause, Entry, Origin, actor_text, append_events};
use crate::identity::oauth::consent;
use crate::identity::session;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::facts::{OrganizationKind, OrganizationStatus, PrincipalStatus};
use charter_kernel::{Key, OrganizationId, PrincipalId, Problem, SessionId, Timestamp};
use charter_store as store;
use charter_store::adoption_change::{self as change, ChangeKind, RowKey, id_of, key_of};
use charter_store::{adoption_held as rows, adoption_lookup as lookup, adoption_row};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

const DEACTIVATED: &str = PrincipalStatus::Deactivated.as_str();
const SUSPENDED: &str = PrincipalStatus::Suspended.as_str();
const ACTIVE: &str = PrincipalStatus::Active.as_str();

/// How many rows of each kind were changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[expect(missing_docs, reason = "each field counts changes of the kind it names")]
pub struct Followed {
    pub assignments: u64,
    pub grants: u64,
    pub memberships: u64,
    pub accounts: u64,
    pub roles: u64,
    pub entitlements: u64,
    pub organizations: u64,
}

/// A row with its state before and after.
type Turn = (RowKey, Value, Value);

/// What is to be done.
#[derive(Default)]
struct Todo {
    assignments: Vec<(RowKey, Value)>,
    grants: Vec<(RowKey, Value)>,
    memberships: Vec<Turn>,
    accounts: Vec<Turn>,
    roles: Vec<Turn>,
    entitlements: Vec<Turn>,
    organizations: Vec<Turn>,
}

impl Todo {
    fn places(&self) -> BTreeSet<OrganizationId> {
        let removed = self.assignments.iter().chain(&self.grants).map(|((id, _), _)| *id);
        let turned =
            self.memberships.iter().chain(&self.roles).chain(&self.entitlements).chain(&self.organizations);
        removed.chain(turned.map(|((id, _), ..)| *id)).collect()
    }
}

/// What a call leaves to be done in memory, and is told of.
#[derive(Default)]
struct Aftermath {
    touched: Vec<OrganizationId>,
    ended: Vec<SessionId>,
    events: Vec<AuditEvent>,
}

/// Carries a batch of changes of a run out.
pub async fn follow(
    app: &App,
    ctx: &RequestContext,
    number: u64,
    holder: u128,
    changes: Changes,
) -> Result<Followed, Problem> {
    require_operator(ctx)?;
    let index = app.snapshots().index();
    let ready = super::follow_form::read(&index, changes)?;
    let pepper = app.identity().pepper();
    let logins = ready.accounts.iter().filter_map(|it| it.login.as_ref());
    let kept: HashMap<String, Vec<[u8; 32]>> =
        logins.map(|login| (login.clone(), pepper.every_email(login))).collect();
    let sum = hex(&Sha256::digest(format!("{ready:?}")));
    let (now, platform) = (app.now(), app.platform());
    let ctx = RequestContext { now, ..ctx.clone() };
    let ((followed, aftermath), _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                hold(tx, holder, now).await?;
                let run = applying(tx, number).await?;
                let todo = judge(tx, &run, &ready, &kept, now).await?;
                let (followed, mut aftermath) = carry_out(tx, &ctx, &run, platform, todo).await?;
                let after = json!({ "changed": followed, "sha256": sum });
                let told = event(&ctx, platform, "adoption.follow", number, after);
                let more = std::mem::take(&mut aftermath.events);
                transaction.commit(told, more, (followed, aftermath)).await
            }) as BoxFuture<'_, Result<Committed<(Followed, Aftermath)>, Problem>>
        })
        .await?;
    session::forget(app, &aftermath.ended);
    for organization in aftermath.touched {
        app.snapshots().forget(organization);
    }
    app.snapshots().forget(platform);
    Ok(followed)
}

async fn judge(
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
        let recorded = rows::recorded_members(conn, &self.runs.numbers, organization, (who, who)).await?;
        let row = (organization, key_of(who.0));
        let found = rows::member(conn, organization, who).await?;
        let (Some(found), false) = (found, recorded.is_empty()) else {
            self.no_row(KIND, place, "principal");
            return Ok(());
        };
        if found.status.as_str() == it.status {
            return Ok(());
        }
        let notes = held::notes(conn, ChangeKind::Membership, std::slice::from_ref(&row)).await?;
        if it.status != DEACTIVATED && !held::is_settled(found.times, notes.get(&row)) {
            self.faults.add(KIND, place, "status", BY_PEOPLE);
            return Ok(());
        }
        let Some(before) = noted::read(conn, self.source, ChangeKind::Membership, &row).await? else {
            return Ok(());
        };
        let after = turned(&before, self.now, &[("status", it.status.into())]);
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
            let Some(held) = held.first().filter(|it| self.runs.made(it.principal.0) && !it.is_shared) else {
                self.no_row(KIND, place, "principal");
                continue;
            };
            let row = (NOWHERE, key_of(it.principal.0));
            let notes = held::notes(conn, ChangeKind::Account, std::slice::from_ref(&row)).await?;
            let is_settled = held::is_status_settled(held, notes.get(&row));
            let mut fields = Vec::new();
            let mut status_told = is_settled;
            if let Some(status) = it.status.filter(|status| *status != held.status.as_str()) {
                let waits = status == ACTIVE
                    && held.status == PrincipalStatus::Suspended
                    && notes.get(&row).is_some_and(|note| is_reopened(&note.before, note.after.as_deref()));
                if waits {
                    continue;
                }
                if status != DEACTIVATED && !(held.status == PrincipalStatus::Deactivated && is_settled) {
                    self.faults.add(KIND, place, "status", BY_PEOPLE);
                    continue;
                }
                fields.push(("status", Value::from(status)));
                status_told = true;
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
        let Some((_, times)) = found.into_iter().find(|(key, _)| *key == it.key) else {
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
        if !held::is_settled(times, notes.get(&row)) {
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
        let Some(found) = found.into_iter().find(|it| it.module == *module) else {
            self.no_row(KIND, place, "module");
            return Ok(());
        };
        if found.status == status {
            return Ok(());
        }
        let notes = held::notes(conn, ChangeKind::Entitlement, std::slice::from_ref(&row)).await?;
        if !held::is_module_settled(&found, notes.get(&row)) {
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
        let mut fields = Vec::new();
        if let Some(name) = it.name.as_ref().filter(|name| **name != found.organization.name) {
            fields.push(("name", Value::from(name.as_str())));
        }
        let closes = it.status == Some(OrganizationStatus::Closed.as_str());
        if let Some(status) = it.status.filter(|status| *status != found.organization.status.as_str()) {
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
        let notes = held::notes(conn, ChangeKind::Organization, std::slice::from_ref(&row)).await?;
        let times = rows::Times { created_at: found.created_at, updated_at: found.updated_at };
        // What is closed there is closed here, whoever changed what about it.
        if !(closes && fields.len() == 1) && !held::is_settled(times, notes.get(&row)) {
            self.faults.add(KIND, place, "organization", BY_PEOPLE);
            return Ok(());
        }
        let Some(before) = noted::read(conn, self.source, ChangeKind::Organization, &row).await? else {
            return Ok(());
        };
        let after = turned(&before, self.now, &fields);
        self.todo.organizations.push((row, before, after));
        Ok(())
    }
}

/// Whether a note says that an account is to act again.
pub(super) fn is_reopened(before: &str, after: Option<&str>) -> bool {
    let status = |text: &str| {
        let value: Option<Value> = serde_json::from_str(text).ok();
        value.and_then(|value| value.get("status").and_then(Value::as_str).map(str::to_owned))
    };
    status(before).as_deref() != Some(ACTIVE) && after.and_then(status).as_deref() == Some(ACTIVE)
}

async fn carry_out(
    tx: &mut Tx,
    ctx: &RequestContext,
    run: &Run,
    platform: OrganizationId,
    todo: Todo,
) -> Result<(Followed, Aftermath), Problem> {
    let (now, source, number) = (ctx.now, &run.source, run.number);
    let mut aftermath = Aftermath::default();
    let mut places = todo.places();
    for ((_, key), ..) in &todo.accounts {
        if let Some(id) = id_of(key) {
            places.extend(store::membership::organizations_of(tx, PrincipalId(id)).await?);
        }
    }
    let named: Vec<OrganizationId> = places.into_iter().collect();
    aftermath.touched = named.iter().copied().filter(|id| *id != platform).collect();
    adoption_row::touch(tx, &aftermath.touched, now).await?;
    adoption_row::record_organizations(tx, number, &named).await?;
    let mut followed = Followed::default();
    for (kind, rows) in [(ChangeKind::Assignment, &todo.assignments), (ChangeKind::Grant, &todo.grants)] {
        let notes: Vec<_> = rows.iter().map(|(row, before)| (row.clone(), before.clone(), None)).collect();
        let keys: Vec<RowKey> = rows.iter().map(|(row, _)| row.clone()).collect();
        if keys.is_empty() {
            continue;
        }
        change::put(tx, number, kind, &notes, now).await?;
        match kind {
            ChangeKind::Assignment => followed.assignments = change::remove_assignments(tx, &keys).await?,
            _ => followed.grants = change::remove_grants(tx, &keys).await?,
        }
    }
    let states = [
        (ChangeKind::Membership, &todo.memberships),
        (ChangeKind::Account, &todo.accounts),
        (ChangeKind::Entitlement, &todo.entitlements),
        (ChangeKind::Role, &todo.roles),
        (ChangeKind::Organization, &todo.organizations),
    ];
    for (kind, turns) in states.iter().filter(|(_, turns)| !turns.is_empty()) {
        let note = |(row, before, after): &Turn| (row.clone(), before.clone(), Some(after.clone()));
        change::put(tx, number, *kind, &turns.iter().map(note).collect::<Vec<_>>(), now).await?;
        if *kind == ChangeKind::Account {
            accounts(tx, ctx, source, turns, &mut aftermath).await?;
            continue;
        }
        for (row, _, after) in *turns {
            noted::write(tx, source, *kind, row, after).await?;
            if *kind == ChangeKind::Membership
                && after.get("status") == Some(&DEACTIVATED.into())
                && let Some(who) = id_of(&row.1)
            {
                let (ended, events) = consent::end_with_membership(tx, ctx, row.0, PrincipalId(who)).await?;
                aftermath.ended.extend(ended);
                aftermath.events.extend(events);
            }
        }
    }
    tell_modules(tx, ctx, run, &todo.entitlements).await?;
    followed.memberships = todo.memberships.len() as u64;
    followed.accounts = todo.accounts.len() as u64;
    followed.entitlements = todo.entitlements.len() as u64;
    followed.roles = todo.roles.len() as u64;
    followed.organizations = todo.organizations.len() as u64;
    Ok((followed, aftermath))
}

async fn accounts(
    tx: &mut Tx,
    ctx: &RequestContext,
    source: &Key,
    turns: &[Turn],
    aftermath: &mut Aftermath,
) -> Result<(), Problem> {
    let mut turned = Vec::with_capacity(turns.len());
    for ((_, key), before, after) in turns {
        let Some(id) = id_of(key).map(PrincipalId) else { continue };
        let mut written = after.clone();
        let is = |value: &Value, status: &str| value.get("status") == Some(&status.into());
        if is(after, ACTIVE) && !is(before, ACTIVE) {
            // It acts again with the proof, not before.
            written = turned_to(written, SUSPENDED);
        }
        turned.push((id, noted::login_of(before)?.to_owned(), written));
        if is(after, DEACTIVATED) && !is(before, DEACTIVATED) {
            let (ended, events) = consent::end_with_account(tx, ctx, id).await?;
            aftermath.ended.extend(ended);
            aftermath.events.extend(events);
        }
        let is_renamed = before.get("login") != after.get("login");
        if is_renamed || (is(before, ACTIVE) && !is(after, ACTIVE)) {
            let why =
                if is_renamed { "the other system has another login" } else { "the account may not act" };
            aftermath.ended.extend(session::end_everywhere(tx, id, why, ctx.now).await?);
        }
    }
    noted::turn_accounts(tx, source, &turned).await
}

fn turned_to(mut value: Value, status: &str) -> Value {
    if let Some(value) = value.as_object_mut() {
        value.insert("status".to_owned(), status.into());
    }
    value
}

/// Counts the version of what organizations may use. The chain of one that no run made tells of it, too.
async fn tell_modules(tx: &mut Tx, ctx: &RequestContext, run: &Run, turns: &[Turn]) -> Result<(), Problem> {
    let mut by_place: BTreeMap<OrganizationId, Vec<(&String, &Value)>> = BTreeMap::new();
    for ((organization, module), _, after) in turns {
        by_place.entry(*organization).or_default().push((module, after));
    }
    for (organization, modules) in by_place {
        store::entitlement::bump_version(tx, organization).await?;
        if held::is_own_organization(tx, &run.source, organization).await? {
            continue;
        }
        let of = |status: &str| -> Vec<&String> {
            let is = modules.iter().filter(|(_, after)| after.get("status") == Some(&status.into()));
            is.map(|(module, _)| *module).collect()
        };
        let origin = Origin {
            actor: actor_text(&ctx.actor()),
            cause: Cause::Migration,
            at: ctx.now,
            request: Some(ctx.request),
        };
        let reason = format!("run {} follows {}", run.number, run.source);
        let mut entry = Entry::new("entitlement.adopt", "organization", organization.to_string(), &reason);
        entry.after = Some(json!({ "enabled": of("enabled"), "disabled": of("disabled") }));
        append_events(tx, organization, &origin, &[entry]).await?;
    }
    Ok(())
}
