//! Who and what of the other system is who and what here, and whether they still are: ids are used again there, and logins change hands.

use crate::failure::{Failure, Result};
use charter_adopt::anomaly::{Anomalies, AnomalyKind};
use charter_adopt::facts::{LegacyFacts, LegacyUser};
use charter_app::adoption::told_sum;
use charter_app::text;
use charter_db::{BoxFuture, Conn, Database, Scope};
use charter_kernel::{Key, Problem};
use charter_store::shadow as rows;
use charter_store::shadow::{NamedOrganization, NamedUser};
use std::collections::{HashMap, HashSet};

const PAGE: u32 = 10_000;

/// Who and what is who and what here, by their ids there.
#[derive(Default)]
pub struct Links {
    /// Organizations.
    pub organizations: HashMap<String, NamedOrganization>,
    /// Users.
    pub users: HashMap<String, NamedUser>,
}

/// What a user signs in with, as it is kept here.
fn kept_login(user: LegacyUser<'_>) -> Option<String> {
    text::login("login", user.login).ok()
}

/// Whether a user there is whose account it is here: by what the account signs in with, or by what a run was told last.
pub fn is_the_same(user: LegacyUser<'_>, linked: &NamedUser) -> bool {
    let Some(login) = kept_login(user) else { return false };
    let name = if user.name.is_empty() { user.login } else { user.name };
    let told = || text::name("name", name).ok().map(|name| told_sum(&login, &name));
    login == linked.login || (linked.told_sum.is_some() && linked.told_sum == told())
}

/// Ids of users whose logins are one here, or who have two.
pub fn doubled<'f>(facts: &'f LegacyFacts, anomalies: &Anomalies) -> HashSet<&'f str> {
    let kinds = [AnomalyKind::DuplicateLogin, AnomalyKind::DuplicateUser];
    let (mut found, mut by_login, mut by_id) = (HashSet::new(), HashMap::new(), HashMap::new());
    if kinds.iter().all(|kind| anomalies.count(*kind) == 0) {
        return found;
    }
    for user in facts.users.iter() {
        let Some(login) = kept_login(user) else { continue };
        if let Some(other) = by_login.insert(login.clone(), user.id).filter(|other| *other != user.id) {
            found.extend([other, user.id]);
        }
        if by_id.insert(user.id, login.clone()).is_some_and(|before| before != login) {
            found.insert(user.id);
        }
    }
    found
}

/// Whether an organization there is the one it is here.
pub fn is_the_same_organization(name: &str, linked: &NamedOrganization) -> bool {
    text::name("name", name).is_ok_and(|name| name == linked.name)
}

/// Reads what is linked.
pub async fn linked(database: &Database, source: &Key) -> Result<Links> {
    let source = source.clone();
    let found = database
        .read(Scope::Installation, move |conn: &mut Conn| {
            Box::pin(async move {
                let mut found = Links::default();
                let mut after = String::new();
                loop {
                    let page = rows::named_organizations(conn, &source, &after, PAGE).await?;
                    let Some(last) = page.rows.last().map(|row| row.legacy_id.clone()) else { break };
                    after = last;
                    found.organizations.extend(page.rows.into_iter().map(|it| (it.legacy_id.clone(), it)));
                }
                after.clear();
                loop {
                    let page = rows::named_users(conn, &source, &after, PAGE).await?;
                    let Some(last) = page.rows.last().map(|row| row.legacy_id.clone()) else { break };
                    after = last;
                    found.users.extend(page.rows.into_iter().map(|it| (it.legacy_id.clone(), it)));
                }
                Ok(found)
            }) as BoxFuture<'_, std::result::Result<Links, Problem>>
        })
        .await;
    found.map_err(Failure::from)
}
