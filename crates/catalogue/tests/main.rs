//! The catalogue document, proven.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod shipped;
