//! Signing keys over time, on both databases: published ahead, signing, verifying, gone; raced, interrupted, leaked.

use crate::world::{NOW, Node, PASSWORD, draft, open};
use charter_app::identity::key_rotation::{self, KeyState, RevocationDraft, RotationDraft};
use charter_app::identity::token_floor::{self, FloorDraft, Whose};
use charter_app::identity::{own_session, sign_in};
use charter_app::{App, Caller, Permit};
use charter_db::{Scope, Statement};
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_testkit::both_engines;
use charter_testkit::database::{TestDatabase, postgres};
use charter_testkit::fault::Faults;

const DAY: i64 = 86_400;

async fn permit(node: &Node) -> Permit {
    node.app.require(&node.operator(), node.app.platform(), "platform.secrets.rotate").await.unwrap()
}

/// States of the keys in the order in which they sign.
async fn states(node: &Node) -> Vec<KeyState> {
    let mut keys = key_rotation::list(&node.app, &permit(node).await).await.unwrap();
    keys.sort_by_key(|key| key.activates_at);
    keys.into_iter().map(|key| key.state).collect()
}

async fn token(node: &Node) -> String {
    let begun = sign_in::sign_in(&node.app, &node.anonymous(), draft("ann@toys.example", PASSWORD)).await;
    begun.unwrap().begun().unwrap().access_token().to_owned()
}

async fn is_accepted(app: &App, token: &str) -> bool {
    match app.authenticate(Some(token), None).await {
        Ok(Caller::Principal(_)) => true,
        Err(Problem { kind: ProblemKind::Unauthenticated, .. }) => false,
        other => panic!("{other:?}"),
    }
}

fn because(reason: &str) -> RevocationDraft {
    RevocationDraft { is_compromised: false, reason: reason.to_owned() }
}

fn published(node: &Node) -> usize {
    let document: serde_json::Value = serde_json::from_str(node.app.identity().keys().document()).unwrap();
    document["keys"].as_array().unwrap().len()
}

both_engines!(keys_come_and_go_by_the_clock_and_nobody_notices, async |db: TestDatabase| {
    use KeyState::{Active, Pending, Retired, Retiring};
    let node = open(&db).await;
    node.company().await;
    assert_eq!(states(&node).await, [Active]);
    // The next key is published a day before two o'clock on the day after the ninetieth.
    node.clock.forward(91 * DAY);
    node.app.tick().await.unwrap();
    assert_eq!(states(&node).await, [Active, Pending]);
    assert_eq!(published(&node), 2, "verifiers see the next key before it signs");
    let before = token(&node).await;
    node.clock.forward(DAY);
    let kid = node.app.identity().keys().signer_kid().unwrap().to_owned();
    node.app.tick().await.unwrap();
    assert_eq!(states(&node).await, [Retiring, Active]);
    assert_ne!(node.app.identity().keys().signer_kid().unwrap(), kid);
    assert!(!is_accepted(&node.app, &before).await, "ten minutes are over anyway");
    let after = token(&node).await;
    assert!(is_accepted(&node.app, &after).await);
    for _ in 0..4 {
        node.clock.forward(91 * DAY);
        node.app.tick().await.unwrap();
        node.clock.forward(2 * DAY);
        node.app.tick().await.unwrap();
    }
    // A key that stopped signing 270 days ago verifies nothing.
    assert_eq!(states(&node).await, [Retired, Retired, Retiring, Retiring, Retiring, Active]);
    let sealed = Statement::new("select count(*) from signing_keys where sealed_private is not null");
    let kept: i64 =
        node.app.database().query_one(Scope::Installation, &sealed, &[]).await.unwrap().get(0).unwrap();
    assert_eq!(kept, 1, "only the key that signs has a private part");
});

both_engines!(a_token_signed_just_before_a_rotation_is_accepted_until_it_ends, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let draft = RotationDraft { ahead_seconds: Some(600), plan: None, lineage: None };
    key_rotation::rotate(&node.app, &node.operator(), &permit(&node).await, draft).await.unwrap();
    node.clock.forward(595);
    let last = token(&node).await;
    node.clock.forward(10);
    node.app.tick().await.unwrap();
    assert!(is_accepted(&node.app, &last).await);
    let first = token(&node).await;
    assert!(is_accepted(&node.app, &first).await);
    node.clock.forward(600 + 60);
    assert!(!is_accepted(&node.app, &last).await);
});

both_engines!(
    /// Attack 119: a dry run changes nothing, and its plan is done exactly or refused.
    a_plan_is_looked_at_and_done_exactly, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let (operator, permit) = (node.operator(), permit(&node).await);
    let rows = Statement::new("select count(*) from audit_events");
    let count = async || -> i64 {
        node.app.database().query_one(Scope::Installation, &rows, &[]).await.unwrap().get(0).unwrap()
    };
    let before = (count().await, states(&node).await);
    let wish = RotationDraft { ahead_seconds: Some(3_600), plan: None, lineage: None };
    let plan = key_rotation::plan(&node.app, &operator, &wish).await.unwrap();
    assert!(plan.makes_key && plan.next.is_none());
    assert_eq!(plan.activates_at, node.now().plus_seconds(3_600));
    assert_eq!((count().await, states(&node).await), before);
    let other = RotationDraft { plan: Some("0123456789abcdef".to_owned()), ..wish.clone() };
    let refused = key_rotation::rotate(&node.app, &operator, &permit, other).await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::Changed);
    let exactly = RotationDraft { plan: Some(plan.hash.clone()), ..wish.clone() };
    let done = key_rotation::rotate(&node.app, &operator, &permit, exactly.clone()).await.unwrap();
    assert_eq!((done.hash, done.activates_at), (plan.hash, plan.activates_at));
    assert!(done.next.is_some());
    let again = key_rotation::rotate(&node.app, &operator, &permit, exactly).await.unwrap_err();
    assert_eq!(again.kind, ProblemKind::Changed, "the keys are others now");
    for seconds in [0, 599, 31 * 86_400] {
        let wish = RotationDraft { ahead_seconds: Some(seconds), plan: None, lineage: None };
        let refused = key_rotation::plan(&node.app, &operator, &wish).await.unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Invalid, "{seconds}");
    }
});

both_engines!(
    a_second_rotation_brings_the_waiting_key_forward_and_makes_no_other,
    async |db: TestDatabase| {
        let node = open(&db).await;
        let (operator, permit) = (node.operator(), permit(&node).await);
        let rotate = async |ahead: u32| {
            let draft = RotationDraft { ahead_seconds: Some(ahead), plan: None, lineage: None };
            key_rotation::rotate(&node.app, &operator, &permit, draft).await.unwrap()
        };
        let first = rotate(7_200).await;
        let second = rotate(600).await;
        assert_eq!(first.next, second.next);
        assert!(!second.makes_key);
        assert_eq!(second.activates_at, node.now().plus_seconds(600));
        let third = rotate(7_200).await;
        assert_eq!(third.activates_at, second.activates_at, "and never puts it off");
        assert_eq!(states(&node).await, [KeyState::Active, KeyState::Pending]);
    }
);

both_engines!(
    /// Attack 6, and the emergency: what a leaked key signed is refused at once, and nobody is signed out.
    a_revoked_key_is_refused_at_once_and_sessions_go_on, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let (operator, permit) = (node.operator(), permit(&node).await);
    let leaked = token(&node).await;
    assert!(is_accepted(&node.app, &leaked).await);
    let kid = node.app.identity().keys().signer_kid().unwrap().to_owned();
    let silent = key_rotation::revoke(&node.app, &operator, &permit, &kid, because(" ")).await.unwrap_err();
    assert_eq!(silent.kind, ProblemKind::Invalid);
    let revoked = key_rotation::revoke(&node.app, &operator, &permit, &kid, because("leaked")).await.unwrap();
    assert_eq!(revoked.state, KeyState::Revoked);
    assert!(revoked.sealed_private.is_none());
    assert!(!is_accepted(&node.app, &leaked).await);
    assert_eq!(states(&node).await.iter().filter(|state| **state == KeyState::Active).count(), 1);
    assert_eq!(published(&node), 1, "the public document no longer has it");
    let fresh = token(&node).await;
    assert!(is_accepted(&node.app, &fresh).await);
    let ctx = node.as_bearer(&fresh).await;
    let live = own_session::list_own(&node.app, &ctx, &charter_app::Page::first(10)).await.unwrap();
    assert_eq!(live.items.len(), 2, "the session of the refused token is still there");
    let again = key_rotation::revoke(&node.app, &operator, &permit, &kid, because("leaked")).await.unwrap_err();
    assert_eq!(again.kind, ProblemKind::InUse);
    let unknown = key_rotation::revoke(&node.app, &operator, &permit, "nobody", because("leaked")).await.unwrap_err();
    assert_eq!(unknown.kind, ProblemKind::NotFound);
});

both_engines!(
    /// Attack 118: a node that dies between publishing and activating leaves nothing undone.
    a_rotation_interrupted_goes_on_at_the_next_start, async |db: TestDatabase| {
    let node = open(&db).await;
    let draft = RotationDraft { ahead_seconds: Some(600), plan: None, lineage: None };
    let next = key_rotation::rotate(&node.app, &node.operator(), &permit(&node).await, draft).await.unwrap().next;
    node.app.close().await.unwrap();
    drop(node);
    let node = open(&db).await;
    assert_eq!(states(&node).await, [KeyState::Active, KeyState::Pending]);
    node.clock.forward(601);
    node.app.tick().await.unwrap();
    assert_eq!(node.app.identity().keys().signer_kid().map(str::to_owned), next);
    assert_eq!(states(&node).await, [KeyState::Retiring, KeyState::Active]);
});

both_engines!(
    /// Attack 118, step by step: whatever a node died at, the next step is found, and there is one key that signs.
    a_change_of_keys_cut_off_at_any_step_is_done_at_the_next, async |db: TestDatabase| {
    let faults = Faults::new();
    let db = db.fail_with(&faults);
    let node = open(&db).await;
    node.company().await;
    let mut steps = 0;
    loop {
        let draft = RotationDraft { ahead_seconds: Some(600), plan: None, lineage: None };
        let plan = key_rotation::rotate(&node.app, &node.operator(), &permit(&node).await, draft).await.unwrap();
        node.clock.forward(601);
        faults.fail_after(steps);
        let _ = node.app.tick().await;
        let struck = faults.struck();
        node.app.tick().await.unwrap();
        assert_eq!(node.app.identity().keys().signer_kid().map(str::to_owned), plan.next, "{steps}: {struck:?}");
        let count = async |state: KeyState| states(&node).await.iter().filter(|it| **it == state).count();
        assert_eq!((count(KeyState::Active).await, count(KeyState::Pending).await), (1, 0));
        let fresh = token(&node).await;
        assert!(is_accepted(&node.app, &fresh).await, "{steps}: {struck:?}");
        if struck.is_none() {
            break;
        }
        steps += 1;
    }
    assert!(steps > 8, "the walk went through reading, writing and committing: {steps}");
});

both_engines!(
    a_full_database_puts_a_rotation_off_and_keeps_nothing_else_from_going_on,
    async |db: TestDatabase| {
        let faults = Faults::new();
        let db = db.fail_with(&faults);
        let node = open(&db).await;
        node.company().await;
        let draft = RotationDraft { ahead_seconds: Some(600), plan: None, lineage: None };
        key_rotation::rotate(&node.app, &node.operator(), &permit(&node).await, draft).await.unwrap();
        let kid = node.app.identity().keys().signer_kid().unwrap().to_owned();
        node.clock.forward(500);
        let before = token(&node).await;
        node.clock.forward(101);
        faults.fill();
        node.app.tick().await.unwrap();
        assert_eq!(
            node.app.identity().keys().signer_kid(),
            Some(kid.as_str()),
            "the key so far goes on signing"
        );
        assert!(is_accepted(&node.app, &before).await);
        faults.mend();
        node.app.tick().await.unwrap();
        assert_ne!(node.app.identity().keys().signer_kid(), Some(kid.as_str()));
        assert!(is_accepted(&node.app, &before).await);
    }
);

both_engines!(what_was_compromised_takes_the_key_that_waits_with_it, async |db: TestDatabase| {
    let node = open(&db).await;
    let (operator, permit) = (node.operator(), permit(&node).await);
    let rotate = RotationDraft::default();
    let plan = key_rotation::rotate(&node.app, &operator, &permit, rotate.clone()).await.unwrap();
    let (active, next) = (plan.active.unwrap(), plan.next.unwrap());
    let compromised = RevocationDraft { is_compromised: true, reason: String::new() };
    let revoked = key_rotation::revoke(&node.app, &operator, &permit, &active, compromised).await.unwrap();
    assert_eq!(revoked.revoke_reason.as_deref(), Some("compromised"));
    let keys = key_rotation::list(&node.app, &permit).await.unwrap();
    let state = |kid: &str| keys.iter().find(|key| key.kid == kid).map(|key| key.state);
    assert_eq!((state(&active), state(&next)), (Some(KeyState::Revoked), Some(KeyState::Revoked)));
    assert_eq!(keys.iter().filter(|key| key.state == KeyState::Active).count(), 1);
    assert_eq!(published(&node), 1);
    // A key that is merely unwanted leaves the one that waits alone, and the one that signs too.
    let waits = key_rotation::rotate(&node.app, &operator, &permit, rotate).await.unwrap();
    let signs = waits.active.unwrap();
    key_rotation::revoke(&node.app, &operator, &permit, &waits.next.unwrap(), because("a drill"))
        .await
        .unwrap();
    assert_eq!(node.app.identity().keys().signer_kid(), Some(signs.as_str()));
});

both_engines!(rotations_one_after_the_other_sign_nobody_out, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    // More rotations than the history holds.
    for _ in 0..6 {
        let draft = RotationDraft { ahead_seconds: Some(600), plan: None, lineage: None };
        let before = token(&node).await;
        key_rotation::rotate(&node.app, &node.operator(), &permit(&node).await, draft).await.unwrap();
        node.clock.forward(599);
        assert!(is_accepted(&node.app, &before).await);
        let last = token(&node).await;
        node.clock.forward(1);
        node.app.tick().await.unwrap();
        assert!(is_accepted(&node.app, &last).await);
    }
});

both_engines!(
    /// A virtual machine that starts in 2030 and then learns the time.
    a_clock_that_was_ahead_and_is_set_back_locks_nobody_out, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(1_000 * DAY);
    node.app.tick().await.unwrap();
    node.clock.forward(2 * DAY);
    node.app.tick().await.unwrap();
    assert_eq!(states(&node).await.last(), Some(&KeyState::Active));
    node.clock.forward(-1_002 * DAY);
    node.app.tick().await.unwrap();
    let fresh = token(&node).await;
    assert!(is_accepted(&node.app, &fresh).await);
    assert_eq!(states(&node).await.iter().filter(|state| **state == KeyState::Active).count(), 1);
});

both_engines!(tokens_before_a_floor_are_refused_and_later_ones_are_not, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let permit = permit(&node).await;
    let raise = async |whose: Whose, not_before: Option<Timestamp>| {
        let draft = FloorDraft { whose, not_before, reason: "tokens in a log".to_owned() };
        token_floor::raise(&node.app, &node.operator(), &permit, draft).await
    };
    let old = token(&node).await;
    let carl = sign_in::SignInDraft {
        organization: Some("trade".to_owned()),
        ..draft("carl@toys.example", PASSWORD)
    };
    let elsewhere = sign_in::sign_in(&node.app, &node.anonymous(), carl)
        .await
        .unwrap()
        .begun()
        .unwrap()
        .access_token()
        .to_owned();
    node.clock.forward(5);
    raise(Whose::Organization(node.toys()), None).await.unwrap();
    assert!(!is_accepted(&node.app, &old).await);
    assert!(is_accepted(&node.app, &elsewhere).await, "another organization's");
    let new = token(&node).await;
    assert!(is_accepted(&node.app, &new).await);
    let ann = node.as_bearer(&new).await.principal().unwrap().id;
    node.clock.forward(5);
    raise(Whose::Principal(ann), None).await.unwrap();
    assert!(!is_accepted(&node.app, &new).await);
    assert!(is_accepted(&node.app, &elsewhere).await);
    raise(Whose::Everybody, None).await.unwrap();
    assert!(!is_accepted(&node.app, &elsewhere).await);
    for at in [Timestamp::from_seconds(NOW), node.now().plus_seconds(1)] {
        assert_eq!(raise(Whose::Everybody, Some(at)).await.unwrap_err().kind, ProblemKind::Invalid);
    }
    let newest = token(&node).await;
    assert!(is_accepted(&node.app, &newest).await);
    node.app.close().await.unwrap();
    drop(node);
    let node = open(&db).await;
    node.clock.forward(10);
    assert!(!is_accepted(&node.app, &elsewhere).await, "a floor outlives the node");
});

/// Attack 117: two nodes rotate at once, and step at once when the time has come.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_rotate_at_once_make_one_key() {
    let db = postgres().await;
    let (one, two) = (open(&db).await, open(&db).await);
    for round in 1..=100usize {
        let both = [&one, &two].map(|node| async move {
            let draft = RotationDraft { ahead_seconds: Some(600), plan: None, lineage: None };
            let permit = permit(node).await;
            key_rotation::rotate(&node.app, &node.operator(), &permit, draft).await.unwrap().next
        });
        let [a, b] = both;
        let (a, b) = tokio::join!(a, b);
        assert_eq!(a, b);
        one.clock.forward(601);
        two.clock.forward(601);
        let (a, b) = tokio::join!(one.app.tick(), two.app.tick());
        a.unwrap();
        b.unwrap();
        one.app.tick().await.unwrap();
        assert_eq!(one.app.identity().keys().signer_kid(), two.app.identity().keys().signer_kid());
        assert_eq!(states(&one).await.len(), round + 1, "one new key a round");
    }
}

both_engines!(a_dry_run_tells_sessions_and_the_nodes_that_run, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let permit = permit(&node).await;
    let reached = async || key_rotation::reached(&node.app, &node.operator(), &permit).await.unwrap();
    let before = reached().await;
    assert_eq!((before.sessions, before.nodes.len()), (0, 0), "nothing runs before its first round");
    token(&node).await;
    token(&node).await;
    node.app.tick().await.unwrap();
    let told = reached().await;
    assert_eq!((told.sessions, told.nodes.len(), told.legacy.len()), (2, 1, 0));
    assert!(told.nodes[0].is_current);
    let rotate = async || {
        key_rotation::rotate(&node.app, &node.operator(), &permit, RotationDraft::default()).await.unwrap()
    };
    rotate().await;
    assert!(!reached().await.nodes[0].is_current, "it has not said so yet");
    node.app.tick().await.unwrap();
    assert!(reached().await.nodes[0].is_current);
    // It says nothing anew while nothing changes, and is gone when it says nothing for a minute.
    let seen_at = reached().await.nodes[0].node.seen_at;
    node.clock.forward(14);
    node.app.tick().await.unwrap();
    assert_eq!(reached().await.nodes[0].node.seen_at, seen_at);
    node.clock.forward(1);
    node.app.tick().await.unwrap();
    assert_eq!(reached().await.nodes[0].node.seen_at, node.now());
    node.clock.forward(60);
    assert_eq!(reached().await.nodes, []);
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_the_one_that_has_not_read_a_new_key_is_told() {
    let db = postgres().await;
    let (here, there) = (open(&db).await, open(&db).await);
    here.app.tick().await.unwrap();
    there.app.tick().await.unwrap();
    let permit = permit(&here).await;
    let current = async || {
        let reached = key_rotation::reached(&here.app, &here.operator(), &permit).await.unwrap();
        reached.nodes.iter().filter(|node| node.is_current).count()
    };
    assert_eq!(current().await, 2);
    key_rotation::rotate(&here.app, &here.operator(), &permit, RotationDraft::default()).await.unwrap();
    here.app.tick().await.unwrap();
    assert_eq!(current().await, 1);
    there.app.tick().await.unwrap();
    assert_eq!(current().await, 2);
    there.app.close().await.unwrap();
    assert_eq!(current().await, 1, "who ends says so");
}
