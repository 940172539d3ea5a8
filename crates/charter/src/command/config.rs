//! `charter config`: what is in force, and everything that is wrong with it.

use super::{Invocation, arguments};
use crate::config::report;
use crate::failure::{Failure, Outcome, Result};
use crate::{breached, installation, output};
use clap::Command;

pub fn check_command() -> Command {
    arguments::server(Command::new("check"))
        .about("Show what is in force and everything that is wrong with it, without starting anything")
}

pub fn show_command() -> Command {
    arguments::server(Command::new("show")).about("Show every setting, its value and where it comes from")
}

/// Everything at once: faults of the configuration, and what production may not start with.
pub fn check(invocation: &Invocation<'_>) -> Result {
    let mut loaded = invocation.loaded.clone();
    if let Err(fault) = installation::breached(&loaded.configuration, breached::MANY_PLACES) {
        loaded.faults.push(fault);
    }
    let mut database = None;
    if loaded.configuration.production {
        let (found, told) = super::runtime(false)?.block_on(installation::trial_data(&loaded.configuration));
        loaded.production_faults.extend(found);
        database = told;
    }
    if invocation.is_json {
        let mut document = report::as_json(&loaded);
        if let (Some(document), Some(told)) = (document.as_object_mut(), database) {
            document.insert("database".to_owned(), told.into());
        }
        output::exactly(&format!("{document:#}"));
    } else {
        output::print(&report::table(&loaded));
        output::complain(&report::warnings(&loaded));
        if let Some(told) = database {
            output::print(&format!("\ndatabase: {told}"));
        }
    }
    let count = loaded.all_faults().count();
    if count == 0 {
        if !invocation.is_json {
            output::print("\nno faults");
        }
        return Ok(Outcome::Good);
    }
    Err(Failure::new(report::faults(loaded.all_faults()).trim_end().to_owned()))
}

/// The effective values.
pub fn show(invocation: &Invocation<'_>) -> Result {
    if invocation.is_json {
        output::exactly(&format!("{:#}", report::as_json(invocation.loaded)));
    } else {
        output::print(&report::table(invocation.loaded));
        output::complain(&report::warnings(invocation.loaded));
    }
    if invocation.loaded.faults.is_empty() {
        return Ok(Outcome::Good);
    }
    Err(Failure::new(report::faults(invocation.loaded.faults.iter()).trim_end().to_owned()))
}
