//! The three searches: who, what on, which actions. Complete over all pages; each result, asked as an evaluation, is true.

use super::token::{self, Place};
use super::wire::{
    ActionSearch, Asking, PageAsked, ResourceSearch, SubjectSearch, bad, need, object, principal_kind,
};
use super::{Raw, organization, read};
use crate::edge::{Answer, json};
use axum::response::Response;
use charter_app::{Listing, Page, names, search};
use charter_kernel::{OrganizationId, Problem};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeSet;

fn json_of<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    let text = json::check(bytes).map_err(|problem| bad(problem.detail))?;
    if !text.trim_start().starts_with('{') {
        return Err(bad("the body has to be an object"));
    }
    serde_json::from_str(text).map_err(|flaw| bad(format!("the body cannot be read: {flaw}")))
}

/// What the page of a request says, and what its token is bound to.
struct Asked {
    place: Place,
    bound: [u8; 16],
}

fn raw_text(raw: Option<&RawValue>) -> &str {
    raw.map_or("", RawValue::get)
}

fn asked(
    endpoint: &str,
    organization: OrganizationId,
    parts: &[&str],
    page: Option<&PageAsked<'_>>,
) -> Result<Asked, Problem> {
    object(page.and_then(|page| page.properties), "page.properties")?;
    let properties = raw_text(page.and_then(|page| page.properties));
    let parts: Vec<&str> = parts.iter().copied().chain([properties]).collect();
    let bound = token::digest(endpoint, organization, &parts);
    Ok(Asked { place: token::place(&bound, page)?, bound })
}

/// The body of an answer: the page first, then results that hold nothing extra.
fn write(asked: &Asked, found: &Listing<serde_json::Value>) -> Response {
    let next = found.next.as_deref().map(|position| token::make(&asked.bound, asked.place.limit, position));
    let body = serde_json::json!({
        "page": { "next_token": next.unwrap_or_default(), "count": found.items.len() },
        "results": found.items,
    });
    Answer::json(body.to_string()).into()
}

/// A page nothing is asked of still tells whether something is there.
fn page_of(place: &Place) -> Page {
    Page { after: place.after.clone(), limit: place.limit.max(1) }
}

fn cut(place: &Place, mut found: Listing<serde_json::Value>) -> Listing<serde_json::Value> {
    if place.limit == 0 {
        found.items.clear();
        found.next = None;
    }
    found
}

/// `POST /access/v1/search/subject`.
pub async fn subjects(mut call: Raw) -> Result<Response, Problem> {
    let bytes = read(&mut call).await?;
    let body: SubjectSearch<'_> = json_of(&bytes)?;
    let (subject, action, resource) =
        (need(body.subject, "subject")?, need(body.action, "action")?, need(body.resource, "resource")?);
    let kind = need(subject.kind, "subject.type")?;
    let (resource_kind, resource_id) = (need(resource.kind, "resource.type")?, need(resource.id, "resource.id")?);
    let name = need(action.name, "action.name")?;
    let organization = organization(&call).await?;
    let parts = [
        &*kind, &*name, &*resource_kind, &*resource_id, raw_text(subject.properties), raw_text(action.properties),
        raw_text(resource.properties), raw_text(body.context),
    ];
    let asked = asked("subject", organization, &parts, body.page.as_ref())?;
    let asking = Asking::new(
        (kind.clone(), None, subject.properties),
        (name.clone(), action.properties),
        (resource_kind.clone(), Some(resource_id.clone()), resource.properties),
        body.context,
    )?;
    let (app, ctx) = (&call.app, &call.ctx);
    app.may_ask(ctx, organization, None).await?;
    if principal_kind(&kind).is_none() {
        return Ok(write(&asked, &Listing { items: Vec::new(), next: None }));
    }
    let found = search::who_can(app, ctx, organization, call.at_least, &asking.question(), &page_of(&asked.place)).await?;
    let logins = names::read(app, organization, found.items.iter().copied().collect(), BTreeSet::new()).await?;
    let items = found.items.iter().map(|id| serde_json::json!({ "type": &*kind, "id": logins.login(*id) })).collect();
    Ok(write(&asked, &cut(&asked.place, Listing { items, next: found.next })))
}

/// `POST /access/v1/search/resource`.
pub async fn resources(mut call: Raw) -> Result<Response, Problem> {
    let bytes = read(&mut call).await?;
    let body: ResourceSearch<'_> = json_of(&bytes)?;
    let (subject, action, resource) =
        (need(body.subject, "subject")?, need(body.action, "action")?, need(body.resource, "resource")?);
    let (subject_kind, subject_id) = (need(subject.kind, "subject.type")?, need(subject.id, "subject.id")?);
    let kind = need(resource.kind, "resource.type")?;
    let name = need(action.name, "action.name")?;
    let organization = organization(&call).await?;
    let parts = [
        &*subject_kind, &*subject_id, &*name, &*kind, raw_text(subject.properties), raw_text(action.properties),
        raw_text(resource.properties), raw_text(body.context),
    ];
    let asked = asked("resource", organization, &parts, body.page.as_ref())?;
    let asking = Asking::new(
        (subject_kind.clone(), Some(subject_id.clone()), subject.properties),
        (name.clone(), action.properties),
        (kind.clone(), None, resource.properties),
        body.context,
    )?;
    let (app, ctx) = (&call.app, &call.ctx);
    app.may_ask(ctx, organization, None).await?;
    if !asking.knows_subject_type() {
        return Ok(write(&asked, &Listing { items: Vec::new(), next: None }));
    }
    let found = search::resources(app, ctx, organization, call.at_least, &kind, &asking.question(), &page_of(&asked.place)).await?;
    let found = found.map(|id| serde_json::json!({ "type": &*kind, "id": id }));
    Ok(write(&asked, &cut(&asked.place, found)))
}

/// `POST /access/v1/search/action`.
pub async fn actions(mut call: Raw) -> Result<Response, Problem> {
    let bytes = read(&mut call).await?;
    let body: ActionSearch<'_> = json_of(&bytes)?;
    let (subject, resource) = (need(body.subject, "subject")?, need(body.resource, "resource")?);
    let (subject_kind, subject_id) = (need(subject.kind, "subject.type")?, need(subject.id, "subject.id")?);
    let (kind, id) = (need(resource.kind, "resource.type")?, need(resource.id, "resource.id")?);
    let organization = organization(&call).await?;
    let parts = [
        &*subject_kind, &*subject_id, &*kind, &*id, raw_text(subject.properties), raw_text(resource.properties),
        raw_text(body.context),
    ];
    let asked = asked("action", organization, &parts, body.page.as_ref())?;
    let asking = Asking::new(
        (subject_kind.clone(), Some(subject_id.clone()), subject.properties),
        (Cow::Borrowed(""), None),
        (kind.clone(), Some(id.clone()), resource.properties),
        body.context,
    )?;
    let (app, ctx) = (&call.app, &call.ctx);
    app.may_ask(ctx, organization, None).await?;
    if !asking.knows_subject_type() {
        return Ok(write(&asked, &Listing { items: Vec::new(), next: None }));
    }
    let found = search::actions(app, ctx, organization, call.at_least, &asking.question(), &page_of(&asked.place)).await?;
    let found = found.map(|name| serde_json::json!({ "name": name }));
    Ok(write(&asked, &cut(&asked.place, found)))
}
