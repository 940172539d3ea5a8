//! Bent and rotten texts in what applications and browsers send: forms, addresses, and each parameter alone. Each is answered, none with a
//! fault of ours, and none gives anybody a token. `charter_testkit::hostile` says how to go on for longer.

use super::*;
use charter_testkit::both_engines;
use charter_testkit::hostile::texts;

const CASES: u32 = 100;

impl Story {
    /// Sends something as a client may; none when no client could send it.
    async fn rotten(
        &self,
        method: &Method,
        path: &str,
        kind: &str,
        body: &str,
        by: Option<Who>,
    ) -> Option<Told> {
        let mut request = Request::builder().method(method).uri(path).header(HERE.0, HERE.1);
        if method != Method::GET {
            request = request.header("content-type", kind);
        }
        if let Some(who) = by {
            request = request.extension(charter_api::edge::LocalCaller(self.caller(who)));
        }
        let request = request.body(Body::from(body.to_owned())).ok()?;
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(parts.status.as_u16() < 500, "{method} {path} answers {} {text}", parts.status);
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Some(Told { status: parts.status, headers: parts.headers, body })
    }
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

both_engines!(forms_and_addresses_of_applications_are_answered_whatever_they_are, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    let (_, tokens) = story.tokens_of(&shop, "openid offline_access").await;
    let secret = shop.secret.clone().unwrap();
    let (id_token, refresh) = (text(&tokens["id_token"]), text(&tokens["refresh_token"]));
    let asked = asks(
        &shop,
        "openid finance.*.read",
        &[("resource", "https://billing.example/v1"), ("prompt", "none")],
    );
    let asked = asked.split_once('?').unwrap().1.to_owned();
    let base = [("client_id", shop.id.as_str()), ("client_secret", secret.as_str())];
    let exchange = [
        ("grant_type", "authorization_code"),
        ("code", "cho_0123"),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
    ];
    let exchange = form(&[&base[..], &exchange].concat());
    let leave = form(&[
        ("id_token_hint", &*id_token),
        ("client_id", &*shop.id),
        ("post_logout_redirect_uri", "https://shop.example/bye"),
        ("state", "s"),
    ]);
    let typed = form(&[("login", ANN_LOGIN), ("password", "wrong"), ("do", "sign-in")]);
    for bent in texts(&[&*asked, &*exchange, &*leave, &*typed], CASES) {
        for path in ["/oauth/authorize", "/oauth/logout"] {
            story.rotten(&Method::GET, &format!("{path}?{bent}"), FORM, "", None).await;
            story.rotten(&Method::POST, &format!("{path}?{asked}"), FORM, &bent, None).await;
        }
        for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
            let told = story.rotten(&Method::POST, path, FORM, &bent, None).await;
            let token = told.and_then(|told| told.body.get("access_token").cloned());
            assert_eq!(token, None, "{bent:?} gives a token");
        }
    }
    // Each parameter alone, where everything else is right.
    let seeds = [
        VERIFIER,
        &*id_token,
        &*refresh,
        BACK,
        "https://billing.example/v1",
        "openid finance.*.read",
        "cho_0123",
    ];
    for bent in texts(&seeds, CASES) {
        let bent = encoded(&bent.chars().take(3_000).collect::<String>());
        for name in [
            "redirect_uri",
            "scope",
            "resource",
            "state",
            "nonce",
            "code_challenge",
            "prompt",
            "max_age",
            "claims",
        ] {
            let rest: Vec<&str> =
                asked.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect();
            let path = format!("/oauth/authorize?{}&{name}={bent}", rest.join("&"));
            story.rotten(&Method::GET, &path, FORM, "", None).await;
        }
        for name in ["code", "code_verifier", "redirect_uri", "resource"] {
            let rest: Vec<&str> =
                exchange.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect();
            let body = format!("{}&{name}={bent}", rest.join("&"));
            let told = story.rotten(&Method::POST, "/oauth/token", FORM, &body, None).await.unwrap();
            assert_ne!(told.status.as_u16(), 200, "{body}");
        }
        for path in ["/oauth/introspect", "/oauth/revoke"] {
            let body = format!("{}&token={bent}", form(&base));
            story.rotten(&Method::POST, path, FORM, &body, None).await;
        }
        for name in ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"] {
            let rest: Vec<&str> =
                leave.split('&').filter(|pair| !pair.starts_with(&format!("{name}="))).collect();
            let path = format!("/oauth/logout?{}&{name}={bent}", rest.join("&"));
            let told = story.rotten(&Method::GET, &path, FORM, "", None).await.unwrap();
            if let Some(to) = told.headers.get("location") {
                assert!(
                    to.to_str().unwrap().starts_with("https://shop.example/bye"),
                    "{path} leads to {to:?}"
                );
            }
        }
    }
});

both_engines!(addresses_that_are_registered_are_answered_whatever_they_are, async |database| {
    let story = Story::with_password(database).await;
    let seeds = [
        BACK,
        "com.example.app:/callback",
        "https://hooks.example.com/charter",
        "https://[2001:db8::1]:8443/x",
        "openid",
    ];
    for bent in texts(&seeds, CASES) {
        let client = json!({
            "name": "Bent", "kind": "confidential", "redirect_uris": [BACK, bent], "post_logout_redirect_uris": [bent],
            "audiences": [bent], "grant_types": ["authorization_code"], "scopes": [bent],
        });
        let hook = json!({"name": "bent", "url": bent, "events": ["grant.*", bent]});
        for (path, body) in [(CLIENTS, client), ("/api/v1/organizations/toys/webhooks", hook)] {
            story.rotten(&Method::POST, path, JSON, &body.to_string(), Some(ANN)).await;
        }
    }
    let second = json!({"challenge": "chm_test_eyJ0eXAiOiJwYXNza2V5In0.rk6Vt0zJ", "code": "492039", "recovery_code": "ABCD-EFGH"});
    let passkey = json!({"challenge": "chm_test_eyJ0eXAiOiJwYXNza2V5In0.rk6Vt0zJ", "credential": {"id": "AAEC", "type": "public-key"}});
    for bent in texts(&[&*second.to_string(), &*passkey.to_string()], CASES) {
        for path in ["/api/v1/auth/mfa", "/api/v1/auth/passkey"] {
            let told = story.rotten(&Method::POST, path, JSON, &bent, None).await.unwrap();
            assert_ne!(told.status.as_u16(), 200, "{bent:?} lets somebody in");
        }
    }
});
