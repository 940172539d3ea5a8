//! Just enough of Rust's grammar to tell code, comments and string literals apart, so that a rule about SQL looks
//! at literals and not at prose.

/// A string literal: the line it starts on and its text, escapes left as written.
#[derive(Debug, PartialEq, Eq)]
pub struct Literal {
    /// Line of the opening quote, from 1.
    pub line: usize,
    /// What stands between the quotes.
    pub text: String,
}

/// Every string literal of a source text, plain, raw, byte and C, in order. Comments and `char` literals are skipped.
#[must_use]
pub fn literals(source: &str) -> Vec<Literal> {
    let mut scanner = Scanner { rest: source.chars().collect(), at: 0, line: 1, found: Vec::new() };
    scanner.run();
    scanner.found
}

struct Scanner {
    rest: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Literal>,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek(0)?;
        self.at += 1;
        if next == '\n' {
            self.line += 1;
        }
        Some(next)
    }

    fn run(&mut self) {
        let mut before = ' '; // the character before the current one tells `r"` from `var"`
        while let Some(current) = self.peek(0) {
            match (current, self.peek(1)) {
                ('/', Some('/')) => self.skip_line(),
                ('/', Some('*')) => self.skip_block(),
                ('"', _) => self.string(),
                ('\'', _) => self.character_or_lifetime(),
                ('r', Some('"' | '#')) if !is_word(before) || matches!(before, 'b' | 'c') => {
                    self.raw_string()
                }
                _ => {
                    self.bump();
                }
            }
            before = current;
        }
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|next| next != '\n') {
            self.bump();
        }
    }

    fn skip_block(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.bump();
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.bump();
                }
                (None, _) => return,
                _ => {}
            }
            self.bump();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        let line = self.line;
        let mut text = String::new();
        self.bump();
        while let Some(next) = self.bump() {
            match next {
                '"' => break,
                '\\' => {
                    text.push(next);
                    text.extend(self.bump());
                }
                _ => text.push(next),
            }
        }
        self.found.push(Literal { line, text });
    }

    fn raw_string(&mut self) {
        let start = self.at;
        self.bump();
        let mut hashes = 0_usize;
        while self.peek(0) == Some('#') {
            self.bump();
            hashes += 1;
        }
        if self.peek(0) != Some('"') {
            self.at = start + 1; // a raw identifier such as r#type
            return;
        }
        let line = self.line;
        self.bump();
        let mut text = String::new();
        while let Some(next) = self.bump() {
            if next == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.at += hashes;
                break;
            }
            text.push(next);
        }
        self.found.push(Literal { line, text });
    }

    fn character_or_lifetime(&mut self) {
        self.bump();
        match (self.peek(0), self.peek(1)) {
            (Some('\\'), _) => {
                self.bump();
                self.bump();
                while self.peek(0).is_some_and(|next| next != '\'' && next != '\n') {
                    self.bump();
                }
                self.bump();
            }
            (Some(_), Some('\'')) => {
                self.bump();
                self.bump();
            }
            _ => {}
        }
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
