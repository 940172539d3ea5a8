//! What is somebody else's by now: a login, an organization, a role or a right that another gets by a run is asked about before it is given.

use crate::adopt_follow::{MAP, yard};
use crate::adopt_run::{Erp, check};
use crate::adopt_taken::APPROVED;
use crate::program::Run;
use charter_testkit::{both_engines, database::TestDatabase};

const POST: &str = "finance.journal_entries.create";

both_engines!(a_login_that_an_account_gives_up_is_nobody_elses_unasked, async |database: TestDatabase| {
    let erp = Erp::taken_over(&database, 20).await;
    let zero = "user0@toys.example";
    erp.take_role("toys-co", zero);
    erp.follow(&["--accept", "away:user0@toys.example"]);
    // They are deleted as such systems do it, and register again.
    for change in [
        "update users set email = 'deleted_0_user0@toys.example', is_active = false where id = 0".to_owned(),
        format!("insert into users values (99, '{zero}', 'Zero', 'accountant', true, 1, null)"),
    ] {
        database.maintain(&change).await.unwrap();
    }
    let run = erp.plan(&["--accept", "flag:logins"]).ended(1);
    let said = run.told();
    assert!(
        said.contains("1 user is new there with a login that another account gives up by this run")
            && said.contains(
                "user0@toys.example, whose account is deleted_0_user0@toys.example now, by user 99"
            )
            && said.contains("--accept handed-over:LOGIN"),
        "{said}"
    );
    // What says that a right is new says nothing of a login.
    erp.plan(&["--accept", "flag:logins", "--accept", "new:user0@toys.example"]).ended(1);
    erp.follow(&["--accept", "flag:logins", "--accept", "handed-over:user0@toys.example"]);
    assert_eq!(check(&erp, "toys-co", zero, POST), 0);
    erp.verify().ended(0);
});

both_engines!(
    an_organization_of_another_name_without_its_users_is_asked_about,
    async |database: TestDatabase| {
        let erp = Erp::taken_over(&database, 20).await;
        // Another name alone is none of it.
        database.maintain("update organizations set name = 'Soap & Sons' where id = 2").await.unwrap();
        erp.follow(&[]);
        for change in [
            "update users set organization_id = 1 where organization_id = 2",
            "update organizations set name = 'Evil Corp' where id = 2",
            "insert into users values (99, 'mal@evil.example', 'Mal', 'org_admin', true, 2, null)",
        ] {
            database.maintain(change).await.unwrap();
        }
        let run = erp.plan(&[]).ended(1);
        let said = run.told();
        assert!(
            said.contains("has none of its users there any more, and its id is of another name there now")
                && said.contains("(Soap & Sons -> Evil Corp)"),
            "{said}"
        );
        let told = erp.run(&["organizations", "list", "--json"]).ended(0).json();
        let soap = told["items"].as_array().unwrap().iter().find(|it| it["name"] == "Soap & Sons").unwrap();
        let accept = format!("organization:{}", soap["key"].as_str().unwrap());
        erp.follow(&["--accept", &accept]);
    }
);

/// Another system with rights of its own, in tables of its own.
const MILL: &str = "create table mill_people (id int primary key, email varchar(90), is_active boolean, is_superuser boolean);
    create table mill_duties (id int primary key, name varchar(60));
    create table mill_rights (id int primary key, name varchar(60));
    create table mill_people_duties (person_id int, duty_id int);
    create table mill_duties_rights (duty_id int, right_id int);
    create table mill_people_rights (person_id int, right_id int);
    insert into mill_people values (1, 'bea@mill.example', true, false), (2, 'sue@mill.example', true, true);
    insert into mill_duties values (1, 'clerk');
    insert into mill_rights values (1, 'gate.open'), (2, 'pay.run'), (3, 'book.read');
    insert into mill_people_duties values (1, 1);
    insert into mill_duties_rights values (1, 1), (1, 3);";

impl Erp<'_> {
    fn mill(&self, organization: &str) {
        let mut map = MAP.replace("\"guard\" = \"own\"\n", "");
        for table in ["people_duties", "people_rights", "duties_rights", "people", "duties", "rights"] {
            map = map.replace(&format!("table = \"{table}\""), &format!("table = \"mill_{table}\""));
        }
        self.place.write("mill.toml", &map.replace("\"yard\"", &format!("\"{organization}\"")));
    }

    fn mill_plan(&self, more: &[&str]) -> Run {
        let from = self.url();
        let plan = ["adopt", "plan", "--from", &from, "--map", "mill.toml", "--source", "mill"];
        self.run(&[&plan[..], &["--out", "mill.json", "--force"], &APPROVED, more].concat())
    }
}

both_engines!(
    whoever_may_do_everything_there_may_do_what_is_there_and_no_more,
    async |database: TestDatabase| {
        let erp = yard(&database).await;
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        let eve = "eve@yard.example";
        assert_eq!(check(&erp, "yard", eve, "adopted.gate.close"), 0);
        // What another system has is none of theirs, and the other way round.
        database.maintain(MILL).await.unwrap();
        erp.mill("mill");
        erp.mill_plan(&[]).ended(0);
        erp.apply(&["--plan", "mill.json"]).ended(0);
        assert_eq!(check(&erp, "mill", "sue@mill.example", "adopted.pay.run"), 0);
        assert_eq!(check(&erp, "mill", "sue@mill.example", "adopted.gate.close"), 1);
        assert_eq!(check(&erp, "yard", eve, "adopted.pay.run"), 1);
        erp.verify().ended(0);
        // What is there no more is nobody's, and stops no run.
        for change in [
            "delete from duties_rights where right_id = 2",
            "delete from people_rights where right_id = 2",
            "delete from rights where id = 2",
            "delete from people_duties where person_id = 1",
        ] {
            database.maintain(change).await.unwrap();
        }
        erp.follow(&[]);
        assert_eq!(check(&erp, "yard", eve, "adopted.gate.close"), 1);
        assert_eq!(check(&erp, "yard", eve, "adopted.gate.open"), 0);
        assert_eq!(check(&erp, "yard", "ann@yard.example", "adopted.gate.open"), 1);
        erp.verify().ended(0);
    }
);

both_engines!(a_role_that_people_made_to_inherit_is_theirs, async |database: TestDatabase| {
    let erp = yard(&database).await;
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    database.maintain("delete from people_rights").await.unwrap();
    erp.follow(&[]);
    let inherit =
        ["roles", "update", "--org", "yard", "--role", "adopted_clerk", "--parents", "adopted_guard"];
    erp.run(&inherit).ended(0);
    assert_eq!(check(&erp, "yard", "ann@yard.example", "adopted.gate.close"), 0);
    let run = erp.plan(&[]).ended(1);
    assert!(run.told().contains("roles were changed here and allow something else there"), "{}", run.out);
});

both_engines!(
    a_role_of_two_systems_gives_the_others_users_nothing_unasked,
    async |database: TestDatabase| {
        let erp = yard(&database).await;
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        database.maintain(MILL).await.unwrap();
        database.maintain("delete from mill_people where id = 2").await.unwrap();
        erp.mill("yard");
        let members = ["ann", "bob", "eve"].map(|who| format!("member:{who}@yard.example"));
        let mut words = vec!["--accept", "organization:yard"];
        words.extend(members.iter().flat_map(|member| ["--accept", member.as_str()]));
        erp.mill_plan(&words).ended(0);
        erp.apply(&["--plan", "mill.json"]).ended(0);
        // The clerks of the one may do more, and so would those of the other.
        database.maintain("insert into duties_rights values (1, 2)").await.unwrap();
        let bea = ["--accept", "member:bea@mill.example"];
        let run = erp.plan(&bea).ended(1);
        let said = run.told();
        assert!(
            said.contains("role adopted_clerk of yard gives more by this run, and 1 other holds it here")
                && said.contains("(bea@mill.example)")
                && said.contains("--accept widened:adopted_clerk"),
            "{said}"
        );
        erp.follow(&[&bea[..], &["--accept", "widened:adopted_clerk"]].concat());
        assert_eq!(check(&erp, "yard", "bea@mill.example", "adopted.gate.close"), 0);
        // The other's plan does not say that nothing changed.
        let run = erp.mill_plan(&words).ended(1);
        let said = run.told();
        assert!(
            said.contains("what stands here is not what the other system allows")
                && said.contains("bea@mill.example: +adopted.gate.close"),
            "{said}"
        );
    }
);

both_engines!(
    a_login_that_an_account_gave_up_by_another_run_is_nobody_elses_unasked,
    async |database: TestDatabase| {
        let erp = Erp::taken_over(&database, 20).await;
        let zero = "user0@toys.example";
        erp.take_role("toys-co", zero);
        erp.follow(&["--accept", "away:user0@toys.example"]);
        // They are deleted in one run, and come again by another.
        let delete =
            "update users set email = 'deleted_0_user0@toys.example', is_active = false where id = 0";
        database.maintain(delete).await.unwrap();
        erp.follow(&["--accept", "flag:logins"]);
        let again = format!("insert into users values (99, '{zero}', 'Zero', 'accountant', true, 1, null)");
        database.maintain(&again).await.unwrap();
        let run = erp.plan(&[]).ended(1);
        let said = run.told();
        assert!(
            said.contains("1 user is new there with a login that another account had before")
                && said.contains(
                    "user0@toys.example, whose account is deleted_0_user0@toys.example now, by user 99"
                )
                && said.contains("--accept handed-over:LOGIN"),
            "{said}"
        );
        erp.apply(&[]).ended(2);
        erp.follow(&["--accept", "handed-over:user0@toys.example"]);
        assert_eq!(check(&erp, "toys-co", zero, POST), 0);
        erp.plan(&[]).ended(0);
    }
);

both_engines!(
    a_role_that_people_built_on_one_that_gives_more_is_asked_about,
    async |database: TestDatabase| {
        let erp = yard(&database).await;
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        // Nobody but the system's own users holds the role itself.
        for (key, parent) in [("night", "adopted_clerk"), ("late_night", "night"), ("idle", "adopted_clerk")]
        {
            let words =
                ["roles", "create", "--org", "yard", "--key", key, "--name", key, "--parents", parent];
            erp.run(&words).ended(0);
        }
        erp.run(&["members", "add", "--org", "yard", "--login", "zoe@yard.example"]).ended(0);
        erp.run(&["members", "add", "--org", "yard", "--login", "yan@yard.example"]).ended(0);
        let team = ["teams", "create", "--org", "yard", "--key", "watch", "--name", "Watch"];
        erp.run(&[&team[..], &["--members", "zoe@yard.example"]].concat()).ended(0);
        for (role, subject) in [("night", "member:yan@yard.example"), ("late_night", "team:watch")] {
            let words = ["assignments", "assign", "--org", "yard", "--role", role, "--subject", subject];
            erp.run(&[&words[..], &["--reason", "by hand", "--to", "2099-01-01T00:00:00Z"]].concat())
                .ended(0);
        }
        let members = ["--accept", "member:zoe@yard.example", "--accept", "member:yan@yard.example"];
        database.maintain("insert into duties_rights values (1, 2)").await.unwrap();
        let run = erp.plan(&members).ended(1);
        let said = run.told();
        assert!(
            said.contains("role adopted_clerk of yard gives more by this run, and 2 roles that people built on it give it to others")
                && said.contains("(late_night with 1 member, night with 1 member)")
                && said.contains("--accept widened:adopted_clerk"),
            "{said}"
        );
        // Another role's name is none of it.
        let run = erp.plan(&[&members[..], &["--accept", "widened:adopted_clerc"]].concat()).ended(1);
        assert!(run.told().contains("no run of this system makes a role of this key"), "{}", run.out);
        erp.plan(&[&members[..], &["--accept", "widened:adopted_guard"]].concat()).ended(1);
        assert_eq!(check(&erp, "yard", "zoe@yard.example", "adopted.gate.close"), 1);
        erp.follow(&[&members[..], &["--accept", "widened:adopted_clerk"]].concat());
        assert_eq!(check(&erp, "yard", "zoe@yard.example", "adopted.gate.close"), 0);
    }
);

both_engines!(
    superusers_of_two_systems_in_one_organization_have_roles_of_their_own,
    async |database: TestDatabase| {
        let erp = yard(&database).await;
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        let (eve, sue) = ("eve@yard.example", "sue@mill.example");
        database.maintain(MILL).await.unwrap();
        erp.mill("yard");
        let members = ["ann", "bob", "eve"].map(|who| format!("member:{who}@yard.example"));
        let mut words = vec!["--accept", "organization:yard"];
        words.extend(members.iter().flat_map(|member| ["--accept", member.as_str()]));
        // Of other roles no second one is made: the plan says so.
        database.maintain("insert into mill_duties_rights values (1, 2)").await.unwrap();
        let run = erp.mill_plan(&words).ended(1);
        let said = "yard has a role adopted_clerk already, and it allows something else than \"clerk\" there";
        assert!(
            run.told().contains(said) && !run.told().contains("role adopted-superuser"),
            "{}",
            run.told()
        );
        database.maintain("delete from mill_duties_rights where right_id = 2").await.unwrap();
        let run = erp.mill_plan(&words).ended(0);
        assert!(run.out.contains("adopted-superuser-mill"), "{}", run.out);
        erp.apply(&["--plan", "mill.json"]).ended(0);
        assert_eq!(erp.assignments("yard", sue), ["adopted-superuser-mill"]);
        assert_eq!(erp.assignments("yard", eve), ["adopted-superuser"]);
        assert_eq!(check(&erp, "yard", sue, "adopted.pay.run"), 0);
        assert_eq!(check(&erp, "yard", sue, "adopted.gate.close"), 1);
        assert_eq!(check(&erp, "yard", eve, "adopted.pay.run"), 1);
        // Each keeps its own with the runs that follow.
        let run = erp.mill_plan(&words).ended(0);
        assert!(run.out.contains("nothing changed since run 2"), "{}", run.out);
        let of_mill = ["--accept", "member:bea@mill.example", "--accept", "member:sue@mill.example"];
        let run = erp.plan(&of_mill).ended(0);
        assert!(run.out.contains("nothing changed since run 1"), "{}", run.out);
    }
);
