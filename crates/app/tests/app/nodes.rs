//! Several nodes on one PostgreSQL.

use crate::world::{self, Node};
use charter_app::assignment::{self, AssignmentDraft};
use charter_app::identity::sign_in;
use charter_app::subject::SubjectRef;
use charter_app::{EditOptions, RequestContext};
use charter_db::{Scope, Statement};
use charter_kernel::{OrganizationId, ProblemKind, Window};
use charter_testkit::database::{self, TestDatabase};

const PLATFORMS: Statement = Statement::new("select count(*) from organizations where kind = 'platform'");
const EVENTS: Statement =
    Statement::new("select count(*) from audit_events where action = 'organization.create'");
const MIGRATED: Statement = Statement::new("select count(*) from charter_migrations");
const KEYS: Statement = Statement::new("select count(*) from signing_keys");

async fn count(node: &Node, statement: Statement) -> i64 {
    let database = node.app.database();
    database.query_one(Scope::Installation, &statement, &[]).await.unwrap().get(0).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_on_an_empty_database_make_everything_once() {
    let db = database::postgres().await;
    let nodes = tokio::join!(world::open(&db), world::open(&db), world::open(&db), world::open(&db));
    let first = nodes.0.app.platform();
    assert_eq!([nodes.1.app.platform(), nodes.2.app.platform(), nodes.3.app.platform()], [first; 3]);
    assert_eq!(count(&nodes.0, PLATFORMS).await, 1);
    assert_eq!(count(&nodes.0, EVENTS).await, 1);
    assert_eq!(count(&nodes.0, MIGRATED).await, i64::from(charter_store::migration::newest()));
    assert_eq!(count(&nodes.0, KEYS).await, 1);
    nodes.0.company().await;
    nodes.3.app.tick().await.unwrap();
    nodes.3.permit(nodes.0.toys()).await;
}

async fn may(node: &Node, ctx: &RequestContext, toys: OrganizationId) -> bool {
    match node.app.require(ctx, toys, "admin.users.read").await {
        Ok(_) => true,
        Err(problem) if problem.kind == ProblemKind::Forbidden => false,
        Err(problem) => panic!("{problem}"),
    }
}

async fn two(db: &TestDatabase) -> (Node, Node) {
    let first = world::open(db).await;
    first.company().await;
    (first, world::open(db).await)
}

async fn signed_in(node: &Node, login: &str) -> String {
    let draft = world::draft(login, world::PASSWORD);
    sign_in::sign_in(&node.app, &node.anonymous(), draft).await.unwrap().token.to_string()
}

/// The second node listens to nothing: all it has is the poll.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_is_seen_by_a_node_that_only_polls_and_at_once_when_it_is_told_the_revision() {
    let db = database::postgres().await;
    let (here, there) = two(&db).await;
    let toys = here.toys();
    let bob = there.as_bearer(&signed_in(&here, "bob@toys.example").await).await;
    for round in 0..6 {
        assert!(!may(&there, &bob, toys).await);
        let draft = AssignmentDraft {
            role: "org_admin".parse().unwrap(),
            subject: SubjectRef::Member("bob@toys.example".to_owned()),
            window: Window::ALWAYS,
            condition: None,
        };
        let permit = here.permit(toys).await;
        let given =
            assignment::assign(&here.app, &here.operator(), &permit, EditOptions::apply(), draft).await;
        let given = given.unwrap();
        there.app.tick().await.unwrap();
        assert!(may(&there, &bob, toys).await, "round {round}");
        let operator = here.operator();
        let taken = assignment::unassign(&here.app, &operator, &permit, EditOptions::apply(), given.value.id);
        let revision = taken.await.unwrap().revision;
        assert!(!may(&here, &bob, toys).await, "the node that revoked");
        if round % 2 == 0 {
            // `Charter-At-Least`: no poll in between.
            let now = there.now();
            let snapshot = there.app.snapshots().at_least(toys, revision, now).await.unwrap();
            assert!(snapshot.shard().revision() >= revision);
        } else {
            there.app.tick().await.unwrap();
        }
        assert!(!may(&there, &bob, toys).await, "round {round}: the other node");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_writers_on_two_nodes_with_the_same_revision_one_wins() {
    let db = database::postgres().await;
    let (here, there) = two(&db).await;
    let toys = here.toys();
    for round in 0..5 {
        let revision = here.app.snapshots().snapshot(toys, here.now()).await.unwrap().shard().revision();
        let write = async |node: &Node, login: &str| {
            let draft = AssignmentDraft {
                role: "viewer".parse().unwrap(),
                subject: SubjectRef::Member(login.to_owned()),
                window: Window::new(None, Some(node.now().plus_seconds(1_000 + round))).unwrap(),
                condition: None,
            };
            let options = EditOptions { if_revision: Some(revision), ..EditOptions::apply() };
            let permit = node.permit(toys).await;
            assignment::assign(&node.app, &node.operator(), &permit, options, draft).await.map(|_| ())
        };
        let (a, b) = tokio::join!(write(&here, "bob@toys.example"), write(&there, "carl@toys.example"));
        let kinds: Vec<_> =
            [a, b].into_iter().map(|outcome| outcome.map_err(|problem| problem.kind)).collect();
        assert!(kinds.contains(&Ok(())) && kinds.contains(&Err(ProblemKind::Changed)), "{kinds:?}");
        here.app.tick().await.unwrap();
        there.app.tick().await.unwrap();
    }
}
