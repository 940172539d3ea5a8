//! Tokens of a former system, on both databases: who comes in by them, with what, and until when.

use crate::world::{NOW, Node, OPERATOR, PASSWORD, draft, open};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_app::identity::legacy_secret::Weakness;
use charter_app::identity::sign_in::Opening;
use charter_app::identity::{legacy_caller, legacy_secret, own_factor, own_password, sign_in, totp};
use charter_app::member::{self, MemberUpdate};
use charter_app::vault::pepper;
use charter_app::{App, Caller, EditOptions};
use charter_db::{BoxFuture, Scope, Statement, Tx};
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{ProblemKind, Timestamp};
use charter_store::token_floor;
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use serde_json::{Value, json};
use zeroize::Zeroizing;

const SECRET: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

fn token(secret: &str, claims: &Value) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let text = format!("{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims.to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

both_engines!(
    /// Attacks 2 and 3: with both kinds of token taken at once, neither verifier takes the other's key.
    no_token_makes_one_verifier_take_the_key_of_the_other, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    // Everybody has just got a password, which ended what was issued until then, by clocks that may be a minute apart.
    node.clock.forward(61);
    take(&node.app, &format!("SECRET_KEY={SECRET}"), None, false).await.unwrap();
    let begun = sign_in::sign_in(&node.app, &node.anonymous(), draft("ann@toys.example", PASSWORD)).await.unwrap().begun().unwrap();
    node.as_bearer(begun.access_token()).await;
    let document: Value = serde_json::from_str(node.app.identity().keys().document()).unwrap();
    assert_eq!(document["keys"].as_array().unwrap().len(), 1, "no secret of the former system is published");
    let (kid, x) = (document["keys"][0]["kid"].as_str().unwrap(), document["keys"][0]["x"].as_str().unwrap());
    let raw = URL_SAFE_NO_PAD.decode(x).unwrap();
    let der = [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..], &raw].concat();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(&der)
    );
    let ours = begun.access_token().split('.').nth(1).unwrap();
    let theirs = URL_SAFE_NO_PAD.encode(claims("ann@toys.example", node.now()).to_string());
    let public = [raw, der, pem.into_bytes(), x.as_bytes().to_vec(), kid.as_bytes().to_vec(), Vec::new()];
    for secret in public.iter().map(Vec::as_slice).chain([SECRET.as_bytes()]) {
        for alg in ["HS256", "EdDSA", "RS256", "ES256", "none"] {
            for typ in ["JWT", "at+jwt"] {
                for payload in [ours, theirs.as_str()] {
                    if (secret, alg, typ, payload) == (SECRET.as_bytes(), "HS256", "JWT", theirs.as_str()) {
                        continue;
                    }
                    let header = json!({ "alg": alg, "typ": typ, "kid": kid }).to_string();
                    let text = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header));
                    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
                    is_refused(&node, &format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))).await;
                    is_refused(&node, &format!("{text}.")).await;
                }
            }
        }
    }
});

both_engines!(a_rotation_in_the_former_system_is_followed_and_goes_on_counting, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(61);
    let newer = SECRET.chars().rev().collect::<String>();
    take(&node.app, &format!("SECRET_KEY={SECRET}"), None, false).await.unwrap();
    let (old, new) = (
        token(SECRET, &claims("ann@toys.example", node.now())),
        token(&newer, &claims("ann@toys.example", node.now())),
    );
    node.as_bearer(&old).await;
    is_refused(&node, &new).await;
    let rotated = format!("SECRET_KEY={newer}\nSECRET_KEYS_HISTORY={SECRET}");
    take(&node.app, &rotated, None, false).await.unwrap();
    node.as_bearer(&old).await;
    node.as_bearer(&new).await;
    let permit =
        node.app.require(&node.operator(), node.app.platform(), "platform.secrets.read").await.unwrap();
    let counts: Vec<u64> =
        legacy_caller::states(&node.app, &permit).await.unwrap().iter().map(|state| state.accepted).collect();
    assert_eq!(counts, [1, 2], "the newest first");
    take(&node.app, &format!("SECRET_KEY={newer}"), None, false).await.unwrap();
    is_refused(&node, &old).await;
});

fn claims(login: &str, at: Timestamp) -> Value {
    json!({ "sub": login, "iat": at.seconds(), "exp": at.seconds() + 1_800, "role": "superadmin", "is_superuser": true })
}

async fn take(
    app: &App,
    text: &str,
    until: Option<Timestamp>,
    weak: bool,
) -> Result<legacy_caller::Taken, charter_kernel::Problem> {
    let terms = legacy_caller::Terms { until, accepts_weak: weak, ids: None };
    legacy_caller::take(app, &legacy_secret::read(text).unwrap(), &terms).await
}

async fn is_refused(node: &Node, token: &str) {
    let problem = node.app.authenticate(Some(token), None).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Unauthenticated);
}

both_engines!(
    /// Attack 17: the user's real rights count, not what the token says of them.
    a_token_of_the_former_system_names_a_user_and_nothing_else, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(61);
    let bob = token(SECRET, &claims(" Bob@Toys.Example", node.now()));
    is_refused(&node, &bob).await;
    take(&node.app, &format!("SECRET_KEY={SECRET}"), None, false).await.unwrap();
    let ctx = node.as_bearer(&bob).await;
    let caller = ctx.principal().unwrap();
    assert_eq!((caller.login.as_str(), caller.session, caller.amr.as_slice()), ("bob@toys.example", None, &["legacy".to_owned()][..]));
    let refused = node.app.require(&ctx, node.toys(), "admin.users.read").await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::Forbidden, "bob has no role, whatever the token says");
    let ann = node.as_bearer(&token(SECRET, &claims("ann@toys.example", node.now()))).await;
    node.app.require(&ann, node.toys(), "admin.users.read").await.unwrap();
    let missing = node.app.require(&ann, node.trade(), "admin.users.read").await.unwrap_err();
    assert_eq!(missing.kind, ProblemKind::NotFound);
    for nobody in ["nobody@toys.example", "robot", OPERATOR] {
        is_refused(&node, &token(SECRET, &claims(nobody, node.now()))).await;
    }
    let mut two = claims("ann@toys.example", node.now());
    two["email"] = json!("carl@toys.example");
    is_refused(&node, &token(SECRET, &two)).await;
    let permit = node.permit(node.toys()).await;
    let update = MemberUpdate { status: Some(PrincipalStatus::Suspended), ..MemberUpdate::default() };
    member::update(&node.app, &node.operator(), &permit, EditOptions::apply(), "bob@toys.example".to_owned(), update)
        .await
        .unwrap();
    is_refused(&node, &bob).await;
});

both_engines!(a_token_of_the_former_system_becomes_a_session, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(61);
    take(&node.app, &format!("SECRET_KEY={SECRET}"), None, false).await.unwrap();
    let ann = node.as_bearer(&token(SECRET, &claims("ann@toys.example", node.now()))).await;
    let begun = legacy_caller::exchange(&node.app, &ann, None, Opening::default()).await.unwrap();
    assert_eq!((begun.session.organization, begun.session.amr.as_str()), (Some(node.toys()), "legacy"));
    let ours = node.as_bearer(begun.access_token()).await;
    node.app.require(&ours, node.toys(), "admin.users.read").await.unwrap();
    let again = legacy_caller::exchange(&node.app, &ours, None, Opening::default()).await.unwrap_err();
    assert_eq!(again.kind, ProblemKind::Forbidden, "a session of ours is not exchanged");
    let refused =
        legacy_caller::exchange(&node.app, &node.operator(), None, Opening::default()).await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::Forbidden);
    let elsewhere = legacy_caller::exchange(&node.app, &ann, Some("trade".to_owned()), Opening::default())
        .await
        .unwrap_err();
    assert_eq!(elsewhere.kind, ProblemKind::NotFound);
    let plain = sign_in::switch(&node.app, &ann, None).await.unwrap_err();
    assert_eq!(plain.kind, ProblemKind::Forbidden, "such a token has no session to switch");
});

both_engines!(
    /// Whoever changes a stolen password began before the thief's exchange did, and was written after it had let the token in.
    a_token_is_judged_again_where_its_session_is_written, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(61);
    take(&node.app, &format!("SECRET_KEY={SECRET}"), None, false).await.unwrap();
    let mut timeless = claims("bob@toys.example", node.now());
    timeless.as_object_mut().unwrap().remove("iat");
    let changed_at = node.now();
    let stolen = [token(SECRET, &claims("ann@toys.example", changed_at)), token(SECRET, &timeless)];
    floors_forgotten(&node).await;
    node.clock.forward(300);
    for token in stolen {
        let thief = node.as_bearer(&token).await;
        let who = thief.principal().unwrap().id;
        node.app
            .database()
            .write(Scope::Installation, move |tx: &mut Tx| {
                Box::pin(async move { token_floor::end_former(tx, who, "a new password", changed_at).await })
                    as BoxFuture<'_, Result<(), charter_db::Error>>
            })
            .await
            .unwrap();
        let refused = legacy_caller::exchange(&node.app, &thief, None, Opening::default()).await.unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Unauthenticated);
    }
    let ann = node.as_bearer(&token(SECRET, &claims("ann@toys.example", node.now()))).await;
    legacy_caller::exchange(&node.app, &ann, None, Opening::default()).await.unwrap();
});

/// As if nobody had a password yet: there is no floor under the tokens of a former system.
async fn floors_forgotten(node: &Node) {
    const FORGET: Statement = Statement::new("delete from token_floors where scope = 'former'");
    node.app
        .database()
        .write(Scope::Installation, |tx: &mut Tx| {
            Box::pin(async move { tx.execute(&FORGET, &[]).await.map(drop) })
                as BoxFuture<'_, Result<(), charter_db::Error>>
        })
        .await
        .unwrap();
}

both_engines!(
    /// Whoever signs out on a node that is behind signs out of what a clock that is ahead issued before, too.
    a_clock_that_is_behind_leaves_no_token_of_before, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(3_600);
    take(&node.app, &format!("SECRET_KEY={SECRET}"), None, false).await.unwrap();
    let ahead = token(SECRET, &claims("ann@toys.example", node.now().plus_seconds(60)));
    node.as_bearer(&ahead).await;
    own_password::set(&node.app, &node.operator(), "ann@toys.example", Zeroizing::new("a wholly other phrase".to_owned()))
        .await
        .unwrap();
    is_refused(&node, &ahead).await;
    node.clock.forward(60);
    is_refused(&node, &ahead).await;
    is_refused(&node, &token(SECRET, &claims("ann@toys.example", node.now()))).await;
    node.clock.forward(1);
    node.as_bearer(&token(SECRET, &claims("ann@toys.example", node.now()))).await;
});

both_engines!(
    /// Attack 99: the former system knew nothing of the second factor, so its tokens do not stand in for it.
    a_token_of_the_former_system_does_not_skip_the_second_factor, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(61);
    take(&node.app, &format!("SECRET_KEY={SECRET}"), None, false).await.unwrap();
    let theirs = token(SECRET, &claims("ann@toys.example", node.now()));
    let before = node.as_bearer(&theirs).await;
    let begun = sign_in::sign_in(&node.app, &node.anonymous(), draft("ann@toys.example", PASSWORD)).await;
    let ann = node.as_bearer(begun.unwrap().begun().unwrap().access_token()).await;
    let phone = own_factor::begin_app(&node.app, &ann, None).await.unwrap();
    let code = totp::code(&seed_of(&phone.secret), node.now()).unwrap();
    own_factor::confirm_app(&node.app, &ann, phone.id, code).await.unwrap();
    is_refused(&node, &theirs).await;
    let exchanged = legacy_caller::exchange(&node.app, &before, None, Opening::default()).await.unwrap_err();
    assert_eq!(exchanged.kind, ProblemKind::SecondFactor);
});

/// What an authenticator app keeps of the secret it is shown.
fn seed_of(secret: &str) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let value = |letter: u8| letters.iter().position(|known| *known == letter).unwrap();
    let bits: Vec<u8> = secret
        .bytes()
        .flat_map(|letter| (0..5).rev().map(move |bit| (value(letter) >> bit & 1) as u8))
        .collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |whole, bit| whole << 1 | bit)).collect()
}

both_engines!(
    /// Attack 18: it ends for good, whoever starts the service again with whatever file.
    the_end_is_for_good_and_the_grace_does_not_begin_anew, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(61);
    let text = format!("SECRET_KEY={SECRET}\nSECRET_KEYS_HISTORY=short");
    assert_eq!(take(&node.app, &text, None, true).await.unwrap().in_force, 2);
    let by_weak = |node: &Node| token("short", &claims("ann@toys.example", node.now()));
    assert!(matches!(node.app.authenticate(Some(&by_weak(&node)), None).await, Ok(Caller::Principal(_))));
    node.clock.forward(86_400);
    is_refused(&node, &by_weak(&node)).await;
    assert_eq!(take(&node.app, &text, None, true).await.unwrap().in_force, 1, "the day of the weak one is over");
    is_refused(&node, &by_weak(&node)).await;
    let permit = node.app.require(&node.operator(), node.app.platform(), "platform.secrets.rotate").await.unwrap();
    let states = legacy_caller::states(&node.app, &permit).await.unwrap();
    assert_eq!(states.iter().map(|state| state.is_weak).collect::<Vec<_>>(), [false, true]);
    assert_eq!(states[0].until, Timestamp::from_seconds(NOW + 61 + 270 * 86_400));
    legacy_caller::end(&node.app, &node.operator(), &permit, "it leaked").await.unwrap();
    let ann = |node: &Node| token(SECRET, &claims("ann@toys.example", node.now()));
    is_refused(&node, &ann(&node)).await;
    let again = legacy_caller::end(&node.app, &node.operator(), &permit, "twice").await.unwrap_err();
    assert_eq!(again.kind, ProblemKind::NotFound);
    let after = take(&node.app, &format!("SECRET_KEY={SECRET}"), None, false).await.unwrap();
    assert_eq!(after.in_force, 0, "and nothing says otherwise");
    is_refused(&node, &ann(&node)).await;
});

both_engines!(
    /// Attack 116: what a rotation leaves in the history stops no service, and lets nobody in.
    a_weak_secret_of_the_history_verifies_nothing, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(61);
    let older = SECRET.chars().rev().collect::<String>();
    let taken = take(&node.app, &format!("SECRET_KEY={SECRET}\nSECRET_KEYS_HISTORY=short,{older}"), None, false).await;
    assert_eq!(taken.unwrap(), legacy_caller::Taken { in_force: 2, left_out: vec![(1, Weakness::Short)] });
    let by = |secret: &str| token(secret, &claims("ann@toys.example", node.now()));
    is_refused(&node, &by("short")).await;
    for secret in [SECRET, older.as_str()] {
        node.as_bearer(&by(secret)).await;
    }
    let current = format!("DEBUG=0\nSECRET_KEY=short\nSECRET_KEYS_HISTORY={SECRET}");
    let weak = take(&node.app, &current, None, false).await.unwrap_err();
    assert_eq!(weak.kind, ProblemKind::Invalid);
    let told = format!("{weak} {weak:?}");
    assert!(told.contains("line 2: SECRET_KEY") && told.contains("charter keys rotate --legacy-env"), "{told}");
    is_refused(&node, &by("short")).await;
    node.as_bearer(&by(SECRET)).await;
});

both_engines!(
    /// A secret that had leaked and left the file let people in for as long as the new one was a weak one.
    a_weak_secret_in_the_file_keeps_none_in_force_that_left_it, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(61);
    let older = SECRET.chars().rev().collect::<String>();
    let strange = SECRET.replace('a', "z");
    let by = |secret: &str| token(secret, &claims("ann@toys.example", node.now()));
    let both = format!("SECRET_KEY={SECRET}\nSECRET_KEYS_HISTORY={older}");
    assert_eq!(take(&node.app, &both, None, false).await.unwrap().in_force, 2);
    node.as_bearer(&by(&older)).await;
    // One stays, one left, and one is new: nothing is taken that was not before.
    let weak = format!("SECRET_KEY=short\nSECRET_KEYS_HISTORY={older},{strange}");
    assert_eq!(take(&node.app, &weak, None, false).await.unwrap_err().kind, ProblemKind::Invalid);
    for refused in [SECRET, "short", &strange] {
        is_refused(&node, &by(refused)).await;
    }
    node.as_bearer(&by(&older)).await;
    let permit = node.app.require(&node.operator(), node.app.platform(), "platform.secrets.read").await.unwrap();
    let states = legacy_caller::states(&node.app, &permit).await.unwrap();
    assert_eq!(states.iter().map(|it| it.accepted).collect::<Vec<_>>(), [2], "it goes on counting");
    // One that was ended stays so, and one that is the current one but weak brings nothing back.
    legacy_caller::end_secret(&node.app, &node.operator(), &permit, &states[0].id, "leaked").await.unwrap();
    take(&node.app, &weak, None, false).await.unwrap_err();
    is_refused(&node, &by(&older)).await;
    assert_eq!(take(&node.app, &both, None, false).await.unwrap().in_force, 1);
    node.as_bearer(&by(SECRET)).await;
    is_refused(&node, &by(&older)).await;
    take(&node.app, "SECRET_KEY=short", None, false).await.unwrap_err();
    is_refused(&node, &by(SECRET)).await;
});

const DAY: i64 = 86_400;

both_engines!(what_was_counted_outlives_a_restart_and_a_new_pepper, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    node.clock.forward(61);
    let other = SECRET.chars().rev().collect::<String>();
    let file = format!("SECRET_KEY={SECRET}\nSECRET_KEYS_HISTORY={other}");
    take(&node.app, &file, None, false).await.unwrap();
    let ann = token(SECRET, &claims("ann@toys.example", node.now()));
    node.as_bearer(&ann).await;
    node.as_bearer(&ann).await;
    let told = async |node: &Node| {
        let permit = node.permit_for_secrets().await;
        let states = legacy_caller::states(&node.app, &permit).await.unwrap();
        states.into_iter().map(|it| (it.accepted, it.last_accepted_at)).collect::<Vec<_>>()
    };
    let counted = [(2, Some(node.now())), (0, None)];
    assert_eq!(told(&node).await, counted);
    node.app.tick().await.unwrap();
    assert_eq!(told(&node).await, counted, "written down, and counted once");
    let permit = node.permit_for_secrets().await;
    pepper::rotate(&node.app, &node.operator(), &permit).await.unwrap();
    node.clock.forward(140);
    for _ in 0..2 {
        node.app.tick().await.unwrap();
    }
    assert_eq!(told(&node).await, counted);
    let how = pepper::EndDraft { version: 1, is_dry_run: false, is_forced: false };
    pepper::end(&node.app, &node.operator(), &permit, how).await.unwrap();
    assert_eq!(told(&node).await, counted, "under its name by the newer pepper");
    node.app.close().await.unwrap();
    let again = crate::world::open_with(&db, SECRETS, &[], NOW + 300).await.unwrap();
    take(&again.app, &file, None, false).await.unwrap();
    assert_eq!(told(&again).await, counted);
});

const SECRETS: charter_app::identity::Secrets =
    charter_app::identity::Secrets { key_encryption_key: [1; 32], pepper: [2; 32] };

both_engines!(a_secret_without_a_token_for_two_weeks_is_idle_and_is_ended_alone, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let other = SECRET.chars().rev().collect::<String>();
    let file = format!("SECRET_KEY={SECRET}\nSECRET_KEYS_HISTORY={other}");
    take(&node.app, &file, None, false).await.unwrap();
    let permit = node.permit_for_secrets().await;
    let idle = async || legacy_caller::idle(&node.app, &permit, node.now()).await.unwrap();
    let [newest, older] = [SECRET, other.as_str()]
        .map(|secret| move |node: &Node| token(secret, &claims("ann@toys.example", node.now())));
    node.clock.forward(14 * DAY - 1);
    node.app.tick().await.unwrap();
    node.as_bearer(&newest(&node)).await;
    assert_eq!(idle().await, []);
    node.clock.forward(1);
    let found = idle().await;
    assert_eq!((found.len(), found[0].are_all), (1, false), "never used, since it was taken over");
    assert_eq!(found[0].since, Timestamp::from_seconds(NOW));
    node.app.tick().await.unwrap();
    assert_eq!(idle().await, found);
    node.clock.forward(14 * DAY - 1);
    node.app.tick().await.unwrap();
    let both = idle().await;
    assert!(both.len() == 2 && both.iter().all(|it| it.are_all), "{both:?}");
    node.as_bearer(&newest(&node)).await;
    assert_eq!(idle().await, found);

    node.as_bearer(&older(&node)).await;
    let end = async |id: &str| {
        legacy_caller::end_secret(&node.app, &node.operator(), &permit, id, "nobody comes").await
    };
    end(&found[0].id).await.unwrap();
    is_refused(&node, &older(&node)).await;
    node.as_bearer(&newest(&node)).await;
    for unknown in [found[0].id.as_str(), "0123456789ab"] {
        assert_eq!(end(unknown).await.unwrap_err().kind, ProblemKind::NotFound);
    }
    node.app.tick().await.unwrap();
    take(&node.app, &file, None, false).await.unwrap();
    is_refused(&node, &older(&node)).await;
    node.as_bearer(&newest(&node)).await;
    assert_eq!(legacy_caller::states(&node.app, &permit).await.unwrap().len(), 1);
});

both_engines!(
    /// What a secret is called dies with the pepper that made it: an ended one would have come back with its name lost.
    an_ended_secret_outlives_the_pepper_it_is_called_by, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let other = SECRET.chars().rev().collect::<String>();
    let (file, rest) = (format!("SECRET_KEY={SECRET}\nSECRET_KEYS_HISTORY={other}"), format!("SECRET_KEY={SECRET}"));
    take(&node.app, &file, None, false).await.unwrap();
    let permit = node.permit_for_secrets().await;
    let [kept, ended] = <[_; 2]>::try_from(legacy_caller::states(&node.app, &permit).await.unwrap()).unwrap();
    legacy_caller::end_secret(&node.app, &node.operator(), &permit, &ended.id, "it leaked").await.unwrap();
    take(&node.app, &rest, None, false).await.unwrap();
    let of_ended = |node: &Node| token(&other, &claims("ann@toys.example", node.now()));

    pepper::rotate(&node.app, &node.operator(), &permit).await.unwrap();
    node.clock.forward(140);
    for _ in 0..2 {
        node.app.tick().await.unwrap();
    }
    let how = |is_dry_run, is_forced| pepper::EndDraft { version: 1, is_dry_run, is_forced };
    let counted = pepper::end(&node.app, &node.operator(), &permit, how(true, false)).await.unwrap();
    assert_eq!(counted.ended_legacy_secrets, 1);
    for is_forced in [false, true] {
        let refused = pepper::end(&node.app, &node.operator(), &permit, how(false, is_forced)).await.unwrap_err();
        assert_eq!(refused.kind, ProblemKind::InUse);
        assert!(refused.detail.contains("legacy_env"), "{refused:?}");
    }

    take(&node.app, &file, None, false).await.unwrap();
    is_refused(&node, &of_ended(&node)).await;
    take(&node.app, &rest, None, false).await.unwrap();
    pepper::end(&node.app, &node.operator(), &permit, how(false, false)).await.unwrap();
    let gone = legacy_caller::end_secret(&node.app, &node.operator(), &permit, &kept.id, "by its old name").await;
    assert_eq!(gone.unwrap_err().kind, ProblemKind::NotFound);
    node.app.close().await.unwrap();
    let again = crate::world::open_with(&db, SECRETS, &[], NOW + 200).await.unwrap();
    take(&again.app, &file, None, false).await.unwrap();
    is_refused(&again, &of_ended(&again)).await;
    again.as_bearer(&token(SECRET, &claims("ann@toys.example", again.now()))).await;
});

both_engines!(a_name_that_no_pepper_makes_any_more_ends_nothing, async |db: TestDatabase| {
    let node = open(&db).await;
    take(&node.app, &format!("SECRET_KEY={SECRET}"), None, false).await.unwrap();
    let permit = node.permit_for_secrets().await;
    let id = legacy_caller::states(&node.app, &permit).await.unwrap().remove(0).id;
    node.app.close().await.unwrap();
    let without = crate::world::open_with(&db, SECRETS, &[], NOW + 1).await.unwrap();
    let permit = without.permit_for_secrets().await;
    pepper::rotate(&without.app, &without.operator(), &permit).await.unwrap();
    without.clock.forward(140);
    for _ in 0..2 {
        without.app.tick().await.unwrap();
    }
    let how = pepper::EndDraft { version: 1, is_dry_run: false, is_forced: false };
    pepper::end(&without.app, &without.operator(), &permit, how).await.unwrap();
    let refused =
        legacy_caller::end_secret(&without.app, &without.operator(), &permit, &id, "it leaked").await;
    assert_eq!(refused.unwrap_err().kind, ProblemKind::NotFound);
});
