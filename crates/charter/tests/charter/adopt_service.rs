//! Through a service: what is written down of a run names the database that the service works on, or no run begins.

use crate::adopt_run::Erp;
use charter_testkit::{both_engines, database::TestDatabase};
use serde_json::{Value, json};

both_engines!(
    a_run_begins_through_a_service_with_the_configuration_of_its_database_alone,
    async |database: TestDatabase| {
        let erp = Erp::with(&database, 3).await;
        let from = erp.url();
        // The service has a database that commands without its configuration know nothing of.
        let mut service = erp.variables();
        if service.is_empty() {
            service.push(("CHARTER_DATABASE", "sqlite:elsewhere.db".to_owned()));
        }
        let service: Vec<(&str, &str)> =
            service.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let apply = ["adopt", "apply", "--no-backup", "Ann"];
        let record = erp.place.path("charter-data/adoption/run-000001.json");
        let is_refused = |why: &str| {
            let run = erp.place.run(&apply).ended(2);
            for part in [
                "another database than this command is told of",
                why,
                "--database-schema",
                "nothing was written",
            ] {
                assert!(run.told().contains(part), "{part}: {}", run.told());
            }
            let told = erp.place.run(&["adopt", "status", "--json"]).ended(0).json();
            assert_eq!(told["items"], json!([]), "no run began");
            assert!(!record.exists());
        };
        let server = erp.place.serve_with(&[], &service);
        erp.place.run(&["adopt", "inspect", "--from", &from, "--propose", "roles.toml"]);
        erp.place.run(&["adopt", "plan", "--from", &from, "--map", "roles.toml"]).ended(0);
        is_refused("there is no file");
        assert_eq!(server.stop(), 0);
        erp.place.run(&["migrate", "up"]).ended(0);
        let server = erp.place.serve_with(&[], &service);
        is_refused("which holds no installation");
        assert_eq!(server.stop(), 0);
        erp.place.run(&["organizations", "create", "--key", "other", "--name", "Other"]).ended(0);
        let server = erp.place.serve_with(&[], &service);
        is_refused("which holds another installation");
        // With the configuration of the service the run says where its rows are.
        erp.place.run_with(&apply, &service).ended(0);
        let proof = ["adopt", "verify", "--from", &from, "--proof", "proof.json"];
        let run = erp.place.run(&proof).ended(2);
        assert!(run.told().contains("which holds another installation"), "{}", run.told());
        erp.place.run_with(&proof, &service).ended(0);
        let read = |path| serde_json::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap();
        let (recorded, proved) = (read(record.clone()), read(erp.place.path("proof.json")));
        let scheme = service[0].1.split(':').next().unwrap();
        let place = recorded["database"].as_str().unwrap();
        assert!(place.starts_with(scheme) && !place.contains("charter.db"), "{recorded:#}");
        assert_eq!(proved["installation"]["database"], recorded["database"], "{proved:#}");
        assert_eq!(server.stop(), 0);
    }
);
