//! Tokens for other services (RFC 8707): what may be asked for, what a token then is for, and that Charter takes none of them.

use super::*;
use crate::stories::{EVE, PAT};
use charter_testkit::both_engines;

const API: &str = "https://api.example/v1";
const BILLING: &str = "urn:example:billing";
const USER_INFO: &str = "/oauth/userinfo";
const MEMBERS: &str = "/api/v1/organizations/toys/members";
const SCOPE: &str = "openid offline_access admin.users.read";

impl Story {
    /// An application that may get tokens for two other services.
    async fn shop_for(&self, resources: &[&str]) -> Shop {
        let body = json!({
            "name": "Front", "kind": "confidential", "redirect_uris": [BACK], "audiences": resources,
            "grant_types": ["authorization_code", "refresh_token"],
            "scopes": ["openid", "offline_access", "admin.users.read"],
        });
        self.register(ANN, body).await
    }

    /// Whoever looks at what tokens are worth.
    async fn backend(&self) -> Shop {
        self.register(ANN, json!({"name": "Backend", "kind": "confidential", "grant_types": []})).await
    }

    async fn exchange_for(&self, shop: &Shop, code: &str, resources: &[&str]) -> Told {
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        pairs.extend(resources.iter().map(|resource| ("resource", *resource)));
        self.ask_token(shop, &pairs).await
    }

    async fn refresh_for(&self, shop: &Shop, token: &Value, resources: &[&str]) -> Told {
        let mut pairs = vec![("grant_type", "refresh_token"), ("refresh_token", token.as_str().unwrap())];
        pairs.extend(resources.iter().map(|resource| ("resource", *resource)));
        self.ask_token(shop, &pairs).await
    }

    /// The code that a browser comes back with, whose user agrees to what they are asked.
    async fn code_of(&self, path: &str, cookies: &str) -> String {
        let told = self.open(path, cookies).await;
        if told.status.as_u16() == 303 {
            return one(&told, "code");
        }
        one(&self.send_form(path, cookies, &[("token", &hidden(&told)), ("do", "agree")]).await, "code")
    }

    async fn seen_by(&self, backend: &Shop, token: &Value) -> Value {
        let (basic, body) = (backend.basic(), form(&[("token", token.as_str().unwrap())]));
        let headers = [("authorization", basic.as_str())];
        self.visit(Method::POST, "/oauth/introspect", &headers, Some(body)).await.is(200).body
    }
}

/// The request for a code that names these resources.
fn asks_for(shop: &Shop, resources: &[&str]) -> String {
    let pairs: Vec<(&str, &str)> = resources.iter().map(|resource| ("resource", *resource)).collect();
    format!("{}&{}", asks(shop, SCOPE, &[]), form(&pairs))
}

fn audience(tokens: &Value) -> Value {
    says(tokens["access_token"].as_str().unwrap())["aud"].clone()
}

both_engines!(
    /// Attack 10: a token for another service opens nothing here, whatever was looked at before.
    a_token_for_another_service_is_none_for_charter,
    async |database| {
        let story = Story::with_password(database).await;
        let (shop, backend) = (story.shop_for(&[API, BILLING]).await, story.backend().await);
        let (cookies, told) = story.let_in(&asks_for(&shop, &[API])).await;
        let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
        assert_eq!(audience(&tokens), API);
        let id = says(tokens["id_token"].as_str().unwrap());
        assert_eq!(id["aud"], json!(shop.id), "an ID token is for the client, as ever");

        let token = &tokens["access_token"];
        for path in [MEMBERS, USER_INFO, "/api/v1/organizations/toys", "/api/v1/me", "/api/v1/me/sessions"] {
            assert_eq!(story.status(token, path).await, 401, "{path}");
        }
        // The other service learns what it is worth; that it was looked at lets nobody in.
        let worth = story.seen_by(&backend, token).await;
        assert_eq!(
            (&worth["active"], &worth["aud"], &worth["client_id"]),
            (&json!(true), &json!(API), &json!(shop.id))
        );
        assert_eq!(worth["sub"], json!(story.id_of(ANN).to_string()));
        assert_eq!(story.status(token, MEMBERS).await, 401);
        assert_eq!(story.status(token, USER_INFO).await, 401);
        let question = json!({"subject": {"type": "user", "id": ANN_LOGIN}, "action": {"name": "read"}, "resource": {"type": "account", "id": "1"}});
        let told = story
            .with_token(token.as_str().unwrap(), Method::POST, "/access/v1/evaluation", Some(question))
            .await;
        assert_eq!(told.status.as_u16(), 401, "{:#}", told.body);

        // Without a resource the same client gets tokens for Charter, and those are for nothing else.
        let code = story.code_of(&asks(&shop, SCOPE, &[]), &cookies).await;
        let own = story.exchange(&shop, &code).await.is(200).body;
        assert_eq!(audience(&own), "charter");
        assert_eq!(story.status(&own["access_token"], MEMBERS).await, 200);

        // It is given back like any other, and ends with what it is of.
        let (basic, body) = (shop.basic(), form(&[("token", token.as_str().unwrap())]));
        story.visit(Method::POST, "/oauth/revoke", &[("authorization", &basic)], Some(body)).await.is(200);
        assert_eq!(story.seen_by(&backend, token).await, json!({"active": false}));
        is_error(&story.refresh_for(&shop, &tokens["refresh_token"], &[]).await, 400, "invalid_grant");
    }
);

both_engines!(a_client_asks_for_the_resources_it_is_registered_for_and_no_others, async |database| {
    let story = Story::with_password(database).await;
    let (shop, plain) = (story.shop_for(&[API]).await, story.shop_for(&[]).await);
    let page = story.type_in(&asks_for(&shop, &[API]), "", ANN_LOGIN, PASSWORD).await.is(200);
    assert!(page.body.as_str().unwrap().contains("<code>https://api.example/v1</code>"), "people see it");
    let (cookies, _) = story.let_in(&asks(&shop, SCOPE, &[])).await;
    for (shop, wanted) in [
        (&shop, vec!["https://api.example/v1/"]),
        (&shop, vec!["https://api.example"]),
        (&shop, vec!["https://api.example/v1#x"]),
        (&shop, vec!["charter"]),
        (&shop, vec![API, BILLING]),
        (&plain, vec![API]),
    ] {
        let told = story.open(&asks_for(shop, &wanted), &cookies).await;
        assert_eq!((sent_to(&told).0.as_str(), one(&told, "error").as_str()), (BACK, "invalid_target"));
    }
    for (resources, good) in [
        (json!(["https://api.example", "urn:x:y"]), true),
        (json!(["/v1"]), false),
        (json!(["charter"]), false),
        (json!(["https://api.example/#"]), false),
        (json!(vec!["https://api.example/"; 21]), false),
    ] {
        let body = json!({"name": "N", "kind": "public", "redirect_uris": [BACK], "scopes": ["openid"], "audiences": resources});
        let told = story.post(ANN, CLIENTS, body).await;
        assert_eq!(told.status.as_u16(), if good { 201 } else { 422 }, "{:#}", told.body);
    }
});

both_engines!(a_token_is_for_one_resource_and_a_refresh_adds_none, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop_for(&[API, BILLING, "https://third.example/"]).await;
    let (cookies, told) = story.let_in(&asks_for(&shop, &[API, BILLING, API])).await;
    // Which of the two is to be said; and neither a third nor both.
    let mut code = one(&told, "code");
    for wrong in [vec![], vec!["https://third.example/"], vec![API, BILLING], vec!["https://api.example"]] {
        is_error(&story.exchange_for(&shop, &code, &wrong).await, 400, "invalid_target");
        is_error(&story.exchange_for(&shop, &code, &[API]).await, 400, "invalid_grant");
        code = one(&story.open(&asks_for(&shop, &[API, BILLING]), &cookies).await, "code");
    }
    let tokens = story.exchange_for(&shop, &code, &[API]).await.is(200).body;
    assert_eq!(audience(&tokens), API);
    for wrong in [vec![], vec!["https://third.example/"], vec!["charter"], vec![API, BILLING]] {
        is_error(&story.refresh_for(&shop, &tokens["refresh_token"], &wrong).await, 400, "invalid_target");
    }
    let other = story.refresh_for(&shop, &tokens["refresh_token"], &[BILLING]).await.is(200).body;
    assert_eq!(audience(&other), BILLING, "what was refused used nothing up");
    assert_eq!(story.status(&other["access_token"], MEMBERS).await, 401);

    // What was for Charter stays for Charter, and what was for one resource for that one.
    for (asked, wanted, is) in
        [(vec![], vec![API], None), (vec![API], vec![], Some(API)), (vec![API], vec![BILLING], None)]
    {
        let code = story.code_of(&asks_for(&shop, &asked), &cookies).await;
        let tokens = story.exchange(&shop, &code).await.is(200).body;
        let told = story.refresh_for(&shop, &tokens["refresh_token"], &wanted).await;
        match is {
            Some(resource) => assert_eq!(audience(&told.is(200).body), resource),
            None => is_error(&told, 400, "invalid_target"),
        }
    }
    let told = story.open(&asks(&shop, SCOPE, &[]), &cookies).await;
    is_error(&story.exchange_for(&shop, &one(&told, "code"), &[API]).await, 400, "invalid_target");
});

both_engines!(
    /// Attack 10: who agreed to what one service may be told agreed to nothing about another, and to nothing about Charter.
    people_agree_to_the_audiences_they_saw_and_to_no_others,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop_for(&[API, BILLING]).await;
        let asks_of = |scope: &str, resources: &[&str], prompt: &str| {
            let pairs: Vec<(&str, &str)> = resources.iter().map(|resource| ("resource", *resource)).collect();
            format!("{}&{}", asks(&shop, scope, &[("prompt", prompt)]), form(&pairs))
        };
        let (cookies, _) = story.let_in(&asks_of(SCOPE, &[API], "")).await;
        let goes = async |scope: &str, resources: &[&str]| {
            let told = story.open(&asks_of(scope, resources, "none"), &cookies).await;
            match one(&told, "error").as_str() {
                "" => true,
                error => {
                    assert_eq!(error, "consent_required");
                    false
                }
            }
        };
        let listed = async || {
            let own = story.log_in(ANN_LOGIN, PASSWORD).await.is(200);
            let token = text(&own.body["access_token"]);
            let path = "/api/v1/me/applications";
            story.with_token(&token, Method::GET, path, None).await.is(200).body["items"][0].clone()
        };
        assert!(goes(SCOPE, &[API]).await);
        for others in [&[][..], &[BILLING], &[API, BILLING]] {
            assert!(!goes(SCOPE, others).await, "{others:?}");
            let page = story.open(&asks_of(SCOPE, others, ""), &cookies).await.is(200);
            assert!(page.body.as_str().unwrap().contains("Do you agree?"), "{others:?}");
        }
        assert_eq!(listed().await["audiences"], json!([API]));
        // Less for Charter than for the other service is less for Charter.
        story.code_of(&asks_of("openid", &[], ""), &cookies).await;
        assert!(goes("openid", &[]).await);
        assert!(!goes(SCOPE, &[]).await, "what it may do at the other service, it may not do here");
        assert!(goes(SCOPE, &[API]).await, "what was agreed to before stays");
        let shown = listed().await;
        assert_eq!(
            (&shown["audiences"], &shown["scope"]),
            (&json!(["charter", API]), &json!("openid offline_access admin.users.read"))
        );
        // What is agreed to later adds to it.
        story.code_of(&asks_of("admin.users.read", &[], ""), &cookies).await;
        story.code_of(&asks_of(SCOPE, &[BILLING], ""), &cookies).await;
        for (scope, resources) in
            [("openid admin.users.read", &[][..]), (SCOPE, &[API]), (SCOPE, &[API, BILLING])]
        {
            assert!(goes(scope, resources).await, "{scope} {resources:?}");
        }
        assert!(!goes(SCOPE, &[]).await, "offline_access was not among it");
    }
);

both_engines!(with_another_list_of_resources_people_are_asked_and_tokens_end, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop_for(&[API]).await;
    let path = format!("{CLIENTS}/{}", shop.id);
    let (cookies, told) = story.let_in(&asks_for(&shop, &[API])).await;
    let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
    let waiting = one(&story.open(&asks_for(&shop, &[API]), &cookies).await, "code");
    story.patch(ANN, &path, json!({"audiences": [API, BILLING]})).await.is(200);
    let again = story.refresh_for(&shop, &tokens["refresh_token"], &[]).await.is(200).body;
    assert_eq!(audience(&again), API, "more to ask for ends nothing");
    let none = format!("{}&prompt=none", asks_for(&shop, &[API]));
    assert_eq!(one(&story.open(&none, &cookies).await, "error"), "consent_required");
    story.patch(ANN, &path, json!({"audiences": [BILLING]})).await.is(200);
    is_error(&story.refresh_for(&shop, &again["refresh_token"], &[]).await, 400, "invalid_grant");
    is_error(&story.exchange(&shop, &waiting).await, 400, "invalid_target");
    let shown = story.get(ANN, &path).await.is(200).body;
    assert_eq!(shown["audiences"], json!([BILLING]));
});

both_engines!(
    /// Attack 10: whoever takes a token for a service by its issuer and audience is not shown one that another organization got.
    an_audience_is_of_one_organization,
    async |database| {
        let story = Story::with_password(database).await;
        let body = |audiences: &[&str]| {
            json!({"name": "N", "kind": "public", "redirect_uris": [BACK], "scopes": ["openid"], "audiences": audiences})
        };
        let clients = |organization: &str| format!("/api/v1/organizations/{organization}/oauth-clients");
        let makes = async |by: Who, organization: &str, audiences: &[&str]| {
            let told = story.post(by, &clients(organization), body(audiences)).await.is(201);
            format!("{}/{}", clients(organization), text(&told.body["client"]["id"]))
        };
        let refused = async |by: Who, organization: &str, audience: &str| {
            let told = story.post(by, &clients(organization), body(&["https://own.example/", audience])).await;
            let told = told.is_problem(409, "taken").body.to_string().to_lowercase();
            for name in ["toys", "trade", "platform"] {
                assert!(name == organization || !told.contains(name), "it does not say whose it is: {told}");
            }
        };
        let removes = async |by: Who, path: &str| story.send(by, Method::DELETE, path, &[], None).await.is(204);

        let (first, second) = (makes(ANN, "toys", &[API]).await, makes(ANN, "toys", &[API]).await);
        refused(EVE, "trade", API).await;
        let other = makes(EVE, "trade", &["https://api.example/v1/"]).await;
        story.patch(EVE, &other, json!({"audiences": [API]})).await.is_problem(409, "taken");
        // What was refused took nothing.
        let own = makes(ANN, "toys", &["https://own.example/"]).await;
        removes(ANN, &own).await;
        // The platform may name any; that takes nothing from whoever has it.
        let central = makes(PAT, "platform", &[API, BILLING]).await;
        refused(ANN, "toys", BILLING).await;
        story.patch(ANN, &first, json!({"name": "M", "audiences": [API]})).await.is(200);
        // It is free once nobody names it.
        story.patch(ANN, &first, json!({"audiences": []})).await.is(200);
        refused(EVE, "trade", API).await;
        removes(ANN, &second).await;
        refused(EVE, "trade", API).await;
        removes(PAT, &central).await;
        story.patch(EVE, &other, json!({"audiences": [API, BILLING]})).await.is(200);
        story.patch(ANN, &first, json!({"audiences": [API]})).await.is_problem(409, "taken");
        makes(ANN, "toys", &["https://api.example/v1/"]).await;
    }
);

both_engines!(a_program_asks_for_a_resource_by_itself, async |database| {
    let story = Story::with_password(database).await;
    let robot = json!({"login": "robot", "kind": "service_account"});
    story.post(ANN, MEMBERS, robot).await.is(201);
    let body = json!({
        "name": "Nightly", "kind": "confidential", "grant_types": ["client_credentials"], "service_account": "robot",
        "scopes": ["admin.users.read"], "audiences": [API, BILLING],
    });
    let nightly = story.register(ANN, body).await;
    let ask = async |resources: &[&str]| {
        let mut pairs = vec![("grant_type", "client_credentials")];
        pairs.extend(resources.iter().map(|resource| ("resource", *resource)));
        story.ask_token(&nightly, &pairs).await
    };
    assert_eq!(audience(&ask(&[]).await.is(200).body), "charter");
    let tokens = ask(&[BILLING]).await.is(200).body;
    assert_eq!(audience(&tokens), BILLING);
    assert_eq!(story.status(&tokens["access_token"], MEMBERS).await, 401);
    for wrong in [vec![API, BILLING], vec!["https://third.example/"]] {
        is_error(&ask(&wrong).await, 400, "invalid_target");
    }
});
