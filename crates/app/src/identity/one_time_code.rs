//! Codes that are shown once and typed by people later: letters that are not read as each other, in groups.

use crate::App;
use zeroize::Zeroizing;

/// No letters that are read as digits or as each other: 5 bits a character.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const GROUP: usize = 5;

/// A code of so many groups of five characters, 25 bits each; eight groups at most.
pub(super) fn make(app: &App, groups: usize) -> Zeroizing<String> {
    let random: Zeroizing<[u8; 40]> = Zeroizing::new(app.world().random());
    let letters =
        random.iter().filter_map(|byte| LETTERS.get(usize::from(byte % 32)).copied().map(char::from));
    let mut code = Zeroizing::new(String::with_capacity(groups * (GROUP + 1)));
    for (at, letter) in letters.take(groups * GROUP).enumerate() {
        if at > 0 && at % GROUP == 0 {
            code.push('-');
        }
        code.push(letter);
    }
    code
}

/// Brings a typed code into the form it was made in: case, blanks and hyphens do not matter, O is 0, I and L are 1.
pub(super) fn normal(code: &str) -> Zeroizing<String> {
    let mut normal = Zeroizing::new(String::with_capacity(code.len()));
    normal.extend(code.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| {
        match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        }
    }));
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_typed_code_makes_the_reader_stumble() {
        for typed in charter_testkit::hostile::texts(&["0123-abcd-EFGH", "OILo il-01", "K7QM 2Z9X"], 3_000) {
            let once = normal(&typed);
            assert_eq!(*normal(&once), *once, "{typed:?}");
            assert!(!once.contains([' ', '-']), "{typed:?}");
        }
    }

    #[test]
    fn a_code_is_read_however_it_was_typed() {
        assert_eq!(*normal("ab1-O0 il\n"), "AB10011");
        assert!(
            LETTERS
                .iter()
                .all(|letter| *normal(&char::from(*letter).to_string()) == char::from(*letter).to_string())
        );
    }
}
