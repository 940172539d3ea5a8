//! Floors: instants before which no token counts, for everybody, for one organization, or for one principal. Set when tokens may be in
//! the wrong hands and their sessions are not to end. Every node keeps them in memory; a floor is only ever raised.

use super::token::Claims;
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{OrganizationId, PrincipalId, Problem, Timestamp};
use charter_store as store;
use std::collections::HashMap;

pub use charter_store::token_floor::{TokenFloor, Whose};

/// The floors a node knows.
#[derive(Debug, Clone, Default)]
pub struct Floors {
    everybody: Option<Timestamp>,
    organizations: HashMap<OrganizationId, Timestamp>,
    principals: HashMap<PrincipalId, Timestamp>,
}

impl Floors {
    /// These floors and those.
    pub fn with(mut self, floors: &[TokenFloor]) -> Self {
        for floor in floors {
            let at = floor.not_before;
            let place = match floor.whose {
                Whose::Everybody => self.everybody.get_or_insert(at),
                Whose::Organization(id) => self.organizations.entry(id).or_insert(at),
                Whose::Principal(id) => self.principals.entry(id).or_insert(at),
            };
            *place = (*place).max(at);
        }
        self
    }

    /// Whether a token was issued in a second that begins before a floor that is meant for it.
    pub fn refuse(&self, claims: &Claims) -> bool {
        self.refuse_at(Some(claims.iat), claims.org, claims.sub)
    }

    /// The same of a token's parts; one that does not say when it was issued falls under every floor.
    pub fn refuse_at(
        &self,
        iat: Option<i64>,
        organization: Option<OrganizationId>,
        principal: PrincipalId,
    ) -> bool {
        let of_organization = organization.and_then(|id| self.organizations.get(&id));
        [self.everybody.as_ref(), of_organization, self.principals.get(&principal)]
            .into_iter()
            .flatten()
            .any(|floor| iat.is_none_or(|iat| iat.saturating_mul(1_000_000) < floor.micros()))
    }
}

/// Learns of floors set since an instant, here or elsewhere.
pub(super) async fn learn(app: &App, since: Timestamp) -> Result<(), Problem> {
    let found = reading_all!(app.database(), |conn| store::token_floor::set_since(conn, since))?;
    if !found.is_empty() {
        let floors = &app.identity().floors;
        floors.rcu(|known| Floors::clone(known).with(&found));
    }
    Ok(())
}

/// A floor to be set.
#[derive(Debug, Clone)]
pub struct FloorDraft {
    /// Whose tokens.
    pub whose: Whose,
    /// Tokens issued before this are refused; none is now.
    pub not_before: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

/// Raises a floor. A lower one than there is changes nothing and is refused.
pub async fn raise(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    draft: FloorDraft,
) -> Result<TokenFloor, Problem> {
    let (platform, now) = (permit.organization(), ctx.now);
    let reason = text::reason("reason", &draft.reason)?;
    let not_before = draft.not_before.unwrap_or(now);
    if not_before > now {
        return Err(Problem::invalid(
            "not_before",
            "lies in the future: tokens of that time are not issued yet",
        ));
    }
    let floor = TokenFloor { whose: draft.whose, not_before, reason, set_at: now };
    let (row, ctx_inside) = (floor.clone(), ctx.clone());
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            if !store::token_floor::raise(transaction.tx(), &row).await? {
                return Err(Problem::invalid("not_before", "is not later than the floor that is set"));
            }
            let target = match row.whose {
                Whose::Everybody => "installation".to_owned(),
                Whose::Organization(id) => id.to_string(),
                Whose::Principal(id) => id.to_string(),
            };
            let mut event =
                audit::event(&ctx_inside, platform, "token_floor.raise", row.whose.as_str(), target);
            event.reason = row.reason;
            event.after = Some(serde_json::json!({ "not_before": row.not_before }).to_string());
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    let floors = &app.identity().floors;
    floors.rcu(|known| Floors::clone(known).with(std::slice::from_ref(&floor)));
    Ok(floor)
}
