//! The pages people see on the way to an application: signing in, agreeing, signing out, and what went wrong. A form leads to this service,
//! and from there to the address of the application. All works without a script but a passkey, which browsers give to scripts alone: those
//! pages have ours, from this service.

use super::SCRIPT;
use crate::edge::{Answer, Escaped};
use axum::response::Response;
use charter_app::identity::oauth::authorize::Agreement;
use charter_app::identity::oauth::meaning::Meaning;
use charter_app::identity::oauth::request::{Asked, Back};
use charter_app::identity::passkey::Options;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderName, HeaderValue, StatusCode};
use std::fmt::Write;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// One page.
pub(super) struct Page {
    title: &'static str,
    body: String,
    leads_away: bool,
    has_script: bool,
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Page {
    fn new(title: &'static str, body: String) -> Self {
        Self {
            title,
            body,
            leads_away: false,
            has_script: false,
            status: StatusCode::OK,
            headers: Vec::new(),
        }
    }

    fn leading_away(self) -> Self {
        Self { leads_away: true, ..self }
    }

    fn with_script(self) -> Self {
        Self { has_script: true, ..self }
    }

    /// The same with another status.
    pub fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same with more headers.
    pub fn with(mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The answer.
    pub fn answer(self) -> Response {
        let title = self.title;
        let (script, scripts) = if self.has_script {
            (format!("<script src=\"{SCRIPT}\" type=\"module\"></script>\n"), "script-src 'self'; ")
        } else {
            (String::new(), "")
        };
        let text = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <link rel=\"stylesheet\" href=\"/docs/style.css\">\n{script}</head>\n<body>\n<main>\n<h1>{title}</h1>\n{}</main>\n</body>\n</html>\n",
            self.body
        );
        let mut answer = Answer::new(self.status, HTML, text);
        // Browsers hold the whole way of a form to `form-action`, wherever the application sends its user on: where the form leads to one,
        // nothing can be said of it.
        let forms = if self.leads_away { "" } else { "form-action 'self'; " };
        let policy = format!(
            "default-src 'none'; {scripts}style-src 'self'; {forms}base-uri 'none'; frame-ancestors 'none'"
        );
        let policy = HeaderValue::from_str(&policy)
            .unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
        answer.headers.push((CONTENT_SECURITY_POLICY, policy));
        answer.headers.extend(self.headers);
        answer.into()
    }
}

/// What went wrong, where nobody can be told but the person.
pub(super) fn wrong(detail: &str) -> Page {
    let body = format!(
        "<p role=\"alert\">Nothing was done: {}.</p>\n<p>Go back to the application, and tell whoever runs it what stands here.</p>\n",
        Escaped(detail)
    );
    Page::new("This cannot be done", body).status(StatusCode::BAD_REQUEST)
}

/// What went wrong, with a way back to the application for who wants to go there.
pub(super) fn back(back: &Back) -> Page {
    let body = format!(
        "<p role=\"alert\">Nothing was done: {}.</p>\n<p>The application <strong>{}</strong> sent you here.</p>\n\
         <p><a href=\"{}\" rel=\"noreferrer\">Go back to it at <strong>{}</strong></a>, if you know that place; it is told what stands here.</p>\n",
        Escaped(&back.detail),
        Escaped(&back.client),
        Escaped(&back.to),
        Escaped(&back.place),
    );
    Page::new("This cannot be done", body).status(StatusCode::BAD_REQUEST)
}

/// The page of somebody who is signed in and no member where the application belongs: the request goes on when they sign in as somebody
/// else. It does not name the organization to them.
pub(super) fn stranger(action: &str, login: &str, back: &Back) -> Page {
    let body = format!(
        "<p role=\"alert\">You are signed in as <strong>{}</strong>, who is no member of the organization that the application \
         <strong>{}</strong> belongs to, or it is closed.</p>\n<form method=\"post\" action=\"{}\">\n\
         <p><button type=\"submit\" name=\"do\" value=\"other\">Sign in as somebody else</button></p>\n</form>\n\
         <p>Or <a href=\"{}\" rel=\"noreferrer\">go back to it at <strong>{}</strong></a>, if you know that place; it is told that you may \
         not go on.</p>\n",
        Escaped(login),
        Escaped(&back.client),
        Escaped(action),
        Escaped(&back.to),
        Escaped(&back.place),
    );
    Page::new("This is not for your account", body).leading_away().status(StatusCode::FORBIDDEN)
}

/// Where an application is that somebody goes on to, and what went wrong on the way.
fn on_the_way(asked: &Asked, fault: Option<&str>) -> String {
    let mut body = format!("<p>to go on to <strong>{}</strong></p>\n", Escaped(&asked.client.name));
    // Writing to a String cannot fail.
    if let Some(fault) = fault {
        let _ = writeln!(body, "<p role=\"alert\">{}</p>", Escaped(fault));
    }
    body
}

/// The fields of a form that a passkey answers, and its button, which a script shows.
fn passkey_fields(options: &str, words: &str) -> String {
    format!(
        "<input type=\"hidden\" name=\"options\" value=\"{}\">\n<input type=\"hidden\" name=\"passkey\" value=\"\">\n\
         <p><button type=\"button\" data-passkey hidden>{words}</button></p>\n",
        Escaped(options)
    )
}

/// The way to a new password. This page stays open meanwhile: it is where its reader goes on.
const FORGOT: &str = "<p><a href=\"/forgot-password#application\" target=\"_blank\" rel=\"noopener\">Forgot your password? \
                      (opens in a new tab)</a></p>\n";

/// The page on which somebody signs in; `action` is where its forms go, `passkey` what the browser is asked with for one.
pub(super) fn sign_in(
    asked: &Asked,
    action: &str,
    login: &str,
    fault: Option<&str>,
    passkey: Option<&Options>,
) -> Page {
    let mut body = on_the_way(asked, fault);
    let _ = write!(
        body,
        "<form method=\"post\" action=\"{}\">\n\
         <p><label for=\"login\">E-mail</label></p>\n\
         <p><input id=\"login\" name=\"login\" type=\"text\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" \
         maxlength=\"512\" value=\"{}\" required></p>\n\
         <p><label for=\"password\">Password</label></p>\n\
         <p><input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" maxlength=\"1024\" required></p>\n\
         <p><button type=\"submit\" name=\"do\" value=\"sign-in\">Sign in</button></p>\n</form>\n",
        Escaped(action),
        Escaped(login),
    );
    let Some(passkey) = passkey else {
        body.push_str(FORGOT);
        return Page::new("Sign in", body).leading_away();
    };
    let _ = write!(
        body,
        "<form method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"do\" value=\"passkey\">\n\
         <input type=\"hidden\" name=\"challenge\" value=\"{}\">\n{}</form>\n<p id=\"told\" role=\"status\"></p>\n",
        Escaped(action),
        Escaped(&passkey.challenge),
        passkey_fields(&passkey.public_key.to_string(), "Sign in with a passkey"),
    );
    body.push_str(FORGOT);
    Page::new("Sign in", body).leading_away().with_script()
}

/// The question for a second factor.
pub(super) struct Question<'a> {
    /// What the answer has to come with.
    pub challenge: &'a str,
    /// What the browser is asked with for a passkey, where there is one.
    pub passkey: Option<&'a str>,
    /// Whether a code can be the answer.
    pub takes_codes: bool,
}

/// The page on which somebody shows their second factor.
pub(super) fn factor(asked: &Asked, action: &str, question: &Question<'_>, fault: Option<&str>) -> Page {
    let mut body = on_the_way(asked, fault);
    let _ = write!(
        body,
        "<form method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"do\" value=\"factor\">\n\
         <input type=\"hidden\" name=\"challenge\" value=\"{}\">\n",
        Escaped(action),
        Escaped(question.challenge),
    );
    body.push_str(if question.takes_codes {
        "<p><label for=\"code\">Code of your authenticator app, or a recovery code</label></p>\n\
         <p><input id=\"code\" name=\"code\" type=\"text\" autocomplete=\"one-time-code\" autocapitalize=\"none\" spellcheck=\"false\" \
         maxlength=\"60\" required></p>\n<p><button type=\"submit\">Go on</button></p>\n"
    } else {
        "<input type=\"hidden\" name=\"codes\" value=\"no\">\n<noscript><p>A passkey needs scripts.</p></noscript>\n"
    });
    if let Some(options) = question.passkey {
        body.push_str(&passkey_fields(options, "Use your passkey"));
    }
    body.push_str("</form>\n<p id=\"told\" role=\"status\"></p>\n");
    Page::new("Your second factor", body).leading_away().with_script()
}

/// The page of somebody who has no second factor, where the organization demands one.
pub(super) fn add_factor(asked: &Asked, action: &str) -> Page {
    let mut body = on_the_way(asked, None);
    let _ = write!(
        body,
        "<p role=\"alert\">The organization demands a second factor, and you have none yet.</p>\n\
         <p><a href=\"/account/factors\" target=\"_blank\" rel=\"noopener\">Add one to your account (opens in a new tab)</a>, then <a href=\"{}\">go on</a>.</p>\n",
        Escaped(action),
    );
    Page::new("A second factor is needed", body).status(StatusCode::FORBIDDEN)
}

/// One thing an application may do, as the person reads it who is asked.
fn line(meaning: &Meaning) -> String {
    let mut line = Escaped(&meaning.words).to_string();
    for pattern in &meaning.patterns {
        let _ = write!(line, " <code>{}</code>", Escaped(pattern));
    }
    line
}

/// The page on which somebody agrees, or does not.
pub(super) fn agree(asked: &Asked, action: &str, agreement: &Agreement) -> Page {
    let mut body = format!(
        "<p><strong>{}</strong> asks to do this on behalf of <strong>{}</strong> in <strong>{}</strong>:</p>\n<ul>\n",
        Escaped(&asked.client.name),
        Escaped(&agreement.login),
        Escaped(&agreement.organization),
    );
    for meaning in &agreement.means {
        let _ = writeln!(body, "<li>{}</li>", line(meaning));
    }
    body.push_str("</ul>\n");
    if !agreement.audiences.is_empty() {
        body.push_str("<p>With this it turns to:</p>\n<ul>\n");
        for resource in &agreement.audiences {
            let _ = writeln!(body, "<li><code>{}</code></li>", Escaped(resource));
        }
        body.push_str("</ul>\n");
    }
    let _ = write!(
        body,
        "<p>It can never do more than you can. You end it \
         <a href=\"/account/sessions\" target=\"_blank\" rel=\"noopener\">among your sessions and applications</a> (opens in a new tab).</p>\n\
         <form method=\"post\" action=\"{}\">\n<input type=\"hidden\" name=\"token\" value=\"{}\">\n\
         <p><button type=\"submit\" name=\"do\" value=\"agree\">Agree</button>\n\
         <button type=\"submit\" name=\"do\" value=\"refuse\">Do not agree</button>\n\
         <button type=\"submit\" name=\"do\" value=\"other\">Sign in as somebody else</button></p>\n</form>\n",
        Escaped(action),
        Escaped(&agreement.token),
    );
    Page::new("Do you agree?", body).leading_away()
}

/// The page that asks whether somebody wants to sign out, and says where they go then.
pub(super) fn sign_out(
    client: Option<&str>,
    login: &str,
    action: &str,
    token: &str,
    place: Option<&str>,
) -> Page {
    let goes = place.map_or_else(String::new, |place| {
        format!("<p>You go on to <strong>{}</strong> then.</p>\n", Escaped(place))
    });
    let asks = client
        .map_or_else(String::new, |client| format!("<p><strong>{}</strong> asks it.</p>\n", Escaped(client)));
    let body = format!(
        "{asks}<p>You are signed in as <strong>{}</strong>.</p>\n{goes}<form method=\"post\" action=\"{}\">\n\
         <input type=\"hidden\" name=\"token\" value=\"{}\">\n\
         <p><button type=\"submit\" name=\"do\" value=\"sign-out\">Sign out</button></p>\n</form>\n",
        Escaped(login),
        Escaped(action),
        Escaped(token),
    );
    let page = Page::new("Sign out?", body);
    if place.is_some() { page.leading_away() } else { page }
}

/// The page for somebody who is not signed in, whom a link that anybody can write wants to send to an application.
pub(super) fn leave(client: &str, place: &str, action: &str) -> Page {
    let body = format!(
        "<p>You are not signed in here. The link that brought you wants to send you on to <strong>{}</strong>, the application \
         <strong>{}</strong>.</p>\n<form method=\"post\" action=\"{}\">\n\
         <p><button type=\"submit\" name=\"do\" value=\"sign-out\">Go on</button></p>\n</form>\n",
        Escaped(place),
        Escaped(client),
        Escaped(action),
    );
    Page::new("Go on?", body).leading_away()
}

/// The page after signing out, where nobody is sent elsewhere.
pub(super) fn signed_out() -> Page {
    Page::new("You are signed out", "<p>You can close this page.</p>\n".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use charter_kernel::OrganizationId;

    /// Attack 50.
    #[test]
    fn what_others_wrote_is_text_on_our_pages() {
        let page = wrong("<script>alert(\"1\")</script>");
        assert!(!page.body.contains("<script") && page.body.contains("&lt;script&gt;"));
        let page = sign_out(Some("<b>"), "\"><i>", "/x?a=\"b\"&c", "'", Some("<b>"));
        for tag in ["<b>", "<i>", "\"b\"", "&c"] {
            assert!(!page.body.contains(tag), "{tag}");
        }
        let page = leave("<b>", "\"><i>", "/x?a=\"b\"&c");
        for tag in ["<b>", "<i>", "\"b\"", "&c"] {
            assert!(!page.body.contains(tag), "{tag}");
        }
        let way = Back {
            organization: OrganizationId(1),
            client: "<b>".to_owned(),
            to: "https://a.example/?x=\"y\"&z".to_owned(),
            place: "<i>".to_owned(),
            detail: "<u>".to_owned(),
            is_silent: false,
        };
        for page in [back(&way), stranger("\"y\"", "<b>", &way)] {
            for tag in ["<b>", "<i>", "<u>", "\"y\"", "&z"] {
                assert!(!page.body.contains(tag), "{tag}");
            }
        }
        let meaning = Meaning { words: "see <b>".to_owned(), patterns: vec!["a.*.b".to_owned()] };
        assert_eq!(line(&meaning), "see &lt;b&gt; <code>a.*.b</code>");
    }
}
