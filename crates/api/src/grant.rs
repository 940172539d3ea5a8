//! Grants: rights, or denials, outside roles.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown::{
    self, EditQuery, Mentioned, ReachName, RemovalQuery, Shown, SubjectFilter, SubjectName, edited_answer,
    nowhere,
};
use charter_app::grant::{self, GrantDraft};
use charter_app::names::Names;
use charter_kernel::facts::GrantFact;
use charter_kernel::{GrantId, Key, Pattern, PrincipalId, Problem, ProblemKind, Timestamp};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    #[default]
    Allow,
    Deny,
}

impl From<Effect> for charter_kernel::Effect {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Allow => Self::Allow,
            Effect::Deny => Self::Deny,
        }
    }
}

impl From<charter_kernel::Effect> for Effect {
    fn from(effect: charter_kernel::Effect) -> Self {
        match effect {
            charter_kernel::Effect::Allow => Self::Allow,
            charter_kernel::Effect::Deny => Self::Deny,
        }
    }
}

/// A right, or a denial, outside roles.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Grant {
    /// Its id.
    #[schemars(with = "wire::Id")]
    pub id: GrantId,
    /// Who it goes to.
    pub subject: SubjectName,
    /// The permission, or a pattern over permissions.
    #[schemars(with = "wire::Pattern")]
    pub permission: Pattern,
    /// How far it reaches; null is the whole organization.
    pub reach: Option<ReachName>,
    /// Allow or deny.
    pub effect: Effect,
    /// First instant at which it counts.
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Timestamp>,
    /// First instant at which it no longer counts.
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Timestamp>,
    /// Key of the condition under which it counts.
    #[schemars(with = "Option<wire::Key>")]
    pub condition: Option<Key>,
    /// Why it was given.
    pub reason: String,
    /// Login of who gave it; null when the operator or Charter itself did.
    pub given_by: Option<String>,
    /// Id of who gave it.
    #[schemars(with = "Option<wire::Id>")]
    pub given_by_id: Option<PrincipalId>,
    /// When it was given.
    #[schemars(with = "wire::Time")]
    pub given_at: Timestamp,
}

impl Shown for Grant {
    type Row = GrantFact;

    fn mention(row: &GrantFact, to: &mut Mentioned) {
        to.subject(row.subject);
        row.given_by.into_iter().for_each(|id| to.principal(id));
    }

    fn of(row: GrantFact, names: &Names) -> Self {
        Self {
            id: row.id,
            subject: SubjectName::of(row.subject, names),
            permission: row.pattern,
            reach: ReachName::of(&row.reach),
            effect: row.effect.into(),
            from: row.window.from(),
            to: row.window.to(),
            condition: row.condition,
            reason: row.reason,
            given_by: row.given_by.map(|id| names.login(id)),
            given_by_id: row.given_by,
            given_at: row.given_at,
        }
    }
}

/// A grant to be given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// Who gets it.
    pub subject: SubjectName,
    /// The permission, or a pattern over permissions.
    #[schemars(with = "wire::Pattern")]
    pub permission: Pattern,
    /// How far it reaches; the whole organization when left out.
    #[serde(default)]
    pub reach: Option<ReachName>,
    /// Allow or deny.
    #[serde(default)]
    pub effect: Effect,
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
    /// Why it is given.
    pub reason: String,
    /// Accept separation-of-duty conflicts, for this reason; the grant must have an end then.
    #[serde(default)]
    pub accept_conflicts: Option<String>,
}

/// One grant's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GrantPath {
    /// Id of the grant.
    #[schemars(with = "wire::Id")]
    pub grant: GrantId,
}

edited_answer!(EditedGrant { grant: Grant });

async fn list(call: Call<(), SubjectFilter>) -> Result<Reply<Items<Grant>>, Problem> {
    let of = shown::subject_filter(call.query.member.clone(), call.query.team.clone())?;
    let found = grant::list(&call.app, call.permit()?, of, &call.page()).await?;
    Ok(call.viewed(shown::page(&call.app, call.organization()?, found).await?))
}

async fn give(call: Call<(), EditQuery, NewGrant>) -> Result<Reply<EditedGrant>, Problem> {
    let organization = call.organization()?;
    let body = &call.body;
    let options = shown::options(
        &call.precondition,
        call.query.dry_run,
        Some(&body.reason),
        body.accept_conflicts.as_deref(),
    )?;
    let draft = GrantDraft {
        subject: body.subject.clone().into(),
        pattern: body.permission.clone(),
        reach: ReachName::reach(body.reach.clone())?,
        effect: body.effect.into(),
        window: shown::window(body.from, body.to)?,
        condition: body.condition.clone(),
        reason: body.reason.clone(),
    };
    let edited = grant::give(&call.app, &call.ctx, call.permit()?, options, draft).await?;
    let place = |made: &Grant| Some(format!("/api/v1/organizations/{organization}/grants/{}", made.id));
    EditedGrant::answer(&call.app, organization, edited, place).await
}

async fn get(call: Call<GrantPath>) -> Result<Reply<Grant>, Problem> {
    let organization = call.organization()?;
    let revision = shown::revision(&call.app, &call.ctx, organization).await?;
    let found = grant::get(&call.app, call.permit()?, call.path.grant).await?;
    Ok(shown::versioned(shown::one(&call.app, organization, found).await?, revision))
}

async fn revoke(call: Call<GrantPath, RemovalQuery>) -> Result<Reply<EditedGrant>, Problem> {
    let options = call.query.options(&call.precondition)?;
    let id = call.path.grant;
    let edited = grant::revoke(&call.app, &call.ctx, call.permit()?, options, id).await?;
    EditedGrant::answer(&call.app, call.organization()?, edited, nowhere).await
}

const GRANTS: &str = "/api/v1/organizations/{organization}/grants";
const GRANT: &str = "/api/v1/organizations/{organization}/grants/{grant}";

/// The routes of grants.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(GRANTS, Guard::Permission("admin.permissions.read"), list).named(
            "grants.list",
            "Grants",
            "Lists the rights and denials outside roles.",
        ),
        Route::post(GRANTS, Guard::Permission("admin.permissions.assign"), give)
            .named("grants.give", "Grants", "Gives a right, or a denial, to a member or team.")
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::BeyondGiver, ProblemKind::Conflict])
            .example(
                r#"{"subject": {"member": "ann@toys.example"}, "permission": "finance.vouchers.approve", "reach": {"type": "vouchers", "id": "1042"}, "to": "2027-01-01T00:00:00Z", "reason": "covers for Bo"}"#,
            ),
        Route::get(GRANT, Guard::Permission("admin.permissions.read"), get).named(
            "grants.get",
            "Grants",
            "Shows one grant.",
        ),
        Route::delete(GRANT, Guard::Permission("admin.permissions.revoke"), revoke)
            .named("grants.revoke", "Grants", "Takes a grant back.")
            .problems(&[ProblemKind::BeyondGiver, ProblemKind::Conflict]),
    ]
}
