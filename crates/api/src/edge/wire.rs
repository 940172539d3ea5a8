//! How kernel values look in a schema: `#[schemars(with = "wire::Id")] id: GrantId`. Kernel types know their text form
//! (serde) but nothing of schemas; these markers say it, once a form.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident = $schema:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool { true }
            fn schema_name() -> Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema { json_schema!($schema) }
        }
    )*};
}

forms! {
    /// An id: a UUID.
    Id = { "type": "string", "format": "uuid", "examples": ["0193e7a0-0000-7000-8000-000000000001"] };
    /// An instant: RFC 3339 with an offset; answers are in UTC.
    Time = { "type": "string", "format": "date-time", "examples": ["2026-03-01T08:30:00Z"] };
    /// A key: 1 to 64 lower-case letters, digits, hyphens and underscores, a letter first.
    Key = { "type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$", "examples": ["toys"] };
    /// A permission code.
    Code = { "type": "string", "pattern": "^[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*\\.[a-z][a-z0-9_]*$", "examples": ["sales.invoices.read"] };
    /// A pattern over permission codes.
    Pattern = { "type": "string", "pattern": "^(\\*|([a-z][a-z0-9_]*|\\*)(\\.([a-z][a-z0-9_]*|\\*)){2})$", "examples": ["sales.*.read"] };
    /// Allow or deny.
    Effect = { "type": "string", "enum": ["allow", "deny"] };
    /// A revision of an organization's facts.
    Revision = { "type": "integer", "minimum": 0 };
    /// An object of the shape another document describes.
    AnyObject = { "type": "object" };
    /// Any JSON value.
    Json = {};
}
