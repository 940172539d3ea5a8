//! `charter adopt rollback --dry-run`: what would go and what would be put back, run by run.

use super::super::show;
use super::desk::PUT_BACK;
use super::rollback::{TOLD_MAX, stays};
use crate::output;
use charter_adopt::plan::more;
use charter_kernel::counted;
use serde_json::{Value, json};

/// Kinds of rows, in the words for one and for several.
const KINDS: [(&str, &str, &str); 7] = [
    ("organizations", "organization", "organizations"),
    ("users", "user", "users"),
    ("memberships", "membership", "memberships"),
    ("roles", "role", "roles"),
    ("assignments", "assignment", "assignments"),
    ("grants", "grant", "grants"),
    ("entitlements", "module on or off", "modules on or off"),
];

/// What a rollback would do.
pub struct Preview {
    /// The step to which.
    pub step: String,
    /// The runs, with what the service says of each.
    pub runs: Vec<(u64, Value)>,
    /// Whether the codes of the other system go with the last run.
    pub codes_go: bool,
}

fn count(found: &Value, kind: &str) -> u64 {
    found.get("removed").and_then(|removed| removed.get(kind)).and_then(Value::as_u64).unwrap_or(0)
}

fn keys_in(found: &Value, name: &str) -> Vec<String> {
    let keys = found.get(name).and_then(Value::as_array).into_iter().flatten();
    keys.filter_map(|key| Some(key.as_str()?.to_owned())).collect()
}

fn keys(found: &Value) -> Vec<String> {
    keys_in(found, "kept")
}

/// Tells it.
pub fn tell(is_json: bool, source: &str, preview: &Preview) {
    if is_json {
        let run = |(run, found): &(u64, Value)| {
            let mut removed = found.get("removed").cloned().unwrap_or_default();
            removed.as_object_mut().and_then(|removed| removed.remove(PUT_BACK));
            json!({
                "run": run, "removed": removed, "put_back": count(found, PUT_BACK), "kept": keys(found),
                "discarded": found.get("discarded"), "answering": keys_in(found, "answering"),
            })
        };
        let runs: Vec<Value> = preview.runs.iter().map(run).collect();
        show::raw(
            &json!({ "dry_run": true, "to": preview.step, "runs": runs, "codes_go": preview.codes_go }),
        );
        return;
    }
    if preview.runs.is_empty() {
        output::print(&format!("there is no run of {source} to take back"));
        return;
    }
    let mut told: String = preview.runs.iter().map(|(run, found)| one(*run, found, &preview.step)).collect();
    if preview.codes_go {
        told.push_str("the permissions of the other system would be codes no more\n");
    }
    told.push_str("nothing was written");
    output::print(&told);
}

fn one(run: u64, found: &Value, step: &str) -> String {
    if step == "data" {
        return format!("run {run} would be taken back to the step data: its proof alone goes\n");
    }
    let to = if step == "before" { String::new() } else { format!(" to the step {step}") };
    let kinds = KINDS.iter().filter_map(|(kind, one, several)| match count(found, kind) {
        0 => None,
        count => Some(counted(count, one, several)),
    });
    let kinds: Vec<String> = kinds.collect();
    let mut parts = vec![if kinds.is_empty() {
        "nothing would be removed".to_owned()
    } else {
        format!("{} would be removed", kinds.join(", "))
    }];
    let put_back = count(found, PUT_BACK);
    if put_back > 0 {
        parts.push(format!(
            "{} would be put back",
            counted(put_back, "row of earlier runs", "rows of earlier runs")
        ));
    }
    let mut told = output::wrapped(&format!("run {run} would be taken back{to}: "), &parts.join("; "));
    let made = found.get("discarded").and_then(Value::as_object).into_iter().flatten();
    let made: Vec<String> = made.map(|(kind, count)| format!("{kind} ({count})")).collect();
    if !made.is_empty() {
        told.push_str(&output::wrapped(
            "  ",
            &format!("of what people made since would go: {}", made.join(", ")),
        ));
    }
    let answering = keys_in(found, "answering");
    if !answering.is_empty() {
        told.push_str(&output::wrapped(
            "  ",
            &format!(
                "in shadow mode or cut over, and whoever asks there would be denied: {}{}",
                answering.get(..answering.len().min(TOLD_MAX)).unwrap_or_default().join(", "),
                more(answering.len() as u64, answering.len().min(TOLD_MAX))
            ),
        ));
    }
    let kept = keys(found);
    if !kept.is_empty() {
        told.push_str(&output::wrapped("  ", &stays(&kept)));
    }
    told
}
