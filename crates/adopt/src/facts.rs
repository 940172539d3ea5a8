//! What another system says of who may do what, held small: texts stand in one string, and sets of roles are shared.

use crate::sets::{SetId, Sets};
use std::collections::HashMap;

/// Nothing of a kind.
pub const NONE: u32 = u32::MAX;

/// An organization of the other system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyOrganization {
    /// Its id there.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its `enabled_modules`, as it stands there.
    pub enabled_modules: Option<String>,
    /// Whether it is active.
    pub is_active: bool,
}

/// A role or group of the other system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyRole {
    /// Its id there; for a role that is a word in a column, the word.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it allows, by the other system's own permissions.
    pub permissions: SetId,
}

/// A user, as the other system says; for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyUser<'a> {
    /// Its id there.
    pub id: &'a str,
    /// What it signs in with.
    pub login: &'a str,
    /// Its shown name; empty where there is none.
    pub name: &'a str,
    /// Which organization it belongs to.
    pub organization: Option<u32>,
    /// Its roles.
    pub roles: SetId,
    /// What it was given besides roles.
    pub permissions: SetId,
    /// Whether it may sign in.
    pub is_active: bool,
    /// Whether it may do everything.
    pub is_superuser: bool,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    at: u32,
    id: u16,
    login: u16,
    name: u16,
    is_active: bool,
    is_superuser: bool,
    organization: u32,
    roles: SetId,
    permissions: SetId,
}

/// Users, packed.
#[derive(Debug, Clone, Default)]
pub struct LegacyUsers {
    texts: Vec<String>,
    held: Vec<(u32, Held)>,
}

/// A text of this many bytes is closed and another is begun, so that places in it fit 32 bits.
const TEXT_MAX: usize = 1 << 30;

impl LegacyUsers {
    /// Takes one up. Texts longer than 65,535 bytes are cut: no login is that long, and the reader has said so by then.
    pub fn push(&mut self, user: LegacyUser<'_>) {
        if self.texts.last().is_none_or(|text| text.len() > TEXT_MAX) {
            self.texts.push(String::new());
        }
        let page = u32::try_from(self.texts.len().saturating_sub(1)).unwrap_or(NONE);
        let Some(text) = self.texts.last_mut() else { return };
        let at = u32::try_from(text.len()).unwrap_or(NONE);
        let mut put = |part: &str| {
            let mut end = part.len().min(usize::from(u16::MAX));
            while !part.is_char_boundary(end) {
                end -= 1;
            }
            let part = part.get(..end).unwrap_or_default();
            text.push_str(part);
            u16::try_from(part.len()).unwrap_or(u16::MAX)
        };
        let (id, login, name) = (put(user.id), put(user.login), put(user.name));
        let held = Held {
            at,
            id,
            login,
            name,
            is_active: user.is_active,
            is_superuser: user.is_superuser,
            organization: user.organization.unwrap_or(NONE),
            roles: user.roles,
            permissions: user.permissions,
        };
        self.held.push((page, held));
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// All of them, in the order they were read.
    pub fn iter(&self) -> impl Iterator<Item = LegacyUser<'_>> {
        self.held.iter().map(|held| self.shown(held))
    }

    /// The one at a place in that order.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<LegacyUser<'_>> {
        self.held.get(place).map(|held| self.shown(held))
    }

    fn shown(&self, (page, held): &(u32, Held)) -> LegacyUser<'_> {
        let text = self.texts.get(*page as usize).map_or("", String::as_str);
        let at = held.at as usize;
        let login = at + usize::from(held.id);
        let name = login + usize::from(held.login);
        let end = name + usize::from(held.name);
        LegacyUser {
            id: text.get(at..login).unwrap_or_default(),
            login: text.get(login..name).unwrap_or_default(),
            name: text.get(name..end).unwrap_or_default(),
            organization: Some(held.organization).filter(|it| *it != NONE),
            roles: held.roles,
            permissions: held.permissions,
            is_active: held.is_active,
            is_superuser: held.is_superuser,
        }
    }
}

/// All that another system says.
#[derive(Debug, Clone, Default)]
pub struct LegacyFacts {
    /// Its organizations.
    pub organizations: Vec<LegacyOrganization>,
    /// Its roles.
    pub roles: Vec<LegacyRole>,
    /// Its own permissions, by their codes there.
    pub permissions: Vec<String>,
    /// Its users.
    pub users: LegacyUsers,
    /// Those who may sign in there and hold something, and come to nothing here, as their logins can be none; without one it is empty.
    pub nameless: LegacyUsers,
    /// Sets of roles, by their places in [`LegacyFacts::roles`].
    pub role_sets: Sets,
    /// Sets of permissions, by their places in [`LegacyFacts::permissions`].
    pub permission_sets: Sets,
}

/// Places of things by the ids they have in the other system.
#[derive(Debug, Clone, Default)]
pub struct Places(HashMap<String, u32>);

impl Places {
    /// Gives an id the next place; nothing when it has one already.
    pub fn add(&mut self, id: &str, place: usize) -> bool {
        let place = u32::try_from(place).unwrap_or(NONE);
        self.0.insert(id.to_owned(), place).is_none()
    }

    /// The place of an id.
    #[must_use]
    pub fn of(&self, id: &str) -> Option<u32> {
        self.0.get(id).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_back_as_they_were_put_in() {
        let user = |id, login, name, organization| LegacyUser {
            id,
            login,
            name,
            organization,
            roles: SetId::default(),
            permissions: SetId::default(),
            is_active: true,
            is_superuser: false,
        };
        let mut users = LegacyUsers::default();
        users.push(user("1", "änn@toys.example", "Änn 😀", Some(3)));
        users.push(user("", "", "", None));
        let long = "é".repeat(40_000);
        users.push(user("2", &long, "x", None));
        let all: Vec<LegacyUser<'_>> = users.iter().collect();
        assert_eq!(all[0], user("1", "änn@toys.example", "Änn 😀", Some(3)));
        assert_eq!(all[1], user("", "", "", None));
        assert_eq!((all[2].login.len(), all[2].name), (65_534, "x"));
    }
}
