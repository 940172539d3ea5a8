//! Notices: what the owner of an account is told by mail, because they would want to know or have to act. Queued in the transaction of
//! the change. An account that may not act, a service account, and one without an address are told nothing.

use crate::App;
use crate::mail::{self, Draft, Text};
use charter_db::Tx;
use charter_kernel::facts::{PrincipalKind, PrincipalStatus};
use charter_kernel::{PrincipalId, Problem, Timestamp};
use charter_store as store;
use std::net::IpAddr;

/// A notice is of use for this long.
const LASTS_SECONDS: i64 = 7 * 86_400;

/// What an owner is told.
#[derive(Clone)]
pub enum Notice {
    /// The way to a new password, asked for by somebody.
    PasswordResetLink {
        /// The token that lets its bearer choose a new password.
        token: zeroize::Zeroizing<String>,
        /// How long it can be used.
        lasts_seconds: i64,
    },
    /// The password was changed.
    PasswordChanged {
        /// From where.
        address: Option<IpAddr>,
    },
    /// The operator of the installation set the password.
    PasswordSet,
    /// Somebody of the platform began to act as them.
    SupportBegan {
        /// Their login.
        by: String,
        /// Why.
        reason: String,
        /// Until when, at the latest.
        until: Timestamp,
    },
    /// Somebody signed in from where nobody did before.
    NewSignIn {
        /// From where.
        address: Option<IpAddr>,
        /// With which program.
        user_agent: Option<String>,
    },
    /// A refresh token came a second time, and its session was ended.
    SessionReused {
        /// From where it came then.
        address: Option<IpAddr>,
    },
    /// An API key of theirs ends soon.
    ApiKeyExpiring {
        /// What it is for.
        key: String,
        /// In how many days at most.
        days: u32,
        /// When.
        expires_at: Timestamp,
    },
    /// An API key of theirs was found in the open.
    ApiKeyLeaked {
        /// What it is for.
        key: String,
        /// What was done about it.
        done: &'static str,
    },
    /// The second factors of the account were changed, or a recovery code was used.
    SecondFactor {
        /// What happened, as the end of a sentence.
        what: &'static str,
        /// From where.
        address: Option<IpAddr>,
    },
    /// A webhook was switched off.
    WebhookDisabled {
        /// Name of the webhook.
        name: String,
        /// Key of the organization.
        organization: String,
        /// Why.
        reason: String,
    },
}

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Notice({})", self.kind())
    }
}

impl Notice {
    /// The word by which the outbox lists it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PasswordResetLink { .. } => "password_reset_link",
            Self::PasswordChanged { .. } => "password_changed",
            Self::PasswordSet => "password_set",
            Self::SupportBegan { .. } => "support_began",
            Self::NewSignIn { .. } => "new_sign_in",
            Self::SessionReused { .. } => "session_reused",
            Self::ApiKeyExpiring { .. } => "api_key_expiring",
            Self::ApiKeyLeaked { .. } => "api_key_leaked",
            Self::SecondFactor { .. } => "second_factor",
            Self::WebhookDisabled { .. } => "webhook_disabled",
        }
    }

    fn lasts_seconds(&self) -> i64 {
        match self {
            Self::PasswordResetLink { lasts_seconds, .. } => *lasts_seconds,
            _ => LASTS_SECONDS,
        }
    }

    fn text(&self, name: &str, service: &str, at: Timestamp) -> Text {
        // To the second, as people read a clock.
        let at = Timestamp::from_seconds(at.seconds());
        let if_not_you = format!(
            "If this was not you, choose another password now, and tell the administrator of your organization:\n\n\
             {service}/forgot-password"
        );
        let (subject, paragraphs) = match self {
            Self::PasswordResetLink { token, lasts_seconds } => (
                "Choose a new password",
                vec![
                    format!(
                        "Somebody asked for a new password for your account. To choose one, open this\n\
                         address within {} minutes:",
                        lasts_seconds / 60
                    ),
                    format!("{service}/reset-password#{}", token.as_str()),
                    format!("Or give this code to `charter auth reset-password`:\n\n{}", token.as_str()),
                    "It works once. If you did not ask, do nothing: your password stays as it is.".to_owned(),
                ],
            ),
            Self::PasswordChanged { address } => {
                let from = from(*address);
                (
                    "Your password was changed",
                    vec![
                        format!(
                            "The password of your account was changed at {at}{from}.\n\
                             Every session that was begun with the old one has ended."
                        ),
                        if_not_you,
                    ],
                )
            }
            Self::PasswordSet => (
                "Your password was set",
                vec![
                    format!(
                        "The operator of the service set a password for your account at {at}.\n\
                         Every session that was begun before has ended."
                    ),
                    if_not_you,
                ],
            ),
            Self::SupportBegan { by, reason, until } => (
                "Somebody works in your name for support",
                vec![
                    format!(
                        "{} of the support began to work in your name at {at}, until {} at the latest:\n{}.",
                        mail::line(by),
                        Timestamp::from_seconds(until.seconds()),
                        mail::line(reason)
                    ),
                    "They see what you see, and do nothing dangerous. Everything they do is on the audit trail with\n\
                     both names. Your administrator can end it at any moment, and so can you, in the list of your sessions:"
                        .to_owned(),
                    format!("{service}/account/sessions"),
                ],
            ),
            Self::NewSignIn { address, user_agent } => {
                let with = user_agent.as_deref().map_or_else(String::new, |program| {
                    format!("\nThe program calls itself \"{}\".", mail::line(program))
                });
                (
                    "Somebody signed in to your account",
                    vec![
                        format!(
                            "Somebody signed in to your account at {at}{},\nfrom where nobody did lately.{with}",
                            from(*address)
                        ),
                        "If this was you, there is nothing to do. If not, choose a new password now: that ends every\n\
                         other session."
                            .to_owned(),
                        format!("{service}/account/password"),
                    ],
                )
            }
            Self::SessionReused { address } => (
                "A session of yours was ended",
                vec![
                    format!(
                        "A refresh token of your account was used a second time at {at}{}.\n\
                         It may be in two hands, so its session was ended.",
                        from(*address)
                    ),
                    "Sign in again. If it happens once more, choose a new password and tell the administrator of your\n\
                     organization."
                        .to_owned(),
                    format!("{service}/account/password"),
                ],
            ),
            Self::ApiKeyExpiring { key, days, expires_at } => (
                "An API key of yours ends soon",
                vec![
                    format!(
                        "Your API key \"{}\" ends at {}, which is in {}.",
                        mail::line(key),
                        Timestamp::from_seconds(expires_at.seconds()),
                        if *days == 1 { "one day at most".to_owned() } else { format!("{days} days at most") }
                    ),
                    "Make another and give it to the program that uses this one, before it stops working.".to_owned(),
                ],
            ),
            Self::ApiKeyLeaked { key, done } => (
                "An API key of yours was found in the open",
                vec![
                    format!(
                        "The whole text of your API key \"{}\" was reported at {at} as found in the open.\n{done}",
                        mail::line(key)
                    ),
                    "Rotate it, and look on the audit trail for what was done with it.".to_owned(),
                ],
            ),
            Self::SecondFactor { what, address } => {
                let what = format!("At {at}{} {what}.", from(*address));
                let seen = format!("Your second factors:\n\n{service}/account/factors");
                ("The second factor of your account", vec![what, seen, if_not_you])
            }
            Self::WebhookDisabled { name, organization, reason } => (
                "A webhook was switched off",
                vec![
                    format!(
                        "The webhook \"{}\" of the organization {} was switched off at {at}:\n{}.",
                        mail::line(name),
                        mail::line(organization),
                        mail::line(reason)
                    ),
                    "Switch it on again once its receiver works. Deliveries that were given up can be repeated;\n\
                     what happened since is on the audit trail."
                        .to_owned(),
                ],
            ),
        };
        mail::letter_text(subject, name, &paragraphs, service)
    }
}

fn from(address: Option<IpAddr>) -> String {
    address.map_or_else(String::new, |address| format!(" from the address {address}"))
}

/// Queues a notice to a principal, in the transaction of the change it tells of.
pub async fn queue(
    app: &App,
    tx: &mut Tx,
    to: PrincipalId,
    notice: Notice,
    now: Timestamp,
) -> Result<(), Problem> {
    let Some(principal) = store::principal::by_id(tx, to).await? else { return Ok(()) };
    let is_reachable = principal.kind == PrincipalKind::User
        && principal.status == PrincipalStatus::Active
        && crate::text::email("login", &principal.login_folded).is_ok();
    if !is_reachable {
        return Ok(());
    }
    let draft = Draft {
        kind: notice.kind(),
        principal: Some(to),
        text: notice.text(&principal.name, &app.identity().settings().public_url, now),
        recipient: principal.login_folded,
        lasts_seconds: notice.lasts_seconds(),
    };
    mail::queue(app, tx, draft, now).await
}
