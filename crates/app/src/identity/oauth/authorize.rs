//! What comes of a request for a code: somebody signs in, agrees, and is sent back with the code; or is sent back without.
//!
//! The one who is signed in is known by the cookie of their browser, never by a token. A code is for the client, the address and the
//! challenge it was asked with, and worth nothing after a minute.

use super::exchange::membership_changed;
use super::meaning::{self, Meaning};
use super::request::{Asked, Back, Hint};
use super::scope::Scope;
use super::{Fault, audience, redirect};
use crate::App;
use crate::audit;
use crate::caller::{RequestContext, SignedIn};
use crate::identity::begin::random_word;
use crate::identity::{demand, membership, session_limits};
use crate::transaction::{Committed, Transaction};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_db::{BoxFuture, Scope as Sees};
use charter_kernel::facts::{OrganizationStatus, PrincipalKind, PrincipalStatus};
use charter_kernel::{Problem, ProblemKind, SessionId, Timestamp};
use charter_policy::Index;
use charter_store as store;
use charter_store::oauth_code::OauthCode;
use charter_store::oauth_consent::Agreed;

/// How long a code is good for.
pub const CODE_SECONDS: i64 = 60;
/// Digits of a code: 43 of 62 are 256 bits.
const CODE: usize = 43;
/// How long somebody may look at what they are asked to agree to.
const AGREEMENT_SECONDS: i64 = 600;

/// What somebody did on our pages for this request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// They signed in.
    pub has_signed_in: bool,
    /// They agreed.
    pub has_agreed: bool,
}

/// What is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The page on which somebody signs in.
    SignIn,
    /// The page that says to add a second factor first.
    AddFactor,
    /// The page on which they agree.
    Agree(Agreement),
    /// Back to the client.
    Redirect(String),
    /// The page that says so to whoever is no member, with the way to sign in as somebody else and the way back to the client.
    Stranger {
        /// As whom they are signed in.
        login: String,
        /// The way back.
        back: Back,
    },
}

/// What somebody is asked to agree to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The client may do this.
    pub means: Vec<Meaning>,
    /// What its tokens are for; nothing is Charter itself.
    pub audiences: Vec<String>,
    /// On behalf of whom.
    pub login: String,
    /// In which organization.
    pub organization: String,
    /// What the page's form shows to prove that the page was ours.
    pub token: String,
}

fn says(session: SessionId, request: &str, at: i64) -> Vec<u8> {
    [&session.0.to_be_bytes()[..], &at.to_be_bytes(), request.as_bytes()].concat()
}

/// What the page that asks somebody to agree shows: good in their session, for this request, for ten minutes.
fn agreement_token(app: &App, session: SessionId, request: &str, now: Timestamp) -> String {
    let at = now.seconds();
    let proof = app.identity().pepper.of_consent(&says(session, request, at));
    format!("{at}.{}", URL_SAFE_NO_PAD.encode(proof))
}

/// Whether a form comes from our page that asked its caller about this request.
pub fn is_agreement(app: &App, ctx: &RequestContext, request: &str, token: &str) -> bool {
    let Some(session) = ctx.principal().and_then(|caller| caller.session) else { return false };
    let Some((at, shown)) = token.split_once('.') else { return false };
    let Ok(at) = at.parse::<i64>() else { return false };
    let is_now = (0..AGREEMENT_SECONDS).contains(&(ctx.now.seconds() - at));
    let Ok(shown) = URL_SAFE_NO_PAD.decode(shown) else { return false };
    is_now && app.identity().pepper.is_consent(&says(session, request, at), &shown)
}

/// Where the browser goes whose user said no.
pub fn denied(app: &App, asked: &Asked) -> String {
    asked.told(app, Fault::AccessDenied, "the user did not agree")
}

/// The user and their browser's session, where there is one. Whoever acts as them for support lets no application in.
fn user(ctx: &RequestContext) -> Option<(&SignedIn, SessionId)> {
    let is_own = |caller: &&SignedIn| caller.kind == PrincipalKind::User && caller.support.is_none();
    let caller = ctx.principal().filter(is_own)?;
    Some((caller, caller.session?))
}

fn must_sign_in(asked: &Asked, caller: &SignedIn, done: Done, now: Timestamp) -> bool {
    let is_another = match asked.hint {
        Hint::Nobody => false,
        Hint::Principal(expected) => expected != caller.id,
        Hint::Unreadable => true,
    };
    if done.has_signed_in {
        // Whoever the client expected: this is who came, and the ID token says so.
        return false;
    }
    let is_old = asked
        .max_age
        .is_some_and(|seconds| caller.authenticated_at.is_none_or(|at| at.plus_seconds(seconds) < now));
    asked.prompt.asks_login || is_old || is_another
}

/// Whether a browser is sent on with an error though nobody was asked. An address is trusted by the members of the organization whose
/// administrators registered it; everybody else is told where they would go (RFC 9700, section 4.11.2). A client that asked not to show
/// anything is told in any case, as OpenID Connect says.
pub async fn goes_by_itself(app: &App, ctx: &RequestContext, back: &Back) -> Result<bool, Problem> {
    if back.is_silent {
        return Ok(true);
    }
    let Some((caller, _)) = user(ctx) else { return Ok(false) };
    let (organization, who, now) = (back.organization, caller.id, ctx.now);
    let is_member =
        reading_all!(app.database(), |conn| membership::is_standing_member(conn, organization, who, now))?;
    Ok(is_member)
}

/// What was agreed to for one audience.
fn scope_for(agreed: &Agreed, audience: &str) -> Scope {
    agreed.get(audience).and_then(|text| Scope::read(text).ok()).unwrap_or_default()
}

/// Whether all that is asked for was agreed to, for each audience by itself: what may be done with one says nothing of another.
fn is_within(asked: &Asked, agreed: &Agreed, index: &Index) -> bool {
    let is_agreed = |audience: &&str| {
        agreed.contains_key(*audience) && asked.scope.beyond(&scope_for(agreed, audience), index).is_none()
    };
    audience::words(&asked.audiences).iter().all(is_agreed)
}

/// What was agreed to, and what is agreed to now.
fn with_asked(mut agreed: Agreed, scope: &Scope, audiences: &[String]) -> Agreed {
    for audience in audience::words(audiences) {
        let former = scope_for(&agreed, audience);
        let words = former.words().iter().chain(scope.words()).cloned().collect();
        // More words than a scope may have: what is agreed to now takes the place of what was before.
        let both = Scope::of(words).unwrap_or_else(|_| scope.clone());
        agreed.insert(audience.to_owned(), both.text());
    }
    agreed
}

/// What is agreed to in this moment, or was before.
enum Basis {
    /// Nobody is asked.
    FirstParty,
    /// This was agreed to before.
    Before(Agreed),
    /// They agree now.
    Now,
}

/// Goes on with a request: `request` is the text it came as.
pub async fn proceed(
    app: &App,
    ctx: &RequestContext,
    asked: &Asked,
    request: &str,
    done: Done,
) -> Result<Next, Problem> {
    let tell = |fault, detail: &str| Ok(Next::Redirect(asked.told(app, fault, detail)));
    let signed_in = user(ctx).filter(|(caller, _)| !must_sign_in(asked, caller, done, ctx.now));
    let Some((caller, session)) = signed_in else {
        if asked.prompt.is_none {
            return tell(Fault::LoginRequired, "nobody is signed in who may go on without being asked");
        }
        return Ok(Next::SignIn);
    };
    let (organization, who, client) = (asked.client.organization, caller.id, asked.client.id);
    let limits = session_limits::of(app, who, Some(organization), false).await?;
    let (member, agreed, place) = reading!(app.database(), organization, |conn| async move {
        let member = store::membership::get(conn, organization, who).await?;
        let agreed = store::oauth_consent::get(conn, organization, client, who).await?;
        let place = store::organization::get(conn, organization).await?;
        Ok::<_, charter_db::Error>((member, agreed, place))
    })?;
    let is_open = place.as_ref().is_some_and(|place| place.organization.status == OrganizationStatus::Active);
    let is_member = member
        .is_some_and(|member| member.standing() == PrincipalStatus::Active && member.window.is_live(ctx.now));
    if !is_member || !is_open {
        let why = "the user is no member of the client's organization, or it is closed";
        let back = asked.back(app, Fault::AccessDenied, why);
        let login = caller.login.clone();
        return Ok(if back.is_silent { Next::Redirect(back.to) } else { Next::Stranger { login, back } });
    }
    if !limits.allow_address(ctx.address) {
        return tell(Fault::AccessDenied, "the organization does not let its members in from this address");
    }
    if !caller.has_second_factor() {
        let has_one = reading_all!(app.database(), |conn| store::second_factor::has(conn, who))?;
        if has_one || demand::is_made_of(app, ctx, caller, organization).await? {
            if asked.prompt.is_none {
                return tell(Fault::InteractionRequired, "the user has to show a second factor");
            }
            return Ok(if has_one { Next::SignIn } else { Next::AddFactor });
        }
    }
    let index = app.snapshots().index();
    let agreed = agreed.unwrap_or_default();
    let is_agreed = asked.client.is_first_party || is_within(asked, &agreed, &index);
    // Whatever else runs on a device can listen where this client does (RFC 8252, section 8.6): its user is asked each time.
    let is_known =
        asked.redirect_uri.starts_with("https://") || asked.redirect_uri.starts_with("http://localhost");
    if !done.has_agreed && (asked.prompt.asks_consent || !is_agreed || !is_known) {
        if asked.prompt.is_none {
            return tell(Fault::ConsentRequired, "the user did not agree yet, and may not be asked");
        }
        return Ok(Next::Agree(Agreement {
            means: meaning::of(&asked.scope, &index),
            audiences: asked.audiences.clone(),
            login: caller.login.clone(),
            organization: place.map(|place| place.organization.name).unwrap_or_default(),
            token: agreement_token(app, session, request, ctx.now),
        }));
    }
    let basis = match (asked.client.is_first_party, is_agreed) {
        (true, _) => Basis::FirstParty,
        (false, true) => Basis::Before(agreed),
        (false, false) => Basis::Now,
    };
    let code = give(app, ctx, asked, (caller, session), basis).await?;
    let issuer = app.identity().settings().issuer.clone();
    let mut answer = vec![("code", code.as_str())];
    answer.extend(asked.state.as_deref().map(|state| ("state", state)));
    // RFC 9207: a client of several servers learns who answered.
    answer.push(("iss", &issuer));
    Ok(Next::Redirect(redirect::with(&asked.redirect_uri, &answer)))
}

/// Makes a code, and keeps what was agreed to.
async fn give(
    app: &App,
    ctx: &RequestContext,
    asked: &Asked,
    (caller, session): (&SignedIn, SessionId),
    basis: Basis,
) -> Result<String, Problem> {
    let (now, platform, organization) = (ctx.now, app.platform(), asked.client.organization);
    let code = random_word(app, CODE);
    let hash = app.identity().pepper.of_oauth_code(&code);
    let row = OauthCode {
        organization,
        client: asked.client.id,
        principal: caller.id,
        session,
        redirect_uri: asked.redirect_uri.clone(),
        code_challenge: asked.code_challenge.clone(),
        scope: asked.scope.text(),
        audiences: asked.audiences.clone(),
        nonce: asked.nonce.clone(),
        amr: caller.amr.join(" "),
        authenticated_at: caller.authenticated_at.unwrap_or(now),
        created_at: now,
        expires_at: now.plus_seconds(CODE_SECONDS),
        used_at: None,
        begun_session: None,
    };
    let (client, scope) = (asked.client.id.to_string(), asked.scope.clone());
    let event = |action: &'static str| {
        let mut event = audit::event(ctx, organization, action, "oauth_client", client.clone());
        event.after = Some(serde_json::json!({ "scope": row.scope, "audiences": row.audiences }).to_string());
        event
    };
    let (given, agreed) = (event("oauth_client.authorize"), event("oauth_client.agree"));
    app.write(Sees::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let tx = transaction.tx();
            if !membership::hold_standing_member(tx, organization, row.principal, now).await? {
                return Err(membership_changed());
            }
            store::oauth_code::insert(tx, organization, &hash, &row).await?;
            let mut more = Vec::new();
            let (client, who) = (row.client, row.principal);
            let kept = store::oauth_consent::get(tx, organization, client, who).await?.unwrap_or_default();
            match basis {
                Basis::FirstParty => {}
                Basis::Before(before) if before == kept => {}
                Basis::Before(_) => {
                    let detail = "what the user agreed to was changed meanwhile: try again";
                    return Err(Problem::new(ProblemKind::Unavailable, detail).retry_after(1));
                }
                Basis::Now => {
                    let all = with_asked(kept, &scope, &row.audiences);
                    store::oauth_consent::put(tx, organization, client, who, &all, now).await?;
                    more.push(agreed);
                }
            }
            transaction.commit(given, more, ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    Ok(code.to_string())
}
