//! Hashes by a pepper that is being replaced, made anew when their secret is shown: only its bearer has it. A check of a key never waits
//! for it; what was seen is written in the next round.

use crate::App;
use crate::audit;
use crate::identity::credential_text::{Presented, TokenRecord};
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{CredentialId, OauthClientId, OrganizationId, Problem, ProblemKind, SessionId};
use charter_store as store;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use store::oauth_client::OauthClient;

/// Most that wait for the next round; those beyond are seen again when they are used again.
const WAITING_MAX: usize = 5_000;
/// Most in one transaction.
const BATCH: usize = 500;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Whose {
    Credential(OrganizationId, CredentialId),
    Client(OrganizationId, OauthClientId),
    /// The secret it had before.
    Previous(OrganizationId, OauthClientId),
    Cookie(SessionId),
}

#[derive(Clone)]
struct Rehash {
    /// Under which this node remembers a credential.
    key_id: Option<String>,
    /// Of a cookie none: a session has one only.
    old: Vec<u8>,
    new: [u8; 32],
    version: u32,
}

/// Hashes that wait to be written.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashMap<Whose, Rehash>>);

impl Waiting {
    fn put(&self, whose: Whose, rehash: Rehash) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < WAITING_MAX {
            waiting.insert(whose, rehash);
        }
    }
}

/// A node whose clock is behind hashes nothing back to an older version.
fn is_older(version: Option<u32>, current: u32) -> bool {
    version.is_none_or(|version| version < current)
}

/// An API key or service token was shown whose hash an older pepper made.
pub(crate) fn note_credential(app: &App, record: &TokenRecord, presented: Presented<'_>) {
    let identity = app.identity();
    if !is_older(record.pepper_version, identity.pepper().version()) || record.hash.is_empty() {
        return;
    }
    let (version, new) = identity.pepper().stamped_token(presented.text());
    let (key_id, old) = (Some(presented.id.to_owned()), record.hash.clone());
    let whose = Whose::Credential(record.organization, record.credential);
    identity.vault().waiting.put(whose, Rehash { key_id, old, new, version });
}

/// The secret of an OAuth client was shown whose hash an older pepper made.
pub(crate) fn note_client(app: &App, client: &OauthClient, secret: &str) {
    let whose = Whose::Client(client.organization, client.id);
    note_secret(app, whose, client.secret_hash.as_deref(), client.pepper_version, secret);
}

/// The same of the secret that one had before.
pub(crate) fn note_previous(app: &App, client: &OauthClient, secret: &str) {
    let whose = Whose::Previous(client.organization, client.id);
    note_secret(app, whose, client.previous_secret_hash.as_deref(), client.previous_pepper_version, secret);
}

fn note_secret(app: &App, whose: Whose, old: Option<&[u8]>, by: Option<u32>, secret: &str) {
    let identity = app.identity();
    let Some(old) = old.filter(|_| is_older(by, identity.pepper().version())) else { return };
    let (version, new) = identity.pepper().stamped_client_secret(secret);
    identity.vault().waiting.put(whose, Rehash { key_id: None, old: old.to_vec(), new, version });
}

/// A browser showed a cookie whose hash an older pepper made.
pub(crate) fn note_cookie(app: &App, session: SessionId, by: Option<u32>, cookie: &str) {
    let identity = app.identity();
    if is_older(by, identity.pepper().version()) {
        let (version, new) = identity.pepper().stamped_cookie(cookie);
        let rehash = Rehash { key_id: None, old: Vec::new(), new, version };
        identity.vault().waiting.put(Whose::Cookie(session), rehash);
    }
}

/// Writes what waits. What cannot be written waits on.
pub(super) async fn flush(app: &App) {
    let waiting = &app.identity().vault().waiting;
    let all: Vec<(Whose, Rehash)> =
        waiting.0.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
    for batch in all.chunks(BATCH) {
        match write(app, batch.to_vec()).await {
            Err(problem) if problem.kind != ProblemKind::Taken => {
                tracing::warn!(%problem, "hashes by the new pepper could not be written: they wait on");
                batch.iter().for_each(|(whose, rehash)| waiting.put(*whose, rehash.clone()));
            }
            // Written here or by another node: what this node remembers has the old hash.
            _ => batch.iter().for_each(|(whose, rehash)| match (whose, &rehash.key_id) {
                (Whose::Cookie(session), _) => app.identity().forget_session(*session),
                (_, Some(key_id)) => app.identity().forget_credential(key_id),
                _ => {}
            }),
        }
    }
}

async fn write(app: &App, batch: Vec<(Whose, Rehash)>) -> Result<(), Problem> {
    let (platform, now) = (app.platform(), app.now());
    let Some(version) = batch.first().map(|(_, rehash)| rehash.version) else { return Ok(()) };
    let mut event =
        audit::system_event("vault", platform, now, "pepper.rehash", "pepper", version.to_string());
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let (mut credentials, mut clients, mut sessions) = (0u64, 0u64, 0u64);
            for (whose, it) in &batch {
                let (tx, old, new, version) = (transaction.tx(), &it.old, &it.new, it.version);
                match *whose {
                    Whose::Credential(organization, id) => {
                        let done = store::vault::rehash_credential(tx, organization, id, old, new, version);
                        credentials += u64::from(done.await?);
                    }
                    Whose::Client(organization, id) => {
                        let done = store::vault::rehash_client(tx, organization, id, old, new, version);
                        clients += u64::from(done.await?);
                    }
                    Whose::Previous(organization, id) => {
                        let done = store::vault::rehash_previous(tx, organization, id, old, new, version);
                        clients += u64::from(done.await?);
                    }
                    Whose::Cookie(session) => {
                        let done = store::session::rehash(tx, session, new, version);
                        sessions += u64::from(done.await?);
                    }
                }
            }
            if credentials + clients + sessions == 0 {
                return Err(Problem::new(ProblemKind::Taken, "another node has hashed them"));
            }
            let counted =
                serde_json::json!({ "credentials": credentials, "clients": clients, "sessions": sessions });
            event.after = Some(counted.to_string());
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await
    .map(drop)
}
