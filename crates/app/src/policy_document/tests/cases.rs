//! Expected decisions are read and told with what differs.

use crate::policy_document::{CaseReport, PolicyCases};
use charter_kernel::Reason;

const CASES: &str = r#"format = "charter-policy-cases/1"
organization = "toys"

[[cases]]
name = "ann may post her own invoice from the office"
as = "ann@toys.example"
permission = "sales.invoices.post"
resource = "invoices:1042"
at = 2026-05-29T10:00:00Z
address = "10.1.2.3"
mfa = true
amr = ["pwd", "otp"]
resource_properties = { amount = 12 }
context = { shift = { name = "early" } }
expect = "allow"
reason = "granted_on_resource"

[[cases]]
as = "robot"
action = "read"
resource = "warehouse:w2"
expect = "deny"
"#;

#[test]
fn cases_are_read_and_told_with_what_differs() {
    let read = PolicyCases::parse(CASES).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!(read.organization.as_ref().unwrap().value, "toys");
    let [first, second] = read.cases.as_slice() else { panic!("{read:#?}") };
    assert_eq!(first.context.as_ref().unwrap()["shift"]["name"], "early");
    assert_eq!(second.name, "robot warehouse read on warehouse:w2");
    let report = CaseReport {
        results: vec![
            first.judge(Reason::ConditionNotMet, "grant 41, condition office"),
            second.judge(Reason::NoGrant, ""),
            second.judge(Reason::GrantedByRole, ""),
        ],
    };
    assert!(!report.passed());
    assert_eq!(
        report.to_string(),
        "FAIL line 4: ann may post her own invoice from the office\n       \
         ann@toys.example sales.invoices.post on invoices:1042 at 2026-05-29T10:00:00Z from 10.1.2.3 with a second factor\n     \
         - expected allow (granted_on_resource)\n     \
         + got      deny (condition_not_met): a condition does not hold now\n       \
         decided by grant 41, condition office\n\
         ok   line 18: robot warehouse read on warehouse:w2\n\
         FAIL line 18: robot warehouse read on warehouse:w2\n     \
         - expected deny\n     \
         + got      allow (granted_by_role): a role allows it\n\
         3 cases: 1 as expected, 2 not\n"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["results"][0]["got_reason"], "condition_not_met");
}

#[test]
fn a_right_answer_for_another_reason_is_not_as_expected() {
    let read = PolicyCases::parse(CASES).unwrap();
    assert!(read.cases[0].judge(Reason::GrantedOnResource, "").passed);
    assert!(!read.cases[0].judge(Reason::GrantedByRole, "").passed);
    assert!(read.cases[1].judge(Reason::Blocked, "").passed);
}

#[test]
fn faulty_cases_are_told_at_once_by_line() {
    let text = "format = \"charter-policy-cases/1\"\n[[cases]]\nexpect = \"alow\"\npermission = \"a.b.c\"\naction = \"read\"\n\
                [[cases]]\nas = \"ann\"\naction = \"read\"\nexpect = \"allow\"\nreason = \"no_grant\"\naddress = \"10.1\"\n\
                [[cases]]\nas = \"ann\"\nexpect = \"deny\"\nreason = \"bad_mood\"\n";
    let found: Vec<String> = PolicyCases::parse(text).unwrap_err().iter().map(ToString::to_string).collect();
    let expected = [
        "line 2: cases[1]: `as` is missing",
        "line 3: cases[1].expect: `alow` is not known here; write one of allow, deny",
        "line 5: cases[1].action: asks twice: keep `permission` or `action`",
        "line 8: cases[2].action: an action needs a type: add `resource` or `type`, or write `permission` with the whole code",
        "line 10: cases[2].reason: `no_grant` is a reason to deny, but the case expects allow",
        "line 11: cases[2].address: `10.1` is no address",
        "line 12: cases[3]: asks for nothing: add `permission`, or `action` with a resource",
        "line 15: cases[3].reason: `bad_mood` is not known here; write one of unknown_permission",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:?} instead of {expected:?}");
    }
    let none: Vec<String> = PolicyCases::parse("format = \"charter-policy-cases/1\"\n")
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(none, ["line 1: there are no cases; add at least one [[cases]]"]);
}
