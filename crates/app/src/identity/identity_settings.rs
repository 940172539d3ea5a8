//! What an organization asks of its members' sign-in, beyond what the installation asks: how long sessions last, how many a member may
//! have, from which addresses they begin, of whom a second factor is demanded.

use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{Problem, ProblemKind};
use charter_policy::condition::AddressRange;
use charter_store as store;

pub use charter_store::identity_settings::{IdentitySettings, LeakedKeys, SecondFactorDemand};

const BLOCKS_MAX: usize = 100;
/// Thirty days.
const IDLE_MINUTES_MAX: u32 = 30 * 24 * 60;
/// A year.
const ABSOLUTE_HOURS_MAX: u32 = 366 * 24;
const SESSIONS_MAX: u32 = 1_000;

/// What changes about what is asked of sign-in. None of a field leaves it as it is; `Some(None)` is what the installation says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentitySettingsUpdate {
    /// Minutes after which a session nobody uses ends.
    pub session_idle_minutes: Option<Option<u32>>,
    /// Hours after which a session ends.
    pub session_absolute_hours: Option<Option<u32>>,
    /// Sessions a member may have at one time.
    pub sessions_per_member: Option<Option<u32>>,
    /// Blocks of addresses members sign in from.
    pub sign_in_addresses: Option<Option<Vec<String>>>,
    /// What happens to a key that was reported as leaked.
    pub leaked_keys: Option<LeakedKeys>,
    /// Of whom a second factor is demanded.
    pub second_factor: Option<SecondFactorDemand>,
    /// The version that was read, when nobody else's change is to be lost.
    pub if_version: Option<u64>,
}

/// The settings of an organization.
pub async fn get(app: &App, permit: &Permit) -> Result<IdentitySettings, Problem> {
    let organization = permit.organization();
    reading!(app.database(), organization, |conn| store::identity_settings::get(conn, organization))
}

fn within(field: &str, value: Option<Option<u32>>, most: u32) -> Result<(), Problem> {
    match value.flatten() {
        Some(value) if value == 0 || value > most => Err(Problem::invalid(
            field,
            format!("1 to {most} is expected here, or null for what the installation says"),
        )),
        _ => Ok(()),
    }
}

fn check(app: &App, ctx: &RequestContext, update: &IdentitySettingsUpdate) -> Result<(), Problem> {
    // What is beyond every span of the installation would be taken and never hold.
    let settings = app.identity().settings();
    let idle = settings.session_idle_seconds.max(settings.cookie_session_idle_seconds);
    let absolute = settings.session_seconds.max(settings.cookie_session_seconds);
    let most = |seconds: u32, unit: u32, most: u32| (seconds / unit).clamp(1, most);
    within("session_idle_minutes", update.session_idle_minutes, most(idle, 60, IDLE_MINUTES_MAX))?;
    within(
        "session_absolute_hours",
        update.session_absolute_hours,
        most(absolute, 3_600, ABSOLUTE_HOURS_MAX),
    )?;
    within("sessions_per_member", update.sessions_per_member, SESSIONS_MAX)?;
    let Some(Some(texts)) = &update.sign_in_addresses else { return Ok(()) };
    let field = "sign_in_addresses";
    if texts.is_empty() || texts.len() > BLOCKS_MAX {
        return Err(Problem::invalid(
            field,
            format!("1 to {BLOCKS_MAX} blocks are expected, or null for any address"),
        ));
    }
    let mut blocks = Vec::with_capacity(texts.len());
    for text in texts {
        blocks.push(AddressRange::parse(text).map_err(|wrong| Problem::invalid(field, wrong.to_string()))?);
    }
    if let (Some(address), false) = (ctx.address, ctx.is_operator())
        && !blocks.iter().any(|block| block.contains(address))
    {
        return Err(Problem::invalid(
            field,
            format!("your own address, {address}, is in none of them: you could not sign in again"),
        ));
    }
    Ok(())
}

fn record(it: &IdentitySettings) -> String {
    serde_json::json!({
        "session_idle_minutes": it.session_idle_minutes,
        "session_absolute_hours": it.session_absolute_hours,
        "sessions_per_member": it.sessions_per_member,
        "sign_in_addresses": it.sign_in_addresses,
        "leaked_keys": it.leaked_keys.as_str(),
        "second_factor": it.second_factor.as_str(),
    })
    .to_string()
}

/// Whoever demands a second factor of others has one: they would lock themselves out otherwise.
fn require_own_factor(
    ctx: &RequestContext,
    before: SecondFactorDemand,
    after: SecondFactorDemand,
) -> Result<(), Problem> {
    let lacks_one = ctx
        .principal()
        .is_some_and(|caller| caller.kind == PrincipalKind::User && !caller.has_second_factor());
    if before == after || after == SecondFactorDemand::Off || !lacks_one {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::SecondFactor,
        "sign in with a second factor of your own before you demand it of others",
    ))
}

fn changed(found: u64, expected: u64) -> Problem {
    Problem::new(
        ProblemKind::Changed,
        format!("the settings are at version {found}, not {expected}: read them again and repeat the change"),
    )
}

/// Changes some of them; what is not named stays. Addresses have a permission of their own.
pub async fn update(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    update: IdentitySettingsUpdate,
) -> Result<IdentitySettings, Problem> {
    check(app, ctx, &update)?;
    let (organization, now) = (permit.organization(), ctx.now);
    let before = get(app, permit).await?;
    // What stays is what was read here: the change is made to this version or not at all.
    let expected = before.row_version;
    if let Some(asked) = update.if_version
        && asked != expected
    {
        return Err(changed(expected, asked));
    }
    let mut after = IdentitySettings {
        session_idle_minutes: update.session_idle_minutes.unwrap_or(before.session_idle_minutes),
        session_absolute_hours: update.session_absolute_hours.unwrap_or(before.session_absolute_hours),
        sessions_per_member: update.sessions_per_member.unwrap_or(before.sessions_per_member),
        sign_in_addresses: update.sign_in_addresses.unwrap_or_else(|| before.sign_in_addresses.clone()),
        leaked_keys: update.leaked_keys.unwrap_or(before.leaked_keys),
        second_factor: update.second_factor.unwrap_or(before.second_factor),
        row_version: 0,
        changed_by: ctx.principal().map(|caller| caller.id),
        changed_at: Some(now),
    };
    if before.sign_in_addresses != after.sign_in_addresses {
        app.require(ctx, organization, "admin.ip_allowlists.update").await?;
    }
    require_own_factor(ctx, before.second_factor, after.second_factor)?;
    let ctx_inside = ctx.clone();
    let (after, revision) = app
        .write(
            Scope::Organization(organization.bits()),
            organization,
            now,
            move |mut transaction: Transaction<'_>| {
                Box::pin(async move {
                    let before = store::identity_settings::get(transaction.tx(), organization).await?;
                    if before.row_version != expected {
                        return Err(changed(before.row_version, expected));
                    }
                    after.row_version =
                        store::identity_settings::put(transaction.tx(), organization, &after).await?;
                    let target = organization.to_string();
                    let mut event = audit::event(
                        &ctx_inside,
                        organization,
                        "identity_settings.set",
                        "organization",
                        target,
                    );
                    event.before = Some(record(&before));
                    event.after = Some(record(&after));
                    transaction.commit(event, Vec::new(), after).await
                }) as BoxFuture<'_, Result<Committed<IdentitySettings>, Problem>>
            },
        )
        .await?;
    app.snapshots().hear_own(organization, revision).await?;
    Ok(after)
}
