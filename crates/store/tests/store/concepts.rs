//! Organizations, principals, members, teams, roles, assignments, grants, blocks, conditions, resources: changed, listed, removed.

use charter_db::Error;
use charter_kernel::facts::*;
use charter_kernel::*;
use charter_store::{
    assignment, block, condition, grant, membership, organization, principal, resource, role, team,
};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;

use crate::filling::*;
use crate::world::*;

both_engines!(organizations_are_found_by_key_and_listed, async |db: TestDatabase| {
    let (toys, trade) = two_organizations(&db).await;
    let id = toys.organization.id;
    assert_eq!(crate::read!(db, conn => organization::by_key(conn, &key("toys"))), Some(id));
    assert_eq!(crate::read!(db, conn => organization::by_key(conn, &key("nobody"))), None);
    let page = crate::read!(db, conn => organization::page(conn, OrganizationId(0), 1));
    assert_eq!((page.rows.len(), page.more), (1, true));
    let page = crate::read!(db, conn => organization::page(conn, id, 1));
    assert_eq!((&page.rows[0].organization, page.more), (&trade.organization, false));
    let mut changed = toys.organization.clone();
    changed.name = "Soft toys".to_owned();
    changed.status = OrganizationStatus::Suspended;
    changed.enabled_modules = None;
    changed.assertable = vec![];
    let after = changed.clone();
    assert!(crate::write!(db, tx => organization::update(tx, &changed, at(1))).unwrap());
    let row = crate::read!(db, conn => organization::get(conn, id)).unwrap();
    assert_eq!((row.organization, row.created_at, row.updated_at), (after, NOW, at(1)));
    let again = organization_fact(3000, "toys");
    let error = crate::write!(db, tx => organization::insert(tx, &again, NOW)).unwrap_err();
    assert!(
        matches!(&error, Error::Unique { constraint } if constraint == "organization_keys_pkey"),
        "{error}"
    );
});

both_engines!(principals_are_found_by_folded_login, async |db: TestDatabase| {
    two_organizations(&db).await;
    let found = crate::read!(db, conn => principal::by_login(conn, "person1001@toys.example")).unwrap();
    assert_eq!(found, person(1001));
    let mut renamed = found.clone();
    (renamed.login, renamed.login_folded) = ("Ann@toys.example".to_owned(), "ann@toys.example".to_owned());
    renamed.status = PrincipalStatus::Suspended;
    let (before, after) = (found.clone(), renamed.clone());
    assert!(crate::write!(db, tx => principal::update(tx, &before, &after)).unwrap());
    assert!(!crate::read!(db, conn => principal::login_taken(conn, "person1001@toys.example")));
    assert_eq!(
        crate::read!(db, conn => principal::by_login(conn, "ann@toys.example")),
        Some(renamed.clone())
    );
    assert!(crate::write!(db, tx => principal::set_password(tx, PrincipalId(1001), None, at(5))).unwrap());
    let after = crate::read!(db, conn => principal::by_id(conn, PrincipalId(1001))).unwrap();
    let who = PrincipalId(1001);
    assert!(crate::write!(db, tx => principal::set_first_password(tx, who, "first", at(6))).unwrap());
    assert!(!crate::write!(db, tx => principal::set_first_password(tx, who, "second", at(7))).unwrap());
    assert!(
        !crate::write!(db, tx => principal::rehash(tx, who, "second", "third")).unwrap(),
        "it is not that one"
    );
    assert!(crate::write!(db, tx => principal::rehash(tx, who, "first", "same, better")).unwrap());
    let found = crate::read!(db, conn => principal::by_id(conn, who)).unwrap();
    assert_eq!(
        (found.password_hash.as_deref(), found.password_changed_at),
        (Some("same, better"), Some(at(6)))
    );
    assert_eq!((after.password_hash, after.password_changed_at), (None, Some(at(5))));
    let mut twin = person(9001);
    twin.login_folded = "ann@toys.example".to_owned();
    let error = crate::write!(db, tx => principal::insert(tx, &twin)).unwrap_err();
    assert!(matches!(&error, Error::Unique { constraint } if constraint == "logins_pkey"), "{error}");
    let page = crate::read!(db, conn => principal::page(conn, PrincipalId(1001), 2));
    assert_eq!(page.rows.iter().map(|one| one.id.0).collect::<Vec<_>>(), [1002, 1003]);
    assert!(page.more);
    assert!(!format!("{found:?}").contains("argon2id"));
});

both_engines!(a_member_leaves_once_nothing_refers_to_it, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let (organization, who) = (toys.organization.id, PrincipalId(1001));
    assert!(crate::read!(db, conn => membership::exists(conn, organization, who)));
    assert_eq!(crate::read!(db, conn => membership::organizations_of(conn, who)), [organization]);
    assert_eq!(crate::read!(db, conn => membership::count(conn, organization)), 3);
    let error = crate::write!(db, tx => membership::delete(tx, organization, who)).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    crate::write!(db, tx => async {
        assert_eq!(team::delete_of_principal(tx, organization, who).await?, 1);
        assert_eq!(assignment::delete_of_principal(tx, organization, who).await?, 0);
        assert_eq!(grant::delete_of_principal(tx, organization, who).await?, 1);
        assert!(membership::delete(tx, organization, who).await?);
        Ok(())
    })
    .unwrap();
    assert_eq!(crate::read!(db, conn => membership::get(conn, organization, who)), None);
    assert_eq!(crate::read!(db, conn => membership::organizations_of(conn, who)), []);
    let window = window(1, 2);
    assert!(
        crate::write!(db, tx => membership::update(tx, organization, PrincipalId(1003), PrincipalStatus::Suspended, window, "{}", NOW))
            .unwrap()
    );
    let page = crate::read!(db, conn => membership::page(conn, organization, PrincipalId(1002), 5));
    assert_eq!((page.rows[0].window, page.rows[0].attributes.as_str(), page.more), (window, "{}", false));
    let (here, account) = (page.rows[0].status, page.rows[0].account_status);
    assert_eq!((here, account), (PrincipalStatus::Suspended, PrincipalStatus::Active));
});

both_engines!(teams_change_and_keep_their_members, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let desk = toys.teams[1].id;
    assert_eq!(crate::read!(db, conn => team::by_key(conn, organization, &key("desk"))), Some(desk));
    let page = crate::read!(db, conn => team::page(conn, organization, TeamId(0), 10));
    assert_eq!(page.rows, toys.teams);
    crate::write!(db, tx => async {
        assert!(team::add_member(tx, organization, desk, PrincipalId(1002), NOW).await?);
        assert!(!team::add_member(tx, organization, desk, PrincipalId(1002), NOW).await?);
        assert!(team::remove_member(tx, organization, desk, PrincipalId(1001)).await?);
        Ok(())
    })
    .unwrap();
    let mut expected = toys.teams[1].clone();
    expected.members = vec![PrincipalId(1002), PrincipalId(1003)];
    expected.parent = None;
    let changed = expected.clone();
    assert!(crate::write!(db, tx => team::update(tx, organization, &changed, NOW)).unwrap());
    assert_eq!(crate::read!(db, conn => team::get(conn, organization, desk)), Some(expected));
    assert_eq!(crate::read!(db, conn => team::of_principal(conn, organization, PrincipalId(1002))), [desk]);
    let mut twin = toys.teams[1].clone();
    twin.id = TeamId(1099);
    let error = crate::write!(db, tx => team::insert(tx, organization, &twin, NOW)).unwrap_err();
    assert!(matches!(&error, Error::Unique { constraint } if constraint == "teams_key"), "{error}");
    let stranger = crate::write!(db, tx => team::add_member(tx, organization, desk, PrincipalId(2001), NOW));
    assert!(matches!(stranger, Err(Error::Foreign { .. })), "a member of another organization");
    let error = crate::write!(db, tx => team::delete(tx, organization, desk)).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    crate::write!(db, tx => async {
        assert_eq!(assignment::delete_of_team(tx, organization, desk).await?, 1);
        assert_eq!(grant::delete_of_team(tx, organization, desk).await?, 1);
        assert_eq!(block::delete_of_team(tx, organization, desk).await?, 0);
        assert!(team::delete(tx, organization, desk).await?);
        Ok(())
    })
    .unwrap();
});

both_engines!(roles_are_replaced_whole, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let page = crate::read!(db, conn => role::page(conn, organization, "", 10));
    assert_eq!(page.rows, toys.roles);
    let page = crate::read!(db, conn => role::page(conn, organization, "clerk", 10));
    assert_eq!(page.rows, toys.roles[1..]);
    assert_eq!(
        crate::read!(db, conn => role::children(conn, organization, &key("clerk"))),
        [key("desk-lead")]
    );
    assert!(crate::read!(db, conn => role::exists(conn, organization, &key("clerk"))));
    assert_eq!(crate::read!(db, conn => role::get(conn, organization, &key("cler"))), None);
    let mut clerk = toys.roles[0].clone();
    clerk.permissions.reverse();
    clerk.parents = vec![key("auditor")];
    clerk.level = Level::Admin;
    let changed = clerk.clone();
    assert!(crate::write!(db, tx => role::update(tx, organization, &changed, NOW)).unwrap());
    assert_eq!(crate::read!(db, conn => role::get(conn, organization, &key("clerk"))), Some(clerk));
    assert!(crate::write!(db, tx => role::delete(tx, organization, &key("desk-lead"))).unwrap());
    assert!(!crate::read!(db, conn => role::exists(conn, organization, &key("desk-lead"))));
});

both_engines!(assignments_are_found_by_whom_and_what, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let of = crate::read!(db, conn => assignment::of_principal(conn, organization, PrincipalId(1002)));
    assert_eq!(of[0].assignment, toys.assignments[1]);
    assert_eq!((of[0].reason.as_str(), of[0].given), ("hired", GIVEN));
    let of = crate::read!(db, conn => assignment::of_team(conn, organization, TeamId(1011)));
    assert_eq!(of[0].assignment, toys.assignments[0]);
    let of =
        crate::read!(db, conn => assignment::of_role(conn, organization, &key("clerk"), AssignmentId(0), 9));
    assert_eq!((of.rows.len(), of.more), (1, false));
    let mut row = of.rows[0].clone();
    row.assignment.window = window(5, 6);
    row.assignment.condition = Some(key("owner"));
    row.reason = "longer".to_owned();
    let changed = row.clone();
    assert!(crate::write!(db, tx => assignment::update(tx, organization, &changed)).unwrap());
    let id = row.assignment.id;
    assert_eq!(crate::read!(db, conn => assignment::get(conn, organization, id)), Some(row));
    assert!(crate::write!(db, tx => assignment::delete(tx, organization, id)).unwrap());
    let page = crate::read!(db, conn => assignment::page(conn, organization, AssignmentId(0), 9));
    assert_eq!(page.rows.len(), 1);
});

both_engines!(grants_are_found_by_whom_and_on_what, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let first = toys.grants[0].clone();
    let Reach::Resource(invoice) = first.reach.clone() else { panic!("a resource") };
    let (a, b) = (invoice.clone(), invoice.clone());
    assert_eq!(
        crate::read!(db, conn => grant::of_resource(conn, organization, &a)),
        std::slice::from_ref(&first)
    );
    assert_eq!(
        crate::read!(db, conn => grant::of_principal(conn, organization, PrincipalId(1001))),
        std::slice::from_ref(&first)
    );
    assert_eq!(crate::read!(db, conn => grant::of_team(conn, organization, TeamId(1011))), toys.grants[1..]);
    let mut changed = first.clone();
    changed.effect = Effect::Deny;
    changed.window = Window::ALWAYS;
    changed.condition = None;
    let after = changed.clone();
    assert!(crate::write!(db, tx => grant::update(tx, organization, &changed)).unwrap());
    assert_eq!(crate::read!(db, conn => grant::get(conn, organization, GrantId(1030))), Some(after));
    assert_eq!(crate::write!(db, tx => grant::delete_of_resource(tx, organization, &b)).unwrap(), 1);
    assert!(crate::write!(db, tx => grant::delete(tx, organization, GrantId(1031))).unwrap());
    assert_eq!(crate::read!(db, conn => grant::page(conn, organization, GrantId(0), 9)).rows, []);
});

both_engines!(blocks_and_conditions_change_and_go, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let page = crate::read!(db, conn => block::page(conn, organization, BlockId(0), 9));
    assert_eq!(page.rows.iter().map(|row| row.block.clone()).collect::<Vec<_>>(), toys.blocks);
    let of = crate::read!(db, conn => block::of_principal(conn, organization, PrincipalId(1002)));
    assert_eq!(of[0].block, toys.blocks[0]);
    let of = crate::read!(db, conn => block::of_role(conn, organization, &key("clerk")));
    let mut row = of[0].clone();
    row.block.window = window(1, 2);
    row.block.condition = Some(key("owner"));
    let changed = row.clone();
    assert!(crate::write!(db, tx => block::update(tx, organization, &changed)).unwrap());
    assert_eq!(crate::read!(db, conn => block::get(conn, organization, BlockId(1042))), Some(row));

    let error = crate::write!(db, tx => condition::delete(tx, organization, &key("owner"))).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
    assert!(crate::write!(db, tx => block::delete(tx, organization, BlockId(1042))).unwrap());
    assert!(crate::write!(db, tx => condition::delete(tx, organization, &key("owner"))).unwrap());
    let fact = ConditionFact {
        key: key("small-amount"),
        condition: Condition::Cel { expression: "resource.amount < 5 && \"é\" != ''".to_owned() },
    };
    let changed = fact.clone();
    assert!(crate::write!(db, tx => condition::update(tx, organization, &changed, NOW)).unwrap());
    let found = crate::read!(db, conn => condition::get(conn, organization, &key("small-amount")));
    assert_eq!(found, Some(fact.clone()));
    assert_eq!(crate::read!(db, conn => condition::page(conn, organization, "", 9)).rows, [fact]);
});

both_engines!(resources_are_registered_here_and_known_elsewhere, async |db: TestDatabase| {
    let (toys, trade) = two_organizations(&db).await;
    let (here, there) = (toys.organization.id, trade.organization.id);
    let invoice = toys.resources[0].resource.clone();
    let only_here = ResourceRef { kind: key("report"), id: "r1".into() };
    let fact = ResourceFact {
        resource: only_here.clone(),
        owner: Some(PrincipalId(1003)),
        attributes: "{}".to_owned(),
    };
    crate::write!(db, tx => resource::put(tx, here, &fact, NOW)).unwrap();
    let (a, b, c, d) = (only_here.clone(), only_here.clone(), only_here.clone(), invoice.clone());
    assert!(crate::read!(db, conn => resource::registered_elsewhere(conn, there, &a)));
    assert!(!crate::read!(db, conn => resource::registered_elsewhere(conn, here, &b)));
    assert_eq!(crate::read!(db, conn => resource::kinds(conn)), ["invoice", "report", "warehouse"]);
    let page = crate::read!(db, conn => resource::page(conn, here, ("invoice", "1042"), 1));
    assert_eq!((page.rows[0].resource.clone(), page.more), (only_here.clone(), true));
    let page = crate::read!(db, conn => resource::of_kind(conn, here, &key("invoice"), "", 9));
    assert_eq!(page.rows, toys.resources[..1]);
    let page = crate::read!(db, conn => resource::of_owner(conn, here, PrincipalId(1003), ("", ""), 9));
    assert_eq!(page.rows.len(), 1);
    let changed =
        ResourceFact { resource: invoice.clone(), owner: None, attributes: r#"{"amount": 13}"#.to_owned() };
    let after = changed.clone();
    crate::write!(db, tx => resource::put(tx, here, &changed, at(9))).unwrap();
    assert_eq!(crate::read!(db, conn => resource::get(conn, here, &d)), Some(after));
    assert!(crate::write!(db, tx => resource::delete(tx, here, &c)).unwrap());
    assert!(!crate::read!(db, conn => resource::registered_elsewhere(conn, there, &only_here)));
});
