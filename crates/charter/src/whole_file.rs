//! Files that operators name, such as plans: written whole or not at all. What stood there stays until the new text is on the disk, so that a disk
//! that is full takes nothing away.

use crate::folder::beside;
use std::fs::{File, Metadata};
use std::io::{BufWriter, ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

/// A file that is being written; one that is not [finished](WholeFile::finish) leaves what stood there.
pub struct WholeFile {
    file: BufWriter<File>,
    place: PathBuf,
    /// Where it is written; nothing where it is written into what stands there.
    beside: Option<PathBuf>,
}

#[cfg(unix)]
fn like(made: &File, found: &Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let own = made.metadata()?;
    if (own.uid(), own.gid()) != (found.uid(), found.gid()) {
        std::os::unix::fs::fchown(made, Some(found.uid()), Some(found.gid()))?;
    }
    made.set_permissions(found.permissions())
}

#[cfg(not(unix))]
fn like(made: &File, found: &Metadata) -> Result<()> {
    made.set_permissions(found.permissions())
}

impl WholeFile {
    /// Begins one at a place, whatever stands there. What is no file, such as a terminal, is written into; so is one beside which no other can be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        // A link stays one.
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let found = std::fs::metadata(&place).ok();
        let into = || {
            let file = BufWriter::new(File::create(&place)?);
            Ok(Self { file, place: place.clone(), beside: None })
        };
        if found.as_ref().is_some_and(|found| !found.is_file()) {
            return into();
        }
        let beside = beside(&place);
        let made = File::create(&beside).and_then(|file| {
            found.as_ref().map_or(Ok(()), |found| like(&file, found))?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Self { file: BufWriter::new(file), place, beside: Some(beside) }),
            Err(error) => {
                let _ = std::fs::remove_file(&beside);
                match error.kind() {
                    ErrorKind::PermissionDenied if found.is_some() => into(),
                    _ => Err(error),
                }
            }
        }
    }

    /// Puts it in its place.
    pub fn finish(mut self) -> Result<()> {
        self.file.flush()?;
        if let Some(beside) = &self.beside {
            self.file.get_ref().sync_all()?;
            std::fs::rename(beside, &self.place)?;
            self.beside = None;
        }
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, text: &[u8]) -> Result<usize> {
        self.file.write(text)
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if let Some(beside) = &self.beside {
            let _ = std::fs::remove_file(beside);
        }
    }
}

/// Writes one.
pub fn write(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let mut file = WholeFile::create(path)?;
    file.write_all(text.as_bytes())?;
    file.finish()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_file_keeps_its_permissions_its_links_and_until_the_end_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("plan.json"), folder.path().join("link.json"));
        write(&path, "old").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        let mut file = WholeFile::create(&link).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        write(&link, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
        write("/dev/null", "gone").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
        assert!(write(folder.path().join("nowhere/plan.json"), "text").is_err());
    }
}
