//! The vault by hand: looking, rotating, keys that are missing, weak, wrong or kept elsewhere; and that no secret is written down.

use crate::program::{Place, set_mode};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use charter_testkit::kv::{Kv, Mood, TOKEN};
use charter_testkit::receiver::{Receiver, Reception};
use serde_json::Value;
use std::time::Duration;

const KEY: &str = "3q2+7wABkL0Vt5u9ZxCw1YpQmR8sN4hJ6gFdKbTeU0o=";
const NEXT: &str = "9tB0mYcVw7Qx2eLr5Zk1Hs8Jd3Ng6Pf4Ua0Ti9Oo2Xw=";
const PEPPER: &str = "Zm9XbGq1r8TtY2vKc7Hs5Np0Jd4Qx6Ew9Ul3Ai8Bo1M=";
const OLD_PASSWORD: &str = "correct horse battery";
const NEW_PASSWORD: &str = "staple the horse to it";

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {value:#}"))
}

#[test]
fn a_key_is_rotated_while_no_service_runs_and_a_service_goes_on_with_it() {
    let place = Place::new();
    assert_eq!(place.serve(&[]).stop(), 0);
    let plan = place.run(&["vault", "rotate", "--dry-run"]).ended(0);
    assert!(plan.out.contains("vault key 2 would be made"), "{}", plan.out);
    let status = place.run(&["vault", "status"]).ended(0);
    for part in [
        "seals new keys",
        "vault key 1: active",
        "signing_keys.sealed_private: 1 by vault key 1",
        "pepper 1: active",
    ] {
        assert!(status.out.contains(part), "{part} is missing: {}", status.out);
    }
    let run = place.run(&["vault", "rotate", "--keep-seconds", "3600"]).ended(0);
    assert!(
        run.out.contains("vault key 2 is made") && run.out.contains("everything is sealed by the new key"),
        "{}",
        run.out
    );
    assert!(run.err.contains("values are sealed by vault key 2"), "{}", run.err);
    let status = place.run(&["vault", "status"]).ended(0);
    assert!(
        status.out.contains("vault key 2: active") && status.out.contains("vault key 1: retired"),
        "{}",
        status.out
    );
    let nothing = place.run(&["vault", "encrypt-existing"]).ended(0);
    assert!(nothing.out.contains("0 values are sealed by the vault, 0 are left"), "{}", nothing.out);
    // That there was nothing to do was an error.
    for dry in [&["--dry-run"][..], &[]] {
        let again = place.run(&[&["vault", "rotate", "--rewrap-only"][..], dry].concat()).ended(0);
        assert!(again.out.contains("nothing to do: every key"), "{}", again.out);
    }
    let server = place.serve(&[]);
    until("the service says that it runs", || {
        let plan = place.run(&["keys", "rotate", "--dry-run"]).ended(0);
        plan.out.contains("has read the keys as they are now").then_some(())
    });
    place.run(&["keys", "rotate"]).ended(0);
    assert_eq!(server.stop(), 0);
    let plan = place.run(&["keys", "rotate", "--dry-run"]).ended(0);
    assert!(plan.out.contains("no node runs"), "{}", plan.out);
}

// Attack 116.
#[test]
fn a_missing_weak_or_wrong_key_keeps_the_service_from_starting_and_makes_no_other() {
    let place = Place::new();
    let serve = |variables: &[(&str, &str)]| place.run_with(&["serve", "--listen", "127.0.0.1:0"], variables);
    for (weak, said) in [
        ("changeme", "looks like a placeholder"),
        ("please-changeme-please-changeme-please", "looks like a placeholder"),
        ("k7Gq2mZ9xV4tB1nR", "16 characters"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "repeats itself"),
    ] {
        for name in ["CHARTER_KEY_ENCRYPTION_KEY", "CHARTER_PEPPER"] {
            let run = serve(&[(name, weak)]).ended(2);
            assert!(run.err.contains(said) && run.err.contains("openssl rand"), "{name} {weak}: {}", run.err);
            assert!(!run.err.contains(weak), "{}", run.err);
        }
    }
    let same = serve(&[("CHARTER_KEY_ENCRYPTION_KEY", KEY), ("CHARTER_PEPPER", KEY)]).ended(2);
    assert!(same.err.contains("same secret"), "{}", same.err);
    let historical = [("CHARTER_KEY_ENCRYPTION_KEY", KEY), ("CHARTER_KEY_ENCRYPTION_KEY_PREVIOUS", KEY)];
    let run = serve(&historical).ended(2);
    assert!(run.err.contains("holds the key that key_encryption_key is now"), "{}", run.err);
    let file = place.write("key", KEY);
    set_mode(&file, 0o644);
    let run = serve(&[("CHARTER_KEY_ENCRYPTION_KEY_FILE", &file.display().to_string())]).ended(2);
    assert!(run.err.contains("mode 0644") && run.err.contains("chmod 600"), "{}", run.err);

    // Once there is something sealed, a key that is gone is not made anew.
    place.run(&["organizations", "create", "--key", "toys", "--name", "Toys"]).ended(0);
    for name in ["key-encryption-key", "pepper"] {
        let path = place.path("charter-data/secrets").join(name);
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let run = serve(&[]).ended(2);
        assert!(
            run.err.contains("put it back from a backup") && run.err.contains("Nothing was generated"),
            "{}",
            run.err
        );
        assert!(!path.exists());
        std::fs::write(&path, kept).unwrap();
        set_mode(&path, 0o600);
    }
    let run = serve(&[("CHARTER_KEY_ENCRYPTION_KEY", KEY)]).ended(2);
    assert!(run.err.contains("vault key 1 is sealed by key-encryption key"), "{}", run.err);
    let run = serve(&[("CHARTER_PEPPER", PEPPER)]).ended(2);
    assert!(run.err.contains("pepper of the configuration is not the one"), "{}", run.err);
    place.run(&["vault", "status"]).ended(0);
}

#[test]
fn keys_come_from_a_vault_and_its_versions_are_the_versions_of_the_key() {
    let fields = |key: &str| format!(r#"{{"key_encryption_key":"{key}","pepper":"{PEPPER}"}}"#);
    let (place, kv) = (Place::new(), Kv::start(vec![Some(fields(KEY))]));
    let url = kv.url();
    let variables = [("CHARTER_VAULT_URL", url.as_str()), ("CHARTER_VAULT_TOKEN", TOKEN)];
    assert_eq!(place.serve_with(&[], &variables).stop(), 0);
    assert!(!place.path("charter-data/secrets").exists(), "nothing was generated");
    kv.write(&fields(NEXT));
    let status = place.run_with(&["vault", "status"], &variables).ended(0);
    assert!(status.out.contains("still needed: it sealed vault keys 1"), "{}", status.out);
    place.run_with(&["vault", "rotate", "--rewrap-only"], &variables).ended(0);
    let status = place.run_with(&["vault", "status"], &variables).ended(0);
    assert!(status.out.contains("no longer needed"), "{}", status.out);

    // Attack 116: a key of the past is no new one, wherever the past is written down.
    let past = [variables[0], variables[1], ("CHARTER_KEY_ENCRYPTION_KEY_PREVIOUS", NEXT)];
    let run = place.run_with(&["vault", "status"], &past).ended(2);
    assert!(run.err.contains("key_encryption_key_previous holds as one from before"), "{}", run.err);
    kv.write(&fields(KEY));
    let run = place.run_with(&["vault", "status"], &variables).ended(2);
    assert!(run.err.contains("an older version of the secret holds as one from before"), "{}", run.err);

    let wrong = [("CHARTER_VAULT_URL", url.as_str()), ("CHARTER_VAULT_TOKEN", "hvs.wrong")];
    let run = place.run_with(&["vault", "status"], &wrong).ended(2);
    assert!(run.err.contains("does not let this token read"), "{}", run.err);
    kv.behave(Mood::Sealed);
    let run = place.run_with(&["vault", "status"], &variables).ended(2);
    assert!(run.err.contains("is it sealed?"), "{}", run.err);
    kv.behave(Mood::Open);
    kv.write(r#"{"key_encryption_key":"changeme","pepper":"changeme"}"#);
    let run = place.run_with(&["vault", "status"], &variables).ended(2);
    assert!(run.err.contains("key_encryption_key in the vault is weak"), "{}", run.err);
    kv.write(&format!(r#"{{"pepper":"{PEPPER}"}}"#));
    let run = place.run_with(&["vault", "status"], &variables).ended(2);
    assert!(
        run.err.contains("has no key_encryption_key") && run.err.contains("nothing is generated"),
        "{}",
        run.err
    );
    let run = place.run_with(&["vault", "status"], &variables[..1]).ended(2);
    assert!(run.err.contains("no token is set"), "{}", run.err);
    let both = [variables[0], variables[1], ("CHARTER_PEPPER", PEPPER)];
    let run = place.run_with(&["vault", "status"], &both).ended(2);
    assert!(run.err.contains("`pepper` is set as well"), "{}", run.err);
}

// What key_encryption_key_previous held was read and not used.
#[test]
fn an_installation_that_moves_into_a_vault_takes_its_former_key_with_it() {
    let place = Place::new();
    let own = [("CHARTER_KEY_ENCRYPTION_KEY", KEY), ("CHARTER_PEPPER", PEPPER)];
    assert_eq!(place.serve_with(&[], &own).stop(), 0);
    let kv = Kv::start(vec![Some(format!(r#"{{"key_encryption_key":"{NEXT}","pepper":"{PEPPER}"}}"#))]);
    let url = kv.url();
    let moved = [
        ("CHARTER_VAULT_URL", url.as_str()),
        ("CHARTER_VAULT_TOKEN", TOKEN),
        ("CHARTER_KEY_ENCRYPTION_KEY_PREVIOUS", KEY),
    ];
    place.run_with(&["vault", "status"], &moved[..2]).ended(2);
    let status = place.run_with(&["vault", "status"], &moved).ended(0);
    assert!(status.out.contains("still needed: it sealed vault keys 1"), "{}", status.out);
    place.run_with(&["vault", "rotate", "--rewrap-only"], &moved).ended(0);
    place.run_with(&["vault", "status"], &moved[..2]).ended(0);
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what}");
}

/// Every file below a folder.
fn files(path: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The forms in which bytes may stand somewhere.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    let tail = secret.rsplit(['_', '#']).next().unwrap_or(secret);
    for decoded in [STANDARD.decode(tail), URL_SAFE_NO_PAD.decode(tail)].into_iter().flatten() {
        if decoded.len() >= 16 {
            let hex: String = decoded.iter().map(|byte| format!("{byte:02x}")).collect();
            forms.push(hex.into_bytes());
            forms.push(decoded);
        }
    }
    forms
}

fn letter(place: &Place) -> Option<String> {
    let mut found = Vec::new();
    files(&place.path("charter-data"), &mut found);
    let texts = found.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let link = texts.into_iter().find_map(|text| Some(text.split_once("/reset-password#")?.1.to_owned()))?;
    Some(link.split_whitespace().next()?.to_owned())
}

// Attacks 24 and 120: everything the service printed and stored, with the log at its most talkative, after everything that hands out
// secrets was done.
#[test]
fn nothing_that_was_printed_or_stored_holds_a_secret_that_was_handed_out() {
    let (place, receiver) = (Place::new(), Receiver::start(Reception::Answers(200)));
    let server =
        place.serve_with(&[], &[("CHARTER_LOG", "trace"), ("CHARTER_WEBHOOK_NETWORKS", "127.0.0.1")]);
    place.run(&["organizations", "create", "--key", "toys", "--name", "Toys"]).ended(0);
    place.run(&["members", "add", "--org", "toys", "--login", "ann@toys.example"]).ended(0);
    place.run(&["members", "add", "--org", "toys", "--login", "robot", "--kind", "service_account"]).ended(0);
    place
        .run(&[
            "assignments",
            "assign",
            "--org",
            "toys",
            "--role",
            "org_admin",
            "--subject",
            "member:ann@toys.example",
        ])
        .ended(0);
    place.feed(&["password", "set", "ann@toys.example"], &format!("{OLD_PASSWORD}\n")).ended(0);
    let login = |password: &str| {
        place
            .feed(
                &["auth", "login", "--org", "toys", "--login", "ann@toys.example", "--json"],
                &format!("{password}\n"),
            )
            .ended(0)
            .json()
    };
    let session = login(OLD_PASSWORD);
    let mut secrets: Vec<String> = vec![OLD_PASSWORD.to_owned(), NEW_PASSWORD.to_owned()];
    for field in ["/access_token", "/refresh_token"] {
        secrets.push(text(&session, field).to_owned());
    }
    let here = [("CHARTER_TOKEN", text(&session, "/access_token")), ("CHARTER_ORGANIZATION", "toys")];
    let key = place.run_with(&["api-keys", "create", "--name", "erp", "--json"], &here).ended(0).json();
    secrets.push(text(&key, "/token").to_owned());
    let used = [("CHARTER_TOKEN", text(&key, "/token"))];
    place.run_with(&["me", "show"], &used).ended(0);
    let url = format!("http://127.0.0.1:{}/hook?token=of-the-receiver", receiver.port());
    let hook = ["webhooks", "create", "--name", "erp", "--body-url", &url, "--events", "member.*", "--json"];
    let hook = place.run_with(&hook, &here).ended(0).json();
    secrets.push(text(&hook, "/secret").to_owned());
    place.run_with(&["members", "add", "--login", "bob@toys.example"], &here).ended(0);
    until("the event arrives", || (!receiver.requests().is_empty()).then_some(()));
    let refreshed = place
        .run(&["auth", "refresh", "--refresh-token", text(&session, "/refresh_token"), "--json"])
        .ended(0)
        .json();
    secrets.push(text(&refreshed, "/access_token").to_owned());
    secrets.push(text(&refreshed, "/refresh_token").to_owned());
    // What is refused is no reason to write it down.
    place.feed(&["auth", "login", "--login", "ann@toys.example"], "a wrong horse of mine\n").ended(2);
    secrets.push("a wrong horse of mine".to_owned());
    let damaged = text(&key, "/token").replace("chk_", "chs_");
    place.run_with(&["me", "show"], &[("CHARTER_TOKEN", &damaged)]).ended(2);
    secrets.push(damaged);
    place.run(&["auth", "forgot-password", "--email", "ann@toys.example"]).ended(0);
    let code = until("the letter is written", || letter(&place));
    place.feed(&["auth", "reset-password", "--token", &code], &format!("{NEW_PASSWORD}\n")).ended(0);
    secrets.push(code);
    secrets.push(text(&login(NEW_PASSWORD), "/access_token").to_owned());
    let rotated = place.run(&["vault", "rotate", "--no-wait"]).ended(0);
    let trail = place.run(&["audit", "list", "--org", "toys", "--all", "--json"]);
    let platform = place.run(&["audit", "list", "--org", "platform", "--all", "--json"]);
    assert_eq!(server.stop(), 0);
    for name in ["operator-token", "secrets/key-encryption-key", "secrets/pepper"] {
        secrets
            .push(std::fs::read_to_string(place.path("charter-data").join(name)).unwrap().trim().to_owned());
    }

    let mut stored = Vec::new();
    files(&place.path("charter-data"), &mut stored);
    let is_database =
        |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("charter.db");
    let mut written: Vec<(String, Vec<u8>)> = stored
        .iter()
        .filter(|path| is_database(path))
        .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
        .collect();
    assert!(!written.is_empty());
    let log = std::fs::read(place.path("log")).unwrap();
    assert!(String::from_utf8_lossy(&log).contains("TRACE"), "the log was at its most talkative");
    written.push(("the log".to_owned(), log));
    for (what, run) in
        [("rotate", rotated), ("the trail of toys", trail), ("the trail of the platform", platform)]
    {
        written.push((what.to_owned(), [run.out.into_bytes(), run.err.into_bytes()].concat()));
    }
    let mut found = Vec::new();
    for secret in &secrets {
        for form in forms(secret) {
            for (place, bytes) in &written {
                if bytes.windows(form.len()).any(|part| part == form) {
                    found.push(format!("{place} holds {secret}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
