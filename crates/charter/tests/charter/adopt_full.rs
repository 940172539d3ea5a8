//! Disks that are full, while a plan, rows and a proof are written: what stood before stands, the reason is told, and once there is room it goes on.

use crate::adopt_run::Erp;
use crate::program::Run;
use charter_db::{Scope, Statement};
use charter_testkit::{both_engines, database::TestDatabase};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

const BLOCK: u64 = 512;
const APPLY: [&str; 4] = ["adopt", "apply", "--no-backup", "Ann"];

impl Erp<'_> {
    fn run_limited(&self, blocks: u64, arguments: &[&str]) -> Run {
        let variables = self.variables();
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.place.run_limited(blocks, arguments, &variables)
    }

    fn state(&self) -> String {
        let told = self.run(&["adopt", "status", "--json"]).ended(0).json();
        told["items"][0]["state"].as_str().unwrap().to_owned()
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

both_engines!(
    what_an_operator_has_is_kept_where_a_full_disk_takes_no_more,
    async |database: TestDatabase| {
        // The plan that stood there was gone, half of the new one in its place, and that was refused from then on as no plan.
        let erp = Erp::with(&database, 20).await;
        erp.mapped("none");
        let reports = ["--differences", "who.jsonl", "--changes", "what.jsonl"];
        erp.plan(&reports).ended(0);
        let folder = erp.place.path("");
        let kept = |name: &str| std::fs::read(erp.place.path(name)).unwrap();
        let before = (names(&folder), kept("plan.json"), kept("roles.toml"), kept("who.jsonl"));
        database.maintain("update users set role = 'somebody new' where id = 0").await.unwrap();
        let from = erp.url();
        let anew = [
            "adopt",
            "inspect",
            "--from",
            &from,
            "--map",
            "roles.toml",
            "--propose",
            "roles.toml",
            "--force",
        ];
        let plan = ["adopt", "plan", "--from", &from, "--map", "roles.toml", "--force"];
        for (arguments, file) in [(&anew[..], "roles.toml"), (&plan, "plan.json")] {
            let run = erp.run_limited(1, arguments).ended(2);
            assert!(run.told().contains(&format!("{file} cannot be written: File too large")), "{}", run.err);
        }
        assert_eq!((names(&folder), kept("plan.json"), kept("roles.toml"), kept("who.jsonl")), before);
        erp.run(&anew).ended(0);
        erp.run(&plan).ended(1);
        assert_ne!((kept("plan.json"), kept("roles.toml")), (before.1, before.2));
    }
);

both_engines!(a_proof_that_cannot_be_written_takes_its_run_back, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    let before = erp.dump();
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    erp.run(&["adopt", "rollback"]).ended(0);
    let folder = erp.place.path("charter-data/adoption");
    let (record, proof) = (folder.join("run-000001.json"), folder.join("proof-000001.json"));
    // Room for the record, and none for the proof. The service that writes the rows has all it wants.
    let blocks = size(&record) / BLOCK + 1;
    assert!(blocks * BLOCK < size(&proof), "{} and {} bytes", size(&record), size(&proof));
    let kept = names(&folder);
    let variables = erp.variables();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = erp.place.serve_with(&[], &variables);
    let run = erp.run_limited(blocks, &APPLY).ended(1);
    for part in [
        "the stage equivalence failed",
        "proof-000002.json cannot be written: File too large",
        "the run was taken back",
    ] {
        assert!(run.told().contains(part), "{part}: {}", run.told());
    }
    assert_eq!(erp.state(), "undone");
    let new: Vec<String> = names(&folder).into_iter().filter(|name| !kept.contains(name)).collect();
    assert_eq!(new, ["run-000002.json"], "nothing half written is left");
    assert_eq!(erp.dump(), before);
    // With room again, but for the copy that was asked for: the run stands, and that is said.
    let run = erp.run(&[&APPLY[..], &["--proof", "/dev/full"]].concat()).ended(2);
    assert!(run.told().contains("is applied, and its proof lies in"), "{}", run.told());
    assert_eq!(erp.state(), "applied");
    erp.verify().ended(0);
    assert_eq!(server.stop(), 0);
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_file_of_sqlite_has_no_room_for_are_written_once_there_is() {
    let database = charter_testkit::database::sqlite().await;
    let erp = Erp::with(&database, 3_000).await;
    let before = erp.dump();
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.run(&["migrate", "up"]).ended(0);
    erp.run(&["organizations", "list"]).ended(0);
    let room = size(&erp.place.path("charter-data/charter.db")) + 300_000;
    let run = erp.run_limited(room / BLOCK, &APPLY).ended(1);
    for part in ["the stage data failed", "cannot be written", "the run was taken back"] {
        assert!(run.told().contains(part), "{part}: {}", run.told());
    }
    assert_eq!((erp.state(), erp.dump() == before), ("undone".to_owned(), true));
    erp.apply(&[]).ended(0);
    erp.verify().ended(0);
    erp.run(&["adopt", "rollback"]).ended(0);
    assert_eq!(erp.dump(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_server_of_postgresql_has_no_room_for_are_written_once_there_is() {
    let database = charter_testkit::database::postgres().await;
    let erp = Erp::with(&database, 20).await;
    let before = erp.dump();
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.run(&["migrate", "up"]).ended(0);
    // As the server says it when a table cannot grow.
    let full = "create sequence charter.tried; create function charter.full() returns trigger language plpgsql as \
         $$ begin perform nextval('charter.tried'); raise 'could not extend file' using errcode = 'disk_full'; end $$;
         create trigger is_full before insert on charter.assignments for each row execute function charter.full()";
    erp.change_own(full).await;
    let run = erp.apply(&[]).ended(1);
    for part in [
        "the stage data failed",
        "the database's disk is full",
        "the operator has to make room",
        "the run was taken back",
    ] {
        assert!(run.told().contains(part), "{part}: {}", run.told());
    }
    assert_eq!((erp.state(), erp.dump()), ("undone".to_owned(), before));
    // Room that is made while it asks again lets it go on.
    erp.change_own("alter sequence charter.tried restart").await;
    let mut command = erp.place.command(&APPLY);
    let mut child = command.envs(erp.variables()).stdout(Stdio::null()).spawn().unwrap();
    const TRIED: Statement = Statement::new("select 1 from charter.tried where is_called");
    while database.query_opt(Scope::Installation, &TRIED, &[]).await.unwrap().is_none() {
        assert!(child.try_wait().unwrap().is_none(), "it ended without asking");
        std::thread::sleep(Duration::from_millis(20));
    }
    erp.change_own("drop trigger is_full on charter.assignments").await;
    assert!(child.wait().unwrap().success());
    erp.verify().ended(0);
}
