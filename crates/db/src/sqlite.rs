//! SQLite: one writer on its own thread, which lets waiting writes share a durable commit, and a few readers.

use std::{
    any::Any,
    cell::Cell as ThreadCell,
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read, Write as _},
    os::unix::fs::OpenOptionsExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use futures_util::future::BoxFuture;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig, types::ValueRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    Cell, Conn, Error, Lend, Options, Row, RowRef, Tx, Value,
    error::message,
    row::{Names, Source},
    wait::block_on,
};

/// How many writes may share one commit: enough for the sync to vanish, few enough that the first does not wait.
const BATCH: usize = 256;

/// Moves the log into the file.
pub(crate) const CHECKPOINT: &str = "pragma wal_checkpoint(truncate)";

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 512;

pub(crate) struct Sqlite {
    identity: u64,
    readers: Arc<Readers>,
    queue: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    _folder: Option<tempfile::TempDir>,
}

enum Command {
    Write(Box<dyn Job>),
    /// Upkeep outside transactions.
    Maintain(String, oneshot::Sender<Result<(), Error>>),
    Close(oneshot::Sender<Result<(), Error>>),
}

/// A write without its types: run inside the batch's transaction, answered after the commit.
trait Job: Send {
    /// Whether its changes stay.
    fn run(&mut self, tx: &mut Tx) -> bool;
    fn answer(self: Box<Self>, commit: Result<(), Error>);
}

struct Write<F, T, E> {
    f: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
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

struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
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

static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// Which database the current thread is the writer of.
    static WRITER_OF: ThreadCell<u64> = const { ThreadCell::new(0) };
}

impl Sqlite {
    pub(crate) fn open(options: &Options, path: &str) -> Result<Self, Error> {
        let memory = path == ":memory:";
        let folder = if memory {
            Some(tempfile::tempdir().map_err(|error| Error::Unavailable(Arc::new(error)))?)
        } else {
            None
        };
        let path =
            folder.as_ref().map_or_else(|| PathBuf::from(path), |folder| folder.path().join("memory.db"));
        let lock = lock(&path)?;
        create_private(&path)?;
        let connection = connect(&path, false)?;
        prepare_writer(&connection, options, memory)
            .map_err(|error| Failure::Driver(error).explain(&connection))?;

        let size = options.pool_size.clamp(1, 64);
        let mut idle = Vec::with_capacity(size);
        for _ in 0..size {
            idle.push(connect(&path, true)?);
        }
        let readers = Arc::new(Readers { idle: Mutex::new(idle), permits: Arc::new(Semaphore::new(size)) });
        let (sender, queue) = mpsc::channel(options.write_queue.max(1));
        let identity = NEXT.fetch_add(1, Ordering::Relaxed);
        let runtime = tokio::runtime::Handle::try_current().ok();
        let thread = std::thread::Builder::new()
            .name("charter-db-writer".to_owned())
            .spawn(move || {
                WRITER_OF.set(identity);
                let _entered = runtime.as_ref().map(tokio::runtime::Handle::enter);
                write_loop(connection, queue);
                drop(lock);
            })
            .map_err(|error| Error::Unavailable(Arc::new(error)))?;
        Ok(Self { identity, readers, queue: Some(sender), thread: Some(thread), _folder: folder })
    }

    async fn reader(&self) -> Result<Reader, Error> {
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
        let reader = self.reader().await?;
        let work = move || {
            reader.connection()?.execute_batch("begin deferred").map_err(plain)?;
            let mut conn = Conn::sqlite(Handle::Reader(reader));
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
        if WRITER_OF.get() == self.identity {
            return Err(Error::Statement("a write inside a write would wait for itself".to_owned()).into());
        }
        let (reply, answer) = oneshot::channel();
        self.send(Command::Write(Box::new(Write { f: Some(f), outcome: None, reply })))?;
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
        if WRITER_OF.get() != self.identity
            && let Some(thread) = self.thread.take()
        {
            // A writer that panicked has closed its files as well.
            let _panicked: Result<(), Box<dyn Any + Send>> = thread.join();
        }
    }
}

fn write_loop(connection: Connection, mut queue: mpsc::Receiver<Command>) {
    let mut tx = Tx { conn: Conn::sqlite(Handle::Writer(connection)) };
    while let Some(command) = queue.blocking_recv() {
        let next = match command {
            Command::Write(job) => write_batch(&mut tx, job, &mut queue),
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
                let _gone = reply.send(outcome);
                return;
            }
            Some(Command::Write(_)) | None => {}
        }
    }
}

/// Runs the first write and those waiting behind it in one transaction; gives back a command that is no write.
fn write_batch(tx: &mut Tx, first: Box<dyn Job>, queue: &mut mpsc::Receiver<Command>) -> Option<Command> {
    if let Err(error) = step(tx, "begin immediate") {
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
        None => step(tx, "commit"),
        Some(error) => Err(error),
    };
    if commit.is_err()
        && let Ok(connection) = tx.conn.sqlite_connection()
        && !connection.is_autocommit()
        && let Err(error) = step(tx, "rollback")
    {
        tracing::error!(%error, "a failed batch of writes could not be rolled back");
    }
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

fn step(tx: &Tx, text: &'static str) -> Result<(), Error> {
    let connection = tx.conn.sqlite_connection()?;
    connection.execute_batch(text).map_err(plain)
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

/// Takes the file beside the database that says which process writes to it.
fn lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map_err(|error| {
            Error::Config(format!("the database folder cannot be used: {}: {error}", name.display()))
        })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let whose = match file.read_to_string(&mut pid) {
                Ok(_) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
                _ => "another process".to_owned(),
            };
            return Err(Error::Busy(message(format!("{} is in use by Charter, {whose}", path.display()))));
        }
        Err(TryLockError::Error(error)) => return Err(Error::Unavailable(Arc::new(error))),
    }
    file.set_len(0)
        .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()))
        .map_err(|error| io_failure(error, &name))?;
    Ok(file)
}

/// Creates the file readable for its owner alone; SQLite gives its companions the same mode.
fn create_private(path: &Path) -> Result<(), Error> {
    if fs::exists(path).map_err(|error| io_failure(error, path))? {
        return Ok(());
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(io_failure(error, path)),
    }
}

fn io_failure(error: std::io::Error, path: &Path) -> Error {
    let kind = error.kind();
    let text = message(format!("{}: {error}", path.display()));
    match kind {
        std::io::ErrorKind::StorageFull => Error::Full(text),
        std::io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly(text),
        _ => Error::Unavailable(text),
    }
}

fn connect(path: &Path, read_only: bool) -> Result<Connection, Error> {
    let mode = if read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let connection =
        Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(plain)?;
    let settle = || {
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        // Without these, a misspelt column in double quotes is a text.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        connection.execute_batch(
            "pragma foreign_keys = on; pragma temp_store = memory; pragma cache_size = -16000; pragma cell_size_check = on;",
        )
    };
    settle().map_err(plain)?;
    if read_only {
        connection.execute_batch("pragma query_only = on").map_err(plain)?;
    }
    Ok(connection)
}

fn prepare_writer(connection: &Connection, options: &Options, memory: bool) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", if options.durable && !memory { "full" } else { "off" })?;
    connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    if let Some(pages) = options.max_pages {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    // Reads the first page, so that a file that is no database is refused now.
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
}

fn query(connection: &Connection, text: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
    let run = || {
        let mut statement = connection.prepare_cached(text)?;
        bind(&mut statement, params)?;
        let names = names_of(&statement);
        let mut found = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            found.push(owned(row, &names)?);
        }
        Ok(found)
    };
    run().map_err(|failure: Failure| failure.explain(connection))
}

fn names_of(statement: &rusqlite::Statement<'_>) -> Names {
    let mut names = String::with_capacity(64);
    for name in statement.column_names() {
        names.push_str(name);
        names.push('\n');
    }
    names.into()
}

fn owned(row: &rusqlite::Row<'_>, names: &Names) -> Result<Row, Error> {
    let count = row.as_ref().column_count();
    let mut values = Vec::with_capacity(count);
    for index in 0..count {
        values.push(cell(row, index)?.to_value());
    }
    Ok(Row { values, names: Arc::clone(names) })
}

#[inline]
pub(crate) fn cell<'a>(row: &'a rusqlite::Row<'_>, index: usize) -> Result<Cell<'a>, Error> {
    match row.get_ref(index) {
        Ok(ValueRef::Null) => Ok(Cell::Null),
        Ok(ValueRef::Integer(i)) => Ok(Cell::Int(i)),
        Ok(ValueRef::Blob(bytes)) => Ok(Cell::Bytes(bytes)),
        Ok(ValueRef::Text(text)) => std::str::from_utf8(text).map(Cell::Text).map_err(|_| Error::Column {
            column: row.as_ref().column_name(index).unwrap_or("?").to_owned(),
            message: "the text is not UTF-8".to_owned(),
        }),
        Ok(ValueRef::Real(_)) => Err(Error::Column {
            column: row.as_ref().column_name(index).unwrap_or("?").to_owned(),
            message: "a floating point number was found, and sums must be exact".to_owned(),
        }),
        Err(_) => Err(crate::row::absent(index)),
    }
}

/// Binds `$n` to the n-th parameter; to SQLite itself `$2` is only a name.
fn bind(statement: &mut rusqlite::Statement<'_>, params: &[Value]) -> Result<(), Failure> {
    let mut highest = 0;
    for place in 1..=statement.parameter_count() {
        let number: usize = statement
            .parameter_name(place)
            .and_then(|name| name.strip_prefix('$'))
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| Error::Statement("a parameter is not written as $1, $2, ...".to_owned()))?;
        highest = highest.max(number);
        let index = number.wrapping_sub(1);
        let value = params.get(index).ok_or_else(|| {
            Error::Statement(format!("parameter ${number} is missing, {} given", params.len()))
        })?;
        value.check(index)?;
        match value {
            Value::Null => statement.raw_bind_parameter(place, rusqlite::types::Null),
            Value::Bool(b) => statement.raw_bind_parameter(place, i64::from(*b)),
            Value::Int(i) | Value::Time(i) => statement.raw_bind_parameter(place, i),
            Value::Id(id) => statement.raw_bind_parameter(place, id.to_be_bytes()),
            Value::Text(text) | Value::Json(text) => statement.raw_bind_parameter(place, text),
            Value::Bytes(bytes) => statement.raw_bind_parameter(place, bytes),
        }?;
    }
    if highest != params.len() {
        return Err(Error::Statement(format!("{} parameters given, {highest} used", params.len())).into());
    }
    Ok(())
}

/// A driver's error still to be explained, or one of ours.
enum Failure {
    Driver(rusqlite::Error),
    Ours(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Driver(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Failure {
    #[cold]
    fn explain(self, connection: &Connection) -> Error {
        match self {
            Self::Ours(error) => error,
            Self::Driver(rusqlite::Error::SqliteFailure(code, Some(text)))
                if code.code == ErrorCode::ConstraintViolation =>
            {
                constraint(connection, code.extended_code, &text)
            }
            Self::Driver(error) => plain(error),
        }
    }
}

#[cold]
fn plain(error: rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    let cause = Arc::new(error);
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            Error::Busy(cause)
        }
        Some(ErrorCode::DiskFull) => Error::Full(cause),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::OutOfMemory) => {
            Error::Unavailable(cause)
        }
        Some(ErrorCode::PermissionDenied) => Error::Unavailable(cause),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt(cause),
        Some(ErrorCode::ReadOnly) => Error::ReadOnly(cause),
        Some(ErrorCode::OperationInterrupted | ErrorCode::OperationAborted | ErrorCode::SchemaChanged) => {
            Error::Aborted(cause)
        }
        _ => Error::Other(cause),
    }
}

/// Names a violated constraint as PostgreSQL would.
fn constraint(connection: &Connection, code: i32, text: &str) -> Error {
    let detail = text.split_once("failed: ").map_or("", |(_, detail)| detail).trim();
    match code {
        rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY | rusqlite::ffi::SQLITE_CONSTRAINT_ROWID => {
            let table = detail.split('.').next().unwrap_or_default();
            Error::Unique { constraint: format!("{table}_pkey") }
        }
        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE => {
            if let Some(index) = detail.strip_prefix("index ") {
                return Error::Unique { constraint: index.trim_matches('\'').to_owned() };
            }
            let table = detail.split('.').next().unwrap_or_default();
            let columns: Vec<&str> =
                detail.split(", ").filter_map(|one| Some(one.split_once('.')?.1)).collect();
            let named = index_name(connection, table, &columns).ok().flatten();
            Error::Unique {
                constraint: named.unwrap_or_else(|| format!("{table}_{}_key", columns.join("_"))),
            }
        }
        rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Error::Foreign { constraint: String::new() },
        rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL => Error::Check {
            constraint: detail.split_once('.').map_or(detail, |(_, column)| column).to_owned(),
        },
        _ => Error::Check { constraint: detail.to_owned() },
    }
}

fn index_name(connection: &Connection, table: &str, columns: &[&str]) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached(
        "select list.name, (select group_concat(name, ',' order by seqno) from pragma_index_info(list.name)) \
         from pragma_index_list($1) list where list.\"unique\" and list.origin = 'c'",
    )?;
    let mut rows = statement.query([table])?;
    let wanted = columns.join(",");
    while let Some(row) = rows.next()? {
        if row.get::<_, Option<String>>(1)?.as_deref() == Some(wanted.as_str()) {
            return row.get(0).map(Some);
        }
    }
    Ok(None)
}
