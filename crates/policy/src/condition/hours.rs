//! The local clock of a zone, and when working hours begin or end next.

use super::{ConditionError, error};
use charter_kernel::Timestamp;
use jiff::tz::TimeZone;

/// Zone by name, from the database of the operating system or the bundled one.
pub(crate) fn zone(name: &str) -> Result<TimeZone, ConditionError> {
    if name.is_empty() || name.len() > 64 {
        return error(format!("zone {name:?} is not known: write an IANA name, for example Europe/Berlin"));
    }
    TimeZone::get(name).or_else(|_| {
        error(format!("zone {name:?} is not known: write an IANA name, for example Europe/Berlin"))
    })
}

/// Seconds of the local day and the weekday (Monday 0) in a zone.
pub(crate) fn local(zone: &TimeZone, now: Timestamp) -> Option<(i32, u8)> {
    let second = now.seconds();
    let offset = zone.to_offset(jiff::Timestamp::from_second(second).ok()?).seconds();
    let local = second.checked_add(i64::from(offset))?;
    let of_day = local.rem_euclid(86_400) as i32;
    // 1970-01-01 was a Thursday.
    let weekday = (local.div_euclid(86_400) + 3).rem_euclid(7) as u8;
    Some((of_day, weekday))
}

/// The next edge of working hours, at most a minute away. Within a minute a zone changes its offset at most once; where
/// it does, nothing is promised.
pub(super) fn next_edge(zone: &TimeZone, from: i32, to: i32, now: Timestamp) -> Timestamp {
    let soon = now.plus_seconds(60);
    let offset = |at: Timestamp| {
        jiff::Timestamp::from_second(at.seconds()).ok().map(|at| zone.to_offset(at).seconds())
    };
    match (offset(now), offset(soon), local(zone, now)) {
        (Some(here), Some(there), Some((second, _))) if here == there => [from, to, 0, 86_400]
            .into_iter()
            .map(|edge| (edge - second).rem_euclid(86_400))
            .map(|wait| if wait == 0 { 86_400 } else { wait })
            .map(|wait| Timestamp::from_seconds(now.seconds()).plus_seconds(i64::from(wait)))
            .min()
            .map_or(soon, |edge| edge.min(soon)),
        _ => now,
    }
}
