//! The step of blocks: the first that stops the subject, by id.

use super::walk::{Answer, Walk, span};
use charter_kernel::facts::{BlockFact, BlockSubject};
use charter_kernel::{DecidedBy, PermissionCode, Reason};

impl<'a> Walk<'a> {
    pub(super) fn blocked(&mut self, code: &PermissionCode) -> Option<Answer> {
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
}
