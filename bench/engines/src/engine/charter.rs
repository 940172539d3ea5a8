//! Charter: the rows as facts, compiled to a shard.

use super::Engine;
use crate::world::{KIND, NOW, OFFICE, Question, Reach, World};
use charter_kernel::entitlement::{EntitlementFact, EntitlementSource, EntitlementStatus};
use charter_kernel::facts::*;
use charter_kernel::*;
use charter_policy::{Check, CheckResource, Context, Index, Interner, Shard, reference};
use std::collections::HashMap;
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;

/// The texts of a question, as a caller over the wire brings them.
struct Texts {
    subject: String,
    code: String,
}

/// The shard and what it is asked. The questions live as long as the program, so that they can be prebuilt as references.
pub struct Charter {
    index: Arc<Index>,
    facts: OrganizationFacts,
    shard: Shard,
    checks: Vec<Check<'static>>,
    texts: Vec<Texts>,
    by_texts: bool,
}

fn key<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn facts(world: &World) -> OrganizationFacts {
    let principal = |member: usize| PrincipalId(world.members[member].id);
    let mut next = 0u128;
    let mut id = || {
        next += 1;
        next
    };
    let mut assignments = Vec::new();
    let mut assign = |role: usize, subject, window, condition: Option<&str>| {
        assignments.push(AssignmentFact {
            id: AssignmentId(id()),
            role: world.roles[role].clone(),
            subject,
            window,
            condition: condition.map(key),
        });
    };
    for (at, member) in world.members.iter().enumerate() {
        let subject = Subject::Principal(principal(at));
        for role in &member.roles {
            assign(*role, subject, Window::ALWAYS, None);
        }
        if let Some((role, until)) = member.until {
            let window = Window::new(None, Some(Timestamp::from_seconds(until))).unwrap();
            assign(role, subject, window, None);
        }
        if let Some(role) = member.office {
            assign(role, subject, Window::ALWAYS, Some("office"));
        }
    }
    for (at, team) in world.teams.iter().enumerate() {
        if let Some(role) = team.role {
            assign(role, Subject::Team(TeamId(at as u128 + 1)), Window::ALWAYS, None);
        }
    }
    OrganizationFacts {
        organization: OrganizationFact {
            id: OrganizationId(1),
            key: key("bench"),
            name: String::new(),
            kind: OrganizationKind::Customer,
            status: OrganizationStatus::Active,
            enabled_modules: None,
            revision: Revision(1),
            assertable: vec![],
        },
        members: (0..world.members.len())
            .map(|at| MemberFact {
                principal: principal(at),
                kind: PrincipalKind::User,
                login: format!("user{at}@example.org"),
                name: String::new(),
                status: PrincipalStatus::Active,
                account_status: PrincipalStatus::Active,
                window: Window::ALWAYS,
                attributes: String::new(),
            })
            .collect(),
        teams: world
            .teams
            .iter()
            .enumerate()
            .map(|(at, team)| TeamFact {
                id: TeamId(at as u128 + 1),
                key: key(&format!("team{at}")),
                name: String::new(),
                parent: team.parent.map(|parent| TeamId(parent as u128 + 1)),
                members: (0..world.members.len())
                    .filter(|member| world.members[*member].teams.contains(&at))
                    .map(principal)
                    .collect(),
            })
            .collect(),
        roles: vec![],
        assignments,
        grants: world
            .grants
            .iter()
            .enumerate()
            .map(|(at, grant)| GrantFact {
                id: GrantId(at as u128 + 1),
                subject: Subject::Principal(principal(grant.member)),
                pattern: Pattern::exactly(&world.codes[grant.permission]),
                reach: match grant.reach {
                    Reach::Organization => charter_kernel::Reach::Organization,
                    Reach::Kind => charter_kernel::Reach::Type(key(KIND)),
                    Reach::Product(product) => charter_kernel::Reach::Resource(ResourceRef {
                        kind: key(KIND),
                        id: product.to_string().into(),
                    }),
                },
                effect: Effect::Allow,
                window: Window::ALWAYS,
                condition: None,
                reason: String::new(),
                given_by: None,
                given_at: Timestamp::from_seconds(NOW),
            })
            .collect(),
        blocks: world
            .blocks
            .iter()
            .enumerate()
            .map(|(at, block)| BlockFact {
                id: BlockId(at as u128 + 1),
                subject: BlockSubject::Principal(principal(block.member)),
                pattern: Pattern::exactly(&world.codes[block.permission]),
                reach: charter_kernel::Reach::Organization,
                window: Window::ALWAYS,
                condition: None,
                reason: String::new(),
                conflict: None,
            })
            .collect(),
        conditions: vec![ConditionFact {
            key: key("office"),
            condition: Condition::Address { ranges: vec![OFFICE.into()] },
        }],
        resources: vec![],
        entitlements: world
            .modules
            .iter()
            .map(|module| EntitlementFact {
                module: key(module),
                submodule: None,
                source: EntitlementSource::Plan,
                source_id: "1".into(),
                status: EntitlementStatus::Enabled,
                window: Window::ALWAYS,
                grace_until: None,
                read_only_until: None,
                reason: String::new(),
            })
            .collect(),
        previews: vec![],
        subscriptions: vec![],
        limit_overrides: vec![],
    }
}

fn leak<T: ?Sized>(value: Box<T>) -> &'static T {
    Box::leak(value)
}

fn checks(world: &World, index: &Index, questions: &[Question]) -> Vec<Check<'static>> {
    let mut contexts: HashMap<IpAddr, &'static Context<'static>> = HashMap::new();
    let mut products: HashMap<usize, &'static str> = HashMap::new();
    let mut checks = Vec::new();
    for question in questions {
        let context = *contexts.entry(question.address).or_insert_with_key(|address| {
            leak(Box::new(Context { address: Some(*address), ..Context::EMPTY }))
        });
        let resource = question.product.map(|product| {
            let id: &'static str =
                products.entry(product).or_insert_with(|| leak(product.to_string().into_boxed_str()));
            CheckResource { kind: KIND, id, registered_elsewhere: false }
        });
        checks.push(Check {
            subject: PrincipalId(world.members[question.member].id),
            permission: index.permission(world.codes[question.permission].as_str()).unwrap(),
            minimum_level: None,
            resource,
            now: Timestamp::from_seconds(NOW),
            context,
            ceiling: None,
        });
    }
    checks
}

impl Charter {
    /// Compiles the world.
    pub fn new(world: &World, index: &Arc<Index>, questions: &[Question], by_texts: bool) -> Self {
        let facts = facts(world);
        let shard = Shard::compile(index, &facts, &Interner::new()).unwrap();
        assert_eq!(shard.faults(), &[] as &[String]);
        let checks = checks(world, index, questions);
        let texts = questions.iter().map(|question| Texts {
            subject: world.id(question.member),
            code: world.codes[question.permission].to_string(),
        });
        let texts = texts.collect();
        Self { index: Arc::clone(index), facts, shard, checks, texts, by_texts }
    }

    /// The answer of the reference path that `explain` uses.
    pub fn reference(&self, question: usize) -> bool {
        reference::decide(&self.index, &self.facts, &self.checks[question]).decision.is_allow()
    }
}

impl Engine for Charter {
    fn name(&self) -> &'static str {
        if self.by_texts { "Charter, by texts" } else { "Charter, by ids" }
    }

    #[inline]
    fn ask(&mut self, question: usize) -> bool {
        let check = &self.checks[question];
        if !self.by_texts {
            return self.shard.decide(black_box(check)).is_allow();
        }
        let Texts { subject, code } = &self.texts[question];
        let Some(permission) = self.index.permission(black_box(code)) else { return false };
        let Some(subject) = parse_uuid(black_box(subject.as_bytes())) else { return false };
        self.shard.decide(&Check { permission, subject: PrincipalId(subject), ..*check }).is_allow()
    }

    fn round(&self) -> usize {
        20_000
    }
}
