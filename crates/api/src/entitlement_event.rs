//! What changed in an organization's entitlements: reading the chain of events, and proving that nothing was changed in it.

use crate::audit::AuditVerification;
use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::entitlement_access::{READERS, TAG, readable};
use crate::organization::OrganizationPath;
use crate::shown;
use charter_app::audit as trail;
use charter_app::entitlement::{self, EntitlementEvent};
use charter_kernel::{Key, Problem, ProblemKind, RequestId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An event of the chain of entitlements.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EntitlementHappened {
    /// Its number in the chain of the organization, from 1.
    pub seq: u64,
    /// When.
    #[schemars(with = "wire::Time")]
    pub at: Timestamp,
    /// Who: a login, `operator:` and an account, or the part of Charter.
    pub actor: String,
    /// `api`, `sweeper`, `migration` or `plan_publish`.
    pub cause: &'static str,
    /// What, as `noun.verb`.
    pub action: String,
    /// The module, where it is about one.
    #[schemars(with = "Option<wire::Key>")]
    pub module: Option<Key>,
    /// The part, where it is about one.
    #[schemars(with = "Option<wire::Key>")]
    pub submodule: Option<Key>,
    /// The limit, where it is about one.
    #[schemars(with = "Option<wire::Key>")]
    pub limit: Option<Key>,
    /// The thing before.
    #[schemars(with = "Option<wire::Json>")]
    pub before: Option<Value>,
    /// The thing after; for a change of plan with what it means.
    #[schemars(with = "Option<wire::Json>")]
    pub after: Option<Value>,
    /// Why.
    pub reason: String,
    /// The request that caused it.
    #[schemars(with = "Option<wire::Id>")]
    pub request_id: Option<RequestId>,
    /// Hash of the event before it, in hexadecimal.
    pub previous_hash: String,
    /// Its own hash, in hexadecimal.
    pub hash: String,
}

impl From<EntitlementEvent> for EntitlementHappened {
    fn from(event: EntitlementEvent) -> Self {
        Self {
            seq: event.seq,
            at: event.at,
            actor: event.actor,
            cause: event.cause.as_str(),
            action: event.action,
            module: event.module,
            submodule: event.submodule,
            limit: event.limit,
            before: event.before.as_deref().map(shown::json_value),
            after: event.after.as_deref().map(shown::json_value),
            reason: event.reason,
            request_id: event.correlation,
            previous_hash: trail::hex(&event.prev_hash),
            hash: trail::hex(&event.hash),
        }
    }
}

/// Which events are looked for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntitlementEventFilter {
    /// Only those about this module.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub module: Option<Key>,
}

async fn events(
    call: Call<OrganizationPath, EntitlementEventFilter>,
) -> Result<Reply<Items<EntitlementHappened>>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    let found = entitlement::events(&call.app, id, call.query.module.clone(), &call.page()).await?;
    Ok(call.listing(found))
}

async fn verify(call: Call<OrganizationPath>) -> Result<Reply<AuditVerification>, Problem> {
    let id = readable(&call.app, &call.ctx, &call.path.organization).await?;
    Ok(Reply::new(entitlement::verify(&call.app, id).await?.into()))
}

/// The routes of entitlement events.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(
            "/api/v1/organizations/{organization}/entitlement-events",
            Guard::SignedIn(READERS),
            events,
        )
        .named(
            "entitlements.events",
            TAG,
            "Lists what changed in an organization's entitlements, newest first.",
        )
        .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden]),
        Route::get(
            "/api/v1/organizations/{organization}/entitlement-events/verification",
            Guard::SignedIn(READERS),
            verify,
        )
        .named(
            "entitlements.verify",
            TAG,
            "Reads the whole chain of entitlement events and tells what does not fit.",
        )
        .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden])
        .timeout(std::time::Duration::from_secs(300)),
    ]
}
