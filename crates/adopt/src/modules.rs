//! Which modules are on for the organizations of the other system, and what that leaves within reach.

use crate::accepting::MODULES;
use crate::answers::Bits;
use crate::facts::{LegacyFacts, LegacyOrganization};
use crate::mapping::ModulesRule;
use crate::plan::more;
use crate::universe::Universe;
use charter_kernel::catalogue::{Catalogue, ModuleScope};
use charter_kernel::{ModuleKey, counted};
use charter_policy::Index;
use charter_policy::legacy::enabled_modules;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Organizations that a plan names; all are counted.
const NAMED_MAX: usize = 100;
/// Those that are told.
const TOLD_MAX: usize = 3;

/// The modules of every organization; organizations with the same ones share what follows from it.
#[derive(Debug, Clone)]
pub struct Modules {
    all: Vec<ModuleKey>,
    of: Vec<u32>,
    kinds: Vec<(BTreeSet<ModuleKey>, Bits)>,
    opened: Opened,
}

/// Organizations that the mapping gives modules which the other system's documents do not give them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// How many.
    pub organizations: u64,
    /// The first of them, by their names there, each with these modules.
    pub named: BTreeMap<String, BTreeSet<ModuleKey>>,
}

impl Opened {
    /// Whether there are none.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.organizations == 0
    }

    fn note(&mut self, organization: &LegacyOrganization, modules: BTreeSet<ModuleKey>) {
        self.organizations += 1;
        if self.named.len() < NAMED_MAX {
            self.named.entry(organization.name.clone()).or_default().extend(modules);
        }
    }

    /// Why a plan with them is not carried out yet.
    #[must_use]
    pub fn obstacle(&self) -> String {
        let one = |(name, modules): (&String, &BTreeSet<ModuleKey>)| {
            let modules: Vec<&str> = modules.iter().map(|module| module.as_str()).collect();
            format!("{name}: {}", modules.join(", "))
        };
        let first: Vec<String> = self.named.iter().take(TOLD_MAX).map(one).collect();
        format!(
            "modules = \"all\" turns on what the documents of {} do not ({}{}): say modules = \"as_said\" in the mapping, or accept it with \
             --accept {MODULES}",
            counted(self.organizations, "organization", "organizations"),
            first.join("; "),
            more(self.organizations, first.len())
        )
    }
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
        let mut this = Self { all: switched, of: Vec::new(), kinds: Vec::new(), opened: Opened::default() };
        let said = |document: Option<&str>, all: &[ModuleKey]| -> BTreeSet<ModuleKey> {
            enabled_modules(document, index).on.into_iter().filter(|module| all.contains(module)).collect()
        };
        // Where no organization has a document, nobody said that anything is off.
        let is_document =
            |it: &LegacyOrganization| it.enabled_modules.as_ref().is_some_and(|it| !it.trim().is_empty());
        if rule == ModulesRule::All && facts.organizations.iter().any(is_document) {
            for organization in &facts.organizations {
                let on = said(organization.enabled_modules.as_deref(), &this.all);
                let more: BTreeSet<ModuleKey> =
                    this.all.iter().filter(|module| !on.contains(*module)).cloned().collect();
                if !more.is_empty() {
                    this.opened.note(organization, more);
                }
            }
        }
        let documents = facts.organizations.iter().map(|it| it.enabled_modules.as_deref());
        let documents: Vec<Option<&str>> =
            if facts.organizations.is_empty() { vec![None] } else { documents.collect() };
        for document in documents {
            let on: BTreeSet<ModuleKey> = match rule {
                ModulesRule::All => this.all.iter().cloned().collect(),
                ModulesRule::None => BTreeSet::new(),
                ModulesRule::AsSaid => said(document, &this.all),
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

    /// Organizations that get more than their documents say.
    #[must_use]
    pub const fn opened(&self) -> &Opened {
        &self.opened
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
