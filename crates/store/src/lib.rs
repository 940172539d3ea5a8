//! SQL of the foundation, one file per concept: each statement is a constant at the top of the file whose functions run it.
//!
//! Reading functions take a `Conn`, writing ones a `Tx` (which lends itself as a `Conn`); transactions, permits and audit belong to the floor
//! above, `charter-app`. Statements on an organization's data take its id first. `facts.rs` puts the rows of all concepts together for
//! the decision; `migration/` makes and unmakes the tables.

#[macro_use]
mod param;
mod row;

mod bulk;

pub mod adoption_account;
pub mod adoption_bare;
pub mod adoption_change;
pub mod adoption_held;
pub mod adoption_hold;
pub mod adoption_link;
pub mod adoption_login;
pub mod adoption_lookup;
pub mod adoption_made;
pub mod adoption_password;
pub mod adoption_preview;
pub mod adoption_remembered;
pub mod adoption_removal;
pub mod adoption_row;
pub mod adoption_run;
pub mod adoption_stopped;
pub mod adoption_undo;
pub mod adoption_wipe;
pub mod assignment;
pub mod audit;
pub mod block;
pub mod catalogue;
pub mod condition;
pub mod credential;
pub mod credential_use;
pub mod denial;
pub mod email_change;
pub mod entitlement;
pub mod entitlement_event;
pub mod facts;
pub mod grant;
pub mod idempotency;
pub mod identity_settings;
pub mod invitation;
pub mod lease;
pub mod legacy_secret;
pub mod limit;
pub mod mail;
pub mod membership;
pub mod migration;
pub mod node;
pub mod oauth_audience;
pub mod oauth_client;
pub mod oauth_code;
pub mod oauth_consent;
pub mod organization;
pub mod password_reset;
pub mod plan;
pub mod preview;
pub mod principal;
pub mod recovery_code;
pub mod registration;
pub mod registration_settings;
pub mod removed_organization;
pub mod rescue;
pub mod resource;
pub mod revision;
pub mod role;
pub mod sealed;
pub mod second_factor;
pub mod session;
pub mod setting;
pub mod setup_code;
pub mod shadow;
pub mod shadow_count;
pub mod short_password;
pub mod sign_in_counter;
pub mod signing_key;
pub mod spent_challenge;
pub mod subscription;
pub mod team;
pub mod token_floor;
pub mod usage;
pub mod vault;
pub mod wall;
pub mod webhook;
pub mod webhook_delivery;

use charter_db::{Error, Statement};
use charter_kernel::{PrincipalId, Timestamp};

/// What a store function gives.
pub type Result<T> = core::result::Result<T, Error>;

/// Some rows after a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, at most as many as asked for.
    pub rows: Vec<T>,
    /// Whether there are more behind the last.
    pub more: bool,
}

/// Who gave something, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// The giver; none for the operator and for Charter itself.
    pub by: Option<PrincipalId>,
    /// When.
    pub at: Timestamp,
}

/// Every statement of this crate as file and name with its text, for the tests that read plans.
#[must_use]
pub fn statements() -> Vec<(String, &'static Statement)> {
    type Listed = (&'static str, fn() -> Vec<(&'static str, &'static Statement)>);
    const FILES: &[Listed] = &[
        ("adoption_account", adoption_account::statements),
        ("adoption_bare", adoption_bare::statements),
        ("adoption_change", adoption_change::statements),
        ("adoption_held", adoption_held::statements),
        ("adoption_hold", adoption_hold::statements),
        ("adoption_link", adoption_link::statements),
        ("adoption_login", adoption_login::statements),
        ("adoption_lookup", adoption_lookup::statements),
        ("adoption_row", adoption_row::statements),
        ("adoption_run", adoption_run::statements),
        ("adoption_stopped", adoption_stopped::statements),
        ("adoption_made", adoption_made::statements),
        ("adoption_password", adoption_password::statements),
        ("adoption_preview", adoption_preview::statements),
        ("adoption_removal", adoption_removal::statements),
        ("adoption_remembered", adoption_remembered::statements),
        ("adoption_undo", adoption_undo::statements),
        ("adoption_wipe", adoption_wipe::statements),
        ("assignment", assignment::statements),
        ("audit", audit::statements),
        ("block", block::statements),
        ("catalogue", catalogue::statements),
        ("condition", condition::statements),
        ("credential", credential::statements),
        ("credential_use", credential_use::statements),
        ("denial", denial::statements),
        ("email_change", email_change::statements),
        ("entitlement", entitlement::statements),
        ("entitlement_event", entitlement_event::statements),
        ("grant", grant::statements),
        ("idempotency", idempotency::statements),
        ("identity_settings", identity_settings::statements),
        ("invitation", invitation::statements),
        ("lease", lease::statements),
        ("legacy_secret", legacy_secret::statements),
        ("limit", limit::statements),
        ("mail", mail::statements),
        ("membership", membership::statements),
        ("node", node::statements),
        ("oauth_audience", oauth_audience::statements),
        ("oauth_client", oauth_client::statements),
        ("oauth_code", oauth_code::statements),
        ("oauth_consent", oauth_consent::statements),
        ("organization", organization::statements),
        ("password_reset", password_reset::statements),
        ("plan", plan::statements),
        ("preview", preview::statements),
        ("principal", principal::statements),
        ("recovery_code", recovery_code::statements),
        ("registration", registration::statements),
        ("registration_settings", registration_settings::statements),
        ("resource", resource::statements),
        ("removed_organization", removed_organization::statements),
        ("revision", revision::statements),
        ("role", role::statements),
        ("second_factor", second_factor::statements),
        ("session", session::statements),
        ("setting", setting::statements),
        ("setup_code", setup_code::statements),
        ("sign_in_counter", sign_in_counter::statements),
        ("shadow", shadow::statements),
        ("shadow_count", shadow_count::statements),
        ("short_password", short_password::statements),
        ("signing_key", signing_key::statements),
        ("spent_challenge", spent_challenge::statements),
        ("subscription", subscription::statements),
        ("team", team::statements),
        ("token_floor", token_floor::statements),
        ("usage", usage::statements),
        ("vault", vault::statements),
        ("webhook", webhook::statements),
        ("webhook_delivery", webhook_delivery::statements),
    ];
    let mut all = Vec::new();
    for (file, list) in FILES {
        all.extend(list().into_iter().map(|(name, statement)| (format!("{file}::{name}"), statement)));
    }
    all
}
