//! A look at a PostgreSQL database that another program writes.

use std::time::Duration;

use futures_util::{TryStreamExt, pin_mut};
use tokio::task::JoinHandle;

use super::share::Turns;
use super::{EachForeign, ForeignColumn, ForeignTable, Share};
use crate::{
    Error, Options,
    error::message,
    postgres::{configure, connecting, failure},
};

/// How long one statement may run: reading ten million rows takes its time.
const STATEMENT: Duration = Duration::from_secs(3_600);
/// How long a server may take to let us in, where the address gives no `connect_timeout`: one that accepts and says nothing would hold up everything for ever.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the snapshot may stand without a statement: it keeps the other system's old rows from being cleaned up.
const IDLE: Duration = Duration::from_secs(300);

pub(super) struct Snapshot {
    client: tokio_postgres::Client,
    line: JoinHandle<()>,
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // Its end is the end of the transaction.
        self.line.abort();
    }
}

/// What a server is that accepts connections and lets nobody in.
fn silent(limit: Duration) -> Error {
    Error::Unavailable(message(format!(
        "it did not let us in within {} seconds: see whether the server is well, and whether the address leads to it \
         and not to something before it that only accepts",
        limit.as_secs()
    )))
}

impl Snapshot {
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        let options = Options {
            wait_timeout: HANDSHAKE,
            statement_timeout: STATEMENT,
            idle_in_transaction_timeout: IDLE,
            ..Options::new(url)
        };
        let (mut config, tls) = configure(&options)?;
        config.application_name("charter adopt");
        let each = config.get_connect_timeout().copied().unwrap_or(HANDSHAKE);
        let limit = each * u32::try_from(config.get_hosts().len().max(1)).unwrap_or(1);
        let connected = tokio::time::timeout(limit, config.connect(tls));
        let (client, connection) = connected.await.map_err(|_| silent(limit))?.map_err(connecting)?;
        #[expect(clippy::disallowed_methods, reason = "the task ends when its snapshot is dropped")]
        let line = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the other system's database ended");
            }
        });
        let this = Self { client, line };
        // Of the other system's processors it takes one.
        let begun = this.client.batch_execute(
                "set lock_timeout = '2s'; set max_parallel_workers_per_gather = 0; set search_path = ''; set standard_conforming_strings = on; \
                 set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set bytea_output = 'hex'; \
                 set extra_float_digits = 1; begin isolation level repeatable read read only",
            );
        tokio::time::timeout(limit, begun).await.map_err(|_| silent(limit))?.map_err(failure)?;
        Ok(this)
    }

    pub(super) async fn kept_out_of(&self, schema: &str) -> Result<Option<String>, Error> {
        const MAY_MAKE: &str = "select (pg_catalog.has_schema_privilege(oid, 'usage') and pg_catalog.has_schema_privilege(oid, 'create'))::text, \
             current_user::text from pg_catalog.pg_namespace where nspname = ";
        let text = format!("{MAY_MAKE}'{}'", schema.replace('\'', "''"));
        let mut account = None;
        let mut each = |row: super::ForeignRow<'_>| {
            if let [Some("false"), Some(name)] = row {
                account = Some((*name).to_owned());
            }
            Ok(())
        };
        self.for_each(&text, Turns::begin(Share::WHOLE), &mut each).await?;
        Ok(account)
    }

    pub(super) async fn tables(&self) -> Result<Vec<ForeignTable>, Error> {
        const COLUMNS: &str = "select n.nspname::text, c.relname::text, a.attname::text, \
             pg_catalog.format_type(a.atttypid, a.atttypmod)::text, \
             (pg_catalog.has_schema_privilege(n.oid, 'usage') and pg_catalog.has_table_privilege(c.oid, 'select'))::text \
             from pg_catalog.pg_class c \
             join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
             join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
             where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname <> 'information_schema' \
             and n.nspname not like 'pg\\_%' \
             order by 1, 2, a.attnum";
        let mut tables: Vec<ForeignTable> = Vec::new();
        let mut each = |row: super::ForeignRow<'_>| {
            let [Some(schema), Some(table), Some(column), Some(kind), Some(readable)] = row else {
                return Err(Error::Rows { found: 0 });
            };
            let column = ForeignColumn { name: (*column).to_owned(), kind: (*kind).to_owned() };
            match tables.last_mut().filter(|last| last.schema == *schema && last.name == *table) {
                Some(last) => last.columns.push(column),
                None => tables.push(ForeignTable {
                    schema: (*schema).to_owned(),
                    name: (*table).to_owned(),
                    columns: vec![column],
                    is_readable: *readable == "true",
                }),
            }
            Ok(())
        };
        self.for_each(COLUMNS, Turns::begin(Share::WHOLE), &mut each).await?;
        Ok(tables)
    }

    pub(super) async fn for_each(
        &self,
        text: &str,
        mut turns: Turns,
        each: EachForeign<'_>,
    ) -> Result<(), Error> {
        let statement = self.client.prepare(text).await.map_err(failure)?;
        let none: [&str; 0] = [];
        let rows = self.client.query_raw(&statement, none).await.map_err(failure)?;
        pin_mut!(rows);
        while let Some(row) = rows.try_next().await.map_err(failure)? {
            let mut cells = Vec::with_capacity(row.len());
            for (place, column) in row.columns().iter().enumerate() {
                let cell: Option<&str> = row.try_get(place).map_err(|error| Error::Column {
                    column: column.name().to_owned(),
                    message: error.to_string(),
                })?;
                cells.push(cell);
            }
            each(&cells)?;
            // What is not taken off the line yet holds the server back.
            if let Some(rest) = turns.rest() {
                tokio::time::sleep(rest).await;
                turns.go_on();
            }
        }
        Ok(())
    }
}
