//! The three searches: who, what on, which actions. Complete over all pages; each result, asked as an evaluation, is true.

use super::asking::Asking;
use super::token::{self, Place};
use super::wire::{ActionSearch, PageAsked, ResourceSearch, SubjectSearch, need, object, read};
use super::{Arrived, Raw};
use crate::edge::Answer;
use axum::response::Response;
use charter_app::{Listing, Page, names, search};
use charter_kernel::Problem;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A search with its place among its pages.
struct Search<'a> {
    arrived: &'a Arrived,
    place: Place,
    bound: [u8; 16],
}

impl<'a> Search<'a> {
    fn of(
        endpoint: &str,
        arrived: &'a Arrived,
        asking: &Asking<'_>,
        page: Option<&PageAsked<'_>>,
    ) -> Result<Self, Problem> {
        let properties = object(page.and_then(|page| page.properties), "page.properties")?;
        let mut properties = properties.map(Value::Object).unwrap_or_default();
        properties.sort_all_objects();
        let asked = [asking.fingerprint(), properties.to_string()];
        let bound = token::digest(endpoint, arrived.organization, &asked);
        Ok(Self { arrived, place: token::place(&bound, page)?, bound })
    }

    /// The page to ask for: one nothing is wanted of still tells whether something is there.
    fn page(&self) -> Page {
        Page { after: self.place.after.clone(), limit: self.place.limit.max(1) }
    }

    /// The answer: the page first, then results that hold nothing extra.
    fn answer(&self, mut found: Listing<Value>) -> Response {
        if self.place.limit == 0 && !found.items.is_empty() {
            found.items.clear();
            found.next = Some(self.place.after.clone().unwrap_or_default());
        }
        let next = found.next.as_deref().map(|position| token::make(&self.bound, self.place.limit, position));
        let next = next.map_or_else(|| json!(""), Value::from);
        let (count, results) = (found.items.len(), Value::Array(found.items));
        let body = format!(r#"{{"page":{{"next_token":{next},"count":{count}}},"results":{results}}}"#);
        Answer::json(body).into()
    }

    fn nothing(&self) -> Response {
        self.answer(Listing { items: Vec::new(), next: None })
    }
}

/// `POST /access/v1/search/subject`.
pub async fn subjects(call: Raw) -> Result<Response, Problem> {
    let arrived = Arrived::of(call).await?;
    let body: SubjectSearch<'_> = read(&arrived.body)?;
    let subject = need(body.subject.as_ref(), "subject")?;
    let asking = Asking::default()
        .subjects(subject.kind.as_ref(), subject.properties)?
        .action(body.action.as_ref())?
        .resource(body.resource.as_ref())?
        .context(body.context)?;
    let search = Search::of("subject", &arrived, &asking, body.page.as_ref())?;
    if !asking.knows_subject_type() {
        return Ok(search.nothing());
    }
    let Arrived { app, ctx, organization, at_least, .. } = search.arrived;
    let found =
        search::who_can(app, ctx, *organization, *at_least, &asking.question(), &search.page()).await?;
    let ids = found.items.iter().copied().collect();
    let names = names::read(app, *organization, ids, BTreeSet::new()).await?;
    Ok(search.answer(found.map(|id| json!({ "type": asking.subject_type(), "id": names.login(id) }))))
}

/// `POST /access/v1/search/resource`.
pub async fn resources(call: Raw) -> Result<Response, Problem> {
    let arrived = Arrived::of(call).await?;
    let body: ResourceSearch<'_> = read(&arrived.body)?;
    let resource = need(body.resource.as_ref(), "resource")?;
    let asking = Asking::default()
        .subject(body.subject.as_ref())?
        .action(body.action.as_ref())?
        .resources(resource.kind.as_ref(), resource.properties)?
        .context(body.context)?;
    let search = Search::of("resource", &arrived, &asking, body.page.as_ref())?;
    if !asking.knows_subject_type() {
        return Ok(search.nothing());
    }
    let Arrived { app, ctx, organization, at_least, .. } = search.arrived;
    let (kind, question) = (asking.resource_type(), asking.question());
    let found =
        search::resources(app, ctx, *organization, *at_least, kind, &question, &search.page()).await?;
    Ok(search.answer(found.map(|id| json!({ "type": kind, "id": id }))))
}

/// `POST /access/v1/search/action`.
pub async fn actions(call: Raw) -> Result<Response, Problem> {
    let arrived = Arrived::of(call).await?;
    let body: ActionSearch<'_> = read(&arrived.body)?;
    let asking = Asking::default()
        .subject(body.subject.as_ref())?
        .resource(body.resource.as_ref())?
        .context(body.context)?;
    let search = Search::of("action", &arrived, &asking, body.page.as_ref())?;
    if !asking.knows_subject_type() {
        return Ok(search.nothing());
    }
    let Arrived { app, ctx, organization, at_least, .. } = search.arrived;
    let found =
        search::actions(app, ctx, *organization, *at_least, &asking.question(), &search.page()).await?;
    Ok(search.answer(found.map(|name| json!({ "name": name }))))
}
