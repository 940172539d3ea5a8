//! Servers under measurement: processes of their own on loopback, ended when dropped; and what they cost in processor time.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::load::{Connection, request};

/// Processor time is told in ticks of this many microseconds (`getconf CLK_TCK` is 100 wherever Linux runs).
const TICK_MICROSECONDS: u64 = 10_000;
const MEMBERS: usize = 300;
const PASSWORD: &str = "a password for one benchmark";

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    folder: Option<PathBuf>,
}

impl Server {
    /// Its process, for a profiler.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The program, on the first processor alone when there is a tool to say so.
fn pinned(program: &Path, is_pinned: bool) -> Command {
    if !is_pinned {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

impl Server {
    /// Starts the empty handler.
    ///
    /// # Errors
    /// When it does not start.
    pub fn empty(program: &Path, is_pinned: bool) -> Result<Self, String> {
        let started = pinned(program, is_pinned).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|flaw| format!("{} does not start: {flaw}", program.display()))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(|flaw| flaw.to_string())?;
        }
        let address = line.trim().parse().map_err(|_| format!("the empty handler said {line:?}"))?;
        Ok(Self { child, address, folder: None })
    }

    /// Starts Charter over an empty data folder.
    ///
    /// # Errors
    /// When it does not start.
    pub fn charter(program: &Path, folder: PathBuf, is_pinned: bool) -> Result<Self, String> {
        Self::serving(pinned(program, is_pinned), program, folder)
    }

    /// The same for a service that believes a proxy on this machine what address a request is from.
    ///
    /// # Errors
    /// When it does not start.
    pub fn charter_behind_proxy(program: &Path, folder: PathBuf) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.env("CHARTER_TRUSTED_PROXIES", "127.0.0.1");
        Self::serving(command, program, folder)
    }

    fn serving(mut command: Command, program: &Path, folder: PathBuf) -> Result<Self, String> {
        std::fs::create_dir_all(&folder).map_err(|flaw| format!("{}: {flaw}", folder.display()))?;
        let started = command
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--data"])
            .arg(&folder)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .spawn();
        let child = started.map_err(|flaw| format!("{} does not start: {flaw}", program.display()))?;
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), folder: Some(folder) };
        for _ in 0..200 {
            if let Some(address) = server.announced() {
                server.address = address;
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("charter did not say where it listens".to_owned())
    }

    fn announced(&self) -> Option<SocketAddr> {
        let text = std::fs::read_to_string(self.folder.as_ref()?.join("service.json")).ok()?;
        let service: Value = serde_json::from_str(&text).ok()?;
        service.get("address")?.as_str()?.strip_prefix("http://")?.parse().ok()
    }

    /// The token of the operator of a charter server.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn operator_token(&self) -> Result<String, String> {
        let path = self.folder.clone().unwrap_or_default().join("operator-token");
        std::fs::read_to_string(&path)
            .map(|text| text.trim().to_owned())
            .map_err(|flaw| format!("{}: {flaw}", path.display()))
    }

    /// Memory it holds, in bytes.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn resident_bytes(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.child.id());
        let text =
            std::fs::read_to_string(&path).map_err(|flaw| format!("{path}: {flaw} (Linux is needed)"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| format!("{path} has another form than expected"))
    }

    /// Processor time it has used, in microseconds.
    ///
    /// # Errors
    /// Where there is no `/proc`.
    pub fn cpu_microseconds(&self) -> Result<u64, String> {
        ticks(&format!("/proc/{}/stat", self.child.id()), [11, 12])
    }
}

/// Processor time that children of this process used which ended, in microseconds.
///
/// # Errors
/// Where there is no `/proc`.
pub fn cpu_of_children_microseconds() -> Result<u64, String> {
    ticks("/proc/self/stat", [13, 14])
}

/// The sum of two fields of a process's statistics, behind its name.
fn ticks(path: &str, at: [usize; 2]) -> Result<u64, String> {
    let text = std::fs::read_to_string(path).map_err(|flaw| format!("{path}: {flaw} (Linux is needed)"))?;
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    match at.map(ticks) {
        [Some(user), Some(system)] => Ok((user + system) * TICK_MICROSECONDS),
        _ => Err(format!("{path} has another form than expected")),
    }
}

/// The credentials of a filled organization.
#[derive(Debug)]
pub struct Credentials {
    /// Token of the operator at the machine.
    pub operator: String,
    /// Service token.
    pub service: String,
    /// Access token of a person.
    pub access: String,
    /// API key of the same person.
    pub key: String,
}

/// Fills the organization `toys` with members who hold roles, a service account and an administrator.
///
/// # Errors
/// When the service refuses something.
pub fn fill(server: &Server) -> Result<Credentials, String> {
    const IN: &str = "/api/v1/organizations/toys";
    let operator = server.operator_token()?;
    let mut connection = Connection::open(server.address)?;
    let mut post = |path: &str, body: Value| -> Result<Value, String> {
        let bearer = format!("Bearer {operator}");
        let answer =
            connection.call(&request("POST", path, &[("authorization", &bearer)], &body.to_string()))?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("POST {path}: {} {}", answer.status, answer.body));
        }
        Ok(serde_json::from_str(&answer.body).unwrap_or_default())
    };
    let text = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| format!("no {name} in {value}"))
    };
    let modules = ["finance", "inventory", "sales"];
    post(
        "/api/v1/organizations",
        json!({ "key": "toys", "name": "Soft Toys Ltd", "enabled_modules": modules }),
    )?;
    let roles = ["accountant", "viewer", "sales_officer", "warehouse_operator", "finance_manager", "auditor"];
    for (number, role) in (0..MEMBERS).zip(roles.iter().cycle()) {
        let login = format!("person{number}@toys.example");
        post(&format!("{IN}/members"), json!({ "login": login }))?;
        post(&format!("{IN}/assignments"), json!({ "role": role, "subject": { "member": login } }))?;
    }
    for (login, kind) in [("web-shop", "service_account"), ("olga@toys.example", "user")] {
        post(&format!("{IN}/members"), json!({ "login": login, "kind": kind }))?;
        post(&format!("{IN}/assignments"), json!({ "role": "org_admin", "subject": { "member": login } }))?;
    }
    let made = post(&format!("{IN}/service-tokens"), json!({ "account": "web-shop", "name": "shop" }))?;
    post("/api/v1/users/olga@toys.example/password", json!({ "password": PASSWORD }))?;
    let login = json!({ "login": "olga@toys.example", "password": PASSWORD, "organization": "toys" });
    let signed_in = post("/api/v1/auth/login", login)?;
    let access = text(&signed_in, "access_token")?;
    let body = json!({ "name": "bench", "scopes": ["full"] }).to_string();
    let bearer = format!("Bearer {access}");
    let answer =
        connection.call(&request("POST", "/api/v1/api-keys", &[("authorization", &bearer)], &body))?;
    let key = text(&serde_json::from_str(&answer.body).unwrap_or_default(), "token")
        .map_err(|_| format!("the API key: {} {}", answer.status, answer.body))?;
    Ok(Credentials { service: text(&made, "token")?, access, key, operator })
}
