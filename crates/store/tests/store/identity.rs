//! Sessions, credentials, signing keys, idempotency, settings and set-up codes.

use charter_db::Error;
use charter_kernel::*;
use charter_store::credential::{self, Credential, HashAlgorithm};
use charter_store::idempotency::{self, Answer};
use charter_store::legacy_secret::{self, LegacyUse};
use charter_store::session::{self, Session};
use charter_store::signing_key::{self, KeyState, SigningKey};
use charter_store::{setting, setup_code};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;

use crate::filling::*;
use crate::world::*;

fn session(id: u128, principal: u128) -> Session {
    Session {
        id: SessionId(id),
        principal: PrincipalId(principal),
        organization: (id % 2 == 1).then_some(OrganizationId(1000)),
        amr: "pwd otp".to_owned(),
        authenticated_at: NOW,
        created_at: NOW,
        expires_at: at(1000),
        idle_expires_at: at(100),
        ended_at: None,
        end_reason: None,
        refresh_counter: 0,
        refreshed_at: None,
        address: Some("::1".to_owned()),
        user_agent: None,
        cookie_hash: None,
        cookie_pepper: None,
        support: None,
        client: None,
        scope: None,
        audiences: Vec::new(),
        parent: None,
    }
}

both_engines!(a_session_is_refreshed_by_its_newest_counter_only, async |db: TestDatabase| {
    migrated(&db).await;
    crate::write!(db, tx => async {
        for one in [session(1, 7), session(2, 7), session(3, 8)] {
            session::insert(tx, &one).await?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(crate::read!(db, conn => session::get(conn, SessionId(1))), Some(session(1, 7)));
    let refresh = async |counter: u64, seconds: i64| {
        crate::write!(db, tx => session::refresh(tx, SessionId(1), counter, at(seconds), at(seconds + 100), at(1000)))
            .unwrap()
    };
    assert_eq!(refresh(0, 10).await, Some(1));
    assert_eq!(refresh(0, 11).await, None, "used already");
    assert_eq!(refresh(1, 110).await, None, "idle for too long");
    let found = crate::read!(db, conn => session::get(conn, SessionId(1))).unwrap();
    assert!(found.is_live(at(109)) && !found.is_live(at(110)));
    let page = crate::read!(db, conn => {
        session::of_principal(conn, PrincipalId(7), (Timestamp::MIN, SessionId(0)), 1)
    });
    assert_eq!((page.rows.len(), page.more), (1, true));
    assert!(crate::write!(db, tx => session::end(tx, SessionId(2), "logout", at(3))).unwrap());
    assert!(!crate::write!(db, tx => session::end(tx, SessionId(2), "again", at(4))).unwrap());
    let ended =
        crate::write!(db, tx => session::end_of_principal(tx, PrincipalId(7), "disabled", at(5))).unwrap();
    assert_eq!(ended, [SessionId(1)]);
    let found = crate::read!(db, conn => session::get(conn, SessionId(2))).unwrap();
    assert_eq!((found.end_reason.as_deref(), found.ended_at), (Some("logout"), Some(at(3))));
    assert_eq!(refresh(1, 20).await, None, "ended");
    assert_eq!(crate::write!(db, tx => session::purge(tx, at(1001), at(0))).unwrap(), 3);
});

fn credential(id: u128) -> Credential {
    Credential {
        organization: OrganizationId(1000),
        id: CredentialId(id),
        principal: PrincipalId(1001),
        kind: 's',
        key_id: format!("key{id}"),
        alg: HashAlgorithm::Hmac,
        pepper_version: Some(1),
        hash: vec![id as u8; 32],
        name: "robot".to_owned(),
        scopes: Some(vec!["sales.*.read".to_owned()]),
        addresses: None,
        window: Window::new(None, Some(at(9))).unwrap(),
        revoked_at: None,
        revoked_by: None,
        revoke_reason: None,
        successor_of: None,
        overlap_until: None,
        created_by: Some(PrincipalId(1002)),
        created_at: NOW,
        last_used_at: None,
        last_used_address: None,
        use_count: 0,
        row_version: 1,
        requests_per_minute: Some(60),
        upgraded_hash: None,
        quarantined_at: None,
        notice_days: None,
    }
}

both_engines!(a_credential_is_found_by_key_id_and_revoked_for_good, async |db: TestDatabase| {
    let (toys, _) = two_organizations(&db).await;
    let organization = toys.organization.id;
    crate::write!(db, tx => async {
        credential::insert(tx, &credential(1)).await?;
        credential::insert(tx, &credential(2)).await
    })
    .unwrap();
    assert_eq!(crate::read!(db, conn => credential::by_key_id(conn, "key1")), Some(credential(1)));
    assert_eq!(crate::read!(db, conn => credential::by_key_id(conn, "key9")), None);
    let mut twin = credential(3);
    twin.key_id = "key1".to_owned();
    let error = crate::write!(db, tx => credential::insert(tx, &twin)).unwrap_err();
    assert!(
        matches!(&error, Error::Unique { constraint } if constraint == "credential_keys_pkey"),
        "{error}"
    );
    crate::write!(db, tx => async {
        let id = CredentialId(1);
        assert!(credential::note_use(tx, organization, id, at(1), Some("10.1.1.1"), 5).await?);
        assert!(credential::set_overlap(tx, organization, id, at(8)).await?);
        assert!(credential::upgrade(tx, organization, id, &[9], 2).await?);
        assert!(credential::set_quarantine(tx, organization, id, Some(at(3))).await?);
        assert!(credential::note_notice(tx, organization, id, 30).await?);
        assert!(credential::note_notice(tx, organization, id, 7).await?);
        assert!(!credential::note_notice(tx, organization, id, 30).await?, "told that before");
        assert!(credential::revoke(tx, organization, id, None, "leaked", at(2)).await?);
        assert!(!credential::revoke(tx, organization, id, None, "again", at(3)).await?);
        assert!(!credential::set_overlap(tx, organization, id, at(8)).await?, "revoked is for good");
        Ok(())
    })
    .unwrap();
    let found = crate::read!(db, conn => credential::get(conn, organization, CredentialId(1))).unwrap();
    assert_eq!((found.use_count, found.last_used_at, found.row_version), (5, Some(at(1)), 5));
    assert_eq!((found.pepper_version, found.upgraded_hash), (Some(2), Some(vec![9])));
    assert_eq!((found.alg, found.hash), (HashAlgorithm::Hmac, vec![1; 32]), "the hash it came with stays");
    assert_eq!((found.quarantined_at, found.notice_days), (Some(at(3)), Some(7)));
    assert_eq!((found.revoked_at, found.revoke_reason.as_deref()), (Some(at(2)), Some("leaked")));
    let of = crate::read!(db, conn => credential::of_principal(conn, organization, PrincipalId(1001)));
    assert_eq!(of.len(), 2);
    let page = crate::read!(db, conn => credential::page(conn, organization, CredentialId(1), 5));
    assert_eq!(page.rows, [credential(2)]);
    let changed = Credential { name: "other".to_owned(), requests_per_minute: None, ..credential(2) };
    let written = changed.clone();
    assert!(crate::write!(db, tx => credential::update(tx, &written)).unwrap());
    let page = crate::read!(db, conn => credential::page_of_principal(conn, organization, PrincipalId(1001), CredentialId(1), 5));
    assert_eq!(page.rows, [Credential { row_version: 2, ..changed }]);
    let ending = crate::read!(db, conn => credential::expiring(conn, at(8), at(9)));
    assert_eq!(ending.len(), 1, "the revoked one ends no more");
    let gone = crate::write!(db, tx => {
        credential::revoke_of_principal(tx, organization, PrincipalId(1001), Some(PrincipalId(1)), "left", at(4))
    });
    assert_eq!(gone.unwrap(), [CredentialId(2)]);
});

fn signing_key(kid: &str, state: KeyState) -> SigningKey {
    SigningKey {
        kid: kid.to_owned(),
        purpose: "access".to_owned(),
        alg: "EdDSA".to_owned(),
        state,
        public_key: vec![1, 2],
        sealed_private: Some(vec![3, 4]),
        created_at: NOW,
        published_at: NOW,
        activates_at: at(60),
        retired_at: None,
        removed_at: None,
        revoked_at: None,
        revoke_reason: None,
    }
}

both_engines!(one_key_signs_at_a_time_and_a_retired_one_loses_its_private_part, async |db: TestDatabase| {
    migrated(&db).await;
    crate::write!(db, tx => async {
        signing_key::insert(tx, &signing_key("k1", KeyState::Active)).await?;
        signing_key::insert(tx, &signing_key("k2", KeyState::Pending)).await
    })
    .unwrap();
    let error = crate::write!(db, tx => signing_key::activate(tx, "k2", at(1))).unwrap_err();
    assert!(matches!(&error, Error::Unique { constraint } if constraint == "signing_keys_active"), "{error}");
    crate::write!(db, tx => async {
        assert!(signing_key::retire(tx, "k1", at(1)).await?);
        assert!(signing_key::activate(tx, "k2", at(61)).await?);
        Ok(())
    })
    .unwrap();
    let old = crate::read!(db, conn => signing_key::get(conn, "k1")).unwrap();
    assert_eq!(
        (old.state, old.sealed_private.clone(), old.retired_at),
        (KeyState::Retiring, None, Some(at(1)))
    );
    assert!(crate::write!(db, tx => signing_key::remove(tx, "k1", at(2))).unwrap());
    assert!(!crate::write!(db, tx => signing_key::remove(tx, "k2", at(2))).unwrap(), "it still signs");
    assert!(crate::write!(db, tx => signing_key::revoke(tx, "k2", "lost", at(3))).unwrap());
    let all = crate::read!(db, conn => signing_key::of_lineage(conn, "access", "EdDSA"));
    let states: Vec<_> = all.iter().map(|key| (key.kid.as_str(), key.state)).collect();
    assert_eq!(states, [("k1", KeyState::Retired), ("k2", KeyState::Revoked)]);
    assert_eq!(crate::read!(db, conn => signing_key::list(conn)), all);
    assert_eq!(all[1].sealed_private, None);
    assert!(!format!("{:?}", signing_key("k3", KeyState::Active)).contains("[3, 4]"));
});

both_engines!(an_answer_is_kept_for_its_caller_and_key, async |db: TestDatabase| {
    let (toys, trade) = two_organizations(&db).await;
    let (organization, other) = (toys.organization.id, trade.organization.id);
    let answer = Answer {
        request_hash: vec![1; 32],
        status: 201,
        response: "{ \"id\": 1 }".to_owned(),
        created_at: NOW,
    };
    let (kept, again) = (answer.clone(), answer.clone());
    crate::write!(db, tx => idempotency::insert(tx, organization, "ann", "k", &kept)).unwrap();
    assert_eq!(crate::read!(db, conn => idempotency::get(conn, organization, "ann", "k")), Some(answer));
    assert_eq!(crate::read!(db, conn => idempotency::get(conn, organization, "bob", "k")), None);
    assert_eq!(crate::read!(db, conn => idempotency::get(conn, other, "ann", "k")), None);
    let error =
        crate::write!(db, tx => idempotency::insert(tx, organization, "ann", "k", &again)).unwrap_err();
    assert!(
        matches!(&error, Error::Unique { constraint } if constraint == "idempotency_keys_pkey"),
        "{error}"
    );
    assert_eq!(crate::write!(db, tx => idempotency::purge(tx, organization, NOW)).unwrap(), 0);
    assert_eq!(crate::write!(db, tx => idempotency::purge(tx, organization, at(1))).unwrap(), 1);
});

both_engines!(settings_and_set_up_codes, async |db: TestDatabase| {
    migrated(&db).await;
    crate::write!(db, tx => async {
        assert!(setting::insert(tx, "b", "1", NOW).await?);
        assert!(!setting::insert(tx, "b", "2", NOW).await?);
        setting::put(tx, "a", "\"x\"", NOW).await?;
        setting::put(tx, "a", "\"y\"", NOW).await?;
        setup_code::replace(tx, &[1], NOW, at(10)).await?;
        setup_code::replace(tx, &[2], NOW, at(10)).await
    })
    .unwrap();
    let all = crate::read!(db, conn => setting::list(conn));
    assert_eq!(all, [("a".to_owned(), "\"y\"".to_owned()), ("b".to_owned(), "1".to_owned())]);
    assert!(crate::write!(db, tx => setting::delete(tx, "a")).unwrap());
    assert_eq!(crate::read!(db, conn => setting::get(conn, "a")), None);
    assert_eq!(crate::read!(db, conn => setting::get(conn, "b")), Some("1".to_owned()));

    assert!(!crate::write!(db, tx => setup_code::use_up(tx, &[1], at(1))).unwrap(), "replaced");
    assert!(!crate::write!(db, tx => setup_code::use_up(tx, &[2], at(10))).unwrap(), "over");
    assert!(!crate::read!(db, conn => setup_code::any_used(conn)));
    assert!(crate::write!(db, tx => setup_code::use_up(tx, &[2], at(9))).unwrap());
    assert!(!crate::write!(db, tx => setup_code::use_up(tx, &[2], at(9))).unwrap(), "used");
    assert!(crate::read!(db, conn => setup_code::any_used(conn)));
});

both_engines!(
    /// One that was ended between the look at it and this would have verified tokens again, once it was back in the file.
    a_former_secret_that_was_ended_is_not_forgotten,
    async |db: TestDatabase| {
        migrated(&db).await;
        let left = crate::write!(db, tx => async {
            for id in ["0123456789ab", "ba9876543210"] {
                legacy_secret::add(tx, &LegacyUse::unused(id.to_owned(), 1, NOW)).await?;
            }
            assert!(legacy_secret::end(tx, "ba9876543210", NOW).await?);
            assert!(legacy_secret::forget(tx, "0123456789ab").await?);
            assert!(!legacy_secret::forget(tx, "ba9876543210").await?);
            legacy_secret::list(tx).await
        });
        let left = left.unwrap();
        let left: Vec<_> = left.iter().map(|it| (it.id.as_str(), it.ended_at)).collect();
        assert_eq!(left, [("ba9876543210", Some(NOW))]);
    }
);
