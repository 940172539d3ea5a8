//! The same routes served in this process, while no service runs.

use super::{Answer, Call};
use crate::config::{Configuration, Secret};
use crate::failure::{Failure, Result};
use crate::folder::{Folder, Lock};
use crate::installation;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use charter_api::edge::LocalCaller;
use charter_app::{App, Caller};
use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tower::ServiceExt;

/// What changed is read again before a call when it was read this long ago: a command may work for many minutes.
const READ_SECONDS: i64 = 1;

/// The installation, opened here.
pub struct Local {
    app: App,
    router: Router,
    account: String,
    token: Option<Secret>,
    _lock: Lock,
}

impl Local {
    /// Opens the installation; the lock is kept until the end.
    pub async fn open(configuration: &Configuration, folder: Folder, lock: Lock) -> Result<Self> {
        let app = installation::open(configuration, &folder).await?;
        Ok(Self::of(app, configuration, lock))
    }

    fn of(app: App, configuration: &Configuration, lock: Lock) -> Self {
        let router = installation::router(&app, configuration);
        Self {
            app,
            router,
            account: configuration.account.clone(),
            token: configuration.token.clone(),
            _lock: lock,
        }
    }

    /// Serves a call.
    pub async fn send(&self, call: &Call) -> Result<Answer> {
        if self.app.snapshots().age_seconds(self.app.now()) >= READ_SECONDS
            && let Err(problem) = self.app.read_changes().await
        {
            tracing::debug!(%problem, "changes could not be read");
        }
        let mut request = Request::builder().method(call.method.as_str()).uri(call.target());
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        match &self.token {
            Some(token) => request = request.header("authorization", format!("Bearer {}", token.reveal())),
            None => {
                let operator = Caller::Operator { account: self.account.clone() };
                request = request.extension(LocalCaller(operator));
            }
        }
        let body = match &call.body {
            Some((kind, body)) => {
                request = request.header("content-type", kind);
                Body::from(body.clone())
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(|error| Failure::new(format!("not a request: {error}")))?;
        // On a task of its own: whoever asks may prepare the next call meanwhile.
        let router = self.router.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let (parts, body) = response.into_parts();
            body.collect().await.map(|body| (parts, body))
        });
        let broken = |error: &dyn core::fmt::Display| Failure::new(format!("the answer broke off: {error}"));
        let served = serving.join_next().await.ok_or_else(|| broken(&"nobody served it"))?;
        let (parts, body) = served.map_err(|error| broken(&error))?.map_err(|error| broken(&error))?;
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        Ok(Answer { status: parts.status.as_u16(), headers, body: body.to_bytes().to_vec() })
    }

    /// Writes what waits and closes the database.
    pub async fn close(self) -> Result<()> {
        self.app.close().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::arguments;
    use crate::config;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_command_that_works_longer_than_memory_is_trusted_goes_on_deciding() {
        let place = tempfile::tempdir().unwrap();
        let flags = arguments::server(arguments::common(clap::Command::new("charter")));
        let data = place.path().to_str().unwrap();
        let flags = flags.get_matches_from(["charter", "--data", data, "--max-staleness", "2s"]);
        let configuration = config::load(&flags).configuration;
        let folder = Folder::create(place.path()).unwrap();
        let lock = installation::lock(&folder).await.unwrap();
        let local = Local::open(&configuration, folder, lock).await.unwrap();
        let decide = Call::new("GET", "/api/v1/organizations/platform/members");
        let decide = decide.ask("limit", "1");
        tokio::time::sleep(Duration::from_millis(3_100)).await;
        let stale = local.app.snapshots().require_fresh(local.app.now());
        assert!(stale.is_err(), "nothing has read changes yet");
        let answer = local.send(&decide).await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        local.app.snapshots().require_fresh(local.app.now()).unwrap();
        local.close().await.unwrap();
    }
}
