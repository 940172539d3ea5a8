//! What mails say: plain text, English, short lines. Names come from people, so each is brought to one line before it stands in a text.

/// Longest line taken from outside.
const LINE_MAX: usize = 200;

/// Subject and body of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// A text from outside as a part of one line: no line breaks, no other controls, no marks that turn the direction of text.
pub fn line(text: &str) -> String {
    let mut out = String::new();
    for word in
        text.split(|c: char| c.is_whitespace() || crate::text::is_unwanted(c)).filter(|word| !word.is_empty())
    {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    match out.char_indices().nth(LINE_MAX) {
        Some((end, _)) => format!("{}…", out.get(..end).unwrap_or_default()),
        None => out,
    }
}

/// A whole mail: a greeting, paragraphs, and whose service writes.
pub(crate) fn letter(subject: &str, name: &str, paragraphs: &[String], service: &str) -> Text {
    let mut body = format!("Hello {},\n\n", line(name));
    for paragraph in paragraphs {
        body.push_str(paragraph);
        body.push_str("\n\n");
    }
    body.push_str(&format!("-- \nSent by the access service at {service}\n"));
    Text { subject: subject.to_owned(), body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_stays_on_its_line() {
        let name = "Ann\r\nBcc: eve@evil.example\r\n\r\nClick\u{2028}here\u{202e}now\u{0}!";
        let text = letter("Subject", name, &["One.".to_owned()], "https://charter.example");
        assert!(text.body.starts_with("Hello Ann Bcc: eve@evil.example Click here now !,\n\nOne.\n\n-- \n"));
        assert!(!text.body.contains('\r'));
        assert_eq!(line("  a \t b\n"), "a b");
        assert_eq!(line(&"x".repeat(500)).chars().count(), LINE_MAX + 1);
    }
}
