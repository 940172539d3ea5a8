//! What keeps a plan from being carried out, each with what to do about it.

use crate::accepting::{ANEW, CONDITION, MISSING_LOGIN, MODULES, ORPHAN, UNFIT_LOGIN};
use crate::plan::{Plan, more};
use crate::proof::{Difference, OVER_ALL};
use charter_kernel::count;
use std::collections::BTreeSet;

/// How many people approve what gives somebody more.
const APPROVERS: usize = 2;
/// What a plan has of accounts that may do more of the installation itself.
const BEYOND: &str = "beyond";
/// So many accounts or organizations are told one by one.
const ONE_BY_ONE: usize = 10;
/// Names that are told of one kind.
const NAMES_TOLD: usize = 3;

impl Plan {
    /// Why it cannot be carried out, each with what to do.
    #[must_use]
    pub fn obstacles(&self) -> Vec<String> {
        let mut all = self.faults.clone();
        for name in &self.unmapped {
            all.push(format!("{name:?} is neither shipped nor mapped: say in the mapping what it becomes"));
        }
        let by_role = |it: &&Difference| !it.accepted && !it.is_left_out && !it.is_nameless;
        let left_out = if self.accepted.contains(ORPHAN) { 0 } else { self.verdict.left_out };
        let unaccepted = self.verdict.unaccepted.saturating_sub(left_out + self.verdict.nameless_open);
        if unaccepted > 0 {
            let who = self.verdict.named.iter().filter(by_role).take(NAMES_TOLD);
            let who: Vec<&str> = who.map(|it| it.login.as_str()).collect();
            all.push(format!(
                "{} would gain or lose rights ({}{}): change the mapping, or accept roles by name with --accept",
                users(unaccepted),
                who.join(", "),
                more(unaccepted, who.len()),
            ));
        }
        all.extend(self.unseen_obstacles());
        all.extend(self.left_out_obstacles());
        all.extend(self.over_all.obstacle(self.follows.is_some()));
        if !self.opened.is_none() && !self.accepted.contains(MODULES) {
            all.push(self.opened.obstacle());
        }
        all.extend(self.here_already());
        all.extend(self.taken.obstacles(people(&self.approved_by) >= APPROVERS));
        if people(&self.approved_by) < APPROVERS {
            all.extend(self.lifting_obstacle());
        }
        if self.verdict.gains > 0 && self.verdict.unaccepted == 0 && people(&self.approved_by) < APPROVERS {
            all.push(format!(
                "{}: that wants two people by name, --approved-by NAME twice",
                count::counted(self.verdict.users_gaining, "user gains rights", "users gain rights")
            ));
        }
        all
    }

    /// Organizations and accounts that are here already, and that nobody accepted: a few one by one, and many as so many.
    fn here_already(&self) -> Vec<String> {
        const ALREADY: &str = "here already: whoever it is gets what comes over";
        let is_open = |kind: &str, name: &str| !self.accepted.contains(&format!("{kind}:{name}"));
        let organizations = self.existing_organizations.iter().filter(|name| is_open("organization", name));
        let mut all = told(organizations.collect(), "organization", "existing_organizations", |name| {
            format!("organization {name} is {ALREADY}; accept it with --accept organization:{name}")
        });
        let plain = self.existing_accounts.iter().filter(|name| !self.beyond.contains_key(*name));
        let plain = plain.filter(|name| is_open("account", name)).collect();
        all.extend(told(plain, "account", "existing_accounts", |name| {
            format!("account {name} is {ALREADY}; accept it with --accept account:{name}")
        }));
        all.extend(self.made_anew());
        let beyond = self.beyond.keys().filter(|name| is_open("account", name)).collect();
        all.extend(told(beyond, "account", BEYOND, |name| {
            format!(
                "account {name} is here already, and may do {} of the installation itself that it may not there: take that from it here, or \
                 accept it with --accept account:{name}",
                self.beyond.get(name).map(parts).unwrap_or_default()
            )
        }));
        all
    }

    /// Accounts of users who are gone there, whose logins users have who are new: whoever was said to be the same once is not by that.
    fn made_anew(&self) -> Vec<String> {
        let open: Vec<&String> = self
            .anew_accounts
            .iter()
            .filter(|name| !self.accepted.contains(&format!("{ANEW}{name}")))
            .collect();
        if open.len() > ONE_BY_ONE {
            let first: Vec<&str> = open.iter().take(NAMES_TOLD).map(|name| name.as_str()).collect();
            let count = open.len() as u64;
            return vec![format!(
                "{count} users are new there with logins of accounts whose users are gone there ({}{}): whoever they are gets these accounts, with \
                 passwords and keys; look that each is the same person, and accept all with --accept-file FILE, a line {ANEW}NAME for each; the file \
                 of the plan names them under anew_accounts",
                first.join(", "),
                more(count, first.len())
            )];
        }
        let one = |name: &&String| {
            format!(
                "account {name} is of a user who is gone there, and a user who is new there has its login: whoever it is gets the account, with its \
                 password and keys; accept it as the same person with --accept {ANEW}{name}, or give one of both another login"
            )
        };
        open.iter().map(one).collect()
    }

    /// Roles that become nothing though nobody can see what they allow.
    fn unseen_obstacles(&self) -> Option<String> {
        let open: Vec<(&String, &u64)> =
            self.unseen.iter().filter(|(name, _)| !self.accepted.contains(*name)).collect();
        let shown: Vec<String> = open
            .iter()
            .take(NAMES_TOLD)
            .map(|(name, holders)| format!("--accept {name:?} ({})", users(**holders)))
            .collect();
        (!open.is_empty()).then(|| {
            format!(
                "{} nothing, and nobody can see what {} by it there: say in the mapping what becomes of it, or accept that with {}{}",
                count::counted(open.len() as u64, "role becomes", "roles become"),
                if open.len() == 1 { "whoever holds it may do" } else { "those who hold them may do" },
                shown.join(", "),
                more(open.len() as u64, shown.len())
            )
        })
    }

    /// Users who may do something there and come to nothing here.
    fn left_out_obstacles(&self) -> Vec<String> {
        let is_open = |name: &str| !self.accepted.contains(name);
        let mut all = Vec::new();
        if self.verdict.left_out > 0 && is_open(ORPHAN) {
            let who = self.verdict.named.iter().filter(|it| it.is_left_out).take(NAMES_TOLD);
            let who: Vec<&str> = who.map(|it| it.login.as_str()).collect();
            all.push(format!(
                "{}, and would lose all they have ({}{}): mend them there, or accept it with --accept {ORPHAN}",
                count::counted(
                    self.verdict.left_out,
                    "user belongs to no organization that is there",
                    "users belong to no organization that is there"
                ),
                who.join(", "),
                more(self.verdict.left_out, who.len())
            ));
        }
        if self.nameless > 0 && is_open(MISSING_LOGIN) {
            all.push(format!(
                "{}, and would lose all they have: mend them there, or accept it with --accept {MISSING_LOGIN}",
                count::counted(
                    self.nameless,
                    "user who holds something has nothing to sign in with",
                    "users who hold something have nothing to sign in with"
                )
            ));
        }
        if let Some(count) = self.anomalies.get(UNFIT_LOGIN).filter(|_| is_open(UNFIT_LOGIN)) {
            all.push(format!(
                "{}, and would lose all they have: mend them there, or accept it with --accept {UNFIT_LOGIN}",
                count::counted(
                    *count,
                    "user has a login that cannot be taken over",
                    "users have logins that cannot be taken over"
                )
            ));
        }
        if self.lifted > 0 && is_open(CONDITION) {
            all.push(format!(
                "{} over, so whoever is held by one there may do more here: write them as conditions or as grants on resources once the run is \
                 applied, and accept it with --accept {CONDITION}",
                count::counted(
                    self.lifted,
                    "rule on records or fields is not taken",
                    "rules on records or fields are not taken"
                )
            ));
        }
        all
    }

    /// What two people approve besides what somebody gains.
    fn lifting_obstacle(&self) -> Option<String> {
        let over_all = (self.over_all.users > 0 && self.over_all.open == 0).then(|| {
            let get = count::counted(self.over_all.users, "account gets", "accounts get");
            format!("{get} all of the installation")
        });
        let lifted = (self.lifted > 0 && self.accepted.contains(CONDITION)).then(|| {
            count::counted(self.lifted, "rule on records or fields goes", "rules on records or fields go")
        });
        let opened = (!self.opened.is_none() && self.accepted.contains(MODULES)).then(|| {
            let get = count::counted(self.opened.organizations, "organization gets", "organizations get");
            format!("{get} modules that the other system's documents do not give")
        });
        let what: Vec<String> = over_all.into_iter().chain(lifted).chain(opened).collect();
        (!what.is_empty()).then(|| {
            format!("{}: that wants two people by name, --approved-by NAME twice", what.join(", and "))
        })
    }
}

/// What is said of each of these names, or of all of them where they are many; `list` is where the file of the plan has all.
fn told(names: Vec<&String>, word: &str, list: &str, each: impl Fn(&str) -> String) -> Vec<String> {
    if names.len() <= ONE_BY_ONE {
        return names.into_iter().map(|name| each(name)).collect();
    }
    let first: Vec<&str> = names.iter().take(NAMES_TOLD).map(|name| name.as_str()).collect();
    let count = names.len() as u64;
    let beyond = match list {
        BEYOND => ", and may do something of the installation itself that they may not there",
        _ => "",
    };
    vec![format!(
        "{count} {word}s are here already{beyond} ({}{}): whoever they are gets what comes over; look that each is the same there, and accept all \
         with --accept-file FILE, a line {word}:NAME for each; the file of the plan names them under {list}",
        first.join(", "),
        more(count, first.len())
    )]
}

/// How many people these names are: case, blanks and marks tell nobody apart.
fn people(names: &BTreeSet<String>) -> usize {
    let fold = |name: &String| -> String {
        name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let folded: BTreeSet<String> = names.iter().map(fold).filter(|name| !name.is_empty()).collect();
    folded.len()
}

/// What an account may do of the installation itself, in few words.
fn parts(codes: &BTreeSet<String>) -> String {
    if codes.contains(OVER_ALL) {
        return "all".to_owned();
    }
    let first: Vec<&str> = codes.iter().take(3).map(String::as_str).collect();
    format!("{}{}", first.join(", "), more(codes.len() as u64, first.len()))
}

fn users(count: u64) -> String {
    count::counted(count, "user", "users")
}
