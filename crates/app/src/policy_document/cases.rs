//! Expected decisions as a document, and what came of them. The use case asks the engine; this file knows what was expected and says
//! where the answer differs.

use super::read::{format_is, listed, resource_ref, spot};
use super::{CASES_FORMAT, Fault, Spot, json};
use charter_catalogue::document::{self, Faults, Table, Value};
use charter_kernel::{Effect, Key, Reason, ResourceRef, Timestamp};
use serde_json::Map;
use std::fmt;
use std::net::IpAddr;

type Properties = Option<Map<String, serde_json::Value>>;

/// What a case asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseAsked {
    /// A permission code.
    Permission(String),
    /// An action on a type of resource.
    Action {
        /// The type.
        kind: Key,
        /// The action.
        action: String,
    },
}

/// One expected decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Line of the document, counted from 1.
    pub line: usize,
    /// What the case is about; made from the question where the document says nothing.
    pub name: String,
    /// Login of the principal.
    pub subject: String,
    /// What is asked for.
    pub asked: CaseAsked,
    /// The resource.
    pub resource: Option<ResourceRef>,
    /// The instant; none is now.
    pub at: Option<Timestamp>,
    /// Address the request comes from.
    pub address: Option<IpAddr>,
    /// The principal proved a second factor.
    pub mfa: bool,
    /// How the principal proved itself.
    pub amr: Vec<String>,
    /// Attributes of the subject that the caller sends.
    pub subject_properties: Properties,
    /// Attributes of the action that the caller sends.
    pub action_properties: Properties,
    /// Attributes of the resource that the caller sends.
    pub resource_properties: Properties,
    /// Context that the caller sends.
    pub context: Properties,
    /// The effect that is expected.
    pub expect: Effect,
    /// The reason that is expected, where it matters.
    pub reason: Option<Reason>,
}

/// A document of expected decisions.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyCases {
    /// Key of the organization the cases are about, if the document says.
    pub organization: Option<Spot<String>>,
    /// The cases, in the order of the document.
    pub cases: Vec<Case>,
}

impl PolicyCases {
    /// Reads a document of expected decisions.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        document::read(text, |root, faults| {
            format_is(root, CASES_FORMAT, faults);
            let organization = root.maybe("organization").and_then(|value| spot(&value, faults, Value::text));
            let cases = listed(root, "cases", faults, case);
            if cases.is_empty() && faults.is_empty() {
                root.fault(faults, "there are no cases; add at least one [[cases]]");
            }
            Some(Self { organization, cases })
        })
    }
}

fn properties(table: &Table<'_, '_>, name: &str, faults: &mut Faults) -> Properties {
    let value = table.maybe(name)?;
    value.table(faults)?;
    match json::from_toml(&value, faults)? {
        serde_json::Value::Object(map) => Some(map),
        _ => None,
    }
}

fn case(table: &Table<'_, '_>, faults: &mut Faults) -> Option<Case> {
    let line = faults.line_of(table.offset);
    let name = table.maybe("name").and_then(|value| value.text(faults));
    let subject = table.need("as", faults).and_then(|value| value.text(faults));
    let resource_value = table.maybe("resource");
    let kind_value = table.maybe("type");
    if let (Some(_), Some(kind)) = (&resource_value, &kind_value) {
        kind.fault(faults, "the resource names its type already: leave `type` out");
    }
    let resource = match &resource_value {
        Some(value) => Some(resource_ref(value, faults)?),
        None => None,
    };
    let kind = match (&resource, &kind_value) {
        (Some(resource), _) => Some(resource.kind.clone()),
        (None, Some(value)) => value.parsed(faults),
        (None, None) => None,
    };
    let asked = match (table.maybe("permission"), table.maybe("action")) {
        (Some(permission), None) => permission.text(faults).map(CaseAsked::Permission),
        (None, Some(action)) => match (action.text(faults), kind) {
            (Some(action), Some(kind)) => Some(CaseAsked::Action { kind, action }),
            (Some(_), None) => {
                action.fault(faults, "an action needs a type: add `resource` or `type`, or write `permission` with the whole code");
                None
            }
            (None, _) => None,
        },
        (Some(_), Some(action)) => {
            action.fault(faults, "asks twice: keep `permission` or `action`");
            None
        }
        (None, None) => {
            table.fault(faults, "asks for nothing: add `permission`, or `action` with a resource");
            None
        }
    };
    let at = table.maybe("at").and_then(|value| value.time(faults));
    let address = table.maybe("address").and_then(|value| {
        let text = value.text(faults)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            value.fault(
                faults,
                format!("`{text}` is no address: IPv4 or IPv6 is expected, for example 10.1.2.3"),
            );
        }
        parsed
    });
    let mfa = table.maybe("mfa").and_then(|value| value.flag(faults)).unwrap_or(false);
    let amr = table.maybe("amr").map(|value| value.list_parsed(faults)).unwrap_or_default();
    let subject_properties = properties(table, "subject_properties", faults);
    let action_properties = properties(table, "action_properties", faults);
    let resource_properties = properties(table, "resource_properties", faults);
    let context = properties(table, "context", faults);
    let expect = table
        .need("expect", faults)
        .and_then(|value| value.word(faults, &["allow", "deny"], Effect::from_word));
    let reason = table.maybe("reason").and_then(|value| {
        let words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        let reason = value.word(faults, &words, Reason::from_word)?;
        if let Some(expect) = expect.filter(|expect| *expect != reason.effect()) {
            value.fault(
                faults,
                format!(
                    "`{reason}` is a reason to {}, but the case expects {}",
                    reason.effect().as_str(),
                    expect.as_str()
                ),
            );
        }
        Some(reason)
    });
    let (subject, asked) = (subject?, asked?);
    let mut case = Case {
        line,
        name: String::new(),
        subject,
        asked,
        resource,
        at,
        address,
        mfa,
        amr,
        subject_properties,
        action_properties,
        resource_properties,
        context,
        expect: expect?,
        reason,
    };
    case.name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| case.question());
    Some(case)
}

impl Case {
    /// The question in one line.
    pub fn question(&self) -> String {
        let mut text = match &self.asked {
            CaseAsked::Permission(code) => format!("{} {code}", self.subject),
            CaseAsked::Action { kind, action } => format!("{} {kind} {action}", self.subject),
        };
        if let Some(resource) = &self.resource {
            text.push_str(&format!(" on {}:{}", resource.kind, resource.id));
        }
        if let Some(at) = self.at {
            text.push_str(&format!(" at {at}"));
        }
        if let Some(address) = self.address {
            text.push_str(&format!(" from {address}"));
        }
        if self.mfa {
            text.push_str(" with a second factor");
        }
        text
    }

    /// Compares the answer with what is expected. `because` names the row that decided, as a person reads it; it may be empty.
    pub fn judge(&self, got: Reason, because: impl Into<String>) -> CaseResult {
        let passed = got.effect() == self.expect && self.reason.is_none_or(|reason| reason == got);
        CaseResult {
            line: self.line,
            name: self.name.clone(),
            question: self.question(),
            expected: self.expect.as_str(),
            expected_reason: self.reason.map(Reason::as_str),
            got: got.effect().as_str(),
            got_reason: got.as_str(),
            got_sentence: got.sentence(),
            because: because.into(),
            passed,
        }
    }
}

/// One case and its answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CaseResult {
    /// Line of the document.
    pub line: usize,
    /// What the case is about.
    pub name: String,
    /// The question in one line.
    pub question: String,
    /// Expected effect.
    pub expected: &'static str,
    /// Expected reason, where the case names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_reason: Option<&'static str>,
    /// The effect that came.
    pub got: &'static str,
    /// The reason that came.
    pub got_reason: &'static str,
    /// The reason as a sentence.
    pub got_sentence: &'static str,
    /// The row that decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// Whether it is as expected.
    pub passed: bool,
}

/// Every case of a document with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct CaseReport {
    /// The cases, in the order of the document.
    pub results: Vec<CaseResult>,
}

impl CaseReport {
    /// How many are not as expected.
    pub fn failed(&self) -> usize {
        self.results.iter().filter(|result| !result.passed).count()
    }

    /// Whether all are as expected.
    pub fn passed(&self) -> bool {
        self.failed() == 0
    }
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in &self.results {
            let verdict = if result.passed { "ok  " } else { "FAIL" };
            writeln!(f, "{verdict} line {}: {}", result.line, result.name)?;
            if result.passed {
                continue;
            }
            if result.question != result.name {
                writeln!(f, "       {}", result.question)?;
            }
            let expected_reason =
                result.expected_reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            writeln!(f, "     - expected {}{expected_reason}", result.expected)?;
            writeln!(f, "     + got      {} ({}): {}", result.got, result.got_reason, result.got_sentence)?;
            if !result.because.is_empty() {
                writeln!(f, "       decided by {}", result.because)?;
            }
        }
        let (all, failed) = (self.results.len(), self.failed());
        let noun = if all == 1 { "case" } else { "cases" };
        writeln!(f, "{all} {noun}: {} as expected, {failed} not", all - failed)
    }
}
