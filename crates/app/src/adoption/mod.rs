//! Adoption: what the commands of adoption write and read. The plan is made and proved where the other system can be read; here its
//! rows come in, in batches of one transaction each, and are taken back.
//!
//! For the operator only, and one at a time: whoever applies or takes back holds a lease, which each call renews. A run (`run.rs`) goes
//! step by step (`step.rs`). The ids of its rows lie in a range of their own, so that a batch (`rows.rs`, judged by `form.rs` and `state.rs`)
//! can be repeated and a run be taken back whole. The accounts it brings are suspended until its equivalence is done, so that nobody has
//! anything by them before; so are what it lets in again (`waiting.rs`). A run that is not the first of its source also changes and removes what earlier ones wrote (`follow.rs`), which is
//! noted as it was and put back with the run (`put_back.rs`).

mod answers;
mod follow;
mod follow_form;
mod follow_state;
mod form;
mod hashes;
mod held;
mod links;
mod noted;
mod password;
mod preview;
mod proof;
mod put_back;
pub(crate) mod removal;
mod rows;
mod run;
mod state;
mod step;
mod undo;
mod waiting;

pub use answers::{Answers, answers};
pub use follow::{Followed, follow};
pub use follow_form::{ACCOUNTS_MAX, AccountDraft, Changes, MembershipDraft, OrganizationDraft, RoleChange};
pub use form::{
    AssignmentRow, EntitlementRow, GrantRow, MembershipRow, OrganizationRow, ROWS_MAX, RoleRow, Rows, UserRow,
};
pub use held::{
    Held, HeldAccount, HeldEntitlement, HeldMember, HeldOrganization, HeldRole, held, held_accounts, told_sum,
};
pub use links::{accounts, former_logins, organizations, users};
pub use password::changed_passwords;
pub use preview::preview_undo;
pub use proof::{CheckedProof, ProofStatement, SignedProof, check_proof, sign_proof};
pub use removal::{KeptPage, Removed, kept_away};
pub use rows::{Inserted, Written, write};
pub use run::{RunDraft, RunView, begin, get, list, look, plan};
pub use step::{StepDraft, step};
pub use undo::{UndoDraft, Undone, undo};

pub use charter_store::adoption_link::{OrganizationLink, UserLink};
pub use charter_store::adoption_lookup::KnownPrincipal;
pub use charter_store::adoption_remembered::{RememberedRow, RowKind};
pub use charter_store::adoption_removal::{KeptAway, RemovalKind, RemovedRight};
pub use charter_store::adoption_run::{Run, RunEngine, RunState, Step, StepRow, StepState};

use crate::caller::RequestContext;
use charter_db::Tx;
use charter_kernel::audit::AuditEvent;
use charter_kernel::{OrganizationId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use charter_store::adoption_undo::Range;

/// The lease of whoever applies or takes back.
const LEASE: &str = "adoption";
/// How long it is held without a call.
const LEASE_SECONDS: i64 = 60;
/// Bits of an id that tell which run it is of.
const RUN_SHIFT: u32 = 80;

/// Whether an id lies in the range of a run.
fn is_of_run(run: u64, id: u128) -> bool {
    id >> RUN_SHIFT == u128::from(run)
}

/// A run with the range of its ids.
fn range_of(run: u64) -> Range {
    let from = u128::from(run) << RUN_SHIFT;
    Range { run, from, to: from + (1 << RUN_SHIFT) }
}

/// Refuses everybody but the operator.
pub fn require_operator(ctx: &RequestContext) -> Result<(), Problem> {
    if ctx.is_operator() {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::Forbidden, "only the operator at the machine adopts another system"))
}

/// Takes the lease or keeps it longer.
async fn hold(tx: &mut Tx, holder: u128, now: Timestamp) -> Result<(), Problem> {
    if store::lease::take(tx, LEASE, holder, now.plus_seconds(LEASE_SECONDS), now).await? {
        return Ok(());
    }
    let until = store::lease::held(tx, LEASE).await?.map_or(now, |(_, until)| until);
    let until = Timestamp::from_seconds(until.seconds() + 1);
    Err(Problem::new(
        ProblemKind::InProgress,
        format!("another apply or rollback is at work; it is free again at {until}"),
    ))
}

/// The run, when it is being applied.
async fn applying(conn: &mut charter_db::Conn, number: u64) -> Result<Run, Problem> {
    let run = known(conn, number).await?;
    if run.state == RunState::Applying {
        return Ok(run);
    }
    Err(Problem::new(
        ProblemKind::Changed,
        format!(
            "run {number} is {}, so nothing is written for it: begin it again with its plan",
            run.state.as_str()
        ),
    ))
}

async fn known(conn: &mut charter_db::Conn, number: u64) -> Result<Run, Problem> {
    store::adoption_run::get(conn, number)
        .await?
        .ok_or_else(|| Problem::not_found(format!("no run {number}")))
}

/// An event about a run, in the trail of the platform organization.
fn event(
    ctx: &RequestContext,
    platform: OrganizationId,
    action: &'static str,
    run: u64,
    after: serde_json::Value,
) -> AuditEvent {
    let mut event = crate::audit::event(ctx, platform, action, "adoption_run", run.to_string());
    event.after = Some(after.to_string());
    event
}
