//! The names by which something is accepted: a role by its own name, everything else by a word of its own. A name that is nothing was
//! mistyped, and does not stand in a plan or a proof.

use crate::anomaly::AnomalyKind;
use crate::mapping::Becomes;
use crate::plan::Ground;
use crate::proof::SUPERUSER;
use crate::source;
use crate::taken::{KEEP_ALL, UNNOTED};
use std::collections::{BTreeMap, BTreeSet};

/// By this name one accepts all logins that changed.
pub const LOGINS: &str = "flag:logins";
/// By this name one accepts that the other system is at another address than in the run before.
pub const ADDRESS: &str = "flag:address";
/// By this name one accepts that most of the users of the run before are gone or may not sign in.
pub const FEWER: &str = "flag:fewer";
/// By this name one accepts that modules are on which the other system's documents do not turn on.
pub const MODULES: &str = "flag:modules";
/// Flags that can be accepted; there are no others.
const FLAGS: [&str; 7] = [SUPERUSER, LOGINS, KEEP_ALL, UNNOTED, ADDRESS, FEWER, MODULES];
/// By this name one accepts that users without an organization lose what they hold.
pub const ORPHAN: &str = "orphan";
/// By this name one accepts that users lose what they hold who have nothing to sign in with.
pub const MISSING_LOGIN: &str = "missing_login";
/// By this name one accepts that users are left out whose logins can be none here.
pub const UNFIT_LOGIN: &str = "unfit_login";
/// By this name one accepts that rules on records go.
pub const CONDITION: &str = "condition";
/// What is wrong with rows, and accepted by its kind.
const KINDS: [&str; 4] = [ORPHAN, MISSING_LOGIN, UNFIT_LOGIN, CONDITION];
/// Before the key of a role here: others than the system's users hold it, and it gives them more.
pub const WIDENED: &str = "widened:";
/// What stands before the login of one who gets all of the installation.
pub const OVER_ALL: &str = "over-all:";
/// Before a login: it was another account's, and is somebody else's by now.
pub const HANDED_OVER: &str = "handed-over:";
/// Before a login: whoever has it there is new, and is the one who had the account and was gone.
pub const ANEW: &str = "anew:";
/// Words before a colon by which other things than roles are accepted.
const PREFIXES: [&str; 13] = [
    "account:",
    ANEW,
    OVER_ALL,
    "organization:",
    "member:",
    "flag:",
    "back:",
    "away:",
    "new:",
    "modules-back:",
    "modules-away:",
    WIDENED,
    HANDED_OVER,
];
/// By this word and a login one accepts a member with rights who is no user there.
pub const MEMBER: &str = "member:";
/// The same where a login stands behind it.
const OF_LOGINS: [&str; 8] = ["account:", ANEW, OVER_ALL, "member:", "back:", "away:", "new:", HANDED_OVER];
/// The same where the key of an organization does.
const OF_ORGANIZATIONS: [&str; 3] = ["organization:", "modules-back:", "modules-away:"];

/// By which name a kind of anomaly is accepted, where it wants that.
#[must_use]
pub const fn name_of(kind: AnomalyKind) -> Option<&'static str> {
    match kind {
        AnomalyKind::Orphan => Some(ORPHAN),
        AnomalyKind::MissingLogin => Some(MISSING_LOGIN),
        AnomalyKind::UnfitLogin => Some(UNFIT_LOGIN),
        AnomalyKind::Condition => Some(CONDITION),
        _ => None,
    }
}

/// Whether a name is that of something else than a role.
fn is_other(name: &str) -> bool {
    KINDS.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

impl Ground<'_> {
    fn has_role(&self, name: &str) -> bool {
        self.facts.roles.iter().any(|role| role.name == name)
    }

    /// Roles that the mapping names, and that are not there.
    pub(crate) fn mapped_and_missing(&self) -> impl Iterator<Item = &String> {
        let is_missing =
            |(name, becomes): &(&String, &Becomes)| **becomes != Becomes::Unknown && !self.has_role(name);
        self.mapping.roles.iter().filter(is_missing).map(|(name, _)| name)
    }

    fn accepted_and_missing<'n>(&self, accepted: &'n BTreeSet<String>) -> impl Iterator<Item = &'n String> {
        accepted.iter().filter(move |name| !is_other(name) && !self.has_role(name))
    }

    /// Roles that the mapping or what was accepted names, and that are not there: mistyped, or gone since an earlier run.
    #[must_use]
    pub fn missing_roles(&self, accepted: &BTreeSet<String>) -> BTreeSet<String> {
        let all = self.mapped_and_missing().chain(self.accepted_and_missing(accepted));
        all.filter(|name| self.moved(name).is_none()).cloned().collect()
    }

    /// What a missing role may be called by now: there are several of its name since, or it is the last of them.
    pub(crate) fn moved(&self, name: &str) -> Option<String> {
        source::moved(&self.facts.roles, name).map(|now| {
            format!("there is no such role there, and {now:?} is: roles of one name are told apart by their ids, so say which is meant")
        })
    }

    /// Accepted names of accounts and organizations of which the other system knows nothing, and of roles here that no run makes: they may be this
    /// side's, or gone.
    #[must_use]
    pub fn strangers<'n>(&self, accepted: &'n BTreeSet<String>) -> BTreeSet<&'n str> {
        let mut wanted: BTreeSet<&str> = accepted.iter().filter_map(|name| login_of(name)).collect();
        if !wanted.is_empty() {
            self.facts.users.iter().for_each(|user| {
                wanted.remove(user.login);
            });
        }
        let one = self.mapping.organization.as_ref().map(|one| format!("organization:{}", one.key));
        let is_stranger = |name: &str| match login_of(name) {
            Some(login) => wanted.contains(login),
            None => match name.strip_prefix(WIDENED) {
                Some(key) => !self.intent.makes(key),
                None => organization_of(name).is_some() && one.as_deref() != Some(name),
            },
        };
        accepted.iter().map(String::as_str).filter(|name| is_stranger(name)).collect()
    }

    /// What was accepted and is nothing, nor was before; `known` are those of the strangers that somebody knows.
    #[must_use]
    pub fn misnamed(
        &self,
        accepted: &BTreeSet<String>,
        gone: &BTreeSet<String>,
        known: &BTreeSet<String>,
    ) -> Vec<String> {
        let unknown = self.accepted_and_missing(accepted).filter(|name| !gone.contains(*name));
        let no_role = || "there is no role of this name".to_owned();
        let roles =
            unknown.map(|name| format!("--accept {name:?}: {}", self.moved(name).unwrap_or_else(no_role)));
        let flags =
            accepted.iter().filter(|name| name.starts_with("flag:") && !FLAGS.contains(&name.as_str()));
        let flags = flags
            .map(|name| format!("--accept {name:?}: there is no such flag; there are {}", FLAGS.join(", ")));
        let strangers = self.strangers(accepted).into_iter().filter(|name| !known.contains(*name));
        let strangers = strangers.map(|name| {
            let why = match (name.starts_with(WIDENED), organization_of(name)) {
                (true, _) => "no run of this system makes a role of this key",
                (false, Some(_)) => "there is no organization of this key",
                (false, None) => "nobody there or here signs in with this",
            };
            format!("--accept {name:?}: {why}")
        });
        roles.chain(flags).chain(strangers).collect()
    }

    /// Users there who were accepted as members that are none: by that name nothing of theirs is. `members` are those who were, by now or before.
    #[must_use]
    pub fn no_strangers(&self, accepted: &BTreeSet<String>, members: &BTreeSet<String>) -> Vec<String> {
        let named = accepted.iter().filter(|name| !members.contains(*name));
        let mut named: BTreeMap<&str, &String> =
            named.filter_map(|name| Some((name.strip_prefix(MEMBER)?, name))).collect();
        if named.is_empty() {
            return Vec::new();
        }
        let users = self.facts.users.iter();
        let found: BTreeSet<&String> = users.filter_map(|user| named.remove(user.login)).collect();
        let told = found.into_iter().map(|name| {
            format!(
                "--accept {name:?}: that is for members here who have rights and are no users of the other system, and this is a user there: what \
                 differs by a role is accepted by the name of the role"
            )
        });
        told.collect()
    }

    /// The same of those who are here and no such members: by that name nothing is accepted.
    pub fn without_rights<'n>(
        accepted: &'n BTreeSet<String>,
        members: &'n BTreeSet<String>,
    ) -> impl Iterator<Item = String> + 'n {
        let named = accepted.iter().filter(|name| name.starts_with(MEMBER) && !members.contains(*name));
        named.map(|name| {
            format!(
                "--accept {name:?}: that is for members here who have rights and are no users of the other system, and whoever signs in here with this \
                 has none: nothing would be accepted by it"
            )
        })
    }

    /// Roles whose names are those by which something else is accepted.
    pub(crate) fn oddly_named(&self) -> impl Iterator<Item = &str> {
        self.facts.roles.iter().map(|role| role.name.as_str()).filter(|name| is_other(name))
    }
}

/// The login that an accepted name speaks of.
#[must_use]
pub fn login_of(name: &str) -> Option<&str> {
    OF_LOGINS.iter().find_map(|prefix| name.strip_prefix(prefix))
}

/// The key of the organization that an accepted name speaks of.
#[must_use]
pub fn organization_of(name: &str) -> Option<&str> {
    OF_ORGANIZATIONS.iter().find_map(|prefix| name.strip_prefix(prefix))
}
