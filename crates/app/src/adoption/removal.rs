//! What people took away by hand of what runs gave: noted with each removal, told to the next plan of the source, and kept away where a plan
//! says so.

use super::form::Faults;
use super::held::Runs;
use super::links::limit;
use super::require_operator;
use crate::App;
use crate::caller::RequestContext;
use charter_db::{Conn, Tx};
use charter_kernel::facts::{AssignmentFact, GrantFact};
use charter_kernel::{Key, OrganizationId, PrincipalId, Problem, Subject, Timestamp};
use charter_store as store;
use charter_store::adoption_lookup as lookup;
use charter_store::adoption_remembered::{self, RememberedRow};
use charter_store::adoption_removal::{self as rows, KeptAway, RemovalKind, RemovedRight};
use std::collections::{HashMap, HashSet};

/// Numbers of runs lie below this; where they stand in an id, every other one has the time it was made, milliseconds since 1970.
const RUNS: u128 = 1 << 36;

/// Whether an id is a run's, and of whom: nobody else's removal is noted.
fn of_run(id: u128, subject: Subject) -> Option<PrincipalId> {
    match subject {
        Subject::Principal(principal) if id >> super::RUN_SHIFT < RUNS => Some(principal),
        _ => None,
    }
}

/// Notes that people removed an assignment, where a run gave it, with what a role of the organization gave at the time. Of one that inherits,
/// that is left open.
pub(crate) async fn note_assignment(
    tx: &mut Tx,
    organization: OrganizationId,
    it: &AssignmentFact,
    now: Timestamp,
) -> Result<(), Problem> {
    let Some(principal) = of_run(it.id.0, it.subject) else { return Ok(()) };
    let role = store::role::get(tx, organization, &it.role).await?.filter(|role| role.parents.is_empty());
    let lines = role.iter().flat_map(|role| &role.permissions);
    let (kind, key) = (RemovalKind::Assignment, it.role.to_string());
    let gives = lines.map(|line| line.pattern.as_str().to_owned()).collect();
    rows::note(tx, organization, &RemovedRight { id: it.id.0, principal, kind, key, gives }, now).await?;
    Ok(())
}

/// Notes that people removed a grant, where a run gave it.
pub(crate) async fn note_grant(
    tx: &mut Tx,
    organization: OrganizationId,
    it: &GrantFact,
    now: Timestamp,
) -> Result<(), Problem> {
    let Some(principal) = of_run(it.id.0, it.subject) else { return Ok(()) };
    let (kind, key) = (RemovalKind::Grant, it.pattern.as_str().to_owned());
    let gives = vec![key.clone()];
    rows::note(tx, organization, &RemovedRight { id: it.id.0, principal, kind, key, gives }, now).await?;
    Ok(())
}

/// What people removed in an organization of what runs gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Assignments and grants.
    pub rights: Vec<RemovedRight>,
    /// Accounts whose memberships they removed.
    pub members: Vec<PrincipalId>,
    /// Roles that runs made.
    pub roles: Vec<Key>,
}

/// What stands for the row that an id is of, whichever run wrote it.
#[expect(clippy::cast_possible_truncation, reason = "the lower bits are what is meant")]
const fn lower(id: u128) -> u64 {
    id as u64
}

/// What people removed there, but for what a later run of the source gave and took away again itself. What another source's runs took away says
/// nothing of this one's.
pub(super) async fn removed(
    conn: &mut Conn,
    runs: &Runs,
    organization: OrganizationId,
) -> Result<Removed, Problem> {
    let mut rights = rows::rights(conn, organization).await?;
    if !rights.is_empty() {
        let mut newest: HashMap<u64, u128> = HashMap::new();
        for id in rows::by_runs(conn, organization).await?.into_iter().filter(|id| runs.made(*id)) {
            let known = newest.entry(lower(id)).or_default();
            *known = (*known).max(id >> super::RUN_SHIFT);
        }
        rights.retain(|it| newest.get(&lower(it.id)).is_none_or(|run| *run <= it.id >> super::RUN_SHIFT));
    }
    let members = rows::members(conn, organization).await?;
    let roles = rows::roles(conn, &runs.numbers, organization).await?;
    Ok(Removed { rights, members, roles })
}

/// What the newest run of a source keeps away, one page of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptPage {
    /// Whether removals were noted since that run.
    pub is_noted: bool,
    /// What it keeps away.
    pub items: Vec<KeptAway>,
    /// Modules that people removed of those that runs switched, with the first page.
    pub modules: Vec<(OrganizationId, Key)>,
    /// Users of the source, by their ids there, whom people stopped of a run that was taken back, and whom no run brought again; with the first page.
    pub remembered: Vec<String>,
    /// Roles and modules that people removed or changed of such a run, and that no run brought again; with the first page.
    pub remembered_rows: Vec<RememberedRow>,
    /// Whether there is more after the last of these.
    pub more: bool,
}

/// What the newest run of a source that stands was told to keep away, after one of it.
pub async fn kept_away(
    app: &App,
    ctx: &RequestContext,
    source: Key,
    after: Option<KeptAway>,
    asked: Option<u32>,
) -> Result<KeptPage, Problem> {
    require_operator(ctx)?;
    let limit = limit(asked)?;
    super::run::reading_problem(app, move |conn| {
        Box::pin(async move {
            let is_noted = rows::is_noted(conn, &source).await?.unwrap_or(true);
            let page = rows::page(conn, &source, after.as_ref(), limit).await?;
            let mut told = KeptPage { is_noted, items: page.rows, more: page.more, ..KeptPage::default() };
            if after.is_none() {
                told.modules = rows::modules(conn, &source).await?;
                told.remembered = adoption_remembered::all(conn, &source).await?;
                told.remembered_rows = adoption_remembered::rows(conn, &source).await?;
            }
            Ok(told)
        })
    })
    .await
}

/// Judges what a run is to keep away. It is nobody's right: the account and the organization have to be there, and no more.
pub(super) async fn judge(conn: &mut Conn, all: &[KeptAway], faults: &mut Faults) -> Result<(), Problem> {
    const KIND: &str = "kept_away";
    let mut organizations: Vec<OrganizationId> = all.iter().map(|it| it.organization).collect();
    let mut principals: Vec<PrincipalId> = all.iter().map(|it| it.principal).collect();
    organizations.sort();
    organizations.dedup();
    principals.sort();
    principals.dedup();
    let organizations = lookup::organizations(conn, &organizations).await?;
    let organizations: HashSet<_> = organizations.into_iter().map(|it| it.id).collect();
    let principals = lookup::principals(conn, &principals).await?;
    let principals: HashSet<_> = principals.into_iter().map(|it| it.id).collect();
    for (place, it) in all.iter().enumerate() {
        if !organizations.contains(&it.organization) {
            faults.add(KIND, place, "organization", format!("no organization {}", it.organization));
        }
        if !principals.contains(&it.principal) {
            faults.add(KIND, place, "principal", format!("no account {}", it.principal));
        }
    }
    Ok(())
}
