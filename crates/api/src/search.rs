//! Searches: who can, what can, on which resources.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::member::AccountKind;
use crate::question::{AskedPath, ResourceAsked, WHY, Words, may_ask};
use crate::shown::{self, Mentioned, Shown};
use charter_app::check::Question;
use charter_app::names::Names;
use charter_app::search::{self, HeldPermission};
use charter_kernel::{PermissionCode, PrincipalId, Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who can do this?
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhoCan {
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
    /// Attributes of the action, as the caller says.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub action_properties: Option<Map<String, Value>>,
    /// The request that is thought of: `address`, `mfa`, `amr`, and whatever else conditions read.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub context: Option<Map<String, Value>>,
    /// Only users, or only service accounts.
    #[serde(default)]
    pub subject_kind: Option<AccountKind>,
}

/// What can this principal do?
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhatCan {
    /// Login or id of the principal; the caller itself when left out.
    #[serde(default)]
    pub subject: Option<String>,
    /// The thing it is about; the organization as a whole when left out.
    #[serde(default)]
    pub resource: Option<ResourceAsked>,
    /// Attributes of the principal, as the caller says.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub subject_properties: Option<Map<String, Value>>,
    /// The principal's request: `address`, `mfa`, `amr`, and whatever else conditions read.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub context: Option<Map<String, Value>>,
}

/// On which resources of a type can this principal do this?
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourcesAsked {
    /// Login or id of the principal; the caller itself when left out.
    #[serde(default)]
    pub subject: Option<String>,
    /// The type of resource.
    #[serde(rename = "type")]
    pub kind: String,
    /// The permission.
    #[serde(default)]
    pub permission: Option<String>,
    /// In place of a permission: an action on the type.
    #[serde(default)]
    pub action: Option<String>,
    /// Attributes of the principal, as the caller says.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub subject_properties: Option<Map<String, Value>>,
    /// Attributes of the action, as the caller says.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub action_properties: Option<Map<String, Value>>,
    /// The principal's request: `address`, `mfa`, `amr`, and whatever else conditions read.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub context: Option<Map<String, Value>>,
}

/// Somebody who can.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FoundPrincipal {
    /// Id of the account.
    #[schemars(with = "wire::Id")]
    pub id: PrincipalId,
    /// Login of the account.
    pub login: String,
    /// Shown name.
    pub name: String,
}

impl Shown for FoundPrincipal {
    type Row = PrincipalId;

    fn mention(row: &PrincipalId, to: &mut Mentioned) {
        to.principal(*row);
    }

    fn of(row: PrincipalId, names: &Names) -> Self {
        Self { id: row, login: names.login(row), name: names.shown(row) }
    }
}

/// A permission somebody has now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FoundPermission {
    /// The permission.
    #[schemars(with = "wire::Code")]
    pub permission: PermissionCode,
    /// The answer hangs on a condition: under other circumstances it may be another.
    pub conditional: bool,
}

impl From<HeldPermission> for FoundPermission {
    fn from(held: HeldPermission) -> Self {
        Self { permission: held.code, conditional: held.conditional }
    }
}

/// A resource somebody may act on.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FoundResource {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
}

async fn who_can(call: Call<AskedPath, (), WhoCan>) -> Result<Reply<Items<FoundPrincipal>>, Problem> {
    let (app, ctx) = (&call.app, &call.ctx);
    let organization = may_ask(app, ctx, &call.path.organization, false).await?;
    let body = &call.body;
    let words = Words {
        // Nobody in particular: a subject only has to be there for the question to be one.
        subject: Some("-".to_owned()),
        permission: body.permission.clone(),
        action: body.action.clone(),
        kind: body.kind.clone(),
        resource: body.resource.clone(),
        subject_properties: None,
        action_properties: body.action_properties.clone(),
        context: body.context.clone(),
    };
    let question = Question {
        asked: Some(words.asked("")?),
        subject_kind: body.subject_kind.map(Into::into),
        ..words.question(ctx, "")?
    };
    let found = search::who_can(app, ctx, organization, call.at_least, &question, &call.page()).await?;
    Ok(call.viewed(shown::page(app, organization, found).await?))
}

async fn what_can(call: Call<AskedPath, (), WhatCan>) -> Result<Reply<Items<FoundPermission>>, Problem> {
    let (app, ctx) = (&call.app, &call.ctx);
    let body = &call.body;
    let words = Words {
        subject: body.subject.clone(),
        resource: body.resource.clone(),
        subject_properties: body.subject_properties.clone(),
        context: body.context.clone(),
        ..Words::default()
    };
    let organization = may_ask(app, ctx, &call.path.organization, words.is_about_caller(ctx)).await?;
    let question = words.question(ctx, "")?;
    let found = search::what_can(app, ctx, organization, call.at_least, &question, &call.page()).await?;
    Ok(call.listing(found))
}

async fn resources(
    call: Call<AskedPath, (), ResourcesAsked>,
) -> Result<Reply<Items<FoundResource>>, Problem> {
    let (app, ctx) = (&call.app, &call.ctx);
    let body = &call.body;
    let words = Words {
        subject: body.subject.clone(),
        permission: body.permission.clone(),
        action: body.action.clone(),
        kind: Some(body.kind.clone()),
        resource: None,
        subject_properties: body.subject_properties.clone(),
        action_properties: body.action_properties.clone(),
        context: body.context.clone(),
    };
    let organization = may_ask(app, ctx, &call.path.organization, words.is_about_caller(ctx)).await?;
    let question = Question { asked: Some(words.asked("")?), ..words.question(ctx, "")? };
    let found =
        search::resources(app, ctx, organization, call.at_least, &body.kind, &question, &call.page()).await?;
    Ok(call.viewed(found.map(|id| FoundResource { kind: body.kind.clone(), id })))
}

fn paged(route: Route) -> Route {
    // What is searched for stands in the body; where the next page begins stands in the query, as for every list.
    Route { is_paged: true, ..route }
}

/// The routes of searches.
pub fn routes() -> Vec<Route> {
    vec![
        paged(Route::post(
            "/api/v1/organizations/{organization}/search/who-can",
            Guard::SignedIn(WHY),
            who_can,
        ))
        .named("who-can", "Checks", "Lists everybody who may do something now.")
        .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden])
        .keeps_no_answers()
        .example(
            r#"{"permission": "finance.vouchers.approve", "resource": {"type": "vouchers", "id": "1042"}}"#,
        ),
        paged(Route::post(
            "/api/v1/organizations/{organization}/search/what-can",
            Guard::SignedIn(WHY),
            what_can,
        ))
        .named("what-can", "Checks", "Lists every permission a principal has now.")
        .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden])
        .keeps_no_answers()
        .example(r#"{"subject": "ann@toys.example"}"#),
        paged(Route::post(
            "/api/v1/organizations/{organization}/search/resources",
            Guard::SignedIn(WHY),
            resources,
        ))
        .named(
            "list-resources",
            "Checks",
            "Lists the resources of a type on which a principal may do something now.",
        )
        .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden])
        .keeps_no_answers()
        .example(r#"{"subject": "ann@toys.example", "type": "vouchers", "action": "approve"}"#),
    ]
}
