//! Support sessions: somebody of the platform acts as a member, for a while, with both names in the trail.

use super::auth::PASSWORD;
use super::{ANN, BOB, EVE, PAT, Story, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const ANNS: &str = "/api/v1/organizations/toys/members/ann@toys.example/support-session";
const ROLES: &str = "/api/v1/organizations/toys/roles";
const ME: &str = "/api/v1/me";

impl Story {
    /// The company with pat and ann, who sign in; and pat's token.
    async fn with_support(database: charter_testkit::database::TestDatabase) -> (Self, String) {
        let story = Self::with_password(database).await;
        story.password_for("pat@platform.example").await;
        let pat = story.log_in("pat@platform.example", PASSWORD).await.is(200);
        let token = pat.body["access_token"].as_str().unwrap().to_owned();
        (story, token)
    }

    async fn support(&self, token: &str, path: &str, body: Value) -> Told {
        self.with_token(token, Method::POST, path, Some(body)).await
    }
}

fn token_of(told: &Told) -> String {
    told.body["access_token"].as_str().unwrap().to_owned()
}

fn asked() -> Value {
    json!({"reason": "ticket 4711", "minutes": 30})
}

both_engines!(support_acts_as_a_member_with_both_names_in_the_trail, async |database| {
    let (story, pat) = Story::with_support(database).await;
    let begun = story.support(&pat, ANNS, asked()).await.is(200);
    let token = token_of(&begun);
    assert_eq!(begun.body["principal_id"], story.id_of(ANN).to_string());
    // Whoever shows the page can show the banner.
    let me = story.with_token(&token, Method::GET, ME, None).await.is(200);
    assert_eq!(me.body["login"], "ann@toys.example");
    assert_eq!(me.body["support"]["by"], "pat@platform.example");
    assert_eq!(me.body["support"]["reason"], "ticket 4711");
    assert_eq!(me.body["amr"], json!(["support"]));
    story.with_token(&token, Method::GET, ROLES, None).await.is(200);
    // The organization sees it, and the member is told.
    let path = "/api/v1/organizations/toys/members/ann@toys.example/sessions";
    let sessions = story.get(ANN, path).await.is(200);
    assert_eq!(sessions.body["items"][0]["support"]["by"], "pat@platform.example", "{:#}", sessions.body);
    let trail = "/api/v1/organizations/toys/audit/events?action=support.begin";
    let trail = story.get(ANN, trail).await.is(200);
    let event = &trail.body["items"][0];
    assert_eq!(event["actor"]["login"], "pat@platform.example", "{event:#}");
    assert_eq!(
        (event["reason"].as_str(), event["target"].as_str()),
        (Some("ticket 4711"), Some(story.id_of(ANN).to_string().as_str()))
    );
    // What is done in it has both names.
    story.with_token(&token, Method::POST, "/api/v1/auth/logout", None).await.is(204);
    let trail = story.get(ANN, "/api/v1/organizations/toys/audit/events?action=session.end").await.is(200);
    let actor = &trail.body["items"][0]["actor"];
    assert_eq!(actor["login"], "pat@platform.example as ann@toys.example", "{actor:#}");
    assert_eq!(actor["id"], story.id_of(PAT).to_string());
    story.with_token(&token, Method::GET, ME, None).await.is_problem(401, "unauthenticated");
});

both_engines!(support_does_nothing_dangerous_and_nothing_of_the_members_own, async |database| {
    let (story, pat) = Story::with_support(database).await;
    let begun = story.support(&pat, ANNS, asked()).await.is(200);
    let token = token_of(&begun);
    let role = json!({"key": "packer", "name": "Packer"});
    let member = json!({"login": "new@toys.example"});
    for (path, body) in [
        (ROLES, role),
        ("/api/v1/organizations/toys/members", member),
        ("/api/v1/organizations/toys/service-tokens", json!({"account": "robot", "name": "one"})),
        (
            "/api/v1/me/password",
            json!({"current_password": PASSWORD, "new_password": "a wholly other phrase"}),
        ),
        ("/api/v1/me/sessions/end-others", json!({})),
        ("/api/v1/auth/reauthenticate", json!({"password": PASSWORD})),
        ("/api/v1/auth/switch", json!({"organization": "toys"})),
        ("/api/v1/auth/switch", json!({})),
    ] {
        let told = story.with_token(&token, Method::POST, path, Some(body)).await;
        assert_eq!(told.status.as_u16(), 403, "{path}: {:#}", told.body);
    }
    story.support(&token, ANNS, asked()).await.is_problem(404, "not-found");
    // Decisions say the same when the session asks about itself.
    let check = |permission: &str| json!({"permission": permission});
    let checks = "/api/v1/organizations/toys/checks";
    for (permission, decision) in
        [("admin.roles.read", "allow"), ("admin.roles.assign", "deny"), ("admin.users.create", "deny")]
    {
        let told = story.with_token(&token, Method::POST, checks, Some(check(permission))).await.is(200);
        assert_eq!(told.body["decision"], decision, "{permission}: {:#}", told.body);
    }
    let elsewhere = "/api/v1/organizations/trade/roles";
    story.with_token(&token, Method::GET, elsewhere, None).await.is_problem(404, "not-found");
});

both_engines!(support_ends_by_itself_and_with_the_right_to_give_it, async |database| {
    let (story, pat) = Story::with_support(database).await;
    let begun = story.support(&pat, ANNS, asked()).await.is(200);
    let refresh = begun.body["refresh_token"].as_str().unwrap().to_owned();
    story.wait_seconds(29 * 60).await;
    let body = json!({"refresh_token": refresh});
    let path = "/api/v1/auth/refresh";
    let again = story.wire(Method::POST, path, &[], None, Some(body)).await.is(200);
    let token = token_of(&again);
    story.with_token(&token, Method::GET, ME, None).await.is(200);
    // Nothing makes it longer.
    story.wait_seconds(60).await;
    let body = json!({"refresh_token": again.body["refresh_token"]});
    story.wire(Method::POST, path, &[], None, Some(body)).await.is_problem(401, "unauthenticated");
    story.wait_seconds(60).await;
    story.with_token(&token, Method::GET, ME, None).await.is_problem(401, "unauthenticated");
    // Whoever loses the right to support acts as nobody from the next request on.
    let pat = token_of(&story.log_in("pat@platform.example", PASSWORD).await.is(200));
    let token = token_of(&story.support(&pat, ANNS, asked()).await.is(200));
    story.with_token(&token, Method::GET, ME, None).await.is(200);
    story.hire("platform", Who::Named("sam@platform.example")).await;
    story.assign(Who::Operator, "platform", Who::Named("sam@platform.example"), "superadmin").await.is(201);
    let path = "/api/v1/organizations/platform/members/pat@platform.example";
    story.patch(Who::Operator, path, json!({"status": "suspended"})).await.is(200);
    story.with_token(&token, Method::GET, ME, None).await.is_problem(401, "unauthenticated");
});

both_engines!(support_is_for_the_platform_with_a_reason_and_a_limit, async |database| {
    let (story, pat) = Story::with_support(database).await;
    // Others than the platform, the operator, programs: nobody.
    story.post(ANN, ANNS, asked()).await.is_problem(404, "not-found");
    story.post(BOB, ANNS, asked()).await.is_problem(404, "not-found");
    story.post(EVE, ANNS, asked()).await.is_problem(404, "not-found");
    story.post(Who::Operator, ANNS, asked()).await.is_problem(403, "forbidden");
    for body in [
        json!({"minutes": 30}),
        json!({"reason": " ", "minutes": 30}),
        json!({"reason": "x", "minutes": 0}),
        json!({"reason": "x", "minutes": 61}),
    ] {
        story.support(&pat, ANNS, body).await.is_problem(422, "invalid");
    }
    let of = |organization: &str, member: &str| {
        format!("/api/v1/organizations/{organization}/members/{member}/support-session")
    };
    story.support(&pat, &of("toys", "nobody@toys.example"), asked()).await.is_problem(404, "not-found");
    story.support(&pat, &of("nowhere", "ann@toys.example"), asked()).await.is_problem(404, "not-found");
    // Nobody acts as somebody of the platform, whichever organization they are met in.
    story.support(&pat, &of("platform", "pat@platform.example"), asked()).await.is_problem(403, "forbidden");
    story.hire("platform", Who::Named("sam@platform.example")).await;
    story.hire("toys", Who::Named("sam@platform.example")).await;
    story.support(&pat, &of("toys", "sam@platform.example"), asked()).await.is_problem(403, "forbidden");
    let robot = json!({"login": "robot", "kind": "service_account"});
    story.post(ANN, "/api/v1/organizations/toys/members", robot).await.is(201);
    story.support(&pat, &of("toys", "robot"), asked()).await.is_problem(403, "forbidden");
    let bob = "/api/v1/organizations/toys/members/bob@toys.example";
    story.patch(ANN, bob, json!({"status": "suspended"})).await.is(200);
    story.support(&pat, &of("toys", "bob@toys.example"), asked()).await.is_problem(403, "forbidden");
    // Lately proved, as for everything dangerous.
    story.wait_seconds(601 - 60).await;
    let pat = token_of(&story.log_in("pat@platform.example", PASSWORD).await.is(200));
    story.wait_seconds(601 - 60).await;
    story.support(&pat, ANNS, asked()).await.is(200);
    let rules = json!({"sign_in_addresses": ["192.0.2.0/24"]});
    story.patch(Who::Operator, "/api/v1/organizations/toys/identity-settings", rules).await.is(200);
    let bearer = format!("Bearer {pat}");
    let headers = [("authorization", bearer.as_str())];
    let told = story.wire(Method::POST, ANNS, &headers, Some("198.51.100.9"), Some(asked())).await;
    told.is_problem(403, "forbidden");
});
