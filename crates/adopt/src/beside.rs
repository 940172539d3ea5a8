//! Charter's own tables beside another system's in one database: they are no part of that system, whatever they are called. And which
//! installation they are of.

use charter_db::Error;
use charter_db::foreign::{Foreign, ForeignRow, ForeignTable};
use std::collections::BTreeSet;

/// The table that says of a schema that it is Charter's.
const SIGNATURE: (&str, [&str; 4]) = ("charter_migrations", ["number", "name", "checksum", "applied_at"]);

/// The tables without those of schemas that are Charter's own. What stands in `public` stays: there it could be anybody's.
#[must_use]
pub fn others(tables: Vec<ForeignTable>) -> Vec<ForeignTable> {
    let is_signature = |table: &&ForeignTable| {
        let columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        (table.name.as_str(), columns.as_slice()) == (SIGNATURE.0, SIGNATURE.1.as_slice())
    };
    let own: BTreeSet<String> =
        tables.iter().filter(is_signature).map(|table| table.schema.clone()).collect();
    let is_other =
        |table: &ForeignTable| matches!(table.schema.as_str(), "" | "public") || !own.contains(&table.schema);
    tables.into_iter().filter(is_other).collect()
}

/// The table of keys of organizations: every account that Charter works with may read all of it.
const KEYS: &str = "organization_keys";

/// Which installation stands in a database, in this schema: the digits of its platform organization's id. None where there is none.
pub async fn installation(foreign: &mut Foreign, schema: &str) -> Result<Option<String>, Error> {
    let is_it =
        |table: &ForeignTable| table.name == KEYS && (table.schema.is_empty() || table.schema == schema);
    let Some(table) = foreign.tables().await?.into_iter().find(is_it) else { return Ok(None) };
    let id = foreign.exact_text_of("organization_id")?;
    let text = format!("select {id} from {} where organization_key = 'platform'", table.quoted()?);
    let mut found = None;
    let mut each = |row: ForeignRow<'_>| {
        found = row.first().copied().flatten().map(digits);
        Ok(())
    };
    foreign.for_each(&text, &mut each).await?;
    Ok(found)
}

/// The digits of an id, however it is written.
#[must_use]
pub fn digits(id: &str) -> String {
    let digits: Vec<char> = id.chars().filter(char::is_ascii_hexdigit).collect();
    // What says of which kind a value is stands before it.
    let digits = digits.get(digits.len().saturating_sub(ID_DIGITS)..).unwrap_or_default();
    digits.iter().map(char::to_ascii_lowercase).collect()
}

const ID_DIGITS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use charter_db::foreign::ForeignColumn;

    fn table(schema: &str, name: &str, columns: &[&str]) -> ForeignTable {
        let column = |name: &&str| ForeignColumn { name: (*name).to_owned(), kind: "text".to_owned() };
        ForeignTable {
            schema: schema.to_owned(),
            name: name.to_owned(),
            columns: columns.iter().map(column).collect(),
            is_readable: true,
        }
    }

    #[test]
    fn an_id_is_the_same_however_an_engine_writes_it() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(digits("b01890A5DAC96774BBCCEB302099A8057"), digits(id));
        assert_eq!(digits(id), "01890a5dac96774bbcceb302099a8057");
    }

    #[test]
    fn a_schema_that_is_charters_is_left_out_and_one_that_only_looks_so_is_not() {
        let migrations = SIGNATURE.1.as_slice();
        let all = vec![
            table("charter", "charter_migrations", migrations),
            table("charter", "roles", &["id"]),
            table("erp", "charter_migrations", &["oops"]),
            table("erp", "roles", &["id"]),
            table("public", "charter_migrations", migrations),
            table("public", "users", &["id"]),
        ];
        let left = others(all);
        let schemas: Vec<&str> = left.iter().map(|table| table.schema.as_str()).collect();
        assert_eq!(schemas, ["erp", "erp", "public", "public"]);
    }
}
