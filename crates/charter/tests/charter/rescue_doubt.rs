//! `charter rescue` where something is not what it seems: it stops, says what to do, and what it ends is ended.

use crate::program::{Place, Run};
use crate::rescue::{RESCUE, Scene, execute, told};
use charter_db::foreign::Foreign;
use charter_db::{Database, Options};
use charter_testkit::both_engines;
use charter_testkit::database::{TestDatabase, postgres, sqlite};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
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

/// Waits until a process runs no more.
async fn ends(process: &str) {
    for _ in 0..100 {
        if !is_running(process) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("process {process} still runs");
}

fn run_of(output: Output) -> Run {
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
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
    ends(std::fs::read_to_string(scene.place.path("began")).unwrap().trim()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_during_the_restart_stops_what_it_began_and_is_said_and_written_down() {
    let scene = Scene::adopted(sqlite().await).await;
    let restart = "sleep 600 & echo $! > beginning; mv beginning began; wait";
    let steps = ["--step", "4", "--step", "5", "--step", "6", "--restart", restart];
    let mut command = scene.place.command(&[&RESCUE[..3], &steps].concat());
    command.envs(scene.variables.iter().map(|(name, value)| (*name, value.as_str())));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = scene.place.path("began");
    for _ in 0..400 {
        if began.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let number = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &number]).status().unwrap().success());
    let run = run_of(child.wait_with_output().unwrap()).ended(130);
    let said = run.told();
    for part in [
        "as a signal came, and was stopped with what it began",
        "6 write the record of the rescue: done",
        "charter: stopped: what was done stands above",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("5 sign in there"), "{said}");
    ends(std::fs::read_to_string(began).unwrap().trim()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_dropped_while_there_is_no_room_to_keep_the_trail() {
    let scene = Scene::adopted(postgres().await).await;
    execute(&scene.other, "alter table charter.audit_events add column long text default repeat('x', 9000)")
        .await;
    let before = scene.dump();
    // The kernel ends a write beyond the limit as a full disk does, and it is to fail, not to end the program.
    let limited =
        format!("trap '' XFSZ; ulimit -f 1; exec '{}' {}", env!("CARGO_BIN_EXE_charter"), STEP_2.join(" "));
    let mut command = Command::new("sh");
    command.args(["-c", &limited]).current_dir(scene.place.path("")).env_clear().env("USER", "tester");
    command.envs(scene.variables.iter().map(|(name, value)| (*name, value.as_str())));
    let run = run_of(command.output().unwrap()).ended(1);
    let said = told(&run);
    assert!(said.contains("nothing is dropped: what is to be kept cannot be written down"), "{said}");
    assert!(said.contains("Make room there") && !said.contains("rows of"), "{said}");
    assert!(scene.stands() && scene.dump() == before);
    let records = scene.place.path("charter-data/adoption");
    assert_eq!(std::fs::read_dir(&records).unwrap().count(), 1, "half of it is no use to anybody");
    // With room, the numbers are those of the files.
    let run = scene.run(&STEP_2).ended(0);
    let folders = std::fs::read_dir(records).unwrap().map(|entry| entry.unwrap().path());
    let kept = folders.filter(|path| path.is_dir()).max().unwrap().join("audit_events.jsonl");
    let rows = std::fs::read_to_string(kept).unwrap().lines().count();
    assert!(rows > 0 && told(&run).contains(&format!("{rows} rows of audit_events are kept")), "{}", run.out);
    assert!(!scene.stands());
}

/// A file of another program, as it is without Charter: no log lies beside it.
async fn file_of_another_program(place: &Place, table: &str) -> (String, Vec<u8>) {
    let (database, path) = (sqlite().await, place.path("other.db"));
    execute(&database, &format!("create table {table} (id int)")).await;
    database.maintain(&format!("vacuum into '{}'", path.display())).await.unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[18], 1, "the header says that it has no log");
    (format!("sqlite:{}", path.display()), bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_another_program_is_looked_at_and_never_opened_as_charters() {
    let mut scene = Scene::adopted(sqlite().await).await;
    let (other, bytes) = file_of_another_program(&scene.place, "things").await;
    let torn = scene.place.write("torn.db", "no database at all, and somebody's");
    let paths =
        ["other.db", "other.db.lock", "other.db-wal", "torn.db.lock"].map(|name| scene.place.path(name));
    let is_untouched = || {
        let is_there = paths.iter().map(|path| path.exists()).collect::<Vec<bool>>();
        is_there == [true, false, false, false] && std::fs::read(&paths[0]).unwrap() == bytes
    };
    let server = scene.place.serve_with(&[], &[("CHARTER_DATABASE", &scene.variables[0].1)]);
    let look = |scene: &Scene, why: &str| {
        for dry in [&["--dry-run"][..], &[]] {
            let steps = ["--step", "1", "--step", "2", "--step", "6"];
            let run = scene.run(&[&STEP_2[..3], &steps[..], dry].concat()).ended(1);
            assert!(told(&run).contains(why), "{}", run.out);
            assert!(is_untouched(), "{}", run.out);
        }
    };
    // Whether or not a service works in the data folder, and whatever keeps it from being read.
    scene.variables[0].1 = other;
    look(&scene, "without the table charter_migrations");
    assert_eq!(server.stop(), 0);
    look(&scene, "without the table charter_migrations");
    scene.variables[0].1 = format!("sqlite:{}", torn.display());
    look(&scene, "cannot be looked at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_charters_alone_stays_and_none_becomes_so() {
    let place = Place::new();
    let (other, bytes) = file_of_another_program(&place, "things").await;
    let variables = [("CHARTER_DATABASE", other.as_str())];
    for begun in [&["migrate", "up"][..], &["organizations", "create", "--key", "toys", "--name", "Toys"]] {
        let said = place.run_with(begun, &variables).ended(2).told();
        assert!(said.contains("holds tables and no installation of Charter (things)"), "{said}");
        assert_eq!(std::fs::read(place.path("other.db")).unwrap(), bytes);
    }
    // One in which both stand since long.
    let address = format!("sqlite://{}", place.path("both.db").display());
    let variables = [("CHARTER_DATABASE", address.as_str())];
    place.run_with(&["migrate", "up"], &variables).ended(0);
    let database = Database::open(&Options::new(address.clone())).await.unwrap();
    execute(&database, "create table things (id int)").await;
    database.close().await.unwrap();
    let run = place.run_with(&STEP_2, &variables).ended(1);
    let said = told(&run);
    assert!(said.contains("nothing is moved") && said.contains("beside Charter's (things)"), "{said}");
    assert!(place.path("both.db").exists());
    // As it says: Charter's tables go, and the others stay.
    place.run_with(&["migrate", "down", "--to", "0", "--yes"], &variables).ended(0);
    let left = Foreign::open(&address).await.unwrap().tables().await.unwrap();
    assert_eq!(left.iter().map(|table| table.name.as_str()).collect::<Vec<&str>>(), ["things"]);
}
