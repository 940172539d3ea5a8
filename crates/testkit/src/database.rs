//! A fresh database for a test: SQLite in a temporary folder, PostgreSQL on the server that `./test` starts.

use std::{
    fs::{self, File},
    future::Future,
    ops::Deref,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use charter_db::{Database, Options, Scope, Statement, Value};

use crate::fault::Faults;

/// The address of a PostgreSQL server's database whose user may create databases.
const VARIABLE: &str = "CHARTER_TEST_POSTGRES";

/// A database of its own, gone when the test ends.
pub struct TestDatabase {
    database: Option<Database>,
    options: Options,
    /// On PostgreSQL: the server's own database, and the name of ours.
    server: Option<(Options, String)>,
    _folder: Option<tempfile::TempDir>,
}

impl Deref for TestDatabase {
    type Target = Database;

    #[expect(clippy::expect_used, reason = "the database is there until the test ends")]
    fn deref(&self) -> &Database {
        self.database.as_ref().expect("the database is open")
    }
}

impl TestDatabase {
    /// How the database was opened; to open it again, or otherwise.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Whoever opens the database by [`Self::options`] from now on opens one that fails when told to.
    #[must_use]
    pub fn fail_with(mut self, faults: &Arc<Faults>) -> Self {
        self.options.interference = Some(Arc::<Faults>::clone(faults));
        self
    }

    /// Closes the database and opens it again, as after a restart of the program.
    #[expect(clippy::expect_used, reason = "a test that cannot open its database has failed")]
    pub async fn reopen(&mut self) {
        self.database = None;
        self.database = Some(Database::open(&self.options).await.expect("the database opens again"));
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.database = None;
        let Some((options, name)) = self.server.take() else { return };
        let drop_it = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let server = Database::open(&options).await.ok()?;
                server.maintain(&format!("drop database if exists {name} with (force)")).await.ok()
            })
        };
        // A database left behind costs some space on a server that is thrown away.
        #[expect(
            clippy::disallowed_methods,
            reason = "a runtime cannot wait within another, so a thread of its own"
        )]
        let _left = std::thread::spawn(drop_it).join();
    }
}

/// A SQLite database in a temporary folder; it does not wait for the disk.
#[expect(clippy::expect_used, reason = "a test without its database has failed")]
pub async fn sqlite() -> TestDatabase {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut options = Options::new(format!("sqlite://{}", folder.path().join("test.db").display()));
    options.durable = false;
    let database = Database::open(&options).await.expect("the SQLite database opens");
    TestDatabase { database: Some(database), options, server: None, _folder: Some(folder) }
}

/// An empty PostgreSQL database.
pub async fn postgres() -> TestDatabase {
    create(&server_options(), "template1").await
}

/// An empty PostgreSQL database, opened in a schema that is not there yet.
#[expect(clippy::expect_used, reason = "a test without its database has failed")]
pub async fn postgres_in(schema: &str) -> TestDatabase {
    let mut database = postgres().await;
    database.close().await.expect("the database closes");
    database.options.schema = Some(schema.to_owned());
    database.reopen().await;
    database
}

/// A PostgreSQL database that begins as a copy of the named one, which the first test to need it builds. Let the
/// name follow from what the building does, for the server may outlive a change of it.
#[expect(clippy::expect_used, reason = "a test without its database has failed")]
pub async fn postgres_from<F, B>(template: &str, build: F) -> TestDatabase
where
    F: FnOnce(Database) -> B,
    B: Future<Output = ()>,
{
    const EXISTS: Statement = Statement::new("select 1 from pg_database where datname = $1");
    let options = server_options();
    let server = Database::open(&options).await.expect(HELP);
    let exists = async || {
        let found = server.query_opt(Scope::Installation, &EXISTS, &[Value::from(template)]).await;
        found.expect("the server answers").is_some()
    };
    if !exists().await {
        // Tests are processes of their own: one builds, and the others wait for its lock.
        let lock =
            File::create(lock_path(&options.url, template)).expect("a lock file in the temporary folder");
        let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await;
        let lock = lock.expect("the lock is waited for").expect("the lock is taken");
        if !exists().await {
            let mut unfinished = create(&options, "template1").await;
            build(Database::clone(&unfinished)).await;
            unfinished.close().await.expect("the template closes");
            let name = unfinished.server.take().map(|(_, name)| name).unwrap_or_default();
            rename(&server, &name, template).await;
        }
        drop(lock);
    }
    create(&options, template).await
}

/// Renames once the last connection to it has gone.
#[expect(clippy::expect_used, reason = "a test without its database has failed")]
async fn rename(server: &Database, name: &str, template: &str) {
    const END: Statement =
        Statement::new("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = $1");
    let text = format!("alter database {name} rename to {template}");
    for _ in 0..100 {
        server.query(Scope::Installation, &END, &[Value::from(name)]).await.expect("connections are ended");
        if server.maintain(&text).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    server.maintain(&text).await.expect("the template gets its name");
}

#[expect(clippy::expect_used, reason = "a test without its database has failed")]
async fn create(server: &Options, template: &str) -> TestDatabase {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    #[expect(clippy::disallowed_methods, reason = "a name that no other test process has")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let name = format!("test_{}_{}_{now}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let admin = Database::open(server).await.expect(HELP);
    admin
        .maintain(&format!("create database {name} template {template}"))
        .await
        .expect("a database is created");
    admin.close().await.expect("the server's database closes");
    let options = Options { url: with_database(&server.url, &name), ..server.clone() };
    let database = Database::open(&options).await.expect("the new database opens");
    TestDatabase { database: Some(database), options, server: Some((server.clone(), name)), _folder: None }
}

const HELP: &str = "PostgreSQL for tests answers: run the tests with ./test, or set CHARTER_TEST_POSTGRES";

#[expect(
    clippy::disallowed_methods,
    clippy::panic,
    reason = "tests learn of the server from the environment alone"
)]
fn server_options() -> Options {
    match std::env::var(VARIABLE) {
        Ok(url) => Options { pool_size: 4, ..Options::new(url) },
        Err(_) => panic!(
            "no PostgreSQL for tests: run ./test, which starts one; or start one yourself and name it, as in\n  \
             initdb -D /tmp/pg/data -U postgres -A trust && pg_ctl -D /tmp/pg/data -w -o \"-c listen_addresses='' \
             -c unix_socket_directories=/tmp/pg -c fsync=off -c max_connections=300\" start\n  \
             export {VARIABLE}='postgres://postgres@/postgres?host=/tmp/pg'"
        ),
    }
}

/// The same address with another database.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) =
        url.split_once('?').map_or((url, String::new()), |(base, rest)| (base, format!("?{rest}")));
    let (scheme, rest) = base.split_once("://").unwrap_or(("postgres", base));
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    format!("{scheme}://{authority}/{name}{query}")
}

fn lock_path(url: &str, template: &str) -> PathBuf {
    let server: String = url.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let folder = std::env::temp_dir().join("charter-test-locks");
    // If it cannot be made, opening the file in it says so.
    let _made = fs::create_dir_all(&folder);
    folder.join(format!("{server}.{template}"))
}

/// Writes a story's two tests, one for each engine. The story takes a [`TestDatabase`].
#[macro_export]
macro_rules! both_engines {
    ($(#[$meta:meta])* $name:ident, $story:expr) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "a story given by its path needs nothing else")]
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let story = $story;
                story($crate::database::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let story = $story;
                story($crate::database::postgres().await).await;
            }
        }
    };
}
