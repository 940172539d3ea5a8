//! All permissions that a proof speaks of: those of the catalogue, and the other system's own as codes of the adopted module.

use crate::answers::Bits;
use crate::facts::LegacyFacts;
use crate::naming;
use charter_kernel::catalogue::{Catalogue, ModuleScope};
use charter_kernel::{ModuleKey, PermissionCode, RoleKey};
use std::collections::{BTreeSet, HashMap};

/// The permissions, each with a place.
#[derive(Debug, Clone)]
pub struct Universe {
    codes: Vec<PermissionCode>,
    places: HashMap<PermissionCode, usize>,
    legacy: Vec<usize>,
    always: Bits,
    by_module: HashMap<ModuleKey, Bits>,
}

/// A permission of the other system that cannot become a code, or two that would become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed(pub String);

impl Universe {
    /// The permissions of a catalogue and of another system.
    pub fn new(facts: &LegacyFacts, catalogue: &Catalogue) -> Result<Self, Unnamed> {
        let mut legacy_codes = Vec::with_capacity(facts.permissions.len());
        let mut taken = BTreeSet::new();
        for name in &facts.permissions {
            let code = naming::code(name).ok_or_else(|| Unnamed(name.clone()))?;
            if !taken.insert(code.clone()) {
                return Err(Unnamed(name.clone()));
            }
            legacy_codes.push(code);
        }
        let shipped = catalogue.permissions.iter().map(|permission| permission.code.clone());
        let codes: Vec<PermissionCode> = shipped.chain(taken).collect::<BTreeSet<_>>().into_iter().collect();
        let places: HashMap<PermissionCode, usize> =
            codes.iter().enumerate().map(|(place, code)| (code.clone(), place)).collect();
        let legacy = legacy_codes.iter().filter_map(|code| places.get(code).copied()).collect();
        let (mut always, mut by_module) = (Bits::none(codes.len()), HashMap::new());
        for (place, code) in codes.iter().enumerate() {
            let module = catalogue.module(code.module());
            match module {
                Some(module) if module.scope == ModuleScope::System => {}
                Some(module) if !module.always_on => {
                    by_module.entry(module.key.clone()).or_insert_with(|| Bits::none(codes.len())).set(place);
                }
                _ => always.set(place),
            }
        }
        Ok(Self { codes, places, legacy, always, by_module })
    }

    /// The codes, in order.
    #[must_use]
    pub fn codes(&self) -> &[PermissionCode] {
        &self.codes
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The place of a code.
    #[must_use]
    pub fn place(&self, code: &PermissionCode) -> Option<usize> {
        self.places.get(code).copied()
    }

    /// The code of a place.
    #[must_use]
    pub fn code(&self, place: usize) -> Option<&PermissionCode> {
        self.codes.get(place)
    }

    /// The place of a permission of the other system, by its place there.
    #[must_use]
    pub fn legacy(&self, place: u32) -> Option<usize> {
        self.legacy.get(place as usize).copied()
    }

    /// None of them.
    #[must_use]
    pub fn none(&self) -> Bits {
        Bits::none(self.len())
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Bits {
        Bits::all(self.len())
    }

    /// All of the other system's own.
    #[must_use]
    pub fn own(&self) -> Bits {
        let mut bits = self.none();
        self.legacy.iter().for_each(|place| bits.set(*place));
        bits
    }

    /// What can be had in an organization where these modules are on, besides those that always are.
    #[must_use]
    pub fn within<'m>(&self, on: impl IntoIterator<Item = &'m ModuleKey>) -> Bits {
        let mut bits = self.always.clone();
        for module in on {
            if let Some(more) = self.by_module.get(module) {
                bits.add(more);
            }
        }
        bits
    }

    /// What a role of the catalogue gives.
    #[must_use]
    pub fn of_role(&self, catalogue: &Catalogue, role: &RoleKey) -> Bits {
        let mut bits = self.none();
        for code in charter_catalogue::lint::codes_of(catalogue, role) {
            if let Some(place) = self.place(&code) {
                bits.set(place);
            }
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_are_off_are_out_of_reach_and_those_of_the_installation_always() {
        let catalogue = charter_catalogue::shipped().unwrap();
        let mut facts = LegacyFacts::default();
        facts.permissions.push("auth.add_group".to_owned());
        let universe = Universe::new(&facts, &catalogue).unwrap();
        assert_eq!(universe.len(), catalogue.permissions.len() + 1);
        let crm: ModuleKey = "crm".parse().unwrap();
        let (without, with) = (universe.within([]), universe.within([&crm]));
        let place = |code: &str| universe.place(&code.parse().unwrap()).unwrap();
        let own = place("adopted.auth.add_group");
        assert_eq!(universe.legacy(0), Some(own));
        assert!(without.has(own) && universe.own().has(own) && universe.own().count() == 1);
        assert!(with.count() > without.count());
        assert!(with.without(&without).all(|place| universe.code(place).unwrap().module() == "crm"));
        let system = catalogue.modules.iter().find(|it| it.scope == ModuleScope::System).unwrap();
        let all = universe.within(catalogue.modules.iter().map(|module| &module.key));
        let of_system = |place: &usize| universe.code(*place).unwrap().module() == system.key.as_str();
        assert!((0..universe.len()).filter(of_system).all(|place| !all.has(place)));
        assert!((0..universe.len()).filter(of_system).count() > 0);
    }

    #[test]
    fn a_name_that_cannot_be_told_apart_is_refused() {
        let catalogue = charter_catalogue::shipped().unwrap();
        let facts =
            LegacyFacts { permissions: vec!["a.b".to_owned(), "a.b".to_owned()], ..LegacyFacts::default() };
        assert_eq!(Universe::new(&facts, &catalogue).unwrap_err(), Unnamed("a.b".to_owned()));
    }
}
