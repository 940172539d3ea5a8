//! How many of something, in words that people read.

/// A number with what it counts: one of them, or several.
#[must_use]
pub fn counted(number: impl Into<u64>, one: &str, several: &str) -> String {
    let number = number.into();
    format!("{number} {}", if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_told_as_one() {
        let told = |number: u64| counted(number, "user", "users");
        assert_eq!([told(0), told(1), told(2)], ["0 users", "1 user", "2 users"]);
    }
}
