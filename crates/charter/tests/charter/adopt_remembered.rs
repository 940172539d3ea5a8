//! Whom people stop while a run is under way that is taken back then: nobody comes in again by the next one unasked.

use crate::adopt_going_on::killed;
use crate::adopt_run::{Erp, check};
use charter_testkit::{both_engines, database::TestDatabase};

const POST: &str = "finance.journal_entries.create";
const ZERO: &str = "user0@toys.example";
const APPROVED: [&str; 4] = ["--approved-by", "Ann", "--approved-by", "Bob"];

/// Suspends an account that waits for the proof of the first run, which is broken off.
fn suspended(erp: &Erp<'_>) {
    let suspend =
        ["members", "update", "--org", "toys-co", "--member", ZERO, "--account-status", "suspended"];
    let suspend = [&suspend[..], &["--reason", "fraud"]].concat();
    let mut pause = 300;
    while pause < 30_000 {
        assert!(killed(erp, 1, "plan.json", pause), "the run ended before it was killed");
        pause += pause / 2;
        if erp.run(&suspend).code == 0 {
            return;
        }
    }
    panic!("the account was never written");
}

/// The next plan asks, and is carried out once it was told.
async fn asked(erp: &Erp<'_>, database: &TestDatabase) {
    let run = erp.plan(&[]).ended(1);
    let said = run.told();
    assert!(
        said.contains("people stopped 1 user here, or took something from them")
            && said.contains(&format!("({ZERO})"))
            && said.contains("--accept back:LOGIN"),
        "{said}"
    );
    let back = ["--accept", "back:user0@toys.example"];
    let usual = ["--accept", "superadmin", "--accept", "boss", "--approved-by", "Ann"];
    let run = erp.plan_as_said(&[&usual[..], &back].concat()).ended(1);
    assert!(run.told().contains("1 user is let in again whom people stopped here"), "{}", run.out);
    // Whoever is stopped there is no question.
    database.maintain("update users set is_active = false where id = 0").await.unwrap();
    erp.plan(&[]).ended(0);
    database.maintain("update users set is_active = true where id = 0").await.unwrap();
    erp.plan(&[&back[..], &APPROVED].concat()).ended(0);
    erp.apply(&[]).ended(0);
    assert_eq!(check(erp, "toys-co", ZERO, POST), 0);
    let run = erp.plan(&[]).ended(0);
    assert!(run.out.contains("nothing changed since run"), "{}", run.out);
}

both_engines!(
    who_is_suspended_while_a_run_waits_that_fails_its_proof_is_asked_about,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 9_000).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        suspended(&erp);
        let run = erp.apply(&[]).ended(1);
        let said = run.told();
        assert!(said.contains("before is not after") && said.contains(ZERO), "{said}");
        assert!(said.contains("the next plan asks about 1 user whom people stopped"), "{said}");
        // The plan that was made before is none any more.
        let run = erp.apply(&[]).ended(2);
        assert!(run.told().contains("people stopped 1 user here"), "{}", run.told());
        asked(&erp, &database).await;
    }
);

both_engines!(
    who_is_suspended_in_a_run_that_was_broken_off_is_asked_about_after_its_rollback,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 9_000).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        suspended(&erp);
        let run = erp.run(&["adopt", "rollback"]).ended(0);
        assert!(run.told().contains("the next plan asks about 1 user whom people stopped"), "{}", run.told());
        asked(&erp, &database).await;
    }
);
