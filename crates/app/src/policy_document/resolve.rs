//! Document to facts: names are looked up, ids kept or made, and everything that would be wrong is told at once by line. The rules that hold for
//! every edit (nobody gives beyond their own, duties stay apart, an administrator remains) stand in `crate::rules` and run after this.

use super::{
    AssignmentEntry, BlockEntry, Fault, GrantEntry, Named, PolicyDocument, ResourceEntry, RoleEntry, Span,
    Spot, TeamEntry,
};
use crate::text;
use charter_catalogue::document::nearest;
use charter_kernel::catalogue::Catalogue;
use charter_kernel::facts::{
    AssignmentFact, BlockFact, BlockSubject, ConditionFact, GrantFact, OrganizationFacts, OrganizationKind,
    ResourceFact, RoleFact, RolePermission, TeamFact,
};
use charter_kernel::id::parse_uuid;
use charter_kernel::{
    AssignmentId, BlockId, Condition, ConditionKey, GrantId, Key, Pattern, PrincipalId, Problem, Reach,
    RoleKey, Subject, TeamId, Timestamp, Window,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

/// What makes two assignments say the same.
type SaidOfAssignment = (RoleKey, Subject, Window, Option<ConditionKey>);

/// Deepest nesting of roles and of teams.
const DEPTH_MAX: usize = 8;

/// The facts after the document is applied. Rows the document does not change keep everything they have; a new or changed grant is given by
/// `giver` at `now`.
pub fn resolve(
    document: &PolicyDocument,
    before: &OrganizationFacts,
    catalogue: &Catalogue,
    new_id: &mut dyn FnMut() -> u128,
    now: Timestamp,
    giver: Option<PrincipalId>,
) -> Result<OrganizationFacts, Vec<Fault>> {
    let mut run = Run::new(document, before, catalogue, now);
    if document.organization.value != before.organization.key.as_str() {
        run.fault(
            &document.organization,
            format!(
                "the document is about `{}`, but this is `{}`: choose the other organization or correct the key",
                document.organization.value, before.organization.key
            ),
        );
    }
    let mut after = before.clone();
    after.teams = run.teams(new_id);
    after.conditions = run.conditions();
    after.roles = run.roles();
    after.assignments = run.assignments(new_id);
    after.grants = run.grants(new_id, giver);
    after.blocks = run.blocks(new_id);
    after.resources = run.resources();
    if run.faults.is_empty() {
        return Ok(after);
    }
    run.faults.sort();
    run.faults.dedup();
    Err(run.faults)
}

/// What a row that carries an id has to offer so that an entry finds its row.
trait Row: Clone {
    fn id(&self) -> u128;
    fn set_id(&mut self, id: u128);
    /// Says the same, whatever the id and whoever gave it.
    fn says_the_same(&self, other: &Self) -> bool;
}

impl Row for AssignmentFact {
    fn id(&self) -> u128 {
        self.id.0
    }
    fn set_id(&mut self, id: u128) {
        self.id = AssignmentId(id);
    }
    fn says_the_same(&self, other: &Self) -> bool {
        (&self.role, self.subject, self.window, &self.condition)
            == (&other.role, other.subject, other.window, &other.condition)
    }
}

impl Row for GrantFact {
    fn id(&self) -> u128 {
        self.id.0
    }
    fn set_id(&mut self, id: u128) {
        self.id = GrantId(id);
    }
    fn says_the_same(&self, other: &Self) -> bool {
        let words = |row: &Self| (row.subject, row.effect, row.window);
        words(self) == words(other)
            && (&self.pattern, &self.reach, &self.condition, &self.reason)
                == (&other.pattern, &other.reach, &other.condition, &other.reason)
    }
}

impl Row for BlockFact {
    fn id(&self) -> u128 {
        self.id.0
    }
    fn set_id(&mut self, id: u128) {
        self.id = BlockId(id);
    }
    fn says_the_same(&self, other: &Self) -> bool {
        let mut same = other.clone();
        same.id = self.id;
        *self == same
    }
}

/// Gives each made row its id: the one it names, else that of a row that says the same and is named by no entry, else a new one. Rows keep the
/// places they had; new ones follow.
fn identify<T: Row>(
    before: &[T],
    made: Vec<(Option<Spot<u128>>, T)>,
    new_id: &mut dyn FnMut() -> u128,
    faults: &mut Vec<Fault>,
) -> Vec<T> {
    let mut used: HashSet<u128> = HashSet::new();
    for (id, _) in &made {
        if let Some(id) = id
            && !used.insert(id.value)
        {
            faults.push(id.fault("this id stands here twice: leave it out of the new entry"));
        }
    }
    let places: HashMap<u128, usize> =
        before.iter().enumerate().map(|(place, row)| (row.id(), place)).collect();
    let mut rows = Vec::with_capacity(made.len());
    for (id, mut row) in made {
        let id = match id {
            Some(id) => id.value,
            None => before
                .iter()
                .find(|old| !used.contains(&old.id()) && old.says_the_same(&row))
                .map_or_else(&mut *new_id, Row::id),
        };
        used.insert(id);
        row.set_id(id);
        rows.push(row);
    }
    in_old_places(rows, &places, Row::id)
}

fn in_old_places<T, K: Hash + Eq>(
    mut rows: Vec<T>,
    places: &HashMap<K, usize>,
    key: impl Fn(&T) -> K,
) -> Vec<T> {
    rows.sort_by_key(|row| places.get(&key(row)).copied().unwrap_or(usize::MAX));
    rows
}

struct Run<'a> {
    document: &'a PolicyDocument,
    before: &'a OrganizationFacts,
    catalogue: &'a Catalogue,
    now: Timestamp,
    platform: bool,
    logins: HashMap<&'a str, PrincipalId>,
    /// Principals that rows of today name though they are members no more.
    referred: HashSet<PrincipalId>,
    teams: BTreeMap<&'a str, TeamId>,
    own_roles: BTreeSet<&'a str>,
    conditions: BTreeSet<&'a str>,
    kinds: BTreeSet<&'a str>,
    old_assignments: Old<'a, AssignmentFact>,
    old_grants: Old<'a, GrantFact>,
    old_blocks: Old<'a, BlockFact>,
    faults: Vec<Fault>,
}

impl<'a> Run<'a> {
    fn new(
        document: &'a PolicyDocument,
        before: &'a OrganizationFacts,
        catalogue: &'a Catalogue,
        now: Timestamp,
    ) -> Self {
        let of_blocks = before.blocks.iter().filter_map(|row| match row.subject {
            BlockSubject::Principal(id) => Some(id),
            _ => None,
        });
        let of_rows = before
            .assignments
            .iter()
            .map(|row| row.subject)
            .chain(before.grants.iter().map(|row| row.subject));
        let of_rows = of_rows.filter_map(|subject| match subject {
            Subject::Principal(id) => Some(id),
            Subject::Team(_) => None,
        });
        let owners = before.resources.iter().filter_map(|row| row.owner);
        let in_teams = before.teams.iter().flat_map(|team| team.members.iter().copied());
        Self {
            document,
            before,
            catalogue,
            now,
            platform: before.organization.kind == OrganizationKind::Platform,
            logins: before.members.iter().map(|member| (member.login.as_str(), member.principal)).collect(),
            referred: of_blocks.chain(of_rows).chain(owners).chain(in_teams).collect(),
            teams: BTreeMap::new(),
            own_roles: document.roles.iter().map(|role| role.key.value.as_str()).collect(),
            conditions: document.conditions.iter().map(|row| row.key.value.as_str()).collect(),
            kinds: catalogue
                .resource_types
                .iter()
                .map(|kind| kind.key.as_str())
                .chain(catalogue.permissions.iter().map(|permission| permission.code.resource()))
                .collect(),
            old_assignments: Old::new(&before.assignments),
            old_grants: Old::new(&before.grants),
            old_blocks: Old::new(&before.blocks),
            faults: Vec::new(),
        }
    }

    fn fault<T>(&mut self, spot: &Spot<T>, what: impl Into<String>) {
        self.faults.push(spot.fault(what));
    }

    /// The text in the form in which it is kept; a fault if it cannot be.
    fn checked<T>(&mut self, spot: &Spot<T>, result: Result<String, Problem>) -> String {
        result.unwrap_or_else(|problem| {
            let what = problem.fields.into_iter().next().map_or(problem.detail, |field| field.detail);
            self.fault(spot, what);
            String::new()
        })
    }

    fn principal(&mut self, login: &Spot<String>) -> Option<PrincipalId> {
        let folded = text::fold_login(&login.value);
        if let Some(id) = self.logins.get(folded.as_str()) {
            return Some(*id);
        }
        let by_id = parse_uuid(folded.as_bytes()).map(PrincipalId);
        let known =
            by_id.filter(|id| self.referred.contains(id) || self.logins.values().any(|member| member == id));
        if known.is_none() {
            let words: Vec<&str> = self.logins.keys().copied().collect();
            let hint = nearest(&folded, &words)
                .map_or_else(|| "add the member first".to_owned(), |near| format!("did you mean `{near}`?"));
            self.fault(login, format!("`{}` is no member of the organization; {hint}", login.value));
        }
        known
    }

    fn team(&mut self, key: &Spot<String>) -> Option<TeamId> {
        let found = self.teams.get(key.value.as_str()).copied();
        if found.is_none() {
            let words: Vec<&str> = self.teams.keys().copied().collect();
            let hint = nearest(&key.value, &words)
                .map_or_else(|| "add it under [teams]".to_owned(), |near| format!("did you mean `{near}`?"));
            self.fault(key, format!("no team `{}` in the document; {hint}", key.value));
        }
        found
    }

    fn role_exists(&self, key: &str) -> bool {
        self.own_roles.contains(key) || self.catalogue.roles.iter().any(|role| role.role.key.as_str() == key)
    }

    /// A role that a row may name. A row that did not change may go on naming one that was missing before.
    fn role(&mut self, key: &Spot<RoleKey>, unchanged: bool) {
        let name = key.value.as_str();
        let missing_before = !self.before.roles.iter().any(|role| role.key == key.value);
        if !(self.role_exists(name) || (unchanged && missing_before)) {
            let mut words: Vec<&str> = self.own_roles.iter().copied().collect();
            words.extend(self.catalogue.roles.iter().map(|role| role.role.key.as_str()));
            let hint = nearest(name, &words).map_or_else(
                || "add it under [roles] or name a shipped one".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.fault(key, format!("no role `{name}`; {hint}"));
        }
    }

    /// A role of scope system is for the platform organization.
    fn inside(&mut self, key: &Spot<RoleKey>) {
        if !self.platform && self.catalogue.role(&key.value).is_some_and(|role| role.system) {
            self.fault(
                key,
                format!(
                    "`{}` works across organizations: it can be given in the platform organization only",
                    key.value
                ),
            );
        }
    }

    fn condition(&mut self, key: Option<&Spot<ConditionKey>>) -> Option<ConditionKey> {
        let key = key?;
        if !self.conditions.contains(key.value.as_str()) {
            let words: Vec<&str> = self.conditions.iter().copied().collect();
            let hint = nearest(key.value.as_str(), &words).map_or_else(
                || "add it under [conditions]".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.fault(key, format!("no condition `{}` in the document; {hint}", key.value));
        }
        Some(key.value.clone())
    }

    fn pattern(&mut self, pattern: &Spot<Pattern>) {
        if !self.catalogue.permissions.iter().any(|permission| pattern.value.matches(&permission.code)) {
            let words: Vec<&str> =
                self.catalogue.permissions.iter().map(|permission| permission.code.as_str()).collect();
            let hint = nearest(pattern.value.as_str(), &words).map_or_else(
                || "see `charter catalogue show`".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.fault(
                pattern,
                format!("`{}` matches no permission of the catalogue; {hint}", pattern.value),
            );
        }
    }

    fn kind<T>(&mut self, spot: &Spot<T>, kind: &Key) {
        if !self.kinds.contains(kind.as_str()) {
            let words: Vec<&str> = self.kinds.iter().copied().collect();
            let hint = nearest(kind.as_str(), &words).map_or_else(
                || "add it to the catalogue first".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            self.fault(spot, format!("`{kind}` is not a type of resource in the catalogue; {hint}"));
        }
    }

    fn reach(&mut self, reach: &Spot<Reach>) {
        match &reach.value {
            Reach::Organization => {}
            Reach::Type(kind) => self.kind(reach, kind),
            Reach::Resource(resource) => self.kind(reach, &resource.kind),
        }
    }

    fn window(&mut self, span: &Spot<Span>) -> Window {
        match Window::new(span.value.from, span.value.to) {
            Ok(window) => window,
            Err(error) => {
                self.fault(span, error.to_string());
                Window::ALWAYS
            }
        }
    }

    /// A row that is over before it is written helps nobody and is mostly a slip of the pen.
    fn not_over(&mut self, span: &Spot<Span>) {
        if let Some(to) = span.value.to.filter(|to| *to <= self.now) {
            self.fault(
                span,
                format!("the window ended at {to}, before now; correct it or take the entry out"),
            );
        }
    }

    fn subject(&mut self, named: &Spot<Named>) -> Option<Subject> {
        let spot = |value: &String| Spot { line: named.line, at: named.at.clone(), value: value.clone() };
        match &named.value {
            Named::Principal(login) => self.principal(&spot(login)).map(Subject::Principal),
            Named::Team(key) => self.team(&spot(key)).map(Subject::Team),
            Named::Role(_) | Named::Everyone => {
                self.fault(named, "only a block can be about a role or everybody");
                None
            }
        }
    }

    fn teams(&mut self, new_id: &mut dyn FnMut() -> u128) -> Vec<TeamFact> {
        for entry in &self.document.teams {
            let old = self.before.teams.iter().find(|team| team.key == entry.key.value);
            let id = old.map_or_else(|| TeamId(new_id()), |team| team.id);
            self.teams.insert(entry.key.value.as_str(), id);
        }
        let parents: BTreeMap<&str, Vec<&str>> = self
            .document
            .teams
            .iter()
            .map(|entry| {
                (entry.key.value.as_str(), entry.parent.iter().map(|parent| parent.value.as_str()).collect())
            })
            .collect();
        let mut made = Vec::new();
        for entry in &self.document.teams {
            made.extend(self.one_team(entry));
            self.tree(&entry.key, &parents, "team", "stand above itself");
        }
        let places = self.before.teams.iter().enumerate().map(|(place, team)| (team.id, place)).collect();
        in_old_places(made, &places, |team| team.id)
    }

    fn one_team(&mut self, entry: &TeamEntry) -> Option<TeamFact> {
        let id = self.teams.get(entry.key.value.as_str()).copied()?;
        let old = self.before.teams.iter().find(|team| team.id == id);
        let parent = entry.parent.as_ref().and_then(|parent| self.team(parent));
        let mut members = Vec::new();
        for login in &entry.members {
            let Some(member) = self.principal(login) else { continue };
            if members.contains(&member) {
                self.fault(login, format!("`{}` stands here twice: remove one", login.value));
            } else {
                members.push(member);
            }
        }
        let name = match old.filter(|old| old.name == entry.name.value) {
            Some(old) => old.name.clone(),
            None => self.checked(&entry.name, text::name("name", &entry.name.value)),
        };
        let same: HashSet<PrincipalId> = members.iter().copied().collect();
        if let Some(old) = old
            && old.members.len() == members.len()
            && old.members.iter().all(|member| same.contains(member))
        {
            members.clone_from(&old.members);
        } else {
            members.sort();
        }
        Some(TeamFact { id, key: entry.key.value.clone(), name, parent, members })
    }

    /// Refuses cycles and lines of ancestors that are too long.
    fn tree(&mut self, key: &Spot<Key>, parents: &BTreeMap<&str, Vec<&str>>, noun: &str, cycle: &str) {
        let start = key.value.as_str();
        let above = |row: &BTreeSet<&'a str>| -> BTreeSet<&'a str> {
            let found = row.iter().flat_map(|name| parents.get(name).into_iter().flatten());
            found.filter_map(|name| self.document_name(name)).collect()
        };
        let mut row: BTreeSet<&str> = self.document_name(start).into_iter().collect();
        let mut depth = 1;
        loop {
            row = above(&row);
            if row.contains(start) {
                return self.fault(key, format!("{noun} `{start}` would {cycle}: cut the circle"));
            }
            if row.is_empty() {
                break;
            }
            depth += 1;
            // A circle above that this one is not part of: it is told at its own members.
            if depth > parents.len() {
                return;
            }
        }
        if depth > DEPTH_MAX {
            self.fault(
                key,
                format!("{noun} `{start}` would stand deeper than {DEPTH_MAX} levels: flatten the tree"),
            );
        }
    }

    /// The same name, borrowed from the document.
    fn document_name(&self, name: &str) -> Option<&'a str> {
        let document = self.document;
        let teams = document.teams.iter().map(|team| team.key.value.as_str());
        teams.chain(document.roles.iter().map(|role| role.key.value.as_str())).find(|known| *known == name)
    }

    fn conditions(&mut self) -> Vec<ConditionFact> {
        let mut made = Vec::new();
        for entry in &self.document.conditions {
            let fact = ConditionFact { key: entry.key.value.clone(), condition: entry.condition.clone() };
            for team in teams_in(&entry.condition) {
                if !self.teams.contains_key(team.as_str()) {
                    self.fault(
                        &entry.key,
                        format!(
                            "no team `{team}` in the document; add it under [teams] or correct the condition"
                        ),
                    );
                }
            }
            if !self.before.conditions.contains(&fact)
                && let Err(error) = charter_policy::condition::compile(&fact.condition)
            {
                self.fault(&entry.key, error.to_string());
            }
            made.push(fact);
        }
        let places =
            self.before.conditions.iter().enumerate().map(|(place, row)| (row.key.clone(), place)).collect();
        in_old_places(made, &places, |row| row.key.clone())
    }

    fn roles(&mut self) -> Vec<RoleFact> {
        let parents: BTreeMap<&str, Vec<&str>> = self
            .document
            .roles
            .iter()
            .map(|entry| {
                (entry.key.value.as_str(), entry.parents.iter().map(|parent| parent.value.as_str()).collect())
            })
            .collect();
        let mut made = Vec::new();
        for entry in &self.document.roles {
            made.push(self.one_role(entry));
            self.tree(&entry.key, &parents, "role", "inherit from itself");
        }
        let places =
            self.before.roles.iter().enumerate().map(|(place, row)| (row.key.clone(), place)).collect();
        in_old_places(made, &places, |row| row.key.clone())
    }

    fn one_role(&mut self, entry: &RoleEntry) -> RoleFact {
        let key = &entry.key;
        if self.catalogue.role(&key.value).is_some() {
            self.fault(
                key,
                format!(
                    "`{}` is a shipped role: make a role of your own that inherits from it, and change that",
                    key.value
                ),
            );
        }
        let old = self.before.roles.iter().find(|role| role.key == key.value);
        let mut permissions = Vec::new();
        for (pattern, condition) in &entry.permissions {
            let line = RolePermission {
                pattern: pattern.value.clone(),
                condition: self.condition(condition.as_ref()),
            };
            let known = old.is_some_and(|old| old.permissions.contains(&line));
            if !known {
                self.pattern(pattern);
                if pattern.value.as_str() == "*" && !self.platform {
                    self.fault(pattern, "a lone * reaches the platform: use *.*.*");
                }
            }
            if permissions.contains(&line) {
                self.fault(pattern, format!("`{}` stands here twice: remove one", pattern.value));
            }
            permissions.push(line);
        }
        let mut parents: Vec<RoleKey> = Vec::new();
        for parent in &entry.parents {
            let known = old.is_some_and(|old| old.parents.contains(&parent.value));
            self.role(parent, known);
            if !known {
                self.inside(parent);
            }
            if parents.contains(&parent.value) {
                self.fault(parent, format!("`{}` stands here twice: remove one", parent.value));
            }
            parents.push(parent.value.clone());
        }
        let name = match old.filter(|old| old.name == entry.name.value) {
            Some(old) => old.name.clone(),
            None => self.checked(&entry.name, text::name("name", &entry.name.value)),
        };
        let order = |a: &RolePermission, b: &RolePermission| {
            (&a.pattern, &a.condition).cmp(&(&b.pattern, &b.condition))
        };
        permissions.sort_by(order);
        parents.sort();
        if let Some(old) = old {
            let (mut old_permissions, mut old_parents) = (old.permissions.clone(), old.parents.clone());
            old_permissions.sort_by(order);
            old_parents.sort();
            if old_permissions == permissions {
                permissions.clone_from(&old.permissions);
            }
            if old_parents == parents {
                parents.clone_from(&old.parents);
            }
        }
        RoleFact { key: key.value.clone(), name, parents, permissions, level: entry.level }
    }

    fn assignments(&mut self, new_id: &mut dyn FnMut() -> u128) -> Vec<AssignmentFact> {
        let mut made: Vec<(Option<Spot<u128>>, AssignmentFact)> = Vec::new();
        let mut lines: HashMap<SaidOfAssignment, (usize, bool)> = HashMap::new();
        for entry in &self.document.assignments {
            let Some(row) = self.one_assignment(entry) else { continue };
            let says = (row.role.clone(), row.subject, row.window, row.condition.clone());
            let here = (entry.role.line, entry.id.is_some());
            if let Some((line, has_id)) = lines.insert(says, here)
                && !(has_id && entry.id.is_some())
            {
                self.fault(&entry.role, format!("says the same as the entry at line {line}: remove one"));
            }
            made.push((entry.id.clone(), row));
        }
        identify(&self.before.assignments, made, new_id, &mut self.faults)
    }

    fn one_assignment(&mut self, entry: &AssignmentEntry) -> Option<AssignmentFact> {
        let subject = self.subject(&entry.subject);
        let row = AssignmentFact {
            id: AssignmentId(0),
            role: entry.role.value.clone(),
            subject: subject.unwrap_or(Subject::Principal(PrincipalId(0))),
            window: self.window(&entry.window),
            condition: self.condition(entry.condition.as_ref()),
        };
        let (unchanged, known) = self.old_assignments.standing(entry.id.as_ref(), &row);
        self.role(&entry.role, unchanged);
        if !unchanged {
            self.inside(&entry.role);
        }
        if !known {
            self.not_over(&entry.window);
        }
        subject.map(|_| row)
    }

    fn grants(&mut self, new_id: &mut dyn FnMut() -> u128, giver: Option<PrincipalId>) -> Vec<GrantFact> {
        let mut made = Vec::new();
        for entry in &self.document.grants {
            if let Some(row) = self.one_grant(entry, giver) {
                made.push((entry.id.clone(), row));
            }
        }
        let mut rows = identify(&self.before.grants, made, new_id, &mut self.faults);
        let old: HashMap<GrantId, &GrantFact> = self.before.grants.iter().map(|row| (row.id, row)).collect();
        for row in &mut rows {
            if let Some(old) = old.get(&row.id).filter(|old| old.says_the_same(row)) {
                row.given_by = old.given_by;
                row.given_at = old.given_at;
            }
        }
        rows
    }

    fn one_grant(&mut self, entry: &GrantEntry, giver: Option<PrincipalId>) -> Option<GrantFact> {
        let subject = self.subject(&entry.subject);
        let mut row = GrantFact {
            id: GrantId(0),
            subject: subject.unwrap_or(Subject::Principal(PrincipalId(0))),
            pattern: entry.permission.value.clone(),
            reach: entry.reach.value.clone(),
            effect: entry.effect,
            window: self.window(&entry.window),
            condition: self.condition(entry.condition.as_ref()),
            reason: entry.reason.value.clone(),
            given_by: giver,
            given_at: self.now,
        };
        let (unchanged, known) = self.old_grants.standing(entry.id.as_ref(), &row);
        if !unchanged {
            self.pattern(&entry.permission);
            self.reach(&entry.reach);
            row.reason = self.checked(&entry.reason, text::demanded_reason("reason", &entry.reason.value));
        }
        if !known {
            self.not_over(&entry.window);
        }
        subject.map(|_| row)
    }

    fn blocks(&mut self, new_id: &mut dyn FnMut() -> u128) -> Vec<BlockFact> {
        let mut made = Vec::new();
        for entry in &self.document.blocks {
            if let Some(row) = self.one_block(entry) {
                made.push((entry.id.clone(), row));
            }
        }
        identify(&self.before.blocks, made, new_id, &mut self.faults)
    }

    fn one_block(&mut self, entry: &BlockEntry) -> Option<BlockFact> {
        let named_role = match &entry.subject.value {
            Named::Role(key) => match key.parse::<RoleKey>() {
                Ok(value) => Some(Spot { line: entry.subject.line, at: entry.subject.at.clone(), value }),
                Err(error) => {
                    self.fault(&entry.subject, format!("`{key}` is {error}"));
                    return None;
                }
            },
            _ => None,
        };
        let subject = match (&entry.subject.value, &named_role) {
            (Named::Everyone, _) => Some(BlockSubject::Everyone),
            (_, Some(role)) => Some(BlockSubject::Role(role.value.clone())),
            _ => self.subject(&entry.subject).map(|subject| match subject {
                Subject::Principal(id) => BlockSubject::Principal(id),
                Subject::Team(id) => BlockSubject::Team(id),
            }),
        };
        let is_known = subject.is_some();
        let mut row = BlockFact {
            id: BlockId(0),
            subject: subject.unwrap_or(BlockSubject::Everyone),
            pattern: entry.permission.value.clone(),
            reach: entry.reach.value.clone(),
            window: self.window(&entry.window),
            condition: self.condition(entry.condition.as_ref()),
            reason: entry.reason.value.clone(),
            conflict: entry.conflict.as_ref().map(|conflict| conflict.value.clone()),
        };
        let (unchanged, known) = self.old_blocks.standing(entry.id.as_ref(), &row);
        if let Some(role) = &named_role {
            self.role(role, unchanged);
        }
        if !unchanged {
            self.pattern(&entry.permission);
            self.reach(&entry.reach);
            row.reason = self.checked(&entry.reason, text::demanded_reason("reason", &entry.reason.value));
            if let Some(conflict) = &entry.conflict
                && !self.catalogue.conflicts.iter().any(|known| known.key == conflict.value)
            {
                self.fault(
                    conflict,
                    format!("no conflict `{}` in the catalogue; correct it or leave it out", conflict.value),
                );
            }
        }
        if !known {
            self.not_over(&entry.window);
        }
        is_known.then_some(row)
    }

    fn resources(&mut self) -> Vec<ResourceFact> {
        let mut seen = HashSet::new();
        let mut made = Vec::new();
        for entry in &self.document.resources {
            if !seen.insert(&entry.resource.value) {
                self.fault(&entry.resource, "this resource stands here twice: remove one");
            }
            made.push(self.one_resource(entry));
        }
        let places = self
            .before
            .resources
            .iter()
            .enumerate()
            .map(|(place, row)| (row.resource.clone(), place))
            .collect();
        in_old_places(made, &places, |row| row.resource.clone())
    }

    fn one_resource(&mut self, entry: &ResourceEntry) -> ResourceFact {
        let resource = entry.resource.value.clone();
        let old = self.before.resources.iter().find(|row| row.resource == resource);
        if old.is_none() {
            self.kind(&entry.resource, &resource.kind);
        }
        let owner = entry.owner.as_ref().and_then(|owner| self.principal(owner));
        let said = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let same = old.filter(|old| {
            old.attributes == entry.attributes.value
                || said(&old.attributes).is_some_and(|json| Some(json) == said(&entry.attributes.value))
        });
        let attributes = match same {
            Some(old) => old.attributes.clone(),
            None => self.checked(&entry.attributes, text::json_object("attributes", &entry.attributes.value)),
        };
        ResourceFact { resource, owner, attributes }
    }
}

/// The rows of today by id.
struct Old<'a, T> {
    rows: &'a [T],
    by_id: HashMap<u128, &'a T>,
}

impl<'a, T: Row> Old<'a, T> {
    fn new(rows: &'a [T]) -> Self {
        Self { rows, by_id: rows.iter().map(|row| (row.id(), row)).collect() }
    }

    /// Whether an entry says just what its row says already, and whether it has a row at all.
    fn standing(&self, id: Option<&Spot<u128>>, row: &T) -> (bool, bool) {
        match id {
            Some(id) => {
                let old = self.by_id.get(&id.value);
                (old.is_some_and(|old| old.says_the_same(&with_id(row, id.value))), old.is_some())
            }
            None => {
                let same = self.rows.iter().any(|old| old.says_the_same(row));
                (same, same)
            }
        }
    }
}

fn with_id<T: Row>(row: &T, id: u128) -> T {
    let mut row = row.clone();
    row.set_id(id);
    row
}

/// The teams a condition names, however deep.
fn teams_in(condition: &Condition) -> Vec<&Key> {
    let mut found = Vec::new();
    let mut waiting = vec![condition];
    while let Some(next) = waiting.pop() {
        match next {
            Condition::Team { team } => found.push(team),
            Condition::All { of } | Condition::Any { of } => waiting.extend(of),
            _ => {}
        }
    }
    found
}
