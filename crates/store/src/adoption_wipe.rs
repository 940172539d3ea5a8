//! Everything that stands in an organization, removed: for organizations that a run of adoption made and that are taken back.
//!
//! Which tables there are is one list, in the order in which rows refer to each other; a table that stands in no list is found by a test that
//! reads the schema. The trail of an organization and the chain of its entitlement events cannot be removed: an organization that has either
//! stays, closed and empty.

use charter_db::{Conn, Statement, Tx};
use charter_kernel::OrganizationId;

use crate::bulk::ids;
use crate::{Result, row};

/// A statement about the organizations of a JSON parameter; both texts end in a list that is compared with.
macro_rules! of_organizations {
    ($($before:literal),* ; $after:literal) => {
        Statement::forked(
            concat!($($before,)* " in (select unhex(value) from json_each($1))", $after),
            concat!($($before,)* " in (select v::uuid from jsonb_array_elements_text($1) e(v))", $after),
        )
    };
}

macro_rules! wiped {
    (@one $table:literal) => { of_organizations!("delete from ", $table, " where organization_id"; "") };
    (@one $table:literal $through:literal) => {
        of_organizations!("delete from ", $table, " where ", $through, " where organization_id"; ")")
    };
    ($($table:literal $($through:literal)?;)*) => {
        /// The tables whose rows go, each before those its rows refer to. A directory without an index on the organization is found
        /// through the table it leads to.
        const WIPED: &[(&str, Statement)] = &[$(($table, wiped!(@one $table $($through)?))),*];
        /// The tables that hold an organization itself, in the same order.
        const OWN: &[(&str, Statement)] = &[
            ("adopted_closed", of_organizations!("delete from adopted_closed where organization_id"; "")),
            ("adopted_organizations", of_organizations!("delete from adopted_organizations where organization_id"; "")),
            ("organization_revisions", of_organizations!("delete from organization_revisions where organization_id"; "")),
            ("org_entitlement_versions", of_organizations!("delete from org_entitlement_versions where organization_id"; "")),
            ("audit_heads", of_organizations!("delete from audit_heads where organization_id"; "")),
            ("organization_keys", of_organizations!(
                "delete from organization_keys where organization_key in (select organization_key from organizations where organization_id"; ")"
            )),
            ("organizations", of_organizations!("delete from organizations where organization_id"; "")),
        ];
    };
}

wiped! {
    "adopted_removals";
    "shadow_flips";
    "shadow_pairs";
    "shadow_counts";
    "shadow_organizations";
    "credential_rates";
    "credential_networks";
    "credential_uses";
    "credential_keys" "key_id in (select key_id from credentials";
    "credentials";
    "webhook_deliveries";
    "webhooks";
    "oauth_codes";
    "oauth_consents";
    "oauth_client_homes" "client_id in (select client_id from oauth_clients";
    "oauth_audiences";
    "oauth_clients";
    "invitation_homes" "invitation_id in (select invitation_id from invitations";
    "invitations";
    "registration_requests";
    "registration_settings";
    "organization_identity_settings";
    "idempotency_keys";
    "denial_counts";
    "usage_events";
    "org_usage";
    "org_limit_overrides";
    "org_previews";
    "org_subentitlements";
    "org_entitlements";
    "org_subscriptions";
    "resource_homes" "(resource_kind, resource_id, organization_id) in (select resource_kind, resource_id, organization_id from resources";
    "resources";
    "blocks";
    "grants";
    "assignments";
    "team_members";
    "teams";
    "role_permissions";
    "role_parents";
    "roles";
    "conditions";
    "principal_memberships" "(principal_id, organization_id) in (select principal_id, organization_id from memberships";
    "memberships";
}

const WITH_TRAIL: Statement = of_organizations!(
    "select o.organization_id from organizations o where (exists (select 1 from audit_events a where a.organization_id = o.organization_id) \
     or exists (select 1 from entitlement_events t where t.organization_id = o.organization_id)) and o.organization_id"; ""
);

/// The statements of this file, by name.
#[must_use]
pub fn statements() -> Vec<(&'static str, &'static Statement)> {
    let tables = WIPED.iter().chain(OWN).map(|(table, statement)| (*table, statement));
    tables.chain([("WITH_TRAIL", &WITH_TRAIL)]).collect()
}

/// The tables whose rows of an organization go with it.
#[must_use]
pub fn tables() -> Vec<&'static str> {
    WIPED.iter().chain(OWN).map(|(table, _)| *table).collect()
}

/// Those of the organizations whose trail or chain has begun.
pub async fn with_trail(conn: &mut Conn, of: &[OrganizationId]) -> Result<Vec<OrganizationId>> {
    row::list(conn, &WITH_TRAIL, params![ids(of)], row::organization).await
}

/// Removes all that stands in the organizations; gives how much it was.
pub async fn wipe(tx: &mut Tx, of: &[OrganizationId]) -> Result<u64> {
    let mut removed = 0;
    for (_, statement) in WIPED {
        removed += tx.execute(statement, params![ids(of)]).await?;
    }
    Ok(removed)
}

/// Removes the organizations themselves, which are empty and have no trail.
pub async fn remove(tx: &mut Tx, of: &[OrganizationId]) -> Result<u64> {
    let mut removed = 0;
    for (_, statement) in OWN {
        removed = tx.execute(statement, params![ids(of)]).await?;
    }
    Ok(removed)
}
