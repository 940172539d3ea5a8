//! What people bring from a mail: the whole link, what stands behind its `#`, or the code alone.

/// The code, which holds neither `#` nor a dot. What stands before it (the organization, what is to be done) is said elsewhere in a
/// request, and a code that was mailed for something else is found under nothing.
pub(super) fn of(text: &str) -> &str {
    let fragment = text.rsplit_once('#').map_or(text, |(_, fragment)| fragment);
    fragment.rsplit_once('.').map_or(fragment, |(_, code)| code).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_its_end_and_its_code_are_the_same() {
        for text in [
            "a-B_9",
            " a-B_9\n",
            "0193e7a0-0000-7000-8000-000000000001.a-B_9",
            "https://charter.example/registration#0193e7a0-0000-7000-8000-000000000001.a-B_9",
            "https://charter.example/invitation#a-B_9 ",
            "#prove.a-B_9",
        ] {
            assert_eq!(of(text), "a-B_9", "{text:?}");
        }
        for text in ["", "#", "x.", "https://charter.example/#"] {
            assert_eq!(of(text), "", "{text:?}");
        }
    }
}
