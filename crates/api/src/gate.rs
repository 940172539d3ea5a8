//! The one real gate: the application, asked in the words of the edge.

use crate::edge::{Call, Claim, Claimed, Credential, Gate, Items, Readiness, Reply, StoredAnswer};
use charter_app::idempotency::{self, KeptAnswer};
use charter_app::identity::begin::is_csrf_token;
use charter_app::identity::credential_caller;
use charter_app::identity::step_up;
use charter_app::{App, Caller, Listing, Page, Permit, RequestContext};
use charter_kernel::problem::RateLimit;
use charter_kernel::{OrganizationId, Problem, ProblemKind, RequestId, Revision};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

impl Gate for App {
    type Caller = Caller;
    type Context = RequestContext;
    type Permit = Permit;

    fn fresh_id(&self) -> u128 {
        Self::fresh_id(self)
    }

    async fn authenticate(
        &self,
        credential: Credential<'_>,
        address: Option<IpAddr>,
    ) -> Result<Caller, Problem> {
        match credential {
            Credential::None => Self::authenticate(self, None, address).await,
            Credential::Bearer(token) => Self::authenticate(self, Some(token), address).await,
            Credential::Cookie(cookie) => Self::authenticate_cookie(self, cookie, address).await,
            Credential::Named { login, secret } => {
                Self::authenticate_named(self, login, secret, address).await
            }
        }
    }

    fn is_same(one: &Caller, other: &Caller) -> bool {
        match (one, other) {
            (Caller::Principal(one), Caller::Principal(other)) => one.id == other.id,
            _ => false,
        }
    }

    fn is_csrf_token(&self, ctx: &RequestContext, token: &str) -> bool {
        let session = ctx.principal().and_then(|principal| principal.session);
        session.is_some_and(|session| is_csrf_token(self, session, token))
    }

    fn require_recent(&self, ctx: &RequestContext) -> Result<(), Problem> {
        step_up::require_recent(ctx)
    }

    fn require_person(ctx: &RequestContext) -> Result<(), Problem> {
        if ctx.is_by_program() {
            return Err(Problem::new(
                ProblemKind::Forbidden,
                "this is for people: an API key, a service token or an application does not do it, sign in as a user",
            ));
        }
        Ok(())
    }

    fn rate_limit(&self, ctx: &RequestContext) -> Option<RateLimit> {
        credential_caller::rate(self, ctx.principal()?.credential?, ctx.now)
    }

    fn context(&self, caller: Caller, request: RequestId, address: Option<IpAddr>) -> RequestContext {
        RequestContext { caller, request, address, now: self.now() }
    }

    fn is_signed_in(ctx: &RequestContext) -> bool {
        !matches!(ctx.caller, Caller::Anonymous)
    }

    async fn resolve_organization(&self, text: &str) -> Result<OrganizationId, Problem> {
        Self::resolve_organization(self, text).await
    }

    fn home_organization(ctx: &RequestContext) -> Option<OrganizationId> {
        ctx.principal().and_then(|principal| principal.organization)
    }

    async fn platform_organization(&self) -> Result<OrganizationId, Problem> {
        Ok(self.platform())
    }

    async fn reach(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        revision: Revision,
    ) -> Result<(), Problem> {
        self.snapshots().at_least(organization, revision, ctx.now).await.map(drop)
    }

    async fn require(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        permission: &'static str,
    ) -> Result<Permit, Problem> {
        Self::require(self, ctx, organization, permission).await
    }

    fn facts_age_seconds(&self) -> i64 {
        self.snapshots().age_seconds(self.now())
    }

    async fn readiness(&self) -> Vec<Readiness> {
        let checks = Self::readiness(self).await;
        checks.into_iter().map(|check| Readiness { name: check.name, fault: check.fault }).collect()
    }

    async fn idempotency_begin(&self, ctx: &RequestContext, claim: &Claim) -> Result<Claimed, Problem> {
        let found = self.claim_key(ctx, claim.organization, &claim.key, claim.request).await?;
        Ok(match found {
            idempotency::Claimed::Fresh => Claimed::Fresh,
            idempotency::Claimed::Mismatch => Claimed::Mismatch,
            idempotency::Claimed::InProgress => Claimed::InProgress,
            idempotency::Claimed::Answered(kept) => Claimed::Answered(unfolded(kept)?),
        })
    }

    async fn idempotency_finish(
        &self,
        ctx: &RequestContext,
        claim: &Claim,
        answer: &StoredAnswer,
    ) -> Result<(), Problem> {
        self.keep_answer(ctx, claim.organization, &claim.key, folded(answer)).await
    }

    async fn idempotency_abandon(&self, ctx: &RequestContext, claim: &Claim) -> Result<(), Problem> {
        self.give_key_back(ctx, claim.organization, &claim.key).await
    }
}

/// Headers and body of a kept answer.
#[derive(Serialize, Deserialize)]
struct Folded {
    headers: Vec<(String, String)>,
    body: String,
}

fn folded(answer: &StoredAnswer) -> KeptAnswer {
    let folded =
        Folded { headers: answer.headers.clone(), body: String::from_utf8_lossy(&answer.body).into_owned() };
    KeptAnswer { status: answer.status, text: serde_json::to_string(&folded).unwrap_or_default() }
}

fn unfolded(kept: KeptAnswer) -> Result<StoredAnswer, Problem> {
    let folded: Folded = serde_json::from_str(&kept.text).map_err(|flaw| {
        Problem::new(ProblemKind::Internal, format!("a kept answer cannot be read: {flaw}"))
    })?;
    Ok(StoredAnswer { status: kept.status, headers: folded.headers, body: folded.body.into_bytes() })
}

impl<P, Q, B> Call<P, Q, B, App> {
    /// The page of the list that is asked for.
    pub fn page(&self) -> Page {
        Page { after: self.page_asked.after.clone(), limit: self.page_asked.limit }
    }

    /// The answer of a list: its items as views.
    pub fn listing<F, T: From<F>>(&self, listing: Listing<F>) -> Reply<Items<T>> {
        self.items(listing.items, listing.next)
    }
}
