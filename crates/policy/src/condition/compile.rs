//! Conditions as written to conditions ready to run; each refusal says what to do.

use super::address::AddressRange;
use super::hours::zone;
use super::{Attribute, CompiledCondition, ConditionError, Node, Reads, error};
use crate::cel::Expression;
use charter_kernel::condition::{AttributeOf, Scalar, Weekday};
use charter_kernel::{Condition, Window};

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

pub(super) fn attribute(of: AttributeOf, path: &str) -> Result<Attribute, ConditionError> {
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
                match AddressRange::parse(range) {
                    Ok(range) => compiled.push(range),
                    Err(wrong) => return error(format!("ranges: {wrong}")),
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
