//! Rego by regorus: one document of data keyed so that every rule is a look-up, one policy; run by its virtual machine, and by its
//! interpreter for comparison. Both are compiled once and keep their data; a check sets the input and runs.

use super::Engine;
use crate::world::{KIND, NOW, OFFICE, Question, Reach, World};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{CompiledPolicy, Engine as Interpreter, Value};
use serde_json::{Map, json};

const RULE: &str = "data.charter.allow";

fn policy() -> String {
    format!(
        r#"package charter

import rego.v1

default allow := false

member := data.members[input.principal]

allow if {{
    data.entitled[input.permission]
    not member.blocked[input.permission]
    given
}}

given if {{
    some role in member.roles
    data.roles[role][input.permission]
}}

given if member.grants.organization[input.permission]

given if member.grants[input.kind][input.permission]

given if member.grants[input.resource][input.permission]

given if {{
    input.now < member.until
    data.roles[member.timed][input.permission]
}}

given if {{
    data.roles[member.office][input.permission]
    net.cidr_contains("{OFFICE}", input.ip)
}}
"#
    )
}

fn data(world: &World) -> Value {
    let code = |at: usize| world.codes[at].to_string();
    let codes = |list: &mut dyn Iterator<Item = usize>| -> Map<String, serde_json::Value> {
        list.map(|at| (code(at), json!(true))).collect()
    };
    let roles: Map<_, _> = world
        .roles
        .iter()
        .zip(&world.role_codes)
        .map(|(role, given)| (role.to_string(), codes(&mut given.iter().copied()).into()))
        .collect();
    let mut members = Map::new();
    for (at, member) in world.members.iter().enumerate() {
        let mut grants: Map<String, serde_json::Value> = Map::new();
        for grant in world.grants.iter().filter(|grant| grant.member == at) {
            let on = match grant.reach {
                Reach::Organization => "organization".to_owned(),
                Reach::Kind => KIND.to_owned(),
                Reach::Product(id) => format!("{KIND}:{id}"),
            };
            let given = grants.entry(on).or_insert_with(|| json!({}));
            given[code(grant.permission)] = json!(true);
        }
        let blocked = codes(&mut world.blocks.iter().filter(|it| it.member == at).map(|it| it.permission));
        let names: Vec<String> =
            world.plain_roles(member).into_iter().map(|at| world.roles[at].to_string()).collect();
        let mut row = json!({ "roles": names, "blocked": blocked, "grants": grants });
        if let Some((role, until)) = member.until {
            row["timed"] = json!(world.roles[role].as_str());
            row["until"] = json!(until);
        }
        if let Some(role) = member.office {
            row["office"] = json!(world.roles[role].as_str());
        }
        members.insert(world.id(at), row);
    }
    let entitled = codes(&mut (0..world.codes.len()).filter(|at| world.is_entitled(*at)));
    Value::from_json_str(&json!({ "roles": roles, "members": members, "entitled": entitled }).to_string())
        .unwrap()
}

fn inputs(world: &World, questions: &[Question]) -> Vec<Value> {
    questions
        .iter()
        .map(|question| {
            let mut input = json!({
                "principal": world.id(question.member),
                "permission": world.codes[question.permission].as_str(),
                "now": NOW,
                "ip": question.address.to_string(),
            });
            if let Some(product) = question.product {
                input["kind"] = json!(KIND);
                input["resource"] = json!(format!("{KIND}:{product}"));
            }
            Value::from_json_str(&input.to_string()).unwrap()
        })
        .collect()
}

fn engine(world: &World) -> (Interpreter, CompiledPolicy, Value) {
    let data = data(world);
    let mut engine = Interpreter::new();
    engine.add_policy("charter.rego".into(), policy()).unwrap();
    engine.add_data(data.clone()).unwrap();
    let compiled = engine.compile_with_entrypoint(&RULE.into()).unwrap();
    (engine, compiled, data)
}

/// The virtual machine.
pub struct Machine {
    vm: RegoVM,
    inputs: Vec<Value>,
}

impl Machine {
    /// Compiles the policy to a program.
    pub fn new(world: &World, questions: &[Question]) -> Self {
        let (_, compiled, data) = engine(world);
        let program = Compiler::compile_from_policy(&compiled, &[RULE]).unwrap();
        let mut vm = RegoVM::new();
        vm.load_program(program);
        vm.set_data(data).unwrap();
        Self { vm, inputs: inputs(world, questions) }
    }
}

impl Engine for Machine {
    fn name(&self) -> &'static str {
        "regorus, virtual machine"
    }

    fn ask(&mut self, question: usize) -> bool {
        self.vm.set_input(self.inputs[question].clone());
        self.vm.execute().unwrap() == Value::from(true)
    }

    fn round(&self) -> usize {
        4_000
    }
}

/// The interpreter.
pub struct Interpreted {
    engine: Interpreter,
    inputs: Vec<Value>,
}

impl Interpreted {
    /// Prepares the policy.
    pub fn new(world: &World, questions: &[Question]) -> Self {
        let (engine, _, _) = engine(world);
        Self { engine, inputs: inputs(world, questions) }
    }
}

impl Engine for Interpreted {
    fn name(&self) -> &'static str {
        "regorus, interpreter"
    }

    fn ask(&mut self, question: usize) -> bool {
        self.engine.set_input(self.inputs[question].clone());
        self.engine.eval_rule(RULE.into()).unwrap() == Value::from(true)
    }

    fn round(&self) -> usize {
        2_000
    }
}
