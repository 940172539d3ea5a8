//! A server of a test's own that speaks as HashiCorp Vault does about one secret of its key/value engine, version 2.

use crate::listening::{self, Listening};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How the server treats a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// Says what it knows to who has the token.
    Open,
    /// Is sealed: 503.
    Sealed,
    /// Accepts connections and says nothing.
    Hangs,
    /// Says this, with status 200.
    Says(String),
    /// Leads elsewhere.
    Redirects,
    /// Lets nobody see the list of versions.
    HidesVersions,
}

/// A version: the fields of the secret as a JSON object; none when it was deleted.
type Versions = Vec<Option<String>>;

impl listening::Mood for Mood {
    fn hangs(&self) -> bool {
        *self == Self::Hangs
    }
}

#[derive(Debug)]
struct Shared {
    versions: Mutex<Versions>,
    requests: Mutex<Vec<String>>,
}

/// A vault; ends when dropped.
#[derive(Debug)]
pub struct Kv {
    server: Listening<Mood>,
    shared: Arc<Shared>,
}

/// The token it lets in.
pub const TOKEN: &str = "hvs.a-token-of-a-test";

impl Kv {
    /// A vault with versions of one secret, oldest first, at `secret/data/charter`.
    #[must_use]
    pub fn start(versions: Versions) -> Self {
        let shared = Arc::new(Shared { versions: Mutex::new(versions), requests: Mutex::default() });
        let inside = Arc::clone(&shared);
        let server = Listening::start(Mood::Open, move |stream, mood, _| answer(stream, mood, &inside));
        Self { server, shared }
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Changes its mood.
    pub fn behave(&self, mood: Mood) {
        self.server.behave(mood);
    }

    /// Writes another version.
    pub fn write(&self, fields: &str) {
        self.shared.versions.lock().unwrap_or_else(PoisonError::into_inner).push(Some(fields.to_owned()));
    }

    /// The first lines of what it was asked.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer(stream: TcpStream, mood: &Mood, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut out = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    let mut line = String::new();
    input.read_line(&mut line)?;
    let mut token = String::new();
    loop {
        let mut header = String::new();
        if input.read_line(&mut header)? == 0 || header == "\r\n" {
            break;
        }
        if let Some((name, value)) = header.trim_end().split_once(": ")
            && name.eq_ignore_ascii_case("x-vault-token")
        {
            token = value.to_owned();
        }
    }
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(line.trim_end().to_owned());
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, body) = match mood {
        Mood::Sealed => (503, r#"{"errors":["Vault is sealed"]}"#.to_owned()),
        Mood::Says(text) => (200, text.clone()),
        Mood::Redirects => (307, String::new()),
        _ if token != TOKEN => (403, r#"{"errors":["permission denied"]}"#.to_owned()),
        Mood::HidesVersions if target.contains("/metadata/") => {
            (403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#.to_owned())
        }
        _ => told(&target, &shared.versions.lock().unwrap_or_else(PoisonError::into_inner)),
    };
    write!(
        out,
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\nlocation: http://192.0.2.1/\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

const AT: &str = "2026-03-22T02:24:06.945319214Z";

fn told(target: &str, versions: &Versions) -> (u16, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let nothing = || (404, r#"{"errors":[]}"#.to_owned());
    match path {
        "/v1/secret/data/charter" => {
            let asked = query.strip_prefix("version=").and_then(|number| number.parse().ok());
            let number: usize = asked.unwrap_or(versions.len());
            match number.checked_sub(1).and_then(|at| versions.get(at)) {
                None => nothing(),
                Some(Some(fields)) => (
                    200,
                    format!(
                        r#"{{"request_id":"a","lease_id":"","renewable":false,"lease_duration":0,"data":{{"data":{fields},"metadata":{{"created_time":"{AT}","custom_metadata":null,"deletion_time":"","destroyed":false,"version":{number}}}}},"wrap_info":null,"warnings":null,"auth":null}}"#
                    ),
                ),
                Some(None) => (
                    404,
                    format!(
                        r#"{{"data":{{"data":null,"metadata":{{"created_time":"{AT}","deletion_time":"{AT}","destroyed":false,"version":{number}}}}}}}"#
                    ),
                ),
            }
        }
        "/v1/secret/metadata/charter" if !versions.is_empty() => {
            let list: Vec<String> = versions
                .iter()
                .zip(1..)
                .map(|(it, number)| {
                    let deleted = if it.is_some() { "" } else { AT };
                    format!(r#""{number}":{{"created_time":"{AT}","deletion_time":"{deleted}","destroyed":false}}"#)
                })
                .collect();
            let (list, newest) = (list.join(","), versions.len());
            (
                200,
                format!(
                    r#"{{"data":{{"created_time":"{AT}","current_version":{newest},"max_versions":0,"versions":{{{list}}}}}}}"#
                ),
            )
        }
        _ => nothing(),
    }
}
