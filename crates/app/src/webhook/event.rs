//! Which events a webhook wants, and what it is told of them. An event is one of the organization's audit trail; its type is the action.

use charter_kernel::{Key, OrganizationId, Timestamp};
use charter_store::audit::AuditRow;
use serde_json::{Value, json};

/// Type of the event that a person sends to try a webhook out.
pub const TEST: &str = "webhook.test";

/// Most patterns of one webhook.
const PATTERNS_MAX: usize = 50;
const LENGTH_MAX: usize = 80;

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// What is wrong with a list of patterns, if anything.
pub fn fault(patterns: &[String]) -> Option<String> {
    if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
        return Some(format!("1 to {PATTERNS_MAX} patterns are expected, such as grant.* or *"));
    }
    let is_right = |pattern: &&String| {
        pattern.as_str() == "*"
            || (pattern.len() <= LENGTH_MAX
                && pattern
                    .split_once('.')
                    .is_some_and(|(noun, verb)| is_word(noun) && (verb == "*" || is_word(verb))))
    };
    patterns
        .iter()
        .find(|pattern| !is_right(pattern))
        .map(|wrong| format!("{wrong:?} is no pattern: grant.give, grant.* or * are expected"))
}

/// Whether a type of event is one of those wanted.
pub fn is_wanted(patterns: &[String], event_type: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        None => pattern == event_type,
        Some(begin) => event_type.starts_with(begin),
    })
}

/// The id of the message about an event: the same for every webhook, and when it is repeated.
pub fn message_id(organization: OrganizationId, seq: u64) -> String {
    format!("evt_{:032x}_{seq}", organization.bits())
}

/// An organization as messages name it.
#[derive(Debug, Clone)]
pub struct About {
    /// Its id.
    pub id: OrganizationId,
    /// Its key.
    pub key: Key,
}

fn message(id: &str, event_type: &str, at: Timestamp, about: &About, data: &Value) -> String {
    json!({
        "id": id,
        "type": event_type,
        "time": at.to_string(),
        "organization": { "id": about.id.to_string(), "key": about.key.as_str() },
        "data": data,
    })
    .to_string()
}

fn document(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)))
}

/// The message about an event of the trail. The trail holds no secrets, and neither does this; addresses of people stay inside.
pub fn payload(row: &AuditRow, about: &About) -> String {
    let data = json!({
        "seq": row.seq,
        "actor": {
            "kind": row.actor_kind,
            "id": row.actor_id.map(|id| id.to_string()),
            "login": row.actor_login,
        },
        "target": { "kind": row.target_kind, "id": row.target },
        "outcome": row.outcome.as_str(),
        "reason": row.reason,
        "before": document(row.before.as_deref()),
        "after": document(row.after.as_deref()),
        "request_id": row.request.map(|id| id.to_string()),
    });
    message(&message_id(row.organization, row.seq), &row.action, row.at, about, &data)
}

/// The message that tries a webhook out.
pub fn test_payload(id: &str, webhook: &str, at: Timestamp, about: &About) -> String {
    message(id, TEST, at, about, &json!({ "webhook": webhook }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_wants_what_it_says() {
        let wants = |patterns: &[&str], event_type: &str| {
            let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
            assert_eq!(fault(&patterns), None);
            is_wanted(&patterns, event_type)
        };
        assert!(wants(&["*"], "grant.give"));
        assert!(wants(&["grant.*"], "grant.give"));
        assert!(wants(&["role.assign", "grant.give"], "grant.give"));
        assert!(!wants(&["grant.*"], "grants.give"));
        assert!(!wants(&["grant.give"], "grant.give-again"));
        assert!(!wants(&["member.*"], "grant.give"));
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for wrong in [
            "",
            "grant",
            "grant.",
            ".give",
            "gr*.give",
            "grant.g*",
            "**",
            "Grant.give",
            "a.b.c",
            "grant give",
            "*.*",
        ] {
            assert!(fault(&[wrong.to_owned()]).is_some(), "{wrong:?}");
        }
        assert!(fault(&[]).is_some());
        assert!(fault(&vec!["*".to_owned(); 51]).is_some());
    }
}
