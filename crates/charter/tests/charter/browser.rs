//! A real browser at the pages of the running program. What it does stands in `tests/ui`: sign-in with passkeys by Chromium's virtual
//! authenticator and an authenticator app in `second_factors.mjs`, the rest of one's own account in `account.mjs`.

use crate::program::{Place, Server};
use std::path::PathBuf;
use std::process::Command;

const HELP: &str = "run ./test, which installs Chromium and the packages of tests/ui; or set CHARTER_TEST_CHROMIUM to a Chromium \
                    and run `npm ci` in tests/ui";
const LOGIN: &str = "root@group.example";
const PASSWORD: &str = "a long pass phrase it is";
const OTHER: &str = "ann@toys.example";

/// A service with one administrator, and its address.
fn service(place: &Place) -> (Server, String) {
    // Passkeys are bound to the address a page has, so the service has to know its own before it starts.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let address = format!("http://localhost:{port}");
    let server = place.serve_at(&format!("127.0.0.1:{port}"), &[("CHARTER_PUBLIC_URL", &address)]);
    let (_, code) = server.greeting.split_once("--code ").unwrap();
    let code = code.split_whitespace().next().unwrap();
    place
        .feed(&["setup", "--code", code, "--login", LOGIN, "--name", "Root"], &format!("{PASSWORD}\n"))
        .ended(0);
    (server, address)
}

#[track_caller]
fn walk(script: &str, place: &Place, address: &str) {
    let chromium = std::env::var("CHARTER_TEST_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    let ui = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/ui");
    assert!(PathBuf::from(&chromium).exists() && ui.join("node_modules/playwright-core").exists(), "{HELP}");
    let output = Command::new("node")
        .arg(ui.join(script))
        .envs([("CHARTER_URL", address), ("CHARTER_LOGIN", LOGIN), ("CHARTER_PASSWORD", PASSWORD)])
        .envs([("CHARTER_OTHER", OTHER), ("CHARTER_TEST_CHROMIUM", chromium.as_str())])
        .env("CHARTER_MAIL", place.path("charter-data").join("mail"))
        .output()
        .unwrap();
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    assert!(output.status.success(), "{}\n{log}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn somebody_signs_in_with_every_second_factor_in_a_browser() {
    let place = Place::new();
    let (server, address) = service(&place);
    walk("second_factors.mjs", &place, &address);
    assert_eq!(server.stop(), 0);
}

/// Attacks 33, 34, 48 and 50, as far as pages go: what others wrote is text on them, sign-in leads nowhere else, and what one person is
/// shown is not done as another.
#[test]
fn somebody_gets_a_password_back_and_looks_after_their_account_in_a_browser() {
    let place = Place::new();
    let (server, address) = service(&place);
    for arguments in [
        &["organizations", "create", "--key", "toys", "--name", "Soft <i>Toys</i>"][..],
        &["members", "add", "--org", "toys", "--login", LOGIN, "--name", "Root"],
        &["members", "add", "--org", "toys", "--login", OTHER, "--name", "Ann"],
    ] {
        place.run(arguments).ended(0);
    }
    place.feed(&["password", "set", OTHER], &format!("{PASSWORD}\n")).ended(0);
    walk("account.mjs", &place, &address);
    assert_eq!(server.stop(), 0);
}
