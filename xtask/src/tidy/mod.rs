//! The rules of the house that a program can check. [`check`] walks the repository and asks each file of rules in turn:
//! `sources.rs` for Rust, `documents.rs` for Markdown, `migrations.rs` for the schema; white space is checked here.

mod documents;
mod migrations;
mod sources;

use std::io;
use std::path::Path;

use crate::Finding;

/// What a walk over the repository found.
#[derive(Debug, Default)]
pub struct Report {
    /// Files read.
    pub files: usize,
    /// What must be mended.
    pub violations: Vec<Finding>,
    /// What is worth a look and breaks nothing.
    pub notes: Vec<Finding>,
}

/// One text file of the repository.
struct File {
    /// Path from the root, with forward slashes.
    path: String,
    text: String,
}

impl File {
    fn extension(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.split('\n').enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Folders that hold nothing of ours.
const SKIPPED_FOLDERS: &[&str] = &["target", "node_modules", "charter-data"];
/// Folders that start with a dot and are ours.
const DOT_FOLDERS: &[&str] = &[".ci", ".config", ".cargo", ".github"];
const READ_EXTENSIONS: &[&str] = &["rs", "md", "sql"];

/// Reads every Rust, Markdown and SQL file below `root` and says what breaks a rule.
///
/// # Errors
/// When a folder or file cannot be read.
pub fn check(root: &Path) -> io::Result<Report> {
    let mut files = Vec::new();
    collect(root, "", &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    let mut report = Report { files: files.len(), ..Report::default() };
    for file in &files {
        white_space(file, &mut report.violations);
        match file.extension() {
            "rs" => sources::check(file, &mut report),
            "md" => documents::check(file, root, &mut report.violations),
            _ => {}
        }
    }
    migrations::check(root, &mut report.violations)?;
    Ok(report)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let hidden = name.starts_with('.') && !DOT_FOLDERS.contains(&name.as_str());
            if !hidden && !SKIPPED_FOLDERS.contains(&name.as_str()) {
                collect(&entry.path(), &path, files)?;
            }
        } else if kind.is_file()
            && name.rsplit_once('.').is_some_and(|(_, extension)| READ_EXTENSIONS.contains(&extension))
        {
            let text = String::from_utf8_lossy(&std::fs::read(entry.path())?).into_owned();
            files.push(File { path, text });
        }
    }
    Ok(())
}

fn white_space(file: &File, violations: &mut Vec<Finding>) {
    for (number, line) in file.lines() {
        if line.ends_with('\r') {
            violations.push(Finding::new(&file.path, number, "end the line with a line feed alone"));
        } else if line.ends_with([' ', '\t']) {
            violations.push(Finding::new(
                &file.path,
                number,
                "remove the white space at the end of the line",
            ));
        } else if line.contains('\t') {
            violations.push(Finding::new(&file.path, number, "use spaces instead of a tab"));
        }
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        let last = file.text.lines().count();
        violations.push(Finding::new(&file.path, last, "end the last line with a line feed"));
    }
}
