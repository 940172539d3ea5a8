//! The first administrator. An installation that has none gets a one-time code, printed where the operator looks; whoever presents it
//! within a day becomes the first superadmin. Once only: after that the code opens nothing, and no other is made.

use super::begin::{self, Opening, SignIn, acting_as, begin, issue};
use super::password_rules::Measure;
use super::{email_change, guesses, one_time_code};
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::rules::PLATFORM_ADMINISTRATOR;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Conn, Scope};
use charter_kernel::facts::{AssignmentFact, PrincipalKind, PrincipalStatus, Subject};
use charter_kernel::{AssignmentId, OrganizationId, PrincipalId, Problem, ProblemKind, RoleKey, Window};
use charter_store as store;
use charter_store::assignment::AssignmentRow;
use charter_store::principal::Principal;
use zeroize::Zeroizing;

/// How long a code can be used.
const CODE_SECONDS: i64 = 24 * 3_600;
/// Groups of five characters: 150 bits.
const GROUPS: usize = 6;

/// The first administrator, as they introduce themselves.
pub struct SetupDraft {
    /// The one-time code.
    pub code: Zeroizing<String>,
    /// E-mail.
    pub login: String,
    /// Shown name; the login when left out.
    pub name: Option<String>,
    /// Password.
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for SetupDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetupDraft").field("login", &self.login).finish_non_exhaustive()
    }
}

fn administrator() -> Result<RoleKey, Problem> {
    PLATFORM_ADMINISTRATOR.parse().map_err(|error| Problem::new(ProblemKind::Internal, format!("{error}")))
}

async fn has_administrator(
    conn: &mut Conn,
    platform: OrganizationId,
    role: &RoleKey,
) -> Result<bool, Problem> {
    let found = store::assignment::of_role(conn, platform, role, AssignmentId(0), 1).await?;
    Ok(!found.rows.is_empty())
}

/// Whether the installation still waits for its first administrator.
pub async fn is_needed(app: &App) -> Result<bool, Problem> {
    let (platform, role) = (app.platform(), administrator()?);
    app.database()
        .read(Scope::Installation, move |conn: &mut Conn| {
            Box::pin(async move { has_administrator(conn, platform, &role).await.map(|has| !has) })
                as BoxFuture<'_, Result<bool, Problem>>
        })
        .await
}

/// Makes a one-time code for an installation without administrator; codes made before and not used stop working.
pub async fn code(app: &App) -> Result<Option<Zeroizing<String>>, Problem> {
    if !is_needed(app).await? {
        return Ok(None);
    }
    let code = one_time_code::make(app, GROUPS);
    let hash = app.identity().pepper.of_code(&one_time_code::normal(&code));
    let (platform, now) = (app.platform(), app.now());
    app.write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
        Box::pin(async move {
            store::setup_code::replace(transaction.tx(), &hash, now, now.plus_seconds(CODE_SECONDS)).await?;
            let event =
                audit::system_event("setup", platform, now, "setup.code", "installation", "installation");
            transaction.commit(event, Vec::new(), ()).await
        }) as BoxFuture<'_, Result<Committed<()>, Problem>>
    })
    .await?;
    Ok(Some(code))
}

/// Makes the first administrator and signs them in.
pub async fn complete(app: &App, ctx: &RequestContext, draft: SetupDraft) -> Result<SignIn, Problem> {
    let (identity, now, platform) = (app.identity(), ctx.now, app.platform());
    let login = text::email("login", &draft.login)?;
    let name = draft
        .name
        .as_deref()
        .map(|name| text::name("name", name))
        .transpose()?
        .unwrap_or_else(|| login.clone());
    // All guesses at codes are one account: the code is long, and this keeps hashing for others.
    let account = identity.pepper.of_login("\0setup");
    guesses::take(app, ctx.address, account, now).await?;
    let measure = Measure::new(&login, &name, &[], identity.settings().password_characters_min);
    let password = identity.hasher.chosen("password", draft.password, measure).await?;
    let codes = identity.pepper.every_code(&one_time_code::normal(&draft.code));
    let hash = identity.hasher.hash(password, app.world().random()).await?;
    let principal = Principal {
        id: PrincipalId(app.fresh_id()),
        kind: PrincipalKind::User,
        login: login.clone(),
        login_folded: login.clone(),
        name,
        status: PrincipalStatus::Active,
        password_hash: Some(hash),
        password_changed_at: Some(now),
        created_at: now,
        updated_at: now,
        email_verified_at: None,
    };
    let assignment = AssignmentRow {
        assignment: AssignmentFact {
            id: AssignmentId(app.fresh_id()),
            role: administrator()?,
            subject: Subject::Principal(principal.id),
            window: Window::ALWAYS,
            condition: None,
        },
        reason: "first administrator".to_owned(),
        given: store::Given { by: None, at: now },
    };
    let begun = begin(app, ctx, principal.id, Some(platform), Opening::default()).await?;
    let (app_inside, ctx_inside, new) = (app.clone(), acting_as(ctx, &principal), begun.clone());
    let ((), revision) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let tx = transaction.tx();
                let mut is_used_up = false;
                for code in &codes {
                    is_used_up = is_used_up || store::setup_code::use_up(tx, code, now).await?;
                }
                if !is_used_up
                    || has_administrator(tx, platform, &assignment.assignment.role).await?
                {
                    return Err(Problem::new(
                        ProblemKind::InvalidCredentials,
                        "the code is unknown, used, or older than a day: `charter serve` prints a new one while there is no administrator",
                    ));
                }
                if store::principal::login_taken(tx, &login).await? {
                    return Err(Problem::new(ProblemKind::Taken, format!("{login} has an account already: take another e-mail")));
                }
                email_change::require_unkept(&app_inside, tx, &login, None, now).await?;
                store::principal::insert(tx, &principal).await?;
                let active = PrincipalStatus::Active;
                store::membership::insert(tx, platform, principal.id, active, Window::ALWAYS, "{}", now).await?;
                store::assignment::insert(tx, platform, &assignment).await?;
                guesses::forgive(tx, &account).await?;
                let why = "set up the installation";
                let (_, events) = begin::write(&mut transaction, &ctx_inside, platform, &new, why).await?;
                let mut event = audit::event(&ctx_inside, platform, "setup.complete", "principal", principal.id.to_string());
                event.after = Some(serde_json::json!({ "login": login, "role": PLATFORM_ADMINISTRATOR }).to_string());
                transaction.commit(event, events, ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await?;
    app.snapshots().hear_own(platform, revision).await?;
    issue(app, begun, now)
}
