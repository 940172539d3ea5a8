//! Signing keys and a former system's secrets, through the program.

use crate::program::{Place, mode, set_mode};

const SECRET: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

#[test]
fn a_rotation_of_signing_keys_is_planned_and_done_exactly() {
    let place = Place::new();
    let before = place.run(&["keys", "list", "--json"]).ended(0).json();
    assert_eq!(before["keys"].as_array().unwrap().len(), 1);
    let plan = place.run(&["keys", "rotate", "--dry-run"]).ended(0).out;
    assert!(plan.contains("a new key would be made") && plan.contains("nothing was written"), "{plan}");
    let hash = plan.trim().rsplit(' ').next().unwrap();
    assert_eq!(place.run(&["keys", "list", "--json"]).ended(0).json(), before);
    let done = place.run(&["keys", "rotate", "--plan", hash]).ended(0).out;
    assert!(done.contains("next key: "), "{done}");
    let refused = place.run(&["keys", "rotate", "--plan", hash]).ended(2).err;
    assert!(refused.contains("look at it again"), "{refused}");
    let kid = before["keys"][0]["kid"].as_str().unwrap().to_owned();
    place.run(&["keys", "revoke", &format!("--kid={kid}"), "--reason", "leaked"]).ended(0);
    let keys = place.run(&["keys", "list", "--json"]).ended(0).json();
    let states: Vec<&str> =
        keys["keys"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert!(states.contains(&"revoked") && states.contains(&"active"), "{states:?}");
    place.run(&["audit", "verify", "--org", "platform"]).ended(0);
}

#[test]
fn a_former_systems_file_is_rotated_in_one_step_with_a_copy_and_a_record() {
    let place = Place::new();
    let text = format!("# erp\nDEBUG=0\nSECRET_KEY={SECRET}\nKEY_LAST_ROTATED=2020-01-01\n");
    let path = place.write(".env", &text);
    set_mode(&path, 0o644);
    let dry = place.run(&["keys", "rotate", "--legacy-env", ".env", "--dry-run"]).ended(0).out;
    assert!(dry.contains("nothing was written"), "{dry}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let done = place.run(&["keys", "rotate", "--legacy-env", ".env", "--if-due"]).ended(0).out;
    assert!(!done.contains(SECRET) && done.contains("rotated"), "{done}");
    let rotated = std::fs::read_to_string(&path).unwrap();
    assert!(rotated.starts_with("# erp\nDEBUG=0\nSECRET_KEY=\""), "{rotated}");
    assert!(rotated.contains(&format!("SECRET_KEYS_HISTORY=\"{SECRET}\"")), "{rotated}");
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

#[test]
fn a_schedule_is_printed_for_cron_and_for_systemd() {
    let place = Place::new();
    place.write("our erp.env", &format!("SECRET_KEY={SECRET}\n"));
    let cron = place.run(&["keys", "schedule", "our erp.env"]).ended(0).out;
    assert!(
        cron.starts_with("0 2 * * * ") && cron.contains("--if-due") && cron.contains("our erp.env'"),
        "{cron}"
    );
    assert!(!cron.contains(SECRET));
    let systemd = place.run(&["keys", "schedule", "our erp.env", "--as", "systemd"]).ended(0).out;
    assert!(systemd.contains("OnCalendar=*-*-* 02:00:00") && systemd.contains("ExecStart="), "{systemd}");
}

#[test]
fn a_service_refuses_to_start_on_a_former_systems_weak_secret() {
    let place = Place::new();
    place.write(".env", "SECRET_KEY=changeme\n");
    let refused = place.run(&["serve", "--listen", "127.0.0.1:0", "--legacy-env", ".env"]).ended(2).err;
    assert!(refused.contains("legacy_accept_weak") || refused.contains("legacy.accept_weak"), "{refused}");
    assert!(!refused.contains("changeme"), "{refused}");
    let server = place.serve(&["--legacy-env", ".env", "--legacy-accept-weak"]);
    let states = place.run(&["keys", "legacy", "--json"]).ended(0).json();
    assert_eq!(states["secrets"][0]["is_weak"], true);
    assert_eq!(server.stop(), 0);
}
