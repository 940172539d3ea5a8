//! One connection on loan from the pool.

use std::sync::Arc;

use deadpool_postgres::Object;
use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::error::SqlState;

use super::{failure::failure, value::cell};
use crate::{Error, Lend, Row, RowRef, Value, error::message, row::Names, row::Source};

/// A connection on loan. Dropped in the midst of a transaction, it is rolled back before others get it.
pub(crate) struct Lease {
    object: Option<Object>,
    in_transaction: bool,
    channel: Arc<str>,
}

impl Lease {
    pub(super) const fn new(object: Object, channel: Arc<str>) -> Self {
        Self { object: Some(object), in_transaction: false, channel }
    }

    /// What its transactions speak on.
    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    pub(super) fn client(&self) -> Result<&Object, Error> {
        self.object.as_ref().ok_or_else(|| Error::Unavailable(message("the connection has been given up")))
    }

    /// Closes the connection instead of giving it back.
    pub(super) fn discard(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }

    pub(super) async fn begin(&mut self, text: &str) -> Result<(), Error> {
        self.in_transaction = true;
        let outcome = self.client()?.batch_execute(text).await.map_err(failure);
        if outcome.is_err() {
            self.in_transaction = false;
            self.discard();
        }
        outcome
    }

    pub(super) async fn commit(&mut self) -> Result<(), Error> {
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

    pub(super) async fn rollback(&mut self) {
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

pub(super) fn check(params: &[Value]) -> Result<(), Error> {
    params.iter().enumerate().try_for_each(|(index, value)| value.check(index))
}

pub(super) async fn rows(
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
