//! Names for ids: rows keep ids, people read logins and team keys.

use crate::App;
use charter_db::{BoxFuture, Conn, Scope};
use charter_kernel::{OrganizationId, PrincipalId, Problem, TeamId};
use charter_store as store;
use std::collections::{BTreeMap, BTreeSet};

/// The names of some principals and teams.
#[derive(Debug, Clone, Default)]
pub struct Names {
    logins: BTreeMap<PrincipalId, (String, String)>,
    teams: BTreeMap<TeamId, String>,
}

impl Names {
    /// The login of a principal; its id where nothing is known of it.
    pub fn login(&self, principal: PrincipalId) -> String {
        self.logins.get(&principal).map_or_else(|| principal.to_string(), |(login, _)| login.clone())
    }

    /// The shown name of a principal; empty where nothing is known of it.
    pub fn shown(&self, principal: PrincipalId) -> String {
        self.logins.get(&principal).map_or_else(String::new, |(_, name)| name.clone())
    }

    /// The key of a team; its id where nothing is known of it.
    pub fn team(&self, team: TeamId) -> String {
        self.teams.get(&team).cloned().unwrap_or_else(|| team.to_string())
    }
}

/// Reads the names of principals and teams that rows of an organization refer to.
pub async fn read(
    app: &App,
    organization: OrganizationId,
    principals: BTreeSet<PrincipalId>,
    teams: BTreeSet<TeamId>,
) -> Result<Names, Problem> {
    if principals.is_empty() && teams.is_empty() {
        return Ok(Names::default());
    }
    app.database()
        .read(Scope::Installation, move |conn: &mut Conn| {
            Box::pin(async move {
                let mut names = Names::default();
                for id in principals {
                    if let Some(found) = store::principal::by_id(conn, id).await? {
                        names.logins.insert(id, (found.login, found.name));
                    }
                }
                for id in teams {
                    if let Some(found) = store::team::get(conn, organization, id).await? {
                        names.teams.insert(id, found.key.to_string());
                    }
                }
                Ok(names)
            }) as BoxFuture<'_, Result<Names, Problem>>
        })
        .await
}
