//! Facts to shard: conditions, roles and teams first, then rows, then one place in the member table for each member.

use super::overlay::{Overlay, Row};
use super::resources::{Attributes, registered};
use super::roles::{Roles, role_set};
use super::rows::{Builder, Holding};
use super::slot::{FREE, NONE, PROGRAM, SET, SPECIAL, Slot, place};
use super::teams::Teams;
use super::{Rare, Shard, TeamList};
use crate::check::Assertable;
use crate::condition::Reads;
use crate::entitle;
use crate::index::Index;
use crate::interner::{Interner, RoleSet};
use charter_kernel::facts::{ConditionFact, MemberFact, OrganizationFacts, PrincipalKind, PrincipalStatus};
use charter_kernel::{PrincipalId, Window};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Why an organization cannot be compiled at all. Single bad rows never cause it: they are listed in [`Shard::faults`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError(String);

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CompileError {}

impl Shard {
    /// Compiles the facts of one organization. A bad row never stops it: one that would allow is dropped, one that would
    /// deny applies to all it could match, and each is listed in [`Shard::faults`].
    pub fn compile(
        index: &Arc<Index>,
        facts: &OrganizationFacts,
        interner: &Interner,
    ) -> Result<Self, CompileError> {
        let organization = &facts.organization;
        if facts.members.len() > (SET as usize) {
            return Err(CompileError(format!(
                "organization {} has more members than can be numbered",
                organization.key
            )));
        }
        let mut build = Builder {
            index,
            faults: Vec::new(),
            sets: Vec::new(),
            set_numbers: HashMap::new(),
            rows: Vec::new(),
            row_numbers: HashMap::new(),
            condition_numbers: HashMap::new(),
            conditions: Vec::new(),
        };
        let mut reads = Reads::default();
        let mut conditions: Vec<&ConditionFact> = facts.conditions.iter().collect();
        conditions.sort_by(|a, b| a.key.cmp(&b.key));
        for fact in conditions {
            let compiled = interner.condition(&fact.condition);
            let at = match (compiled, build.condition_numbers.get(&fact.key)) {
                (Ok(condition), None) => {
                    reads = reads.and(condition.reads());
                    build.conditions.push(condition);
                    (build.conditions.len() - 1) as u32
                }
                (Ok(condition), Some(at)) => {
                    // The same row again is the same condition; another one under its key is a doubt.
                    let same =
                        build.conditions.get(*at as usize).is_some_and(|held| Arc::ptr_eq(held, &condition));
                    if same {
                        continue;
                    }
                    build.faults.push(format!(
                        "condition {}: stands twice with different texts, it counts as failing",
                        fact.key
                    ));
                    build.broken()
                }
                (Err(wrong), _) => {
                    build.faults.push(format!("condition {}: {wrong}; it counts as failing", fact.key));
                    build.broken()
                }
            };
            build.condition_numbers.insert(&fact.key, at);
        }
        let roles = Roles::new(index, facts, &mut build.faults);
        let teams =
            if facts.teams.is_empty() { Teams::default() } else { Teams::new(facts, &mut build.faults) };
        let mut by_principal: HashMap<PrincipalId, Holding> = HashMap::with_capacity(facts.assignments.len());
        let mut by_team: Vec<Holding> = vec![Holding::default(); teams.keys.len()];
        let mut everyone: Vec<Row> = Vec::new();
        build.assignments(facts, &roles, &teams, &mut by_principal, &mut by_team);
        build.grants(facts, &teams, &mut by_principal, &mut by_team);
        build.blocks(facts, &teams, &mut by_principal, &mut by_team, &mut everyone);

        let mut sets: Vec<Arc<RoleSet>> = Vec::new();
        let mut set_numbers: HashMap<Vec<u16>, u32> = HashMap::new();
        let mut overlays: Vec<Vec<u32>> = Vec::new();
        let mut overlay_numbers: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut extras: Vec<(PrincipalId, PrincipalStatus, Window)> = Vec::new();
        let mut team_lists: Vec<(PrincipalId, TeamList)> = Vec::new();
        let mut attributes: Vec<(PrincipalId, Attributes)> = Vec::new();
        let mut members: Vec<&MemberFact> = facts.members.iter().collect();
        members.sort_by_key(|member| member.principal);
        let count = members.chunk_by(|a, b| a.principal == b.principal).count();
        let size = if count == 0 { 1 } else { (count * 5).div_ceil(4).next_power_of_two() };
        let mut slots = vec![FREE; size];
        for same in members.chunk_by(|a, b| a.principal == b.principal) {
            let Some(member) = same.first() else { continue };
            let principal = member.principal;
            let nothing = Holding::default();
            let own = by_principal.get(&principal).unwrap_or(&nothing);
            let direct = teams.direct_of(principal);
            let joined;
            let held = if direct.is_empty() {
                own
            } else {
                let (gives, is) = teams.of(principal);
                let mut all = own.clone();
                for team in gives.iter().filter_map(|at| by_team.get(*at)) {
                    all.roles.extend(&team.roles);
                    all.allows.extend(&team.allows);
                }
                for team in is.iter().filter_map(|at| by_team.get(*at)) {
                    all.denies.extend(&team.denies);
                }
                if reads.teams {
                    let list = is
                        .iter()
                        .filter_map(|at| Some((teams.keys.get(*at)?.clone(), gives.contains(at))))
                        .collect();
                    team_lists.push((principal, list));
                }
                joined = all;
                &joined
            };
            let mut held_roles = held.roles.clone();
            held_roles.sort_unstable();
            held_roles.dedup();
            let mut rows: Vec<u32> = held.allows.iter().chain(&held.denies).copied().collect();
            rows.sort_unstable();
            rows.dedup();
            let set = match set_numbers.get(&held_roles) {
                Some(at) => *at,
                None => {
                    let at = sets.len() as u32;
                    sets.push(interner.role_set(role_set(&roles, &held_roles)));
                    set_numbers.insert(held_roles, at);
                    at
                }
            };
            let overlay = if rows.is_empty() {
                NONE
            } else if let Some(at) = overlay_numbers.get(&rows) {
                *at
            } else {
                let at = overlays.len() as u32;
                overlays.push(rows.clone());
                overlay_numbers.insert(rows, at);
                at
            };
            let mut flags = 0;
            if member.kind == PrincipalKind::ServiceAccount {
                flags |= PROGRAM;
            }
            let (status, window) = merged(same);
            if status != PrincipalStatus::Active || !window.is_some_and(|window| window.is_always()) {
                flags |= SPECIAL;
                let status = if window.is_none() { PrincipalStatus::Deactivated } else { status };
                extras.push((principal, status, window.unwrap_or(Window::ALWAYS)));
            }
            if reads.subject {
                let mut found: Vec<Attributes> =
                    same.iter().map(|row| Attributes::read(&row.attributes)).collect();
                found.dedup();
                let only = if found.len() == 1 { found.pop() } else { None };
                let stored = only.unwrap_or(Attributes::Unreadable);
                if !matches!(&stored, Attributes::Map(map) if map.is_empty()) {
                    attributes.push((principal, stored));
                }
            }
            let (high, low) = ((principal.0 >> 64) as u64, principal.0 as u64);
            let mut at = place(high, low, size - 1);
            while slots.get(at).is_some_and(|slot| slot.set != NONE) {
                at = (at + 1) & (size - 1);
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = Slot { high, low, set: set | flags, overlay };
            }
        }
        let timeline = entitle::compile(
            index,
            organization.kind,
            organization.enabled_modules.as_deref(),
            &facts.entitlements,
            &mut build.faults,
        );
        let (assertable, unknown) = Assertable::new(&organization.assertable);
        for pattern in unknown {
            build
                .faults
                .push(format!("assertable {pattern}: write subject.name, resource.name or resource.*"));
        }
        let mut previews: Vec<(PrincipalId, u16)> = facts
            .previews
            .iter()
            .filter_map(|preview| Some((preview.principal, index.module_number(preview.module.as_str())?)))
            .collect();
        previews.sort_unstable();
        previews.dedup();
        let resources = registered(index, facts, reads, &mut build.faults);
        let overlays: Vec<Overlay> = overlays
            .into_iter()
            .map(|rows| {
                let rows = rows.iter().filter_map(|at| build.rows.get(*at as usize).cloned()).collect();
                Overlay::new(rows, &build.sets)
            })
            .collect();
        let everyone = (!everyone.is_empty()).then(|| Overlay::new(everyone, &build.sets));
        build.faults.sort();
        build.faults.dedup();
        let has_rare = everyone.is_some()
            || !(overlays.is_empty()
                && extras.is_empty()
                && previews.is_empty()
                && resources.is_empty()
                && build.faults.is_empty());
        let rare = has_rare.then(|| {
            Box::new(Rare {
                overlays: overlays.into(),
                everyone,
                sets: build.sets.into(),
                conditions: build.conditions.into(),
                extras: extras.into(),
                previews: previews.into(),
                attributes: attributes.into(),
                resources: resources.into(),
                team_keys: if reads.teams { teams.keys.into() } else { Box::default() },
                teams: team_lists.into(),
                assertable,
                faults: build.faults.into(),
            })
        });
        Ok(Self {
            index: Arc::clone(index),
            organization: organization.id,
            revision: organization.revision,
            status: organization.status,
            kind: organization.kind,
            member_count: count as u32,
            slots: slots.into(),
            sets: sets.into(),
            timeline: interner.timeline(timeline),
            rare,
        })
    }
}

/// Rows of one member folded: the worst status, and the time in which all are in force, if there is any.
fn merged(rows: &[&MemberFact]) -> (PrincipalStatus, Option<Window>) {
    let status = |row: &&MemberFact| row.standing();
    let worst = if rows.iter().all(|row| status(row) == PrincipalStatus::Active) {
        PrincipalStatus::Active
    } else if rows.iter().any(|row| status(row) == PrincipalStatus::Deactivated) {
        PrincipalStatus::Deactivated
    } else {
        PrincipalStatus::Suspended
    };
    let from = rows.iter().filter_map(|row| row.window.from()).max();
    let to = rows.iter().filter_map(|row| row.window.to()).min();
    (worst, Window::new(from, to).ok())
}
