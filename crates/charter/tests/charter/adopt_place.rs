//! Where the other system is: a copy, or half of it, is not followed without a word, and a plan is carried out where it was made.

use crate::adopt_run::Erp;
use charter_testkit::{both_engines, database::TestDatabase};

/// Another address with the same rows: a copy of the file, or another way to the same server.
async fn elsewhere(erp: &Erp<'_>) -> String {
    let url = erp.url();
    if url.starts_with("postgres") {
        return format!("{url}&application_name=elsewhere");
    }
    let path = erp.place.path("elsewhere.db");
    erp.database.maintain(&format!("vacuum into '{}'", path.display())).await.unwrap();
    format!("sqlite:{}", path.display())
}

both_engines!(
    a_plan_from_another_address_asks_and_is_carried_out_nowhere_else,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 7).await;
        let there = elsewhere(&erp).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        let run = erp.apply(&["--from", &there]).ended(2);
        assert!(run.told().contains("may be another database"), "{}", run.err);
        erp.run(&["adopt", "status"]).ended(2);
        // The same address in a file is the same place.
        erp.place.write("address", &format!("{}\n", erp.url()));
        erp.apply(&["--from", "@address"]).ended(0);
        let plan = |from: &str, more: &[&str]| {
            let plan =
                ["adopt", "plan", "--from", from, "--map", "roles.toml", "--force", "--accept", "boss"];
            erp.run(&[&plan[..], &["--accept", "superadmin"], more].concat())
        };
        assert!(plan("@address", &[]).ended(0).out.contains("nothing changed since run 1"));
        let run = plan(&there, &[]).ended(1);
        let told = run.told();
        assert!(told.contains("run 1 was made from") && told.contains("--accept flag:address"), "{told}");
        plan(&there, &["--accept", "flag:address"]).ended(0);
        let run = erp.apply(&["--from", &erp.url()]).ended(2);
        assert!(run.told().contains("may be another database"), "{}", run.err);
        erp.apply(&["--from", &there]).ended(0);
        // It moved: from now on the way back is the other one.
        assert!(plan(&there, &[]).ended(0).out.contains("nothing changed since run 2"));
        let run = plan(&erp.url(), &[]).ended(1);
        assert!(run.told().contains("run 2 was made from"), "{}", run.out);
    }
);

both_engines!(
    a_database_in_which_most_of_the_users_are_gone_is_asked_about,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 12).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        database.maintain("delete from users where id > 7").await.unwrap();
        erp.plan(&[]).ended(0);
        database.maintain("delete from users where id > 2").await.unwrap();
        let run = erp.plan(&[]).ended(1);
        let told = run.told();
        assert!(told.contains("8 users came over by earlier runs and are gone there or may not sign in any more, and 3 go on") && told.contains("--accept flag:fewer"), "{told}");
        erp.plan(&["--accept", "flag:fewer"]).ended(0);
        erp.apply(&[]).ended(0);
        assert!(erp.plan(&[]).ended(0).out.contains("nothing changed since run 2"));
    }
);
