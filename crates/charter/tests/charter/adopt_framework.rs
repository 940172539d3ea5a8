//! Real frameworks make their databases and say what everybody may do. They are taken over, and a running service gives the same answers, pair for
//! pair; what they wrote is what it was before, byte for byte, with a run and after its rollback.

use crate::outage::ask;
use crate::program::{Place, Run};
use charter_testkit::{both_engines, company, database::TestDatabase, dump};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Permissions of each user.
type Held = BTreeMap<String, BTreeSet<String>>;

/// A company of a framework, and Charter beside it.
struct Company {
    place: Place,
    url: String,
    variables: Vec<(&'static str, String)>,
    permissions: BTreeSet<String>,
    told: Held,
}

fn words(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

impl Company {
    /// Made by a script; Charter's tables stand in a file of their own, or in a schema of the same database.
    fn of(database: &TestDatabase, script: &str) -> Self {
        let place = Place::new();
        let own = database.options().url.clone();
        let (url, variables) = match own.starts_with("postgres") {
            true => {
                let schema = ("CHARTER_DATABASE_SCHEMA", "charter".to_owned());
                (own.clone(), vec![("CHARTER_DATABASE", own), schema])
            }
            false => {
                std::fs::create_dir(place.path("other")).unwrap();
                (format!("sqlite:{}", place.path("other/legacy.sqlite").display()), Vec::new())
            }
        };
        let answers: Value = serde_json::from_str(&company::made_by(script, &url)).unwrap();
        let told = answers["users"].as_object().unwrap().iter();
        let told: Held = told.map(|(login, held)| (login.clone(), words(held))).collect();
        assert!(told.values().filter(|held| !held.is_empty()).count() > 20);
        Self { place, url, variables, permissions: words(&answers["permissions"]), told }
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.place.run_with(arguments, &self.variables())
    }

    /// All of the other system: each file of its folder, or its database but for the schema of Charter.
    fn dump(&self) -> BTreeMap<String, Vec<u8>> {
        if self.url.starts_with("postgres") {
            let written = dump::without_schema(&self.url, "charter").into_bytes();
            return BTreeMap::from([("database".to_owned(), written)]);
        }
        let files = std::fs::read_dir(self.place.path("other")).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
        files.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
    }

    /// What a running service says of everybody, in the words of the framework.
    fn answers(&self) -> Held {
        let codes = self.run(&["adopt", "codes", "--from", &self.url, "--json"]).ended(0).json();
        let codes: Vec<(String, String)> = codes["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                (it["permission"].as_str().unwrap().to_owned(), it["code"].as_str().unwrap().to_owned())
            })
            .collect();
        let known: BTreeSet<String> = codes.iter().map(|(permission, _)| permission.clone()).collect();
        assert_eq!(known, self.permissions, "every permission there is a code here");
        let server = self.place.serve_with(&[], &self.variables());
        let token = std::fs::read_to_string(self.place.path("charter-data/operator-token")).unwrap();
        let path = "/api/v1/organizations/company/checks/batch";
        let mut held = Held::new();
        for login in self.told.keys() {
            let checks: Vec<Value> = codes.iter().map(|(_, code)| json!({ "permission": code })).collect();
            let body = json!({ "defaults": { "subject": login }, "checks": checks }).to_string();
            let answer = ask(&server.address, token.trim(), "POST", path, &body).expect("it answers");
            assert_eq!(answer.status, 200, "{login}: {}", answer.body);
            let answers: Value = serde_json::from_str(&answer.body).unwrap();
            let answers = answers["answers"].as_array().unwrap();
            assert_eq!(answers.len(), codes.len());
            let pairs = codes.iter().zip(answers);
            let allowed = pairs.filter(|(_, answer)| answer["decision"] == "allow");
            held.insert(login.clone(), allowed.map(|((permission, _), _)| permission.clone()).collect());
        }
        assert_eq!(server.stop(), 0);
        held
    }

    /// Takes it over, compares every pair, and gives it back.
    fn agrees(&self) {
        let before = self.dump();
        let from = self.url.as_str();
        self.run(&["adopt", "inspect", "--from", from, "--propose", "roles.toml"]);
        self.run(&["adopt", "plan", "--from", from, "--map", "roles.toml"]).ended(0);
        let run = self.run(&["adopt", "apply", "--no-backup", "Ann"]).ended(0);
        assert!(run.told().contains("nobody gained and nobody lost"), "{}", run.out);
        let held = self.answers();
        for (login, told) in &self.told {
            assert_eq!(&held[login], told, "{login}");
        }
        same(&before, &self.dump());
        let run = self.run(&["adopt", "rollback", "--from", from]).ended(0);
        assert!(run.told().contains("as before, byte for byte"), "{}", run.out);
        same(&before, &self.dump());
    }
}

/// Told apart by name, and by the first line that differs.
fn same(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) {
    let (was, is): (Vec<_>, Vec<_>) = (before.keys().collect(), after.keys().collect());
    assert_eq!(was, is, "nothing is there that was not");
    for (name, bytes) in before {
        if *bytes != after[name] {
            let (was, is) = (String::from_utf8_lossy(bytes), String::from_utf8_lossy(&after[name]));
            let line = was.lines().zip(is.lines()).find(|(was, is)| was != is);
            panic!("{name}: {} bytes before, {} now: {line:?}", bytes.len(), after[name].len());
        }
    }
}

both_engines!(a_company_of_django_is_taken_over_pair_for_pair, async |database: TestDatabase| {
    Company::of(&database, "django_company.py").agrees();
});

both_engines!(a_company_of_flask_appbuilder_is_taken_over_pair_for_pair, async |database: TestDatabase| {
    Company::of(&database, "flask_company.py").agrees();
});
