//! Applications that are let in on behalf of people: the way through the pages, what a token is worth, and what attackers try.

mod attacks;
mod clients;
mod consents;
mod ends;
mod factor;
mod hostile_forms;
mod resources;
mod way;

use super::auth::PASSWORD;
use super::{ANN, Story, Told, Who};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

const CLIENTS: &str = "/api/v1/organizations/toys/oauth-clients";
const BACK: &str = "https://shop.example/callback";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const HERE: (&str, &str) = ("sec-fetch-site", "same-origin");
const ANN_LOGIN: &str = "ann@toys.example";

/// A client as it knows itself.
#[derive(Clone)]
struct Shop {
    id: String,
    secret: Option<String>,
}

impl Shop {
    fn basic(&self) -> String {
        let text = format!("{}:{}", self.id, self.secret.as_deref().unwrap_or_default());
        format!("Basic {}", STANDARD.encode(text))
    }
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn form(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// Where an answer sends the browser, and what stands there.
fn sent_to(told: &Told) -> (String, Vec<(String, String)>) {
    assert_eq!(told.status.as_u16(), 303, "{}", told.body);
    let (place, query) = told.header("location").split_once('?').unwrap_or((told.header("location"), ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    (place.to_owned(), pairs.map(|(name, value)| (name.to_owned(), decoded(value))).collect())
}

fn one(told: &Told, name: &str) -> String {
    let (_, pairs) = sent_to(told);
    pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// What a token says, whoever signed it.
fn says(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The value of a hidden field of a page.
fn hidden(told: &Told) -> String {
    field(told, "token")
}

/// The value of a field of a page that has this name.
fn field(told: &Told, name: &str) -> String {
    let page = told.body.as_str().unwrap();
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).expect("the page has the field");
    rest.split_once('"').unwrap().0.replace("&quot;", "\"").replace("&amp;", "&")
}

/// The session's cookie an answer sets.
fn crumb(told: &Told) -> String {
    let headers = told.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let found = headers.filter_map(|text| text.strip_prefix("__Host-ch_s=")).next();
    let value = found.expect("a session's cookie is set").split(';').next().unwrap().to_owned();
    format!("__Host-ch_s={value}")
}

/// The request for a code of a client, with some of its parameters replaced, added, or (without a value) left out.
fn asks(shop: &Shop, scope: &str, other: &[(&str, &str)]) -> String {
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", shop.id.as_str()),
        ("redirect_uri", BACK),
        ("scope", scope),
        ("state", "a state & more"),
        ("nonce", "n-0S6_WzA2Mj"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in other {
        pairs.retain(|(known, _)| known != name);
        if !value.is_empty() {
            pairs.push((name, value));
        }
    }
    format!("/oauth/authorize?{}", form(&pairs))
}

impl Story {
    async fn register(&self, by: Who, body: Value) -> Shop {
        let told = self.post(by, CLIENTS, body).await.is(201);
        Shop {
            id: text(&told.body["client"]["id"]),
            secret: told.body["client_secret"].as_str().map(str::to_owned),
        }
    }

    /// An application on a server that may refresh and see members.
    async fn shop(&self) -> Shop {
        self.shop_of(&["openid", "profile", "email", "offline_access", "admin.users.read"]).await
    }

    async fn shop_of(&self, scopes: &[&str]) -> Shop {
        let body = json!({
            "name": "Shop & <Co>", "kind": "confidential", "redirect_uris": [BACK],
            "post_logout_redirect_uris": ["https://shop.example/bye"],
            "grant_types": ["authorization_code", "refresh_token"], "scopes": scopes,
        });
        self.register(ANN, body).await
    }

    /// Sends a request as it comes over the wire, with a form or without a body.
    async fn visit(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Told {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        let body = body.map_or_else(Body::empty, Body::from);
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Told { status: parts.status, headers: parts.headers, body }
    }

    /// Opens an address in a browser that has these cookies.
    async fn open(&self, path: &str, cookies: &str) -> Told {
        self.visit(Method::GET, path, &[("cookie", cookies), ("sec-fetch-site", "cross-site")], None).await
    }

    /// Sends the form of one of our pages.
    async fn send_form(&self, path: &str, cookies: &str, pairs: &[(&str, &str)]) -> Told {
        self.visit(Method::POST, path, &[("cookie", cookies), HERE], Some(form(pairs))).await
    }

    async fn type_in(&self, path: &str, cookies: &str, login: &str, password: &str) -> Told {
        let pairs = [("login", login), ("password", password), ("do", "sign-in")];
        self.send_form(path, cookies, &pairs).await
    }

    /// Signs ann in on the page of a request and lets her agree; gives her cookie and the answer.
    async fn let_in(&self, path: &str) -> (String, Told) {
        let page = self.type_in(path, "", ANN_LOGIN, PASSWORD).await;
        let cookies = crumb(&page);
        if page.status.as_u16() == 303 {
            return (cookies, page);
        }
        let told = self.send_form(path, &cookies, &[("token", &hidden(&page)), ("do", "agree")]).await;
        (cookies, told)
    }

    async fn ask_token(&self, shop: &Shop, pairs: &[(&str, &str)]) -> Told {
        match &shop.secret {
            Some(_) => {
                let headers = [("authorization", shop.basic())];
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                self.visit(Method::POST, "/oauth/token", &headers, Some(form(pairs))).await
            }
            None => {
                let mut pairs = pairs.to_vec();
                pairs.push(("client_id", &shop.id));
                self.visit(Method::POST, "/oauth/token", &[], Some(form(&pairs))).await
            }
        }
    }

    async fn exchange(&self, shop: &Shop, code: &str) -> Told {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        self.ask_token(shop, &pairs).await
    }

    /// Everything ann's application has after she signed in and agreed; with her cookie.
    async fn tokens_of(&self, shop: &Shop, scope: &str) -> (String, Value) {
        let (cookies, told) = self.let_in(&asks(shop, scope, &[])).await;
        let tokens = self.exchange(shop, &one(&told, "code")).await.is(200);
        (cookies, tokens.body)
    }

    async fn refresh_of(&self, shop: &Shop, token: &str, scope: &str) -> Told {
        let mut pairs = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        if !scope.is_empty() {
            pairs.push(("scope", scope));
        }
        self.ask_token(shop, &pairs).await
    }

    /// The status that a token gets for something.
    async fn status(&self, token: &Value, path: &str) -> u16 {
        self.with_token(token.as_str().unwrap(), Method::GET, path, None).await.status.as_u16()
    }
}

/// The error of an answer in the words of RFC 6749.
#[track_caller]
fn is_error(told: &Told, status: u16, error: &str) {
    assert_eq!((told.status.as_u16(), told.body["error"].as_str()), (status, Some(error)), "{:#}", told.body);
    assert!(told.body["error_description"].as_str().is_some_and(|text| text.len() > 10));
    assert_eq!(told.header("cache-control"), "no-store");
}
