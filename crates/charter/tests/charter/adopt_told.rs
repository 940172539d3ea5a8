//! What an operator of an adoption reads: before anything is done, when something is in the way, and when it is broken off.

use crate::adopt_follow::yard;
use crate::adopt_run::Erp;
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::json;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// Nothing is wider than a terminal.
fn fits(told: &str) {
    let wide: Vec<&str> = told.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:#?}");
}

both_engines!(a_plan_says_what_before_means_and_which_keys_there_will_be, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    let from = erp.url();
    let run = erp.run(&["adopt", "inspect", "--from", &from]).ended(0);
    fits(&run.out);
    assert!(run.told().contains("before: what the shipped role of the same name allows"), "{}", run.out);
    assert!(run.told().contains("\"boss\": 2 users (user 6, user 13)"), "{}", run.out);
    assert!(
        run.told().contains("1 user who may not sign in and holds roles: comes over inactive"),
        "{}",
        run.out
    );
    erp.mapped("org_admin");
    let run = erp.plan(&[]).ended(1);
    fits(&run.out);
    for said in [
        "3 new organizations, by key: toys-co (Toys & Co)",
        "closed (Closed)",
        "before: what the shipped role of the same name allows, since a role there is a word",
        "\"boss\" has no shipped namesake and so no before",
        "0 grants",
        "lost by 0 users",
    ] {
        assert!(run.told().contains(said), "{said}: {}", run.out);
    }
    let run = erp.plan(&["--json"]).ended(1).json();
    let keys: Vec<&str> = run["plan"]["new_organizations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["key"].as_str().unwrap())
        .collect();
    assert_eq!((keys.len(), keys[0]), (3, "toys-co"));
    assert_eq!(run["plan"]["without_before"], json!(["boss"]));
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    let run = erp.apply(&[]).ended(0);
    fits(&run.out);
    assert!(run.told().contains("there is no installation yet: a new one is made"), "{}", run.out);
    assert!(run.told().contains("Charter's database is "), "{}", run.out);
    let run = erp.plan(&[]).ended(0);
    assert!(!run.out.contains("new organization"), "{}", run.out);
});

both_engines!(what_was_mistyped_is_told_with_what_was_meant, async |database: TestDatabase| {
    let erp = Erp::with(&database, 7).await;
    let run = erp.run(&["adopt", "inspect", "--from", "erp.db"]).ended(2);
    assert!(run.told().contains("did you mean sqlite:erp.db"), "{}", run.err);
    let run = erp.apply(&["--plan", "."]).ended(2);
    assert!(run.told().contains(". is a folder, and a plan is a file"), "{}", run.err);
    std::fs::write(erp.place.path("torn.json"), [0xff, 0xfe, 0x7b]).unwrap();
    let run = erp.apply(&["--plan", "torn.json"]).ended(2);
    assert!(run.told().contains("it is no text in UTF-8"), "{}", run.err);
    let run = erp.apply(&[]).ended(2);
    assert!(run.told().contains("charter adopt plan makes one"), "{}", run.err);
});

both_engines!(
    a_rollback_over_several_runs_takes_none_back_before_all_can_be,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        erp.mapped("none");
        for (run, user) in [(1, None), (2, Some(998)), (3, Some(999))] {
            if let Some(id) = user {
                let row = format!("({id}, 'new{id}@toys.example', 'New', 'accountant', true, 1, null)");
                database.maintain(&format!("insert into users values {row}")).await.unwrap();
            }
            erp.plan(&[]).ended(0);
            let told = erp.apply(&[]).ended(0);
            assert!(told.out.contains(&format!("run {run} is applied")), "{}", told.out);
        }
        // Somebody taken over by the second run gets a role by hand.
        let subject = ["--subject", "member:new998@toys.example", "--reason", "helps"];
        let assign = ["assignments", "assign", "--org", "toys-co", "--role", "viewer"];
        erp.run(&[&assign[..], &subject].concat()).ended(0);
        let states = || {
            let told = erp.run(&["adopt", "status", "--json"]).ended(0).json();
            let items = told["items"].as_array().unwrap().iter();
            items.map(|it| it["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let run = erp.run(&["adopt", "rollback", "--to", "run-1"]).ended(2);
        assert!(run.told().contains("run 2: ") && run.told().contains("1 assignment"), "{}", run.err);
        assert!(run.told().contains("nothing was taken back"), "{}", run.err);
        assert_eq!(states(), ["applied", "applied", "applied"]);
        // A step back on purpose is no failure.
        let run = erp.run(&["adopt", "rollback", "--to", "schema"]).ended(0);
        assert!(run.told().contains("run 3 was taken back to the step schema"), "{}", run.out);
        let run = erp.run(&["adopt", "status"]).ended(0);
        assert!(run.out.contains("run 3 of legacy: taken back to the step schema"), "{}", run.out);
        assert!(!run.out.contains("failed"), "{}", run.out);
        // The assignment began a trail: what stays is told by its key when its run goes.
        erp.run(&["adopt", "rollback", "--to", "run-1", "--discard"]).ended(0);
        assert_eq!(states(), ["undone", "undone", "applied"]);
        let run = erp.run(&["adopt", "rollback"]).ended(0);
        assert!(
            run.told()
                .contains("toys-co has a trail of its own, which nobody deletes: it stays, closed and empty"),
            "{}",
            run.out
        );
    }
);

both_engines!(
    who_was_here_before_and_may_do_parts_of_the_installation_gains_by_name,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        erp.mapped("none");
        erp.run(&["migrate", "up"]).ended(0);
        // The account of a viewer is here already, with two rights over the installation itself.
        erp.run(&["members", "add", "--org", "platform", "--login", "user2@toys.example"]).ended(0);
        let permissions =
            r#"[{"permission": "platform.settings.read"}, {"permission": "platform.settings.update"}]"#;
        let role = ["roles", "create", "--org", "platform", "--key", "tuner", "--name", "Tuner"];
        erp.run(&[&role[..], &["--permissions", permissions]].concat()).ended(0);
        let assign = |role: &'static str| {
            let subject = ["--subject", "member:user2@toys.example", "--reason", "tunes"];
            erp.run(&[&["assignments", "assign", "--org", "platform", "--role", role][..], &subject].concat())
                .ended(0)
        };
        assign("tuner");
        let run = erp.plan(&[]).ended(1);
        let said = "may do platform.settings.read, platform.settings.update of the installation itself that it may not there";
        assert!(run.told().contains(said), "{}", run.out);
        let account = ["--accept", "account:user2@toys.example"];
        let said = ["--accept", "superadmin", "--accept", "boss"];
        let run = erp.plan_as_said(&[&account[..], &said].concat()).ended(1);
        assert!(run.told().contains("1 user gains rights: that wants two people by name"), "{}", run.out);
        let approved = [&account[..], &["--approved-by", "Ann", "--approved-by", "Bob"]].concat();
        let told = erp.plan(&[&approved[..], &["--json"]].concat()).ended(0).json();
        let named = &told["plan"]["verdict"]["named"][0];
        assert_eq!(
            named["gains"],
            json!(["platform.settings.read", "platform.settings.update"]),
            "{named:#}"
        );
        // What was approved is no more than that.
        assign("superadmin");
        let run = erp.apply(&[]).ended(2);
        assert!(
            run.told().contains("may do more of the installation itself than when the plan was made"),
            "{}",
            run.err
        );
        let run = erp.plan(&[]).ended(1);
        assert!(run.told().contains("may do all of the installation itself"), "{}", run.out);
        erp.plan(&approved).ended(0);
        erp.apply(&[]).ended(0);
        let told = erp.verify().ended(0).json();
        let named = told["proof"]["equivalence"]["verdict"]["named"].as_array().unwrap();
        let own = named.iter().find(|it| it["login"] == "user2@toys.example").unwrap();
        assert_eq!((&own["gains"], &own["accepted"]), (&json!(["*"]), &json!(true)));
        // The next plan asks again, by the same name.
        erp.plan(&[]).ended(1);
        erp.plan(&approved).ended(0);
        // An account of the run that is given a part afterwards is found, whatever the plan accepted.
        let member = ["members", "add", "--org", "platform", "--login", "user9@toys.example"];
        erp.run(&member).ended(0);
        let subject = ["--subject", "member:user9@toys.example", "--reason", "tunes"];
        let tuner = ["assignments", "assign", "--org", "platform", "--role", "tuner"];
        erp.run(&[&tuner[..], &subject].concat()).ended(0);
        let told = erp.verify().ended(1).json();
        assert!(
            told["proof"]["equivalence"]["verdict"]["named"][0]["login"] == "user9@toys.example",
            "{told:#}"
        );
        let from = erp.url();
        erp.run(&["adopt", "verify", "--from", &from, "--accept", "account:user9@toys.example"]).ended(0);
    }
);

both_engines!(words_of_roles_that_came_since_the_plan_are_named, async |database: TestDatabase| {
    // A new installation was made, and then the plan was said not to say what it comes to.
    let erp = yard(&database).await;
    database.maintain("alter table people add column role varchar(40)").await.unwrap();
    erp.plan(&[]).ended(0);
    database.maintain("update people set role = 'boss' where id = 1").await.unwrap();
    let run = erp.apply(&[]).ended(2);
    assert!(
        run.told().contains("stop a plan") && run.told().contains("1 word of a role at users"),
        "{}",
        run.err
    );
    assert!(!erp.place.path("charter-data").exists(), "{}", run.err);
    let run = erp.plan(&[]).ended(1);
    assert!(run.told().contains("unused_role = \"COLUMN\""), "{}", run.out);
    let text = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
    let users = "table = \"people\"\n";
    assert!(text.contains(users), "{text}");
    erp.place.write("roles.toml", &text.replace(users, &format!("{users}unused_role = [\"role\"]\n")));
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
});

both_engines!(a_backup_in_a_folder_is_as_old_as_the_newest_file_in_it, async |database: TestDatabase| {
    // A folder with nothing but an empty file was a backup, 0 minutes old.
    let erp = Erp::with(&database, 7).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    let apply = ["adopt", "apply", "--backup", "dumps"];
    let says = |said: &str| {
        let run = erp.run(&apply).ended(2);
        assert!(run.told().contains(said), "{said}: {}", run.err);
    };
    let dumps = erp.place.path("dumps");
    std::fs::create_dir_all(dumps.join("today")).unwrap();
    says("it is empty");
    std::fs::write(dumps.join("done"), "").unwrap();
    says("it is empty");
    std::os::unix::fs::symlink(erp.place.path("roles.toml"), dumps.join("link")).unwrap();
    says("it is empty");
    let dump = dumps.join("today").join("erp.dump");
    std::fs::write(&dump, "a backup").unwrap();
    let file = std::fs::File::options().write(true).open(&dump).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(7_200)).unwrap();
    says("at most 60 are accepted");
    file.set_modified(SystemTime::now() + Duration::from_secs(7_200)).unwrap();
    says("dated in the future");
    file.set_modified(SystemTime::now()).unwrap();
    erp.run(&apply).ended(0);
});

both_engines!(an_apply_that_is_stopped_says_how_to_go_on, async |database: TestDatabase| {
    let erp = Erp::with(&database, 12_000).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut command = erp.place.command(&["adopt", "apply", "--no-backup", "Ann Toys"]);
        command.envs(erp.variables()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let record = erp.place.path("charter-data/adoption/run-000001.json");
        let seen = || std::fs::metadata(&record).and_then(|it| it.modified()).ok();
        let before = seen();
        while seen() == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(200));
        assert!(Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(code));
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        // Warnings about the account of the database stand there too.
        let own: Vec<&str> = told.lines().filter(|line| line.starts_with("charter: ")).collect();
        assert_eq!(own.len(), 1, "{told}");
        assert!(own[0].contains("stopped: run 1 is in the stage"), "{told}");
        let again = "`charter adopt apply --plan plan.json --no-backup 'Ann Toys'` goes on";
        assert!(told.contains(again), "{told}");
        assert_eq!(erp.run(&["adopt", "status", "--json"]).ended(0).json()["items"][0]["state"], "applying");
        let run = erp.run(&["adopt", "status"]).ended(0);
        let status = run.told();
        assert!(status.contains("run 1 of legacy: broken off, begun"), "{status}");
        assert!(
            status
                .contains("charter adopt apply goes on with its plan, charter adopt rollback takes it back"),
            "{status}"
        );
        assert!(!status.contains("running"), "{status}");
    }
    let run = erp.apply(&[]).ended(0);
    assert!(run.out.contains("run 1 goes on") && run.out.contains("run 1 is applied"), "{}", run.out);
    erp.verify().ended(0);
});
