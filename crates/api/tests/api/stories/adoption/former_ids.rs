//! Tokens of the other system that name users by their ids there.

use super::company;
use super::waiting::ann_too;
use crate::stories::former_token::{SECRET, signed};
use crate::stories::{ANN, Story};
use charter_app::identity::legacy_caller::{self, Terms};
use charter_app::identity::legacy_secret;
use charter_app::identity::legacy_token::LegacyIds;
use charter_testkit::both_engines;
use serde_json::{Value, json};

impl Story {
    async fn take_ids_of(&self, source: &str) {
        let file = legacy_secret::read(&format!("SECRET_KEY={SECRET}")).unwrap();
        let ids = LegacyIds { claim: "sub".to_owned(), source: source.parse().unwrap() };
        legacy_caller::take(&self.app, &file, &Terms { ids: Some(ids), ..Terms::default() }).await.unwrap();
    }

    async fn takes_claims(&self, mut claims: Value) -> bool {
        let now = self.now().seconds();
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 600);
        self.takes(&signed(&claims)).await
    }
}

both_engines!(a_token_names_who_was_adopted_with_its_id_while_the_run_stands, async |database| {
    let story = Story::company(database).await;
    story.take_ids_of("legacy").await;
    let run = story.begin("p1").await;
    story.rows(run, company(run)).await.is(200);
    story.rows(run, ann_too(run, &story.id_of(ANN).to_string())).await.is(200);
    assert!(!story.takes_claims(json!({"sub": 99})).await, "nobody is anybody by a run that is under way");
    story.prove(run).await;
    for good in [
        json!({"sub": "1"}),
        json!({"sub": 1}),
        json!({"sub": 1, "email": "ann@shop.example"}),
        json!({"sub": 1, "email": "Ann@Shop.example", "username": "ann"}),
        json!({"sub": 99, "username": "ann@toys.example"}),
    ] {
        assert!(story.takes_claims(good.clone()).await, "{good}");
    }
    for (bad, why) in [
        (json!({"sub": 2}), "deactivated"),
        (json!({"sub": 3}), "nobody was adopted with it"),
        (json!({"sub": "01"}), "another id"),
        (json!({"email": "ann@shop.example"}), "without the claim"),
        (json!({"sub": "ann@shop.example"}), "a login is no id"),
        (json!({"sub": 1, "email": "new@shop.example"}), "the id was given out anew there"),
        (json!({"sub": 1, "email": "ann@toys.example"}), "two users"),
        (json!({"sub": 1, "email": "ann@shop.example", "username": "ann@toys.example"}), "two users"),
    ] {
        assert!(!story.takes_claims(bad.clone()).await, "{bad}: {why}");
    }
    story.take_ids_of("another").await;
    assert!(!story.takes_claims(json!({"sub": 99})).await, "ids of another system are nobody's");
    story.take_ids_of("legacy").await;
    assert!(story.takes_claims(json!({"sub": 99})).await);
    story.undo(run, "before", true).await;
    assert!(!story.takes_claims(json!({"sub": 99})).await, "the run was taken back");
});
