//! Conditions, compiled when written. The forms of the web page become typed predicates that neither allocate nor parse;
//! anything else is a CEL expression (`cel.rs`). A condition is true, false, or cannot be evaluated; what the last means
//! is the caller's: an allow falls away, a denial applies.

use crate::cel::Expression;
use crate::check::{Assertable, Context};
use charter_kernel::condition::{AttributeOf, Scalar, Weekday};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Condition, Key, PermissionCode, PrincipalId, Timestamp, Window};
use jiff::tz::TimeZone;
use serde_json::{Map, Number, Value};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

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
    Address(Box<[Range]>),
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

/// One range of addresses, the v4 ones folded into `::ffff:0:0/96`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    base: u128,
    mask: u128,
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

const V4_MAPPED: u128 = 0xffff_u128 << 32;

impl Range {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 64 {
            return None;
        }
        let (address, length): (IpAddr, u8) = match text.parse::<ipnet::IpNet>() {
            Ok(net) => (net.addr(), net.prefix_len()),
            Err(_) => {
                let address: IpAddr = text.parse().ok()?;
                (address, if address.is_ipv4() { 32 } else { 128 })
            }
        };
        let length = u32::from(length) + if address.is_ipv4() { 96 } else { 0 };
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
        Some(Self { base: bits(address) & mask, mask })
    }

    #[inline]
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let address = bits(address);
        // A v6 range wider than the mapped block says nothing of v4 addresses: `::/0` is every v6 address.
        let wider = self.mask.count_ones() < 96;
        let is_v4 = address & !0xffff_ffff_u128 == V4_MAPPED;
        address & self.mask == self.base && !(wider && is_v4)
    }
}

/// An address as text, folded to v4 where it is a mapped one.
pub(crate) fn parse_address(text: &str) -> Option<IpAddr> {
    if text.len() > 64 {
        return None;
    }
    match text.trim().parse::<IpAddr>().ok()? {
        IpAddr::V6(v6) => Some(fold(v6)),
        v4 => Some(v4),
    }
}

fn fold(v6: Ipv6Addr) -> IpAddr {
    v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
}

fn error<T>(message: impl Into<String>) -> Result<T, ConditionError> {
    Err(ConditionError(message.into()))
}

const DEPTH_MAX: usize = 8;
const PARTS_MAX: usize = 64;
const LIST_MAX: usize = 1000;

fn minutes(text: &str, field: &str) -> Result<i32, ConditionError> {
    let parsed = match text.as_bytes() {
        [h1 @ b'0'..=b'2', h2 @ b'0'..=b'9', b':', m1 @ b'0'..=b'5', m2 @ b'0'..=b'9'] => {
            let hour = i32::from(h1 - b'0') * 10 + i32::from(h2 - b'0');
            let minute = i32::from(m1 - b'0') * 10 + i32::from(m2 - b'0');
            Some(hour * 60 + minute).filter(|total| *total <= 24 * 60)
        }
        _ => None,
    };
    parsed.map_or_else(
        || error(format!("{field}: {text:?} is not a time of day: write HH:MM, from 00:00 to 24:00")),
        Ok,
    )
}

fn attribute(of: AttributeOf, path: &str) -> Result<Attribute, ConditionError> {
    if path.is_empty() || path.len() > 256 || path.split('.').any(str::is_empty) {
        return error(format!(
            "attribute {path:?} is not a name: write words joined by dots, for example address.country"
        ));
    }
    let path: Box<[Box<str>]> = path.split('.').map(Into::into).collect();
    if of == AttributeOf::Context
        && let Some(first) = path.first()
        && matches!(&**first, "time" | "ip" | "mfa" | "amr")
    {
        return error(format!(
            "context.{first} is known to the server: use the forms between, hours, address or assurance for it"
        ));
    }
    Ok(Attribute { of, path })
}

fn scalars(values: &[Scalar]) -> Result<Box<[Scalar]>, ConditionError> {
    if values.is_empty() {
        return error("values: at least one value is needed, otherwise the condition never holds");
    }
    if values.len() > LIST_MAX {
        return error(format!(
            "values: at most {LIST_MAX} values are possible, use a team or an attribute instead"
        ));
    }
    if values.iter().any(|value| matches!(value, Scalar::Float(number) if !number.is_finite())) {
        return error("values: a number must be finite");
    }
    Ok(values.into())
}

/// Zone by name, from the database of the operating system or the bundled one.
pub(crate) fn zone(name: &str) -> Result<TimeZone, ConditionError> {
    if name.is_empty() || name.len() > 64 {
        return error(format!("zone {name:?} is not known: write an IANA name, for example Europe/Berlin"));
    }
    TimeZone::get(name).or_else(|_| {
        error(format!("zone {name:?} is not known: write an IANA name, for example Europe/Berlin"))
    })
}

fn compile_node(
    condition: &Condition,
    depth: usize,
    left: &mut usize,
    reads: &mut Reads,
) -> Result<Node, ConditionError> {
    if depth > DEPTH_MAX {
        return error(format!(
            "the condition is nested deeper than {DEPTH_MAX}: name parts of it as conditions of their own"
        ));
    }
    if *left == 0 {
        return error(format!("the condition has more than {PARTS_MAX} parts: split it"));
    }
    *left -= 1;
    let mut mark = |of: AttributeOf| match of {
        AttributeOf::Subject => reads.subject = true,
        AttributeOf::Resource => reads.resource = true,
        AttributeOf::Action | AttributeOf::Context => {}
    };
    Ok(match condition {
        Condition::Between { from, to } => {
            reads.time = true;
            if from.is_none() && to.is_none() {
                return error("between: give `from`, `to` or both");
            }
            match Window::new(*from, *to) {
                Ok(window) => Node::Between(window),
                Err(wrong) => return error(format!("between: {wrong}")),
            }
        }
        Condition::Hours { zone: name, weekdays, from, to } => {
            reads.time = true;
            let (from, to) = (minutes(from, "from")?, minutes(to, "to")?);
            if from == to {
                return error("hours: `from` and `to` are the same: write 00:00 and 24:00 for the whole day");
            }
            if from == 24 * 60 {
                return error("hours: `from` may be at most 23:59");
            }
            let days = weekdays.iter().fold(0u8, |set, day| {
                set | 1
                    << match day {
                        Weekday::Mon => 0,
                        Weekday::Tue => 1,
                        Weekday::Wed => 2,
                        Weekday::Thu => 3,
                        Weekday::Fri => 4,
                        Weekday::Sat => 5,
                        Weekday::Sun => 6,
                    }
            });
            Node::Hours {
                zone: zone(name)?,
                weekdays: if days == 0 { 0x7f } else { days },
                from: from * 60,
                to: to * 60,
            }
        }
        Condition::Address { ranges } => {
            if ranges.is_empty() || ranges.len() > LIST_MAX {
                return error(format!("ranges: between 1 and {LIST_MAX} address ranges are needed"));
            }
            let mut compiled = Vec::with_capacity(ranges.len());
            for range in ranges {
                match Range::parse(range) {
                    Some(range) => compiled.push(range),
                    None => {
                        return error(format!(
                            "ranges: {range:?} is no address range: write 10.0.0.0/8, 2001:db8::/32 or one address"
                        ));
                    }
                }
            }
            Node::Address(compiled.into())
        }
        Condition::Assurance { mfa, any_of } => {
            if !mfa && any_of.is_empty() {
                return error("assurance: demand `mfa`, or name methods in `any_of`");
            }
            if any_of.len() > LIST_MAX {
                return error(format!("any_of: at most {LIST_MAX} methods are possible"));
            }
            Node::Assurance {
                mfa: *mfa,
                any_of: any_of.iter().map(|method| method.as_str().into()).collect(),
            }
        }
        Condition::AtMost { of, attribute: path, limit } => {
            if !limit.is_finite() {
                return error("limit: a finite number is needed");
            }
            mark(*of);
            Node::AtMost { attribute: attribute(*of, path)?, limit: *limit }
        }
        Condition::Equals { of, attribute: path, value } => {
            mark(*of);
            Node::OneOf { attribute: attribute(*of, path)?, values: scalars(core::slice::from_ref(value))? }
        }
        Condition::OneOf { of, attribute: path, values } => {
            mark(*of);
            Node::OneOf { attribute: attribute(*of, path)?, values: scalars(values)? }
        }
        Condition::Owner {} => {
            reads.resource = true;
            Node::Owner
        }
        Condition::Team { team } => {
            reads.teams = true;
            Node::Team(team.clone())
        }
        Condition::All { of } | Condition::Any { of } => {
            if of.is_empty() {
                return error("of: at least one part is needed");
            }
            let parts: Result<Box<[Node]>, _> =
                of.iter().map(|part| compile_node(part, depth + 1, left, reads)).collect();
            if matches!(condition, Condition::All { .. }) { Node::All(parts?) } else { Node::Any(parts?) }
        }
        Condition::Cel { expression } => {
            let expression = Expression::compile(expression)?;
            *reads = reads.and(expression.reads());
            Node::Cel(Box::new(expression))
        }
    })
}

/// Compiles a condition, or says what to do about it.
pub fn compile(condition: &Condition) -> Result<CompiledCondition, ConditionError> {
    let mut reads = Reads::default();
    let node = compile_node(condition, 1, &mut { PARTS_MAX }, &mut reads)?;
    Ok(CompiledCondition { node, reads })
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

/// Seconds of the local day and the weekday (Monday 0) in a zone.
pub(crate) fn local(zone: &TimeZone, now: Timestamp) -> Option<(i32, u8)> {
    let second = now.seconds();
    let offset = zone.to_offset(jiff::Timestamp::from_second(second).ok()?).seconds();
    let local = second.checked_add(i64::from(offset))?;
    let of_day = local.rem_euclid(86_400) as i32;
    // 1970-01-01 was a Thursday.
    let weekday = (local.div_euclid(86_400) + 3).rem_euclid(7) as u8;
    Some((of_day, weekday))
}

fn same(value: &Value, wanted: &Scalar) -> Outcome {
    match (value, wanted) {
        (Value::Bool(value), Scalar::Bool(wanted)) => (value == wanted).into(),
        (Value::String(value), Scalar::Text(wanted)) => (value == wanted).into(),
        (Value::Number(value), Scalar::Int(wanted)) => match whole(value) {
            Some(value) => (value == i128::from(*wanted)).into(),
            None => Outcome::False,
        },
        (Value::Number(value), Scalar::Float(wanted)) => match whole(value) {
            Some(value) => (wanted.fract() == 0.0 && *wanted as i128 == value).into(),
            None => (value.as_f64() == Some(*wanted)).into(),
        },
        _ => Outcome::Unknown,
    }
}

/// The number as a whole number, exactly.
fn whole(number: &Number) -> Option<i128> {
    if let Some(value) = number.as_i64() {
        return Some(i128::from(value));
    }
    if let Some(value) = number.as_u64() {
        return Some(i128::from(value));
    }
    let value = number.as_f64()?;
    (value.fract() == 0.0 && value.abs() < 1e30).then_some(value as i128)
}

fn at_most(number: &Number, limit: f64) -> Outcome {
    match whole(number) {
        Some(value) if limit.abs() < 1e30 => (value <= limit.floor() as i128).into(),
        _ => number.as_f64().map_or(Outcome::Unknown, |value| (value <= limit).into()),
    }
}

impl Attribute {
    /// The value: the stored one where the first word is stored, else the caller's where it counts.
    fn find<'a>(&self, asked: &'a impl Asked) -> Option<&'a Value> {
        let (first, rest) = self.path.split_first()?;
        let context = asked.context();
        let (stored, sent) = match self.of {
            AttributeOf::Subject => (asked.subject_attributes(), context.subject_properties),
            AttributeOf::Resource => {
                asked.resource()?;
                (asked.resource_attributes(), context.resource_properties)
            }
            AttributeOf::Action => (Stored::Absent, context.action_properties),
            AttributeOf::Context => (Stored::Absent, context.context),
        };
        let from_stored = match stored {
            Stored::Unreadable => return None,
            Stored::Absent => None,
            Stored::Map(map) => map.get(&**first),
        };
        let mut value = match from_stored {
            Some(value) => value,
            None if asked.assertable().allows(self.of, first) => sent?.get(&**first)?,
            None => return None,
        };
        for word in rest {
            value = value.as_object()?.get(&**word)?;
        }
        Some(value)
    }
}

impl Node {
    fn evaluate(&self, asked: &impl Asked) -> Outcome {
        match self {
            Self::Broken => Outcome::Unknown,
            Self::Between(window) => window.is_live(asked.now()).into(),
            Self::Hours { zone, weekdays, from, to } => {
                let Some((second, weekday)) = local(zone, asked.now()) else { return Outcome::Unknown };
                let on = |day: u8| weekdays >> day & 1 == 1;
                if from < to {
                    (on(weekday) && *from <= second && second < *to).into()
                } else {
                    // Past midnight the hours belong to the day on which they began.
                    ((on(weekday) && second >= *from) || (on((weekday + 6) % 7) && second < *to)).into()
                }
            }
            Self::Address(ranges) => match asked.context().address {
                Some(address) => ranges.iter().any(|range| range.contains(address)).into(),
                None => Outcome::Unknown,
            },
            Self::Assurance { mfa, any_of } => {
                let context = asked.context();
                ((!mfa || context.mfa)
                    && (any_of.is_empty() || any_of.iter().any(|method| context.amr.contains(&&**method))))
                .into()
            }
            Self::AtMost { attribute, limit } => match attribute.find(asked) {
                Some(Value::Number(number)) => at_most(number, *limit),
                _ => Outcome::Unknown,
            },
            Self::OneOf { attribute, values } => {
                let Some(value) = attribute.find(asked) else { return Outcome::Unknown };
                let mut comparable = false;
                for wanted in values {
                    match same(value, wanted) {
                        Outcome::True => return Outcome::True,
                        Outcome::False => comparable = true,
                        Outcome::Unknown => {}
                    }
                }
                if comparable { Outcome::False } else { Outcome::Unknown }
            }
            Self::Owner => match asked.owner() {
                Owner::Is(owner) => (owner == asked.subject()).into(),
                Owner::Nobody => Outcome::False,
                Owner::Unknown => Outcome::Unknown,
            },
            Self::Team(team) => match asked.teams().iter().find(|(key, _)| key == team) {
                Some((_, true)) => Outcome::True,
                Some((_, false)) => Outcome::Unknown,
                None if asked.is_team(team) => Outcome::False,
                None => Outcome::Unknown,
            },
            Self::All(parts) => {
                let mut outcome = Outcome::True;
                for part in parts {
                    match part.evaluate(asked) {
                        Outcome::False => return Outcome::False,
                        Outcome::Unknown => outcome = Outcome::Unknown,
                        Outcome::True => {}
                    }
                }
                outcome
            }
            Self::Any(parts) => {
                let mut outcome = Outcome::False;
                for part in parts {
                    match part.evaluate(asked) {
                        Outcome::True => return Outcome::True,
                        Outcome::Unknown => outcome = Outcome::Unknown,
                        Outcome::False => {}
                    }
                }
                outcome
            }
            Self::Cel(expression) => expression.evaluate(asked),
        }
    }

    fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Between(window) => window.next_change(now),
            Self::Hours { zone, from, to, .. } => Some(next_edge(zone, *from, *to, now)),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().filter_map(|part| part.next_change(now)).min()
            }
            Self::Cel(expression) => expression.reads().time.then_some(now),
            _ => None,
        }
    }
}

/// The next edge of working hours, at most a minute away. Within a minute a zone changes its offset at most once; where
/// it does, nothing is promised.
fn next_edge(zone: &TimeZone, from: i32, to: i32, now: Timestamp) -> Timestamp {
    let soon = now.plus_seconds(60);
    let offset = |at: Timestamp| {
        jiff::Timestamp::from_second(at.seconds()).ok().map(|at| zone.to_offset(at).seconds())
    };
    match (offset(now), offset(soon), local(zone, now)) {
        (Some(here), Some(there), Some((second, _))) if here == there => [from, to, 0, 86_400]
            .into_iter()
            .map(|edge| (edge - second).rem_euclid(86_400))
            .map(|wait| if wait == 0 { 86_400 } else { wait })
            .map(|wait| Timestamp::from_seconds(now.seconds()).plus_seconds(i64::from(wait)))
            .min()
            .map_or(soon, |edge| edge.min(soon)),
        _ => now,
    }
}
