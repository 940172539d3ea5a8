//! Types of an expression as far as they can be known when it is written, and what it reads.

use super::{Uses, error};
use crate::condition::{AddressRange, ConditionError, zone};
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// Type of an expression as far as it can be known without the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Number,
    Text,
    List,
    Map,
    Null,
    Any,
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Map => "an object",
            Self::Null => "null",
            Self::Any => "anything",
        }
    }

    pub(super) fn fits(self, wanted: Self) -> bool {
        self == wanted || self == Self::Any || wanted == Self::Any
    }

    fn common(self, other: Self) -> Self {
        if self == other { self } else { Self::Any }
    }
}

/// Functions: name, whether also or only as a method, arguments (receiver first), result.
const FUNCTIONS: &[(&str, &[&[Type]], Type)] = &[
    ("size", &[&[Type::Text], &[Type::List], &[Type::Map]], Type::Number),
    ("contains", &[&[Type::Text, Type::Text]], Type::Bool),
    ("startsWith", &[&[Type::Text, Type::Text]], Type::Bool),
    ("endsWith", &[&[Type::Text, Type::Text]], Type::Bool),
    ("int", &[&[Type::Number], &[Type::Text]], Type::Number),
    ("double", &[&[Type::Number], &[Type::Text]], Type::Number),
    ("string", &[&[Type::Number], &[Type::Text], &[Type::Bool]], Type::Text),
    ("in_range", &[&[Type::Text, Type::Text]], Type::Bool),
    ("hour", &[&[Type::Text, Type::Text]], Type::Number),
    ("weekday", &[&[Type::Text, Type::Text]], Type::Text),
];

const METHODS_ONLY: &[&str] = &["contains", "startsWith", "endsWith"];

const FUNCTIONS_ONLY: &[&str] = &["int", "double", "string", "in_range", "hour", "weekday"];

pub(super) struct Checker {
    pub(super) uses: Uses,
    pub(super) left: usize,
}

impl Checker {
    fn wants(&mut self, expr: &IdedExpr, wanted: Type, place: &str) -> Result<(), ConditionError> {
        let found = self.infer(expr)?;
        if found.fits(wanted) {
            Ok(())
        } else {
            error(format!("expression: {place} needs {}, not {}", wanted.name(), found.name()))
        }
    }

    pub(super) fn infer(&mut self, expr: &IdedExpr) -> Result<Type, ConditionError> {
        if self.left == 0 {
            return error("expression: too many parts: split the condition");
        }
        self.left -= 1;
        match &expr.expr {
            Expr::Literal(literal) => Ok(match literal {
                LiteralValue::Boolean(_) => Type::Bool,
                LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Type::Number,
                LiteralValue::String(_) => Type::Text,
                LiteralValue::Null => Type::Null,
                LiteralValue::Bytes(_) => {
                    return error("expression: byte texts (b\"...\") are not possible: write \"...\"");
                }
            }),
            Expr::Ident(name) => self.variable(name, None),
            Expr::Select(select) => {
                let found = match &select.operand.expr {
                    Expr::Ident(name) => self.variable(name, Some(&select.field))?,
                    _ => {
                        self.wants(&select.operand, Type::Map, &format!(".{}", select.field))?;
                        Type::Any
                    }
                };
                Ok(if select.test { Type::Bool } else { found })
            }
            Expr::List(list) => {
                if !list.optional_indices.is_empty() {
                    return error("expression: optional elements (?) are not possible");
                }
                for element in &list.elements {
                    self.infer(element)?;
                }
                Ok(Type::List)
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.infer(&entry.key)?;
                        self.infer(&entry.value)?;
                    }
                }
                Ok(Type::Map)
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(_) => error(
                "expression: all, exists, exists_one, map and filter are not possible: use `in`, a team or an attribute",
            ),
            Expr::Struct(_) => error("expression: objects with a type name are not possible"),
            Expr::Unspecified => error("expression: a part is missing"),
        }
    }

    fn variable(&mut self, name: &str, field: Option<&str>) -> Result<Type, ConditionError> {
        let fields: &[(&str, Type)] = match name {
            "subject" => {
                self.uses.subject = true;
                self.uses.reads.subject |= matches!(field, None | Some("properties"));
                self.uses.reads.teams |= matches!(field, None | Some("teams"));
                &[("id", Type::Text), ("type", Type::Text), ("teams", Type::List), ("properties", Type::Map)]
            }
            "action" => {
                self.uses.action = true;
                &[("name", Type::Text), ("permission", Type::Text), ("properties", Type::Map)]
            }
            "resource" => {
                self.uses.resource = true;
                self.uses.reads.resource |= matches!(field, None | Some("properties" | "owner"));
                &[("id", Type::Text), ("type", Type::Text), ("owner", Type::Any), ("properties", Type::Map)]
            }
            "context" => {
                self.uses.context = true;
                self.uses.reads.time |= matches!(field, None | Some("time"));
                return Ok(match field {
                    None | Some("request") => Type::Map,
                    Some("time" | "ip") => Type::Text,
                    Some("mfa") => Type::Bool,
                    Some("amr") => Type::List,
                    Some(_) => Type::Any,
                });
            }
            _ => {
                return error(format!(
                    "expression: {name} is not known: use subject, action, resource or context"
                ));
            }
        };
        let Some(field) = field else { return Ok(Type::Map) };
        match fields.iter().find(|(known, _)| *known == field) {
            Some((_, found)) => Ok(*found),
            None => {
                let known: Vec<&str> = fields.iter().map(|(known, _)| *known).collect();
                error(format!(
                    "expression: {name}.{field} is not known: {name} has {}; attributes are under {name}.properties",
                    known.join(", ")
                ))
            }
        }
    }

    fn call(&mut self, call: &CallExpr) -> Result<Type, ConditionError> {
        let name = call.func_name.as_str();
        let args = call.args.as_slice();
        match (name, call.target.as_deref(), args) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, None, args) => {
                for arg in args {
                    self.wants(arg, Type::Bool, if name == operators::LOGICAL_AND { "&&" } else { "||" })?;
                }
                Ok(Type::Bool)
            }
            (operators::LOGICAL_NOT, None, [arg]) => self.wants(arg, Type::Bool, "!").map(|()| Type::Bool),
            (operators::NEGATE, None, [arg]) => self.wants(arg, Type::Number, "-").map(|()| Type::Number),
            (operators::CONDITIONAL, None, [test, yes, no]) => {
                self.wants(test, Type::Bool, "?")?;
                let (yes, no) = (self.infer(yes)?, self.infer(no)?);
                Ok(yes.common(no))
            }
            (operators::EQUALS | operators::NOT_EQUALS, None, [left, right]) => {
                let (left, right) = (self.infer(left)?, self.infer(right)?);
                if left.fits(right) || left == Type::Null || right == Type::Null {
                    Ok(Type::Bool)
                } else {
                    error(format!(
                        "expression: == compares {} with {}, which are never equal",
                        left.name(),
                        right.name()
                    ))
                }
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                None,
                [left, right],
            ) => {
                let (left, right) = (self.infer(left)?, self.infer(right)?);
                let ordered = |found| matches!(found, Type::Number | Type::Text | Type::Any);
                if left.fits(right) && ordered(left) && ordered(right) {
                    Ok(Type::Bool)
                } else {
                    error(format!(
                        "expression: < compares {} with {}: both must be numbers, or both texts",
                        left.name(),
                        right.name()
                    ))
                }
            }
            (operators::ADD, None, [left, right]) => {
                let (left, right) = (self.infer(left)?, self.infer(right)?);
                let adds = |found| matches!(found, Type::Number | Type::Text | Type::Any);
                if left.fits(right) && adds(left) && adds(right) {
                    Ok(if left == Type::Any { right } else { left })
                } else {
                    error(format!(
                        "expression: + joins {} with {}: both must be numbers, or both texts",
                        left.name(),
                        right.name()
                    ))
                }
            }
            (
                operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
                None,
                [left, right],
            ) => {
                self.wants(left, Type::Number, "arithmetic")?;
                self.wants(right, Type::Number, "arithmetic")?;
                Ok(Type::Number)
            }
            (operators::IN, None, [item, list]) => {
                self.infer(item)?;
                match self.infer(list)? {
                    Type::List | Type::Map | Type::Any => Ok(Type::Bool),
                    other => error(format!("expression: `in` needs a list, not {}", other.name())),
                }
            }
            (operators::INDEX, None, [of, at]) => {
                if let Expr::Ident(_) = &of.expr {
                    return error(
                        "expression: [ ] directly on a variable is not possible: write subject.properties[...] or context.name",
                    );
                }
                match self.infer(of)? {
                    Type::List | Type::Map | Type::Any => {}
                    other => {
                        return error(format!(
                            "expression: [ ] needs a list or an object, not {}",
                            other.name()
                        ));
                    }
                }
                self.infer(at)?;
                Ok(Type::Any)
            }
            _ => self.function(name, call.target.as_deref(), args),
        }
    }

    fn function(
        &mut self,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Result<Type, ConditionError> {
        let Some((_, overloads, result)) = FUNCTIONS.iter().find(|(known, _, _)| *known == name) else {
            let known: Vec<&str> = FUNCTIONS.iter().map(|(known, _, _)| *known).collect();
            return error(format!(
                "expression: {name}() is not known: there are {} and has",
                known.join(", ")
            ));
        };
        if target.is_none() && METHODS_ONLY.contains(&name) {
            return error(format!("expression: write text.{name}(...) instead of {name}(text, ...)"));
        }
        if target.is_some() && FUNCTIONS_ONLY.contains(&name) {
            return error(format!("expression: write {name}(value, ...) instead of value.{name}(...)"));
        }
        let given: Vec<&IdedExpr> = target.into_iter().chain(args).collect();
        let mut types = Vec::with_capacity(given.len());
        for arg in &given {
            types.push(self.infer(arg)?);
        }
        let fits = overloads.iter().any(|wanted| {
            wanted.len() == types.len()
                && wanted.iter().zip(&types).all(|(wanted, found)| found.fits(*wanted))
        });
        if !fits {
            let found: Vec<&str> = types.iter().map(|found| found.name()).collect();
            return error(format!("expression: {name}() cannot take ({})", found.join(", ")));
        }
        if let [_, second] = given.as_slice()
            && let Expr::Literal(LiteralValue::String(text)) = &second.expr
        {
            let text = text.inner();
            match name {
                "in_range" => {
                    if let Err(wrong) = AddressRange::parse(text) {
                        return error(format!("expression: {wrong}"));
                    }
                }
                "hour" | "weekday" => {
                    zone(text)?;
                }
                _ => {}
            }
        }
        Ok(*result)
    }
}
