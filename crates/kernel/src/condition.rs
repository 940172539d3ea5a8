//! Conditions: predicates over time, address, authentication strength and attributes. The common ones are typed forms; anything
//! else is a CEL expression. This file says what a condition is; `charter-policy` compiles and evaluates it.

use crate::{Key, Timestamp};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Key of a condition within its organization.
pub type ConditionKey = Key;

/// Day of the week, Monday first, as three letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Whose attribute a condition reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeOf {
    /// The principal.
    Subject,
    /// The action, where the caller sent properties for it.
    Action,
    /// The resource.
    Resource,
    /// The request context.
    Context,
}

/// A value a condition compares with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(#[serde(serialize_with = "number")] f64),
    /// A text.
    Text(String),
}

/// A condition as it is stored and exported: `{"form": "...", ...}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", tag = "form", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// Inside `[from, to)`.
    Between {
        /// First instant inside.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        from: Option<Timestamp>,
        /// First instant outside again.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        to: Option<Timestamp>,
    },
    /// On these weekdays, between two times of day (`HH:MM`, end exclusive, may pass midnight), in a named time zone.
    Hours {
        /// IANA name, for example `Europe/Berlin`.
        zone: String,
        /// The days; empty means every day.
        #[serde(default)]
        weekdays: Vec<Weekday>,
        /// Start of the day's window, `HH:MM`.
        from: String,
        /// End of the day's window, `HH:MM`, exclusive; `24:00` is the end of the day.
        to: String,
    },
    /// The request comes from one of these address ranges (CIDR or single addresses).
    Address {
        /// The ranges.
        ranges: Vec<String>,
    },
    /// The principal proved a second factor, or one of the named methods (RFC 8176 `amr` values).
    Assurance {
        /// A second factor is demanded.
        #[serde(default)]
        mfa: bool,
        /// At least one of these methods is demanded; empty demands none.
        #[serde(default)]
        any_of: Vec<String>,
    },
    /// A number attribute is at most this.
    AtMost {
        /// Whose attribute.
        of: AttributeOf,
        /// Its name; dots descend into objects.
        attribute: String,
        /// The largest value that passes.
        #[serde(serialize_with = "number")]
        limit: f64,
    },
    /// An attribute equals a value.
    Equals {
        /// Whose attribute.
        of: AttributeOf,
        /// Its name; dots descend into objects.
        attribute: String,
        /// The value.
        value: Scalar,
    },
    /// An attribute is one of several values.
    OneOf {
        /// Whose attribute.
        of: AttributeOf,
        /// Its name; dots descend into objects.
        attribute: String,
        /// The values.
        values: Vec<Scalar>,
    },
    /// The principal owns the resource.
    Owner {},
    /// The principal is in a team (or one below it).
    Team {
        /// Key of the team.
        team: Key,
    },
    /// Every one of these holds.
    All {
        /// The parts.
        of: Vec<Condition>,
    },
    /// At least one of these holds.
    Any {
        /// The parts.
        of: Vec<Condition>,
    },
    /// A CEL expression over `subject`, `action`, `resource`, `context` that gives a boolean.
    Cel {
        /// The source, at most 2 KiB.
        expression: String,
    },
}

/// Whole numbers are written without a fraction: as they are read.
fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Condition {
    /// From an object. The derived reader of a tagged form takes a list as well, its tag first: `["owner"]` is no condition.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = Condition;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `form`")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Condition, A::Error> {
                Condition::deserialize(MapAccessDeserializer::new(members))
            }
        }

        deserializer.deserialize_map(Form)
    }
}

impl Condition {
    /// The teams the condition names, in any of its parts.
    pub fn teams(&self) -> Vec<&Key> {
        match self {
            Self::Team { team } => vec![team],
            Self::All { of } | Self::Any { of } => of.iter().flat_map(Self::teams).collect(),
            _ => Vec::new(),
        }
    }
}
