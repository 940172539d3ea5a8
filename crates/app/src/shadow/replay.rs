//! A recorded log of the other system's answers, compared with ours line by line: who asked for what, and what it said. Nothing is counted and
//! nothing is written; our answer is the one of this moment.

use super::Side;
use super::mode::operator_only;
use crate::App;
use crate::caller::RequestContext;
use crate::check::{Asked, Question, pinned};
use charter_kernel::{Decision, OrganizationId, PrincipalId, Problem};
use charter_store as store;
use std::collections::HashMap;

/// Lines of one call at most.
pub const LINES_MAX: usize = 1_000;

/// One answer of the other system, as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Key or id of the organization, or its id in the other system.
    pub organization: String,
    /// Login or id of the account, or its id in the other system.
    pub user: String,
    /// The code of the permission.
    pub permission: String,
    /// The code that is meant where there is no such permission.
    pub otherwise: Option<String>,
    /// What the other system said.
    pub allow: bool,
}

/// What we say to a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Replayed {
    /// The same, or the opposite.
    Answered {
        /// Our answer.
        ours: Decision,
        /// Whether it is another one than the recorded.
        is_flip: bool,
    },
    /// Nothing: what the line names is not known here.
    Unknown(String),
}

impl Replayed {
    /// Whose answer allowed, where they differ.
    pub fn allowed_by(&self) -> Option<Side> {
        match self {
            Self::Answered { ours, is_flip: true } if ours.is_allow() => Some(Side::Charter),
            Self::Answered { is_flip: true, .. } => Some(Side::Legacy),
            _ => None,
        }
    }
}

async fn organization_of(app: &App, source: &str, text: &str) -> Result<Option<OrganizationId>, Problem> {
    let (source, wanted) = (source.to_owned(), text.to_owned());
    let linked = reading_all!(app.database(), |conn| async move {
        store::shadow::organization_of(conn, &source, &wanted).await
    })?;
    match linked {
        Some(found) => Ok(Some(found)),
        None => Ok(app.resolve_organization(text).await.ok()),
    }
}

async fn principal_of(app: &App, source: &str, text: &str) -> Result<Option<PrincipalId>, Problem> {
    let (source, wanted) = (source.to_owned(), text.to_owned());
    reading_all!(
        app.database(),
        |conn| async move { store::shadow::principal_of(conn, &source, &wanted).await }
    )
}

/// Compares recorded answers of a system with ours.
pub async fn replay(
    app: &App,
    ctx: &RequestContext,
    source: &str,
    lines: &[Recorded],
) -> Result<Vec<Replayed>, Problem> {
    operator_only(ctx)?;
    if lines.len() > LINES_MAX {
        return Err(Problem::invalid("lines", format!("at most {LINES_MAX} lines are expected")));
    }
    let mut organizations: HashMap<&str, Option<OrganizationId>> = HashMap::new();
    let mut told = Vec::with_capacity(lines.len());
    for line in lines {
        let known = organizations.get(line.organization.as_str()).copied();
        let found = match known {
            Some(found) => found,
            None => organization_of(app, source, &line.organization).await?,
        };
        organizations.insert(&line.organization, found);
        let Some(organization) = found else {
            told.push(Replayed::Unknown(format!("no organization {}", line.organization)));
            continue;
        };
        told.push(answer(app, ctx, source, organization, line).await?);
    }
    Ok(told)
}

async fn answer(
    app: &App,
    ctx: &RequestContext,
    source: &str,
    organization: OrganizationId,
    line: &Recorded,
) -> Result<Replayed, Problem> {
    let snapshot = pinned(app, ctx, organization, None).await?;
    let subject = match principal_of(app, source, &line.user).await? {
        Some(linked) => Some(linked),
        None => app.subject_of(organization, &snapshot, &line.user).await?,
    };
    let codes = [Some(&line.permission), line.otherwise.as_ref()];
    let Some(code) = codes.into_iter().flatten().find(|code| snapshot.index().permission(code).is_some())
    else {
        return Ok(Replayed::Unknown(format!("no permission {}", line.permission)));
    };
    let Some(subject) = subject else {
        return Ok(Replayed::Unknown(format!("no user {}", line.user)));
    };
    let question = Question { asked: Some(Asked::Permission(code)), ..Question::default() };
    let ours = app.decide_ours(ctx, organization, &snapshot, &question, Some(subject)).await?;
    let is_kept_away = app.is_kept_away(organization, &snapshot, &question, Some(subject), &ours).await?;
    Ok(Replayed::Answered { is_flip: ours.is_allow() != line.allow && !is_kept_away, ours })
}
