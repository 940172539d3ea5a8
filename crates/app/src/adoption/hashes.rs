//! The hashes of the passwords of a batch: strong ones are kept as they are, weak ones are wrapped, as many at once as there are places.

use super::{applying, hold};
use crate::App;
use crate::identity::adopted_hash::AdoptedHash;
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{Problem, ProblemKind};
use tokio::task::JoinSet;

/// How many wait for their turn at once.
const AT_ONCE: usize = 8;
/// After how many weak ones the lease is taken for longer.
const RENEWED_AFTER: usize = 200;

/// What is kept of each hash. Whoever signs in meanwhile has a turn as well.
pub(super) async fn adopt(
    app: &App,
    run: u64,
    holder: u128,
    hashes: Vec<Option<AdoptedHash>>,
) -> Result<Vec<Option<String>>, Problem> {
    let mut kept = Vec::with_capacity(hashes.len());
    let mut weak = 0;
    let mut chunk = Vec::new();
    for hash in hashes {
        weak += usize::from(hash.as_ref().is_some_and(AdoptedHash::is_weak));
        chunk.push(hash);
        if weak >= RENEWED_AFTER {
            renew(app, run, holder).await?;
            kept.extend(adopt_all(app, std::mem::take(&mut chunk)).await?);
            weak = 0;
        }
    }
    kept.extend(adopt_all(app, chunk).await?);
    Ok(kept)
}

async fn adopt_all(app: &App, hashes: Vec<Option<AdoptedHash>>) -> Result<Vec<Option<String>>, Problem> {
    let mut kept: Vec<Option<String>> = vec![None; hashes.len()];
    let mut under_way: JoinSet<Result<(usize, String), Problem>> = JoinSet::new();
    let mut put = |(place, text): (usize, String)| {
        if let Some(it) = kept.get_mut(place) {
            *it = Some(text);
        }
    };
    for (place, hash) in hashes.into_iter().enumerate() {
        let Some(hash) = hash else { continue };
        if !hash.is_weak() {
            put((place, app.identity().hasher().adopt(hash, app.world().random()).await?));
            continue;
        }
        if under_way.len() >= AT_ONCE
            && let Some(done) = under_way.join_next().await
        {
            put(done.map_err(stopped)??);
        }
        let app = app.clone();
        under_way.spawn(async move {
            Ok((place, app.identity().hasher().adopt(hash, app.world().random()).await?))
        });
    }
    while let Some(done) = under_way.join_next().await {
        put(done.map_err(stopped)??);
    }
    Ok(kept)
}

fn stopped(error: tokio::task::JoinError) -> Problem {
    Problem::new(ProblemKind::Internal, format!("a hash was not made: {error}"))
}

async fn renew(app: &App, run: u64, holder: u128) -> Result<(), Problem> {
    let now = app.now();
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                hold(tx, holder, now).await?;
                applying(tx, run).await.map(|_| ())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}

/// Refuses before any work when nothing could be written.
pub(super) async fn require_turn(app: &App, run: u64, holder: u128) -> Result<(), Problem> {
    renew(app, run, holder).await
}
