//! Requests that are done once: a caller's own key is claimed before the work and keeps its answer. A claim is no change of an
//! organization's policy, so it is written without an audit event; the work it stands for writes its own.

use crate::App;
use crate::caller::{Caller, RequestContext};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{OrganizationId, Problem};
use charter_store as store;

/// How long an answer is kept.
pub const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// What claiming a key found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The key is new: do the work.
    Fresh,
    /// The same request was answered before.
    Answered(KeptAnswer),
    /// The key was used for another request.
    Mismatch,
    /// The same request is being worked on, or its outcome was lost.
    InProgress,
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Status.
    pub status: u16,
    /// Headers and body, as the edge wrote them.
    pub text: String,
}

/// Whose keys: two callers never share one.
fn caller(ctx: &RequestContext) -> String {
    match &ctx.caller {
        Caller::Anonymous => "anonymous".to_owned(),
        Caller::Operator { account } => format!("operator:{account}"),
        Caller::Principal(principal) => principal.id.to_string(),
    }
}

impl App {
    /// Claims a key for a request, or tells what became of it.
    pub async fn claim_key(
        &self,
        ctx: &RequestContext,
        organization: Option<OrganizationId>,
        key: &str,
        request: [u8; 32],
    ) -> Result<Claimed, Problem> {
        let organization = organization.unwrap_or(self.platform());
        let (caller, key, now) = (caller(ctx), key.to_owned(), ctx.now);
        self.database()
            .write(Scope::Organization(organization.bits()), move |tx: &mut Tx| {
                Box::pin(async move {
                    store::idempotency::purge(tx, organization, now.plus_seconds(-KEPT_SECONDS)).await?;
                    if store::idempotency::claim(tx, organization, &caller, &key, &request, now).await? {
                        return Ok(Claimed::Fresh);
                    }
                    // Given back in between: whoever asks next will find it free.
                    let Some(answer) = store::idempotency::get(tx, organization, &caller, &key).await? else {
                        return Ok(Claimed::InProgress);
                    };
                    Ok(if answer.request_hash != request {
                        Claimed::Mismatch
                    } else {
                        match u16::try_from(answer.status) {
                            Ok(0) | Err(_) => Claimed::InProgress,
                            Ok(status) => Claimed::Answered(KeptAnswer { status, text: answer.response }),
                        }
                    })
                }) as BoxFuture<'_, Result<Claimed, Problem>>
            })
            .await
    }

    /// Keeps the answer of claimed work.
    pub async fn keep_answer(
        &self,
        ctx: &RequestContext,
        organization: Option<OrganizationId>,
        key: &str,
        answer: KeptAnswer,
    ) -> Result<(), Problem> {
        let organization = organization.unwrap_or(self.platform());
        let (caller, key) = (caller(ctx), key.to_owned());
        self.database()
            .write(Scope::Organization(organization.bits()), move |tx: &mut Tx| {
                Box::pin(async move {
                    let status = u32::from(answer.status);
                    store::idempotency::finish(tx, organization, &caller, &key, status, &answer.text).await?;
                    Ok(())
                }) as BoxFuture<'_, Result<(), Problem>>
            })
            .await
    }

    /// Gives a key back: nothing was done with it.
    pub async fn give_key_back(
        &self,
        ctx: &RequestContext,
        organization: Option<OrganizationId>,
        key: &str,
    ) -> Result<(), Problem> {
        let organization = organization.unwrap_or(self.platform());
        let (caller, key) = (caller(ctx), key.to_owned());
        self.database()
            .write(Scope::Organization(organization.bits()), move |tx: &mut Tx| {
                Box::pin(async move {
                    store::idempotency::abandon(tx, organization, &caller, &key).await?;
                    Ok(())
                }) as BoxFuture<'_, Result<(), Problem>>
            })
            .await
    }
}
