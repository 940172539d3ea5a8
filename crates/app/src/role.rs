//! Roles: the shipped ones of the catalogue, read only, and an organization's own.

use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::edit::{Bench, EditOptions, Edited, edit};
use crate::guard::Permit;
use crate::search::HeldPermission;
use crate::text;
use charter_kernel::facts::{BlockSubject, Level, OrganizationFacts, RoleFact, RolePermission};
use charter_kernel::{Problem, ProblemKind, RoleKey};

/// A role of an organization, to be created or replaced.
#[derive(Debug, Clone)]
pub struct RoleDraft {
    /// Its key.
    pub key: RoleKey,
    /// Its name.
    pub name: String,
    /// Roles it inherits from.
    pub parents: Vec<RoleKey>,
    /// What it gives.
    pub permissions: Vec<RolePermission>,
    /// Its level for rights on single things.
    pub level: Level,
}

/// What may change about a role; lists are replaced whole.
#[derive(Debug, Clone, Default)]
pub struct RoleUpdate {
    /// Its name.
    pub name: Option<String>,
    /// Roles it inherits from.
    pub parents: Option<Vec<RoleKey>>,
    /// What it gives.
    pub permissions: Option<Vec<RolePermission>>,
    /// Its level.
    pub level: Option<Level>,
}

/// A role as it is shown: where it comes from, and every code it gives.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleView {
    /// The role.
    pub role: RoleFact,
    /// It comes from the catalogue and cannot be changed here.
    pub shipped: bool,
    /// What it is for; own roles have none.
    pub description: String,
    /// Legacy names that map to it.
    pub aliases: Vec<String>,
    /// How many codes it gives, with what it inherits.
    pub codes: usize,
}

/// A role with every permission it gives, patterns and parents expanded.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleDetail {
    /// The role as lists show it.
    pub view: RoleView,
    /// What it gives, by code; conditional where each line that gives it has a condition.
    pub effective: Vec<HeldPermission>,
}

fn in_order(mut role: RoleFact) -> RoleFact {
    role.parents.sort();
    role.parents.dedup();
    role.permissions.sort_by(|a, b| (&a.pattern, &a.condition).cmp(&(&b.pattern, &b.condition)));
    role.permissions.dedup();
    role
}

fn not_shipped(app: &App, key: &str) -> Result<(), Problem> {
    let catalogue = app.snapshots().catalogue();
    if catalogue.roles.iter().any(|role| role.role.key.as_str() == key) {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            format!(
                "{key} is a shipped role: make a role of your own that inherits from it, and change that"
            ),
        ));
    }
    Ok(())
}

fn find_mut<'a>(facts: &'a mut OrganizationFacts, key: &str) -> Result<&'a mut RoleFact, Problem> {
    facts
        .roles
        .iter_mut()
        .find(|role| role.key.as_str() == key)
        .ok_or_else(|| Problem::not_found(format!("no role {key:?} in this organization")))
}

/// Creates a role.
pub async fn create(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    draft: RoleDraft,
) -> Result<Edited<RoleFact>, Problem> {
    let name = text::name("name", &draft.name)?;
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let taken = bench.facts.roles.iter().any(|role| role.key == draft.key)
            || bench.app.snapshots().catalogue().role(&draft.key).is_some();
        if taken {
            return Err(Problem::new(ProblemKind::Taken, format!("there is a role {} already", draft.key)));
        }
        let role = in_order(RoleFact {
            key: draft.key,
            name,
            parents: draft.parents,
            permissions: draft.permissions,
            level: draft.level,
        });
        bench.facts.roles.push(role.clone());
        Ok(role)
    })
    .await
}

/// Changes a role.
pub async fn update(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    key: String,
    update: RoleUpdate,
) -> Result<Edited<RoleFact>, Problem> {
    not_shipped(app, &key)?;
    let name = update.name.as_deref().map(|name| text::name("name", name)).transpose()?;
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let role = find_mut(bench.facts, &key)?;
        if let Some(name) = name {
            role.name = name;
        }
        if let Some(parents) = update.parents {
            role.parents = parents;
        }
        if let Some(permissions) = update.permissions {
            role.permissions = permissions;
        }
        if let Some(level) = update.level {
            role.level = level;
        }
        *role = in_order(role.clone());
        Ok(role.clone())
    })
    .await
}

/// Deletes a role that nobody holds and nothing inherits from.
pub async fn delete(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    key: String,
) -> Result<Edited<RoleFact>, Problem> {
    not_shipped(app, &key)?;
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let role = find_mut(bench.facts, &key)?.clone();
        let facts = &mut *bench.facts;
        let held = facts.assignments.iter().filter(|row| row.role == role.key).count();
        if held > 0 {
            return Err(Problem::new(
                ProblemKind::InUse,
                format!("role {key} is assigned {held} times: take those back first"),
            ));
        }
        if let Some(child) = facts.roles.iter().find(|other| other.parents.contains(&role.key)) {
            return Err(Problem::new(ProblemKind::InUse, format!("role {} inherits from {key}", child.key)));
        }
        if let Some(block) =
            facts.blocks.iter().find(|block| block.subject == BlockSubject::Role(role.key.clone()))
        {
            return Err(Problem::new(
                ProblemKind::InUse,
                format!("block {} stops the holders of {key}", block.id),
            ));
        }
        facts.roles.retain(|other| other.key != role.key);
        Ok(role)
    })
    .await
}

fn view(app: &App, facts: &OrganizationFacts, role: &RoleFact) -> RoleView {
    let catalogue = app.snapshots().catalogue();
    let shipped = catalogue.role(&role.key);
    RoleView {
        codes: charter_policy::role_codes(&app.snapshots().index(), facts, &role.key).len(),
        role: role.clone(),
        shipped: shipped.is_some(),
        description: shipped.map(|role| role.description.clone()).unwrap_or_default(),
        aliases: shipped.map(|role| role.aliases.clone()).unwrap_or_default(),
    }
}

/// One role, shipped or own, with every permission it gives.
pub async fn get(app: &App, permit: &Permit, key: &str) -> Result<RoleDetail, Problem> {
    let mut facts = crate::facts(app, permit.organization()).await?;
    let catalogue = app.snapshots().catalogue();
    let role = facts
        .roles
        .iter()
        .find(|role| role.key.as_str() == key)
        .or_else(|| catalogue.roles.iter().map(|role| &role.role).find(|role| role.key.as_str() == key))
        .ok_or_else(|| Problem::not_found(format!("no role {key:?}")))?;
    let view = view(app, &facts, role);
    let index = app.snapshots().index();
    let all = charter_policy::role_codes(&index, &facts, &view.role.key);
    for role in &mut facts.roles {
        role.permissions.retain(|line| line.condition.is_none());
    }
    let certain = charter_policy::role_codes(&index, &facts, &view.role.key);
    let effective = all.iter().filter_map(|number| {
        let code = index.code(number)?.clone();
        Some(HeldPermission { code, conditional: !certain.contains(number) })
    });
    let mut effective: Vec<_> = effective.collect();
    effective.sort_by(|a, b| a.code.cmp(&b.code));
    Ok(RoleDetail { view, effective })
}

/// Roles by key, shipped and own together, one page.
pub async fn list(app: &App, permit: &Permit, page: &Page) -> Result<Listing<RoleView>, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    let catalogue = app.snapshots().catalogue();
    let mut roles: Vec<&RoleFact> =
        facts.roles.iter().chain(catalogue.roles.iter().map(|role| &role.role)).collect();
    roles.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(page.cut(roles, |role| role.key.to_string()).map(|role| view(app, &facts, role)))
}
