//! Step-up: what is dangerous for an account or the installation asks that whoever is signed in has proved it lately. Proving it again
//! gives the session a new id. Programs with a credential of their own, and the operator at the machine, are not concerned.

use super::begin::{SignIn, issue, replace};
use super::guesses;
use super::own_session::own_session_of;
use super::password::{Password, Verified};
use super::proxied_caller::PROXY;
use super::sign_in::{present, put_in_place};
use super::support::require_own;
use crate::App;
use crate::caller::{Caller, RequestContext};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Problem, ProblemKind};
use zeroize::Zeroizing;

/// How long ago somebody may have proved who they are.
pub const WINDOW_SECONDS: i64 = 600;

/// Refuses whoever proved themselves too long ago.
pub fn require_recent(ctx: &RequestContext) -> Result<(), Problem> {
    let Caller::Principal(caller) = &ctx.caller else { return Ok(()) };
    require_own(ctx)?;
    if caller.kind == PrincipalKind::ServiceAccount || caller.credential.is_some() {
        return Ok(());
    }
    if caller.by_client.is_some() {
        let detail =
            "an application does not do this: its user does, signed in with `POST /api/v1/auth/login`";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    if caller.session.is_none() && caller.authenticated_at.is_none() {
        let by =
            if caller.amr == [PROXY] { "being named by a proxy" } else { "a token of the former system" };
        let detail = format!("{by} does not do this: sign in with `POST /api/v1/auth/login`");
        return Err(Problem::new(ProblemKind::StepUp, detail));
    }
    let is_recent = caller.authenticated_at.is_some_and(|at| ctx.now < at.plus_seconds(WINDOW_SECONDS));
    if is_recent {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::StepUp,
        format!(
            "you signed in more than {} minutes ago: prove again that it is you with `POST /api/v1/auth/reauthenticate`, then try again",
            WINDOW_SECONDS / 60
        ),
    ))
}

/// Proves again that it is the session's principal, by password. The session goes on under a new id.
pub async fn reauthenticate(
    app: &App,
    ctx: &RequestContext,
    password: Zeroizing<String>,
) -> Result<SignIn, Problem> {
    let (caller, _) = own_session_of(ctx)?;
    let (identity, now) = (app.identity(), ctx.now);
    let counter = guesses::of_principal(app, caller.id);
    guesses::take(app, ctx.address, counter, now).await?;
    let (old, principal) = present(app, ctx).await?;
    let stored = principal.password_hash.clone();
    let verified = identity.hasher.verify(Password::typed(&password), stored, app.world().random()).await?;
    if verified == Verified::Wrong {
        return Err(Problem::new(ProblemKind::InvalidCredentials, "the password is wrong"));
    }
    let mut begun = replace(app, ctx, &old, old.organization).await?;
    let session = &mut begun.session;
    session.authenticated_at = now;
    if !session.amr.split(' ').any(|method| method == "pwd") {
        session.amr = format!("pwd {}", session.amr);
    }
    put_in_place(app, ctx, &old, &begun, "proved again who it is, by password", Some(counter)).await?;
    issue(app, begun, now)
}
