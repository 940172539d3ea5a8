//! Document to facts: names are looked up, ids kept or made, and everything that would be wrong is told at once by line. The rules that hold for
//! every edit (nobody gives beyond their own, duties stay apart, an administrator remains) stand in `crate::rules` and run after this.

mod given;
mod row;
mod structure;

use crate::policy_document::{Fault, Named, PolicyDocument, Span, Spot};
use crate::text;
use charter_catalogue::document::nearest;
use charter_kernel::catalogue::Catalogue;
use charter_kernel::facts::{
    AssignmentFact, BlockFact, BlockSubject, GrantFact, OrganizationFacts, OrganizationKind,
};
use charter_kernel::id::parse_uuid;
use charter_kernel::{
    ConditionKey, Key, Pattern, PrincipalId, Problem, Reach, RoleKey, Subject, TeamId, Timestamp, Window,
};
use row::Old;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

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
}
