//! Writes one change of an access policy through the store, and makes its audit event.

use crate::adoption::removal;
use crate::audit;
use crate::caller::RequestContext;
use crate::change::{Change, Edit};
use crate::identity::oauth::consent;
use crate::identity::session;
use crate::transaction::Transaction;
use charter_kernel::audit::AuditEvent;
use charter_kernel::facts::{
    AssignmentFact, BlockFact, BlockSubject, ConditionFact, GrantFact, MemberFact, PrincipalStatus, Reach,
    ResourceFact, RoleFact, Subject, TeamFact,
};
use charter_kernel::{OrganizationId, PrincipalId, Problem, SessionId, Timestamp, Window};
use charter_store as store;
use charter_store::Given;
use serde_json::{Value, json};

/// What ended with a change: sessions, and what applications had, with an event for each of them.
pub type Ended = (Vec<SessionId>, Vec<AuditEvent>);

/// Writes one change; gives what ended with it.
pub async fn change(
    transaction: &mut Transaction<'_>,
    ctx: &RequestContext,
    organization: OrganizationId,
    change: &Change,
    reason: &str,
) -> Result<Ended, Problem> {
    let now = ctx.now;
    let given = Given { by: ctx.principal().map(|principal| principal.id), at: now };
    match change {
        Change::Member(edit) => return member(transaction, ctx, organization, edit).await,
        Change::AccountSaid(was, member) => {
            return update_member(transaction, ctx, organization, was, member, true).await;
        }
        Change::TeamMember { team, principal, joins: true } => {
            store::team::add_member(transaction.tx(), organization, *team, *principal, now).await?;
        }
        Change::TeamMember { team, principal, joins: false } => {
            store::team::remove_member(transaction.tx(), organization, *team, *principal).await?;
        }
        Change::Team(Edit::Insert(team)) => {
            store::team::insert(transaction.tx(), organization, team, now).await?
        }
        Change::Team(Edit::Update(_, team)) => {
            store::team::update(transaction.tx(), organization, team, now).await?;
        }
        Change::Team(Edit::Delete(team)) => {
            store::team::delete(transaction.tx(), organization, team.id).await?;
        }
        Change::Condition(Edit::Insert(row)) => {
            store::condition::insert(transaction.tx(), organization, row, now).await?;
        }
        Change::Condition(Edit::Update(_, row)) => {
            store::condition::update(transaction.tx(), organization, row, now).await?;
        }
        Change::Condition(Edit::Delete(row)) => {
            store::condition::delete(transaction.tx(), organization, &row.key).await?;
        }
        Change::Role(Edit::Insert(role)) => {
            store::role::insert(transaction.tx(), organization, role, now).await?
        }
        Change::Role(Edit::Update(_, role)) => {
            store::role::update(transaction.tx(), organization, role, now).await?;
        }
        Change::Role(Edit::Delete(role)) => {
            store::role::delete(transaction.tx(), organization, &role.key).await?;
        }
        Change::Resource(Edit::Insert(row) | Edit::Update(_, row)) => {
            store::resource::put(transaction.tx(), organization, row, now).await?;
        }
        Change::Resource(Edit::Delete(row)) => {
            store::resource::delete(transaction.tx(), organization, &row.resource).await?;
        }
        Change::Assignment(edit) => {
            let row = |assignment: &AssignmentFact| store::assignment::AssignmentRow {
                assignment: assignment.clone(),
                reason: reason.to_owned(),
                given,
            };
            match edit {
                Edit::Insert(it) => {
                    store::assignment::insert(transaction.tx(), organization, &row(it)).await?
                }
                Edit::Update(was, it) if (&was.role, was.subject) == (&it.role, it.subject) => {
                    store::assignment::update(transaction.tx(), organization, &row(it)).await?;
                }
                Edit::Update(_, it) => {
                    store::assignment::delete(transaction.tx(), organization, it.id).await?;
                    store::assignment::insert(transaction.tx(), organization, &row(it)).await?;
                }
                Edit::Delete(it) => {
                    store::assignment::delete(transaction.tx(), organization, it.id).await?;
                    removal::note_assignment(transaction.tx(), organization, it, now).await?;
                }
            }
        }
        Change::Grant(Edit::Insert(row)) => store::grant::insert(transaction.tx(), organization, row).await?,
        Change::Grant(Edit::Update(_, row)) => {
            store::grant::delete(transaction.tx(), organization, row.id).await?;
            store::grant::insert(transaction.tx(), organization, row).await?;
        }
        Change::Grant(Edit::Delete(row)) => {
            store::grant::delete(transaction.tx(), organization, row.id).await?;
            removal::note_grant(transaction.tx(), organization, row, now).await?;
        }
        Change::Block(edit) => {
            if let Some(was) = edit.before() {
                store::block::delete(transaction.tx(), organization, was.id).await?;
            }
            if let Some(is) = edit.after() {
                let row = store::block::BlockRow { block: is.clone(), given };
                store::block::insert(transaction.tx(), organization, &row).await?;
            }
        }
    }
    Ok(Ended::default())
}

/// Whose membership a change ends: removed, deactivated, over by its dates, or extended after it was over.
pub fn membership_ended(change: &Change, now: Timestamp) -> Option<PrincipalId> {
    match change {
        Change::Member(Edit::Delete(member)) => Some(member.principal),
        Change::Member(Edit::Update(was, member)) | Change::AccountSaid(was, member) => {
            let is_deactivated = was.status != member.status && member.status == PrincipalStatus::Deactivated;
            let is_over = was.window.is_over(now) || member.window.is_over(now);
            (is_deactivated || is_over).then_some(member.principal)
        }
        _ => None,
    }
}

async fn member(
    transaction: &mut Transaction<'_>,
    ctx: &RequestContext,
    organization: OrganizationId,
    edit: &Edit<MemberFact>,
) -> Result<Ended, Problem> {
    let now = ctx.now;
    match edit {
        Edit::Delete(member) => {
            store::membership::delete(transaction.tx(), organization, member.principal).await?;
            let tx = transaction.tx();
            store::adoption_removal::note_membership(tx, organization, member.principal, now).await?;
        }
        Edit::Insert(member) => {
            if store::principal::by_id(transaction.tx(), member.principal).await?.is_none() {
                let principal = store::principal::Principal {
                    id: member.principal,
                    kind: member.kind,
                    login: member.login.clone(),
                    login_folded: member.login.clone(),
                    name: member.name.clone(),
                    status: member.account_status,
                    password_hash: None,
                    password_changed_at: None,
                    created_at: now,
                    updated_at: now,
                    email_verified_at: None,
                };
                store::principal::insert(transaction.tx(), &principal).await?;
            }
            let MemberFact { principal, status, window, attributes, .. } = member;
            let tx = transaction.tx();
            store::membership::insert(tx, organization, *principal, *status, *window, attributes, now)
                .await?;
        }
        Edit::Update(was, member) => {
            return update_member(transaction, ctx, organization, was, member, false).await;
        }
    }
    Ok(Ended::default())
}

/// Writes a member that is there, and the account, where it differs or somebody said what it is.
async fn update_member(
    transaction: &mut Transaction<'_>,
    ctx: &RequestContext,
    organization: OrganizationId,
    was: &MemberFact,
    member: &MemberFact,
    is_said: bool,
) -> Result<Ended, Problem> {
    let now = ctx.now;
    let (mut ended, mut events) = Ended::default();
    if is_said || (was.account_status, &was.name) != (member.account_status, &member.name) {
        let before = store::principal::by_id(transaction.tx(), member.principal)
            .await?
            .ok_or_else(|| Problem::not_found(format!("no account {}", member.login)))?;
        let mut after = before.clone();
        after.name.clone_from(&member.name);
        after.status = member.account_status;
        after.updated_at = now;
        store::principal::update(transaction.tx(), &before, &after).await?;
        if before.status != after.status && after.status == PrincipalStatus::Deactivated {
            (ended, events) = consent::end_with_account(transaction.tx(), ctx, member.principal).await?;
        }
        if after.status != PrincipalStatus::Active {
            let why = "the account may not act";
            let rest = session::end_everywhere(transaction.tx(), member.principal, why, now).await?;
            ended.extend(rest);
        }
        for other in store::membership::organizations_of(transaction.tx(), member.principal).await? {
            transaction.touch(other).await?;
        }
    }
    let MemberFact { principal, status, window, attributes, .. } = member;
    let tx = transaction.tx();
    store::membership::update(tx, organization, *principal, *status, *window, attributes, now).await?;
    Ok((ended, events))
}

fn window_json(window: Window) -> Value {
    json!({ "from": window.from().map(|at| at.to_string()), "to": window.to().map(|at| at.to_string()) })
}

fn subject_json(subject: Subject) -> Value {
    match subject {
        Subject::Principal(id) => json!({ "principal": id.to_string() }),
        Subject::Team(id) => json!({ "team": id.to_string() }),
    }
}

fn reach_json(reach: &Reach) -> Value {
    match reach {
        Reach::Organization => json!("organization"),
        Reach::Type(kind) => json!({ "type": kind }),
        Reach::Resource(resource) => json!({ "type": resource.kind, "id": &*resource.id }),
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn member_json(row: &MemberFact) -> Value {
    json!({ "principal": row.principal.to_string(), "kind": row.kind.as_str(), "login": row.login, "name": row.name,
            "status": row.status.as_str(), "account_status": row.account_status.as_str(), "window": window_json(row.window), "attributes": parsed(&row.attributes) })
}

fn team_json(row: &TeamFact) -> Value {
    let members: Vec<String> = row.members.iter().map(ToString::to_string).collect();
    json!({ "id": row.id.to_string(), "key": row.key, "name": row.name,
            "parent": row.parent.map(|id| id.to_string()), "members": members })
}

fn condition_json(row: &ConditionFact) -> Value {
    json!({ "key": row.key, "condition": serde_json::to_value(&row.condition).unwrap_or(Value::Null) })
}

fn role_json(row: &RoleFact) -> Value {
    let lines: Vec<Value> = row
        .permissions
        .iter()
        .map(|line| json!({ "pattern": line.pattern, "condition": line.condition }))
        .collect();
    json!({ "key": row.key, "name": row.name, "parents": row.parents, "permissions": lines, "level": row.level.as_str() })
}

fn resource_json(row: &ResourceFact) -> Value {
    json!({ "type": row.resource.kind, "id": &*row.resource.id, "owner": row.owner.map(|id| id.to_string()),
            "attributes": parsed(&row.attributes) })
}

fn assignment_json(row: &AssignmentFact) -> Value {
    json!({ "id": row.id.to_string(), "role": row.role, "subject": subject_json(row.subject),
            "window": window_json(row.window), "condition": row.condition })
}

fn grant_json(row: &GrantFact) -> Value {
    json!({ "id": row.id.to_string(), "subject": subject_json(row.subject), "pattern": row.pattern,
            "reach": reach_json(&row.reach), "effect": row.effect.as_str(), "window": window_json(row.window),
            "condition": row.condition, "reason": row.reason, "given_by": row.given_by.map(|id| id.to_string()) })
}

fn block_json(row: &BlockFact) -> Value {
    let subject = match &row.subject {
        BlockSubject::Principal(id) => json!({ "principal": id.to_string() }),
        BlockSubject::Team(id) => json!({ "team": id.to_string() }),
        BlockSubject::Role(key) => json!({ "role": key }),
        BlockSubject::Everyone => json!("everyone"),
    };
    json!({ "id": row.id.to_string(), "subject": subject, "pattern": row.pattern, "reach": reach_json(&row.reach),
            "window": window_json(row.window), "condition": row.condition, "reason": row.reason, "conflict": row.conflict })
}

struct Told {
    action: &'static str,
    kind: &'static str,
    target: String,
    before: Option<Value>,
    after: Option<Value>,
}

fn told<T>(
    edit: &Edit<T>,
    kind: &'static str,
    actions: [&'static str; 3],
    target: impl Fn(&T) -> String,
    turn: impl Fn(&T) -> Value,
) -> Told {
    let [insert, update, delete] = actions;
    let action = match edit {
        Edit::Insert(_) => insert,
        Edit::Update(..) => update,
        Edit::Delete(_) => delete,
    };
    Told {
        action,
        kind,
        target: target(edit.row()),
        before: edit.before().map(&turn),
        after: edit.after().map(&turn),
    }
}

fn member_told(edit: &Edit<MemberFact>) -> Told {
    let actions = ["member.add", "member.update", "member.remove"];
    told(edit, "member", actions, |row| row.login.clone(), member_json)
}

/// The audit event of one change.
pub fn event(
    ctx: &RequestContext,
    organization: OrganizationId,
    change: &Change,
    reason: &str,
) -> AuditEvent {
    let told = match change {
        Change::Member(edit) => member_told(edit),
        Change::AccountSaid(was, is) => member_told(&Edit::Update(was.clone(), is.clone())),
        Change::Team(edit) => told(
            edit,
            "team",
            ["team.create", "team.update", "team.delete"],
            |row| row.key.to_string(),
            team_json,
        ),
        Change::TeamMember { team, principal, joins } => Told {
            action: if *joins { "team.join" } else { "team.leave" },
            kind: "team",
            target: team.to_string(),
            before: (!joins).then(|| json!({ "principal": principal.to_string() })),
            after: joins.then(|| json!({ "principal": principal.to_string() })),
        },
        Change::Condition(edit) => told(
            edit,
            "condition",
            ["condition.create", "condition.update", "condition.delete"],
            |row| row.key.to_string(),
            condition_json,
        ),
        Change::Role(edit) => told(
            edit,
            "role",
            ["role.create", "role.update", "role.delete"],
            |row| row.key.to_string(),
            role_json,
        ),
        Change::Resource(edit) => told(
            edit,
            "resource",
            ["resource.register", "resource.update", "resource.remove"],
            |row| format!("{}:{}", row.resource.kind, row.resource.id),
            resource_json,
        ),
        Change::Assignment(edit) => told(
            edit,
            "assignment",
            ["role.assign", "assignment.update", "role.unassign"],
            |row| row.id.to_string(),
            assignment_json,
        ),
        Change::Grant(edit) => told(
            edit,
            "grant",
            ["grant.give", "grant.update", "grant.revoke"],
            |row| row.id.to_string(),
            grant_json,
        ),
        Change::Block(edit) => told(
            edit,
            "block",
            ["block.set", "block.update", "block.lift"],
            |row| row.id.to_string(),
            block_json,
        ),
    };
    let mut event = audit::event(ctx, organization, told.action, told.kind, told.target);
    event.reason = reason.to_owned();
    event.before = told.before.map(|value| value.to_string());
    event.after = told.after.map(|value| value.to_string());
    event
}

/// The audit event of something an administrator was warned of, such as an accepted conflict.
pub fn warning(
    ctx: &RequestContext,
    organization: OrganizationId,
    warning: &str,
    reason: &str,
) -> AuditEvent {
    let mut event = audit::event(ctx, organization, "policy.warn", "policy", "policy");
    event.reason = reason.to_owned();
    event.after = Some(json!({ "warning": warning }).to_string());
    event
}
