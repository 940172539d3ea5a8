//! The database fails at each step of a batch: what is left is all of it or nothing, and the batch repeated makes it whole.

use super::{company, id};
use crate::stories::{Story, Who};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use charter_testkit::fault::Faults;
use http::Method;
use serde_json::json;

both_engines!(a_batch_that_fails_at_any_step_is_whole_when_it_is_repeated, async |database: TestDatabase| {
    let faults = Faults::new();
    let story = Story::company(database.fail_with(&faults)).await;
    let run = story.begin("p1").await;
    faults.taken();
    let mut tried = 0;
    loop {
        faults.fail_after(tried);
        let told = story.rows(run, company(run)).await;
        let struck = faults.struck();
        let users = story.get(Who::Operator, "/api/v1/adoption/users?source=legacy").await.is(200).body;
        let count = users["items"].as_array().unwrap().len();
        if struck.is_none() {
            assert_eq!(told.status.as_u16(), 200, "{:#}", told.body);
            break;
        }
        assert_eq!(told.status.as_u16(), 503, "step {tried}: {:#}", told.body);
        assert!(count == 0 || count == 2, "step {tried} left {count} users");
        if count == 2 {
            // It was final, and nobody heard of it.
            let again = story.rows(run, company(run)).await.is(200);
            assert_eq!(again.body["inserted"]["users"], 0);
            break;
        }
        tried += 1;
    }
    assert!(tried > 15, "{tried} steps");
    let again = story.rows(run, company(run)).await.is(200);
    assert_eq!(again.body["inserted"]["assignments"], 0);
    let answers = story.get(Who::Operator, "/api/v1/adoption/answers?organization=shop").await.is(200).body;
    assert_eq!(answers["members"].as_array().unwrap().len(), 2);
    assert_eq!(answers["members"][0][0], json!(id(run, 11)));
    let verify = "/api/v1/organizations/platform/audit/verify";
    let verified = story.send(Who::Operator, Method::POST, verify, &[], None).await.is(200);
    assert_eq!(verified.body["faults"], json!([]));
});
