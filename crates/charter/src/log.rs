//! The log, on standard error.

use crate::config::Configuration;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts it. A command is quiet unless something is wrong; a server tells what it does.
pub fn start(configuration: &Configuration, is_server: bool) {
    let filter = if is_server || configuration.log != "info" { configuration.log.as_str() } else { "warn" };
    let Ok(filter) = EnvFilter::builder().parse(filter) else { return };
    let is_terminal = std::io::stderr().is_terminal();
    let is_json = match configuration.log_format.as_str() {
        "json" => true,
        "text" => false,
        _ => is_server && !is_terminal,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if is_json {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        builder.with_ansi(is_terminal).with_target(false).try_init()
    };
    if let Err(error) = started {
        crate::output::complain(&format!("the log cannot be started: {error}"));
    }
}
