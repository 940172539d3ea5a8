//! Use cases over both databases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod api_key;
mod entitlement;
mod hostile_texts;
mod identity;
mod key_rotation;
mod legacy;
mod nodes;
mod user_import;
mod vault;
mod world;
