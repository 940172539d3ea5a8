//! Rows under construction: sets, rows and conditions are kept once each and referred to by number.

use super::overlay::{ALWAYS, Row, Section, WHOLE};
use super::teams::Teams;
use crate::condition::CompiledCondition;
use crate::index::Index;
use crate::set::PermissionSet;
use charter_kernel::{ConditionKey, Key, PrincipalId, Reach, ResourceRef, Subject, Timestamp, Window};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What a subject has, by rows: roles without window or condition, and rows that allow or deny.
#[derive(Default, Clone)]
pub(super) struct Holding {
    pub(super) roles: Vec<u16>,
    pub(super) allows: Vec<u32>,
    pub(super) denies: Vec<u32>,
}

pub(super) struct Builder<'a> {
    pub(super) index: &'a Index,
    pub(super) faults: Vec<String>,
    pub(super) sets: Vec<PermissionSet>,
    pub(super) set_numbers: HashMap<PermissionSet, u32>,
    pub(super) rows: Vec<Row>,
    pub(super) row_numbers: HashMap<Row, u32>,
    pub(super) condition_numbers: HashMap<&'a ConditionKey, u32>,
    pub(super) conditions: Vec<Arc<CompiledCondition>>,
}

impl<'a> Builder<'a> {
    pub(super) fn set(&mut self, set: PermissionSet) -> u32 {
        if let Some(at) = self.set_numbers.get(&set) {
            return *at;
        }
        let at = self.sets.len() as u32;
        self.sets.push(set.clone());
        self.set_numbers.insert(set, at);
        at
    }

    pub(super) fn row(&mut self, row: Row) -> u32 {
        if let Some(at) = self.row_numbers.get(&row) {
            return *at;
        }
        let at = self.rows.len() as u32;
        self.rows.push(row.clone());
        self.row_numbers.insert(row, at);
        at
    }

    pub(super) fn condition(&mut self, key: Option<&'a ConditionKey>, what: &dyn fmt::Display) -> u32 {
        let Some(key) = key else { return ALWAYS };
        if let Some(at) = self.condition_numbers.get(key) {
            return *at;
        }
        self.faults.push(format!("{what}: condition {key} does not exist, it counts as failing"));
        let at = self.broken();
        self.condition_numbers.insert(key, at);
        at
    }

    pub(super) fn broken(&mut self) -> u32 {
        self.conditions.push(Arc::new(CompiledCondition::broken()));
        (self.conditions.len() - 1) as u32
    }

    /// Section, kind and resource of a reach; none when no check can ever name its type.
    pub(super) fn reach(
        &mut self,
        reach: &Reach,
        block: bool,
        what: &dyn fmt::Display,
    ) -> Option<(Section, u16, Option<Box<str>>)> {
        let kind_of = |name: &Key| self.index.kind(name.as_str());
        let (section, kind, resource) = match reach {
            Reach::Organization => {
                let section = if block { Section::Block } else { Section::OnOrganization };
                return Some((section, WHOLE, None));
            }
            Reach::Type(kind) => (if block { Section::Block } else { Section::OnType }, kind, None),
            Reach::Resource(ResourceRef { kind, id }) => {
                let section = if block { Section::BlockOnResource } else { Section::OnResource };
                (section, kind, Some(Box::from(&**id)))
            }
        };
        match kind_of(kind) {
            Some(kind) => Some((section, kind.0, resource)),
            None => {
                self.faults.push(format!(
                    "{what}: type of resource {kind} is not in the catalogue, the row reaches nothing"
                ));
                None
            }
        }
    }

    pub(super) fn holding<'h>(
        &mut self,
        subject: Subject,
        teams: &Teams,
        by_principal: &'h mut HashMap<PrincipalId, Holding>,
        by_team: &'h mut [Holding],
        what: &dyn fmt::Display,
    ) -> Option<&'h mut Holding> {
        match subject {
            Subject::Principal(principal) => Some(by_principal.entry(principal).or_default()),
            Subject::Team(team) => match teams.numbers.get(&team).and_then(|at| by_team.get_mut(*at)) {
                Some(holding) => Some(holding),
                None => {
                    self.faults.push(format!("{what}: team {team} does not exist, the row reaches nobody"));
                    None
                }
            },
        }
    }
}

pub(super) fn span(window: Window) -> (Timestamp, Timestamp) {
    (window.from().unwrap_or(Timestamp(i64::MIN)), window.to().unwrap_or(Timestamp(i64::MAX)))
}
