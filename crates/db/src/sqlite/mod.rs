//! SQLite: one writer on its own thread, which lets waiting writes share a durable commit, and a few readers.

mod failure;
mod file;
mod rows;
mod writer;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use futures_util::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use self::{
    failure::Failure,
    file::Whereabouts,
    rows::{bind, names_of, owned, query},
    writer::{Command, Write},
};
pub(crate) use self::{failure::plain, rows::cell};
use crate::{
    Conn, Error, Lend, Options, Row, RowRef, Tx, Value,
    error::message,
    interference::Hook,
    row::{Names, Source},
    wait::block_on,
};

/// Moves the log into the file.
pub(crate) const CHECKPOINT: &str = "pragma wal_checkpoint(truncate)";

pub(crate) struct Sqlite {
    identity: u64,
    hook: Hook,
    whereabouts: Whereabouts,
    readers: Arc<Readers>,
    queue: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    _folder: Option<tempfile::TempDir>,
}

/// The process that had a file open last, or has it.
pub(crate) fn holder(path: &str) -> Option<u32> {
    file::holder(Path::new(path))
}

struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    fn of(options: &Options, path: &Path) -> Result<Arc<Self>, Error> {
        let size = options.pool_size.clamp(1, 64);
        let mut idle = Vec::with_capacity(size);
        for _ in 0..size {
            idle.push(file::connect(path, true)?);
        }
        Ok(Arc::new(Self { idle: Mutex::new(idle), permits: Arc::new(Semaphore::new(size)) }))
    }
}

/// A reader on loan; it goes back without its transaction.
pub(crate) struct Reader {
    connection: Option<Connection>,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    fn connection(&self) -> Result<&Connection, Error> {
        self.connection.as_ref().ok_or_else(closed)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let clean = connection.is_autocommit() || connection.execute_batch("rollback").is_ok();
            if clean && !self.readers.permits.is_closed() {
                self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            }
        }
    }
}

/// The connection beneath a [`Conn`]: the writer's own, or a reader on loan.
pub(crate) enum Handle {
    Writer(Connection),
    Reader(Reader),
}

impl Handle {
    fn connection(&self) -> Result<&Connection, Error> {
        match self {
            Self::Writer(connection) => Ok(connection),
            Self::Reader(reader) => reader.connection(),
        }
    }

    pub(crate) fn query(&self, text: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        query(self.connection()?, text, params)
    }

    pub(crate) fn execute(&self, text: &str, params: &[Value]) -> Result<u64, Error> {
        let connection = self.connection()?;
        let run = || {
            let mut statement = connection.prepare_cached(text)?;
            bind(&mut statement, params)?;
            Ok(statement.raw_execute()? as u64)
        };
        run().map_err(|failure: Failure| failure.explain(connection))
    }

    pub(crate) fn for_each(&self, text: &str, params: &[Value], lend: Lend<'_>) -> Result<(), Error> {
        let connection = self.connection()?;
        let mut run = || {
            let mut statement = connection.prepare_cached(text)?;
            bind(&mut statement, params)?;
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                if !lend(RowRef(Source::Sqlite(row))) {
                    break;
                }
            }
            Ok(())
        };
        run().map_err(|failure: Failure| failure.explain(connection))
    }

    pub(crate) fn batch(&self, text: &str) -> Result<(), Error> {
        let connection = self.connection()?;
        connection.execute_batch(text).map_err(|error| Failure::Driver(error).explain(connection))
    }
}

impl Sqlite {
    pub(crate) fn open(options: &Options, path: &str) -> Result<Self, Error> {
        let memory = path == ":memory:";
        let folder = if memory {
            Some(tempfile::tempdir().map_err(|error| Error::Unavailable(Arc::new(error)))?)
        } else {
            None
        };
        let written =
            folder.as_ref().map_or_else(|| PathBuf::from(path), |folder| folder.path().join("memory.db"));
        let path = file::one_name(&written)?;
        let lock = file::lock(&path)?;
        file::create_private(&path)?;
        let connection = file::connect(&path, false)?;
        file::prepare_writer(&connection, options, memory)
            .map_err(|error| Failure::Driver(error).explain(&connection))?;

        let readers = Readers::of(options, &path)?;
        let hook = Hook(options.interference.clone());
        let whereabouts = Whereabouts::of(&path, &written)?;
        let (sender, queue) = mpsc::channel(options.write_queue.max(1));
        let (identity, thread) = writer::spawn(connection, queue, lock, hook.clone(), whereabouts.clone())?;
        Ok(Self {
            identity,
            hook,
            whereabouts,
            readers,
            queue: Some(sender),
            thread: Some(thread),
            _folder: folder,
        })
    }

    /// A file to which another process may be writing, for reading alone: it is not made, and its lock is left to whoever has it.
    pub(crate) fn open_to_read(options: &Options, path: &str) -> Result<Self, Error> {
        let written = PathBuf::from(path);
        let path = file::one_name(&written)?;
        Ok(Self {
            identity: writer::NONE,
            hook: Hook(options.interference.clone()),
            whereabouts: Whereabouts::of(&path, &written)?,
            readers: Readers::of(options, &path)?,
            queue: None,
            thread: None,
            _folder: None,
        })
    }

    async fn reader(&self) -> Result<Reader, Error> {
        self.whereabouts.require_unmoved()?;
        let permits = Arc::clone(&self.readers.permits);
        let permit = match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => permits.acquire_owned().await.map_err(|_| closed())?,
        };
        let connection = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = Some(connection.ok_or_else(closed)?);
        Ok(Reader { connection, readers: Arc::clone(&self.readers), _permit: permit })
    }

    /// A short read, on the calling thread: it takes some microseconds, fewer than handing it to another thread.
    pub(crate) async fn query(&self, text: &'static str, params: &[Value]) -> Result<Vec<Row>, Error> {
        query(self.reader().await?.connection()?, text, params)
    }

    /// Rows decoded on a reader thread and sent over in chunks.
    pub(crate) async fn stream(
        &self,
        text: &'static str,
        params: &[Value],
    ) -> Result<mpsc::Receiver<Result<Vec<Row>, Error>>, Error> {
        let reader = Handle::Reader(self.reader().await?);
        let params = params.to_vec();
        let (sender, receiver) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            const CHUNK: usize = 256;
            let mut chunk = Vec::with_capacity(CHUNK);
            let mut names: Option<Names> = None;
            let mut wrong = None;
            let done = reader.for_each(text, &params, &mut |row| {
                let Source::Sqlite(row) = row.0 else { return false };
                let names = names.get_or_insert_with(|| names_of(row.as_ref()));
                match owned(row, names) {
                    Ok(row) => chunk.push(row),
                    Err(error) => wrong = Some(error),
                }
                if chunk.len() == CHUNK {
                    let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
                    return wrong.is_none() && sender.blocking_send(Ok(full)).is_ok();
                }
                wrong.is_none()
            });
            let done = done.and(wrong.map_or(Ok(()), Err));
            // A receiver that has gone away needs no more rows.
            let _gone = sender.blocking_send(done.map(|()| chunk));
        });
        Ok(receiver)
    }

    pub(crate) async fn read<F, T, E>(&self, f: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reader, hook) = (self.reader().await?, self.hook.clone());
        let work = move || {
            reader.connection()?.execute_batch("begin deferred").map_err(plain)?;
            let mut conn = Conn::sqlite(Handle::Reader(reader), hook);
            match catch_unwind(AssertUnwindSafe(|| block_on(f(&mut conn)))) {
                Ok(outcome) => outcome,
                Err(payload) => Err(Error::panicked(&*payload).into()),
            }
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(error) => Err(Error::Unavailable(Arc::new(error)).into()),
        }
    }

    pub(crate) async fn write<F, T, E>(&self, f: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        if writer::is_current(self.identity) {
            return Err(Error::Statement("a write inside a write would wait for itself".to_owned()).into());
        }
        let (reply, answer) = oneshot::channel();
        self.send(Command::Write(Box::new(Write::new(f, reply))))?;
        answer.await.unwrap_or_else(|_| Err(closed().into()))
    }

    pub(crate) async fn maintain(&self, text: &str) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Maintain(text.to_owned(), reply))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    pub(crate) async fn close(&self) -> Result<(), Error> {
        self.readers.permits.close();
        self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let (reply, answer) = oneshot::channel();
        let Some(queue) = &self.queue else { return Ok(()) };
        if queue.send(Command::Close(reply)).await.is_err() {
            return Ok(());
        }
        answer.await.unwrap_or(Ok(()))
    }

    /// Whether the writer still lives.
    pub(crate) fn ping(&self) -> Result<(), Error> {
        match &self.queue {
            Some(queue) if !queue.is_closed() => Ok(()),
            _ => Err(closed()),
        }
    }

    fn send(&self, command: Command) -> Result<(), Error> {
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.try_send(command).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Busy(message("too many writes are waiting")),
            mpsc::error::TrySendError::Closed(_) => closed(),
        })
    }
}

impl Drop for Sqlite {
    /// Waits for the writer, so that the file is closed and unlocked when the last handle is gone.
    fn drop(&mut self) {
        self.queue = None;
        self.readers.permits.close();
        self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if !writer::is_current(self.identity)
            && let Some(thread) = self.thread.take()
        {
            // A writer that panicked has closed its files as well.
            let _panicked: Result<(), Box<dyn Any + Send>> = thread.join();
        }
    }
}

impl Conn {
    fn sqlite_connection(&self) -> Result<&Connection, Error> {
        match &self.inner {
            crate::Inner::Sqlite(handle) => handle.connection(),
            crate::Inner::Postgres(_) => Err(closed()),
        }
    }
}

fn closed() -> Error {
    Error::Unavailable(message("the database has been closed"))
}
