//! Paths and links in Markdown.

use crate::{one, violations};

#[test]
fn a_quoted_path_that_does_not_exist_is_named() {
    let found =
        violations(&[("A.md", "See\n`crates/kernel/src/grant.rs` and `docs/`.\n"), ("docs/x.md", "")]);
    one(&found, "A.md:2:", "crates/kernel/src/grant.rs");
}

#[test]
fn a_quoted_path_may_carry_a_line_or_a_placeholder() {
    let text = "`docs/x.md:3`, `docs/x.md#top`, `docs/*.md`, `docs/<page>.md`, `docs/{a,b}.md`, `migrations/NNNN` x\n";
    one(&violations(&[("A.md", text), ("docs/x.md", "")]), "A.md:1:", "migrations/NNNN");
    one(&violations(&[("A.md", "`docs/missing/*.md`\n"), ("docs/x.md", "")]), "A.md:1:", "docs/missing");
}

#[test]
fn other_quoted_texts_and_fenced_blocks_are_left_alone() {
    let text = "`api/v1/check`, `cargo run -p xtask/`, `a/b`\n\n```\n`crates/none.rs`\n[x](none.md)\n```\n";
    assert_eq!(violations(&[("A.md", text)]), Vec::<String>::new());
}

#[test]
fn a_link_leads_to_a_file_relative_to_its_document() {
    let good =
        "[a](../A.md#part) [b](x.md) [c](https://example.org/x) [d](#here) [e](mailto:a@example.org)\n";
    assert_eq!(violations(&[("A.md", ""), ("docs/x.md", good)]), Vec::<String>::new());
    one(&violations(&[("docs/x.md", "[a](none.md)\n")]), "docs/x.md:1:", "none.md");
    one(&violations(&[("docs/x.md", "[a](../../etc/passwd)\n")]), "docs/x.md:1:", "nowhere");
}
