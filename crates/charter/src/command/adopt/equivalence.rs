//! The equivalence of before and after: what the other system allows beside what this installation answers, for every user and permission,
//! and for every organization and module.

use super::desk::send;
use super::progress::Progress;
use crate::client::{Call, Client};
use crate::failure::{Failure, Result};
use charter_adopt::answers::Bits;
use charter_adopt::plan::{Ground, Plan};
use charter_adopt::proof::Verdict;
use charter_adopt::rows::{Known, Making};
use charter_adopt::rules::by_home;
use charter_adopt::universe::Universe;
use charter_kernel::catalogue::ModuleScope;
use charter_kernel::{Key, OrganizationId, PrincipalId};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = "50000";

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

/// Members that are named one by one.
const MEMBERS_MAX: usize = 200;

impl Equivalence {
    /// Whether before is after, but for what was accepted.
    pub const fn holds(&self) -> bool {
        self.verdict.holds() && self.modules.is_empty() && self.unaccepted_members == 0
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
            });
        }
    }
    (pairs, differences)
}

/// Compares everything. `run` names the ids of users who are not linked yet.
pub async fn compare(
    client: &Client,
    ground: &Ground<'_>,
    known: &Known,
    accepted: &BTreeSet<String>,
    run: u64,
) -> Result<Equivalence> {
    let making = Making::new(ground.source(known, run));
    let facts = ground.facts;
    let over_all = over_all(client, ground, known, None).await?;
    let lists = by_home(facts, making.organizations().len());
    let mut judge = ground.judge(accepted);
    let mut out = Equivalence {
        verdict: Verdict::default(),
        module_pairs: 0,
        modules: Vec::new(),
        missing: 0,
        unknown_members: 0,
        unaccepted_members: 0,
        members: Vec::new(),
    };
    // Linked users who are gone from the other system may be left with the installation itself.
    let here: BTreeSet<u128> = facts.users.iter().map(|user| making.principal(user.id).0).collect();
    let gone =
        known.users.values().map(|principal| principal.0).filter(|principal| !here.contains(principal));
    let left: Vec<u128> = gone.filter(|principal| over_all.contains(principal)).collect();
    if let Some(platform) = known.platform {
        unknown(client, "platform", &platform.to_string(), left, accepted, &mut out).await?;
    }
    let mut progress = Progress::new("comparing", facts.users.len() as u64);
    let (none, mut done) = (ground.universe.none(), 0);
    for (place, list) in lists.iter().enumerate() {
        let organization = making.organizations().get(place);
        // One that came to the other system since the last run is nowhere here yet, and nobody has anything in it.
        let linked = organization.filter(|row| known.organizations.contains_key(&row.legacy_id));
        let after = match linked {
            Some(row) => Some(ask(client, &row.id, &ground.universe, None).await?),
            None => None,
        };
        if let (Some(row), Some(after)) = (organization, &after) {
            let (pairs, differences) = modules_of(ground, place, &row.legacy_id, after);
            out.module_pairs += pairs;
            out.modules.extend(differences);
        }
        let mut met = Vec::new();
        for user in list.iter().filter_map(|at| facts.users.get(*at as usize)) {
            let principal = making.principal(user.id);
            let bits = after.as_ref().and_then(|after| after.of(principal));
            out.missing += u64::from(organization.is_some() && bits.is_none());
            if bits.is_some() {
                met.push(principal.0);
            }
            judge.user(user, bits.unwrap_or(&none), over_all.contains(&principal.0));
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
        let accepted = accepted.contains(&format!("member:{login}"));
        out.unaccepted_members += u64::from(!accepted);
        if out.members.len() < MEMBERS_MAX {
            out.members.push(UnknownMember { organization: key.to_owned(), login, accepted });
        }
    }
    Ok(())
}

/// Members of the platform organization who may do everything of the installation.
pub(super) async fn over_all(
    client: &Client,
    ground: &Ground<'_>,
    known: &Known,
    without: Option<&Key>,
) -> Result<BTreeSet<u128>> {
    let Some(OrganizationId(platform)) = known.platform else { return Ok(BTreeSet::new()) };
    let after = ask(client, &OrganizationId(platform).to_string(), &ground.universe, without).await?;
    let is_system = |code: &charter_kernel::PermissionCode| {
        let module = ground.catalogue.module(code.module());
        module.is_some_and(|module| module.scope == ModuleScope::System)
    };
    let wanted: Vec<usize> = (0..ground.universe.len())
        .filter(|place| ground.universe.code(*place).is_some_and(is_system))
        .collect();
    let has_all = |member: &&u128| {
        let bits = after.of(PrincipalId(**member));
        bits.is_some_and(|bits| wanted.iter().all(|place| bits.has(*place)))
    };
    Ok(after.members.iter().filter(has_all).copied().collect())
}

/// A proof, as it is kept.
#[derive(Debug, Serialize)]
pub struct Proof<'a> {
    /// The form of this file.
    pub format: u32,
    /// The version of the program that made it.
    pub tool: String,
    /// When it was made.
    pub made_at: String,
    /// The run.
    pub run: u64,
    /// The other system.
    pub source: &'a str,
    /// The plan.
    pub plan: &'a str,
    /// What the other system's rows came to.
    pub facts: &'a str,
    /// What the catalogue came to.
    pub catalogue: &'a str,
    /// Who accepted and approved.
    pub accepted: &'a BTreeSet<String>,
    /// Who approved it.
    pub approved_by: &'a BTreeSet<String>,
    /// What was compared.
    pub equivalence: &'a Equivalence,
}

impl<'a> Proof<'a> {
    /// The proof of a run.
    pub fn new(
        run: u64,
        plan: &'a Plan,
        facts: &'a str,
        catalogue: &'a str,
        equivalence: &'a Equivalence,
    ) -> Self {
        Self {
            format: 1,
            tool: format!("charter {}", env!("CARGO_PKG_VERSION")),
            made_at: crate::installation::now().to_string(),
            run,
            source: plan.source.as_str(),
            plan: &plan.hash,
            facts,
            catalogue,
            accepted: &plan.accepted,
            approved_by: &plan.approved_by,
            equivalence,
        }
    }

    /// Its text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// What is told of an equivalence.
pub fn told(equivalence: &Equivalence) -> String {
    let verdict = &equivalence.verdict;
    let mut told = format!(
        "{} users x permissions and {} organizations x modules compared: ",
        verdict.pairs, equivalence.module_pairs
    );
    if verdict.gains + verdict.losses == 0 && equivalence.modules.is_empty() {
        told.push_str("nobody gained and nobody lost\n");
    } else {
        told.push_str(&format!(
            "{} gained by {} users, {} lost by {} users; {} users with what nobody accepted\n",
            verdict.gains, verdict.users_gaining, verdict.losses, verdict.users_losing, verdict.unaccepted
        ));
    }
    for difference in verdict.named.iter().take(10) {
        let accepted = if difference.accepted { " (accepted)" } else { "" };
        let gains = difference.gains.iter().take(5).map(|code| format!(" +{code}"));
        let losses = difference.losses.iter().take(5).map(|code| format!(" -{code}"));
        let codes: String = gains.chain(losses).collect();
        let shown = difference.gains.len().min(5) + difference.losses.len().min(5);
        let more = (difference.gains.len() + difference.losses.len()).saturating_sub(shown);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        told.push_str(&format!("  {}{accepted}:{codes}{more}\n", difference.login));
    }
    for difference in equivalence.modules.iter().take(10) {
        let (there, here) = if difference.before { ("on", "off") } else { ("off", "on") };
        told.push_str(&format!(
            "  organization {}: {} is {there} in the other system and {here} here\n",
            difference.organization, difference.module
        ));
    }
    if equivalence.missing > 0 {
        told.push_str(&format!(
            "  {} users of the other system are not members here: plan and apply again to take them over\n",
            equivalence.missing
        ));
    }
    if equivalence.unknown_members > 0 {
        told.push_str(&format!(
            "  {} members here have rights and are not users of the other system there, {} of them accepted by nobody:\n",
            equivalence.unknown_members, equivalence.unaccepted_members
        ));
    }
    for member in equivalence.members.iter().take(10) {
        let accepted = if member.accepted { " (accepted)" } else { "" };
        told.push_str(&format!("    {} in {}{accepted}\n", member.login, member.organization));
    }
    told
}
