//! The signature of a proof: it holds for years, for one file, and as long as nobody revokes its key.

use super::{HOLDER, RUNS, company};
use crate::stories::{ANN, PAT, Story, Who};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_testkit::both_engines;
use serde_json::{Value, json};

const CHECK: &str = "/api/v1/adoption/proofs/check";
const SUM: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

async fn checked(story: &Story, sum: &str, signature: &str) -> Value {
    story.post(Who::Operator, CHECK, json!({"sha256": sum, "signature": signature})).await.is(200).body
}

fn part(signature: &str, at: usize) -> Value {
    let text = signature.split('.').nth(at).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

both_engines!(a_proof_is_signed_for_years_and_for_one_file, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    story.rows(run, company(run)).await.is(200);
    for (step, sum) in [("before", None), ("schema", None), ("data", None), ("equivalence", Some(SUM))] {
        let body = json!({"holder": HOLDER, "step": step, "state": "done", "row_count": 1, "checksum": sum});
        story.post(Who::Operator, &format!("{RUNS}/{run}/steps"), body).await.is(200);
    }
    let sign = format!("{RUNS}/{run}/proof");
    story.post(ANN, &sign, json!({"sha256": SUM})).await.is(403);
    story.post(ANN, CHECK, json!({"sha256": SUM, "signature": "a.b.c"})).await.is(403);
    story.post(Who::Operator, &sign, json!({"sha256": "AB"})).await.is_problem(422, "invalid");
    story.post(Who::Operator, &format!("{RUNS}/9/proof"), json!({"sha256": SUM})).await.is(404);
    let signed = story.post(Who::Operator, &sign, json!({"sha256": SUM})).await.is(200).body;
    let signature = signed["signature"].as_str().unwrap().to_owned();
    let (header, stated) = (part(&signature, 0), part(&signature, 1));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("charter-adoption-proof+jws")));
    assert_eq!(
        (&stated["run"], &stated["source"], &stated["plan_hash"]),
        (&json!(run), &json!("legacy"), &json!("p1"))
    );
    assert_eq!((&stated["sha256"], &stated["jwk"]["kty"]), (&json!(SUM), &json!("OKP")));
    let told = checked(&story, SUM, &signature).await;
    assert_eq!(
        (&told["holds"], &told["is_of_the_step"], &told["run"]),
        (&json!(true), &json!(true), &json!(run))
    );
    assert_eq!((&told["run_state"], told["run_ended_at"].is_string()), (&json!("applied"), true), "{told:#}");
    assert_eq!((&told["kid"], &told["signed_at"]), (&header["kid"], &signed["signed_at"]));
    // It lets nobody in.
    let told = story.with_token(&signature, http::Method::GET, "/api/v1/me", None).await;
    assert_eq!(told.status.as_u16(), 401);
    // Of another file, changed, cut, and of no kind at all.
    let fault = async |sum: &str, signature: &str| {
        let told = checked(&story, sum, signature).await;
        assert_eq!((&told["holds"], &told["run"]), (&json!(false), &Value::Null));
        told["fault"].as_str().unwrap().to_owned()
    };
    assert!(fault(&SUM.replace('9', "8"), &signature).await.contains("the file was changed"));
    let mut parts: Vec<String> = signature.split('.').map(str::to_owned).collect();
    parts[1] = URL_SAFE_NO_PAD.encode(stated.to_string().replace(SUM, &SUM.replace('9', "8")));
    assert!(fault(&SUM.replace('9', "8"), &parts.join(".")).await.contains("changed after it was signed"));
    for broken in ["", "a.b", "a.b.c", "....", &signature[1..]] {
        assert!(fault(SUM, broken).await.contains("no signature of this kind"), "{broken}");
    }
    let other = URL_SAFE_NO_PAD.encode(header.to_string().replace("adoption-proof", "something"));
    let text = format!("{other}.{}", signature.split_once('.').unwrap().1);
    assert!(fault(SUM, &text).await.contains("no signature of this kind"));
    let other = URL_SAFE_NO_PAD.encode(header.to_string().replace(header["kid"].as_str().unwrap(), "nobody"));
    let text = format!("{other}.{}", signature.split_once('.').unwrap().1);
    assert!(fault(SUM, &text).await.contains("never had"));

    let trail = "/api/v1/organizations/platform/audit/events?action=adoption.proof";
    let event = story.get(Who::Operator, trail).await.is(200).body["items"][0].clone();
    assert_eq!(
        (&event["target"], &event["after"]["sha256"]),
        (&json!(run.to_string()), &json!(SUM)),
        "{event:#}"
    );
    // Years later its key is gone from what is published, and it holds.
    for _ in 0..40 {
        story.wait_seconds(30 * 24 * 3_600).await;
    }
    let published = story.get(Who::Nobody, "/.well-known/jwks.json").await.is(200).body.to_string();
    assert!(!published.contains(header["kid"].as_str().unwrap()), "{published}");
    assert_eq!(checked(&story, SUM, &signature).await["holds"], true);
});

both_engines!(nothing_that_a_revoked_key_signed_proves_anything, async |database| {
    let story = Story::company(database).await;
    let run = story.begin("p1").await;
    let sign = format!("{RUNS}/{run}/proof");
    let signed = story.post(Who::Operator, &sign, json!({"sha256": SUM})).await.is(200).body;
    let signature = signed["signature"].as_str().unwrap();
    let told = checked(&story, SUM, signature).await;
    assert_eq!((&told["holds"], &told["is_of_the_step"]), (&json!(true), &json!(false)));
    let kid = told["kid"].as_str().unwrap();
    let path = format!("/api/v1/keys/{kid}/revoke");
    story.post(PAT, &path, json!({"compromised": true})).await.is(200);
    let told = checked(&story, SUM, signature).await;
    assert_eq!(told["holds"], false);
    assert!(told["fault"].as_str().unwrap().contains("was revoked"), "{told:#}");
});
