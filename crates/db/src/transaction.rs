//! Transactions: what reads see, and what writes do.

use std::ops::{Deref, DerefMut};

use crate::{
    Error, Row, RowRef, Statement, Value,
    interference::{Hook, Step},
    postgres, sqlite,
};

pub(crate) fn one(mut rows: Vec<Row>) -> Result<Row, Error> {
    match (rows.pop(), rows.len()) {
        (Some(row), 0) => Ok(row),
        (None, _) => Err(Error::Rows { found: 0 }),
        (Some(_), more) => Err(Error::Rows { found: more + 1 }),
    }
}

pub(crate) fn opt(mut rows: Vec<Row>) -> Result<Option<Row>, Error> {
    match (rows.pop(), rows.len()) {
        (row, 0) => Ok(row),
        (_, more) => Err(Error::Rows { found: more + 1 }),
    }
}

/// What lends rows one by one calls this for each; it says whether it wants more.
pub(crate) type Lend<'f> = &'f mut (dyn FnMut(RowRef<'_>) -> bool + Send);

/// A transaction seen by one who only reads; a [`Tx`] lends itself as one.
pub struct Conn {
    pub(crate) inner: Inner,
    pub(crate) failed: Option<Error>,
    pub(crate) hook: Hook,
}

pub(crate) enum Inner {
    Sqlite(sqlite::Handle),
    Postgres(postgres::Lease),
}

impl Conn {
    pub(crate) const fn sqlite(handle: sqlite::Handle, hook: Hook) -> Self {
        Self { inner: Inner::Sqlite(handle), failed: None, hook }
    }

    pub(crate) const fn postgres(lease: postgres::Lease, hook: Hook) -> Self {
        Self { inner: Inner::Postgres(lease), failed: None, hook }
    }

    /// Whether the next statement may run.
    fn may_run(&mut self) -> Result<(), Error> {
        let outcome = self.hook.at(Step::Statement);
        self.note(outcome)
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
        self.may_run()?;
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
        self.may_run()?;
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

    pub(crate) async fn explain(
        &mut self,
        statement: &Statement,
        params: &[Value],
    ) -> Result<Vec<String>, Error> {
        let (rows, column) = match &self.inner {
            Inner::Sqlite(handle) => {
                (handle.query(&format!("explain query plan {}", statement.sqlite), params)?, 3)
            }
            Inner::Postgres(lease) => {
                // As if the tables were large: small ones are read whole and put together in memory.
                let large = "set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off";
                lease.batch(large).await?;
                (lease.query(&format!("explain (costs off) {}", statement.postgres), params).await?, 0)
            }
        };
        rows.iter().map(|row| row.get(column)).collect()
    }
}

/// A transaction that writes.
pub struct Tx {
    pub(crate) conn: Conn,
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
        self.conn.may_run()?;
        let outcome = match &self.conn.inner {
            Inner::Sqlite(handle) => handle.execute(statement.sqlite, params),
            Inner::Postgres(lease) => lease.execute(statement.postgres, params).await,
        };
        self.conn.note(outcome)
    }

    /// Runs several statements of one text, without parameters; for migrations.
    pub async fn batch(&mut self, text: &str) -> Result<(), Error> {
        self.conn.may_run()?;
        let outcome = match &self.conn.inner {
            Inner::Sqlite(handle) => handle.batch(text),
            Inner::Postgres(lease) => lease.batch(text).await,
        };
        self.conn.note(outcome)
    }

    /// Tells listeners on [`CHANNEL`](crate::CHANNEL), when and only when this commits. On SQLite there is nobody to tell.
    pub async fn notify(&mut self, payload: &str) -> Result<(), Error> {
        const NOTIFY: &str = "select pg_notify($1, $2)";
        self.conn.may_run()?;
        let outcome = match &self.conn.inner {
            Inner::Sqlite(_) => Ok(()),
            Inner::Postgres(lease) => {
                let params = [Value::from(lease.channel()), Value::from(payload)];
                lease.execute(NOTIFY, &params).await.map(|_| ())
            }
        };
        self.conn.note(outcome)
    }
}
