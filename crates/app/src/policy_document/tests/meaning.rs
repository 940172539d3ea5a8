//! What a document says is what is in force after it, and nothing else changes.

use super::{NOW, applied, catalogue, counter, empty, faults, key, member, pattern, toys};
use crate::change::{Change, Edit, changes};
use crate::policy_document::{PolicyCases, export, parse, resolve};
use charter_kernel::{AssignmentId, GrantId, PrincipalId, Timestamp, Window};

#[test]
fn applying_an_export_changes_nothing_and_exports_the_same_bytes() {
    let before = toys();
    let text = export(&before);
    let after = applied(&text, &before);
    assert_eq!(changes(&before, &after), []);
    assert_eq!(after, before);
    assert_eq!(export(&after), text);
}

#[test]
fn an_export_reads_well_and_is_sorted_whatever_the_order_of_rows() {
    let mut turned = toys();
    turned.teams.reverse();
    turned.conditions.reverse();
    turned.roles.reverse();
    turned.assignments.reverse();
    turned.grants.reverse();
    turned.blocks.reverse();
    turned.resources.reverse();
    turned.members.reverse();
    for team in &mut turned.teams {
        team.members.reverse();
    }
    for role in &mut turned.roles {
        role.permissions.reverse();
        role.parents.reverse();
    }
    let text = export(&toys());
    assert_eq!(export(&turned), text);
    assert!(
        text.starts_with("format = \"charter-policy/1\"\norganization = \"toys\"\n\n[conditions.careful]\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "\n[teams.sewing]\nname = \"Sewing \\\"A\\\"\"\nparent = \"production\"\nmembers = [\n  \"ann@toys.example\",\n  \"robot\",\n]\n"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "\n[[grants]]\nid = \"00000000-0000-0000-0000-000000000041\"\nprincipal = \"ann@toys.example\"\neffect = \"allow\"\n\
             permission = \"sales.invoices.post\"\nresource = \"invoices:A:10/42 ü\"\nfrom = 2026-05-28T20:26:39.999995Z\n\
             to = 2026-05-29T20:26:40Z\ncondition = \"office\"\nreason = \"two\\nlines\"\n"
        ),
        "{text}"
    );
    assert!(text.contains("  { permission = \"sales.orders.update\", condition = \"office\" },\n"), "{text}");
    assert!(
        text.contains("attributes = { a = -7, amount = 12.0, b = { \"c d\" = [1, true, \"x\"] } }\n"),
        "{text}"
    );
}

#[test]
fn a_whole_policy_can_be_put_into_an_organization_that_has_none() {
    let mut before = empty();
    before.members.push(member(99, "eve@toys.example"));
    let mut wanted = toys();
    wanted.members = before.members.clone();
    let text = export(&wanted);
    let after = applied(&text, &before);
    assert_eq!(export(&after), text);
    assert!(after.grants.iter().all(|row| row.given_by == Some(PrincipalId(11)) && row.given_at == NOW));
    assert_eq!(changes(&after, &applied(&text, &after)), []);
}

#[test]
fn an_empty_document_takes_everything_away_and_leaves_members_alone() {
    let before = toys();
    let after = applied("format = \"charter-policy/1\"\norganization = \"toys\"\n", &before);
    assert_eq!(after.members, before.members);
    let rows = changes(&before, &after);
    assert_eq!(rows.len(), 2 + 2 + 2 + 2 + 2 + 5 + 3);
    assert!(rows.iter().all(|row| !matches!(row, Change::Member(_))));
}

#[test]
fn an_edited_row_stays_the_same_row_and_only_it_is_given_anew() {
    let before = toys();
    let text = export(&before).replace("reason = \"stock taking\"", "reason = \"stock taking in May\"");
    let after = applied(&text, &before);
    let rows = changes(&before, &after);
    let [Change::Grant(Edit::Update(was, is))] = rows.as_slice() else { panic!("{rows:#?}") };
    assert_eq!((was.id, is.id), (GrantId(0x40), GrantId(0x40)));
    assert_eq!(is.given_by, Some(PrincipalId(11)));
    assert_eq!(is.given_at, NOW);
    assert_eq!(after.grants[0], before.grants[0]);
}

#[test]
fn a_new_entry_gets_an_id_once_and_applying_it_again_changes_nothing() {
    let before = toys();
    let text = format!(
        "{}\n[[assignments]]\nteam = \"production\"\nrole = \"planner\"\nto = \"2026-12-31T00:00:00+01:00\"\n",
        export(&before)
    );
    let after = applied(&text, &before);
    let rows = changes(&before, &after);
    let [Change::Assignment(Edit::Insert(row))] = rows.as_slice() else { panic!("{rows:#?}") };
    assert_eq!(row.id, AssignmentId(0x1001));
    assert_eq!(row.window.to(), Some("2026-12-30T23:00:00Z".parse().unwrap()));
    assert_eq!(changes(&after, &applied(&text, &after)), []);
}

#[test]
fn ids_may_be_left_out_everywhere() {
    let before = toys();
    let text: String = export(&before)
        .lines()
        .filter(|line| !line.starts_with("id = "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(changes(&before, &applied(&text, &before)), []);
}

#[test]
fn a_row_that_was_odd_before_does_not_stop_an_edit_elsewhere() {
    let mut before = toys();
    before.assignments[1].role = key("role_of_an_older_catalogue");
    before.grants[1].pattern = pattern("old.code.read");
    before.grants[1].reason = String::new();
    before.blocks[0].window = Window::new(None, Some(Timestamp(1))).unwrap();
    let text = export(&before).replace("Sewing \\\"A\\\"", "Sewing");
    let rows = changes(&before, &applied(&text, &before));
    assert!(matches!(rows.as_slice(), [Change::Team(Edit::Update(..))]), "{rows:#?}");
}

#[test]
fn a_role_that_is_taken_out_while_somebody_holds_it_is_told() {
    let before = toys();
    let text = export(&before);
    let (start, end) = (text.find("\n[roles.night_clerk]").unwrap(), text.find("\n[[assignments]]").unwrap());
    let found = faults(&format!("{}{}", &text[..start], &text[end..]), &before);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("no role `night_clerk`"), "{found:#?}");
}

/// A small generator of numbers, so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn text(&mut self) -> String {
        let letters: Vec<char> = "ab \"\\{}[]=#.'\n\tüß漢\u{7f}".chars().collect();
        (0..self.roll(9)).map(|_| letters[self.roll(letters.len() as u64) as usize]).collect()
    }
}

#[test]
fn parts_of_a_policy_in_any_order_export_and_apply_without_change() {
    let mut dice = Dice(42);
    for round in 0..300 {
        let mut before = toys();
        before.assignments.retain(|_| dice.roll(3) > 0);
        before.grants.retain(|_| dice.roll(3) > 0);
        before.blocks.retain(|_| dice.roll(3) > 0);
        before.resources.retain(|_| dice.roll(3) > 0);
        if dice.roll(2) == 0 {
            before.roles.reverse();
            before.teams.reverse();
            before.blocks.reverse();
        }
        for grant in &mut before.grants {
            grant.reason = dice.text();
            grant.window = match dice.roll(3) {
                0 => Window::ALWAYS,
                1 => Window::new(None, Some(Timestamp(dice.roll(1 << 30) as i64 * 1_000_003))).unwrap(),
                _ => Window::new(Some(Timestamp(dice.roll(1 << 30) as i64 * 999_999)), None).unwrap(),
            };
        }
        for resource in &mut before.resources {
            let map: serde_json::Map<String, serde_json::Value> = (0..dice.roll(4))
                .map(|_| (dice.text(), serde_json::json!([dice.text(), dice.roll(100), dice.roll(7) as f64 / 3e20, {"k": dice.text()}])))
                .collect();
            resource.attributes = serde_json::Value::Object(map).to_string();
        }
        let text = export(&before);
        let after = applied(&text, &before);
        assert_eq!(after, before, "round {round}:\n{text}");
        assert_eq!(export(&after), text, "round {round}");
    }
}

#[test]
fn no_mutation_of_a_document_makes_the_reader_panic() {
    let text = export(&toys());
    let lines: Vec<&str> = text.lines().collect();
    let mut dice = Dice(7);
    for _ in 0..500 {
        let mut turned: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(turned.len() as u64) as usize;
            match dice.roll(4) {
                0 => drop(turned.remove(at)),
                1 => turned[at] = dice.text(),
                2 => turned.insert(at, dice.text()),
                _ => {
                    let other = dice.roll(turned.len() as u64) as usize;
                    turned.swap(at, other);
                }
            }
        }
        let turned = turned.join("\n");
        if let Ok(document) = parse(&turned) {
            let _ = resolve(&document, &toys(), catalogue(), &mut counter(1), NOW, None);
        }
        let _ = PolicyCases::parse(&turned);
    }
}
