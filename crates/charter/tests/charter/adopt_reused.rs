//! Ids and logins that somebody else has there by now: nobody gets what was another's without a word.

use crate::adopt_run::{Erp, check};
use crate::adopt_shared::{SHOP, shop_map};
use charter_testkit::{both_engines, database::TestDatabase};

const POST: &str = "finance.journal_entries.create";

both_engines!(a_company_with_the_id_of_one_that_is_gone_is_asked_about, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    let listed = || erp.run(&["organizations", "list", "--json"]).ended(0).json().to_string();
    database.maintain("delete from users where organization_id = 2").await.unwrap();
    database.maintain("delete from organizations where id = 2").await.unwrap();
    let run = erp.plan(&["--changes", "changes.jsonl"]).ended(0);
    assert!(run.told().contains("😀 is closed)"), "{}", run.out);
    erp.apply(&[]).ended(0);
    // Somebody else has the id, first without being active there.
    for change in [
        "insert into organizations values (2, 'Evil Corp', '[\"finance\"]', false)",
        "insert into users values (900, 'eve@evil.example', 'Eve', 'accountant', true, 2, null)",
    ] {
        database.maintain(change).await.unwrap();
    }
    let asked = |more: &[&str]| {
        let run = erp.plan(&[more, &["--json"]].concat()).ended(1).json();
        let said = run["obstacles"].to_string();
        assert!(said.contains("organization o-neil-soap is closed here"), "{said}");
        assert!(
            said.contains("-> Evil Corp)") && said.contains("--accept organization:o-neil-soap"),
            "{said}"
        );
    };
    asked(&[]);
    database.maintain("update organizations set is_active = true where id = 2").await.unwrap();
    asked(&["--accept", "organization:toys-co"]);
    assert!(!listed().contains("Evil Corp"));
    // By name it is the same one, open again.
    let accept = ["--accept", "organization:o-neil-soap", "--changes", "changes.jsonl"];
    let run = erp.plan(&accept).ended(0);
    let told = run.told();
    assert!(told.contains("-> Evil Corp") && told.contains("is open again"), "{}", run.out);
    let lines = std::fs::read_to_string(erp.place.path("changes.jsonl")).unwrap();
    assert!(lines.contains("\"organization_name\"") && lines.contains("\"open_again\""), "{lines}");
    erp.apply(&[]).ended(0);
    assert!(listed().contains("Evil Corp"));
    assert_eq!(check(&erp, "o-neil-soap", "eve@evil.example", POST), 0);
    // Under its own name a company that comes back is the one that went.
    database.maintain("update organizations set is_active = false where id = 1").await.unwrap();
    erp.follow(&[]);
    database.maintain("update organizations set is_active = true where id = 1").await.unwrap();
    erp.follow(&[]);
});

both_engines!(
    a_login_that_an_account_keeps_and_another_user_has_there_stops_the_plan,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        erp.mapped("none");
        // It was here before, and so keeps its login.
        let bob = "user0@toys.example";
        erp.run(&["migrate", "up"]).ended(0);
        erp.run(&["organizations", "create", "--key", "other", "--name", "Other"]).ended(0);
        erp.run(&["members", "add", "--org", "other", "--login", bob]).ended(0);
        erp.plan(&["--accept", &format!("account:{bob}")]).ended(0);
        erp.apply(&[]).ended(0);
        for change in [
            "update users set email = 'bobby@toys.example' where id = 0".to_owned(),
            format!("insert into users values (99, '{bob}', 'Bob', 'accountant', true, 1, null)"),
        ] {
            database.maintain(&change).await.unwrap();
        }
        let run = erp.plan(&["--accept", "flag:logins", "--json"]).ended(1).json();
        let said = run["obstacles"].to_string();
        assert!(said.contains("1 account keeps a login here that another user has there"), "{said}");
        assert!(
            said.contains("user0@toys.example, who is bobby@toys.example there now, and user 99"),
            "{said}"
        );
        // One that a run renames gives its login up, as before.
        database.maintain("update users set email = 'ninety@toys.example' where id = 99").await.unwrap();
        database.maintain("update users set email = 'three@toys.example' where id = 3").await.unwrap();
        database
            .maintain(
                "insert into users values (98, 'user3@toys.example', 'New', 'accountant', true, 1, null)",
            )
            .await
            .unwrap();
        erp.follow(&["--accept", "flag:logins", "--accept", "handed-over:user3@toys.example"]);
    }
);

both_engines!(
    what_another_system_gave_in_the_same_organization_is_told_by_its_name_before_anything_is_written,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 6).await;
        let text = "modules = \"all\"";
        erp.run(&["adopt", "inspect", "--from", &erp.url(), "--propose", "roles.toml"]);
        let proposed = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
        assert!(proposed.contains("modules = \"as_said\""), "{proposed}");
        erp.place.write("roles.toml", &proposed.replace("modules = \"as_said\"", text));
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        database.maintain(SHOP).await.unwrap();
        database
            .maintain("insert into shop_people values (70, 'new@shop.example', 'accountant', true)")
            .await
            .unwrap();
        erp.place.write("shop.toml", &shop_map("toys-co", "Toys & Co"));
        let from = erp.url();
        let plan = |more: &[&str]| {
            let plan = ["adopt", "plan", "--from", &from, "--map", "shop.toml", "--source", "shop"];
            erp.run(&[&plan[..], &["--out", "shop.json", "--accept", "organization:toys-co"], more].concat())
        };
        let run = plan(&[]).ended(1);
        let said = run.told();
        assert!(
            said.contains(
                "2 members have rights here by the source legacy and are no users of the other system there"
            ),
            "{said}"
        );
        assert!(said.contains("user0@toys.example in toys-co") && !said.contains("by hand"), "{said}");
        let accept =
            ["--accept", "member:user0@toys.example", "--accept", "member:user3@toys.example", "--json"];
        plan(&accept).ended(0);
        erp.apply(&["--plan", "shop.json"]).ended(0);
        // A user of both: what the one gives is more than the other allows, and is told as the one's.
        database
            .maintain("insert into shop_people values (71, 'user3@toys.example', 'accountant', true)")
            .await
            .unwrap();
        database.maintain("update users set role = 'manager' where id = 3").await.unwrap();
        erp.plan(&["--accept", "member:new@shop.example"]).ended(0);
        erp.apply(&[]).ended(0);
        let run = plan(&[&accept[..2], &["--accept", "account:user3@toys.example"]].concat()).ended(1);
        let said = run.told();
        assert!(
            said.contains("1 user has more here than in the other system now, given by the source legacy (user3@toys.example)"),
            "{said}"
        );
        // A membership that people ended is told by its login.
        let end = [
            "members",
            "update",
            "--org",
            "toys-co",
            "--member",
            "user3@toys.example",
            "--status",
            "suspended",
        ];
        erp.run(&end).ended(0);
        let run = erp.plan(&["--accept", "member:new@shop.example"]).ended(1);
        let said = run.told();
        assert!(
            said.contains("memberships were ended or suspended here")
                && said.contains("(user3@toys.example)"),
            "{said}"
        );
    }
);
