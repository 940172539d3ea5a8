//! A small catalogue, short ways to write facts, and random worlds drawn from a list of numbers.

use charter_kernel::catalogue::*;
use charter_kernel::condition::{AttributeOf, Scalar};
use charter_kernel::entitlement::*;
use charter_kernel::facts::*;
use charter_kernel::*;
use charter_policy::{Check, CheckResource, Context, Index, Interner, PermissionIndex, Shard};
use std::sync::{Arc, LazyLock};

pub const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

pub fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

pub fn window(from: Option<i64>, to: Option<i64>) -> Window {
    Window::new(from.map(at), to.map(at)).unwrap()
}

fn module(name: &str, always_on: bool, scope: ModuleScope, parts: &[&str]) -> Module {
    Module {
        key: key(name),
        name: name.into(),
        description: String::new(),
        bundled: true,
        always_on,
        scope,
        depends_on: vec![],
        legacy_keys: vec![format!("old_{name}")],
        submodules: parts.iter().map(|part| (key(part), String::new())).collect(),
    }
}

fn role(name: &str, level: Level, parents: &[&str], patterns: &[&str]) -> CatalogueRole {
    CatalogueRole {
        role: own_role(name, level, parents, patterns),
        description: String::new(),
        system: name == "superadmin",
        aliases: vec![],
        sod_exempt: matches!(name, "superadmin" | "org_admin"),
    }
}

pub fn own_role(name: &str, level: Level, parents: &[&str], patterns: &[&str]) -> RoleFact {
    RoleFact {
        key: key(name),
        name: name.into(),
        parents: parents.iter().map(|parent| key(parent)).collect(),
        permissions: patterns
            .iter()
            .map(|pattern| match pattern.split_once(" if ") {
                Some((pattern, condition)) => {
                    RolePermission { pattern: pattern.parse().unwrap(), condition: Some(key(condition)) }
                }
                None => RolePermission { pattern: pattern.parse().unwrap(), condition: None },
            })
            .collect(),
        level,
    }
}

pub static CODES: &[(&str, &str)] = &[
    ("admin.org_entitlements.read", "organization"),
    ("admin.users.read", "users"),
    ("platform.organizations.read", "tenants"),
    ("sales.invoices.approve", "billing"),
    ("sales.invoices.export", "billing"),
    ("sales.invoices.read", "billing"),
    ("sales.items.read", "orders"),
    ("sales.orders.create", "orders"),
    ("sales.orders.read", "orders"),
    ("stock.items.read", "stores"),
    ("stock.items.update", "stores"),
];

pub fn catalogue() -> Catalogue {
    let action = |action: &str, minimum_level, permission: &str| ResourceAction {
        action: action.into(),
        minimum_level,
        permission: permission.parse().unwrap(),
    };
    Catalogue {
        version: "test".into(),
        retired: vec![],
        modules: vec![
            module("admin", true, ModuleScope::Organization, &["organization", "users"]),
            module("platform", true, ModuleScope::System, &["tenants"]),
            module("sales", false, ModuleScope::Organization, &["billing", "orders"]),
            module("stock", false, ModuleScope::Organization, &["stores"]),
        ],
        permissions: CODES
            .iter()
            .map(|(code, part)| Permission {
                code: code.parse().unwrap(),
                submodule: key(part),
                description: String::new(),
                dangerous: false,
            })
            .collect(),
        roles: vec![
            role("boss", Level::Manager, &["clerk"], &["sales.invoices.approve", "stock.*.* if office"]),
            role("clerk", Level::Developer, &["viewer"], &["sales.orders.create", "stock.items.update"]),
            role("org_admin", Level::Admin, &[], &["*.*.*"]),
            role("superadmin", Level::Admin, &[], &["*"]),
            role("viewer", Level::Viewer, &[], &["sales.*.read", "stock.items.read"]),
        ],
        conflicts: vec![Conflict {
            key: key("own_orders"),
            severity: Severity::Block,
            left: vec!["sales.orders.create".parse().unwrap()],
            right: vec!["sales.invoices.approve".parse().unwrap()],
            why: "ordering and approving".into(),
        }],
        limits: vec![Limit {
            key: key("users"),
            description: String::new(),
            unit: "users".into(),
            kind: LimitKind::Gauge,
            monthly: false,
        }],
        plans: vec![Plan {
            key: key("basic"),
            name: "Basic".into(),
            description: String::new(),
            rank: 1,
            trial_days: 30,
            modules: vec![key("sales")],
            limits: vec![],
        }],
        resource_types: vec![
            ResourceType {
                key: key("invoice"),
                name: "Invoice".into(),
                registered: false,
                actions: vec![
                    action("approve", Level::Manager, "sales.invoices.approve"),
                    action("place", Level::Developer, "sales.orders.create"),
                    action("read", Level::Viewer, "sales.invoices.read"),
                ],
            },
            ResourceType {
                key: key("item"),
                name: "Item".into(),
                registered: true,
                actions: vec![action("read", Level::Viewer, "stock.items.read")],
            },
        ],
        ..Catalogue::default()
    }
}

pub static INDEX: LazyLock<Arc<Index>> = LazyLock::new(|| Arc::new(Index::new(&catalogue()).unwrap()));

pub fn permission(code: &str) -> PermissionIndex {
    INDEX.permission(code).unwrap()
}

pub fn principal(number: u128) -> PrincipalId {
    PrincipalId(0x0190_0000_0000_7000_8000_0000_0000_0000 | number)
}

pub fn member(number: u128) -> MemberFact {
    MemberFact {
        principal: principal(number),
        kind: PrincipalKind::User,
        login: format!("user{number}@example.org"),
        name: format!("User {number}"),
        status: PrincipalStatus::Active,
        account_status: PrincipalStatus::Active,
        window: Window::ALWAYS,
        attributes: "{}".into(),
    }
}

pub fn enabled(module: &str) -> EntitlementFact {
    entitlement(module, None, EntitlementStatus::Enabled)
}

pub fn entitlement(module: &str, part: Option<&str>, status: EntitlementStatus) -> EntitlementFact {
    EntitlementFact {
        module: key(module),
        submodule: part.map(key),
        source: EntitlementSource::Plan,
        source_id: "p1".into(),
        status,
        window: Window::ALWAYS,
        grace_until: None,
        read_only_until: None,
        reason: String::new(),
    }
}

/// One active organization with both modules, members 1 to 3, nobody with any right.
pub fn facts() -> OrganizationFacts {
    OrganizationFacts {
        organization: OrganizationFact {
            id: OrganizationId(1),
            key: key("toys"),
            name: "Toys".into(),
            kind: OrganizationKind::Customer,
            status: OrganizationStatus::Active,
            enabled_modules: None,
            revision: Revision(7),
            assertable: vec![],
        },
        members: (1..=3).map(member).collect(),
        teams: vec![],
        roles: vec![],
        assignments: vec![],
        grants: vec![],
        blocks: vec![],
        conditions: vec![],
        resources: vec![],
        entitlements: vec![enabled("sales"), enabled("stock")],
        previews: vec![],
        subscriptions: vec![],
        limit_overrides: vec![],
    }
}

pub fn assign(role: &str, to: u128) -> AssignmentFact {
    AssignmentFact {
        id: AssignmentId(to * 1000 + role.len() as u128),
        role: key(role),
        subject: Subject::Principal(principal(to)),
        window: Window::ALWAYS,
        condition: None,
    }
}

pub fn grant(id: u128, to: u128, effect: Effect, pattern: &str, reach: Reach) -> GrantFact {
    GrantFact {
        id: GrantId(id),
        subject: Subject::Principal(principal(to)),
        pattern: pattern.parse().unwrap(),
        reach,
        effect,
        window: Window::ALWAYS,
        condition: None,
        reason: "because".into(),
        given_by: None,
        given_at: at(-1000),
    }
}

pub fn block(id: u128, subject: BlockSubject, pattern: &str, reach: Reach) -> BlockFact {
    BlockFact {
        id: BlockId(id),
        subject,
        pattern: pattern.parse().unwrap(),
        reach,
        window: Window::ALWAYS,
        condition: None,
        reason: "because".into(),
        conflict: None,
    }
}

pub fn on(kind: &str, id: &str) -> Reach {
    Reach::Resource(ResourceRef { kind: key(kind), id: id.into() })
}

pub fn team(number: u128, parent: Option<u128>, members: &[u128]) -> TeamFact {
    TeamFact {
        id: TeamId(number),
        key: key(&format!("team{number}")),
        name: String::new(),
        parent: parent.map(TeamId),
        members: members.iter().map(|number| principal(*number)).collect(),
    }
}

pub fn condition(name: &str, condition: Condition) -> ConditionFact {
    ConditionFact { key: key(name), condition }
}

pub fn shard(facts: &OrganizationFacts) -> Shard {
    Shard::compile(&INDEX, facts, &Interner::new()).unwrap()
}

pub fn check<'a>(who: u128, code: &str, resource: Option<(&'a str, &'a str)>) -> Check<'a> {
    static NOTHING: Context<'static> = Context::EMPTY;
    Check {
        subject: principal(who),
        permission: permission(code),
        minimum_level: None,
        resource: resource.map(|(kind, id)| CheckResource { kind, id, registered_elsewhere: false }),
        now: NOW,
        context: &NOTHING,
        ceiling: None,
    }
}

/// A list of numbers as choices; shrinking the list shrinks the world.
pub struct Dice<'a> {
    numbers: std::slice::Iter<'a, u16>,
}

impl<'a> Dice<'a> {
    pub fn new(numbers: &'a [u16]) -> Self {
        Self { numbers: numbers.iter() }
    }

    /// Below `sides`.
    pub fn below(&mut self, sides: usize) -> usize {
        usize::from(self.numbers.next().copied().unwrap_or(0)) % sides
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// One time in `times`; never when the numbers are used up.
    pub fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    pub fn window(&mut self) -> Window {
        let edges: &[Option<i64>] =
            &[None, None, None, Some(-30), Some(-1), Some(0), Some(1), Some(45), Some(500)];
        let (from, to) = (self.pick(edges), self.pick(edges));
        Window::new(from.map(at), to.map(at)).unwrap_or(Window::ALWAYS)
    }

    pub fn rare_window(&mut self) -> Window {
        if self.rarely(3) { self.window() } else { Window::ALWAYS }
    }

    pub fn condition(&mut self) -> Option<ConditionKey> {
        let names = [
            "always", "soon", "office", "broken", "mine", "sales", "mfa", "team1", "amount", "hours", "cel",
            "clock", "missing",
        ];
        if self.rarely(3) { Some(key(self.pick(&names))) } else { None }
    }

    pub fn pattern(&mut self) -> Pattern {
        self.pick(&[
            "sales.invoices.approve",
            "sales.invoices.*",
            "sales.*.read",
            "*",
            "*.*.*",
            "*.*.read",
            "stock.items.*",
            "platform.*.*",
            "sales.orders.create",
            "nothing.of.that",
        ])
        .parse()
        .unwrap()
    }

    pub fn reach(&mut self) -> Reach {
        match self.below(5) {
            0 | 1 => Reach::Organization,
            2 => Reach::Type(key(self.pick(&["invoice", "invoices", "item", "items", "orders", "nowhere"]))),
            _ => on(
                self.pick(&["invoice", "invoices", "item", "items", "orders", "nowhere"]),
                self.pick(&["1", "2"]),
            ),
        }
    }

    fn subject(&mut self) -> Subject {
        if self.rarely(2) {
            Subject::Team(TeamId(self.below(4) as u128 + 1))
        } else {
            Subject::Principal(self.principal())
        }
    }

    pub fn principal(&mut self) -> PrincipalId {
        principal(self.below(4) as u128 + 1)
    }

    fn role(&mut self) -> RoleKey {
        key(self.pick(&[
            "viewer",
            "clerk",
            "boss",
            "org_admin",
            "superadmin",
            "own_a",
            "own_b",
            "own_c",
            "ghost",
        ]))
    }

    pub fn assignment(&mut self, id: u128) -> AssignmentFact {
        AssignmentFact {
            id: AssignmentId(id),
            role: self.role(),
            subject: self.subject(),
            window: self.rare_window(),
            condition: self.condition(),
        }
    }

    pub fn grant(&mut self, id: u128, effect: Effect) -> GrantFact {
        GrantFact {
            id: GrantId(id),
            subject: self.subject(),
            pattern: self.pattern(),
            reach: self.reach(),
            effect,
            window: self.rare_window(),
            condition: self.condition(),
            reason: "drawn".into(),
            given_by: None,
            given_at: NOW,
        }
    }

    pub fn block(&mut self, id: u128) -> BlockFact {
        let subject = match self.below(5) {
            0 => BlockSubject::Principal(self.principal()),
            1 => BlockSubject::Team(TeamId(self.below(4) as u128 + 1)),
            2 | 3 => BlockSubject::Role(self.role()),
            _ => BlockSubject::Everyone,
        };
        BlockFact {
            id: BlockId(id),
            subject,
            pattern: self.pattern(),
            reach: self.reach(),
            window: self.rare_window(),
            condition: self.condition(),
            reason: "drawn".into(),
            conflict: None,
        }
    }

    pub fn entitlement(&mut self) -> EntitlementFact {
        let module = self.pick(&["sales", "sales", "sales", "stock", "platform", "nowhere"]);
        let part = if module == "sales" && self.rarely(2) {
            Some(key(self.pick(&["billing", "orders", "unknown"])))
        } else {
            None
        };
        let status = self.pick(&[
            EntitlementStatus::Enabled,
            EntitlementStatus::Enabled,
            EntitlementStatus::Enabled,
            EntitlementStatus::Disabled,
            EntitlementStatus::Preview,
            EntitlementStatus::Blocked,
        ]);
        let later: &[Option<i64>] = &[None, None, Some(-5), Some(20), Some(700)];
        EntitlementFact {
            module: key(module),
            submodule: part,
            source: self.pick(&[
                EntitlementSource::Plan,
                EntitlementSource::Trial,
                EntitlementSource::Override,
            ]),
            source_id: self.pick(&["p1", "p2"]).into(),
            status,
            window: self.window(),
            grace_until: self.pick(later).map(at),
            read_only_until: self.pick(later).map(at),
            reason: String::new(),
        }
    }

    pub fn facts(&mut self) -> OrganizationFacts {
        let mut facts = facts();
        let organization = &mut facts.organization;
        if self.rarely(8) {
            organization.kind = OrganizationKind::Platform;
        }
        organization.status = match self.below(20) {
            18 => OrganizationStatus::Suspended,
            19 => OrganizationStatus::Closed,
            _ => OrganizationStatus::Active,
        };
        organization.assertable =
            self.pick(&[vec![], vec!["subject.department".into(), "resource.*".into()]]);
        organization.enabled_modules = self
            .pick(&[None, Some(r#"{"SALES": true, "old_stock": "yes"}"#), Some("{"), Some("[\"stock\"]")])
            .map(Into::into);
        for member in &mut facts.members {
            if self.rarely(14) {
                member.status = PrincipalStatus::Suspended;
            }
            if self.rarely(9) {
                member.window = self.window();
            }
            if self.rarely(6) {
                member.kind = PrincipalKind::ServiceAccount;
            }
            member.attributes =
                self.pick(&["{}", r#"{"department":"sales"}"#, r#"{"department":7}"#, "[]", ""]).into();
        }
        for number in 0..self.below(5) {
            let members: Vec<u128> = (0..self.below(3)).map(|_| self.below(4) as u128 + 1).collect();
            let parent = if self.rarely(2) { Some(self.below(5) as u128 + 1) } else { None };
            facts.teams.push(team(number as u128 + 1, parent, &members));
        }
        for _ in 0..self.below(5) {
            let name = self.pick(&["own_a", "own_b", "own_c", "viewer"]);
            if facts.roles.iter().any(|role| role.key.as_str() == name) {
                continue;
            }
            let mut role =
                own_role(name, self.pick(&[Level::Viewer, Level::Developer, Level::Manager]), &[], &[]);
            role.parents = (0..self.below(3)).map(|_| self.role()).collect();
            role.permissions = (0..self.below(3))
                .map(|_| RolePermission { pattern: self.pattern(), condition: self.condition() })
                .collect();
            facts.roles.push(role);
        }
        facts.assignments = (0..self.below(8)).map(|number| self.assignment(number as u128 + 1)).collect();
        for number in 0..self.below(9) {
            let effect = self.pick(&[Effect::Allow, Effect::Allow, Effect::Deny]);
            facts.grants.push(self.grant(number as u128 + 1, effect));
        }
        facts.blocks = (0..self.below(3)).map(|number| self.block(number as u128 + 1)).collect();
        if self.rarely(2) {
            facts.entitlements.clear();
        }
        facts.entitlements.extend((0..self.below(8)).map(|_| self.entitlement()));
        if self.rarely(2) {
            facts.entitlements.retain(|row| row.status != EntitlementStatus::Blocked);
        }
        facts.previews = (0..self.below(3))
            .map(|_| PreviewFact { module: key(self.pick(&["sales", "stock"])), principal: self.principal() })
            .collect();
        for kind in ["invoice", "invoices", "item", "items", "orders", "nowhere"] {
            for id in ["1", "2"] {
                if self.rarely(4) {
                    facts.resources.push(ResourceFact {
                        resource: ResourceRef { kind: key(kind), id: id.into() },
                        owner: self.pick(&[None, Some(principal(1)), Some(principal(2))]),
                        attributes: self
                            .pick(&["{}", r#"{"amount":3}"#, r#"{"amount":9}"#, "nonsense"])
                            .into(),
                    });
                }
            }
        }
        facts.conditions = conditions();
        if self.rarely(6) {
            facts.conditions.push(condition("mfa", Condition::Owner {}));
        }
        facts
    }
}

pub fn conditions() -> Vec<ConditionFact> {
    let cel = |expression: &str| Condition::Cel { expression: expression.into() };
    vec![
        condition("always", Condition::Between { from: Some(at(-1_000_000)), to: None }),
        condition("soon", Condition::Between { from: Some(at(10)), to: Some(at(200)) }),
        condition("office", Condition::Address { ranges: vec!["10.0.0.0/8".into()] }),
        condition("broken", cel("this is not")),
        condition("mine", Condition::Owner {}),
        condition(
            "sales",
            Condition::Equals {
                of: AttributeOf::Subject,
                attribute: "department".into(),
                value: Scalar::Text("sales".into()),
            },
        ),
        condition("mfa", Condition::Assurance { mfa: true, any_of: vec![] }),
        condition("team1", Condition::Team { team: key("team1") }),
        condition(
            "amount",
            Condition::AtMost { of: AttributeOf::Resource, attribute: "amount".into(), limit: 5.0 },
        ),
        condition(
            "hours",
            Condition::Any {
                of: vec![
                    Condition::Hours {
                        zone: "Europe/Berlin".into(),
                        weekdays: vec![],
                        from: "08:00".into(),
                        to: "09:01".into(),
                    },
                    Condition::Assurance { mfa: true, any_of: vec![] },
                ],
            },
        ),
        condition("cel", cel("resource.properties.amount < 5 && subject.type == 'user'")),
        condition("clock", cel("context.time < '2027-01-15T08:00:30Z'")),
    ]
}
