//! The receiver of the guide takes what we sign and refuses everything else (attack 115).

use charter_app::webhook::signature;
use std::io::Write;
use std::process::{Command, Stdio};

const GUIDE: &str = include_str!("../../../../docs/guide/webhooks.md");
const SECRET: [u8; 32] = [7; 32];
const BODY: &str = r#"{"type":"grant.give","data":{"reason":"Zoë"}}"#;
const AT: i64 = 1_800_000_000;

/// What the guide's receiver says to headers and a body at an instant.
fn verdict(headers: &[(&str, &str)], body: &str, now: i64) -> bool {
    let sample = GUIDE.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name:?}: {value:?}")).collect();
    let program = format!(
        "{sample}\nimport sys\nprint(verify({:?}, {{{}}}, sys.stdin.buffer.read(), {now}))\n",
        signature::text(&SECRET).as_str(),
        headers.join(", ")
    );
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("python3 runs the sample of the guide: {error}"));
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    match String::from_utf8(output.stdout).unwrap().trim() {
        "True" => true,
        "False" => false,
        other => panic!("{other:?}: {program}"),
    }
}

#[test]
fn the_receiver_of_the_guide_takes_our_signature_and_no_other_and_no_old_one() {
    let at = AT.to_string();
    let ours = signature::sign([SECRET.as_slice()], "evt_1", AT, BODY);
    let rotated = signature::sign([[9; 32].as_slice(), SECRET.as_slice()], "evt_1", AT, BODY);
    let other = signature::sign([[9; 32].as_slice()], "evt_1", AT, BODY);
    let headers = |signature: &str| {
        [("webhook-id", "evt_1"), ("webhook-timestamp", at.as_str()), ("webhook-signature", signature)]
            .map(|(name, value)| (name, value.to_owned()))
    };
    let says = |headers: &[(&str, String)], body: &str, now: i64| {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        verdict(&headers, body, now)
    };
    assert!(says(&headers(&ours), BODY, AT + 10));
    assert!(says(&headers(&rotated), BODY, AT + 300));
    assert!(!says(&headers(&other), BODY, AT), "another secret");
    assert!(!says(&headers(&ours.replace("v1,", "v2,")), BODY, AT), "another version");
    assert!(!says(&headers(""), BODY, AT), "no signature");
    assert!(!says(&headers(&ours), BODY, AT + 301), "an old message");
    assert!(!says(&headers(&ours), BODY, AT - 301), "a message of the future");
    assert!(!says(&headers(&ours), &BODY.replace("give", "take"), AT), "another body");
    let mut late = headers(&ours);
    late[1].1 = (AT + 1).to_string();
    assert!(!says(&late, BODY, AT), "another time");
    let mut renamed = headers(&ours);
    renamed[0].1 = "evt_2".to_owned();
    assert!(!says(&renamed, BODY, AT), "another id");
    assert!(!says(&headers(&ours)[..2], BODY, AT), "a header is missing");
}
