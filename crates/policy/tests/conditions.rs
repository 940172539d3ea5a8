//! Conditions: what each form says, what is refused when written, and texts meant to hurt.

use crate::world::{NOW, at, check, facts, grant, key, permission, principal, shard};
use charter_kernel::condition::{AttributeOf, Scalar, Weekday};
use charter_kernel::facts::*;
use charter_kernel::*;
use charter_policy::condition::compile;
use charter_policy::{Check, CheckResource, Context};

const READ: &str = "sales.invoices.read";

fn cel(expression: &str) -> Condition {
    Condition::Cel { expression: expression.into() }
}

fn object(text: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(text).unwrap()
}

/// One circumstance to ask in.
struct Case<'a> {
    address: Option<&'a str>,
    mfa: bool,
    amr: &'a [&'a str],
    now: Timestamp,
    stored: &'a str,
    sent_subject: &'a str,
    sent_resource: &'a str,
    sent_context: &'a str,
    stored_resource: Option<&'a str>,
    owner: Option<u128>,
    assertable: &'a [&'a str],
    resource: bool,
}

const CASE: Case<'static> = Case {
    address: None,
    mfa: false,
    amr: &[],
    now: NOW,
    stored: "{}",
    sent_subject: "{}",
    sent_resource: "{}",
    sent_context: "{}",
    stored_resource: None,
    owner: None,
    assertable: &[],
    resource: true,
};

/// True, false, or none when it cannot be said: an allow needs true, a denial everything but false.
fn evaluate(condition: &Condition, case: &Case<'_>) -> Option<bool> {
    let mut facts = facts();
    facts.organization.assertable = case.assertable.iter().map(|it| (*it).into()).collect();
    facts.members[0].attributes = case.stored.into();
    facts.teams = vec![
        crate::world::team(1, None, &[]),
        crate::world::team(2, Some(1), &[1]),
        crate::world::team(3, None, &[]),
    ];
    facts.conditions.push(ConditionFact { key: key("it"), condition: condition.clone() });
    if let Some(attributes) = case.stored_resource {
        facts.resources.push(ResourceFact {
            resource: ResourceRef { kind: key("invoice"), id: "1".into() },
            owner: case.owner.map(principal),
            attributes: attributes.into(),
        });
    }
    let (subject, resource, sent) =
        (object(case.sent_subject), object(case.sent_resource), object(case.sent_context));
    let context = Context {
        address: case.address.map(|it| it.parse().unwrap()),
        mfa: case.mfa,
        amr: case.amr,
        subject_properties: Some(&subject),
        action_properties: None,
        resource_properties: Some(&resource),
        context: Some(&sent),
    };
    let asked = Check {
        subject: principal(1),
        permission: permission(READ),
        minimum_level: None,
        resource: case.resource.then_some(CheckResource {
            kind: "invoice",
            id: "1",
            registered_elsewhere: false,
        }),
        now: case.now,
        context: &context,
        ceiling: None,
    };
    let with = |effect| {
        let mut facts = facts.clone();
        facts
            .grants
            .push(GrantFact { condition: Some(key("it")), ..grant(1, 1, effect, READ, Reach::Organization) });
        let mut allowed = grant(2, 1, Effect::Allow, READ, Reach::Organization);
        allowed.subject = Subject::Principal(principal(1));
        if effect == Effect::Deny {
            facts.grants.push(allowed);
        }
        let explained = charter_policy::reference::decide(&crate::world::INDEX, &facts, &asked).decision;
        let decided = shard(&facts).decide(&asked);
        assert!(charter_policy::reference::agree(&explained, &decided), "{explained:?} {decided:?}");
        decided.is_allow()
    };
    match (with(Effect::Allow), with(Effect::Deny)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
        (true, true) => panic!("a condition that both holds and does not"),
    }
}

#[test]
fn addresses_match_ranges_and_mapped_addresses_are_what_they_map() {
    let ranges =
        |ranges: &[&str]| Condition::Address { ranges: ranges.iter().map(|it| (*it).into()).collect() };
    for (range, address, expected) in [
        ("10.0.0.0/8", "10.1.2.3", true),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.0.0.0/8", "::10.1.2.3", false),
        ("::ffff:10.0.0.0/104", "10.1.2.3", true),
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false),
        ("2001:db8::/32", "2001:db8:1::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("::1", "::1", true),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("::/0", "2001:db8::1", true),
        ("::/0", "203.0.113.9", false),
    ] {
        let case = Case { address: Some(address), ..CASE };
        assert_eq!(evaluate(&ranges(&["198.51.100.1", range]), &case), Some(expected), "{range} {address}");
        let in_cel = cel(&format!("in_range(context.ip, '{range}')"));
        assert_eq!(evaluate(&in_cel, &case), Some(expected), "CEL {range} {address}");
    }
    assert_eq!(evaluate(&ranges(&["0.0.0.0/0"]), &CASE), None);
    assert_eq!(evaluate(&cel("in_range(context.ip, '10.0.0.0/8')"), &CASE), None);
}

#[test]
fn hours_are_those_of_the_zone_summer_and_winter_and_may_pass_midnight() {
    let hours = |weekdays: &[Weekday], from: &str, to: &str| Condition::Hours {
        zone: "Europe/Berlin".into(),
        weekdays: weekdays.into(),
        from: from.into(),
        to: to.into(),
    };
    let office = hours(&[Weekday::Mon, Weekday::Fri], "08:00", "17:30");
    let night = hours(&[Weekday::Fri], "22:00", "06:00");
    let all = hours(&[], "00:00", "24:00");
    for (condition, time, expected) in [
        (&office, "2026-01-05T06:59:59Z", false),
        (&office, "2026-01-05T07:00:00Z", true),
        (&office, "2026-01-05T16:29:59.999999Z", true),
        (&office, "2026-01-05T16:30:00Z", false),
        (&office, "2026-07-06T06:00:00Z", true),
        (&office, "2026-07-06T05:59:59Z", false),
        (&office, "2026-01-06T10:00:00Z", false),
        (&night, "2026-01-09T21:00:00Z", true),
        (&night, "2026-01-10T04:59:59Z", true),
        (&night, "2026-01-10T05:00:00Z", false),
        (&night, "2026-01-10T22:00:00Z", false),
        (&night, "2026-01-09T03:00:00Z", false),
        (&all, "2026-01-09T03:00:00Z", true),
        // The night in which clocks jump from 02:00 to 03:00.
        (&hours(&[], "02:00", "03:00"), "2026-03-29T00:59:59Z", false),
        (&hours(&[], "02:00", "03:00"), "2026-03-29T01:00:00Z", false),
    ] {
        let case = Case { now: time.parse().unwrap(), ..CASE };
        assert_eq!(evaluate(condition, &case), Some(expected), "{condition:?} {time}");
    }
    let same =
        cel("hour(context.time, 'Europe/Berlin') == 9 && weekday(context.time, 'Europe/Berlin') == 'fri'");
    assert_eq!(evaluate(&same, &CASE), Some(true));
}

#[test]
fn answers_that_hang_on_hours_hold_to_the_next_edge_and_a_minute_at_most() {
    let until = |condition: Condition, now: Timestamp| {
        let mut facts = facts();
        facts.conditions.push(ConditionFact { key: key("it"), condition });
        facts.grants.push(GrantFact {
            condition: Some(key("it")),
            ..grant(1, 1, Effect::Allow, READ, Reach::Organization)
        });
        shard(&facts).decide(&Check { now, ..check(1, READ, None) }).valid_until
    };
    let hours = || Condition::Hours {
        zone: "Europe/Berlin".into(),
        weekdays: vec![],
        from: "08:00".into(),
        to: "17:30".into(),
    };
    let time = |text: &str| -> Timestamp { text.parse().unwrap() };
    assert_eq!(until(hours(), time("2026-01-05T06:59:40.5Z")), Some(time("2026-01-05T07:00:00Z")));
    assert_eq!(until(hours(), time("2026-01-05T10:00:00Z")), Some(time("2026-01-05T10:01:00Z")));
    let jump = time("2026-03-29T00:59:30Z");
    assert_eq!(until(hours(), jump), Some(jump));
    assert_eq!(until(cel("context.time < '2027'"), NOW), Some(NOW));
    assert_eq!(until(cel("context['x'.contains('y')]"), NOW), None);
    assert_eq!(until(Condition::Between { from: Some(at(-5)), to: Some(at(5)) }, NOW), Some(at(5)));
}

#[test]
fn assurance_asks_for_a_second_factor_or_for_methods() {
    let assurance = |mfa, any_of: &[&str]| Condition::Assurance {
        mfa,
        any_of: any_of.iter().map(|it| (*it).into()).collect(),
    };
    for (condition, mfa, amr, expected) in [
        (assurance(true, &[]), true, &[][..], true),
        (assurance(true, &[]), false, &["pwd"], false),
        (assurance(false, &["hwk", "swk"]), false, &["pwd", "swk"], true),
        (assurance(true, &["hwk"]), true, &["otp"], false),
    ] {
        assert_eq!(evaluate(&condition, &Case { mfa, amr, ..CASE }), Some(expected), "{condition:?}");
    }
    let in_cel = cel("context.mfa && 'hwk' in context.amr");
    assert_eq!(evaluate(&in_cel, &Case { mfa: true, amr: &["hwk"], ..CASE }), Some(true));
    // What the caller says of it never counts.
    assert_eq!(
        evaluate(&in_cel, &Case { sent_context: r#"{"mfa":true,"amr":["hwk"]}"#, ..CASE }),
        Some(false)
    );
}

#[test]
fn attributes_compare_exactly_and_of_one_type_only() {
    let equals = |value| Condition::Equals { of: AttributeOf::Subject, attribute: "a.b".into(), value };
    let at_most = |limit| Condition::AtMost { of: AttributeOf::Subject, attribute: "a.b".into(), limit };
    for (condition, stored, expected) in [
        (equals(Scalar::Text("x".into())), r#"{"a":{"b":"x"}}"#, Some(true)),
        (equals(Scalar::Text("x".into())), r#"{"a":{"b":"X"}}"#, Some(false)),
        (equals(Scalar::Text("1".into())), r#"{"a":{"b":1}}"#, None),
        (equals(Scalar::Int(1)), r#"{"a":{"b":1}}"#, Some(true)),
        (equals(Scalar::Int(1)), r#"{"a":{"b":1.0}}"#, Some(true)),
        (equals(Scalar::Int(1)), r#"{"a":{"b":1.5}}"#, Some(false)),
        (equals(Scalar::Int(9_007_199_254_740_993)), r#"{"a":{"b":9007199254740992}}"#, Some(false)),
        (equals(Scalar::Float(1.0)), r#"{"a":{"b":1}}"#, Some(true)),
        (equals(Scalar::Bool(true)), r#"{"a":{"b":true}}"#, Some(true)),
        (equals(Scalar::Bool(true)), r#"{"a":{"b":"true"}}"#, None),
        (equals(Scalar::Bool(true)), r#"{"a":{"b":null}}"#, None),
        (equals(Scalar::Bool(true)), r#"{"a":{}}"#, None),
        (equals(Scalar::Bool(true)), r#"{"a":[]}"#, None),
        (equals(Scalar::Bool(true)), "[]", None),
        (equals(Scalar::Bool(true)), "not json", None),
        (at_most(500.0), r#"{"a":{"b":500}}"#, Some(true)),
        (at_most(500.0), r#"{"a":{"b":500.01}}"#, Some(false)),
        (at_most(500.0), r#"{"a":{"b":"400"}}"#, None),
        (at_most(9_007_199_254_740_992.0), r#"{"a":{"b":9007199254740993}}"#, Some(false)),
        (at_most(-0.5), r#"{"a":{"b":0}}"#, Some(false)),
        (at_most(-0.5), r#"{"a":{"b":-1}}"#, Some(true)),
        (
            Condition::OneOf {
                of: AttributeOf::Subject,
                attribute: "a.b".into(),
                values: vec![Scalar::Int(1), Scalar::Text("x".into())],
            },
            r#"{"a":{"b":"x"}}"#,
            Some(true),
        ),
        (
            Condition::OneOf {
                of: AttributeOf::Subject,
                attribute: "a.b".into(),
                values: vec![Scalar::Int(1)],
            },
            r#"{"a":{"b":2}}"#,
            Some(false),
        ),
    ] {
        assert_eq!(evaluate(&condition, &Case { stored, ..CASE }), expected, "{condition:?} {stored}");
    }
}

#[test]
fn stored_attributes_win_and_a_caller_asserts_only_what_it_may() {
    let typed = Condition::Equals {
        of: AttributeOf::Subject,
        attribute: "dept".into(),
        value: Scalar::Text("a".into()),
    };
    let written = cel("subject.properties.dept == 'a'");
    let (a, b) = (r#"{"dept":"a"}"#, r#"{"dept":"b"}"#);
    for (stored, sent, assertable, expected) in [
        (a, "{}", &[][..], Some(true)),
        (b, a, &["subject.dept"], Some(false)),
        ("{}", a, &[], None),
        ("{}", a, &["subject.dept"], Some(true)),
        ("{}", a, &["subject.*"], Some(true)),
        ("{}", a, &["subject.department", "resource.*"], None),
        ("[]", a, &["subject.*"], None),
    ] {
        let case = Case { stored, sent_subject: sent, assertable, ..CASE };
        assert_eq!(evaluate(&typed, &case), expected, "{stored} {sent} {assertable:?}");
        assert_eq!(evaluate(&written, &case), expected, "CEL {stored} {sent} {assertable:?}");
    }
    let amount = Condition::AtMost { of: AttributeOf::Resource, attribute: "amount".into(), limit: 5.0 };
    let small = r#"{"amount":1}"#;
    for (stored_resource, assertable, expected) in [
        (Some(r#"{"amount":9}"#), &["resource.*"][..], Some(false)),
        (Some("{}"), &["resource.*"], Some(true)),
        (None, &["resource.*"], Some(true)),
        (None, &[], None),
        (Some("broken"), &["resource.*"], None),
    ] {
        let case = Case { stored_resource, sent_resource: small, assertable, ..CASE };
        assert_eq!(evaluate(&amount, &case), expected, "{stored_resource:?}");
        assert_eq!(
            evaluate(&cel("resource.properties.amount <= 5"), &case),
            expected,
            "CEL {stored_resource:?}"
        );
        assert_eq!(evaluate(&amount, &Case { resource: false, ..case }), None);
    }
    let urgent =
        Condition::Equals { of: AttributeOf::Context, attribute: "urgent".into(), value: Scalar::Bool(true) };
    assert_eq!(evaluate(&urgent, &Case { sent_context: r#"{"urgent":true}"#, ..CASE }), Some(true));
    assert_eq!(
        evaluate(
            &cel("context.request.urgent && context.urgent"),
            &Case { sent_context: r#"{"urgent":true}"#, ..CASE }
        ),
        Some(true)
    );
}

#[test]
fn owner_and_team_read_the_rows() {
    let written = cel("resource.owner == subject.id");
    for (stored_resource, owner, resource, expected) in [
        (Some("{}"), Some(1), true, Some(true)),
        (Some("{}"), Some(2), true, Some(false)),
        (Some("{}"), None, true, Some(false)),
        (None, None, true, None),
        (Some("{}"), Some(1), false, None),
    ] {
        let case = Case { stored_resource, owner, resource, ..CASE };
        assert_eq!(evaluate(&Condition::Owner {}, &case), expected, "{owner:?} {resource}");
        assert_eq!(evaluate(&written, &case), expected, "CEL {owner:?} {resource}");
    }
    for (team, expected) in
        [("team2", Some(true)), ("team1", Some(true)), ("team3", Some(false)), ("nobody", None)]
    {
        assert_eq!(evaluate(&Condition::Team { team: key(team) }, &CASE), expected, "{team}");
    }
    assert_eq!(evaluate(&cel("'team1' in subject.teams && !('team3' in subject.teams)"), &CASE), Some(true));
}

#[test]
fn all_and_any_carry_doubt_as_logic_does() {
    let yes = || Condition::Between { from: Some(at(-5)), to: None };
    let no = || Condition::Between { from: Some(at(5)), to: None };
    let doubt = || Condition::Owner {};
    for (parts, all, any) in [
        (vec![yes(), yes()], Some(true), Some(true)),
        (vec![yes(), no()], Some(false), Some(true)),
        (vec![yes(), doubt()], None, Some(true)),
        (vec![doubt(), no()], Some(false), None),
        (vec![doubt()], None, None),
    ] {
        assert_eq!(evaluate(&Condition::All { of: parts.clone() }, &CASE), all, "{parts:?}");
        assert_eq!(evaluate(&Condition::Any { of: parts.clone() }, &CASE), any, "{parts:?}");
    }
}

#[test]
fn what_cannot_be_compiled_says_what_to_do() {
    let hours = |zone: &str, from: &str, to: &str| Condition::Hours {
        zone: zone.into(),
        weekdays: vec![],
        from: from.into(),
        to: to.into(),
    };
    let mut deep = Condition::Owner {};
    for _ in 0..20 {
        deep = Condition::All { of: vec![deep] };
    }
    for (condition, message) in [
        (Condition::Between { from: None, to: None }, "give `from`, `to` or both"),
        (Condition::Between { from: Some(at(5)), to: Some(at(5)) }, "must be later"),
        (hours("Europe/Atlantis", "08:00", "17:00"), "IANA"),
        (hours("Europe/Berlin", "8:00", "17:00"), "HH:MM"),
        (hours("Europe/Berlin", "08:00", "24:01"), "HH:MM"),
        (hours("Europe/Berlin", "08:00", "08:00"), "whole day"),
        (Condition::Address { ranges: vec![] }, "between 1 and"),
        (Condition::Address { ranges: vec!["10.0.0.0/33".into()] }, "no address range"),
        (Condition::Assurance { mfa: false, any_of: vec![] }, "demand `mfa`"),
        (Condition::AtMost { of: AttributeOf::Subject, attribute: "a".into(), limit: f64::NAN }, "finite"),
        (
            Condition::AtMost { of: AttributeOf::Subject, attribute: "a..b".into(), limit: 1.0 },
            "joined by dots",
        ),
        (
            Condition::Equals {
                of: AttributeOf::Context,
                attribute: "mfa".into(),
                value: Scalar::Bool(true),
            },
            "assurance",
        ),
        (
            Condition::OneOf { of: AttributeOf::Subject, attribute: "a".into(), values: vec![] },
            "at least one",
        ),
        (Condition::All { of: vec![] }, "at least one part"),
        (deep, "nested deeper"),
        (Condition::Any { of: vec![Condition::Owner {}; 100] }, "more than 64 parts"),
        (cel(""), "nothing is written"),
        (cel(&"a".repeat(3000)), "3000 bytes, at most 2048"),
        (cel("subject.id =="), "cannot be read"),
        (cel("user.id == 'x'"), "use subject, action, resource or context"),
        (cel("subject.departement == 'x'"), "attributes are under subject.properties"),
        (cel("subject.id"), "must give true or false"),
        (cel("1 + 2"), "must give true or false"),
        (cel("subject.id == 7"), "never equal"),
        (cel("subject.id < 7"), "both must be numbers"),
        (cel("!subject.id"), "! needs true or false"),
        (cel("subject.id && true"), "needs true or false"),
        (cel("fly(subject.id)"), "fly() is not known"),
        (cel("matches(subject.id, '(a+)+')"), "matches() is not known"),
        (cel("subject.id.matches('(a+)+$')"), "matches() is not known"),
        (cel("subject.teams.exists(t, t == 'x')"), "exists"),
        (cel("subject.teams.all(t, t == 'x')"), "all, exists"),
        (cel("size(subject.teams.map(t, t)) > 1"), "map and filter"),
        (cel("size(subject.teams.filter(t, true)) > 1"), "map and filter"),
        (cel("in_range(context.ip, '10.0.0.0/99')"), "no address range"),
        (cel("in_range(context.ip)"), "cannot take"),
        (cel("hour(context.time, 'Mars/Base') == 1"), "IANA"),
        (cel("subject['id'] == 'x'"), "directly on a variable"),
        (cel("subject.?id == 'x'"), "cannot be read"),
        (cel("Msg{a: 1} == 1"), "type name"),
        (cel("b'abc' == b'abc'"), "byte texts"),
        (cel("'a\nb' == subject.id"), "not closed"),
        (cel("`x` == 1"), "quoted names"),
        (cel("subject.id == \u{2028}'x'"), "ASCII"),
    ] {
        let error = compile(&condition).expect_err(&format!("{condition:?}")).to_string();
        assert!(error.contains(message), "{condition:?}: {error:?} lacks {message:?}");
    }
}

#[test]
fn texts_meant_to_hurt_are_refused_soon_and_never_panic() {
    let begun = std::time::Instant::now();
    let mut texts: Vec<String> = vec![
        "(".repeat(2000),
        "[".repeat(2000),
        "{".repeat(2000),
        "!".repeat(2000) + "true",
        "-".repeat(2000) + "1 == 1",
        format!("{}true{}", "(".repeat(900), ")".repeat(900)),
        format!("{}true{}", "!(".repeat(15), ")".repeat(15)),
        format!("{}1{} == [1]", "[".repeat(15), "]".repeat(15)),
        "true ? ".repeat(250) + "true" + &" : false".repeat(250),
        "true || ".repeat(150) + "true",
        format!("subject.properties{} == 1", ".a".repeat(900)),
        format!("subject.properties{} == 1", ".a".repeat(120)),
        format!("subject.id == '{}'", "\\".repeat(1001)),
        "'\\u12' == 'x'".into(),
        "'\\xZZ' == 'x'".into(),
        "'\\777' == 'x'".into(),
        "9999999999999999999999 == 1".into(),
        "-9223372036854775808 == 1".into(),
        "1e999 == 1.0".into(),
        "0x == 1".into(),
        "subject.properties[0][1][2] == {}".into(),
        "{'a': {'b': {'c': 1}}} == {}".into(),
        "\u{0} == 1".into(),
        "a.b.c.d.e()()()()".into(),
        "true && // comment".into(),
        "true ?".into(),
        "has(subject)".into(),
        "has(subject.properties.x)".into(),
        "has()".into(),
        "has(1 + 1)".into(),
        "int(1e300) == 1".into(),
        "1 / 0 == 1".into(),
        "1 % 0 == 1".into(),
        "9223372036854775807 + 1 == 1".into(),
        "'' in ''".into(),
        "[1,2,3][99] == 1".into(),
        "string(subject.properties) == ''".into(),
        "resource == resource && subject == subject".into(),
        "type(1) == int".into(),
        "\"\"\"\n\"\"\" == 'x'".into(),
        "r'\\' == 'x'".into(),
    ];
    // Every short text over an alphabet that syntax is made of.
    let alphabet = [
        "(", ")", "[", "]", "{", "}", "'", "\"", ".", ",", "?", ":", "!", "-", "1", "a", "subject", " in ",
        "==", "&&", "\\", "has(", "r'",
    ];
    let mut seed = 7u64;
    for _ in 0..6000 {
        let mut text = String::new();
        for _ in 0..1 + seed % 9 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(alphabet[(seed >> 33) as usize % alphabet.len()]);
        }
        texts.push(text);
    }
    for text in &texts {
        let one = std::time::Instant::now();
        let condition = cel(text);
        if compile(&condition).is_ok() && text.len() > 12 {
            evaluate(&condition, &CASE);
        }
        let took = one.elapsed();
        assert!(took.as_millis() < 1000, "{text:?} took {took:?}");
    }
    let took = begun.elapsed();
    assert!(took.as_secs() < 60, "{} texts took {took:?}", texts.len());
}

#[test]
fn what_goes_wrong_inside_an_expression_is_doubt() {
    for expression in [
        "1 / (1 - 1) == 1",
        "[true][7]",
        "subject.properties.missing == 1",
        "subject.properties.a.b.c == 1",
        "int('x') == 1",
        "hour('yesterday', 'Europe/Berlin') == 1",
        "9223372036854775807 + 1 > 0",
        "context.nothing",
        "subject.properties.n && true",
    ] {
        assert_eq!(evaluate(&cel(expression), &Case { stored: r#"{"n":1}"#, ..CASE }), None, "{expression}");
    }
    for (expression, expected) in [
        ("has(subject.properties.n)", Some(true)),
        ("has(subject.properties.m)", Some(false)),
        ("has(subject.properties.m) && subject.properties.m", Some(false)),
        ("action.name == 'read' && action.permission == 'sales.invoices.read'", Some(true)),
        ("resource.type == 'invoice' && resource.id.startsWith('1')", Some(true)),
        ("subject.type == 'user' && size(subject.teams) == 2", Some(true)),
        ("subject.properties.n + 1 == 2 && subject.properties.n < 1.5", Some(true)),
        ("subject.properties.n in [1, 2]", Some(true)),
        ("(true ? 'a' : 'b') == 'a'", Some(true)),
    ] {
        assert_eq!(
            evaluate(&cel(expression), &Case { stored: r#"{"n":1}"#, ..CASE }),
            expected,
            "{expression}"
        );
    }
}
