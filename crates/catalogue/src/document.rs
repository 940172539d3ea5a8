//! A strict reader of TOML documents that people edit: it knows the line of each value, collects every fault instead of stopping at
//! the first, and refuses keys it was not asked for. The catalogue uses it, and so does any other document people write for Charter.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something wrong in a document, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Line, counted from 1, where one is known.
    pub line: Option<usize>,
    /// The place, as a path of keys.
    pub at: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl Fault {
    /// Line and path, where they are known.
    pub fn place(&self) -> String {
        match (self.line, self.at.is_empty()) {
            (Some(line), true) => format!("line {line}"),
            (Some(line), false) => format!("line {line}: {}", self.at),
            (None, _) => self.at.clone(),
        }
    }
}

/// How many faults there are, as the beginning of a sentence.
pub fn counted(faults: &[Fault]) -> String {
    match faults.len() {
        1 => "the document has a fault".to_owned(),
        many => format!("the document has {many} faults"),
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        f.write_str(&self.what)
    }
}

/// Collects faults of one document and knows where its lines begin.
#[derive(Debug, Default)]
pub struct Faults {
    line_starts: Vec<usize>,
    found: Vec<Fault>,
}

impl Faults {
    fn of(text: &str) -> Self {
        let line_starts = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1))
            .collect();
        Self { line_starts, found: Vec::new() }
    }

    /// The line, counted from 1, that holds a byte of the text.
    pub fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Records a fault at a byte of the text.
    pub fn add(&mut self, offset: usize, at: impl Into<String>, what: impl Into<String>) {
        let line = Some(self.line_of(offset));
        self.found.push(Fault { line, at: at.into(), what: what.into() });
    }

    /// Whether nothing was found so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    fn into_sorted(mut self) -> Vec<Fault> {
        self.found.sort();
        self.found.dedup();
        self.found
    }
}

/// Parses a document and walks it. Syntax faults end it at once, all of them together; after that `walk` sees the root table, and what it
/// returns counts only if it and the check for unknown keys found nothing wrong.
pub fn read<T>(
    text: &str,
    walk: impl FnOnce(&Table<'_, '_>, &mut Faults) -> Option<T>,
) -> Result<T, Vec<Fault>> {
    let mut faults = Faults::of(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        faults.add(offset, "", error.message().trim().replace('\n', ", "));
    }
    if !faults.is_empty() {
        return Err(faults.into_sorted());
    }
    let start = root.span().start;
    let root = Table::new(String::new(), start, root.get_ref());
    let made = walk(&root, &mut faults);
    root.finish(&mut faults);
    match made {
        Some(made) if faults.is_empty() => Ok(made),
        _ => {
            if faults.is_empty() {
                faults.add(0, "", "the document could not be read");
            }
            Err(faults.into_sorted())
        }
    }
}

/// One value of a document with its place.
#[derive(Debug, Clone)]
pub struct Value<'d, 'i> {
    /// The place, as a path of keys.
    pub at: String,
    /// The byte where it begins.
    pub offset: usize,
    value: &'d DeValue<'i>,
}

fn noun(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'d, 'i> Value<'d, 'i> {
    fn new(at: String, value: &'d Spanned<DeValue<'i>>) -> Self {
        Self { at, offset: value.span().start, value: value.get_ref() }
    }

    /// Records a fault at this value.
    pub fn fault(&self, faults: &mut Faults, what: impl Into<String>) {
        faults.add(self.offset, self.at.clone(), what);
    }

    fn wrong<T>(&self, faults: &mut Faults, wanted: &str) -> Option<T> {
        self.fault(faults, format!("{wanted} is expected here, not {}", noun(self.value)));
        None
    }

    /// The raw value.
    pub fn raw(&self) -> &'d DeValue<'i> {
        self.value
    }

    /// The text.
    pub fn text(&self, faults: &mut Faults) -> Option<String> {
        match self.value {
            DeValue::String(text) => Some(text.clone().into_owned()),
            _ => self.wrong(faults, "a text"),
        }
    }

    /// The text as something that reads from text.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&self, faults: &mut Faults) -> Option<T> {
        let text = self.text(faults)?;
        match text.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.fault(faults, format!("`{text}` is {error}"));
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T>(
        &self,
        faults: &mut Faults,
        words: &[&str],
        from_word: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(faults)?;
        let found = from_word(&text);
        if found.is_none() {
            self.fault(faults, format!("`{text}` is not known here; write one of {}", words.join(", ")));
        }
        found
    }

    /// True or false.
    pub fn flag(&self, faults: &mut Faults) -> Option<bool> {
        match self.value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.wrong(faults, "true or false"),
        }
    }

    /// A whole number.
    pub fn integer(&self, faults: &mut Faults) -> Option<i64> {
        match self.value {
            DeValue::Integer(number) => {
                match i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()) {
                    Ok(number) => Some(number),
                    Err(_) => {
                        self.fault(faults, "the number is too large; 64 bits with sign is the most");
                        None
                    }
                }
            }
            _ => self.wrong(faults, "a whole number"),
        }
    }

    /// A time: a text or a TOML date and time with offset.
    pub fn time(&self, faults: &mut Faults) -> Option<charter_kernel::Timestamp> {
        let text = match self.value {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Datetime(time) => time.to_string(),
            _ => return self.wrong(faults, "a time such as 2026-03-01T08:30:00Z"),
        };
        match text.parse() {
            Ok(time) => Some(time),
            Err(error) => {
                self.fault(faults, format!("`{text}` is {error}"));
                None
            }
        }
    }

    /// The items of a list.
    pub fn list(&self, faults: &mut Faults) -> Option<Vec<Value<'d, 'i>>> {
        match self.value {
            DeValue::Array(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| Value::new(format!("{}[{}]", self.at, index + 1), item))
                    .collect(),
            ),
            _ => self.wrong(faults, "a list"),
        }
    }

    /// A list of things that read from text; faulty items are reported and left out.
    pub fn list_parsed<T: FromStr<Err: fmt::Display>>(&self, faults: &mut Faults) -> Vec<T> {
        let items = self.list(faults).unwrap_or_default();
        items.iter().filter_map(|item| item.parsed(faults)).collect()
    }

    /// The table.
    pub fn table(&self, faults: &mut Faults) -> Option<Table<'d, 'i>> {
        match self.value {
            DeValue::Table(entries) => Some(Table::new(self.at.clone(), self.offset, entries)),
            _ => self.wrong(faults, "a table"),
        }
    }
}

/// One table of a document; it remembers which keys were asked for, so that the rest can be refused.
#[derive(Debug)]
pub struct Table<'d, 'i> {
    /// The place, as a path of keys.
    pub at: String,
    /// The byte where it begins.
    pub offset: usize,
    entries: &'d DeTable<'i>,
    known: RefCell<BTreeSet<String>>,
}

/// A key as a person writes it in a path.
fn path_key(key: &str) -> String {
    let bare =
        !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if bare { key.to_owned() } else { quote(key) }
}

impl<'d, 'i> Table<'d, 'i> {
    fn new(at: String, offset: usize, entries: &'d DeTable<'i>) -> Self {
        Self { at, offset, entries, known: RefCell::default() }
    }

    fn path(&self, key: &str) -> String {
        let key = path_key(key);
        if self.at.is_empty() { key } else { format!("{}.{key}", self.at) }
    }

    /// Records a fault at this table.
    pub fn fault(&self, faults: &mut Faults, what: impl Into<String>) {
        faults.add(self.offset, self.at.clone(), what);
    }

    /// Whether the key is there, without asking for it.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.get_ref() == key)
    }

    /// The value of a key that may be left out.
    pub fn maybe(&self, key: &str) -> Option<Value<'d, 'i>> {
        self.known.borrow_mut().insert(key.to_owned());
        self.entries
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| Value::new(self.path(key), value))
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str, faults: &mut Faults) -> Option<Value<'d, 'i>> {
        let found = self.maybe(key);
        if found.is_none() {
            self.fault(faults, format!("`{key}` is missing"));
        }
        found
    }

    /// Every entry: key, the byte where the key stands, value. All keys count as asked for.
    pub fn entries(&self) -> Vec<(String, usize, Value<'d, 'i>)> {
        let mut known = self.known.borrow_mut();
        self.entries
            .iter()
            .map(|(name, value)| {
                let key = name.get_ref().clone().into_owned();
                known.insert(key.clone());
                (key.clone(), name.span().start, Value::new(self.path(&key), value))
            })
            .collect()
    }

    /// Reports each key nobody asked for.
    pub fn finish(&self, faults: &mut Faults) {
        let known = self.known.borrow();
        for (name, _) in self.entries {
            let key: &str = name.get_ref();
            if !known.contains(key) {
                let place = if self.at.is_empty() { "the document" } else { "this table" };
                let allowed: Vec<&str> = known.iter().map(String::as_str).collect();
                let what = match nearest(key, &allowed) {
                    Some(near) => format!("unknown key; did you mean `{near}`?"),
                    None => format!("unknown key; {place} knows {}", allowed.join(", ")),
                };
                faults.add(name.span().start, self.path(key), what);
            }
        }
    }
}

/// The word that was probably meant: at most two letters away, or the same letters in another order of size.
pub fn nearest<'w>(wrong: &str, words: &[&'w str]) -> Option<&'w str> {
    if wrong.len() > 80 {
        return None;
    }
    words
        .iter()
        .map(|word| (distance(wrong, word), *word))
        .filter(|(far, word)| *far <= 2 && *far * 3 <= word.chars().count().max(3))
        .min()
        .map(|(_, word)| word)
}

/// Edit distance by insertion, deletion and replacement.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut next = vec![index + 1];
        for (column, other) in right.iter().enumerate() {
            let above = row.get(column + 1).copied().unwrap_or(usize::MAX - 1) + 1;
            let before = next.last().copied().unwrap_or(usize::MAX - 1) + 1;
            let diagonal = row.get(column).copied().unwrap_or(usize::MAX - 1) + usize::from(letter != *other);
            next.push(above.min(before).min(diagonal));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// A text as a TOML basic string.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Texts as a TOML list on one line.
pub fn quote_list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quote(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}
