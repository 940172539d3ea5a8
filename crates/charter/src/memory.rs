//! How much memory freed pieces may hold.
//!
//! glibc gives threads arenas of their own, up to eight for each core, and what was freed in one is not used by another: a service that
//! had a crowd once would hold several times what it needs. One for each core is enough, and the only way to say so is the environment
//! of a process that starts.

use std::ffi::OsString;
use std::num::NonZero;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread::available_parallelism;

const ARENAS: &str = "MALLOC_ARENA_MAX";
const TUNABLES: &str = "GLIBC_TUNABLES";
/// Fewer would make threads wait for each other.
const ARENAS_MIN: usize = 2;

/// Starts this program anew in this process, with the environment it wants. Whoever set one of these knows better, and where it cannot be done
/// the service runs as well without.
#[expect(clippy::disallowed_methods, reason = "the variables are glibc's, no settings of ours")]
pub fn bound(arguments: &[OsString]) {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return;
    }
    let is_set = [ARENAS, TUNABLES].iter().any(|name| std::env::var_os(name).is_some());
    let (false, Ok(program), Some((name, rest))) = (is_set, std::env::current_exe(), arguments.split_first())
    else {
        return;
    };
    let arenas = available_parallelism().map_or(ARENAS_MIN, NonZero::get).max(ARENAS_MIN);
    let flaw = Command::new(program).arg0(name).args(rest).env(ARENAS, arenas.to_string()).exec();
    crate::output::complain(&format!("charter: more memory may be held than is needed: {flaw}"));
}
