use super::auth::{PASSWORD, token_of};
use super::{ANN, BOB, CAT, EVE, PAT, Story, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::json;

const MEMBERS: &str = "/api/v1/organizations/toys/members";

both_engines!(a_member_is_added_shown_changed_and_removed, async |database| {
    let story = Story::company(database).await;
    let body = json!({
        "login": " Dan@Toys.Example ", "name": "Dan", "to": "2028-01-01T00:00:00+01:00", "attributes": {"department": "sales"},
    });
    let told = story.post(ANN, MEMBERS, body.clone()).await.is(201);
    let member = &told.body["member"];
    assert_eq!(member["login"], "dan@toys.example");
    assert_eq!(member["to"], "2027-12-31T23:00:00Z");
    assert_eq!(member["status"], "active");
    assert_eq!(told.body["dry_run"], false);
    let place = told.header("location").to_owned();
    assert!(place.ends_with(&format!("/members/{}", member["id"].as_str().unwrap())));

    story.post(ANN, MEMBERS, body).await.is_problem(409, "taken");

    let shown = story.get(ANN, &place).await.is(200);
    assert_eq!(shown.body["attributes"]["department"], "sales");
    assert_eq!(story.get(ANN, &format!("{MEMBERS}/DAN@toys.example")).await.is(200).body, shown.body);

    let change = json!({"name": "Daniel", "to": null, "attributes": {"department": "finance"}});
    let told = story.patch(ANN, &place, change).await.is(200);
    assert_eq!(told.body["member"]["name"], "Daniel");
    assert_eq!(told.body["member"]["to"], json!(null));
    assert_eq!(told.body["member"]["attributes"], json!({"department": "finance"}));

    let told = story.patch(ANN, &place, json!({"status": "suspended", "reason": "long leave"})).await.is(200);
    assert_eq!(told.body["member"]["status"], "suspended");

    story.delete(ANN, &format!("{place}?reason=left")).await.is(200);
    story.get(ANN, &place).await.is_problem(404, "not-found");
});

both_engines!(a_member_that_says_too_much_or_too_little_is_refused_by_field, async |database| {
    let story = Story::company(database).await;
    let before = story.revision("toys").await;
    for (body, field) in [
        (json!({}), "login"),
        (json!({"login": "dan@"}), "login"),
        (json!({"login": "dan@toys.example", "nickname": "d"}), "nickname"),
        (json!({"login": "dan@toys.example", "kind": "robot"}), "kind"),
        (json!({"login": "dan@toys.example", "from": "2027-02-01"}), "from"),
        (
            json!({"login": "dan@toys.example", "from": "2028-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}),
            "to",
        ),
        (json!({"login": "dan@toys.example", "attributes": [1]}), "attributes"),
        (json!({"login": "dan@toys.example", "name": "tab\there"}), "name"),
    ] {
        let told = story.post(ANN, MEMBERS, body).await.is_problem(422, "invalid");
        assert!(told.body["fields"].to_string().contains(field), "{:#}", told.body);
    }
    assert_eq!(story.revision("toys").await, before);
});

both_engines!(members_are_listed_page_by_page_each_once, async |database| {
    let story = Story::company(database).await;
    for number in 0..23 {
        let body = json!({"login": format!("person{number}@toys.example")});
        story.post(Who::Operator, MEMBERS, body).await.is(201);
    }
    let whole = story.all(ANN, MEMBERS, 200, "/login").await;
    assert_eq!(whole.len(), 26);
    for limit in [1, 7, 26] {
        assert_eq!(story.all(ANN, MEMBERS, limit, "/login").await, whole);
    }
    let cursor =
        story.get(ANN, &format!("{MEMBERS}?limit=5")).await.body["next_cursor"].as_str().unwrap().to_owned();
    story
        .get(ANN, &format!("/api/v1/organizations/toys/teams?cursor={cursor}"))
        .await
        .is_problem(400, "malformed");
    story.get(ANN, &format!("{MEMBERS}?limit=0")).await.is_problem(400, "malformed");
    story.get(ANN, &format!("{MEMBERS}?limit=201")).await.is_problem(400, "malformed");
});

both_engines!(a_dry_run_tells_everything_and_writes_nothing, async |database| {
    let story = Story::company(database).await;
    let before = story.revision("toys").await;
    let told = story
        .post(ANN, &format!("{MEMBERS}?dry_run=true"), json!({"login": "dan@toys.example"}))
        .await
        .is(200);
    assert_eq!(told.body["dry_run"], true);
    assert_eq!(told.body["revision"], before);
    assert_eq!(told.header("location"), "");
    story.get(ANN, &format!("{MEMBERS}/dan@toys.example")).await.is(404);
    assert_eq!(story.revision("toys").await, before);
});

both_engines!(the_last_administrator_is_neither_suspended_nor_removed_nor_ended, async |database| {
    let story = Story::company(database).await;
    let ann = format!("{MEMBERS}/ann@toys.example");
    story
        .patch(Who::Operator, &ann, json!({"status": "suspended"}))
        .await
        .is_problem(409, "last-administrator");
    story
        .patch(Who::Operator, &ann, json!({"to": "2028-01-01T00:00:00Z"}))
        .await
        .is_problem(409, "last-administrator");
    story.delete(Who::Operator, &ann).await.is_problem(409, "last-administrator");
    assert!(story.allows("toys", ANN, "admin.users.read").await);

    story.assign(Who::Operator, "toys", BOB, "org_admin").await.is(201);
    story.patch(Who::Operator, &ann, json!({"status": "suspended"})).await.is(200);
    assert!(!story.allows("toys", ANN, "admin.users.read").await);
});

both_engines!(an_account_of_several_organizations_is_suspended_by_none_of_them, async |database| {
    let story = Story::company(database).await;
    story
        .post(Who::Operator, "/api/v1/organizations/trade/members", json!({"login": "bob@toys.example"}))
        .await
        .is(201);
    let bob = format!("{MEMBERS}/bob@toys.example");
    // Each says who works there, and none says it for the others; name and account are beyond them all.
    for beyond in [json!({"account_status": "deactivated"}), json!({"name": "Bobby"})] {
        story.patch(ANN, &bob, beyond).await.is_problem(403, "forbidden");
    }
    story.patch(ANN, &bob, json!({"status": "deactivated"})).await.is(200);
    let there = story.get(EVE, "/api/v1/organizations/trade/members/bob@toys.example").await.is(200).body;
    assert_eq!((&there["status"], &there["account_status"]), (&json!("active"), &json!("active")));
    story.patch(ANN, &bob, json!({"to": "2028-01-01T00:00:00Z"})).await.is(200);
});

both_engines!(changing_a_status_needs_its_own_permission, async |database| {
    let story = Story::company(database).await;
    let grant = json!({"subject": {"member": "bob@toys.example"}, "permission": "admin.users.update", "reason": "help desk"});
    story.post(ANN, "/api/v1/organizations/toys/grants", grant).await.is(201);
    let cat = format!("{MEMBERS}/cat@toys.example");
    story.patch(BOB, &cat, json!({"name": "Cat"})).await.is(200);
    let told = story.patch(BOB, &cat, json!({"status": "suspended"})).await.is_problem(403, "forbidden");
    assert_eq!(told.body["reason"], "no_grant");
    story.get(PAT, &cat).await.is_problem(404, "not-found");
});

both_engines!(a_suspension_is_of_one_organization_unless_the_platform_says_otherwise, async |database| {
    let story = Story::company(database).await;
    let own = |organization: &str| format!("/api/v1/organizations/{organization}/members");
    let place = |organization: &str| format!("{}/vic@toys.example", own(organization));
    // The other organization makes the account first, and suspends it.
    story.post(EVE, &own("trade"), json!({"login": "vic@toys.example"})).await.is(201);
    story.patch(EVE, &place("trade"), json!({"status": "suspended"})).await.is(200);
    story
        .patch(EVE, &place("trade"), json!({"account_status": "suspended"}))
        .await
        .is_problem(403, "forbidden");
    story.post(Who::Operator, &own("toys"), json!({"login": "vic@toys.example"})).await.is(201);
    let here = story.get(ANN, &place("toys")).await.is(200).body;
    assert_eq!((&here["status"], &here["account_status"]), (&json!("active"), &json!("active")));
    story.assign(ANN, "toys", Who::Named("vic@toys.example"), "viewer").await.is(201);
    let vic = Who::Named("vic@toys.example");
    let asked = json!({"permission": "dashboard.boards.read"});
    assert_eq!(story.decision("toys", vic, asked.clone()).await["decision"], "allow");
    let password = json!({"password": "a long pass phrase"});
    story.post(Who::Operator, "/api/v1/users/vic@toys.example/password", password.clone()).await.is(200);
    let sign_in = async || {
        let body = json!({"login": "vic@toys.example", "password": "a long pass phrase"});
        story.post(Who::Nobody, "/api/v1/auth/login", body).await
    };
    let told = sign_in().await.is(200);
    let token = told.body["access_token"].as_str().unwrap().to_owned();
    story.with_token(&token, Method::GET, "/api/v1/me/permissions", None).await.is(200);
    story.with_token(&token, Method::GET, &own("trade"), None).await.is_problem(404, "not-found");

    // Whatever the other organization does later is its own business as well.
    for status in ["deactivated", "active", "suspended"] {
        story.patch(EVE, &place("trade"), json!({"status": status})).await.is(200);
        assert_eq!(story.decision("toys", vic, asked.clone()).await["decision"], "allow");
        let told = story.decision("trade", vic, asked.clone()).await;
        assert_eq!(told["reason"] == "principal_inactive", status != "active", "{told}");
    }
    story.delete(EVE, &place("trade")).await.is(200);
    assert_eq!(story.decision("toys", vic, asked.clone()).await["decision"], "allow");

    // Stopped here, in the one organization there is, or everywhere, by the platform.
    for (who, change, back) in [
        (ANN, json!({"status": "suspended"}), json!({"status": "active"})),
        (Who::Operator, json!({"account_status": "suspended"}), json!({"account_status": "active"})),
    ] {
        story.patch(who, &place("toys"), change.clone()).await.is(200);
        assert_eq!(story.decision("toys", vic, asked.clone()).await["reason"], "principal_inactive");
        sign_in().await.is_problem(401, "invalid-credentials");
        story.patch(ANN, &place("toys"), json!({"name": "Vic"})).await.is(200);
        assert_eq!(story.decision("toys", vic, asked.clone()).await["reason"], "principal_inactive");
        story.patch(who, &place("toys"), back).await.is(200);
        sign_in().await.is(200);
    }
    let told =
        story.patch(Who::Operator, &place("toys"), json!({"account_status": "suspended"})).await.is(200);
    assert_eq!(told.body["member"]["account_status"], "suspended");
    story.patch(ANN, &place("toys"), json!({"status": "active"})).await.is(200);
    assert_eq!(story.decision("toys", vic, asked).await["reason"], "principal_inactive");
});

both_engines!(
    /// Attack 13.
    the_token_of_a_member_who_was_removed_opens_nothing_here,
    async |database| {
        let story = Story::with_password(database).await;
        let password = json!({"password": PASSWORD});
        story.post(Who::Operator, "/api/v1/users/cat@toys.example/password", password).await.is(200);
        story.assign(ANN, "toys", CAT, "org_admin").await.is(201);
        let token = token_of(&story.log_in_to("cat@toys.example", "toys").await.is(200));
        story.with_token(&token, Method::GET, MEMBERS, None).await.is(200);
        story.delete(ANN, &format!("{MEMBERS}/cat@toys.example")).await.is(200);
        story.with_token(&token, Method::GET, MEMBERS, None).await.is_problem(404, "not-found");
        let check = json!({"subject": "cat@toys.example", "permission": "sales.invoices.read"});
        let path = "/api/v1/organizations/toys/checks";
        story.with_token(&token, Method::POST, path, Some(check)).await.is_problem(404, "not-found");
    }
);
