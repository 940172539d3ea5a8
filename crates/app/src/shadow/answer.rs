//! Whose answer is given, and that both are compared.

use super::ShadowMode;
use super::batch::Patience;
use super::rule::{Answering, LegacyAnswer, LegacyQuestion};
use super::tally::Compared;
use crate::App;
use crate::caller::RequestContext;
use crate::check::{Question, resolve};
use crate::snapshot::{ModeSince, Snapshot};
use charter_db::BoxFuture;
use charter_kernel::{DecidedBy, Decision, OrganizationId, PrincipalId, Problem, Reason, Timestamp};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Whose answer one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The other system's.
    Legacy,
    /// Ours.
    Charter,
}

impl Side {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Charter => "charter",
        }
    }
}

/// Both answers to one question, for an explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct Beside {
    /// The mode of the organization.
    pub mode: ShadowMode,
    /// What the other system says; nothing where it is not asked, because something here stops it whatever it says.
    pub theirs: Option<LegacyAnswer>,
    /// What is given.
    pub given: Decision,
}

/// Whether our answer is one about roles and what was given to people, which is what the other system has an answer to as well. Everything else
/// is a stop of ours: it holds in every mode, and there is nothing to compare.
fn is_about_roles(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::GrantedByRole
            | Reason::GrantedToSubject
            | Reason::GrantedOnType
            | Reason::GrantedOnResource
            | Reason::NoGrant
            | Reason::LevelTooLow
            | Reason::ConditionNotMet
    )
}

/// The decision that follows the other system's answer. It may say otherwise the next moment, so nobody may keep it.
fn followed(theirs: &LegacyAnswer, ours: &Decision, now: Timestamp) -> Decision {
    Decision {
        reason: theirs.reason(),
        decided_by: DecidedBy::Nothing,
        revision: ours.revision,
        valid_until: Some(now),
        in_grace: ours.in_grace && theirs.allows() == Some(true),
    }
}

/// Questions that wait to be compared at most; more than that are counted as unknown.
const WAITING_MAX: usize = 1_000;

/// A question that was answered by us and is still to be asked there.
struct Comparison {
    asked: LegacyQuestion,
    ours: Decision,
    mode: ModeSince,
    at: Timestamp,
    answering: BoxFuture<'static, LegacyAnswer>,
}

/// Comparisons that nobody waits for.
#[derive(Default)]
pub(super) struct Waiting {
    queue: Mutex<VecDeque<Comparison>>,
    more: Notify,
}

impl Waiting {
    /// Takes a comparison up, or gives the question back when too many wait.
    fn put(&self, comparison: Comparison) -> Option<LegacyQuestion> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= WAITING_MAX {
            return Some(comparison.asked);
        }
        queue.push_back(comparison);
        drop(queue);
        self.more.notify_one();
        None
    }

    fn take(&self) -> Option<Comparison> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl Snapshot {
    /// Whose answer a decision is, where the organization is answered beside the rule of another system.
    pub fn answered_by(&self, decision: &Decision) -> Option<Side> {
        let mode = self.mode().known().map_or(ShadowMode::Off, |known| known.mode);
        (mode != ShadowMode::Off)
            .then(|| if decision.reason.is_legacy() { Side::Legacy } else { Side::Charter })
    }
}

/// An answer, if it comes while there is time.
async fn in_time(answering: BoxFuture<'static, LegacyAnswer>, patience: Option<Patience>) -> LegacyAnswer {
    let Some(patience) = patience else { return answering.await };
    tokio::select! {
        biased;
        () = patience.ended() => LegacyAnswer::Unavailable("there was no time left to ask it".to_owned()),
        answer = answering => answer,
    }
}

impl App {
    fn ask_legacy(&self, question: &LegacyQuestion) -> Answering {
        match &*self.shadow().rule.load() {
            Some(rule) => rule.ask(question),
            None => {
                let why = "this service is not told how to ask: set shadow_from or shadow_endpoint";
                Answering::Now(LegacyAnswer::Unavailable(why.to_owned()))
            }
        }
    }

    /// The question as the other system is asked it; nothing where our answer is none about roles.
    fn legacy_question(
        organization: OrganizationId,
        snapshot: &Snapshot,
        question: &Question<'_>,
        subject: Option<PrincipalId>,
        ours: &Decision,
        at: Timestamp,
    ) -> Option<LegacyQuestion> {
        if !is_about_roles(ours.reason) {
            return None;
        }
        let (permission, _) = resolve(snapshot.index(), question).ok()?;
        let permission = snapshot.index().code(permission)?.clone();
        let known = snapshot.index().catalogue().permissions.iter().find(|it| it.code == permission);
        let description = known.map(|it| it.description.clone()).unwrap_or_default();
        Some(LegacyQuestion { organization, principal: subject?, permission, description, at })
    }

    /// Our answer, once it is certain that no other organization registered the resource: our own rules look only where they allow, and the
    /// other system may allow where they do not.
    async fn unless_elsewhere(
        &self,
        organization: OrganizationId,
        snapshot: &Snapshot,
        question: &Question<'_>,
        ours: Decision,
    ) -> Result<Decision, Problem> {
        let Some((kind, id)) = question.resource.filter(|_| is_about_roles(ours.reason) && !ours.is_allow())
        else {
            return Ok(ours);
        };
        if snapshot.shard().is_registered(kind, id)
            || !self.registered_elsewhere(organization, snapshot.index(), kind, id).await?
        {
            return Ok(ours);
        }
        let reason = Reason::CrossOrganization;
        Ok(Decision { reason, decided_by: DecidedBy::Nothing, valid_until: None, in_grace: false, ..ours })
    }

    /// The answer of an organization that may have a mode. One that has to be fetched and is given is waited for as long as the rule takes,
    /// and no longer than a batch has time.
    #[expect(
        clippy::too_many_arguments,
        reason = "a question, its subject, our answer, and how long there is"
    )]
    pub(crate) async fn answer_beside(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        snapshot: &Snapshot,
        question: &Question<'_>,
        subject: Option<PrincipalId>,
        ours: Decision,
        patience: Option<Patience>,
    ) -> Result<Decision, Problem> {
        let mode = snapshot.mode().read(self.database(), organization).await?;
        if mode.mode == ShadowMode::Off {
            return Ok(ours);
        }
        if mode.mode == ShadowMode::CutOver {
            self.shadow().serving.watch(organization, mode.since);
        }
        let ours = self.unless_elsewhere(organization, snapshot, question, ours).await?;
        let Some(asked) = Self::legacy_question(organization, snapshot, question, subject, &ours, ctx.now)
        else {
            return Ok(ours);
        };
        let at = ctx.now;
        let compared = |theirs| Compared { asked: &asked, ours: &ours, theirs, since: mode.since, at };
        match (self.ask_legacy(&asked), mode.mode) {
            (Answering::Now(theirs), ShadowMode::Shadow) => {
                self.shadow().take(compared(&theirs));
                Ok(followed(&theirs, &ours, at))
            }
            (Answering::Later(answering), ShadowMode::Shadow) => {
                let theirs = in_time(answering, patience).await;
                self.shadow().take(compared(&theirs));
                Ok(followed(&theirs, &ours, at))
            }
            (Answering::Now(theirs), _) => {
                self.shadow().take(compared(&theirs));
                Ok(ours)
            }
            (Answering::Later(answering), _) => {
                if let Some(asked) =
                    self.shadow().waiting.put(Comparison { asked, ours, mode, at, answering })
                {
                    let theirs = LegacyAnswer::Unavailable("too many questions wait for it".to_owned());
                    let compared =
                        Compared { asked: &asked, ours: &ours, theirs: &theirs, since: mode.since, at };
                    self.shadow().take(compared);
                }
                Ok(ours)
            }
        }
    }
}

/// Compares what waits, one after the other, and returns when nothing does.
pub async fn compare_waiting(app: &App) {
    while let Some(Comparison { asked, ours, mode, at, answering }) = app.shadow().waiting.take() {
        let theirs = answering.await;
        app.shadow().take(Compared { asked: &asked, ours: &ours, theirs: &theirs, since: mode.since, at });
    }
}

impl App {
    /// Returns when something waits to be compared.
    pub async fn comparison_waits(&self) {
        self.shadow().waiting.more.notified().await;
    }
}

/// Both answers to a question that was answered by us already, for an explanation: nothing is counted. None where the organization has no mode.
pub async fn beside(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    question: &Question<'_>,
    ours: Decision,
) -> Result<Option<Beside>, Problem> {
    let snapshot = app.snapshots().snapshot(organization, ctx.now).await?;
    let ModeSince { mode, .. } = snapshot.mode().read(app.database(), organization).await?;
    if mode == ShadowMode::Off {
        return Ok(None);
    }
    let subject = app.subject_of(organization, &snapshot, question.subject).await?;
    let ours = app.unless_elsewhere(organization, &snapshot, question, ours).await?;
    let theirs = match App::legacy_question(organization, &snapshot, question, subject, &ours, ctx.now) {
        None => None,
        Some(asked) => Some(match app.ask_legacy(&asked) {
            Answering::Now(theirs) => theirs,
            Answering::Later(answering) => in_time(answering, Some(Patience::begin())).await,
        }),
    };
    let given = match &theirs {
        Some(theirs) if mode == ShadowMode::Shadow => followed(theirs, &ours, ctx.now),
        _ => ours,
    };
    Ok(Some(Beside { mode, theirs, given }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stops_somebody_whatever_roles_they_hold_is_never_asked_there() {
        let asked: Vec<&str> =
            Reason::ALL.iter().filter(|it| is_about_roles(**it)).map(|it| it.as_str()).collect();
        assert_eq!(
            asked,
            [
                "level_too_low",
                "condition_not_met",
                "no_grant",
                "granted_on_resource",
                "granted_on_type",
                "granted_to_subject",
                "granted_by_role",
            ]
        );
    }
}
