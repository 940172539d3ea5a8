//! The audit trail: reading it, and proving that nothing was changed in it.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown;
use charter_app::audit::{self, AuditRow, Filter, Verification};
use charter_kernel::{PrincipalId, Problem, RequestId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who acted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditActor {
    /// `principal`, `operator`, `system` or `nobody`.
    pub kind: String,
    /// The principal's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<wire::Id>")]
    pub id: Option<PrincipalId>,
    /// The principal's login at that moment, the operator's account, or the part of Charter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
}

/// One event of the trail.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuditEvent")]
pub struct AuditEvent {
    /// Its number in the chain of the organization, from 1.
    pub seq: u64,
    /// When.
    #[schemars(with = "wire::Time")]
    pub at: Timestamp,
    /// Who.
    pub actor: AuditActor,
    /// What, as `noun.verb`.
    pub action: String,
    /// Kind of thing it was done to.
    pub target_kind: String,
    /// Which one.
    pub target: String,
    /// `done`, `denied` or `failed`.
    pub outcome: &'static str,
    /// Why, given by the actor or by the decision.
    pub reason: String,
    /// The thing before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<wire::Json>")]
    pub before: Option<Value>,
    /// The thing after.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<wire::Json>")]
    pub after: Option<Value>,
    /// The request that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<wire::Id>")]
    pub request_id: Option<RequestId>,
    /// The address the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Hash of the event before it, in hexadecimal.
    pub previous_hash: String,
    /// Its own hash, in hexadecimal.
    pub hash: String,
}

impl From<AuditRow> for AuditEvent {
    fn from(row: AuditRow) -> Self {
        Self {
            seq: row.seq,
            at: row.at,
            actor: AuditActor { kind: row.actor_kind, id: row.actor_id, login: row.actor_login },
            action: row.action,
            target_kind: row.target_kind,
            target: row.target,
            outcome: row.outcome.as_str(),
            reason: row.reason,
            before: row.before.as_deref().map(shown::json_value),
            after: row.after.as_deref().map(shown::json_value),
            request_id: row.request,
            address: row.address,
            previous_hash: audit::hex(&row.previous_hash),
            hash: audit::hex(&row.hash),
        }
    }
}

/// What is looked for: one of action, actor, or target with its kind.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditFilter {
    /// Only this action, such as `grant.give`.
    #[serde(default)]
    pub action: Option<String>,
    /// Only what this account did, by login or id.
    #[serde(default)]
    pub actor: Option<String>,
    /// Kind of the thing things were done to, such as `member`; goes with `target`.
    #[serde(default)]
    pub target_kind: Option<String>,
    /// Only what was done to this thing; goes with `target_kind`.
    #[serde(default)]
    pub target: Option<String>,
}

/// One event's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AuditPath {
    /// Number of the event.
    pub seq: u64,
}

/// What reading the whole chain found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditVerification {
    /// The chain is whole.
    pub verified: bool,
    /// How many events were read.
    pub events: u64,
    /// Number of the last event.
    pub seq: u64,
    /// Hash of the last event, in hexadecimal: kept elsewhere, it shows a cut or forked trail later.
    pub head: String,
    /// What is wrong, in order, at most 100.
    pub faults: Vec<String>,
}

impl From<Verification> for AuditVerification {
    fn from(found: Verification) -> Self {
        Self {
            verified: found.faults.is_empty(),
            events: found.events,
            seq: found.seq,
            head: found.head,
            faults: found.faults,
        }
    }
}

async fn filter(call: &Call<(), AuditFilter>) -> Result<Filter, Problem> {
    let AuditFilter { action, actor, target_kind, target } = &call.query;
    match (action, actor, target_kind, target) {
        (None, None, None, None) => Ok(Filter::All),
        (Some(action), None, None, None) => Ok(Filter::Action(action.clone())),
        (None, Some(actor), None, None) => {
            let organization = call.organization()?;
            let snapshot = call.app.snapshots().snapshot(organization, call.ctx.now).await?;
            let found = call.app.subject_of(organization, &snapshot, actor).await?;
            let id = found.ok_or_else(|| {
                Problem::invalid(
                    "actor",
                    format!("no account {actor:?} is known here: somebody who left is found by id"),
                )
            })?;
            Ok(Filter::Actor(id))
        }
        (None, None, Some(kind), Some(target)) => {
            Ok(Filter::Target { kind: kind.clone(), target: target.clone() })
        }
        (None, None, _, _) => {
            Err(Problem::invalid("target", "target and target_kind go together, such as member and a login"))
        }
        _ => {
            Err(Problem::invalid("action", "ask for an action, an actor or a target: one of them at a time"))
        }
    }
}

async fn list(call: Call<(), AuditFilter>) -> Result<Reply<Items<AuditEvent>>, Problem> {
    let filter = filter(&call).await?;
    let found = audit::list(&call.app, call.permit()?, filter, &call.page()).await?;
    Ok(call.listing(found))
}

async fn get(call: Call<AuditPath>) -> Result<Reply<AuditEvent>, Problem> {
    Ok(Reply::new(audit::get(&call.app, call.permit()?, call.path.seq).await?.into()))
}

async fn verify(call: Call) -> Result<Reply<AuditVerification>, Problem> {
    Ok(Reply::new(audit::verify(&call.app, call.permit()?).await?.into()))
}

/// The routes of the audit trail.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(
            "/api/v1/organizations/{organization}/audit/events",
            Guard::Permission("audit.events.read"),
            list,
        )
        .named("audit.list", "Audit", "Lists the events of an organization, newest first."),
        Route::get(
            "/api/v1/organizations/{organization}/audit/events/{seq}",
            Guard::Permission("audit.events.read"),
            get,
        )
        .named("audit.get", "Audit", "Shows one event."),
        Route::post(
            "/api/v1/organizations/{organization}/audit/verify",
            Guard::Permission("audit.integrity.execute"),
            verify,
        )
        .named("audit.verify", "Audit", "Reads the whole chain of events and tells what does not fit.")
        .timeout(std::time::Duration::from_secs(300))
        .keeps_no_answers(),
    ]
}
