//! Addresses and ranges of them, version 4 and 6 as one number space.

use std::net::{IpAddr, Ipv6Addr};

/// One range of addresses, the v4 ones folded into `::ffff:0:0/96`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    base: u128,
    mask: u128,
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

const V4_MAPPED: u128 = 0xffff_u128 << 32;

impl Range {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 64 {
            return None;
        }
        let (address, length): (IpAddr, u8) = match text.parse::<ipnet::IpNet>() {
            Ok(net) => (net.addr(), net.prefix_len()),
            Err(_) => {
                let address: IpAddr = text.parse().ok()?;
                (address, if address.is_ipv4() { 32 } else { 128 })
            }
        };
        let length = u32::from(length) + if address.is_ipv4() { 96 } else { 0 };
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
        Some(Self { base: bits(address) & mask, mask })
    }

    #[inline]
    pub(crate) fn contains(self, address: IpAddr) -> bool {
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
