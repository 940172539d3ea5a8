//! What would allow what was denied, for each reason.

use super::Remedy;
use super::walk::Walk;
use charter_kernel::entitlement::EntitlementStatus;
use charter_kernel::{Key, PermissionCode, Reason, RoleKey};

impl<'a> Walk<'a> {
    pub(super) fn remedies(&self, reason: Reason) -> Vec<Remedy> {
        let layer = reason.layer();
        let plain = |words: String| Remedy { layer, words, roles: Vec::new(), plans: Vec::new(), at: None };
        let mut remedies: Vec<Remedy> = Vec::new();
        let Some(code) = self.code else {
            return vec![plain(
                "use a permission code of the catalogue, or add it with `catalogue apply`".to_owned(),
            )];
        };
        match reason {
            Reason::UnknownType => {
                remedies.push(plain(
                    "use a type of resource of the catalogue, or add it with `catalogue apply`".to_owned(),
                ));
            }
            Reason::SystemScope => remedies.push(plain("ask in the platform organization".to_owned())),
            Reason::OrganizationClosed => {
                remedies.push(plain("open the organization again, if it was closed by mistake".to_owned()));
            }
            Reason::OrganizationSuspended => {
                remedies.push(plain("make the organization active again".to_owned()))
            }
            Reason::PrincipalInactive => remedies.push(plain("make the account active again".to_owned())),
            Reason::NotAMember => remedies
                .push(plain("add the account as a member, or change the time of its membership".to_owned())),
            Reason::UnknownResource => remedies.push(plain("register the resource first".to_owned())),
            Reason::CrossOrganization => {
                remedies.push(plain("ask in the organization the resource is registered in".to_owned()))
            }
            Reason::OutOfScope => remedies.push(plain(format!("use a credential whose scope has {code}"))),
            Reason::NotEntitled
            | Reason::SubmoduleNotEntitled
            | Reason::EntitlementExpired
            | Reason::ReadOnly => {
                let mut plans: Vec<_> = self
                    .index
                    .catalogue()
                    .plans
                    .iter()
                    .filter(|plan| plan.modules.iter().any(|module| module.as_str() == code.module()))
                    .collect();
                plans.sort_by_key(|plan| plan.rank);
                let plans: Vec<Key> = plans.into_iter().map(|plan| plan.key.clone()).collect();
                remedies.push(Remedy {
                    layer,
                    words: format!(
                        "subscribe to a plan or add-on that includes module {}, or enable it by an override",
                        code.module()
                    ),
                    roles: Vec::new(),
                    plans,
                    at: None,
                });
                let opens = self
                    .facts
                    .entitlements
                    .iter()
                    .filter(|row| {
                        row.module.as_str() == code.module() && row.status == EntitlementStatus::Enabled
                    })
                    .filter_map(|row| row.window.from())
                    .filter(|from| *from > self.check.now)
                    .min();
                if let Some(at) = opens {
                    remedies.push(Remedy {
                        at: Some(at),
                        ..plain(format!("wait until {at}, when a row enables it"))
                    });
                }
            }
            Reason::EntitlementBlocked => {
                remedies.push(plain(format!("end the blocking override on module {}", code.module())))
            }
            Reason::PreviewOnly => remedies
                .push(plain(format!("put the account on the preview list of module {}", code.module()))),
            Reason::Blocked => remedies.push(plain("end the block; nothing else overrides it".to_owned())),
            Reason::DeniedOnResource | Reason::DeniedOnType | Reason::DeniedForSubject => {
                remedies.push(plain(
                    "revoke the denial, or give a grant with a narrower reach than the denial has".to_owned(),
                ));
            }
            Reason::ConditionNotMet | Reason::LevelTooLow | Reason::NoGrant => {
                for key in &self.fell_away {
                    remedies.push(plain(format!("condition {key} must hold: {}", self.asks(key))));
                }
                let roles = self.roles_with(code);
                if !roles.is_empty() {
                    remedies.push(Remedy { roles, ..plain("assign one of these roles".to_owned()) });
                }
                remedies.push(plain(format!("give a grant on {code}, with the reach that is needed")));
            }
            _ => {}
        }
        let mut opens = self.opens.clone();
        opens.sort();
        for (at, words) in opens {
            remedies.push(Remedy { at: Some(at), ..plain(format!("wait until {at}: {words}")) });
        }
        remedies.dedup();
        remedies
    }

    /// Roles that could be assigned here and would give it without a condition.
    fn roles_with(&self, code: &PermissionCode) -> Vec<RoleKey> {
        let shipped = self.index.catalogue().roles.iter().map(|role| &role.role.key);
        let own = self.facts.roles.iter().map(|role| &role.key);
        let mut roles: Vec<RoleKey> = shipped
            .chain(own)
            .filter(|key| {
                self.check
                    .minimum_level
                    .is_none_or(|minimum| self.level_of(key).is_some_and(|level| level >= minimum))
                    && self
                        .gives(key)
                        .iter()
                        .flat_map(|role| self.lines(role))
                        .any(|line| line.condition.is_none() && line.pattern.matches(code))
            })
            .cloned()
            .collect();
        roles.sort();
        roles.dedup();
        roles
    }
}
