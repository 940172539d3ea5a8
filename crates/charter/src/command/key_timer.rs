//! `charter keys schedule`: what has cron or systemd rotate a former system's `.env` file, printed or installed. Our own signing keys
//! rotate by themselves and need no timer.

use super::Invocation;
use super::keys::{LEGACY, legacy_file};
use super::legacy_keys::{copy_of, write_private};
use crate::failure::{Failure, Outcome, Result};
use crate::{legacy, output};
use charter_app::identity::legacy_secret;
use clap::{Arg, ArgAction, Command, value_parser};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

const CRON: &str = "cron";
const SYSTEMD: &str = "systemd";
const INSTALL: &str = "install";
const UNITS: &str = "units";
const NAME: &str = "charter-legacy-rotation";

pub fn command() -> Command {
    let form = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("schedule")
        .about("Print or install what has a former system's .env file rotated every night at two, when it is due")
        .arg(legacy_file().help("The .env file; left out, the one of the setting legacy_env"))
        .arg(form(CRON, "A line for this account's crontab; this is what is done without a flag too"))
        .arg(form(SYSTEMD, "A systemd service with its timer").conflicts_with(CRON))
        .arg(form(INSTALL, "Install it; a copy of the crontab or the units before is kept in the data folder"))
        .arg(
            Arg::new(UNITS)
                .long("units")
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .requires(SYSTEMD)
                .requires(INSTALL)
                .help("Where the units go; left out, /etc/systemd/system for root and ~/.config/systemd/user for others"),
        )
}

/// What is to be run, as words.
fn words(invocation: &Invocation<'_>, file: &Path) -> Vec<String> {
    let text =
        |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("charter"));
    let data = &invocation.loaded.configuration.data;
    let mut words: Vec<String> = vec![text(&program)];
    words.extend(["keys", "rotate", "--if-due", "--legacy-env"].map(str::to_owned));
    words.extend([text(file), "--data".to_owned(), text(data)]);
    // The settings of this folder would be others than those of the folder cron begins in.
    let config = invocation.loaded.shown.iter().find(|shown| shown.setting.key == "config");
    if let Some(config) = config.filter(|config| config.value != "(none)") {
        words.extend(["--config".to_owned(), text(Path::new(&config.value))]);
    }
    words
}

/// A word of a shell, quoted where it has to be.
fn quoted(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if is_plain && !text.is_empty() { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A word of a systemd unit.
fn unit_quoted(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    if is_plain && !text.is_empty() {
        return text.to_owned();
    }
    let text = text.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{text}\"")
}

fn entry(words: &[String]) -> String {
    let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    // A percent sign means a new line to cron.
    format!("0 2 * * * {}", line.join(" ").replace('%', r"\%"))
}

/// The service and its timer.
fn units(words: &[String]) -> [(String, String); 2] {
    let line: Vec<String> = words.iter().map(|word| unit_quoted(word)).collect();
    let service = format!(
        "[Unit]\nDescription=Rotate the former system's secret when it is due\n\n[Service]\nType=oneshot\nExecStart={}\n",
        line.join(" ")
    );
    let timer = "[Unit]\nDescription=Every night at two\n\n[Timer]\nOnCalendar=*-*-* 02:00:00\nPersistent=true\n\n\
                 [Install]\nWantedBy=timers.target\n";
    [(format!("{NAME}.service"), service), (format!("{NAME}.timer"), timer.to_owned())]
}

/// Prints, or installs, what rotates a former system's file at night.
pub fn schedule(invocation: &Invocation<'_>) -> Result {
    let matches = invocation.matches;
    let configuration = &invocation.loaded.configuration;
    let named = matches.get_one::<PathBuf>(LEGACY).or(configuration.legacy_env.as_ref());
    let Some(file) = named else {
        return Err(Failure::new(
            "signing keys rotate by themselves and need no timer; name a former system's file with --legacy-env",
        ));
    };
    legacy_secret::read(&legacy::text(file)?)?;
    let words = words(invocation, file);
    if words.iter().any(|word| word.contains(['\n', '\r'])) {
        return Err(Failure::new("a path with a line break in it cannot stand in a timer"));
    }
    let is_install = matches.get_flag(INSTALL);
    if matches.get_flag(SYSTEMD) {
        let units = units(&words);
        if is_install {
            return install_units(&units, matches.get_one::<PathBuf>(UNITS), &configuration.data);
        }
        let [(service, service_text), (timer, timer_text)] = units;
        output::print(&format!("# {service}\n{service_text}\n# {timer}\n{timer_text}"));
        return Ok(Outcome::Good);
    }
    let entry = entry(&words);
    if is_install {
        return install_entry(&entry, &words, &configuration.data);
    }
    output::print(&entry);
    Ok(Outcome::Good)
}

/// Keeps what was there before.
fn keep(name: &str, old: &str, data: &Path) -> Result<PathBuf> {
    let copy = copy_of(&data.join(name), crate::installation::now());
    std::fs::create_dir_all(data)
        .and_then(|()| write_private(&copy, old))
        .map_err(|error| Failure::new(format!("{}: {error}; nothing was installed", copy.display())))?;
    Ok(copy)
}

/// The crontab of this account. One that cannot be read is never replaced.
fn crontab() -> Result<String> {
    let listed = process::Command::new("crontab").arg("-l").output().map_err(no_crontab)?;
    if listed.status.success() {
        return String::from_utf8(listed.stdout).map_err(|_| {
            Failure::new("the crontab is not UTF-8: put the line into it by hand, without --install")
        });
    }
    let complaint = String::from_utf8_lossy(&listed.stderr);
    if complaint.to_lowercase().contains("no crontab") {
        return Ok(String::new());
    }
    Err(Failure::new(format!("the crontab cannot be read: {}", complaint.trim())))
}

fn no_crontab(error: std::io::Error) -> Failure {
    Failure::new(format!("crontab cannot be run: {error}; print the line without --install"))
}

/// The crontab with the entry in it: in the place of the one for the same file, or at the end.
fn with_entry(old: &str, entry: &str, words: &[String]) -> String {
    let file = words.get(5).map(|file| format!(" keys rotate --if-due --legacy-env {} ", quoted(file)));
    let file = file.unwrap_or_default().replace('%', r"\%");
    let is_ours = |line: &str| !line.trim_start().starts_with('#') && line.contains(&file);
    let mut lines: Vec<&str> = old.split_terminator('\n').filter(|line| !is_ours(line)).collect();
    lines.push(entry);
    lines.join("\n") + "\n"
}

fn install_entry(entry: &str, words: &[String], data: &Path) -> Result {
    let old = crontab()?;
    let new = with_entry(&old, entry, words);
    if old == new {
        output::print("the crontab has the line already: nothing was written");
        return Ok(Outcome::Good);
    }
    let copy = keep("crontab", &old, data)?;
    let mut child =
        process::Command::new("crontab").arg("-").stdin(Stdio::piped()).spawn().map_err(no_crontab)?;
    let written = match child.stdin.take() {
        Some(mut input) => input.write_all(new.as_bytes()),
        None => Ok(()),
    };
    let status = child.wait().map_err(no_crontab)?;
    if written.is_err() || !status.success() {
        return Err(Failure::new(format!(
            "crontab refused the new table; the old one is in {}",
            copy.display()
        )));
    }
    output::print(&format!("installed: {entry}\nthe crontab before: {}", copy.display()));
    Ok(Outcome::Good)
}

/// Whether this process runs as root.
#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

fn install_units(units: &[(String, String)], folder: Option<&PathBuf>, data: &Path) -> Result {
    let is_root = is_root();
    let folder = match (folder, is_root) {
        (Some(folder), _) => folder.clone(),
        (None, true) => PathBuf::from("/etc/systemd/system"),
        (None, false) => std::env::home_dir()
            .map(|home| home.join(".config/systemd/user"))
            .ok_or_else(|| Failure::new("this account has no home folder: name one with --units"))?,
    };
    let failed = |path: &Path, error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
    let mut told = Vec::new();
    for (name, text) in units {
        let path = folder.join(name);
        match std::fs::read_to_string(&path) {
            Ok(old) if old == *text => continue,
            Ok(old) => told.push(format!("{name} before: {}", keep(name, &old, data)?.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path, error)),
        }
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
        told.push(format!("installed: {}", path.display()));
    }
    let timer = format!("{NAME}.timer");
    for arguments in [&["daemon-reload"][..], &["enable", "--now", &timer][..]] {
        let mut command = process::Command::new("systemctl");
        let status = command.args((!is_root).then_some("--user")).args(arguments).status();
        if !status.is_ok_and(|status| status.success()) {
            return Err(Failure::new(format!(
                "the units are in {}, and systemctl could not start them: run systemctl daemon-reload, then systemctl enable --now {timer}",
                folder.display()
            )));
        }
    }
    told.push(format!("{timer} is enabled"));
    output::print(&told.join("\n"));
    Ok(Outcome::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(file: &str) -> Vec<String> {
        ["/bin/charter", "keys", "rotate", "--if-due", "--legacy-env", file, "--data", "/srv/charter"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn words_of_a_shell_are_quoted_where_they_have_to_be() {
        assert_eq!(quoted("/srv/erp/.env"), "/srv/erp/.env");
        assert_eq!(quoted("/srv/our erp/.env"), "'/srv/our erp/.env'");
        assert_eq!(quoted("it's; rm -rf"), r"'it'\''s; rm -rf'");
        assert_eq!(quoted(""), "''");
        assert_eq!(entry(&words("/srv/100%/.env")).matches(r"\%").count(), 1);
    }

    #[test]
    fn words_of_a_unit_are_quoted_as_systemd_reads_them() {
        assert_eq!(unit_quoted("/srv/erp/.env"), "/srv/erp/.env");
        assert_eq!(unit_quoted("/srv/our erp/.env"), "\"/srv/our erp/.env\"");
        assert_eq!(unit_quoted(r#"a"b\c%d$e"#), r#""a\"b\\c%%d$$e""#);
    }

    #[test]
    fn no_crontab_makes_the_reader_stumble_and_every_other_line_stays() {
        let words =
            ["/bin/charter", "keys", "rotate", "--if-due", "--legacy-env", "/srv/.env"].map(str::to_owned);
        let entry = format!(
            "0 2 * * * /bin/charter keys rotate --if-due --legacy-env {} --data /srv",
            quoted("/srv/.env")
        );
        let seeds = ["MAILTO=me\n5 4 * * * true\n", &entry, "# 1\r\n@daily x % y\n"];
        for old in charter_testkit::hostile::texts(&seeds, 3_000) {
            let new = with_entry(&old, &entry, &words);
            assert_eq!(with_entry(&new, &entry, &words), new, "{old:?}");
            let ours = |text: &str| text.lines().filter(|line| *line == entry).count();
            assert_eq!(ours(&new), 1, "{old:?}");
            let others = |line: &&str| !line.contains("--legacy-env");
            let (before, after) = (old.split_terminator('\n'), new.split_terminator('\n'));
            assert!(before.filter(others).eq(after.filter(others)), "{old:?}");
        }
    }

    #[test]
    fn a_line_for_the_same_file_is_replaced_and_every_other_line_stays() {
        let (first, second) = (words("/srv/a/.env"), words("/srv/b/.env"));
        let one = with_entry("# mine\nMAILTO=me\n5 4 * * * true", &entry(&first), &first);
        assert_eq!(one, format!("# mine\nMAILTO=me\n5 4 * * * true\n{}\n", entry(&first)));
        let two = with_entry(&one, &entry(&second), &second);
        assert_eq!(two, format!("{one}{}\n", entry(&second)));
        let moved: Vec<String> =
            first.iter().map(|word| word.replace("/bin/charter", "/opt/charter")).collect();
        let three = with_entry(&two, &entry(&moved), &moved);
        assert_eq!(three.matches("/srv/a/.env").count(), 1);
        assert!(
            three.contains("/opt/charter keys") && three.contains("/srv/b/.env") && three.contains("# mine")
        );
        assert_eq!(with_entry(&three, &entry(&moved), &moved), three, "doing it again changes nothing");
    }
}
