//! Step 5: somebody signs in to the other system, as its own page or program would have it.

use super::{Rescue, report::Step};
use crate::client::escape;
use crate::config::Secret;
use crate::terminal;
use clap::Arg;
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, REFERER, SET_COOKIE};
use serde_json::{Map, Value};
use std::time::Duration;

const URL: &str = "login_url";
const USER: &str = "login_user";
const PASSWORD_FILE: &str = "login_password_file";
const BODY: &str = "login_body";
const USER_FIELD: &str = "login_user_field";
const PASSWORD_FIELD: &str = "login_password_field";
const EXPECT: &str = "login_expect";
/// This step.
const STEP: u8 = 5;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn arguments() -> [Arg; 7] {
    let arg = |id: &'static str, long: &'static str, value: &'static str, help: &'static str| {
        Arg::new(id).long(long).value_name(value).help(help)
    };
    [
        arg(URL, "login-url", "URL", "Step 5: where one signs in to the other system").requires(USER),
        arg(USER, "login-user", "NAME", "Step 5: who signs in"),
        arg(
            PASSWORD_FILE,
            "login-password-file",
            "PATH",
            "Step 5: a file that holds the password; left out, it is asked for",
        ),
        arg(
            BODY,
            "login-body",
            "KIND",
            "Step 5: how it is sent: form, with what is hidden in the page, or json",
        )
        .value_parser(["form", "json"])
        .default_value("form"),
        arg(USER_FIELD, "login-user-field", "NAME", "Step 5: the field for the name")
            .default_value("username"),
        arg(PASSWORD_FIELD, "login-password-field", "NAME", "Step 5: the field for the password")
            .default_value("password"),
        arg(EXPECT, "login-expect", "TEXT", "Step 5: what the answer has to hold"),
    ]
}

/// A client that follows nowhere and waits only so long.
pub fn client(url: &str) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .timeout(PATIENCE)
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("charter/", env!("CARGO_PKG_VERSION")));
    if crate::client::is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| format!("no HTTP client can be made: {}", innermost(&error)))
}

/// The innermost cause: the outer ones repeat the address.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The value of an attribute of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let word = before.rsplit(|c: char| c.is_whitespace()).find(|word| !word.is_empty())?;
        let after = after.trim_start();
        let (value, behind) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => after.get(1..)?.split_once(quote)?,
            _ => after.split_once(|c: char| c.is_whitespace()).unwrap_or((after, "")),
        };
        if word.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = behind;
    }
    None
}

fn inputs(page: &str) -> impl Iterator<Item = &str> {
    page.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap_or_default().trim_end_matches('/'))
}

fn plain(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#x27;", "'")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// What a page hides in its form, such as a token against forged requests.
fn hidden(page: &str) -> Vec<(String, String)> {
    let is_hidden =
        |tag: &&str| attribute(tag, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("hidden"));
    let pair = |tag: &str| {
        Some((attribute(tag, "name")?.to_owned(), plain(attribute(tag, "value").unwrap_or_default())))
    };
    inputs(page).filter(is_hidden).filter_map(pair).collect()
}

/// Whether a page asks for a password.
fn asks_again(page: &str) -> bool {
    inputs(page).any(|tag| attribute(tag, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("password")))
}

fn path_of(address: &str) -> &str {
    let rest = address
        .split_once("://")
        .map_or(address, |(_, rest)| rest.find('/').map_or("/", |at| rest.get(at..).unwrap_or("/")));
    rest.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
}

struct Attempt<'a> {
    rescue: &'a Rescue<'a>,
    url: String,
    user: String,
    password: Secret,
}

impl Attempt<'_> {
    fn given(&self, name: &str) -> &str {
        self.rescue.matches.get_one::<String>(name).map(String::as_str).unwrap_or_default()
    }

    /// The request: as a program would send it, or as the page would.
    async fn request(&self, client: &reqwest::Client) -> Result<reqwest::RequestBuilder, String> {
        let (user, password) = (self.given(USER_FIELD), self.given(PASSWORD_FIELD));
        if self.given(BODY) == "json" {
            let mut body = Map::new();
            body.insert(user.to_owned(), Value::from(self.user.clone()));
            body.insert(password.to_owned(), Value::from(self.password.reveal()));
            return Ok(client.post(&self.url).json(&body));
        }
        let failed = |error: reqwest::Error| format!("{}: {}", self.url, innermost(&error));
        let page = client.get(&self.url).send().await.map_err(failed)?;
        let cookies: Vec<String> = page
            .headers()
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| Some(value.to_str().ok()?.split(';').next()?.to_owned()))
            .collect();
        let mut fields = hidden(&page.text().await.map_err(failed)?);
        fields.push((user.to_owned(), self.user.clone()));
        fields.push((password.to_owned(), self.password.reveal().to_owned()));
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        let mut request = client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(REFERER, &self.url)
            .body(body.join("&"));
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        Ok(request)
    }

    async fn run(&self) -> Result<String, String> {
        let client = client(&self.url)?;
        let answer = self.request(&client).await?.send().await;
        let answer = answer.map_err(|error| format!("{}: {}", self.url, innermost(&error)))?;
        let status = answer.status();
        let location =
            answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let page = answer.text().await.map_err(|error| format!("{}: {}", self.url, innermost(&error)))?;
        let refused = |why: &str| Err(format!("{} was not let in at {}: {why}", self.user, self.url));
        let way = location.as_deref().filter(|_| status.is_redirection());
        match way {
            Some(location) if path_of(location) == path_of(&self.url) => {
                return refused(&format!("it led back to {location}"));
            }
            Some(_) => {}
            None if !status.is_success() => return refused(&format!("the answer was {status}")),
            None if asks_again(&page) => return refused("the page asked for the password again"),
            None => {}
        }
        let expected = self.given(EXPECT);
        if !page.contains(expected) {
            return refused(&format!("the answer does not hold {expected:?}"));
        }
        Ok(format!("{} was let in at {} ({status})", self.user, self.url))
    }
}

/// Asks for the password where the step will want it and no file holds it.
pub fn ask(rescue: &Rescue<'_>) -> Option<Result<Secret, String>> {
    let given = |name: &str| rescue.matches.get_one::<String>(name);
    let (Some(_), Some(user), None) = (given(URL), given(USER), given(PASSWORD_FILE)) else { return None };
    let ask = || terminal::password(&format!("Password of {user}")).map_err(|failure| failure.to_string());
    rescue.is_chosen(STEP).then(ask)
}

fn password(rescue: &Rescue<'_>) -> Result<Secret, String> {
    match (rescue.matches.get_one::<String>(PASSWORD_FILE), &rescue.password) {
        (Some(path), _) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(Secret::exact(text.trim_end_matches(['\r', '\n']))),
            Err(error) => Err(format!("{path} cannot be read: {error}")),
        },
        (None, Some(asked)) => asked.clone(),
        (None, None) => Err("nobody was asked for the password: give --login-password-file".to_owned()),
    }
}

/// Step 5.
pub async fn run(rescue: &Rescue<'_>, step: &mut Step) {
    let given = |name: &str| rescue.matches.get_one::<String>(name).cloned();
    let (Some(url), Some(user)) = (given(URL), given(USER)) else {
        let what = "give --login-url and --login-user";
        return match rescue.is_dry_run {
            true => step.nothing(format!("sign-in was not tried: {what}, or this step fails in earnest")),
            false => step.fail(format!("nobody was tried: {what}")),
        };
    };
    if rescue.is_dry_run {
        return step.would(format!("sign {user} in at {url}"));
    }
    let attempt = match password(rescue) {
        Ok(password) => Attempt { rescue, url, user, password },
        Err(wrong) => return step.fail(wrong),
    };
    match attempt.run().await {
        Ok(told) => step.tell(told),
        Err(wrong) => step.fail(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_hides_is_read_however_it_is_written() {
        let page = r#"<form><input type="hidden" name="csrfmiddlewaretoken" value="a&amp;b"><INPUT
            <input value='x y' name='next' type='hidden' /><input name="username"><input type=password name=password></form>"#;
        let found = hidden(page);
        assert_eq!(
            found,
            [("csrfmiddlewaretoken".to_owned(), "a&b".to_owned()), ("next".to_owned(), "x y".to_owned())]
        );
        assert!(asks_again(page) && !asks_again("<input type=\"text\" name=\"password\">"));
    }

    #[test]
    fn a_way_back_to_the_same_page_is_known_by_its_path() {
        assert_eq!(path_of("https://erp.example/login/?next=/"), "/login");
        assert_eq!(path_of("/login?error=1"), path_of("http://127.0.0.1:8/login/"));
        assert_ne!(path_of("/"), path_of("http://127.0.0.1:8/login"));
        assert_eq!(path_of("http://127.0.0.1:8"), "");
    }
}
