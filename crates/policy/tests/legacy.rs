//! The legacy document, a row for each way it was written.

use charter_policy::{Index, legacy};

fn index() -> Index {
    Index::new(&charter_catalogue::parse(charter_catalogue::SHIPPED).unwrap()).unwrap()
}

#[test]
fn the_legacy_document_is_read_exactly() {
    let index = index();
    let rows: &[(&str, &[&str])] = &[
        (r#"{"crm": true}"#, &["crm"]),
        (r#"{"CRM": true}"#, &["crm"]),
        (r#"{"Crm": true}"#, &["crm"]),
        (r#"{" cRm ": true}"#, &["crm"]),
        (r#"{"Human_Resources": true}"#, &["hr"]),
        (r#"{"crm": 1, "sales": "1", "finance": "TRUE", "hr": "Yes"}"#, &["crm", "finance", "hr", "sales"]),
        (r#"{"crm": "on", "sales": "Enabled"}"#, &["crm", "sales"]),
        (
            r#"{"crm": {"enabled": true}, "sales": {"enabled": "yes", "seats": 5}, "hr": {"enabled": 0}}"#,
            &["crm", "sales"],
        ),
        (r#"{"crm": {"seats": 5}, "sales": []}"#, &[]),
        (r#"{"crm": false, "sales": 0, "hr": "0", "finance": "no", "quality": null, "assets": 2}"#, &[]),
        (r#"["crm", " SALES ", "leads"]"#, &["crm", "sales"]),
        (r#""[\"crm\"]""#, &["crm"]),
        (r#""{\"crm\": true}""#, &["crm"]),
        ("null", &[]),
        ("", &[]),
        ("   ", &[]),
        (r#""""#, &[]),
        ("{}", &[]),
    ];
    for (document, on) in rows {
        let read = legacy::enabled_modules(Some(document), &index);
        let found: Vec<&str> = read.on.iter().map(charter_kernel::Key::as_str).collect();
        assert_eq!(&found, on, "{document}");
        assert!(!read.unreadable, "{document}");
    }
    assert_eq!(legacy::enabled_modules(None, &index), legacy::LegacyModules::default());
}

#[test]
fn what_cannot_be_read_is_off_and_says_so() {
    let index = index();
    let deep = "[".repeat(5000);
    for document in ["{", "crm", "true", "7", r#""crm""#, r#""\"[]\"""#, r#"{"crm": true} x"#, &deep] {
        let read = legacy::enabled_modules(Some(document), &index);
        assert!(read.unreadable && read.on.is_empty(), "{document}: {read:?}");
    }
}

#[test]
fn names_that_fold_to_one_module_are_named_and_on_wins() {
    let index = index();
    for document in [
        r#"{"CRM": true, "crm": false}"#,
        r#"{"crm": false, "leads": true}"#,
        r#"{"crm": true, "crm": false}"#,
    ] {
        let read = legacy::enabled_modules(Some(document), &index);
        assert_eq!(read.folded_twice.iter().map(|it| it.as_str()).collect::<Vec<_>>(), ["crm"], "{document}");
        assert_eq!(read.on.len(), 1, "{document}");
    }
    let read = legacy::enabled_modules(Some(r#"{"crm": true, "spaceships": true}"#), &index);
    assert_eq!(read.unknown, ["spaceships"]);
}

#[test]
fn a_value_that_says_neither_on_nor_off_is_off_and_named() {
    let index = index();
    let odd = r#"{"crm": "maybe", "sales": 2, "hr": -1, "finance": [], "quality": {"seats": 5}, "assets": {"enabled": "soon"}}"#;
    let read = legacy::enabled_modules(Some(odd), &index);
    assert!(read.on.is_empty(), "{read:?}");
    let named: Vec<(&str, &str)> =
        read.odd.iter().map(|(module, value)| (module.as_str(), value.as_str())).collect();
    assert_eq!(
        named,
        [
            ("crm", "\"maybe\""),
            ("sales", "2"),
            ("hr", "-1"),
            ("finance", "a list"),
            ("quality", "an object that does not say `enabled`"),
            ("assets", "an object that does not say `enabled`"),
        ]
    );
    let said = r#"{"crm": "Off", "sales": 0, "hr": "disabled", "finance": null, "quality": "", "assets": {"enabled": "no"}, "reports": "ON"}"#;
    let read = legacy::enabled_modules(Some(said), &index);
    assert!(read.odd.is_empty(), "{read:?}");
    assert_eq!(read.on.iter().map(charter_kernel::Key::as_str).collect::<Vec<_>>(), ["reports"]);
}
