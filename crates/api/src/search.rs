//! Searches: who can, what can, on which resources; and what the caller itself may do, as a list or as a bitmap.

use crate::check::{AskedPath, WHY, Words, may_ask};
use crate::edge::{Answer, Call, ETag, Guard, Items, Precondition, RawCall, Reply, Route, text, wire};
use crate::member::AccountKind;
use crate::shown::{self, Mentioned, Shown};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use charter_app::check::Question;
use charter_app::names::Names;
use charter_app::search::{self, HeldPermission, HeldSet};
use charter_app::{App, RequestContext};
use charter_kernel::{OrganizationId, PermissionCode, PrincipalId, Problem, ProblemKind, Revision};
use charter_policy::Index;
use http::header::{ACCEPT, CACHE_CONTROL, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Content type of the compact form.
pub const BITMAP: &str = "application/vnd.charter.bitmap";

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
    pub resource: Option<crate::check::ResourceAsked>,
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
    pub resource: Option<crate::check::ResourceAsked>,
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

/// Which of the caller's permissions are asked for, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MineQuery {
    /// Key or id of the organization; the one the credential was issued for when left out.
    #[serde(default)]
    pub organization: Option<String>,
    /// `list`, or `bitmap` for the compact form.
    #[serde(default)]
    pub format: Option<MineFormat>,
}

/// A form of the caller's permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MineFormat {
    /// The codes.
    List,
    /// One bit a code of the catalogue.
    Bitmap,
}

/// Everything the caller may do in an organization as a whole, with the credential it shows. The compact form has `bits` in place of
/// `permissions`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Mine {
    /// Id of the organization.
    #[schemars(with = "wire::Id")]
    pub organization: OrganizationId,
    /// Version of the catalogue.
    pub catalogue_version: String,
    /// Which codes there are, as a short hash: while it stays, the place of each bit stays.
    pub codes_hash: String,
    /// How many codes there are.
    pub codes_count: usize,
    /// The revision of the organization's facts it was read from.
    pub revision: u64,
    /// The codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<wire::Code>>")]
    pub permissions: Option<Vec<PermissionCode>>,
    /// One bit a code in the order of `GET /api/v1/rbac/permissions`, lowest bit of the first byte first, as base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<String>,
}

/// A short hash of all codes in their order.
pub(crate) fn codes_hash(index: &Index) -> String {
    let mut text = String::new();
    for code in index.codes() {
        text.push_str(code.as_str());
        text.push('\n');
    }
    ETag::of(text.as_bytes()).as_str().trim_matches('"').to_owned()
}

/// The organization a caller means: the one named, else the one its credential was issued for.
pub(crate) async fn organization_meant(
    app: &App,
    ctx: &RequestContext,
    named: Option<&str>,
) -> Result<OrganizationId, Problem> {
    match named {
        Some(text) => app.resolve_organization(text).await,
        None => ctx.principal().and_then(|caller| caller.organization).ok_or_else(|| {
            text::parameter(
                "organization",
                "is missing: say which organization (your credential is for none)",
            )
        }),
    }
}

/// What the caller may do, once it is known that it may know the organization.
pub(crate) async fn held_by_caller(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    at_least: Option<Revision>,
) -> Result<HeldSet, Problem> {
    app.may_ask(ctx, organization, ctx.principal().map(|caller| caller.id)).await?;
    let words = Words::default();
    let question = if ctx.principal().is_some() { words.question(ctx, "")? } else { Question::default() };
    search::mine(app, ctx, organization, at_least, &question).await
}

fn wants_bitmap(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == BITMAP))
    })
}

async fn mine(call: RawCall) -> Result<Response, Problem> {
    let query: MineQuery = text::read_query(&text::query_pairs(call.parts.uri.query().unwrap_or_default())?)?;
    let organization = organization_meant(&call.app, &call.ctx, query.organization.as_deref()).await?;
    let held = held_by_caller(&call.app, &call.ctx, organization, call.at_least).await?;
    let as_bitmap = match query.format {
        Some(format) => format == MineFormat::Bitmap,
        None => wants_bitmap(&call.parts.headers),
    };
    let index = call.app.snapshots().index();
    let codes = || held.permissions.iter().filter_map(|permission| index.code(permission).cloned()).collect();
    let mut view = Mine {
        organization,
        catalogue_version: call.app.snapshots().catalogue().version.clone(),
        codes_hash: codes_hash(&index),
        codes_count: index.len(),
        revision: 0,
        permissions: if as_bitmap { None } else { Some(codes()) },
        bits: as_bitmap.then(|| STANDARD.encode(held.permissions.to_bytes(index.len()))),
    };
    let write = |view: &Mine| {
        serde_json::to_vec(view).map_err(|flaw| Problem::new(ProblemKind::Internal, flaw.to_string()))
    };
    // The tag is that of what the caller may do: an edit elsewhere in the organization changes the revision, not the tag.
    let etag = ETag::of(&write(&view)?);
    view.revision = held.revision.0;
    let body = write(&view)?;
    let mut answer = if as_bitmap {
        Answer::new(http::StatusCode::OK, HeaderValue::from_static(BITMAP), body)
    } else {
        Answer::json(body)
    };
    answer.headers.push((ETAG, etag.header()));
    answer.headers.push((crate::edge::REVISION, HeaderValue::from(held.revision.0)));
    answer.headers.push((CACHE_CONTROL, HeaderValue::from_static("private, no-cache")));
    answer.headers.push((VARY, HeaderValue::from_static("Accept, Authorization")));
    if Precondition::read(&call.parts.headers)?.has_already(&etag) {
        return Ok(answer.not_modified().into());
    }
    Ok(answer.into())
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
        Route::raw(
            Method::GET,
            "/api/v1/me/permissions",
            Guard::SignedIn("everybody may know what they may do in an organization they are a member of"),
            mine,
        )
        .named(
            "me.permissions",
            "Checks",
            "Lists everything the caller may do, or gives it as a bitmap with an ETag.",
        )
        .described("`Accept: application/vnd.charter.bitmap` or `?format=bitmap` asks for the compact form.")
        .problems(&[ProblemKind::NotFound])
        .asks::<MineQuery>()
        .gives::<Mine>(),
    ]
}
