//! API keys below HTTP: guesses, revocation while they are looked up, several nodes.

use crate::world::{self, Node};
use charter_app::identity::credential::{self, CredentialDraft, NewCredential, Reach};
use charter_app::identity::credential_text::read;
use charter_db::{Scope, Statement};
use charter_kernel::{ProblemKind, Window};
use charter_testkit::both_engines;
use charter_testkit::database::{self, TestDatabase};
use std::net::IpAddr;

async fn key(node: &Node, requests_per_minute: Option<u32>) -> NewCredential {
    let draft = CredentialDraft {
        account: Some("robot".to_owned()),
        name: "till".to_owned(),
        scopes: None,
        addresses: None,
        window: Window::ALWAYS,
        requests_per_minute,
    };
    let permit = node.permit(node.toys()).await;
    credential::create(&node.app, &node.operator(), &permit, draft).await.unwrap()
}

async fn revoke(node: &Node, made: &NewCredential) {
    let permit = node.permit(node.toys()).await;
    let id = made.credential.id;
    credential::revoke(&node.app, &node.operator(), &permit, Reach::All, id, "").await.unwrap();
}

/// The same text with another secret and a check that fits it.
fn guess(token: &str, number: usize) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let signed = format!("{}{number:043}", &token[..22]);
    let mut rest = crc32fast::hash(signed.as_bytes()) as usize;
    let mut check = [b'0'; 6];
    for digit in check.iter_mut().rev() {
        *digit = DIGITS[rest % 62];
        rest /= 62;
    }
    format!("{signed}_{}", std::str::from_utf8(&check).unwrap())
}

both_engines!(
    /// Attack 87: who knows the public part runs out of tries, and its owner does not, not even from the same address.
    secrets_are_not_guessed_and_guesses_stop_nobody, async |db: TestDatabase| {
        let node = world::open(&db).await;
        node.company().await;
        let made = key(&node, None).await;
        let address: Option<IpAddr> = Some("192.0.2.1".parse().unwrap());
        node.app.authenticate(Some(&made.token), address).await.unwrap();
        let (mut looked_at, mut stopped) = (0, 0);
        for number in 0..100_000 {
            let text = guess(&made.token, number);
            match node.app.authenticate(Some(&text), address).await.unwrap_err().kind {
                ProblemKind::Unauthenticated => looked_at += 1,
                ProblemKind::Throttled => stopped += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(read(&guess(&made.token, 1)).is_some_and(|it| it.id == made.credential.key_id));
        assert_eq!((looked_at, stopped), (30, 99_970));
        node.app.authenticate(Some(&made.token), address).await.unwrap();
    }
);

/// Attack 79, on one node: a look-up that is under way while a key is revoked does not bring it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_looked_up_while_it_is_revoked_stays_revoked() {
    let db = database::sqlite().await;
    let node = world::open(&db).await;
    node.company().await;
    for round in 0..250 {
        let made = key(&node, None).await;
        let fills = async {
            for _ in 0..4 {
                let _ = node.app.authenticate(Some(&made.token), None).await;
            }
        };
        tokio::join!(fills, revoke(&node, &made), async {
            let _ = node.app.authenticate(Some(&made.token), None).await;
        });
        let refused = node.app.authenticate(Some(&made.token), None).await.unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Unauthenticated, "round {round}");
    }
}

/// Attack 79, on two nodes: the second one has the key in memory and only polls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_revoked_on_one_node_is_over_on_the_other_after_the_poll() {
    let db = database::postgres().await;
    let first = world::open(&db).await;
    first.company().await;
    let second = world::open(&db).await;
    let made = key(&first, None).await;
    for node in [&first, &second] {
        node.app.authenticate(Some(&made.token), None).await.unwrap();
    }
    revoke(&first, &made).await;
    first.app.authenticate(Some(&made.token), None).await.unwrap_err();
    second.app.tick().await.unwrap();
    let refused = second.app.authenticate(Some(&made.token), None).await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::Unauthenticated);
}

/// Attack 89, on two nodes: at the first moment each lets its own ten through; then what both took is paid back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_add_up_what_they_took_from_a_rate() {
    let db = database::postgres().await;
    let first = world::open(&db).await;
    first.company().await;
    let second = world::open(&db).await;
    let made = key(&first, Some(10)).await;
    let tries = async |node: &Node| {
        let mut let_in = 0;
        for _ in 0..50 {
            match node.app.authenticate(Some(&made.token), None).await {
                Ok(_) => let_in += 1,
                Err(problem) => {
                    assert_eq!(problem.kind, ProblemKind::Throttled);
                    assert!(problem.rate_limit.is_some_and(|rate| rate.limit == 10 && rate.remaining == 0));
                }
            }
        }
        let_in
    };
    let (one, other) = tokio::join!(tries(&first), tries(&second));
    assert_eq!((one, other), (10, 10));
    for node in [&first, &second, &first] {
        node.app.tick().await.unwrap();
    }
    // A minute later one node alone would let ten through; the other's ten are owed first.
    let mut let_in = 0;
    for second_of in 1..=120 {
        for node in [&first, &second] {
            node.clock.forward(1);
            node.app.tick().await.unwrap();
        }
        let_in += tries(if second_of % 2 == 0 { &first } else { &second }).await;
        first.app.tick().await.unwrap();
        second.app.tick().await.unwrap();
    }
    assert!((9..=12).contains(&let_in), "{let_in} in two minutes, after twenty at once");
}

both_engines!(a_check_of_a_key_writes_nothing, async |db: TestDatabase| {
    const STATE: Statement = Statement::new(
        "select cast(coalesce(sum(use_count), 0) + (select count(*) from credential_uses) + (select count(*) from audit_events) as bigint) \
         from credentials",
    );
    let node = world::open(&db).await;
    node.company().await;
    let made = key(&node, Some(600_000)).await;
    let state = async || -> i64 {
        node.app.database().query_one(Scope::Installation, &STATE, &[]).await.unwrap().get(0).unwrap()
    };
    let before = state().await;
    for _ in 0..1_000 {
        node.app.authenticate(Some(&made.token), None).await.unwrap();
    }
    assert_eq!(state().await, before);
});
