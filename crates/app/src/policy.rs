//! The access policy of an organization as one document: export, plan, apply; and expected decisions run against it.

use crate::App;
use crate::caller::{Caller, RequestContext};
use crate::check::{self, Asked, Question};
use crate::edit::{Bench, EditOptions, Edited, edit};
use crate::guard::Permit;
use crate::policy_document::{CaseAsked, CaseReport, PolicyCases, PolicyDocument, export, parse, resolve};
use charter_catalogue::Fault;
use charter_kernel::problem::FieldProblem;
use charter_kernel::{Problem, ProblemKind, Revision};
use std::sync::Arc;

/// What a document may touch, beside what the way in asks for: whoever puts one in force needs all of it.
const ALSO_NEEDED: &[&str] = &[
    "admin.permissions.assign",
    "admin.permissions.revoke",
    "admin.roles.assign",
    "admin.roles.create",
    "admin.roles.update",
    "admin.roles.delete",
    "admin.teams.create",
    "admin.teams.update",
    "admin.teams.delete",
];

/// The document of an organization, and the revision it stands for.
pub async fn read(app: &App, permit: &Permit) -> Result<(String, Revision), Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    Ok((export(&facts), facts.organization.revision))
}

/// The faults of a document as a problem with one field each.
fn problem_of(faults: &[Fault]) -> Problem {
    let first = faults.first().map_or_else(String::new, ToString::to_string);
    let mut problem =
        Problem::new(ProblemKind::Invalid, format!("{}; {first}", charter_catalogue::counted(faults)));
    problem.fields = faults
        .iter()
        .map(|fault| FieldProblem { field: fault.place(), detail: fault.what.clone() })
        .collect();
    problem
}

/// Puts a document in force, or with `dry_run` tells what that would do. The document is the whole policy: what it leaves out is taken
/// away; a document that says what is in force already changes nothing.
pub async fn apply(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    mut options: EditOptions,
    text: &str,
) -> Result<Edited<()>, Problem> {
    if !options.dry_run {
        for permission in ALSO_NEEDED {
            app.require(ctx, permit.organization(), permission).await?;
        }
    }
    let document: PolicyDocument = parse(text).map_err(|faults| problem_of(&faults))?;
    let named = app.resolve_organization(&document.organization.value).await;
    if named.ok() != Some(permit.organization()) {
        return Err(Problem::invalid(
            format!("line {}: organization", document.organization.line),
            format!(
                "the document is about {}, the command about another organization",
                document.organization.value
            ),
        ));
    }
    if options.reason.is_empty() {
        "policy apply".clone_into(&mut options.reason);
    }
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let (app, giver) = (bench.app, bench.ctx.principal().map(|principal| principal.id));
        let catalogue = app.snapshots().catalogue();
        let mut fresh = || app.fresh_id();
        let after = resolve(&document, bench.facts, &catalogue, &mut fresh, bench.now, giver)
            .map_err(|faults| problem_of(&faults))?;
        *bench.facts = after;
        Ok(())
    })
    .await
}

/// Runs expected decisions and tells which came otherwise. Nothing is recorded: nobody was refused.
pub async fn test(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    text: &str,
) -> Result<CaseReport, Problem> {
    let cases = PolicyCases::parse(text).map_err(|faults| problem_of(&faults))?;
    let organization = permit.organization();
    if let Some(named) = &cases.organization
        && app.resolve_organization(&named.value).await.ok() != Some(organization)
    {
        return Err(Problem::invalid(
            format!("line {}: organization", named.line),
            format!("the cases are about {}, the command about another organization", named.value),
        ));
    }
    let snapshot = check::pinned(app, ctx, organization, None).await?;
    let mut results = Vec::with_capacity(cases.cases.len());
    // A case is about what the account may do, whatever credential runs the cases.
    let mut then = ctx.clone();
    if let Caller::Principal(caller) = &mut then.caller {
        Arc::make_mut(caller).ceiling = None;
    }
    for case in &cases.cases {
        let question = Question {
            subject: &case.subject,
            subject_kind: None,
            asked: Some(match &case.asked {
                CaseAsked::Permission(code) => Asked::Permission(code),
                CaseAsked::Action { kind, action } => Asked::Action { kind: kind.as_str(), action },
            }),
            resource: case.resource.as_ref().map(|resource| (resource.kind.as_str(), &*resource.id)),
            address: case.address,
            mfa: case.mfa,
            amr: case.amr.iter().map(String::as_str).collect(),
            subject_properties: case.subject_properties.as_ref(),
            action_properties: case.action_properties.as_ref(),
            resource_properties: case.resource_properties.as_ref(),
            context: case.context.as_ref(),
        };
        then.now = case.at.unwrap_or(ctx.now);
        let subject = app.subject_of(organization, &snapshot, question.subject).await?;
        let decision = app.decide_ours(&then, organization, &snapshot, &question, subject).await?;
        let because = match decision.decided_by {
            charter_kernel::DecidedBy::Grant(id) => format!("grant {id}"),
            charter_kernel::DecidedBy::Block(id) => format!("block {id}"),
            charter_kernel::DecidedBy::Assignment(id) => format!("assignment {id}"),
            charter_kernel::DecidedBy::Roles => "roles".to_owned(),
            charter_kernel::DecidedBy::Nothing => String::new(),
        };
        results.push(case.judge(decision.reason, because));
    }
    Ok(CaseReport { results })
}
