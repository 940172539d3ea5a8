//! `charter rescue` where something is not what it seems: it stops, says what to do, and what it ends is ended.

use crate::rescue::{RESCUE, Scene, execute, told};
use charter_db::{Database, Options};
use charter_testkit::both_engines;
use charter_testkit::database::{TestDatabase, postgres, sqlite};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const STEP_2: [&str; 5] = ["rescue", "--organization", "platform", "--step", "2"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_charters_stays_though_it_lies_at_its_place() {
    let scene = Scene::adopted(sqlite().await).await;
    let own = scene.place.path("charter-data/charter.db");
    let legacy = scene.other.options().url.strip_prefix("sqlite://").unwrap().to_owned();
    let theirs = scene.place.path("theirs.db");
    let database = Database::open(&Options::new(format!("sqlite://{}", theirs.display()))).await.unwrap();
    execute(&database, "create table orders (id int primary key)").await;
    database.close().await.unwrap();
    for more in ["", "-wal", "-shm"] {
        let _gone = std::fs::remove_file(format!("{}{more}", own.display()));
    }
    let before = scene.dump();
    let stays = |why: &str| {
        let run = scene.run(&STEP_2).ended(1);
        assert!(told(&run).contains("nothing is moved") && told(&run).contains(why), "{}", run.out);
        let run = scene.run(&[&STEP_2[..3], &["--step", "1", "--step", "6"]].concat()).ended(1);
        assert!(told(&run).contains(why) && told(&run).contains("cannot say it too"), "{}", run.out);
        assert!(own.exists() && scene.dump() == before);
        std::fs::remove_file(&own).unwrap();
    };
    symlink(&legacy, &own).unwrap();
    stays("is the other system's own file");
    std::fs::hard_link(&legacy, &own).unwrap();
    stays("is the other system's own file");
    // Nor does a file with other tables, whatever the record says.
    std::fs::copy(&theirs, &own).unwrap();
    stays("without the table charter_migrations");
}

both_engines!(a_record_of_another_installation_takes_nothing_away, async |other: TestDatabase| {
    let scene = Scene::adopted(other).await;
    let path = scene.place.path("charter-data/adoption/run-000001.json");
    let mut record: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let before = scene.dump();
    for state in ["applying", "applied", "rolled_back"] {
        record["installation"] = json!("0198c0de000070008000000000000000");
        record["state"] = json!(state);
        std::fs::write(&path, record.to_string()).unwrap();
        for dry in [&["--dry-run"][..], &[]] {
            let run = scene.run(&[&STEP_2[..], dry].concat()).ended(1);
            let said = told(&run);
            assert!(
                said.contains("is of another installation") && said.contains("run-000001.json away"),
                "{said}"
            );
        }
    }
    assert!(scene.stands() && scene.dump() == before);
    // As it says: without it the database itself is gone by.
    std::fs::remove_file(&path).unwrap();
    scene.run(&STEP_2).ended(0);
    assert!(!scene.stands() && scene.dump() == before);
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_with_somebody_at_work_is_waited_out() {
    let scene = Arc::new(Scene::adopted(postgres().await).await);
    let inside = Arc::clone(&scene);
    let (rescue, ()) = tokio::join!(
        tokio::task::spawn_blocking(move || inside.run(&STEP_2)),
        // It holds what is dropped last, and once the rescue waits for that, it wants what is dropped first. The server ends the rescue's attempt.
        execute(
            &scene.other,
            "set local deadlock_timeout = '20s'; lock table charter.webhooks in access share mode;
             do $$ begin for i in 1..4000 loop
               exit when exists (select 1 from pg_locks where not granted and relation = 'charter.webhooks'::regclass);
               perform pg_sleep(0.005); end loop; end $$;
             lock table charter.audit_events in access share mode",
        ),
    );
    let run = rescue.unwrap().ended(0);
    assert!(told(&run).contains("tables are dropped") && !scene.stands(), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_on_another_machine_is_named_before_anything_is_done() {
    let scene = Scene::adopted(postgres().await).await;
    let folder = scene.place.path("elsewhere/adoption");
    std::fs::create_dir_all(&folder).unwrap();
    let record = "adoption/run-000001.json";
    std::fs::copy(scene.place.path("charter-data").join(record), folder.join("run-000001.json")).unwrap();
    let look = || {
        let run =
            scene.run(&["rescue", "--data", "elsewhere", "--dry-run", "--step", "2", "--json"]).ended(0);
        let step = run.json()["steps"][0].clone();
        (step["told"].to_string(), step["detail"]["live"].as_array().unwrap().len())
    };
    let variables: Vec<(&str, &str)> =
        scene.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = scene.place.serve_with(&[], &variables);
    let (said, live) = look();
    assert!(said.contains("maybe on another machine: node ") && said.contains("seen last at 20"), "{said}");
    assert_eq!(live, 1);
    // Whoever is asked has read it before.
    let run = scene.run(&["rescue", "--data", "elsewhere", "--step", "2"]).ended(2);
    assert!(told(&run).contains("maybe on another machine: node ") && scene.stands(), "{}", run.out);
    assert_eq!(server.stop(), 0);
    assert_eq!(look().1, 0);
}

/// Whether a process runs; one that nobody has taken note of runs no more.
fn is_running(process: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process).join("stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_takes_too_long_is_stopped_with_what_it_began() {
    let scene = Scene::adopted(sqlite().await).await;
    let restart = ["--step", "4", "--restart", "sleep 600 & echo $! > began; wait", "--restart-timeout", "1"];
    let run = scene.run(&[&RESCUE[..3], &restart].concat()).ended(1);
    assert!(
        told(&run).contains("did not end in 1 seconds and was stopped with what it began"),
        "{}",
        run.out
    );
    let began = std::fs::read_to_string(scene.place.path("began")).unwrap();
    for _ in 0..100 {
        if !is_running(began.trim()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("process {began} still runs");
}
