//! The `enabled_modules` document of older systems, read exactly as they meant it.

use crate::index::Index;
use charter_kernel::ModuleKey;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// What an `enabled_modules` document says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LegacyModules {
    /// Modules that are on.
    pub on: BTreeSet<ModuleKey>,
    /// Modules that several names of the document fold to: on wins.
    pub folded_twice: Vec<ModuleKey>,
    /// Names that are no module.
    pub unknown: Vec<String>,
    /// Modules with a value that says neither on nor off, and the value: they count as off.
    pub odd: Vec<(ModuleKey, String)>,
    /// The document cannot be read; everything is off.
    pub unreadable: bool,
}

/// JSON that keeps repeated names.
#[derive(Debug)]
enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Number(value as f64))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(value as f64))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Number(value))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Json::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
                let mut object = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    object.push(entry);
                }
                Ok(Json::Object(object))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// Whether a value says on or off; nothing where it says neither.
fn told(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(value) => Some(*value),
        Json::Number(value) if *value == 1.0 => Some(true),
        Json::Number(value) if *value == 0.0 => Some(false),
        Json::Text(text) => match text.trim().to_lowercase().as_str() {
            "1" | "true" | "yes" | "on" | "enabled" => Some(true),
            "0" | "false" | "no" | "off" | "disabled" | "" => Some(false),
            _ => None,
        },
        Json::Object(entries) => {
            let said =
                entries.iter().filter(|(key, value)| key == "enabled" && !matches!(value, Json::Object(_)));
            let said: Vec<Option<bool>> = said.map(|(_, value)| told(value)).collect();
            match said.contains(&Some(true)) {
                true => Some(true),
                false => said.into_iter().next().flatten(),
            }
        }
        Json::Null => Some(false),
        Json::Number(_) | Json::List(_) => None,
    }
}

/// A value as it may be shown.
fn shown(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(value) => value.to_string(),
        Json::Text(text) => format!("{text:?}"),
        Json::List(_) => "a list".to_owned(),
        Json::Object(_) => "an object that does not say `enabled`".to_owned(),
    }
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Reads a legacy document: an object of module names with values, a list of names, or a text that holds one of these.
pub fn enabled_modules(document: Option<&str>, index: &Index) -> LegacyModules {
    let mut modules = LegacyModules::default();
    let Some(document) = document.map(str::trim).filter(|document| !document.is_empty()) else {
        return modules;
    };
    let mut json = serde_json::from_str::<Json>(document);
    if let Ok(Json::Text(inner)) = &json {
        let inner = inner.trim().to_owned();
        json = if inner.is_empty() { Ok(Json::Null) } else { serde_json::from_str::<Json>(&inner) };
    }
    let names: Vec<(String, Option<bool>, String)> = match json {
        Ok(Json::Null) => return modules,
        Ok(Json::Object(entries)) => {
            entries.into_iter().map(|(name, value)| (name, told(&value), shown(&value))).collect()
        }
        Ok(Json::List(items)) => items
            .into_iter()
            .map(|item| match item {
                Json::Text(name) => (name, Some(true), String::new()),
                other => (format!("{other:?}"), Some(true), String::new()),
            })
            .collect(),
        Ok(_) | Err(_) => {
            modules.unreadable = true;
            return modules;
        }
    };
    let mut aliases: HashMap<String, &ModuleKey> = HashMap::new();
    for module in &index.catalogue().modules {
        for name in &module.legacy_keys {
            aliases.insert(fold(name), &module.key);
        }
    }
    for module in &index.catalogue().modules {
        aliases.insert(module.key.as_str().to_owned(), &module.key);
    }
    let mut seen: BTreeMap<&ModuleKey, usize> = BTreeMap::new();
    for (name, on, value) in &names {
        match aliases.get(&fold(name)) {
            Some(module) => {
                *seen.entry(module).or_default() += 1;
                match on {
                    Some(true) => _ = modules.on.insert((*module).clone()),
                    Some(false) => {}
                    None => modules.odd.push(((*module).clone(), value.clone())),
                }
            }
            None => modules.unknown.push(name.clone()),
        }
    }
    modules.folded_twice =
        seen.into_iter().filter(|(_, times)| *times > 1).map(|(module, _)| module.clone()).collect();
    modules
}
