//! The audit trail chains, pages and streams; denials are counted.

use charter_db::Error;
use charter_kernel::audit::{Actor, AuditEvent, Outcome};
use charter_kernel::*;
use charter_store::audit::{self, AuditRow, Filter};
use charter_store::denial::{self, DenialCount};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;

use crate::filling::*;
use crate::world::*;

fn event(organization: OrganizationId, actor: Actor, action: &'static str, seconds: i64) -> AuditEvent {
    AuditEvent {
        organization,
        at: at(seconds),
        actor,
        action,
        target_kind: "grant",
        target: "g1".to_owned(),
        outcome: Outcome::Done,
        reason: "because".to_owned(),
        before: Some("{\"b\": 1,  \"a\": 2}".to_owned()),
        after: None,
        request: Some(RequestId(77)),
        address: Some("10.0.0.1".to_owned()),
    }
}

async fn append(
    tx: &mut charter_db::Tx,
    organization: OrganizationId,
    event: &AuditEvent,
) -> Result<u64, Error> {
    let head = audit::lock_head(tx, organization).await?;
    let mut row = AuditRow::new(event, head.seq + 1, head.hash);
    row.hash = [row.seq as u8; 32];
    audit::append(tx, organization, &[row]).await?;
    Ok(head.seq + 1)
}

both_engines!(events_follow_each_other_and_are_found, async |db: TestDatabase| {
    let (toys, trade) = two_organizations(&db).await;
    let organization = toys.organization.id;
    assert_eq!(crate::read!(db, conn => audit::head(conn, organization)), None);
    let ann = || Actor::Principal { id: PrincipalId(1001), login: "ann".to_owned() };
    let events = [
        event(organization, ann(), "grant.give", 1),
        event(organization, Actor::Operator { account: "root".to_owned() }, "grant.give", 2),
        event(organization, Actor::System { part: "sweeper" }, "grant.expire", 3),
        event(organization, Actor::Nobody, "session.begin", 4),
        event(organization, ann(), "grant.revoke", 5),
    ];
    for one in events.clone() {
        crate::write!(db, tx => append(tx, organization, &one)).unwrap();
    }
    let head = crate::read!(db, conn => audit::head(conn, organization)).unwrap();
    assert_eq!((head.seq, head.hash), (5, [5; 32]));
    let other = trade.organization.id;
    assert_eq!(crate::read!(db, conn => audit::head(conn, other)), None);

    let first = crate::read!(db, conn => audit::get(conn, organization, 1)).unwrap();
    let mut expected = AuditRow::new(&events[0], 1, [0; 32]);
    expected.hash = [1; 32];
    assert_eq!(first, expected, "texts come back byte for byte");

    let seqs = async |filter: Filter, above: u64, below: u64, limit: u32| {
        let page = crate::read!(db, conn => audit::page(conn, organization, &filter, above, below, limit));
        (page.rows.iter().map(|row| row.seq).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(seqs(Filter::All, 0, u64::MAX, 2).await, (vec![5, 4], true));
    assert_eq!(seqs(Filter::All, 1, 4, 9).await, (vec![3, 2], false));
    assert_eq!(seqs(Filter::Action("grant.give".to_owned()), 0, 9, 9).await, (vec![2, 1], false));
    assert_eq!(seqs(Filter::Actor(PrincipalId(1001)), 0, 9, 1).await, (vec![5], true));
    let target = Filter::Target { kind: "grant".to_owned(), target: "g1".to_owned() };
    assert_eq!(seqs(target, 0, 9, 9).await, (vec![5, 4, 3, 2, 1], false));
    assert_eq!(crate::read!(db, conn => audit::first_since(conn, organization, at(3))), Some(3));
    assert_eq!(crate::read!(db, conn => audit::first_since(conn, organization, at(6))), None);
    assert_eq!(crate::read!(db, conn => audit::of_request(conn, organization, RequestId(77))).len(), 5);
    let seen = crate::read!(db, conn => async {
        let mut seen = Vec::new();
        audit::for_each(conn, organization, 2, 4, |row| {
            seen.push((row.seq, row.previous_hash));
            Ok::<(), Error>(())
        })
        .await?;
        Ok(seen)
    });
    assert_eq!(seen, [(2, [1; 32]), (3, [2; 32]), (4, [3; 32])]);
});

both_engines!(events_added_at_once_fork_no_chain, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let one = event(organization, Actor::Nobody, "session.begin", 1);
    let add = || {
        let one = one.clone();
        async { crate::write!(db, tx => append(tx, organization, &one)).unwrap() }
    };
    let (a, b, c, d) = tokio::join!(add(), add(), add(), add());
    let mut seen = [a, b, c, d];
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3, 4]);
});

both_engines!(identical_denials_are_counted_until_their_window_is_over, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    let denial = |resource: &str, count: u64, seconds: i64| DenialCount {
        window_start: at(0),
        principal: PrincipalId(1001),
        permission: "sales.invoices.read".to_owned(),
        resource: resource.to_owned(),
        reason: "no_grant".to_owned(),
        count,
        first_at: at(seconds),
        last_at: at(seconds),
    };
    let rows = [denial("invoice:1", 2, 1), denial("invoice:1", 3, 9), denial("", 1, 2)];
    crate::write!(db, tx => async {
        for row in &rows {
            denial::add(tx, organization, row).await?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(crate::read!(db, conn => denial::due(conn, organization, at(0), 9)), []);
    let due = crate::read!(db, conn => denial::due(conn, organization, at(1), 9));
    let counts: Vec<_> =
        due.iter().map(|row| (row.resource.as_str(), row.count, row.first_at, row.last_at)).collect();
    assert_eq!(counts, [("", 1, at(2), at(2)), ("invoice:1", 5, at(1), at(9))]);
    let gone = due[1].clone();
    assert!(crate::write!(db, tx => denial::delete(tx, organization, &gone)).unwrap());
    assert_eq!(crate::read!(db, conn => denial::due(conn, organization, at(1), 9)).len(), 1);
});
