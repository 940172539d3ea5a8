//! What a plan asks about before anybody gets more than was said, or loses what nobody was told of; and what it says when there is nothing new.

use crate::adopt_run::{Erp, check};
use crate::program::Run;
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::{Value, json};

/// An ERP whose users have a flag besides their roles.
const FLAGGED: &str = "drop table users;
    create table users (id int primary key, email varchar(90), role varchar(60), is_active boolean, is_superuser boolean, organization_id int);
    insert into users values (1, 'root@a.example', 'viewer', true, true, 1), (2, 'b@b.example', 'superadmin', true, false, 2),
        (3, 'c@c.example', 'viewer', true, false, 1);";
const TWO: [&str; 4] = ["--approved-by", "Ann", "--approved-by", "Bob"];
const OVER: &str = "platform.organizations.delete";

impl Erp<'_> {
    /// The same with tables of its own, and the mapping that is proposed for them.
    async fn of<'d>(database: &'d TestDatabase, tables: &str) -> Erp<'d> {
        let erp = Erp::with(database, 0).await;
        database.maintain(tables).await.unwrap();
        erp.propose();
        erp
    }

    fn propose(&self) {
        let from = self.url();
        self.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml", "--force"]);
    }

    fn mapping(&self) -> String {
        std::fs::read_to_string(self.place.path("roles.toml")).unwrap()
    }

    fn say(&self, before: &str, after: &str) {
        let text = self.mapping();
        assert!(text.contains(before), "{text}");
        self.place.write("roles.toml", &text.replace(before, after));
    }

    fn asks(&self, more: &[&str]) -> String {
        let run: Run = self.plan_as_said(&[more, &["--json"]].concat()).ended(1);
        run.json()["obstacles"].to_string()
    }

    fn proof(&self, file: &str) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.place.path(file)).unwrap()).unwrap()
    }
}

both_engines!(
    nobody_gets_all_of_the_installation_by_a_flag_or_a_word_alone,
    async |database: TestDatabase| {
        let erp = Erp::of(&database, FLAGGED).await;
        // What a flag of one's own system allows is for people to say.
        assert!(erp.mapping().contains("superuser = \"?\""), "{}", erp.mapping());
        let said = erp.asks(&[]);
        assert!(said.contains("superuser"), "{said}");
        erp.say("superuser = \"?\"", "superuser = \"superadmin\"");
        let said = erp.asks(&[]);
        for part in [
            "2 accounts get all of the installation by this run",
            "root@a.example by flag:superuser",
            "b@b.example by superadmin",
            "--accept over-all:LOGIN",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        erp.apply(&[]).ended(2);
        let said = erp.asks(&[&["--accept", "flag:superuser"][..], &TWO].concat());
        assert!(said.contains("1 account gets all") && said.contains("b@b.example"), "{said}");
        let all = ["--accept", "flag:superuser", "--accept", "over-all:b@b.example"];
        let said = erp.asks(&[&all[..], &["--approved-by", "Ann"]].concat());
        assert!(said.contains("2 accounts get all of the installation: that wants two people"), "{said}");
        let run = erp.plan_as_said(&[&all[..], &TWO].concat()).ended(0);
        assert!(
            run.told().contains("2 users get all of the installation: b@b.example by superadmin"),
            "{}",
            run.out
        );
        let run = erp.apply(&["--proof", "proof.json"]).ended(0);
        assert!(run.out.contains("run 1 is applied"), "{}", run.out);
        assert_eq!(check(&erp, "platform", "b@b.example", OVER), 0);
        let proof = erp.proof("proof.json");
        assert_eq!(proof["over_all"]["users"], 2, "{proof:#}");
        // Who comes later is asked about by login, whatever name was accepted for all before.
        database
            .maintain("insert into users values (4, 'd@d.example', 'superadmin', true, false, 1)")
            .await
            .unwrap();
        // Nor is that said by accepting an account that is here already.
        let other = ["--accept", "superadmin", "--accept", "account:d@d.example"];
        let said = erp.asks(&[&other[..], &all, &TWO].concat());
        assert!(
            said.contains("1 account gets all of the installation") && said.contains("d@d.example"),
            "{said}"
        );
        erp.plan_as_said(&[&["--accept", "over-all:d@d.example"][..], &TWO].concat()).ended(0);
        erp.apply(&[]).ended(0);
        erp.verify().ended(0);
    }
);

both_engines!(the_platform_organization_is_nobodys_in_a_mapping, async |database: TestDatabase| {
    let erp = Erp::of(
        &database,
        "drop table users; drop table organizations;
        create table users (id int primary key, email varchar(90), role varchar(60), is_active boolean);
        insert into users values (1, 'ann@a.example', 'org_admin', true);",
    )
    .await;
    erp.say("key = \"company\"", "key = \"platform\"");
    let said = erp.asks(&["--accept", "organization:platform"]);
    assert!(said.contains("name another key in the mapping"), "{said}");
});

both_engines!(
    who_belongs_to_no_organization_loses_by_name_in_plan_verify_and_proof,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 3).await;
        for row in [
            "(50, 'gone@toys.example', 'Gone', 'accountant', true, 77, null)",
            "(51, 'null@toys.example', 'Null', 'Viewer', true, null, null)",
            "(52, 'off@toys.example', 'Off', 'Viewer', false, null, null)",
            "(53, null, 'Nameless', 'Viewer', true, 1, null)",
            "(54, '', 'Off, too', 'Viewer', false, 1, null)",
            "(55, 'no good', 'Unfit', 'Viewer', true, 1, null)",
        ] {
            database.maintain(&format!("insert into users values {row}")).await.unwrap();
        }
        erp.propose();
        let said = erp.asks(&[]);
        for part in [
            "2 users belong to no organization that is there, and would lose all they have (gone@toys.example, null@toys.example)",
            "--accept orphan",
            "1 user who holds something has nothing to sign in with",
            "--accept missing_login",
            "1 user has a login that cannot be taken over",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let run = erp.plan_as_said(&[]).ended(1);
        assert!(!run.told().contains("nobody loses"), "{}", run.out);
        for login in ["gone@toys.example", "user 53", "no good"] {
            assert!(
                run.told().contains(&format!("{login} (left out): gains -; loses")),
                "{login}: {}",
                run.out
            );
        }
        let from = erp.url();
        let run = erp.run(&["adopt", "inspect", "--from", &from]);
        assert!(
            run.told().contains("and 3 without a login that can be one here, who are left out"),
            "{}",
            run.out
        );
        let said = erp.asks(&["--accept", "missing_login"]);
        assert!(said.contains("--accept orphan") && !said.contains("missing_login"), "{said}");
        let all = ["--accept", "orphan", "--accept", "missing_login", "--accept", "unfit_login"];
        erp.plan_as_said(&[&all[..], &["--differences", "who.jsonl"]].concat()).ended(0);
        let who = std::fs::read_to_string(erp.place.path("who.jsonl")).unwrap();
        assert!(who.contains("\"login\":\"no good\"") && who.contains("\"user\":\"53\""), "{who}");
        let run = erp.apply(&["--proof", "proof.json"]).ended(0);
        assert!(!run.told().contains("nobody lost"), "{}", run.out);
        let proof = erp.proof("proof.json");
        let named = proof["equivalence"]["verdict"]["named"].as_array().unwrap();
        let who: Vec<&str> = named.iter().map(|it| it["login"].as_str().unwrap()).collect();
        assert_eq!(who, ["gone@toys.example", "null@toys.example", "user 53", "no good"]);
        let is_out = |it: &Value| it["is_left_out"] == true || it["is_nameless"] == true;
        assert!(named.iter().all(|it| it["accepted"] == true && is_out(it)), "{named:#?}");
        assert!(named.iter().all(|it| !it["losses"].as_array().unwrap().is_empty()), "{named:#?}");
        let anomalies = proof["anomalies"].as_array().unwrap();
        let of =
            |kind: &str| anomalies.iter().find(|it| it["kind"] == kind).unwrap_or_else(|| panic!("{kind}"));
        assert_eq!((&of("orphan")["count"], &of("orphan")["accepted"]), (&json!(3), &json!("orphan")));
        assert_eq!(of("missing_login")["rows"][0]["row"], "user 53", "{proof:#}");
        let run = erp.run(&["adopt", "verify", "--from", &from]).ended(0);
        assert!(
            run.told().contains("2 users are of no organization that is there, and left out"),
            "{}",
            run.out
        );
    }
);

/// Frappe's tables, as far as they are wanted: ann sees only what is of one company.
const FRAPPE: &str = r#"drop table users; drop table organizations;
create table "tabDocType" ("name" varchar(255) primary key, "istable" smallint not null default 0, "is_submittable" smallint not null default 0, "allow_import" smallint not null default 0);
create table "tabRole" ("name" varchar(140) primary key, "disabled" smallint not null default 0);
create table "tabUser" ("name" varchar(140) primary key, "enabled" smallint not null default 1, "full_name" varchar(140), "user_type" varchar(140));
create table "tabHas Role" ("name" varchar(140) primary key, "parent" varchar(140), "parentfield" varchar(140), "parenttype" varchar(140), "role" varchar(140));
create table "tabDocPerm" ("name" varchar(255) primary key, "docstatus" smallint not null default 0, "parent" varchar(255), "parentfield" varchar(255), "parenttype" varchar(255),
  "permlevel" bigint default '0', "role" varchar(255), "if_owner" smallint not null default 0, "read" smallint not null default 1, "write" smallint not null default 0,
  "create" smallint not null default 0, "submit" smallint not null default 0, "delete" smallint not null default 0, "import" smallint not null default 0);
create table "tabUser Permission" ("name" varchar(140) primary key, "user" varchar(140), "allow" varchar(140), "for_value" varchar(140));
insert into "tabDocType" values ('Sales Invoice', 0, 1, 1);
insert into "tabRole" values ('All', 0), ('Guest', 0), ('Desk User', 0), ('Accounts User', 0);
insert into "tabUser" values ('ann@toys.example', 1, 'Ann', 'System User');
insert into "tabHas Role" values ('1', 'ann@toys.example', 'roles', 'User', 'Accounts User');
insert into "tabDocPerm" ("name", "parent", "parenttype", "permlevel", "role", "read", "write") values ('a', 'Sales Invoice', 'DocType', 0, 'Accounts User', 1, 0);
insert into "tabUser Permission" values ('up1', 'ann@toys.example', 'Company', 'Toys Ltd');"#;

both_engines!(rules_on_records_are_not_let_go_unasked, async |database: TestDatabase| {
    let erp = Erp::of(&database, FRAPPE).await;
    let said = erp.asks(&[]);
    assert!(
        said.contains("1 rule on records or fields is not taken over") && said.contains("--accept condition"),
        "{said}"
    );
    let said = erp.asks(&["--accept", "condition"]);
    assert!(said.contains("1 rule on records or fields goes: that wants two people"), "{said}");
    let run = erp.plan_as_said(&[&["--accept", "condition"][..], &TWO].concat()).ended(0);
    assert!(run.told().contains("not as it should be there:"), "{}", run.out);
    assert!(
        run.told().contains("1 rule that hangs on the record")
            && run.told().contains("(tabUser Permission up1)"),
        "{}",
        run.out
    );
    assert!(run.told().contains("1 user brings no password that can be taken over"), "{}", run.out);
    // A plan that keeps silent about them is carried out by nobody.
    let whole = std::fs::read_to_string(erp.place.path("plan.json")).unwrap();
    let mut plan: charter_adopt::plan::Plan = serde_json::from_str(&whole).unwrap();
    plan.accepted.clear();
    plan.lifted = 0;
    plan.hash = plan.sum();
    erp.place.write("silent.json", &serde_json::to_string(&plan).unwrap());
    let run = erp.apply(&["--plan", "silent.json"]).ended(2);
    assert!(run.told().contains("does not say what it comes to"), "{}", run.err);
    let run = erp.apply(&["--proof", "proof.json"]).ended(0);
    assert!(run.told().contains("1 row is not as it should be, as the plan says"), "{}", run.out);
    let proof = erp.proof("proof.json");
    assert_eq!(
        proof["anomalies"],
        json!([{
            "kind": "condition",
            "count": 1,
            "rows": [{"row": "tabUser Permission up1", "detail": "user ann@toys.example sees only this Company: Toys Ltd"}],
            "accepted": "condition",
        }])
    );
});

both_engines!(a_name_that_is_nothing_is_not_accepted, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    for name in [
        "flag:nothing",
        "account:zzz@nowhere.example",
        "back:",
        "member:",
        "away:nobody@x.example",
        "organization:nowhere",
    ] {
        let run = erp.plan(&["--accept", name, "--json"]).ended(1).json();
        let said = run["obstacles"].to_string();
        assert!(said.contains(&format!("--accept \\\"{name}\\\": ")), "{name}: {said}");
    }
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    // Of this side: a member whom the other system does not know.
    erp.run(&["members", "add", "--org", "toys-co", "--login", "here@toys.example"]).ended(0);
    erp.plan(&["--accept", "member:here@toys.example", "--accept", "account:user0@toys.example"]).ended(0);
    let run = erp.plan(&["--accept", "member:there@toys.example"]).ended(1);
    assert!(run.told().contains("nobody there or here signs in with this"), "{}", run.out);
    // Nor does it come into a proof.
    let from = erp.url();
    let run = erp.run(&["adopt", "verify", "--from", &from, "--accept", "flag:nothing"]).ended(2);
    assert!(run.told().contains("there is no such flag"), "{}", run.err);
    // As a member who is no user there: mistyped, a user there, and a member without rights, from a file too.
    let members = [
        ("there@toys.example", "nobody there or here signs in with this"),
        ("user0@toys.example", "and this is a user there"),
        ("here@toys.example", "has none: nothing would be accepted by it"),
    ];
    for (login, why) in members {
        erp.place.write("names.txt", &format!("# members\nmember:{login}\n"));
        for named in [["--accept", &format!("member:{login}")], ["--accept-file", "names.txt"]] {
            let run = erp.run(&[&["adopt", "verify", "--from", &from][..], &named].concat()).ended(2);
            assert!(run.told().contains(why), "{login}: {}", run.err);
        }
    }
    let give = ["assignments", "assign", "--org", "toys-co", "--role", "viewer", "--subject"];
    erp.run(&[&give[..], &["member:here@toys.example"]].concat()).ended(0);
    erp.run(&["adopt", "verify", "--from", &from]).ended(1);
    erp.run(&["adopt", "verify", "--from", &from, "--accept", "member:here@toys.example"]).ended(0);
});

both_engines!(a_plan_after_the_first_says_who_is_new_and_when_nothing_is, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    for more in [&[][..], &["--accept", "account:user0@toys.example"]] {
        let run = erp.plan(more).ended(0);
        assert!(run.told().contains("nothing changed since run 1: there is nothing to apply"), "{}", run.out);
        assert!(!run.told().contains("ready"), "{}", run.out);
    }
    for id in [500, 501] {
        let row = format!("({id}, 'new{id}@toys.example', 'New', 'accountant', true, 1, null)");
        database.maintain(&format!("insert into users values {row}")).await.unwrap();
    }
    let run = erp.plan(&["--changes", "changes.jsonl"]).ended(0);
    assert!(
        run.told().contains("2 of 22 users are new (new500@toys.example, new501@toys.example)"),
        "{}",
        run.out
    );
    let lines = std::fs::read_to_string(erp.place.path("changes.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({"what": "new", "who": "new500@toys.example"}), "{lines:#?}");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    erp.apply(&[]).ended(0);
    erp.verify().ended(0);
    let run = erp.plan(&["--json"]).ended(0).json();
    assert_eq!(run["unchanged_since"], 2, "{run:#}");
    let run = erp.plan(&[]).ended(0);
    assert!(run.told().contains("nothing changed since run 2"), "{}", run.out);
    assert!(!run.told().contains("are new"), "{}", run.out);
});

both_engines!(a_word_that_becomes_nothing_is_named_with_its_holders, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    let said = erp.asks(&[&["--accept", "superadmin"][..], &TWO].concat());
    assert!(said.contains("1 role becomes nothing, and nobody can see"), "{said}");
    assert!(said.contains("--accept \\\"boss\\\" (2 users)"), "{said}");
    erp.plan_as_said(&[&["--accept", "superadmin", "--accept", "boss"][..], &TWO].concat()).ended(0);
});
