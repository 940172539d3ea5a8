//! Many questions at once. Where the other system's answer is the one that is given and has to be fetched, some are asked for at a time,
//! and all of them together have so long; what did not come by then is no answer, and so a no. Where ours is given nobody waits.

use super::ShadowMode;
use crate::App;
use crate::caller::RequestContext;
use crate::check::Question;
use crate::snapshot::Snapshot;
use charter_db::BoxFuture;
use charter_kernel::{Decision, OrganizationId, PrincipalId, Problem};
use futures_util::future::{FutureExt, Shared};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::time::Duration;

/// Questions of one call that are under way to the other system at once.
pub const AT_ONCE: usize = 8;
/// For how long one call waits for the other system, all in all.
const ALL_IN_ALL: Duration = Duration::from_secs(5);

/// What is left of the time that one call waits for the other system.
#[derive(Clone)]
pub struct Patience(Shared<BoxFuture<'static, ()>>);

impl Patience {
    /// Begins to wait.
    pub fn begin() -> Self {
        Self((Box::pin(tokio::time::sleep(ALL_IN_ALL)) as BoxFuture<'static, ()>).shared())
    }

    /// Returns when there is none left.
    pub(super) async fn ended(self) {
        self.0.await;
    }
}

/// An answer, with the place of its question.
type Placed = (usize, Result<Decision, Problem>);

impl App {
    /// Whether answers of an organization have to be asked for elsewhere.
    pub async fn asks_elsewhere(
        &self,
        organization: OrganizationId,
        snapshot: &Snapshot,
    ) -> Result<bool, Problem> {
        Ok(snapshot.mode().read(self.database(), organization).await?.mode == ShadowMode::Shadow)
    }

    /// Decides questions whose subjects were looked up already; the answers are in the order of the questions.
    pub async fn decide_all(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        snapshot: &Snapshot,
        questions: &[(Question<'_>, Option<PrincipalId>)],
        patience: &Patience,
    ) -> Result<Vec<Decision>, Problem> {
        if !self.asks_elsewhere(organization, snapshot).await? {
            let mut answers = Vec::with_capacity(questions.len());
            for (question, subject) in questions {
                answers.push(self.decide_about(ctx, organization, snapshot, question, *subject).await?);
            }
            return Ok(answers);
        }
        let mut answers: Vec<Option<Decision>> = vec![None; questions.len()];
        let mut put = |(place, answer): Placed| -> Result<(), Problem> {
            let answer = answer?;
            if let Some(slot) = answers.get_mut(place) {
                *slot = Some(answer);
            }
            Ok(())
        };
        let mut under_way: FuturesUnordered<BoxFuture<'_, Placed>> = FuturesUnordered::new();
        for (place, (question, subject)) in questions.iter().enumerate() {
            if under_way.len() >= AT_ONCE
                && let Some(answered) = under_way.next().await
            {
                put(answered)?;
            }
            under_way.push(Box::pin(async move {
                let asked = self.decide_within(ctx, organization, snapshot, question, *subject, patience);
                (place, asked.await)
            }));
        }
        while let Some(answered) = under_way.next().await {
            put(answered)?;
        }
        drop(under_way);
        Ok(answers.into_iter().flatten().collect())
    }

    /// Decides one question of many.
    async fn decide_within(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        snapshot: &Snapshot,
        question: &Question<'_>,
        subject: Option<PrincipalId>,
        patience: &Patience,
    ) -> Result<Decision, Problem> {
        let ours = self.decide_ours(ctx, organization, snapshot, question, subject).await?;
        let patience = Some(patience.clone());
        Box::pin(self.answer_beside(ctx, organization, snapshot, question, subject, ours, patience)).await
    }
}
