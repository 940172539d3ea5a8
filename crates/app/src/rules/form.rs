//! The form of the facts: what a row names exists, trees have no cycle, conditions compile.

use super::{DEPTH_MAX, new};
use charter_kernel::catalogue::CatalogueRole;
use charter_kernel::facts::{BlockSubject, OrganizationFacts, OrganizationKind, Reach, Subject};
use charter_kernel::{
    ConditionKey, Pattern, PrincipalId, Problem, ResourceRef, ResourceTypeKey, RoleKey, TeamId,
};
use charter_policy::{Index, condition};
use std::collections::{BTreeSet, HashMap, HashSet};

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
pub(super) fn names(
    index: &Index,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
) -> Result<(), Problem> {
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
    let reach = |reach: &Reach, pattern: &Pattern| {
        let (Reach::Type(of) | Reach::Resource(ResourceRef { kind: of, .. })) = reach else { return Ok(()) };
        kind(of)?;
        let misnamed = index.kind(of.as_str()).map(|kind| index.misnamed(kind)).unwrap_or_default();
        if index.pattern(pattern).without(&misnamed).is_empty() {
            let types = index.catalogue().plural_claims();
            let types = types.get(of.as_str()).into_iter().flatten().map(|kind| kind.key.as_str());
            let types = types.collect::<Vec<_>>().join(" or ");
            return Err(Problem::invalid(
                "resource",
                format!(
                    "{of} does not stand for the things {pattern} is about, so the row would reach nothing: say {types}"
                ),
            ));
        }
        Ok(())
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
        reach(&row.reach, &row.pattern)?;
        condition(&row.condition)?;
    }
    for row in new(&before.blocks, &after.blocks) {
        pattern(index, &row.pattern, "permission")?;
        reach(&row.reach, &row.pattern)?;
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

pub(super) fn trees(facts: &OrganizationFacts) -> Result<(), Problem> {
    let parents: HashMap<TeamId, Option<TeamId>> =
        facts.teams.iter().map(|team| (team.id, team.parent)).collect();
    for team in &facts.teams {
        let mut above = team.parent;
        let mut depth = 1;
        let mut seen = BTreeSet::new();
        while let Some(id) = above {
            depth += 1;
            if id == team.id {
                return Err(Problem::invalid(
                    "parent",
                    format!("team {} would stand above itself", team.key),
                ));
            }
            // A circle further up: the team that stands in it is named when its turn comes.
            if !seen.insert(id) {
                break;
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

pub(super) fn conditions(after: &OrganizationFacts, before: &OrganizationFacts) -> Result<(), Problem> {
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
