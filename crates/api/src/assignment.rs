//! Assignments: a role given to a user, service account or team.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown::{self, EditQuery, Mentioned, RemovalQuery, Shown, SubjectName, edited_answer, nowhere};
use charter_app::assignment::{self, AssignmentDraft};
use charter_app::names::Names;
use charter_kernel::facts::AssignmentFact;
use charter_kernel::{AssignmentId, Key, Problem, ProblemKind, Timestamp};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A role given to somebody.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Assignment {
    /// Its id.
    #[schemars(with = "wire::Id")]
    pub id: AssignmentId,
    /// Key of the role.
    #[schemars(with = "wire::Key")]
    pub role: Key,
    /// Who holds it.
    pub subject: SubjectName,
    /// First instant at which it counts.
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Timestamp>,
    /// First instant at which it no longer counts.
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Timestamp>,
    /// Key of the condition under which it counts.
    #[schemars(with = "Option<wire::Key>")]
    pub condition: Option<Key>,
}

impl Shown for Assignment {
    type Row = AssignmentFact;

    fn mention(row: &AssignmentFact, to: &mut Mentioned) {
        to.subject(row.subject);
    }

    fn of(row: AssignmentFact, names: &Names) -> Self {
        Self {
            id: row.id,
            role: row.role,
            subject: SubjectName::of(row.subject, names),
            from: row.window.from(),
            to: row.window.to(),
            condition: row.condition,
        }
    }
}

/// An assignment to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAssignment {
    /// Key of the role.
    #[schemars(with = "wire::Key")]
    pub role: Key,
    /// Who gets it.
    pub subject: SubjectName,
    /// First instant at which it counts; at once when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Timestamp>,
    /// First instant at which it no longer counts; without an end when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Timestamp>,
    /// Key of the condition under which it counts.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub condition: Option<Key>,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
    /// Accept separation-of-duty conflicts, for this reason; the assignment must have an end then.
    #[serde(default)]
    pub accept_conflicts: Option<String>,
}

/// Which assignments to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignmentFilter {
    /// Only those of this member, by login or id.
    #[serde(default)]
    pub member: Option<String>,
    /// Only those of this team, by key.
    #[serde(default)]
    pub team: Option<String>,
    /// Only those of this role, by key.
    #[serde(default)]
    pub role: Option<String>,
}

/// One assignment's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AssignmentPath {
    /// Id of the assignment.
    #[schemars(with = "wire::Id")]
    pub assignment: AssignmentId,
}

edited_answer!(EditedAssignment { assignment: Assignment });

async fn list(call: Call<(), AssignmentFilter>) -> Result<Reply<Items<Assignment>>, Problem> {
    let AssignmentFilter { member, team, role } = &call.query;
    let of = shown::subject_filter(member.clone(), team.clone())?;
    let found = assignment::list(&call.app, call.permit()?, of, role.clone(), &call.page()).await?;
    Ok(call.viewed(shown::page(&call.app, call.organization()?, found).await?))
}

async fn assign(call: Call<(), EditQuery, NewAssignment>) -> Result<Reply<EditedAssignment>, Problem> {
    let organization = call.organization()?;
    let body = &call.body;
    let options = shown::options(
        &call.precondition,
        call.query.dry_run,
        body.reason.as_deref(),
        body.accept_conflicts.as_deref(),
    )?;
    let draft = AssignmentDraft {
        role: body.role.clone(),
        subject: body.subject.clone().into(),
        window: shown::window(body.from, body.to)?,
        condition: body.condition.clone(),
    };
    let edited = assignment::assign(&call.app, &call.ctx, call.permit()?, options, draft).await?;
    let place =
        |made: &Assignment| Some(format!("/api/v1/organizations/{organization}/assignments/{}", made.id));
    EditedAssignment::answer(&call.app, organization, edited, place).await
}

async fn get(call: Call<AssignmentPath>) -> Result<Reply<Assignment>, Problem> {
    let organization = call.organization()?;
    let revision = shown::revision(&call.app, &call.ctx, organization).await?;
    let found = assignment::get(&call.app, call.permit()?, call.path.assignment).await?;
    Ok(shown::versioned(shown::one(&call.app, organization, found).await?, revision))
}

async fn unassign(call: Call<AssignmentPath, RemovalQuery>) -> Result<Reply<EditedAssignment>, Problem> {
    let options = call.query.options(&call.precondition)?;
    let id = call.path.assignment;
    let edited = assignment::unassign(&call.app, &call.ctx, call.permit()?, options, id).await?;
    EditedAssignment::answer(&call.app, call.organization()?, edited, nowhere).await
}

const ASSIGNMENTS: &str = "/api/v1/organizations/{organization}/assignments";
const ASSIGNMENT: &str = "/api/v1/organizations/{organization}/assignments/{assignment}";

/// The routes of assignments.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(ASSIGNMENTS, Guard::Permission("admin.roles.read"), list).named(
            "assignments.list",
            "Assignments",
            "Lists who holds which role.",
        ),
        Route::post(ASSIGNMENTS, Guard::Permission("admin.roles.assign"), assign)
            .named("assignments.assign", "Assignments", "Gives a role to a member or team.")
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::Taken, ProblemKind::BeyondGiver, ProblemKind::Conflict])
            .example(r#"{"role": "accountant", "subject": {"member": "ann@toys.example"}, "to": "2027-01-01T00:00:00Z"}"#),
        Route::get(ASSIGNMENT, Guard::Permission("admin.roles.read"), get).named(
            "assignments.get",
            "Assignments",
            "Shows one assignment.",
        ),
        Route::delete(ASSIGNMENT, Guard::Permission("admin.roles.assign"), unassign)
            .named("assignments.unassign", "Assignments", "Takes a role back.")
            .problems(&[ProblemKind::LastAdministrator, ProblemKind::BeyondGiver]),
    ]
}
