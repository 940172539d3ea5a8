//! A stage that fails, and a run that cannot be taken back at once: the exit code and the advice are those that lead on.

use crate::adopt_run::Erp;
use charter_testkit::{both_engines, database::TestDatabase};

/// Has a table of Charter's refuse what is done to it, and lets it go on.
async fn refusing(erp: &Erp<'_>, table: &str, what: &str) {
    erp.change_own(&match erp.url().starts_with("postgres") {
        true => format!(
            "create or replace function charter.refuses() returns trigger language plpgsql as $$ begin raise 'no room'; end $$;
             create trigger refuses before {what} on charter.{table} for each row execute function charter.refuses()"
        ),
        false => format!(
            "create trigger refuses_{table} before {what} on {table} begin select raise(abort, 'no room'); end"
        ),
    })
    .await;
}

async fn yielding(erp: &Erp<'_>, table: &str) {
    erp.change_own(&match erp.url().starts_with("postgres") {
        true => format!("drop trigger refuses on charter.{table}"),
        false => format!("drop trigger refuses_{table}"),
    })
    .await;
}

both_engines!(
    a_failed_stage_ends_with_1_and_says_how_its_run_is_taken_back,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 6).await;
        let from = erp.url();
        erp.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml"]);
        erp.plan(&[]).ended(0);
        erp.run(&["migrate", "up"]).ended(0);
        erp.run(&["organizations", "create", "--key", "other", "--name", "Other"]).ended(0);
        refusing(&erp, "assignments", "insert").await;
        refusing(&erp, "organizations", "update").await;
        let run = erp.apply(&[]).ended(1);
        let said = run.told();
        for part in
            ["the stage data failed", "could not be taken back", "charter adopt rollback goes on with that"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("apply the plan again"), "{said}");
        yielding(&erp, "assignments").await;
        yielding(&erp, "organizations").await;
        // One that is being taken back is gone on with, before anything else is said of what stands of it.
        let (of, states) = match erp.url().starts_with("postgres") {
            true => ("charter.organizations", "charter.adoption_runs"),
            false => ("organizations", "adoption_runs"),
        };
        erp.change_own(&format!("update {of} set status = 'closed' where organization_key = 'toys-co'"))
            .await;
        erp.change_own(&format!("update {states} set state = 'undoing'")).await;
        let run = erp.apply(&[]).ended(2);
        assert!(
            run.told()
                .contains("run 1 of legacy is being taken back: charter adopt rollback goes on with that"),
            "{}",
            run.told()
        );
        erp.run(&["adopt", "rollback"]).ended(0);
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
    }
);
