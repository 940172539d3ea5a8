//! The catalogue document, proven.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod compare;
mod extension;
mod faults;
mod rules;
mod shipped;
