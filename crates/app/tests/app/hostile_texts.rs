//! Every reader of text from outside, fed with bent and rotten texts: it never panics, and what it takes it takes again as it
//! prints it. `charter_testkit::hostile` says how to go on for longer.

use crate::world::open;
use charter_app::identity::adopted_hash::AdoptedHash;
use charter_app::identity::oauth::scope::Scope;
use charter_app::identity::passkey::{MadeCredential, UsedCredential};
use charter_app::identity::{credential_text, legacy_secret, totp};
use charter_app::{Caller, policy_document, text};
use charter_kernel::{Key, Pattern, PermissionCode, PrincipalId, Timestamp};
use charter_policy::condition::AddressRange;
use charter_testkit::database::sqlite;
use charter_testkit::hostile::texts;
use std::fmt::{Debug, Display};
use std::str::FromStr;

const CASES: u32 = 3_000;

/// What is read is read again from what it prints.
fn reads_back<T: FromStr + Display + PartialEq + Debug>(seeds: &[&str]) {
    for text in texts(seeds, CASES) {
        let Ok(read) = text.parse::<T>() else { continue };
        let printed = read.to_string();
        assert_eq!(printed.parse::<T>().ok(), Some(read), "{text:?} is printed {printed:?}");
    }
}

#[test]
fn words_of_the_kernel() {
    reads_back::<Key>(&["toys", "soft-toys_2", "a"]);
    reads_back::<PermissionCode>(&["finance.invoices.approve", "crm.leads.read"]);
    reads_back::<Pattern>(&["finance.*.read", "*.*.*", "crm.leads.*"]);
    reads_back::<PrincipalId>(&["01890000-0000-7000-8000-000000000001", "01890000000070008000000000000001"]);
    reads_back::<Timestamp>(&[
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:00:00.123456+05:30",
        "-9999-12-31T23:59:59Z",
    ]);
}

#[test]
fn blocks_of_addresses() {
    // Found by these texts: eight to some programs, ten to others.
    for octal in ["010.0.0.0/8", "192.0.02.0/24", "10.0.0.00/8"] {
        assert!(AddressRange::parse(octal).is_err(), "{octal}");
    }
    for text in texts(&["192.0.2.0/24", "2001:db8::/32", "::ffff:192.0.2.1", "10.0.0.1"], CASES) {
        if let Ok(range) = AddressRange::parse(&text) {
            let inside = text.split('/').next().unwrap().trim().parse().unwrap();
            assert!(range.contains(inside), "{text:?} does not contain its own address");
        }
    }
}

#[test]
fn logins_names_and_attributes() {
    let seeds = [
        "ann@toys.example",
        "Ann.Baker+x@Toys.Example",
        "名前@例え.jp",
        "robot-7",
        "\u{ff41}nn@toys.example",
    ];
    for typed in texts(&seeds, CASES) {
        if let Ok(login) = text::login("login", &typed) {
            assert_eq!(text::login("login", &login).as_deref(), Ok(login.as_str()), "{typed:?}");
            assert!(!login.chars().any(|c| c.is_control() || c.is_whitespace()), "{typed:?}");
        }
        if let Ok(address) = text::email("email", &typed) {
            assert_eq!(text::fold_login(&typed), address, "{typed:?}");
        }
        if let Ok(name) = text::name("name", &typed) {
            assert!(!name.chars().any(char::is_control), "{typed:?}");
        }
        let _ = text::reason("reason", &typed);
    }
    for typed in texts(&[r#"{"level":3,"tags":["a","b"],"deep":{"x":null}}"#, "{}", "[1]"], CASES) {
        if let Ok(kept) = text::json_object("attributes", &typed) {
            assert_eq!(text::json_object("attributes", &kept).ok(), Some(kept.clone()), "{typed:?}");
        }
    }
}

/// Attack 65 with whatever one can think of: nothing is read that costs more than the ceilings.
#[test]
fn password_hashes_of_other_systems() {
    let vectors: Vec<serde_json::Value> = include_str!("../../src/identity/adopted_hash/vectors.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seeds: Vec<&str> = vectors.iter().map(|vector| vector["hash"].as_str().unwrap()).collect();
    let mut taken = 0;
    for text in texts(&seeds, 4 * CASES) {
        if let Ok(read) = AdoptedHash::parse(&text) {
            assert_eq!(AdoptedHash::parse(&read.to_text()).as_ref(), Ok(&read), "{text:?}");
            taken += 1;
        }
    }
    assert!(taken > 0, "some texts are not bent at all");
}

#[test]
fn files_of_a_former_system() {
    let seeds = [
        "SECRET_KEY=0123456789abcdef0123456789abcdef\nSECRET_KEYS_HISTORY=a,b,c\nKEY_LAST_ROTATED=2026-01-01T00:00:00Z\nKEY_ROTATION_DAYS=90\n",
        "export SECRET_KEY='quoted value' # why\nDATABASE_URL=postgres://x\n",
    ];
    for text in texts(&seeds, CASES) {
        if let Ok(file) = legacy_secret::read(&text) {
            assert!(file.secrets().count() <= 4, "{text:?}");
            let new = "f".repeat(64);
            if let Ok(rotated) = legacy_secret::rotated(&text, &new, Timestamp(0)) {
                let again =
                    legacy_secret::read(&rotated).unwrap_or_else(|problem| panic!("{text:?}: {problem}"));
                assert!(again.secrets().count() <= 4);
            }
        }
    }
}

#[test]
fn policy_files_and_expected_decisions() {
    let policy = r#"
format = "charter-policy/1"
organization = "toys"
[teams.sales]
name = "Sales"
members = ["ann@toys.example"]
[roles.clerk]
name = "Clerk"
lines = ["finance.invoices.read"]
[conditions.daytime]
all = []
[[assignments]]
role = "clerk"
team = "sales"
from = 2027-01-01T00:00:00Z
[[grants]]
member = "ann@toys.example"
pattern = "crm.*.read"
effect = "deny"
"#;
    let cases = r#"
format = "charter-policy-cases/1"
organization = "toys"
[[cases]]
name = "a clerk reads"
subject = "ann@toys.example"
permission = "finance.invoices.read"
expect = "allow"
"#;
    for text in texts(&[policy, cases], CASES / 3) {
        let _ = policy_document::parse(&text);
        let _ = policy_document::PolicyCases::parse(&text);
    }
}

/// A code is one of an app's whatever blanks stand in it, and nothing bent is another one.
#[test]
fn codes_of_authenticator_apps() {
    let seed = b"12345678901234567890";
    let now = Timestamp::from_seconds(59);
    let near: Vec<String> = [29, 59, 89]
        .iter()
        .map(|at| totp::code(seed, Timestamp::from_seconds(*at)).unwrap().to_string())
        .collect();
    let (code, spaced) = (near[1].clone(), format!("{} {}", &near[1][..3], &near[1][3..]));
    for typed in texts(&[code.as_str(), spaced.as_str(), "000000"], CASES) {
        let plain: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
        let is_right = totp::step_of(seed, &typed, now).unwrap().is_some();
        assert_eq!(is_right, near.contains(&plain), "{typed:?}");
    }
}

/// What browsers hand over for a passkey, with whatever one can think of in it.
#[test]
fn passkeys_as_browsers_hand_them_over() {
    let made = r#"{"id":"AAECAw","rawId":"AAECAw","type":"public-key","extensions":{},"response":{"attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YUA","clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIn0","transports":["internal"]}}"#;
    let used = r#"{"id":"AAECAw","rawId":"AAECAw","type":"public-key","extensions":{},"response":{"authenticatorData":"AAEC","clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0","signature":"AAEC","userHandle":null}}"#;
    let (mut makes, mut uses) = (0, 0);
    for text in texts(&[made, used], CASES) {
        let Ok(value) = serde_json::from_str(&text) else { continue };
        makes += u32::from(MadeCredential::read(&value).is_ok());
        uses += u32::from(UsedCredential::read(&value).is_ok());
    }
    assert!(makes > 0 && uses > 0, "some texts are not bent at all");
}

#[test]
fn scopes_of_applications() {
    for text in
        texts(&["openid profile email offline_access", "openid finance.*.read *", "crm.leads.read"], CASES)
    {
        if let Ok(scope) = Scope::read(&text) {
            assert_eq!(Scope::read(&scope.text()).as_ref(), Ok(&scope), "{text:?}");
        }
    }
}

/// Attacks 1 to 7 and 86 with whatever one can think of: nothing bent opens anything, and nothing makes the service stumble.
#[tokio::test]
async fn credentials() {
    let db = sqlite().await;
    let node = open(&db).await;
    let seeds = [
        "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6ImFiYyJ9.eyJpc3MiOiJodHRwczovL2NoYXJ0ZXIuZXhhbXBsZSIsInN1YiI6IngiLCJleHAiOjE5MDAwMDAwMDB9.c2ln",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE5MDAwMDAwMDB9.c2ln",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.",
        "chs_live_0123456789AB_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg_4Qwdqo",
        "chr_live_0123456789AB_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg_4Qwdqo",
        "cho_fedcba9876543210",
    ];
    for text in texts(&seeds, CASES / 3) {
        let _ = credential_text::read(&text);
        match node.app.authenticate(Some(&text), None).await {
            Ok(Caller::Anonymous) | Err(_) => {}
            Ok(caller) => panic!("{text:?} is taken for {caller:?}"),
        }
    }
}
