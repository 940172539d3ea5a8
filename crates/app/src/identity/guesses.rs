//! Guesses at sign-in, counted in the database for all nodes together: by account whether it exists or not, by device where one is
//! known, by address. A guess is counted before it is looked at, so that guesses made at the same time all count.

use super::device;
use super::throttle::{
    AccountKey, Guesses, MAILBOX_BURST, MAILBOX_BURST_OF_ORGANIZATION, PLACE_BURST, REGISTRATION_BURST,
    bucket, full_after_one, full_after_one_of, full_after_one_of_a_day, span,
};
use crate::App;
use charter_db::{BoxFuture, Scope, Tx};
use charter_kernel::{OrganizationId, PrincipalId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use charter_store::sign_in_counter::Counted;
use std::net::IpAddr;

/// What the guesses of somebody who is signed in already are counted by: others who guess do not slow them down.
pub(super) fn of_principal(app: &App, principal: PrincipalId) -> AccountKey {
    app.identity().pepper.of_login(&format!("\0principal {principal}"))
}

/// What guesses at somebody's second factor are counted by: a right password forgives none of them.
pub(super) fn of_factor(app: &App, principal: PrincipalId) -> AccountKey {
    app.identity().pepper.of_login(&format!("\0factor {principal}"))
}

/// What guesses at an account are counted by: the account, or the device it was signed in from before.
pub(super) fn of_account(
    app: &App,
    account: &AccountKey,
    login: &str,
    device: Option<&str>,
    now: Timestamp,
) -> AccountKey {
    let pepper = &app.identity().pepper;
    let known = |token| device::counted_by(pepper, &pepper.every_login(login), token, now);
    device.and_then(known).unwrap_or(*account)
}

/// What stands for the bucket of an address.
fn of_address(app: &App, address: IpAddr) -> [u8; 32] {
    app.identity().pepper.of_login(&format!("\0address {}", bucket(address)))
}

/// Counts something an address does, or says why it is refused.
async fn count_address(
    tx: &mut Tx,
    address: Option<[u8; 32]>,
    now: Timestamp,
) -> Result<Result<(), Problem>, Problem> {
    use store::sign_in_counter as counter;
    let Some(key) = address else { return Ok(Ok(())) };
    let (_, full_at) = counter::lock(tx, Counted::Address, &key, now).await?;
    match full_after_one(full_at, now) {
        Ok(after) => counter::set(tx, Counted::Address, &key, 0, after).await?,
        Err(refused) => return Ok(Err(refused)),
    }
    Ok(Ok(()))
}

async fn count(
    tx: &mut Tx,
    address: Option<[u8; 32]>,
    account: AccountKey,
    now: Timestamp,
) -> Result<Result<(), Problem>, Problem> {
    use store::sign_in_counter as counter;
    // Addresses first, always: nobody waits for somebody who waits for them.
    if let Err(refused) = count_address(tx, address, now).await? {
        return Ok(Err(refused));
    }
    let (count, last_at) = counter::lock(tx, Counted::Account, &account, now).await?;
    match (Guesses { count, last_at }).with_one(now) {
        Ok(after) => counter::set(tx, Counted::Account, &account, after.count, after.last_at).await?,
        Err(refused) => return Ok(Err(refused)),
    }
    Ok(Ok(()))
}

/// Counts a guess, or refuses it while a delay lasts.
pub(super) async fn take(
    app: &App,
    address: Option<IpAddr>,
    account: AccountKey,
    now: Timestamp,
) -> Result<(), Problem> {
    // What this node alone has seen too much of never reaches the database.
    app.identity().throttle.take_from_address(address, now)?;
    let address = address.map(|address| of_address(app, address));
    // What was counted stays counted when the guess is refused: a refusal is no error of the transaction.
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(count(tx, address, account, now)) as BoxFuture<'_, Result<Result<(), Problem>, Problem>>
        })
        .await?
}

/// Counts a request that names no account anybody waits for, such as one for a forgotten password: by the address it comes from.
pub(super) async fn take_from_address(
    app: &App,
    address: Option<IpAddr>,
    now: Timestamp,
) -> Result<(), Problem> {
    app.identity().throttle.take_from_address(address, now)?;
    let address = address.map(|address| of_address(app, address));
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(count_address(tx, address, now)) as BoxFuture<'_, Result<Result<(), Problem>, Problem>>
        })
        .await?
}

/// Who is behind a mail that its reader did not ask for. Each has a measure of their own: strangers do not use up what administrators may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Somebody without an account.
    Stranger,
    /// Somebody who is signed in.
    Account,
}

/// Counts a mail that its reader did not ask for, by organization and over all of them; refused when their mailbox got as many as it may in a
/// day.
pub(super) async fn count_mail(
    tx: &mut Tx,
    app: &App,
    behind: Behind,
    organization: Option<OrganizationId>,
    email: &str,
    now: Timestamp,
) -> Result<(), Problem> {
    use store::sign_in_counter as counter;
    let word = match behind {
        Behind::Stranger => "stranger",
        Behind::Account => "account",
    };
    let mailbox = crate::text::mailbox(email);
    // What all have in common is locked last, always: nobody waits for somebody who waits for them.
    let of_organization =
        organization.map(|id| (format!("{word}\0{id}\0{mailbox}"), MAILBOX_BURST_OF_ORGANIZATION));
    let of_all = (format!("{word}\0\0{mailbox}"), MAILBOX_BURST);
    for (text, burst) in of_organization.into_iter().chain([of_all]) {
        let key = app.identity().pepper.of_email(&text);
        let (_, full_at) = counter::lock(tx, Counted::Mailbox, &key, now).await?;
        let after = full_after_one_of_a_day(full_at, now, burst).map_err(|over| {
            let wait = over.retry_after_seconds.unwrap_or(3_600);
            let detail = format!(
                "this address got as many mails of this service as it may get in a day: try again in {}",
                span(wait)
            );
            Problem::new(ProblemKind::Throttled, detail).retry_after(wait)
        })?;
        counter::set(tx, Counted::Mailbox, &key, 0, after).await?;
    }
    Ok(())
}

/// What guesses at a whole organization are counted by: the one that was named, and the one whose addresses end like the login. Neither has
/// to exist, so the counters tell nothing.
pub(super) fn of_places(app: &App, login: &str, named: Option<&str>) -> Vec<[u8; 32]> {
    let pepper = &app.identity().pepper;
    let domain = login.rsplit_once('@').map(|(_, domain)| format!("\0domain {domain}"));
    let named = named.map(|text| format!("\0organization {}", crate::text::fold_login(text)));
    let mut keys: Vec<_> = domain.into_iter().chain(named).map(|text| pepper.of_login(&text)).collect();
    // In one order, always: nobody waits for somebody who waits for them.
    keys.sort_unstable();
    keys
}

/// Refuses a guess while too many at the same organization were wrong. Who comes from a known device is not asked.
pub(super) async fn require_free_places(
    app: &App,
    places: &[[u8; 32]],
    now: Timestamp,
) -> Result<(), Problem> {
    for key in places {
        let key = *key;
        let full_at = reading_all!(app.database(), |conn| async move {
            store::sign_in_counter::time_of(conn, Counted::Organization, &key).await
        })?;
        full_after_one_of(full_at.unwrap_or(now), now, PLACE_BURST)?;
    }
    Ok(())
}

/// Counts a wrong guess at organizations.
pub(super) async fn count_places(tx: &mut Tx, places: &[[u8; 32]], now: Timestamp) -> Result<(), Problem> {
    use store::sign_in_counter as counter;
    for key in places {
        let (_, full_at) = counter::lock(tx, Counted::Organization, key, now).await?;
        // Those that were under way when the last free one was taken are not counted beyond it.
        if let Ok(after) = full_after_one_of(full_at, now, PLACE_BURST) {
            counter::set(tx, Counted::Organization, key, 0, after).await?;
        }
    }
    Ok(())
}

/// Counts a request for an account: by the address it comes from, and by the organization it is for.
pub(super) async fn take_registration(
    app: &App,
    address: Option<IpAddr>,
    organization: OrganizationId,
    now: Timestamp,
) -> Result<(), Problem> {
    let place = app.identity().pepper.of_login(&format!("\0registration {organization}"));
    let address = address.map(|address| of_address(app, address));
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                use store::sign_in_counter as counter;
                if let Err(refused) = count_address(tx, address, now).await? {
                    return Ok(Err(refused));
                }
                let (_, full_at) = counter::lock(tx, Counted::Organization, &place, now).await?;
                match full_after_one_of(full_at, now, REGISTRATION_BURST) {
                    Ok(after) => counter::set(tx, Counted::Organization, &place, 0, after).await?,
                    Err(refused) => return Ok(Err(refused)),
                }
                Ok(Ok(()))
            }) as BoxFuture<'_, Result<Result<(), Problem>, Problem>>
        })
        .await?
}

/// The guess was right: the account begins anew.
pub(super) async fn forgive(tx: &mut Tx, account: &AccountKey) -> Result<(), Problem> {
    Ok(store::sign_in_counter::forgive(tx, Counted::Account, account).await?)
}

/// The same, in a writing of its own: the guess was right, and what was asked with it is refused.
pub(super) async fn forgive_at_once(app: &App, account: AccountKey) -> Result<(), Problem> {
    app.database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move { forgive(tx, &account).await }) as BoxFuture<'_, Result<(), Problem>>
        })
        .await
}
