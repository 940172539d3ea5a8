//! `cargo xtask <chore>`: the repository's chores. Each is one row of [`CHORES`].

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use xtask::{bench, floors, tidy};

/// One chore: its name, what it does, and the code that does it.
struct Chore {
    name: &'static str,
    about: &'static str,
    run: fn(&Path, &[String]) -> Result<(), String>,
}

const CHORES: &[Chore] = &[
    Chore {
        name: "openapi",
        about: "write docs/api/openapi.json from the route table; with --check only compare",
        run: run_openapi,
    },
    Chore {
        name: "tidy",
        about: "check floors, names, files and documents of the repository",
        run: run_tidy,
    },
    Chore {
        name: "bench",
        about: "bench http|identity: measure Charter over HTTP, and what signing in and keys cost",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some(chore) = CHORES.iter().find(|chore| chore.name == name) else {
        if !name.is_empty() {
            eprintln!("unknown chore: {name}");
        }
        eprint!("{}", help());
        return ExitCode::from(2);
    };
    match (chore.run)(&root(), &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The repository: the folder that holds `xtask`.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

fn help() -> String {
    let mut text = String::from("usage: cargo xtask <chore> [arguments]\n\n");
    for chore in CHORES {
        text.push_str(&format!("  {:<10} {}\n", chore.name, chore.about));
    }
    text
}

/// The document is made by the test that compares it, which has the routes; xtask itself stays free of them.
fn run_openapi(root: &Path, arguments: &[String]) -> Result<(), String> {
    let is_check = match arguments {
        [] => false,
        [only] if only == "--check" => true,
        _ => return Err(format!("openapi takes --check or nothing, got {}", arguments.join(" "))),
    };
    let mut test = Command::new("cargo");
    test.args(["test", "--quiet", "-p", "charter-api", "--test", "api", "--", "--exact"])
        .arg("document::the_kept_document_is_the_one_the_routes_give")
        .env_remove("CHARTER_WRITE_OPENAPI")
        .current_dir(root);
    if !is_check {
        test.env("CHARTER_WRITE_OPENAPI", "1");
    }
    let status = test.status().map_err(|error| format!("cargo test cannot be run: {error}"))?;
    match (status.success(), is_check) {
        (true, true) => println!("openapi: docs/api/openapi.json is what the routes give"),
        (true, false) => println!("openapi: docs/api/openapi.json is written"),
        (false, _) => return Err("openapi: see above".to_owned()),
    }
    Ok(())
}

fn run_tidy(root: &Path, arguments: &[String]) -> Result<(), String> {
    if let Some(unexpected) = arguments.first() {
        return Err(format!("tidy takes no arguments, got {unexpected}"));
    }
    let mut report =
        tidy::check(root).map_err(|error| format!("tidy cannot read the repository: {error}"))?;
    report.violations.extend(floors::check(&floors::metadata(root)?));
    for note in &report.notes {
        println!("note: {note}");
    }
    for violation in &report.violations {
        println!("{violation}");
    }
    match report.violations.len() {
        0 => {
            println!("tidy: {} files in order", report.files);
            Ok(())
        }
        1 => Err("tidy: 1 thing to mend".to_owned()),
        many => Err(format!("tidy: {many} things to mend")),
    }
}
