//! What people took away or stopped by hand, and a run that is taken back: it is counted, told, and no rollback undoes it unasked.

use crate::adopt_run::{Erp, check};
use charter_testkit::{both_engines, database::TestDatabase};

const POST: &str = "finance.journal_entries.create";

impl Erp<'_> {
    fn close(&self, organization: &str) {
        self.run(&["organizations", "close", "--org", organization, "--reason", "fraud"]).ended(0);
    }

    fn organization(&self, key: &str) -> String {
        let told = self.run(&["organizations", "get", "--org", key, "--json"]).ended(0).json();
        told["status"].as_str().unwrap().to_owned()
    }
}

both_engines!(a_rollback_tells_what_people_took_away_and_stopped, async |database: TestDatabase| {
    let erp = Erp::taken_over(&database, 40).await;
    let (zero, three, member) = ("user0@toys.example", "user3@toys.example", "user12@toys.example");
    erp.run(&["adopt", "rollback", "--dry-run"]).ended(0);
    erp.take_role("toys-co", zero);
    erp.run(&[
        "members",
        "update",
        "--org",
        "toys-co",
        "--member",
        three,
        "--account-status",
        "deactivated",
        "--reason",
        "fired",
    ])
    .ended(0);
    erp.remove_member("toys-co", member);
    let soap = erp.run(&["organizations", "list", "--json"]).ended(0).json();
    let soap = soap["items"].as_array().unwrap().iter().find(|it| it["name"].to_string().contains("Soap"));
    let soap = soap.unwrap()["key"].as_str().unwrap().to_owned();
    erp.close(&soap);
    for words in [&["adopt", "rollback", "--dry-run"][..], &["adopt", "rollback"]] {
        let run = erp.run(words).ended(2);
        for said in [
            "2 rights taken away by hand",
            "1 account stopped by hand",
            "1 membership ended by hand",
            "1 organization closed by hand",
        ] {
            assert!(run.told().contains(said), "{said}: {}", run.told());
        }
    }
    let run = erp.run(&["adopt", "rollback", "--dry-run", "--discard"]).ended(0);
    assert!(run.told().contains("accounts stopped by hand (1)"), "{}", run.out);
    assert_eq!(check(&erp, "toys-co", "user9@toys.example", POST), 1);
    erp.run(&["adopt", "rollback", "--discard"]).ended(0);
    // The organization that people closed is not opened by a run.
    let run = erp.plan(&[]).ended(1);
    assert!(
        run.told().contains("closed or suspended here and are active there") && run.told().contains(&soap),
        "{}",
        run.out
    );
    erp.apply(&[]).ended(2);
    assert_eq!(erp.organization(&soap), "closed");
    assert_eq!(erp.organization("toys-co"), "closed");
    database.maintain("update organizations set is_active = false where id = 2").await.unwrap();
    // Nor does it bring whom people stopped.
    let run = erp.plan(&[]).ended(1);
    assert!(run.told().contains("people stopped 3 users here, or took something from them"), "{}", run.out);
    let back = [zero, three, member].map(|login| format!("back:{login}"));
    let [zero_back, three_back, member_back] = back.each_ref().map(|name| ["--accept", name.as_str()]);
    let words =
        [&zero_back[..], &three_back, &member_back, &["--approved-by", "Ann", "--approved-by", "Bob"]];
    erp.plan(&words.concat()).ended(0);
    erp.apply(&[]).ended(0);
    erp.verify().ended(0);
    erp.plan(&[]).ended(0);
    assert_eq!(
        (erp.organization(&soap).as_str(), erp.organization("toys-co").as_str()),
        ("closed", "active")
    );
});

both_engines!(
    a_run_that_was_taken_back_to_a_step_opens_its_organizations_again,
    async |database: TestDatabase| {
        let erp = Erp::taken_over(&database, 20).await;
        // That somebody was denied stands in the trail of the organization, so it stays.
        assert_eq!(check(&erp, "toys-co", "user0@toys.example", "admin.roles.update"), 1);
        erp.run(&["adopt", "rollback", "--to", "schema"]).ended(0);
        assert_eq!(erp.organization("toys-co"), "closed");
        erp.apply(&[]).ended(0);
        erp.verify().ended(0);
        assert_eq!(erp.organization("toys-co"), "active");
        assert_eq!(check(&erp, "toys-co", "user0@toys.example", POST), 0);
        // Closed by people meanwhile it is theirs to open.
        erp.run(&["adopt", "rollback", "--to", "schema"]).ended(0);
        erp.run(&["organizations", "resume", "--org", "toys-co", "--reason", "a mistake"]).ended(0);
        erp.close("toys-co");
        assert_ne!(erp.apply(&[]).code, 0);
        assert_eq!(erp.organization("toys-co"), "closed");
    }
);
