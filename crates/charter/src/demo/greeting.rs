//! What somebody who started the demo is told: who is there, and what to type.

use super::{ACCOUNTS, PASSWORD};
use std::path::Path;

/// The service that was started, as a person at a terminal reaches it.
pub struct Place<'a> {
    /// Its address.
    pub address: &'a str,
    /// Its address in browsers.
    pub people: &'a str,
    /// The program, as it was called.
    pub program: &'a str,
    /// The data folder.
    pub data: &'a Path,
}

/// A word of a command line, quoted where a shell would read it otherwise.
pub fn word(text: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '@' | ':' | '+' | ',');
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The accounts, and commands that work as they stand.
pub fn text(place: &Place<'_>) -> String {
    let (address, data) = (place.address, place.data.display().to_string());
    let charter = match place.data == Path::new("./charter-data") {
        true => word(place.program),
        false => format!("{} --data {}", word(place.program), word(&data)),
    };
    let token = word(&place.data.join("operator-token").display().to_string());
    let mut text = format!(
        "\nThe demo company: Teddy Works (toys) and Teddy Works Trading (trading), two organizations of one group.\n\
         The password of everybody is {PASSWORD}\n\n"
    );
    let width = ACCOUNTS.iter().map(|(login, _)| login.len()).max().unwrap_or_default();
    for (login, what) in ACCOUNTS {
        text.push_str(&format!("  {login:width$}  {what}\n"));
    }
    text.push_str(&format!("\nIn a browser, passkeys included: {}/account\n", place.people));
    text.push_str(&format!(
        r#"
Try, in this folder and another terminal:

  {charter} check --org toys --as ann@toys.example finance.invoices.approve --resource invoice:1042 --explain
  {charter} check --org toys --as ann@toys.example finance.invoices.approve --resource invoice:1043 --explain
  {charter} who-can --org toys finance.invoices.approve --resource invoice:1042
  {charter} policy export --org toys > policy.toml

Over HTTP, as Ann with her password, and as an application that asks (here with the token of this machine's operator):

  TOKEN=$(curl -s {address}/api/v1/auth/login -H 'Content-Type: application/json' \
    -d '{{"login":"ann@toys.example","password":"{PASSWORD}","organization":"toys"}}' | sed 's/.*"access_token": *"\([^"]*\)".*/\1/')
  curl -s {address}/api/v1/me/permissions -H "Authorization: Bearer $TOKEN"

  curl -s {address}/api/v1/organizations/toys/checks -H "Authorization: Bearer $(cat {token})" \
    -H 'Content-Type: application/json' \
    -d '{{"subject":"ann@toys.example","action":"approve","resource":{{"type":"invoice","id":"1042"}}}}'

The same question by the AuthZEN standard:

  curl -s {address}/organizations/toys/access/v1/evaluation -H "Authorization: Bearer $(cat {token})" \
    -H 'Content-Type: application/json' \
    -d '{{"subject":{{"type":"user","id":"ann@toys.example"}},"action":{{"name":"approve"}},"resource":{{"type":"invoice","id":"1042"}}}}'
"#
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        assert_eq!(word("target/release/charter"), "target/release/charter");
        assert_eq!(word("my data"), "'my data'");
        assert_eq!(word("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_folder_of_its_own_stands_in_every_command() {
        let place = |data| Place {
            address: "http://127.0.0.1:8080",
            people: "http://localhost:8080",
            program: "charter",
            data: Path::new(data),
        };
        assert!(
            text(&place("./charter-data"))
                .contains("\nIn a browser, passkeys included: http://localhost:8080/account\n")
        );
        assert!(text(&place("./charter-data")).contains("\n  charter check --org toys"));
        let told = text(&place("/tmp/a b"));
        assert!(told.contains("\n  charter --data '/tmp/a b' check --org toys"), "{told}");
        assert!(told.contains("$(cat '/tmp/a b/operator-token')"), "{told}");
    }
}
