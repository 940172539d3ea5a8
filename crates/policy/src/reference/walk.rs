//! The walk itself: what it knows of the question, what conditions read from it, and what it notes on the way.

use super::PathStep;
use super::above::both;
use crate::check::{Assertable, Assume, Check, Context};
use crate::condition::{Asked, CompiledCondition, Outcome, Owner, Stored, asks, compile, why_not};
use crate::index::Index;
use crate::shard::Attributes;
use charter_kernel::facts::{OrganizationFacts, PrincipalKind};
use charter_kernel::{
    Condition, ConditionKey, DecidedBy, Key, PermissionCode, PrincipalId, Reason, TeamId, Timestamp, Window,
};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Walk<'a> {
    pub(super) index: &'a Index,
    pub(super) facts: &'a OrganizationFacts,
    pub(super) check: &'a Check<'a>,
    pub(super) assume: Assume,
    pub(super) code: Option<&'a PermissionCode>,
    /// Teams the subject is in: all, and those beyond doubt.
    pub(super) teams_all: BTreeSet<TeamId>,
    pub(super) teams_sound: BTreeSet<TeamId>,
    pub(super) team_list: Vec<(Key, bool)>,
    pub(super) conditions: BTreeMap<&'a ConditionKey, OnceCell<CompiledCondition>>,
    pub(super) assertable: Assertable,
    pub(super) subject_stored: Option<Attributes>,
    pub(super) resource_stored: Option<Attributes>,
    pub(super) owner: Owner,
    pub(super) kind: PrincipalKind,
    pub(super) until: Option<Timestamp>,
    pub(super) path: Vec<PathStep>,
    pub(super) fell_away: Vec<ConditionKey>,
    pub(super) opens: Vec<(Timestamp, String)>,
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

pub(super) fn span(window: Window) -> String {
    match (window.from(), window.to()) {
        (None, None) => "always".to_owned(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(to)) => format!("until {to}"),
        (Some(from), Some(to)) => format!("from {from} until {to}"),
    }
}

pub(super) type Answer = (Reason, DecidedBy, bool);

impl<'a> Walk<'a> {
    pub(super) fn new(
        index: &'a Index,
        facts: &'a OrganizationFacts,
        check: &'a Check<'a>,
        assume: Assume,
    ) -> Self {
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

    pub(super) fn note(&mut self, step: &'static str, row: Option<String>, words: impl Into<String>) {
        self.path.push(PathStep { step, row, words: words.into() });
    }

    pub(super) fn keep_until(&mut self, at: Option<Timestamp>) {
        self.until = [self.until, at].into_iter().flatten().min();
    }

    /// A row's window: whether it is live; its edges bound how long the answer holds.
    pub(super) fn live(&mut self, window: Window) -> bool {
        self.keep_until(window.next_change(self.check.now));
        window.is_live(self.check.now)
    }

    pub(super) fn outcome(&mut self, key: Option<&ConditionKey>, allows: bool) -> Outcome {
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

    pub(super) fn holds(&mut self, key: Option<&ConditionKey>) -> bool {
        self.outcome(key, true) == Outcome::True
    }

    fn condition(&self, key: &ConditionKey) -> Option<&'a Condition> {
        self.facts.conditions.iter().find(|row| row.key == *key).map(|row| &row.condition)
    }

    /// Why a condition does not hold, in words.
    pub(super) fn why_not(&self, key: &ConditionKey) -> String {
        self.condition(key).map_or_else(|| "there is no such condition".to_owned(), |it| why_not(it, self))
    }

    /// What a condition asks for, in words.
    pub(super) fn asks(&self, key: &ConditionKey) -> String {
        self.condition(key).map_or_else(|| "there is no such condition".to_owned(), asks)
    }

    pub(super) fn applies(&mut self, key: Option<&ConditionKey>) -> bool {
        self.outcome(key, false) != Outcome::False
    }
}
