//! A request for a code, as a browser brings it, read strictly. Where it cannot be known for sure where to answer, nothing is answered
//! there: the person is told on a page (RFC 9700, section 4.11). So they are where it is known and nobody has signed in who belongs to the
//! client's organization, with a way on.

use super::client_secret::active;
use super::id_token;
use super::scope::{OFFLINE, Scope};
use super::{AUTHORIZATION_CODE, Fault, OauthClient, REFRESH_TOKEN, Refused, Stop, audience, redirect};
use crate::App;
use charter_kernel::{OrganizationId, PrincipalId, Problem};

/// Longest `state` and `nonce`.
const WORD_MAX: usize = 1_000;
/// Length of a challenge: SHA-256 as base64url.
const CHALLENGE: usize = 43;

/// The parameters of a request for a code.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "each is the parameter of that name in RFC 6749, RFC 7636, RFC 8707 or OpenID Connect"
)]
pub struct RequestDraft {
    pub client_id: Option<String>,
    pub redirect_uri: Option<String>,
    pub response_type: Option<String>,
    pub response_mode: Option<String>,
    pub scope: Option<String>,
    pub resources: Vec<String>,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub code_challenge: Option<String>,
    pub code_challenge_method: Option<String>,
    pub prompt: Option<String>,
    pub max_age: Option<String>,
    pub login_hint: Option<String>,
    pub id_token_hint: Option<String>,
    pub request: Option<String>,
    pub request_uri: Option<String>,
    pub registration: Option<String>,
}

/// What a client wants people to be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Nothing at all.
    pub is_none: bool,
    /// To prove again who they are.
    pub asks_login: bool,
    /// To agree again.
    pub asks_consent: bool,
}

/// Whom a client believes to be signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// It does not say.
    Nobody,
    /// This principal.
    Principal(PrincipalId),
    /// It says so with something that is not an ID token of ours for it.
    Unreadable,
}

/// A request whose client and address are known.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The client.
    pub client: OauthClient,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What the client wants to see again.
    pub state: Option<String>,
    /// What it asks for.
    pub scope: Scope,
    /// What its tokens are to be for; nothing is Charter itself.
    pub audiences: Vec<String>,
    /// What it wants to find in the ID token.
    pub nonce: Option<String>,
    /// What its verifier hashes to.
    pub code_challenge: String,
    /// What people are to be asked.
    pub prompt: Prompt,
    /// How many seconds ago they may have proved who they are.
    pub max_age: Option<i64>,
    /// What is written into the form of the sign-in page.
    pub login_hint: Option<String>,
    /// Whom the client believes to be signed in.
    pub hint: Hint,
}

/// An error with the address at which the client is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    /// The organization of the client.
    pub organization: OrganizationId,
    /// What people know the client as.
    pub client: String,
    /// The address, with the error on it.
    pub to: String,
    /// Where that is, as people read it.
    pub place: String,
    /// What is wrong, for people.
    pub detail: String,
    /// The client asked not to show anything.
    pub is_silent: bool,
}

/// Why a request is not gone on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// Nobody is sent anywhere: the person is told.
    Page(String),
    /// The client is told: by itself, or when the person says so.
    Back(Box<Back>),
    /// It cannot be answered now.
    Problem(Problem),
}

impl From<Problem> for Wrong {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Stop> for Wrong {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Problem(problem) => Self::Problem(problem),
            Stop::Refused(Refused { detail, .. }) => Self::Page(detail),
        }
    }
}

/// The address with an error on it; who issued it is said as well (RFC 9207).
pub(super) fn told_at(app: &App, uri: &str, state: Option<&str>, fault: Fault, detail: &str) -> String {
    let issuer = app.identity().settings().issuer.as_str();
    let mut answer = vec![("error", fault.as_str()), ("error_description", detail)];
    answer.extend(state.map(|state| ("state", state)));
    answer.push(("iss", issuer));
    redirect::with(uri, &answer)
}

impl Asked {
    /// The same with what a page says.
    pub fn back(&self, app: &App, fault: Fault, detail: &str) -> Back {
        Back {
            organization: self.client.organization,
            client: self.client.name.clone(),
            to: self.told(app, fault, detail),
            place: redirect::place(&self.redirect_uri),
            detail: detail.to_owned(),
            is_silent: self.prompt.is_none,
        }
    }

    /// The address of its answer with an error on it.
    pub fn told(&self, app: &App, fault: Fault, detail: &str) -> String {
        told_at(app, &self.redirect_uri, self.state.as_deref(), fault, detail)
    }
}

fn is_word(text: &str) -> bool {
    text.len() <= WORD_MAX && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn prompt(text: Option<&str>) -> Result<Prompt, &'static str> {
    let mut prompt = Prompt::default();
    for word in text.unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => prompt.is_none = true,
            // Who chooses another account signs in with it.
            "login" | "select_account" => prompt.asks_login = true,
            "consent" => prompt.asks_consent = true,
            _ => return Err("prompt is none of none, login, consent and select_account"),
        }
    }
    if prompt.is_none && (prompt.asks_login || prompt.asks_consent) {
        return Err("prompt says none and something else");
    }
    Ok(prompt)
}

/// Reads a request.
pub async fn read(app: &App, draft: RequestDraft) -> Result<Asked, Wrong> {
    let page = |detail: &str| Wrong::Page(detail.to_owned());
    let id = draft
        .client_id
        .as_deref()
        .ok_or_else(|| page("the application does not say which it is (client_id)"))?;
    let client = active(app, id).await?;
    let client =
        client.ok_or_else(|| page("no such application is registered here, or it is switched off"))?;
    let redirect_uri = draft
        .redirect_uri
        .ok_or_else(|| page("the application does not say where to send you back to (redirect_uri)"))?;
    if !redirect::is_registered(&client.redirect_uris, client.kind, &redirect_uri) {
        return Err(page("the address to send you back to is not registered for this application"));
    }
    // Without a challenge a stolen code is worth a token: nobody who works as they should asks so.
    let is_challenge = |text: &String| {
        text.len() == CHALLENGE
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let code_challenge = match (draft.code_challenge, draft.code_challenge_method.as_deref()) {
        (Some(challenge), Some("S256")) if is_challenge(&challenge) => challenge,
        _ => {
            let detail = "the application has to prove with PKCE that it is the one that asked (code_challenge, code_challenge_method S256)";
            return Err(page(detail));
        }
    };
    let state = draft.state;
    if state.as_deref().is_some_and(|state| !is_word(state)) {
        return Err(page("what the application wants to see again (state) is too long, or no visible ASCII"));
    }
    let is_silent = prompt(draft.prompt.as_deref()).is_ok_and(|prompt| prompt.is_none);
    let tell = |fault: Fault, detail: &str| {
        Wrong::Back(Box::new(Back {
            organization: client.organization,
            client: client.name.clone(),
            to: told_at(app, &redirect_uri, state.as_deref(), fault, detail),
            place: redirect::place(&redirect_uri),
            detail: detail.to_owned(),
            is_silent,
        }))
    };
    if draft.request.is_some() {
        return Err(tell(
            Fault::RequestNotSupported,
            "parameters stand in the address, not in a signed object",
        ));
    }
    if draft.request_uri.is_some() {
        return Err(tell(Fault::RequestUriNotSupported, "parameters stand in the address, not elsewhere"));
    }
    if draft.registration.is_some() {
        return Err(tell(Fault::RegistrationNotSupported, "clients are registered by administrators"));
    }
    if draft.response_type.as_deref() != Some("code") {
        return Err(tell(Fault::UnsupportedResponseType, "response_type has to be code"));
    }
    if draft.response_mode.is_some_and(|mode| mode != "query") {
        return Err(tell(Fault::InvalidRequest, "response_mode has to be query, or left out"));
    }
    if !client.grant_types.iter().any(|grant| grant == AUTHORIZATION_CODE) {
        return Err(tell(Fault::UnauthorizedClient, "the client may not use authorization_code"));
    }
    if draft.nonce.as_deref().is_some_and(|nonce| !is_word(nonce)) {
        return Err(tell(Fault::InvalidRequest, "nonce is too long, or no visible ASCII"));
    }
    let prompt = prompt(draft.prompt.as_deref()).map_err(|why| tell(Fault::InvalidRequest, why))?;
    let max_age = match draft.max_age.as_deref().map(str::parse::<u32>) {
        None => None,
        Some(Ok(seconds)) => Some(i64::from(seconds)),
        Some(Err(_)) => return Err(tell(Fault::InvalidRequest, "max_age is no number of seconds")),
    };
    let scope = Scope::read(draft.scope.as_deref().unwrap_or_default())
        .map_err(|why| tell(Fault::InvalidScope, &why.replace('"', "'")))?;
    if scope.is_empty() {
        return Err(tell(Fault::InvalidScope, "scope is missing: say what is asked for"));
    }
    let allowed = Scope::of(client.scopes.clone()).unwrap_or_default();
    if let Some(word) = scope.beyond(&allowed, &app.snapshots().index()) {
        let detail = format!("the client may not ask for {word}");
        return Err(tell(Fault::InvalidScope, &detail));
    }
    if scope.has(OFFLINE) && !client.grant_types.iter().any(|grant| grant == REFRESH_TOKEN) {
        return Err(tell(Fault::InvalidScope, "offline_access needs the grant refresh_token"));
    }
    let audiences =
        audience::asked(&client, draft.resources).map_err(|refused| tell(refused.fault, &refused.detail))?;
    let hint = match &draft.id_token_hint {
        None => Hint::Nobody,
        Some(token) => id_token::read_hint(app, token)
            .filter(|hint| hint.client == client.id)
            .map_or(Hint::Unreadable, |hint| Hint::Principal(hint.principal)),
    };
    let login_hint = draft.login_hint.filter(|hint| hint.len() <= WORD_MAX);
    Ok(Asked {
        client,
        state,
        scope,
        audiences,
        nonce: draft.nonce,
        code_challenge,
        prompt,
        max_age,
        login_hint,
        hint,
        redirect_uri,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_are_asked_is_read_strictly() {
        assert_eq!(prompt(None), Ok(Prompt::default()));
        let both = Prompt { is_none: false, asks_login: true, asks_consent: true };
        assert_eq!(prompt(Some("login consent")), Ok(both));
        assert!(prompt(Some("none")).unwrap().is_none);
        for wrong in ["none login", "create", "None", "consent none"] {
            assert!(prompt(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
