//! An address of the other system that says who may do what: one question, one answer. It has a second; more than a few dozen questions are never
//! under way at once; and after some failures in a row it is left alone for a moment. No redirect is followed, and nothing but a plain
//! `allow` counts as an answer.

use crate::once::Object;
use charter_adopt::module::TAKEN_OVER;
use charter_app::World;
use charter_app::shadow::{Answering, LegacyAnswer, LegacyQuestion, LegacyRule};
use charter_db::{BoxFuture, Conn, Database, Scope};
use charter_kernel::{Key, Problem};
use charter_store as store;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// How long an answer may take, all in all.
const PATIENCE: Duration = Duration::from_secs(1);
/// Questions under way at once.
const AT_ONCE: usize = 64;
/// Longest answer that is read.
const ANSWER_MAX: usize = 16 * 1024;
/// After so many failures in a row nothing is asked for a moment.
const FAILURES_MAX: u32 = 5;
const REST_MICROS: i64 = 1_000_000;

struct Inner {
    client: reqwest::Client,
    url: String,
    token: Option<Zeroizing<String>>,
    database: Database,
    world: World,
    source: Key,
    under_way: Semaphore,
    failures: AtomicU32,
    /// By the clock that nobody sets.
    rests_until: AtomicI64,
}

/// Of whom and where it is asked.
struct Asked {
    organization: String,
    user: String,
    login: String,
}

/// The address, as it is asked.
pub struct Endpoint(Arc<Inner>);

impl Endpoint {
    /// With where it is, and what it is shown.
    pub fn new(
        database: Database,
        world: World,
        source: Key,
        url: &str,
        token: Option<String>,
    ) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .user_agent(concat!("Charter/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no HTTP client can be made: {error}"))?;
        Ok(Self(Arc::new(Inner {
            client,
            url: url.to_owned(),
            token: token.map(Zeroizing::new),
            database,
            world,
            source,
            under_way: Semaphore::new(AT_ONCE),
            failures: AtomicU32::new(0),
            rests_until: AtomicI64::new(i64::MIN),
        })))
    }
}

fn unavailable(why: impl Into<String>) -> LegacyAnswer {
    LegacyAnswer::Unavailable(why.into())
}

/// What an answer says.
fn read(status: StatusCode, body: &[u8]) -> LegacyAnswer {
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => {
            return LegacyAnswer::Unknown("it does not know the user or the permission".to_owned());
        }
        other if other.is_redirection() => return unavailable("it leads somewhere else"),
        other => return unavailable(format!("it answered with status {}", other.as_u16())),
    }
    let Ok(Object(said)) = serde_json::from_slice(body) else {
        return unavailable("its answer is no JSON object in which every name stands once");
    };
    let reason = said.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    match said.get("allow") {
        Some(Value::Bool(true)) => LegacyAnswer::Allow(reason),
        Some(Value::Bool(false)) => LegacyAnswer::Deny(reason),
        _ => unavailable("its answer says neither allow: true nor allow: false"),
    }
}

impl Inner {
    /// The one id that an organization and an account have in the other system, and what the account signs in with here.
    async fn links(&self, question: &LegacyQuestion) -> Result<Result<Asked, String>, Problem> {
        let (organization, principal, source) =
            (question.organization, question.principal, self.source.clone());
        self.database
            .read(Scope::Installation, move |conn: &mut Conn| {
                Box::pin(async move {
                    let source = source.as_str();
                    let organizations = store::shadow::organization_links(conn, organization, source).await?;
                    let users = store::shadow::user_links(conn, principal, source).await?;
                    Ok(match (organizations.as_slice(), users.as_slice()) {
                        ([organization], [(user, login)]) => Ok(Asked {
                            organization: organization.clone(),
                            user: user.clone(),
                            login: login.clone(),
                        }),
                        (_, [_, _, ..]) => Err("two of its users are this account".to_owned()),
                        _ => Err("it has no such user in this organization".to_owned()),
                    })
                }) as BoxFuture<'_, Result<Result<Asked, String>, Problem>>
            })
            .await
    }

    fn told_of_failure(&self, asked_at: i64) {
        if self.failures.fetch_add(1, Ordering::AcqRel) + 1 >= FAILURES_MAX {
            self.rests_until.store(asked_at.saturating_add(REST_MICROS), Ordering::Release);
            self.failures.store(0, Ordering::Release);
        }
    }

    async fn post(&self, question: &LegacyQuestion, asked: &Asked) -> LegacyAnswer {
        let code = question.permission.as_str();
        let theirs = question.description.strip_prefix(TAKEN_OVER);
        let Asked { organization, user, login } = asked;
        let permission = theirs.unwrap_or(code);
        let body = json!({ "organization": organization, "user": user, "login": login, "permission": permission, "code": code });
        let mut request =
            self.client.post(&self.url).header("content-type", "application/json").body(body.to_string());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.as_str());
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() => return unavailable("it did not answer in time"),
            Err(_) => return unavailable("it could not be reached"),
        };
        let (status, mut said) = (response.status(), Vec::new());
        loop {
            match response.chunk().await {
                Ok(Some(part)) => said.extend_from_slice(&part),
                Ok(None) => return read(status, &said),
                Err(_) => return unavailable("its answer broke off"),
            }
            if said.len() > ANSWER_MAX {
                return unavailable("its answer does not end");
            }
        }
    }

    async fn answer(&self, question: LegacyQuestion) -> LegacyAnswer {
        let asked_at = self.world.steady_micros();
        if asked_at < self.rests_until.load(Ordering::Acquire) {
            return unavailable("it failed several times in a row and is left alone for a moment");
        }
        let Ok(_under_way) = self.under_way.try_acquire() else {
            return unavailable("too many questions to it are under way");
        };
        let asked = match self.links(&question).await {
            Ok(Ok(found)) => found,
            Ok(Err(unknown)) => return LegacyAnswer::Unknown(unknown),
            Err(_) => return unavailable("who somebody is there could not be read"),
        };
        let answer = self.post(&question, &asked).await;
        match &answer {
            LegacyAnswer::Unavailable(_) => self.told_of_failure(asked_at),
            _ => self.failures.store(0, Ordering::Release),
        }
        answer
    }
}

impl LegacyRule for Endpoint {
    fn ask(&self, question: &LegacyQuestion) -> Answering {
        let (inner, question) = (Arc::clone(&self.0), question.clone());
        Answering::Later(Box::pin(async move { inner.answer(question).await }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_says_both_is_none() {
        // The last of two won.
        let said = |body: &str| read(StatusCode::OK, body.as_bytes());
        assert!(matches!(said(r#"{"allow": true}"#), LegacyAnswer::Allow(_)));
        assert!(matches!(said(r#"{"reason": 7, "allow": false}"#), LegacyAnswer::Deny(_)));
        for body in [
            r#"{"allow": false, "allow": true}"#,
            r#"{"allow": true, "allow": true}"#,
            r#"{"allow": true, "reason": "a", "reason": "b"}"#,
            "[true]",
        ] {
            assert!(matches!(said(body), LegacyAnswer::Unavailable(_)), "{body}");
        }
    }
}
