//! The writer's thread: waiting writes join one transaction, a savepoint each, and share its durable commit.

use std::{
    cell::Cell,
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{CHECKPOINT, Handle, failure::plain, file::Whereabouts};
use crate::{
    Conn, Error, Tx,
    error::message,
    interference::{Hook, Step},
    wait::block_on,
};

/// How many writes may share one commit: enough for the sync to vanish, few enough that the first does not wait.
const BATCH: usize = 256;

pub(super) enum Command {
    Write(Box<dyn Job>),
    /// Upkeep outside transactions.
    Maintain(String, oneshot::Sender<Result<(), Error>>),
    Close(oneshot::Sender<Result<(), Error>>),
}

/// A write without its types: run inside the batch's transaction, answered after the commit.
pub(super) trait Job: Send {
    /// Whether its changes stay.
    fn run(&mut self, tx: &mut Tx) -> bool;
    fn answer(self: Box<Self>, commit: Result<(), Error>);
}

pub(super) struct Write<F, T, E> {
    f: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Write<F, T, E> {
    pub(super) const fn new(f: F, reply: oneshot::Sender<Result<T, E>>) -> Self {
        Self { f: Some(f), outcome: None, reply }
    }
}

impl<F, T, E> Job for Write<F, T, E>
where
    F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, tx: &mut Tx) -> bool {
        let Some(f) = self.f.take() else { return false };
        if self.reply.is_closed() {
            return false;
        }
        let outcome = match catch_unwind(AssertUnwindSafe(|| block_on(f(tx)))) {
            Ok(Ok(value)) => tx.conn.failed.clone().map_or(Ok(value), |error| Err(error.into())),
            Ok(Err(error)) => Err(error),
            Err(payload) => Err(Error::panicked(&*payload).into()),
        };
        let stays = outcome.is_ok();
        self.outcome = Some(outcome);
        stays
    }

    fn answer(self: Box<Self>, commit: Result<(), Error>) {
        let outcome = match (self.outcome, commit) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(Error::Busy(message("the caller gave up before the write began")).into()),
        };
        // A caller that has gone away has nobody to tell.
        let _gone = self.reply.send(outcome);
    }
}

static NEXT: AtomicU64 = AtomicU64::new(1);
/// What no writer has.
pub(super) const NONE: u64 = u64::MAX;

thread_local! {
    /// Which database the current thread is the writer of.
    static WRITER_OF: Cell<u64> = const { Cell::new(0) };
}

/// Whether the current thread is the writer of the database.
pub(super) fn is_current(identity: u64) -> bool {
    WRITER_OF.get() == identity
}

/// Starts the writer's thread, which holds the lock until its connection is closed. It ends with its queue.
pub(super) fn spawn(
    connection: Connection,
    queue: mpsc::Receiver<Command>,
    lock: File,
    hook: Hook,
    whereabouts: Whereabouts,
) -> Result<(u64, JoinHandle<()>), Error> {
    let identity = NEXT.fetch_add(1, Ordering::Relaxed);
    let runtime = tokio::runtime::Handle::try_current().ok();
    let work = move || {
        WRITER_OF.set(identity);
        let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
        write_loop(connection, queue, lock, hook, &whereabouts);
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the writer's thread; the database joins it when it is dropped"
    )]
    let thread = std::thread::Builder::new().name("charter-db-writer".to_owned()).spawn(work);
    Ok((identity, thread.map_err(|error| Error::Unavailable(Arc::new(error)))?))
}

fn write_loop(
    connection: Connection,
    mut queue: mpsc::Receiver<Command>,
    lock: File,
    hook: Hook,
    whereabouts: &Whereabouts,
) {
    let mut tx = Tx { conn: Conn::sqlite(Handle::Writer(connection), hook) };
    while let Some(command) = queue.blocking_recv() {
        let next = match command {
            Command::Write(job) => write_batch(&mut tx, job, &mut queue, whereabouts),
            other => Some(other),
        };
        match next {
            Some(Command::Maintain(text, reply)) => {
                let outcome =
                    tx.conn.sqlite_connection().and_then(|it| it.execute_batch(&text).map_err(plain));
                // A caller that has gone away does not need the answer.
                let _gone = reply.send(outcome);
            }
            Some(Command::Close(reply)) => {
                queue.close();
                let outcome = step(&tx, CHECKPOINT);
                drop(tx);
                drop(lock);
                let _gone = reply.send(outcome);
                return;
            }
            Some(Command::Write(_)) | None => {}
        }
    }
    // The file is closed first, so that whoever locks it next finds it at rest.
    drop(tx);
    drop(lock);
}

/// Runs the first write and those waiting behind it in one transaction; gives back a command that is no write.
fn write_batch(
    tx: &mut Tx,
    first: Box<dyn Job>,
    queue: &mut mpsc::Receiver<Command>,
    whereabouts: &Whereabouts,
) -> Option<Command> {
    if let Err(error) = whereabouts.require_unmoved().and_then(|()| step(tx, "begin immediate")) {
        first.answer(Err(error));
        return None;
    }
    let mut done: Vec<Box<dyn Job>> = Vec::new();
    let mut next = Some(first);
    let mut other = None;
    let mut lost = None;
    while let Some(mut job) = next.take() {
        tx.conn.failed = None;
        lost = run_one(tx, &mut *job).err();
        done.push(job);
        if lost.is_none() && done.len() < BATCH {
            match queue.try_recv() {
                Ok(Command::Write(job)) => next = Some(job),
                Ok(command) => other = Some(command),
                Err(_) => {}
            }
        }
    }
    let commit = match lost {
        None => commit(tx),
        Some(error) => Err(error),
    };
    if commit.is_err()
        && let Ok(connection) = tx.conn.sqlite_connection()
        && !connection.is_autocommit()
        && let Err(error) = step(tx, "rollback")
    {
        tracing::error!(%error, "a failed batch of writes could not be rolled back");
    }
    let commit = commit.and_then(|()| tx.conn.hook.at(Step::Committed));
    tx.conn.failed = None;
    for job in done {
        job.answer(commit.clone());
    }
    other
}

/// Runs one write under a savepoint. An error means that the whole transaction is gone.
fn run_one(tx: &mut Tx, job: &mut dyn Job) -> Result<(), Error> {
    step(tx, "savepoint one")?;
    let stays = job.run(tx);
    // After errors such as a full disk SQLite may have rolled back everything by itself.
    if tx.conn.sqlite_connection()?.is_autocommit() {
        return Err(tx.conn.failed.take().unwrap_or_else(|| {
            Error::Aborted(message(
                "the transaction ended inside a write, and the writes batched with it are undone",
            ))
        }));
    }
    if !stays {
        step(tx, "rollback to one")?;
    }
    step(tx, "release one")
}

fn commit(tx: &Tx) -> Result<(), Error> {
    tx.conn.hook.at(Step::Commit)?;
    step(tx, "commit")
}

fn step(tx: &Tx, text: &'static str) -> Result<(), Error> {
    let connection = tx.conn.sqlite_connection()?;
    connection.execute_batch(text).map_err(plain)
}
