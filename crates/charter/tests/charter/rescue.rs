//! `charter rescue` after an adoption: run for real, beside another system's tables that must not change by a byte.

use crate::legacy_door::Door;
use crate::program::{Place, Run};
use charter_adopt::sums::legacy_checksums;
use charter_db::foreign::Foreign;
use charter_db::{Database, Engine, Error, Options, Scope};
use charter_testkit::database::{TestDatabase, postgres};
use charter_testkit::receiver::{Receiver, Reception};
use charter_testkit::{both_engines, dump};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

/// A system of years ago, with tables that Charter has too.
const OTHER: &str = "
    create table roles (id int primary key, name varchar(80));
    create table users (id int primary key, email text, password text, role_id int);
    create table permissions (code text);
    insert into roles values (1, 'boss'), (2, 'clérk 🧸');
    insert into users values (1, 'ann@toys.example', 'pbkdf2_sha256$1$a$b', 1), (2, null, '', 2);
    insert into permissions values ('a.b'), ('a.b'), (null)";

pub async fn execute(database: &Database, text: &str) {
    let text = text.to_owned();
    let work = database
        .write::<_, _, Error>(Scope::Installation, move |tx| Box::pin(async move { tx.batch(&text).await }));
    work.await.unwrap();
}

/// Another system, and Charter beside it after an adoption.
pub struct Scene {
    pub place: Place,
    pub other: TestDatabase,
    pub variables: Vec<(&'static str, String)>,
}

impl Scene {
    pub async fn adopted(other: TestDatabase) -> Self {
        execute(&other, OTHER).await;
        let place = Place::new();
        let variables = if other.engine() == Engine::Postgres {
            vec![
                ("CHARTER_DATABASE", other.options().url.clone()),
                ("CHARTER_DATABASE_SCHEMA", "charter".to_owned()),
            ]
        } else {
            vec![(
                "CHARTER_DATABASE",
                format!("sqlite://{}", place.path("charter-data/charter.db").display()),
            )]
        };
        let scene = Self { place, other, variables };
        scene.run(&["migrate", "up"]).ended(0);
        scene.run(&["organizations", "create", "--key", "toys", "--name", "Soft Toys"]).ended(0);
        scene.record().await;
        scene
    }

    pub fn is_postgres(&self) -> bool {
        self.other.engine() == Engine::Postgres
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.place.run_with(arguments, &variables)
    }

    /// What an adoption writes down.
    async fn record(&self) {
        let mut foreign = Foreign::open(&self.other.options().url).await.unwrap();
        let mut tables = foreign.tables().await.unwrap();
        tables.retain(|table| table.schema != "charter");
        assert_eq!(tables.len(), 3);
        let sums = legacy_checksums(&mut foreign, &tables).await.unwrap();
        let record = json!({
            "format": 1, "run": 1, "source": "legacy", "system": "role_tables", "from": self.other.options().url,
            "database": self.variables[0].1,
            "database_schema": self.variables.get(1).map(|(_, schema)| schema),
            "tables": charter_store::migration::tables(),
            "organizations": [{ "key": "toys", "name": "Soft Toys" }],
            "legacy": { "fingerprint": "ab", "tables": sums },
            "plan_hash": "cd", "started_at": "2026-11-22T01:00:00Z", "state": "applied",
        });
        let folder = self.place.path("charter-data/adoption");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("run-000001.json"), record.to_string()).unwrap();
    }

    /// The other system, byte for byte.
    pub fn dump(&self) -> Vec<u8> {
        let url = &self.other.options().url;
        if self.is_postgres() {
            return dump::of_schema(url, "public").into_bytes();
        }
        let path = url.strip_prefix("sqlite://").unwrap();
        let log = std::fs::read(format!("{path}-wal")).unwrap_or_default();
        [std::fs::read(path).unwrap(), log].concat()
    }

    /// Whether Charter still has its tables.
    pub fn stands(&self) -> bool {
        if self.is_postgres() {
            return dump::of_schema(&self.other.options().url, "*")
                .contains("CREATE TABLE charter.audit_events");
        }
        self.place.path("charter-data/charter.db").exists()
    }

    /// The report of the last rescue.
    fn report(&self) -> Value {
        let folder = self.place.path("charter-data/adoption");
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let is_report = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("rescue-") && name.ends_with(".json")
        };
        let path = entries.filter(is_report).max().expect("there is a report");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }
}

fn ended(document: &Value) -> Vec<(u64, &str)> {
    let steps = document["steps"].as_array().unwrap().iter();
    steps.map(|step| (step["step"].as_u64().unwrap(), step["ended"].as_str().unwrap())).collect()
}

/// What was told, however its lines were broken.
pub fn told(run: &Run) -> String {
    run.out.split_whitespace().collect::<Vec<&str>>().join(" ")
}

pub const RESCUE: [&str; 4] = ["rescue", "--organization", "Soft Toys", "--json"];

both_engines!(six_steps_lead_back_and_the_other_system_is_what_it_was, async |other: TestDatabase| {
    let scene = Scene::adopted(other).await;
    let before = scene.dump();
    let (door, hook) = (Door::open("right"), Receiver::start(Reception::Answers(204)));
    let password = scene.place.write("password", "right\n");
    let (login, told) = (door.address("/login"), format!("http://127.0.0.1:{}/rescued", hook.port()));
    let restart = "echo starting; touch restarted";
    let how = [
        "--restart",
        restart,
        "--hook",
        &told,
        "--login-url",
        &login,
        "--login-user",
        "ann@toys.example",
        "--login-password-file",
        password.to_str().unwrap(),
    ];
    let rescue = [&RESCUE[..], &how].concat();

    // Looking changes nothing, and neither does whoever does not know whose tables these are.
    let tried = scene.run(&[&rescue[..], &["--dry-run"]].concat()).ended(0).json();
    let would = [(1, "done"), (2, "would"), (3, "done"), (4, "would"), (5, "would"), (6, "would")];
    assert_eq!((ended(&tried), &tried["dry_run"]), (would.to_vec(), &json!(true)));
    for refused in [&["rescue", "--organization", "trade"][..], &["rescue"]] {
        let run = scene.run(refused).ended(2);
        assert!(run.err.contains("nothing was done"), "{}", run.err);
    }
    assert!(scene.stands() && !scene.place.path("restarted").exists() && hook.requests().is_empty());
    assert_eq!(std::fs::read_dir(scene.place.path("charter-data/adoption")).unwrap().count(), 1);

    let done = scene.run(&rescue).ended(0).json();
    let all_done: Vec<(u64, &str)> = (1..=6).map(|number| (number, "done")).collect();
    assert_eq!(ended(&done), all_done);
    assert_eq!(scene.dump(), before);
    assert!(!scene.stands());
    assert!(scene.place.path("restarted").exists());
    assert!(hook.requests()[0].body.contains("charter.rescue"));
    assert_eq!(door.let_in(), 1);
    let report = scene.report();
    assert_eq!(ended(&report), all_done[..5]);
    assert_eq!((&report["run"], &report["format"]), (&json!(1), &json!(1)));
    assert!(report["account"].is_string() && report["machine"].is_string());

    // Nothing is lost: the trail is kept, or the file lies beside.
    if scene.is_postgres() {
        let folder = std::fs::read_dir(scene.place.path("charter-data/adoption")).unwrap();
        let mut folders = folder.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        let trail = std::fs::read_to_string(folders.next().unwrap().join("audit_events.jsonl")).unwrap();
        assert!(trail.contains("organization.create"), "{trail}");
    } else {
        let moved = done["steps"][1]["detail"]["moved_to"].as_str().unwrap();
        let kept = Database::open(&Options::new(format!("sqlite://{moved}"))).await.unwrap();
        let states = charter_store::migration::states(&kept).await.unwrap();
        assert!(states.iter().all(|state| state.applied_at.is_some()));
    }
    if scene.is_postgres() {
        assert!(
            done.to_string().contains("the audit trail cannot say it too: its tables are gone"),
            "{done}"
        );
    }
    // Again does no harm, and tells what there was nothing to do for.
    let mut again = all_done.clone();
    again[1].1 = "nothing to do";
    assert_eq!(ended(&scene.run(&rescue).ended(0).json()), again);
    assert_eq!(scene.dump(), before);
});

both_engines!(
    a_dry_run_that_names_no_sign_in_is_good_and_says_that_none_was_tried,
    async |other: TestDatabase| {
        let scene = Scene::adopted(other).await;
        let before = scene.dump();
        let dry = [&RESCUE[..3], &["--dry-run"]].concat();
        let run = scene.run(&dry).ended(0);
        assert!(
            told(&run).contains("sign-in was not tried: give --login-url and --login-user"),
            "{}",
            run.out
        );
        assert!(told(&run).contains("4 restart the other system: nothing to do"), "{}", run.out);
        let tried = scene.run(&[&RESCUE[..], &["--dry-run"]].concat()).ended(0).json();
        let nothing = "nothing to do";
        let expected = [(1, "done"), (2, "would"), (3, "done"), (4, nothing), (5, nothing), (6, "would")];
        assert_eq!(ended(&tried), expected);
        assert!(scene.stands() && scene.dump() == before);
        // In earnest a sign-in that nobody tried is one that nobody can rely on.
        let done = scene.run(&RESCUE).ended(1).json();
        let expected = [(1, "done"), (2, "done"), (3, "done"), (4, nothing), (5, "failed"), (6, "done")];
        assert_eq!(ended(&done), expected);
    }
);

/// What somebody types out of habit on the day after.
const LOOKS: &[&[&str]] = &[
    &["check", "--org", "toys", "--as", "ann@toys.example", "sales.invoices.read"],
    &["check", "--org", "toys", "--as", "ann@toys.example", "sales.invoices.read", "--explain"],
    &["who-can", "--org", "toys", "sales.invoices.read"],
    &["what-can", "--org", "toys", "--as", "ann@toys.example"],
    &[
        "list-resources",
        "--org",
        "toys",
        "--as",
        "ann@toys.example",
        "--type",
        "invoices",
        "sales.invoices.read",
    ],
    &["organizations", "list"],
    &["members", "list", "--org", "toys"],
    &["members", "add", "--org", "toys", "--login", "bob@toys.example"],
    &["assignments", "list", "--org", "toys"],
    &["grants", "list", "--org", "toys"],
    &["audit", "list", "--org", "toys"],
    &["audit", "verify", "--all"],
    &["keys", "list"],
    &["keys", "rotate"],
    &["vault", "status"],
    &["policy", "export", "--org", "toys"],
    &["catalogue", "export"],
    &["entitlements", "own", "--org", "toys"],
    &["adopt", "status"],
    &["adopt", "rollback"],
    &["adopt", "shadow", "status"],
    &["adopt", "shadow", "back", "--org", "toys"],
];

both_engines!(
    after_a_rescue_nothing_makes_charters_tables_again_but_what_says_so,
    async |other: TestDatabase| {
        let scene = Scene::adopted(other).await;
        scene.run(&[&RESCUE[..], &["--step", "2"]].concat()).ended(0);
        let what_is_there = || {
            let folder = scene.place.path("charter-data");
            let mut names: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            (names, scene.stands(), scene.dump())
        };
        let before = what_is_there();
        for look in LOOKS {
            let run = scene.run(look).ended(2);
            assert!(run.err.contains("there is no installation"), "{look:?}: {}", run.err);
            assert_eq!(what_is_there(), before, "{look:?}");
        }
        // Neither where the data folder went too: none is made.
        let run = scene.run(&["organizations", "list", "--data", "gone"]).ended(2);
        assert!(run.err.contains("there is no installation"), "{}", run.err);
        assert!(!scene.place.path("gone").exists());
        // What looks at the schema, or at the other system, or plans, needs none.
        let status = scene.run(&["migrate", "status"]).ended(0);
        assert!(status.out.contains("not applied") && !status.out.contains("2026-"), "{}", status.out);
        scene.run(&["migrate", "down", "--to", "0", "--yes"]).ended(0);
        scene.run(&["config", "check"]).ended(0);
        let from = scene.other.options().url.clone();
        let looked = scene.run(&["adopt", "inspect", "--from", &from, "--reader", "role_tables"]);
        assert!(!looked.err.contains("there is no installation"), "{}", looked.err);
        assert_eq!(what_is_there(), before);
        assert!(!scene.stands());
        // Whoever begins something says so.
        scene.run(&["organizations", "create", "--key", "toys", "--name", "Soft Toys"]).ended(0);
        assert!(scene.stands());
        scene.run(&["members", "list", "--org", "toys"]).ended(0);
    }
);

both_engines!(
    a_table_that_changed_and_a_closed_door_are_told_and_the_rest_is_done,
    async |other: TestDatabase| {
        let scene = Scene::adopted(other).await;
        execute(&scene.other, "insert into users values (3, 'eve', 'x', 1)").await;
        execute(&scene.other, "drop table permissions").await;
        let door = Door::open("right");
        let password = scene.place.write("password", "wrong");
        let login = door.address("/login");
        let how = [
            "--restart",
            "echo no such thing; exit 3",
            "--login-url",
            &login,
            "--login-user",
            "ann@toys.example",
            "--login-password-file",
            password.to_str().unwrap(),
        ];
        let run = scene.run(&[&RESCUE[..], &how].concat()).ended(1);
        assert!(run.err.contains("3 of 6 steps did not succeed"), "{}", run.err);
        let told = run.json();
        let expected = [(1, "done"), (2, "done"), (3, "failed"), (4, "failed"), (5, "failed"), (6, "done")];
        assert_eq!(ended(&told), expected);
        let text = told.to_string();
        for part in
            ["users differs: 2 rows before, 3 now", "permissions is not there any more: 3 rows before"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("exit status: 3; it said: no such thing"), "{text}");
        assert!(text.contains("asked for the password again"), "{text}");
        assert!(!scene.stands());
        // A step by itself, by JSON this time, and with what the answer has to hold.
        let api = door.address("/api/login");
        let right = scene.place.write("right", "right");
        let alone = |expected: &str, code: i32| {
            let how = [
                "--step",
                "5",
                "--login-url",
                &api,
                "--login-user",
                "ann@toys.example",
                "--login-password-file",
                right.to_str().unwrap(),
                "--login-body",
                "json",
                "--login-user-field",
                "email",
                "--login-expect",
                expected,
            ];
            scene.run(&[&RESCUE[..], &how].concat()).ended(code)
        };
        alone("token", 0);
        alone("administrator", 1);
    }
);

both_engines!(
    without_a_record_the_platforms_name_counts_and_the_trail_says_what_was_tried,
    async |other: TestDatabase| {
        let scene = Scene::adopted(other).await;
        std::fs::remove_dir_all(scene.place.path("charter-data/adoption")).unwrap();
        let refused = scene.run(&["rescue", "--organization", "toys"]).ended(2);
        assert!(refused.err.contains("there is no record"), "{}", refused.err);
        let from = scene.other.options().url.clone();
        let steps = [
            "rescue",
            "--organization",
            "platform",
            "--from",
            &from,
            "--step",
            "1",
            "--step",
            "3",
            "--step",
            "6",
            "--json",
        ];
        let told = scene.run(&steps).ended(1).json();
        assert_eq!(ended(&told), [(1, "done"), (3, "failed"), (6, "done")]);
        let trail =
            scene.run(&["audit", "list", "--org", "platform", "--action", "rescue.run", "--json"]).ended(0);
        assert_eq!(trail.json()["items"].as_array().unwrap().len(), 1);
        scene.run(&["audit", "verify", "--all"]).ended(0);
        let removed = scene.run(&["rescue", "--organization", "platform", "--step", "2", "--json"]).ended(0);
        assert!(!scene.stands(), "{}", removed.out);
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_schema_goes_as_far_as_it_stands_and_a_view_of_others_stops_it_by_name() {
    let scene = Scene::adopted(postgres().await).await;
    execute(
        &scene.other,
        "drop table charter.webhook_deliveries; drop table charter.charter_migrations;
         alter table charter.audit_events drop column seq cascade;
         create view public.spy as select * from charter.organizations",
    )
    .await;
    let before = scene.dump();
    let run = scene.run(&[&RESCUE[..], &["--step", "2"]].concat()).ended(1);
    assert!(told(&run).contains("DETAIL: view public.spy depends on table organizations"), "{}", run.out);
    assert!(!told(&run).contains("CASCADE"), "{}", run.out);
    assert!(scene.stands());
    assert_eq!(scene.dump(), before);
    execute(&scene.other, "drop view public.spy; create table charter.theirs (a int)").await;
    // What can be read by nobody keeps nothing back; that it is lost is said, and is no plain end.
    let run = scene.run(&[&RESCUE[..], &["--step", "2"]].concat()).ended(1);
    for part in [
        "done with a loss",
        "not there any more: charter_migrations, webhook_deliveries",
        "audit_events could not be kept",
        "rows of org_entitlements are kept",
        "the schema charter stays",
        "table theirs depends on schema charter",
    ] {
        assert!(told(&run).contains(part), "{part}: {}", run.out);
    }
    execute(&scene.other, "drop table charter.theirs").await;
    let run = scene.run(&[&RESCUE[..], &["--step", "2"]].concat()).ended(0);
    assert!(told(&run).contains("the schema charter is gone"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_nothing_calls_charters_are_never_dropped() {
    let mut scene = Scene::adopted(postgres().await).await;
    let before = scene.dump();
    // Somebody forgets the schema: what stands in public is the other system's.
    scene.variables.truncate(1);
    let run = scene.run(&[&RESCUE[..], &["--step", "2"]].concat()).ended(1);
    assert!(
        told(&run).contains("the record is about") && told(&run).contains("schema charter"),
        "{}",
        run.out
    );
    std::fs::remove_dir_all(scene.place.path("charter-data/adoption")).unwrap();
    let run = scene.run(&["rescue", "--organization", "platform", "--step", "2"]).ended(1);
    assert!(told(&run).contains("nothing says that they are Charter's"), "{}", run.out);
    assert_eq!(scene.dump(), before);
    assert!(scene.stands());
}

/// A system of years ago that calls its tables as Charter does.
const NAMESAKES: &str = "
    create table organizations (id int primary key, name text);
    create table roles (id int primary key, name text);
    create table teams (id int primary key, name text);
    create table sessions (id int primary key, name text);
    create table orders (id int primary key, name text);
    insert into roles values (1, 'boss')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_systems_tables_in_a_schema_that_is_named_are_never_dropped() {
    // A schema that was named counted as Charter's own, and four tables of the other system went.
    for schema in ["erp", "public"] {
        let (place, other) = (Place::new(), postgres().await);
        let made =
            format!("create schema if not exists {schema}; set local search_path = {schema}; {NAMESAKES}");
        execute(&other, &made).await;
        let url = other.options().url.clone();
        let before = dump::of_schema(&url, schema);
        let variables = [("CHARTER_DATABASE", url.as_str()), ("CHARTER_DATABASE_SCHEMA", schema)];
        let rescue = ["rescue", "--organization", "platform", "--step", "2"];
        let run = place.run_with(&rescue, &variables).ended(1);
        assert!(told(&run).contains("nothing says that they are Charter's"), "{}", run.out);
        assert_eq!(dump::of_schema(&url, schema), before);
        // Neither does a table that only looks like Charter's say it, nor Charter's own in another schema.
        let decoy = format!(
            "create table {schema}.charter_migrations (oops int); create schema charter;
             create table charter.charter_migrations (number int, name text, checksum text, applied_at int)"
        );
        execute(&other, &decoy).await;
        let before = dump::of_schema(&url, schema);
        place.run_with(&rescue, &variables).ended(1);
        assert_eq!(dump::of_schema(&url, schema), before);
    }
}

/// Migrations that were never applied here made nothing: a table that is called as theirs is the other system's, and was dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_a_migration_that_was_never_applied_is_never_named() {
    for schema in [None, Some("erp")] {
        let (place, other) = (Place::new(), postgres().await);
        let url = other.options().url.clone();
        let mut variables = vec![("CHARTER_DATABASE", url.as_str())];
        variables.extend(schema.map(|schema| ("CHARTER_DATABASE_SCHEMA", schema)));
        place.run_with(&["migrate", "up"], &variables).ended(0);
        place.run_with(&["migrate", "down", "--to", "20", "--yes"], &variables).ended(0);
        let of = schema.unwrap_or("public");
        execute(
            &other,
            &format!(
                "create table {of}.webhooks (id int primary key, name text); insert into {of}.webhooks values (1, 'theirs');
                 create table {of}.orders (id int)"
            ),
        )
        .await;
        let rescue = ["rescue", "--organization", "platform", "--step", "2"];
        let named = |dry: &[&str]| {
            let told = place.run_with(&[&rescue[..], &["--json"], dry].concat(), &variables).ended(0).json();
            let tables = told["steps"][0]["detail"]["tables"].as_array().unwrap().clone();
            tables.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<String>>()
        };
        let wanted = named(&["--dry-run"]);
        assert!(
            wanted.contains(&"sessions".to_owned()) && !wanted.contains(&"webhooks".to_owned()),
            "{wanted:?}"
        );
        assert_eq!(named(&[]), wanted);
        let left = dump::of_schema(&url, of);
        assert!(left.contains(&format!("{of}.webhooks")) && left.contains("theirs"), "{left}");
        assert!(!left.contains(&format!("{of}.organizations")) && left.contains(&format!("{of}.orders")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_with_nothing_of_charters_in_it_stays() {
    let (place, other) = (Place::new(), postgres().await);
    execute(&other, "create schema erp").await;
    let url = other.options().url.clone();
    let before = dump::of_schema(&url, "erp");
    let variables = [("CHARTER_DATABASE", url.as_str()), ("CHARTER_DATABASE_SCHEMA", "erp")];
    place.run_with(&["rescue", "--organization", "platform", "--step", "2"], &variables).ended(0);
    assert_eq!(dump::of_schema(&url, "erp"), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_systems_file_is_never_moved() {
    // Whatever file the configuration named was moved aside.
    let mut scene = Scene::adopted(charter_testkit::database::sqlite().await).await;
    let (legacy, torn) = (scene.place.path("legacy.db"), scene.place.path("torn.db"));
    let url = scene.other.options().url.clone();
    std::fs::copy(url.strip_prefix("sqlite://").unwrap(), &legacy).unwrap();
    std::fs::write(&torn, "no database at all, and somebody's").unwrap();
    let charters = scene.variables[0].1.clone();
    let read = || [std::fs::read(&legacy).unwrap(), std::fs::read(&torn).unwrap()];
    let before = read();
    let refused = |scene: &Scene, word: &str, why: &str| {
        let run = scene.run(&["rescue", "--organization", word, "--step", "2"]).ended(1);
        assert!(told(&run).contains("nothing is moved") && told(&run).contains(why), "{}", run.out);
        assert_eq!(read(), before);
    };
    for path in [&legacy, &torn] {
        scene.variables[0].1 = format!("sqlite://{}", path.display());
        refused(&scene, "toys", "the record is about");
    }
    let records = scene.place.path("charter-data/adoption");
    let away = scene.place.path("away");
    std::fs::rename(&records, &away).unwrap();
    refused(&scene, "platform", "cannot be read");
    let run = scene.run(&["rescue", "--step", "2"]).ended(2);
    assert!(
        run.err.contains("type `platform` when asked") && run.err.contains("--organization platform"),
        "{}",
        run.err
    );
    scene.variables[0].1 = format!("sqlite://{}", legacy.display());
    refused(&scene, "platform", "nothing says that");
    // What the record names goes, however damaged.
    std::fs::rename(&away, &records).unwrap();
    scene.variables[0].1 = charters;
    std::fs::write(scene.place.path("charter-data/charter.db"), "torn").unwrap();
    let run = scene.run(&["adopt", "status"]).ended(2);
    assert!(run.err.contains("charter rescue"), "{}", run.err);
    let run = scene.run(&[&RESCUE[..3], &["--step", "1"]].concat()).ended(0);
    assert!(told(&run).contains("is damaged") && told(&run).contains("moved aside as it is"), "{}", run.out);
    let run = scene.run(&[&RESCUE[..], &["--step", "2"]].concat()).ended(0);
    assert!(told(&run).contains("cannot be opened") && !scene.stands(), "{}", run.out);
    assert_eq!(read(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rescues_within_a_second_have_files_of_their_own() {
    let scene = Scene::adopted(charter_testkit::database::sqlite().await).await;
    let steps = ["--step", "4", "--step", "6", "--restart", "echo again"];
    for _ in 0..4 {
        scene.run(&[&RESCUE[..], &steps].concat()).ended(0);
    }
    let names: Vec<String> = std::fs::read_dir(scene.place.path("charter-data/adoption"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let count = |end: &str| names.iter().filter(|it| it.starts_with("rescue-") && it.ends_with(end)).count();
    assert_eq!((count(".json"), count("-restart.log")), (4, 4), "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_database_away_nothing_pretends() {
    let mut scene = Scene::adopted(postgres().await).await;
    scene.variables[0].1 = "postgres://postgres@/gone?host=/nonexistent".to_owned();
    let told = scene.run(&[&RESCUE[..], &["--restart", "true"]].concat()).ended(1).json();
    let expected = [(1, "failed"), (2, "failed"), (3, "done"), (4, "done"), (5, "failed"), (6, "done")];
    assert_eq!(ended(&told), expected);
    assert!(told["steps"][0]["told"][0].as_str().unwrap().contains("unavailable"), "{told}");
    assert_eq!(ended(&scene.report()), expected[..5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_at_work_keeps_its_tables_and_is_named() {
    let scene = Scene::adopted(charter_testkit::database::sqlite().await).await;
    let server = scene.place.serve_with(&[], &[("CHARTER_DATABASE", &scene.variables[0].1)]);
    let run = scene.run(&[&RESCUE[..], &["--step", "2"]].concat()).ended(1);
    assert!(told(&run).contains("stop it first") && told(&run).contains(&server.address), "{}", run.out);
    assert!(scene.stands());
    // From another folder, where nothing tells of the service, the file does.
    let elsewhere = ["--data", "elsewhere", "--step", "2"];
    let rescue = ["rescue", "--organization", "platform"];
    let run = scene.run(&[&rescue[..], &elsewhere].concat()).ended(1);
    assert!(told(&run).contains("is open in another program of Charter, process "), "{}", run.out);
    assert_eq!(server.stop(), 0);
    scene.run(&[&RESCUE[..], &["--step", "2"]].concat()).ended(0);
    assert!(!scene.stands());
}
