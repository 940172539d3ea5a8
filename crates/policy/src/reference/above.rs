//! What stands above a role or a team: along every edge, and along those that lead back to nowhere.

use std::collections::BTreeSet;

/// Everything above `start`, with itself, along the edges kept.
pub(super) fn reach<T: Ord + Clone>(
    start: &T,
    above: &dyn Fn(&T) -> Vec<T>,
    keep: &dyn Fn(&T, &T) -> bool,
) -> BTreeSet<T> {
    let mut found = BTreeSet::from([start.clone()]);
    let mut open = vec![start.clone()];
    while let Some(node) = open.pop() {
        for next in above(&node) {
            if keep(&node, &next) && found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    found
}

/// Above `start` along every edge, and along the edges that lead back to nowhere.
pub(super) fn both<T: Ord + Clone>(start: &T, above: &dyn Fn(&T) -> Vec<T>) -> (BTreeSet<T>, BTreeSet<T>) {
    let all = reach(start, above, &|_, _| true);
    let sound = reach(start, above, &|from, to| !reach(to, above, &|_, _| true).contains(from));
    (all, sound)
}
