//! Modules that people removed of what runs switched: they stay so until somebody says otherwise, and the plan says so.

use crate::adopt_run::{Erp, check};
use crate::adopt_taken::APPROVED;
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::json;

const ZERO: &str = "user0@toys.example";
const POST: &str = "finance.journal_entries.create";

/// An organization whose modules go by its document again, as the guide says, with finance off.
async fn truncated(database: &TestDatabase) -> Erp<'_> {
    let erp = Erp::taken_over(database, 20).await;
    let words = ["entitlements", "truncate", "--org", "toys-co", "--reason", "by the document", "--yes"];
    erp.run(&words).ended(0);
    let document = r#"{"crm":true}"#;
    erp.run(&["organizations", "enabled-modules", "--org", "toys-co", "--enabled-modules", document])
        .ended(0);
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 1);
    database
        .maintain("insert into users values (900, 'new@toys.example', 'New', 'Viewer', true, 1, null)")
        .await
        .unwrap();
    erp
}

both_engines!(modules_that_people_removed_stay_so_once_that_is_said, async |database: TestDatabase| {
    let erp = truncated(&database).await;
    let (plan, obstacles) = erp.obstacles(&[]);
    assert!(obstacles.contains("people removed modules") && obstacles.contains("toys-co"), "{obstacles}");
    assert_eq!(plan["taken"]["modules"].as_array().unwrap().len(), 1, "{plan:#}");
    assert_eq!(plan["taken"]["modules"][0]["becomes"], "open");
    erp.plan(&["--changes", "who.jsonl"]).ended(1);
    let who = std::fs::read_to_string(erp.place.path("who.jsonl")).unwrap();
    assert!(who.contains("\"who\":\"toys-co\"") && who.contains("people removed modules (admin"), "{who}");
    erp.apply(&[]).ended(2);
    let away = ["--accept", "modules-away:toys-co"];
    let before = erp.rows().await;
    let plan = erp.plan(&[&away[..], &["--json"]].concat()).ended(0).json();
    assert_eq!(plan["plan"]["taken"]["modules"][0]["becomes"], "away", "{plan:#}");
    erp.apply(&[]).ended(0);
    assert_eq!(before["org_entitlements"], erp.rows().await["org_entitlements"], "no row came back");
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 1);
    // The proof names what differs as accepted, and so does verify.
    let told = erp.verify().ended(0).json();
    let equivalence = &told["proof"]["equivalence"];
    let modules = equivalence["modules"].as_array().unwrap();
    assert!(
        modules.iter().any(|it| it["module"] == "finance") && modules.iter().all(|it| it["accepted"] == true)
    );
    let named = equivalence["verdict"]["named"].to_string();
    assert!(named.contains(ZERO), "{named}");
    // The same plan is the same run, and the next one asks again.
    erp.plan(&away).ended(0);
    let applied = erp.apply(&["--json"]).ended(0).json();
    assert_eq!(applied["changed"], false, "{applied:#}");
    assert!(erp.obstacles(&[]).1.contains("toys-co"));
});

both_engines!(modules_that_a_document_still_gives_are_lost_by_nobody, async |database: TestDatabase| {
    // The plan said that all of them are lost, the run found that nobody lost anything, and both were right about something else.
    let erp = Erp::taken_over(&database, 7).await;
    let truncate = ["entitlements", "truncate", "--org", "toys-co", "--reason", "by the document", "--yes"];
    let run = erp.run(&truncate).ended(0);
    assert!(run.told().contains("every module stays as it is"), "{}", run.out);
    let away = ["--accept", "modules-away:toys-co"];
    let plan = erp.follow(&away);
    assert_eq!(plan["taken"]["modules"][0]["becomes"], "away", "{plan:#}");
    assert_eq!((&plan["verdict"]["losses"], &plan["verdict"]["gains"]), (&json!(0), &json!(0)), "{plan:#}");
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 0);
    // The document decides on: what it turns off there goes off here, and what it turns on comes on.
    database
        .maintain("update organizations set enabled_modules = '{\"crm\": true, \"hr\": true}' where id = 1")
        .await
        .unwrap();
    let plan = erp.follow(&away);
    assert_eq!(plan["changes"]["organizations"], 1, "{plan:#}");
    assert_eq!((&plan["verdict"]["losses"], &plan["verdict"]["gains"]), (&json!(0), &json!(0)), "{plan:#}");
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 1);
});

both_engines!(modules_that_a_document_turned_on_again_go_off_by_name, async |database: TestDatabase| {
    // No word helped: what stood here was not what the other system allows, and nothing but that was said.
    let erp = Erp::with(&database, 7).await;
    erp.mapped("none");
    let text = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
    erp.place.write("roles.toml", &text.replace("modules = \"as_said\"", "modules = \"none\""));
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 1);
    let truncate = ["entitlements", "truncate", "--org", "toys-co", "--reason", "by the document", "--yes"];
    erp.run(&truncate).ended(0);
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 0);
    let run = erp.plan(&["--accept", "modules-away:toys-co"]).ended(1);
    assert!(
        run.told().contains("in place of modules-away:KEY, with --accept modules-back:toys-co"),
        "{}",
        run.out
    );
    let line = "\n      organization 1: finance is off in the other system and on here\n";
    assert!(run.out.contains(line), "{}", run.out);
    erp.follow(&[&["--accept", "modules-back:toys-co"][..], &APPROVED].concat());
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 1);
    erp.plan(&[]).ended(0);
});

both_engines!(modules_that_people_removed_come_back_by_name, async |database: TestDatabase| {
    let erp = truncated(&database).await;
    let back = [&["--accept", "modules-back:toys-co"][..], &APPROVED].concat();
    assert!(erp.obstacles(&back[..2]).1.contains("two people by name"));
    assert!(
        erp.obstacles(&[&back[..], &["--accept", "modules-away:toys-co"]].concat())
            .1
            .contains("say one of both")
    );
    erp.follow(&back);
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 0);
    assert_eq!(erp.verify().ended(0).json()["proof"]["equivalence"]["modules"], json!([]));
    erp.plan(&[]).ended(0);
    // Whoever takes that run back is where people left it.
    erp.run(&["adopt", "rollback"]).ended(0);
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 1);
});

both_engines!(modules_that_the_documents_turn_off_come_on_by_name_alone, async |database: TestDatabase| {
    // `all` once came in beside documents that say off, and the plan said that nobody gains.
    let erp = Erp::with(&database, 7).await;
    erp.mapped("none");
    let text = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
    erp.place.write("roles.toml", &text.replace("modules = \"as_said\"", "modules = \"all\""));
    let asked = ["--accept", "superadmin", "--accept", "boss"];
    let run = erp.plan_as_said(&[&asked[..], &APPROVED].concat()).ended(1);
    assert!(run.told().contains("turns on what the documents of 3 organizations do not"), "{}", run.out);
    assert!(run.told().contains("--accept flag:modules"), "{}", run.out);
    let run = erp.plan_as_said(&[&asked[..], &["--accept", "flag:modules"]].concat()).ended(1);
    assert!(run.told().contains("two people by name"), "{}", run.out);
    let run = erp.plan(&["--json"]).ended(0).json();
    assert_eq!(run["plan"]["opened"]["organizations"], 3, "{run:#}");
    let modules = run["plan"]["opened"]["named"]["Toys & Co"].to_string();
    assert!(modules.contains("sales") && !modules.contains("finance"), "{modules}");
    // Where no organization has a document, nobody said that anything is off.
    database.maintain("update organizations set enabled_modules = null").await.unwrap();
    erp.plan_as_said(&[&asked[..], &APPROVED].concat()).ended(0);
});

both_engines!(
    modules_that_people_removed_are_remembered_when_their_run_goes,
    async |database: TestDatabase| {
        let erp = truncated(&database).await;
        let run = erp.run(&["adopt", "rollback", "--discard"]).ended(0);
        assert!(run.told().contains("roles and modules that people removed or changed"), "{}", run.told());
        let (_, obstacles) = erp.obstacles(&["--accept", "superadmin", "--accept", "boss"]);
        assert!(
        obstacles.contains("people removed or changed modules here, of what a run gave that was taken back since, in 1 organization (toys-co)")
            && obstacles.contains("--accept modules-back:KEY"),
        "{obstacles}"
    );
        erp.apply(&[]).ended(2);
        let back = ["--accept", "modules-back:toys-co"];
        let (_, obstacles) =
            erp.obstacles(&[&["--accept", "superadmin", "--accept", "boss"], &back[..]].concat());
        assert!(obstacles.contains("1 organization gets modules again"), "{obstacles}");
        erp.follow(&[&back[..], &APPROVED].concat());
        assert_eq!(check(&erp, "toys-co", ZERO, POST), 0);
        // What came again by name is asked about no more.
        erp.plan(&[]).ended(0);
    }
);
