//! The slow, obvious way: the design's order walked step by step over the plain rows, saying what it finds. `explain` shows
//! it to people; tests hold the engine against it. It shares with the engine only the catalogue's names and the evaluation
//! of a single condition.

use crate::check::{Assertable, Assume, Check, CheckResource, Context};
use crate::condition::{Asked, CompiledCondition, Outcome, Owner, Stored, compile};
use crate::index::{ADMINISTRATOR, Index};
use crate::legacy;
use crate::set::PermissionIndex;
use crate::shard::Attributes;
use charter_kernel::catalogue::{CatalogueRole, ModuleScope};
use charter_kernel::entitlement::{EntitlementFact, EntitlementSource, EntitlementStatus};
use charter_kernel::facts::{
    AssignmentFact, BlockFact, BlockSubject, GrantFact, MemberFact, OrganizationFacts, OrganizationKind,
    OrganizationStatus, PrincipalKind, PrincipalStatus, RoleFact, RolePermission,
};
use charter_kernel::{
    ConditionKey, DecidedBy, Decision, Effect, Key, Layer, PermissionCode, PrincipalId, Reach, Reason,
    ResourceRef, RoleKey, Subject, TeamId, Timestamp, Window,
};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

/// One step of the way to a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStep {
    /// Which step of the order: organization, principal, membership, resource, ceiling, entitlement, block, grant, role.
    pub step: &'static str,
    /// The row, as its kind and id or key, where there is one.
    pub row: Option<String>,
    /// What it says.
    pub words: String,
}

/// What would allow what was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The layer to change.
    pub layer: Layer,
    /// What to do.
    pub words: String,
    /// Roles that would do, if roles would.
    pub roles: Vec<RoleKey>,
    /// Plans that would do, if plans would.
    pub plans: Vec<Key>,
    /// When it becomes allowed by itself, if it does.
    pub at: Option<Timestamp>,
}

/// A decision with the way to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// The rows on the way, in the order of the steps; for administrators.
    pub path: Vec<PathStep>,
    /// What would allow it; for administrators.
    pub remedies: Vec<Remedy>,
    /// One plain sentence for the person who asked.
    pub sentence: String,
}

/// What a principal can do, whatever the request's circumstances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Never.
    No,
    /// When some condition holds.
    Conditional,
    /// Always.
    Yes,
}

/// Whether two answers are the same: effect, reason, deciding row, revision, grace. How long an answer may be kept may differ.
pub fn agree(one: &Decision, other: &Decision) -> bool {
    (one.reason, one.decided_by, one.revision, one.in_grace)
        == (other.reason, other.decided_by, other.revision, other.in_grace)
}

/// Decides and explains.
pub fn decide(index: &Index, facts: &OrganizationFacts, check: &Check<'_>) -> Explanation {
    let mut walk = Walk::new(index, facts, check, Assume::Nothing);
    let (reason, decided_by, in_grace) = walk.decide();
    let decision = Decision {
        reason,
        decided_by,
        revision: facts.organization.revision,
        valid_until: walk.until,
        in_grace,
    };
    let remedies = if decision.is_allow() { Vec::new() } else { walk.remedies(reason) };
    Explanation { decision, remedies, sentence: sentence(reason, in_grace).to_owned(), path: walk.path }
}

/// What a principal can do, with every condition taken at its best and at its worst.
pub fn access(
    index: &Index,
    facts: &OrganizationFacts,
    principal: PrincipalId,
    permission: PermissionIndex,
    resource: Option<CheckResource<'_>>,
    now: Timestamp,
) -> Access {
    let check = Check {
        subject: principal,
        permission,
        minimum_level: None,
        resource,
        now,
        context: &Context::EMPTY,
        ceiling: None,
    };
    let allows = |assume| Walk::new(index, facts, &check, assume).decide().0.effect() == Effect::Allow;
    match (allows(Assume::Worst), allows(Assume::Best)) {
        (true, _) => Access::Yes,
        (false, true) => Access::Conditional,
        (false, false) => Access::No,
    }
}

/// A sentence for the person who asked: says what they can do about it, never names rows.
fn sentence(reason: Reason, in_grace: bool) -> &'static str {
    match reason {
        _ if reason.effect() == Effect::Allow && in_grace => {
            "You may do this. Your organization's right to this part has ended and goes on for a short time only."
        }
        _ if reason.effect() == Effect::Allow => "You may do this.",
        Reason::UnknownPermission | Reason::UnknownType | Reason::SystemScope => {
            "This cannot be done here. If you came by a link or button, tell whoever runs the application."
        }
        Reason::UnknownSubject
        | Reason::UnknownResource
        | Reason::NotFound
        | Reason::NotAMember
        | Reason::CrossOrganization => {
            "This was not found, or you do not belong to the organization it is in."
        }
        Reason::OrganizationClosed => "Your organization's account is closed.",
        Reason::OrganizationSuspended => {
            "Your organization's account is suspended. Ask an administrator of your organization."
        }
        Reason::PrincipalInactive => "Your account is not active. Ask an administrator of your organization.",
        Reason::StepUpRequired => "Confirm with your second factor first.",
        Reason::OutOfScope => {
            "The key or token you use is not meant for this. Use another one, or sign in yourself."
        }
        Reason::Unavailable => "This cannot be decided at the moment. Try again in a little while.",
        Reason::NotEntitled
        | Reason::SubmoduleNotEntitled
        | Reason::EntitlementBlocked
        | Reason::PreviewOnly => {
            "Your organization does not have this part of the application. Ask an administrator of your organization."
        }
        Reason::EntitlementExpired => {
            "Your organization's right to this part has ended. Ask an administrator of your organization."
        }
        Reason::ReadOnly => {
            "This part can be read and exported only, as your organization's right to it has ended."
        }
        Reason::LimitReached => "Your organization has reached the limit of its plan.",
        Reason::Blocked | Reason::DeniedOnResource | Reason::DeniedOnType | Reason::DeniedForSubject => {
            "You may not do this. If you think you should, ask an administrator of your organization."
        }
        Reason::ConditionNotMet => {
            "You may do this at other times, from other places, or under other circumstances, but not now."
        }
        Reason::LevelTooLow | Reason::NoGrant => {
            "You have no right to do this. Ask an administrator of your organization for it."
        }
        Reason::GrantedOnResource
        | Reason::GrantedOnType
        | Reason::GrantedToSubject
        | Reason::GrantedByRole => "You may do this.",
    }
}

/// Everything above `start`, with itself, along the edges kept.
fn reach<T: Ord + Clone>(
    start: &T,
    above: &dyn Fn(&T) -> Vec<T>,
    keep: &dyn Fn(&T, &T) -> bool,
) -> BTreeSet<T> {
    let mut found = BTreeSet::from([start.clone()]);
    let mut open = vec![start.clone()];
    while let Some(node) = open.pop() {
        for next in above(&node) {
            if keep(&node, &next) && found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    found
}

/// Above `start` along every edge, and along the edges that lead back to nowhere.
fn both<T: Ord + Clone>(start: &T, above: &dyn Fn(&T) -> Vec<T>) -> (BTreeSet<T>, BTreeSet<T>) {
    let all = reach(start, above, &|_, _| true);
    let sound = reach(start, above, &|from, to| !reach(to, above, &|_, _| true).contains(from));
    (all, sound)
}

/// An assignment that reaches the subject, and how.
struct Held<'a> {
    assignment: &'a AssignmentFact,
    /// May it give, or only carry denials (through teams that stand in a circle).
    gives: bool,
    via: String,
}

struct Walk<'a> {
    index: &'a Index,
    facts: &'a OrganizationFacts,
    check: &'a Check<'a>,
    assume: Assume,
    code: Option<&'a PermissionCode>,
    /// Teams the subject is in: all, and those beyond doubt.
    teams_all: BTreeSet<TeamId>,
    teams_sound: BTreeSet<TeamId>,
    team_list: Vec<(Key, bool)>,
    conditions: BTreeMap<&'a ConditionKey, OnceCell<CompiledCondition>>,
    assertable: Assertable,
    subject_stored: Option<Attributes>,
    resource_stored: Option<Attributes>,
    owner: Owner,
    kind: PrincipalKind,
    until: Option<Timestamp>,
    path: Vec<PathStep>,
    fell_away: Vec<String>,
    opens: Vec<(Timestamp, String)>,
}

impl Asked for Walk<'_> {
    fn now(&self) -> Timestamp {
        self.check.now
    }
    fn context(&self) -> &Context<'_> {
        self.check.context
    }
    fn assertable(&self) -> &Assertable {
        &self.assertable
    }
    fn subject(&self) -> PrincipalId {
        self.check.subject
    }
    fn subject_kind(&self) -> PrincipalKind {
        self.kind
    }
    fn subject_attributes(&self) -> Stored<'_> {
        stored(self.subject_stored.as_ref())
    }
    fn teams(&self) -> &[(Key, bool)] {
        &self.team_list
    }
    fn is_team(&self, key: &Key) -> bool {
        self.facts.teams.iter().any(|team| team.key == *key)
    }
    fn permission(&self) -> &PermissionCode {
        // Conditions are asked only after the permission was found to exist.
        match (self.code, self.index.codes()) {
            (Some(code), _) => code,
            (None, [first, ..]) => first,
            (None, []) => unreachable!("a permission that does not exist was denied at the first step"),
        }
    }
    fn resource(&self) -> Option<(&str, &str)> {
        self.check.resource.map(|resource| (resource.kind, resource.id))
    }
    fn resource_attributes(&self) -> Stored<'_> {
        stored(self.resource_stored.as_ref())
    }
    fn owner(&self) -> Owner {
        self.owner
    }
}

fn stored(attributes: Option<&Attributes>) -> Stored<'_> {
    match attributes {
        None => Stored::Absent,
        Some(Attributes::Map(map)) => Stored::Map(map),
        Some(Attributes::Unreadable) => Stored::Unreadable,
    }
}

fn one_reading<'t>(texts: impl Iterator<Item = &'t String>) -> Option<Attributes> {
    let mut readings: Vec<Attributes> = texts.map(|text| Attributes::read(text)).collect();
    readings.dedup();
    match readings.len() {
        0 => None,
        1 => readings.pop(),
        _ => Some(Attributes::Unreadable),
    }
}

fn span(window: Window) -> String {
    match (window.from(), window.to()) {
        (None, None) => "always".to_owned(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(to)) => format!("until {to}"),
        (Some(from), Some(to)) => format!("from {from} until {to}"),
    }
}

type Answer = (Reason, DecidedBy, bool);

impl<'a> Walk<'a> {
    fn new(index: &'a Index, facts: &'a OrganizationFacts, check: &'a Check<'a>, assume: Assume) -> Self {
        let above = |team: &TeamId| -> Vec<TeamId> {
            let known = |id: &TeamId| facts.teams.iter().any(|team| team.id == *id);
            facts.teams.iter().filter(|it| it.id == *team).filter_map(|it| it.parent).filter(known).collect()
        };
        let (mut teams_all, mut teams_sound) = (BTreeSet::new(), BTreeSet::new());
        for team in facts.teams.iter().filter(|team| team.members.contains(&check.subject)) {
            let (all, sound) = both(&team.id, &above);
            teams_all.extend(all);
            teams_sound.extend(sound);
        }
        let team_list = facts
            .teams
            .iter()
            .filter(|team| teams_all.contains(&team.id))
            .map(|team| (team.id, (team.key.clone(), teams_sound.contains(&team.id))))
            .collect::<BTreeMap<TeamId, (Key, bool)>>()
            .into_values()
            .collect();
        let conditions = facts.conditions.iter().map(|fact| (&fact.key, OnceCell::new())).collect();
        let members = || facts.members.iter().filter(|member| member.principal == check.subject);
        let kind = check.resource.and_then(|resource| index.kind(resource.kind));
        let registered = || {
            facts.resources.iter().filter(|it| {
                check.resource.is_some_and(|asked| {
                    kind.is_some()
                        && index.kind(it.resource.kind.as_str()) == kind
                        && *it.resource.id == *asked.id
                })
            })
        };
        let first = registered().next();
        let clear = first.is_some_and(|first| {
            registered().all(|it| it.owner == first.owner && it.attributes == first.attributes)
        });
        let owner = match first {
            Some(first) if clear => first.owner.map_or(Owner::Nobody, Owner::Is),
            _ => Owner::Unknown,
        };
        let resource_stored = match first {
            None => None,
            Some(first) if clear => Some(Attributes::read(&first.attributes)),
            Some(_) => Some(Attributes::Unreadable),
        };
        Self {
            index,
            facts,
            check,
            assume,
            code: index.code(check.permission),
            teams_all,
            teams_sound,
            team_list,
            conditions,
            assertable: Assertable::new(&facts.organization.assertable).0,
            subject_stored: one_reading(members().map(|member| &member.attributes)),
            resource_stored,
            owner,
            kind: members().next().map_or(PrincipalKind::User, |member| member.kind),
            until: None,
            path: Vec::new(),
            fell_away: Vec::new(),
            opens: Vec::new(),
        }
    }

    fn note(&mut self, step: &'static str, row: Option<String>, words: impl Into<String>) {
        self.path.push(PathStep { step, row, words: words.into() });
    }

    fn keep_until(&mut self, at: Option<Timestamp>) {
        self.until = [self.until, at].into_iter().flatten().min();
    }

    /// A row's window: whether it is live; its edges bound how long the answer holds.
    fn live(&mut self, window: Window) -> bool {
        self.keep_until(window.next_change(self.check.now));
        window.is_live(self.check.now)
    }

    fn outcome(&mut self, key: Option<&ConditionKey>, allows: bool) -> Outcome {
        let Some(key) = key else { return Outcome::True };
        match self.assume {
            Assume::Best => return allows.into(),
            Assume::Worst => return (!allows).into(),
            Assume::Nothing => {}
        }
        let Some(condition) = self.conditions.get(key) else { return Outcome::Unknown };
        let facts = self.facts;
        let condition = condition.get_or_init(|| {
            let mut rows = facts.conditions.iter().filter(|row| row.key == *key);
            let first = rows.next().filter(|first| rows.all(|row| row.condition == first.condition));
            first.and_then(|row| compile(&row.condition).ok()).unwrap_or_else(CompiledCondition::broken)
        });
        let next = condition.next_change(self.check.now);
        let outcome = condition.evaluate(self);
        self.keep_until(next);
        outcome
    }

    fn holds(&mut self, key: Option<&ConditionKey>) -> bool {
        self.outcome(key, true) == Outcome::True
    }

    fn applies(&mut self, key: Option<&ConditionKey>) -> bool {
        self.outcome(key, false) != Outcome::False
    }

    fn decide(&mut self) -> Answer {
        let no = |reason| (reason, DecidedBy::Nothing, false);
        let (check, facts) = (self.check, self.facts);
        // 0 names
        let Some(code) = self.code else {
            self.note("names", None, "the permission is not in the catalogue, or is retired");
            return no(Reason::UnknownPermission);
        };
        if let Some(resource) = check.resource
            && self.index.kind(resource.kind).is_none()
        {
            self.note("names", None, format!("type of resource {} is not in the catalogue", resource.kind));
            return no(Reason::UnknownType);
        }
        // 1 organization
        let organization = &facts.organization;
        let is_platform = organization.kind == OrganizationKind::Platform;
        let module = self.index.catalogue().module(code.module());
        if module.is_some_and(|module| module.scope == ModuleScope::System) && !is_platform {
            self.note(
                "organization",
                None,
                format!("module {} works in the platform organization only", code.module()),
            );
            return no(Reason::SystemScope);
        }
        match organization.status {
            OrganizationStatus::Active => {
                self.note("organization", None, format!("organization {} is active", organization.key));
            }
            OrganizationStatus::Closed => {
                self.note("organization", None, format!("organization {} is closed", organization.key));
                return no(Reason::OrganizationClosed);
            }
            OrganizationStatus::Suspended => {
                let listed = code.action() == "export"
                    || ["admin.org_entitlements.read", "audit.events.read"].contains(&code.as_str());
                if !(listed && self.administers()) {
                    self.note(
                        "organization",
                        None,
                        format!("organization {} is suspended: only its administrators may export and read entitlements and audit", organization.key),
                    );
                    return no(Reason::OrganizationSuspended);
                }
                self.note(
                    "organization",
                    None,
                    format!(
                        "organization {} is suspended, but this goes on for its administrators",
                        organization.key
                    ),
                );
            }
        }
        // 2 principal, 3 membership
        let members: Vec<&MemberFact> =
            facts.members.iter().filter(|member| member.principal == check.subject).collect();
        if members.is_empty() {
            self.note("membership", None, "the account is not a member of the organization");
            return no(Reason::NotAMember);
        }
        let never_together = Window::new(
            members.iter().filter_map(|member| member.window.from()).max(),
            members.iter().filter_map(|member| member.window.to()).min(),
        )
        .is_err();
        if never_together || members.iter().any(|member| member.status != PrincipalStatus::Active) {
            self.note("principal", None, "the account is not active");
            return no(Reason::PrincipalInactive);
        }
        for member in &members {
            let live = self.live(member.window);
            self.note("membership", None, format!("{} is a member {}", member.login, span(member.window)));
            if !live {
                if let Some(from) = member.window.from().filter(|from| *from > check.now) {
                    self.opens.push((from, "the membership begins".to_owned()));
                }
                return no(Reason::NotAMember);
            }
        }
        // 4 resource
        if check.resource.is_some_and(|resource| resource.registered_elsewhere) {
            self.note("resource", None, "the resource is registered in another organization");
            return no(Reason::CrossOrganization);
        }
        if let Some(resource) = check.resource {
            let kind = self.index.kind(resource.kind);
            let all_registered = self
                .index
                .catalogue()
                .resource_types
                .iter()
                .any(|it| it.registered && self.index.kind(it.key.as_str()) == kind);
            let exists = facts
                .resources
                .iter()
                .any(|it| self.same_kind(&it.resource.kind, &resource) && *it.resource.id == *resource.id);
            if all_registered && !exists {
                self.note("resource", None, format!("there is no {}:{}", resource.kind, resource.id));
                return no(Reason::UnknownResource);
            }
        }
        // 5 ceiling
        if check.ceiling.is_some_and(|ceiling| !ceiling.contains(check.permission)) {
            self.note("ceiling", None, "the credential used is not meant for this permission");
            return no(Reason::OutOfScope);
        }
        // 6 entitlement
        let in_grace = match self.entitled(code, is_platform) {
            Ok(in_grace) => in_grace,
            Err(reason) => return no(reason),
        };
        // 7 block
        if let Some(answer) = self.blocked(code) {
            return answer;
        }
        // 8 the one resource, 9 its type, 10 the subject
        for level in [Level::Resource, Level::Type, Level::Organization] {
            if let Some((reason, decided_by)) = self.granted(code, level) {
                return (reason, decided_by, in_grace && reason.effect() == Effect::Allow);
            }
        }
        // 11 roles
        self.by_roles(code, in_grace)
    }

    // ---- roles ----

    fn shipped(&self, key: &RoleKey) -> Option<&'a CatalogueRole> {
        self.index.catalogue().role(key)
    }

    fn own(&self, key: &RoleKey) -> Vec<&'a RoleFact> {
        if self.shipped(key).is_some() {
            return Vec::new();
        }
        self.facts.roles.iter().filter(|role| role.key == *key).collect()
    }

    fn exists_here(&self, key: &RoleKey) -> bool {
        match self.shipped(key) {
            Some(role) => !role.system || self.facts.organization.kind == OrganizationKind::Platform,
            None => !self.own(key).is_empty(),
        }
    }

    fn parents(&self, key: &RoleKey) -> Vec<RoleKey> {
        match self.shipped(key) {
            Some(role) => role.role.parents.clone(),
            None => self.own(key).iter().flat_map(|role| role.parents.clone()).collect(),
        }
    }

    /// The role and those it inherits from, for what it gives.
    fn gives(&self, key: &RoleKey) -> BTreeSet<RoleKey> {
        let above = |key: &RoleKey| self.parents(key);
        let sound = |from: &RoleKey, to: &RoleKey| {
            self.exists_here(from) && !reach(to, &above, &|_, _| true).contains(from)
        };
        let mut roles = reach(key, &above, &sound);
        roles.retain(|key| self.exists_here(key));
        if self.exists_here(key) { roles } else { BTreeSet::new() }
    }

    /// The role and those it inherits from, for what a block on a role reaches.
    fn is(&self, key: &RoleKey) -> BTreeSet<RoleKey> {
        reach(key, &|key| self.parents(key), &|_, _| true)
    }

    fn level_of(&self, key: &RoleKey) -> Option<charter_kernel::facts::Level> {
        match self.shipped(key) {
            Some(role) => Some(role.role.level),
            None => self.own(key).iter().map(|role| role.level).min(),
        }
    }

    fn lines(&self, key: &RoleKey) -> Vec<&'a RolePermission> {
        match self.shipped(key) {
            Some(role) => role.role.permissions.iter().collect(),
            None => self.own(key).into_iter().flat_map(|role| &role.permissions).collect(),
        }
    }

    fn held(&self) -> Vec<Held<'a>> {
        let mut held: Vec<Held<'a>> = Vec::new();
        for assignment in &self.facts.assignments {
            match assignment.subject {
                Subject::Principal(principal) if principal == self.check.subject => {
                    held.push(Held { assignment, gives: true, via: "directly".to_owned() });
                }
                Subject::Team(team) if self.teams_all.contains(&team) => {
                    let key =
                        self.facts.teams.iter().find(|it| it.id == team).map_or("?", |it| it.key.as_str());
                    held.push(Held {
                        assignment,
                        gives: self.teams_sound.contains(&team),
                        via: format!("via team {key}"),
                    });
                }
                _ => {}
            }
        }
        held.sort_by_key(|held| held.assignment.id);
        held
    }

    fn administers(&mut self) -> bool {
        if !self.facts.members.iter().any(|member| member.principal == self.check.subject) {
            return false;
        }
        for held in self.held() {
            let administers =
                self.gives(&held.assignment.role).iter().any(|role| role.as_str() == ADMINISTRATOR);
            if administers
                && held.gives
                && self.live(held.assignment.window)
                && self.holds(held.assignment.condition.as_ref())
            {
                return true;
            }
        }
        false
    }

    fn by_roles(&mut self, code: &PermissionCode, in_grace: bool) -> Answer {
        let mut plain = false;
        let mut timed = None;
        let mut too_low = false;
        for held in self.held() {
            let assignment = held.assignment;
            if !held.gives {
                continue;
            }
            let row = || Some(format!("assignment {}", assignment.id));
            for role in self.gives(&assignment.role) {
                for line in self.lines(&role) {
                    if !line.pattern.matches(code) {
                        continue;
                    }
                    let from = if role == assignment.role {
                        String::new()
                    } else {
                        format!(", inherited from {role}")
                    };
                    let words = format!("role {} {}{from} gives {}", assignment.role, held.via, line.pattern);
                    if !self.live(assignment.window) {
                        self.note(
                            "role",
                            row(),
                            format!("{words}, but the assignment is in force {}", span(assignment.window)),
                        );
                        if let Some(at) = assignment.window.from().filter(|at| *at > self.check.now) {
                            self.opens.push((at, words));
                        }
                        continue;
                    }
                    let level = self.level_of(&assignment.role);
                    if let Some(minimum) = self.check.minimum_level
                        && level.is_none_or(|level| level < minimum)
                    {
                        too_low = true;
                        self.note("role", row(), format!("{words}, but {} is needed here", minimum.as_str()));
                        continue;
                    }
                    let conditions = [assignment.condition.as_ref(), line.condition.as_ref()];
                    let failed =
                        conditions.into_iter().flatten().find(|key| !self.holds(Some(*key))).cloned();
                    if let Some(key) = failed {
                        self.note("role", row(), format!("{words}, but condition {key} does not hold"));
                        self.fell_away.push(key.to_string());
                        continue;
                    }
                    self.note("role", row(), words);
                    if assignment.window.is_always() && conditions == [None, None] {
                        plain = true;
                    } else {
                        timed = timed.or(Some(assignment.id));
                    }
                }
            }
        }
        match (plain, timed) {
            (true, _) => (Reason::GrantedByRole, DecidedBy::Roles, in_grace),
            (false, Some(id)) => (Reason::GrantedByRole, DecidedBy::Assignment(id), in_grace),
            (false, None) if !self.fell_away.is_empty() => {
                (Reason::ConditionNotMet, DecidedBy::Nothing, false)
            }
            (false, None) if too_low => (Reason::LevelTooLow, DecidedBy::Nothing, false),
            (false, None) => {
                self.note("role", None, "no role and no grant allows it");
                (Reason::NoGrant, DecidedBy::Nothing, false)
            }
        }
    }

    // ---- blocks and grants ----

    fn same_kind(&self, kind: &Key, resource: &CheckResource<'_>) -> bool {
        let asked = self.index.kind(resource.kind);
        asked.is_some() && asked == self.index.kind(kind.as_str())
    }

    fn covers(&self, reach: &Reach) -> bool {
        match (reach, &self.check.resource) {
            (Reach::Organization, _) => true,
            (Reach::Type(_) | Reach::Resource(_), None) => false,
            (Reach::Type(kind), Some(resource)) => self.same_kind(kind, resource),
            (Reach::Resource(ResourceRef { kind, id }), Some(resource)) => {
                self.same_kind(kind, resource) && **id == *resource.id
            }
        }
    }

    fn blocked(&mut self, code: &PermissionCode) -> Option<Answer> {
        let mut blocks: Vec<&'a BlockFact> = self.facts.blocks.iter().collect();
        blocks.sort_by_key(|block| block.id);
        for block in blocks {
            if !block.pattern.matches(code) || !self.covers(&block.reach) {
                continue;
            }
            let (stops, whom) = match &block.subject {
                BlockSubject::Everyone => (true, "everybody".to_owned()),
                BlockSubject::Principal(principal) => {
                    (*principal == self.check.subject, "the account".to_owned())
                }
                BlockSubject::Team(team) => {
                    let key =
                        self.facts.teams.iter().find(|it| it.id == *team).map_or("?", |it| it.key.as_str());
                    (self.teams_all.contains(team), format!("team {key}"))
                }
                BlockSubject::Role(role) => {
                    let mut stops = false;
                    for held in self.held() {
                        let is = self.is(&held.assignment.role).contains(role);
                        if is
                            && self.live(held.assignment.window)
                            && self.applies(held.assignment.condition.as_ref())
                        {
                            stops = true;
                        }
                    }
                    (stops, format!("role {role}"))
                }
            };
            if stops && self.live(block.window) && self.applies(block.condition.as_ref()) {
                self.note(
                    "block",
                    Some(format!("block {}", block.id)),
                    format!(
                        "{} is blocked for {whom} {}: {}",
                        block.pattern,
                        span(block.window),
                        block.reason
                    ),
                );
                return Some((Reason::Blocked, DecidedBy::Block(block.id), false));
            }
        }
        None
    }

    fn granted(&mut self, code: &PermissionCode, level: Level) -> Option<(Reason, DecidedBy)> {
        let mut grants: Vec<&'a GrantFact> = self.facts.grants.iter().collect();
        grants.sort_by_key(|grant| grant.id);
        let (mut allowing, mut denying) = (None, None);
        for grant in grants {
            let at_level = matches!(
                (&grant.reach, level),
                (Reach::Resource(_), Level::Resource)
                    | (Reach::Type(_), Level::Type)
                    | (Reach::Organization, Level::Organization)
            );
            let denies = grant.effect == Effect::Deny;
            let reaches = match grant.subject {
                Subject::Principal(principal) => principal == self.check.subject,
                Subject::Team(team) if denies => self.teams_all.contains(&team),
                Subject::Team(team) => self.teams_sound.contains(&team),
            };
            if !at_level || !reaches || !self.covers(&grant.reach) || !grant.pattern.matches(code) {
                continue;
            }
            let whose = match grant.subject {
                Subject::Principal(_) => String::new(),
                Subject::Team(team) => {
                    let key =
                        self.facts.teams.iter().find(|it| it.id == team).map_or("?", |it| it.key.as_str());
                    format!(" via team {key}")
                }
            };
            let giver = grant.given_by.map_or_else(
                || "the operator".to_owned(),
                |giver| {
                    self.facts
                        .members
                        .iter()
                        .find(|member| member.principal == giver)
                        .map_or_else(|| giver.to_string(), |member| member.login.clone())
                },
            );
            let words = format!(
                "{} {}{whose}{}, given by {giver} at {}: {}",
                if denies { "denies" } else { "allows" },
                grant.pattern,
                match &grant.reach {
                    Reach::Organization => String::new(),
                    Reach::Type(kind) => format!(" on every {kind}"),
                    Reach::Resource(resource) => format!(" on {}:{}", resource.kind, resource.id),
                },
                grant.given_at,
                grant.reason,
            );
            let row = Some(format!("grant {}", grant.id));
            if !self.live(grant.window) {
                self.note("grant", row, format!("{words}; in force {}", span(grant.window)));
                if let Some(at) = grant.window.from().filter(|at| !denies && *at > self.check.now) {
                    self.opens.push((at, words));
                }
                continue;
            }
            if denies {
                if self.applies(grant.condition.as_ref()) {
                    self.note("grant", row, words);
                    denying = denying.or(Some(grant.id));
                }
            } else if self.holds(grant.condition.as_ref()) {
                self.note("grant", row, words);
                allowing = allowing.or(Some(grant.id));
            } else {
                let key = grant.condition.as_ref().map(ToString::to_string).unwrap_or_default();
                self.note("grant", row, format!("{words}; but condition {key} does not hold"));
                self.fell_away.push(key);
            }
        }
        let (denied, allowed) = match level {
            Level::Resource => (Reason::DeniedOnResource, Reason::GrantedOnResource),
            Level::Type => (Reason::DeniedOnType, Reason::GrantedOnType),
            Level::Organization => (Reason::DeniedForSubject, Reason::GrantedToSubject),
        };
        match (denying, allowing) {
            (Some(id), _) => Some((denied, DecidedBy::Grant(id))),
            (None, Some(id)) => Some((allowed, DecidedBy::Grant(id))),
            (None, None) => None,
        }
    }

    // ---- entitlement ----

    fn entitled(&mut self, code: &PermissionCode, is_platform: bool) -> Result<bool, Reason> {
        let now = self.check.now;
        let facts = self.facts;
        for row in &facts.entitlements {
            for at in [row.window.from(), row.window.to(), row.grace_until, row.read_only_until]
                .into_iter()
                .flatten()
            {
                self.keep_until(Some(at).filter(|at| *at > now));
            }
        }
        if is_platform {
            self.note("entitlement", None, "the platform organization has every module");
            return Ok(false);
        }
        let (Some(module), Some(permission)) =
            (self.index.catalogue().module(code.module()), self.index.catalogue().permission(code.as_str()))
        else {
            return Err(Reason::UnknownPermission);
        };
        // E2
        if module.always_on {
            self.note("entitlement", None, format!("module {} is always on", module.key));
            return Ok(false);
        }
        let of_module: Vec<&EntitlementFact> = facts
            .entitlements
            .iter()
            .filter(|row| row.module == module.key && row.submodule.is_none())
            .collect();
        let of_parts: Vec<&EntitlementFact> = facts
            .entitlements
            .iter()
            .filter(|row| row.module == module.key && row.submodule.is_some())
            .collect();
        let of_this: Vec<&EntitlementFact> = of_parts
            .iter()
            .copied()
            .filter(|row| row.submodule.as_ref() == Some(&permission.submodule))
            .collect();
        let in_force = |rows: &[&'a EntitlementFact], status| -> Vec<&'a EntitlementFact> {
            rows.iter().copied().filter(|row| row.status == status && row.window.is_live(now)).collect()
        };
        let describe = |row: &EntitlementFact| {
            let part = row.submodule.as_ref().map(|it| format!(".{it}")).unwrap_or_default();
            let why = if row.reason.is_empty() { String::new() } else { format!(": {}", row.reason) };
            format!(
                "{}{part} is {} by {} {}{why}",
                row.module,
                row.status.as_str(),
                row.source.as_str(),
                span(row.window)
            )
        };
        // E3
        for rows in [&of_module, &of_this] {
            if let Some(row) = in_force(rows, EntitlementStatus::Blocked).first() {
                self.note("entitlement", Some(format!("entitlement {}", row.source.as_str())), describe(row));
                return Err(Reason::EntitlementBlocked);
            }
        }
        #[derive(PartialEq, Clone, Copy)]
        enum Run {
            Full,
            Grace,
            ReadOnly,
        }
        let mut run = Run::Full;
        let mut preview = false;
        let granting: Vec<&EntitlementFact>;
        if of_module.is_empty() {
            // E4
            let legacy = legacy::enabled_modules(facts.organization.enabled_modules.as_deref(), self.index);
            if !legacy.on.contains(&module.key) {
                self.note(
                    "entitlement",
                    None,
                    format!("no row for module {}, and enabled_modules does not have it on", module.key),
                );
                return Err(Reason::NotEntitled);
            }
            self.note(
                "entitlement",
                None,
                format!("no row for module {}: enabled_modules has it on", module.key),
            );
            granting = Vec::new();
        } else {
            let enabled = in_force(&of_module, EntitlementStatus::Enabled);
            let previewing = in_force(&of_module, EntitlementStatus::Preview);
            let ended: Vec<&EntitlementFact> = of_module
                .iter()
                .copied()
                .filter(|row| {
                    row.status == EntitlementStatus::Enabled && row.window.to().is_some_and(|to| to <= now)
                })
                .collect();
            if !enabled.is_empty() {
                // E5
                granting = enabled;
            } else if !previewing.is_empty() {
                // E6
                preview = true;
                granting = previewing;
            } else if let Some(last) = ended.iter().filter_map(|row| row.window.to()).max() {
                // E7
                let last: Vec<&EntitlementFact> =
                    ended.into_iter().filter(|row| row.window.to() == Some(last)).collect();
                let until = |pick: fn(&EntitlementFact) -> Option<Timestamp>| -> Vec<&'a EntitlementFact> {
                    last.iter().copied().filter(|row| pick(row).is_some_and(|until| now < until)).collect()
                };
                let grace = until(|row| row.grace_until);
                let reading = until(|row| row.read_only_until);
                if !grace.is_empty() {
                    run = Run::Grace;
                    granting = grace;
                } else if !reading.is_empty() {
                    run = Run::ReadOnly;
                    granting = reading;
                } else {
                    self.note("entitlement", None, last.first().map(|row| describe(row)).unwrap_or_default());
                    return Err(Reason::EntitlementExpired);
                }
            } else {
                self.note("entitlement", None, format!("no row gives module {} now", module.key));
                return Err(Reason::NotEntitled);
            }
        }
        for row in &granting {
            self.note("entitlement", Some(format!("entitlement {}", row.source.as_str())), describe(row));
        }
        // E8, then the preview list and reading only, which a part may bring in as well
        let counts = |row: &&&EntitlementFact| {
            let after_end = row.window.to().is_some_and(|to| to <= now)
                && match run {
                    Run::Full => false,
                    Run::Grace => row.grace_until.is_some_and(|until| now < until),
                    Run::ReadOnly => {
                        row.grace_until.is_some_and(|until| now < until)
                            || row.read_only_until.is_some_and(|until| now < until)
                    }
                };
            row.status == EntitlementStatus::Enabled && (row.window.is_live(now) || after_end)
        };
        let lists = |source: EntitlementSource, id: &str| {
            of_parts.iter().any(|row| {
                row.source == source
                    && row.source_id == id
                    && matches!(row.status, EntitlementStatus::Enabled | EntitlementStatus::Preview)
            })
        };
        let mut part_in_preview = false;
        let part_allowed = if of_this.iter().any(|row| counts(&row)) {
            true
        } else if !in_force(&of_this, EntitlementStatus::Preview).is_empty() {
            part_in_preview = run == Run::Full;
            run == Run::Full
        } else if !in_force(&of_this, EntitlementStatus::Disabled).is_empty() {
            false
        } else {
            granting.is_empty() || granting.iter().any(|row| !lists(row.source, &row.source_id))
        };
        let listed =
            facts.previews.iter().any(|it| it.module == module.key && it.principal == self.check.subject);
        if (preview || part_in_preview) && !listed {
            self.note(
                "entitlement",
                None,
                format!("module {} is in preview and the account is not on its list", module.key),
            );
            return Err(Reason::PreviewOnly);
        }
        if !part_allowed {
            self.note(
                "entitlement",
                None,
                format!("part {} of module {} is not included", permission.submodule, module.key),
            );
            return Err(Reason::SubmoduleNotEntitled);
        }
        if run == Run::ReadOnly && !matches!(code.action(), "read" | "export") {
            self.note("entitlement", None, format!("module {} can be read and exported only", module.key));
            return Err(Reason::ReadOnly);
        }
        Ok(run == Run::Grace)
    }

    // ---- what would help ----

    fn remedies(&self, reason: Reason) -> Vec<Remedy> {
        let layer = reason.layer();
        let plain = |words: String| Remedy { layer, words, roles: Vec::new(), plans: Vec::new(), at: None };
        let mut remedies: Vec<Remedy> = Vec::new();
        let Some(code) = self.code else {
            return vec![plain(
                "use a permission code of the catalogue, or add it with `catalogue apply`".to_owned(),
            )];
        };
        match reason {
            Reason::UnknownType => {
                remedies.push(plain(
                    "use a type of resource of the catalogue, or add it with `catalogue apply`".to_owned(),
                ));
            }
            Reason::SystemScope => remedies.push(plain("ask in the platform organization".to_owned())),
            Reason::OrganizationClosed => {
                remedies.push(plain("open the organization again, if it was closed by mistake".to_owned()));
            }
            Reason::OrganizationSuspended => {
                remedies.push(plain("make the organization active again".to_owned()))
            }
            Reason::PrincipalInactive => remedies.push(plain("make the account active again".to_owned())),
            Reason::NotAMember => remedies
                .push(plain("add the account as a member, or change the time of its membership".to_owned())),
            Reason::UnknownResource => remedies.push(plain("register the resource first".to_owned())),
            Reason::CrossOrganization => {
                remedies.push(plain("ask in the organization the resource is registered in".to_owned()))
            }
            Reason::OutOfScope => remedies.push(plain(format!("use a credential whose scope has {code}"))),
            Reason::NotEntitled
            | Reason::SubmoduleNotEntitled
            | Reason::EntitlementExpired
            | Reason::ReadOnly => {
                let mut plans: Vec<_> = self
                    .index
                    .catalogue()
                    .plans
                    .iter()
                    .filter(|plan| plan.modules.iter().any(|module| module.as_str() == code.module()))
                    .collect();
                plans.sort_by_key(|plan| plan.rank);
                let plans: Vec<Key> = plans.into_iter().map(|plan| plan.key.clone()).collect();
                remedies.push(Remedy {
                    layer,
                    words: format!(
                        "subscribe to a plan or add-on that includes module {}, or enable it by an override",
                        code.module()
                    ),
                    roles: Vec::new(),
                    plans,
                    at: None,
                });
                let opens = self
                    .facts
                    .entitlements
                    .iter()
                    .filter(|row| {
                        row.module.as_str() == code.module() && row.status == EntitlementStatus::Enabled
                    })
                    .filter_map(|row| row.window.from())
                    .filter(|from| *from > self.check.now)
                    .min();
                if let Some(at) = opens {
                    remedies.push(Remedy {
                        at: Some(at),
                        ..plain(format!("wait until {at}, when a row enables it"))
                    });
                }
            }
            Reason::EntitlementBlocked => {
                remedies.push(plain(format!("end the blocking override on module {}", code.module())))
            }
            Reason::PreviewOnly => remedies
                .push(plain(format!("put the account on the preview list of module {}", code.module()))),
            Reason::Blocked => remedies.push(plain("end the block; nothing else overrides it".to_owned())),
            Reason::DeniedOnResource | Reason::DeniedOnType | Reason::DeniedForSubject => {
                remedies.push(plain(
                    "revoke the denial, or give a grant with a narrower reach than the denial has".to_owned(),
                ));
            }
            Reason::ConditionNotMet | Reason::LevelTooLow | Reason::NoGrant => {
                for key in &self.fell_away {
                    remedies.push(plain(format!("condition {key} must hold")));
                }
                let roles = self.roles_with(code);
                if !roles.is_empty() {
                    remedies.push(Remedy { roles, ..plain("assign one of these roles".to_owned()) });
                }
                remedies.push(plain(format!("give a grant on {code}, with the reach that is needed")));
            }
            _ => {}
        }
        let mut opens = self.opens.clone();
        opens.sort();
        for (at, words) in opens {
            remedies.push(Remedy { at: Some(at), ..plain(format!("wait until {at}: {words}")) });
        }
        remedies.dedup();
        remedies
    }

    /// Roles that could be assigned here and would give it without a condition.
    fn roles_with(&self, code: &PermissionCode) -> Vec<RoleKey> {
        let shipped = self.index.catalogue().roles.iter().map(|role| &role.role.key);
        let own = self.facts.roles.iter().map(|role| &role.key);
        let mut roles: Vec<RoleKey> = shipped
            .chain(own)
            .filter(|key| {
                self.check
                    .minimum_level
                    .is_none_or(|minimum| self.level_of(key).is_some_and(|level| level >= minimum))
                    && self
                        .gives(key)
                        .iter()
                        .flat_map(|role| self.lines(role))
                        .any(|line| line.condition.is_none() && line.pattern.matches(code))
            })
            .cloned()
            .collect();
        roles.sort();
        roles.dedup();
        roles
    }
}

/// The three levels of grants.
#[derive(Clone, Copy)]
enum Level {
    Resource,
    Type,
    Organization,
}
