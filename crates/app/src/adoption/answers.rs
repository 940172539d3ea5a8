//! What each member of an organization may do in it as a whole, for the proof: equal sets once a page.

use super::links::limit;
use super::require_operator;
use crate::App;
use crate::audit::hex;
use crate::caller::RequestContext;
use charter_kernel::{OrganizationId, PermissionCode, PrincipalId, Problem, Revision};
use charter_policy::PermissionSet;
use std::collections::{BTreeMap, HashMap};

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
    let snapshot = app.snapshots().at_least(organization, revision, now).await?;
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
    let modules =
        shard.entitled_modules(now).into_iter().map(|(key, is_on)| (key.to_owned(), is_on)).collect();
    Ok(Answers { revision: shard.revision(), codes: index.codes().to_vec(), modules, classes, members, next })
}
