//! Plans beside what came before them: roles that nobody has any more, and a run that was broken off.

use crate::adopt_run::Erp;
use charter_testkit::{both_engines, database::TestDatabase};
use std::time::Duration;

/// Kills an apply once its run has begun to write; says whether it was still at work.
pub fn killed(erp: &Erp<'_>, run: u32, plan: &str, pause: u64) -> bool {
    let mut command = erp.place.command(&["adopt", "apply", "--no-backup", "Ann", "--plan", plan]);
    command.envs(erp.variables()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let record = erp.place.path(&format!("charter-data/adoption/run-{run:06}.json"));
    while !record.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(pause));
    let is_at_work = child.try_wait().unwrap().is_none();
    let _ = child.kill();
    child.wait().unwrap();
    is_at_work
}

both_engines!(
    a_role_that_nobody_has_any_more_is_a_note_and_a_mistyped_one_a_fault,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        erp.mapped("viewer");
        let accept = ["--accept", "boss", "--approved-by", "Ann", "--approved-by", "Bob"];
        erp.plan(&accept).ended(0);
        erp.apply(&[]).ended(0);
        database.maintain("update users set role = 'Viewer' where role = 'boss'").await.unwrap();
        // The same mapping and the same words as before: two runs in a row.
        for (id, role) in [(500, "accountant"), (501, "manager")] {
            let row = format!(
                "insert into users values ({id}, 'u{id}@toys.example', 'U', '{role}', true, 1, null)"
            );
            database.maintain(&row).await.unwrap();
            let run = erp.plan(&accept).ended(0);
            assert!(
                run.told().contains("gone there: roles of the mapping") && run.told().contains("\"boss\""),
                "{}",
                run.out
            );
            let plan = erp.follow(&accept);
            assert_eq!(plan["gone_roles"], serde_json::json!(["boss"]), "{plan:#}");
        }
        // Back again it is mapped as ever.
        database.maintain("update users set role = 'boss' where id = 500").await.unwrap();
        let plan = erp.follow(&accept);
        assert_eq!(plan.get("gone_roles"), None, "{plan:#}");
        // A name that was never there is a fault as before.
        let text = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
        erp.place.write("roles.toml", &text.replace("\"boss\" =", "\"bosss\" = \"viewer\"\n\"boss\" ="));
        let run = erp.plan(&accept).ended(1);
        assert!(run.told().contains("\"bosss\": there is no such role there"), "{}", run.out);
        erp.place.write("roles.toml", &text);
        let run = erp.plan(&["--accept", "bosss"]).ended(1);
        assert!(run.told().contains("--accept \"bosss\": there is no role of this name"), "{}", run.out);
    }
);

both_engines!(
    a_plan_beside_a_run_that_was_broken_off_says_what_comes_first,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 12_000).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        let kept = std::fs::read_to_string(erp.place.path("plan.json")).unwrap();
        assert!(killed(&erp, 1, "plan.json", 100), "the run was over before it was killed");
        // The same plan again goes on with it; another one cannot begin.
        let run = erp.plan(&["--json"]).ended(0).json();
        let hash = run["plan"]["hash"].as_str().unwrap().to_owned();
        assert!(kept.contains(&hash), "{hash}");
        let run = erp.plan(&["--approved-by", "Ann"]).ended(1);
        let said = run.told();
        assert!(
            said.contains("run 1 of legacy was begun and is not done")
                && said.contains("finish it with its own plan"),
            "{said}"
        );
        erp.apply(&[]).ended(2);
        // The other system changed: it cannot go on, and nobody is told that nothing was written.
        database.maintain("update users set role = 'Viewer' where id = 0").await.unwrap();
        let run = erp.plan(&[]).ended(1);
        let said = run.told();
        assert!(said.contains("it cannot go on: take it back, charter adopt rollback"), "{said}");
        erp.place.write("plan.json", &kept);
        let run = erp.apply(&[]).ended(2);
        assert!(run.told().contains("run 1 of legacy of this plan was begun and is not done"), "{}", run.err);
        assert!(!run.told().contains("nothing was written"), "{}", run.err);
        erp.run(&["adopt", "rollback"]).ended(0);
        let run = erp.apply(&[]).ended(2);
        assert!(run.told().contains("nothing was written"), "{}", run.err);
        erp.plan(&[]).ended(0);
        let run = erp.apply(&[]).ended(0);
        assert!(run.told().contains("run 2 is applied"), "{}", run.out);
    }
);

both_engines!(whoever_comes_beside_a_run_is_answered_at_once, async |database: TestDatabase| {
    // They waited ten seconds for the data folder, and were told of some charter command.
    let erp = Erp::with(&database, 7).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    let alone = erp.run(&["adopt", "status", "--json"]).ended(0).json();
    // As a run holds them that is at work without a service; its record says that it is.
    let record = erp.place.path("charter-data/adoption/run-000001.json");
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("\"applied\"", "\"applying\"")).unwrap();
    let held = ["lock", "adoption/lock"].map(|name| {
        let path = erp.place.path("charter-data").join(name);
        let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
        file.lock().unwrap();
        file
    });
    let beside = erp.run(&["adopt", "status", "--json"]).ended(0).json();
    assert_eq!(beside, alone);
    assert_eq!(beside["items"][0]["state"], "applied", "{beside:#}");
    for command in [&["adopt", "apply", "--no-backup", "Ann"][..], &["adopt", "rollback"]] {
        let run = erp.run(command).ended(2);
        for said in
            ["another apply or rollback is at work", "(run 1 of legacy, begun 2", "charter adopt status"]
        {
            assert!(run.told().contains(said), "{said}: {}", run.err);
        }
    }
    drop(held);
    erp.apply(&[]).ended(0);
});

both_engines!(a_run_that_lets_many_act_again_goes_on_after_it_was_killed, async |database: TestDatabase| {
    let erp = Erp::with(&database, 6_000).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    database
        .maintain("update users set is_active = false where id % 2 = 0 and role <> 'superadmin'")
        .await
        .unwrap();
    erp.follow(&[]);
    let before = erp.rows().await;
    database
        .maintain("update users set is_active = true where id % 2 = 0 and role <> 'superadmin'")
        .await
        .unwrap();
    erp.plan(&[]).ended(0);
    let at_work = [100, 300, 600].into_iter().filter(|pause| killed(&erp, 3, "plan.json", *pause)).count();
    assert!(at_work > 0, "the run was over before it was killed");
    // Those that are to act again wait for the proof, and are no obstacle to it.
    let plan = erp.plan(&["--json"]).ended(0).json();
    let run = erp.apply(&[]).ended(0);
    assert!(run.told().contains("run 3 "), "{}", run.out);
    assert!(
        plan["plan"]["changes"]["reactivated"].as_u64().unwrap() > 2_000,
        "{:#}",
        plan["plan"]["changes"]
    );
    erp.verify().ended(0);
    erp.run(&["adopt", "rollback"]).ended(0);
    crate::adopt_follow::same(&before, &erp.rows().await);
});
