//! Taking over the users of another system with the password hashes it made, so that they sign in with the passwords they have.
//!
//! For the operator only. One call is looked at whole before anything is written, and written in one transaction: every line of it
//! or none. An account that has a password keeps it, so a call that is repeated does nothing twice.

use super::adopted_hash::AdoptedHash;
use super::email_change;
use crate::App;
use crate::audit;
use crate::caller::RequestContext;
use crate::text;
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::audit::AuditEvent;
use charter_kernel::facts::{PrincipalKind, PrincipalStatus};
use charter_kernel::problem::FieldProblem;
use charter_kernel::{PrincipalId, Problem, ProblemKind};
use charter_store as store;
use charter_store::principal::Principal;
use std::collections::BTreeMap;

/// Most users of one call: those with weak hashes cost a hash each.
pub const USERS_MAX: usize = 500;
/// Most faults that are told at once.
const FAULTS_MAX: usize = 100;

/// A user as the other system has them.
pub struct ImportedUser {
    /// E-mail or user name.
    pub login: String,
    /// Shown name; the login when left out.
    pub name: Option<String>,
    /// The hash of the password, in the other system's format.
    pub password_hash: String,
}

impl std::fmt::Debug for ImportedUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportedUser").field("login", &self.login).finish_non_exhaustive()
    }
}

/// What becomes of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A new account.
    Made,
    /// An account that was there without a password has this one.
    PasswordSet,
    /// An account that has a password already keeps it.
    Kept,
}

impl Taken {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::PasswordSet => "password_set",
            Self::Kept => "kept",
        }
    }
}

/// One user of an import, and what became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The account; a dry run has none for users who are not there yet.
    pub id: Option<PrincipalId>,
    /// The login, folded.
    pub login: String,
    /// The scheme of the hash, with its cost.
    pub scheme: String,
    /// Whether the hash is too weak to be kept as it is.
    pub is_wrapped: bool,
    /// What became of them.
    pub taken: Taken,
}

/// A user who was read and may be written.
struct Ready {
    login: String,
    name: String,
    hash: AdoptedHash,
}

fn read(place: usize, user: &ImportedUser) -> Result<Ready, FieldProblem> {
    let field = |name: &str| format!("users/{place}/{name}");
    let first = |problem: Problem| {
        problem
            .fields
            .into_iter()
            .next()
            .unwrap_or(FieldProblem { field: field("login"), detail: problem.detail })
    };
    let login = text::login(&field("login"), &user.login).map_err(first)?;
    let name = match user.name.as_deref().filter(|name| !name.trim().is_empty()) {
        Some(name) => text::name(&field("name"), name).map_err(first)?,
        None => login.clone(),
    };
    let hash = AdoptedHash::parse(&user.password_hash)
        .map_err(|refused| FieldProblem { field: field("password_hash"), detail: refused.to_string() })?;
    Ok(Ready { login, name, hash })
}

fn refuse(mut faults: Vec<FieldProblem>) -> Problem {
    let count = faults.len();
    faults.truncate(FAULTS_MAX);
    let detail = format!("{count} of the users cannot be taken over, and none was; the fields tell why");
    Problem { fields: faults, ..Problem::new(ProblemKind::Invalid, detail) }
}

/// Reads all of them, or tells what is wrong with which.
fn read_all(users: &[ImportedUser]) -> Result<Vec<Ready>, Problem> {
    if users.is_empty() || users.len() > USERS_MAX {
        return Err(Problem::invalid("users", format!("1 to {USERS_MAX} users are expected")));
    }
    let (mut ready, mut faults, mut seen) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (place, user) in users.iter().enumerate() {
        match read(place, user) {
            Ok(found) => {
                if let Some(first) = seen.insert(found.login.clone(), place) {
                    let detail = format!("the same login as users/{first}");
                    faults.push(FieldProblem { field: format!("users/{place}/login"), detail });
                }
                ready.push(found);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(ready) } else { Err(refuse(faults)) }
}

fn taken(known: Option<&Principal>) -> Taken {
    match known {
        None => Taken::Made,
        Some(known) if known.password_hash.is_none() => Taken::PasswordSet,
        Some(_) => Taken::Kept,
    }
}

/// Takes users over; a dry run tells what would become of them.
pub async fn import(
    app: &App,
    ctx: &RequestContext,
    users: Vec<ImportedUser>,
    is_dry_run: bool,
) -> Result<Vec<Imported>, Problem> {
    if !ctx.is_operator() {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "only the operator at the machine takes users over with the hashes of their passwords",
        ));
    }
    let ready = read_all(&users)?;
    let logins: Vec<String> = ready.iter().map(|user| user.login.clone()).collect();
    let (pepper, now) = (app.identity().pepper.clone(), ctx.now);
    let (known, kept) = reading_all!(app.database(), |conn| async move {
        let (mut known, mut kept) = (Vec::with_capacity(logins.len()), Vec::new());
        for (place, login) in logins.iter().enumerate() {
            let found = store::principal::by_login(conn, login).await?;
            if found.is_none() {
                let until = email_change::kept_until(conn, &pepper.every_email(login), None, now).await?;
                kept.extend(until.map(|until| (place, until)));
            }
            known.push(found);
        }
        Ok::<_, charter_db::Error>((known, kept))
    })?;
    let is_user = |known: &Option<Principal>| known.as_ref().is_none_or(|it| it.kind == PrincipalKind::User);
    let others = known.iter().enumerate().filter(|(_, known)| !is_user(known));
    let faults: Vec<FieldProblem> = others
        .map(|(place, _)| FieldProblem {
            field: format!("users/{place}/login"),
            detail: "a service account has this name".to_owned(),
        })
        .collect();
    let kept = kept.into_iter().map(|(place, until)| FieldProblem {
        field: format!("users/{place}/login"),
        detail: format!("it was given up lately and is kept for its owner until {until}"),
    });
    let faults: Vec<FieldProblem> = faults.into_iter().chain(kept).collect();
    if !faults.is_empty() {
        return Err(refuse(faults));
    }
    let mut planned = Vec::with_capacity(ready.len());
    for (user, known) in ready.iter().zip(&known) {
        planned.push(Imported {
            id: known.as_ref().map(|known| known.id),
            login: user.login.clone(),
            scheme: user.hash.scheme(),
            is_wrapped: user.hash.is_weak(),
            taken: taken(known.as_ref()),
        });
    }
    if is_dry_run || planned.iter().all(|it| it.taken == Taken::Kept) {
        return Ok(planned);
    }
    let mut drafts = Vec::new();
    for (user, mut planned) in ready.into_iter().zip(planned) {
        let hash = match planned.taken {
            Taken::Kept => None,
            // One after the other: whoever signs in meanwhile has the next turn.
            Taken::Made | Taken::PasswordSet => {
                Some(app.identity().hasher.adopt(user.hash, app.world().random()).await?)
            }
        };
        planned.id.get_or_insert_with(|| PrincipalId(app.fresh_id()));
        drafts.push((planned, user.name, hash));
    }
    write(app, ctx, drafts).await
}

async fn write(
    app: &App,
    ctx: &RequestContext,
    drafts: Vec<(Imported, String, Option<String>)>,
) -> Result<Vec<Imported>, Problem> {
    // The hashing took its time, and a write is stamped with an instant close to its own.
    let (now, platform) = (app.now(), app.platform());
    let (app_inside, ctx_inside) = (app.clone(), RequestContext { now, ..ctx.clone() });
    let (done, revision) = app
        .write(Scope::Installation, platform, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let (mut done, mut events) = (Vec::with_capacity(drafts.len()), Vec::new());
                for (mut it, name, hash) in drafts {
                    if let Some(hash) = hash {
                        it.taken = put(&app_inside, &mut transaction, &mut it, name, hash, now).await?;
                        events.extend(event(&ctx_inside, platform, &it));
                    }
                    done.push(it);
                }
                let first = if events.is_empty() {
                    audit::event(&ctx_inside, platform, "user.import", "installation", "nobody new")
                } else {
                    events.remove(0)
                };
                transaction.commit(first, events, done).await
            }) as BoxFuture<'_, Result<Committed<Vec<Imported>>, Problem>>
        })
        .await?;
    app.snapshots().hear_own(platform, revision).await?;
    Ok(done)
}

/// Writes one user, as things are now.
async fn put(
    app: &App,
    transaction: &mut Transaction<'_>,
    it: &mut Imported,
    name: String,
    hash: String,
    now: charter_kernel::Timestamp,
) -> Result<Taken, Problem> {
    let tx = transaction.tx();
    if let Some(known) = store::principal::by_login(tx, &it.login).await? {
        if known.kind != PrincipalKind::User {
            return Err(Problem::new(
                ProblemKind::Taken,
                format!("a service account has the name {} by now: nothing was taken over", it.login),
            ));
        }
        it.id = Some(known.id);
        let is_set = store::principal::set_first_password(tx, known.id, &hash, now).await?;
        return Ok(if is_set { Taken::PasswordSet } else { Taken::Kept });
    }
    let Some(id) = it.id else {
        return Err(Problem::new(ProblemKind::Internal, "a user to be made has no id"));
    };
    let principal = Principal {
        id,
        kind: PrincipalKind::User,
        login: it.login.clone(),
        login_folded: it.login.clone(),
        name,
        status: PrincipalStatus::Active,
        password_hash: Some(hash),
        password_changed_at: Some(now),
        created_at: now,
        updated_at: now,
        email_verified_at: None,
    };
    email_change::require_unkept(app, tx, &it.login, None, now).await?;
    store::principal::insert(tx, &principal).await?;
    Ok(Taken::Made)
}

fn event(
    ctx: &RequestContext,
    platform: charter_kernel::OrganizationId,
    it: &Imported,
) -> Option<AuditEvent> {
    let id = it.id.filter(|_| it.taken != Taken::Kept)?;
    let mut event = audit::event(ctx, platform, "user.import", "principal", id.to_string());
    event.reason = "taken over from another system with the hash of the password".to_owned();
    let after = serde_json::json!({
        "login": it.login, "outcome": it.taken.as_str(), "scheme": it.scheme, "is_wrapped": it.is_wrapped,
    });
    event.after = Some(after.to_string());
    Some(event)
}
