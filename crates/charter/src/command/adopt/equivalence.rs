//! The equivalence of before and after: what the other system allows beside what this installation answers, for every user and permission,
//! and for every organization and module.

use super::desk::send;
use super::progress::Progress;
use crate::client::{Call, Client};
use crate::failure::{Failure, Result};
use crate::output;
use charter_adopt::answers::Bits;
use charter_adopt::plan::{Ground, more};
use charter_adopt::proof::{Beyond, OVER_ALL, Over, Verdict};
use charter_adopt::rows::{Known, Making};
use charter_adopt::rules::by_home;
use charter_adopt::universe::Universe;
use charter_kernel::catalogue::ModuleScope;
use charter_kernel::{Key, OrganizationId, PermissionCode, PrincipalId, counted};
use futures_util::StreamExt;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

const PAGE: &str = "50000";

/// Organizations that are asked about at once.
const ASKED_AHEAD: usize = 3;

/// Lines of a kind that are told; the file of the proof has more.
const TOLD_MAX: usize = 10;
/// Codes that are told of one user, of those gained and of those lost.
const CODES_MAX: usize = 5;

/// What members of the platform organization may do of the installation itself: codes, or [`OVER_ALL`].
pub type OverAll = BTreeMap<u128, BTreeSet<String>>;

/// What members of an organization may do.
pub(super) struct After {
    pub members: Vec<u128>,
    classes: Vec<u32>,
    bits: Vec<Bits>,
    modules: BTreeMap<String, bool>,
}

impl After {
    pub fn of(&self, principal: PrincipalId) -> Option<&Bits> {
        let at = self.members.binary_search(&principal.0).ok()?;
        self.bits.get(*self.classes.get(at)? as usize)
    }
}

/// A module that is on in one and off in the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModuleDifference {
    /// The organization, by its id in the other system.
    pub organization: String,
    /// The module.
    pub module: String,
    /// Whether the other system has it on.
    pub before: bool,
    /// Whether people removed it, and that was accepted by the name of the organization.
    pub accepted: bool,
}

/// What came out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Equivalence {
    /// Users and permissions.
    pub verdict: Verdict,
    /// Organizations times modules.
    pub module_pairs: u64,
    /// Modules that differ.
    pub modules: Vec<ModuleDifference>,
    /// Users of the other system who are not here.
    pub missing: u64,
    /// Members here who may do something, and whom the other system does not know there: all are counted, the first are named.
    pub unknown_members: u64,
    /// Those of them that nobody accepted.
    pub unaccepted_members: u64,
    /// The first of these.
    pub members: Vec<UnknownMember>,
    /// Why nobody can tell who may do what there: then the rest says nothing.
    pub unclear: Vec<String>,
}

/// A member who may do something, and whom the other system does not know there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownMember {
    /// The organization, by its key here.
    pub organization: String,
    /// What the member signs in with.
    pub login: String,
    /// Whether it was accepted by name.
    pub accepted: bool,
}

impl UnknownMember {
    /// The name by which it is accepted.
    pub fn name(&self) -> String {
        format!("{MEMBER}{}", self.login)
    }
}

/// What stands before the login of a member who is accepted by name.
const MEMBER: &str = "member:";
/// Members that are named one by one.
const MEMBERS_MAX: usize = 200;

impl Equivalence {
    /// Modules that differ, which nobody accepted.
    pub fn unaccepted_modules(&self) -> usize {
        self.modules.iter().filter(|it| !it.accepted).count()
    }

    /// Whether before is after, but for what was accepted.
    pub fn holds(&self) -> bool {
        self.verdict.holds()
            && self.unaccepted_modules() == 0
            && self.unaccepted_members == 0
            && self.unclear.is_empty()
    }
}

fn hex(text: &str, places: &[Option<usize>], universe: &Universe) -> Result<Bits> {
    let mut bits = universe.none();
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.ok_or_else(|| Failure::new("the service answered a set that is not hexadecimal"))?;
    for (byte, pair) in digits.chunks(2).enumerate() {
        let value = pair.iter().fold(0, |value, digit| value << 4 | digit);
        for bit in (0..8).filter(|bit| value >> bit & 1 == 1) {
            let place = places.get(byte * 8 + bit).copied().flatten();
            let unknown = || {
                Failure::new("the catalogue has permissions that it had not when this began: run it again")
            };
            bits.set(place.ok_or_else(unknown)?);
        }
    }
    Ok(bits)
}

/// Asks what the members of an organization may do; without what runs of a source wrote, where one is named.
pub(super) async fn ask(
    client: &Client,
    organization: &str,
    universe: &Universe,
    without: Option<&Key>,
) -> Result<After> {
    let mut after =
        After { members: Vec::new(), classes: Vec::new(), bits: Vec::new(), modules: BTreeMap::new() };
    let mut next = String::new();
    loop {
        let call = Call::new("GET", "/api/v1/adoption/answers").ask("organization", organization);
        let call = match without {
            Some(source) => call.ask("without", source.as_str()),
            None => call,
        };
        let call = if next.is_empty() { call } else { call.ask("after", next.as_str()) };
        let page = send(client, &call.ask("limit", PAGE)).await?.json()?;
        let list = |name: &str| page.get(name).and_then(Value::as_array).into_iter().flatten();
        let places: Vec<Option<usize>> = list("codes")
            .map(|code| universe.place(&code.as_str().unwrap_or_default().parse().ok()?))
            .collect();
        let first = u32::try_from(after.bits.len()).unwrap_or(u32::MAX);
        for class in list("classes") {
            after.bits.push(hex(class.as_str().unwrap_or_default(), &places, universe)?);
        }
        for member in list("members") {
            let principal =
                member.get(0).and_then(Value::as_str).and_then(|id| id.parse::<PrincipalId>().ok());
            let class = member.get(1).and_then(Value::as_u64).and_then(|class| u32::try_from(class).ok());
            let (Some(principal), Some(class)) = (principal, class) else {
                return Err(Failure::new("the service told of members in words unknown here"));
            };
            after.members.push(principal.0);
            after.classes.push(first + class);
        }
        if let Some(modules) = page.get("modules").and_then(Value::as_object) {
            let on = |value: &Value| value.as_bool().unwrap_or(false);
            after.modules = modules.iter().map(|(module, value)| (module.clone(), on(value))).collect();
        }
        match page.get("next").and_then(Value::as_str) {
            Some(more) => more.clone_into(&mut next),
            None => return Ok(after),
        }
    }
}

/// What the other system's modules say of an organization beside what is entitled here.
fn modules_of(
    ground: &Ground<'_>,
    place: usize,
    legacy_id: &str,
    after: &After,
) -> (u64, Vec<ModuleDifference>) {
    let on = u32::try_from(place).ok().and_then(|place| ground.modules.kind(place));
    let on = on.and_then(|kind| ground.modules.on(kind));
    let is_open = u32::try_from(place).is_ok_and(|place| charter_adopt::rules::is_open(ground.facts, place));
    let (mut pairs, mut differences) = (0, Vec::new());
    let modules = ground.catalogue.modules.iter().filter(|module| module.scope == ModuleScope::Organization);
    for module in modules.filter(|_| is_open) {
        pairs += 1;
        let before = module.always_on || on.is_some_and(|on| on.contains(&module.key));
        if after.modules.get(module.key.as_str()).copied().unwrap_or(false) != before {
            differences.push(ModuleDifference {
                organization: legacy_id.to_owned(),
                module: module.key.as_str().to_owned(),
                before,
                accepted: before && ground.away.has_module(place, module.key.as_str()),
            });
        }
    }
    (pairs, differences)
}

/// What was accepted: by name, and what accounts may have of the installation itself.
#[derive(Debug, Clone, Copy)]
pub struct Accepted<'a> {
    /// Names.
    pub names: &'a BTreeSet<String>,
    /// What accounts may have whose names are among them.
    pub beyond: &'a Beyond,
}

/// Compares everything. `run` names the ids of users who are not linked yet.
pub async fn compare(
    client: &Client,
    source: &Key,
    ground: &Ground<'_>,
    known: &Known,
    accepted: Accepted<'_>,
    run: u64,
) -> Result<Equivalence> {
    let making = Making::new(ground.source(known, run));
    let facts = ground.facts;
    let over_all = over(client, ground, known.platform, None).await?;
    let lists = by_home(facts, making.organizations().len());
    let mut judge = ground.judge(accepted.names, accepted.beyond);
    let accepted = accepted.names;
    let mut out = Equivalence {
        verdict: Verdict::default(),
        module_pairs: 0,
        modules: Vec::new(),
        missing: 0,
        unknown_members: 0,
        unaccepted_members: 0,
        members: Vec::new(),
        unclear: Vec::new(),
    };
    // Linked users who are gone from the other system may be left with the installation itself.
    let over_here = |principal: &PrincipalId| over_all.contains_key(&principal.0);
    let here: BTreeSet<PrincipalId> =
        facts.users.iter().map(|user| making.principal(user.id)).filter(over_here).collect();
    let gone = known.users.values().filter(|principal| over_here(principal) && !here.contains(principal));
    let left: Vec<u128> = gone.map(|principal| principal.0).collect();
    if let Some(platform) = known.platform {
        unknown(client, "platform", &platform.to_string(), left, accepted, &mut out).await?;
    }
    let mut progress = Progress::new("comparing", facts.users.len() as u64);
    let (none, mut done) = (ground.universe.none(), 0);
    // One that came to the other system since the last run is nowhere here yet, and nobody has anything in it.
    let linked = |place: usize| {
        let organization = making.organizations().get(place);
        organization.filter(|row| known.organizations.contains_key(&row.legacy_id))
    };
    let asked = (0..lists.len()).map(|place| {
        let row = linked(place);
        async move {
            match row {
                Some(row) => Ok(Some(ask(client, &row.id, &ground.universe, None).await?)),
                None => Ok::<_, Failure>(None),
            }
        }
    });
    let mut answers = pin!(futures_util::stream::iter(asked).buffered(ASKED_AHEAD));
    for (place, list) in lists.iter().enumerate() {
        let organization = making.organizations().get(place);
        let after = answers.next().await.transpose()?.flatten();
        if let (Some(row), Some(after)) = (organization, &after) {
            let (pairs, differences) = modules_of(ground, place, &row.legacy_id, after);
            out.module_pairs += pairs;
            out.modules.extend(differences);
        }
        let (mut met, mut by_hand) = (Vec::new(), None);
        for user in list.iter().filter_map(|at| facts.users.get(*at as usize)) {
            let principal = making.principal(user.id);
            let bits = after.as_ref().and_then(|after| after.of(principal));
            let is_kept_out = ground.away.of(user).is_some_and(|less| less.all);
            out.missing += u64::from(organization.is_some() && bits.is_none() && !is_kept_out);
            if bits.is_some() {
                met.push(principal.0);
            }
            let parts = over_all.get(&principal.0);
            let all = parts.is_some_and(|parts| parts.contains(OVER_ALL));
            let bits = bits.unwrap_or(&none);
            // What people gave again by hand is theirs to give; what runs give is kept away.
            let mut regained = judge.regained(user, bits);
            if let Some(row) = organization.filter(|_| !regained.is_none()) {
                let asked = match by_hand.take() {
                    Some(asked) => asked,
                    None => ask(client, &row.id, &ground.universe, Some(source)).await?,
                };
                regained.remove(asked.of(principal).unwrap_or(&none));
                by_hand = Some(asked);
            }
            judge.user_with(user, bits, Over { all, parts }, &regained);
            done += 1;
            progress.at(done);
        }
        if let (Some(row), Some(after)) = (organization, after) {
            met.sort_unstable();
            let is_unknown = |member: &&u128| met.binary_search(member).is_err();
            let may = |member: &&u128| after.of(PrincipalId(**member)).is_some_and(|bits| !bits.is_none());
            let others: Vec<u128> = after.members.iter().filter(is_unknown).filter(may).copied().collect();
            unknown(client, &row.key, &row.id, others, accepted, &mut out).await?;
        }
    }
    drop(progress);
    // Those that are gone from the other system are nobody's there: whoever may do something in them is unknown to it.
    let there: BTreeSet<&str> = making.organizations().iter().map(|row| row.legacy_id.as_str()).collect();
    for (_, (id, key)) in
        known.organizations.iter().filter(|(legacy_id, _)| !there.contains(legacy_id.as_str()))
    {
        let after = ask(client, &id.to_string(), &ground.universe, None).await?;
        let may = |member: &&u128| after.of(PrincipalId(**member)).is_some_and(|bits| !bits.is_none());
        let left: Vec<u128> = after.members.iter().filter(may).copied().collect();
        unknown(client, key.as_str(), &id.to_string(), left, accepted, &mut out).await?;
    }
    out.verdict = judge.verdict();
    Ok(out)
}

/// Takes note of members whom the other system does not know.
pub(super) async fn unknown(
    client: &Client,
    key: &str,
    organization: &str,
    members: Vec<u128>,
    accepted: &BTreeSet<String>,
    out: &mut Equivalence,
) -> Result<()> {
    out.unknown_members += members.len() as u64;
    for (at, member) in members.into_iter().enumerate() {
        if at >= MEMBERS_MAX {
            // Nobody accepts by name whom nobody names.
            out.unaccepted_members += 1;
            continue;
        }
        let path = format!("/api/v1/organizations/{organization}/members/{}", PrincipalId(member));
        let found = send(client, &Call::new("GET", path)).await?.json()?;
        let login = found.get("login").and_then(Value::as_str).unwrap_or_default().to_owned();
        let accepted = accepted.contains(&format!("{MEMBER}{login}"));
        out.unaccepted_members += u64::from(!accepted);
        if out.members.len() < MEMBERS_MAX {
            out.members.push(UnknownMember { organization: key.to_owned(), login, accepted });
        }
    }
    Ok(())
}

/// What members of the platform organization may do of the installation itself, those who may do anything of it; without what the runs of a
/// source gave.
pub async fn over(
    client: &Client,
    ground: &Ground<'_>,
    platform: Option<OrganizationId>,
    without: Option<&Key>,
) -> Result<OverAll> {
    let Some(platform) = platform else { return Ok(OverAll::new()) };
    let after = ask(client, &platform.to_string(), &ground.universe, without).await?;
    let is_system = |code: &&PermissionCode| {
        let module = ground.catalogue.module(code.module());
        module.is_some_and(|module| module.scope == ModuleScope::System)
    };
    let wanted: Vec<(usize, &PermissionCode)> =
        ground.universe.codes().iter().enumerate().filter(|(_, code)| is_system(code)).collect();
    let words = |member: &u128| {
        let bits = after.of(PrincipalId(*member))?;
        let has = wanted.iter().filter(|(place, _)| bits.has(*place));
        let has: BTreeSet<String> = has.map(|(_, code)| code.as_str().to_owned()).collect();
        let is_all = has.len() == wanted.len();
        (!has.is_empty()).then(|| if is_all { BTreeSet::from([OVER_ALL.to_owned()]) } else { has })
    };
    Ok(after.members.iter().filter_map(|member| Some((*member, words(member)?))).collect())
}

/// How much was gained and lost, by how many.
pub fn sums(verdict: &Verdict) -> String {
    if verdict.gains + verdict.losses + verdict.nameless == 0 && verdict.left_out == 0 {
        return "nobody gains and nobody loses".to_owned();
    }
    let users = |count| counted(count, "user", "users");
    let left_out = match verdict.left_out {
        0 => String::new(),
        count => format!(
            "; {} of no organization that is there, and left out",
            counted(count, "user is", "users are")
        ),
    };
    format!(
        "{} gained by {}, {} lost by {}{left_out}",
        verdict.gains,
        users(verdict.users_gaining),
        verdict.losses,
        users(verdict.users_losing)
    )
}

/// What is told of an equivalence.
pub fn told(equivalence: &Equivalence) -> String {
    lines(equivalence).iter().map(|(heading, text)| output::wrapped(heading, text)).collect()
}

/// The same, line by line and not broken to any width, each with what stands before it.
pub fn lines(equivalence: &Equivalence) -> Vec<(&'static str, String)> {
    let verdict = &equivalence.verdict;
    let mut first = format!(
        "{} users x permissions, {} organizations x modules compared: ",
        verdict.pairs, equivalence.module_pairs
    );
    if !equivalence.unclear.is_empty() {
        first.push_str("nobody can tell who may do what in the other system, so nothing is proved: ");
        first.push_str(&equivalence.unclear.join("; "));
    } else if verdict.gains + verdict.losses + verdict.left_out + verdict.nameless == 0
        && equivalence.modules.is_empty()
    {
        first.push_str("nobody gained and nobody lost");
    } else {
        first.push_str(&format!(
            "{}; {}",
            sums(verdict),
            counted(verdict.unaccepted, "user with what nobody accepted", "users with what nobody accepted")
        ));
    }
    let mut told = vec![("", first)];
    for difference in verdict.named.iter().take(TOLD_MAX) {
        let left_out = if difference.is_left_out || difference.is_nameless { " (left out)" } else { "" };
        let accepted = if difference.accepted { " (accepted)" } else { "" };
        let gains = difference.gains.iter().take(CODES_MAX).map(|code| format!(" +{code}"));
        let losses = difference.losses.iter().take(CODES_MAX).map(|code| format!(" -{code}"));
        let codes: String = gains.chain(losses).collect();
        let shown = difference.gains.len().min(CODES_MAX) + difference.losses.len().min(CODES_MAX);
        let more = more((difference.gains.len() + difference.losses.len()) as u64, shown);
        told.push(("  ", format!("{}{left_out}{accepted}:{codes}{more}", difference.login)));
    }
    told.extend(others("  ", verdict.users_differing, verdict.named.len()));
    for difference in equivalence.modules.iter().take(TOLD_MAX) {
        let (there, here) = if difference.before { ("on", "off") } else { ("off", "on") };
        let accepted = if difference.accepted { " (accepted)" } else { "" };
        let (organization, module) = (&difference.organization, &difference.module);
        told.push((
            "  ",
            format!(
                "organization {organization}: {module} is {there} in the other system and {here} here{accepted}"
            ),
        ));
    }
    told.extend(others("  ", equivalence.modules.len() as u64, equivalence.modules.len()));
    if equivalence.missing > 0 {
        let are = counted(
            equivalence.missing,
            "user of the other system is no member here",
            "users of the other system are no members here",
        );
        told.push(("  ", format!("{are}: plan and apply again to take over who is missing")));
    }
    if equivalence.unknown_members > 0 {
        let are = counted(
            equivalence.unknown_members,
            "member here has rights and is no user of the other system there",
            "members here have rights and are no users of the other system there",
        );
        let open = match equivalence.unaccepted_members {
            0 => "accepted by name".to_owned(),
            open => format!("{open} accepted by nobody"),
        };
        told.push(("  ", format!("{are}, {open}:")));
    }
    for member in equivalence.members.iter().take(TOLD_MAX) {
        let accepted = if member.accepted { " (accepted)" } else { "" };
        told.push(("    ", format!("{} in {}{accepted}", member.login, member.organization)));
    }
    told.extend(others("    ", equivalence.unknown_members, equivalence.members.len()));
    told
}

/// Says how many of a list that is cut are not told.
fn others(indent: &'static str, all: u64, named: usize) -> Option<(&'static str, String)> {
    let more = more(all, named.min(TOLD_MAX));
    (!more.is_empty()).then(|| (indent, more.trim_start().to_owned()))
}
