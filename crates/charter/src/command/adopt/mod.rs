//! `charter adopt`: taking over the roles of a running system, in steps that can each be looked at and taken back.

mod here;
mod inspect;
mod legacy;
mod plan;
#[cfg_attr(not(test), expect(dead_code, reason = "what carries a plan out writes it, and a rescue reads it"))]
pub mod record;

pub use inspect::{command as inspect_command, run as inspect};
pub use plan::{command as plan_command, run as plan};
