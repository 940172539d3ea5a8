//! Step 3: the other system's tables are what they were, byte for byte.

use super::{Rescue, report::Step};
use crate::command::adopt::legacy::{self, Looking};
use charter_adopt::sums::{TableSum, legacy_checksums, name_of};
use charter_db::Error;
use charter_db::foreign::{Foreign, ForeignTable, Share};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

type Sums = BTreeMap<String, TableSum>;

async fn now(from: &str, wanted: &Sums) -> Result<(Sums, Vec<String>), Error> {
    let mut foreign = Foreign::open(from).await?;
    let all = foreign.tables().await?;
    let tables: Vec<ForeignTable> =
        all.into_iter().filter(|table| wanted.contains_key(&name_of(table))).collect();
    let (readable, closed): (Vec<_>, Vec<_>) = tables.into_iter().partition(|table| table.is_readable);
    let sums = legacy_checksums(&mut foreign, &readable).await?;
    Ok((sums, closed.iter().map(name_of).collect()))
}

/// A file that was exported is no table of the system it came from: whatever became of it, nothing was written there.
async fn file(path: &str, fingerprint: &str, step: &mut Step) {
    step.tell(format!("the other system was read from the file {path}: there is no table to compare"));
    if fingerprint.is_empty() || !Path::new(path).exists() {
        return step.tell("the file is not there any more, and so is not compared");
    }
    let looked = async { Looking::open(path, Share::WHOLE, None, None).await?.hear(&mut |_, _| {}).await };
    step.tell(match looked.await {
        Ok(heard) if heard.fingerprint == fingerprint => "what the file says is what it said then".to_owned(),
        Ok(_) => "the file says something else by now: it was exported anew, or changed".to_owned(),
        Err(failure) => format!("the file cannot be read any more, and so is not compared: {failure}"),
    });
}

/// Step 3.
pub async fn run(rescue: &Rescue<'_>, step: &mut Step) {
    let Some(record) = &rescue.record else {
        return step.fail("there is no record that says what they were before");
    };
    let from = match &rescue.from {
        Ok(from) => from,
        Err(why) => return step.fail(why.clone()),
    };
    if legacy::is_file(from) {
        return file(from, &record.legacy.fingerprint, step).await;
    }
    let before = &record.legacy.tables;
    let (after, closed) = match now(from, before).await {
        Ok(found) => found,
        Err(error) => return step.fail(format!("they cannot be read: {error}")),
    };
    let mut same = 0;
    for (name, was) in before {
        match after.get(name) {
            Some(is) if is == was => same += 1,
            Some(is) => step.fail(format!(
                "{name} differs: {} rows before, {} now; people who work there change it too",
                was.rows, is.rows
            )),
            None if closed.contains(name) => step.fail(format!("{name} may not be read by this user")),
            None => step.fail(format!("{name} is not there any more: {} rows before", was.rows)),
        }
    }
    let (are, they) = if before.len() == 1 { ("table is", "it was") } else { ("tables are", "they were") };
    step.tell(format!("{same} of {} {are} what {they} on {}", before.len(), record.started_at));
    step.note("before", json!(before));
    step.note("now", json!(after));
}
