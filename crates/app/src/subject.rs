//! Subjects as people name them: a member by login or id, a team by key.

use crate::{member, team};
use charter_kernel::facts::{BlockSubject, OrganizationFacts, Subject};
use charter_kernel::{Problem, Timestamp, Window};

/// A subject by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectRef {
    /// A member by login or id.
    Member(String),
    /// A team by key.
    Team(String),
}

/// The subject a name means in an organization.
pub fn resolve(facts: &OrganizationFacts, subject: &SubjectRef) -> Result<Subject, Problem> {
    let found = match subject {
        SubjectRef::Member(who) => {
            member::find(facts, who).map(|member| Subject::Principal(member.principal))
        }
        SubjectRef::Team(key) => team::find(facts, key).map(|team| Subject::Team(team.id)),
    };
    found.map_err(|problem| Problem::invalid("subject", problem.detail))
}

/// Refuses a window that is over before it is written.
pub fn not_over(window: Window, now: Timestamp) -> Result<(), Problem> {
    if window.is_over(now) {
        return Err(Problem::invalid("to", format!("the window is over already: it is {now} now")));
    }
    Ok(())
}

/// A subject as people read it: `ann@toys.example`, `team:payables`.
pub fn shown(facts: &OrganizationFacts, subject: Subject) -> String {
    match subject {
        Subject::Principal(id) => facts
            .members
            .iter()
            .find(|member| member.principal == id)
            .map_or_else(|| id.to_string(), |member| member.login.clone()),
        Subject::Team(id) => facts
            .teams
            .iter()
            .find(|team| team.id == id)
            .map_or_else(|| format!("team:{id}"), |team| format!("team:{}", team.key)),
    }
}

/// A block's subject as people read it.
pub fn shown_block(facts: &OrganizationFacts, subject: &BlockSubject) -> String {
    match subject {
        BlockSubject::Principal(id) => shown(facts, Subject::Principal(*id)),
        BlockSubject::Team(id) => shown(facts, Subject::Team(*id)),
        BlockSubject::Role(key) => format!("role:{key}"),
        BlockSubject::Everyone => "everyone".to_owned(),
    }
}
