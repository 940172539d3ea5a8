//! SQL and drivers on their floors, long files, unfinished words.

use crate::{one, tree, violations};

const STATEMENT: &str = "const GET: &str = \"\n    Select id\n    from grants where id = $1\";\n";

#[test]
fn a_statement_outside_the_store_is_sent_there() {
    one(&violations(&[("crates/app/src/grant.rs", STATEMENT)]), "crates/app/src/grant.rs:1:", "crates/store");
    for verb in [
        "insert into grants values ($1)",
        "update grants set a = $1",
        "delete from grants",
        "with t as (select 1) select 2",
    ] {
        let text = format!("fn f() {{\n    run(r#\"{verb}\"#);\n}}\n");
        one(&violations(&[("crates/api/src/x.rs", &text)]), "crates/api/src/x.rs:2:", "crates/store");
    }
}

#[test]
fn a_statement_in_the_store_the_seam_or_a_test_is_at_home() {
    let in_tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{STATEMENT}}}\n");
    let found = violations(&[
        ("crates/store/src/grant.rs", STATEMENT),
        ("crates/db/src/lib.rs", STATEMENT),
        ("crates/testkit/src/lib.rs", STATEMENT),
        ("crates/adopt/src/source/django.rs", STATEMENT),
        ("crates/api/tests/grant.rs", STATEMENT),
        ("crates/app/src/grant.rs", &in_tests),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_sentence_or_a_comment_with_a_verb_of_sql_is_no_statement() {
    let text = "// \"delete from grants\" is said in the store\n/* \"delete from x\" */\n\
        const A: &str = \"update the role\";\nconst B: &str = \"select a plan from the list of all plans\";\n\
        const C: &str = \"Delete a grant from a user\";\n";
    assert_eq!(violations(&[("crates/api/src/text.rs", text)]), Vec::<String>::new());
}

#[test]
fn a_driver_is_named_in_the_seam_only() {
    let text = concat!("use rusq", "lite::Connection;\n");
    one(&violations(&[("crates/testkit/src/lib.rs", text)]), "crates/testkit/src/lib.rs:1:", "charter-db");
    one(&violations(&[("crates/store/tests/a.rs", text)]), "crates/store/tests/a.rs:1:", "charter-db");
    assert_eq!(violations(&[("crates/db/src/sqlite.rs", text)]), Vec::<String>::new());
}

#[test]
fn a_file_over_600_lines_is_refused_and_one_over_400_is_noted() {
    let lines = |count: usize| "// a line\n".repeat(count);
    one(&violations(&[("crates/app/src/long.rs", &lines(601))]), "crates/app/src/long.rs:601:", "600");
    assert_eq!(violations(&[("crates/app/tests/long.rs", &lines(900))]), Vec::<String>::new());

    let root = tree(&[("crates/app/src/a.rs", &lines(401)), ("crates/app/src/b.rs", &lines(400))]);
    let report = xtask::tidy::check(root.path()).unwrap();
    assert!(report.violations.is_empty());
    let noted: Vec<_> = report.notes.iter().map(|note| note.path.as_str()).collect();
    assert_eq!(noted, ["crates/app/src/a.rs"]);
}

#[test]
fn words_that_promise_later_work_are_refused() {
    for text in [
        concat!("fn f() { to", "do!() }\n"),
        concat!("fn f() { unimple", "mented!() }\n"),
        concat!("#[ig", "nore]\n"),
        concat!("// FIX", "ME later\n"),
        concat!("// XX", "X\n"),
        concat!("// good enough. For ", "now, that is\n"),
    ] {
        assert_eq!(violations(&[("xtask/src/a.rs", text)]).len(), 1, "{text}");
    }
    let harmless = concat!("// the answer for ", "nowhere\nlet valid_for ", "now_id = 1;\n");
    assert_eq!(violations(&[("xtask/src/a.rs", harmless)]), Vec::<String>::new());
}
