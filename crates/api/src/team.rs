//! Teams: a tree; a member of a team is a member of every team above it.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown::{self, EditQuery, Mentioned, RemovalQuery, Shown, edited_answer, nowhere};
use charter_app::names::Names;
use charter_app::team::{self, TeamDraft, TeamUpdate};
use charter_kernel::facts::TeamFact;
use charter_kernel::{Key, PrincipalId, Problem, ProblemKind, TeamId};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A team.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Team {
    /// Its id.
    #[schemars(with = "wire::Id")]
    pub id: TeamId,
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Key of the team above.
    pub parent: Option<String>,
    /// How many members it has directly.
    pub members_count: usize,
}

impl Shown for Team {
    type Row = TeamFact;

    fn mention(row: &TeamFact, to: &mut Mentioned) {
        row.parent.into_iter().for_each(|parent| to.team(parent));
    }

    fn of(row: TeamFact, names: &Names) -> Self {
        Self {
            id: row.id,
            key: row.key,
            name: row.name,
            parent: row.parent.map(|parent| names.team(parent)),
            members_count: row.members.len(),
        }
    }
}

/// A direct member of a team.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TeamMember {
    /// Id of the account.
    #[schemars(with = "wire::Id")]
    pub id: PrincipalId,
    /// Login of the account.
    pub login: String,
    /// Shown name.
    pub name: String,
}

impl Shown for TeamMember {
    type Row = PrincipalId;

    fn mention(row: &PrincipalId, to: &mut Mentioned) {
        to.principal(*row);
    }

    fn of(row: PrincipalId, names: &Names) -> Self {
        Self { id: row, login: names.login(row), name: names.shown(row) }
    }
}

/// A team to be created.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Key of the team above.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub parent: Option<Key>,
    /// Logins or ids of its members.
    #[serde(default)]
    pub members: Vec<String>,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
    /// Accept separation-of-duty conflicts that come of it, for this reason.
    #[serde(default)]
    pub accept_conflicts: Option<String>,
}

/// What changes about a team; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamChange {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Key of the team above; null takes it to the top.
    #[serde(default, deserialize_with = "shown::present")]
    #[schemars(with = "Option<wire::Key>")]
    pub parent: Option<Option<Key>>,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
    /// Accept separation-of-duty conflicts that come of it, for this reason.
    #[serde(default)]
    pub accept_conflicts: Option<String>,
}

/// One team's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TeamPath {
    /// Key of the team.
    pub team: String,
}

/// The place of a member in a team.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TeamMemberPath {
    /// Key of the team.
    pub team: String,
    /// Login or id of the member.
    pub member: String,
}

edited_answer!(EditedTeam { team: Team });

async fn list(call: Call) -> Result<Reply<Items<Team>>, Problem> {
    let found = team::list(&call.app, call.permit()?, &call.page()).await?;
    Ok(call.viewed(shown::page(&call.app, call.organization()?, found).await?))
}

async fn create(call: Call<(), EditQuery, NewTeam>) -> Result<Reply<EditedTeam>, Problem> {
    let organization = call.organization()?;
    let body = &call.body;
    let options = shown::options(
        &call.precondition,
        call.query.dry_run,
        body.reason.as_deref(),
        body.accept_conflicts.as_deref(),
    )?;
    let draft = TeamDraft {
        key: body.key.clone(),
        name: body.name.clone(),
        parent: body.parent.clone(),
        members: body.members.clone(),
    };
    let edited = team::create(&call.app, &call.ctx, call.permit()?, options, draft).await?;
    let place = |team: &Team| Some(format!("/api/v1/organizations/{organization}/teams/{}", team.key));
    EditedTeam::answer(&call.app, organization, edited, place).await
}

async fn get(call: Call<TeamPath>) -> Result<Reply<Team>, Problem> {
    let organization = call.organization()?;
    let revision = shown::revision(&call.app, &call.ctx, organization).await?;
    let found = team::get(&call.app, call.permit()?, &call.path.team).await?;
    Ok(shown::versioned(shown::one(&call.app, organization, found).await?, revision))
}

async fn update(call: Call<TeamPath, EditQuery, TeamChange>) -> Result<Reply<EditedTeam>, Problem> {
    let body = &call.body;
    let options = shown::options(
        &call.precondition,
        call.query.dry_run,
        body.reason.as_deref(),
        body.accept_conflicts.as_deref(),
    )?;
    let update = TeamUpdate { name: body.name.clone(), parent: body.parent.clone() };
    let key = call.path.team.clone();
    let edited = team::update(&call.app, &call.ctx, call.permit()?, options, key, update).await?;
    EditedTeam::answer(&call.app, call.organization()?, edited, nowhere).await
}

async fn delete(call: Call<TeamPath, RemovalQuery>) -> Result<Reply<EditedTeam>, Problem> {
    let options = call.query.options(&call.precondition)?;
    let key = call.path.team.clone();
    let edited = team::delete(&call.app, &call.ctx, call.permit()?, options, key).await?;
    EditedTeam::answer(&call.app, call.organization()?, edited, nowhere).await
}

async fn members(call: Call<TeamPath>) -> Result<Reply<Items<TeamMember>>, Problem> {
    let found = team::get(&call.app, call.permit()?, &call.path.team).await?;
    let page = call.page().cut(found.members, PrincipalId::to_string);
    Ok(call.viewed(shown::page(&call.app, call.organization()?, page).await?))
}

async fn join(call: Call<TeamMemberPath, RemovalQuery>) -> Result<Reply<EditedTeam>, Problem> {
    let options = call.query.options(&call.precondition)?;
    let (key, who) = (call.path.team.clone(), call.path.member.clone());
    let edited = team::add_member(&call.app, &call.ctx, call.permit()?, options, key, who).await?;
    EditedTeam::answer(&call.app, call.organization()?, edited, nowhere).await
}

async fn leave(call: Call<TeamMemberPath, RemovalQuery>) -> Result<Reply<EditedTeam>, Problem> {
    let options = call.query.options(&call.precondition)?;
    let (key, who) = (call.path.team.clone(), call.path.member.clone());
    let edited = team::remove_member(&call.app, &call.ctx, call.permit()?, options, key, who).await?;
    EditedTeam::answer(&call.app, call.organization()?, edited, nowhere).await
}

const TEAMS: &str = "/api/v1/organizations/{organization}/teams";
const TEAM: &str = "/api/v1/organizations/{organization}/teams/{team}";
const TEAM_MEMBERS: &str = "/api/v1/organizations/{organization}/teams/{team}/members";
const TEAM_MEMBER: &str = "/api/v1/organizations/{organization}/teams/{team}/members/{member}";

/// The routes of teams.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(TEAMS, Guard::Permission("admin.teams.read"), list).named(
            "teams.list",
            "Teams",
            "Lists the teams of an organization.",
        ),
        Route::post(TEAMS, Guard::Permission("admin.teams.create"), create)
            .named("teams.create", "Teams", "Creates a team.")
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::Taken, ProblemKind::BeyondGiver, ProblemKind::Conflict])
            .example(r#"{"key": "payables", "name": "Payables", "parent": "finance", "members": ["ann@toys.example"]}"#),
        Route::get(TEAM, Guard::Permission("admin.teams.read"), get).named("teams.get", "Teams", "Shows one team."),
        Route::patch(TEAM, Guard::Permission("admin.teams.update"), update)
            .named("teams.update", "Teams", "Changes a team's name or its place in the tree.")
            .problems(&[ProblemKind::BeyondGiver, ProblemKind::Conflict])
            .example(r#"{"name": "Accounts payable"}"#),
        Route::delete(TEAM, Guard::Permission("admin.teams.delete"), delete)
            .named("teams.delete", "Teams", "Deletes a team with what was given to it.")
            .problems(&[ProblemKind::InUse]),
        Route::list(TEAM_MEMBERS, Guard::Permission("admin.teams.read"), members).named(
            "teams.members",
            "Teams",
            "Lists the direct members of a team.",
        ),
        Route::put(TEAM_MEMBER, Guard::Permission("admin.teams.update"), join)
            .named("teams.join", "Teams", "Adds a member to a team.")
            .problems(&[ProblemKind::BeyondGiver, ProblemKind::Conflict]),
        Route::delete(TEAM_MEMBER, Guard::Permission("admin.teams.update"), leave)
            .named("teams.leave", "Teams", "Takes a member out of a team."),
    ]
}
