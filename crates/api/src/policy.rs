//! The access policy of an organization as one document: read it, ask what another one would do, put it in force, and run
//! expected decisions against what is in force.

use crate::edge::{Call, Guard, Reply, Route};
use crate::shown::{self, AccessChange, Mentioned, Shown};
use charter_app::edit::Edited;
use charter_app::names::Names;
use charter_app::policy;
use charter_app::policy_document::{CaseReport, CaseResult};
use charter_kernel::{Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of a document at most.
const DOCUMENT_MAX: usize = 4 * 1024 * 1024;

const DOCUMENT: &str = r#"{"document": "format = \"charter-policy/1\"\norganization = \"toys\"\n\n[teams.sales]\nname = \"Sales\"\nmembers = [\"ann@toys.example\"]\n", "reason": "new sales team"}"#;

const CASES: &str = r#"{"document": "format = \"charter-policy-cases/1\"\norganization = \"toys\"\n\n[[cases]]\nname = \"ann approves vouchers\"\nas = \"ann@toys.example\"\npermission = \"finance.vouchers.approve\"\nexpect = \"allow\"\n"}"#;

/// The policy in force.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Policy")]
pub struct PolicyView {
    /// The document, TOML; the same policy always gives the same text.
    pub document: String,
    /// The revision of the organization it was read at.
    pub revision: u64,
}

/// A policy to be put in force.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyDraft {
    /// The whole policy, TOML; what it leaves out is taken away.
    pub document: String,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
    /// Accept separation-of-duty conflicts that come of it, for this reason.
    #[serde(default)]
    pub accept_conflicts: Option<String>,
}

/// One row that changed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyRow {
    /// What happened, as `noun.verb`.
    pub action: &'static str,
    /// To which row: a login, key or id.
    pub target: String,
}

/// What a document did, or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyChanged {
    /// The rows that changed.
    pub changes: Vec<PolicyRow>,
    /// The revision of the organization after the edit; the present one after a plan, or when nothing changed.
    pub revision: u64,
    /// Nothing was written.
    pub dry_run: bool,
    /// Who gained and who lost what, at most 1,000 of them.
    pub access_changes: Vec<AccessChange>,
    /// How many changes of access there are in all.
    pub access_changes_count: usize,
    /// Conflicts and other things an administrator should know.
    pub warnings: Vec<String>,
}

/// Expected decisions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyCasesDraft {
    /// The cases, TOML.
    pub document: String,
}

/// One expected decision and what came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyCase {
    /// Line of the document.
    pub line: usize,
    /// What the case is about.
    pub name: String,
    /// The question in one line.
    pub question: String,
    /// Expected effect.
    pub expected: &'static str,
    /// Expected reason, where the case names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_reason: Option<&'static str>,
    /// The effect that came.
    pub got: &'static str,
    /// The reason that came.
    pub got_reason: &'static str,
    /// The reason as a sentence.
    pub got_sentence: &'static str,
    /// The row that decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// Whether it is as expected.
    pub passed: bool,
}

impl From<CaseResult> for PolicyCase {
    fn from(result: CaseResult) -> Self {
        Self {
            line: result.line,
            name: result.name,
            question: result.question,
            expected: result.expected,
            expected_reason: result.expected_reason,
            got: result.got,
            got_reason: result.got_reason,
            got_sentence: result.got_sentence,
            because: result.because,
            passed: result.passed,
        }
    }
}

/// What came of all cases.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyTested {
    /// All are as expected.
    pub passed: bool,
    /// How many are not.
    pub failed: usize,
    /// The cases, in the order of the document.
    pub results: Vec<PolicyCase>,
}

impl From<CaseReport> for PolicyTested {
    fn from(report: CaseReport) -> Self {
        Self {
            passed: report.passed(),
            failed: report.failed(),
            results: report.results.into_iter().map(Into::into).collect(),
        }
    }
}

/// A policy is no single row.
struct Whole;

impl Shown for Whole {
    type Row = ();

    fn mention((): &(), _: &mut Mentioned) {}

    fn of((): (), _: &Names) -> Self {
        Self
    }
}

async fn changed(
    call: &Call<(), (), PolicyDraft>,
    edited: Edited<()>,
) -> Result<Reply<PolicyChanged>, Problem> {
    let changes = edited
        .changes
        .iter()
        .map(|row| PolicyRow { action: row.action, target: row.target.clone() })
        .collect();
    let (Whole, outcome) = shown::edited::<Whole>(&call.app, call.organization()?, edited).await?;
    let shown::Outcome { revision, dry_run, access_changes, access_changes_count, warnings } = outcome;
    let answer = PolicyChanged { changes, revision, dry_run, access_changes, access_changes_count, warnings };
    Ok(shown::sealed(answer, revision, dry_run, None))
}

async fn export(call: Call) -> Result<Reply<PolicyView>, Problem> {
    let (document, revision) = policy::read(&call.app, call.permit()?).await?;
    Ok(shown::versioned(PolicyView { document, revision: revision.0 }, revision))
}

async fn put(call: Call<(), (), PolicyDraft>, is_dry: bool) -> Result<Reply<PolicyChanged>, Problem> {
    let PolicyDraft { document, reason, accept_conflicts } = &call.body;
    let options = shown::options(&call.precondition, is_dry, reason.as_deref(), accept_conflicts.as_deref())?;
    let edited = policy::apply(&call.app, &call.ctx, call.permit()?, options, document).await?;
    changed(&call, edited).await
}

async fn plan(call: Call<(), (), PolicyDraft>) -> Result<Reply<PolicyChanged>, Problem> {
    put(call, true).await
}

async fn apply(call: Call<(), (), PolicyDraft>) -> Result<Reply<PolicyChanged>, Problem> {
    put(call, false).await
}

async fn test(call: Call<(), (), PolicyCasesDraft>) -> Result<Reply<PolicyTested>, Problem> {
    let report = policy::test(&call.app, &call.ctx, call.permit()?, &call.body.document).await?;
    Ok(Reply::new(report.into()))
}

/// The routes of policies.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/organizations/{organization}/policy", Guard::Permission("admin.permissions.read"), export)
            .named("policy.export", "Policy", "Gives the policy of an organization as a document."),
        Route::post(
            "/api/v1/organizations/{organization}/policy/plan",
            Guard::Permission("admin.permissions.read"),
            plan,
        )
        .named("policy.plan", "Policy", "Tells who would gain and who would lose what by a document.")
        .example(DOCUMENT)
        .problems(&[ProblemKind::BeyondGiver, ProblemKind::Conflict])
        .body_limit(DOCUMENT_MAX)
        .keeps_no_answers(),
        Route::post(
            "/api/v1/organizations/{organization}/policy/apply",
            Guard::Permission("admin.permissions.assign"),
            apply,
        )
        .named("policy.apply", "Policy", "Puts a document in force; what it leaves out is taken away.")
        .example(DOCUMENT)
        .described(
            "A document may touch teams, roles, assignments, grants and blocks, so the caller needs every permission to \
             create, change, assign and take away those.",
        )
        .problems(&[ProblemKind::BeyondGiver, ProblemKind::Conflict, ProblemKind::LastAdministrator, ProblemKind::Changed])
        .body_limit(DOCUMENT_MAX),
        Route::post(
            "/api/v1/organizations/{organization}/policy/test",
            Guard::Permission("admin.permissions.read"),
            test,
        )
        .named("policy.test", "Policy", "Runs expected decisions and tells which come otherwise.")
        .example(CASES)
        .body_limit(DOCUMENT_MAX)
        .keeps_no_answers(),
    ]
}
