//! The vault on several nodes and over restarts: keys it cannot open, rotations cut short, key-encryption keys that change.

use crate::world::{self, NOW, Node};
use charter_app::Permit;
use charter_app::identity::Secrets;
use charter_app::mail::{self, Carrier, Carrying, Letter};
use charter_app::vault::rotation::{self, RotationDraft};
use charter_app::vault::{self, KeyWord, pepper};
use charter_db::{BoxFuture, Error, Scope, Statement, Tx, Value};
use charter_kernel::ProblemKind;
use charter_testkit::both_engines;
use charter_testkit::database::{self, TestDatabase};

const FIRST: Secrets = Secrets { key_encryption_key: [1; 32], pepper: [2; 32] };
const SECOND: Secrets = Secrets { key_encryption_key: [3; 32], pepper: [2; 32] };

async fn permit(node: &Node) -> Permit {
    node.app.require(&node.operator(), node.app.platform(), "platform.secrets.rotate").await.unwrap()
}

async fn count(node: &Node, statement: &'static str) -> i64 {
    let statement = Statement::new(statement);
    node.app.database().query_one(Scope::Installation, &statement, &[]).await.unwrap().get(0).unwrap()
}

/// Mails that wait, sealed by the active key.
async fn mails(node: &Node, count: u128) {
    let app = node.app.clone();
    let insert = Statement::new(
        "insert into mail_outbox (mail_id, kind, principal_id, content, status, attempts, next_attempt_at, expires_at, created_at) \
         values ($1, 'kept', $1, $2, 'failed', 0, $3, $3, $3)",
    );
    let sealed: Vec<_> = (1..=count)
        .map(|number| {
            let id = charter_kernel::MailId(number);
            (
                number,
                app.identity().sealer().seal(&format!("mail {id}"), b"a letter", [number as u8; 12]).unwrap(),
            )
        })
        .collect();
    node.app
        .database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                for (number, sealed) in sealed {
                    let at = Value::Time(NOW * 2_000_000);
                    tx.execute(&insert, &[Value::Id(number), Value::Bytes(sealed), at]).await?;
                }
                Ok(())
            }) as BoxFuture<'_, Result<(), Error>>
        })
        .await
        .unwrap();
}

async fn words(node: &Node) -> Vec<KeyWord> {
    let status = vault::status(&node.app, &permit(node).await).await.unwrap();
    status.keys.iter().map(|key| key.state).collect()
}

async fn rotate(node: &Node) -> Result<(), ProblemKind> {
    let draft = RotationDraft::default();
    let done = rotation::rotate(&node.app, &node.operator(), &permit(node).await, draft).await;
    done.map(drop).map_err(|problem| problem.kind)
}

// Attack 116: a key that does not open what is kept never makes another in its place.
both_engines!(a_wrong_key_or_pepper_is_refused_and_changes_nothing, async |db: TestDatabase| {
    let node = world::open_with(&db, FIRST, &[], NOW).await.unwrap();
    let kept = async |node: &Node| {
        (
            count(node, "select count(*) from vault_keys").await,
            count(node, "select count(*) from audit_events").await,
        )
    };
    let before = kept(&node).await;
    node.app.database().close().await.unwrap();
    let wrong = world::open_with(&db, SECOND, &[], NOW).await.map(drop).unwrap_err();
    assert!(wrong.detail.contains("vault key 1 is sealed by key-encryption key"), "{}", wrong.detail);
    assert!(wrong.detail.contains("nothing was changed"));
    let pepper = Secrets { pepper: [9; 32], ..FIRST };
    let wrong = world::open_with(&db, pepper, &[], NOW).await.map(drop).unwrap_err();
    assert!(wrong.detail.contains("pepper of the configuration is not the one"), "{}", wrong.detail);
    let again = world::open_with(&db, FIRST, &[], NOW).await.unwrap();
    assert_eq!(kept(&again).await, before);
});

both_engines!(
    a_key_encryption_key_is_replaced_with_the_old_one_beside_it_for_a_while,
    async |db: TestDatabase| {
        let node = world::open_with(&db, FIRST, &[], NOW).await.unwrap();
        node.app.database().close().await.unwrap();
        let node = world::open_with(&db, SECOND, &[FIRST.key_encryption_key], NOW + 10).await.unwrap();
        let status = vault::status(&node.app, &permit(&node).await).await.unwrap();
        assert_eq!((status.keks[0].keys.len(), status.keks[1].keys.as_slice()), (0, &[1][..]));
        let draft = RotationDraft { is_rewrap_only: true, ..RotationDraft::default() };
        let done = rotation::rotate(&node.app, &node.operator(), &permit(&node).await, draft).await.unwrap();
        assert_eq!((done.key, done.rewrapped.as_slice()), (None, &[1][..]));
        let again = rotation::rotate(&node.app, &node.operator(), &permit(&node).await, draft).await.unwrap();
        assert!(again.key.is_none() && again.rewrapped.is_empty(), "there is nothing to do");
        node.app.tick().await.unwrap();
        node.app.database().close().await.unwrap();
        // The old one is needed no more, and is worth nothing.
        assert!(world::open_with(&db, FIRST, &[], NOW + 20).await.is_err());
        let node = world::open_with(&db, SECOND, &[], NOW + 20).await.unwrap();
        assert!(node.app.identity().keys().has_signer());
    }
);

// Attack 118, for the vault.
both_engines!(a_node_that_dies_in_a_rotation_leaves_the_rest_to_the_next, async |db: TestDatabase| {
    let node = world::open_with(&db, FIRST, &[], NOW).await.unwrap();
    mails(&node, 1_200).await;
    rotate(&node).await.unwrap();
    node.clock.forward(76);
    node.app.tick().await.unwrap();
    let half = vault::status(&node.app, &permit(&node).await).await.unwrap().rotation.unwrap();
    assert!(half.done > 0 && half.done < half.total, "{half:?}");
    // Killed: it closes nothing and gives nothing back; only its file's lock ends with it.
    node.app.database().close().await.unwrap();
    let next = world::open_with(&db, FIRST, &[], NOW + 77).await.unwrap();
    next.app.tick().await.unwrap();
    let still = vault::status(&next.app, &permit(&next).await).await.unwrap().rotation.unwrap();
    assert_eq!(still.done, half.done, "the lease of the dead node runs out first");
    next.clock.forward(60);
    for _ in 0..6 {
        next.app.tick().await.unwrap();
    }
    assert_eq!(words(&next).await, [KeyWord::Active, KeyWord::Retired]);
});

// Attack 117, for the vault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_that_rotate_at_once_one_makes_a_key_and_one_seals_again() {
    let db = database::postgres().await;
    let (here, there) = (world::open(&db).await, world::open(&db).await);
    mails(&here, 700).await;
    for round in 1..=5 {
        let both = tokio::join!(rotate(&here), rotate(&there));
        let outcomes = [both.0, both.1];
        assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 1, "round {round}: {outcomes:?}");
        assert_eq!(count(&here, "select count(*) from vault_keys").await, round + 1);
        here.clock.forward(76);
        there.clock.forward(76);
        for _ in 0..8 {
            let (a, b) = tokio::join!(here.app.tick(), there.app.tick());
            a.unwrap();
            b.unwrap();
        }
        for node in [&here, &there] {
            assert_eq!(words(node).await[..2], [KeyWord::Active, KeyWord::Retired], "round {round}");
            let opened = count(node, "select count(distinct substr(content, 1, 5)) from mail_outbox").await;
            assert_eq!(opened, 1);
        }
        // What the other sealed opens here: both sign, both read.
        for node in [&here, &there] {
            assert!(node.app.identity().keys().has_signer());
            node.clock.forward(61);
        }
    }
    assert_eq!(count(&here, "select count(*) from audit_events where action = 'vault_key.retire'").await, 5);
}

async fn change(node: &Node, statement: &'static str, params: Vec<Value>) {
    let statement = Statement::new(statement);
    node.app
        .database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move { tx.execute(&statement, &params).await.map(drop) })
                as BoxFuture<'_, Result<(), Error>>
        })
        .await
        .unwrap();
}

// One value that nobody can open kept the service from starting; one that another node can open was lost.
both_engines!(what_a_node_cannot_open_keeps_nothing_else_and_is_left_to_another, async |db: TestDatabase| {
    let node = world::open_with(&db, FIRST, &[], NOW).await.unwrap();
    let at = |seconds: i64| Value::Time((NOW + seconds) * 1_000_000);
    // The first is damaged, the key of the second is not known here yet.
    for key in [1, 9] {
        let value = [&[2, 0, 0, 0, key][..], b"what no key has sealed and none opens"].concat();
        let (id, value) = (Value::Id(u128::from(key)), Value::Bytes(value));
        let request = "insert into registration_requests (organization_id, request_id, email_hash, mailbox_hash, email, name, status, \
                       created_at, expires_at) values ($1, $2, $3, $3, $3, $3, 'asked', $4, $5)";
        let platform = Value::Id(node.app.platform().0);
        change(&node, request, vec![platform, id.clone(), value.clone(), at(0), at(3_600)]).await;
        let reset = "insert into password_resets (reset_id, login_hash, login, asked_at, expires_at) values ($1, $2, $2, $3, $4)";
        change(&node, reset, vec![id, value, at(0), at(3_600)]).await;
    }
    node.app.database().close().await.unwrap();
    let node = world::open_with(&db, FIRST, &[], NOW + 1).await.unwrap();
    node.app.tick().await.unwrap();
    let requests = async |status: &str| match status {
        "asked" => count(&node, "select count(*) from registration_requests where status = 'asked'").await,
        _ => count(&node, "select count(*) from registration_requests where status = 'expired'").await,
    };
    assert_eq!((requests("asked").await, requests("expired").await), (1, 1));
    assert_eq!(count(&node, "select count(*) from password_resets where login is not null").await, 1);
    node.clock.forward(3_600);
    node.app.tick().await.unwrap();
    assert_eq!((requests("asked").await, requests("expired").await), (0, 2), "its time was over");
});

// A node that started with a late clock took the first version up again, which had ended.
both_engines!(a_pepper_that_has_ended_counts_on_no_node_whatever_its_clock_says, async |db: TestDatabase| {
    let node = world::open_with(&db, FIRST, &[], NOW).await.unwrap();
    let permit_here = permit(&node).await;
    pepper::rotate(&node.app, &node.operator(), &permit_here).await.unwrap();
    node.clock.forward(76);
    node.app.tick().await.unwrap();
    let how = pepper::EndDraft { version: 1, is_dry_run: false, is_forced: false };
    // Nothing is found by the newer version yet: a late node may still write by the older.
    let early = pepper::end(&node.app, &node.operator(), &permit_here, how).await.map(drop).unwrap_err();
    assert_eq!(early.kind, ProblemKind::InUse);
    node.clock.forward(60);
    node.app.tick().await.unwrap();
    pepper::end(&node.app, &node.operator(), &permit_here, how).await.unwrap();
    node.app.database().close().await.unwrap();
    let late = world::open_with(&db, FIRST, &[], NOW + 70).await.unwrap();
    let status = vault::status(&late.app, &permit(&late).await).await.unwrap();
    let states: Vec<_> = status.peppers.iter().map(|it| (it.pepper.version, it.state)).collect();
    assert_eq!(states, [(2, KeyWord::Active), (1, KeyWord::Destroyed)]);
});

// A new first key had the number of the one that was gone, and its values the number of values nobody opened.
both_engines!(an_emptied_vault_gets_no_new_key_over_values_of_the_old_ones, async |db: TestDatabase| {
    let node = world::open_with(&db, FIRST, &[], NOW).await.unwrap();
    mails(&node, 3).await;
    change(&node, "delete from signing_keys", Vec::new()).await;
    change(&node, "delete from vault_keys", Vec::new()).await;
    node.app.database().close().await.unwrap();
    let refused = world::open_with(&db, FIRST, &[], NOW + 1).await.map(drop).unwrap_err();
    assert!(refused.detail.contains("vault_keys is empty"), "{}", refused.detail);
    assert!(refused.detail.contains("mail_outbox.content (3)"), "{}", refused.detail);
});

struct Nobody;

impl Carrier for Nobody {
    fn carry<'a>(&'a self, _: &'a Letter) -> Carrying<'a> {
        Box::pin(async { Ok(()) })
    }
}

both_engines!(
    a_mail_that_another_node_may_open_is_tried_later_and_a_damaged_one_never,
    async |db: TestDatabase| {
        let node = world::open_with(&db, FIRST, &[], NOW).await.unwrap();
        for key in [1, 9] {
            let value = [&[2, 0, 0, 0, key][..], b"what no key has sealed and none opens"].concat();
            let at = |seconds: i64| Value::Time((NOW + seconds) * 1_000_000);
            let insert = "insert into mail_outbox (mail_id, kind, principal_id, content, status, attempts, next_attempt_at, expires_at, \
                      created_at) values ($1, 'kept', $1, $2, 'queued', 0, $3, $4, $3)";
            change(&node, insert, vec![Value::Id(u128::from(key)), Value::Bytes(value), at(0), at(86_400)])
                .await;
        }
        let carrier: std::sync::Arc<dyn Carrier> = std::sync::Arc::new(Nobody);
        mail::deliver_due(&node.app, &carrier).await.unwrap();
        assert_eq!(count(&node, "select count(*) from mail_outbox where status = 'failed'").await, 1);
        let waits = "select count(*) from mail_outbox where status = 'queued' and content is not null and attempts = 1";
        assert_eq!(count(&node, waits).await, 1);
    }
);

/// A mail that waits, sealed by what seals now.
async fn letter(node: &Node, id: u128) {
    let (name, at) = (format!("mail {}", charter_kernel::MailId(id)), Value::Time(NOW * 2_000_000));
    let says = br#"{"to":"ann@toys.example","subject":"a letter","body":"to ann"}"#;
    let sealed = node.app.identity().sealer().seal(&name, says, [7; 12]).unwrap();
    let insert = "insert into mail_outbox (mail_id, kind, principal_id, content, status, attempts, next_attempt_at, expires_at, created_at) \
                  values ($1, 'kept', $1, $2, 'queued', 0, $3, $3, $3)";
    change(node, insert, vec![Value::Id(id), Value::Bytes(sealed), at]).await;
}

/// The reader of a mail, as an operator sees it.
async fn reader(node: &Node, id: u128) -> Option<String> {
    mail::get(&node.app, &permit(node).await, charter_kernel::MailId(id)).await.unwrap().recipient
}

// A node answered with an error until its next round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_meets_a_value_of_a_new_key_before_its_round_reads_the_keys_at_once() {
    let db = database::postgres().await;
    let (here, there) = (world::open(&db).await, world::open(&db).await);
    rotate(&there).await.unwrap();
    for node in [&here, &there] {
        node.clock.forward(76);
    }
    there.app.tick().await.unwrap();
    assert_eq!(
        (here.app.identity().sealer().active(), there.app.identity().sealer().active()),
        (Some(1), Some(2))
    );
    letter(&there, 1).await;
    let readers = futures_util::future::join_all((0..8).map(|_| reader(&here, 1))).await;
    assert!(readers.iter().all(|reader| reader.as_deref() == Some("a***@toys.example")), "{readers:?}");
    assert_eq!(here.app.identity().sealer().active(), Some(2));
}

// The same where a token leads to a signing key that a new key of the vault has sealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_signing_key_sealed_by_a_new_key_is_accepted_before_the_round() {
    use charter_app::identity::key_rotation::{self, RevocationDraft};
    let db = database::postgres().await;
    let (here, there) = (world::open(&db).await, world::open(&db).await);
    there.company().await;
    rotate(&there).await.unwrap();
    for node in [&here, &there] {
        node.clock.forward(76);
    }
    there.app.tick().await.unwrap();
    let kid = there.app.identity().keys().signer_kid().unwrap().to_owned();
    let leaked = RevocationDraft { is_compromised: true, reason: String::new() };
    key_rotation::revoke(&there.app, &there.operator(), &permit(&there).await, &kid, leaked).await.unwrap();
    let draft = world::draft("ann@toys.example", world::PASSWORD);
    let begun = charter_app::identity::sign_in::sign_in(&there.app, &there.anonymous(), draft).await.unwrap();
    here.as_bearer(begun.begun().unwrap().access_token()).await;
}

both_engines!(a_key_that_is_not_known_is_looked_for_once_a_second, async |db: TestDatabase| {
    let node = world::open_with(&db, FIRST, &[], NOW).await.unwrap();
    rotate(&node).await.unwrap();
    assert_eq!(
        node.app.identity().sealer().active(),
        Some(2),
        "where no node runs, nobody has to read it first"
    );
    letter(&node, 1).await;
    change(&node, "create table kept_keys as select * from vault_keys where key_number = 2", Vec::new())
        .await;
    change(&node, "delete from vault_keys where key_number = 2", Vec::new()).await;
    node.app.database().close().await.unwrap();
    let node = world::open_with(&db, FIRST, &[], NOW + 1).await.unwrap();
    assert_eq!(reader(&node, 1).await, None);
    change(&node, "insert into vault_keys select * from kept_keys", Vec::new()).await;
    assert_eq!(reader(&node, 1).await, None, "not a second later: nothing is read");
    node.clock.forward(1);
    assert_eq!(reader(&node, 1).await.as_deref(), Some("a***@toys.example"));
});
