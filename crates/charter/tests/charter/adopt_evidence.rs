//! What a run leaves in the data folder as evidence: an installation that comes after a rescue writes over nothing.

use crate::adopt_run::Erp;
use charter_testkit::{both_engines, database::TestDatabase};
use std::collections::BTreeMap;
use std::path::Path;

/// The files of a folder, byte for byte.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_evidence = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        path.is_file() && (name.starts_with("proof-") || name.starts_with("run-"))
    };
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    entries.filter(is_evidence).map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
}

both_engines!(records_and_proofs_of_an_installation_that_is_gone_are_kept, async |database: TestDatabase| {
    let erp = Erp::with(&database, 20).await;
    erp.mapped("none");
    erp.plan(&[]).ended(0);
    erp.apply(&[]).ended(0);
    for role in ["Viewer", "accountant"] {
        database.maintain(&format!("update users set role = '{role}' where id = 0")).await.unwrap();
        erp.follow(&[]);
    }
    let folder = erp.place.path("charter-data/adoption");
    let from = erp.url();
    let rescue = ["rescue", "--organization", "toys-co", "--from", &from, "--step", "2", "--step", "6"];
    erp.run(&rescue).ended(0);
    let before = files(&folder);
    assert_eq!(before.keys().filter(|name| name.starts_with("proof-")).count(), 6, "{:?}", before.keys());
    assert!(String::from_utf8_lossy(&before["run-000003.json"]).contains("\"rescued\""));
    // Nothing is there any more: the record goes on telling what there was.
    let run = erp.run(&["rescue", "--dry-run", "--step", "3"]).ended(0);
    assert!(run.told().contains("2 of 2 tables are what they were"), "{}", run.out);
    // People work on there, and a new installation begins: the record says nothing about it.
    database.maintain("update users set full_name = 'Other' where id = 3").await.unwrap();
    erp.run(&["migrate", "up"]).ended(0);
    erp.run(&["organizations", "list"]).ended(0);
    let run = erp.run(&["rescue", "--dry-run", "--step", "3"]).ended(1);
    assert!(run.err.contains("is of an installation that a rescue took away"), "{}", run.err);
    erp.plan(&[]).ended(0);
    let run = erp.apply(&[]).ended(0);
    assert!(run.told().contains("records and proofs of another installation lie in"), "{}", run.out);
    let aside = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut aside = aside.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("earlier-"));
    assert_eq!(files(&aside.next().expect("a folder of what was there")), before);
    assert_eq!(aside.next(), None);
    let own: Vec<String> = files(&folder).into_keys().collect();
    assert_eq!(own, ["proof-000001.json", "proof-000001.json.jws", "run-000001.json"]);
    // A rescue compares with what there was when this one began.
    let run = erp.run(&["rescue", "--dry-run", "--step", "3"]).ended(0);
    assert!(run.told().contains("2 of 2 tables are what they were"), "{}", run.out);
    erp.run(&["adopt", "check-proof", "charter-data/adoption/proof-000001.json"]).ended(0);
});
