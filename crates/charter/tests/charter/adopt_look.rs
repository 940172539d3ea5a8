//! What an operator reads of an adoption before and beside it: what stands first, every row by name, codes, plans that are kept, and JSON.

use crate::adopt_follow::yard;
use crate::adopt_run::Erp;
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

impl Erp<'_> {
    fn inspect(&self, more: &[&str]) -> crate::program::Run {
        let from = self.url();
        self.run(&[&["adopt", "inspect", "--from", &from], more].concat())
    }
}

both_engines!(
    what_has_to_be_mended_stands_first_and_last_and_every_row_in_a_file,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        for row in [
            "(500, 'USER0@toys.example', 'Twin', 'accountant', true, 1, null)",
            "(501, 'off@toys.example', 'Off', 'night shift', false, 1, 'hunter2')",
            "(502, 'md5@toys.example', 'Md5', 'accountant', true, 1, '5f4dcc3b5aa765d61d8327deb882cf99')",
        ] {
            database.maintain(&format!("insert into users values {row}")).await.unwrap();
        }
        let many: Vec<String> = (600..750)
            .map(|id| format!("({id}, 'quiet{id}@toys.example', 'Quiet', null, true, 1, null)"))
            .collect();
        database.maintain(&format!("insert into users values {}", many.join(", "))).await.unwrap();
        let run = erp.inspect(&["--anomalies", "rows.jsonl"]).ended(1);
        let (stops, other) = (
            run.out.find("logins that are one login here").unwrap(),
            run.out.find("users without a role").unwrap(),
        );
        assert!(stops < other, "{}", run.out);
        assert!(
            run.out.trim_end().ends_with("1 thing has to be mended first: duplicate logins (2)"),
            "{}",
            run.out
        );
        assert!(run.told().contains("2 roles want a word in the mapping"), "{}", run.out);
        assert!(!run.out.contains("leave the user out of the import"), "{}", run.out);
        assert!(!run.out.contains("by the mapping"), "{}", run.out);
        let text = std::fs::read_to_string(erp.place.path("rows.jsonl")).unwrap();
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |kind: &str| rows.iter().filter(|it| it["kind"] == kind).count();
        assert_eq!((of("missing_role"), of("duplicate_login"), of("unknown_password")), (150, 2, 2));
        let told = erp.inspect(&["--anomalies", "rows.jsonl", "--json"]).ended(1).json();
        let roles =
            told["anomalies"].as_array().unwrap().iter().find(|it| it["kind"] == "missing_role").unwrap();
        assert_eq!((&roles["count"], roles["rows"].as_array().unwrap().len()), (&json!(150), 100));
    }
);

both_engines!(values_of_modules_that_nobody_can_read_are_named, async |database: TestDatabase| {
    let erp = Erp::with(&database, 3).await;
    let odd = r#"update organizations set enabled_modules = '{"crm": "maybe", "finance": 2, "sales": "on", "hr": [], "quality": -1}' where id = 1"#;
    database.maintain(odd).await.unwrap();
    let told = erp.inspect(&["--propose", "roles.toml", "--json"]).ended(0).json();
    let found = told["anomalies"].as_array().unwrap().iter().find(|it| it["kind"] == "odd_module").unwrap();
    let details: Vec<&str> =
        found["rows"].as_array().unwrap().iter().map(|it| it["detail"].as_str().unwrap()).collect();
    assert_eq!(details, ["crm: \"maybe\"", "finance: 2", "hr: a list", "quality: -1"]);
    assert!(found["rows"].as_array().unwrap().iter().all(|it| it["row"] == "organization 1"), "{found:#}");
    let run = erp.plan(&[]).ended(0);
    assert!(run.told().contains("4 modules with a value that says neither on nor off"), "{}", run.out);
});

both_engines!(a_role_is_shown_as_the_mapping_says, async |database: TestDatabase| {
    let erp = yard(&database).await;
    let text = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
    let without = text.replace("\"guard\" = \"own\"\n", "");
    assert_ne!(text, without);
    erp.place.write("roles.toml", &without);
    let run = erp.inspect(&["--map", "roles.toml"]).ended(0);
    assert!(run.told().contains("1 role wants a word in the mapping"), "{}", run.out);
    let line = |out: &str| out.lines().find(|line| line.starts_with("guard")).unwrap().to_owned();
    assert!(line(&run.out).contains("? (say it in the mapping)"), "{}", run.out);
    let run = erp.plan(&[]).ended(1);
    assert!(line(&run.out).contains(" ? "), "{}", run.out);
});

both_engines!(codes_are_told_before_there_is_an_installation, async |database: TestDatabase| {
    let erp = yard(&database).await;
    database.maintain("insert into rights values (4, 'Warehouse.Move_OldPallet')").await.unwrap();
    let from = erp.url();
    let codes = ["adopt", "codes", "--from", &from, "--map", "roles.toml"];
    let run = erp.run(&codes).ended(0);
    assert!(run.told().contains("adopted.warehouse_2a625c25.move_oldpallet_d31c9404"), "{}", run.out);
    let told = erp.run(&[&codes[..], &["--json"]].concat()).ended(0).json();
    assert_eq!(told["items"].as_array().unwrap().len(), 4, "{told:#}");
    assert_eq!(
        told["items"].as_array().unwrap().iter().find(|it| it["permission"] == "gate.open").unwrap()["code"],
        "adopted.gate.open"
    );
    assert!(!erp.place.path("charter-data").exists());
    // It is what a run makes.
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    let told = erp.run(&["catalogue", "show", "--json"]).ended(0);
    assert!(told.out.contains("adopted.warehouse_2a625c25.move_oldpallet_d31c9404"));
    // They go with the last run that stands, and come back with the next.
    erp.run(&["adopt", "rollback"]).ended(0);
    let told = erp.run(&["catalogue", "export"]).ended(0);
    assert!(!told.out.contains("Taken over: "), "{}", told.out);
    erp.apply(&[]).ended(0);
    erp.verify().ended(0);
});

both_engines!(a_plan_that_was_approved_is_not_written_over, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("viewer");
    let from = erp.url();
    let plan =
        |more: &[&str]| erp.run(&[&["adopt", "plan", "--from", &from, "--map", "roles.toml"], more].concat());
    let approved =
        ["--accept", "boss", "--accept", "superadmin", "--approved-by", "Ann", "--approved-by", "Bob"];
    // One that cannot be carried out makes room.
    plan(&[]).ended(1);
    plan(&approved).ended(0);
    let kept = std::fs::read_to_string(erp.place.path("plan.json")).unwrap();
    let run = plan(&[]).ended(2);
    assert!(
        run.told().contains("plan.json holds another plan that Ann and Bob approved")
            && run.told().contains("--force"),
        "{}",
        run.err
    );
    assert_eq!(std::fs::read_to_string(erp.place.path("plan.json")).unwrap(), kept);
    plan(&["--out", "other.json"]).ended(1);
    // More of the same, and the same again.
    plan(&[&approved[..], &["--approved-by", "Cid"]].concat()).ended(0);
    plan(&approved).ended(2);
    plan(&[&approved[..], &["--force"]].concat()).ended(0);
    erp.place.write("mine.txt", "what I wrote");
    let run = plan(&["--out", "mine.txt"]).ended(2);
    assert!(run.told().contains("is no plan"), "{}", run.err);
    // Rows that changed there since make it useless, and so does its run.
    database.maintain("update users set role = 'Viewer' where id = 0").await.unwrap();
    plan(&approved).ended(0);
    erp.apply(&[]).ended(0);
    plan(&["--accept", "boss"]).ended(1);
});

both_engines!(json_tells_what_the_text_tells, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    let run = erp.run(&["adopt", "inspect", "--from", "erp.db", "--json"]).ended(2).json();
    assert!(run["error"].as_str().unwrap().contains("did you mean sqlite:erp.db"), "{run:#}");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    let proof = ["adopt", "check-proof", "charter-data/adoption/proof-000001.json", "--json"];
    let told = erp.run(&proof).ended(0).json();
    assert_eq!(
        (&told["system"], &told["run"], &told["source"]),
        (&json!("role_column"), &json!(1), &json!("legacy"))
    );
    assert!(told["pairs"].as_u64().unwrap() > 1_000, "{told:#}");
    assert!(told["machine"].is_string() && told["address"].is_string(), "{told:#}");
    erp.place.write(
        "log.jsonl",
        "{\"organization\":\"1\",\"user\":\"nobody\",\"permission\":\"finance.invoices.read\",\"allow\":true}\n",
    );
    // Where nothing could be compared nothing is known.
    let run = erp.run(&["adopt", "shadow", "--log-file", "log.jsonl", "--json"]).ended(2);
    assert!(run.err.contains("nothing was compared: of 1 line none could be read"), "{}", run.err);
    let told = run.json();
    assert_eq!((&told["unknown"], &told["unknown_lines"][0]["line"]), (&json!(1), &json!(1)), "{told:#}");
    assert!(told["unknown_lines"][0]["what"].is_string(), "{told:#}");
    erp.place.write("empty.jsonl", "\n");
    let run = erp.run(&["adopt", "shadow", "--log-file", "empty.jsonl"]).ended(2);
    assert!(run.told().contains("empty.jsonl holds no recorded answer"), "{}", run.err);
    let told = erp.run(&["adopt", "shadow", "cut-over", "--org", "toys-co", "--json"]).ended(1).json();
    assert_eq!(told["refused"][0]["organization"], "toys-co", "{told:#}");
    let run = erp.run(&["adopt", "shadow", "cut-over"]).ended(2);
    assert!(run.told().contains("--every-organization"), "{}", run.err);
    erp.give("toys-co", "user9@toys.example", "viewer");
    let told = erp.run(&["adopt", "rollback", "--json"]).ended(2).json();
    assert!(told["error"].as_str().unwrap().contains("--discard"), "{told:#}");
    let run = erp.run(&["adopt", "status", "--help"]).ended(0);
    assert!(run.out.contains("--org"), "{}", run.out);
});

/// Keeps everybody else from the users for some seconds, from before it returns.
fn locked(erp: &Erp<'_>) -> Child {
    let url = erp.url();
    let mut program = match url.strip_prefix("sqlite:") {
        Some(path) => {
            let mut python = Command::new("python3");
            python.args(["-c", HOLDS_A_FILE, path.trim_start_matches("//")]);
            python
        }
        None => {
            let mut psql = Command::new(charter_testkit::server::program("psql"));
            psql.args([
                "-X",
                "-q",
                "-At",
                &url,
                "-c",
                "begin",
                "-c",
                "lock table users in access exclusive mode",
            ]);
            psql.args(["-c", "select 'locked'", "-c", "\\! sleep 3"]);
            psql
        }
    };
    let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "locked\n");
    child
}

const HOLDS_A_FILE: &str = "
import sqlite3, sys, time
erp = sqlite3.connect(sys.argv[1], isolation_level=None)
erp.execute('begin exclusive')
print('locked', flush=True)
time.sleep(3)
erp.execute('commit')
";

both_engines!(a_lock_there_is_waited_for, async |database: TestDatabase| {
    // It ended the look after two seconds, and in the last stage a run with it.
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    let mut lock = locked(&erp);
    let run = erp.verify().ended(0);
    assert_eq!(run.json()["holds"], true, "{}", run.out);
    assert!(lock.wait().unwrap().success());
});
