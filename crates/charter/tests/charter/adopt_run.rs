//! `charter adopt plan`, `apply`, `verify` and `rollback`: an ERP is taken over in place and given back, whatever happens on the way.

use crate::program::{Place, Run};
use charter_testkit::{both_engines, database::TestDatabase, dump};
use std::time::Duration;

/// A hash that is kept as it stands.
const HASH: &str = "$2b$12$YR9kJGp91ozTGzddZdeg0ulI4VHBPLWlzj9CThDPrMd84JAE6hVyC";

const SCHEMA: &str = "create table organizations (id int primary key, name varchar(80), enabled_modules text, is_active boolean);
    create table users (id int primary key, email varchar(90), full_name varchar(80), role varchar(60), is_active boolean, organization_id int, hashed_password text);
    insert into organizations values (1, 'Toys & Co', '{\"CRM\": true, \"Finance\": \"1\", \"sales\": false}', true), (2, 'O''Neil \"Soap\" 😀', '[\"crm\"]', true),
        (3, 'Closed', '{\"crm\": true}', false);";

/// An ERP of so many users, in a database that Charter shares on PostgreSQL, where its own tables stand in a schema of their own.
pub struct Erp<'a> {
    pub place: Place,
    pub database: &'a TestDatabase,
}

impl<'a> Erp<'a> {
    pub async fn with(database: &'a TestDatabase, users: usize) -> Self {
        database.maintain(SCHEMA).await.unwrap();
        let roles = ["accountant", "org_admin", "Viewer", "sales-officer", "superadmin", "manager", "boss"];
        for first in (0..users).step_by(1_000) {
            let rows: Vec<String> = (first..users.min(first + 1_000))
                .map(|at| {
                    let (role, is_active) = (roles[at % roles.len()], at % 11 != 10);
                    format!(
                        "({at}, 'user{at}@toys.example', 'User ''{at}'' 😀', '{role}', {is_active}, {}, '{HASH}')",
                        1 + at % 3
                    )
                })
                .collect();
            database.maintain(&format!("insert into users values {}", rows.join(", "))).await.unwrap();
        }
        Self { place: Place::new(), database }
    }

    pub fn url(&self) -> String {
        self.database.options().url.clone()
    }

    pub fn variables(&self) -> Vec<(&'static str, String)> {
        match self.url().starts_with("postgres") {
            true => vec![("CHARTER_DATABASE", self.url()), ("CHARTER_DATABASE_SCHEMA", "charter".to_owned())],
            false => Vec::new(),
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        let variables = self.variables();
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.place.run_with(arguments, &variables)
    }

    /// Says of the boss what it becomes.
    pub fn mapped(&self, boss: &str) {
        let from = self.url();
        self.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml", "--force"]);
        let text = std::fs::read_to_string(self.place.path("roles.toml")).unwrap();
        assert!(text.contains("\"boss\" = \"?\""), "{text}");
        self.place.write("roles.toml", &text.replace("\"boss\" = \"?\"", &format!("\"boss\" = \"{boss}\"")));
    }

    /// Plans, with what is asked about each time: the superadmins, whom two approve, and bosses who become nothing.
    pub fn plan(&self, more: &[&str]) -> Run {
        let text = std::fs::read_to_string(self.place.path("roles.toml")).unwrap();
        let mut all = Vec::new();
        if text.contains("\"superadmin\" =") {
            all.extend(["--accept", "superadmin"]);
        }
        if text.contains("modules = \"all\"") {
            all.extend(["--accept", "flag:modules"]);
        }
        if text.contains("\"boss\" = \"none\"") {
            all.extend(["--accept", "boss"]);
        }
        if !more.contains(&"--approved-by") {
            all.extend(["--approved-by", "Eve", "--approved-by", "Fay"]);
        }
        self.plan_as_said(&[&all, more].concat())
    }

    /// Plans with this and no more.
    pub fn plan_as_said(&self, more: &[&str]) -> Run {
        let from = self.url();
        self.run(&[&["adopt", "plan", "--from", &from, "--map", "roles.toml", "--force"], more].concat())
    }

    pub fn apply(&self, more: &[&str]) -> Run {
        self.run(&[&["adopt", "apply", "--no-backup", "Ann"], more].concat())
    }

    pub fn verify(&self) -> Run {
        let from = self.url();
        self.run(&["adopt", "verify", "--from", &from, "--json"])
    }

    /// The other system, byte for byte: its file, or what `pg_dump` writes of the database but for the schema of Charter.
    pub fn dump(&self) -> Vec<u8> {
        let url = self.url();
        let Some(path) = url.strip_prefix("sqlite://") else {
            return dump::without_schema(&url, "charter").into_bytes();
        };
        let log = std::fs::read(format!("{path}-wal")).unwrap_or_default();
        [std::fs::read(path).unwrap(), log].concat()
    }
}

pub fn check(erp: &Erp<'_>, organization: &str, user: &str, permission: &str) -> i32 {
    erp.run(&["check", "--org", organization, "--as", user, permission]).code
}

both_engines!(an_erp_is_taken_over_proved_and_given_back_byte_for_byte, async |database: TestDatabase| {
    let erp = Erp::with(&database, 60).await;
    let before = erp.dump();
    erp.mapped("viewer");
    // The boss gains what a viewer may, as nobody knew what a boss was.
    let run = erp.plan(&[]).ended(1);
    assert!(run.told().contains("accept roles by name with --accept"), "{}", run.out);
    let run = erp.plan_as_said(&["--accept", "boss", "--accept", "superadmin"]).ended(1);
    assert!(run.told().contains("two people by name"), "{}", run.out);
    let run = erp.plan(&["--accept", "boss", "--approved-by", "Ann", "--approved-by", "Ann "]).ended(1);
    assert!(run.told().contains("two people by name"), "one person is not two: {}", run.out);
    assert!(!erp.place.path("charter-data").exists(), "a plan writes nothing here");
    assert_eq!(erp.dump(), before);
    let run = erp.apply(&[]).ended(2);
    assert!(run.told().contains("cannot be carried out"), "{}", run.err);
    assert!(!erp.place.path("charter-data").exists(), "{}", run.err);
    let differences = ["--differences", "who.jsonl"];
    let approved =
        [&["--accept", "boss", "--approved-by", "Ann", "--approved-by", "Bob"][..], &differences].concat();
    erp.plan(&approved).ended(0);
    let who = std::fs::read_to_string(erp.place.path("who.jsonl")).unwrap();
    let gaining: Vec<serde_json::Value> =
        who.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Every seventh is a boss; those of the closed organization and those who may not sign in gain nothing.
    let bosses = (0..60).filter(|at| at % 7 == 6 && at % 11 != 10 && at % 3 != 2).count();
    assert_eq!(gaining.len(), bosses, "{who}");
    assert!(
        gaining.iter().all(|it| it["losses"] == serde_json::json!([]) && it["accepted"] == true),
        "{who}"
    );

    let run = erp.apply(&[]).ended(0);
    for stage in [
        "stage 1 of 4, before: done",
        "stage 2 of 4, schema",
        "stage 3 of 4, data",
        "stage 4 of 4, equivalence",
    ] {
        assert!(run.told().contains(stage), "{stage}: {}", run.out);
    }
    assert_eq!(erp.dump(), before, "nothing of the other system was touched");
    // user0 is an accountant of Toys & Co, where finance is on; user3 a sales officer there, where sales is off.
    assert_eq!(check(&erp, "toys-co", "user0@toys.example", "finance.journal_entries.create"), 0);
    assert_eq!(check(&erp, "toys-co", "user0@toys.example", "admin.roles.update"), 1);
    assert_eq!(
        check(&erp, "toys-co", "user3@toys.example", "sales.customers.create"),
        1,
        "its module is off"
    );
    assert_ne!(
        check(&erp, "toys-co", "user1@toys.example", "finance.journal_entries.create"),
        0,
        "of another organization"
    );
    let run = erp.verify().ended(0).json();
    assert_eq!(run["holds"], true);
    assert_eq!(run["proof"]["equivalence"]["verdict"]["unaccepted"], 0);
    let told = erp.run(&["adopt", "status", "--json"]).ended(0).json();
    assert_eq!((&told["items"][0]["run"], &told["items"][0]["state"]), (&1.into(), &"applied".into()));

    // Again, by the same plan and by a new one.
    let run = erp.apply(&["--json"]).ended(0).json();
    assert_eq!((&run["run"], &run["changed"]), (&1.into(), &false.into()));
    erp.plan(&["--accept", "boss", "--approved-by", "Ann", "--approved-by", "Bob"]).ended(0);
    let run = erp.apply(&["--json"]).ended(0).json();
    assert_eq!((&run["run"], &run["changed"]), (&1.into(), &false.into()));

    let from = erp.url();
    let run = erp.run(&["adopt", "rollback", "--from", &from]).ended(0);
    assert!(run.told().contains("as before, byte for byte"), "{}", run.out);
    assert_ne!(check(&erp, "toys-co", "user0@toys.example", "finance.journal_entries.create"), 0);
    assert_eq!(erp.dump(), before);
    let told = erp.run(&["organizations", "list", "--json"]).ended(0).json();
    // What was denied stands in a trail, which nobody deletes: such an organization stays, and is closed.
    let left = |it: &&serde_json::Value| it["key"] != "platform" && it["status"] != "closed";
    assert_eq!(told["items"].as_array().unwrap().iter().find(left), None, "{told:#}");
    // And forward again.
    erp.apply(&[]).ended(0);
    erp.verify().ended(0);
});

both_engines!(a_plan_is_carried_out_exactly_or_not_at_all, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    // Nothing is known of what a boss was, so `none` takes away what nobody can see, and is accepted by the name of the role.
    erp.plan(&[]).ended(0);
    let text = std::fs::read_to_string(erp.place.path("plan.json")).unwrap();
    let forged = text.replace("\"becomes\": \"viewer\"", "\"becomes\": \"org_admin\"");
    assert_ne!(forged, text);
    erp.place.write("forged.json", &forged);
    let run = erp.apply(&["--plan", "forged.json"]).ended(2);
    assert!(run.told().contains("changed after it was made"), "{}", run.err);
    let run = erp.run(&["adopt", "apply"]).ended(2);
    assert!(run.told().contains("--backup FILE"), "{}", run.err);
    erp.place.write("old.dump", "a backup");
    let file = std::fs::File::options().write(true).open(erp.place.path("old.dump")).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(7_200)).unwrap();
    let run = erp.run(&["adopt", "apply", "--backup", "old.dump"]).ended(2);
    assert!(run.told().contains("at most 60 are accepted"), "{}", run.err);
    file.set_modified(std::time::SystemTime::now() + Duration::from_secs(7_200)).unwrap();
    let run = erp.run(&["adopt", "apply", "--backup", "old.dump"]).ended(2);
    assert!(run.told().contains("dated in the future"), "{}", run.err);
    erp.place.write("empty.dump", "");
    let run = erp.run(&["adopt", "apply", "--backup", "empty.dump"]).ended(2);
    assert!(run.told().contains("it is empty"), "{}", run.err);

    database.maintain("update users set role = 'org_admin' where id = 2").await.unwrap();
    let run = erp.apply(&[]).ended(2);
    assert!(run.told().contains("other rows than those the plan was made from"), "{}", run.err);
    database.maintain("update users set role = 'Viewer' where id = 2").await.unwrap();
    database.maintain("alter table users rename column role to duty").await.unwrap();
    let run = erp.apply(&[]).ended(2);
    assert!(run.told().contains("has no column role"), "{}", run.err);
    database.maintain("alter table users rename column duty to role").await.unwrap();
    assert!(!erp.place.path("charter-data").exists(), "nothing was begun");

    // A catalogue that says something else than when the plan was made.
    erp.apply(&[]).ended(0);
    erp.run(&["adopt", "rollback"]).ended(0);
    erp.place.write(
        "own.toml",
        "format = \"charter-catalogue-extension/1\"\nversion = \"1\"\n[modules.yard]\nname = \"Yard\"\ndescription = \"Yard\"\nbundled = false\nalways_on = false\nscope = \"org\"\ndepends_on = []\nlegacy_keys = []\n[modules.yard.submodules]\nall = \"All\"\n[permissions]\n\"yard.gates.read\" = { submodule = \"all\", description = \"See gates\", dangerous = false }\n",
    );
    erp.run(&["catalogue", "apply", "own.toml"]).ended(0);
    let run = erp.apply(&[]).ended(2);
    assert!(run.told().contains("the catalogue is another one"), "{}", run.err);
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
});

both_engines!(an_account_that_is_here_already_is_taken_over_only_by_name, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.run(&["migrate", "up"]).ended(0);
    erp.run(&["organizations", "create", "--key", "toys-co", "--name", "Toys of old"]).ended(0);
    erp.run(&["members", "add", "--org", "toys-co", "--login", "USER0@toys.example"]).ended(0);
    let run = erp.plan(&["--json"]).ended(1).json();
    let obstacle = run["obstacles"][0].as_str().unwrap();
    assert!(obstacle.contains("--accept account:user0@toys.example"), "{run:#}");
    erp.plan(&["--accept", "account:user0@toys.example"]).ended(0);
    erp.apply(&[]).ended(0);
    // The name is taken, so the other system's organization has another key.
    assert_eq!(check(&erp, "toys-co-1", "user0@toys.example", "finance.journal_entries.create"), 0);
    assert_eq!(
        check(&erp, "toys-co", "user0@toys.example", "finance.journal_entries.create"),
        1,
        "nothing came over to it"
    );
    erp.run(&["adopt", "rollback"]).ended(0);
    let told = erp.run(&["members", "list", "--org", "toys-co", "--json"]).ended(0).json();
    assert_eq!(told["items"][0]["login"], "user0@toys.example", "the account that was here is still here");
});

both_engines!(a_difference_that_nobody_accepted_takes_the_run_back, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    // The account of a viewer is here already, and somebody suspends it after the plan: it has nothing, whatever comes over.
    erp.run(&["migrate", "up"]).ended(0);
    erp.run(&["members", "add", "--org", "platform", "--login", "user9@toys.example"]).ended(0);
    erp.plan(&["--accept", "account:user9@toys.example"]).ended(0);
    let status = ["--account-status", "suspended", "--reason", "left"];
    erp.run(
        &[&["members", "update", "--org", "platform", "--member", "user9@toys.example"][..], &status]
            .concat(),
    )
    .ended(0);
    let before = erp.dump();
    let run = erp.apply(&[]).ended(1);
    assert!(
        run.told().contains("the stage equivalence failed") && run.told().contains("user9@toys.example"),
        "{}",
        run.err
    );
    assert!(
        run.told().contains("the run was taken back") && run.told().contains("byte for byte"),
        "{}",
        run.out
    );
    assert_eq!(erp.dump(), before);
    let told = erp.run(&["organizations", "list", "--json"]).ended(0).json();
    assert_eq!(told["items"].as_array().unwrap().len(), 1, "{told:#}");
    let told = erp.run(&["adopt", "status", "--json"]).ended(0).json();
    assert_eq!(told["items"][0]["state"], "undone");
    let steps = told["items"][0]["steps"].as_array().unwrap();
    let said = steps.iter().find(|step| step["step"] == "equivalence").unwrap();
    assert!(said["error"].as_str().unwrap().contains("user9@toys.example"), "{said:#}");
});

both_engines!(what_changes_in_either_system_afterwards_is_found_by_name, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    erp.verify().ended(0);
    database.maintain("update users set role = 'Viewer' where id = 0").await.unwrap();
    database
        .maintain("update organizations set enabled_modules = '[\"crm\", \"hr\"]' where id = 2")
        .await
        .unwrap();
    let run = erp.verify().ended(1).json();
    let named = run["proof"]["equivalence"]["verdict"]["named"].as_array().unwrap();
    assert!(
        named
            .iter()
            .any(|it| it["login"] == "user0@toys.example" && it["gains"].as_array().unwrap().len() > 1)
    );
    let modules = &run["proof"]["equivalence"]["modules"];
    let differs =
        serde_json::json!([{ "organization": "2", "module": "hr", "before": true, "accepted": false }]);
    assert_eq!(modules, &differs);
    database.maintain("update users set role = 'accountant' where id = 0").await.unwrap();
    database.maintain("update organizations set enabled_modules = '[\"crm\"]' where id = 2").await.unwrap();
    erp.verify().ended(0);
    // A new user of the other system is missing here until the next run, which writes nothing else.
    database
        .maintain("insert into users values (999, 'new@toys.example', 'New', 'accountant', true, 1, null)")
        .await
        .unwrap();
    let run = erp.verify().ended(1).json();
    assert_eq!(run["proof"]["equivalence"]["missing"], 1, "{run:#}");
    erp.plan(&[]).ended(0);
    let run = erp.apply(&[]).ended(0);
    assert!(run.told().contains("run 2 is applied"), "{}", run.out);
    erp.verify().ended(0);
    assert_eq!(check(&erp, "toys-co", "new@toys.example", "finance.journal_entries.create"), 0);
    // Back by one run, and then to the beginning.
    erp.run(&["adopt", "rollback", "--to", "run-1"]).ended(0);
    assert_ne!(check(&erp, "toys-co", "new@toys.example", "finance.journal_entries.create"), 0);
    assert_eq!(check(&erp, "toys-co", "user0@toys.example", "finance.journal_entries.create"), 0);
    let run = erp.run(&["adopt", "rollback", "--to", "run-9"]).ended(2);
    assert!(run.told().contains("no run 9"), "{}", run.err);
    erp.run(&["adopt", "rollback", "--to", "sideways"]).ended(2);
    erp.run(&["adopt", "rollback"]).ended(0);
    let run = erp.run(&["adopt", "rollback"]).ended(0);
    assert!(run.told().contains("no run of legacy to take back"), "{}", run.out);
});

both_engines!(
    an_organization_that_came_since_is_taken_over_by_the_next_run,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        database
            .maintain("insert into organizations values (4, 'New Toys', '[\"finance\"]', true)")
            .await
            .unwrap();
        database
            .maintain(
                "insert into users values (999, 'new@toys.example', 'New', 'accountant', true, 4, null)",
            )
            .await
            .unwrap();
        let run = erp.verify().ended(1).json();
        assert_eq!(run["proof"]["equivalence"]["missing"], 1, "{run:#}");
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        erp.verify().ended(0);
        assert_eq!(check(&erp, "new-toys", "new@toys.example", "finance.journal_entries.create"), 0);
    }
);

both_engines!(a_run_that_is_killed_goes_on_where_it_was, async |database: TestDatabase| {
    let erp = Erp::with(&database, 12_000).await;
    let before = erp.dump();
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    let mut killed = 0;
    for pause in [300, 700, 1_500, 3_000] {
        let mut command = erp.place.command(&["adopt", "apply", "--no-backup", "Ann"]);
        command.envs(erp.variables()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        let record = erp.place.path("charter-data/adoption/run-000001.json");
        while !record.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(pause));
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert!(killed > 0, "no run was fast enough to end before it was killed");
    assert_eq!(erp.dump(), before);
    let run = erp.apply(&[]).ended(0);
    assert!(run.told().contains("run 1 "), "it is the same run: {}", run.out);
    let verdict = erp.verify().ended(0).json()["proof"]["equivalence"]["verdict"].clone();
    assert_eq!(
        (&verdict["users"], &verdict["gains"], &verdict["losses"]),
        (&12_000.into(), &0.into(), &0.into())
    );
    erp.run(&["adopt", "rollback"]).ended(0);
    assert_eq!(erp.dump(), before);
});

both_engines!(
    an_organization_that_had_to_stay_is_the_next_runs_and_not_that_of_one_after,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 30).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        // That somebody inactive was denied stands in the trail of the organization, so it stays, closed.
        assert_eq!(check(&erp, "toys-co", "user21@toys.example", "admin.roles.update"), 1);
        erp.run(&["adopt", "rollback"]).ended(0);
        erp.apply(&[]).ended(0);
        database
            .maintain(
                "insert into users values (999, 'new@toys.example', 'New', 'accountant', true, 1, null)",
            )
            .await
            .unwrap();
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        erp.run(&["adopt", "rollback"]).ended(0);
        assert_eq!(check(&erp, "toys-co", "user0@toys.example", "finance.journal_entries.create"), 0);
        erp.run(&["teams", "create", "--org", "toys-co", "--key", "night", "--name", "Night"]).ended(0);
        let run = erp.run(&["adopt", "rollback"]).ended(2);
        assert!(run.told().contains("1 team;"), "{}", run.err);
        erp.run(&["adopt", "rollback", "--discard"]).ended(0);
        assert_eq!(check(&erp, "toys-co", "user0@toys.example", "finance.journal_entries.create"), 1);
    }
);

both_engines!(rows_that_were_taken_back_are_all_written_again, async |database: TestDatabase| {
    let erp = Erp::with(&database, 6_000).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    erp.run(&["adopt", "rollback", "--to", "schema"]).ended(0);
    erp.apply(&[]).ended(0);
    erp.verify().ended(0);
});

both_engines!(
    who_is_gone_there_and_has_rights_here_is_named_until_the_next_run,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        erp.mapped("viewer");
        let approved = ["--accept", "boss", "--approved-by", "Ann", "--approved-by", "Bob"];
        erp.plan(&approved).ended(0);
        erp.apply(&[]).ended(0);
        erp.verify().ended(0);
        // One who may do everything leaves, one moves to another organization, and a boss may not sign in any more.
        database.maintain("delete from users where id = 4").await.unwrap();
        database.maintain("update users set organization_id = 2 where id = 0").await.unwrap();
        database.maintain("update users set is_active = false where id = 6").await.unwrap();
        let run = erp.verify().ended(1).json();
        let members = run["proof"]["equivalence"]["members"].as_array().unwrap();
        let named = |organization: &str, login: &str| {
            members.iter().any(|it| it["organization"] == organization && it["login"] == login)
        };
        assert!(named("platform", "user4@toys.example"), "{members:#?}");
        assert!(named("toys-co", "user0@toys.example"), "{members:#?}");
        let differing = run["proof"]["equivalence"]["verdict"]["named"].as_array().unwrap();
        let boss = differing.iter().find(|it| it["login"] == "user6@toys.example").unwrap();
        assert_eq!(
            boss["accepted"], false,
            "the role was accepted, and not that it outlives its holder: {boss:#}"
        );
        let run = erp.plan(&[&approved[..], &["--json"]].concat()).ended(0).json();
        let changes = &run["plan"]["changes"];
        assert_eq!((&changes["deactivated"], &changes["assignments"]), (&2.into(), &3.into()), "{run:#}");
        erp.apply(&[]).ended(0);
        erp.verify().ended(0);
        erp.run(&["adopt", "rollback"]).ended(0);
        let again = erp.verify().ended(1).json();
        assert_eq!(again["proof"]["equivalence"]["members"].as_array().unwrap(), members, "as before");
        erp.run(&["adopt", "rollback", "--discard"]).ended(0);
        erp.plan(&approved).ended(0);
        erp.apply(&[]).ended(0);
        erp.verify().ended(0);
    }
);

both_engines!(a_plan_that_was_written_by_hand_is_carried_out_by_nobody, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("org_admin");
    for approvers in [["Ann", "ann"], ["Ann Lee", "Ann  Lee"], ["Ann", "A\u{200b}nn"]] {
        let [one, other] = approvers;
        let run = erp.plan(&["--accept", "boss", "--approved-by", one, "--approved-by", other]).ended(1);
        assert!(run.told().contains("two people by name"), "{approvers:?}: {}", run.out);
    }
    let run = erp.plan(&["--accept", "bos"]).ended(1);
    assert!(run.told().contains("there is no role of this name"), "{}", run.out);
    erp.plan(&["--accept", "boss", "--approved-by", "Ann", "--approved-by", "Bob"]).ended(0);
    let path = erp.place.path("plan.json");
    let mut plan: charter_adopt::plan::Plan =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    plan.approved_by.clear();
    plan.over_all = charter_adopt::over_all::OverAll::default();
    plan.verdict =
        charter_adopt::proof::Verdict { named: Vec::new(), gains: 0, users_gaining: 0, ..plan.verdict };
    plan.hash = plan.sum();
    erp.place.write("plan.json", &serde_json::to_string(&plan).unwrap());
    let run = erp.apply(&[]).ended(2);
    assert!(run.told().contains("does not say what it comes to"), "{}", run.err);
    let run = erp.run(&["adopt", "status"]).ended(0);
    assert!(run.told().contains("nothing was taken over"), "no run was begun: {}", run.out);
});

both_engines!(one_id_that_signs_in_as_two_people_stops_everything, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    let row = "insert into users values (3, 'second@toys.example', 'Second', 'org_admin', true, 2, null)";
    // Tables grown by hand have no key.
    database.maintain("create table grown as select * from users").await.unwrap();
    database.maintain("drop table users").await.unwrap();
    database.maintain("alter table grown rename to users").await.unwrap();
    database.maintain(row).await.unwrap();
    let from = erp.url();
    let run = erp.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml"]).ended(1);
    assert!(run.told().contains("user 3: signs in as two different users"), "{}", run.out);
    let run = erp.plan(&[]).ended(1);
    assert!(run.told().contains("one id and different logins"), "{}", run.out);
});
