//! How results look: short aligned tables and sentences, the same whether or not a terminal reads them.

use std::borrow::Cow;
use std::io::Write;

/// Whether a terminal would obey a character, or show nothing of it: controls, marks that turn the direction of text, and other
/// characters that only format.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text as a terminal may get it: what it would obey, or hide, stands there by its number. Lines and tabs stay.
pub fn shown(text: &str) -> Cow<'_, str> {
    let is_escaped = |c: char| is_unseen(c) && !matches!(c, '\n' | '\t');
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut told = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_escaped(c) { told.extend(c.escape_unicode()) } else { told.push(c) }
    }
    Cow::Owned(told)
}

/// A text in one line, without controls.
fn one_line(text: &str) -> String {
    shown(&text.replace(char::is_control, " ")).into_owned()
}

/// How wide a table with cells that may be cut is, so that it fits a terminal.
const TABLE_WIDTH: usize = 100;
/// No column is cut below this.
const COLUMN_MIN: usize = 8;

/// The same text, cut to so many characters with an ellipsis for what is missing.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// An aligned table that fits a terminal: what is too long is cut, in the widest columns first.
pub fn table_within(heading: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let room = TABLE_WIDTH.saturating_sub(2 * heading.len().saturating_sub(1));
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().max() else { break };
        if *widest <= COLUMN_MIN {
            break;
        }
        *widest -= 1;
    }
    let fits = |row: &Vec<String>| row.iter().zip(&widths).map(|(cell, width)| cut(cell, *width)).collect();
    table(heading, &rows.iter().map(fits).collect::<Vec<_>>())
}

/// An aligned table with a heading; nothing but the heading when there are no rows.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&heading).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', (width + 2).saturating_sub(cell.chars().count())));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How wide running text grows.
const WIDTH: usize = 100;

/// The words between which lines are broken: they stand at single blanks. Several blanks beside one another are part of a word, as
/// somebody may have to type them.
fn words(text: &str) -> Vec<String> {
    let is_blank = |c: char| c == ' ' || (c.is_whitespace() && c.is_control());
    let mut words: Vec<String> = Vec::new();
    let mut rest = text.trim_matches(is_blank);
    let mut word = String::new();
    while let Some(at) = rest.find(is_blank) {
        let (before, after) = rest.split_at(at);
        let next = after.trim_start_matches(is_blank);
        let blanks = after.strip_suffix(next).unwrap_or_default();
        word.push_str(before);
        if blanks.chars().count() > 1 && !blanks.contains(char::is_control) {
            word.push_str(blanks);
        } else {
            words.push(std::mem::take(&mut word));
        }
        rest = next;
    }
    word.push_str(rest);
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Running text under a heading: broken between words, further lines as far in as the first.
pub fn wrapped(heading: &str, text: &str) -> String {
    let indent = heading.chars().count();
    let mut told = heading.to_owned();
    let mut column = indent;
    for (at, word) in words(text).into_iter().enumerate() {
        let word = shown(&word.replace(char::is_control, "")).into_owned();
        let width = word.chars().count();
        if at > 0 && column + 1 + width > WIDTH {
            told.push('\n');
            told.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if at > 0 {
            told.push(' ');
            column += 1;
        }
        told.push_str(&word);
        column += width;
    }
    told.truncate(told.trim_end().len());
    told.push('\n');
    told
}

/// A text with every time of the API in it cut to the second.
pub fn to_the_second(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    // 2026-03-01T08:30:00.123456Z: the fraction begins at the dot after nineteen characters.
    while let Some(at) = rest.find('.') {
        let (before, after) = rest.split_at(at);
        let start = at.checked_sub(19).and_then(|start| before.get(start..));
        let is_time = start.is_some_and(|time| {
            time.bytes().enumerate().all(|(place, byte)| match place {
                4 | 7 => byte == b'-',
                10 => byte == b'T',
                13 | 16 => byte == b':',
                _ => byte.is_ascii_digit(),
            })
        });
        let fraction = after.get(1..7).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        told.push_str(before);
        match after.get(7..) {
            Some(zone) if is_time && fraction && zone.starts_with('Z') => rest = zone,
            _ => {
                told.push('.');
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    told.push_str(rest);
    told
}

fn write(mut out: impl Write, text: &str) {
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Writes to standard output, for a person; a reader who went away (`| head`) is no fault.
pub fn print(text: &str) {
    exactly(&shown(text));
}

/// Writes JSON, or a document, to standard output as it is: it is for a program.
pub fn exactly(text: &str) {
    write(std::io::stdout().lock(), text);
}

/// Writes to standard error.
pub fn complain(text: &str) {
    write(std::io::stderr().lock(), &shown(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_broken_between_words_and_stays_under_its_heading() {
        let told = wrapped("  why  ", &"word ".repeat(40));
        assert!(told.lines().all(|line| line.chars().count() <= WIDTH), "{told}");
        assert!(told.lines().skip(1).all(|line| line.starts_with("       word")), "{told}");
        assert_eq!(wrapped("  none  ", ""), "  none\n");
        assert_eq!(wrapped("", "a\u{1b}[31m b\nc"), "a[31m b c\n");
        assert_eq!(wrapped("", " a\n   b \t c "), "a b c\n");
    }

    #[test]
    fn several_blanks_beside_one_another_stay_as_they_are_and_no_line_is_broken_there() {
        for before in 70..100 {
            let told =
                wrapped("- ", &format!("{} accept it with --accept \"night  shift\"", "x".repeat(before)));
            assert!(told.contains("\"night  shift\""), "{told}");
        }
        assert_eq!(wrapped("", "a  b\u{a0}c d"), "a  b\u{a0}c d\n");
    }

    #[test]
    fn a_table_fits_a_terminal_and_its_widest_columns_are_cut_first() {
        let cell = |letter: char, count: usize| letter.to_string().repeat(count);
        let rows = [
            vec![cell('a', 12), cell('b', 90), "🧸".repeat(60)],
            vec![cell('c', 3), "-".to_owned(), String::new()],
        ];
        let told = table_within(&["role", "gives more", "gives less"], &rows);
        assert!(told.lines().all(|line| line.chars().count() <= TABLE_WIDTH), "{told}");
        assert!(told.contains(&cell('a', 12)) && told.matches('…').count() == 2, "{told}");
        assert_eq!(table_within(&["a"], &[vec!["b".to_owned()]]), table(&["a"], &[vec!["b".to_owned()]]));
    }

    #[test]
    fn what_turns_or_hides_text_is_shown_by_its_number() {
        assert_eq!(shown("a\tb\nÄ 🧸 شركة"), "a\tb\nÄ 🧸 شركة");
        assert_eq!(shown("gpj.\u{202e}exe\u{200b}\u{feff}"), "gpj.\\u{202e}exe\\u{200b}\\u{feff}");
        assert_eq!(shown("\u{1b}[2J\u{9b}\r"), "\\u{1b}[2J\\u{9b}\\u{d}");
        let cell = |text: &str| text.to_owned();
        let told = table(&["NAME", "KEY"], &[vec![cell("a\u{202e}b\nc"), cell("x")]]);
        assert_eq!(told, "NAME          KEY\na\\u{202e}b c  x\n");
        assert_eq!(wrapped("", "a\u{2066}b c"), "a\\u{2066}b c\n");
    }

    #[test]
    fn times_lose_their_fraction_and_nothing_else_does() {
        let told =
            to_the_second("from 2026-11-21T06:42:36.395711Z until 2026-11-22T00:00:00.000000Z: v1.123456Z.");
        assert_eq!(told, "from 2026-11-21T06:42:36Z until 2026-11-22T00:00:00Z: v1.123456Z.");
        assert_eq!(to_the_second("2026-11-21T06:42:36.5Z"), "2026-11-21T06:42:36.5Z");
        assert_eq!(to_the_second("ä.ö"), "ä.ö");
    }
}
