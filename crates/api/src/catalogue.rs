//! The catalogue: what it says, and how a new version, or an installation's own entries, get into force.

use crate::edge::{Call, ETag, Guard, Reply, Route, wire};
use crate::role::{Level, RoleLine};
use charter_app::catalogue::{self, CatalogueChange};
use charter_catalogue::Lint;
use charter_kernel::catalogue::{Catalogue, ModuleScope, Severity};
use charter_kernel::entitlement::LimitKind;
use charter_kernel::{Key, Pattern, PermissionCode, Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of a catalogue document at most.
const DOCUMENT_MAX: usize = 4 * 1024 * 1024;

const OWN_ENTRIES: &str = r#"{"document": "format = \"charter-catalogue-extension/1\"\nversion = \"toys.1\"\n\n[modules.inventory.submodules]\nzones = \"Zones inside a warehouse\"\n"}"#;

/// A part of a module.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Submodule {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// What it is for.
    pub description: String,
}

/// A module.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Module {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Entitlements never switch it off.
    pub always_on: bool,
    /// `organization`, or `system` for modules of the platform organization.
    pub scope: &'static str,
    /// Modules it needs.
    #[schemars(with = "Vec<wire::Key>")]
    pub depends_on: Vec<Key>,
    /// Its parts.
    pub submodules: Vec<Submodule>,
}

/// A permission.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Permission {
    /// Its code.
    #[schemars(with = "wire::Code")]
    pub code: PermissionCode,
    /// The part of the module that must be entitled.
    #[schemars(with = "wire::Key")]
    pub submodule: Key,
    /// What it lets one do.
    pub description: String,
    /// Asks again, records before and after.
    pub dangerous: bool,
}

/// A shipped role.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShippedRole {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Roles it inherits from.
    #[schemars(with = "Vec<wire::Key>")]
    pub parents: Vec<Key>,
    /// What it gives by itself.
    pub permissions: Vec<RoleLine>,
    /// Its level, for rights on single things.
    pub level: Level,
    /// It can be given in the platform organization only.
    pub system: bool,
    /// Names that older systems use for it.
    pub aliases: Vec<String>,
}

/// Two sets of permissions that one person must not hold together.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Conflict {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// `block` or `warn`.
    pub severity: &'static str,
    /// One side.
    #[schemars(with = "Vec<wire::Pattern>")]
    pub left: Vec<Pattern>,
    /// The other side.
    #[schemars(with = "Vec<wire::Pattern>")]
    pub right: Vec<Pattern>,
    /// What could go wrong.
    pub why: String,
}

/// A limit a plan may set.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Limit {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// What is counted.
    pub description: String,
    /// The unit.
    pub unit: String,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// Counters start anew each month.
    pub monthly: bool,
}

/// What one action on a type of resource asks for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TypeAction {
    /// The action's name.
    pub action: String,
    /// The permission it stands for.
    #[schemars(with = "wire::Code")]
    pub permission: PermissionCode,
    /// The lowest level of role that may.
    pub minimum_level: Level,
}

/// A type of resource with rights of its own.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ResourceType {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// Its name.
    pub name: String,
    /// Its actions.
    pub actions: Vec<TypeAction>,
}

/// The catalogue in force: shipped and own entries together.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Catalogue")]
pub struct CatalogueView {
    pub version: String,
    pub modules: Vec<Module>,
    pub permissions: Vec<Permission>,
    pub roles: Vec<ShippedRole>,
    pub conflicts: Vec<Conflict>,
    pub limits: Vec<Limit>,
    pub resource_types: Vec<ResourceType>,
}

impl From<&Catalogue> for CatalogueView {
    fn from(catalogue: &Catalogue) -> Self {
        let submodule = |part: &(Key, String)| Submodule { key: part.0.clone(), description: part.1.clone() };
        Self {
            version: catalogue.version.clone(),
            modules: catalogue
                .modules
                .iter()
                .map(|it| Module {
                    key: it.key.clone(),
                    name: it.name.clone(),
                    description: it.description.clone(),
                    always_on: it.always_on,
                    scope: match it.scope {
                        ModuleScope::Organization => "organization",
                        ModuleScope::System => "system",
                    },
                    depends_on: it.depends_on.clone(),
                    submodules: it.submodules.iter().map(submodule).collect(),
                })
                .collect(),
            permissions: catalogue
                .permissions
                .iter()
                .map(|it| Permission {
                    code: it.code.clone(),
                    submodule: it.submodule.clone(),
                    description: it.description.clone(),
                    dangerous: it.dangerous,
                })
                .collect(),
            roles: catalogue
                .roles
                .iter()
                .map(|it| ShippedRole {
                    key: it.role.key.clone(),
                    name: it.role.name.clone(),
                    description: it.description.clone(),
                    parents: it.role.parents.clone(),
                    permissions: it.role.permissions.iter().cloned().map(Into::into).collect(),
                    level: it.role.level.into(),
                    system: it.system,
                    aliases: it.aliases.clone(),
                })
                .collect(),
            conflicts: catalogue
                .conflicts
                .iter()
                .map(|it| Conflict {
                    key: it.key.clone(),
                    severity: match it.severity {
                        Severity::Block => "block",
                        Severity::Warn => "warn",
                    },
                    left: it.left.clone(),
                    right: it.right.clone(),
                    why: it.why.clone(),
                })
                .collect(),
            limits: catalogue
                .limits
                .iter()
                .map(|it| Limit {
                    key: it.key.clone(),
                    description: it.description.clone(),
                    unit: it.unit.clone(),
                    kind: match it.kind {
                        LimitKind::Gauge => "gauge",
                        LimitKind::Counter => "counter",
                    },
                    monthly: it.monthly,
                })
                .collect(),
            resource_types: catalogue
                .resource_types
                .iter()
                .map(|it| ResourceType {
                    key: it.key.clone(),
                    name: it.name.clone(),
                    actions: it
                        .actions
                        .iter()
                        .map(|action| TypeAction {
                            action: action.action.clone(),
                            permission: action.permission.clone(),
                            minimum_level: action.minimum_level.into(),
                        })
                        .collect(),
                })
                .collect(),
        }
    }
}

/// A document: a new version of the shipped catalogue, or the installation's own entries.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogueDocument {
    /// The document, TOML.
    pub document: String,
}

/// The installation's own entries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OwnCatalogue {
    /// The document, TOML; null when there is none.
    pub document: Option<String>,
}

/// Something the rules of catalogues found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CatalogueFinding {
    /// `error` or `warning`; an error keeps the document from being applied.
    #[schemars(with = "String")]
    pub severity: charter_catalogue::Weight,
    /// The rule, a name that never changes.
    pub rule: &'static str,
    /// The place, as a path of keys.
    pub at: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl From<&Lint> for CatalogueFinding {
    fn from(lint: &Lint) -> Self {
        Self { severity: lint.severity, rule: lint.rule, at: lint.at.clone(), what: lint.what.clone() }
    }
}

/// What the rules found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CatalogueFindings {
    /// Nothing keeps the document from being applied.
    pub may_apply: bool,
    /// Errors first.
    pub findings: Vec<CatalogueFinding>,
}

impl CatalogueFindings {
    fn of(lint: &[Lint]) -> Self {
        let findings = lint.iter().map(Into::into).collect();
        Self { may_apply: !lint.iter().any(|it| it.severity == charter_catalogue::Weight::Error), findings }
    }
}

/// What a document changes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CatalogueChanged {
    /// It is in force now.
    pub applied: bool,
    /// It says what is in force already.
    pub same: bool,
    /// Nothing keeps the document from being applied.
    pub may_apply: bool,
    /// Entry by entry, and for each role the permissions it gains and loses.
    #[schemars(with = "wire::AnyObject")]
    pub diff: Value,
    /// What the rules found in the result.
    pub findings: Vec<CatalogueFinding>,
}

impl TryFrom<CatalogueChange> for CatalogueChanged {
    type Error = Problem;

    fn try_from(change: CatalogueChange) -> Result<Self, Problem> {
        let diff = serde_json::to_value(&change.diff).map_err(|flaw| {
            Problem::new(ProblemKind::Internal, format!("the difference cannot be written: {flaw}"))
        })?;
        let CatalogueFindings { may_apply, findings } = CatalogueFindings::of(&change.lint);
        Ok(Self {
            applied: change.applied,
            same: change.diff.is_empty(),
            may_apply: may_apply && change.diff.may_apply(),
            diff,
            findings,
        })
    }
}

async fn get(call: Call) -> Result<Reply<CatalogueView>, Problem> {
    let view = CatalogueView::from(&*call.app.snapshots().catalogue());
    let bytes =
        serde_json::to_vec(&view).map_err(|flaw| Problem::new(ProblemKind::Internal, flaw.to_string()))?;
    Ok(Reply::new(view).etag(ETag::of(&bytes)).cache("private, no-cache"))
}

async fn own(call: Call) -> Result<Reply<OwnCatalogue>, Problem> {
    Ok(Reply::new(OwnCatalogue { document: catalogue::own_text(&call.app).await? }))
}

async fn lint(call: Call<(), (), CatalogueDocument>) -> Result<Reply<CatalogueFindings>, Problem> {
    let found = catalogue::lint(&call.app, &call.body.document).await?;
    Ok(Reply::new(CatalogueFindings::of(&found)))
}

async fn diff(call: Call<(), (), CatalogueDocument>) -> Result<Reply<CatalogueChanged>, Problem> {
    Ok(Reply::new(catalogue::diff(&call.app, &call.body.document).await?.try_into()?))
}

async fn apply(call: Call<(), (), CatalogueDocument>) -> Result<Reply<CatalogueChanged>, Problem> {
    let permit = call.permit()?;
    let change = catalogue::apply(&call.app, &call.ctx, permit, call.body.document.clone()).await?;
    Ok(Reply::new(change.try_into()?))
}

/// The routes of the catalogue.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/v1/catalogue",
            Guard::SignedIn("what permissions there are is no secret among users"),
            get,
        )
        .named("catalogue.show", "Catalogue", "Shows the catalogue in force."),
        Route::get("/api/v1/catalogue/own", Guard::PlatformPermission("platform.modules.read"), own).named(
            "catalogue.own",
            "Catalogue",
            "Shows the installation's own entries as the document they came from.",
        ),
        Route::post("/api/v1/catalogue/lint", Guard::PlatformPermission("platform.modules.read"), lint)
            .named("catalogue.lint", "Catalogue", "Tells what the rules find in a document.")
            .example(OWN_ENTRIES)
            .body_limit(DOCUMENT_MAX),
        Route::post("/api/v1/catalogue/diff", Guard::PlatformPermission("platform.modules.read"), diff)
            .named("catalogue.diff", "Catalogue", "Tells what a document would change.")
            .example(OWN_ENTRIES)
            .body_limit(DOCUMENT_MAX),
        Route::post("/api/v1/catalogue/apply", Guard::PlatformPermission("platform.modules.update"), apply)
            .named("catalogue.apply", "Catalogue", "Puts a document in force.")
            .example(OWN_ENTRIES)
            .described("Refused while the rules find an error in the result.")
            .body_limit(DOCUMENT_MAX),
    ]
}
