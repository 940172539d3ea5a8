//! Conditions in words, for explanations: what one asks for, and what it found instead.

use super::Asked;
use super::compile::attribute;
use super::hours::{local, zone};
use charter_kernel::Condition;
use charter_kernel::condition::{AttributeOf, Scalar, Weekday};

const DAYS: [(Weekday, &str); 7] = [
    (Weekday::Mon, "Mon"),
    (Weekday::Tue, "Tue"),
    (Weekday::Wed, "Wed"),
    (Weekday::Thu, "Thu"),
    (Weekday::Fri, "Fri"),
    (Weekday::Sat, "Sat"),
    (Weekday::Sun, "Sun"),
];

const fn whose(of: AttributeOf) -> &'static str {
    match of {
        AttributeOf::Subject => "subject",
        AttributeOf::Action => "action",
        AttributeOf::Resource => "resource",
        AttributeOf::Context => "context",
    }
}

fn scalar(value: &Scalar) -> String {
    match value {
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Float(value) => value.to_string(),
        Scalar::Text(value) => value.clone(),
    }
}

fn joined(parts: &[Condition], word: &str) -> String {
    parts.iter().map(asks).collect::<Vec<_>>().join(word)
}

/// What a condition asks for.
pub(crate) fn asks(condition: &Condition) -> String {
    match condition {
        Condition::Between { from: None, to: None } => "any time will do".to_owned(),
        Condition::Between { from: Some(from), to: None } => format!("it must be {from} or later"),
        Condition::Between { from: None, to: Some(to) } => format!("it must be before {to}"),
        Condition::Between { from: Some(from), to: Some(to) } => {
            format!("it must be between {from} and {to}")
        }
        Condition::Hours { zone, weekdays, from, to } => {
            let days: Vec<&str> =
                DAYS.iter().filter(|(day, _)| weekdays.contains(day)).map(|(_, name)| *name).collect();
            let days = if days.is_empty() { String::new() } else { format!("{} ", days.join(", ")) };
            format!("it must be {days}from {from} to {to} in {zone}")
        }
        Condition::Address { ranges } => format!("the request must come from {}", ranges.join(" or ")),
        Condition::Assurance { mfa, any_of } => {
            let method = format!("one of {} must be proved", any_of.join(", "));
            match (mfa, any_of.is_empty()) {
                (true, true) => "a second factor must be proved".to_owned(),
                (true, false) => format!("a second factor and {method}"),
                (false, _) => method,
            }
        }
        Condition::AtMost { of, attribute, limit } => {
            format!("{}.{attribute} must be at most {limit}", whose(*of))
        }
        Condition::Equals { of, attribute, value } => {
            format!("{}.{attribute} must be {}", whose(*of), scalar(value))
        }
        Condition::OneOf { of, attribute, values } => {
            let values: Vec<String> = values.iter().map(scalar).collect();
            format!("{}.{attribute} must be one of {}", whose(*of), values.join(", "))
        }
        Condition::Owner {} => "the resource must be the account's own".to_owned(),
        Condition::Team { team } => format!("the account must be in team {team}"),
        Condition::All { of } => joined(of, " and "),
        Condition::Any { of } => joined(of, " or "),
        Condition::Cel { expression } => format!("`{expression}` must be true"),
    }
}

/// What it found instead, where it reads one thing.
fn found(condition: &Condition, asked: &impl Asked) -> Option<String> {
    Some(match condition {
        Condition::Between { .. } => format!("it is {}", asked.now()),
        Condition::Hours { zone: name, .. } => {
            let (second, day) = local(&zone(name).ok()?, asked.now())?;
            let (_, day) = DAYS.get(usize::from(day))?;
            format!("it is {day} {:02}:{:02} there", second / 3_600, second / 60 % 60)
        }
        Condition::Address { .. } => match asked.context().address {
            Some(address) => format!("it came from {address}"),
            None => "its address is not known".to_owned(),
        },
        Condition::AtMost { of, attribute: path, .. }
        | Condition::Equals { of, attribute: path, .. }
        | Condition::OneOf { of, attribute: path, .. } => match attribute(*of, path).ok()?.find(asked) {
            Some(serde_json::Value::String(text)) => format!("is {text}"),
            Some(value) => format!("is {value}"),
            None => "is not known".to_owned(),
        },
        _ => return None,
    })
}

/// Why a condition does not hold.
pub(crate) fn why_not(condition: &Condition, asked: &impl Asked) -> String {
    match found(condition, asked) {
        Some(found) => format!("{}, and {found}", asks(condition)),
        None => asks(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Condition {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn every_form_has_its_words() {
        let table = [
            (
                r#"{"form":"address","ranges":["10.0.0.0/8","::1"]}"#,
                "the request must come from 10.0.0.0/8 or ::1",
            ),
            (r#"{"form":"assurance","mfa":true}"#, "a second factor must be proved"),
            (r#"{"form":"assurance","any_of":["otp","hwk"]}"#, "one of otp, hwk must be proved"),
            (
                r#"{"form":"at_most","of":"resource","attribute":"amount","limit":10000}"#,
                "resource.amount must be at most 10000",
            ),
            (
                r#"{"form":"one_of","of":"subject","attribute":"country","values":["DE",1]}"#,
                "subject.country must be one of DE, 1",
            ),
            (r#"{"form":"owner"}"#, "the resource must be the account's own"),
            (
                r#"{"form":"hours","zone":"Europe/Berlin","weekdays":["fri","mon"],"from":"06:00","to":"20:00"}"#,
                "it must be Mon, Fri from 06:00 to 20:00 in Europe/Berlin",
            ),
            (
                r#"{"form":"any","of":[{"form":"team","team":"sales"},{"form":"cel","expression":"context.mfa"}]}"#,
                "the account must be in team sales or `context.mfa` must be true",
            ),
        ];
        for (json, words) in table {
            assert_eq!(asks(&read(json)), words);
        }
    }
}
