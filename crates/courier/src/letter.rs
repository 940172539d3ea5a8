//! A letter as an e-mail message (RFC 5322): UTF-8 plain text, one reader. Headers are written by the library from parsed values, so no
//! text from outside can begin a header of its own.

use charter_app::mail::{Letter, Undelivered};
use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message};
use std::time::{Duration, UNIX_EPOCH};

/// Longest line that may travel as it stands (RFC 5322).
const LINE_MAX: usize = 998;

/// Says that no person wrote this, so that no absence notice answers it (RFC 3834).
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Who mails are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(Mailbox);

impl Sender {
    /// `charter@example.com` or `Charter <charter@example.com>`.
    ///
    /// # Errors
    /// When the text is no address.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("has control characters".to_owned());
        }
        text.trim().parse().map(Self).map_err(|error| format!("is no address of mail: {error}"))
    }

    pub(crate) fn domain(&self) -> &str {
        self.0.email.domain()
    }
}

/// The message of a letter.
pub(crate) fn message(sender: &Sender, letter: &Letter) -> Result<Message, Undelivered> {
    let never = |what: String| Undelivered::Never(what);
    let address = letter
        .recipient
        .parse()
        .map_err(|error| never(format!("the recipient is no address of mail: {error}")))?;
    let seconds = u64::try_from(letter.at.seconds()).unwrap_or_default();
    Message::builder()
        .from(sender.0.clone())
        .to(Mailbox::new(None, address))
        .subject(letter.subject.clone())
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .message_id(Some(format!("<{}@{}>", letter.id, sender.domain())))
        .header(AutoSubmitted)
        .header(ContentType::TEXT_PLAIN)
        .body(body(&letter.body))
        .map_err(|error| never(format!("the message cannot be written: {error}")))
}

/// The body as it travels. Plain ASCII goes as it stands: a link stays whole in the file and in the source of the message, which soft line
/// breaks would cut. Anything else is encoded as the library thinks best.
fn body(text: &str) -> Body {
    let text = text.replace('\r', "");
    let is_plain = text.is_ascii() && text.lines().all(|line| line.len() <= LINE_MAX) && !text.contains('\0');
    if is_plain {
        let bytes = text.replace('\n', "\r\n").into_bytes();
        return Body::dangerous_pre_encoded(bytes, ContentTransferEncoding::SevenBit);
    }
    Body::new(text)
}
