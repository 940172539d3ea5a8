//! The discovery document, built from the configured public address and never from what a request says.

use super::Raw;
use crate::edge::{Answer, Guard, Route, wire as shapes};
use axum::response::Response;
use charter_app::App;
use charter_kernel::{Problem, ProblemKind};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method};

const WHY: &str = "clients find the endpoints before they have a credential";

async fn document(call: Raw) -> Result<Response, Problem> {
    let base = call.public_url().trim_end_matches('/');
    if !base.starts_with("https://") {
        return Err(Problem::new(
            ProblemKind::NotFound,
            "no discovery document: the setting public_url has to be this service's https address",
        ));
    }
    let place = call.parts.uri.path().strip_prefix("/.well-known/authzen-configuration").unwrap_or_default();
    let point = format!("{base}{place}");
    let endpoint = |path: &str| format!("{point}/access/v1/{path}");
    let body = serde_json::json!({
        "policy_decision_point": point,
        "access_evaluation_endpoint": endpoint("evaluation"),
        "access_evaluations_endpoint": endpoint("evaluations"),
        "search_subject_endpoint": endpoint("search/subject"),
        "search_resource_endpoint": endpoint("search/resource"),
        "search_action_endpoint": endpoint("search/action"),
    });
    let mut response: Response = Answer::json(body.to_string()).into();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}

/// The document of the installation, and of one organization below it.
pub fn routes() -> Vec<Route<App>> {
    let row = |path, name, summary| {
        Route::raw(Method::GET, path, Guard::Public(WHY), document)
            .named(name, "AuthZEN", summary)
            .described("404 unless the setting `public_url` is the https address of the service.")
            .problems(&[ProblemKind::NotFound])
            .gives::<shapes::AnyObject>()
    };
    vec![
        row(
            "/.well-known/authzen-configuration",
            "authzen.metadata",
            "Tells where the AuthZEN endpoints are.",
        ),
        row(
            "/.well-known/authzen-configuration/organizations/{organization}",
            "authzen.organization-metadata",
            "Tells where the AuthZEN endpoints of one organization are.",
        ),
    ]
}
