//! The values of the variables of an expression, built from what is asked, and the functions it may call.

use crate::condition::{AddressRange, Asked, Owner, Stored, local, parse_address, zone};
use cel::objects::{Key, Map as CelMap};
use cel::{ExecutionError, Value};
use charter_kernel::condition::AttributeOf;
use charter_kernel::facts::PrincipalKind;
use charter_kernel::time::Timestamp;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

pub(super) fn functions() -> &'static cel::Context<'static, 'static> {
    static ROOT: OnceLock<cel::Context<'static, 'static>> = OnceLock::new();
    ROOT.get_or_init(|| {
        let mut context = cel::Context::default();
        let text = |name: &str, message: &str| ExecutionError::function_error(name, message);
        // A name that is taken would leave the function undeclared; calling it then fails to evaluate, which denies.
        let _ = context.add_function("in_range", move |address: Arc<String>, range: Arc<String>| {
            let address = parse_address(&address).ok_or_else(|| text("in_range", "not an address"))?;
            let range = AddressRange::parse(&range).map_err(|_| text("in_range", "not an address range"))?;
            Ok::<bool, ExecutionError>(range.contains(address))
        });
        let _ = context.add_function("hour", move |time: Arc<String>, name: Arc<String>| {
            let (second, _) = local_of(&time, &name).ok_or_else(|| text("hour", "not a time or zone"))?;
            Ok::<i64, ExecutionError>(i64::from(second / 3600))
        });
        let _ = context.add_function("weekday", move |time: Arc<String>, name: Arc<String>| {
            let (_, day) = local_of(&time, &name).ok_or_else(|| text("weekday", "not a time or zone"))?;
            let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
                .get(usize::from(day))
                .copied()
                .unwrap_or_default();
            Ok::<Arc<String>, ExecutionError>(Arc::new(day.to_owned()))
        });
        context
    })
}

fn local_of(time: &str, name: &str) -> Option<(i32, u8)> {
    let time: Timestamp = time.parse().ok()?;
    local(&zone(name).ok()?, time)
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(it) => Value::Bool(*it),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(it), _, _) => Value::Int(it),
            (None, Some(it), _) => Value::UInt(it),
            (None, None, it) => it.map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(value).collect())),
        Json::Object(map) => object(map.iter().map(|(key, it)| (key.as_str(), value(it)))),
    }
}

fn object<'a>(entries: impl Iterator<Item = (&'a str, Value)>) -> Value {
    let map: HashMap<Key, Value> =
        entries.map(|(key, value)| (Key::String(Arc::new(key.to_owned())), value)).collect();
    Value::Map(CelMap { map: Arc::new(map) })
}

fn text(text: impl ToString) -> Value {
    Value::String(Arc::new(text.to_string()))
}

/// Stored attributes over those the caller may assert; none where what is stored cannot be read.
fn properties(
    of: AttributeOf,
    stored: Stored<'_>,
    sent: Option<&Map<String, Json>>,
    asked: &impl Asked,
) -> Option<Value> {
    let stored = match stored {
        Stored::Unreadable => return None,
        Stored::Absent => None,
        Stored::Map(map) => Some(map),
    };
    let sent = sent.into_iter().flatten().filter(|(key, _)| {
        asked.assertable().allows(of, key) && !stored.is_some_and(|stored| stored.contains_key(key.as_str()))
    });
    Some(object(sent.chain(stored.into_iter().flatten()).map(|(key, it)| (key.as_str(), value(it)))))
}

pub(super) fn subject(asked: &impl Asked) -> Value {
    let kind = match asked.subject_kind() {
        PrincipalKind::User => "user",
        PrincipalKind::ServiceAccount => "service_account",
    };
    let mut entries = vec![("id", text(asked.subject())), ("type", text(kind))];
    if asked.teams().iter().all(|(_, certain)| *certain) {
        entries
            .push(("teams", Value::List(Arc::new(asked.teams().iter().map(|(key, _)| text(key)).collect()))));
    }
    let sent = asked.context().subject_properties;
    if let Some(found) = properties(AttributeOf::Subject, asked.subject_attributes(), sent, asked) {
        entries.push(("properties", found));
    }
    object(entries.into_iter())
}

pub(super) fn action(asked: &impl Asked) -> Value {
    let mut entries =
        vec![("name", text(asked.permission().action())), ("permission", text(asked.permission()))];
    let sent = asked.context().action_properties;
    if let Some(found) = properties(AttributeOf::Action, Stored::Absent, sent, asked) {
        entries.push(("properties", found));
    }
    object(entries.into_iter())
}

pub(super) fn resource(asked: &impl Asked) -> Value {
    let mut entries = Vec::new();
    if let Some((kind, id)) = asked.resource() {
        entries.push(("id", text(id)));
        entries.push(("type", text(kind)));
        match asked.owner() {
            Owner::Is(owner) => entries.push(("owner", text(owner))),
            Owner::Nobody => entries.push(("owner", Value::Null)),
            Owner::Unknown => {}
        }
        let sent = asked.context().resource_properties;
        if let Some(found) = properties(AttributeOf::Resource, asked.resource_attributes(), sent, asked) {
            entries.push(("properties", found));
        }
    }
    object(entries.into_iter())
}

pub(super) fn context(asked: &impl Asked) -> Value {
    let known = asked.context();
    let mut entries = vec![
        ("time", text(Timestamp::from_seconds(asked.now().seconds()))),
        ("mfa", Value::Bool(known.mfa)),
        ("amr", Value::List(Arc::new(known.amr.iter().map(text).collect()))),
        ("request", object(known.context.into_iter().flatten().map(|(key, it)| (key.as_str(), value(it))))),
    ];
    if let Some(address) = known.address {
        let folded = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
            v4 => v4,
        };
        entries.push(("ip", text(folded)));
    }
    let sent = known.context.into_iter().flatten();
    let sent = sent.filter(|(key, _)| !matches!(key.as_str(), "time" | "mfa" | "amr" | "request" | "ip"));
    object(sent.map(|(key, it)| (key.as_str(), value(it))).chain(entries))
}
