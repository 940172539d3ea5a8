//! `charter adopt shadow --log FILE`: answers of the other system as they were recorded, a JSON object on each line, compared with ours of this
//! moment. Nothing is written; lines that cannot be read are named by their numbers.

use super::super::Invocation;
use super::super::show;
use super::here::text;
use super::plan;
use crate::client::{Call, Client};
use crate::failure::{Failure, Outcome, Result};
use crate::output;
use charter_adopt::naming;
use charter_kernel::counted;
use clap::{Arg, Command};
use serde_json::{Value, json};

const LOG: &str = "log_file";
/// Lines of one call.
const BATCH: usize = 500;
/// Flips and lines that are told one by one; `--json` tells all.
const TOLD_MAX: usize = 50;

pub fn command() -> Command {
    Command::new("shadow")
        .about("Whose rule answers in organizations that were taken over; recorded answers compared")
        .arg(
            Arg::new(LOG).long("log-file").value_name("FILE").help(
                "Answers of the other system, a JSON object a line: organization, user, permission, allow",
            ),
        )
        .arg(plan::source())
        .after_help("Exit code 1: an answer differs; 2: nothing could be compared. Nothing is written, and what is not known here is told.")
}

/// A line with its number.
struct Line {
    number: usize,
    body: Value,
}

/// A word or a number, as ids are written.
fn word(object: &Value, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn read(text: &str) -> (Vec<Line>, Vec<(usize, String)>) {
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    for (place, text) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if text.trim().is_empty() {
            continue;
        }
        let number = place + 1;
        match line(text) {
            Ok(body) => lines.push(Line { number, body }),
            Err(wrong) => faults.push((number, wrong)),
        }
    }
    (lines, faults)
}

fn line(text: &str) -> std::result::Result<Value, String> {
    let object: Value = serde_json::from_str(text).map_err(|flaw| format!("is no JSON: {flaw}"))?;
    let need = |name: &str| word(&object, name).ok_or_else(|| format!("{name} is missing"));
    let (organization, user, permission) = (need("organization")?, need("user")?, need("permission")?);
    let allow = object.get("allow").and_then(Value::as_bool).ok_or("allow is neither true nor false")?;
    let otherwise = naming::code(&permission).map(|code| code.to_string());
    Ok(
        json!({ "organization": organization, "user": user, "permission": permission, "otherwise": otherwise, "allow": allow }),
    )
}

async fn compared(client: &Client, source: &str, lines: &[Line]) -> Result<Vec<Value>> {
    let mut answers = Vec::with_capacity(lines.len());
    for batch in lines.chunks(BATCH) {
        let bodies: Vec<&Value> = batch.iter().map(|line| &line.body).collect();
        let call =
            Call::new("POST", "/api/v1/shadow/replay").json(&json!({ "source": source, "lines": bodies }));
        let told = client.call(&call).await?.json()?;
        answers.extend(told.get("answers").and_then(Value::as_array).cloned().unwrap_or_default());
    }
    Ok(answers)
}

/// Compares.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let Some(path) = invocation.matches.get_one::<String>(LOG).cloned() else {
        return Err(Failure::new(
            "say what is to be done: `charter adopt shadow status`, start, flips, cut-over, back or stop; or give recorded answers of the other \
             system with --log-file FILE",
        ));
    };
    let source = plan::source_of(invocation.matches)?;
    let bytes =
        std::fs::read(&path).map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
    let (lines, faults) = read(&String::from_utf8_lossy(&bytes));
    if lines.is_empty() && faults.is_empty() {
        return Err(Failure::new(format!("{path} holds no recorded answer: nothing was compared")));
    }
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let answers = compared(&client, source.as_str(), &lines).await;
    client.close().await?;
    let answers = answers?;
    let is = |flip: &'static str| move |(_, answer): &(&Line, &Value)| text(answer, "flip") == flip;
    let pairs = || lines.iter().zip(&answers);
    let (gains, losses) = (pairs().filter(is("gain")).count(), pairs().filter(is("loss")).count());
    let unknown = answers.iter().filter(|answer| answer.get("unknown").is_some_and(Value::is_string)).count();
    let flips = || pairs().filter(|(_, answer)| answer.get("flip").is_some_and(Value::is_string));
    if invocation.is_json {
        let flip = |(line, answer): (&Line, &Value)| json!({ "line": line.number, "recorded": line.body, "answer": answer });
        let strange = pairs().filter_map(|(line, answer)| {
            let what = answer.get("unknown").filter(|what| what.is_string())?;
            Some(json!({ "line": line.number, "recorded": line.body, "what": what }))
        });
        let unread: Vec<Value> =
            faults.iter().map(|(line, what)| json!({ "line": line, "what": what })).collect();
        show::raw(
            &json!({ "compared": answers.len() - unknown, "gains": gains, "losses": losses, "unknown": unknown,
                           "flips": flips().map(flip).collect::<Vec<_>>(), "unknown_lines": strange.collect::<Vec<_>>(), "unread": unread }),
        );
    } else {
        let mut told = format!(
            "compared {}\ngains    {gains}\nlosses   {losses}\nunknown  {unknown}\nunread   {}\n",
            answers.len() - unknown,
            faults.len()
        );
        for (line, answer) in flips().take(TOLD_MAX) {
            let who = format!("{} in {}", text(&line.body, "user"), text(&line.body, "organization"));
            let heading = format!("line {}: {} ", line.number, text(answer, "flip"));
            let what =
                format!("{} for {who}: ours says {}", text(&line.body, "permission"), text(answer, "reason"));
            told.push_str(&output::wrapped(&heading, &what));
        }
        let strange =
            pairs().filter_map(|(line, answer)| Some((line.number, answer.get("unknown")?.as_str()?)));
        let unread = faults.iter().map(|(number, what)| (*number, what.as_str()));
        for (number, what) in strange.chain(unread).take(TOLD_MAX) {
            told.push_str(&output::wrapped(&format!("line {number}: "), what));
        }
        output::print(&told);
    }
    if answers.len() == unknown {
        let lines = counted((answers.len() + faults.len()) as u64, "line", "lines");
        output::complain(&format!(
            "charter: nothing was compared: of {lines} none could be read and is known here"
        ));
        return Ok(Outcome::Nothing);
    }
    Ok(if gains + losses > 0 { Outcome::Denied } else { Outcome::Good })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_line_by_line_and_bad_ones_are_told_by_number() {
        let text = "\u{feff}{\"organization\":\"a \\\"b\\\" 😀\",\"user\":7,\"permission\":\"auth.add_group\",\"allow\":true,\"at\":\"now\"}\n\n\
                    not json\n{\"organization\":\"a\",\"user\":\"7\",\"permission\":\"x\",\"allow\":\"yes\"}\n{\"user\":\"7\"}\n";
        let (lines, faults) = read(text);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].body["otherwise"], "adopted.auth.add_group");
        assert_eq!(
            (&lines[0].body["user"], &lines[0].body["organization"]),
            (&json!("7"), &json!("a \"b\" 😀"))
        );
        let numbers: Vec<usize> = faults.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [3, 4, 5]);
    }
}
