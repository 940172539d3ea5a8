//! A JSON object in which every name stands once: of one that stands twice, two readers take different things.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// See the module.
pub struct Object(pub Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object in which every name stands once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object, A::Error> {
        let mut object = Map::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_every_name_once() {
        let read = |text: &str| serde_json::from_str::<Object>(text).map(|it| it.0.len());
        assert_eq!(read(r#"{"allow": true, "Allow": false, "reason": {"allow": 1}}"#).unwrap(), 3);
        assert_eq!(read("{}").unwrap(), 0);
        let twice =
            [r#"{"a": 1, "a": 1}"#, r#"{"a": false, "b": 1, "\u0061": true}"#, r#"{"a": null, "a": true}"#];
        for text in twice {
            assert!(read(text).unwrap_err().to_string().contains("stands twice"), "{text}");
        }
        for text in ["[true]", "true", "null", "", "{} {}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
