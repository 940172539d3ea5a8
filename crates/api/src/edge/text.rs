//! Paths and query strings as typed values: each parameter once, none unknown, each read as the type its field has.

use charter_kernel::problem::FieldProblem;
use charter_kernel::{Problem, ProblemKind};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Name and value of each parameter, decoded.
pub type Pairs = Vec<(String, String)>;

/// Splits a query string; a name that stands twice and text that cannot be decoded are refused.
pub fn query_pairs(query: &str) -> Result<Pairs, Problem> {
    query_pairs_with(query, &[])
}

/// The same with names that may stand several times.
pub(crate) fn query_pairs_with(query: &str, lists: &[&str]) -> Result<Pairs, Problem> {
    let mut pairs = Pairs::new();
    if query.is_empty() {
        return Ok(pairs);
    }
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if !lists.contains(&name.as_str()) && pairs.iter().any(|(known, _)| *known == name) {
            return Err(parameter(name, "stands twice: say it once"));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// Takes a parameter out.
pub fn take(pairs: &mut Pairs, name: &str) -> Option<String> {
    let at = pairs.iter().position(|(known, _)| known == name)?;
    Some(pairs.remove(at).1)
}

/// Undoes form encoding: `%41` and `+`.
pub(crate) fn decode(text: &str) -> Result<String, Problem> {
    let wrong = || Problem::new(ProblemKind::Malformed, "the query string is not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit =
                    |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(wrong);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high << 4 | low).map_err(|_| wrong())?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

/// The problem of one parameter: status 400.
pub fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Problem {
    let name: String = name.into();
    let name: String = name.chars().take(64).collect();
    let detail = detail.into();
    Problem {
        fields: vec![FieldProblem { field: name.clone(), detail: detail.clone() }],
        ..Problem::new(ProblemKind::Malformed, format!("parameter {name} {detail}"))
    }
}

/// Reads query parameters into a struct; a parameter it has no field for is refused.
pub fn read_query<T: DeserializeOwned>(pairs: &Pairs) -> Result<T, Problem> {
    read(pairs, true).map_err(|flaw| parameter(flaw.name, flaw.detail))
}

/// Reads path parameters into a struct; those it has no field for are left alone. A value that cannot name anything is a
/// thing that is not there.
pub fn read_path<T: DeserializeOwned>(pairs: &Pairs) -> Result<T, Problem> {
    read(pairs, false).map_err(|flaw| {
        let name = if flaw.name == "seq" { "number".to_owned() } else { flaw.name.replace('_', " ") };
        let form = |word: &str| flaw.detail.strip_prefix(word);
        let detail = form("not a key: ")
            .map(|form| format!("is written otherwise: {form}"))
            .or_else(|| form("not an id: ").map(|form| format!("is not an id: {form}")));
        Problem::not_found(format!(
            "nothing is there: the {name} in the path {}",
            detail.unwrap_or(flaw.detail)
        ))
    })
}

fn read<T: DeserializeOwned>(pairs: &Pairs, is_strict: bool) -> Result<T, Flaw> {
    T::deserialize(Flat { pairs, is_strict })
}

/// What is wrong with which parameter.
#[derive(Debug)]
struct Flaw {
    name: String,
    detail: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.detail)
    }
}

impl std::error::Error for Flaw {}

impl serde::de::Error for Flaw {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { name: String::new(), detail: message.to_string() }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { name: field.to_owned(), detail: "is missing".to_owned() }
    }
}

struct Flat<'a> {
    pairs: &'a Pairs,
    is_strict: bool,
}

impl<'a> Flat<'a> {
    fn known(&self, fields: &[&str]) -> Result<(), Flaw> {
        let unknown = self.pairs.iter().find(|(name, _)| self.is_strict && !fields.contains(&name.as_str()));
        match unknown {
            None => Ok(()),
            Some((name, _)) if fields.is_empty() => Err(Flaw {
                name: name.clone(),
                detail: "is unknown: none is expected besides those of the convention".to_owned(),
            }),
            Some((name, _)) => Err(Flaw {
                name: name.clone(),
                detail: format!("is unknown: expected one of {}", fields.join(", ")),
            }),
        }
    }

    fn map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Flaw> {
        visitor.visit_map(FlatMap { rest: self.pairs.iter(), current: None })
    }
}

impl<'de> Deserializer<'de> for Flat<'de> {
    type Error = Flaw;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaw> {
        self.map(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Flaw> {
        self.known(fields)?;
        self.map(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaw> {
        self.known(&[])?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct FlatMap<'a> {
    rest: std::slice::Iter<'a, (String, String)>,
    current: Option<&'a (String, String)>,
}

impl<'a> MapAccess<'a> for FlatMap<'a> {
    type Error = Flaw;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Flaw> {
        self.current = self.rest.next();
        match self.current {
            Some((name, _)) => seed.deserialize(StrDeserializer::<Flaw>::new(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Flaw> {
        let Some((name, value)) = self.current else { return Err(Flaw::custom("a value without a name")) };
        seed.deserialize(Text(value)).map_err(|flaw| Flaw { name: name.clone(), ..flaw })
    }
}

/// One value, read as what its field asks for.
struct Text<'a>(&'a str);

macro_rules! parsed {
    ($($ask:ident $visit:ident $kind:ty, $expected:literal;)*) => {$(
        fn $ask<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaw> {
            match self.0.parse::<$kind>() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Flaw::custom(concat!("is wrong: expected ", $expected))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Flaw;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaw> {
        visitor.visit_borrowed_str(self.0)
    }

    parsed! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_i8 visit_i8 i8, "a small whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 u64, "a whole number, 0 or more";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaw> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Flaw> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Flaw> {
        if !variants.contains(&self.0) {
            return Err(Flaw::custom(format!("is wrong: expected one of {}", variants.join(", "))));
        }
        IntoDeserializer::<Flaw>::into_deserializer(self.0).deserialize_enum(name, variants, visitor)
    }

    /// A list is its items joined by commas.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Flaw> {
        visitor.visit_seq(Items(self.0.split(',')))
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a>(std::str::Split<'a, char>);

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = Flaw;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Flaw> {
        match self.0.find(|item| !item.is_empty()) {
            Some(item) => seed.deserialize(Text(item)).map(Some),
            None => Ok(None),
        }
    }
}
