//! Mail: what is written to people, and how it gets to them.
//!
//! A mail is queued in the transaction of the change it tells of (`queue`), so it is sent if and only if the change was made. A job takes
//! what is due (`post.rs`) and hands it to a `Carrier`; a mail server that is away delays mail and loses none. `desk.rs` shows the
//! outbox to those who run the installation. Who is written to, and why, is said in `identity/notice.rs`.

mod desk;
mod post;
mod text;

pub use desk::{MailView, get, list, retry};
pub use post::{deliver_due, purge};
pub(crate) use text::letter as letter_text;
pub use text::{Text, line};

use crate::App;
use crate::vault;
use charter_db::Tx;
use charter_kernel::{MailId, PrincipalId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use std::future::Future;
use std::pin::Pin;

pub use charter_store::mail::MailStatus;

/// A letter as its carrier gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its id: the same at every attempt.
    pub id: MailId,
    /// When it was written.
    pub at: Timestamp,
    /// The address of its reader.
    pub recipient: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a letter was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undelivered {
    /// It may be taken later: the server is away, busy, or does not let us in.
    Later(String),
    /// It will never be taken: the server refused this letter or its reader.
    Never(String),
}

/// How letters leave the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Way {
    /// By a mail server.
    #[default]
    Sent,
    /// Into files of the data folder, where somebody tries things out.
    Kept,
    /// Not at all, until a mail server is configured.
    Waits,
}

/// What a carrier is doing.
pub type Carrying<'a> = Pin<Box<dyn Future<Output = Result<(), Undelivered>> + Send + 'a>>;

/// Takes letters to their readers; the binary chooses one.
pub trait Carrier: Send + Sync {
    /// Takes one letter. Ends within a minute, whatever happens.
    fn carry<'a>(&'a self, letter: &'a Letter) -> Carrying<'a>;
}

/// A mail to be queued.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// What it tells, a word for the list.
    pub kind: &'static str,
    /// Whom it is for; none is somebody who has no account yet.
    pub principal: Option<PrincipalId>,
    /// Their address.
    pub recipient: String,
    /// What it says.
    pub text: Text,
    /// Seconds after which it is of no use.
    pub lasts_seconds: i64,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Content {
    to: String,
    subject: String,
    body: String,
}

/// What a content is sealed under.
fn sealed_as(id: MailId) -> String {
    format!("mail {id}")
}

/// Queues a mail in the transaction of the change it tells of.
pub(crate) async fn queue(app: &App, tx: &mut Tx, draft: Draft, now: Timestamp) -> Result<(), Problem> {
    let id = MailId(app.fresh_id());
    let content = Content { to: draft.recipient, subject: line(&draft.text.subject), body: draft.text.body };
    let plain =
        zeroize::Zeroizing::new(serde_json::to_vec(&content).map_err(|error| {
            Problem::new(ProblemKind::Internal, format!("a mail cannot be kept: {error}"))
        })?);
    let sealed =
        app.identity().sealer().seal(&sealed_as(id), &plain, app.world().random()).map_err(|error| {
            Problem::new(ProblemKind::Internal, format!("a mail cannot be sealed: {error}"))
        })?;
    let new = store::mail::NewMail {
        id,
        kind: draft.kind,
        principal: draft.principal,
        content: &sealed,
        at: now,
        expires_at: now.plus_seconds(draft.lasts_seconds),
    };
    Ok(store::mail::insert(tx, &new).await?)
}

/// What a kept mail says. One that does not open here is tried later: another node may open it.
async fn letter(app: &App, mail: &store::mail::Mail) -> Result<Letter, Undelivered> {
    let never = |why: String| Undelivered::Never(why);
    let sealed = mail.content.as_deref().ok_or_else(|| never("its text is gone".to_owned()))?;
    let plain = vault::open(app, &sealed_as(mail.id), sealed).await.map_err(|error| {
        let why = format!("its text {error}");
        if app.identity().sealer().may_open_elsewhere(sealed) { Undelivered::Later(why) } else { never(why) }
    })?;
    let content: Content =
        serde_json::from_slice(&plain).map_err(|error| never(format!("its text cannot be read: {error}")))?;
    Ok(Letter {
        id: mail.id,
        at: mail.created_at,
        recipient: content.to,
        subject: content.subject,
        body: content.body,
    })
}
