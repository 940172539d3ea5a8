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
    /// When the file that is in force was written.
    seen: Option<SystemTime>,
    /// When the one was that was tried last.
    tried: Option<Option<SystemTime>>,
}

impl Watch {
    /// Takes the file's secrets at start: a service does not start with secrets it cannot take.
    pub async fn begin(&mut self, app: &App, configuration: &Configuration) -> Result<()> {
        match &configuration.legacy_env {
            Some(path) => self.take(app, configuration, path, written(path)).await,
            None => Ok(()),
        }
    }

    /// Takes them when the file changed since it was last looked at; one that could not be taken is tried again when `is_patience_over`.
    /// The secrets before stay in force until it can, but for those that are known to have left it.
    pub async fn look(&mut self, app: &App, configuration: &Configuration, is_patience_over: bool) {
        let Some(path) = &configuration.legacy_env else { return };
        let at = written(path);
        let is_new = at.is_none() || at != self.seen;
        if !is_new || (self.tried == Some(at) && !is_patience_over) {
            return;
        }
        if let Err(failure) = self.take(app, configuration, path, at).await {
            tracing::warn!(
                %failure,
                "no other secret of the former system is taken; those before stay in force, except what a file that can be read holds no more"
            );
        }
    }

    async fn take(
        &mut self,
        app: &App,
        configuration: &Configuration,
        path: &Path,
        at: Option<SystemTime>,
    ) -> Result<()> {
        self.tried = Some(at);
        let text = text(path).map_err(|failure| Failure::new(format!("legacy_env: {failure}")))?;
        let file = legacy_secret::read(&text)?;
        let shown = path.display();
        let taken =
            legacy_caller::take(app, &file, &configuration.legacy_terms).await.map_err(|problem| {
                let told = Failure::from(problem).to_string();
                Failure::new(format!(
                    "{shown}: {}",
                    told.replace("--legacy-env PATH", &format!("--legacy-env {shown}"))
                ))
            })?;
        self.seen = at;
        for (number, weakness) in &taken.left_out {
            tracing::warn!(
                file = %shown,
                "secret {number} of SECRET_KEYS_HISTORY {weakness}: it is left out, and tokens signed with it are refused"
            );
        }
        if taken.in_force > 0 {
            tracing::info!(file = %shown, secrets = taken.in_force, "tokens of the former system are taken");
        }
        Ok(())
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|it| it.modified()).ok()
}
