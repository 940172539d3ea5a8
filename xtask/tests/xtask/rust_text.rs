//! String literals told apart from code and comments.

use xtask::rust_text::literals;

fn texts(source: &str) -> Vec<String> {
    literals(source).into_iter().map(|literal| literal.text).collect()
}

#[test]
fn plain_raw_and_byte_strings_are_found() {
    assert_eq!(
        texts(r####"f("a", r"b", r#"c"d"#, b"e", br##"f"#g"##, c"h")"####),
        ["a", "b", "c\"d", "e", "f\"#g", "h"]
    );
}

#[test]
fn quotes_in_comments_characters_and_escapes_open_nothing() {
    assert_eq!(texts("// \"a\n/* \"b /* \"c */ \" */ '\"' '\\'' '\\\\' \"d\\\"e\""), ["d\\\"e"]);
    assert_eq!(texts("fn f<'a>(x: &'a str, r#type: u8) { var(\"g\") }"), ["g"]);
}

#[test]
fn a_literal_stands_on_the_line_of_its_opening_quote() {
    let lines: Vec<usize> = literals("\n\"a\nb\"\n\n\"c\"").into_iter().map(|literal| literal.line).collect();
    assert_eq!(lines, [2, 5]);
}
