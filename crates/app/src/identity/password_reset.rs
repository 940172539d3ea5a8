//! A forgotten password comes back by mail.
//!
//! Asking writes one row, the same whether or not there is such an account, and looks nothing up: neither the answer nor its time tells.
//! A job (`work`) looks the account up a second later, makes a token, keeps its keyed hash and queues the mail. The token lives half an
//! hour, works once, and only while the account has the password it had then. Using it ends every session and begins none, so a
//! second factor is asked for as always.

use super::begin::acting_as;
use super::guesses;
use super::mailed_code;
use super::membership::is_standing;
use super::notice::{self, Notice};
use super::password_rules::{is_short, measure, note_length};
use super::session;
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::mail;
use crate::text;
use crate::transaction::{Committed, Transaction};
use crate::vault;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::audit::Actor;
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use store::principal::Principal;
use zeroize::Zeroizing;

/// How long a token can be used.
pub const TOKEN_SECONDS: i64 = 30 * 60;
/// Mails to one account within an hour.
const PER_HOUR: u64 = 3;
const HOUR: i64 = 3_600;
const KEPT_SECONDS: i64 = 86_400;
/// Longest login that is looked at.
const LOGIN_MAX: usize = 254;
/// Requests answered in one round of the job.
const AT_ONCE: usize = 50;
/// Requests looked at for them: those that only another node can open keep nobody waiting.
const LOOKED_AT: u32 = 1_000;

fn sealed_as(reset: u128) -> String {
    format!("password reset {reset:032x}")
}

/// Notes that somebody forgot their password. Says nothing about whether there is such an account.
pub async fn ask(app: &App, ctx: &RequestContext, login: &str) -> Result<(), Problem> {
    let (identity, now, platform) = (app.identity(), ctx.now, app.platform());
    guesses::take_from_address(app, ctx.address, now).await?;
    // What cannot be anybody's login goes the way of one that is nobody's.
    let is_possible = login.len() <= LOGIN_MAX && !login.contains('\0');
    let folded = if is_possible { text::fold_login(login) } else { String::new() };
    let (reset, login_hash) = (app.fresh_id(), identity.pepper.of_login(&folded));
    let every_hash = identity.pepper.every_login(&folded);
    let sealed = identity.sealer.seal(&sealed_as(reset), folded.as_bytes(), app.world().random());
    let sealed = sealed.map_err(|error| {
        Problem::new(ProblemKind::Internal, format!("the login cannot be sealed: {error}"))
    })?;
    let mut event = audit::event(
        ctx,
        platform,
        "password.forgot",
        "login",
        audit::hex(login_hash.get(..8).unwrap_or_default()),
    );
    event.actor = Actor::Nobody;
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let tx = transaction.tx();
            let since = now.plus_seconds(-HOUR);
            let mut asked = 0;
            for hash in &every_hash {
                asked += store::password_reset::asked_since(tx, hash, since).await?;
            }
            if asked < PER_HOUR {
                let expires_at = now.plus_seconds(HOUR);
                store::password_reset::insert(tx, reset, &login_hash, &sealed, now, expires_at).await?;
            } else {
                event.reason = format!("asked for more than {PER_HOUR} times within an hour: no mail");
            }
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await
    .map(drop)
}

/// What whoever asked is told: the same of every login, and what becomes of mail here.
pub fn asked(app: &App) -> &'static str {
    match app.identity().settings().mail {
        mail::Way::Sent => "if there is such an account, a mail is on its way to it",
        mail::Way::Kept => {
            "if there is such an account, its mail is written to the folder mail of the data folder: no mail server is configured (mail_url)"
        }
        mail::Way::Waits => {
            "this service sends no mail yet, so none will come: ask whoever runs it to set a new password for you"
        }
    }
}

/// Looks at what was asked, and mails a token to each account there is. A part of every round of the service.
pub(super) async fn work(app: &App) -> Result<(), Problem> {
    let now = app.now();
    let waiting = reading_all!(app.database(), |conn| store::password_reset::waiting(conn, now, LOOKED_AT))?;
    let (mut answered, mut left) = (0, 0);
    for (reset, sealed) in waiting {
        if answered == AT_ONCE {
            break;
        }
        let opened = vault::open(app, &sealed_as(reset), &sealed).await;
        if opened.is_err() && app.identity().sealer.may_open_elsewhere(&sealed) {
            left += 1;
            continue;
        }
        answered += 1;
        let login = opened.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        let done = match login {
            Some(login) => answer(app, reset, login).await,
            None => {
                tracing::error!(reset = %sealed_as(reset), "what was asked cannot be opened by anybody: it is forgotten");
                forget_asked(app, reset).await
            }
        };
        // One that goes wrong keeps no other.
        if let Err(problem) = done {
            tracing::warn!(reset = %sealed_as(reset), %problem, "a forgotten password could not be looked at: later again");
        }
    }
    if left > 0 {
        tracing::warn!(requests = left, "forgotten passwords are left to a node that can open them");
    }
    Ok(())
}

async fn answer(app: &App, reset: u128, login: String) -> Result<(), Problem> {
    let found = reading_all!(app.database(), |conn| async move {
        let Some(found) = store::principal::by_login(conn, &login).await? else { return Ok(None) };
        Ok::<_, charter_db::Error>(may_reset(conn, &found).await?.then_some(found))
    })?;
    match found {
        Some(principal) => issue(app, reset, principal).await,
        None => forget_asked(app, reset).await,
    }
}

/// A person who may act somewhere.
async fn may_reset(conn: &mut Conn, principal: &Principal) -> Result<bool, charter_db::Error> {
    Ok(principal.kind == PrincipalKind::User && is_standing(conn, principal, None).await?)
}

/// What a token is bound to: an account as it is now, with the address the token was mailed to.
fn bond_text(principal: &Principal) -> String {
    let hash = principal.password_hash.as_deref().unwrap_or_default();
    format!("password {} {} {hash}", principal.id, principal.login_folded)
}

fn reset_text(token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("password reset {token}"))
}

async fn forget_asked(app: &App, reset: u128) -> Result<(), Problem> {
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                store::password_reset::take(tx, reset).await?;
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}

async fn issue(app: &App, reset: u128, principal: Principal) -> Result<(), Problem> {
    let (now, platform, app_inside) = (app.now(), app.platform(), app.clone());
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(app.world().random::<32>()));
    let pepper = &app.identity().pepper;
    let (token_hash, bound_to) =
        (pepper.of_code(&reset_text(&token)), pepper.of_code(&bond_text(&principal)));
    let expires_at = now.plus_seconds(TOKEN_SECONDS);
    let written = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                if !store::password_reset::take(tx, reset).await? {
                    return Err(Problem::new(ProblemKind::InUse, "another node has mailed the token"));
                }
                let who = principal.id;
                store::password_reset::issue(tx, reset, who, &token_hash, &bound_to, expires_at).await?;
                let notice = Notice::PasswordResetLink { token, lasts_seconds: TOKEN_SECONDS };
                notice::queue(&app_inside, tx, who, notice, now).await?;
                let event = audit::system_event(
                    "identity",
                    platform,
                    now,
                    "password.mail-token",
                    "principal",
                    who.to_string(),
                );
                transaction.commit(event, Vec::new(), ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await;
    match written {
        Err(problem) if problem.kind == ProblemKind::InUse => Ok(()),
        other => other.map(drop),
    }
}

/// A token with which the owner of an account chooses a password, made in the transaction of whatever makes it needed; to be mailed.
pub(super) async fn make(
    app: &App,
    tx: &mut Tx,
    principal: &Principal,
    now: Timestamp,
    lasts_seconds: i64,
) -> Result<Zeroizing<String>, Problem> {
    let (reset, expires_at) = (app.fresh_id(), now.plus_seconds(lasts_seconds));
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(app.world().random::<32>()));
    let login_hash = app.identity().pepper.of_login(&principal.login_folded);
    store::password_reset::insert(tx, reset, &login_hash, &[], now, expires_at).await?;
    store::password_reset::take(tx, reset).await?;
    let pepper = &app.identity().pepper;
    let (token_hash, bound_to) = (pepper.of_code(&reset_text(&token)), pepper.of_code(&bond_text(principal)));
    store::password_reset::issue(tx, reset, principal.id, &token_hash, &bound_to, expires_at).await?;
    Ok(token)
}

fn invalid_token() -> Problem {
    Problem::new(ProblemKind::InvalidCredentials, "the code is unknown, used, or too old: ask for a new one")
}

/// Sets a new password by a token that was mailed. Every session ends and none begins.
pub async fn reset(
    app: &App,
    ctx: &RequestContext,
    token: &str,
    new: Zeroizing<String>,
) -> Result<(), Problem> {
    let (identity, now, platform) = (app.identity(), ctx.now, app.platform());
    identity.throttle.take_from_address(ctx.address, now)?;
    let hashes = app.identity().pepper.every_code(&reset_text(mailed_code::of(token)));
    let found = reading_all!(app.database(), |conn| async move {
        let mut kept = None;
        for hash in hashes {
            if let Some(issued) = store::password_reset::by_token(conn, &hash, now).await? {
                kept = Some((issued, hash));
            }
        }
        let Some((issued, hash)) = kept else { return Ok(None) };
        let Some(principal) = store::principal::by_id(conn, issued.principal).await? else { return Ok(None) };
        Ok::<_, charter_db::Error>(may_reset(conn, &principal).await?.then_some((issued, hash, principal)))
    })?;
    let (issued, token_hash, principal) = found.ok_or_else(invalid_token)?;
    if !identity.pepper.is_code(&bond_text(&principal), &issued.bound_to) {
        return Err(invalid_token());
    }
    let account = identity.pepper.of_login(&principal.login_folded);
    let chosen = identity.hasher.chosen("password", new, measure(app, principal.id).await?).await?;
    let is_short = is_short(app, &chosen);
    let new_hash = identity.hasher.hash(chosen, app.world().random()).await?;
    let (ctx_inside, app_inside, who) = (acting_as(ctx, &principal), app.clone(), principal.id);
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                // Behind the lock: neither the password nor the account changed since it was looked at.
                let is_as_before = store::principal::by_id(tx, who).await?.as_ref() == Some(&principal);
                if !is_as_before
                    || !may_reset(tx, &principal).await?
                    || !store::password_reset::use_up(tx, &token_hash, now).await?
                {
                    return Err(invalid_token());
                }
                store::principal::set_password(tx, who, Some(&new_hash), now).await?;
                // The token came to the address the account has for a login.
                let verified_at = principal.email_verified_at.or(Some(now));
                store::principal::set_email_verified(tx, who, verified_at).await?;
                note_length(tx, who, "password", is_short).await?;
                guesses::forgive(tx, &account).await?;
                let reason = "the password was reset";
                let ended = session::end_everywhere(tx, who, reason, now).await?;
                let notice = Notice::PasswordChanged { address: ctx_inside.address };
                notice::queue(&app_inside, tx, who, notice, now).await?;
                let mut event =
                    audit::event(&ctx_inside, platform, "password.reset", "principal", who.to_string());
                event.reason = "by a token from a mail".to_owned();
                event.after = Some(format!(r#"{{"sessions_ended":{}}}"#, ended.len()));
                transaction.commit(event, Vec::new(), ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    Ok(())
}

/// Forgets what ran out a day ago.
pub(super) async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let before = now.plus_seconds(-KEPT_SECONDS);
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                store::password_reset::purge(tx, before).await?;
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}
