//! Answers beside the rule of another system: whose is given in each mode, what is compared, and what stops somebody in every mode.

use super::{ANN, BOB, CAT, EVE, StillClock, Story, Who};
use charter_app::shadow::{Answering, LegacyAnswer, LegacyQuestion, LegacyRule, compare_waiting};
use charter_db::{BoxFuture, Error, Scope, Statement, Tx, Value as Cell};
use charter_kernel::{OrganizationId, PrincipalId};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

pub const TOYS: &str = "/api/v1/organizations/toys/shadow";
pub const TRADE: &str = "/api/v1/organizations/trade/shadow";
pub const CREATE: &str = "finance.vouchers.create";
pub const DELETE: &str = "finance.journal_entries.delete";

/// What another system says, as a sheet of paper: who is on it may do what stands there.
#[derive(Default)]
pub struct Sheet {
    lines: Mutex<HashMap<(OrganizationId, PrincipalId), Vec<String>>>,
    is_away: Mutex<bool>,
    /// Whether it takes its time.
    is_slow: Mutex<bool>,
    asked: Mutex<usize>,
    /// A clock that goes on by so many milliseconds whenever it is asked.
    takes: Mutex<Option<(Arc<StillClock>, i64)>>,
}

impl Sheet {
    fn says(&self, question: &LegacyQuestion) -> LegacyAnswer {
        *self.asked.lock().unwrap() += 1;
        if let Some((clock, millis)) = &*self.takes.lock().unwrap() {
            clock.0.fetch_add(millis * 1_000, Ordering::AcqRel);
        }
        if *self.is_away.lock().unwrap() {
            return LegacyAnswer::Unavailable("gone for lunch".to_owned());
        }
        match self.lines.lock().unwrap().get(&(question.organization, question.principal)) {
            None => LegacyAnswer::Unknown("not on the sheet".to_owned()),
            Some(codes) if codes.contains(&question.permission.to_string()) => {
                LegacyAnswer::Allow("role \"clerk\"\n😀".to_owned())
            }
            Some(_) => LegacyAnswer::Deny("no role has it".to_owned()),
        }
    }

    pub fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    pub fn be_away(&self, is_away: bool) {
        *self.is_away.lock().unwrap() = is_away;
    }

    /// From now on each question takes so long, by the clock of the story.
    pub fn take_millis(&self, story: &Story, millis: i64) {
        *self.takes.lock().unwrap() = Some((Arc::clone(&story.clock), millis));
    }

    pub fn be_slow(&self) {
        *self.is_slow.lock().unwrap() = true;
    }
}

struct Reader(Arc<Sheet>);

impl LegacyRule for Reader {
    fn ask(&self, question: &LegacyQuestion) -> Answering {
        let answer = self.0.says(question);
        if *self.0.is_slow.lock().unwrap() {
            return Answering::Later(Box::pin(async move {
                tokio::task::yield_now().await;
                answer
            }));
        }
        Answering::Now(answer)
    }
}

/// A company whose organizations were taken over from a system that says what stands on the sheet.
pub struct Shadowed {
    pub story: Story,
    pub sheet: Arc<Sheet>,
}

async fn run(story: &Story, statement: &'static str, cells: Vec<Cell>) {
    story
        .app
        .database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move { tx.execute(&Statement::new(statement), &cells).await })
                as BoxFuture<'_, Result<u64, Error>>
        })
        .await
        .unwrap();
}

/// Says that an organization and people came from another system.
pub async fn adopt(story: &Story, key: &str, people: &[(&str, Who)]) {
    let source = Cell::from("legacy");
    let begun = "insert into adoption_runs (run_no, source_key, system, engine, state, plan_hash, plan, facts_fingerprint, started_at) \
                 values (1, $1, 'django', 'sqlite', 'applied', 'x', $2, 'y', $3) on conflict (run_no) do nothing";
    run(story, begun, vec![source.clone(), Cell::Json("{}".to_owned()), Cell::Time(0)]).await;
    let organization = story.app.resolve_organization(key).await.unwrap();
    let link = "insert into adopted_organizations (source_key, legacy_id, organization_id, run_no) values ($1, $2, $3, 1)";
    let legacy = Cell::from(format!("old \"{key}\" 😀"));
    run(story, link, vec![source.clone(), legacy, Cell::Id(organization.0)]).await;
    for (legacy, who) in people {
        let link =
            "insert into adopted_users (source_key, legacy_id, principal_id, run_no) values ($1, $2, $3, 1)";
        run(story, link, vec![source.clone(), Cell::from(*legacy), Cell::Id(story.id_of(*who).0)]).await;
    }
}

impl Shadowed {
    /// Bob is an accountant here; on the sheet he may create vouchers and no more, cat may approve them.
    pub async fn company(database: TestDatabase) -> Self {
        let story = Story::company(database).await;
        adopt(&story, "toys", &[("7", BOB), ("8", CAT)]).await;
        adopt(&story, "trade", &[]).await;
        story.assign(ANN, "toys", BOB, "accountant").await.is(201);
        let sheet = Arc::<Sheet>::default();
        story.app.shadow().ask_by(Box::new(Reader(Arc::clone(&sheet))));
        let this = Self { story, sheet };
        this.write("toys", BOB, &[CREATE]).await;
        this.write("toys", CAT, &[DELETE]).await;
        this
    }

    pub async fn write(&self, organization: &str, who: Who, codes: &[&str]) {
        let organization = self.story.app.resolve_organization(organization).await.unwrap();
        let codes = codes.iter().map(|code| (*code).to_owned()).collect();
        self.sheet.lines.lock().unwrap().insert((organization, self.story.id_of(who)), codes);
    }

    pub async fn mode(&self, path: &str, mode: &str) -> Value {
        let body = json!({"mode": mode, "force": true, "reason": "for the story"});
        self.story.put(Who::Operator, path, body).await.is(200).body
    }

    /// Decision, reason and whose answer it is.
    pub async fn ask(&self, who: Who, permission: &str) -> [String; 3] {
        told(&self.story.decision("toys", who, json!({"permission": permission})).await)
    }

    /// How an organization stands once everything was counted.
    pub async fn stands(&self, path: &str) -> Value {
        compare_waiting(&self.story.app).await;
        self.story.app.tick().await.unwrap();
        self.story.get(Who::Operator, path).await.is(200).body
    }

    pub async fn flips(&self, path: &str) -> Vec<String> {
        let told = self.story.get(Who::Operator, &format!("{path}/flips")).await.is(200).body;
        let line = |flip: &Value| {
            let text = |name: &str| flip[name].as_str().unwrap().to_owned();
            let words = [text("login"), text("flip"), text("permission"), text("ours"), text("theirs")];
            format!("{} x{}", words.join(" | "), flip["count"])
        };
        let mut found: Vec<String> = told["items"].as_array().unwrap().iter().map(line).collect();
        found.sort();
        found
    }
}

pub fn told(body: &Value) -> [String; 3] {
    ["decision", "reason", "answered_by"].map(|name| body[name].as_str().unwrap_or_default().to_owned())
}

fn counts(standing: &Value) -> [u64; 4] {
    ["compared", "gains", "losses", "unknown"].map(|name| standing[name].as_u64().unwrap())
}

both_engines!(nothing_is_asked_and_nothing_told_of_it_while_the_mode_is_off, async |database| {
    let it = Shadowed::company(database).await;
    assert_eq!(it.ask(BOB, DELETE).await, ["allow", "granted_by_role", ""]);
    let standing = it.stands(TOYS).await;
    assert_eq!((&standing["mode"], &standing["since"]), (&json!("off"), &Value::Null));
    assert_eq!((counts(&standing), it.sheet.asked()), ([0; 4], 0));
    // Back to off again is as quiet.
    it.mode(TOYS, "shadow").await;
    it.mode(TOYS, "off").await;
    assert_eq!(it.ask(BOB, DELETE).await, ["allow", "granted_by_role", ""]);
    assert_eq!(it.sheet.asked(), 0);
});

both_engines!(in_shadow_the_other_system_answers_and_flips_are_counted_with_both_reasons, async |database| {
    let it = Shadowed::company(database).await;
    let standing = it.mode(TOYS, "shadow").await;
    assert_eq!((&standing["mode"], &standing["since"]), (&json!("shadow"), &json!("2027-01-15T08:00:00Z")));
    assert_eq!(it.ask(BOB, CREATE).await, ["allow", "allowed_by_legacy", "legacy"]);
    assert_eq!(it.ask(BOB, DELETE).await, ["deny", "denied_by_legacy", "legacy"]);
    it.story.wait_seconds(60).await;
    assert_eq!(it.ask(BOB, DELETE).await, ["deny", "denied_by_legacy", "legacy"]);
    assert_eq!(it.ask(CAT, DELETE).await, ["allow", "allowed_by_legacy", "legacy"]);
    let standing = it.stands(TOYS).await;
    assert_eq!(counts(&standing), [4, 2, 1, 0]);
    assert_eq!(standing["last_flip_at"], "2027-01-15T08:01:00Z");
    let wanted = [
        format!("bob@toys.example | gain | {DELETE} | granted_by_role | no role has it x2"),
        format!("cat@toys.example | loss | {DELETE} | no_grant | role \"clerk\"😀 x1"),
    ];
    assert_eq!(it.flips(TOYS).await, wanted);
    let body = it.story.decision("toys", BOB, json!({"permission": CREATE})).await;
    assert_eq!((&body["valid_until"], &body["decided_by"]), (&json!("2027-01-15T08:01:00Z"), &Value::Null));
});

both_engines!(after_cut_over_ours_is_given_and_theirs_compared, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    it.sheet.be_slow();
    let body = json!({"mode": "cut_over", "force": true, "automatic": false});
    it.story.put(Who::Operator, TOYS, body).await.is(200);
    assert_eq!(it.ask(BOB, DELETE).await, ["allow", "granted_by_role", "charter"]);
    assert_eq!(it.ask(CAT, DELETE).await, ["deny", "no_grant", "charter"]);
    assert_eq!(it.ask(BOB, CREATE).await, ["allow", "granted_by_role", "charter"]);
    let standing = it.stands(TOYS).await;
    assert_eq!((counts(&standing), &standing["mode"]), ([3, 1, 1, 0], &json!("cut_over")));
    // Nobody waits for a system that is away, and nothing is decided by it.
    it.sheet.be_away(true);
    assert_eq!(it.ask(BOB, CREATE).await, ["allow", "granted_by_role", "charter"]);
    assert_eq!(counts(&it.stands(TOYS).await), [3, 1, 1, 1]);
});

both_engines!(what_cannot_be_told_is_denied_and_counted_as_unknown, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    assert_eq!(it.ask(ANN, "admin.users.read").await, ["deny", "legacy_unknown", "legacy"]);
    it.sheet.be_away(true);
    assert_eq!(it.ask(BOB, CREATE).await, ["deny", "legacy_unavailable", "legacy"]);
    assert_eq!(counts(&it.stands(TOYS).await), [0, 0, 0, 2]);
    assert_eq!(it.flips(TOYS).await, [""; 0]);
    // The service's own pages and routes go by our rules: the organization can still be administered.
    it.story.get(ANN, "/api/v1/organizations/toys/members").await.is(200);
});

both_engines!(what_stops_somebody_here_stops_them_in_every_mode, async |database| {
    let it = Shadowed::company(database).await;
    it.write("toys", BOB, &[CREATE, DELETE, "crm.leads.read", "finance.vouchers.read"]).await;
    it.mode(TOYS, "shadow").await;
    let block =
        json!({"subject": {"member": "bob@toys.example"}, "permission": DELETE, "reason": "left his desk"});
    it.story.post(ANN, "/api/v1/organizations/toys/blocks", block).await.is(201);
    assert_eq!(it.ask(BOB, DELETE).await, ["deny", "blocked", "charter"]);
    assert_eq!(it.ask(BOB, "crm.leads.read").await, ["deny", "not_entitled", "charter"]);
    assert_eq!(it.ask(BOB, "finance.vouchers.fly").await[1], "unknown_permission");
    // Something that another organization registered, which our rules would not even look for.
    let bear = json!({"type": "vouchers", "id": "1042"});
    it.write("toys", CAT, &["finance.vouchers.read"]).await;
    let about = json!({"permission": "finance.vouchers.read", "resource": bear});
    assert_eq!(told(&it.story.decision("toys", CAT, about.clone()).await)[1], "allowed_by_legacy");
    it.story.put(EVE, "/api/v1/organizations/trade/resources/vouchers/1042", json!({})).await.is(200);
    assert_eq!(
        told(&it.story.decision("toys", CAT, about.clone()).await),
        ["deny", "cross_organization", "charter"]
    );
    let explained =
        json!({"permission": "finance.vouchers.read", "explain": true, "resource": about["resource"]});
    assert_eq!(it.story.decision("toys", CAT, explained).await["decision"], "deny");
    let path = "/api/v1/organizations/toys/members/bob@toys.example";
    it.story.patch(ANN, path, json!({"status": "deactivated"})).await.is(200);
    assert_eq!(it.ask(BOB, CREATE).await[2], "charter");
    assert_eq!(it.ask(BOB, CREATE).await[0], "deny");
    let suspend = "/api/v1/organizations/toys/suspend";
    it.story.post(Who::Operator, suspend, json!({"reason": "unpaid"})).await.is(200);
    assert_eq!(it.ask(CAT, "finance.vouchers.read").await, ["deny", "org_suspended", "charter"]);
});

both_engines!(the_mode_of_one_organization_is_nothing_to_another, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    let told_eve = it.story.decision("trade", EVE, json!({"permission": "admin.users.read"})).await;
    assert_eq!(told(&told_eve), ["allow", "granted_by_role", ""]);
    // Bob joins trade: what the sheet says of him at toys is nothing there.
    it.mode(TRADE, "shadow").await;
    let join = json!({"login": "bob@toys.example"});
    it.story.post(Who::Operator, "/api/v1/organizations/trade/members", join).await.is(201);
    let told_bob = it.story.decision("trade", BOB, json!({"permission": CREATE})).await;
    assert_eq!(told(&told_bob), ["deny", "legacy_unknown", "legacy"]);
    it.ask(BOB, DELETE).await;
    assert_eq!(counts(&it.stands(TOYS).await), [1, 1, 0, 0]);
    assert_eq!(counts(&it.stands(TRADE).await), [0, 0, 0, 1]);
    assert_eq!(it.flips(TRADE).await, [""; 0]);
});

both_engines!(batches_and_evaluations_are_answered_by_the_same_rule, async |database| {
    let it = Shadowed::company(database).await;
    it.mode(TOYS, "shadow").await;
    let checks = json!({"defaults": {"subject": "bob@toys.example"}, "checks": [{"permission": CREATE}, {"permission": DELETE}]});
    let batch = it.story.post(ANN, "/api/v1/organizations/toys/checks/batch", checks).await.is(200).body;
    assert_eq!(told(&batch["answers"][0]), ["allow", "allowed_by_legacy", "legacy"]);
    assert_eq!(told(&batch["answers"][1]), ["deny", "denied_by_legacy", "legacy"]);
    let subject = json!({"type": "user", "id": "bob@toys.example"});
    let (action, resource) = (json!({"name": DELETE}), json!({"type": "vouchers", "id": "1"}));
    let one = json!({"subject": subject, "action": action, "resource": resource});
    let path = "/organizations/toys/access/v1";
    let answer = it.story.post(ANN, &format!("{path}/evaluation"), one).await.is(200).body;
    assert_eq!(answer["decision"], false);
    assert_eq!(answer["context"]["reason"], "denied_by_legacy");
    assert_eq!(answer["context"]["answered_by"], "legacy");
    let many = json!({"subject": subject, "resource": resource, "evaluations": [{"action": {"name": CREATE}}, {"action": action}]});
    let answers = it.story.post(ANN, &format!("{path}/evaluations"), many).await.is(200).body;
    let decisions: Vec<&Value> =
        answers["evaluations"].as_array().unwrap().iter().map(|it| &it["decision"]).collect();
    assert_eq!(decisions, [&json!(true), &json!(false)]);
    assert_eq!(counts(&it.stands(TOYS).await), [5, 3, 0, 0]);
});

both_engines!(an_explanation_tells_both_answers_and_counts_neither, async |database| {
    let it = Shadowed::company(database).await;
    let explain = json!({"permission": DELETE, "explain": true});
    assert_eq!(it.story.decision("toys", BOB, explain.clone()).await["shadow"], Value::Null);
    it.mode(TOYS, "shadow").await;
    let body = it.story.decision("toys", BOB, explain.clone()).await;
    assert_eq!(told(&body), ["deny", "denied_by_legacy", "legacy"]);
    let both = json!({"mode": "shadow", "charter": "allow", "charter_reason": "granted_by_role",
                      "legacy": "deny", "legacy_reason": "no role has it"});
    assert_eq!(body["shadow"], both);
    it.mode(TOYS, "cut_over").await;
    let body = it.story.decision("toys", BOB, explain).await;
    assert_eq!(told(&body), ["allow", "granted_by_role", "charter"]);
    assert_eq!((&body["shadow"]["mode"], &body["shadow"]["legacy"]), (&json!("cut_over"), &json!("deny")));
    assert_eq!(counts(&it.stands(TOYS).await), [0; 4]);
});
