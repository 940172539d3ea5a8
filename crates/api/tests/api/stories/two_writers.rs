use super::{ANN, BOB, Story, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

both_engines!(twenty_writers_at_once_lose_no_update, async |database| {
    let story = Arc::new(Story::company(database).await);
    story
        .post(ANN, "/api/v1/organizations/toys/teams", json!({"key": "crowd", "name": "Crowd"}))
        .await
        .is(201);
    for number in 0..20 {
        let body = json!({"login": format!("p{number}@toys.example")});
        story.post(Who::Operator, "/api/v1/organizations/toys/members", body).await.is(201);
    }
    let before = story.revision("toys").await;
    let mut work = JoinSet::new();
    for number in 0..20 {
        let story = Arc::clone(&story);
        #[allow(clippy::disallowed_methods, reason = "writers at once are the story")]
        work.spawn(async move {
            let place = format!("/api/v1/organizations/toys/teams/crowd/members/p{number}@toys.example");
            story.send(ANN, Method::PUT, &place, &[], None).await.is(200).body["revision"].as_u64().unwrap()
        });
    }
    let mut revisions = work.join_all().await;
    revisions.sort_unstable();
    assert_eq!(revisions, (before + 1..=before + 20).collect::<Vec<_>>());
    let path = "/api/v1/organizations/toys/teams/crowd/members";
    assert_eq!(story.all(ANN, path, 7, "/login").await.len(), 20);
    let told =
        story.send(Who::Operator, Method::POST, "/api/v1/organizations/toys/audit/verify", &[], None).await;
    assert_eq!(told.is(200).body["verified"], true);
});

both_engines!(of_two_writers_who_read_the_same_revision_one_is_told_to_read_again, async |database| {
    let story = Arc::new(Story::company(database).await);
    let etag = format!("\"r{}\"", story.revision("toys").await);
    let mut work = JoinSet::new();
    for number in 0..6 {
        let (story, etag) = (Arc::clone(&story), etag.clone());
        #[allow(clippy::disallowed_methods, reason = "writers at once are the story")]
        work.spawn(async move {
            let body = json!({"name": format!("Bob {number}")});
            let place = "/api/v1/organizations/toys/members/bob@toys.example";
            story.send(ANN, Method::PATCH, place, &[("if-match", &etag)], Some(body)).await.status.as_u16()
        });
    }
    let mut statuses = work.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412]);
});

both_engines!(once_a_revocation_is_answered_nobody_is_let_through_by_the_old_facts, async |database| {
    let story = Arc::new(Story::company(database).await);
    let mut noise = JoinSet::new();
    for number in 0..3 {
        let story = Arc::clone(&story);
        #[allow(clippy::disallowed_methods, reason = "writers at once are the story")]
        noise.spawn(async move {
            for round in 0..10 {
                let body = json!({"key": format!("t{number}-{round}"), "name": "noise"});
                story.post(ANN, "/api/v1/organizations/toys/teams", body).await.is(201);
            }
        });
    }
    for _ in 0..10 {
        let body = json!({"subject": {"member": "bob@toys.example"}, "permission": "sales.invoices.read", "reason": "a moment"});
        let told = story.post(ANN, "/api/v1/organizations/toys/grants", body).await.is(201);
        assert!(story.allows("toys", BOB, "sales.invoices.read").await);
        let place =
            format!("/api/v1/organizations/toys/grants/{}", told.body["grant"]["id"].as_str().unwrap());
        story.delete(ANN, &place).await.is(200);
        assert!(!story.allows("toys", BOB, "sales.invoices.read").await);
    }
    noise.join_all().await;
    assert_eq!(story.all(ANN, "/api/v1/organizations/toys/teams", 50, "/key").await.len(), 30);
});

both_engines!(of_two_who_take_the_last_administrators_away_one_is_refused, async |database| {
    let story = Arc::new(Story::company(database).await);
    story.assign(ANN, "toys", BOB, "org_admin").await.is(201);
    let mut work = JoinSet::new();
    for login in ["ann@toys.example", "bob@toys.example"] {
        let story = Arc::clone(&story);
        #[allow(clippy::disallowed_methods, reason = "writers at once are the story")]
        work.spawn(async move {
            let place = format!("/api/v1/organizations/toys/members/{login}");
            story.patch(Who::Operator, &place, json!({"status": "suspended"})).await.status.as_u16()
        });
    }
    let mut statuses = work.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
});
