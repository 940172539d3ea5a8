//! Where settings come from: a flag wins over a variable, a variable over the file, the file over the default.

use super::fault::Fault;
use super::file::{self, FileValue};
use super::setting::{self, Setting};
use clap::ArgMatches;
use clap::parser::ValueSource;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command.
    Flag(String),
    /// A variable of the environment.
    Variable(String),
    /// A line of the configuration file.
    File(PathBuf, usize),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A text and where it came from.
#[derive(Debug, Clone)]
pub struct Found {
    /// The text.
    pub text: String,
    /// Where it came from.
    pub source: Source,
}

/// The texts of all settings that have one.
#[derive(Debug, Default)]
pub struct Layers {
    found: BTreeMap<&'static str, Found>,
    /// Variables that begin as ours do and name no setting.
    pub strange_variables: Vec<String>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

const DEFAULT_FILE: &str = "charter.toml";

impl Layers {
    /// Gathers every layer, and what is wrong with them.
    pub fn gather(
        flags: &ArgMatches,
        variables: &BTreeMap<OsString, OsString>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut layers = Self { strange_variables: strange(variables), ..Self::default() };
        for setting in setting::all() {
            if let Some(found) =
                from_flag(setting, flags).or_else(|| from_variable(setting, variables, faults))
            {
                layers.found.insert(setting.key, found);
            }
        }
        let (path, is_named) = match layers.found.get("config") {
            Some(found) => (PathBuf::from(&found.text), true),
            None => (PathBuf::from(DEFAULT_FILE), false),
        };
        for (key, value) in layers.read_file(&path, is_named, faults) {
            layers
                .found
                .entry(key)
                .or_insert(Found { text: value.text, source: Source::File(path.clone(), value.line) });
        }
        layers
    }

    fn read_file(
        &mut self,
        path: &Path,
        is_named: bool,
        faults: &mut Vec<Fault>,
    ) -> BTreeMap<&'static str, FileValue> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if !is_named && error.kind() == std::io::ErrorKind::NotFound => {
                return BTreeMap::new();
            }
            Err(error) => {
                faults.push(Fault::new(
                    "config",
                    format!("{} cannot be read: {error}", path.display()),
                    "name a file that exists and may be read, or leave --config out",
                ));
                return BTreeMap::new();
            }
        };
        self.file = Some(path.to_owned());
        let (values, wrong) = file::parse(path, &text);
        faults.extend(wrong);
        values
    }

    /// The text of a setting: the one somebody set, or its default.
    pub fn get(&self, key: &str) -> Option<Found> {
        self.set(key).cloned().or_else(|| {
            let text = setting::find(key)?.default?;
            Some(Found { text: text.to_owned(), source: Source::Default })
        })
    }

    /// The text of a setting that somebody set.
    pub fn set(&self, key: &str) -> Option<&Found> {
        self.found.get(key).filter(|found| !found.text.trim().is_empty())
    }
}

fn from_flag(setting: &Setting, flags: &ArgMatches) -> Option<Found> {
    let flag = setting.flag()?;
    if flags.try_contains_id(setting.key).ok() != Some(true) {
        return None;
    }
    if flags.value_source(setting.key) != Some(ValueSource::CommandLine) {
        return None;
    }
    let text = match setting.kind {
        setting::Kind::Switch => flags.get_flag(setting.key).to_string(),
        _ => flags.get_one::<String>(setting.key)?.clone(),
    };
    Some(Found { text, source: Source::Flag(flag) })
}

fn from_variable(
    setting: &Setting,
    variables: &BTreeMap<OsString, OsString>,
    faults: &mut Vec<Fault>,
) -> Option<Found> {
    let name = setting.variable();
    let value = variables.get(std::ffi::OsStr::new(&name))?;
    match value.to_str() {
        Some(text) if text.trim().is_empty() => None,
        Some(text) => Some(Found { text: text.to_owned(), source: Source::Variable(name) }),
        None => {
            faults.push(Fault::new(name, "is not UTF-8", "set it to a readable text"));
            None
        }
    }
}

/// Orchestrators set variables such as `CHARTER_PORT_8080_TCP` and `CHARTER_SERVICE_HOST` for a service of our name; tests read
/// `CHARTER_TEST_*`.
fn strange(variables: &BTreeMap<OsString, OsString>) -> Vec<String> {
    variables
        .keys()
        .filter_map(|name| name.to_str())
        .filter(|name| name.starts_with("CHARTER_"))
        .filter(|name| {
            !["CHARTER_PORT", "CHARTER_SERVICE_", "CHARTER_TEST_"]
                .iter()
                .any(|theirs| name.starts_with(theirs))
        })
        .filter(|name| !setting::all().any(|setting| setting.variable() == **name))
        .map(str::to_owned)
        .collect()
}
