//! Organizations: create, list, change, suspend, close; and the directory that turns a key into an id.

use crate::caller::{Listing, Page, RequestContext};
use crate::edit::{Edited, access_changes};
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{App, audit, text};
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::facts::{OrganizationFact, OrganizationFacts, OrganizationKind, OrganizationStatus};
use charter_kernel::{Key, OrganizationId, Problem, ProblemKind, Revision, Timestamp};
use charter_store as store;
use charter_store::removed_organization::{self, Removed};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Keys that were looked up: a key never changes its organization, so an entry goes stale only when a rollback of an adoption removes it.
#[derive(Default)]
pub struct Directory {
    known: RwLock<HashMap<Key, OrganizationId>>,
}

impl Directory {
    /// Forgets organizations that are gone: their keys are free again, or another's already.
    pub(crate) fn forget(&self, gone: &[Removed]) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for it in gone {
            if known.get(&it.key) == Some(&it.organization) {
                known.remove(&it.key);
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// An organization to be created.
#[derive(Debug, Clone)]
pub struct OrganizationDraft {
    /// Its key.
    pub key: Key,
    /// Its name.
    pub name: String,
    /// The legacy `enabled_modules` document, if it comes from an older system.
    pub enabled_modules: Option<String>,
}

/// What may change about an organization.
#[derive(Debug, Clone, Default)]
pub struct OrganizationUpdate {
    /// Its name.
    pub name: Option<String>,
    /// The legacy `enabled_modules` document; `Some(None)` removes it.
    pub enabled_modules: Option<Option<String>>,
    /// Which attributes a caller may assert with a check.
    pub assertable: Option<Vec<String>>,
    /// Active, suspended or closed.
    pub status: Option<OrganizationStatus>,
    /// Why, for the audit trail.
    pub reason: String,
    /// Refuse when the organization is no longer at this revision.
    pub if_revision: Option<Revision>,
    /// Tell what would happen and write nothing.
    pub dry_run: bool,
}

/// An organization with its times.
#[derive(Debug, Clone, PartialEq)]
pub struct OrganizationView {
    /// The organization.
    pub organization: OrganizationFact,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl From<store::organization::OrganizationRow> for OrganizationView {
    fn from(row: store::organization::OrganizationRow) -> Self {
        Self { organization: row.organization, created_at: row.created_at, updated_at: row.updated_at }
    }
}

fn missing() -> Problem {
    Problem::not_found("no such organization, or you are not a member of it")
}

/// The organization as the audit trail keeps it.
fn record(organization: &OrganizationFact) -> String {
    serde_json::json!({
        "key": organization.key,
        "name": organization.name,
        "kind": organization.kind.as_str(),
        "status": organization.status.as_str(),
        "enabled_modules": organization.enabled_modules,
        "assertable": organization.assertable,
    })
    .to_string()
}

impl App {
    /// The id of the organization a text names, by id or key.
    pub async fn resolve_organization(&self, text: &str) -> Result<OrganizationId, Problem> {
        if let Ok(id) = text.parse::<OrganizationId>() {
            return Ok(id);
        }
        if let Some(id) = self.organization_in_memory(text) {
            return Ok(id);
        }
        let key: Key = text.parse().map_err(|_| missing())?;
        let wanted = key.clone();
        let found =
            reading_all!(
                self.database(),
                |conn| async move { store::organization::by_key(conn, &wanted).await }
            )?;
        let id = found.ok_or_else(missing)?;
        self.organizations().known.write().unwrap_or_else(PoisonError::into_inner).insert(key, id);
        Ok(id)
    }

    /// The same without asking the database.
    pub fn organization_in_memory(&self, key: &str) -> Option<OrganizationId> {
        self.organizations().known.read().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }
}

/// Forgets removals that every node has read by now.
pub(crate) async fn purge(app: &App, now: Timestamp) -> Result<(), Problem> {
    let before = now.plus_seconds(-removed_organization::KEPT_SECONDS);
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move { Ok(removed_organization::purge(tx, before).await.map(drop)?) })
                as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}

/// Creates an organization. Members, a plan and an administrator come next.
pub async fn create(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    draft: OrganizationDraft,
) -> Result<OrganizationView, Problem> {
    let organization = OrganizationFact {
        id: OrganizationId(app.fresh_id()),
        key: draft.key,
        name: text::name("name", &draft.name)?,
        kind: OrganizationKind::Customer,
        status: OrganizationStatus::Active,
        enabled_modules: draft.enabled_modules,
        revision: Revision(1),
        assertable: Vec::new(),
    };
    let (ctx_inside, fact) = (ctx.clone(), organization.clone());
    app.write(
        Scope::Installation,
        permit.organization(),
        ctx.now,
        move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let wanted = fact.key.clone();
                if store::organization::by_key(transaction.tx(), &wanted).await?.is_some() {
                    return Err(Problem::new(
                        ProblemKind::Taken,
                        format!("there is an organization {wanted} already"),
                    ));
                }
                let now = ctx_inside.now;
                store::organization::insert(transaction.tx(), &fact, now).await?;
                transaction.touch(fact.id).await?;
                let mut event = audit::event(
                    &ctx_inside,
                    fact.id,
                    "organization.create",
                    "organization",
                    fact.key.to_string(),
                );
                event.after = Some(record(&fact));
                let mut seen = event.clone();
                seen.organization = transaction.organization();
                transaction.commit(seen, vec![event], ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        },
    )
    .await?;
    Ok(OrganizationView { organization, created_at: ctx.now, updated_at: ctx.now })
}

/// The organization after a change; refused when it cannot be, or is no longer at the revision named.
fn changed(before: &OrganizationFact, update: &OrganizationUpdate) -> Result<OrganizationFact, Problem> {
    let at = before.revision;
    if update.if_revision.is_some_and(|expected| expected != at) {
        return Err(Problem::new(
            ProblemKind::Changed,
            format!("the organization is at revision {at}: read it again and repeat the change"),
        ));
    }
    let mut fact = before.clone();
    if let Some(name) = &update.name {
        fact.name.clone_from(name);
    }
    if let Some(modules) = &update.enabled_modules {
        fact.enabled_modules.clone_from(modules);
    }
    if let Some(assertable) = &update.assertable {
        fact.assertable.clone_from(assertable);
    }
    if let Some(status) = update.status {
        if fact.kind == OrganizationKind::Platform && status != OrganizationStatus::Active {
            return Err(Problem::new(
                ProblemKind::Forbidden,
                "the platform organization runs the installation: it cannot be suspended or closed",
            ));
        }
        fact.status = status;
    }
    Ok(fact)
}

/// The change with its texts in the form in which they are kept; refused when one says nothing sensible.
fn checked(mut update: OrganizationUpdate) -> Result<OrganizationUpdate, Problem> {
    update.name = update.name.as_deref().map(|name| text::name("name", name)).transpose()?;
    for pattern in update.assertable.iter().flatten() {
        let known = ["subject.", "resource."]
            .iter()
            .any(|of| pattern.strip_prefix(of).is_some_and(|rest| !rest.is_empty()));
        if !known {
            return Err(Problem::invalid(
                "assertable",
                format!(
                    "{pattern:?}: subject.<attribute> or resource.<attribute> is expected, * for every attribute"
                ),
            ));
        }
    }
    update.reason = if update.status.is_some() {
        text::demanded_reason("reason", &update.reason)?
    } else {
        text::reason("reason", &update.reason)?
    };
    Ok(update)
}

/// Changes an organization, or with `dry_run` tells who would gain and who would lose what by it.
pub async fn update(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: OrganizationId,
    update: OrganizationUpdate,
) -> Result<Edited<OrganizationView>, Problem> {
    let update = checked(update)?;
    let is_dry = update.dry_run;
    let (mut view, before, after) = if is_dry {
        let row =
            reading!(app.database(), id, |conn| store::organization::get(conn, id))?.ok_or_else(missing)?;
        let before = crate::facts(app, id).await?;
        let after = with(&before, changed(&before.organization, &update)?);
        (OrganizationView { organization: after.organization.clone(), ..row.into() }, before, after)
    } else {
        write(app, ctx, permit.organization(), id, update).await?
    };
    if !is_dry {
        view.updated_at = ctx.now;
        app.snapshots().hear_own(id, view.organization.revision).await?;
    }
    Ok(Edited {
        revision: view.organization.revision,
        access: access_changes(app, &before, &after, ctx.now)?,
        value: view,
        changes: Vec::new(),
        warnings: Vec::new(),
        dry_run: is_dry,
    })
}

fn with(facts: &OrganizationFacts, organization: OrganizationFact) -> OrganizationFacts {
    let mut after = facts.clone();
    after.organization = organization;
    after
}

/// The row as it was, and the facts before and after.
type Written = (store::organization::OrganizationRow, OrganizationFacts, OrganizationFacts);

async fn write(
    app: &App,
    ctx: &RequestContext,
    platform: OrganizationId,
    id: OrganizationId,
    update: OrganizationUpdate,
) -> Result<(OrganizationView, OrganizationFacts, OrganizationFacts), Problem> {
    let ctx = ctx.clone();
    let ((row, before, after), revision) = app
        .write(Scope::Installation, id, ctx.now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let row = store::organization::get(transaction.tx(), id).await?.ok_or_else(missing)?;
                let mut before = store::facts::read(transaction.tx(), id).await?.ok_or_else(missing)?;
                // The lock is held and the revision bumped already; the facts are those of the revision before.
                before.organization.revision = Revision(transaction.revision().0.saturating_sub(1));
                let fact = changed(&before.organization, &update)?;
                store::organization::update(transaction.tx(), &fact, ctx.now).await?;
                let action = match update.status {
                    Some(OrganizationStatus::Suspended) => "organization.suspend",
                    Some(OrganizationStatus::Closed) => "organization.close",
                    Some(OrganizationStatus::Active) => "organization.resume",
                    None => "organization.update",
                };
                let mut event = audit::event(&ctx, id, action, "organization", fact.key.to_string());
                event.before = Some(record(&before.organization));
                event.after = Some(record(&fact));
                event.reason = update.reason;
                let mut more = Vec::new();
                if platform != id {
                    more.push(charter_kernel::audit::AuditEvent { organization: platform, ..event.clone() });
                }
                let after = with(&before, fact);
                transaction.commit(event, more, (row, before, after)).await
            }) as BoxFuture<'_, Result<Committed<Written>, Problem>>
        })
        .await?;
    let organization = OrganizationFact { revision, ..after.organization.clone() };
    Ok((OrganizationView { organization, ..row.into() }, before, after))
}

/// One organization.
pub async fn get(app: &App, id: OrganizationId) -> Result<OrganizationView, Problem> {
    reading!(app.database(), id, |conn| store::organization::get(conn, id))?
        .map(Into::into)
        .ok_or_else(missing)
}

/// All organizations in the order they were made, one page.
pub async fn list(app: &App, _permit: &Permit, page: &Page) -> Result<Listing<OrganizationView>, Problem> {
    let after = match &page.after {
        Some(text) => text.parse().map_err(|_| Problem::invalid("cursor", "not a cursor of this list"))?,
        None => OrganizationId(0),
    };
    let limit = page.limit;
    let found = reading_all!(app.database(), |conn| store::organization::page(conn, after, limit))?;
    let next = if found.more { found.rows.last().map(|row| row.organization.id.to_string()) } else { None };
    Ok(Listing { items: found.rows.into_iter().map(Into::into).collect(), next })
}
