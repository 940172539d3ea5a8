//! The demo company: two organizations of one group, worth looking at. It is made through the same use cases as any other
//! company, so that every rule has looked at it. It is made step by step, and each step first looks whether it was done: an
//! installation that was cut short goes on at the next start, and a second one changes nothing.

mod entitlements;
pub mod greeting;
mod policy;

use crate::installation::{self, DemoState};
use charter_app::edit::{Bench, edit};
use charter_app::identity;
use charter_app::organization::{self, OrganizationDraft, OrganizationUpdate};
use charter_app::{App, Caller, EditOptions, Page, RequestContext, catalogue};
use charter_kernel::facts::{AssignmentFact, MemberFact, PrincipalKind, PrincipalStatus};
use charter_kernel::{
    AssignmentId, Key, OrganizationId, PrincipalId, Problem, ProblemKind, RequestId, Subject, Window,
};
use serde_json::Value;

/// The password of every demo account. `--production` refuses to start on an installation that knows it.
pub const PASSWORD: &str = "soft-toys-for-all";
/// The superadmin of the demo.
pub const SUPERADMIN: &str = "root@group.example";

const COMPANY: &str = include_str!("company.toml");
const CATALOGUE: &str = include_str!("../../../catalogue/examples/toys.toml");

/// Accounts worth signing in with: login and what is special about them.
pub const ACCOUNTS: &[(&str, &str)] = &[
    ("ann@toys.example", "approves invoices of up to 10,000"),
    ("bob@toys.example", "accountant; posts vouchers as a deputy, so may not write them meanwhile"),
    ("tom@toys.example", "sales officer who may not delete quotations"),
    ("fred@toys.example", "finance manager of both organizations"),
    ("ada@toys.example", "auditor of both organizations"),
    ("olga@toys.example", "administrator of toys"),
    ("nora@trading.example", "administrator of trading"),
    ("uwe@toys.example", "suspended: cannot sign in"),
    (SUPERADMIN, "superadmin of the installation"),
];

fn broken(what: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Internal, format!("the demo company is wrong: {what}"))
}

fn key(text: &str) -> Result<Key, Problem> {
    text.parse().map_err(|flaw| broken(format_args!("{text}: {flaw}")))
}

fn text_of<'a>(value: &'a Value, name: &str) -> Result<&'a str, Problem> {
    value
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| broken(format_args!("{name} is missing in {value}")))
}

fn list_of<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The operator's context for one step.
fn context(app: &App) -> RequestContext {
    RequestContext {
        caller: Caller::Operator { account: "demo".to_owned() },
        request: RequestId(app.fresh_id()),
        address: None,
        now: app.now(),
    }
}

/// Puts the demo company into an empty installation, or goes on where that was cut short. One that is there stays as it is.
pub async fn install(app: &App) -> Result<(), Problem> {
    match installation::demo_state(app).await? {
        DemoState::Whole => return Ok(()),
        DemoState::Begun => tracing::info!("the demo company was left half done: going on"),
        DemoState::Absent => {
            refuse_what_is_in_use(app).await?;
            installation::mark_demo(app, DemoState::Begun).await?;
        }
    }
    let company: Value = toml::from_str(COMPANY).map_err(broken)?;
    let ctx = context(app);
    let platform = app.require(&ctx, app.platform(), "platform.modules.update").await?;
    if catalogue::own_text(app).await?.is_none_or(|text| text != CATALOGUE) {
        catalogue::apply(app, &ctx, &platform, CATALOGUE.to_owned()).await?;
    }
    if identity::setup::is_needed(app).await? {
        superadmin(app).await?;
    }
    for organization in list_of(&company, "organizations") {
        let id = create(app, organization).await?;
        policy::install(app, id, organization).await?;
        if organization.get("enabled_modules").is_none() {
            entitlements::install(app, id).await?;
        }
    }
    identity::own_password::set_where_none(app, &context(app), PASSWORD).await?;
    installation::mark_demo(app, DemoState::Whole).await
}

/// Nothing of the demo goes in among what somebody works with.
async fn refuse_what_is_in_use(app: &App) -> Result<(), Problem> {
    let ctx = context(app);
    let permit = app.require(&ctx, app.platform(), "platform.organizations.read").await?;
    let organizations = organization::list(app, &permit, &Page::first(2)).await?.items;
    let found = match organizations.iter().find(|it| it.organization.id != app.platform()) {
        Some(it) => format!("there is an organization {}", it.organization.key),
        None if !identity::setup::is_needed(app).await? => "it has an administrator".to_owned(),
        None if catalogue::own_text(app).await?.is_some() => "it has a catalogue of its own".to_owned(),
        None => return Ok(()),
    };
    Err(Problem::new(
        ProblemKind::InUse,
        format!(
            "this installation is in use ({found}), and the demo company goes into an empty one: leave --demo out, or \
             name another folder, such as --data charter-demo. Nothing was changed"
        ),
    ))
}

async fn superadmin(app: &App) -> Result<(), Problem> {
    let ctx = context(app);
    let permit = app.require(&ctx, app.platform(), "admin.users.create").await?;
    let (principal, assignment) = (PrincipalId(app.fresh_id()), AssignmentId(app.fresh_id()));
    let options = EditOptions { reason: "demo company".to_owned(), ..EditOptions::default() };
    edit(app, &ctx, &permit, options, move |bench: &mut Bench<'_>| {
        bench.facts.members.push(MemberFact {
            principal,
            kind: PrincipalKind::User,
            login: SUPERADMIN.to_owned(),
            name: "Group administrator".to_owned(),
            status: PrincipalStatus::Active,
            account_status: PrincipalStatus::Active,
            window: Window::ALWAYS,
            attributes: "{}".to_owned(),
        });
        bench.facts.assignments.push(AssignmentFact {
            id: assignment,
            role: key("superadmin")?,
            subject: Subject::Principal(principal),
            window: Window::ALWAYS,
            condition: None,
        });
        Ok(())
    })
    .await?;
    Ok(())
}

async fn create(app: &App, organization: &Value) -> Result<OrganizationId, Problem> {
    let ctx = context(app);
    let permit = app.require(&ctx, app.platform(), "platform.organizations.create").await?;
    let wanted = key(text_of(organization, "key")?)?;
    let id = match app.resolve_organization(wanted.as_str()).await {
        Ok(id) => id,
        Err(problem) if problem.kind == ProblemKind::NotFound => {
            let draft = OrganizationDraft {
                key: wanted,
                name: text_of(organization, "name")?.to_owned(),
                enabled_modules: organization
                    .get("enabled_modules")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            };
            organization::create(app, &ctx, &permit, draft).await?.organization.id
        }
        Err(problem) => return Err(problem),
    };
    if organization::get(app, id).await?.organization.assertable.is_empty() {
        let update = OrganizationUpdate {
            assertable: Some(vec!["resource.*".to_owned()]),
            reason: "demo company".to_owned(),
            ..OrganizationUpdate::default()
        };
        organization::update(app, &context(app), &permit, id, update).await?;
    }
    Ok(id)
}
