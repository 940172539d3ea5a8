//! What a command made from the API says in words, where its answer alone leaves a person with a question.

use crate::operation::Operation;
use serde_json::Value;

/// What stands before the answer.
pub fn before(operation: &Operation) -> Option<&'static str> {
    match operation.id.as_str() {
        "me.change-password" => Some(
            "the password is changed, and your sessions have ended, the one of CHARTER_TOKEN with them: set CHARTER_TOKEN to the access token \
             below\n",
        ),
        _ => None,
    }
}

/// What is said in the place of an answer that says nothing; `sent` is the body that was sent.
pub fn instead(operation: &Operation, answer: &Value, sent: &Value) -> Option<String> {
    let is_none_known =
        answer.get("secrets").and_then(Value::as_array).is_some_and(|secrets| secrets.is_empty());
    match operation.id.as_str() {
        "keys.end-legacy" => {
            let what = sent.get("secret").and_then(Value::as_str).map_or_else(
                || "tokens of the former system are taken no more".to_owned(),
                |secret| format!("tokens of legacy secret {secret} are taken no more, those of others are"),
            );
            Some(format!("{what}: ended at {}, for good", crate::installation::now()))
        }
        "keys.legacy" if is_none_known => Some(
            "none: no tokens of a former system are taken. If they were, `charter audit list --org platform --action legacy_tokens.end` tells \
             when that ended"
                .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn operation(id: &str) -> Operation {
        let all = crate::operation::read(&crate::installation::document());
        all.into_iter().find(|it| it.id == id).unwrap()
    }

    #[test]
    fn what_ended_is_said_and_an_empty_list_of_secrets_says_where_to_look() {
        let end = operation("keys.end-legacy");
        let all = instead(&end, &Value::Null, &json!({"reason": "x"})).unwrap();
        assert!(all.starts_with("tokens of the former system are taken no more: ended at 2"), "{all}");
        let one = instead(&end, &Value::Null, &json!({"secret": "ab12"})).unwrap();
        assert!(one.starts_with("tokens of legacy secret ab12 are taken no more"), "{one}");
        let legacy = operation("keys.legacy");
        assert!(
            instead(&legacy, &json!({"secrets": []}), &Value::Null).unwrap().contains("legacy_tokens.end")
        );
        assert_eq!(instead(&legacy, &json!({"secrets": [{"id": "a"}]}), &Value::Null), None);
    }

    #[test]
    fn a_new_password_says_what_becomes_of_the_token() {
        assert!(before(&operation("me.change-password")).unwrap().contains("CHARTER_TOKEN"));
        assert_eq!(before(&end_of_a_key()), None);
    }

    fn end_of_a_key() -> Operation {
        operation("api-keys.revoke")
    }
}
