//! What people took away by hand of what a run gave: the next plan names it and stops, and it comes back or stays away as somebody says.

use crate::adopt_follow::{same, yard};
use crate::adopt_run::{Erp, check};
use charter_db::{Database, Options};
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::{Value, json};
use std::time::Duration;

const POST: &str = "finance.journal_entries.create";
pub const APPROVED: [&str; 4] = ["--approved-by", "Ann", "--approved-by", "Bob"];

impl Erp<'_> {
    pub async fn taken_over<'d>(database: &'d TestDatabase, users: usize) -> Erp<'d> {
        let erp = Erp::with(database, users).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        erp.verify().ended(0);
        erp
    }

    pub fn take_role(&self, organization: &str, login: &str) {
        let words = ["assignments", "list", "--org", organization, "--member", login, "--json"];
        let told = self.run(&words).ended(0).json();
        let id = told["items"][0]["id"].as_str().unwrap().to_owned();
        self.run(&["assignments", "unassign", "--org", organization, "--assignment", &id]).ended(0);
    }

    pub fn remove_member(&self, organization: &str, login: &str) {
        self.run(&["members", "remove", "--org", organization, "--member", login]).ended(0);
    }

    pub fn obstacles(&self, more: &[&str]) -> (Value, String) {
        let run = self.plan_as_said(&[more, &["--json"]].concat()).ended(1).json();
        (run["plan"].clone(), run["obstacles"].to_string())
    }

    /// Changes Charter's own tables by hand.
    pub async fn change_own(&self, change: &str) {
        if self.url().starts_with("postgres") {
            return self.database.maintain(change).await.unwrap();
        }
        let file = self.place.path("charter-data/charter.db");
        let options =
            Options { url: format!("sqlite:{}", file.display()), ..self.database.options().clone() };
        let own = Database::open(&options).await.unwrap();
        own.maintain(change).await.unwrap();
        own.close().await.unwrap();
    }

    pub fn losses(&self) -> Value {
        let told = self.verify().ended(0).json();
        told["proof"]["equivalence"]["verdict"]["named"].clone()
    }
}

both_engines!(what_people_took_away_stops_the_plan_and_comes_back_by_name, async |database: TestDatabase| {
    let erp = Erp::taken_over(&database, 40).await;
    let (zero, admin) = ("user0@toys.example", "user4@toys.example");
    erp.take_role("toys-co", zero);
    erp.take_role("platform", admin);
    let before = erp.rows().await;
    let told = erp.verify().ended(1).json();
    let named = told["proof"]["equivalence"]["verdict"]["named"].to_string();
    assert!(
        named.contains(zero) && named.contains(admin),
        "verify names whom people took something from: {named}"
    );
    let (plan, obstacles) = erp.obstacles(&[]);
    assert!(obstacles.contains("people took away 2 rights and memberships"), "{obstacles}");
    erp.plan(&["--changes", "who.jsonl"]).ended(1);
    let who = std::fs::read_to_string(erp.place.path("who.jsonl")).unwrap();
    assert!(who.contains("people took away role accountant in toys-co") && who.contains(admin), "{who}");
    assert!(obstacles.contains("user0@toys.example: role accountant in toys-co"), "{obstacles}");
    assert_eq!(
        plan["taken"]["named"],
        json!([
            {"login": zero, "organization": "toys-co", "what": "role accountant", "becomes": "open"},
            {"login": admin, "organization": "platform", "what": "role superadmin", "becomes": "open"},
        ])
    );
    erp.apply(&[]).ended(2);
    same(&before, &erp.rows().await);
    // One of the two by name is not enough, nor one person, nor both words at once.
    let back = ["--accept", "back:user0@toys.example"];
    let (_, obstacles) = erp.obstacles(&[&back[..], &APPROVED].concat());
    assert!(obstacles.contains("1 right or membership") && obstacles.contains(admin), "{obstacles}");
    let both = [&back[..], &["--accept", "back:user4@toys.example"]].concat();
    let (_, obstacles) = erp.obstacles(&both);
    assert!(obstacles.contains("that wants two people by name"), "{obstacles}");
    let (_, obstacles) =
        erp.obstacles(&[&both[..], &APPROVED, &["--accept", "away:user0@toys.example"]].concat());
    assert!(obstacles.contains("say one of both"), "{obstacles}");
    let all = [&both[..], &APPROVED].concat();
    let run = erp.plan(&all).ended(0);
    assert!(run.told().contains("2 rights and memberships (2 given back)"), "{}", run.out);
    erp.apply(&[]).ended(0);
    assert_eq!(erp.losses(), json!([]));
    assert_eq!(check(&erp, "toys-co", zero, POST), 0);
    // Planned again it is the same run, and nothing is asked.
    let run = erp.plan(&[&all[..], &["--json"]].concat()).ended(0).json();
    let applied = erp.apply(&["--json"]).ended(0).json();
    assert_eq!((&applied["run"], &applied["changed"]), (&2.into(), &false.into()), "{run:#}");
    erp.plan(&[]).ended(0);
    // Taken away once more it is asked about once more; and with the run that gave it back gone, it is as people left it.
    erp.take_role("toys-co", zero);
    assert!(erp.obstacles(&[]).1.contains(zero));
    erp.run(&["adopt", "rollback"]).ended(0);
    let mut now = erp.rows().await;
    // The note of what was removed stays.
    assert_eq!(now["adopted_removals"].len(), before["adopted_removals"].len() + 1);
    now.insert("adopted_removals", before["adopted_removals"].clone());
    same(&before, &now);
    let (_, obstacles) = erp.obstacles(&[]);
    assert!(obstacles.contains(zero) && obstacles.contains(admin), "{obstacles}");
});

both_engines!(what_people_took_away_stays_away_once_that_is_said, async |database: TestDatabase| {
    let erp = Erp::taken_over(&database, 40).await;
    let (zero, admin, member) = ("user0@toys.example", "user4@toys.example", "user12@toys.example");
    erp.take_role("toys-co", zero);
    erp.take_role("platform", admin);
    erp.remove_member("toys-co", member);
    let before = erp.rows().await;
    let away = ["--accept", "flag:away"];
    let run = erp.plan(&away).ended(0);
    assert!(run.told().contains("4 rights and memberships (4 kept away)"), "{}", run.out);
    erp.apply(&[]).ended(0);
    let kept = erp.rows().await;
    assert_eq!(kept["adopted_kept_away"].len(), 4);
    let but_for_that = |(table, rows): (&&'static str, &Vec<String>)| {
        (*table, if *table == "adopted_kept_away" { Vec::new() } else { rows.clone() })
    };
    same(&before, &kept.iter().map(but_for_that).collect());
    // The proof and verify name each as an accepted loss.
    let text = std::fs::read_to_string(erp.place.path("charter-data/adoption/proof-000002.json")).unwrap();
    let proof: Value = serde_json::from_str(&text).unwrap();
    for named in [proof["equivalence"]["verdict"]["named"].clone(), erp.losses()] {
        let named = named.as_array().unwrap();
        let logins: Vec<&str> = named.iter().map(|it| it["login"].as_str().unwrap()).collect();
        assert!(named.iter().all(|it| it["accepted"] == true && it["gains"] == json!([])), "{named:#?}");
        assert!(
            [zero, admin, member].iter().all(|login| logins.contains(login)) && logins.len() == 3,
            "{logins:?}"
        );
    }
    assert_eq!(proof["equivalence"]["missing"], 0);
    assert_ne!(check(&erp, "toys-co", zero, POST), 0);
    // The same plan is the same run; one that says nothing of it asks nothing, and keeps it away.
    erp.plan(&away).ended(0);
    let applied = erp.apply(&["--json"]).ended(0).json();
    assert_eq!((&applied["run"], &applied["changed"]), (&2.into(), &false.into()));
    database.maintain("update users set role = 'accountant' where id = 3").await.unwrap();
    let plan = erp.follow(&[]);
    assert_eq!((&plan["taken"]["open"], &plan["taken"]["away"]), (&json!(0), &json!(4)), "{plan:#}");
    assert_ne!(check(&erp, "toys-co", zero, POST), 0);
    assert_eq!(check(&erp, "toys-co", "user3@toys.example", POST), 0, "others get what is new");
    // Gone there and given anew, it is asked about.
    database.maintain("update users set role = 'Viewer' where id = 0").await.unwrap();
    let (_, obstacles) = erp.obstacles(&[]);
    assert!(obstacles.contains("user0@toys.example: role viewer, new there"), "{obstacles}");
    erp.follow(&[&["--accept", "new:user0@toys.example"][..], &APPROVED].concat());
    database.maintain("update users set role = 'accountant' where id = 0").await.unwrap();
    let (_, obstacles) = erp.obstacles(&[]);
    assert!(obstacles.contains("1 right or membership") && obstacles.contains(zero), "{obstacles}");
    // And whoever kept something away may give it back.
    let back =
        [&["--accept", "back:user0@toys.example", "--accept", "back:user12@toys.example"][..], &APPROVED]
            .concat();
    erp.follow(&back);
    assert_eq!(check(&erp, "toys-co", zero, POST), 0);
    assert_eq!(erp.status("toys-co", member), "active");
    let losses = erp.losses();
    assert!(losses.to_string().contains(admin) && !losses.to_string().contains(zero), "{losses:#}");
    erp.run(&["adopt", "rollback", "--to", "run-1"]).ended(0);
    same(&before, &erp.rows().await);
    erp.verify().ended(1);
});

both_engines!(a_role_and_a_right_that_people_removed_stay_so, async |database: TestDatabase| {
    let erp = yard(&database).await;
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    // Bob's role goes for good, and Ann's right besides roles.
    erp.run(&["members", "remove", "--org", "yard", "--member", "bob@yard.example"]).ended(0);
    erp.run(&["members", "add", "--org", "yard", "--login", "bob@yard.example"]).ended(0);
    erp.run(&["roles", "delete", "--org", "yard", "--role", "adopted_guard"]).ended(0);
    let told = erp
        .run(&["grants", "list", "--org", "yard", "--member", "ann@yard.example", "--json"])
        .ended(0)
        .json();
    let id = told["items"][0]["id"].as_str().unwrap().to_owned();
    erp.run(&["grants", "revoke", "--org", "yard", "--grant", &id]).ended(0);
    let before = erp.rows().await;
    // Somebody gets the removed role anew there: it is asked about like the others.
    database.maintain("insert into people_duties values (3, 2)").await.unwrap();
    let (plan, obstacles) = erp.obstacles(&[]);
    assert_eq!(plan["taken"]["open"], 5, "{obstacles}");
    assert!(obstacles.contains("eve@yard.example: role adopted_guard in yard"), "{obstacles}");
    let plan = erp.follow(&["--accept", "flag:away"]);
    assert_eq!(plan["rows"]["roles"], 2, "{plan:#}");
    assert_eq!(check(&erp, "yard", "ann@yard.example", "adopted.gate.close"), 1);
    assert_eq!(check(&erp, "yard", "bob@yard.example", "adopted.book.read"), 1);
    let back = [&["--accept", "back:bob@yard.example"][..], &APPROVED].concat();
    erp.follow(&back);
    assert_eq!(check(&erp, "yard", "bob@yard.example", "adopted.gate.close"), 0, "the role is there again");
    assert_eq!(check(&erp, "yard", "ann@yard.example", "adopted.gate.close"), 1);
    erp.run(&["adopt", "rollback", "--to", "run-1"]).ended(0);
    same(&before, &erp.rows().await);
});

both_engines!(a_run_that_keeps_away_and_is_killed_goes_on, async |database: TestDatabase| {
    let erp = Erp::taken_over(&database, 1_500).await;
    erp.take_role("toys-co", "user0@toys.example");
    erp.remove_member("toys-co", "user12@toys.example");
    database.maintain("update users set role = 'Viewer' where id > 20 and role = 'org_admin'").await.unwrap();
    database.maintain("update users set is_active = false where id > 20 and id % 13 = 5").await.unwrap();
    let before = erp.rows().await;
    let words =
        [&["--accept", "away:user0@toys.example", "--accept", "back:user12@toys.example"][..], &APPROVED]
            .concat();
    erp.plan(&words).ended(0);
    let mut killed = 0;
    for pause in [30, 100, 300, 600] {
        let mut command = erp.place.command(&["adopt", "apply", "--no-backup", "Ann"]);
        command.envs(erp.variables()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        let record = erp.place.path("charter-data/adoption/run-000002.json");
        while !record.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(pause));
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert!(killed > 0, "no run was fast enough to end before it was killed");
    erp.plan(&words).ended(0);
    let run = erp.apply(&[]).ended(0);
    assert!(run.out.contains("run 2 "), "it is the same run: {}", run.out);
    assert_ne!(check(&erp, "toys-co", "user0@toys.example", POST), 0);
    assert_eq!(erp.status("toys-co", "user12@toys.example"), "active");
    let losses = erp.losses();
    assert_eq!(losses.as_array().unwrap().len(), 1, "{losses:#}");
    erp.run(&["adopt", "rollback"]).ended(0);
    same(&before, &erp.rows().await);
});

both_engines!(what_is_let_in_again_goes_on_after_a_kill, async |database: TestDatabase| {
    let erp = Erp::taken_over(&database, 1_500).await;
    for change in [
        "update organizations set is_active = false where id = 1",
        "update users set is_active = false where id % 7 = 3",
    ] {
        database.maintain(change).await.unwrap();
    }
    erp.follow(&[]);
    let before = erp.rows().await;
    for change in [
        "update organizations set is_active = true where id = 1",
        "update users set is_active = true where id % 7 = 3 and id % 11 <> 10",
        "update users set role = 'Viewer' where id > 20 and role = 'accountant'",
    ] {
        database.maintain(change).await.unwrap();
    }
    erp.plan(&[]).ended(0);
    let mut killed = 0;
    for pause in [200, 600, 1_000, 1_500] {
        let mut command = erp.place.command(&["adopt", "apply", "--no-backup", "Ann"]);
        command.envs(erp.variables()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        let record = erp.place.path("charter-data/adoption/run-000003.json");
        while !record.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(pause));
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        let told = erp.run(&["adopt", "status", "--json"]).ended(0).json();
        if told["items"][0]["state"] == "applying" {
            assert_ne!(check(&erp, "toys-co", "user0@toys.example", POST), 0, "it is closed until the proof");
        }
    }
    assert!(killed > 0, "no run was fast enough to end before it was killed");
    let run = erp.apply(&[]).ended(0);
    assert!(run.out.contains("run 3 "), "it is the same run: {}", run.out);
    erp.verify().ended(0);
    let told = erp.run(&["organizations", "list", "--json"]).ended(0).json();
    let toys = told["items"].as_array().unwrap().iter().find(|it| it["key"] == "toys-co").unwrap();
    assert_eq!(toys["status"], "active");
    erp.run(&["adopt", "rollback"]).ended(0);
    same(&before, &erp.rows().await);
});

both_engines!(what_was_taken_away_before_it_was_noted_is_in_doubt, async |database: TestDatabase| {
    let erp = Erp::taken_over(&database, 20).await;
    let zero = "user0@toys.example";
    erp.take_role("toys-co", zero);
    // As an earlier version left it: no note, and a run that knew of none.
    let schema = if erp.url().starts_with("postgres") { "charter." } else { "" };
    for change in [
        format!("delete from {schema}adopted_removals"),
        format!("update {schema}adoption_runs set removals_noted = 0"),
    ] {
        erp.change_own(&change).await;
    }
    let (_, obstacles) = erp.obstacles(&[]);
    assert!(obstacles.contains("took no note") && obstacles.contains(zero), "{obstacles}");
    erp.follow(&["--accept", "flag:unnoted"]);
    // From then on it is known.
    erp.take_role("toys-co", zero);
    let (_, obstacles) = erp.obstacles(&[]);
    assert!(!obstacles.contains("took no note") && obstacles.contains("role accountant"), "{obstacles}");
});
