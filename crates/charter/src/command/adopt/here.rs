//! What this installation has already: its catalogue, and which organizations and accounts are whose in the other system.

use super::desk::{every_page, send};
use super::equivalence;
use super::legacy::Legacy;
use super::record::Installation;
use super::remembered::{self, Remembered};
use super::runs;
use crate::client::{Call, Client};
use crate::config::Configuration;
use crate::failure::{Failure, Result};
use crate::folder::Folder;
use crate::installation;
use charter_adopt::module;
use charter_adopt::plan::Ground;
use charter_adopt::proof::Beyond;
use charter_adopt::rows::Known;
use charter_catalogue::OwnCatalogue;
use charter_kernel::catalogue::Catalogue;
use charter_kernel::{Key, OrganizationId, PrincipalId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Links of users, or logins, of one call.
const USERS: usize = 5_000;
const LINKS: &str = "50000";

/// See the module.
pub struct Here {
    /// The other system, by its name.
    pub source: Key,
    /// A way to write to it; none while there is no installation.
    pub client: Option<Client>,
    /// The installation's own entries beside the shipped catalogue.
    pub own: OwnCatalogue,
    /// Organizations and accounts.
    pub known: Known,
    /// Accounts that users of the other system would come to.
    pub accounts: Vec<Coming>,
    /// Those of them that are of users who are there under other logins by now: a run renames such an account, or its login is no other's.
    pub of_others: Vec<(Coming, String)>,
    /// What people did about what a run gave that was taken back.
    pub remembered: Remembered,
    /// Keys of organizations that the other system's would get, and that are not linked.
    pub organizations: Vec<String>,
}

/// An account that a user of the other system would come to, and that is not linked to that user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coming {
    /// The user's id there.
    pub legacy_id: String,
    /// The login.
    pub login: String,
    /// The account.
    pub principal: PrincipalId,
    /// Whether it may act.
    pub is_active: bool,
    /// Whether it is linked to another user of the source.
    pub is_linked: bool,
}

fn faults(faults: &[charter_catalogue::Fault]) -> Failure {
    let told: Vec<String> =
        faults.iter().map(|fault| format!("\n  {}: {}", fault.place(), fault.what)).collect();
    Failure::new(format!("the catalogue cannot be read:{}", told.concat()))
}

fn shipped() -> Result<Catalogue> {
    charter_catalogue::shipped().map_err(|wrong| faults(&wrong))
}

/// A text of an answer.
pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// An id of an answer.
pub fn id(value: &Value, name: &str) -> Option<u128> {
    text(value, name).parse::<PrincipalId>().ok().map(|id| id.0)
}

/// The installation's own entries beside the shipped catalogue.
pub async fn own(client: &Client) -> Result<OwnCatalogue> {
    let answer = send(client, &Call::new("GET", "/api/v1/catalogue/own")).await?.json()?;
    match answer.get("document").and_then(Value::as_str) {
        Some(document) => charter_catalogue::parse_own(document).map_err(|wrong| faults(&wrong)),
        None => Ok(OwnCatalogue::default()),
    }
}

/// Which installation this is.
pub async fn installation(client: &Client) -> Result<Installation> {
    let platform = send(client, &Call::new("GET", "/api/v1/organizations/platform")).await?.json()?;
    let made_at = text(&platform, "created_at").parse();
    let made_at = made_at.map_err(|_| Failure::new("the service does not tell when it was made"))?;
    Ok(Installation { id: text(&platform, "id").to_owned(), made_at })
}

/// Which organizations and accounts of a source are whose.
pub async fn links(client: &Client, source: &Key, known: &mut Known) -> Result<()> {
    let platform = send(client, &Call::new("GET", "/api/v1/organizations/platform")).await?.json()?;
    known.platform = id(&platform, "id").map(OrganizationId);
    let list = Call::new("GET", "/api/v1/organizations").ask("limit", "200");
    for organization in every_page(client, list).await? {
        known.taken.insert(text(&organization, "key").to_owned());
    }
    let is_standing = |run: &&Value| text(run, "source") == source.as_str() && text(run, "state") != "undone";
    known.runs = runs::all(client).await?.iter().filter(is_standing).map(runs::number).collect();
    let mut after = String::new();
    loop {
        let call = Call::new("GET", "/api/v1/adoption/organizations").ask("source", source.as_str());
        let call = if after.is_empty() { call } else { call.ask("after", after.as_str()) };
        let page = send(client, &call.ask("limit", LINKS)).await?.json()?;
        for link in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            if let (Some(organization), Ok(key)) = (id(link, "organization"), text(link, "key").parse()) {
                let legacy_id = text(link, "legacy_id").to_owned();
                if link.get("stands") == Some(&Value::Bool(true)) {
                    known.standing.push((legacy_id.clone(), OrganizationId(organization)));
                } else if text(link, "status") != "active" && link.get("opens") != Some(&Value::Bool(true)) {
                    known.closed.insert(legacy_id.clone());
                }
                known.organizations.insert(legacy_id, (OrganizationId(organization), key));
            }
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut after),
            None => break,
        }
    }
    after.clear();
    loop {
        let call = Call::new("GET", "/api/v1/adoption/users").ask("source", source.as_str());
        let call = if after.is_empty() { call } else { call.ask("after", after.as_str()) };
        let page = send(client, &call.ask("limit", LINKS)).await?.json()?;
        for link in page.get("items").and_then(Value::as_array).into_iter().flatten() {
            if let Some(principal) = id(link, "principal").map(PrincipalId) {
                known.users.insert(text(link, "legacy_id").into(), principal);
                if link.get("shared") == Some(&Value::Bool(true)) {
                    known.shared.insert(principal);
                }
            }
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => next.clone_into(&mut after),
            None => return Ok(()),
        }
    }
}

/// Accounts that users of the other system would come to, and that are not linked to them; and such as belong to users who are there under other
/// logins by now, with these.
async fn accounts(
    client: &Client,
    found: &Legacy,
    known: &Known,
) -> Result<(Vec<Coming>, Vec<(Coming, String)>)> {
    let mut accounts = Vec::new();
    let mut batch: Vec<(&str, &str)> = Vec::with_capacity(USERS);
    let unknown = found.heard.facts.users.iter().filter(|user| !known.users.contains_key(user.id));
    let mut users = unknown.map(|user| (user.id, user.login)).peekable();
    while let Some(user) = users.next() {
        batch.push(user);
        if batch.len() < USERS && users.peek().is_some() {
            continue;
        }
        let logins: Vec<&str> = batch.iter().map(|(_, login)| *login).collect();
        let call = Call::new("POST", "/api/v1/adoption/accounts").json(&json!({ "logins": logins }));
        let answer = send(client, &call).await?.json()?;
        let told = answer.get("accounts").and_then(Value::as_array).cloned().unwrap_or_default();
        for ((legacy_id, login), account) in batch.drain(..).zip(told) {
            if let Some(principal) = id(&account, "id").map(PrincipalId) {
                let (legacy_id, login) = (legacy_id.to_owned(), login.to_owned());
                let is_active = text(&account, "status") == "active";
                accounts.push(Coming { legacy_id, login, principal, is_active, is_linked: false });
            }
        }
    }
    accounts.dedup();
    // The account of somebody who is there under another login by now is theirs, and gives this one up.
    let theirs: HashSet<PrincipalId> = accounts.iter().map(|it| it.principal).collect();
    let mut of_others = Vec::new();
    if !theirs.is_empty() && !known.users.is_empty() {
        let users = found.heard.facts.users.iter();
        let linked = users.filter_map(|user| Some((known.users.get(user.id).copied()?, user.login)));
        let present: HashMap<PrincipalId, &str> =
            linked.filter(|(principal, _)| theirs.contains(principal)).collect();
        for it in std::mem::take(&mut accounts) {
            match present.get(&it.principal) {
                Some(login) => of_others.push((it, (*login).to_owned())),
                None => accounts.push(it),
            }
        }
        let linked: HashSet<PrincipalId> =
            known.users.values().copied().filter(|principal| theirs.contains(principal)).collect();
        accounts.iter_mut().for_each(|it| it.is_linked = linked.contains(&it.principal));
    }
    Ok((accounts, of_others))
}

/// Looks at the installation: if there is one, or making one.
async fn looked(
    configuration: &Configuration,
    source: &Key,
    found: &Legacy,
    may_be_missing: bool,
) -> Result<Here> {
    let mut here = Here::empty(source);
    if may_be_missing && !installation::is_there(configuration).await {
        return Ok(here);
    }
    let client = if may_be_missing {
        Client::connect(configuration).await?
    } else {
        Client::connect_or_make(configuration).await?
    };
    here.own = own(&client).await?;
    links(&client, source, &mut here.known).await?;
    (here.accounts, here.of_others) = accounts(&client, found, &here.known).await?;
    here.remembered = remembered::ask(&client, source).await?;
    // Only an organization that the mapping names by key can be one that is here; others get keys nobody has.
    if let Some(one) = found.mapping.as_ref().and_then(|mapping| mapping.organization.as_ref())
        && found.heard.facts.organizations.is_empty()
        && !here.known.organizations.contains_key(charter_adopt::rows::ONE)
        && here.known.taken.contains(one.key.as_str())
    {
        here.organizations.push(one.key.as_str().to_owned());
    }
    here.client = Some(client);
    Ok(here)
}

impl Here {
    /// Nothing, yet.
    pub fn empty(source: &Key) -> Self {
        Self {
            source: source.clone(),
            client: None,
            own: OwnCatalogue::default(),
            known: Known::default(),
            accounts: Vec::new(),
            of_others: Vec::new(),
            remembered: Remembered::default(),
            organizations: Vec::new(),
        }
    }

    /// Looks at the installation, if there is one.
    pub async fn look(configuration: &Configuration, source: &Key, found: &Legacy) -> Result<Self> {
        looked(configuration, source, found, true).await
    }

    /// Opens the installation, or speaks to its service; one that is not there yet is made.
    pub async fn open(configuration: &Configuration, source: &Key, found: &Legacy) -> Result<Self> {
        Folder::create(&configuration.data).map_err(Failure::new)?;
        looked(configuration, source, found, false).await
    }

    /// The catalogue with the other system's own permissions in it, and the document that puts them there.
    pub fn catalogue(&self, found: &Legacy) -> Result<(Catalogue, OwnCatalogue)> {
        let shipped = shipped()?;
        let own = module::with_permissions(&self.own, &shipped, &found.heard.facts);
        if own == OwnCatalogue::default() {
            return Ok((shipped, own));
        }
        let merged = charter_catalogue::merge(&shipped, &own).map_err(|wrong| faults(&wrong))?;
        Ok((merged, own))
    }

    /// What accounts that runs of the source did not make, or not alone, may do of the installation itself by other rows than those of these runs,
    /// and could not in the other system, by their logins.
    pub async fn beyond(&self, ground: &Ground<'_>) -> Result<Beyond> {
        let Some(client) = &self.client else { return Ok(Beyond::new()) };
        let without = (!self.known.runs.is_empty()).then_some(&self.source);
        let over = equivalence::over(client, ground, self.known.platform, without).await?;
        if over.is_empty() {
            return Ok(Beyond::new());
        }
        let coming: BTreeMap<&str, PrincipalId> =
            self.accounts.iter().map(|it| (it.legacy_id.as_str(), it.principal)).collect();
        Ok(ground.beyond(|user| {
            let known = self.known.users.get(user.id).or_else(|| coming.get(user.id))?;
            if self.known.is_own(*known) { None } else { over.get(&known.0) }
        }))
    }

    /// Takes accounts and organizations as the other system's that are here already, once they were accepted.
    pub async fn claim(&mut self, found: &Legacy) -> Result<()> {
        for it in &self.accounts {
            self.known.users.insert(it.legacy_id.as_str().into(), it.principal);
        }
        let Some(client) = &self.client else { return Ok(()) };
        let one = found.mapping.as_ref().and_then(|mapping| mapping.organization.as_ref());
        if let (Some(one), false) = (one, self.organizations.is_empty()) {
            let call = Call::new("GET", "/api/v1/organizations/{organization}").within(one.key.as_str());
            let organization = send(client, &call).await?.json()?;
            if let Some(id) = id(&organization, "id") {
                let link = (OrganizationId(id), one.key.clone());
                self.known.organizations.insert(charter_adopt::rows::ONE.to_owned(), link);
            }
        }
        Ok(())
    }

    /// Ends the work.
    pub async fn close(self) -> Result<()> {
        match self.client {
            Some(client) => client.close().await,
            None => Ok(()),
        }
    }
}
