//! Cedar, in two ways. *By the book*: teams and roles as a hierarchy, a policy for each role, each grant and each block. *Packed*: six
//! policies, with everything else as attributes of the member and groups of actions, so that no check looks at what is not its own.

use super::Engine;
use crate::world::{KIND, NOW, OFFICE, Question, Reach, World};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

/// Policies parsed, entities closed over their parents, requests built.
pub struct Cedar {
    name: &'static str,
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    requests: Vec<Request>,
    round: usize,
}

fn uid(kind: &str, id: impl std::fmt::Display) -> EntityUid {
    format!("{kind}::\"{id}\"").parse().unwrap()
}

fn product(id: usize) -> EntityUid {
    uid("Product", id)
}

fn set(items: impl IntoIterator<Item = RestrictedExpression>) -> RestrictedExpression {
    RestrictedExpression::new_set(items)
}

fn entity_value(uid: EntityUid) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(uid)
}

fn plain(uid: EntityUid, parents: impl IntoIterator<Item = EntityUid>) -> Entity {
    Entity::new(uid, HashMap::new(), parents.into_iter().collect()).unwrap()
}

/// Actions with the groups they are in: one for each role that gives them, one for what is entitled.
fn actions(world: &World) -> Vec<Entity> {
    let mut all = vec![plain(uid("Action", "entitled"), [])];
    all.extend(world.roles.iter().map(|role| plain(uid("Action", format_args!("role {role}")), [])));
    for (at, code) in world.codes.iter().enumerate() {
        let mut groups = HashSet::new();
        if world.is_entitled(at) {
            groups.insert(uid("Action", "entitled"));
        }
        for (role, codes) in world.roles.iter().zip(&world.role_codes) {
            if codes.contains(&at) {
                groups.insert(uid("Action", format_args!("role {role}")));
            }
        }
        all.push(plain(uid("Action", code), groups));
    }
    all
}

fn resources(world: &World) -> Vec<Entity> {
    let mut all = vec![plain(uid("Organization", "bench"), []), plain(uid("Kind", KIND), [])];
    all.extend((0..world.products).map(|id| plain(product(id), [uid("Kind", KIND)])));
    all
}

fn requests(world: &World, questions: &[Question]) -> Vec<Request> {
    questions
        .iter()
        .map(|question| {
            let context = Context::from_pairs([
                ("now".to_owned(), RestrictedExpression::new_long(NOW)),
                ("ip".to_owned(), RestrictedExpression::new_ip(question.address.to_string())),
            ])
            .unwrap();
            Request::new(
                uid("User", world.id(question.member)),
                uid("Action", &world.codes[question.permission]),
                question.product.map_or_else(|| uid("Organization", "bench"), product),
                context,
                None,
            )
            .unwrap()
        })
        .collect()
}

fn timed(world: &World, at: usize) -> HashMap<String, RestrictedExpression> {
    let member = &world.members[at];
    let group = |role: usize| entity_value(uid("Action", format_args!("role {}", world.roles[role])));
    let mut attributes = HashMap::new();
    if let Some((role, until)) = member.until {
        attributes.insert("timed".to_owned(), group(role));
        attributes.insert("until".to_owned(), RestrictedExpression::new_long(until));
    }
    if let Some(role) = member.office {
        attributes.insert("office".to_owned(), group(role));
    }
    attributes
}

fn conditional() -> String {
    format!(
        "permit(principal, action, resource) when {{ principal has until && context.now < principal.until && action in principal.timed }};\n\
         permit(principal, action, resource) when {{ principal has office && context.ip.isInRange(ip(\"{OFFICE}\")) && action in principal.office }};\n\
         forbid(principal, action, resource) unless {{ action in Action::\"entitled\" }};\n"
    )
}

impl Cedar {
    /// Hierarchy and a policy for each rule.
    pub fn by_the_book(world: &World, questions: &[Question]) -> Self {
        let mut text = conditional();
        for role in &world.roles {
            writeln!(
                text,
                "permit(principal in Role::\"{role}\", action in Action::\"role {role}\", resource);"
            )
            .unwrap();
        }
        for grant in &world.grants {
            let (who, what) = (world.id(grant.member), &world.codes[grant.permission]);
            let resource = match grant.reach {
                Reach::Organization => "resource".to_owned(),
                Reach::Kind => format!("resource in Kind::\"{KIND}\""),
                Reach::Product(id) => format!("resource == Product::\"{id}\""),
            };
            writeln!(text, "permit(principal == User::\"{who}\", action == Action::\"{what}\", {resource});")
                .unwrap();
        }
        for block in &world.blocks {
            let (who, what) = (world.id(block.member), &world.codes[block.permission]);
            writeln!(text, "forbid(principal == User::\"{who}\", action == Action::\"{what}\", resource);")
                .unwrap();
        }
        let mut entities = actions(world);
        entities.extend(resources(world));
        entities.extend(world.roles.iter().map(|role| plain(uid("Role", role), [])));
        let role = |at: usize| uid("Role", &world.roles[at]);
        for (at, team) in world.teams.iter().enumerate() {
            let parents =
                team.parent.map(|parent| uid("Team", parent)).into_iter().chain(team.role.map(role));
            entities.push(plain(uid("Team", at), parents));
        }
        for (at, member) in world.members.iter().enumerate() {
            let teams = member.teams.iter().map(|team| uid("Team", team));
            let parents = member.roles.iter().map(|at| role(*at)).chain(teams).collect();
            entities.push(Entity::new(uid("User", world.id(at)), timed(world, at), parents).unwrap());
        }
        Self::new("cedar-policy, by the book", &text, entities, requests(world, questions), 1_000)
    }

    /// As few policies as can be.
    pub fn packed(world: &World, questions: &[Question]) -> Self {
        let text = conditional()
            + "forbid(principal, action, resource) when { principal has blocked && principal.blocked.contains(action) };\n\
               permit(principal, action, resource) when { action in principal.roles };\n\
               permit(principal, action, resource) when { principal has grants && (principal.grants.contains({a: action, on: Organization::\"bench\"}) \
               || (resource is Product && (principal.grants.contains({a: action, on: resource}) || principal.grants.contains({a: action, on: Kind::\"product\"})))) };\n";
        let mut entities = actions(world);
        entities.extend(resources(world));
        for (at, member) in world.members.iter().enumerate() {
            let mut attributes = timed(world, at);
            let roles: BTreeSet<usize> = world.plain_roles(member);
            let group = |role: usize| entity_value(uid("Action", format_args!("role {}", world.roles[role])));
            attributes.insert("roles".to_owned(), set(roles.into_iter().map(group)));
            let action = |at: usize| entity_value(uid("Action", &world.codes[at]));
            let mine: Vec<_> = world
                .grants
                .iter()
                .filter(|grant| grant.member == at)
                .map(|grant| {
                    let on = match grant.reach {
                        Reach::Organization => uid("Organization", "bench"),
                        Reach::Kind => uid("Kind", KIND),
                        Reach::Product(id) => product(id),
                    };
                    let pair =
                        [("a".to_owned(), action(grant.permission)), ("on".to_owned(), entity_value(on))];
                    RestrictedExpression::new_record(pair).unwrap()
                })
                .collect();
            if !mine.is_empty() {
                attributes.insert("grants".to_owned(), set(mine));
            }
            let blocked: Vec<_> =
                world.blocks.iter().filter(|it| it.member == at).map(|it| action(it.permission)).collect();
            if !blocked.is_empty() {
                attributes.insert("blocked".to_owned(), set(blocked));
            }
            entities.push(Entity::new(uid("User", world.id(at)), attributes, HashSet::new()).unwrap());
        }
        Self::new("cedar-policy, packed", &text, entities, requests(world, questions), 4_000)
    }

    fn new(
        name: &'static str,
        policies: &str,
        entities: Vec<Entity>,
        requests: Vec<Request>,
        round: usize,
    ) -> Self {
        Self {
            name,
            authorizer: Authorizer::new(),
            policies: policies.parse().unwrap(),
            entities: Entities::from_entities(entities, None).unwrap(),
            requests,
            round,
        }
    }
}

impl Engine for Cedar {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ask(&mut self, question: usize) -> bool {
        let response =
            self.authorizer.is_authorized(&self.requests[question], &self.policies, &self.entities);
        response.decision() == Decision::Allow
    }

    fn round(&self) -> usize {
        self.round
    }
}
