//! `charter adopt`: taking over the roles of a running system, in steps that can each be looked at and taken back.

mod apply;
mod data;
mod desk;
mod drift;
mod equivalence;
mod follow;
mod here;
mod inspect;
mod interrupt;
pub mod legacy;
mod passwords;
mod plan;
mod progress;
mod proof;
mod ready;
pub mod record;
mod replay;
mod rollback;
mod rollback_preview;
mod runs;
pub mod shadow;
mod stopped;
mod tables;
mod telling;
mod verify;

pub use apply::{command as apply_command, run as apply};
pub use inspect::{command as inspect_command, run as inspect};
pub use plan::{command as plan_command, run as plan};
pub use proof::{check as check_proof, command as check_proof_command};
pub use replay::{command as shadow_command, run as replay};
pub use rollback::{command as rollback_command, run as rollback};
pub use runs::{command as status_command, run as status};
pub use verify::{command as verify_command, run as verify};
