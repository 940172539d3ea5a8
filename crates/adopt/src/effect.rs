//! What rights come to, whatever they are called: a role that was renamed, or mapped onto another one, gives back what was taken away under
//! another name.

use crate::answers::Bits;
use crate::away::{self, What};
use crate::plan::Ground;
use charter_kernel::{Pattern, RoleKey};
use std::collections::HashMap;
use std::rc::Rc;

/// Codes of rights, each looked up once.
pub(crate) struct Effects<'g> {
    ground: &'g Ground<'g>,
    known: HashMap<(String, Vec<String>), Option<Rc<Bits>>>,
}

impl<'g> Effects<'g> {
    pub fn new(ground: &'g Ground<'g>) -> Self {
        Self { ground, known: HashMap::new() }
    }

    /// What a role or a permission gives, with the patterns that were noted of it; none where nobody knows.
    pub fn of(&mut self, key: &str, gives: &[String]) -> Option<Rc<Bits>> {
        let place = (key.to_owned(), gives.to_vec());
        if let Some(known) = self.known.get(&place) {
            return known.clone();
        }
        let Ground { universe, catalogue, .. } = self.ground;
        let mut bits = universe.none();
        let shipped = key.parse::<RoleKey>().ok().filter(|key| catalogue.role(key).is_some());
        if let Some(role) = &shipped {
            bits.add(&universe.of_role(catalogue, role));
        }
        let patterns: Vec<Pattern> = gives.iter().filter_map(|pattern| pattern.parse().ok()).collect();
        for (at, code) in universe.codes().iter().enumerate() {
            if patterns.iter().any(|pattern| pattern.matches(code)) {
                bits.set(at);
            }
        }
        let is_known = shipped.is_some() || !gives.is_empty() && patterns.len() == gives.len();
        let found = is_known.then(|| Rc::new(bits));
        self.known.insert(place, found.clone());
        found
    }

    /// What a right that a run writes gives.
    pub fn of_right(&mut self, what: &What) -> Option<Rc<Bits>> {
        let gives = away::gives(&self.ground.intent, what);
        self.of(what.words().1, &gives)
    }
}

/// Whether two have something in common; what nobody knows may be anything.
pub(crate) fn overlap(one: Option<&Bits>, other: Option<&Bits>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.iter().any(|place| other.has(place)),
        _ => true,
    }
}
