//! What is told of a user and a permission by what was read of the other system: the answer, and what gives it or does not.

use super::compiled::{Class, Compiled, Holds, Place, Role};
use charter_app::clock::Moment;
use charter_app::shadow::{LegacyAnswer, LegacyQuestion};
use std::time::Duration;

/// Roles that are named in a reason.
const NAMED_MAX: usize = 5;

/// Names of roles, a few of them.
fn named(roles: &[&Role]) -> Vec<String> {
    let mut told: Vec<String> =
        roles.iter().take(NAMED_MAX).map(|role| format!("role {}", role.name)).collect();
    match roles.len().saturating_sub(NAMED_MAX) {
        0 => {}
        1 => told.push("1 more role".to_owned()),
        more => told.push(format!("{more} more roles")),
    }
    told
}

impl Compiled {
    /// Where a permission comes from, or what does not give it.
    fn why(&self, class: &Class, code: usize) -> String {
        let (roles, own, is_superuser) = match &class.holds {
            Holds::Nothing(why) => return format!("not allowed by {why}"),
            Holds::These { roles, own, is_superuser } => (roles, own.as_ref(), *is_superuser),
        };
        let held: Vec<&Role> = roles.iter().filter_map(|place| self.roles.get(*place as usize)).collect();
        let gives: Vec<&Role> = held.iter().copied().filter(|role| role.bits.has(code)).collect();
        let mut sources = named(&gives);
        if own.is_some_and(|own| own.has(code)) {
            sources.push("a permission of its own".to_owned());
        }
        if is_superuser && self.superuser.has(code) {
            sources.push("the mark of a superuser".to_owned());
        }
        if class.bits.has(code) {
            return format!("allowed by {}", sources.join(", "));
        }
        if !sources.is_empty() {
            let sources = sources.join(", ");
            return format!("not allowed by {sources}: the module is off in the organization there");
        }
        let mut others = named(&held);
        if own.is_some() {
            others.push("permissions of its own".to_owned());
        }
        if is_superuser {
            others.push("the mark of a superuser".to_owned());
        }
        match others.is_empty() {
            true => "not allowed: it has no role there".to_owned(),
            false => format!("not allowed by {}", others.join(", ")),
        }
    }
}

/// Answers, unless what was read is older than a limit, also where the clock was set back since.
pub(super) fn answer(
    read: &Compiled,
    limit: Duration,
    question: &LegacyQuestion,
    steady_micros: i64,
) -> LegacyAnswer {
    let age = read.as_of.age_micros(Moment { at: question.at, steady_micros });
    if i64::try_from(limit.as_micros()).is_ok_and(|limit| age > limit) {
        return LegacyAnswer::Unavailable(format!("what was read of it is {} s old", age / 1_000_000));
    }
    if let Some(why) = read.in_doubt {
        return LegacyAnswer::Unavailable(why.to_owned());
    }
    let Some(code) = read.codes.get(&question.permission) else {
        return LegacyAnswer::Unknown("it has no such permission".to_owned());
    };
    let unknown = |why: &str| LegacyAnswer::Unknown(why.to_owned());
    match read.people.get(&(question.principal, question.organization)) {
        None => unknown("it has no such user in this organization"),
        Some(Place::Two) => unknown("two of its users are this account"),
        Some(Place::SomebodyElse) => unknown("its user of this id has another login: plan and apply again"),
        Some(Place::AnotherOrganization) => {
            unknown("its organization of this id has another name: plan and apply again, or rename it here")
        }
        Some(Place::Doubled) => {
            LegacyAnswer::Unavailable("two of its users have this login, or its user has two".to_owned())
        }
        Some(Place::Class(class)) => match read.classes.get(*class) {
            Some(class) if class.bits.has(*code) => LegacyAnswer::Allow(read.why(class, *code)),
            Some(class) => LegacyAnswer::Deny(read.why(class, *code)),
            None => LegacyAnswer::Unavailable("what was read of it does not fit together".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::compiled::compile;
    use crate::shadow::links::Links;
    use charter_adopt::anomaly::AnomalyKind;
    use charter_adopt::facts::{LegacyOrganization, LegacyRole, LegacyUser};
    use charter_adopt::mapping;
    use charter_adopt::sets::SetId;
    use charter_adopt::source::{Heard, System};
    use charter_app::adoption::told_sum;
    use charter_kernel::{OrganizationId, PrincipalId, Timestamp};
    use charter_store::shadow::{NamedOrganization, NamedUser};

    const TOYS: OrganizationId = OrganizationId(1);
    const TRADE: OrganizationId = OrganizationId(2);
    const CLOSED: OrganizationId = OrganizationId(3);
    const TURNED: OrganizationId = OrganizationId(4);

    /// Two organizations; user N is account N; an accountant and one without a role at toys, one who left, one of trade; and 5 and 6 are
    /// one account.
    fn read() -> Compiled {
        let mut heard = Heard::default();
        let facts = &mut heard.facts;
        for id in ["t \"1\"", "t2"] {
            let (id, name) = (id.to_owned(), id.to_owned());
            facts.organizations.push(LegacyOrganization { id, name, enabled_modules: None, is_active: true });
        }
        for (id, is_active) in [("t3", false), ("t4", true)] {
            let (id, name) = (id.to_owned(), id.to_owned());
            facts.organizations.push(LegacyOrganization { id, name, enabled_modules: None, is_active });
        }
        for name in ["accountant", "auditor"] {
            let name = name.to_owned();
            facts.roles.push(LegacyRole { id: name.clone(), name, permissions: SetId::default() });
        }
        let accountant = facts.role_sets.keep(vec![0]);
        let both = facts.role_sets.keep(vec![0, 1]);
        let mut user = |id: &'static str, organization: u32, roles: SetId, is_active: bool| {
            let (organization, permissions) = (Some(organization), SetId::default());
            let (login, name, is_superuser) = (id, id, id == "10");
            let user =
                LegacyUser { id, login, name, organization, roles, permissions, is_active, is_superuser };
            facts.users.push(user);
        };
        user("1", 0, accountant, true);
        user("2", 0, SetId::default(), true);
        user("3", 0, accountant, false);
        user("4", 1, accountant, true);
        user("5", 0, accountant, true);
        user("6", 0, accountant, true);
        user("stranger", 0, accountant, true);
        user("10", 0, SetId::default(), true);
        user("11", 0, both, true);
        user("12", 2, accountant, true);
        user("13", 3, accountant, true);
        user("14", 0, accountant, true);
        user("15", 0, accountant, true);
        user("16", 0, accountant, true);
        user("17", 0, accountant, true);
        let (organization, permissions) = (Some(0), SetId::default());
        let (id, login, name, roles) = ("18", "17", "18", accountant);
        let (is_active, is_superuser) = (true, false);
        facts.users.push(LegacyUser {
            id,
            login,
            name,
            organization,
            roles,
            permissions,
            is_active,
            is_superuser,
        });
        heard.anomalies.note(AnomalyKind::DuplicateLogin, "user 18", "signs in as 17");
        let mut links = Links::default();
        for (legacy, organization) in [("t \"1\"", TOYS), ("t2", TRADE), ("t3", CLOSED), ("t4", TURNED)] {
            let (legacy_id, name) = (legacy.to_owned(), legacy.replace("t4", "Toys"));
            links
                .organizations
                .insert(legacy_id.clone(), NamedOrganization { legacy_id, organization, name });
        }
        let people = [
            ("1", 1, "1"),
            ("2", 2, "2"),
            ("3", 3, "3"),
            ("4", 4, "4"),
            ("5", 5, "5"),
            ("6", 5, "6"),
            ("10", 10, "10"),
            ("11", 11, "11"),
            ("12", 12, "12"),
            ("13", 13, "13"),
            ("14", 14, "cid"),
            ("15", 15, "renamed-here"),
            ("16", 16, "renamed-here-too"),
            ("17", 17, "17"),
            ("18", 18, "18"),
        ];
        for (legacy, account, login) in people {
            let (legacy_id, login) = (legacy.to_owned(), login.to_owned());
            let told = (legacy != "16").then(|| told_sum(legacy, legacy));
            let told_sum = if legacy == "14" { Some(told_sum("cid", "Cid")) } else { told };
            let user = NamedUser { legacy_id, principal: PrincipalId(account), login, told_sum };
            links.users.insert(legacy.to_owned(), user);
        }
        let catalogue = charter_catalogue::shipped().unwrap();
        let mapping = mapping::propose(System::RoleTables, None, &heard.facts, &catalogue);
        let at = Timestamp::from_seconds(100);
        compile(Moment { at, steady_micros: at.micros() }, &heard, &mapping, catalogue, &links).unwrap()
    }

    fn ask(
        read: &Compiled,
        organization: OrganizationId,
        principal: u128,
        code: &str,
        seconds: i64,
    ) -> String {
        ask_when(read, organization, principal, code, (seconds, seconds))
    }

    fn ask_when(
        read: &Compiled,
        organization: OrganizationId,
        principal: u128,
        code: &str,
        (seconds, steady): (i64, i64),
    ) -> String {
        let question = LegacyQuestion {
            organization,
            principal: PrincipalId(principal),
            permission: code.parse().unwrap(),
            description: String::new(),
            at: Timestamp::from_seconds(seconds),
        };
        let answer = answer(read, Duration::from_secs(90), &question, steady * 1_000_000);
        format!("{} {}", answer.reason(), answer.why())
    }

    #[test]
    fn what_was_read_answers_by_the_roles_that_were_held_and_knows_nobody_else() {
        let read = read();
        let code = "admin.users.create";
        let allowed = "email.messages.read";
        let told = [
            ask(&read, TOYS, 1, allowed, 100),
            ask(&read, TOYS, 1, code, 190),
            ask(&read, TOYS, 2, allowed, 100),
            ask(&read, TOYS, 3, allowed, 100),
            ask(&read, TRADE, 1, allowed, 100),
            ask(&read, TOYS, 4, allowed, 100),
            ask(&read, TOYS, 5, allowed, 100),
            ask(&read, TOYS, 9, allowed, 100),
            ask(&read, TOYS, 1, "finance.dragons.ride", 100),
            ask(&read, TOYS, 1, allowed, 191),
        ];
        let nobody = "legacy_unknown it has no such user in this organization";
        assert_eq!(
            told,
            [
                "allowed_by_legacy allowed by role accountant",
                "denied_by_legacy not allowed by role accountant",
                "denied_by_legacy not allowed: it has no role there",
                "denied_by_legacy not allowed by an account that is not active there",
                nobody,
                nobody,
                "legacy_unknown two of its users are this account",
                nobody,
                "legacy_unknown it has no such permission",
                "legacy_unavailable what was read of it is 91 s old",
            ]
        );
    }

    #[test]
    fn what_was_read_grows_too_old_also_where_the_clock_is_set_back() {
        let read = read();
        let told = [(10, 190), (10, 191), (150, 100), (191, 100)]
            .map(|when| ask_when(&read, TOYS, 1, "email.messages.read", when));
        let allowed = "allowed_by_legacy allowed by role accountant";
        let old = "legacy_unavailable what was read of it is 91 s old";
        assert_eq!(told, [allowed, old, allowed, old]);
    }

    #[test]
    fn who_has_an_id_that_was_somebody_elses_gets_nothing_by_it() {
        let read = read();
        let allowed = "email.messages.read";
        let told = [
            ask(&read, TURNED, 13, allowed, 100),
            ask(&read, TOYS, 14, allowed, 100),
            ask(&read, TOYS, 15, allowed, 100),
            ask(&read, TOYS, 16, allowed, 100),
            ask(&read, TOYS, 17, allowed, 100),
            ask(&read, TOYS, 18, allowed, 100),
        ];
        let another = "legacy_unknown its user of this id has another login: plan and apply again";
        let doubled = "legacy_unavailable two of its users have this login, or its user has two";
        assert_eq!(
            told,
            [
                "legacy_unknown its organization of this id has another name: plan and apply again, or rename it here",
                another,
                "allowed_by_legacy allowed by role accountant",
                another,
                doubled,
                doubled,
            ]
        );
        let read = Compiled { in_doubt: Some("two of its organizations have one id"), ..read };
        assert_eq!(
            ask(&read, TOYS, 1, allowed, 100),
            "legacy_unavailable two of its organizations have one id"
        );
    }

    #[test]
    fn an_answer_names_what_gives_it_or_all_that_does_not() {
        let read = read();
        let (messages, journals) = ("email.messages.read", "finance.journal_entries.create");
        let told = [
            ask(&read, TOYS, 11, messages, 100),
            ask(&read, TOYS, 11, journals, 100),
            ask(&read, TOYS, 11, "admin.users.create", 100),
            ask(&read, TOYS, 10, "admin.users.create", 100),
            ask(&read, CLOSED, 12, messages, 100),
            ask(&read, TOYS, 3, messages, 100),
        ];
        assert_eq!(
            told,
            [
                "allowed_by_legacy allowed by role accountant, role auditor",
                "allowed_by_legacy allowed by role accountant",
                "denied_by_legacy not allowed by role accountant, role auditor",
                "allowed_by_legacy allowed by the mark of a superuser",
                "denied_by_legacy not allowed by an organization that is not active there",
                "denied_by_legacy not allowed by an account that is not active there",
            ]
        );
    }
}
