//! Files of users, as another system exports them: CSV with a heading, or one JSON object a line.

use crate::failure::{Failure, Result};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a heading.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// A user of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUser {
    /// The line it begins on.
    pub line: u64,
    /// What the API is given.
    pub body: Map<String, Value>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line.
    pub line: u64,
    /// What is wrong.
    pub detail: String,
}

const EXPECTED: &str = "login (or email, username), password_hash (or hash, password) and name";

/// The field of the API that a column is.
fn field_of(column: &str) -> Option<&'static str> {
    match column.trim().to_ascii_lowercase().as_str() {
        "login" | "email" | "e-mail" | "username" => Some("login"),
        "name" => Some("name"),
        "password_hash" | "hash" | "password" => Some("password_hash"),
        _ => None,
    }
}

/// Reads a file whole: its users, or everything that is wrong with it.
pub fn read(text: &str, format: Format) -> Result<(Vec<FileUser>, Vec<Fault>)> {
    // Spreadsheets put a mark before the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let (users, mut faults) = match format {
        Format::Csv => csv_users(&text)?,
        Format::JsonLines => json_users(&text),
    };
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for user in &users {
        let login = user.body.get("login").and_then(Value::as_str).unwrap_or_default();
        if let Some(first) = seen.insert(login.trim().to_lowercase(), user.line) {
            faults.push(Fault { line: user.line, detail: format!("login: the same as on line {first}") });
        }
    }
    faults.sort_by_key(|fault| fault.line);
    if users.is_empty() && faults.is_empty() {
        return Err(Failure::new("there is no user in the file"));
    }
    Ok((users, faults))
}

fn csv_users(text: &str) -> Result<(Vec<FileUser>, Vec<Fault>)> {
    let heading = text.lines().next().unwrap_or_default();
    let delimiter = if heading.contains(';') && !heading.contains(',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let heading = reader.headers().map_err(|error| Failure::new(error.to_string()))?.clone();
    let mut columns = Vec::new();
    for column in &heading {
        let field = field_of(column).filter(|field| !columns.contains(field));
        columns.push(field.ok_or_else(|| {
            Failure::new(format!(
                "line 1: the column {column:?} is unknown or there twice; expected are {EXPECTED}"
            ))
        })?);
    }
    for needed in ["login", "password_hash"] {
        if !columns.contains(&needed) {
            return Err(Failure::new(format!("line 1: no column for {needed}; expected are {EXPECTED}")));
        }
    }
    let (mut users, mut faults) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let named = columns.iter().zip(&record).filter(|(_, value)| !value.is_empty());
                let body = named.map(|(field, value)| ((*field).to_owned(), Value::from(value))).collect();
                keep(&mut users, &mut faults, FileUser { line, body });
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let detail = match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("{expected_len} values are expected, {len} are there")
                    }
                    _ => "not comma-separated values".to_owned(),
                };
                faults.push(Fault { line, detail });
            }
        }
    }
    Ok((users, faults))
}

fn json_users(text: &str) -> (Vec<FileUser>, Vec<Fault>) {
    let (mut users, mut faults) = (Vec::new(), Vec::new());
    for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        match json_user(text) {
            Ok(body) => keep(&mut users, &mut faults, FileUser { line, body }),
            Err(detail) => faults.push(Fault { line, detail }),
        }
    }
    (users, faults)
}

fn json_user(text: &str) -> std::result::Result<Map<String, Value>, String> {
    let Ok(Value::Object(object)) = serde_json::from_str(text) else {
        return Err("not a JSON object".to_owned());
    };
    let mut body = Map::new();
    for (name, value) in object {
        let field = field_of(&name).ok_or_else(|| format!("{name:?} is unknown; expected are {EXPECTED}"))?;
        match value {
            Value::Null => {}
            Value::String(_) if !body.contains_key(field) => {
                body.insert(field.to_owned(), value);
            }
            Value::String(_) => return Err(format!("{field}: there twice")),
            _ => return Err(format!("{field}: a text is expected")),
        }
    }
    Ok(body)
}

fn keep(users: &mut Vec<FileUser>, faults: &mut Vec<Fault>, user: FileUser) {
    match ["login", "password_hash"].into_iter().find(|needed| !user.body.contains_key(*needed)) {
        Some(missing) => faults.push(Fault { line: user.line, detail: format!("{missing}: missing") }),
        None => users.push(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, format: Format) -> Vec<(u64, String)> {
        let (users, faults) = read(text, format).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        users.into_iter().map(|user| (user.line, Value::Object(user.body).to_string())).collect()
    }

    #[test]
    fn columns_have_any_order_and_the_names_other_systems_give_them() {
        let expected =
            (2, r#"{"login":"ann@toys.example","name":"Toys, Ann","password_hash":"$2b$x"}"#.to_owned());
        let text = "email,name,hash\nann@toys.example,\"Toys, Ann\",$2b$x\n";
        assert_eq!(lines(text, Format::Csv), [expected]);
        let text = "\u{feff}Password;Username\r\n$2b$x;ann\r\n$2b$y;bob\r\n";
        let found = lines(text, Format::Csv);
        assert_eq!(found[1], (3, r#"{"password_hash":"$2b$y","login":"bob"}"#.to_owned()));
        let text =
            "{\"login\":\"ann\",\"hash\":\"x\",\"name\":null}\n\n{\"email\":\"bob\",\"password_hash\":\"y\"}";
        let found = lines(text, Format::JsonLines);
        assert_eq!(found[1], (3, r#"{"login":"bob","password_hash":"y"}"#.to_owned()));
    }

    #[test]
    fn each_line_that_is_wrong_is_told_with_its_number() {
        let text = "login,hash\nann,x\nbob\n,y\nANN ,z\ncat,\n";
        let (users, faults) = read(text, Format::Csv).unwrap();
        assert_eq!(users.len(), 2);
        let told: Vec<String> =
            faults.iter().map(|fault| format!("{}: {}", fault.line, fault.detail)).collect();
        assert_eq!(
            told,
            [
                "3: 2 values are expected, 1 are there",
                "4: login: missing",
                "5: login: the same as on line 2",
                "6: password_hash: missing"
            ]
        );
        let text = "[]\n{\"login\":1}\n{\"login\":\"a\",\"salary\":\"1\"}\n{\"login\":\"a\",\"email\":\"b\"}\n{\"login\":\"a\"}\n{";
        let (users, faults) = read(text, Format::JsonLines).unwrap();
        assert_eq!((users.len(), faults.len()), (0, 6), "{faults:?}");
    }

    #[test]
    fn a_heading_that_does_not_fit_is_refused() {
        for text in
            ["", "login,hash\n", "login\nann\n", "login,hash,salary\nann,x,1\n", "login,email,hash\na,b,c\n"]
        {
            assert!(read(text, Format::Csv).is_err(), "{text:?} passes");
        }
        assert!(read("\n\n", Format::JsonLines).is_err());
    }

    #[test]
    fn no_file_makes_the_reader_stumble() {
        let seeds = [
            "email,name,password\nann@toys.example,\"Toys, Ann\",$2b$10$x\nbob@toys.example,,y\n",
            "{\"login\":\"ann\",\"hash\":\"x\",\"name\":null}\n{\"email\":\"bob\",\"password_hash\":\"y\"}\n",
        ];
        for text in charter_testkit::hostile::texts(&seeds, 3_000) {
            for format in [Format::Csv, Format::JsonLines] {
                let Ok((users, _)) = read(&text, format) else { continue };
                let needed = |user: &FileUser| {
                    user.body.contains_key("login") && user.body.contains_key("password_hash")
                };
                assert!(users.iter().all(needed), "{text:?}");
            }
        }
    }
}
