//! Which modules are on for the organizations of the other system, and what that leaves within reach.

use crate::answers::Bits;
use crate::facts::LegacyFacts;
use crate::mapping::ModulesRule;
use crate::universe::Universe;
use charter_kernel::ModuleKey;
use charter_kernel::catalogue::{Catalogue, ModuleScope};
use charter_policy::Index;
use charter_policy::legacy::enabled_modules;
use std::collections::{BTreeSet, HashMap};

/// The modules of every organization; organizations with the same ones share what follows from it.
#[derive(Debug, Clone)]
pub struct Modules {
    all: Vec<ModuleKey>,
    of: Vec<u32>,
    kinds: Vec<(BTreeSet<ModuleKey>, Bits)>,
}

impl Modules {
    /// Reads them. A system without organizations has one, at place 0.
    #[must_use]
    pub fn new(facts: &LegacyFacts, rule: ModulesRule, index: &Index, universe: &Universe) -> Self {
        let catalogue: &Catalogue = index.catalogue();
        let switched: Vec<ModuleKey> = catalogue
            .modules
            .iter()
            .filter(|module| module.scope == ModuleScope::Organization && !module.always_on)
            .map(|module| module.key.clone())
            .collect();
        let mut known: HashMap<BTreeSet<ModuleKey>, u32> = HashMap::new();
        let mut this = Self { all: switched, of: Vec::new(), kinds: Vec::new() };
        let documents = facts.organizations.iter().map(|it| it.enabled_modules.as_deref());
        let documents: Vec<Option<&str>> =
            if facts.organizations.is_empty() { vec![None] } else { documents.collect() };
        for document in documents {
            let on: BTreeSet<ModuleKey> = match rule {
                ModulesRule::All => this.all.iter().cloned().collect(),
                ModulesRule::None => BTreeSet::new(),
                ModulesRule::AsSaid => {
                    let said = enabled_modules(document, index).on;
                    said.into_iter().filter(|module| this.all.contains(module)).collect()
                }
            };
            let next = u32::try_from(this.kinds.len()).unwrap_or(u32::MAX);
            let kind = *known.entry(on).or_insert_with_key(|on| {
                this.kinds.push((on.clone(), universe.within(on)));
                next
            });
            this.of.push(kind);
        }
        this
    }

    /// The modules that can be switched.
    #[must_use]
    pub fn all(&self) -> &[ModuleKey] {
        &self.all
    }

    /// What kind an organization is of; organizations of one kind have the same modules.
    #[must_use]
    pub fn kind(&self, organization: u32) -> Option<u32> {
        self.of.get(organization as usize).copied()
    }

    /// The modules that are on in a kind of organization.
    #[must_use]
    pub fn on(&self, kind: u32) -> Option<&BTreeSet<ModuleKey>> {
        self.kinds.get(kind as usize).map(|(on, _)| on)
    }

    /// What is within reach in a kind of organization.
    #[must_use]
    pub fn reach(&self, kind: u32) -> Option<&Bits> {
        self.kinds.get(kind as usize).map(|(_, reach)| reach)
    }
}
