//! Secrets from a vault: what it gives, and what is said when it does not.

use charter_app::vault::provider::{KeptSecrets, SecretsProvider, Unobtained};
use charter_courier::{KvAddress, KvVault};
use charter_testkit::kv::{Kv, Mood, TOKEN};
use std::time::Duration;
use zeroize::Zeroizing;

fn address(url: &str, token: &str) -> KvAddress {
    KvAddress {
        url: url.to_owned(),
        mount: "secret".to_owned(),
        path: "charter".to_owned(),
        namespace: None,
        token: Zeroizing::new(token.to_owned()),
        authorities: None,
    }
}

fn fields(key: &str) -> String {
    format!(r#"{{"key_encryption_key":"{key}","pepper":"the pepper","note":7}}"#)
}

async fn asked(kv: &Kv, token: &str) -> Result<Vec<KeptSecrets>, Unobtained> {
    let patience = Duration::from_secs(2);
    KvVault::with_patience(address(&kv.url(), token), patience).unwrap().secrets().await
}

fn keys(told: &[KeptSecrets]) -> Vec<(u64, &str)> {
    told.iter().map(|it| (it.version, it.key_encryption_key.as_ref().unwrap().as_str())).collect()
}

#[tokio::test]
async fn the_newest_version_comes_first_and_those_that_were_deleted_not_at_all() {
    let kv = Kv::start(vec![Some(fields("one")), None, Some(fields("three"))]);
    let told = asked(&kv, TOKEN).await.unwrap();
    assert_eq!(keys(&told), [(3, "three"), (1, "one")]);
    assert_eq!(told[0].pepper.as_ref().unwrap().as_str(), "the pepper");
    assert!(!format!("{told:?}").contains("three"), "a secret is no part of what is printed");
    kv.write(&fields("four"));
    assert_eq!(keys(&asked(&kv, TOKEN).await.unwrap()), [(4, "four"), (3, "three"), (1, "one")]);
    kv.behave(Mood::HidesVersions);
    assert_eq!(keys(&asked(&kv, TOKEN).await.unwrap()), [(4, "four")]);
    assert!(kv.requests().iter().all(|line| !line.contains(TOKEN)), "the token travels in a header");
}

#[tokio::test]
async fn what_a_vault_refuses_is_told_with_what_to_do() {
    let kv = Kv::start(vec![Some(fields("one"))]);
    let Err(Unobtained::Refused(why)) = asked(&kv, "hvs.wrong").await else { panic!("let in") };
    assert!(why.contains("does not let this token read") && why.contains("secret/metadata/charter"), "{why}");
    assert!(!why.contains("hvs."), "{why}");
    let empty = Kv::start(Vec::new());
    let Err(Unobtained::Refused(why)) = asked(&empty, TOKEN).await else { panic!("made up") };
    assert!(why.contains("has no secret") && why.contains("nothing is generated"), "{why}");
    let deleted = Kv::start(vec![Some(fields("one")), None]);
    let Err(Unobtained::Refused(why)) = asked(&deleted, TOKEN).await else { panic!("an older one") };
    assert!(why.contains("newest version was deleted"), "{why}");
    kv.behave(Mood::Redirects);
    let Err(Unobtained::Refused(why)) = asked(&kv, TOKEN).await else { panic!("followed") };
    assert!(why.contains("the token is not carried there"), "{why}");
}

#[tokio::test]
async fn a_vault_that_is_sealed_slow_or_gone_may_answer_later() {
    let kv = Kv::start(vec![Some(fields("one"))]);
    kv.behave(Mood::Sealed);
    let Err(Unobtained::Unavailable(why)) = asked(&kv, TOKEN).await else { panic!("open") };
    assert!(why.contains("503") && why.contains("Vault is sealed"), "{why}");
    kv.behave(Mood::Hangs);
    let patience = Duration::from_millis(200);
    let vault = KvVault::with_patience(address(&kv.url(), TOKEN), patience).unwrap();
    let Err(Unobtained::Unavailable(why)) = vault.secrets().await else { panic!("answered") };
    assert!(why.contains("did not answer in time"), "{why}");
    let url = kv.url();
    drop(kv);
    let Err(Unobtained::Unavailable(why)) = KvVault::new(address(&url, TOKEN)).unwrap().secrets().await
    else {
        panic!("answered")
    };
    assert!(why.contains("could not be reached"), "{why}");
}

#[tokio::test]
async fn an_answer_of_another_kind_is_no_secret() {
    let kv = Kv::start(vec![Some(fields("one"))]);
    for said in [
        "",
        "no json",
        "[]",
        "{}",
        r#"{"data":{"key_encryption_key":"version 1 of the engine has no versions"}}"#,
        r#"{"data":{"data":{"key_encryption_key":7},"metadata":{"version":1}}}"#,
        r#"{"data":{"data":{},"metadata":{"version":"one"}}}"#,
        &format!(r#"{{"data":"{}"}}"#, "x".repeat(400_000)),
    ] {
        kv.behave(Mood::Says(said.to_owned()));
        let told = asked(&kv, TOKEN).await;
        assert!(matches!(told, Err(Unobtained::Refused(_))), "{}", &said[..said.len().min(80)]);
    }
    for (mount, path) in
        [("secret", "../../sys/seal"), ("", "charter"), ("secret", "a//b"), ("secret", "a?b")]
    {
        let wrong = KvAddress { mount: mount.to_owned(), path: path.to_owned(), ..address(&kv.url(), TOKEN) };
        assert!(KvVault::new(wrong).is_err(), "{mount}/{path}");
    }
    let mut strange = address(&kv.url(), TOKEN);
    strange.authorities = Some(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n".to_vec());
    assert!(KvVault::new(strange).is_err());
}
