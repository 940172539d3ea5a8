//! A decision for a person: the answer, the row behind it, the way to it, and what would change it.

use super::show;
use crate::output::{to_the_second, wrapped};
use serde_json::Value;

/// What was asked, as it is told back.
pub struct Asked<'a> {
    /// Login or id of the principal.
    pub subject: &'a str,
    /// The permission or action as it was typed.
    pub what: &'a str,
    /// The resource, `TYPE:ID`.
    pub resource: Option<&'a str>,
    /// Key of the organization.
    pub organization: &'a str,
}

fn rows<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice)
}

fn part<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The row that decided, as its kind and id.
fn decider(answer: &Value) -> Option<String> {
    let row = answer.get("decided_by").filter(|row| row.is_object())?;
    Some(format!("{} {}", part(row, "kind"), part(row, "id")).trim_end().to_owned())
}

/// The step of the path that decided: the row named, or the last one there is.
fn deciding(answer: &Value) -> Option<usize> {
    let path = rows(answer, "path");
    let named = decider(answer);
    let is_it = |step: &Value| named.as_deref().is_some_and(|row| part(step, "row") == row);
    path.iter().rposition(is_it).or_else(|| path.len().checked_sub(1))
}

/// What both rules say, and whose answer was given.
fn both(beside: &Value, answered_by: &str, line: &mut impl FnMut(&str, &str)) {
    let given = |side: &str| if answered_by == side { " (given)" } else { "" };
    line("mode", part(beside, "mode"));
    let ours = format!("{}, {}{}", part(beside, "charter"), part(beside, "charter_reason"), given("charter"));
    line("Charter", &ours);
    let theirs = match (part(beside, "legacy"), part(beside, "legacy_reason")) {
        ("", "") => "not asked: what stops this here stops it in every mode".to_owned(),
        ("", why) => format!("no answer, {why}{}", given("legacy")),
        (said, "") => format!("{said}{}", given("legacy")),
        (said, why) => format!("{said}, {why}{}", given("legacy")),
    };
    line("other rule", &theirs);
}

/// The whole answer.
pub fn told(answer: &Value, asked: &Asked<'_>) -> String {
    let decision = part(answer, "decision");
    let what = if part(answer, "permission").is_empty() { asked.what } else { part(answer, "permission") };
    let on = asked.resource.map(|resource| format!(" on {resource}")).unwrap_or_default();
    let mut told = format!("{decision}: {} {what}{on} in {}\n", asked.subject, asked.organization);
    let mut line = |name: &str, text: &str| {
        told.push_str(&wrapped(&format!("  {name:<12}"), &to_the_second(text)));
    };
    line("why", part(answer, "sentence"));
    line("reason", &format!("{}, {} layer", part(answer, "reason"), part(answer, "layer")));
    let at = deciding(answer);
    let path = rows(answer, "path");
    match (at.and_then(|at| path.get(at)), decider(answer)) {
        // The rows are those of our rule, and it was another that decided.
        _ if part(answer, "answered_by") == "legacy" => {}
        (Some(step), _) => {
            line("decided by", part(step, "words"));
            if !part(step, "row").is_empty() {
                line("", part(step, "row"));
            }
        }
        (None, Some(row)) => line("decided by", &row),
        (None, None) => {}
    }
    if !part(answer, "valid_until").is_empty() {
        line("holds until", &format!("{} at most", part(answer, "valid_until")));
    }
    if answer.get("in_grace").and_then(Value::as_bool) == Some(true) {
        line("in grace", "the entitlement has run out, and its grace period runs");
    }
    let beside = answer.get("shadow").filter(|it| it.is_object());
    if let Some(beside) = beside {
        both(beside, part(answer, "answered_by"), &mut line);
    }
    let age = answer.get("age_seconds").and_then(Value::as_i64).unwrap_or_default();
    if age > 2 {
        line("old facts", &format!("read from facts that are {age} s old: the database is away"));
    }
    let ours = if beside.is_some() { ", by Charter's rule" } else { "" };
    if !path.is_empty() {
        told.push_str(&format!("\nhow it came{ours}:\n"));
    }
    for (number, step) in path.iter().enumerate() {
        let mark = if Some(number) == at { '>' } else { ' ' };
        let words = to_the_second(part(step, "words"));
        told.push_str(&wrapped(&format!("{mark} {:<14}", part(step, "step")), &words));
    }
    if !rows(answer, "remedies").is_empty() {
        told.push_str(&format!("\nwhat would change it{ours}:\n"));
    }
    for remedy in rows(answer, "remedies") {
        let part = |name: &str| remedy.get(name).map(show::cell).unwrap_or_default();
        let mut words = part("words");
        for name in ["roles", "plans"] {
            if !part(name).is_empty() {
                words.push_str(&format!(": {}", part(name)));
            }
        }
        told.push_str(&wrapped("  - ", &to_the_second(&words)));
        if words.starts_with("give a grant on ") {
            let reach = asked.resource.map(|resource| format!(" --reach {resource}")).unwrap_or_default();
            told.push_str(&format!(
                "    charter grants give --org {} --subject member:{} --permission {what}{reach} --reason TEXT --dry-run\n",
                asked.organization, asked.subject
            ));
        }
    }
    told
}
