//! Attributes and conditions are JSON where they are kept and TOML where people edit them. Both directions, without loss: what TOML
//! cannot say (null, very large numbers) is refused on the way out, and the caller writes the JSON text instead.

use charter_catalogue::document::{Faults, Value, quote};
use serde_json::{Map, Number, Value as Json};
use toml::de::DeValue;

/// A key as TOML writes it.
pub fn key(text: &str) -> String {
    let bare =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if bare { text.to_owned() } else { quote(text) }
}

/// A JSON value as TOML on one line, if TOML can say it.
pub fn to_toml(json: &Json) -> Option<String> {
    match json {
        Json::Null => None,
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Number(number) if number.is_i64() || number.is_f64() => Some(number.to_string()),
        Json::Number(_) => None,
        Json::String(text) => Some(quote(text)),
        Json::Array(items) => {
            let items = items.iter().map(to_toml).collect::<Option<Vec<_>>>()?;
            Some(format!("[{}]", items.join(", ")))
        }
        Json::Object(map) if map.is_empty() => Some("{}".to_owned()),
        Json::Object(map) => {
            let mut entries: Vec<(&String, &Json)> = map.iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            let entries = entries
                .into_iter()
                .map(|(name, value)| Some(format!("{} = {}", key(name), to_toml(value)?)))
                .collect::<Option<Vec<_>>>()?;
            Some(format!("{{ {} }}", entries.join(", ")))
        }
    }
}

/// A TOML value as JSON; a date or time becomes its text.
pub fn from_toml(value: &Value<'_, '_>, faults: &mut Faults) -> Option<Json> {
    convert(value.raw()).map_err(|what| value.fault(faults, what)).ok()
}

fn convert(value: &DeValue<'_>) -> Result<Json, &'static str> {
    match value {
        DeValue::String(text) => Ok(Json::String(text.clone().into_owned())),
        DeValue::Boolean(flag) => Ok(Json::Bool(*flag)),
        DeValue::Datetime(time) => Ok(Json::String(time.to_string())),
        DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .map(Json::from)
            .map_err(|_| "the number is too large; 64 bits with sign is the most"),
        DeValue::Float(number) => number
            .as_str()
            .replace('_', "")
            .parse::<f64>()
            .ok()
            .and_then(Number::from_f64)
            .map(Json::Number)
            .ok_or("a finite number is expected"),
        DeValue::Array(items) => {
            items.iter().map(|item| convert(item.get_ref())).collect::<Result<Vec<_>, _>>().map(Json::Array)
        }
        DeValue::Table(table) => {
            let mut map = Map::new();
            for (name, value) in table {
                map.insert(name.get_ref().clone().into_owned(), convert(value.get_ref())?);
            }
            Ok(Json::Object(map))
        }
    }
}
