//! Invitations: an administrator lets an address in, with roles newcomers may get and none beyond their own. The mail is the proof of the
//! address, so nobody but its reader ever sees the token. Accepting makes the account, or joins the one the address has.

use super::credential_text::{generate_with, read_parts};
use super::email_change::require_unkept;
use super::guesses::{self, Behind};
use super::mailed_code;
use super::newcomer::{self, Introduction, admit, arrive, open, organization_of, require_open, seal};
use super::newcomer_mail::{self, NewcomerMail};
use super::registration_settings::{RegistrationMode, refused_role, role};
use crate::App;
use crate::audit;
use crate::caller::{Caller, Listing, Page, RequestContext};
use crate::guard::Permit;
use crate::rules;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::{OrganizationFact, OrganizationFacts};
use charter_kernel::{InvitationId, PrincipalId, Problem, ProblemKind, RoleKey, Timestamp};
use charter_store as store;
use store::invitation::{Invitation, InvitationStatus};
use store::registration_settings::RegistrationSettings;
use zeroize::Zeroizing;

/// What every token of an invitation begins with.
pub const PREFIX: &str = "chi_";
/// How long an invitation can be accepted, when nothing else is said.
pub const HOURS: u32 = 72;
const HOURS_MAX: u32 = 30 * 24;
const ROLES_MAX: usize = 20;

/// An invitation to be made.
#[derive(Debug, Clone, Default)]
pub struct InvitationDraft {
    /// The address it is for.
    pub email: String,
    /// Roles that come with it; none is the organization's default role.
    pub roles: Vec<String>,
    /// Hours in which it can be accepted.
    pub hours: Option<u32>,
}

/// An invitation as administrators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationView {
    /// Its id.
    pub id: InvitationId,
    /// The address it is for.
    pub email: String,
    /// Roles that come with it.
    pub roles: Vec<RoleKey>,
    /// `open`, `accepted`, `revoked` or `expired`.
    pub status: &'static str,
    /// Who invited; none is the operator.
    pub invited_by: Option<PrincipalId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its time is over.
    pub expires_at: Timestamp,
    /// When it was accepted, withdrawn, or ran out.
    pub closed_at: Option<Timestamp>,
    /// The account that accepted.
    pub principal: Option<PrincipalId>,
}

/// An invitation as its reader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Invited {
    /// The organization that invites.
    pub organization: OrganizationFact,
    /// The address it is for.
    pub email: String,
    /// Roles that come with it.
    pub roles: Vec<RoleKey>,
    /// When its time is over.
    pub expires_at: Timestamp,
    /// Whether the address has an account with a password.
    pub has_account: bool,
}

/// What came of a newcomer.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// The organization they are a member of now.
    pub organization: OrganizationFact,
    /// Their account.
    pub principal: PrincipalId,
    /// Its login.
    pub login: String,
    /// Whether it was made for them.
    pub is_new: bool,
}

fn place(id: InvitationId) -> String {
    format!("invitations email {id}")
}

async fn view(app: &App, it: Invitation, now: Timestamp) -> Result<InvitationView, Problem> {
    let is_over = it.status == InvitationStatus::Open && it.expires_at <= now;
    Ok(InvitationView {
        email: open(app, &place(it.id), &it.email).await?,
        id: it.id,
        roles: it.roles,
        status: if is_over { "expired" } else { it.status.as_str() },
        invited_by: it.invited_by,
        created_at: it.created_at,
        expires_at: it.expires_at,
        closed_at: it.closed_at,
        principal: it.principal,
    })
}

fn missing(id: InvitationId) -> Problem {
    Problem::not_found(format!("no invitation {id} in this organization"))
}

fn record(it: &Invitation) -> String {
    serde_json::json!({ "roles": it.roles, "expires_at": it.expires_at.to_string() }).to_string()
}

/// Invites an address.
pub async fn create(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    draft: InvitationDraft,
) -> Result<InvitationView, Problem> {
    let (identity, organization, now) = (app.identity(), permit.organization(), ctx.now);
    let email = text::email("email", &draft.email)?;
    let hours = draft.hours.unwrap_or(HOURS);
    if hours == 0 || hours > HOURS_MAX {
        return Err(Problem::invalid("hours", format!("1 to {HOURS_MAX} is expected")));
    }
    if draft.roles.len() > ROLES_MAX {
        return Err(Problem::invalid("roles", format!("at most {ROLES_MAX} are expected")));
    }
    let mut roles = Vec::new();
    for text in &draft.roles {
        let role = role("roles", text)?;
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    let token = generate_with(PREFIX, identity.settings().is_live, || app.world().random());
    let id = InvitationId(app.fresh_id());
    let invitation = Invitation {
        id,
        token_hash: identity.pepper.of_invitation(&token.text).to_vec(),
        email_hash: identity.pepper.of_email(&email).to_vec(),
        email: seal(app, &place(id), &email)?,
        roles,
        status: InvitationStatus::Open,
        invited_by: ctx.principal().map(|caller| caller.id),
        created_at: now,
        expires_at: now.plus_seconds(i64::from(hours) * 3_600),
        closed_at: None,
        closed_by: None,
        principal: None,
    };
    let (app_inside, ctx_inside) = (app.clone(), ctx.clone());
    let (made, revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let (app, ctx, mut invitation) = (app_inside, ctx_inside, invitation);
                let tx = transaction.tx();
                let settings = store::registration_settings::get(tx, organization).await?;
                let facts = store::facts::read(tx, organization)
                    .await?
                    .ok_or_else(|| Problem::not_found("no such organization"))?;
                if invitation.roles.is_empty() {
                    invitation.roles.extend(settings.default_role.clone());
                }
                require_may_invite(&app, &ctx, &facts, &settings, &invitation.roles)?;
                if facts.members.iter().any(|member| member.login == email) {
                    return Err(Problem::new(ProblemKind::Taken, format!("{email} is a member already")));
                }
                for of_email in app.identity().pepper.every_email(&email) {
                    if store::invitation::is_open(tx, organization, &of_email, now).await? {
                        let detail = format!("{email} is invited already: withdraw that invitation first");
                        return Err(Problem::new(ProblemKind::Taken, detail));
                    }
                }
                // Who has the address may have moved back to it, and have both for a while.
                let holder = store::principal::by_login(tx, &email).await?.map(|it| it.id);
                require_unkept(&app, tx, &email, holder, now).await?;
                guesses::count_mail(tx, &app, Behind::Account, Some(organization), &email, now).await?;
                store::invitation::insert(tx, organization, &token.id, &invitation).await?;
                let mail = NewcomerMail::Invited {
                    organization: facts.organization.name.clone(),
                    token: token.text,
                    until: invitation.expires_at,
                };
                newcomer_mail::queue(&app, tx, &email, None, &mail, now).await?;
                let mut event =
                    audit::event(&ctx, organization, "invitation.create", "invitation", id.to_string());
                event.after = Some(record(&invitation));
                transaction.commit(event, Vec::new(), invitation).await
            }) as BoxFuture<'_, Result<Committed<Invitation>, Problem>>
        })
        .await?;
    app.snapshots().hear_own(organization, revision).await?;
    view(app, made, now).await
}

fn require_may_invite(
    app: &App,
    ctx: &RequestContext,
    facts: &OrganizationFacts,
    settings: &RegistrationSettings,
    roles: &[RoleKey],
) -> Result<(), Problem> {
    require_open(&facts.organization)?;
    if settings.mode == RegistrationMode::Off {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "the organization takes no newcomers: its registration settings say `off`",
        ));
    }
    let index = app.snapshots().index();
    if let Some(why) = roles.iter().find_map(|role| refused_role(&index, facts, settings, role)) {
        return Err(Problem::invalid("roles", why));
    }
    let Some(caller) = ctx.principal() else { return Ok(()) };
    let ceiling = caller.ceiling.as_ref().map(|ceiling| ceiling.under(&index));
    rules::require_may_give(&index, facts, caller.id, ceiling.as_ref(), roles, ctx.now)
}

/// Invitations, newest first, one page.
pub async fn list(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    page: &Page,
) -> Result<Listing<InvitationView>, Problem> {
    let (organization, limit) = (permit.organization(), page.limit);
    let below = newcomer::below(page, InvitationId(u128::MAX))?;
    let found = reading!(app.database(), organization, |conn| store::invitation::page(
        conn,
        organization,
        below,
        limit
    ))?;
    newcomer::listing(found, |it| it.id, |it| Box::pin(view(app, it, ctx.now))).await
}

/// One invitation.
pub async fn get(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: InvitationId,
) -> Result<InvitationView, Problem> {
    let organization = permit.organization();
    let found =
        reading!(app.database(), organization, |conn| store::invitation::get(conn, organization, id))?;
    view(app, found.ok_or_else(|| missing(id))?, ctx.now).await
}

/// Withdraws an invitation.
pub async fn revoke(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    id: InvitationId,
) -> Result<(), Problem> {
    let (organization, now, ctx_inside) = (permit.organization(), ctx.now, ctx.clone());
    let ((), revision) = app
        .write(
            Scope::Organization(organization.bits()),
            organization,
            now,
            move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    let tx = transaction.tx();
                    let found =
                        store::invitation::get(tx, organization, id).await?.ok_or_else(|| missing(id))?;
                    let by = ctx_inside.principal().map(|caller| caller.id);
                    if !store::invitation::revoke(tx, organization, id, by, now).await? {
                        let detail = format!("the invitation is {} already", found.status.as_str());
                        return Err(Problem::new(ProblemKind::Gone, detail));
                    }
                    let mut event = audit::event(
                        &ctx_inside,
                        organization,
                        "invitation.revoke",
                        "invitation",
                        id.to_string(),
                    );
                    event.before = Some(record(&found));
                    transaction.commit(event, Vec::new(), ()).await
                }) as BoxFuture<'_, Result<Committed<()>, Problem>>
            },
        )
        .await?;
    app.snapshots().hear_own(organization, revision).await.map(drop)
}

fn unknown() -> Problem {
    Problem::new(ProblemKind::Forbidden, "this is no invitation: take the whole link or code of the mail")
}

fn over(why: &str) -> Problem {
    Problem::new(ProblemKind::Gone, format!("{why}: ask for another invitation"))
}

/// The invitation a token is for, while it can be accepted.
async fn find(
    app: &App,
    token: &str,
    now: Timestamp,
) -> Result<(OrganizationFact, RegistrationSettings, Invitation), Problem> {
    let (is_live, token_id) = read_parts(PREFIX, token).ok_or_else(unknown)?;
    if is_live != app.identity().settings().is_live {
        return Err(unknown());
    }
    let wanted = token_id.to_owned();
    let home =
        reading_all!(app.database(), |conn| async move { store::invitation::home(conn, &wanted).await })?;
    let (organization, id) = home.ok_or_else(unknown)?;
    let (found, settings) = reading!(app.database(), organization, |conn| async move {
        let found = store::invitation::get(conn, organization, id).await?;
        let settings = store::registration_settings::get(conn, organization).await?;
        Ok::<_, charter_db::Error>((found, settings))
    })?;
    let invitation = found.ok_or_else(unknown)?;
    if !app.identity().pepper.is_invitation(token, &invitation.token_hash) {
        return Err(unknown());
    }
    match invitation.status {
        InvitationStatus::Accepted => return Err(over("the invitation was accepted already")),
        InvitationStatus::Revoked => return Err(over("the invitation was withdrawn")),
        InvitationStatus::Open if invitation.expires_at > now => {}
        InvitationStatus::Open | InvitationStatus::Expired => {
            return Err(over("the invitation's time is over"));
        }
    }
    if settings.mode == RegistrationMode::Off {
        return Err(over("the organization takes nobody now"));
    }
    let organization = organization_of(app, organization).await?;
    require_open(&organization)?;
    Ok((organization, settings, invitation))
}

/// What an invitation is for. Looking uses nothing up.
pub async fn look(app: &App, ctx: &RequestContext, token: &str) -> Result<Invited, Problem> {
    app.identity().throttle.take_from_address(ctx.address, ctx.now)?;
    let (organization, _, invitation) = find(app, mailed_code::of(token), ctx.now).await?;
    let email = open(app, &place(invitation.id), &invitation.email).await?;
    let wanted = email.clone();
    let account =
        reading_all!(app.database(), |conn| async move { store::principal::by_login(conn, &wanted).await })?;
    Ok(Invited {
        organization,
        email,
        roles: invitation.roles,
        expires_at: invitation.expires_at,
        has_account: account.is_some_and(|account| account.password_hash.is_some()),
    })
}

/// Accepts an invitation, once.
pub async fn accept(
    app: &App,
    ctx: &RequestContext,
    token: Zeroizing<String>,
    introduction: Introduction,
) -> Result<Joined, Problem> {
    let now = ctx.now;
    app.identity().throttle.take_from_address(ctx.address, now)?;
    let (fact, _, invitation) = find(app, mailed_code::of(&token), now).await?;
    let email = open(app, &place(invitation.id), &invitation.email).await?;
    let arrival = arrive(app, ctx, &email, &fact, introduction).await?;
    let (organization, principal, is_new) = (fact.id, arrival.principal.id, arrival.is_new());
    let app_inside = app.clone();
    // Whose rights bound what is given is the inviter, looked at below.
    let nobody = RequestContext { caller: Caller::Anonymous, ..ctx.clone() };
    let ((), revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let (app, tx) = (app_inside, transaction.tx());
                if !store::invitation::accept(tx, organization, invitation.id, principal, now).await? {
                    return Err(over("the invitation was accepted or withdrawn meanwhile"));
                }
                let settings = store::registration_settings::get(tx, organization).await?;
                let facts = store::facts::read(tx, organization)
                    .await?
                    .ok_or_else(|| Problem::not_found("no such organization"))?;
                require_still(&app, &facts, &settings, &invitation, now)?;
                let reason = format!("by invitation {}", invitation.id);
                let roles = &invitation.roles;
                let events = admit(&app, &mut transaction, &nobody, &arrival, roles, &reason).await?;
                let who = newcomer::as_newcomer(&nobody, &arrival);
                let target = invitation.id.to_string();
                let event = audit::event(&who, organization, "invitation.accept", "invitation", target);
                transaction.commit(event, events, ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await?;
    app.snapshots().hear_own(organization, revision).await?;
    Ok(Joined { organization: fact, principal, login: email, is_new })
}

/// Refuses an invitation that could not be made any more: the roles left the list, or whoever invited lost what they gave.
fn require_still(
    app: &App,
    facts: &OrganizationFacts,
    settings: &RegistrationSettings,
    invitation: &Invitation,
    now: Timestamp,
) -> Result<(), Problem> {
    let index = app.snapshots().index();
    if settings.mode == RegistrationMode::Off
        || invitation.roles.iter().any(|role| refused_role(&index, facts, settings, role).is_some())
    {
        return Err(over("the organization does not give this any more"));
    }
    let Some(inviter) = invitation.invited_by else { return Ok(()) };
    let is_here = facts.members.iter().any(|member| {
        member.principal == inviter
            && member.standing() == charter_kernel::facts::PrincipalStatus::Active
            && member.window.is_live(now)
    });
    let may_invite = index
        .permission("admin.invitations.create")
        .is_some_and(|permission| rules::held_by(&index, facts, inviter, now).contains(permission));
    let may_give = rules::require_may_give(&index, facts, inviter, None, &invitation.roles, now).is_ok();
    if is_here && may_invite && may_give {
        return Ok(());
    }
    Err(over("whoever invited you may not do so any more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_an_invitation_is_no_key_and_no_key_is_one() {
        let mut next = 0u8;
        let mut random = || {
            next = next.wrapping_add(1);
            [next; 64]
        };
        let token = generate_with(PREFIX, false, &mut random);
        assert_eq!(token.text.len(), 72);
        assert_eq!(read_parts(PREFIX, &token.text), Some((false, token.id.as_str())));
        for other in ["chk_", "chs_", "chr_"] {
            assert_eq!(read_parts(other, &token.text), None);
            let key = generate_with(other, false, &mut random);
            assert_eq!(read_parts(PREFIX, &key.text), None);
        }
    }
}
