//! An OpenID Connect library of another ecosystem (`openid-client`, Node.js) signs in against the running program. What it does stands in
//! `tests/openid/sign_in.mjs`.

use crate::program::Place;
use std::path::PathBuf;
use std::process::Command;

const HELP: &str = "run ./test, which installs the packages of tests/openid; or run tests/openid/prepare";

#[test]
fn an_ordinary_openid_connect_library_signs_in() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/openid");
    assert!(folder.join("node_modules/openid-client").exists(), "{HELP}");
    // The issuer is part of every token, so the service has to know its address before it starts.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let (place, address) = (Place::new(), format!("http://127.0.0.1:{port}"));
    let server = place.serve_at(&format!("127.0.0.1:{port}"), &[("CHARTER_PUBLIC_URL", &address)]);
    let (_, code) = server.greeting.split_once("--code ").unwrap();
    let code = code.split_whitespace().next().unwrap();
    let (login, password) = ("root@group.example", "a long pass phrase it is");
    place
        .feed(&["setup", "--code", code, "--login", login, "--name", "Root"], &format!("{password}\n"))
        .ended(0);
    let output = Command::new("node")
        .arg(folder.join("sign_in.mjs"))
        .envs([("CHARTER_URL", address.as_str()), ("CHARTER_LOGIN", login), ("CHARTER_PASSWORD", password)])
        .output()
        .unwrap();
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    assert!(output.status.success(), "{}\n{log}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.stop(), 0);
}
