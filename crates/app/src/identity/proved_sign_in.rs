//! The last part of a sign-in by a proof that is taken once: a second factor after a password, or a passkey alone. The challenge is spent, the
//! proof taken and the session begun in one transaction; so whatever comes twice, or at the same moment, begins one session.

use super::begin::{self, Begun, SignIn, acting_as, issue};
use super::factor_proof::{self, Right};
use super::password::Verified;
use super::second_sign_in::{over, record_failure, used};
use super::throttle::AccountKey;
use super::{guesses, session};
use crate::App;
use crate::caller::RequestContext;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{OrganizationId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::principal::Principal;
use charter_store::session::Session;

/// Whoever showed what they had to.
pub(super) struct Proved {
    /// Who it is.
    pub principal: Principal,
    /// The organization they named, where the trail looks for a failure.
    pub place: Option<OrganizationId>,
    /// The session that is to begin.
    pub begun: Begun,
    /// The challenge they answered, and its end.
    pub spends: ([u8; 32], Timestamp),
    /// What they showed.
    pub right: Right,
    /// Wrong guesses that are forgiven with it.
    pub forgives: Option<AccountKey>,
    /// Whether the device is known without the session.
    pub is_known_device: bool,
    /// The session that this one takes the place of.
    pub old: Option<Session>,
    /// How they signed in, for the trail.
    pub why: String,
    /// What the trail says when somebody else took the proof meanwhile.
    pub taken: &'static str,
}

/// Begins the session.
pub(super) async fn enter(app: &App, ctx: &RequestContext, it: Proved) -> Result<SignIn, Problem> {
    let Proved { principal, place, begun, spends, right, forgives, is_known_device, old, why, taken } = it;
    let (who, now, platform) = (principal.id, ctx.now, app.platform());
    let (ctx_inside, app_inside) = (acting_as(ctx, &principal), app.clone());
    let (new, proved) = (begun.clone(), principal.clone());
    let written = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                begin::require_unchanged(&mut transaction, &proved, &Verified::Right).await?;
                let (nonce, until) = spends;
                if !store::spent_challenge::spend(transaction.tx(), &nonce, until).await? {
                    return Err(over());
                }
                if !right.take(transaction.tx(), who, now).await? {
                    return Err(factor_proof::wrong());
                }
                if let Some(counter) = forgives {
                    guesses::forgive(transaction.tx(), &counter).await?;
                }
                begin::tell_if_new(&app_inside, &mut transaction, &ctx_inside, &new.session, is_known_device)
                    .await?;
                let mut begins = begin::write(&mut transaction, &ctx_inside, platform, &new, &why).await?;
                let used = used(&app_inside, &mut transaction, &ctx_inside, &new.session, &right).await?;
                begins.1.extend(used);
                begin::take_place(&mut transaction, &ctx_inside, platform, old, &mut begins).await?;
                let (ended, mut events) = begins;
                let first = events.remove(0);
                transaction.commit(first, events, ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await;
    let ended = match written {
        Ok((ended, _)) => ended,
        Err(problem) => {
            if problem.kind == ProblemKind::InvalidCredentials {
                record_failure(app, ctx, &principal, place, taken).await?;
            }
            return Err(problem);
        }
    };
    session::forget(app, &ended);
    issue(app, begun, now)
}
