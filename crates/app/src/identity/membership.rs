//! Who somebody is, and where they may work now: what sign-in asks of memberships.

use super::own_session::principal_of;
use crate::App;
use crate::caller::{Caller, RequestContext};
use charter_db::{Conn, Tx};
use charter_kernel::facts::{MemberFact, OrganizationStatus, PrincipalKind, PrincipalStatus};
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use charter_store::principal::Principal;

fn no_organization() -> Problem {
    Problem::not_found("no such organization, or you are not a member of it")
}

fn is_live(member: &MemberFact, now: Timestamp) -> bool {
    member.standing() == PrincipalStatus::Active && member.window.is_live(now)
}

/// Whether somebody may act: the account is active, and so is the membership of the organization, or any one there is.
pub(super) async fn is_standing(
    conn: &mut Conn,
    principal: &Principal,
    organization: Option<OrganizationId>,
) -> Result<bool, charter_db::Error> {
    if principal.status != PrincipalStatus::Active {
        return Ok(false);
    }
    let places = match organization {
        Some(organization) => vec![organization],
        None => store::membership::organizations_of(conn, principal.id).await?,
    };
    let mut is_stopped = false;
    for place in places {
        match store::membership::get(conn, place, principal.id).await? {
            Some(member) if member.standing() == PrincipalStatus::Active => return Ok(true),
            Some(_) => is_stopped = true,
            None => {}
        }
    }
    Ok(!is_stopped)
}

/// Whether somebody may act in an organization as a member of it now. Applications are let in by members, and by nobody else.
pub(super) async fn is_standing_member(
    conn: &mut Conn,
    organization: OrganizationId,
    who: PrincipalId,
    now: Timestamp,
) -> Result<bool, charter_db::Error> {
    let Some(principal) = store::principal::by_id(conn, who).await? else { return Ok(false) };
    let member = store::membership::get(conn, organization, who).await?;
    let place = store::organization::get(conn, organization).await?;
    let is_open = place.is_some_and(|place| place.organization.status == OrganizationStatus::Active);
    Ok(is_open
        && principal.status == PrincipalStatus::Active
        && member.is_some_and(|member| is_live(&member, now)))
}

/// The same, and it stays so until this is final: who removes the member or deactivates the account waits, and then ends what began here,
/// too.
pub(super) async fn hold_standing_member(
    tx: &mut Tx,
    organization: OrganizationId,
    who: PrincipalId,
    now: Timestamp,
) -> Result<bool, charter_db::Error> {
    Ok(store::membership::hold(tx, organization, who).await?
        && is_standing_member(tx, organization, who, now).await?)
}

/// The organization a text names, when the principal is a member of it now.
pub(super) async fn membership(
    app: &App,
    principal: &Principal,
    text: &str,
    now: Timestamp,
) -> Result<OrganizationId, Problem> {
    let organization = app.resolve_organization(text).await?;
    membership_of(app, principal, organization, now).await
}

/// The same, of an organization that is known.
pub(super) async fn membership_of(
    app: &App,
    principal: &Principal,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<OrganizationId, Problem> {
    let who = principal.id;
    let found =
        reading!(app.database(), organization, |conn| store::membership::get(conn, organization, who))?;
    found.filter(|member| is_live(member, now)).map(|_| organization).ok_or_else(no_organization)
}

/// The one organization the principal is a member of now, if it is one.
pub(super) async fn only_membership(
    app: &App,
    principal: &Principal,
    now: Timestamp,
) -> Result<Option<OrganizationId>, Problem> {
    let live: Vec<_> = memberships(app, principal.id, now).await?.into_iter().map(|found| found.id).collect();
    Ok(match live.as_slice() {
        [only] => Some(*only),
        _ => None,
    })
}

/// An organization somebody is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnMembership {
    /// Its id.
    pub id: OrganizationId,
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Where it is in its life.
    pub status: OrganizationStatus,
}

/// The organizations a principal is a member of now.
pub(super) async fn memberships(
    app: &App,
    who: PrincipalId,
    now: Timestamp,
) -> Result<Vec<OwnMembership>, Problem> {
    reading_all!(app.database(), |conn| async move {
        let mut found = Vec::new();
        for id in store::membership::organizations_of(conn, who).await? {
            let member = store::membership::get(conn, id, who).await?;
            if !member.is_some_and(|member| is_live(&member, now)) {
                continue;
            }
            if let Some(row) = store::organization::get(conn, id).await? {
                let fact = row.organization;
                found.push(OwnMembership {
                    id,
                    key: fact.key.to_string(),
                    name: fact.name,
                    status: fact.status,
                });
            }
        }
        found.sort_by(|a: &OwnMembership, b| a.key.cmp(&b.key));
        Ok::<_, charter_db::Error>(found)
    })
}

/// Who somebody is, and where they may work.
#[derive(Debug, Clone)]
pub struct Me {
    /// The account, unless it is the operator.
    pub principal: Option<crate::caller::SignedIn>,
    /// The operator's account at the machine.
    pub operator: Option<String>,
    /// The organizations they are members of now.
    pub organizations: Vec<OwnMembership>,
}

/// Who is asking.
pub async fn me(app: &App, ctx: &RequestContext) -> Result<Me, Problem> {
    if let Caller::Operator { account } = &ctx.caller {
        return Ok(Me { principal: None, operator: Some(account.clone()), organizations: Vec::new() });
    }
    let principal = principal_of(ctx)?;
    if principal.by_client.is_some() && principal.kind == PrincipalKind::User {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "an application learns who its user is from /oauth/userinfo, as far as they agreed",
        ));
    }
    let mut organizations = memberships(app, principal.id, ctx.now).await?;
    if ctx.is_by_program() {
        organizations.retain(|found| Some(found.id) == principal.organization);
    }
    Ok(Me { principal: Some(principal.clone()), operator: None, organizations })
}
