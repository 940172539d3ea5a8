//! `charter setup` and `charter password set`: the two commands that ask for a password.

use super::Invocation;
use crate::client::{Call, Client, escape};
use crate::failure::{Outcome, Result};
use crate::{output, terminal};
use clap::{Arg, Command};
use serde_json::{Map, Value, json};

const CODE: &str = "code";
const LOGIN: &str = "login";
const NAME: &str = "name";

pub fn setup_command() -> Command {
    Command::new("setup")
        .about("Make the first administrator, with the one-time code that `charter serve` prints")
        .arg(Arg::new(CODE).long(CODE).value_name("CODE").required(true).help("The one-time code"))
        .arg(
            Arg::new(LOGIN)
                .long(LOGIN)
                .value_name("E-MAIL")
                .required(true)
                .help("E-mail of the administrator"),
        )
        .arg(Arg::new(NAME).long(NAME).value_name("TEXT").help("Name that is shown"))
        .after_help("The password is asked for; without a terminal it is the first line of standard input.")
}

pub fn password_command() -> Command {
    Command::new("set")
        .about("Set a user's password, as the operator; every session of the user ends")
        .arg(Arg::new(LOGIN).value_name("E-MAIL").required(true).help("E-mail of the user"))
        .after_help("The password is asked for; without a terminal it is the first line of standard input.")
}

fn text(invocation: &Invocation<'_>, name: &str) -> Option<String> {
    invocation.matches.get_one::<String>(name).cloned()
}

/// Makes the first administrator.
pub async fn setup(invocation: &Invocation<'_>) -> Result {
    let mut body = Map::new();
    for name in [CODE, LOGIN, NAME] {
        body.extend(text(invocation, name).map(|value| (name.to_owned(), Value::String(value))));
    }
    let login = text(invocation, LOGIN).unwrap_or_default();
    let password = terminal::new_password(&format!("Password for {login}"))?;
    body.insert("password".to_owned(), password.reveal().into());
    let call = Call::of(invocation.operation("setup.complete")?).json(&Value::Object(body));
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = client.call(&call).await;
    client.close().await?;
    let answer = done?.json()?;
    if invocation.is_json {
        super::show::raw(&answer);
    } else {
        output::print(&format!("{login} is the first administrator and can sign in"));
    }
    Ok(Outcome::Good)
}

/// Sets somebody's password.
pub async fn set_password(invocation: &Invocation<'_>) -> Result {
    let login = text(invocation, LOGIN).unwrap_or_default();
    let password = terminal::new_password(&format!("New password for {login}"))?;
    let mut call =
        Call::of(invocation.operation("users.set-password")?).json(&json!({ "password": password.reveal() }));
    call.path = call.path.replace("{user}", &escape(&login));
    let client = Client::connect(&invocation.loaded.configuration).await?;
    let done = client.call(&call).await;
    client.close().await?;
    let answer = done?.json()?;
    if invocation.is_json {
        super::show::value(&answer, true);
    } else {
        output::print(&format!("the password of {login} is set; every session of theirs has ended"));
    }
    Ok(Outcome::Good)
}
