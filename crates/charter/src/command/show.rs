//! Answers of the API for people: lists as tables, things as lines, or the raw JSON when it is asked for.

use crate::output;
use charter_api::qr_code;
use serde_json::{Map, Value};
use std::io::IsTerminal;

/// How wide a cell of a list may grow before it is cut.
const CELL_MAX: usize = 60;

/// Raw JSON, indented.
pub fn raw(value: &Value) {
    output::exactly(&format!("{value:#}"));
}

/// One page of a list.
pub fn page(page: &Value, is_json: bool) {
    if is_json {
        return raw(page);
    }
    let items: &[Value] = page.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    output::print(&list(items));
    if let Some(cursor) = page.get("next_cursor").and_then(Value::as_str).filter(|cursor| !cursor.is_empty())
    {
        output::complain(&format!("there are more: add --all, or --cursor {cursor}"));
    }
}

/// Any answer.
pub fn value(value: &Value, is_json: bool) {
    match value {
        Value::Null if is_json => {}
        Value::Null => output::print("done"),
        value if is_json => raw(value),
        Value::Object(fields) => {
            output::print(&thing(fields));
            if let Some(drawn) = picture(fields).filter(|_| std::io::stdout().is_terminal()) {
                output::print(&drawn);
            }
        }
        Value::Array(items) => output::print(&list(items)),
        value => output::print(&cell(value)),
    }
}

/// What an authenticator app reads from a terminal, where an answer has something for one.
fn picture(fields: &Map<String, Value>) -> Option<String> {
    let uri = fields.get("uri")?.as_str().filter(|uri| uri.starts_with("otpauth://"))?;
    qr_code::lines(uri).ok()
}

/// Columns that help nobody at a glance; `--json` has them.
fn is_left_out(name: &str) -> bool {
    name.ends_with("hash") || matches!(name, "request_id" | "updated_at" | "before" | "after")
}

/// Items as a table; columns without any value are left out.
pub fn list(items: &[Value]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let items: Vec<Value> = items.iter().map(with_its_row).collect();
    let mut columns: Vec<&str> = Vec::new();
    for (name, value) in items.iter().filter_map(Value::as_object).flatten() {
        if !is_blank(value) && !is_left_out(name) && !columns.contains(&name.as_str()) {
            columns.push(name);
        }
    }
    if columns.is_empty() {
        return items.iter().map(|item| cell(item) + "\n").collect();
    }
    let heading: Vec<String> = columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
    let heading: Vec<&str> = heading.iter().map(String::as_str).collect();
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            let shown = |name: &&str| match (item.get(*name), *name) {
                (Some(token), "new_token") => cell(token),
                (value, _) => value.map(brief).unwrap_or_default(),
            };
            columns.iter().map(shown).collect()
        })
        .collect();
    output::table(&heading, &rows)
}

/// What a person needs of an API key; `--json` has all.
const OF_A_KEY: [&str; 7] = ["id", "name", "owner_kind", "state", "scopes", "expires_at", "last_used_at"];

fn of_a_key(key: &Map<String, Value>) -> Map<String, Value> {
    OF_A_KEY.iter().filter_map(|name| Some(((*name).to_owned(), key.get(*name)?.clone()))).collect()
}

/// An item that is an API key, or what became of one: the text of its successor is told whole, it is not shown again.
fn key_in(item: &Map<String, Value>) -> Option<Map<String, Value>> {
    if item.contains_key("preview") && item.contains_key("owner_kind") {
        return Some(of_a_key(item));
    }
    let mut shown = of_a_key(item.get("api_key")?.as_object()?);
    shown.extend(item.get("left_alone").map(|why| ("left_alone".to_owned(), why.clone())));
    let made = item.get("successor").unwrap_or(&Value::Null);
    shown.extend(made.get("token").map(|token| ("new_token".to_owned(), token.clone())));
    shown.extend(made.pointer("/api_key/id").map(|id| ("new_id".to_owned(), id.clone())));
    Some(shown)
}

/// An item that wraps a row tells the row's values beside its own.
fn with_its_row(item: &Value) -> Value {
    if let Some(key) = item.as_object().and_then(key_in) {
        return Value::Object(key);
    }
    let mut item = item.clone();
    if let Some(fields) = item.as_object_mut()
        && let Some(Value::Object(row)) = fields.remove("row")
    {
        *fields = row.into_iter().chain(std::mem::take(fields)).collect();
    }
    item
}

/// A value in a table: things by their name, lists of things by their number, times to the second.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(items) if items.iter().any(Value::is_object) => format!("{} of them", items.len()),
        Value::String(text) => cut(output::to_the_second(text)),
        value => cut(cell(value)),
    }
}

/// The one text that names a thing: `member:ann@toys.example`, `invoice:1042`, a login, a key.
fn name_of(fields: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let (Some(kind), 2) = (text("type"), fields.len())
        && let Some(id) = text("id")
    {
        return Some(format!("{kind}:{id}"));
    }
    if let (Some("nobody"), 1) = (text("kind"), fields.len()) {
        return Some("nobody signed in".to_owned());
    }
    if let (Some((name, Value::String(value))), 1) = (fields.iter().next(), fields.len()) {
        let says_it_all = matches!(name.as_str(), "permission" | "type");
        return Some(if says_it_all { value.clone() } else { format!("{name}:{value}") });
    }
    if fields.contains_key("kind") {
        return text("login").or_else(|| text("key")).map(str::to_owned);
    }
    None
}

/// One thing: a line for each of its values, tables for lists inside.
pub fn thing(fields: &Map<String, Value>) -> String {
    let is_list = |value: &Value| match value {
        Value::Array(items) => items.iter().any(Value::is_object),
        Value::Object(fields) => fields.len() > 2,
        _ => false,
    };
    let width = fields.keys().map(|name| name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for (name, value) in fields.iter().filter(|(_, value)| !is_blank(value) && !is_list(value)) {
        text.push_str(&format!("{:width$}  {}\n", name.replace('_', " "), cell(value)));
    }
    for (name, value) in fields.iter().filter(|(_, value)| is_list(value)) {
        let inside = match value {
            Value::Object(fields) => indented(&thing(fields)),
            Value::Array(items) => list(items),
            value => cell(value),
        };
        text.push_str(&format!("\n{}:\n{inside}", name.replace('_', " ")));
    }
    match fields.values().any(Value::is_array) {
        _ if !text.is_empty() => text,
        true => "none\n".to_owned(),
        false => "done\n".to_owned(),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_blank),
        _ => false,
    }
}

/// A value on one line.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => name_of(fields).unwrap_or_else(|| {
            let parts = fields.iter().filter(|(_, value)| !is_blank(value));
            parts.map(|(name, value)| format!("{name}={}", cell(value))).collect::<Vec<_>>().join(" ")
        }),
        value => value.to_string(),
    }
}

fn cut(text: String) -> String {
    if text.chars().count() <= CELL_MAX {
        return text;
    }
    text.chars().take(CELL_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_shown_in_the_columns_a_person_needs_and_new_texts_whole() {
        let key = |id: &str| {
            json!({"id": id, "name": "shop", "preview": "chk_live_ab", "key_id": "ab", "owner_kind": "user", "owner_id": "7", "state": "live",
                   "scopes": ["sales:read"], "use_count": 3, "created_by": "9", "last_used_at": "2026-11-21T10:00:00.000000Z"})
        };
        let told = list(&[key("1")]);
        assert_eq!(told.lines().next().unwrap(), "ID  NAME  OWNER KIND  STATE  SCOPES      LAST USED AT");
        assert!(told.contains("1   shop  user        live   sales:read  2026-11-21T10:00:00Z"), "{told}");
        let token = format!("chk_live_{}", "x".repeat(63));
        let done = json!({"dry_run": false, "changed": 1, "has_more": false, "keys": [
            {"api_key": key("1"), "left_alone": null, "successor": {"token": token, "api_key": key("2")}},
            {"api_key": key("3"), "left_alone": "another user's", "successor": null}]});
        let told = thing(done.as_object().unwrap());
        assert!(told.contains(&token) && told.contains("another user's") && !told.contains("id="), "{told}");
    }

    #[test]
    fn who_was_not_signed_in_is_told_in_words() {
        assert_eq!(cell(&json!({"kind": "nobody"})), "nobody signed in");
        assert_eq!(cell(&json!({"kind": "operator", "login": "root"})), "root");
    }

    #[test]
    fn only_what_an_authenticator_app_reads_is_drawn() {
        let with = |uri: &str| picture(json!({ "id": 7, "uri": uri }).as_object().unwrap());
        assert!(with("otpauth://totp/ann?secret=JBSWY3DPEHPK3PXP").unwrap().lines().count() > 10);
        assert_eq!(with("https://charter.example"), None);
    }
}
