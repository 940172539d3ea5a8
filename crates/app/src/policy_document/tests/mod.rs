//! The document, proven: export and apply are inverse, names are looked up, faults come all at once by line, and cases are told plainly.

mod cases;
mod faults;
mod meaning;

use crate::policy_document::{parse, resolve};
use charter_kernel::catalogue::Catalogue;
use charter_kernel::condition::{AttributeOf, Scalar, Weekday};
use charter_kernel::facts::*;
use charter_kernel::*;
use std::sync::OnceLock;

const NOW: Timestamp = Timestamp::from_seconds(1_780_000_000);

fn catalogue() -> &'static Catalogue {
    static SHIPPED: OnceLock<Catalogue> = OnceLock::new();
    SHIPPED.get_or_init(|| charter_catalogue::shipped().unwrap())
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap()
}

fn member(id: u128, login: &str) -> MemberFact {
    MemberFact {
        principal: PrincipalId(id),
        kind: PrincipalKind::User,
        login: login.to_owned(),
        name: login.to_owned(),
        status: PrincipalStatus::Active,
        account_status: PrincipalStatus::Active,
        window: Window::ALWAYS,
        attributes: "{}".to_owned(),
    }
}

fn resource(kind: &str, id: &str) -> ResourceRef {
    ResourceRef { kind: key(kind), id: id.into() }
}

/// An organization without any policy yet.
fn empty() -> OrganizationFacts {
    OrganizationFacts {
        organization: OrganizationFact {
            id: OrganizationId(1),
            key: key("toys"),
            name: "Toys".to_owned(),
            kind: OrganizationKind::Customer,
            status: OrganizationStatus::Active,
            enabled_modules: None,
            revision: Revision(7),
            assertable: Vec::new(),
        },
        members: vec![member(10, "ann@toys.example"), member(11, "bob@toys.example"), member(12, "robot")],
        teams: Vec::new(),
        roles: Vec::new(),
        assignments: Vec::new(),
        grants: Vec::new(),
        blocks: Vec::new(),
        conditions: Vec::new(),
        resources: Vec::new(),
        entitlements: Vec::new(),
        previews: Vec::new(),
        subscriptions: Vec::new(),
        limit_overrides: Vec::new(),
    }
}

/// One with a bit of everything, in no particular order.
fn toys() -> OrganizationFacts {
    let mut it = empty();
    let line = |text: &str, condition: Option<&str>| RolePermission {
        pattern: pattern(text),
        condition: condition.map(key),
    };
    it.teams = vec![
        TeamFact {
            id: TeamId(21),
            key: key("sewing"),
            name: "Sewing \"A\"".to_owned(),
            parent: Some(TeamId(20)),
            members: vec![PrincipalId(12), PrincipalId(10)],
        },
        TeamFact {
            id: TeamId(20),
            key: key("production"),
            name: "Production".to_owned(),
            parent: None,
            members: Vec::new(),
        },
    ];
    it.conditions = vec![
        ConditionFact {
            key: key("office"),
            condition: Condition::Address { ranges: vec!["10.0.0.0/8".to_owned()] },
        },
        ConditionFact {
            key: key("careful"),
            condition: Condition::All {
                of: vec![
                    Condition::Team { team: key("sewing") },
                    Condition::Any {
                        of: vec![
                            Condition::AtMost {
                                of: AttributeOf::Resource,
                                attribute: "amount".to_owned(),
                                limit: 1000.0,
                            },
                            Condition::OneOf {
                                of: AttributeOf::Context,
                                attribute: "a.b".to_owned(),
                                values: vec![
                                    Scalar::Bool(true),
                                    Scalar::Int(-3),
                                    Scalar::Float(2.5),
                                    Scalar::Text("x".to_owned()),
                                ],
                            },
                            Condition::Owner {},
                        ],
                    },
                    Condition::Hours {
                        zone: "Europe/Berlin".to_owned(),
                        weekdays: vec![Weekday::Mon, Weekday::Fri],
                        from: "08:00".to_owned(),
                        to: "17:00".to_owned(),
                    },
                    Condition::Between { from: Some(NOW), to: None },
                    Condition::Assurance { mfa: true, any_of: Vec::new() },
                    Condition::Cel {
                        expression: "context.n == 1 &&\n resource.properties.name != \"q\"".to_owned(),
                    },
                ],
            },
        },
    ];
    it.roles = vec![
        RoleFact {
            key: key("night_clerk"),
            name: "Night clerk".to_owned(),
            parents: vec![key("viewer"), key("clerk")],
            permissions: vec![line("sales.orders.update", Some("office")), line("sales.orders.read", None)],
            level: Level::Developer,
        },
        RoleFact {
            key: key("clerk"),
            name: "Clerk".to_owned(),
            parents: Vec::new(),
            permissions: vec![line("sales.*.read", None)],
            level: Level::Viewer,
        },
    ];
    let window = Window::new(Some(Timestamp(NOW.0 - 5)), Some(NOW.plus_seconds(86_400))).unwrap();
    it.assignments = vec![
        AssignmentFact {
            id: AssignmentId(0x31),
            role: key("night_clerk"),
            subject: Subject::Team(TeamId(21)),
            window,
            condition: Some(key("careful")),
        },
        AssignmentFact {
            id: AssignmentId(0x30),
            role: key("org_admin"),
            subject: Subject::Principal(PrincipalId(11)),
            window: Window::ALWAYS,
            condition: None,
        },
    ];
    it.grants = vec![
        GrantFact {
            id: GrantId(0x41),
            subject: Subject::Principal(PrincipalId(10)),
            pattern: pattern("sales.invoices.post"),
            reach: Reach::Resource(resource("invoices", "A:10/42 ü")),
            effect: Effect::Allow,
            window,
            condition: Some(key("office")),
            reason: "two\nlines".to_owned(),
            given_by: Some(PrincipalId(11)),
            given_at: Timestamp(5),
        },
        GrantFact {
            id: GrantId(0x40),
            subject: Subject::Team(TeamId(20)),
            pattern: pattern("inventory.*.*"),
            reach: Reach::Type(key("warehouse")),
            effect: Effect::Deny,
            window: Window::ALWAYS,
            condition: None,
            reason: "stock taking".to_owned(),
            given_by: None,
            given_at: Timestamp(6),
        },
    ];
    let block = |id, subject, text: &str| BlockFact {
        id: BlockId(id),
        subject,
        pattern: pattern(text),
        reach: Reach::Organization,
        window: Window::ALWAYS,
        condition: None,
        reason: "apart".to_owned(),
        conflict: None,
    };
    it.blocks = vec![
        block(0x53, BlockSubject::Everyone, "finance.payments.approve"),
        block(0x52, BlockSubject::Role(key("clerk")), "sales.orders.create"),
        block(0x51, BlockSubject::Team(TeamId(20)), "sales.orders.create"),
        // Somebody who is no member any more: the block stays, by id.
        block(0x50, BlockSubject::Principal(PrincipalId(99)), "crm.*.*"),
        BlockFact {
            conflict: Some(key("payment_self_approval")),
            ..block(0x54, BlockSubject::Principal(PrincipalId(10)), "finance.payments.create")
        },
    ];
    let registered = |kind: &str, id: &str, owner, attributes: &str| ResourceFact {
        resource: resource(kind, id),
        owner,
        attributes: attributes.to_owned(),
    };
    it.resources = vec![
        registered("warehouse", "w2", None, "{}"),
        registered(
            "invoices",
            "1042",
            Some(PrincipalId(10)),
            r#"{"amount": 12.0, "b": {"c d": [1, true, "x"]}, "a": -7}"#,
        ),
        registered("invoices", "1041", None, r#"{"gone":null,"big":18446744073709551615}"#),
    ];
    it
}

fn counter(start: u128) -> impl FnMut() -> u128 {
    let mut next = start;
    move || {
        next += 1;
        next
    }
}

fn applied(text: &str, before: &OrganizationFacts) -> OrganizationFacts {
    let document = parse(text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    resolve(&document, before, catalogue(), &mut counter(0x1000), NOW, Some(PrincipalId(11)))
        .unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn faults(text: &str, before: &OrganizationFacts) -> Vec<String> {
    let document = parse(text).unwrap_or_else(|faults| panic!("{faults:#?}"));
    resolve(&document, before, catalogue(), &mut counter(0x1000), NOW, None)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn form_faults(text: &str) -> Vec<String> {
    parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}
