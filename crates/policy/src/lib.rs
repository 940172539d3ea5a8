//! The decision engine: may this principal do this to that, here, now? Pure: facts, clock and catalogue come in as values.
//!
//! [`Index`] is the catalogue compiled, [`Shard`] one organization's facts compiled against it; [`Shard::decide`] answers a
//! [`Check`] without locks and, short of a CEL condition, without allocation. [`mod@reference`] answers the same question
//! step by step over the plain rows and says why; the tests hold the two together on random worlds. Searching, previews,
//! separation of duties, limits and legacy documents live beside. Next floor up: `charter-app`.

mod about;
mod cel;
mod check;
pub mod condition;
mod decide;
mod entitle;
mod graph;
mod index;
mod interner;
pub mod legacy;
pub mod limits;
pub mod preview;
pub mod reference;
pub mod search;
mod set;
mod shard;
pub mod sod;

pub use about::{all_role_codes, role_codes};
pub use check::{Assertable, Check, CheckResource, Context};
pub use index::{ADMINISTRATOR, Index, IndexError, KindIndex};
pub use interner::Interner;
pub use reference::{Access, Explanation, PathStep, Remedy};
pub use search::{WhatCan, WhoCan};
pub use set::{PermissionIndex, PermissionSet};
pub use shard::{CompileError, Shard};
