//! A request with an idempotency key is done once.

use crate::fake::{Answered, Service, ask};
use charter_api::edge::StoredAnswer;
use std::sync::atomic::Ordering;

const TOYS: &str = "/api/v1/organizations/toys/toys";

async fn make(service: &Service, key: &str, body: &str) -> Answered {
    service.send(ask("POST", TOYS, &[("authorization", "Bearer ann"), ("idempotency-key", key)], body)).await
}

fn made(service: &Service) -> u64 {
    service.gate.made.load(Ordering::SeqCst)
}

#[tokio::test]
async fn the_same_request_again_gets_the_stored_answer() {
    let service = Service::default();
    let first = make(&service, "key-1", r#"{"name": "bear"}"#).await;
    let again = make(&service, "key-1", r#"{"name": "bear"}"#).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""));
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(first.text, again.text);
    for name in ["location", "etag", "content-type", "cache-control", "x-content-type-options"] {
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
    assert_eq!(made(&service), 1);
    make(&service, "key-2", r#"{"name": "bear"}"#).await;
    assert_eq!(made(&service), 2);
}

#[tokio::test]
async fn the_key_of_another_request_is_refused() {
    let service = Service::default();
    make(&service, "key-1", r#"{"name": "bear"}"#).await;
    let other = make(&service, "key-1", r#"{"name": "fox"}"#).await;
    assert_eq!((other.status, other.slug().as_str()), (422, "idempotency-mismatch"));
    let elsewhere = [("authorization", "Bearer ann"), ("idempotency-key", "key-1")];
    let path = "/api/v1/organizations/trade/toys";
    assert_eq!(service.send(ask("POST", path, &elsewhere, r#"{"name": "bear"}"#)).await.status, 422);
    assert_eq!(made(&service), 1);
}

#[tokio::test]
async fn a_request_under_way_is_not_started_again() {
    let service = Service::default();
    make(&service, "key-1", r#"{"name": "panic"}"#).await;
    // The first one never came back: nobody knows what it did, so the key stays claimed.
    let again = make(&service, "key-1", r#"{"name": "panic"}"#).await;
    assert_eq!((again.status, again.slug().as_str()), (409, "in-progress"));
    assert_eq!(again.header("retry-after"), "1");
}

#[tokio::test]
async fn a_refusal_is_kept_but_a_failure_is_tried_again() {
    let service = Service::default();
    let failed = make(&service, "key-1", r#"{"name": "away"}"#).await;
    let tried = make(&service, "key-1", r#"{"name": "away"}"#).await;
    assert_eq!((failed.status, tried.status), (503, 201));
    let refused = make(&service, "key-2", r#"{"name": "taken"}"#).await;
    let replayed = make(&service, "key-2", r#"{"name": "taken"}"#).await;
    assert_eq!((refused.status, replayed.status), (409, 409));
    assert_eq!(replayed.header("idempotency-replayed"), "true");
    assert_eq!(replayed.header("content-type"), "application/problem+json");
    assert_eq!(made(&service), 3);
}

#[tokio::test]
async fn a_key_is_one_to_sixty_four_visible_characters() {
    let service = Service::default();
    for wrong in ["", "a b", "\t", &"k".repeat(65), "caf\u{e9}"] {
        let answer = make(&service, wrong, r#"{"name": "bear"}"#).await;
        assert_eq!((answer.status, made(&service)), (400, 0), "{wrong:?}");
    }
    assert_eq!(make(&service, &"k".repeat(64), r#"{"name": "bear"}"#).await.status, 201);
    let twice = [("authorization", "Bearer ann"), ("idempotency-key", "a"), ("idempotency-key", "a")];
    assert_eq!(service.send(ask("POST", TOYS, &twice, r#"{"name": "bear"}"#)).await.status, 400);
}

#[tokio::test]
async fn an_answer_with_a_secret_is_never_kept() {
    let service = Service::default();
    let headers = [("authorization", "Bearer ann"), ("idempotency-key", "key-1")];
    assert_eq!(service.send(ask("POST", "/api/v1/secrets", &headers, "")).await.status, 400);
    assert!(service.gate.answers.lock().unwrap().is_empty());
    assert_eq!(service.ann("POST", "/api/v1/secrets", "").await.status, 204);
}

#[tokio::test]
async fn an_answer_kept_by_an_older_version_is_still_given() {
    let service = Service::default();
    make(&service, "key-1", r#"{"name": "bear"}"#).await;
    let old = StoredAnswer { status: 200, headers: vec![("x\n".into(), "y".into())], body: b"{}".to_vec() };
    service.gate.answers.lock().unwrap().values_mut().for_each(|(_, answer)| *answer = Some(old.clone()));
    assert_eq!(make(&service, "key-1", r#"{"name": "bear"}"#).await.status, 200);
}
