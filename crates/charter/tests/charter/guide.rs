//! The operator's book agrees with the program.

use crate::program::Place;

const GUIDE: &str = include_str!("../../../../docs/guide/configuration.md");

#[test]
fn the_table_of_settings_is_the_list_of_the_program() {
    let document = Place::new().run(&["config", "show", "--json"]).ended(0).json();
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows: Vec<String> = document["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let flag = match text(row, "flag") {
                flag if flag.is_empty() => "none".to_owned(),
                flag => format!("`{flag}`"),
            };
            format!(
                "| `{}` | {flag} | `{}` | {} | {} |",
                text(row, "key"),
                text(row, "variable"),
                text(row, "default"),
                text(row, "summary")
            )
        })
        .collect();
    let written: Vec<&str> = GUIDE.lines().filter(|line| line.contains("| `CHARTER_")).collect();
    assert_eq!(written, rows, "write these rows:\n{}", rows.join("\n"));
}
