//! The vault over HTTP: its key is rotated while everything goes on, the pepper too, and what was stored before is sealed.

use super::mail::Postbox;
use super::{ANN, PAT, Story, Told, Who};
use charter_app::identity::seal::Sealer;
use charter_db::{BoxFuture, Error, Scope, Statement, Tx, Value as Cell};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use http::Method;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
const AT: Cell = Cell::Time(1_900_000_000_000_000);

/// Changes the database behind the application's back.
async fn change(story: &Story, statement: &'static str, params: Vec<Cell>) {
    let statement = Statement::new(statement);
    story
        .app
        .database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move { tx.execute(&statement, &params).await })
                as BoxFuture<'_, Result<u64, Error>>
        })
        .await
        .unwrap();
}

/// Values as they were before there was a vault: sealed by the key-encryption key itself.
async fn older(story: &Story, count: u128) {
    let sealer = Sealer::new(&[1; 32]).unwrap();
    for number in 1..=count {
        let name = format!("password reset {number:032x}");
        let sealed = sealer.seal(&name, b"x@y.example", [number as u8; 12]).unwrap();
        let insert = "insert into password_resets (reset_id, login_hash, login, asked_at, expires_at) values ($1, $2, $3, $4, $4)";
        change(story, insert, vec![Cell::Id(number), Cell::Bytes(vec![1]), Cell::Bytes(sealed), AT]).await;
    }
}

/// Toys with a webhook, a mail on its way and an API key, each with a secret; gives the key.
async fn begun(database: TestDatabase) -> (Story, String) {
    let story = Story::company(database).await;
    let password = json!({"password": PASSWORD});
    story.post(Who::Operator, "/api/v1/users/ann@toys.example/password", password).await.is(200);
    let hook = json!({"name": "erp", "url": "https://93.184.216.34/hook", "events": ["member.*"]});
    story.post(ANN, "/api/v1/organizations/toys/webhooks", hook).await.is(201);
    let key = key(&story).await;
    (story, key)
}

async fn key(story: &Story) -> String {
    story.key(ANN, json!({"name": "a key"})).await.1
}

async fn status(story: &Story) -> Value {
    story.get(PAT, "/api/v1/vault").await.is(200).body
}

/// Calls an operation that takes no body.
async fn act(story: &Story, path: &str) -> Told {
    story.send(PAT, Method::POST, path, &[], None).await
}

fn states(told: &Value, list: &str) -> Vec<(u64, String)> {
    let number = if list == "keys" { "key" } else { "version" };
    let items = told[list].as_array().unwrap().iter();
    items.map(|it| (it[number].as_u64().unwrap(), it["state"].as_str().unwrap().to_owned())).collect()
}

fn words(words: &[(u64, &str)]) -> Vec<(u64, String)> {
    words.iter().map(|(number, word)| (*number, (*word).to_owned())).collect()
}

async fn events(story: &Story, action: &str) -> usize {
    let path = format!("/api/v1/organizations/platform/audit/events?action={action}");
    story.get(Who::Operator, &path).await.is(200).body["items"].as_array().unwrap().len()
}

async fn me(story: &Story, token: &str) -> u16 {
    story.with_token(token, Method::GET, "/api/v1/me", None).await.status.as_u16()
}

both_engines!(a_key_of_the_vault_is_replaced_while_everything_goes_on, async |database| {
    let (story, _) = begun(database).await;
    // As a node that runs.
    story.app.tick().await.unwrap();
    let before = status(&story).await;
    assert_eq!(states(&before, "keys"), words(&[(1, "active")]));
    let counted = before["keys"][0]["values"].as_u64().unwrap();
    assert!(counted >= 3, "a signing key, a webhook's secret and a mail: {before:#}");
    assert_eq!(before["rotation"], Value::Null);
    story.get(ANN, "/api/v1/vault").await.is_problem(404, "not-found");

    let rotate = "/api/v1/vault/rotate";
    story.post(PAT, rotate, json!({"keep_seconds": 60})).await.is_problem(422, "invalid");
    let plan = story.post(PAT, &format!("{rotate}?dry_run=true"), json!({})).await.is(200).body;
    assert_eq!((&plan["key"], &plan["values"], &plan["dry_run"]), (&json!(2), &json!(counted), &json!(true)));
    assert_eq!(status(&story).await, before, "a dry run writes nothing");

    let done = story.post(PAT, rotate, json!({"keep_seconds": 7200})).await.is(200).body;
    assert_eq!((&done["key"], &done["keep_seconds"]), (&json!(2), &json!(7200)));
    story.post(PAT, rotate, json!({})).await.is_problem(409, "in-use");
    assert_eq!(states(&status(&story).await, "keys"), words(&[(2, "pending"), (1, "active")]));
    story.wait_seconds(74).await;
    assert_eq!(status(&story).await["rotation"]["done"], json!(0), "published, and not used yet");

    // The first round seals everything again here, and what comes in between is sealed by the new key.
    story.pass(2);
    story.app.tick().await.unwrap();
    story.app.tick().await.unwrap();
    story.app.tick().await.unwrap();
    let after = status(&story).await;
    assert_eq!(states(&after, "keys"), words(&[(2, "active"), (1, "retired")]), "{after:#}");
    assert_eq!(after["rotation"], Value::Null);
    assert!(after["values"].as_array().unwrap().iter().all(|of| of["key"] == 2), "{after:#}");
    assert_eq!(events(&story, "vault_key.rotate").await, 1);
    assert_eq!(events(&story, "vault_key.retire").await, 1);

    // Everything opens: tokens are signed, mail is read.
    assert!(!Postbox::new().empty(&story.app).await.is_empty());
    story.log_in("ann@toys.example", PASSWORD).await.is(200);
    story.wait_seconds(7199).await;
    assert_eq!(events(&story, "vault_key.destroy").await, 0);
    story.wait_seconds(1).await;
    let last = status(&story).await;
    assert_eq!(states(&last, "keys"), words(&[(2, "active"), (1, "destroyed")]));
    assert_eq!(events(&story, "vault_key.destroy").await, 1);
    let gone = Statement::new("select count(*) from vault_keys where key_number = 1 and wrapped_key is null");
    let row = story.app.database().query_one(Scope::Installation, &gone, &[]).await.unwrap();
    assert_eq!(row.get::<i64>(0).unwrap(), 1, "the key itself is gone");
    story.log_in("ann@toys.example", PASSWORD).await.is(200);
});

both_engines!(a_rotation_goes_on_where_it_was_cut_short_and_keeps_a_key_that_is_needed, async |database| {
    let (story, _) = begun(database).await;
    // A value nobody can open, as after a damaged disk, and several pages of good ones.
    let insert = "insert into mail_outbox (mail_id, kind, principal_id, content, status, attempts, next_attempt_at, expires_at, created_at) \
                  values ($1, 'damaged', $1, $2, 'failed', 0, $3, $3, $3)";
    let damaged = [&[2, 0, 0, 0, 1][..], b"what no key has sealed and none opens"].concat();
    change(&story, insert, vec![Cell::Id(7), Cell::Bytes(damaged), AT]).await;
    older(&story, 250).await;
    story.post(PAT, "/api/v1/vault/rotate", json!({})).await.is(200);
    story.pass(76);
    let mut seen = Vec::new();
    for _ in 0..20 {
        let told = act(&story, "/api/v1/vault/advance").await.is(200).body;
        seen.push(told["rotation"]["done"].as_u64().unwrap_or_default());
    }
    let told = status(&story).await;
    assert_eq!(told["rotation"]["unreadable"], json!(1), "{told:#}");
    assert_eq!(states(&told, "keys"), words(&[(2, "active"), (1, "retiring")]), "its key is kept");
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "{seen:?}");
    assert_eq!(events(&story, "vault_key.unreadable").await, 1, "told once");
    // When it is gone, the rotation ends by itself.
    change(&story, "delete from mail_outbox where kind = 'damaged'", Vec::new()).await;
    story.pass(601);
    for _ in 0..5 {
        story.app.tick().await.unwrap();
    }
    let told = status(&story).await;
    assert_eq!(states(&told, "keys"), words(&[(2, "active"), (1, "retired")]), "{told:#}");
});

both_engines!(what_was_stored_before_the_vault_is_sealed_by_it, async |database| {
    let (story, _) = begun(database).await;
    older(&story, 120).await;
    let path = "/api/v1/vault/encrypt-existing";
    let plan = act(&story, &format!("{path}?dry_run=true")).await.is(200).body;
    assert_eq!((&plan["remaining"], &plan["sealed"]), (&json!(120), &json!(0)));
    assert_eq!(plan["columns"][0]["column"], json!("password_resets.login"));
    assert_eq!(events(&story, "vault.encrypt-existing").await, 0);
    // They need the key-encryption key itself: sealing the vault's keys by another would not free it.
    let rewrap = json!({"rewrap_only": true});
    let refused = story.post(PAT, "/api/v1/vault/rotate", rewrap).await;
    refused.is_problem(409, "in-use");
    let done = act(&story, path).await.is(200).body;
    assert_eq!(
        (&done["remaining"], &done["sealed"], &done["unreadable"]),
        (&json!(0), &json!(120), &json!(0))
    );
    let again = act(&story, path).await.is(200).body;
    assert_eq!((&again["remaining"], &again["sealed"]), (&json!(0), &json!(0)), "done twice it does nothing");
    assert_eq!(events(&story, "vault.encrypt-existing").await, 1);
    assert!(status(&story).await["values"].as_array().unwrap().iter().all(|of| of["key"] == 1));
});

both_engines!(a_pepper_is_replaced_and_nobody_is_turned_away_until_it_ends, async |database| {
    let (story, used) = begun(database).await;
    let unused = key(&story).await;
    let session = story.log_in("ann@toys.example", PASSWORD).await.is(200).body;
    let refresh = session["refresh_token"].as_str().unwrap().to_owned();
    story.log_in("ann@toys.example", PASSWORD).await.is(200);
    let before = status(&story).await;
    assert_eq!(states(&before, "peppers"), words(&[(1, "active")]));
    assert_eq!(before["peppers"][0]["credentials"], json!(2));
    let end = "/api/v1/vault/peppers/1/end";
    act(&story, end).await.is_problem(409, "in-use");

    let rotate = "/api/v1/vault/peppers/rotate";
    let plan = act(&story, &format!("{rotate}?dry_run=true")).await.is(200).body;
    assert_eq!((&plan["version"], &plan["credentials"]), (&json!(2), &json!(2)));
    assert_eq!(status(&story).await, before);
    let settings = json!({"mode": "invitation"});
    story.patch(Who::Operator, "/api/v1/organizations/toys/registration-settings", settings).await.is(200);
    let invited = json!({"email": "new@toys.example"});
    story.post(ANN, "/api/v1/organizations/toys/invitations", invited).await.is(201);
    act(&story, rotate).await.is(200);
    act(&story, rotate).await.is_problem(409, "in-use");
    assert_eq!(states(&status(&story).await, "peppers"), words(&[(2, "pending"), (1, "active")]));
    // What was just done is not proposed: there is a time to wait for.
    let early = act(&story, &format!("{end}?dry_run=true")).await.is_problem(409, "in-use").body;
    let early = early["detail"].as_str().unwrap();
    assert!(early.contains("by version 2 from then on") && !early.contains("rotate --pepper"), "{early}");
    story.wait_seconds(136).await;
    let told = status(&story).await;
    assert_eq!(states(&told, "peppers"), words(&[(2, "active"), (1, "retiring")]));

    // Used once, a key stands on the new version.
    assert_eq!(me(&story, &used).await, 200);
    story.app.tick().await.unwrap();
    assert_eq!(me(&story, &used).await, 200);
    story.app.tick().await.unwrap();
    let told = status(&story).await;
    assert_eq!(
        (&told["peppers"][0]["credentials"], &told["peppers"][1]["credentials"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(events(&story, "pepper.rehash").await, 1);
    assert_eq!(events(&story, "pepper.index").await, 1);
    // A session goes on, and its next token is made by the new version.
    let refreshed = story
        .wire(Method::POST, "/api/v1/auth/refresh", &[], None, Some(json!({"refresh_token": refresh})))
        .await
        .is(200)
        .body;
    let next = refreshed["refresh_token"].as_str().unwrap().to_owned();

    let plan = act(&story, &format!("{end}?dry_run=true")).await.is(200).body;
    assert_eq!((&plan["credentials"], &plan["dry_run"]), (&json!(1), &json!(true)));
    assert!(plan["sessions"].as_u64().unwrap() >= 1, "sessions that were not refreshed: {plan:#}");
    assert_eq!(states(&status(&story).await, "peppers"), words(&[(2, "active"), (1, "retiring")]));
    // Sessions and keys were ended without a question.
    let refused = act(&story, end).await.is_problem(409, "in-use").body;
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.starts_with("1 API key or service token, ") && detail.contains("say `force`"), "{detail}");
    let told = plan["summary"].as_str().unwrap();
    assert!(told.starts_with("nothing was written; with version 1"), "{told}");
    // Nobody makes recovery codes anew by signing in: they are told apart by when they were made.
    let codes = "insert into recovery_codes (principal_id, code_hash, created_at) values ($1, $2, $3)";
    for (number, at) in [(1, 1_800_000_000), (2, 1_800_000_136)] {
        change(&story, codes, vec![Cell::Id(1), Cell::Bytes(vec![number]), Cell::Time(at * 1_000_000)]).await;
    }
    let plan = act(&story, &format!("{end}?dry_run=true")).await.is(200).body;
    let counted = |name: &str| plan[name].as_u64().unwrap();
    assert_eq!((counted("recovery_codes"), counted("invitations")), (1, 1), "{plan:#}");
    for name in ["registrations", "email_changes", "password_resets", "previous_client_secrets"] {
        assert_eq!(counted(name), 0, "{name}");
    }
    act(&story, end).await.is_problem(409, "in-use");
    let done = act(&story, &format!("{end}?force=true")).await.is(200).body;
    assert_eq!((&done["credentials"], &done["recovery_codes"]), (&json!(1), &json!(1)));
    let told = done["summary"].as_str().unwrap();
    assert!(told.contains("is ended: 1 API key") && told.ends_with("are refused from now on"), "{told}");
    assert_eq!((me(&story, &used).await, me(&story, &unused).await), (200, 401));
    story
        .wire(Method::POST, "/api/v1/auth/refresh", &[], None, Some(json!({"refresh_token": next})))
        .await
        .is(200);
    act(&story, end).await.is_problem(409, "in-use");
    act(&story, "/api/v1/vault/peppers/9/end").await.is_problem(404, "not-found");
    assert_eq!(states(&status(&story).await, "peppers"), words(&[(2, "active"), (1, "ended")]));
    // And on it goes: the pepper is sealed by the vault, whose key may change.
    story.post(PAT, "/api/v1/vault/rotate", json!({})).await.is(200);
    story.wait_seconds(76).await;
    story.app.tick().await.unwrap();
    story.app.tick().await.unwrap();
    assert_eq!(me(&story, &used).await, 200);
    let made = key(&story).await;
    assert_eq!(me(&story, &made).await, 200);
});

/// Every text and every blob of the database, with where it stands.
async fn everything(story: &Story) -> Vec<(String, Vec<u8>)> {
    const TABLES: Statement = Statement::forked(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'",
        "select table_name::text from information_schema.tables where table_schema = current_schema()",
    );
    let database = story.app.database();
    let mut found = Vec::new();
    for table in database.query(Scope::Installation, &TABLES, &[]).await.unwrap() {
        let table: String = table.get(0).unwrap();
        let all = Statement::new(format!("select * from {table}").leak());
        for row in database.query(Scope::Installation, &all, &[]).await.unwrap() {
            for at in 0..row.len() {
                let bytes = match row.get::<Cell>(at).unwrap() {
                    Cell::Text(text) | Cell::Json(text) => text.into_bytes(),
                    Cell::Bytes(bytes) => bytes,
                    _ => continue,
                };
                found.push((format!("{table}, column {}", at + 1), bytes));
            }
        }
    }
    found
}

// Attack 120: whoever has a copy of the database has no key, no pepper and no private key, and nothing that lets them in.
both_engines!(a_copy_of_the_database_holds_nothing_that_opens_anything, async |database| {
    let (story, key) = begun(database).await;
    let session = story.log_in("ann@toys.example", PASSWORD).await.is(200).body;
    let text = |value: &Value| value.as_str().unwrap().as_bytes().to_vec();
    let mut secrets = vec![PASSWORD.as_bytes().to_vec(), key.into_bytes(), vec![1; 32], vec![2; 32]];
    secrets.extend([text(&session["access_token"]), text(&session["refresh_token"])]);
    let hook = json!({"name": "shop", "url": "https://93.184.216.34/hook", "events": ["member.*"]});
    let hook = story.post(ANN, "/api/v1/organizations/toys/webhooks", hook).await.is(201).body;
    secrets.push(text(&hook["secret"]));
    let forgot = Some(json!({"email": "ann@toys.example"}));
    story.wire(Method::POST, "/api/v1/auth/forgot-password", &[], None, forgot).await.is(202);
    story.app.tick().await.unwrap();
    // A new pepper and a new key of the vault, too.
    act(&story, "/api/v1/vault/peppers/rotate").await.is(200);
    story.post(PAT, "/api/v1/vault/rotate", json!({})).await.is(200);
    story.wait_seconds(76).await;
    story.key(ANN, json!({"name": "another"})).await;

    let sealer = story.app.identity().sealer();
    let opened = |name: &str, sealed: &[u8]| sealer.open(name, sealed).unwrap().to_vec();
    let kept =
        Statement::new("select kid, sealed_private from signing_keys where sealed_private is not null");
    for row in story.app.database().query(Scope::Installation, &kept, &[]).await.unwrap() {
        let (kid, sealed): (String, Vec<u8>) = (row.get(0).unwrap(), row.get(1).unwrap());
        secrets.push(opened(&kid, &sealed));
    }
    let kept = Statement::new(
        "select pepper_version, sealed_pepper from vault_peppers where sealed_pepper is not null",
    );
    for row in story.app.database().query(Scope::Installation, &kept, &[]).await.unwrap() {
        let (version, sealed): (i64, Vec<u8>) = (row.get(0).unwrap(), row.get(1).unwrap());
        secrets.push(opened(&format!("pepper {version}"), &sealed));
    }
    assert_eq!(secrets.len(), 9, "with a private key and a pepper");
    let all = everything(&story).await;
    assert!(all.len() > 1_000);
    // The code that lets its reader in stands in the letter, and nowhere in the database.
    let letters = Postbox::new().empty(&story.app).await;
    let letter = letters.iter().find(|it| it.body.contains("/reset-password#")).unwrap();
    let (_, code) = letter.body.split_once("/reset-password#").unwrap();
    secrets.push(code.split_whitespace().next().unwrap().as_bytes().to_vec());
    for secret in &secrets {
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        for (place, bytes) in &all {
            for form in [secret.as_slice(), hex.as_bytes()] {
                let is_there =
                    bytes.len() >= form.len() && bytes.windows(form.len()).any(|part| part == form);
                assert!(!is_there, "{place} holds {}", String::from_utf8_lossy(secret));
            }
        }
    }
});
