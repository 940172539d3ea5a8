//! Registered resources: type, id, owner, attributes. A registered resource has one home; its stored attributes win over sent ones.

use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::edit::{Bench, EditOptions, Edited, edit};
use crate::guard::Permit;
use crate::{member, text};
use charter_kernel::facts::{OrganizationFacts, Reach, ResourceFact};
use charter_kernel::{Problem, ProblemKind, ResourceRef, ResourceTypeKey};
use std::sync::Arc;

/// Longest id of a resource.
const ID_MAX: usize = 256;

/// A resource to be registered or changed.
#[derive(Debug, Clone)]
pub struct ResourceDraft {
    /// Its type.
    pub kind: ResourceTypeKey,
    /// Its id, as the application names it.
    pub id: String,
    /// Login or id of its owner.
    pub owner: Option<String>,
    /// Attributes, a JSON object as text.
    pub attributes: String,
}

/// A resource id within the limits.
pub fn id(field: &str, text: &str) -> Result<Arc<str>, Problem> {
    if is_id(text) { Ok(text.into()) } else { Err(wrong_id(field)) }
}

/// Whether a text can be the id of a resource.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID_MAX && !text.chars().any(char::is_control)
}

/// The problem of a text that cannot be the id of a resource.
pub fn wrong_id(field: &str) -> Problem {
    Problem::invalid(field, format!("1 to {ID_MAX} bytes without control characters are expected"))
}

fn find<'a>(facts: &'a OrganizationFacts, kind: &str, id: &str) -> Result<&'a ResourceFact, Problem> {
    facts
        .resources
        .iter()
        .find(|row| row.resource.kind.as_str() == kind && &*row.resource.id == id)
        .ok_or_else(|| Problem::not_found(format!("no resource {kind}:{id} in this organization")))
}

/// Registers a resource, or replaces owner and attributes of a registered one.
pub async fn put(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    draft: ResourceDraft,
) -> Result<Edited<ResourceFact>, Problem> {
    let id = id("id", &draft.id)?;
    let attributes = text::json_object("attributes", &draft.attributes)?;
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let owner = draft
            .owner
            .as_deref()
            .map(|who| member::find(bench.facts, who).map(|member| member.principal))
            .transpose()
            .map_err(|problem| Problem::invalid("owner", problem.detail))?;
        let fact = ResourceFact { resource: ResourceRef { kind: draft.kind, id }, owner, attributes };
        match bench.facts.resources.iter_mut().find(|other| other.resource == fact.resource) {
            Some(other) => *other = fact.clone(),
            None => bench.facts.resources.push(fact.clone()),
        }
        Ok(fact)
    })
    .await
}

/// Removes a resource from the register. Refused while a denial or block reaches it.
pub async fn remove(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    kind: String,
    id: String,
) -> Result<Edited<ResourceFact>, Problem> {
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let gone = find(bench.facts, &kind, &id)?.clone();
        let reach = Reach::Resource(gone.resource.clone());
        let facts = &mut *bench.facts;
        if facts.grants.iter().any(|row| row.reach == reach)
            || facts.blocks.iter().any(|row| row.reach == reach)
        {
            return Err(Problem::new(
                ProblemKind::InUse,
                format!("grants or blocks reach {kind}:{id}: take them back first"),
            ));
        }
        facts.resources.retain(|row| row.resource != gone.resource);
        Ok(gone)
    })
    .await
}

/// One resource.
pub async fn get(app: &App, permit: &Permit, kind: &str, id: &str) -> Result<ResourceFact, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    find(&facts, kind, id).cloned()
}

/// Resources by type and id, one page; of one type when asked.
pub async fn list(
    app: &App,
    permit: &Permit,
    kind: Option<&str>,
    page: &Page,
) -> Result<Listing<ResourceFact>, Problem> {
    let mut rows = crate::facts(app, permit.organization()).await?.resources;
    rows.retain(|row| kind.is_none_or(|kind| row.resource.kind.as_str() == kind));
    rows.sort_by(|a, b| a.resource.cmp(&b.resource));
    Ok(page.cut(rows, |row| format!("{}:{}", row.resource.kind, row.resource.id)))
}
