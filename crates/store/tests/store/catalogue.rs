//! The catalogue's documents and rows, and plan versions.

use charter_store::catalogue::{self, CatalogueDocument, DocumentKind};
use charter_store::plan::{self, PlanStatus};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;

use crate::world::*;

both_engines!(what_leaves_the_catalogue_is_retired_and_comes_back, async |db: TestDatabase| {
    migrated(&db).await;
    let whole = small_catalogue();
    let mut smaller = small_catalogue();
    smaller.permissions.clear();
    smaller.modules.truncate(1);
    smaller.modules[0].depends_on.clear();
    let first = whole.clone();
    crate::write!(db, tx => catalogue::install(tx, &first, at(0))).unwrap();
    let rows = crate::read!(db, conn => catalogue::permissions(conn));
    assert_eq!((rows.len(), rows[0].retired_at), (1, None));
    crate::write!(db, tx => catalogue::install(tx, &smaller, at(1))).unwrap();
    let rows = crate::read!(db, conn => catalogue::permissions(conn));
    assert_eq!((rows.len(), rows[0].retired_at), (1, Some(at(1))));
    crate::write!(db, tx => catalogue::install(tx, &whole, at(2))).unwrap();
    assert_eq!(crate::read!(db, conn => catalogue::permissions(conn))[0].retired_at, None);
});

both_engines!(the_document_installed_last_is_the_latest, async |db: TestDatabase| {
    migrated(&db).await;
    let document = |version: &str, seconds: i64| CatalogueDocument {
        version: version.to_owned(),
        text: format!("version = \"{version}\"\n"),
        hash: vec![7; 32],
        installed_at: at(seconds),
    };
    crate::write!(db, tx => async {
        catalogue::put_document(tx, DocumentKind::Shipped, &document("2", 1)).await?;
        catalogue::put_document(tx, DocumentKind::Shipped, &document("1", 2)).await?;
        catalogue::put_document(tx, DocumentKind::Own, &document("9", 3)).await
    })
    .unwrap();
    let latest = crate::read!(db, conn => catalogue::latest_document(conn, DocumentKind::Shipped));
    assert_eq!(latest, Some(document("1", 2)));
    crate::write!(db, tx => catalogue::put_document(tx, DocumentKind::Shipped, &document("2", 5))).unwrap();
    let latest = crate::read!(db, conn => catalogue::latest_document(conn, DocumentKind::Shipped));
    assert_eq!(latest, Some(document("2", 5)));
    assert_eq!(crate::read!(db, conn => catalogue::documents(conn)).len(), 3);
});

both_engines!(a_draft_may_go_and_a_published_plan_stays, async |db: TestDatabase| {
    migrated(&db).await;
    let mut next = small_plan();
    (next.version, next.status, next.published_at) = (2, PlanStatus::Draft, None);
    let draft = next.clone();
    crate::write!(db, tx => async {
        shared(tx).await?;
        plan::insert(tx, &draft).await
    })
    .unwrap();
    let starter = || key("starter");
    assert_eq!(crate::read!(db, conn => plan::latest(conn, &starter())), Some(small_plan()));
    assert_eq!(crate::read!(db, conn => plan::versions(conn, &starter())), [small_plan(), next.clone()]);
    assert!(crate::write!(db, tx => plan::publish(tx, &starter(), 2, at(5))).unwrap());
    assert!(!crate::write!(db, tx => plan::delete_draft(tx, &starter(), 2)).unwrap());
    (next.status, next.published_at) = (PlanStatus::Published, Some(at(5)));
    assert_eq!(crate::read!(db, conn => plan::latest(conn, &starter())), Some(next.clone()));
    assert!(crate::write!(db, tx => plan::retire(tx, &starter(), 2)).unwrap());
    assert_eq!(crate::read!(db, conn => plan::latest(conn, &starter())), Some(small_plan()));
    let mut third = next;
    (third.version, third.status, third.published_at) = (3, PlanStatus::Draft, None);
    crate::write!(db, tx => plan::insert(tx, &third)).unwrap();
    assert!(crate::write!(db, tx => plan::delete_draft(tx, &starter(), 3)).unwrap());
    assert_eq!(crate::read!(db, conn => plan::get(conn, &starter(), 3)), None);
    assert_eq!(crate::read!(db, conn => plan::list(conn)).len(), 2);
});
