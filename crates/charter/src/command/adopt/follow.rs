//! What a run changes and takes away of what runs before it wrote: looked up page by page for a plan and again for the run, told, and sent.

use super::desk::{Desk, send};
use super::here::Here;
use super::progress::Progress;
use super::runs;
use super::{data, handed_over, taken};
use crate::client::{Call, Client};
use crate::failure::{Failure, Result};
use crate::output;
use charter_adopt::away::Away;
use charter_adopt::change::{
    AccountChange, ChangeCounts, Changes, Held, HeldAccount, MembershipChange, ModuleChange,
    OrganizationChange, in_order,
};
use charter_adopt::following::Following;
use charter_adopt::named::{self, Named};
use charter_adopt::over_all::OverAll;
use charter_adopt::plan::{Ground, Plan, more};
use charter_adopt::removals::Removals;
use charter_adopt::rows::{Making, Rows, Source};
use charter_adopt::taken::{Decided, TakenAway};
use charter_app::text;
use charter_kernel::{Key, OrganizationId, counted};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};

/// Members, or accounts, of one page.
const PAGE: &str = "20000";
/// Rows of one call; accounts cost more.
const ROWS: usize = 5_000;
const ACCOUNTS: usize = 500;
/// Logins of one question.
const LOGINS: usize = 5_000;
const ACTIVE: &str = "active";
/// What becomes of a user who came since the last run.
const NEW: &str = "new";
/// Accounts of a kind that are told by their logins.
const TOLD_MAX: usize = 5;

/// What came out.
#[derive(Default)]
pub struct Looked {
    /// What is changed.
    pub changes: Changes,
    /// What keeps the plan from being carried out.
    pub stopping: Vec<String>,
    /// What stays otherwise here than there.
    pub left: Vec<String>,
    /// Everybody and everything that is changed, stays or stops the plan, one by one.
    pub named: Vec<Named>,
    /// Whether something would be written that does not stand.
    pub is_more: bool,
    /// Who would get all of the installation, where that was looked at with what stands.
    pub over_all: Option<OverAll>,
    /// Users who came since the last run.
    pub new_users: u64,
    /// Members who have rights here and are no users there, by the names by which they are accepted.
    pub members: BTreeSet<String>,
    /// What people took away by hand.
    pub removals: Removals,
    /// What becomes of it.
    pub decided: Decided,
}

#[derive(Deserialize)]
struct Accounts {
    items: Vec<HeldAccount>,
    next: Option<String>,
}

fn login(text: &str) -> Option<String> {
    text::login("login", text).ok()
}

fn name(text: &str) -> Option<String> {
    text::name("name", text).ok()
}

async fn page<T: serde::de::DeserializeOwned>(client: &Client, call: &Call) -> Result<T> {
    let value = send(client, call).await?.json()?;
    serde_json::from_value(value).map_err(|flaw| {
        Failure::new(format!("the service told of what stands in words unknown here: {flaw}"))
    })
}

/// Looks what stands and what of it the other system has otherwise by now. Before there was a run that stands, nothing is asked.
pub async fn look(client: &Client, ground: &Ground<'_>, here: &Here) -> Result<Looked> {
    let known = &here.known;
    if known.standing.is_empty() {
        return Ok(Looked { is_more: true, ..Looked::default() });
    }
    let mut following = Following::new(Making::new(ground.source(known, 0)), login, name);
    let mut after = String::new();
    loop {
        let call = Call::new("GET", "/api/v1/adoption/held/accounts").ask("source", here.source.as_str());
        let call = if after.is_empty() { call } else { call.ask("after", after.as_str()) };
        let found: Accounts = page(client, &call.ask("limit", PAGE)).await?;
        found.items.iter().for_each(|account| following.account(account));
        match found.next {
            Some(next) => after = next,
            None => break,
        }
    }
    let places = known.standing.iter().map(|(legacy_id, id)| (following.place(legacy_id), *id));
    let places: Vec<_> = places.chain(known.platform.map(|id| (None, id))).collect();
    let mut progress = Progress::new("looking at what stands", places.len() as u64);
    for (done, (place, organization)) in places.into_iter().enumerate() {
        one(client, &here.source, &mut following, place, organization).await?;
        progress.at(done as u64 + 1);
    }
    drop(progress);
    let mut removals = following.removals();
    removals.keep(taken::kept(client, &here.source).await?);
    let (mut changes, mut stopping, left) = following.end();
    stopping.extend(logins_taken(client, &changes).await?);
    let mut named = named::changed(&changes);
    named.append(&mut changes.told);
    let mut came: Vec<&str> = ground
        .facts
        .users
        .iter()
        .filter(|user| !known.users.contains_key(user.id))
        .map(|user| user.login)
        .collect();
    came.sort_unstable();
    came.dedup();
    named.extend(came.iter().map(|login| Named::of(NEW, login, None)));
    let new_users = came.len() as u64;
    Ok(Looked { changes, stopping, left, named, removals, new_users, ..Looked::default() })
}

async fn one(
    client: &Client,
    source: &Key,
    following: &mut Following<'_>,
    place: Option<u32>,
    organization: OrganizationId,
) -> Result<()> {
    let mut after = None;
    loop {
        let call = Call::new("GET", "/api/v1/adoption/held").ask("source", source.as_str());
        let call = call.ask("organization", organization.to_string()).ask("limit", PAGE);
        let is_first = after.is_none();
        let call = match &after {
            Some(after) => call.ask("after", String::clone(after)),
            None => call,
        };
        let held: Held = page(client, &call).await?;
        following.organization(organization, place, &held, is_first);
        match held.next {
            Some(next) => after = Some(next.to_string()),
            None => return Ok(()),
        }
    }
}

/// Whether a run would write something that does not stand: users, organizations, or rights.
pub fn is_more(source: Source<'_>, changes: &Changes) -> bool {
    let mut making = Making::new(Source { kept: Some(&changes.kept), ..source });
    let known = source.known;
    if making.organizations().iter().any(|row| !known.organizations.contains_key(&row.legacy_id)) {
        return true;
    }
    source.facts.users.iter().any(|user| {
        let mut rows = Rows::default();
        making.member(user, &mut rows);
        !rows.assignments.is_empty() || !rows.grants.is_empty() || !known.users.contains_key(user.id)
    })
}

/// Accounts that have a login which another is to get.
async fn logins_taken(client: &Client, changes: &Changes) -> Result<Vec<String>> {
    let renamed = |it: &&AccountChange| it.login.is_some();
    let going: HashSet<String> =
        changes.accounts.iter().filter(renamed).map(|it| it.principal.to_string()).collect();
    let wanted: Vec<(&AccountChange, &str)> =
        changes.accounts.iter().filter_map(|it| Some((it, it.login.as_deref()?))).collect();
    let mut stopping = Vec::new();
    for part in wanted.chunks(LOGINS) {
        let logins: Vec<&str> = part.iter().map(|(_, login)| *login).collect();
        let call = Call::new("POST", "/api/v1/adoption/accounts").json(&json!({ "logins": logins }));
        let answer = send(client, &call).await?.json()?;
        let accounts = answer.get("accounts").and_then(Value::as_array).cloned().unwrap_or_default();
        for ((change, login), account) in part.iter().zip(accounts) {
            let Some(id) = account.get("id").and_then(Value::as_str) else { continue };
            if !going.contains(id) {
                stopping.push(format!(
                    "{} has the login {login} there now, and another account has it here: change that account's login, or the user's there",
                    change.login_before
                ));
            }
        }
    }
    Ok(stopping)
}

/// Says what a plan goes on from. One that comes to what the newest run carried out, or is carrying out, is that run's plan. Gives the run after which
/// nothing changed.
pub async fn follows(client: &Client, plan: &mut Plan, is_more: bool) -> Result<Option<u64>> {
    let Some(run) = runs::newest(client, &plan.source, &["applied", "applying", "failed"]).await? else {
        return Ok(None);
    };
    let number = runs::number(&run);
    let is_applied = super::here::text(&run, "state") == "applied";
    let mut is_unchanged = false;
    if let Ok(last) = runs::plan_of(client, number).await {
        let same = Plan {
            follows: last.follows,
            changes: last.changes.clone(),
            left: last.left.clone(),
            named: last.named.clone(),
            taken: last.taken.clone(),
            passwords: last.passwords,
            over_all: last.over_all.clone(),
            new_users: last.new_users,
            ..plan.clone()
        };
        let is_done = match is_applied {
            true => plan.changes.is_none() && !is_more && plan.taken.is_done_by(&last.taken),
            false => plan.changes.is_within(&last.changes) && is_as_taken(&run, &plan.taken, &last.taken),
        };
        is_unchanged = is_done && is_applied;
        if is_done && same.sum() == last.hash {
            *plan = same;
            return Ok(is_unchanged.then_some(number));
        }
    }
    plan.follows = Some(number);
    Ok(is_unchanged.then_some(number))
}

/// Looks again, and refuses when it does not come to what the plan says; gives what changes and what stays away, and whether the run is applied
/// already: then nothing is looked at.
pub async fn as_planned(
    client: &Client,
    ground: &Ground<'_>,
    here: &Here,
    plan: &Plan,
) -> Result<(Changes, Away, bool)> {
    let newest = runs::newest(client, &plan.source, &["applied", "applying", "failed"]).await?;
    let begun = newest.clone().filter(|run| super::here::text(run, "plan_hash") == plan.hash);
    if begun.as_ref().is_some_and(|run| super::here::text(run, "state") == "applied") {
        return Ok((Changes::default(), taken::of_newest(client, ground, here, &plan.accepted).await?, true));
    }
    if begun.is_none() && newest.as_ref().map(runs::number) != plan.follows {
        return Err(Failure::new("another run came or went since the plan was made: make the plan again"));
    }
    let mut looked = look(client, ground, here).await?;
    let handed = handed_over::stopping(client, ground, here, &looked.changes, &plan.accepted).await?;
    looked.stopping.extend(handed);
    let counts = looked.changes.counts();
    let is_same = match &begun {
        // Some of it is done.
        Some(_) => counts.is_within(&plan.changes),
        None => counts == plan.changes && is_among(&plan.named, &looked.named),
    };
    let (_, decided) = taken::decide(ground, here, &looked.changes, &looked.removals, &plan.accepted);
    let is_as_taken = match &begun {
        Some(run) => is_as_taken(run, &decided.told, &plan.taken),
        None => decided.told == plan.taken,
    };
    if !is_as_taken {
        return Err(Failure::new(
            "people took something away here since the plan was made, or gave it again: make the plan again",
        ));
    }
    if is_same && looked.stopping.is_empty() {
        return Ok((looked.changes, decided.away, false));
    }
    let why = looked.stopping.first().map(|why| format!(": {why}")).unwrap_or_default();
    Err(Failure::new(format!(
        "what runs before this one wrote is not as it was when the plan was made: make the plan again{why}"
    )))
}

/// Whether what people took away is what the plan of a run says of it. Once the run was opened, what it gave back stands: what is not there then
/// was taken away since.
fn is_as_taken(run: &Value, now: &TakenAway, planned: &TakenAway) -> bool {
    match super::here::text(run, "opened_at") {
        "" => now == planned,
        _ => now.is_what_stands_of(planned),
    }
}

/// Whether the accounts that a plan names are among those that change.
fn is_among(planned: &[Named], found: &[Named]) -> bool {
    let changes = |it: &&Named| it.why.is_none();
    let found: HashSet<(&str, &str, Option<&str>)> = found
        .iter()
        .filter(changes)
        .map(|it| (it.what.as_str(), it.who.as_str(), it.now.as_deref()))
        .collect();
    let mut planned = planned.iter().filter(changes);
    planned.all(|it| found.contains(&(it.what.as_str(), it.who.as_str(), it.now.as_deref())))
}

/// Sends changes in calls that are not too large.
struct Sending<'a> {
    desk: &'a Desk<'a>,
    progress: Progress,
    done: u64,
}

impl Sending<'_> {
    async fn list<T: serde::Serialize>(&mut self, name: &str, list: &[T], most: usize) -> Result<()> {
        for part in list.chunks(most) {
            self.desk.changes(json!({ name: part })).await?;
            self.done += part.len() as u64;
            self.progress.at(self.done);
        }
        Ok(())
    }
}

/// Carries the changes out: what takes away comes first.
pub async fn write(desk: &Desk<'_>, changes: &Changes) -> Result<Vec<String>> {
    let counts = changes.counts();
    if counts.is_none() {
        return Ok(Vec::new());
    }
    let (ends, begins): (Vec<&MembershipChange>, Vec<&MembershipChange>) =
        changes.memberships.iter().partition(|it| it.status != ACTIVE);
    let (off, on): (Vec<&ModuleChange>, Vec<&ModuleChange>) =
        changes.modules.iter().partition(|it| it.status != "enabled");
    let (closes, others): (Vec<&OrganizationChange>, Vec<&OrganizationChange>) =
        changes.organizations.iter().partition(|it| it.status.is_some_and(|status| status != ACTIVE));
    let (renamed, rest): (Vec<&AccountChange>, Vec<&AccountChange>) =
        changes.accounts.iter().partition(|it| it.login.is_some());
    let (again, stops): (Vec<&AccountChange>, Vec<&AccountChange>) =
        rest.into_iter().partition(|it| it.status == Some(ACTIVE));
    let mut sending = Sending { desk, progress: Progress::new("following what changed", 0), done: 0 };
    sending.list("assignments", &changes.assignments, ROWS).await?;
    sending.list("grants", &changes.grants, ROWS).await?;
    sending.list("memberships", &ends, ROWS).await?;
    sending.list("accounts", &stops, ACCOUNTS).await?;
    sending.list("entitlements", &off, ROWS).await?;
    sending.list("organizations", &closes, ROWS).await?;
    let roles_max = data::roles_of_a_call(changes.roles.iter().map(|role| role.permissions.len()));
    sending.list("roles", &changes.roles, roles_max.min(ROWS)).await?;
    let mut part: Vec<AccountChange> = Vec::new();
    for group in in_order(renamed.into_iter().cloned().collect()) {
        if part.len() + group.len() > ACCOUNTS {
            sending.list("accounts", &std::mem::take(&mut part), ACCOUNTS).await?;
        }
        part.extend(group);
    }
    sending.list("accounts", &part, ACCOUNTS).await?;
    sending.list("accounts", &again, ACCOUNTS).await?;
    sending.list("memberships", &begins, ROWS).await?;
    sending.list("entitlements", &on, ROWS).await?;
    sending.list("organizations", &others, ROWS).await?;
    Ok(lines(&counts))
}

fn many(count: u64, one: &str, more: &str) -> Option<String> {
    match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {more}")),
    }
}

/// What is told of changes.
fn lines(counts: &ChangeCounts) -> Vec<String> {
    let of = |what: &str, parts: Vec<Option<String>>| {
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("{what}: {}", parts.join(", ")))
    };
    let taken = vec![
        many(counts.assignments, "assignment", "assignments"),
        many(counts.grants, "grant", "grants"),
        many(counts.memberships_removed, "membership", "memberships"),
    ];
    let account = |count| vec![many(count, "account", "accounts")];
    let changed = vec![
        many(counts.memberships, "membership", "memberships"),
        many(counts.roles, "role", "roles"),
        many(counts.modules, "module", "modules"),
        many(counts.organizations, "organization", "organizations"),
    ];
    let all = [
        of("taken away", taken),
        of("deactivated", account(counts.deactivated)),
        of("active again", account(counts.reactivated)),
        of("renamed", account(counts.renamed)),
        of("changed", changed),
    ];
    all.into_iter().flatten().collect()
}

/// The first of those of whom something is told, and how many more there are.
fn first(plan: &Plan, what: &[&str], count: u64) -> String {
    let word = |it: &Named| match &it.now {
        Some(now) => format!("{} -> {now}", it.who),
        None => it.who.clone(),
    };
    let mut words: Vec<String> = Vec::new();
    let mut last = "";
    for it in plan.named.iter().filter(|it| what.contains(&it.what.as_str())) {
        // Whoever gets another login and another name is told once.
        if it.who != last && words.len() < TOLD_MAX {
            words.push(word(it));
        }
        last = &it.who;
    }
    match words.is_empty() {
        true => String::new(),
        false => format!(" ({}{})", words.join(", "), more(count, words.len())),
    }
}

/// The first organizations that are closed, open again or are renamed.
fn organizations(plan: &Plan) -> String {
    let word = |it: &Named| match it.what.as_str() {
        "closed" => Some(format!("{} is closed", it.who)),
        "open_again" => Some(format!("{} is open again", it.who)),
        "organization_name" => it.now.as_ref().map(|now| format!("{} -> {now}", it.who)),
        _ => None,
    };
    let words: Vec<String> = plan.named.iter().filter_map(word).collect();
    match words.is_empty() {
        true => String::new(),
        false => {
            let shown = words.get(..words.len().min(TOLD_MAX)).unwrap_or_default();
            format!(" ({}{})", shown.join(", "), more(words.len() as u64, shown.len()))
        }
    }
}

/// What is told of the changes of a plan.
pub fn told(plan: &Plan) -> String {
    let mut told = String::new();
    let changes = &plan.changes;
    if plan.new_users > 0 {
        let are = counted(plan.rows.users, "user is new", "users are new");
        let are = are.split_once(' ').map(|(_, words)| words).unwrap_or_default();
        let line =
            format!("{} of {} {are}{}", plan.new_users, plan.rows.users, first(plan, &[NEW], plan.new_users));
        told.push_str(&output::wrapped("", &line));
    }
    let kinds: [(&str, &[&str], u64); 3] = [
        ("deactivated: ", &["deactivated"], changes.deactivated),
        ("active again: ", &["active_again"], changes.reactivated),
        ("renamed: ", &["login", "name"], changes.renamed),
    ];
    for line in lines(changes) {
        let kind = kinds.iter().find(|(prefix, ..)| line.starts_with(prefix));
        let names = match kind {
            Some((_, what, count)) => first(plan, what, *count),
            None if line.starts_with("changed: ") => organizations(plan),
            None => String::new(),
        };
        told.push_str(&output::wrapped("", &format!("{line}{names}")));
    }
    told.push_str(&taken::told(plan));
    if plan.passwords > 0 {
        let count = counted(plan.passwords, "password changed there", "passwords changed there");
        told.push_str(&output::wrapped(
            "",
            &format!("followed: {count}, whose accounts have the one that was taken over still"),
        ));
    }
    for line in &plan.left {
        told.push_str(&output::wrapped("left as it is: ", line));
    }
    let counts = kinds.iter().map(|(.., count)| *count).chain([plan.new_users]);
    if counts.max().is_some_and(|count| count > TOLD_MAX as u64) || plan.named.len() > TOLD_MAX {
        told.push_str("--changes FILE names every one\n");
    }
    told
}

/// Writes everybody down, a line of JSON each.
pub fn write_down(path: &str, named: &[Named]) -> Result<()> {
    let mut text = String::new();
    for it in named {
        text.push_str(&serde_json::to_string(it).unwrap_or_default());
        text.push('\n');
    }
    crate::whole_file::write(path, &text)
        .map_err(|error| Failure::new(format!("{path} cannot be written: {error}")))
}
