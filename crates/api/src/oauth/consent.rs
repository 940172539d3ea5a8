//! `/api/v1/me/applications`: the applications one let in, and letting one no longer in.

use crate::auth::SELF_SERVICE;
use crate::edge::{Call, Items, Reply, Route, wire};
use charter_app::App;
use charter_app::identity::oauth::consent::{self, OauthConsent};
use charter_app::identity::oauth::meaning::{self, Meaning};
use charter_kernel::{OauthClientId, OrganizationId, Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The routes of this file.
pub(super) fn routes() -> Vec<Route<App>> {
    vec![
        Route::list("/api/v1/me/applications", SELF_SERVICE, list)
            .for_people()
            .named("me.applications", "Own account", "Lists the applications one agreed to let in.")
            .described(
                "An organization's own applications ask nobody: they are seen by their sessions in `/api/v1/me/sessions`.",
            ),
        Route::delete("/api/v1/me/applications/{client}", SELF_SERVICE, withdraw)
            .for_people()
            .named(
                "me.withdraw-application",
                "Own account",
                "Takes back what one agreed to: the application's tokens end, and it has to ask again.",
            )
            .problems(&[ProblemKind::NotFound]),
    ]
}

/// An application one let in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnApplication")]
struct ConsentView {
    /// Its `client_id`.
    #[schemars(with = "wire::Id")]
    client_id: OauthClientId,
    /// Its name.
    name: String,
    /// The organization it is of.
    #[schemars(with = "wire::Id")]
    organization_id: OrganizationId,
    /// What it may do, in the words of OAuth.
    scope: String,
    /// The same in words.
    means: Vec<MeaningView>,
    /// What its tokens may be for, by their URIs; `charter` is Charter itself.
    audiences: Vec<String>,
    /// When one agreed last.
    #[schemars(with = "wire::Time")]
    given_at: Timestamp,
}

/// One thing an application may do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScopeMeaning")]
struct MeaningView {
    /// In words.
    words: String,
    /// The patterns over permissions it stands for; none for what is of the person alone.
    patterns: Vec<String>,
}

impl ConsentView {
    fn of(app: &App, it: OauthConsent) -> Self {
        let means = meaning::of_text(app, &it.scope).into_iter();
        Self {
            client_id: it.client,
            name: it.name,
            organization_id: it.organization,
            scope: it.scope,
            means: means.map(|Meaning { words, patterns }| MeaningView { words, patterns }).collect(),
            audiences: it.agreed.into_keys().collect(),
            given_at: it.given_at,
        }
    }
}

async fn list(call: Call) -> Result<Reply<Items<ConsentView>>, Problem> {
    let found = consent::list_own(&call.app, &call.ctx, &call.page()).await?;
    Ok(call.items(found.items.into_iter().map(|it| ConsentView::of(&call.app, it)), found.next))
}

/// One application.
#[derive(Deserialize, JsonSchema)]
struct ClientPath {
    /// Its `client_id`.
    #[schemars(with = "wire::Id")]
    client: OauthClientId,
}

async fn withdraw(call: Call<ClientPath>) -> Result<Reply<()>, Problem> {
    consent::withdraw(&call.app, &call.ctx, call.path.client).await?;
    Ok(Reply::empty())
}
