//! A batch of changes of a run: what runs of the source before it wrote and the other system wants no more, or otherwise. One transaction: all
//! of it or nothing, each row noted as it was. A row that no such run wrote is refused, and so is the whole batch.
//!
//! `follow_form.rs` and `follow_state.rs` judge it. What is let in again waits for the proof of the run (`waiting.rs`).

use super::follow_form::Changes;
use super::follow_state::{Todo, Turn, judge};
use super::noted;
use super::waiting::until_proved;
use super::{Run, applying, event, hold, is_of_run, require_operator};
use crate::App;
use crate::audit::hex;
use crate::caller::RequestContext;
use crate::entitlement::{Cause, Entry, Origin, actor_text, append_events};
use crate::identity::oauth::consent;
use crate::identity::session;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{Key, OrganizationId, PrincipalId, Problem, SessionId};
use charter_store as store;
use charter_store::adoption_change::{self as change, ChangeKind, RowKey, id_of};
use charter_store::adoption_row;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

const DEACTIVATED: &str = PrincipalStatus::Deactivated.as_str();
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
    pub kept_away: u64,
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
        for (row, before, after) in *turns {
            noted::write(tx, source, *kind, row, &until_proved(*kind, before, after)).await?;
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
    if !todo.gone.is_empty() {
        let notes: Vec<_> =
            todo.gone.iter().map(|(row, before)| (row.clone(), before.clone(), None)).collect();
        change::put(tx, number, ChangeKind::Membership, &notes, now).await?;
        for ((place, key), _) in &todo.gone {
            let Some(who) = id_of(key).map(PrincipalId) else { continue };
            let (ended, events) = consent::end_with_membership(tx, ctx, *place, who).await?;
            aftermath.ended.extend(ended);
            aftermath.events.extend(events);
            store::membership::delete(tx, *place, who).await?;
        }
    }
    tell_modules(tx, ctx, run, &todo.entitlements).await?;
    followed.kept_away = store::adoption_removal::keep_away(tx, number, &todo.kept_away).await?;
    followed.memberships = (todo.memberships.len() + todo.gone.len()) as u64;
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
        let is = |value: &Value, status: &str| value.get("status") == Some(&status.into());
        let written = until_proved(ChangeKind::Account, before, after);
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

/// Counts the version of what organizations may use. The chain of one that the run did not make tells of it, too.
async fn tell_modules(tx: &mut Tx, ctx: &RequestContext, run: &Run, turns: &[Turn]) -> Result<(), Problem> {
    let mut by_place: BTreeMap<OrganizationId, Vec<(&String, &Value)>> = BTreeMap::new();
    for ((organization, module), _, after) in turns {
        by_place.entry(*organization).or_default().push((module, after));
    }
    for (organization, modules) in by_place {
        store::entitlement::bump_version(tx, organization).await?;
        if is_of_run(run.number, organization.0) {
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
