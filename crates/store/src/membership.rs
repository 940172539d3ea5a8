//! Memberships: principals in organizations, and the directory of a principal's organizations.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::{MemberFact, PrincipalKind, PrincipalStatus};
use charter_kernel::{OrganizationId, PrincipalId, Timestamp, Window};

use crate::param::Document;
use crate::row::{self, Span};
use crate::{Page, Result};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select m.organization_id, m.principal_id, p.kind, p.login_folded, p.name, m.status, p.status, m.starts_at, m.ends_at, m.attributes \
             from memberships m join principals p on p.principal_id = m.principal_id ",
            $rest
        )
    };
}

statements! {
    INSERT = "insert into memberships (organization_id, principal_id, status, starts_at, ends_at, attributes, created_at, updated_at) \
              values ($1, $2, $3, $4, $5, $6, $7, $7)";
    INSERT_DIRECTORY = "insert into principal_memberships (principal_id, organization_id) values ($2, $1)";
    UPDATE = "update memberships set status = $3, starts_at = $4, ends_at = $5, attributes = $6, updated_at = $7 \
              where organization_id = $1 and principal_id = $2";
    DELETE = "delete from memberships where organization_id = $1 and principal_id = $2";
    DELETE_DIRECTORY = "delete from principal_memberships where organization_id = $1 and principal_id = $2";
    GET = select!("where m.organization_id = $1 and m.principal_id = $2");
    /// Writers of SQLite are serial anyway.
    HOLD = "select 1 from memberships m join principals p on p.principal_id = m.principal_id where m.organization_id = $1 and m.principal_id = $2",
        "select 1 from memberships m join principals p on p.principal_id = m.principal_id where m.organization_id = $1 and m.principal_id = $2 \
         for share";
    EXISTS = "select 1 from memberships where organization_id = $1 and principal_id = $2";
    PAGE = select!("where m.organization_id = $1 and m.principal_id > $2 order by m.principal_id limit $3");
    COUNT = "select count(*) from memberships where organization_id = $1";
    OF_PRINCIPAL = "select organization_id from principal_memberships where principal_id = $1 order by organization_id";
    FACTS = select!("where m.organization_id = $1 order by m.principal_id");
    /// In bulk without logins and names, which no decision reads. PostgreSQL would read every principal for a span of organizations; the
    /// fence makes it look up those that are members.
    ALL_FACTS = "select m.organization_id, m.principal_id, p.kind, '', '', m.status, p.status, m.starts_at, m.ends_at, m.attributes \
                 from memberships m join principals p on p.principal_id = m.principal_id \
                 where m.organization_id >= $1 and m.organization_id <= $2 order by m.organization_id, m.principal_id",
        "select m.organization_id, m.principal_id, p.kind, '', '', m.status, p.status, m.starts_at, m.ends_at, m.attributes \
         from memberships m cross join lateral (select kind, status from principals p where p.principal_id = m.principal_id offset 0) p \
         where m.organization_id >= $1 and m.organization_id <= $2 order by m.organization_id, m.principal_id";
}

fn member(row: RowRef<'_>) -> Result<MemberFact> {
    Ok(MemberFact {
        principal: PrincipalId(row.get_id(1)?),
        kind: row::word(row, 2, PrincipalKind::from_word)?,
        login: row::text(row, 3)?,
        name: row::text(row, 4)?,
        status: row::word(row, 5, PrincipalStatus::from_word)?,
        account_status: row::word(row, 6, PrincipalStatus::from_word)?,
        window: row::window(row, 7)?,
        attributes: row::text(row, 9)?,
    })
}

/// Adds a membership; `attributes` is a JSON object. An existing one violates `memberships_pkey`.
pub async fn insert(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
    status: PrincipalStatus,
    window: Window,
    attributes: &str,
    now: Timestamp,
) -> Result<()> {
    let (status, from, to) = (status.as_str(), window.from(), window.to());
    let params = params![organization, principal, status, from, to, Document(attributes), now];
    tx.execute(&INSERT, params).await?;
    tx.execute(&INSERT_DIRECTORY, params![organization, principal]).await?;
    Ok(())
}

/// Changes status, window and attributes.
pub async fn update(
    tx: &mut Tx,
    organization: OrganizationId,
    principal: PrincipalId,
    status: PrincipalStatus,
    window: Window,
    attributes: &str,
    now: Timestamp,
) -> Result<bool> {
    let (status, from, to) = (status.as_str(), window.from(), window.to());
    let params = params![organization, principal, status, from, to, Document(attributes), now];
    Ok(tx.execute(&UPDATE, params).await? > 0)
}

/// Removes a membership. Assignments, grants and places in teams must be gone before: each has a `delete_of_principal`.
pub async fn delete(tx: &mut Tx, organization: OrganizationId, principal: PrincipalId) -> Result<bool> {
    tx.execute(&DELETE_DIRECTORY, params![organization, principal]).await?;
    Ok(tx.execute(&DELETE, params![organization, principal]).await? > 0)
}

/// The membership of a principal.
pub async fn get(
    conn: &mut Conn,
    organization: OrganizationId,
    principal: PrincipalId,
) -> Result<Option<MemberFact>> {
    row::opt(conn, &GET, params![organization, principal], member).await
}

/// Whether the principal has a membership, live or not.
pub async fn exists(conn: &mut Conn, organization: OrganizationId, principal: PrincipalId) -> Result<bool> {
    row::exists(conn, &EXISTS, params![organization, principal]).await
}

/// Holds the membership of a principal, and the account: nobody changes or removes them before this is final. Nothing means: there is none.
pub async fn hold(tx: &mut Tx, organization: OrganizationId, principal: PrincipalId) -> Result<bool> {
    row::exists(tx, &HOLD, params![organization, principal]).await
}

/// The members after an id.
pub async fn page(
    conn: &mut Conn,
    organization: OrganizationId,
    after: PrincipalId,
    limit: u32,
) -> Result<Page<MemberFact>> {
    row::page(conn, &PAGE, params![organization, after], limit, member).await
}

/// How many members the organization has.
pub async fn count(conn: &mut Conn, organization: OrganizationId) -> Result<u64> {
    conn.query_one(&COUNT, params![organization]).await?.get(0)
}

/// The organizations a principal is a member of.
pub async fn organizations_of(conn: &mut Conn, principal: PrincipalId) -> Result<Vec<OrganizationId>> {
    row::list(conn, &OF_PRINCIPAL, params![principal], row::organization).await
}

pub(crate) async fn each(
    conn: &mut Conn,
    span: Span,
    f: impl FnMut(OrganizationId, MemberFact) + Send,
) -> Result<()> {
    row::each(conn, span, [&FACTS, &ALL_FACTS], member, f).await
}
