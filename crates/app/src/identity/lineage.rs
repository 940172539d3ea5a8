//! The lineages of signing keys in the database: read, and read again when a token names a key this node has not seen. Keys are made and
//! end in `key_rotation.rs`.

use super::signing_key::{EDDSA, ES256, KeySet, RS256};
use crate::App;
use crate::vault;
use charter_db::Conn;
use charter_kernel::{Problem, Timestamp};
use charter_store as store;
use charter_store::signing_key::SigningKey;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What keys sign, and how: keys of one lineage follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lineage {
    /// Access tokens.
    Access,
    /// ID tokens. It begins with the first of them.
    Id,
    /// ID tokens for clients that know nothing else. It begins with the first of them.
    IdRs256,
}

impl Lineage {
    /// Every lineage.
    pub const ALL: [Self; 3] = [Self::Access, Self::Id, Self::IdRs256];

    /// What its keys sign, as the database says it.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Id | Self::IdRs256 => "id",
        }
    }

    /// How they sign (RFC 7518, RFC 8037).
    pub const fn alg(self) -> &'static str {
        match self {
            Self::Access => EDDSA,
            Self::Id => ES256,
            Self::IdRs256 => RS256,
        }
    }

    /// The lineage of a key.
    pub fn of(key: &SigningKey) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.purpose() == key.purpose && it.alg() == key.alg)
    }

    /// Its keys, oldest first.
    pub async fn kept(self, conn: &mut Conn) -> Result<Vec<SigningKey>, charter_db::Error> {
        store::signing_key::of_lineage(conn, self.purpose(), self.alg()).await
    }
}

/// Reads the keys.
pub async fn reload(app: &App) -> Result<(), Problem> {
    let kept = reading_all!(app.database(), |conn| store::signing_key::list(conn))?;
    for lineage in Lineage::ALL {
        learn(app, lineage, kept.iter().filter(|key| Lineage::of(key) == Some(lineage)).cloned().collect())
            .await?;
    }
    Ok(())
}

/// Works with these keys of a lineage from now on; verified tokens are forgotten when something changed.
pub async fn learn(app: &App, lineage: Lineage, kept: Vec<SigningKey>) -> Result<(), Problem> {
    let identity = app.identity();
    let place = identity.place_of(lineage);
    if place.load().is_of(&kept) {
        return Ok(());
    }
    for sealed in kept.iter().filter_map(|key| key.sealed_private.as_deref()) {
        vault::meet(app, sealed).await;
    }
    place.store(Arc::new(KeySet::new(kept, &identity.sealer)?));
    if lineage == Lineage::Access {
        identity.verified.clear();
    }
    Ok(())
}

/// Reads the keys again because a token names an unknown one: at most once a second, however many such tokens come. Tells whether
/// they were read.
pub async fn reload_for_unknown(app: &App, now: Timestamp) -> Result<bool, Problem> {
    let read_at = &app.identity().keys_read_at;
    let last = read_at.load(Ordering::Acquire);
    let is_due = now.micros() - last >= 1_000_000;
    if !is_due || read_at.compare_exchange(last, now.micros(), Ordering::AcqRel, Ordering::Acquire).is_err() {
        return Ok(false);
    }
    reload(app).await?;
    Ok(true)
}
