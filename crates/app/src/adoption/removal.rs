//! What people took away by hand of what runs gave: noted with each removal, told to the next plan of the source, and kept away where a plan
//! says so.

use super::form::Faults;
use super::held::Runs;
use super::links::limit;
use super::require_operator;
use crate::App;
use crate::caller::RequestContext;
use charter_db::{Conn, Tx};
use charter_kernel::{Key, OrganizationId, PrincipalId, Problem, Subject, Timestamp};
use charter_store::adoption_lookup as lookup;
use charter_store::adoption_removal::{self as rows, KeptAway, RemovalKind};
use std::collections::{HashMap, HashSet};

/// Numbers of runs lie below this; where they stand in an id, every other one has the time it was made, milliseconds since 1970.
const RUNS: u128 = 1 << 36;

/// Notes that people removed an assignment or a grant, where a run gave it.
pub(crate) async fn note(
    tx: &mut Tx,
    organization: OrganizationId,
    kind: RemovalKind,
    id: u128,
    subject: Subject,
    now: Timestamp,
) -> Result<(), Problem> {
    if let Subject::Principal(principal) = subject
        && id >> super::RUN_SHIFT < RUNS
    {
        rows::note(tx, organization, kind, id, principal, now).await?;
    }
    Ok(())
}

/// What people removed in an organization of what runs gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Assignments and grants, by the ids that they had.
    pub rights: Vec<u128>,
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

/// What people removed there, but for what a later run gave and took away again itself.
pub(super) async fn removed(
    conn: &mut Conn,
    runs: &Runs,
    organization: OrganizationId,
) -> Result<Removed, Problem> {
    let mut rights = rows::rights(conn, organization).await?;
    if !rights.is_empty() {
        let mut newest: HashMap<u64, u128> = HashMap::new();
        for id in rows::by_runs(conn, organization).await? {
            let known = newest.entry(lower(id)).or_default();
            *known = (*known).max(id >> super::RUN_SHIFT);
        }
        rights.retain(|id| newest.get(&lower(*id)).is_none_or(|run| *run <= id >> super::RUN_SHIFT));
    }
    let members = rows::members(conn, organization).await?;
    let roles = rows::roles(conn, &runs.numbers, organization).await?;
    Ok(Removed { rights, members, roles })
}

/// What the newest run of a source keeps away, one page of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPage {
    /// Whether removals were noted since that run.
    pub is_noted: bool,
    /// What it keeps away.
    pub items: Vec<KeptAway>,
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
            Ok(KeptPage { is_noted, items: page.rows, more: page.more })
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
