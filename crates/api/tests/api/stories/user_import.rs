//! Users of another system over HTTP, with the hashes real libraries made of their passwords.

use super::auth::PASSWORD;
use super::{ANN, Story, Who};
use charter_testkit::both_engines;
use serde_json::{Value, json};

const VECTORS: &str = include_str!("../../../../app/src/identity/adopted_hash/vectors.jsonl");
const IMPORT: &str = "/api/v1/users/import";

fn vectors() -> Vec<Value> {
    VECTORS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

both_engines!(whoever_comes_from_another_system_signs_in_with_the_password_they_have, async |database| {
    let story = Story::company(database).await;
    let of_the_words = |vector: &Value| {
        vector["password"] == PASSWORD && !vector["source"].as_str().unwrap().contains("default")
    };
    let vectors: Vec<Value> = vectors().into_iter().filter(of_the_words).collect();
    assert!(vectors.len() > 20, "{}", vectors.len());
    let users: Vec<Value> = (0..)
        .zip(&vectors)
        .map(|(number, vector)| json!({"login": format!("user{number}@old.example"), "password_hash": vector["hash"]}))
        .collect();
    let body = json!({"users": users});
    let dry = story.post(Who::Operator, &format!("{IMPORT}?dry_run=true"), body.clone()).await.is(200);
    assert_eq!((&dry.body["dry_run"], &dry.body["made"]), (&json!(true), &json!(vectors.len())));
    story.log_in("user0@old.example", PASSWORD).await.is_problem(401, "invalid-credentials");
    let done = story.post(Who::Operator, IMPORT, body.clone()).await.is(200);
    assert_eq!((&done.body["dry_run"], &done.body["made"]), (&json!(false), &json!(vectors.len())));
    assert!(
        done.body["users"].as_array().unwrap().iter().all(|user| user["is_wrapped"] == true),
        "{:#}",
        done.body
    );
    for (number, vector) in vectors.iter().enumerate() {
        let login = format!("user{number}@old.example");
        story.log_in(&login, "wrong horse battery").await.is_problem(401, "invalid-credentials");
        for _ in 0..2 {
            let told = story.log_in(&login, PASSWORD).await;
            assert_eq!(told.status.as_u16(), 200, "{vector}: {:#}", told.body);
        }
    }
    let again = story.post(Who::Operator, IMPORT, body).await.is(200);
    assert_eq!((&again.body["kept"], &again.body["made"]), (&json!(vectors.len()), &json!(0)));
    let trail =
        story.get(Who::Operator, "/api/v1/organizations/platform/audit/events?limit=200").await.is(200);
    let text = trail.body.to_string();
    assert!(text.contains("user.import") && !text.contains("$2b$"), "the trail says who, and holds no hash");
});

both_engines!(
    /// Attack 65 over the wire: refused by name, with the place of the user, and nothing is written.
    what_would_stop_the_service_is_not_taken_over,
    async |database| {
        let story = Story::company(database).await;
        let long = "A".repeat(43);
        let monsters = [
            (format!("$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0${long}"), "1048576 KiB of memory"),
            (format!("$2b$31${}", ".".repeat(53)), "15 of cost"),
            (format!("pbkdf2_sha256$1000000000$salt${long}="), "10000000 rounds"),
            ("md5$salt$5f4dcc3b5aa765d61d8327deb882cf99".to_owned(), "md5 is too weak"),
            ("rot13:uhagre2".to_owned(), "the format is not known"),
        ];
        for (hash, says) in monsters {
            let users = json!({"users": [
                {"login": "fine@old.example", "password_hash": vectors()[0]["hash"]},
                {"login": "monster@old.example", "password_hash": hash},
            ]});
            let told = story.post(Who::Operator, IMPORT, users).await.is_problem(422, "invalid");
            let text = told.body.to_string();
            assert!(text.contains("users/1/password_hash") && text.contains(says), "{text}");
            assert!(!text.contains("uhagre2") && !text.contains(&long), "{text}");
        }
        story.log_in("fine@old.example", PASSWORD).await.is_problem(401, "invalid-credentials");
        let users = json!({"users": [{"login": "x@old.example", "password_hash": vectors()[0]["hash"]}]});
        story.post(ANN, IMPORT, users.clone()).await.is_problem(403, "forbidden");
        story.post(Who::Nobody, IMPORT, users).await.is_problem(401, "unauthenticated");
        story.post(Who::Operator, IMPORT, json!({"users": [{"login": "x@old.example"}]})).await.is(422);
        let extra = json!({"users": [{"login": "x@old.example", "password_hash": "x", "is_admin": true}]});
        story.post(Who::Operator, IMPORT, extra).await.is(422);
    }
);
