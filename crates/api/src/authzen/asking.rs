//! One question, from what was sent to what the floor below takes.

use super::wire::{Action, Entity, Text, need, object};
use charter_app::check::{Asked, Question};
use charter_kernel::Problem;
use charter_kernel::facts::PrincipalKind;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// Everything one question consists of: texts of the body, and free objects that had to be read.
#[derive(Debug, Default)]
pub struct Asking<'a> {
    subject_type: &'a str,
    subject: Option<&'a str>,
    action: &'a str,
    kind: &'a str,
    id: Option<&'a str>,
    sent: Option<Box<Sent>>,
}

/// The free objects that came with a question; most come with none.
#[derive(Debug, Default, Serialize)]
struct Sent {
    subject: Option<Map<String, Value>>,
    action: Option<Map<String, Value>>,
    resource: Option<Map<String, Value>>,
    context: Option<Map<String, Value>>,
}

/// The kind of principal a type names; none for a type we do not have.
fn principal_kind(kind: &str) -> Option<PrincipalKind> {
    match kind {
        "user" => Some(PrincipalKind::User),
        "service_account" | "client" => Some(PrincipalKind::ServiceAccount),
        _ => None,
    }
}

fn needed<'b>(text: Option<&'b Text<'_>>, name: &str) -> Result<&'b str, Problem> {
    need(text.map(|text| &**text), name)
}

impl<'a> Asking<'a> {
    /// A question in which everything has to be there.
    pub fn whole(
        subject: Option<&'a Entity<'_>>,
        action: Option<&'a Action<'_>>,
        resource: Option<&'a Entity<'_>>,
        context: Option<&RawValue>,
    ) -> Result<Self, Problem> {
        Self::default().subject(subject)?.action(action)?.resource(resource)?.context(context)
    }

    /// Whose right is asked about.
    pub fn subject(self, subject: Option<&'a Entity<'_>>) -> Result<Self, Problem> {
        let subject = need(subject, "subject")?;
        let id = needed(subject.id.as_ref(), "subject.id")?;
        Self { subject: Some(id), ..self }.subjects(subject.kind.as_ref(), subject.properties)
    }

    /// Of which type the subjects are that are searched for.
    pub fn subjects(
        self,
        subject_type: Option<&'a Text<'_>>,
        properties: Option<&RawValue>,
    ) -> Result<Self, Problem> {
        let subject_type = needed(subject_type, "subject.type")?;
        Self { subject_type, ..self }.keep(properties, "subject.properties", |sent| &mut sent.subject)
    }

    /// What is to be done.
    pub fn action(self, action: Option<&'a Action<'_>>) -> Result<Self, Problem> {
        let action = need(action, "action")?;
        let name = needed(action.name.as_ref(), "action.name")?;
        Self { action: name, ..self }.keep(action.properties, "action.properties", |sent| &mut sent.action)
    }

    /// What it is done to.
    pub fn resource(self, resource: Option<&'a Entity<'_>>) -> Result<Self, Problem> {
        let resource = need(resource, "resource")?;
        let id = needed(resource.id.as_ref(), "resource.id")?;
        Self { id: Some(id), ..self }.resources(resource.kind.as_ref(), resource.properties)
    }

    /// Of which type the resources are that are searched for.
    pub fn resources(
        self,
        kind: Option<&'a Text<'_>>,
        properties: Option<&RawValue>,
    ) -> Result<Self, Problem> {
        let kind = needed(kind, "resource.type")?;
        Self { kind, ..self }.keep(properties, "resource.properties", |sent| &mut sent.resource)
    }

    /// What else is known of the request. No value in it is a fault: what cannot be read is not known.
    pub fn context(self, context: Option<&RawValue>) -> Result<Self, Problem> {
        self.keep(context, "context", |sent| &mut sent.context)
    }

    fn keep(
        mut self,
        raw: Option<&RawValue>,
        name: &str,
        place: fn(&mut Sent) -> &mut Option<Map<String, Value>>,
    ) -> Result<Self, Problem> {
        if let Some(map) = object(raw, name)? {
            *place(self.sent.get_or_insert_default()) = Some(map);
        }
        Ok(self)
    }

    /// Whose right is asked about, as sent.
    pub fn subject_id(&self) -> &'a str {
        self.subject.unwrap_or_default()
    }

    /// Whether the subject is of a type we have.
    pub fn knows_subject_type(&self) -> bool {
        principal_kind(self.subject_type).is_some()
    }

    /// The type of the subject.
    pub fn subject_type(&self) -> &'a str {
        self.subject_type
    }

    /// The type of the resource.
    pub fn resource_type(&self) -> &'a str {
        self.kind
    }

    /// The question as the floor below takes it.
    pub fn question(&self) -> Question<'_> {
        let mut question = Question {
            subject: self.subject.unwrap_or_default(),
            subject_kind: principal_kind(self.subject_type),
            asked: Some(Asked::Action { kind: self.kind, action: self.action }),
            resource: self.id.map(|id| (self.kind, id)),
            ..Question::default()
        };
        let Some(sent) = self.sent.as_deref() else { return question };
        question.subject_properties = sent.subject.as_ref();
        question.action_properties = sent.action.as_ref();
        question.resource_properties = sent.resource.as_ref();
        question.context = sent.context.as_ref();
        if let Some(context) = &sent.context {
            let text = |name: &str| context.get(name).and_then(Value::as_str);
            question.address =
                text("ip").or_else(|| text("address")).and_then(|it| it.parse::<IpAddr>().ok());
            question.mfa = context.get("mfa").and_then(Value::as_bool).unwrap_or_default();
            let methods = context.get("amr").and_then(Value::as_array);
            question.amr = methods.into_iter().flatten().filter_map(Value::as_str).collect();
        }
        question
    }

    /// Everything that is asked, for a page token to be bound to: questions that say the same give equal texts.
    pub fn fingerprint(&self) -> String {
        let named = [Some(self.subject_type), self.subject, Some(self.action), Some(self.kind), self.id];
        let mut all = serde_json::json!([named, self.sent]);
        all.sort_all_objects();
        all.to_string()
    }
}
