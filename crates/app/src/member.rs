//! Members of an organization: people and service accounts, with the dates of their membership and their attributes there.

use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::edit::{Bench, EditOptions, Edited, Said, edit};
use crate::guard::Permit;
use crate::text;
use charter_kernel::facts::{
    BlockSubject, MemberFact, OrganizationFacts, PrincipalKind, PrincipalStatus, Subject,
};
use charter_kernel::{Effect, OrganizationId, PrincipalId, Problem, ProblemKind, Timestamp, Window};
use charter_store as store;

/// A member to be added.
#[derive(Debug, Clone)]
pub struct MemberDraft {
    /// User or service account.
    pub kind: PrincipalKind,
    /// E-mail of a user, name of a service account; one that exists is made a member here as well.
    pub login: String,
    /// Shown name; the login when left out.
    pub name: Option<String>,
    /// When the membership is in force.
    pub window: Window,
    /// Attributes, a JSON object as text.
    pub attributes: String,
}

/// What may change about a member; what is left out stays.
#[derive(Debug, Clone, Default)]
pub struct MemberUpdate {
    /// Shown name.
    pub name: Option<String>,
    /// The membership: active, suspended or deactivated.
    pub status: Option<PrincipalStatus>,
    /// The account in all its organizations: active, suspended or deactivated.
    pub account_status: Option<PrincipalStatus>,
    /// First instant of the membership; `Some(None)` opens it.
    pub from: Option<Option<Timestamp>>,
    /// First instant after the membership; `Some(None)` opens it.
    pub to: Option<Option<Timestamp>>,
    /// Attributes, a JSON object as text.
    pub attributes: Option<String>,
}

/// The member of an organization a text names: an id or a login.
pub fn find<'a>(facts: &'a OrganizationFacts, text: &str) -> Result<&'a MemberFact, Problem> {
    let folded = text::fold_login(text);
    let by_id = text.parse::<PrincipalId>().ok();
    facts
        .members
        .iter()
        .find(|member| by_id == Some(member.principal) || member.login == folded)
        .ok_or_else(|| Problem::not_found(format!("no member {text:?} in this organization")))
}

/// The id of a member, by login or id.
pub async fn id_of(app: &App, organization: OrganizationId, text: &str) -> Result<PrincipalId, Problem> {
    let facts = crate::facts(app, organization).await?;
    Ok(find(&facts, text)?.principal)
}

/// The principal of a login, whatever organizations it is a member of.
pub async fn principal_of_login(app: &App, login: &str) -> Result<Option<PrincipalId>, Problem> {
    let folded = text::fold_login(login);
    let found =
        reading_all!(app.database(), |conn| async move { store::principal::by_login(conn, &folded).await })?;
    Ok(found.map(|principal| principal.id))
}

fn find_mut<'a>(facts: &'a mut OrganizationFacts, text: &str) -> Result<&'a mut MemberFact, Problem> {
    let id = find(facts, text)?.principal;
    facts
        .members
        .iter_mut()
        .find(|member| member.principal == id)
        .ok_or_else(|| Problem::not_found(format!("no member {text:?} in this organization")))
}

/// Whether the caller may learn of an account that exists: it is a member nowhere, or of an organization of the caller's too.
async fn may_know(app: &App, ctx: &RequestContext, account: PrincipalId) -> Result<bool, Problem> {
    if ctx.is_operator() {
        return Ok(true);
    }
    let places = reading_all!(app.database(), |conn| store::membership::organizations_of(conn, account))?;
    let Some(caller) = ctx.principal().map(|caller| caller.id) else { return Ok(false) };
    let own = reading_all!(app.database(), |conn| store::membership::organizations_of(conn, caller))?;
    Ok(places.is_empty() || places.iter().any(|place| own.contains(place)))
}

/// Adds a member. A login that is known in the installation keeps its id, name and status; an administrator cannot draw in, or
/// read the name and status of, an account of organizations that are none of theirs.
pub async fn add(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    draft: MemberDraft,
) -> Result<Edited<MemberFact>, Problem> {
    let login = match draft.kind {
        PrincipalKind::User => text::login("login", &draft.login)?,
        PrincipalKind::ServiceAccount => text::service_account_login("login", &draft.login)?,
    };
    let name = draft
        .name
        .as_deref()
        .map(|name| text::name("name", name))
        .transpose()?
        .unwrap_or_else(|| login.clone());
    let attributes = text::json_object("attributes", &draft.attributes)?;
    let wanted = login.clone();
    let known =
        reading_all!(app.database(), |conn| async move { store::principal::by_login(conn, &wanted).await })?;
    if let Some(known) = &known
        && !may_know(app, ctx, known.id).await?
    {
        return Err(Problem::new(
            ProblemKind::Taken,
            format!("{login} is an account of another organization: the operator can add it here"),
        ));
    }
    if let Some(known) = &known
        && known.kind != draft.kind
    {
        return Err(Problem::new(
            ProblemKind::Taken,
            format!("{login} is a {} already, not a {}", known.kind.as_str(), draft.kind.as_str()),
        ));
    }
    let member = MemberFact {
        principal: known.as_ref().map_or_else(|| PrincipalId(app.fresh_id()), |known| known.id),
        kind: draft.kind,
        login: login.clone(),
        name: known.as_ref().map_or(name, |known| known.name.clone()),
        status: PrincipalStatus::Active,
        account_status: known.as_ref().map_or(PrincipalStatus::Active, |known| known.status),
        window: draft.window,
        attributes,
    };
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        if bench.facts.members.iter().any(|other| other.login == login) {
            return Err(Problem::new(ProblemKind::Taken, format!("{login} is a member already")));
        }
        bench.facts.members.push(member.clone());
        Ok(member)
    })
    .await
}

/// Changes a member. What the membership is in its life is the organization's business, what the account is in its life the platform's. The
/// name belongs to the account: it may change here only while this is its one organization.
pub async fn update(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    who: String,
    update: MemberUpdate,
) -> Result<Edited<MemberFact>, Problem> {
    let name = update.name.as_deref().map(|name| text::name("name", name)).transpose()?;
    let attributes =
        update.attributes.as_deref().map(|text| text::json_object("attributes", text)).transpose()?;
    if update.account_status.is_some() && !ctx.is_operator() {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "an account is suspended in all its organizations by whoever runs this installation: change `status`, which is the membership here",
        ));
    }
    if name.is_some() && !ctx.is_operator() {
        let principal = find(&crate::facts(app, permit.organization()).await?, &who)?.principal;
        let elsewhere =
            reading_all!(app.database(), |conn| store::membership::organizations_of(conn, principal))?;
        if elsewhere.iter().any(|organization| *organization != permit.organization()) {
            return Err(Problem::new(
                ProblemKind::Forbidden,
                "the account belongs to other organizations as well: ask the operator to change its name",
            ));
        }
    }
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let member = find_mut(bench.facts, &who)?;
        // Whom somebody stops who is stopped already stays so, though a run of adoption stopped it before.
        let is_said = |said: Option<PrincipalStatus>, is: PrincipalStatus| {
            said.is_some_and(|said| said == is && said != PrincipalStatus::Active)
        };
        let of_account = is_said(update.account_status, member.account_status);
        let is_said = of_account || is_said(update.status, member.status);
        let said = is_said.then_some(Said { principal: member.principal, of_account });
        if let Some(name) = name {
            member.name = name;
        }
        if let Some(status) = update.status {
            member.status = status;
        }
        if let Some(status) = update.account_status {
            member.account_status = status;
        }
        if update.from.is_some() || update.to.is_some() {
            let from = update.from.unwrap_or(member.window.from());
            let to = update.to.unwrap_or(member.window.to());
            member.window =
                Window::new(from, to).map_err(|error| Problem::invalid("to", error.to_string()))?;
        }
        if let Some(attributes) = attributes {
            member.attributes = attributes;
        }
        let member = member.clone();
        bench.said = said;
        Ok(member)
    })
    .await
}

/// Removes a member with everything given to it by name here: team places, assignments, grants, previews. Refused while a denial or
/// block names the account.
pub async fn remove(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    who: String,
) -> Result<Edited<MemberFact>, Problem> {
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let member = find(bench.facts, &who)?.clone();
        let gone = Subject::Principal(member.principal);
        let facts = &mut *bench.facts;
        let denied = facts.grants.iter().any(|row| row.subject == gone && row.effect == Effect::Deny);
        let blocked = facts.blocks.iter().any(|row| row.subject == BlockSubject::Principal(member.principal));
        if denied || blocked {
            return Err(Problem::new(
                ProblemKind::InUse,
                "a denial or block names this account: it would be lost, and the account could come back without it; end the membership with `to` instead, or lift it first",
            ));
        }
        facts.members.retain(|other| other.principal != member.principal);
        for team in &mut facts.teams {
            team.members.retain(|other| *other != member.principal);
        }
        facts.assignments.retain(|row| row.subject != gone);
        facts.grants.retain(|row| row.subject != gone);
        facts.previews.retain(|row| row.principal != member.principal);
        for resource in &mut facts.resources {
            if resource.owner == Some(member.principal) {
                resource.owner = None;
            }
        }
        Ok(member)
    })
    .await
}

/// One member.
pub async fn get(app: &App, permit: &Permit, who: &str) -> Result<MemberFact, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    find(&facts, who).cloned()
}

/// Members in the order they were made, one page.
pub async fn list(app: &App, permit: &Permit, page: &Page) -> Result<Listing<MemberFact>, Problem> {
    let organization = permit.organization();
    let after = match &page.after {
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
        None => PrincipalId(0),
    };
    let limit = page.limit;
    let found = reading!(app.database(), organization, |conn| store::membership::page(
        conn,
        organization,
        after,
        limit
    ))?;
    let next = if found.more { found.rows.last().map(|member| member.principal.to_string()) } else { None };
    Ok(Listing { items: found.rows, next })
}
