//! Identity over both databases: who gets in, who does not, and what is left in the trail.

use crate::world::{NOW, Node, PASSWORD, draft, open, open_with_breached};
use charter_app::identity::breached::{BreachedPasswords, Sha1};
use charter_app::identity::credential::{self, CredentialDraft, KeyFilter, Reach};
use charter_app::identity::credential_text::CredentialKind;
use charter_app::identity::setup::{self, SetupDraft};
use charter_app::identity::sign_in::{self, SignIn};
use charter_app::identity::{own_password, own_session, refresh};
use charter_app::member::{self, MemberUpdate};
use charter_app::{App, Caller, EditOptions, Page};
use charter_db::{BoxFuture, Scope, Statement, Tx};
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{Problem, ProblemKind, SessionId, Timestamp, Window};
use charter_testkit::both_engines;
use charter_testkit::database::{TestDatabase, postgres};
use charter_testkit::fault::Faults;
use std::net::IpAddr;
use std::sync::Arc;
use zeroize::Zeroizing;

async fn signed_in(node: &Node, login: &str) -> SignIn {
    sign_in::sign_in(&node.app, &node.anonymous(), draft(login, PASSWORD)).await.unwrap().begun().unwrap()
}

async fn refused(app: &App, token: &str) -> Problem {
    let problem = app.authenticate(Some(token), None).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Unauthenticated);
    problem
}

async fn count(app: &App, statement: Statement) -> i64 {
    app.database().query_one(Scope::Installation, &statement, &[]).await.unwrap().get(0).unwrap()
}

async fn execute(app: &App, statement: Statement) {
    let done: Result<u64, charter_db::Error> = app
        .database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move { tx.execute(&statement, &[]).await }) as BoxFuture<'_, _>
        })
        .await;
    done.unwrap();
}

both_engines!(a_user_signs_in_and_is_known_by_the_token, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let begun = signed_in(&node, " Ann@Toys.Example ").await;
    assert_eq!(begun.expires_at, node.now().plus_seconds(600));
    assert_eq!(begun.session.organization, Some(node.toys()), "her one membership is chosen");
    let Caller::Principal(ann) = node.app.authenticate(Some(begun.access_token()), None).await.unwrap()
    else {
        panic!()
    };
    assert_eq!((ann.login.as_str(), ann.session), ("ann@toys.example", Some(begun.session.id)));
    assert_eq!(ann.amr, ["pwd"]);
    let begins =
        count(&node.app, Statement::new("select count(*) from audit_events where action = 'session.begin'"))
            .await;
    assert_eq!(begins, 1);
    node.clock.forward(600 + 60);
    refused(&node.app, begun.access_token()).await;
    assert!(matches!(node.app.authenticate(None, None).await.unwrap(), Caller::Anonymous));
});

both_engines!(
    /// Attack 52, without the clock: one answer whoever it is, and one audit event each.
    an_unknown_a_suspended_and_a_wrong_sign_in_get_one_answer, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let permit = node.permit(node.toys()).await;
    let update = MemberUpdate { status: Some(PrincipalStatus::Suspended), ..MemberUpdate::default() };
    let bob = "bob@toys.example".to_owned();
    member::update(&node.app, &node.operator(), &permit, EditOptions::apply(), bob, update).await.unwrap();
    let mut answers = Vec::new();
    for (login, password) in [
        ("nobody@toys.example", PASSWORD),
        ("ann@toys.example", "wrong horse battery"),
        ("bob@toys.example", PASSWORD),
        ("bob@toys.example", "wrong horse battery"),
        ("robot", PASSWORD),
        ("", ""),
        ("ann@toys.example\0", PASSWORD),
        (&"x".repeat(100_000), PASSWORD),
        ("ann@toys.example", &"x".repeat(100_000)),
    ] {
        answers.push(sign_in::sign_in(&node.app, &node.anonymous(), draft(login, password)).await.unwrap_err());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(answers[0].kind, ProblemKind::InvalidCredentials);
    let failures = Statement::new("select count(*) from audit_events where action = 'session.begin' and outcome = 'denied'");
    assert_eq!(count(&node.app, failures).await, answers.len() as i64);
    let typed = Statement::new("select count(*) from audit_events where cast(after as text) like '%nobody@%'");
    assert_eq!(count(&node.app, typed).await, 0, "what was typed is not kept");
});

both_engines!(
    /// Attacks 55, 56, 57 (the address is what the edge says it is).
    guesses_are_delayed_by_account_and_by_address, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let from = |low: u8| Some(IpAddr::from([192, 0, 2, low]));
    for low in 0..5 {
        let ctx = node.anonymous_from(from(low));
        let problem = sign_in::sign_in(&node.app, &ctx, draft("ann@toys.example", "wrong horse battery")).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::InvalidCredentials);
    }
    let ctx = node.anonymous_from(from(99));
    let problem = sign_in::sign_in(&node.app, &ctx, draft("ANN@toys.example", PASSWORD)).await.unwrap_err();
    assert_eq!((problem.kind, problem.retry_after_seconds), (ProblemKind::Throttled, Some(2)));
    let unknown: Vec<Problem> = {
        let mut problems = Vec::new();
        for low in 0..6 {
            let ctx = node.anonymous_from(from(low));
            problems.push(
                sign_in::sign_in(&node.app, &ctx, draft("nobody@toys.example", PASSWORD)).await.unwrap_err(),
            );
        }
        problems
    };
    assert_eq!(unknown.last().unwrap().kind, ProblemKind::Throttled, "accounts that do not exist are counted alike");
    node.clock.forward(2);
    signed_in(&node, "ann@toys.example").await;

    let ctx = node.anonymous_from(from(200));
    let mut kinds = Vec::new();
    for number in 0..40 {
        let login = format!("user{number}@toys.example");
        let problem = sign_in::sign_in(&node.app, &ctx, draft(&login, "Spring is here 2026")).await.unwrap_err();
        kinds.push(problem.kind);
    }
    let throttled = kinds.iter().filter(|kind| **kind == ProblemKind::Throttled).count();
    assert_eq!(throttled, 10, "thirty a minute from one address");
});

both_engines!(signing_out_ends_the_token_at_once, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let (one, other) =
        (signed_in(&node, "ann@toys.example").await, signed_in(&node, "ann@toys.example").await);
    let ctx = node.as_bearer(one.access_token()).await;
    own_session::sign_out(&node.app, &ctx).await.unwrap();
    refused(&node.app, one.access_token()).await;
    assert_eq!(own_session::sign_out(&node.app, &ctx).await.unwrap_err().kind, ProblemKind::NotFound);
    node.as_bearer(other.access_token()).await;
});

both_engines!(
    /// Attack 36.
    sessions_are_listed_and_ended_by_their_owner_only, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let mut mine = Vec::new();
    for _ in 0..3 {
        mine.push(signed_in(&node, "ann@toys.example").await);
        node.clock.forward(1);
    }
    let hers = signed_in(&node, "bob@toys.example").await;
    let ctx = node.as_bearer(mine[0].access_token()).await;
    let first = own_session::list_own(&node.app, &ctx, &Page::first(2)).await.unwrap();
    let rest = own_session::list_own(&node.app, &ctx, &Page { after: first.next.clone(), limit: 2 }).await.unwrap();
    let listed: Vec<SessionId> = first.items.iter().chain(&rest.items).map(|session| session.id).collect();
    assert_eq!(listed, mine.iter().map(|begun| begun.session.id).collect::<Vec<_>>());
    let bobs = own_session::end_own(&node.app, &ctx, hers.session.id).await.unwrap_err();
    let nobodys = own_session::end_own(&node.app, &ctx, SessionId(7)).await.unwrap_err();
    assert_eq!((bobs.kind, nobodys.kind), (ProblemKind::NotFound, ProblemKind::NotFound));
    node.as_bearer(hers.access_token()).await;
    own_session::end_own(&node.app, &ctx, mine[1].session.id).await.unwrap();
    refused(&node.app, mine[1].access_token()).await;
    let left = own_session::list_own(&node.app, &ctx, &Page::first(10)).await.unwrap();
    assert_eq!(left.items.len(), 2);
});

both_engines!(
    /// Attacks 26 and 34.
    a_changed_password_ends_every_session_and_begins_one, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let (one, other) = (signed_in(&node, "ann@toys.example").await, signed_in(&node, "ann@toys.example").await);
    let ctx = node.as_bearer(one.access_token()).await;
    let secret = |text: &str| Zeroizing::new(text.to_owned());
    let wrong = own_password::change(&node.app, &ctx, secret("wrong horse battery"), secret("another fine horse")).await;
    assert_eq!(wrong.unwrap_err().kind, ProblemKind::InvalidCredentials);
    for weak in ["short", PASSWORD, "ann@toys.example", "password1234"] {
        let problem = own_password::change(&node.app, &ctx, secret(PASSWORD), secret(weak)).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Invalid, "{weak}");
    }
    let begun = own_password::change(&node.app, &ctx, secret(PASSWORD), secret("another fine horse")).await.unwrap();
    refused(&node.app, one.access_token()).await;
    refused(&node.app, other.access_token()).await;
    node.as_bearer(begun.access_token()).await;
    let old = sign_in::sign_in(&node.app, &node.anonymous(), draft("ann@toys.example", PASSWORD)).await;
    assert_eq!(old.unwrap_err().kind, ProblemKind::InvalidCredentials);
    let again = draft("ann@toys.example", "another fine horse");
    sign_in::sign_in(&node.app, &node.anonymous(), again).await.unwrap();

    let ended = own_password::set(&node.app, &node.operator(), "ann@toys.example", secret(PASSWORD)).await.unwrap();
    assert_eq!(ended, 2);
    refused(&node.app, begun.access_token()).await;
    let bob = signed_in(&node, "bob@toys.example").await;
    let bob = node.as_bearer(bob.access_token()).await;
    let denied = own_password::set(&node.app, &bob, "ann@toys.example", secret("mine to choose now")).await.unwrap_err();
    assert_eq!(denied.kind, ProblemKind::Forbidden);
});

both_engines!(
    /// Attack 14: on the node itself at once by the decision, everywhere when what is remembered is read again.
    a_suspended_account_is_out, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let begun = signed_in(&node, "ann@toys.example").await;
    let ann = node.as_bearer(begun.access_token()).await;
    node.app.require(&ann, node.toys(), "admin.api_keys.read").await.unwrap();
    let permit = node.permit(node.toys()).await;
    let update = MemberUpdate { status: Some(PrincipalStatus::Suspended), ..MemberUpdate::default() };
    member::update(&node.app, &node.operator(), &permit, EditOptions::apply(), "ann@toys.example".to_owned(), update)
        .await
        .unwrap();
    let denied = node.app.require(&ann, node.toys(), "admin.api_keys.read").await.unwrap_err();
    assert_eq!(denied.kind, ProblemKind::Unauthenticated);
    let switched = sign_in::switch(&node.app, &ann, None).await.unwrap_err();
    assert_eq!(switched.kind, ProblemKind::Unauthenticated);
    node.clock.forward(30);
    node.app.tick().await.unwrap();
    refused(&node.app, begun.access_token()).await;
});

both_engines!(
    /// Attacks 12 and 26: a token for one organization opens no other, and turning to another ends it.
    a_token_is_for_one_organization_until_turned, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let mut asked = draft("carl@toys.example", PASSWORD);
    asked.organization = Some("toys".to_owned());
    let begun = sign_in::sign_in(&node.app, &node.anonymous(), asked).await.unwrap().begun().unwrap();
    let carl = node.as_bearer(begun.access_token()).await;
    node.app.require(&carl, node.toys(), "admin.api_keys.read").await.unwrap();
    let elsewhere = node.app.require(&carl, node.trade(), "admin.api_keys.read").await.unwrap_err();
    let unknown = node.app.require(&carl, charter_kernel::OrganizationId(5), "admin.api_keys.read").await.unwrap_err();
    assert_eq!(elsewhere, unknown);
    let turned = sign_in::switch(&node.app, &carl, Some("trade".to_owned())).await.unwrap();
    assert_ne!(turned.session.id, begun.session.id);
    assert_eq!(turned.session.expires_at, begun.session.expires_at);
    refused(&node.app, begun.access_token()).await;
    let carl = node.as_bearer(turned.access_token()).await;
    node.app.require(&carl, node.trade(), "admin.api_keys.read").await.unwrap();
    let denied = sign_in::switch(&node.app, &carl, Some("platform".to_owned())).await.unwrap_err();
    let nowhere = sign_in::switch(&node.app, &carl, Some("nowhere".to_owned())).await.unwrap_err();
    assert_eq!((denied.kind, nowhere.kind), (ProblemKind::NotFound, ProblemKind::NotFound));
    let renewed = sign_in::switch(&node.app, &carl, None).await.unwrap();
    assert_eq!(renewed.session.id, turned.session.id);
    node.as_bearer(turned.access_token()).await;

    let any = signed_in(&node, "carl@toys.example").await;
    assert_eq!(any.session.organization, None, "he has two and chose none");
    let carl = node.as_bearer(any.access_token()).await;
    node.app.require(&carl, node.toys(), "admin.api_keys.read").await.unwrap();
    node.app.require(&carl, node.trade(), "admin.api_keys.read").await.unwrap();
    let me = sign_in::me(&node.app, &carl).await.unwrap();
    assert_eq!(me.organizations.iter().map(|of| of.key.as_str()).collect::<Vec<_>>(), ["toys", "trade"]);
});

both_engines!(the_first_administrator_is_let_in_once, async |db: TestDatabase| {
    let node = open(&db).await;
    let replaced = setup::code(&node.app).await.unwrap().unwrap();
    let code = setup::code(&node.app).await.unwrap().unwrap();
    assert_eq!(code.len(), 35);
    let complete = async |code: &str, login: &str, password: &str| {
        let draft = SetupDraft {
            code: Zeroizing::new(code.to_owned()),
            login: login.to_owned(),
            name: None,
            password: Zeroizing::new(password.to_owned()),
        };
        setup::complete(&node.app, &node.anonymous(), draft).await
    };
    let wrong = complete(&replaced, "root@toys.example", PASSWORD).await.unwrap_err();
    assert_eq!(wrong.kind, ProblemKind::InvalidCredentials, "a newer code replaces the older");
    assert_eq!(complete(&code, "root@toys.example", "short").await.unwrap_err().kind, ProblemKind::Invalid);
    assert_eq!(complete(&code, "no e-mail", PASSWORD).await.unwrap_err().kind, ProblemKind::Invalid);
    let begun =
        complete(&code.to_lowercase().replace('-', " "), "root@toys.example", PASSWORD).await.unwrap();
    let root = node.as_bearer(begun.access_token()).await;
    node.app.require(&root, node.app.platform(), "platform.organizations.read").await.unwrap();
    let again = complete(&code, "second@toys.example", PASSWORD).await.unwrap_err();
    assert_eq!(again.kind, ProblemKind::InvalidCredentials);
    assert!(setup::code(&node.app).await.unwrap().is_none());
    let mut kinds = Vec::new();
    for _ in 0..8 {
        kinds.push(complete("00000-00000", "third@toys.example", PASSWORD).await.unwrap_err().kind);
    }
    assert_eq!(kinds.last(), Some(&ProblemKind::Throttled));
});

both_engines!(a_set_up_code_is_over_after_a_day, async |db: TestDatabase| {
    let node = open(&db).await;
    let code = setup::code(&node.app).await.unwrap().unwrap();
    node.clock.forward(24 * 3_600);
    node.app.tick().await.unwrap();
    let draft = SetupDraft {
        code,
        login: "root@toys.example".to_owned(),
        name: None,
        password: Zeroizing::new(PASSWORD.to_owned()),
    };
    let problem = setup::complete(&node.app, &node.anonymous(), draft).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::InvalidCredentials);
});

fn for_robot(scopes: Option<&[&str]>) -> CredentialDraft {
    CredentialDraft {
        account: Some("robot".to_owned()),
        name: "till".to_owned(),
        scopes: scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
        addresses: None,
        window: Window::ALWAYS,
        requests_per_minute: None,
    }
}

both_engines!(
    /// Attacks 78, 79 (one node), 83, 85.
    a_service_token_works_in_its_organization_within_its_scopes_until_revoked, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let permit = node.permit(node.toys()).await;
    let made = credential::create(&node.app, &node.operator(), &permit, for_robot(None)).await.unwrap();
    let robot = node.as_bearer(&made.token).await;
    node.app.require(&robot, node.toys(), "admin.api_keys.read").await.unwrap();
    node.app.require(&robot, node.trade(), "admin.api_keys.read").await.unwrap_err();
    let narrow = for_robot(Some(&["sales.*.read"]));
    let narrow = credential::create(&node.app, &node.operator(), &permit, narrow).await.unwrap();
    let limited = node.as_bearer(&narrow.token).await;
    let denied = node.app.require(&limited, node.toys(), "admin.api_keys.read").await.unwrap_err();
    assert_eq!(denied.kind, ProblemKind::Forbidden);

    let own = credential::create(&node.app, &robot, &permit, for_robot(None)).await.unwrap_err();
    assert_eq!(own.kind, ProblemKind::Forbidden, "a token makes no tokens");
    let listed = credential::list(&node.app, &permit, &KeyFilter::default(), node.app.now(), &Page::first(1)).await.unwrap();
    assert_eq!((listed.items.len(), listed.next.is_some()), (1, true));
    let secret = &made.token[22..65];
    let shown = format!("{:?}", credential::get(&node.app, &node.operator(), &permit, Reach::Service, made.credential.id).await.unwrap());
    assert!(!shown.contains(secret));
    let audit = Statement::new("select cast(after as text) from audit_events where action = 'credential.issue' order by seq limit 1");
    let recorded: String =
        node.app.database().query_one(Scope::Installation, &audit, &[]).await.unwrap().get(0).unwrap();
    assert!(recorded.contains(&made.credential.key_id) && !recorded.contains(secret) && !recorded.contains("hash"));

    credential::revoke(&node.app, &node.operator(), &permit, Reach::Service, made.credential.id, "lost").await.unwrap();
    refused(&node.app, &made.token).await;
    let again = credential::revoke(&node.app, &node.operator(), &permit, Reach::Service, made.credential.id, "lost").await.unwrap_err();
    assert_eq!(again.kind, ProblemKind::InUse);
    node.as_bearer(&narrow.token).await;

    let update = MemberUpdate { status: Some(PrincipalStatus::Suspended), ..MemberUpdate::default() };
    member::update(&node.app, &node.operator(), &permit, EditOptions::apply(), "robot".to_owned(), update).await.unwrap();
    refused(&node.app, &narrow.token).await;
});

both_engines!(a_service_token_is_made_from_sensible_values_only, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let permit = node.permit(node.toys()).await;
    let over = Window::new(None, Some(Timestamp::from_seconds(NOW - 1))).unwrap();
    let drafts = [
        (
            CredentialDraft { account: Some("ann@toys.example".to_owned()), ..for_robot(None) },
            ProblemKind::Invalid,
        ),
        (CredentialDraft { account: Some("nobody".to_owned()), ..for_robot(None) }, ProblemKind::NotFound),
        (CredentialDraft { name: " ".to_owned(), ..for_robot(None) }, ProblemKind::Invalid),
        (CredentialDraft { window: over, ..for_robot(None) }, ProblemKind::Invalid),
        (for_robot(Some(&[])), ProblemKind::Invalid),
        (for_robot(Some(&["sale.invoices.read"])), ProblemKind::Invalid),
        (CredentialDraft { addresses: Some(Vec::new()), ..for_robot(None) }, ProblemKind::Invalid),
        (
            CredentialDraft { addresses: Some(vec!["192.0.2.1/24".to_owned()]), ..for_robot(None) },
            ProblemKind::Invalid,
        ),
    ];
    for (draft, kind) in drafts {
        let problem =
            credential::create(&node.app, &node.operator(), &permit, draft.clone()).await.unwrap_err();
        assert_eq!(problem.kind, kind, "{draft:?}");
    }
    let placed = CredentialDraft { addresses: Some(vec!["192.0.2.0/24".to_owned()]), ..for_robot(None) };
    let made = credential::create(&node.app, &node.operator(), &permit, placed).await.unwrap();
    node.app.authenticate(Some(&made.token), Some("192.0.2.9".parse().unwrap())).await.unwrap();
    for outside in ["192.0.3.9", "::1"] {
        node.app.authenticate(Some(&made.token), Some(outside.parse().unwrap())).await.unwrap_err();
    }
});

both_engines!(
    /// Attack 82: not by way of a stronger account either.
    nobody_makes_a_service_token_that_may_do_more_than_they_may, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let permit = node.permit(node.toys()).await;
    let bob = signed_in(&node, "bob@toys.example").await;
    let bob = node.as_bearer(bob.access_token()).await;
    let problem = credential::create(&node.app, &bob, &permit, for_robot(None)).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::BeyondGiver);
    let ann = signed_in(&node, "ann@toys.example").await;
    let ann = node.as_bearer(ann.access_token()).await;
    credential::create(&node.app, &ann, &permit, for_robot(None)).await.unwrap();
});

both_engines!(
    /// Attack 86, and tokens nobody made: the database is away and it does not matter.
    junk_is_turned_away_without_the_database, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let permit = node.permit(node.toys()).await;
    let made = credential::create(&node.app, &node.operator(), &permit, for_robot(None)).await.unwrap();
    node.as_bearer(&made.token).await;
    node.app.database().close().await.unwrap();
    let mut junk = made.token.to_string();
    let last = junk.pop().unwrap();
    junk.push(if last == 'x' { 'y' } else { 'x' });
    for text in [junk.as_str(), "chs_", "chs_live_x", "cho_guess", "x", "", "a.b.c", &"x".repeat(100_000)] {
        assert_eq!(node.app.authenticate(Some(text), None).await.unwrap_err().kind, ProblemKind::Unauthenticated, "{text}");
    }
    node.as_bearer(&made.token).await;
    let mut unknown = Vec::new();
    for _ in 0..3 {
        let other = charter_app::identity::credential_text::generate(CredentialKind::Service, false, || node.app.world().random());
        unknown.push(node.app.authenticate(Some(&other.text), None).await.unwrap_err().kind);
    }
    assert_eq!(unknown, [ProblemKind::Unavailable; 3], "a well-formed unknown one needs the database: doubt denies");
});

both_engines!(a_flood_of_bad_tokens_costs_few_rows, async |db: TestDatabase| {
    let node = open(&db).await;
    for _ in 0..500 {
        refused(&node.app, "a.b.c").await;
    }
    refused(&node.app, "chs_live").await;
    node.clock.forward(10);
    node.app.tick().await.unwrap();
    let rows = Statement::new("select count(*) from audit_events where action = 'token.refuse'");
    assert_eq!(count(&node.app, rows).await, 2);
    let counted = Statement::new("select cast(after as text) from audit_events where target = 'token.form'");
    let after: String =
        node.app.database().query_one(Scope::Installation, &counted, &[]).await.unwrap().get(0).unwrap();
    assert!(after.contains("500"), "{after}");
});

both_engines!(the_operator_token_is_compared_whole, async |db: TestDatabase| {
    let node = open(&db).await;
    let token = crate::world::OPERATOR;
    let caller = node.app.authenticate(Some(token), None).await.unwrap();
    assert!(matches!(caller, Caller::Operator { account } if account == "charter"));
    for other in [&token[..token.len() - 1], &format!("{token}0"), "cho_"] {
        refused(&node.app, other).await;
    }
});

both_engines!(
    /// Attack 6, over the database: a revoked key's tokens end on the node that reads it.
    a_revoked_key_ends_its_tokens_and_a_new_one_is_made, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let begun = signed_in(&node, "ann@toys.example").await;
    node.as_bearer(begun.access_token()).await;
    let etag = node.app.identity().keys().etag().to_owned();
    execute(
        &node.app,
        Statement::new("update signing_keys set state = 'revoked', sealed_private = null where state = 'active'"),
    )
    .await;
    node.clock.forward(1);
    node.app.tick().await.unwrap();
    refused(&node.app, begun.access_token()).await;
    assert_ne!(node.app.identity().keys().etag(), etag);
    let again = signed_in(&node, "ann@toys.example").await;
    node.as_bearer(again.access_token()).await;
});

/// Attack 117, for the first key: and tokens of each node are good on the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_start_at_once_make_one_signing_key() {
    let db = postgres().await;
    let first = open(&db).await;
    first.company().await;
    for _ in 0..10 {
        execute(&first.app, Statement::new("delete from signing_keys")).await;
        let (one, other) = tokio::join!(open(&db), open(&db));
        let active = Statement::new("select count(*) from signing_keys where state = 'active'");
        assert_eq!(count(&first.app, active).await, 1);
        assert_eq!(one.app.identity().keys().signer_kid(), other.app.identity().keys().signer_kid());
        let begun = signed_in(&one, "ann@toys.example").await;
        other.as_bearer(begun.access_token()).await;
        // The first node has not read the key: the token makes it.
        first.clock.forward(1);
        first.as_bearer(begun.access_token()).await;
        let ctx = one.as_bearer(begun.access_token()).await;
        own_session::sign_out(&one.app, &ctx).await.unwrap();
        other.app.tick().await.unwrap();
        refused(&other.app, begun.access_token()).await;
        one.app.close().await.unwrap();
        other.app.close().await.unwrap();
    }
}

/// A list that looks nothing up while somebody holds it, on the one thread that hashes.
#[derive(Debug, Default)]
struct Gate(Arc<tokio::sync::Mutex<()>>);

impl BreachedPasswords for Gate {
    fn holds(&self, _: &Sha1) -> Result<bool, String> {
        drop(self.0.blocking_lock());
        Ok(false)
    }
}

both_engines!(
    a_password_that_is_replaced_while_it_is_looked_at_begins_no_session,
    async |db: TestDatabase| {
        let gate = Gate::default();
        let door = Arc::clone(&gate.0);
        let node = open_with_breached(&db, Arc::new(gate)).await;
        node.company().await;
        let in_line = async |passwords: usize| {
            while node.app.identity().passwords_in_line() != passwords {
                tokio::task::yield_now().await;
            }
        };
        let shut = door.lock_owned().await;
        let operator = node.operator();
        let new = Zeroizing::new("a wholly other phrase".to_owned());
        let bob = own_password::set(&node.app, &operator, "bob@toys.example", new);
        let anonymous = node.anonymous();
        let ann = async {
            in_line(1).await;
            sign_in::sign_in(&node.app, &anonymous, draft("ann@toys.example", PASSWORD)).await
        };
        let other = async {
            // Her account was read before she stood in line.
            in_line(2).await;
            let other = "update principals set password_hash = '$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$\
            AAAAAAAAAAAAAAAAAAAAAA' where login_folded = 'ann@toys.example'";
            execute(&node.app, Statement::new(other)).await;
            drop(shut);
        };
        let (bob, ann, ()) = tokio::join!(bob, ann, other);
        bob.unwrap();
        assert_eq!(
            ann.unwrap_err().kind,
            ProblemKind::Unavailable,
            "her password was right when it was looked at"
        );
        let sessions = count(&node.app, Statement::new("select count(*) from sessions")).await;
        assert_eq!(sessions, 0);
    }
);

both_engines!(a_refresh_is_one_write, async |db: TestDatabase| {
    let faults = Faults::new();
    let db = db.fail_with(&faults);
    let node = open(&db).await;
    node.company().await;
    let begun = signed_in(&node, "bob@toys.example").await;
    let token = begun.refresh_token.unwrap();
    faults.mend();
    let next = refresh::refresh(&node.app, &node.anonymous(), &token).await.unwrap();
    assert_eq!(faults.commits(), 1);
    assert_ne!(next.refresh_token.unwrap().as_str(), token.as_str());
});
