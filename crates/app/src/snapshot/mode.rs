//! Whose answer the organization is given, remembered with its snapshot: a check asks with each question and pays one read of memory for it.
//! A change of the mode is a new revision, and so another snapshot on every node.

use charter_db::Database;
use charter_kernel::{OrganizationId, Problem, Timestamp};
use charter_store as store;
use charter_store::shadow::ShadowMode;
use std::sync::OnceLock;

/// A mode, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeSince {
    /// The mode.
    pub mode: ShadowMode,
    /// Since when.
    pub since: Timestamp,
}

/// The mode, once it was read.
#[derive(Debug, Default)]
pub(crate) struct RememberedMode(OnceLock<ModeSince>);

impl RememberedMode {
    /// The mode, when it is known already.
    #[inline]
    pub fn known(&self) -> Option<ModeSince> {
        self.0.get().copied()
    }

    /// The mode; read now when nobody asked before.
    pub async fn read(
        &self,
        database: &Database,
        organization: OrganizationId,
    ) -> Result<ModeSince, Problem> {
        if let Some(mode) = self.known() {
            return Ok(mode);
        }
        let row = reading!(database, organization, |conn| store::shadow::get(conn, organization))?;
        let mode = row.map_or(ModeSince { mode: ShadowMode::Off, since: Timestamp(0) }, |row| ModeSince {
            mode: row.mode,
            since: row.since,
        });
        Ok(*self.0.get_or_init(|| mode))
    }

    /// Takes over the mode from before a change that changed nothing of it.
    pub fn take_over(&self, before: &Self) {
        if let Some(mode) = before.known() {
            self.0.get_or_init(|| mode);
        }
    }
}
