//! The rules T2 to E8 of entitlements, a row for each sentence; engine and reference path are both asked.

use crate::world::*;
use charter_kernel::entitlement::*;
use charter_kernel::facts::*;
use charter_kernel::*;
use charter_policy::reference::{self, agree};

const READ: &str = "sales.invoices.read";
const APPROVE: &str = "sales.invoices.approve";
const ORDER: &str = "sales.orders.create";

/// Member 1 administers, so that only entitlements can stand in the way; there is no row yet.
fn bare() -> OrganizationFacts {
    let mut facts = facts();
    facts.assignments.push(assign("org_admin", 1));
    facts.entitlements.clear();
    facts
}

#[track_caller]
fn decide(facts: &OrganizationFacts, who: u128, code: &str) -> Decision {
    let check = check(who, code, None);
    let decided = shard(facts).decide(&check);
    let explained = reference::decide(&INDEX, facts, &check);
    assert!(agree(&decided, &explained.decision), "engine {decided:?}, reference {explained:#?}");
    decided
}

#[track_caller]
fn says(rows: &[EntitlementFact], code: &str, reason: Reason) {
    let mut facts = bare();
    facts.entitlements = rows.to_vec();
    assert_eq!(decide(&facts, 1, code).reason, reason);
}

fn row(part: Option<&str>, status: EntitlementStatus, from: Option<i64>, to: Option<i64>) -> EntitlementFact {
    EntitlementFact { window: window(from, to), ..entitlement("sales", part, status) }
}

fn by(source: EntitlementSource, row: EntitlementFact) -> EntitlementFact {
    EntitlementFact { source, source_id: String::new(), ..row }
}

use EntitlementStatus::{Blocked, Disabled, Enabled, Preview};
use Reason::{
    EntitlementBlocked, EntitlementExpired, GrantedByRole, NotEntitled, PreviewOnly, ReadOnly,
    SubmoduleNotEntitled,
};

#[test]
fn e2_modules_that_are_always_on_need_no_row_and_cannot_be_blocked() {
    says(&[], "admin.users.read", GrantedByRole);
    says(&[entitlement("admin", None, Blocked)], "admin.users.read", GrantedByRole);
}

#[test]
fn e3_a_blocked_row_in_force_beats_everything() {
    says(&[row(None, Enabled, None, None), row(None, Blocked, None, None)], READ, EntitlementBlocked);
    says(
        &[row(None, Enabled, None, None), row(Some("billing"), Blocked, None, None)],
        READ,
        EntitlementBlocked,
    );
    says(&[row(None, Enabled, None, None), row(Some("billing"), Blocked, None, None)], ORDER, GrantedByRole);
    says(&[row(None, Enabled, None, None), row(None, Blocked, None, Some(0))], READ, GrantedByRole);
    says(&[row(None, Enabled, None, None), row(None, Blocked, Some(1), None)], READ, GrantedByRole);
}

#[test]
fn e4_without_any_row_the_legacy_document_decides() {
    let mut facts = bare();
    for (document, reason) in [
        (None, NotEntitled),
        (Some(r#"{"Sales": "YES"}"#), GrantedByRole),
        (Some(r#"{"old_sales": 1}"#), GrantedByRole),
        (Some(r#"["sales"]"#), GrantedByRole),
        (Some(r#"{"sales": false}"#), NotEntitled),
        (Some("{"), NotEntitled),
    ] {
        facts.organization.enabled_modules = document.map(Into::into);
        assert_eq!(decide(&facts, 1, READ).reason, reason, "{document:?}");
    }
    // A row, in force or not, stops the document.
    facts.organization.enabled_modules = Some(r#"{"sales": true}"#.into());
    for stopping in [row(None, Disabled, None, None), row(None, Enabled, Some(5), None)] {
        facts.entitlements = vec![stopping];
        assert_eq!(decide(&facts, 1, READ).reason, NotEntitled);
    }
}

#[test]
fn e5_an_enabled_row_in_force_from_any_source_entitles() {
    says(&[row(None, Enabled, None, None)], READ, GrantedByRole);
    says(&[row(None, Enabled, Some(0), Some(1))], READ, GrantedByRole);
    let disabled = row(None, Disabled, None, None);
    says(
        &[disabled.clone(), by(EntitlementSource::Trial, row(None, Enabled, None, None))],
        READ,
        GrantedByRole,
    );
    says(&[disabled], READ, NotEntitled);
}

#[test]
fn e6_a_preview_row_entitles_those_on_the_list() {
    let mut facts = bare();
    facts.entitlements = vec![row(None, Preview, None, None)];
    assert_eq!(decide(&facts, 1, READ).reason, PreviewOnly);
    facts.previews.push(PreviewFact { module: key("sales"), principal: principal(1) });
    assert_eq!(decide(&facts, 1, READ).reason, GrantedByRole);
    facts.entitlements.push(row(Some("orders"), Disabled, None, None));
    assert_eq!(decide(&facts, 1, ORDER).reason, SubmoduleNotEntitled);
    facts.previews.clear();
    assert_eq!(decide(&facts, 1, ORDER).reason, PreviewOnly);
}

#[test]
fn e7_after_the_end_come_grace_then_reading_then_nothing() {
    let ended = EntitlementFact {
        grace_until: Some(at(0)),
        read_only_until: Some(at(10)),
        ..row(None, Enabled, None, Some(-10))
    };
    let grace = EntitlementFact { grace_until: Some(at(5)), ..ended.clone() };
    let over = EntitlementFact { read_only_until: Some(at(0)), ..ended.clone() };
    let mut facts = bare();
    facts.entitlements = vec![grace.clone()];
    let decision = decide(&facts, 1, APPROVE);
    assert_eq!(
        (decision.reason, decision.in_grace, decision.valid_until),
        (GrantedByRole, true, Some(at(5)))
    );
    says(std::slice::from_ref(&ended), READ, GrantedByRole);
    says(std::slice::from_ref(&ended), "sales.invoices.export", GrantedByRole);
    says(std::slice::from_ref(&ended), APPROVE, ReadOnly);
    says(std::slice::from_ref(&over), READ, EntitlementExpired);
    // The row that ended last decides, whatever the others would give.
    let earlier = EntitlementFact { window: window(None, Some(-20)), ..grace.clone() };
    says(&[earlier, over.clone()], READ, EntitlementExpired);
    says(&[over, by(EntitlementSource::Trial, row(None, Enabled, None, None))], READ, GrantedByRole);
    says(&[row(None, Enabled, Some(10), None)], READ, NotEntitled);
}

#[test]
fn e8_a_part_follows_its_own_rows_else_its_module() {
    let module = row(None, Enabled, None, None);
    says(&[module.clone(), row(Some("orders"), Disabled, None, None)], ORDER, SubmoduleNotEntitled);
    says(&[module.clone(), row(Some("orders"), Disabled, None, None)], READ, GrantedByRole);
    says(
        &[
            module.clone(),
            row(Some("orders"), Disabled, None, None),
            by(EntitlementSource::Addon, row(Some("orders"), Enabled, None, None)),
        ],
        ORDER,
        GrantedByRole,
    );
    // The granting source lists its parts, and this one is not among them.
    says(&[module.clone(), row(Some("orders"), Enabled, None, None)], READ, SubmoduleNotEntitled);
    says(&[module.clone(), row(Some("orders"), Enabled, None, None)], ORDER, GrantedByRole);
    // It still lists them when the listed row has ended.
    says(&[module.clone(), row(Some("orders"), Enabled, None, Some(0))], ORDER, SubmoduleNotEntitled);
    // Another source that lists does not narrow the one that gives all.
    says(
        &[module.clone(), by(EntitlementSource::Addon, row(Some("orders"), Enabled, None, None))],
        READ,
        GrantedByRole,
    );
    // The same source under another id is another source.
    let other = EntitlementFact { source_id: "p2".into(), ..row(Some("orders"), Enabled, None, None) };
    says(&[module.clone(), other], READ, GrantedByRole);
    // A part without its module gives nothing.
    says(&[row(None, Disabled, None, None), row(Some("orders"), Enabled, None, None)], ORDER, NotEntitled);
}

#[test]
fn in_grace_the_parts_that_ended_with_the_module_run_on() {
    let ended = |part| EntitlementFact {
        grace_until: Some(at(5)),
        read_only_until: Some(at(50)),
        ..row(part, Enabled, None, Some(-10))
    };
    says(&[ended(None), ended(Some("billing"))], APPROVE, GrantedByRole);
    says(&[ended(None), ended(Some("billing"))], ORDER, SubmoduleNotEntitled);
}

#[test]
fn reasons_change_at_the_boundaries_the_answer_names() {
    let mut facts = bare();
    facts.entitlements = vec![EntitlementFact {
        grace_until: Some(at(20)),
        read_only_until: Some(at(30)),
        ..row(None, Enabled, Some(-10), Some(10))
    }];
    let shard = shard(&facts);
    let mut seen = Vec::new();
    let mut asked = check(1, APPROVE, None);
    asked.now = at(-20);
    loop {
        let decision = shard.decide(&asked);
        seen.push((decision.reason, decision.in_grace));
        let Some(next) = decision.valid_until else { break };
        asked.now = next;
    }
    assert_eq!(
        seen,
        [
            (NotEntitled, false),
            (GrantedByRole, false),
            (GrantedByRole, true),
            (ReadOnly, false),
            (EntitlementExpired, false)
        ]
    );
}
