//! Users, one row each: what is wrong with one is noted while it passes by.

use super::{EachUser, Intake, Passing, cell, ids, shown, truth};
use crate::anomaly::AnomalyKind;
use crate::facts::LegacyUser;
use charter_db::foreign::ForeignRow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A user who comes to nothing here for want of a login.
pub(super) struct Nameless {
    id: String,
    login: String,
    organization: Option<u32>,
    roles: Vec<u32>,
    word: Option<String>,
    permissions: Vec<u32>,
    is_superuser: bool,
}

impl Intake {
    /// A user: id, login, name, active, superuser, organization, role by its word, roles by ids, permissions by ids, password.
    pub(in super::super) fn user(&mut self, row: ForeignRow<'_>, each: EachUser<'_>) {
        // The password is no part of who may do what: its hash changes when people sign in.
        self.fingerprint.row("user", row.get(..row.len().saturating_sub(1)).unwrap_or_default());
        let Some(id) = cell(row, 0) else {
            self.without_id("user", cell(row, 1));
            return;
        };
        let named = || format!("user {id}");
        let Some(login) = self.login(id, cell(row, 1)) else {
            self.leave_out(id, row);
            return;
        };
        let is_active = self.decides(id, cell(row, 3), "whether the user may sign in");
        let is_superuser = self.shape.tells_superuser
            && self.decides(id, cell(row, 4), "whether the user may do everything");
        let mut held = ids(cell(row, 7), &self.roles);
        if self.shape.are_words {
            held.extend(self.word(id, cell(row, 6)));
        }
        let permissions = ids(cell(row, 8), &self.permissions);
        if !is_active && (!held.is_empty() || !permissions.is_empty() || is_superuser) {
            self.note(AnomalyKind::InactiveWithRoles, named(), "may not sign in, and holds something");
        }
        held.extend(&self.everybody);
        let organization = cell(row, 5).and_then(|id| self.organizations.of(id));
        if self.shape.has_organizations && organization.is_none() {
            let detail = match cell(row, 5) {
                Some(id) => format!("organization {id} is not there"),
                None => "belongs to no organization".to_owned(),
            };
            self.note(AnomalyKind::Orphan, named(), detail);
        }
        let name = shown::name(cell(row, 2).unwrap_or_default());
        let facts = &mut self.heard.facts;
        let user = LegacyUser {
            id,
            login,
            name: &name,
            organization,
            roles: facts.role_sets.keep(held),
            permissions: facts.permission_sets.keep(permissions),
            is_active,
            is_superuser,
        };
        each(Passing { user, password: cell(row, 9) }, &mut self.heard.anomalies);
        facts.users.push(user);
    }

    /// Somebody whose login can be none here loses what is held; roles that are words are known once all users have passed by.
    fn leave_out(&mut self, id: &str, row: ForeignRow<'_>) {
        if !self.loses(row) {
            return;
        }
        let login = cell(row, 1).unwrap_or_default().trim();
        let kind = if login.is_empty() { AnomalyKind::MissingLogin } else { AnomalyKind::UnfitLogin };
        self.heard.anomalies.note_losing(kind);
        self.nameless.push(Nameless {
            id: id.to_owned(),
            login: login.to_owned(),
            organization: cell(row, 5).and_then(|id| self.organizations.of(id)),
            roles: ids(cell(row, 7), &self.roles),
            word: cell(row, 6).filter(|_| self.shape.are_words).map(|word| word.trim().to_owned()),
            permissions: ids(cell(row, 8), &self.permissions),
            is_superuser: self.shape.tells_superuser && cell(row, 4).and_then(truth).unwrap_or(false),
        });
    }

    /// Puts those who were left out beside the users.
    pub(super) fn keep_nameless(&mut self) {
        for it in std::mem::take(&mut self.nameless) {
            let word = it.word.as_deref().and_then(|word| self.roles.of(word));
            let roles = it.roles.into_iter().chain(word).chain(self.everybody.iter().copied()).collect();
            let facts = &mut self.heard.facts;
            let user = LegacyUser {
                id: &it.id,
                login: &it.login,
                name: "",
                organization: it.organization,
                roles: facts.role_sets.keep(roles),
                permissions: facts.permission_sets.keep(it.permissions),
                is_active: true,
                is_superuser: it.is_superuser,
            };
            facts.nameless.push(user);
        }
    }

    /// Whether a user who is left out may sign in there and holds something.
    fn loses(&self, row: ForeignRow<'_>) -> bool {
        let is = |place: usize| cell(row, place).and_then(truth).unwrap_or(false);
        let has = |place: usize| cell(row, place).is_some_and(|text| !text.trim().is_empty());
        let has_word = self.shape.are_words && has(6);
        is(3) && (has_word || has(7) || has(8) || (self.shape.tells_superuser && is(4)))
    }

    /// What a user signs in with; nothing where that can be none here, which is noted.
    fn login<'a>(&mut self, id: &str, login: Option<&'a str>) -> Option<&'a str> {
        let login = login.unwrap_or_default().trim();
        if login.is_empty() {
            self.note(AnomalyKind::MissingLogin, format!("user {id}"), "nothing to sign in with");
            return None;
        }
        match (self.rule)(login) {
            Err(why) => {
                let shown: String = login.chars().take(80).collect();
                self.note(AnomalyKind::UnfitLogin, format!("user {id}"), format!("{shown:?}: {why}"));
                None
            }
            Ok(folded) => {
                let folded = hash_of(&folded);
                // The same user in two organizations is one.
                let same = hash_of(id);
                if self.logins.insert(folded, same).is_some_and(|before| before != same) {
                    self.twice.insert(folded);
                }
                if self.ids.insert(same, folded).is_some_and(|before| before != folded) {
                    self.note(
                        AnomalyKind::DuplicateUser,
                        format!("user {id}"),
                        "signs in as two different users",
                    );
                }
                Some(login)
            }
        }
    }

    /// A truth that decides something; what cannot be read is noted, and no.
    fn decides(&mut self, id: &str, text: Option<&str>, what: &str) -> bool {
        text.and_then(truth).unwrap_or_else(|| {
            let found = text.map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
            self.note(AnomalyKind::MissingValue, format!("user {id}"), format!("{what}: found {found}"));
            false
        })
    }

    /// The role that a word at a user names.
    fn word(&mut self, id: &str, word: Option<&str>) -> Option<u32> {
        match word.map(str::trim).filter(|word| !word.is_empty()) {
            Some(word) => Some(self.roles.of(word).unwrap_or_else(|| self.named_role(word, Some(word)))),
            None => {
                self.note(AnomalyKind::MissingRole, format!("user {id}"), "no role");
                None
            }
        }
    }

    /// Names the users whose logins are one here.
    pub(super) fn note_twins(&mut self) {
        if self.twice.is_empty() {
            return;
        }
        let mut by_login: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
        for user in self.heard.facts.users.iter() {
            if let Ok(folded) = (self.rule)(user.login)
                && self.twice.contains(&hash_of(&folded))
            {
                by_login.entry(folded).or_default().push((user.id, user.login));
            }
        }
        let mut found = Vec::new();
        for twins in by_login.values() {
            for (id, login) in twins {
                if let Some((other, its)) = twins.iter().find(|(other, _)| other != id) {
                    found.push((
                        format!("user {id}"),
                        format!("signs in as {login}, and user {other} as {its}"),
                    ));
                }
            }
        }
        for (row, detail) in found {
            self.note(AnomalyKind::DuplicateLogin, row, detail);
        }
    }
}
