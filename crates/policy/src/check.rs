//! The question: who, which permission, on what, when, and what the caller says about it.

use crate::set::{PermissionIndex, PermissionSet};
use charter_kernel::condition::AttributeOf;
use charter_kernel::facts::Level;
use charter_kernel::{PrincipalId, Timestamp};
use serde_json::{Map, Value};
use std::net::IpAddr;

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    /// Who asks to act.
    pub subject: PrincipalId,
    /// The permission, as numbered by the index the shard was compiled with.
    pub permission: PermissionIndex,
    /// The level that the action on the type of resource demands of roles.
    pub minimum_level: Option<Level>,
    /// What it is to be done to; none asks for the organization as a whole.
    pub resource: Option<CheckResource<'a>>,
    /// The server's clock.
    pub now: Timestamp,
    /// What is known of the request.
    pub context: &'a Context<'a>,
    /// What the credential is limited to; it never grants.
    pub ceiling: Option<&'a PermissionSet>,
}

/// The thing a question is about.
#[derive(Debug, Clone, Copy)]
pub struct CheckResource<'a> {
    /// Type of resource, singular or plural name.
    pub kind: &'a str,
    /// Its id.
    pub id: &'a str,
    /// It is registered in another organization, as the caller found in the registry of all organizations.
    pub registered_elsewhere: bool,
}

/// What is known of the request. Address and strength of authentication come from the server; the maps come from the
/// caller and count as far as the organization lets callers assert them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// A second factor was proved.
    pub mfa: bool,
    /// How the principal authenticated (RFC 8176).
    pub amr: &'a [&'a str],
    /// Properties of the subject, as the caller says.
    pub subject_properties: Option<&'a Map<String, Value>>,
    /// Properties of the action.
    pub action_properties: Option<&'a Map<String, Value>>,
    /// Properties of the resource.
    pub resource_properties: Option<&'a Map<String, Value>>,
    /// The rest of the request.
    pub context: Option<&'a Map<String, Value>>,
}

impl Context<'static> {
    /// Nothing known.
    pub const EMPTY: Self = Self {
        address: None,
        mfa: false,
        amr: &[],
        subject_properties: None,
        action_properties: None,
        resource_properties: None,
        context: None,
    };
}

/// How conditions are taken: as they are, or all in one direction to see what could be (preview, "may at times").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Assume {
    /// Evaluate them.
    Nothing,
    /// Conditions of whatever allows hold, those of denials do not.
    Best,
    /// Conditions of whatever allows do not hold, those of denials do.
    Worst,
}

/// Which attributes a caller may assert.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Assertable {
    subject: Names,
    resource: Names,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Names {
    all: bool,
    names: Vec<Box<str>>,
}

impl Assertable {
    /// Reads patterns like `subject.department` and `resource.*`; returns those that say neither.
    pub fn new(patterns: &[String]) -> (Self, Vec<String>) {
        let mut this = Self::default();
        let mut unknown = Vec::new();
        for pattern in patterns {
            let (names, name) = match pattern.split_once('.') {
                Some(("subject", name)) if !name.is_empty() => (&mut this.subject, name),
                Some(("resource", name)) if !name.is_empty() => (&mut this.resource, name),
                Some(("context" | "action", "*")) => continue,
                _ => {
                    unknown.push(pattern.clone());
                    continue;
                }
            };
            if name == "*" {
                names.all = true;
            } else {
                names.names.push(name.into());
            }
        }
        (this, unknown)
    }

    /// Whether the caller's word on this attribute counts. Request context and action are the caller's by nature.
    pub fn allows(&self, of: AttributeOf, name: &str) -> bool {
        let names = match of {
            AttributeOf::Subject => &self.subject,
            AttributeOf::Resource => &self.resource,
            AttributeOf::Action | AttributeOf::Context => return true,
        };
        names.all || names.names.iter().any(|it| **it == *name)
    }
}
