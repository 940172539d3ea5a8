//! Letters into a folder, where somebody tries Charter out without a mail server: one file each, which a mail program opens.

use crate::letter::{Sender, message};
use charter_app::mail::{Carrier, Carrying, Letter, Undelivered};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes letters into a folder that its owner alone may read.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    sender: Sender,
}

impl Folder {
    /// With the folder, which is made when the first letter comes, and who letters are from.
    pub fn new(path: impl Into<PathBuf>, sender: Sender) -> Self {
        Self { path: path.into(), sender }
    }

    fn write(&self, letter: &Letter) -> Result<PathBuf, Undelivered> {
        let message = message(&self.sender, letter)?;
        let path = self.path.join(format!("{}.eml", letter.id));
        let write = || -> std::io::Result<()> {
            make(&self.path)?;
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options.open(&path)?.write_all(&message.formatted())
        };
        match write() {
            Ok(()) => Ok(path),
            Err(error) => Err(Undelivered::Later(format!("{} cannot be written: {error}", path.display()))),
        }
    }
}

#[cfg(unix)]
fn make(path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700).create(path)
}

#[cfg(not(unix))]
fn make(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}

impl Carrier for Folder {
    fn carry<'a>(&'a self, letter: &'a Letter) -> Carrying<'a> {
        Box::pin(async move {
            let path = self.write(letter)?;
            tracing::info!(file = %path.display(), subject = letter.subject, "no mail server is configured: a mail was written to a file");
            Ok(())
        })
    }
}
