//! Charter's own tables beside another system's in one database: they are no part of that system, whatever they are called.

use charter_db::foreign::ForeignTable;
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
