//! PostgreSQL: a well-kept pool, transactions that carry their scope, and values in binary.

mod failure;
mod lease;
mod schema;
mod tls;
mod value;

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use futures_util::{FutureExt, future::BoxFuture, future::join3};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::schema::is_schema_name;
use self::{
    failure::Driver,
    lease::{check, rows},
};
pub(crate) use self::{
    failure::{connecting, failure},
    lease::Lease,
    schema::channel,
    value::cell,
};
use crate::{
    CHANNEL, Conn, Error, Inner, Lend, Options, Row, Scope, Tx, Value,
    error::message,
    interference::{Hook, Step},
};

/// How often work that has not begun moves to another connection, when the one it got turns out to be dead.
const ATTEMPTS: usize = 4;

pub(crate) struct Postgres {
    pool: Pool,
    hook: Hook,
    channel: Arc<str>,
    pub(crate) schema: Option<String>,
    pub(crate) config: tokio_postgres::Config,
    pub(crate) tls: MakeRustlsConnect,
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
        let this = Self {
            pool,
            hook: Hook(options.interference.clone()),
            channel: channel(CHANNEL, options.schema.as_deref()).into(),
            schema: options.schema.clone(),
            config,
            tls,
        };
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
            Ok(object) => Ok(Lease::new(object, Arc::clone(&self.channel))),
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
        let mut conn = Conn::postgres(self.begun(Kind::Snapshot, scope).await?, self.hook.clone());
        let outcome = guarded(async { f(&mut conn).await }).await;
        if let Inner::Postgres(lease) = &mut conn.inner {
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
        let mut tx = Tx { conn: Conn::postgres(self.begun(Kind::Write, scope).await?, self.hook.clone()) };
        let outcome = guarded(async { f(&mut tx).await }).await;
        let failed = tx.conn.failed.take();
        let Inner::Postgres(lease) = &mut tx.conn.inner else {
            return Err(Error::Unavailable(message("the connection has been given up")).into());
        };
        let outcome = match (outcome, failed) {
            (Ok(value), None) => match self.hook.at(Step::Commit) {
                Ok(()) => {
                    let made_final = match lease.commit().await {
                        Ok(()) => self.hook.at(Step::Committed),
                        Err(error) => Err(error),
                    };
                    return made_final.map(|()| value).map_err(E::from);
                }
                Err(error) => Err(E::from(error)),
            },
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

pub(crate) fn configure(options: &Options) -> Result<(tokio_postgres::Config, MakeRustlsConnect), Error> {
    let (url, tls, mode) = tls::configure(&options.url)?;
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
    if let Some(schema) = &options.schema {
        // Nothing else is ever found by accident: what PostgreSQL brings along comes first by itself.
        settings.push_str(&format!(" -c search_path={}", schema::checked(schema)?));
    }
    config.options(settings.trim());
    Ok((config, tls))
}
