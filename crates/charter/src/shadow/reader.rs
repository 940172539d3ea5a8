//! The other system's database, read into memory: what each of its users may do, by the classes of answers there are. It is read again and again
//! and swapped as a whole; what was read is as old as its reading, and when that is too old nothing is answered.

use crate::command::other_system::{self, Looking};
use crate::failure::{Failure, Result};
use arc_swap::ArcSwapOption;
use charter_adopt::answers::Bits;
use charter_adopt::facts::{LegacyFacts, LegacyUser};
use charter_adopt::mapping::{self, Mapping};
use charter_adopt::plan::Ground;
use charter_adopt::rows::ONE;
use charter_adopt::rules::{Asking, home};
use charter_app::App;
use charter_app::shadow::{Answering, LegacyAnswer, LegacyQuestion, LegacyRule};
use charter_db::{BoxFuture, Conn, Database, Scope};
use charter_kernel::catalogue::Catalogue;
use charter_kernel::{Key, OrganizationId, PermissionCode, PrincipalId, Problem, Timestamp};
use charter_store::adoption_link;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What was read is too old when so many readings did not come.
const MISSED_MAX: u32 = 3;
const PAGE: u32 = 10_000;
/// Roles that are named in a reason.
const NAMED_MAX: usize = 5;

/// Users whose answers are the same, and the roles these come from.
struct Class {
    bits: Arc<Bits>,
    roles: String,
}

/// Which class of answers an account has in an organization; nothing where two users of the other system are one account here.
type People = HashMap<(PrincipalId, OrganizationId), Option<usize>>;

/// What was read at one instant.
struct Read {
    as_of: Timestamp,
    codes: HashMap<PermissionCode, usize>,
    classes: Vec<Class>,
    people: People,
}

/// Who and what is who and what here.
#[derive(Default)]
struct Links {
    organizations: HashMap<String, OrganizationId>,
    users: HashMap<String, PrincipalId>,
}

/// The reader.
pub struct Reader {
    address: String,
    map: Option<PathBuf>,
    source: Key,
    every: Duration,
    read: ArcSwapOption<Read>,
}

impl Reader {
    /// One that has read nothing yet.
    pub fn new(address: String, map: Option<PathBuf>, source: Key, every: Duration) -> Self {
        Self { address, map, source, every, read: ArcSwapOption::empty() }
    }

    /// How often it is to read.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Reads the other system; what was read before stays in force when it cannot be read, until it is too old.
    pub async fn read(&self, app: &App) {
        match self.load(app).await {
            Ok(read) => {
                if self.read.swap(Some(Arc::new(read))).is_none() {
                    tracing::info!("the other system was read: shadow mode compares with it");
                }
            }
            Err(failure) => {
                tracing::warn!(%failure, "the other system cannot be read: what was read before counts until it is too old");
            }
        }
    }

    async fn load(&self, app: &App) -> Result<Read> {
        let as_of = app.now();
        let given = match &self.map {
            None => None,
            Some(path) => {
                let path = path.display().to_string();
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| Failure::new(format!("{path} cannot be read: {error}")))?;
                Some(other_system::parsed(&path, &text)?)
            }
        };
        let mut looking = Looking::open(&self.address, None, given.as_ref()).await?;
        let heard = looking.hear(&mut |_, _| {}).await?;
        let (system, tables) = (looking.system, looking.tables.clone());
        drop(looking);
        let links = links(app.database(), &self.source).await?;
        let catalogue = Catalogue::clone(&app.snapshots().catalogue());
        let compiled = tokio::task::spawn_blocking(move || {
            let mapping = given.unwrap_or_else(|| mapping::propose(system, tables, &heard.facts, &catalogue));
            compile(as_of, &heard.facts, &mapping, catalogue, &links)
        });
        compiled
            .await
            .map_err(|error| Failure::new(format!("what was read could not be put together: {error}")))?
    }
}

async fn links(database: &Database, source: &Key) -> Result<Links> {
    let source = source.clone();
    let found = database
        .read(Scope::Installation, move |conn: &mut Conn| {
            Box::pin(async move {
                let mut links = Links::default();
                let mut after = String::new();
                loop {
                    let page = adoption_link::organizations(conn, &source, &after, PAGE).await?;
                    let Some(last) = page.rows.last().map(|row| row.legacy_id.clone()) else { break };
                    after = last;
                    links
                        .organizations
                        .extend(page.rows.into_iter().map(|it| (it.legacy_id, it.organization)));
                }
                after.clear();
                loop {
                    let page = adoption_link::users(conn, &source, &after, PAGE).await?;
                    let Some(last) = page.rows.last().map(|row| row.legacy_id.clone()) else { break };
                    after = last;
                    links.users.extend(page.rows.into_iter().map(|it| (it.legacy_id, it.principal)));
                }
                Ok(links)
            }) as BoxFuture<'_, std::result::Result<Links, Problem>>
        })
        .await;
    found.map_err(Failure::from)
}

/// The roles of a user, for a reason.
fn roles_of(facts: &LegacyFacts, user: LegacyUser<'_>) -> String {
    if !user.is_active {
        return "an account that is not active there".to_owned();
    }
    let places = facts.role_sets.members(user.roles);
    let names = places.iter().filter_map(|place| facts.roles.get(*place as usize));
    let mut told: Vec<String> = names.take(NAMED_MAX).map(|role| format!("role {}", role.name)).collect();
    if places.len() > NAMED_MAX {
        told.push(format!("{} more roles", places.len() - NAMED_MAX));
    }
    if !facts.permission_sets.members(user.permissions).is_empty() {
        told.push("rights of its own".to_owned());
    }
    if user.is_superuser {
        told.push("a superuser".to_owned());
    }
    if told.is_empty() { "no role".to_owned() } else { told.join(", ") }
}

fn compile(
    as_of: Timestamp,
    facts: &LegacyFacts,
    mapping: &Mapping,
    catalogue: Catalogue,
    links: &Links,
) -> Result<Read> {
    let ground = Ground::new(facts, mapping, catalogue).map_err(|wrong| Failure::new(wrong.to_string()))?;
    let mut asking = Asking::new(facts, &ground.modules, &ground.universe, &ground.before);
    let organization_of = |user: LegacyUser<'_>| {
        let place = home(facts, user)?;
        let legacy =
            if facts.organizations.is_empty() { ONE } else { &facts.organizations.get(place as usize)?.id };
        links.organizations.get(legacy).copied()
    };
    let (mut classes, mut known): (Vec<Class>, HashMap<*const Bits, usize>) = Default::default();
    let mut people = People::new();
    for user in facts.users.iter() {
        let linked = links.users.get(user.id).zip(organization_of(user));
        let Some((principal, organization)) = linked else { continue };
        let bits = asking.of(user);
        let class = *known.entry(Arc::as_ptr(&bits)).or_insert_with(|| {
            classes.push(Class { bits, roles: roles_of(facts, user) });
            classes.len() - 1
        });
        let place = people.entry((*principal, organization));
        place.and_modify(|place| *place = None).or_insert(Some(class));
    }
    let codes = ground.universe.codes().iter().enumerate().map(|(place, code)| (code.clone(), place));
    Ok(Read { as_of, codes: codes.collect(), classes, people })
}

/// The reader as it is asked.
pub struct Rule(pub Arc<Reader>);

impl LegacyRule for Rule {
    fn ask(&self, question: &LegacyQuestion) -> Answering {
        let limit = self.0.every * MISSED_MAX;
        Answering::Now(match &*self.0.read.load() {
            None => LegacyAnswer::Unavailable("the other system was not read yet".to_owned()),
            Some(read) => answer(read, limit, question),
        })
    }
}

fn answer(read: &Read, limit: Duration, question: &LegacyQuestion) -> LegacyAnswer {
    let age = question.at.micros().saturating_sub(read.as_of.micros());
    if i64::try_from(limit.as_micros()).is_ok_and(|limit| age > limit) {
        return LegacyAnswer::Unavailable(format!("what was read of it is {} s old", age / 1_000_000));
    }
    let Some(code) = read.codes.get(&question.permission) else {
        return LegacyAnswer::Unknown("it has no such permission".to_owned());
    };
    match read.people.get(&(question.principal, question.organization)) {
        None => LegacyAnswer::Unknown("it has no such user in this organization".to_owned()),
        Some(None) => LegacyAnswer::Unknown("two of its users are this account".to_owned()),
        Some(Some(class)) => match read.classes.get(*class) {
            Some(class) if class.bits.has(*code) => {
                LegacyAnswer::Allow(format!("allowed by {}", class.roles))
            }
            Some(class) => LegacyAnswer::Deny(format!("not allowed by {}", class.roles)),
            None => LegacyAnswer::Unavailable("what was read of it does not fit together".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use charter_adopt::facts::{LegacyOrganization, LegacyRole};
    use charter_adopt::sets::SetId;
    use charter_adopt::source::System;

    const TOYS: OrganizationId = OrganizationId(1);
    const TRADE: OrganizationId = OrganizationId(2);

    /// Two organizations; user N is account N; an accountant and one without a role at toys, one who left, one of trade; and 5 and 6 are
    /// one account.
    fn read() -> Read {
        let mut facts = LegacyFacts::default();
        for id in ["t \"1\"", "t2"] {
            let (id, name) = (id.to_owned(), id.to_owned());
            facts.organizations.push(LegacyOrganization { id, name, enabled_modules: None, is_active: true });
        }
        let name = "accountant".to_owned();
        facts.roles.push(LegacyRole { id: name.clone(), name, permissions: SetId::default() });
        let accountant = facts.role_sets.keep(vec![0]);
        let mut user = |id: &'static str, organization: u32, roles: SetId, is_active: bool| {
            let (organization, permissions) = (Some(organization), SetId::default());
            let (login, name, is_superuser) = (id, id, false);
            let user =
                LegacyUser { id, login, name, organization, roles, permissions, is_active, is_superuser };
            facts.users.push(user);
        };
        user("1", 0, accountant, true);
        user("2", 0, SetId::default(), true);
        user("3", 0, accountant, false);
        user("4", 1, accountant, true);
        user("5", 0, accountant, true);
        user("6", 0, accountant, true);
        user("stranger", 0, accountant, true);
        let mut links = Links::default();
        links.organizations.extend([("t \"1\"".to_owned(), TOYS), ("t2".to_owned(), TRADE)]);
        for (legacy, account) in [("1", 1), ("2", 2), ("3", 3), ("4", 4), ("5", 5), ("6", 5)] {
            links.users.insert(legacy.to_owned(), PrincipalId(account));
        }
        let catalogue = charter_catalogue::shipped().unwrap();
        let mapping = mapping::propose(System::RoleTables, None, &facts, &catalogue);
        compile(Timestamp::from_seconds(100), &facts, &mapping, catalogue, &links).unwrap()
    }

    fn ask(read: &Read, organization: OrganizationId, principal: u128, code: &str, seconds: i64) -> String {
        let question = LegacyQuestion {
            organization,
            principal: PrincipalId(principal),
            permission: code.parse().unwrap(),
            description: String::new(),
            at: Timestamp::from_seconds(seconds),
        };
        let answer = answer(read, Duration::from_secs(90), &question);
        format!("{} {}", answer.reason(), answer.why())
    }

    #[test]
    fn what_was_read_answers_by_the_roles_that_were_held_and_knows_nobody_else() {
        let read = read();
        let code = "admin.users.create";
        let allowed = "email.messages.read";
        let told = [
            ask(&read, TOYS, 1, allowed, 100),
            ask(&read, TOYS, 1, code, 190),
            ask(&read, TOYS, 2, allowed, 100),
            ask(&read, TOYS, 3, allowed, 100),
            ask(&read, TRADE, 1, allowed, 100),
            ask(&read, TOYS, 4, allowed, 100),
            ask(&read, TOYS, 5, allowed, 100),
            ask(&read, TOYS, 9, allowed, 100),
            ask(&read, TOYS, 1, "finance.dragons.ride", 100),
            ask(&read, TOYS, 1, allowed, 191),
        ];
        let nobody = "legacy_unknown it has no such user in this organization";
        assert_eq!(
            told,
            [
                "allowed_by_legacy allowed by role accountant",
                "denied_by_legacy not allowed by role accountant",
                "denied_by_legacy not allowed by no role",
                "denied_by_legacy not allowed by an account that is not active there",
                nobody,
                nobody,
                "legacy_unknown two of its users are this account",
                nobody,
                "legacy_unknown it has no such permission",
                "legacy_unavailable what was read of it is 91 s old",
            ]
        );
    }
}
