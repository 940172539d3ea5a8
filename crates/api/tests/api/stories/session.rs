//! Sessions over HTTP: one's own and a member's, step-up, turning to another organization.

use super::auth::{PASSWORD, token_of};
use super::{ANN, BOB, EVE, Story, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::json;

const SESSIONS: &str = "/api/v1/me/sessions";
const OTHERS: &str = "/api/v1/me/sessions/end-others";

impl Story {
    pub async fn password_for(&self, login: &str) {
        let path = format!("/api/v1/users/{login}/password");
        self.post(Who::Operator, &path, json!({"password": PASSWORD})).await.is(200);
    }

    pub async fn signed_in(&self, login: &str, organization: Option<&str>) -> (String, String) {
        let body = json!({"login": login, "password": PASSWORD, "organization": organization});
        let headers = [("user-agent", "till/2")];
        let begun = self
            .wire(Method::POST, "/api/v1/auth/login", &headers, Some("192.0.2.1"), Some(body))
            .await
            .is(200);
        (token_of(&begun), begun.body["session_id"].as_str().unwrap().to_owned())
    }

    async fn status_of(&self, token: &str) -> u16 {
        self.with_token(token, Method::GET, "/api/v1/me", None).await.status.as_u16()
    }
}

both_engines!(
    /// Attack 36.
    somebody_sees_and_ends_their_own_sessions_only,
    async |database| {
        let story = Story::with_password(database).await;
        story.password_for("bob@toys.example").await;
        let (here, id) = story.signed_in("ann@toys.example", None).await;
        let (there, other) = story.signed_in("ann@toys.example", None).await;
        let (third, _) = story.signed_in("ann@toys.example", None).await;
        let (bob, bobs) = story.signed_in("bob@toys.example", None).await;
        let listed = story.with_token(&here, Method::GET, SESSIONS, None).await.is(200);
        assert_eq!(listed.body["items"].as_array().unwrap().len(), 3);
        let mine = &listed.body["items"].as_array().unwrap().iter().find(|it| it["id"] == json!(id)).unwrap().clone();
        assert_eq!((&mine["is_current"], &mine["kind"], &mine["amr"]), (&json!(true), &json!("bearer"), &json!(["pwd"])));
        assert_eq!(mine["address"], "192.0.2.1");
        assert_eq!(mine["created_at"], mine["last_used_at"]);
        let end = async |token: &str, id: &str| {
            story.with_token(token, Method::DELETE, &format!("{SESSIONS}/{id}"), None).await
        };
        end(&here, &bobs).await.is_problem(404, "not-found");
        end(&here, &other).await.is(204);
        end(&here, &other).await.is_problem(404, "not-found");
        assert_eq!(story.status_of(&there).await, 401);
        let told = story.with_token(&here, Method::POST, OTHERS, None).await.is(200);
        assert_eq!(told.body["sessions_ended"], 1);
        assert_eq!((story.status_of(&third).await, story.status_of(&here).await, story.status_of(&bob).await), (401, 200, 200));
    }
);

both_engines!(
    /// Attack 34.
    a_new_password_ends_the_other_sessions_and_the_operators_ends_all,
    async |database| {
        let story = Story::with_password(database).await;
        let (here, _) = story.signed_in("ann@toys.example", None).await;
        let (there, _) = story.signed_in("ann@toys.example", None).await;
        let body = json!({"current_password": PASSWORD, "new_password": "another fine horse"});
        let told = story.with_token(&here, Method::POST, "/api/v1/me/password", Some(body)).await.is(200);
        let next = token_of(&told);
        assert_eq!((story.status_of(&here).await, story.status_of(&there).await, story.status_of(&next).await), (401, 401, 200));
        story.password_for("ann@toys.example").await;
        assert_eq!(story.status_of(&next).await, 401);
    }
);

both_engines!(an_administrator_sees_and_ends_the_sessions_of_a_member_here, async |database| {
    let story = Story::with_password(database).await;
    story.password_for("bob@toys.example").await;
    story.hire("trade", BOB).await;
    let (here, id) = story.signed_in("bob@toys.example", Some("toys")).await;
    let (other, other_id) = story.signed_in("bob@toys.example", Some("trade")).await;
    let (any, _) = story.signed_in("bob@toys.example", None).await;
    let path = "/api/v1/organizations/toys/members/bob@toys.example/sessions";
    let listed = story.get(ANN, path).await.is(200);
    assert_eq!(
        listed.each("/id"),
        std::slice::from_ref(&id),
        "those for toys, and no others: bob works at trade as well"
    );
    story.get(BOB, path).await.is_problem(403, "forbidden");
    story.get(EVE, path).await.is_problem(404, "not-found");
    story.get(ANN, "/api/v1/organizations/toys/members/eve@trade.example/sessions").await.is(404);
    story.delete(ANN, &format!("{path}/{other_id}?reason=lost%20laptop")).await.is_problem(404, "not-found");
    for silent in [path, &format!("{path}/{id}")] {
        story.delete(ANN, silent).await.is_problem(400, "malformed");
        story.delete(ANN, &format!("{silent}?reason=%20")).await.is_problem(422, "invalid");
    }
    story.delete(ANN, &format!("{path}/{id}?reason=lost%20laptop")).await.is(204);
    assert_eq!(
        (story.status_of(&here).await, story.status_of(&other).await, story.status_of(&any).await),
        (401, 200, 200)
    );
    let events = "/api/v1/organizations/toys/audit/events?action=session.end";
    assert_eq!(story.all(Who::Operator, events, 50, "/reason").await, ["lost laptop"]);
    let told = story.delete(Who::Operator, &format!("{path}?reason=lost%20phone")).await.is(200);
    assert_eq!(told.body["sessions_ended"], 1, "the operator sees those for no organization, too");
    assert_eq!((story.status_of(&other).await, story.status_of(&any).await), (200, 401));
});

both_engines!(turning_to_another_organization_gives_a_new_session, async |database| {
    let story = Story::with_password(database).await;
    story.hire("trade", ANN).await;
    let (token, id) = story.signed_in("ann@toys.example", Some("toys")).await;
    let turn = async |token: &str, to: &str| {
        story.with_token(token, Method::POST, "/api/v1/auth/switch", Some(json!({"organization": to}))).await
    };
    let nowhere = turn(&token, "nowhere").await.is_problem(404, "not-found").body["detail"].clone();
    assert_eq!(turn(&token, "platform").await.is_problem(404, "not-found").body["detail"], nowhere);
    let turned = turn(&token, "trade").await.is(200);
    assert_ne!(turned.body["session_id"], json!(id));
    assert!(turned.body["refresh_token"].is_string());
    let trade = story.app.resolve_organization("trade").await.unwrap().to_string();
    assert_eq!(turned.body["organization_id"], json!(trade));
    assert_eq!(story.status_of(&token).await, 401);
    let same = turn(&token_of(&turned), "trade").await.is(200);
    assert_eq!(same.body["session_id"], turned.body["session_id"]);
});

fn step_up(told: Told) {
    let told = told.is_problem(401, "step-up-required");
    let challenge = told.header("www-authenticate");
    assert!(
        challenge.contains("error=\"insufficient_user_authentication\"")
            && challenge.contains("max_age=\"600\""),
        "{challenge}"
    );
}

both_engines!(
    /// Attack 26, for what asks for a recent sign-in.
    what_is_dangerous_asks_for_a_recent_sign_in,
    async |database| {
        let story = Story::with_password(database).await;
        let (old, id) = story.signed_in("ann@toys.example", None).await;
        story.pass(599);
        story.with_token(&old, Method::POST, OTHERS, None).await.is(200);
        story.pass(1);
        step_up(story.with_token(&old, Method::POST, OTHERS, None).await);
        let body = json!({"current_password": PASSWORD, "new_password": "another fine horse"});
        step_up(story.with_token(&old, Method::POST, "/api/v1/me/password", Some(body)).await);
        story.with_token(&old, Method::GET, SESSIONS, None).await.is(200);
        let prove = async |token: &str, password: &str| {
            let path = "/api/v1/auth/reauthenticate";
            story.with_token(token, Method::POST, path, Some(json!({"password": password}))).await
        };
        prove(&old, "wrong horse battery").await.is_problem(401, "invalid-credentials");
        let proved = prove(&old, PASSWORD).await.is(200);
        assert_ne!(proved.body["session_id"], json!(id));
        assert_eq!(story.status_of(&old).await, 401);
        story.with_token(&token_of(&proved), Method::POST, OTHERS, None).await.is(200);
        // Guesses with somebody's token are slowed down, and not by starting anew.
        let mut token = token_of(&proved);
        for _ in 0..4 {
            prove(&token, "wrong horse battery").await.is(401);
        }
        let turned = story.with_token(&token, Method::POST, "/api/v1/auth/switch", Some(json!({}))).await.is(200);
        token = token_of(&turned);
        prove(&token, "wrong horse battery").await.is(401);
        prove(&token, PASSWORD).await.is_problem(429, "throttled");
        story.pass(2);
        prove(&token, PASSWORD).await.is(200);
    }
);

both_engines!(the_keys_of_the_installation_ask_for_a_recent_sign_in_of_people_alone, async |database| {
    let story = Story::with_password(database).await;
    story.password_for("pat@platform.example").await;
    let (pat, _) = story.signed_in("pat@platform.example", None).await;
    let end = async |token: &str| {
        let body = json!({"reason": "its secret leaked"});
        story.with_token(token, Method::POST, "/api/v1/keys/legacy/end", Some(body)).await
    };
    end(&pat).await.is_problem(404, "not-found");
    story.pass(600);
    step_up(end(&pat).await);
    story.post(Who::Operator, "/api/v1/keys/legacy/end", json!({"reason": "x"})).await.is(404);
});
