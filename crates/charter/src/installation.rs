//! The installation as a process opens it: secrets, database, application, routes.

use crate::breached::{self, BreachedFile};
use crate::config::{Configuration, Fault};
use crate::failure::{Failure, Result};
use crate::folder::{Folder, Lock};
use crate::outside;
use crate::secrets;
use axum::Router;
use charter_api::edge::{Cookies, Edge, Routes};
use charter_app::identity::breached::BreachedPasswords;
use charter_app::identity::proxied_caller::ProxySecret;
use charter_app::identity::{self, OperatorToken};
use charter_app::{App, World};
use charter_db::foreign::Foreign;
use charter_db::{Conn, Database, Options, Scope, Tx};
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store as store;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Setting of an installation that holds the demo company.
const DEMO: &str = "demo";
const PATIENCE: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);
/// How long a service that starts waits for a database that does not answer.
const DATABASE_PATIENCE: Duration = Duration::from_secs(30);
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// Names of tables that are told.
const TOLD_MAX: usize = 5;
/// The table that is there once an installation is.
const MIGRATIONS: &str = "charter_migrations";

/// Whether an installation is there; asking makes none. Where that cannot be told it counts as there, and whoever opens it says why it cannot.
pub async fn is_there(configuration: &Configuration) -> bool {
    if configuration.url.is_some() || Folder::at(&configuration.data).service_at_work().is_some() {
        return true;
    }
    let address = &configuration.database;
    if let Some(path) = address.strip_prefix("sqlite://").or_else(|| address.strip_prefix("sqlite:")) {
        if !std::path::Path::new(path).exists() {
            return false;
        }
        // Opening it as Charter does would change a file that is none of Charter's.
        let looked = async { Foreign::open(address).await?.tables().await };
        return match looked.await {
            Ok(tables) => tables.iter().any(|table| table.name == MIGRATIONS),
            Err(_) => true,
        };
    }
    let Ok(database) = Database::open(&Options { pool_size: 1, ..options(configuration) }).await else {
        return true;
    };
    let is_there = store::migration::is_begun(&database).await.unwrap_or(true);
    let _closed = database.close().await;
    is_there
}

/// Refuses a SQLite file that holds tables and no installation: it is another program's, and opening it as Charter does would change it for good.
/// In a database of PostgreSQL others may stand beside.
async fn own_file(configuration: &Configuration) -> Result<()> {
    let address = &configuration.database;
    let Some(path) = address.strip_prefix("sqlite://").or_else(|| address.strip_prefix("sqlite:")) else {
        return Ok(());
    };
    // A file that Charter worked with has a lock beside it, and is not looked at each time.
    if !std::path::Path::new(path).exists() || std::path::Path::new(&format!("{path}.lock")).exists() {
        return Ok(());
    }
    let looked = async { Foreign::open(address).await?.tables().await };
    let tables = match looked.await {
        Ok(tables) => tables,
        Err(error @ charter_db::Error::Busy(_)) => {
            return Err(Failure::new(format!(
                "another program holds {path}, and whether it is Charter's own file cannot be told ({error}): try again when that program has ended"
            )));
        }
        // Whoever opens it says why it cannot be opened.
        Err(_) => return Ok(()),
    };
    if tables.is_empty() || tables.iter().any(|table| table.name == MIGRATIONS) {
        return Ok(());
    }
    let first: Vec<&str> = tables.iter().take(TOLD_MAX).map(|table| table.name.as_str()).collect();
    Err(Failure::new(format!(
        "{path} holds tables and no installation of Charter ({}{}): it is another program's, and stays as it is. Give Charter a file of its own, \
         --database sqlite:PATH",
        first.join(", "),
        charter_adopt::plan::more(tables.len() as u64, first.len())
    )))
}

/// What a command says that finds no installation.
pub fn missing(configuration: &Configuration) -> Failure {
    let place = crate::config::text::without_password(&configuration.database);
    let schema = match &configuration.database_schema {
        Some(schema) => format!(", schema {schema}"),
        None => String::new(),
    };
    Failure::new(format!(
        "there is no installation in {place}{schema}: start one with `charter serve`, or name another place with --data, --database or \
         --database-schema"
    ))
}

/// This instant.
pub fn now() -> Timestamp {
    World::system().now()
}

/// The OpenAPI document of every route.
pub fn document() -> Value {
    charter_api::routes().openapi()
}

/// The routes over an application, to be served.
pub fn edge(app: &App, configuration: &Configuration) -> Edge<App> {
    table(configuration).into_edge(app.clone(), settings(configuration))
}

/// The same, to be called in this process.
pub fn router(app: &App, configuration: &Configuration) -> Router {
    table(configuration).into_router(app.clone(), settings(configuration))
}

fn table(configuration: &Configuration) -> Routes<App> {
    charter_api::routes().limit_bodies(configuration.body_limit)
}

fn settings(configuration: &Configuration) -> charter_api::edge::Settings {
    charter_api::edge::Settings {
        trusted_proxies: configuration.trusted_proxies.clone(),
        proxy_user_header: configuration.proxy_user_header.clone(),
        timeout: configuration.request_timeout,
        is_https: configuration.public_url.starts_with("https://"),
        public_url: configuration.public_url.clone(),
        cookies: cookies(configuration),
        // Behind a proxy the name is the proxy's affair.
        host_names: (configuration.listen.ip().is_loopback() && configuration.trusted_proxies.is_empty())
            .then(|| vec![charter_api::edge::host::name_in(&configuration.public_url).to_owned()]),
    }
}

/// Cookies travel over https, or never leave this machine while somebody tries things out.
fn cookies(configuration: &Configuration) -> Cookies {
    if configuration.public_url.starts_with("https://") {
        Cookies::Secure
    } else if !configuration.production && configuration.listen.ip().is_loopback() {
        Cookies::Plain
    } else {
        Cookies::Off
    }
}

/// Takes the lock of a folder, or tells who has it.
pub async fn lock(folder: &Folder) -> Result<Lock> {
    for _ in 0..PATIENCE {
        if let Some(lock) = folder.try_lock()? {
            return Ok(lock);
        }
        if folder.service().is_some() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let path = folder.path().display();
    Err(match folder.service() {
        Some(service) => Failure::new(format!(
            "another service is at work in {path}: process {} at {}, since {}. Stop it first, or name another folder with --data",
            service.pid, service.address, service.started_at
        )),
        None => {
            Failure::new(format!("another charter command is at work in {path}: try again when it has ended"))
        }
    })
}

pub(crate) fn options(configuration: &Configuration) -> Options {
    Options {
        pool_size: configuration.database_pool,
        schema: configuration.database_schema.clone(),
        ..Options::new(configuration.database.clone())
    }
}

/// The database alone.
pub async fn database(configuration: &Configuration) -> Result<Database> {
    own_file(configuration).await?;
    Database::open(&options(configuration)).await.map_err(|error| Failure::from(Problem::from(error)))
}

fn seconds(span: Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

/// Opens the application; the caller holds the lock of the folder.
pub async fn open(configuration: &Configuration, folder: &Folder) -> Result<App> {
    own_file(configuration).await?;
    let keys = secrets::obtain(configuration, folder).await?;
    let app = ruled(App::open(opening(configuration, folder, keys)?, World::system()).await?, configuration);
    crate::shadow::prepare(&app, configuration)?;
    Ok(app)
}

/// The application with what its configuration says about webhooks.
fn ruled(app: App, configuration: &Configuration) -> App {
    app.set_webhook_rules(outside::webhook_rules(configuration));
    app
}

/// The same for a service, which may be started together with its database: for a while it waits for that to answer.
pub async fn open_patiently(configuration: &Configuration, folder: &Folder) -> Result<App> {
    own_file(configuration).await?;
    let keys = secrets::obtain_patiently(configuration, folder, DATABASE_PATIENCE).await?;
    let settings = opening(configuration, folder, keys)?;
    let waiting = async {
        loop {
            match App::open(settings.clone(), World::system()).await {
                Err(problem) if problem.kind == ProblemKind::Unavailable => {
                    tracing::warn!(reason = %problem.detail, "waiting for the database");
                    tokio::time::sleep(DATABASE_PAUSE).await;
                }
                opened => return opened,
            }
        }
    };
    let opened = match tokio::time::timeout(DATABASE_PATIENCE, waiting).await {
        Ok(opened) => opened?,
        Err(_) => App::open(settings, World::system()).await?,
    };
    Ok(ruled(opened, configuration))
}

/// The file of breached passwords, once it was looked at in so many places.
pub fn breached(
    configuration: &Configuration,
    places: u64,
) -> std::result::Result<Option<BreachedFile>, Fault> {
    let Some(path) = &configuration.breached_passwords else { return Ok(None) };
    let file = BreachedFile::open(path.clone(), places).map_err(|wrong| {
        Fault::new(
            "breached_passwords",
            format!("{} cannot be used: {wrong}", path.display()),
            "give the file of SHA-1 hashes ordered by hash, or leave the setting out",
        )
    })?;
    Ok(Some(file))
}

fn opening(
    configuration: &Configuration,
    folder: &Folder,
    keys: secrets::Keys,
) -> Result<charter_app::Settings> {
    let operator = OperatorToken {
        token: folder.operator_token()?.reveal().to_owned(),
        account: configuration.account.clone(),
    };
    let breached_passwords = breached(configuration, breached::PLACES)
        .map_err(|fault| Failure::new(format!("{}: {}; {}", fault.place, fault.wrong, fault.remedy)))?
        .map(|file| Arc::new(file) as Arc<dyn BreachedPasswords>);
    let identity = identity::Settings {
        breached_passwords,
        access_token_seconds: seconds(configuration.token_life),
        session_seconds: seconds(configuration.session_life),
        session_idle_seconds: seconds(configuration.session_idle),
        cookie_session_seconds: seconds(configuration.cookie_session_life),
        cookie_session_idle_seconds: seconds(configuration.cookie_session_idle),
        password_characters_min: configuration.password_characters,
        key_policy: configuration.key_policy,
        operator: Some(operator),
        proxy_secret: configuration
            .proxy_secret
            .as_ref()
            .map(|it| ProxySecret(it.reveal().to_owned().into())),
        is_live: configuration.production,
        public_url: configuration.public_url.clone(),
        mail: outside::way_of_mail(configuration),
        previous_key_encryption_keys: keys.previous,
        ..identity::Settings::new(configuration.issuer.clone(), keys.secrets)
    };
    Ok(charter_app::Settings {
        database: options(configuration),
        migrate: true,
        max_staleness_seconds: seconds(configuration.max_staleness),
        drop_unused_seconds: seconds(configuration.forget_organizations_after),
        identity,
    })
}

/// Whether an installation holds the demo company.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoState {
    /// It does not.
    Absent,
    /// It was begun, and was cut short or goes on at this moment.
    Begun,
    /// All of it is there.
    Whole,
}

const BEGUN: &str = "\"begun\"";

/// Whether the installation holds the demo company.
pub async fn demo_state(app: &App) -> std::result::Result<DemoState, Problem> {
    let found = app
        .database()
        .read(Scope::Installation, |conn: &mut Conn| {
            Box::pin(async move { store::setting::get(conn, DEMO).await })
        })
        .await?;
    Ok(match found.as_deref() {
        None => DemoState::Absent,
        Some(BEGUN) => DemoState::Begun,
        Some(_) => DemoState::Whole,
    })
}

/// Notes how far the demo company is; that the installation ever held it is never forgotten.
pub async fn mark_demo(app: &App, state: DemoState) -> std::result::Result<(), Problem> {
    let (now, value) = (app.now(), if state == DemoState::Whole { "true" } else { BEGUN });
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move { store::setting::put(tx, DEMO, value, now).await })
        })
        .await?;
    Ok(())
}

/// Demo data and demo passwords in the database, and holes in its second wall, as faults of production; and what there is to say of a
/// database that a running service has to itself.
pub async fn trial_data(configuration: &Configuration) -> (Vec<Fault>, Option<String>) {
    if let Some(path) = configuration.database.strip_prefix("sqlite://")
        && !std::path::Path::new(path).exists()
    {
        return (Vec::new(), None);
    }
    if let Err(wrong) = own_file(configuration).await {
        let fault = Fault::new("database", wrong.to_string(), "name Charter's own with --database");
        return (vec![fault], None);
    }
    let database = match Database::open(&options(configuration)).await {
        Ok(database) => database,
        Err(error) => {
            if matches!(error, charter_db::Error::Busy(_))
                && let Some(found) = in_service(configuration).await
            {
                return found;
            }
            let fault = Fault::new(
                "database",
                format!("cannot be opened: {error}"),
                "check the address, and that the server is up",
            );
            return (vec![fault], None);
        }
    };
    let is_demo = database
        .read(Scope::Installation, |conn: &mut Conn| {
            Box::pin(async move { store::setting::get(conn, DEMO).await })
        })
        .await;
    let mut faults = wall(&database).await;
    let _ = database.close().await;
    if let Ok(Some(_)) = is_demo {
        faults.extend([
            Fault::new(
                "database",
                "holds the demo company",
                "use an empty database: demo data is not for production",
            ),
            Fault::new(
                "database",
                "has accounts with the published demo password",
                "use an empty database, and let `charter setup` make the first administrator",
            ),
        ]);
    }
    (faults, None)
}

/// What the service of the data folder says of its database, when it is the one that has the file open. It looked through the database
/// itself when it was started for production.
async fn in_service(configuration: &Configuration) -> Option<(Vec<Fault>, Option<String>)> {
    let service = Folder::at(&configuration.data).service()?;
    if Database::holder(&options(configuration)) != Some(service.pid) {
        return None;
    }
    let ready = crate::client::readiness(&service.address).await?;
    let faulty = |check: &Value| {
        let name = check.get("name")?.as_str()?;
        let fault = check.get("fault")?.as_str()?;
        matches!(name, "database" | "schema").then(|| format!("{name} {fault}"))
    };
    let checks = ready.get("checks").and_then(Value::as_array)?;
    let mut faults: Vec<Fault> = checks
        .iter()
        .filter_map(faulty)
        .map(|wrong| {
            Fault::new("database", format!("the running service says: {wrong}"), "look into its log")
        })
        .collect();
    if !service.is_production {
        faults.push(Fault::new(
            "database",
            "is open in a service that was not started for production: whether it holds data for trying out cannot be told",
            "stop that service and check again",
        ));
    }
    let state = if faults.is_empty() { ": it answers, and every migration is applied" } else { "" };
    let told = format!(
        "the running service (process {} at {}, since {}, version {}) has it open{state}",
        service.pid, service.address, service.started_at, service.version
    );
    Some((faults, Some(told)))
}

/// What keeps row level security from being a second wall around each organization, as faults of production.
async fn wall(database: &Database) -> Vec<Fault> {
    let holes = match store::wall::holes(database).await {
        Ok(holes) => holes,
        Err(error) => {
            return vec![Fault::new(
                "database",
                format!("does not tell who may do what in it: {error}"),
                "check the account that the service uses",
            )];
        }
    };
    let mut faults: Vec<Fault> =
        holes.iter().map(|hole| Fault::new("database", hole.what(), hole.remedy())).collect();
    // Tables that the service makes itself would be its own.
    if faults.is_empty()
        && database.engine() == charter_db::Engine::Postgres
        && let Ok(states) = store::migration::states(database).await
        && let Some(missing) = states.iter().find(|state| state.applied_at.is_none())
    {
        faults.push(Fault::new(
            "database",
            format!("lacks migration {}, and the service's account must not own tables", missing.name),
            "run `charter migrate up --application-role NAME` with the account that owns the tables",
        ));
    }
    faults
}
