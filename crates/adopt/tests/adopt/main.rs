//! Readers against databases that the frameworks made themselves, and against tables made by hand after those of systems that cannot be run here.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod flask_appbuilder;
mod following;
mod frameworks;
mod frappe;
mod keycloak;
mod laravel;
mod named;
mod odoo;
mod shared;
mod sums;
mod tryton;
