//! Conditions, compiled when written. The forms of the web page become typed predicates that neither allocate nor parse;
//! anything else is a CEL expression (`crate::cel`). A condition is true, false, or cannot be evaluated; what the last means
//! is the caller's: an allow falls away, a denial applies.

mod address;
mod compile;
mod evaluate;
mod hours;
mod words;

pub(crate) use address::parse_address;
pub use address::{AddressRange, AddressRangeError};
pub use compile::compile;
pub(crate) use hours::{local, zone};
pub(crate) use words::{asks, why_not};

use crate::cel::Expression;
use crate::check::{Assertable, Context};
use charter_kernel::condition::{AttributeOf, Scalar};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Key, PermissionCode, PrincipalId, Timestamp, Window};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::fmt;

/// Why a condition cannot be compiled, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionError(pub(crate) String);

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConditionError {}

/// What came of evaluating a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be said: something it reads is missing, of another type, or unreadable.
    Unknown,
}

impl From<bool> for Outcome {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// Stored attributes of a subject or resource.
#[derive(Debug, Clone, Copy)]
pub enum Stored<'a> {
    /// Nothing is stored.
    Absent,
    /// Stored.
    Map(&'a Map<String, Value>),
    /// Something is stored, but it is no JSON object.
    Unreadable,
}

/// Who owns a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The resource is registered and has an owner.
    Is(PrincipalId),
    /// The resource is registered and has none.
    Nobody,
    /// There is no resource, or it is not registered.
    Unknown,
}

/// What a condition reads. The engine and the reference path each supply it from their own view of the facts.
pub trait Asked {
    /// The server's clock.
    fn now(&self) -> Timestamp;
    /// What is known of the request.
    fn context(&self) -> &Context<'_>;
    /// Which of the caller's attributes count.
    fn assertable(&self) -> &Assertable;
    /// Who asks.
    fn subject(&self) -> PrincipalId;
    /// User or service account.
    fn subject_kind(&self) -> PrincipalKind;
    /// Attributes of the member.
    fn subject_attributes(&self) -> Stored<'_>;
    /// Keys of the teams the subject is in, directly or through one below, and whether each is beyond doubt.
    fn teams(&self) -> &[(Key, bool)];
    /// Whether a team of that key exists.
    fn is_team(&self, key: &Key) -> bool;
    /// The permission asked for.
    fn permission(&self) -> &PermissionCode;
    /// Type and id of the resource.
    fn resource(&self) -> Option<(&str, &str)>;
    /// Attributes of the registered resource.
    fn resource_attributes(&self) -> Stored<'_>;
    /// Its owner.
    fn owner(&self) -> Owner;
}

/// A condition, ready to be evaluated.
#[derive(Debug)]
pub struct CompiledCondition {
    node: Node,
    reads: Reads,
}

/// What a condition reads beyond the request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// Attributes of the member.
    pub subject: bool,
    /// Teams of the member.
    pub teams: bool,
    /// Attributes or owner of the resource.
    pub resource: bool,
    /// The clock: the answer changes by time alone.
    pub time: bool,
}

impl Reads {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            subject: self.subject | other.subject,
            teams: self.teams | other.teams,
            resource: self.resource | other.resource,
            time: self.time | other.time,
        }
    }
}

#[derive(Debug)]
enum Node {
    /// Could not be compiled; never holds and never fails to.
    Broken,
    Between(Window),
    Hours {
        zone: TimeZone,
        weekdays: u8,
        from: i32,
        to: i32,
    },
    Address(Box<[AddressRange]>),
    Assurance {
        mfa: bool,
        any_of: Box<[Box<str>]>,
    },
    AtMost {
        attribute: Attribute,
        limit: f64,
    },
    OneOf {
        attribute: Attribute,
        values: Box<[Scalar]>,
    },
    Owner,
    Team(Key),
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Cel(Box<Expression>),
}

#[derive(Debug)]
struct Attribute {
    of: AttributeOf,
    path: Box<[Box<str>]>,
}

fn error<T>(message: impl Into<String>) -> Result<T, ConditionError> {
    Err(ConditionError(message.into()))
}

impl CompiledCondition {
    /// A condition that could not be compiled or does not exist: it can never be evaluated.
    pub fn broken() -> Self {
        Self { node: Node::Broken, reads: Reads::default() }
    }

    /// What it reads.
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// Whether it holds.
    #[inline]
    pub fn evaluate(&self, asked: &impl Asked) -> Outcome {
        self.node.evaluate(asked)
    }

    /// The earliest instant after `now` at which the outcome may differ by time alone; `now` itself when that cannot be said.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        if self.reads.time { self.node.next_change(now) } else { None }
    }
}
