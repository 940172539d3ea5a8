//! What is wrong with a request: 400 for its contents, 401 before anybody looks at them, never 415 or 422.

use super::{
    ACTION, ENDPOINTS, EVALUATION, EVALUATIONS, RESOURCE, Records, SUBJECT, Who, good_body, place, question,
};
use base64::Engine;
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

both_engines!(every_fault_of_a_request_is_400, async |database| {
    let records = Records::open(database).await;
    let nested = format!(r#"{{"context":{}{}}}"#, "[".repeat(40), "]".repeat(40));
    for endpoint in ENDPOINTS {
        let good = good_body(endpoint).to_string();
        let twice = good.replacen('{', r#"{"context":{"a":1,"a":2},"#, 1);
        let top_twice = good.replacen('{', r#"{"resource":{"type":"record","id":"record-2"},"#, 1);
        let half = good.replacen('{', r#"{"context":{"a":"\ud800"},"#, 1);
        for body in [
            "",
            " ",
            "{",
            "null",
            "[]",
            "7",
            "\"x\"",
            "{} {}",
            "{}}",
            "{\"a\":nul}",
            &nested,
            &twice,
            &top_twice,
            &half,
            &format!("{good}x"),
        ] {
            records.ask_text(endpoint, body.to_owned()).await.is_problem(400, "malformed");
        }
        records.ask_text(endpoint, b"{\"a\":\"\xff\"}".to_vec()).await.is_problem(400, "malformed");
        for key in ["subject.properties", "resource.properties", "context"] {
            for wrong in [json!("x"), json!(1), json!([]), json!(true)] {
                let mut body = good_body(endpoint);
                match key.split_once('.') {
                    Some((entity, properties)) => body[entity][properties] = wrong,
                    None => body[key] = wrong,
                }
                if endpoint == EVALUATIONS {
                    body["evaluations"] = json!([]);
                }
                records.ask(endpoint, body).await.is_problem(400, "malformed");
            }
        }
    }
});

both_engines!(the_content_type_is_json_with_whatever_parameters, async |database| {
    let records = Records::open(database).await;
    let bearer = records.bearer();
    for endpoint in ENDPOINTS {
        let body = good_body(endpoint).to_string();
        let send = async |types: &[&str]| {
            let mut headers = vec![("authorization", &*bearer)];
            headers.extend(types.iter().map(|kind| ("content-type", *kind)));
            records.raw(Method::POST, endpoint, &headers, body.clone()).await
        };
        for good in [
            "application/json",
            "Application/JSON",
            "application/json;charset=UTF-8",
            "application/json ; x=y",
        ] {
            send(&[good]).await.is(200);
        }
        for bad in [
            "text/plain",
            "application/jsonp",
            "application/problem+json",
            "",
            "application/x-www-form-urlencoded",
        ] {
            send(&[bad]).await.is_problem(400, "malformed");
        }
        send(&[]).await.is_problem(400, "malformed");
        send(&["application/json", "application/json"]).await.is_problem(400, "malformed");
    }
});

both_engines!(a_body_beyond_the_limit_is_too_large, async |database| {
    let records = Records::open(database).await;
    let long = |bytes: usize| {
        let mut body = question("alice", "read", "record-1");
        body["context"] = json!({"note": "x".repeat(bytes)});
        body
    };
    for endpoint in [EVALUATION, SUBJECT, RESOURCE, ACTION] {
        records.ask(endpoint, long(60_000)).await.is(200);
        records.ask(endpoint, long(70_000)).await.is_problem(413, "too-large");
    }
    records.ask(EVALUATIONS, long(70_000)).await.is(200);
    records.ask(EVALUATIONS, long(4 * 1024 * 1024)).await.is_problem(413, "too-large");
});

both_engines!(other_methods_are_none_of_these_paths, async |database| {
    let records = Records::open(database).await;
    let bearer = records.bearer();
    for endpoint in ENDPOINTS {
        for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
            let headers = [("authorization", &*bearer), ("x-request-id", "mine")];
            let told =
                records.raw(method, endpoint, &headers, "").await.is_problem(405, "method-not-allowed");
            assert_eq!((told.header("allow"), told.header("x-request-id")), ("POST", "mine"));
        }
    }
});

both_engines!(nobody_is_heard_without_a_good_credential, async |database| {
    let records = Records::open(database).await;
    let token = records.token.clone();
    let key_id = token.split('_').nth(2).unwrap().to_owned();
    let basic = |user: &str, password: &str| {
        let text = format!("{user}:{password}");
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    };
    let escaped: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let send = async |endpoint: &str, credential: Option<&str>, body: Value| {
        let mut headers = vec![("content-type", "application/json"), ("x-request-id", "ask 1")];
        headers.extend(credential.map(|credential| ("authorization", credential)));
        records.raw(Method::POST, endpoint, &headers, body.to_string()).await
    };
    for endpoint in ENDPOINTS {
        for good in [
            format!("Bearer {token}"),
            format!("bearer  {token}"),
            basic(&key_id, &token),
            basic(&key_id, &escaped),
        ] {
            send(endpoint, Some(&good), good_body(endpoint)).await.is(200);
        }
        for bad in [
            None,
            Some("Bearer".to_owned()),
            Some("Bearer x".to_owned()),
            Some(format!("Bearer {}x", &token[..71])),
            Some(format!("Token {token}")),
            Some(basic("another", &token)),
            Some(basic(&key_id, "secret")),
            Some("Basic %%%".to_owned()),
        ] {
            // The body is not looked at before.
            let told = send(endpoint, bad.as_deref(), json!([])).await.is_problem(401, "unauthenticated");
            let challenges: Vec<_> = told.headers.get_all("www-authenticate").iter().collect();
            assert!(challenges.iter().any(|it| it.to_str().unwrap().starts_with("Bearer ")));
            assert!(challenges.iter().any(|it| it.to_str().unwrap().starts_with("Basic ")));
        }
    }
    let path = place(&format!("service-tokens/{}?reason=lost", records.token_id));
    records.story.delete(Who::Operator, &path).await.is(200);
    for endpoint in ENDPOINTS {
        let told = records.ask(endpoint, good_body(endpoint)).await;
        told.is_problem(401, "unauthenticated");
    }
});

both_engines!(a_request_id_comes_back_byte_for_byte, async |database| {
    let records = Records::open(database).await;
    let bearer = records.bearer();
    let long = "i".repeat(128);
    let too_long = "i".repeat(300);
    for endpoint in ENDPOINTS {
        let body = good_body(endpoint).to_string();
        let send = async |id: &str, credential: &str, body: &str| {
            let headers =
                [("authorization", credential), ("content-type", "application/json"), ("x-request-id", id)];
            records.raw(Method::POST, endpoint, &headers, body.to_owned()).await
        };
        for id in ["BFE9EB29-AB87-4CA3-BE83-A1D5D8305716", "7", "a/b?c=d;e,f~", &long] {
            for (told, status) in [
                (send(id, &bearer, &body).await, 200),
                (send(id, &bearer, "[]").await, 400),
                (send(id, "Bearer x", &body).await, 401),
            ] {
                let ids: Vec<_> =
                    told.headers.get_all("x-request-id").iter().map(|it| it.to_str().unwrap()).collect();
                assert_eq!((told.status.as_u16(), ids.as_slice()), (status, [id].as_slice()), "{endpoint}");
            }
        }
        // What could break a log line or a header is not taken over: the answer has an id of ours.
        for id in ["with blanks", "", &too_long] {
            let told = send(id, &bearer, &body).await.is(200);
            assert!(told.header("x-request-id").parse::<charter_kernel::RequestId>().is_ok(), "{id}");
        }
    }
});

both_engines!(whoever_may_not_ask_is_refused_before_the_body_is_read, async |database| {
    let records = Records::open(database).await;
    let by = Who::Operator;
    let members = place("members");
    records.story.post(by, &members, json!({"login": "porter", "kind": "service_account"})).await.is(201);
    let body = json!({"account": "porter", "name": "no right to ask"});
    let made = records.story.post(by, &place("service-tokens"), body).await.is(201);
    let bearer = format!("Bearer {}", made.body["token"].as_str().unwrap());
    for endpoint in ENDPOINTS {
        for body in [good_body(endpoint).to_string(), "[".to_owned()] {
            let headers = [("authorization", &*bearer), ("content-type", "application/json")];
            records.raw(Method::POST, endpoint, &headers, body).await.is_problem(403, "forbidden");
        }
    }
});
