//! The catalogue document: modules, permissions, shipped roles, conflicts, limits, plans and resource types as one TOML text.
//!
//! What ships is `catalogue.toml`. `parse` reads it strictly, `lint` proves the rules its head comment states, `diff` says what a new
//! version changes, `merge` puts an installation's own document beside it, `print` writes the canonical form. Everything here is pure;
//! storing a catalogue and offering an upgrade is the business of the application.

pub mod diff;
pub mod document;
pub mod lint;
mod merge;
mod parse;
mod print;

pub use diff::{CatalogueDiff, diff};
pub use document::{Fault, counted};
pub use lint::{Lint, Weight, lint};

pub use merge::{OwnCatalogue, merge};
pub use parse::{parse, parse_own};
pub use print::{print, print_own};

use charter_kernel::catalogue::Catalogue;

/// The catalogue that ships.
pub const SHIPPED: &str = include_str!("../catalogue.toml");

/// The catalogue that ships, read.
pub fn shipped() -> Result<Catalogue, Vec<Fault>> {
    parse(SHIPPED)
}
