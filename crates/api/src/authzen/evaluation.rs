//! `evaluation` and `evaluations`: one question, or up to a few thousand answered from one snapshot at one instant.

use super::asking::Asking;
use super::wire::{
    Action, Entity, Evaluation, Evaluations, FaultyEvaluations, Options, bad, parse, read, read_whole,
};
use super::{Arrived, Raw, answer};
use crate::edge::Answer;
use axum::response::Response;
use charter_app::check::Question;
use charter_app::shadow::{AT_ONCE, Patience};
use charter_kernel::{DecidedBy, Decision, PrincipalId, Problem, Reason};
use serde_json::value::RawValue;

/// Items of one batch at most.
const ITEMS_MAX: usize = 5_000;

/// When a batch stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Semantic {
    All,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn of(options: Option<&Options<'_>>) -> Result<Self, Problem> {
        match options.and_then(|options| options.evaluations_semantic.as_deref()) {
            None | Some("execute_all") => Ok(Self::All),
            Some("deny_on_first_deny") => Ok(Self::DenyOnFirstDeny),
            Some("permit_on_first_permit") => Ok(Self::PermitOnFirstPermit),
            Some(_) => Err(bad(
                "options.evaluations_semantic has to be execute_all, deny_on_first_deny or permit_on_first_permit",
            )),
        }
    }

    fn stops(self, allow: bool) -> bool {
        match self {
            Self::All => false,
            Self::DenyOnFirstDeny => !allow,
            Self::PermitOnFirstPermit => allow,
        }
    }
}

/// The subject asked about last: the questions of a batch are mostly about one.
type LastSubject<'a> = Option<(&'a str, Option<PrincipalId>)>;

impl Arrived {
    /// Whom a question is about.
    async fn subject<'a>(
        &self,
        asking: &Asking<'a>,
        last: &mut LastSubject<'a>,
    ) -> Result<Option<PrincipalId>, Problem> {
        match *last {
            Some((text, subject)) if text == asking.subject_id() => Ok(subject),
            _ => {
                let id = asking.subject_id();
                let subject = self.app.subject_of(self.organization, &self.snapshot, id).await?;
                *last = Some((id, subject));
                Ok(subject)
            }
        }
    }

    /// The answer where nobody of that type can be known.
    fn unknown_subject(&self) -> Decision {
        Decision {
            reason: Reason::UnknownSubject,
            decided_by: DecidedBy::Nothing,
            revision: self.snapshot.shard().revision(),
            valid_until: None,
            in_grace: false,
        }
    }

    fn note(&self, question: &Question<'_>, subject: Option<PrincipalId>, decision: &Decision) {
        if let Some(subject) = subject {
            self.app.note_denial_of(&self.ctx, self.organization, subject, question, decision);
        }
    }

    async fn decide<'a>(&self, asking: &Asking<'a>, last: &mut LastSubject<'a>) -> Result<Decision, Problem> {
        let (ctx, organization, snapshot) = (&self.ctx, self.organization, &*self.snapshot);
        let question = asking.question();
        let subject = self.subject(asking, last).await?;
        let decision = if asking.knows_subject_type() {
            self.app.decide_about(ctx, organization, snapshot, &question, subject).await?
        } else {
            self.unknown_subject()
        };
        self.note(&question, subject, &decision);
        Ok(decision)
    }

    /// Answers of a system that is asked for them, some at a time, to the items from a position on; where a batch stops at an answer, not many
    /// more are asked for.
    async fn decide_elsewhere<'a>(
        &self,
        askings: &[Result<Asking<'a>, Problem>],
        last: &mut LastSubject<'a>,
        patience: &Patience,
    ) -> Result<Vec<Decision>, Problem> {
        let mut questions = Vec::with_capacity(askings.len());
        for asking in askings.iter().flatten().filter(|asking| asking.knows_subject_type()) {
            questions.push((asking.question(), self.subject(asking, last).await?));
        }
        let (ctx, organization) = (&self.ctx, self.organization);
        self.app.decide_all(ctx, organization, &self.snapshot, &questions, patience).await
    }

    /// Writes the answers to a batch that another system is asked about.
    async fn many_elsewhere(&self, batch: &Batch<'_>, body: &mut String) -> Result<(), Problem> {
        let (patience, mut last) = (Patience::begin(), None);
        let window = if batch.semantic == Semantic::All { batch.items.len() } else { AT_ONCE };
        for (number, items) in batch.items.chunks(window.max(1)).enumerate() {
            let first = number * window;
            let asking = |(place, item)| batch.asking(first + place, item);
            let askings: Vec<Result<Asking<'_>, Problem>> = items.iter().enumerate().map(asking).collect();
            let mut decisions = self.decide_elsewhere(&askings, &mut last, &patience).await?.into_iter();
            for (place, asking) in askings.iter().enumerate() {
                if first + place > 0 {
                    body.push(',');
                }
                let allow = match asking {
                    Ok(asking) => {
                        let known = asking.knows_subject_type().then(|| decisions.next()).flatten();
                        let decision = known.unwrap_or_else(|| self.unknown_subject());
                        let subject = self.subject(asking, &mut last).await?;
                        self.note(&asking.question(), subject, &decision);
                        answer::decision(body, &decision, self.snapshot.answered_by(&decision));
                        decision.is_allow()
                    }
                    Err(problem) => {
                        answer::fault(body, problem);
                        false
                    }
                };
                if batch.semantic.stops(allow) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn served(&self, checks: usize, problem: Option<&Problem>) {
        self.app.note_served(&self.ctx, self.organization, checks as u64, problem);
    }

    async fn single(&self, asking: &Asking<'_>) -> Result<Response, Problem> {
        let mut body = String::with_capacity(answer::DECISION_BYTES);
        let decision = self.decide(asking, &mut None).await;
        self.served(1, decision.as_ref().err());
        let decision = decision?;
        answer::decision(&mut body, &decision, self.snapshot.answered_by(&decision));
        Ok(Answer::json(body).into())
    }
}

/// `POST /access/v1/evaluation`.
pub async fn one(call: Raw) -> Result<Response, Problem> {
    let arrived = Arrived::of(call).await?;
    let body: Evaluation<'_> = read(&arrived.body)?;
    let asking =
        Asking::whole(body.subject.as_ref(), body.action.as_ref(), body.resource.as_ref(), body.context)?;
    arrived.single(&asking).await
}

/// What a batch says for all of its items, and the items. One that could not be read has the fault in its place.
struct Batch<'a> {
    subject: Option<Entity<'a>>,
    action: Option<Action<'a>>,
    resource: Option<Entity<'a>>,
    context: Option<&'a RawValue>,
    items: Vec<Evaluation<'a>>,
    faults: Vec<(usize, Problem)>,
    semantic: Semantic,
}

impl<'a> Batch<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Problem> {
        let body: Evaluations<'a> = match read_whole(bytes)? {
            Ok(body) => body,
            Err(text) => return Self::faulty(text),
        };
        let Evaluations { subject, action, resource, context, items, options, .. } = body;
        let semantic = Semantic::of(options.as_ref())?;
        let items = items.unwrap_or_default();
        Ok(Self { subject, action, resource, context, items, faults: Vec::new(), semantic })
    }

    /// Reads item by item, so that a fault in one is that item's alone.
    fn faulty(text: &'a str) -> Result<Self, Problem> {
        let body: FaultyEvaluations<'a> = parse(text)?;
        let FaultyEvaluations { subject, action, resource, context, items, options, .. } = body;
        let semantic = Semantic::of(options.as_ref())?;
        let mut faults = Vec::new();
        let read = |(position, raw): (usize, &'a RawValue)| {
            serde_json::from_str(raw.get()).unwrap_or_else(|flaw| {
                faults.push((position, bad(format!("the item cannot be read: {flaw}"))));
                Evaluation::default()
            })
        };
        let items = items.unwrap_or_default().into_iter().enumerate().map(read).collect();
        Ok(Self { subject, action, resource, context, items, faults, semantic })
    }

    /// An item with the batch's values for what it leaves out: whole objects, never parts of one.
    fn asking<'b>(&'b self, position: usize, item: &'b Evaluation<'a>) -> Result<Asking<'b>, Problem> {
        if let Ok(found) = self.faults.binary_search_by_key(&position, |(at, _)| *at)
            && let Some((_, fault)) = self.faults.get(found)
        {
            return Err(fault.clone());
        }
        Asking::whole(
            item.subject.as_ref().or(self.subject.as_ref()),
            item.action.as_ref().or(self.action.as_ref()),
            item.resource.as_ref().or(self.resource.as_ref()),
            item.context.or(self.context),
        )
    }
}

/// `POST /access/v1/evaluations`.
pub async fn many(call: Raw) -> Result<Response, Problem> {
    let arrived = Arrived::of(call).await?;
    let batch = Batch::of(&arrived.body)?;
    if batch.items.len() > ITEMS_MAX {
        let sent = batch.items.len();
        return Err(bad(format!("{sent} items were sent: at most {ITEMS_MAX} are answered at once")));
    }
    if batch.items.is_empty() {
        let (subject, action, resource) = (&batch.subject, &batch.action, &batch.resource);
        let asking = Asking::whole(subject.as_ref(), action.as_ref(), resource.as_ref(), batch.context)?;
        return arrived.single(&asking).await;
    }
    let body = evaluated(&arrived, &batch).await;
    arrived.served(batch.items.len(), body.as_ref().err());
    Ok(Answer::json(body?).into())
}

/// The answers to a batch, as they are sent.
async fn evaluated(arrived: &Arrived, batch: &Batch<'_>) -> Result<String, Problem> {
    let mut body = String::with_capacity(24 + batch.items.len() * answer::DECISION_BYTES);
    body.push_str(r#"{"evaluations":["#);
    if arrived.app.asks_elsewhere(arrived.organization, &arrived.snapshot).await? {
        arrived.many_elsewhere(batch, &mut body).await?;
        body.push_str("]}");
        return Ok(body);
    }
    let mut last = None;
    for (position, item) in batch.items.iter().enumerate() {
        if position > 0 {
            body.push(',');
        }
        let allow = match batch.asking(position, item) {
            Ok(asking) => {
                let decision = arrived.decide(&asking, &mut last).await?;
                answer::decision(&mut body, &decision, arrived.snapshot.answered_by(&decision));
                decision.is_allow()
            }
            Err(problem) => {
                answer::fault(&mut body, &problem);
                false
            }
        };
        if batch.semantic.stops(allow) {
            break;
        }
    }
    body.push_str("]}");
    Ok(body)
}
