//! A real browser at the pages of the running program: sign-in, passkeys by Chromium's virtual authenticator, an authenticator app. What
//! it does stands in `tests/ui/second_factors.mjs`.

use crate::program::Place;
use std::path::PathBuf;
use std::process::Command;

const HELP: &str = "run ./test, which installs Chromium and the packages of tests/ui; or set CHARTER_TEST_CHROMIUM to a Chromium \
                    and run `npm ci` in tests/ui";

#[test]
fn somebody_signs_in_with_every_second_factor_in_a_browser() {
    let chromium = std::env::var("CHARTER_TEST_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let ui = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/ui");
    assert!(PathBuf::from(&chromium).exists() && ui.join("node_modules/playwright-core").exists(), "{HELP}");
    // Passkeys are bound to the address a page has, so the service has to know its own before it starts.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let (place, address) = (Place::new(), format!("http://localhost:{port}"));
    let server = place.serve_at(&format!("127.0.0.1:{port}"), &[("CHARTER_PUBLIC_URL", &address)]);
    let (_, code) = server.greeting.split_once("--code ").unwrap();
    let code = code.split_whitespace().next().unwrap();
    let (login, password) = ("root@group.example", "a long pass phrase it is");
    place
        .feed(&["setup", "--code", code, "--login", login, "--name", "Root"], &format!("{password}\n"))
        .ended(0);
    let output = Command::new("node")
        .arg(ui.join("second_factors.mjs"))
        .envs([("CHARTER_URL", address.as_str()), ("CHARTER_LOGIN", login), ("CHARTER_PASSWORD", password)])
        .env("CHARTER_TEST_CHROMIUM", chromium)
        .output()
        .unwrap();
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    assert!(output.status.success(), "{}\n{log}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.stop(), 0);
}
