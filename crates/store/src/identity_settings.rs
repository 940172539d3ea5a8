//! What an organization asks of its members' sign-in.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OrganizationId, PrincipalId, Timestamp};

use crate::param::texts;
use crate::{Result, row};

statements! {
    GET = "select session_idle_minutes, session_absolute_hours, sessions_per_member, sign_in_addresses, row_version, changed_by, changed_at, \
           leaked_keys, second_factor from organization_identity_settings where organization_id = $1";
    PUT = "insert into organization_identity_settings (organization_id, session_idle_minutes, session_absolute_hours, sessions_per_member, \
           sign_in_addresses, row_version, changed_by, changed_at, leaked_keys, second_factor) \
           values ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9) \
           on conflict (organization_id) do update set session_idle_minutes = excluded.session_idle_minutes, \
           session_absolute_hours = excluded.session_absolute_hours, sessions_per_member = excluded.sessions_per_member, \
           sign_in_addresses = excluded.sign_in_addresses, row_version = organization_identity_settings.row_version + 1, \
           changed_by = excluded.changed_by, changed_at = excluded.changed_at, leaked_keys = excluded.leaked_keys, \
           second_factor = excluded.second_factor returning row_version";
}

/// What happens to a key that was reported as leaked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LeakedKeys {
    /// It is told on the trail.
    Notify,
    /// It is put aside until somebody decides.
    #[default]
    Quarantine,
    /// It is revoked.
    Revoke,
}

impl LeakedKeys {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Notify, Self::Quarantine, Self::Revoke];

    /// The word that is kept.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Quarantine => "quarantine",
            Self::Revoke => "revoke",
        }
    }

    /// The choice of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.as_str() == word)
    }
}

/// Of whom an organization demands a second factor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecondFactorDemand {
    /// Of nobody.
    #[default]
    Off,
    /// Of whoever governs others, and of everybody for what is dangerous.
    Privileged,
    /// Of everybody.
    Everyone,
}

impl SecondFactorDemand {
    /// `off`, `privileged` or `everyone`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Privileged => "privileged",
            Self::Everyone => "everyone",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Off, Self::Privileged, Self::Everyone].into_iter().find(|it| it.as_str() == word)
    }
}

/// The settings of one organization; none of a field is what the installation says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentitySettings {
    /// Minutes after which a session nobody uses ends.
    pub session_idle_minutes: Option<u32>,
    /// Hours after which a session ends.
    pub session_absolute_hours: Option<u32>,
    /// Sessions a member may have at one time.
    pub sessions_per_member: Option<u32>,
    /// Blocks of addresses members sign in from.
    pub sign_in_addresses: Option<Vec<String>>,
    /// What happens to a key of it that was reported as leaked.
    pub leaked_keys: LeakedKeys,
    /// Of whom a second factor is demanded.
    pub second_factor: SecondFactorDemand,
    /// Grows with each change; zero while nothing was ever set.
    pub row_version: u64,
    /// Who changed them last.
    pub changed_by: Option<PrincipalId>,
    /// When.
    pub changed_at: Option<Timestamp>,
}

fn number(row: RowRef<'_>, index: usize) -> Result<Option<u32>> {
    let found: Option<u64> = row.get(index)?;
    Ok(found.map(|number| u32::try_from(number).unwrap_or(u32::MAX)))
}

fn settings(row: RowRef<'_>) -> Result<IdentitySettings> {
    Ok(IdentitySettings {
        session_idle_minutes: number(row, 0)?,
        session_absolute_hours: number(row, 1)?,
        sessions_per_member: number(row, 2)?,
        sign_in_addresses: row::opt_texts(row, 3)?,
        second_factor: row::word(row, 8, SecondFactorDemand::from_word)?,
        row_version: row.get(4)?,
        changed_by: row.get_opt_id(5)?.map(PrincipalId),
        changed_at: Some(row::time(row, 6)?),
        leaked_keys: match row.get_opt_text(7)? {
            None => LeakedKeys::default(),
            Some(_) => row::word(row, 7, LeakedKeys::from_word)?,
        },
    })
}

/// The settings of an organization; the default while it has none.
pub async fn get(conn: &mut Conn, organization: OrganizationId) -> Result<IdentitySettings> {
    Ok(row::opt(conn, &GET, params![organization], settings).await?.unwrap_or_default())
}

/// Sets them; gives the new version.
pub async fn put(tx: &mut Tx, organization: OrganizationId, it: &IdentitySettings) -> Result<u64> {
    let params = params![
        organization,
        it.session_idle_minutes,
        it.session_absolute_hours,
        it.sessions_per_member,
        it.sign_in_addresses.as_deref().map(texts),
        it.changed_by,
        it.changed_at,
        it.leaked_keys.as_str(),
        it.second_factor.as_str()
    ];
    Ok(row::opt(tx, &PUT, params, |row| row.get(0)).await?.unwrap_or(1))
}
