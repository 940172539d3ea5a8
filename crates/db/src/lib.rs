//! The one seam to SQLite and PostgreSQL: values, rows, statements and transactions that mean the same on both.
//! It knows nothing of what the rows are about. A write is one closure; it is answered when it is durable, and a
//! statement that failed inside fails it whole. On SQLite waiting writes share a commit (`sqlite.rs`); on PostgreSQL
//! each transaction carries its scope for the row policies (`postgres.rs`).

mod error;
mod listen;
mod postgres;
mod row;
mod sqlite;
mod statement;
mod tls;
mod value;
mod wait;

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

pub use futures_util::future::BoxFuture;

pub use crate::{
    error::{Cause, Error},
    listen::{CHANNEL, Listener, Notification},
    row::{Row, RowRef},
    statement::{Engine, Scope, Statement},
    value::{Cell, FromValue, Json, Time, Value},
};

/// Which database to open, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// `sqlite:///path/to/file`, `sqlite::memory:` (a file that is deleted afterwards) or `postgres://...`.
    pub url: String,
    /// How many connections to PostgreSQL, or readers of SQLite.
    pub pool_size: usize,
    /// How long a statement may run on PostgreSQL.
    pub statement_timeout: Duration,
    /// How long a transaction may wait for its program on PostgreSQL.
    pub idle_in_transaction_timeout: Duration,
    /// How long to wait for a free connection, and for a new one, before giving up.
    pub wait_timeout: Duration,
    /// How many writes may wait for SQLite's writer before more are refused.
    pub write_queue: usize,
    /// How many pages a SQLite file may grow to.
    pub max_pages: Option<u32>,
    /// Whether SQLite waits for the disk at each commit; without it, a power cut may lose the last writes.
    pub durable: bool,
}

impl Options {
    /// The defaults for an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pool_size: 8,
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction_timeout: Duration::from_secs(30),
            wait_timeout: Duration::from_secs(5),
            write_queue: 4096,
            max_pages: None,
            durable: true,
        }
    }
}

/// An open database; clones share it.
#[derive(Clone)]
pub struct Database {
    backend: Arc<Backend>,
}

enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Database {
    /// Opens the database. A SQLite file is created if missing, and is locked against other processes.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let url = options.url.as_str();
        let backend = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Backend::Postgres(postgres::Postgres::open(options).await?)
        } else if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
            if path.is_empty() {
                return Err(Error::Config("the SQLite address names no file".to_owned()));
            }
            Backend::Sqlite(sqlite::Sqlite::open(options, path)?)
        } else {
            return Err(Error::Config("the address begins with neither sqlite: nor postgres://".to_owned()));
        };
        Ok(Self { backend: Arc::new(backend) })
    }

    /// The engine beneath: for migrations, never for choosing between two behaviours.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &*self.backend {
            Backend::Sqlite(_) => Engine::Sqlite,
            Backend::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs one reading statement.
    pub async fn query(
        &self,
        scope: Scope,
        statement: &Statement,
        params: &[Value],
    ) -> Result<Vec<Row>, Error> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.query(statement.sqlite, params).await,
            Backend::Postgres(postgres) => postgres.query(scope, statement.postgres, params).await,
        }
    }

    /// Runs one reading statement that gives exactly one row.
    pub async fn query_one(
        &self,
        scope: Scope,
        statement: &Statement,
        params: &[Value],
    ) -> Result<Row, Error> {
        one(self.query(scope, statement, params).await?)
    }

    /// Runs one reading statement that gives one row or none.
    pub async fn query_opt(
        &self,
        scope: Scope,
        statement: &Statement,
        params: &[Value],
    ) -> Result<Option<Row>, Error> {
        opt(self.query(scope, statement, params).await?)
    }

    /// Runs one reading statement and hands over its rows as they come, in constant memory.
    ///
    /// For a million rows prefer [`Conn::for_each`] within [`Database::read`], which lends the driver's own rows on
    /// both engines.
    pub async fn for_each<E: From<Error> + Send>(
        &self,
        scope: Scope,
        statement: &Statement,
        params: &[Value],
        mut f: impl FnMut(RowRef<'_>) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => {
                let mut chunks = sqlite.stream(statement.sqlite, params).await?;
                while let Some(chunk) = chunks.recv().await {
                    for row in chunk? {
                        f(row.as_ref())?;
                    }
                }
                Ok(())
            }
            Backend::Postgres(postgres) => {
                let mut refused = None;
                let mut lend = |row: RowRef<'_>| f(row).map_err(|error| refused = Some(error)).is_ok();
                postgres.for_each(scope, statement.postgres, params, &mut lend).await?;
                refused.map_or(Ok(()), Err)
            }
        }
    }

    /// Runs several reading statements that see the same state of the database.
    ///
    /// On SQLite the closure runs on a reader's thread: let it do nothing but read.
    pub async fn read<F, T, E>(&self, scope: Scope, f: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.read(f).await,
            Backend::Postgres(postgres) => postgres.read(scope, f).await,
        }
    }

    /// Runs a write: all of it happens, durably, or nothing does.
    ///
    /// It is rolled back when the closure fails or panics, and when any statement in it failed, whatever the closure
    /// makes of that. On SQLite the closure runs on the writer's thread while all other writes wait: let it do
    /// nothing but use its transaction.
    pub async fn write<F, T, E>(&self, scope: Scope, f: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(f).await,
            Backend::Postgres(postgres) => postgres.write(scope, f).await,
        }
    }

    /// Listens to what writes say with [`Tx::notify`], on [`CHANNEL`].
    pub async fn listen(&self, channel: &str) -> Result<Listener, Error> {
        match &*self.backend {
            Backend::Sqlite(_) => Ok(Listener::silent()),
            Backend::Postgres(postgres) => {
                Listener::open(postgres.config.clone(), postgres.tls.clone(), channel).await
            }
        }
    }

    /// Whether the database answers; for readiness.
    pub async fn ping(&self) -> Result<(), Error> {
        const PING: Statement = Statement::new("select 1");
        if let Backend::Sqlite(sqlite) = &*self.backend {
            sqlite.ping()?;
        }
        self.query_one(Scope::Installation, &PING, &[]).await.map(|_| ())
    }

    /// Moves SQLite's log into its file; PostgreSQL sees to that itself.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.maintain(sqlite::CHECKPOINT).await,
            Backend::Postgres(_) => Ok(()),
        }
    }

    /// Runs one statement of upkeep that no transaction can hold, such as `vacuum`.
    pub async fn maintain(&self, text: &str) -> Result<(), Error> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.maintain(text).await,
            Backend::Postgres(postgres) => postgres.maintain(text).await,
        }
    }

    /// Ends the writes under way, then closes all files and connections; later use fails as unavailable.
    pub async fn close(&self) -> Result<(), Error> {
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.close().await,
            Backend::Postgres(postgres) => {
                postgres.close();
                Ok(())
            }
        }
    }

    /// The engine's plan for a statement, one line each, without running it; for tests that no plan scans a table
    /// which grows. On PostgreSQL sequential scans are made unattractive, so that one is chosen only for want of an
    /// index.
    pub async fn explain(
        &self,
        scope: Scope,
        statement: &Statement,
        params: &[Value],
    ) -> Result<Vec<String>, Error> {
        let statement = *statement;
        let params = params.to_vec();
        self.read(scope, move |conn| Box::pin(async move { conn.explain(&statement, &params).await })).await
    }
}

fn one(mut rows: Vec<Row>) -> Result<Row, Error> {
    match (rows.pop(), rows.len()) {
        (Some(row), 0) => Ok(row),
        (None, _) => Err(Error::Rows { found: 0 }),
        (Some(_), more) => Err(Error::Rows { found: more + 1 }),
    }
}

fn opt(mut rows: Vec<Row>) -> Result<Option<Row>, Error> {
    match (rows.pop(), rows.len()) {
        (row, 0) => Ok(row),
        (_, more) => Err(Error::Rows { found: more + 1 }),
    }
}

/// What lends rows one by one calls this for each; it says whether it wants more.
type Lend<'f> = &'f mut (dyn FnMut(RowRef<'_>) -> bool + Send);

/// A transaction seen by one who only reads; a [`Tx`] lends itself as one.
pub struct Conn {
    inner: Inner,
    failed: Option<Error>,
}

enum Inner {
    Sqlite(sqlite::Handle),
    Postgres(postgres::Lease),
}

impl Conn {
    const fn sqlite(handle: sqlite::Handle) -> Self {
        Self { inner: Inner::Sqlite(handle), failed: None }
    }

    const fn postgres(lease: postgres::Lease) -> Self {
        Self { inner: Inner::Postgres(lease), failed: None }
    }

    /// Notes the first failure: the transaction cannot succeed any more.
    fn note<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let (Err(error), None) = (&outcome, &self.failed) {
            self.failed = Some(error.clone());
        }
        outcome
    }

    /// Runs a statement and collects its rows.
    pub async fn query(&mut self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Error> {
        let outcome = match &self.inner {
            Inner::Sqlite(handle) => handle.query(statement.sqlite, params),
            Inner::Postgres(lease) => lease.query(statement.postgres, params).await,
        };
        self.note(outcome)
    }

    /// Runs a statement that gives exactly one row.
    pub async fn query_one(&mut self, statement: &Statement, params: &[Value]) -> Result<Row, Error> {
        one(self.query(statement, params).await?)
    }

    /// Runs a statement that gives one row or none.
    pub async fn query_opt(&mut self, statement: &Statement, params: &[Value]) -> Result<Option<Row>, Error> {
        opt(self.query(statement, params).await?)
    }

    /// Runs a statement and lends its rows one by one, in constant memory.
    pub async fn for_each<E: From<Error> + Send>(
        &mut self,
        statement: &Statement,
        params: &[Value],
        mut f: impl FnMut(RowRef<'_>) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let mut refused = None;
        let outcome = {
            let mut lend = |row: RowRef<'_>| f(row).map_err(|error| refused = Some(error)).is_ok();
            match &self.inner {
                Inner::Sqlite(handle) => handle.for_each(statement.sqlite, params, &mut lend),
                Inner::Postgres(lease) => lease.for_each(statement.postgres, params, &mut lend).await,
            }
        };
        self.note(outcome)?;
        refused.map_or(Ok(()), Err)
    }

    async fn explain(&mut self, statement: &Statement, params: &[Value]) -> Result<Vec<String>, Error> {
        let (rows, column) = match &self.inner {
            Inner::Sqlite(handle) => {
                (handle.query(&format!("explain query plan {}", statement.sqlite), params)?, 3)
            }
            Inner::Postgres(lease) => {
                lease.batch("set local enable_seqscan = off").await?;
                (lease.query(&format!("explain (costs off) {}", statement.postgres), params).await?, 0)
            }
        };
        rows.iter().map(|row| row.get(column)).collect()
    }
}

/// A transaction that writes.
pub struct Tx {
    conn: Conn,
}

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

impl Tx {
    /// Runs a statement without `returning`, and tells how many rows it touched.
    pub async fn execute(&mut self, statement: &Statement, params: &[Value]) -> Result<u64, Error> {
        let outcome = match &self.conn.inner {
            Inner::Sqlite(handle) => handle.execute(statement.sqlite, params),
            Inner::Postgres(lease) => lease.execute(statement.postgres, params).await,
        };
        self.conn.note(outcome)
    }

    /// Runs several statements of one text, without parameters; for migrations.
    pub async fn batch(&mut self, text: &str) -> Result<(), Error> {
        let outcome = match &self.conn.inner {
            Inner::Sqlite(handle) => handle.batch(text),
            Inner::Postgres(lease) => lease.batch(text).await,
        };
        self.conn.note(outcome)
    }

    /// Tells listeners on [`CHANNEL`], when and only when this commits. On SQLite there is nobody to tell.
    pub async fn notify(&mut self, payload: &str) -> Result<(), Error> {
        const NOTIFY: &str = "select pg_notify($1, $2)";
        let outcome = match &self.conn.inner {
            Inner::Sqlite(_) => Ok(()),
            Inner::Postgres(lease) => {
                let params = [Value::from(CHANNEL), Value::from(payload)];
                lease.execute(NOTIFY, &params).await.map(|_| ())
            }
        };
        self.conn.note(outcome)
    }
}
