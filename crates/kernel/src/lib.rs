//! The words of Charter: ids, time, permission names, the facts a decision reads, the decision itself, and problems.
//!
//! Everything here is a value. No clock, no randomness, no I/O: whoever needs "now" or a fresh id is handed one.
//! Scalars (ids, times, codes) carry a text form for the wire; composite facts do not, so that a change of shape breaks
//! a compile and never a client. Next floor up: `charter-policy`, which decides; `charter-store`, which keeps.

pub mod audit;
pub mod catalogue;
pub mod condition;
pub mod count;
pub mod decision;
pub mod entitlement;
pub mod facts;
pub mod id;
pub mod key;
pub mod permission;
pub mod problem;
pub mod time;

pub use condition::{Condition, ConditionKey};
pub use count::counted;
pub use decision::{DecidedBy, Decision, Effect, Layer, Reason, Revision};
pub use facts::{Reach, ResourceRef, Subject};
pub use id::*;
pub use key::{Key, ModuleKey, ResourceTypeKey, RoleKey, SubmoduleKey, TeamKey};
pub use permission::{Pattern, PermissionCode};
pub use problem::{Problem, ProblemKind};
pub use time::{Timestamp, Window};
