//! What was stored before there was a vault: sealed by a key-encryption key itself, without a key's number. It opens as it is; this seals
//! it by the active key, so that it can be counted and rotated. Done twice it does nothing, and cut short it goes on where it was.

use super::internal;
use super::reseal::{self, PAGE};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{Problem, ProblemKind};
use charter_store as store;
use store::sealed::COLUMNS;

/// Pages of one call.
const PAGES: usize = 50;

/// What was found, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Table, column, and how many of its values are not sealed by a key of the vault.
    pub columns: Vec<(&'static str, &'static str, u64)>,
    /// How many of them this call sealed.
    pub sealed: u64,
    /// How many of them cannot be opened.
    pub unreadable: u64,
    /// How many are left.
    pub remaining: u64,
}

async fn found(app: &App) -> Result<Existing, Problem> {
    let counts = reading_all!(app.database(), |conn| reseal::counts(conn))?;
    let columns: Vec<_> = COLUMNS
        .iter()
        .zip(&counts)
        .map(|(column, of)| {
            (column.table, column.column, reseal::sum(std::slice::from_ref(of), |key| key.is_none()))
        })
        .collect();
    let remaining = columns.iter().map(|(_, _, count)| count).sum();
    Ok(Existing { columns, sealed: 0, unreadable: 0, remaining })
}

/// Seals what a key-encryption key sealed itself, so many pages of it; a dry run only counts.
pub async fn encrypt_existing(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    is_dry_run: bool,
) -> Result<Existing, Problem> {
    let before = found(app).await?;
    if is_dry_run || before.remaining == 0 {
        return Ok(before);
    }
    let prefix =
        app.identity().sealer().active_prefix().ok_or_else(|| internal("the vault has no key yet"))?;
    let (mut sealed, mut unreadable, mut pages) = (0, 0, 0);
    for (at, (_, _, count)) in before.columns.iter().enumerate() {
        let mut after = None;
        while *count > 0 && pages < PAGES {
            pages += 1;
            let Some(done) = reseal::page(app, at, prefix, after.take()).await? else {
                return Err(Problem::new(
                    ProblemKind::InUse,
                    "another node works on the vault at this moment: try again in a minute",
                ));
            };
            sealed += done.changed;
            unreadable += done.unreadable;
            if done.rows < PAGE as usize {
                break;
            }
            after = done.last;
        }
    }
    let (platform, now) = (permit.organization(), ctx.now);
    let mut event = audit::event(ctx, platform, "vault.encrypt-existing", "vault", "vault");
    event.after = Some(serde_json::json!({ "sealed": sealed, "unreadable": unreadable }).to_string());
    app.write(Scope::Installation, platform, now, move |transaction: Transaction<'_>| {
        Box::pin(transaction.commit(event, Vec::new(), ())) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    let after = found(app).await?;
    Ok(Existing { columns: before.columns, sealed, unreadable, remaining: after.remaining })
}
