//! How somebody comes into an organization whose address is proved: with a new account, with one they have and prove to be theirs, or
//! signed in as it. Here the account and the membership are made; whether they may come is said in `invitation.rs` and `registration.rs`.

use super::begin::{self, acting_as};
use super::password::{Password, Verified};
use super::password_rules::Measure;
use super::throttle::AccountKey;
use super::{email_change, guesses, support};
use crate::App;
use crate::caller::{Caller, Listing, Page, RequestContext};
use crate::edit::{self, Bench, EditOptions};
use crate::execute;
use crate::transaction::Transaction;
use crate::vault;
use charter_db::BoxFuture;
use charter_kernel::audit::AuditEvent;
use charter_kernel::facts::{
    AssignmentFact, MemberFact, OrganizationFact, OrganizationStatus, PrincipalKind, PrincipalStatus, Subject,
};
use charter_kernel::{
    AssignmentId, OrganizationId, PrincipalId, Problem, ProblemKind, Revision, RoleKey, Timestamp, Window,
};
use charter_store as store;
use charter_store::principal::Principal;
use std::str::FromStr;
use zeroize::Zeroizing;

/// How long ended invitations and requests are kept.
pub(super) const KEPT_SECONDS: i64 = 90 * 86_400;

/// What somebody shows besides a token from a mail.
#[derive(Default)]
pub struct Introduction {
    /// Shown name of a new account; the address when left out.
    pub name: Option<String>,
    /// The password of a new account, or of the one there is.
    pub password: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Introduction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introduction").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How an account is proved to be the newcomer's.
enum Proof {
    /// It is made for them.
    New,
    /// It had no password, and the mail reached its address: it gets its first one.
    First(String),
    /// By its password.
    Password(Verified, AccountKey),
    /// They are signed in as it, or whoever lets them in knows it.
    Known,
}

/// Whoever comes, with their account.
pub(super) struct Arrival {
    /// The account.
    pub principal: Principal,
    proof: Proof,
}

impl Arrival {
    /// Whether the account is made for them.
    pub fn is_new(&self) -> bool {
        matches!(self.proof, Proof::New)
    }
}

/// A new account of a proved address.
fn account(app: &App, email: &str, name: String, hash: Option<String>, now: Timestamp) -> Principal {
    Principal {
        id: PrincipalId(app.fresh_id()),
        kind: PrincipalKind::User,
        login: email.to_owned(),
        login_folded: email.to_owned(),
        name,
        status: PrincipalStatus::Active,
        password_changed_at: hash.as_ref().map(|_| now),
        password_hash: hash,
        created_at: now,
        updated_at: now,
        email_verified_at: Some(now),
    }
}

fn inactive() -> Problem {
    Problem::new(
        ProblemKind::Forbidden,
        "the account of this address may not act: ask whoever runs this service",
    )
}

async fn account_of(app: &App, email: &str) -> Result<Option<Principal>, Problem> {
    let wanted = email.to_owned();
    let found =
        reading_all!(app.database(), |conn| async move { store::principal::by_login(conn, &wanted).await })?;
    match found {
        Some(principal) if principal.status != PrincipalStatus::Active => Err(inactive()),
        found => Ok(found),
    }
}

/// Whoever came with a token that was mailed to an address.
pub(super) async fn arrive(
    app: &App,
    ctx: &RequestContext,
    email: &str,
    organization: &OrganizationFact,
    introduction: Introduction,
) -> Result<Arrival, Problem> {
    let (identity, now) = (app.identity(), ctx.now);
    let found = account_of(app, email).await?;
    if let Caller::Principal(_) = ctx.caller {
        support::require_own(ctx)?;
        if ctx.is_by_program() {
            let detail = "neither a key nor an application joins for somebody: they do, signed in or not";
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        return match found {
            Some(principal) if ctx.principal().is_some_and(|caller| caller.id == principal.id) => {
                Ok(Arrival { principal, proof: Proof::Known })
            }
            _ => Err(Problem::new(
                ProblemKind::Forbidden,
                "this was mailed to another address than yours: sign in as its reader, or accept it without being signed in",
            )),
        };
    }
    let demanded = |detail: &str| Problem::invalid("password", detail);
    let name = introduction.name.as_deref().map(|name| crate::text::name("name", name)).transpose()?;
    let name = name.unwrap_or_else(|| email.to_owned());
    let words = [organization.key.to_string(), organization.name.clone()];
    match found {
        None => {
            let password = introduction
                .password
                .ok_or_else(|| demanded("choose a password for the account that is made for you"))?;
            let measure = Measure::new(email, &name, &words, identity.settings().password_characters_min);
            let chosen = identity.hasher.chosen("password", password, measure).await?;
            let hash = identity.hasher.hash(chosen, app.world().random()).await?;
            Ok(Arrival { principal: account(app, email, name, Some(hash), now), proof: Proof::New })
        }
        Some(principal) if principal.password_hash.is_none() => {
            let password = introduction
                .password
                .ok_or_else(|| demanded("your account has no password yet: choose one"))?;
            let measure =
                Measure::new(email, &principal.name, &words, identity.settings().password_characters_min);
            let chosen = identity.hasher.chosen("password", password, measure).await?;
            let hash = identity.hasher.hash(chosen, app.world().random()).await?;
            Ok(Arrival { principal, proof: Proof::First(hash) })
        }
        Some(principal) => {
            let password = introduction
                .password
                .ok_or_else(|| demanded("you have an account: its password is needed"))?;
            let account = identity.pepper.of_login(&principal.login_folded);
            guesses::take(app, ctx.address, account, now).await?;
            let stored = principal.password_hash.clone();
            let verified =
                identity.hasher.verify(Password::typed(&password), stored, app.world().random()).await?;
            if verified == Verified::Wrong {
                return Err(Problem::new(
                    ProblemKind::InvalidCredentials,
                    "you have an account already, and this is not its password",
                ));
            }
            Ok(Arrival { principal, proof: Proof::Password(verified, account) })
        }
    }
}

/// Whoever is let in by somebody else: their own account, or one without a password yet.
pub(super) async fn fetch(app: &App, email: &str, name: &str, now: Timestamp) -> Result<Arrival, Problem> {
    Ok(match account_of(app, email).await? {
        Some(principal) => Arrival { principal, proof: Proof::Known },
        None => Arrival { principal: account(app, email, name.to_owned(), None, now), proof: Proof::New },
    })
}

fn meanwhile() -> Problem {
    Problem::new(ProblemKind::Unavailable, "the account was changed meanwhile: try again").retry_after(1)
}

/// Writes the account, as things are behind the lock.
async fn settle(
    app: &App,
    transaction: &mut Transaction<'_>,
    arrival: &Arrival,
    now: Timestamp,
) -> Result<(), Problem> {
    let principal = &arrival.principal;
    let tx = transaction.tx();
    match &arrival.proof {
        Proof::New => {
            if store::principal::login_taken(tx, &principal.login_folded).await? {
                return Err(meanwhile());
            }
            email_change::require_unkept(app, tx, &principal.login_folded, None, now).await?;
            store::principal::insert(tx, principal).await?;
            return Ok(());
        }
        Proof::First(hash) => {
            if !store::principal::set_first_password(tx, principal.id, hash, now).await? {
                return Err(meanwhile());
            }
            store::token_floor::end_former(tx, principal.id, "the account got its first password", now)
                .await?;
        }
        Proof::Password(verified, account) => {
            begin::require_unchanged(transaction, principal, verified).await?;
            guesses::forgive(transaction.tx(), account).await?;
        }
        Proof::Known => {}
    }
    let tx = transaction.tx();
    let present = store::principal::by_id(tx, principal.id).await?;
    let is_same = present
        .is_some_and(|it| it.status == PrincipalStatus::Active && it.login_folded == principal.login_folded);
    if !is_same {
        return Err(meanwhile());
    }
    if principal.email_verified_at.is_none() {
        store::principal::set_email_verified(tx, principal.id, Some(now)).await?;
    }
    Ok(())
}

/// Makes the newcomer a member with roles, in the open transaction of the organization; gives the events. `by` is whose rights bound what
/// is given; nobody's, when that was looked at before.
pub(super) async fn admit(
    app: &App,
    transaction: &mut Transaction<'_>,
    by: &RequestContext,
    arrival: &Arrival,
    roles: &[RoleKey],
    reason: &str,
) -> Result<Vec<AuditEvent>, Problem> {
    let organization = transaction.organization();
    settle(app, transaction, arrival, by.now).await?;
    let mut before = store::facts::read(transaction.tx(), organization)
        .await?
        .ok_or_else(|| Problem::not_found("no such organization"))?;
    before.organization.revision = Revision(transaction.revision().0.saturating_sub(1));
    require_open(&before.organization)?;
    let options = EditOptions { reason: reason.to_owned(), ..EditOptions::apply() };
    let prepared = edit::prepare(app, by, &options, before, |bench: &mut Bench<'_>| {
        join(bench, &arrival.principal, roles)
    })?;
    let who = as_newcomer(by, arrival);
    let mut events = Vec::new();
    for change in &prepared.changes {
        execute::change(transaction, &who, organization, change, reason).await?;
        events.push(execute::event(&who, organization, change, reason));
    }
    for warning in &prepared.warnings {
        events.push(execute::warning(&who, organization, warning, reason));
    }
    Ok(events)
}

/// Who acts, for the trail: whoever lets the newcomer in, or the newcomer.
pub(super) fn as_newcomer(by: &RequestContext, arrival: &Arrival) -> RequestContext {
    match by.caller {
        Caller::Anonymous => acting_as(by, &arrival.principal),
        _ => by.clone(),
    }
}

fn join(bench: &mut Bench<'_>, principal: &Principal, roles: &[RoleKey]) -> Result<(), Problem> {
    if bench.facts.members.iter().any(|member| member.principal == principal.id) {
        let detail = format!("{} is a member already", principal.login_folded);
        return Err(Problem::new(ProblemKind::Taken, detail));
    }
    bench.facts.members.push(MemberFact {
        principal: principal.id,
        kind: principal.kind,
        login: principal.login_folded.clone(),
        name: principal.name.clone(),
        status: PrincipalStatus::Active,
        account_status: principal.status,
        window: Window::ALWAYS,
        attributes: "{}".to_owned(),
    });
    for role in roles {
        bench.facts.assignments.push(AssignmentFact {
            id: AssignmentId(bench.app.fresh_id()),
            role: role.clone(),
            subject: Subject::Principal(principal.id),
            window: Window::ALWAYS,
            condition: None,
        });
    }
    Ok(())
}

/// Refuses to let anybody into an organization that is stopped.
pub(super) fn require_open(organization: &OrganizationFact) -> Result<(), Problem> {
    if organization.status == OrganizationStatus::Active {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::Gone, "the organization takes nobody now"))
}

/// An organization as it is now.
pub(super) async fn organization_of(
    app: &App,
    organization: OrganizationId,
) -> Result<OrganizationFact, Problem> {
    let found = reading!(app.database(), organization, |conn| store::organization::get(conn, organization))?;
    found
        .map(|row| row.organization)
        .ok_or_else(|| Problem::not_found("no such organization, or it takes no requests"))
}

/// The id below which a page of a list begins that has the newest first; `all` is above every one.
pub(super) fn below<I: FromStr>(page: &Page, all: I) -> Result<I, Problem> {
    let not_one = |_| Problem::invalid("cursor", "not a cursor of this list");
    page.after.as_deref().map_or(Ok(all), |text| text.parse().map_err(not_one))
}

/// A page of such a list as administrators see it.
pub(super) async fn listing<'a, R, V, I: ToString>(
    found: store::Page<R>,
    id: impl Fn(&R) -> I,
    view: impl Fn(R) -> BoxFuture<'a, Result<V, Problem>>,
) -> Result<Listing<V>, Problem> {
    let next = found.rows.last().filter(|_| found.more).map(|row| id(row).to_string());
    let mut items = Vec::with_capacity(found.rows.len());
    for row in found.rows {
        items.push(view(row).await?);
    }
    Ok(Listing { items, next })
}

/// What an address or name is sealed under: its table, column and row.
pub(super) fn seal(app: &App, place: &str, text: &str) -> Result<Vec<u8>, Problem> {
    app.identity()
        .sealer
        .seal(place, text.as_bytes(), app.world().random())
        .map_err(|error| Problem::new(ProblemKind::Internal, format!("an address cannot be sealed: {error}")))
}

/// Opens what was sealed.
pub(super) async fn open(app: &App, place: &str, sealed: &[u8]) -> Result<String, Problem> {
    let broken = |why: String| Problem::new(ProblemKind::Internal, format!("a sealed address {why}"));
    let plain = vault::open(app, place, sealed).await.map_err(|error| broken(error.to_string()))?;
    String::from_utf8(plain.to_vec()).map_err(|_| broken("is no text".to_owned()))
}
