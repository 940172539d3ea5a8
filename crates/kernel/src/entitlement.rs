//! Entitlements: what an organization may use, from which source, until when, and how much of it.

use crate::{Key, LimitOverrideId, ModuleKey, PrincipalId, SubmoduleKey, SubscriptionId, Timestamp, Window};

/// Where an entitlement row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntitlementSource {
    /// A plan subscription.
    Plan,
    /// An add-on.
    Addon,
    /// A trial.
    Trial,
    /// Set by hand, with a reason.
    Override,
    /// Taken over from `enabled_modules`.
    Migration,
}

/// What an entitlement row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntitlementStatus {
    /// Grants.
    Enabled,
    /// Grants nothing, but counts as a row and so stops the fallback to `enabled_modules`.
    Disabled,
    /// Denies and beats everything.
    Blocked,
    /// Grants to the principals on the preview list.
    Preview,
}

/// How a limit is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Enforcement {
    /// Refused beyond the value.
    Hard,
    /// Allowed, and warned about.
    Soft,
    /// Allowed, and counted.
    Report,
}

/// Kind of subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SubscriptionKind {
    Plan,
    Addon,
    Trial,
}

/// Whether an override replaces or adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LimitMode {
    Set,
    Add,
}

/// What exists now, or what happened in the period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LimitKind {
    Gauge,
    Counter,
}

macro_rules! words {
    ($($name:ident { $($variant:ident = $word:literal),* $(,)? })*) => {$(
        impl $name {
            /// The word used on the wire and in the database.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word),* } }
            /// The value a word names.
            pub fn from_word(word: &str) -> Option<Self> { match word { $($word => Some(Self::$variant),)* _ => None } }
        }
    )*};
}

words! {
    EntitlementSource { Plan = "plan", Addon = "addon", Trial = "trial", Override = "override", Migration = "migration" }
    EntitlementStatus { Enabled = "enabled", Disabled = "disabled", Blocked = "blocked", Preview = "preview" }
    Enforcement { Hard = "hard", Soft = "soft", Report = "report" }
    SubscriptionKind { Plan = "plan", Addon = "addon", Trial = "trial" }
    LimitMode { Set = "set", Add = "add" }
    LimitKind { Gauge = "gauge", Counter = "counter" }
}

/// One row of `org_entitlements` (no submodule) or `org_subentitlements` (with one).
#[derive(Debug, Clone, PartialEq)]
pub struct EntitlementFact {
    /// The module.
    pub module: ModuleKey,
    /// The submodule, or the whole module.
    pub submodule: Option<SubmoduleKey>,
    /// Where the row comes from.
    pub source: EntitlementSource,
    /// Which plan subscription, add-on, trial; empty for overrides and migration.
    pub source_id: String,
    /// What it says.
    pub status: EntitlementStatus,
    /// When it is in force.
    pub window: Window,
    /// After the end: goes on with a warning until then.
    pub grace_until: Option<Timestamp>,
    /// After the grace: reading and export go on until then.
    pub read_only_until: Option<Timestamp>,
    /// Why, for rows set by hand.
    pub reason: String,
}

/// A principal on the preview list of a module.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewFact {
    /// The module.
    pub module: ModuleKey,
    /// The principal.
    pub principal: PrincipalId,
}

/// A subscription of the organization, with the limits of its plan version.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionFact {
    /// Its id.
    pub id: SubscriptionId,
    /// Plan, add-on or trial.
    pub kind: SubscriptionKind,
    /// The plan.
    pub plan: Key,
    /// The plan's version.
    pub version: u32,
    /// How many times (add-ons).
    pub quantity: u32,
    /// When.
    pub window: Window,
    /// The limits of that plan version.
    pub limits: Vec<PlanLimit>,
}

/// One limit of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanLimit {
    /// The limit.
    pub limit: Key,
    /// Its value; none is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    pub enforcement: Enforcement,
    /// Warn from this share of the value on.
    pub warn_percent: u8,
}

/// A limit changed for one organization.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitOverrideFact {
    /// Its id.
    pub id: LimitOverrideId,
    /// The limit.
    pub limit: Key,
    /// Replace or add.
    pub mode: LimitMode,
    /// The value; none is unlimited.
    pub value: Option<i64>,
    /// How it is kept.
    pub enforcement: Enforcement,
    /// When.
    pub window: Window,
    /// Why.
    pub reason: String,
}
