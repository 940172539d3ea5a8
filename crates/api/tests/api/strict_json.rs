//! What the parser takes, and how it says why not.

use crate::fake::{Service, ToyDraft};
use charter_api::edge::json::{check, read};
use serde_json::Value;

const TOYS: &str = "/api/v1/organizations/toys/toys";

#[tokio::test]
async fn each_fault_of_a_body_has_its_status_and_names_the_field() {
    let deep = format!("{{\"name\": \"bear\", \"parts\": {}{}}}", "[".repeat(40), "]".repeat(40));
    let rows: &[(&str, u16, &str, &str, &str)] = &[
        ("", 400, "malformed", "", "the body is empty"),
        ("   \n", 400, "malformed", "", "the body is empty"),
        ("{", 400, "malformed", "", "not JSON"),
        ("nonsense", 400, "malformed", "", "not JSON"),
        (r#"{"name": "bear"} x"#, 400, "malformed", "", "goes on after"),
        (r#"{"name": "bear"}{"name": "bear"}"#, 400, "malformed", "", "goes on after"),
        (r#"{"name": "bear",}"#, 400, "malformed", "", "not JSON"),
        (r#"{'name': 'bear'}"#, 400, "malformed", "", "not JSON"),
        (r#"{"name": "bear}"#, 400, "malformed", "", "closing quote"),
        (r#"{"name": "a", "name": "b"}"#, 400, "malformed", "name", "stands twice"),
        (r#"{"name": "a", "n\u0061me": "b"}"#, 400, "malformed", "name", "stands twice"),
        (r#"{"name": "a", "parts": [{"code": "1", "code": "2"}]}"#, 400, "malformed", "code", "stands twice"),
        (&deep, 400, "malformed", "", "nested too deeply"),
        (r#"{"name": "\ud800"}"#, 400, "malformed", "", "surrogate"),
        (r#"{"name": "\ud800x"}"#, 400, "malformed", "", "surrogate"),
        (r#"{"name": "\udc00"}"#, 400, "malformed", "", "surrogate"),
        (r#"{"name": "\ud800\ud800"}"#, 400, "malformed", "", "surrogate"),
        (r#"{"name": "\ud83d\ude00", "colour": "\ud800"}"#, 400, "malformed", "", "surrogate"),
        (r#"{"name": "\uzzzz"}"#, 400, "malformed", "", "not JSON"),
        ("{\"name\": \"a\u{1}b\"}", 400, "malformed", "", "not JSON"),
        (r#"{"name": "bear", "price_cents": 1e400}"#, 400, "malformed", "", "out of range"),
        (r#"{"name": "bear", "price_cents": 4294967296}"#, 422, "invalid", "price_cents", "u32"),
        (r#"{"name": "bear", "price_cents": 99999999999999999999999}"#, 422, "invalid", "price_cents", "u32"),
        (r#"{"name": "bear", "price_cents": -1}"#, 422, "invalid", "price_cents", "u32"),
        (r#"{"name": "bear", "price_cents": 1.5}"#, 422, "invalid", "price_cents", "u32"),
        (r#"{"name": "bear", "price_cents": "1"}"#, 422, "invalid", "price_cents", "u32"),
        (r#"{"name": 1}"#, 422, "invalid", "name", "expected a string"),
        (r#"{"name": null}"#, 422, "invalid", "name", "expected a string"),
        (r#"{}"#, 422, "invalid", "name", "is missing"),
        (r#"[]"#, 422, "invalid", "", "the body"),
        (r#"null"#, 422, "invalid", "", "the body"),
        (r#"{"name": "bear", "colour": "red"}"#, 422, "invalid", "colour", "is unknown: expected one of"),
        (
            r#"{"name": "b", "parts": [{"code": "1"}, {"kode": "2"}]}"#,
            422,
            "invalid",
            "parts.1.kode",
            "is unknown",
        ),
        (r#"{"name": "b", "parts": [{}]}"#, 422, "invalid", "parts.0.code", "is missing"),
        (r#"{"name": "b", "parts": {"code": "1"}}"#, 422, "invalid", "parts", "expected a sequence"),
    ];
    let service = Service::default();
    for (body, status, slug, field, detail) in rows {
        let answer = if body.is_empty() {
            let headers = [("authorization", "Bearer ann"), ("content-type", "application/json")];
            service.send(crate::fake::ask("POST", TOYS, &headers, "")).await
        } else {
            service.ann("POST", TOYS, body).await
        };
        assert_eq!((answer.status, answer.slug().as_str()), (*status, *slug), "{body}: {answer:?}");
        let document = answer.json();
        assert!(document["detail"].as_str().unwrap().contains(detail), "{body}: {document}");
        if !field.is_empty() {
            assert_eq!(document["fields"][0]["field"], *field, "{body}: {document}");
        }
    }
    assert_eq!(service.gate.made.load(std::sync::atomic::Ordering::SeqCst), 0, "no handler ran");
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let problem = check(b"{\"name\": \"\xff\xfe\"}").unwrap_err();
    assert!(problem.detail.contains("not UTF-8: byte 10"), "{problem}");
    assert!(check(b"\"\xed\xa0\x80\"").is_err(), "a surrogate as bytes");
}

#[test]
fn a_value_that_is_strict_is_read() {
    let draft: ToyDraft =
        read("{\"name\": \"b\u{e4}r \\ud83d\\ude00 \\\"q\\\\\", \"parts\": [{\"code\": \"a\"}, {\"code\": \"b\"}]}".as_bytes())
            .unwrap();
    assert_eq!(draft.name, "b\u{e4}r \u{1f600} \"q\\");
    for text in [
        "1",
        "[]",
        "{}",
        "\"\"",
        "[[],{\"a\":{\"a\":1}},{\"a\":2}]",
        "{\"a\":[{\"b\":1},{\"b\":2}],\"b\":3}",
        "{\"\":1}",
    ] {
        assert!(read::<Value>(text.as_bytes()).is_ok(), "{text}");
    }
}

#[test]
fn the_depth_limit_is_exact() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(check(nested(32).as_bytes()).is_ok());
    assert!(check(nested(33).as_bytes()).is_err());
    let closed_and_opened = format!("[{}]", vec!["{\"a\":[]}"; 1000].join(","));
    assert!(check(closed_and_opened.as_bytes()).is_ok());
}

#[test]
fn a_key_that_stands_twice_among_many_is_found() {
    for count in [2usize, 23, 24, 25, 26, 100, 5_000] {
        let mut keys: Vec<String> = (0..count).map(|number| format!("\"k{number}\":1")).collect();
        assert!(check(format!("{{{}}}", keys.join(",")).as_bytes()).is_ok(), "{count} keys");
        keys.push("\"k1\":2".to_owned());
        let problem = check(format!("[{{{}}}]", keys.join(",")).as_bytes()).unwrap_err();
        assert!(problem.detail.contains("`k1` stands twice"), "{count}: {problem}");
    }
}

#[test]
fn brackets_and_quotes_inside_texts_mean_nothing() {
    assert!(check(br#"{"a": "{\"a\":[", "b": "}]\\", "c": "\""}"#).is_ok());
    assert!(read::<Value>(br#"{"a": "\\", "a": 1}"#).is_err());
}
