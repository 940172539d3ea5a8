//! Takes over the roles of a running system: readers turn its tables into facts, a mapping says what becomes of its roles, a plan lists
//! what would be written, and a proof sets what everybody may do afterwards beside what they could do before. It writes nothing itself.

pub mod accepting;
pub mod anomaly;
pub mod answers;
pub mod away;
pub mod beside;
pub mod change;
pub mod check;
mod effect;
pub mod facts;
pub mod fingerprint;
pub mod following;
pub mod ground;
pub mod ids;
pub mod intent;
pub mod known;
pub mod making;
pub mod mapping;
pub mod module;
pub mod modules;
pub mod named;
pub mod naming;
pub mod obstacles;
pub mod over_all;
pub mod plan;
pub mod proof;
pub mod removals;
pub mod rows;
pub mod rules;
pub mod sets;
pub mod source;
pub mod sums;
pub mod taken;
pub mod universe;
