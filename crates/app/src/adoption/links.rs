//! Which is which: organizations and users of another system here, and which logins are accounts already.

use super::form::ROWS_MAX;
use super::{KnownPrincipal, OrganizationLink, UserLink, require_operator};
use crate::App;
use crate::caller::{Listing, RequestContext};
use crate::text;
use charter_kernel::{Key, Problem};
use charter_store as store;
use std::collections::HashMap;

/// Most links of one page.
pub(super) const PAGE_MAX: u32 = 50_000;

pub(super) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(PAGE_MAX),
        Some(limit @ 1..=PAGE_MAX) => Ok(limit),
        Some(_) => Err(Problem::invalid("limit", format!("a whole number from 1 to {PAGE_MAX} is expected"))),
    }
}

/// Organizations of a source, by their ids there, after one of them.
pub async fn organizations(
    app: &App,
    ctx: &RequestContext,
    source: Key,
    after: Option<String>,
    asked: Option<u32>,
) -> Result<Listing<OrganizationLink>, Problem> {
    require_operator(ctx)?;
    let (limit, after) = (limit(asked)?, after.unwrap_or_default());
    let page = reading_all!(app.database(), |conn| async move {
        store::adoption_link::organizations(conn, &source, &after, limit).await
    })?;
    let next = page.rows.last().filter(|_| page.more).map(|row| row.legacy_id.clone());
    Ok(Listing { items: page.rows, next })
}

/// Users of a source, by their ids there, after one of them.
pub async fn users(
    app: &App,
    ctx: &RequestContext,
    source: Key,
    after: Option<String>,
    asked: Option<u32>,
) -> Result<Listing<UserLink>, Problem> {
    require_operator(ctx)?;
    let (limit, after) = (limit(asked)?, after.unwrap_or_default());
    let page = reading_all!(app.database(), |conn| async move {
        store::adoption_link::users(conn, &source, &after, limit).await
    })?;
    let next = page.rows.last().filter(|_| page.more).map(|row| row.legacy_id.clone());
    Ok(Listing { items: page.rows, next })
}

/// The account each login has, in the order of the logins.
pub async fn accounts(
    app: &App,
    ctx: &RequestContext,
    logins: Vec<String>,
) -> Result<Vec<Option<KnownPrincipal>>, Problem> {
    require_operator(ctx)?;
    if logins.len() > ROWS_MAX {
        return Err(Problem::invalid("logins", format!("at most {ROWS_MAX} logins are expected")));
    }
    let folded: Vec<String> = logins.iter().map(|login| text::fold_login(login)).collect();
    // No login has a zero byte, and PostgreSQL takes none.
    let mut asked: Vec<String> = folded.iter().filter(|login| !login.contains('\0')).cloned().collect();
    asked.sort();
    asked.dedup();
    let found =
        reading_all!(
            app.database(),
            |conn| async move { store::adoption_lookup::logins(conn, &asked).await }
        )?;
    let found: HashMap<&str, &KnownPrincipal> = found.iter().map(|it| (it.login.as_str(), it)).collect();
    Ok(folded.iter().map(|login| found.get(login.as_str()).map(|it| (*it).clone())).collect())
}
