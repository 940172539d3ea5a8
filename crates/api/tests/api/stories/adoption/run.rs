//! What works: a run from its beginning to its end, repeated, gone on with.

use super::{HOLDER, OTHER_HOLDER, RUNS, company, id, plan};
use crate::stories::{ANN, Story, Who};
use charter_testkit::both_engines;
use serde_json::{Value, json};

both_engines!(an_adopted_company_has_what_it_had_and_a_second_batch_adds_nothing, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    let told = story.rows(run, company(run)).await.is(200);
    let all = json!({"organizations": 1, "roles": 1, "users": 2, "memberships": 2, "assignments": 2, "grants": 1, "entitlements": 2});
    assert_eq!(told.body["inserted"], all);
    let answers = story.get(Who::Operator, "/api/v1/adoption/answers?organization=shop").await.is(200).body;
    let may = |member: &str| {
        let codes: Vec<&str> =
            answers["codes"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        let members = answers["members"].as_array().unwrap();
        let class = members.iter().find(|it| it[0] == member).unwrap()[1].as_u64().unwrap() as usize;
        let hex = answers["classes"][class].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap();
        let held = codes.iter().enumerate().filter(|(at, _)| byte(at / 8) >> (at % 8) & 1 == 1);
        held.map(|(_, code)| *code).collect::<Vec<_>>()
    };
    let mut ann = may(&id(run, 11));
    ann.sort_unstable();
    assert_eq!(ann, ["sales.invoices.read", "sales.orders.read", "sales.orders.update"]);
    assert_eq!(may(&id(run, 12)), Vec::<&str>::new(), "a deactivated account has nothing");
    assert_eq!((&answers["modules"]["sales"], &answers["modules"]["hr"]), (&json!(true), &json!(false)));
    assert_eq!(answers["next"], Value::Null);

    let again = story.rows(run, company(run)).await.is(200);
    let none: Vec<u64> =
        again.body["inserted"].as_object().unwrap().values().map(|it| it.as_u64().unwrap()).collect();
    assert_eq!(none, [0; 7]);
    for step in ["before", "schema", "data", "equivalence"] {
        let told = story.step(run, step, "done").await.is(200);
        assert_eq!(told.body["state"], if step == "equivalence" { "applied" } else { "applying" });
    }
    // Its place is free, and its plan is done.
    let told = story.post(Who::Operator, RUNS, plan("p1", OTHER_HOLDER)).await.is(200);
    assert_eq!((&told.body["state"], &told.body["run"]), (&json!("applied"), &json!(run)));
    let told = story.post(Who::Operator, RUNS, plan("p2", OTHER_HOLDER)).await.is(201);
    assert_eq!((&told.body["run"], &told.body["resumed"]), (&json!(run + 1), &json!(false)));
    let shown = story.get(Who::Operator, &format!("{RUNS}/{run}")).await.is(200).body;
    assert_eq!(shown["plan"], json!({"users": 3}));
    assert_eq!(shown["steps"].as_array().unwrap().len(), 4);
    let list = story.get(Who::Operator, &format!("{RUNS}?limit=1")).await.is(200).body;
    assert_eq!(list["items"][0]["run"], run + 1);
    let cursor = list["next_cursor"].as_str().unwrap();
    let rest = story.get(Who::Operator, &format!("{RUNS}?limit=1&cursor={cursor}")).await.is(200).body;
    assert_eq!((&rest["items"][0]["run"], &rest["next_cursor"]), (&json!(run), &Value::Null));

    let trail = "/api/v1/organizations/platform/audit/events";
    let events = story.all(Who::Operator, trail, 200, "/action").await;
    let count = |action: &str| events.iter().filter(|it| *it == action).count();
    assert_eq!((count("adoption.begin"), count("adoption.rows"), count("adoption.step")), (2, 2, 4));
    let own = story.get(Who::Operator, "/api/v1/organizations/shop/audit/events").await.is(200);
    assert_eq!(own.body["items"], json!([]), "an adopted organization has no trail yet");
});

both_engines!(links_and_accounts_are_told_page_by_page, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    story.rows(run, company(run)).await.is(200);
    let organizations =
        story.get(Who::Operator, "/api/v1/adoption/organizations?source=legacy").await.is(200);
    // The step of the rows has not begun.
    let link = json!({"legacy_id": "7", "organization": id(run, 1), "key": "shop", "status": "active", "stands": false,
                      "opens": false});
    assert_eq!(organizations.body, json!({"items": [link], "next": null}));
    let first = story.get(Who::Operator, "/api/v1/adoption/users?source=legacy&limit=1").await.is(200).body;
    assert_eq!(
        first,
        json!({"items": [{"legacy_id": "1", "principal": id(run, 11), "shared": false}], "next": "1"})
    );
    let second =
        story.get(Who::Operator, "/api/v1/adoption/users?source=legacy&limit=1&after=1").await.is(200).body;
    assert_eq!(
        second,
        json!({"items": [{"legacy_id": "2", "principal": id(run, 12), "shared": false}], "next": null})
    );
    let none = story.get(Who::Operator, "/api/v1/adoption/users?source=another").await.is(200).body;
    assert_eq!(none, json!({"items": [], "next": null}));
    let logins =
        json!({"logins": ["ANN@shop.example", "nobody@shop.example", "ann@toys.example", "zero\0byte"]});
    let told = story.post(Who::Operator, "/api/v1/adoption/accounts", logins).await.is(200).body;
    let ann = json!({"id": id(run, 11), "kind": "user", "status": "suspended"});
    let toys = json!({"id": story.id_of(ANN), "kind": "user", "status": "active"});
    assert_eq!(told["accounts"], json!([ann, null, toys, null]));
    let answers = "/api/v1/adoption/answers?organization=shop&limit=1";
    let first = story.get(Who::Operator, answers).await.is(200).body;
    assert_eq!((&first["members"][0][0], &first["next"]), (&json!(id(run, 11)), &json!(id(run, 11))));
    let second = story.get(Who::Operator, &format!("{answers}&after={}", id(run, 11))).await.is(200).body;
    assert_eq!((&second["members"][0][0], &second["next"]), (&json!(id(run, 12)), &Value::Null));
});

both_engines!(
    a_run_goes_on_where_it_stopped_and_a_plan_that_was_there_before_is_only_linked,
    async |database| {
        let story = Story::company(database).await;
        let run = story.begin("p1").await;
        story.rows(run, company(run)).await.is(200);
        // Killed; the same operator comes again after the place has run out.
        story.pass(61);
        let told = story.post(Who::Operator, RUNS, plan("p1", OTHER_HOLDER)).await.is(200);
        assert_eq!((&told.body["run"], &told.body["resumed"]), (&json!(run), &json!(true)));
        story.rows(run, company(run)).await.is_problem(409, "in-progress");
        let toys = story.app.resolve_organization("toys").await.unwrap().to_string();
        let ann = story.id_of(ANN).to_string();
        let revision = story.revision("toys").await;
        let rows = json!({
            "holder": OTHER_HOLDER,
            "organizations": [{"legacy_id": "9", "id": toys, "key": "toys", "name": "Toys", "status": "suspended"}],
            "roles": [{"organization": toys, "key": "adopted_x", "name": "X", "level": "viewer", "permissions": ["sales.orders.read"]}],
            "users": [{"legacy_id": "99", "id": ann, "login": "ann@toys.example", "name": "Another", "status": "deactivated"}],
            "memberships": [{"organization": toys, "principal": ann, "status": "deactivated"}],
            "assignments": [{"id": id(run, 41), "organization": toys, "role": "adopted_x", "principal": ann}],
            "entitlements": [{"organization": toys, "module": "hr", "status": "enabled"}],
        });
        let told = story.rows(run, rows.clone()).await.is(200).body;
        let none = json!({"organizations": 0, "roles": 1, "users": 0, "memberships": 0, "assignments": 1, "grants": 0, "entitlements": 1});
        assert_eq!(told["inserted"], none);
        assert!(story.revision("toys").await > revision);
        let shown = story.get(Who::Operator, "/api/v1/organizations/toys").await.is(200).body;
        assert_eq!((&shown["name"], &shown["status"]), (&json!("Soft Toys"), &json!("active")));
        let chain =
            story.get(Who::Operator, "/api/v1/organizations/toys/entitlement-events").await.is(200).body;
        assert_eq!(chain["items"][0]["action"], "entitlement.adopt");
        let again = story.rows(run, rows).await.is(200).body;
        assert_eq!(again["inserted"]["assignments"], 0);
        let chain =
            story.get(Who::Operator, "/api/v1/organizations/toys/entitlement-events").await.is(200).body;
        assert_eq!(chain["items"].as_array().unwrap().len(), 1);
    }
);

both_engines!(an_adopted_user_signs_in_with_the_password_they_had, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    // What Django makes of the password, far too few rounds: it is wrapped.
    let vectors = include_str!("../../../../../app/src/identity/adopted_hash/vectors.jsonl");
    let vectors = vectors.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_the_words = |it: &Value| it["password"] == crate::stories::auth::PASSWORD;
    let hashes: Vec<Value> = vectors.filter(of_the_words).map(|it| it["hash"].clone()).collect();
    assert!(hashes.len() > 20);
    let user = |(number, hash): (usize, &Value)| {
        json!({"legacy_id": number.to_string(), "id": id(run, 100 + number as u128), "login": format!("user{number}@shop.example"),
               "status": "active", "password_hash": hash})
    };
    let users: Vec<Value> = hashes.iter().enumerate().map(user).collect();
    let told = story.rows(run, json!({"holder": HOLDER, "users": users})).await.is(200).body;
    assert_eq!(told["inserted"]["users"], hashes.len());
    story.prove(run).await;
    for number in 0..hashes.len() {
        let login = format!("user{number}@shop.example");
        story.log_in(&login, crate::stories::auth::PASSWORD).await.is(200);
    }
    story.log_in("user0@shop.example", "wrong horse battery").await.is_problem(401, "invalid-credentials");
});
