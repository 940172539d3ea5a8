//! The file of a proof and its signature: what an auditor finds in it, and what a change of one letter does.

use crate::adopt_run::Erp;
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::{Value, json};

both_engines!(the_proof_has_all_that_an_auditor_asks_and_is_signed, async |database: TestDatabase| {
    let erp = Erp::with(&database, 40).await;
    erp.mapped("viewer");
    let approved = ["--accept", "boss", "--approved-by", "Ann", "--approved-by", "Bob"];
    erp.plan(&approved).ended(0);
    let run = erp.apply(&["--proof", "mine.json"]).ended(0);
    assert!(run.told().contains("the proof is signed:"), "{}", run.out);
    let kept = erp.place.path("charter-data/adoption/proof-000001.json");
    let text = std::fs::read_to_string(&kept).unwrap();
    assert_eq!(std::fs::read_to_string(erp.place.path("mine.json")).unwrap(), text);
    let proof: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&proof["format"], &proof["run"], &proof["holds"]), (&json!(2), &json!(1), &json!(true)));
    assert!(proof["tool"].as_str().unwrap().starts_with("charter "), "{proof:#}");
    let source = &proof["source"];
    assert_eq!((&source["name"], &source["system"]), (&json!("legacy"), &json!("role_column")));
    let is_postgres = erp.url().starts_with("postgres");
    assert_eq!(source["engine"], if is_postgres { "postgres" } else { "sqlite" });
    assert_eq!(source["server_version"].is_string(), is_postgres, "{source:#}");
    assert!(source["address"].as_str().unwrap().starts_with(if is_postgres {
        "postgres://"
    } else {
        "sqlite:"
    }));
    let sums = source["tables_before"].as_object().unwrap();
    assert_eq!(sums.len(), 2, "{source:#}");
    assert!(sums.values().any(|it| it["rows"] == 40 && it["sha256"].as_str().unwrap().len() == 64));
    assert_eq!((&source["tables_after"], &source["tables_changed"]), (&source["tables_before"], &json!([])));
    assert!(proof["by"]["account"].is_string() && proof["by"]["machine"] != "", "{proof:#}");
    let times =
        ["run_started_at", "started_at", "ended_at"].map(|name| proof[name].as_str().unwrap().to_owned());
    assert!(times[1] <= times[0] && times[0] < times[2], "{times:?}");
    assert_eq!(proof["backup"], json!({"without": "Ann"}));
    let mapping = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
    assert_eq!(proof["mapping"]["text"], mapping);
    assert_eq!(proof["mapping"]["sha256"].as_str().unwrap().len(), 64);
    let boss = proof["roles"].as_array().unwrap().iter().find(|it| it["name"] == "boss").unwrap();
    assert_eq!((&boss["becomes"], &boss["users"]), (&json!("viewer"), &json!(5)));
    assert_eq!((&proof["rows"]["users"], &proof["rows_new"]["users"]), (&json!(40), &json!(40)));
    assert_eq!(
        (&proof["accepted"], &proof["approved_by"]),
        (&json!(["boss", "superadmin"]), &json!(["Ann", "Bob"]))
    );
    assert_eq!((&proof["names"]["is_whole"], &proof["names"]["whole_list"]), (&json!(true), &Value::Null));
    assert!(proof["before"]["what"].as_str().unwrap().contains("shipped role of the same name"));
    assert_eq!(proof["before"]["roles_without"], json!(["boss"]));
    assert!(proof["equivalence"]["verdict"]["pairs"].as_u64().unwrap() > 1_000);

    let path = kept.to_str().unwrap().to_owned();
    for path in [path.as_str(), "mine.json"] {
        let run = erp.run(&["adopt", "check-proof", path]).ended(0);
        for said in
            ["is as it was signed at", "run 1 of legacy", "it is the proof by which the run is applied"]
        {
            assert!(run.told().contains(said), "{said}: {}", run.out);
        }
    }
    // The sum stands in the trail too, and the signature with the step.
    let told =
        erp.run(&["audit", "list", "--org", "platform", "--action", "adoption.proof", "--json"]).ended(0);
    assert_eq!(told.json()["items"].as_array().unwrap().len(), 1);
    // A letter more, another's signature, and none.
    erp.place.write("forged.json", &text.replace("\"Bob\"", "\"Eve\""));
    let run = erp.run(&["adopt", "check-proof", "forged.json"]).ended(2);
    assert!(run.told().contains("--signature FILE names another"), "{}", run.err);
    let run = erp.run(&["adopt", "check-proof", "forged.json", "--signature", "mine.json.jws"]).ended(1);
    assert!(run.told().contains("the file was changed after it was signed"), "{}", run.out);

    // A later proof, of what is so by then: it is signed, and does not hold.
    database.maintain("update users set role = 'Viewer' where id = 0").await.unwrap();
    let from = erp.url();
    erp.run(&["adopt", "verify", "--from", &from, "--proof", "later.json"]).ended(1);
    let run = erp.run(&["adopt", "check-proof", "later.json"]).ended(1);
    assert!(run.told().contains("before was not after") && !run.told().contains("is applied"), "{}", run.out);
    let later: Value =
        serde_json::from_str(&std::fs::read_to_string(erp.place.path("later.json")).unwrap()).unwrap();
    assert_eq!(later["source"]["tables_changed"].as_array().unwrap().len(), 1, "{later:#}");
    assert_eq!(later["backup"], json!({"without": "Ann"}));
    database.maintain("update users set role = 'accountant' where id = 0").await.unwrap();

    // Taken back to its proof, and wholly: the signature holds, and it is said what became of the run.
    erp.run(&["adopt", "rollback", "--to", "data"]).ended(0);
    let run = erp.run(&["adopt", "check-proof", "mine.json"]).ended(0);
    assert!(run.told().contains("the run is not applied now"), "{}", run.out);
    erp.run(&["adopt", "rollback"]).ended(0);
    let run = erp.run(&["adopt", "check-proof", "mine.json"]).ended(0);
    assert!(run.told().contains("the run was taken back since, at 20"), "{}", run.out);
    let checked = erp.run(&["adopt", "check-proof", "mine.json", "--json"]).ended(0).json();
    assert_eq!(checked["signature"]["run_state"], "undone", "{checked:#}");

    // Nothing that a revoked key signed proves anything.
    let checked = erp.run(&["adopt", "check-proof", "mine.json", "--json"]).ended(0).json();
    let kid = checked["signature"]["kid"].as_str().unwrap().to_owned();
    erp.run(&["keys", "revoke", &kid, "--compromised"]).ended(0);
    let run = erp.run(&["adopt", "check-proof", "mine.json"]).ended(1);
    assert!(run.told().contains("was revoked"), "{}", run.out);
});

both_engines!(
    what_verify_accepts_by_itself_is_approved_by_nobody_in_its_proof,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 7).await;
        erp.mapped("none");
        erp.plan(&["--approved-by", "Ann", "--approved-by", "Bob"]).ended(0);
        erp.apply(&[]).ended(0);
        let read = |name: &str| -> Value {
            serde_json::from_str(&std::fs::read_to_string(erp.place.path(name)).unwrap()).unwrap()
        };
        let from = erp.url();
        // The same again is covered by those who approved the plan.
        erp.run(&["adopt", "verify", "--from", &from, "--proof", "same.json", "--accept", "boss"]).ended(0);
        let same = read("same.json");
        assert_eq!(
            (&same["made_by"], &same["accepted_by_verify"]),
            (&json!("verify"), &json!([])),
            "{same:#}"
        );
        assert_eq!(
            (&same["approved_by"], &same["mapping"]["sha256_of_run"]),
            (&json!(["Ann", "Bob"]), &Value::Null)
        );
        let run = erp.run(&["adopt", "check-proof", "same.json"]).ended(0);
        assert!(run.told().contains("a proof of charter adopt verify, and not the run's own"), "{}", run.out);
        assert!(!run.told().contains("beyond the plan"), "{}", run.out);
        // An accountant is given more by hand, and one person alone says that it is to be so.
        let give = ["assignments", "assign", "--org", "toys-co", "--role", "org_admin", "--subject"];
        erp.run(&[&give[..], &["member:user0@toys.example"]].concat()).ended(0);
        let text = std::fs::read_to_string(erp.place.path("roles.toml")).unwrap();
        erp.place.write(
            "more.toml",
            &text.replace("\"accountant\" = \"accountant\"", "\"accountant\" = \"org_admin\""),
        );
        let forge = ["adopt", "verify", "--from", &from, "--map", "more.toml", "--accept", "accountant"];
        erp.run(&[&forge[..], &["--proof", "forged.json"]].concat()).ended(0);
        let forged = read("forged.json");
        assert_eq!(
            (&forged["accepted_by_verify"], &forged["approved_by"]),
            (&json!(["accountant"]), &json!([]))
        );
        assert_eq!(forged["accepted"], json!(["boss", "superadmin"]));
        assert_eq!(forged["mapping"]["sha256_of_run"], same["mapping"]["sha256"]);
        let run = erp.run(&["adopt", "check-proof", "forged.json"]).ended(0);
        for said in [
            "a proof of charter adopt verify, and not the run's own",
            "verify accepted beyond the plan, and nobody approved it: accountant",
            "another mapping than the run's, and nobody approved it",
        ] {
            assert!(run.told().contains(said), "{said}: {}", run.out);
        }
        let checked = erp.run(&["adopt", "check-proof", "forged.json", "--json"]).ended(0).json();
        assert_eq!(checked["accepted_by_verify"], json!(["accountant"]), "{checked:#}");
        let own = erp.place.path("charter-data/adoption/proof-000001.json").display().to_string();
        let run = erp.run(&["adopt", "check-proof", &own]).ended(0);
        assert!(!run.told().contains("charter adopt verify"), "{}", run.out);
    }
);
