//! A write: one transaction on one organization that ends with `commit(event)`. There is no other way to make a `Committed`, and
//! a closure that returns anything else does not compile; so nothing changes without an audit event beside it.

use crate::App;
use crate::audit;
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::audit::AuditEvent;
use charter_kernel::{OrganizationId, Problem, ProblemKind, Revision, Timestamp};
use charter_store as store;

/// A change that is not final after this long is given up.
const LONGEST_SECONDS: i64 = 30;

/// An open transaction that holds the organization's row lock: writers of one organization are serial on both engines.
pub struct Transaction<'a> {
    tx: &'a mut Tx,
    organization: OrganizationId,
    revision: Revision,
    now: Timestamp,
    app: App,
}

/// What a committed write leaves behind. Only `Transaction::commit` makes one.
pub struct Committed<T> {
    value: T,
    revision: Revision,
}

impl<'a> Transaction<'a> {
    async fn open(
        tx: &'a mut Tx,
        organization: OrganizationId,
        now: Timestamp,
        app: App,
    ) -> Result<Self, Problem> {
        let revision = store::revision::bump(tx, organization, now).await?;
        tx.notify(&format!("{organization}:{revision}")).await?;
        Ok(Self { tx, organization, revision, now, app })
    }

    /// The statements of the store run on this.
    pub fn tx(&mut self) -> &mut Tx {
        self.tx
    }

    /// The organization whose lock is held.
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The revision this write makes.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Bumps another organization as well: a fact of a principal that is a member there changed.
    pub async fn touch(&mut self, organization: OrganizationId) -> Result<(), Problem> {
        if organization != self.organization {
            let revision = store::revision::bump(self.tx, organization, self.now).await?;
            self.tx.notify(&format!("{organization}:{revision}")).await?;
        }
        Ok(())
    }

    /// Ends the write with its audit events, at least one of them.
    pub async fn commit<T>(
        self,
        event: AuditEvent,
        more: Vec<AuditEvent>,
        value: T,
    ) -> Result<Committed<T>, Problem> {
        // Other nodes read changes again from 60 s back: one that is stamped earlier than that must not become final.
        if self.app.now() > self.now.plus_seconds(LONGEST_SECONDS) {
            return Err(Problem::new(
                ProblemKind::Unavailable,
                "the change took too long and was given up: try again",
            )
            .retry_after(1));
        }
        let written = audit::append(self.tx, std::iter::once(event).chain(more)).await;
        written.inspect_err(|problem| self.app.shadow().unaudited(self.organization, problem))?;
        Ok(Committed { value, revision: self.revision })
    }
}

impl App {
    /// Runs one write. When it returns, the change is durable and this node decides by it.
    pub async fn write<T, F>(
        &self,
        scope: Scope,
        organization: OrganizationId,
        now: Timestamp,
        body: F,
    ) -> Result<(T, Revision), Problem>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(Transaction<'a>) -> BoxFuture<'a, Result<Committed<T>, Problem>> + Send + 'static,
    {
        let app = self.clone();
        let committed = self
            .database()
            .write(scope, move |tx: &mut Tx| {
                Box::pin(async move {
                    let transaction = Transaction::open(tx, organization, now, app).await?;
                    body(transaction).await
                }) as BoxFuture<'_, Result<Committed<T>, Problem>>
            })
            .await?;
        Ok((committed.value, committed.revision))
    }
}
