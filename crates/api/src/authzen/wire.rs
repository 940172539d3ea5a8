//! The JSON that comes in: each endpoint reads the members it names and ignores the rest. Texts without escapes and free objects
//! are borrowed from the body; one reading of the body is the only one, unless it holds more than plain questions or a fault.

use crate::edge::json;
use charter_kernel::{Problem, ProblemKind};
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// A text, borrowed where it has no escapes.
#[derive(Debug, Clone)]
pub struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Texts)
    }
}

/// Objects of optional members. Unlike derived ones they are read from nothing but JSON objects: `["user", "ann"]` is no subject.
macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident { $($field:ident $key:literal: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name<'a> {
            $(pub $field: Option<$kind>,)*
            is_odd: bool,
        }

        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Members<'a>(PhantomData<&'a ()>);
                impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                        let mut object = $name::default();
                        $(let mut $field = false;)*
                        while let Some(key) = members.next_key::<Text<'de>>()? {
                            match &*key {
                                $($key => {
                                    object.is_odd |= std::mem::replace(&mut $field, true);
                                    object.$field = members.next_value()?;
                                })*
                                _ => {
                                    object.is_odd = true;
                                    members.next_value::<IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(object)
                    }
                }
                deserializer.deserialize_map(Members(PhantomData))
            }
        }

        impl Plain for $name<'_> {
            fn is_plain(&self) -> bool {
                !self.is_odd && $(self.$field.is_plain())&&*
            }
        }
    )*};
}

/// What holds only members that are named here, each once, and texts and numbers in them: nothing a parser would let pass. Everything
/// else has to be scanned before it counts as read.
pub trait Plain {
    /// Whether it does.
    fn is_plain(&self) -> bool;
}

impl<T: Plain> Plain for Option<T> {
    fn is_plain(&self) -> bool {
        self.as_ref().is_none_or(Plain::is_plain)
    }
}

impl<T: Plain> Plain for Vec<T> {
    fn is_plain(&self) -> bool {
        self.iter().all(Plain::is_plain)
    }
}

impl Plain for Text<'_> {
    fn is_plain(&self) -> bool {
        true
    }
}

impl Plain for u64 {
    fn is_plain(&self) -> bool {
        true
    }
}

impl Plain for &RawValue {
    fn is_plain(&self) -> bool {
        false
    }
}

objects! {
    /// A subject or a resource as sent; which of its members must be there is the endpoint's affair.
    Entity { kind "type": Text<'a>, id "id": Text<'a>, properties "properties": &'a RawValue, }

    /// The same where the id is searched for and so must not be looked at.
    Sought { kind "type": Text<'a>, properties "properties": &'a RawValue, }

    /// An action as sent.
    Action { name "name": Text<'a>, properties "properties": &'a RawValue, }

    /// Body of `evaluation`, and an item of a batch.
    Evaluation {
        subject "subject": Entity<'a>,
        action "action": Action<'a>,
        resource "resource": Entity<'a>,
        context "context": &'a RawValue,
    }

    /// Body of `evaluations` whose items are all of the right types.
    Evaluations {
        subject "subject": Entity<'a>,
        action "action": Action<'a>,
        resource "resource": Entity<'a>,
        context "context": &'a RawValue,
        items "evaluations": Vec<Evaluation<'a>>,
        options "options": Options<'a>,
    }

    /// Body of `evaluations` with a faulty item somewhere.
    FaultyEvaluations {
        subject "subject": Entity<'a>,
        action "action": Action<'a>,
        resource "resource": Entity<'a>,
        context "context": &'a RawValue,
        items "evaluations": Vec<&'a RawValue>,
        options "options": Options<'a>,
    }

    /// Options of a batch.
    Options { evaluations_semantic "evaluations_semantic": Text<'a>, }

    /// Page of a search, as asked.
    PageAsked { token "token": Text<'a>, limit "limit": u64, properties "properties": &'a RawValue, }

    /// Body of `search/subject`.
    SubjectSearch {
        subject "subject": Sought<'a>,
        action "action": Action<'a>,
        resource "resource": Entity<'a>,
        context "context": &'a RawValue,
        page "page": PageAsked<'a>,
    }

    /// Body of `search/resource`.
    ResourceSearch {
        subject "subject": Entity<'a>,
        action "action": Action<'a>,
        resource "resource": Sought<'a>,
        context "context": &'a RawValue,
        page "page": PageAsked<'a>,
    }

    /// Body of `search/action`.
    ActionSearch {
        subject "subject": Entity<'a>,
        resource "resource": Entity<'a>,
        context "context": &'a RawValue,
        page "page": PageAsked<'a>,
    }
}

/// The problem of a body that cannot be answered: always 400.
pub fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Malformed, detail)
}

/// Reads a body, which may hold nothing that a parser would let pass: no key twice, no half of a pair, no depth without end.
pub fn read<'a, T: Deserialize<'a> + Plain>(bytes: &'a [u8]) -> Result<T, Problem> {
    match read_whole(bytes)? {
        Ok(body) => Ok(body),
        Err(text) => parse(text),
    }
}

/// The same; a body of other types than expected is given back as the text it is. A body that is plain throughout needs no scan.
pub fn read_whole<'a, T: Deserialize<'a> + Plain>(bytes: &'a [u8]) -> Result<Result<T, &'a str>, Problem> {
    let body: Option<T> = std::str::from_utf8(bytes).ok().and_then(|text| serde_json::from_str(text).ok());
    match body {
        Some(plain) if plain.is_plain() => Ok(Ok(plain)),
        body => json::check(bytes).map(|text| body.ok_or(text)),
    }
}

/// Reads a text that was checked for what a parser lets pass.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|flaw| bad(format!("the body cannot be read: {flaw}")))
}

/// A member that must be there.
pub fn need<'b, T: ?Sized>(value: Option<&'b T>, name: &str) -> Result<&'b T, Problem> {
    value.ok_or_else(|| bad(format!("{name} is missing")))
}

/// An object of free keys, or nothing.
pub fn object(raw: Option<&RawValue>, name: &str) -> Result<Option<Map<String, Value>>, Problem> {
    let Some(raw) = raw else { return Ok(None) };
    match serde_json::from_str::<Value>(raw.get()) {
        Ok(Value::Object(map)) if map.is_empty() => Ok(None),
        Ok(Value::Object(map)) => Ok(Some(map)),
        _ => Err(bad(format!("{name} has to be an object"))),
    }
}
