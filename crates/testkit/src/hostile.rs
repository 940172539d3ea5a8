//! Hostile texts for everything that reads text from outside: good ones bent, cut, doubled and spliced, and plain rubbish. The same
//! seed gives the same texts. `CHARTER_FUZZ_CASES` says how many, `CHARTER_FUZZ_SEED` which; a test that fails prints the text.

/// What readers stumble over.
const PIECES: &[&str] = &[
    "\0",
    "\r\n",
    "\n",
    "\u{feff}",
    "\u{202e}",
    "\u{2028}",
    "e\u{301}",
    "\u{fb00}",
    "\u{1d7d9}",
    "\u{1f600}",
    "'",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "<",
    "&",
    "%00",
    "%",
    "../",
    "$",
    "=",
    ",",
    ";",
    ":",
    ".",
    "-",
    "+",
    "/",
    "*",
    " ",
    "\t",
    "@",
    "#",
    "0",
    "-1",
    "65536",
    "4294967296",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
    "1e999",
    "0x1f",
    "NaN",
    "null",
    "true",
    "9999-12-31T23:59:60Z",
    "255.255.255.255/33",
    "::ffff:1.2.3.4",
];
/// Longest text, in bytes, a little more or less.
const LENGTH_MAX: usize = 20_000;

/// A stream of texts.
#[derive(Debug, Clone)]
pub struct Texts<'a> {
    seeds: &'a [&'a str],
    left: u32,
    state: u64,
}

/// Texts grown from good ones, as many as the environment asks for, or this many.
pub fn texts<'a>(seeds: &'a [&'a str], usually: u32) -> Texts<'a> {
    let left = number("CHARTER_FUZZ_CASES").and_then(|it| u32::try_from(it).ok()).unwrap_or(usually);
    Texts { seeds, left, state: number("CHARTER_FUZZ_SEED").unwrap_or(1) }
}

#[expect(clippy::disallowed_methods, reason = "how long tests go on is for whoever runs them")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The nearest place at or before which a text can be cut.
fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl Texts<'_> {
    fn below(&mut self, bound: usize) -> usize {
        // splitmix64
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((word ^ word >> 31) % bound.max(1) as u64).unwrap_or_default()
    }

    fn place(&mut self, text: &str) -> usize {
        let at = self.below(text.len() + 1);
        floor(text, at)
    }

    fn piece(&mut self) -> String {
        match self.below(12) {
            0 => "A".repeat(self.below(3_000)),
            1 => "[".repeat(self.below(3_000)),
            2 => "9".repeat(self.below(400)),
            3 => (0..self.below(40)).filter_map(|_| char::from_u32(self.below(0x11_0000) as u32)).collect(),
            4 => (0..self.below(40)).map(|_| char::from(self.below(128) as u8)).collect(),
            _ => PIECES.get(self.below(PIECES.len())).copied().unwrap_or_default().to_owned(),
        }
    }

    fn seed(&mut self) -> String {
        let at = self.below(self.seeds.len());
        self.seeds.get(at).copied().unwrap_or_default().to_owned()
    }

    fn bend(&mut self, text: &mut String) {
        let (a, b) = (self.place(text), self.place(text));
        let (from, to) = (a.min(b), a.max(b));
        match self.below(7) {
            0 => text.replace_range(from..to, ""),
            1 => {
                let piece = self.piece();
                text.insert_str(from, &piece);
            }
            2 => {
                let piece = self.piece();
                text.replace_range(from..to, &piece);
            }
            3 => {
                let part = text.get(from..to).unwrap_or_default().repeat(1 + self.below(3));
                text.insert_str(to, &part);
            }
            4 => text.truncate(from),
            5 => {
                let other = self.seed();
                let at = self.place(&other);
                text.replace_range(from.., other.get(at..).unwrap_or_default());
            }
            _ => {
                let part = text.get(from..to).unwrap_or_default();
                let turned = if self.below(2) == 0 { part.to_uppercase() } else { part.to_lowercase() };
                text.replace_range(from..to, &turned);
            }
        }
        if text.len() > LENGTH_MAX {
            text.truncate(floor(text, LENGTH_MAX));
        }
    }
}

impl Iterator for Texts<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.left = self.left.checked_sub(1)?;
        if self.below(8) == 0 {
            return Some(self.piece());
        }
        let mut text = self.seed();
        for _ in 0..self.below(5) {
            self.bend(&mut text);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_repeat_and_stay_within_bounds() {
        let seeds = ["$2b$10$salt", "m=19,t=2,p=1", "грюн"];
        let some: Vec<String> = Texts { seeds: &seeds, left: 500, state: 3 }.collect();
        let same: Vec<String> = Texts { seeds: &seeds, left: 500, state: 3 }.collect();
        assert_eq!(some, same);
        assert!(some.iter().all(|text| text.len() <= LENGTH_MAX));
        let different: std::collections::BTreeSet<&String> = some.iter().collect();
        assert!(different.len() > 300 && some.iter().any(|text| seeds.contains(&text.as_str())));
    }
}
