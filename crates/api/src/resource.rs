//! Registered resources: type, id, owner, attributes.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown::{self, EditQuery, Mentioned, RemovalQuery, Shown, edited_answer, nowhere};
use charter_app::names::Names;
use charter_app::resource::{self, ResourceDraft};
use charter_kernel::facts::ResourceFact;
use charter_kernel::{Key, Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A registered resource.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Resource {
    /// Its type.
    #[serde(rename = "type")]
    #[schemars(with = "wire::Key")]
    pub kind: Key,
    /// Its id, as the application names it.
    pub id: String,
    /// Login of its owner.
    pub owner: Option<String>,
    /// Its attributes; they win over those a caller sends with a check.
    #[schemars(with = "wire::Json")]
    pub attributes: Value,
}

impl Shown for Resource {
    type Row = ResourceFact;

    fn mention(row: &ResourceFact, to: &mut Mentioned) {
        row.owner.into_iter().for_each(|id| to.principal(id));
    }

    fn of(row: ResourceFact, names: &Names) -> Self {
        Self {
            kind: row.resource.kind,
            id: row.resource.id.to_string(),
            owner: row.owner.map(|id| names.login(id)),
            attributes: shown::json_value(&row.attributes),
        }
    }
}

/// What is kept of a resource.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutResource {
    /// Login or id of its owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// Its attributes.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub attributes: Option<Map<String, Value>>,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Which resources to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceFilter {
    /// Only those of this type.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

/// One resource's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ResourcePath {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// The place of a resource that may be new.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewResourcePath {
    /// Its type.
    #[serde(rename = "type")]
    #[schemars(with = "wire::Key")]
    pub kind: Key,
    /// Its id.
    pub id: String,
}

edited_answer!(EditedResource { resource: Resource });

async fn list(call: Call<(), ResourceFilter>) -> Result<Reply<Items<Resource>>, Problem> {
    let found = resource::list(&call.app, call.permit()?, call.query.kind.as_deref(), &call.page()).await?;
    Ok(call.viewed(shown::page(&call.app, call.organization()?, found).await?))
}

async fn put(call: Call<NewResourcePath, EditQuery, PutResource>) -> Result<Reply<EditedResource>, Problem> {
    let body = &call.body;
    let options = shown::options(&call.precondition, call.query.dry_run, body.reason.as_deref(), None)?;
    let draft = ResourceDraft {
        kind: call.path.kind.clone(),
        id: call.path.id.clone(),
        owner: body.owner.clone(),
        attributes: body.attributes.as_ref().map(shown::object_text).unwrap_or_default(),
    };
    let edited = resource::put(&call.app, &call.ctx, call.permit()?, options, draft).await?;
    EditedResource::answer(&call.app, call.organization()?, edited, nowhere).await
}

async fn get(call: Call<ResourcePath>) -> Result<Reply<Resource>, Problem> {
    let organization = call.organization()?;
    let revision = shown::revision(&call.app, &call.ctx, organization).await?;
    let found = resource::get(&call.app, call.permit()?, &call.path.kind, &call.path.id).await?;
    Ok(shown::versioned(shown::one(&call.app, organization, found).await?, revision))
}

async fn remove(call: Call<ResourcePath, RemovalQuery>) -> Result<Reply<EditedResource>, Problem> {
    let options = call.query.options(&call.precondition)?;
    let (kind, id) = (call.path.kind.clone(), call.path.id.clone());
    let edited = resource::remove(&call.app, &call.ctx, call.permit()?, options, kind, id).await?;
    EditedResource::answer(&call.app, call.organization()?, edited, nowhere).await
}

const RESOURCES: &str = "/api/v1/organizations/{organization}/resources";
const RESOURCE: &str = "/api/v1/organizations/{organization}/resources/{type}/{id}";

/// The routes of resources.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(RESOURCES, Guard::Permission("admin.permissions.read"), list).named(
            "resources.list",
            "Resources",
            "Lists the registered resources of an organization.",
        ),
        Route::put(RESOURCE, Guard::Permission("admin.permissions.assign"), put)
            .named(
                "resources.put",
                "Resources",
                "Registers a resource, or replaces its owner and attributes.",
            )
            .problems(&[ProblemKind::Taken, ProblemKind::BeyondGiver])
            .example(r#"{"owner": "ann@toys.example", "attributes": {"amount": 1200}}"#),
        Route::get(RESOURCE, Guard::Permission("admin.permissions.read"), get).named(
            "resources.get",
            "Resources",
            "Shows one registered resource.",
        ),
        Route::delete(RESOURCE, Guard::Permission("admin.permissions.assign"), remove)
            .named("resources.remove", "Resources", "Takes a resource out of the register.")
            .problems(&[ProblemKind::InUse]),
    ]
}
