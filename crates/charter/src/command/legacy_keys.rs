//! `charter keys rotate --legacy-env FILE`: a new secret in a former system's `.env` file, in one step, with a copy and a record.

use super::Invocation;
use super::keys::{DRY_RUN, IF_DUE, ask};
use crate::client::Call;
use crate::failure::{Failure, Outcome, Result};
use crate::{legacy, output};
use charter_app::World;
use charter_app::identity::legacy_secret::{self, HISTORY_MAX, LegacyFile};
use charter_kernel::Timestamp;
use serde_json::json;
use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const DAY_SECONDS: i64 = 86_400;

/// 256 random bits, in hexadecimal.
fn fresh_secret() -> Zeroizing<String> {
    let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(World::system().random());
    Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Rotates the secret in the file.
pub async fn rotate(invocation: &Invocation<'_>, path: &Path) -> Result {
    let now = crate::installation::now();
    // A link goes on pointing at the file: it is the file that is replaced.
    let path = std::fs::canonicalize(path)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
    let locked = lock(&path)?;
    let old = legacy::text(&path)?;
    let file = legacy_secret::read(&old)?;
    let due_at = file.rotated_at.map(|at| at.plus_seconds(i64::from(file.rotation_days) * DAY_SECONDS));
    if invocation.matches.get_flag(IF_DUE)
        && let Some(due_at) = due_at.filter(|at| *at > now)
    {
        output::print(&format!("not due before {due_at}: nothing was written"));
        return Ok(Outcome::Good);
    }
    let new = Zeroizing::new(legacy_secret::rotated(&old, &fresh_secret(), now)?);
    let kept = file.secrets().take(HISTORY_MAX).count();
    let leave = file.secrets().count() - kept;
    let copy = copy_of(&path, now);
    let shown = path.display();
    let weak = weak(&file, invocation.loaded.configuration.legacy_terms.accepts_weak);
    if invocation.matches.get_flag(DRY_RUN) {
        let due =
            due_at.map_or_else(|| "unknown: there is no KEY_LAST_ROTATED".to_owned(), |at| at.to_string());
        output::print(&format!(
            "{shown}, due: {due}\nSECRET_KEY would be a new one of 256 bits\n\
             SECRET_KEYS_HISTORY would hold {kept} of those so far, {leave} would leave it\nKEY_LAST_ROTATED would be {now}\n\
             {weak}copy of the file as it is: {}\nnothing was written",
            copy.display()
        ));
        return Ok(Outcome::Good);
    }
    if !weak.is_empty() {
        output::complain(weak.trim_end());
    }
    // Before the file is: a rotation that cannot be recorded does not happen.
    let call = Call::of(invocation.operation("keys.record-legacy-rotation")?)
        .json(&json!({ "file": shown.to_string() }));
    ask(invocation, &call).await?;
    replace(&path, &copy, &old, &new)?;
    drop(locked);
    output::print(&format!(
        "{shown}: rotated; {kept} of the secrets so far are in the history, {leave} left it\ncopy of the file before: {}\n\
         restart the former system, so that it signs with the new one",
        copy.display()
    ));
    Ok(Outcome::Good)
}

/// What becomes of tokens whose secrets can be guessed, a line for each secret that goes on standing in the file.
fn weak(file: &LegacyFile, is_accepted: bool) -> String {
    let what = if is_accepted {
        "tokens signed with it are taken here until the day of legacy_accept_weak is over"
    } else {
        "tokens signed with it end: none is taken here"
    };
    let rest = "the former system takes them until it leaves SECRET_KEYS_HISTORY";
    let current =
        file.current.weakness().map(|weakness| (format!("line {}: SECRET_KEY", file.line), weakness));
    // The last of three leaves the history.
    let kept = file.weak_history().into_iter().filter(|(number, _)| *number < HISTORY_MAX);
    let kept = kept.map(|(number, weakness)| (format!("secret {number} of SECRET_KEYS_HISTORY"), weakness));
    let lines = current.into_iter().chain(kept);
    lines.map(|(which, weakness)| format!("{which} {weakness}: {what}; {rest}\n")).collect()
}

/// One rotation of a file at a time: of two that began at once, one would take the other's new secret away.
fn lock(path: &Path) -> Result<File> {
    let failed =
        |error: std::io::Error| Failure::new(format!("{} cannot be locked: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Failure::new(format!("{} is being rotated at this moment", path.display())));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    if is_other_file(path, &file).map_err(failed)? {
        return Err(Failure::new(format!("{} was rotated at this moment", path.display())));
    }
    Ok(file)
}

#[cfg(unix)]
fn is_other_file(path: &Path, file: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(path)?.ino() != file.metadata()?.ino())
}

#[cfg(not(unix))]
fn is_other_file(_: &Path, _: &File) -> std::io::Result<bool> {
    Ok(false)
}

/// Where what a file holds now is kept.
pub fn copy_of(path: &Path, now: Timestamp) -> PathBuf {
    let stamp: String = now.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".before-{stamp}"));
    path.with_file_name(name)
}

/// Keeps a copy, writes the new text beside the file and puts it in its place in one step: a reader finds the old file or the new one.
fn replace(path: &Path, copy: &Path, old: &str, new: &str) -> Result<()> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::new(format!("{}: {error}; the former system's file is as it was", path.display()))
    };
    write_private(copy, old).map_err(|error| failed(copy, error))?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".next");
    let next = path.with_file_name(name);
    // Left by a rotation that was cut off; the lock says that none is at work.
    let _ = std::fs::remove_file(&next);
    write_private(&next, new)
        .and_then(|()| same_owner(path, &next))
        .and_then(|()| std::fs::rename(&next, path))
        .map_err(|error| {
            let _ = std::fs::remove_file(&next);
            failed(path, error)
        })?;
    if let Some(folder) = path.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

/// Writes a file that is not there yet, for this account only.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The account the former system runs as goes on reading its file.
#[cfg(unix)]
fn same_owner(old: &Path, new: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let (old, made) = (std::fs::metadata(old)?, std::fs::metadata(new)?);
    if (old.uid(), old.gid()) == (made.uid(), made.gid()) {
        return Ok(());
    }
    std::os::unix::fs::chown(new, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn same_owner(_: &Path, _: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_rotation_of_a_file_waits_for_nobody_and_takes_nothing_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        write_private(&path, "SECRET_KEY=a\n").unwrap();
        let first = lock(&path).unwrap();
        assert!(lock(&path).unwrap_err().to_string().contains("is being rotated"));
        drop(first);
        // The first replaced the file between the second's opening it and locking it.
        let opened = File::open(&path).unwrap();
        let copy = copy_of(&path, Timestamp::from_seconds(0));
        replace(&path, &copy, "SECRET_KEY=a\n", "SECRET_KEY=b\n").unwrap();
        assert!(is_other_file(&path, &opened).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "SECRET_KEY=b\n");
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "SECRET_KEY=a\n");
    }

    #[test]
    fn a_copy_that_cannot_be_made_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        write_private(&path, "SECRET_KEY=a\n").unwrap();
        let copy = copy_of(&path, Timestamp::from_seconds(0));
        write_private(&copy, "there already").unwrap();
        let failure = replace(&path, &copy, "SECRET_KEY=a\n", "SECRET_KEY=b\n").unwrap_err();
        assert!(failure.to_string().contains("is as it was"), "{failure}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "SECRET_KEY=a\n");
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "there already");
    }

    #[test]
    fn a_new_secret_has_256_bits_and_no_two_are_alike() {
        let (one, other) = (fresh_secret(), fresh_secret());
        assert_eq!((one.len(), other.len()), (64, 64));
        assert_ne!(one, other);
    }
}
