//! Sums of whole tables of another system, passwords included: what a rescue compares with, row for row and byte for byte.

use crate::fingerprint::Fingerprint;
use charter_db::Error;
use charter_db::foreign::{Foreign, ForeignRow, ForeignTable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a table came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSum {
    /// How many rows it has.
    pub rows: u64,
    /// What they came to.
    pub sha256: String,
}

/// The name a table goes by in a record: with its schema where there are schemas.
#[must_use]
pub fn name_of(table: &ForeignTable) -> String {
    if table.schema.is_empty() { table.name.clone() } else { format!("{}.{}", table.schema, table.name) }
}

/// Sums of tables in the one state of them that is looked at. Rows come one by one, in the order of their keys.
pub async fn legacy_checksums(
    foreign: &mut Foreign,
    tables: &[ForeignTable],
) -> Result<BTreeMap<String, TableSum>, Error> {
    let mut sums = BTreeMap::new();
    for table in tables {
        sums.insert(name_of(table), sum_of(foreign, table).await?);
    }
    Ok(sums)
}

async fn sum_of(foreign: &mut Foreign, table: &ForeignTable) -> Result<TableSum, Error> {
    let mut fingerprint = Fingerprint::default();
    let names: Vec<Option<&str>> = table.columns.iter().map(|column| Some(column.name.as_str())).collect();
    fingerprint.row("columns", &names);
    let columns: Result<Vec<String>, Error> =
        table.columns.iter().map(|column| foreign.exact_text_of(&column.name)).collect();
    let order = foreign.order_of(table).await?;
    let text = format!("select {} from {} as t order by {order}", columns?.join(", "), table.quoted()?);
    let mut rows = 0;
    let mut each = |row: ForeignRow<'_>| {
        rows += 1;
        fingerprint.row("row", row);
        Ok(())
    };
    foreign.for_each(&text, &mut each).await?;
    Ok(TableSum { rows, sha256: fingerprint.words() })
}
