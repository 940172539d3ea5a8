//! How organizations stand: their modes, what was compared since, and where answers differed.

use super::mode::operator_only;
use super::{Flip, Quiet, ShadowCounts, ShadowMode, ShadowRow};
use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use charter_db::{BoxFuture, Conn, Scope};
use charter_kernel::{Key, OrganizationId, PrincipalId, Problem, Timestamp};
use charter_store as store;

/// How an organization stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which organization.
    pub organization: OrganizationId,
    /// Its key.
    pub key: Key,
    /// Its mode, since when, and whether it goes back by itself.
    pub row: ShadowRow,
    /// What was compared since.
    pub counts: ShadowCounts,
}

fn missing() -> Problem {
    Problem::not_found("no such organization")
}

/// The mode of an organization that nobody chose one for.
pub(super) fn off(organization: OrganizationId) -> ShadowRow {
    ShadowRow {
        organization,
        mode: ShadowMode::Off,
        since: Timestamp(0),
        is_automatic: true,
        changed_by: None,
        last_flip_at: None,
        quiet: Quiet::default(),
    }
}

/// How an organization stands, read here.
pub(super) async fn standing(conn: &mut Conn, organization: OrganizationId) -> Result<Standing, Problem> {
    let found = store::organization::get(conn, organization).await?.ok_or_else(missing)?;
    let row = store::shadow::get(conn, organization).await?.unwrap_or_else(|| off(organization));
    let counts = store::shadow_count::sum(conn, organization, row.since, Timestamp(0)).await?;
    Ok(Standing { organization, key: found.organization.key, row, counts })
}

/// How one organization stands.
pub async fn show(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
) -> Result<Standing, Problem> {
    operator_only(ctx)?;
    app.database()
        .read(Scope::Organization(organization.bits()), move |conn: &mut Conn| {
            Box::pin(standing(conn, organization)) as BoxFuture<'_, Result<Standing, Problem>>
        })
        .await
}

/// How every organization stands that was taken over.
pub async fn list(app: &App, ctx: &RequestContext, page: &Page) -> Result<Listing<Standing>, Problem> {
    operator_only(ctx)?;
    let after = match &page.after {
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
        None => OrganizationId(0),
    };
    let limit = page.limit;
    let (items, more) = app
        .database()
        .read(Scope::Installation, move |conn: &mut Conn| {
            Box::pin(async move {
                let found = store::shadow::adopted(conn, after, limit).await?;
                let mut items = Vec::with_capacity(found.rows.len());
                for organization in found.rows {
                    items.push(standing(conn, organization).await?);
                }
                Ok((items, found.more))
            }) as BoxFuture<'_, Result<(Vec<Standing>, bool), Problem>>
        })
        .await?;
    let next = items.last().filter(|_| more).map(|last| last.organization.to_string());
    Ok(Listing { items, next })
}

/// Flips of an organization, in the order of who and what.
pub async fn flips(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    page: &Page,
) -> Result<Listing<Flip>, Problem> {
    operator_only(ctx)?;
    let wrong = || Problem::invalid("cursor", "not a cursor of this list");
    let after: (PrincipalId, String, bool) = match &page.after {
        None => (PrincipalId(0), String::new(), false),
        Some(text) => {
            let mut parts = text.splitn(3, ' ');
            let (principal, permission, way) = (parts.next(), parts.next(), parts.next().ok_or_else(wrong)?);
            let principal = principal.and_then(|it| it.parse().ok()).ok_or_else(wrong)?;
            (principal, permission.unwrap_or_default().to_owned(), way == "gain")
        }
    };
    let limit = page.limit;
    let found = reading!(app.database(), organization, |conn| async move {
        store::shadow_count::page(conn, organization, (after.0, &after.1, after.2), limit).await
    })?;
    let cursor = |flip: &Flip| {
        let way = if flip.is_gain { "gain" } else { "loss" };
        format!("{} {} {way}", flip.principal, flip.permission)
    };
    let next = found.rows.last().filter(|_| found.more).map(cursor);
    Ok(Listing { items: found.rows, next })
}
