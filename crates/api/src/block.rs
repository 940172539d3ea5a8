//! Blocks: denials that nothing overrides.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown::{self, EditQuery, Mentioned, ReachName, RemovalQuery, Shown, edited_answer, nowhere};
use charter_app::block::{self, BlockDraft, BlockSubjectRef};
use charter_app::names::Names;
use charter_app::subject::SubjectRef;
use charter_kernel::facts::{BlockFact, BlockSubject};
use charter_kernel::{BlockId, Key, Pattern, Problem, ProblemKind, Timestamp};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whom a block stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BlockSubject")]
pub enum BlockSubjectName {
    /// Login or id of a member.
    Member(String),
    /// Key of a team.
    Team(String),
    /// Key of a role: its holders, and the holders of roles that inherit from it.
    #[schemars(with = "wire::Key")]
    Role(Key),
    /// Everybody.
    Everyone,
}

impl From<BlockSubjectName> for BlockSubjectRef {
    fn from(name: BlockSubjectName) -> Self {
        match name {
            BlockSubjectName::Member(who) => Self::Subject(SubjectRef::Member(who)),
            BlockSubjectName::Team(key) => Self::Subject(SubjectRef::Team(key)),
            BlockSubjectName::Role(key) => Self::Role(key),
            BlockSubjectName::Everyone => Self::Everyone,
        }
    }
}

/// A denial that nothing overrides.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Block {
    /// Its id.
    #[schemars(with = "wire::Id")]
    pub id: BlockId,
    /// Whom it stops.
    pub subject: BlockSubjectName,
    /// The permission, or a pattern over permissions.
    #[schemars(with = "wire::Pattern")]
    pub permission: Pattern,
    /// How far it reaches; null is the whole organization.
    pub reach: Option<ReachName>,
    /// First instant at which it counts.
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Timestamp>,
    /// First instant at which it no longer counts.
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Timestamp>,
    /// Key of the condition under which it counts; one that cannot be evaluated counts as met.
    #[schemars(with = "Option<wire::Key>")]
    pub condition: Option<Key>,
    /// Why it was set.
    pub reason: String,
    /// The separation-of-duty conflict it resolves.
    #[schemars(with = "Option<wire::Key>")]
    pub conflict: Option<Key>,
}

impl Shown for Block {
    type Row = BlockFact;

    fn mention(row: &BlockFact, to: &mut Mentioned) {
        match row.subject {
            BlockSubject::Principal(id) => to.principal(id),
            BlockSubject::Team(id) => to.team(id),
            BlockSubject::Role(_) | BlockSubject::Everyone => {}
        }
    }

    fn of(row: BlockFact, names: &Names) -> Self {
        Self {
            id: row.id,
            subject: match row.subject {
                BlockSubject::Principal(id) => BlockSubjectName::Member(names.login(id)),
                BlockSubject::Team(id) => BlockSubjectName::Team(names.team(id)),
                BlockSubject::Role(key) => BlockSubjectName::Role(key),
                BlockSubject::Everyone => BlockSubjectName::Everyone,
            },
            permission: row.pattern,
            reach: ReachName::of(&row.reach),
            from: row.window.from(),
            to: row.window.to(),
            condition: row.condition,
            reason: row.reason,
            conflict: row.conflict,
        }
    }
}

/// A block to be set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBlock {
    /// Whom it stops.
    pub subject: BlockSubjectName,
    /// The permission, or a pattern over permissions.
    #[schemars(with = "wire::Pattern")]
    pub permission: Pattern,
    /// How far it reaches; the whole organization when left out.
    #[serde(default)]
    pub reach: Option<ReachName>,
    /// First instant at which it counts; at once when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub from: Option<Timestamp>,
    /// First instant at which it no longer counts; without an end when left out.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub to: Option<Timestamp>,
    /// Key of the condition under which it counts.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub condition: Option<Key>,
    /// Why it is set.
    pub reason: String,
    /// The separation-of-duty conflict it resolves.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub conflict: Option<Key>,
}

/// One block's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BlockPath {
    /// Id of the block.
    #[schemars(with = "wire::Id")]
    pub block: BlockId,
}

edited_answer!(EditedBlock { block: Block });

async fn list(call: Call) -> Result<Reply<Items<Block>>, Problem> {
    let found = block::list(&call.app, call.permit()?, &call.page()).await?;
    Ok(call.viewed(shown::page(&call.app, call.organization()?, found).await?))
}

async fn set(call: Call<(), EditQuery, NewBlock>) -> Result<Reply<EditedBlock>, Problem> {
    let organization = call.organization()?;
    let body = &call.body;
    let options = shown::options(&call.precondition, call.query.dry_run, Some(&body.reason), None)?;
    let draft = BlockDraft {
        subject: body.subject.clone().into(),
        pattern: body.permission.clone(),
        reach: ReachName::reach(body.reach.clone())?,
        window: shown::window(body.from, body.to)?,
        condition: body.condition.clone(),
        reason: body.reason.clone(),
        conflict: body.conflict.clone(),
    };
    let edited = block::set(&call.app, &call.ctx, call.permit()?, options, draft).await?;
    let place = |made: &Block| Some(format!("/api/v1/organizations/{organization}/blocks/{}", made.id));
    EditedBlock::answer(&call.app, organization, edited, place).await
}

async fn get(call: Call<BlockPath>) -> Result<Reply<Block>, Problem> {
    let organization = call.organization()?;
    let revision = shown::revision(&call.app, &call.ctx, organization).await?;
    let found = block::get(&call.app, call.permit()?, call.path.block).await?;
    Ok(shown::versioned(shown::one(&call.app, organization, found).await?, revision))
}

async fn lift(call: Call<BlockPath, RemovalQuery>) -> Result<Reply<EditedBlock>, Problem> {
    let options = call.query.options(&call.precondition)?;
    let id = call.path.block;
    let edited = block::lift(&call.app, &call.ctx, call.permit()?, options, id).await?;
    EditedBlock::answer(&call.app, call.organization()?, edited, nowhere).await
}

const BLOCKS: &str = "/api/v1/organizations/{organization}/blocks";
const BLOCK: &str = "/api/v1/organizations/{organization}/blocks/{block}";

/// The routes of blocks.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(BLOCKS, Guard::Permission("admin.permissions.read"), list).named(
            "blocks.list",
            "Blocks",
            "Lists the denials that nothing overrides.",
        ),
        Route::post(BLOCKS, Guard::Permission("admin.permissions.assign"), set)
            .named("blocks.set", "Blocks", "Sets a denial that nothing overrides.")
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::LastAdministrator])
            .example(
                r#"{"subject": {"team": "contractors"}, "permission": "finance.*.export", "reason": "contractors take no data out"}"#,
            ),
        Route::get(BLOCK, Guard::Permission("admin.permissions.read"), get).named(
            "blocks.get",
            "Blocks",
            "Shows one block.",
        ),
        Route::delete(BLOCK, Guard::Permission("admin.permissions.revoke"), lift)
            .named("blocks.lift", "Blocks", "Lifts a block.")
            .problems(&[ProblemKind::BeyondGiver, ProblemKind::Conflict]),
    ]
}
