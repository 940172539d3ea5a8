//! What an organization lets newcomers do.

use crate::edge::{Call, ETag, Guard, Reply, Route, wire};
use crate::shown::present;
use charter_app::App;
use charter_app::identity::registration_settings::{
    self, RegistrationMode, RegistrationSettings, RegistrationSettingsUpdate,
};
use charter_kernel::{PrincipalId, Problem, ProblemKind, RoleKey, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    const PATH: &str = "/api/v1/organizations/{organization}/registration-settings";
    vec![
        Route::get(PATH, Guard::Permission("admin.org_settings.read"), show).named(
            "registration-settings.show",
            "Newcomers",
            "Tells what an organization lets newcomers do.",
        ),
        Route::patch(PATH, Guard::Permission("admin.org_settings.update"), set)
            .named("registration-settings.set", "Newcomers", "Changes what an organization lets newcomers do.")
            .described(
                "What is left out stays. `off`: nobody comes in but by an administrator's hand. `invitation`: who is invited. `domain`: also who \
                 proves an address of one of the domains. `approval`: also who proves an address and is approved; with \
                 domains, an address of one of them. Newcomers get no role but those listed. A role of the highest level, \
                 or with a dangerous permission of the modules admin and platform, cannot be listed, and neither can one \
                 the caller could not give.",
            )
            .problems(&[ProblemKind::Changed, ProblemKind::BeyondGiver])
            .example(
                r#"{"mode":"approval","domains":["toys.example"],"roles":["viewer"],"default_role":"viewer"}"#,
            ),
    ]
}

/// What changes about what newcomers may do; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "RegistrationSettingsChange")]
#[serde(deny_unknown_fields)]
struct SettingsBody {
    /// `off`, `invitation`, `domain` or `approval`.
    #[serde(default)]
    mode: Option<String>,
    /// Domains of addresses that may ask; all of them.
    #[serde(default)]
    domains: Option<Vec<String>>,
    /// Keys of roles a newcomer may get; all of them.
    #[serde(default)]
    roles: Option<Vec<String>>,
    /// The role of whoever names none; one of the roles. Null is none.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>")]
    default_role: Option<Option<String>>,
}

/// What an organization lets newcomers do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RegistrationSettings")]
struct SettingsView {
    /// `off`, `invitation`, `domain` or `approval`.
    mode: &'static str,
    /// Domains of addresses that may ask.
    domains: Vec<String>,
    /// Keys of roles a newcomer may get.
    #[schemars(with = "Vec<String>")]
    roles: Vec<RoleKey>,
    /// The role of whoever names none.
    #[schemars(with = "Option<String>")]
    default_role: Option<RoleKey>,
    /// Who changed them last; none is the operator, or nobody yet.
    #[schemars(with = "Option<wire::Id>")]
    changed_by: Option<PrincipalId>,
    /// When.
    #[schemars(with = "Option<wire::Time>")]
    changed_at: Option<Timestamp>,
}

fn shown(it: RegistrationSettings) -> Reply<SettingsView> {
    let version = it.row_version;
    let view = SettingsView {
        mode: it.mode.as_str(),
        domains: it.domains,
        roles: it.roles,
        default_role: it.default_role,
        changed_by: it.changed_by,
        changed_at: it.changed_at,
    };
    Reply::new(view).etag(ETag::version(version))
}

async fn show(call: Call) -> Result<Reply<SettingsView>, Problem> {
    Ok(shown(registration_settings::get(&call.app, call.permit()?).await?))
}

async fn set(call: Call<(), (), SettingsBody>) -> Result<Reply<SettingsView>, Problem> {
    let if_version = call.precondition.expected_version()?;
    let permit = call.permit()?.clone();
    let body = call.body;
    let known = |word: &str| {
        RegistrationMode::from_word(word)
            .ok_or_else(|| Problem::invalid("mode", "expected off, invitation, domain or approval"))
    };
    let mode = body.mode.as_deref().map(known).transpose()?;
    let SettingsBody { domains, roles, default_role, .. } = body;
    let update = RegistrationSettingsUpdate { mode, domains, roles, default_role, if_version };
    Ok(shown(registration_settings::update(&call.app, &call.ctx, &permit, update).await?))
}
