//! The catalogue in force: the shipped document and the installation's own beside it, kept in the database, read at start, and changed
//! only by a lint-clean, previewed `apply`.

use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use charter_catalogue::{CatalogueDiff, Fault, Lint, OwnCatalogue, Weight};
use charter_db::{BoxFuture, Database, Scope, Tx};
use charter_kernel::catalogue::Catalogue;
use charter_kernel::entitlement::PlanLimit;
use charter_kernel::problem::FieldProblem;
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_policy::Index;
use charter_store as store;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use store::catalogue::{CatalogueDocument, DocumentKind};
use store::plan::{PlanEntitlement, PlanRow, PlanStatus};

/// Share of a limit from which on a plan warns.
const WARN_PERCENT: u8 = 80;

/// What a document would change, or changed.
#[derive(Debug, Clone)]
pub struct CatalogueChange {
    /// The difference to the catalogue in force.
    pub diff: CatalogueDiff,
    /// What the lint finds in the result.
    pub lint: Vec<Lint>,
    /// It was applied.
    pub applied: bool,
}

/// The faults of a document as a problem with one field each.
pub fn problem_of(faults: &[Fault]) -> Problem {
    let mut problem = Problem::new(
        ProblemKind::Invalid,
        format!(
            "{}; {}",
            charter_catalogue::counted(faults),
            faults.first().map_or(String::new(), ToString::to_string)
        ),
    );
    problem.fields = faults
        .iter()
        .map(|fault| FieldProblem { field: fault.place(), detail: fault.what.clone() })
        .collect();
    problem
}

fn broken(faults: &[Fault]) -> Problem {
    let first = faults.first().map_or(String::new(), ToString::to_string);
    Problem::new(ProblemKind::Internal, format!("the installed catalogue cannot be read: {first}"))
}

fn document(version: &str, text: &str, now: Timestamp) -> CatalogueDocument {
    CatalogueDocument {
        version: version.to_owned(),
        text: text.to_owned(),
        hash: Sha256::digest(text.as_bytes()).to_vec(),
        installed_at: now,
    }
}

/// The texts of the documents in force.
struct Installed {
    shipped: Option<CatalogueDocument>,
    own: Option<CatalogueDocument>,
}

async fn documents(database: &Database) -> Result<Installed, Problem> {
    let shipped =
        reading_all!(database, |conn| store::catalogue::latest_document(conn, DocumentKind::Shipped))?;
    let own = reading_all!(database, |conn| store::catalogue::latest_document(conn, DocumentKind::Own))?;
    Ok(Installed { shipped, own })
}

fn read(installed: &Installed) -> Result<Catalogue, Problem> {
    let text =
        installed.shipped.as_ref().map_or(charter_catalogue::SHIPPED, |document| document.text.as_str());
    let shipped = charter_catalogue::parse(text).map_err(|faults| broken(&faults))?;
    match &installed.own {
        None => Ok(shipped),
        Some(own) => {
            let own = charter_catalogue::parse_own(&own.text).map_err(|faults| broken(&faults))?;
            charter_catalogue::merge(&shipped, &own).map_err(|faults| broken(&faults))
        }
    }
}

fn plan_row(plan: &charter_kernel::catalogue::Plan, version: u32, now: Timestamp) -> PlanRow {
    PlanRow {
        key: plan.key.clone(),
        version,
        name: plan.name.clone(),
        description: plan.description.clone(),
        rank: plan.rank,
        trial_days: plan.trial_days,
        status: PlanStatus::Published,
        published_at: Some(now),
        entitlements: plan
            .modules
            .iter()
            .map(|module| PlanEntitlement { module: module.clone(), submodule: None, preview: false })
            .collect(),
        limits: plan
            .limits
            .iter()
            .map(|limit| PlanLimit {
                limit: limit.limit.clone(),
                value: limit.value,
                enforcement: limit.enforcement,
                warn_percent: WARN_PERCENT,
            })
            .collect(),
    }
}

/// Brings the tables in line with a catalogue; a plan that changed becomes a new published version, the old ones stay.
async fn install(tx: &mut Tx, catalogue: &Catalogue, now: Timestamp) -> Result<(), Problem> {
    store::catalogue::install(tx, catalogue, now).await?;
    for plan in &catalogue.plans {
        let latest = store::plan::latest(tx, &plan.key).await?;
        // A draft that somebody wrote may hold the next number already.
        let newest = store::plan::versions(tx, &plan.key).await?.last().map(|plan| plan.version);
        let version = newest.map_or(1, |newest| newest + 1);
        let row = plan_row(plan, version, now);
        let same = latest.as_ref().is_some_and(|latest| {
            (&latest.name, &latest.description, latest.rank, latest.trial_days)
                == (&row.name, &row.description, row.rank, row.trial_days)
                && latest.entitlements == row.entitlements
                && latest.limits == row.limits
        });
        if !same {
            store::plan::insert(tx, &row).await?;
        }
    }
    Ok(())
}

/// The catalogue of an installation; an empty one gets the shipped document.
pub(crate) async fn installed(database: &Database, now: Timestamp) -> Result<Catalogue, Problem> {
    let found = documents(database).await?;
    if found.shipped.is_some() {
        return read(&found);
    }
    let catalogue = charter_catalogue::shipped().map_err(|faults| broken(&faults))?;
    let inside = catalogue.clone();
    database
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                // Two nodes may start on an empty database at once: the second finds the document and leaves it.
                if store::catalogue::latest_document(tx, DocumentKind::Shipped).await?.is_none() {
                    let shipped = document(&inside.version, charter_catalogue::SHIPPED, now);
                    store::catalogue::put_document(tx, DocumentKind::Shipped, &shipped).await?;
                    install(tx, &inside, now).await?;
                }
                Ok(())
            }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await?;
    Ok(catalogue)
}

/// What a document given to `lint`, `diff` or `apply` says: the result beside what is in force.
fn proposed(installed: &Installed, text: &str) -> Result<(DocumentKind, String, Catalogue), Problem> {
    if text.contains("charter-catalogue-extension/") {
        let own: OwnCatalogue = charter_catalogue::parse_own(text).map_err(|faults| problem_of(&faults))?;
        let shipped =
            installed.shipped.as_ref().map_or(charter_catalogue::SHIPPED, |document| document.text.as_str());
        let shipped = charter_catalogue::parse(shipped).map_err(|faults| broken(&faults))?;
        let merged = charter_catalogue::merge(&shipped, &own).map_err(|faults| problem_of(&faults))?;
        Ok((DocumentKind::Own, own.catalogue.version, merged))
    } else {
        let shipped = charter_catalogue::parse(text).map_err(|faults| problem_of(&faults))?;
        let version = shipped.version.clone();
        let merged = match &installed.own {
            None => shipped,
            Some(own) => {
                let own = charter_catalogue::parse_own(&own.text).map_err(|faults| broken(&faults))?;
                charter_catalogue::merge(&shipped, &own).map_err(|faults| problem_of(&faults))?
            }
        };
        Ok((DocumentKind::Shipped, version, merged))
    }
}

/// What the lint finds in a document, alone or beside the shipped catalogue.
pub async fn lint(app: &App, text: &str) -> Result<Vec<Lint>, Problem> {
    let (_, _, catalogue) = proposed(&documents(app.database()).await?, text)?;
    Ok(charter_catalogue::lint(&catalogue))
}

/// What a document would change.
pub async fn diff(app: &App, text: &str) -> Result<CatalogueChange, Problem> {
    let (_, _, catalogue) = proposed(&documents(app.database()).await?, text)?;
    Ok(CatalogueChange {
        diff: charter_catalogue::diff(&app.snapshots().catalogue(), &catalogue),
        lint: charter_catalogue::lint(&catalogue),
        applied: false,
    })
}

/// Puts a document in force: refused while the lint finds an error or the difference may not be applied.
pub async fn apply(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    text: String,
) -> Result<CatalogueChange, Problem> {
    let found = documents(app.database()).await?;
    let (kind, version, catalogue) = proposed(&found, &text)?;
    let lint = charter_catalogue::lint(&catalogue);
    let diff = charter_catalogue::diff(&app.snapshots().catalogue(), &catalogue);
    let errors: Vec<FieldProblem> = lint
        .iter()
        .chain(&diff.findings)
        .filter(|finding| finding.severity == Weight::Error)
        .map(|finding| FieldProblem { field: finding.at.clone(), detail: finding.what.clone() })
        .collect();
    if let Some(first) = errors.first() {
        let detail = format!("the catalogue is not applied: {}: {}", first.field, first.detail);
        return Err(Problem { fields: errors, ..Problem::new(ProblemKind::Invalid, detail) });
    }
    let index = Index::new(&catalogue).map_err(|error| {
        Problem::new(ProblemKind::Invalid, format!("the catalogue is not applied: {error}"))
    })?;
    let installed = match kind {
        DocumentKind::Shipped => &found.shipped,
        DocumentKind::Own => &found.own,
    };
    if installed.as_ref().is_some_and(|document| document.text == text) {
        // Another node may have applied it a moment ago.
        follow(app).await?;
        return Ok(CatalogueChange { diff, lint, applied: false });
    }
    let (ctx_inside, platform, inside) = (ctx.clone(), permit.organization(), catalogue.clone());
    let before = app.snapshots().catalogue().version.clone();
    app.write(Scope::Installation, platform, ctx.now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let now = ctx_inside.now;
            let row = document(&version, &text, now);
            store::catalogue::put_document(transaction.tx(), kind, &row).await?;
            install(transaction.tx(), &inside, now).await?;
            let mut event = audit::event(&ctx_inside, platform, "catalogue.apply", "catalogue", version);
            event.before = Some(serde_json::json!({ "version": before }).to_string());
            event.after = Some(
                serde_json::json!({ "version": inside.version, "sha256": audit::hex(&row.hash) }).to_string(),
            );
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    app.snapshots().replace_catalogue(Arc::new(catalogue), Arc::new(index));
    Ok(CatalogueChange { diff, lint, applied: true })
}

/// The own document as installed.
pub async fn own_text(app: &App) -> Result<Option<String>, Problem> {
    Ok(documents(app.database()).await?.own.map(|document| document.text))
}

/// Takes over a catalogue that another node applied.
pub(crate) async fn follow(app: &App) -> Result<(), Problem> {
    let found = documents(app.database()).await?;
    let signature =
        |document: &Option<CatalogueDocument>| document.as_ref().map(|document| document.hash.clone());
    let now = (signature(&found.shipped), signature(&found.own));
    if !app.snapshots().catalogue_changed(&now) {
        return Ok(());
    }
    let catalogue = read(&found)?;
    if catalogue != *app.snapshots().catalogue() {
        let index = Index::new(&catalogue).map_err(|error| {
            Problem::new(ProblemKind::Internal, format!("the catalogue does not compile: {error}"))
        })?;
        app.snapshots().replace_catalogue(Arc::new(catalogue), Arc::new(index));
    }
    app.snapshots().catalogue_seen(now);
    Ok(())
}
