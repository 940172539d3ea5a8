//! The guide's examples, run from its first line to its last.

use crate::stories::{ANN, BOB, Story, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::Value;

const GUIDE: &str = include_str!("../../../../../../docs/guide/authzen.md");

/// A `curl` of the guide: who, where, what.
struct Call {
    is_administrator: bool,
    path: String,
    body: String,
}

fn calls(block: &str) -> Vec<Call> {
    let call = |text: &str| {
        let path = text.trim_start().strip_prefix("-s $CHARTER").unwrap().split_whitespace().next().unwrap();
        let body = text.rsplit_once("-d '").unwrap().1.trim_end().strip_suffix('\'').unwrap();
        assert!(text.contains("-H 'Content-Type: application/json'"), "{text}");
        let is_administrator = text.contains("Bearer $ADMIN\"");
        assert!(is_administrator || text.contains("-H \"Authorization: Bearer $TOKEN\""), "{text}");
        Call { is_administrator, path: path.to_owned(), body: body.to_owned() }
    };
    block.split("curl ").skip(1).map(call).collect()
}

/// The fenced blocks, each with its language.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fenced = GUIDE.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap()).collect()
}

both_engines!(every_example_of_the_guide_gives_the_answer_it_shows, async |database| {
    let story = Story::company(database).await;
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    for bear in ["bear", "rabbit"] {
        let path = format!("/api/v1/organizations/toys/resources/product/{bear}");
        story.put(Who::Operator, &path, serde_json::json!({})).await.is(200);
    }
    let mut token = String::new();
    let (mut answer, mut shown, mut wrong) = (Value::Null, 0, Vec::new());
    for (language, block) in blocks() {
        match language {
            "sh" => {
                for call in calls(block) {
                    let body: Value = serde_json::from_str(&call.body).unwrap();
                    let told = if call.is_administrator {
                        story.post(ANN, &call.path, body).await.is(201)
                    } else {
                        story.with_token(&token, Method::POST, &call.path, Some(body)).await.is(200)
                    };
                    if let Some(made) = told.body["token"].as_str() {
                        token = made.to_owned();
                    }
                    answer = told.body;
                }
            }
            "json" => {
                shown += 1;
                if answer["page"]["next_token"].as_str().is_some_and(|token| !token.is_empty()) {
                    answer["page"]["next_token"] = "...".into();
                }
                if serde_json::from_str(block).ok() != Some(answer.clone()) {
                    wrong.push(format!("answer {shown} is {answer}"));
                }
            }
            other => panic!("a block in {other}"),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(shown, 6);
});
