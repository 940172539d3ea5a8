//! What people gave by hand to those who were taken over, beyond what the other system allows them: no run takes it away, and a plan says so.

use super::equivalence::{self, Equivalence, UnknownMember};
use super::follow::{self, Looked};
use super::here::{Here, text};
use super::legacy::{self, Legacy};
use super::runs;
use super::taken;
use crate::client::Client;
use crate::failure::{Failure, Result};
use charter_adopt::accepting::LOGINS;
use charter_adopt::change::Changes;
use charter_adopt::named::Named;
use charter_adopt::over_all::{OverAll, Standing};
use charter_adopt::plan::{self, Ground};
use charter_adopt::rows::{Known, Making};
use charter_adopt::rules::Asking;
use charter_adopt::taken::Found;
use charter_kernel::{PrincipalId, counted};
use std::collections::BTreeSet;

/// Why somebody stops a plan, in the list of everybody.
const OVER_ALL: &str = "gets all of the installation by this run";
const BY_HAND: &str = "has more here by hand than in the other system";
const UNKNOWN: &str = "has rights here by hand and is no user of the other system there";

/// Looks what stands, what of it changes, and what stands in the way; and whether there is more to be written than stands.
pub async fn look(found: &Legacy, here: &mut Here, accepted: &BTreeSet<String>) -> Result<(Looked, bool)> {
    if here.client.is_none() || here.known.standing.is_empty() {
        return Ok((Looked::default(), true));
    }
    if let Some(stopping) = other_system(here, found).await? {
        return Ok((Looked { stopping: vec![stopping], ..Looked::default() }, true));
    }
    let linked = here.known.users.len();
    here.claim(found).await?;
    let is_claimed = here.known.users.len() > linked;
    let (Some(client), Some(mapping)) = (&here.client, &found.mapping) else {
        return Ok((Looked::default(), true));
    };
    let (catalogue, _) = here.catalogue(found)?;
    let mut ground = Ground::new(&found.heard.facts, mapping, catalogue)
        .map_err(|wrong| Failure::new(wrong.to_string()))?;
    let mut looked = follow::look(client, &ground, here).await?;
    let (taken, decided) = taken::decide(&ground, here, &looked.changes, &looked.removals, accepted);
    looked.stopping.extend(taken::stopping(&taken, &decided, accepted));
    ground.away = decided.away.clone();
    looked.decided = decided;
    looked.stopping.extend(renamed(&looked.changes, accepted));
    let over_all = over_all(&ground, &here.known, Some((&looked.changes, &taken)), accepted);
    let open = over_all.named.iter().filter(|it| !it.accepted);
    looked.named.extend(open.map(|it| Named::why("stops", &it.login, OVER_ALL)));
    looked.over_all = Some(over_all);
    let by_hand = by_hand(client, &ground, here, &looked.changes, accepted).await?;
    looked.stopping.extend(told(&by_hand, &mut looked.named));
    looked.members = by_hand.1.members.iter().map(UnknownMember::name).collect();
    looked.is_more = follow::is_more(ground.source(&here.known, 0), &looked.changes);
    let is_more = looked.is_more || is_claimed;
    Ok((looked, is_more))
}

/// Accounts that would get another login: whoever has the id there by now gets the account, with its password and its keys.
fn renamed(changes: &Changes, accepted: &BTreeSet<String>) -> Option<String> {
    let is_open = |login: &str| !accepted.contains(LOGINS) && !accepted.contains(&format!("account:{login}"));
    let turns =
        changes.accounts.iter().filter_map(|it| Some((it.login_before.as_str(), it.login.as_deref()?)));
    let open: Vec<(&str, &str)> = turns.filter(|(_, login)| is_open(login)).collect();
    let shown: Vec<String> =
        open.iter().take(5).map(|(before, login)| format!("{before} -> {login}")).collect();
    let count = open.len() as u64;
    (count > 0).then(|| {
        format!(
            "{} another login there ({}{}): whoever has it gets the account with its password and keys; accept each with --accept \
             account:LOGIN by the new login, or all with --accept {LOGINS}",
            counted(count, "account has", "accounts have"),
            shown.join(", "),
            plan::more(count, shown.len())
        )
    })
}

/// Who would get all of the installation. What people took from them by hand is told by itself.
pub fn over_all(
    ground: &Ground<'_>,
    known: &Known,
    later: Option<(&Changes, &Found)>,
    accepted: &BTreeSet<String>,
) -> OverAll {
    let is_asked = |id: &str| later.is_some_and(|(_, taken)| taken.has(id));
    let kept = later.map(|(changes, _)| &changes.kept);
    OverAll::find(ground, &Standing { known, kept, is_asked: &is_asked, is_later: later.is_some() }, accepted)
}

/// Whether the name of the source is another system's here.
async fn other_system(here: &Here, found: &Legacy) -> Result<Option<String>> {
    let Some(client) = &here.client else { return Ok(None) };
    let all = runs::all(client).await?;
    let other = all.iter().find(|run| {
        text(run, "source") == here.source.as_str()
            && text(run, "state") != "undone"
            && text(run, "system") != legacy::name(found.system)
    });
    Ok(other.map(|other| {
        format!(
            "{} is the name of another system here ({}): give this one a name of its own with --source",
            here.source,
            text(other, "system")
        )
    }))
}

/// Who has more by hand than the other system allows, and whom it does not know.
async fn by_hand(
    client: &Client,
    ground: &Ground<'_>,
    here: &Here,
    changes: &Changes,
    accepted: &BTreeSet<String>,
) -> Result<(Vec<String>, Equivalence)> {
    let known = &here.known;
    let without = Some(&here.source);
    let making = Making::new(ground.source(known, 0));
    let asking = |rules| Asking::new(ground.facts, &ground.modules, &ground.universe, rules);
    let (mut before, mut intended) = (asking(&ground.before), asking(&ground.intent.rules));
    let over_all = equivalence::over(client, ground, known.platform, without).await?;
    let lists = charter_adopt::rules::by_home(ground.facts, making.organizations().len());
    let (mut out, mut more) = (Equivalence::default(), Vec::new());
    let present: BTreeSet<u128> = ground
        .facts
        .users
        .iter()
        .map(|user| making.principal(user.id).0)
        .filter(|id| over_all.contains_key(id))
        .collect();
    let gone = known.users.values().map(|principal| principal.0);
    let mut gone: Vec<u128> = gone.filter(|id| over_all.contains_key(id) && !present.contains(id)).collect();
    gone.retain(|id| !changes.stops(*id));
    gone.sort_unstable();
    gone.dedup();
    if let Some(platform) = known.platform {
        equivalence::unknown(client, "platform", &platform.to_string(), gone, accepted, &mut out).await?;
    }
    for (place, list) in lists.iter().enumerate() {
        let organization = making.organizations().get(place);
        let linked =
            organization.and_then(|row| known.organizations.get(&row.legacy_id).map(|(id, _)| (row, *id)));
        let after = match linked {
            Some((_, id)) if changes.closes(id) => None,
            Some((row, _)) => Some(equivalence::ask(client, &row.id, &ground.universe, without).await?),
            None => None,
        };
        let mut met = Vec::new();
        for user in list.iter().filter_map(|at| ground.facts.users.get(*at as usize)) {
            let principal = making.principal(user.id);
            met.push(principal.0);
            let is_over_all = over_all.contains_key(&principal.0)
                && known.is_own(principal)
                && !before.is_over_all(user)
                && !intended.is_over_all(user);
            let ends = |id| changes.stops(principal.0) || changes.ends(id, principal.0);
            let bits = after.as_ref().and_then(|after| after.of(principal)).filter(|bits| !bits.is_none());
            let has_more = bits.filter(|_| linked.is_none_or(|(_, id)| !ends(id))).is_some_and(|bits| {
                let mut allowed = ground.universe.none();
                allowed.add(&before.of(user));
                allowed.add(&intended.of(user));
                bits.without(&allowed).next().is_some()
            });
            if has_more || (is_over_all && !changes.stops(principal.0)) {
                more.push(user.login.to_owned());
            }
        }
        if let (Some((row, id)), Some(after)) = (linked, after) {
            met.sort_unstable();
            let is_unknown = |member: &&u128| met.binary_search(member).is_err();
            let stays = |member: &&u128| !changes.stops(**member) && !changes.ends(id, **member);
            let may = |member: &&u128| after.of(PrincipalId(**member)).is_some_and(|bits| !bits.is_none());
            let others = after.members.iter().filter(is_unknown).filter(stays).filter(may);
            let others: Vec<u128> = others.copied().collect();
            equivalence::unknown(client, &row.key, &row.id, others, accepted, &mut out).await?;
        }
    }
    Ok((more, out))
}

fn told((more, out): &(Vec<String>, Equivalence), named: &mut Vec<Named>) -> Vec<String> {
    named.extend(more.iter().map(|login| Named::why("stops", login, BY_HAND)));
    let mut drift = Vec::new();
    if !more.is_empty() {
        drift.push(format!(
            "{} users have more here than in the other system now, given by hand ({}{}), and a run takes away only what runs gave: take it \
             from them here",
            more.len(),
            more.iter().take(5).cloned().collect::<Vec<_>>().join(", "),
            if more.len() > 5 { ", ..." } else { "" }
        ));
    }
    let others = out.members.iter().filter(|member| !member.accepted);
    let others: Vec<String> =
        others.map(|member| format!("{} in {}", member.login, member.organization)).collect();
    named.extend(others.iter().map(|member| Named::why("stops", member, UNKNOWN)));
    if out.unaccepted_members > 0 {
        drift.push(format!(
            "{} members have rights here by hand and are not users of the other system there ({}{}): end their memberships, or accept them \
             with --accept member:LOGIN",
            out.unaccepted_members,
            others.iter().take(5).cloned().collect::<Vec<_>>().join(", "),
            if out.unaccepted_members > 5 { ", ..." } else { "" }
        ));
    }
    drift
}
