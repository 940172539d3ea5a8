//! `/oauth/authorize`: a browser brings what a client asks, its user signs in and agrees, and is sent back. Nothing is kept between the
//! pages but what stands in their address: each step reads and judges the whole request again.

use super::form::{Form, LISTS};
use super::prove::{self, Headers, Step};
use super::visit::Visit;
use super::{AUTHORIZE, SCRIPT, TAG, page};
use crate::edge::{Answer, Guard, RawCall, Route};
use crate::signed_in::{Kind, opening};
use axum::body::Bytes;
use axum::response::Response;
use charter_app::identity::oauth::authorize::{self, Done, Next};
use charter_app::identity::oauth::request::{self, Asked, RequestDraft, Wrong};
use charter_app::{App, RequestContext};
use charter_kernel::{Problem, ProblemKind};
use http::header::LOCATION;
use http::{HeaderValue, Method, StatusCode};

const WHY: &str = "whoever is sent here signs in on the page, or is known by the cookie of their browser";

/// The routes of this file.
pub(super) fn routes() -> Vec<Route<App>> {
    vec![
        Route::raw(Method::GET, AUTHORIZE, Guard::Public(WHY), asked)
            .named("oauth.authorize", TAG, "Lets a browser's user sign in and agree, and sends them back with a code.")
            .described(
                "RFC 6749 and OpenID Connect with `response_type=code` alone, and PKCE (S256) for every client. The address to \
                 return to is compared letter by letter; where it, the client or the challenge is wrong, the answer is a page \
                 and nobody is sent anywhere. Where anything else is wrong, members of the client's organization who are signed in \
                 are sent back with the error, and so is everybody with `prompt=none`; others see a page with a way back. The answer names its issuer (RFC 9207).",
            )
            .gives_type("text/html")
            .repeats(&LISTS)
            .problems(&[ProblemKind::MethodNotAllowed]),
        Route::raw(Method::POST, AUTHORIZE, Guard::Public(WHY), answered)
            .named("oauth.authorize.answer", TAG, "Takes the forms of the pages on which somebody signs in and agrees.")
            .described(
                "A form with the parameters of a request for a code, from wherever it comes, is answered with a redirect (303) to \
                 the same request as an address, as OpenID Connect Core 3.1.2.1 wants both.",
            )
            .gives_type("text/html")
            .repeats(&LISTS)
            .judges_origin()
            .body_limit(64 * 1024),
        Route::raw(Method::GET, SCRIPT, Guard::Public("a script of a page is no secret"), script)
            .named("oauth.authorize.script", TAG, "Gives the script by which the pages use a passkey.")
            .gives_type("text/javascript"),
    ]
}

async fn script(_: RawCall<App>) -> Result<Response, Problem> {
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    Ok(Answer::new(StatusCode::OK, kind, include_str!("passkey.js")).into())
}

fn draft(form: &Form) -> RequestDraft {
    RequestDraft {
        client_id: form.text("client_id"),
        redirect_uri: form.text("redirect_uri"),
        response_type: form.text("response_type"),
        response_mode: form.text("response_mode"),
        scope: form.text("scope"),
        resources: form.all("resource").into_iter().map(str::to_owned).collect(),
        state: form.text("state"),
        nonce: form.text("nonce"),
        code_challenge: form.text("code_challenge"),
        code_challenge_method: form.text("code_challenge_method"),
        prompt: form.text("prompt"),
        max_age: form.text("max_age"),
        login_hint: form.text("login_hint"),
        id_token_hint: form.text("id_token_hint"),
        request: form.text("request"),
        request_uri: form.text("request_uri"),
        registration: form.text("registration"),
    }
}

/// Sends a browser elsewhere; after a form it goes there without the form (RFC 9700, section 4.12).
pub(super) fn redirect(to: &str, headers: Headers) -> Result<Response, Problem> {
    let place = HeaderValue::from_str(to)
        .map_err(|_| Problem::new(ProblemKind::Internal, "an address that is registered is no header"))?;
    let mut all = headers;
    all.push((LOCATION, place));
    let answer = Answer {
        status: StatusCode::SEE_OTHER,
        content_type: None,
        headers: all,
        etag: None,
        body: Bytes::new(),
    };
    Ok(answer.into())
}

/// The request as it stands in the address, or the answer to one that is wrong.
async fn read(visit: &Visit) -> Result<Result<Asked, Response>, Problem> {
    let form = Form::of(visit.query())?;
    Ok(match request::read(&visit.app, draft(&form)).await {
        Ok(asked) => Ok(asked),
        Err(Wrong::Page(detail)) => Err(page::wrong(&detail).answer()),
        Err(Wrong::Back(back)) => {
            let ctx = visit.by_cookie().await?;
            Err(if authorize::goes_by_itself(&visit.app, &ctx, &back).await? {
                redirect(&back.to, Headers::new())?
            } else {
                page::back(&back).answer()
            })
        }
        Err(Wrong::Problem(problem)) => return Err(problem),
    })
}

fn place(visit: &Visit) -> (String, String) {
    let query = visit.query().to_owned();
    (format!("{AUTHORIZE}?{query}"), query)
}

async fn go_on(
    visit: &Visit,
    ctx: &RequestContext,
    asked: &Asked,
    done: Done,
    headers: Headers,
) -> Result<Response, Problem> {
    let (action, query) = place(visit);
    Ok(match authorize::proceed(&visit.app, ctx, asked, &query, done).await? {
        Next::SignIn => {
            let login = asked.login_hint.as_deref().unwrap_or_default();
            prove::page(visit, asked, &action, login, None).with(headers).answer()
        }
        Next::AddFactor => page::add_factor(asked, &action).with(headers).answer(),
        Next::Agree(agreement) => page::agree(asked, &action, &agreement).with(headers).answer(),
        Next::Redirect(to) => redirect(&to, headers)?,
        Next::Stranger { login, back } => page::stranger(&action, &login, &back).with(headers).answer(),
    })
}

async fn asked(call: RawCall<App>) -> Result<Response, Problem> {
    let visit = Visit::of(call)?;
    if visit.parts.method == Method::HEAD {
        // What only looks at the address must use nothing up.
        return Err(Problem::new(ProblemKind::MethodNotAllowed, "HEAD is not a method of this path"));
    }
    let asked = match read(&visit).await? {
        Ok(asked) => asked,
        Err(answer) => return Ok(answer),
    };
    if let Err(problem) = opening(Kind::Cookie, &visit.client) {
        return Ok(page::wrong(&problem.detail).answer());
    }
    let ctx = visit.by_cookie().await?;
    go_on(&visit, &ctx, &asked, Done::default(), Headers::new()).await
}

/// The parameters of a request for a code (`draft`), and no others: what somebody typed stays out of an address.
const PARAMETERS: [&str; 17] = [
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "resource",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "request",
    "request_uri",
    "registration",
];

/// A request for a code that came as a form (OpenID Connect Core, section 3.1.2.1): it is asked again as an address. A form from another site
/// comes without the cookie of the browser, and nothing that changes anything is done by one; the address is opened with it.
fn asked_again(form: &Form) -> Result<Response, Problem> {
    redirect(&format!("{AUTHORIZE}?{}", form.only(&PARAMETERS)), Headers::new())
}

async fn answered(mut call: RawCall<App>) -> Result<Response, Problem> {
    let form = Form::read(&mut call).await?;
    // The forms of our pages say what to do; a request for a code says who asks.
    if form.get("do").is_none() && form.get("client_id").is_some() {
        return asked_again(&form);
    }
    let visit = Visit::of(call)?;
    visit.require_here()?;
    let asked = match read(&visit).await? {
        Ok(asked) => asked,
        Err(answer) => return Ok(answer),
    };
    let (action, query) = place(&visit);
    if let Some(step) = Step::of(&form) {
        let (ctx, headers) = match prove::prove(&visit, &asked, &action, step, &form).await? {
            Ok(proved) => proved,
            Err(answer) => return Ok(answer),
        };
        let done = Done { has_signed_in: true, has_agreed: false };
        return go_on(&visit, &ctx, &asked, done, headers).await;
    }
    let ctx = visit.by_cookie().await?;
    let is_ours =
        form.get("token").is_some_and(|token| authorize::is_agreement(&visit.app, &ctx, &query, token));
    match form.get("do") {
        Some("agree") if is_ours => {
            let done = Done { has_signed_in: true, has_agreed: true };
            go_on(&visit, &ctx, &asked, done, Headers::new()).await
        }
        Some("refuse") if is_ours => redirect(&authorize::denied(&visit.app, &asked), Headers::new()),
        Some("other") => Ok(prove::page(&visit, &asked, &action, "", None).answer()),
        // The page was shown too long ago, or in another session: it is shown again.
        Some("agree" | "refuse") => go_on(&visit, &ctx, &asked, Done::default(), Headers::new()).await,
        _ => Ok(page::wrong("the form does not say what to do").answer()),
    }
}
