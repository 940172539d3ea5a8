//! Users of another system: taken over whole or not at all, signed in with the passwords they have, and given a hash of ours by it.

use crate::world::{Node, PASSWORD, draft, open};
use charter_app::identity::own_password;
use charter_app::identity::sign_in;
use charter_app::identity::user_import::{self, Imported, ImportedUser, Taken};
use charter_db::{Scope, Statement};
use charter_kernel::{Problem, ProblemKind};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use zeroize::Zeroizing;

const VECTORS: &str = include_str!("../../src/identity/adopted_hash/vectors.jsonl");

/// A hash a real library made of a password.
fn hash_of(source: &str, password: &str) -> String {
    let vectors = VECTORS.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let found = vectors.into_iter().find(|it| it["source"] == source && it["password"] == password).unwrap();
    found["hash"].as_str().unwrap().to_owned()
}

fn user(login: &str, hash: impl Into<String>) -> ImportedUser {
    ImportedUser { login: login.to_owned(), name: None, password_hash: hash.into() }
}

impl Node {
    async fn import(&self, users: Vec<ImportedUser>) -> Result<Vec<Imported>, Problem> {
        user_import::import(&self.app, &self.operator(), users, false).await
    }

    async fn stored(&self, login: &str) -> Option<String> {
        let statement = Statement::new("select password_hash from principals where login_folded = $1");
        let rows = self.app.database().query(Scope::Installation, &statement, &[login.into()]).await.unwrap();
        rows.first().and_then(|row| row.get(0).unwrap())
    }

    async fn enters(&self, login: &str, password: &str) -> bool {
        match sign_in::sign_in(&self.app, &self.anonymous(), draft(login, password)).await {
            Ok(_) => true,
            Err(problem) if problem.kind == ProblemKind::InvalidCredentials => false,
            Err(problem) => panic!("{problem}"),
        }
    }
}

both_engines!(the_first_sign_in_replaces_an_adopted_hash_and_no_other_does, async |db: TestDatabase| {
    let node = open(&db).await;
    let sources = [
        "django pbkdf2_sha256",
        "django bcrypt_sha256",
        "passlib bcrypt",
        "passlib bcrypt_sha256",
        "passlib argon2i",
        "werkzeug scrypt:1024:8:1",
        "passlib default bcrypt",
        "django default argon2",
    ];
    let login = |place: usize| format!("user{place}@toys.example");
    let users =
        sources.iter().enumerate().map(|(place, source)| user(&login(place), hash_of(source, PASSWORD)));
    let done = node.import(users.collect()).await.unwrap();
    assert!(done.iter().all(|it| it.taken == Taken::Made), "{done:#?}");
    for (place, source) in sources.iter().enumerate() {
        let before = node.stored(&login(place)).await.unwrap();
        let is_weak = !source.contains("default");
        assert_eq!(before.starts_with("$wrapped$"), is_weak, "{source}: {before}");
        assert!(!node.enters(&login(place), "wrong horse battery").await, "{source}");
        assert_eq!(node.stored(&login(place)).await.as_ref(), Some(&before), "{source}");
        assert!(node.enters(&login(place), PASSWORD).await, "{source}");
        let after = node.stored(&login(place)).await.unwrap();
        assert!(after.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{source}: {after}");
        assert!(node.enters(&login(place), PASSWORD).await, "{source}");
        assert_eq!(node.stored(&login(place)).await.unwrap(), after, "{source}: written once");
    }
});

both_engines!(
    /// Attack 63: bcrypt looked at 72 bytes; from the first sign-in on the whole password counts.
    a_long_password_of_bcrypt_counts_whole_from_the_first_sign_in, async |db: TestDatabase| {
    let node = open(&db).await;
    let long = "long words ".repeat(9);
    node.import(vec![user("ann", hash_of("bcrypt", &long)), user("bob", hash_of("bcrypt", PASSWORD))]).await.unwrap();
    assert!(!node.enters("ann", &long[..71]).await);
    assert!(!node.enters("bob", &format!("{PASSWORD}\0")).await && !node.enters("bob", &format!("{PASSWORD}\0x")).await);
    assert!(!node.enters("ann", &long.repeat(100)).await, "more bytes than any password has");
    node.clock.forward(60);
    assert!(node.enters("ann", &long).await);
    assert!(!node.enters("ann", &long[..72]).await, "a part does not do any more");
    assert!(node.enters("ann", &long).await);
    assert!(node.enters("bob", PASSWORD).await);
});

both_engines!(several_first_sign_ins_at_once_all_get_in, async |db: TestDatabase| {
    let node = open(&db).await;
    node.import(vec![user("ann", hash_of("django bcrypt", PASSWORD))]).await.unwrap();
    let running = (0..5).map(|_| {
        let (app, ctx) = (node.app.clone(), node.anonymous());
        async move { sign_in::sign_in(&app, &ctx, draft("ann", PASSWORD)).await.map(drop) }
    });
    for one in futures_util::future::join_all(running).await {
        one.unwrap();
    }
    assert!(node.stored("ann").await.unwrap().starts_with("$argon2id$"));
    assert!(node.enters("ann", PASSWORD).await);
});

both_engines!(all_users_of_a_call_are_taken_over_or_none, async |db: TestDatabase| {
    let node = open(&db).await;
    node.company().await;
    let good = hash_of("passlib bcrypt", PASSWORD);
    let monster = "$2b$31$......................AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let problem = node
        .import(vec![
            user("dan@toys.example", &*good),
            user("not an e-mail@", &*good),
            user("eva@toys.example", "hunter2"),
            user("fay@toys.example", monster),
            user(" DAN@toys.example", &*good),
        ])
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Invalid);
    let fields: Vec<&str> = problem.fields.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["users/1/login", "users/2/password_hash", "users/3/password_hash", "users/4/login"]);
    assert!(!format!("{problem:?}").contains("hunter2"));
    assert!(node.stored("dan@toys.example").await.is_none());
    let problem =
        node.import(vec![user("dan@toys.example", &*good), user("robot", &*good)]).await.unwrap_err();
    assert_eq!(problem.fields[0].field, "users/1/login", "robot is a service account");
    assert_eq!(node.import(Vec::new()).await.unwrap_err().kind, ProblemKind::Invalid);

    let dry =
        user_import::import(&node.app, &node.operator(), vec![user("dan@toys.example", &*good)], true).await;
    assert_eq!((dry.unwrap()[0].taken, node.stored("dan@toys.example").await), (Taken::Made, None));
    let anonymous = user_import::import(&node.app, &node.anonymous(), vec![user("dan", &*good)], false).await;
    assert_eq!(anonymous.unwrap_err().kind, ProblemKind::Forbidden);

    // Ann has a password; zoe is a member who has none yet.
    let permit = node.permit(node.toys()).await;
    let zoe = charter_app::member::MemberDraft {
        kind: charter_kernel::facts::PrincipalKind::User,
        login: "zoe@toys.example".to_owned(),
        name: Some("Zoe".to_owned()),
        window: charter_kernel::Window::ALWAYS,
        attributes: String::new(),
    };
    let options = charter_app::EditOptions::apply();
    charter_app::member::add(&node.app, &node.operator(), &permit, options, zoe).await.unwrap();
    let before = node.stored("ann@toys.example").await;
    let users = || {
        ["ann@toys.example", "zoe@toys.example", "dan@toys.example"].map(|login| user(login, &*good)).into()
    };
    let done = node.import(users()).await.unwrap();
    let taken: Vec<Taken> = done.iter().map(|it| it.taken).collect();
    assert_eq!(taken, [Taken::Kept, Taken::PasswordSet, Taken::Made]);
    assert_eq!(node.stored("ann@toys.example").await, before, "a password is never replaced");
    assert!(
        node.enters("zoe@toys.example", PASSWORD).await && node.enters("dan@toys.example", PASSWORD).await
    );
    let again = node.import(users()).await.unwrap();
    assert!(again.iter().all(|it| it.taken == Taken::Kept), "{again:#?}");
    let statement = Statement::new("select count(*) from audit_events where action = 'user.import'");
    let told: i64 =
        node.app.database().query_one(Scope::Installation, &statement, &[]).await.unwrap().get(0).unwrap();
    assert_eq!(told, 2);
});

both_engines!(a_password_that_was_set_meanwhile_is_not_put_back, async |db: TestDatabase| {
    let node = open(&db).await;
    node.import(vec![user("ann@toys.example", hash_of("django scrypt", PASSWORD))]).await.unwrap();
    let new = || Zeroizing::new("staple the horse to it".to_owned());
    own_password::set(&node.app, &node.operator(), "ann@toys.example", new()).await.unwrap();
    let stored = node.stored("ann@toys.example").await;
    assert!(!node.enters("ann@toys.example", PASSWORD).await);
    assert_eq!(node.stored("ann@toys.example").await, stored);
    assert!(node.enters("ann@toys.example", &new()).await);
});
