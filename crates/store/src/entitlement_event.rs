//! Entitlement events: what changed in an organization's entitlements, chained like the audit trail.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{ModuleKey, OrganizationId, RequestId, Timestamp};

use crate::audit::{Hash, Head};
use crate::{Page, Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select organization_id, seq, at, actor, cause, action, module_key, submodule_key, limit_key, before, after, reason, \
             correlation_id, prev_hash, hash from entitlement_events ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into entitlement_events (organization_id, seq, at, actor, cause, action, module_key, submodule_key, limit_key, \
              before, after, reason, correlation_id, prev_hash, hash) \
              values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    HEAD = "select seq, hash from entitlement_events where organization_id = $1 order by seq desc limit 1";
    PAGE = select!("where organization_id = $1 and seq < $2 order by seq desc limit $3");
    PAGE_OF_MODULE = select!("where organization_id = $1 and module_key = $2 and seq < $3 order by seq desc limit $4");
    EACH = select!("where organization_id = $1 and seq >= $2 order by seq");
}

/// What made the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A request.
    Api,
    /// The job that ends what has run out.
    Sweeper,
    /// The migration of `enabled_modules`.
    Migration,
    /// A new version of a plan.
    PlanPublish,
}

impl Cause {
    /// The word used in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Sweeper => "sweeper",
            Self::Migration => "migration",
            Self::PlanPublish => "plan_publish",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Api, Self::Sweeper, Self::Migration, Self::PlanPublish]
            .into_iter()
            .find(|cause| cause.as_str() == word)
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntitlementEvent {
    /// Its number, from one.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: a login, an account or a part of Charter.
    pub actor: String,
    /// What made the change.
    pub cause: Cause,
    /// What happened, as `noun.verb`.
    pub action: String,
    /// The module, where it is about one.
    pub module: Option<ModuleKey>,
    /// The submodule, where it is about one.
    pub submodule: Option<ModuleKey>,
    /// The limit, where it is about one.
    pub limit: Option<ModuleKey>,
    /// The thing before, a JSON text.
    pub before: Option<String>,
    /// The thing after, a JSON text.
    pub after: Option<String>,
    /// Why.
    pub reason: String,
    /// The request that caused it.
    pub correlation: Option<RequestId>,
    /// Hash of the event before.
    pub prev_hash: Hash,
    /// Hash of this one.
    pub hash: Hash,
}

fn event(row: RowRef<'_>) -> Result<EntitlementEvent> {
    Ok(EntitlementEvent {
        seq: row.get(1)?,
        at: row::time(row, 2)?,
        actor: row::text(row, 3)?,
        cause: row::word(row, 4, Cause::from_word)?,
        action: row::text(row, 5)?,
        module: row::opt_key(row, 6)?,
        submodule: row::opt_key(row, 7)?,
        limit: row::opt_key(row, 8)?,
        before: row::opt_text(row, 9)?,
        after: row::opt_text(row, 10)?,
        reason: row::text(row, 11)?,
        correlation: row.get_opt_id(12)?.map(RequestId),
        prev_hash: row.get(13)?,
        hash: row.get(14)?,
    })
}

/// The end of the chain; zero and zeros before the first event. Safe to go on from once the revision is locked.
pub async fn head(conn: &mut Conn, organization: OrganizationId) -> Result<Head> {
    let found =
        row::opt(conn, &HEAD, params![organization], |row| Ok(Head { seq: row.get(0)?, hash: row.get(1)? }))
            .await?;
    Ok(found.unwrap_or(Head { seq: 0, hash: [0; 32] }))
}

/// Adds an event that follows the head, its hash computed.
pub async fn append(tx: &mut Tx, organization: OrganizationId, event: &EntitlementEvent) -> Result<()> {
    let it = event;
    tx.execute(
        &INSERT,
        params![
            organization,
            it.seq,
            it.at,
            it.actor,
            it.cause.as_str(),
            it.action,
            it.module,
            it.submodule,
            it.limit,
            it.before,
            it.after,
            it.reason,
            it.correlation,
            it.prev_hash,
            it.hash
        ],
    )
    .await?;
    Ok(())
}

/// The events below a number, newest first; of one module, or of all.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    module: Option<&ModuleKey>,
    below: u64,
    limit: u32,
) -> Result<Page<EntitlementEvent>> {
    match module {
        Some(module) => {
            row::page(conn, &PAGE_OF_MODULE, params![organization, module, below], limit, event).await
        }
        None => row::page(conn, &PAGE, params![organization, below], limit, event).await,
    }
}

/// Hands over the events from a number on, in their order: to verify or export.
pub async fn for_each<E: From<charter_db::Error> + Send>(
    conn: &mut Conn,
    organization: OrganizationId,
    from: u64,
    mut f: impl FnMut(EntitlementEvent) -> core::result::Result<(), E> + Send,
) -> core::result::Result<(), E> {
    conn.for_each(&EACH, params![organization, from], |row| f(event(row)?)).await
}
