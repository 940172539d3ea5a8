//! What rows come to: the same rows in the same order give the same words, and other rows give others.

use sha2::{Digest, Sha256};

/// A sum over rows.
#[derive(Debug, Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Takes up a row of a kind. Lengths go in, so that no two lists of columns look alike.
    pub fn row(&mut self, kind: &str, columns: &[Option<&str>]) {
        let mut part = |text: Option<&str>| match text {
            None => self.0.update([0xff; 8]),
            Some(text) => {
                self.0.update((text.len() as u64).to_be_bytes());
                self.0.update(text.as_bytes());
            }
        };
        part(Some(kind));
        for column in columns {
            part(*column);
        }
        self.0.update([0xfe]);
    }

    /// What it came to.
    #[must_use]
    pub fn words(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&[Option<&str>]]) -> String {
        let mut sum = Fingerprint::default();
        for row in rows {
            sum.row("row", row);
        }
        sum.words()
    }

    #[test]
    fn nothing_and_an_empty_text_and_moved_letters_differ() {
        let all = [
            of(&[&[Some("ab"), Some("c")]]),
            of(&[&[Some("a"), Some("bc")]]),
            of(&[&[Some("ab")], &[Some("c")]]),
            of(&[&[Some("ab"), Some("c"), None]]),
            of(&[&[Some("ab"), Some("c"), Some("")]]),
        ];
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(all[0], of(&[&[Some("ab"), Some("c")]]));
    }
}
