//! `charter serve`: opens the installation, serves it, keeps it fresh, and ends in order: not ready first, then no new
//! requests, then running ones end, then what waits is written and the database closed.

use super::{Invocation, arguments};
use crate::config::{Configuration, Fault, report};
use crate::demo::greeting::Place;
use crate::failure::{Failure, Outcome, Result};
use crate::folder::{Folder, Service};
use crate::installation::DemoState;
use crate::{demo, installation, legacy, output, outside, shadow};
use charter_app::App;
use clap::{Arg, ArgAction, Command};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpListener;

const DEMO: &str = "demo";
const TICK: Duration = Duration::from_secs(1);
const TICKS_A_MINUTE: u32 = 60;
const TICKS_A_DAY: u32 = 24 * 60 * TICKS_A_MINUTE;

pub fn command() -> Command {
    arguments::server(Command::new("serve")).about("Run the service").arg(
        Arg::new(DEMO)
            .long(DEMO)
            .action(ArgAction::SetTrue)
            .help("Put the demo company into an empty installation, and print its accounts"),
    )
}

/// Runs the service until it is told to stop.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let loaded = invocation.loaded;
    let is_demo = invocation.matches.get_flag(DEMO);
    let mut configuration = loaded.configuration.clone();
    if configuration.production {
        refuse_what_is_for_trying_out(invocation, is_demo).await?;
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let folder = Folder::create(&configuration.data)?;
    let lock = installation::lock(&folder).await?;
    let listener = TcpListener::bind(configuration.listen).await.map_err(|error| {
        Failure::new(format!(
            "cannot listen on {}: {error}; choose another with --listen",
            configuration.listen
        ))
    })?;
    let bound = listener
        .local_addr()
        .map_err(|error| Failure::new(format!("the listener has no address: {error}")))?;
    configuration.listen_on(bound);
    let start = Start { is_demo, program: invocation.program };
    let app = installation::open_patiently(&configuration, &folder).await?;
    let served = serve(&app, &configuration, &folder, listener, bound, start).await;
    let closed = app.close().await;
    drop(lock);
    served?;
    closed?;
    tracing::info!("stopped");
    Ok(Outcome::Good)
}

async fn refuse_what_is_for_trying_out(invocation: &Invocation<'_>, is_demo: bool) -> Result<()> {
    let loaded = invocation.loaded;
    let mut faults = loaded.production_faults.clone();
    if is_demo {
        faults.push(Fault::new("--demo", "puts published passwords into the database", "leave it out"));
    }
    faults.extend(installation::trial_data(&loaded.configuration).await.0);
    if faults.is_empty() {
        return Ok(());
    }
    let text = report::faults(faults.iter());
    Err(Failure::new(format!("production refuses to start.\n{}", text.trim_end())))
}

/// Where a command on this machine reaches a listener.
fn reachable(bound: SocketAddr) -> String {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, bound.port()))
}

/// How it was started.
#[derive(Clone, Copy)]
struct Start<'a> {
    is_demo: bool,
    program: &'a str,
}

async fn serve(
    app: &App,
    configuration: &Configuration,
    folder: &Folder,
    listener: TcpListener,
    bound: SocketAddr,
    start: Start<'_>,
) -> Result<()> {
    let address = reachable(bound);
    if start.is_demo || installation::demo_state(app).await? == DemoState::Begun {
        demo::install(app).await?;
    }
    let service = Service {
        address: address.clone(),
        pid: std::process::id(),
        started_at: installation::now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        is_production: configuration.production,
    };
    let announcement = folder.announce(&service)?;
    let edge = installation::edge(app, configuration);
    let bounds = charter_api::edge::Bounds {
        drain: configuration.shutdown_timeout,
        ..charter_api::edge::Bounds::default()
    };
    let mut legacy = legacy::Watch::default();
    legacy.begin(app, configuration).await?;
    let refreshed = shadow::prepare(app, configuration)?;
    let signal = stop_signal()?;
    let (carrier, courier) = (outside::carrier(configuration, folder)?, outside::courier(app)?);
    welcome(app, &address, configuration, start).await?;
    tracing::info!(address = %bound, data = %folder.path().display(), "serving");
    let stop = async {
        signal.await;
        app.stop();
        tracing::info!("stopping: no longer ready");
        tokio::time::sleep(configuration.shutdown_delay).await;
    };
    let served = tokio::select! {
        served = charter_api::edge::serve(listener, edge, bounds, stop) => served,
        () = stay_fresh(app, configuration, legacy) => unreachable(),
        () = hear_changes(app) => unreachable(),
        () = outside::carry_mail(app, carrier) => unreachable(),
        () = outside::call_webhooks(app, courier) => unreachable(),
        () = shadow::refresh(app, refreshed) => unreachable(),
        () = shadow::compare(app) => unreachable(),
    };
    if served.cut_off > 0 {
        tracing::warn!(connections = served.cut_off, "requests did not end in time and were cut off");
    }
    app.tick().await.unwrap_or_else(|problem| tracing::warn!(%problem, "the last round failed"));
    app.database().checkpoint().await.unwrap_or_else(|error| tracing::warn!(%error, "the log was not moved"));
    drop(announcement);
    Ok(())
}

/// The loops beside the server never end by themselves.
fn unreachable() -> charter_api::edge::Served {
    charter_api::edge::Served { cut_off: 0 }
}

/// Once a second: changes of other nodes, keys, refusals on their way to the trail; once a minute: forget the unused.
async fn stay_fresh(app: &App, configuration: &Configuration, mut legacy: legacy::Watch) {
    let mut clock = tokio::time::interval(TICK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut round: u32 = 0;
    let mut was_well = true;
    loop {
        clock.tick().await;
        let outcome = app.tick().await;
        match &outcome {
            Err(problem) if was_well => {
                tracing::warn!(%problem, "changes cannot be read: going on from memory")
            }
            Ok(()) if !was_well => tracing::info!("changes are read again"),
            _ => {}
        }
        was_well = outcome.is_ok();
        round = (round + 1) % TICKS_A_DAY;
        legacy.look(app, configuration, round.is_multiple_of(TICKS_A_MINUTE)).await;
        if round.is_multiple_of(TICKS_A_MINUTE) {
            each_minute(app).await;
        }
        if round == 0
            && let Err(problem) = charter_app::plan::forget_usage_events(app).await
        {
            tracing::warn!(%problem, "old usage events could not be removed");
        }
    }
}

async fn each_minute(app: &App) {
    let dropped = app.drop_unused();
    if dropped > 0 {
        tracing::debug!(dropped, "organizations nobody asks about left memory");
    }
    if let Err(problem) = charter_app::plan::sweep(app).await {
        tracing::warn!(%problem, "what has run out could not be noted");
    }
}

/// PostgreSQL tells of changes as they happen; on SQLite there is nobody else who could make one.
async fn hear_changes(app: &App) {
    loop {
        match app.database().listen(charter_db::CHANNEL).await {
            Ok(mut listener) => loop {
                let _ = listener.next().await;
                if let Err(problem) = app.tick().await {
                    tracing::debug!(%problem, "a change was announced and could not be read");
                }
            },
            Err(error) => {
                tracing::debug!(%error, "no notifications; changes are read once a second");
                tokio::time::sleep(TICK * 5).await;
            }
        }
    }
}

#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| Failure::new(format!("signals cannot be watched: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// What the person who started the server is told; two empty lines end it.
async fn welcome(app: &App, address: &str, configuration: &Configuration, start: Start<'_>) -> Result<()> {
    let mut text = format!(
        "Charter {} listens on {address}\nAPI: {address}/docs\nPeople: {}/account\n",
        env!("CARGO_PKG_VERSION"),
        configuration.public_url
    );
    if let Some(code) = charter_app::identity::setup::code(app).await? {
        text.push_str(&format!(
            "\nThis installation has no administrator. Make the first one within a day, with this one-time code:\n\
             \n  charter setup{} --code {} --login you@example.com\n",
            super::data_flag(configuration),
            code.as_str()
        ));
    }
    if start.is_demo {
        let people = &configuration.public_url;
        let place = Place { address, people, program: start.program, data: &configuration.data };
        text.push_str(&demo::greeting::text(&place));
    }
    output::print(&format!("{text}\n\n"));
    Ok(())
}
