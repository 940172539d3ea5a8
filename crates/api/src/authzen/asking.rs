//! One question, from what was sent to what the floor below takes.

use super::wire::{Action, Entity, Text, need, object};
use charter_app::check::{Asked, Question};
use charter_kernel::Problem;
use charter_kernel::facts::PrincipalKind;
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
    subject_properties: Option<Map<String, Value>>,
    action_properties: Option<Map<String, Value>>,
    resource_properties: Option<Map<String, Value>>,
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
        let subject_type = needed(subject.kind.as_ref(), "subject.type")?;
        let id = needed(subject.id.as_ref(), "subject.id")?;
        let properties = object(subject.properties, "subject.properties")?;
        Ok(Self { subject: Some(id), ..self.subjects(subject_type, properties) })
    }

    /// Of which type the subjects are that are searched for.
    pub fn subjects(self, subject_type: &'a str, properties: Option<Map<String, Value>>) -> Self {
        Self { subject_type, subject_properties: properties, ..self }
    }

    /// What is to be done.
    pub fn action(self, action: Option<&'a Action<'_>>) -> Result<Self, Problem> {
        let action = need(action, "action")?;
        let name = needed(action.name.as_ref(), "action.name")?;
        Ok(Self { action: name, action_properties: object(action.properties, "action.properties")?, ..self })
    }

    /// What it is done to.
    pub fn resource(self, resource: Option<&'a Entity<'_>>) -> Result<Self, Problem> {
        let resource = need(resource, "resource")?;
        let kind = needed(resource.kind.as_ref(), "resource.type")?;
        let id = needed(resource.id.as_ref(), "resource.id")?;
        let properties = object(resource.properties, "resource.properties")?;
        Ok(Self { id: Some(id), ..self.resources(kind, properties) })
    }

    /// Of which type the resources are that are searched for.
    pub fn resources(self, kind: &'a str, properties: Option<Map<String, Value>>) -> Self {
        Self { kind, resource_properties: properties, ..self }
    }

    /// What else is known of the request. No value of it is a fault: what cannot be read is not known.
    pub fn context(self, context: Option<&RawValue>) -> Result<Self, Problem> {
        Ok(Self { context: object(context, "context")?, ..self })
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
            subject_properties: self.subject_properties.as_ref(),
            action_properties: self.action_properties.as_ref(),
            resource_properties: self.resource_properties.as_ref(),
            context: self.context.as_ref(),
            ..Question::default()
        };
        if let Some(context) = &self.context {
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
        let sent =
            (&self.subject_properties, &self.action_properties, &self.resource_properties, &self.context);
        let mut all =
            serde_json::json!([self.subject_type, self.subject, self.action, self.kind, self.id, sent]);
        all.sort_all_objects();
        all.to_string()
    }
}
