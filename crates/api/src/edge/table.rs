//! The table of all routes. The router, the OpenAPI document, the coverage test and the command names are read from it.

use super::gate::Gate;
use super::openapi::{generator, lets_unknown_fields_pass, property_names};
use super::route::Route;
use super::{json, system};
use charter_app::App;
use std::collections::{BTreeMap, BTreeSet};

/// All routes.
#[derive(Debug)]
pub struct Routes<G: Gate = App> {
    rows: Vec<Route<G>>,
}

impl<G: Gate> Default for Routes<G> {
    fn default() -> Self {
        Self::new()
    }
}

impl<G: Gate> Routes<G> {
    /// The routes every service has: health, readiness, the API's document and its pages.
    pub fn new() -> Self {
        Self { rows: system::routes() }
    }

    /// The same with more routes.
    pub fn with(mut self, routes: impl IntoIterator<Item = Route<G>>) -> Self {
        self.rows.extend(routes);
        self
    }

    /// The same with another limit for the bodies of routes that set none of their own.
    pub fn limit_bodies(mut self, body_limit: usize) -> Self {
        for row in self.rows.iter_mut().filter(|row| row.body_limit == super::BODY_LIMIT) {
            row.body_limit = body_limit;
        }
        self
    }

    /// Each route, in the order they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, Route<G>> {
        self.rows.iter()
    }

    pub(crate) fn into_rows(self) -> Vec<Route<G>> {
        self.rows
    }

    /// What is wrong with the table; a test asserts that nothing is.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let (mut names, mut places) = (BTreeSet::new(), BTreeSet::new());
        let mut forms: BTreeMap<String, &str> = BTreeMap::new();
        for route in &self.rows {
            let mut fault = |what: String| faults.push(format!("{} {}: {what}", route.method, route.path));
            if !names.insert(route.name) {
                fault(format!("the name {} is taken", route.name));
            }
            if !places.insert((route.method.as_str(), route.path)) {
                fault("stands twice".to_owned());
            }
            let is_word = |word: &str| {
                word.starts_with(|first: char| first.is_ascii_lowercase())
                    && word
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            };
            if !route.name.split('.').all(is_word) {
                fault(format!("the name {:?} is not made of lower-case words joined by dots", route.name));
            }
            if route.summary.is_empty() || route.tag.is_empty() {
                fault("summary and tag are missing".to_owned());
            }
            let form: String = route
                .path
                .split('/')
                .map(|part| if part.starts_with('{') { "/{}".to_owned() } else { format!("/{part}") })
                .collect();
            if let Some(other) = forms.insert(form, route.path)
                && other != route.path
            {
                fault(format!("is the same place as {other} with other names in it"));
            }
            let mut generator = generator();
            let path_names = route.path_names();
            if let Some(shape) = route.shapes.path {
                for name in property_names(&shape(&mut generator)) {
                    if !path_names.contains(&name.as_str()) {
                        fault(format!("the path has no {{{name}}}"));
                    }
                }
            }
            if let (Some(shape), true) = (route.shapes.body, route.demands_strict_body) {
                let schema = shape(&mut generator);
                if lets_unknown_fields_pass(&schema, &generator) {
                    fault("its body lets unknown fields pass: add #[serde(deny_unknown_fields)]".to_owned());
                }
            }
            if let Some(example) = route.example
                && let Err(problem) = json::check(example.as_bytes())
            {
                fault(format!("its example: {problem}"));
            }
        }
        faults
    }
}

impl<'a, G: Gate> IntoIterator for &'a Routes<G> {
    type Item = &'a Route<G>;
    type IntoIter = std::slice::Iter<'a, Route<G>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
