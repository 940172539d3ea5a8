//! What people took away by hand and runs were told to keep away: read by the next plan of the source, and by whoever proves its newest run again.

use crate::adoption::{OPERATOR, TAG, word};
use crate::edge::{Call, Reply, Route, wire};
use charter_app::App;
use charter_app::adoption::{self, KeptAway, RememberedRow, RemovalKind, RowKind};
use charter_kernel::{Key, OrganizationId, Pattern, PrincipalId, Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::get("/api/v1/adoption/kept-away", OPERATOR, list)
            .named("adoption.kept-away", TAG, "Lists what the newest run of a source keeps away, as the operator.")
            .described(
                "What people took away by hand of what runs gave, and a plan was told to keep away. The four words of the last item are what those \
                 that follow are asked with. Where removals are not `noted`, nobody knows what people took away since that run.",
            )
            .problems(&[ProblemKind::Forbidden])
            .timeout(Duration::from_secs(120)),
    ]
}

/// Which are asked for.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeptAwayQuery {
    /// The other system, by the name the operator gave it.
    #[schemars(with = "wire::Key")]
    source: Key,
    /// Only those after this organization.
    #[serde(default)]
    #[schemars(with = "Option<wire::Id>")]
    organization: Option<OrganizationId>,
    /// And after this account there.
    #[serde(default)]
    #[schemars(with = "Option<wire::Id>")]
    principal: Option<PrincipalId>,
    /// And after this kind.
    #[serde(default)]
    kind: Option<String>,
    /// And after this key.
    #[serde(default)]
    key: Option<String>,
    /// How many at most.
    #[serde(default)]
    limit: Option<u32>,
}

/// Something that stays away.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KeptAway")]
#[serde(deny_unknown_fields)]
pub struct KeptAwayRow {
    /// Where.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// From whom.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
    /// `assignment`, `grant` or `membership`.
    kind: String,
    /// The role or the permission; empty for a membership.
    key: String,
    /// The patterns it would give, where no shipped role says so.
    #[serde(default)]
    #[schemars(with = "Vec<wire::Pattern>")]
    gives: Vec<Pattern>,
}

const KINDS: &str = "assignment, grant or membership";

impl TryFrom<KeptAwayRow> for KeptAway {
    type Error = Problem;

    fn try_from(it: KeptAwayRow) -> Result<Self, Problem> {
        let KeptAwayRow { organization, principal, kind, key, gives } = it;
        let kind = word("kind", &kind, RemovalKind::from_word, KINDS)?;
        let gives = gives.iter().map(|pattern| pattern.as_str().to_owned()).collect();
        Ok(Self { organization, principal, kind, key, gives })
    }
}

/// What stays away.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "KeptAwayList")]
struct KeptAwayView {
    /// Whether removals were noted since the newest run of the source.
    noted: bool,
    /// What stays away.
    items: Vec<KeptAwayRow>,
    /// Modules that people removed of those that runs switched, with the first page.
    modules: Vec<RemovedModule>,
    /// Users of the source, by their ids there, whom people stopped, or from whom they took something, of what a run gave that was taken back, and
    /// whom no run brought again; with the first page.
    remembered: Vec<String>,
    /// Roles and modules that people removed or changed of such a run, and that no run brought again; with the first page.
    remembered_rows: Vec<RememberedRowView>,
    /// Whether there is more after the last item.
    more: bool,
}

/// A role or a module that people removed or changed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionRemembered")]
struct RememberedRowView {
    /// `role` or `module`.
    kind: &'static str,
    /// The organization, by its id in the other system.
    organization: String,
    /// The role or the module.
    key: String,
}

impl From<RememberedRow> for RememberedRowView {
    fn from(it: RememberedRow) -> Self {
        let kind = match it.kind {
            RowKind::Role => "role",
            RowKind::Module => "module",
        };
        Self { kind, organization: it.legacy_id, key: it.key }
    }
}

/// A module that people removed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptedModuleRemoved")]
struct RemovedModule {
    /// Where.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// The module.
    #[schemars(with = "wire::Key")]
    module: Key,
}

async fn list(call: Call<(), KeptAwayQuery>) -> Result<Reply<KeptAwayView>, Problem> {
    let KeptAwayQuery { source, organization, principal, kind, key, limit } = call.query;
    let after = match (organization, principal, kind, key) {
        (Some(organization), Some(principal), Some(kind), key) => {
            let kind = word("kind", &kind, RemovalKind::from_word, KINDS)?;
            Some(KeptAway { organization, principal, kind, key: key.unwrap_or_default(), gives: Vec::new() })
        }
        (None, None, None, None) => None,
        _ => {
            return Err(Problem::invalid(
                "organization",
                "all four words of the last item are expected, or none",
            ));
        }
    };
    let page = adoption::kept_away(&call.app, &call.ctx, source, after, limit).await?;
    let row = |it: KeptAway| -> Option<KeptAwayRow> {
        let gives = it.gives.iter().map(|pattern| pattern.parse().ok()).collect::<Option<_>>()?;
        let KeptAway { organization, principal, kind, key, .. } = it;
        Some(KeptAwayRow { organization, principal, kind: kind.as_str().to_owned(), key, gives })
    };
    let items = page.items.into_iter().map(row).collect::<Option<Vec<_>>>();
    let items =
        items.ok_or_else(|| Problem::new(ProblemKind::Internal, "what a run keeps away cannot be read"))?;
    let module = |(organization, module)| RemovedModule { organization, module };
    let modules = page.modules.into_iter().map(module).collect();
    Ok(Reply::new(KeptAwayView {
        noted: page.is_noted,
        items,
        modules,
        remembered: page.remembered,
        remembered_rows: page.remembered_rows.into_iter().map(RememberedRowView::from).collect(),
        more: page.more,
    }))
}
