//! Many rows as one JSON parameter, which both engines read: written down straight away, without a tree of them in memory.

use charter_db::Value;
use charter_kernel::{OrganizationId, PrincipalId};
use core::fmt;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A value of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    /// An id, in hexadecimal.
    Id(u128),
    /// A number.
    Number(i64),
    /// A text, or null.
    Text(Option<&'a str>),
}

impl From<OrganizationId> for Cell<'_> {
    fn from(id: OrganizationId) -> Self {
        Self::Id(id.0)
    }
}

impl From<PrincipalId> for Cell<'_> {
    fn from(id: PrincipalId) -> Self {
        Self::Id(id.0)
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id:032x}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text.unwrap_or_default()),
        }
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(_) => serializer.collect_str(self),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => text.serialize(serializer),
        }
    }
}

/// A row: its values by the names that a statement calls them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a, const N: usize>(pub [(&'static str, Cell<'a>); N]);

impl<const N: usize> Serialize for Row<'_, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(N))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// An id as it stands in a JSON parameter.
pub(crate) fn hex(id: u128) -> String {
    Cell::Id(id).to_string()
}

/// Rows as one JSON parameter.
pub(crate) fn rows<T: Serialize>(rows: impl Iterator<Item = T>) -> Value {
    let mut text = Vec::new();
    // Nothing in a row fails to be written; if it did, the text would be no JSON, and the database would refuse it.
    let _ = serde_json::Serializer::new(&mut text).collect_seq(rows);
    Value::Json(String::from_utf8(text).unwrap_or_default())
}

/// Members as one JSON parameter.
pub(crate) fn pairs(of: &[(OrganizationId, PrincipalId)]) -> Value {
    rows(of.iter().map(|(organization, who)| Row([("o", (*organization).into()), ("p", (*who).into())])))
}

/// Organizations as one JSON parameter.
pub(crate) fn ids(of: &[OrganizationId]) -> Value {
    rows(of.iter().map(|id| Cell::from(*id)))
}

/// Accounts as one JSON parameter.
pub(crate) fn principals(of: &[PrincipalId]) -> Value {
    rows(of.iter().map(|id| Cell::from(*id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_json_whatever_stands_in_them() {
        let name = "Ä \"quoted\" \\ \u{1}\n😀".to_owned();
        let of = [1_i64, -2].map(|number| {
            Row([
                ("o", OrganizationId(0xab).into()),
                ("n", name.as_str().into()),
                ("i", number.into()),
                ("h", None.into()),
            ])
        });
        let Value::Json(text) = rows(of.into_iter()) else { unreachable!() };
        let wanted = |number| serde_json::json!({ "o": "000000000000000000000000000000ab", "n": name, "i": number, "h": null });
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, serde_json::json!([wanted(1), wanted(-2)]));
        let Value::Json(none) = ids(&[]) else { unreachable!() };
        assert_eq!(none, "[]");
        let Value::Json(one) = principals(&[PrincipalId(1)]) else { unreachable!() };
        assert_eq!(one, format!("[\"{}\"]", hex(1)));
    }
}
