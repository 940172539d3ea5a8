//! Separation of duties, a row for each sentence.

use crate::world::*;
use charter_kernel::facts::*;
use charter_kernel::*;
use charter_policy::sod;

const LEFT: &str = "sales.orders.create";
const RIGHT: &str = "sales.invoices.approve";

#[track_caller]
fn held(facts: &OrganizationFacts) -> usize {
    sod::conflicts(&INDEX, facts, principal(1), NOW).len()
}

fn granted(code: &str) -> GrantFact {
    grant(code.len() as u128, 1, Effect::Allow, code, Reach::Organization)
}

#[test]
fn both_sides_from_whatever_source_are_a_conflict() {
    let mut facts = facts();
    facts.grants = vec![granted(LEFT)];
    assert_eq!(held(&facts), 0);
    facts.grants.push(granted(RIGHT));
    let found = sod::conflicts(&INDEX, &facts, principal(1), NOW);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].conflict, key("own_orders"));
    assert_eq!(found[0].left[0].permission.as_str(), LEFT);
    assert_eq!(found[0].left[0].through, ["grant 00000000-0000-0000-0000-000000000013"]);

    facts.grants.pop();
    facts.teams = vec![team(1, None, &[]), team(2, Some(1), &[1])];
    facts.roles = vec![own_role("approver", Level::Manager, &[], &[RIGHT])];
    let mut through = assign("approver", 1);
    through.subject = Subject::Team(TeamId(1));
    facts.assignments.push(through);
    assert_eq!(held(&facts), 1);
    assert_eq!(sod::members_of_team(&facts, TeamId(1)).into_iter().collect::<Vec<_>>(), [principal(1)]);
    let holders = sod::holders_of_role(&INDEX, &facts, &key("approver"), NOW);
    assert_eq!(holders.into_iter().collect::<Vec<_>>(), [principal(1)]);
    assert_eq!(sod::conflicts_of(&INDEX, &facts, facts.members.iter().map(|it| it.principal), NOW).len(), 1);
}

#[test]
fn one_role_that_holds_both_sides_is_a_conflict_and_its_parents_count() {
    let mut facts = facts();
    facts.assignments.push(assign("boss", 1));
    assert_eq!(held(&facts), 1);
}

#[test]
fn what_comes_later_or_under_a_condition_counts_and_what_is_over_does_not() {
    let mut facts = facts();
    facts.conditions = conditions();
    facts.grants = vec![granted(LEFT), granted(RIGHT)];
    facts.grants[1].window = window(Some(100), None);
    facts.grants[0].condition = Some(key("mfa"));
    assert_eq!(held(&facts), 1);
    facts.grants[1].window = window(None, Some(0));
    assert_eq!(held(&facts), 0);
    facts.grants[1].window = Window::ALWAYS;
    facts.grants.push(GrantFact { id: GrantId(99), effect: Effect::Deny, ..granted(RIGHT) });
    assert_eq!(held(&facts), 1);
}

#[test]
fn holders_of_an_exempt_role_are_exempt_while_they_hold_it_for_certain() {
    let mut facts = facts();
    facts.conditions = conditions();
    facts.grants = vec![granted(LEFT), granted(RIGHT)];
    facts.assignments.push(assign("org_admin", 1));
    assert_eq!(held(&facts), 0);
    facts.assignments[0].window = window(Some(10), None);
    assert_eq!(held(&facts), 1);
    facts.assignments[0].window = Window::ALWAYS;
    facts.assignments[0].condition = Some(key("mfa"));
    assert_eq!(held(&facts), 1);
}
