//! The caller behind a token of the former system, the exchange of such a token for a session of ours, and the end of it all.
//!
//! When the installation first took such tokens is kept in the settings, so that no restart begins the grace anew; how often those of each
//! secret are taken, in a table of its own, so that operators see when nobody needs it any more.

use super::authenticate::Stop;
use super::begin::{self, Opening, SignIn, issue};
use super::legacy_secret::{LegacyFile, Weakness};
use super::legacy_token::{GRACE_SECONDS, Held, LegacyClaims, LegacyIds, LegacySecretState, LegacyTokens};
use super::membership;
use super::own_session::principal_of;
use super::sign_in::begin_from_legacy;
use super::token::TokenFault;
use super::{session, session_limits};
use crate::App;
use crate::audit;
use crate::caller::{Caller, RequestContext, SignedIn};
use crate::guard::Permit;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Conn, Scope, Tx};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::legacy_secret::LegacyUse;
use charter_store::principal::Principal;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

const SETTING: &str = "legacy_tokens";
/// A secret of which no token came for this long is proposed to be ended.
pub const IDLE_SECONDS: i64 = 14 * 86_400;
/// How often what was counted is written down.
const WRITE_SECONDS: i64 = 10;
/// How a caller proved itself who came with a token of the former system.
pub const LEGACY: &str = "legacy";

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Kept {
    since: Timestamp,
    ended_at: Option<Timestamp>,
}

fn unreadable(error: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Internal, format!("setting {SETTING}: {error}"))
}

async fn kept(app: &App) -> Result<Option<Kept>, Problem> {
    let text = reading_all!(app.database(), |conn| store::setting::get(conn, SETTING))?;
    text.map(|text| serde_json::from_str(&text).map_err(unreadable)).transpose()
}

/// How the operator takes tokens of the former system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Until when, where that is sooner than the end of the grace.
    pub until: Option<Timestamp>,
    /// Those of secrets that can be guessed too, for a day.
    pub accepts_weak: bool,
    /// Users are named by their ids there.
    pub ids: Option<LegacyIds>,
}

/// What became of the secrets of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// How many verify tokens from now on.
    pub in_force: usize,
    /// Which of the history can be guessed and were left out, counted from one, and why.
    pub left_out: Vec<(usize, Weakness)>,
}

/// Takes tokens signed with the secrets of a file from now on, in the place of those before; once at start, and again when the file changed.
/// A weak secret verifies nothing, unless the operator accepts such, and then counts for a day: the one that signs now is refused with the
/// whole file, those of the history are left out. Of a file that is refused for that nothing new is taken, and what left it has ended.
pub async fn take(app: &App, file: &LegacyFile, terms: &Terms) -> Result<Taken, Problem> {
    let (mut file, mut taken) = (file.clone(), Taken::default());
    if !terms.accepts_weak {
        if let Some(weakness) = file.current.weakness() {
            end_those_not_in(app, &file).await?;
            return Err(Problem::invalid(
                "legacy_env",
                format!(
                    "line {}: SECRET_KEY {weakness}: whoever guesses it signs in as anybody. Rotate it with `charter keys rotate \
                     --legacy-env PATH` (tokens that it signed are refused then), or accept it for a day with `legacy_accept_weak`",
                    file.line
                ),
            ));
        }
        taken.left_out = file.weak_history();
        file = file.without_weak_history();
    }
    let (platform, now) = (app.platform(), app.now());
    let found = match kept(app).await? {
        Some(found) => found,
        None => {
            let first = Kept { since: now, ended_at: None };
            let text = serde_json::to_string(&first).map_err(unreadable)?;
            app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    store::setting::insert(transaction.tx(), SETTING, &text, now).await?;
                    let event = audit::system_event(
                        "identity",
                        platform,
                        now,
                        "legacy_tokens.begin",
                        "setting",
                        SETTING,
                    );
                    transaction.commit(event, Vec::new(), ()).await
                }) as BoxFuture<'_, Result<Committed<()>, Problem>>
            })
            .await?;
            kept(app).await?.unwrap_or(first)
        }
    };
    let identity = app.identity();
    if found.ended_at.is_some() {
        identity.legacy.store(None);
        return Ok(taken);
    }
    let tokens =
        LegacyTokens::new(&file, &identity.pepper, found.since, terms.until).naming_by(terms.ids.clone());
    let tokens = tokens.counting_on(identity.legacy.load().as_deref());
    let rows = reading_all!(app.database(), |conn| store::legacy_secret::list(conn))?;
    tokens.end(|id| rows.iter().any(|row| row.id == id && row.ended_at.is_some()));
    let held = tokens.held();
    remember(app, &held, &rows, true, now).await?;
    identity.legacy.store(Some(Arc::new(tokens)));
    taken.in_force = held.iter().filter(|secret| !secret.has_ended && secret.until > now).count();
    Ok(taken)
}

/// Keeps of the secrets in force those that a file holds.
async fn end_those_not_in(app: &App, file: &LegacyFile) -> Result<(), Problem> {
    let identity = app.identity();
    let Some(before) = identity.legacy.load_full() else { return Ok(()) };
    let tokens = Arc::new(before.still_in(file));
    // First: what the database cannot be told yet has left all the same. Whoever ends one meanwhile is seen in the rows.
    identity.legacy.store(Some(Arc::clone(&tokens)));
    let rows = reading_all!(app.database(), |conn| store::legacy_secret::list(conn))?;
    tokens.end(|id| rows.iter().any(|row| row.id == id && row.ended_at.is_some()));
    remember(app, &tokens.held(), &rows, true, app.now()).await
}

/// Brings what is kept of secrets into line with those of the file: new ones are noted, and those under an older version of the pepper
/// are called by the newer. With `is_all`, there are no others: what is kept of them is forgotten.
async fn remember(
    app: &App,
    held: &[Held],
    rows: &[LegacyUse],
    is_all: bool,
    now: Timestamp,
) -> Result<(), Problem> {
    let (mut new, mut renamed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for secret in held {
        let Some(newest) = secret.ids.first() else { continue };
        for row in rows {
            // A node whose clock is behind calls nothing back by an older version.
            if secret.ids.iter().any(|name| name.by < newest.by && name.id == row.id) {
                renamed.push((row.id.clone(), newest.clone()));
            } else if row.id == newest.id && row.named_by == 0 {
                new.push(LegacyUse::unused(newest.id.clone(), newest.by, row.taken_at));
            }
        }
        if !rows.iter().any(|row| secret.is_called(&row.id)) {
            new.push(LegacyUse::unused(newest.id.clone(), newest.by, now));
        }
    }
    if is_all {
        let is_held = |row: &&LegacyUse| held.iter().any(|secret| secret.is_called(&row.id));
        let others = rows.iter().filter(|row| row.ended_at.is_none() && !is_held(row));
        gone.extend(others.map(|row| row.id.clone()));
    }
    if new.is_empty() && renamed.is_empty() && gone.is_empty() {
        return Ok(());
    }
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                for id in &gone {
                    store::legacy_secret::forget(tx, id).await?;
                }
                for (older, name) in renamed {
                    // Of two nodes that see the same, one finds it.
                    if let Some(row) = store::legacy_secret::take(tx, &older).await? {
                        new.push(LegacyUse { id: name.id, named_by: name.by, ..row });
                    }
                }
                for row in &new {
                    store::legacy_secret::add(tx, row).await?;
                }
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}

/// Writes down how often tokens were taken. What cannot be written waits on.
pub(super) async fn flush(app: &App, is_last: bool) {
    let (Some(tokens), now) = (app.identity().legacy.load_full(), app.now()) else { return };
    let used: Vec<LegacyUse> = tokens
        .held()
        .into_iter()
        .filter(|secret| secret.accepted > 0)
        .filter_map(|secret| {
            let name = secret.ids.into_iter().next()?;
            let unused = LegacyUse::unused(name.id, name.by, now);
            Some(LegacyUse { accepted: secret.accepted, last_accepted_at: secret.last_at, ..unused })
        })
        .collect();
    if used.is_empty() || !(tokens.takes_turn(WRITE_SECONDS, now) || is_last) {
        return;
    }
    let rows = used.clone();
    let written = app.database().write(Scope::Installation, move |tx: &mut Tx| {
        Box::pin(async move {
            for row in &rows {
                store::legacy_secret::add(tx, row).await?;
            }
            Ok(())
        }) as BoxFuture<'_, Result<(), Problem>>
    });
    match written.await {
        Ok(()) => used.iter().for_each(|row| tokens.written(&row.id, row.accepted)),
        Err(problem) => tracing::warn!(%problem, "how often legacy tokens were taken is written later"),
    }
}

/// The secrets in force; empty when tokens of the former system are not taken here.
pub async fn states(app: &App, _: &Permit) -> Result<Vec<LegacySecretState>, Problem> {
    let Some(tokens) = app.identity().legacy.load_full() else { return Ok(Vec::new()) };
    let (rows, now) = (reading_all!(app.database(), |conn| store::legacy_secret::list(conn))?, app.now());
    let state = |secret: Held| {
        let of = || rows.iter().filter(|row| secret.is_called(&row.id));
        Some(LegacySecretState {
            is_weak: secret.is_weak,
            until: secret.until,
            taken_at: of().map(|row| row.taken_at).min().unwrap_or(now),
            accepted: secret.accepted + of().map(|row| row.accepted).sum::<u64>(),
            last_accepted_at: of().filter_map(|row| row.last_accepted_at).chain(secret.last_at).max(),
            id: secret.ids.into_iter().next()?.id,
        })
    };
    Ok(tokens.held().into_iter().filter(|secret| !secret.has_ended).filter_map(state).collect())
}

/// A secret of which no token came for so long that nobody seems to need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// What it is called.
    pub id: String,
    /// Since when none came: since the last one, or since its tokens are taken.
    pub since: Timestamp,
    /// Whether every other secret is idle, too.
    pub are_all: bool,
}

/// The secrets that are proposed to be ended.
pub async fn idle(app: &App, permit: &Permit, now: Timestamp) -> Result<Vec<Idle>, Problem> {
    let mut since: Vec<(String, Timestamp)> = if app.identity().legacy.load().is_some() {
        let states = states(app, permit).await?;
        states.into_iter().map(|it| (it.id, it.last_accepted_at.unwrap_or(it.taken_at))).collect()
    } else if kept(app).await?.is_some_and(|found| found.ended_at.is_none()) {
        // No service runs here that takes them: what was written down.
        let rows = reading_all!(app.database(), |conn| store::legacy_secret::list(conn))?;
        let rows = rows.into_iter().filter(|row| row.ended_at.is_none());
        rows.map(|row| (row.id, row.last_accepted_at.unwrap_or(row.taken_at))).collect()
    } else {
        Vec::new()
    };
    let all = since.len();
    since.retain(|(_, since)| since.plus_seconds(IDLE_SECONDS) <= now);
    let are_all = since.len() == all;
    Ok(since.into_iter().map(|(id, since)| Idle { id, since, are_all }).collect())
}

/// Ends it: no token of the former system is taken any more, here at once, on other nodes with the next look at the settings.
pub async fn end(app: &App, ctx: &RequestContext, permit: &Permit, reason: &str) -> Result<(), Problem> {
    let (platform, now) = (permit.organization(), ctx.now);
    let reason = text::reason("reason", reason)?;
    let Some(found) = kept(app).await?.filter(|found| found.ended_at.is_none()) else {
        return Err(Problem::not_found("tokens of a former system are not taken"));
    };
    let text = serde_json::to_string(&Kept { ended_at: Some(now), ..found }).map_err(unreadable)?;
    let ctx_inside = ctx.clone();
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            store::setting::put(transaction.tx(), SETTING, &text, now).await?;
            let mut event = audit::event(&ctx_inside, platform, "legacy_tokens.end", "setting", SETTING);
            event.reason = reason;
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    app.identity().legacy.store(None);
    Ok(())
}

/// Ends one secret: no token of it is taken any more, here at once, on other nodes with their next look. Those of the others are.
pub async fn end_secret(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: &str,
    reason: &str,
) -> Result<(), Problem> {
    let (platform, now) = (permit.organization(), ctx.now);
    let mut event = audit::event(ctx, platform, "legacy_secret.end", "legacy_secret", id);
    event.reason = text::reason("reason", reason)?;
    let wanted = id.to_owned();
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            if !is_known(transaction.tx(), &wanted).await?
                || !store::legacy_secret::end(transaction.tx(), &wanted, now).await?
            {
                return Err(Problem::not_found(format!(
                    "no secret {wanted} of a former system is in force: `charter keys legacy` shows them"
                )));
            }
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    if let Some(tokens) = app.identity().legacy.load().as_deref() {
        tokens.end(|known| known == id);
    }
    Ok(())
}

/// Whether nodes know the secret that is called so: no pepper that has ended made its name.
async fn is_known(conn: &mut Conn, id: &str) -> Result<bool, Problem> {
    let rows = store::legacy_secret::list(conn).await?;
    let Some(row) = rows.iter().find(|row| row.id == id) else { return Ok(false) };
    let ended = store::vault::peppers(conn).await?.into_iter().filter(|it| it.ended_at.is_some());
    // Where it was not written down, it can be any.
    Ok(!ended.into_iter().any(|it| row.named_by <= it.version))
}

/// How many secrets that were ended nobody would know any more without a version of the pepper: put back into the file, they would be
/// taken again. None, once nothing of a former system is taken.
pub(crate) async fn known_only_by(
    conn: &mut Conn,
    version: u32,
    now: Timestamp,
) -> Result<u64, charter_db::Error> {
    let kept = store::setting::get(conn, SETTING).await?;
    let kept = kept.and_then(|text| serde_json::from_str::<Kept>(&text).ok());
    let is_over = |kept: Kept| kept.ended_at.is_some() || kept.since.plus_seconds(GRACE_SECONDS) <= now;
    if kept.is_some_and(is_over) {
        return Ok(0);
    }
    store::legacy_secret::ended_until(conn, version).await
}

/// Leaves in the trail that the former system's secrets are about to be rotated, before they are: a rotation that cannot be recorded
/// does not happen.
pub async fn record_rotation(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    file: &str,
) -> Result<(), Problem> {
    let (platform, now) = (permit.organization(), ctx.now);
    let file = text::name("file", file)?;
    let ctx_inside = ctx.clone();
    app.write(Scope::Installation, platform, now, move |transaction: Transaction<'_>| {
        Box::pin(async move {
            let event = audit::event(&ctx_inside, platform, "legacy_secret.rotate", "file", file);
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await
    .map(|_| ())
}

/// Learns what was ended elsewhere.
pub(super) async fn learn(app: &App) -> Result<(), Problem> {
    let identity = app.identity();
    let Some(tokens) = identity.legacy.load_full() else { return Ok(()) };
    if kept(app).await?.is_some_and(|found| found.ended_at.is_some()) {
        identity.legacy.store(None);
        return Ok(());
    }
    let rows = reading_all!(app.database(), |conn| store::legacy_secret::list(conn))?;
    tokens.end(|id| rows.iter().any(|row| row.id == id && row.ended_at.is_some()));
    remember(app, &tokens.held(), &rows, false, app.now()).await
}

/// The user a token of the former system names, and the instant until which their tokens have ended. Two names of two users name nobody.
async fn user(app: &App, claims: &LegacyClaims) -> Result<Option<(Principal, Option<Timestamp>)>, Problem> {
    let logins: Vec<String> = claims.names.iter().map(|name| text::fold_login(name)).collect();
    let id = claims.id.clone();
    reading_all!(app.database(), |conn| async move {
        let mut named: Option<Principal> = None;
        for login in &logins {
            let Some(principal) = store::principal::by_login(conn, login).await? else { continue };
            if named.as_ref().is_some_and(|other| other.id != principal.id) {
                return Ok(None);
            }
            named = Some(principal);
        }
        let found = match &id {
            None => named,
            Some((source, id)) => {
                let linked = store::adoption_link::standing_user(conn, source, id).await?;
                // An id that the other system gave out anew comes with another login.
                match linked {
                    Some(linked) if !logins.is_empty() => named.filter(|it| it.id == linked),
                    Some(linked) => store::principal::by_id(conn, linked).await?,
                    None => None,
                }
            }
        };
        let Some(found) = found.filter(|principal| principal.kind == PrincipalKind::User) else {
            return Ok(None);
        };
        let is_standing = membership::is_standing(conn, &found, None).await?;
        // The former system knew nothing of the second factor: its token must not stand in for it.
        let is_enough = !store::second_factor::has(conn, found.id).await?;
        let ended = store::token_floor::former(conn, found.id).await?;
        Ok::<_, charter_db::Error>((is_standing && is_enough).then_some((found, ended)))
    })
}

/// Whether a token is over because its user was signed out everywhere until an instant. It says in which second it was issued: the whole
/// one in which they were is over, and so is one that does not say it.
fn is_over(issued_at: Option<i64>, ended: Option<Timestamp>) -> bool {
    ended.is_some_and(|at| issued_at.is_none_or(|issued| issued.saturating_mul(1_000_000) <= at.micros()))
}

/// The caller a token of the former system proves.
pub(super) async fn caller(
    app: &App,
    bearer: &str,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<Caller, Stop> {
    let identity = app.identity();
    let Some(tokens) = identity.legacy.load_full() else { return Err(TokenFault::Algorithm.into()) };
    let claims = tokens.verify(bearer, now)?;
    identity.require_fresh(app, now)?;
    let (principal, ended) = user(app, &claims).await?.ok_or(TokenFault::Principal)?;
    if is_over(claims.issued_at, ended)
        || identity.floors.load().refuse_at(claims.issued_at, None, principal.id)
    {
        return Err(TokenFault::Floor.into());
    }
    let limits = session_limits::of(app, principal.id, None, false).await?;
    if !limits.allow_address(address) {
        return Err(session_limits::wrong_address().into());
    }
    Ok(Caller::Principal(Arc::new(SignedIn {
        amr: vec![LEGACY.to_owned()],
        expires_at: Some(claims.expires_at),
        legacy_issued_at: claims.issued_at,
        ..SignedIn::without_session(principal)
    })))
}

/// A session of ours for whoever came with a token of the former system.
pub async fn exchange(
    app: &App,
    ctx: &RequestContext,
    organization: Option<String>,
    opening: Opening,
) -> Result<SignIn, Problem> {
    let caller = principal_of(ctx)?;
    if caller.session.is_some() || ctx.is_by_program() || caller.amr != [LEGACY] {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "only a token of the former system is exchanged: your credential is of ours already",
        ));
    }
    let (who, issued_at) = (caller.id, caller.legacy_issued_at);
    let found = reading_all!(app.database(), |conn| async move {
        let Some(found) = store::principal::by_id(conn, who).await? else { return Ok(None) };
        let is_standing = membership::is_standing(conn, &found, None).await?;
        Ok::<_, charter_db::Error>(is_standing.then_some(found))
    })?;
    let principal = found.ok_or_else(|| {
        Problem::new(ProblemKind::Unauthenticated, "the account is not active: ask an administrator")
    })?;
    let (platform, now) = (app.platform(), ctx.now);
    let begun = begin_from_legacy(app, ctx, &principal, organization, opening).await?;
    let (row, ctx_inside) = (begun.clone(), ctx.clone());
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                begin::hold(transaction.tx(), who).await?;
                if store::second_factor::has(transaction.tx(), who).await? {
                    return Err(Problem::new(
                        ProblemKind::SecondFactor,
                        "the account has a second factor: sign in with it",
                    ));
                }
                // Who signed them out everywhere may have begun before this request, and have come to write only now.
                if is_over(issued_at, store::token_floor::former(transaction.tx(), who).await?) {
                    let detail = "you were signed out everywhere meanwhile: sign in";
                    return Err(Problem::new(ProblemKind::Unauthenticated, detail));
                }
                let reason = "exchanged a token of the former system";
                let (ended, mut events) =
                    begin::write(&mut transaction, &ctx_inside, platform, &row, reason).await?;
                let first = events.remove(0);
                transaction.commit(first, events, ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    issue(app, begun, now)
}
