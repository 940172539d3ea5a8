//! Challenges: what somebody is given who has shown one thing and is asked for another, or who asks to use a passkey.
//!
//! The text says what it is for, whose it is and until when, with a keyed hash over all that. So nothing is kept of those that are
//! asked for; only one that was answered is noted, so that none is answered twice.

use super::begin::SessionKind;
use super::pepper::Pepper;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::{OrganizationId, PrincipalId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How long a challenge can be answered.
pub const LIFE_SECONDS: i64 = 300;
/// What every challenge begins with.
const PREFIX: &str = "chm_";
const LENGTH_MAX: usize = 4_096;

/// What a challenge is for. One for one thing is worth nothing for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Purpose {
    /// The second factor after the password.
    SecondFactor,
    /// A passkey alone.
    Passkey,
    /// A new passkey.
    NewPasskey,
}

/// What a challenge says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// What it is for.
    pub purpose: Purpose,
    /// Whose it is; none while that is not known yet.
    pub principal: Option<PrincipalId>,
    /// The session it was asked for in.
    pub session: Option<SessionId>,
    /// The organization the session is to be for.
    pub organization: Option<OrganizationId>,
    /// What the session is to be used by.
    pub kind: SessionKind,
    /// Whether the device was known already.
    pub is_known_device: bool,
    /// When the password was set that was shown.
    pub password_changed_at: Option<Timestamp>,
    /// What stands for the program it was given to.
    pub device: [u8; 16],
    /// What makes it the only one of its kind.
    pub nonce: [u8; 32],
    /// The sealed state of what passkeys are asked with (`webauthn.rs`); empty where none are.
    pub ceremony: Vec<u8>,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
}

/// The text inside.
#[derive(Serialize, Deserialize)]
struct Text {
    typ: Purpose,
    sub: Option<PrincipalId>,
    sid: Option<SessionId>,
    org: Option<OrganizationId>,
    cookie: bool,
    known: bool,
    pwd: Option<i64>,
    dev: String,
    nonce: String,
    key: String,
    exp: i64,
}

fn mode(is_live: bool) -> &'static str {
    if is_live { "live" } else { "test" }
}

/// What stands for the program a challenge is given to: whoever answers it has to be the same.
pub(super) fn device_of(pepper: &Pepper, user_agent: Option<&str>) -> [u8; 16] {
    let mut half = [0; 16];
    let whole = pepper.of_challenge(&device_text(user_agent));
    half.copy_from_slice(whole.split_at(16).0);
    half
}

/// Whether a challenge was given to this program, by whichever version of the pepper in force.
pub(super) fn is_of_device(pepper: &Pepper, it: &Challenge, user_agent: Option<&str>) -> bool {
    pepper.is_challenged(&device_text(user_agent), &it.device)
}

fn device_text(user_agent: Option<&str>) -> Vec<u8> {
    format!("device {}", user_agent.unwrap_or_default()).into_bytes()
}

/// The text of a challenge.
pub(super) fn make(pepper: &Pepper, is_live: bool, it: &Challenge) -> Zeroizing<String> {
    let text = Text {
        typ: it.purpose,
        sub: it.principal,
        sid: it.session,
        org: it.organization,
        cookie: it.kind == SessionKind::Cookie,
        known: it.is_known_device,
        pwd: it.password_changed_at.map(Timestamp::micros),
        dev: URL_SAFE_NO_PAD.encode(it.device),
        nonce: URL_SAFE_NO_PAD.encode(it.nonce),
        key: URL_SAFE_NO_PAD.encode(&it.ceremony),
        exp: it.expires_at.seconds(),
    };
    let says = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&text).unwrap_or_default());
    let signed = format!("{PREFIX}{}_{says}", mode(is_live));
    let proof = URL_SAFE_NO_PAD.encode(pepper.of_challenge(signed.as_bytes()));
    Zeroizing::new(format!("{signed}.{proof}"))
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// Reads a challenge of ours that is for this and can still be answered.
pub(super) fn read(
    pepper: &Pepper,
    is_live: bool,
    purpose: Purpose,
    text: &str,
    now: Timestamp,
) -> Option<Challenge> {
    if text.len() > LENGTH_MAX {
        return None;
    }
    let (signed, proof) = text.rsplit_once('.')?;
    if !pepper.is_challenge(signed.as_bytes(), &bytes::<32>(proof)?) {
        return None;
    }
    let says = signed.strip_prefix(PREFIX)?.strip_prefix(mode(is_live))?.strip_prefix('_')?;
    let text: Text = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(says).ok()?).ok()?;
    let expires_at = Timestamp::from_seconds(text.exp);
    if text.typ != purpose || expires_at <= now {
        return None;
    }
    Some(Challenge {
        purpose,
        principal: text.sub,
        session: text.sid,
        organization: text.org,
        kind: if text.cookie { SessionKind::Cookie } else { SessionKind::Bearer },
        is_known_device: text.known,
        password_changed_at: text.pwd.map(Timestamp),
        device: bytes(&text.dev)?,
        nonce: bytes(&text.nonce)?,
        ceremony: URL_SAFE_NO_PAD.decode(&text.key).ok()?,
        expires_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge() -> Challenge {
        Challenge {
            purpose: Purpose::SecondFactor,
            principal: Some(PrincipalId(7)),
            session: None,
            organization: Some(OrganizationId(8)),
            kind: SessionKind::Cookie,
            is_known_device: true,
            password_changed_at: Some(Timestamp(3)),
            device: [5; 16],
            nonce: [6; 32],
            ceremony: vec![7; 80],
            expires_at: Timestamp::from_seconds(1_800_000_300),
        }
    }

    #[test]
    fn a_challenge_is_answered_by_its_program_while_the_pepper_changes() {
        let pepper = Pepper::new(&[3; 32]);
        let it = Challenge { device: device_of(&pepper, Some("a browser")), ..challenge() };
        pepper.learn(&[(2, &[4; 32]), (1, &[3; 32])]);
        assert!(is_of_device(&pepper, &it, Some("a browser")));
        assert!(!is_of_device(&pepper, &it, Some("another")) && !is_of_device(&pepper, &it, None));
        let it = Challenge { device: device_of(&pepper, Some("a browser")), ..it };
        assert!(is_of_device(&pepper, &it, Some("a browser")));
        pepper.learn(&[(3, &[5; 32])]);
        assert!(!is_of_device(&pepper, &it, Some("a browser")));
    }

    #[test]
    fn a_challenge_is_read_as_it_was_made_and_no_other_is() {
        let (pepper, now) = (Pepper::new(&[3; 32]), Timestamp::from_seconds(1_800_000_000));
        let text = make(&pepper, false, &challenge());
        assert!(text.len() < 800, "{}", text.len());
        let read = |text: &str, purpose, now| read(&pepper, false, purpose, text, now);
        assert_eq!(read(&text, Purpose::SecondFactor, now), Some(challenge()));
        assert_eq!(read(&text, Purpose::SecondFactor, now.plus_seconds(299)), Some(challenge()));
        assert_eq!(read(&text, Purpose::SecondFactor, now.plus_seconds(300)), None);
        assert_eq!(read(&text, Purpose::Passkey, now), None);
        assert_eq!(read(&text, Purpose::NewPasskey, now), None);
        assert_eq!(
            super::read(&pepper, true, Purpose::SecondFactor, &text, now),
            None,
            "of another installation"
        );
        assert_eq!(super::read(&Pepper::new(&[4; 32]), false, Purpose::SecondFactor, &text, now), None);
        for at in 0..text.len() {
            let mut bad = text.as_bytes().to_vec();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            assert_eq!(read(&bad, Purpose::SecondFactor, now), None, "{at}");
            assert_eq!(read(&text[..at], Purpose::SecondFactor, now), None, "{at}");
        }
        for bad in ["", ".", "chm_test_.", "chm_test_AA.AA", &"A".repeat(100_000)] {
            assert_eq!(read(bad, Purpose::SecondFactor, now), None, "{bad}");
        }
    }
}
