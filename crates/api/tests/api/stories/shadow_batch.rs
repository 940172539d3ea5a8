//! A system that takes its time: of many questions some are asked at once, all of them have so long together, and where ours is given nobody
//! waits for it.

use super::shadow::{CREATE, DELETE, Shadowed, TOYS, told};
use super::{ANN, BOB, Who};
use charter_app::shadow::{Answering, LegacyAnswer, LegacyQuestion, LegacyRule};
use charter_testkit::both_engines;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Barrier;

/// How many are asked at once, as the guide says.
const AT_ONCE: usize = 8;
const EVALUATIONS: &str = "/organizations/toys/access/v1/evaluations";
const BATCH: &str = "/api/v1/organizations/toys/checks/batch";

/// One that answers when as many ask at the same moment as may, and never to what it cannot stand.
struct Crowd {
    gathered: Barrier,
    /// What it never answers to.
    never: Option<&'static str>,
    waited_for: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    fn of(size: usize, never: Option<&'static str>) -> Arc<Self> {
        let none = AtomicUsize::default;
        let (waited_for, under_way, most) = (none(), none(), none());
        Arc::new(Self { gathered: Barrier::new(size), never, waited_for, under_way, most })
    }

    async fn answer(&self, asked: String) -> LegacyAnswer {
        self.waited_for.fetch_add(1, Ordering::AcqRel);
        if self.never == Some(asked.as_str()) {
            return std::future::pending().await;
        }
        let now = self.under_way.fetch_add(1, Ordering::AcqRel) + 1;
        self.most.fetch_max(now, Ordering::AcqRel);
        self.gathered.wait().await;
        self.under_way.fetch_sub(1, Ordering::AcqRel);
        match asked.as_str() {
            CREATE => LegacyAnswer::Allow("role clerk".to_owned()),
            _ => LegacyAnswer::Deny("no role has it".to_owned()),
        }
    }
}

struct Asked(Arc<Crowd>);

impl LegacyRule for Asked {
    fn ask(&self, question: &LegacyQuestion) -> Answering {
        let (crowd, asked) = (Arc::clone(&self.0), question.permission.to_string());
        Answering::Later(Box::pin(async move { crowd.answer(asked).await }))
    }
}

async fn asks(it: &Shadowed, crowd: &Arc<Crowd>) {
    it.story.app.shadow().ask_by(Box::new(Asked(Arc::clone(crowd))));
}

fn checks(codes: &[&str]) -> Value {
    let checks: Vec<Value> = codes.iter().map(|code| json!({"permission": code})).collect();
    json!({"defaults": {"subject": "bob@toys.example"}, "checks": checks})
}

fn evaluations(codes: &[&str], semantic: &str) -> Value {
    let items: Vec<Value> = codes.iter().map(|code| json!({"action": {"name": code}})).collect();
    json!({
        "subject": {"type": "user", "id": "bob@toys.example"},
        "resource": {"type": "vouchers", "id": "1"},
        "evaluations": items,
        "options": {"evaluations_semantic": semantic},
    })
}

async fn decisions(it: &Shadowed, body: Value) -> Vec<bool> {
    let answer = it.story.post(ANN, EVALUATIONS, body).await.is(200).body;
    let all = answer["evaluations"].as_array().unwrap();
    all.iter().map(|it| it["decision"].as_bool().unwrap()).collect()
}

both_engines!(a_batch_asks_eight_at_a_time_and_answers_in_the_order_of_the_questions, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    let crowd = Crowd::of(AT_ONCE, None);
    asks(&it, &crowd).await;
    let codes: Vec<&str> =
        (0..2 * AT_ONCE).map(|place| if place % 3 == 0 { DELETE } else { CREATE }).collect();
    let wanted: Vec<bool> = codes.iter().map(|code| *code == CREATE).collect();
    let batch = it.story.post(ANN, BATCH, checks(&codes)).await.is(200).body;
    let answers: Vec<bool> =
        batch["answers"].as_array().unwrap().iter().map(|it| it["decision"] == "allow").collect();
    assert_eq!(answers, wanted);
    assert_eq!(decisions(&it, evaluations(&codes, "execute_all")).await, wanted);
    assert_eq!(crowd.most.load(Ordering::Acquire), AT_ONCE);
    let standing = it.stands(TOYS).await;
    let compared = 4 * AT_ONCE as u64;
    assert_eq!((&standing["compared"], &standing["unknown"]), (&json!(compared), &json!(0)));
});

both_engines!(a_batch_that_stops_at_an_answer_asks_for_few_more, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    let crowd = Crowd::of(1, None);
    asks(&it, &crowd).await;
    let mut codes = vec![CREATE; 30];
    codes[10] = DELETE;
    let told = decisions(&it, evaluations(&codes, "deny_on_first_deny")).await;
    assert_eq!(told, [vec![true; 10], vec![false]].concat());
    assert_eq!(crowd.waited_for.load(Ordering::Acquire), 2 * AT_ONCE);
    assert_eq!(decisions(&it, evaluations(&codes, "permit_on_first_permit")).await, [true]);
    assert_eq!(crowd.waited_for.load(Ordering::Acquire), 3 * AT_ONCE);
    // What cannot be asked is that item's alone, wherever it stands.
    let mut body = evaluations(&[CREATE, DELETE, CREATE], "execute_all");
    body["evaluations"][0]["action"] = json!("no action");
    body["evaluations"][2]["subject"] = json!({"type": "team", "id": "sales"});
    assert_eq!(decisions(&it, body).await, [false; 3]);
    assert_eq!(crowd.waited_for.load(Ordering::Acquire), 3 * AT_ONCE + 1);
});

both_engines!(what_has_not_come_when_the_time_is_over_is_denied_and_the_rest_is_answered, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    let crowd = Crowd::of(1, Some(DELETE));
    asks(&it, &crowd).await;
    let codes = [DELETE, CREATE, DELETE, CREATE, CREATE, CREATE, CREATE, CREATE, CREATE, CREATE, CREATE];
    let (batch, evaluated) = tokio::join!(
        it.story.post(ANN, BATCH, checks(&codes)),
        decisions(&it, evaluations(&codes, "execute_all"))
    );
    let batch = batch.is(200).body;
    for (place, code) in codes.iter().enumerate() {
        let wanted =
            if *code == CREATE { ["allow", "allowed_by_legacy"] } else { ["deny", "legacy_unavailable"] };
        assert_eq!(told(&batch["answers"][place])[..2], wanted, "{place}");
        assert_eq!(evaluated[place], *code == CREATE, "{place}");
    }
    assert_eq!(it.stands(TOYS).await["unknown"], 4);
});

both_engines!(nobody_waits_for_it_where_ours_is_given_however_it_behaves, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    it.mode(TOYS, "cut_over").await;
    let crowd = Crowd::of(1, Some(CREATE));
    asks(&it, &crowd).await;
    assert_eq!(it.ask(BOB, CREATE).await, ["allow", "granted_by_role", "charter"]);
    // More than may wait: the rest counts as unknown, and all of them are answered.
    let codes = vec![CREATE; 1_000];
    let batch = it.story.post(ANN, BATCH, checks(&codes)).await.is(200).body;
    assert!(batch["answers"].as_array().unwrap().iter().all(|it| it["decision"] == "allow"));
    assert_eq!(decisions(&it, evaluations(&codes[..100], "execute_all")).await, [true; 100]);
    assert_eq!(crowd.waited_for.load(Ordering::Acquire), 0, "nothing of it was even begun");
    it.story.app.tick().await.unwrap();
    let standing = it.story.get(Who::Operator, TOYS).await.is(200).body;
    assert_eq!((&standing["mode"], &standing["unknown"]), (&json!("cut_over"), &json!(101)));
});
