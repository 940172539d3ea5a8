//! Named conditions of an organization.

use crate::edge::{Call, Guard, Items, Reply, Route, wire};
use crate::shown::{self, EditQuery, Mentioned, RemovalQuery, Shown, edited_answer, nowhere};
use charter_app::condition;
use charter_app::names::Names;
use charter_kernel::facts::ConditionFact;
use charter_kernel::{Key, Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a condition looks; the kernel reads and writes it, this says it to the document.
#[derive(JsonSchema)]
#[schemars(tag = "form", rename_all = "snake_case", deny_unknown_fields, rename = "ConditionForm")]
#[expect(dead_code, reason = "only its schema is used")]
enum Form {
    /// Inside `[from, to)`.
    Between {
        #[schemars(with = "Option<wire::Time>")]
        from: Option<()>,
        #[schemars(with = "Option<wire::Time>")]
        to: Option<()>,
    },
    /// On these weekdays (none named: every day), between two times of day, in a named time zone.
    Hours {
        zone: String,
        #[schemars(default)]
        weekdays: Vec<Day>,
        from: String,
        to: String,
    },
    /// The request comes from one of these addresses or CIDR ranges.
    Address { ranges: Vec<String> },
    /// A second factor, or one of the named methods (RFC 8176), was proved.
    Assurance {
        #[schemars(default)]
        mfa: bool,
        #[schemars(default)]
        any_of: Vec<String>,
    },
    /// A number attribute is at most this.
    AtMost { of: Whose, attribute: String, limit: f64 },
    /// An attribute equals a value.
    Equals {
        of: Whose,
        attribute: String,
        #[schemars(with = "wire::Json")]
        value: (),
    },
    /// An attribute is one of several values.
    OneOf {
        of: Whose,
        attribute: String,
        #[schemars(with = "Vec<wire::Json>")]
        values: (),
    },
    /// The principal owns the resource.
    Owner {},
    /// The principal is in a team, or in one below it.
    Team {
        #[schemars(with = "wire::Key")]
        team: (),
    },
    /// Every one of these holds.
    All { of: Vec<Form> },
    /// At least one of these holds.
    Any { of: Vec<Form> },
    /// A CEL expression over `subject`, `action`, `resource` and `context`, at most 2 KiB.
    Cel { expression: String },
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", rename = "Weekday")]
#[expect(dead_code, reason = "only its schema is used")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", rename = "AttributeOf")]
#[expect(dead_code, reason = "only its schema is used")]
enum Whose {
    Subject,
    Action,
    Resource,
    Context,
}

/// A named condition.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Condition {
    /// Its key.
    #[schemars(with = "wire::Key")]
    pub key: Key,
    /// What it says.
    #[schemars(with = "Form")]
    pub condition: charter_kernel::Condition,
}

impl From<ConditionFact> for Condition {
    fn from(row: ConditionFact) -> Self {
        Self { key: row.key, condition: row.condition }
    }
}

impl Shown for Condition {
    type Row = ConditionFact;

    fn mention(_: &ConditionFact, _: &mut Mentioned) {}

    fn of(row: ConditionFact, _: &Names) -> Self {
        row.into()
    }
}

/// What a condition is to say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutCondition {
    /// What it says.
    #[schemars(with = "Form")]
    pub condition: charter_kernel::Condition,
    /// Why, for the audit trail.
    #[serde(default)]
    pub reason: Option<String>,
}

/// One condition's place.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ConditionPath {
    /// Key of the condition.
    pub condition: String,
}

/// The place of a condition that may be new.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewConditionPath {
    /// Key of the condition.
    #[schemars(with = "wire::Key")]
    pub condition: Key,
}

edited_answer!(EditedCondition { condition: Condition });

async fn list(call: Call) -> Result<Reply<Items<Condition>>, Problem> {
    let found = condition::list(&call.app, call.permit()?, &call.page()).await?;
    Ok(call.listing(found))
}

async fn put(
    call: Call<NewConditionPath, EditQuery, PutCondition>,
) -> Result<Reply<EditedCondition>, Problem> {
    let options = shown::options(&call.precondition, call.query.dry_run, call.body.reason.as_deref(), None)?;
    let (key, says) = (call.path.condition.clone(), call.body.condition.clone());
    let edited = condition::put(&call.app, &call.ctx, call.permit()?, options, key, says).await?;
    EditedCondition::answer(&call.app, call.organization()?, edited, nowhere).await
}

async fn get(call: Call<ConditionPath>) -> Result<Reply<Condition>, Problem> {
    let revision = shown::revision(&call.app, &call.ctx, call.organization()?).await?;
    let found = condition::get(&call.app, call.permit()?, &call.path.condition).await?;
    Ok(shown::versioned(found.into(), revision))
}

async fn delete(call: Call<ConditionPath, RemovalQuery>) -> Result<Reply<EditedCondition>, Problem> {
    let options = call.query.options(&call.precondition)?;
    let key = call.path.condition.clone();
    let edited = condition::delete(&call.app, &call.ctx, call.permit()?, options, key).await?;
    EditedCondition::answer(&call.app, call.organization()?, edited, nowhere).await
}

const CONDITIONS: &str = "/api/v1/organizations/{organization}/conditions";
const CONDITION: &str = "/api/v1/organizations/{organization}/conditions/{condition}";

/// The routes of conditions.
pub fn routes() -> Vec<Route> {
    vec![
        Route::list(CONDITIONS, Guard::Permission("admin.permissions.read"), list).named(
            "conditions.list",
            "Conditions",
            "Lists the named conditions of an organization.",
        ),
        Route::put(CONDITION, Guard::Permission("admin.permissions.assign"), put)
            .named("conditions.put", "Conditions", "Creates a condition, or replaces what it says.")
            .problems(&[ProblemKind::BeyondGiver])
            .example(r#"{"condition": {"form": "address", "ranges": ["10.0.0.0/8"]}}"#),
        Route::get(CONDITION, Guard::Permission("admin.permissions.read"), get).named(
            "conditions.get",
            "Conditions",
            "Shows one condition.",
        ),
        Route::delete(CONDITION, Guard::Permission("admin.permissions.assign"), delete)
            .named("conditions.delete", "Conditions", "Deletes a condition that no row uses.")
            .problems(&[ProblemKind::InUse]),
    ]
}
