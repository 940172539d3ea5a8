//! The JSON that goes out, with nothing extra. Nothing in it depends on the clock: the same question gives the same bytes as long
//! as the same facts hold.

use charter_app::shadow::Side;
use charter_kernel::{Decision, Problem};
use std::fmt::Write;

/// Bytes one decision takes, about.
pub const DECISION_BYTES: usize = 104;

/// Appends a decision, with whose it is where that is not told by itself.
pub fn decision(out: &mut String, decision: &Decision, answered_by: Option<Side>) {
    out.push_str(if decision.is_allow() { r#"{"decision":true"# } else { r#"{"decision":false"# });
    out.push_str(r#","context":{"reason":""#);
    out.push_str(decision.reason.as_str());
    out.push_str(r#"","layer":""#);
    out.push_str(decision.reason.layer().as_str());
    out.push_str(r#"","revision":"#);
    number(out, decision.revision.0);
    if let Some(until) = decision.valid_until {
        let _ = write!(out, r#","valid_until":"{until}""#);
    }
    if decision.in_grace {
        out.push_str(r#","in_grace":true"#);
    }
    if let Some(side) = answered_by {
        let _ = write!(out, r#","answered_by":"{}""#, side.as_str());
    }
    out.push_str("}}");
}

/// Appends the digits of a number, without the way over a formatter.
fn number(out: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    let digits = digits.get(digits.len() - length..).unwrap_or_default();
    out.extend(digits.iter().copied().map(char::from));
}

/// Appends the answer to an item of a batch that cannot be asked.
pub fn fault(out: &mut String, problem: &Problem) {
    let fault = serde_json::json!({
        "decision": false,
        "context": { "error": { "status": 400, "message": problem.detail } },
    });
    let _ = write!(out, "{fault}");
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_written_as_a_formatter_writes_them() {
        for wanted in [0, 7, 10, 99, 1_234_567_890, u64::MAX] {
            let mut text = String::new();
            number(&mut text, wanted);
            assert_eq!(text, wanted.to_string());
        }
    }
}
