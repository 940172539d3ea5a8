//! The rules every edit of an access policy must keep, checked on the facts before and after as a whole:
//! names exist, trees have no cycle, conditions compile, nobody gives what they do not hold, nobody raises themselves, duties stay
//! apart, and somebody can still administer the organization.

use crate::App;
use crate::caller::RequestContext;
use crate::edit::EditOptions;
use charter_kernel::catalogue::{CatalogueRole, Severity};
use charter_kernel::facts::{
    AssignmentFact, BlockSubject, OrganizationFacts, OrganizationKind, PrincipalKind, PrincipalStatus, Reach,
    Subject,
};
use charter_kernel::{
    ConditionKey, Effect, Pattern, PrincipalId, Problem, ProblemKind, ResourceTypeKey, RoleKey, TeamId,
    Timestamp,
};
use charter_policy::{Index, PermissionSet, all_role_codes, condition, role_codes, sod};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Deepest nesting of roles and of teams.
pub const DEPTH_MAX: usize = 8;
/// Role whose holders administer a customer organization.
pub const ORGANIZATION_ADMINISTRATOR: &str = "org_admin";
/// Role whose holders administer the platform organization.
pub const PLATFORM_ADMINISTRATOR: &str = "superadmin";

/// Checks an edit; gives what an administrator should know about it.
pub fn check(
    app: &App,
    ctx: &RequestContext,
    options: &EditOptions,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
) -> Result<Vec<String>, Problem> {
    let index = app.snapshots().index();
    names(&index, before, after)?;
    trees(after)?;
    conditions(after, before)?;
    if let Some(principal) = ctx.principal() {
        beyond_giver(&index, principal.id, before, after, ctx.now)?;
    }
    last_administrator(before, after, ctx.now)?;
    duties(&index, options, before, after, ctx.now)
}

fn all_roles<'a>(index: &'a Index, facts: &'a OrganizationFacts) -> impl Iterator<Item = &'a RoleKey> {
    facts.roles.iter().map(|role| &role.key).chain(index.catalogue().roles.iter().map(|role| &role.role.key))
}

fn shipped<'a>(index: &'a Index, key: &RoleKey) -> Option<&'a CatalogueRole> {
    index.catalogue().role(key)
}

fn pattern(index: &Index, pattern: &Pattern, field: &str) -> Result<(), Problem> {
    if index.pattern(pattern).is_empty() {
        return Err(Problem::invalid(
            field,
            format!("{pattern} matches no permission of the catalogue: see `charter catalogue show`"),
        ));
    }
    Ok(())
}

/// Everything a row refers to exists. Rows that were there before are left alone: an edit elsewhere must stay possible.
fn names(index: &Index, before: &OrganizationFacts, after: &OrganizationFacts) -> Result<(), Problem> {
    let roles: HashSet<&RoleKey> = all_roles(index, after).collect();
    let conditions: HashSet<&ConditionKey> = after.conditions.iter().map(|row| &row.key).collect();
    let teams: HashSet<TeamId> = after.teams.iter().map(|team| team.id).collect();
    let members: HashSet<PrincipalId> = after.members.iter().map(|member| member.principal).collect();
    let role = |key: &RoleKey, field: &str| {
        if roles.contains(key) {
            Ok(())
        } else {
            Err(Problem::invalid(field, format!("no role {key}: see the list of roles")))
        }
    };
    let condition = |key: &Option<ConditionKey>| match key {
        Some(key) if !conditions.contains(key) => Err(Problem::invalid(
            "condition",
            format!("no condition {key} in this organization: create it first"),
        )),
        _ => Ok(()),
    };
    let subject = |subject: Subject| match subject {
        Subject::Principal(id) if !members.contains(&id) => {
            Err(Problem::invalid("subject", format!("{id} is not a member")))
        }
        Subject::Team(id) if !teams.contains(&id) => {
            Err(Problem::invalid("subject", format!("no team {id}")))
        }
        _ => Ok(()),
    };
    let kind = |kind: &ResourceTypeKey| {
        if index.kind(kind.as_str()).is_some() {
            Ok(())
        } else {
            Err(Problem::invalid("resource", format!("{kind} is not a type of resource in the catalogue")))
        }
    };
    let reach = |reach: &Reach| match reach {
        Reach::Organization => Ok(()),
        Reach::Type(of) => kind(of),
        Reach::Resource(resource) => kind(&resource.kind),
    };
    let platform = after.organization.kind == OrganizationKind::Platform;
    for row in new(&before.assignments, &after.assignments) {
        role(&row.role, "role")?;
        subject(row.subject)?;
        condition(&row.condition)?;
        if shipped(index, &row.role).is_some_and(|role| role.system) && !platform {
            return Err(Problem::invalid(
                "role",
                format!(
                    "{} works across organizations: it can be given in the platform organization only",
                    row.role
                ),
            ));
        }
    }
    for row in new(&before.grants, &after.grants) {
        subject(row.subject)?;
        pattern(index, &row.pattern, "permission")?;
        reach(&row.reach)?;
        condition(&row.condition)?;
    }
    for row in new(&before.blocks, &after.blocks) {
        pattern(index, &row.pattern, "permission")?;
        reach(&row.reach)?;
        condition(&row.condition)?;
        match &row.subject {
            BlockSubject::Principal(id) => subject(Subject::Principal(*id))?,
            BlockSubject::Team(id) => subject(Subject::Team(*id))?,
            BlockSubject::Role(key) => role(key, "subject")?,
            BlockSubject::Everyone => {}
        }
        if let Some(conflict) = &row.conflict
            && !index.catalogue().conflicts.iter().any(|known| &known.key == conflict)
        {
            return Err(Problem::invalid("conflict", format!("no conflict {conflict} in the catalogue")));
        }
    }
    for row in new(&before.roles, &after.roles) {
        for parent in &row.parents {
            role(parent, "parents")?;
            if shipped(index, parent).is_some_and(|role| role.system) && !platform {
                return Err(Problem::invalid("parents", format!("{parent} works across organizations")));
            }
        }
        for line in &row.permissions {
            pattern(index, &line.pattern, "permissions")?;
            condition(&line.condition)?;
            if line.pattern.as_str() == "*" && !platform {
                return Err(Problem::invalid(
                    "permissions",
                    "a lone * reaches the platform: use *.*.*".to_owned(),
                ));
            }
        }
    }
    for row in new(&before.teams, &after.teams) {
        if let Some(missing) = row.members.iter().find(|member| !members.contains(member)) {
            return Err(Problem::invalid(
                "members",
                format!("{missing} is not a member of the organization"),
            ));
        }
    }
    for row in new(&before.resources, &after.resources) {
        kind(&row.resource.kind)?;
    }
    Ok(())
}

/// The rows of `after` that are not in `before` just so.
fn new<'a, T: PartialEq>(before: &'a [T], after: &'a [T]) -> impl Iterator<Item = &'a T> {
    // Rows keep their places but for what the edit touched: the common head and tail need no search.
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (before, after) = (before.get(head..).unwrap_or_default(), after.get(head..).unwrap_or_default());
    let tail = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    let before = before.get(..before.len() - tail).unwrap_or_default();
    let after = after.get(..after.len() - tail).unwrap_or_default();
    after.iter().filter(|row| !before.contains(row))
}

fn trees(facts: &OrganizationFacts) -> Result<(), Problem> {
    let parents: HashMap<TeamId, Option<TeamId>> =
        facts.teams.iter().map(|team| (team.id, team.parent)).collect();
    for team in &facts.teams {
        let mut above = team.parent;
        let mut depth = 1;
        while let Some(id) = above {
            depth += 1;
            if id == team.id {
                return Err(Problem::invalid(
                    "parent",
                    format!("team {} would stand above itself", team.key),
                ));
            }
            if depth > DEPTH_MAX {
                return Err(Problem::invalid(
                    "parent",
                    format!("team {} would stand deeper than {DEPTH_MAX} levels", team.key),
                ));
            }
            above = *parents.get(&id).ok_or_else(|| {
                Problem::invalid("parent", format!("the team above {} does not exist", team.key))
            })?;
        }
    }
    let roles: HashMap<&RoleKey, &[RoleKey]> =
        facts.roles.iter().map(|role| (&role.key, role.parents.as_slice())).collect();
    for role in &facts.roles {
        let mut level: BTreeSet<&RoleKey> = role.parents.iter().collect();
        for depth in 1.. {
            if level.contains(&role.key) {
                return Err(Problem::invalid(
                    "parents",
                    format!("role {} would inherit from itself", role.key),
                ));
            }
            if level.is_empty() {
                break;
            }
            if depth >= DEPTH_MAX {
                return Err(Problem::invalid(
                    "parents",
                    format!("role {} would inherit through more than {DEPTH_MAX} levels", role.key),
                ));
            }
            level = level.iter().flat_map(|key| roles.get(*key).copied().unwrap_or_default()).collect();
        }
    }
    Ok(())
}

fn conditions(after: &OrganizationFacts, before: &OrganizationFacts) -> Result<(), Problem> {
    for row in new(&before.conditions, &after.conditions) {
        condition::compile(&row.condition)
            .map_err(|error| Problem::invalid("condition", format!("{}: {error}", row.key)))?;
        for team in row.condition.teams() {
            if !after.teams.iter().any(|known| known.key == *team) {
                return Err(Problem::invalid(
                    "condition",
                    format!("{}: no team {team} in this organization: create it first", row.key),
                ));
            }
        }
    }
    Ok(())
}

/// What each member could do by roles and allowing grants if every window were open and every condition true.
struct Potential {
    above: HashMap<TeamId, Vec<TeamId>>,
    teams_of: HashMap<PrincipalId, BTreeSet<TeamId>>,
    rows_of: HashMap<Subject, PermissionSet>,
}

impl Potential {
    fn new(index: &Index, facts: &OrganizationFacts) -> Self {
        let parents: HashMap<TeamId, Option<TeamId>> =
            facts.teams.iter().map(|team| (team.id, team.parent)).collect();
        let mut above: HashMap<TeamId, Vec<TeamId>> = HashMap::new();
        for team in &facts.teams {
            let mut chain = vec![team.id];
            let mut next = team.parent;
            while let Some(id) = next
                && chain.len() <= DEPTH_MAX
            {
                chain.push(id);
                next = parents.get(&id).copied().flatten();
            }
            above.insert(team.id, chain);
        }
        let mut teams_of: HashMap<PrincipalId, BTreeSet<TeamId>> = HashMap::new();
        for team in &facts.teams {
            for member in &team.members {
                teams_of.entry(*member).or_default().extend(above.get(&team.id).into_iter().flatten());
            }
        }
        let codes = all_role_codes(index, facts);
        let mut rows_of: HashMap<Subject, PermissionSet> = HashMap::new();
        for row in &facts.assignments {
            let codes = codes.get(&row.role).copied().unwrap_or_default();
            rows_of.entry(row.subject).or_default().add(&codes);
        }
        for row in facts.grants.iter().filter(|row| row.effect == Effect::Allow) {
            rows_of.entry(row.subject).or_default().add(&index.pattern(&row.pattern));
        }
        Self { above, teams_of, rows_of }
    }

    fn of(&self, principal: PrincipalId) -> PermissionSet {
        let mut all = self.rows_of.get(&Subject::Principal(principal)).copied().unwrap_or_default();
        for team in self.teams_of.get(&principal).into_iter().flatten() {
            if let Some(codes) = self.rows_of.get(&Subject::Team(*team)) {
                all.add(codes);
            }
        }
        all
    }

    fn of_team(&self, team: TeamId) -> PermissionSet {
        let mut all = PermissionSet::default();
        for id in self.above.get(&team).into_iter().flatten() {
            if let Some(codes) = self.rows_of.get(&Subject::Team(*id)) {
                all.add(codes);
            }
        }
        all
    }
}

/// What a principal may come to hold by roles and grants, whatever their windows and conditions.
pub(crate) fn may_hold(index: &Index, facts: &OrganizationFacts, principal: PrincipalId) -> PermissionSet {
    Potential::new(index, facts).of(principal)
}

/// What the giver holds now by roles and grants of the whole organization, without condition.
pub(crate) fn held_by(
    index: &Index,
    facts: &OrganizationFacts,
    giver: PrincipalId,
    now: Timestamp,
) -> PermissionSet {
    let mut certain = facts.clone();
    certain.assignments.retain(|row| row.window.is_live(now) && row.condition.is_none());
    certain.grants.retain(|row| {
        row.window.is_live(now)
            && row.condition.is_none()
            && row.effect == Effect::Allow
            && row.reach == Reach::Organization
    });
    for role in &mut certain.roles {
        role.permissions.retain(|line| line.condition.is_none());
    }
    Potential::new(index, &certain).of(giver)
}

fn first_codes(index: &Index, codes: &PermissionSet) -> String {
    let shown: Vec<&str> = codes
        .iter()
        .take(5)
        .filter_map(|code| index.code(code))
        .map(charter_kernel::PermissionCode::as_str)
        .collect();
    let more = codes.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// The first new or changed row that gives more than `held`, with what it gives beyond.
fn rows_beyond(
    index: &Index,
    held: &PermissionSet,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
) -> Option<(PermissionSet, String)> {
    let beyond = |codes: PermissionSet, what: String| {
        let codes = codes.without(held);
        (!codes.is_empty()).then_some((codes, what))
    };
    // A condition that changed may hold where it did not: every row under it counts as given anew.
    let changed: HashSet<&ConditionKey> =
        new(&before.conditions, &after.conditions).map(|row| &row.key).collect();
    let under =
        |condition: &Option<ConditionKey>| condition.as_ref().is_some_and(|key| changed.contains(key));
    let assignments = new(&before.assignments, &after.assignments)
        .chain(after.assignments.iter().filter(|row| under(&row.condition)))
        .find_map(|row| {
            beyond(role_codes(index, after, &row.role), format!("with the role {}, the subject", row.role))
        });
    let grants = new(&before.grants, &after.grants)
        .chain(after.grants.iter().filter(|row| under(&row.condition)))
        .filter(|row| row.effect == Effect::Allow)
        .find_map(|row| beyond(index.pattern(&row.pattern), "the subject of the grant".to_owned()));
    let roles = after.roles.iter().find_map(|role| {
        let old = before.roles.iter().find(|other| other.key == role.key);
        let lines = role
            .permissions
            .iter()
            .filter(|line| under(&line.condition) || !old.is_some_and(|old| old.permissions.contains(line)))
            .fold(PermissionSet::default(), |all, line| all.union(&index.pattern(&line.pattern)));
        let parents = role
            .parents
            .iter()
            .filter(|parent| !old.is_some_and(|old| old.parents.contains(parent)))
            .fold(PermissionSet::default(), |all, parent| all.union(&role_codes(index, after, parent)));
        beyond(lines.union(&parents), format!("the role {}", role.key))
    });
    assignments.or(grants).or(roles)
}

/// Nobody gives what they do not hold, and nobody raises themselves: neither by a new right nor by lifting what stops them.
fn beyond_giver(
    index: &Index,
    giver: PrincipalId,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
    now: Timestamp,
) -> Result<(), Problem> {
    let held = held_by(index, before, giver, now);
    let (was, will) = (Potential::new(index, before), Potential::new(index, after));
    let refuse = |gained: &PermissionSet, whom: &str| {
        Problem::new(
            ProblemKind::BeyondGiver,
            format!(
                "{whom} would get {}, which you do not hold yourself: ask somebody who does",
                first_codes(index, gained)
            ),
        )
    };
    rows_beyond(index, &held, before, after).map_or(Ok(()), |(codes, what)| Err(refuse(&codes, &what)))?;
    for member in &after.members {
        let gained = will.of(member.principal).without(&was.of(member.principal)).without(&held);
        if !gained.is_empty() {
            return Err(refuse(&gained, &member.login));
        }
    }
    for team in &after.teams {
        let gained = will.of_team(team.id).without(&was.of_team(team.id)).without(&held);
        if !gained.is_empty() {
            return Err(refuse(&gained, &format!("team {}", team.key)));
        }
    }
    let stops_giver = |facts: &OrganizationFacts| -> BTreeSet<String> {
        let teams = Potential::new(index, facts).teams_of.remove(&giver).unwrap_or_default();
        let mine = |subject: Subject| match subject {
            Subject::Principal(id) => id == giver,
            Subject::Team(id) => teams.contains(&id),
        };
        let roles: HashSet<&RoleKey> =
            facts.assignments.iter().filter(|row| mine(row.subject)).map(|row| &row.role).collect();
        let denials = facts
            .grants
            .iter()
            .filter(|row| row.effect == Effect::Deny && mine(row.subject) && !row.window.is_over(now))
            .map(|row| {
                format!("denial {} {:?}", row.id, (&row.pattern, &row.reach, row.window, &row.condition))
            });
        let blocks = facts
            .blocks
            .iter()
            .filter(|row| !row.window.is_over(now))
            .filter(|row| match &row.subject {
                BlockSubject::Principal(id) => mine(Subject::Principal(*id)),
                BlockSubject::Team(id) => mine(Subject::Team(*id)),
                BlockSubject::Role(key) => roles.contains(key),
                BlockSubject::Everyone => false,
            })
            .map(|row| {
                format!("block {} {:?}", row.id, (&row.pattern, &row.reach, row.window, &row.condition))
            });
        denials.chain(blocks).collect()
    };
    if let Some(lifted) = stops_giver(before).difference(&stops_giver(after)).next() {
        let words: Vec<&str> = lifted.split(' ').take(2).collect();
        return Err(Problem::new(
            ProblemKind::BeyondGiver,
            format!("{} stops you: somebody else has to change or lift it", words.join(" ")),
        ));
    }
    let attributes = |facts: &OrganizationFacts| {
        facts
            .members
            .iter()
            .find(|member| member.principal == giver)
            .map(|member| (member.attributes.clone(), member.window))
    };
    if attributes(before) != attributes(after) {
        return Err(Problem::new(
            ProblemKind::BeyondGiver,
            "your own membership and attributes are changed by somebody else: conditions read them",
        ));
    }
    Ok(())
}

fn administrators(facts: &OrganizationFacts, now: Timestamp) -> usize {
    let role = match facts.organization.kind {
        OrganizationKind::Platform => PLATFORM_ADMINISTRATOR,
        OrganizationKind::Customer => ORGANIZATION_ADMINISTRATOR,
    };
    let holds = |row: &&AssignmentFact| {
        row.role.as_str() == role
            && row.condition.is_none()
            && row.window.is_live(now)
            && row.window.to().is_none()
    };
    let direct: HashSet<PrincipalId> = facts
        .assignments
        .iter()
        .filter(holds)
        .filter_map(|row| match row.subject {
            Subject::Principal(id) => Some(id),
            Subject::Team(_) => None,
        })
        .collect();
    facts
        .members
        .iter()
        .filter(|member| {
            direct.contains(&member.principal)
                && member.kind == PrincipalKind::User
                && member.status == PrincipalStatus::Active
                && member.window.is_live(now)
                && member.window.to().is_none()
        })
        .count()
}

fn last_administrator(
    before: &OrganizationFacts,
    after: &OrganizationFacts,
    now: Timestamp,
) -> Result<(), Problem> {
    if administrators(before, now) > 0 && administrators(after, now) == 0 {
        return Err(Problem::new(
            ProblemKind::LastAdministrator,
            "this would leave nobody who can administer the organization: give the administrator's role to another active user first, without an end",
        ));
    }
    Ok(())
}

/// Separation of duties: conflicts somebody would hold who did not before.
fn duties(
    index: &Index,
    options: &EditOptions,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
    now: Timestamp,
) -> Result<Vec<String>, Problem> {
    let was = sod::Holdings::new(index, before, now);
    let will = sod::Holdings::new(index, after, now);
    let (mut warnings, mut refused) = (Vec::new(), Vec::new());
    for member in &after.members {
        let found = will.conflicts(member.principal);
        if found.is_empty() {
            continue;
        }
        let earlier: HashSet<_> =
            was.conflicts(member.principal).into_iter().map(|held| held.conflict).collect();
        for held in found.into_iter().filter(|held| !earlier.contains(&held.conflict)) {
            if is_resolved(index, after, member.principal, &held, now) {
                continue;
            }
            let first = |side: &[sod::Held]| {
                side.first().map_or_else(String::new, |held| held.permission.to_string())
            };
            let sentence = format!(
                "{} would hold both sides of {}: {} and {} ({})",
                member.login,
                held.conflict,
                first(&held.left),
                first(&held.right),
                held.why
            );
            match held.severity {
                Severity::Warn => warnings.push(sentence),
                Severity::Block if options.accept_conflicts.is_some() => {
                    warnings.push(format!("accepted: {sentence}"))
                }
                Severity::Block => refused.push(sentence),
            }
        }
    }
    if let Some(first) = refused.first() {
        let more = refused.len() - 1;
        let others = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        return Err(Problem::new(
            ProblemKind::Conflict,
            format!(
                "{first}{others}: choose another person, block one side for them, or accept it with a reason and an end date"
            ),
        ));
    }
    if warnings.iter().any(|warning| warning.starts_with("accepted: ")) {
        let endless = new(&before.assignments, &after.assignments).any(|row| row.window.to().is_none())
            || new(&before.grants, &after.grants)
                .any(|row| row.effect == Effect::Allow && row.window.to().is_none());
        if endless {
            return Err(Problem::invalid(
                "to",
                "a conflict can be accepted only for a time: give the new rows an end",
            ));
        }
    }
    Ok(warnings)
}

/// A block without condition or end that stops one whole side of the conflict for the principal resolves it.
fn is_resolved(
    index: &Index,
    facts: &OrganizationFacts,
    principal: PrincipalId,
    held: &sod::HeldConflict,
    now: Timestamp,
) -> bool {
    let blocked = facts
        .blocks
        .iter()
        .filter(|block| block.subject == BlockSubject::Principal(principal))
        .filter(|block| block.condition.is_none() && block.reach == Reach::Organization)
        .filter(|block| block.window.is_live(now) && block.window.to().is_none())
        .fold(PermissionSet::default(), |all, block| all.union(&index.pattern(&block.pattern)));
    let stopped = |side: &[sod::Held]| {
        side.iter()
            .all(|held| index.permission(held.permission.as_str()).is_some_and(|code| blocked.contains(code)))
    };
    stopped(&held.left) || stopped(&held.right)
}
