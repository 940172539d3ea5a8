//! A faulty document is refused whole, every fault at once with its line, and no text at all makes the reader panic.

use charter_catalogue::{SHIPPED, parse, parse_own, print};
use proptest::prelude::*;

fn faults(text: &str) -> Vec<String> {
    parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

const HEAD: &str = "format = \"charter-catalogue/1\"\nversion = \"1\"\nunmapped_legacy_role = \"deny\"\n[levels]\nadmin = 4\nmanager = 3\ndeveloper = 2\nviewer = 1\n";

#[test]
fn every_fault_is_named_at_once_with_its_line_and_what_to_do() {
    let text = format!(
        "{HEAD}[actions]\nread = 7\n\"Bad Word\" = \"No\"\n[permissions]\n\"sales.invoices\" = {{ submodule = \"a\", description = \"d\", dangerous = false }}\n\
         \"sales.invoices.read\" = {{ submodule = \"A b\", descripton = \"d\", dangerous = \"no\" }}\n[roles.r]\nname = \"R\"\nlevel = \"boss\"\n[extra]\n"
    );
    assert_eq!(
        faults(&text),
        [
            "line 10: actions.read: a text is expected here, not a whole number",
            "line 11: actions.\"Bad Word\": `Bad Word` cannot be the last word of a permission code; use a-z, 0-9 and _",
            "line 13: permissions.\"sales.invoices\": `sales.invoices` is not a permission code: three lower-case words joined by dots are \
             expected, for example sales.invoices.read",
            "line 14: permissions.\"sales.invoices.read\": `description` is missing",
            "line 14: permissions.\"sales.invoices.read\".dangerous: true or false is expected here, not a text",
            "line 14: permissions.\"sales.invoices.read\".descripton: unknown key; did you mean `description`?",
            "line 14: permissions.\"sales.invoices.read\".submodule: `A b` is not a key: 1 to 64 characters from a-z, 0-9, _ and -, \
             beginning with a letter",
            "line 15: roles.r: `aliases` is missing",
            "line 15: roles.r: `description` is missing",
            "line 15: roles.r: `permissions` is missing",
            "line 15: roles.r: `scope` is missing",
            "line 15: roles.r: `sod_exempt` is missing",
            "line 17: roles.r.level: `boss` is not known here; write one of admin, manager, developer, viewer",
            "line 18: extra: unknown key; the document knows actions, conflicts, format, levels, limits, modules, permissions, plans, \
             resource_types, retired, roles, unmapped_legacy_role, version",
        ]
    );
}

#[test]
fn a_document_without_its_format_is_told_which_line_to_add() {
    assert_eq!(
        faults(&HEAD.replace("format = \"charter-catalogue/1\"\n", "")),
        ["line 1: `format` is missing; add the line format = \"charter-catalogue/1\" at the top"]
    );
    let own: Vec<String> =
        parse_own("version = \"toys.1\"\n").unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        own,
        ["line 1: `format` is missing; add the line format = \"charter-catalogue-extension/1\" at the top"]
    );
}

#[test]
fn the_format_the_levels_and_the_numbers_are_checked() {
    assert_eq!(
        faults(
            "format = \"charter-policy/1\"\nversion = \" \"\nunmapped_legacy_role = \"viewer\"\n[levels]\nadmin = 5\nmanager = 3\ndeveloper = 2\nviewer = 1\n"
        ),
        [
            "line 1: format: `charter-policy/1` is another format; write format = \"charter-catalogue/1\"",
            "line 2: version: the version is empty; write one such as \"2026.11.0\"",
            "line 3: unmapped_legacy_role: `viewer` is not known here; write one of deny",
            "line 5: levels.admin: the number of this level is fixed; write 4",
        ]
    );
    let plan = "[plans.p]\nname = \"P\"\ndescription = \"d\"\nrank = 99999999999999999999\ntrial_days = -1\nmodules = []\n[plans.p.limits]\nusers = { value = -5, enforcement = \"hard\" }\n";
    assert_eq!(
        faults(&format!("{HEAD}{plan}")),
        [
            "line 12: plans.p.rank: the number is too large; 64 bits with sign is the most",
            "line 13: plans.p.trial_days: -1 days is no trial; write 0 (none) to 3650",
            "line 16: plans.p.limits.users.value: a limit is 0 or more; leave `value` out for unlimited",
        ]
    );
}

#[test]
fn broken_toml_and_a_key_written_twice_are_told_by_line() {
    let found = faults(&format!("{HEAD}[actions]\nread = \"a\"\nread = \"b\"\n"));
    assert!(found.iter().any(|fault| fault.starts_with("line 11: ")), "{found:#?}");
    let found = faults("format = \n[[[");
    assert!(!found.is_empty());
    assert!(!faults("").is_empty());
    assert!(!faults(&"[".repeat(100_000)).is_empty());
    assert!(!faults(&format!("a = {}", "[".repeat(100_000))).is_empty());
}

#[test]
fn a_limit_without_a_value_is_unlimited_and_survives_print() {
    let plan = "[plans.p]\nname = \"P \\\"x\\\" \\u00e4\\t\"\ndescription = \"d\"\nrank = -1\ntrial_days = 0\nmodules = []\n[plans.p.limits]\nusers = { enforcement = \"report\" }\n";
    let read = parse(&format!("{HEAD}{plan}")).unwrap();
    assert_eq!(read.plans.first().unwrap().limits.first().unwrap().value, None);
    assert_eq!(parse(&print(&read)).unwrap(), read);
}

/// Lines that a mutation may put anywhere.
fn snippet() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\[\\]a-z_.\"'={}, \n#0-9-]{0,60}",
        ".{0,40}",
        Just("[roles.accountant]\n".to_owned()),
        Just("\"*.*.*\" = 1\n".to_owned()),
        Just("parents = [\"viewer\"]\n".to_owned()),
        Just("depends_on = [\"crm\"]\n".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,400}") {
        let _ = parse(&text);
        let _ = parse_own(&text);
    }

    #[test]
    fn no_mutation_of_the_shipped_text_makes_the_reader_or_the_rules_panic(
        cut in 0usize..1800, drop in 0usize..4, put in snippet(),
    ) {
        let lines: Vec<&str> = SHIPPED.lines().collect();
        let cut = cut.min(lines.len());
        let mut text: String = lines.iter().take(cut).map(|line| format!("{line}\n")).collect();
        text.push_str(&put);
        text.extend(lines.iter().skip(cut + drop).map(|line| format!("{line}\n")));
        if let Ok(read) = parse(&text) {
            let _ = charter_catalogue::lint(&read);
            let printed = print(&read);
            prop_assert_eq!(parse(&printed).unwrap(), read);
        }
    }

    #[test]
    fn any_description_survives_print(description in "\\PC{0,40}|.{0,40}") {
        let mut read = charter_catalogue::shipped().unwrap();
        read.permissions.truncate(1);
        for permission in &mut read.permissions {
            permission.description.clone_from(&description);
        }
        let again = parse(&print(&read)).unwrap();
        prop_assert_eq!(again, read);
    }
}
