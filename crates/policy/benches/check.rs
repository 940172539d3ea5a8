//! What a check costs, in nanoseconds, beside an empty loop over the same questions; and what a million users weigh.
//!
//! `cargo bench -p charter-policy` prints medians of several rounds. `cargo bench -p charter-policy -- loops N [ids|texts|empty]` runs
//! the mixed checks N times and prints nothing else: the difference of two runs under `valgrind --tool=callgrind` is the number of
//! instructions. `-- million` builds the million users.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark: it measures time and stops at the first surprise"
)]

use charter_kernel::entitlement::{EntitlementFact, EntitlementSource, EntitlementStatus};
use charter_kernel::facts::*;
use charter_kernel::*;
use charter_policy::{Check, CheckResource, Context, Index, Interner, Shard};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const MEMBERS: usize = 10_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, sides: usize) -> usize {
        (self.next() % sides as u64) as usize
    }

    fn uuid(&mut self) -> u128 {
        let random = u128::from(self.next()) << 64 | u128::from(self.next());
        uuid_v7(1_790_000_000_000 + self.next() % 1_000_000, random)
    }
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn organization(random: &mut Random, index: &Index, members: usize) -> OrganizationFacts {
    let modules = &index.catalogue().modules;
    let roles: Vec<&RoleKey> =
        index.catalogue().roles.iter().filter(|role| !role.system).map(|role| &role.role.key).collect();
    let members: Vec<MemberFact> = (0..members)
        .map(|number| MemberFact {
            principal: PrincipalId(random.uuid()),
            kind: PrincipalKind::User,
            login: format!("user{number}@example.org"),
            name: String::new(),
            status: PrincipalStatus::Active,
            account_status: PrincipalStatus::Active,
            window: Window::ALWAYS,
            attributes: String::new(),
        })
        .collect();
    let assignments = members
        .iter()
        .map(|member| AssignmentFact {
            id: AssignmentId(random.uuid()),
            role: roles[random.below(roles.len())].clone(),
            subject: Subject::Principal(member.principal),
            window: Window::ALWAYS,
            condition: None,
        })
        .collect();
    let plan = SubscriptionId(random.uuid()).to_string();
    let entitlements = modules
        .iter()
        .filter(|module| !module.always_on && random.below(5) != 0)
        .map(|module| EntitlementFact {
            module: module.key.clone(),
            submodule: None,
            source: EntitlementSource::Plan,
            source_id: plan.clone(),
            status: EntitlementStatus::Enabled,
            window: Window::new(Some(NOW.plus_seconds(-86_400 * 30)), None).unwrap(),
            grace_until: None,
            read_only_until: None,
            reason: String::new(),
        })
        .collect();
    OrganizationFacts {
        organization: OrganizationFact {
            id: OrganizationId(random.uuid()),
            key: key("bench"),
            name: String::new(),
            kind: OrganizationKind::Customer,
            status: OrganizationStatus::Active,
            enabled_modules: None,
            revision: Revision(1),
            assertable: vec![],
        },
        members,
        teams: vec![],
        roles: vec![],
        assignments,
        grants: vec![],
        blocks: vec![],
        conditions: vec![],
        resources: vec![],
        entitlements,
        previews: vec![],
        subscriptions: vec![],
        limit_overrides: vec![],
    }
}

/// Teams, timed and conditional roles, grants of every reach and blocks, over one member in ten.
fn enrich(random: &mut Random, facts: &mut OrganizationFacts, index: &Index) {
    let codes = index.codes();
    facts.conditions = vec![
        ConditionFact {
            key: key("office"),
            condition: Condition::Address { ranges: vec!["10.0.0.0/8".into(), "192.168.0.0/16".into()] },
        },
        ConditionFact {
            key: key("hours"),
            condition: Condition::Hours {
                zone: "Europe/Berlin".into(),
                weekdays: vec![],
                from: "06:00".into(),
                to: "20:00".into(),
            },
        },
    ];
    facts.teams = (0..20)
        .map(|number| TeamFact {
            id: TeamId(number + 1),
            key: key(&format!("team{number}")),
            name: String::new(),
            parent: (number > 3).then_some(TeamId(number / 4 + 1)),
            members: (0..facts.members.len() / 40)
                .map(|_| facts.members[random.below(facts.members.len())].principal)
                .collect(),
        })
        .collect();
    for number in 0..facts.members.len() / 10 {
        let principal = facts.members[random.below(facts.members.len())].principal;
        let pattern = Pattern::exactly(&codes[random.below(codes.len())]);
        let reach = match random.below(4) {
            0 => Reach::Organization,
            1 => Reach::Type(key("products")),
            _ => Reach::Resource(ResourceRef {
                kind: key("product"),
                id: format!("{}", random.below(1000)).into(),
            }),
        };
        facts.grants.push(GrantFact {
            id: GrantId(random.uuid()),
            subject: if number % 20 == 0 {
                Subject::Team(TeamId(number as u128 % 20 + 1))
            } else {
                Subject::Principal(principal)
            },
            pattern,
            reach,
            effect: if random.below(5) == 0 { Effect::Deny } else { Effect::Allow },
            window: Window::new(None, Some(NOW.plus_seconds(random.below(1_000_000) as i64 - 100_000)))
                .unwrap(),
            condition: (random.below(4) == 0).then(|| key("office")),
            reason: String::new(),
            given_by: None,
            given_at: NOW,
        });
    }
    for number in 0..10 {
        facts.blocks.push(BlockFact {
            id: BlockId(random.uuid()),
            subject: if number == 0 {
                BlockSubject::Everyone
            } else {
                BlockSubject::Principal(facts.members[random.below(facts.members.len())].principal)
            },
            pattern: Pattern::exactly(&codes[random.below(codes.len())]),
            reach: Reach::Organization,
            window: Window::ALWAYS,
            condition: None,
            reason: String::new(),
            conflict: None,
        });
    }
}

struct Question {
    principal: PrincipalId,
    subject: String,
    permission: charter_policy::PermissionIndex,
    code: String,
    resource: Option<(&'static str, String)>,
}

fn check<'a>(question: &'a Question, context: &'a Context<'a>) -> Check<'a> {
    Check {
        subject: question.principal,
        permission: question.permission,
        minimum_level: None,
        resource: question.resource.as_ref().map(|(kind, id)| CheckResource {
            kind,
            id,
            registered_elsewhere: false,
        }),
        now: NOW,
        context,
        ceiling: None,
    }
}

/// A check as a caller over the wire brings it: who and what for are texts.
#[inline(always)]
fn by_texts(shard: &Shard, question: &Question, context: &Context<'_>) -> bool {
    let Some(permission) = shard.index().permission(black_box(&question.code)) else { return false };
    let Some(subject) = parse_uuid(black_box(question.subject.as_bytes())) else { return false };
    shard.decide(&Check { permission, subject: PrincipalId(subject), ..check(question, context) }).is_allow()
}

/// Median nanoseconds of one pass per question.
fn measure(name: &str, questions: &[Question], empty: f64, mut with: impl FnMut(&Question) -> bool) -> f64 {
    let mut rounds: Vec<f64> = (0..31)
        .map(|_| {
            let begun = Instant::now();
            let mut allowed = 0u32;
            for question in questions {
                allowed += u32::from(with(black_box(question)));
            }
            black_box(allowed);
            begun.elapsed().as_nanos() as f64 / questions.len() as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    let allowed = questions.iter().filter(|question| with(question)).count();
    if empty > 0.0 {
        println!(
            "{name:<44} {median:>8.1} ns {:>8.1} x empty   least {:.1} ns, {} of {} allowed",
            median / empty,
            rounds[0],
            allowed,
            questions.len()
        );
    } else {
        println!("{name:<44} {median:>8.1} ns");
    }
    median
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn million(index: &Arc<Index>) {
    let (organizations, members) = (100_000, 10);
    let mut random = Random(0x5eed_1234_5678_9abc);
    let interner = Interner::new();
    let mut shards = Vec::with_capacity(organizations);
    let before = resident_bytes();
    let mut compiling = 0u128;
    for _ in 0..organizations {
        let facts = organization(&mut random, index, members);
        let begun = Instant::now();
        shards.push(Shard::compile(index, &facts, &interner).unwrap());
        compiling += begun.elapsed().as_nanos();
    }
    let users = organizations * members;
    let own: usize = shards.iter().map(Shard::memory_bytes).sum();
    println!(
        "{users} users in {organizations} organizations: {:.1} bytes a user by count, {:.1} by resident memory; compiled in {:.2} s, {:.1} us an organization",
        own as f64 / users as f64,
        (resident_bytes() - before) as f64 / users as f64,
        compiling as f64 / 1e9,
        compiling as f64 / 1e3 / organizations as f64,
    );
    black_box(shards.len());
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let index = Arc::new(Index::new(&charter_catalogue::parse(charter_catalogue::SHIPPED).unwrap()).unwrap());
    if arguments.first().is_some_and(|it| it == "million") {
        return million(&index);
    }
    let mut random = Random(0x0123_4567_89ab_cdef);
    let plain = organization(&mut random, &index, MEMBERS);
    let mut rich = plain.clone();
    enrich(&mut random, &mut rich, &index);
    let interner = Interner::new();
    let plain_shard = Shard::compile(&index, &plain, &interner).unwrap();
    let begun = Instant::now();
    let shard = Shard::compile(&index, &rich, &interner).unwrap();
    let compiled = begun.elapsed();
    assert_eq!(shard.faults(), &[] as &[String]);
    let questions: Vec<Question> = (0..100_000)
        .map(|_| {
            let principal = rich.members[random.below(MEMBERS)].principal;
            let permission = charter_policy::PermissionIndex(random.below(index.len()) as u16);
            Question {
                principal,
                subject: principal.to_string(),
                permission,
                code: index.code(permission).unwrap().to_string(),
                resource: (random.below(3) == 0).then(|| ("product", random.below(1000).to_string())),
            }
        })
        .collect();
    let context = Context { address: Some("10.1.2.3".parse().unwrap()), mfa: true, ..Context::EMPTY };
    if let [word, times, rest @ ..] = arguments.as_slice()
        && word == "loops"
    {
        let what = rest.first().map_or("ids", String::as_str);
        let mut allowed = 0u32;
        for _ in 0..times.parse::<usize>().unwrap() {
            for question in &questions {
                allowed += u32::from(match what {
                    "empty" => black_box(&check(black_box(question), &context)).permission.0 & 1 == 0,
                    "texts" => by_texts(&shard, black_box(question), &context),
                    _ => shard.decide(&check(black_box(question), &context)).is_allow(),
                });
            }
        }
        black_box(allowed);
        return;
    }
    println!(
        "{MEMBERS} members, {} questions a round, medians of 31 rounds; the rich organization compiled in {compiled:?}",
        questions.len()
    );
    let empty = measure("empty: read the question", &questions, 0.0, |question| {
        let check = check(question, &context);
        black_box(&check).permission.0 & 1 == 0
    });
    measure("by ids, roles only", &questions, empty, |question| {
        plain_shard.decide(&check(question, &context)).is_allow()
    });
    measure("by ids, mixed with grants, blocks, windows", &questions, empty, |question| {
        shard.decide(&check(question, &context)).is_allow()
    });
    measure("by texts, mixed", &questions, empty, |question| by_texts(&shard, question, &context));
    for (name, condition) in [
        ("one condition: address", "office"),
        ("one condition: hours in a zone", "hours"),
        ("one condition: CEL", "cel"),
    ] {
        let mut facts = plain.clone();
        facts.conditions = rich.conditions.clone();
        facts.conditions.push(ConditionFact {
            key: key("cel"),
            condition: Condition::Cel {
                expression: "context.mfa && in_range(context.ip, '10.0.0.0/8')".into(),
            },
        });
        for assignment in &mut facts.assignments {
            assignment.condition = Some(key(condition));
        }
        let shard = Shard::compile(&index, &facts, &interner).unwrap();
        let reached: Vec<Question> = questions
            .iter()
            .filter(|question| plain_shard.decide(&check(question, &context)).is_allow())
            .map(|it| Question {
                principal: it.principal,
                subject: it.subject.clone(),
                permission: it.permission,
                code: it.code.clone(),
                resource: it.resource.clone(),
            })
            .collect();
        measure(name, &reached, empty, |question| shard.decide(&check(question, &context)).is_allow());
    }
    let begun = Instant::now();
    let asked = charter_policy::WhoCan {
        permission: index.permission("sales.invoices.read").unwrap(),
        minimum_level: None,
        resource: None,
        now: NOW,
        context: &context,
    };
    let found = shard.who_can(&asked, None).count();
    println!("who can read invoices: {found} of {MEMBERS} in {:?}", begun.elapsed());
    let mut after = rich.clone();
    after.assignments.truncate(MEMBERS - 100);
    let begun = Instant::now();
    let changes = charter_policy::preview::compare(&index, &rich, &after, NOW).unwrap();
    println!("preview of 100 assignments less: {} changes in {:?}", changes.len(), begun.elapsed());
    println!("{} bytes a member with everything", shard.memory_bytes() / MEMBERS);
}
