//! Asking a person for a password. Nothing of it is shown, and it is no argument, because arguments can be read by others.

use crate::config::Secret;
use crate::failure::{Failure, Result};
use std::io::{BufRead, IsTerminal, Write};
use std::process::Command;

/// Asks twice in a terminal; without one, reads the first line of standard input.
pub fn new_password(what: &str) -> Result<Secret> {
    if !std::io::stdin().is_terminal() {
        return line();
    }
    let first = hidden(&format!("{what}: "))?;
    let second = hidden("The same again: ")?;
    if first == second { Ok(first) } else { Err(Failure::new("the two differ: nothing was changed")) }
}

/// Asks once in a terminal; without one, reads the next line of standard input.
pub fn password(what: &str) -> Result<Secret> {
    if std::io::stdin().is_terminal() { hidden(&format!("{what}: ")) } else { line() }
}

fn line() -> Result<Secret> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut text)
        .map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Failure::new("no password came on standard input"));
    }
    Ok(Secret::exact(text))
}

fn hidden(prompt: &str) -> Result<Secret> {
    let mut err = std::io::stderr();
    let _ = write!(err, "{prompt}");
    let _ = err.flush();
    let is_silent = stty("-echo");
    let read = line();
    if is_silent {
        stty("echo");
        let _ = writeln!(err);
    }
    read
}

fn stty(word: &str) -> bool {
    Command::new("stty").arg(word).status().is_ok_and(|status| status.success())
}
