//! Keys that were found in the open: somebody who scans for them, as code hosts do, reports the whole text. Only the whole text counts, so
//! that nobody stops a key by its id, which is public; who knows the whole text could use it anyway.
//!
//! What happens then is for each organization to say: put the key aside until somebody decides, revoke it, or only tell.

use super::credential::{Reach, locked, told};
use super::credential_caller;
use super::credential_text::{self, Presented};
use super::notice::{self, Notice};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{CredentialId, Problem, ProblemKind};
use charter_store as store;
use charter_store::credential::Credential;
use charter_store::identity_settings::LeakedKeys;

/// Most reports in one request.
pub const REPORTS_MAX: usize = 100;
const PLACE_MAX: usize = 300;

/// A report of a key in the open.
pub struct LeakReport {
    /// The text that was found.
    pub token: zeroize::Zeroizing<String>,
    /// Where it was found.
    pub url: Option<String>,
    /// In what kind of place.
    pub source: Option<String>,
}

fn shortened(text: Option<&str>) -> Option<String> {
    let clean = |text: &str| text.chars().filter(|letter| !letter.is_control()).take(PLACE_MAX).collect();
    text.map(clean)
}

/// Takes reports; tells of each whether it is a key of ours. The same for a key nobody has and for a text that only looks like one.
pub async fn report(app: &App, ctx: &RequestContext, reports: Vec<LeakReport>) -> Result<Vec<bool>, Problem> {
    if reports.is_empty() || reports.len() > REPORTS_MAX {
        return Err(Problem::invalid("reports", format!("1 to {REPORTS_MAX} reports are expected")));
    }
    let mut told = Vec::with_capacity(reports.len());
    for it in reports {
        let is_ours = match credential_text::read(&it.token) {
            Some(presented) if presented.is_live == app.identity().settings.is_live => {
                take(app, ctx, presented, &it).await?
            }
            _ => false,
        };
        told.push(is_ours);
    }
    Ok(told)
}

fn done(policy: LeakedKeys) -> &'static str {
    match policy {
        LeakedKeys::Notify => "It goes on working: your organization asks only to be told.",
        LeakedKeys::Quarantine => "It is put aside and lets nobody in until somebody has looked.",
        LeakedKeys::Revoke => "It is revoked.",
    }
}

async fn take(
    app: &App,
    ctx: &RequestContext,
    presented: Presented<'_>,
    it: &LeakReport,
) -> Result<bool, Problem> {
    app.identity().token_throttle.take_from_address(ctx.address, ctx.now)?;
    let found = credential_caller::find(app, presented.id, None, ctx.now).await?;
    if !credential_caller::is_secret(app, presented, found.as_deref()) {
        return Ok(false);
    }
    let Some(found) = found else { return Ok(false) };
    let (organization, id, now) = (found.record().organization, found.record().credential, ctx.now);
    let (app_inside, ctx_inside) = (app.clone(), ctx.clone());
    let place =
        serde_json::json!({ "url": shortened(it.url.as_deref()), "source": shortened(it.source.as_deref()) });
    let written = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let policy = store::identity_settings::get(transaction.tx(), organization).await?.leaked_keys;
                let before = store::credential::get(transaction.tx(), organization, id).await?;
                let news = before.filter(|row| {
                    row.revoked_at.is_none() && (row.quarantined_at.is_none() || policy == LeakedKeys::Revoke)
                });
                let Some(row) = news else {
                    return Err(Problem::new(ProblemKind::InUse, "it was dealt with before"));
                };
                let tx = transaction.tx();
                match policy {
                    LeakedKeys::Notify => {}
                    LeakedKeys::Quarantine => {
                        store::credential::set_quarantine(tx, organization, id, Some(now)).await?;
                    }
                    LeakedKeys::Revoke => {
                        store::credential::revoke(tx, organization, id, None, "reported as leaked", now)
                            .await?;
                    }
                }
                let notice = Notice::ApiKeyLeaked { key: row.name, done: done(policy) };
                notice::queue(&app_inside, transaction.tx(), row.principal, notice, now).await?;
                let mut event = audit::event(
                    &ctx_inside,
                    organization,
                    "credential.leaked",
                    "credential",
                    id.to_string(),
                );
                event.reason = format!("policy: {}", policy.as_str());
                event.after = Some(place.to_string());
                transaction.commit(event, Vec::new(), ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await;
    match written {
        Ok(((), revision)) => {
            app.snapshots().hear_own(organization, revision).await?;
        }
        Err(problem) if problem.kind == ProblemKind::InUse => {}
        Err(problem) => return Err(problem),
    }
    Ok(true)
}

/// Takes a key back in use that was put aside: somebody has looked, and it leaked nowhere.
pub async fn release(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: CredentialId,
    reason: &str,
) -> Result<Credential, Problem> {
    super::credential::by_a_person(ctx)?;
    let (organization, now) = (permit.organization(), ctx.now);
    let reason = text::reason("reason", reason)?;
    let ctx_inside = ctx.clone();
    let (credential, revision) = app
        .write(
            Scope::Organization(organization.bits()),
            organization,
            now,
            move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    let before = locked(&mut transaction, &ctx_inside, Reach::All, id).await?;
                    if before.quarantined_at.is_none() || before.revoked_at.is_some() {
                        return Err(Problem::new(ProblemKind::InUse, "the key is not put aside"));
                    }
                    store::credential::set_quarantine(transaction.tx(), organization, id, None).await?;
                    let after = locked(&mut transaction, &ctx_inside, Reach::All, id).await?;
                    let mut event = told(&ctx_inside, "credential.release", Some(&before), Some(&after), id);
                    event.reason = reason;
                    transaction.commit(event, Vec::new(), after).await
                }) as BoxFuture<'_, Result<Committed<Credential>, Problem>>
            },
        )
        .await?;
    app.identity().credentials.forget(credential.key_id.as_str());
    app.snapshots().hear_own(organization, revision).await?;
    Ok(credential)
}
