//! A batch of rows, written in one transaction: all of it or nothing. Written again it changes nothing, so that whoever was interrupted
//! goes on where they like. The trail of the platform organization tells of it; that of an organization which the run made tells nothing, because a
//! trail cannot be taken back. What comes to the modules of one that was there before the run, its chain of entitlement events tells.

use super::form::{self, Ready, Rows};
use super::state::{self, LoginHashes, Todo};
use super::{Run, applying, event, hashes, hold, is_of_run, password, require_operator, waiting};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::entitlement::{Cause, Entry, Origin, actor_text, append_events};
use crate::identity::session;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{ModuleKey, OrganizationId, Problem, SessionId, Timestamp};
use charter_store as store;
use charter_store::adoption_row as row;
use charter_store::adoption_row::NewUser;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};

const ACTIVE: &str = PrincipalStatus::Active.as_str();
const SUSPENDED: &str = PrincipalStatus::Suspended.as_str();

/// How many rows of each kind are new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Inserted {
    /// Organizations.
    pub organizations: u64,
    /// Roles.
    pub roles: u64,
    /// Users.
    pub users: u64,
    /// Memberships.
    pub memberships: u64,
    /// Assignments.
    pub assignments: u64,
    /// Grants.
    pub grants: u64,
    /// Entitlements.
    pub entitlements: u64,
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows that are new.
    pub inserted: Inserted,
    /// Accounts of earlier runs that have another password.
    pub passwords: u64,
}

/// What a batch leaves to be done in memory.
#[derive(Default)]
struct Aftermath {
    touched: Vec<OrganizationId>,
    ended: Vec<SessionId>,
}

/// Writes a batch of a run.
pub async fn write(
    app: &App,
    ctx: &RequestContext,
    number: u64,
    holder: u128,
    rows: Rows,
) -> Result<Written, Problem> {
    require_operator(ctx)?;
    let index = app.snapshots().index();
    let mut ready = form::read(&index, number, rows)?;
    hashes::require_turn(app, number, holder).await?;
    adopt_hashes(app, number, holder, &mut ready).await?;
    let pepper = app.identity().pepper();
    let logins: LoginHashes = ready.users.iter().map(|(_, it)| pepper.every_email(&it.login)).collect();
    let sum = sum(&ready);
    // The hashing took its time, and a write is stamped with an instant close to its own.
    let (now, platform) = (app.now(), app.platform());
    let ctx = RequestContext { now, ..ctx.clone() };
    let ((written, aftermath), _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                hold(tx, holder, now).await?;
                let run = applying(tx, number).await?;
                let todo = state::judge(tx, &index, &run, &ready, &logins, now).await?;
                let changed: Vec<OrganizationId> =
                    todo.touched.iter().copied().filter(|id| *id != platform).collect();
                row::touch(tx, &changed, now).await?;
                row::record_organizations(tx, number, &todo.named).await?;
                let again = waiting::reopen(tx, &run, &todo.reopened, now).await?;
                let inserted = insert(tx, &ctx, &run, &ready, &todo, now).await?;
                let (passwords, ended) = password::follow(tx, &ctx, &run, &ready).await?;
                let after =
                    serde_json::json!({ "inserted": inserted, "passwords": passwords, "sha256": sum });
                let told = event(&ctx, platform, "adoption.rows", number, after);
                let more = reopened(&ctx, number, &again);
                let aftermath = Aftermath { touched: changed, ended };
                transaction.commit(told, more, (Written { inserted, passwords }, aftermath)).await
            }) as BoxFuture<'_, Result<Committed<(Written, Aftermath)>, Problem>>
        })
        .await?;
    session::forget(app, &aftermath.ended);
    // Nobody builds a shard for a batch: whoever asks next has it built.
    for organization in aftermath.touched {
        app.snapshots().forget(organization);
    }
    app.snapshots().forget(platform);
    Ok(written)
}

/// The hashes of the passwords of users who are not there yet, and of those whose password changed there since.
async fn adopt_hashes(app: &App, number: u64, holder: u128, ready: &mut Ready) -> Result<(), Problem> {
    if ready.hashes.iter().all(Option::is_none) {
        return Ok(());
    }
    let ids: Vec<_> = ready.users.iter().map(|(_, it)| it.id).collect();
    let known =
        reading_all!(
            app.database(),
            |conn| async move { store::adoption_lookup::principals(conn, &ids).await }
        )?;
    let known: HashSet<_> = known.into_iter().map(|it| it.id).collect();
    if !known.is_empty() {
        ready.followed = password::judge(app, number, ready).await?;
    }
    let wanted = std::mem::take(&mut ready.hashes).into_iter().zip(&ready.users).enumerate();
    let is_wanted = |place, id| !known.contains(id) || ready.followed.contains_key(&place);
    let wanted = wanted.map(|(place, (hash, (_, it)))| hash.filter(|_| is_wanted(place, &it.id))).collect();
    let kept = hashes::adopt(app, number, holder, wanted).await?;
    for ((_, user), hash) in ready.users.iter_mut().zip(kept) {
        user.password_hash = hash;
    }
    Ok(())
}

async fn insert(
    tx: &mut Tx,
    ctx: &RequestContext,
    run: &Run,
    ready: &Ready,
    todo: &Todo,
    now: Timestamp,
) -> Result<Inserted, Problem> {
    let mut inserted = Inserted::default();
    let reason = format!("adopted from {} by run {}", run.source, run.number);
    let number = run.number;
    let of = |place: &usize, new: &std::collections::BTreeSet<usize>| new.contains(place);
    if !ready.organizations.is_empty() {
        let new =
            ready.organizations.iter().enumerate().filter(|(place, _)| of(place, &todo.new_organizations));
        let new: Vec<_> = new.map(|(_, (_, it))| it.clone()).collect();
        if !new.is_empty() {
            inserted.organizations = row::insert_organizations(tx, &new, now).await?;
            let ids: Vec<_> = new.iter().map(|it| it.id).collect();
            row::touch(tx, &ids, now).await?;
        }
        let links: Vec<_> = ready.organizations.iter().map(|(legacy, it)| (legacy.clone(), it.id)).collect();
        store::adoption_link::link_organizations(tx, &run.source, number, &links).await?;
    }
    let new = ready.roles.iter().enumerate().filter(|(place, _)| of(place, &todo.new_roles));
    let new: Vec<_> = new.map(|(_, it)| it.clone()).collect();
    if !new.is_empty() {
        inserted.roles = row::insert_roles(tx, number, &new, now).await?;
    }
    if !ready.users.is_empty() {
        let new = ready.users.iter().enumerate().filter(|(place, _)| of(place, &todo.new_users));
        // Nobody has anything by the run before it is proved.
        let held = |it: &NewUser| if it.status == ACTIVE { SUSPENDED } else { it.status };
        let new: Vec<_> = new.map(|(_, (_, it))| NewUser { status: held(it), ..it.clone() }).collect();
        if !new.is_empty() {
            inserted.users = row::insert_users(tx, &new, now).await?;
        }
        let link = |(legacy, it): &(String, NewUser)| {
            (legacy.clone(), it.id, super::held::told_sum(&it.login, &it.name))
        };
        let links: Vec<_> = ready.users.iter().map(link).collect();
        store::adoption_link::link_users(tx, &run.source, number, &links).await?;
    }
    if !ready.memberships.is_empty() {
        let recorded = &todo.recorded_memberships;
        inserted.memberships = row::insert_memberships(tx, number, &ready.memberships, recorded, now).await?;
    }
    if !ready.assignments.is_empty() {
        inserted.assignments = row::insert_assignments(tx, &ready.assignments, &reason, now).await?;
    }
    if !ready.grants.is_empty() {
        inserted.grants = row::insert_grants(tx, &ready.grants, &reason, now).await?;
    }
    if !ready.entitlements.is_empty() {
        tell_entitlements(tx, ctx, run, ready, &todo.told_entitlements, &reason).await?;
        inserted.entitlements =
            row::insert_entitlements(tx, number, &ready.entitlements, &reason, now).await?;
    }
    Ok(inserted)
}

/// The chain of entitlement events of organizations that were there before the run tells what comes to them. An adopted one has no chain:
/// it could not be taken back.
async fn tell_entitlements(
    tx: &mut Tx,
    ctx: &RequestContext,
    run: &Run,
    ready: &Ready,
    recorded: &[(OrganizationId, ModuleKey)],
    reason: &str,
) -> Result<(), Problem> {
    if recorded.is_empty() {
        return Ok(());
    }
    let there: HashSet<_> = store::adoption_lookup::migrated(tx, recorded).await?.into_iter().collect();
    let mut by_organization: BTreeMap<OrganizationId, (Vec<&ModuleKey>, Vec<&ModuleKey>)> = BTreeMap::new();
    for it in &ready.entitlements {
        let is_there = there.contains(&(it.organization, it.module.clone()));
        if is_there || is_of_run(run.number, it.organization.0) {
            continue;
        }
        let (enabled, disabled) = by_organization.entry(it.organization).or_default();
        if it.status == "enabled" { enabled.push(&it.module) } else { disabled.push(&it.module) }
    }
    let origin = Origin {
        actor: actor_text(&ctx.actor()),
        cause: Cause::Migration,
        at: ctx.now,
        request: Some(ctx.request),
    };
    for (organization, (enabled, disabled)) in by_organization {
        let mut entry = Entry::new("entitlement.adopt", "organization", organization.to_string(), reason);
        entry.after = Some(serde_json::json!({ "enabled": enabled, "disabled": disabled }));
        append_events(tx, organization, &origin, &[entry]).await?;
    }
    Ok(())
}

/// Events in the trails of organizations that are taken up again: those have one.
fn reopened(ctx: &RequestContext, run: u64, again: &[(OrganizationId, &'static str)]) -> Vec<AuditEvent> {
    let of = |(organization, status): &(OrganizationId, &'static str)| {
        let target = organization.to_string();
        let mut event = audit::event(ctx, *organization, "adoption.reopen", "organization", target);
        event.after = Some(serde_json::json!({ "status": status, "run": run }).to_string());
        event
    };
    again.iter().map(of).collect()
}

/// SHA-256 over the rows, without the hashes of passwords.
fn sum(ready: &Ready) -> String {
    let mut sum = Sha256::new();
    for (legacy, it) in &ready.organizations {
        sum.update(format!(
            "o {legacy:?} {} {:?} {:?} {} {:?}\n",
            it.id, it.key, it.name, it.status, it.enabled_modules
        ));
    }
    for it in &ready.roles {
        sum.update(format!(
            "r {} {:?} {:?} {} {:?}\n",
            it.organization, it.key, it.name, it.level, it.permissions
        ));
    }
    for (legacy, it) in &ready.users {
        sum.update(format!("u {legacy:?} {} {:?} {:?} {}\n", it.id, it.login, it.name, it.status));
    }
    for it in &ready.memberships {
        sum.update(format!("m {} {} {}\n", it.organization, it.principal, it.status));
    }
    for it in &ready.assignments {
        sum.update(format!("a {:032x} {} {} {}\n", it.id, it.organization, it.role, it.principal));
    }
    for it in &ready.grants {
        sum.update(format!("g {:032x} {} {} {}\n", it.id, it.organization, it.principal, it.pattern));
    }
    for it in &ready.entitlements {
        sum.update(format!("e {} {} {}\n", it.organization, it.module, it.status));
    }
    audit::hex(&sum.finalize())
}
