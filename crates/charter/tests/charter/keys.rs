//! Signing keys and a former system's secrets, through the program.

use crate::program::{Place, mode, set_mode};

const SECRET: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

fn prepared() -> Place {
    let place = Place::new();
    place.run(&["migrate", "up"]).ended(0);
    place
}

#[test]
fn a_rotation_of_signing_keys_is_planned_and_done_exactly() {
    let place = prepared();
    let before = place.run(&["keys", "list", "--json"]).ended(0).json();
    assert_eq!(before["keys"].as_array().unwrap().len(), 1);
    let plan = place.run(&["keys", "rotate", "--dry-run"]).ended(0).out;
    assert!(plan.contains("a new key would be made") && plan.contains("nothing was written"), "{plan}");
    assert!(plan.contains("live sessions: 0") && plan.contains("no node runs"), "{plan}");
    let other = place.run(&["keys", "rotate", "--lineage", "id", "--dry-run"]).ended(0).out;
    assert!(other.contains("keys rotate --lineage id --plan "), "{other}");
    let hash = plan.trim().rsplit(' ').next().unwrap();
    assert_eq!(place.run(&["keys", "list", "--json"]).ended(0).json(), before);
    let done = place.run(&["keys", "rotate", "--plan", hash]).ended(0).out;
    assert!(done.contains("next key: "), "{done}");
    let refused = place.run(&["keys", "rotate", "--plan", hash]).ended(2).err;
    assert!(refused.contains("look at it again"), "{refused}");
    let kid = before["keys"][0]["kid"].as_str().unwrap().to_owned();
    place.run(&["keys", "revoke", &kid]).ended(2);
    let revoked = place.run(&["keys", "revoke", &kid, "--compromised"]).ended(0).out;
    assert!(revoked.contains("is revoked"), "{revoked}");
    let keys = place.run(&["keys", "list", "--json"]).ended(0).json();
    let states: Vec<&str> =
        keys["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["active", "revoked", "revoked"], "the key that waited went with it");
    let again = place.run(&["keys", "revoke", &kid, "--reason", "twice"]).ended(2).err;
    assert!(again.contains("revoked before"), "{again}");
    // An id may begin with a hyphen: it is still an id.
    let unknown = place.run(&["keys", "revoke", "--compromised", "-x_-y"]).ended(2).err;
    assert!(unknown.contains("no signing key -x_-y"), "{unknown}");
    place.run(&["audit", "verify", "--org", "platform"]).ended(0);
}

#[test]
fn a_former_systems_file_is_rotated_in_one_step_with_a_copy_and_a_record() {
    let place = prepared();
    let text = format!("# erp\nDEBUG=0\nSECRET_KEY={SECRET}\nKEY_LAST_ROTATED=2020-01-01\n");
    let path = place.write(".env", &text);
    set_mode(&path, 0o644);
    let dry = place.run(&["keys", "rotate", "--legacy-env", ".env", "--dry-run"]).ended(0).out;
    assert!(dry.contains("nothing was written"), "{dry}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let done = place.run(&["keys", "rotate", "--legacy-env", ".env", "--if-due"]).ended(0).out;
    assert!(!done.contains(SECRET) && done.contains("rotated"), "{done}");
    let rotated = std::fs::read_to_string(&path).unwrap();
    assert!(rotated.starts_with("# erp\nDEBUG=0\nSECRET_KEY=") && !rotated.contains('"'), "{rotated}");
    assert!(rotated.contains(&format!("SECRET_KEYS_HISTORY={SECRET}\n")), "{rotated}");
    assert_eq!(mode(&path), 0o600);
    let copies: Vec<_> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".env.before-"))
        .collect();
    assert_eq!(copies.len(), 1);
    assert_eq!((std::fs::read_to_string(&copies[0]).unwrap(), mode(&copies[0])), (text, 0o600));
    let early = place.run(&["keys", "rotate", "--legacy-env", ".env", "--if-due"]).ended(0).out;
    assert!(early.contains("not due before"), "{early}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), rotated);
    let trail = place.run(&["audit", "list", "--org", "platform", "--all", "--json"]).ended(0).out;
    assert!(trail.contains("legacy_secret.rotate") && !trail.contains(SECRET), "{trail}");
    place.write("broken.env", "SECRET_KEY=\"half\n");
    let broken = place.run(&["keys", "rotate", "--legacy-env", "broken.env"]).ended(2).err;
    assert!(broken.contains("line 1") && !broken.contains("half"), "{broken}");
    place.run(&["keys", "rotate", "--legacy-env", "missing.env"]).ended(2);
}

/// A program of that name in a folder of its own, which writes down what it was asked.
fn fake(place: &Place, name: &str, script: &str) -> String {
    let folder = place.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    set_mode(&path, 0o755);
    format!("{}:/usr/bin:/bin", folder.display())
}

fn files(place: &Place, folder: &str, part: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(place.path(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(part)).collect()
}

#[test]
fn a_schedule_is_printed_for_cron_and_for_systemd() {
    let place = prepared();
    place.write("our erp.env", &format!("SECRET_KEY={SECRET}\n"));
    let nothing = place.run(&["keys", "schedule", "--cron"]).ended(2).err;
    assert!(nothing.contains("rotate by themselves"), "{nothing}");
    let cron = place.run(&["keys", "schedule", "--cron", "--legacy-env", "our erp.env"]).ended(0).out;
    assert!(
        cron.starts_with("0 2 * * * /")
            && cron.contains("--if-due")
            && cron.contains("our erp.env' --data /"),
        "{cron}"
    );
    assert!(!cron.contains(SECRET));
    let configured = place.run_with(&["keys", "schedule"], &[("CHARTER_LEGACY_ENV", "our erp.env")]).ended(0);
    assert_eq!(configured.out, cron, "the file of the configuration");
    let systemd = place.run(&["keys", "schedule", "--systemd", "--legacy-env", "our erp.env"]).ended(0).out;
    assert!(
        systemd.contains("OnCalendar=*-*-* 02:00:00") && systemd.contains("our erp.env\" --data /"),
        "{systemd}"
    );
    // What is printed is what works.
    let line = cron.trim().strip_prefix("0 2 * * * ").unwrap();
    let mut shell = std::process::Command::new("sh");
    let done = shell.args(["-c", line]).current_dir("/").env_clear().env("USER", "tester").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(std::fs::read_to_string(place.path("our erp.env")).unwrap().contains("KEY_LAST_ROTATED="));
}

#[test]
fn a_line_is_installed_into_the_crontab_and_the_old_one_is_kept() {
    let place = Place::new();
    place.write(".env", &format!("SECRET_KEY={SECRET}\n"));
    let table = place.write("table", "MAILTO=me\n5 4 * * * true\n");
    let install = ["keys", "schedule", "--cron", "--install", "--legacy-env", ".env"];
    let missing = place.run_with(&install, &[("PATH", "/nowhere")]).ended(2).err;
    assert!(missing.contains("without --install"), "{missing}");
    let broken = fake(&place, "crontab", "echo 'you are not allowed to use this program' >&2; exit 1");
    let refused = place.run_with(&install, &[("PATH", &broken)]).ended(2).err;
    assert!(refused.contains("not allowed"), "{refused}");
    let path = fake(
        &place,
        "crontab",
        "if [ \"$1\" = -l ]; then cat table; else cat > table.new && mv table.new table; fi",
    );
    let done = place.run_with(&install, &[("PATH", &path)]).ended(0).out;
    assert!(done.contains("installed: 0 2 * * * ") && done.contains("the crontab before: "), "{done}");
    let new = std::fs::read_to_string(&table).unwrap();
    assert!(new.starts_with("MAILTO=me\n5 4 * * * true\n0 2 * * * ") && new.lines().count() == 3, "{new}");
    let again = place.run_with(&install, &[("PATH", &path)]).ended(0).out;
    assert!(again.contains("has the line already"), "{again}");
    assert_eq!(std::fs::read_to_string(&table).unwrap(), new);
    let copies = files(&place, "charter-data", "crontab.before-");
    assert_eq!(copies.len(), 1);
    assert_eq!(std::fs::read_to_string(&copies[0]).unwrap(), "MAILTO=me\n5 4 * * * true\n");
    assert_eq!(mode(&copies[0]), 0o600);
    // An account that has no crontab yet gets one.
    let path = fake(
        &place,
        "crontab",
        "if [ \"$1\" = -l ]; then echo 'no crontab for tester' >&2; exit 1; else cat > first; fi",
    );
    place.run_with(&install, &[("PATH", &path)]).ended(0);
    assert_eq!(std::fs::read_to_string(place.path("first")).unwrap().lines().count(), 1);
}

#[test]
fn a_timer_is_installed_and_started() {
    let place = Place::new();
    place.write(".env", &format!("SECRET_KEY={SECRET}\n"));
    let install = ["keys", "schedule", "--systemd", "--install", "--units", "units", "--legacy-env", ".env"];
    let away = place.run_with(&install, &[("PATH", "/nowhere")]).ended(2).err;
    assert!(away.contains("systemctl daemon-reload"), "{away}");
    let path = fake(&place, "systemctl", "echo \"$@\" >> asked");
    place.write("units/charter-legacy-rotation.service", "[Unit]\nDescription=older\n");
    let done = place.run_with(&install, &[("PATH", &path)]).ended(0).out;
    assert!(done.contains("charter-legacy-rotation.timer is enabled"), "{done}");
    let service = std::fs::read_to_string(place.path("units/charter-legacy-rotation.service")).unwrap();
    assert!(service.contains("ExecStart=/") && service.contains("keys rotate --if-due"), "{service}");
    let asked = std::fs::read_to_string(place.path("asked")).unwrap();
    assert!(
        asked.contains("daemon-reload\n") && asked.contains("enable --now charter-legacy-rotation.timer"),
        "{asked}"
    );
    let copies = files(&place, "charter-data", "charter-legacy-rotation.service.before-");
    assert_eq!(std::fs::read_to_string(&copies[0]).unwrap(), "[Unit]\nDescription=older\n");
}

/// Attack 116: missing, a placeholder, too short, or not rotated at all.
#[test]
fn a_service_refuses_to_start_on_secrets_that_cannot_be_trusted() {
    let place = Place::new();
    let twice = format!("SECRET_KEY={SECRET}\nSECRET_KEYS_HISTORY={SECRET}\n");
    for (text, told) in [
        ("DEBUG=1\n", "SECRET_KEY is missing"),
        ("SECRET_KEY=changeme\n", "legacy_accept_weak"),
        ("DEBUG=1\nSECRET_KEY=0f1e2d3c4b5a6978\n", "line 2: SECRET_KEY has fewer than 32 bytes"),
        ("SECRET_KEY=0f1e2d3c4b5a6978\n", "charter keys rotate --legacy-env .env"),
        (&twice, "was not rotated"),
    ] {
        place.write(".env", text);
        let refused = place.run(&["serve", "--listen", "127.0.0.1:0", "--legacy-env", ".env"]).ended(2).err;
        assert!(refused.contains(told), "{refused}");
        assert!(
            !refused.contains("changeme") && !refused.contains("0f1e") && !refused.contains(SECRET),
            "{refused}"
        );
    }
    place.write(".env", "SECRET_KEY=changeme\n");
    let server = place.serve(&["--legacy-env", ".env", "--legacy-accept-weak"]);
    let states = place.run(&["keys", "legacy", "--json"]).ended(0).json();
    assert_eq!(states["secrets"][0]["is_weak"], true);
    assert_eq!(server.stop(), 0);
}

/// Attack 116: a weak secret is rotated by the command alone. What it signed ends, and the service starts.
#[test]
fn a_weak_secret_is_rotated_away_and_verifies_nothing_in_the_history() {
    const WEAK: &str = "0f1e2d3c4b5a6978";
    const SERVE: [&str; 2] = ["--legacy-env", ".env"];
    let place = prepared();
    let path = place.write(".env", &format!("DEBUG=1\nSECRET_KEY={WEAK}\n"));
    let ends = "line 2: SECRET_KEY has fewer than 32 bytes: tokens signed with it end: none is taken here";
    let dry = place.run(&["keys", "rotate", "--legacy-env", ".env", "--dry-run"]).ended(0);
    assert!(dry.out.contains(ends) && dry.out.contains("nothing was written"), "{}", dry.out);
    let done = place.run(&["keys", "rotate", "--legacy-env", ".env"]).ended(0);
    assert!(done.err.contains(ends) && done.out.contains("rotated"), "{} {}", done.out, done.err);
    assert!(std::fs::read_to_string(&path).unwrap().contains(&format!("SECRET_KEYS_HISTORY={WEAK}\n")));
    let again = place.run(&["keys", "rotate", "--legacy-env", ".env", "--dry-run"]).ended(0);
    let ends = "secret 1 of SECRET_KEYS_HISTORY has fewer than 32 bytes: tokens signed with it end";
    assert!(again.out.contains(ends), "{}", again.out);

    let server = place.serve(&SERVE);
    let states = place.run(&["keys", "legacy", "--json"]).ended(0).json();
    let secrets = states["secrets"].as_array().unwrap();
    assert_eq!((secrets.len(), &secrets[0]["is_weak"]), (1, &serde_json::json!(false)));
    assert_eq!(server.stop(), 0);
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    let left_out = "secret 1 of SECRET_KEYS_HISTORY has fewer than 32 bytes: it is left out, and tokens signed with it are refused";
    assert!(log.contains(left_out) && log.contains(".env"), "{log}");
    for told in [log, dry.out, done.out, done.err, again.out] {
        assert!(!told.contains(WEAK), "{told}");
    }
}

#[test]
fn the_log_says_how_many_secrets_are_taken_and_nothing_once_all_have_ended() {
    let place = Place::new();
    let other: String = SECRET.chars().rev().collect();
    place.write(".env", &format!("SECRET_KEY={SECRET}\nSECRET_KEYS_HISTORY={other}\n"));
    let started = |ends: &[&str]| {
        let server = place.serve(&["--legacy-env", ".env", "--log-format", "json"]);
        let secrets = place.run(&["keys", "legacy", "--json"]).ended(0).json()["secrets"].clone();
        if !ends.is_empty() {
            place
                .run(&[&["keys", "end-legacy", "--reason", "it is switched off"][..], ends].concat())
                .ended(0);
        }
        assert_eq!(server.stop(), 0);
        let log = std::fs::read_to_string(place.path("log")).unwrap();
        let line = log.lines().find(|line| line.contains("tokens of the former system are taken"));
        let taken =
            line.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["secrets"].clone());
        (taken, secrets)
    };
    let (taken, secrets) = started(&[]);
    assert_eq!(taken, Some(serde_json::json!(2)));
    let id = secrets[0]["id"].as_str().unwrap();
    assert_eq!(started(&["--secret", id]).0, Some(serde_json::json!(2)), "it was when that service began");
    let (taken, secrets) = started(&[]);
    assert_eq!((taken, secrets.as_array().unwrap().len()), (Some(serde_json::json!(1)), 1));
    let server = place.serve(&["--legacy-env", ".env"]);
    let told = place.run(&["keys", "end-legacy", "--reason", "it is switched off"]).ended(0).out;
    assert!(told.starts_with("tokens of the former system are taken no more: ended at "), "{told}");
    let told = place.run(&["keys", "legacy"]).ended(0).out;
    assert!(told.contains("--action legacy_tokens.end"), "{told}");
    assert_eq!(server.stop(), 0);
    let (taken, secrets) = started(&[]);
    assert_eq!((taken, secrets), (None, serde_json::json!([])));
}

/// Attack 120, for what an older system trusts us with: its secrets are read and never stored or printed.
#[test]
fn a_running_service_follows_the_file_and_keeps_its_secrets_nowhere() {
    let place = Place::new();
    let path = place.write(".env", &format!("SECRET_KEY={SECRET}\n"));
    let server = place.serve(&["--legacy-env", ".env"]);
    let count =
        || place.run(&["keys", "legacy", "--json"]).ended(0).json()["secrets"].as_array().unwrap().len();
    assert_eq!(count(), 1);
    let done = place.run(&["keys", "rotate", "--legacy-env", ".env"]).ended(0).out;
    while count() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let rotated = std::fs::read_to_string(&path).unwrap();
    let new = rotated.lines().find_map(|line| line.strip_prefix("SECRET_KEY=")).unwrap().to_owned();
    assert_eq!(new.len(), 64);
    place.write(".env", "SECRET_KEY=\"half\n");
    place.run(&["keys", "end-legacy", "--reason", "it is switched off"]).ended(0);
    assert_eq!(count(), 0);
    assert_eq!(server.stop(), 0);
    let mut looked = 0;
    let log = std::fs::read_to_string(place.path("log")).unwrap() + &done;
    assert!(!log.contains(SECRET) && !log.contains(&new), "{log}");
    for path in files(&place, "charter-data", "").into_iter().filter(|path| path.is_file()) {
        let bytes = std::fs::read(&path).unwrap();
        for secret in [SECRET, new.as_str()] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
        looked += 1;
    }
    assert!(looked >= 2, "the database and its files were looked at: {looked}");
}
