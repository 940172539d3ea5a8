//! What runs of a source wrote that stands, for the next plan of it: page by page, and whether it is still as a run left it. What people
//! gave by hand is not told.

use super::links::limit;
use super::removal::{self, Removed};
use super::waiting::waits;
use super::{Run, is_of_run, require_operator};
use crate::App;
use crate::caller::{Listing, RequestContext};
use charter_db::Conn;
use charter_kernel::facts::{OrganizationKind, OrganizationStatus, PrincipalStatus, RoleFact};
use charter_kernel::{Key, OrganizationId, PrincipalId, Problem, Timestamp};
use charter_store as store;
use charter_store::adoption_bare;
use charter_store::adoption_change::{self as change, ChangeKind, Note, RowKey, key_of};
use charter_store::adoption_held::{self as rows, HeldMembership, HeldModule, HeldRow, RecordedRole, Times};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The organization of what belongs to none.
pub(super) const NOWHERE: OrganizationId = OrganizationId(0);

/// The runs of a source that stand.
#[derive(Debug, Clone)]
pub(super) struct Runs {
    pub numbers: Vec<u64>,
    /// When the accounts of each were opened first.
    opened: Vec<(u64, Timestamp)>,
}

impl Runs {
    /// Those before one.
    pub async fn before(conn: &mut Conn, source: &Key, number: u64) -> Result<Self, Problem> {
        let all = rows::runs(conn, source).await?;
        let all: Vec<_> = all.into_iter().filter(|(run, _)| *run < number).collect();
        Ok(Self {
            numbers: all.iter().map(|(run, _)| *run).collect(),
            opened: all.iter().filter_map(|(run, opened)| Some((*run, (*opened)?))).collect(),
        })
    }

    /// Those, and one that is under way.
    pub async fn begun(conn: &mut Conn, source: &Key) -> Result<Self, Problem> {
        Ok(Self { numbers: rows::runs_begun(conn, source).await?, opened: Vec::new() })
    }

    /// Whether an id is one of theirs.
    pub fn made(&self, id: u128) -> bool {
        self.numbers.iter().any(|run| is_of_run(*run, id))
    }

    /// Whether the run that made an account made a membership of it, in an organization into which these runs wrote: nobody else knew of the
    /// account before it was opened.
    pub fn made_with(&self, principal: PrincipalId, times: Times, wrote: &[u64]) -> bool {
        let is_it = |(run, opened): &(u64, Timestamp)| {
            is_of_run(*run, principal.0) && wrote.contains(run) && times.created_at <= *opened
        };
        self.opened.iter().any(is_it)
    }

    /// The first id that is none of theirs nor of one before them.
    pub fn end(&self) -> u128 {
        self.numbers.last().map_or(0, |last| super::range_of(*last).to)
    }
}

/// What stands for the login and the name that a source gives an account.
#[must_use]
pub fn told_sum(login: &str, name: &str) -> i64 {
    let mut sum = Sha256::new();
    sum.update((login.len() as u64).to_be_bytes());
    sum.update(login);
    sum.update(name);
    sum.finalize().iter().take(8).fold(0_i64, |value, byte| value << 8 | i64::from(*byte))
}

/// The newest note about each row.
pub(super) async fn notes(
    conn: &mut Conn,
    kind: ChangeKind,
    of: &[RowKey],
) -> Result<HashMap<RowKey, Note>, Problem> {
    if of.is_empty() {
        return Ok(HashMap::new());
    }
    let notes = change::of_rows(conn, kind, of).await?;
    Ok(notes.into_iter().map(|note| (note.row.clone(), note)).collect())
}

/// Whether a row is as runs left it: nobody changed it since it was made, or since a run did last.
pub(super) fn is_settled(times: Times, note: Option<&Note>) -> bool {
    match note {
        // One that a run removed came back since.
        None | Some(Note { after: None, .. }) => times.is_untouched(),
        Some(note) => times.updated_at == note.changed_at && told(note) != Some(false),
    }
}

/// Whether a run gave a row its state, or found it stopped by people; none where that is no question.
fn told(note: &Note) -> Option<bool> {
    let after: serde_json::Value = serde_json::from_str(note.after.as_deref()?).ok()?;
    after.get("status_told")?.as_bool()
}

/// Whether the state of an account is one that a run gave it.
pub(super) fn is_status_settled(account: &rows::HeldAccount, note: Option<&Note>) -> bool {
    is_settled(account.times, note) && note.is_none_or(|note| told(note) == Some(true))
}

/// Whether login and name of an account are those that a run gave it.
pub(super) fn is_name_settled(runs: &Runs, account: &rows::HeldAccount) -> bool {
    match account.told_sum {
        Some(sum) => sum == told_sum(&account.login, &account.name),
        None => {
            let at = account.times.updated_at;
            account.times.is_untouched() || runs.opened.iter().any(|(_, opened)| *opened == at)
        }
    }
}

/// The account of a user of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAccount {
    /// The user's id there.
    pub legacy_id: String,
    /// The account.
    pub principal: PrincipalId,
    /// Its login.
    pub login: String,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub status: PrincipalStatus,
    /// Whether a run of the source made it, and no other source has it.
    pub is_own: bool,
    /// Whether it acts with the proof of a run that is under way.
    pub waits: bool,
    /// Whether a run gave it its state.
    pub is_status_settled: bool,
    /// Whether a run gave it its login and name.
    pub is_name_settled: bool,
}

/// Accounts of the users of a source, by their ids there, after one of them.
pub async fn held_accounts(
    app: &App,
    ctx: &RequestContext,
    source: Key,
    after: Option<String>,
    asked: Option<u32>,
) -> Result<Listing<HeldAccount>, Problem> {
    require_operator(ctx)?;
    let (limit, after) = (limit(asked)?, after.unwrap_or_default());
    super::run::reading_problem(app, move |conn| {
        Box::pin(async move {
            let runs = Runs::before(conn, &source, u64::MAX).await?;
            let page = rows::accounts(conn, &source, &after, limit).await?;
            let of = |it: &rows::HeldAccount| (NOWHERE, key_of(it.principal.0));
            let stopped = page.rows.iter().filter(|it| it.status != PrincipalStatus::Active).map(of);
            let notes = notes(conn, ChangeKind::Account, &stopped.collect::<Vec<_>>()).await?;
            let next = page.rows.last().filter(|_| page.more).map(|row| row.legacy_id.clone());
            let shown = |it: rows::HeldAccount| HeldAccount {
                is_own: runs.made(it.principal.0) && !it.is_shared,
                waits: waits(
                    &runs,
                    ChangeKind::Account,
                    notes.get(&of(&it)),
                    it.status.as_str(),
                    it.times.updated_at,
                ),
                is_status_settled: is_status_settled(&it, notes.get(&of(&it))),
                is_name_settled: is_name_settled(&runs, &it),
                legacy_id: it.legacy_id,
                principal: it.principal,
                login: it.login,
                name: it.name,
                status: it.status,
            };
            Ok(Listing { items: page.rows.into_iter().map(shown).collect(), next })
        })
    })
    .await
}

/// What a member has by runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldMember {
    /// The account.
    pub principal: PrincipalId,
    /// Where the membership is in its life.
    pub status: PrincipalStatus,
    /// Whether it is in force with the proof of a run that is under way.
    pub waits: bool,
    /// Whether a run recorded the membership as its own.
    pub is_recorded: bool,
    /// Whether the run that made the account made the membership.
    pub is_with_account: bool,
    /// Whether it is as a run left it.
    pub is_settled: bool,
    /// Whether it is, and nothing hangs on it that people made.
    pub is_bare: bool,
    /// Whether it is not in force now by the dates that people gave it, whatever its status.
    pub is_out_of_time: bool,
    /// Assignments of runs, with their roles.
    pub assignments: Vec<(u128, String)>,
    /// Grants of runs, with their patterns.
    pub grants: Vec<(u128, String)>,
}

/// A role that a run made.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldRole {
    /// The role as it is.
    pub role: RoleFact,
    /// Whether it is as a run left it.
    pub is_settled: bool,
}

/// A module for which a run wrote a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEntitlement {
    /// The row as it is.
    pub module: HeldModule,
    /// Whether it is as a run left it.
    pub is_settled: bool,
}

/// The organization itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOrganization {
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub status: OrganizationStatus,
    /// Its document of modules.
    pub enabled_modules: Option<String>,
    /// Whether it opens with the proof of a run that is under way.
    pub waits: bool,
    /// Whether a run of the source made it.
    pub is_own: bool,
    /// Whether it is as a run left it.
    pub is_settled: bool,
}

/// What runs of a source wrote into an organization, one page of its members.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The organization.
    pub organization: HeldOrganization,
    /// Roles; with the first page only, as the modules.
    pub roles: Vec<HeldRole>,
    /// Modules.
    pub modules: Vec<HeldEntitlement>,
    /// Members that have something by runs.
    pub members: Vec<HeldMember>,
    /// What people removed, with the first page only.
    pub removed: Removed,
    /// The member to ask the next page with; none at the end.
    pub next: Option<PrincipalId>,
}

/// What runs of a source wrote into an organization, after one of its members.
pub async fn held(
    app: &App,
    ctx: &RequestContext,
    source: Key,
    organization: OrganizationId,
    after: Option<PrincipalId>,
    asked: Option<u32>,
) -> Result<Held, Problem> {
    require_operator(ctx)?;
    let (limit, now) = (limit(asked)?, ctx.now);
    super::run::reading_problem(app, move |conn| {
        Box::pin(async move {
            let runs = Runs::before(conn, &source, u64::MAX).await?;
            let itself = of_organization(conn, &source, &runs, organization).await?;
            let (roles, modules) = match after {
                Some(_) => (Vec::new(), Vec::new()),
                None => (roles(conn, &runs, organization).await?, modules(conn, &runs, organization).await?),
            };
            let removed = match after {
                Some(_) => Removed::default(),
                None => removal::removed(conn, &runs, organization).await?,
            };
            let page = rows::members(conn, organization, after.unwrap_or(PrincipalId(0)), limit).await?;
            let next = page.rows.last().filter(|_| page.more).map(|it| it.principal);
            let members = members(conn, &runs, organization, page.rows, now).await?;
            Ok(Held { organization: itself, roles, modules, members, removed, next })
        })
    })
    .await
}

/// Whether a run of a source made an organization, standing or taken back.
pub(super) async fn is_own_organization(
    conn: &mut Conn,
    source: &Key,
    organization: OrganizationId,
) -> Result<bool, Problem> {
    let Ok(number) = u64::try_from(organization.0 >> super::RUN_SHIFT) else { return Ok(false) };
    // Ids of other times name no run.
    let run: Option<Run> = match i64::try_from(number) {
        Ok(_) => store::adoption_run::get(conn, number).await?,
        Err(_) => None,
    };
    Ok(run.is_some_and(|run| run.source == *source))
}

async fn of_organization(
    conn: &mut Conn,
    source: &Key,
    runs: &Runs,
    organization: OrganizationId,
) -> Result<HeldOrganization, Problem> {
    let found = store::organization::get(conn, organization).await?;
    let found = found.ok_or_else(|| Problem::not_found(format!("no organization {organization}")))?;
    let row = (organization, String::new());
    let notes = notes(conn, ChangeKind::Organization, std::slice::from_ref(&row)).await?;
    let times = Times { created_at: found.created_at, updated_at: found.updated_at };
    let fact = found.organization;
    let is_customer = fact.kind == OrganizationKind::Customer;
    let (kind, status) = (ChangeKind::Organization, fact.status.as_str());
    Ok(HeldOrganization {
        waits: waits(runs, kind, notes.get(&row), status, found.updated_at),
        is_own: is_customer && is_own_organization(conn, source, organization).await?,
        is_settled: is_settled(times, notes.get(&row)),
        name: fact.name,
        status: fact.status,
        enabled_modules: fact.enabled_modules,
    })
}

async fn roles(conn: &mut Conn, runs: &Runs, organization: OrganizationId) -> Result<Vec<HeldRole>, Problem> {
    let found = rows::recorded_roles(conn, &runs.numbers, organization).await?;
    let keys: Vec<RowKey> = found.iter().map(|it| (organization, it.key.to_string())).collect();
    let notes = notes(conn, ChangeKind::Role, &keys).await?;
    let mut roles = Vec::with_capacity(found.len());
    for it in found {
        let note = notes.get(&(organization, it.key.to_string()));
        if let Some(role) = store::role::get(conn, organization, &it.key).await? {
            roles.push(HeldRole { role, is_settled: is_role_settled(&it, note) });
        }
    }
    Ok(roles)
}

/// Whether a role is as a run left it: one that people deleted and made anew is theirs.
pub(super) fn is_role_settled(role: &RecordedRole, note: Option<&Note>) -> bool {
    role.is_written && is_settled(role.times, note)
}

/// Whether the row of a module is as a run left it: one that people removed and made anew is theirs.
pub(super) fn is_module_settled(module: &HeldModule, is_written: bool, note: Option<&Note>) -> bool {
    match note {
        None => is_written && module.row_version == 1,
        Some(note) => module.changed_at == note.changed_at && module.changed_by.is_none(),
    }
}

async fn modules(
    conn: &mut Conn,
    runs: &Runs,
    organization: OrganizationId,
) -> Result<Vec<HeldEntitlement>, Problem> {
    let found = rows::recorded_modules(conn, &runs.numbers, organization).await?;
    let keys: Vec<RowKey> = found.iter().map(|(it, _)| (organization, it.module.to_string())).collect();
    let notes = notes(conn, ChangeKind::Entitlement, &keys).await?;
    let shown = |(module, is_written): (HeldModule, bool)| {
        let note = notes.get(&(organization, module.module.to_string()));
        HeldEntitlement { is_settled: is_module_settled(&module, is_written, note), module }
    };
    Ok(found.into_iter().map(shown).collect())
}

async fn members(
    conn: &mut Conn,
    runs: &Runs,
    organization: OrganizationId,
    page: Vec<HeldMembership>,
    now: Timestamp,
) -> Result<Vec<HeldMember>, Problem> {
    let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(Vec::new()) };
    let span = (first.principal, last.principal);
    let recorded = rows::recorded_members(conn, &runs.numbers, organization, span).await?;
    let recorded: HashSet<PrincipalId> = recorded.into_iter().collect();
    let wrote = rows::wrote_into(conn, &runs.numbers, organization).await?;
    let may_be_noted = |it: &&HeldMembership| recorded.contains(&it.principal) || !it.times.is_untouched();
    let keys = page.iter().filter(may_be_noted).map(|it| (organization, key_of(it.principal.0)));
    let notes = notes(conn, ChangeKind::Membership, &keys.collect::<Vec<RowKey>>()).await?;
    let mut more = adoption_bare::with_more(conn, organization, span, runs.end()).await?;
    let assignments = rows::assignments(conn, organization, span, runs.end()).await?;
    let mut assignments = given(runs, assignments, &mut more);
    let grants = rows::grants(conn, organization, span, runs.end()).await?;
    let mut grants = given(runs, grants, &mut more);
    let mut members = Vec::new();
    for it in page {
        let is_recorded = recorded.contains(&it.principal);
        let note = notes.get(&(organization, key_of(it.principal.0)));
        let (kind, status) = (ChangeKind::Membership, it.status.as_str());
        let is_with_account = runs.made_with(it.principal, it.times, &wrote);
        let is_settled = is_settled(it.times, note);
        let member = HeldMember {
            principal: it.principal,
            status: it.status,
            waits: waits(runs, kind, note, status, it.times.updated_at),
            is_recorded,
            is_with_account,
            is_settled,
            is_bare: is_settled && it.is_plain && !more.contains(&it.principal),
            is_out_of_time: it.starts_at.is_some_and(|at| now < at) || it.ends_at.is_some_and(|at| at <= now),
            assignments: assignments.remove(&it.principal).unwrap_or_default(),
            grants: grants.remove(&it.principal).unwrap_or_default(),
        };
        let has_rights = !member.assignments.is_empty() || !member.grants.is_empty();
        if is_recorded || is_with_account || has_rights {
            members.push(member);
        }
    }
    Ok(members)
}

/// Rows of runs, by whose they are; whoever has others has more.
fn given<T: ToString>(
    runs: &Runs,
    rows: Vec<HeldRow<T>>,
    more: &mut BTreeSet<PrincipalId>,
) -> BTreeMap<PrincipalId, Vec<(u128, String)>> {
    let mut by_principal: BTreeMap<PrincipalId, Vec<(u128, String)>> = BTreeMap::new();
    for row in rows {
        if !runs.made(row.id) {
            more.insert(row.principal);
            continue;
        }
        by_principal.entry(row.principal).or_default().push((row.id, row.gives.to_string()));
    }
    by_principal
}
