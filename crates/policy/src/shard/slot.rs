//! The member table: one place per member, found by one probe.

use charter_kernel::PrincipalId;

/// One place of the member table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(super) high: u64,
    pub(super) low: u64,
    pub(super) set: u32,
    pub(super) overlay: u32,
}

/// Marks a place that holds nobody, or a member without an overlay.
pub(crate) const NONE: u32 = u32::MAX;

/// The member is inactive, has a window, or both: see [`Rare::extras`].
pub(crate) const SPECIAL: u32 = 1 << 31;

/// The member is a service account.
pub(crate) const PROGRAM: u32 = 1 << 30;

pub(super) const SET: u32 = PROGRAM - 1;

pub(super) const FREE: Slot = Slot { high: 0, low: 0, set: NONE, overlay: NONE };

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
pub(super) fn place(high: u64, low: u64, mask: usize) -> usize {
    let mixed = (low ^ high.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize & mask
}
