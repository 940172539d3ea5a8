//! How this process asks the rule of a system that organizations were taken over from: its database read into memory again and again
//! (`reader.rs`, `compiled.rs`, `answering.rs`, `links.rs`), or an address of its own (`endpoint.rs`). Neither can take the service down: what cannot be told is unavailable.

mod answering;
mod compiled;
mod endpoint;
mod links;
mod reader;

use crate::config::{Configuration, ShadowFrom};
use crate::failure::{Failure, Result};
use charter_app::App;
use charter_app::shadow::compare_waiting;
use endpoint::Endpoint;
use reader::Reader;
use std::sync::Arc;
use std::time::Duration;

/// A look may take so long at least, and else as long as until the next one.
const LOOK_LEAST: Duration = Duration::from_secs(300);

/// What has to be read again and again, if anything has.
pub struct Refreshed(Option<Arc<Reader>>);

/// Says how the other system is asked, as the configuration says.
pub fn prepare(app: &App, configuration: &Configuration) -> Result<Refreshed> {
    app.shadow().go_back_at(configuration.shadow_back);
    let Some(settings) = &configuration.shadow else { return Ok(Refreshed(None)) };
    let source = settings.source.clone();
    match &settings.from {
        ShadowFrom::Endpoint { url, token } => {
            let token = token.as_ref().map(|token| token.reveal().to_owned());
            let endpoint = Endpoint::new(app.database().clone(), app.world().clone(), source, url, token)
                .map_err(Failure::new)?;
            app.shadow().ask_by(Box::new(endpoint));
            Ok(Refreshed(None))
        }
        ShadowFrom::Database { address, map } => {
            let address = address.reveal().to_owned();
            let world = app.world().clone();
            let reader = Arc::new(Reader::new(
                address,
                map.clone(),
                source,
                (settings.refresh, configuration.read_share),
                world,
            ));
            app.shadow().ask_by(Box::new(reader::Rule(Arc::clone(&reader))));
            Ok(Refreshed(Some(reader)))
        }
    }
}

/// Reads the other system again whenever it is time to; never ends.
pub async fn refresh(app: &App, refreshed: Refreshed) {
    let Some(reader) = refreshed.0 else { return std::future::pending().await };
    let mut clock = tokio::time::interval(reader.every());
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let (inside, app) = (Arc::clone(&reader), app.clone());
        // A task of its own: reading a large system must hold up nothing else that this process does.
        #[expect(clippy::disallowed_methods, reason = "it is awaited, and ended with the one who waits")]
        let reading = AbortOnDrop(tokio::spawn(async move {
            // A line that died in the middle of a look would otherwise be waited for as long as the service runs.
            let limit = LOOK_LEAST.max(inside.every());
            if tokio::time::timeout(limit, inside.read(&app)).await.is_err() {
                tracing::warn!(
                    seconds = limit.as_secs(),
                    "the other system was not read in time, and is looked at again: see whether its database answers"
                );
            }
        }));
        reading.ended().await;
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl AbortOnDrop {
    async fn ended(mut self) {
        if let Err(error) = (&mut self.0).await {
            tracing::error!(%error, "reading the other system broke off");
        }
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Compares what nobody waits for; never ends.
pub async fn compare(app: &App) {
    loop {
        app.comparison_waits().await;
        let one = || compare_waiting(app);
        tokio::join!(one(), one(), one(), one(), one(), one(), one(), one());
    }
}
