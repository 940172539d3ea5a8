//! Attacks on access tokens, each tried against `token.rs`.

use super::seal::Sealer;
use super::signing_key::{KeySet, generate};
use super::token::{Claims, TOKEN_MAX, TokenFault, TokenTerms, mint, verify};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::{OrganizationId, PrincipalId, SessionId, Timestamp};
use charter_store::signing_key::{KeyState, SigningKey};
use serde_json::{Value, json};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn sealer() -> Sealer {
    Sealer::new(&[1; 32]).unwrap()
}

fn terms() -> TokenTerms {
    TokenTerms {
        issuer: "https://charter.example".to_owned(),
        audience: "charter".to_owned(),
        life_seconds: 600,
        leeway_seconds: 60,
    }
}

fn kept(seed: u8, state: KeyState) -> SigningKey {
    generate(&[seed; 32], [seed; 12], &sealer(), state, at(NOW - 31 * DAY), at(NOW - 30 * DAY)).unwrap()
}

fn set(keys: Vec<SigningKey>) -> KeySet {
    KeySet::new(keys, &sealer()).unwrap()
}

fn keys() -> KeySet {
    set(vec![kept(1, KeyState::Active)])
}

fn claims() -> Claims {
    terms().claims(
        at(NOW),
        1,
        PrincipalId(2),
        Some(OrganizationId(3)),
        SessionId(4),
        vec!["pwd".to_owned()],
        at(NOW),
        at(NOW + DAY),
        None,
    )
}

fn part(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": keys().signer_kid().unwrap() })
}

/// A token with any header and payload, signed by our key.
fn signed(header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", part(header), part(payload));
    let signature = keys().sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", part(signature))
}

fn with_header(change: impl Fn(&mut Value)) -> String {
    let mut header = header();
    change(&mut header);
    signed(&header.to_string(), &json!(claims()).to_string())
}

fn with_claims(change: impl Fn(&mut Value)) -> String {
    let mut claims = json!(claims());
    change(&mut claims);
    signed(&header().to_string(), &claims.to_string())
}

fn fault(token: &str) -> TokenFault {
    verify(&keys(), &terms(), token, at(NOW)).unwrap_err()
}

#[test]
fn a_token_says_what_was_put_in_and_has_the_form_of_the_profile() {
    let token = mint(&keys(), &claims()).unwrap();
    assert_eq!(verify(&keys(), &terms(), &token, at(NOW)), Ok(claims()));
    assert_eq!(
        verify(&keys(), &terms(), &signed(&header().to_string(), &json!(claims()).to_string()), at(NOW)),
        Ok(claims())
    );
    let header: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
    assert_eq!((&header["alg"], &header["typ"]), (&json!("EdDSA"), &json!("at+jwt")));
    let payload: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
    for claim in
        ["iss", "aud", "sub", "client_id", "iat", "exp", "nbf", "jti", "org", "sid", "amr", "auth_time"]
    {
        assert!(payload.get(claim).is_some(), "{claim} is missing");
    }
    assert!(token.len() < 760, "{} bytes", token.len());
}

/// Attack 1.
#[test]
fn a_token_without_algorithm_is_refused() {
    for alg in ["none", "None", "nOnE", "", "NONE", "eddsa", "Ed25519"] {
        let header = json!({ "alg": alg, "typ": "at+jwt", "kid": keys().signer_kid().unwrap() });
        let unsigned = format!("{}.{}.", part(header.to_string()), part(json!(claims()).to_string()));
        assert_eq!(fault(&unsigned), TokenFault::Algorithm, "{alg:?}");
        assert_eq!(
            fault(&with_header(|header| header["alg"] = json!(alg))),
            TokenFault::Algorithm,
            "{alg:?}"
        );
    }
    let unsigned = format!("{}.{}.", part(header().to_string()), part(json!(claims()).to_string()));
    assert_eq!(fault(&unsigned), TokenFault::Signature);
}

/// Attacks 2, 3, 4.
#[test]
fn a_token_signed_with_our_public_key_as_a_shared_secret_is_refused() {
    let public = kept(1, KeyState::Active).public_key;
    let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let der = [&prefix[..], &public].concat();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(&der)
    );
    for (alg, kind) in
        [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        for secret in [public.clone(), der.clone(), pem.clone().into_bytes()] {
            for named in [alg, "RS256", "ES256", "EdDSA"] {
                let mut header = header();
                header["alg"] = json!(named);
                let signed = format!("{}.{}", part(header.to_string()), part(json!(claims()).to_string()));
                let tag = hmac::sign(&hmac::Key::new(kind, &secret), signed.as_bytes());
                let expected = if named == "EdDSA" { TokenFault::Signature } else { TokenFault::Algorithm };
                assert_eq!(fault(&format!("{signed}.{}", part(tag))), expected);
            }
        }
    }
}

/// Attack 5.
#[test]
fn a_key_id_is_short_plain_text_or_refused() {
    let long = "a".repeat(10_000);
    for kid in ["../../etc/passwd", "' or 1=1 --", "a\0b", "", "é", "a b"] {
        assert_eq!(fault(&with_header(|header| header["kid"] = json!(kid))), TokenFault::KeyId, "{kid:?}");
    }
    assert!(matches!(
        fault(&with_header(|header| header["kid"] = json!(long))),
        TokenFault::KeyId | TokenFault::Form
    ));
    for kid in [json!(["a"]), json!(1), json!(null), json!({})] {
        assert_eq!(fault(&with_header(|header| header["kid"] = kid.clone())), TokenFault::Header);
    }
    assert_eq!(fault(&with_header(|header| header["kid"] = json!("unknown"))), TokenFault::UnknownKey);
    let without = with_header(|header| {
        header.as_object_mut().unwrap().remove("kid");
    });
    assert_eq!(fault(&without), TokenFault::Header);
}

/// Attack 6.
#[test]
fn tokens_of_pending_retired_and_revoked_keys_are_refused() {
    let token = mint(&keys(), &claims()).unwrap();
    for state in [KeyState::Pending, KeyState::Retired, KeyState::Revoked] {
        let keys = set(vec![kept(1, state), kept(2, KeyState::Active)]);
        assert_eq!(verify(&keys, &terms(), &token, at(NOW)), Err(TokenFault::KeyState), "{state:?}");
    }
    assert_eq!(
        verify(&set(vec![kept(2, KeyState::Active)]), &terms(), &token, at(NOW)),
        Err(TokenFault::UnknownKey)
    );
}

/// Attack 7.
#[test]
fn a_header_brings_no_keys_addresses_or_extensions() {
    let own = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let extras = [
        ("jwk", own),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/chain")),
        ("x5c", json!(["AAAA"])),
        ("crit", json!(["exp"])),
        ("crit", json!(["unheard-of"])),
        ("zip", json!("DEF")),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
    ];
    for (name, value) in extras {
        assert_eq!(fault(&with_header(|header| header[name] = value.clone())), TokenFault::Header, "{name}");
    }
}

/// Attack 8.
#[test]
fn an_expiry_is_demanded_as_a_whole_number_and_kept() {
    let exp = |value: Value| fault(&with_claims(|claims| claims["exp"] = value.clone()));
    for value in
        [json!("1800000600"), json!(1_800_000_600.5), json!(null), json!([1_800_000_600]), json!(true)]
    {
        assert_eq!(exp(value.clone()), TokenFault::Claims, "{value}");
    }
    assert_eq!(exp(json!(-1)), TokenFault::Claims);
    assert_eq!(exp(json!(u64::MAX)), TokenFault::Claims);
    let huge = json!(claims()).to_string().replace(&format!("\"exp\":{}", NOW + 600), "\"exp\":1e400");
    assert_eq!(fault(&signed(&header().to_string(), &huge)), TokenFault::Claims);
    for claim in ["exp", "iat", "nbf", "iss", "aud", "sub", "sid", "jti", "auth_time", "amr", "client_id"] {
        let without = with_claims(|claims| {
            claims.as_object_mut().unwrap().remove(claim);
        });
        assert_eq!(fault(&without), TokenFault::Claims, "{claim}");
    }
    let token = mint(&keys(), &claims()).unwrap();
    let verified = |seconds: i64| verify(&keys(), &terms(), &token, at(NOW + seconds));
    assert!(verified(600).is_ok() && verified(659).is_ok());
    assert_eq!(verified(660), Err(TokenFault::Expired));
}

/// Attack 9.
#[test]
fn a_token_from_the_future_waits_until_clocks_may_differ_that_much() {
    let from = |by: i64| {
        with_claims(|claims| {
            claims["iat"] = json!(NOW + by);
            claims["nbf"] = json!(NOW + by);
            claims["exp"] = json!(NOW + by + 600);
        })
    };
    assert!(verify(&keys(), &terms(), &from(60), at(NOW)).is_ok());
    assert_eq!(fault(&from(61)), TokenFault::NotYet);
    assert_eq!(fault(&with_claims(|claims| claims["nbf"] = json!(NOW + 61))), TokenFault::NotYet);
}

/// Attack 10.
#[test]
fn issuer_and_audience_are_ours() {
    let iss = |value: Value| fault(&with_claims(|claims| claims["iss"] = value.clone()));
    assert_eq!(iss(json!("https://evil.example")), TokenFault::Issuer);
    assert_eq!(iss(json!(["https://charter.example"])), TokenFault::Claims);
    let aud = |value: Value| {
        verify(&keys(), &terms(), &with_claims(|claims| claims["aud"] = value.clone()), at(NOW))
    };
    assert_eq!(aud(json!("other")), Err(TokenFault::Audience));
    assert_eq!(aud(json!([])), Err(TokenFault::Audience));
    assert_eq!(aud(json!(["other", "charters"])), Err(TokenFault::Audience));
    assert_eq!(aud(json!({ "charter": true })), Err(TokenFault::Claims));
    assert!(aud(json!(["other", "charter"])).is_ok());
}

/// Attack 11.
#[test]
fn another_type_of_token_is_no_access_token() {
    for typ in [
        json!("JWT"),
        json!("id+jwt"),
        json!("logout+jwt"),
        json!("invite+jwt"),
        json!("AT+JWT"),
        json!(null),
    ] {
        assert_eq!(fault(&with_header(|header| header["typ"] = typ.clone())), TokenFault::Type, "{typ}");
    }
}

/// Attack 15.
#[test]
fn a_historical_key_verifies_only_what_it_signed_before_its_retirement() {
    let mut old = kept(1, KeyState::Retiring);
    old.sealed_private = None;
    old.retired_at = Some(at(NOW - 300));
    let keys = set(vec![old, kept(2, KeyState::Active)]);
    let issued = |by: i64| {
        with_claims(|claims| {
            claims["iat"] = json!(NOW + by);
            claims["nbf"] = json!(NOW + by);
            claims["exp"] = json!(NOW + by + 600);
        })
    };
    let verified = |by: i64| verify(&keys, &terms(), &issued(by), at(NOW)).map(|_| ());
    assert_eq!(verified(-400), Ok(()));
    assert_eq!(verified(-240), Ok(()), "clocks may differ");
    assert_eq!(verified(-239), Err(TokenFault::Window));
    assert_eq!(verified(0), Err(TokenFault::Window));
    let mut young = kept(1, KeyState::Active);
    young.activates_at = at(NOW - 100);
    let keys = set(vec![young]);
    assert_eq!(verify(&keys, &terms(), &issued(-101), at(NOW)), Err(TokenFault::Window));
}

/// Attack 16.
#[test]
fn a_token_that_lives_longer_than_we_issue_is_refused() {
    assert_eq!(fault(&with_claims(|claims| claims["exp"] = json!(NOW + 601))), TokenFault::Life);
    assert_eq!(fault(&with_claims(|claims| claims["exp"] = json!(i64::MAX))), TokenFault::Life);
}

/// Attack 19.
#[test]
fn odd_forms_are_refused() {
    let token = mint(&keys(), &claims()).unwrap();
    let forms = [
        String::new(),
        "a..b".to_owned() + "!",
        format!("{token}.x"),
        format!("{token}."),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}="),
        token.replace('.', ".."),
        token.replacen('.', "", 1),
        "a".repeat(TOKEN_MAX + 1),
        signed(&header().to_string(), &"x".repeat(64 * 1024)),
    ];
    for form in forms {
        assert_eq!(fault(&form), TokenFault::Form, "{}", form.chars().take(80).collect::<String>());
    }
    assert_eq!(fault(".."), TokenFault::Header);
    let payload = json!(claims()).to_string();
    let twice = [
        payload.replacen('{', r#"{"sub":"00000000-0000-7000-8000-000000000009","#, 1),
        payload.replacen('{', r#"{"role":"user","role":"superadmin","#, 1),
        payload.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1),
        payload.replacen('{', r#"{"\u0073ub":"00000000-0000-7000-8000-000000000009","#, 1),
    ];
    for payload in twice {
        assert_eq!(fault(&signed(&header().to_string(), &payload)), TokenFault::Claims, "{payload}");
    }
    let header_twice = header().to_string().replacen('{', r#"{"alg":"none","#, 1);
    assert_eq!(fault(&signed(&header_twice, &payload)), TokenFault::Header);
    for payload in ["", "null", "[]", "{}", "{", "\u{0}", &"[".repeat(2_000), &"{\"a\":".repeat(800)] {
        assert_eq!(fault(&signed(&header().to_string(), payload)), TokenFault::Claims, "{payload:.20}");
    }
}

/// Attack 20.
#[test]
fn an_edited_payload_does_not_keep_its_signature() {
    let token = mint(&keys(), &claims()).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let edited = json!(claims()).to_string().replace("\"pwd\"", "\"otp\"");
    assert_eq!(fault(&format!("{}.{}.{}", parts[0], part(edited), parts[2])), TokenFault::Signature);
    let other = set(vec![kept(2, KeyState::Active)]);
    let foreign = mint(&other, &claims()).unwrap();
    let foreign_parts: Vec<&str> = foreign.split('.').collect();
    assert_eq!(fault(&format!("{}.{}.{}", parts[0], parts[1], foreign_parts[2])), TokenFault::Signature);
}

/// Attack 21: s + L is the same point equation, and must not be the same signature.
#[test]
fn a_signature_has_one_form() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let token = mint(&keys(), &claims()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(
        UnparsedPublicKey::new(&ED25519, kept(1, KeyState::Active).public_key)
            .verify(signed.as_bytes(), &bytes)
            .is_ok()
    );
    let mut carry = 0u16;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert_eq!(fault(&format!("{signed}.{}", part(&bytes))), TokenFault::Signature);
    // The same bits in another text: base64url with its unused bits set.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    let respelled = format!("{signed}.{}{next}", &signature[..signature.len() - 1]);
    assert_eq!(fault(&respelled), TokenFault::Form);
}
