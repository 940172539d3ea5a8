//! Logins that accounts of another system's users gave up: told to the next plan, however long ago it was, and whoever gave them up.

use super::waiting::ann_too;
use super::{HOLDER, RUNS, company, id};
use crate::stories::{ANN, Story, Who};
use charter_testkit::both_engines;
use serde_json::{Value, json};

const OLD: &str = "ann@toys.example";
const NEW: &str = "ann@plush.example";

impl Story {
    async fn former_logins(&self, source: &str, logins: &[&str]) -> Value {
        let body = json!({"source": source, "logins": logins});
        let told = self.post(Who::Operator, "/api/v1/adoption/former-logins", body).await;
        told.is(200).body["now"].clone()
    }

    /// A company that came from another system, with Ann of toys in it.
    async fn with_ann_adopted(database: charter_testkit::database::TestDatabase) -> (Self, u64) {
        let story = Self::with_password(database).await;
        let ann = story.id_of(ANN).to_string();
        let first = story.begin("p1").await;
        for rows in [company(first), ann_too(first, &ann)] {
            story.rows(first, rows).await.is(200);
        }
        story.prove(first).await;
        (story, first)
    }
}

both_engines!(an_address_that_its_owner_gave_up_is_known_for_good, async |database| {
    let (story, _) = Story::with_ann_adopted(database).await;
    story.pass(5);
    assert_eq!(story.former_logins("legacy", &[OLD, NEW]).await, json!([null, null]));
    let back = story.ann_moves_to(NEW).await;
    assert_eq!(
        story.former_logins("legacy", &["Ann@Toys.example", NEW, "a\u{0}b"]).await,
        json!([NEW, null, null])
    );
    assert_eq!(story.former_logins("other", &[OLD]).await, json!([null]));
    // What was taken back gave nothing up.
    story.take_back(&back).await.is(204);
    assert_eq!(story.former_logins("legacy", &[OLD, NEW]).await, json!([null, null]));
    story.password_for(OLD).await;
    story.ann_moves_to(NEW).await;
    for _ in 0..2 {
        story.wait_seconds(60 * 86_400).await;
    }
    assert_eq!(story.former_logins("legacy", &[OLD]).await, json!([NEW]), "it was forgotten after a month");
});

both_engines!(a_login_that_a_run_took_is_known_as_long_as_the_run_stands, async |database| {
    let (story, first) = Story::with_ann_adopted(database).await;
    story.pass(5);
    let second = story.begin("p2").await;
    let renamed = json!([{"principal": id(first, 11), "login": "deleted-7@shop.example"}]);
    let body = json!({"holder": HOLDER, "accounts": renamed});
    story.post(Who::Operator, &format!("{RUNS}/{second}/changes"), body).await.is(200);
    story.prove(second).await;
    let asked = ["ann@shop.example", "deleted-7@shop.example", "bob@shop.example"];
    assert_eq!(story.former_logins("legacy", &asked).await, json!(["deleted-7@shop.example", null, null]));
    assert_eq!(story.former_logins("other", &asked).await, json!([null, null, null]));
    story.undo(second, "before", true).await;
    assert_eq!(story.former_logins("legacy", &asked).await, json!([null, null, null]));
});
