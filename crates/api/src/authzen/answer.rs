//! The JSON that goes out, with nothing extra. Nothing in it depends on the clock: the same question gives the same bytes as long
//! as the same facts hold.

use charter_kernel::{Decision, Problem};
use std::fmt::Write;

/// Bytes one decision takes, about.
pub const DECISION_BYTES: usize = 104;

/// Appends a decision.
pub fn decision(out: &mut String, decision: &Decision) {
    out.push_str(if decision.is_allow() { r#"{"decision":true"# } else { r#"{"decision":false"# });
    out.push_str(r#","context":{"reason":""#);
    out.push_str(decision.reason.as_str());
    out.push_str(r#"","layer":""#);
    out.push_str(decision.reason.layer().as_str());
    out.push_str(r#"","revision":"#);
    let _ = write!(out, "{}", decision.revision);
    if let Some(until) = decision.valid_until {
        let _ = write!(out, r#","valid_until":"{until}""#);
    }
    if decision.in_grace {
        out.push_str(r#","in_grace":true"#);
    }
    out.push_str("}}");
}

/// Appends the answer to an item of a batch that cannot be asked.
pub fn fault(out: &mut String, problem: &Problem) {
    let fault = serde_json::json!({
        "decision": false,
        "context": { "error": { "status": 400, "message": problem.detail } },
    });
    let _ = write!(out, "{fault}");
}
