//! Loading every organization in advance, in bulk, so that nobody waits for the first check of theirs. Checks are answered meanwhile, and
//! an organization that somebody asks for first is loaded for them alone.

use crate::App;
use charter_kernel::Problem;
use charter_store as store;
use store::facts::Spans;

impl App {
    /// Plans the loading of every organization there is, for loaders that work side by side.
    pub async fn plan_warming(&self) -> Result<Spans, Problem> {
        Ok(Spans::plan(self.database()).await?)
    }

    /// Loads and compiles the organizations that no other loader of the plan took, until none is left; gives how many. What is in memory
    /// already stays unless what was read is newer; what changed while it was read is found by the next poll, which reaches back.
    pub async fn warm(&self, plan: &Spans) -> Result<u64, Problem> {
        let app = self.clone();
        let loaded = store::facts::for_each_organization(self.database(), plan, move |facts| {
            let organization = facts.organization.id;
            match app.snapshots().compile(&facts) {
                Ok(snapshot) => app.snapshots().swap(organization, snapshot),
                Err(problem) => tracing::warn!(%organization, %problem, "not loaded in advance"),
            }
            Ok(())
        });
        Ok(loaded.await?)
    }
}
