//! The configuration as it is shown: effective values with secrets hidden, and everything that is wrong.

use super::{Fault, Loaded};
use crate::output;
use serde_json::{Value, json};

/// One JSON document of it.
pub fn as_json(loaded: &Loaded) -> Value {
    let settings: Vec<Value> = loaded
        .shown
        .iter()
        .map(|shown| {
            json!({
                "key": shown.setting.key,
                "value": shown.value,
                "source": shown.source,
                "flag": shown.setting.flag().map(|flag| format!("--{flag}")),
                "variable": shown.setting.variable(),
                "default": shown.setting.default_text(),
                "summary": shown.setting.summary,
            })
        })
        .collect();
    let faults: Vec<Value> = loaded
        .all_faults()
        .map(|fault| json!({ "place": fault.place, "wrong": fault.wrong, "remedy": fault.remedy }))
        .collect();
    json!({
        "ok": faults.is_empty(),
        "production": loaded.configuration.production,
        "settings": settings,
        "faults": faults,
        "warnings": loaded.warnings,
    })
}

/// The effective values as a table.
pub fn table(loaded: &Loaded) -> String {
    let rows: Vec<Vec<String>> = loaded
        .shown
        .iter()
        .map(|shown| vec![shown.setting.key.to_owned(), shown.value.clone(), shown.source.clone()])
        .collect();
    output::table(&["SETTING", "VALUE", "FROM"], &rows)
}

/// Everything that is wrong, for a person.
pub fn faults<'a>(faults: impl Iterator<Item = &'a Fault>) -> String {
    let texts: Vec<String> = faults
        .map(|fault| {
            format!(
                "
  {fault}
"
            )
        })
        .collect();
    match texts.len() {
        0 => String::new(),
        1 => format!(
            "1 fault in the configuration:
{}",
            texts.concat()
        ),
        count => format!(
            "{count} faults in the configuration:
{}",
            texts.concat()
        ),
    }
}

/// What is allowed and yet worth a look, for a person.
pub fn warnings(loaded: &Loaded) -> String {
    loaded
        .warnings
        .iter()
        .map(|warning| {
            format!(
                "warning: {warning}
"
            )
        })
        .collect()
}
