//! What people gave by hand to those who were taken over, beyond what the other system allows them: no run takes it away, and a plan says so.

use super::equivalence::{self, Accepted, After, Equivalence, UnknownMember};
use super::follow::{self, Looked};
use super::handed_over::{self, first};
use super::here::{Here, text};
use super::legacy::{self, Legacy};
use super::own_role;
use super::runs;
use super::taken;
use crate::client::Client;
use crate::failure::{Failure, Result};
use charter_adopt::answers::Bits;
use charter_adopt::change::Changes;
use charter_adopt::named::Named;
use charter_adopt::over_all::{OverAll, Standing};
use charter_adopt::plan::{self, Ground};
use charter_adopt::rows::{Known, Making};
use charter_adopt::rules::Asking;
use charter_adopt::taken::{Becomes, Found, MODULES_AWAY, MODULES_BACK, TakenAway};
use charter_kernel::{Key, PrincipalId, counted};
use std::collections::{BTreeMap, BTreeSet};

/// Why somebody stops a plan, in the list of everybody.
const OVER_ALL: &str = "gets all of the installation by this run";
const BY_HAND: &str = "has more here by hand than in the other system";
const BY_ANOTHER: &str = "has more here by another source than in the other system";
const UNKNOWN: &str = "has rights here by hand and is no user of the other system there";
const OF_ANOTHER: &str = "has rights here by another source and is no user of the other system there";
/// Organizations that are told with the word by which their modules are switched.
const MODULES_MAX: usize = 5;

/// Looks what stands, what of it changes, and what stands in the way; and whether there is more to be written than stands.
pub async fn look(found: &Legacy, here: &mut Here, accepted: &BTreeSet<String>) -> Result<(Looked, bool)> {
    // What stands in an organization that is another system's as well, or people's own, is looked at before the first run, too.
    let is_first = here.known.standing.is_empty();
    if here.client.is_none() || (is_first && here.organizations.is_empty()) {
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
    if is_first {
        let mut looked = Looked { is_more: true, ..Looked::default() };
        looked.stopping.extend(own_role::stopping(client, &ground, here).await?);
        let by_hand = by_hand(client, &ground, here, &looked.changes, accepted).await?;
        looked.stopping.extend(told(&by_hand, &mut looked.named));
        return Ok((looked, true));
    }
    let mut looked = follow::look(client, &ground, here).await?;
    let (taken, decided) = taken::decide(&ground, here, &looked.changes, &looked.removals, accepted);
    looked.stopping.extend(taken::stopping(&taken, &decided, accepted));
    looked.named.extend(taken::named(&decided));
    ground.away = decided.away.clone();
    looked.decided = decided;
    looked.stopping.extend(handed_over::stopping(client, &ground, here, &looked.changes, accepted).await?);
    let over_all = over_all(&ground, &here.known, Some((&looked.changes, &taken)), accepted);
    let open = over_all.named.iter().filter(|it| !it.accepted);
    looked.named.extend(open.map(|it| Named::why("stops", &it.login, OVER_ALL)));
    looked.over_all = Some(over_all);
    let by_hand = by_hand(client, &ground, here, &looked.changes, accepted).await?;
    looked.stopping.extend(told(&by_hand, &mut looked.named));
    let unknown = by_hand.unknown.values().flat_map(|it| &it.members);
    looked.members = unknown.map(UnknownMember::name).collect();
    looked.is_more = follow::is_more(ground.source(&here.known, 0), &looked.changes);
    let is_more = looked.is_more || is_claimed;
    // Modules that come back are what a run switches, though nothing else is to be written.
    let is_switching = looked.decided.told.modules_that(Becomes::Back).next().is_some();
    if !is_more && !is_switching && looked.stopping.is_empty() && looked.changes.counts().is_none() {
        looked.stopping.extend(unlike(client, &ground, here, accepted, &looked.decided.told).await?);
    }
    Ok((looked, is_more))
}

/// Where nothing is to be changed: whether what stands is what the other system allows, as the proof looks at it.
async fn unlike(
    client: &Client,
    ground: &Ground<'_>,
    here: &Here,
    accepted: &BTreeSet<String>,
    taken: &TakenAway,
) -> Result<Option<String>> {
    let Some(run) = runs::newest(client, &here.source, &["applied"]).await? else { return Ok(None) };
    let number = runs::number(&run);
    let mut names = accepted.clone();
    if let Ok(mut last) = runs::plan_of(client, number).await {
        names.append(&mut last.accepted);
    }
    let accepted = Accepted { names: &names, beyond: &here.beyond(ground).await? };
    let found = equivalence::compare(client, &here.source, ground, &here.known, accepted, number).await?;
    Ok((!found.holds()).then(|| {
        let told: String =
            equivalence::lines(&found).iter().map(|(indent, text)| format!("\n{indent}{text}")).collect();
        format!(
            "nothing changed there, and what stands here is not what the other system allows: people changed it here, or a run of another \
             system did{}{told}",
            modules_back(&found, &here.known, taken)
        )
    }))
}

/// The word by which modules that people removed, and that stand otherwise than in the other system, are switched as they are there.
fn modules_back(found: &Equivalence, known: &Known, taken: &TakenAway) -> String {
    let open = found.modules.iter().filter(|it| !it.accepted);
    let keys = open.filter_map(|it| known.organizations.get(&it.organization)).map(|(_, key)| key.as_str());
    let removed = |key: &&str| taken.modules.iter().any(|it| it.organization == **key);
    let keys: BTreeSet<String> = keys.filter(removed).map(str::to_owned).collect();
    if keys.is_empty() {
        return String::new();
    }
    let keys: Vec<String> = keys.into_iter().collect();
    let words: Vec<String> =
        keys.iter().take(MODULES_MAX).map(|key| format!("--accept {MODULES_BACK}{key}")).collect();
    format!(
        ". Modules that people removed are switched as the other system says, in place of {MODULES_AWAY}KEY, with {}{}",
        words.join(" "),
        plan::more(keys.len() as u64, words.len())
    )
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

/// Whether whatever somebody has beyond some codes is what another source gave: it is not there without that.
fn giver(others: &[(Key, After)], principal: PrincipalId, has_more: impl Fn(&Bits) -> bool) -> Option<&Key> {
    let is_it = |(_, without): &&(Key, After)| !without.of(principal).is_some_and(&has_more);
    others.iter().find(is_it).map(|(source, _)| source)
}

/// What runs of the other sources leave in an organization when they are thought away, one after the other.
async fn without_others(
    client: &Client,
    ground: &Ground<'_>,
    here: &Here,
    id: &str,
) -> Result<Vec<(Key, After)>> {
    let mut others = BTreeSet::new();
    for run in runs::all(client).await?.iter().filter(|run| text(run, "state") != "undone") {
        others.extend(text(run, "source").parse::<Key>().ok().filter(|source| *source != here.source));
    }
    let mut found = Vec::new();
    for source in others {
        let after = equivalence::ask(client, id, &ground.universe, Some(&source)).await?;
        found.push((source, after));
    }
    Ok(found)
}

/// Who has more than the other system allows by what its runs did not give, and whom it does not know; each with the source that gave it, where
/// it was one.
#[derive(Default)]
struct ByHand {
    more: Vec<(String, Option<Key>)>,
    unknown: BTreeMap<Option<Key>, Equivalence>,
}

/// Looks for them.
async fn by_hand(
    client: &Client,
    ground: &Ground<'_>,
    here: &Here,
    changes: &Changes,
    accepted: &BTreeSet<String>,
) -> Result<ByHand> {
    let known = &here.known;
    let without = Some(&here.source);
    let making = Making::new(ground.source(known, 0));
    let asking = |rules| Asking::new(ground.facts, &ground.modules, &ground.universe, rules);
    let (mut before, mut intended) = (asking(&ground.before), asking(&ground.intent.rules));
    let over_all = equivalence::over(client, ground, known.platform, without).await?;
    let lists = charter_adopt::rules::by_home(ground.facts, making.organizations().len());
    let mut found = ByHand::default();
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
        let out = found.unknown.entry(None).or_default();
        equivalence::unknown(client, "platform", &platform.to_string(), gone, accepted, out).await?;
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
        let mut others: Option<Vec<(Key, After)>> = None;
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
            let bits = bits.filter(|_| linked.is_none_or(|(_, id)| !ends(id)));
            let mut allowed = ground.universe.none();
            if bits.is_some() {
                allowed.add(&before.of(user));
                allowed.add(&intended.of(user));
            }
            let has_more = |bits: &Bits| bits.without(&allowed).next().is_some();
            if is_over_all && !changes.stops(principal.0) {
                found.more.push((user.login.to_owned(), None));
            } else if let (true, Some((row, _))) = (bits.is_some_and(has_more), linked) {
                if others.is_none() {
                    others = Some(without_others(client, ground, here, &row.id).await?);
                }
                let giver = giver(others.as_deref().unwrap_or_default(), principal, has_more);
                found.more.push((user.login.to_owned(), giver.cloned()));
            }
        }
        if let (Some((row, id)), Some(after)) = (linked, after) {
            met.sort_unstable();
            let is_unknown = |member: &&u128| met.binary_search(member).is_err();
            let stays = |member: &&u128| !changes.stops(**member) && !changes.ends(id, **member);
            let may = |member: &&u128| after.of(PrincipalId(**member)).is_some_and(|bits| !bits.is_none());
            let unknown = after.members.iter().filter(is_unknown).filter(stays).filter(may);
            let unknown: Vec<u128> = unknown.copied().collect();
            if !unknown.is_empty() && others.is_none() {
                others = Some(without_others(client, ground, here, &row.id).await?);
            }
            let mut by_giver: BTreeMap<Option<Key>, Vec<u128>> = BTreeMap::new();
            for member in unknown {
                let has_any = |bits: &Bits| !bits.is_none();
                let giver = giver(others.as_deref().unwrap_or_default(), PrincipalId(member), has_any);
                by_giver.entry(giver.cloned()).or_default().push(member);
            }
            for (giver, members) in by_giver {
                let out = found.unknown.entry(giver).or_default();
                equivalence::unknown(client, &row.key, &row.id, members, accepted, out).await?;
            }
        }
    }
    Ok(found)
}

fn told(found: &ByHand, named: &mut Vec<Named>) -> Vec<String> {
    let mut drift = Vec::new();
    let mut more: BTreeMap<Option<&Key>, Vec<String>> = BTreeMap::new();
    for (login, giver) in &found.more {
        more.entry(giver.as_ref()).or_default().push(login.clone());
    }
    for (giver, logins) in more {
        let have = counted(
            logins.len() as u64,
            "user has more here than in the other system now",
            "users have more here than in the other system now",
        );
        let who = first(&logins);
        let (why, told) = match giver {
            None => (
                BY_HAND,
                format!(
                    "{have}, given by hand ({who}), and a run takes away only what runs gave: take it from them here"
                ),
            ),
            Some(giver) => (
                BY_ANOTHER,
                format!(
                    "{have}, given by the source {giver} ({who}): what that one says of them stands; take it from them there and follow it, or \
                     give this system an organization of its own"
                ),
            ),
        };
        named.extend(logins.iter().map(|login| Named::why("stops", login, why)));
        drift.push(told);
    }
    for (giver, out) in &found.unknown {
        let open = out.members.iter().filter(|member| !member.accepted);
        let open: Vec<String> =
            open.map(|member| format!("{} in {}", member.login, member.organization)).collect();
        if out.unaccepted_members == 0 {
            continue;
        }
        let are = |by: &str| {
            let one = format!("member has rights here by {by} and is no user of the other system there");
            let more = format!("members have rights here by {by} and are no users of the other system there");
            counted(out.unaccepted_members, &one, &more)
        };
        let shown = open.get(..open.len().min(5)).unwrap_or_default();
        let who = format!("{}{}", shown.join(", "), plan::more(out.unaccepted_members, shown.len()));
        let (why, told) = match giver {
            None => (
                UNKNOWN,
                format!(
                    "{} ({who}): end their memberships, or accept them with --accept member:LOGIN",
                    are("hand")
                ),
            ),
            Some(giver) => (
                OF_ANOTHER,
                format!(
                    "{} ({who}): accept them with --accept member:LOGIN, or give this system an organization of its own",
                    are(&format!("the source {giver}"))
                ),
            ),
        };
        named.extend(open.iter().map(|member| Named::why("stops", member, why)));
        drift.push(told);
    }
    drift
}
