//! The audiences of an organization's clients: each is taken by the first organization that registers a client for it, and free again once no
//! client of it names it. What an audience is, is in `audience.rs`.

use charter_db::Tx;
use charter_kernel::{OrganizationId, Problem, ProblemKind};
use charter_store as store;

/// Takes an audience for the organization of a client. A token for it says that this service issued it, so it must not be another one's.
pub(super) async fn take(
    tx: &mut Tx,
    organization: OrganizationId,
    is_platform: bool,
    audiences: &[String],
) -> Result<(), Problem> {
    // In one order, always: nobody waits for somebody who waits for them.
    let mut audiences: Vec<&String> = audiences.iter().collect();
    audiences.sort_unstable();
    for audience in audiences {
        if !store::oauth_audience::take(tx, organization, is_platform, audience).await? {
            let detail =
                format!("the audience {audience} is taken: only whoever has it can get tokens for it");
            return Err(Problem::new(ProblemKind::Taken, detail));
        }
    }
    Ok(())
}

/// What of a list is not in another.
pub(super) fn without(list: &[String], other: &[String]) -> Vec<String> {
    list.iter().filter(|word| !other.contains(word)).cloned().collect()
}
