//! `evaluation` and `evaluations`: one question, or up to a few thousand answered from one snapshot at one instant.

use super::wire::{
    Action, Asking, Entity, Evaluation, Evaluations, Item, bad, write_decision, write_fault,
};
use super::{Raw, organization, read};
use crate::edge::{Answer, json};
use axum::response::Response;
use charter_app::check;
use charter_app::snapshot::Snapshot;
use charter_app::{App, RequestContext};
use charter_kernel::{DecidedBy, Decision, OrganizationId, Problem, Reason};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Items of one batch at most.
pub const ITEMS_MAX: usize = 5_000;

/// When a batch stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Semantic {
    All,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

impl Semantic {
    fn of(word: Option<&str>) -> Result<Self, Problem> {
        match word {
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

async fn answer(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    snapshot: &Snapshot,
    asking: &Asking<'_>,
) -> Result<Decision, Problem> {
    let question = asking.question();
    let decision = if asking.knows_subject_type() {
        app.decide(ctx, organization, snapshot, &question).await?
    } else {
        Decision {
            reason: Reason::UnknownSubject,
            decided_by: DecidedBy::Nothing,
            revision: snapshot.shard().revision(),
            valid_until: None,
            in_grace: false,
        }
    };
    app.note_denial(ctx, organization, snapshot, &question, &decision).await;
    Ok(decision)
}

/// `POST /access/v1/evaluation`.
pub async fn one(mut call: Raw) -> Result<Response, Problem> {
    let bytes = read(&mut call).await?;
    let asking = Asking::of(json_of(&bytes)?)?;
    let organization = organization(&call).await?;
    call.app.may_ask(&call.ctx, organization, None).await?;
    let snapshot = check::pinned(&call.app, &call.ctx, organization, call.at_least).await?;
    let decision = answer(&call.app, &call.ctx, organization, &snapshot, &asking).await?;
    let mut body = String::with_capacity(96);
    write_decision(&mut body, &decision);
    Ok(Answer::json(body).into())
}

fn json_of<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    let text = json::check(bytes).map_err(|problem| bad(problem.detail))?;
    if !text.trim_start().starts_with('{') {
        return Err(bad("the body has to be an object"));
    }
    serde_json::from_str(text).map_err(|flaw| bad(format!("the body cannot be read: {flaw}")))
}

/// A value of an item: the item's own, or the default.
fn entity<'a, T: Deserialize<'a> + Clone>(own: Option<&'a RawValue>, default: Option<&T>, name: &str) -> Result<Option<T>, Problem> {
    match own {
        Some(raw) if raw.get() != "null" => {
            serde_json::from_str(raw.get()).map(Some).map_err(|flaw| bad(format!("{name}: {flaw}")))
        }
        _ => Ok(default.cloned()),
    }
}

fn item<'a>(raw: &'a RawValue, batch: &Evaluations<'a>) -> Result<Asking<'a>, Problem> {
    if !raw.get().starts_with('{') {
        return Err(bad("an item has to be an object"));
    }
    let own: Item<'a> = serde_json::from_str(raw.get()).map_err(|flaw| bad(format!("the item cannot be read: {flaw}")))?;
    Asking::of(Evaluation {
        subject: entity::<Entity<'a>>(own.subject, batch.subject.as_ref(), "subject")?,
        action: entity::<Action<'a>>(own.action, batch.action.as_ref(), "action")?,
        resource: entity::<Entity<'a>>(own.resource, batch.resource.as_ref(), "resource")?,
        context: own.context.filter(|raw| raw.get() != "null").or(batch.context),
    })
}

/// `POST /access/v1/evaluations`.
pub async fn many(mut call: Raw) -> Result<Response, Problem> {
    let bytes = read(&mut call).await?;
    let batch: Evaluations<'_> = json_of(&bytes)?;
    let semantic = Semantic::of(batch.options.as_ref().and_then(|options| options.evaluations_semantic.as_deref()))?;
    let items = batch.evaluations.as_deref().unwrap_or_default();
    if items.len() > ITEMS_MAX {
        return Err(bad(format!("{} items were sent: at most {ITEMS_MAX} are answered at once", items.len())));
    }
    let single = if items.is_empty() {
        Some(Asking::of(Evaluation {
            subject: batch.subject.clone(),
            action: batch.action.clone(),
            resource: batch.resource.clone(),
            context: batch.context,
        })?)
    } else {
        None
    };
    let organization = organization(&call).await?;
    let (app, ctx) = (&call.app, &call.ctx);
    app.may_ask(ctx, organization, None).await?;
    let snapshot = check::pinned(app, ctx, organization, call.at_least).await?;
    let mut body = String::with_capacity(64 + items.len() * 96);
    if let Some(asking) = single {
        write_decision(&mut body, &answer(app, ctx, organization, &snapshot, &asking).await?);
        return Ok(Answer::json(body).into());
    }
    body.push_str(r#"{"evaluations":["#);
    for (position, raw) in items.iter().enumerate() {
        if position > 0 {
            body.push(',');
        }
        let allow = match item(raw, &batch) {
            Ok(asking) => {
                let decision = answer(app, ctx, organization, &snapshot, &asking).await?;
                write_decision(&mut body, &decision);
                decision.is_allow()
            }
            Err(problem) => {
                write_fault(&mut body, &problem);
                false
            }
        };
        if semantic.stops(allow) {
            break;
        }
    }
    body.push_str("]}");
    Ok(Answer::json(body).into())
}
