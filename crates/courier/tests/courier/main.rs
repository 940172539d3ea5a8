//! Letters and events over real connections, and what becomes of them when the other side is no help.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod guide;
mod kv;
mod mail;
mod webhook;
