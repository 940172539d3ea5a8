//! Measurements that need more than Charter itself: other engines on the same world (`engines`).
//!
//! A workspace of its own, so that building and testing Charter never builds what it is compared with. `docs/benchmarks.md` says what
//! came of it and how each engine was used.

pub mod engine;
pub mod world;
