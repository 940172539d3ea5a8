//! Connections that are lost in each stage of a run: to the other system's database, and to Charter's own. Nothing is half done: a short outage is
//! waited out, a lasting one ends the run or leaves it to be gone on with, and the same command completes it.

use crate::program::{Place, Run};
use charter_testkit::database::{TestDatabase, postgres, sqlite};
use charter_testkit::dump;
use charter_testkit::line::{Line, Moment, Outage};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const SCHEMA: &str = "create table organizations (id int primary key, name varchar(80), enabled_modules text, is_active boolean);
    create table users (id int primary key, email varchar(90), role varchar(60), is_active boolean, organization_id int, hashed_password text);
    insert into organizations values (1, 'Toys', '{\"finance\": true}', true), (2, 'Soap', '[\"crm\"]', true);
    insert into users values (1, 'ann@toys.example', 'accountant', true, 1, null), (2, 'bob@toys.example', 'viewer', true, 1, null),
        (3, 'eve@soap.example', 'org_admin', true, 2, null), (4, 'off@soap.example', 'viewer', false, 2, null);";

const APPLY: [&str; 4] = ["adopt", "apply", "--no-backup", "Ann"];

/// An ERP on PostgreSQL, and Charter in a schema of the same database, each over a line of its own.
struct Apart {
    place: Place,
    url: String,
    theirs: Line,
    ours: Line,
    before: String,
}

impl Apart {
    async fn of(database: &TestDatabase) -> Self {
        database.maintain(SCHEMA).await.unwrap();
        let url = database.options().url.clone();
        let (theirs, ours) = (Line::to(&url), Line::to(&url));
        let before = dump::without_schema(&url, "charter");
        let it = Self { place: Place::new(), url, theirs, ours, before };
        let from = it.theirs.url();
        it.run(&["adopt", "inspect", "--from", from, "--propose", "roles.toml"]).ended(0);
        it.run(&["adopt", "plan", "--from", from, "--map", "roles.toml"]).ended(0);
        it
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let own = [("CHARTER_DATABASE", self.ours.url()), ("CHARTER_DATABASE_SCHEMA", "charter")];
        self.place.run_with(arguments, &own)
    }

    /// The run is whole: its proof holds, and the other system is what it was.
    fn is_whole(&self) {
        let told = self.run(&["adopt", "verify", "--from", self.theirs.url(), "--json"]).ended(0).json();
        assert_eq!(told["holds"], true, "{told:#}");
        let told = self.run(&["adopt", "status", "--json"]).ended(0).json();
        assert_eq!(told["items"][0]["state"], "applied", "{told:#}");
        assert_eq!(dump::without_schema(&self.url, "charter"), self.before);
    }
}

/// What is read of the other system: users with what they hold, and then their table for its sum.
const HEARD: &str = "select u.\"id\"::text";
const SUMMED: &str = "from \"public\".\"users\" as t";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_systems_connection_is_lost_in_each_stage() {
    let database = postgres().await;
    let it = Apart::of(&database).await;
    // While it is summed, and while its passwords are read: nothing was begun.
    for words in [&[SUMMED][..], &[HEARD, HEARD]] {
        it.theirs.fail_at(words, Moment::Before, Outage::Short);
        let run = it.run(&APPLY).ended(2);
        assert!(
            run.told().contains("the other system's database: the database is unavailable"),
            "{}",
            run.err
        );
        assert_eq!(it.theirs.failures(), 1);
        assert!(!it.place.path("charter-data/charter.db").exists());
        let run = it.run(&["adopt", "status"]).ended(2);
        assert!(run.told().contains("there is no installation"), "{}", run.told());
    }
    // While it is heard, and in the last stage, in the midst of its rows and before it lets anybody in: looked at again.
    it.theirs.fail_at(&[HEARD], Moment::After, Outage::Short);
    it.theirs.fail_at(&[SUMMED, SUMMED], Moment::After, Outage::Short);
    it.theirs.fail_at(&["begin isolation level"], Moment::Before, Outage::Short);
    let run = it.run(&APPLY).ended(0);
    assert_eq!((it.theirs.failures(), run.err.matches("looked at again").count()), (3, 3), "{}", run.err);
    it.is_whole();
}

/// How a transaction that reads the installation begins, and how any ends.
const READS: &str = "begin isolation level repeatable read read only; set local app.scope = 'installation'";
const COMMIT: &str = "commit\0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charters_own_connection_is_lost_in_each_stage() {
    let database = postgres().await;
    let it = Apart::of(&database).await;
    // Before there is an installation: half of its tables stand, and no run.
    it.ours.fail_at(&["insert into charter_migrations", COMMIT, COMMIT], Moment::Before, Outage::Short);
    let run = it.run(&APPLY).ended(2);
    assert!(run.told().contains("the tables could not be migrated: the connection was lost"), "{}", run.err);
    assert_eq!(it.ours.failures(), 1);
    // Each of these is made good by asking again.
    let (before, after) = (Moment::Before, Moment::After);
    let faults: [(&[&str], Moment); 8] = [
        // Before: the run begins, and nobody hears of it.
        (&["insert into adoption_runs", COMMIT], after),
        (&["insert into adoption_steps"], before),
        // Schema.
        (&["has_table_privilege"], before),
        // Data: in the midst of a batch, and one that stands and of which nobody hears.
        (&["insert into adopted_rows"], before),
        (&["insert into adopted_users", COMMIT], after),
        // Equivalence: while accounts are looked up, while it is asked who may do what, and when the proof is accepted.
        (&["insert into assignments", READS, READS], after),
        (&["select m.principal_id from adopted_changes"], before),
        (&["update adoption_runs set opened_to", COMMIT], after),
    ];
    for (words, moment) in faults {
        it.ours.fail_at(words, moment, Outage::Short);
    }
    let run = it.run(&APPLY);
    let failures = it.ours.failures();
    assert_eq!((run.code, failures), (0, faults.len()), "{}\n{}", run.out, run.err);
    it.is_whole();
    it.run(&["adopt", "rollback"]).ended(0);
    assert_eq!(dump::without_schema(&it.url, "charter"), it.before);
}

/// Nobody whom a run brought may do anything before its proof.
fn is_denied(it: &Apart) {
    let told = it.run(&["adopt", "status", "--json"]).ended(0).json();
    assert_eq!(told["items"][0]["state"], "applying", "{told:#}");
    let check = ["check", "--org", "toys", "--as", "ann@toys.example", "finance.journal_entries.create"];
    assert_ne!(it.run(&check).code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_that_lasts_leaves_the_run_to_be_gone_on_with() {
    let (one, other) = (postgres().await, postgres().await);
    let (theirs_lost, ours_lost) = (Apart::of(&one).await, Apart::of(&other).await);
    // They wait at the same time, as each waits long.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let it = theirs_lost;
            it.theirs.fail_at(&[SUMMED, SUMMED], Moment::Before, Outage::Lasting);
            let own = [("CHARTER_DATABASE", it.ours.url()), ("CHARTER_DATABASE_SCHEMA", "charter")];
            let mut command = it.place.command(&APPLY);
            command.envs(own).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
            assert!(err.any(|line| line.unwrap().contains("looked at again")));
            // Whoever does not want to wait as long as it does ends it.
            let ended = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
            assert!(ended.success());
            assert_eq!(child.wait().unwrap().code(), Some(143));
            assert_eq!(it.theirs.failures(), 1);
            is_denied(&it);
            let run = it.run(&APPLY).ended(0);
            assert!(run.told().contains("run 1 goes on"), "{}", run.out);
            it.is_whole();
        });
        scope.spawn(|| {
            let it = ours_lost;
            it.ours.fail_at(&["insert into adopted_users"], Moment::Before, Outage::Lasting);
            let run = it.run(&APPLY).ended(1);
            for part in ["the stage data failed", "the run could not be taken back"] {
                assert!(run.told().contains(part), "{part}: {}", run.told());
            }
            assert_eq!(it.ours.failures(), 1);
            is_denied(&it);
            let run = it.run(&APPLY).ended(0);
            assert!(run.told().contains("run 1 goes on"), "{}", run.out);
            it.is_whole();
        });
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_moved_away_in_the_midst_of_a_run_is_waited_for() {
    let (database, place) = (sqlite().await, Place::new());
    let (file, aside) = (place.path("erp.db"), place.path("aside.db"));
    database.maintain(SCHEMA).await.unwrap();
    database.maintain(&format!("vacuum into '{}'", file.display())).await.unwrap();
    let before = std::fs::read(&file).unwrap();
    place.run(&["adopt", "inspect", "--from", "sqlite:erp.db", "--propose", "roles.toml"]).ended(0);
    place.run(&["adopt", "plan", "--from", "sqlite:erp.db", "--map", "roles.toml"]).ended(0);
    std::fs::rename(&file, &aside).unwrap();
    let run = place.run(&APPLY).ended(2);
    assert!(run.told().contains("there is no file"), "{}", run.err);
    assert!(!place.path("charter-data").exists(), "nothing was begun");
    std::fs::rename(&aside, &file).unwrap();
    let mut command = place.command(&APPLY);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    // From the first stage to the last nobody looks at it.
    assert!(out.any(|line| line.unwrap().starts_with("stage 1 of 4")));
    std::fs::rename(&file, &aside).unwrap();
    assert!(err.any(|line| line.unwrap().contains("looked at again")));
    std::fs::rename(&aside, &file).unwrap();
    assert!(out.any(|line| line.unwrap().contains("as before, byte for byte")));
    assert!(child.wait().unwrap().success());
    place.run(&["adopt", "verify", "--from", "sqlite:erp.db"]).ended(0);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}
