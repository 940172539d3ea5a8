//! What the real libraries made is verified; what is cut, bent, dear or unknown is refused.

use super::super::argon::Argon;
use super::*;
use argon2::Params;
use serde::Deserialize;

/// Made by `vectors.py` with the libraries themselves.
const VECTORS: &str = include_str!("vectors.jsonl");

#[derive(Deserialize)]
struct Vector {
    source: String,
    password: String,
    hash: String,
}

fn vectors() -> Vec<Vector> {
    VECTORS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn weak_engine() -> Argon {
    Argon::own(Params::new(64, 1, 1, None).unwrap())
}

#[test]
fn what_the_real_libraries_made_is_verified() {
    let vectors = vectors();
    assert!(vectors.len() > 150, "{}", vectors.len());
    for Vector { source, password, hash } in &vectors {
        let adopted = AdoptedHash::parse(hash).unwrap_or_else(|refused| panic!("{source}: {refused}"));
        assert!(adopted.fits(password).unwrap(), "{source}: {password:?} does not fit");
        if !source.contains("default") {
            assert!(!adopted.fits(&format!("{password}.")).unwrap() || has_short_sight(&adopted, password));
            assert!(!adopted.fits(&format!(".{password}")).unwrap(), "{source}: another password fits");
        }
    }
}

/// Plain bcrypt does not see what comes after 72 bytes.
fn has_short_sight(adopted: &AdoptedHash, password: &str) -> bool {
    matches!(adopted.recipe, Recipe::Bcrypt { before: Before::Nothing, .. }) && password.len() >= 72
}

#[test]
fn what_is_printed_is_read_back_and_verifies_the_same() {
    for Vector { source, password, hash } in vectors() {
        let adopted = AdoptedHash::parse(&hash).unwrap();
        let printed = adopted.to_text();
        assert_eq!(AdoptedHash::parse(&printed).unwrap(), adopted, "{source}");
        assert_eq!(AdoptedHash::parse(&printed).unwrap().to_text(), printed, "{source}");
        assert!(!printed.starts_with("$argon2"), "{source}: would be taken for one of our own");
        if !source.contains("default") {
            let wrapped = WrappedHash::around(&adopted, &weak_engine(), &[7; 16]).unwrap().to_text();
            assert!(
                !wrapped.contains(printed.rsplit('$').next().unwrap()),
                "{source}: the weak output is kept"
            );
            let wrapped = WrappedHash::parse(&wrapped).unwrap();
            assert!(wrapped.fits(&password, &weak_engine()).unwrap(), "{source}: {password:?}");
            assert!(!wrapped.fits(&format!(".{password}"), &weak_engine()).unwrap(), "{source}");
        }
    }
}

/// Attack 63: what bcrypt makes of long passwords is what the source makes of them, and a zero byte never shortens one.
#[test]
fn bcrypt_sees_seventy_two_bytes_as_its_source_did_and_takes_no_zero_byte() {
    let find = |source: &str, password: &str| {
        let vectors = vectors();
        let found = vectors.iter().find(|it| it.source == source && it.password == password).unwrap();
        AdoptedHash::parse(&found.hash).unwrap()
    };
    let long = "long words ".repeat(9);
    let plain = find("bcrypt", &long);
    assert!(plain.fits(&long[..72]).unwrap() && plain.fits(&format!("{}else", &long[..72])).unwrap());
    assert!(!plain.fits(&long[..71]).unwrap());
    let edge = find("bcrypt", &"x".repeat(71));
    assert!(edge.fits(&"x".repeat(71)).unwrap() && !edge.fits(&"x".repeat(72)).unwrap());
    for source in ["django bcrypt_sha256", "passlib bcrypt_sha256", "passlib bcrypt_sha256 version 1"] {
        let whole = find(source, &long);
        assert!(whole.fits(&long).unwrap() && !whole.fits(&long[..72]).unwrap(), "{source}");
    }
    let words = "correct horse battery";
    for bent in [format!("{words}\0"), format!("{words}\0more"), format!("{words}\0{words}\0")] {
        for source in
            ["bcrypt", "passlib bcrypt", "django bcrypt", "django pbkdf2_sha256", "werkzeug scrypt:1024:8:1"]
        {
            assert!(!find(source, words).fits(&bent).unwrap(), "{source}: {bent:?}");
        }
    }
}

/// Attack 65: what would stop the service is refused when it is read, by name, and the ceilings themselves are not.
#[test]
fn what_would_be_too_dear_is_refused_at_the_ceilings() {
    let argon2 =
        |parameters: &str| format!("$argon2id$v=19${parameters}${}${}", "A".repeat(22), "A".repeat(43));
    let werkzeug =
        |method: &str, bytes: usize| format!("{method}$salt$%{}", "ab".repeat(bytes)).replace('%', "");
    let bcrypt = |cost: &str| format!("$2b${cost}${}{}", ".".repeat(22), ".".repeat(31));
    let passlib = |parameters: &str| format!("$scrypt${parameters}$c2FsdA${}", "A".repeat(43));
    let dear = [
        argon2("m=4194304,t=2,p=1"),
        argon2("m=1048577,t=1,p=1"),
        argon2("m=64,t=11,p=1"),
        argon2("m=1024,t=1,p=17"),
        argon2("m=99999999999999999999,t=1,p=1"),
        bcrypt("16"),
        bcrypt("31"),
        werkzeug("pbkdf2:sha256:1000000000", 32),
        werkzeug("pbkdf2:sha256:10000001", 32),
        werkzeug("scrypt:262144:8:1", 64),
        werkzeug("scrypt:131072:9:1", 64),
        werkzeug("scrypt:131072:8:11", 64),
        passlib("ln=18,r=8,p=1"),
        passlib("ln=63,r=8,p=1"),
    ];
    for text in dear {
        let refused = AdoptedHash::parse(&text).unwrap_err();
        assert!(matches!(refused, Refused::TooDear { .. }), "{text}: {refused}");
    }
    let most = [
        argon2("m=1048576,t=10,p=16"),
        bcrypt("15"),
        werkzeug("pbkdf2:sha256:10000000", 32),
        werkzeug("scrypt:131072:8:10", 64),
        passlib("ln=17,r=8,p=10"),
    ];
    for text in most {
        AdoptedHash::parse(&text).unwrap_or_else(|refused| panic!("{text}: {refused}"));
    }
}

#[test]
fn what_is_cut_bent_or_longer_is_no_hash() {
    for Vector { source, hash, .. } in vectors() {
        // The output of argon2 may have any length from 16 bytes: cut there it is a hash still, that nothing fits.
        let whole = if source.contains("argon2") { hash.rfind('$').unwrap() + 22 } else { hash.len() };
        for length in 0..whole {
            assert!(AdoptedHash::parse(&hash[..length]).is_err(), "{source}: {length} bytes pass");
        }
        for bent in [
            format!("{hash}$"),
            format!("{hash}="),
            format!(" {hash}"),
            format!("{hash}\n"),
            format!("${hash}"),
        ] {
            assert!(AdoptedHash::parse(&bent).is_err(), "{source}: {bent:?} passes");
        }
    }
    let wrong = [
        format!("pbkdf2_sha256$+1000$salt${}=", "A".repeat(43)),
        format!("pbkdf2_sha256$01000$salt${}=", "A".repeat(43)),
        format!("pbkdf2_sha256$0$salt${}=", "A".repeat(43)),
        format!("pbkdf2_sha256$1000$${}=", "A".repeat(43)),
        format!("pbkdf2_sha1$1000$salt${}=", "A".repeat(43)),
        format!("$2b$03${}{}", ".".repeat(22), ".".repeat(31)),
        format!("$2b$4${}{}", ".".repeat(22), ".".repeat(31)),
        format!("scrypt:1000:8:1$salt${}", "ab".repeat(64)),
        format!("scrypt:1:8:1$salt${}", "ab".repeat(64)),
        format!("pbkdf2:sha256$salt${}", "ab".repeat(32)),
        format!("pbkdf2:md5:1000$salt${}", "ab".repeat(16)),
        format!("$argon2id$v=18$m=64,t=1,p=1${}${}", "A".repeat(22), "A".repeat(43)),
        format!("$argon2id$v=19$t=1,m=64,p=1${}${}", "A".repeat(22), "A".repeat(43)),
        format!("$argon2id$v=19$m=64,t=1,p=1,data=AAAA${}${}", "A".repeat(22), "A".repeat(43)),
    ];
    for text in wrong {
        let refused = AdoptedHash::parse(&text).unwrap_err();
        assert!(matches!(refused, Refused::Malformed { .. }), "{text}: {refused}");
    }
}

#[test]
fn what_is_not_taken_over_is_named_and_never_repeated() {
    let unsafe_ones = [
        "$2x$10$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuuabcdefghi",
        "$argon2d$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
        "$1$salt$secretsecretsecretsecr",
        "$6$salt$secret",
        "$y$j9T$salt$secret",
        "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
        "sha1$salt$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
        "sha256$salt$5baa61e4",
        "!abcdefghijklmnopqrstuvwxyz0123456789ABCD",
        "*",
        "{SSHA}c2VjcmV0c2VjcmV0c2VjcmV0",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
    ];
    for text in unsafe_ones {
        let refused = AdoptedHash::parse(text).unwrap_err();
        assert!(matches!(refused, Refused::Unsafe(_)), "{text}: {refused}");
        assert!(!refused.to_string().contains("secret") && !refused.to_string().contains("5baa61e4"));
    }
    for text in ["", "hunter2", "correct horse", "$", "$$$$", "grain", "pässword$1$2$3"] {
        assert_eq!(AdoptedHash::parse(text).unwrap_err(), Refused::Unknown, "{text}");
    }
    assert_eq!(AdoptedHash::parse(&"$2b$".repeat(1_000)).unwrap_err(), Refused::TooLong);
}

#[test]
fn what_is_weaker_than_the_floor_is_known() {
    let weak = |text: &str| AdoptedHash::parse(text).unwrap().is_weak();
    let pbkdf2 = |rounds: u32| format!("pbkdf2_sha256${rounds}$salt${}=", "A".repeat(43));
    assert!(weak(&pbkdf2(599_999)) && !weak(&pbkdf2(600_000)));
    assert!(weak(&format!("pbkdf2_sha1$10000000$salt${}=", "A".repeat(27))));
    let bcrypt = |cost: u32| format!("$2b${cost:02}${}{}", ".".repeat(22), ".".repeat(31));
    assert!(weak(&bcrypt(9)) && !weak(&bcrypt(10)));
    let scrypt = |n: u32, p: u32| format!("scrypt:{n}:8:{p}$salt${}", "ab".repeat(64));
    assert!(weak(&scrypt(32_768, 1)) && !weak(&scrypt(32_768, 3)) && !weak(&scrypt(131_072, 1)));
    let argon2 =
        |m: u32, t: u32| format!("$argon2i$v=19$m={m},t={t},p=1${}${}", "A".repeat(22), "A".repeat(43));
    assert!(
        weak(&argon2(512, 2))
            && weak(&argon2(19_456, 1))
            && !weak(&argon2(19_456, 2))
            && !weak(&argon2(65_536, 1))
    );
}
