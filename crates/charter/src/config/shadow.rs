//! How the system is asked that organizations were taken over from.

use super::Secret;
use super::reading::Reading;
use charter_app::shadow::BackLimits;
use charter_kernel::Key;
use std::path::PathBuf;
use std::time::Duration;

/// Where its answers come from.
#[derive(Debug, Clone)]
pub enum ShadowFrom {
    /// Its database, read into memory.
    Database {
        /// The address, which may hold a password.
        address: Secret,
        /// What its roles became, and where its tables stand.
        map: Option<PathBuf>,
    },
    /// An address of its own.
    Endpoint {
        /// The address.
        url: String,
        /// What it is shown.
        token: Option<Secret>,
    },
}

/// All that is said of it.
#[derive(Debug, Clone)]
pub struct ShadowSettings {
    /// Where its answers come from.
    pub from: ShadowFrom,
    /// The name under which it was taken over.
    pub source: Key,
    /// How often its database is read.
    pub refresh: Duration,
}

impl Reading<'_> {
    /// How it is asked, where somebody said so.
    pub(super) fn shadow(&mut self) -> Option<ShadowSettings> {
        let refresh = self.duration("shadow_refresh");
        let source = self.read("shadow_source", |text| text.trim().parse().ok(), "a name such as legacy");
        let from = self.shadow_from();
        Some(ShadowSettings { from: from?, source: source?, refresh })
    }

    /// What takes an organization back that was cut over.
    pub(super) fn shadow_back(&mut self) -> BackLimits {
        let mut count = |key| u32::try_from(self.number(key)).unwrap_or(u32::MAX);
        BackLimits {
            losses_max: count("shadow_losses_max"),
            checks_min: count("shadow_losses_from"),
            errors_max: count("shadow_errors_max"),
            errors_from: count("shadow_errors_from"),
            p99_ms_max: count("shadow_p99_ms_max"),
        }
    }

    /// Where answers come from: one place at most.
    fn shadow_from(&mut self) -> Option<ShadowFrom> {
        let address = self.secret("shadow_from", "shadow_from_file");
        let url = self.url("shadow_endpoint");
        let token = self.secret("shadow_token", "shadow_token_file");
        let map = self.layers.set("shadow_map").map(|found| PathBuf::from(found.text.trim()));
        if let Some(address) = &address {
            let given = ["shadow_from", "shadow_from_file"];
            let key = given.into_iter().find(|key| self.layers.set(key).is_some()).unwrap_or("shadow_from");
            let found = self.layers.set(key).cloned();
            if let Some(found) = &found
                && !is_database(address.reveal())
            {
                self.fault(
                    key,
                    found,
                    "is no address of a database",
                    "write sqlite:/path/to/file or postgres://user:password@host/name",
                );
            }
            if let (Some(_), Some(found)) = (&url, self.layers.set("shadow_endpoint").cloned()) {
                let wrong = "shadow_from is set as well: one of them answers";
                self.fault("shadow_endpoint", &found, wrong, "keep one of the two");
            }
        }
        if let (Some(path), Some(found)) = (&map, self.layers.set("shadow_map").cloned())
            && let Some(wrong) = wrong_map(path)
        {
            self.fault("shadow_map", &found, wrong, "name the mapping the organizations were taken over by");
        }
        match (address, url) {
            (Some(address), _) => Some(ShadowFrom::Database { address, map }),
            (None, Some(url)) => Some(ShadowFrom::Endpoint { url, token }),
            (None, None) => None,
        }
    }
}

fn is_database(address: &str) -> bool {
    ["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| address.starts_with(scheme))
}

/// What is wrong with the file of a mapping.
fn wrong_map(path: &std::path::Path) -> Option<String> {
    match std::fs::read_to_string(path) {
        Err(error) => Some(format!("{} cannot be read: {error}", path.display())),
        Ok(text) => {
            let faults = charter_adopt::mapping::parse(&text).err()?;
            let first = faults.first().map(ToString::to_string).unwrap_or_default();
            Some(format!("{} is not a mapping: {first}", path.display()))
        }
    }
}
