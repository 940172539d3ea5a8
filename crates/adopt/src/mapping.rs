//! What becomes of the other system's roles: a file the tool proposes, the operator edits, and the operator's project keeps. Names that
//! are neither shipped nor written there are reported, never guessed.

use crate::facts::LegacyFacts;
use crate::intent::SUPERUSER_ROLE;
use crate::source::{NamedTables, System};
use charter_catalogue::lint::fold_role_name;
use charter_kernel::catalogue::Catalogue;
use charter_kernel::{Key, RoleKey, counted};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a role becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Becomes {
    /// A role of the catalogue, or of the organization.
    Role(RoleKey),
    /// A role of its own, which holds what the other system's role allowed.
    Own,
    /// Nothing: whoever holds it gets nothing from it, and is named as one who loses.
    Nothing,
    /// Nobody has said yet.
    Unknown,
}

const OWN: &str = "own";
const NOTHING: &str = "none";
const UNKNOWN: &str = "?";

impl Becomes {
    fn parse(text: &str) -> Option<Self> {
        match text {
            OWN => Some(Self::Own),
            NOTHING => Some(Self::Nothing),
            UNKNOWN => Some(Self::Unknown),
            key => key.parse().ok().map(Self::Role),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Role(key) => key.as_str(),
            Self::Own => OWN,
            Self::Nothing => NOTHING,
            Self::Unknown => UNKNOWN,
        }
    }
}

/// Which modules are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModulesRule {
    /// As `enabled_modules` says.
    #[default]
    AsSaid,
    /// All of them: the other system switches none off.
    All,
    /// None but those that always are.
    None,
}

/// The one organization of a system that has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOrganization {
    /// Its key here.
    pub key: Key,
    /// Its name.
    pub name: String,
}

/// What stands beside `system` is read as [`NamedTables`], which takes no other words.
#[derive(Deserialize)]
struct SourceForm {
    system: System,
    #[serde(default)]
    schema: Option<String>,
    #[serde(flatten)]
    tables: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    source: SourceForm,
    #[serde(default)]
    organization: Option<OneOrganization>,
    #[serde(default)]
    superuser: Option<String>,
    #[serde(default)]
    modules: ModulesRule,
    #[serde(default)]
    roles: BTreeMap<String, String>,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// Which system it is.
    pub system: System,
    /// The schema that its tables stand in, where several have tables of these names.
    pub schema: Option<String>,
    /// Where its tables stand, for a system of one's own.
    pub tables: Option<NamedTables>,
    /// The organization of a system that has none.
    pub organization: Option<OneOrganization>,
    /// What those become who may do everything.
    pub superuser: Becomes,
    /// The key of their role where it is one of their own, and another system has the usual one here: no file says it.
    pub superuser_role: Option<Key>,
    /// Which modules are on.
    pub modules: ModulesRule,
    /// What roles become, by their names there.
    pub roles: BTreeMap<String, Becomes>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingFault {
    /// Where.
    pub place: String,
    /// What.
    pub what: String,
}

impl std::fmt::Display for MappingFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

fn fault(place: impl Into<String>, what: impl Into<String>) -> MappingFault {
    MappingFault { place: place.into(), what: what.into() }
}

const EXPECTED: &str =
    "the key of a role, `own` for a role that keeps what it allowed, or `none` for nothing is expected";

/// Reads a file.
pub fn parse(text: &str) -> Result<Mapping, Vec<MappingFault>> {
    let form: Form = toml::from_str(text).map_err(|flaw| vec![fault("the mapping", flaw.to_string())])?;
    let mut faults = Vec::new();
    let mut becomes = |place: String, text: &str| {
        Becomes::parse(text).unwrap_or_else(|| {
            faults.push(fault(place, EXPECTED));
            Becomes::Unknown
        })
    };
    let superuser = form.superuser.map_or(Becomes::Unknown, |text| becomes("superuser".to_owned(), &text));
    let roles = form
        .roles
        .into_iter()
        .map(|(name, text)| (name.clone(), becomes(format!("roles.{name:?}"), &text)))
        .collect();
    let tables = if form.source.tables.is_empty() {
        None
    } else {
        let table = toml::Table::from_iter(form.source.tables);
        match table.try_into::<NamedTables>() {
            Ok(tables) => {
                faults.extend(tables.unfit(form.source.system).map(|what| fault("source.users", what)));
                Some(tables)
            }
            Err(flaw) => {
                faults.push(fault("source", flaw.to_string()));
                None
            }
        }
    };
    if faults.is_empty() {
        Ok(Mapping {
            system: form.source.system,
            schema: form.source.schema,
            tables,
            organization: form.organization,
            superuser,
            superuser_role: None,
            modules: form.modules,
            roles,
        })
    } else {
        Err(faults)
    }
}

/// The role of the catalogue with this name, key or alias.
#[must_use]
pub fn shipped(catalogue: &Catalogue, name: &str) -> Option<RoleKey> {
    let folded = fold_role_name(name);
    let is_it = |role: &&charter_kernel::catalogue::CatalogueRole| {
        role.role.key.as_str() == folded
            || fold_role_name(&role.role.name) == folded
            || role.aliases.contains(&folded)
    };
    let mut fitting = catalogue.roles.iter().filter(is_it);
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Some(one.role.key.clone()),
        _ => None,
    }
}

/// How many users hold each role, by their places in the facts.
fn holders(facts: &LegacyFacts) -> Vec<u64> {
    let mut count = vec![0; facts.roles.len()];
    let mut by_set: BTreeMap<_, u64> = BTreeMap::new();
    for user in facts.users.iter() {
        *by_set.entry(user.roles).or_default() += 1;
    }
    for (set, users) in by_set {
        for role in facts.role_sets.members(set) {
            if let Some(count) = count.get_mut(*role as usize) {
                *count += users;
            }
        }
    }
    count
}

/// What is proposed: a framework's roles keep what they allow; words become the shipped roles of the same name; the rest is left to say.
#[must_use]
pub fn propose(
    system: System,
    tables: Option<NamedTables>,
    facts: &LegacyFacts,
    catalogue: &Catalogue,
) -> Mapping {
    let has_own = !facts.permissions.is_empty();
    let becomes = |name: &str| match shipped(catalogue, name) {
        _ if has_own => Becomes::Own,
        Some(key) => Becomes::Role(key),
        None => Becomes::Unknown,
    };
    let has_none = facts.organizations.is_empty();
    let one = has_none.then(|| "company".parse().ok()).flatten();
    let organization = one.map(|key| OneOrganization { key, name: "Company".to_owned() });
    Mapping {
        system,
        schema: None,
        tables,
        organization,
        // What a flag of one's own system allows nobody knows but its people; that of a framework is documented as everything it knows.
        superuser: match system {
            System::RoleColumn | System::RoleTables => Becomes::Unknown,
            _ if has_own => Becomes::Own,
            _ => Becomes::Unknown,
        },
        superuser_role: None,
        modules: match facts.organizations.iter().any(|it| it.enabled_modules.is_some()) {
            true => ModulesRule::AsSaid,
            false if has_own => ModulesRule::None,
            false => ModulesRule::All,
        },
        roles: facts.roles.iter().map(|role| (role.name.clone(), becomes(&role.name))).collect(),
    }
}

/// A text as TOML writes it on one line: as JSON does, and one letter more.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Writes a file, with what the operator has to know at each line.
#[must_use]
pub fn print(mapping: &Mapping, facts: &LegacyFacts) -> String {
    let mut out = String::from(
        "# What becomes of the roles of the other system. Keep this file with your project.\n\
         #\n\
         # A role becomes the key of a role of Charter, `own` for a role that keeps exactly what it allowed there, or `none` for nothing.\n\
         # `?` stands where nobody has said yet: nothing is taken over before each of them is replaced.\n\n\
         # Those who may do everything there: `superadmin` for all of this installation, whatever the organization, which the plan asks about name by name;\n\
         # the key of another role, such as `org_admin`, for that role in the organization they belong to; or `none`.\n",
    );
    if mapping.superuser == Becomes::Own {
        let _ = writeln!(
            out,
            "# `own` is all that the other system knows, as the role `{SUPERUSER_ROLE}`; where another system has that one in the same organization \
             already,\n# as `{SUPERUSER_ROLE}-` and the name of the source, which the plan says."
        );
    }
    let _ = writeln!(out, "superuser = {}", quoted(mapping.superuser.as_str()));
    out.push_str(
        "\n# Modules that are on: `as_said` by enabled_modules, `all`, or `none` but those that always are.\n",
    );
    let rule = toml::Value::try_from(mapping.modules).map(|value| value.to_string()).unwrap_or_default();
    let _ = writeln!(out, "modules = {rule}\n\n[source]");
    let system = toml::Value::try_from(mapping.system).map(|value| value.to_string()).unwrap_or_default();
    let _ = writeln!(out, "system = {system}");
    if let Some(schema) = &mapping.schema {
        let _ = writeln!(out, "schema = {}", quoted(schema));
    }
    if let Some(tables) = &mapping.tables
        && let Ok(text) = toml::to_string(&BTreeMap::from([("source", tables)]))
    {
        let _ = write!(out, "\n{text}");
    }
    if let Some(one) = &mapping.organization {
        let _ = writeln!(
            out,
            "\n# The other system knows one organization.\n[organization]\nkey = {}\nname = {}",
            quoted(one.key.as_str()),
            quoted(&one.name)
        );
    }
    let count = holders(facts);
    let mut users: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    for (role, holders) in facts.roles.iter().zip(count) {
        let entry = users.entry(role.name.as_str()).or_default();
        entry.0 += holders;
        entry.1 = facts.permission_sets.members(role.permissions).len();
    }
    out.push_str("\n[roles]\n");
    for (name, becomes) in &mapping.roles {
        let (holders, permissions) = users.get(name.as_str()).copied().unwrap_or_default();
        let allows = if facts.permissions.is_empty() {
            String::new()
        } else {
            format!(", {}", counted(permissions as u64, "permission", "permissions"))
        };
        let _ = writeln!(
            out,
            "{} = {} # {}{allows}",
            quoted(name),
            quoted(becomes.as_str()),
            counted(holders, "user", "users")
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{LegacyRole, LegacyUser};
    use crate::sets::SetId;

    fn facts(names: &[&str]) -> LegacyFacts {
        let mut facts = LegacyFacts::default();
        for name in names {
            let (id, name) = ((*name).to_owned(), (*name).to_owned());
            facts.roles.push(LegacyRole { id, name, permissions: SetId::default() });
        }
        let roles = facts.role_sets.keep(vec![0]);
        facts.users.push(LegacyUser {
            id: "1",
            login: "ann",
            name: "",
            organization: None,
            roles,
            permissions: SetId::default(),
            is_active: true,
            is_superuser: false,
        });
        facts
    }

    #[test]
    fn what_is_proposed_reads_as_it_was_printed_and_guesses_nothing() {
        let catalogue = charter_catalogue::shipped().unwrap();
        let facts =
            facts(&["Accountant", "org-admin", "boss of \"all\" 😀", "line\nend\u{7f}", "accountant "]);
        let mapping = propose(System::RoleColumn, None, &facts, &catalogue);
        assert_eq!(mapping.roles["Accountant"], Becomes::Role("accountant".parse().unwrap()));
        assert_eq!(mapping.roles["accountant "], Becomes::Role("accountant".parse().unwrap()));
        assert_eq!(mapping.roles["org-admin"], Becomes::Role("org_admin".parse().unwrap()));
        assert_eq!(mapping.roles["boss of \"all\" 😀"], Becomes::Unknown);
        let text = print(&mapping, &facts);
        assert_eq!(parse(&text).unwrap(), mapping, "{text}");
        assert!(text.contains("\"Accountant\" = \"accountant\" # 1 user"), "{text}");
    }

    #[test]
    fn the_tables_of_a_system_of_ones_own_come_back_as_they_were_printed() {
        let catalogue = charter_catalogue::shipped().unwrap();
        let facts = facts(&["viewer"]);
        let tables: NamedTables = toml::from_str(
            "[users]\ntable = \"erp users\"\nid = \"id\"\nlogin = \"email\"\nrole = \"role\"\n\
             [organizations]\ntable = \"orgs\"\nid = \"id\"\nname = \"title\"\nenabled_modules = \"modules\"",
        )
        .unwrap();
        let mapping = propose(System::RoleColumn, Some(tables), &facts, &catalogue);
        let text = print(&mapping, &facts);
        assert_eq!(parse(&text).unwrap(), mapping, "{text}");
        let wrong = text.replace("[source.organizations]", "[source.organisations]");
        assert!(parse(&wrong).unwrap_err()[0].to_string().contains("organisations"), "{wrong}");
    }

    #[test]
    fn all_shipped_roles_map_to_themselves_by_key_name_and_alias() {
        let catalogue = charter_catalogue::shipped().unwrap();
        assert_eq!(catalogue.roles.len(), 22);
        for role in &catalogue.roles {
            let key = &role.role.key;
            for name in [key.as_str(), role.role.name.as_str()]
                .into_iter()
                .chain(role.aliases.iter().map(String::as_str))
            {
                assert_eq!(shipped(&catalogue, name).as_ref(), Some(key), "{name}");
                assert_eq!(shipped(&catalogue, &name.to_uppercase()).as_ref(), Some(key), "{name}");
            }
        }
    }

    #[test]
    fn a_file_with_faults_tells_them() {
        let faults = parse("superuser = \"Not A Key\"\n[source]\nsystem = \"django\"\n[roles]\na = \"B C\"")
            .unwrap_err();
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[1].starts_with("roles.\"a\": the key of a role"), "{told:?}");
        assert!(parse("[source]\nsystem = \"unheard_of\"").is_err());
        assert!(parse("[source]\nsystem = \"django\"\nsurprise = 1").is_err());
        let users =
            |system: &str| format!("[source]\nsystem = \"{system}\"\n[source.users]\ntable = \"people\"");
        assert_eq!(parse(&users("django")).unwrap().tables.unwrap().users.table, "people");
        let class = "model = 'App\\Models\\User'";
        let laravel = parse(&format!("{}\n{class}", users("laravel"))).unwrap();
        assert_eq!(laravel.tables.unwrap().users.model.as_deref(), Some("App\\Models\\User"));
        assert!(parse(&format!("{}\n{class}", users("django"))).is_err());
        assert_eq!(
            parse(&users("role_column")).unwrap_err()[0].to_string(),
            "source.users: missing field `id`"
        );
        let own = |system: &str| format!("{}\nid = \"id\"\nlogin = \"email\"", users(system));
        let roles = "[source.roles]\ntable = \"roles\"\nid = \"id\"\nname = \"name\"";
        let held = "[source.user_roles]\ntable = \"held\"\nholder = \"u\"\nheld = \"r\"";
        assert!(parse(&format!("{}\n{roles}\n{held}", own("role_tables"))).is_ok());
        for system in ["role_column", "role_tables"] {
            assert!(parse(&format!("{}\nrole = \"role\"", own(system))).is_ok(), "{system}");
        }
        let permissions = roles.replace("roles", "permissions");
        let direct = held.replace("user_roles", "user_permissions");
        assert!(parse(&format!("{}\n{permissions}\n{direct}", own("role_tables"))).is_ok());
        for (text, why) in [
            (format!("{}\n{roles}", own("role_column")), "leave out [source.roles]"),
            (format!("{}\nrole = \"role\"\n{roles}\n{held}", own("role_tables")), "two places of roles"),
            (format!("{}\n{held}", own("role_tables")), "want [source.roles]"),
            (
                format!(
                    "{}\n{roles}\n{}",
                    own("role_tables"),
                    held.replace("user_roles", "user_permissions")
                ),
                "want [source.permissions]",
            ),
            // Nobody had anything by these, and a plan said that nobody loses.
            (own("role_column"), "role = \"COLUMN\""),
            (own("role_tables"), "nothing says who may do what"),
            (format!("{}\n{roles}", own("role_tables")), "wants [source.user_roles]"),
        ] {
            let faults = parse(&text).unwrap_err();
            assert!(faults[0].to_string().contains(why), "{text}: {faults:?}");
        }
    }
}
