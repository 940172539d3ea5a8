//! The passwords of the other system's users, read beside what they are for.

use super::desk::send;
use super::legacy::{self, Looking};
use crate::client::{Call, Client};
use crate::failure::{Failure, Result};
use charter_app::identity::adopted_hash::AdoptedHash;
use charter_kernel::Key;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::path::Path;
use tokio::sync::mpsc;

/// Users whose passwords are read ahead.
const AHEAD: usize = 4_096;

/// Users of one question.
const ASKED: usize = 5_000;

/// A user's id, and the hash of the password where it is one that is known.
pub struct Password {
    id: String,
    /// As it stands there.
    pub hash: Option<String>,
    /// Whether the service hashes it once more.
    pub is_weak: bool,
}

/// Passwords that were read, in a file that nobody else sees and that is gone with this process: the other system is not looked at while accounts
/// are written.
pub struct Kept(BufReader<File>);

impl Kept {
    /// Reads them all.
    pub async fn read(looking: Looking, data: &Path) -> Result<Self> {
        let wrong = |error: io::Error| {
            Failure::new(format!(
                "passwords cannot be kept in {} until they are written: {error}",
                data.display()
            ))
        };
        let place = data.ancestors().find(|folder| folder.is_dir());
        let file = place.map_or_else(tempfile::tempfile, tempfile::tempfile_in).map_err(wrong)?;
        let mut lines = BufWriter::new(file);
        let mut passwords = read(looking)?;
        while let Some(Password { id, hash, is_weak }) = passwords.recv().await.transpose()? {
            serde_json::to_writer(&mut lines, &(id, hash, is_weak)).map_err(|error| wrong(error.into()))?;
            lines.write_all(b"\n").map_err(wrong)?;
        }
        let mut file = lines.into_inner().map_err(|error| wrong(error.into_error()))?;
        file.rewind().map_err(wrong)?;
        Ok(Self(BufReader::new(file)))
    }

    /// A user's password; rows between that belong to nobody who comes over are passed by.
    pub fn of(&mut self, user: &str) -> Result<Password> {
        let wrong =
            |error: io::Error| Failure::new(format!("passwords that were kept cannot be read: {error}"));
        let mut line = String::new();
        loop {
            line.clear();
            if self.0.read_line(&mut line).map_err(wrong)? == 0 {
                return Err(Failure::new("the users were not read as they were before: make the plan again"));
            }
            let (id, hash, is_weak) = serde_json::from_str(&line).map_err(|error| wrong(error.into()))?;
            let password = Password { id, hash, is_weak };
            if password.id == user {
                return Ok(password);
            }
        }
    }
}

/// Reads ids and hashes, in the order and the state in which the users were read before. On a thread of its own: a file is read without
/// a pause.
fn read(mut looking: Looking) -> Result<mpsc::Receiver<Result<Password>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let handle = tokio::runtime::Handle::current();
    let work = move || {
        let _inside = handle.enter();
        let mut each = |id: &str, hash: Option<&str>| {
            let known = hash.and_then(|hash| Some((hash, AdoptedHash::parse(hash).ok()?)));
            let password = Password {
                id: id.to_owned(),
                is_weak: known.as_ref().is_some_and(|(_, known)| known.is_weak()),
                hash: known.map(|(hash, _)| hash.to_owned()),
            };
            let gone = || charter_db::Error::Statement("nobody waits for the users any more".to_owned());
            sender.blocking_send(Ok(password)).map_err(|_| gone())
        };
        if let Err(error) = futures_executor::block_on(looking.passwords(&mut each)) {
            let _ = sender.blocking_send(Err(legacy::broken_off(error)));
        }
    };
    let thread = std::thread::Builder::new().name("legacy".to_owned());
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the last user, or when nobody waits for them any more"
    )]
    thread.spawn(work).map_err(|error| Failure::new(format!("no thread to read with: {error}")))?;
    Ok(receiver)
}

/// How many passwords changed there since runs took them over, that a run would follow.
pub async fn changed(client: &Client, source: &Key, looking: Looking) -> Result<u64> {
    let mut passwords = read(looking)?;
    let (mut changed, mut batch) = (0, Vec::new());
    loop {
        let password = passwords.recv().await.transpose()?;
        let is_over = password.is_none();
        let found = password.and_then(|it| Some((it.id, it.hash?)));
        batch.extend(found.map(|(id, hash)| json!({ "legacy_id": id, "password_hash": hash })));
        if batch.len() >= ASKED || (is_over && !batch.is_empty()) {
            let body = json!({ "source": source, "users": std::mem::take(&mut batch) });
            let call = Call::new("POST", "/api/v1/adoption/passwords").json(&body);
            let answer = send(client, &call).await?.json()?;
            changed += answer.get("changed").and_then(Value::as_u64).unwrap_or(0);
        }
        if is_over {
            return Ok(changed);
        }
    }
}
