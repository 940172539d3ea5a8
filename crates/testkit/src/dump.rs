//! A PostgreSQL database, or one schema of it, as `pg_dump` writes it: compared before and after, byte for byte.

use std::process::Command;

use crate::server::programs;

/// All that stands in a schema, tables and rows.
#[must_use]
pub fn of_schema(url: &str, schema: &str) -> String {
    written(url, &["--schema", schema])
}

/// All that stands in a database but for one schema.
#[must_use]
pub fn without_schema(url: &str, schema: &str) -> String {
    written(url, &["--exclude-schema", schema])
}

#[expect(clippy::expect_used, reason = "a test that cannot read its database has failed")]
fn written(url: &str, of: &[&str]) -> String {
    let program = programs().expect("PostgreSQL's programs are installed: pg_dump").join("pg_dump");
    let output =
        Command::new(program).args(["--no-sync", "--dbname", url]).args(of).output().expect("pg_dump runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pg_dump: {told}");
    let text = String::from_utf8(output.stdout).expect("pg_dump writes UTF-8");
    // Newer versions put a random word around what they write.
    let fixed = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    text.lines().filter(fixed).collect::<Vec<&str>>().join("\n")
}
