//! What the edge asks of the floor below: who is calling, may they, what time is it, and where stored answers are kept.
//! A trait, so that the machinery is tested without a database; `charter_app::App` is the one real gate.

use super::credential::Credential;
use charter_kernel::problem::RateLimit;
use charter_kernel::{OrganizationId, Problem, RequestId, Revision};
use std::future::Future;
use std::net::IpAddr;

/// The floor below, as the edge sees it.
pub trait Gate: Clone + Send + Sync + 'static {
    /// Who is calling.
    type Caller: Clone + Send + Sync + 'static;
    /// One request: caller, id, address, now.
    type Context: Clone + Send + Sync + 'static;
    /// Proof of a permission in an organization.
    type Permit: Send + Sync + 'static;

    /// A fresh id, ordered by time.
    fn fresh_id(&self) -> u128;

    /// The caller a credential proves; none is the anonymous caller, a bad one a problem.
    fn authenticate(
        &self,
        credential: Credential<'_>,
        address: Option<IpAddr>,
    ) -> impl Future<Output = Result<Self::Caller, Problem>> + Send;

    /// Whether two credentials of one request prove the same principal.
    fn is_same(one: &Self::Caller, other: &Self::Caller) -> bool;

    /// Whether a page of ours was given this token, for the session the caller came by.
    fn is_csrf_token(&self, context: &Self::Context, token: &str) -> bool;

    /// Refuses a caller who proved itself too long ago for what is dangerous.
    fn require_recent(&self, context: &Self::Context) -> Result<(), Problem>;

    /// Refuses a caller who came with an API key or service token.
    fn require_person(context: &Self::Context) -> Result<(), Problem>;

    /// What is left of the rate of the credential the caller came with, where it has one.
    fn rate_limit(&self, context: &Self::Context) -> Option<RateLimit>;

    /// The context of one request.
    fn context(&self, caller: Self::Caller, request: RequestId, address: Option<IpAddr>) -> Self::Context;

    /// Whether the caller is known.
    fn is_signed_in(context: &Self::Context) -> bool;

    /// The organization a key or id names.
    fn resolve_organization(
        &self,
        text: &str,
    ) -> impl Future<Output = Result<OrganizationId, Problem>> + Send;

    /// The organization the caller's credential was issued for.
    fn home_organization(context: &Self::Context) -> Option<OrganizationId>;

    /// The organization in which platform permissions are held.
    fn platform_organization(&self) -> impl Future<Output = Result<OrganizationId, Problem>> + Send;

    /// Waits until decisions of the organization are read from this revision or a later one.
    fn reach(
        &self,
        context: &Self::Context,
        organization: OrganizationId,
        revision: Revision,
    ) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Decides whether the caller holds the permission in the organization.
    fn require(
        &self,
        context: &Self::Context,
        organization: OrganizationId,
        permission: &'static str,
    ) -> impl Future<Output = Result<Self::Permit, Problem>> + Send;

    /// How many seconds old the facts may be that decisions are made from now.
    fn facts_age_seconds(&self) -> i64;

    /// What has to hold before the service may be sent requests.
    fn readiness(&self) -> impl Future<Output = Vec<Readiness>> + Send;

    /// Claims an idempotency key for a request, or gives what is known about it.
    fn idempotency_begin(
        &self,
        context: &Self::Context,
        claim: &Claim,
    ) -> impl Future<Output = Result<Claimed, Problem>> + Send;

    /// Keeps the answer of a claimed request.
    fn idempotency_finish(
        &self,
        context: &Self::Context,
        claim: &Claim,
        answer: &StoredAnswer,
    ) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Gives a claim back: the request did nothing and may be tried again.
    fn idempotency_abandon(
        &self,
        context: &Self::Context,
        claim: &Claim,
    ) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// One thing that has to hold before requests are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Its name, for example `database`.
    pub name: &'static str,
    /// What is wrong, when something is.
    pub fault: Option<String>,
}

/// One use of an idempotency key. Whose it is stands in the context. A claim whose request never came back (a crash, a
/// time-out) is kept as long as the storage keeps unfinished claims, because its work may have been done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The organization the request is about, where its route has one.
    pub organization: Option<OrganizationId>,
    /// The key the client chose.
    pub key: String,
    /// SHA-256 of method, path, query and body.
    pub request: [u8; 32],
}

/// What claiming a key found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The key is new: do the work.
    Fresh,
    /// The same request was answered before.
    Answered(StoredAnswer),
    /// The key was used for another request.
    Mismatch,
    /// The same request is being worked on.
    InProgress,
}

/// An answer as it is kept for a repeated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// Status.
    pub status: u16,
    /// Headers the handler set.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}
