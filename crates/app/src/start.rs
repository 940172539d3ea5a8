//! Opening the application: migrations, the catalogue, the platform organization, the snapshots, identity.

use crate::clock::World;
use crate::identity::{self, Identity};
use crate::{App, Inner, audit, catalogue, denial, organization, shadow, snapshot};
use charter_db::{BoxFuture, Database, Options, Scope, Tx};
use charter_kernel::facts::{OrganizationFact, OrganizationKind, OrganizationStatus};
use charter_kernel::{Key, OrganizationId, Problem, ProblemKind, Revision};
use charter_policy::Index;
use charter_store as store;
use std::sync::Arc;

/// Key of the organization that runs the installation.
pub const PLATFORM: &str = "platform";

/// What the application is opened with.
#[derive(Clone)]
pub struct Settings {
    /// The database.
    pub database: Options,
    /// Bring the schema up to date at start; otherwise an old schema is refused.
    pub migrate: bool,
    /// Seconds without news of changes after which nothing is decided any more.
    pub max_staleness_seconds: u32,
    /// Seconds after which an organization nobody asks for is dropped from memory.
    pub drop_unused_seconds: u32,
    /// Sign-in and tokens.
    pub identity: identity::Settings,
}

impl App {
    /// Opens the application on a database that may be empty.
    pub async fn open(settings: Settings, world: World) -> Result<Self, Problem> {
        let database = Database::open(&settings.database).await?;
        if settings.migrate {
            store::migration::migrate_up(&database, world.now()).await.map_err(schema)?;
        } else if let Some(missing) = store::migration::states(&database)
            .await
            .map_err(schema)?
            .iter()
            .find(|state| state.applied_at.is_none())
        {
            return Err(Problem::new(
                ProblemKind::Unavailable,
                format!(
                    "the schema is older than this program: {} is missing, run `charter migrate up`",
                    missing.name
                ),
            ));
        }
        // Whoever asks for production was refused before this; in development it is enough to know.
        for hole in store::wall::holes(&database).await? {
            tracing::warn!("the database {}: {}", hole.what(), hole.remedy());
        }
        let installed = catalogue::installed(&database, world.now()).await?;
        let index = Arc::new(Index::new(&installed).map_err(|error| {
            Problem::new(ProblemKind::Internal, format!("the catalogue does not compile: {error}"))
        })?);
        let platform = platform(&database, &world).await?;
        let organizations = Arc::<organization::Directory>::default();
        let snapshots = snapshot::Snapshots::new(
            database.clone(),
            world.clone(),
            Arc::new(installed),
            index,
            settings.max_staleness_seconds,
            Arc::clone(&organizations),
        );
        let identity = Identity::open(&database, &world, &settings.identity).await?;
        let app = Self {
            inner: Arc::new(Inner {
                database,
                world,
                snapshots,
                denials: denial::Denials::default(),
                shadow: shadow::Shadow::default(),
                identity,
                organizations,
                platform,
                settings,
                webhook_rules: std::sync::OnceLock::new(),
                webhook_mark: crate::webhook::Mark::default(),
                is_stopping: std::sync::atomic::AtomicBool::new(false),
            }),
        };
        app.snapshots().catch_up().await?;
        app.identity().refresh(&app).await?;
        Ok(app)
    }

    /// Reads what changed since this was read last: without it nothing is decided before long.
    pub async fn read_changes(&self) -> Result<(), Problem> {
        catalogue::follow(self).await?;
        self.snapshots().catch_up().await?;
        self.identity().refresh(self).await
    }

    /// Keeps what is in memory up to date, until dropped: call about once a second.
    pub async fn tick(&self) -> Result<(), Problem> {
        identity::argon::give_back();
        self.read_changes().await?;
        if let Err(problem) = identity::node::beat(self).await {
            tracing::warn!(%problem, "this node could not say that it runs");
        }
        shadow::flush(self).await?;
        self.flush_denials().await
    }

    /// Drops organizations nobody asked for lately.
    pub fn drop_unused(&self) -> usize {
        let before = self.now().plus_seconds(-i64::from(self.settings().drop_unused_seconds));
        self.snapshots().drop_unused(before)
    }

    /// Writes what waits and closes the database; the last thing before the process ends.
    pub async fn close(&self) -> Result<(), Problem> {
        shadow::flush(self).await?;
        self.flush_denials().await?;
        self.identity().close(self).await;
        self.database().close().await?;
        Ok(())
    }
}

/// The platform organization's id; it is made where it is missing. Of several nodes that start at once one makes it.
async fn platform(database: &Database, world: &World) -> Result<OrganizationId, Problem> {
    if let Some(id) = find_platform(database).await? {
        return Ok(id);
    }
    let (id, now) = (OrganizationId(world.fresh_id()), world.now());
    let made: Result<(), Problem> = database
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                let fact = OrganizationFact {
                    id,
                    key: platform_key()?,
                    name: "Platform".to_owned(),
                    kind: OrganizationKind::Platform,
                    status: OrganizationStatus::Active,
                    enabled_modules: None,
                    revision: Revision(0),
                    assertable: Vec::new(),
                };
                store::organization::insert(tx, &fact, now).await?;
                store::revision::bump(tx, id, now).await?;
                let event =
                    audit::system_event("start", id, now, "organization.create", "organization", PLATFORM);
                audit::append(tx, std::iter::once(event)).await
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await;
    match made {
        Ok(()) => Ok(id),
        Err(problem) if problem.kind == ProblemKind::Taken => find_platform(database).await?.ok_or(problem),
        Err(problem) => Err(problem),
    }
}

async fn find_platform(database: &Database) -> Result<Option<OrganizationId>, Problem> {
    let key = platform_key()?;
    reading_all!(database, |conn| async move { store::organization::by_key(conn, &key).await })
}

fn platform_key() -> Result<Key, Problem> {
    PLATFORM.parse().map_err(|error| Problem::new(ProblemKind::Internal, format!("{error}")))
}

fn schema(error: store::migration::MigrationError) -> Problem {
    Problem::new(ProblemKind::Unavailable, format!("the schema could not be brought up to date: {error}"))
}
