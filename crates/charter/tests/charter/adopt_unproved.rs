//! Runs that were taken back to their data: the same plan proves them again, unless people took something away since.

use crate::adopt_run::{Erp, check};
use crate::adopt_taken::APPROVED;
use charter_testkit::{both_engines, database::TestDatabase};

const ZERO: &str = "user0@toys.example";
const POST: &str = "finance.journal_entries.create";
const TO_DATA: [&str; 4] = ["adopt", "rollback", "--to", "data"];

both_engines!(a_run_that_gave_back_what_people_took_away_is_proved_again, async |database: TestDatabase| {
    let erp = Erp::taken_over(&database, 20).await;
    erp.take_role("toys-co", ZERO);
    let words = ["entitlements", "truncate", "--org", "toys-co", "--reason", "by the document", "--yes"];
    erp.run(&words).ended(0);
    let back = ["--accept", "back:user0@toys.example", "--accept", "modules-back:toys-co"];
    let back = [&back[..], &APPROVED].concat();
    erp.plan(&back).ended(0);
    erp.apply(&[]).ended(0);
    // With the address it says whether the other system's tables are as they were.
    let from = erp.url();
    let run = erp.run(&[&TO_DATA[..], &["--from", &from]].concat()).ended(0);
    assert!(run.told().contains("as before, byte for byte"), "{}", run.told());
    let run = erp.apply(&[]).ended(0);
    assert!(run.out.contains("run 2 is applied"), "{}", run.out);
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 0);
    // Planned again with the same words it is the same run.
    erp.run(&TO_DATA).ended(0);
    erp.plan(&back).ended(0);
    assert!(erp.apply(&[]).ended(0).out.contains("run 2 is applied"));
    // What people take away meanwhile is theirs, whatever the plan gave back before.
    erp.run(&TO_DATA).ended(0);
    erp.take_role("toys-co", ZERO);
    let run = erp.apply(&[]).ended(2);
    assert!(run.told().contains("people took something away here"), "{}", run.told());
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 1);
    erp.run(&["adopt", "rollback", "--discard"]).ended(0);
    assert_eq!(check(&erp, "toys-co", ZERO, POST), 1);
});

both_engines!(another_plan_says_which_run_stands_without_its_proof, async |database: TestDatabase| {
    let erp = Erp::taken_over(&database, 7).await;
    std::fs::copy(erp.place.path("plan.json"), erp.place.path("first.json")).unwrap();
    std::fs::remove_file(erp.place.path("charter-data/adoption/run-000001.json")).unwrap();
    // What a record would say nobody says without one.
    let from = erp.url();
    let run = erp.run(&[&TO_DATA[..], &["--from", &from]].concat()).ended(0);
    assert!(run.told().contains("there is no record of run 1"), "{}", run.told());
    database
        .maintain("insert into users values (900, 'new@toys.example', 'New', 'Viewer', true, 1, null)")
        .await
        .unwrap();
    let run = erp.plan(&[]).ended(1);
    for part in [
        "run 1 of legacy was taken back to the step data",
        "stands without its proof",
        "charter adopt rollback",
    ] {
        assert!(run.told().contains(part), "{part}: {}", run.out);
    }
    let run = erp.apply(&[]).ended(2);
    assert!(run.told().contains("stands without its proof"), "{}", run.told());
    database.maintain("delete from users where id = 900").await.unwrap();
    assert!(erp.apply(&["--plan", "first.json"]).ended(0).out.contains("run 1 is applied"));
});
