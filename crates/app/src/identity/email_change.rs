//! Another address for one's account. The new one is proved by a mail to it; then it is the login, every session ends, and the old one
//! gets a mail with the way back, good for a week. Taking it back ends every session again, and a password that was set meanwhile.

use super::guesses::Behind;
use super::newcomer::{open, seal};
use super::newcomer_mail::{self, NewcomerMail};
use super::oauth::consent;
use super::own_factor::require_shown;
use super::own_session::principal_of;
use super::{credential, guesses, mailed_code, password_reset, session, support};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::text;
use crate::transaction::{Committed, Transaction};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::facts::{PrincipalKind, PrincipalStatus};
use charter_kernel::{EmailChangeId, PrincipalId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use store::email_change::EmailChange;
use store::principal::Principal;
use zeroize::Zeroizing;

/// How long the new address can be proved.
pub const PROOF_SECONDS: i64 = 24 * 3_600;
/// How long the change can be taken back.
pub const UNDO_SECONDS: i64 = 7 * 86_400;
/// How long a password can be chosen after that.
const RESET_SECONDS: i64 = 72 * 3_600;
/// Changes one may ask for within an hour.
const PER_HOUR: u64 = 5;
const HOUR: i64 = 3_600;
const KEPT_SECONDS: i64 = 30 * 86_400;
/// How long before a change that is taken back what was added to the account is taken for somebody else's.
const SUSPECT_SECONDS: i64 = 7 * 86_400;

fn old_place(id: EmailChangeId) -> String {
    format!("email_changes old_email {id}")
}

fn new_place(id: EmailChangeId) -> String {
    format!("email_changes new_email {id}")
}

/// A token of a change can be made again from its id and what only this service knows, so that no row holds it: the way back is mailed long
/// after it was promised.
fn undo_token(app: &App, id: EmailChangeId) -> Zeroizing<String> {
    let secret = app.identity().pepper.of_code(&undo_source(id));
    Zeroizing::new(URL_SAFE_NO_PAD.encode(secret))
}

fn undo_source(id: EmailChangeId) -> String {
    format!("email undo token {id}")
}

/// The token of a change that was promised, perhaps by a pepper that is being replaced.
fn promised(app: &App, change: &EmailChange) -> Option<Zeroizing<String>> {
    let pepper = &app.identity().pepper;
    let made = pepper.every_code(&undo_source(change.id)).into_iter();
    made.map(|secret| Zeroizing::new(URL_SAFE_NO_PAD.encode(secret)))
        .find(|token| pepper.is_code(&hashed("undo", token), &change.undo_hash))
}

/// What is hashed of a token.
fn hashed(what: &str, token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("email {what} {token}"))
}

fn hash(app: &App, what: &str, token: &str) -> [u8; 32] {
    app.identity().pepper.of_code(&hashed(what, token))
}

/// The hashes a token that is shown may have.
fn hashes(app: &App, what: &str, token: &str) -> Vec<[u8; 32]> {
    app.identity().pepper.every_code(&hashed(what, mailed_code::of(token)))
}

/// Asks for another address. The answer is the same whether or not the address has an account.
pub async fn ask(app: &App, ctx: &RequestContext, email: &str) -> Result<(), Problem> {
    let (caller, now, platform) = (principal_of(ctx)?, ctx.now, app.platform());
    support::require_own(ctx)?;
    if caller.kind != PrincipalKind::User {
        return Err(Problem::new(ProblemKind::Forbidden, "a service account has no address"));
    }
    let (who, new) = (caller.id, text::email("email", email)?);
    let has_factor = reading_all!(app.database(), |conn| store::second_factor::has(conn, who))?;
    require_shown(caller, has_factor)?;
    let (wanted, hashes) = (new.clone(), app.identity().pepper.every_email(&new));
    let (found, is_taken) = reading_all!(app.database(), |conn| async move {
        let found = store::principal::by_id(conn, who).await?;
        // One that is kept for somebody else is theirs, too.
        let is_taken = store::principal::login_taken(conn, &wanted).await?
            || kept_until(conn, &hashes, Some(who), now).await?.is_some();
        Ok::<_, charter_db::Error>((found, is_taken))
    })?;
    let principal = found.ok_or_else(gone)?;
    if principal.login_folded == new {
        return Err(Problem::invalid("email", "it is your address already"));
    }
    let id = EmailChangeId(app.fresh_id());
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(app.world().random::<32>()));
    let change = EmailChange {
        id,
        principal: who,
        old_email: seal(app, &old_place(id), &principal.login_folded)?,
        new_email: seal(app, &new_place(id), &new)?,
        proof_hash: hash(app, "proof", &token).to_vec(),
        undo_hash: hash(app, "undo", &undo_token(app, id)).to_vec(),
        asked_at: now,
        expires_at: now.plus_seconds(PROOF_SECONDS),
        proved_at: None,
        undo_until: None,
    };
    let old_hash = app.identity().pepper.of_email(&principal.login_folded);
    let (app_inside, ctx_inside) = (app.clone(), ctx.clone());
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let tx = transaction.tx();
            let since = now.plus_seconds(-HOUR);
            if store::email_change::asked_since(tx, who, since).await? >= PER_HOUR {
                let detail =
                    format!("at most {PER_HOUR} changes of address within an hour: try again in 10 minutes");
                return Err(Problem::new(ProblemKind::Throttled, detail).retry_after(600));
            }
            guesses::count_mail(tx, &app_inside, Behind::Account, None, &new, now).await?;
            store::email_change::insert(tx, &change, &old_hash).await?;
            let mail = if is_taken {
                NewcomerMail::ChangeTaken
            } else {
                NewcomerMail::ProveChange { token, until: change.expires_at }
            };
            newcomer_mail::queue(&app_inside, tx, &new, None, &mail, now).await?;
            let event = audit::event(&ctx_inside, platform, "email.ask", "principal", who.to_string());
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await
    .map(drop)
}

/// Until when an address that was given up is kept for somebody else than `whom`.
pub(crate) async fn kept_until(
    conn: &mut Conn,
    hashes: &[[u8; 32]],
    whom: Option<PrincipalId>,
    now: Timestamp,
) -> Result<Option<Timestamp>, charter_db::Error> {
    for hash in hashes {
        if let Some((owner, until)) = store::email_change::kept(conn, hash, now).await?
            && Some(owner) != whom
        {
            return Ok(Some(until));
        }
    }
    Ok(None)
}

/// Refuses an address that is kept for somebody else than `whom`: they may take the change back with which they gave it up.
pub(crate) async fn require_unkept(
    app: &App,
    conn: &mut Conn,
    email: &str,
    whom: Option<PrincipalId>,
    now: Timestamp,
) -> Result<(), Problem> {
    let hashes = app.identity().pepper.every_email(email);
    match kept_until(conn, &hashes, whom, now).await? {
        None => Ok(()),
        Some(until) => {
            let until = Timestamp::from_seconds(until.seconds());
            let detail = format!("{email} was given up lately and is kept for its owner until {until}");
            Err(Problem::new(ProblemKind::Taken, detail))
        }
    }
}

fn gone() -> Problem {
    Problem::new(ProblemKind::Gone, "the link is unknown, was used, or its time is over")
}

/// What a change starts from and leads to, when its account is as it was left.
async fn account(tx: &mut Tx, change: &EmailChange, login: &str) -> Result<Principal, Problem> {
    store::principal::by_id(tx, change.principal)
        .await?
        .filter(|it| it.login_folded == login && it.status == PrincipalStatus::Active)
        // Who chose a new password meanwhile may have done so because somebody else asked for this.
        .filter(|it| it.password_changed_at.is_none_or(|at| at <= change.asked_at))
        .ok_or_else(gone)
}

/// Gives the account another login, in every organization it belongs to, and ends its sessions.
async fn turn(
    app: &App,
    transaction: &mut Transaction<'_>,
    before: &Principal,
    login: &str,
    reason: &str,
    now: Timestamp,
) -> Result<(Principal, Vec<SessionId>), Problem> {
    let tx = transaction.tx();
    if store::principal::login_taken(tx, login).await? {
        return Err(Problem::new(ProblemKind::Taken, "the address has another account by now"));
    }
    require_unkept(app, tx, login, Some(before.id), now).await?;
    let mut after = before.clone();
    login.clone_into(&mut after.login);
    login.clone_into(&mut after.login_folded);
    after.updated_at = now;
    after.email_verified_at = Some(now);
    store::principal::update(tx, before, &after).await?;
    // Either mail reached the address that the account has from now on.
    store::principal::set_email_verified(tx, after.id, Some(now)).await?;
    let ended = session::end_everywhere(tx, after.id, reason, now).await?;
    for place in store::membership::organizations_of(transaction.tx(), after.id).await? {
        transaction.touch(place).await?;
    }
    Ok((after, ended))
}

fn logins(before: &str, after: &str) -> (Option<String>, Option<String>) {
    let login = |text: &str| Some(serde_json::json!({ "login": text }).to_string());
    (login(before), login(after))
}

/// Proves the new address; from now on it is the login. Every session ends.
pub async fn prove(app: &App, ctx: &RequestContext, token: &str) -> Result<(), Problem> {
    let (now, platform) = (ctx.now, app.platform());
    app.identity().throttle.take_from_address(ctx.address, now)?;
    let proofs = hashes(app, "proof", token);
    let found = reading_all!(app.database(), |conn| async move {
        for proof in proofs {
            let found = store::email_change::by_proof(conn, &proof, now).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok::<_, charter_db::Error>(None)
    })?;
    let change = found.ok_or_else(gone)?;
    let (old, new) = (
        open(app, &old_place(change.id), &change.old_email).await?,
        open(app, &new_place(change.id), &change.new_email).await?,
    );
    let (app_inside, ctx_inside) = (app.clone(), ctx.clone());
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let until = now.plus_seconds(UNDO_SECONDS);
                if !store::email_change::prove(transaction.tx(), change.id, now, until).await? {
                    return Err(gone());
                }
                let before = account(transaction.tx(), &change, &old).await?;
                let reason = "the address was changed";
                let (after, ended) = turn(&app_inside, &mut transaction, &before, &new, reason, now).await?;
                // Who signed in by a name instead of an address has nowhere to be written to.
                if text::email("login", &old).is_ok() {
                    let token = promised(&app_inside, &change).ok_or_else(gone)?;
                    let mail = NewcomerMail::Changed { token, until };
                    let (tx, whom) = (transaction.tx(), Some(after.id));
                    newcomer_mail::queue(&app_inside, tx, &old, whom, &mail, now).await?;
                }
                let who = super::begin::acting_as(&ctx_inside, &after);
                let mut event =
                    audit::event(&who, platform, "email.change", "principal", after.id.to_string());
                (event.before, event.after) = logins(&old, &new);
                transaction.commit(event, Vec::new(), ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    app.snapshots().catch_up().await.map(drop)
}

/// What is done because a change was taken back.
const TAKEN_BACK: &str = "a change of the address was taken back";

/// Ends the API keys somebody made since shortly before a change that is taken back; those they made since for service accounts, which
/// others may rely on, are put aside. Gives the events and the public ids of the keys.
async fn end_keys(
    transaction: &mut Transaction<'_>,
    who: &RequestContext,
    change: &EmailChange,
    now: Timestamp,
) -> Result<(Vec<AuditEvent>, Vec<String>), Problem> {
    let (mut events, mut ended) = (Vec::new(), Vec::new());
    let (owner, since) = (change.principal, change.asked_at.plus_seconds(-SUSPECT_SECONDS));
    let reason = TAKEN_BACK;
    for place in store::membership::organizations_of(transaction.tx(), owner).await? {
        for key in store::credential::made_since(transaction.tx(), place, owner, since).await? {
            let tx = transaction.tx();
            let action = if key.principal == owner {
                store::credential::revoke(tx, place, key.id, None, reason, now).await?;
                "credential.revoke"
            } else if key.created_at >= change.asked_at && key.quarantined_at.is_none() {
                store::credential::set_quarantine(tx, place, key.id, Some(now)).await?;
                "credential.quarantine"
            } else {
                continue;
            };
            let mut event = credential::told(who, action, Some(&key), None, key.id);
            event.reason = reason.to_owned();
            events.push(event);
            ended.push(key.key_id.to_string());
        }
    }
    Ok((events, ended))
}

/// Takes a change back: the account has its old address again. Every session ends, and so do the password, and the second factors, API
/// keys and applications that were let in since, or shortly before.
pub async fn undo(app: &App, ctx: &RequestContext, token: &str) -> Result<(), Problem> {
    let (now, platform) = (ctx.now, app.platform());
    app.identity().throttle.take_from_address(ctx.address, now)?;
    let undos = hashes(app, "undo", token);
    let found = reading_all!(app.database(), |conn| async move {
        for undo in undos {
            let found = store::email_change::by_undo(conn, &undo, now).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok::<_, charter_db::Error>(None)
    })?;
    let change = found.ok_or_else(gone)?;
    let old = open(app, &old_place(change.id), &change.old_email).await?;
    let (app_inside, ctx_inside) = (app.clone(), ctx.clone());
    let ((ended, keys), _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                if !store::email_change::undo(tx, &change, now).await? {
                    return Err(gone());
                }
                // Whoever changed the address may have changed it again since.
                let before = store::principal::by_id(tx, change.principal)
                    .await?
                    .filter(|it| it.status == PrincipalStatus::Active && it.login_folded != old)
                    .ok_or_else(gone)?;
                let (mut after, ended) =
                    turn(&app_inside, &mut transaction, &before, &old, TAKEN_BACK, now).await?;
                let tx = transaction.tx();
                // Whoever turned the account may know its password, and may have added what signs in without one. What was there long
                // before stays: the old mailbox alone must not lead past it.
                store::principal::set_password(tx, after.id, None, now).await?;
                after.password_hash = None;
                let since = change.asked_at.plus_seconds(-SUSPECT_SECONDS);
                if store::second_factor::delete_since(tx, after.id, since).await? > 0 {
                    store::recovery_code::replace(tx, after.id, &[], now).await?;
                }
                let token = password_reset::make(&app_inside, tx, &after, now, RESET_SECONDS).await?;
                let mail = NewcomerMail::Restored { token, lasts_seconds: RESET_SECONDS };
                newcomer_mail::queue(&app_inside, tx, &old, Some(after.id), &mail, now).await?;
                let who = super::begin::acting_as(&ctx_inside, &after);
                let (mut events, keys) = end_keys(&mut transaction, &who, &change, now).await?;
                for place in store::membership::organizations_of(transaction.tx(), after.id).await? {
                    let tx = transaction.tx();
                    events.extend(consent::end_since(tx, &who, place, after.id, since, TAKEN_BACK).await?);
                }
                let mut event = audit::event(&who, platform, "email.undo", "principal", after.id.to_string());
                (event.before, event.after) = logins(&before.login_folded, &old);
                transaction.commit(event, events, (ended, keys)).await
            }) as BoxFuture<'_, Result<Committed<(Vec<SessionId>, Vec<String>)>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    keys.iter().for_each(|key| app.identity().forget_credential(key));
    app.snapshots().catch_up().await.map(drop)
}

/// Forgets changes a month after they could be proved, but for addresses that users of another system gave up.
pub(super) async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let before = now.plus_seconds(-KEPT_SECONDS);
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                store::email_change::purge(tx, before).await?;
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}
