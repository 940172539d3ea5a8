//! `charter users import`: a file of another system's users, looked at whole and taken over.

use crate::program::Place;

const VECTORS: &str = include_str!("../../../app/src/identity/adopted_hash/vectors.jsonl");

fn hash_of(source: &str) -> String {
    let vectors = VECTORS.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut fitting =
        vectors.filter(|vector| vector["source"] == source && vector["password"] == "correct horse battery");
    fitting.next().unwrap()["hash"].as_str().unwrap().to_owned()
}

#[test]
fn a_file_of_users_is_taken_over_and_they_sign_in() {
    let place = Place::new();
    let server = place.serve(&[]);
    let (django, werkzeug) = (hash_of("django pbkdf2_sha256"), hash_of("werkzeug scrypt:1024:8:1"));
    place.write(
        "users.csv",
        &format!("email,name,password\nann@old.example,\"Old, Ann\",{django}\nbob@old.example,,{werkzeug}\n"),
    );
    let run = place.run(&["users", "import", "users.csv", "--dry-run"]).ended(0);
    assert!(run.out.contains("new accounts: 2") && run.out.contains("nothing was written"), "{}", run.out);
    let run = place.run(&["users", "import", "users.csv", "--json"]).ended(0).json();
    assert_eq!((&run["made"], &run["wrapped"]), (&2.into(), &2.into()), "{run}");
    let run = place.run(&["users", "import", "users.csv"]).ended(0);
    assert!(run.out.contains("ann@old.example keeps theirs"), "{}", run.out);
    let login = ["auth", "login", "--login", "ann@old.example", "--body", "-"];
    let run = place.feed(&login, r#"{"password":"correct horse battery"}"#).ended(0);
    assert!(run.out.contains("eyJ"), "{}", run.out);
    drop(server);
}

#[test]
fn while_one_line_is_wrong_nothing_is_written() {
    let place = Place::new();
    drop(place.serve(&[]));
    let good = hash_of("bcrypt");
    let mut lines = String::new();
    for number in 0..150 {
        let hash = if number == 120 { "hunter2" } else { &good };
        lines.push_str(&format!("{{\"login\":\"user{number}@old.example\",\"hash\":\"{hash}\"}}\n"));
    }
    place.write("users.jsonl", &lines);
    let run = place.run(&["users", "import", "users.jsonl"]).ended(2);
    assert!(run.err.contains("line 121: password_hash: the format is not known"), "{}", run.err);
    assert!(!run.err.contains("hunter2") && run.err.contains("nothing was written"), "{}", run.err);
    let run = place.feed(
        &["users", "import", "-", "--format", "csv", "--dry-run"],
        &format!("login,hash\nuser0@old.example,{good}\n"),
    );
    assert!(run.ended(0).out.contains("new accounts: 1"), "nobody of the file with the fault is there");
    let run = place.run(&["users", "import", "users.txt"]).ended(2);
    assert!(run.err.contains("--format"), "{}", run.err);
    let run = place.feed(&["users", "import", "-", "--format", "csv"], "login,hash,salary\nx,y,1\n").ended(2);
    assert!(run.err.contains("\"salary\" is unknown"), "{}", run.err);
}
