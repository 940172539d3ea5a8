//! A new version of the pepper, and the end of the old one. Two are live at most: hashes are made by the newer and recognised by both.

use super::status::pepper_word;
use super::{KeyWord, PUBLISHED_SECONDS, learn, reseal};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::identity::legacy_caller;
use crate::identity::pepper::proof_of;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{Problem, ProblemKind, Timestamp};
use charter_store as store;
use store::vault::{OtherHashes, VaultPepper};
use zeroize::Zeroizing;

/// What a rotation of the pepper does, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PepperRotation {
    /// The new version.
    pub version: u32,
    /// From when hashes are made by it.
    pub activates_at: Timestamp,
    /// Credentials and secrets of clients that stand on the version before; each is hashed anew when it is used.
    pub credentials: u64,
}

fn next(peppers: &[VaultPepper]) -> Result<u32, Problem> {
    let live: Vec<u32> = peppers.iter().filter(|it| it.ended_at.is_none()).map(|it| it.version).collect();
    if let [older, newer, ..] = live.as_slice() {
        return Err(Problem::new(
            ProblemKind::InUse,
            format!(
                "versions {older} and {newer} of the pepper are live: end version {older} first, `charter vault end-pepper --pepper {older} --dry-run` tells what \
                 still stands on it"
            ),
        ));
    }
    Ok(peppers.iter().map(|it| it.version).max().unwrap_or(0) + 1)
}

async fn standing(app: &App, now: Timestamp) -> Result<(Vec<VaultPepper>, Vec<(u32, u64)>), Problem> {
    reading_all!(app.database(), |conn| async move {
        let peppers = store::vault::peppers(conn).await?;
        let mut on = store::vault::credentials(conn, now).await?;
        on.extend(store::vault::clients(conn).await?);
        Ok::<_, charter_db::Error>((peppers, on))
    })
}

fn on_version(on: &[(u32, u64)], is_meant: impl Fn(u32) -> bool) -> u64 {
    on.iter().filter(|(version, _)| is_meant(*version)).map(|(_, count)| count).sum()
}

/// What a rotation would do; writes nothing.
pub async fn plan(app: &App, _: &Permit, ctx: &RequestContext) -> Result<PepperRotation, Problem> {
    let (peppers, on) = standing(app, ctx.now).await?;
    let version = next(&peppers)?;
    let activates_at = ctx.now.plus_seconds(PUBLISHED_SECONDS);
    Ok(PepperRotation { version, activates_at, credentials: on_version(&on, |it| it < version) })
}

/// Publishes a new version, sealed by the vault. Some seconds later hashes are made by it.
pub async fn rotate(app: &App, ctx: &RequestContext, permit: &Permit) -> Result<PepperRotation, Problem> {
    let plan = plan(app, permit, ctx).await?;
    let (platform, now) = (permit.organization(), ctx.now);
    let pepper = Zeroizing::new(app.world().random::<32>());
    let row = VaultPepper {
        version: plan.version,
        sealed: Some(reseal::seal_pepper(app, plan.version, &pepper)?),
        proof: proof_of(&pepper).to_vec(),
        created_at: now,
        activates_at: plan.activates_at,
        indexed_at: None,
        ended_at: None,
    };
    let mut event = audit::event(ctx, platform, "pepper.rotate", "pepper", plan.version.to_string());
    event.after = Some(serde_json::json!({ "activates_at": plan.activates_at }).to_string());
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let tx = transaction.tx();
            if next(&store::vault::peppers(tx).await?)? != row.version {
                return Err(Problem::new(
                    ProblemKind::Changed,
                    "another rotation was faster: look at the status",
                ));
            }
            store::vault::insert_pepper(tx, &row).await?;
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    learn(app).await?;
    Ok(plan)
}

/// What ending a version means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PepperEnd {
    /// The version.
    pub version: u32,
    /// API keys and service tokens that die with it.
    pub credentials: u64,
    /// OAuth clients whose secret dies with it.
    pub clients: u64,
    /// Sessions whose cookie or refresh token dies with it: their users sign in again.
    pub sessions: u64,
    /// Ended secrets of a former system that would count again: while there are any, the version stays.
    pub ended_legacy_secrets: u64,
    /// Everything else that dies with it.
    pub others: OtherHashes,
    /// What keeps it from ending whoever insists; none is nothing.
    pub waits_for: Option<String>,
}

impl PepperEnd {
    /// What dies with it, in words; none is nothing.
    pub fn dying(&self) -> Option<String> {
        let others = &self.others;
        let counts = [
            (self.credentials, "API key or service token", "API keys and service tokens"),
            (self.clients, "OAuth client", "OAuth clients"),
            (
                others.previous_client_secrets,
                "former secret of an OAuth client",
                "former secrets of OAuth clients",
            ),
            (self.sessions, "session", "sessions"),
            (others.recovery_codes, "recovery code", "recovery codes"),
            (others.invitations, "open invitation", "open invitations"),
            (others.registrations, "request for an account", "requests for an account"),
            (others.email_changes, "change of an address", "changes of an address"),
            (others.password_resets, "link for a new password", "links for a new password"),
        ];
        let told: Vec<String> = counts
            .iter()
            .filter(|(count, _, _)| *count > 0)
            .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
            .collect();
        let (last, rest) = told.split_last()?;
        Some(if rest.is_empty() { last.clone() } else { format!("{} and {last}", rest.join(", ")) })
    }

    /// What that means, in words.
    pub fn summary(&self, is_dry_run: bool) -> String {
        let version = self.version;
        let dying = self.dying();
        if !is_dry_run {
            return dying.map_or_else(
                || format!("version {version} of the pepper is ended; nothing stood on it"),
                |dying| format!("version {version} of the pepper is ended: {dying} are refused from now on"),
            );
        }
        let mut told = dying.map_or_else(
            || format!("nothing stands on version {version} of the pepper, and nothing was written"),
            |dying| {
                format!(
                    "nothing was written; with version {version} of the pepper {dying} would be refused for good: it takes `force`"
                )
            },
        );
        if let Some(waits_for) = &self.waits_for {
            told.push_str(&format!("; it cannot be ended now: {waits_for}"));
        } else if self.ended_legacy_secrets > 0 {
            told.push_str("; it cannot be ended while ended secrets of a former system stand on it");
        }
        told
    }
}

/// How a version is ended.
#[derive(Debug, Clone, Copy)]
pub struct EndDraft {
    /// The version.
    pub version: u32,
    /// Only count.
    pub is_dry_run: bool,
    /// End it although something dies with it.
    pub is_forced: bool,
}

/// Ends a version: what still stands on it is recognised no more. A dry run only counts.
pub async fn end(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    how: EndDraft,
) -> Result<PepperEnd, Problem> {
    let EndDraft { version, is_dry_run, is_forced } = how;
    learn(app).await?;
    let (platform, now) = (permit.organization(), ctx.now);
    super::rehash::flush(app).await;
    let hashes = app.identity().pepper().version();
    let peppers = app.identity().vault().peppers();
    let row = peppers.iter().find(|it| it.version == version);
    let word = row.map(|row| pepper_word(row, hashes));
    match word {
        None => {
            return Err(Problem::not_found(format!(
                "no version {version} of the pepper: `charter vault status` shows them"
            )));
        }
        Some(KeyWord::Destroyed) => {
            return Err(Problem::new(ProblemKind::InUse, "the version was ended before"));
        }
        Some(KeyWord::Retiring) => {}
        Some(_) => {
            let next = peppers.iter().find(|it| it.version > version && it.ended_at.is_none());
            let why = next.map_or_else(
                || {
                    "hashes are made by this version, or will be in a moment: `charter vault rotate --pepper` makes another first".to_owned()
                },
                |next| {
                    format!(
                        "hashes are made by version {version} until {}, and by version {} from then on: ask again about a minute after that",
                        next.activates_at, next.version
                    )
                },
            );
            return Err(Problem::new(ProblemKind::InUse, why));
        }
    }
    let newer = peppers.iter().find(|it| it.version == hashes);
    let since = newer.map_or(now, |it| it.activates_at);
    let waits_for = newer.is_some_and(|it| it.indexed_at.is_none()).then(|| {
        format!(
            "what is found by a keyed hash is not found by version {hashes} yet: a service that runs sees to it within minutes, and \
             `charter vault advance` where none does"
        )
    });
    let counted = reading_all!(app.database(), |conn| async move {
        let on = |of: Vec<(u32, u64)>| on_version(&of, |it| it == version);
        Ok::<_, charter_db::Error>(PepperEnd {
            version,
            credentials: on(store::vault::credentials(conn, now).await?),
            clients: on(store::vault::clients(conn).await?),
            sessions: store::vault::sessions_before(conn, now, since, version).await?,
            ended_legacy_secrets: legacy_caller::known_only_by(conn, version, now).await?,
            others: store::vault::others_before(conn, now, since, version).await?,
            waits_for,
        })
    })?;
    if is_dry_run {
        return Ok(counted);
    }
    if let Some(waits_for) = &counted.waits_for {
        return Err(Problem::new(ProblemKind::InUse, waits_for.clone()));
    }
    if let Some(dying) = counted.dying().filter(|_| !is_forced) {
        return Err(Problem::new(
            ProblemKind::InUse,
            format!(
                "{dying} stand on version {version} and would be refused for good: have keys and clients used and sessions renewed, have \
                 codes and links made anew, or say `force`"
            ),
        ));
    }
    let others = counted.others;
    let mut event = audit::event(ctx, platform, "pepper.end", "pepper", version.to_string());
    event.after = Some(
        serde_json::json!({
            "credentials": counted.credentials, "clients": counted.clients, "sessions": counted.sessions,
            "recovery_codes": others.recovery_codes, "invitations": others.invitations, "registrations": others.registrations,
            "email_changes": others.email_changes, "password_resets": others.password_resets,
            "previous_client_secrets": others.previous_client_secrets, "is_forced": is_forced,
        })
        .to_string(),
    );
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            let ended = legacy_caller::known_only_by(transaction.tx(), version, now).await?;
            if ended > 0 {
                return Err(Problem::new(
                    ProblemKind::InUse,
                    format!(
                        "{ended} secrets of a former system were ended and are known by version {version} only: with their name lost, they would \
                         count again. Put them back into the file of `legacy_env` until a service has read it, which calls them by the newer \
                         version and refuses them as before, or end all of them: `charter keys end-legacy --reason TEXT`"
                    ),
                ));
            }
            if !store::vault::end_pepper(transaction.tx(), version, now).await? {
                return Err(Problem::new(ProblemKind::InUse, "the version was ended before"));
            }
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    learn(app).await?;
    Ok(counted)
}
