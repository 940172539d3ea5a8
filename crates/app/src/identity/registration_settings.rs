//! What an organization lets newcomers do: not at all, by invitation, by an address of its domains, or by approval; and which roles they
//! may get. A privileged role is never one of them.

use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::rules;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::OrganizationFacts;
use charter_kernel::{Problem, ProblemKind, RoleKey};
use charter_policy::Index;
use charter_store as store;

pub use charter_store::registration_settings::{RegistrationMode, RegistrationSettings};

const DOMAINS_MAX: usize = 100;
const ROLES_MAX: usize = 50;

/// What changes about what newcomers may do. None of a field leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrationSettingsUpdate {
    /// How newcomers get in.
    pub mode: Option<RegistrationMode>,
    /// Domains of addresses that may ask.
    pub domains: Option<Vec<String>>,
    /// Roles a newcomer may get.
    pub roles: Option<Vec<String>>,
    /// The role of whoever names none; `Some(None)` takes it away.
    pub default_role: Option<Option<String>>,
    /// The version that was read, when nobody else's change is to be lost.
    pub if_version: Option<u64>,
}

/// The settings of an organization.
pub async fn get(app: &App, permit: &Permit) -> Result<RegistrationSettings, Problem> {
    let organization = permit.organization();
    reading!(app.database(), organization, |conn| store::registration_settings::get(conn, organization))
}

/// Reads a role that a newcomer may get, or says why they may not.
pub(super) fn role(field: &str, text: &str) -> Result<RoleKey, Problem> {
    text.trim().parse().map_err(|_| Problem::invalid(field, format!("{text:?} is no key of a role")))
}

/// Why a newcomer may not get a role now, if they may not.
pub(super) fn refused_role(
    index: &Index,
    facts: &OrganizationFacts,
    settings: &RegistrationSettings,
    role: &RoleKey,
) -> Option<String> {
    if !settings.roles.contains(role) {
        return Some(format!("the role {role} is none of those newcomers may get"));
    }
    unfit(index, facts, role)
}

fn unfit(index: &Index, facts: &OrganizationFacts, role: &RoleKey) -> Option<String> {
    if !rules::is_known_role(index, facts, role) {
        return Some(format!("there is no role {role} here"));
    }
    rules::is_privileged(index, facts, role).then(|| {
        format!(
            "the role {role} is privileged: it is assigned to members by an administrator, and to no newcomer"
        )
    })
}

/// Whether an address may ask.
pub(super) fn takes_domain_of(settings: &RegistrationSettings, email: &str) -> bool {
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    let is_listed = settings.domains.iter().any(|listed| listed == domain);
    match settings.mode {
        RegistrationMode::Domain => is_listed,
        RegistrationMode::Approval => is_listed || settings.domains.is_empty(),
        RegistrationMode::Off | RegistrationMode::Invitation => false,
    }
}

fn record(it: &RegistrationSettings) -> String {
    serde_json::json!({
        "mode": it.mode.as_str(),
        "domains": it.domains,
        "roles": it.roles,
        "default_role": it.default_role,
    })
    .to_string()
}

fn domains_of(texts: &[String]) -> Result<Vec<String>, Problem> {
    if texts.len() > DOMAINS_MAX {
        return Err(Problem::invalid("domains", format!("at most {DOMAINS_MAX} domains are expected")));
    }
    let mut domains = Vec::new();
    for text in texts {
        let domain = text::domain("domains", text)?;
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    Ok(domains)
}

fn roles_of(index: &Index, facts: &OrganizationFacts, texts: &[String]) -> Result<Vec<RoleKey>, Problem> {
    if texts.len() > ROLES_MAX {
        return Err(Problem::invalid("roles", format!("at most {ROLES_MAX} roles are expected")));
    }
    let mut roles = Vec::new();
    for text in texts {
        let role = role("roles", text)?;
        if let Some(why) = unfit(index, facts, &role) {
            return Err(Problem::invalid("roles", why));
        }
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    Ok(roles)
}

/// The settings as they are afterwards. A role that stays is not judged again: one that is unfit by now is given to nobody,
/// and must not keep anybody from closing the door.
fn changed(
    index: &Index,
    facts: &OrganizationFacts,
    before: &RegistrationSettings,
    update: &RegistrationSettingsUpdate,
) -> Result<RegistrationSettings, Problem> {
    let domains = update.domains.as_deref().map_or_else(|| Ok(before.domains.clone()), domains_of)?;
    let roles = match &update.roles {
        Some(texts) => roles_of(index, facts, texts)?,
        None => before.roles.clone(),
    };
    let default_role = match &update.default_role {
        Some(text) => text.as_deref().map(|text| role("default_role", text)).transpose()?,
        None => before.default_role.clone(),
    };
    if let Some(role) = &default_role
        && !roles.contains(role)
    {
        let detail = format!("{role} is none of the roles: add it there, or name another one");
        return Err(Problem::invalid("default_role", detail));
    }
    let mode = update.mode.unwrap_or(before.mode);
    if mode == RegistrationMode::Domain && domains.is_empty() {
        return Err(Problem::invalid("domains", "name the domains whose addresses may come in"));
    }
    Ok(RegistrationSettings { mode, domains, roles, default_role, ..RegistrationSettings::default() })
}

/// How far a mode opens the door to whoever does not know anybody inside, and how little anybody inside has a say.
const fn openness(mode: RegistrationMode) -> u8 {
    match mode {
        RegistrationMode::Off => 0,
        RegistrationMode::Invitation => 1,
        RegistrationMode::Approval => 2,
        RegistrationMode::Domain => 3,
    }
}

/// Whether somebody comes in afterwards who did not before, by a way there was not, or with a role they did not name.
fn opens(before: &RegistrationSettings, after: &RegistrationSettings) -> bool {
    let takes_any =
        |it: &RegistrationSettings| it.mode == RegistrationMode::Approval && it.domains.is_empty();
    let is_more_open = openness(after.mode) > openness(before.mode);
    let is_wider = !takes_any(before)
        && (takes_any(after) || after.domains.iter().any(|domain| !before.domains.contains(domain)));
    let gives_other = after.default_role.is_some() && after.default_role != before.default_role;
    is_more_open || is_wider || gives_other
}

/// Changes some of them; what is not named stays. Nobody lists a role that they could not give, or opens the door to one that is listed.
pub async fn update(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    update: RegistrationSettingsUpdate,
) -> Result<RegistrationSettings, Problem> {
    let (organization, now) = (permit.organization(), ctx.now);
    let (app_inside, ctx_inside) = (app.clone(), ctx.clone());
    let (after, revision) = app
        .write(Scope::Organization(organization.bits()), organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let index = app_inside.snapshots().index();
                let before = store::registration_settings::get(transaction.tx(), organization).await?;
                let expected = update.if_version.unwrap_or(before.row_version);
                if before.row_version != expected {
                    return Err(Problem::new(
                        ProblemKind::Changed,
                        format!(
                            "the settings are at version {}, not {expected}: read them again and repeat the change",
                            before.row_version
                        ),
                    ));
                }
                let facts = store::facts::read(transaction.tx(), organization)
                    .await?
                    .ok_or_else(|| Problem::not_found("no such organization"))?;
                let mut after = changed(&index, &facts, &before, &update)?;
                if let Some(caller) = ctx_inside.principal() {
                    let ceiling = caller.ceiling.as_ref().map(|ceiling| ceiling.under(&index));
                    let is_opened = opens(&before, &after);
                    let is_judged = |role: &&RoleKey| is_opened || !before.roles.contains(role);
                    let judged: Vec<RoleKey> = after.roles.iter().filter(is_judged).cloned().collect();
                    rules::require_may_give(&index, &facts, caller.id, ceiling.as_ref(), &judged, now)?;
                }
                after.changed_by = ctx_inside.principal().map(|caller| caller.id);
                after.changed_at = Some(now);
                after.row_version =
                    store::registration_settings::put(transaction.tx(), organization, &after).await?;
                let target = organization.to_string();
                let mut event =
                    audit::event(&ctx_inside, organization, "registration_settings.set", "organization", target);
                event.before = Some(record(&before));
                event.after = Some(record(&after));
                transaction.commit(event, Vec::new(), after).await
            }) as BoxFuture<'_, Result<Committed<RegistrationSettings>, Problem>>
        })
        .await?;
    app.snapshots().hear_own(organization, revision).await?;
    Ok(after)
}
