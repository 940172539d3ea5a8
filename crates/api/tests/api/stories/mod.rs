//! Stories over HTTP: the real application behind the real routes, on SQLite and on PostgreSQL, with a clock that stands still and
//! randomness that repeats. Callers are put on the request, as a command in the same process does it; how a token proves a
//! caller has stories of its own.

mod adoption;
mod api_key;
mod api_key_admin;
mod api_key_use;
mod assignment;
mod at_once;
mod audit;
mod auth;
mod authzen;
mod block;
mod breached;
mod browser;
mod catalogue;
mod check;
mod condition;
mod demand;
mod email_change;
mod entitlement;
pub mod every_route;
mod factor;
mod fault;
mod former_token;
mod grant;
mod guessing;
mod hostile_texts;
mod identity_settings;
mod invitation;
mod isolation;
mod kept_address;
mod legacy;
mod mail;
mod mailbox;
mod member;
mod oauth;
mod organization;
mod pages;
mod passkey;
mod password_reset;
mod proxy_user;
mod refresh;
mod refused;
mod registration;
mod resource;
mod role;
mod search;
mod session;
mod shadow;
mod shadow_back;
mod shadow_batch;
mod shadow_mode;
mod signing_key;
mod support;
mod team;
mod two_writers;
mod user_import;
mod vault;
mod webhook;

use axum::Router;
use axum::body::Body;
use charter_api::edge::{LocalCaller, Settings};
use charter_app::clock::{Clock, Randomness};
use charter_app::identity::password::HashCost;
use charter_app::identity::proxied_caller::ProxySecret;
use charter_app::identity::{self, Secrets};
use charter_app::mail::Way;
use charter_app::{App, Caller, SignedIn, World};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{OrganizationId, PrincipalId, Timestamp};
use charter_testkit::database::TestDatabase;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;

/// The instant stories begin at: 2027-01-15T08:00:00Z.
pub const NOW: i64 = 1_800_000_000;

/// Administrator of toys.
pub const ANN: Who = Who::Named("ann@toys.example");
/// Member of toys without a role.
pub const BOB: Who = Who::Named("bob@toys.example");
/// Another member of toys without a role.
pub const CAT: Who = Who::Named("cat@toys.example");
/// Administrator of trade, unknown at toys.
pub const EVE: Who = Who::Named("eve@trade.example");
/// Administrator of the platform.
pub const PAT: Who = Who::Named("pat@platform.example");

/// What the clock says, and how far it was set back, in microseconds.
#[derive(Debug)]
pub struct StillClock(AtomicI64, AtomicI64);

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Acquire))
    }

    fn steady_micros(&self) -> i64 {
        self.0.load(Ordering::Acquire) + self.1.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct Seeded(AtomicU64);

impl Randomness for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // splitmix64
            let mut word = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// What the proxy shows that names users.
pub const PROXY_SECRET: &str = "a proxy that signs people in shows this";

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Nobody,
    Operator,
    Named(&'static str),
}

/// An answer.
#[derive(Debug)]
pub struct Told {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Told {
    /// The answer, once its status is the expected one.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self
    }

    /// The answer, once it is this kind of problem.
    #[track_caller]
    #[allow(clippy::wrong_self_convention, reason = "a story reads as a sentence")]
    pub fn is_problem(self, status: u16, slug: &str) -> Self {
        let told = self.is(status);
        assert_eq!(told.body["type"], format!("urn:charter:problem:{slug}"), "{:#}", told.body);
        assert!(!told.body["detail"].as_str().unwrap().is_empty());
        assert!(told.body["request_id"].is_string());
        told
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Texts at a pointer in every item of a list.
    pub fn each(&self, pointer: &str) -> Vec<String> {
        let items = self.body["items"].as_array().unwrap();
        items.iter().map(|item| item.pointer(pointer).unwrap().as_str().unwrap().to_owned()).collect()
    }
}

/// The application behind its routes.
pub struct Story {
    pub app: App,
    router: Router,
    clock: Arc<StillClock>,
    known: Mutex<Vec<(String, PrincipalId, OrganizationId)>>,
    /// The database lives as long as the story.
    _database: TestDatabase,
}

impl Story {
    /// An empty installation.
    pub async fn empty(database: TestDatabase) -> Self {
        Self::empty_with(database, Way::Sent).await
    }

    /// The same, whose mail goes this way.
    pub async fn empty_with(database: TestDatabase, mail: Way) -> Self {
        // A SQLite file has one owner, and the application opens it itself.
        database.close().await.unwrap();
        let clock = Arc::new(StillClock(AtomicI64::new(NOW * 1_000_000), AtomicI64::default()));
        let secrets = Secrets { key_encryption_key: [1; 32], pepper: [2; 32] };
        let settings = charter_app::Settings {
            database: database.options().clone(),
            migrate: true,
            max_staleness_seconds: 7 * 86_400,
            drop_unused_seconds: 3_600,
            identity: identity::Settings {
                breached_passwords: Some(Arc::new(breached::Leaked)),
                mail,
                proxy_secret: Some(ProxySecret(PROXY_SECRET.to_owned().into())),
                hash_cost: HashCost { memory_kib: 64, passes: 1, lanes: 1 },
                ..identity::Settings::new("https://charter.example", secrets)
            },
        };
        let world = World::new(Arc::<StillClock>::clone(&clock), Arc::new(Seeded(AtomicU64::new(7))));
        let app = App::open(settings, world).await.unwrap();
        let edge = Settings {
            trusted_proxies: vec!["fd77::/16".parse().unwrap()],
            proxy_user_header: Some(HeaderName::from_static("x-forwarded-user")),
            ..Settings::default()
        };
        let router = charter_api::routes().into_router(app.clone(), edge);
        Self { app, router, clock, known: Mutex::default(), _database: database }
    }

    /// Toys with ann (administrator), bob and cat; trade with eve (administrator); the platform with pat (administrator).
    pub async fn company(database: TestDatabase) -> Self {
        let story = Self::empty(database).await;
        let modules = json!(["finance", "inventory", "procurement", "sales"]);
        for (key, name) in [("toys", "Soft Toys"), ("trade", "Trading")] {
            let body = json!({"key": key, "name": name, "enabled_modules": modules});
            story.post(Who::Operator, "/api/v1/organizations", body).await.is(201);
        }
        let people = [
            ("toys", ANN, Some("org_admin")),
            ("toys", BOB, None),
            ("toys", CAT, None),
            ("trade", EVE, Some("org_admin")),
            ("platform", PAT, Some("superadmin")),
        ];
        for (organization, who, role) in people {
            story.hire(organization, who).await;
            if let Some(role) = role {
                story.assign(Who::Operator, organization, who, role).await.is(201);
            }
        }
        story
    }

    /// Adds somebody as a member.
    pub async fn hire(&self, organization: &str, who: Who) {
        let Who::Named(login) = who else { panic!("only people are members") };
        let path = format!("/api/v1/organizations/{organization}/members");
        let told = self.post(Who::Operator, &path, json!({"login": login})).await.is(201);
        let id: PrincipalId = told.body["member"]["id"].as_str().unwrap().parse().unwrap();
        let organization = self.app.resolve_organization(organization).await.unwrap();
        self.known.lock().unwrap().push((login.to_owned(), id, organization));
    }

    /// Gives somebody a role.
    pub async fn assign(&self, by: Who, organization: &str, who: Who, role: &str) -> Told {
        let Who::Named(login) = who else { panic!("only people have roles") };
        let path = format!("/api/v1/organizations/{organization}/assignments");
        self.post(by, &path, json!({"role": role, "subject": {"member": login}})).await
    }

    /// Lets time pass while nothing is read.
    pub fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::AcqRel);
    }

    /// Lets time pass.
    pub async fn wait_seconds(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::AcqRel);
        self.app.tick().await.unwrap();
    }

    /// Lets time pass in which no change of another node can be read.
    pub fn wait_without_news(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::AcqRel);
    }

    /// Sets the clock back, while no time passes.
    pub fn set_back(&self, seconds: i64) {
        self.clock.0.fetch_sub(seconds * 1_000_000, Ordering::AcqRel);
        self.clock.1.fetch_add(seconds * 1_000_000, Ordering::AcqRel);
    }

    pub fn id_of(&self, who: Who) -> PrincipalId {
        let Who::Named(login) = who else { panic!("only people have ids") };
        self.known.lock().unwrap().iter().find(|known| known.0 == login).unwrap().1
    }

    fn caller(&self, who: Who) -> Caller {
        match who {
            Who::Nobody => Caller::Anonymous,
            Who::Operator => Caller::Operator { account: "keeper".to_owned() },
            Who::Named(login) => {
                let known = self.known.lock().unwrap();
                let (_, id, organization) = known.iter().find(|known| known.0 == login).unwrap();
                Caller::Principal(Arc::new(SignedIn {
                    id: *id,
                    kind: PrincipalKind::User,
                    login: login.to_owned(),
                    name: login.to_owned(),
                    session: None,
                    credential: None,
                    organization: Some(*organization),
                    ceiling: None,
                    by_client: None,
                    amr: vec!["pwd".to_owned()],
                    authenticated_at: Some(self.clock.now()),
                    expires_at: None,
                    legacy_issued_at: None,
                    support: None,
                }))
            }
        }
    }

    /// Sends a request with headers.
    pub async fn send(
        &self,
        who: Who,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Told {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            None => Body::empty(),
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
        };
        let request = request.extension(LocalCaller(self.caller(who))).body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Told { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&self, who: Who, path: &str) -> Told {
        self.send(who, Method::GET, path, &[], None).await
    }

    pub async fn post(&self, who: Who, path: &str, body: Value) -> Told {
        self.send(who, Method::POST, path, &[], Some(body)).await
    }

    pub async fn put(&self, who: Who, path: &str, body: Value) -> Told {
        self.send(who, Method::PUT, path, &[], Some(body)).await
    }

    pub async fn patch(&self, who: Who, path: &str, body: Value) -> Told {
        self.send(who, Method::PATCH, path, &[], Some(body)).await
    }

    pub async fn delete(&self, who: Who, path: &str) -> Told {
        self.send(who, Method::DELETE, path, &[], None).await
    }

    /// Every item of a list, page by page, with the texts at a pointer; each page but the last is full.
    pub async fn all(&self, who: Who, path: &str, limit: usize, pointer: &str) -> Vec<String> {
        let mark = if path.contains('?') { '&' } else { '?' };
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let told = self.get(who, &format!("{path}{mark}limit={limit}{cursor}")).await.is(200);
            let page = told.each(pointer);
            let next = told.body["next_cursor"].as_str().map(str::to_owned);
            assert!(page.len() == limit || next.is_none(), "a page before the last is not full");
            found.extend(page);
            match next {
                None => return found,
                Some(next) => cursor = format!("&cursor={next}"),
            }
        }
    }

    /// Whether somebody may do something now.
    pub async fn allows(&self, organization: &str, who: Who, permission: &str) -> bool {
        self.decision(organization, who, json!({"permission": permission})).await["decision"] == "allow"
    }

    /// The answer to a check about somebody.
    pub async fn decision(&self, organization: &str, who: Who, mut check: Value) -> Value {
        let Who::Named(login) = who else { panic!("checks are about people") };
        check["subject"] = json!(login);
        let path = format!("/api/v1/organizations/{organization}/checks");
        self.post(Who::Operator, &path, check).await.is(200).body
    }

    /// The revision of an organization.
    pub async fn revision(&self, organization: &str) -> u64 {
        let path = format!("/api/v1/organizations/{organization}");
        self.get(Who::Operator, &path).await.is(200).body["revision"].as_u64().unwrap()
    }
}

/// The logins in a list of access changes, with the permission and which way.
pub fn changes(told: &Told) -> Vec<String> {
    let changes = told.body["access_changes"].as_array().unwrap();
    let mut found: Vec<String> = changes
        .iter()
        .map(|change| {
            format!(
                "{} {} {}",
                change["login"].as_str().unwrap(),
                change["change"].as_str().unwrap(),
                change["permission"].as_str().unwrap()
            )
        })
        .collect();
    found.sort();
    found
}
