//! One's own second factors: adding an authenticator app, listing, removing, and recovery codes.
//!
//! A factor counts once its owner has shown that they have it. The first one brings recovery codes and ends the other sessions, which
//! were begun without it; the present session goes on under a new id, with the factor proved.

use super::begin::{SignIn, issue, replace};
use super::factor_proof::{self, HWK, OTP};
use super::notice::{self, Notice};
use super::own_session::own_session_of;
use super::present::{present, swap};
use super::second_sign_in::{add_methods, over};
use super::throttle::AccountKey;
use super::totp::Shown;
use super::{demand, guesses, one_time_code, session, totp};
use crate::App;
use crate::audit;
use crate::caller::{RequestContext, SignedIn};
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{FactorId, OrganizationId, PrincipalId, Problem, ProblemKind, SessionId, Timestamp};
use charter_store as store;
use charter_store::second_factor::FactorKind;
use serde_json::json;
use zeroize::Zeroizing;

pub use charter_store::second_factor::SecondFactor;

/// Codes that are given at one time.
const RECOVERY_CODES: usize = 10;
/// Groups of five characters of a recovery code: 125 bits, so a keyed hash keeps it.
const RECOVERY_GROUPS: usize = 5;
/// Most factors of one account.
const FACTORS_MAX: usize = 20;

/// What somebody has.
#[derive(Debug, Clone)]
pub struct OwnFactors {
    /// Their factors that count, oldest first.
    pub factors: Vec<SecondFactor>,
    /// Recovery codes that were not used yet.
    pub recovery_codes_left: u64,
    /// The names of their organizations that demand a factor of them.
    pub demanded_by: Vec<String>,
}

/// An authenticator app about to be added: the seed, shown once.
pub struct NewApp {
    /// The id of the factor.
    pub id: FactorId,
    /// The seed, as people type it.
    pub secret: Zeroizing<String>,
    /// The seed, as an app reads it from a picture.
    pub uri: Zeroizing<String>,
}

impl std::fmt::Debug for NewApp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewApp").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A factor that counts from now on.
#[derive(Debug)]
pub struct Added {
    /// It.
    pub factor: FactorId,
    /// The recovery codes, shown once; none when there were some already.
    pub recovery_codes: Option<RecoveryCodes>,
    /// The session, under a new id.
    pub signed_in: SignIn,
}

/// Recovery codes, shown once.
pub struct RecoveryCodes(pub Vec<Zeroizing<String>>);

impl std::fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecoveryCodes({})", self.0.len())
    }
}

impl RecoveryCodes {
    pub(super) fn make(app: &App) -> Self {
        Self((0..RECOVERY_CODES).map(|_| one_time_code::make(app, RECOVERY_GROUPS)).collect())
    }

    pub(super) fn hashes(&self, app: &App, who: PrincipalId) -> Vec<[u8; 32]> {
        let pepper = &app.identity().pepper;
        self.0.iter().map(|code| pepper.of_recovery(who.0, &one_time_code::normal(code))).collect()
    }
}

/// The person who asks, with their factors.
pub(super) async fn own(
    app: &App,
    ctx: &RequestContext,
) -> Result<(PrincipalId, Vec<SecondFactor>), Problem> {
    let (caller, _) = own_session_of(ctx)?;
    if caller.kind != PrincipalKind::User {
        return Err(Problem::new(ProblemKind::Forbidden, "second factors are for people"));
    }
    let who = caller.id;
    let factors = reading_all!(app.database(), |conn| store::second_factor::of_principal(conn, who))?;
    require_shown(caller, factors.iter().any(|factor| factor.confirmed_at.is_some()))?;
    Ok((who, factors))
}

/// Refuses a session that began without the second factor its account has, for what could take the account over.
pub(super) fn require_shown(caller: &SignedIn, has_factor: bool) -> Result<(), Problem> {
    if !has_factor || caller.has_second_factor() {
        return Ok(());
    }
    let detail = "the account has a second factor, and this session has not shown it: send it to `POST /api/v1/auth/reauthenticate`";
    Err(Problem::new(ProblemKind::SecondFactor, detail))
}

/// One's own factors.
pub async fn list(app: &App, ctx: &RequestContext) -> Result<OwnFactors, Problem> {
    let (who, mut factors) = own(app, ctx).await?;
    factors.retain(|factor| factor.confirmed_at.is_some());
    let recovery_codes_left = reading_all!(app.database(), |conn| store::recovery_code::count(conn, who))?;
    let demanded_by = demand::made_by(app, ctx).await?;
    Ok(OwnFactors { factors, recovery_codes_left, demanded_by })
}

pub(super) fn require_room(factors: &[SecondFactor]) -> Result<(), Problem> {
    let confirmed = factors.iter().filter(|factor| factor.confirmed_at.is_some()).count();
    if confirmed < FACTORS_MAX {
        return Ok(());
    }
    Err(Problem::invalid(
        "name",
        format!("an account has at most {FACTORS_MAX} second factors: remove one first"),
    ))
}

/// What a factor is called; a name is given when none was.
pub(super) fn named(name: Option<&str>, otherwise: &str) -> Result<String, Problem> {
    name.map_or_else(|| Ok(otherwise.to_owned()), |name| text::name("name", name))
}

pub(super) fn event(
    ctx: &RequestContext,
    organization: OrganizationId,
    action: &'static str,
    who: PrincipalId,
) -> AuditEvent {
    audit::event(ctx, organization, action, "principal", who.to_string())
}

/// Begins to add an authenticator app. One that was begun before and not finished is forgotten.
pub async fn begin_app(app: &App, ctx: &RequestContext, name: Option<&str>) -> Result<NewApp, Problem> {
    let (who, factors) = own(app, ctx).await?;
    require_room(&factors)?;
    let name = named(name, "authenticator app")?;
    let (identity, now, platform) = (app.identity(), ctx.now, app.platform());
    let seed: Zeroizing<[u8; totp::SEED]> = Zeroizing::new(app.world().random());
    let id = FactorId(app.fresh_id());
    let sealed_secret =
        identity.sealer.seal(&factor_proof::seal_id(id), seed.as_slice(), app.world().random()).map_err(
            |error| Problem::new(ProblemKind::Internal, format!("a seed could not be sealed: {error}")),
        )?;
    let factor = SecondFactor {
        id,
        principal: who,
        kind: FactorKind::Totp { sealed_secret, last_step: None },
        name,
        created_at: now,
        confirmed_at: None,
        last_used_at: None,
    };
    let ctx_inside = ctx.clone();
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            store::second_factor::delete_waiting(transaction.tx(), who).await?;
            store::second_factor::insert(transaction.tx(), &factor).await?;
            let mut event = event(&ctx_inside, platform, "mfa.begin", who);
            event.after = Some(json!({ "factor": id, "kind": "totp", "name": factor.name }).to_string());
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    let login = ctx.principal().map_or("", |caller| caller.login.as_str());
    let Shown { secret, uri } = totp::shown(host_of(&identity.settings.public_url), login, seed.as_slice())?;
    Ok(NewApp { id, secret, uri })
}

/// The host of the address of this service: what an app calls it.
fn host_of(issuer: &str) -> &str {
    let rest = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Whoever adds an app is signed in: a wrong code says nothing about who they are.
fn no_code() -> Problem {
    Problem::invalid(
        "code",
        "this is no code the new app shows now: wait for its next one, and see that the clock of the phone is right",
    )
}

/// Confirms an authenticator app with one of its codes.
pub async fn confirm_app(
    app: &App,
    ctx: &RequestContext,
    id: FactorId,
    code: Zeroizing<String>,
) -> Result<Added, Problem> {
    let (who, factors) = own(app, ctx).await?;
    let waiting =
        factors.iter().find(|it| it.id == id && it.confirmed_at.is_none()).ok_or_else(not_waiting)?;
    require_room(&factors)?;
    let now = ctx.now;
    let counter = guesses::of_factor(app, who);
    guesses::take(app, ctx.address, counter, now).await?;
    let step = factor_proof::step_of(app, waiting, &code, now).await?.ok_or_else(no_code)?;
    let counting = Counting::App { id, step, name: waiting.name.clone(), counter };
    finish(app, ctx, counting).await
}

/// What makes a factor count.
pub(super) enum Counting {
    /// A code of the step, by an app that was begun.
    App { id: FactorId, step: u64, name: String, counter: AccountKey },
    /// A passkey that was made for a challenge, which is spent until then.
    Passkey { factor: Box<SecondFactor>, spent: ([u8; 32], Timestamp) },
}

impl Counting {
    fn id(&self) -> FactorId {
        match self {
            Self::App { id, .. } => *id,
            Self::Passkey { factor, .. } => factor.id,
        }
    }

    fn method(&self) -> &'static str {
        match self {
            Self::App { .. } => OTP,
            Self::Passkey { .. } => HWK,
        }
    }

    fn record(&self) -> String {
        match self {
            Self::App { id, name, .. } => json!({ "factor": id, "kind": "totp", "name": name }).to_string(),
            Self::Passkey { factor, .. } => {
                json!({ "factor": factor.id, "kind": "passkey", "name": factor.name }).to_string()
            }
        }
    }

    async fn write(&self, tx: &mut Tx, who: PrincipalId, now: Timestamp) -> Result<(), Problem> {
        match self {
            Self::App { id, step, counter, .. } => {
                guesses::forgive(tx, counter).await?;
                if store::second_factor::confirm(tx, who, *id, now, *step).await? {
                    return Ok(());
                }
                Err(not_waiting())
            }
            Self::Passkey { factor, spent: (nonce, until) } => {
                if !store::spent_challenge::spend(tx, nonce, *until).await? {
                    return Err(over());
                }
                let FactorKind::Passkey { credential_id, .. } = &factor.kind else { return Err(over()) };
                if store::second_factor::by_credential(tx, credential_id).await?.is_some() {
                    return Err(Problem::new(ProblemKind::Taken, "this passkey is there already"));
                }
                Ok(store::second_factor::insert(tx, factor).await?)
            }
        }
    }
}

fn not_waiting() -> Problem {
    Problem::not_found("no authenticator app waits to be confirmed: begin again")
}

/// A factor counts from now on: recovery codes and an end of the other sessions with the first, a new session id with each.
pub(super) async fn finish(app: &App, ctx: &RequestContext, counting: Counting) -> Result<Added, Problem> {
    let (now, platform) = (ctx.now, app.platform());
    let (old, principal) = present(app, ctx).await?;
    let who = principal.id;
    let mut begun = replace(app, ctx, &old, old.organization).await?;
    add_methods(&mut begun.session.amr, counting.method());
    let (id, codes) = (counting.id(), RecoveryCodes::make(app));
    let hashes = codes.hashes(app, who);
    let (ctx_inside, app_inside, new) = (ctx.clone(), app.clone(), begun.clone());
    let ((ended, is_first), _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                const WHY: &str = "a second factor was added: sessions without it end";
                let is_first = !store::second_factor::has(transaction.tx(), who).await?;
                counting.write(transaction.tx(), who, now).await?;
                let (mut ended, mut events) =
                    swap(&mut transaction, &ctx_inside, platform, &old, &new, "added a second factor")
                        .await?;
                if is_first {
                    store::recovery_code::replace(transaction.tx(), who, &hashes, now).await?;
                    let kept = new.session.id;
                    ended.extend(store::session::end_others(transaction.tx(), who, kept, WHY, now).await?);
                }
                let notice = Notice::SecondFactor {
                    what: "a second factor was added to your account",
                    address: ctx_inside.address,
                };
                notice::queue(&app_inside, transaction.tx(), who, notice, now).await?;
                let organization = new.session.organization.unwrap_or(platform);
                let mut event = event(&ctx_inside, organization, "mfa.enroll", who);
                event.after = Some(counting.record());
                events.insert(0, event);
                let first = events.remove(0);
                transaction.commit(first, events, (ended, is_first)).await
            }) as BoxFuture<'_, Result<Committed<(Vec<SessionId>, bool)>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    Ok(Added { factor: id, recovery_codes: is_first.then_some(codes), signed_in: issue(app, begun, now)? })
}

/// Removes one of one's own factors. The other sessions end; with the last one the recovery codes go, and every session.
pub async fn remove(app: &App, ctx: &RequestContext, id: FactorId) -> Result<(), Problem> {
    let (_, kept) = own_session_of(ctx)?;
    let (who, factors) = own(app, ctx).await?;
    let missing = move || Problem::not_found(format!("you have no second factor {id}"));
    let found = factors.into_iter().find(|factor| factor.id == id).ok_or_else(missing)?;
    let (now, platform, ctx_inside, app_inside) = (ctx.now, app.platform(), ctx.clone(), app.clone());
    let (ended, _) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                const WHY: &str = "a second factor was removed";
                let tx = transaction.tx();
                if !store::second_factor::delete(tx, who, id).await? {
                    return Err(missing());
                }
                let is_last = !store::second_factor::has(tx, who).await?;
                if is_last {
                    if store::short_password::has(tx, who).await? {
                        return Err(Problem::new(
                            ProblemKind::Forbidden,
                            "your password is too short to be the only factor: change it to a longer one first",
                        ));
                    }
                    store::recovery_code::replace(tx, who, &[], now).await?;
                }
                // A session that showed the last one would go on saying so.
                let ended = if is_last {
                    session::end_everywhere(tx, who, WHY, now).await?
                } else {
                    store::session::end_others(tx, who, kept, WHY, now).await?
                };
                let notice = Notice::SecondFactor {
                    what: "a second factor was removed from your account",
                    address: ctx_inside.address,
                };
                notice::queue(&app_inside, transaction.tx(), who, notice, now).await?;
                let mut event = event(&ctx_inside, platform, "mfa.remove", who);
                let before = json!({ "factor": id, "kind": found.kind.as_str(), "name": found.name });
                event.before = Some(before.to_string());
                transaction.commit(event, Vec::new(), ended).await
            }) as BoxFuture<'_, Result<Committed<Vec<SessionId>>, Problem>>
        })
        .await?;
    session::forget(app, &ended);
    Ok(())
}

/// Gives new recovery codes; those before open nothing any more.
pub async fn renew_recovery_codes(app: &App, ctx: &RequestContext) -> Result<RecoveryCodes, Problem> {
    let (who, _) = own(app, ctx).await?;
    let (now, platform, ctx_inside, app_inside) = (ctx.now, app.platform(), ctx.clone(), app.clone());
    let codes = RecoveryCodes::make(app);
    let hashes = codes.hashes(app, who);
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            if !store::second_factor::has(transaction.tx(), who).await? {
                return Err(Problem::not_found(
                    "you have no second factor that recovery codes could stand in for",
                ));
            }
            store::recovery_code::replace(transaction.tx(), who, &hashes, now).await?;
            let notice = Notice::SecondFactor {
                what: "new recovery codes were made for your account, and those before are void",
                address: ctx_inside.address,
            };
            notice::queue(&app_inside, transaction.tx(), who, notice, now).await?;
            let event = event(&ctx_inside, platform, "mfa.renew_recovery_codes", who);
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    Ok(codes)
}
