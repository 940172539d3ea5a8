//! Changes of a key: its name, its limits, an earlier end; and rotation, which puts another in its place while the old one goes on for a
//! while. A key never gets wider: not by a change, and not by rotation.

use super::credential::{
    NewCredential, Reach, by_a_person, checked_addresses, checked_rate, fresh, locked, not_beyond, told,
};
use super::credential_text::CredentialKind;
use super::key_scope;
use crate::App;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{CredentialId, Problem, ProblemKind, Timestamp, Window};
use charter_store as store;
use charter_store::credential::Credential;
use zeroize::Zeroizing;

/// Longest overlap of an old key with its successor: thirty days.
pub const OVERLAP_SECONDS_MAX: u32 = 30 * 86_400;

/// What is to be different; what is left out stays.
#[derive(Debug, Clone, Default)]
pub struct CredentialUpdate {
    /// What it is for.
    pub name: Option<String>,
    /// Scopes, none of them beyond those it has.
    pub scopes: Option<Vec<String>>,
    /// Blocks of addresses; none for any.
    pub addresses: Option<Option<Vec<String>>>,
    /// Requests a minute; none for no limit of its own.
    pub requests_per_minute: Option<Option<u32>>,
    /// An end that is earlier than the one it has.
    pub expires_at: Option<Timestamp>,
    /// The version that was read, when nobody else's change is to be lost.
    pub if_version: Option<u64>,
}

pub(super) fn over(now: Timestamp, row: &Credential) -> Result<(), Problem> {
    if row.revoked_at.is_some() {
        return Err(Problem::new(ProblemKind::InUse, "the key was revoked: make another"));
    }
    if row.window.is_over(now) || row.overlap_until.is_some_and(|end| now >= end) {
        return Err(Problem::new(ProblemKind::InUse, "the key is over: make another"));
    }
    Ok(())
}

fn narrowed(
    app: &App,
    now: Timestamp,
    before: &Credential,
    update: CredentialUpdate,
) -> Result<Credential, Problem> {
    let mut after = before.clone();
    if let Some(name) = update.name {
        after.name = text::name("name", &name)?;
    }
    if let Some(scopes) = update.scopes {
        let index = app.snapshots().index();
        key_scope::check(&index, &scopes)?;
        let had = key_scope::ceiling(&index, before.scopes.as_deref())?;
        if !key_scope::ceiling(&index, Some(&scopes))?.is_subset_of(&had) {
            return Err(Problem::invalid("scopes", "would let the key do more than now: make another"));
        }
        after.scopes = Some(scopes);
    }
    if let Some(addresses) = update.addresses {
        checked_addresses(addresses.as_deref())?;
        after.addresses = addresses;
    }
    if let Some(rate) = update.requests_per_minute {
        checked_rate(rate)?;
        after.requests_per_minute = rate;
    }
    if let Some(end) = update.expires_at {
        if end <= now {
            return Err(Problem::invalid("expires_at", "lies in the past: revoke the key instead"));
        }
        if before.window.to().is_some_and(|had| end > had) {
            return Err(Problem::invalid(
                "expires_at",
                "is later than now: a key never lasts longer, make another",
            ));
        }
        after.window = Window::new(before.window.from(), Some(end))
            .map_err(|error| Problem::invalid("expires_at", error.to_string()))?;
    }
    Ok(after)
}

/// Changes a key.
pub async fn update(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    reach: Reach,
    id: CredentialId,
    update: CredentialUpdate,
) -> Result<Credential, Problem> {
    by_a_person(ctx)?;
    let (organization, now) = (permit.organization(), ctx.now);
    let (app_inside, ctx_inside) = (app.clone(), ctx.clone());
    let (credential, revision) = app
        .write(
            Scope::Organization(organization.bits()),
            organization,
            now,
            move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    let before = locked(&mut transaction, &ctx_inside, reach, id).await?;
                    if update.if_version.is_some_and(|expected| expected != before.row_version) {
                        return Err(Problem::new(
                            ProblemKind::Changed,
                            format!(
                                "the key is at version {}: read it again and repeat the change",
                                before.row_version
                            ),
                        ));
                    }
                    over(now, &before)?;
                    let after = narrowed(&app_inside, now, &before, update)?;
                    store::credential::update(transaction.tx(), &after).await?;
                    let after = locked(&mut transaction, &ctx_inside, reach, id).await?;
                    let event = told(&ctx_inside, "credential.update", Some(&before), Some(&after), id);
                    transaction.commit(event, Vec::new(), after).await
                }) as BoxFuture<'_, Result<Committed<Credential>, Problem>>
            },
        )
        .await?;
    app.identity().credentials.forget(credential.key_id.as_str());
    app.snapshots().hear_own(organization, revision).await?;
    Ok(credential)
}

/// Puts a new key in the place of one. The old one goes on for the overlap, at most until its own end; the new one has the same limits
/// and the same end.
pub async fn rotate(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    reach: Reach,
    id: CredentialId,
    overlap_seconds: u32,
) -> Result<NewCredential, Problem> {
    by_a_person(ctx)?;
    if overlap_seconds > OVERLAP_SECONDS_MAX {
        return Err(Problem::invalid("overlap_seconds", format!("0 to {OVERLAP_SECONDS_MAX} is expected")));
    }
    let (organization, now) = (permit.organization(), ctx.now);
    let facts = crate::facts(app, organization).await?;
    let (app_inside, ctx_inside) = (app.clone(), ctx.clone());
    let ((new, token, old), revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let (app, ctx) = (&app_inside, &ctx_inside);
                let before = locked(&mut transaction, ctx, reach, id).await?;
                over(now, &before)?;
                rotatable(ctx, &before, overlap_seconds)?;
                not_beyond(app, ctx, &facts, before.principal, before.scopes.as_deref())?;
                let (new, token) = successor(app, ctx, &before);
                store::credential::insert(transaction.tx(), &new).await?;
                if overlap_seconds == 0 {
                    let by = ctx.principal().map(|caller| caller.id);
                    let tx = transaction.tx();
                    store::credential::revoke(tx, organization, id, by, "rotated", now).await?;
                } else {
                    let end = now.plus_seconds(i64::from(overlap_seconds));
                    let end = before.window.to().map_or(end, |own| own.min(end));
                    store::credential::set_overlap(transaction.tx(), organization, id, end).await?;
                }
                let old = locked(&mut transaction, ctx, reach, id).await?;
                let mut event = told(ctx, "credential.rotate", Some(&old), Some(&new), id);
                event.reason = format!("overlap of {overlap_seconds} s");
                transaction.commit(event, Vec::new(), (new, token, old)).await
            })
                as BoxFuture<'_, Result<Committed<(Credential, Zeroizing<String>, Credential)>, Problem>>
        })
        .await?;
    app.identity().credentials.forget(old.key_id.as_str());
    app.snapshots().hear_own(organization, revision).await?;
    Ok(NewCredential { credential: new, token })
}

/// Refuses what cannot be rotated, or not by this caller: who rotates gets the text of the new key.
pub(super) fn rotatable(ctx: &RequestContext, row: &Credential, overlap_seconds: u32) -> Result<(), Problem> {
    let is_owner = ctx.principal().is_some_and(|caller| caller.id == row.principal);
    if row.kind == CredentialKind::User.letter() && !is_owner {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "the key belongs to a user, who alone may have its successor: revoke it, or ask them to rotate it",
        ));
    }
    if row.overlap_until.is_some() {
        return Err(Problem::new(ProblemKind::InUse, "the key was rotated before: rotate its successor"));
    }
    if row.quarantined_at.is_some() && overlap_seconds > 0 {
        return Err(Problem::invalid("overlap_seconds", "must be 0: the key was reported as leaked"));
    }
    Ok(())
}

/// The key that takes the place of another.
pub(super) fn successor(
    app: &App,
    ctx: &RequestContext,
    before: &Credential,
) -> (Credential, Zeroizing<String>) {
    let kind = if before.kind == CredentialKind::User.letter() {
        CredentialKind::User
    } else {
        CredentialKind::Service
    };
    let (new, token) = fresh(app, ctx, before.organization, before.principal, kind);
    let new = Credential {
        name: before.name.clone(),
        scopes: before.scopes.clone(),
        addresses: before.addresses.clone(),
        window: before.window,
        requests_per_minute: before.requests_per_minute,
        successor_of: Some(before.id),
        ..new
    };
    (new, token)
}
