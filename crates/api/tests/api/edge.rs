//! The way of a request: caller, guard, body, headers, problems.

use crate::fake::{Service, Who, ask};
use axum::body::Body;
use axum::extract::ConnectInfo;
use charter_api::edge::{LocalCaller, Settings, client_address};
use http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

const TOYS: &str = "/api/v1/organizations/toys/toys";
const BEAR: &str = "/api/v1/organizations/toys/toys/bear";

#[tokio::test]
async fn a_caller_with_the_permission_is_answered() {
    let service = Service::default();
    let answer = service.ann("GET", BEAR, "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text, r#"{"name":"bear","version":3}"#);
    assert_eq!(answer.header("etag"), "\"v3\"");
    assert_eq!(answer.header("charter-revision"), "7");
    let answer = service.ann("POST", TOYS, r#"{"name": "bear"}"#).await;
    assert_eq!((answer.status, answer.header("location")), (201, "/toys/1"));
    let answer = service.ann("DELETE", BEAR, "").await;
    assert_eq!((answer.status, answer.text.as_str(), answer.header("content-type")), (204, "", ""));
}

#[tokio::test]
async fn the_guard_stands_before_everything_else() {
    let service = Service::default();
    // Signed out: 401 whatever the rest of the request looks like, the organization included.
    for (method, path) in
        [("GET", BEAR), ("POST", TOYS), ("GET", "/api/v1/organizations/none/toys"), ("GET", "/api/v1/me")]
    {
        let answer = service.send(ask(method, path, &[], "")).await;
        assert_eq!((answer.status, answer.slug().as_str()), (401, "unauthenticated"), "{method} {path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"charter\"");
    }
    // No permission: 403 with the reason, before a broken body is looked at.
    let answer = service.send(ask("POST", TOYS, &[("authorization", "Bearer bob")], "{broken")).await;
    assert_eq!((answer.status, answer.slug().as_str()), (403, "forbidden"));
    assert_eq!(answer.json()["reason"], "no_grant");
    assert_eq!(answer.json()["layer"], "permission");
    // Not a member: as if it were not there.
    let known = service.send(ask("GET", BEAR, &[("authorization", "Bearer eve")], "")).await;
    let unknown = service
        .send(ask("GET", "/api/v1/organizations/none/toys", &[("authorization", "Bearer eve")], ""))
        .await;
    assert_eq!((known.status, unknown.status), (404, 404));
    assert_eq!(known.json()["detail"], unknown.json()["detail"]);
    // Platform permissions are asked for in the platform organization.
    assert_eq!(service.ann("GET", "/api/v1/system", "").await.status, 403);
}

#[tokio::test]
async fn credentials_come_in_one_authorization_header_only() {
    let service = Service::default();
    let twice = [("authorization", "Bearer ann"), ("authorization", "Bearer bob")];
    assert_eq!(service.send(ask("GET", BEAR, &twice, "")).await.status, 400);
    for wrong in ["Bearer wrong", "Basic YW5uOmFubg==", "Bearer", "Bearer ", "ann"] {
        let answer = service.send(ask("GET", BEAR, &[("authorization", wrong)], "")).await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(answer.header("www-authenticate").contains("invalid_token"), "{wrong}");
    }
    assert_eq!(service.send(ask("GET", BEAR, &[("authorization", "bearer ann")], "")).await.status, 200);
    // Some clients speak Basic only: the key id as user, the service token as password, and never a person's password.
    for (basic, status) in [
        ("azE6Y2hzX2xpdmVfazFfc19j", 200),
        ("k1%3Achs_live_k1_s_c", 401),
        ("YW5uOmNoc19saXZlX2sxX3NfYw==", 401),
        ("YW5uOmFubg==", 401),
    ] {
        let headers = [("authorization", format!("Basic {basic}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(service.send(ask("GET", BEAR, &headers, "")).await.status, status, "{basic}");
    }
    let in_query = format!("{BEAR}?access_token=ann");
    assert_eq!(service.send(ask("GET", &in_query, &[], "")).await.status, 401);
    // A stale token does not keep anybody from a public route.
    for stale in ["Bearer stale", "Basic YW5uOmFubg=="] {
        let answer = service.send(ask("GET", "/api/v1/hello", &[("authorization", stale)], "")).await;
        assert_eq!((answer.status, answer.json()["who"].as_str().unwrap()), (200, "Nobody"), "{stale}");
    }
    assert_eq!(service.send(ask("GET", "/api/v1/hello", &twice, "")).await.status, 400);
}

#[tokio::test]
async fn a_caller_in_the_same_process_needs_no_token() {
    let service = Service::default();
    let mut request = ask("GET", "/api/v1/me", &[], "");
    request.extensions_mut().insert(LocalCaller(Who::Named("operator")));
    assert_eq!(service.send(request).await.json()["who"], "Named(\"operator\")");
}

#[tokio::test]
async fn the_organization_comes_from_path_query_or_credential() {
    let service = Service::default();
    let body = r#"{"name": "bear"}"#;
    assert_eq!(service.ann("POST", "/api/v1/toys", body).await.status, 200);
    assert_eq!(service.ann("POST", "/api/v1/toys?organization=trade", body).await.status, 200);
    assert_eq!(service.ann("POST", "/api/v1/toys?organization=none", body).await.status, 404);
    let answer = service.send(ask("POST", "/api/v1/toys", &[("authorization", "Bearer bob")], body)).await;
    assert_eq!((answer.status, answer.slug().as_str()), (400, "malformed"));
    assert_eq!(answer.json()["fields"][0]["field"], "organization");
    // Where the path names it, the query may not.
    let path = format!("{BEAR}?organization=trade");
    assert_eq!(service.ann("GET", &path, "").await.status, 400);
}

#[tokio::test]
async fn an_unknown_path_and_a_wrong_method_are_problems() {
    let service = Service::default();
    for path in ["/", "/nowhere", "/api/v1/organizations/toys/toys/", "/api/v1/organizations//toys"] {
        let answer = service.ann("GET", path, "").await;
        assert_eq!((answer.status, answer.slug().as_str()), (404, "not-found"), "{path}");
    }
    let answer = service.ann("PATCH", BEAR, "").await;
    assert_eq!((answer.status, answer.slug().as_str()), (405, "method-not-allowed"));
    assert_eq!(answer.header("allow"), "GET, PUT, DELETE, HEAD");
    let overridden = [("authorization", "Bearer ann"), ("x-http-method-override", "DELETE")];
    assert_eq!(service.send(ask("GET", BEAR, &overridden, "")).await.status, 200);
    assert_eq!(service.ann("OPTIONS", BEAR, "").await.status, 405);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let service = Service::default();
    let answer = service.ann("HEAD", BEAR, "").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(answer.header("content-length"), "27");
    assert_eq!(answer.header("etag"), "\"v3\"");
    assert_eq!(service.send(ask("HEAD", BEAR, &[], "")).await.status, 401);
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_browsers() {
    let service = Service::with(Settings { is_https: true, ..Settings::default() });
    for (method, path, status) in [
        ("GET", BEAR, 200),
        ("DELETE", BEAR, 204),
        ("GET", "/nowhere", 404),
        ("PATCH", BEAR, 405),
        ("GET", "/docs", 200),
        ("GET", "/healthz", 200),
    ] {
        let answer = service.ann(method, path, "").await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert!(answer.header("strict-transport-security").starts_with("max-age=31536000"));
        let cached = if path == "/docs" { "public, max-age=0, must-revalidate" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), cached);
        assert!(answer.headers.get("access-control-allow-origin").is_none());
    }
    let answer = Service::default().ann("GET", BEAR, "").await;
    assert_eq!(answer.header("strict-transport-security"), "", "plain HTTP promises nothing");
}

#[tokio::test]
async fn a_request_id_is_sent_back_and_kept_when_it_is_a_uuid() {
    let service = Service::default();
    let uuid = "0193e7a0-1111-7222-8333-444455556666";
    let long = "x".repeat(129);
    // What is sent, whether it is sent back, whether it is also the id in the log and on audit events.
    for (sent, is_echoed, is_kept) in [
        (uuid, true, true),
        ("0193E7A0111172228333444455556666", true, true),
        ("trace:7/1", true, false),
        ("00000000-0000-0000-0000-000000000000", true, false),
        ("two words", false, false),
        ("", false, false),
        (&long, false, false),
    ] {
        let answer = service.send(ask("GET", "/nowhere", &[("x-request-id", sent)], "")).await;
        let (echoed, document) = (answer.header("x-request-id"), answer.json());
        let id = document["request_id"].as_str().unwrap();
        assert_eq!(echoed == sent, is_echoed, "{sent}: {echoed}");
        assert_eq!(id.len(), 36);
        assert_eq!(id == uuid, is_kept, "{sent}: {id}");
        assert!(is_echoed || echoed == id, "{sent}: {echoed}");
    }
}

#[tokio::test]
async fn only_json_that_says_so_is_read() {
    let service = Service::default();
    let body = r#"{"name": "bear"}"#;
    for (kind, status) in [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON;charset=UTF-8", 201),
        ("application/json; charset=latin1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data", 415),
        ("application/jsonp", 415),
    ] {
        let headers = [("authorization", "Bearer ann"), ("content-type", kind)];
        assert_eq!(service.send(ask("POST", TOYS, &headers, body)).await.status, status, "{kind}");
    }
    let mut bare = ask("POST", TOYS, &[("authorization", "Bearer ann")], body);
    bare.headers_mut().remove("content-type");
    assert_eq!(service.send(bare).await.slug(), "unsupported-media-type");
    let packed =
        [("authorization", "Bearer ann"), ("content-type", "application/json"), ("content-encoding", "gzip")];
    assert_eq!(service.send(ask("POST", TOYS, &packed, body)).await.status, 415);
    // Where only 400 is spoken, everything is 400.
    let lenient = [("authorization", "Bearer ann"), ("content-type", "text/plain")];
    assert_eq!(service.send(ask("POST", "/api/v1/toys", &lenient, body)).await.slug(), "malformed");
    assert_eq!(service.ann("POST", "/api/v1/toys", r#"{"name": 1}"#).await.slug(), "malformed");
}

/// Attack 112.
#[tokio::test]
async fn a_body_over_the_limit_is_refused_declared_or_not() {
    let service = Service::default();
    let large = format!("{{\"name\": \"{}\"}}", "a".repeat(1024 * 1024));
    assert_eq!(service.ann("POST", TOYS, &large).await.slug(), "too-large");
    let chunks = futures_util::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024])));
    let mut request =
        ask("POST", TOYS, &[("authorization", "Bearer ann"), ("content-type", "application/json")], "");
    *request.body_mut() = Body::from_stream(chunks);
    assert_eq!(service.send(request).await.slug(), "too-large");
    assert_eq!(service.ann("POST", "/access/echo", &"a".repeat(101)).await.slug(), "too-large");
    assert_eq!(service.ann("POST", "/access/echo", &"a".repeat(100)).await.status, 200);
    assert_eq!(
        service.send(ask("POST", "/access/echo", &[], "{}")).await.status,
        401,
        "raw routes are guarded too"
    );
}

#[tokio::test]
async fn an_operation_without_a_body_takes_none() {
    let service = Service::default();
    assert_eq!(service.ann("POST", "/api/v1/press", "").await.status, 204);
    assert_eq!(service.ann("POST", "/api/v1/press", "{}").await.slug(), "malformed");
}

#[tokio::test]
async fn unknown_repeated_and_ill_typed_parameters_are_named() {
    let service = Service::default();
    for (query, field, detail) in [
        ("color=red", "color", "is unknown: expected one of colour, is_cheap"),
        ("colour=red&colour=red", "colour", "stands twice"),
        ("colour=red&col%6fur=blue", "colour", "stands twice"),
        ("colour=green", "colour", "expected one of red, blue"),
        ("is_cheap=1", "is_cheap", "expected true or false"),
        ("limit=0", "limit", "from 1 to 200"),
        ("limit=201", "limit", "from 1 to 200"),
        ("limit=ten", "limit", "from 1 to 200"),
        ("cursor=abc", "cursor", "is not one this list gave out"),
    ] {
        let answer = service.ann("GET", &format!("{TOYS}?{query}"), "").await;
        assert_eq!((answer.status, answer.slug().as_str()), (400, "malformed"), "{query}");
        assert_eq!(answer.json()["fields"][0]["field"], field, "{query}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(detail), "{query}: {}", answer.text);
    }
    for query in ["colour=%ff", "colour=%f", "colour=%zz"] {
        assert_eq!(service.ann("GET", &format!("{TOYS}?{query}"), "").await.status, 400, "{query}");
    }
    assert_eq!(
        service.ann("GET", &format!("{TOYS}?colour=red&is_cheap=true&limit=200"), "").await.status,
        200
    );
    assert_eq!(service.ann("GET", &format!("{BEAR}?x=1"), "").await.status, 400);
}

#[tokio::test]
async fn versions_guard_changes_and_save_bytes() {
    let service = Service::default();
    let send = |method: &'static str, name: &'static str, value: &'static str| {
        let body = if method == "PUT" { r#"{"name": "bear"}"# } else { "" };
        service.send(ask(method, BEAR, &[("authorization", "Bearer ann"), (name, value)], body))
    };
    assert_eq!(service.ann("PUT", BEAR, r#"{"name": "bear"}"#).await.slug(), "precondition-required");
    assert_eq!(send("PUT", "if-match", "\"v2\"").await.slug(), "changed");
    assert_eq!(send("PUT", "if-match", "W/\"v3\"").await.slug(), "changed");
    assert_eq!(send("PUT", "if-match", "v3").await.slug(), "malformed");
    let answer = send("PUT", "if-match", "\"v3\"").await;
    assert_eq!((answer.status, answer.header("etag")), (200, "\"v4\""));
    for (value, status) in
        [("\"v3\"", 304), ("W/\"v3\"", 304), ("\"v1\", \"v3\"", 304), ("*", 304), ("\"v2\"", 200)]
    {
        let answer = send("GET", "if-none-match", value).await;
        assert_eq!(answer.status, status, "{value}");
        assert_eq!(answer.text.is_empty(), status == 304);
        assert_eq!(answer.header("etag"), "\"v3\"");
    }
}

#[tokio::test]
async fn an_answer_can_be_asked_to_know_of_a_revision() {
    let service = Service::default();
    let at = |revision: &'static str| {
        service.send(ask("GET", BEAR, &[("authorization", "Bearer ann"), ("charter-at-least", revision)], ""))
    };
    assert_eq!(at("7").await.status, 200);
    let answer = at("8").await;
    assert_eq!((answer.slug().as_str(), answer.header("retry-after")), ("unavailable", "1"));
    assert_eq!(at("soon").await.status, 400);
}

#[tokio::test]
async fn a_panic_and_a_bug_are_problems_that_tell_nothing() {
    let service = Service::default();
    for name in ["panic", "bug"] {
        let answer = service.ann("POST", TOYS, &format!("{{\"name\": \"{name}\"}}")).await;
        assert_eq!((answer.status, answer.slug().as_str()), (500, "internal"));
        assert!(!answer.text.contains("shelf") && !answer.text.contains("secret"), "{}", answer.text);
    }
    assert_eq!(service.ann("GET", BEAR, "").await.status, 200);
}

#[tokio::test]
async fn what_takes_too_long_ends() {
    let answer = Service::default().ann("POST", TOYS, r#"{"name": "slow"}"#).await;
    assert_eq!((answer.status, answer.slug().as_str()), (503, "outcome-unknown"));
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn health_and_readiness_tell_what_is_wrong() {
    let service = Service::default();
    assert_eq!(service.send(ask("GET", "/healthz", &[], "")).await.json()["status"], "alive");
    assert_eq!(service.send(ask("GET", "/readyz", &[], "")).await.json()["status"], "ready");
    service.gate.faults.lock().unwrap().push(("migrations", "0007 is not applied: run charter migrate"));
    let answer = service.send(ask("GET", "/readyz", &[], "")).await;
    assert_eq!((answer.status, answer.json()["status"].as_str().unwrap()), (503, "not_ready"));
    assert_eq!(answer.json()["checks"][1]["fault"], "0007 is not applied: run charter migrate");
    assert_eq!(service.send(ask("GET", "/healthz", &[], "")).await.status, 200);
}

/// Attack 59.
#[test]
fn forwarded_addresses_count_from_trusted_proxies_only() {
    let trusted = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().unwrap());
    let rows: &[(&str, &[&str], &str)] = &[
        ("203.0.113.9", &[], "203.0.113.9"),
        ("203.0.113.9", &["192.0.2.1"], "203.0.113.9"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
        ("::ffff:10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", &["1.2.3.4, 192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", &["1.2.3.4", "192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", &["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", &["192.0.2.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", &["192.0.2.1, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["::ffff:192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", &["192.0.2.1:5000"], "192.0.2.1"),
        ("fd00::1", &["[2001:db8::7]:443"], "2001:db8::7"),
        ("fd00::1", &["[2001:db8::7]"], "2001:db8::7"),
    ];
    for (peer, forwarded, expected) in rows {
        let mut headers = HeaderMap::new();
        for value in *forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let address = client_address(Some(peer.parse().unwrap()), &headers, &trusted);
        assert_eq!(address, Some(expected.parse::<IpAddr>().unwrap()), "{peer} {forwarded:?}");
    }
}

#[tokio::test]
async fn a_handler_sees_the_clients_address() {
    let settings = Settings { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Settings::default() };
    let service = Service::with(settings);
    let spoofing = [("x-forwarded-for", "1.2.3.4"), ("x-real-ip", "1.2.3.4"), ("forwarded", "for=1.2.3.4")];
    for (peer, expected) in [("10.0.0.1:1", "1.2.3.4"), ("203.0.113.9:1", "203.0.113.9")] {
        let mut request = ask("GET", "/api/v1/hello", &spoofing, "");
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        assert_eq!(service.send(request).await.json()["address"], expected);
    }
}

/// Attack 49.
#[tokio::test]
async fn a_service_of_this_machine_alone_answers_to_no_strange_name() {
    let names = Some(vec!["charter.example".to_owned()]);
    let service = Service::with(Settings { host_names: names, ..Settings::default() });
    let ours = [
        "127.0.0.1:8080",
        "[::1]:8080",
        "localhost:8080",
        "LOCALHOST",
        "charter.example",
        "charter.example:8080",
    ];
    for ours in ours {
        let headers = [("authorization", "Bearer ann"), ("host", ours)];
        assert_eq!(service.send(ask("GET", BEAR, &headers, "")).await.status, 200, "{ours}");
    }
    for strange in
        ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", ""]
    {
        let headers = [("authorization", "Bearer ann"), ("host", strange)];
        let answer = service.send(ask("GET", BEAR, &headers, "")).await;
        assert_eq!((answer.status, answer.slug().as_str()), (400, "malformed"), "{strange}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let headers = [("authorization", "Bearer ann"), ("host", "evil.example")];
    assert_eq!(
        Service::default().send(ask("GET", BEAR, &headers, "")).await.status,
        200,
        "no list, any name"
    );
}
