//! The edge, tried against a gate made of a few lists.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod document;
mod edge;
mod fake;
mod hostile;
mod once;
mod pages;
mod server;
mod stories;
mod strict_json;
