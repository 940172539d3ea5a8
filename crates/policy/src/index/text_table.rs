//! Texts to numbers: the table that every check by texts goes through.

/// Texts to numbers: open addressing, one multiplication per eight bytes.
#[derive(Debug, Default)]
pub(super) struct TextTable {
    slots: Box<[u16]>,
    keys: Box<[Box<str>]>,
}

const FREE: u16 = u16::MAX;

#[inline]
fn hash_text(text: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = text.len() as u64;
    let mut mix = |word: u64| hash = (hash.rotate_left(23) ^ word).wrapping_mul(K);
    if let Some(last) = text.last_chunk::<8>() {
        let (words, _) = text.as_chunks::<8>();
        for word in words {
            mix(u64::from_le_bytes(*word));
        }
        mix(u64::from_le_bytes(*last));
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        mix(u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)));
    } else {
        mix(text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    hash ^ hash >> 32
}

impl TextTable {
    pub(super) fn new(keys: Vec<Box<str>>) -> Self {
        let size = (keys.len() * 4).next_power_of_two().max(4);
        let mut slots = vec![FREE; size];
        for (at, key) in keys.iter().enumerate() {
            let mut place = hash_text(key.as_bytes()) as usize & (size - 1);
            while slots.get(place).is_some_and(|slot| *slot != FREE) {
                place = (place + 1) & (size - 1);
            }
            if let Some(slot) = slots.get_mut(place) {
                *slot = at as u16;
            }
        }
        Self { slots: slots.into(), keys: keys.into() }
    }

    #[inline]
    pub(super) fn get(&self, text: &str) -> Option<u16> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = hash_text(text.as_bytes()) as usize & mask;
        loop {
            let at = *self.slots.get(place)?;
            if at == FREE {
                return None;
            }
            if self.keys.get(usize::from(at)).is_some_and(|key| **key == *text) {
                return Some(at);
            }
            place = (place + 1) & mask;
        }
    }
}
