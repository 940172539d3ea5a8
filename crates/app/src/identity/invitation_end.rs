//! Invitations that nobody accepted in time: the service ends each once, with an event, and forgets ended ones after a while. Making and
//! accepting them is in `invitation.rs`.

use super::newcomer::KEPT_SECONDS;
use crate::App;
use crate::audit;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{InvitationId, OrganizationId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use std::collections::BTreeMap;

/// Invitations ended in one round of the job.
const AT_ONCE: u32 = 100;

/// Ends invitations whose time is over: once each, those of an organization together. A part of every round of the service.
pub(super) async fn expire(app: &App, now: Timestamp) -> Result<(), Problem> {
    let platform = app.platform();
    let overdue = reading_all!(app.database(), |conn| store::invitation::overdue(conn, now, AT_ONCE))?;
    let mut by_organization: BTreeMap<OrganizationId, Vec<InvitationId>> = BTreeMap::new();
    for (organization, id) in overdue {
        by_organization.entry(organization).or_default().push(id);
    }
    for (organization, ids) in by_organization {
        // The lock is the platform's: that time passes does not move the organization's revision.
        let written = app
            .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    let mut events = Vec::new();
                    for id in ids {
                        if !store::invitation::expire(transaction.tx(), organization, id, now).await? {
                            continue;
                        }
                        let target = id.to_string();
                        let (action, kind) = ("invitation.expire", "invitation");
                        let mut event =
                            audit::system_event("identity", organization, now, action, kind, target);
                        event.reason = "nobody accepted it in time".to_owned();
                        events.push(event);
                    }
                    if events.is_empty() {
                        return Err(Problem::new(ProblemKind::InUse, "another node has ended them"));
                    }
                    let first = events.remove(0);
                    transaction.commit(first, events, ()).await
                }) as BoxFuture<'_, Result<Committed<()>, Problem>>
            })
            .await;
        match written {
            Err(problem) if problem.kind == ProblemKind::InUse => {}
            // One organization that goes wrong keeps no other.
            Err(problem) => {
                tracing::warn!(%organization, %problem, "invitations could not be ended: later again");
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Forgets ended invitations after a while.
pub(super) async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let before = now.plus_seconds(-KEPT_SECONDS);
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                store::invitation::purge(tx, before).await?;
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}
