//! What a change of plan, add-on or trial means, before it is made.

use crate::edge::wire;
use charter_app::plan;
use charter_kernel::{GrantId, Key, PrincipalId, SubscriptionId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// What a change of plan, add-on or trial means.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanPreview {
    /// When it takes effect.
    #[schemars(with = "wire::Time")]
    pub at: Timestamp,
    /// Modules that can be used after and could not before.
    #[schemars(with = "Vec<wire::Key>")]
    pub gained: Vec<Key>,
    /// Modules that cannot be used at all from then on.
    #[schemars(with = "Vec<wire::Key>")]
    pub lost: Vec<Key>,
    /// Modules that end through grace and reading.
    pub read_only: Vec<EndingModule>,
    /// Modules the plan does not bring but that another row keeps on.
    #[schemars(with = "Vec<wire::Key>")]
    pub kept_by_others: Vec<Key>,
    /// Users whose roles or grants point to modules that are lost or become read only.
    pub users: Vec<AffectedUser>,
    /// Limits that become lower.
    pub limits_lowered: Vec<LoweredLimit>,
    /// Add-ons that end with the change.
    pub addons_ending: Vec<EndingAddon>,
    /// Modules left without one they need.
    pub broken_dependencies: Vec<BrokenDependency>,
}

/// A module that ends step by step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EndingModule {
    /// The module.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// It goes on until then, with a warning.
    #[schemars(with = "Option<wire::Time>")]
    pub grace_until: Option<Timestamp>,
    /// Reading and export go on until then.
    #[schemars(with = "Option<wire::Time>")]
    pub read_only_until: Option<Timestamp>,
}

/// A user who works with a module that ends.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AffectedUser {
    /// The account.
    #[schemars(with = "wire::Id")]
    pub principal: PrincipalId,
    /// Its login.
    pub login: String,
    /// Its name.
    pub name: String,
    /// The modules.
    #[schemars(with = "Vec<wire::Key>")]
    pub modules: Vec<Key>,
    /// Roles that point there.
    #[schemars(with = "Vec<wire::Key>")]
    pub roles: Vec<Key>,
    /// Grants that point there.
    #[schemars(with = "Vec<wire::Id>")]
    pub grants: Vec<GrantId>,
}

/// A limit that becomes lower.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LoweredLimit {
    /// The limit.
    #[schemars(with = "wire::Key")]
    pub limit: Key,
    /// Its value before; null was unlimited.
    pub before: Option<i64>,
    /// Its value after.
    pub after: Option<i64>,
    /// How it is kept after: `hard`, `soft` or `report`.
    pub enforcement: &'static str,
    /// What is used now.
    pub used: i64,
    /// By how much that is above the new value: nothing is switched off, but nothing can be added.
    pub above: i64,
}

/// An add-on that ends with a change of plan.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EndingAddon {
    /// Its subscription.
    #[schemars(with = "wire::Id")]
    pub subscription: SubscriptionId,
    /// Its plan.
    #[schemars(with = "wire::Key")]
    pub plan: Key,
    /// When it ends.
    #[schemars(with = "Option<wire::Time>")]
    pub ends_at: Option<Timestamp>,
}

/// A module that needs another one that cannot be used.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BrokenDependency {
    /// The module that stays.
    #[schemars(with = "wire::Key")]
    pub module: Key,
    /// What it needs.
    #[schemars(with = "wire::Key")]
    pub needs: Key,
}

impl From<plan::Preview> for PlanPreview {
    fn from(preview: plan::Preview) -> Self {
        Self {
            at: preview.at,
            gained: preview.gained,
            lost: preview.lost,
            read_only: preview
                .read_only
                .into_iter()
                .map(|it| EndingModule {
                    module: it.module,
                    grace_until: it.grace_until,
                    read_only_until: it.read_only_until,
                })
                .collect(),
            kept_by_others: preview.kept_by_others,
            users: preview
                .users
                .into_iter()
                .map(|it| AffectedUser {
                    principal: it.principal,
                    login: it.login,
                    name: it.name,
                    modules: it.modules,
                    roles: it.roles,
                    grants: it.grants,
                })
                .collect(),
            limits_lowered: preview
                .limits_lowered
                .into_iter()
                .map(|it| LoweredLimit {
                    limit: it.limit,
                    before: it.before,
                    after: it.after,
                    enforcement: it.enforcement,
                    used: it.used,
                    above: it.above,
                })
                .collect(),
            addons_ending: preview
                .addons_ending
                .into_iter()
                .map(|it| EndingAddon { subscription: it.subscription, plan: it.plan, ends_at: it.ends_at })
                .collect(),
            broken_dependencies: preview
                .broken_dependencies
                .into_iter()
                .map(|it| BrokenDependency { module: it.module, needs: it.needs })
                .collect(),
        }
    }
}
