//! Facts come back as they were put in, one organization at a time and in bulk.

use std::sync::{Arc, Mutex};

use charter_kernel::*;
use charter_store::subscription::{self, SubscriptionStatus};
use charter_store::{facts, organization, revision};
use charter_testkit::both_engines;

use crate::filling::*;
use crate::world::*;

both_engines!(facts_loaded_equal_what_was_inserted, async |db: charter_testkit::database::TestDatabase| {
    let (toys, trade) = two_organizations(&db).await;
    assert_eq!(facts::load(&db, toys.organization.id).await.unwrap().unwrap(), toys);
    assert_eq!(facts::load(&db, trade.organization.id).await.unwrap().unwrap(), trade);
    assert_eq!(facts::load(&db, OrganizationId(9)).await.unwrap(), None);
});

/// The facts as they come in bulk.
fn nameless(mut facts: charter_kernel::facts::OrganizationFacts) -> charter_kernel::facts::OrganizationFacts {
    for member in &mut facts.members {
        (member.login, member.name) = (String::new(), String::new());
    }
    facts
}

both_engines!(
    bulk_hands_over_every_organization_in_order,
    async |db: charter_testkit::database::TestDatabase| {
        let (toys, trade) = two_organizations(&db).await;
        let empty = organization_fact(1500, "empty");
        crate::write!(db, tx => async {
            organization::insert(tx, &empty, NOW).await?;
            revision::bump(tx, empty.id, NOW).await
        })
        .unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let spans = facts::Spans::plan(&db).await.unwrap();
        let load = || {
            let into = Arc::clone(&seen);
            facts::for_each_organization(&db, &spans, move |facts| {
                into.lock().unwrap().push(facts);
                Ok(())
            })
        };
        assert_eq!(load().await.unwrap(), 3);
        assert_eq!(load().await.unwrap(), 0, "what one loader took no other reads again");
        let seen = seen.lock().unwrap();
        assert_eq!(seen[0], nameless(toys));
        assert_eq!(seen[1].organization.key, key("empty"));
        assert!(seen[1].members.is_empty());
        assert_eq!(seen[2], nameless(trade));
    }
);

both_engines!(an_ended_subscription_is_no_fact, async |db: charter_testkit::database::TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let mut row = subscription_row(toys.subscriptions[0].clone());
    row.status = SubscriptionStatus::Ended;
    assert!(crate::write!(db, tx => subscription::update(tx, organization, &row)).unwrap());
    assert_eq!(facts::load(&db, organization).await.unwrap().unwrap().subscriptions, []);
    let all = crate::read!(db, conn => subscription::list(conn, organization));
    assert_eq!(all.len(), 1);
});

both_engines!(
    revisions_grow_by_one_and_the_poll_reaches_back,
    async |db: charter_testkit::database::TestDatabase| {
        let (toys, trade) = two_organizations(&db).await;
        let (first, second) = (toys.organization.id, trade.organization.id);
        assert_eq!(crate::read!(db, conn => revision::get(conn, first)), Revision(1));
        assert_eq!(crate::read!(db, conn => revision::get(conn, OrganizationId(5))), Revision(0));
        // `toys` changes at 100 s, then `trade` commits a change that began 30 s earlier: it was seen by nobody yet.
        assert_eq!(crate::write!(db, tx => revision::bump(tx, first, at(100))).unwrap(), Revision(2));
        assert_eq!(crate::write!(db, tx => revision::bump(tx, second, at(70))).unwrap(), Revision(2));
        let page = crate::read!(db, conn => revision::changed_since(conn, at(100), 10));
        let seen: Vec<_> = page.rows.iter().map(|change| (change.organization, change.revision)).collect();
        assert_eq!(seen, [(second, Revision(2)), (first, Revision(2))]);
        assert!(!page.more);
        // Beyond the overlap nothing is old news.
        let late = at(100 + revision::OVERLAP_SECONDS);
        let page = crate::read!(db, conn => revision::changed_since(conn, late, 10));
        assert_eq!(page.rows.len(), 1, "the change at exactly the edge of the overlap is told again");
        let page = crate::read!(db, conn => revision::changed_since(conn, late.plus_seconds(1), 10));
        assert_eq!(page.rows, []);
        // A clock that is behind does not move the time back, and pages go on after the last change.
        assert_eq!(crate::write!(db, tx => revision::bump(tx, first, at(10))).unwrap(), Revision(3));
        let page = crate::read!(db, conn => revision::changed_since(conn, at(100), 1));
        assert!(page.more);
        let last = page.rows[0];
        let page = crate::read!(db, conn => revision::changed_after(conn, &last, 1));
        assert_eq!((page.rows[0].organization, page.rows[0].changed_at), (first, at(100)));
    }
);

both_engines!(
    writers_of_one_organization_lose_no_revision,
    async |db: charter_testkit::database::TestDatabase| {
        let (toys, _) = two_organizations(&db).await;
        let organization = toys.organization.id;
        let bump = || async { crate::write!(db, tx => revision::bump(tx, organization, NOW)).unwrap() };
        let (a, b, c) = tokio::join!(bump(), bump(), bump());
        let mut seen = [a, b, c];
        seen.sort();
        assert_eq!(seen, [Revision(2), Revision(3), Revision(4)]);
    }
);
