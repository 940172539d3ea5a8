//! Overlays: whatever is not a plain role, as flat rows sorted in the order in which a decision asks them.

use crate::index::KindIndex;
use crate::set::PermissionSet;
use charter_kernel::Timestamp;
use charter_kernel::facts::Level;

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
    pub(super) fn new(mut rows: Vec<Row>, sets: &[PermissionSet]) -> Self {
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
