//! Which organizations are answered beside the rule of the system they were taken over from, and by which of the two; and who and what is
//! who and what there.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{Key, OrganizationId, PrincipalId, Timestamp};

use crate::{Page, Result, row};

statements! {
    GET = "select organization_id, mode, since, is_automatic, changed_by, last_flip_at, quiet_compared, quiet_pairs \
           from shadow_organizations where organization_id = $1";
    // Whoever counts waits here for whoever counts at the same moment, on both engines.
    HOLD = "update shadow_organizations set since = since where organization_id = $1";
    QUIET = "update shadow_organizations set quiet_compared = $2, quiet_pairs = $3 where organization_id = $1";
    ADOPTED = "select distinct organization_id from adopted_organizations where organization_id > $1 order by organization_id limit $2";
    IS_ADOPTED = "select 1 from adopted_organizations where organization_id = $1 limit 1";
    PUT = "insert into shadow_organizations (organization_id, mode, since, is_automatic, changed_by, last_flip_at) \
           values ($1, $2, $3, $4, $5, $6) on conflict (organization_id) do update set mode = excluded.mode, since = excluded.since, \
           is_automatic = excluded.is_automatic, changed_by = excluded.changed_by, last_flip_at = excluded.last_flip_at";
    FLIPPED = "update shadow_organizations set last_flip_at = $2 where organization_id = $1 and (last_flip_at is null or last_flip_at < $2)";
    ORGANIZATION_LINKS = "select legacy_id from adopted_organizations where organization_id = $1 and source_key = $2 order by legacy_id limit 2";
    USER_LINKS = "select a.legacy_id, p.login_folded from adopted_users a join principals p on p.principal_id = a.principal_id \
                  where a.principal_id = $1 and a.source_key = $2 order by a.legacy_id limit 2";
    NAMED_ORGANIZATIONS = "select a.legacy_id, a.organization_id, o.name from adopted_organizations a \
                           join organizations o on o.organization_id = a.organization_id \
                           where a.source_key = $1 and a.legacy_id > $2 order by a.legacy_id limit $3";
    NAMED_USERS = "select a.legacy_id, a.principal_id, p.login_folded, a.told_sum from adopted_users a \
                   join principals p on p.principal_id = a.principal_id \
                   where a.source_key = $1 and a.legacy_id > $2 order by a.legacy_id limit $3";
    ORGANIZATIONS_PAGE = "select legacy_id, organization_id from adopted_organizations where source_key = $1 and legacy_id > $2 \
                          order by legacy_id limit $3";
    USERS_PAGE = "select legacy_id, principal_id from adopted_users where source_key = $1 and legacy_id > $2 order by legacy_id limit $3";
    ORGANIZATION_OF = "select organization_id from adopted_organizations where source_key = $1 and legacy_id = $2";
    /// Where no run of the source before it stands, nobody is known any more once it goes.
    ANSWERING =
        "select o.organization_key from adopted_rows a cross join shadow_organizations s on s.organization_id = a.organization_id \
         and a.run_no = $1 and a.kind = 'organization' and a.row_key = '' cross join organizations o on o.organization_id = s.organization_id \
         where s.mode <> 'off' and not exists (select 1 from adopted_rows b join adoption_runs r on r.run_no = b.run_no and r.state <> 'undone' \
         and r.source_key = (select q.source_key from adoption_runs q where q.run_no = $1) where b.run_no < $1 and b.kind = 'organization' \
         and b.organization_id = a.organization_id) order by o.organization_key",
        "select o.organization_key from adopted_rows a join shadow_organizations s on s.organization_id = a.organization_id \
         and a.run_no = $1 and a.kind = 'organization' and a.row_key = '' join organizations o on o.organization_id = s.organization_id \
         where s.mode <> 'off' and not exists (select 1 from adopted_rows b join adoption_runs r on r.run_no = b.run_no and r.state <> 'undone' \
         and r.source_key = (select q.source_key from adoption_runs q where q.run_no = $1) where b.run_no < $1 and b.kind = 'organization' \
         and b.organization_id = a.organization_id) order by o.organization_key";
    PRINCIPAL_OF = "select principal_id from adopted_users where source_key = $1 and legacy_id = $2";
}

/// Whose answer an organization is given, and whether the other one is compared with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ShadowMode {
    /// Ours; nothing is compared.
    #[default]
    Off,
    /// The other system's; ours is compared.
    Shadow,
    /// Ours; the other system's is compared.
    CutOver,
}

impl ShadowMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Off, Self::Shadow, Self::CutOver];

    /// The word that is kept.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shadow => "shadow",
            Self::CutOver => "cut_over",
        }
    }

    /// The mode of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// The mode of one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowRow {
    /// Which organization.
    pub organization: OrganizationId,
    /// Its mode.
    pub mode: ShadowMode,
    /// Since when.
    pub since: Timestamp,
    /// Whether it goes back by itself when answers differ after it was cut over.
    pub is_automatic: bool,
    /// Who changed the mode; none is the operator, or Charter itself.
    pub changed_by: Option<PrincipalId>,
    /// When answers differed last.
    pub last_flip_at: Option<Timestamp>,
    /// What was compared since, or since the comparison began.
    pub quiet: Quiet,
}

/// What was compared without a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quiet {
    /// How many answers.
    pub compared: u64,
    /// Of how many accounts about how many permissions: each pair once.
    pub pairs: u64,
}

/// A row of the other system, and what it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its id there.
    pub legacy_id: String,
    /// The id here.
    pub id: u128,
}

/// An organization of the other system, and which one it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedOrganization {
    /// Its id there.
    pub legacy_id: String,
    /// The organization here.
    pub organization: OrganizationId,
    /// What it is called here.
    pub name: String,
}

/// A user of the other system, and whose account that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedUser {
    /// The id there.
    pub legacy_id: String,
    /// The account here.
    pub principal: PrincipalId,
    /// What it signs in with here.
    pub login: String,
    /// What stands for the login and the name that a run was told; none where runs before a version kept that did not.
    pub told_sum: Option<i64>,
}

fn shadow(row: RowRef<'_>) -> Result<ShadowRow> {
    Ok(ShadowRow {
        organization: row::organization(row)?,
        mode: row::word(row, 1, ShadowMode::from_word)?,
        since: row::time(row, 2)?,
        is_automatic: row.get(3)?,
        changed_by: row.get_opt_id(4)?.map(PrincipalId),
        last_flip_at: row::opt_time(row, 5)?,
        quiet: Quiet { compared: row.get(6)?, pairs: row.get(7)? },
    })
}

fn link(row: RowRef<'_>) -> Result<Link> {
    Ok(Link { legacy_id: row::text(row, 0)?, id: row.get_id(1)? })
}

/// The mode of an organization; none while nobody ever chose one.
pub async fn get(conn: &mut Conn, organization: OrganizationId) -> Result<Option<ShadowRow>> {
    row::opt(conn, &GET, params![organization], shadow).await
}

/// The mode of an organization, and nobody else counts what was compared there until the transaction ends.
pub async fn hold(tx: &mut Tx, organization: OrganizationId) -> Result<Option<ShadowRow>> {
    tx.execute(&HOLD, params![organization]).await?;
    get(tx, organization).await
}

/// Notes what was compared since answers differed last.
pub async fn quiet(tx: &mut Tx, organization: OrganizationId, it: Quiet) -> Result<()> {
    tx.execute(&QUIET, params![organization, it.compared, it.pairs]).await?;
    Ok(())
}

/// Organizations that were taken over from another system, in the order of their ids.
pub async fn adopted(conn: &mut Conn, after: OrganizationId, limit: u32) -> Result<Page<OrganizationId>> {
    row::page(conn, &ADOPTED, params![after], limit, row::organization).await
}

/// Whether an organization was taken over from another system.
pub async fn is_adopted(conn: &mut Conn, organization: OrganizationId) -> Result<bool> {
    row::exists(conn, &IS_ADOPTED, params![organization]).await
}

/// The organizations in shadow mode or cut over that a run of adoption wrote into, and none of its source before it that stands.
pub async fn answering(conn: &mut Conn, run: u64) -> Result<Vec<Key>> {
    row::list(conn, &ANSWERING, params![run], |row| row::parsed(row, 0)).await
}

/// Sets a mode. What was compared without a difference stays noted.
pub async fn put(tx: &mut Tx, organization: OrganizationId, it: &ShadowRow) -> Result<()> {
    let params =
        params![organization, it.mode.as_str(), it.since, it.is_automatic, it.changed_by, it.last_flip_at];
    tx.execute(&PUT, params).await?;
    Ok(())
}

/// Notes when answers differed last.
pub async fn flipped(tx: &mut Tx, organization: OrganizationId, at: Timestamp) -> Result<()> {
    tx.execute(&FLIPPED, params![organization, at]).await?;
    Ok(())
}

/// The ids an organization has in the other system, at most two of them: more than one is one too many.
pub async fn organization_links(
    conn: &mut Conn,
    organization: OrganizationId,
    source: &str,
) -> Result<Vec<String>> {
    row::list(conn, &ORGANIZATION_LINKS, params![organization, source], |row| row::text(row, 0)).await
}

/// The same of an account, each with what it signs in with here.
pub async fn user_links(
    conn: &mut Conn,
    principal: PrincipalId,
    source: &str,
) -> Result<Vec<(String, String)>> {
    let link = |row: RowRef<'_>| Ok((row::text(row, 0)?, row::text(row, 1)?));
    row::list(conn, &USER_LINKS, params![principal, source], link).await
}

/// Organizations of the other system with their names here, in the order of their ids there.
pub async fn named_organizations(
    conn: &mut Conn,
    source: &Key,
    after: &str,
    limit: u32,
) -> Result<Page<NamedOrganization>> {
    row::page(conn, &NAMED_ORGANIZATIONS, params![source, after], limit, |row| {
        Ok(NamedOrganization {
            legacy_id: row::text(row, 0)?,
            organization: OrganizationId(row.get_id(1)?),
            name: row::text(row, 2)?,
        })
    })
    .await
}

/// Users of the other system with what is known of their accounts here, in the order of their ids there.
pub async fn named_users(conn: &mut Conn, source: &Key, after: &str, limit: u32) -> Result<Page<NamedUser>> {
    row::page(conn, &NAMED_USERS, params![source, after], limit, |row| {
        Ok(NamedUser {
            legacy_id: row::text(row, 0)?,
            principal: PrincipalId(row.get_id(1)?),
            login: row::text(row, 2)?,
            told_sum: row.get(3)?,
        })
    })
    .await
}

/// Organizations of the other system, in the order of their ids there.
pub async fn organizations_page(
    conn: &mut Conn,
    source: &str,
    after: &str,
    limit: u32,
) -> Result<Page<Link>> {
    row::page(conn, &ORGANIZATIONS_PAGE, params![source, after], limit, link).await
}

/// Users of the other system, in the order of their ids there.
pub async fn users_page(conn: &mut Conn, source: &str, after: &str, limit: u32) -> Result<Page<Link>> {
    row::page(conn, &USERS_PAGE, params![source, after], limit, link).await
}

/// What an organization of the other system is here.
pub async fn organization_of(
    conn: &mut Conn,
    source: &str,
    legacy_id: &str,
) -> Result<Option<OrganizationId>> {
    row::opt(conn, &ORGANIZATION_OF, params![source, legacy_id], |row| Ok(OrganizationId(row.get_id(0)?)))
        .await
}

/// Who a user of the other system is here.
pub async fn principal_of(conn: &mut Conn, source: &str, legacy_id: &str) -> Result<Option<PrincipalId>> {
    row::opt(conn, &PRINCIPAL_OF, params![source, legacy_id], |row| Ok(PrincipalId(row.get_id(0)?))).await
}
