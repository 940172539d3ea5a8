//! Circles among things that name each other.

use std::collections::{BTreeMap, BTreeSet};

/// A cycle among named things, as the names along it, the smallest first.
pub(super) fn cycles<'c>(edges: &BTreeMap<&'c str, Vec<&'c str>>) -> BTreeSet<Vec<&'c str>> {
    let mut found = BTreeSet::new();
    for start in edges.keys() {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut waiting = vec![*start];
        let mut closed = false;
        while let Some(here) = waiting.pop() {
            for next in edges.get(here).into_iter().flatten() {
                if next == start {
                    came_from.insert(start, here);
                    closed = true;
                } else if !came_from.contains_key(next) {
                    came_from.insert(next, here);
                    waiting.push(next);
                }
            }
        }
        if closed {
            let mut path = vec![*start];
            let mut here = came_from.get(start).copied();
            while let Some(step) = here.filter(|step| step != start) {
                path.push(step);
                here = came_from.get(step).copied();
            }
            path.reverse();
            let smallest = path.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
            path.rotate_left(smallest);
            found.insert(path);
        }
    }
    found
}
