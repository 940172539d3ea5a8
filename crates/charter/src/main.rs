//! The `charter` program: reads configuration, wires the floors, serves, runs commands.

mod breached;
mod client;
mod command;
mod config;
mod demo;
mod failure;
mod folder;
mod installation;
mod legacy;
mod log;
mod memory;
mod once;
mod operation;
mod output;
mod outside;
mod secrets;
mod shadow;
mod terminal;
mod whole_file;

fn main() -> std::process::ExitCode {
    command::run(std::env::args_os())
}
