//! The operator's book agrees with the program.

use crate::program::Place;

const GUIDE: &str = include_str!("../../../../docs/guide/configuration.md");

#[test]
fn the_table_of_settings_is_the_list_of_the_program() {
    let document = Place::new().run(&["config", "show", "--json"]).ended(0).json();
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows: Vec<String> = document["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let flag = match text(row, "flag") {
                flag if flag.is_empty() => "none".to_owned(),
                flag => format!("`{flag}`"),
            };
            format!(
                "| `{}` | {flag} | `{}` | {} | {} |",
                text(row, "key"),
                text(row, "variable"),
                text(row, "default"),
                text(row, "summary")
            )
        })
        .collect();
    let written: Vec<&str> = GUIDE.lines().filter(|line| line.contains("| `CHARTER_")).collect();
    assert_eq!(written, rows, "write these rows:\n{}", rows.join("\n"));
}

const ADOPTION: &str = include_str!("../../../../docs/guide/adoption.md");

#[test]
fn the_guide_of_adoption_names_each_reader_and_each_kind_of_anomaly() {
    let help = Place::new().run(&["adopt", "inspect", "--help"]).ended(0).out;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, named) = help.split_once("[possible values: ").unwrap();
    let named: Vec<&str> = named.split_once(']').unwrap().0.split(',').map(str::trim).collect();
    assert_eq!(named.len(), 9, "{named:?}");
    for system in named {
        assert!(ADOPTION.contains(&format!("\n| `{system}` |")), "{system}");
    }
    for kind in charter_adopt::anomaly::AnomalyKind::ALL {
        let word = serde_json::to_value(kind).unwrap();
        assert!(ADOPTION.contains(&format!("`{}`", word.as_str().unwrap())), "{word}");
    }
}

#[test]
fn the_mapping_of_the_guide_is_a_mapping() {
    let blocks: Vec<&str> = ADOPTION
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(text, _)| text)
        .collect();
    let mapping = charter_adopt::mapping::parse(&blocks.concat()).unwrap();
    assert_eq!(mapping.roles.len(), 4);
    let tables = mapping.tables.unwrap();
    assert!(tables.users.password.is_some() && tables.organizations.is_some());
    assert_eq!(mapping.organization.unwrap().key.as_str(), "company");
}
