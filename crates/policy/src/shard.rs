//! One organization's facts, compiled: an immutable snapshot that decides (`decide.rs`) and searches (`search.rs`).
//!
//! Nearly every member holds plain roles only: one probe of the member table finds the set of what the roles give, one bit
//! answers. Whatever is not plain (grants, blocks, windows, conditions) stands in an *overlay* of rows, flattened over
//! teams and roles, that members with the same rows share; its `touched` set says for which permissions the rows matter.

use crate::check::Assertable;
use crate::condition::{CompiledCondition, Reads};
use crate::entitle::{self, Timeline};
use crate::graph::closures;
use crate::index::{ADMINISTRATOR, Index, KindIndex};
use crate::interner::{Interner, RoleSet};
use crate::set::PermissionSet;
use charter_kernel::facts::{
    BlockSubject, Level, OrganizationFacts, OrganizationKind, OrganizationStatus, PrincipalKind,
    PrincipalStatus,
};
use charter_kernel::{
    ConditionKey, Effect, Key, OrganizationId, PrincipalId, Reach, ResourceRef, Revision, RoleKey, Subject,
    TeamId, Timestamp, Window,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// Why an organization cannot be compiled at all. Single bad rows never cause it: they are listed in [`Shard::faults`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileError(String);

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CompileError {}

/// One place of the member table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    high: u64,
    low: u64,
    set: u32,
    overlay: u32,
}

/// Marks a place that holds nobody, or a member without an overlay.
pub(crate) const NONE: u32 = u32::MAX;
/// The member is inactive, has a window, or both: see [`Rare::extras`].
pub(crate) const SPECIAL: u32 = 1 << 31;
/// The member is a service account.
pub(crate) const PROGRAM: u32 = 1 << 30;
const SET: u32 = PROGRAM - 1;

const FREE: Slot = Slot { high: 0, low: 0, set: NONE, overlay: NONE };

impl Slot {
    #[inline]
    pub(crate) fn principal(&self) -> PrincipalId {
        PrincipalId(u128::from(self.high) << 64 | u128::from(self.low))
    }

    #[inline]
    pub(crate) fn is_special(&self) -> bool {
        self.set & SPECIAL != 0
    }

    #[inline]
    pub(crate) fn is_program(&self) -> bool {
        self.set & PROGRAM != 0
    }

    #[inline]
    pub(crate) fn overlay(&self) -> u32 {
        self.overlay
    }
}

#[inline]
fn place(high: u64, low: u64, mask: usize) -> usize {
    let mixed = (low ^ high.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize & mask
}

/// Which kind of row, in the order in which rows are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Section {
    Block,
    BlockOnResource,
    OnResource,
    OnType,
    OnOrganization,
    Role,
    Administers,
}

impl Section {
    pub(crate) const COUNT: usize = 7;
}

/// No kind of resource: the row reaches the whole organization.
pub(crate) const WHOLE: u16 = u16::MAX;
/// No condition.
pub(crate) const ALWAYS: u32 = u32::MAX;

/// One row of an overlay.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub section: Section,
    /// Kind of resource reached, or [`WHOLE`].
    pub kind: u16,
    /// The resource reached, in the sections of one resource.
    pub resource: Option<Box<str>>,
    pub id: u128,
    pub deny: bool,
    pub level: Level,
    /// Into [`Rare::sets`].
    pub set: u32,
    pub from: Timestamp,
    pub to: Timestamp,
    /// Both must hold; into [`Rare::conditions`].
    pub conditions: [u32; 2],
}

impl Row {
    #[inline]
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.to
    }

    #[inline]
    pub(crate) fn next_change(&self, now: Timestamp) -> Timestamp {
        if now < self.from {
            self.from
        } else if now < self.to {
            self.to
        } else {
            Timestamp(i64::MAX)
        }
    }

    pub(crate) fn is_conditional(&self) -> bool {
        self.conditions != [ALWAYS; 2]
    }
}

/// Rows that members share, sorted by section.
#[derive(Debug)]
pub(crate) struct Overlay {
    /// Every permission that some row is about.
    pub touched: PermissionSet,
    /// Permissions that some row with a type or a single resource as reach is about.
    pub narrow: PermissionSet,
    rows: Box<[Row]>,
    ends: [u32; Section::COUNT],
}

impl Overlay {
    fn new(mut rows: Vec<Row>, sets: &[PermissionSet]) -> Self {
        // By what rows say, never by the order in which they came: numbers of sets depend on it, the sets do not.
        let place = |row: &Row| (row.section, row.kind, row.id, row.deny, row.level);
        let set = |row: &Row| sets.get(row.set as usize);
        rows.sort_unstable_by(|a, b| {
            (a.section, a.kind, &a.resource)
                .cmp(&(b.section, b.kind, &b.resource))
                .then_with(|| place(a).cmp(&place(b)))
                .then_with(|| set(a).cmp(&set(b)))
                .then_with(|| (a.from, a.to, a.conditions).cmp(&(b.from, b.to, b.conditions)))
        });
        rows.dedup();
        let (mut touched, mut narrow) = (PermissionSet::EMPTY, PermissionSet::EMPTY);
        let mut ends = [0u32; Section::COUNT];
        for row in &rows {
            if let Some(set) = sets.get(row.set as usize)
                && row.section != Section::Administers
            {
                touched.add(set);
                if row.kind != WHOLE {
                    narrow.add(set);
                }
            }
            for end in ends.iter_mut().skip(row.section as usize) {
                *end += 1;
            }
        }
        Self { touched, narrow, rows: rows.into(), ends }
    }

    /// The rows of one section.
    #[inline]
    pub(crate) fn section(&self, section: Section) -> &[Row] {
        let at = section as usize;
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(0);
        self.rows.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The rows on exactly one resource, in a section of rows on one resource.
    #[inline]
    pub(crate) fn on(&self, section: Section, kind: KindIndex, id: &str) -> &[Row] {
        let rows = self.section(section);
        if rows.is_empty() {
            return rows;
        }
        let key = |row: &Row| (row.kind, row.resource.as_deref().unwrap_or_default()).cmp(&(kind.0, id));
        let start = rows.partition_point(|row| key(row).is_lt());
        let rest = rows.get(start..).unwrap_or_default();
        let end = rest.partition_point(|row| key(row).is_eq());
        rest.get(..end).unwrap_or_default()
    }

    pub(crate) fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// Attributes as stored.
#[derive(Debug, PartialEq)]
pub(crate) enum Attributes {
    Map(Map<String, Value>),
    Unreadable,
}

impl Attributes {
    pub(crate) fn read(text: &str) -> Self {
        if text.trim().is_empty() {
            return Self::Map(Map::new());
        }
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(map)) => Self::Map(map),
            _ => Self::Unreadable,
        }
    }
}

/// A registered resource.
#[derive(Debug)]
pub(crate) struct Registered {
    pub kind: KindIndex,
    pub id: Box<str>,
    pub owner: Option<PrincipalId>,
    /// Rows of one thing under its two names contradict each other.
    pub is_doubtful: bool,
    pub attributes: Option<Attributes>,
}

/// Keys of teams, and whether membership is beyond doubt.
type TeamList = Box<[(Key, bool)]>;

/// Whatever most organizations lack.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    pub overlays: Box<[Overlay]>,
    /// Blocks on everybody.
    pub everyone: Option<Overlay>,
    pub sets: Box<[PermissionSet]>,
    pub conditions: Box<[Arc<CompiledCondition>]>,
    /// Members that are not active or have a window.
    pub extras: Box<[(PrincipalId, PrincipalStatus, Window)]>,
    /// Principals on preview lists, with the number of the module.
    pub previews: Box<[(PrincipalId, u16)]>,
    pub attributes: Box<[(PrincipalId, Attributes)]>,
    pub resources: Box<[Registered]>,
    pub team_keys: Box<[Key]>,
    /// Teams of each member, and whether each is beyond doubt.
    pub teams: Box<[(PrincipalId, TeamList)]>,
    pub assertable: Assertable,
    pub faults: Box<[String]>,
}

/// An immutable snapshot of one organization.
#[derive(Debug)]
pub struct Shard {
    pub(crate) index: Arc<Index>,
    organization: OrganizationId,
    revision: Revision,
    pub(crate) status: OrganizationStatus,
    pub(crate) kind: OrganizationKind,
    member_count: u32,
    slots: Box<[Slot]>,
    sets: Box<[Arc<RoleSet>]>,
    pub(crate) timeline: Arc<Timeline>,
    pub(crate) rare: Option<Box<Rare>>,
}

/// A role as it stands in one organization.
#[derive(Debug)]
pub(crate) struct Role {
    pub key: RoleKey,
    pub level: Level,
    pub set: PermissionSet,
    pub lines: Vec<(PermissionSet, ConditionKey)>,
    /// It and what it inherits from, as far as it gives.
    pub gives: BTreeSet<usize>,
    /// The same, cycles and dropped rows included: what a block on a role reaches.
    pub is: BTreeSet<usize>,
    /// May be held here and exists.
    pub gives_anything: bool,
    pub sod_exempt: bool,
}

/// The roles an organization knows: shipped, own, and names that only rows mention.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    pub roles: Vec<Role>,
    pub numbers: HashMap<RoleKey, usize>,
}

impl Roles {
    /// The shipped roles as they stand in every organization of a kind.
    pub(crate) fn shipped(index: &Index, kind: OrganizationKind) -> Self {
        let mut roles = Vec::with_capacity(index.roles.len());
        let mut numbers = HashMap::with_capacity(index.roles.len());
        for (at, role) in index.roles.iter().enumerate() {
            let usable = kind == OrganizationKind::Platform || !role.system;
            let all: BTreeSet<usize> = role.gives.iter().copied().collect();
            roles.push(Role {
                key: role.fact.key.clone(),
                level: role.fact.level,
                set: if usable { role.set } else { PermissionSet::EMPTY },
                lines: if usable { role.lines.clone() } else { Vec::new() },
                gives: if usable { all.clone() } else { BTreeSet::from([at]) },
                is: all,
                gives_anything: usable,
                sod_exempt: role.sod_exempt && usable,
            });
            numbers.insert(role.fact.key.clone(), at);
        }
        Self { roles, numbers }
    }

    /// The roles of an organization; those of one without roles of its own are shared.
    pub(crate) fn new(index: &Index, facts: &OrganizationFacts, faults: &mut Vec<String>) -> Arc<Self> {
        let base = index.shipped_roles(facts.organization.kind);
        let is_shipped = |key: &RoleKey| base.numbers.contains_key(key);
        let in_block = |subject: &BlockSubject| match subject {
            BlockSubject::Role(role) => is_shipped(role),
            _ => true,
        };
        if facts.roles.is_empty()
            && facts.assignments.iter().all(|row| is_shipped(&row.role))
            && facts.blocks.iter().all(|block| in_block(&block.subject))
        {
            return base;
        }
        let Self { mut roles, mut numbers } = Self::shipped(index, facts.organization.kind);
        let mut own: BTreeMap<&RoleKey, Vec<&charter_kernel::facts::RoleFact>> = BTreeMap::new();
        for fact in &facts.roles {
            if index.role_number(&fact.key).is_some() {
                faults.push(format!(
                    "role {}: a shipped role has that key, the organization's own is ignored",
                    fact.key
                ));
            } else {
                own.entry(&fact.key).or_default().push(fact);
            }
        }
        // Names that only rows mention are roles that give nothing, so that a block on them still finds its holders.
        let mut ghosts: BTreeSet<&RoleKey> = BTreeSet::new();
        ghosts.extend(facts.assignments.iter().map(|row| &row.role));
        ghosts.extend(facts.roles.iter().flat_map(|role| &role.parents));
        ghosts.extend(facts.blocks.iter().filter_map(|block| match &block.subject {
            BlockSubject::Role(role) => Some(role),
            _ => None,
        }));
        ghosts.retain(|key| index.role_number(key).is_none() && !own.contains_key(*key));
        let blank = |key: &RoleKey, level: Level, exists: bool| Role {
            key: key.clone(),
            level,
            set: PermissionSet::EMPTY,
            lines: Vec::new(),
            gives: BTreeSet::new(),
            is: BTreeSet::new(),
            gives_anything: exists,
            sod_exempt: false,
        };
        for (key, rows) in &own {
            let level = rows.iter().map(|row| row.level).min().unwrap_or(Level::Viewer);
            numbers.insert((*key).clone(), roles.len());
            roles.push(blank(key, level, true));
        }
        for key in ghosts {
            numbers.insert(key.clone(), roles.len());
            roles.push(blank(key, Level::Viewer, false));
        }
        let mut this = Self { roles, numbers };
        this.expand_own(index, &own, faults);
        Arc::new(this)
    }

    fn expand_own(
        &mut self,
        index: &Index,
        own: &BTreeMap<&RoleKey, Vec<&charter_kernel::facts::RoleFact>>,
        faults: &mut Vec<String>,
    ) {
        let shipped = index.roles.len();
        let edges: Vec<Vec<usize>> = self
            .roles
            .iter()
            .enumerate()
            .map(|(at, role)| match index.roles.get(at) {
                Some(shipped) => shipped.gives.iter().copied().filter(|above| *above != at).collect(),
                None => own
                    .get(&role.key)
                    .into_iter()
                    .flatten()
                    .flat_map(|row| &row.parents)
                    .filter_map(|parent| self.numbers.get(parent).copied())
                    .collect(),
            })
            .collect();
        let full = closures(&edges);
        // A shipped role that may not be held here gives nothing, so nothing is inherited through it either.
        let usable: Vec<Vec<usize>> = edges
            .iter()
            .zip(&self.roles)
            .map(|(above, role)| if role.gives_anything { above.clone() } else { Vec::new() })
            .collect();
        let closures = closures(&usable);
        for at in &full.cyclic {
            if let Some(role) = self.roles.get(*at) {
                faults.push(format!(
                    "role {}: inherits from itself, the parents on the circle give nothing",
                    role.key
                ));
            }
        }
        let mut expanded = Vec::new();
        for at in shipped..self.roles.len() {
            let gives = closures.gives.get(at).cloned().unwrap_or_default();
            let (mut set, mut lines) = (PermissionSet::EMPTY, Vec::new());
            for above in &gives {
                let Some(role) = self.roles.get(*above) else { continue };
                if *above < shipped {
                    set.add(&role.set);
                    lines.extend(role.lines.iter().cloned());
                    if !role.gives_anything {
                        faults.push(format!(
                            "role {}: inherits from {}, which only the platform organization has",
                            self.key(at),
                            role.key
                        ));
                    }
                    continue;
                }
                if !role.gives_anything && *above != at {
                    faults.push(format!(
                        "role {}: inherits from {}, which does not exist",
                        self.key(at),
                        role.key
                    ));
                }
                for line in own.get(&role.key).into_iter().flatten().flat_map(|row| &row.permissions) {
                    let permissions = index.pattern(&line.pattern);
                    if permissions.is_empty() && *above == at {
                        faults.push(format!("role {}: {} matches no permission", role.key, line.pattern));
                    }
                    match &line.condition {
                        None => set.add(&permissions),
                        Some(condition) => lines.push((permissions, condition.clone())),
                    }
                }
            }
            expanded.push((at, set, lines, gives, full.is.get(at).cloned().unwrap_or_default()));
        }
        for (at, role) in self.roles.iter_mut().enumerate().take(shipped) {
            role.is = full.is.get(at).cloned().unwrap_or_default();
        }
        for (at, set, lines, gives, is) in expanded {
            if let Some(role) = self.roles.get_mut(at) {
                (role.set, role.lines, role.gives, role.is) = (set, lines, gives, is);
            }
        }
    }

    fn key(&self, at: usize) -> &str {
        self.roles.get(at).map_or("", |role| role.key.as_str())
    }

    pub(crate) fn get(&self, key: &RoleKey) -> Option<(usize, &Role)> {
        let at = *self.numbers.get(key)?;
        Some((at, self.roles.get(at)?))
    }
}

/// The teams of an organization, and who is in which.
#[derive(Default)]
pub(crate) struct Teams {
    pub numbers: HashMap<TeamId, usize>,
    pub keys: Vec<Key>,
    /// Sorted: a member and a team it is directly in.
    pub direct: Vec<(PrincipalId, usize)>,
    pub gives: Vec<BTreeSet<usize>>,
    pub is: Vec<BTreeSet<usize>>,
}

impl Teams {
    pub(crate) fn new(facts: &OrganizationFacts, faults: &mut Vec<String>) -> Self {
        let mut this = Self::default();
        let mut parents: Vec<Vec<TeamId>> = Vec::new();
        for team in &facts.teams {
            let at = *this.numbers.entry(team.id).or_insert_with(|| {
                this.keys.push(team.key.clone());
                parents.push(Vec::new());
                parents.len() - 1
            });
            if let Some(parents) = parents.get_mut(at) {
                parents.extend(team.parent);
            }
            this.direct.extend(team.members.iter().map(|member| (*member, at)));
        }
        this.direct.sort_unstable();
        this.direct.dedup();
        let edges: Vec<Vec<usize>> = parents
            .iter()
            .map(|above| {
                above
                    .iter()
                    .filter_map(|parent| {
                        let found = this.numbers.get(parent).copied();
                        if found.is_none() {
                            faults.push(format!(
                                "team {parent} is named as the team above another, but does not exist"
                            ));
                        }
                        found
                    })
                    .collect()
            })
            .collect();
        let closures = closures(&edges);
        for key in closures.cyclic.iter().filter_map(|at| this.keys.get(*at)) {
            faults.push(format!(
                "team {key}: stands above itself, the teams on the circle give nothing to each other"
            ));
        }
        (this.gives, this.is) = (closures.gives, closures.is);
        this
    }

    /// Numbers of the teams right around a principal.
    fn direct_of(&self, principal: PrincipalId) -> &[(PrincipalId, usize)] {
        let start = self.direct.partition_point(|(member, _)| *member < principal);
        let rest = self.direct.get(start..).unwrap_or_default();
        rest.get(..rest.partition_point(|(member, _)| *member == principal)).unwrap_or_default()
    }

    /// Teams that give to a principal, and teams that deny to it.
    pub(crate) fn of(&self, principal: PrincipalId) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let (mut gives, mut is) = (BTreeSet::new(), BTreeSet::new());
        for (_, team) in self.direct_of(principal) {
            gives.extend(self.gives.get(*team).into_iter().flatten());
            is.extend(self.is.get(*team).into_iter().flatten());
        }
        (gives, is)
    }
}

/// What a subject has, by rows: roles without window or condition, and rows that allow or deny.
#[derive(Default, Clone)]
struct Holding {
    roles: Vec<u16>,
    allows: Vec<u32>,
    denies: Vec<u32>,
}

struct Builder<'a> {
    index: &'a Index,
    faults: Vec<String>,
    sets: Vec<PermissionSet>,
    set_numbers: HashMap<PermissionSet, u32>,
    rows: Vec<Row>,
    row_numbers: HashMap<Row, u32>,
    condition_numbers: HashMap<&'a ConditionKey, u32>,
    conditions: Vec<Arc<CompiledCondition>>,
}

impl<'a> Builder<'a> {
    fn set(&mut self, set: PermissionSet) -> u32 {
        *self.set_numbers.entry(set).or_insert_with(|| {
            self.sets.push(set);
            (self.sets.len() - 1) as u32
        })
    }

    fn row(&mut self, row: Row) -> u32 {
        if let Some(at) = self.row_numbers.get(&row) {
            return *at;
        }
        let at = self.rows.len() as u32;
        self.rows.push(row.clone());
        self.row_numbers.insert(row, at);
        at
    }

    fn condition(&mut self, key: Option<&'a ConditionKey>, what: &dyn fmt::Display) -> u32 {
        let Some(key) = key else { return ALWAYS };
        if let Some(at) = self.condition_numbers.get(key) {
            return *at;
        }
        self.faults.push(format!("{what}: condition {key} does not exist, it counts as failing"));
        let at = self.broken();
        self.condition_numbers.insert(key, at);
        at
    }

    fn broken(&mut self) -> u32 {
        self.conditions.push(Arc::new(CompiledCondition::broken()));
        (self.conditions.len() - 1) as u32
    }

    /// Section, kind and resource of a reach; none when no check can ever name its type.
    fn reach(
        &mut self,
        reach: &Reach,
        block: bool,
        what: &dyn fmt::Display,
    ) -> Option<(Section, u16, Option<Box<str>>)> {
        let kind_of = |name: &Key| self.index.kind(name.as_str());
        let (section, kind, resource) = match reach {
            Reach::Organization => {
                let section = if block { Section::Block } else { Section::OnOrganization };
                return Some((section, WHOLE, None));
            }
            Reach::Type(kind) => (if block { Section::Block } else { Section::OnType }, kind, None),
            Reach::Resource(ResourceRef { kind, id }) => {
                let section = if block { Section::BlockOnResource } else { Section::OnResource };
                (section, kind, Some(Box::from(&**id)))
            }
        };
        match kind_of(kind) {
            Some(kind) => Some((section, kind.0, resource)),
            None => {
                self.faults.push(format!(
                    "{what}: type of resource {kind} is not in the catalogue, the row reaches nothing"
                ));
                None
            }
        }
    }
}

fn span(window: Window) -> (Timestamp, Timestamp) {
    (window.from().unwrap_or(Timestamp(i64::MIN)), window.to().unwrap_or(Timestamp(i64::MAX)))
}

impl Shard {
    /// Compiles the facts of one organization. A bad row never stops it: one that would allow is dropped, one that would
    /// deny applies to all it could match, and each is listed in [`Shard::faults`].
    pub fn compile(
        index: &Arc<Index>,
        facts: &OrganizationFacts,
        interner: &Interner,
    ) -> Result<Self, CompileError> {
        let organization = &facts.organization;
        if facts.members.len() > (SET as usize) {
            return Err(CompileError(format!(
                "organization {} has more members than can be numbered",
                organization.key
            )));
        }
        let mut build = Builder {
            index,
            faults: Vec::new(),
            sets: Vec::new(),
            set_numbers: HashMap::new(),
            rows: Vec::new(),
            row_numbers: HashMap::new(),
            condition_numbers: HashMap::new(),
            conditions: Vec::new(),
        };
        let mut reads = Reads::default();
        let mut conditions: Vec<&charter_kernel::facts::ConditionFact> = facts.conditions.iter().collect();
        conditions.sort_by(|a, b| a.key.cmp(&b.key));
        for fact in conditions {
            let compiled = interner.condition(&fact.condition);
            let at = match (compiled, build.condition_numbers.get(&fact.key)) {
                (Ok(condition), None) => {
                    reads = reads.and(condition.reads());
                    build.conditions.push(condition);
                    (build.conditions.len() - 1) as u32
                }
                (Ok(condition), Some(at)) => {
                    // The same row again is the same condition; another one under its key is a doubt.
                    let same =
                        build.conditions.get(*at as usize).is_some_and(|held| Arc::ptr_eq(held, &condition));
                    if same {
                        continue;
                    }
                    build.faults.push(format!(
                        "condition {}: stands twice with different texts, it counts as failing",
                        fact.key
                    ));
                    build.broken()
                }
                (Err(wrong), _) => {
                    build.faults.push(format!("condition {}: {wrong}; it counts as failing", fact.key));
                    build.broken()
                }
            };
            build.condition_numbers.insert(&fact.key, at);
        }
        let roles = Roles::new(index, facts, &mut build.faults);
        let teams =
            if facts.teams.is_empty() { Teams::default() } else { Teams::new(facts, &mut build.faults) };
        let mut by_principal: HashMap<PrincipalId, Holding> = HashMap::with_capacity(facts.assignments.len());
        let mut by_team: Vec<Holding> = vec![Holding::default(); teams.keys.len()];
        let mut everyone: Vec<Row> = Vec::new();
        build.assignments(facts, &roles, &teams, &mut by_principal, &mut by_team);
        build.grants(facts, &teams, &mut by_principal, &mut by_team);
        build.blocks(facts, &teams, &mut by_principal, &mut by_team, &mut everyone);

        let mut sets: Vec<Arc<RoleSet>> = Vec::new();
        let mut set_numbers: HashMap<Vec<u16>, u32> = HashMap::new();
        let mut overlays: Vec<Vec<u32>> = Vec::new();
        let mut overlay_numbers: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut extras: Vec<(PrincipalId, PrincipalStatus, Window)> = Vec::new();
        let mut team_lists: Vec<(PrincipalId, TeamList)> = Vec::new();
        let mut attributes: Vec<(PrincipalId, Attributes)> = Vec::new();
        let mut members: Vec<&charter_kernel::facts::MemberFact> = facts.members.iter().collect();
        members.sort_by_key(|member| member.principal);
        let count = members.chunk_by(|a, b| a.principal == b.principal).count();
        let size = if count == 0 { 1 } else { (count * 5).div_ceil(4).next_power_of_two() };
        let mut slots = vec![FREE; size];
        for same in members.chunk_by(|a, b| a.principal == b.principal) {
            let Some(member) = same.first() else { continue };
            let principal = member.principal;
            let nothing = Holding::default();
            let own = by_principal.get(&principal).unwrap_or(&nothing);
            let direct = teams.direct_of(principal);
            let joined;
            let held = if direct.is_empty() {
                own
            } else {
                let (gives, is) = teams.of(principal);
                let mut all = own.clone();
                for team in gives.iter().filter_map(|at| by_team.get(*at)) {
                    all.roles.extend(&team.roles);
                    all.allows.extend(&team.allows);
                }
                for team in is.iter().filter_map(|at| by_team.get(*at)) {
                    all.denies.extend(&team.denies);
                }
                if reads.teams {
                    let list = is
                        .iter()
                        .filter_map(|at| Some((teams.keys.get(*at)?.clone(), gives.contains(at))))
                        .collect();
                    team_lists.push((principal, list));
                }
                joined = all;
                &joined
            };
            let mut held_roles = held.roles.clone();
            held_roles.sort_unstable();
            held_roles.dedup();
            let mut rows: Vec<u32> = held.allows.iter().chain(&held.denies).copied().collect();
            rows.sort_unstable();
            rows.dedup();
            let set = match set_numbers.get(&held_roles) {
                Some(at) => *at,
                None => {
                    let at = sets.len() as u32;
                    sets.push(interner.role_set(role_set(&roles, &held_roles)));
                    set_numbers.insert(held_roles, at);
                    at
                }
            };
            let overlay = if rows.is_empty() {
                NONE
            } else if let Some(at) = overlay_numbers.get(&rows) {
                *at
            } else {
                let at = overlays.len() as u32;
                overlays.push(rows.clone());
                overlay_numbers.insert(rows, at);
                at
            };
            let mut flags = 0;
            if member.kind == PrincipalKind::ServiceAccount {
                flags |= PROGRAM;
            }
            let (status, window) = merged(same);
            if status != PrincipalStatus::Active || !window.is_some_and(|window| window.is_always()) {
                flags |= SPECIAL;
                let status = if window.is_none() { PrincipalStatus::Deactivated } else { status };
                extras.push((principal, status, window.unwrap_or(Window::ALWAYS)));
            }
            if reads.subject {
                let mut found: Vec<Attributes> =
                    same.iter().map(|row| Attributes::read(&row.attributes)).collect();
                found.dedup();
                let only = if found.len() == 1 { found.pop() } else { None };
                let stored = only.unwrap_or(Attributes::Unreadable);
                if !matches!(&stored, Attributes::Map(map) if map.is_empty()) {
                    attributes.push((principal, stored));
                }
            }
            let (high, low) = ((principal.0 >> 64) as u64, principal.0 as u64);
            let mut at = place(high, low, size - 1);
            while slots.get(at).is_some_and(|slot| slot.set != NONE) {
                at = (at + 1) & (size - 1);
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = Slot { high, low, set: set | flags, overlay };
            }
        }
        let timeline = entitle::compile(
            index,
            organization.kind,
            organization.enabled_modules.as_deref(),
            &facts.entitlements,
            &mut build.faults,
        );
        let (assertable, unknown) = Assertable::new(&organization.assertable);
        for pattern in unknown {
            build
                .faults
                .push(format!("assertable {pattern}: write subject.name, resource.name or resource.*"));
        }
        let mut previews: Vec<(PrincipalId, u16)> = facts
            .previews
            .iter()
            .filter_map(|preview| Some((preview.principal, index.module_number(preview.module.as_str())?)))
            .collect();
        previews.sort_unstable();
        previews.dedup();
        let resources = registered(index, facts, reads, &mut build.faults);
        let overlays: Vec<Overlay> = overlays
            .into_iter()
            .map(|rows| {
                let rows = rows.iter().filter_map(|at| build.rows.get(*at as usize).cloned()).collect();
                Overlay::new(rows, &build.sets)
            })
            .collect();
        let everyone = (!everyone.is_empty()).then(|| Overlay::new(everyone, &build.sets));
        build.faults.sort();
        build.faults.dedup();
        let has_rare = everyone.is_some()
            || !(overlays.is_empty()
                && extras.is_empty()
                && previews.is_empty()
                && resources.is_empty()
                && build.faults.is_empty());
        let rare = has_rare.then(|| {
            Box::new(Rare {
                overlays: overlays.into(),
                everyone,
                sets: build.sets.into(),
                conditions: build.conditions.into(),
                extras: extras.into(),
                previews: previews.into(),
                attributes: attributes.into(),
                resources: resources.into(),
                team_keys: if reads.teams { teams.keys.into() } else { Box::default() },
                teams: team_lists.into(),
                assertable,
                faults: build.faults.into(),
            })
        });
        Ok(Self {
            index: Arc::clone(index),
            organization: organization.id,
            revision: organization.revision,
            status: organization.status,
            kind: organization.kind,
            member_count: count as u32,
            slots: slots.into(),
            sets: sets.into(),
            timeline: interner.timeline(timeline),
            rare,
        })
    }

    /// The place of a member.
    #[inline]
    pub(crate) fn slot(&self, principal: PrincipalId) -> Option<&Slot> {
        let (high, low) = ((principal.0 >> 64) as u64, principal.0 as u64);
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = place(high, low, mask);
        loop {
            let slot = self.slots.get(at)?;
            if slot.set == NONE {
                return None;
            }
            if slot.low == low && slot.high == high {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    pub(crate) fn role_set(&self, slot: &Slot) -> Option<&RoleSet> {
        self.sets.get((slot.set & SET) as usize).map(|set| &**set)
    }

    /// The members, in the order of their ids.
    pub fn members(&self) -> Vec<PrincipalId> {
        let mut members: Vec<PrincipalId> =
            self.slots.iter().filter(|slot| slot.set != NONE).map(Slot::principal).collect();
        members.sort_unstable();
        members
    }

    /// Version of the facts.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The organization.
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// Where the organization is in its life.
    pub fn status(&self) -> OrganizationStatus {
        self.status
    }

    /// Platform or customer.
    pub fn kind(&self) -> OrganizationKind {
        self.kind
    }

    /// The catalogue it was compiled against.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// How many members there are.
    pub fn member_count(&self) -> usize {
        self.member_count as usize
    }

    /// Rows that are wrong, each with what it was taken for.
    pub fn faults(&self) -> &[String] {
        self.rare.as_deref().map_or(&[], |rare| &rare.faults)
    }

    /// The next instant at which some row of the organization starts or ends.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let (_, entitlement) = self.timeline.at(now);
        let rare = self.rare.as_deref();
        let rows = rare
            .into_iter()
            .flat_map(|rare| rare.overlays.iter().chain(&rare.everyone).flat_map(Overlay::rows))
            .map(|row| row.next_change(now));
        let members = rare
            .into_iter()
            .flat_map(|rare| &rare.extras)
            .filter_map(|(_, _, window)| window.next_change(now));
        entitlement.into_iter().chain(rows).chain(members).filter(|at| *at < Timestamp(i64::MAX)).min()
    }

    /// Memory of its own, without what it shares with other shards.
    pub fn memory_bytes(&self) -> usize {
        let rare = self.rare.as_deref().map_or(0, |rare| {
            let overlay = |overlay: &Overlay| {
                size_of::<Overlay>()
                    + overlay.rows.len() * size_of::<Row>()
                    + overlay.rows.iter().filter_map(|row| row.resource.as_ref()).map(|id| id.len()).sum::<usize>()
            };
            size_of::<Rare>()
                + rare.overlays.iter().chain(&rare.everyone).map(overlay).sum::<usize>()
                + rare.sets.len() * size_of::<PermissionSet>()
                + rare.conditions.len() * size_of::<usize>()
                + rare.extras.len() * size_of::<(PrincipalId, PrincipalStatus, Window)>()
                + rare.previews.len() * size_of::<(PrincipalId, u16)>()
                // Attributes are JSON trees; 256 bytes each is what a handful of words takes.
                + rare.attributes.len() * (size_of::<(PrincipalId, Attributes)>() + 256)
                + rare.resources.iter().map(|it| size_of::<Registered>() + it.id.len() + 256 * usize::from(it.attributes.is_some())).sum::<usize>()
                + rare.teams.iter().map(|(_, teams)| size_of::<(PrincipalId, TeamList)>() + teams.len() * 40).sum::<usize>()
                + rare.team_keys.len() * 40
                + rare.faults.iter().map(|fault| size_of::<String>() + fault.len()).sum::<usize>()
        });
        size_of::<Self>()
            + self.slots.len() * size_of::<Slot>()
            + self.sets.len() * size_of::<Arc<RoleSet>>()
            + rare
    }

    /// Memory of the parts that equal shards share: role sets and the timeline.
    pub fn shared_bytes(&self) -> usize {
        self.sets.len() * size_of::<RoleSet>() + self.timeline.memory_bytes()
    }
}

/// Rows of one member folded: the worst status, and the time in which all are in force, if there is any.
fn merged(rows: &[&charter_kernel::facts::MemberFact]) -> (PrincipalStatus, Option<Window>) {
    let status = |row: &&charter_kernel::facts::MemberFact| row.status;
    let worst = if rows.iter().all(|row| status(row) == PrincipalStatus::Active) {
        PrincipalStatus::Active
    } else if rows.iter().any(|row| status(row) == PrincipalStatus::Deactivated) {
        PrincipalStatus::Deactivated
    } else {
        PrincipalStatus::Suspended
    };
    let from = rows.iter().filter_map(|row| row.window.from()).max();
    let to = rows.iter().filter_map(|row| row.window.to()).min();
    (worst, Window::new(from, to).ok())
}

fn role_set(roles: &Roles, held: &[u16]) -> RoleSet {
    let mut set = RoleSet { at_least: [PermissionSet::EMPTY; 4], administers: false };
    for role in held.iter().filter_map(|at| roles.roles.get(usize::from(*at))) {
        for at_least in set.at_least.iter_mut().take(role.level as usize) {
            at_least.add(&role.set);
        }
        set.administers |= administers(roles, role);
    }
    set
}

pub(crate) fn administers(roles: &Roles, role: &Role) -> bool {
    role.gives_anything
        && role
            .gives
            .iter()
            .filter_map(|at| roles.roles.get(*at))
            .any(|role| role.key.as_str() == ADMINISTRATOR && role.gives_anything)
}

fn registered(
    index: &Index,
    facts: &OrganizationFacts,
    reads: Reads,
    faults: &mut Vec<String>,
) -> Vec<Registered> {
    let mut rows: Vec<(KindIndex, &charter_kernel::facts::ResourceFact)> = Vec::new();
    for fact in &facts.resources {
        match index.kind(fact.resource.kind.as_str()) {
            Some(kind) => rows.push((kind, fact)),
            None => faults.push(format!(
                "resource {}:{}: its type is not in the catalogue",
                fact.resource.kind, fact.resource.id
            )),
        }
    }
    let key =
        |row: &(KindIndex, &charter_kernel::facts::ResourceFact)| (row.0, Arc::clone(&row.1.resource.id));
    rows.sort_by_key(key);
    rows.chunk_by(|a, b| a.0 == b.0 && a.1.resource.id == b.1.resource.id)
        .filter_map(|same| {
            let (kind, first) = same.first()?;
            let agree = same.iter().all(|(_, row)| row.owner == first.owner && row.attributes == first.attributes);
            if !agree {
                faults.push(format!(
                    "resource {}:{}: registered twice with different owner or attributes, conditions on it fail",
                    first.resource.kind, first.resource.id
                ));
            }
            let attributes = reads.resource.then(|| if agree { Attributes::read(&first.attributes) } else { Attributes::Unreadable });
            Some(Registered {
                kind: *kind,
                id: Box::from(&*first.resource.id),
                owner: first.owner,
                is_doubtful: !agree,
                attributes,
            })
        })
        .collect()
}

impl<'a> Builder<'a> {
    fn holding<'h>(
        &mut self,
        subject: Subject,
        teams: &Teams,
        by_principal: &'h mut HashMap<PrincipalId, Holding>,
        by_team: &'h mut [Holding],
        what: &dyn fmt::Display,
    ) -> Option<&'h mut Holding> {
        match subject {
            Subject::Principal(principal) => Some(by_principal.entry(principal).or_default()),
            Subject::Team(team) => match teams.numbers.get(&team).and_then(|at| by_team.get_mut(*at)) {
                Some(holding) => Some(holding),
                None => {
                    self.faults.push(format!("{what}: team {team} does not exist, the row reaches nobody"));
                    None
                }
            },
        }
    }

    fn assignments(
        &mut self,
        facts: &'a OrganizationFacts,
        roles: &Roles,
        teams: &Teams,
        by_principal: &mut HashMap<PrincipalId, Holding>,
        by_team: &mut [Holding],
    ) {
        let mut role_blocks: HashMap<usize, Vec<&'a charter_kernel::facts::BlockFact>> = HashMap::new();
        for block in &facts.blocks {
            if let BlockSubject::Role(role) = &block.subject
                && let Some((at, _)) = roles.get(role)
            {
                role_blocks.entry(at).or_default().push(block);
            }
        }
        for fact in &facts.assignments {
            let Some((number, role)) = roles.get(&fact.role) else { continue };
            let what = || format!("assignment {}", fact.id);
            if !role.gives_anything {
                let why = if self.index.role_number(&fact.role).is_some() {
                    "may be given in the platform organization only"
                } else {
                    "does not exist"
                };
                self.faults.push(format!("{}: role {} {why}, it gives nothing", what(), fact.role));
            }
            let (from, to) = span(fact.window);
            let condition = self.condition(fact.condition.as_ref(), &format_args!("assignment {}", fact.id));
            let plain = fact.window.is_always() && condition == ALWAYS;
            let (mut allows, mut denies) = (Vec::new(), Vec::new());
            let held = |section, set, conditions, level| Row {
                section,
                kind: WHOLE,
                resource: None,
                id: fact.id.0,
                deny: false,
                level,
                set,
                from,
                to,
                conditions,
            };
            if role.gives_anything {
                if !plain {
                    if !role.set.is_empty() {
                        let set = self.set(role.set);
                        allows.push(self.row(held(Section::Role, set, [condition, ALWAYS], role.level)));
                    }
                    if administers(roles, role) {
                        let set = self.set(PermissionSet::EMPTY);
                        allows.push(self.row(held(
                            Section::Administers,
                            set,
                            [condition, ALWAYS],
                            role.level,
                        )));
                    }
                }
                for (permissions, key) in &role.lines {
                    let found = self.condition_numbers.get(key).copied();
                    let line = match found {
                        Some(at) => at,
                        None => {
                            self.faults.push(format!(
                                "role {}: condition {key} does not exist, the line gives nothing",
                                role.key
                            ));
                            self.broken()
                        }
                    };
                    let set = self.set(*permissions);
                    allows.push(self.row(held(Section::Role, set, [condition, line], role.level)));
                }
            }
            for block in role.is.iter().filter_map(|at| role_blocks.get(at)).flatten() {
                let (block_from, block_to) = span(block.window);
                let (from, to) = (from.max(block_from), to.min(block_to));
                if from < to
                    && let Some(mut row) = self.block(block)
                {
                    (row.from, row.to) = (from, to);
                    let [own, _] = row.conditions;
                    row.conditions = [own, condition];
                    denies.push(self.row(row));
                }
            }
            let Some(holding) = self.holding(
                fact.subject,
                teams,
                by_principal,
                by_team,
                &format_args!("assignment {}", fact.id),
            ) else {
                continue;
            };
            if plain && role.gives_anything {
                holding.roles.push(number as u16);
            }
            holding.allows.extend(allows);
            holding.denies.extend(denies);
        }
    }

    fn grants(
        &mut self,
        facts: &'a OrganizationFacts,
        teams: &Teams,
        by_principal: &mut HashMap<PrincipalId, Holding>,
        by_team: &mut [Holding],
    ) {
        for grant in &facts.grants {
            let what = format!("grant {}", grant.id);
            let permissions = self.index.pattern(&grant.pattern);
            if permissions.is_empty() {
                self.faults.push(format!("{what}: {} matches no permission", grant.pattern));
                continue;
            }
            let condition = self.condition(grant.condition.as_ref(), &what);
            let Some((section, kind, resource)) = self.reach(&grant.reach, false, &what) else { continue };
            let set = self.set(permissions);
            let (from, to) = span(grant.window);
            let row = self.row(Row {
                section,
                kind,
                resource,
                id: grant.id.0,
                deny: grant.effect == Effect::Deny,
                level: Level::Admin,
                set,
                from,
                to,
                conditions: [condition, ALWAYS],
            });
            let Some(holding) = self.holding(grant.subject, teams, by_principal, by_team, &what) else {
                continue;
            };
            match grant.effect {
                Effect::Allow => holding.allows.push(row),
                Effect::Deny => holding.denies.push(row),
            }
        }
    }

    fn block(&mut self, block: &'a charter_kernel::facts::BlockFact) -> Option<Row> {
        let what = format!("block {}", block.id);
        let permissions = self.index.pattern(&block.pattern);
        if permissions.is_empty() {
            self.faults.push(format!("{what}: {} matches no permission", block.pattern));
            return None;
        }
        let condition = self.condition(block.condition.as_ref(), &what);
        let (section, kind, resource) = self.reach(&block.reach, true, &what)?;
        let set = self.set(permissions);
        let (from, to) = span(block.window);
        Some(Row {
            section,
            kind,
            resource,
            id: block.id.0,
            deny: true,
            level: Level::Admin,
            set,
            from,
            to,
            conditions: [condition, ALWAYS],
        })
    }

    fn blocks(
        &mut self,
        facts: &'a OrganizationFacts,
        teams: &Teams,
        by_principal: &mut HashMap<PrincipalId, Holding>,
        by_team: &mut [Holding],
        everyone: &mut Vec<Row>,
    ) {
        for block in &facts.blocks {
            let Some(row) = self.block(block) else { continue };
            let subject = match &block.subject {
                BlockSubject::Everyone => {
                    everyone.push(row);
                    continue;
                }
                // Flattened over the assignments already.
                BlockSubject::Role(_) => continue,
                BlockSubject::Principal(principal) => Subject::Principal(*principal),
                BlockSubject::Team(team) => Subject::Team(*team),
            };
            let at = self.row(row);
            let what = format!("block {}", block.id);
            if let Some(holding) = self.holding(subject, teams, by_principal, by_team, &what) {
                holding.denies.push(at);
            }
        }
    }
}
