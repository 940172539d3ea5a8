//! Reads the rows of a reader's statements into facts, and notes what is not as it should be.

use super::statements::{BETWEEN, ReadError, Statements};
use crate::anomaly::{Anomalies, AnomalyKind};
use crate::facts::{LegacyFacts, LegacyOrganization, LegacyRole, LegacyUser, NONE, Places};
use crate::fingerprint::Fingerprint;
use crate::sets::SetId;
use charter_db::foreign::{Foreign, ForeignRow};
use std::collections::{BTreeSet, HashMap};

/// A user that is being read, with what only passes by.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'a> {
    /// The user.
    pub user: LegacyUser<'a>,
    /// The hash of the password, as it stands there.
    pub password: Option<&'a str>,
}

/// Told of each user as it is read.
pub type EachUser<'f> = &'f mut (dyn FnMut(Passing<'_>, &mut Anomalies) + Send);

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// The facts.
    pub facts: LegacyFacts,
    /// What is wrong with them.
    pub anomalies: Anomalies,
    /// What they come to: other facts have another.
    pub fingerprint: String,
}

/// A truth as any system writes it; nothing where it cannot be told.
fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "yes" | "y" | "on" | "active" | "enabled" => Some(true),
        "0" | "f" | "false" | "no" | "n" | "off" | "inactive" | "disabled" | "" => Some(false),
        _ => None,
    }
}

fn cell<'a>(row: ForeignRow<'a>, place: usize) -> Option<&'a str> {
    row.get(place).copied().flatten()
}

/// Places of the ids of one column, which leaves out those that lead nowhere.
fn ids(joined: Option<&str>, places: &Places, mut missing: impl FnMut(&str)) -> Vec<u32> {
    let joined = joined.unwrap_or_default();
    let mut found = Vec::new();
    for id in joined.split(BETWEEN).filter(|id| !id.is_empty()) {
        match places.of(id) {
            Some(place) => found.push(place),
            None => missing(id),
        }
    }
    found
}

/// Reads everything. Users are also shown to `each`, with the hashes of their passwords, which are kept nowhere.
pub async fn read(
    foreign: &mut Foreign,
    statements: &Statements,
    each: EachUser<'_>,
) -> Result<Heard, ReadError> {
    let mut heard = Heard::default();
    let mut fingerprint = Fingerprint::default();
    let (facts, anomalies) = (&mut heard.facts, &mut heard.anomalies);

    let mut organizations = Places::default();
    if let Some(text) = &statements.organizations {
        let mut put = |row: ForeignRow<'_>| {
            fingerprint.row("organization", row);
            let id = cell(row, 0).unwrap_or_default();
            if !organizations.add(id, facts.organizations.len()) {
                anomalies.note(
                    AnomalyKind::DuplicateOrganization,
                    format!("organization {id}"),
                    "its id stands twice",
                );
                return Ok(());
            }
            if cell(row, 3).is_none_or(|text| truth(text).is_none()) {
                anomalies.note(
                    AnomalyKind::MissingValue,
                    format!("organization {id}"),
                    "whether it is active",
                );
            }
            facts.organizations.push(LegacyOrganization {
                id: id.to_owned(),
                name: cell(row, 1).unwrap_or(id).to_owned(),
                enabled_modules: cell(row, 2).map(str::to_owned),
                is_active: cell(row, 3).and_then(truth).unwrap_or(false),
            });
            Ok(())
        };
        foreign.for_each(text, &mut put).await?;
    }

    let mut permissions = Places::default();
    if let Some(text) = &statements.permissions {
        let mut put = |row: ForeignRow<'_>| {
            fingerprint.row("permission", row);
            if let (Some(id), Some(code)) = (cell(row, 0), cell(row, 1)) {
                // Two rows of one code are one permission.
                let known = facts.permissions.iter().position(|known| known == code);
                permissions.add(id, known.unwrap_or(facts.permissions.len()));
                if known.is_none() {
                    facts.permissions.push(code.to_owned());
                }
            } else {
                anomalies.note(AnomalyKind::MissingValue, "a permission", "its id or code");
            }
            Ok(())
        };
        foreign.for_each(text, &mut put).await?;
    }

    let mut roles = Places::default();
    let mut allowed: Vec<Vec<u32>> = Vec::new();
    if let Some(text) = &statements.roles {
        let mut put = |row: ForeignRow<'_>| {
            fingerprint.row("role", row);
            let id = cell(row, 0).unwrap_or_default();
            roles.add(id, facts.roles.len());
            facts.roles.push(LegacyRole {
                id: id.to_owned(),
                name: cell(row, 1).unwrap_or(id).to_owned(),
                permissions: SetId::default(),
            });
            allowed.push(Vec::new());
            Ok(())
        };
        foreign.for_each(text, &mut put).await?;
    }
    if let Some(text) = &statements.role_permissions {
        let mut put = |row: ForeignRow<'_>| {
            fingerprint.row("role permission", row);
            let role = cell(row, 0).and_then(|id| roles.of(id));
            let permission = cell(row, 1).and_then(|id| permissions.of(id));
            if let (Some(role), Some(permission)) = (role, permission)
                && let Some(allowed) = allowed.get_mut(role as usize)
            {
                allowed.push(permission);
            }
            Ok(())
        };
        foreign.for_each(text, &mut put).await?;
    }
    let mut implied: Vec<(u32, u32)> = Vec::new();
    if let Some(text) = &statements.implied {
        let mut put = |row: ForeignRow<'_>| {
            fingerprint.row("implied role", row);
            let role = cell(row, 0).and_then(|id| roles.of(id));
            let other = cell(row, 1).and_then(|id| roles.of(id));
            implied.extend(role.zip(other));
            Ok(())
        };
        foreign.for_each(text, &mut put).await?;
    }
    for (place, permissions) in closed(allowed, &implied).into_iter().enumerate() {
        let set = facts.permission_sets.keep(permissions);
        if let Some(role) = facts.roles.get_mut(place) {
            role.permissions = set;
        }
    }

    for text in &statements.orphans {
        let mut put = |row: ForeignRow<'_>| {
            let (place, what) = (cell(row, 0).unwrap_or("a row"), cell(row, 1).unwrap_or("something"));
            anomalies.note(AnomalyKind::Orphan, place, format!("{what} is not there"));
            Ok(())
        };
        foreign.for_each(text, &mut put).await?;
    }

    let everybody: Vec<u32> = statements.everybody.iter().filter_map(|id| roles.of(id)).collect();
    let are_words = statements.roles.is_none();
    let has_organizations = statements.organizations.is_some();
    let mut logins: HashMap<u64, u64> = HashMap::new();
    let mut twice: BTreeSet<u64> = BTreeSet::new();
    let mut put = |row: ForeignRow<'_>| {
        // The password is no part of who may do what: its hash changes when people sign in.
        fingerprint.row("user", row.get(..row.len().saturating_sub(1)).unwrap_or_default());
        let id = cell(row, 0).unwrap_or_default();
        let named = || format!("user {id}");
        let login = cell(row, 1).unwrap_or_default().trim();
        if login.is_empty() {
            anomalies.note(AnomalyKind::MissingLogin, named(), "nothing to sign in with");
            return Ok(());
        }
        let folded = folded_hash(login);
        // The same user in two organizations is one.
        let same = hash_of(id);
        if logins.insert(folded, same).is_some_and(|before| before != same) {
            twice.insert(folded);
        }
        let mut decides = |place: usize, what: &str, is_there: bool| match cell(row, place).map(truth) {
            Some(Some(truth)) => truth,
            _ => {
                if is_there {
                    anomalies.note(AnomalyKind::MissingValue, named(), what);
                }
                false
            }
        };
        let is_active = decides(3, "whether the user may sign in", true);
        let is_superuser = decides(4, "whether the user is a superuser", cell(row, 4).is_some());
        let mut held = ids(cell(row, 7), &roles, |_| {});
        if are_words {
            match cell(row, 6).map(str::trim).filter(|word| !word.is_empty()) {
                Some(word) => {
                    let place = roles.of(word).unwrap_or_else(|| {
                        let place = facts.roles.len();
                        roles.add(word, place);
                        facts.roles.push(LegacyRole {
                            id: word.to_owned(),
                            name: word.to_owned(),
                            permissions: SetId::default(),
                        });
                        u32::try_from(place).unwrap_or(NONE)
                    });
                    held.push(place);
                }
                None => anomalies.note(AnomalyKind::MissingRole, named(), "no role"),
            }
        }
        held.extend(&everybody);
        let organization = cell(row, 5).and_then(|id| organizations.of(id));
        if has_organizations && organization.is_none() {
            let detail = match cell(row, 5) {
                Some(id) => format!("organization {id} is not there"),
                None => "belongs to no organization".to_owned(),
            };
            anomalies.note(AnomalyKind::Orphan, named(), detail);
        }
        if !is_active && (!held.is_empty() || is_superuser) {
            anomalies.note(AnomalyKind::InactiveWithRoles, named(), "may not sign in, and holds roles");
        }
        let user = LegacyUser {
            id,
            login,
            name: cell(row, 2).map(str::trim).unwrap_or_default(),
            organization,
            roles: facts.role_sets.keep(held),
            permissions: facts.permission_sets.keep(ids(cell(row, 8), &permissions, |_| {})),
            is_active,
            is_superuser,
        };
        each(Passing { user, password: cell(row, 9) }, anomalies);
        facts.users.push(user);
        Ok(())
    };
    foreign.for_each(&statements.users, &mut put).await?;
    if !twice.is_empty() {
        for user in facts.users.iter().filter(|user| twice.contains(&folded_hash(user.login))) {
            let detail = format!("signs in as {}, and so does another", user.login);
            anomalies.note(AnomalyKind::DuplicateLogin, format!("user {}", user.id), detail);
        }
    }
    heard.fingerprint = fingerprint.words();
    Ok(heard)
}

/// A login as Charter compares it: a number, so that a million of them are held small. Two that are one by chance are only looked at twice.
fn folded_hash(login: &str) -> u64 {
    hash_of(&login.to_lowercase())
}

fn hash_of(text: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What each role allows with what it implies, over any number of steps; rings are no harm.
fn closed(allowed: Vec<Vec<u32>>, implied: &[(u32, u32)]) -> Vec<Vec<u32>> {
    if implied.is_empty() {
        return allowed;
    }
    let mut next: Vec<Vec<u32>> = vec![Vec::new(); allowed.len()];
    for (role, other) in implied {
        if let Some(next) = next.get_mut(*role as usize) {
            next.push(*other);
        }
    }
    let reach = |from: usize| {
        let mut seen = BTreeSet::from([u32::try_from(from).unwrap_or(NONE)]);
        let mut open: Vec<u32> = seen.iter().copied().collect();
        while let Some(at) = open.pop() {
            for other in next.get(at as usize).into_iter().flatten() {
                if seen.insert(*other) {
                    open.push(*other);
                }
            }
        }
        seen
    };
    (0..allowed.len())
        .map(|from| {
            let mut all: Vec<u32> = reach(from)
                .into_iter()
                .filter_map(|role| allowed.get(role as usize))
                .flatten()
                .copied()
                .collect();
            all.sort_unstable();
            all.dedup();
            all
        })
        .collect()
}
