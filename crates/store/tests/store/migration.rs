//! Migrations up, down and up again; what differs or is newer is refused.

use charter_db::{Scope, Statement, Value};
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{OauthClientId, PrincipalId, SessionId, Timestamp};
use charter_store::legacy_secret::{self, LegacyUse};
use charter_store::migration::{self, MigrationError};
use charter_store::oauth_code::{self, OauthCode};
use charter_store::principal::{self, Principal};
use charter_store::setting;
use charter_store::token_floor::{self, TokenFloor, Whose};
use charter_store::{oauth_audience, oauth_client, oauth_consent};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;

use crate::filling::two_organizations;
use crate::world::{NOW, person};

const SCHEMA: Statement = Statement::forked(
    "select type || ' ' || name || ' ' || coalesce(sql, '') from sqlite_schema where name not like 'sqlite_stat%' order by type, name",
    "select line from (
        select 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(collation_name, '') as line
        from information_schema.columns where table_schema = 'public'
        union all select 'index ' || indexdef from pg_indexes where schemaname = 'public'
        union all select 'constraint ' || conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(oid)
        from pg_constraint where connamespace = 'public'::regnamespace
        union all select 'policy ' || tablename || ' ' || policyname || ' ' || qual from pg_policies where schemaname = 'public'
    ) lines order by line",
);

async fn schema(db: &TestDatabase) -> Vec<String> {
    let rows = db.query(Scope::Installation, &SCHEMA, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

both_engines!(up_down_and_up_again_give_the_same_schema, async |db: TestDatabase| {
    let names = migration::migrate_up(&db, NOW).await.unwrap();
    assert_eq!(names.len(), migration::newest() as usize);
    let first = schema(&db).await;
    assert!(first.len() > 80);
    assert!(migration::migrate_up(&db, NOW).await.unwrap().is_empty());
    let states = migration::states(&db).await.unwrap();
    assert!(states.iter().all(|state| state.applied_at == Some(NOW)));

    let undone = migration::migrate_down(&db, 0).await.unwrap();
    assert_eq!(undone.len(), names.len());
    assert_eq!(schema(&db).await, Vec::<String>::new());
    assert!(migration::states(&db).await.unwrap().iter().all(|state| state.applied_at.is_none()));

    migration::migrate_up(&db, NOW).await.unwrap();
    assert_eq!(schema(&db).await, first);
});

both_engines!(each_migration_can_be_undone_and_made_again, async |db: TestDatabase| {
    migration::migrate_up(&db, NOW).await.unwrap();
    let whole = schema(&db).await;
    for to in (0..migration::newest()).rev() {
        let undone = migration::migrate_down(&db, to).await.unwrap();
        assert_eq!(undone.len(), 1, "down to {to}");
    }
    migration::migrate_up(&db, NOW).await.unwrap();
    assert_eq!(schema(&db).await, whole);
});

both_engines!(
    what_was_agreed_to_before_audiences_counted_is_kept_where_it_is_certain,
    async |db: TestDatabase| {
        const CLIENT: Statement = Statement::new(
            "insert into oauth_clients (organization_id, client_id, name, kind, redirect_uris, post_logout_redirect_uris, grant_types, scopes, \
         is_first_party, status, created_at, updated_at, row_version, audiences) \
         values ($1, $2, 'N', 'public', '[]', '[]', '[]', '[]', false, 'active', $3, $3, 1, $4)",
        );
        const CONSENT: Statement = Statement::new(
            "insert into oauth_consents (organization_id, client_id, principal_id, scope, given_at) values ($1, $2, $3, 'openid', $4)",
        );
        let (toys, trade) = two_organizations(&db).await;
        let (toys, trade) = (toys.organization.id, trade.organization.id);
        migration::migrate_down(&db, 38).await.unwrap();
        let clients = [
            (toys, 1, 20, "[]"),
            (trade, 3, 10, r#"["urn:a","urn:c"]"#),
            (toys, 2, 0, r#"["urn:b","urn:a"]"#),
        ];
        let who = PrincipalId(7);
        for (organization, id, made, audiences) in clients {
            let made = Value::Time(NOW.plus_seconds(made).0);
            let keys = [Value::Id(organization.0), Value::Id(id)];
            let client = [keys.to_vec(), vec![made.clone(), Value::Json(audiences.to_owned())]].concat();
            let consent = [keys.to_vec(), vec![Value::Id(who.0), made]].concat();
            crate::write!(db, tx => async {
                tx.execute(&CLIENT, &client).await?;
                tx.execute(&CONSENT, &consent).await
            })
            .unwrap();
        }
        migration::migrate_up(&db, NOW).await.unwrap();
        let agreed = async |id: u128| {
            crate::read!(db, conn => oauth_consent::get(conn, toys, OauthClientId(id), who)).unwrap()
        };
        let itself = [("charter".to_owned(), "openid".to_owned())];
        assert_eq!(agreed(1).await, itself.into());
        assert_eq!(agreed(2).await, [].into(), "nobody knows what for: it has to ask again");
        // Whoever named an audience first has it, and the others lose it.
        for (organization, id, audiences) in [(toys, 2, &["urn:b", "urn:a"][..]), (trade, 3, &["urn:c"])] {
            let client =
                crate::read!(db, conn => oauth_client::get(conn, organization, OauthClientId(id))).unwrap();
            assert_eq!(client.audiences, audiences);
        }
        let takes = async |organization, audience: &'static str| {
            crate::write!(db, tx => oauth_audience::take(tx, organization, false, audience)).unwrap()
        };
        assert!(takes(toys, "urn:a").await && takes(trade, "urn:c").await);
        assert!(!takes(trade, "urn:a").await && !takes(toys, "urn:c").await);
    }
);

both_engines!(
    /// It would have counted again with the account.
    what_applications_had_of_accounts_that_were_deactivated_before_is_gone,
    async |db: TestDatabase| {
        const CLIENT: Statement = Statement::new(
            "insert into oauth_clients (organization_id, client_id, name, kind, redirect_uris, post_logout_redirect_uris, grant_types, scopes, \
         is_first_party, status, created_at, updated_at, row_version) \
         values ($1, $2, 'N', 'public', '[]', '[]', '[]', '[]', false, 'active', $3, $3, 1)",
        );
        let (toys, trade) = two_organizations(&db).await;
        migration::migrate_down(&db, 40).await.unwrap();
        let places = [(toys.organization.id, OauthClientId(1)), (trade.organization.id, OauthClientId(2))];
        let people =
            [(8001, PrincipalStatus::Active), (8002, PrincipalStatus::Suspended), (8003, PrincipalStatus::Deactivated)];
        let hash = |who: PrincipalId, is_used: bool| [u8::try_from(who.0 % 100).unwrap() + u8::from(is_used) * 100; 32];
        crate::write!(db, tx => async {
            for (organization, client) in places {
                let client = [Value::Id(organization.0), Value::Id(client.0), Value::Time(NOW.0)];
                tx.execute(&CLIENT, &client).await?;
            }
            for (number, status) in people {
                let who = Principal { status, ..person(number) };
                principal::insert(tx, &who).await?;
                for (organization, client) in places {
                    let agreed = [("charter".to_owned(), "openid".to_owned())].into();
                    oauth_consent::put(tx, organization, client, who.id, &agreed, NOW).await?;
                    for is_used in [false, true] {
                        let code = OauthCode {
                            organization, client, principal: who.id, session: SessionId(1), redirect_uri: "r".to_owned(),
                            code_challenge: "c".to_owned(), scope: "openid".to_owned(), audiences: Vec::new(), nonce: None,
                            amr: "pwd".to_owned(), authenticated_at: NOW, created_at: NOW, expires_at: NOW,
                            used_at: None, begun_session: None,
                        };
                        oauth_code::insert(tx, organization, &hash(who.id, is_used), &code).await?;
                        if is_used {
                            oauth_code::take(tx, organization, &hash(who.id, true), NOW, None).await?;
                        }
                    }
                }
            }
            Ok::<_, charter_db::Error>(())
        })
        .unwrap();
        migration::migrate_up(&db, NOW).await.unwrap();
        for (number, status) in people {
            let (who, is_kept) = (PrincipalId(number), status != PrincipalStatus::Deactivated);
            for (organization, client) in places {
                let agreed = crate::read!(db, conn => oauth_consent::get(conn, organization, client, who));
                assert_eq!(agreed.is_some(), is_kept, "{status:?}");
                let unused = crate::read!(db, conn => oauth_code::get(conn, organization, &hash(who, false)));
                assert_eq!(unused.is_some(), is_kept, "{status:?}");
                let used = crate::read!(db, conn => oauth_code::get(conn, organization, &hash(who, true)));
                assert!(used.is_some(), "one that comes again still ends what it began");
            }
        }
    }
);

both_engines!(two_nodes_starting_at_once_migrate_once, async |db: TestDatabase| {
    let (a, b, c) = tokio::join!(
        migration::migrate_up(&db, NOW),
        migration::migrate_up(&db, NOW),
        migration::migrate_up(&db, NOW)
    );
    let total = a.unwrap().len() + b.unwrap().len() + c.unwrap().len();
    assert_eq!(total, migration::newest() as usize);
});

both_engines!(a_changed_migration_is_refused, async |db: TestDatabase| {
    migration::migrate_up(&db, NOW).await.unwrap();
    const CHANGE: Statement = Statement::new("update charter_migrations set checksum = 'x' where number = 3");
    crate::write!(db, tx => tx.execute(&CHANGE, &[])).unwrap();
    let error = migration::migrate_up(&db, NOW).await.unwrap_err();
    assert!(matches!(&error, MigrationError::Changed { name } if name == "0003_memberships"));
    assert!(migration::migrate_down(&db, 0).await.is_err());
    assert!(error.to_string().contains("0003_memberships differs"), "{error}");
});

both_engines!(a_database_newer_than_the_program_is_refused, async |db: TestDatabase| {
    migration::migrate_up(&db, NOW).await.unwrap();
    const ADD: Statement = Statement::new(
        "insert into charter_migrations (number, name, checksum, applied_at) \
         select 9999, '9999_later', checksum, applied_at from charter_migrations where number = 1",
    );
    crate::write!(db, tx => tx.execute(&ADD, &[])).unwrap();
    for error in
        [migration::migrate_up(&db, NOW).await.unwrap_err(), migration::states(&db).await.unwrap_err()]
    {
        assert!(matches!(&error, MigrationError::Newer { name } if name == "9999_later"), "{error}");
    }
});

both_engines!(a_secret_that_was_ended_does_not_come_back_by_the_way_down, async |db: TestDatabase| {
    migration::migrate_up(&db, NOW).await.unwrap();
    let used = |id: &str| LegacyUse::unused(id.to_owned(), 1, NOW);
    let rows = [used("0123456789ab"), LegacyUse { ended_at: Some(NOW), ..used("ba9876543210") }];
    crate::write!(db, tx => async {
        for row in &rows {
            legacy_secret::add(tx, row).await?;
        }
        setting::put(tx, "legacy_tokens", r#"{"since":1,"ended_at":null}"#, NOW).await
    })
    .unwrap();
    let refused = migration::migrate_down(&db, 37).await.unwrap_err();
    assert!(refused.to_string().contains("all_former_secrets_must_be_ended_first"), "{refused}");
    let kept =
        db.query(Scope::Installation, &Statement::new("select 1 from legacy_secrets"), &[]).await.unwrap();
    assert_eq!(kept.len(), 2);
    crate::write!(db, tx => setting::put(tx, "legacy_tokens", r#"{"since":1,"ended_at":2}"#, NOW)).unwrap();
    migration::migrate_down(&db, 37).await.unwrap();
});

both_engines!(
    what_ended_tokens_of_a_former_system_still_ends_them_after_the_way_down,
    async |db: TestDatabase| {
        migration::migrate_up(&db, NOW).await.unwrap();
        let people = [PrincipalId(1), PrincipalId(2), PrincipalId(3)];
        let later = NOW.plus_seconds(1_000);
        let floor = |who, not_before| TokenFloor {
            whose: Whose::Principal(who),
            not_before,
            reason: "theirs".to_owned(),
            set_at: not_before,
        };
        crate::write!(db, tx => async {
            for who in people {
                token_floor::end_former(tx, who, "former", NOW).await?;
            }
            token_floor::raise(tx, &floor(people[1], NOW)).await?;
            token_floor::raise(tx, &floor(people[2], later)).await
        })
        .unwrap();
        migration::migrate_down(&db, 36).await.unwrap();
        migration::migrate_up(&db, NOW).await.unwrap();
        // By a token's second, those of the one until which theirs had ended have.
        let (ended, kept) = (NOW.plus_seconds(60), NOW.plus_seconds(31 * 86_400));
        let mut found = crate::read!(db, conn => token_floor::set_since(conn, kept));
        found.sort_by_key(|floor| floor.not_before);
        let found: Vec<_> = found.into_iter().map(|floor| (floor.whose, floor.not_before)).collect();
        let just_after = Timestamp(ended.micros() + 1);
        let mut expected = vec![
            (Whose::Principal(people[0]), just_after),
            (Whose::Principal(people[1]), just_after),
            (Whose::Principal(people[2]), later),
        ];
        expected.sort_by_key(|(_, at)| *at);
        assert_eq!(found, expected);
    }
);

#[test]
fn the_list_names_every_file_once_and_in_order() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let ups: Vec<_> = names.iter().filter(|name| !name.ends_with(".down.sql")).collect();
    assert_eq!(ups.len(), migration::newest() as usize);
    for (number, up) in (1..).zip(ups) {
        assert!(up.starts_with(&format!("{number:04}_")), "{up}");
        assert!(names.contains(&up.replace(".sql", ".down.sql")), "{up} has no way down");
    }
}
