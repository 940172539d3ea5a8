//! `charter adopt shadow`: a service beside the system its organizations come from, asked by its database and by an address of its own.

use crate::program::{Place, Run};
use charter_testkit::receiver::{Receiver, Reception};
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::Value;
use std::time::Duration;

const SCHEMA: &str = "create table organizations (id int primary key, name varchar(80), enabled_modules text, is_active boolean);
    create table users (id int primary key, email varchar(90), role varchar(60), is_active boolean, organization_id int, hashed_password text);
    insert into organizations values (1, 'Toys', '{\"finance\": true}', true), (2, 'Soap', '{\"finance\": true}', true);
    insert into users values (1, 'ann@toys.example', 'accountant', true, 1, null), (2, 'bob@toys.example', 'viewer', true, 1, null),
        (3, 'eve@soap.example', 'accountant', true, 2, null);";
const CODE: &str = "finance.journal_entries.create";

struct Beside<'a> {
    place: Place,
    database: &'a TestDatabase,
    more: Vec<(&'static str, String)>,
}

impl Beside<'_> {
    fn variables(&self) -> Vec<(&str, &str)> {
        self.more.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.place.run_with(arguments, &self.variables())
    }

    fn decision(&self, who: &str) -> Value {
        self.run(&["check", "--org", "toys", "--as", who, CODE, "--json"]).json()
    }

    /// Asks until the answer has a reason: readings and flushes come with time.
    fn until(&self, who: &str, reason: &str) -> Value {
        for _ in 0..300 {
            let told = self.decision(who);
            if told["reason"] == reason {
                return told;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{who}: never {reason}: {:#}", self.decision(who));
    }
}

async fn taken_over(database: &TestDatabase) -> Beside<'_> {
    database.maintain(SCHEMA).await.unwrap();
    let url = database.options().url.clone();
    let more = match url.starts_with("postgres") {
        true => vec![("CHARTER_DATABASE", url.clone()), ("CHARTER_DATABASE_SCHEMA", "charter".to_owned())],
        false => Vec::new(),
    };
    let it = Beside { place: Place::new(), database, more };
    it.run(&["adopt", "inspect", "--from", &url, "--propose", "roles.toml", "--force"]).ended(0);
    it.run(&["adopt", "plan", "--from", &url, "--map", "roles.toml"]).ended(0);
    it.run(&["adopt", "apply", "--no-backup", "Ann"]).ended(0);
    it
}

both_engines!(
    a_service_answers_by_the_database_of_the_other_system_until_it_is_cut_over,
    async |database: TestDatabase| {
        let mut it = taken_over(&database).await;
        let refused = it.run(&["adopt", "shadow", "start", "--org", "toys"]).ended(1);
        assert!(refused.told().contains("in charter.toml, and start the service again"), "{}", refused.err);
        it.more.push(("CHARTER_SHADOW_FROM", database.options().url.clone()));
        it.more.push(("CHARTER_SHADOW_MAP", it.place.path("roles.toml").display().to_string()));
        it.more.push(("CHARTER_SHADOW_REFRESH", "3s".to_owned()));
        let server = it.place.serve_with(&[], &it.variables());
        it.run(&["adopt", "shadow", "start", "--org", "toys"]).ended(0);
        assert_eq!(it.until("ann@toys.example", "allowed_by_legacy")["answered_by"], "legacy");
        assert_eq!(it.decision("bob@toys.example")["reason"], "denied_by_legacy");
        // Bob is an accountant over there from now on, and not here.
        it.database.maintain("update users set role = 'accountant' where id = 2").await.unwrap();
        it.until("bob@toys.example", "allowed_by_legacy");
        // What was compared is written down by the service when it has the time.
        let mut flips = Value::Null;
        for _ in 0..300 {
            flips = it.run(&["adopt", "shadow", "flips", "--org", "toys", "--json"]).ended(0).json();
            if flips["items"][0] != Value::Null {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let flip = &flips["items"][0];
        assert_eq!(
            (&flip["login"], &flip["flip"]),
            (&"bob@toys.example".into(), &"loss".into()),
            "{flips:#}"
        );
        assert_eq!(
            (&flip["ours"], &flip["theirs"]),
            (&"no_grant".into(), &"allowed by role accountant".into())
        );
        let refused = it.run(&["adopt", "shadow", "cut-over", "--org", "toys"]).ended(1);
        assert!(refused.err.contains("answers differed"), "{}", refused.err);
        it.run(&["adopt", "shadow", "cut-over", "--org", "toys", "--force"]).ended(0);
        assert_eq!(it.decision("bob@toys.example")["reason"], "no_grant");
        let status = it.run(&["adopt", "shadow", "status"]).ended(0);
        assert!(status.out.contains("cut_over") && status.out.contains("soap"), "{}", status.out);
        it.run(&["adopt", "shadow", "back", "--org", "toys"]).ended(0);
        assert_eq!(it.decision("bob@toys.example")["reason"], "allowed_by_legacy");
        // Once it is cut over, an answer that the other system denies leads back, and the status says why.
        let run = it.run(&["adopt", "shadow", "status"]).ended(0);
        assert!(!run.out.contains("by itself"), "{}", run.out);
        it.run(&["adopt", "shadow", "cut-over", "--org", "toys", "--force"]).ended(0);
        it.database.maintain("update users set role = 'viewer' where id = 1").await.unwrap();
        let mut status = String::new();
        for _ in 0..300 {
            it.decision("ann@toys.example");
            status = it.run(&["adopt", "shadow", "status"]).ended(0).told();
            if status.contains("back by itself since, because") {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(status.contains("back by itself since, because") && status.contains("Z: "), "{status}");
        it.database.maintain("update users set role = 'accountant' where id = 1").await.unwrap();
        it.until("ann@toys.example", "allowed_by_legacy");
        let run = it.run(&["adopt", "shadow"]).ended(2);
        assert!(
            run.told().contains("charter adopt shadow status") && run.told().contains("--log-file FILE"),
            "{}",
            run.err
        );
        // A table that is gone: what was read counts until it is too old, and then nobody is let through by it.
        it.database.maintain("drop table users").await.unwrap();
        it.until("ann@toys.example", "legacy_unavailable");
        // A log of the other system, compared while nothing else answers.
        it.place.write(
            "log.jsonl",
            "{\"organization\":1,\"user\":2,\"permission\":\"finance.journal_entries.create\",\"allow\":true}\n{\n",
        );
        let log = it.place.path("log.jsonl").display().to_string();
        let told = it.run(&["adopt", "shadow", "--log-file", &log]).ended(1);
        assert!(told.out.contains("losses   1") && told.out.contains("line 2:"), "{}", told.out);
        // A file of which most could not be compared proves nothing, though what was compared agrees.
        let good = "{\"organization\":1,\"user\":2,\"permission\":\"finance.journal_entries.create\",\"allow\":false}\n";
        it.place.write("log.jsonl", &format!("{good}{{\n"));
        let told = it.run(&["adopt", "shadow", "--log-file", &log]).ended(1);
        assert!(told.told().contains("1 of 2 lines could not be compared"), "{}", told.err);
        it.place.write("log.jsonl", &good.repeat(600));
        let told = it.run(&["adopt", "shadow", "--log-file", &log]).ended(0);
        assert!(told.out.contains("compared 600"), "{}", told.out);
        // Five hundred long lines are more than one call takes.
        let code = "x".repeat(60_000);
        let long = format!("{{\"organization\":1,\"user\":2,\"permission\":\"{code}\",\"allow\":false}}\n");
        it.place.write("log.jsonl", &format!("{good}{}", long.repeat(80)));
        let told = it.run(&["adopt", "shadow", "--log-file", &log]).ended(1);
        assert!(told.out.starts_with("compared 1\n") && told.out.contains("\nunknown  80\n"), "{}", told.err);
        assert_eq!(server.stop(), 0);
    }
);

both_engines!(
    whoever_has_somebody_elses_id_or_login_there_lets_nobody_in_here,
    async |database: TestDatabase| {
        let mut it = taken_over(&database).await;
        let url = database.options().url.clone();
        it.more.push(("CHARTER_SHADOW_FROM", url.clone()));
        it.more.push(("CHARTER_SHADOW_MAP", it.place.path("roles.toml").display().to_string()));
        it.more.push(("CHARTER_SHADOW_REFRESH", "3s".to_owned()));
        let server = it.place.serve_with(&[], &it.variables());
        it.run(&["adopt", "shadow", "start", "--org", "toys"]).ended(0);
        it.until("ann@toys.example", "allowed_by_legacy");
        // Ann is gone there, and her id is Mia's.
        it.database.maintain("update users set email = 'mia@toys.example' where id = 1").await.unwrap();
        it.until("ann@toys.example", "legacy_unknown");
        it.database.maintain("update users set email = 'Ann@toys.example' where id = 1").await.unwrap();
        it.until("ann@toys.example", "allowed_by_legacy");
        // Another organization has the id of Toys.
        it.database.maintain("update organizations set name = 'Trade' where id = 1").await.unwrap();
        it.until("ann@toys.example", "legacy_unknown");
        it.database.maintain("update organizations set name = 'Toys' where id = 1").await.unwrap();
        it.until("ann@toys.example", "allowed_by_legacy");
        // Bob takes her login.
        it.database.maintain("update users set email = 'ANN@toys.example' where id = 2").await.unwrap();
        it.until("ann@toys.example", "legacy_unavailable");
        let renamed = "update users set email = case id when 1 then 'anna@toys.example' else 'bob@toys.example' end where id < 3";
        it.database.maintain(renamed).await.unwrap();
        it.until("ann@toys.example", "legacy_unknown");
        // She has another login there: a run follows it.
        let plan =
            ["adopt", "plan", "--from", &url, "--map", "roles.toml", "--accept", "account:anna@toys.example"];
        it.run(&plan).ended(0);
        it.run(&["adopt", "apply", "--no-backup", "Ann"]).ended(0);
        it.until("anna@toys.example", "allowed_by_legacy");
        assert_eq!(server.stop(), 0);
    }
);

both_engines!(
    an_address_that_hangs_leads_elsewhere_or_talks_nonsense_lets_nobody_through,
    async |database: TestDatabase| {
        let mut it = taken_over(&database).await;
        let receiver =
            Receiver::start(Reception::Says(200, r#"{"allow": true, "reason": "group Clerks"}"#.to_owned()));
        it.more.push(("CHARTER_SHADOW_ENDPOINT", format!("http://127.0.0.1:{}/may", receiver.port())));
        it.more.push(("CHARTER_SHADOW_TOKEN", "a shared secret".to_owned()));
        let server = it.place.serve_with(&[], &it.variables());
        it.run(&["adopt", "shadow", "start", "--org", "toys"]).ended(0);
        assert_eq!(it.decision("bob@toys.example")["reason"], "allowed_by_legacy");
        let asked = receiver.requests().pop().unwrap();
        assert_eq!(asked.header("authorization"), "Bearer a shared secret");
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let wanted = serde_json::json!({"organization": "1", "user": "2", "login": "bob@toys.example", "permission": CODE, "code": CODE});
        assert_eq!(body, wanted);
        let says = |status, body: &str| Reception::Says(status, body.to_owned());
        let receptions = [
            (says(200, r#"{"allow": false}"#), "denied_by_legacy"),
            (says(404, ""), "legacy_unknown"),
            (says(200, r#"{"allow": "true"}"#), "legacy_unavailable"),
            (says(200, "<html>allow</html>"), "legacy_unavailable"),
            (says(500, r#"{"allow": true}"#), "legacy_unavailable"),
            (says(200, r#"{"allow": false, "allow": true}"#), "legacy_unavailable"),
            (says(200, r#"{"allow": true}"#), "allowed_by_legacy"),
            (
                Reception::Redirects(format!("http://127.0.0.1:{}/else", receiver.port())),
                "legacy_unavailable",
            ),
            (Reception::Hangs, "legacy_unavailable"),
            (Reception::HangsUp, "legacy_unavailable"),
        ];
        for (reception, reason) in receptions {
            receiver.behave(reception.clone());
            let told = it.decision("bob@toys.example");
            assert_eq!(told["reason"], reason, "{reception:?}: {told:#}");
        }
        // An organization that is not in shadow mode asks nobody.
        let before = receiver.requests().len();
        let told =
            it.run(&["check", "--org", "soap", "--as", "eve@soap.example", CODE, "--json"]).ended(0).json();
        assert_eq!((&told["answered_by"], receiver.requests().len()), (&Value::Null, before));
        assert_eq!(server.stop(), 0);
    }
);

both_engines!(a_rollback_names_the_organizations_that_answer_by_now, async |database: TestDatabase| {
    let mut it = taken_over(&database).await;
    it.more.push(("CHARTER_SHADOW_FROM", database.options().url.clone()));
    it.more.push(("CHARTER_SHADOW_MAP", it.place.path("roles.toml").display().to_string()));
    let server = it.place.serve_with(&[], &it.variables());
    it.run(&["adopt", "shadow", "start", "--org", "toys"]).ended(0);
    let run = it.run(&["adopt", "rollback"]).ended(2);
    assert!(run.told().contains("in shadow mode or cut over: toys; whoever asks"), "{}", run.told());
    it.run(&["adopt", "shadow", "cut-over", "--org", "toys", "--force"]).ended(0);
    let run = it.run(&["adopt", "rollback", "--dry-run"]).ended(2);
    assert!(run.told().contains("in shadow mode or cut over: toys; whoever asks"), "{}", run.told());
    let run = it.run(&["adopt", "rollback", "--dry-run", "--discard"]).ended(0);
    assert!(run.told().contains("whoever asks there would be denied: toys"), "{}", run.told());
    it.run(&["adopt", "rollback", "--discard"]).ended(0);
    assert_eq!(server.stop(), 0);
});
