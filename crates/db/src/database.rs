//! The database as callers see it.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::{
    Conn, Engine, Error, Interference, Listener, Row, RowRef, Scope, Statement, Tx, Value,
    interference::{Hook, Step},
    postgres, sqlite,
    transaction::{one, opt},
};

/// Which database to open, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// `sqlite:///path/to/file`, `sqlite::memory:` (a file that is deleted afterwards) or `postgres://...`.
    pub url: String,
    /// The schema that holds all there is to be found, on PostgreSQL; none leaves it to the server, which looks into `public`.
    pub schema: Option<String>,
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
    /// What may make steps fail, in tests.
    pub interference: Option<Arc<dyn Interference>>,
}

impl Options {
    /// The defaults for an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            schema: None,
            pool_size: 8,
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction_timeout: Duration::from_secs(30),
            wait_timeout: Duration::from_secs(5),
            write_queue: 4096,
            max_pages: None,
            durable: true,
            interference: None,
        }
    }
}

/// An open database; clones share it.
#[derive(Clone)]
pub struct Database {
    backend: Arc<Backend>,
    hook: Hook,
}

enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(Box<postgres::Postgres>),
}

impl Database {
    /// Opens the database. A SQLite file is created if missing, and is locked against other processes.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        Self::opened(options, sqlite::Sqlite::open).await
    }

    /// Opens a database for reading alone, beside the process that writes to it: a SQLite file is neither made nor locked, and takes no write.
    pub async fn open_to_read(options: &Options) -> Result<Self, Error> {
        Self::opened(options, sqlite::Sqlite::open_to_read).await
    }

    async fn opened(
        options: &Options,
        file: fn(&Options, &str) -> Result<sqlite::Sqlite, Error>,
    ) -> Result<Self, Error> {
        let url = options.url.as_str();
        let backend = if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Backend::Postgres(Box::new(postgres::Postgres::open(options).await?))
        } else if let Some(path) = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")) {
            if options.schema.is_some() {
                return Err(Error::Config("a SQLite file has no schemas".to_owned()));
            }
            if path.is_empty() {
                return Err(Error::Config("the SQLite address names no file".to_owned()));
            }
            Backend::Sqlite(file(options, path)?)
        } else {
            return Err(Error::Config("the address begins with neither sqlite: nor postgres://".to_owned()));
        };
        Ok(Self { backend: Arc::new(backend), hook: Hook(options.interference.clone()) })
    }

    /// Which process had a SQLite file open last: the one that has it, when opening it says that it is busy.
    #[must_use]
    pub fn holder(options: &Options) -> Option<u32> {
        let url = options.url.as_str();
        sqlite::holder(url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?)
    }

    /// The engine beneath: for migrations, never for choosing between two behaviours.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &*self.backend {
            Backend::Sqlite(_) => Engine::Sqlite,
            Backend::Postgres(_) => Engine::Postgres,
        }
    }

    /// The schema it was opened in, where one was named. It need not be there yet.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        match &*self.backend {
            Backend::Sqlite(_) => None,
            Backend::Postgres(postgres) => postgres.schema.as_deref(),
        }
    }

    /// Runs one reading statement.
    pub async fn query(
        &self,
        scope: Scope,
        statement: &Statement,
        params: &[Value],
    ) -> Result<Vec<Row>, Error> {
        self.hook.at(Step::Begin)?;
        self.hook.at(Step::Statement)?;
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
        self.hook.at(Step::Begin)?;
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
        self.hook.at(Step::Begin)?;
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
        self.hook.at(Step::Begin)?;
        match &*self.backend {
            Backend::Sqlite(sqlite) => sqlite.write(f).await,
            Backend::Postgres(postgres) => postgres.write(scope, f).await,
        }
    }

    /// Listens to what writes say with [`Tx::notify`], on [`CHANNEL`]; those in another schema are not heard.
    pub async fn listen(&self, channel: &str) -> Result<Listener, Error> {
        match &*self.backend {
            Backend::Sqlite(_) => Ok(Listener::silent()),
            Backend::Postgres(postgres) => {
                let channel = postgres::channel(channel, postgres.schema.as_deref());
                Listener::open(postgres.config.clone(), postgres.tls.clone(), &channel).await
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
        self.hook.at(Step::Begin)?;
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
