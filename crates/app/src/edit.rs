//! The one way an organization's access policy changes. An edit loads the facts under the organization's row lock, lets the use case
//! change them as a value, checks the result as a whole, writes the difference row by row with its audit events, and puts the new
//! snapshot in force before it answers. A dry run does all of it but the writing, and tells by name who gains and who loses what.
//!
//! Because every use case goes through here, the rules that protect an organization stand once, in `rules.rs`.

use crate::caller::RequestContext;
use crate::change::{Change, Edit, changes};
use crate::guard::Permit;
use crate::identity::oauth::consent;
use crate::identity::{email_change, session};
use crate::transaction::{Committed, Transaction};
use crate::{App, execute, rules};
use charter_db::{BoxFuture, Conn, Scope};
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, Revision, SessionId, Timestamp};
use charter_policy::preview::{self, AccessChange};
use charter_store as store;
use std::sync::{Arc, Mutex, PoisonError};

/// How an edit is to be made.
#[derive(Debug, Clone, Default)]
pub struct EditOptions {
    /// Tell what would happen and write nothing.
    pub dry_run: bool,
    /// Refuse when the organization is no longer at this revision.
    pub if_revision: Option<Revision>,
    /// Accept separation-of-duty conflicts of severity block, for this reason; the rows that cause them must have an end.
    pub accept_conflicts: Option<String>,
    /// Why, for the audit trail.
    pub reason: String,
}

impl EditOptions {
    /// A plain edit.
    pub fn apply() -> Self {
        Self::default()
    }
}

/// What an edit did, or would do.
#[derive(Debug, Clone)]
pub struct Edited<T> {
    /// What the use case made.
    pub value: T,
    /// The revision the edit made, or the present one after a dry run or when nothing changed.
    pub revision: Revision,
    /// The rows that changed, or would.
    pub changes: Vec<ChangedRow>,
    /// Who gained and lost what.
    pub access: Vec<AccessChange>,
    /// Conflicts and other things an administrator should know.
    pub warnings: Vec<String>,
    /// Nothing was written.
    pub dry_run: bool,
}

/// One row that changed, as the audit trail tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRow {
    /// What happened, as `noun.verb`.
    pub action: &'static str,
    /// To which row: a login, key or id.
    pub target: String,
    /// The row before, a JSON text, where there was one.
    pub before: Option<String>,
    /// The row after, a JSON text, where there is one.
    pub after: Option<String>,
}

fn changed_rows(ctx: &RequestContext, organization: OrganizationId, changes: &[Change]) -> Vec<ChangedRow> {
    changes
        .iter()
        .map(|change| execute::event(ctx, organization, change, ""))
        .map(|event| ChangedRow {
            action: event.action,
            target: event.target,
            before: event.before,
            after: event.after,
        })
        .collect()
}

impl<T> Edited<T> {
    /// The same result with another value.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Edited<U> {
        Edited {
            value: turn(self.value),
            revision: self.revision,
            changes: self.changes,
            access: self.access,
            warnings: self.warnings,
            dry_run: self.dry_run,
        }
    }
}

/// What a use case sees while it changes the facts.
pub struct Bench<'a> {
    /// The facts, to be changed in place.
    pub facts: &'a mut OrganizationFacts,
    /// The instant of the edit.
    pub now: Timestamp,
    /// Who edits.
    pub ctx: &'a RequestContext,
    /// The application, for the catalogue and fresh ids.
    pub app: &'a App,
    /// Whose state in life somebody said, though it may be that already.
    pub said: Option<Said>,
}

/// A member of whom somebody said what it is in its life: said again, it is remembered when, as a run of adoption must not undo it.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    /// Who.
    pub principal: PrincipalId,
    /// Whether it was said of the account, not of the membership alone.
    pub of_account: bool,
}

/// The changes with what somebody said though it is so already.
fn with_said(mut changes: Vec<Change>, after: &OrganizationFacts, said: Option<Said>) -> Vec<Change> {
    let Some(said) = said else { return changes };
    let of = |change: &Change| matches!(change, Change::Member(Edit::Update(_, is)) if is.principal == said.principal);
    let place = changes.iter().position(of);
    let member = after.members.iter().find(|member| member.principal == said.principal);
    match (place.and_then(|place| changes.get_mut(place)), member) {
        (Some(change), Some(is)) if said.of_account => {
            let was = match change {
                Change::Member(Edit::Update(was, _)) => was.clone(),
                _ => is.clone(),
            };
            *change = Change::AccountSaid(was, is.clone());
        }
        (None, Some(is)) if said.of_account => changes.push(Change::AccountSaid(is.clone(), is.clone())),
        (None, Some(is)) => changes.push(Change::Member(Edit::Update(is.clone(), is.clone()))),
        _ => {}
    }
    changes
}

/// An edit that was checked and not yet written.
pub(crate) struct Prepared<T> {
    value: T,
    before: OrganizationFacts,
    after: OrganizationFacts,
    /// The rows that change.
    pub changes: Vec<Change>,
    /// Conflicts and other things an administrator should know.
    pub warnings: Vec<String>,
}

/// Changes the facts as a value and checks the result as a whole.
pub(crate) fn prepare<T>(
    app: &App,
    ctx: &RequestContext,
    options: &EditOptions,
    before: OrganizationFacts,
    mutate: impl FnOnce(&mut Bench<'_>) -> Result<T, Problem>,
) -> Result<Prepared<T>, Problem> {
    if let Some(expected) = options.if_revision
        && expected != before.organization.revision
    {
        return Err(Problem::new(
            ProblemKind::Changed,
            format!(
                "the organization is at revision {}, not {expected}: read it again and repeat the change",
                before.organization.revision
            ),
        ));
    }
    let mut after = before.clone();
    let mut bench = Bench { facts: &mut after, now: ctx.now, ctx, app, said: None };
    let value = mutate(&mut bench)?;
    let said = bench.said;
    let changes = with_said(changes(&before, &after), &after, said);
    let warnings = rules::check(app, ctx, options, &before, &after)?;
    Ok(Prepared { value, before, after, changes, warnings })
}

/// Makes one edit of an organization's access policy.
pub async fn edit<T, F>(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    options: EditOptions,
    mutate: F,
) -> Result<Edited<T>, Problem>
where
    T: Send + 'static,
    F: FnOnce(&mut Bench<'_>) -> Result<T, Problem> + Send + 'static,
{
    let organization = permit.organization();
    if options.dry_run {
        let before = crate::facts(app, organization).await?;
        let prepared = prepare(app, ctx, &options, before, mutate)?;
        let (inside, inserted, now) = (app.clone(), inserted(&prepared.changes), ctx.now);
        reading_all!(
            app.database(),
            |conn| async move { require_unkept(&inside, conn, &inserted, now).await }
        )?;
        let access = access_changes(app, &prepared.before, &prepared.after, ctx.now)?;
        return Ok(Edited {
            value: prepared.value,
            revision: prepared.before.organization.revision,
            changes: changed_rows(ctx, organization, &prepared.changes),
            access,
            warnings: prepared.warnings,
            dry_run: true,
        });
    }
    let (prepared, ended, revision) = match write(app, ctx, organization, options, mutate).await? {
        Written::Changed(prepared, ended, revision) => (prepared, ended, revision),
        Written::Nothing(prepared) => {
            return Ok(Edited {
                revision: prepared.before.organization.revision,
                value: prepared.value,
                changes: Vec::new(),
                access: Vec::new(),
                warnings: prepared.warnings,
                dry_run: false,
            });
        }
    };
    // What ended with an account or a membership ends here at once, too.
    session::forget(app, &ended);
    let access = access_changes(app, &prepared.before, &prepared.after, ctx.now)?;
    let mut after = prepared.after;
    after.organization.revision = revision;
    app.snapshots().note_registered_kinds(prepared.changes.iter().filter_map(|change| match change {
        Change::Resource(Edit::Insert(row)) => Some(row.resource.kind.to_string()),
        _ => None,
    }));
    let before = prepared.before.organization.revision;
    app.snapshots().swap(organization, app.snapshots().compile_edited(before, &after)?);
    Ok(Edited {
        value: prepared.value,
        revision,
        changes: changed_rows(ctx, organization, &prepared.changes),
        access,
        warnings: prepared.warnings,
        dry_run: false,
    })
}

/// Who becomes a member, and the login their account has or gets.
fn inserted(changes: &[Change]) -> Vec<(PrincipalId, String)> {
    let members = changes.iter().filter_map(|change| match change {
        Change::Member(Edit::Insert(member)) => Some((member.principal, member.login.clone())),
        _ => None,
    });
    members.collect()
}

/// Refuses accounts with addresses that are kept for others.
async fn require_unkept(
    app: &App,
    conn: &mut Conn,
    members: &[(PrincipalId, String)],
    now: Timestamp,
) -> Result<(), Problem> {
    for (who, login) in members {
        email_change::require_unkept(app, conn, login, Some(*who), now).await?;
    }
    Ok(())
}

enum Written<T> {
    /// With the sessions that ended.
    Changed(Prepared<T>, Vec<SessionId>, Revision),
    Nothing(Prepared<T>),
}

async fn write<T, F>(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    options: EditOptions,
    mutate: F,
) -> Result<Written<T>, Problem>
where
    T: Send + 'static,
    F: FnOnce(&mut Bench<'_>) -> Result<T, Problem> + Send + 'static,
{
    let (app_inside, ctx) = (app.clone(), ctx.clone());
    let unchanged: Arc<Mutex<Option<Prepared<T>>>> = Arc::default();
    let unchanged_inside = Arc::clone(&unchanged);
    let written = app
        .write(Scope::Installation, organization, ctx.now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let app = app_inside;
                let mut before = store::facts::read(transaction.tx(), organization)
                    .await?
                    .ok_or_else(|| Problem::not_found("no such organization"))?;
                // The lock is held and the revision bumped already; the facts are those of the revision before.
                before.organization.revision = Revision(transaction.revision().0.saturating_sub(1));
                let prepared = prepare(&app, &ctx, &options, before, mutate)?;
                require_unkept(&app, transaction.tx(), &inserted(&prepared.changes), ctx.now).await?;
                let (mut events, mut ended) = (Vec::new(), Vec::new());
                for change in &prepared.changes {
                    let reason = &options.reason;
                    let (sessions, more) =
                        execute::change(&mut transaction, &ctx, organization, change, reason).await?;
                    ended.extend(sessions);
                    events.push(execute::event(&ctx, organization, change, &options.reason));
                    events.extend(more);
                    if let Some(who) = execute::membership_ended(change, ctx.now) {
                        let tx = transaction.tx();
                        let (sessions, more) =
                            consent::end_with_membership(tx, &ctx, organization, who).await?;
                        ended.extend(sessions);
                        events.extend(more);
                    }
                }
                for warning in &prepared.warnings {
                    let why = options.accept_conflicts.as_deref().unwrap_or(&options.reason);
                    events.push(execute::warning(&ctx, organization, warning, why));
                }
                if prepared.changes.is_empty() {
                    // Nothing to write and so nothing to record: the transaction, with its bumped revision, is given up.
                    *unchanged_inside.lock().unwrap_or_else(PoisonError::into_inner) = Some(prepared);
                    return Err(Problem::new(ProblemKind::Internal, "the edit changes nothing"));
                }
                let first = events.remove(0);
                transaction.commit(first, events, (prepared, ended)).await
            }) as BoxFuture<'_, Result<Committed<(Prepared<T>, Vec<SessionId>)>, Problem>>
        })
        .await;
    let nothing = unchanged.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (written, nothing) {
        (_, Some(prepared)) => Ok(Written::Nothing(prepared)),
        (written, None) => {
            written.map(|((prepared, ended), revision)| Written::Changed(prepared, ended, revision))
        }
    }
}

/// Who gains and who loses what between two states of an organization.
pub(crate) fn access_changes(
    app: &App,
    before: &OrganizationFacts,
    after: &OrganizationFacts,
    now: Timestamp,
) -> Result<Vec<AccessChange>, Problem> {
    let index: Arc<charter_policy::Index> = app.snapshots().index();
    preview::compare(&index, before, after, now)
        .map_err(|error| Problem::new(ProblemKind::Internal, format!("facts do not compile: {error}")))
}
