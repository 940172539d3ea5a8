//! Rows that a run changes or removes, as they are noted: read whole, written whole, compared by what people can change about them.

use super::held::NOWHERE;
use charter_db::{Conn, Tx};
use charter_kernel::facts::{AssignmentFact, GrantFact, Level, PrincipalStatus, RoleFact, RolePermission};
use charter_kernel::{
    AssignmentId, Effect, GrantId, Key, OrganizationId, PrincipalId, Problem, ProblemKind, Reach, Subject,
    Timestamp, Window,
};
use charter_store as store;
use charter_store::adoption_bare::MembershipState;
use charter_store::adoption_change::{ChangeKind, RowKey, id_of, key_of};
use charter_store::adoption_held::{self as rows, AccountState, HeldAccount, HeldModule};
use charter_store::assignment::AssignmentRow;
use serde_json::{Value, json};
use std::str::FromStr;

/// By which fields it is seen that a row is as it was left.
const fn compared(kind: ChangeKind) -> &'static [&'static str] {
    match kind {
        ChangeKind::Assignment | ChangeKind::Grant => &[],
        ChangeKind::Membership | ChangeKind::Entitlement => &["status"],
        ChangeKind::Account => &["status", "login", "name"],
        ChangeKind::Role => &["name", "level", "parents", "lines"],
        ChangeKind::Organization => &["status", "name", "enabled_modules"],
    }
}

/// Whether two states of a row are one to people.
pub(super) fn is_same(kind: ChangeKind, one: &Value, other: &Value) -> bool {
    compared(kind).iter().all(|field| one.get(field) == other.get(field))
}

/// A state in which people changed something since a run did: theirs stays, the run's is as it was before. None where nothing of it is the run's.
pub(super) fn merged(
    kind: ChangeKind,
    now: &Value,
    after: &Value,
    before: &Value,
    at: Timestamp,
) -> Option<Value> {
    let is_runs =
        |field: &&&str| now.get(**field) == after.get(**field) && after.get(**field) != before.get(**field);
    let fields: Vec<&&str> = compared(kind).iter().filter(is_runs).collect();
    let mut merged = now.clone();
    let state = merged.as_object_mut().filter(|_| !fields.is_empty())?;
    for field in fields {
        state.insert((*field).to_owned(), before.get(*field).cloned().unwrap_or_default());
    }
    let stamp = if state.contains_key("changed_at") { "changed_at" } else { "updated_at" };
    state.insert(stamp.to_owned(), at.micros().into());
    Some(merged)
}

/// A note that cannot be read is a fault of ours, and nothing is done by it.
fn unreadable(field: &str) -> Problem {
    Problem::new(ProblemKind::Internal, format!("a note of an adoption cannot be read: {field}"))
}

fn text<'v>(value: &'v Value, field: &str) -> Result<&'v str, Problem> {
    value.get(field).and_then(Value::as_str).ok_or_else(|| unreadable(field))
}

fn parsed<T: FromStr>(value: &Value, field: &str) -> Result<T, Problem> {
    text(value, field)?.parse().map_err(|_| unreadable(field))
}

fn opt_text<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.get(field).and_then(Value::as_str)
}

fn opt_time(value: &Value, field: &str) -> Option<Timestamp> {
    value.get(field).and_then(Value::as_i64).map(Timestamp)
}

fn time(value: &Value, field: &str) -> Result<Timestamp, Problem> {
    opt_time(value, field).ok_or_else(|| unreadable(field))
}

fn status(value: &Value) -> Result<PrincipalStatus, Problem> {
    PrincipalStatus::from_word(text(value, "status")?).ok_or_else(|| unreadable("status"))
}

fn opt_id(value: &Value, field: &str) -> Option<PrincipalId> {
    opt_text(value, field).and_then(id_of).map(PrincipalId)
}

fn opt_key(value: &Value, field: &str) -> Result<Option<Key>, Problem> {
    opt_text(value, field).map(|key| key.parse().map_err(|_| unreadable(field))).transpose()
}

fn window(value: &Value) -> Result<Window, Problem> {
    Window::new(opt_time(value, "from"), opt_time(value, "to")).map_err(|_| unreadable("from"))
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::micros)
}

const fn holder(subject: Subject) -> Option<PrincipalId> {
    match subject {
        Subject::Principal(id) => Some(id),
        Subject::Team(_) => None,
    }
}

/// An assignment as it is noted; none of a team, which no run writes.
pub(super) fn of_assignment(it: &AssignmentRow) -> Option<Value> {
    let fact = &it.assignment;
    Some(json!({
        "principal": key_of(holder(fact.subject)?.0), "role": fact.role, "from": micros(fact.window.from()),
        "to": micros(fact.window.to()), "condition": fact.condition, "reason": it.reason,
        "given_by": it.given.by.map(|by| key_of(by.0)), "given_at": it.given.at.micros(),
    }))
}

/// The assignment of a note.
pub(super) fn assignment(key: &str, value: &Value) -> Result<AssignmentRow, Problem> {
    Ok(AssignmentRow {
        assignment: AssignmentFact {
            id: AssignmentId(id_of(key).ok_or_else(|| unreadable("id"))?),
            role: parsed(value, "role")?,
            subject: Subject::Principal(opt_id(value, "principal").ok_or_else(|| unreadable("principal"))?),
            window: window(value)?,
            condition: opt_key(value, "condition")?,
        },
        reason: text(value, "reason")?.to_owned(),
        given: store::Given { by: opt_id(value, "given_by"), at: time(value, "given_at")? },
    })
}

/// A grant as it is noted; none that runs do not write: of a team, or with another reach than the organization.
pub(super) fn of_grant(it: &GrantFact) -> Option<Value> {
    if it.reach != Reach::Organization {
        return None;
    }
    Some(json!({
        "principal": key_of(holder(it.subject)?.0), "pattern": it.pattern.as_str(), "effect": it.effect.as_str(),
        "from": micros(it.window.from()), "to": micros(it.window.to()), "condition": it.condition, "reason": it.reason,
        "given_by": it.given_by.map(|by| key_of(by.0)), "given_at": it.given_at.micros(),
    }))
}

/// The grant of a note.
pub(super) fn grant(key: &str, value: &Value) -> Result<GrantFact, Problem> {
    Ok(GrantFact {
        id: GrantId(id_of(key).ok_or_else(|| unreadable("id"))?),
        subject: Subject::Principal(opt_id(value, "principal").ok_or_else(|| unreadable("principal"))?),
        pattern: parsed(value, "pattern")?,
        reach: Reach::Organization,
        effect: Effect::from_word(text(value, "effect")?).ok_or_else(|| unreadable("effect"))?,
        window: window(value)?,
        condition: opt_key(value, "condition")?,
        reason: text(value, "reason")?.to_owned(),
        given_by: opt_id(value, "given_by"),
        given_at: time(value, "given_at")?,
    })
}

/// A membership that goes, as it is noted.
pub(super) fn of_membership(it: &MembershipState) -> Value {
    json!({
        "status": it.status.as_str(), "starts_at": micros(it.starts_at), "ends_at": micros(it.ends_at), "attributes": it.attributes,
        "created_at": it.created_at.micros(), "updated_at": it.updated_at.micros(),
    })
}

/// The membership of such a note.
pub(super) fn membership(value: &Value) -> Result<MembershipState, Problem> {
    Ok(MembershipState {
        status: status(value)?,
        starts_at: opt_time(value, "starts_at"),
        ends_at: opt_time(value, "ends_at"),
        attributes: text(value, "attributes")?.to_owned(),
        created_at: time(value, "created_at")?,
        updated_at: time(value, "updated_at")?,
    })
}

/// An account as it is noted.
pub(super) fn of_account(held: &HeldAccount, email_verified_at: Option<Timestamp>) -> Value {
    json!({
        "login": held.login, "name": held.name, "status": held.status.as_str(), "told_sum": held.told_sum,
        "updated_at": held.times.updated_at.micros(), "email_verified_at": micros(email_verified_at),
    })
}

fn of_role(role: &RoleFact, updated_at: Timestamp) -> Value {
    let line =
        |line: &RolePermission| json!({ "pattern": line.pattern.as_str(), "condition": line.condition });
    json!({
        "name": role.name, "level": role.level.as_str(), "parents": role.parents,
        "lines": role.permissions.iter().map(line).collect::<Vec<_>>(), "updated_at": updated_at.micros(),
    })
}

fn role(key: &str, value: &Value) -> Result<RoleFact, Problem> {
    let list = |field: &str| value.get(field).and_then(Value::as_array).ok_or_else(|| unreadable(field));
    let parent =
        |it: &Value| it.as_str().and_then(|key| key.parse().ok()).ok_or_else(|| unreadable("parents"));
    let line = |it: &Value| {
        Ok(RolePermission { pattern: parsed(it, "pattern")?, condition: opt_key(it, "condition")? })
    };
    Ok(RoleFact {
        key: key.parse().map_err(|_| unreadable("key"))?,
        name: text(value, "name")?.to_owned(),
        level: Level::from_word(text(value, "level")?).ok_or_else(|| unreadable("level"))?,
        parents: list("parents")?.iter().map(parent).collect::<Result<_, Problem>>()?,
        permissions: list("lines")?.iter().map(line).collect::<Result<_, Problem>>()?,
    })
}

/// A row as it is; none that is not there. Assignments and grants are read by the batch.
pub(super) async fn read(
    conn: &mut Conn,
    source: &Key,
    kind: ChangeKind,
    (organization, key): &RowKey,
) -> Result<Option<Value>, Problem> {
    let organization = *organization;
    let id = || id_of(key).map(PrincipalId).ok_or_else(|| unreadable("key"));
    Ok(match kind {
        ChangeKind::Assignment | ChangeKind::Grant => None,
        ChangeKind::Membership => rows::member(conn, organization, id()?)
            .await?
            .map(|it| json!({ "status": it.status.as_str(), "updated_at": it.times.updated_at.micros() })),
        ChangeKind::Account => {
            let held = rows::accounts_of(conn, source, &[id()?]).await?;
            let found = store::principal::by_id(conn, id()?).await?;
            held.first().zip(found).map(|(held, found)| of_account(held, found.email_verified_at))
        }
        ChangeKind::Role => {
            let key = key.parse().map_err(|_| unreadable("key"))?;
            let times = rows::role_times(conn, organization, &key).await?;
            let found = store::role::get(conn, organization, &key).await?;
            found.zip(times).map(|(role, times)| of_role(&role, times.updated_at))
        }
        ChangeKind::Entitlement => {
            let all = rows::migrated(conn, organization).await?;
            let found = all.into_iter().find(|it| it.module.as_str() == key);
            found.map(|it| {
                json!({
                    "status": it.status, "reason": it.reason, "row_version": it.row_version,
                    "changed_by": it.changed_by.map(|by| key_of(by.0)), "changed_at": it.changed_at.micros(),
                })
            })
        }
        ChangeKind::Organization => store::organization::get(conn, organization).await?.map(|it| {
            json!({
                "name": it.organization.name, "status": it.organization.status.as_str(),
                "enabled_modules": it.organization.enabled_modules, "updated_at": it.updated_at.micros(),
            })
        }),
    })
}

/// Makes a row what a state says, but for the directory of logins.
pub(super) async fn write(
    tx: &mut Tx,
    source: &Key,
    kind: ChangeKind,
    (organization, key): &RowKey,
    value: &Value,
) -> Result<(), Problem> {
    let organization = *organization;
    let id = || id_of(key).map(PrincipalId).ok_or_else(|| unreadable("key"));
    match kind {
        ChangeKind::Assignment => {
            store::assignment::insert(tx, organization, &assignment(key, value)?).await?;
        }
        ChangeKind::Grant => store::grant::insert(tx, organization, &grant(key, value)?).await?,
        ChangeKind::Membership => {
            rows::set_membership(tx, organization, id()?, status(value)?, time(value, "updated_at")?).await?;
        }
        ChangeKind::Account => {
            let state = AccountState {
                login: text(value, "login")?.to_owned(),
                name: text(value, "name")?.to_owned(),
                status: status(value)?,
                updated_at: time(value, "updated_at")?,
                email_verified_at: opt_time(value, "email_verified_at"),
            };
            rows::set_account(tx, id()?, &state).await?;
            rows::tell(tx, source, id()?, value.get("told_sum").and_then(Value::as_i64)).await?;
        }
        ChangeKind::Role => {
            let at = time(value, "updated_at")?;
            store::role::update(tx, organization, &role(key, value)?, at).await?;
        }
        ChangeKind::Entitlement => {
            let module = HeldModule {
                module: key.parse().map_err(|_| unreadable("key"))?,
                status: text(value, "status")?.to_owned(),
                reason: text(value, "reason")?.to_owned(),
                row_version: value.get("row_version").and_then(Value::as_u64).unwrap_or(1),
                changed_by: opt_id(value, "changed_by"),
                changed_at: time(value, "changed_at")?,
            };
            rows::set_module(tx, organization, &module).await?;
        }
        ChangeKind::Organization => {
            let (name, status) = (text(value, "name")?, text(value, "status")?);
            let modules = opt_text(value, "enabled_modules");
            let at = time(value, "updated_at")?;
            rows::set_organization(tx, organization, name, status, modules, at).await?;
        }
    }
    Ok(())
}

/// Turns accounts to the states given, logins and all: all logins are given up before any is taken, so that two may change places.
pub(super) async fn turn_accounts(
    tx: &mut Tx,
    source: &Key,
    turned: &[(PrincipalId, String, Value)],
) -> Result<(), Problem> {
    for (id, login, _) in turned {
        rows::free_login(tx, login, *id).await?;
    }
    for (id, _, value) in turned {
        rows::set_login(tx, text(value, "login")?, *id).await?;
        write(tx, source, ChangeKind::Account, &(NOWHERE, key_of(id.0)), value).await?;
    }
    Ok(())
}

/// The login of a state of an account.
pub(super) fn login_of(value: &Value) -> Result<&str, Problem> {
    text(value, "login")
}

/// Organizations and ids of the members that a note is about.
pub(super) fn member_of(
    organization: OrganizationId,
    value: &Value,
) -> Option<(OrganizationId, PrincipalId)> {
    Some((organization, opt_id(value, "principal")?))
}
