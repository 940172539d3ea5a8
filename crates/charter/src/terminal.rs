//! Asking a person for a password. Nothing of it is shown, and it is no argument, because arguments can be read by others.

use crate::config::Secret;
use crate::failure::{Failure, Result};
use std::io::{BufRead, IsTerminal, Write};
use std::process::Command;
use zeroize::Zeroizing;

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

/// The same where there may be none: an empty line, or the end of standard input.
pub fn optional_password(what: &str) -> Result<Option<Secret>> {
    let read = || Ok(read_line()?.map(|text| Secret::exact(&text)));
    if std::io::stdin().is_terminal() {
        silently(&format!("{what} (nothing, when none is asked for): "), read)
    } else {
        read()
    }
}

/// Asks for a word that shows that it is meant; none when there is nobody to ask.
pub fn word(prompt: &str) -> Result<Option<String>> {
    let mut err = std::io::stderr();
    let _ = write!(err, "{}", crate::output::shown(prompt));
    let _ = err.flush();
    Ok(read_line()?.map(|text| text.trim().to_owned()))
}

fn line() -> Result<Secret> {
    match read_line()? {
        Some(text) => Ok(Secret::exact(&text)),
        None => Err(Failure::new("no password came on standard input")),
    }
}

/// The next line of standard input; none when it is empty.
fn read_line() -> Result<Option<Zeroizing<String>>> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .read_line(&mut text)
        .map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
    let text = text.trim_end_matches(['\r', '\n']);
    Ok((!text.is_empty()).then(|| Zeroizing::new(text.to_owned())))
}

fn hidden(prompt: &str) -> Result<Secret> {
    silently(prompt, line)
}

fn silently<T>(prompt: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    let mut err = std::io::stderr();
    let _ = write!(err, "{}", crate::output::shown(prompt));
    let _ = err.flush();
    let is_silent = stty("-echo");
    let read = read();
    if is_silent {
        stty("echo");
        let _ = writeln!(err);
    }
    read
}

fn stty(word: &str) -> bool {
    Command::new("stty").arg(word).status().is_ok_and(|status| status.success())
}
