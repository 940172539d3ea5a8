//! How a key was used: its counts by the hour and the networks it came from.

use super::credential::{Reach, get};
use crate::App;
use crate::caller::RequestContext;
use crate::guard::Permit;
use charter_kernel::{CredentialId, Problem};
use charter_store as store;

pub use charter_store::credential_use::{HourOfUse, NetworkOfUse};

const DAYS_MAX: u32 = 400;

/// How a key was used in the last days, some seconds late.
pub async fn usage(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    reach: Reach,
    id: CredentialId,
    days: u32,
) -> Result<(Vec<HourOfUse>, Vec<NetworkOfUse>), Problem> {
    if days == 0 || days > DAYS_MAX {
        return Err(Problem::invalid("days", format!("1 to {DAYS_MAX} is expected")));
    }
    let organization = permit.organization();
    get(app, ctx, permit, reach, id).await?;
    let since = ctx.now.plus_seconds(-i64::from(days) * 86_400);
    reading!(app.database(), organization, |conn| async move {
        let hours = store::credential_use::hours(conn, organization, id, since).await?;
        let networks = store::credential_use::networks(conn, organization, id).await?;
        Ok::<_, charter_db::Error>((hours, networks))
    })
}
