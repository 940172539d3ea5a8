//! Entitlement rows with versions, subscriptions, previews, limits, usage and their events.

use charter_kernel::entitlement::*;
use charter_kernel::*;
use charter_store::entitlement_event::{self, Cause, EntitlementEvent};
use charter_store::subscription::{EndAction, SubscriptionStatus};
use charter_store::{entitlement, limit, preview, subscription, usage};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;

use crate::filling::*;
use crate::world::*;

both_engines!(an_entitlement_changes_only_from_the_version_that_was_read, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    for fact in [toys.entitlements[1].clone(), toys.entitlements[2].clone()] {
        let mut changed = fact.clone();
        changed.status = EntitlementStatus::Disabled;
        changed.window = window(3, 4);
        let (a, b, c) = (changed.clone(), changed.clone(), fact.clone());
        let (module, submodule, source) = (fact.module.clone(), fact.submodule.clone(), fact.source);
        let source_id = fact.source_id.clone();
        let first = crate::write!(db, tx => entitlement::update(tx, organization, &a, 1, GIVEN)).unwrap();
        assert_eq!(first, Some(2));
        let stale = crate::write!(db, tx => entitlement::update(tx, organization, &b, 1, GIVEN)).unwrap();
        assert_eq!(stale, None);
        let taken = crate::write!(db, tx => entitlement::insert(tx, organization, &c, GIVEN)).unwrap();
        assert_eq!(taken, None);
        let id = source_id.clone();
        let rows = crate::read!(db, conn => entitlement::of_source(conn, organization, source, &id));
        let row = rows.iter().find(|row| row.entitlement == changed).unwrap();
        assert_eq!((row.row_version, row.changed), (2, GIVEN));
        let gone = crate::write!(db, tx => {
            entitlement::delete(tx, organization, &module, submodule.as_ref(), source, &source_id)
        });
        assert!(gone.unwrap());
    }
    let rows = crate::read!(db, conn => entitlement::list(conn, organization));
    assert_eq!(rows.len(), 1);
    let rows = crate::read!(db, conn => entitlement::of_module(conn, organization, &key("crm")));
    assert_eq!(rows[0].entitlement, toys.entitlements[0]);
    assert_eq!(crate::read!(db, conn => entitlement::version(conn, organization)), 0);
    assert_eq!(crate::write!(db, tx => entitlement::bump_version(tx, organization)).unwrap(), 1);
    assert_eq!(crate::write!(db, tx => entitlement::bump_version(tx, organization)).unwrap(), 2);
    assert_eq!(crate::read!(db, conn => entitlement::version(conn, organization)), 2);
});

both_engines!(subscriptions_come_due, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let id = toys.subscriptions[0].id;
    let mut row = crate::read!(db, conn => subscription::get(conn, organization, id)).unwrap();
    assert_eq!(row.end_action, EndAction::FallbackPlan(Some(key("starter"))));
    assert!(row.subscription.limits.is_empty());
    assert_eq!(crate::read!(db, conn => subscription::due(conn, organization, at(1000))), []);
    row.subscription.window = window(0, 50);
    row.end_action = EndAction::Expire;
    row.pinned = false;
    let changed = row.clone();
    assert!(crate::write!(db, tx => subscription::update(tx, organization, &changed)).unwrap());
    assert_eq!(crate::read!(db, conn => subscription::due(conn, organization, at(49))), []);
    assert_eq!(crate::read!(db, conn => subscription::due(conn, organization, at(50))), [row.clone()]);
    row.status = SubscriptionStatus::Ended;
    let changed = row.clone();
    crate::write!(db, tx => subscription::update(tx, organization, &changed)).unwrap();
    assert_eq!(crate::read!(db, conn => subscription::due(conn, organization, at(50))), []);
    let mut unknown = row;
    unknown.subscription.id = SubscriptionId(1059);
    unknown.subscription.version = 7;
    let refused = crate::write!(db, tx => subscription::insert(tx, organization, &unknown));
    assert!(matches!(refused, Err(charter_db::Error::Foreign { .. })), "a plan version that does not exist");
});

both_engines!(previews_and_limit_overrides_come_and_go, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let fact = toys.previews[0].clone();
    let again = fact.clone();
    assert!(!crate::write!(db, tx => preview::add(tx, organization, &again, GIVEN)).unwrap());
    assert_eq!(crate::read!(db, conn => preview::list(conn, organization)), toys.previews);
    assert!(crate::write!(db, tx => preview::remove(tx, organization, &fact)).unwrap());
    let other = PreviewFact { module: key("sales"), principal: PrincipalId(1002) };
    assert!(crate::write!(db, tx => preview::add(tx, organization, &other, GIVEN)).unwrap());
    assert_eq!(
        crate::write!(db, tx => preview::delete_of_principal(tx, organization, PrincipalId(1002))).unwrap(),
        1
    );
    assert_eq!(crate::read!(db, conn => preview::list(conn, organization)), []);

    let mut over = toys.limit_overrides[0].clone();
    over.value = Some(99);
    over.mode = LimitMode::Set;
    let changed = over.clone();
    assert!(crate::write!(db, tx => limit::update(tx, organization, &changed, GIVEN)).unwrap());
    let id = over.id;
    assert_eq!(crate::read!(db, conn => limit::list(conn, organization)), [over]);
    assert!(crate::write!(db, tx => limit::delete(tx, organization, &key("users"), id)).unwrap());
    assert_eq!(crate::read!(db, conn => limit::list(conn, organization)), []);
});

both_engines!(usage_adds_up_within_its_bound_and_once_per_event, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let users = key("users");
    crate::write!(db, tx => async {
        let bound = 5;
        let add = async |tx: &mut charter_db::Tx, amount| {
            usage::add_within(tx, organization, &users, usage::GAUGE, amount, bound, NOW).await
        };
        assert_eq!(add(tx, 6).await?, None);
        assert_eq!(add(tx, 3).await?, Some(3));
        assert_eq!(add(tx, 3).await?, None);
        assert_eq!(add(tx, 2).await?, Some(5));
        assert_eq!(usage::add(tx, organization, &users, usage::GAUGE, -1, NOW).await?, 4);
        assert_eq!(usage::add(tx, organization, &users, at(0), 7, NOW).await?, 7);
        assert!(usage::record(tx, organization, "e1", &users, 1, NOW).await?);
        assert!(!usage::record(tx, organization, "e1", &users, 1, NOW).await?);
        assert_eq!(usage::purge(tx, organization, NOW).await?, 0);
        assert_eq!(usage::purge(tx, organization, at(1)).await?, 1);
        usage::set(tx, organization, &users, at(0), 2, at(1)).await
    })
    .unwrap();
    assert_eq!(crate::read!(db, conn => usage::get(conn, organization, &key("users"), usage::GAUGE)), 4);
    assert_eq!(crate::read!(db, conn => usage::get(conn, organization, &key("none"), usage::GAUGE)), 0);
    let all = crate::read!(db, conn => usage::list(conn, organization));
    assert_eq!(
        all.iter().map(|row| (row.period_start, row.used)).collect::<Vec<_>>(),
        [(usage::GAUGE, 4), (at(0), 2)]
    );
});

both_engines!(adding_at_once_loses_nothing, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let add = || async {
        crate::write!(db, tx => usage::add(tx, organization, &key("users"), usage::GAUGE, 1, NOW)).unwrap()
    };
    tokio::join!(add(), add(), add(), add());
    assert_eq!(crate::read!(db, conn => usage::get(conn, organization, &key("users"), usage::GAUGE)), 4);
});

both_engines!(entitlement_events_chain, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let event = |seq: u64, module: &str| EntitlementEvent {
        seq,
        at: NOW,
        actor: "ann".to_owned(),
        cause: Cause::PlanPublish,
        action: "entitlement.set".to_owned(),
        module: Some(key(module)),
        submodule: None,
        limit: None,
        before: None,
        after: Some("{ \"b\":1, \"a\":2 }".to_owned()),
        reason: "asked".to_owned(),
        correlation: Some(RequestId(4)),
        prev_hash: [seq as u8 - 1; 32],
        hash: [seq as u8; 32],
    };
    let rows = [event(1, "crm"), event(2, "sales"), event(3, "crm")];
    let added = rows.clone();
    crate::write!(db, tx => async {
        assert_eq!(entitlement_event::head(tx, organization).await?.seq, 0);
        for row in &added {
            entitlement_event::append(tx, organization, row).await?;
        }
        assert_eq!(entitlement_event::head(tx, organization).await?.hash, [3; 32]);
        Ok(())
    })
    .unwrap();
    let page = crate::read!(db, conn => entitlement_event::page(conn, organization, None, u64::MAX, 2));
    assert_eq!((page.rows.as_slice(), page.more), ([rows[2].clone(), rows[1].clone()].as_slice(), true));
    let page = crate::read!(db, conn => entitlement_event::page(conn, organization, Some(&key("crm")), 3, 2));
    assert_eq!(page.rows, [rows[0].clone()]);
    let seen = crate::read!(db, conn => async {
        let mut seen = Vec::new();
        entitlement_event::for_each(conn, organization, 2, |event| {
            seen.push(event.seq);
            Ok::<(), charter_db::Error>(())
        })
        .await?;
        Ok(seen)
    });
    assert_eq!(seen, [2, 3]);
});
