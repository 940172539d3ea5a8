//! Whom a plan after the first is about, one by one, and what taking a run back would do.

use crate::adopt_run::Erp;
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::Value;

both_engines!(a_plan_names_the_first_of_those_it_changes_and_a_file_all, async |database: TestDatabase| {
    let erp = Erp::with(&database, 40).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    for change in [
        "update users set is_active = false where id in (0, 1, 3, 4, 5, 6, 7, 8)",
        "update users set email = 'ann@toys.example', full_name = 'Ann' where id = 9",
        "update users set full_name = 'Bob' where id = 12",
    ] {
        database.maintain(change).await.unwrap();
    }
    let run = erp.plan(&["--accept", "flag:logins", "--changes", "changes.jsonl"]).ended(0);
    let told = run.told();
    assert!(told.contains("deactivated: 8 accounts (user"), "{}", run.out);
    assert!(told.contains("and 3 more)") && told.contains("--changes FILE names every one"), "{}", run.out);
    assert!(
        told.contains("renamed: 2 accounts (") && told.contains("user9@toys.example -> ann@toys.example"),
        "{}",
        run.out
    );
    let lines = std::fs::read_to_string(erp.place.path("changes.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |what: &str| {
        let is_it = |it: &&Value| it["what"] == what;
        let mut who: Vec<&str> = lines.iter().filter(is_it).map(|it| it["who"].as_str().unwrap()).collect();
        who.sort_unstable();
        who
    };
    let gone: Vec<String> = [0, 1, 3, 4, 5, 6, 7, 8].map(|at| format!("user{at}@toys.example")).to_vec();
    assert_eq!(of("deactivated"), gone);
    assert_eq!(
        (of("login"), of("name")),
        (vec!["user9@toys.example"], vec!["user12@toys.example", "user9@toys.example"])
    );
    // The plan has them as well, and is carried out for these and nobody else.
    let plan: Value =
        serde_json::from_str(&std::fs::read_to_string(erp.place.path("plan.json")).unwrap()).unwrap();
    assert_eq!(plan["named"].as_array().unwrap().len(), lines.len(), "{plan:#}");
    erp.run(&[
        "members",
        "update",
        "--org",
        "toys-co",
        "--member",
        "user0@toys.example",
        "--account-status",
        "deactivated",
    ])
    .ended(0);
    let run = erp.apply(&[]).ended(2);
    assert!(run.told().contains("make the plan again"), "{}", run.err);
    erp.follow(&["--accept", "flag:logins"]);
    // What people changed here is named in the file, too.
    database.maintain("update users set is_active = true where id = 0").await.unwrap();
    erp.plan(&["--accept", "flag:logins", "--changes", "changes.jsonl"]).ended(1);
    let lines = std::fs::read_to_string(erp.place.path("changes.jsonl")).unwrap();
    let stops = lines.lines().find(|line| line.contains("\"stops\"")).unwrap();
    assert!(
        stops.contains("user0@toys.example") && stops.contains("deactivated or suspended here"),
        "{lines}"
    );
});

both_engines!(a_dry_run_of_a_rollback_tells_what_would_go_and_be_put_back, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    for change in [
        "update users set role = 'Viewer' where id = 0",
        "update users set is_active = false where id = 3",
        "insert into users values (500, 'new@toys.example', 'New', 'accountant', true, 1, null)",
    ] {
        database.maintain(change).await.unwrap();
    }
    erp.follow(&[]);
    let before = erp.rows().await;
    let run = erp.run(&["adopt", "rollback", "--dry-run"]).ended(0);
    let told = run.told();
    // The viewer's and the newcomer's; an accountant's row and an account go back.
    assert!(
        told.contains("run 2 would be taken back: 1 user, 1 membership, 2 assignments would be removed"),
        "{}",
        run.out
    );
    assert!(
        told.contains("2 rows of earlier runs would be put back") && told.contains("nothing was written"),
        "{}",
        run.out
    );
    let run = erp.run(&["adopt", "rollback", "--to", "run-0", "--dry-run"]).ended(2);
    assert!(run.told().contains("no run 0"), "{}", run.err);
    // Over both, what people made stops it as it would stop the rollback, and is counted when it is to go.
    erp.give("toys-co", "user9@toys.example", "viewer");
    let whole = ["adopt", "rollback", "--dry-run", "--to", "data"];
    let run = erp.run(&whole).ended(0);
    assert!(run.told().contains("its proof alone goes"), "{}", run.out);
    let run = erp.run(&["adopt", "rollback"]).ended(0);
    assert!(run.told().contains("run 2 was taken back: 4 rows removed, 2 rows put back"), "{}", run.out);
    assert_ne!(before, erp.rows().await);
    let stands = erp.rows().await;
    let run = erp.run(&["adopt", "rollback", "--dry-run"]).ended(2);
    assert!(
        run.told().contains("1 assignment") && run.told().contains("nothing was taken back"),
        "{}",
        run.err
    );
    let run = erp.run(&["adopt", "rollback", "--dry-run", "--discard", "--json"]).ended(0).json();
    let first = &run["runs"][0];
    assert_eq!(
        (&run["dry_run"], &first["run"], &first["discarded"]["assignments"]),
        (&true.into(), &1.into(), &1.into()),
        "{run:#}"
    );
    assert_eq!(
        (&first["removed"]["users"], &first["kept"]),
        (&20.into(), &serde_json::json!(["toys-co"])),
        "{run:#}"
    );
    crate::adopt_follow::same(&stands, &erp.rows().await);
    let run = erp.run(&["adopt", "rollback", "--dry-run", "--discard"]).ended(0);
    assert!(run.told().contains("of what people made since would go: assignments (1)"), "{}", run.out);
    erp.run(&["adopt", "rollback", "--discard"]).ended(0);
    let run = erp.run(&["adopt", "rollback", "--dry-run"]).ended(0);
    assert!(run.told().contains("there is no run of legacy to take back"), "{}", run.out);
});
