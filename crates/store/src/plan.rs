//! Plans: versions with the modules they enable and the limits they set. A published version never changes.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::entitlement::{Enforcement, PlanLimit};
use charter_kernel::{Key, ModuleKey, SubmoduleKey, Timestamp};

use crate::{Result, row};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select plan_key, version, name, description, rank, trial_days, status, published_at from plans ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into plans (plan_key, version, name, description, rank, trial_days, status, published_at) \
              values ($1, $2, $3, $4, $5, $6, $7, $8)";
    INSERT_ENTITLEMENT = "insert into plan_entitlements (plan_key, version, module_key, submodule_key, access) \
                          values ($1, $2, $3, $4, $5)";
    INSERT_LIMIT = "insert into plan_limits (plan_key, version, limit_key, value, enforcement, warn_percent) \
                    values ($1, $2, $3, $4, $5, $6)";
    DELETE_ENTITLEMENTS = "delete from plan_entitlements where plan_key = $1 and version = $2";
    DELETE_LIMITS = "delete from plan_limits where plan_key = $1 and version = $2";
    DELETE_DRAFT = "delete from plans where plan_key = $1 and version = $2 and status = 'draft'";
    PUBLISH = "update plans set status = 'published', published_at = $3 where plan_key = $1 and version = $2 and status = 'draft'";
    RETIRE = "update plans set status = 'retired' where plan_key = $1 and version = $2 and status = 'published'";
    GET = select!("where plan_key = $1 and version = $2");
    LATEST = select!("where plan_key = $1 and status = 'published' order by version desc limit 1");
    VERSIONS = select!("where plan_key = $1 order by version");
    LIST = select!("order by plan_key, version");
    ENTITLEMENTS = "select module_key, submodule_key, access from plan_entitlements where plan_key = $1 and version = $2 \
                    order by module_key, submodule_key";
    LIMITS = "select limit_key, value, enforcement, warn_percent from plan_limits where plan_key = $1 and version = $2 \
              order by limit_key";
}

/// Where a plan version is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanStatus {
    /// May still change; nobody can subscribe.
    Draft,
    /// Never changes.
    Published,
    /// Kept for those who have it.
    Retired,
}

impl PlanStatus {
    /// The word used in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Retired => "retired",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Draft, Self::Published, Self::Retired].into_iter().find(|status| status.as_str() == word)
    }
}

/// A module or submodule that a plan enables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanEntitlement {
    /// The module.
    pub module: ModuleKey,
    /// The submodule, or all of them.
    pub submodule: Option<SubmoduleKey>,
    /// For the preview list only.
    pub preview: bool,
}

/// One version of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Its key.
    pub key: Key,
    /// Its version, from one.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Orders plans for upgrade and downgrade.
    pub rank: i64,
    /// Days of trial.
    pub trial_days: u32,
    /// Where it is in its life.
    pub status: PlanStatus,
    /// When it was published.
    pub published_at: Option<Timestamp>,
    /// What it enables.
    pub entitlements: Vec<PlanEntitlement>,
    /// What it limits.
    pub limits: Vec<PlanLimit>,
}

/// A plan version whose entitlements and limits have not been read yet.
fn plan(row: RowRef<'_>) -> Result<PlanRow> {
    Ok(PlanRow {
        key: row::parsed(row, 0)?,
        version: row.get(1)?,
        name: row::text(row, 2)?,
        description: row::text(row, 3)?,
        rank: row.get(4)?,
        trial_days: row.get(5)?,
        status: row::word(row, 6, PlanStatus::from_word)?,
        published_at: row::opt_time(row, 7)?,
        entitlements: Vec::new(),
        limits: Vec::new(),
    })
}

fn entitlement(row: RowRef<'_>) -> Result<PlanEntitlement> {
    let submodule = row.get_text(1)?;
    Ok(PlanEntitlement {
        module: row::parsed(row, 0)?,
        submodule: if submodule.is_empty() { None } else { Some(row::parsed(row, 1)?) },
        preview: row.get_text(2)? == "preview",
    })
}

fn limit(row: RowRef<'_>) -> Result<PlanLimit> {
    Ok(PlanLimit {
        limit: row::parsed(row, 0)?,
        value: row.get_opt_int(1)?,
        enforcement: row::word(row, 2, Enforcement::from_word)?,
        warn_percent: u8::try_from(row.get_int(3)?).map_err(|error| row::bad(3, error))?,
    })
}

/// Adds a version with its modules and limits.
pub async fn insert(tx: &mut Tx, plan: &PlanRow) -> Result<()> {
    let it = plan;
    let (status, published_at) = (it.status.as_str(), it.published_at);
    let params =
        params![it.key, it.version, it.name, it.description, it.rank, it.trial_days, status, published_at];
    tx.execute(&INSERT, params).await?;
    for line in &it.entitlements {
        let submodule = line.submodule.as_ref().map_or("", Key::as_str);
        let access = if line.preview { "preview" } else { "full" };
        tx.execute(&INSERT_ENTITLEMENT, params![it.key, it.version, line.module, submodule, access]).await?;
    }
    for line in &it.limits {
        let enforcement = line.enforcement.as_str();
        let params = params![it.key, it.version, line.limit, line.value, enforcement, line.warn_percent];
        tx.execute(&INSERT_LIMIT, params).await?;
    }
    Ok(())
}

/// Removes a draft; a published or retired version is refused, as its lines are then still referred to.
pub async fn delete_draft(tx: &mut Tx, key: &Key, version: u32) -> Result<bool> {
    let Some(found) = get(tx, key, version).await? else { return Ok(false) };
    if found.status != PlanStatus::Draft {
        return Ok(false);
    }
    tx.execute(&DELETE_ENTITLEMENTS, params![key, version]).await?;
    tx.execute(&DELETE_LIMITS, params![key, version]).await?;
    Ok(tx.execute(&DELETE_DRAFT, params![key, version]).await? > 0)
}

/// Publishes a draft.
pub async fn publish(tx: &mut Tx, key: &Key, version: u32, now: Timestamp) -> Result<bool> {
    Ok(tx.execute(&PUBLISH, params![key, version, now]).await? > 0)
}

/// Retires a published version; those who have it keep it.
pub async fn retire(tx: &mut Tx, key: &Key, version: u32) -> Result<bool> {
    Ok(tx.execute(&RETIRE, params![key, version]).await? > 0)
}

/// One version.
pub async fn get(conn: &mut Conn, key: &Key, version: u32) -> Result<Option<PlanRow>> {
    let found = row::opt(conn, &GET, params![key, version], plan).await?;
    filled(conn, found).await
}

/// The newest published version.
pub async fn latest(conn: &mut Conn, key: &Key) -> Result<Option<PlanRow>> {
    let found = row::opt(conn, &LATEST, params![key], plan).await?;
    filled(conn, found).await
}

/// All versions of a plan.
pub async fn versions(conn: &mut Conn, key: &Key) -> Result<Vec<PlanRow>> {
    let found = row::list(conn, &VERSIONS, params![key], plan).await?;
    all_filled(conn, found).await
}

/// All versions of all plans.
pub async fn list(conn: &mut Conn) -> Result<Vec<PlanRow>> {
    let found = row::list(conn, &LIST, &[], plan).await?;
    all_filled(conn, found).await
}

async fn all_filled(conn: &mut Conn, found: Vec<PlanRow>) -> Result<Vec<PlanRow>> {
    let mut plans = Vec::with_capacity(found.len());
    for plan in found {
        plans.extend(filled(conn, Some(plan)).await?);
    }
    Ok(plans)
}

async fn filled(conn: &mut Conn, plan: Option<PlanRow>) -> Result<Option<PlanRow>> {
    let Some(mut plan) = plan else { return Ok(None) };
    let params = params![plan.key, plan.version];
    plan.entitlements = row::list(conn, &ENTITLEMENTS, params, entitlement).await?;
    plan.limits = limits(conn, &plan.key, plan.version).await?;
    Ok(Some(plan))
}

/// The limits a plan version sets.
pub async fn limits(conn: &mut Conn, key: &Key, version: u32) -> Result<Vec<PlanLimit>> {
    row::list(conn, &LIMITS, params![key, version], limit).await
}
