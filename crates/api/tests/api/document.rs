//! The OpenAPI document and the page made from it.

use crate::fake::{Service, ask, routes};
use serde_json::Value;

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(path) = fields.get("$ref").and_then(Value::as_str) {
                found.push(path.to_owned());
            }
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The first tag that is closed out of turn.
fn unbalanced(html: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    for piece in html.split('<').skip(1) {
        let tag = piece.split('>').next().unwrap_or_default();
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return Some(format!("</{name}> inside {open:?}"));
            }
        } else if !tag.starts_with('!') && !["meta", "link", "br"].contains(&name) {
            open.push(name);
        }
    }
    (!open.is_empty()).then(|| format!("{open:?} left open"))
}

#[test]
fn the_table_has_no_faults() {
    assert_eq!(routes().faults(), Vec::<String>::new());
}

#[test]
fn every_route_stands_in_the_document_and_every_reference_leads_somewhere() {
    let document = routes().openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for path in found {
        assert!(document.pointer(path.strip_prefix('#').unwrap()).is_some(), "{path} leads nowhere");
    }
    let mut operations = 0;
    for route in &routes() {
        let method = route.method().as_str().to_lowercase();
        let operation = &document["paths"][route.path()][&method];
        assert_eq!(operation["operationId"], route.name());
        assert!(operation["summary"].is_string() && operation["responses"].is_object());
        for name in route.path_names() {
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(
                parameters.iter().any(|parameter| parameter["name"] == name && parameter["in"] == "path")
            );
        }
        operations += 1;
    }
    let listed: usize =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(operations, listed);
}

#[test]
fn an_operation_says_what_it_takes_gives_and_refuses() {
    let document = routes().openapi();
    let make = &document["paths"]["/api/v1/organizations/{organization}/toys"]["post"];
    assert_eq!(make["x-charter-permission"], "toys.toys.write");
    let body = &make["requestBody"]["content"]["application/json"];
    assert_eq!(body["schema"]["$ref"], "#/components/schemas/ToyDraft");
    assert_eq!(body["example"]["name"], "bear");
    assert_eq!(
        make["responses"]["201"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Toy"
    );
    assert_eq!(
        document["components"]["examples"]["taken"]["value"]["type"], "urn:charter:problem:taken",
        "each problem has an example"
    );
    let statuses: Vec<&String> = make["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["201", "400", "401", "403", "404", "409", "413", "415", "422", "500", "503"]);
    assert_eq!(make["responses"]["409"]["x-charter-problems"], serde_json::json!(["in-progress", "taken"]));
    assert_eq!(document["components"]["schemas"]["ToyDraft"]["additionalProperties"], false);
    let list = &document["paths"]["/api/v1/organizations/{organization}/toys"]["get"];
    let names: Vec<&str> = list["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| {
            parameter["name"].as_str().or(parameter["$ref"].as_str()).unwrap().rsplit('/').next().unwrap()
        })
        .collect();
    assert_eq!(names, ["organization", "colour", "is_cheap", "limit", "cursor", "at_least"]);
    assert!(document["components"]["schemas"].get("ToyPage").is_some());
    assert_eq!(document["paths"]["/api/v1/hello"]["get"]["security"], serde_json::json!([]));
}

#[tokio::test]
async fn the_document_and_its_page_are_served_to_anybody() {
    let service = Service::default();
    let document = service.send(ask("GET", "/api/v1/openapi.json", &[], "")).await;
    assert_eq!((document.status, document.header("content-type")), (200, "application/json"));
    assert_eq!(document.json(), routes().openapi());
    let known = [("if-none-match", document.header("etag"))];
    assert_eq!(service.send(ask("GET", "/api/v1/openapi.json", &known, "")).await.status, 304);

    let page = service.send(ask("GET", "/docs", &[], "")).await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("style-src 'self'"));
    for route in &routes() {
        assert!(page.text.contains(route.summary().replace('\'', "&#39;").as_str()), "{}", route.name());
    }
    assert!(!page.text.contains("<script") && !page.text.contains("style="), "no script, nothing inline");
    assert!(page.text.contains("<html lang=\"en\">") && page.text.contains("name=\"viewport\""));
    assert!(page.text.contains("toys.toys.write") && page.text.contains("price_cents"));
    // Each link to a place on the page leads to one.
    for link in page.text.split("href=\"#").skip(1) {
        let target = link.split('"').next().unwrap();
        assert!(page.text.contains(&format!("id=\"{target}\"")), "#{target} leads nowhere");
    }
    assert_eq!(unbalanced(&page.text), None);
    let style = service.send(ask("GET", "/docs/style.css", &[], "")).await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
}

/// `cargo xtask openapi` writes it, by this test.
#[test]
fn the_kept_document_is_the_one_the_routes_give() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/openapi.json");
    let mut document = serde_json::to_string_pretty(&charter_api::routes().openapi()).unwrap();
    document.push('\n');
    #[expect(
        clippy::disallowed_methods,
        reason = "the switch that writes the document is for people at a terminal"
    )]
    if std::env::var_os("CHARTER_WRITE_OPENAPI").is_some() {
        std::fs::write(path, &document).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == document, "docs/api/openapi.json is old: run `cargo xtask openapi`");
}

#[test]
fn every_operation_is_told_in_one_style() {
    let document = charter_api::routes().openapi();
    for route in &charter_api::routes() {
        let (name, summary) = (route.name(), route.summary());
        let is_sentence = summary.starts_with(char::is_uppercase) && summary.ends_with(['.', '?']);
        assert!(is_sentence, "{name}: {summary:?} is no sentence");
        assert!(route.tag().starts_with(char::is_uppercase), "{name}: {:?} is no heading", route.tag());
        assert!(!route.takes_body() || route.body_example().is_some(), "{name}: its body has no example");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(
            !name.ends_with("View") && !name.ends_with("Body"),
            "{name} says where it is used, not what it is"
        );
    }
}

#[test]
fn the_services_table_has_no_faults() {
    assert_eq!(charter_api::routes().faults(), Vec::<String>::new());
}

#[test]
fn ones_own_permissions_are_described_in_both_forms_and_as_unchanged() {
    let document = charter_api::routes().openapi();
    let operation = &document["paths"]["/api/v1/me/permissions"]["get"];
    let content = operation["responses"]["200"]["content"].as_object().unwrap();
    let kinds: Vec<&String> = content.keys().collect();
    assert_eq!(kinds, ["application/json", "application/vnd.charter.bitmap"]);
    assert!(operation["responses"]["200"]["headers"]["ETag"].is_object());
    assert!(operation["responses"]["304"]["headers"]["ETag"].is_object());
    assert!(operation["responses"]["304"].get("content").is_none());
    assert!(operation["parameters"].to_string().contains("if_none_match"));
}
