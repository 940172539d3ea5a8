//! The `charter` program: reads configuration, wires the floors, serves, runs commands.

mod client;
mod command;
mod config;
mod failure;
mod folder;
mod installation;
mod log;
mod operation;
mod output;
mod terminal;

/// Requests allocate in many small pieces; this allocator serves them faster than the system's (`docs/benchmarks.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    command::run(std::env::args_os())
}
