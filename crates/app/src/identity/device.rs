//! Known devices: who signed in from a device before is not slowed down there by what others guess elsewhere. A device shows a token
//! that was made for one account; its guesses are counted apart, and just as strictly.

use super::seal::Pepper;
use super::throttle::AccountKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use charter_kernel::Timestamp;
use zeroize::Zeroizing;

/// How long a device is known: half a year.
pub const KNOWN_SECONDS: i64 = 180 * 86_400;
const BYTES: usize = 40;

/// A token for a device that an account signed in from.
pub(super) fn make(
    pepper: &Pepper,
    account: &AccountKey,
    random: [u8; 16],
    now: Timestamp,
) -> Zeroizing<String> {
    let head = [now.seconds().to_be_bytes().as_slice(), &random].concat();
    let tag = pepper.of_device(&[head.as_slice(), account.as_slice()].concat());
    Zeroizing::new(URL_SAFE_NO_PAD.encode([head.as_slice(), &tag].concat()))
}

/// What guesses from a device are counted by, when its token is for this account, by any version of the pepper in force, and not too old.
pub(super) fn counted_by(
    pepper: &Pepper,
    accounts: &[AccountKey],
    token: &str,
    now: Timestamp,
) -> Option<AccountKey> {
    let bytes = (token.len() < 64).then(|| URL_SAFE_NO_PAD.decode(token).ok()).flatten()?;
    let (head, tag) = bytes.split_at_checked(BYTES - 16)?;
    let is_of = |account: &AccountKey| pepper.is_device(&[head, account.as_slice()].concat(), tag);
    if !accounts.iter().fold(false, |found, account| is_of(account) | found) {
        return None;
    }
    let made_at = Timestamp::from_seconds(i64::from_be_bytes(*head.first_chunk()?));
    // No login has a NUL: the counter is no account's.
    (now < made_at.plus_seconds(KNOWN_SECONDS)).then(|| pepper.of_login(&format!("\0device {token}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack 102: a device's token is worth nothing to another account.
    #[test]
    fn a_device_is_known_to_one_account_for_half_a_year() {
        let (pepper, now) = (Pepper::new(&[3; 32]), Timestamp::from_seconds(1_800_000_000));
        let token = make(&pepper, &[1; 32], [9; 16], now);
        let known = counted_by(&pepper, &[[1; 32]], &token, now).unwrap();
        assert_ne!(known, [1; 32]);
        assert_eq!(counted_by(&pepper, &[[1; 32]], &token, now.plus_seconds(KNOWN_SECONDS - 1)), Some(known));
        assert_eq!(counted_by(&pepper, &[[1; 32]], &token, now.plus_seconds(KNOWN_SECONDS)), None);
        assert_eq!(counted_by(&pepper, &[[2; 32]], &token, now), None);
        assert_eq!(counted_by(&Pepper::new(&[4; 32]), &[[1; 32]], &token, now), None);
        for bad in ["", "x", &token[1..], &format!("B{}", &token[1..]), &"A".repeat(54), &"A".repeat(100_000)]
        {
            assert_eq!(counted_by(&pepper, &[[1; 32]], bad, now), None, "{bad}");
        }
    }
    #[test]
    fn a_device_is_known_while_the_pepper_that_knew_it_counts() {
        let (pepper, now) = (Pepper::new(&[3; 32]), Timestamp::from_seconds(1_800_000_000));
        let token = make(&pepper, &pepper.of_login("ann"), [9; 16], now);
        pepper.learn(&[(2, &[5; 32]), (1, &[3; 32])]);
        assert!(counted_by(&pepper, &pepper.every_login("ann"), &token, now).is_some());
        assert_eq!(counted_by(&pepper, &pepper.every_login("bob"), &token, now), None);
        pepper.learn(&[(2, &[5; 32])]);
        assert_eq!(counted_by(&pepper, &pepper.every_login("ann"), &token, now), None);
    }
}
