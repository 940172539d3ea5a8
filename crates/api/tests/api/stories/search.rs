use super::{ANN, BOB, CAT, EVE, Story, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const SEARCH: &str = "/api/v1/organizations/toys/search";

async fn every(
    story: &Story,
    who: Who,
    path: &str,
    body: &Value,
    limit: usize,
    pointer: &str,
) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let told = story.post(who, &format!("{path}?limit={limit}{cursor}"), body.clone()).await.is(200);
        found.extend(told.each(pointer));
        match told.body["next_cursor"].as_str() {
            None => return found,
            Some(next) => cursor = format!("&cursor={next}"),
        }
    }
}

both_engines!(who_can_lists_everybody_a_check_allows_and_nobody_else, async |database| {
    let story = Story::company(database).await;
    let people: Vec<String> = (0..12).map(|number| format!("p{number}@toys.example")).collect();
    for (number, login) in people.iter().enumerate() {
        story
            .post(Who::Operator, "/api/v1/organizations/toys/members", json!({"login": login}))
            .await
            .is(201);
        if number % 3 == 0 {
            let body = json!({"role": "accountant", "subject": {"member": login}});
            story.post(ANN, "/api/v1/organizations/toys/assignments", body).await.is(201);
        }
    }
    let asked = json!({"permission": "finance.vouchers.create"});
    let whole = every(&story, ANN, &format!("{SEARCH}/who-can"), &asked, 200, "/login").await;
    for limit in [1, 2, 5] {
        assert_eq!(every(&story, ANN, &format!("{SEARCH}/who-can"), &asked, limit, "/login").await, whole);
    }
    let mut brute = Vec::new();
    for login in story.all(ANN, "/api/v1/organizations/toys/members", 200, "/login").await {
        let body = json!({"subject": login, "permission": "finance.vouchers.create"});
        let told = story.post(ANN, "/api/v1/organizations/toys/checks", body).await.is(200);
        if told.body["decision"] == "allow" {
            brute.push(login);
        }
    }
    let (mut whole, mut brute) = (whole, brute);
    whole.sort();
    brute.sort();
    assert_eq!(whole, brute);
    assert_eq!(whole.len(), 5, "four accountants and ann");
    story.post(BOB, &format!("{SEARCH}/who-can"), asked.clone()).await.is_problem(403, "forbidden");
    story.post(EVE, &format!("{SEARCH}/who-can"), asked).await.is_problem(404, "not-found");
    let nothing = json!({"permission": "finance.dragons.ride"});
    assert!(every(&story, ANN, &format!("{SEARCH}/who-can"), &nothing, 9, "/login").await.is_empty());
    let programs = json!({"permission": "finance.vouchers.create", "subject_kind": "service_account"});
    assert!(every(&story, ANN, &format!("{SEARCH}/who-can"), &programs, 9, "/login").await.is_empty());
});

both_engines!(what_can_lists_every_permission_a_check_allows, async |database| {
    let story = Story::company(database).await;
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    let path = format!("{SEARCH}/what-can");
    let asked = json!({"subject": "bob@toys.example"});
    let whole = every(&story, ANN, &path, &asked, 200, "/permission").await;
    assert_eq!(every(&story, ANN, &path, &asked, 7, "/permission").await, whole);
    assert_eq!(every(&story, BOB, &path, &json!({}), 200, "/permission").await, whole);
    let codes = story.get(BOB, "/api/v1/rbac/permissions").await.is(200).body["permissions"].clone();
    let checks: Vec<Value> =
        codes.as_array().unwrap().iter().map(|code| json!({"permission": code})).collect();
    let told =
        story.post(BOB, "/api/v1/organizations/toys/checks/batch", json!({"checks": checks})).await.is(200);
    let answers = told.body["answers"].as_array().unwrap();
    let brute: Vec<&str> = answers
        .iter()
        .filter(|answer| answer["decision"] == "allow")
        .map(|answer| answer["permission"].as_str().unwrap())
        .collect();
    assert_eq!(whole, brute);
    assert!(whole.len() > 40);
    story.post(CAT, &path, asked).await.is_problem(403, "forbidden");
});

both_engines!(list_resources_lists_those_that_are_registered_or_named, async |database| {
    let story = Story::company(database).await;
    for number in 1..=5 {
        let place = format!("/api/v1/organizations/toys/resources/vouchers/{number}");
        let owner = if number % 2 == 0 { json!("bob@toys.example") } else { Value::Null };
        story.put(ANN, &place, json!({"owner": owner})).await.is(200);
    }
    let mine = json!({"condition": {"form": "owner"}});
    story.put(ANN, "/api/v1/organizations/toys/conditions/mine", mine).await.is(200);
    for body in [
        json!({"subject": {"member": "bob@toys.example"}, "permission": "finance.vouchers.approve", "condition": "mine", "reason": "own"}),
        json!({"subject": {"member": "bob@toys.example"}, "permission": "finance.vouchers.approve",
               "reach": {"type": "vouchers", "id": "9"}, "reason": "one more"}),
    ] {
        story.post(ANN, "/api/v1/organizations/toys/grants", body).await.is(201);
    }
    let path = format!("{SEARCH}/resources");
    let asked = json!({"subject": "bob@toys.example", "type": "vouchers", "action": "approve"});
    assert_eq!(every(&story, ANN, &path, &asked, 200, "/id").await, ["2", "4", "9"]);
    assert_eq!(every(&story, ANN, &path, &asked, 1, "/id").await, ["2", "4", "9"]);
    let asked = json!({"type": "vouchers", "permission": "finance.vouchers.approve"});
    assert_eq!(every(&story, BOB, &path, &asked, 2, "/id").await, ["2", "4", "9"]);
    assert!(every(&story, CAT, &path, &asked, 2, "/id").await.is_empty());
});

both_engines!(ones_own_permissions_come_as_a_list_or_as_a_bitmap_with_a_tag, async |database| {
    let story = Story::company(database).await;
    story.assign(ANN, "toys", BOB, "accountant").await.is(201);
    let path = "/api/v1/me/permissions";
    let list = story.get(BOB, path).await.is(200);
    let held: Vec<&str> =
        list.body["permissions"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect();
    assert!(held.contains(&"finance.vouchers.create"));
    let named = story.get(BOB, &format!("{path}?organization=toys&format=list")).await.is(200);
    assert_eq!(named.body, list.body);

    let accept = [("accept", "application/vnd.charter.bitmap")];
    let map = story.send(BOB, Method::GET, path, &accept, None).await.is(200);
    assert_eq!(map.header("content-type"), "application/vnd.charter.bitmap");
    assert_eq!(story.get(BOB, &format!("{path}?format=bitmap")).await.is(200).body, map.body);
    let all = story.get(BOB, "/api/v1/rbac/permissions").await.is(200);
    assert_eq!(all.body["codes_hash"], map.body["codes_hash"]);
    let codes = all.body["permissions"].as_array().unwrap();
    assert_eq!(map.body["codes_count"], codes.len());
    let bits = decode(map.body["bits"].as_str().unwrap());
    let from_bits: Vec<&str> = codes
        .iter()
        .enumerate()
        .filter(|(at, _)| bits[at / 8] >> (at % 8) & 1 == 1)
        .map(|(_, code)| code.as_str().unwrap())
        .collect();
    assert_eq!(from_bits, held);

    let etag = map.header("etag").to_owned();
    let again = async || {
        let headers = [("accept", "application/vnd.charter.bitmap"), ("if-none-match", etag.as_str())];
        story.send(BOB, Method::GET, path, &headers, None).await
    };
    assert_eq!(again().await.is(304).body, Value::Null);
    story.assign(ANN, "toys", CAT, "planner").await.is(201);
    again().await.is(304);
    story.assign(ANN, "toys", BOB, "planner").await.is(201);
    assert_ne!(again().await.is(200).header("etag"), etag);
    story.get(BOB, &format!("{path}?organization=trade")).await.is_problem(404, "not-found");
    story.get(BOB, &format!("{path}?format=picture")).await.is_problem(400, "malformed");
    story.get(Who::Nobody, path).await.is_problem(401, "unauthenticated");
});

/// Reads base64.
fn decode(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for digit in text.bytes().filter(|byte| *byte != b'=') {
        bits = bits << 6 | DIGITS.iter().position(|known| *known == digit).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
