//! Directory: which organization an audience is of. One organization has it; the installation's own stands beside it.

use charter_db::Tx;
use charter_kernel::OrganizationId;

use crate::{Result, row};

statements! {
    HOLDERS = "select organization_id from oauth_audiences where audience = $1";
    TAKE = "insert into oauth_audiences (audience, is_platform, organization_id) values ($1, $2, $3) \
            on conflict (audience, is_platform) do nothing";
    NAMED = "select audiences from oauth_clients where organization_id = $1 and status <> 'deleted' and audiences <> '[]'";
    FREE = "delete from oauth_audiences where audience = $1 and organization_id = $2";
}

/// Takes an audience for an organization; tells whether it is its own now. The platform's may be another one's as well.
pub async fn take(
    tx: &mut Tx,
    organization: OrganizationId,
    is_platform: bool,
    audience: &str,
) -> Result<bool> {
    let holders = row::list(tx, &HOLDERS, params![audience], row::organization).await?;
    if holders.contains(&organization) {
        return Ok(true);
    }
    if !holders.is_empty() && !is_platform {
        return Ok(false);
    }
    Ok(tx.execute(&TAKE, params![audience, is_platform, organization]).await? == 1)
}

/// Gives back those of some audiences that no client of an organization names any more.
pub async fn free(tx: &mut Tx, organization: OrganizationId, audiences: &[String]) -> Result<()> {
    let named = row::list(tx, &NAMED, params![organization], |row| row::texts(row, 0)).await?.concat();
    for audience in audiences.iter().filter(|audience| !named.contains(audience)) {
        tx.execute(&FREE, params![audience, organization]).await?;
    }
    Ok(())
}
