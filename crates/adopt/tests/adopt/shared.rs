//! What the stories of readers share: tables made by hand, the reading of them, and what everybody may do by it.

use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::answers::Answers;
use charter_adopt::source::{self, Heard, LoginRule, ReadError, System, Tables, Wanted};
use charter_db::foreign::Foreign;
use charter_testkit::database::TestDatabase;
use std::collections::{BTreeMap, BTreeSet};

/// Logins as these tests compare them; the program brings its own rule.
pub fn rule(login: &str) -> Result<String, String> {
    if login.contains(' ') { Err("no blanks".to_owned()) } else { Ok(login.to_lowercase()) }
}

/// Makes tables, and the rows of them.
pub async fn made(database: &TestDatabase, text: &str) {
    database.maintain(text).await.unwrap();
}

/// Reads a database; its tables give the system away.
pub async fn read(url: &str, system: System) -> Result<Heard, ReadError> {
    let mut foreign = Foreign::open(url).await.unwrap();
    let all = foreign.tables().await.unwrap();
    let tables = Tables::new(&foreign, &all, None);
    assert_eq!(source::detect(&tables)?, [system]);
    let statements = source::statements(&tables, system, None)?;
    source::read(&mut foreign, &statements, rule as LoginRule, &mut |_, _| {}).await
}

/// The same of a test's own database.
pub async fn heard(database: &TestDatabase, system: System) -> Heard {
    read(&database.options().url, system).await.unwrap()
}

/// Why a test's own database cannot be read.
pub async fn refused(database: &TestDatabase, system: System) -> Wanted {
    match read(&database.options().url, system).await.unwrap_err() {
        ReadError::Wanted(wanted) => wanted,
        ReadError::Database { error, .. } => panic!("{error}"),
    }
}

/// What each user may do; a user of several organizations stands with each.
pub fn may(heard: &Heard) -> BTreeMap<String, BTreeSet<String>> {
    let facts = &heard.facts;
    let mut answers = Answers::new(facts);
    let mut all = BTreeMap::new();
    for user in facts.users.iter() {
        let bits = answers.of(user);
        let codes = facts.permissions.iter().enumerate();
        let codes = codes.filter(|(place, _)| bits.has(*place)).map(|(_, code)| code.clone()).collect();
        let organization = user.organization.and_then(|place| facts.organizations.get(place as usize));
        let organization = organization.map_or(String::new(), |it| format!("@{}", it.id));
        assert!(all.insert(format!("{}{organization}", user.login), codes).is_none(), "{}", user.login);
    }
    all
}

/// Codes, parted by blanks.
pub fn codes(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// What was noted of a kind: row and detail.
pub fn noted(heard: &Heard, kind: AnomalyKind) -> Vec<(String, String)> {
    let found = heard.anomalies.iter().filter(|(other, ..)| *other == kind);
    found.flat_map(|(_, _, rows)| rows.iter().map(|it| (it.row.clone(), it.detail.clone()))).collect()
}
