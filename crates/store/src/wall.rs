//! The second wall on PostgreSQL, looked at from the account in use: row level security holds only for an account that it cannot pass by.
//! On SQLite there is no such wall and nothing to find.

use charter_db::{Database, Engine, Scope, Statement};

use crate::Result;

const ACCOUNT: Statement = Statement::new(
    "select current_user::text, rolsuper, rolbypassrls from pg_roles where rolname = current_user",
);
const OWNED: Statement = Statement::new(
    "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where n.nspname = current_schema() and c.relkind in ('r', 'p') and pg_has_role(current_user, c.relowner, 'usage')",
);
const OPEN: Statement = Statement::new(
    "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where n.nspname = current_schema() and not (c.relrowsecurity and c.relforcerowsecurity) \
     and exists (select 1 from pg_policy p where p.polrelid = c.oid) order by 1 limit 1",
);

/// A hole in the wall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hole {
    /// The account is a superuser or has BYPASSRLS: no policy holds for it.
    PassesBy {
        /// The account.
        account: String,
    },
    /// The account owns tables, or is a member of the one that does: it could switch the policies off.
    Owns {
        /// The account.
        account: String,
    },
    /// Row level security of a table is off, or not forced.
    Open {
        /// The table.
        table: String,
    },
}

impl Hole {
    /// What is wrong.
    pub fn what(&self) -> String {
        match self {
            Self::PassesBy { account } => {
                format!("is used by the account {account}, which row level security does not hold for")
            }
            Self::Owns { account } => format!(
                "is used by the account {account}, which owns the tables and could change the audit trail and switch row level security off"
            ),
            Self::Open { table } => format!("has the table {table} without forced row level security"),
        }
    }

    /// What to do.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::PassesBy { .. } => "use an account that is neither superuser nor has BYPASSRLS",
            Self::Owns { .. } => {
                "run `charter migrate up --application-role NAME` with this account, and the service with NAME"
            }
            Self::Open { .. } => {
                "as its owner: alter table ... enable row level security, force row level security"
            }
        }
    }
}

/// The holes the account in use finds.
pub async fn holes(database: &Database) -> Result<Vec<Hole>> {
    if database.engine() == Engine::Sqlite {
        return Ok(Vec::new());
    }
    let row = database.query_one(Scope::Installation, &ACCOUNT, &[]).await?;
    let (account, is_superuser, bypasses): (String, bool, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let mut holes = Vec::new();
    if is_superuser || bypasses {
        holes.push(Hole::PassesBy { account: account.clone() });
    }
    let owned: i64 = database.query_one(Scope::Installation, &OWNED, &[]).await?.get(0)?;
    // A superuser counts as a member of every role: the first fault says it.
    if owned > 0 && !is_superuser {
        holes.push(Hole::Owns { account });
    }
    if let Some(row) = database.query_opt(Scope::Installation, &OPEN, &[]).await? {
        holes.push(Hole::Open { table: row.get(0)? });
    }
    Ok(holes)
}
