//! Changing a password: one's own, with the present one; or somebody's, by the operator. Either ends the sessions that were begun with
//! the old one.

use super::begin::{self, SignIn, acting_as, issue, replace};
use super::notice::{self, Notice};
use super::own_factor::require_shown;
use super::own_session::own_session_of;
use super::password::{Hasher, Password, Verified};
use super::password_rules::{Measure, is_short, measure, note_length};
use super::present::{gone, present};
use super::{guesses, session};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{PrincipalId, Problem, ProblemKind, SessionId};
use charter_store as store;
use zeroize::Zeroizing;

const PAGE: u32 = 500;
const HASHED_AT_ONCE: usize = 32;

/// Changes one's own password. Every session ends; a new one begins here and now.
pub async fn change(
    app: &App,
    ctx: &RequestContext,
    current: Zeroizing<String>,
    new: Zeroizing<String>,
) -> Result<SignIn, Problem> {
    let (caller, _) = own_session_of(ctx)?;
    let (identity, now, platform, who) = (app.identity(), ctx.now, app.platform(), caller.id);
    let has_factor = reading_all!(app.database(), |conn| store::second_factor::has(conn, who))?;
    require_shown(caller, has_factor)?;
    let counter = guesses::of_principal(app, who);
    guesses::take(app, ctx.address, counter, now).await?;
    let (session, principal) = present(app, ctx).await?;
    let stored = principal.password_hash.clone();
    let verified = identity.hasher.verify(Password::typed(&current), stored, app.world().random()).await?;
    if verified == Verified::Wrong {
        return Err(Problem::new(ProblemKind::InvalidCredentials, "the current password is wrong"));
    }
    let is_new = *current != *new;
    let measure = measure(app, who).await?;
    let judged = identity.hasher.chosen("new_password", new, measure).await.and_then(|chosen| {
        let same = || Problem::invalid("new_password", "it is the current password: choose another");
        is_new.then_some(chosen).ok_or_else(same)
    });
    let chosen = match judged {
        Ok(chosen) => chosen,
        Err(problem) => {
            guesses::forgive_at_once(app, counter).await?;
            return Err(problem);
        }
    };
    let is_short = is_short(app, &chosen);
    let hash = identity.hasher.hash(chosen, app.world().random()).await?;
    // The session goes on under another id, for no longer than it would have, and without having proved more than it did.
    let begun = replace(app, ctx, &session, session.organization).await?;
    let (ctx_inside, new, app_inside) = (acting_as(ctx, &principal), begun.clone(), app.clone());
    let old = session.id;
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                begin::require_unchanged(&mut transaction, &principal, &verified).await?;
                store::principal::set_password(transaction.tx(), who, Some(&hash), now).await?;
                note_length(transaction.tx(), who, "new_password", is_short).await?;
                let reason = "the password was changed";
                if !store::session::end(transaction.tx(), old, reason, now).await? {
                    return Err(gone());
                }
                let mut ended = session::end_everywhere(transaction.tx(), who, reason, now).await?;
                ended.push(old);
                let notice = Notice::PasswordChanged { address: ctx_inside.address };
                notice::queue(&app_inside, transaction.tx(), who, notice, now).await?;
                guesses::forgive(transaction.tx(), &counter).await?;
                let (_, events) = begin::write(&mut transaction, &ctx_inside, platform, &new, reason).await?;
                let organization = new.session.organization.unwrap_or(platform);
                let mut event =
                    audit::event(&ctx_inside, organization, "password.change", "principal", who.to_string());
                event.after = Some(format!(r#"{{"sessions_ended":{}}}"#, ended.len()));
                transaction.commit(event, events, ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    issue(app, begun, now)
}

/// Sets the password of a user; for the operator only. Tells how many sessions ended.
pub async fn set(
    app: &App,
    ctx: &RequestContext,
    login: &str,
    new: Zeroizing<String>,
) -> Result<usize, Problem> {
    if !ctx.is_operator() {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "only the operator at the machine sets others' passwords",
        ));
    }
    let (now, platform) = (ctx.now, app.platform());
    let folded = text::email("login", login)?;
    let wanted = folded.clone();
    let found =
        reading_all!(app.database(), |conn| async move { store::principal::by_login(conn, &wanted).await })?;
    let principal = found
        .filter(|principal| principal.kind == PrincipalKind::User)
        .ok_or_else(|| Problem::not_found(format!("no user {folded}")))?;
    let chosen = app.identity().hasher.chosen("password", new, measure(app, principal.id).await?).await?;
    let is_short = is_short(app, &chosen);
    let hash = app.identity().hasher.hash(chosen, app.world().random()).await?;
    let (ctx_inside, app_inside, who) = (ctx.clone(), app.clone(), principal.id);
    let account = app.identity().pepper.of_login(&principal.login_folded);
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                store::principal::set_password(transaction.tx(), who, Some(&hash), now).await?;
                note_length(transaction.tx(), who, "password", is_short).await?;
                guesses::forgive(transaction.tx(), &account).await?;
                let reason = "the operator set the password";
                let ended = session::end_everywhere(transaction.tx(), who, reason, now).await?;
                notice::queue(&app_inside, transaction.tx(), who, Notice::PasswordSet, now).await?;
                let mut event =
                    audit::event(&ctx_inside, platform, "password.set", "principal", who.to_string());
                event.reason = reason.to_owned();
                event.after = Some(format!(
                    r#"{{"login":{},"sessions_ended":{}}}"#,
                    serde_json::json!(folded),
                    ended.len()
                ));
                transaction.commit(event, Vec::new(), ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    Ok(ended.len())
}

/// Gives one password to every user who has none; for the operator of an installation to try out. Tells how many there were.
pub async fn set_where_none(app: &App, ctx: &RequestContext, new: &str) -> Result<usize, Problem> {
    if !ctx.is_operator() || app.identity().settings().is_live {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "one password for everybody is for trying out, and for the operator to set",
        ));
    }
    let platform = app.platform();
    let (mut waiting, mut after) = (Vec::new(), PrincipalId(0));
    loop {
        let page = reading_all!(app.database(), |conn| store::principal::page(conn, after, PAGE))?;
        after = page.rows.last().map_or(after, |principal| principal.id);
        let of_users = page.rows.into_iter().filter(|it| it.kind == PrincipalKind::User);
        waiting.extend(of_users.filter(|it| it.password_hash.is_none()));
        if !page.more {
            break;
        }
    }
    // Nobody signs in meanwhile: every core may hash.
    let settings = app.identity().settings();
    let measure = Measure::new("", "", &[], settings.password_characters_min);
    app.identity().hasher.chosen("password", Zeroizing::new(new.to_owned()), measure).await?;
    let hasher = Hasher::new(settings.hash_cost, settings.cores + 1, app.world().random());
    let mut hashes = Vec::new();
    for batch in waiting.chunks(HASHED_AT_ONCE) {
        let mut running = tokio::task::JoinSet::new();
        for principal in batch {
            let Some(password) = Password::typed(new) else { continue };
            let (hasher, salt, who) = (hasher.clone(), app.world().random(), principal.id);
            running.spawn(async move { hasher.hash(password, salt).await.map(|hash| (who, hash)) });
        }
        for done in running.join_all().await {
            hashes.push(done?);
        }
    }
    // All the hashing took its time, and a write is stamped with an instant close to its own.
    let now = app.now();
    let (count, ctx_inside) = (hashes.len(), RequestContext { now, ..ctx.clone() });
    if count == 0 {
        return Ok(0);
    }
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            for (who, hash) in &hashes {
                store::principal::set_password(transaction.tx(), *who, Some(hash), now).await?;
            }
            let mut event =
                audit::event(&ctx_inside, platform, "password.set", "installation", "everybody without one");
            event.reason = "one password for everybody, to try out".to_owned();
            event.after = Some(serde_json::json!({ "users": hashes.len() }).to_string());
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    Ok(count)
}
