//! The export of a Keycloak realm: a file. A user holds the roles that are given, those of the groups the user is in and of the groups
//! above them, and all that composite roles bring with them, over any number of steps: what a token of the user would list. Each role is a
//! permission of its own. Accounts of clients are programs and are left out.

mod form;

use super::intake::{self, EachUser, Heard, Intake, Shape, Taking};
use super::statements::{BETWEEN, Wanted};
use crate::anomaly::AnomalyKind;
use form::{Group, Realm, Role, Roles, User};
use std::collections::{BTreeMap, BTreeSet};

/// Between the client and the name in the id of a role; no name holds it.
const OF: char = '\u{1e}';

/// The id of a role here. No client is called nothing; who says so means no role of the realm.
fn id(client: Option<&str>, name: &str) -> String {
    match client {
        None => format!("{OF}{name}"),
        Some("") => format!("{OF}{OF}{name}"),
        Some(client) => format!("{client}{OF}{name}"),
    }
}

/// Whether the id of a role could be taken for another's.
fn is_unfit(client: Option<&str>, name: &str) -> bool {
    let holds = |text: &str| text.contains(OF) || intake::is_unfit(text);
    client.is_some_and(holds) || holds(name)
}

/// The code of a role as a permission. What stands behind the last dot is the role's name, whatever dots the client has.
fn code(client: Option<&str>, name: &str) -> String {
    match client {
        None => format!("realm.{name}"),
        Some(client) => format!("clients.{client}.{}", name.replace('%', "%25").replace('.', "%2E")),
    }
}

/// All roles: the client, or nothing of the realm, and the role.
fn all(roles: &Roles) -> impl Iterator<Item = (Option<&str>, &Role)> {
    let of_realm = roles.realm.iter().map(|role| (None, role));
    let of_clients = roles.client.iter();
    of_realm
        .chain(of_clients.flat_map(|(client, all)| all.iter().map(move |role| (Some(client.as_str()), role))))
}

/// Ids of roles that are named one under the other.
fn named(realm: &[String], client: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let of_clients =
        client.iter().flat_map(|(client, names)| names.iter().map(|name| id(Some(client), name)));
    realm.iter().map(|name| id(None, name)).chain(of_clients).collect()
}

/// An id as a person reads it.
fn shown(id: &str) -> String {
    match id.split_once(OF) {
        Some(("", name)) => format!("the role {name}"),
        Some((client, name)) => format!("the role {name} of the client {client}"),
        None => id.to_owned(),
    }
}

/// Roles and what they bring with them, and groups by their paths.
#[derive(Default)]
struct Known {
    brings: BTreeMap<String, Vec<String>>,
    groups: BTreeMap<String, BTreeSet<String>>,
    doubled: BTreeSet<String>,
}

impl Known {
    fn add_roles(&mut self, roles: &Roles) {
        for (client, role) in all(roles).filter(|(client, role)| !is_unfit(*client, &role.name)) {
            let brings = named(&role.composites.realm, &role.composites.client);
            self.brings.insert(id(client, &role.name), brings);
        }
    }

    /// Groups by their paths; a group has what those above it have.
    fn add_groups(&mut self, groups: &[Group], above: &str, held: &BTreeSet<String>) {
        for group in groups {
            let path = match group.path.as_str() {
                "" => format!("{above}/{}", group.name.replace('/', "~/")),
                path => path.to_owned(),
            };
            let mut held = held.clone();
            held.extend(named(&group.realm_roles, &group.client_roles));
            self.add_groups(&group.sub_groups, &path, &held);
            // Older versions write the path of a group `a/b` like that of `b` within `a`.
            if self.groups.get(&path).is_some_and(|other| *other != held) {
                self.doubled.insert(path.clone());
            }
            self.groups.insert(path, held);
        }
    }

    /// All roles that these come to; ids that lead nowhere are kept.
    fn closed(&self, from: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<String> = from.into_iter().collect();
        while let Some(role) = open.pop() {
            if let Some(brings) = self.brings.get(&role) {
                open.extend(brings.iter().filter(|it| !seen.contains(*it)).cloned());
            }
            seen.insert(role);
        }
        seen
    }
}

fn parsed(text: &str) -> Result<Realm, Wanted> {
    let unfit = |why: String| Wanted::Unfit(format!("this is no export of a Keycloak realm: {why}"));
    // Some programs write a mark in front when they write a file anew.
    let text = text.trim_start_matches('\u{feff}');
    let is_list = text.trim_start().starts_with('[');
    let mut realms: Vec<Realm> = if is_list {
        serde_json::from_str(text).map_err(|flaw| unfit(flaw.to_string()))?
    } else {
        vec![serde_json::from_str(text).map_err(|flaw| unfit(flaw.to_string()))?]
    };
    match (realms.pop(), realms.is_empty()) {
        (Some(realm), true) if realm.realm.is_empty() => Err(unfit("it names no realm".to_owned())),
        (Some(realm), true) if realm.users.is_empty() => Err(Wanted::Unfit(format!(
            "the export of the realm {} holds no users: export it with `kc.sh export --realm {} --users realm_file --file realm.json`",
            realm.realm, realm.realm
        ))),
        (Some(realm), true) => Ok(realm),
        (None, _) => Err(unfit("it is empty".to_owned())),
        (Some(_), false) => Err(Wanted::Unfit(
            "the export holds several realms: export the one that is meant with `kc.sh export --realm NAME`"
                .to_owned(),
        )),
    }
}

fn take_roles(intake: &mut Intake, roles: &Roles) {
    for (client, role) in all(roles) {
        let (id, code) = (id(client, &role.name), code(client, &role.name));
        if is_unfit(client, &role.name) {
            let row = format!("role {:?}", role.name);
            let detail =
                client.map_or_else(|| "of the realm".to_owned(), |it| format!("of the client {it:?}"));
            intake.finding(AnomalyKind::UnfitId, &[Some(&row), Some(&detail)]);
            continue;
        }
        let name = client.map_or_else(|| role.name.clone(), |client| format!("{client}/{}", role.name));
        intake.permission(&[Some(&id), Some(&code)]);
        intake.role(&[Some(&id), Some(&name)]);
        intake.role_permission(&[Some(&id), Some(&id)]);
    }
    intake.close_roles();
}

fn take_user(intake: &mut Intake, known: &Known, user: &User, each: EachUser<'_>) {
    let key = if user.id.is_empty() { &user.username } else { &user.id };
    let row = format!("user {key}");
    if let Some(client) = &user.service_account_client_id {
        let detail = format!("{}: the account of the client {client}", user.username);
        intake.finding(AnomalyKind::Program, &[Some(&row), Some(&detail)]);
        return;
    }
    let mut held = named(&user.realm_roles, &user.client_roles);
    for group in &user.groups {
        match known.groups.get(group) {
            _ if known.doubled.contains(group) => {}
            Some(roles) => held.extend(roles.iter().cloned()),
            None => {
                intake.finding(AnomalyKind::Orphan, &[Some(&row), Some(&format!("the group {group}"))]);
            }
        }
    }
    let held = known.closed(held);
    for role in held.iter().filter(|role| !known.brings.contains_key(*role)) {
        intake.finding(AnomalyKind::Orphan, &[Some(&row), Some(&shown(role))]);
    }
    let roles: Vec<String> = held.into_iter().filter(|role| known.brings.contains_key(role)).collect();
    let roles = roles.join(&BETWEEN.to_string());
    let name = format!("{} {}", user.first_name, user.last_name);
    let is_active = user.enabled.map(|it| if it { "true" } else { "false" });
    let password = user.credentials.iter().find(|it| it.kind == "password").map(form::Credential::hash);
    let cells = [
        Some(key.as_str()),
        Some(user.username.as_str()),
        Some(name.as_str()),
        is_active,
        None,
        None,
        None,
        Some(roles.as_str()),
        None,
        password.as_deref(),
    ];
    intake.user(&cells, each);
}

/// Reads the text of the file.
pub fn read(text: &str, taking: impl Into<Taking>, each: EachUser<'_>) -> Result<Heard, Wanted> {
    let realm = parsed(text)?;
    let mut intake = Intake::new(Shape::default(), taking.into());
    let mut known = Known::default();
    known.add_roles(&realm.roles);
    known.add_groups(&realm.groups, "", &BTreeSet::new());
    take_roles(&mut intake, &realm.roles);
    for path in &known.doubled {
        let row = format!("group {path}");
        intake.finding(AnomalyKind::DuplicateGroup, &[Some(&row), Some("two groups have this path")]);
    }
    for user in &realm.users {
        take_user(&mut intake, &known, user, &mut *each);
    }
    Ok(intake.finish())
}
