//! Teams: a tree; a member of a team is a member of every team above it and holds what they hold.

use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::edit::{Bench, EditOptions, Edited, edit};
use crate::guard::Permit;
use crate::{member, text};
use charter_kernel::facts::{BlockSubject, OrganizationFacts, Subject, TeamFact};
use charter_kernel::{Problem, ProblemKind, TeamId, TeamKey};

/// A team to be created.
#[derive(Debug, Clone)]
pub struct TeamDraft {
    /// Its key.
    pub key: TeamKey,
    /// Its name.
    pub name: String,
    /// Key of the team above.
    pub parent: Option<TeamKey>,
    /// Logins or ids of its members.
    pub members: Vec<String>,
}

/// What may change about a team.
#[derive(Debug, Clone, Default)]
pub struct TeamUpdate {
    /// Its name.
    pub name: Option<String>,
    /// The team above, or none.
    pub parent: Option<Option<TeamKey>>,
}

/// The team with a key.
pub fn find<'a>(facts: &'a OrganizationFacts, key: &str) -> Result<&'a TeamFact, Problem> {
    facts
        .teams
        .iter()
        .find(|team| team.key.as_str() == key)
        .ok_or_else(|| Problem::not_found(format!("no team {key:?} in this organization")))
}

fn find_mut<'a>(facts: &'a mut OrganizationFacts, key: &str) -> Result<&'a mut TeamFact, Problem> {
    facts
        .teams
        .iter_mut()
        .find(|team| team.key.as_str() == key)
        .ok_or_else(|| Problem::not_found(format!("no team {key:?} in this organization")))
}

fn parent_id(facts: &OrganizationFacts, parent: Option<&TeamKey>) -> Result<Option<TeamId>, Problem> {
    parent
        .map(|key| {
            find(facts, key.as_str())
                .map(|team| team.id)
                .map_err(|problem| Problem::invalid("parent", problem.detail))
        })
        .transpose()
}

/// Creates a team.
pub async fn create(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    draft: TeamDraft,
) -> Result<Edited<TeamFact>, Problem> {
    let name = text::name("name", &draft.name)?;
    let id = TeamId(app.fresh_id());
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        if find(bench.facts, draft.key.as_str()).is_ok() {
            return Err(Problem::new(ProblemKind::Taken, format!("there is a team {} already", draft.key)));
        }
        let mut members = Vec::new();
        for who in &draft.members {
            let id = member::find(bench.facts, who)
                .map_err(|problem| Problem::invalid("members", problem.detail))?
                .principal;
            if !members.contains(&id) {
                members.push(id);
            }
        }
        members.sort_unstable();
        let parent = parent_id(bench.facts, draft.parent.as_ref())?;
        let team = TeamFact { id, key: draft.key, name, parent, members };
        bench.facts.teams.push(team.clone());
        Ok(team)
    })
    .await
}

/// Changes a team's name or place in the tree.
pub async fn update(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    key: String,
    update: TeamUpdate,
) -> Result<Edited<TeamFact>, Problem> {
    let name = update.name.as_deref().map(|name| text::name("name", name)).transpose()?;
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let parent = update.parent.map(|parent| parent_id(bench.facts, parent.as_ref())).transpose()?;
        let team = find_mut(bench.facts, &key)?;
        if let Some(name) = name {
            team.name = name;
        }
        if let Some(parent) = parent {
            team.parent = parent;
        }
        Ok(team.clone())
    })
    .await
}

/// Deletes a team that has no team below it, with what was given to it.
pub async fn delete(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    key: String,
) -> Result<Edited<TeamFact>, Problem> {
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let team = find(bench.facts, &key)?.clone();
        if let Some(below) = bench.facts.teams.iter().find(|other| other.parent == Some(team.id)) {
            return Err(Problem::new(
                ProblemKind::InUse,
                format!("team {} stands below {key}: move or delete it first", below.key),
            ));
        }
        if let Some(block) =
            bench.facts.blocks.iter().find(|block| block.subject == BlockSubject::Team(team.id))
        {
            return Err(Problem::new(
                ProblemKind::InUse,
                format!(
                    "block {} stops this team: lift it first, so that nobody gains by the deletion unseen",
                    block.id
                ),
            ));
        }
        if let Some(row) =
            bench.facts.conditions.iter().find(|row| row.condition.teams().contains(&&team.key))
        {
            return Err(Problem::new(
                ProblemKind::InUse,
                format!("condition {} names this team: change it first", row.key),
            ));
        }
        let gone = Subject::Team(team.id);
        bench.facts.teams.retain(|other| other.id != team.id);
        bench.facts.assignments.retain(|row| row.subject != gone);
        bench.facts.grants.retain(|row| row.subject != gone);
        Ok(team)
    })
    .await
}

/// Adds a member to a team.
pub async fn add_member(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    key: String,
    who: String,
) -> Result<Edited<TeamFact>, Problem> {
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let id = member::find(bench.facts, &who)?.principal;
        let team = find_mut(bench.facts, &key)?;
        if !team.members.contains(&id) {
            team.members.push(id);
            team.members.sort_unstable();
        }
        Ok(team.clone())
    })
    .await
}

/// Takes a member out of a team.
pub async fn remove_member(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    key: String,
    who: String,
) -> Result<Edited<TeamFact>, Problem> {
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let id = member::find(bench.facts, &who)?.principal;
        let team = find_mut(bench.facts, &key)?;
        if !team.members.contains(&id) {
            return Err(Problem::not_found(format!("{who:?} is not in team {key}")));
        }
        team.members.retain(|other| *other != id);
        Ok(team.clone())
    })
    .await
}

/// One team.
pub async fn get(app: &App, permit: &Permit, key: &str) -> Result<TeamFact, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    find(&facts, key).cloned()
}

/// Teams by key, one page.
pub async fn list(app: &App, permit: &Permit, page: &Page) -> Result<Listing<TeamFact>, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    let mut teams = facts.teams;
    teams.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(page.cut(teams, |team| team.key.to_string()))
}
