//! Facts to document: canonical, sorted by what people read, the same bytes for the same policy.

use super::json::{key, to_toml};
use super::{FORMAT, Named};
use charter_catalogue::document::{quote, quote_list};
use charter_kernel::facts::{BlockSubject, OrganizationFacts};
use charter_kernel::{ConditionKey, PrincipalId, Reach, Subject, TeamId, Window};
use std::collections::HashMap;
use std::fmt::{Display, Write};

struct Names<'a> {
    logins: HashMap<PrincipalId, &'a str>,
    teams: HashMap<TeamId, &'a str>,
}

impl Names<'_> {
    /// The login; the id of somebody who is no member any more.
    fn login(&self, id: PrincipalId) -> String {
        self.logins.get(&id).map_or_else(|| id.to_string(), |login| (*login).to_owned())
    }

    fn subject(&self, subject: Subject) -> Named {
        match subject {
            Subject::Principal(id) => Named::Principal(self.login(id)),
            Subject::Team(id) => {
                Named::Team(self.teams.get(&id).map_or_else(|| id.to_string(), |team| (*team).to_owned()))
            }
        }
    }

    fn block_subject(&self, subject: &BlockSubject) -> Named {
        match subject {
            BlockSubject::Principal(id) => self.subject(Subject::Principal(*id)),
            BlockSubject::Team(id) => self.subject(Subject::Team(*id)),
            BlockSubject::Role(role) => Named::Role(role.to_string()),
            BlockSubject::Everyone => Named::Everyone,
        }
    }
}

fn subject_line(named: &Named) -> String {
    match named {
        Named::Principal(login) => format!("principal = {}", quote(login)),
        Named::Team(team) => format!("team = {}", quote(team)),
        Named::Role(role) => format!("role = {}", quote(role)),
        Named::Everyone => "everyone = true".to_owned(),
    }
}

/// Lines of one entry.
#[derive(Default)]
struct Entry(String);

impl Entry {
    fn line(&mut self, name: &str, value: impl Display) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "{name} = {value}");
    }

    fn raw(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn reach(&mut self, reach: &Reach) {
        match reach {
            Reach::Organization => {}
            Reach::Type(kind) => self.line("type", quote(kind.as_str())),
            Reach::Resource(resource) => {
                self.line("resource", quote(&format!("{}:{}", resource.kind, resource.id)))
            }
        }
    }

    fn window(&mut self, window: Window) {
        if let Some(from) = window.from() {
            self.line("from", from);
        }
        if let Some(to) = window.to() {
            self.line("to", to);
        }
    }

    fn condition(&mut self, condition: Option<&ConditionKey>) {
        if let Some(condition) = condition {
            self.line("condition", quote(condition.as_str()));
        }
    }
}

/// Writes the canonical document of an organization's access policy.
pub fn export(facts: &OrganizationFacts) -> String {
    let names = Names {
        logins: facts.members.iter().map(|member| (member.principal, member.login.as_str())).collect(),
        teams: facts.teams.iter().map(|team| (team.id, team.key.as_str())).collect(),
    };
    let mut out = Entry::default();
    out.line("format", quote(FORMAT));
    out.line("organization", quote(facts.organization.key.as_str()));
    conditions(facts, &mut out);
    teams(facts, &names, &mut out);
    roles(facts, &mut out);
    rows(facts, &names, &mut out);
    resources(facts, &names, &mut out);
    out.0
}

fn conditions(facts: &OrganizationFacts, out: &mut Entry) {
    let mut conditions: Vec<_> = facts.conditions.iter().collect();
    conditions.sort_by(|a, b| a.key.cmp(&b.key));
    for row in conditions {
        out.raw(&format!("\n[conditions.{}]", row.key));
        let Ok(serde_json::Value::Object(map)) = serde_json::to_value(&row.condition) else { continue };
        for (name, value) in &map {
            match value {
                serde_json::Value::Array(parts) if parts.iter().any(serde_json::Value::is_object) => {
                    out.raw(&format!("{} = [", key(name)));
                    for part in parts.iter().filter_map(to_toml) {
                        out.raw(&format!("  {part},"));
                    }
                    out.raw("]");
                }
                other => {
                    if let Some(text) = to_toml(other) {
                        out.line(&key(name), text);
                    }
                }
            }
        }
    }
}

fn teams(facts: &OrganizationFacts, names: &Names<'_>, out: &mut Entry) {
    let mut teams: Vec<_> = facts.teams.iter().collect();
    teams.sort_by(|a, b| a.key.cmp(&b.key));
    for team in teams {
        out.raw(&format!("\n[teams.{}]", team.key));
        out.line("name", quote(&team.name));
        if let Some(Named::Team(parent)) = team.parent.map(|id| names.subject(Subject::Team(id))) {
            out.line("parent", quote(&parent));
        }
        let mut members: Vec<String> = team.members.iter().map(|id| names.login(*id)).collect();
        members.sort();
        if members.is_empty() {
            out.raw("members = []");
        } else {
            out.raw("members = [");
            for member in members {
                out.raw(&format!("  {},", quote(&member)));
            }
            out.raw("]");
        }
    }
}

fn roles(facts: &OrganizationFacts, out: &mut Entry) {
    let mut roles: Vec<_> = facts.roles.iter().collect();
    roles.sort_by(|a, b| a.key.cmp(&b.key));
    for role in roles {
        out.raw(&format!("\n[roles.{}]", role.key));
        out.line("name", quote(&role.name));
        out.line("level", quote(role.level.as_str()));
        if !role.parents.is_empty() {
            let mut parents: Vec<_> = role.parents.iter().collect();
            parents.sort();
            out.line("parents", quote_list(parents));
        }
        let mut lines: Vec<_> = role.permissions.iter().collect();
        lines.sort_by(|a, b| (&a.pattern, &a.condition).cmp(&(&b.pattern, &b.condition)));
        out.raw("permissions = [");
        for line in lines {
            let permission = quote(line.pattern.as_str());
            match &line.condition {
                None => out.raw(&format!("  {permission},")),
                Some(condition) => {
                    let condition = quote(condition.as_str());
                    out.raw(&format!("  {{ permission = {permission}, condition = {condition} }},"));
                }
            }
        }
        out.raw("]");
    }
}

fn rows(facts: &OrganizationFacts, names: &Names<'_>, out: &mut Entry) {
    let mut assignments: Vec<_> =
        facts.assignments.iter().map(|row| (names.subject(row.subject), row)).collect();
    assignments.sort_by(|(a_name, a), (b_name, b)| {
        let order = |row: &charter_kernel::facts::AssignmentFact| {
            (row.role.clone(), row.window.from(), row.window.to(), row.id)
        };
        (a_name, order(a)).cmp(&(b_name, order(b)))
    });
    for (named, row) in assignments {
        out.raw("\n[[assignments]]");
        out.line("id", quote(&row.id.to_string()));
        out.raw(&subject_line(&named));
        out.line("role", quote(row.role.as_str()));
        out.window(row.window);
        out.condition(row.condition.as_ref());
    }
    let mut grants: Vec<_> = facts.grants.iter().map(|row| (names.subject(row.subject), row)).collect();
    grants.sort_by(|(a_name, a), (b_name, b)| {
        (a_name, &a.pattern, &a.reach, a.effect, a.id).cmp(&(b_name, &b.pattern, &b.reach, b.effect, b.id))
    });
    for (named, row) in grants {
        out.raw("\n[[grants]]");
        out.line("id", quote(&row.id.to_string()));
        out.raw(&subject_line(&named));
        out.line("effect", quote(row.effect.as_str()));
        out.line("permission", quote(row.pattern.as_str()));
        out.reach(&row.reach);
        out.window(row.window);
        out.condition(row.condition.as_ref());
        out.line("reason", quote(&row.reason));
    }
    let mut blocks: Vec<_> =
        facts.blocks.iter().map(|row| (names.block_subject(&row.subject), row)).collect();
    blocks.sort_by(|(a_name, a), (b_name, b)| {
        (a_name, &a.pattern, &a.reach, a.id).cmp(&(b_name, &b.pattern, &b.reach, b.id))
    });
    for (named, row) in blocks {
        out.raw("\n[[blocks]]");
        out.line("id", quote(&row.id.to_string()));
        out.raw(&subject_line(&named));
        out.line("permission", quote(row.pattern.as_str()));
        out.reach(&row.reach);
        out.window(row.window);
        out.condition(row.condition.as_ref());
        if let Some(conflict) = &row.conflict {
            out.line("conflict", quote(conflict.as_str()));
        }
        out.line("reason", quote(&row.reason));
    }
}

fn resources(facts: &OrganizationFacts, names: &Names<'_>, out: &mut Entry) {
    let mut resources: Vec<_> = facts.resources.iter().collect();
    resources.sort_by(|a, b| a.resource.cmp(&b.resource));
    for row in resources {
        out.raw("\n[[resources]]");
        out.line("resource", quote(&format!("{}:{}", row.resource.kind, row.resource.id)));
        if let Some(owner) = row.owner {
            out.line("owner", quote(&names.login(owner)));
        }
        let said = serde_json::from_str::<serde_json::Value>(&row.attributes);
        match said.ok().filter(serde_json::Value::is_object) {
            Some(serde_json::Value::Object(map)) if map.is_empty() => {}
            Some(json) => match to_toml(&json) {
                Some(text) => out.line("attributes", text),
                None => out.line("attributes_json", quote(&crate::text::sorted(&json).to_string())),
            },
            None => out.line("attributes_json", quote(&row.attributes)),
        }
    }
}
