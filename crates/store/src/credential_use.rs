//! How credentials are used: counts by the hour, networks they came from, what nodes took from their rates.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{CredentialId, OrganizationId, Timestamp};

use crate::{Result, row};

statements! {
    ADD = "insert into credential_uses (organization_id, credential_id, hour, uses, refusals) values ($1, $2, $3, $4, $5) \
           on conflict (organization_id, credential_id, hour) do update set uses = credential_uses.uses + excluded.uses, \
           refusals = credential_uses.refusals + excluded.refusals";
    HOURS = "select organization_id, hour, uses, refusals from credential_uses \
             where organization_id = $1 and credential_id = $2 and hour >= $3 order by hour";
    PURGE = "delete from credential_uses where hour < $1";
    NETWORKS = "select organization_id, network, first_used_at from credential_networks where organization_id = $1 and credential_id = $2 \
                order by network";
    ADD_NETWORK = "insert into credential_networks (organization_id, credential_id, network, first_used_at) values ($1, $2, $3, $4) \
                   on conflict (organization_id, credential_id, network) do nothing";
    TAKE = "insert into credential_rates (organization_id, credential_id, full_at) values ($1, $2, $3) \
            on conflict (organization_id, credential_id) do update set full_at = \
            case when credential_rates.full_at > $4 then credential_rates.full_at else $4 end + $5 returning full_at";
}

/// What was counted in one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourOfUse {
    /// When the hour began.
    pub hour: Timestamp,
    /// How often it let its bearer in.
    pub uses: u64,
    /// How often it was refused.
    pub refusals: u64,
}

/// A network a credential was used from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkOfUse {
    /// The network.
    pub network: String,
    /// Since when.
    pub first_used_at: Timestamp,
}

fn hour(row: RowRef<'_>) -> Result<HourOfUse> {
    Ok(HourOfUse { hour: row::time(row, 1)?, uses: row.get(2)?, refusals: row.get(3)? })
}

fn network(row: RowRef<'_>) -> Result<NetworkOfUse> {
    Ok(NetworkOfUse { network: row::text(row, 1)?, first_used_at: row::time(row, 2)? })
}

/// Adds to the counts of an hour.
pub async fn add(
    tx: &mut Tx,
    organization: OrganizationId,
    credential: CredentialId,
    it: HourOfUse,
) -> Result<()> {
    tx.execute(&ADD, params![organization, credential, it.hour, it.uses, it.refusals]).await?;
    Ok(())
}

/// The hours in which a credential was used or refused, from an instant on.
pub async fn hours(
    conn: &mut Conn,
    organization: OrganizationId,
    credential: CredentialId,
    since: Timestamp,
) -> Result<Vec<HourOfUse>> {
    row::list(conn, &HOURS, params![organization, credential, since], hour).await
}

/// Forgets hours before an instant, of every organization.
pub async fn purge(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(&PURGE, params![before]).await
}

/// The networks a credential was used from.
pub async fn networks(
    conn: &mut Conn,
    organization: OrganizationId,
    credential: CredentialId,
) -> Result<Vec<NetworkOfUse>> {
    row::list(conn, &NETWORKS, params![organization, credential], network).await
}

/// Takes note of a network; false when it was known.
pub async fn add_network(
    tx: &mut Tx,
    organization: OrganizationId,
    credential: CredentialId,
    network: &str,
    now: Timestamp,
) -> Result<bool> {
    Ok(tx.execute(&ADD_NETWORK, params![organization, credential, network, now]).await? > 0)
}

/// Takes so many microseconds from a credential's rate; gives when all of it is available again, whoever took from it.
pub async fn take(
    tx: &mut Tx,
    organization: OrganizationId,
    credential: CredentialId,
    now: Timestamp,
    micros: i64,
) -> Result<Timestamp> {
    let first = now.micros().saturating_add(micros);
    let params = params![organization, credential, first, now.micros(), micros];
    let full_at: Option<i64> = row::opt(tx, &TAKE, params, |row| row.get_int(0)).await?;
    Ok(Timestamp(full_at.unwrap_or_else(|| now.micros())))
}
