//! One account, two systems: who is stopped in one of them goes on in the other, and the plan says so.

use crate::adopt_run::{Erp, check};
use crate::program::Run;
use charter_testkit::{both_engines, database::TestDatabase};

/// A second system in the same database, by tables of its own.
pub const SHOP: &str =
    "create table shop_people (id int primary key, mail varchar(90), job varchar(60), is_active boolean)";

const MAP: &str = r#"
superuser = "none"
modules = "all"
[organization]
key = "KEY"
name = "NAME"
[source]
system = "role_column"
[source.users]
table = "shop_people"
id = "id"
login = "mail"
role = "job"
is_active = "is_active"
[roles]
"accountant" = "accountant"
"#;

/// What becomes of it, in the organization of this key.
pub fn shop_map(key: &str, name: &str) -> String {
    MAP.replace("KEY", key).replace("NAME", name)
}

const POST: &str = "finance.journal_entries.create";

impl Erp<'_> {
    fn shop_plan(&self, more: &[&str]) -> Run {
        let from = self.url();
        let plan = ["adopt", "plan", "--from", &from, "--map", "shop.toml", "--source", "shop"];
        self.run(&[&plan[..], &["--out", "shop.json", "--force", "--json"], more].concat())
    }

    fn shop_follow(&self, more: &[&str]) -> serde_json::Value {
        let plan = self.shop_plan(more).ended(0).json();
        self.apply(&["--plan", "shop.json"]).ended(0);
        plan["plan"].clone()
    }

    /// Both systems are as their runs left them.
    fn both_hold(&self) {
        self.verify().ended(0);
        let from = self.url();
        self.run(&["adopt", "verify", "--from", &from, "--source", "shop"]).ended(0);
    }
}

async fn with_shop(database: &TestDatabase) -> Erp<'_> {
    let erp = Erp::with(database, 20).await;
    erp.mapped("none");
    database.maintain(SHOP).await.unwrap();
    erp.place.write("shop.toml", &shop_map("shop", "Shop"));
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    erp
}

both_engines!(who_is_stopped_in_one_of_two_systems_goes_on_in_the_other, async |database: TestDatabase| {
    let erp = with_shop(&database).await;
    let (toys, login) = ("toys-co", "user0@toys.example");
    database
        .maintain(&format!("insert into shop_people values (70, '{login}', 'accountant', true)"))
        .await
        .unwrap();
    erp.shop_follow(&["--accept", &format!("account:{login}")]);
    erp.both_hold();
    assert_eq!((check(&erp, toys, login, POST), check(&erp, "shop", login, POST)), (0, 0));
    let before = erp.rows().await;

    database.maintain("update users set is_active = false where id = 0").await.unwrap();
    let plan = erp.follow(&[]);
    assert!(plan["left"].to_string().contains(login), "{plan:#}");
    let changes = &plan["changes"];
    assert_eq!(
        (&changes["deactivated"], &changes["memberships"], &changes["assignments"]),
        (&0.into(), &1.into(), &1.into()),
        "{plan:#}"
    );
    erp.both_hold();
    assert_eq!((check(&erp, toys, login, POST), check(&erp, "shop", login, POST)), (1, 0));
    assert_eq!(erp.status("shop", login), "active");
    // Nothing of it is told once more, and a rollback puts it back.
    let again = erp.plan(&["--json"]).ended(0).json();
    assert_eq!(again["plan"]["hash"], plan["hash"]);
    erp.run(&["adopt", "rollback"]).ended(0);
    crate::adopt_follow::same(&before, &erp.rows().await);
    erp.follow(&[]);

    // Stopped in the other one as well, let in again in the first, and then in both.
    database.maintain("update shop_people set is_active = false where id = 70").await.unwrap();
    let plan = erp.shop_follow(&[]);
    assert!(plan["left"].to_string().contains(login), "{plan:#}");
    erp.both_hold();
    assert_eq!((check(&erp, toys, login, POST), check(&erp, "shop", login, POST)), (1, 1));
    database.maintain("update users set is_active = true where id = 0").await.unwrap();
    erp.follow(&[]);
    erp.both_hold();
    assert_eq!((check(&erp, toys, login, POST), check(&erp, "shop", login, POST)), (0, 1));
    database.maintain("update shop_people set is_active = true where id = 70").await.unwrap();
    erp.shop_follow(&[]);
    erp.both_hold();
    assert_eq!((check(&erp, toys, login, POST), check(&erp, "shop", login, POST)), (0, 0));
});

both_engines!(who_was_stopped_before_two_systems_shared_them_acts_again, async |database: TestDatabase| {
    let erp = with_shop(&database).await;
    let (toys, login) = ("toys-co", "user0@toys.example");
    let accept = format!("account:{login}");
    database.maintain("update users set is_active = false where id = 0").await.unwrap();
    erp.follow(&[]);
    assert_eq!(erp.status(toys, login), "deactivated");
    // The other system has them stopped, too: they come over, and may do nothing anywhere.
    database
        .maintain(&format!("insert into shop_people values (70, '{login}', 'accountant', false)"))
        .await
        .unwrap();
    erp.shop_follow(&["--accept", &accept]);
    erp.both_hold();
    // Let in by the system whose run stopped the account: it acts again there, and there only.
    database.maintain("update users set is_active = true where id = 0").await.unwrap();
    let plan = erp.follow(&[]);
    assert_eq!(plan["changes"]["reactivated"], 1, "{plan:#}");
    erp.both_hold();
    assert_eq!((check(&erp, toys, login, POST), check(&erp, "shop", login, POST)), (0, 1));
});

both_engines!(
    who_is_stopped_here_and_may_sign_in_there_is_named_by_the_plan,
    async |database: TestDatabase| {
        let erp = with_shop(&database).await;
        let (toys, login) = ("toys-co", "user0@toys.example");
        let accept = format!("account:{login}");
        database.maintain("update users set is_active = false where id = 0").await.unwrap();
        erp.follow(&[]);
        database
            .maintain(&format!("insert into shop_people values (70, '{login}', 'accountant', true)"))
            .await
            .unwrap();
        let run = erp.shop_plan(&["--accept", &accept]).ended(1).json();
        let said = run["obstacles"].to_string();
        assert!(
            said.contains("deactivated or suspended here and may sign in there") && said.contains(login),
            "{said}"
        );
        let run = erp.apply(&["--plan", "shop.json"]).ended(2);
        assert!(run.told().contains(login), "{}", run.err);
        // Somebody lets them in by hand: the other system's run takes away again what it had given.
        let update = ["members", "update", "--org", toys, "--member", login, "--account-status", "active"];
        erp.run(&update).ended(0);
        erp.shop_follow(&["--accept", &accept]);
        let plan = erp.follow(&[]);
        assert!(plan["left"].to_string().contains(login), "{plan:#}");
        erp.both_hold();
        assert_eq!((check(&erp, toys, login, POST), check(&erp, "shop", login, POST)), (1, 0));
        // Stopped by people once both have them: each plan says so.
        let stop = ["members", "update", "--org", "shop", "--member", login, "--account-status", "suspended"];
        erp.run(&stop).ended(0);
        let run = erp.shop_plan(&[]).ended(1).json();
        assert!(run["obstacles"].to_string().contains(login), "{run:#}");
        erp.follow(&[]);
    }
);

both_engines!(
    an_older_account_that_a_run_made_superadmin_loses_it_with_its_user,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        erp.mapped("none");
        erp.run(&["migrate", "up"]).ended(0);
        erp.run(&["organizations", "create", "--key", "other", "--name", "Other"]).ended(0);
        erp.run(&["members", "add", "--org", "other", "--login", "user4@toys.example"]).ended(0);
        erp.plan(&["--accept", "account:user4@toys.example"]).ended(0);
        erp.apply(&[]).ended(0);
        assert_eq!(erp.assignments("platform", "user4@toys.example"), ["superadmin"]);
        database.maintain("update users set role = 'Viewer' where id = 4").await.unwrap();
        // Nobody is asked to accept what the run itself takes away.
        let plan = erp.follow(&[]);
        assert_eq!(plan["beyond"], serde_json::json!({}), "{plan:#}");
        assert_eq!(erp.assignments("platform", "user4@toys.example"), Vec::<String>::new());
        erp.run(&["adopt", "rollback"]).ended(0);
        // What people gave besides is named as before.
        erp.give("platform", "user4@toys.example", "superadmin");
        let run = erp.plan(&["--json"]).ended(1).json();
        let said = run["obstacles"].to_string();
        assert!(
            said.contains("account user4@toys.example is here already, and may do all of the installation"),
            "{said}"
        );
    }
);

both_engines!(
    whoever_has_the_installation_by_another_system_is_named_and_accepted,
    async |database: TestDatabase| {
        let erp = with_shop(&database).await;
        erp.place.write(
            "shop.toml",
            &shop_map("shop", "Shop")
                .replace("\"accountant\" = \"accountant\"", "\"chief\" = \"superadmin\""),
        );
        let login = "user9@toys.example";
        let accept = format!("account:{login}");
        database
            .maintain(&format!("insert into shop_people values (71, '{login}', 'chief', true)"))
            .await
            .unwrap();
        let approved = ["--approved-by", "Ann", "--approved-by", "Bob"];
        erp.shop_follow(&[&["--accept", &accept, "--accept", "chief"], &approved[..]].concat());
        let run = erp.plan(&["--json"]).ended(1).json();
        let said = run["obstacles"].to_string();
        assert!(said.contains(login) && said.contains("may do all of the installation"), "{said}");
        assert!(!said.contains("given by hand"), "{said}");
        erp.follow(&[&["--accept", &accept], &approved[..]].concat());
        erp.both_hold();
    }
);

both_engines!(accounts_that_are_here_already_are_accepted_by_a_file, async |database: TestDatabase| {
    let erp = with_shop(&database).await;
    // Neither who may do all here nor who is stopped here.
    let logins: Vec<String> = (0..20_usize)
        .filter(|at| at % 7 != 4 && *at != 10)
        .map(|at| format!("user{at}@toys.example"))
        .collect();
    for (id, login) in logins.iter().enumerate() {
        let row = format!("insert into shop_people values ({id}, '{login}', 'accountant', true)");
        database.maintain(&row).await.unwrap();
    }
    let obstacles = erp.shop_plan(&[]).ended(1).json()["obstacles"].clone();
    let said = obstacles[0].as_str().unwrap();
    assert_eq!(obstacles.as_array().unwrap().len(), 1, "{obstacles:#}");
    for part in ["16 accounts are here already", "(user0@toys.example, ", "and 13 more", "--accept-file FILE"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let names: Vec<String> = logins.iter().map(|login| format!("account:{login}")).collect();
    erp.place.write("names.txt", &format!("# who is the same\n\n  {}\n", names[1..].join("\r\n")));
    let file = ["--accept-file", "names.txt"];
    let obstacles = erp.shop_plan(&file).ended(1).json()["obstacles"].to_string();
    assert!(obstacles.contains("account user0@toys.example is here already"), "{obstacles}");
    // Somebody who is a user there is no member without one, and nothing is accepted by saying so.
    let all = [&file[..], &["--accept", &names[0]]].concat();
    let member = [&all[..], &["--accept", "member:user0@toys.example"]].concat();
    let obstacles = erp.shop_plan(&member).ended(1).json()["obstacles"].to_string();
    assert!(obstacles.contains("no users of the other system, and this is a user there"), "{obstacles}");
    let plan = erp.shop_follow(&all);
    assert_eq!(plan["accepted"].as_array().unwrap().len(), 16, "{plan:#}");
    let run = erp.shop_plan(&["--accept-file", "nowhere.txt"]).ended(2);
    assert!(run.told().contains("nowhere.txt cannot be read"), "{}", run.told());
});
