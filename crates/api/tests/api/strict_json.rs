//! What the parser takes, and how it says why not.

use crate::fake::{Service, ToyDraft};
use charter_api::edge::json::{check, read};
use proptest::prelude::*;
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
        (r#"[]"#, 422, "invalid", "", "the body: is a list, expected an object"),
        (r#"["bear"]"#, 422, "invalid", "", "the body: is a list, expected an object"),
        (r#"{"name": "b", "parts": [["1"]]}"#, 422, "invalid", "parts.0", "is a list, expected an object"),
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
        (
            r#"{"name": "b", "parts": {"code": "1"}}"#,
            422,
            "invalid",
            "parts",
            "is an object, expected a list",
        ),
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

/// A JSON value whose objects may hold a key twice.
#[derive(Debug, Clone)]
enum Tree {
    Leaf(&'static str),
    List(Vec<Tree>),
    Object(Vec<(String, bool, Tree)>),
}

impl Tree {
    fn has_a_key_twice(&self) -> bool {
        match self {
            Self::Leaf(_) => false,
            Self::List(items) => items.iter().any(Self::has_a_key_twice),
            Self::Object(fields) => {
                let names: std::collections::BTreeSet<&str> =
                    fields.iter().map(|(name, _, _)| name.as_str()).collect();
                names.len() < fields.len() || fields.iter().any(|(_, _, value)| value.has_a_key_twice())
            }
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Leaf(text) => out.push_str(text),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { " , " } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (at, (name, is_escaped, value)) in fields.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    if *is_escaped {
                        let escaped: String =
                            name.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect();
                        out.push_str(&format!("\"{escaped}\""));
                    } else {
                        out.push_str(&serde_json::to_string(name).unwrap());
                    }
                    out.push_str(" : ");
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop::sample::select(vec![
        "1",
        "-0.5e3",
        "null",
        "true",
        "\"\"",
        "\"{\\\"a\\\":[\"",
        "\"\\\\\"",
        "\"\\ud83d\\ude00,\"",
        "{}",
        "[]",
    ]);
    leaf.prop_map(Tree::Leaf).prop_recursive(6, 60, 8, |inner| {
        let field = ("[ab\"\\\\{},:]{0,2}", any::<bool>(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Tree::List),
            prop::collection::vec(field, 0..5).prop_map(Tree::Object),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn a_key_is_found_twice_exactly_when_it_stands_twice(tree in trees()) {
        let mut text = String::new();
        tree.write(&mut text);
        prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        prop_assert_eq!(check(text.as_bytes()).is_err(), tree.has_a_key_twice(), "{}", text);
    }

    #[test]
    fn nothing_that_arrives_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "[\\[\\]{}\",:\\\\u0d8a-f]{0,60}") {
        for body in [bytes.as_slice(), text.as_bytes()] {
            if read::<Value>(body).is_ok() {
                prop_assert!(serde_json::from_slice::<Value>(body).is_ok());
            }
        }
    }
}
