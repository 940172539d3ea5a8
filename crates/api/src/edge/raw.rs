//! Raw calls: a handler that reads its request and writes its response itself, after the guard.

use super::body::{json_only, read_body};
use super::gate::Gate;
use super::json;
use super::pipeline::Shared;
use axum::body::{Body, Bytes};
use charter_app::App;
use charter_kernel::{OrganizationId, Problem, ProblemKind, RequestId, Revision};
use http::request::Parts;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// One request to a raw handler.
pub struct RawCall<G: Gate = App> {
    /// The use cases.
    pub app: G,
    /// Caller, request id, address, now.
    pub ctx: G::Context,
    /// The request's id.
    pub request: RequestId,
    /// Method, address, headers.
    pub parts: Parts,
    /// The body, unread.
    pub body: Body,
    /// The revision the answer has to know of, by `Charter-At-Least`.
    pub at_least: Option<Revision>,
    pub(crate) permit: Option<G::Permit>,
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) body_limit: usize,
    pub(crate) shared: Arc<Shared>,
}

impl<G: Gate> RawCall<G> {
    /// What the guard gave for the route's permission.
    pub fn permit(&self) -> Result<&G::Permit, Problem> {
        self.permit.as_ref().ok_or_else(|| Problem::new(ProblemKind::Internal, "the route has no permission"))
    }

    /// The organization the permission was decided in.
    pub fn organization(&self) -> Result<OrganizationId, Problem> {
        self.organization.ok_or_else(|| Problem::new(ProblemKind::Internal, "the route has no organization"))
    }

    /// The address of this service as clients know it.
    pub fn public_url(&self) -> &str {
        &self.shared.settings.public_url
    }

    /// Reads the body, as far as the route's limit; it is empty afterwards.
    pub async fn bytes(&mut self) -> Result<Bytes, Problem> {
        read_body(&self.parts.headers, std::mem::take(&mut self.body), self.body_limit).await
    }

    /// Reads the body as strict JSON, which it has to say it is. Fields a type does not name are its own affair.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        json_only(&self.parts.headers)?;
        json::read(&self.bytes().await?)
    }
}
