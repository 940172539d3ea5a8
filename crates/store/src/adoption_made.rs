//! What people made since a run of adoption about what it brought: a rollback takes that with it, so it is counted first.
//!
//! Rows of the run itself, and of those that came after it and are taken back before it, are nobody's: ids of theirs lie below `until`, and
//! what else they wrote is recorded.

use charter_db::{Conn, Statement, Value};
use charter_kernel::{OrganizationId, PrincipalId};

use crate::Result;
use crate::adoption_undo::Range;

/// Organizations of the ids from `$2` to before `$3`, into which the run `$1` wrote or one after it: they go, with all that is in them.
macro_rules! in_own {
    ($($before:literal),* ; $($and:literal),*) => {
        Statement::new(concat!(
            $($before,)* " where organization_id >= $2 and organization_id < $3 ", $($and,)*
            " and organization_id in (select organization_id from adopted_rows where run_no >= $1 and kind = 'organization')"
        ))
    };
}

/// Accounts of the ids from `$2` to before `$3`: they go, with all that is about them where the run `$1` wrote or one after it, and elsewhere.
macro_rules! about_own {
    ($($before:literal),* ; $($and:literal),*) => {
        Statement::new(concat!(
            $($before,)* " where principal_id >= $2 and principal_id < $3 ", $($and,)*
            " and organization_id in (select organization_id from adopted_rows where run_no >= $1 and kind = 'organization')"
        ))
    };
}
macro_rules! elsewhere {
    ($($before:literal),* ; $($and:literal),*) => {
        Statement::new(concat!(
            $($before,)* " where principal_id >= $2 and principal_id < $3 ", $($and,)*
            " and organization_id in (select d.organization_id from principal_memberships d where d.principal_id >= $2 and d.principal_id < $3 \
             and d.organization_id not in (select organization_id from adopted_rows where run_no >= $1 and kind = 'organization'))"
        ))
    };
}

/// A statement that reads ids as the records of the run `$1` have them, in hexadecimal.
macro_rules! recorded {
    ($($before:literal),* ; $column:literal ; $($after:literal),*) => {
        Statement::forked(
            concat!($($before,)* "lower(hex(", $column, "))", $($after),*),
            concat!($($before,)* "replace(", $column, "::text, '-', '')", $($after),*),
        )
    };
}

/// Members that the run `$1` recorded, who had accounts before it, in organizations that stay: their memberships go, with all that is about
/// them there.
macro_rules! about_recorded {
    ($table:literal ; $($and:literal),*) => {
        Statement::forked(
            concat!(
                "select count(*) from adopted_rows a join ", $table, " t on t.organization_id = a.organization_id and t.principal_id = unhex(a.row_key) \
                 where a.run_no = $1 and a.kind = 'membership' and not (a.organization_id >= $2 and a.organization_id < $3) "$(, $and)*
            ),
            concat!(
                "select count(*) from adopted_rows a join ", $table, " t on t.organization_id = a.organization_id and t.principal_id = a.row_key::uuid \
                 where a.run_no = $1 and a.kind = 'membership' and not (a.organization_id >= $2 and a.organization_id < $3) "$(, $and)*
            ),
        )
    };
}

/// What is counted: one of it, several, and how.
pub(crate) type Counted = (&'static str, &'static str, Statement);

macro_rules! whole {
    ($($table:literal $one:literal $several:literal;)*) => {
        const WHOLE: &[Counted] = &[$(($one, $several, in_own!("select count(*) from ", $table; ""))),*];
    };
}

whole! {
    "teams" "team" "teams";
    "conditions" "condition" "conditions";
    "resources" "resource" "resources";
    "org_subscriptions" "subscription" "subscriptions";
    "org_subentitlements" "entitlement of a part" "entitlements of parts";
    "org_limit_overrides" "limit" "limits";
    "webhooks" "webhook" "webhooks";
    "oauth_clients" "application" "applications";
    "organization_identity_settings" "setting of sign-in" "settings of sign-in";
    "registration_settings" "setting of registration" "settings of registration";
    "invitations" "invitation" "invitations";
}

macro_rules! members {
    ($($table:literal $one:literal $several:literal;)*) => {
        /// About members of organizations that go whose accounts, from `$4` to before `$5`, are not of the run.
        const OTHERS: &[Counted] = &[$((
            $one, $several, in_own!("select count(*) from ", $table; "and (principal_id is null or principal_id < $4 or principal_id >= $5)")
        )),*];
        const OWN: &[Counted] = &[$(($one, $several, about_own!("select count(*) from ", $table; ""))),*];
        const ELSEWHERE: &[Counted] = &[$(($one, $several, elsewhere!("select count(*) from ", $table; ""))),*];
        const OLDER: &[Counted] = &[$(($one, $several, about_recorded!($table; ""))),*];
    };
}

members! {
    "team_members" "place in a team" "places in teams";
    "blocks" "block" "blocks";
    "org_previews" "preview" "previews";
    "credentials" "key" "keys";
    "oauth_consents" "agreement" "agreements";
}

macro_rules! given {
    ($($table:literal $id:literal $one:literal $several:literal;)*) => {
        /// The same of rows that runs write too: those that are people's have other ids.
        const OTHERS_GIVEN: &[Counted] = &[$((
            $one, $several, in_own!("select count(*) from ", $table;
                "and (principal_id is null or principal_id < $4 or principal_id >= $5) and (", $id, " < $4 or ", $id, " >= $6)")
        )),*];
        const OWN_GIVEN: &[Counted] =
            &[$(($one, $several, about_own!("select count(*) from ", $table; "and (", $id, " < $2 or ", $id, " >= $4)"))),*];
        const ELSEWHERE_GIVEN: &[Counted] =
            &[$(($one, $several, elsewhere!("select count(*) from ", $table; "and (", $id, " < $2 or ", $id, " >= $4)"))),*];
        const OLDER_GIVEN: &[Counted] =
            &[$(($one, $several, about_recorded!($table; "and (t.", $id, " < $2 or t.", $id, " >= $4)"))),*];
    };
}

given! {
    "assignments" "assignment_id" "assignment" "assignments";
    "grants" "grant_id" "grant" "grants";
}

const MEMBERSHIPS: Statement = recorded!(
    "select count(*) from memberships m where organization_id >= $2 and organization_id < $3 and (principal_id < $4 or principal_id >= $5) \
     and not exists (select 1 from adopted_rows a where a.run_no >= $1 and a.kind = 'membership' and a.organization_id = m.organization_id \
     and a.row_key = "; "m.principal_id"; ") and organization_id in (select organization_id from adopted_rows where run_no >= $1 \
     and kind = 'organization')"
);
/// Memberships of its accounts elsewhere, by the directory that tells of them.
const PLACES: Statement = elsewhere!("select count(*) from principal_memberships";);
/// What its accounts own elsewhere, and in the organizations it wrote into that stay.
const OWNED: Statement = Statement::new(
    "select count(*) from resources where owner_id >= $2 and owner_id < $3 and not (organization_id >= $2 and organization_id < $3) \
     and organization_id in (select d.organization_id from principal_memberships d where d.principal_id >= $2 and d.principal_id < $3) \
     and cast($1 as bigint) > 0",
);
const SESSIONS: Statement = Statement::new(
    "select count(*) from sessions where principal_id >= $2 and principal_id < $3 and ended_at is null and cast($1 as bigint) > 0",
);
const FACTORS: Statement = Statement::new(
    "select count(*) from second_factors where principal_id >= $2 and principal_id < $3 and cast($1 as bigint) > 0",
);
const ROLES: Statement = in_own!(
    "select count(*) from roles r";
    "and not exists (select 1 from adopted_rows a where a.run_no >= $1 and a.kind = 'role' and a.organization_id = r.organization_id \
     and a.row_key = r.role_key)"
);
const ENTITLEMENTS: Statement = in_own!(
    "select count(*) from org_entitlements t";
    "and not (source = 'migration' and exists (select 1 from adopted_rows a where a.run_no >= $1 and a.kind = 'entitlement' \
     and a.organization_id = t.organization_id and a.row_key = t.module_key))"
);
/// Assignments of roles that the run brought to organizations that stay, to teams and to members it did not record.
const ROLES_GIVEN: Statement = recorded!(
    "select count(*) from adopted_rows a join assignments t on t.organization_id = a.organization_id and t.role_key = a.row_key \
     where a.run_no = $1 and a.kind = 'role' and not (a.organization_id >= $2 and a.organization_id < $3) \
     and not (t.principal_id is not null and t.principal_id >= $2 and t.principal_id < $3) \
     and (t.assignment_id < $2 or t.assignment_id >= $4) and not (t.principal_id is not null and exists (select 1 from adopted_rows m \
     where m.run_no = $1 and m.kind = 'membership' and m.organization_id = t.organization_id and m.row_key = "; "t.principal_id"; "))"
);
const ROLES_BLOCKED: Statement = Statement::new(
    "select count(*) from adopted_rows a join blocks t on t.organization_id = a.organization_id and t.role_key = a.row_key \
     where a.run_no = $1 and a.kind = 'role' and not (a.organization_id >= $2 and a.organization_id < $3)",
);
/// Roles that give what one of the run's gives, in organizations that stay.
const ROLES_BUILT: Statement = Statement::new(
    "select count(*) from adopted_rows a join role_parents t on t.organization_id = a.organization_id and t.parent_key = a.row_key \
     where a.run_no = $1 and a.kind = 'role' and not (a.organization_id >= $2 and a.organization_id < $3) \
     and not exists (select 1 from adopted_rows m where m.run_no >= $1 and m.kind = 'role' and m.organization_id = t.organization_id \
     and m.row_key = t.role_key)",
);

/// The statements of this file, by name.
#[must_use]
pub fn statements() -> Vec<(&'static str, &'static Statement)> {
    let lists = [WHOLE, OTHERS, OTHERS_GIVEN, OWN, OWN_GIVEN, ELSEWHERE, ELSEWHERE_GIVEN, OLDER, OLDER_GIVEN];
    let listed = lists.into_iter().flatten().map(|(name, _, statement)| (*name, statement));
    listed
        .chain([
            ("MEMBERSHIPS", &MEMBERSHIPS),
            ("PLACES", &PLACES),
            ("OWNED", &OWNED),
            ("SESSIONS", &SESSIONS),
            ("FACTORS", &FACTORS),
            ("ROLES", &ROLES),
            ("ENTITLEMENTS", &ENTITLEMENTS),
            ("ROLES_GIVEN", &ROLES_GIVEN),
            ("ROLES_BLOCKED", &ROLES_BLOCKED),
            ("ROLES_BUILT", &ROLES_BUILT),
        ])
        .collect()
}

/// What people made since, by its name for one and for several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made(Vec<(&'static str, &'static str, u64)>);

impl Made {
    /// Adds so many of a kind, by its words for one and for several.
    pub fn add(&mut self, one: &'static str, several: &'static str, count: u64) {
        match self.0.iter_mut().find(|(known, ..)| *known == one) {
            _ if count == 0 => {}
            Some((_, _, sum)) => *sum += count,
            None => self.0.push((one, several, count)),
        }
    }

    /// What there is, each with how many.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.0.iter().copied()
    }

    /// Whether people made nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Counts each of these with the same parameters, and adds what there is.
pub(crate) async fn counted(
    conn: &mut Conn,
    made: &mut Made,
    what: &[Counted],
    params: &[Value],
) -> Result<()> {
    for (one, several, statement) in what {
        made.add(one, several, conn.query_one(statement, params).await?.get(0)?);
    }
    Ok(())
}

/// What people made since in organizations of these ids that go with the run.
pub async fn in_organizations(
    conn: &mut Conn,
    made: &mut Made,
    run: Range,
    of: Range,
    until: u128,
) -> Result<()> {
    let (from, to) = (OrganizationId(of.from), OrganizationId(of.to));
    let (first, last) = (PrincipalId(run.from), PrincipalId(run.to));
    counted(conn, made, WHOLE, params![run.run, from, to]).await?;
    let own = [("role", "roles", ROLES), ("entitlement", "entitlements", ENTITLEMENTS)];
    counted(conn, made, &own, params![run.run, from, to]).await?;
    counted(conn, made, OTHERS, params![run.run, from, to, first, last]).await?;
    let params = params![run.run, from, to, first, last, PrincipalId(until)];
    counted(conn, made, OTHERS_GIVEN, params).await?;
    let members = [("membership", "memberships", MEMBERSHIPS)];
    // Accounts of the runs that come after it are members by these.
    counted(conn, made, &members, params![run.run, from, to, first, PrincipalId(until)]).await
}

/// What people made since about accounts of the run, and about what it brought to organizations that stay.
pub async fn elsewhere(conn: &mut Conn, made: &mut Made, run: Range, until: u128) -> Result<()> {
    let (from, to, until) = (PrincipalId(run.from), PrincipalId(run.to), PrincipalId(until));
    let plain = [
        ("membership", "memberships", PLACES),
        ("resource", "resources", OWNED),
        ("session", "sessions", SESSIONS),
        ("second factor", "second factors", FACTORS),
        ("block", "blocks", ROLES_BLOCKED),
        ("role built on one that goes", "roles built on ones that go", ROLES_BUILT),
    ];
    for list in [OWN, ELSEWHERE, OLDER, &plain] {
        counted(conn, made, list, params![run.run, from, to]).await?;
    }
    let roles = [("assignment", "assignments", ROLES_GIVEN)];
    for list in [OWN_GIVEN, ELSEWHERE_GIVEN, OLDER_GIVEN, &roles] {
        counted(conn, made, list, params![run.run, from, to, until]).await?;
    }
    Ok(())
}
