//! What a client may be: refused is one that could never do what it is for, and one by which its maker could do what they may not, without
//! anybody being asked.

use super::scope::{OFFLINE, Scope};
use super::{
    AUTHORIZATION_CODE, CLIENT_CREDENTIALS, ClientKind, GRANT_TYPES, OauthClient, REFRESH_TOKEN, audience,
    redirect,
};
use crate::App;
use crate::caller::RequestContext;
use crate::{member, rules};
use charter_kernel::facts::{OrganizationFacts, PrincipalKind, PrincipalStatus};
use charter_kernel::{OrganizationId, Pattern, PrincipalId, Problem, ProblemKind};

/// Who may have a client that acts for members without asking them.
const ADMINISTERS: &str = "admin.org_settings.update";
/// Most addresses of one list.
const URIS_MAX: usize = 20;

fn uris(field: &str, uris: &[String], kind: ClientKind, is_live: bool) -> Result<(), Problem> {
    if uris.len() > URIS_MAX {
        return Err(Problem::invalid(field, format!("{URIS_MAX} addresses at most are expected")));
    }
    let fault = uris.iter().find_map(|uri| redirect::fault(uri, kind, is_live));
    fault.map_or(Ok(()), |why| Err(Problem::invalid(field, why)))
}

/// Refuses a client that could never do what it is for, or more than was meant.
pub(super) fn check_form(app: &App, client: &OauthClient) -> Result<Scope, Problem> {
    let is_live = app.identity().settings().is_live;
    uris("redirect_uris", &client.redirect_uris, client.kind, is_live)?;
    uris("post_logout_redirect_uris", &client.post_logout_redirect_uris, client.kind, is_live)?;
    if client.audiences.len() > audience::AUDIENCES_MAX {
        let why = format!("{} at most are expected", audience::AUDIENCES_MAX);
        return Err(Problem::invalid("audiences", why));
    }
    if let Some(why) = client.audiences.iter().find_map(|uri| audience::fault(uri)) {
        return Err(Problem::invalid("audiences", why));
    }
    let grants = |name: &str| client.grant_types.iter().any(|grant| grant == name);
    if let Some(other) = client.grant_types.iter().find(|grant| !GRANT_TYPES.contains(&grant.as_str())) {
        return Err(Problem::invalid(
            "grant_types",
            format!("{other:?} is none: {} are", GRANT_TYPES.join(", ")),
        ));
    }
    if grants(AUTHORIZATION_CODE) && client.redirect_uris.is_empty() {
        let why = "is empty: a client that sends people here has to say where they come back to";
        return Err(Problem::invalid("redirect_uris", why));
    }
    if grants(REFRESH_TOKEN) && !grants(AUTHORIZATION_CODE) {
        let why = "refresh_token needs authorization_code: there is nothing else to refresh";
        return Err(Problem::invalid("grant_types", why));
    }
    if grants(CLIENT_CREDENTIALS) && client.kind != ClientKind::Confidential {
        let why = "client_credentials needs a client that keeps a secret (kind confidential)";
        return Err(Problem::invalid("grant_types", why));
    }
    if grants(CLIENT_CREDENTIALS) != client.service_account.is_some() {
        let why = "goes with the grant client_credentials: one is not without the other";
        return Err(Problem::invalid("service_account", why));
    }
    let scope = Scope::of(client.scopes.clone()).map_err(|why| Problem::invalid("scopes", why))?;
    if scope.has(OFFLINE) && !grants(REFRESH_TOKEN) {
        let why = "offline_access needs the grant refresh_token";
        return Err(Problem::invalid("scopes", why));
    }
    let index = app.snapshots().index();
    if let Some(word) = scope.without_meaning(&index) {
        return Err(Problem::invalid("scopes", format!("{word} matches no permission of the catalogue")));
    }
    Ok(scope)
}

/// Refuses a client by which its maker could do what they may not.
pub(super) async fn check_reach(
    app: &App,
    ctx: &RequestContext,
    client: &OauthClient,
) -> Result<(), Problem> {
    let Some(giver) = ctx.principal() else { return Ok(()) };
    if !client.is_first_party && client.service_account.is_none() {
        return Ok(());
    }
    let index = app.snapshots().index();
    let facts = crate::facts(app, client.organization).await?;
    let reach = Scope::of(client.scopes.clone()).unwrap_or_default().permissions(&index);
    let held = rules::held_by(&index, &facts, giver.id, ctx.now);
    let mut given = charter_policy::PermissionSet::EMPTY;
    if client.is_first_party {
        given.add(&reach);
        // It acts as every member who comes by a link: so may those alone who administer all of them.
        given.add(&ADMINISTERS.parse().map(|pattern: Pattern| index.pattern(&pattern)).unwrap_or_default());
    }
    if let Some(account) = client.service_account {
        given.add(&rules::may_hold(&index, &facts, account).intersect(&reach));
    }
    let beyond = given.without(&held);
    match beyond.iter().next().and_then(|first| index.code(first)) {
        None => Ok(()),
        Some(code) => Err(Problem::new(
            ProblemKind::BeyondGiver,
            format!(
                "the client could do what you may not ({code}) without anybody being asked: limit its scopes, or ask somebody who may"
            ),
        )),
    }
}

fn account_of(facts: &OrganizationFacts, text: &str) -> Result<PrincipalId, Problem> {
    let account = member::find(facts, text)?;
    if account.kind != PrincipalKind::ServiceAccount {
        let why = "is a user: client credentials stand for a service account";
        return Err(Problem::invalid("service_account", why));
    }
    if account.standing() != PrincipalStatus::Active {
        return Err(Problem::invalid("service_account", format!("is {}", account.standing().as_str())));
    }
    Ok(account.principal)
}

pub(super) async fn account(
    app: &App,
    organization: OrganizationId,
    text: Option<&str>,
) -> Result<Option<PrincipalId>, Problem> {
    let Some(text) = text else { return Ok(None) };
    account_of(&crate::facts(app, organization).await?, text).map(Some)
}
