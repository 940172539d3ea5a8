//! AuthZEN 1.0: five questions and a metadata document, as the certification scenario asks them. Every fault of a request is 400, a
//! denial is 200. The organization is the one the caller's credential belongs to, or the one in the path.
//!
//! `wire` is the JSON, `evaluation` and `search` the endpoints, `token` the paging, `metadata` the discovery document.

mod evaluation;
mod metadata;
mod search;
mod token;
mod wire;

use crate::edge::{Gate, Guard, RawCall, Route, wire as shapes};
use axum::body::Bytes;
use charter_app::App;
use charter_kernel::{OrganizationId, Problem, ProblemKind};
use http::Method;
use http::header::CONTENT_TYPE;
use std::time::Duration;
use wire::bad;

pub use evaluation::ITEMS_MAX;

/// A raw call to one of these endpoints.
type Raw = RawCall<App>;

/// Bytes of a batch at most.
const BATCH_LIMIT: usize = 4 * 1024 * 1024;

const WHY: &str = "the handler asks whether the caller may put questions about the organization";

/// Reads the body of a request that says it is JSON, with whatever parameters; anything else is 400.
async fn read(call: &mut Raw) -> Result<Bytes, Problem> {
    let mut types = call.parts.headers.get_all(CONTENT_TYPE).iter();
    let is_json = match (types.next(), types.next()) {
        (Some(kind), None) => kind.to_str().ok().and_then(|kind| kind.split(';').next()).is_some_and(|kind| {
            kind.trim().eq_ignore_ascii_case("application/json")
        }),
        _ => false,
    };
    if !is_json {
        return Err(bad("the content type has to be application/json"));
    }
    call.bytes().await
}

/// The organization a question is about.
async fn organization(call: &Raw) -> Result<OrganizationId, Problem> {
    let named = call.parts.uri.path().strip_prefix("/organizations/").and_then(|rest| rest.split('/').next());
    match named {
        Some(text) => call.app.resolve_organization(text).await,
        None => App::home_organization(&call.ctx).ok_or_else(|| {
            Problem::new(
                ProblemKind::Malformed,
                "the credential belongs to no organization: ask below /organizations/{organization}/access/v1/",
            )
        }),
    }
}

macro_rules! both {
    ($rows:ident, $path:literal, $handler:path, $name:literal, $summary:literal, $limit:expr) => {
        for (path, name) in [
            (concat!("/access/v1/", $path), concat!("authzen.", $name)),
            (concat!("/organizations/{organization}/access/v1/", $path), concat!("authzen.organization-", $name)),
        ] {
            $rows.push(
                Route::raw(Method::POST, path, Guard::SignedIn(WHY), $handler)
                    .named(name, "AuthZEN", $summary)
                    .takes::<shapes::AnyObject>()
                    .gives::<shapes::AnyObject>()
                    .body_limit($limit)
                    .timeout(Duration::from_secs(30))
                    .bad_request_only(),
            );
        }
    };
}

/// The routes of AuthZEN.
pub fn routes() -> Vec<Route<App>> {
    let mut rows = Vec::new();
    both!(rows, "evaluation", evaluation::one, "evaluation", "May this subject do this to this resource?", 64 * 1024);
    both!(rows, "evaluations", evaluation::many, "evaluations", "Many questions at once.", BATCH_LIMIT);
    both!(rows, "search/subject", search::subjects, "search-subject", "Who may do this to this resource?", 64 * 1024);
    both!(rows, "search/resource", search::resources, "search-resource", "On which resources may the subject do this?", 64 * 1024);
    both!(rows, "search/action", search::actions, "search-action", "What may the subject do to this resource?", 64 * 1024);
    rows.extend(metadata::routes());
    rows
}
