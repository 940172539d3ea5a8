//! The former system's `.env` file at this service: read at start, read again when it changed.

use crate::config::Configuration;
use crate::failure::{Failure, Result};
use charter_app::App;
use charter_app::identity::{legacy_caller, legacy_secret};
use std::path::Path;
use std::time::SystemTime;
use zeroize::Zeroizing;

/// A larger file is no `.env` file.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The text of such a file.
pub fn text(path: &Path) -> Result<Zeroizing<String>> {
    let failed = |error: std::io::Error| Failure::new(format!("{} cannot be read: {error}", path.display()));
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > FILE_BYTES_MAX {
        return Err(Failure::new(format!("{} holds {size} bytes: that is no .env file", path.display())));
    }
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(failed)
}

/// What a service remembers of the file.
#[derive(Debug, Default)]
pub struct Watch {
    seen: Option<SystemTime>,
}

impl Watch {
    /// Takes the file's secrets when it is new or changed since it was last looked at.
    pub async fn look(&mut self, app: &App, configuration: &Configuration) -> Result<()> {
        let Some(path) = &configuration.legacy_env else { return Ok(()) };
        let changed = std::fs::metadata(path).and_then(|it| it.modified()).ok();
        if changed.is_some() && changed == self.seen {
            return Ok(());
        }
        let file = legacy_secret::read(&text(path)?)?;
        legacy_caller::take(app, &file, configuration.legacy_until, configuration.legacy_accept_weak).await?;
        self.seen = changed;
        tracing::info!(file = %path.display(), secrets = file.secrets().count(), "tokens of the former system are taken");
        Ok(())
    }
}
