//! Passwords that change in the other system are followed, as long as nobody signed in here; and whoever moves there leaves nothing behind.

use crate::adopt_run::{Erp, check};
use charter_db::{Database, Options};
use charter_testkit::{both_engines, database::TestDatabase};
use std::io::Write;
use std::process::Stdio;

const ONE: &str = "correct horse battery";
const OTHER: &str = "wrong donkey capacitor";
/// Strong hashes of both, which are kept as they are.
const STRONG: &str = "$pbkdf2-sha512$210000$c2FsdCBvZiB0aGUgZmlyc3Q$kn8Bp6yx7SKNJUpaEu1qijxl..7gR6Dqb6yIZpc1f21QtKL8j2f.cOGiZ4A2hY1/b9jGcnm6SR2FexZMFoORvQ";
const STRONG_OTHER: &str = "$pbkdf2-sha512$210000$c2FsdCBvZiB0aGUgb3RoZXI$/j2ZXr13h1ijPbGalHUPjMY.PsjX03uilQJ8DteNRdaKDa8o9JOT42OWeiI4OsUMvPtnzZASRk7g89AigL2PNg";
/// Weak hashes, which are wrapped: of the first, and of the other.
const WEAK: &str = "pbkdf2_sha256$1000$Ss4FU99z7FNEYQi5QdzrgA$xcxpMBVQR1dFtqWv08aCz0a9orpwo3ZRmfVl3yPhUik=";
const WEAK_OTHER: &str =
    "pbkdf2_sha256$1000$saltOfTheDonkey000000$fzd8meaIM+4VhfxsDXxMmznExr6ITl4qAm915Phx6XI=";

impl Erp<'_> {
    /// Whether somebody signs in with a password.
    fn lets_in(&self, login: &str, password: &str) -> bool {
        let mut command = self.place.command(&["auth", "login", "--login", login, "--body", "-"]);
        command.envs(self.variables()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let body = serde_json::json!({ "password": password }).to_string();
        child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.code().is_some_and(|code| code < 3), "{told}");
        told.contains("eyJ")
    }

    /// As an account stands from which a password was taken here.
    async fn lost_password(&self, login: &str) {
        let set = format!("set password_changed_at = updated_at where login = '{login}'");
        if self.url().starts_with("postgres") {
            return self.database.maintain(&format!("update charter.principals {set}")).await.unwrap();
        }
        let url = format!("sqlite:{}", self.place.path("charter-data/charter.db").display());
        let own = Database::open(&Options { url, ..self.database.options().clone() }).await.unwrap();
        own.maintain(&format!("update principals {set}")).await.unwrap();
        own.close().await.unwrap();
    }

    async fn password(&self, id: u32, hash: &str) {
        let text = format!("update users set hashed_password = '{hash}' where id = {id}");
        self.database.maintain(&text).await.unwrap();
    }
}

both_engines!(a_password_that_comes_to_be_there_is_followed_as_well, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    // None, one in a format that nobody knows, and two more: one sets a password here, from one it is taken.
    database.maintain("update users set hashed_password = null where id in (0, 9, 12)").await.unwrap();
    erp.password(3, "{SSHA}unknown").await;
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    let (own, taken) = ("user9@toys.example", "user12@toys.example");
    erp.place.write("users.csv", &format!("login,password_hash\n{own},{STRONG_OTHER}\n"));
    erp.run(&["users", "import", "users.csv"]).ended(0);
    erp.lost_password(taken).await;
    let before = erp.rows().await;
    for id in [0, 3, 9, 12] {
        erp.password(id, STRONG).await;
    }
    let run = erp.plan(&[]).ended(0);
    assert!(run.told().contains("followed: 2 passwords changed there"), "{}", run.out);
    erp.apply(&[]).ended(0);
    erp.run(&["adopt", "rollback"]).ended(0);
    crate::adopt_follow::same(&before, &erp.rows().await);
    let plan = erp.follow(&[]);
    assert_eq!(plan["passwords"], 2, "{plan:#}");
    for login in ["user0@toys.example", "user3@toys.example"] {
        assert!(erp.lets_in(login, ONE), "{login}");
    }
    assert!(erp.lets_in(own, OTHER) && !erp.lets_in(own, ONE));
    assert!(!erp.lets_in(taken, ONE));
    // There is nothing more to do.
    let run = erp.plan(&["--json"]).ended(0).json();
    let hash = run["plan"]["hash"].clone();
    assert_eq!(hash, plan["hash"]);
});

both_engines!(
    a_password_that_changes_there_is_followed_until_somebody_signs_in,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        erp.mapped("none");
        for (id, hash) in [(0, STRONG), (3, WEAK), (9, STRONG), (12, WEAK)] {
            erp.password(id, hash).await;
        }
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        // Nobody's changed: there is nothing to do.
        let run = erp.plan(&[]).ended(0);
        assert!(!run.told().contains("passwords changed"), "{}", run.out);
        // Two sign in here before theirs change there, and so have a hash of Charter's.
        assert!(erp.lets_in("user9@toys.example", ONE) && erp.lets_in("user12@toys.example", ONE));
        let before = erp.rows().await;
        for (id, hash) in [(0, STRONG_OTHER), (3, WEAK_OTHER), (9, STRONG_OTHER), (12, WEAK_OTHER)] {
            erp.password(id, hash).await;
        }
        let run = erp.plan(&[]).ended(0);
        assert!(run.told().contains("followed: 2 passwords changed there"), "{}", run.out);
        let run = erp.apply(&[]).ended(0);
        assert!(
            run.told().contains("run 2 is applied")
                && run.told().contains("2 passwords changed there and here"),
            "{}",
            run.out
        );
        // The same again is nothing.
        let run = erp.plan(&["--json"]).ended(0).json();
        assert_eq!(run["plan"]["passwords"], 2, "{run:#}");
        let run = erp.apply(&["--json"]).ended(0).json();
        assert_eq!((&run["run"], &run["changed"]), (&2.into(), &false.into()));
        // Taken back it is the one of before, and followed again by the next run.
        let run = erp.run(&["adopt", "rollback"]).ended(0);
        assert!(run.told().contains("2 rows put back"), "{}", run.out);
        crate::adopt_follow::same(&before, &erp.rows().await);
        erp.follow(&[]);
        for login in ["user0@toys.example", "user3@toys.example"] {
            assert!(!erp.lets_in(login, ONE), "{login}");
            assert!(erp.lets_in(login, OTHER), "{login}");
        }
        for login in ["user9@toys.example", "user12@toys.example"] {
            assert!(erp.lets_in(login, ONE) && !erp.lets_in(login, OTHER), "{login}");
        }
        // Whoever signed in with the new one keeps it, whatever is taken back.
        erp.run(&["adopt", "rollback", "--discard"]).ended(0);
        assert!(erp.lets_in("user0@toys.example", OTHER));
    }
);

both_engines!(
    whoever_moves_to_another_organization_leaves_no_empty_membership,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 20).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        let (toys, soap) = ("toys-co", "o-neil-soap");
        // Somebody in a team of the old organization stays a member of it.
        let team = ["teams", "create", "--org", toys, "--key", "night", "--name", "Night"];
        erp.run(&[&team[..], &["--members", "user9@toys.example"]].concat()).ended(0);
        let before = erp.rows().await;
        database.maintain("update users set organization_id = 2 where id in (0, 9)").await.unwrap();
        let plan = erp.follow(&[]);
        assert_eq!(plan["changes"]["memberships_removed"], 1, "{plan:#}");
        let is_member = |organization: &str, login: &str| {
            let told = erp.run(&["members", "list", "--org", organization, "--json"]).ended(0).json();
            told["items"].as_array().unwrap().iter().any(|it| it["login"] == login)
        };
        assert!(!is_member(toys, "user0@toys.example") && is_member(soap, "user0@toys.example"));
        assert!(is_member(toys, "user9@toys.example") && is_member(soap, "user9@toys.example"));
        let post = "finance.journal_entries.create";
        assert_ne!(check(&erp, toys, "user0@toys.example", post), 0);
        // There and back again, run by run, and all of it taken back.
        let second = erp.rows().await;
        database.maintain("update users set organization_id = 1 where id = 0").await.unwrap();
        let plan = erp.follow(&[]);
        assert_eq!(plan["changes"]["memberships_removed"], 1, "{plan:#}");
        assert!(is_member(toys, "user0@toys.example") && !is_member(soap, "user0@toys.example"));
        assert_eq!(check(&erp, toys, "user0@toys.example", post), 0);
        database.maintain("update users set organization_id = 2 where id = 0").await.unwrap();
        erp.follow(&[]);
        assert!(!is_member(toys, "user0@toys.example") && is_member(soap, "user0@toys.example"));
        erp.run(&["adopt", "rollback", "--to", "run-2"]).ended(0);
        crate::adopt_follow::same(&second, &erp.rows().await);
        erp.run(&["adopt", "rollback"]).ended(0);
        crate::adopt_follow::same(&before, &erp.rows().await);
        assert_eq!(check(&erp, toys, "user0@toys.example", post), 0);
    }
);

both_engines!(
    a_membership_that_people_ended_by_a_date_is_told_like_one_they_suspended,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 7).await;
        erp.mapped("none");
        erp.plan(&[]).ended(0);
        erp.apply(&[]).ended(0);
        let (toys, who) = ("toys-co", "user0@toys.example");
        let dated = |dates: &[&str]| {
            let update = ["members", "update", "--org", toys, "--member", who];
            erp.run(&[&update[..], dates].concat()).ended(0);
        };
        let stops = || {
            let told = erp.plan(&[]).ended(1).told();
            let said = "memberships were ended or suspended here, by hand or by a date, and stand there";
            assert!(told.contains(said) && told.contains(who), "{told}");
        };
        dated(&["--to", "2020-01-01T00:00:00Z"]);
        stops();
        // There and back again: nobody is let in by that.
        database.maintain("update users set organization_id = 2 where id = 0").await.unwrap();
        erp.follow(&[]);
        database.maintain("update users set organization_id = 1 where id = 0").await.unwrap();
        stops();
        // Neither is one that begins later in force; one that ends later is.
        dated(&["--from", "2990-01-01T00:00:00Z", "--to", "2991-01-01T00:00:00Z"]);
        stops();
        dated(&["--from", "2020-01-01T00:00:00Z", "--to", "2991-01-01T00:00:00Z"]);
        erp.follow(&[]);
        assert_eq!(check(&erp, toys, who, "finance.journal_entries.create"), 0);
    }
);
