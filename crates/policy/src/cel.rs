//! Conditions written as CEL expressions: bounded, checked when written, evaluated in an inner scope of one shared context.
//!
//! Variables: `subject` (id, type, teams, properties), `action` (name, permission, properties), `resource` (id, type, owner,
//! properties), `context` (time, ip, mfa, amr, request, and whatever the caller sent). Times are RFC 3339 texts in UTC with
//! whole seconds, so that they compare as texts. Nothing loops: comprehensions are refused.

use crate::condition::{
    Asked, ConditionError, Outcome, Owner, Range, Reads, Stored, local, parse_address, zone,
};
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::objects::{Key, Map as CelMap};
use cel::parser::PrattParser;
use cel::{ExecutionError, Value};
use charter_kernel::condition::AttributeOf;
use charter_kernel::facts::PrincipalKind;
use charter_kernel::time::Timestamp;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

/// A checked expression.
#[derive(Debug)]
pub(crate) struct Expression {
    root: IdedExpr,
    uses: Uses,
}

#[derive(Debug, Default, Clone, Copy)]
struct Uses {
    subject: bool,
    action: bool,
    resource: bool,
    context: bool,
    reads: Reads,
}

const SOURCE_MAX: usize = 2048;
const NESTING_MAX: usize = 16;
const TOKENS_MAX: usize = 320;
const RECURSION_MAX: u16 = 64;

fn error<T>(message: impl Into<String>) -> Result<T, ConditionError> {
    Err(ConditionError(message.into()))
}

/// Refuses texts that would be slow or deep to parse, before a parser sees them.
fn bounded(source: &str) -> Result<(), ConditionError> {
    if source.trim().is_empty() {
        return error(
            "expression: nothing is written: give an expression, for example resource.properties.amount <= 500",
        );
    }
    if source.len() > SOURCE_MAX {
        return error(format!(
            "expression: {} bytes, at most {SOURCE_MAX} are possible: split the condition",
            source.len()
        ));
    }
    let (mut depth, mut tokens, mut choices, mut signs) = (0usize, 0usize, 0usize, 0usize);
    let mut in_word = false;
    let mut bytes = source.bytes();
    while let Some(byte) = bytes.next() {
        let is_word = byte.is_ascii_alphanumeric() || byte == b'_';
        if is_word && in_word {
            continue;
        }
        in_word = is_word;
        if byte.is_ascii_whitespace() {
            continue;
        }
        tokens += 1;
        signs = if matches!(byte, b'!' | b'-') { signs + 1 } else { 0 };
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'?' => choices += 1,
            b'`' => return error("expression: quoted names (`) are not possible"),
            b'"' | b'\'' => loop {
                match bytes.next() {
                    Some(b'\\') => {
                        bytes.next();
                    }
                    Some(end) if end == byte => break,
                    Some(b'\n') | None => {
                        return error(
                            "expression: a text is not closed: end it with the quote it began with, on the same line",
                        );
                    }
                    Some(_) => {}
                }
            },
            _ if !byte.is_ascii() || byte.is_ascii_control() => {
                return error("expression: only ASCII characters may stand outside quoted texts");
            }
            _ => {}
        }
        if depth > NESTING_MAX || choices > NESTING_MAX || signs > 4 {
            return error(format!(
                "expression: nested deeper than {NESTING_MAX}: name parts of it as conditions of their own"
            ));
        }
        if tokens > TOKENS_MAX {
            return error(format!("expression: more than {TOKENS_MAX} words and signs: split the condition"));
        }
    }
    Ok(())
}

/// Type of an expression as far as it can be known without the facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Bool,
    Number,
    Text,
    List,
    Map,
    Null,
    Any,
}

impl Type {
    fn name(self) -> &'static str {
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

    fn fits(self, wanted: Self) -> bool {
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

struct Checker {
    uses: Uses,
    left: usize,
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

    fn infer(&mut self, expr: &IdedExpr) -> Result<Type, ConditionError> {
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
                "in_range" if Range::parse(text).is_none() => {
                    return error(format!(
                        "expression: {text:?} is no address range: write 10.0.0.0/8, 2001:db8::/32 or one address"
                    ));
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

fn functions() -> &'static cel::Context<'static, 'static> {
    static ROOT: OnceLock<cel::Context<'static, 'static>> = OnceLock::new();
    ROOT.get_or_init(|| {
        let mut context = cel::Context::default();
        let text = |name: &str, message: &str| ExecutionError::function_error(name, message);
        // A name that is taken would leave the function undeclared; calling it then fails to evaluate, which denies.
        let _ = context.add_function("in_range", move |address: Arc<String>, range: Arc<String>| {
            let address = parse_address(&address).ok_or_else(|| text("in_range", "not an address"))?;
            let range = Range::parse(&range).ok_or_else(|| text("in_range", "not an address range"))?;
            Ok::<bool, ExecutionError>(range.contains(address))
        });
        let _ = context.add_function("hour", move |time: Arc<String>, name: Arc<String>| {
            let (second, _) = local_of(&time, &name).ok_or_else(|| text("hour", "not a time or zone"))?;
            Ok::<i64, ExecutionError>(i64::from(second / 3600))
        });
        let _ = context.add_function("weekday", move |time: Arc<String>, name: Arc<String>| {
            let (_, day) = local_of(&time, &name).ok_or_else(|| text("weekday", "not a time or zone"))?;
            let day = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
                .get(usize::from(day))
                .copied()
                .unwrap_or_default();
            Ok::<Arc<String>, ExecutionError>(Arc::new(day.to_owned()))
        });
        context
    })
}

fn local_of(time: &str, name: &str) -> Option<(i32, u8)> {
    let time: Timestamp = time.parse().ok()?;
    local(&zone(name).ok()?, time)
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(it) => Value::Bool(*it),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(it), _, _) => Value::Int(it),
            (None, Some(it), _) => Value::UInt(it),
            (None, None, it) => it.map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(value).collect())),
        Json::Object(map) => object(map.iter().map(|(key, it)| (key.as_str(), value(it)))),
    }
}

fn object<'a>(entries: impl Iterator<Item = (&'a str, Value)>) -> Value {
    let map: HashMap<Key, Value> =
        entries.map(|(key, value)| (Key::String(Arc::new(key.to_owned())), value)).collect();
    Value::Map(CelMap { map: Arc::new(map) })
}

fn text(text: impl ToString) -> Value {
    Value::String(Arc::new(text.to_string()))
}

/// Stored attributes over those the caller may assert; none where what is stored cannot be read.
fn properties(
    of: AttributeOf,
    stored: Stored<'_>,
    sent: Option<&Map<String, Json>>,
    asked: &impl Asked,
) -> Option<Value> {
    let stored = match stored {
        Stored::Unreadable => return None,
        Stored::Absent => None,
        Stored::Map(map) => Some(map),
    };
    let sent = sent.into_iter().flatten().filter(|(key, _)| {
        asked.assertable().allows(of, key) && !stored.is_some_and(|stored| stored.contains_key(key.as_str()))
    });
    Some(object(sent.chain(stored.into_iter().flatten()).map(|(key, it)| (key.as_str(), value(it)))))
}

fn subject(asked: &impl Asked) -> Value {
    let kind = match asked.subject_kind() {
        PrincipalKind::User => "user",
        PrincipalKind::ServiceAccount => "service_account",
    };
    let mut entries = vec![("id", text(asked.subject())), ("type", text(kind))];
    if asked.teams().iter().all(|(_, certain)| *certain) {
        entries
            .push(("teams", Value::List(Arc::new(asked.teams().iter().map(|(key, _)| text(key)).collect()))));
    }
    let sent = asked.context().subject_properties;
    if let Some(found) = properties(AttributeOf::Subject, asked.subject_attributes(), sent, asked) {
        entries.push(("properties", found));
    }
    object(entries.into_iter())
}

fn action(asked: &impl Asked) -> Value {
    let mut entries =
        vec![("name", text(asked.permission().action())), ("permission", text(asked.permission()))];
    let sent = asked.context().action_properties;
    if let Some(found) = properties(AttributeOf::Action, Stored::Absent, sent, asked) {
        entries.push(("properties", found));
    }
    object(entries.into_iter())
}

fn resource(asked: &impl Asked) -> Value {
    let mut entries = Vec::new();
    if let Some((kind, id)) = asked.resource() {
        entries.push(("id", text(id)));
        entries.push(("type", text(kind)));
        match asked.owner() {
            Owner::Is(owner) => entries.push(("owner", text(owner))),
            Owner::Nobody => entries.push(("owner", Value::Null)),
            Owner::Unknown => {}
        }
        let sent = asked.context().resource_properties;
        if let Some(found) = properties(AttributeOf::Resource, asked.resource_attributes(), sent, asked) {
            entries.push(("properties", found));
        }
    }
    object(entries.into_iter())
}

fn context(asked: &impl Asked) -> Value {
    let known = asked.context();
    let mut entries = vec![
        ("time", text(Timestamp::from_seconds(asked.now().seconds()))),
        ("mfa", Value::Bool(known.mfa)),
        ("amr", Value::List(Arc::new(known.amr.iter().map(text).collect()))),
        ("request", object(known.context.into_iter().flatten().map(|(key, it)| (key.as_str(), value(it))))),
    ];
    if let Some(address) = known.address {
        let folded = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
            v4 => v4,
        };
        entries.push(("ip", text(folded)));
    }
    let sent = known.context.into_iter().flatten();
    let sent = sent.filter(|(key, _)| !matches!(key.as_str(), "time" | "mfa" | "amr" | "request" | "ip"));
    object(sent.map(|(key, it)| (key.as_str(), value(it))).chain(entries))
}

impl Expression {
    /// Parses and checks an expression.
    pub(crate) fn compile(source: &str) -> Result<Self, ConditionError> {
        bounded(source)?;
        let parsed = catch_unwind(AssertUnwindSafe(|| {
            let parser = PrattParser::new()
                .max_recursion_depth(RECURSION_MAX)
                .max_expression_node_count(TOKENS_MAX * 2);
            parser.parse(source)
        }));
        let root = match parsed {
            Ok(Ok(root)) => root,
            Ok(Err(errors)) => {
                let first = errors.to_string();
                let first =
                    first.lines().find(|line| !line.trim().is_empty()).unwrap_or("syntax error").trim();
                return error(format!("expression: cannot be read: {first}"));
            }
            Err(_) => return error("expression: cannot be read: write it in another way"),
        };
        let mut checker = Checker { uses: Uses::default(), left: TOKENS_MAX * 2 };
        let found = checker.infer(&root)?;
        if !found.fits(Type::Bool) {
            return error(format!("expression: gives {}, but must give true or false", found.name()));
        }
        Ok(Self { root, uses: checker.uses })
    }

    pub(crate) fn reads(&self) -> Reads {
        self.uses.reads
    }

    /// Whether it holds. Whatever goes wrong inside, a fault of the interpreter included, means that it cannot be said.
    pub(crate) fn evaluate(&self, asked: &impl Asked) -> Outcome {
        let run = || {
            let mut scope = functions().new_inner_scope();
            if self.uses.subject {
                scope.add_variable_from_value("subject", subject(asked));
            }
            if self.uses.action {
                scope.add_variable_from_value("action", action(asked));
            }
            if self.uses.resource {
                scope.add_variable_from_value("resource", resource(asked));
            }
            if self.uses.context {
                scope.add_variable_from_value("context", context(asked));
            }
            Value::resolve(&self.root, &scope)
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(Value::Bool(value))) => value.into(),
            _ => Outcome::Unknown,
        }
    }
}
