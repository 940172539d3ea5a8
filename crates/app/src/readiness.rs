//! What has to hold before this node may be sent requests.

use crate::App;
use charter_store as store;
use std::sync::atomic::Ordering;

/// One thing that has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyCheck {
    /// Its name.
    pub name: &'static str,
    /// What is wrong, when something is.
    pub fault: Option<String>,
}

impl App {
    /// Says that the process is about to end: it answers on, and tells load balancers to look elsewhere.
    pub fn stop(&self) {
        self.inner.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Asks the database and looks at the age of what decisions are made from.
    pub async fn readiness(&self) -> Vec<ReadyCheck> {
        let (database, schema) = match store::migration::states(self.database()).await {
            Err(error) => {
                // Anybody may ask: where the database stands and what it said is for the log.
                tracing::warn!(%error, "the database does not answer");
                (Some("does not answer: the log says why".to_owned()), None)
            }
            Ok(states) => {
                let missing = states.iter().find(|state| state.applied_at.is_none());
                (None, missing.map(|state| format!("{} is missing: run `charter migrate up`", state.name)))
            }
        };
        let facts = self.snapshots().require_fresh(self.now()).err().map(|problem| problem.detail);
        let is_stopping = self.inner.is_stopping.load(Ordering::Relaxed);
        let process = is_stopping.then(|| "is stopping".to_owned());
        [("process", process), ("database", database), ("schema", schema), ("facts", facts)]
            .map(|(name, fault)| ReadyCheck { name, fault })
            .to_vec()
    }
}
