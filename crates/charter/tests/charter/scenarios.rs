//! The scenarios of the guide of adoption, run as an operator would run them: each on both engines, with the output that stands beside it.

use crate::program::Place;
use charter_testkit::{both_engines, database::TestDatabase};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const GUIDE: &str = include_str!("../../../../docs/guide/adoption-scenarios.md");
const SHADOW: &str = include_str!("../../../../docs/guide/shadow.md");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/adoption/scenarios")
}

/// The output without what differs from run to run.
fn without_what_varies(output: &str) -> String {
    let mut sed = Command::new("sed")
        .args(["-E", "-f"])
        .arg(folder().join("varies.sed"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = sed.stdin.take().unwrap();
    let text = output.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = sed.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Where two texts part, with some lines before.
fn parting(expected: &str, told: &str) -> String {
    let (expected, told): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), told.lines().collect());
    let same = expected.iter().zip(&told).take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(5);
    let part = |mark: &str, lines: &[&str], from: usize| -> String {
        lines.iter().skip(from).take(8).map(|line| format!("{mark} {line}\n")).collect()
    };
    let before: String = expected[from..same].iter().map(|line| format!("  {line}\n")).collect();
    format!("{before}{}{}", part("- expected:", &expected, same), part("+ told:", &told, same))
}

fn play(name: &str, database: &TestDatabase) {
    let place = Place::new();
    let mut command = Command::new("bash");
    command.arg(folder().join(format!("{name}.sh")));
    command.args([env!("CARGO_BIN_EXE_charter"), &database.options().url]);
    command.current_dir(place.path("")).env_clear().env("USER", "tester").env("LC_ALL", "C.UTF-8");
    command.env("TMPDIR", place.path("")).env("HOME", place.path(""));
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let told = without_what_varies(&String::from_utf8(output.stdout).unwrap());
    let path = folder().join(format!("{name}.out"));
    let expected = fs::read_to_string(&path).unwrap();
    assert!(
        expected == told,
        "{} says something else:\n{}{errors}",
        path.display(),
        parting(&expected, &told)
    );
    assert!(output.status.success(), "{name}: {}\n{errors}", output.status);
    let left: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{name} leaves {left:?}");
}

both_engines!(a_live_system_goes_on_while_it_is_taken_over, async |database: TestDatabase| {
    play("live", &database);
});

both_engines!(a_copy_is_taken_over_reset_and_taken_over_again, async |database: TestDatabase| {
    play("staging", &database);
});

both_engines!(an_installation_without_anything_to_take_over_says_so, async |database: TestDatabase| {
    play("new", &database);
});

both_engines!(the_way_back_goes_by_one_run_and_to_a_named_one, async |database: TestDatabase| {
    play("downgrade", &database);
});

both_engines!(blue_and_green_agree_at_each_point_of_the_way, async |database: TestDatabase| {
    play("blue-green", &database);
});

both_engines!(shadow_mode_goes_on_back_and_out_as_its_guide_says, async |database: TestDatabase| {
    play("shadow", &database);
});

/// The commands that a page shows by themselves are those of its scenario, with a name of its organization.
#[test]
fn the_guide_of_shadow_mode_shows_commands_that_its_scenario_runs() {
    let script = fs::read_to_string(folder().join("shadow.sh")).unwrap();
    let (told, _) = SHADOW.split_once("## What it looks like").unwrap();
    let commands: Vec<String> = told
        .lines()
        .filter_map(|line| line.strip_prefix("    charter "))
        .map(|line| format!("charter {}", line.trim_end()))
        .collect();
    assert!(commands.len() >= 7, "{commands:?}");
    for command in commands {
        assert!(script.contains(&command), "{command} is not run by shadow.sh");
    }
}

#[test]
fn the_guide_shows_what_each_scenario_prints() {
    for name in ["live", "staging", "new", "downgrade", "blue-green", "shadow"] {
        let guide = if name == "shadow" { SHADOW } else { GUIDE };
        assert!(guide.contains(&format!("`tests/adoption/scenarios/{name}.sh`")), "{name}");
        let output = fs::read_to_string(folder().join(format!("{name}.out"))).unwrap();
        let shown = format!("```text\n{}\n```\n", output.trim_matches('\n'));
        assert!(guide.contains(&shown), "{name}: the guide shows something else than {name}.out");
    }
}
