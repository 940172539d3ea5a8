//! `charter completions`: what a shell needs to complete commands and flags.

use super::{Invocation, tree};
use crate::failure::{Outcome, Result};
use crate::output;
use clap::{Arg, Command, value_parser};
use clap_complete::Shell;

const SHELL: &str = "shell";

pub fn command() -> Command {
    let shell = Arg::new(SHELL).value_name("SHELL").required(true).value_parser(value_parser!(Shell));
    Command::new("completions")
        .about("Print what a shell needs to complete commands and flags")
        .arg(shell.help("The shell"))
        .after_help(
            "bash: charter completions bash > ~/.local/share/bash-completion/completions/charter\n\
             zsh:  charter completions zsh > ~/.zfunc/_charter   (a folder of $fpath)\n\
             fish: charter completions fish > ~/.config/fish/completions/charter.fish",
        )
}

/// Prints it.
pub fn print(invocation: &Invocation<'_>) -> Result {
    let mut text = Vec::new();
    if let Some(shell) = invocation.matches.get_one::<Shell>(SHELL) {
        clap_complete::generate(*shell, &mut tree::root(invocation.operations), "charter", &mut text);
    }
    output::exactly(&String::from_utf8_lossy(&text));
    Ok(Outcome::Good)
}
