//! The order of a decision, a row for each sentence. Every row is asked of the engine and of the reference path.

use crate::world::*;
use charter_kernel::facts::*;
use charter_kernel::*;
use charter_policy::reference::{self, agree};
use charter_policy::{Check, CheckResource, Context};

/// Asks both ways and says what came out.
#[track_caller]
fn decide(facts: &OrganizationFacts, check: &Check<'_>) -> Decision {
    let decided = shard(facts).decide(check);
    let explained = reference::decide(&INDEX, facts, check);
    assert!(agree(&decided, &explained.decision), "engine {decided:?}, reference {explained:#?}");
    assert_eq!(decided.revision, Revision(7));
    decided
}

#[track_caller]
fn says(facts: &OrganizationFacts, check: &Check<'_>, reason: Reason) {
    assert_eq!(decide(facts, check).reason, reason);
}

const READ: &str = "sales.invoices.read";
const APPROVE: &str = "sales.invoices.approve";
const ONE: Option<(&str, &str)> = Some(("invoice", "1"));
const TWO: Option<(&str, &str)> = Some(("invoice", "2"));

/// Member 1 is a viewer.
fn viewer() -> OrganizationFacts {
    let mut facts = facts();
    facts.assignments.push(assign("viewer", 1));
    facts
}

fn allow(facts: &mut OrganizationFacts, pattern: &str, reach: Reach) {
    let id = facts.grants.len() as u128 + 1;
    facts.grants.push(grant(id, 1, Effect::Allow, pattern, reach));
}

fn deny(facts: &mut OrganizationFacts, pattern: &str, reach: Reach) {
    let id = facts.grants.len() as u128 + 1;
    facts.grants.push(grant(id, 1, Effect::Deny, pattern, reach));
}

#[test]
fn without_any_row_the_answer_is_no() {
    says(&facts(), &check(1, READ, None), Reason::NoGrant);
}

#[test]
fn a_role_allows_what_it_holds_and_nothing_else() {
    says(&viewer(), &check(1, READ, None), Reason::GrantedByRole);
    says(&viewer(), &check(1, APPROVE, None), Reason::NoGrant);
    says(&viewer(), &check(2, READ, None), Reason::NoGrant);
    assert_eq!(decide(&viewer(), &check(1, READ, ONE)).decided_by, DecidedBy::Roles);
}

#[test]
fn an_unknown_permission_or_type_is_denied_first() {
    let mut asked = check(1, READ, None);
    asked.permission = charter_policy::PermissionIndex(999);
    let mut closed = viewer();
    closed.organization.status = OrganizationStatus::Closed;
    says(&closed, &asked, Reason::UnknownPermission);
    says(&closed, &check(1, READ, Some(("unicorn", "1"))), Reason::UnknownType);
}

#[test]
fn a_closed_organization_denies_everything_and_a_suspended_one_nearly_everything() {
    let mut facts = viewer();
    facts.assignments.push(assign("org_admin", 2));
    facts.organization.status = OrganizationStatus::Closed;
    says(&facts, &check(2, "sales.invoices.export", None), Reason::OrganizationClosed);
    facts.organization.status = OrganizationStatus::Suspended;
    says(&facts, &check(2, "sales.invoices.export", None), Reason::GrantedByRole);
    says(&facts, &check(2, "admin.org_entitlements.read", None), Reason::GrantedByRole);
    says(&facts, &check(2, READ, None), Reason::OrganizationSuspended);
    says(&facts, &check(1, "sales.invoices.export", None), Reason::OrganizationSuspended);
}

#[test]
fn a_role_that_inherits_from_the_administrators_administers_a_suspended_organization() {
    let mut facts = facts();
    facts.roles.push(own_role("chief", Level::Admin, &["org_admin"], &[]));
    facts.assignments.push(assign("chief", 1));
    facts.organization.status = OrganizationStatus::Suspended;
    says(&facts, &check(1, "sales.invoices.export", None), Reason::GrantedByRole);
    facts.assignments[0].window = window(Some(5), None);
    says(&facts, &check(1, "sales.invoices.export", None), Reason::OrganizationSuspended);
}

#[test]
fn permissions_of_scope_system_are_checked_in_the_platform_organization_only() {
    let mut facts = facts();
    facts.assignments.push(assign("superadmin", 1));
    says(&facts, &check(1, "platform.organizations.read", None), Reason::SystemScope);
    says(&facts, &check(1, READ, None), Reason::NoGrant);
    facts.organization.kind = OrganizationKind::Platform;
    facts.entitlements.clear();
    says(&facts, &check(1, "platform.organizations.read", None), Reason::GrantedByRole);
    says(&facts, &check(1, READ, None), Reason::GrantedByRole);
}

#[test]
fn a_superadmin_role_inherited_outside_the_platform_gives_nothing() {
    let mut facts = facts();
    facts.roles.push(own_role("sneaky", Level::Admin, &["superadmin"], &[]));
    facts.assignments.push(assign("sneaky", 1));
    says(&facts, &check(1, READ, None), Reason::NoGrant);
    assert_eq!(shard(&facts).faults().len(), 1);
}

#[test]
fn an_inactive_principal_and_a_stranger_are_denied() {
    let mut facts = viewer();
    facts.members[0].status = PrincipalStatus::Deactivated;
    says(&facts, &check(1, READ, None), Reason::PrincipalInactive);
    facts.assignments.push(assign("viewer", 9));
    says(&facts, &check(9, READ, None), Reason::NotAMember);
    says(&facts, &check(0, READ, None), Reason::NotAMember);
}

#[test]
fn a_membership_holds_within_its_window_and_not_at_its_end() {
    let mut facts = viewer();
    for (from, to, reason) in [
        (Some(0), Some(1), Reason::GrantedByRole),
        (Some(-5), Some(0), Reason::NotAMember),
        (Some(1), None, Reason::NotAMember),
    ] {
        facts.members[0].window = window(from, to);
        says(&facts, &check(1, READ, None), reason);
    }
}

#[test]
fn a_resource_registered_elsewhere_is_never_allowed() {
    let mut facts = viewer();
    allow(&mut facts, READ, on("invoice", "1"));
    let mut asked = check(1, READ, ONE);
    asked.resource = Some(CheckResource { kind: "invoice", id: "1", registered_elsewhere: true });
    says(&facts, &asked, Reason::CrossOrganization);
}

#[test]
fn a_type_whose_resources_are_all_registered_has_no_others() {
    let mut facts = viewer();
    says(&facts, &check(1, "stock.items.read", Some(("item", "1"))), Reason::UnknownResource);
    facts.resources.push(ResourceFact {
        resource: ResourceRef { kind: key("item"), id: "1".into() },
        owner: None,
        attributes: "{}".into(),
    });
    says(&facts, &check(1, "stock.items.read", Some(("item", "1"))), Reason::GrantedByRole);
    says(&facts, &check(1, "stock.items.read", Some(("item", "2"))), Reason::UnknownResource);
}

#[test]
fn one_thing_has_no_second_name_that_its_denials_do_not_reach() {
    // Items of stock are the type `item`; sales has items too, so `items` alone stands for those of sales.
    let mut facts = viewer();
    facts.resources.push(ResourceFact {
        resource: ResourceRef { kind: key("item"), id: "1".into() },
        owner: None,
        attributes: "{}".into(),
    });
    deny(&mut facts, "*.*.read", on("item", "1"));
    says(&facts, &check(1, "stock.items.read", Some(("item", "1"))), Reason::DeniedOnResource);
    says(&facts, &check(1, "stock.items.read", Some(("items", "1"))), Reason::UnknownType);
    says(&facts, &check(1, "stock.items.update", Some(("items", "1"))), Reason::UnknownType);
    says(&facts, &check(1, "sales.items.read", Some(("items", "1"))), Reason::GrantedByRole);
    deny(&mut facts, "*.*.read", on("items", "1"));
    says(&facts, &check(1, "sales.items.read", Some(("items", "1"))), Reason::DeniedOnResource);
}

#[test]
fn a_ceiling_takes_away_and_never_gives() {
    let reads = INDEX.pattern(&"sales.*.read".parse().unwrap());
    let facts = viewer();
    let ask = |code, who| Check { ceiling: Some(&reads), ..check(who, code, None) };
    says(&facts, &ask(READ, 1), Reason::GrantedByRole);
    says(&facts, &ask("stock.items.read", 1), Reason::OutOfScope);
    says(&facts, &ask(READ, 2), Reason::NoGrant);
}

#[test]
fn a_block_beats_every_allow() {
    let subjects = [
        BlockSubject::Everyone,
        BlockSubject::Principal(principal(1)),
        BlockSubject::Team(TeamId(1)),
        BlockSubject::Team(TeamId(2)),
        BlockSubject::Role(key("clerk")),
        BlockSubject::Role(key("viewer")),
    ];
    for subject in subjects {
        let mut facts = facts();
        facts.teams = vec![team(1, None, &[]), team(2, Some(1), &[1])];
        facts.assignments.push(assign("clerk", 1));
        allow(&mut facts, READ, on("invoice", "1"));
        says(&facts, &check(1, READ, ONE), Reason::GrantedOnResource);
        facts.blocks.push(block(5, subject, "sales.invoices.*", Reach::Organization));
        says(&facts, &check(1, READ, ONE), Reason::Blocked);
        assert_eq!(decide(&facts, &check(1, READ, None)).decided_by, DecidedBy::Block(BlockId(5)));
        says(&facts, &check(1, "sales.orders.read", None), Reason::GrantedByRole);
    }
}

#[test]
fn a_block_on_a_role_spares_those_who_do_not_hold_it() {
    let mut facts = viewer();
    facts.blocks.push(block(1, BlockSubject::Role(key("clerk")), "*", Reach::Organization));
    says(&facts, &check(1, READ, None), Reason::GrantedByRole);
}

#[test]
fn a_block_on_a_role_follows_the_assignment_s_window_and_condition() {
    let mut facts = viewer();
    facts.conditions = conditions();
    facts.blocks.push(block(1, BlockSubject::Role(key("clerk")), "*", Reach::Organization));
    facts.assignments.push(assign("clerk", 1));
    for (from, condition, reason) in [
        (None, None, Reason::Blocked),
        (Some(5), None, Reason::GrantedByRole),
        (None, Some("mfa"), Reason::GrantedByRole),
        (None, Some("broken"), Reason::Blocked),
    ] {
        facts.assignments[1].window = window(from, None);
        facts.assignments[1].condition = condition.map(key);
        says(&facts, &check(1, READ, None), reason);
    }
}

#[test]
fn a_block_reaches_what_it_says() {
    let on_type = Reach::Type(key("invoice"));
    for (reach, whole, one, two) in [
        (Reach::Organization, true, true, true),
        (on_type, false, true, true),
        (on("invoice", "1"), false, true, false),
    ] {
        let mut facts = viewer();
        facts.blocks.push(block(1, BlockSubject::Everyone, READ, reach));
        for (resource, is_blocked) in [(None, whole), (ONE, one), (TWO, two)] {
            let expected = if is_blocked { Reason::Blocked } else { Reason::GrantedByRole };
            says(&facts, &check(1, READ, resource), expected);
        }
    }
}

#[test]
fn a_denial_written_with_one_name_of_a_type_is_not_evaded_by_the_other() {
    for written in ["invoice", "invoices"] {
        for asked in ["invoice", "invoices"] {
            let mut denied = viewer();
            deny(&mut denied, READ, on(written, "1"));
            says(&denied, &check(1, READ, Some((asked, "1"))), Reason::DeniedOnResource);
            let mut denied = viewer();
            deny(&mut denied, READ, Reach::Type(key(written)));
            says(&denied, &check(1, READ, Some((asked, "1"))), Reason::DeniedOnType);
            let mut blocked = viewer();
            blocked.blocks.push(block(1, BlockSubject::Everyone, READ, on(written, "1")));
            says(&blocked, &check(1, READ, Some((asked, "1"))), Reason::Blocked);
        }
    }
}

#[test]
fn a_narrower_grant_decides_before_a_wider_one() {
    let mut facts = facts();
    deny(&mut facts, READ, Reach::Organization);
    says(&facts, &check(1, READ, ONE), Reason::DeniedForSubject);
    allow(&mut facts, READ, Reach::Type(key("invoice")));
    says(&facts, &check(1, READ, ONE), Reason::GrantedOnType);
    deny(&mut facts, READ, on("invoice", "1"));
    says(&facts, &check(1, READ, ONE), Reason::DeniedOnResource);
    says(&facts, &check(1, READ, TWO), Reason::GrantedOnType);
    says(&facts, &check(1, READ, None), Reason::DeniedForSubject);
}

#[test]
fn within_one_level_a_deny_beats_an_allow_and_teams_weigh_as_users_do() {
    for reach in [Reach::Organization, Reach::Type(key("invoice")), on("invoice", "1")] {
        let mut facts = viewer();
        facts.teams = vec![team(1, None, &[1])];
        allow(&mut facts, READ, reach.clone());
        assert!(decide(&facts, &check(1, READ, ONE)).is_allow());
        let mut of_team = grant(9, 1, Effect::Deny, READ, reach);
        of_team.subject = Subject::Team(TeamId(1));
        facts.grants.push(of_team);
        assert!(!decide(&facts, &check(1, READ, ONE)).is_allow());
    }
}

#[test]
fn a_check_without_a_resource_sees_only_what_reaches_the_organization() {
    let mut facts = facts();
    allow(&mut facts, READ, on("invoice", "1"));
    allow(&mut facts, READ, Reach::Type(key("invoice")));
    says(&facts, &check(1, READ, None), Reason::NoGrant);
    allow(&mut facts, READ, Reach::Organization);
    says(&facts, &check(1, READ, None), Reason::GrantedToSubject);
}

#[test]
fn grants_hold_within_their_window_and_an_expired_denial_opens_again() {
    for (from, to, live) in [
        (None, None, true),
        (Some(0), None, true),
        (Some(1), None, false),
        (None, Some(0), false),
        (None, Some(1), true),
    ] {
        let mut facts = facts();
        allow(&mut facts, READ, Reach::Organization);
        facts.grants[0].window = window(from, to);
        let expected = if live { Reason::GrantedToSubject } else { Reason::NoGrant };
        says(&facts, &check(1, READ, None), expected);
        let mut facts = viewer();
        deny(&mut facts, READ, Reach::Organization);
        facts.grants[0].window = window(from, to);
        let expected = if live { Reason::DeniedForSubject } else { Reason::GrantedByRole };
        says(&facts, &check(1, READ, None), expected);
    }
}

#[test]
fn the_answer_names_the_earliest_end_among_what_decided() {
    let mut facts = viewer();
    assert_eq!(decide(&facts, &check(1, READ, None)).valid_until, None);
    allow(&mut facts, READ, Reach::Organization);
    facts.grants[0].window = window(None, Some(50));
    assert_eq!(decide(&facts, &check(1, READ, None)).valid_until, Some(at(50)));
    facts.entitlements[0].window = window(None, Some(20));
    assert_eq!(decide(&facts, &check(1, READ, None)).valid_until, Some(at(20)));
    facts.members[0].window = window(None, Some(10));
    assert_eq!(decide(&facts, &check(1, READ, None)).valid_until, Some(at(10)));
    assert_eq!(shard(&facts).next_change(NOW), Some(at(10)));
}

#[test]
fn a_condition_that_fails_to_evaluate_never_helps() {
    for (name, allows, denies) in [
        ("always", true, true),
        ("mfa", false, false),
        ("broken", false, true),
        ("missing", false, true),
        ("office", false, true),
        ("soon", false, false),
    ] {
        let mut allowed = facts();
        allowed.conditions = conditions();
        allow(&mut allowed, READ, Reach::Organization);
        allowed.grants[0].condition = Some(key(name));
        let expected = if allows { Reason::GrantedToSubject } else { Reason::ConditionNotMet };
        says(&allowed, &check(1, READ, None), expected);

        let mut denied = viewer();
        denied.conditions = conditions();
        deny(&mut denied, READ, Reach::Organization);
        denied.grants[0].condition = Some(key(name));
        let expected = if denies { Reason::DeniedForSubject } else { Reason::GrantedByRole };
        says(&denied, &check(1, READ, None), expected);

        let mut blocked = viewer();
        blocked.conditions = conditions();
        blocked.blocks.push(block(1, BlockSubject::Everyone, READ, Reach::Organization));
        blocked.blocks[0].condition = Some(key(name));
        let expected = if denies { Reason::Blocked } else { Reason::GrantedByRole };
        says(&blocked, &check(1, READ, None), expected);

        let mut assigned = viewer();
        assigned.conditions = conditions();
        assigned.assignments[0].condition = Some(key(name));
        let expected = if allows { Reason::GrantedByRole } else { Reason::ConditionNotMet };
        says(&assigned, &check(1, READ, None), expected);
    }
}

#[test]
fn an_allow_whose_condition_fails_leaves_the_next_level_to_decide() {
    let mut facts = viewer();
    facts.conditions = conditions();
    allow(&mut facts, READ, on("invoice", "1"));
    facts.grants[0].condition = Some(key("mfa"));
    says(&facts, &check(1, READ, ONE), Reason::GrantedByRole);
    deny(&mut facts, READ, Reach::Organization);
    says(&facts, &check(1, READ, ONE), Reason::DeniedForSubject);
}

#[test]
fn a_line_of_a_role_may_have_a_condition_of_its_own() {
    let mut facts = facts();
    facts.conditions = conditions();
    facts.assignments.push(assign("boss", 1));
    facts.resources.push(ResourceFact {
        resource: ResourceRef { kind: key("item"), id: "1".into() },
        owner: None,
        attributes: "{}".into(),
    });
    let office = Context { address: Some("10.0.0.7".parse().unwrap()), ..Context::EMPTY };
    let outside = Context { address: Some("192.0.2.7".parse().unwrap()), ..Context::EMPTY };
    let mut only_line = facts.clone();
    only_line.roles.push(own_role("night", Level::Viewer, &[], &["stock.items.update if office"]));
    only_line.assignments = vec![assign("night", 1)];
    let asked = check(1, "stock.items.update", Some(("item", "1")));
    says(&only_line, &Check { context: &office, ..asked }, Reason::GrantedByRole);
    says(&only_line, &Check { context: &outside, ..asked }, Reason::ConditionNotMet);
    says(&only_line, &asked, Reason::ConditionNotMet);
    // The same permission without a condition, from a role inherited, needs none.
    says(&facts, &Check { context: &outside, ..asked }, Reason::GrantedByRole);
}

#[test]
fn roles_reach_members_of_teams_and_of_the_teams_below() {
    let mut facts = facts();
    facts.teams = vec![team(1, None, &[]), team(2, Some(1), &[]), team(3, Some(2), &[2])];
    let mut through = assign("viewer", 1);
    through.subject = Subject::Team(TeamId(1));
    facts.assignments.push(through);
    says(&facts, &check(2, READ, None), Reason::GrantedByRole);
    says(&facts, &check(1, READ, None), Reason::NoGrant);
    let mut downwards = facts.clone();
    downwards.assignments[0].subject = Subject::Team(TeamId(3));
    downwards.teams[0].members.push(principal(1));
    says(&downwards, &check(1, READ, None), Reason::NoGrant);
}

#[test]
fn what_stands_in_a_circle_gives_nothing_and_is_still_blocked() {
    let mut facts = facts();
    facts.teams = vec![team(1, Some(2), &[]), team(2, Some(1), &[1])];
    let mut through = assign("viewer", 1);
    through.subject = Subject::Team(TeamId(1));
    facts.assignments.push(through);
    says(&facts, &check(1, READ, None), Reason::NoGrant);
    facts.assignments.push(assign("viewer", 1));
    facts.blocks.push(block(1, BlockSubject::Team(TeamId(1)), READ, Reach::Organization));
    says(&facts, &check(1, READ, None), Reason::Blocked);

    let mut roles = crate::world::facts();
    roles.roles =
        vec![own_role("a", Level::Viewer, &["b"], &[]), own_role("b", Level::Viewer, &["a"], &[READ])];
    roles.assignments.push(assign("a", 1));
    says(&roles, &check(1, READ, None), Reason::NoGrant);
    assert_eq!(shard(&roles).faults().len(), 2);
}

#[test]
fn own_roles_inherit_and_may_not_take_a_shipped_key() {
    let mut facts = facts();
    facts.roles = vec![
        own_role("buyer", Level::Developer, &["clerk"], &["sales.invoices.export"]),
        own_role("viewer", Level::Admin, &[], &["*"]),
    ];
    facts.assignments = vec![assign("buyer", 1), assign("viewer", 2)];
    says(&facts, &check(1, "sales.invoices.export", None), Reason::GrantedByRole);
    says(&facts, &check(1, READ, None), Reason::GrantedByRole);
    says(&facts, &check(1, "sales.orders.create", None), Reason::GrantedByRole);
    says(&facts, &check(2, "sales.invoices.export", None), Reason::NoGrant);
}

#[test]
fn a_level_too_low_denies_what_the_role_holds() {
    let (approve, level) = INDEX.resolve("invoice", "approve").unwrap();
    let mut facts = facts();
    facts.roles.push(own_role("temp", Level::Developer, &[], &[APPROVE]));
    facts.assignments.push(assign("temp", 1));
    let asked = Check { permission: approve, minimum_level: level, ..check(1, APPROVE, ONE) };
    says(&facts, &asked, Reason::LevelTooLow);
    says(&facts, &Check { minimum_level: None, ..asked }, Reason::GrantedByRole);
    facts.assignments.push(assign("boss", 1));
    says(&facts, &asked, Reason::GrantedByRole);
    facts.assignments.pop();
    allow(&mut facts, APPROVE, on("invoice", "1"));
    says(&facts, &asked, Reason::GrantedOnResource);
    says(&facts, &Check { subject: principal(2), ..asked }, Reason::NoGrant);
}

#[test]
fn types_and_actions_name_permissions() {
    let named = |kind, action| {
        INDEX.resolve(kind, action).map(|(at, level)| (INDEX.code(at).unwrap().as_str(), level))
    };
    assert_eq!(named("invoice", "read"), Some((READ, Some(Level::Viewer))));
    assert_eq!(named("invoices", "approve"), Some((APPROVE, Some(Level::Manager))));
    assert_eq!(named("invoices", "export"), Some(("sales.invoices.export", None)));
    assert_eq!(named("invoice", "place"), Some(("sales.orders.create", Some(Level::Developer))));
    assert_eq!(named("orders", "create"), Some(("sales.orders.create", None)));
    assert_eq!(named("orders", "sales.invoices.read"), Some((READ, None)));
    assert_eq!(named("item", "update"), None);
    assert_eq!(named("orders", "fly"), None);
    assert_eq!(named("unicorn", "read"), None);
    assert_eq!(INDEX.actions("invoices"), ["approve", "export", "place", "read"]);
}

#[test]
fn bad_rows_are_listed_and_never_allow() {
    let mut facts = viewer();
    allow(&mut facts, APPROVE, on("unicorn", "1"));
    allow(&mut facts, "no.such.code", Reach::Organization);
    facts.grants.push(GrantFact {
        subject: Subject::Team(TeamId(77)),
        ..grant(9, 1, Effect::Allow, APPROVE, Reach::Organization)
    });
    facts.assignments.push(assign("ghost", 1));
    facts.entitlements.push(enabled("nowhere"));
    facts.organization.assertable.push("everything".into());
    says(&facts, &check(1, APPROVE, None), Reason::NoGrant);
    let shard = shard(&facts);
    assert_eq!(shard.faults().len(), 6, "{:#?}", shard.faults());
}

#[test]
fn an_explanation_names_the_rows_and_what_would_help() {
    let mut facts = facts();
    facts.teams = vec![team(1, None, &[1])];
    facts.roles.push(own_role("buyer", Level::Developer, &["viewer"], &[]));
    let mut through = assign("buyer", 1);
    through.subject = Subject::Team(TeamId(1));
    facts.assignments.push(through);
    let explained = reference::decide(&INDEX, &facts, &check(1, READ, None));
    let role = explained.path.iter().find(|step| step.step == "role").unwrap();
    assert_eq!(role.words, "role buyer via team team1, inherited from viewer gives sales.*.read");
    assert_eq!(role.row.as_deref(), Some("assignment 00000000-0000-0000-0000-0000000003ed"));
    assert_eq!(explained.sentence, "You may do this.");

    let mut later = grant(5, 1, Effect::Allow, APPROVE, Reach::Organization);
    later.window = window(Some(60), None);
    facts.grants.push(later);
    let explained = reference::decide(&INDEX, &facts, &check(1, APPROVE, None));
    assert_eq!(explained.remedies[0].roles, [key("boss"), key("org_admin")]);
    assert!(explained.remedies.iter().any(|remedy| remedy.at == Some(at(60))), "{:#?}", explained.remedies);

    facts.entitlements.clear();
    let explained = reference::decide(&INDEX, &facts, &check(1, APPROVE, None));
    assert_eq!(explained.decision.reason, Reason::NotEntitled);
    assert_eq!(explained.remedies[0].plans, [key("basic")]);
}

#[test]
fn a_catalogue_that_cannot_be_compiled_says_why() {
    let error = |change: &dyn Fn(&mut catalogue::Catalogue)| {
        let mut catalogue = catalogue();
        change(&mut catalogue);
        charter_policy::Index::new(&catalogue).unwrap_err().to_string()
    };
    let many = error(&|catalogue| {
        let first = catalogue.permissions[0].clone();
        catalogue.permissions = (0..16_385)
            .map(|number| catalogue::Permission {
                code: format!("sales.things.do_{number}").parse().unwrap(),
                ..first.clone()
            })
            .collect();
    });
    assert!(many.contains("16385 permissions, at most 16384"), "{many}");
    let twice = error(&|catalogue| catalogue.permissions.push(catalogue.permissions[0].clone()));
    assert!(twice.contains("stands twice"), "{twice}");
    let module = error(&|catalogue| catalogue.modules.truncate(2));
    assert!(module.contains("names a module that the catalogue lacks"), "{module}");
    let parent = error(&|catalogue| catalogue.roles[0].role.parents.push(key("nobody")));
    assert!(parent.contains("inherits from nobody"), "{parent}");
    let system = error(&|catalogue| catalogue.roles[0].role.parents.push(key("superadmin")));
    assert!(system.contains("scope system"), "{system}");
    let circle = error(&|catalogue| catalogue.roles[4].role.parents.push(key("boss")));
    assert!(circle.contains("break the circle"), "{circle}");
}
