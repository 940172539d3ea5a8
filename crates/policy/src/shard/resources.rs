//! Registered resources and stored attributes, read once; what is doubtful is marked, never guessed.

use crate::condition::Reads;
use crate::index::{Index, KindIndex};
use charter_kernel::PrincipalId;
use charter_kernel::facts::{OrganizationFacts, ResourceFact};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Attributes as stored.
#[derive(Debug, PartialEq)]
pub(crate) enum Attributes {
    Map(Map<String, Value>),
    Unreadable,
}

impl Attributes {
    pub(crate) fn read(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::Map(Map::new());
        }
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(map)) => Self::Map(map),
            _ => Self::Unreadable,
        }
    }
}

/// A registered resource.
#[derive(Debug)]
pub(crate) struct Registered {
    pub kind: KindIndex,
    pub id: Box<str>,
    pub owner: Option<PrincipalId>,
    /// Rows of one thing under its two names contradict each other.
    pub is_doubtful: bool,
    pub attributes: Option<Attributes>,
}

pub(super) fn registered(
    index: &Index,
    facts: &OrganizationFacts,
    reads: Reads,
    faults: &mut Vec<String>,
) -> Vec<Registered> {
    let mut rows: Vec<(KindIndex, &ResourceFact)> = Vec::new();
    for fact in &facts.resources {
        match index.kind(fact.resource.kind.as_str()) {
            Some(kind) => rows.push((kind, fact)),
            None => faults.push(format!(
                "resource {}:{}: its type is not in the catalogue",
                fact.resource.kind, fact.resource.id
            )),
        }
    }
    let key = |row: &(KindIndex, &ResourceFact)| (row.0, Arc::clone(&row.1.resource.id));
    rows.sort_by_key(key);
    rows.chunk_by(|a, b| a.0 == b.0 && a.1.resource.id == b.1.resource.id)
        .filter_map(|same| {
            let (kind, first) = same.first()?;
            let agree = same.iter().all(|(_, row)| row.owner == first.owner && row.attributes == first.attributes);
            if !agree {
                faults.push(format!(
                    "resource {}:{}: registered twice with different owner or attributes, conditions on it fail",
                    first.resource.kind, first.resource.id
                ));
            }
            let attributes = reads.resource.then(|| if agree { Attributes::read(&first.attributes) } else { Attributes::Unreadable });
            Some(Registered {
                kind: *kind,
                id: Box::from(&*first.resource.id),
                owner: first.owner,
                is_doubtful: !agree,
                attributes,
            })
        })
        .collect()
}
