//! The endpoints other systems expect, as thin forms of the same use cases. The organization is the one the credential was issued
//! for, or the one in the query.

use crate::edge::{Call, ETag, Guard, Reply, Route, wire};
use crate::mine::{codes_hash, held_by_caller, organization_meant};
use crate::question::{ResourceAsked, Words};
use crate::shown;
use charter_app::check::{self, Question};
use charter_app::grant::{self, GrantDraft};
use charter_app::search;
use charter_app::subject::SubjectRef;
use charter_app::{App, Page};
use charter_kernel::facts::GrantFact;
use charter_kernel::{
    Effect, GrantId, Key, Pattern, PermissionCode, Problem, ProblemKind, Reach, ResourceRef, Timestamp,
    Window,
};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The organization a question is put in.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InOrganization {
    /// Key or id of the organization; the one the credential was issued for when left out.
    #[serde(default)]
    pub organization: Option<String>,
}

/// All codes of the catalogue.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AllPermissions {
    /// The codes, in the order of the bits of a bitmap.
    #[schemars(with = "Vec<wire::Code>")]
    pub permissions: Vec<PermissionCode>,
    /// Version of the catalogue.
    pub catalogue_version: String,
    /// Which codes there are, as a short hash.
    pub codes_hash: String,
}

async fn all(call: Call) -> Result<Reply<AllPermissions>, Problem> {
    let index = call.app.snapshots().index();
    let codes_hash = codes_hash(&call.app, &index);
    let etag = ETag::of(codes_hash.as_bytes());
    let answer = AllPermissions {
        permissions: index.codes().to_vec(),
        catalogue_version: call.app.snapshots().catalogue().version.clone(),
        codes_hash,
    };
    Ok(Reply::new(answer).etag(etag).cache("private, no-cache"))
}

/// A check in few words.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainCheck {
    /// Id or login of the user; the caller when left out.
    #[serde(default)]
    pub user_id: Option<String>,
    /// The permission.
    pub permission: String,
    /// Key or id of the organization; the one the credential was issued for when left out.
    #[serde(default)]
    pub organization: Option<String>,
    /// Type of the resource; goes with `resource_id`.
    #[serde(default)]
    pub resource_type: Option<String>,
    /// Id of the resource; goes with `resource_type`.
    #[serde(default)]
    pub resource_id: Option<String>,
}

/// The answer to a check in few words.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlainAnswer {
    /// Yes or no.
    pub allowed: bool,
    /// Why, a word that never changes.
    pub reason: &'static str,
}

async fn check_one(call: Call<(), (), PlainCheck>) -> Result<Reply<PlainAnswer>, Problem> {
    let (app, ctx) = (&call.app, &call.ctx);
    let PlainCheck { user_id, permission, organization, resource_type, resource_id } = call.body;
    let resource = match (resource_type, resource_id) {
        (None, None) => None,
        (Some(kind), Some(id)) => Some(ResourceAsked { kind, id, properties: None }),
        _ => return Err(Problem::invalid("resource_id", "resource_type and resource_id go together")),
    };
    let words = Words { subject: user_id, permission: Some(permission), resource, ..Words::default() };
    let id = organization_meant(app, ctx, organization.as_deref()).await?;
    let about = ctx.principal().filter(|_| words.is_about_caller(ctx)).map(|caller| caller.id);
    app.may_ask(ctx, id, about).await?;
    let question = Question { asked: Some(words.asked("")?), ..words.question(ctx, "")? };
    let answer = check::check(app, ctx, id, call.at_least, &question, None).await?;
    let decision = answer.decision;
    let answer = PlainAnswer { allowed: decision.is_allow(), reason: decision.reason.as_str() };
    Ok(Reply::new(answer).revision(decision.revision))
}

/// Everything a user may do in an organization as a whole.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HeldPermissions {
    /// Id or login of the user, as asked.
    pub user_id: String,
    /// The codes.
    #[schemars(with = "Vec<wire::Code>")]
    pub permissions: Vec<PermissionCode>,
}

async fn mine(call: Call<(), InOrganization>) -> Result<Reply<HeldPermissions>, Problem> {
    let (app, ctx) = (&call.app, &call.ctx);
    let organization = organization_meant(app, ctx, call.query.organization.as_deref()).await?;
    let held = held_by_caller(app, ctx, organization, call.at_least).await?;
    let index = app.snapshots().index();
    let permissions =
        held.permissions.iter().filter_map(|permission| index.code(permission).cloned()).collect();
    let user_id = ctx.principal().map_or_else(|| "operator".to_owned(), |caller| caller.id.to_string());
    Ok(Reply::new(HeldPermissions { user_id, permissions }).revision(held.revision))
}

/// One user's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UserPath {
    /// Id or login of the user.
    pub user_id: String,
}

async fn of_user(call: Call<UserPath, InOrganization>) -> Result<Reply<HeldPermissions>, Problem> {
    let (app, ctx) = (&call.app, &call.ctx);
    let organization = organization_meant(app, ctx, call.query.organization.as_deref()).await?;
    let words = Words { subject: Some(call.path.user_id.clone()), ..Words::default() };
    let about = ctx.principal().filter(|_| words.is_about_caller(ctx)).map(|caller| caller.id);
    app.may_ask(ctx, organization, about).await?;
    let snapshot = check::pinned(app, ctx, organization, call.at_least).await?;
    let subject = app.subject_of(organization, &snapshot, &call.path.user_id).await?;
    if subject.is_none_or(|subject| snapshot.shard().kind_of(subject).is_none()) {
        return Err(Problem::not_found(format!("no member {:?} in this organization", call.path.user_id)));
    }
    let question = words.question(ctx, "")?;
    let everything = Page::first(u32::MAX);
    let found = search::what_can(app, ctx, organization, call.at_least, &question, &everything).await?;
    let permissions = found.items.into_iter().map(|held| held.code).collect();
    Ok(Reply::new(HeldPermissions { user_id: call.path.user_id.clone(), permissions }))
}

/// A grant in few words.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainGrant {
    /// Id or login of the user.
    pub user_id: String,
    /// The permission, or a pattern over permissions.
    #[schemars(with = "wire::Pattern")]
    pub permission: Pattern,
    /// First instant at which it no longer counts.
    #[serde(default)]
    #[schemars(with = "Option<wire::Time>")]
    pub expires_at: Option<Timestamp>,
    /// Type of the resource; with `resource_id` one resource, without it every resource of the type.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub resource_type: Option<Key>,
    /// Id of the resource.
    #[serde(default)]
    pub resource_id: Option<String>,
    /// Why.
    pub reason: String,
}

/// What was given.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlainGranted {
    /// Id of the grant.
    #[schemars(with = "wire::Id")]
    pub grant_id: GrantId,
    /// The revision of the organization after it.
    pub revision: u64,
    /// Conflicts and other things an administrator should know.
    pub warnings: Vec<String>,
}

fn reach(kind: Option<Key>, id: Option<&str>) -> Result<Reach, Problem> {
    match (kind, id) {
        (None, None) => Ok(Reach::Organization),
        (Some(kind), None) => Ok(Reach::Type(kind)),
        (Some(kind), Some(id)) => {
            Ok(Reach::Resource(ResourceRef { kind, id: charter_app::resource::id("resource_id", id)? }))
        }
        (None, Some(_)) => Err(Problem::invalid("resource_type", "is missing: a resource id needs its type")),
    }
}

async fn give(call: Call<(), (), PlainGrant>) -> Result<Reply<PlainGranted>, Problem> {
    let body = &call.body;
    let options = shown::options(&call.precondition, false, Some(&body.reason), None)?;
    let draft = GrantDraft {
        subject: SubjectRef::Member(body.user_id.clone()),
        pattern: body.permission.clone(),
        reach: reach(body.resource_type.clone(), body.resource_id.as_deref())?,
        effect: Effect::Allow,
        window: Window::new(None, body.expires_at)
            .map_err(|error| Problem::invalid("expires_at", error.to_string()))?,
        condition: None,
        reason: body.reason.clone(),
    };
    let edited = grant::give(&call.app, &call.ctx, call.permit()?, options, draft).await?;
    let answer =
        PlainGranted { grant_id: edited.value.id, revision: edited.revision.0, warnings: edited.warnings };
    Ok(Reply::new(answer).revision(edited.revision))
}

/// Which grants are taken back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainRevocation {
    /// Id or login of the user.
    pub user_id: String,
    /// The permission or pattern, as it was granted.
    #[schemars(with = "wire::Pattern")]
    pub permission: Pattern,
    /// Type of the resource, as it was granted.
    #[serde(default)]
    #[schemars(with = "Option<wire::Key>")]
    pub resource_type: Option<Key>,
    /// Id of the resource, as it was granted.
    #[serde(default)]
    pub resource_id: Option<String>,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What was taken back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlainRevoked {
    /// How many grants were taken back.
    pub revoked: usize,
    /// The revision of the organization after it.
    pub revision: u64,
}

/// Every grant of a member.
async fn grants_of(
    call_app: &App,
    permit: &charter_app::Permit,
    who: &str,
) -> Result<Vec<GrantFact>, Problem> {
    let everything = Page::first(u32::MAX);
    let of = Some(SubjectRef::Member(who.to_owned()));
    Ok(grant::list(call_app, permit, of, &everything).await?.items)
}

async fn revoke(call: Call<(), PlainRevocation>) -> Result<Reply<PlainRevoked>, Problem> {
    let query = &call.query;
    let wanted = reach(query.resource_type.clone(), query.resource_id.as_deref())?;
    let mut answer = PlainRevoked { revoked: 0, revision: 0 };
    for row in grants_of(&call.app, call.permit()?, &query.user_id).await? {
        if row.effect != Effect::Allow || row.pattern != query.permission || row.reach != wanted {
            continue;
        }
        let options = shown::options(&call.precondition, false, query.reason.as_deref(), None)?;
        let edited = grant::revoke(&call.app, &call.ctx, call.permit()?, options, row.id).await?;
        answer = PlainRevoked { revoked: answer.revoked + 1, revision: edited.revision.0 };
    }
    if answer.revoked == 0 {
        return Err(Problem::not_found(format!(
            "{} has no grant of {} that reaches just that: roles are taken back as assignments",
            query.user_id, query.permission
        )));
    }
    Ok(Reply::new(answer))
}

/// The routes other systems expect.
pub fn routes() -> Vec<Route> {
    const TAG: &str = "Plain forms";
    const SELF: &str = "the handler lets members ask about themselves, and holders of admin.permissions.read about everybody";
    vec![
        Route::get("/api/v1/rbac/permissions", Guard::SignedIn("what permissions there are is no secret among users"), all)
            .named("permissions.all", TAG, "Lists all permission codes."),
        Route::post("/api/v1/permissions/check", Guard::SignedIn(SELF), check_one)
            .named("permissions.check", TAG, "Answers a check with yes or no.")
            .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden])
            .keeps_no_answers()
            .example(r#"{"user_id": "ann@toys.example", "permission": "finance.vouchers.approve"}"#),
        Route::get("/api/v1/permissions/me", Guard::SignedIn(SELF), mine)
            .named("permissions.me", TAG, "Lists everything the caller may do.")
            .problems(&[ProblemKind::NotFound]),
        Route::get("/api/v1/permissions/{user_id}", Guard::SignedIn(SELF), of_user)
            .named("permissions.of-user", TAG, "Lists everything a user may do.")
            .problems(&[ProblemKind::NotFound, ProblemKind::Forbidden]),
        Route::post("/api/v1/permissions/grant", Guard::Permission("admin.permissions.assign"), give)
            .named("permissions.grant", TAG, "Gives a user a permission.")
            .status(StatusCode::CREATED)
            .problems(&[ProblemKind::BeyondGiver, ProblemKind::Conflict])
            .example(
                r#"{"user_id": "ann@toys.example", "permission": "finance.vouchers.approve", "reason": "covers for Bo"}"#,
            ),
        Route::delete("/api/v1/permissions/revoke", Guard::Permission("admin.permissions.revoke"), revoke)
            .named("permissions.revoke", TAG, "Takes back what was granted to a user.")
            .problems(&[ProblemKind::BeyondGiver]),
    ]
}
