//! Roles are mapped by their names, so roles of one name are called by their ids as well: each of them, so that none takes over the name of
//! another when that one goes.

use super::shown::again;
use crate::facts::LegacyRole;
use std::collections::HashMap;

/// How often names that were made are told apart from others that look like them.
const ROUNDS_MAX: usize = 8;
/// Before the id.
pub(super) const MARK: &str = " #";

/// Gives every role whose name others have the id behind it.
pub(super) fn told_apart(roles: &mut [LegacyRole]) {
    for _ in 0..ROUNDS_MAX {
        let mut times: HashMap<String, u32> = HashMap::with_capacity(roles.len());
        for role in roles.iter() {
            *times.entry(role.name.clone()).or_default() += 1;
        }
        let is_twin = |role: &&mut LegacyRole| times.get(&role.name).is_some_and(|times| *times > 1);
        let mut is_done = true;
        for role in roles.iter_mut().filter(is_twin) {
            role.name = again(&role.name, &role.id);
            is_done = false;
        }
        if is_done {
            return;
        }
    }
}

/// What a role is called that once had a name, or has it without its id: of one name there are several by now, or no more.
#[must_use]
pub fn moved<'r>(roles: &'r [LegacyRole], name: &str) -> Option<&'r str> {
    let has_id = |role: &LegacyRole| again(name, &role.id) == role.name;
    let has_none = |role: &LegacyRole| {
        name.match_indices(MARK).any(|(at, _)| name.get(..at) == Some(role.name.as_str()))
    };
    roles.iter().find(|role| has_id(role) || has_none(role)).map(|role| role.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::SetId;

    fn roles(all: &[(&str, &str)]) -> Vec<LegacyRole> {
        let role = |(id, name): &(&str, &str)| LegacyRole {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            permissions: SetId::default(),
        };
        let mut roles: Vec<LegacyRole> = all.iter().map(role).collect();
        told_apart(&mut roles);
        roles
    }

    #[test]
    fn no_role_takes_over_the_name_of_another() {
        let names = |all| roles(all).into_iter().map(|role| role.name).collect::<Vec<String>>();
        assert_eq!(names(&[("5", "boss"), ("7", "boss"), ("8", "clerk")]), ["boss #5", "boss #7", "clerk"]);
        assert_eq!(
            names(&[("10", "boss"), ("5", "boss"), ("7", "boss")]),
            ["boss #10", "boss #5", "boss #7"]
        );
        assert_eq!(names(&[("7", "boss")]), ["boss"]);
        // A name that looks like one that was made.
        assert_eq!(
            names(&[("5", "boss"), ("7", "boss"), ("9", "boss #7")]),
            ["boss #5", "boss #7 #7", "boss #7 #9"]
        );
        let odd = names(&[("a", "x"), (" a", "x"), ("a\u{202e}", "x"), ("\"a\\u{202e}\"", "x")]);
        let different: std::collections::BTreeSet<&String> = odd.iter().collect();
        assert_eq!(different.len(), 4, "{odd:?}");
    }

    #[test]
    fn a_name_that_means_another_role_by_now_is_found() {
        let (alone, twins) = (roles(&[("7", "boss")]), roles(&[("5", "boss"), ("7", "boss")]));
        assert_eq!(moved(&alone, "boss #5"), Some("boss"));
        assert_eq!(moved(&twins, "boss"), Some("boss #5"));
        assert_eq!((moved(&twins, "boss #9"), moved(&alone, "clerk #7")), (None, None));
    }
}
