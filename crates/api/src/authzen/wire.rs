//! The JSON of AuthZEN: what comes in is read as far as an endpoint names it, the rest is ignored; what goes out has nothing extra.

use charter_app::check::{Asked, Question};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Decision, Problem, ProblemKind};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::net::IpAddr;

/// A subject or a resource as sent; which of its members must be there is the endpoint's affair.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Entity<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub properties: Option<&'a RawValue>,
}

/// The same where the id is searched for and so must not be looked at.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Sought<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub properties: Option<&'a RawValue>,
}

/// An action as sent.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Action<'a> {
    #[serde(borrow)]
    pub name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub properties: Option<&'a RawValue>,
}

/// Body of `evaluation`, and what a batch may set for all of its items.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Evaluation<'a> {
    #[serde(borrow)]
    pub subject: Option<Entity<'a>>,
    #[serde(borrow)]
    pub action: Option<Action<'a>>,
    #[serde(borrow)]
    pub resource: Option<Entity<'a>>,
    #[serde(borrow)]
    pub context: Option<&'a RawValue>,
}

/// Body of `evaluations`.
#[derive(Debug, Default, Deserialize)]
pub struct Evaluations<'a> {
    #[serde(borrow)]
    pub subject: Option<Entity<'a>>,
    #[serde(borrow)]
    pub action: Option<Action<'a>>,
    #[serde(borrow)]
    pub resource: Option<Entity<'a>>,
    #[serde(borrow)]
    pub context: Option<&'a RawValue>,
    #[serde(borrow)]
    pub evaluations: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub options: Option<Options<'a>>,
}

/// Options of a batch.
#[derive(Debug, Default, Deserialize)]
pub struct Options<'a> {
    #[serde(borrow)]
    pub evaluations_semantic: Option<Cow<'a, str>>,
}

/// One item of a batch, its members unread: a fault in one is that item's alone.
#[derive(Debug, Default, Deserialize)]
pub struct Item<'a> {
    #[serde(borrow)]
    pub subject: Option<&'a RawValue>,
    #[serde(borrow)]
    pub action: Option<&'a RawValue>,
    #[serde(borrow)]
    pub resource: Option<&'a RawValue>,
    #[serde(borrow)]
    pub context: Option<&'a RawValue>,
}

/// Page of a search, as asked.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PageAsked<'a> {
    #[serde(borrow)]
    pub token: Option<Cow<'a, str>>,
    pub limit: Option<u64>,
    #[serde(borrow)]
    pub properties: Option<&'a RawValue>,
}

/// Body of `search/subject`.
#[derive(Debug, Default, Deserialize)]
pub struct SubjectSearch<'a> {
    #[serde(borrow)]
    pub subject: Option<Sought<'a>>,
    #[serde(borrow)]
    pub action: Option<Action<'a>>,
    #[serde(borrow)]
    pub resource: Option<Entity<'a>>,
    #[serde(borrow)]
    pub context: Option<&'a RawValue>,
    #[serde(borrow)]
    pub page: Option<PageAsked<'a>>,
}

/// Body of `search/resource`.
#[derive(Debug, Default, Deserialize)]
pub struct ResourceSearch<'a> {
    #[serde(borrow)]
    pub subject: Option<Entity<'a>>,
    #[serde(borrow)]
    pub action: Option<Action<'a>>,
    #[serde(borrow)]
    pub resource: Option<Sought<'a>>,
    #[serde(borrow)]
    pub context: Option<&'a RawValue>,
    #[serde(borrow)]
    pub page: Option<PageAsked<'a>>,
}

/// Body of `search/action`.
#[derive(Debug, Default, Deserialize)]
pub struct ActionSearch<'a> {
    #[serde(borrow)]
    pub subject: Option<Entity<'a>>,
    #[serde(borrow)]
    pub resource: Option<Entity<'a>>,
    #[serde(borrow)]
    pub context: Option<&'a RawValue>,
    #[serde(borrow)]
    pub page: Option<PageAsked<'a>>,
}

/// The problem of a body that cannot be answered: always 400.
pub fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Malformed, detail)
}

/// A member that must be there.
pub fn need<T>(value: Option<T>, name: &str) -> Result<T, Problem> {
    value.ok_or_else(|| bad(format!("{name} is missing")))
}

/// An object of free keys, or nothing.
pub fn object(raw: Option<&RawValue>, name: &str) -> Result<Option<Map<String, Value>>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    match serde_json::from_str::<Value>(raw.get()) {
        Ok(Value::Object(map)) if map.is_empty() => Ok(None),
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(Value::Null) => Ok(None),
        _ => Err(bad(format!("{name} has to be an object"))),
    }
}

/// Everything one question consists of, owned where it had to be read.
#[derive(Debug, Default)]
pub struct Asking<'a> {
    subject_kind: Option<PrincipalKind>,
    known_kind: bool,
    subject: Cow<'a, str>,
    action: Cow<'a, str>,
    kind: Cow<'a, str>,
    id: Option<Cow<'a, str>>,
    subject_properties: Option<Map<String, Value>>,
    action_properties: Option<Map<String, Value>>,
    resource_properties: Option<Map<String, Value>>,
    context: Option<Map<String, Value>>,
    address: Option<IpAddr>,
}

/// The kind of principal a type names; none for a type we do not have.
pub fn principal_kind(kind: &str) -> Option<PrincipalKind> {
    match kind {
        "user" => Some(PrincipalKind::User),
        "service_account" | "client" => Some(PrincipalKind::ServiceAccount),
        _ => None,
    }
}

impl<'a> Asking<'a> {
    /// Reads the parts of a question; what must be there is said by who calls.
    pub fn new(
        subject: (Cow<'a, str>, Option<Cow<'a, str>>, Option<&RawValue>),
        action: (Cow<'a, str>, Option<&RawValue>),
        resource: (Cow<'a, str>, Option<Cow<'a, str>>, Option<&RawValue>),
        context: Option<&RawValue>,
    ) -> Result<Self, Problem> {
        let kind = principal_kind(&subject.0);
        let context = object(context, "context")?;
        let text = |name: &str| context.as_ref().and_then(|context| context.get(name)).and_then(Value::as_str);
        let address = text("ip").or_else(|| text("address")).and_then(|text| text.parse().ok());
        Ok(Self {
            subject_kind: kind,
            known_kind: kind.is_some(),
            subject: subject.1.unwrap_or_default(),
            action: action.0,
            kind: resource.0,
            id: resource.1,
            subject_properties: object(subject.2, "subject.properties")?,
            action_properties: object(action.1, "action.properties")?,
            resource_properties: object(resource.2, "resource.properties")?,
            context,
            address,
        })
    }

    /// From an evaluation in which everything required has to be there.
    pub fn of(evaluation: Evaluation<'a>) -> Result<Self, Problem> {
        let subject = need(evaluation.subject, "subject")?;
        let action = need(evaluation.action, "action")?;
        let resource = need(evaluation.resource, "resource")?;
        Self::new(
            (need(subject.kind, "subject.type")?, Some(need(subject.id, "subject.id")?), subject.properties),
            (need(action.name, "action.name")?, action.properties),
            (need(resource.kind, "resource.type")?, Some(need(resource.id, "resource.id")?), resource.properties),
            evaluation.context,
        )
    }

    /// Whether the subject is of a type we have.
    pub fn knows_subject_type(&self) -> bool {
        self.known_kind
    }

    /// The type of the resource.
    pub fn resource_type(&self) -> &str {
        &self.kind
    }

    /// The question as the floor below takes it.
    pub fn question(&self) -> Question<'_> {
        let flag = |name: &str| {
            self.context.as_ref().and_then(|context| context.get(name)).and_then(Value::as_bool).unwrap_or(false)
        };
        let amr = self
            .context
            .as_ref()
            .and_then(|context| context.get("amr"))
            .and_then(Value::as_array)
            .map(|methods| methods.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        Question {
            subject: &self.subject,
            subject_kind: self.subject_kind,
            asked: Some(Asked::Action { kind: &self.kind, action: &self.action }),
            resource: self.id.as_deref().map(|id| (&*self.kind, id)),
            address: self.address,
            mfa: flag("mfa"),
            amr,
            subject_properties: self.subject_properties.as_ref(),
            action_properties: self.action_properties.as_ref(),
            resource_properties: self.resource_properties.as_ref(),
            context: self.context.as_ref(),
        }
    }
}

/// Appends a decision. Nothing in it depends on the clock: the same question gives the same bytes.
pub fn write_decision(out: &mut String, decision: &Decision) {
    use std::fmt::Write;
    let _ = write!(
        out,
        r#"{{"decision":{},"context":{{"reason":"{}","layer":"{}","revision":{}}}}}"#,
        decision.is_allow(),
        decision.reason.as_str(),
        decision.reason.layer().as_str(),
        decision.revision,
    );
}

/// Appends the answer to an item of a batch that cannot be asked.
pub fn write_fault(out: &mut String, problem: &Problem) {
    let fault = serde_json::json!({
        "decision": false,
        "context": { "error": { "status": 400, "message": problem.detail } },
    });
    out.push_str(&fault.to_string());
}
