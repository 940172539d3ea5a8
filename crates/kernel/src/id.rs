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
    let mut value: u128 = 0;
    let mut invalid: u8 = 0;
    let mut position = 0usize;
    while position < 36 {
        let byte = *text.get(position)?;
        if matches!(position, 8 | 13 | 18 | 23) {
            invalid |= byte ^ b'-';
        } else {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                _ => {
                    invalid = 0xff;
                    0
                }
            };
            value = (value << 4) | u128::from(digit);
        }
        position += 1;
    }
    (invalid == 0).then_some(value)
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
    /// One signing key.
    SigningKeyId,
    /// One request to the service, also found on the audit events it caused.
    RequestId,
}
