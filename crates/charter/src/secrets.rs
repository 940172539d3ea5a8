//! The key-encryption keys and the pepper: from the configuration (environment or file), from a vault, or, while somebody tries things out,
//! made in the data folder. A missing one is made only for an installation that has nothing sealed yet; a weak one is refused wherever
//! it comes from.

use crate::config::{Configuration, Secret};
use crate::failure::{Failure, Result};
use crate::folder::Folder;
use crate::installation::options;
use charter_app::identity::{PreviousKeys, Secrets};
use charter_app::vault::provider::{KeptSecrets, SecretsProvider, Unobtained};
use charter_courier::KvVault;
use charter_db::{Conn, Database, Scope};
use charter_store as store;
use std::path::Path;
use std::time::Duration;

const RANDOM: &str = "make one with `openssl rand -base64 32`";
const PAUSE: Duration = Duration::from_secs(1);
/// The migration that made the first table with something sealed in it.
const SIGNING_KEYS: &str = "0016_signing_keys";

/// What an installation is opened with.
pub struct Keys {
    /// The newest.
    pub secrets: Secrets,
    /// Key-encryption keys before it, newest first.
    pub previous: PreviousKeys,
}

/// The keys, waiting for a while for a vault that does not answer yet.
pub async fn obtain_patiently(
    configuration: &Configuration,
    folder: &Folder,
    patience: Duration,
) -> Result<Keys> {
    let Some(address) = &configuration.vault else { return obtain(configuration, folder).await };
    files(configuration)?;
    let vault = KvVault::new(address.clone())?;
    let waiting = async {
        loop {
            match vault.secrets().await {
                Err(Unobtained::Unavailable(why)) => {
                    tracing::warn!(reason = why, "waiting for the vault");
                    tokio::time::sleep(PAUSE).await;
                }
                told => return told,
            }
        }
    };
    match tokio::time::timeout(patience, waiting).await {
        Ok(told) => of_vault(told, &configuration.previous_key_encryption_keys),
        Err(_) => of_vault(vault.secrets().await, &configuration.previous_key_encryption_keys),
    }
}

fn files(configuration: &Configuration) -> Result<()> {
    configuration.key_files.iter().try_for_each(|path| private(path))
}

/// The keys, as they can be had now.
pub async fn obtain(configuration: &Configuration, folder: &Folder) -> Result<Keys> {
    files(configuration)?;
    if let Some(address) = &configuration.vault {
        let told = KvVault::new(address.clone())?.secrets().await;
        return of_vault(told, &configuration.previous_key_encryption_keys);
    }
    for (name, configured) in
        [("key_encryption_key", &configuration.key_encryption_key), ("pepper", &configuration.pepper)]
    {
        if let Some(secret) = configured {
            strong(name, secret)?;
        }
    }
    let key = one(configuration, folder, &configuration.key_encryption_key, "key-encryption-key").await?;
    let pepper = one(configuration, folder, &configuration.pepper, "pepper").await?;
    let previous = &configuration.previous_key_encryption_keys;
    keys(&key, &pepper, previous.iter().map(Secret::bytes).collect())
}

fn keys(key: &Secret, pepper: &Secret, previous: Vec<[u8; 32]>) -> Result<Keys> {
    let secrets = Secrets { key_encryption_key: key.bytes(), pepper: pepper.bytes() };
    if secrets.key_encryption_key == secrets.pepper {
        return Err(Failure::new(format!(
            "pepper is the same secret as key_encryption_key: give each its own, {RANDOM}"
        )));
    }
    Ok(Keys { secrets, previous: previous.into() })
}

fn strong(name: &str, secret: &Secret) -> Result<()> {
    match secret.weakness() {
        Some(weakness) => Err(Failure::new(format!("{name} is weak: it {weakness}; {RANDOM}"))),
        None => Ok(()),
    }
}

/// The keys a vault told, with those of the configuration behind them: an installation that moved into the vault still has the past it had.
fn of_vault(told: std::result::Result<Vec<KeptSecrets>, Unobtained>, configured: &[Secret]) -> Result<Keys> {
    let versions = told.map_err(|error| Failure::new(error.to_string()))?;
    let newest = versions.first().ok_or_else(|| Failure::new("the vault keeps no version of the secret"))?;
    let field = |name: &str, text: Option<&str>| {
        let missing = || {
            Failure::new(format!(
                "version {} of the secret in the vault has no {name}: put it there beside the other one; nothing is generated in its place",
                newest.version
            ))
        };
        let secret = Secret::new(text.ok_or_else(missing)?);
        strong(&format!("{name} in the vault"), &secret)?;
        Ok::<_, Failure>(secret)
    };
    let key = field("key_encryption_key", newest.key_encryption_key.as_ref().map(|text| text.as_str()))?;
    let pepper = field("pepper", newest.pepper.as_ref().map(|text| text.as_str()))?;
    let mut previous: Vec<[u8; 32]> = Vec::new();
    let of_before = |place: &str| {
        Failure::new(format!(
            "key_encryption_key in the vault is one that {place} holds as one from before: make a new one, {RANDOM}"
        ))
    };
    for older in versions.iter().skip(1).filter_map(|it| it.key_encryption_key.as_ref()) {
        let bytes = Secret::new(older).bytes();
        match (bytes == key.bytes(), previous.is_empty()) {
            // A version that changed something else.
            (true, true) => {}
            (true, false) => return Err(of_before("an older version of the secret")),
            (false, _) => previous.push(bytes),
        }
    }
    for older in configured.iter().map(Secret::bytes) {
        if older == key.bytes() {
            return Err(of_before("key_encryption_key_previous"));
        }
        previous.push(older);
    }
    let mut known = std::collections::BTreeSet::new();
    previous.retain(|bytes| known.insert(*bytes));
    keys(&key, &pepper, previous)
}

/// A configured secret, or one of the folder. Production never comes here without one.
async fn one(
    configuration: &Configuration,
    folder: &Folder,
    configured: &Option<Secret>,
    name: &str,
) -> Result<Secret> {
    if let Some(secret) = configured {
        return Ok(secret.clone());
    }
    if let Some(secret) = folder.existing_secret(name)? {
        return Ok(secret);
    }
    if has_sealed(configuration).await? {
        let path = folder.path().join("secrets").join(name);
        return Err(Failure::new(format!(
            "{} is missing, and the database holds what only it opens: put it back from a backup, or name it in the configuration. \
             Nothing was generated and nothing was changed",
            path.display()
        )));
    }
    Ok(folder.secret(name)?)
}

/// Whether the database holds anything sealed.
async fn has_sealed(configuration: &Configuration) -> Result<bool> {
    if let Some(path) = configuration.database.strip_prefix("sqlite://")
        && !Path::new(path).exists()
    {
        return Ok(false);
    }
    let database = Database::open(&options(configuration)).await.map_err(charter_kernel::Problem::from)?;
    let found = found(&database).await;
    database.close().await.map_err(charter_kernel::Problem::from)?;
    found
}

async fn found(database: &Database) -> Result<bool> {
    let states = store::migration::states(database).await.map_err(|error| Failure::new(error.to_string()))?;
    if !states.iter().any(|state| state.name == SIGNING_KEYS && state.applied_at.is_some()) {
        return Ok(false);
    }
    let kept = database
        .read(Scope::Installation, |conn: &mut Conn| {
            Box::pin(async move { store::signing_key::list(conn).await })
        })
        .await
        .map_err(charter_kernel::Problem::from)?;
    Ok(!kept.is_empty())
}

#[cfg(unix)]
fn private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(Failure::new(format!(
            "{} holds a secret and can be read by every user of the machine (mode {mode:04o}): chmod 600 {}",
            path.display(),
            path.display()
        )));
    }
    if mode & 0o070 != 0 {
        tracing::warn!(path = %path.display(), "holds a secret that a group can read: chmod 600, if nobody else needs it");
    }
    Ok(())
}

#[cfg(not(unix))]
fn private(_path: &Path) -> Result<()> {
    Ok(())
}
