//! Ids: UUID version 7, kept as 128 bits. Made by the application from a time and random bits, never by a database.

use core::fmt;
use core::str::FromStr;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id: 32 hexadecimal digits in groups 8-4-4-4-12 are expected")
    }
}

impl core::error::Error for NotAnId {}

/// Reads `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, either case, by hand: a general parser was half the cost of a check.
#[inline]
pub fn parse_uuid(text: &[u8]) -> Option<u128> {
    let text: &[u8; 36] = text.try_into().ok()?;
    let four = |at: usize| -> Option<u64> {
        let digits = text.get(at..)?.first_chunk::<4>()?;
        Some(u64::from(u32::from_be_bytes(*digits)))
    };
    let mut invalid = 0;
    for dash in [8, 13, 18, 23] {
        invalid |= u64::from(*text.get(dash)? ^ b'-');
    }
    let mut value = 0;
    for (first, second) in [(0, 4), (9, 14), (19, 24), (28, 32)] {
        let (eight, wrong) = eight_digits(four(first)? << 32 | four(second)?);
        value = value << 32 | u128::from(eight);
        invalid |= wrong;
    }
    (invalid == 0).then_some(value)
}

/// Eight hexadecimal digits, the first in the highest byte, as their value, and zero if each is one. All eight at once and without a branch:
/// the digits of an id are random, so a branch on them would be guessed wrongly every other time.
#[inline]
const fn eight_digits(text: u64) -> (u64, u64) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let is_letter = text >> 6 & ONES;
    let lower = text | is_letter << 5;
    let digits = (text & (0x0f * ONES)) + 9 * is_letter;
    let is_above_nine = (digits + 6 * ONES) >> 4 & ONES;
    let written = digits + 0x30 * ONES + 0x27 * is_above_nine;
    let wrong = (written ^ lower) | (digits & (0xf0 * ONES));
    let pairs = (digits | digits >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    ((fours | fours >> 16) & 0xffff_ffff, wrong)
}

/// Writes the canonical lower-case form of a 128-bit id.
pub fn write_uuid(value: u128, out: &mut dyn fmt::Write) -> fmt::Result {
    let high = (value >> 64) as u64;
    let low = value as u64;
    write!(
        out,
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// A UUID version 7 from a Unix time in milliseconds and 74 random bits (the rest of `random` is ignored).
pub fn uuid_v7(unix_ms: u64, random: u128) -> u128 {
    let time = u128::from(unix_ms & 0xffff_ffff_ffff) << 80;
    let rand_a = ((random >> 64) & 0xfff) << 64;
    let rand_b = random & 0x3fff_ffff_ffff_ffff;
    time | (0x7 << 76) | rand_a | (0b10 << 62) | rand_b
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u128);

        impl $name {
            /// The id as 128 bits.
            #[inline]
            pub fn bits(self) -> u128 { self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write_uuid(self.0, f) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                write_uuid(self.0, f)?;
                f.write_str(")")
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse_uuid(text.as_bytes()).map(Self).ok_or(NotAnId)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// An organization: the isolation unit.
    OrganizationId,
    /// A principal: a user or a service account.
    PrincipalId,
    /// A team of one organization.
    TeamId,
    /// One assignment of a role.
    AssignmentId,
    /// One grant.
    GrantId,
    /// One block.
    BlockId,
    /// One subscription of an organization to a plan or add-on.
    SubscriptionId,
    /// One override of a limit.
    LimitOverrideId,
    /// A sign-in session.
    SessionId,
    /// A credential such as a service token.
    CredentialId,
    /// An invitation into an organization.
    InvitationId,
    /// A newcomer's request for an account.
    RegistrationId,
    /// A change of somebody's address.
    EmailChangeId,
    /// A second factor of somebody.
    FactorId,
    /// One signing key.
    SigningKeyId,
    /// One request to the service, also found on the audit events it caused.
    RequestId,
    /// One message on its way by mail.
    MailId,
    /// One webhook of an organization.
    WebhookId,
    /// One delivery to a webhook.
    DeliveryId,
    /// One OAuth client of an organization; its public `client_id`.
    OauthClientId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_printed_is_the_id_read() {
        let mut value: u128 = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;
        for _ in 0..1000 {
            value = value.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let mut text = String::new();
            write_uuid(value, &mut text).unwrap();
            assert_eq!(parse_uuid(text.as_bytes()), Some(value));
            assert_eq!(parse_uuid(text.to_uppercase().as_bytes()), Some(value));
        }
    }

    #[test]
    fn any_other_byte_anywhere_is_no_id() {
        let good = *b"01234567-89ab-cdef-fedc-ba9876543210";
        for place in 0..good.len() {
            for byte in 0..=u8::MAX {
                let mut text = good;
                text[place] = byte;
                let is_dash = matches!(place, 8 | 13 | 18 | 23);
                let fits = if is_dash { byte == b'-' } else { byte.is_ascii_hexdigit() };
                assert_eq!(parse_uuid(&text).is_some(), fits, "{byte} at {place}");
            }
        }
        assert_eq!(parse_uuid(&good[1..]), None);
    }
}
