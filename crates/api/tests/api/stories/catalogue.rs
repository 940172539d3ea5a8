use super::{ANN, BOB, PAT, Story, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::json;

const EXTENSION: &str = include_str!("../../../../catalogue/examples/toys.toml");

both_engines!(the_catalogue_is_shown_to_whoever_is_signed_in, async |database| {
    let story = Story::company(database).await;
    let told = story.get(BOB, "/api/v1/catalogue").await.is(200);
    assert_eq!(told.body["roles"].as_array().unwrap().len(), 22);
    assert!(told.body["permissions"].as_array().unwrap().len() > 250);
    let headers = [("if-none-match", told.header("etag"))];
    story.send(BOB, Method::GET, "/api/v1/catalogue", &headers, None).await.is(304);
    story.get(Who::Nobody, "/api/v1/catalogue").await.is_problem(401, "unauthenticated");
});

both_engines!(own_entries_are_linted_compared_and_put_in_force_by_the_platform, async |database| {
    let story = Story::company(database).await;
    let document = json!({"document": EXTENSION});
    for verb in ["lint", "diff", "apply"] {
        story
            .post(ANN, &format!("/api/v1/catalogue/{verb}"), document.clone())
            .await
            .is_problem(404, "not-found");
    }
    let told = story.post(PAT, "/api/v1/catalogue/lint", document.clone()).await.is(200);
    assert_eq!(told.body["may_apply"], true, "{:#}", told.body);
    let told = story.post(PAT, "/api/v1/catalogue/diff", document.clone()).await.is(200);
    assert_eq!((&told.body["applied"], &told.body["same"]), (&json!(false), &json!(false)));
    let added = told.body["diff"]["permissions"][0]["key"].as_str().unwrap().to_owned();
    let known = async || {
        let all = story.get(BOB, "/api/v1/rbac/permissions").await.is(200);
        all.body["permissions"].as_array().unwrap().contains(&json!(added))
    };
    assert!(!known().await);
    let told = story.post(PAT, "/api/v1/catalogue/apply", document.clone()).await.is(200);
    assert_eq!(told.body["applied"], true);
    assert!(known().await);
    assert_eq!(story.get(PAT, "/api/v1/catalogue/own").await.is(200).body, document);
    // Everything still decides.
    story.get(ANN, "/api/v1/organizations/toys/members").await.is(200);
    let told = story.post(PAT, "/api/v1/catalogue/diff", document).await.is(200);
    assert_eq!(told.body["same"], true);
});

both_engines!(a_document_with_faults_names_each_with_its_line, async |database| {
    let story = Story::company(database).await;
    let broken = EXTENSION.replace("name = ", "nome = ");
    let told = story
        .post(PAT, "/api/v1/catalogue/apply", json!({"document": broken}))
        .await
        .is_problem(422, "invalid");
    assert!(told.body["fields"][0]["field"].as_str().unwrap().starts_with("line "), "{:#}", told.body);
    story.post(PAT, "/api/v1/catalogue/lint", json!({"document": "= what"})).await.is_problem(422, "invalid");
});

both_engines!(applying_what_is_in_force_changes_nothing_and_says_so, async |database| {
    let story = Story::company(database).await;
    let apply = async |document: &str| {
        story.post(PAT, "/api/v1/catalogue/apply", json!({"document": document})).await.is(200)
    };
    assert_eq!(apply(EXTENSION).await.body["applied"], true);
    let revision = story.revision("platform").await;
    for document in [EXTENSION, charter_catalogue::SHIPPED] {
        let told = apply(document).await;
        assert_eq!((&told.body["applied"], &told.body["same"]), (&json!(false), &json!(true)));
    }
    assert_eq!(story.revision("platform").await, revision, "nothing was written, so nothing was recorded");
});
