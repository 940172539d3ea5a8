//! A small organization with one of everything, and short names for what stories do.

use charter_db::{Error, Tx};
use charter_kernel::catalogue::{Catalogue, Limit, Module, ModuleScope, Permission};
use charter_kernel::condition::{AttributeOf, Scalar};
use charter_kernel::entitlement::*;
use charter_kernel::facts::*;
use charter_kernel::*;
use charter_store::principal::Principal;
use charter_store::{Given, catalogue, migration, plan};
use charter_testkit::database::TestDatabase;

pub const NOW: Timestamp = Timestamp(1_790_000_000_000_001);
pub const GIVEN: Given = Given { by: Some(PrincipalId(0xa11)), at: NOW };

/// Runs a write in the installation's scope and gives what it gives.
#[macro_export]
macro_rules! write {
    ($db:expr, $tx:ident => $body:expr) => {
        $db.write::<_, _, ::charter_db::Error>(::charter_db::Scope::Installation, move |$tx| {
            Box::pin(async move { $body.await })
        })
        .await
    };
}

/// Runs a read in the installation's scope and gives what it gives.
#[macro_export]
macro_rules! read {
    ($db:expr, $conn:ident => $body:expr) => {
        $db.read::<_, _, ::charter_db::Error>(::charter_db::Scope::Installation, move |$conn| {
            Box::pin(async move { $body.await })
        })
        .await
        .unwrap()
    };
}

pub fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

pub fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

pub fn window(from: i64, to: i64) -> Window {
    Window::new(Some(at(from)), Some(at(to))).unwrap()
}

pub async fn migrated(db: &TestDatabase) {
    migration::migrate_up(db, NOW).await.unwrap();
}

pub fn small_catalogue() -> Catalogue {
    let module = |name: &str, depends_on: &[&str]| Module {
        key: key(name),
        name: name.to_uppercase(),
        description: format!("about {name}"),
        bundled: true,
        always_on: false,
        scope: ModuleScope::Organization,
        depends_on: depends_on.iter().map(|one| key(one)).collect(),
        legacy_keys: vec![format!("old_{name}")],
        submodules: vec![(key("main"), "the whole".to_owned())],
    };
    Catalogue {
        version: "1".to_owned(),
        modules: vec![module("crm", &["sales"]), module("sales", &[])],
        permissions: vec![Permission {
            code: "sales.invoices.read".parse().unwrap(),
            submodule: key("main"),
            description: "read invoices".to_owned(),
            dangerous: false,
        }],
        limits: vec![Limit {
            key: key("users"),
            description: "people".to_owned(),
            unit: "user".to_owned(),
            kind: LimitKind::Gauge,
            monthly: false,
        }],
        ..Catalogue::default()
    }
}

pub fn small_plan() -> plan::PlanRow {
    plan::PlanRow {
        key: key("starter"),
        version: 1,
        name: "Starter".to_owned(),
        description: "small".to_owned(),
        rank: 10,
        trial_days: 30,
        status: plan::PlanStatus::Published,
        published_at: Some(NOW),
        entitlements: vec![
            plan::PlanEntitlement { module: key("crm"), submodule: None, preview: true },
            plan::PlanEntitlement { module: key("sales"), submodule: Some(key("main")), preview: false },
        ],
        limits: vec![PlanLimit {
            limit: key("users"),
            value: Some(10),
            enforcement: Enforcement::Hard,
            warn_percent: 80,
        }],
    }
}

/// Catalogue and plan, which organizations refer to.
pub async fn shared(tx: &mut Tx) -> Result<(), Error> {
    catalogue::install(tx, &small_catalogue(), NOW).await?;
    plan::insert(tx, &small_plan()).await
}

pub fn person(number: u128) -> Principal {
    Principal {
        id: PrincipalId(number),
        kind: if number % 5 == 4 { PrincipalKind::ServiceAccount } else { PrincipalKind::User },
        login: format!("Person{number}@toys.example"),
        login_folded: format!("person{number}@toys.example"),
        name: format!("Person {number}"),
        status: PrincipalStatus::Active,
        password_hash: Some("$argon2id$x".to_owned()),
        password_changed_at: Some(NOW),
        created_at: NOW,
        updated_at: NOW,
        email_verified_at: None,
    }
}

pub fn organization_fact(base: u128, name: &str) -> OrganizationFact {
    OrganizationFact {
        id: OrganizationId(base),
        key: key(name),
        name: name.to_uppercase(),
        kind: OrganizationKind::Customer,
        status: OrganizationStatus::Active,
        enabled_modules: Some("{\"CRM \": tru".to_owned()),
        revision: Revision(1),
        assertable: vec!["resource.*".to_owned(), "subject.department".to_owned()],
    }
}

/// One of everything; ids are `base` plus a small number.
pub fn small_world(base: u128, name: &str) -> OrganizationFacts {
    let member = |number: u128| {
        let person = person(base + number);
        MemberFact {
            principal: person.id,
            kind: person.kind,
            login: person.login_folded,
            name: person.name,
            status: person.status,
            account_status: person.status,
            window: if number == 2 { window(0, 86_400) } else { Window::ALWAYS },
            attributes: r#"{"department": "sales"}"#.to_owned(),
        }
    };
    let invoice = |id: &str| ResourceRef { kind: key("invoice"), id: id.into() };
    OrganizationFacts {
        organization: organization_fact(base, name),
        members: vec![member(1), member(2), member(3)],
        teams: vec![
            TeamFact {
                id: TeamId(base + 10),
                key: key("company"),
                name: "Company".to_owned(),
                parent: None,
                members: vec![],
            },
            TeamFact {
                id: TeamId(base + 11),
                key: key("desk"),
                name: "Desk".to_owned(),
                parent: Some(TeamId(base + 10)),
                members: vec![PrincipalId(base + 1), PrincipalId(base + 3)],
            },
        ],
        roles: vec![
            RoleFact {
                key: key("clerk"),
                name: "Clerk".to_owned(),
                parents: vec![key("viewer"), key("auditor")],
                permissions: vec![
                    RolePermission {
                        pattern: pattern("sales.invoices.*"),
                        condition: Some(key("small-amount")),
                    },
                    RolePermission { pattern: pattern("*.*.read"), condition: None },
                ],
                level: Level::Developer,
            },
            RoleFact {
                key: key("desk-lead"),
                name: "Lead".to_owned(),
                parents: vec![key("clerk")],
                permissions: vec![],
                level: Level::Manager,
            },
        ],
        assignments: vec![
            AssignmentFact {
                id: AssignmentId(base + 20),
                role: key("clerk"),
                subject: Subject::Team(TeamId(base + 11)),
                window: Window::ALWAYS,
                condition: None,
            },
            AssignmentFact {
                id: AssignmentId(base + 21),
                role: key("viewer"),
                subject: Subject::Principal(PrincipalId(base + 2)),
                window: window(-5, 60),
                condition: Some(key("small-amount")),
            },
        ],
        grants: vec![
            GrantFact {
                id: GrantId(base + 30),
                subject: Subject::Principal(PrincipalId(base + 1)),
                pattern: pattern("sales.invoices.approve"),
                reach: Reach::Resource(invoice("1042")),
                effect: Effect::Allow,
                window: Window::new(None, Some(at(60))).unwrap(),
                condition: Some(key("small-amount")),
                reason: "month end".to_owned(),
                given_by: Some(PrincipalId(base + 3)),
                given_at: NOW,
            },
            GrantFact {
                id: GrantId(base + 31),
                subject: Subject::Team(TeamId(base + 11)),
                pattern: pattern("*"),
                reach: Reach::Type(key("invoice")),
                effect: Effect::Deny,
                window: Window::ALWAYS,
                condition: None,
                reason: String::new(),
                given_by: None,
                given_at: NOW,
            },
        ],
        blocks: [
            BlockSubject::Principal(PrincipalId(base + 2)),
            BlockSubject::Team(TeamId(base + 10)),
            BlockSubject::Role(key("clerk")),
            BlockSubject::Everyone,
        ]
        .into_iter()
        .zip(40..)
        .map(|(subject, number)| BlockFact {
            id: BlockId(base + number),
            subject,
            pattern: pattern("finance.payments.approve"),
            reach: if number == 40 { Reach::Resource(invoice("7")) } else { Reach::Organization },
            window: Window::ALWAYS,
            condition: None,
            reason: "four eyes".to_owned(),
            conflict: (number == 42).then(|| key("pay-approve")),
        })
        .collect(),
        conditions: vec![
            ConditionFact { key: key("owner"), condition: Condition::Owner {} },
            ConditionFact {
                key: key("small-amount"),
                condition: Condition::All {
                    of: vec![
                        Condition::AtMost {
                            of: AttributeOf::Resource,
                            attribute: "amount".to_owned(),
                            limit: 999.5,
                        },
                        Condition::OneOf {
                            of: AttributeOf::Context,
                            attribute: "kind".to_owned(),
                            values: vec![Scalar::Int(3), Scalar::Text("x".to_owned()), Scalar::Bool(true)],
                        },
                    ],
                },
            },
        ],
        resources: vec![
            ResourceFact {
                resource: invoice("1042"),
                owner: Some(PrincipalId(base + 1)),
                attributes: r#"{"amount": 12}"#.to_owned(),
            },
            ResourceFact {
                resource: ResourceRef { kind: key("warehouse"), id: "Nord/1 ü".into() },
                owner: None,
                attributes: "{}".to_owned(),
            },
        ],
        entitlements: vec![
            EntitlementFact {
                module: key("crm"),
                submodule: None,
                source: EntitlementSource::Plan,
                source_id: "s1".to_owned(),
                status: EntitlementStatus::Preview,
                window: window(0, 60),
                grace_until: Some(at(70)),
                read_only_until: Some(at(80)),
                reason: String::new(),
            },
            EntitlementFact {
                module: key("sales"),
                submodule: None,
                source: EntitlementSource::Override,
                source_id: String::new(),
                status: EntitlementStatus::Blocked,
                window: Window::ALWAYS,
                grace_until: None,
                read_only_until: None,
                reason: "not paid".to_owned(),
            },
            EntitlementFact {
                module: key("sales"),
                submodule: Some(key("main")),
                source: EntitlementSource::Plan,
                source_id: "s1".to_owned(),
                status: EntitlementStatus::Enabled,
                window: Window::ALWAYS,
                grace_until: None,
                read_only_until: None,
                reason: String::new(),
            },
        ],
        previews: vec![PreviewFact { module: key("crm"), principal: PrincipalId(base + 1) }],
        subscriptions: vec![SubscriptionFact {
            id: SubscriptionId(base + 50),
            kind: SubscriptionKind::Plan,
            plan: key("starter"),
            version: 1,
            quantity: 2,
            window: Window::ALWAYS,
            limits: small_plan().limits,
        }],
        limit_overrides: vec![LimitOverrideFact {
            id: LimitOverrideId(base + 60),
            limit: key("users"),
            mode: LimitMode::Add,
            value: None,
            enforcement: Enforcement::Soft,
            window: window(0, 9),
            reason: "fair".to_owned(),
        }],
    }
}
