//! Named conditions of an organization.

use crate::App;
use crate::caller::{Listing, Page, RequestContext};
use crate::edit::{Bench, EditOptions, Edited, edit};
use crate::guard::Permit;
use charter_kernel::facts::{ConditionFact, OrganizationFacts};
use charter_kernel::{Condition, ConditionKey, Problem, ProblemKind};

/// Whether any row refers to the condition.
fn user_of(facts: &OrganizationFacts, key: &str) -> Option<String> {
    let is = |condition: &Option<ConditionKey>| condition.as_ref().is_some_and(|used| used.as_str() == key);
    facts
        .grants
        .iter()
        .find(|row| is(&row.condition))
        .map(|row| format!("grant {}", row.id))
        .or_else(|| facts.blocks.iter().find(|row| is(&row.condition)).map(|row| format!("block {}", row.id)))
        .or_else(|| {
            facts
                .assignments
                .iter()
                .find(|row| is(&row.condition))
                .map(|row| format!("assignment {}", row.id))
        })
        .or_else(|| {
            let uses = |role: &&charter_kernel::facts::RoleFact| {
                role.permissions.iter().any(|line| is(&line.condition))
            };
            facts.roles.iter().find(uses).map(|role| format!("role {}", role.key))
        })
}

/// Creates a condition, or replaces what an existing one says.
pub async fn put(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    key: ConditionKey,
    condition: Condition,
) -> Result<Edited<ConditionFact>, Problem> {
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let fact = ConditionFact { key, condition };
        match bench.facts.conditions.iter_mut().find(|other| other.key == fact.key) {
            Some(other) => other.condition = fact.condition.clone(),
            None => bench.facts.conditions.push(fact.clone()),
        }
        Ok(fact)
    })
    .await
}

/// Deletes a condition that no row uses.
pub async fn delete(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    key: String,
) -> Result<Edited<ConditionFact>, Problem> {
    edit(app, ctx, permit, options, move |bench: &mut Bench<'_>| {
        let at = bench.facts.conditions.iter().position(|row| row.key.as_str() == key);
        let at =
            at.ok_or_else(|| Problem::not_found(format!("no condition {key:?} in this organization")))?;
        if let Some(user) = user_of(bench.facts, &key) {
            return Err(Problem::new(
                ProblemKind::InUse,
                format!("{user} uses condition {key}: change it first"),
            ));
        }
        Ok(bench.facts.conditions.remove(at))
    })
    .await
}

/// One condition.
pub async fn get(app: &App, permit: &Permit, key: &str) -> Result<ConditionFact, Problem> {
    let facts = crate::facts(app, permit.organization()).await?;
    facts
        .conditions
        .into_iter()
        .find(|row| row.key.as_str() == key)
        .ok_or_else(|| Problem::not_found(format!("no condition {key:?} in this organization")))
}

/// Conditions by key, one page.
pub async fn list(app: &App, permit: &Permit, page: &Page) -> Result<Listing<ConditionFact>, Problem> {
    let mut rows = crate::facts(app, permit.organization()).await?.conditions;
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(page.cut(rows, |row| row.key.to_string()))
}
