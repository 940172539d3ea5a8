//! The scopes shipped with Charter: twelve names for sets of permissions, the wider ones holding the narrower. A scope is a ceiling: it
//! never gives what the owner of a key does not have.
//!
//! A scope of a key is one of these names, or a pattern over permission codes for what they do not say. A name has no dot and a pattern
//! has, so neither is taken for the other; both are compared byte by byte.

use charter_kernel::{Pattern, Problem};
use charter_policy::{Index, PermissionSet};

/// Most scopes of one key.
const SCOPES_MAX: usize = 100;

/// A shipped scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyScope {
    /// Its name.
    pub key: &'static str,
    /// What it is for, in one sentence.
    pub description: &'static str,
    /// The patterns of the permissions it leaves.
    pub patterns: &'static [&'static str],
    /// The scopes it holds, next below it.
    pub holds: &'static [&'static str],
}

/// The shipped scopes, the widest first.
pub const SCOPES: [KeyScope; 12] = [
    KeyScope {
        key: "full",
        description: "Everything its owner may do in the organization",
        patterns: &["*.*.*"],
        holds: &["read", "access", "finance", "sales", "supply", "production"],
    },
    KeyScope {
        key: "read",
        description: "See everything its owner may see",
        patterns: &["*.*.read"],
        holds: &["access:read", "finance:read", "sales:read", "supply:read", "production:read"],
    },
    KeyScope {
        key: "access",
        description: "Manage members, teams, roles, grants and settings",
        patterns: &["admin.*.*", "audit.*.*"],
        holds: &["access:read"],
    },
    KeyScope {
        key: "access:read",
        description: "See who may do what, and the audit trail",
        patterns: &["admin.*.read", "audit.*.read"],
        holds: &[],
    },
    KeyScope {
        key: "finance",
        description: "Work in finance",
        patterns: &["finance.*.*"],
        holds: &["finance:read"],
    },
    KeyScope { key: "finance:read", description: "See finance", patterns: &["finance.*.read"], holds: &[] },
    KeyScope {
        key: "sales",
        description: "Work in sales and customer relations",
        patterns: &["sales.*.*", "crm.*.*"],
        holds: &["sales:read"],
    },
    KeyScope {
        key: "sales:read",
        description: "See sales and customer relations",
        patterns: &["sales.*.read", "crm.*.read"],
        holds: &[],
    },
    KeyScope {
        key: "supply",
        description: "Work in inventory and procurement",
        patterns: &["inventory.*.*", "procurement.*.*"],
        holds: &["supply:read"],
    },
    KeyScope {
        key: "supply:read",
        description: "See inventory and procurement",
        patterns: &["inventory.*.read", "procurement.*.read"],
        holds: &[],
    },
    KeyScope {
        key: "production",
        description: "Work in production and quality",
        patterns: &["production.*.*", "quality.*.*"],
        holds: &["production:read"],
    },
    KeyScope {
        key: "production:read",
        description: "See production and quality",
        patterns: &["production.*.read", "quality.*.read"],
        holds: &[],
    },
];

fn wrong(text: &str) -> Problem {
    let names: Vec<&str> = SCOPES.iter().map(|scope| scope.key).collect();
    Problem::invalid(
        "scopes",
        format!(
            "{text:?} is no scope: expected one of {}, or a pattern as sales.invoices.read",
            names.join(", ")
        ),
    )
}

/// The patterns a list of scopes stands for.
pub fn patterns(scopes: &[String]) -> Result<Vec<Pattern>, Problem> {
    let mut patterns = Vec::with_capacity(scopes.len());
    for text in scopes {
        match SCOPES.iter().find(|scope| scope.key == text) {
            Some(scope) => {
                for pattern in scope.patterns {
                    patterns.push(pattern.parse().map_err(|_| wrong(text))?);
                }
            }
            None if text.contains('.') => patterns.push(text.parse().map_err(|_| wrong(text))?),
            None => return Err(wrong(text)),
        }
    }
    Ok(patterns)
}

/// What a list of scopes leaves of everything there is; everything without one.
pub fn ceiling(index: &Index, scopes: Option<&[String]>) -> Result<PermissionSet, Problem> {
    let Some(scopes) = scopes else { return Ok(index.all().clone()) };
    let mut all = PermissionSet::EMPTY;
    for pattern in patterns(scopes)? {
        all.add(&index.pattern(&pattern));
    }
    Ok(all)
}

/// Refuses a list of scopes that says nothing sensible.
pub fn check(index: &Index, scopes: &[String]) -> Result<(), Problem> {
    if scopes.is_empty() || scopes.len() > SCOPES_MAX {
        return Err(Problem::invalid(
            "scopes",
            format!("1 to {SCOPES_MAX} scopes are expected; leave it out for no limit"),
        ));
    }
    for scope in scopes {
        if ceiling(index, Some(std::slice::from_ref(scope)))?.is_empty() {
            return Err(Problem::invalid(
                "scopes",
                format!("{scope} matches no permission of the catalogue"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        Index::new(&charter_catalogue::shipped().unwrap()).unwrap()
    }

    fn of(index: &Index, key: &str) -> PermissionSet {
        ceiling(index, Some(&[key.to_owned()])).unwrap()
    }

    #[test]
    fn a_wider_scope_holds_the_narrower_ones_and_more() {
        let index = index();
        for scope in &SCOPES {
            assert!(!of(&index, scope.key).is_empty(), "{}", scope.key);
            for held in scope.holds {
                let (wide, narrow) = (of(&index, scope.key), of(&index, held));
                assert!(narrow.is_subset_of(&wide) && narrow != wide, "{} holds {held}", scope.key);
            }
            assert_eq!(SCOPES.iter().filter(|other| other.key == scope.key).count(), 1);
        }
        // Between scopes that do not hold each other nothing is shared but what is read.
        assert!(!of(&index, "finance").meets(&of(&index, "sales")));
        assert!(!of(&index, "full").iter().any(|code| index.code(code).unwrap().module() == "platform"));
        for read in SCOPES.iter().filter(|scope| scope.key.ends_with("read")) {
            assert!(
                of(&index, read.key).iter().all(|code| index.code(code).unwrap().action() == "read"),
                "{}",
                read.key
            );
        }
    }

    /// Attack 81: nothing that only looks like a scope is one.
    #[test]
    fn a_scope_is_taken_by_the_letter() {
        let index = index();
        for text in [
            "*",
            "Full",
            "FULL",
            "ful\u{6c}\u{301}",
            "\u{3c6}ull",
            "full ",
            " full",
            "f\u{443}ll",
            "read:write",
            "finance:*",
            "finance.*",
            "finance.*.*.*",
            "Finance.*.read",
            "finance.\u{2a}\u{200b}.read",
            "",
            ".",
            "sales..read",
        ] {
            let problem = check(&index, &[text.to_owned()]).unwrap_err();
            assert_eq!(problem.fields[0].field, "scopes", "{text:?}");
        }
        for text in ["full", "finance:read", "finance.*.read", "sales.invoices.read", "*.*.read"] {
            check(&index, &[text.to_owned()]).unwrap();
        }
        check(&index, &[]).unwrap_err();
        check(&index, &vec!["read".to_owned(); 101]).unwrap_err();
    }
}
