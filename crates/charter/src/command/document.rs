//! Documents that go to the API and come back: the policy of an organization, expected decisions, the catalogue.

use crate::client::{Answer, Call};
use crate::failure::{Failure, Result};
use crate::operation::{Form, Operation};
use serde_json::{Map, Value};

const TOML: &str = "application/toml";

/// A call that carries a document, in the field the operation takes it in, or as the body itself.
pub fn call(operation: &Operation, text: String, fields: Map<String, Value>) -> Call {
    let call = Call::of(operation);
    let takes =
        operation.body_fields.iter().flatten().find(|field| field.is_required && field.form == Form::Text);
    match takes {
        Some(field) => {
            let mut body = fields;
            body.insert(field.name.clone(), Value::String(text));
            call.json(&Value::Object(body))
        }
        None => {
            let mut call = call;
            call.query.extend(fields.into_iter().map(|(name, value)| (name, super::show::cell(&value))));
            Call { body: Some((TOML.to_owned(), text.into_bytes())), ..call }
        }
    }
}

/// The document in an answer: the answer itself, or its one long text.
pub fn text(answer: &Answer) -> Result<String> {
    if answer.header("content-type").is_some_and(|kind| !kind.contains("json")) {
        return Ok(answer.text());
    }
    let value = answer.json()?;
    let texts = value.as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
    texts
        .max_by_key(|text| text.matches('\n').count())
        .map(str::to_owned)
        .ok_or_else(|| Failure::new("the answer holds no document"))
}
