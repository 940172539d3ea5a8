//! Flags that commands share.

use crate::config::setting::{self, Kind, Reader, Setting};
use clap::{Arg, ArgAction, Command};

/// Print the raw answer.
pub const JSON: &str = "json";

/// The few settings that are worth a line in every help text.
const SHOWN: &[&str] = &["data", "organization", "url"];

fn flag(setting: &'static Setting) -> Option<Arg> {
    let arg = Arg::new(setting.key).long(setting.flag()?).help(setting.summary).help_heading("Settings");
    Some(match setting.kind {
        Kind::Switch => arg.action(ArgAction::SetTrue),
        kind => arg.value_name(value_name(kind)),
    })
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Address => "ADDRESS",
        Kind::Path => "PATH",
        Kind::Database | Kind::Url => "URL",
        Kind::Networks => "NETWORKS",
        Kind::Duration(..) => "TIME",
        Kind::Size(..) => "SIZE",
        Kind::Count(..) => "NUMBER",
        Kind::Choice(_) => "WORD",
        Kind::Filter => "FILTER",
        Kind::Switch | Kind::Text => "TEXT",
    }
}

/// Flags of every command.
pub fn common(command: Command) -> Command {
    let settings =
        setting::all().filter(|setting| setting.reader == Reader::Everyone).filter_map(|setting| {
            let mut arg = flag(setting)?.global(true).hide(!SHOWN.contains(&setting.key));
            if setting.key == "organization" {
                arg = arg.visible_alias("org").value_name("KEY");
            }
            Some(arg)
        });
    let json = Arg::new(JSON).long(JSON).action(ArgAction::SetTrue).global(true);
    command.args(settings).arg(json.help("Print the raw JSON").help_heading("Settings"))
}

/// Flags of commands that read everything a server reads.
pub fn server(command: Command) -> Command {
    let settings = setting::all().filter(|setting| setting.reader == Reader::Server).filter_map(flag);
    command.args(settings).after_help(
        "Each setting can also stand in the environment (CHARTER_LISTEN) or in charter.toml (listen = \"...\").\n\
         A flag wins over the environment, the environment over the file. `charter config show` lists all of them.",
    )
}

/// Whether a flag's name belongs to a common flag.
pub fn is_taken(name: &str) -> bool {
    let is_ours = |setting: &Setting| {
        setting.reader == Reader::Everyone
            && setting.key != "organization"
            && setting.flag().as_deref() == Some(name)
    };
    matches!(name, "json" | "help" | "version" | "body" | "all" | "organization" | "org" | "limit" | "cursor")
        || setting::all().any(is_ours)
}
