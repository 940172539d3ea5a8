//! Whether a condition holds: three-valued, without allocation but for an expression.

use super::hours::{local, next_edge};
use super::{Asked, Attribute, Node, Outcome, Owner, Stored};
use charter_kernel::Timestamp;
use charter_kernel::condition::{AttributeOf, Scalar};
use serde_json::{Number, Value};

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
    pub(super) fn find<'a>(&self, asked: &'a impl Asked) -> Option<&'a Value> {
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
    pub(super) fn evaluate(&self, asked: &impl Asked) -> Outcome {
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

    pub(super) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
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
