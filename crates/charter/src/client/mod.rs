//! Commands as clients of the API. A running service is spoken to over HTTP; where none runs, the same routes are served in
//! this process, on the same configuration, to the operator. Commands cannot tell the difference.

mod local;
mod remote;

use crate::config::{Configuration, Secret};
use crate::failure::{Failure, Result};
use crate::folder::{Folder, Lock};
use crate::installation;
use crate::operation::Operation;
use serde_json::Value;
use std::time::Duration;

pub use remote::{is_loopback, readiness};

/// One call of the API.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// HTTP method.
    pub method: String,
    /// Path, percent-encoded.
    pub path: String,
    /// Query, not encoded.
    pub query: Vec<(String, String)>,
    /// Headers besides those every call has.
    pub headers: Vec<(String, String)>,
    /// Content type and body.
    pub body: Option<(String, Vec<u8>)>,
}

impl Call {
    /// A call without a body.
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        Self { method: method.to_owned(), path: path.into(), ..Self::default() }
    }

    /// A call of an operation; the names in its path are still there.
    pub fn of(operation: &Operation) -> Self {
        Self::new(&operation.method, operation.path.clone())
    }

    /// The same for an organization.
    pub fn within(self, organization: &str) -> Self {
        Self { path: self.path.replace("{organization}", &escape(organization)), ..self }
    }

    /// The same with a JSON body.
    pub fn json(self, body: &Value) -> Self {
        Self { body: Some(("application/json".to_owned(), body.to_string().into_bytes())), ..self }
    }

    /// The same with one more parameter.
    pub fn ask(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// Path and query as they stand in a request.
    fn target(&self) -> String {
        let mut target = self.path.clone();
        for (at, (name, value)) in self.query.iter().enumerate() {
            target.push(if at == 0 { '?' } else { '&' });
            target.push_str(&escape(name));
            target.push('=');
            target.push_str(&escape(value));
        }
        target
    }
}

/// A text as one part of a path or query.
pub fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// What the API answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; nothing is null.
    pub fn json(&self) -> Result<Value> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|_| {
            Failure::new(format!("the service answered {} with something that is not JSON", self.status))
        })
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same answer if it is a good one; else what the problem document says.
    pub fn good(self) -> Result<Self> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.failure()) }
    }

    fn failure(&self) -> Failure {
        let Ok(problem) = serde_json::from_slice::<Value>(&self.body) else {
            return Failure::new(format!("the service answered {}", self.status));
        };
        let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
        let title = if text("title").is_empty() { "the request failed" } else { text("title") };
        let mut message = format!("{title}: {}", text("detail"));
        for list in ["fields", "errors"] {
            for field in problem.get(list).and_then(Value::as_array).into_iter().flatten() {
                let part = |name: &str| field.get(name).and_then(Value::as_str).unwrap_or_default();
                let line = format!("{}: {}", part("field"), part("detail"));
                if !message.contains(&line) {
                    message.push_str(&format!("\n  {line}"));
                }
            }
        }
        if self.status == 401 && text("type").ends_with(":unauthenticated") {
            message.push_str("\n  commands send CHARTER_TOKEN, or the operator token of the data folder");
        }
        if self.status >= 500 && !text("request_id").is_empty() {
            message.push_str(&format!(
                "\n  the log of the service has more under request {}",
                text("request_id")
            ));
        }
        Failure::new(message)
    }
}

enum Transport {
    Remote(remote::Remote),
    Local(Box<local::Local>),
}

/// A way to call the API.
pub struct Client {
    transport: Transport,
    organization: Option<String>,
}

/// How long a command waits for another process to make room.
const PATIENCE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

impl Client {
    /// Finds a running service, or opens the installation in this process; where there is none, none is made.
    pub async fn connect(configuration: &Configuration) -> Result<Self> {
        Self::by(configuration, false).await
    }

    /// The same for a command that begins something: it makes an installation where there is none.
    pub async fn connect_or_make(configuration: &Configuration) -> Result<Self> {
        Self::by(configuration, true).await
    }

    async fn by(configuration: &Configuration, may_make: bool) -> Result<Self> {
        let transport = transport(configuration, may_make).await?;
        Ok(Self { transport, organization: configuration.organization.clone() })
    }

    /// Calls the API and gives whatever it answered.
    pub async fn send(&self, call: &Call) -> Result<Answer> {
        match &self.transport {
            Transport::Remote(remote) => remote.send(call).await,
            Transport::Local(local) => local.send(call).await,
        }
    }

    /// Calls the API; anything but a good answer is a failure.
    pub async fn call(&self, call: &Call) -> Result<Answer> {
        let answer = self.send(call).await?;
        if answer.status == 404
            && let Some(organization) = &self.organization
            && call.path.contains(&format!("/organizations/{}/", escape(organization)))
            && answer.text().contains("no such organization")
        {
            return Err(Failure::new(format!(
                "{}\n  asked for {organization}: `charter organizations list` shows the organizations there are",
                answer.failure()
            )));
        }
        answer.good()
    }

    /// Whether another process does what is called for.
    pub const fn is_remote(&self) -> bool {
        matches!(self.transport, Transport::Remote(_))
    }

    /// The organization the command is about.
    pub fn organization(&self) -> Result<&str> {
        self.organization.as_deref().ok_or_else(no_organization)
    }

    /// Ends the work in this process, if there was any.
    pub async fn close(self) -> Result<()> {
        match self.transport {
            Transport::Remote(_) => Ok(()),
            Transport::Local(local) => local.close().await,
        }
    }
}

/// What a command says that needs an organization.
pub fn no_organization() -> Failure {
    Failure::new("no organization is named: add --org KEY, or set CHARTER_ORGANIZATION")
}

async fn transport(configuration: &Configuration, may_make: bool) -> Result<Transport> {
    if let Some(url) = &configuration.url {
        let token = credential_for(configuration, url)?;
        return Ok(Transport::Remote(remote::Remote::new(url, token)?));
    }
    let folder = Folder::at(&configuration.data);
    if !folder.path().exists() {
        if !configuration.database_is_set {
            return Err(Failure::new(format!(
                "there is no installation in {}: start one with `charter serve`, or name another folder with --data",
                folder.path().display()
            )));
        }
        if !may_make && !installation::is_there(configuration).await {
            return Err(installation::missing(configuration));
        }
        Folder::create(folder.path())?;
    }
    match lock_or_service(&folder).await? {
        Found::Lock(lock) => {
            if !may_make && !installation::is_there(configuration).await {
                return Err(installation::missing(configuration));
            }
            let local = local::Local::open(configuration, folder, lock).await?;
            Ok(Transport::Local(Box::new(local)))
        }
        Found::Service(address) => {
            let token = configuration.token.clone().or_else(|| folder.existing_operator_token());
            let token = token.ok_or_else(|| no_token(folder.path()))?;
            Ok(Transport::Remote(remote::Remote::new(&address, token)?))
        }
    }
}

enum Found {
    Lock(Lock),
    Service(String),
}

/// The lock of a folder nobody works in, or the address of the service that does.
async fn lock_or_service(folder: &Folder) -> Result<Found> {
    for _ in 0..PATIENCE {
        if let Some(lock) = folder.try_lock()? {
            return Ok(Found::Lock(lock));
        }
        if let Some(service) = folder.service()
            && remote::is_reachable(&service.address).await
        {
            return Ok(Found::Service(service.address));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(match folder.service() {
        Some(service) => Failure::new(format!(
            "the service of {} (process {}) does not answer at {}",
            folder.path().display(),
            service.pid,
            service.address
        )),
        None => Failure::new(format!(
            "another charter command is at work in {}: try again when it has ended",
            folder.path().display()
        )),
    })
}

fn no_token(folder: &std::path::Path) -> Failure {
    let path = folder.join("operator-token");
    let is_missing = std::fs::symlink_metadata(&path).is_err_and(|error| {
        matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
    });
    if is_missing {
        return Failure::new(format!(
            "no credential: there is no {}, the operator token of the service's data folder. Name that folder with --data, or set \
             CHARTER_TOKEN to an access token or a service token, as for a service on another machine",
            path.display()
        ));
    }
    Failure::new(format!(
        "{} cannot be read: run the command as the account that owns it, or set CHARTER_TOKEN",
        path.display()
    ))
}

/// The operator token leaves this machine for nobody.
fn credential_for(configuration: &Configuration, url: &str) -> Result<Secret> {
    if let Some(token) = &configuration.token {
        return Ok(token.clone());
    }
    if is_loopback(url) {
        let folder = Folder::at(&configuration.data);
        return folder.existing_operator_token().ok_or_else(|| no_token(folder.path()));
    }
    Err(Failure::new(format!(
        "{url} is on another machine: set CHARTER_TOKEN to an access token or a service token"
    )))
}
