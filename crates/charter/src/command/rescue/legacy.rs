//! Step 3: the other system's tables are what they were, byte for byte.

use super::{Rescue, report::Step};
use charter_adopt::sums::{TableSum, legacy_checksums, name_of};
use charter_db::Error;
use charter_db::foreign::{Foreign, ForeignTable};
use serde_json::json;
use std::collections::BTreeMap;

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

/// Step 3.
pub async fn run(rescue: &Rescue<'_>, step: &mut Step) {
    let Some(record) = &rescue.record else {
        return step.fail("there is no record that says what they were before");
    };
    let from = match &rescue.from {
        Ok(from) => from,
        Err(why) => return step.fail(why.clone()),
    };
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
