//! Where the other system is: one address, whichever file held it. A database of another address may be another one, and a run that follows it
//! would take away what is there: so a plan asks, and what carries it out goes nowhere else.

use super::here::text;
use super::legacy;
use super::runs;
use crate::client::{Call, Client};
use crate::config::text::without_password;
use crate::failure::{Failure, Result};
use charter_adopt::accepting::{ADDRESS, FEWER};
use charter_adopt::change::Changes;
use charter_adopt::facts::LegacyFacts;
use charter_adopt::plan::Plan;
use charter_adopt::rows::Known;
use charter_kernel::facts::PrincipalStatus;
use charter_kernel::{Key, PrincipalId, counted};
use std::collections::HashSet;

const DEACTIVATED: &str = PrincipalStatus::Deactivated.as_str();
/// So many users may be gone at once without a question.
const GONE_MAX: usize = 4;

/// One address, without a password: of a file its whole path, of a server what leads there.
fn place(address: &str) -> String {
    let file = address.strip_prefix("sqlite://").or_else(|| address.strip_prefix("sqlite:"));
    let whole = |path: &str| {
        let whole = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        whole.map_or_else(|_| path.to_owned(), |path| path.display().to_string())
    };
    if let Some(path) = file {
        return format!("sqlite:{}", whole(path));
    }
    if !address.contains("://") {
        return whole(address);
    }
    let shown = without_password(address).replacen(":***@", "@", 1);
    let shown = shown.replacen("postgresql://", "postgres://", 1);
    let Some((base, query)) = shown.split_once('?') else { return shown };
    let kept: Vec<&str> = query.split('&').filter(|part| !part.ends_with("=***")).collect();
    if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
}

/// Where an address that was typed leads, as one address without a password.
pub fn of(from: &str) -> Result<String> {
    legacy::address(from).map(|address| place(&address))
}

/// Refuses an address that is not that of a plan.
pub fn is_of_plan(from: &str, plan: &Plan) -> Result<()> {
    let meant = match &plan.place {
        Some(place) => place.clone(),
        None => of(&plan.from)?,
    };
    let here = of(from)?;
    if here == meant {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the plan was made from {meant}, and {here} may be another database: give the address of the plan, or make the plan again from this one. \
         Nothing was written"
    )))
}

/// What is asked where the newest run of a source that stands was made from another address. The export of a realm is a file of its own each time.
pub async fn moved(client: &Client, source: &Key, from: &str, place: &str) -> Result<Option<String>> {
    let Some(run) = runs::newest(client, source, &["applied", "failed"]).await? else { return Ok(None) };
    let number = runs::number(&run);
    let run = client.call(&Call::new("GET", format!("/api/v1/adoption/runs/{number}"))).await?.json()?;
    let plan = run.get("plan").cloned().unwrap_or_default();
    let before = match (text(&plan, "place"), text(&plan, "from")) {
        ("", before) if before == from => return Ok(None),
        ("", before) if before.starts_with('@') => before.to_owned(),
        ("", before) => self::place(before),
        (before, _) => before.to_owned(),
    };
    let is_export = !place.starts_with("sqlite:") && !place.contains("://");
    Ok((before != place && !is_export).then(|| {
        format!(
            "run {number} was made from {before}, and this is {place}: a copy, or a database of somebody else, would have people stopped and \
             let in here by what it says. Where the other system moved, accept it with --accept {ADDRESS}"
        )
    }))
}

/// What is asked where most of those who may act by earlier runs would be stopped at once.
pub fn fewer(facts: &LegacyFacts, known: &Known, changes: &Changes) -> Option<String> {
    let active = facts.users.iter().filter(|user| user.is_active);
    let active: HashSet<PrincipalId> = active.filter_map(|user| known.users.get(user.id).copied()).collect();
    let accounts = changes.accounts.iter().filter(|it| it.status == Some(DEACTIVATED));
    let members = changes.memberships.iter().filter(|it| it.status == DEACTIVATED);
    let stopped = accounts.map(|it| it.principal).chain(members.map(|it| it.principal));
    let stopped: HashSet<PrincipalId> = stopped.filter(|it| !active.contains(it)).collect();
    (stopped.len() > GONE_MAX && stopped.len() > active.len()).then(|| {
        format!(
            "{} and are gone there or may not sign in any more, and {}: the database may be another one, or half loaded. Where it is right, accept it \
             with --accept {FEWER}",
            counted(stopped.len() as u64, "user came over by earlier runs", "users came over by earlier runs"),
            counted(active.len() as u64, "goes on", "go on")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_whatever_its_password_is_and_however_it_is_written() {
        let same = [
            "postgres://reader@db/erp?sslmode=require",
            "postgres://reader:secret@db/erp?sslmode=require",
            "postgresql://reader:other@db/erp?password=third&sslmode=require",
        ];
        assert_eq!(same.map(place), [same[0]; 3]);
        for other in
            ["postgres://reader@staging/erp", "postgres://reader@db/erp2", "postgres://reader@db:5433/erp"]
        {
            assert_ne!(place(other), place("postgres://reader:secret@db/erp"), "{other}");
        }
        assert_eq!(place("postgres://reader:secret@db/erp?password=x"), "postgres://reader@db/erp");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("erp.db");
        std::fs::write(&path, "").unwrap();
        let whole = format!("sqlite:{}", path.canonicalize().unwrap().display());
        let around = format!("sqlite://{}/./erp.db", folder.path().display());
        assert_eq!(place(&around), whole);
        let link = folder.path().join("current.db");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(place(&format!("sqlite:{}", link.display())), whole);
    }
}
