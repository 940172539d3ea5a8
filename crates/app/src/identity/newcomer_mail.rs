//! What newcomers are written: to an address that may belong to anybody. No text that a stranger typed stands in such a mail; names of
//! organizations do, which their administrators chose.

use crate::App;
use crate::mail::{self, Draft, Text, line};
use charter_db::Tx;
use charter_kernel::{PrincipalId, Problem, Timestamp};
use zeroize::Zeroizing;

/// A mail is of use for this long, when nothing else is said.
const LASTS_SECONDS: i64 = 7 * 86_400;

/// What somebody is written.
pub(super) enum NewcomerMail {
    /// They are invited.
    Invited { organization: String, token: Zeroizing<String>, until: Timestamp },
    /// Somebody asked for an account with their address, and there is none.
    Prove { organization: String, link: Zeroizing<String>, until: Timestamp },
    /// The same, and they have an account.
    Join { organization: String, link: Zeroizing<String>, until: Timestamp },
    /// The same, and they are a member already.
    IsMember { organization: String },
    /// The same, and the address was an account's until lately.
    IsKept { organization: String, until: Timestamp },
    /// They were let in; with a token when they have to choose a password.
    Approved { organization: String, token: Option<Zeroizing<String>>, lasts_seconds: i64 },
    /// They were turned down.
    Rejected { organization: String, reason: String },
    /// They want this address for their account.
    ProveChange { token: Zeroizing<String>, until: Timestamp },
    /// Somebody else wants their address for an account.
    ChangeTaken,
    /// Their account has another address now.
    Changed { token: Zeroizing<String>, until: Timestamp },
    /// It has the old one again.
    Restored { token: Zeroizing<String>, lasts_seconds: i64 },
}

fn until_text(until: Timestamp) -> String {
    Timestamp::from_seconds(until.seconds()).to_string()
}

impl NewcomerMail {
    fn kind(&self) -> &'static str {
        match self {
            Self::Invited { .. } => "invitation",
            Self::Prove { .. } => "registration_proof",
            Self::Join { .. } => "registration_join",
            Self::IsMember { .. } => "registration_member",
            Self::IsKept { .. } => "registration_kept",
            Self::Approved { .. } => "registration_approved",
            Self::Rejected { .. } => "registration_rejected",
            Self::ProveChange { .. } => "email_change_proof",
            Self::ChangeTaken => "email_change_taken",
            Self::Changed { .. } => "email_changed",
            Self::Restored { .. } => "email_restored",
        }
    }

    fn lasts_seconds(&self, now: Timestamp) -> i64 {
        match self {
            Self::Invited { until, .. }
            | Self::Prove { until, .. }
            | Self::Join { until, .. }
            | Self::ProveChange { until, .. }
            | Self::Changed { until, .. } => until.seconds() - now.seconds(),
            Self::Approved { lasts_seconds, .. } | Self::Restored { lasts_seconds, .. } => *lasts_seconds,
            _ => LASTS_SECONDS,
        }
    }

    fn text(&self, reader: &str, service: &str, at: Timestamp) -> Text {
        let at = Timestamp::from_seconds(at.seconds());
        let if_not = "If you did not ask for this, do nothing: nobody gets in without this mail.".to_owned();
        let (subject, paragraphs) = match self {
            Self::Invited { organization, token, until } => (
                format!("You are invited to {organization}"),
                vec![
                    format!(
                        "An administrator of \"{}\" invites you to work with them. To accept, open this\naddress until {}:",
                        line(organization),
                        until_text(*until)
                    ),
                    format!("{service}/invitation#{}", token.as_str()),
                    format!("Or give this code to `charter invitations accept`:\n\n{}", token.as_str()),
                    "It works once, and for your address alone. If you expected nothing of the kind, do nothing."
                        .to_owned(),
                ],
            ),
            Self::Prove { organization, link, until } => (
                "Prove your address".to_owned(),
                vec![
                    format!(
                        "Somebody asked for an account at \"{}\" with your address. If it was you, open this\naddress until {}:",
                        line(organization),
                        until_text(*until)
                    ),
                    format!("{service}/registration#{}", link.as_str()),
                    if_not,
                ],
            ),
            Self::Join { organization, link, until } => (
                "You have an account already".to_owned(),
                vec![
                    format!(
                        "Somebody asked for an account at \"{}\" with your address. You have an account at this\n\
                         service already. If it was you, and you want to belong to them with it, open this address\nuntil {}:",
                        line(organization),
                        until_text(*until)
                    ),
                    format!("{service}/registration#{}", link.as_str()),
                    if_not,
                ],
            ),
            Self::IsMember { organization } => (
                "You have an account already".to_owned(),
                vec![
                    format!(
                        "Somebody asked for an account at \"{}\" with your address. You belong to them already:\n\
                         sign in as always, at\n\n{service}/sign-in",
                        line(organization)
                    ),
                    format!("A forgotten password comes back by mail:\n\n{service}/forgot-password"),
                    "If you did not ask for this, there is nothing to do.".to_owned(),
                ],
            ),
            Self::IsKept { organization, until } => (
                "Your address is kept for its owner".to_owned(),
                vec![
                    format!(
                        "Somebody asked for an account at \"{}\" with your address. It was the address of an account until\n\
                         lately, and that change can be taken back: until {} nobody gets another account with it.\n\
                         If it was you who asked, ask again after that.",
                        line(organization),
                        until_text(*until)
                    ),
                    "If you did not ask for this, there is nothing to do.".to_owned(),
                ],
            ),
            Self::Approved { organization, token, lasts_seconds } => (
                format!("You were let in to {organization}"),
                match token {
                    None => vec![
                        format!(
                            "Your request was approved: you belong to \"{}\" now. Sign in with the account you have:",
                            line(organization)
                        ),
                        format!("{service}/sign-in"),
                    ],
                    Some(token) => vec![
                        format!(
                            "Your request was approved: you have an account at \"{}\" now. Choose its password within\n{} hours:",
                            line(organization),
                            lasts_seconds / 3_600
                        ),
                        format!("{service}/reset-password#{}", token.as_str()),
                    ],
                },
            ),
            Self::Rejected { organization, reason } => (
                "Your request was turned down".to_owned(),
                vec![
                    format!("\"{}\" turned down your request for an account:", line(organization)),
                    line(reason),
                ],
            ),
            Self::ProveChange { token, until } => (
                "Prove your new address".to_owned(),
                vec![
                    format!(
                        "This address was given as the new one of an account. If it is yours, open this address\nuntil {}:",
                        until_text(*until)
                    ),
                    format!("{service}/email#prove.{}", token.as_str()),
                    "If you expected nothing of the kind, do nothing.".to_owned(),
                ],
            ),
            Self::ChangeTaken => (
                "Somebody wants your address for an account".to_owned(),
                vec![
                    "Somebody gave your address as the new one of another account. It stays yours, and nothing was\n\
                     changed. If it was you: an address belongs to one account."
                        .to_owned(),
                ],
            ),
            Self::Changed { token, until } => (
                "The address of your account was changed".to_owned(),
                vec![
                    format!(
                        "The address of your account was changed at {at}. From now on mails go to the new one, and so does\n\
                         who signs in."
                    ),
                    format!("If this was not you, take it back until {}:", until_text(*until)),
                    format!("{service}/email#undo.{}", token.as_str()),
                ],
            ),
            Self::Restored { token, lasts_seconds } => (
                "Your account has its old address again".to_owned(),
                vec![
                    format!(
                        "The change of your address was taken back at {at}, and every session has ended.\n\
                         Whoever changed it may know your password. Choose a new one within {} hours:",
                        lasts_seconds / 3_600
                    ),
                    format!("{service}/reset-password#{}", token.as_str()),
                    "API keys that were made for you since then, or in the week before, are revoked, and those that were\n\
                     made in your name for service accounts are put aside. Tell the administrator of your organization."
                        .to_owned(),
                ],
            ),
        };
        mail::letter_text(&line(&subject), reader, &paragraphs, service)
    }
}

/// Queues a mail to an address, in the transaction of the change it tells of.
pub(super) async fn queue(
    app: &App,
    tx: &mut Tx,
    to: &str,
    account: Option<PrincipalId>,
    what: &NewcomerMail,
    now: Timestamp,
) -> Result<(), Problem> {
    let draft = Draft {
        kind: what.kind(),
        principal: account,
        text: what.text(to, &app.identity().settings().public_url, now),
        recipient: to.to_owned(),
        lasts_seconds: what.lasts_seconds(now),
    };
    mail::queue(app, tx, draft, now).await
}
