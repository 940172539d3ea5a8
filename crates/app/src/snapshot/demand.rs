//! The second factor an organization demands, remembered with its snapshot: the guard asks with each request, and answers while the database is
//! away. A change of what is demanded is a new revision, and so another snapshot.

use charter_db::Database;
use charter_kernel::{OrganizationId, Problem};
use charter_store as store;
use charter_store::identity_settings::SecondFactorDemand;
use std::sync::OnceLock;

/// What is demanded, once it was read.
#[derive(Debug, Default)]
pub(crate) struct RememberedDemand(OnceLock<SecondFactorDemand>);

impl RememberedDemand {
    /// What is demanded; read now when nobody asked before.
    pub async fn read(
        &self,
        database: &Database,
        organization: OrganizationId,
    ) -> Result<SecondFactorDemand, Problem> {
        if let Some(demand) = self.0.get() {
            return Ok(*demand);
        }
        let settings =
            reading!(database, organization, |conn| store::identity_settings::get(conn, organization))?;
        Ok(*self.0.get_or_init(|| settings.second_factor))
    }

    /// Takes over what was demanded before a change that changed nothing of it.
    pub fn take_over(&self, before: &Self) {
        if let Some(demand) = before.0.get() {
            self.0.get_or_init(|| *demand);
        }
    }
}
