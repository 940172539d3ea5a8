//! What an organization lets newcomers do.

use charter_db::{Conn, RowRef, Tx};
use charter_kernel::{OrganizationId, PrincipalId, RoleKey, Timestamp};

use crate::param::texts;
use crate::{Result, row};

statements! {
    GET = "select mode, domains, roles, default_role, row_version, changed_by, changed_at from registration_settings where organization_id = $1";
    PUT = "insert into registration_settings (organization_id, mode, domains, roles, default_role, row_version, changed_by, changed_at) \
           values ($1, $2, $3, $4, $5, 1, $6, $7) \
           on conflict (organization_id) do update set mode = excluded.mode, domains = excluded.domains, roles = excluded.roles, \
           default_role = excluded.default_role, row_version = registration_settings.row_version + 1, \
           changed_by = excluded.changed_by, changed_at = excluded.changed_at returning row_version";
}

/// How newcomers get in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RegistrationMode {
    /// Not at all: an administrator adds members.
    #[default]
    Off,
    /// Who was invited.
    Invitation,
    /// Who was invited, and who proves an address of an allowed domain.
    Domain,
    /// Who was invited, and who proves an address and is approved.
    Approval,
}

impl RegistrationMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Off, Self::Invitation, Self::Domain, Self::Approval];

    /// The word used on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Invitation => "invitation",
            Self::Domain => "domain",
            Self::Approval => "approval",
        }
    }

    /// The mode a word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// The settings of one organization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrationSettings {
    /// How newcomers get in.
    pub mode: RegistrationMode,
    /// Domains of addresses that may ask.
    pub domains: Vec<String>,
    /// Roles a newcomer may get.
    pub roles: Vec<RoleKey>,
    /// The role of whoever names none.
    pub default_role: Option<RoleKey>,
    /// Grows with each change; zero while nothing was ever set.
    pub row_version: u64,
    /// Who changed them last.
    pub changed_by: Option<PrincipalId>,
    /// When.
    pub changed_at: Option<Timestamp>,
}

fn settings(row: RowRef<'_>) -> Result<RegistrationSettings> {
    Ok(RegistrationSettings {
        mode: row::word(row, 0, RegistrationMode::from_word)?,
        domains: row::texts(row, 1)?,
        roles: row::keys(row, 2)?,
        default_role: row::opt_key(row, 3)?,
        row_version: row.get(4)?,
        changed_by: row.get_opt_id(5)?.map(PrincipalId),
        changed_at: Some(row::time(row, 6)?),
    })
}

/// The settings of an organization; the default while it has none.
pub async fn get(conn: &mut Conn, organization: OrganizationId) -> Result<RegistrationSettings> {
    Ok(row::opt(conn, &GET, params![organization], settings).await?.unwrap_or_default())
}

/// Sets them; gives the new version.
pub async fn put(tx: &mut Tx, organization: OrganizationId, it: &RegistrationSettings) -> Result<u64> {
    let roles: Vec<String> = it.roles.iter().map(ToString::to_string).collect();
    let params = params![
        organization,
        it.mode.as_str(),
        texts(&it.domains),
        texts(&roles),
        it.default_role,
        it.changed_by,
        it.changed_at
    ];
    Ok(row::opt(tx, &PUT, params, |row| row.get(0)).await?.unwrap_or(1))
}
