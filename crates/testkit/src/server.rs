//! A PostgreSQL server of a test's own, to be stopped and started: on a socket in a temporary folder, gone when the test ends.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The server; stopped and removed when dropped.
pub struct PostgresServer {
    programs: PathBuf,
    folder: tempfile::TempDir,
    owner: Option<&'static str>,
    settings: &'static str,
}

/// Where PostgreSQL's own programs are kept by the usual systems.
pub(crate) fn programs() -> Option<PathBuf> {
    let versioned = |root: &str, inside: &str| {
        let mut found: Vec<PathBuf> = std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join(inside))
            .filter(|folder| folder.join("initdb").exists())
            .collect();
        found.sort();
        found.pop()
    };
    versioned("/usr/lib/postgresql", "bin").or_else(|| versioned("/opt/homebrew/opt", "bin")).or_else(|| {
        let output = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok()?;
        let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        folder.join("initdb").exists().then_some(folder)
    })
}

/// Where one of PostgreSQL's own programs is.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    programs().map_or_else(|| name.into(), |folder| folder.join(name))
}

impl PostgresServer {
    /// A fresh server that runs, with more settings (`-c name=value ...`).
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    pub fn start_with(settings: &'static str) -> Self {
        let programs = programs().expect("PostgreSQL's programs are installed: initdb and pg_ctl");
        // A short path: that of a socket holds some 100 characters.
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").expect("a temporary folder");
        // PostgreSQL refuses to run as root.
        let id = Command::new("id").arg("-u").output().expect("id runs");
        let is_root = id.stdout.trim_ascii() == b"0";
        let exists = |user: &&str| {
            let quiet = Command::new("id").arg(user).stdout(Stdio::null()).stderr(Stdio::null()).status();
            quiet.is_ok_and(|status| status.success())
        };
        let owner = is_root.then(|| {
            ["postgres", "charter-test", "nobody"].into_iter().find(exists).expect("an ordinary user exists")
        });
        let this = Self { programs, folder, owner, settings };
        if let Some(owner) = owner {
            let status = Command::new("chown").arg(owner).arg(this.path()).status();
            assert!(status.is_ok_and(|status| status.success()), "the folder is given to {owner}");
        }
        let data = this.data();
        this.run("initdb", &["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]);
        this.start();
        this
    }

    /// A fresh server that runs.
    #[must_use]
    pub fn new() -> Self {
        Self::start_with("")
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> String {
        self.path().join("data").display().to_string()
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let program = self.programs.join(program);
        let mut command = match self.owner {
            None => Command::new(program),
            Some(owner) => {
                let mut command = Command::new("setpriv");
                let user = [format!("--reuid={owner}"), format!("--regid={}", group(owner))];
                command.args(user).arg("--clear-groups").arg(program);
                command
            }
        };
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        // A server keeps what it inherits open, and a reader of it would wait for its end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    #[expect(clippy::expect_used, reason = "a test without its server has failed")]
    fn run(&self, program: &str, arguments: &[&str]) {
        let status = self.command(program, arguments).status().expect("the program runs");
        assert!(status.success(), "{program} {arguments:?}: {status}");
    }

    /// Starts it again.
    pub fn start(&self) {
        let socket = self.path().display();
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{socket}' -c fsync=off {}",
            self.settings
        );
        let log = self.path().join("log").display().to_string();
        self.run("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "-t", "60", "-o", &options, "start"]);
    }

    /// Stops it as a failing machine would.
    pub fn stop(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }

    /// The address of one of its databases.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@/{database}?host={}", self.path().display())
    }
}

fn group(user: &str) -> String {
    let output = Command::new("id").args(["-g", user]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

impl Default for PostgresServer {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // It may have been stopped by the test.
        let _stopped =
            self.command("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]).status();
    }
}
