//! What people did about a run that is taken back then: nobody whom they stopped, and nothing that they removed, comes in again by the next one unasked.

use crate::adopt_follow::yard;
use crate::adopt_run::{Erp, check};
use charter_db::{Database, Options, Scope, Statement};
use charter_testkit::{both_engines, database::TestDatabase};
use std::process::Stdio;
use std::time::Duration;

const POST: &str = "finance.journal_entries.create";
const ZERO: &str = "user0@toys.example";
const APPROVED: [&str; 4] = ["--approved-by", "Ann", "--approved-by", "Bob"];

const WRITTEN: Statement = Statement::forked(
    "select count(*) from principals p join memberships m on m.principal_id = p.principal_id where p.login_folded = 'user0@toys.example'",
    "select count(*) from charter.principals p join charter.memberships m on m.principal_id = p.principal_id \
     where p.login_folded = 'user0@toys.example'",
);

/// Whether the account is a member by now, as Charter's own tables have it.
async fn is_written(erp: &Erp<'_>) -> bool {
    let count = async |own: &Database| {
        let row = own.query_one(Scope::Installation, &WRITTEN, &[]).await;
        row.is_ok_and(|row| row.get::<i64>(0).unwrap() > 0)
    };
    if erp.url().starts_with("postgres") {
        return count(erp.database).await;
    }
    // The file has one process at a time: a copy is looked at.
    for end in ["", "-wal"] {
        let from = erp.place.path(&format!("charter-data/charter.db{end}"));
        if std::fs::copy(from, erp.place.path(&format!("copy.db{end}"))).is_err() {
            return false;
        }
    }
    let file = erp.place.path("copy.db");
    let options = Options { url: format!("sqlite:{}", file.display()), ..erp.database.options().clone() };
    let Ok(own) = Database::open(&options).await else { return false };
    let is_written = count(&own).await;
    own.close().await.unwrap();
    is_written
}

/// Breaks the first run off as soon as an account of it is there, which waits for the proof, and suspends it.
async fn suspended(erp: &Erp<'_>) {
    let mut command = erp.place.command(&["adopt", "apply", "--no-backup", "Ann"]);
    command.envs(erp.variables()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let record = erp.place.path("charter-data/adoption/run-000001.json");
    while child.try_wait().unwrap().is_none() && !(record.exists() && is_written(erp).await) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(child.try_wait().unwrap().is_none(), "the run ended before it was killed");
    child.kill().unwrap();
    child.wait().unwrap();
    let suspend =
        ["members", "update", "--org", "toys-co", "--member", ZERO, "--account-status", "suspended"];
    erp.run(&[&suspend[..], &["--reason", "fraud"]].concat()).ended(0);
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
        let erp = Erp::with(&database, 3_000).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        suspended(&erp).await;
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
        let erp = Erp::with(&database, 3_000).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        suspended(&erp).await;
        let run = erp.run(&["adopt", "rollback"]).ended(0);
        assert!(run.told().contains("the next plan asks about 1 user whom people stopped"), "{}", run.told());
        asked(&erp, &database).await;
    }
);

both_engines!(
    a_role_that_people_removed_comes_again_by_name_after_its_run_was_taken_back,
    async |database: TestDatabase| {
        let erp = yard(&database).await;
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        let bob = "bob@yard.example";
        erp.remove_member("yard", bob);
        erp.run(&["roles", "delete", "--org", "yard", "--role", "adopted_guard"]).ended(0);
        let run = erp.run(&["adopt", "rollback", "--discard"]).ended(0);
        assert!(
            run.told().contains("and about 1 role or module that people removed or changed"),
            "{}",
            run.told()
        );
        // Whoever gets it now never had it.
        for change in
            ["delete from people_duties where duty_id = 2", "insert into people_duties values (1, 2)"]
        {
            database.maintain(change).await.unwrap();
        }
        let ann = "ann@yard.example";
        let bobs = ["--accept", "back:bob@yard.example"];
        let run = erp.plan(&bobs).ended(1);
        let said = run.told();
        assert!(
            said.contains("people removed or changed roles here, of what a run gave that was taken back since, that 1 user gets again")
                && said.contains("(ann@yard.example: role adopted_guard of yard)")
                && said.contains("--accept back:LOGIN"),
            "{said}"
        );
        let both = [&bobs[..], &["--accept", "back:ann@yard.example"]].concat();
        erp.plan(&both).ended(0);
        erp.apply(&[]).ended(0);
        assert!(erp.assignments("yard", ann).contains(&"adopted_guard".to_owned()));
        let run = erp.plan(&[]).ended(0);
        assert!(run.out.contains("nothing changed since run"), "{}", run.out);
    }
);
