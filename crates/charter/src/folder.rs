//! The data folder: the SQLite file, generated secrets, the operator token, and who is at work in it. One process at a time
//! holds its lock: the server, or a command while no server runs. The system drops the lock when the process ends,
//! however it ends, so a `service.json` beside a free lock is a leftover.

use crate::config::Secret;
use charter_app::identity::OPERATOR_PREFIX;
use charter_kernel::Timestamp;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const OPERATOR_TOKEN: &str = "operator-token";
const SERVICE: &str = "service.json";
const LOCK: &str = "lock";
const SECRETS: &str = "secrets";

/// A data folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

/// The right to work in a folder; ends when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// A server at work, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where it can be reached from this machine.
    pub address: String,
    /// Its process.
    pub pid: u32,
    /// Since when.
    pub started_at: Timestamp,
    /// Its version.
    pub version: String,
    /// Whether it was started for production, and so without anything that is for trying out.
    pub is_production: bool,
}

/// Keeps `service.json` in place until dropped.
#[derive(Debug)]
pub struct Announcement {
    path: PathBuf,
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Folder {
    /// A folder that may or may not exist.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The folder, made with mode 0700 if it is missing.
    pub fn create(path: &Path) -> Result<Self, String> {
        make_folder(path)?;
        Ok(Self::at(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock, or tells that another process has it.
    pub fn try_lock(&self) -> Result<Option<Lock>, String> {
        let path = self.path.join(LOCK);
        let file = private()
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| failed(&path, "opened", &error))?;
        match file.try_lock() {
            Ok(()) => {
                let _ = std::fs::remove_file(self.path.join(SERVICE));
                Ok(Some(Lock { _file: file }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(&path, "locked", &error)),
        }
    }

    /// The server that says it is at work here.
    pub fn service(&self) -> Option<Service> {
        let text = std::fs::read_to_string(self.path.join(SERVICE)).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Service {
            address: field("address")?,
            pid: value.get("pid")?.as_u64()?.try_into().ok()?,
            started_at: field("started_at")?.parse().ok()?,
            version: field("version")?,
            is_production: value.get("production").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// The server that is at work here: what one says beside a free lock is a leftover, of a process that was killed or of another machine, and
    /// is removed. Where the lock cannot be looked at it counts, and whoever opens the folder says why.
    pub fn service_at_work(&self) -> Option<Service> {
        let service = self.service()?;
        match self.try_lock() {
            Ok(Some(_)) => None,
            Ok(None) | Err(_) => Some(service),
        }
    }

    /// Whether another command works here, and no server that could be asked.
    pub fn is_taken_by_a_command(&self) -> bool {
        self.path.exists() && matches!(self.try_lock(), Ok(None)) && self.service().is_none()
    }

    /// Tells commands where this server is.
    pub fn announce(&self, service: &Service) -> Result<Announcement, String> {
        let path = self.path.join(SERVICE);
        let value = json!({
            "address": service.address,
            "pid": service.pid,
            "started_at": service.started_at.to_string(),
            "version": service.version,
            "production": service.is_production,
        });
        write_private(&path, &format!("{value:#}\n"))?;
        Ok(Announcement { path })
    }

    /// The token by which commands on this machine prove that they may read the folder.
    pub fn operator_token(&self) -> Result<Secret, String> {
        self.read_or_generate(&self.path.join(OPERATOR_TOKEN), OPERATOR_PREFIX)
    }

    /// The same, if a server has made one.
    pub fn existing_operator_token(&self) -> Option<Secret> {
        read_secret(&self.path.join(OPERATOR_TOKEN)).ok().flatten()
    }

    /// A secret that belongs to this folder, where there is one.
    pub fn existing_secret(&self, name: &str) -> Result<Option<Secret>, String> {
        read_secret(&self.path.join(SECRETS).join(name))
    }

    /// A secret that belongs to this folder, made when first asked for.
    pub fn secret(&self, name: &str) -> Result<Secret, String> {
        let folder = self.path.join(SECRETS);
        make_folder(&folder)?;
        self.read_or_generate(&folder.join(name), "")
    }

    fn read_or_generate(&self, path: &Path, prefix: &str) -> Result<Secret, String> {
        if let Some(secret) = read_secret(path)? {
            return Ok(secret);
        }
        let secret = Secret::generate(prefix)?;
        write_private(path, &format!("{}\n", secret.reveal()))?;
        Ok(secret)
    }
}

fn read_secret(path: &Path) -> Result<Option<Secret>, String> {
    let mut text = String::new();
    match File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) if text.trim().is_empty() => Err(format!(
            "{} is empty: put the secret back from a backup; only if nothing was stored with it, delete the file",
            path.display()
        )),
        Ok(_) => Ok(Some(Secret::new(&text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, "read", &error)),
    }
}

fn failed(path: &Path, what: &str, error: &std::io::Error) -> String {
    format!("{} cannot be {what}: {error}", path.display())
}

/// Makes a folder that its owner alone may enter, where it is missing.
#[cfg(unix)]
pub fn make_folder(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(|error| failed(path, "made", &error))
}

/// Makes a folder, where it is missing.
#[cfg(not(unix))]
pub fn make_folder(path: &Path) -> Result<(), String> {
    std::fs::create_dir_all(path).map_err(|error| failed(path, "made", &error))
}

/// Options for a file that its owner alone may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a private file that was not there, to be written bit by bit.
pub fn create_private(path: &Path) -> Result<File, String> {
    private().create_new(true).open(path).map_err(|error| failed(path, "made", &error))
}

/// Where a file is written before it takes the place of another.
pub fn beside(path: &Path) -> PathBuf {
    path.with_extension(format!("{}.new", std::process::id()))
}

/// Writes a private file whole or not at all.
pub fn write_private(path: &Path, text: &str) -> Result<(), String> {
    let beside = beside(path);
    let write = || -> std::io::Result<()> {
        let _ = std::fs::remove_file(&beside);
        let mut file = private().create_new(true).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        failed(path, "written", &error)
    })
}
