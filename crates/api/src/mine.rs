//! What the caller itself may do, as a list or as a bitmap: what a page or a gateway keeps beside itself.

use crate::edge::{Answer, ETag, Guard, Precondition, RawCall, Route, text, wire};
use crate::question::Words;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use charter_app::check::Question;
use charter_app::search::{self, HeldSet};
use charter_app::{App, RequestContext};
use charter_kernel::{OrganizationId, PermissionCode, Problem, ProblemKind, Revision};
use charter_policy::Index;
use http::header::{ACCEPT, CACHE_CONTROL, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Content type of the compact form.
pub const BITMAP: &str = "application/vnd.charter.bitmap";

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
pub(crate) fn codes_hash(app: &App, index: &Arc<Index>) -> String {
    app.snapshots().codes_tag(index, hash_of_codes).to_string()
}

fn hash_of_codes(index: &Index) -> String {
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
        codes_hash: codes_hash(&call.app, &index),
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

/// The route of one's own permissions.
pub fn routes() -> Vec<Route> {
    vec![
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
        .gives::<Mine>()
        .gives_also(&[BITMAP])
        .conditional(),
    ]
}
