//! Casbin: one row for each role, grant and block; members to roles and permissions to roles as its two role managers. It looks at every
//! row on every check. Its cached enforcer keeps answers, which is another thing than giving them: it stands apart in the results.

use super::Engine;
use crate::world::{KIND, NOW, OFFICE, Question, Reach, World};
use casbin::rhai::Dynamic;
use casbin::{CachedApi, CachedEnforcer, CoreApi, DefaultCache, DefaultModel, Enforcer, MgmtApi};

const MODEL: &str = "
[request_definition]
r = sub, act, kind, obj, ip
[policy_definition]
p = sub, act, obj, when, eft
[role_definition]
g = _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = (p.act == r.act || g2(r.act, p.act)) && (p.sub == r.sub || g(r.sub, p.sub)) && (p.obj == \"*\" || p.obj == r.obj || p.obj == r.kind) && (p.when == \"\" || holds(p.when, r.ip))
";

/// An enforcer with its rows loaded.
pub struct Casbin<E> {
    name: &'static str,
    enforcer: E,
    asked: Vec<[String; 5]>,
    round: usize,
}

fn text(words: &[&dyn std::fmt::Display]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

async fn fill<E: CoreApi + MgmtApi>(enforcer: &mut E, world: &World) {
    enforcer.enable_auto_build_role_links(false);
    let mut rows = Vec::new();
    for role in &world.roles {
        rows.push(text(&[role, &format_args!("codes of {role}"), &"*", &"", &"allow"]));
    }
    for (at, member) in world.members.iter().enumerate() {
        if let Some((role, until)) = member.until {
            let role = &world.roles[role];
            let when = format!("until {until}");
            rows.push(text(&[&world.id(at), &format_args!("codes of {role}"), &"*", &when, &"allow"]));
        }
        if let Some(role) = member.office {
            let role = &world.roles[role];
            rows.push(text(&[&world.id(at), &format_args!("codes of {role}"), &"*", &"office", &"allow"]));
        }
    }
    for grant in &world.grants {
        let on = match grant.reach {
            Reach::Organization => "*".to_owned(),
            Reach::Kind => KIND.to_owned(),
            Reach::Product(id) => format!("{KIND}:{id}"),
        };
        rows.push(text(&[&world.id(grant.member), &world.codes[grant.permission], &on, &"", &"allow"]));
    }
    for block in &world.blocks {
        rows.push(text(&[&world.id(block.member), &world.codes[block.permission], &"*", &"", &"deny"]));
    }
    rows.sort();
    rows.dedup();
    enforcer.add_policies(rows).await.unwrap();
    let mut holders = Vec::new();
    for (at, team) in world.teams.iter().enumerate() {
        holders.extend(
            team.parent.map(|parent| text(&[&format_args!("team {at}"), &format_args!("team {parent}")])),
        );
        holders.extend(team.role.map(|role| text(&[&format_args!("team {at}"), &world.roles[role]])));
    }
    for (at, member) in world.members.iter().enumerate() {
        holders.extend(member.roles.iter().map(|role| text(&[&world.id(at), &world.roles[*role]])));
        holders.extend(member.teams.iter().map(|team| text(&[&world.id(at), &format_args!("team {team}")])));
    }
    holders.sort();
    holders.dedup();
    enforcer.add_named_grouping_policies("g", holders).await.unwrap();
    let mut codes = Vec::new();
    for (role, given) in world.roles.iter().zip(&world.role_codes) {
        // What is not entitled is given by nobody: casbin has no cheaper place for it.
        let entitled = given.iter().filter(|at| world.is_entitled(**at));
        codes.extend(entitled.map(|at| text(&[&world.codes[*at], &format_args!("codes of {role}")])));
    }
    enforcer.add_named_grouping_policies("g2", codes).await.unwrap();
    enforcer.build_role_links().unwrap();
    enforcer.add_function(
        "holds",
        casbin::function_map::OperatorFunction::Arg2(|when: Dynamic, ip: Dynamic| {
            let (when, ip) = (when.into_string().unwrap_or_default(), ip.into_string().unwrap_or_default());
            let office = OFFICE.trim_end_matches("0.0.0/8");
            let until = when.strip_prefix("until ").and_then(|it| it.parse::<i64>().ok());
            until.map_or_else(|| ip.starts_with(office), |until| NOW < until).into()
        }),
    );
}

fn asked(world: &World, questions: &[Question]) -> Vec<[String; 5]> {
    questions
        .iter()
        .map(|question| {
            let (kind, resource) = match question.product {
                Some(product) => (KIND.to_owned(), format!("{KIND}:{product}")),
                None => ("-".to_owned(), "-".to_owned()),
            };
            // A grant on what is not entitled must not allow either: the question names a code that nobody has.
            let code = &world.codes[question.permission];
            let code =
                if world.is_entitled(question.permission) { code.to_string() } else { format!("-{code}") };
            [world.id(question.member), code, kind, resource, question.address.to_string()]
        })
        .collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

impl Casbin<Enforcer> {
    /// Each check evaluated.
    pub fn new(world: &World, questions: &[Question]) -> Self {
        let enforcer = block_on(async {
            let model = DefaultModel::from_str(MODEL).await.unwrap();
            let mut enforcer = Enforcer::new(model, ()).await.unwrap();
            fill(&mut enforcer, world).await;
            enforcer
        });
        Self { name: "casbin", enforcer, asked: asked(world, questions), round: 50 }
    }
}

impl Casbin<CachedEnforcer> {
    /// Each answer kept: room for all of them.
    pub fn cached(world: &World, questions: &[Question]) -> Self {
        let enforcer = block_on(async {
            let model = DefaultModel::from_str(MODEL).await.unwrap();
            let mut enforcer = CachedEnforcer::new(model, ()).await.unwrap();
            fill(&mut enforcer, world).await;
            enforcer.set_cache(Box::new(DefaultCache::new(1_000_000)));
            enforcer
        });
        Self { name: "casbin, answers cached", enforcer, asked: asked(world, questions), round: 2_000 }
    }
}

impl<E: CoreApi> Engine for Casbin<E> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ask(&mut self, question: usize) -> bool {
        let [subject, code, kind, resource, address] = &self.asked[question];
        let asked = (subject.as_str(), code.as_str(), kind.as_str(), resource.as_str(), address.as_str());
        self.enforcer.enforce(asked).unwrap()
    }

    fn round(&self) -> usize {
        self.round
    }
}
