//! What every concept's answers have in common: names beside ids, windows, subjects and reach as people write them, and the
//! answer of an edit, which tells who gains and who loses what.

use crate::edge::{Call, ETag, Items, Precondition, Reply, wire};
use charter_app::edit::{EditOptions, Edited};
use charter_app::names::{self, Names};
use charter_app::subject::SubjectRef;
use charter_app::{App, Listing, RequestContext};
use charter_kernel::facts::Subject;
use charter_kernel::{
    Key, OrganizationId, PermissionCode, PrincipalId, Problem, ProblemKind, Reach, ResourceRef, Revision,
    TeamId, Timestamp, Window,
};
use charter_policy::preview;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;

/// Changes of access that one answer lists at most.
const ACCESS_CHANGES_MAX: usize = 1_000;

/// How an edit is to be made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EditQuery {
    /// Tell what would happen and write nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// How something is to be taken away.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemovalQuery {
    /// Tell what would happen and write nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
    /// Accept separation-of-duty conflicts that come of it, for this reason.
    #[serde(default)]
    pub accept_conflicts: Option<String>,
}

/// The options of an edit from what came with the request.
pub(crate) fn options(
    precondition: &Precondition,
    dry_run: bool,
    reason: Option<&str>,
    accept_conflicts: Option<&str>,
) -> Result<EditOptions, Problem> {
    let accepted = accept_conflicts
        .map(|reason| charter_app::text::demanded_reason("accept_conflicts", reason))
        .transpose()?;
    Ok(EditOptions {
        dry_run,
        if_revision: precondition.expected_revision()?,
        accept_conflicts: accepted,
        reason: charter_app::text::reason("reason", reason.unwrap_or_default())?,
    })
}

impl RemovalQuery {
    pub(crate) fn options(&self, precondition: &Precondition) -> Result<EditOptions, Problem> {
        options(precondition, self.dry_run, self.reason.as_deref(), self.accept_conflicts.as_deref())
    }
}

/// A field that may be left out, be null, or have a value.
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// The window two times make.
pub(crate) fn window(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Window, Problem> {
    Window::new(from, to).map_err(|error| Problem::invalid("to", error.to_string()))
}

/// A JSON object as the text in which it is kept.
pub(crate) fn object_text(value: &serde_json::Map<String, serde_json::Value>) -> String {
    serde_json::Value::Object(value.clone()).to_string()
}

/// A kept JSON text as a value; what cannot be read is shown as the text it is.
pub(crate) fn json_value(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.to_owned()))
}

/// Who gets something: a member by login or id, or a team by key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Subject")]
pub enum SubjectName {
    /// Login or id of a member.
    Member(String),
    /// Key of a team.
    Team(String),
}

impl From<SubjectName> for SubjectRef {
    fn from(name: SubjectName) -> Self {
        match name {
            SubjectName::Member(who) => Self::Member(who),
            SubjectName::Team(key) => Self::Team(key),
        }
    }
}

impl SubjectName {
    pub(crate) fn of(subject: Subject, names: &Names) -> Self {
        match subject {
            Subject::Principal(id) => Self::Member(names.login(id)),
            Subject::Team(id) => Self::Team(names.team(id)),
        }
    }
}

/// Whose rows a list is about; at most one of the two.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectFilter {
    /// Only those of this member, by login or id.
    #[serde(default)]
    pub member: Option<String>,
    /// Only those of this team, by key.
    #[serde(default)]
    pub team: Option<String>,
}

/// The subject two filters name.
pub(crate) fn subject_filter(
    member: Option<String>,
    team: Option<String>,
) -> Result<Option<SubjectRef>, Problem> {
    match (member, team) {
        (Some(_), Some(_)) => Err(Problem::invalid("team", "ask for a member or for a team, not for both")),
        (Some(who), None) => Ok(Some(SubjectRef::Member(who))),
        (None, Some(key)) => Ok(Some(SubjectRef::Team(key))),
        (None, None) => Ok(None),
    }
}

/// How far a grant or block reaches: every resource of a type, or one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Reach")]
pub struct ReachName {
    /// The type of resource.
    #[serde(rename = "type")]
    #[schemars(with = "wire::Key")]
    pub kind: Key,
    /// The one resource; every resource of the type when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl ReachName {
    pub(crate) fn reach(name: Option<Self>) -> Result<Reach, Problem> {
        Ok(match name {
            None => Reach::Organization,
            Some(Self { kind, id: None }) => Reach::Type(kind),
            Some(Self { kind, id: Some(id) }) => {
                Reach::Resource(ResourceRef { kind, id: charter_app::resource::id("reach.id", &id)? })
            }
        })
    }

    pub(crate) fn of(reach: &Reach) -> Option<Self> {
        match reach {
            Reach::Organization => None,
            Reach::Type(kind) => Some(Self { kind: kind.clone(), id: None }),
            Reach::Resource(resource) => Some(resource.into()),
        }
    }
}

impl From<&ResourceRef> for ReachName {
    fn from(resource: &ResourceRef) -> Self {
        Self { kind: resource.kind.clone(), id: Some(resource.id.to_string()) }
    }
}

/// Which way access changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccessDirection {
    /// More than before.
    Gained,
    /// Less than before.
    Lost,
}

/// One change of somebody's access.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccessChange {
    /// Whose.
    #[schemars(with = "wire::Id")]
    pub principal: PrincipalId,
    /// Login of that principal.
    pub login: String,
    /// To do what.
    #[schemars(with = "wire::Code")]
    pub permission: PermissionCode,
    /// On which resource; left out for the organization as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ReachName>,
    /// Gained or lost.
    pub change: AccessDirection,
    /// A condition plays a part, before or after.
    pub conditional: bool,
}

impl AccessChange {
    pub(crate) fn of(change: &preview::AccessChange, names: &Names) -> Self {
        Self {
            principal: change.principal,
            login: names.login(change.principal),
            permission: change.permission.clone(),
            resource: change.resource.as_ref().map(ReachName::from),
            change: match change.direction {
                preview::Direction::Gained => AccessDirection::Gained,
                preview::Direction::Lost => AccessDirection::Lost,
            },
            conditional: change.conditional,
        }
    }
}

/// The ids a row refers to, whose names its view shows.
#[derive(Debug, Default)]
pub(crate) struct Mentioned {
    principals: BTreeSet<PrincipalId>,
    teams: BTreeSet<TeamId>,
}

impl Mentioned {
    pub(crate) fn principal(&mut self, id: PrincipalId) {
        self.principals.insert(id);
    }

    pub(crate) fn team(&mut self, id: TeamId) {
        self.teams.insert(id);
    }

    pub(crate) fn subject(&mut self, subject: Subject) {
        match subject {
            Subject::Principal(id) => self.principal(id),
            Subject::Team(id) => self.team(id),
        }
    }

    pub(crate) async fn names(self, app: &App, organization: OrganizationId) -> Result<Names, Problem> {
        names::read(app, organization, self.principals, self.teams).await
    }
}

/// A view made of a row and the names of what the row refers to.
pub(crate) trait Shown: Sized {
    /// The row.
    type Row;

    /// Tells what the row refers to.
    fn mention(row: &Self::Row, to: &mut Mentioned);

    /// The view.
    fn of(row: Self::Row, names: &Names) -> Self;
}

/// The view of one row.
pub(crate) async fn one<S: Shown>(
    app: &App,
    organization: OrganizationId,
    row: S::Row,
) -> Result<S, Problem> {
    let mut mentioned = Mentioned::default();
    S::mention(&row, &mut mentioned);
    Ok(S::of(row, &mentioned.names(app, organization).await?))
}

/// The views of one page of rows.
pub(crate) async fn page<S: Shown>(
    app: &App,
    organization: OrganizationId,
    listing: Listing<S::Row>,
) -> Result<Listing<S>, Problem> {
    let mut mentioned = Mentioned::default();
    for row in &listing.items {
        S::mention(row, &mut mentioned);
    }
    let names = mentioned.names(app, organization).await?;
    Ok(listing.map(|row| S::of(row, &names)))
}

impl<P, Q, B> Call<P, Q, B> {
    /// The answer of a list whose views are made already.
    pub(crate) fn viewed<T>(&self, listing: Listing<T>) -> Reply<Items<T>> {
        self.items(listing.items, listing.next)
    }
}

/// The revision that a client may name in `If-Match` after what it is about to be shown. It is read before the thing itself, so that
/// it can only be too old, which costs a needless 412 and never a lost update.
pub(crate) async fn revision(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
) -> Result<Revision, Problem> {
    Ok(app.snapshots().snapshot(organization, ctx.now).await?.shard().revision())
}

/// One thing, with the revision of the organization it was read at.
pub(crate) fn versioned<T>(view: T, revision: Revision) -> Reply<T> {
    Reply::new(view).etag(ETag::revision(revision)).revision(revision)
}

/// What an edit did, in the words every edit uses.
pub(crate) struct Outcome {
    pub revision: u64,
    pub dry_run: bool,
    pub access_changes: Vec<AccessChange>,
    pub access_changes_count: usize,
    pub warnings: Vec<String>,
}

/// The view of what an edit made, and what the edit did.
pub(crate) async fn edited<S: Shown>(
    app: &App,
    organization: OrganizationId,
    edited: Edited<S::Row>,
) -> Result<(S, Outcome), Problem> {
    let mut mentioned = Mentioned::default();
    S::mention(&edited.value, &mut mentioned);
    let listed = edited.access.get(..ACCESS_CHANGES_MAX).unwrap_or(&edited.access);
    for change in listed {
        mentioned.principal(change.principal);
    }
    let names = mentioned.names(app, organization).await?;
    let outcome = Outcome {
        revision: edited.revision.0,
        dry_run: edited.dry_run,
        access_changes: listed.iter().map(|change| AccessChange::of(change, &names)).collect(),
        access_changes_count: edited.access.len(),
        warnings: edited.warnings,
    };
    Ok((S::of(edited.value, &names), outcome))
}

/// Marks the answer of an edit with its revision; where something was made, with its address.
pub(crate) fn sealed<T>(answer: T, revision: u64, dry_run: bool, location: Option<String>) -> Reply<T> {
    let reply = versioned(answer, Revision(revision));
    match location {
        Some(path) if !dry_run => reply.location(path),
        Some(_) => reply.status(StatusCode::OK),
        None => reply,
    }
}

/// The answer of every edit of one concept: the thing under its own name, and what the edit did.
macro_rules! edited_answer {
    ($name:ident { $thing:ident: $view:ty }) => {
        /// What an edit did, or would do.
        #[derive(Debug, serde::Serialize, schemars::JsonSchema)]
        pub struct $name {
            /// The thing after the edit; as it last was, when it is gone.
            pub $thing: $view,
            /// The revision of the organization after the edit; the present one after a dry run.
            pub revision: u64,
            /// Nothing was written.
            pub dry_run: bool,
            /// Who gained and who lost what, at most 1,000 of them.
            pub access_changes: Vec<crate::shown::AccessChange>,
            /// How many changes of access there are in all.
            pub access_changes_count: usize,
            /// Conflicts and other things an administrator should know.
            pub warnings: Vec<String>,
        }

        impl $name {
            pub(crate) async fn answer(
                app: &charter_app::App,
                organization: charter_kernel::OrganizationId,
                edited: charter_app::edit::Edited<<$view as crate::shown::Shown>::Row>,
                location: impl FnOnce(&$view) -> Option<String>,
            ) -> Result<crate::edge::Reply<Self>, charter_kernel::Problem> {
                let is_done = !edited.dry_run && !edited.changes.is_empty();
                let shown = crate::shown::edited::<$view>(app, organization, edited).await;
                let (view, outcome) =
                    shown.map_err(|problem| crate::shown::after_change(problem, is_done))?;
                let crate::shown::Outcome {
                    revision,
                    dry_run,
                    access_changes,
                    access_changes_count,
                    warnings,
                } = outcome;
                let location = location(&view);
                let answer =
                    Self { $thing: view, revision, dry_run, access_changes, access_changes_count, warnings };
                Ok(crate::shown::sealed(answer, revision, dry_run, location))
            }
        }
    };
}
pub(crate) use edited_answer;

/// A problem that came up after a change was made: the caller must not take it for a change that was not.
pub(crate) fn after_change(problem: Problem, is_done: bool) -> Problem {
    if !is_done || problem.kind != ProblemKind::Unavailable {
        return problem;
    }
    let detail = "the change was made, and then the database could not be read to show it: read it again";
    Problem::new(ProblemKind::OutcomeUnknown, detail).retry_after(2)
}

/// Nothing was made that has an address of its own.
pub(crate) fn nowhere<T>(_: &T) -> Option<String> {
    None
}
