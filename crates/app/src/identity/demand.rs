//! What an organization demands of its members' sign-in before it lets them do things: a second factor, of whoever is privileged or of
//! everybody, and a recent one for what is dangerous. Judged by the guard with each request, so that no way in leads around it: a
//! member who lacks the factor may sign in, add one, and do nothing else.
//!
//! Programs with an account of their own have no second factor and are not asked. A key of a person stands for its owner: it is worth
//! something while they have a second factor, and never for what is dangerous. The decision engine knows nothing of all this: what it
//! answers about somebody does not depend on who asks, or how they signed in.

use super::{membership, step_up};
use crate::App;
use crate::caller::{RequestContext, SignedIn};
use crate::snapshot::Snapshot;
use charter_kernel::facts::{OrganizationStatus, PrincipalKind};
use charter_kernel::{OrganizationId, Problem, ProblemKind};
use charter_policy::{Check, Context};
use charter_store as store;
use charter_store::identity_settings::SecondFactorDemand;

/// Modules whose dangerous permissions make their holder privileged.
const GOVERNING: [&str; 2] = ["admin.", "platform."];

/// What an organization demands, as the snapshot remembers it.
async fn of(
    app: &App,
    organization: OrganizationId,
    snapshot: &Snapshot,
) -> Result<SecondFactorDemand, Problem> {
    snapshot.demand().read(app.database(), organization).await
}

/// Whether somebody holds a dangerous permission over others: they are privileged.
fn is_privileged(caller: &SignedIn, ctx: &RequestContext, snapshot: &Snapshot) -> bool {
    let index = snapshot.index();
    let amr: Vec<&str> = caller.amr.iter().map(String::as_str).collect();
    // Asked as they would be with the factor: a right that waits for it is a right.
    let context = Context { address: ctx.address, mfa: true, amr: &amr, ..Context::default() };
    let governs = |code: &str| GOVERNING.iter().any(|module| code.starts_with(module));
    index
        .catalogue()
        .permissions
        .iter()
        .filter(|permission| permission.dangerous && governs(permission.code.as_str()))
        .filter_map(|permission| index.permission(permission.code.as_str()))
        .any(|permission| {
            let check = Check {
                subject: caller.id,
                permission,
                minimum_level: None,
                resource: None,
                now: ctx.now,
                context: &context,
                ceiling: None,
            };
            snapshot.shard().decide(&check).is_allow()
        })
}

/// Whether an organization demands a second factor of somebody who goes on to one of its applications.
pub(super) async fn is_made_of(
    app: &App,
    ctx: &RequestContext,
    caller: &SignedIn,
    organization: OrganizationId,
) -> Result<bool, Problem> {
    let snapshot = app.snapshots().snapshot(organization, ctx.now).await?;
    Ok(match of(app, organization, &snapshot).await? {
        SecondFactorDemand::Off => false,
        SecondFactorDemand::Everyone => true,
        SecondFactorDemand::Privileged => is_privileged(caller, ctx, &snapshot),
    })
}

/// The organizations one is a member of that demand a second factor of one, by their names.
pub(super) async fn made_by(app: &App, ctx: &RequestContext) -> Result<Vec<String>, Problem> {
    let Some(caller) = ctx.principal().filter(|caller| caller.kind == PrincipalKind::User) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for place in membership::memberships(app, caller.id, ctx.now).await? {
        if place.status != OrganizationStatus::Closed && is_made_of(app, ctx, caller, place.id).await? {
            found.push(place.name);
        }
    }
    Ok(found)
}

/// Refuses a caller who holds a permission but has not the second factor that using it takes.
pub(crate) async fn require(
    app: &App,
    ctx: &RequestContext,
    caller: &SignedIn,
    organization: OrganizationId,
    snapshot: &Snapshot,
    permission: &str,
) -> Result<(), Problem> {
    if caller.kind != PrincipalKind::User {
        return Ok(());
    }
    let demand = of(app, organization, snapshot).await?;
    if demand == SecondFactorDemand::Off {
        return Ok(());
    }
    let found = snapshot.index().catalogue().permission(permission);
    // What is not known to be harmless is not.
    let is_dangerous = found.is_none_or(|permission| permission.dangerous);
    if caller.has_second_factor() {
        return if is_dangerous { step_up::require_recent(ctx) } else { Ok(()) };
    }
    let is_asked =
        is_dangerous || demand == SecondFactorDemand::Everyone || is_privileged(caller, ctx, snapshot);
    if !is_asked {
        return Ok(());
    }
    let who = caller.id;
    let has_one = reading_all!(app.database(), |conn| store::second_factor::has(conn, who))?;
    let how = match (has_one, caller.credential.is_some(), is_dangerous) {
        (true, true, false) => return Ok(()),
        (true, true, true) => "a key of a person does not do this: sign in, or use a service account",
        (true, false, _) => "sign in with your second factor",
        (false, true, _) => "its owner has none: they add one with `POST /api/v1/me/factors/totp`",
        (false, false, _) => "add one with `POST /api/v1/me/factors/totp` or a passkey, then try again",
    };
    Err(Problem::new(
        ProblemKind::SecondFactor,
        format!("the organization demands a second factor for this: {how}"),
    ))
}
