//! PostgreSQL: a well-kept pool, transactions that carry their scope, and values in binary.

use std::{error, fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::BytesMut;
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use futures_util::{FutureExt, TryStreamExt, future::BoxFuture, future::join3, pin_mut};
use tokio_postgres::{
    config::TargetSessionAttrs,
    error::{DbError, SqlState},
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    Cell, Conn, Error, Lend, Options, Row, RowRef, Scope, Tx, Value, error::message, row::Names, row::Source,
};

/// Microseconds between 1970 and 2000, where PostgreSQL's time begins.
const EPOCH: i64 = 946_684_800_000_000;

/// How often work that has not begun moves to another connection, when the one it got turns out to be dead.
const ATTEMPTS: usize = 4;

pub(crate) struct Postgres {
    pool: Pool,
    pub(crate) config: tokio_postgres::Config,
    pub(crate) tls: MakeRustlsConnect,
}

/// A connection on loan. Dropped in the midst of a transaction, it is rolled back before others get it.
pub(crate) struct Lease {
    object: Option<Object>,
    in_transaction: bool,
}

impl Lease {
    fn client(&self) -> Result<&Object, Error> {
        self.object.as_ref().ok_or_else(|| Error::Unavailable(message("the connection has been given up")))
    }

    /// Closes the connection instead of giving it back.
    fn discard(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }

    async fn begin(&mut self, text: &str) -> Result<(), Error> {
        self.in_transaction = true;
        let outcome = self.client()?.batch_execute(text).await.map_err(failure);
        if outcome.is_err() {
            self.in_transaction = false;
            self.discard();
        }
        outcome
    }

    async fn commit(&mut self) -> Result<(), Error> {
        let outcome = self.client()?.batch_execute("commit").await;
        self.in_transaction = false;
        outcome.map_err(|error| {
            self.discard();
            match failure(error) {
                Error::Unavailable(cause) => Error::CommitUnknown(cause),
                error => error,
            }
        })
    }

    async fn rollback(&mut self) {
        let Ok(client) = self.client() else { return };
        let outcome = client.batch_execute("rollback").await;
        self.in_transaction = false;
        if outcome.is_err() {
            self.discard();
        }
    }

    pub(crate) async fn query(&self, text: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        check(params)?;
        let client = self.client()?;
        let statement = client.prepare_cached(text).await.map_err(failure)?;
        rows(client, &statement, params).await
    }

    pub(crate) async fn execute(&self, text: &str, params: &[Value]) -> Result<u64, Error> {
        check(params)?;
        let client = self.client()?;
        let statement = client.prepare_cached(text).await.map_err(failure)?;
        client.execute_raw(&statement, params).await.map_err(failure)
    }

    pub(crate) async fn for_each(&self, text: &str, params: &[Value], lend: Lend<'_>) -> Result<(), Error> {
        check(params)?;
        let client = self.client()?;
        let statement = client.prepare_cached(text).await.map_err(failure)?;
        let stream = client.query_raw(&statement, params).await.map_err(failure)?;
        pin_mut!(stream);
        while let Some(row) = stream.try_next().await.map_err(failure)? {
            if !lend(RowRef(Source::Postgres(&row))) {
                break;
            }
        }
        Ok(())
    }

    pub(crate) async fn batch(&self, text: &str) -> Result<(), Error> {
        self.client()?.batch_execute(text).await.map_err(failure)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.in_transaction {
            return;
        }
        let Some(object) = self.object.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    if object.batch_execute("rollback").await.is_err() {
                        drop(Object::take(object));
                    }
                });
            }
            Err(_) => drop(Object::take(object)),
        }
    }
}

fn check(params: &[Value]) -> Result<(), Error> {
    params.iter().enumerate().try_for_each(|(index, value)| value.check(index))
}

async fn rows(
    client: &Object,
    statement: &tokio_postgres::Statement,
    params: &[Value],
) -> Result<Vec<Row>, Error> {
    let stream = match client.query_raw(statement, params).await {
        Ok(stream) => stream,
        Err(error) => {
            // A table changed its shape beneath a prepared statement: prepare it anew next time.
            if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) {
                client.statement_cache.clear();
            }
            return Err(failure(error));
        }
    };
    pin_mut!(stream);
    let mut found = Vec::new();
    let mut names: Option<Names> = None;
    while let Some(row) = stream.try_next().await.map_err(failure)? {
        let names = names.get_or_insert_with(|| {
            row.columns().iter().flat_map(|column| [column.name(), "\n"]).collect::<String>().into()
        });
        found.push(owned(&row, names)?);
    }
    Ok(found)
}

fn owned(row: &tokio_postgres::Row, names: &Names) -> Result<Row, Error> {
    let mut values = Vec::with_capacity(row.len());
    for index in 0..row.len() {
        values.push(cell(row, index)?.to_value());
    }
    Ok(Row { values, names: Arc::clone(names) })
}

/// What kind of transaction to begin.
#[derive(Clone, Copy)]
enum Kind {
    Write,
    Read,
    Snapshot,
}

fn begin(kind: Kind, scope: Scope) -> String {
    let begin = match kind {
        Kind::Write => "begin read write",
        Kind::Read => "begin read only",
        Kind::Snapshot => "begin isolation level repeatable read read only",
    };
    let (name, id) = match scope {
        Scope::Organization(id) => ("organization", id),
        Scope::Installation => ("installation", 0),
    };
    let (a, b, c, d, e) =
        (id >> 96, (id >> 80) & 0xffff, (id >> 64) & 0xffff, (id >> 48) & 0xffff, id & 0xffff_ffff_ffff);
    format!(
        "{begin}; set local app.scope = '{name}'; set local app.org = '{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}'"
    )
}

impl Postgres {
    pub(crate) async fn open(options: &Options) -> Result<Self, Error> {
        let (config, tls) = configure(options)?;
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), tls.clone(), settings);
        let pool = Pool::builder(manager)
            .max_size(options.pool_size.max(1))
            .wait_timeout(Some(options.wait_timeout))
            .create_timeout(Some(options.wait_timeout))
            .recycle_timeout(Some(options.wait_timeout))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::Config(error.to_string()))?;
        let this = Self { pool, config, tls };
        let lease = this.lease().await?;
        let version = lease
            .query("select current_setting('server_version_num'), current_setting('server_version')", &[]);
        let version = version.await?;
        let version = version.first().ok_or(Error::Rows { found: 0 })?;
        if version.get::<String>(0)?.parse::<u32>().unwrap_or(0) < 150_000 {
            return Err(Error::TooOld { version: version.get(1)? });
        }
        drop(lease);
        Ok(this)
    }

    async fn lease(&self) -> Result<Lease, Error> {
        match self.pool.get().await {
            Ok(object) => Ok(Lease { object: Some(object), in_transaction: false }),
            Err(PoolError::Backend(error)) => Err(connecting(error)),
            Err(PoolError::Timeout(TimeoutType::Wait)) => {
                Err(Error::Busy(message("no database connection became free in time")))
            }
            Err(PoolError::Timeout(_)) => {
                Err(Error::Unavailable(message("the database server did not answer in time")))
            }
            Err(error) => Err(Error::Unavailable(message(error.to_string()))),
        }
    }

    /// A connection within a transaction that has begun, after as many dead connections as it takes.
    async fn begun(&self, kind: Kind, scope: Scope) -> Result<Lease, Error> {
        let text = begin(kind, scope);
        let mut attempt = 1;
        loop {
            let mut lease = self.lease().await?;
            match lease.begin(&text).await {
                Ok(()) => return Ok(lease),
                Err(Error::Unavailable(_)) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// One statement in a read-only transaction of its own, sent as one flight.
    pub(crate) async fn query(&self, scope: Scope, text: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        check(params)?;
        let begin = begin(Kind::Read, scope);
        let mut attempt = 1;
        loop {
            match self.query_once(&begin, text, params).await {
                Err(Error::Unavailable(_)) if attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn query_once(&self, begin: &str, text: &str, params: &[Value]) -> Result<Vec<Row>, Error> {
        let mut lease = self.lease().await?;
        let client = lease.client()?;
        let statement = client.prepare_cached(text).await.map_err(failure)?;
        // The three are sent in this order at the first poll, so the connection comes clean even if we are dropped.
        let flight = join3(
            client.batch_execute(begin),
            rows(client, &statement, params),
            client.batch_execute("commit"),
        );
        let (begun, rows, ended) = flight.await;
        if begun.is_err() || ended.is_err() {
            lease.discard();
        }
        begun.map_err(failure)?;
        rows
    }

    pub(crate) async fn read<F, T, E>(&self, scope: Scope, f: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        E: From<Error>,
    {
        let mut conn = Conn::postgres(self.begun(Kind::Snapshot, scope).await?);
        let outcome = guarded(async { f(&mut conn).await }).await;
        if let crate::Inner::Postgres(lease) = &mut conn.inner {
            lease.rollback().await;
        }
        outcome
    }

    pub(crate) async fn for_each(
        &self,
        scope: Scope,
        text: &str,
        params: &[Value],
        lend: Lend<'_>,
    ) -> Result<(), Error> {
        let mut lease = self.begun(Kind::Read, scope).await?;
        let outcome = lease.for_each(text, params, lend).await;
        lease.rollback().await;
        outcome
    }

    /// Outside transactions, on a connection that is not used again.
    pub(crate) async fn maintain(&self, text: &str) -> Result<(), Error> {
        let mut lease = self.lease().await?;
        lease.client()?.batch_execute("set statement_timeout = 0").await.map_err(failure)?;
        let outcome = lease.batch(text).await;
        lease.discard();
        outcome
    }

    pub(crate) async fn write<F, T, E>(&self, scope: Scope, f: F) -> Result<T, E>
    where
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
        E: From<Error>,
    {
        let mut tx = Tx { conn: Conn::postgres(self.begun(Kind::Write, scope).await?) };
        let outcome = guarded(async { f(&mut tx).await }).await;
        let failed = tx.conn.failed.take();
        let crate::Inner::Postgres(lease) = &mut tx.conn.inner else {
            return Err(Error::Unavailable(message("the connection has been given up")).into());
        };
        let outcome = match (outcome, failed) {
            (Ok(value), None) => return lease.commit().await.map(|()| value).map_err(E::from),
            (Ok(_), Some(error)) => Err(E::from(error)),
            (Err(error), failed) => {
                // A server that was demoted stays readable: give it up, so that the next one is the primary.
                if matches!(failed, Some(Error::ReadOnly(_))) {
                    lease.discard();
                }
                Err(error)
            }
        };
        lease.rollback().await;
        outcome
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }
}

/// Turns a panic of the caller's code into an error, so that the transaction is rolled back in order.
async fn guarded<T, E: From<Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(payload) => Err(Error::panicked(&*payload).into()),
    }
}

fn configure(options: &Options) -> Result<(tokio_postgres::Config, MakeRustlsConnect), Error> {
    let (url, tls, mode) = crate::tls::configure(&options.url)?;
    let mut config: tokio_postgres::Config = url.parse().map_err(|error: tokio_postgres::Error| {
        // The text of the address may hold a password, so only the reason is shown.
        Error::Config(Driver(error).to_string())
    })?;
    config.ssl_mode(mode);
    if config.get_application_name().is_none() {
        config.application_name("charter");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(options.wait_timeout);
    }
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    config
        .keepalives_idle(Duration::from_secs(30))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3);
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(30));
    }
    let statement = options.statement_timeout.as_millis();
    let idle = options.idle_in_transaction_timeout.as_millis();
    let mut settings = config.get_options().unwrap_or_default().to_owned();
    settings.push_str(&format!(
        " -c statement_timeout={statement} -c idle_in_transaction_session_timeout={idle} -c timezone=UTC"
    ));
    config.options(settings.trim());
    Ok((config, tls))
}

/// A driver's error that shows its source as well.
#[derive(Debug)]
pub(crate) struct Driver(pub(crate) tokio_postgres::Error);

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match error::Error::source(&self.0) {
            Some(source) => write!(f, "{}: {source}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl error::Error for Driver {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        error::Error::source(&self.0)
    }
}

/// Why no connection could be made.
#[cold]
pub(crate) fn connecting(error: tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(db) => {
            let code = db.code().code();
            if code.starts_with("28") || code == "3D000" {
                Error::Config(db.message().to_owned())
            } else {
                failure(error)
            }
        }
        None => Error::Unavailable(Arc::new(Driver(error))),
    }
}

#[cold]
pub(crate) fn failure(error: tokio_postgres::Error) -> Error {
    if let Some(db) = error.as_db_error() {
        return database_failure(db);
    }
    let source = error::Error::source(&error);
    if let Some(mismatch) = source.and_then(|source| source.downcast_ref::<Mismatch>()) {
        return Error::Statement(format!("{error}: {mismatch}"));
    }
    if error.is_closed() || source.is_some_and(|source| source.is::<std::io::Error>()) {
        return Error::Unavailable(Arc::new(Driver(error)));
    }
    let driver = Driver(error);
    if driver.0.to_string().starts_with("expected") {
        return Error::Statement(driver.to_string());
    }
    Error::Other(Arc::new(driver))
}

fn database_failure(db: &DbError) -> Error {
    let cause = Arc::new(db.clone());
    let constraint = || db.constraint().unwrap_or_default().to_owned();
    match db.code() {
        &SqlState::UNIQUE_VIOLATION | &SqlState::EXCLUSION_VIOLATION => {
            Error::Unique { constraint: constraint() }
        }
        &SqlState::FOREIGN_KEY_VIOLATION => Error::Foreign { constraint: constraint() },
        &SqlState::CHECK_VIOLATION => Error::Check { constraint: constraint() },
        &SqlState::NOT_NULL_VIOLATION => {
            Error::Check { constraint: db.column().unwrap_or_default().to_owned() }
        }
        &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Error::Aborted(cause),
        &SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => Error::CommitUnknown(cause),
        &SqlState::DISK_FULL => Error::Full(cause),
        &SqlState::LOCK_NOT_AVAILABLE | &SqlState::QUERY_CANCELED => Error::Busy(cause),
        &SqlState::READ_ONLY_SQL_TRANSACTION => Error::ReadOnly(cause),
        &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => Error::Corrupt(cause),
        &SqlState::IO_ERROR | &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Error::Unavailable(cause),
        code if code.code().starts_with("08") || code.code().starts_with("57P") => Error::Unavailable(cause),
        code if code.code().starts_with("53") => Error::Busy(cause),
        // A table changed its shape beneath a prepared statement.
        &SqlState::FEATURE_NOT_SUPPORTED if db.message().contains("cached plan") => Error::Aborted(cause),
        _ => Error::Other(cause),
    }
}

/// A value of one kind, where the server expects another type.
#[derive(Debug)]
struct Mismatch(String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for Mismatch {}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn error::Error + Sync + Send>> {
        let mismatch = || {
            Err(Mismatch(format!("{} was given where PostgreSQL expects {ty}", self.cell().kind())).into())
        };
        match (self, ty) {
            (Self::Null, _) => return Ok(IsNull::Yes),
            (Self::Bool(b), &Type::BOOL) => out.extend_from_slice(&[u8::from(*b)]),
            (Self::Int(i), &Type::INT8) => out.extend_from_slice(&i.to_be_bytes()),
            (Self::Int(i), &Type::INT4) => out.extend_from_slice(&i32::try_from(*i)?.to_be_bytes()),
            (Self::Int(i), &Type::INT2) => out.extend_from_slice(&i16::try_from(*i)?.to_be_bytes()),
            (Self::Id(id), &Type::UUID) => out.extend_from_slice(&id.to_be_bytes()),
            (Self::Time(t), &Type::TIMESTAMPTZ) => match t.checked_sub(EPOCH) {
                Some(t) => out.extend_from_slice(&t.to_be_bytes()),
                None => {
                    return Err(Mismatch("the time is before what PostgreSQL can store".to_owned()).into());
                }
            },
            (
                Self::Text(text) | Self::Json(text),
                &(Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN),
            ) => {
                out.extend_from_slice(text.as_bytes());
            }
            (Self::Json(text), &Type::JSONB) => {
                out.extend_from_slice(&[1]);
                out.extend_from_slice(text.as_bytes());
            }
            (Self::Json(text), &Type::JSON) => out.extend_from_slice(text.as_bytes()),
            (Self::Bytes(bytes), &Type::BYTEA) => out.extend_from_slice(bytes),
            _ => return mismatch(),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn error::Error + Sync + Send>> {
        Ok(match ty {
            &Type::UUID => Cell::Id(u128::from_be_bytes(raw.try_into()?)),
            &Type::INT8 => Cell::Int(i64::from_be_bytes(raw.try_into()?)),
            &Type::TEXT | &Type::VARCHAR | &Type::BPCHAR | &Type::NAME | &Type::UNKNOWN => {
                Cell::Text(std::str::from_utf8(raw)?)
            }
            &Type::TIMESTAMPTZ => match i64::from_be_bytes(raw.try_into()?).checked_add(EPOCH) {
                Some(micros) => Cell::Time(micros),
                None => return Err(Mismatch("the time is later than can be told".to_owned()).into()),
            },
            &Type::BOOL => Cell::Bool(raw != [0]),
            &Type::INT4 => Cell::Int(i32::from_be_bytes(raw.try_into()?).into()),
            &Type::INT2 => Cell::Int(i16::from_be_bytes(raw.try_into()?).into()),
            &Type::JSONB => match raw.split_first() {
                Some((1, text)) => Cell::Json(std::str::from_utf8(text)?),
                _ => return Err(Mismatch("the document has an unknown version".to_owned()).into()),
            },
            &Type::JSON => Cell::Json(std::str::from_utf8(raw)?),
            &Type::BYTEA => Cell::Bytes(raw),
            &Type::OID => Cell::Int(u32::from_be_bytes(raw.try_into()?).into()),
            &Type::VOID => Cell::Null,
            &Type::NUMERIC => return Err(Mismatch("numeric: cast the sum to bigint".to_owned()).into()),
            ty => return Err(Mismatch(format!("the type {ty} is not one of ours")).into()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn error::Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[inline]
pub(crate) fn cell(row: &tokio_postgres::Row, index: usize) -> Result<Cell<'_>, Error> {
    match row.try_get::<_, Cell<'_>>(index) {
        Ok(cell) => Ok(cell),
        Err(error) => match row.columns().get(index) {
            Some(column) => {
                Err(Error::Column { column: column.name().to_owned(), message: Driver(error).to_string() })
            }
            None => Err(crate::row::absent(index)),
        },
    }
}
