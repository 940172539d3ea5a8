//! How tokens of the former system are taken.

use super::reading::Reading;
use charter_app::identity::legacy_caller::Terms;
use charter_app::identity::legacy_token::LegacyIds;
use charter_kernel::Key;

/// No claim has a longer name.
const CLAIM_CHARACTERS: usize = 64;

fn claim(text: &str) -> Option<String> {
    let text = text.trim();
    let is_name =
        text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '.' | ':' | '/'));
    (is_name && (1..=CLAIM_CHARACTERS).contains(&text.len())).then(|| text.to_owned())
}

impl Reading<'_> {
    pub(super) fn legacy_terms(&mut self) -> Terms {
        let until = self.read(
            "legacy_until",
            |text| text.trim().parse().ok(),
            "an instant such as 2027-03-31T00:00:00Z",
        );
        let source: Option<Key> =
            self.read("legacy_source", |text| text.trim().parse().ok(), "a name such as legacy");
        let claim = self.read("legacy_id_claim", claim, "the name of a claim such as sub");
        Terms {
            until,
            accepts_weak: self.switch("legacy_accept_weak"),
            ids: claim.zip(source).map(|(claim, source)| LegacyIds { claim, source }),
        }
    }
}
