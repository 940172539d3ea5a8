//! Newcomers ask for an account. Asking writes one row, the same whether or not the address has an account, and looks nobody up: neither
//! the answer nor its time tells. A job looks a second later and mails a token to the address. The token proves the address; after that
//! the organization's settings say whether its reader is let in at once or waits for an administrator (`registration_desk.rs`).

use super::email_change;
use super::guesses::{self, Behind};
use super::invitation::Joined;
use super::mailed_code;
use super::newcomer::{self, Introduction, admit, arrive, open, organization_of, require_open, seal};
use super::newcomer_mail::{self, NewcomerMail};
use super::registration_settings::{
    RegistrationMode, RegistrationSettings, refused_role, role, takes_domain_of,
};
use crate::App;
use crate::audit;
use crate::caller::{Caller, RequestContext};
use crate::text;
use crate::transaction::{Committed, Transaction};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_db::{BoxFuture, Scope};
use charter_kernel::audit::Actor;
use charter_kernel::facts::{OrganizationFact, PrincipalKind, PrincipalStatus};
use charter_kernel::{OrganizationId, Problem, ProblemKind, RegistrationId, RoleKey, Timestamp};
use charter_store as store;
use store::registration::{Closing, Registration, RegistrationStatus};
use zeroize::Zeroizing;

/// How long a request lives: until its address is proved, and until somebody decides.
pub const LIFE_SECONDS: i64 = 72 * 3_600;
/// Mails to one mailbox for one organization within an hour.
const PER_HOUR: u64 = 3;
const HOUR: i64 = 3_600;
/// Requests answered in one round of the job.
const AT_ONCE: usize = 50;
/// Requests looked at for them: those that only another node can open keep nobody waiting.
const LOOKED_AT: u32 = 1_000;

/// What a newcomer asks for.
#[derive(Debug, Clone)]
pub struct RegistrationDraft {
    /// Their address.
    pub email: String,
    /// Shown name; the address when left out.
    pub name: Option<String>,
    /// The role they ask for; the organization's default when left out.
    pub role: Option<String>,
}

/// What came of a proof.
#[derive(Debug, Clone, PartialEq)]
pub enum Proved {
    /// Somebody has to decide.
    Waiting,
    /// They are a member.
    Joined(Joined),
}

pub(super) fn email_place(id: RegistrationId) -> String {
    format!("registration_requests email {id}")
}

pub(super) fn name_place(id: RegistrationId) -> String {
    format!("registration_requests name {id}")
}

fn closed() -> Problem {
    Problem::not_found("no such organization, or it takes no requests")
}

fn token_text(token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("registration {token}"))
}

async fn settings_of(app: &App, organization: OrganizationId) -> Result<RegistrationSettings, Problem> {
    reading!(app.database(), organization, |conn| store::registration_settings::get(conn, organization))
}

/// An organization that takes requests. One that takes none, and one that is not there, are the same to a stranger.
async fn open_one(app: &App, text: &str) -> Result<(OrganizationFact, RegistrationSettings), Problem> {
    let organization = app.resolve_organization(text).await.map_err(hidden)?;
    let fact = organization_of(app, organization).await.map_err(hidden)?;
    let settings = settings_of(app, organization).await?;
    let takes = matches!(settings.mode, RegistrationMode::Domain | RegistrationMode::Approval);
    if takes && require_open(&fact).is_ok() { Ok((fact, settings)) } else { Err(closed()) }
}

fn hidden(problem: Problem) -> Problem {
    if problem.kind == ProblemKind::NotFound { closed() } else { problem }
}

/// Notes that somebody asks for an account. Says nothing about whether the address has one.
pub async fn ask(
    app: &App,
    ctx: &RequestContext,
    organization: &str,
    draft: RegistrationDraft,
) -> Result<(), Problem> {
    let (identity, now, platform) = (app.identity(), ctx.now, app.platform());
    identity.throttle.take_from_address(ctx.address, now)?;
    let (fact, settings) = open_one(app, organization).await?;
    let email = text::email("email", &draft.email)?;
    let name = draft.name.as_deref().map(|name| text::name("name", name)).transpose()?;
    let role = draft.role.as_deref().map(|text| role("role", text)).transpose()?;
    if role.as_ref().is_some_and(|role| !settings.roles.contains(role)) {
        return Err(Problem::invalid("role", "it is none of the roles newcomers may get here"));
    }
    if !takes_domain_of(&settings, &email) {
        return Err(Problem::invalid("email", "the organization takes no addresses of this domain"));
    }
    guesses::take_registration(app, ctx.address, fact.id, now).await?;
    let (organization, id) = (fact.id, RegistrationId(app.fresh_id()));
    let request = Registration {
        organization,
        id,
        email_hash: identity.pepper.of_email(&email).to_vec(),
        email: seal(app, &email_place(id), &email)?,
        name: seal(app, &name_place(id), &name.unwrap_or_else(|| email.clone()))?,
        role,
        status: RegistrationStatus::Asked,
        created_at: now,
        expires_at: now.plus_seconds(LIFE_SECONDS),
        proved_at: None,
        decided_at: None,
        decided_by: None,
        reason: None,
        principal: None,
    };
    let mailbox = identity.pepper.of_email(&text::mailbox(&email));
    let every_mailbox = identity.pepper.every_email(&text::mailbox(&email));
    let mut event = audit::event(ctx, organization, "registration.ask", "registration", id.to_string());
    event.actor = Actor::Nobody;
    // The lock is the platform's: what strangers ask for does not move the organization's revision.
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let tx = transaction.tx();
            let since = now.plus_seconds(-HOUR);
            let mut asked = 0;
            for hash in &every_mailbox {
                asked += store::registration::asked_since(tx, organization, hash, since).await?;
            }
            if asked < PER_HOUR {
                store::registration::insert(tx, organization, &request, &mailbox).await?;
            } else {
                event.reason = format!("asked for more than {PER_HOUR} times within an hour: no mail");
            }
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await
    .map(drop)
}

/// Looks at what was asked, mails to each address, and ends what nobody decided in time. A part of every round of the service.
pub(super) async fn work(app: &App) -> Result<(), Problem> {
    let now = app.now();
    super::registration_desk::expire(app, now).await?;
    let asked =
        reading_all!(app.database(), |conn| store::registration::waiting_for_mail(conn, now, LOOKED_AT))?;
    let (mut answered, mut left) = (0, 0);
    for request in asked {
        if answered == AT_ONCE {
            break;
        }
        let id = request.id;
        // One request that goes wrong keeps neither the others nor the service.
        let done = match open(app, &email_place(id), &request.email).await {
            Ok(email) => mail(app, request, email).await,
            Err(_) if app.identity().sealer.may_open_elsewhere(&request.email) => {
                left += 1;
                continue;
            }
            Err(problem) => {
                tracing::error!(registration = %id, %problem, "a request for an account cannot be opened: it ends");
                end_unreadable(app, &request).await
            }
        };
        answered += 1;
        if let Err(problem) = done {
            tracing::warn!(registration = %id, %problem, "a request for an account could not be answered: later again");
        }
    }
    if left > 0 {
        tracing::warn!(requests = left, "requests for accounts are left to a node that can open them");
    }
    Ok(())
}

/// Ends a request that nobody can open: whoever asked may ask again.
async fn end_unreadable(app: &App, request: &Registration) -> Result<(), Problem> {
    let (now, platform) = (app.now(), app.platform());
    let (organization, id, from) = (request.organization, request.id, request.status);
    let reason = "its address cannot be opened".to_owned();
    let mut event = audit::system_event(
        "identity",
        organization,
        now,
        "registration.expire",
        "registration",
        id.to_string(),
    );
    event.reason.clone_from(&reason);
    let closing = Closing { status: RegistrationStatus::Expired, at: now, by: None, reason, principal: None };
    let written = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                if !store::registration::close(transaction.tx(), organization, id, from, &closing).await? {
                    return Err(Problem::new(ProblemKind::InUse, "another node has ended it"));
                }
                transaction.commit(event, Vec::new(), ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await;
    match written {
        Err(problem) if problem.kind == ProblemKind::InUse => Ok(()),
        other => other.map(drop),
    }
}

/// What an address is written that was given with a request.
enum Answer {
    Prove,
    Join,
    IsMember,
    IsKept(Timestamp),
    Nothing,
}

async fn answer(
    app: &App,
    organization: OrganizationId,
    email: &str,
    now: Timestamp,
) -> Result<Answer, Problem> {
    let (wanted, hashes) = (email.to_owned(), app.identity().pepper.every_email(email));
    reading_all!(app.database(), |conn| async move {
        let Some(account) = store::principal::by_login(conn, &wanted).await? else {
            let kept = email_change::kept_until(conn, &hashes, None, now).await?;
            return Ok(kept.map_or(Answer::Prove, Answer::IsKept));
        };
        if account.kind != PrincipalKind::User || account.status != PrincipalStatus::Active {
            return Ok(Answer::Nothing);
        }
        let is_member = store::membership::exists(conn, organization, account.id).await?;
        Ok::<_, charter_db::Error>(if is_member { Answer::IsMember } else { Answer::Join })
    })
}

async fn mail(app: &App, request: Registration, email: String) -> Result<(), Problem> {
    let (now, platform, app_inside) = (app.now(), app.platform(), app.clone());
    let (organization, id) = (request.organization, request.id);
    let answer = answer(app, organization, &email, now).await?;
    let name = organization_of(app, organization).await?.name;
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(app.world().random::<32>()));
    let hash = app.identity().pepper.of_code(&token_text(&token));
    let link = Zeroizing::new(format!("{organization}.{}", token.as_str()));
    let until = request.expires_at;
    let written = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                if !store::registration::mail(tx, organization, id, &hash).await? {
                    return Err(Problem::new(ProblemKind::InUse, "another node has mailed the token"));
                }
                let mail = match answer {
                    Answer::Prove => Some(NewcomerMail::Prove { organization: name, link, until }),
                    Answer::Join => Some(NewcomerMail::Join { organization: name, link, until }),
                    Answer::IsMember => Some(NewcomerMail::IsMember { organization: name }),
                    Answer::IsKept(until) => Some(NewcomerMail::IsKept { organization: name, until }),
                    Answer::Nothing => None,
                };
                let mut reason = "the address has an account here".to_owned();
                let mail = match mail {
                    Some(mail) => {
                        let (behind, here) = (Behind::Stranger, Some(organization));
                        match guesses::count_mail(tx, &app_inside, behind, here, &email, now).await {
                            Ok(()) => Some(mail),
                            Err(over) if over.kind == ProblemKind::Throttled => {
                                reason = over.detail;
                                None
                            }
                            Err(problem) => return Err(problem),
                        }
                    }
                    None => None,
                };
                if matches!(mail, Some(NewcomerMail::IsKept { .. })) {
                    "the address is kept for its owner".clone_into(&mut reason);
                }
                if !matches!(mail, Some(NewcomerMail::Prove { .. } | NewcomerMail::Join { .. })) {
                    let closing = Closing {
                        status: RegistrationStatus::Expired,
                        at: now,
                        by: None,
                        reason,
                        principal: None,
                    };
                    store::registration::close(tx, organization, id, RegistrationStatus::Unproved, &closing)
                        .await?;
                }
                if let Some(mail) = &mail {
                    newcomer_mail::queue(&app_inside, tx, &email, None, mail, now).await?;
                }
                let target = id.to_string();
                let event = audit::system_event(
                    "identity",
                    organization,
                    now,
                    "registration.mail-token",
                    "registration",
                    target,
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

fn over() -> Problem {
    Problem::new(ProblemKind::Gone, "the link was used, or its time is over: ask again")
}

/// Proves an address by the token that was mailed to it.
pub async fn prove(
    app: &App,
    ctx: &RequestContext,
    organization: &str,
    token: Zeroizing<String>,
    introduction: Introduction,
) -> Result<Proved, Problem> {
    let now = ctx.now;
    app.identity().throttle.take_from_address(ctx.address, now)?;
    let (fact, settings) = open_one(app, organization).await?;
    let (organization, hashes) =
        (fact.id, app.identity().pepper.every_code(&token_text(mailed_code::of(&token))));
    let found = reading!(app.database(), organization, |conn| async move {
        for hash in hashes {
            let found = store::registration::by_token(conn, organization, &hash).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok::<_, charter_db::Error>(None)
    })?;
    let request = found.ok_or_else(|| {
        Problem::new(ProblemKind::Forbidden, "this is no link of ours: open the whole of it")
    })?;
    if request.status != RegistrationStatus::Unproved || request.expires_at <= now {
        return Err(over());
    }
    let email = open(app, &email_place(request.id), &request.email).await?;
    if !takes_domain_of(&settings, &email) {
        return Err(over());
    }
    if settings.mode == RegistrationMode::Approval {
        if introduction.password.is_some() {
            let detail = "an administrator decides first, and no account is made before: leave it out";
            return Err(Problem::invalid("password", detail));
        }
        return wait(app, ctx, request, &email).await.map(|()| Proved::Waiting);
    }
    let name = open(app, &name_place(request.id), &request.name).await?;
    let introduction = Introduction { name: introduction.name.or(Some(name)), ..introduction };
    let arrival = arrive(app, ctx, &email, &fact, introduction).await?;
    let (principal, is_new, app_inside) = (arrival.principal.id, arrival.is_new(), app.clone());
    let nobody = RequestContext { caller: Caller::Anonymous, ..ctx.clone() };
    let joined = email.clone();
    let ((), revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let (app, tx) = (app_inside, transaction.tx());
                if !store::registration::prove(tx, organization, request.id, now).await? {
                    return Err(over());
                }
                let settings = store::registration_settings::get(tx, organization).await?;
                // The organization may have closed the way while the newcomer was on it.
                if settings.mode != RegistrationMode::Domain || !takes_domain_of(&settings, &joined) {
                    return Err(over());
                }
                let roles = roles_of(&app, &mut transaction, &settings, request.role.as_ref()).await?;
                let reason = "an address of an allowed domain was proved".to_owned();
                let events = admit(&app, &mut transaction, &nobody, &arrival, &roles, &reason).await?;
                let status = RegistrationStatus::Approved;
                let closing = Closing { status, at: now, by: None, reason, principal: Some(principal) };
                let (tx, from) = (transaction.tx(), RegistrationStatus::Waiting);
                if !store::registration::close(tx, organization, request.id, from, &closing).await? {
                    return Err(over());
                }
                let who = newcomer::as_newcomer(&nobody, &arrival);
                let target = request.id.to_string();
                let event = audit::event(&who, organization, "registration.prove", "registration", target);
                transaction.commit(event, events, ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await?;
    app.snapshots().hear_own(organization, revision).await?;
    Ok(Proved::Joined(Joined { organization: fact, principal, login: email, is_new }))
}

/// The roles a newcomer gets: the one that was asked for, or the default. One that left the list since, or became privileged, is given to
/// nobody.
pub(super) async fn roles_of(
    app: &App,
    transaction: &mut Transaction<'_>,
    settings: &RegistrationSettings,
    wanted: Option<&RoleKey>,
) -> Result<Vec<RoleKey>, Problem> {
    let Some(role) = wanted.or(settings.default_role.as_ref()) else { return Ok(Vec::new()) };
    let organization = transaction.organization();
    let facts = store::facts::read(transaction.tx(), organization)
        .await?
        .ok_or_else(|| Problem::not_found("no such organization"))?;
    match refused_role(&app.snapshots().index(), &facts, settings, role) {
        None => Ok(vec![role.clone()]),
        Some(why) => Err(Problem::invalid("role", why)),
    }
}

/// The address is proved, and somebody has to decide. A second request of the same address ends: one is enough.
async fn wait(app: &App, ctx: &RequestContext, request: Registration, email: &str) -> Result<(), Problem> {
    let every_hash = app.identity().pepper.every_email(email);
    let (now, platform, organization) = (ctx.now, app.platform(), request.organization);
    let mut event =
        audit::event(ctx, organization, "registration.prove", "registration", request.id.to_string());
    event.actor = Actor::Nobody;
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let tx = transaction.tx();
            let mut is_second = false;
            for hash in &every_hash {
                is_second |= store::registration::is_waiting(tx, organization, hash).await?;
            }
            if !store::registration::prove(tx, organization, request.id, now).await? {
                return Err(over());
            }
            if is_second {
                let reason = "another request of the same address waits".to_owned();
                let closing = Closing {
                    status: RegistrationStatus::Expired,
                    at: now,
                    by: None,
                    reason,
                    principal: None,
                };
                let from = RegistrationStatus::Waiting;
                store::registration::close(tx, organization, request.id, from, &closing).await?;
                event.reason = closing.reason;
            }
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await
    .map(drop)
}
