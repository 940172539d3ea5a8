//! Conflicts of duty: both sides name something, and not the same.

use super::Run;
use super::patterns::{matched_times, matching, some_of};
use charter_kernel::PermissionCode;
use std::collections::BTreeSet;

impl Run<'_> {
    pub(super) fn conflicts(&mut self) {
        let it = self.it;
        for conflict in &it.conflicts {
            let at = format!("conflicts.{}", conflict.key);
            for (side, patterns) in [("left", &conflict.left), ("right", &conflict.right)] {
                let place = format!("{at}.{side}");
                if patterns.is_empty() {
                    self.error(
                        "conflict_side_empty",
                        place.clone(),
                        "names nothing; name at least one permission",
                    );
                }
                let (each, times) = matched_times(it, patterns.iter());
                for (pattern, matched) in each {
                    if matched.is_empty() {
                        self.error(
                            "pattern_empty",
                            place.clone(),
                            format!("`{pattern}` matches no permission; correct or remove it"),
                        );
                    } else if matched.iter().all(|code| times.get(code).is_some_and(|times| *times > 1)) {
                        self.error(
                            "pattern_redundant",
                            place.clone(),
                            format!("`{pattern}` adds nothing to the others; remove it"),
                        );
                    }
                }
            }
            let left = matching(it, conflict.left.iter());
            let both: BTreeSet<PermissionCode> =
                matching(it, conflict.right.iter()).intersection(&left).cloned().collect();
            if !both.is_empty() {
                self.error(
                    "conflict_with_itself",
                    at,
                    format!(
                        "{} stands on both sides; a permission cannot conflict with itself",
                        some_of(&both)
                    ),
                );
            }
        }
    }
}
