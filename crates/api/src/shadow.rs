//! Shadow mode over the wire: how organizations stand, the switch between the other system's answers and ours, flips, and recorded answers
//! compared. For the operator alone.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::question::AskedPath;
use charter_app::shadow::{
    self, AFTER_SECONDS, Beside, COMPARED_MIN, Flip, LINES_MAX, ModeChange, Recorded, Replayed, ShadowMode,
    Standing,
};
use charter_app::{App, RequestContext, text};
use charter_kernel::{Key, OrganizationId, PrincipalId, Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const ONE: &str = "/api/v1/organizations/{organization}/shadow";
const WHY: Guard = Guard::SignedIn("only the operator gets past the use case");

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::list("/api/v1/shadow", WHY, list)
            .named("shadow.list", "Adoption", "Lists the organizations that were taken over, with the rule that answers in each of them.")
            .problems(&[ProblemKind::Forbidden]),
        Route::get(ONE, WHY, show)
            .named("shadow.show", "Adoption", "Shows whose rule answers in an organization, and what was compared since.")
            .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound]),
        Route::put(ONE, WHY, set)
            .named("shadow.set", "Adoption", "Chooses whose rule answers in an organization, as the operator.")
            .described(
                "`shadow` gives the other system's answers and compares ours; `cut_over` gives ours and compares the other system's; `off` \
                 compares nothing. An organization is cut over when no answer differed for as long as is asked, and enough of them \
                 were compared; what is missing is told.",
            )
            .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound, ProblemKind::NotReady])
            .example(r#"{"mode":"shadow"}"#),
        Route::list("/api/v1/organizations/{organization}/shadow/flips", WHY, flips)
            .named("shadow.flips", "Adoption", "Lists what was answered differently in an organization, with both reasons.")
            .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound]),
        Route::post("/api/v1/shadow/replay", WHY, replay)
            .named("shadow.replay", "Adoption", "Compares recorded answers of the other system with ours; nothing is written.")
            .problems(&[ProblemKind::Forbidden])
            .example(r#"{"source":"legacy","lines":[{"organization":"toys","user":"ann@toys.example","permission":"sales.invoices.read","allow":true}]}"#)
            .body_limit(4 * 1024 * 1024)
            .timeout(Duration::from_secs(120))
            .keeps_no_answers(),
    ]
}

/// How an organization stands.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShadowStanding")]
struct StandingView {
    /// Which organization.
    #[schemars(with = "wire::Id")]
    organization: OrganizationId,
    /// Its key.
    #[schemars(with = "wire::Key")]
    key: Key,
    /// `off`, `shadow` or `cut_over`.
    mode: &'static str,
    /// Since when; null while nobody ever chose one.
    #[schemars(with = "Option<wire::Time>")]
    since: Option<Timestamp>,
    /// Whether it goes back to `shadow` by itself when answers differ after it was cut over.
    automatic: bool,
    /// Answers that were compared since.
    compared: u64,
    /// Where ours allowed what the other system denies.
    gains: u64,
    /// Where ours denied what the other system allows.
    losses: u64,
    /// Checks the other system gave no answer to.
    unknown: u64,
    /// When answers differed last.
    #[schemars(with = "Option<wire::Time>")]
    last_flip_at: Option<Timestamp>,
    /// Answers that were compared since they differed last, or since the comparison began.
    compared_since_flip: u64,
    /// Of how many pairs of user and permission these were; 100,000 at most are told apart.
    pairs_since_flip: u64,
}

impl From<Standing> for StandingView {
    fn from(it: Standing) -> Self {
        Self {
            organization: it.organization,
            key: it.key,
            mode: it.row.mode.as_str(),
            since: Some(it.row.since).filter(|since| since.micros() > 0),
            automatic: it.row.is_automatic,
            compared: it.counts.compared,
            gains: it.counts.gains,
            losses: it.counts.losses,
            unknown: it.counts.unknown,
            last_flip_at: it.row.last_flip_at,
            compared_since_flip: it.row.quiet.compared,
            pairs_since_flip: it.row.quiet.pairs,
        }
    }
}

/// Whose rule is to answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ShadowChange")]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    /// `off`, `shadow` or `cut_over`.
    mode: String,
    /// Whether the organization goes back to `shadow` by itself when answers differ after it was cut over; true when left out.
    #[serde(default)]
    automatic: Option<bool>,
    /// For how many seconds no answer may have differed before it is cut over; 72 hours when left out, an hour at least.
    #[serde(default)]
    after_seconds: Option<u32>,
    /// How many answers have to have been compared in that time and since one differed; 1,000 when left out, 1 at least.
    #[serde(default)]
    compared: Option<u64>,
    /// Do it whatever is missing.
    #[serde(default)]
    force: bool,
    /// Why, for the audit trail.
    #[serde(default)]
    reason: Option<String>,
}

/// Answers that differed in the same way.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShadowFlip")]
struct FlipView {
    /// Who.
    #[schemars(with = "wire::Id")]
    principal: PrincipalId,
    /// Its login.
    login: String,
    /// What was asked for.
    #[schemars(with = "wire::Code")]
    permission: String,
    /// `gain`: ours allowed what the other system denies; `loss`: the other way.
    flip: &'static str,
    /// Why ours answered as it did, the last time.
    ours: String,
    /// Why the other system's did.
    theirs: String,
    /// How many times.
    count: u64,
    /// The first time.
    #[schemars(with = "wire::Time")]
    first_at: Timestamp,
    /// The last time.
    #[schemars(with = "wire::Time")]
    last_at: Timestamp,
}

/// An answer of the other system, as it was recorded.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "RecordedAnswer")]
#[serde(deny_unknown_fields)]
struct RecordedBody {
    /// Key or id of the organization, or its id in the other system.
    organization: String,
    /// Login or id of the account, or its id in the other system.
    user: String,
    /// The permission.
    permission: String,
    /// The permission that is meant where there is no such one.
    #[serde(default)]
    otherwise: Option<String>,
    /// What the other system said.
    allow: bool,
}

/// Recorded answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ShadowReplay")]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    /// The name under which the other system was taken over; `legacy` when left out.
    #[serde(default)]
    source: Option<String>,
    /// The answers, at most 1,000.
    #[schemars(length(max = LINES_MAX))]
    lines: Vec<RecordedBody>,
}

/// What we say to a recorded answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReplayedAnswer")]
struct ReplayedView {
    /// `allow` or `deny`; null where what it names is not known here.
    decision: Option<&'static str>,
    /// Why.
    reason: Option<&'static str>,
    /// `gain` or `loss`, where the answers differ.
    flip: Option<&'static str>,
    /// What is not known.
    unknown: Option<String>,
}

/// What we say, in the order of the lines.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShadowReplayed")]
struct ReplayView {
    /// An answer to each line.
    answers: Vec<ReplayedView>,
}

/// Both answers, in an explanation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ShadowExplained")]
pub(crate) struct BesideView {
    /// The mode of the organization.
    mode: &'static str,
    /// What our rules say: `allow` or `deny`.
    charter: &'static str,
    /// Why.
    charter_reason: &'static str,
    /// What the other system says: `allow`, `deny`, or null where it gives no answer or is not asked.
    legacy: Option<&'static str>,
    /// Why, as the other system says; null where it is not asked, as something here stops it whatever the other system says.
    legacy_reason: Option<String>,
}

impl BesideView {
    pub(crate) fn of(it: &Beside, ours: &charter_kernel::Decision) -> Self {
        let word = |allows: bool| if allows { "allow" } else { "deny" };
        Self {
            mode: it.mode.as_str(),
            charter: ours.effect().as_str(),
            charter_reason: ours.reason.as_str(),
            legacy: it.theirs.as_ref().and_then(|theirs| theirs.allows()).map(word),
            legacy_reason: it.theirs.as_ref().map(|theirs| theirs.why()),
        }
    }
}

/// The organization a path names; a stranger does not learn whether there is one.
async fn named(app: &App, ctx: &RequestContext, organization: &str) -> Result<OrganizationId, Problem> {
    let id = app.resolve_organization(organization).await?;
    if !ctx.is_operator() {
        app.may_ask(ctx, id, ctx.principal().map(|caller| caller.id)).await?;
    }
    shadow::operator_only(ctx)?;
    Ok(id)
}

async fn list(call: Call) -> Result<Reply<Items<StandingView>>, Problem> {
    let found = shadow::list(&call.app, &call.ctx, &call.page()).await?;
    Ok(call.listing(found.map(StandingView::from)))
}

async fn show(call: Call<AskedPath>) -> Result<Reply<StandingView>, Problem> {
    let organization = named(&call.app, &call.ctx, &call.path.organization).await?;
    Ok(Reply::new(shadow::show(&call.app, &call.ctx, organization).await?.into()))
}

async fn set(call: Call<AskedPath, (), ChangeBody>) -> Result<Reply<StandingView>, Problem> {
    let body = call.body;
    let mode = ShadowMode::from_word(&body.mode)
        .ok_or_else(|| Problem::invalid("mode", "off, shadow or cut_over is expected"))?;
    let organization = named(&call.app, &call.ctx, &call.path.organization).await?;
    let change = ModeChange {
        mode,
        is_automatic: body.automatic,
        after_seconds: body.after_seconds.unwrap_or(AFTER_SECONDS),
        compared_min: body.compared.unwrap_or(COMPARED_MIN),
        is_forced: body.force,
        reason: text::reason("reason", body.reason.as_deref().unwrap_or_default())?,
    };
    Ok(Reply::new(shadow::change(&call.app, &call.ctx, organization, change).await?.into()))
}

async fn flips(call: Call<AskedPath>) -> Result<Reply<Items<FlipView>>, Problem> {
    let organization = named(&call.app, &call.ctx, &call.path.organization).await?;
    let found = shadow::flips(&call.app, &call.ctx, organization, &call.page()).await?;
    let ids = found.items.iter().map(|flip| flip.principal).collect();
    let names = charter_app::names::read(&call.app, organization, ids, Default::default()).await?;
    let view = |it: Flip| FlipView {
        principal: it.principal,
        login: names.login(it.principal).to_owned(),
        permission: it.permission,
        flip: way(it.is_gain),
        ours: it.ours_reason,
        theirs: it.theirs_reason,
        count: it.count,
        first_at: it.first_at,
        last_at: it.last_at,
    };
    Ok(call.listing(found.map(view)))
}

fn way(is_gain: bool) -> &'static str {
    if is_gain { "gain" } else { "loss" }
}

async fn replay(call: Call<(), (), ReplayBody>) -> Result<Reply<ReplayView>, Problem> {
    let lines: Vec<Recorded> = call
        .body
        .lines
        .into_iter()
        .map(|line| Recorded {
            organization: line.organization,
            user: line.user,
            permission: line.permission,
            otherwise: line.otherwise,
            allow: line.allow,
        })
        .collect();
    let source = call.body.source.as_deref().unwrap_or("legacy");
    let told = shadow::replay(&call.app, &call.ctx, source, &lines).await?;
    let view = |it: Replayed| match it {
        Replayed::Answered { ours, is_flip } => ReplayedView {
            decision: Some(ours.effect().as_str()),
            reason: Some(ours.reason.as_str()),
            flip: is_flip.then(|| way(ours.is_allow())),
            unknown: None,
        },
        Replayed::Unknown(what) => {
            ReplayedView { decision: None, reason: None, flip: None, unknown: Some(what) }
        }
    };
    Ok(Reply::new(ReplayView { answers: told.into_iter().map(view).collect() }))
}
