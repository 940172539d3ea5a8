use super::{ANN, BOB, Story, changes};
use charter_testkit::both_engines;
use serde_json::json;

const ROLES: &str = "/api/v1/organizations/toys/roles";

both_engines!(an_own_role_gives_what_it_says_and_what_it_inherits, async |database| {
    let story = Story::company(database).await;
    let body =
        json!({"key": "reader", "name": "Reader", "permissions": [{"permission": "sales.invoices.read"}]});
    let told = story.post(ANN, ROLES, body).await.is(201);
    assert_eq!(told.body["role"]["level"], "viewer");
    let body = json!({
        "key": "clerk", "name": "Clerk", "parents": ["reader"], "level": "developer",
        "permissions": [{"permission": "sales.invoices.create"}],
    });
    story.post(ANN, ROLES, body).await.is(201);
    assert_eq!(story.get(ANN, &format!("{ROLES}/clerk")).await.is(200).body["permissions_count"], 2);
    story.assign(ANN, "toys", BOB, "clerk").await.is(201);
    assert!(story.allows("toys", BOB, "sales.invoices.read").await);

    let told = story.patch(ANN, &format!("{ROLES}/reader"), json!({"permissions": []})).await.is(200);
    assert_eq!(changes(&told), ["bob@toys.example lost sales.invoices.read"]);
    assert!(!story.allows("toys", BOB, "sales.invoices.read").await);
    story.delete(ANN, &format!("{ROLES}/clerk")).await.is_problem(409, "in-use");
    story.delete(ANN, &format!("{ROLES}/reader")).await.is_problem(409, "in-use");
});

both_engines!(a_role_that_cannot_be_is_refused, async |database| {
    let story = Story::company(database).await;
    let create = async |body| story.post(ANN, ROLES, body).await;
    create(json!({"key": "accountant", "name": "Mine"})).await.is_problem(409, "taken");
    create(json!({"key": "a", "name": "A"})).await.is(201);
    create(json!({"key": "b", "name": "B", "parents": ["a"]})).await.is(201);
    create(json!({"key": "a", "name": "A"})).await.is_problem(409, "taken");
    create(json!({"key": "c", "name": "C", "parents": ["nobody"]})).await.is_problem(422, "invalid");
    create(json!({"key": "c", "name": "C", "permissions": [{"permission": "finance.dragons.ride"}]}))
        .await
        .is_problem(422, "invalid");
    create(json!({"key": "c", "name": "C", "permissions": [{"permission": "finance"}]}))
        .await
        .is_problem(422, "invalid");
    create(json!({"key": "c", "name": "C", "permissions": [{"permission": "sales.invoices.read", "condition": "none"}]}))
        .await
        .is_problem(422, "invalid");
    story.patch(ANN, &format!("{ROLES}/a"), json!({"parents": ["b"]})).await.is_problem(422, "invalid");
    story
        .patch(ANN, &format!("{ROLES}/accountant"), json!({"name": "Mine"}))
        .await
        .is_problem(403, "forbidden");
    story.delete(ANN, &format!("{ROLES}/accountant")).await.is_problem(403, "forbidden");
    story.get(ANN, &format!("{ROLES}/c")).await.is_problem(404, "not-found");
});

both_engines!(shipped_and_own_roles_are_listed_together, async |database| {
    let story = Story::company(database).await;
    story.post(ANN, ROLES, json!({"key": "zebra", "name": "Zebra"})).await.is(201);
    let keys = story.all(ANN, ROLES, 9, "/key").await;
    assert_eq!(keys.len(), 23);
    assert!(keys.is_sorted());
    let shipped = story.get(ANN, &format!("{ROLES}/accountant")).await.is(200).body;
    assert_eq!(shipped["shipped"], true);
    assert_ne!(shipped["description"], "");
    assert_eq!(story.get(ANN, &format!("{ROLES}/zebra")).await.is(200).body["shipped"], false);
});

both_engines!(a_role_is_shown_with_every_permission_it_gives, async |database| {
    let story = Story::company(database).await;
    let small =
        json!({"condition": {"form": "at_most", "of": "resource", "attribute": "amount", "limit": 1000}});
    story.put(ANN, "/api/v1/organizations/toys/conditions/small", small).await.is(200);
    let reader =
        json!({"key": "reader", "name": "Reader", "permissions": [{"permission": "sales.invoices.read"}]});
    story.post(ANN, ROLES, reader).await.is(201);
    let clerk = json!({
        "key": "clerk", "name": "Clerk", "parents": ["reader"],
        "permissions": [
            {"permission": "sales.invoices.*", "condition": "small"}, {"permission": "sales.invoices.create"},
        ],
    });
    story.post(ANN, ROLES, clerk).await.is(201);
    let told = story.get(ANN, &format!("{ROLES}/clerk")).await.is(200);
    let gives = told.body["effective_permissions"].as_array().unwrap();
    assert_eq!(json!(gives.len()), told.body["permissions_count"]);
    let certain: Vec<&str> = gives
        .iter()
        .filter(|it| it["conditional"] == false)
        .map(|it| it["permission"].as_str().unwrap())
        .collect();
    assert_eq!(certain, ["sales.invoices.create", "sales.invoices.read"]);
    assert!(gives.len() > 2);
    let shipped = story.get(ANN, &format!("{ROLES}/viewer")).await.is(200).body;
    assert_eq!(shipped["effective_permissions"].as_array().unwrap().len(), 17);
});
