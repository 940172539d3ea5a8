//! `charter adopt codes`: which code each permission of the other system becomes. It writes nothing, anywhere.

use super::super::Invocation;
use super::super::show;
use super::legacy;
use crate::failure::{Failure, Outcome, Result};
use crate::output;
use charter_adopt::naming;
use clap::Command;
use serde_json::{Value, json};

pub fn command() -> Command {
    Command::new("codes")
        .about("Show which code each permission of the other system becomes")
        .arg(legacy::from())
        .arg(legacy::map())
        .arg(legacy::system())
        .after_help("Nothing is written, there or here. There need not be an installation yet.")
}

/// Reads the other system and tells the codes.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let found = legacy::read(invocation).await?;
    let mut codes = Vec::new();
    for name in &found.heard.facts.permissions {
        let code = naming::code(name).ok_or_else(|| {
            Failure::new(format!("the permission {name:?} cannot become a code of its own"))
        })?;
        codes.push((name.as_str(), code));
    }
    codes.sort_unstable();
    if invocation.is_json {
        let items: Vec<Value> =
            codes.iter().map(|(name, code)| json!({ "permission": name, "code": code.as_str() })).collect();
        show::raw(&json!({ "items": items }));
    } else if codes.is_empty() {
        output::print(
            "the other system has no permissions of its own: its roles are words, and nothing of it becomes a code",
        );
    } else {
        let rows: Vec<Vec<String>> =
            codes.iter().map(|(name, code)| vec![(*name).to_owned(), code.as_str().to_owned()]).collect();
        output::print(&output::table(&["permission there", "code here"], &rows));
    }
    Ok(Outcome::Good)
}
