//! The store against both engines: one story each.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod adoption;
mod audit;
mod catalogue;
mod concepts;
mod entitlement;
mod facts;
mod filling;
mod identity;
mod isolation;
mod migration;
mod own_schema;
mod sealed;
mod statement;
mod world;
