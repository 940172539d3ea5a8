//! The steps of grants: on the one resource, on its type, for the subject; within a level a deny beats an allow.

use super::walk::{Walk, span};
use crate::check::CheckResource;
use charter_kernel::facts::GrantFact;
use charter_kernel::{DecidedBy, Effect, Key, PermissionCode, Reach, Reason, ResourceRef, Subject};

/// The three levels of grants.
#[derive(Clone, Copy)]
pub(super) enum Level {
    Resource,
    Type,
    Organization,
}

impl<'a> Walk<'a> {
    pub(super) fn same_kind(&self, kind: &Key, resource: &CheckResource<'_>) -> bool {
        let asked = self.index.kind(resource.kind);
        asked.is_some() && asked == self.index.kind(kind.as_str())
    }

    pub(super) fn covers(&self, reach: &Reach) -> bool {
        match (reach, &self.check.resource) {
            (Reach::Organization, _) => true,
            (Reach::Type(_) | Reach::Resource(_), None) => false,
            (Reach::Type(kind), Some(resource)) => self.same_kind(kind, resource),
            (Reach::Resource(ResourceRef { kind, id }), Some(resource)) => {
                self.same_kind(kind, resource) && **id == *resource.id
            }
        }
    }

    pub(super) fn granted(&mut self, code: &PermissionCode, level: Level) -> Option<(Reason, DecidedBy)> {
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
            let words = match grant.window.is_always() {
                true => words,
                false => format!("{words}; in force {}", span(grant.window)),
            };
            let row = Some(format!("grant {}", grant.id));
            if !self.live(grant.window) {
                self.note("grant", row, format!("{words}, which is not now"));
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
                let Some(key) = grant.condition.clone() else { continue };
                self.note(
                    "grant",
                    row,
                    format!("{words}; but condition {key} does not hold: {}", self.why_not(&key)),
                );
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
}
