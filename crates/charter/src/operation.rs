//! Operations of the API as the command line sees them, read from the OpenAPI document that the route table writes. What
//! the API has, the command line has.

use serde_json::{Map, Value};

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its id, words joined by dots.
    pub id: String,
    /// HTTP method.
    pub method: String,
    /// Path with `{names}`.
    pub path: String,
    /// One sentence.
    pub summary: String,
    /// More about it.
    pub description: String,
    /// Names in the path.
    pub path_fields: Vec<Field>,
    /// Parameters of the query, without those of paging.
    pub query_fields: Vec<Field>,
    /// Headers it reads.
    pub header_fields: Vec<Field>,
    /// Fields of the body; none when it takes no body.
    pub body_fields: Option<Vec<Field>>,
    /// A body that works.
    pub example: Option<Value>,
    /// Whether it gives pages of a list.
    pub is_paged: bool,
}

/// One value an operation takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name on the wire.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// Whether it must be there.
    pub is_required: bool,
    /// What it is.
    pub summary: String,
    /// The words it may be, when they are listed.
    pub words: Vec<String>,
}

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text.
    Text,
    /// A number.
    Number,
    /// True or false.
    Switch,
    /// A list of texts.
    Texts,
    /// One of several names with a text: `member:ann@toys.example`.
    Tagged,
    /// A type, or one thing of it: `invoice` or `invoice:1042`.
    Thing,
    /// A password: never an argument, because arguments can be read by others.
    Password,
    /// Anything else, as JSON.
    Json,
}

/// All operations of a document that take JSON and answer with JSON or nothing.
pub fn read(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    let paths = document.get("paths").and_then(Value::as_object);
    for (path, methods) in paths.into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            if gives_a_page(operation) || takes_a_form(operation) {
                continue;
            }
            operations.extend(read_operation(document, path, method, operation));
        }
    }
    operations
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Pages, their stylesheets and their scripts are for browsers.
fn gives_a_page(operation: &Value) -> bool {
    let responses = operation.get("responses").and_then(Value::as_object);
    responses.into_iter().flatten().any(|(_, response)| {
        let content = response.get("content").and_then(Value::as_object);
        content.is_some_and(|content| {
            ["text/html", "text/css", "text/javascript"].iter().any(|kind| content.contains_key(*kind))
        })
    })
}

/// What takes a form is a protocol of its own, which programs speak with their own credentials.
fn takes_a_form(operation: &Value) -> bool {
    operation.pointer("/requestBody/content/application~1x-www-form-urlencoded").is_some()
}

fn read_operation(document: &Value, path: &str, method: &str, operation: &Value) -> Option<Operation> {
    let id = operation.get("operationId")?.as_str()?.to_owned();
    let (mut path_fields, mut query_fields, mut header_fields) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_paged = false;
    for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let parameter = resolve(document, parameter);
        let is_required = parameter.get("required").and_then(Value::as_bool).unwrap_or(false);
        let schema = parameter.get("schema").cloned().unwrap_or_default();
        let mut field = field(document, &text(parameter, "name"), &schema, is_required);
        let summary = text(parameter, "description");
        if !summary.is_empty() {
            field.summary = summary;
        }
        match parameter.get("in").and_then(Value::as_str) {
            Some("path") => path_fields.push(field),
            Some("query") if field.name == "cursor" => is_paged = true,
            Some("query") if field.name == "limit" => {}
            Some("query") => query_fields.push(field),
            // A command keeps no answer it could compare with.
            Some("header") if field.name == "If-None-Match" => {}
            Some("header") => header_fields.push(field),
            _ => {}
        }
    }
    let media = operation.pointer("/requestBody/content/application~1json");
    let body_fields = media.map(|media| body_fields(document, media.get("schema").unwrap_or(&Value::Null)));
    Some(Operation {
        id,
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(operation, "summary").trim_end_matches('.').to_owned(),
        description: text(operation, "description"),
        path_fields,
        query_fields,
        header_fields,
        body_fields,
        example: media.and_then(|media| media.get("example")).cloned(),
        is_paged,
    })
}

/// What a reference leads to.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let mut value = value;
    for _ in 0..8 {
        let target = value
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| path.strip_prefix('#'))
            .and_then(|pointer| document.pointer(pointer));
        match target {
            Some(target) => value = target,
            None => break,
        }
    }
    value
}

/// The properties of a body, also of one made of parts.
fn body_fields(document: &Value, schema: &Value) -> Vec<Field> {
    let schema = resolve(document, schema);
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let mut fields: Vec<Field> = properties
        .iter()
        .map(|(name, schema)| field(document, name, schema, required.contains(&name.as_str())))
        .collect();
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        for field in body_fields(document, part) {
            if !fields.iter().any(|known| known.name == field.name) {
                fields.push(field);
            }
        }
    }
    fields
}

fn field(document: &Value, name: &str, schema: &Value, is_required: bool) -> Field {
    let summary = [schema, resolve(document, schema)]
        .iter()
        .map(|schema| text(schema, "description"))
        .find(|it| !it.is_empty());
    let (form, words) = form(document, schema, 0);
    let summary = summary.unwrap_or_default();
    let form = if form == Form::Text && name.ends_with("password") { Form::Password } else { form };
    Field { name: name.to_owned(), form, is_required, summary, words }
}

/// The form of a schema, and its words when it is a choice.
fn form(document: &Value, schema: &Value, depth: usize) -> (Form, Vec<String>) {
    let schema = resolve(document, schema);
    if depth > 6 {
        return (Form::Json, Vec::new());
    }
    if let Some(words) = words(schema) {
        return (Form::Text, words);
    }
    if let Some(tags) = tags(schema) {
        return (Form::Tagged, tags);
    }
    if is_thing(schema) {
        return (Form::Thing, Vec::new());
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        let Some(parts) = schema.get(key).and_then(Value::as_array) else { continue };
        let parts: Vec<&Value> = parts.iter().filter(|part| text(part, "type") != "null").collect();
        let mut forms = parts.iter().map(|part| form(document, part, depth + 1));
        let Some((first, mut all)) = forms.next() else { continue };
        for (form, words) in forms {
            if form != first || words.is_empty() != all.is_empty() {
                return (Form::Json, Vec::new());
            }
            all.extend(words);
        }
        return (first, all);
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            match (kinds.next(), kinds.next()) {
                (Some(kind), None) => kind,
                _ => "",
            }
        }
        _ => "",
    };
    match kind {
        "string" => (Form::Text, Vec::new()),
        "integer" | "number" => (Form::Number, Vec::new()),
        "boolean" => (Form::Switch, Vec::new()),
        "array" => match schema.get("items").map(|items| form(document, items, depth + 1)) {
            Some((Form::Text, words)) => (Form::Texts, words),
            _ => (Form::Json, Vec::new()),
        },
        _ => (Form::Json, Vec::new()),
    }
}

/// The names of a choice between objects of one text each.
fn tags(schema: &Value) -> Option<Vec<String>> {
    let choices = schema.get("oneOf").and_then(Value::as_array)?;
    choices
        .iter()
        .map(|choice| {
            let mut properties = choice.get("properties")?.as_object()?.iter();
            match (properties.next(), properties.next()) {
                (Some((name, value)), None) if text(value, "type") == "string" => Some(name.clone()),
                _ => None,
            }
        })
        .collect()
}

/// Whether an object is a type and an id.
fn is_thing(schema: &Value) -> bool {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return false };
    properties.len() == 2 && properties.contains_key("type") && properties.contains_key("id")
}

/// The words of `enum`, `const`, or of a choice of constants.
fn words(schema: &Value) -> Option<Vec<String>> {
    let texts = |values: &[Value]| -> Option<Vec<String>> {
        let words: Option<Vec<Option<String>>> = values
            .iter()
            .map(|value| match value {
                Value::String(word) => Some(Some(word.clone())),
                Value::Null => Some(None),
                _ => None,
            })
            .collect();
        Some(words?.into_iter().flatten().collect())
    };
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return texts(values);
    }
    schema.get("const").and_then(Value::as_str).map(|word| vec![word.to_owned()])
}
