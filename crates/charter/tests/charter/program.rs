//! A temporary folder, and the program run in it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What a run gave.
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Run {
    /// The output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    /// What it told, in one line: where lines are broken says nothing.
    pub fn told(&self) -> String {
        format!("{} {}", self.out, self.err).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The same run, which must have ended with the code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "output: {}\nerrors: {}", self.out, self.err);
        self
    }
}

/// A folder of its own; removed at the end.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program with arguments, without any variable of the outside.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_charter"));
        command.current_dir(self.folder.path()).args(arguments).env_clear().env("USER", "tester");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let output = self.command(arguments).envs(variables.iter().copied()).output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same through a shell that limits how large files may grow, in blocks of 512 bytes: a write beyond that fails as on a full disk.
    pub fn run_limited(&self, blocks: u64, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        let text =
            format!("trap '' XFSZ; ulimit -f {blocks}; exec '{}' \"$@\"", env!("CARGO_BIN_EXE_charter"));
        let mut command = Command::new("sh");
        command.args(["-c", &text, "charter"]).args(arguments).current_dir(self.folder.path());
        let output =
            command.env_clear().env("USER", "tester").envs(variables.iter().copied()).output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same with something on standard input.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Run {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a server on a free port and waits until it tells its address.
    pub fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_with(arguments, &[])
    }

    /// The same at an address that is known before.
    pub fn serve_at(&self, listen: &str, variables: &[(&str, &str)]) -> Server {
        let mut command = self.command(&["serve", "--listen", listen]);
        command.envs(variables.iter().copied());
        self.started(command)
    }

    pub fn serve_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Server {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
        all.extend_from_slice(arguments);
        let mut command = self.command(&all);
        command.envs(variables.iter().copied());
        self.started(command)
    }

    /// Starts a server through a shell that limits it first.
    pub fn serve_limited(&self, limit: &str) -> Server {
        let program = env!("CARGO_BIN_EXE_charter");
        // A write beyond a limit is to fail, not to end the program.
        let text = format!("trap '' XFSZ; {limit}; exec '{program}' serve --listen 127.0.0.1:0");
        let mut command = Command::new("sh");
        command.args(["-c", &text]).current_dir(self.folder.path()).env_clear().env("USER", "tester");
        self.started(command)
    }

    fn started(&self, mut command: Command) -> Server {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        let address = loop {
            let mut line = String::new();
            if out.read_line(&mut line).unwrap() == 0 {
                let log = std::fs::read_to_string(self.path("log")).unwrap();
                panic!("the server ended: {greeting}{log}");
            }
            greeting.push_str(&line);
            if let Some((_, address)) = line.trim_end().split_once("listens on ") {
                break address.to_owned();
            }
        };
        // The greeting ends with two empty lines.
        let mut blank = 0;
        while blank < 2 {
            let mut line = String::new();
            if out.read_line(&mut line).unwrap() == 0 {
                break;
            }
            blank = if line.trim().is_empty() { blank + 1 } else { 0 };
            greeting.push_str(&line);
        }
        let rest = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()).map(drop));
        Server { child, address, greeting, rest: Some(rest) }
    }
}

/// A running server; ended at the end.
pub struct Server {
    child: Child,
    pub address: String,
    pub greeting: String,
    rest: Option<std::thread::JoinHandle<std::io::Result<()>>>,
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(name).arg(self.pid().to_string()).status().unwrap();
        assert!(done.success());
    }

    /// Asks it to stop; gives its exit code.
    pub fn stop(mut self) -> i32 {
        self.signal("-TERM");
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        self.join();
        code
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(mut self) {
        self.signal("-KILL");
        self.child.wait().unwrap();
        self.join();
    }

    fn join(&mut self) {
        if let Some(rest) = self.rest.take() {
            rest.join().unwrap().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join();
    }
}

/// Permission bits of a file.
#[cfg(unix)]
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Sets permission bits.
#[cfg(unix)]
pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
