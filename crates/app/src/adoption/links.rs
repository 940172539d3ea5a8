//! Which is which: organizations and users of another system here, and which logins are accounts already.

use super::form::ROWS_MAX;
use super::{KnownPrincipal, OrganizationLink, UserLink, require_operator};
use crate::App;
use crate::caller::{Listing, RequestContext};
use crate::text;
use charter_kernel::{Key, PrincipalId, Problem};
use charter_store as store;
use charter_store::{adoption_login, adoption_lookup as lookup};
use std::collections::{BTreeMap, HashMap};

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

/// Logins as they are kept, in their order; and each once, to be asked for.
fn folded(logins: &[String]) -> Result<(Vec<String>, Vec<String>), Problem> {
    if logins.len() > ROWS_MAX {
        return Err(Problem::invalid("logins", format!("at most {ROWS_MAX} logins are expected")));
    }
    let folded: Vec<String> = logins.iter().map(|login| text::fold_login(login)).collect();
    // No login has a zero byte, and PostgreSQL takes none.
    let mut asked: Vec<String> = folded.iter().filter(|login| !login.contains('\0')).cloned().collect();
    asked.sort();
    asked.dedup();
    Ok((folded, asked))
}

/// The account each login has, in the order of the logins.
pub async fn accounts(
    app: &App,
    ctx: &RequestContext,
    logins: Vec<String>,
) -> Result<Vec<Option<KnownPrincipal>>, Problem> {
    require_operator(ctx)?;
    let (folded, asked) = folded(&logins)?;
    let found = reading_all!(app.database(), |conn| async move { lookup::logins(conn, &asked).await })?;
    let found: HashMap<&str, &KnownPrincipal> = found.iter().map(|it| (it.login.as_str(), it)).collect();
    Ok(folded.iter().map(|login| found.get(login.as_str()).map(|it| (*it).clone())).collect())
}

/// The login by now of the account of a user of the source that had each login before and gave it up, in the order of the logins.
pub async fn former_logins(
    app: &App,
    ctx: &RequestContext,
    source: Key,
    logins: Vec<String>,
) -> Result<Vec<Option<String>>, Problem> {
    require_operator(ctx)?;
    let (folded, asked) = folded(&logins)?;
    let pepper = app.identity().pepper();
    let mut of_hash: HashMap<[u8; 32], String> = HashMap::new();
    for login in &asked {
        of_hash.extend(pepper.every_email(login).into_iter().map(|hash| (hash, login.clone())));
    }
    let found: BTreeMap<String, String> = reading_all!(app.database(), |conn| async move {
        let mut given_up = adoption_login::given_up_by_runs(conn, &source, &asked).await?;
        let hashes: Vec<[u8; 32]> = of_hash.keys().copied().collect();
        let by_owners = adoption_login::given_up_by_owners(conn, &source, &hashes).await?;
        given_up
            .extend(by_owners.into_iter().filter_map(|(hash, id)| Some((of_hash.get(&hash)?.clone(), id))));
        let ids: Vec<PrincipalId> = given_up.iter().map(|(_, id)| *id).collect();
        let now = if ids.is_empty() { Vec::new() } else { lookup::principals(conn, &ids).await? };
        let now: HashMap<PrincipalId, String> = now.into_iter().map(|it| (it.id, it.login)).collect();
        // One that has it again gave nothing up.
        let others = given_up.into_iter().filter_map(|(login, id)| Some((now.get(&id)?.clone(), login)));
        Ok::<_, charter_db::Error>(
            others.filter(|(now, login)| now != login).map(|(now, login)| (login, now)).collect(),
        )
    })?;
    Ok(folded.iter().map(|login| found.get(login).cloned()).collect())
}
