//! Who stands above whom: the closure of roles over their parents and of teams over the team above.
//!
//! A cycle is refused when written. Should one be found all the same, the edges on it give nothing, but still count for
//! denials: doubt denies.

use std::collections::BTreeSet;

/// Closures of a small graph, each node with itself.
pub(crate) struct Closures {
    /// Along edges that are on no cycle: what may be given through them.
    pub gives: Vec<BTreeSet<usize>>,
    /// Along every edge: what a denial reaches.
    pub is: Vec<BTreeSet<usize>>,
    /// Nodes with an edge that is on a cycle.
    pub cyclic: Vec<usize>,
}

fn reach(start: usize, edges: &[Vec<usize>], keep: impl Fn(usize, usize) -> bool) -> BTreeSet<usize> {
    let mut seen = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        for above in edges.get(node).into_iter().flatten() {
            if keep(node, *above) && seen.insert(*above) {
                open.push(*above);
            }
        }
    }
    seen
}

/// Both closures of a graph given as, for each node, the nodes right above it.
pub(crate) fn closures(edges: &[Vec<usize>]) -> Closures {
    let is: Vec<BTreeSet<usize>> = (0..edges.len()).map(|node| reach(node, edges, |_, _| true)).collect();
    let on_cycle = |node: usize, above: usize| is.get(above).is_some_and(|set| set.contains(&node));
    let cyclic: Vec<usize> = (0..edges.len())
        .filter(|node| edges.get(*node).into_iter().flatten().any(|above| on_cycle(*node, *above)))
        .collect();
    let gives = if cyclic.is_empty() {
        is.clone()
    } else {
        (0..edges.len()).map(|node| reach(node, edges, |from, to| !on_cycle(from, to))).collect()
    };
    Closures { gives, is, cyclic }
}
