//! The passwords of the other system's users, read beside what they are for.

use super::desk::send;
use super::legacy::{self, Looking};
use crate::client::{Call, Client};
use crate::failure::{Failure, Result};
use charter_app::identity::adopted_hash::AdoptedHash;
use charter_kernel::Key;
use serde_json::{Value, json};
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

/// Reads ids and hashes, in the order and the state in which the users were read before. On a thread of its own: a file is read without
/// a pause.
pub fn read(mut looking: Looking) -> Result<mpsc::Receiver<Result<Password>>> {
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
            let _ = sender.blocking_send(Err(legacy::failed(error)));
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

/// A user's password; rows between that belong to nobody who comes over are passed by.
pub async fn of(passwords: &mut mpsc::Receiver<Result<Password>>, id: &str) -> Result<Password> {
    loop {
        let missing = || Failure::new("the users were not read as they were before: make the plan again");
        let password = passwords.recv().await.ok_or_else(missing)??;
        if password.id == id {
            return Ok(password);
        }
    }
}
