//! How an organization goes on and back: who may, what has to be there first, what takes it back by itself, and recorded answers.

use super::shadow::{CREATE, DELETE, Shadowed, TOYS, TRADE, adopt};
use super::{ANN, BOB, CAT, EVE, PAT, Story, Who};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use charter_testkit::fault::Faults;
use serde_json::{Value, json};
use std::sync::Arc;

const EVENTS: &str = "/api/v1/organizations/toys/audit/events?limit=50";

/// Actions of shadow mode on the trail, newest first, with the actor's kind.
async fn trail(it: &Shadowed) -> Vec<String> {
    let told = it.story.get(Who::Operator, EVENTS).await.is(200).body;
    let of_shadow = told["items"].as_array().unwrap().iter().filter_map(|event| {
        let action = event["action"].as_str().unwrap();
        action
            .starts_with("shadow.")
            .then(|| format!("{action} by {}", event["actor"]["kind"].as_str().unwrap()))
    });
    of_shadow.collect()
}

async fn cut_over(it: &Shadowed, more: Value) -> super::Told {
    let mut body = json!({"mode": "cut_over"});
    for (name, value) in more.as_object().unwrap() {
        body[name.as_str()] = value.clone();
    }
    it.story.put(Who::Operator, TOYS, body).await
}

/// What was compared since answers differed last: answers, and pairs of user and permission.
fn quiet(standing: &Value) -> [u64; 2] {
    ["compared_since_flip", "pairs_since_flip"].map(|name| standing[name].as_u64().unwrap())
}

both_engines!(nobody_but_the_operator_sees_or_switches_a_mode, async |database| {
    let it = Shadowed::company(database).await;
    for who in [ANN, BOB, EVE, PAT] {
        let (status, slug) = if who == EVE { (404, "not-found") } else { (403, "forbidden") };
        for path in [TOYS, &format!("{TOYS}/flips")] {
            it.story.get(who, path).await.is_problem(status, slug);
        }
        for mode in ["shadow", "cut_over", "off"] {
            let body = json!({"mode": mode, "force": true});
            it.story.put(who, TOYS, body).await.is_problem(status, slug);
        }
        it.story.get(who, "/api/v1/shadow").await.is_problem(403, "forbidden");
        let replay = json!({"lines": []});
        it.story.post(who, "/api/v1/shadow/replay", replay).await.is_problem(403, "forbidden");
    }
    it.story.put(Who::Nobody, TOYS, json!({"mode": "shadow"})).await.is_problem(401, "unauthenticated");
    assert_eq!(it.stands(TOYS).await["mode"], "off");
    assert_eq!(trail(&it).await, [""; 0]);
});

both_engines!(only_what_was_taken_over_is_compared_and_only_where_somebody_can_be_asked, async |database| {
    let story = Story::company(database).await;
    let shadow = json!({"mode": "shadow"});
    let told = story.put(Who::Operator, TOYS, shadow.clone()).await.is_problem(409, "not-ready");
    let detail = told.body["detail"].as_str().unwrap();
    assert!(detail.contains("shadow_from") && detail.contains("was not taken over"), "{detail}");
    adopt(&story, "toys", &[]).await;
    story.put(Who::Operator, TOYS, shadow).await.is_problem(409, "not-ready");
    story.put(Who::Operator, TOYS, json!({"mode": "on"})).await.is_problem(422, "invalid");
    let path = "/api/v1/organizations/nowhere/shadow";
    story.put(Who::Operator, path, json!({"mode": "shadow"})).await.is_problem(404, "not-found");
});

both_engines!(it_is_cut_over_when_no_answer_differed_for_long_enough, async |database| {
    let it = Shadowed::company(database).await;
    let told = cut_over(&it, json!({})).await.is_problem(409, "not-ready");
    assert!(told.body["detail"].as_str().unwrap().contains("not in shadow mode"), "{:#}", told.body);
    it.mode(TOYS, "shadow").await;
    it.ask(BOB, DELETE).await;
    for _ in 0..9 {
        it.ask(BOB, CREATE).await;
    }
    it.story.wait_seconds(3_600).await;
    let told = cut_over(&it, json!({})).await.is_problem(409, "not-ready");
    let detail = told.body["detail"].as_str().unwrap().to_owned();
    for missing in [
        "for 1 h of 3 days",
        "answers differed 1 h ago: none may differ for 3 days",
        "9 of 1000 answers were compared without a difference (pairs of user and permission: 1)",
    ] {
        assert!(detail.contains(missing), "{missing}: {detail}");
    }
    // A flip that is a minute too young.
    it.story.wait_seconds(3_600 * 71 - 60).await;
    let told = cut_over(&it, json!({"compared": 9})).await.is_problem(409, "not-ready");
    assert!(told.body["detail"].as_str().unwrap().contains("differed"), "{:#}", told.body);
    it.story.wait_seconds(60).await;
    let too_few = json!({"compared": 10});
    cut_over(&it, too_few).await.is_problem(409, "not-ready");
    let standing = cut_over(&it, json!({"compared": 9, "reason": "three quiet days"})).await.is(200).body;
    assert_eq!((&standing["mode"], &standing["automatic"]), (&json!("cut_over"), &json!(true)));
    assert_eq!(quiet(&standing), [9, 1], "what it rests on");
    // Back with one command, on with another, off for good.
    it.story.put(Who::Operator, TOYS, json!({"mode": "shadow"})).await.is(200);
    assert_eq!(it.ask(BOB, DELETE).await[1], "denied_by_legacy");
    let early = it.story.put(Who::Operator, TOYS, json!({"mode": "off"})).await;
    early.is_problem(409, "not-ready");
    cut_over(&it, json!({"force": true})).await.is(200);
    it.story.put(Who::Operator, TOYS, json!({"mode": "off"})).await.is(200);
    assert_eq!(trail(&it).await, ["shadow.set by operator"; 5]);
});

both_engines!(nothing_compared_and_no_time_prove_nothing, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    for force in [false, true] {
        for (name, value) in [("compared", 0), ("after_seconds", 0), ("after_seconds", 3_599)] {
            let mut body = json!({"force": force});
            body[name] = json!(value);
            let told = cut_over(&it, body).await.is_problem(422, "invalid");
            assert!(told.body.to_string().contains(name), "{:#}", told.body);
        }
    }
    // The least there is, and still nothing was compared.
    it.story.wait_seconds(3_600).await;
    let least = json!({"compared": 1, "after_seconds": 3_600});
    let told = cut_over(&it, least.clone()).await.is_problem(409, "not-ready");
    assert!(told.body["detail"].as_str().unwrap().contains("0 of 1 answers"), "{:#}", told.body);
    it.ask(BOB, CREATE).await;
    assert_eq!(quiet(&cut_over(&it, least).await.is(200).body), [1, 1]);
});

both_engines!(what_was_compared_counts_from_the_last_difference_on, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    it.ask(BOB, CREATE).await;
    it.ask(BOB, CREATE).await;
    it.ask(CAT, CREATE).await;
    assert_eq!(quiet(&it.stands(TOYS).await), [3, 2]);
    it.ask(CAT, CREATE).await;
    assert_eq!(quiet(&it.stands(TOYS).await), [4, 2], "a pair is one, whenever it comes");
    it.story.wait_seconds(1).await;
    it.ask(CAT, DELETE).await;
    assert_eq!(quiet(&it.stands(TOYS).await), [0, 0]);
    // Those before it were as many as are asked for, on the same day, and prove nothing.
    it.story.wait_seconds(3_600).await;
    let told = cut_over(&it, json!({"compared": 1, "after_seconds": 3_600})).await;
    let told = told.is_problem(409, "not-ready");
    assert!(told.body["detail"].as_str().unwrap().contains("0 of 1 answers"), "{:#}", told.body);
    it.ask(CAT, CREATE).await;
    assert_eq!(quiet(&it.stands(TOYS).await), [1, 1]);
    // An answer that is none is no comparison.
    it.sheet.be_away(true);
    it.ask(BOB, CREATE).await;
    assert_eq!(quiet(&it.stands(TOYS).await), [1, 1]);
    it.mode(TOYS, "cut_over").await;
    assert_eq!(quiet(&it.stands(TOYS).await), [1, 1]);
    it.mode(TOYS, "off").await;
    it.story.wait_seconds(1).await;
    assert_eq!(quiet(&it.mode(TOYS, "shadow").await), [0, 0], "it begins anew");
    assert_eq!(quiet(&it.stands(TRADE).await), [0, 0]);
});

both_engines!(a_system_that_gave_no_answers_was_not_compared_with, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    for _ in 0..20 {
        it.ask(BOB, CREATE).await;
    }
    it.sheet.be_away(true);
    it.ask(BOB, CREATE).await;
    it.story.wait_seconds(3_600).await;
    let asked = json!({"compared": 20, "after_seconds": 3_600});
    let told = cut_over(&it, asked).await.is_problem(409, "not-ready");
    assert!(told.body["detail"].as_str().unwrap().contains("no answer to 1 of 21 checks"), "{:#}", told.body);
});

both_engines!(a_gain_takes_it_back_by_itself_and_the_trail_says_why, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    it.mode(TOYS, "cut_over").await;
    it.mode(TRADE, "shadow").await;
    it.mode(TRADE, "cut_over").await;
    assert_eq!(it.ask(CAT, DELETE).await[1], "no_grant");
    assert_eq!(it.stands(TOYS).await["mode"], "cut_over", "one loss is few");
    it.story.wait_seconds(5).await;
    assert_eq!(it.ask(BOB, DELETE).await[1], "granted_by_role");
    let standing = it.stands(TOYS).await;
    assert_eq!((&standing["mode"], &standing["since"]), (&json!("shadow"), &json!("2027-01-15T08:00:05Z")));
    assert_eq!(it.ask(BOB, DELETE).await, ["deny", "denied_by_legacy", "legacy"]);
    assert_eq!(it.stands(TRADE).await["mode"], "cut_over");
    assert_eq!(
        trail(&it).await,
        ["shadow.back by system", "shadow.set by operator", "shadow.set by operator"]
    );
    let events = it.story.get(Who::Operator, EVENTS).await.body;
    let back =
        events["items"].as_array().unwrap().iter().find(|event| event["action"] == "shadow.back").unwrap();
    assert!(back["reason"].as_str().unwrap().starts_with("1 answer allowed"), "{back:#}");
});

async fn failing(database: TestDatabase, faults: &Arc<Faults>) -> Shadowed {
    Shadowed::company(database.fail_with(faults)).await
}

both_engines!(whatever_step_fails_an_organization_with_a_gain_goes_back_once, async |database| {
    let faults = Faults::new();
    let it = failing(database, &faults).await;
    let backs = async |limit: usize| {
        let path = format!("/api/v1/organizations/toys/audit/events?action=shadow.back&limit={limit}");
        it.story.get(Who::Operator, &path).await.is(200).body["items"].as_array().unwrap().len()
    };
    let mut steps = 0;
    loop {
        it.mode(TOYS, "shadow").await;
        it.mode(TOYS, "cut_over").await;
        assert_eq!(it.ask(BOB, DELETE).await[1], "granted_by_role");
        faults.fail_after(steps);
        let _flushed = charter_app::shadow::flush(&it.story.app).await;
        let struck = faults.struck();
        steps += 1;
        // It was not forgotten by the next day, when nobody asked anything since.
        it.story.wait_seconds(86_400).await;
        it.story.app.tick().await.unwrap();
        assert_eq!(it.ask(BOB, DELETE).await[1], "denied_by_legacy", "step {steps}: {struck:?}");
        assert_eq!(backs(200).await, steps, "step {steps}: {struck:?}");
        if struck.is_none() {
            break;
        }
        it.story.wait_seconds(1).await;
    }
    assert!(steps > 10, "{steps} steps");
});

both_engines!(losses_take_it_back_from_a_thousand_checks_on_and_never_where_it_is_off, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    it.mode(TOYS, "cut_over").await;
    let ask = async |who: &str, count: usize| {
        let code = if who.starts_with("cat") { DELETE } else { CREATE };
        let checks = vec![json!({"permission": code}); count];
        let body = json!({"defaults": {"subject": who}, "checks": checks});
        it.story.post(ANN, "/api/v1/organizations/toys/checks/batch", body).await.is(200);
    };
    ask("bob@toys.example", 997).await;
    ask("cat@toys.example", 2).await;
    assert_eq!(it.stands(TOYS).await["mode"], "cut_over", "999 checks");
    ask("bob@toys.example", 1).await;
    assert_eq!(it.stands(TOYS).await["mode"], "shadow", "1,000 checks, 2 losses");
    it.story.wait_seconds(1).await;
    cut_over(&it, json!({"force": true, "automatic": false})).await.is(200);
    ask("cat@toys.example", 1_000).await;
    it.ask(BOB, DELETE).await;
    assert_eq!(it.stands(TOYS).await["mode"], "cut_over", "nobody wants it back by itself");
});

both_engines!(flips_are_paged_and_a_fresh_start_forgets_those_before, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    let codes = ["finance.vouchers.read", "finance.accounts.read", DELETE];
    for code in codes {
        it.ask(BOB, code).await;
    }
    it.ask(CAT, DELETE).await;
    it.stands(TOYS).await;
    let path = format!("{TOYS}/flips");
    let all = it.story.all(Who::Operator, &path, 50, "/permission").await;
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(it.story.all(Who::Operator, &path, 1, "/permission").await, all);
    assert_eq!(it.story.all(Who::Operator, &path, 3, "/permission").await, all);
    it.story.get(Who::Operator, &format!("{path}?cursor=nonsense")).await.is_problem(400, "malformed");
    let mut keys = it.story.all(Who::Operator, "/api/v1/shadow", 1, "/key").await;
    keys.sort();
    assert_eq!(keys, ["toys", "trade"]);
    it.mode(TOYS, "off").await;
    it.story.wait_seconds(1).await;
    let standing = it.mode(TOYS, "shadow").await;
    assert_eq!((&standing["compared"], &standing["last_flip_at"]), (&json!(0), &Value::Null));
    assert_eq!(it.flips(TOYS).await, [""; 0]);
});

both_engines!(recorded_answers_are_compared_with_ours_whatever_the_mode, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    let line = |organization: &str, user: &str, permission: &str, allow: bool| json!({"organization": organization, "user": user, "permission": permission, "allow": allow});
    let mut adopted = line("toys", "8", "app.no_such", true);
    adopted["otherwise"] = json!(DELETE);
    let lines = json!([
        line("toys", "bob@toys.example", CREATE, true),
        line("old \"toys\" 😀", "7", DELETE, false),
        line("toys", "nobody \"😀\"", CREATE, true),
        line("nowhere", "7", CREATE, true),
        line("toys", "7", "app.no_such", true),
        adopted,
    ]);
    let told =
        it.story.post(Who::Operator, "/api/v1/shadow/replay", json!({"lines": lines})).await.is(200).body;
    let answers: Vec<String> = told["answers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            ["decision", "reason", "flip", "unknown"].map(|name| it[name].as_str().unwrap_or("-")).join(" ")
        })
        .collect();
    assert_eq!(
        answers,
        [
            "allow granted_by_role - -",
            "allow granted_by_role gain -",
            "- - - no user nobody \"😀\"",
            "- - - no organization nowhere",
            "- - - no permission app.no_such",
            "deny no_grant loss -",
        ]
    );
    assert_eq!((it.sheet.asked(), &it.stands(TOYS).await["compared"]), (0, &json!(0)));
});
