//! What people took away by hand of what runs gave, and the other system still gives: found among the rows that a run would write, and decided
//! name by name. It is given back, or kept away (`away.rs`); what is kept away stays so with the runs that follow, as long as the other system
//! gives it.

use crate::away::{Away, Kept, What, on_after};
use crate::change::{Changes, lower};
use crate::effect::Effects;
use crate::plan::{Ground, more};
use crate::removals::Removals;
use crate::rows::{Known, Making, Rows};
use charter_kernel::{OrganizationId, PrincipalId, counted};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// By this name one keeps all away that people took away.
pub const KEEP_ALL: &str = "flag:away";
/// By this name one says that nobody took away by hand what runs without notes of it may have given.
pub const UNNOTED: &str = "flag:unnoted";
/// Before a login: what people took away from whoever has it comes back.
pub const BACK: &str = "back:";
/// Before a login: it stays away.
const AWAY: &str = "away:";
/// Before a login: what comes to it anew is given, though it gives some of what people took away; that stays as it is.
const NEW: &str = "new:";
/// How a right is named that gives some of what people took away, and is another one.
pub(crate) const IS_NEW: &str = ", new there";
/// How one is named that stands, and whose role gives more by the run.
pub(crate) const IS_MORE: &str = ", which gives more there";
/// Before the key of an organization: modules that people removed are switched again as the other system says.
pub const MODULES_BACK: &str = "modules-back:";
/// Before it: they stay as people left them.
pub const MODULES_AWAY: &str = "modules-away:";
/// Rights that are named one by one; all are counted.
const NAMED_MAX: usize = 1_000;
/// Rights and organizations that are told one by one of what nobody decided.
const TOLD_MAX: usize = 5;

/// A right of a user that a run would give, and that people took away or a run kept away.
#[derive(Debug, Clone)]
pub struct Taken {
    /// What the user signs in with.
    pub login: String,
    /// The organization.
    pub organization: OrganizationId,
    /// The account.
    pub principal: PrincipalId,
    /// What it is.
    pub what: What,
    /// The user's row in the facts.
    pub(crate) place: u32,
    /// The bits that say what its row is of; none for a membership.
    pub(crate) bits: Option<u64>,
    /// Whether the newest run was told to keep it away, or all that it gives.
    is_kept: bool,
    /// Whether it is another one, which gives some of it.
    is_new: bool,
    /// Whether its row stands, and its role gives more by this run.
    is_more: bool,
}

/// What was found among the rows that a run would write.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// What people took away, or a run kept away.
    pub taken: Vec<Taken>,
    /// Users who would get something of which nobody knows whether people took it away, by their logins.
    pub unsure: BTreeSet<String>,
    removals_of_roles: HashSet<(OrganizationId, String)>,
    modules: BTreeMap<OrganizationId, BTreeSet<String>>,
    /// Modules that are on in those organizations once the run is done, as long as they stay as people left them.
    on: BTreeMap<OrganizationId, BTreeSet<String>>,
}

impl Found {
    /// Whether a row is of what people took away.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        let bits = id.parse::<OrganizationId>().ok().map(|id| lower(id.0));
        self.taken.iter().any(|taken| taken.bits.is_some() && taken.bits == bits)
    }
}

/// The rows of one user, each as what it is.
fn each_row(rows: &Rows) -> impl Iterator<Item = (OrganizationId, What, Option<u64>)> + '_ {
    let id = |text: &str| text.parse::<OrganizationId>().unwrap_or(OrganizationId(0));
    let bits = move |text: &str| Some(lower(id(text).0));
    let memberships = rows.memberships.iter().map(move |row| (id(&row.organization), What::Membership, None));
    let assignments = rows.assignments.iter();
    let assignments =
        assignments.map(move |row| (id(&row.organization), What::Role(row.role.clone()), bits(&row.id)));
    let grants = rows.grants.iter();
    let grants =
        grants.map(move |row| (id(&row.organization), What::Right(row.pattern.clone()), bits(&row.id)));
    memberships.chain(assignments).chain(grants)
}

/// Looks for what people took away among what a run would write, but for what stands; of that, only what gives more by the run.
#[must_use]
pub fn find(ground: &Ground<'_>, known: &Known, changes: &Changes, removals: &Removals) -> Found {
    let (removals_of_roles, modules) = (removals.roles.clone(), removals.modules.clone());
    let on = on_after(ground, changes, removals);
    let mut found = Found { removals_of_roles, modules, on, ..Found::default() };
    if removals.is_none() {
        return found;
    }
    let mut making = Making::new(ground.source(known, 0));
    let mut effects = Effects::new(ground);
    let mut seen = HashSet::new();
    let standing: HashSet<OrganizationId> = match removals.is_unnoted {
        true => known.standing.iter().map(|(_, id)| *id).chain(known.platform).collect(),
        false => HashSet::new(),
    };
    let more: HashMap<(OrganizationId, &str), &[String]> = changes
        .roles
        .iter()
        .map(|role| ((role.organization, role.key.as_str()), role.gains.as_slice()))
        .collect();
    for (place, user) in (0_u32..).zip(ground.facts.users.iter()) {
        let principal = making.principal(user.id);
        let mut rows = Rows::default();
        making.member(user, &mut rows);
        let is_known = known.users.contains_key(user.id);
        for (organization, what, bits) in each_row(&rows) {
            let whose = (organization, principal);
            let taken = |is_kept, is_new, is_more| {
                let (login, what) = (user.login.to_owned(), what.clone());
                Taken { login, organization, principal, what, place, bits, is_kept, is_new, is_more }
            };
            if bits.is_some_and(|bits| changes.kept.has_bits(bits)) {
                let gains = more.get(&(organization, what.words().1)).filter(|gains| !gains.is_empty());
                let gains = gains.map(|gains| effects.of("", gains));
                if gains.is_some_and(|gains| removals.is_like(&mut effects, whose, gains.as_deref()).0) {
                    found.taken.push(taken(false, false, true));
                }
                continue;
            }
            let is_out = removals.members.contains(&whose);
            let is_gone = match &what {
                What::Role(key) => is_out || removals.roles.contains(&(organization, key.clone())),
                What::Membership | What::Right(_) => is_out,
            };
            let is_kept = removals.kept.contains(&(organization, principal, what.clone()));
            // Somebody whom people let in again is a member.
            let stays_away = is_kept && what != What::Membership;
            if is_gone || stays_away || bits.is_some_and(|bits| removals.rows.contains(&bits)) {
                found.taken.push(taken(is_kept, false, false));
                continue;
            }
            let is_by_name = removals.is_by_name || what == What::Membership;
            if !is_by_name && removals.is_about(whose) {
                // Over all organizations everything is one.
                let gives = match known.platform == Some(organization) {
                    true => None,
                    false => effects.of_right(&what),
                };
                let (is_like, is_kept) = removals.is_like(&mut effects, whose, gives.as_deref());
                if is_like {
                    found.taken.push(taken(is_kept, true, false));
                    continue;
                }
            }
            if is_known && standing.contains(&organization) && bits.is_some_and(|bits| seen.insert(bits)) {
                found.unsure.insert(user.login.to_owned());
            }
        }
    }
    found
}

/// What becomes of a right that people took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Becomes {
    /// Nobody said.
    Open,
    /// It is given back.
    Back,
    /// It stays away.
    Away,
}

/// A right that people took away, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// What the user signs in with.
    pub login: String,
    /// The organization, by its key.
    pub organization: String,
    /// What it is.
    pub what: String,
    /// What becomes of it.
    pub becomes: Becomes,
}

/// What people took away by hand and the other system still gives, as a plan has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakenAway {
    /// Of so much nobody said what becomes of it.
    pub open: u64,
    /// So much is given back.
    pub back: u64,
    /// So much stays away.
    pub away: u64,
    /// What stays away comes to this.
    pub away_sum: String,
    /// What is given back comes to this.
    pub back_sum: String,
    /// The first by name, those of which nobody said anything before the others.
    pub named: Vec<Named>,
    /// Modules that people removed, organization by organization.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<NamedModules>,
}

/// Modules that people removed in an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedModules {
    /// The organization, by its key.
    pub organization: String,
    /// The modules.
    pub modules: BTreeSet<String>,
    /// What becomes of them.
    pub becomes: Becomes,
}

impl TakenAway {
    /// Whether people took nothing away.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether nothing is left to do that a plan did not do.
    #[must_use]
    pub fn is_done_by(&self, other: &Self) -> bool {
        let is_away = self.modules.iter().all(|it| it.becomes == Becomes::Away);
        is_away
            && self.modules == other.modules
            && (self.open, self.back) == (0, 0)
            && (self.away, &self.away_sum) == (other.away, &other.away_sum)
    }

    /// Whether it is what is left once a run of that plan was opened: all that the plan gives back stands, and people took nothing away since.
    #[must_use]
    pub fn is_what_stands_of(&self, plan: &Self) -> bool {
        (self.open, self.back) == (0, 0)
            && (self.away, &self.away_sum) == (plan.away, &plan.away_sum)
            && self.modules.iter().eq(plan.modules_that(Becomes::Away))
    }

    /// The modules of which something becomes, organization by organization.
    pub fn modules_that(&self, becomes: Becomes) -> impl Iterator<Item = &NamedModules> {
        self.modules.iter().filter(move |it| it.becomes == becomes)
    }

    /// What has to be said of what people took away by hand.
    pub(crate) fn obstacles(&self, is_approved: bool) -> Vec<String> {
        let (open, back) = (self.open, self.back);
        let rights = |count| counted(count, "right or membership", "rights and memberships");
        let mut all = Vec::new();
        if open > 0 {
            let first = self.named.iter().filter(|it| it.becomes == Becomes::Open).take(TOLD_MAX);
            let first: Vec<String> =
                first.map(|it| format!("{}: {} in {}", it.login, it.what, it.organization)).collect();
            all.push(format!(
                "people took away {} that the other system still gives ({}{}): accept each as given back with --accept back:LOGIN, or as kept \
                 away with --accept away:LOGIN; --accept {} keeps all of it away{}",
                rights(open),
                first.join(", "),
                more(open, first.len()),
                KEEP_ALL,
                self.other_words(),
            ));
        }
        let modules: Vec<&str> =
            self.modules_that(Becomes::Open).map(|it| it.organization.as_str()).collect();
        if !modules.is_empty() {
            let first = modules.len().min(TOLD_MAX);
            all.push(format!(
                "people removed modules that runs had switched in {} ({}{}): accept each as it was with --accept modules-back:KEY, or as people left \
                 it with --accept modules-away:KEY; --accept {} leaves all so",
                counted(modules.len() as u64, "organization", "organizations"),
                modules.iter().take(first).copied().collect::<Vec<_>>().join(", "),
                more(modules.len() as u64, first),
                KEEP_ALL
            ));
        }
        let is_back = back > 0 || self.modules_that(Becomes::Back).next().is_some();
        if all.is_empty() && is_back && !is_approved {
            all.push(match back {
                0 => "modules that people removed come back: that wants two people by name, --approved-by NAME twice"
                    .to_owned(),
                back => format!(
                    "{} that people took away {} given back: that wants two people by name, --approved-by NAME twice",
                    rights(back),
                    if back == 1 { "is" } else { "are" }
                ),
            });
        }
        all
    }

    /// What else may be said of what is open: of roles that are new there, and of those that give more.
    fn other_words(&self) -> String {
        let open = || self.named.iter().filter(|it| it.becomes == Becomes::Open);
        let mut words = String::new();
        if open().any(|it| it.what.ends_with(IS_NEW)) {
            words.push_str("; --accept new:LOGIN gives what is new there, and nothing besides");
        }
        if open().any(|it| it.what.ends_with(IS_MORE)) {
            words.push_str("; what gives more is given back, or the role is taken from them here");
        }
        words
    }
}

/// What was decided.
#[derive(Debug, Clone, Default)]
pub struct Decided {
    /// What a plan says of it.
    pub told: TakenAway,
    /// What stays away.
    pub away: Away,
    /// What comes back, by the bits that say what the rows are of.
    pub back: HashSet<u64>,
    /// Logins of which two things are said.
    pub twice: BTreeSet<String>,
    /// Rights of which nobody said what becomes of them, by login.
    pub open: Vec<(String, String)>,
}

fn sum(of: &BTreeSet<Kept>) -> String {
    if of.is_empty() {
        return String::new();
    }
    let mut sum = Sha256::new();
    for (organization, principal, what) in of {
        let (kind, key) = what.words();
        sum.update(format!("{organization} {principal} {kind} {key}\n"));
    }
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decides by what was accepted: `back:LOGIN`, `away:LOGIN`, or [`KEEP_ALL`]. What a run kept away before stays so unless it is given back.
#[must_use]
pub fn decide(ground: &Ground<'_>, known: &Known, found: &Found, accepted: &BTreeSet<String>) -> Decided {
    let mut decided = Decided::default();
    let keys: HashMap<OrganizationId, &str> =
        known.organizations.values().map(|(id, key)| (*id, key.as_str())).collect();
    let says = |prefix: &str, login: &str| accepted.contains(&format!("{prefix}{login}"));
    let (mut back, mut open, mut named) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut roles_back = HashSet::new();
    for taken in &found.taken {
        let becomes = match (says(BACK, &taken.login), says(AWAY, &taken.login)) {
            _ if taken.is_new && says(NEW, &taken.login) => Becomes::Back,
            // What its role gives more cannot be kept from one of those who hold it.
            (false, _) if taken.is_more => Becomes::Open,
            (true, true) => {
                decided.twice.insert(taken.login.clone());
                Becomes::Open
            }
            (true, false) => Becomes::Back,
            (false, true) => Becomes::Away,
            (false, false) if taken.is_kept || accepted.contains(KEEP_ALL) => Becomes::Away,
            (false, false) => Becomes::Open,
        };
        let it = (taken.organization, taken.principal, taken.what.clone());
        match becomes {
            Becomes::Open => _ = open.insert(it),
            Becomes::Away => decided.away.add(ground, known.platform, taken),
            Becomes::Back => {
                decided.back.extend(taken.bits);
                if let What::Role(key) = &taken.what {
                    roles_back.insert((taken.organization, key.clone()));
                }
                back.insert(it);
            }
        }
        let organization = match keys.get(&taken.organization) {
            Some(key) => (*key).to_owned(),
            None if known.platform == Some(taken.organization) => "platform".to_owned(),
            None => taken.organization.to_string(),
        };
        let words = match (taken.is_new, taken.is_more) {
            (true, _) => format!("{}{IS_NEW}", taken.what),
            (_, true) => format!("{}{IS_MORE}", taken.what),
            _ => taken.what.to_string(),
        };
        named.insert((becomes, taken.login.clone(), organization, taken.what.clone(), words));
    }
    let is_away = |role: &(OrganizationId, String)| !roles_back.contains(role);
    decided.away.roles = found.removals_of_roles.iter().filter(|role| is_away(role)).cloned().collect();
    let is_open = |(becomes, ..): &&(Becomes, String, String, What, String)| *becomes == Becomes::Open;
    let words = |(_, login, organization, _, what): &(Becomes, String, String, What, String)| {
        (login.clone(), format!("{what} in {organization}"))
    };
    decided.open = named.iter().filter(is_open).map(words).collect();
    let named = named.into_iter().take(NAMED_MAX);
    let named =
        named.map(|(becomes, login, organization, _, what)| Named { login, organization, what, becomes });
    let modules = modules(ground, known, found, accepted, &mut decided);
    decided.told = TakenAway {
        open: open.len() as u64,
        back: back.len() as u64,
        away: decided.away.list.len() as u64,
        away_sum: sum(&decided.away.list),
        back_sum: sum(&back),
        named: named.collect(),
        modules,
    };
    decided
}

/// Decides by what was accepted what becomes of modules that people removed.
fn modules(
    ground: &Ground<'_>,
    known: &Known,
    found: &Found,
    accepted: &BTreeSet<String>,
    decided: &mut Decided,
) -> Vec<NamedModules> {
    let mut all = Vec::new();
    if found.modules.is_empty() {
        return all;
    }
    let making = Making::new(ground.source(known, 0));
    for (place, row) in (0_u32..).zip(making.organizations()) {
        let Ok(organization) = row.id.parse::<OrganizationId>() else { continue };
        let Some(gone) = found.modules.get(&organization) else { continue };
        let key = row.key.as_str();
        let says = |prefix: &str| accepted.contains(&format!("{prefix}{key}"));
        let becomes = match (says(MODULES_BACK), says(MODULES_AWAY)) {
            (true, true) => {
                decided.twice.insert(key.to_owned());
                Becomes::Open
            }
            (true, false) => Becomes::Back,
            (false, true) => Becomes::Away,
            (false, false) if accepted.contains(KEEP_ALL) => Becomes::Away,
            (false, false) => Becomes::Open,
        };
        if becomes == Becomes::Away {
            decided.away.add_modules(ground, organization, place, gone, found.on.get(&organization));
        }
        all.push(NamedModules { organization: key.to_owned(), modules: gone.clone(), becomes });
    }
    all
}
