//! What an apply tells on the way: its stages, how far it came when somebody ends it, and whether the other system's tables are as they were.

use super::super::Invocation;
use super::checksum::sum;
use super::proof::Sums;
use crate::output;
use charter_kernel::counted;
use std::cell::Cell;

/// What a run has reached whose proof was accepted.
pub const APPLIED: &str = "applied";

/// What is told on the way, unless JSON is asked for.
pub struct Telling {
    is_json: bool,
    /// The run, once there is one, and the stage it is in.
    reached: Cell<(u64, &'static str)>,
}

impl Telling {
    /// Begins to tell.
    pub const fn new(invocation: &Invocation<'_>) -> Self {
        Self { is_json: invocation.is_json, reached: Cell::new((0, "before")) }
    }

    /// A line.
    pub fn line(&self, text: &str) {
        if !self.is_json {
            output::print(text.trim_end());
        }
    }

    /// A stage that is done, with what came of it.
    pub fn stage(&self, number: u8, name: &str, lines: &[String]) {
        self.line(&format!("stage {number} of 4, {name}: done"));
        for line in lines {
            let inner = line.len() - line.trim_start().len();
            self.line(&output::wrapped(&" ".repeat(2 + inner), line));
        }
    }

    /// Takes note of the stage that begins.
    pub fn reaches(&self, run: u64, stage: &'static str) {
        self.reached.set((run, stage));
    }

    /// How far it came, for somebody who ended it.
    pub fn stopped(&self, again: &str) -> String {
        let goes_on = || format!("`{again}` goes on, `charter adopt rollback` takes it back");
        match self.reached.get() {
            (0, _) => "no run was begun or gone on with, and nothing was written".to_owned(),
            (run, APPLIED) => {
                format!("run {run} is applied: its proof was accepted, and the accounts it brought may act")
            }
            // The word that the proof holds may have arrived.
            (run, "equivalence") => format!(
                "run {run} was in the stage equivalence: `charter adopt status` says whether it is applied by now; where it is not, {}",
                goes_on()
            ),
            (run, stage) => format!(
                "run {run} is in the stage {stage}, and accounts it brings can do nothing before its proof; {}",
                goes_on()
            ),
        }
    }
}

/// Says whether the other system's tables are as they were.
pub fn compared(before: &Sums, now: &Sums) -> Vec<String> {
    if before.is_empty() && now.is_empty() {
        return vec!["the other system is read from a file: it has no tables to be compared".to_owned()];
    }
    let differing: Vec<&String> =
        before.iter().filter(|(name, sum)| now.get(*name) != Some(*sum)).map(|(name, _)| name).collect();
    let all = sum(serde_json::to_string(now).unwrap_or_default().as_bytes());
    let short = all.get(..16).unwrap_or_default();
    if differing.is_empty() {
        return vec![format!(
            "the other system's {} as before, byte for byte (sha256 {short}...)",
            counted(now.len() as u64, "table is", "tables are")
        )];
    }
    let mut lines = vec![format!(
        "{} of the other system's {} changed meanwhile; nothing here writes them, so it did:",
        differing.len(),
        counted(now.len() as u64, "table", "tables")
    )];
    for name in differing {
        let rows = |sums: &Sums| sums.get(name).map_or(0, |sum| sum.rows);
        let (was, is) = (counted(rows(before), "row", "rows"), rows(now));
        lines.push(match rows(before) == is {
            true => format!("  {name}: {was} as before, with other content"),
            false => format!("  {name}: {was} before, {is} now"),
        });
    }
    lines
}
