//! A batch judged by what is there: what it refers to exists, what it would add is free, and nobody gets more by it than the rows say. What
//! has to be written comes out; rows that are there already do not count.

use super::form::{Faults, Ready};
use super::{Run, is_of_run};
use charter_db::Conn;
use charter_kernel::facts::{OrganizationKind, OrganizationStatus, PrincipalKind};
use charter_kernel::{ModuleKey, OrganizationId, PrincipalId, Problem, RoleKey, Timestamp};
use charter_policy::Index;
use charter_store::adoption_link as link;
use charter_store::adoption_lookup::{self as lookup, KnownOrganization, KnownPrincipal};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What there is to do about a batch: places of rows that are new, and what has to be recorded beside them.
#[derive(Debug, Default)]
pub(super) struct Todo {
    /// Every organization that is named.
    pub named: Vec<OrganizationId>,
    /// Those that are there: their revisions rise.
    pub touched: Vec<OrganizationId>,
    pub new_organizations: BTreeSet<usize>,
    /// Organizations that a rollback closed, and that are taken up again.
    pub reopened: Vec<(OrganizationId, &'static str)>,
    pub new_users: BTreeSet<usize>,
    pub new_roles: BTreeSet<usize>,
    pub recorded_memberships: Vec<(OrganizationId, PrincipalId)>,
    /// Of organizations that were there before the run: their chain tells of them.
    pub told_entitlements: Vec<(OrganizationId, ModuleKey)>,
}

/// Keyed hashes of the login of a user, by place.
pub(super) type LoginHashes = Vec<Vec<[u8; 32]>>;

struct Scene<'a> {
    run: &'a Run,
    ready: &'a Ready,
    organizations: HashMap<OrganizationId, KnownOrganization>,
    /// Organizations of the batch that are not there yet.
    coming: HashSet<OrganizationId>,
    principals: HashMap<PrincipalId, KnownPrincipal>,
    faults: Faults,
    todo: Todo,
}

impl Scene<'_> {
    fn is_own(&self, id: u128) -> bool {
        is_of_run(self.run.number, id)
    }

    /// What kind of organization a row names; a fault when there is none.
    fn kind_of(&mut self, rows: &str, place: usize, id: OrganizationId) -> Option<OrganizationKind> {
        if let Some(known) = self.organizations.get(&id) {
            return Some(known.kind);
        }
        if self.coming.contains(&id) {
            return Some(OrganizationKind::Customer);
        }
        self.faults.add(rows, place, "organization", format!("no organization {id}, here or in the batch"));
        None
    }
}

/// Judges the batch.
pub(super) async fn judge(
    conn: &mut Conn,
    index: &Index,
    run: &Run,
    ready: &Ready,
    hashes: &LoginHashes,
    now: Timestamp,
) -> Result<Todo, Problem> {
    let mut named: Vec<OrganizationId> = ready.organizations.iter().map(|(_, it)| it.id).collect();
    named.extend(ready.roles.iter().map(|it| it.organization));
    named.extend(ready.memberships.iter().map(|it| it.organization));
    named.extend(ready.assignments.iter().map(|it| it.organization));
    named.extend(ready.grants.iter().map(|it| it.organization));
    named.extend(ready.entitlements.iter().map(|it| it.organization));
    named.sort();
    named.dedup();
    let organizations: HashMap<_, _> =
        lookup::organizations(conn, &named).await?.into_iter().map(|it| (it.id, it)).collect();
    let mut who: Vec<PrincipalId> = ready.users.iter().map(|(_, it)| it.id).collect();
    who.extend(ready.memberships.iter().map(|it| it.principal));
    who.sort();
    who.dedup();
    let principals = lookup::principals(conn, &who).await?.into_iter().map(|it| (it.id, it)).collect();
    let touched = named.iter().copied().filter(|id| organizations.contains_key(id)).collect();
    let mut scene = Scene {
        run,
        ready,
        organizations,
        coming: HashSet::new(),
        principals,
        faults: Faults::default(),
        todo: Todo { named, touched, ..Todo::default() },
    };
    self::organizations(conn, &mut scene).await?;
    users(conn, &mut scene, hashes, now).await?;
    roles(conn, &mut scene).await?;
    let members = memberships(conn, &mut scene).await?;
    assignments(conn, &mut scene, index, &members).await?;
    for (place, row) in ready.entitlements.iter().enumerate() {
        match scene.kind_of("entitlements", place, row.organization) {
            Some(OrganizationKind::Platform) => {
                scene.faults.add(
                    "entitlements",
                    place,
                    "organization",
                    "nothing is limited in the platform organization",
                );
            }
            Some(OrganizationKind::Customer) if !scene.is_own(row.organization.0) => {
                scene.todo.told_entitlements.push((row.organization, row.module.clone()));
            }
            _ => {}
        }
    }
    scene.faults.none()?;
    Ok(scene.todo)
}

async fn organizations(conn: &mut Conn, scene: &mut Scene<'_>) -> Result<(), Problem> {
    const KIND: &str = "organizations";
    let ready = scene.ready;
    let legacy: Vec<String> = ready.organizations.iter().map(|(legacy, _)| legacy.clone()).collect();
    let linked: HashMap<_, _> =
        link::linked_organizations(conn, &scene.run.source, &legacy).await?.into_iter().collect();
    let keys: Vec<String> = ready.organizations.iter().map(|(_, it)| it.key.to_string()).collect();
    let taken: HashMap<_, _> = lookup::keys(conn, &keys).await?.into_iter().collect();
    for (place, (legacy, row)) in ready.organizations.iter().enumerate() {
        let link = linked.get(legacy);
        if link.is_some_and(|(id, _)| *id != row.id) {
            scene.faults.add(KIND, place, "legacy_id", "is linked to another organization");
            continue;
        }
        match scene.organizations.get(&row.id) {
            Some(known) => {
                // What a run that stands or a person closed is for a change to open, or for a person.
                let is_reopened = known.is_taken_back
                    && row.status != OrganizationStatus::Closed.as_str()
                    && known.kind == OrganizationKind::Customer
                    && link.is_some();
                if is_reopened {
                    scene.todo.reopened.push((row.id, row.status));
                }
            }
            None if !scene.is_own(row.id.0) => {
                let detail =
                    format!("is no id of run {}, and no organization that is there", scene.run.number);
                scene.faults.add(KIND, place, "id", detail);
            }
            None if taken.contains_key(row.key.as_str()) => {
                scene.faults.add(KIND, place, "key", format!("there is an organization {} already", row.key));
            }
            None => {
                scene.coming.insert(row.id);
                scene.todo.new_organizations.insert(place);
            }
        }
    }
    Ok(())
}

async fn users(
    conn: &mut Conn,
    scene: &mut Scene<'_>,
    hashes: &LoginHashes,
    now: Timestamp,
) -> Result<(), Problem> {
    const KIND: &str = "users";
    let ready = scene.ready;
    let legacy: Vec<String> = ready.users.iter().map(|(legacy, _)| legacy.clone()).collect();
    let linked = link::linked_users(conn, &scene.run.source, &legacy).await?;
    let linked: HashMap<&str, PrincipalId> =
        linked.iter().map(|(legacy, id)| (legacy.as_str(), *id)).collect();
    let logins: Vec<String> = ready.users.iter().map(|(_, it)| it.login.clone()).collect();
    let taken = lookup::logins(conn, &logins).await?;
    let taken: HashMap<&str, &KnownPrincipal> = taken.iter().map(|it| (it.login.as_str(), it)).collect();
    for (place, (legacy, row)) in ready.users.iter().enumerate() {
        if linked.get(legacy.as_str()).is_some_and(|id| *id != row.id) {
            scene.faults.add(KIND, place, "legacy_id", "is linked to another account");
            continue;
        }
        let known = scene.principals.get(&row.id);
        let detail = match (known, taken.get(row.login.as_str())) {
            (Some(known), _) if known.kind != PrincipalKind::User => Some("is a service account".to_owned()),
            // The login of an account of the run may have changed since.
            (Some(_), _) if scene.is_own(row.id.0) => None,
            // One that is linked to this account already was accepted then.
            (Some(_), _) if linked.contains_key(legacy.as_str()) => None,
            (Some(known), _) if known.login != row.login => {
                Some(format!("the account has the login {}, not this one", known.login))
            }
            (Some(_), _) => None,
            (None, _) if !scene.is_own(row.id.0) => {
                Some(format!("is no id of run {}, and no account that is there", scene.run.number))
            }
            (None, Some(other)) => {
                let what = match other.kind {
                    PrincipalKind::User => "an account",
                    PrincipalKind::ServiceAccount => "a service account",
                };
                Some(format!("{what} has the login {} already: {}", row.login, other.id))
            }
            (None, None) => {
                scene.todo.new_users.insert(place);
                None
            }
        };
        if let Some(detail) = detail {
            scene.faults.add(KIND, place, "login", detail);
        }
    }
    let asked: Vec<[u8; 32]> =
        scene.todo.new_users.iter().filter_map(|place| hashes.get(*place)).flatten().copied().collect();
    if asked.is_empty() {
        return Ok(());
    }
    let kept: HashMap<[u8; 32], Timestamp> =
        lookup::kept(conn, &asked, now).await?.into_iter().map(|(hash, _, until)| (hash, until)).collect();
    for (place, hashes) in hashes.iter().enumerate().filter(|_| !kept.is_empty()) {
        let until = hashes.iter().find_map(|hash| kept.get(hash));
        if let (Some(until), true) = (until, scene.todo.new_users.contains(&place)) {
            let detail = format!("it was given up lately and is kept for its owner until {until}");
            scene.faults.add(KIND, place, "login", detail);
        }
    }
    Ok(())
}

async fn roles(conn: &mut Conn, scene: &mut Scene<'_>) -> Result<(), Problem> {
    const KIND: &str = "roles";
    let ready = scene.ready;
    let named: Vec<(OrganizationId, RoleKey)> =
        ready.roles.iter().map(|it| (it.organization, it.key.clone())).collect();
    let found = lookup::roles(conn, &named).await?;
    let known: HashMap<_, _> = found.iter().map(|it| ((it.organization, &it.key), it)).collect();
    let lines = if known.is_empty() { Vec::new() } else { lookup::role_lines(conn, &named).await? };
    let recorded = if known.is_empty() {
        HashSet::new()
    } else {
        lookup::recorded_roles(conn, scene.run.number, &named).await?.into_iter().collect::<HashSet<_>>()
    };
    let mut gives: HashMap<(OrganizationId, &RoleKey), BTreeSet<&str>> = HashMap::new();
    let mut conditional = HashSet::new();
    for line in &lines {
        gives.entry((line.organization, &line.role)).or_default().insert(line.pattern.as_str());
        if line.is_conditional {
            conditional.insert((line.organization, &line.role));
        }
    }
    for (place, row) in ready.roles.iter().enumerate() {
        let Some(kind) = scene.kind_of(KIND, place, row.organization) else { continue };
        if kind != OrganizationKind::Platform && row.permissions.iter().any(|pattern| pattern.as_str() == "*")
        {
            scene.faults.add(KIND, place, "permissions", "a lone * reaches the platform: use *.*.*");
        }
        let place_of = (row.organization, &row.key);
        let Some(there) = known.get(&place_of) else {
            scene.todo.new_roles.insert(place);
            continue;
        };
        if recorded.contains(&(row.organization, row.key.clone())) {
            continue;
        }
        let wanted: BTreeSet<&str> = row.permissions.iter().map(|pattern| pattern.as_str()).collect();
        let is_same = !there.has_parents
            && there.level.as_str() == row.level
            && gives.get(&place_of).unwrap_or(&BTreeSet::new()) == &wanted
            && !conditional.contains(&place_of);
        if !is_same {
            let detail = format!("there is a role {} already, and it allows something else", row.key);
            scene.faults.add(KIND, place, "key", detail);
        }
    }
    Ok(())
}

/// Judges the memberships, and gives who is a member once they are written, of those the batch names.
async fn memberships(
    conn: &mut Conn,
    scene: &mut Scene<'_>,
) -> Result<HashSet<(OrganizationId, PrincipalId)>, Problem> {
    const KIND: &str = "memberships";
    let ready = scene.ready;
    let coming: HashSet<PrincipalId> = scene
        .todo
        .new_users
        .iter()
        .filter_map(|place| ready.users.get(*place))
        .map(|(_, it)| it.id)
        .collect();
    let mut members = HashSet::new();
    for (place, row) in ready.memberships.iter().enumerate() {
        scene.kind_of(KIND, place, row.organization);
        if !scene.principals.contains_key(&row.principal) && !coming.contains(&row.principal) {
            let detail = format!("no account {}, here or in the batch", row.principal);
            scene.faults.add(KIND, place, "principal", detail);
        }
        if !scene.is_own(row.principal.0) {
            scene.todo.recorded_memberships.push((row.organization, row.principal));
        }
        members.insert((row.organization, row.principal));
    }
    let mut asked: Vec<_> = ready.assignments.iter().map(|it| (it.organization, it.principal)).collect();
    asked.extend(ready.grants.iter().map(|it| (it.organization, it.principal)));
    asked.retain(|pair| !members.contains(pair));
    asked.sort();
    asked.dedup();
    if !asked.is_empty() {
        members.extend(lookup::memberships(conn, &asked).await?);
    }
    Ok(members)
}

async fn assignments(
    conn: &mut Conn,
    scene: &mut Scene<'_>,
    index: &Index,
    members: &HashSet<(OrganizationId, PrincipalId)>,
) -> Result<(), Problem> {
    let ready = scene.ready;
    let batch: HashSet<(OrganizationId, &RoleKey)> =
        ready.roles.iter().map(|it| (it.organization, &it.key)).collect();
    let asked: HashSet<(OrganizationId, RoleKey)> = ready
        .assignments
        .iter()
        .filter(|it| {
            index.catalogue().role(&it.role).is_none() && !batch.contains(&(it.organization, &it.role))
        })
        .map(|it| (it.organization, it.role.clone()))
        .collect();
    let asked: Vec<_> = asked.into_iter().collect();
    let found = if asked.is_empty() { Vec::new() } else { lookup::roles(conn, &asked).await? };
    let own: HashSet<(OrganizationId, &RoleKey)> =
        found.iter().map(|it| (it.organization, &it.key)).collect();
    for (place, row) in ready.assignments.iter().enumerate() {
        let Some(kind) = scene.kind_of("assignments", place, row.organization) else { continue };
        match index.catalogue().role(&row.role) {
            Some(role) if role.system && kind != OrganizationKind::Platform => {
                let detail = format!(
                    "{} works across organizations: it can be given in the platform organization only",
                    row.role
                );
                scene.faults.add("assignments", place, "role", detail);
            }
            Some(_) => {}
            None => {
                let key = (row.organization, &row.role);
                if !batch.contains(&key) && !own.contains(&key) {
                    scene.faults.add("assignments", place, "role", format!("no role {}", row.role));
                }
            }
        }
        if !members.contains(&(row.organization, row.principal)) {
            scene.faults.add("assignments", place, "principal", format!("{} is not a member", row.principal));
        }
    }
    for (place, row) in ready.grants.iter().enumerate() {
        if scene.kind_of("grants", place, row.organization).is_some()
            && !members.contains(&(row.organization, row.principal))
        {
            scene.faults.add("grants", place, "principal", format!("{} is not a member", row.principal));
        }
    }
    Ok(())
}
