//! Rows asked in turn: which are live, which conditions hold, which of a level wins, and until when all that stays so.

use super::scene::Scene;
use crate::check::Assume;
use crate::condition::Outcome;
use crate::index::KindIndex;
use crate::set::PermissionIndex;
use crate::shard::{ALWAYS, Rare, Row, WHOLE};
use charter_kernel::{GrantId, Timestamp};

/// One walk over the rows.
pub(super) struct Walk<'a> {
    pub(super) scene: Option<Scene<'a>>,
    pub(super) rare: Option<&'a Rare>,
    pub(super) permission: PermissionIndex,
    pub(super) now: Timestamp,
    pub(super) assume: Assume,
    pub(super) until: Timestamp,
    pub(super) fell_away: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn touches(&self, row: &Row) -> bool {
        self.rare
            .and_then(|rare| rare.sets.get(row.set as usize))
            .is_some_and(|set| set.contains(self.permission))
    }

    pub(super) fn outcome(&mut self, condition: u32) -> Outcome {
        if condition == ALWAYS {
            return Outcome::True;
        }
        let Some((scene, condition)) = self
            .scene
            .as_ref()
            .and_then(|scene| Some((scene, scene.rare.conditions.get(condition as usize)?)))
        else {
            return Outcome::Unknown;
        };
        if let Some(next) = condition.next_change(self.now) {
            self.until = self.until.min(next);
        }
        condition.evaluate(scene)
    }

    /// Whether an allowing row's conditions hold.
    pub(super) fn holds(&mut self, row: &Row) -> bool {
        match self.assume {
            _ if !row.is_conditional() => true,
            Assume::Best => true,
            Assume::Worst => false,
            Assume::Nothing => {
                let [first, second] = row.conditions;
                self.outcome(first) == Outcome::True && self.outcome(second) == Outcome::True
            }
        }
    }

    /// Whether a denying row applies: conditions that hold, or that cannot be evaluated.
    pub(super) fn applies(&mut self, row: &Row) -> bool {
        match self.assume {
            _ if !row.is_conditional() => true,
            Assume::Best => false,
            Assume::Worst => true,
            Assume::Nothing => {
                let [first, second] = row.conditions;
                self.outcome(first) != Outcome::False && self.outcome(second) != Outcome::False
            }
        }
    }

    pub(super) fn is_live(&mut self, row: &Row) -> bool {
        self.until = self.until.min(row.next_change(self.now));
        row.is_live(self.now)
    }

    /// The block with the lowest id among rows that apply.
    pub(super) fn blocked(&mut self, rows: &[Row], kind: Option<KindIndex>, found: &mut Option<u128>) {
        for row in rows {
            let covers = row.kind == WHOLE || kind.is_some_and(|kind| kind.0 == row.kind);
            if covers
                && self.touches(row)
                && self.is_live(row)
                && found.is_none_or(|id| row.id < id)
                && self.applies(row)
            {
                *found = Some(row.id);
            }
        }
    }

    /// One level of grants: a deny, else an allow, else silence.
    pub(super) fn level(&mut self, rows: &[Row], kind: u16) -> Option<(bool, GrantId)> {
        let (mut allow, mut deny) = (None, None);
        for row in rows {
            if row.kind != kind || !self.touches(row) || !self.is_live(row) {
                continue;
            }
            if row.deny {
                if deny.is_none() && self.applies(row) {
                    deny = Some(row.id);
                }
            } else if allow.is_none() && deny.is_none() {
                if self.holds(row) {
                    allow = Some(row.id);
                } else {
                    self.fell_away = true;
                }
            }
        }
        match (deny, allow) {
            (Some(id), _) => Some((false, GrantId(id))),
            (None, Some(id)) => Some((true, GrantId(id))),
            (None, None) => None,
        }
    }
}
