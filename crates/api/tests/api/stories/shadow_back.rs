//! What takes an organization back by itself besides answers that differ: checks that fail, slow ones, and a trail that takes no events.

use super::shadow::{CREATE, DELETE, Shadowed, TOYS};
use super::{ANN, BOB, CAT, EVE, Who};
use charter_app::shadow::BackLimits;
use charter_db::Engine;
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use charter_testkit::fault::Faults;
use serde_json::{Value, json};
use std::sync::Arc;

const CHECKS: &str = "/api/v1/organizations/toys/checks";

/// A company that was cut over; five checks say something.
async fn cut_over(database: TestDatabase) -> Shadowed {
    let it = Shadowed::company(database).await;
    let limits = BackLimits { errors_from: 5, errors_max: 25_000, p99_ms_max: 500, ..BackLimits::default() };
    it.story.app.shadow().go_back_at(limits);
    // Somebody else's voucher: a question about any has to be looked up.
    it.story.put(EVE, "/api/v1/organizations/trade/resources/vouchers/1042", json!({})).await.is(200);
    it.mode(TOYS, "shadow").await;
    it.mode(TOYS, "cut_over").await;
    it
}

async fn back(it: &Shadowed) -> Option<String> {
    let path = "/api/v1/organizations/toys/audit/events?action=shadow.back";
    let told = it.story.get(Who::Operator, path).await.is(200).body;
    told["items"].as_array().unwrap().first().map(|it| it["reason"].as_str().unwrap().to_owned())
}

fn about_one(who: &str) -> Value {
    json!({"subject": who, "permission": CREATE, "resource": {"type": "vouchers", "id": "7"}})
}

async fn fails(it: &Shadowed, faults: &Arc<Faults>, times: usize) {
    faults.take_away();
    for _ in 0..times {
        it.story.post(ANN, CHECKS, about_one("bob@toys.example")).await.is(503);
    }
    faults.mend();
}

both_engines!(checks_that_fail_take_it_back, async |database: TestDatabase| {
    let faults = Faults::new();
    let it = cut_over(database.fail_with(&faults)).await;
    assert_eq!(it.ask(BOB, CREATE).await[2], "charter");
    fails(&it, &faults, 3).await;
    assert_eq!(it.stands(TOYS).await["mode"], "cut_over", "four checks say nothing");
    assert_eq!(it.ask(BOB, CREATE).await[2], "charter");
    let standing = it.stands(TOYS).await;
    assert_eq!(standing["mode"], "shadow");
    assert_eq!(back(&it).await.unwrap(), "3 of 5 checks failed within 5 minutes, more than 25 %");
    assert_eq!(it.ask(BOB, DELETE).await, ["deny", "denied_by_legacy", "legacy"]);
    // Cut over again it begins anew, and what is long ago counts no more.
    it.story.wait_seconds(1).await;
    it.mode(TOYS, "cut_over").await;
    it.ask(BOB, CREATE).await;
    fails(&it, &faults, 3).await;
    it.story.wait_seconds(360).await;
    for _ in 0..4 {
        it.ask(BOB, CREATE).await;
    }
    fails(&it, &faults, 1).await;
    assert_eq!(it.stands(TOYS).await["mode"], "cut_over", "one of five");
});

both_engines!(a_batch_that_fails_counts_with_all_its_checks, async |database: TestDatabase| {
    let faults = Faults::new();
    let it = cut_over(database.fail_with(&faults)).await;
    it.ask(BOB, CREATE).await;
    faults.take_away();
    let checks = json!({"checks": vec![about_one("bob@toys.example"); 6]});
    it.story.post(ANN, &format!("{CHECKS}/batch"), checks).await.is(503);
    let one = json!({"subject": {"type": "user", "id": "bob@toys.example"}, "action": {"name": CREATE},
                     "resource": {"type": "vouchers", "id": "7"}});
    it.story.post(ANN, "/organizations/toys/access/v1/evaluation", one).await.is(503);
    faults.mend();
    assert_eq!(it.stands(TOYS).await["mode"], "shadow");
    assert_eq!(back(&it).await.unwrap(), "7 of 8 checks failed within 5 minutes, more than 25 %");
});

both_engines!(slow_checks_take_it_back, async |database: TestDatabase| {
    let it = cut_over(database).await;
    it.sheet.take_millis(&it.story, 400);
    for _ in 0..5 {
        assert_eq!(it.ask(BOB, CREATE).await[2], "charter");
    }
    assert_eq!(it.stands(TOYS).await["mode"], "cut_over");
    it.sheet.take_millis(&it.story, 501);
    it.ask(BOB, CREATE).await;
    assert_eq!(it.stands(TOYS).await["mode"], "shadow");
    assert_eq!(
        back(&it).await.unwrap(),
        "1 of 6 checks took longer than 500 ms within 5 minutes, more than one in 100"
    );
});

both_engines!(nothing_goes_back_to_a_system_that_gives_no_answers, async |database: TestDatabase| {
    let it = cut_over(database).await;
    it.sheet.be_away(true);
    it.sheet.take_millis(&it.story, 2_000);
    for _ in 0..9 {
        assert_eq!(it.ask(BOB, CREATE).await, ["allow", "granted_by_role", "charter"]);
    }
    assert_eq!(it.stands(TOYS).await["mode"], "cut_over", "everybody would be denied");
    // It answers again: now it goes back for what it had to go back for.
    it.sheet.be_away(false);
    for _ in 0..40 {
        it.ask(BOB, CREATE).await;
    }
    assert_eq!(it.stands(TOYS).await["mode"], "shadow");
});

both_engines!(nobody_goes_back_by_itself_where_that_is_switched_off, async |database: TestDatabase| {
    let it = cut_over(database).await;
    let body = json!({"mode": "cut_over", "force": true, "automatic": false});
    it.story.put(Who::Operator, TOYS, body).await.is(200);
    it.sheet.take_millis(&it.story, 2_000);
    for _ in 0..9 {
        it.ask(BOB, CREATE).await;
    }
    assert_eq!(it.stands(TOYS).await["mode"], "cut_over");
    assert_eq!(back(&it).await, None);
});

both_engines!(a_trail_that_takes_no_events_takes_it_back, async |database: TestDatabase| {
    let it = cut_over(database).await;
    let database = it.story.app.database();
    let (refuse, allow) = match database.engine() {
        Engine::Sqlite => (
            "create trigger refuse before insert on audit_events when new.action = 'check.deny' \
             begin select raise(abort, 'no denials today'); end",
            "drop trigger refuse",
        ),
        Engine::Postgres => (
            "alter table audit_events add constraint refuse check (action <> 'check.deny') not valid",
            "alter table audit_events drop constraint refuse",
        ),
    };
    // Answers that differ a little are no reason, as long as the denial is written.
    assert_eq!(it.ask(CAT, DELETE).await[1], "no_grant");
    assert_eq!(it.stands(TOYS).await["mode"], "cut_over");
    database.maintain(refuse).await.unwrap();
    assert_eq!(it.ask(CAT, DELETE).await[1], "no_grant");
    for _ in 0..2 {
        it.story.app.tick().await.unwrap_err();
    }
    database.maintain(allow).await.unwrap();
    assert_eq!(it.stands(TOYS).await["mode"], "shadow");
    let why = back(&it).await.unwrap();
    assert!(why.starts_with("an event could not be written to the audit trail: "), "{why}");
});
