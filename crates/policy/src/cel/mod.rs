//! Conditions written as CEL expressions: bounded, checked when written, evaluated in an inner scope of one shared context.
//!
//! Variables: `subject` (id, type, teams, properties), `action` (name, permission, properties), `resource` (id, type, owner,
//! properties), `context` (time, ip, mfa, amr, request, and whatever the caller sent). Times are RFC 3339 texts in UTC with
//! whole seconds, so that they compare as texts. Nothing loops: comprehensions are refused.

mod bounds;
mod checker;
mod values;

use crate::condition::{Asked, ConditionError, Outcome, Reads};
use bounds::{TOKENS_MAX, bounded};
use cel::Value;
use cel::common::ast::IdedExpr;
use cel::parser::PrattParser;
use checker::{Checker, Type};
use std::panic::{AssertUnwindSafe, catch_unwind};
use values::{action, context, functions, resource, subject};

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

const RECURSION_MAX: u16 = 64;

fn error<T>(message: impl Into<String>) -> Result<T, ConditionError> {
    Err(ConditionError(message.into()))
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
