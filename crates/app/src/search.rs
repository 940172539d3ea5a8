//! Searches: who can do this, what can this principal do, on which resources. Each is complete over all its pages, and none can
//! disagree with a check, because each asks the engine for every candidate.

use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::check::{Question, pinned, resolve};
use charter_kernel::{OrganizationId, PermissionCode, PrincipalId, Problem, Revision};
use charter_policy::search::WhoCan;
use charter_policy::{Check, CheckResource, PermissionSet};

/// A permission somebody has now, or would have under other circumstances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPermission {
    /// Its code.
    pub code: PermissionCode,
    /// The answer hangs on a condition: under other circumstances it may be another.
    pub conditional: bool,
}

/// Everything a principal may do in an organization as a whole, as one set.
#[derive(Debug, Clone)]
pub struct HeldSet {
    /// The permissions, as numbered by the catalogue's order of codes.
    pub permissions: PermissionSet,
    /// The facts it was read from.
    pub revision: Revision,
}

/// Everybody the answer would be yes for, by id, one page.
pub async fn who_can(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    at_least: Option<Revision>,
    question: &Question<'_>,
    page: &Page,
) -> Result<Listing<PrincipalId>, Problem> {
    let snapshot = pinned(app, ctx, organization, at_least).await?;
    let shard = snapshot.shard();
    let after = match &page.after {
        Some(text) => {
            Some(text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?)
        }
        None => None,
    };
    let nobody = Listing { items: Vec::new(), next: None };
    let Ok((permission, minimum_level)) = resolve(snapshot.index(), question) else { return Ok(nobody) };
    if let Some((kind, id)) = question.resource
        && !shard.is_registered(kind, id)
        && app.registered_elsewhere(organization, snapshot.index(), kind, id).await?
    {
        return Ok(nobody);
    }
    let context = question.circumstances();
    let asked = WhoCan {
        permission,
        minimum_level,
        resource: question.resource.map(|(kind, id)| CheckResource { kind, id, registered_elsewhere: false }),
        now: ctx.now,
        context: &context,
    };
    let limit = page.limit.max(1) as usize;
    let wanted = question.subject_kind;
    // The one who asks is found as far as the credential goes, as a check answers: whoever is found may do it.
    let out_of_scope = ctx.principal().filter(|caller| {
        ctx.ceiling_of(caller.id).is_some_and(|ceiling| !ceiling.under(snapshot.index()).contains(permission))
    });
    let mut found = shard
        .who_can(&asked, after)
        .filter(|id| wanted.is_none_or(|wanted| shard.kind_of(*id) == Some(wanted)))
        .filter(|id| out_of_scope.is_none_or(|caller| caller.id != *id));
    let items: Vec<PrincipalId> = found.by_ref().take(limit).collect();
    let next = if found.next().is_some() { items.last().map(PrincipalId::to_string) } else { None };
    Ok(Listing { items, next })
}

/// What the question's subject may do now, in the order of the codes, one page; on one resource when the question names one.
pub async fn what_can(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    at_least: Option<Revision>,
    question: &Question<'_>,
    page: &Page,
) -> Result<Listing<HeldPermission>, Problem> {
    let snapshot = pinned(app, ctx, organization, at_least).await?;
    let (shard, index) = (snapshot.shard(), snapshot.index());
    let nothing = Listing { items: Vec::new(), next: None };
    let Some(subject) = app.subject_of(organization, &snapshot, question.subject).await? else {
        return Ok(nothing);
    };
    let context = question.circumstances();
    let at_large = shard.what_can(subject, ctx.now, &context);
    let ceiling = ctx.ceiling_of(subject).map(|ceiling| ceiling.under(index));
    let allowed = match question.resource {
        None => match ceiling {
            Some(ceiling) => at_large.allowed.intersect(&ceiling),
            None => at_large.allowed,
        },
        Some((kind, id)) => {
            if !shard.is_registered(kind, id)
                && app.registered_elsewhere(organization, index, kind, id).await?
            {
                return Ok(nothing);
            }
            let resource = Some(CheckResource { kind, id, registered_elsewhere: false });
            let on_it = |permission| {
                let check = Check {
                    subject,
                    permission,
                    minimum_level: None,
                    resource,
                    now: ctx.now,
                    context: &context,
                    ceiling: ceiling.as_ref(),
                };
                shard.decide(&check).is_allow()
            };
            index.all().iter().filter(|permission| on_it(*permission)).collect()
        }
    };
    let held = allowed.iter().filter_map(|permission| {
        let conditional = at_large.conditional.contains(permission);
        index.code(permission).map(|code| HeldPermission { code: code.clone(), conditional })
    });
    Ok(page.cut(held, |held| held.code.to_string()))
}

/// Everything the caller itself may do with the credential it shows.
pub async fn mine(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    at_least: Option<Revision>,
    question: &Question<'_>,
) -> Result<HeldSet, Problem> {
    let snapshot = pinned(app, ctx, organization, at_least).await?;
    let revision = snapshot.shard().revision();
    let Some(caller) = ctx.principal() else {
        // The operator may do everything.
        return Ok(HeldSet { permissions: snapshot.index().all().clone(), revision });
    };
    let mut permissions = snapshot.shard().what_can(caller.id, ctx.now, &question.circumstances()).allowed;
    if let Some(ceiling) = &caller.ceiling {
        permissions = permissions.intersect(&ceiling.under(snapshot.index()));
    }
    Ok(HeldSet { permissions, revision })
}

/// The resources of a type on which the question's subject may do what the question names, by id, one page: those that are
/// registered, and those that a grant or block names.
pub async fn resources(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    at_least: Option<Revision>,
    kind: &str,
    question: &Question<'_>,
    page: &Page,
) -> Result<Listing<String>, Problem> {
    let snapshot = pinned(app, ctx, organization, at_least).await?;
    let shard = snapshot.shard();
    let nothing = Listing { items: Vec::new(), next: None };
    let Ok((permission, minimum_level)) = resolve(snapshot.index(), question) else { return Ok(nothing) };
    let Some(subject) = app.subject_of(organization, &snapshot, question.subject).await? else {
        return Ok(nothing);
    };
    if question.subject_kind.is_some_and(|kind| shard.kind_of(subject).is_some_and(|is| is != kind)) {
        return Ok(nothing);
    }
    let context = question.circumstances();
    let ceiling = ctx.ceiling_of(subject).map(|ceiling| ceiling.under(snapshot.index()));
    let check = Check {
        subject,
        permission,
        minimum_level,
        resource: None,
        now: ctx.now,
        context: &context,
        ceiling: ceiling.as_ref(),
    };
    let limit = page.limit.max(1) as usize;
    let mut items: Vec<String> = Vec::new();
    for id in shard.resources(&check, kind, page.after.as_deref()) {
        if !shard.is_registered(kind, id)
            && app.registered_elsewhere(organization, snapshot.index(), kind, id).await?
        {
            continue;
        }
        if items.len() == limit {
            let next = items.last().cloned();
            return Ok(Listing { items, next });
        }
        items.push(id.to_owned());
    }
    Ok(Listing { items, next: None })
}

/// The names of the actions the question's subject may do on the question's resource, in order, one page.
pub async fn actions(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    at_least: Option<Revision>,
    question: &Question<'_>,
    page: &Page,
) -> Result<Listing<String>, Problem> {
    let snapshot = pinned(app, ctx, organization, at_least).await?;
    let shard = snapshot.shard();
    let nothing = Listing { items: Vec::new(), next: None };
    let Some((kind, id)) = question.resource else { return Ok(nothing) };
    let Some(subject) = app.subject_of(organization, &snapshot, question.subject).await? else {
        return Ok(nothing);
    };
    if question.subject_kind.is_some_and(|kind| shard.kind_of(subject).is_some_and(|is| is != kind)) {
        return Ok(nothing);
    }
    let registered_elsewhere = !shard.is_registered(kind, id)
        && app.registered_elsewhere(organization, snapshot.index(), kind, id).await?;
    let Some(permission) = snapshot.index().all().iter().next() else { return Ok(nothing) };
    let context = question.circumstances();
    let ceiling = ctx.ceiling_of(subject).map(|ceiling| ceiling.under(snapshot.index()));
    let check = Check {
        subject,
        permission,
        minimum_level: None,
        resource: None,
        now: ctx.now,
        context: &context,
        ceiling: ceiling.as_ref(),
    };
    let found = shard.actions(&check, CheckResource { kind, id, registered_elsewhere });
    Ok(page.cut(found.into_iter().map(|(name, _)| name.to_owned()), String::clone))
}
