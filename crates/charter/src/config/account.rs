//! The account of the operating system this process runs as, for the audit trail.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Its name: what the system knows wins over what the environment claims.
pub fn name(variables: &BTreeMap<OsString, OsString>) -> String {
    from_system().or_else(|| claimed(variables)).unwrap_or_else(|| "unknown".to_owned())
}

/// The name of the machine it runs on.
pub fn machine() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = read.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "unknown".to_owned())
}

fn claimed(variables: &BTreeMap<OsString, OsString>) -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| variables.get(OsStr::new(name))?.to_str())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
}

/// The owner of this process, by the name the list of accounts has for it.
#[cfg(target_os = "linux")]
fn from_system() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata("/proc/self").ok()?.uid();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = accounts.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)?.parse() == Ok(owner)).then(|| name.to_owned())
    });
    Some(named.unwrap_or_else(|| format!("uid {owner}")))
}

#[cfg(not(target_os = "linux"))]
fn from_system() -> Option<String> {
    None
}
