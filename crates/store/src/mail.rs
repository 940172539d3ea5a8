//! Mail on its way. The content is sealed before it comes here.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{MailId, PrincipalId, Timestamp};

use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select mail_id, kind, principal_id, content, status, attempts, next_attempt_at, expires_at, created_at, finished_at, \
             last_error from mail_outbox ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into mail_outbox (mail_id, kind, principal_id, content, status, attempts, next_attempt_at, expires_at, created_at) \
              values ($1, $2, $3, $4, 'queued', 0, $5, $6, $5)";
    GET = select!("where mail_id = $1");
    DUE = select!("where status = 'queued' and next_attempt_at <= $1 order by next_attempt_at, mail_id limit $2");
    PAGE = select!("where mail_id < $1 order by mail_id desc limit $2");
    PAGE_OF_STATUS = select!("where status = $2 and mail_id < $1 order by mail_id desc limit $3");
    TAKE = "update mail_outbox set attempts = attempts + 1, next_attempt_at = $3 \
            where mail_id = $1 and status = 'queued' and attempts = $2";
    POSTPONE = "update mail_outbox set next_attempt_at = $3, last_error = $4 where mail_id = $1 and attempts = $2 and status = 'queued'";
    FINISH = "update mail_outbox set status = $3, finished_at = $4, last_error = $5 where mail_id = $1 and attempts = $2 and status = 'queued'";
    FINISH_AND_FORGET = "update mail_outbox set status = $3, finished_at = $4, last_error = $5, content = null \
                         where mail_id = $1 and attempts = $2 and status = 'queued'";
    AGAIN = "update mail_outbox set status = 'queued', attempts = 0, next_attempt_at = $2, finished_at = null \
             where mail_id = $1 and status in ('queued', 'failed') and content is not null";
    PURGE = "delete from mail_outbox where finished_at < $1";
}

/// Where a mail is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailStatus {
    /// It waits, or is being sent.
    Queued,
    /// A mail server took it.
    Sent,
    /// Nobody took it, and nothing tries any more.
    Failed,
    /// It was not sent while it was of use.
    Expired,
}

impl MailStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Queued, Self::Sent, Self::Failed, Self::Expired];

    /// The word used on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    /// The status a word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// A mail to be queued.
#[derive(Debug, Clone)]
pub struct NewMail<'a> {
    /// Its id.
    pub id: MailId,
    /// What it tells.
    pub kind: &'a str,
    /// To whom; none is somebody who has no account yet.
    pub principal: Option<PrincipalId>,
    /// Recipient, subject and text, sealed.
    pub content: &'a [u8],
    /// When it was queued.
    pub at: Timestamp,
    /// From here on it is of no use.
    pub expires_at: Timestamp,
}

/// A mail in the outbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its id.
    pub id: MailId,
    /// What it tells.
    pub kind: String,
    /// To whom; none is somebody who has no account yet.
    pub principal: Option<PrincipalId>,
    /// Recipient, subject and text, sealed, while somebody may need them.
    pub content: Option<Vec<u8>>,
    /// Where it is on its way.
    pub status: MailStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next_attempt_at: Timestamp,
    /// From here on it is of no use.
    pub expires_at: Timestamp,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it was sent or given up.
    pub finished_at: Option<Timestamp>,
    /// What went wrong the last time.
    pub last_error: Option<String>,
}

impl core::fmt::Debug for Mail {
    /// Everything but the content.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Mail")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("status", &self.status)
            .finish()
    }
}

fn mail(row: RowRef<'_>) -> Result<Mail> {
    Ok(Mail {
        id: MailId(row.get_id(0)?),
        kind: row::text(row, 1)?,
        principal: row.get_opt_id(2)?.map(PrincipalId),
        content: row.get_opt_bytes(3)?.map(<[u8]>::to_vec),
        status: row::word(row, 4, MailStatus::from_word)?,
        attempts: row.get(5)?,
        next_attempt_at: row::time(row, 6)?,
        expires_at: row::time(row, 7)?,
        created_at: row::time(row, 8)?,
        finished_at: row::opt_time(row, 9)?,
        last_error: row::opt_text(row, 10)?,
    })
}

/// Queues a mail.
pub async fn insert(tx: &mut Tx, mail: &NewMail<'_>) -> Result<()> {
    let it = mail;
    tx.execute(&INSERT, params![it.id, it.kind, it.principal, it.content, it.at, it.expires_at]).await?;
    Ok(())
}

/// The mail with this id.
pub async fn get(conn: &mut Conn, id: MailId) -> Result<Option<Mail>> {
    row::opt(conn, &GET, params![id], mail).await
}

/// Mails that may be tried at an instant, those that wait the longest first.
pub async fn due(conn: &mut Conn, now: Timestamp, limit: u32) -> Result<Vec<Mail>> {
    row::list(conn, &DUE, params![now, limit], mail).await
}

/// Mails below an id, newest first, of one status or of all.
pub async fn page(
    conn: &mut Conn,
    below: MailId,
    status: Option<MailStatus>,
    limit: u32,
) -> Result<Page<Mail>> {
    match status {
        None => row::page(conn, &PAGE, params![below], limit, mail).await,
        Some(status) => row::page(conn, &PAGE_OF_STATUS, params![below, status.as_str()], limit, mail).await,
    }
}

/// Takes a mail that was tried so often before, for one sender: nobody else takes it until an instant. False when another was first.
pub async fn take(tx: &mut Tx, id: MailId, attempts: u32, until: Timestamp) -> Result<bool> {
    Ok(tx.execute(&TAKE, params![id, attempts, until]).await? > 0)
}

/// Puts a taken mail back until an instant.
pub async fn postpone(tx: &mut Tx, id: MailId, attempts: u32, next: Timestamp, error: &str) -> Result<bool> {
    Ok(tx.execute(&POSTPONE, params![id, attempts, next, error]).await? > 0)
}

/// Ends a mail's way. The content of one that failed is kept, so that it can be tried again; any other's is forgotten.
pub async fn finish(
    tx: &mut Tx,
    id: MailId,
    attempts: u32,
    status: MailStatus,
    now: Timestamp,
    error: Option<&str>,
) -> Result<bool> {
    let statement = if status == MailStatus::Failed { &FINISH } else { &FINISH_AND_FORGET };
    Ok(tx.execute(statement, params![id, attempts, status.as_str(), now, error]).await? > 0)
}

/// Queues a mail anew, to be tried at once; false when there is nothing left to send.
pub async fn again(tx: &mut Tx, id: MailId, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&AGAIN, params![id, now]).await? > 0)
}

/// Forgets mails whose way ended before a time.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}
