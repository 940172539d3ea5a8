//! What the stories of this crate begin with: a node on a test database with a clock that stands still, and a small company.

use charter_app::assignment::{self, AssignmentDraft};
use charter_app::clock::{Clock, SystemRandomness};
use charter_app::identity::breached::BreachedPasswords;
use charter_app::identity::password::HashCost;
use charter_app::identity::sign_in::{Opening, SignInDraft};
use charter_app::identity::{self, OperatorToken, Secrets, own_password};
use charter_app::member::{self, MemberDraft};
use charter_app::organization::{self, OrganizationDraft};
use charter_app::subject::SubjectRef;
use charter_app::{App, Caller, EditOptions, Permit, RequestContext, Settings, World};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{OrganizationId, Problem, RequestId, Timestamp, Window};
use charter_testkit::database::TestDatabase;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use zeroize::Zeroizing;

/// The instant stories begin at, in seconds.
pub const NOW: i64 = 1_800_000_000;
/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery";
/// The operator's token.
pub const OPERATOR: &str = "cho_0123456789abcdef0123456789abcdef";

/// A clock that moves when told to.
#[derive(Debug)]
pub struct StillClock(AtomicI64);

impl StillClock {
    pub fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::AcqRel);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Acquire))
    }
}

/// One running node.
pub struct Node {
    pub app: App,
    pub clock: Arc<StillClock>,
    toys: OnceLock<OrganizationId>,
    trade: OnceLock<OrganizationId>,
}

pub async fn open(db: &TestDatabase) -> Node {
    let secrets = Secrets { key_encryption_key: [1; 32], pepper: [2; 32] };
    open_with(db, secrets, &[], NOW).await.unwrap()
}

/// The same with secrets of a configuration, at an instant.
pub async fn open_with(
    db: &TestDatabase,
    secrets: Secrets,
    previous: &[[u8; 32]],
    now: i64,
) -> Result<Node, Problem> {
    let settings = identity::Settings {
        previous_key_encryption_keys: previous.to_vec().into(),
        ..identity::Settings::new("https://charter.example", secrets)
    };
    open_as(db, settings, now).await
}

/// The same, where no new password may stand in a list.
pub async fn open_with_breached(db: &TestDatabase, list: Arc<dyn BreachedPasswords>) -> Node {
    let secrets = Secrets { key_encryption_key: [1; 32], pepper: [2; 32] };
    let settings = identity::Settings {
        breached_passwords: Some(list),
        ..identity::Settings::new("https://charter.example", secrets)
    };
    open_as(db, settings, NOW).await.unwrap()
}

async fn open_as(db: &TestDatabase, settings: identity::Settings, now: i64) -> Result<Node, Problem> {
    // The node opens the database itself, and a SQLite file has one owner.
    db.close().await.unwrap();
    let clock = Arc::new(StillClock(AtomicI64::new(now * 1_000_000)));
    let settings = Settings {
        database: db.options().clone(),
        migrate: true,
        max_staleness_seconds: 60 * 60 * 24 * 7,
        drop_unused_seconds: 3_600,
        identity: identity::Settings {
            // One password is hashed at a time.
            cores: 1,
            hash_cost: HashCost { memory_kib: 64, passes: 1, lanes: 1 },
            operator: Some(OperatorToken { token: OPERATOR.to_owned(), account: "charter".to_owned() }),
            ..settings
        },
    };
    let world = World::new(Arc::<StillClock>::clone(&clock), Arc::new(SystemRandomness));
    Ok(Node { app: App::open(settings, world).await?, clock, toys: OnceLock::new(), trade: OnceLock::new() })
}

pub fn draft(login: &str, password: &str) -> SignInDraft {
    SignInDraft {
        login: login.to_owned(),
        password: Zeroizing::new(password.to_owned()),
        organization: None,
        opening: Opening::default(),
        device: None,
        replaces: None,
    }
}

impl Node {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn toys(&self) -> OrganizationId {
        *self.toys.get().unwrap()
    }

    pub fn trade(&self) -> OrganizationId {
        *self.trade.get().unwrap()
    }

    fn context(&self, caller: Caller, address: Option<IpAddr>) -> RequestContext {
        RequestContext { caller, request: RequestId(self.app.fresh_id()), address, now: self.now() }
    }

    pub fn anonymous(&self) -> RequestContext {
        self.context(Caller::Anonymous, None)
    }

    pub fn anonymous_from(&self, address: Option<IpAddr>) -> RequestContext {
        self.context(Caller::Anonymous, address)
    }

    pub fn operator(&self) -> RequestContext {
        self.context(Caller::Operator { account: "charter".to_owned() }, None)
    }

    pub async fn as_bearer(&self, token: &str) -> RequestContext {
        self.context(self.app.authenticate(Some(token), None).await.unwrap(), None)
    }

    /// What the operator may, in an organization.
    pub async fn permit(&self, organization: OrganizationId) -> Permit {
        self.app.require(&self.operator(), organization, "admin.users.update").await.unwrap()
    }

    /// What the operator may with keys and secrets.
    pub async fn permit_for_secrets(&self) -> Permit {
        self.app.require(&self.operator(), self.app.platform(), "platform.secrets.rotate").await.unwrap()
    }

    /// Toys with ann (administrator), bob (no role), carl (administrator here and at trade) and the service account robot
    /// (administrator's rights); trade with carl.
    pub async fn company(&self) {
        let (app, operator) = (&self.app, self.operator());
        let platform = self.permit(app.platform()).await;
        for (key, place) in [("toys", &self.toys), ("trade", &self.trade)] {
            let draft =
                OrganizationDraft { key: key.parse().unwrap(), name: key.to_owned(), enabled_modules: None };
            let made = organization::create(app, &operator, &platform, draft).await.unwrap();
            place.set(made.organization.id).unwrap();
        }
        let people = [
            (self.toys(), "ann@toys.example", PrincipalKind::User, true),
            (self.toys(), "bob@toys.example", PrincipalKind::User, false),
            (self.toys(), "carl@toys.example", PrincipalKind::User, true),
            (self.trade(), "carl@toys.example", PrincipalKind::User, true),
            (self.toys(), "robot", PrincipalKind::ServiceAccount, true),
        ];
        for (organization, login, kind, is_administrator) in people {
            let permit = self.permit(organization).await;
            let draft = MemberDraft {
                kind,
                login: login.to_owned(),
                name: None,
                window: Window::ALWAYS,
                attributes: String::new(),
            };
            member::add(app, &operator, &permit, EditOptions::apply(), draft).await.unwrap();
            if is_administrator {
                let draft = AssignmentDraft {
                    role: "org_admin".parse().unwrap(),
                    subject: SubjectRef::Member(login.to_owned()),
                    window: Window::ALWAYS,
                    condition: None,
                };
                assignment::assign(app, &operator, &permit, EditOptions::apply(), draft).await.unwrap();
            }
        }
        for login in ["ann@toys.example", "bob@toys.example", "carl@toys.example"] {
            own_password::set(app, &operator, login, Zeroizing::new(PASSWORD.to_owned())).await.unwrap();
        }
    }
}
