//! Takes up the rows of another system, whatever they come from, and makes facts of them; what is not as it should be is noted.

mod links;
mod shown;
mod twins;
mod users;

pub use twins::moved;

use super::statements::{BETWEEN, INSTEAD, Statements};
use crate::anomaly::{Anomalies, AnomalyKind};
use crate::facts::{LegacyFacts, LegacyOrganization, LegacyRole, LegacyUser, Places};
use crate::fingerprint::Fingerprint;
use crate::sets::SetId;
use charter_db::foreign::ForeignRow;
use std::collections::{BTreeSet, HashMap};

/// Brings a login into the one form in which logins are compared, or says why it can be none here.
pub type LoginRule = fn(&str) -> Result<String, String>;

/// How rows are taken up.
#[derive(Debug, Clone, Copy)]
pub struct Taking {
    /// What makes a login of a text.
    pub rule: LoginRule,
    /// Whether every row that is not as it should be is named, and not the first of each kind alone.
    pub names_all: bool,
}

impl From<LoginRule> for Taking {
    fn from(rule: LoginRule) -> Self {
        Self { rule, names_all: false }
    }
}

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

/// What the rows of a system tell, and what they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shape {
    /// Roles are words that stand at users.
    pub are_words: bool,
    /// Users belong to organizations.
    pub has_organizations: bool,
    /// Organizations say which modules they have.
    pub tells_modules: bool,
    /// Users are superusers or not.
    pub tells_superuser: bool,
}

/// Rows on their way to facts.
pub(super) struct Intake {
    heard: Heard,
    shape: Shape,
    rule: LoginRule,
    fingerprint: Fingerprint,
    organizations: Places,
    permissions: Places,
    codes: Places,
    roles: Places,
    allowed: Vec<Vec<u32>>,
    implied: Vec<(u32, u32)>,
    everybody: Vec<u32>,
    logins: HashMap<u64, u64>,
    ids: HashMap<u64, u64>,
    twice: BTreeSet<u64>,
    nameless: Vec<users::Nameless>,
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

/// Places of the ids of one column, without those that lead nowhere: a statement of its own names these.
fn ids(joined: Option<&str>, places: &Places) -> Vec<u32> {
    joined.unwrap_or_default().split(BETWEEN).filter_map(|id| places.of(id)).collect()
}

/// Whether an id could be taken for none, or for several.
pub(super) fn is_unfit(id: &str) -> bool {
    id.is_empty() || id.contains([BETWEEN, INSTEAD])
}

impl Intake {
    pub(super) fn new(shape: Shape, taking: Taking) -> Self {
        let mut heard = Heard::default();
        if taking.names_all {
            heard.anomalies.name_all();
        }
        Self {
            heard,
            shape,
            rule: taking.rule,
            fingerprint: Fingerprint::default(),
            organizations: Places::default(),
            permissions: Places::default(),
            codes: Places::default(),
            roles: Places::default(),
            allowed: Vec::new(),
            implied: Vec::new(),
            everybody: Vec::new(),
            logins: HashMap::new(),
            ids: HashMap::new(),
            twice: BTreeSet::new(),
            nameless: Vec::new(),
        }
    }

    fn note(&mut self, kind: AnomalyKind, row: impl Into<String>, detail: impl Into<String>) {
        self.heard.anomalies.note(kind, row, detail);
    }

    /// A row that nothing can refer to is named by what it is called.
    fn without_id(&mut self, what: &str, called: Option<&str>) {
        let row = called.map_or_else(|| format!("{what} without a name"), |it| format!("{what} {it:?}"));
        self.note(AnomalyKind::MissingValue, row, "its id");
    }

    /// An organization: id, name, enabled modules, whether it is active.
    pub(super) fn organization(&mut self, row: ForeignRow<'_>) {
        self.fingerprint.row("organization", row);
        let Some(id) = cell(row, 0) else {
            self.without_id("organization", cell(row, 1));
            return;
        };
        let named = || format!("organization {id}");
        if !self.organizations.add(id, self.heard.facts.organizations.len()) {
            self.note(AnomalyKind::DuplicateOrganization, named(), "its id stands twice");
            return;
        }
        if cell(row, 3).and_then(truth).is_none() {
            self.note(AnomalyKind::MissingValue, named(), "whether it is active");
        }
        if self.shape.tells_modules && cell(row, 2).is_none() {
            self.note(AnomalyKind::MissingValue, named(), "which modules it has");
        }
        self.heard.facts.organizations.push(LegacyOrganization {
            id: id.to_owned(),
            name: shown::named(cell(row, 1), id),
            enabled_modules: cell(row, 2).map(str::to_owned),
            is_active: cell(row, 3).and_then(truth).unwrap_or(false),
        });
    }

    /// A permission: id, code. Two rows of one code are one permission.
    pub(super) fn permission(&mut self, row: ForeignRow<'_>) {
        self.fingerprint.row("permission", row);
        let Some(id) = cell(row, 0) else {
            self.without_id("permission", cell(row, 1));
            return;
        };
        let Some(code) = cell(row, 1) else {
            self.note(AnomalyKind::MissingValue, format!("permission {id}"), "its code");
            return;
        };
        if is_unfit(id) {
            self.note(AnomalyKind::UnfitId, format!("permission {id:?}"), format!("the permission {code:?}"));
            return;
        }
        let next = self.heard.facts.permissions.len();
        let place = self.codes.of(code).map_or(next, |known| known as usize);
        self.permissions.add(id, place);
        if place == next {
            self.codes.add(code, place);
            self.heard.facts.permissions.push(code.to_owned());
        }
    }

    /// A role: id, name.
    pub(super) fn role(&mut self, row: ForeignRow<'_>) {
        self.fingerprint.row("role", row);
        let Some(id) = cell(row, 0) else {
            self.without_id("role", cell(row, 1));
            return;
        };
        if is_unfit(id) {
            let name = cell(row, 1).unwrap_or_default();
            self.note(AnomalyKind::UnfitId, format!("role {id:?}"), format!("the role {name:?}"));
            return;
        }
        if self.roles.of(id).is_some() {
            return;
        }
        self.named_role(id, cell(row, 1));
    }

    fn named_role(&mut self, id: &str, name: Option<&str>) -> u32 {
        let facts = &mut self.heard.facts;
        let name = shown::named(name, id);
        self.roles.add(id, facts.roles.len());
        facts.roles.push(LegacyRole { id: id.to_owned(), name, permissions: SetId::default() });
        self.allowed.push(Vec::new());
        self.roles.of(id).unwrap_or_default()
    }

    /// Roles that everybody holds who may sign in.
    pub(super) fn everybody(&mut self, roles: &[String]) {
        self.everybody = roles.iter().filter_map(|id| self.roles.of(id)).collect();
    }

    /// A row that was found to be not as it should be: which it is, and what is wrong with it.
    pub(super) fn finding(&mut self, kind: AnomalyKind, row: ForeignRow<'_>) {
        let (place, what) = (cell(row, 0).unwrap_or("a row"), cell(row, 1).unwrap_or("something"));
        let detail =
            if kind == AnomalyKind::Orphan { format!("{what} is not there") } else { what.to_owned() };
        self.note(kind, place, detail);
    }

    /// What it all came to.
    pub(super) fn finish(mut self) -> Heard {
        self.note_twins();
        self.keep_nameless();
        twins::told_apart(&mut self.heard.facts.roles);
        self.heard.fingerprint = self.fingerprint.words();
        self.heard
    }
}

impl Statements {
    pub(super) fn shape(&self) -> Shape {
        Shape {
            are_words: self.roles.is_none(),
            has_organizations: self.organizations.is_some(),
            tells_modules: self.tells_modules,
            tells_superuser: self.tells_superuser,
        }
    }
}
