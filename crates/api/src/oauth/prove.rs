//! Signing in on the way to an application: a password, the second factor of an account that has one, or a passkey alone. Each form leads
//! to `/oauth/authorize`, and what comes of it is a session of the browser, as everywhere.

use super::form::Form;
use super::page::{self, Page};
use super::visit::Visit;
use crate::edge::Crumb;
use crate::second_sign_in;
use crate::signed_in::{Kind, opening};
use axum::response::Response;
use charter_app::RequestContext;
use charter_app::identity::device::KNOWN_SECONDS;
use charter_app::identity::factor_proof::Proof;
use charter_app::identity::oauth::request::Asked;
use charter_app::identity::passkey::{self, PasskeySignInDraft, UsedCredential};
use charter_app::identity::second_sign_in::SecondSignInDraft;
use charter_app::identity::sign_in::{Entry, SignIn, SignInDraft};
use charter_kernel::{Problem, ProblemKind};
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use zeroize::Zeroizing;

/// Headers of an answer.
pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

/// What somebody sent to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Login and password.
    Password,
    /// The second factor.
    Factor,
    /// A passkey alone.
    Passkey,
}

impl Step {
    /// The step a form is of.
    pub fn of(form: &Form) -> Option<Self> {
        match form.get("do")? {
            "sign-in" => Some(Self::Password),
            "factor" => Some(Self::Factor),
            "passkey" => Some(Self::Passkey),
            _ => None,
        }
    }
}

/// The page on which somebody signs in.
pub(super) fn page(visit: &Visit, asked: &Asked, action: &str, login: &str, fault: Option<&str>) -> Page {
    // Where browsers allow no passkeys there is nothing to offer.
    let options = passkey::use_options(&visit.app, &visit.ctx, visit.client.user_agent.clone()).ok();
    page::sign_in(asked, action, login, fault, options.as_ref())
}

/// What a form led to.
enum Led {
    Begun(Box<SignIn>),
    /// The question for the second factor.
    Page(Page),
}

fn passkey_of(form: &Form) -> Result<Option<Value>, Problem> {
    let unreadable = |_| Problem::invalid("passkey", "what the browser gave is expected");
    form.get("passkey").map(|text| serde_json::from_str(text).map_err(unreadable)).transpose()
}

async fn by_password(visit: &Visit, asked: &Asked, action: &str, form: &Form) -> Result<Led, Problem> {
    let draft = SignInDraft {
        login: form.text("login").unwrap_or_default(),
        password: Zeroizing::new(form.text("password").unwrap_or_default()),
        organization: None,
        opening: opening(Kind::Cookie, &visit.client)?,
        device: visit.client.device.clone(),
        replaces: visit.client.session.clone(),
    };
    Ok(match charter_app::identity::sign_in::sign_in(&visit.app, &visit.ctx, draft).await? {
        Entry::Begun(begun) => Led::Begun(begun),
        Entry::Asked(question) => {
            let passkey = question.passkey.as_ref().map(Value::to_string);
            let takes_codes = question.methods.iter().any(|method| *method != "passkey");
            let shown =
                page::Question { challenge: &question.challenge, passkey: passkey.as_deref(), takes_codes };
            Led::Page(page::factor(asked, action, &shown, None))
        }
    })
}

/// Reads what was typed: the digits of a code, or a recovery code.
fn typed(text: &str) -> Result<Option<Proof>, Problem> {
    let is_code = text.chars().all(|c| c.is_ascii_digit() || c == ' ');
    let text = text.to_owned();
    if is_code {
        second_sign_in::proof(Some(text), None, None)
    } else {
        second_sign_in::proof(None, Some(text), None)
    }
}

async fn by_factor(visit: &Visit, form: &Form) -> Result<SignIn, Problem> {
    let proof = match (passkey_of(form)?, form.get("code")) {
        (Some(passkey), _) => second_sign_in::proof(None, None, Some(&passkey))?,
        (None, Some(code)) => typed(code)?,
        (None, None) => None,
    };
    let draft = SecondSignInDraft {
        challenge: Zeroizing::new(form.text("challenge").unwrap_or_default()),
        proof: proof.ok_or_else(|| Problem::invalid("code", "a second factor is expected"))?,
        user_agent: visit.client.user_agent.clone(),
        replaces: visit.client.session.clone(),
    };
    charter_app::identity::second_sign_in::sign_in(&visit.app, &visit.ctx, draft).await
}

async fn by_passkey(visit: &Visit, form: &Form) -> Result<SignIn, Problem> {
    let credential = passkey_of(form)?.ok_or_else(|| Problem::invalid("passkey", "a passkey is expected"))?;
    let draft = PasskeySignInDraft {
        challenge: Zeroizing::new(form.text("challenge").unwrap_or_default()),
        credential: UsedCredential::read(&credential)?,
        organization: None,
        opening: opening(Kind::Cookie, &visit.client)?,
        replaces: visit.client.session.clone(),
    };
    passkey::sign_in(&visit.app, &visit.ctx, draft).await
}

/// Who signed in, with the cookies of their browser; or the page that is next, or that says why not. What else proves somebody belongs
/// here.
pub(super) async fn prove(
    visit: &Visit,
    asked: &Asked,
    action: &str,
    step: Step,
    form: &Form,
) -> Result<Result<(RequestContext, Headers), Response>, Problem> {
    let led = match step {
        Step::Password => by_password(visit, asked, action, form).await,
        Step::Factor => by_factor(visit, form).await.map(|begun| Led::Begun(Box::new(begun))),
        Step::Passkey => by_passkey(visit, form).await.map(|begun| Led::Begun(Box::new(begun))),
    };
    let begun = match led {
        Ok(Led::Begun(begun)) => begun,
        Ok(Led::Page(page)) => return Ok(Err(page.answer())),
        Err(problem) if problem.kind.status() < 500 => {
            let status = StatusCode::from_u16(problem.kind.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let wait = problem.retry_after_seconds.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds)));
            let fault = Some(problem.detail.as_str());
            // A question that can still be answered is asked again.
            let challenge = form.get("challenge").filter(|_| problem.kind != ProblemKind::Unauthenticated);
            let shown = match (step, challenge) {
                (Step::Factor, Some(challenge)) => {
                    let question = page::Question {
                        challenge,
                        passkey: form.get("options"),
                        takes_codes: form.get("codes") != Some("no"),
                    };
                    page::factor(asked, action, &question, fault)
                }
                _ => page(visit, asked, action, form.get("login").unwrap_or_default(), fault),
            };
            return Ok(Err(shown.status(status).with(wait).answer()));
        }
        Err(problem) => return Err(problem),
    };
    let life = begun.session.expires_at.seconds() - visit.ctx.now.seconds();
    let crumbs = [(Crumb::Session, &begun.cookie, life), (Crumb::Device, &begun.device_token, KNOWN_SECONDS)];
    let headers = crumbs
        .into_iter()
        .filter_map(|(crumb, secret, seconds)| {
            let header = visit.client.cookies.set(crumb, secret.as_ref()?, seconds)?;
            Some((SET_COOKIE, HeaderValue::from_str(&header).ok()?))
        })
        .collect();
    let cookie = begun.cookie.as_ref().map_or("", |cookie| cookie.as_str());
    let mut ctx = visit.ctx.clone();
    ctx.caller = visit.app.authenticate_cookie(cookie, ctx.address).await?;
    Ok(Ok((ctx, headers)))
}
