//! Step-up: what is dangerous for an account or the installation asks that whoever is signed in has proved it lately. Proving it again
//! gives the session a new id. Programs with a credential of their own, and the operator at the machine, are not concerned.

use super::begin::{self, SignIn, issue, replace};
use super::factor_proof::{self, Proof, Right};
use super::own_session::own_session_of;
use super::password::{Password, Verified};
use super::present::{gone, present, swap};
use super::proxied_caller::PROXY;
use super::second_sign_in::{add_methods, over, used};
use super::support::require_own;
use super::{guesses, passkey, session};
use crate::App;
use crate::caller::{Caller, RequestContext};
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Problem, ProblemKind, SessionId};
use charter_store as store;
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

/// What somebody shows to prove again who they are: the password, and the second factor where the account has one; or a passkey alone.
#[derive(Default)]
pub struct ReproofDraft {
    /// Password.
    pub password: Option<Zeroizing<String>>,
    /// Second factor.
    pub proof: Option<Proof>,
    /// What the passkey was asked with, when it is one.
    pub challenge: Option<Zeroizing<String>>,
    /// The program it is typed into.
    pub user_agent: Option<String>,
}

impl std::fmt::Debug for ReproofDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReproofDraft").field("proof", &self.proof).finish_non_exhaustive()
    }
}

/// Proves again that it is the session's principal. The session goes on under a new id.
pub async fn reauthenticate(app: &App, ctx: &RequestContext, draft: ReproofDraft) -> Result<SignIn, Problem> {
    let ReproofDraft { password, proof, challenge, user_agent } = draft;
    let (caller, _) = own_session_of(ctx)?;
    let (identity, now, platform, who) = (app.identity(), ctx.now, app.platform(), caller.id);
    let factors = reading_all!(app.database(), |conn| store::second_factor::of_principal(conn, who))?;
    let has_factor = factors.iter().any(|factor| factor.confirmed_at.is_some());
    let proof = proof.filter(|_| has_factor);
    if has_factor && proof.is_none() {
        return Err(Problem::new(
            ProblemKind::SecondFactor,
            "the account has a second factor: send it beside the password",
        ));
    }
    let is_passkey = matches!(proof, Some(Proof::Passkey(_)));
    if password.is_none() && !is_passkey {
        return Err(Problem::invalid("password", "is missing"));
    }
    let asked = match &challenge {
        Some(text) if is_passkey => {
            let user_agent = user_agent.map(begin::shortened);
            Some(passkey::used_challenge(app, text, user_agent.as_deref(), now)?)
        }
        None if is_passkey => return Err(Problem::invalid("challenge", "is missing: a passkey answers one")),
        _ => None,
    };
    let (by_password, by_factor) = (guesses::of_principal(app, who), guesses::of_factor(app, who));
    let (old, principal) = present(app, ctx).await?;
    let has_password = password.is_some();
    if let Some(password) = password {
        guesses::take(app, ctx.address, by_password, now).await?;
        let (stored, random) = (principal.password_hash.clone(), app.world().random());
        let verified = identity.hasher.verify(Password::typed(&password), stored, random).await?;
        if verified == Verified::Wrong {
            return Err(Problem::new(ProblemKind::InvalidCredentials, "the password is wrong"));
        }
    }
    let right = match proof {
        None => None,
        Some(proof) => {
            guesses::take(app, None, by_factor, now).await?;
            let looked = factor_proof::look(app, who, &factors, &proof, asked.as_ref(), now).await?;
            Some(looked.map_err(|_| factor_proof::wrong())?)
        }
    };
    let mut begun = replace(app, ctx, &old, old.organization).await?;
    let session = &mut begun.session;
    session.authenticated_at = now;
    if has_password && !session.amr.split(' ').any(|method| method == "pwd") {
        session.amr = format!("pwd {}", session.amr);
    }
    if let Some(right) = &right {
        add_methods(&mut session.amr, right.method());
    }
    let (ctx_inside, app_inside, new) = (ctx.clone(), app.clone(), begun.clone());
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                if let Some(asked) = &asked
                    && !store::spent_challenge::spend(tx, &asked.nonce, asked.expires_at).await?
                {
                    return Err(over());
                }
                match &right {
                    Some(right) if !right.take(tx, who, now).await? => return Err(factor_proof::wrong()),
                    Some(_) => guesses::forgive(tx, &by_factor).await?,
                    // A factor that was added since it was looked for counts.
                    None if store::second_factor::has(tx, who).await? => return Err(gone()),
                    None => {}
                }
                if has_password {
                    guesses::forgive(tx, &by_password).await?;
                }
                let shown: Vec<&str> = has_password
                    .then_some("password")
                    .into_iter()
                    .chain(right.as_ref().map(Right::words))
                    .collect();
                let why = format!("proved again who it is, by {}", shown.join(" and "));
                let (ended, mut events) =
                    swap(&mut transaction, &ctx_inside, platform, &old, &new, &why).await?;
                if let Some(right) = right {
                    events.extend(
                        used(&app_inside, &mut transaction, &ctx_inside, &new.session, &right).await?,
                    );
                }
                let first = events.remove(0);
                transaction.commit(first, events, ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    issue(app, begun, now)
}
