//! What a typed handler is given: one request after authentication, guard and parsing.

use super::answer::Reply;
use super::cookie::Client;
use super::gate::Gate;
use super::page::{Items, PageAsked};
use super::precondition::Precondition;
use charter_app::App;
use charter_kernel::{OrganizationId, Problem, ProblemKind, RequestId, Revision};

/// One request to a typed handler: path `P`, query `Q`, body `B`.
pub struct Call<P = (), Q = (), B = (), G: Gate = App> {
    /// The use cases.
    pub app: G,
    /// Caller, request id, address, now.
    pub ctx: G::Context,
    /// Path parameters.
    pub path: P,
    /// Query parameters.
    pub query: Q,
    /// Body.
    pub body: B,
    /// Which page of the list; for routes made by `Route::list`.
    pub page_asked: PageAsked,
    /// `If-Match` and `If-None-Match`.
    pub precondition: Precondition,
    /// The revision the answer has to know of, by `Charter-At-Least`; reached already where the route has an organization.
    pub at_least: Option<Revision>,
    /// The request's id.
    pub request: RequestId,
    /// What the client says of itself; for routes made with `knows_client`.
    pub client: Client,
    pub(crate) permit: Option<G::Permit>,
    pub(crate) organization: Option<OrganizationId>,
}

impl<P, Q, B, G: Gate> Call<P, Q, B, G> {
    /// What the guard gave for the route's permission.
    pub fn permit(&self) -> Result<&G::Permit, Problem> {
        self.permit.as_ref().ok_or_else(|| Problem::new(ProblemKind::Internal, "the route has no permission"))
    }

    /// The organization the permission was decided in.
    pub fn organization(&self) -> Result<OrganizationId, Problem> {
        self.organization.ok_or_else(|| Problem::new(ProblemKind::Internal, "the route has no organization"))
    }

    /// The answer of a list: its items as views, and the position the next page begins after.
    pub fn items<F, T: From<F>>(
        &self,
        items: impl IntoIterator<Item = F>,
        next: Option<String>,
    ) -> Reply<Items<T>> {
        Reply::new(Items {
            items: items.into_iter().map(T::from).collect(),
            next_cursor: next.map(|position| self.page_asked.cursor(&position)),
        })
    }
}
