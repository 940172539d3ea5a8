//! What runs of adoption keep away from members, remembered with the snapshot: shadow mode asks where our answer is no. A run that is opened or
//! taken back is a new revision of the organizations it wrote into, and so another snapshot on every node.

use charter_db::Database;
use charter_kernel::{OrganizationId, PrincipalId, Problem, RoleKey};
use charter_policy::{Index, PermissionSet, role_codes};
use charter_store as store;
use charter_store::adoption_removal::RemovalKind;
use std::collections::HashMap;
use std::sync::OnceLock;

type Sets = HashMap<PrincipalId, PermissionSet>;

/// What is kept away, once it was read.
#[derive(Debug, Default)]
pub(crate) struct RememberedKeptAway(OnceLock<Sets>);

impl RememberedKeptAway {
    /// What is kept away from each member; read now when nobody asked before.
    pub async fn read(
        &self,
        database: &Database,
        organization: OrganizationId,
        index: &Index,
    ) -> Result<&Sets, Problem> {
        if let Some(known) = self.0.get() {
            return Ok(known);
        }
        let rows = reading!(database, organization, |conn| {
            store::adoption_removal::in_organization(conn, organization)
        })?;
        let mut sets = Sets::new();
        let facts = match rows.is_empty() {
            true => None,
            false => store::facts::load(database, organization).await?,
        };
        if let Some(facts) = facts {
            for row in rows {
                let set = sets.entry(row.principal).or_default();
                if row.kind == RemovalKind::Membership {
                    set.add(&PermissionSet::first(index.len()));
                }
                let role = row.key.parse::<RoleKey>().ok();
                if let Some(role) = role.filter(|_| row.kind == RemovalKind::Assignment) {
                    set.add(&role_codes(index, &facts, &role));
                }
                for pattern in row.gives.iter().filter_map(|pattern| pattern.parse().ok()) {
                    set.add(&index.pattern(&pattern));
                }
            }
        }
        Ok(self.0.get_or_init(|| sets))
    }
}
