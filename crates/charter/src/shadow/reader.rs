//! The other system's database, read into memory again and again and swapped as a whole; what was read is as old as its reading, and when that is
//! too old nothing is answered. What is read is put together in `compiled.rs`, and answers in `answering.rs`.

use super::answering::answer;
use super::compiled::{Compiled, compile};
use super::links::linked;
use crate::command::other_system::{self, Looking};
use crate::failure::{Failure, Result};
use arc_swap::ArcSwapOption;
use charter_adopt::mapping;
use charter_app::shadow::{Answering, LegacyAnswer, LegacyQuestion, LegacyRule};
use charter_app::{App, World};
use charter_db::foreign::Share;
use charter_kernel::Key;
use charter_kernel::catalogue::Catalogue;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What was read is too old when so many readings did not come.
const MISSED_MAX: u32 = 3;

/// The reader.
pub struct Reader {
    address: String,
    map: Option<PathBuf>,
    source: Key,
    every: Duration,
    share: Share,
    world: World,
    read: ArcSwapOption<Compiled>,
}

impl Reader {
    /// One that has read nothing yet.
    pub fn new(
        address: String,
        map: Option<PathBuf>,
        source: Key,
        (every, share): (Duration, Share),
        world: World,
    ) -> Self {
        Self { address, map, source, every, share, world, read: ArcSwapOption::empty() }
    }

    /// How often it is to read.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Reads the other system; what was read before stays in force when it cannot be read, until it is too old.
    pub async fn read(&self, app: &App) {
        match self.load(app).await {
            Ok(read) => {
                if self.read.swap(Some(Arc::new(read))).is_none() {
                    tracing::info!("the other system was read: shadow mode compares with it");
                }
            }
            Err(failure) => {
                tracing::warn!(%failure, "the other system cannot be read: what was read before counts until it is too old");
            }
        }
    }

    async fn load(&self, app: &App) -> Result<Compiled> {
        let as_of = self.world.moment();
        let given = match &self.map {
            None => None,
            Some(path) => {
                let path = path.display().to_string();
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
                Some(other_system::parsed(&path, &text)?)
            }
        };
        let mut looking = Looking::open(&self.address, self.share, None, given.as_ref()).await?;
        let heard = looking.hear(&mut |_, _| {}).await?;
        let (system, tables) = (looking.system, looking.tables.clone());
        drop(looking);
        let links = linked(app.database(), &self.source).await?;
        let catalogue = Catalogue::clone(&app.snapshots().catalogue());
        let compiled = tokio::task::spawn_blocking(move || {
            let mapping = given.unwrap_or_else(|| mapping::propose(system, tables, &heard.facts, &catalogue));
            compile(as_of, &heard, &mapping, catalogue, &links)
        });
        compiled
            .await
            .map_err(|error| Failure::new(format!("what was read could not be put together: {error}")))?
    }
}

/// The reader as it is asked.
pub struct Rule(pub Arc<Reader>);

impl LegacyRule for Rule {
    fn ask(&self, question: &LegacyQuestion) -> Answering {
        let limit = self.0.every * MISSED_MAX;
        Answering::Now(match &*self.0.read.load() {
            None => LegacyAnswer::Unavailable("the other system was not read yet".to_owned()),
            Some(read) => answer(read, limit, question, self.0.world.steady_micros()),
        })
    }
}
