//! What the engine must hold: tables with a row for each sentence of the rules, properties on random worlds, and a matrix of
//! the shipped roles for people to read.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod conditions;
mod entitlements;
mod legacy;
mod limits;
mod matrix;
mod order;
mod properties;
mod sod;
mod world;
