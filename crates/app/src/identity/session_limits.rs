//! How long sessions last, how many a member may have, and from where they begin: what the installation says, and what organizations
//! say beyond it. A session for no organization in particular opens all of its principal's, so it obeys the rules of all of them.

use super::Settings;
use crate::App;
use charter_db::Conn;
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, Timestamp};
use charter_policy::condition::AddressRange;
use charter_store as store;
use charter_store::identity_settings::IdentitySettings;
use charter_store::session::Session;
use std::net::IpAddr;

/// What holds for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limits {
    /// Seconds it may rest.
    pub idle_seconds: i64,
    /// Seconds it lasts at most.
    pub absolute_seconds: i64,
    /// Sessions of its kind its principal may have at one time.
    pub sessions_max: Option<u32>,
    /// Lists of blocks; its address has to be in each.
    addresses: Vec<Vec<AddressRange>>,
}

impl Limits {
    /// What the installation says about sessions of browsers, or of programs.
    fn of_installation(settings: &Settings, is_cookie: bool) -> Self {
        let (idle, absolute) = if is_cookie {
            (settings.cookie_session_idle_seconds, settings.cookie_session_seconds)
        } else {
            (settings.session_idle_seconds, settings.session_seconds)
        };
        Self {
            idle_seconds: i64::from(idle),
            absolute_seconds: i64::from(absolute),
            sessions_max: None,
            addresses: Vec::new(),
        }
    }

    fn and(mut self, settings: &IdentitySettings) -> Self {
        if let Some(minutes) = settings.session_idle_minutes {
            self.idle_seconds = self.idle_seconds.min(i64::from(minutes) * 60);
        }
        if let Some(hours) = settings.session_absolute_hours {
            self.absolute_seconds = self.absolute_seconds.min(i64::from(hours) * 3_600);
        }
        if let Some(most) = settings.sessions_per_member {
            self.sessions_max = Some(self.sessions_max.map_or(most, |max| max.min(most)));
        }
        if let Some(blocks) = &settings.sign_in_addresses {
            // A block that cannot be read holds no address.
            self.addresses.push(blocks.iter().filter_map(|block| AddressRange::parse(block).ok()).collect());
        }
        self
    }

    /// When a session ends that began and was used at these instants.
    pub fn ends_at(&self, session: &Session) -> Timestamp {
        session.expires_at.min(session.created_at.plus_seconds(self.absolute_seconds))
    }

    /// Until when a session may rest that is used now.
    pub fn idle_until(&self, session: &Session, now: Timestamp) -> Timestamp {
        now.plus_seconds(self.idle_seconds).min(self.ends_at(session))
    }

    /// Whether a session may be used from an address. Without an address the caller is in this process.
    pub fn allow_address(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address else { return true };
        self.addresses.iter().all(|blocks| blocks.iter().any(|block| block.contains(address)))
    }
}

/// The problem of who signs in from an address that is not allowed.
pub(super) fn wrong_address() -> Problem {
    Problem::new(
        ProblemKind::Forbidden,
        "the organization does not let its members in from your address: use its network, or ask an administrator",
    )
}

/// What holds for the sessions of a principal, read now.
pub(super) async fn read(
    conn: &mut Conn,
    settings: &Settings,
    principal: PrincipalId,
    organization: Option<OrganizationId>,
    is_cookie: bool,
) -> Result<Limits, charter_db::Error> {
    let organizations = match organization {
        Some(organization) => vec![organization],
        None => store::membership::organizations_of(conn, principal).await?,
    };
    let mut limits = Limits::of_installation(settings, is_cookie);
    for organization in organizations {
        limits = limits.and(&store::identity_settings::get(conn, organization).await?);
    }
    Ok(limits)
}

/// The same, in a reading of its own.
pub(super) async fn of(
    app: &App,
    principal: PrincipalId,
    organization: Option<OrganizationId>,
    is_cookie: bool,
) -> Result<Limits, Problem> {
    let settings = app.identity().settings.clone();
    reading_all!(app.database(), |conn| async move {
        read(conn, &settings, principal, organization, is_cookie).await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_rules_the_strictest_holds() {
        let secrets = crate::identity::Secrets { key_encryption_key: [1; 32], pepper: [2; 32] };
        let installation = Limits::of_installation(&Settings::new("https://charter.example", secrets), false);
        let rules = |idle, blocks: Option<&[&str]>, most| IdentitySettings {
            session_idle_minutes: idle,
            session_absolute_hours: Some(24),
            sessions_per_member: most,
            sign_in_addresses: blocks.map(|blocks| blocks.iter().map(|block| (*block).to_owned()).collect()),
            ..IdentitySettings::default()
        };
        let both = installation.clone().and(&rules(Some(15), Some(&["192.0.2.0/24"]), None)).and(&rules(
            Some(60 * 24 * 30),
            Some(&["192.0.2.0/25", "2001:db8::/32"]),
            Some(3),
        ));
        assert_eq!((both.idle_seconds, both.absolute_seconds, both.sessions_max), (900, 86_400, Some(3)));
        let allows = |address: &str| both.allow_address(Some(address.parse().unwrap()));
        assert!(allows("192.0.2.7") && allows("::ffff:192.0.2.7"));
        assert!(!allows("192.0.2.200") && !allows("2001:db8::1") && !allows("198.51.100.1"));
        assert!(both.allow_address(None) && installation.allow_address(Some("::1".parse().unwrap())));
        let none = installation.and(&rules(None, Some(&["nonsense"]), None));
        assert!(!none.allow_address(Some("192.0.2.7".parse().unwrap())));
    }
}
