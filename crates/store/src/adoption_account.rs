//! What accounts have, removed: for accounts that a run of adoption made and that are taken back. Their ids lie side by side, so a
//! stretch of them goes with one statement per table.
//!
//! Which tables there are is one list, in the order in which rows refer to each other; a table that stands in no list is found by a test that
//! reads the schema.

use charter_db::{Conn, Statement, Tx};
use charter_kernel::{OrganizationId, PrincipalId, SessionId, Timestamp};

use crate::adoption_row::ids;
use crate::{Result, row};

/// A statement about rows of accounts from `$2` to `$3` in the organizations of a JSON parameter.
macro_rules! in_organizations {
    ($($before:literal),* ; $after:literal) => {
        Statement::forked(
            concat!($($before,)* " in (select unhex(value) from json_each($1))", $after),
            concat!($($before,)* " in (select v::uuid from jsonb_array_elements_text($1) e(v))", $after),
        )
    };
}

macro_rules! of_members {
    (@one $table:literal) => {
        in_organizations!("delete from ", $table, " where organization_id"; " and principal_id >= $2 and principal_id <= $3")
    };
    (@one $table:literal $through:literal) => {
        in_organizations!("delete from ", $table, " where ", $through, " where organization_id"; " and principal_id >= $2 and principal_id <= $3)")
    };
    ($($table:literal $($through:literal)?;)*) => {
        /// What members have in organizations: what allows goes first.
        const OF_MEMBERS: &[(&str, Statement)] = &[$(($table, of_members!(@one $table $($through)?))),*];
    };
}

of_members! {
    "assignments";
    "grants";
    "team_members";
    "blocks";
    "org_previews";
    "shadow_flips";
    "shadow_pairs";
    "oauth_consents";
    "credential_rates" "(organization_id, credential_id) in (select organization_id, credential_id from credentials";
    "credential_networks" "(organization_id, credential_id) in (select organization_id, credential_id from credentials";
    "credential_uses" "(organization_id, credential_id) in (select organization_id, credential_id from credentials";
    "credential_keys" "key_id in (select key_id from credentials";
    "credentials";
}

const DISOWN: Statement = in_organizations!("update resources set owner_id = null where organization_id"; " and owner_id >= $2 and owner_id <= $3");
const MEMBERSHIPS: Statement = in_organizations!("delete from memberships where organization_id"; " and principal_id >= $2 and principal_id <= $3");

macro_rules! of_accounts {
    ($($table:literal $column:literal $($more:literal)?;)*) => {
        /// What accounts have whatever the organization.
        const OF_ACCOUNTS: &[(&str, &str, Statement)] = &[$(($table, $column, Statement::new(
            concat!("delete from ", $table, " where ", $column, " >= $1 and ", $column, " <= $2" $(, $more)?)
        ))),*];
    };
}

of_accounts! {
    "second_factors" "principal_id";
    "recovery_codes" "principal_id";
    "short_passwords" "principal_id";
    "email_changes" "principal_id";
    "principal_memberships" "principal_id";
    "adopted_users" "principal_id";
    "adopted_passwords" "principal_id";
}

/// Floors of tokens: a scope at a time, as their key begins with it.
const FLOORS: Statement = Statement::new(
    "delete from token_floors where scope in ('principal', 'former') and subject_id >= $1 and subject_id <= $2",
);
const LOGINS: Statement = Statement::new(
    "delete from logins where login_folded in (select login_folded from principals where principal_id >= $1 and principal_id <= $2)",
);
const PRINCIPALS: Statement =
    Statement::new("delete from principals where principal_id >= $1 and principal_id <= $2");
/// They stay as ended ones, so that every node learns of it, and are forgotten with the others.
const END_SESSIONS: Statement = Statement::new(
    "update sessions set ended_at = $3, end_reason = 'the account was taken back' \
     where principal_id >= $1 and principal_id <= $2 and ended_at is null returning session_id",
);
const SUPPORTED: Statement = Statement::new(
    "delete from sessions where supporter_id >= $1 and supporter_id <= $2 returning session_id",
);
const NEXT: Statement = Statement::new(
    "select principal_id from principals where principal_id >= $1 and principal_id < $2 order by principal_id limit $3",
);
const PLACES: Statement = Statement::new(
    "select distinct organization_id from principal_memberships where principal_id >= $1 and principal_id <= $2 order by organization_id",
);

/// Columns that hold an account and are left alone, with the reason: they tell who did something, or their rows end by themselves.
pub const LEFT_ALONE: &[(&str, &str)] = &[
    ("audit_events.actor_id", "a trail is never changed"),
    ("shadow_organizations.changed_by", "tells who changed it"),
    ("assignments.given_by", "tells who gave it"),
    ("grants.given_by", "tells who gave it"),
    ("blocks.given_by", "tells who set it"),
    ("org_entitlements.changed_by", "tells who changed it"),
    ("org_subentitlements.changed_by", "tells who changed it"),
    ("org_previews.added_by", "tells who added it"),
    ("org_limit_overrides.changed_by", "tells who changed it"),
    ("credentials.revoked_by", "tells who revoked it"),
    ("credentials.created_by", "tells who made it"),
    ("webhooks.created_by", "tells who made it"),
    ("organization_identity_settings.changed_by", "tells who changed it"),
    ("oauth_clients.created_by", "tells who made it"),
    ("oauth_clients.service_account_id", "an adoption makes no service accounts"),
    ("registration_settings.changed_by", "tells who changed it"),
    ("registration_requests.decided_by", "tells who decided"),
    ("registration_requests.principal_id", "tells whose account came of it"),
    ("invitations.invited_by", "tells who invited"),
    ("invitations.closed_by", "tells who closed it"),
    ("invitations.principal_id", "tells whose account accepted"),
    ("denial_counts.principal_id", "counts what was refused"),
    ("mail_outbox.principal_id", "mails are sent or expire, and are forgotten"),
    ("password_resets.principal_id", "resets expire in an hour and change nothing without their account"),
    ("oauth_codes.principal_id", "codes expire in a minute and need a session that stands"),
    ("sessions.principal_id", "ended, and forgotten with the others"),
    ("adoption_runs.opened_to", "tells how far the accounts of a run are open"),
];

/// The statements of this file, by name.
#[must_use]
pub fn statements() -> Vec<(&'static str, &'static Statement)> {
    let of_accounts = OF_ACCOUNTS.iter().map(|(table, _, statement)| (*table, statement));
    OF_MEMBERS
        .iter()
        .map(|(table, statement)| (*table, statement))
        .chain(of_accounts)
        .chain([
            ("DISOWN", &DISOWN),
            ("MEMBERSHIPS", &MEMBERSHIPS),
            ("FLOORS", &FLOORS),
            ("LOGINS", &LOGINS),
            ("PRINCIPALS", &PRINCIPALS),
            ("END_SESSIONS", &END_SESSIONS),
            ("SUPPORTED", &SUPPORTED),
            ("NEXT", &NEXT),
            ("PLACES", &PLACES),
        ])
        .collect()
}

/// The columns whose rows go with an account, as `table.column`.
#[must_use]
pub fn columns() -> Vec<String> {
    let of_members = OF_MEMBERS.iter().map(|(table, _)| format!("{table}.principal_id"));
    let of_accounts = OF_ACCOUNTS.iter().map(|(table, column, _)| format!("{table}.{column}"));
    let others =
        ["memberships.principal_id", "resources.owner_id", "token_floors.subject_id", "logins.principal_id"];
    let others = others.into_iter().chain(["principals.principal_id", "sessions.supporter_id"]);
    of_members.chain(of_accounts).chain(others.map(str::to_owned)).collect()
}

/// A stretch of ids, both ends included.
pub type Stretch = (PrincipalId, PrincipalId);

/// The next accounts of a range whose end is not included.
pub async fn next(conn: &mut Conn, from: u128, to: u128, limit: u32) -> Result<Option<Stretch>> {
    let (from, to) = (PrincipalId(from), PrincipalId(to));
    let found =
        row::list(conn, &NEXT, params![from, to, limit], |row| Ok(PrincipalId(row.get_id(0)?))).await?;
    Ok(found.first().copied().zip(found.last().copied()))
}

/// The organizations in which the accounts are members.
pub async fn places(conn: &mut Conn, (first, last): Stretch) -> Result<Vec<OrganizationId>> {
    row::list(conn, &PLACES, params![first, last], row::organization).await
}

/// Removes what these accounts have in organizations, and their memberships.
pub async fn remove_members(tx: &mut Tx, of: &[OrganizationId], (first, last): Stretch) -> Result<u64> {
    let mut removed = 0;
    for (_, statement) in OF_MEMBERS {
        removed += tx.execute(statement, params![ids(of), first, last]).await?;
    }
    tx.execute(&DISOWN, params![ids(of), first, last]).await?;
    removed += tx.execute(&MEMBERSHIPS, params![ids(of), first, last]).await?;
    Ok(removed)
}

/// Removes accounts that are members nowhere; gives how many they were, and the sessions that ended with them.
pub async fn remove_accounts(
    tx: &mut Tx,
    (first, last): Stretch,
    now: Timestamp,
) -> Result<(u64, Vec<SessionId>)> {
    let session = |row: charter_db::RowRef<'_>| Ok(SessionId(row.get_id(0)?));
    let mut ended = row::list(tx, &END_SESSIONS, params![first, last, now], session).await?;
    ended.extend(row::list(tx, &SUPPORTED, params![first, last], session).await?);
    for (_, _, statement) in OF_ACCOUNTS {
        tx.execute(statement, params![first, last]).await?;
    }
    for statement in [&FLOORS, &LOGINS] {
        tx.execute(statement, params![first, last]).await?;
    }
    Ok((tx.execute(&PRINCIPALS, params![first, last]).await?, ended))
}
