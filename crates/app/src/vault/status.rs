//! What the vault is like: keys, how many values each sealed, how far a rotation is, and how many credentials stand on each pepper.

use super::{read, reseal};
use crate::App;
use crate::guard::Permit;
use charter_kernel::{Problem, Timestamp};
use charter_store as store;
use store::sealed::COLUMNS;
use store::vault::{VaultKey, VaultPepper};

/// A key-encryption key of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekState {
    /// What it is known by.
    pub id: String,
    /// It seals; the others only open.
    pub is_newest: bool,
    /// Keys of the vault that it sealed.
    pub keys: Vec<u32>,
    /// Something may still have to be opened by it: a key of the vault, or a value that was sealed without one.
    pub is_needed: bool,
}

/// Where a key or a pepper is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyWord {
    /// Published, not used yet.
    Pending,
    /// Seals, or hashes.
    Active,
    /// Opens what it sealed, or recognises what it hashed.
    Retiring,
    /// Nothing is left that it sealed; kept for a while.
    Retired,
    /// Gone.
    Destroyed,
}

impl KeyWord {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Destroyed => "destroyed",
        }
    }
}

/// A key of the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// The key, without what it is.
    pub key: VaultKey,
    /// Where it is in its life.
    pub state: KeyWord,
    /// How many values it sealed.
    pub values: u64,
}

/// A sealed column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnState {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// How many values each key sealed; none is a key-encryption key itself.
    pub values: Vec<(Option<u32>, u64)>,
}

/// How far a rotation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The key that everything is sealed by at its end.
    pub key: u32,
    /// From when it seals.
    pub activates_at: Timestamp,
    /// How many values it sealed.
    pub done: u64,
    /// How many there are.
    pub total: u64,
    /// Values that could not be opened when they were last to be sealed again.
    pub unreadable: u64,
}

/// A version of the pepper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PepperState {
    /// The version, without what it is.
    pub pepper: VaultPepper,
    /// Where it is in its life.
    pub state: KeyWord,
    /// Live credentials whose hash it made.
    pub credentials: u64,
    /// Secrets of OAuth clients whose hash it made.
    pub clients: u64,
    /// Cookies of live sessions whose hash it made.
    pub cookies: u64,
}

/// What the vault is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Key-encryption keys, newest first.
    pub keks: Vec<KekState>,
    /// Keys, newest first.
    pub keys: Vec<KeyState>,
    /// Sealed columns.
    pub columns: Vec<ColumnState>,
    /// The rotation under way, where there is one.
    pub rotation: Option<Progress>,
    /// Versions of the pepper, newest first.
    pub peppers: Vec<PepperState>,
}

fn key_word(key: &VaultKey, active: Option<u32>) -> KeyWord {
    if key.destroyed_at.is_some() {
        KeyWord::Destroyed
    } else if Some(key.number) == active {
        KeyWord::Active
    } else if active.is_none_or(|active| key.number > active) {
        KeyWord::Pending
    } else if key.retired_at.is_some() {
        KeyWord::Retired
    } else {
        KeyWord::Retiring
    }
}

pub(super) fn pepper_word(pepper: &VaultPepper, hashes: u32) -> KeyWord {
    if pepper.ended_at.is_some() {
        KeyWord::Destroyed
    } else if pepper.version == hashes {
        KeyWord::Active
    } else if pepper.version > hashes {
        KeyWord::Pending
    } else {
        KeyWord::Retiring
    }
}

fn rotation(keys: &[VaultKey], counts: &[Vec<(Option<u32>, u64)>]) -> Option<Progress> {
    let newest = keys.last()?;
    let is_running = keys
        .iter()
        .any(|key| key.number < newest.number && key.retired_at.is_none() && key.destroyed_at.is_none());
    is_running.then(|| Progress {
        key: newest.number,
        activates_at: newest.activates_at,
        done: reseal::sum(counts, |key| key == Some(newest.number)),
        total: reseal::sum(counts, |_| true),
        unreadable: newest.unreadable,
    })
}

/// Looks at the vault.
pub async fn status(app: &App, _: &Permit) -> Result<Status, Problem> {
    let now = app.now();
    let (keys, peppers) = read(app.database()).await?;
    let (counts, credentials, clients, cookies) = reading_all!(app.database(), |conn| async move {
        let counts = reseal::counts(conn).await?;
        let credentials = store::vault::credentials(conn, now).await?;
        let clients = store::vault::clients(conn).await?;
        Ok::<_, charter_db::Error>((counts, credentials, clients, store::vault::cookies(conn, now).await?))
    })?;
    let active = app.identity().sealer().active();
    let of_version = |of: &[(u32, u64)], version: u32| {
        of.iter().find(|(it, _)| *it == version).map_or(0, |(_, count)| *count)
    };
    let hashes = app.identity().pepper().version();
    let sealed_by = |kek: &str| -> Vec<u32> {
        keys.iter().filter(|key| key.kek == kek && key.destroyed_at.is_none()).map(|key| key.number).collect()
    };
    // Which key-encryption key sealed a value itself is not written on it.
    let has_direct = reseal::sum(&counts, |key| key.is_none()) > 0;
    Ok(Status {
        keks: app
            .identity()
            .sealer()
            .keks()
            .into_iter()
            .enumerate()
            .map(|(at, id)| {
                let (is_newest, keys) = (at == 0, sealed_by(&id));
                KekState { is_newest, is_needed: is_newest || has_direct || !keys.is_empty(), keys, id }
            })
            .collect(),
        rotation: rotation(&keys, &counts),
        columns: COLUMNS
            .iter()
            .zip(&counts)
            .map(|(column, values)| ColumnState {
                table: column.table,
                column: column.column,
                values: values.clone(),
            })
            .collect(),
        peppers: peppers
            .iter()
            .rev()
            .map(|pepper| PepperState {
                state: pepper_word(pepper, hashes),
                credentials: of_version(&credentials, pepper.version),
                clients: of_version(&clients, pepper.version),
                cookies: of_version(&cookies, pepper.version),
                pepper: pepper.clone(),
            })
            .collect(),
        keys: keys
            .into_iter()
            .rev()
            .map(|key| KeyState {
                state: key_word(&key, active),
                values: reseal::sum(&counts, |of| of == Some(key.number)),
                key,
            })
            .collect(),
    })
}
