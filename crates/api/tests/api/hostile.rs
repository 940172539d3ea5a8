//! Clients that mean harm or know no better: each is answered or closed, and the next one is served.

use crate::server::{Running, patient, start};
use charter_api::edge::Bounds;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HELLO: &str = "GET /api/v1/hello HTTP/1.1\r\nhost: x\r\n";

async fn is_served(running: &Running) {
    let answer = running.talk("GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

/// Sends bytes, and reads until the server closes; what it sent is told.
async fn send(running: &Running, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    // The server may close before it has read everything.
    let _sent = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    let _reset = read.expect("the server closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_is_no_request_is_refused_or_closed_and_others_are_served() {
    let running = start(patient()).await;
    let requests: &[&[u8]] = &[
        b"\x00\x00\x00\x00\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n folded: yes\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nho st: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n",
        b"GET /heal\x00thz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /heal thz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"G\xffT /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /api/v1/organizations/toys/toys HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{}",
        b"POST /api/v1/organizations/toys/toys HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999999\r\n\r\n{}",
        b"POST /api/v1/organizations/toys/toys HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n{}\r\n",
        b"POST /api/v1/organizations/toys/toys HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nffffffffffffffffff\r\n{}\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    for request in requests {
        let answer = send(&running, request).await;
        let shown = String::from_utf8_lossy(request);
        assert!(!answer.contains(" 200 OK") && !answer.contains(" 201 "), "{shown:?}: {answer}");
        assert!(!answer.contains(" 500 "), "{shown:?}: {answer}");
        is_served(&running).await;
    }
    running.end().await;
}

#[tokio::test]
async fn garbage_behind_a_good_request_ends_the_connection_after_its_answer() {
    let running = start(patient()).await;
    for garbage in ["\0\0\0\0\r\n\r\n", "GARBAGE\r\n\r\n", "GET / HTTP/1.1\r\nbad header\r\n\r\n"] {
        let answer = send(&running, format!("{HELLO}\r\n{garbage}").as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{garbage:?}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    }
    // A body longer than it said is the beginning of the next request, and no good one.
    let body = "{\"name\": \"bear\"}";
    let post = format!(
        "POST /api/v1/organizations/toys/toys HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ann\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}GET",
        body.len()
    );
    let answer = send(&running, post.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 201").count(), 1, "{answer}");
    is_served(&running).await;
    running.end().await;
}

#[tokio::test]
async fn old_and_unusual_forms_of_requests_are_answered_as_they_should_be() {
    let running = start(patient()).await;
    for (request, status) in [
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
        ("GET http://x/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 200),
        ("GET http://elsewhere.example/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 200),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        ("CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        ("TRACE /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405),
        ("BREW /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 405),
    ] {
        let answer = send(&running, request.as_bytes()).await;
        let told: u16 = answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default();
        assert_eq!(told, status, "{request:?}: {answer}");
    }
    is_served(&running).await;
    running.end().await;
}

#[tokio::test]
async fn paths_that_climb_hide_or_break_lead_nowhere() {
    let running = start(patient()).await;
    for path in [
        "/api/v1/../../healthz",
        "/api/v1/organizations/toys/../../hello",
        "/%2e%2e/healthz",
        "/api/v1/organizations/toys%2f..%2fother/toys",
        "/api/v1/organizations/..%2f..%2fhello/toys",
        "/api/v1/organizations/toys%00/toys",
        "/api/v1/organizations/%ff%fe/toys",
        "/api/v1/organizations/%c0%af/toys",
        "/api/v1/organizations/%zz/toys",
        "/api/v1/organizations/%/toys",
        "/api/v1//organizations/toys/toys",
        "//healthz",
        "/healthz/",
        "/healthz%00",
        "/healthz;x=1",
        "/HEALTHZ",
        "/api/v1/organizations//toys",
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ann\r\nconnection: close\r\n\r\n"
        );
        let answer = send(&running, request.as_bytes()).await;
        let told: u16 = answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_default();
        assert!([400, 404].contains(&told), "{path}: {answer}");
        assert!(answer.contains("urn:charter:problem:") || told == 400, "{path}: {answer}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "a".repeat(70_000));
    let answer = send(&running, long.as_bytes()).await;
    assert!(!answer.contains(" 200 OK") && !answer.contains(" 500 "), "{answer}");
    is_served(&running).await;
    running.end().await;
}

#[tokio::test]
async fn idle_connections_take_no_more_places_than_there_are_and_none_for_ever() {
    let running = start(Bounds { connections: 8, ..patient() }).await;
    let mut idle = Vec::new();
    for number in 0..50 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        // Some say nothing, some begin, and some trickle.
        let text = ["", "GET /heal", "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: "][number % 3];
        stream.write_all(text.as_bytes()).await.unwrap();
        idle.push(stream);
    }
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_string(&mut answer)).await;
    read.expect("its turn comes").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    drop(idle);
    running.end().await;
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_midst_of_its_body_disturbs_nobody() {
    let running = start(patient()).await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let head = "POST /api/v1/organizations/toys/toys HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ann\r\n\
                    content-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"name\": ";
        stream.write_all(head.as_bytes()).await.unwrap();
        drop(stream);
    }
    is_served(&running).await;
    let served = running.end().await;
    assert_eq!(served.cut_off, 0, "nobody waits for a body that will not come");
}
