//! What an organization demands before it lets its members do things: a second factor, and a recent one for what is dangerous.

use super::auth::{PASSWORD, token_of};
use super::factor::{Equipped, LOGIN, equipped};
use super::{ANN, BOB, Story, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const SETTINGS: &str = "/api/v1/organizations/toys/identity-settings";
const MEMBERS: &str = "/api/v1/organizations/toys/members";
const ROLES: &str = "/api/v1/organizations/toys/assignments";

impl Story {
    async fn demand(&self, of: &str) {
        let told = self.patch(Who::Operator, SETTINGS, json!({"second_factor": of})).await.is(200);
        assert_eq!(told.body["second_factor"], of);
    }

    async fn gets(&self, token: &str, path: &str) -> Told {
        self.with_token(token, Method::GET, path, None).await
    }

    async fn bob(&self) -> String {
        let path = "/api/v1/users/bob@toys.example/password";
        self.post(Who::Operator, path, json!({"password": PASSWORD})).await.is(200);
        token_of(&self.log_in("bob@toys.example", PASSWORD).await.is(200))
    }

    async fn grant(&self, who: &str, permission: &str) {
        let body = json!({"subject": {"member": who}, "permission": permission, "reason": "it is needed"});
        self.post(Who::Operator, "/api/v1/organizations/toys/grants", body).await.is(201);
    }
}

/// A change of what members may do.
fn promotion(login: &str) -> Option<Value> {
    Some(json!({"role": "viewer", "subject": {"member": login}}))
}

both_engines!(
    /// Attacks 75 and 99: until the factor is there, the role lets its holder do nothing but add one.
    whoever_has_to_have_a_factor_signs_in_only_to_add_one,
    async |database| {
        let story = Story::with_password(database).await;
        let token = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
        story.gets(&token, MEMBERS).await.is(200);
        for of in ["everyone", "privileged"] {
            story.demand(of).await;
            let told = story.gets(&token, MEMBERS).await.is_problem(401, "second-factor-required");
            assert!(told.body["detail"].as_str().unwrap().contains("/api/v1/me/factors/totp"));
            let asked = told.header("www-authenticate");
            assert!(asked.contains("insufficient_user_authentication") && asked.contains("acr_values=\"mfa\""), "{asked}");
            // No other way of being ann is any better.
            story.get(ANN, MEMBERS).await.is_problem(401, "second-factor-required");
            let body = json!({"organization": "toys"});
            let turned = story.with_token(&token, Method::POST, "/api/v1/auth/switch", Some(body)).await.is(200);
            story.gets(&token_of(&turned), MEMBERS).await.is_problem(401, "second-factor-required");
            let next = story.log_in(LOGIN, PASSWORD).await.is(200);
            let refresh = json!({"refresh_token": next.body["refresh_token"]});
            let next = story.wire(Method::POST, "/api/v1/auth/refresh", &[], None, Some(refresh)).await.is(200);
            story.gets(&token_of(&next), MEMBERS).await.is_problem(401, "second-factor-required");
        }
        // The answer about her does not depend on how she signed in.
        assert!(story.allows("toys", ANN, "admin.users.read").await);
        story.app.flush_denials().await.unwrap();
        let path = "/api/v1/organizations/toys/audit/events?action=check.deny";
        let reasons = story.all(Who::Operator, path, 50, "/reason").await;
        assert!(!reasons.is_empty() && reasons.iter().all(|reason| reason == "step_up_required"), "{reasons:?}");

        story.gets(&token, "/api/v1/me").await.is(200);
        let (_, added) = story.add_app(&token).await;
        let token = added.body["session"]["access_token"].as_str().unwrap();
        story.gets(token, MEMBERS).await.is(200);
        story.with_token(token, Method::POST, ROLES, promotion("bob@toys.example")).await.is(201);
    }
);

both_engines!(a_privileged_demand_asks_nothing_of_others_but_for_what_is_dangerous, async |database| {
    let story = Story::with_password(database).await;
    let bob = story.bob().await;
    story.grant("bob@toys.example", "admin.users.read").await;
    story.demand("privileged").await;
    story.gets(&bob, MEMBERS).await.is(200);
    story.gets(&bob, SETTINGS).await.is_problem(403, "forbidden");
    // One dangerous permission over others, and all that they do takes the factor.
    story.grant("bob@toys.example", "admin.roles.assign").await;
    story.gets(&bob, MEMBERS).await.is_problem(401, "second-factor-required");
    let told = story.with_token(&bob, Method::POST, ROLES, promotion("cat@toys.example")).await;
    told.is_problem(401, "second-factor-required");
    story.demand("off").await;
    story.gets(&bob, MEMBERS).await.is(200);
    story.demand("everyone").await;
    story.gets(&bob, MEMBERS).await.is_problem(401, "second-factor-required");
});

both_engines!(what_is_dangerous_takes_a_recent_factor, async |database| {
    let Equipped { story, phone, token, .. } = equipped(database).await;
    story.demand("privileged").await;
    let promote =
        async |token: &str, who: &str| story.with_token(token, Method::POST, ROLES, promotion(who)).await;
    story.pass(539);
    promote(&token, "bob@toys.example").await.is(201);
    story.pass(1);
    let login = story.log_in(LOGIN, PASSWORD).await.is(200);
    let code = json!({"code": phone.code(&story, 0)});
    let begun = story.answer(login.body["challenge"].as_str().unwrap(), code).await.is(200);
    story.pass(590);
    let refresh = json!({"refresh_token": begun.body["refresh_token"]});
    let next = story.wire(Method::POST, "/api/v1/auth/refresh", &[], None, Some(refresh)).await.is(200);
    story.pass(20);
    let token = token_of(&next);
    story.gets(&token, MEMBERS).await.is(200);
    let told = promote(&token, "cat@toys.example").await.is_problem(401, "step-up-required");
    assert!(told.header("www-authenticate").contains("max_age=\"600\""));
    let body = json!({"password": PASSWORD, "code": phone.code(&story, 0)});
    let proved =
        story.with_token(&token, Method::POST, "/api/v1/auth/reauthenticate", Some(body)).await.is(200);
    promote(&token_of(&proved), "cat@toys.example").await.is(201);
});

both_engines!(whoever_demands_a_factor_of_others_has_one, async |database| {
    let story = Story::with_password(database).await;
    let token = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
    let set = async |token: &str, of: &str| {
        story.with_token(token, Method::PATCH, SETTINGS, Some(json!({"second_factor": of}))).await
    };
    set(&token, "everyone").await.is_problem(401, "second-factor-required");
    set(&token, "off").await.is(200);
    set(&token, "sometimes").await.is(422);
    let (_, added) = story.add_app(&token).await;
    let token = added.body["session"]["access_token"].as_str().unwrap();
    set(token, "everyone").await.is(200);
    assert_eq!(story.gets(token, SETTINGS).await.is(200).body["second_factor"], "everyone");
    set(token, "off").await.is(200);
    assert_eq!(story.get(BOB, SETTINGS).await.status.as_u16(), 403);
});

both_engines!(
    /// Attack 99: a key stands for its owner, who has to have the factor; and it does nothing that is dangerous.
    a_key_skips_no_demand,
    async |database| {
        let story = Story::with_password(database).await;
        let token = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
        let (_, key) = story.key(ANN, json!({"name": "till", "scopes": ["full"]})).await;
        story.gets(&key, MEMBERS).await.is(200);
        story.demand("everyone").await;
        let told = story.gets(&key, MEMBERS).await.is_problem(401, "second-factor-required");
        assert!(told.body["detail"].as_str().unwrap().contains("its owner has none"), "{:#}", told.body);
        story.add_app(&token).await;
        story.gets(&key, MEMBERS).await.is(200);
        let told = story.with_token(&key, Method::POST, ROLES, promotion("bob@toys.example")).await;
        told.is_problem(401, "second-factor-required");
    }
);

both_engines!(whoever_has_to_have_a_factor_is_told_so_among_their_own, async |database| {
    let story = Story::with_password(database).await;
    let token = token_of(&story.log_in(LOGIN, PASSWORD).await.is(200));
    let own = "/api/v1/me/factors";
    assert_eq!(story.gets(&token, own).await.is(200).body["demanded_by"], json!([]));
    story.demand("everyone").await;
    let told = story.gets(&token, own).await.is(200);
    assert_eq!(told.body["demanded_by"], json!(["Soft Toys"]));
    // Only what is privileged: bob is not.
    let bob = story.bob().await;
    story.demand("privileged").await;
    assert_eq!(story.gets(&bob, own).await.is(200).body["demanded_by"], json!([]));
    assert_eq!(story.gets(&token, own).await.is(200).body["demanded_by"], json!(["Soft Toys"]));
});
