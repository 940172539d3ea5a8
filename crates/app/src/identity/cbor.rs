//! The little of CBOR (RFC 8949) that WebAuthn speaks: whole numbers, bytes, texts, lists and maps of known length. Whatever else there
//! is, is skipped where it may stand and refused where it matters. Nothing is taken over before its length is known to be there.

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 8;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A whole number.
    Number(i128),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A text.
    Text(&'a str),
    /// A list.
    List(Vec<Item<'a>>),
    /// A map, in the order it was written.
    Map(Vec<(Item<'a>, Item<'a>)>),
    /// True, false, null: nothing WebAuthn's own fields hold.
    Simple(u8),
}

impl<'a> Item<'a> {
    /// The value under a key, when this is a map that has it once.
    pub fn get(&self, key: &Item<'_>) -> Option<&Item<'a>> {
        let Self::Map(pairs) = self else { return None };
        let mut found = pairs.iter().filter(|(name, _)| name == key);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// The bytes, when it is bytes.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// Reads one value; gives what follows it.
pub(super) fn read(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    read_at(bytes, 0)
}

fn read_at(bytes: &[u8], depth: usize) -> Option<(Item<'_>, &[u8])> {
    if depth > DEPTH_MAX {
        return None;
    }
    let (first, rest) = bytes.split_first()?;
    let (argument, rest) = argument(first & 0x1f, rest)?;
    Some(match first >> 5 {
        0 => (Item::Number(i128::from(argument)), rest),
        1 => (Item::Number(-1 - i128::from(argument)), rest),
        2 => {
            let (taken, rest) = rest.split_at_checked(usize::try_from(argument).ok()?)?;
            (Item::Bytes(taken), rest)
        }
        3 => {
            let (taken, rest) = rest.split_at_checked(usize::try_from(argument).ok()?)?;
            (Item::Text(std::str::from_utf8(taken).ok()?), rest)
        }
        4 => {
            let (mut list, mut rest) = (Vec::new(), rest);
            for _ in 0..argument {
                let (item, after) = read_at(rest, depth + 1)?;
                list.push(item);
                rest = after;
            }
            (Item::List(list), rest)
        }
        5 => {
            let (mut pairs, mut rest) = (Vec::new(), rest);
            for _ in 0..argument {
                let (key, after) = read_at(rest, depth + 1)?;
                let (value, after) = read_at(after, depth + 1)?;
                pairs.push((key, value));
                rest = after;
            }
            (Item::Map(pairs), rest)
        }
        7 if first & 0x1f < 24 => (Item::Simple(first & 0x1f), rest),
        _ => return None,
    })
}

/// The number in a head; those of unknown length are not read.
fn argument(short: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    let width = match short {
        0..=23 => return Some((u64::from(short), rest)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (taken, rest) = rest.split_at_checked(width)?;
    Some((taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_rfc_8949_are_read() {
        let map = [0xa3, 0x01, 0x02, 0x03, 0x26, 0x61, b'x', 0x82, 0x41, 0xff, 0xf5];
        let (item, rest) = read(&map).unwrap();
        assert!(rest.is_empty());
        assert_eq!(item.get(&Item::Number(3)), Some(&Item::Number(-7)));
        let list = Item::List(vec![Item::Bytes(&[0xff]), Item::Simple(21)]);
        assert_eq!(item.get(&Item::Text("x")), Some(&list));
        assert_eq!(item.get(&Item::Number(9)), None);
        assert_eq!(read(&[0x19, 0x01, 0x00, 0x07]), Some((Item::Number(256), &[0x07][..])));
        assert_eq!(read(&[0x39, 0x01, 0x00]), Some((Item::Number(-257), &[][..])));
        let twice = [0xa2, 0x01, 0x02, 0x01, 0x03];
        assert_eq!(
            read(&twice).unwrap().0.get(&Item::Number(1)),
            None,
            "a key that stands twice says nothing"
        );
    }

    #[test]
    fn what_is_cut_or_claims_more_than_there_is_is_refused() {
        let whole = [0xa2, 0x01, 0x42, 0x01, 0x02, 0x19, 0x01, 0x00, 0x63, b'a', b'b', b'c'];
        assert!(read(&whole).is_some());
        for at in 0..whole.len() {
            assert_eq!(read(&whole[..at]), None, "{at}");
        }
        let huge = [0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        let long_list = [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        for bad in [
            &huge[..],
            &long_list,
            &[0x5f, 0xff],
            &[0x62, 0xff, 0xff],
            &[0xfb, 0, 0],
            &[0x81; 100],
            &[0xc0, 0x01],
        ] {
            assert_eq!(read(bad), None, "{bad:x?}");
        }
    }
}
