//! `charter adopt shadow --log FILE`: answers of the other system as they were recorded, a JSON object on each line, compared with ours of this
//! moment. Nothing is written; lines that cannot be read are named by their numbers.

use super::super::Invocation;
use super::super::show;
use super::here::text;
use super::plan;
use crate::client::{Call, Client};
use crate::failure::{Failure, Outcome, Result};
use crate::once::Object;
use crate::output;
use charter_adopt::naming;
use charter_kernel::counted;
use clap::{Arg, Command};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};

const LOG: &str = "log_file";
/// As other commands have it; here the service asks.
const FROM: &str = "from";
/// Lines of one call.
const BATCH: usize = 500;
/// Bytes of one call; the service takes four times as much.
const BATCH_BYTES: usize = 1024 * 1024;
/// Flips and lines that are told one by one.
const TOLD_MAX: usize = 50;
/// The same with `--json`.
const KEPT_MAX: usize = 1_000;
/// What is longer is no line of answers, and is not held in memory.
const LINE_MAX: usize = 65_536;
/// One in so many lines may be left uncompared; with more the file proves nothing. As for a cut-over.
const LEFT_ONE_IN: u64 = 100;

pub fn command() -> Command {
    Command::new("shadow")
        .about("Whose rule answers in organizations that were taken over; recorded answers compared")
        .arg(
            Arg::new(LOG).long("log-file").value_name("FILE").help(
                "Answers of the other system, a JSON object a line: organization, user, permission, allow",
            ),
        )
        .arg(plan::source())
        .arg(Arg::new(FROM).long("from").value_name("ADDRESS").hide(true))
        .after_help("Exit code 1: an answer differs, or more than one line in 100 could not be compared; 2: nothing could be compared. Nothing is written, and what \
             is not known here is told.")
}

/// A line with its number.
struct Line {
    number: usize,
    body: Value,
}

/// Lines that are asked about in one call.
#[derive(Default)]
struct Batch {
    lines: Vec<Line>,
    bytes: usize,
}

impl Batch {
    /// Whether there is no room for a line of so many bytes.
    fn is_full(&self, more: usize) -> bool {
        self.lines.len() >= BATCH || (!self.lines.is_empty() && self.bytes + more > BATCH_BYTES)
    }

    fn push(&mut self, line: Line, bytes: usize) {
        self.lines.push(line);
        self.bytes += bytes;
    }
}

/// A word or a number, as ids are written.
fn word(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The next line, without its end; a longer one than is held is only gone past. None at the end of the file.
fn next_line(file: &mut impl BufRead, into: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    into.clear();
    let (mut is_any, mut is_whole) = (false, true);
    loop {
        let chunk = file.fill_buf()?;
        if chunk.is_empty() {
            return Ok(is_any.then_some(is_whole));
        }
        is_any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        if into.len() + part.len() > LINE_MAX {
            is_whole = false;
        } else if is_whole {
            into.extend_from_slice(part);
        }
        let read = part.len() + usize::from(end.is_some());
        file.consume(read);
        if end.is_some() {
            return Ok(Some(is_whole));
        }
    }
}

/// What came of the lines: how many, and the first that differ or cannot be compared.
#[derive(Default)]
struct Found {
    compared: u64,
    gains: u64,
    losses: u64,
    unknown: u64,
    unread: u64,
    flips: Vec<(Line, Value)>,
    strange: Vec<(Line, String)>,
    faults: Vec<(usize, String)>,
}

impl Found {
    fn fault(&mut self, number: usize, what: String) {
        self.unread += 1;
        if self.faults.len() < KEPT_MAX {
            self.faults.push((number, what));
        }
    }

    fn answer(&mut self, line: Line, answer: Value) {
        if let Some(what) = answer.get("unknown").and_then(Value::as_str) {
            self.unknown += 1;
            if self.strange.len() < KEPT_MAX {
                self.strange.push((line, what.to_owned()));
            }
            return;
        }
        self.compared += 1;
        match text(&answer, "flip") {
            "gain" => self.gains += 1,
            "loss" => self.losses += 1,
            _ => return,
        }
        if self.flips.len() < KEPT_MAX {
            self.flips.push((line, answer));
        }
    }

    /// Lines that were not compared.
    const fn left(&self) -> u64 {
        self.unknown + self.unread
    }

    /// All of them.
    const fn lines(&self) -> u64 {
        self.compared + self.left()
    }

    /// Whether so many were left that the others prove nothing.
    const fn is_too_few(&self) -> bool {
        self.left().saturating_mul(LEFT_ONE_IN) > self.lines()
    }
}

fn line(text: &str) -> std::result::Result<Value, String> {
    let Object(object) = serde_json::from_str(text).map_err(|flaw| format!("is no JSON object: {flaw}"))?;
    let need = |name: &str| word(&object, name).ok_or_else(|| format!("{name} is missing"));
    let (organization, user, permission) = (need("organization")?, need("user")?, need("permission")?);
    let allow = object.get("allow").and_then(Value::as_bool).ok_or("allow is neither true nor false")?;
    let otherwise = naming::code(&permission).map(|code| code.to_string());
    Ok(
        json!({ "organization": organization, "user": user, "permission": permission, "otherwise": otherwise, "allow": allow }),
    )
}

async fn ask(client: &Client, source: &str, batch: &mut Batch, found: &mut Found) -> Result<()> {
    let Batch { lines, .. } = std::mem::take(batch);
    if lines.is_empty() {
        return Ok(());
    }
    let bodies: Vec<&Value> = lines.iter().map(|line| &line.body).collect();
    let call = Call::new("POST", "/api/v1/shadow/replay").json(&json!({ "source": source, "lines": bodies }));
    let mut told = client.call(&call).await?.json()?;
    let answers = match told.get_mut("answers").map(Value::take) {
        Some(Value::Array(answers)) if answers.len() == lines.len() => answers,
        _ => return Err(Failure::new("the service gave another number of answers than it was asked for")),
    };
    for (line, answer) in lines.into_iter().zip(answers) {
        found.answer(line, answer);
    }
    Ok(())
}

/// Reads the file line by line and asks for a batch at a time: it may be longer than memory.
async fn compared(client: &Client, source: &str, path: &str, mut file: impl BufRead) -> Result<Found> {
    let (mut found, mut batch, mut bytes) = (Found::default(), Batch::default(), Vec::new());
    let failed = |error: std::io::Error| Failure::new(format!("{path} cannot be read: {error}"));
    for number in 1.. {
        let Some(is_whole) = next_line(&mut file, &mut bytes).map_err(failed)? else { break };
        let text = String::from_utf8_lossy(&bytes);
        let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { &text };
        if !is_whole {
            found.fault(number, format!("is longer than {LINE_MAX} bytes"));
        } else if !text.trim().is_empty() {
            match line(text) {
                Ok(body) => {
                    let size = body.to_string().len();
                    if batch.is_full(size) {
                        ask(client, source, &mut batch, &mut found).await?;
                    }
                    batch.push(Line { number, body }, size);
                }
                Err(wrong) => found.fault(number, wrong),
            }
        }
    }
    ask(client, source, &mut batch, &mut found).await?;
    Ok(found)
}

fn as_json(found: &Found) -> Value {
    let flip = |(line, answer): &(Line, Value)| json!({ "line": line.number, "recorded": line.body, "answer": answer });
    let strange =
        |(line, what): &(Line, String)| json!({ "line": line.number, "recorded": line.body, "what": what });
    let fault = |(line, what): &(usize, String)| json!({ "line": line, "what": what });
    json!({
        "compared": found.compared,
        "gains": found.gains,
        "losses": found.losses,
        "unknown": found.unknown,
        "unread_lines": found.unread,
        "flips": found.flips.iter().map(flip).collect::<Vec<Value>>(),
        "unknown_lines": found.strange.iter().map(strange).collect::<Vec<Value>>(),
        "unread": found.faults.iter().map(fault).collect::<Vec<Value>>(),
    })
}

fn as_text(found: &Found) -> String {
    let mut told = format!(
        "compared {}\ngains    {}\nlosses   {}\nunknown  {}\nunread   {}\n",
        found.compared, found.gains, found.losses, found.unknown, found.unread
    );
    for (line, answer) in found.flips.iter().take(TOLD_MAX) {
        let who = format!("{} in {}", text(&line.body, "user"), text(&line.body, "organization"));
        let heading = format!("line {}: {} ", line.number, text(answer, "flip"));
        let what =
            format!("{} for {who}: ours says {}", text(&line.body, "permission"), text(answer, "reason"));
        told.push_str(&output::wrapped(&heading, &what));
    }
    let strange = found.strange.iter().map(|(line, what)| (line.number, what));
    let unread = found.faults.iter().map(|(number, what)| (*number, what));
    for (number, what) in strange.chain(unread).take(TOLD_MAX) {
        told.push_str(&output::wrapped(&format!("line {number}: "), what));
    }
    told
}

/// Compares.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    if invocation.matches.contains_id(FROM) {
        return Err(Failure::new(
            "the running service asks the other system, with each check: write its address into the service's configuration as shadow_from_file or \
             shadow_from (docs: shadow mode), start the service again, and then `charter adopt shadow start ORGANIZATION`",
        ));
    }
    let Some(path) = invocation.matches.get_one::<String>(LOG).cloned() else {
        return Err(Failure::new(
            "say what is to be done: `charter adopt shadow status`, start, flips, cut-over, back or stop; or give recorded answers of the other \
             system with --log-file FILE",
        ));
    };
    let source = plan::source_of(invocation.matches)?;
    let file = File::open(&path).map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let found = compared(&client, source.as_str(), &path, BufReader::new(file)).await;
    client.close().await?;
    let found = found?;
    if found.lines() == 0 {
        return Err(Failure::new(format!("{path} holds no recorded answer: nothing was compared")));
    }
    if invocation.is_json {
        show::raw(&as_json(&found));
    } else {
        output::print(&as_text(&found));
    }
    let lines = counted(found.lines(), "line", "lines");
    if found.compared == 0 {
        output::complain(&format!(
            "charter: nothing was compared: of {lines} none could be read and is known here"
        ));
        return Ok(Outcome::Nothing);
    }
    if found.is_too_few() {
        output::complain(&format!(
            "charter: {} of {lines} could not be compared, and the others prove nothing: at most one in {LEFT_ONE_IN} may be left",
            found.left()
        ));
    }
    Ok(if found.gains + found.losses > 0 || found.is_too_few() { Outcome::Denied } else { Outcome::Good })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(mut text: &[u8]) -> Vec<(usize, bool)> {
        let (mut found, mut into) = (Vec::new(), Vec::new());
        while let Some(is_whole) = next_line(&mut text, &mut into).unwrap() {
            found.push((into.len(), is_whole));
        }
        found
    }

    #[test]
    fn a_log_is_read_line_by_line_and_no_line_is_held_that_is_none() {
        assert_eq!(parts(b""), []);
        assert_eq!(parts(b"ab\n\nc"), [(2, true), (0, true), (1, true)]);
        let long = [vec![b'x'; LINE_MAX + 1], b"\nend\n".to_vec()].concat();
        assert_eq!(parts(&long), [(0, false), (3, true)]);
    }

    #[test]
    fn a_line_of_a_log_is_understood_or_said_to_be_wrong() {
        let good = "{\"organization\":\"a \\\"b\\\" 😀\",\"user\":7,\"permission\":\"auth.add_group\",\"allow\":true,\"at\":\"now\"}";
        let body = line(good).unwrap();
        assert_eq!(body["otherwise"], "adopted.auth.add_group");
        assert_eq!((&body["user"], &body["organization"]), (&json!("7"), &json!("a \"b\" 😀")));
        let no_answer = "{\"organization\":\"a\",\"user\":\"7\",\"permission\":\"x\",\"allow\":\"yes\"}";
        for (wrong, why) in
            [("not json", "is no JSON"), (no_answer, "neither"), ("{\"user\":\"7\"}", "missing")]
        {
            assert!(line(wrong).unwrap_err().contains(why), "{wrong}");
        }
        // The last of two counted.
        let good = "{\"organization\":\"a\",\"user\":\"7\",\"permission\":\"x\",\"allow\":true";
        assert!(line(&format!("{good}}}")).is_ok());
        for twice in ["\"allow\":true", "\"user\":\"8\""] {
            let wrong = line(&format!("{good},{twice}}}")).unwrap_err();
            assert!(wrong.contains("stands twice"), "{wrong}");
        }
    }

    #[test]
    fn a_call_has_so_many_lines_and_so_many_bytes_and_one_line_at_least() {
        let of = || Line { number: 1, body: Value::Null };
        let mut batch = Batch::default();
        assert!(!batch.is_full(2 * BATCH_BYTES), "it goes by itself");
        batch.push(of(), BATCH_BYTES - 10);
        assert!(!batch.is_full(10) && batch.is_full(11));
        let mut batch = Batch::default();
        for _ in 0..BATCH {
            assert!(!batch.is_full(100));
            batch.push(of(), 100);
        }
        assert!(batch.is_full(100));
    }

    #[test]
    fn one_line_in_a_hundred_may_be_left_and_only_the_first_are_kept() {
        let mut found = Found { compared: 99, ..Found::default() };
        found.fault(1, "is no JSON".to_owned());
        assert!(!found.is_too_few());
        found.fault(2, "is no JSON".to_owned());
        assert!(found.is_too_few());
        for number in 0..2 * KEPT_MAX {
            found.fault(number, String::new());
            let line = Line { number, body: json!({}) };
            found.answer(line, json!({ "flip": "gain" }));
        }
        assert_eq!((found.faults.len(), found.flips.len()), (KEPT_MAX, KEPT_MAX));
        assert_eq!((found.gains, found.unread), (2 * KEPT_MAX as u64, 2 * KEPT_MAX as u64 + 2));
    }
}
