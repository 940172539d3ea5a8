//! Use cases of Charter, one file per concept. This floor owns transactions, the audit trail, the snapshots decisions are made from,
//! and identity. It knows nothing of HTTP or SQL text.
//!
//! Read first: `guard.rs` (who may), `edit.rs` (how policy changes), `snapshot/` (what decisions are made from), `check.rs`.

#[macro_use]
mod reading;

pub mod adoption;
pub mod assignment;
pub mod audit;
pub mod block;
pub mod caller;
pub mod catalogue;
pub mod change;
pub mod check;
pub mod clock;
pub mod condition;
pub mod denial;
pub mod edit;
pub mod entitlement;
mod execute;
pub mod grant;
pub mod guard;
mod id_hash;
pub mod idempotency;
pub mod identity;
pub mod limit;
pub mod mail;
pub mod member;
pub mod names;
pub mod organization;
pub mod plan;
pub mod policy;
pub mod policy_document;
pub mod readiness;
pub mod resource;
pub mod role;
mod rules;
pub mod search;
pub mod shadow;
pub mod snapshot;
pub mod start;
pub mod subject;
pub mod team;
pub mod text;
pub mod transaction;
pub mod vault;
pub mod warming;
pub mod webhook;

use charter_db::Database;
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{OrganizationId, Problem, Timestamp};
use std::sync::Arc;

pub use caller::{ByClient, Caller, Ceiling, Listing, Page, RequestContext, SignedIn};
pub use clock::World;
pub use edit::{EditOptions, Edited};
pub use guard::Permit;
pub use start::Settings;

/// The application: everything use cases need, shared and cheap to clone.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    world: World,
    snapshots: snapshot::Snapshots,
    denials: denial::Denials,
    shadow: shadow::Shadow,
    identity: identity::Identity,
    organizations: Arc<organization::Directory>,
    platform: OrganizationId,
    settings: Settings,
    webhook_rules: std::sync::OnceLock<webhook::target::Rules>,
    webhook_mark: webhook::Mark,
    is_stopping: std::sync::atomic::AtomicBool,
}

impl App {
    /// The database.
    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// Time and randomness.
    pub fn world(&self) -> &World {
        &self.inner.world
    }

    /// This instant.
    pub fn now(&self) -> Timestamp {
        self.inner.world.now()
    }

    /// A fresh id.
    pub fn fresh_id(&self) -> u128 {
        self.inner.world.fresh_id()
    }

    /// What decisions are made from.
    pub fn snapshots(&self) -> &snapshot::Snapshots {
        &self.inner.snapshots
    }

    /// Refusals on their way to the audit trail.
    pub fn denials(&self) -> &denial::Denials {
        &self.inner.denials
    }

    /// The rule of the other system, and what comparing with it gave.
    pub fn shadow(&self) -> &shadow::Shadow {
        &self.inner.shadow
    }

    /// Sessions, tokens and keys.
    pub fn identity(&self) -> &identity::Identity {
        &self.inner.identity
    }

    /// Which key names which organization.
    pub fn organizations(&self) -> &organization::Directory {
        &self.inner.organizations
    }

    /// The organization that runs the installation.
    pub fn platform(&self) -> OrganizationId {
        self.inner.platform
    }

    /// What webhooks may reach; unless told otherwise public addresses, and outside production over plain HTTP as well.
    pub fn webhook_rules(&self) -> &webhook::target::Rules {
        self.inner.webhook_rules.get_or_init(|| webhook::target::Rules {
            allows_http: !self.identity().settings().is_live,
            ..webhook::target::Rules::default()
        })
    }

    /// Says what webhooks may reach; once, before the first request.
    pub fn set_webhook_rules(&self, rules: webhook::target::Rules) {
        if self.inner.webhook_rules.set(rules).is_err() {
            tracing::warn!("what webhooks may reach was settled before");
        }
    }

    /// What the application was opened with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }
}

/// The facts of an organization, read now.
pub(crate) async fn facts(app: &App, organization: OrganizationId) -> Result<OrganizationFacts, Problem> {
    charter_store::facts::load(app.database(), organization)
        .await?
        .ok_or_else(|| Problem::not_found("no such organization, or you are not a member of it"))
}
