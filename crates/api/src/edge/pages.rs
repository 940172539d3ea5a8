//! The API as one page to read, written from the OpenAPI document: no script, one stylesheet.

use serde_json::{Map, Value};
use std::fmt::{self, Display, Write};

/// The page's stylesheet.
pub(crate) const STYLE: &str = include_str!("style.css");

/// Text that is safe between tags and in quoted attributes.
pub(crate) struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The whole page.
pub(crate) fn page(openapi: &Value, public_url: &str) -> String {
    let mut out = String::with_capacity(256 * 1024);
    // Writing to a String cannot fail.
    let _ = write_page(&mut out, openapi, public_url);
    out
}

fn write_page(out: &mut String, openapi: &Value, public_url: &str) -> fmt::Result {
    let empty = Value::Null;
    let info = openapi.get("info").unwrap_or(&empty);
    let title = text(info, "title");
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0} API</title>\n\
         <link rel=\"stylesheet\" href=\"/docs/style.css\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#operations\">Skip to the operations</a>\n<header>\n<h1>{0} API</h1>\n\
         <p>{1}</p>\n<p>Version {2}. As a document for tools: <a href=\"/api/v1/openapi.json\">openapi.json</a>.</p>\n",
        Escaped(title),
        Escaped(text(info, "summary")),
        Escaped(text(info, "version")),
    )?;
    prose(out, text(info, "description"))?;
    out.push_str("</header>\n<nav aria-label=\"Groups of operations\">\n<ul>\n");
    for tag in list(openapi, "tags") {
        let name = text(tag, "name");
        writeln!(out, "<li><a href=\"#{}\">{}</a></li>", anchor("tag", name), Escaped(name))?;
    }
    out.push_str("<li><a href=\"#schemas\">Schemas</a></li>\n</ul>\n</nav>\n<main id=\"operations\">\n");
    for tag in list(openapi, "tags") {
        let name = text(tag, "name");
        let id = anchor("tag", name);
        writeln!(out, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>", Escaped(name))?;
        for (path, methods) in entries(openapi, "paths") {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                if list(operation, "tags").iter().any(|tag| tag == name) {
                    write_operation(out, openapi, path, method, operation, public_url)?;
                }
            }
        }
        out.push_str("</section>\n");
    }
    write_schemas(out, openapi)?;
    out.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

/// Plain text with `code` in backquotes, a blank line between paragraphs.
fn prose(out: &mut String, text: &str) -> fmt::Result {
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        out.push_str("<p>");
        inline(out, paragraph)?;
        out.push_str("</p>\n");
    }
    Ok(())
}

fn inline(out: &mut String, text: &str) -> fmt::Result {
    for (at, piece) in text.split('`').enumerate() {
        if at % 2 == 1 {
            write!(out, "<code>{}</code>", Escaped(piece))?;
        } else {
            write!(out, "{}", Escaped(piece))?;
        }
    }
    Ok(())
}

fn anchor(kind: &str, name: &str) -> String {
    let name: String = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
        .collect();
    format!("{kind}-{name}")
}

fn write_operation(
    out: &mut String,
    openapi: &Value,
    path: &str,
    method: &str,
    operation: &Value,
    public_url: &str,
) -> fmt::Result {
    let name = text(operation, "operationId");
    let id = anchor("operation", name);
    let method = method.to_uppercase();
    writeln!(
        out,
        "<article aria-labelledby=\"{id}\">\n<h3 id=\"{id}\">{}</h3>\n\
         <p><code><span class=\"method\">{method}</span> {}</code></p>",
        Escaped(text(operation, "summary")),
        Escaped(path),
    )?;
    let description = text(operation, "description");
    let (more, guard) = description.rsplit_once("\n\n").unwrap_or(("", description));
    prose(out, more)?;
    out.push_str("<p class=\"guard\">");
    inline(out, guard)?;
    writeln!(out, " Operation <code>{}</code>.</p>", Escaped(name))?;
    let parameters: Vec<&Value> =
        list(operation, "parameters").iter().map(|parameter| resolve(openapi, parameter)).collect();
    if !parameters.is_empty() {
        out.push_str(
            "<h4>Parameters</h4>\n<div class=\"scroll\">\n<table>\n<thead><tr><th scope=\"col\">Name</th>\
             <th scope=\"col\">In</th><th scope=\"col\">Form</th><th scope=\"col\">Meaning</th></tr></thead>\n<tbody>\n",
        );
        for parameter in parameters {
            let needed = parameter.get("required") == Some(&Value::Bool(true));
            write!(
                out,
                "<tr><th scope=\"row\"><code>{}</code></th><td>{}{}</td><td>",
                Escaped(text(parameter, "name")),
                Escaped(text(parameter, "in")),
                if needed { ", required" } else { "" },
            )?;
            form(out, parameter.get("schema").unwrap_or(&Value::Null))?;
            out.push_str("</td><td>");
            inline(out, text(parameter, "description"))?;
            out.push_str("</td></tr>\n");
        }
        out.push_str("</tbody>\n</table>\n</div>\n");
    }
    let media = operation.pointer("/requestBody/content/application~1json");
    if let Some(schema) = media.and_then(|media| media.get("schema")) {
        out.push_str("<h4>Body</h4>\n<p>");
        form(out, schema)?;
        out.push_str("</p>\n");
    }
    write_answers(out, operation)?;
    write_curl(out, path, &method, operation, media, public_url)?;
    out.push_str("</article>\n");
    Ok(())
}

fn resolve<'a>(openapi: &'a Value, value: &'a Value) -> &'a Value {
    let target =
        value.get("$ref").and_then(Value::as_str).and_then(|path| openapi.pointer(path.strip_prefix('#')?));
    target.unwrap_or(value)
}

fn write_answers(out: &mut String, operation: &Value) -> fmt::Result {
    out.push_str("<details>\n<summary>Answers</summary>\n<div class=\"scroll\">\n<table>\n<thead><tr><th scope=\"col\">Status</th>");
    out.push_str("<th scope=\"col\">Meaning</th><th scope=\"col\">Body</th></tr></thead>\n<tbody>\n");
    for (status, response) in entries(operation, "responses") {
        write!(out, "<tr><th scope=\"row\">{}</th><td>", Escaped(status))?;
        inline(out, text(response, "description"))?;
        out.push_str("</td><td>");
        for (kind, media) in entries(response, "content") {
            match media.get("schema") {
                Some(schema) => form(out, schema)?,
                None => write!(out, "<code>{}</code>", Escaped(kind))?,
            }
        }
        out.push_str("</td></tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n</details>\n");
    Ok(())
}

fn write_curl(
    out: &mut String,
    path: &str,
    method: &str,
    operation: &Value,
    media: Option<&Value>,
    public_url: &str,
) -> fmt::Result {
    let mut line = String::from("curl");
    if method != "GET" {
        write!(line, " -X {method}")?;
    }
    if operation.get("security").is_none() {
        line.push_str(" -H \"Authorization: Bearer $TOKEN\"");
    }
    if let Some(media) = media {
        let example = media.get("example").map(Value::to_string).unwrap_or_else(|| "{}".to_owned());
        let example = example.replace('\'', "'\\''");
        write!(line, " \\\n  -H 'Content-Type: application/json' \\\n  -d '{example}'")?;
    }
    write!(line, " \\\n  '{public_url}{path}'")?;
    writeln!(out, "<details>\n<summary>Example</summary>\n<pre>{}</pre>\n</details>", Escaped(&line))
}

/// The form of a value in a few words, with links to named schemas.
fn form(out: &mut String, schema: &Value) -> fmt::Result {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return write!(out, "<a href=\"#{}\">{}</a>", anchor("schema", name), Escaped(name));
    }
    for key in ["anyOf", "oneOf"] {
        let choices = list(schema, key);
        if !choices.is_empty() {
            for (at, choice) in choices.iter().enumerate() {
                if at > 0 {
                    out.push_str(" or ");
                }
                form(out, choice)?;
            }
            return Ok(());
        }
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        out.push_str("one of ");
        for (at, value) in values.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(out, "{comma}<code>{}</code>", Escaped(&value.to_string()))?;
        }
        return Ok(());
    }
    if let Some(value) = schema.get("const") {
        return write!(out, "<code>{}</code>", Escaped(&value.to_string()));
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "any value".to_owned(),
    };
    write!(out, "{}", Escaped(&kind))?;
    if let Some(items) = schema.get("items") {
        out.push_str(" of ");
        form(out, items)?;
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        out.push_str(" with values ");
        form(out, values)?;
    }
    for key in ["format", "pattern", "minimum", "maximum", "default", "minLength", "maxLength", "maxItems"] {
        if let Some(value) = schema.get(key) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            write!(out, ", {key} <code>{}</code>", Escaped(&value))?;
        }
    }
    Ok(())
}

fn write_schemas(out: &mut String, openapi: &Value) -> fmt::Result {
    out.push_str("<section aria-labelledby=\"schemas\">\n<h2 id=\"schemas\">Schemas</h2>\n");
    let empty = Value::Object(Map::new());
    for (name, schema) in entries(openapi.get("components").unwrap_or(&empty), "schemas") {
        let id = anchor("schema", name);
        writeln!(out, "<article aria-labelledby=\"{id}\">\n<h3 id=\"{id}\">{}</h3>", Escaped(name))?;
        prose(out, text(schema, "description"))?;
        if schema.get("properties").is_some() {
            write_fields(out, schema)?;
        } else {
            out.push_str("<p>");
            form(out, schema)?;
            out.push_str("</p>\n");
            for choice in list(schema, "oneOf").iter().chain(list(schema, "anyOf")) {
                prose(out, text(choice, "description"))?;
                if choice.get("properties").is_some() {
                    write_fields(out, choice)?;
                }
            }
        }
        out.push_str("</article>\n");
    }
    out.push_str("</section>\n");
    Ok(())
}

fn write_fields(out: &mut String, schema: &Value) -> fmt::Result {
    out.push_str(
        "<div class=\"scroll\">\n<table>\n<thead><tr><th scope=\"col\">Field</th><th scope=\"col\">Form</th>",
    );
    out.push_str("<th scope=\"col\">Meaning</th></tr></thead>\n<tbody>\n");
    let required = list(schema, "required");
    for (name, field) in entries(schema, "properties") {
        let needed = if required.iter().any(|known| known == name) { ", required" } else { "" };
        write!(out, "<tr><th scope=\"row\"><code>{}</code></th><td>", Escaped(name))?;
        form(out, field)?;
        write!(out, "{needed}</td><td>")?;
        inline(out, text(field, "description"))?;
        out.push_str("</td></tr>\n");
    }
    out.push_str("</tbody>\n</table>\n</div>\n");
    Ok(())
}
