//! Places: a path leads to one, with the names that stand in it; a method leads from there to a route.

use super::gate::Gate;
use super::route::Route;
use super::text::Pairs;
use charter_kernel::Problem;
use http::{HeaderValue, Method};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The routes of one path.
pub(crate) struct Place<G: Gate> {
    routes: Vec<Arc<Route<G>>>,
    /// The methods it has, as `Allow` says them.
    pub allow: HeaderValue,
}

impl<G: Gate> Place<G> {
    fn of(routes: Vec<Arc<Route<G>>>) -> Self {
        let mut methods: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        let allow = HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static("GET"));
        Self { allow, routes }
    }

    /// The route of a method.
    pub fn route(&self, method: &Method) -> Option<&Route<G>> {
        let wanted = if *method == Method::HEAD { &Method::GET } else { method };
        self.routes.iter().find(|route| route.method == *wanted).map(AsRef::as_ref)
    }
}

/// Every place of the table.
pub(crate) struct Places<G: Gate> {
    tree: matchit::Router<Place<G>>,
}

impl<G: Gate> Places<G> {
    /// Of the rows of a table.
    pub fn of(rows: Vec<Arc<Route<G>>>) -> Self {
        let mut routes: BTreeMap<&'static str, Vec<Arc<Route<G>>>> = BTreeMap::new();
        for route in rows {
            routes.entry(route.path).or_default().push(route);
        }
        let mut tree = matchit::Router::new();
        for (path, routes) in routes {
            if let Err(flaw) = tree.insert(path, Place::of(routes)) {
                tracing::error!(path, %flaw, "a path of the table is reached by nobody");
            }
        }
        Self { tree }
    }

    /// Where a path leads, and the names in it with their values, decoded.
    pub fn find(&self, path: &str) -> Option<(&Place<G>, Result<Pairs, Problem>)> {
        let found = self.tree.at(path).ok()?;
        let names = found.params.iter().map(|(name, value)| Some((name.to_owned(), decoded(value)?)));
        let names: Option<Pairs> = names.collect();
        let wrong = || Problem::not_found("the path is not percent-encoded UTF-8");
        Some((found.value, names.ok_or_else(wrong)))
    }
}

/// A part of a path with `%41` undone; what is not an encoded byte stands for itself.
fn decoded(part: &str) -> Option<String> {
    if !part.contains('%') {
        return Some(part.to_owned());
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push(u8::try_from(high << 4 | low).ok()?);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_is_decoded_and_what_is_no_code_stays() {
        for (part, text) in [
            ("toys", Some("toys")),
            ("a%2Fb%20c", Some("a/b c")),
            ("100%", Some("100%")),
            ("%zz%4", Some("%zz%4")),
        ] {
            assert_eq!(decoded(part).as_deref(), text, "{part}");
        }
        assert_eq!(decoded("%c3%a9+").as_deref(), Some("é+"));
        assert_eq!(decoded("%ff"), None);
    }
}
