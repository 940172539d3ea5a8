//! Bringing the snapshots in memory up to date: from the change sequence, from what was announced, and from what was written here.

use super::Snapshots;
use charter_kernel::{OrganizationId, Problem, ProblemKind, Revision, Timestamp};
use charter_store as store;
use charter_store::removed_organization;
use std::sync::atomic::Ordering;

impl Snapshots {
    /// Reads the change sequence and brings every organization in memory up to date. An organization that cannot be brought up to
    /// date is dropped from memory, so that nobody decides by its old facts; the others are not held up by it.
    pub async fn catch_up(&self) -> Result<usize, Problem> {
        const PAGE: u32 = 1_000;
        let started = self.world.moment();
        let since = self.last_read.since(started);
        self.forget_removed(since, started.at).await?;
        let mut refreshed = 0;
        let mut page = reading_all!(self.database, |conn| store::revision::changed_since(conn, since, PAGE))?;
        loop {
            for change in &page.rows {
                match self.hear(change.organization, change.revision).await {
                    Ok(true) => refreshed += 1,
                    Ok(false) => {}
                    Err(problem) if problem.kind == ProblemKind::Unavailable => return Err(problem),
                    Err(problem) => {
                        tracing::error!(organization = %change.organization, %problem, "dropped from memory: its facts could not be read");
                        self.slots.remove(change.organization);
                    }
                }
            }
            let Some(last) = page.rows.last().copied().filter(|_| page.more) else { break };
            page = reading_all!(self.database, |conn| async move {
                store::revision::changed_after(conn, &last, PAGE).await
            })?;
        }
        self.read_registered_kinds().await?;
        self.last_read.note(started);
        Ok(refreshed)
    }

    /// Forgets organizations that are gone. Their revisions went with them, and one that comes back begins again: this is read before changes.
    async fn forget_removed(&self, since: Timestamp, now: Timestamp) -> Result<(), Problem> {
        const PAGE: u32 = 1_000;
        if since.plus_seconds(removed_organization::KEPT_SECONDS - store::revision::OVERLAP_SECONDS) < now {
            // Longer away than removals are told of.
            self.slots.clear_after(|| self.directory.forget_all());
            return Ok(());
        }
        let mut page = reading_all!(self.database, |conn| removed_organization::since(conn, since, PAGE))?;
        loop {
            self.directory.forget(&page.rows);
            for gone in &page.rows {
                self.forget(gone.organization);
            }
            let Some(last) = page.rows.last().cloned().filter(|_| page.more) else { return Ok(()) };
            page = reading_all!(self.database, |conn| async move {
                removed_organization::after(conn, &last, PAGE).await
            })?;
        }
    }

    /// Takes note that an organization is at a revision now, and reads it when this node is behind.
    pub async fn hear(&self, organization: OrganizationId, revision: Revision) -> Result<bool, Problem> {
        let Some(slot) = self.slots.get(organization) else { return Ok(false) };
        slot.heard.fetch_max(revision.0, Ordering::AcqRel);
        let behind = slot.snapshot.load_full().is_some_and(|snapshot| snapshot.shard().revision() < revision);
        if behind {
            self.build(organization, revision, self.world.now()).await?;
        }
        Ok(behind)
    }

    /// The same after a change that was made here. When its facts cannot be read nobody decides by the old ones, and the caller learns
    /// that the change stands.
    pub async fn hear_own(&self, organization: OrganizationId, revision: Revision) -> Result<bool, Problem> {
        match self.hear(organization, revision).await {
            Err(problem) if problem.kind == ProblemKind::Unavailable => {
                self.slots.remove(organization);
                let detail = "the change was made, and then the database could not be read: read it again";
                Err(Problem::new(ProblemKind::OutcomeUnknown, detail).retry_after(2))
            }
            heard => heard,
        }
    }

    /// Drops an organization from memory: whoever asks next reads its facts as they are then.
    pub(crate) fn forget(&self, organization: OrganizationId) {
        if self.slots.get(organization).is_some() {
            self.slots.remove(organization);
        }
    }
}
