//! `charter adopt`: taking over the roles of a running system, in steps that can each be looked at and taken back.

mod inspect;
mod legacy;
pub mod record;

pub use inspect::{command as inspect_command, run as inspect};
