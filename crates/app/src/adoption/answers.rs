//! What each member of an organization may do in it as a whole, for the proof: equal sets once a page. What waits for the proof of a run
//! (accounts, memberships, the organization) counts as if it were open. Asked without a source, what its runs wrote counts as gone.

use super::held::Runs;
use super::links::limit;
use super::{range_of, require_operator};
use crate::App;
use crate::audit::hex;
use crate::caller::RequestContext;
use crate::snapshot::Snapshot;
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{Key, OrganizationId, PermissionCode, PrincipalId, Problem, Revision};
use charter_policy::PermissionSet;
use charter_store::adoption_hold;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The answers about a page of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The revision they were read from.
    pub revision: Revision,
    /// Every code of the catalogue in force, in the order of the bits.
    pub codes: Vec<PermissionCode>,
    /// Whether the organization may use each module now.
    pub modules: BTreeMap<String, bool>,
    /// Sets of codes, in hexadecimal: the lowest bit of the first byte is the first code.
    pub classes: Vec<String>,
    /// Each member with the number of the set they have.
    pub members: Vec<(PrincipalId, u32)>,
    /// The member to ask the next page with; none at the end.
    pub next: Option<PrincipalId>,
}

/// What the members of an organization may do, after one of them.
pub async fn answers(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    without: Option<Key>,
    after: Option<PrincipalId>,
    asked: Option<u32>,
) -> Result<Answers, Problem> {
    require_operator(ctx)?;
    let limit = limit(asked)? as usize;
    let now = ctx.now;
    // What was written a moment ago by another node counts as well.
    let revision = reading!(app.database(), organization, |conn| async move {
        charter_store::revision::get(conn, organization).await
    })?;
    let supposed = match without {
        Some(source) => Some(by_hand(app, organization, revision, source).await?),
        None => supposed(app, organization, revision).await?,
    };
    let (snapshot, is_supposed) = match supposed {
        Some(snapshot) => (snapshot, true),
        None => (app.snapshots().at_least(organization, revision, now).await?, false),
    };
    let (shard, index) = (snapshot.shard(), snapshot.index());
    let all = shard.members();
    let start = after.map_or(0, |after| all.partition_point(|member| *member <= after));
    let mut page = all.into_iter().skip(start);
    let mut numbers: HashMap<PermissionSet, u32> = HashMap::new();
    let (mut classes, mut members) = (Vec::new(), Vec::new());
    for member in page.by_ref().take(limit) {
        let allowed = shard.allowed_at_large(member, now);
        let number = *numbers.entry(allowed).or_insert_with(|| {
            classes.push(hex(&allowed.to_bytes(index.len())));
            (classes.len() - 1) as u32
        });
        members.push((member, number));
    }
    let next = if page.next().is_some() { members.last().map(|(member, _)| *member) } else { None };
    if is_supposed && next.is_none() {
        app.snapshots().suppose(None);
    }
    let modules =
        shard.entitled_modules(now).into_iter().map(|(key, is_on)| (key.to_owned(), is_on)).collect();
    Ok(Answers { revision: shard.revision(), codes: index.codes().to_vec(), modules, classes, members, next })
}

/// What is supposed of what waits. No source has this name.
const OPENED: &str = "";

/// The organization as it is without the assignments and grants that runs of a source wrote.
async fn by_hand(
    app: &App,
    organization: OrganizationId,
    revision: Revision,
    source: Key,
) -> Result<Arc<Snapshot>, Problem> {
    if let Some(known) = app.snapshots().supposed(organization, source.as_str(), revision) {
        return Ok(known);
    }
    let asked = source.clone();
    let runs = super::run::reading_problem(app, move |conn| {
        Box::pin(async move { Runs::before(conn, &asked, u64::MAX).await })
    })
    .await?;
    let mut facts = crate::facts(app, organization).await?;
    facts.assignments.retain(|row| !runs.made(row.id.0));
    facts.grants.retain(|row| !runs.made(row.id.0));
    let snapshot = app.snapshots().compile(&facts)?;
    let kept = (organization, source.as_str().to_owned(), Arc::clone(&snapshot));
    app.snapshots().suppose(Some(kept));
    Ok(snapshot)
}

/// The organization as it will be when what waits for the proof is opened; none where nothing waits.
async fn supposed(
    app: &App,
    organization: OrganizationId,
    revision: Revision,
) -> Result<Option<Arc<Snapshot>>, Problem> {
    let runs = reading_all!(app.database(), |conn| adoption_hold::runs(conn))?;
    let mut waiting: HashSet<PrincipalId> = HashSet::new();
    let (mut begins, mut opens) = (HashSet::new(), None);
    for (run, opened_at) in runs {
        let range = range_of(run);
        let of = async |limit: u32| {
            reading_all!(app.database(), |conn| adoption_hold::members(
                conn,
                organization,
                range,
                opened_at,
                limit
            ))
        };
        let again = async |limit: u32| match opened_at {
            Some(_) => Ok(Vec::new()),
            None => {
                reading_all!(app.database(), |conn| adoption_hold::memberships(
                    conn,
                    organization,
                    run,
                    limit
                ))
            }
        };
        let itself = match opened_at {
            Some(_) => None,
            None => {
                reading_all!(app.database(), |conn| adoption_hold::organization(conn, organization, run))?
            }
        };
        if of(1).await?.is_empty() && again(1).await?.is_empty() && itself.is_none() {
            continue;
        }
        if let Some(known) = app.snapshots().supposed(organization, OPENED, revision) {
            return Ok(Some(known));
        }
        waiting.extend(of(u32::MAX).await?);
        begins.extend(again(u32::MAX).await?);
        opens = opens.or(itself);
    }
    if waiting.is_empty() && begins.is_empty() && opens.is_none() {
        return Ok(None);
    }
    let mut facts = crate::facts(app, organization).await?;
    for member in &mut facts.members {
        if waiting.contains(&member.principal) {
            member.account_status = PrincipalStatus::Active;
        }
        if begins.contains(&member.principal) {
            member.status = PrincipalStatus::Active;
        }
    }
    facts.organization.status = opens.unwrap_or(facts.organization.status);
    let snapshot = app.snapshots().compile(&facts)?;
    app.snapshots().suppose(Some((organization, OPENED.to_owned(), Arc::clone(&snapshot))));
    Ok(Some(snapshot))
}
