//! The text of a plan: what is written, what becomes of each role, what is wrong with the rows there, who gains or loses what, and what keeps it
//! from being carried out.

use super::plan::BEFORE;
use super::{equivalence, follow};
use crate::output;
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::plan::{self, Plan};
use charter_adopt::proof::SUPERUSER;
use charter_kernel::counted;

/// Lines of a kind that are told; the file has all.
const TOLD_MAX: usize = 10;
/// Rows of one kind of anomaly that are named.
const ROWS_MAX: usize = 5;
/// Codes that are told of a list; the file has all.
const CODES_MAX: usize = 2;

/// The kind of an anomaly by its word.
fn kind(word: &str) -> Option<AnomalyKind> {
    serde_json::from_value(serde_json::Value::from(word)).ok()
}

/// What is wrong with the rows there, and how many come without their password.
fn anomalies_told(plan: &Plan) -> String {
    let mut told = String::new();
    for (word, count) in &plan.anomalies {
        let Some(kind) = kind(word) else { continue };
        let rows = plan.anomaly_rows.get(word).map(Vec::as_slice).unwrap_or_default();
        let first: Vec<&str> = rows.iter().take(ROWS_MAX).map(|it| it.row.as_str()).collect();
        let rest = plan::more(*count, first.len());
        told.push_str(&output::wrapped(
            "  ",
            &format!("{} ({}{rest})", kind.counted(*count), first.join(", ")),
        ));
    }
    if plan.without_password > 0 {
        let users = counted(
            plan.without_password,
            "user brings no password that can be taken over, and asks for a new one",
            "users bring no password that can be taken over, and ask for new ones",
        );
        told.push_str(&output::wrapped("  ", &users));
    }
    if told.is_empty() { told } else { format!("\nnot as it should be there:\n{told}") }
}

/// How many codes, and the first of them.
fn codes(codes: &[String]) -> String {
    if codes.is_empty() {
        return "-".to_owned();
    }
    let first: Vec<&str> = codes.iter().take(CODES_MAX).map(String::as_str).collect();
    format!("{}: {}{}", codes.len(), first.join(", "), plan::more(codes.len() as u64, first.len()))
}

/// What the rows of a plan come to.
fn rows_told(plan: &Plan) -> String {
    let rows = plan.rows;
    let parts = [
        counted(rows.organizations, "organization", "organizations"),
        counted(rows.users, "user", "users"),
        counted(rows.memberships, "membership", "memberships"),
        counted(rows.roles, "role of an organization's own", "roles of organizations' own"),
        counted(rows.assignments, "assignment", "assignments"),
        counted(rows.grants, "grant", "grants"),
        counted(rows.entitlements, "module on or off", "modules on or off"),
    ];
    output::wrapped("", &parts.join(", "))
}

/// The keys that new organizations get.
fn organizations_told(plan: &Plan) -> String {
    if plan.new_organizations_count == 0 {
        return String::new();
    }
    let first = plan.new_organizations.iter().take(TOLD_MAX);
    let first: Vec<String> = first.map(|it| format!("{} ({})", it.key, it.name)).collect();
    let heading = counted(plan.new_organizations_count, "new organization: ", "new organizations, by key: ");
    output::wrapped(
        &heading,
        &format!("{}{}", first.join(", "), plan::more(plan.new_organizations_count, first.len())),
    )
}

/// Roles that are gone there.
fn gone_told(plan: &Plan) -> String {
    if plan.gone_roles.is_empty() {
        return String::new();
    }
    let first: Vec<String> = plan.gone_roles.iter().take(TOLD_MAX).map(|name| format!("{name:?}")).collect();
    let rest = plan::more(plan.gone_roles.len() as u64, first.len());
    let what = "roles of the mapping or of --accept that nobody has there any more";
    output::wrapped("gone there: ", &format!("{what} ({}{rest})", first.join(", ")))
}

/// What before means where a role is a word.
fn before_told(plan: &Plan) -> String {
    let Some(without) = &plan.without_before else { return String::new() };
    let mut told = format!("before: {BEFORE}");
    if !without.is_empty() {
        let first: Vec<String> = without.iter().take(TOLD_MAX).map(|name| format!("{name:?}")).collect();
        told.push_str(&format!(
            "; {}{} {} no shipped namesake and so no before: what is lost with that cannot be seen",
            first.join(", "),
            plan::more(without.len() as u64, first.len()),
            if without.len() == 1 { "has" } else { "have" }
        ));
    }
    output::wrapped("", &told)
}

/// What is in the way: lines of it stay lines, as far in as they are.
fn obstacle_told(obstacle: &str) -> String {
    let mut lines = obstacle.lines();
    let mut told = output::wrapped("  - ", lines.next().unwrap_or_default());
    for line in lines {
        let text = line.trim_start();
        let indent = format!("    {}", " ".repeat(line.len() - text.len()));
        told.push_str(&output::wrapped(&indent, text));
    }
    told
}

/// The text of a plan.
pub fn told(plan: &Plan, obstacles: &[String], out: &str) -> String {
    let mut told = rows_told(plan) + &organizations_told(plan);
    told.push_str(&follow::told(plan));
    told.push_str(&gone_told(plan));
    let lines: Vec<Vec<String>> = plan
        .roles
        .iter()
        .map(|role| {
            let is_open =
                |open: &String| *open == role.name || (open == "superuser" && role.name == SUPERUSER);
            let nothing = if plan.unmapped.iter().any(is_open) { "?" } else { "nothing" };
            let becomes = role.becomes.clone().unwrap_or_else(|| nothing.to_owned());
            vec![role.name.clone(), role.users.to_string(), becomes, codes(&role.gains), codes(&role.loses)]
        })
        .collect();
    if !lines.is_empty() {
        told.push_str(&format!(
            "\n{}",
            output::table_within(&["role", "users", "becomes", "gives more", "gives less"], &lines)
        ));
    }
    let verdict = &plan.verdict;
    told.push_str(&anomalies_told(plan));
    told.push_str(&format!("\n{}", before_told(plan)));
    told.push_str(&output::wrapped(
        "",
        &format!("{} users x permissions compared: {}", verdict.pairs, equivalence::sums(verdict)),
    ));
    for difference in verdict.named.iter().take(TOLD_MAX) {
        let accepted = if difference.accepted { " (accepted)" } else { "" };
        let left_out = if difference.is_left_out || difference.is_nameless { " (left out)" } else { "" };
        told.push_str(&output::wrapped(
            "  ",
            &format!(
                "{}{left_out}{accepted}: gains {}; loses {}",
                difference.login,
                codes(&difference.gains),
                codes(&difference.losses)
            ),
        ));
    }
    let more = plan::more(verdict.users_differing, verdict.named.len().min(TOLD_MAX));
    if !more.is_empty() {
        told.push_str(&format!(" {more}: --differences FILE names every one\n"));
    }
    if !plan.over_all.is_none() {
        let heading = counted(plan.over_all.users, "user gets", "users get");
        told.push_str(&output::wrapped(
            "",
            &format!("{heading} all of the installation: {}", plan.over_all.first()),
        ));
    }
    if obstacles.is_empty() {
        told.push_str(&format!("\n{out} is ready: charter adopt apply --plan {out}\n"));
    } else {
        told.push_str(&format!("\n{out} cannot be carried out yet:\n"));
        for obstacle in obstacles {
            told.push_str(&obstacle_told(obstacle));
        }
    }
    told
}
