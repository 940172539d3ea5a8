//! JSON over HTTP. `edge` is the machinery every route shares, `gate` joins it to the application; each other file is one
//! concept: its wire types, its routes, its handlers, in the order of reading. Decisions and changes are made one floor down,
//! in `charter-app`.

mod account_page;
pub mod adoption;
mod adoption_follow;
mod adoption_held;
mod adoption_kept_away;
mod adoption_links;
mod adoption_password;
mod adoption_proof;
mod adoption_rows;
mod adoption_undo;
mod api_key;
mod api_key_admin;
mod assignment;
mod audit;
mod auth;
mod authzen;
mod block;
mod catalogue;
mod check;
mod condition;
pub mod edge;
mod email_change;
mod entitlement;
mod entitlement_access;
mod entitlement_event;
mod entitlement_override;
mod gate;
mod grant;
mod html_page;
mod identity_settings;
mod invitation;
mod leaked_key;
mod legacy;
mod limit;
mod mail;
mod member;
mod member_factor;
mod member_session;
mod mine;
mod oauth;
mod organization;
mod own_account;
mod own_factor;
mod password_reset;
mod plan;
mod plan_preview;
mod policy;
pub mod qr_code;
mod question;
mod registration;
mod registration_settings;
mod resource;
mod role;
mod search;
mod second_sign_in;
mod service_token;
mod shadow;
mod shown;
mod signed_in;
mod signing_key;
mod subscription;
mod support;
mod takeover;
mod team;
mod usage;
mod user_import;
mod vault;
mod webhook;

use edge::Routes;

/// Every route of the service. A concept adds its own by one line here: `.with(role::routes())`.
pub fn routes() -> Routes {
    Routes::new()
        .with(organization::routes())
        .with(member::routes())
        .with(team::routes())
        .with(role::routes())
        .with(assignment::routes())
        .with(grant::routes())
        .with(block::routes())
        .with(condition::routes())
        .with(resource::routes())
        .with(check::routes())
        .with(search::routes())
        .with(mine::routes())
        .with(audit::routes())
        .with(catalogue::routes())
        .with(entitlement::routes())
        .with(entitlement_override::routes())
        .with(entitlement_event::routes())
        .with(takeover::routes())
        .with(plan::routes())
        .with(subscription::routes())
        .with(policy::routes())
        .with(limit::routes())
        .with(usage::routes())
        .with(user_import::routes())
        .with(adoption::routes())
        .with(adoption_rows::routes())
        .with(adoption_follow::routes())
        .with(adoption_held::routes())
        .with(adoption_kept_away::routes())
        .with(adoption_links::routes())
        .with(adoption_undo::routes())
        .with(adoption_password::routes())
        .with(adoption_proof::routes())
        .with(legacy::routes())
        .with(shadow::routes())
        .with(auth::routes())
        .with(password_reset::routes())
        .with(mail::routes())
        .with(second_sign_in::routes())
        .with(own_account::routes())
        .with(own_factor::routes())
        .with(account_page::routes())
        .with(member_session::routes())
        .with(support::routes())
        .with(member_factor::routes())
        .with(identity_settings::routes())
        .with(registration_settings::routes())
        .with(registration::routes())
        .with(invitation::routes())
        .with(email_change::routes())
        .with(authzen::routes())
        .with(api_key::routes())
        .with(api_key_admin::routes())
        .with(leaked_key::routes())
        .with(service_token::routes())
        .with(signing_key::routes())
        .with(vault::routes())
        .with(webhook::routes())
        .with(oauth::routes())
}
