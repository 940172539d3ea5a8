//! What a run of adoption changed or removed of what runs before it wrote, noted as it was: by these rows it is put back.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::facts::{AssignmentFact, GrantFact};
use charter_kernel::{OrganizationId, Timestamp};
use serde_json::json;

use crate::assignment::{self, AssignmentRow};
use crate::bulk::{hex, rows};
use crate::{Result, grant, row};

statements! {
    /// The first note of a row stands: a batch that is written again changes nothing.
    NOTE =
        "insert into adopted_changes (run_no, kind, organization_id, row_key, before, after, changed_at) \
         select $2, $3, unhex(e.value->>'o'), e.value->>'k', e.value->'b', e.value->'a', $4 from json_each($1) e where true \
         on conflict (run_no, kind, organization_id, row_key) do nothing",
        "insert into adopted_changes (run_no, kind, organization_id, row_key, before, after, changed_at) \
         select $2, $3, e.o, e.k, e.b, e.a, $4 from jsonb_to_recordset($1) as e(o uuid, k text, b jsonb, a jsonb) \
         on conflict (run_no, kind, organization_id, row_key) do nothing";
    NOTES = "select organization_id, row_key, before, after, changed_at, run_no from adopted_changes \
             where run_no = $1 and kind = $2 order by organization_id, row_key limit $3";
    NOTES_AFTER = "select organization_id, row_key, before, after, changed_at, run_no from adopted_changes \
                   where run_no = $1 and kind = $2 and (organization_id, row_key) > ($3, $4) order by organization_id, row_key limit $5";
    OF_ROWS =
        "select c.organization_id, c.row_key, c.before, c.after, c.changed_at, c.run_no from json_each($1) e cross join adopted_changes c \
         on c.kind = $2 and c.organization_id = unhex(e.value->>'o') and c.row_key = e.value->>'k' order by c.run_no",
        "select c.organization_id, c.row_key, c.before, c.after, c.changed_at, c.run_no from jsonb_to_recordset($1) as e(o uuid, k text) \
         join adopted_changes c on c.kind = $2 and c.organization_id = e.o and c.row_key = e.k order by c.run_no";
    FORGET =
        "delete from adopted_changes where run_no = $2 and kind = $3 and (organization_id, row_key) in \
         (select unhex(e.value->>'o'), e.value->>'k' from json_each($1) e)",
        "delete from adopted_changes where run_no = $2 and kind = $3 and (organization_id, row_key) in \
         (select e.o, e.k from jsonb_to_recordset($1) as e(o uuid, k text))";
    COUNTS = "select kind, count(*) from adopted_changes where run_no = $1 group by kind order by kind";
    /// Rows that cannot be put back: whoever held them is no member any more, nor by a membership that is put back first.
    LOST =
        "select count(*) from adopted_changes c where c.run_no = $1 and c.kind in ('assignment', 'grant') and not exists \
         (select 1 from memberships m where m.organization_id = c.organization_id and m.principal_id = unhex(c.before->>'principal')) \
         and not exists (select 1 from adopted_changes m where m.run_no = c.run_no and m.kind = 'membership' and m.organization_id = c.organization_id \
         and m.row_key = c.before->>'principal' and m.after is null)",
        "select count(*) from adopted_changes c where c.run_no = $1 and c.kind in ('assignment', 'grant') and not exists \
         (select 1 from memberships m where m.organization_id = c.organization_id and m.principal_id = jsonb_extract_path_text(c.before, 'principal')::uuid) \
         and not exists (select 1 from adopted_changes m where m.run_no = c.run_no and m.kind = 'membership' and m.organization_id = c.organization_id \
         and m.row_key = jsonb_extract_path_text(c.before, 'principal') and m.after is null)";
    ASSIGNMENTS =
        "select a.organization_id, a.assignment_id, a.role_key, a.principal_id, a.team_id, a.starts_at, a.ends_at, a.condition_key, a.reason, \
         a.given_by, a.given_at from json_each($1) e cross join assignments a \
         on a.organization_id = unhex(e.value->>'o') and a.assignment_id = unhex(e.value->>'k')",
        "select a.organization_id, a.assignment_id, a.role_key, a.principal_id, a.team_id, a.starts_at, a.ends_at, a.condition_key, a.reason, \
         a.given_by, a.given_at from jsonb_to_recordset($1) as e(o uuid, k uuid) \
         join assignments a on a.organization_id = e.o and a.assignment_id = e.k";
    GRANTS =
        "select g.organization_id, g.grant_id, g.principal_id, g.team_id, g.pattern, g.resource_kind, g.resource_id, g.effect, g.starts_at, \
         g.ends_at, g.condition_key, g.reason, g.given_by, g.given_at from json_each($1) e cross join grants g \
         on g.organization_id = unhex(e.value->>'o') and g.grant_id = unhex(e.value->>'k')",
        "select g.organization_id, g.grant_id, g.principal_id, g.team_id, g.pattern, g.resource_kind, g.resource_id, g.effect, g.starts_at, \
         g.ends_at, g.condition_key, g.reason, g.given_by, g.given_at from jsonb_to_recordset($1) as e(o uuid, k uuid) \
         join grants g on g.organization_id = e.o and g.grant_id = e.k";
    DELETE_ASSIGNMENTS =
        "delete from assignments where (organization_id, assignment_id) in \
         (select unhex(e.value->>'o'), unhex(e.value->>'k') from json_each($1) e)",
        "delete from assignments where (organization_id, assignment_id) in (select e.o, e.k from jsonb_to_recordset($1) as e(o uuid, k uuid))";
    DELETE_GRANTS =
        "delete from grants where (organization_id, grant_id) in (select unhex(e.value->>'o'), unhex(e.value->>'k') from json_each($1) e)",
        "delete from grants where (organization_id, grant_id) in (select e.o, e.k from jsonb_to_recordset($1) as e(o uuid, k uuid))";
}

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// An assignment that is removed.
    Assignment,
    /// A grant that is removed.
    Grant,
    /// Where a membership is in its life.
    Membership,
    /// An account: where it is in its life, its login, its name.
    Account,
    /// What a role gives.
    Role,
    /// Whether a module is on.
    Entitlement,
    /// An organization: where it is in its life, its name, its document of modules.
    Organization,
}

impl ChangeKind {
    /// All of them, in the order in which they are put back.
    pub const ALL: [Self; 7] = [
        Self::Organization,
        Self::Entitlement,
        Self::Role,
        Self::Membership,
        Self::Account,
        Self::Assignment,
        Self::Grant,
    ];

    /// The word that is kept.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assignment => "assignment",
            Self::Grant => "grant",
            Self::Membership => "membership",
            Self::Account => "account",
            Self::Role => "role",
            Self::Entitlement => "entitlement",
            Self::Organization => "organization",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Which row: the organization (zero for an account) and its key there, an id in hexadecimal or a word.
pub type RowKey = (OrganizationId, String);

/// A change as it is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Which row.
    pub row: RowKey,
    /// As it was, a JSON text.
    pub before: String,
    /// As the run left it, a JSON text; none for what it removed.
    pub after: Option<String>,
    /// When.
    pub changed_at: Timestamp,
    /// By which run.
    pub run: u64,
}

/// The key of a row that has an id.
#[must_use]
pub fn key_of(id: u128) -> String {
    hex(id)
}

/// The id that such a key stands for.
#[must_use]
pub fn id_of(key: &str) -> Option<u128> {
    u128::from_str_radix(key, 16).ok()
}

fn note(row: RowRef<'_>) -> Result<Note> {
    Ok(Note {
        row: (row::organization(row)?, row::text(row, 1)?),
        before: row.get_json(2)?.to_owned(),
        after: row.get_opt_json(3)?.map(str::to_owned),
        changed_at: row::time(row, 4)?,
        run: row.get(5)?,
    })
}

fn keys<'a>(of: impl Iterator<Item = &'a RowKey>) -> charter_db::Value {
    rows(of.map(|(organization, key)| json!({ "o": hex(organization.0), "k": key })))
}

/// Notes changes of a run; of those that are noted already the first note stands.
pub async fn put(
    tx: &mut Tx,
    run: u64,
    kind: ChangeKind,
    notes: &[(RowKey, serde_json::Value, Option<serde_json::Value>)],
    now: Timestamp,
) -> Result<u64> {
    let of =
        |((organization, key), before, after): &(RowKey, serde_json::Value, Option<serde_json::Value>)| {
            let mut note = json!({ "o": hex(organization.0), "k": key, "b": before });
            if let (Some(after), Some(note)) = (after, note.as_object_mut()) {
                note.insert("a".to_owned(), after.clone());
            }
            note
        };
    tx.execute(&NOTE, params![rows(notes.iter().map(of)), run, kind.as_str(), now]).await
}

/// The first notes of a run and a kind.
pub async fn first(conn: &mut Conn, run: u64, kind: ChangeKind, limit: u32) -> Result<Vec<Note>> {
    row::list(conn, &NOTES, params![run, kind.as_str(), limit], note).await
}

/// Those after one of them.
pub async fn after(
    conn: &mut Conn,
    run: u64,
    kind: ChangeKind,
    after: &RowKey,
    limit: u32,
) -> Result<Vec<Note>> {
    row::list(conn, &NOTES_AFTER, params![run, kind.as_str(), after.0, after.1, limit], note).await
}

/// The notes about these rows, whichever runs made them, the oldest first.
pub async fn of_rows(conn: &mut Conn, kind: ChangeKind, of: &[RowKey]) -> Result<Vec<Note>> {
    row::list(conn, &OF_ROWS, params![keys(of.iter()), kind.as_str()], note).await
}

/// Forgets notes of a run.
pub async fn forget(tx: &mut Tx, run: u64, kind: ChangeKind, of: &[RowKey]) -> Result<u64> {
    tx.execute(&FORGET, params![keys(of.iter()), run, kind.as_str()]).await
}

/// How many notes of each kind a run has.
pub async fn counts(conn: &mut Conn, run: u64) -> Result<Vec<(ChangeKind, u64)>> {
    row::list(conn, &COUNTS, params![run], |row| Ok((row::word(row, 0, ChangeKind::from_word)?, row.get(1)?)))
        .await
}

/// How many removed assignments and grants of a run have nobody to go back to.
pub async fn lost(conn: &mut Conn, run: u64) -> Result<u64> {
    conn.query_one(&LOST, params![run]).await?.get(0)
}

/// These assignments, with the organizations they are in.
pub async fn assignments(conn: &mut Conn, of: &[RowKey]) -> Result<Vec<(OrganizationId, AssignmentRow)>> {
    let read = |row: RowRef<'_>| Ok((row::organization(row)?, assignment::assignment(row)?));
    row::list(conn, &ASSIGNMENTS, params![keys(of.iter())], read).await
}

/// These grants, with the organizations they are in.
pub async fn grants(conn: &mut Conn, of: &[RowKey]) -> Result<Vec<(OrganizationId, GrantFact)>> {
    let read = |row: RowRef<'_>| Ok((row::organization(row)?, grant::grant(row)?));
    row::list(conn, &GRANTS, params![keys(of.iter())], read).await
}

/// Removes assignments.
pub async fn remove_assignments(tx: &mut Tx, of: &[RowKey]) -> Result<u64> {
    tx.execute(&DELETE_ASSIGNMENTS, params![keys(of.iter())]).await
}

/// Removes grants.
pub async fn remove_grants(tx: &mut Tx, of: &[RowKey]) -> Result<u64> {
    tx.execute(&DELETE_GRANTS, params![keys(of.iter())]).await
}

/// The id of an assignment or a grant as a key.
#[must_use]
pub fn of_assignment(organization: OrganizationId, it: &AssignmentFact) -> RowKey {
    (organization, hex(it.id.0))
}

/// The same of a grant.
#[must_use]
pub fn of_grant(organization: OrganizationId, it: &GrantFact) -> RowKey {
    (organization, hex(it.id.0))
}
