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
use tower::ServiceExt;

/// Seconds after which what changed is read again.
const ROUND_SECONDS: i64 = 2;

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
        let router = installation::router(&app, configuration);
        Ok(Self {
            app,
            router,
            account: configuration.account.clone(),
            token: configuration.token.clone(),
            _lock: lock,
        })
    }

    /// Reads what changed, as a service does every second: a command that takes long would refuse itself in the end.
    async fn keep_up(&self) -> Result<()> {
        if self.app.snapshots().age_seconds(self.app.now()) < ROUND_SECONDS {
            return Ok(());
        }
        self.app.snapshots().catch_up().await?;
        self.app.identity().refresh(&self.app).await?;
        Ok(())
    }

    /// Serves a call.
    pub async fn send(&self, call: &Call) -> Result<Answer> {
        self.keep_up().await?;
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
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        let body =
            body.collect().await.map_err(|error| Failure::new(format!("the answer broke off: {error}")))?;
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
