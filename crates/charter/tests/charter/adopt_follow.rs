//! A run follows the other system, also downwards: what it took away goes here, and comes back with a rollback of that run, row for row.

use crate::adopt_run::{Erp, check};
use charter_db::foreign::{Foreign, ForeignRow};
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a run writes and changes; trails, revisions and sessions only ever grow.
const TABLES: &[&str] = &[
    "organizations",
    "principals",
    "logins",
    "memberships",
    "principal_memberships",
    "roles",
    "role_permissions",
    "assignments",
    "grants",
    "org_entitlements",
    "adopted_users",
    "adopted_organizations",
    "adopted_changes",
    "adopted_passwords",
    "adopted_removals",
    "adopted_kept_away",
];

impl Erp<'_> {
    /// Every row of Charter's tables, byte for byte.
    pub async fn rows(&self) -> BTreeMap<&'static str, Vec<String>> {
        let own = self.url().starts_with("postgres");
        let file = self.place.path("charter-data/charter.db");
        let address = if own { self.url() } else { format!("sqlite:{}", file.display()) };
        let mut foreign = Foreign::open(&address).await.unwrap();
        let all = foreign.tables().await.unwrap();
        let mut dump = BTreeMap::new();
        for name in TABLES {
            let table = all.iter().find(|it| it.name == *name && (!own || it.schema == "charter")).unwrap();
            let columns: Vec<String> =
                table.columns.iter().map(|column| foreign.exact_text_of(&column.name).unwrap()).collect();
            let mut lines = Vec::new();
            let mut each = |row: ForeignRow<'_>| {
                lines.push(format!("{row:?}"));
                Ok(())
            };
            let text = format!("select {} from {}", columns.join(", "), table.quoted().unwrap());
            foreign.for_each(&text, &mut each).await.unwrap();
            lines.sort();
            dump.insert(*name, lines);
        }
        dump
    }

    /// Plans and applies, and proves it again; gives the plan.
    pub fn follow(&self, more: &[&str]) -> Value {
        let plan = self.plan(&[more, &["--json"]].concat()).ended(0).json();
        self.apply(&[]).ended(0);
        self.verify().ended(0);
        plan["plan"].clone()
    }

    pub fn assignments(&self, organization: &str, login: &str) -> Vec<String> {
        let told = self.run(&["assignments", "list", "--org", organization, "--member", login, "--json"]);
        let told = told.ended(0).json();
        told["items"].as_array().unwrap().iter().map(|it| it["role"].as_str().unwrap().to_owned()).collect()
    }

    pub fn give(&self, organization: &str, login: &str, role: &str) {
        let subject = format!("member:{login}");
        self.run(&[
            "assignments",
            "assign",
            "--org",
            organization,
            "--role",
            role,
            "--subject",
            &subject,
            "--reason",
            "by hand",
            "--to",
            "2099-01-01T00:00:00Z",
        ])
        .ended(0);
    }

    pub fn status(&self, organization: &str, login: &str) -> String {
        let told =
            self.run(&["members", "get", "--org", organization, "--member", login, "--json"]).ended(0).json();
        told["account_status"].as_str().unwrap().to_owned()
    }
}

pub fn same(before: &BTreeMap<&'static str, Vec<String>>, after: &BTreeMap<&'static str, Vec<String>>) {
    for (table, rows) in before {
        let now = &after[table];
        let gone: Vec<&String> = rows.iter().filter(|row| !now.contains(row)).collect();
        let new: Vec<&String> = now.iter().filter(|row| !rows.contains(row)).collect();
        assert!(gone.is_empty() && new.is_empty(), "{table}: gone {gone:#?}, new {new:#?}");
        assert_eq!(rows.len(), now.len(), "{table}");
    }
}

/// Logins that changed there, and one that somebody else has by now.
const LOGINS: [&str; 4] = ["--accept", "flag:logins", "--accept", "handed-over:user6@toys.example"];

both_engines!(a_run_follows_what_the_other_system_took_away, async |database: TestDatabase| {
    let erp = Erp::with(&database, 40).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    erp.verify().ended(0);
    let before = erp.rows().await;
    let post = "finance.journal_entries.create";
    assert_eq!(check(&erp, "toys-co", "user0@toys.example", post), 0);
    for change in [
        // Another role, another organization, none any more, and one who may not do everything any more.
        "update users set role = 'Viewer' where id = 0",
        "update users set organization_id = 1 where id = 28",
        "update users set role = '' where id = 3",
        "update users set role = 'Viewer' where id = 4",
        // One who may not sign in, and one who is gone.
        "update users set is_active = false where id = 15",
        "delete from users where id = 7",
        // Other logins, two of which change places, and another name.
        "update users set email = 'ann@toys.example', full_name = 'Ann' where id = 6",
        "update users set email = 'swap@toys.example' where id = 9",
        "update users set email = 'user9@toys.example' where id = 12",
        "update users set email = 'user12@toys.example' where id = 9",
        // A login that somebody gave up, and that somebody new has.
        "insert into users values (600, 'user6@toys.example', 'New', 'Viewer', true, 1, null)",
        // Modules on and off, an organization renamed, one opened.
        "update organizations set enabled_modules = '[\"crm\", \"sales\"]', name = 'Toys Ltd' where id = 1",
        "update organizations set is_active = true where id = 3",
    ] {
        database.maintain(change).await.unwrap();
    }
    let run = erp.plan(&[]).ended(1);
    assert!(run.out.contains("-> ann@toys.example"), "{}", run.out);
    let run = erp.plan(&LOGINS).ended(0);
    assert!(run.out.contains("taken away: 6 assignments"), "{}", run.out);
    assert!(
        run.out.contains("deactivated: 2 accounts") && run.out.contains("renamed: 3 accounts"),
        "{}",
        run.out
    );
    let plan = erp.follow(&LOGINS);
    assert_eq!(plan["changes"]["by_role"]["accountant"], 3, "{plan:#}");
    assert_eq!((&plan["changes"]["organizations"], &plan["follows"]), (&2.into(), &1.into()), "{plan:#}");
    assert_eq!(erp.assignments("toys-co", "user0@toys.example"), ["viewer"]);
    assert_eq!(check(&erp, "toys-co", "user0@toys.example", post), 1);
    assert_eq!(erp.status("toys-co", "user15@toys.example"), "deactivated");
    assert_eq!(erp.status("o-neil-soap", "user7@toys.example"), "deactivated");
    let told = erp.run(&["organizations", "list", "--json"]).ended(0).json();
    let named = |name: &str| {
        told["items"].as_array().unwrap().iter().any(|it| it["name"] == name && it["status"] == "active")
    };
    assert!(named("Toys Ltd") && named("Closed"), "{told:#}");
    assert_eq!(erp.assignments("toys-co", "ann@toys.example"), Vec::<String>::new());
    assert_eq!(erp.assignments("toys-co", "user6@toys.example"), ["viewer"]);
    let platform = erp.run(&["assignments", "list", "--org", "platform", "--json"]).ended(0).json();
    assert!(!platform.to_string().contains("user4@"), "{platform:#}");
    // Nobody has a row twice: what stood by the first run was not written again.
    let all = erp.run(&["assignments", "list", "--org", "toys-co", "--json"]).ended(0).json();
    let mut pairs: Vec<String> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["subject"], it["role"]))
        .collect();
    let count = pairs.len();
    pairs.sort();
    pairs.dedup();
    assert_eq!(pairs.len(), count, "{all:#}");
    // The same again is nothing.
    let again = erp.plan(&[&["--json"][..], &LOGINS].concat()).ended(0).json();
    assert_eq!(again["plan"]["hash"], plan["hash"]);
    let run = erp.apply(&["--json"]).ended(0).json();
    assert_eq!((&run["run"], &run["changed"]), (&2.into(), &false.into()));

    let run = erp.run(&["adopt", "rollback"]).ended(0);
    assert!(run.out.contains("run 2 was taken back"), "{}", run.out);
    same(&before, &erp.rows().await);
    assert_eq!(check(&erp, "toys-co", "user0@toys.example", post), 0);
    assert_eq!(erp.status("toys-co", "user15@toys.example"), "active");
    // The first run stands, is followed again, and both are taken back.
    erp.follow(&LOGINS);
    erp.run(&["adopt", "rollback", "--to", "run-1"]).ended(0);
    same(&before, &erp.rows().await);
    erp.run(&["adopt", "rollback"]).ended(0);
    let told = erp.run(&["organizations", "list", "--json"]).ended(0).json();
    let left = |it: &&Value| it["key"] != "platform" && it["status"] != "closed";
    assert_eq!(told["items"].as_array().unwrap().iter().find(left), None, "{told:#}");
});

both_engines!(there_and_back_again_is_followed_run_by_run, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    let first = erp.rows().await;
    for set in ["is_active = false", "role = 'Viewer', email = 'other@toys.example'"] {
        database.maintain(&format!("update users set {set} where id = 0")).await.unwrap();
    }
    erp.follow(&["--accept", "flag:logins"]);
    let second = erp.rows().await;
    // All of it as it was: the account acts again with the proof, under its old login.
    database
        .maintain("update users set is_active = true, role = 'accountant', email = 'user0@toys.example' where id = 0")
        .await
        .unwrap();
    let plan = erp.follow(&["--accept", "flag:logins"]);
    assert_eq!(plan["changes"]["reactivated"], 1, "{plan:#}");
    assert_eq!(erp.status("toys-co", "user0@toys.example"), "active");
    assert_eq!(erp.assignments("toys-co", "user0@toys.example"), ["accountant"]);
    erp.run(&["adopt", "rollback"]).ended(0);
    same(&second, &erp.rows().await);
    erp.run(&["adopt", "rollback"]).ended(0);
    same(&first, &erp.rows().await);
});

both_engines!(what_people_gave_by_hand_is_left_and_told, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    erp.give("toys-co", "user0@toys.example", "accountant");
    erp.give("toys-co", "user9@toys.example", "viewer");
    database.maintain("update users set role = 'Viewer' where id = 0").await.unwrap();
    database.maintain("delete from users where id = 9").await.unwrap();
    let run = erp.plan(&["--json"]).ended(1).json();
    let obstacles = run["obstacles"].to_string();
    assert!(obstacles.contains("given by hand (user0@toys.example)"), "{obstacles}");
    assert!(!obstacles.contains("user9@"), "their account acts no more: {obstacles}");
    erp.apply(&[]).ended(2);
    let told = erp
        .run(&["assignments", "list", "--org", "toys-co", "--member", "user0@toys.example", "--json"])
        .ended(0)
        .json();
    let by_hand = told["items"].as_array().unwrap().iter().find(|it| !it["to"].is_null()).unwrap();
    erp.run(&[
        "assignments",
        "unassign",
        "--org",
        "toys-co",
        "--assignment",
        by_hand["id"].as_str().unwrap(),
    ])
    .ended(0);
    erp.follow(&[]);
    // The row of the run went, the one given by hand is there.
    assert_eq!(erp.assignments("toys-co", "user9@toys.example"), ["viewer"]);
    // A right that was taken away and given again by hand stands beside the one that comes back.
    erp.give("toys-co", "user0@toys.example", "accountant");
    erp.run(&["adopt", "rollback"]).ended(0);
    assert_eq!(erp.assignments("toys-co", "user0@toys.example"), ["accountant", "accountant"]);
    // Whom people stopped here no run lets in again.
    erp.run(&[
        "members",
        "update",
        "--org",
        "toys-co",
        "--member",
        "user3@toys.example",
        "--account-status",
        "deactivated",
    ])
    .ended(0);
    database.maintain("update users set role = 'accountant' where id = 0").await.unwrap();
    let run = erp.plan(&["--json"]).ended(1).json();
    assert!(run["obstacles"].to_string().contains("user3@toys.example"), "{run:#}");
});

both_engines!(what_people_changed_since_stays_when_a_run_is_taken_back, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    database.maintain("update users set is_active = false where id in (0, 3)").await.unwrap();
    erp.follow(&[]);
    erp.run(&[
        "members",
        "update",
        "--org",
        "toys-co",
        "--member",
        "user0@toys.example",
        "--account-status",
        "suspended",
    ])
    .ended(0);
    let run = erp.run(&["adopt", "rollback"]).ended(2);
    assert!(run.err.contains("1 changed account"), "{}", run.err);
    erp.run(&["adopt", "rollback", "--discard"]).ended(0);
    assert_eq!(
        erp.status("toys-co", "user0@toys.example"),
        "suspended",
        "nobody is let in whom people stopped"
    );
    assert_eq!(erp.status("toys-co", "user3@toys.example"), "active");
});

both_engines!(who_was_stopped_is_stopped_again_when_a_run_is_taken_back, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    database.maintain("update users set is_active = false where id = 0").await.unwrap();
    erp.follow(&[]);
    database
        .maintain("update users set is_active = true, email = 'other@toys.example' where id = 0")
        .await
        .unwrap();
    erp.follow(&["--accept", "account:other@toys.example"]);
    // Somebody gets the login that became free: it stays theirs.
    erp.run(&["organizations", "create", "--key", "other", "--name", "Other"]).ended(0);
    erp.run(&["members", "add", "--org", "other", "--login", "user0@toys.example"]).ended(0);
    erp.run(&["adopt", "rollback"]).ended(0);
    assert_eq!(erp.status("toys-co", "other@toys.example"), "deactivated");
    assert_eq!(erp.status("other", "user0@toys.example"), "active");
});

both_engines!(what_people_stopped_no_run_lets_in_again, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    let stop = |login: &str, status: &str| {
        let words = ["members", "update", "--org", "toys-co", "--member", login, "--account-status", status];
        erp.run(&words).ended(0);
    };
    stop("user0@toys.example", "suspended");
    database.maintain("update users set is_active = false where id in (0, 3)").await.unwrap();
    erp.follow(&[]);
    // Stopped by the run, and then once more by people: it goes back only when it is told so.
    stop("user3@toys.example", "active");
    stop("user3@toys.example", "deactivated");
    let run = erp.run(&["adopt", "rollback"]).ended(2);
    assert!(run.err.contains("1 changed account"), "{}", run.err);
    database.maintain("update users set is_active = true where id = 0").await.unwrap();
    let run = erp.plan(&[]).ended(1);
    assert!(run.out.contains("user0@toys.example"), "{}", run.out);
    assert_ne!(erp.status("toys-co", "user0@toys.example"), "active");
});

both_engines!(who_gets_all_of_the_installation_later_is_accepted_by_name, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    database
        .maintain("update users set role = (select role from users where id = 4) where id = 0")
        .await
        .unwrap();
    let run = erp.plan(&["--json"]).ended(1).json();
    assert!(run["obstacles"].to_string().contains("1 account gets all of the installation"), "{run:#}");
    erp.follow(&["--accept", "over-all:user0@toys.example"]);
    assert_eq!(erp.assignments("platform", "user0@toys.example"), ["superadmin"]);
});

both_engines!(an_organization_that_is_gone_there_is_seen_by_verify, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    erp.verify().ended(0);
    for gone in ["delete from users where organization_id = 1", "delete from organizations where id = 1"] {
        database.maintain(gone).await.unwrap();
    }
    erp.verify().ended(1);
});

both_engines!(a_login_that_is_taken_here_is_named_by_the_plan, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    erp.run(&["organizations", "create", "--key", "other", "--name", "Other"]).ended(0);
    erp.run(&["members", "add", "--org", "other", "--login", "taken@toys.example"]).ended(0);
    database.maintain("update users set email = 'taken@toys.example' where id = 0").await.unwrap();
    let run = erp.plan(&["--json"]).ended(1).json();
    assert!(
        run["obstacles"].to_string().contains("user0@toys.example has the login taken@toys.example there"),
        "{run:#}"
    );
});

both_engines!(
    who_is_made_anew_with_a_login_of_before_is_nobody_until_accepted,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        let before = erp.rows().await;
        database.maintain("delete from users where id = 0").await.unwrap();
        database
            .maintain("insert into users values (500, 'user0@toys.example', 'New', 'Viewer', true, 1, null)")
            .await
            .unwrap();
        let run = erp.plan(&["--json"]).ended(1).json();
        assert!(run["obstacles"].to_string().contains("--accept anew:user0@toys.example"), "{run:#}");
        // What once said that the login is the same person says nothing of who has it now.
        erp.plan(&["--accept", "account:user0@toys.example"]).ended(1);
        erp.apply(&[]).ended(2);
        same(&before, &erp.rows().await);
        erp.follow(&["--accept", "anew:user0@toys.example"]);
        assert_eq!(erp.assignments("toys-co", "user0@toys.example"), ["viewer"]);
        assert_eq!(erp.status("toys-co", "user0@toys.example"), "active");
        erp.run(&["adopt", "rollback"]).ended(0);
        same(&before, &erp.rows().await);
        // Gone first, and made anew later: the account that stopped is the one that is asked about.
        database.maintain("delete from users where id = 500").await.unwrap();
        erp.follow(&[]);
        assert_eq!(erp.status("toys-co", "user0@toys.example"), "deactivated");
        database
            .maintain("insert into users values (501, 'user0@toys.example', 'New', 'Viewer', true, 1, null)")
            .await
            .unwrap();
        erp.plan(&["--accept", "account:user0@toys.example"]).ended(1);
        erp.follow(&["--accept", "anew:user0@toys.example"]);
        assert_eq!(erp.status("toys-co", "user0@toys.example"), "active");
    }
);

both_engines!(an_account_that_was_here_before_keeps_its_own, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.run(&["migrate", "up"]).ended(0);
    erp.run(&["organizations", "create", "--key", "other", "--name", "Other"]).ended(0);
    erp.run(&["members", "add", "--org", "other", "--login", "user0@toys.example"]).ended(0);
    let accept = ["--accept", "account:user0@toys.example"];
    erp.plan(&accept).ended(0);
    erp.apply(&[]).ended(0);
    let before = erp.rows().await;
    database
        .maintain("update users set is_active = false, email = 'new0@toys.example' where id = 0")
        .await
        .unwrap();
    let plan = erp.follow(&accept);
    assert_eq!(
        (&plan["changes"]["memberships"], &plan["changes"]["deactivated"]),
        (&1.into(), &0.into()),
        "{plan:#}"
    );
    assert!(plan["left"].to_string().contains("user0@toys.example"), "{plan:#}");
    assert_eq!(erp.status("other", "user0@toys.example"), "active");
    assert_eq!(erp.assignments("toys-co", "user0@toys.example"), Vec::<String>::new());
    database.maintain("update users set is_active = true where id = 0").await.unwrap();
    erp.follow(&accept);
    assert_eq!(erp.assignments("toys-co", "user0@toys.example"), ["accountant"]);
    erp.run(&["adopt", "rollback", "--to", "run-1"]).ended(0);
    same(&before, &erp.rows().await);
});

both_engines!(a_run_that_is_killed_while_it_takes_away_goes_on, async |database: TestDatabase| {
    let erp = Erp::with(&database, 12_000).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    let before = erp.rows().await;
    database
        .maintain(
            "update users set role = 'Viewer' where id > 20 and (role = 'accountant' or role = 'org_admin')",
        )
        .await
        .unwrap();
    database.maintain("update users set is_active = false where id % 13 = 5").await.unwrap();
    database.maintain("update users set email = 'x' || email where id % 5 = 1").await.unwrap();
    erp.plan(&LOGINS).ended(0);
    let mut killed = 0;
    for pause in [50, 200, 500, 1_000] {
        let mut command = erp.place.command(&["adopt", "apply", "--no-backup", "Ann"]);
        command.envs(erp.variables()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        let record = erp.place.path("charter-data/adoption/run-000002.json");
        while !record.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(pause));
        killed += usize::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert!(killed > 0, "no run was fast enough to end before it was killed");
    // Planned again while it is under way, it is the same plan.
    erp.plan(&LOGINS).ended(0);
    let run = erp.apply(&[]).ended(0);
    assert!(run.out.contains("run 2 "), "it is the same run: {}", run.out);
    let verdict = erp.verify().ended(0).json()["proof"]["equivalence"]["verdict"].clone();
    assert_eq!((&verdict["gains"], &verdict["losses"]), (&0.into(), &0.into()));
    erp.run(&["adopt", "rollback"]).ended(0);
    same(&before, &erp.rows().await);
});

const TABLES_OF_ROLES: &str = "create table people (id int primary key, email varchar(90), is_active boolean, is_superuser boolean);
    create table duties (id int primary key, name varchar(60));
    create table rights (id int primary key, name varchar(60));
    create table people_duties (person_id int, duty_id int);
    create table duties_rights (duty_id int, right_id int);
    create table people_rights (person_id int, right_id int);
    insert into people values (1, 'ann@yard.example', true, false), (2, 'bob@yard.example', true, false), (3, 'eve@yard.example', true, true);
    insert into duties values (1, 'clerk'), (2, 'guard');
    insert into rights values (1, 'gate.open'), (2, 'gate.close'), (3, 'book.read');
    insert into people_duties values (1, 1), (2, 1), (2, 2);
    insert into duties_rights values (1, 1), (1, 3), (2, 2);
    insert into people_rights values (1, 2), (2, 3);";

pub const MAP: &str = r#"
superuser = "own"
modules = "as_said"
[organization]
key = "yard"
name = "Yard"
[source]
system = "role_tables"
[source.users]
table = "people"
id = "id"
login = "email"
is_active = "is_active"
is_superuser = "is_superuser"
[source.roles]
table = "duties"
id = "id"
name = "name"
[source.permissions]
table = "rights"
id = "id"
name = "name"
[source.user_roles]
table = "people_duties"
holder = "person_id"
held = "duty_id"
[source.role_permissions]
table = "duties_rights"
holder = "duty_id"
held = "right_id"
[source.user_permissions]
table = "people_rights"
holder = "person_id"
held = "right_id"
[roles]
"clerk" = "own"
"guard" = "own"
"#;

/// A yard whose people have roles of their own, and rights besides them.
pub async fn yard(database: &TestDatabase) -> Erp<'_> {
    let erp = Erp::with(database, 0).await;
    database.maintain("drop table users").await.unwrap();
    database.maintain("drop table organizations").await.unwrap();
    database.maintain(TABLES_OF_ROLES).await.unwrap();
    erp.place.write("roles.toml", MAP);
    erp
}

both_engines!(roles_of_their_own_and_single_rights_follow, async |database: TestDatabase| {
    let erp = yard(&database).await;
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    let before = erp.rows().await;
    assert_eq!(check(&erp, "yard", "ann@yard.example", "adopted.gate.open"), 0);
    for change in [
        "delete from duties_rights where duty_id = 1 and right_id = 1",
        "insert into duties_rights values (1, 2)",
        "delete from people_duties where person_id = 2 and duty_id = 2",
        "delete from people_rights where person_id = 2",
        "update people set is_superuser = false where id = 3",
    ] {
        database.maintain(change).await.unwrap();
    }
    let plan = erp.follow(&[]);
    let changes = &plan["changes"];
    assert_eq!(
        (&changes["roles"], &changes["grants"], &changes["assignments"]),
        (&json!(1), &json!(1), &json!(2)),
        "{plan:#}"
    );
    assert_eq!(check(&erp, "yard", "ann@yard.example", "adopted.gate.open"), 1);
    assert_eq!(check(&erp, "yard", "ann@yard.example", "adopted.gate.close"), 0);
    erp.run(&["adopt", "rollback"]).ended(0);
    same(&before, &erp.rows().await);
    assert_eq!(check(&erp, "yard", "ann@yard.example", "adopted.gate.open"), 0);
});
