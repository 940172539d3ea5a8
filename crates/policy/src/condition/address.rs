//! Addresses and ranges of them, version 4 and 6 as one number space. Conditions, expressions and the address lists of credentials
//! read ranges here, by one rule.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// One range of addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.
// The v4 ones are folded into `::ffff:0:0/96`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    base: u128,
    mask: u128,
}

/// Why a text is no range of addresses, and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressRangeError {
    /// It is neither an address nor a range.
    Unreadable {
        /// The text.
        text: String,
    },
    /// Bits are set beyond its length: the network or the one address may be meant.
    HostBits {
        /// The text.
        text: String,
        /// The network it lies in.
        network: String,
        /// Its address alone.
        address: IpAddr,
    },
}

impl fmt::Display for AddressRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { text } => {
                write!(f, "{text:?} is no address range: write 10.0.0.0/8, 2001:db8::/32 or one address")
            }
            Self::HostBits { text, network, address } => {
                write!(f, "{text:?} is no network: write {network}, or {address} for the one address")
            }
        }
    }
}

impl std::error::Error for AddressRangeError {}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

const V4_MAPPED: u128 = 0xffff_u128 << 32;

impl AddressRange {
    /// The range a text names.
    pub fn parse(text: &str) -> Result<Self, AddressRangeError> {
        let unreadable = || AddressRangeError::Unreadable { text: text.chars().take(64).collect() };
        if text.len() > 64 {
            return Err(unreadable());
        }
        // Numbers with leading zeros are octal to some programs and decimal to others: they are no addresses.
        let written = text.split_once('/').map_or(text, |(address, _)| address);
        if written.parse::<IpAddr>().is_err() {
            return Err(unreadable());
        }
        let (address, length): (IpAddr, u8) = match text.parse::<ipnet::IpNet>() {
            Ok(net) if net.addr() != net.network() => {
                let (text, network) = (text.to_owned(), net.trunc().to_string());
                return Err(AddressRangeError::HostBits { text, network, address: net.addr() });
            }
            Ok(net) => (net.addr(), net.prefix_len()),
            Err(_) => {
                let address: IpAddr = text.parse().map_err(|_| unreadable())?;
                (address, if address.is_ipv4() { 32 } else { 128 })
            }
        };
        let length = u32::from(length) + if address.is_ipv4() { 96 } else { 0 };
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
        Ok(Self { base: bits(address) & mask, mask })
    }

    /// Whether the address lies in it; an IPv4 address written as IPv6 is the IPv4 address.
    #[inline]
    pub fn contains(self, address: IpAddr) -> bool {
        let address = bits(address);
        // A v6 range wider than the mapped block says nothing of v4 addresses: `::/0` is every v6 address.
        let wider = self.mask.count_ones() < 96;
        let is_v4 = address & !0xffff_ffff_u128 == V4_MAPPED;
        address & self.mask == self.base && !(wider && is_v4)
    }
}

/// An address as text, folded to v4 where it is a mapped one.
pub(crate) fn parse_address(text: &str) -> Option<IpAddr> {
    if text.len() > 64 {
        return None;
    }
    match text.trim().parse::<IpAddr>().ok()? {
        IpAddr::V6(v6) => Some(fold(v6)),
        v4 => Some(v4),
    }
}

fn fold(v6: Ipv6Addr) -> IpAddr {
    v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
}
