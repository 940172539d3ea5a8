//! A trusted proxy names the user it signed in, and nobody else does.

use super::auth::PASSWORD;
use super::{PROXY_SECRET, Story, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const PROXY: &str = "[fd77::1]";
const ME: &str = "/api/v1/me";
const ROLES: &str = "/api/v1/organizations/toys/roles";
const HERE: (&str, &str) = ("sec-fetch-site", "same-origin");

impl Story {
    /// Sends a request through the proxy, which names somebody.
    async fn named(
        &self,
        login: &str,
        more: &[(&str, &str)],
        at: (Method, &str),
        body: Option<Value>,
    ) -> Told {
        let mut headers = vec![("x-forwarded-user", login), ("charter-proxy-secret", PROXY_SECRET)];
        headers.extend(more);
        self.wire(at.0, at.1, &headers, Some(PROXY), body).await
    }
}

both_engines!(whoever_a_trusted_proxy_names_has_the_rights_of_the_account_and_no_more, async |database| {
    let story = Story::with_password(database).await;
    let me = story.named("Ann@Toys.Example", &[], (Method::GET, ME), None).await.is(200);
    assert_eq!(me.body["login"], "ann@toys.example", "{:#}", me.body);
    story.named("ann@toys.example", &[], (Method::GET, ROLES), None).await.is(200);
    story.named("bob@toys.example", &[], (Method::GET, ROLES), None).await.is_problem(403, "forbidden");
    story.named("eve@trade.example", &[], (Method::GET, ROLES), None).await.is_problem(404, "not-found");
    let unknown = story.named("nobody@toys.example", &[], (Method::GET, ME), None).await;
    let unknown = unknown.is_problem(401, "unauthenticated");
    // What asks for a recent sign-in asks for one here.
    let change = json!({"current_password": PASSWORD, "new_password": "a wholly other phrase"});
    let path = "/api/v1/me/password";
    let refused = story.named("ann@toys.example", &[HERE], (Method::POST, path), Some(change)).await;
    refused.is_problem(401, "step-up-required");
    // An account that is stopped is named in vain, and nothing tells it from one that does not exist.
    let path = "/api/v1/organizations/toys/members/bob@toys.example";
    story.patch(Who::Operator, path, json!({"status": "suspended"})).await.is(200);
    let stopped = story.named("bob@toys.example", &[], (Method::GET, ME), None).await;
    assert_eq!(stopped.is_problem(401, "unauthenticated").body["detail"], unknown.body["detail"]);
});

both_engines!(nobody_but_the_proxy_names_a_user, async |database| {
    let story = Story::with_password(database).await;
    let login = "ann@toys.example";
    let names =
        ["x-forwarded-user", "x-user-id", "x-user", "remote-user", "x-remote-user", "x-auth-request-user"];
    for from in ["192.0.2.1", PROXY] {
        for name in names {
            // The client's own header, let through by a proxy that shows nothing.
            let headers =
                [(name, login), ("x-org-id", "toys"), ("x-roles", "superadmin"), ("x-tenant", "toys")];
            let told = story.wire(Method::GET, ME, &headers, Some(from), None).await;
            told.is_problem(401, "unauthenticated");
        }
    }
    // With the secret, from elsewhere; and from the proxy, with another secret.
    let right = [("x-forwarded-user", login), ("charter-proxy-secret", PROXY_SECRET)];
    for headers in [&right[..], &[right[0], right[1], ("x-forwarded-for", "fd77::1")]] {
        let told = story.wire(Method::GET, ME, headers, Some("192.0.2.1"), None).await;
        told.is_problem(401, "unauthenticated");
    }
    let wrong = [right[0], ("charter-proxy-secret", "a proxy that signs people in shows that")];
    story.wire(Method::GET, ME, &wrong, Some(PROXY), None).await.is_problem(401, "unauthenticated");
    // A header the client sent and the proxy added to.
    let twice = [("x-forwarded-user", "eve@trade.example"), right[0], right[1]];
    story.wire(Method::GET, ME, &twice, Some(PROXY), None).await.is_problem(400, "malformed");
});

both_engines!(a_page_of_another_site_changes_nothing_through_the_proxy, async |database| {
    let story = Story::with_password(database).await;
    let role = || Some(json!({"key": "packer", "name": "Packer"}));
    let at = || (Method::POST, ROLES);
    let login = "ann@toys.example";
    for headers in [&[][..], &[("sec-fetch-site", "cross-site")], &[("origin", "https://evil.example")]] {
        story.named(login, headers, at(), role()).await.is_problem(403, "forbidden");
    }
    story.named(login, &[HERE], at(), role()).await.is(201);
});

both_engines!(a_proxy_and_a_credential_that_disagree_are_refused, async |database| {
    let story = Story::with_password(database).await;
    story.password_for("bob@toys.example").await;
    let token = |told: Told| format!("Bearer {}", told.body["access_token"].as_str().unwrap());
    let ann = token(story.log_in("ann@toys.example", PASSWORD).await.is(200));
    let bob = token(story.log_in("bob@toys.example", PASSWORD).await.is(200));
    let at = || (Method::GET, ME);
    let login = "ann@toys.example";
    story.named(login, &[("authorization", &ann)], at(), None).await.is(200);
    story.named(login, &[("authorization", &bob)], at(), None).await.is_problem(400, "malformed");
    story.named(login, &[("authorization", "Bearer x")], at(), None).await.is_problem(401, "unauthenticated");
    story.named(login, &[("cookie", "__Host-ch_s=x")], at(), None).await.is_problem(401, "unauthenticated");
});

both_engines!(a_proxy_names_nobody_from_an_address_the_organization_refuses, async |database| {
    let story = Story::with_password(database).await;
    let rules = json!({"sign_in_addresses": ["192.0.2.0/24"]});
    let path = "/api/v1/organizations/toys/identity-settings";
    story.patch(Who::Operator, path, rules).await.is(200);
    let at = || (Method::GET, ME);
    let login = "ann@toys.example";
    story.named(login, &[("x-forwarded-for", "192.0.2.9")], at(), None).await.is(200);
    let told = story.named(login, &[("x-forwarded-for", "198.51.100.9")], at(), None).await;
    told.is_problem(403, "forbidden");
});
