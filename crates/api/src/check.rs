//! Checks: may this principal do this to that, here, now? One, many, and with reasons for administrators.

use crate::edge::{Call, Guard, Reply, Route, wire};
use crate::question::{AskedPath, ResourceAsked, WHY, Words, may_ask, permission_of};
use crate::shadow::BesideView;
use charter_app::check::{self, Answer, LimitAsked, Question};
use charter_app::shadow::{self, Side};
use charter_app::snapshot::Snapshot;
use charter_app::{App, RequestContext};
use charter_kernel::{Decision, Key, OrganizationId, PrincipalId, Problem, ProblemKind, Revision, Timestamp};
use charter_policy::{PathStep, Remedy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Checks in one batch at most.
pub const BATCH_MAX: usize = 1_000;

/// One check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Login or id of the principal; the caller itself when left out.
    #[serde(default)]
    pub subject: Option<String>,
    /// The permission.
    #[serde(default)]
    pub permission: Option<String>,
    /// In place of a permission: an action on a type of resource.
    #[serde(default)]
    pub action: Option<String>,
    /// The type of resource, where no resource names it.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// The thing it is about; the organization as a whole when left out.
    #[serde(default)]
    pub resource: Option<ResourceAsked>,
    /// Attributes of the principal, as the caller says.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub subject_properties: Option<Map<String, Value>>,
    /// Attributes of the action, as the caller says.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub action_properties: Option<Map<String, Value>>,
    /// The principal's request: `address`, `mfa`, `amr` (RFC 8176), and whatever else conditions read.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub context: Option<Map<String, Value>>,
    /// A limit that what is asked for would use: beyond a hard one the answer is deny. Nothing is counted.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub limit: Option<Key>,
    /// How many of the limit; 1 when left out.
    #[serde(default)]
    pub amount: Option<i64>,
    /// Tell which rows decided and what would change the answer; needs admin.permissions.read.
    #[serde(default)]
    pub explain: bool,
    /// Explain as of another instant, by the facts of today.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub at: Option<Timestamp>,
}

/// Many checks, answered from the same facts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckBatch {
    /// What every check has that does not say otherwise.
    #[serde(default)]
    pub defaults: Words,
    /// The checks, at most 1,000.
    pub checks: Vec<Words>,
}

/// The row that decided.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DecidedBy {
    /// `block`, `grant`, `assignment` or `roles`.
    pub kind: &'static str,
    /// Id of the row; roles held without window or condition have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<wire::Id>")]
    pub id: Option<String>,
}

impl DecidedBy {
    fn of(decided_by: charter_kernel::DecidedBy) -> Option<Self> {
        use charter_kernel::DecidedBy as By;
        let (kind, id) = match decided_by {
            By::Nothing => return None,
            By::Block(id) => ("block", Some(id.to_string())),
            By::Grant(id) => ("grant", Some(id.to_string())),
            By::Assignment(id) => ("assignment", Some(id.to_string())),
            By::Roles => ("roles", None),
        };
        Some(Self { kind, id })
    }
}

/// One row on the way to a decision.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExplainedStep {
    /// Which step of the order: organization, principal, membership, resource, ceiling, entitlement, block, grant, role.
    pub step: &'static str,
    /// The row, as its kind and id or key, where there is one.
    pub row: Option<String>,
    /// What it says.
    pub words: String,
}

impl From<PathStep> for ExplainedStep {
    fn from(step: PathStep) -> Self {
        Self { step: step.step, row: step.row, words: step.words }
    }
}

/// What would allow what was denied.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExplainedRemedy {
    /// The layer to change: organization, entitlement or permission.
    pub layer: &'static str,
    /// What to do.
    pub words: String,
    /// Roles that would do.
    pub roles: Vec<String>,
    /// Plans that would do.
    pub plans: Vec<String>,
    /// When it becomes allowed by itself, if it does.
    #[schemars(with = "Option<wire::Time>")]
    pub at: Option<Timestamp>,
}

impl From<Remedy> for ExplainedRemedy {
    fn from(remedy: Remedy) -> Self {
        Self {
            layer: remedy.layer.as_str(),
            words: remedy.words,
            roles: remedy.roles.iter().map(ToString::to_string).collect(),
            plans: remedy.plans.iter().map(ToString::to_string).collect(),
            at: remedy.at,
        }
    }
}

/// The answer to a check.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CheckAnswer")]
pub struct CheckAnswer {
    /// `allow` or `deny`.
    pub decision: &'static str,
    /// Why, a word that never changes.
    pub reason: &'static str,
    /// The layer that decided: organization, entitlement or permission.
    pub layer: &'static str,
    /// Why, as a sentence.
    pub sentence: String,
    /// The permission that was asked for; null when the question named none of the catalogue.
    #[schemars(with = "Option<wire::Code>")]
    pub permission: Option<String>,
    /// The row that decided, where one did.
    pub decided_by: Option<DecidedBy>,
    /// The revision of the organization's facts it was read from.
    pub revision: u64,
    /// How long the answer may be kept at most; null when no fact that decided has an end.
    #[schemars(with = "Option<wire::Time>")]
    pub valid_until: Option<Timestamp>,
    /// The entitlement ran out and its grace period runs.
    pub in_grace: bool,
    /// How old the facts may be; more than a second or two means that the database is away.
    pub age_seconds: i64,
    /// What somebody should know of the limit that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Whose rule gave the answer, `legacy` or `charter`, where the organization is answered beside the rule of the system it was taken over from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<&'static str>,
    /// Both answers, in an explanation of such an organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<BesideView>,
    /// The rows on the way, in the order of the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Vec<ExplainedStep>>,
    /// What would allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedies: Option<Vec<ExplainedRemedy>>,
}

impl CheckAnswer {
    pub(crate) fn of(decision: &Decision, age_seconds: i64, permission: Option<String>) -> Self {
        let reason = decision.reason;
        Self {
            decision: decision.effect().as_str(),
            reason: reason.as_str(),
            layer: reason.layer().as_str(),
            sentence: reason.sentence().to_owned(),
            permission,
            decided_by: DecidedBy::of(decision.decided_by),
            revision: decision.revision.0,
            valid_until: decision.valid_until,
            in_grace: decision.in_grace,
            age_seconds,
            warning: None,
            answered_by: None,
            shadow: None,
            path: None,
            remedies: None,
        }
    }
}

/// The answers to many checks, in their order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckAnswers {
    /// One answer a check.
    pub answers: Vec<CheckAnswer>,
    /// The revision all of them were read from.
    pub revision: u64,
}

async fn one(call: Call<AskedPath, (), Check>) -> Result<Reply<CheckAnswer>, Problem> {
    let Check {
        subject,
        permission,
        action,
        kind,
        resource,
        subject_properties,
        action_properties,
        context,
        limit,
        amount,
        explain,
        at,
    } = call.body;
    let words =
        Words { subject, permission, action, kind, resource, subject_properties, action_properties, context };
    let (app, ctx) = (&call.app, &call.ctx);
    let about_self = words.is_about_caller(ctx) && !explain;
    let organization = may_ask(app, ctx, &call.path.organization, about_self).await?;
    if at.is_some() && !explain {
        return Err(Problem::invalid(
            "at",
            "only an explanation can be given for another instant: set explain",
        ));
    }
    let question = Question { asked: Some(words.asked("")?), ..words.question(ctx, "")? };
    let permission = permission_of(app, &question);
    let limit = limit_asked(limit, amount)?;
    if explain {
        let (explanation, _) = check::explain(app, ctx, organization, at, &question).await?;
        let ours = explanation.decision;
        // The other system answers for this moment alone.
        let beside = match at {
            None => shadow::beside(app, ctx, organization, &question, ours).await?,
            Some(_) => None,
        };
        let given = beside.as_ref().map_or(ours, |beside| beside.given);
        let (decision, warning) = app.within_limit(ctx, organization, limit.as_ref(), given).await?;
        let mut answer = CheckAnswer::of(&decision, 0, permission);
        if let Some(beside) = &beside {
            let side = if decision.reason.is_legacy() { Side::Legacy } else { Side::Charter };
            answer.answered_by = Some(side.as_str());
            answer.shadow = Some(BesideView::of(beside, &ours));
        }
        answer.warning = warning;
        if decision.reason == ours.reason {
            answer.sentence = explanation.sentence;
        }
        answer.path = Some(explanation.path.into_iter().map(Into::into).collect());
        answer.remedies = Some(explanation.remedies.into_iter().map(Into::into).collect());
        let revision = ours.revision;
        return Ok(Reply::new(answer).revision(revision));
    }
    let answered = check::check(app, ctx, organization, call.at_least, &question, limit.as_ref()).await;
    app.note_served(ctx, organization, 1, answered.as_ref().err());
    let Answer { decision, age_seconds, warning, answered_by } = answered?;
    let answered_by = answered_by.map(Side::as_str);
    let answer = CheckAnswer { warning, answered_by, ..CheckAnswer::of(&decision, age_seconds, permission) };
    Ok(Reply::new(answer).revision(decision.revision))
}

/// The amount of a limit a check asks about.
fn limit_asked(limit: Option<Key>, amount: Option<i64>) -> Result<Option<LimitAsked>, Problem> {
    match (limit, amount) {
        (None, Some(_)) => Err(Problem::invalid("amount", "an amount of what? name the limit")),
        (Some(_), Some(..=0)) => Err(Problem::invalid("amount", "at least 1 is expected")),
        (limit, amount) => Ok(limit.map(|limit| LimitAsked { limit, amount: amount.unwrap_or(1) })),
    }
}

/// Questions with the principals they are about.
type Subjects<'a> = Vec<(Question<'a>, Option<PrincipalId>)>;

async fn decided<'a>(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    at_least: Option<Revision>,
    questions: Vec<Question<'a>>,
) -> Result<(Arc<Snapshot>, Subjects<'a>, Vec<Decision>), Problem> {
    let snapshot = check::pinned(app, ctx, organization, at_least).await?;
    let mut asked = Vec::with_capacity(questions.len());
    for question in questions {
        let subject = app.subject_of(organization, &snapshot, question.subject).await?;
        asked.push((question, subject));
    }
    let patience = shadow::Patience::begin();
    let decisions = app.decide_all(ctx, organization, &snapshot, &asked, &patience).await?;
    Ok((snapshot, asked, decisions))
}

async fn batch(call: Call<AskedPath, (), CheckBatch>) -> Result<Reply<CheckAnswers>, Problem> {
    let (app, ctx) = (&call.app, &call.ctx);
    let CheckBatch { defaults, checks } = call.body;
    let checks: Vec<Words> = checks.into_iter().map(|words| words.or(&defaults)).collect();
    let about_self = !checks.is_empty() && checks.iter().all(|words| words.is_about_caller(ctx));
    let organization = may_ask(app, ctx, &call.path.organization, about_self).await?;
    if checks.len() > BATCH_MAX {
        return Err(Problem::invalid(
            "checks",
            format!("at most {BATCH_MAX} checks are expected, not {}", checks.len()),
        ));
    }
    let mut questions = Vec::with_capacity(checks.len());
    for (at, words) in checks.iter().enumerate() {
        let at = format!("checks.{at}.");
        questions.push(Question { asked: Some(words.asked(&at)?), ..words.question(ctx, &at)? });
    }
    let count = questions.len() as u64;
    let decided = decided(app, ctx, organization, call.at_least, questions).await;
    app.note_served(ctx, organization, count, decided.as_ref().err());
    let (snapshot, asked, decisions) = decided?;
    let age_seconds = app.age_seconds(ctx);
    let mut answers = Vec::with_capacity(asked.len());
    for ((question, subject), decision) in asked.iter().zip(decisions) {
        if let Some(subject) = subject {
            app.note_denial_of(ctx, organization, *subject, question, &decision);
        }
        let answered_by = snapshot.answered_by(&decision).map(Side::as_str);
        let answer = CheckAnswer::of(&decision, age_seconds, permission_of(app, question));
        answers.push(CheckAnswer { answered_by, ..answer });
    }
    let revision: Revision = snapshot.shard().revision();
    Ok(Reply::new(CheckAnswers { answers, revision: revision.0 }).revision(revision))
}

/// The routes of checks.
pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/organizations/{organization}/checks", Guard::SignedIn(WHY), one)
            .named("check", "Checks", "Answers whether a principal may do something now.")
            .described("A denial is an answer like an allowance: status 200.")
            .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden])
            .keeps_no_answers()
            .example(
                r#"{"subject": "ann@toys.example", "permission": "finance.vouchers.approve", "resource": {"type": "vouchers", "id": "1042"}}"#,
            ),
        Route::post("/api/v1/organizations/{organization}/checks/batch", Guard::SignedIn(WHY), batch)
            .named("check-batch", "Checks", "Answers up to 1,000 checks from the same facts.")
            .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden])
            .keeps_no_answers()
            .body_limit(4 * 1024 * 1024)
            .example(
                r#"{"defaults": {"subject": "ann@toys.example"}, "checks": [{"permission": "sales.invoices.read"}, {"permission": "finance.vouchers.approve"}]}"#,
            ),
    ]
}
