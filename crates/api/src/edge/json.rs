//! Strict JSON: UTF-8, at most 32 levels, no key twice, nothing after the value, and messages that name the field. A scan
//! of the bytes finds what a parser would let pass; serde_json does the rest, and only a failed parse pays for its path.

use super::objects::Objects;
use charter_kernel::{Problem, ProblemKind};
use serde::Deserialize;
use std::borrow::Cow;

/// Objects and arrays inside each other, at most.
pub const DEPTH_MAX: usize = 32;

/// Keys up to which an object is searched one by one; larger ones are sorted at their end.
const FEW_KEYS: usize = 24;

/// Reads a value, which may borrow from the bytes. Unreadable text is `Malformed`, readable text with wrong values is `Invalid` with the field's name.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    let text = check(bytes)?;
    let mut parser = serde_json::Deserializer::from_str(text);
    match T::deserialize(Objects(&mut parser)).and_then(|value| parser.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(_) => read_again(text),
    }
}

/// Checks what a parser would let pass, and gives the text to parse.
pub fn check(bytes: &[u8]) -> Result<&str, Problem> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(flaw) => {
            return Err(malformed(format!("the body is not UTF-8: byte {} is wrong", flaw.valid_up_to())));
        }
    };
    if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Err(malformed("the body is empty: a JSON value is expected"));
    }
    Scan { starts: Vec::with_capacity(4), keys: Vec::with_capacity(12), ..Scan::default() }.run(text)?;
    Ok(text)
}

fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Malformed, detail)
}

#[derive(Default)]
struct Scan<'a> {
    depth: usize,
    /// One bit a level: set for objects.
    objects: u64,
    /// Where the keys of the objects around us begin.
    starts: Vec<usize>,
    keys: Vec<Cow<'a, str>>,
    key_comes: bool,
}

impl<'a> Scan<'a> {
    fn run(&mut self, text: &'a str) -> Result<(), Problem> {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    let end = string_end(bytes, at)?;
                    if self.key_comes {
                        self.key_comes = false;
                        self.key(text.get(at..end.at).unwrap_or_default(), end.has_escapes)?;
                    }
                    at = end.at + 1;
                }
                b'{' => self.open(true)?,
                b'[' => self.open(false)?,
                b'}' | b']' => self.close()?,
                b',' => self.key_comes = self.in_object(),
                _ => {}
            }
        }
        Ok(())
    }

    fn in_object(&self) -> bool {
        self.depth > 0 && self.objects >> (self.depth - 1) & 1 == 1
    }

    fn open(&mut self, is_object: bool) -> Result<(), Problem> {
        if self.depth == DEPTH_MAX {
            return Err(malformed(format!("the body is nested too deeply: at most {DEPTH_MAX} levels")));
        }
        let bit = 1 << self.depth;
        self.depth += 1;
        if is_object {
            self.objects |= bit;
            self.starts.push(self.keys.len());
        } else {
            self.objects &= !bit;
        }
        self.key_comes = is_object;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        if self.in_object()
            && let Some(start) = self.starts.pop()
        {
            if let Some(keys) = self.keys.get_mut(start..)
                && keys.len() > FEW_KEYS
            {
                keys.sort_unstable();
                if let Some(twice) = keys
                    .windows(2)
                    .find_map(|pair| if let [a, b] = pair { (a == b).then_some(a) } else { None })
                {
                    return Err(duplicate(twice));
                }
            }
            self.keys.truncate(start);
        }
        self.depth = self.depth.saturating_sub(1);
        self.key_comes = false;
        Ok(())
    }

    fn key(&mut self, raw: &'a str, has_escapes: bool) -> Result<(), Problem> {
        let key = if has_escapes {
            match serde_json::from_str::<String>(&format!("\"{raw}\"")) {
                Ok(key) => Cow::Owned(key),
                // The parser says what is wrong with it.
                Err(_) => return Ok(()),
            }
        } else {
            Cow::Borrowed(raw)
        };
        let start = self.starts.last().copied().unwrap_or_default();
        if let Some(keys) = self.keys.get(start..)
            && keys.len() < FEW_KEYS
            && keys.contains(&key)
        {
            return Err(duplicate(&key));
        }
        self.keys.push(key);
        Ok(())
    }
}

fn duplicate(key: &str) -> Problem {
    let key: String = key.chars().take(64).collect();
    let mut problem = malformed(format!("the key `{key}` stands twice in one object: say it once"));
    problem.fields.push(field(key, "stands twice in one object".to_owned()));
    problem
}

struct StringEnd {
    at: usize,
    has_escapes: bool,
}

/// Position of the closing quote of the string whose text begins at `at`; refuses half a surrogate pair, which a parser
/// that skips a value does not look at.
fn string_end(bytes: &[u8], mut at: usize) -> Result<StringEnd, Problem> {
    let mut has_escapes = false;
    let mut expects_low = false;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(step) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else {
            return Err(malformed("the body ends inside a text: a closing quote is missing"));
        };
        if expects_low && (step > 0 || rest.get(..2) != Some(b"\\u")) {
            return Err(lone_surrogate());
        }
        at += step;
        if bytes.get(at) == Some(&b'"') {
            return Ok(StringEnd { at, has_escapes });
        }
        has_escapes = true;
        if bytes.get(at + 1) == Some(&b'u') {
            let digits = bytes.get(at + 2..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
            match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
                Some(0xd800..=0xdbff) if !expects_low => expects_low = true,
                Some(0xdc00..=0xdfff) if expects_low => expects_low = false,
                Some(0xd800..=0xdfff) => return Err(lone_surrogate()),
                _ if expects_low => return Err(lone_surrogate()),
                _ => {}
            }
            at += 6;
        } else {
            at += 2;
        }
    }
}

fn lone_surrogate() -> Problem {
    malformed("a text holds half of a surrogate pair (\\ud800 to \\udfff come in pairs)")
}

/// The slow path: parses once more to learn where it went wrong.
#[cold]
fn read_again<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let flaw = match serde_path_to_error::deserialize::<_, T>(Objects(&mut parser)) {
        Ok(value) => {
            return match parser.end() {
                Ok(()) => Ok(value),
                Err(flaw) => Err(malformed(format!("the body goes on after the JSON value: {flaw}"))),
            };
        }
        Err(flaw) => flaw,
    };
    let mut path = dotted(flaw.path());
    let flaw = flaw.into_inner();
    if !flaw.is_data() {
        return Err(malformed(format!("the body is not JSON: {flaw}")));
    }
    let message = flaw.to_string();
    let place = format!(" at line {} column {}", flaw.line(), flaw.column());
    let message = message.strip_suffix(&place).unwrap_or(&message);
    Err(wrong_value(&mut path, message))
}

fn dotted(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        if !text.is_empty() {
            text.push('.');
        }
        match segment {
            Segment::Seq { index } => text.push_str(&index.to_string()),
            Segment::Map { key } => text.push_str(key),
            Segment::Enum { variant } => text.push_str(variant),
            Segment::Unknown => text.push('?'),
        }
    }
    text.chars().take(200).collect()
}

/// Turns serde's message into a field and what is wrong with it.
pub(crate) fn wrong_value(path: &mut String, message: &str) -> Problem {
    let named = |prefix: &str| message.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
    if let Some(missing) = named("missing field `") {
        push(path, missing);
        return invalid(path, "is missing".to_owned());
    }
    if let Some(unknown) = named("unknown field `") {
        if path.rsplit('.').next() != Some(unknown) {
            push(path, unknown);
        }
        let expected = match message.split_once("expected ") {
            Some((_, expected)) => format!("is unknown: expected {expected}"),
            None => "is unknown: no field is expected here".to_owned(),
        };
        return invalid(path, expected);
    }
    invalid(path, in_plain_words(message))
}

/// What a value of a wrong type is told as, without the names of our types.
fn in_plain_words(message: &str) -> String {
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        return match rest.split_once(", expected ") {
            Some((found, expected)) => format!("is {found}, expected {expected}"),
            None => format!("is {rest}, which is not possible"),
        };
    }
    let of_type = message.strip_prefix("invalid type: ");
    let Some((found, expected)) = of_type.and_then(|rest| rest.split_once(", expected ")) else {
        return message.to_owned();
    };
    let found = match found {
        "sequence" => "a list",
        "map" => "an object",
        "unit" => "null",
        _ => found,
    };
    let expected = match expected {
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "true or false",
        _ if expected.starts_with("struct ") => "an object",
        _ if expected.contains("enum ") => "one of the forms of the API document",
        _ => expected,
    };
    format!("is {found}, expected {expected}")
}

fn push(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.extend(name.chars().take(64));
}

fn invalid(path: &str, detail: String) -> Problem {
    let detail: String = detail.chars().take(600).collect();
    if path.is_empty() || path == "." {
        return Problem::new(ProblemKind::Invalid, format!("the body: {detail}"));
    }
    Problem {
        fields: vec![field(path.to_owned(), detail.clone())],
        ..Problem::new(
            ProblemKind::Invalid,
            format!("{path}{} {detail}", if detail.starts_with("is ") { "" } else { ":" }),
        )
    }
}

fn field(field: String, detail: String) -> charter_kernel::problem::FieldProblem {
    charter_kernel::problem::FieldProblem { field, detail }
}
