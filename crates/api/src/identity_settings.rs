//! What an organization asks of its members' sign-in.

use crate::edge::{Call, ETag, Guard, Reply, Route, wire};
use crate::shown::present;
use charter_app::App;
use charter_app::identity::identity_settings::{
    self, IdentitySettings, IdentitySettingsUpdate, LeakedKeys, SecondFactorDemand,
};
use charter_kernel::{PrincipalId, Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    const PATH: &str = "/api/v1/organizations/{organization}/identity-settings";
    vec![
        Route::get(PATH, Guard::Permission("admin.org_settings.read"), show)
            .named("identity-settings.show", "Sign-in", "Tells what an organization asks of its members' sign-in."),
        Route::patch(PATH, Guard::Permission("admin.org_settings.update"), set)
            .named("identity-settings.set", "Sign-in", "Changes what an organization asks of its members' sign-in.")
            .described(
                "What is left out stays; null is what the installation says. They narrow what the installation allows and never widen it. \
                 Session limits hold for sessions that are under way, too. Addresses ask for `admin.ip_allowlists.update` \
                 as well, and have to hold the caller's own. Whoever demands a second factor has signed in with one. A session for no organization in particular obeys the \
                 settings of all organizations its principal is a member of.",
            )
            .problems(&[ProblemKind::Changed, ProblemKind::SecondFactor])
            .example(
                r#"{"session_idle_minutes":15,"session_absolute_hours":10,"sessions_per_member":5,"sign_in_addresses":["192.0.2.0/24"],"second_factor":"privileged"}"#,
            ),
    ]
}

/// What changes about what is asked of sign-in; what is left out stays.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "IdentitySettingsChange")]
#[serde(deny_unknown_fields)]
struct SettingsBody {
    /// Minutes after which a session nobody uses ends; null is what the installation says.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<u32>")]
    session_idle_minutes: Option<Option<u32>>,
    /// Hours after which a session ends; null is what the installation says.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<u32>")]
    session_absolute_hours: Option<Option<u32>>,
    /// Sessions a member may have at one time; a new one ends the one that was used longest ago. Null is any number.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<u32>")]
    sessions_per_member: Option<Option<u32>>,
    /// Blocks of addresses members sign in from, as `192.0.2.0/24`; null is any.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Vec<String>>")]
    sign_in_addresses: Option<Option<Vec<String>>>,
    /// What happens to an API key that was reported as leaked: `notify`, `quarantine` or `revoke`.
    #[serde(default)]
    leaked_keys: Option<String>,
    /// Of whom a second factor is demanded.
    #[serde(default)]
    second_factor: Option<Demand>,
}

/// Of whom a second factor is demanded.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "SecondFactorDemand")]
#[serde(rename_all = "snake_case")]
enum Demand {
    /// Of nobody.
    Off,
    /// Of whoever holds a dangerous permission of `admin` or `platform`, and of everybody for what is dangerous.
    Privileged,
    /// Of everybody, for everything the organization lets them do.
    Everyone,
}

/// What an organization asks of its members' sign-in; null is what the installation says.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "IdentitySettings")]
struct SettingsView {
    /// Minutes after which a session nobody uses ends.
    session_idle_minutes: Option<u32>,
    /// Hours after which a session ends.
    session_absolute_hours: Option<u32>,
    /// Sessions a member may have at one time.
    sessions_per_member: Option<u32>,
    /// Blocks of addresses members sign in from.
    sign_in_addresses: Option<Vec<String>>,
    /// What happens to an API key that was reported as leaked.
    leaked_keys: &'static str,
    /// Of whom a second factor is demanded.
    second_factor: Demand,
    /// Who changed them last; none is the operator, or nobody yet.
    #[schemars(with = "Option<wire::Id>")]
    changed_by: Option<PrincipalId>,
    /// When.
    #[schemars(with = "Option<wire::Time>")]
    changed_at: Option<Timestamp>,
}

fn shown(it: IdentitySettings) -> Reply<SettingsView> {
    let version = it.row_version;
    let view = SettingsView {
        session_idle_minutes: it.session_idle_minutes,
        session_absolute_hours: it.session_absolute_hours,
        sessions_per_member: it.sessions_per_member,
        sign_in_addresses: it.sign_in_addresses,
        leaked_keys: it.leaked_keys.as_str(),
        second_factor: match it.second_factor {
            SecondFactorDemand::Off => Demand::Off,
            SecondFactorDemand::Privileged => Demand::Privileged,
            SecondFactorDemand::Everyone => Demand::Everyone,
        },
        changed_by: it.changed_by,
        changed_at: it.changed_at,
    };
    Reply::new(view).etag(ETag::version(version))
}

async fn show(call: Call) -> Result<Reply<SettingsView>, Problem> {
    Ok(shown(identity_settings::get(&call.app, call.permit()?).await?))
}

async fn set(call: Call<(), (), SettingsBody>) -> Result<Reply<SettingsView>, Problem> {
    let if_version = call.precondition.expected_version()?;
    let permit = call.permit()?.clone();
    let body = call.body;
    let known = |word: String| {
        LeakedKeys::from_word(&word)
            .ok_or_else(|| Problem::invalid("leaked_keys", "expected notify, quarantine or revoke"))
    };
    let leaked_keys = body.leaked_keys.map(known).transpose()?;
    let update = IdentitySettingsUpdate {
        session_idle_minutes: body.session_idle_minutes,
        session_absolute_hours: body.session_absolute_hours,
        sessions_per_member: body.sessions_per_member,
        sign_in_addresses: body.sign_in_addresses,
        leaked_keys,
        second_factor: body.second_factor.map(|of| match of {
            Demand::Off => SecondFactorDemand::Off,
            Demand::Privileged => SecondFactorDemand::Privileged,
            Demand::Everyone => SecondFactorDemand::Everyone,
        }),
        if_version,
    };
    Ok(shown(identity_settings::update(&call.app, &call.ctx, &permit, update).await?))
}
