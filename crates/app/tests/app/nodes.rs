//! Several nodes on one PostgreSQL.

use crate::world::{self, Node};
use charter_app::assignment::{self, AssignmentDraft};
use charter_app::identity::{own_session, password_reset, refresh, sign_in};
use charter_app::subject::SubjectRef;
use charter_app::{EditOptions, RequestContext};
use charter_db::{Scope, Statement};
use charter_kernel::{OrganizationId, ProblemKind, Window};
use charter_testkit::database::{self, TestDatabase};

const PLATFORMS: Statement = Statement::new("select count(*) from organizations where kind = 'platform'");
const EVENTS: Statement =
    Statement::new("select count(*) from audit_events where action = 'organization.create'");
const MIGRATED: Statement = Statement::new("select count(*) from charter_migrations");
const REMOVED: Statement = Statement::new("select count(*) from removed_organizations");
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
    sign_in::sign_in(&node.app, &node.anonymous(), draft)
        .await
        .unwrap()
        .begun()
        .unwrap()
        .access_token()
        .to_owned()
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

async fn guess(node: &Node, login: &str, password: &str, low: u8) -> Option<ProblemKind> {
    let ctx = node.anonymous_from(Some(std::net::IpAddr::from([192, 0, 2, low])));
    sign_in::sign_in(&node.app, &ctx, world::draft(login, password)).await.err().map(|problem| problem.kind)
}

/// Attack 66: what one node counted the others know, and so does one that starts anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_are_counted_by_all_nodes_together_and_a_restart_forgets_none() {
    let db = database::postgres().await;
    let (here, there) = two(&db).await;
    let ann = "ann@toys.example";
    for low in 0..5 {
        let node = if low % 2 == 0 { &here } else { &there };
        assert_eq!(guess(node, ann, "wrong horse battery", low).await, Some(ProblemKind::InvalidCredentials));
    }
    for node in [&here, &there, &world::open(&db).await] {
        assert_eq!(guess(node, ann, world::PASSWORD, 99).await, Some(ProblemKind::Throttled));
    }
    there.clock.forward(2);
    assert_eq!(guess(&there, ann, world::PASSWORD, 99).await, None);
    here.clock.forward(2);
    assert_eq!(guess(&here, ann, world::PASSWORD, 99).await, None, "the right one was forgiven for all");

    let mut refused = 0;
    for number in 0..40 {
        let node = if number % 2 == 0 { &here } else { &there };
        let login = format!("user{number}@toys.example");
        if guess(node, &login, "wrong horse battery", 200).await == Some(ProblemKind::Throttled) {
            refused += 1;
        }
    }
    assert_eq!(refused, 10, "thirty a minute from one address, on both nodes together");
}

/// Attack 66, of forgotten passwords: thirty a minute from one address, on all nodes together and after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_for_forgotten_passwords_are_counted_by_all_nodes_together_and_a_restart_forgets_none() {
    let db = database::postgres().await;
    let (here, there) = two(&db).await;
    let asks = async |node: &Node, number: usize| {
        let ctx = node.anonymous_from(Some(std::net::IpAddr::from([192, 0, 2, 201])));
        password_reset::ask(&node.app, &ctx, &format!("user{number}@toys.example"))
            .await
            .err()
            .map(|it| it.kind)
    };
    for number in 0..30 {
        let node = if number % 2 == 0 { &here } else { &there };
        assert_eq!(asks(node, number).await, None, "{number}");
    }
    for node in [&here, &there, &world::open(&db).await] {
        assert_eq!(asks(node, 30).await, Some(ProblemKind::Throttled));
    }
    // A sign-in is a guess of the same address.
    let told = guess(&here, "ann@toys.example", world::PASSWORD, 201).await;
    assert_eq!(told, Some(ProblemKind::Throttled));
    there.clock.forward(2);
    assert_eq!(asks(&there, 31).await, None);
    assert_eq!(asks(&there, 32).await, Some(ProblemKind::Throttled));
}

/// Guesses that several nodes hear of at the same moment all count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_guesses_made_on_two_nodes_at_once_five_are_looked_at() {
    let db = database::postgres().await;
    let (here, there) = two(&db).await;
    let guesses = (0..20).map(|low| {
        let node = if low % 2 == 0 { &here } else { &there };
        guess(node, "ann@toys.example", "wrong horse battery", low)
    });
    let kinds = futures_util::future::join_all(guesses).await;
    let looked_at = kinds.iter().filter(|kind| **kind == Some(ProblemKind::InvalidCredentials)).count();
    assert_eq!(looked_at, 5, "{kinds:?}");
}

/// Attack 27, on two nodes: one counter, one successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tabs_that_refresh_on_two_nodes_get_the_same_successor() {
    let db = database::postgres().await;
    let (here, there) = two(&db).await;
    let draft = world::draft("bob@toys.example", world::PASSWORD);
    let begun = sign_in::sign_in(&here.app, &here.anonymous(), draft).await.unwrap().begun().unwrap();
    let token = begun.refresh_token.as_ref().unwrap();
    let tabs = (0..10).map(|number| {
        let node = if number % 2 == 0 { &here } else { &there };
        async move { refresh::refresh(&node.app, &node.anonymous(), token).await.unwrap() }
    });
    let done = futures_util::future::join_all(tabs).await;
    let successors: std::collections::HashSet<&str> =
        done.iter().map(|begun| begun.refresh_token.as_ref().unwrap().as_str()).collect();
    assert_eq!(successors.len(), 1);
    assert!(done.iter().all(|begun| begun.session.id == done[0].session.id));
}

/// A session that ended on one node opens nothing on the other once it has polled; what is told it meanwhile is the poll's affair.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ended_elsewhere_is_over_after_the_poll() {
    let db = database::postgres().await;
    let (here, there) = two(&db).await;
    let token = signed_in(&here, "bob@toys.example").await;
    there.as_bearer(&token).await;
    let bob = here.as_bearer(&token).await;
    own_session::sign_out(&here.app, &bob).await.unwrap();
    assert!(here.app.authenticate(Some(&token), None).await.is_err());
    there.app.tick().await.unwrap();
    assert!(there.app.authenticate(Some(&token), None).await.is_err());
}

/// A node that slept through a rollback remembers nothing of what is gone, not even when the same run brings the same organization again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rollback_removed_is_forgotten_by_a_node_that_slept_and_once_more_when_it_slept_for_days() {
    use charter_app::adoption;
    use charter_kernel::PrincipalId;
    let db = database::postgres().await;
    let (here, there) = two(&db).await;
    let holder = 7;
    let toys = here.toys();
    let now = here.now();
    let bob = here.app.snapshots().snapshot(toys, now).await.unwrap().shard().members()[0];
    let plan = adoption::RunDraft {
        source: "legacy".parse().unwrap(),
        system: "django".to_owned(),
        engine: adoption::RunEngine::Postgres,
        plan_hash: "p1".to_owned(),
        facts_fingerprint: "f1".to_owned(),
        plan: "{}".to_owned(),
        holder,
    };
    let shop = OrganizationId((1 << 80) | (7 << 76) | (2 << 62) | 1);
    let rows = |assigned: bool| adoption::Rows {
        organizations: vec![adoption::OrganizationRow {
            legacy_id: "7".to_owned(),
            id: shop,
            key: "shop".parse().unwrap(),
            name: "Shop".to_owned(),
            enabled_modules: None,
            status: "active".to_owned(),
        }],
        memberships: vec![adoption::MembershipRow {
            organization: shop,
            principal: bob,
            status: "active".to_owned(),
        }],
        assignments: assigned
            .then(|| adoption::AssignmentRow {
                id: shop.0 + 1,
                organization: shop,
                role: "org_admin".parse().unwrap(),
                principal: bob,
            })
            .into_iter()
            .collect(),
        ..adoption::Rows::default()
    };
    let allowed = async |node: &Node, who: PrincipalId| {
        let now = node.now();
        let snapshot = node.app.snapshots().snapshot(shop, now).await?;
        let allowed = snapshot.shard().allowed_at_large(who, now);
        Ok::<_, charter_kernel::Problem>(allowed != charter_policy::PermissionSet::EMPTY)
    };
    for slept in [1, 3 * 24 * 60 * 60] {
        adoption::begin(&here.app, &here.operator(), plan.clone()).await.unwrap();
        adoption::write(&here.app, &here.operator(), 1, holder, rows(true)).await.unwrap();
        there.app.tick().await.unwrap();
        assert!(allowed(&there, bob).await.unwrap());
        assert_eq!(there.app.resolve_organization("shop").await.unwrap(), shop);
        let mut calls = 0;
        loop {
            let draft = adoption::UndoDraft { holder, to: adoption::Step::Schema, discard: false };
            let (undone, _) = adoption::undo(&here.app, &here.operator(), 1, draft).await.unwrap();
            calls += 1;
            if undone.done {
                break;
            }
            assert!(calls < 20, "nothing is waited for");
        }
        assert!(allowed(&there, bob).await.unwrap(), "it sleeps");
        here.clock.forward(slept);
        there.clock.forward(slept);
        if slept > 24 * 60 * 60 {
            // Nobody tells of it any more.
            here.app.tick().await.unwrap();
            assert_eq!(count(&here, REMOVED).await, 0);
        }
        // The same again with fewer rights, and a smaller revision than the one remembered.
        adoption::begin(&here.app, &here.operator(), plan.clone()).await.unwrap();
        adoption::write(&here.app, &here.operator(), 1, holder, rows(false)).await.unwrap();
        there.app.tick().await.unwrap();
        assert!(!allowed(&there, bob).await.unwrap(), "slept for {slept} s");
        loop {
            let draft = adoption::UndoDraft { holder, to: adoption::Step::Schema, discard: false };
            if adoption::undo(&here.app, &here.operator(), 1, draft).await.unwrap().0.done {
                break;
            }
        }
        there.app.tick().await.unwrap();
        assert_eq!(allowed(&there, bob).await.unwrap_err().kind, ProblemKind::NotFound);
        assert_eq!(there.app.organization_in_memory("shop"), None);
    }
}

/// The other system, as it stands before both nodes: it lets nobody do anything, or everybody everything.
struct Elsewhere(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl charter_app::shadow::LegacyRule for Elsewhere {
    fn ask(&self, _: &charter_app::shadow::LegacyQuestion) -> charter_app::shadow::Answering {
        use charter_app::shadow::{Answering, LegacyAnswer};
        let why = "said so".to_owned();
        Answering::Now(match self.0.load(std::sync::atomic::Ordering::Acquire) {
            true => LegacyAnswer::Allow(why),
            false => LegacyAnswer::Deny(why),
        })
    }
}

const ADOPTION: Statement = Statement::new(
    "insert into adoption_runs (run_no, source_key, system, engine, state, plan_hash, plan, facts_fingerprint, started_at) \
     values (1, 'legacy', 'django', 'postgres', 'applied', 'x', '{}', 'y', $1)",
);
const ADOPTED: Statement = Statement::new(
    "insert into adopted_organizations (source_key, legacy_id, organization_id, run_no) values ('legacy', '1', $1, 1)",
);
const BACKS: Statement = Statement::new("select count(*) from audit_events where action = 'shadow.back'");

async fn insert(node: &Node, statement: Statement, cell: charter_db::Value) {
    let database = node.app.database();
    let written = database.write::<_, u64, charter_db::Error>(Scope::Installation, move |tx| {
        Box::pin(async move { tx.execute(&statement, &[cell]).await })
    });
    written.await.unwrap();
}

/// The answer that a node gives, and why; or that it gives none.
async fn asked(node: &Node, toys: OrganizationId, login: &str) -> Result<(bool, &'static str), ProblemKind> {
    use charter_app::check::{self, Asked, Question};
    let permission = Some(Asked::Permission("admin.users.read"));
    let question = Question { subject: login, asked: permission, ..Question::default() };
    let answer = check::check(&node.app, &node.operator(), toys, None, &question, None).await;
    let decision = answer.map_err(|problem| problem.kind)?.decision;
    Ok((decision.is_allow(), decision.reason.as_str()))
}

/// Whose answer is given is known to a node when it knows any other change: at once when it is told, a second later else, and where it
/// cannot read changes it gives none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_follows_the_switch_of_the_other_and_of_both_one_goes_back() {
    use charter_app::shadow::{self, ModeChange, ShadowMode};
    use std::sync::atomic::Ordering;
    let db = database::postgres().await;
    let (here, there) = two(&db).await;
    let toys = here.toys();
    insert(&here, ADOPTION, charter_db::Value::Time(0)).await;
    insert(&here, ADOPTED, charter_db::Value::Id(toys.0)).await;
    let allows = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    for node in [&here, &there] {
        node.app.shadow().ask_by(Box::new(Elsewhere(std::sync::Arc::clone(&allows))));
    }
    let set = async |node: &Node, mode: ShadowMode| {
        let change = ModeChange {
            mode,
            is_automatic: None,
            after_seconds: shadow::AFTER_SECONDS,
            compared_min: shadow::COMPARED_MIN,
            is_forced: true,
            reason: String::new(),
        };
        shadow::change(&node.app, &node.operator(), toys, change).await.unwrap()
    };
    let both_flush = async || {
        let (one, other) = tokio::join!(shadow::flush(&here.app), shadow::flush(&there.app));
        one.unwrap();
        other.unwrap();
    };
    let ann = "ann@toys.example";
    let (ours, theirs) = (Ok((true, "granted_by_role")), Ok((false, "denied_by_legacy")));
    assert_eq!((asked(&here, toys, ann).await, asked(&there, toys, ann).await), (ours, ours));
    for round in 0..3 {
        set(&here, ShadowMode::Shadow).await;
        there.app.tick().await.unwrap();
        assert_eq!(
            (asked(&here, toys, ann).await, asked(&there, toys, ann).await),
            (theirs, theirs),
            "round {round}"
        );

        // What both compare since is counted together, and a pair once.
        both_flush().await;
        for node in [&here, &there] {
            node.clock.forward(1);
        }
        allows.store(true, Ordering::Release);
        for node in [&here, &there] {
            asked(node, toys, ann).await.unwrap();
            asked(node, toys, "carl@toys.example").await.unwrap();
            node.clock.forward(1);
        }
        both_flush().await;
        let quiet = shadow::show(&here.app, &here.operator(), toys).await.unwrap().row.quiet;
        assert_eq!((quiet.compared, quiet.pairs), (4, 2), "round {round}");
        allows.store(false, Ordering::Release);

        set(&here, ShadowMode::CutOver).await;
        assert_eq!(asked(&here, toys, ann).await, ours, "round {round}: the node that was told");
        there.app.tick().await.unwrap();
        assert_eq!(asked(&there, toys, ann).await, ours, "round {round}: the other, after its poll");
        // Both gave what the other system denies, and both find out at the same moment.
        both_flush().await;
        here.app.tick().await.unwrap();
        there.app.tick().await.unwrap();
        assert_eq!(
            (asked(&here, toys, ann).await, asked(&there, toys, ann).await),
            (theirs, theirs),
            "round {round}"
        );
        assert_eq!(count(&here, BACKS).await, round + 1, "once, and by nobody twice");
        for node in [&here, &there] {
            node.clock.forward(1);
        }
    }
    // The other way round: a node that hears of nothing decides nothing once its facts may be too old.
    set(&there, ShadowMode::CutOver).await;
    here.clock.forward(60 * 60 * 24 * 7 + 60);
    assert_eq!(asked(&here, toys, ann).await, Err(ProblemKind::Unavailable));
}
