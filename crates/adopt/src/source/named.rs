//! Where a system of one's own keeps its users and roles: names of tables and columns, as the mapping file says or as they were found.

use super::System;
use super::statements::{Statements, Tables, Wanted};
use crate::anomaly::AnomalyKind;
use charter_db::foreign::ForeignTable;
use serde::{Deserialize, Deserializer, Serialize};

/// A name, or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "the name of a column, or a list of such names, is expected")]
enum Columns {
    One(String),
    Several(Vec<String>),
}

fn columns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Columns::deserialize(deserializer)? {
        Columns::One(one) => vec![one],
        Columns::Several(several) => several,
    })
}

/// Columns of the table of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserColumns {
    /// The table.
    pub table: String,
    /// Its key; a framework's is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// What users sign in with; of a framework it is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub login: String,
    /// Their shown name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The word of their role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Whether they may sign in; everybody may without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<String>,
    /// Whether they may do everything; nobody may without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_superuser: Option<String>,
    /// Which organization they belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The hash of their password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Columns of such words that the other system does not go by: a name, or a list of them.
    #[serde(default, deserialize_with = "columns", skip_serializing_if = "Vec::is_empty")]
    pub unused_role: Vec<String>,
    /// What Laravel's `model_type` says of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Columns of the table of organizations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationColumns {
    /// The table.
    pub table: String,
    /// Its key.
    pub id: String,
    /// The shown name.
    pub name: String,
    /// The document of its modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled_modules: Option<String>,
    /// Whether it is active; it is without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_active: Option<String>,
}

/// A table of names: of roles, or of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameColumns {
    /// The table.
    pub table: String,
    /// Its key.
    pub id: String,
    /// The name or code.
    pub name: String,
}

/// A table that links two others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkColumns {
    /// The table.
    pub table: String,
    /// The column of whoever holds.
    pub holder: String,
    /// The column of what is held.
    pub held: String,
}

/// Where everything stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedTables {
    /// Users.
    pub users: UserColumns,
    /// Organizations; without them there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organizations: Option<OrganizationColumns>,
    /// Roles; without them a role is the word at its user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<NameColumns>,
    /// Who holds which role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_roles: Option<LinkColumns>,
    /// Permissions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<NameColumns>,
    /// What roles allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_permissions: Option<LinkColumns>,
    /// What users were given besides roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_permissions: Option<LinkColumns>,
}

fn names(tables: &Tables<'_>, of: &NameColumns) -> Result<String, Wanted> {
    let table = tables.need(&of.table)?;
    Ok(format!(
        "select {}, {} from {} n order by 1",
        tables.text(table, "n", &of.id)?,
        tables.text(table, "n", &of.name)?,
        tables.name(table)?
    ))
}

fn pairs(tables: &Tables<'_>, link: &LinkColumns) -> Result<String, Wanted> {
    let table = tables.need(&link.table)?;
    let (holder, held) = (tables.text(table, "l", &link.holder)?, tables.text(table, "l", &link.held)?);
    Ok(format!("select {holder}, {held} from {} l order by 1, 2", tables.name(table)?))
}

/// Columns of users that usually hold words of roles.
pub const ROLE_COLUMNS: [&str; 3] = ["role", "role_name", "user_role"];

/// Words of roles at users, where roles stand in tables of their own: the other system may go by either, and nobody can see by which.
pub(super) fn unread_roles(
    tables: &Tables<'_>,
    users: &ForeignTable,
    unused: &[String],
) -> Result<Vec<(AnomalyKind, String)>, Wanted> {
    for unused in unused {
        tables.text(users, "u", unused)?;
    }
    let is_asked = |name: &&str| users.column(name).is_some() && !unused.iter().any(|unused| unused == *name);
    let columns = ROLE_COLUMNS.into_iter().filter(is_asked);
    let asked = columns.map(|column| {
        let word = tables.text(users, "u", column)?;
        Ok((
            AnomalyKind::UnreadRole,
            format!(
                "select '{}.{column} ' || {word}, 'users: ' || count(*) from {} u where {word} <> '' group by {word} order by 1",
                users.name.replace('\'', "''"),
                tables.name(users)?
            ),
        ))
    });
    asked.collect()
}

/// A link of users, as a part of the statement of users: what it joins, and the column it gives.
fn joined(
    tables: &Tables<'_>,
    link: Option<&LinkColumns>,
    alias: &str,
    id: &str,
) -> Result<(String, String), Wanted> {
    let Some(link) = link else { return Ok((String::new(), "null".to_owned())) };
    let gathered = tables.gathered(tables.need(&link.table)?, &link.holder, &link.held)?;
    Ok((format!(" left join {gathered} {alias} on {alias}.owner = {id}"), format!("{alias}.ids")))
}

impl NamedTables {
    /// What is wrong with what is said of users, by the system they are of.
    #[must_use]
    pub fn unfit(&self, system: System) -> Option<&'static str> {
        match system {
            System::RoleColumn | System::RoleTables if self.users.id.is_empty() => Some("missing field `id`"),
            System::RoleColumn | System::RoleTables if self.users.login.is_empty() => {
                Some("missing field `login`")
            }
            System::RoleColumn if self.in_tables().is_some() => Some(
                "with system = \"role_column\" roles are words at users: leave out [source.roles], [source.permissions] and their links, or write system = \"role_tables\"",
            ),
            System::RoleColumn if self.users.role.is_none() => Some(
                "with system = \"role_column\" roles are words at users: name their column, as role = \"COLUMN\"",
            ),
            System::RoleTables if self.roles.is_some() && self.users.role.is_some() => Some(
                "`role` and [source.roles] are two places of roles: leave one out, and name a column that the other system does not go by as `unused_role`",
            ),
            System::RoleTables
                if self.roles.is_none() && (self.user_roles.is_some() || self.role_permissions.is_some()) =>
            {
                Some("[source.user_roles] and [source.role_permissions] want [source.roles]")
            }
            System::RoleTables
                if self.permissions.is_none()
                    && (self.role_permissions.is_some() || self.user_permissions.is_some()) =>
            {
                Some("[source.role_permissions] and [source.user_permissions] want [source.permissions]")
            }
            System::RoleTables if self.roles.is_some() && self.user_roles.is_none() => Some(
                "[source.roles] wants [source.user_roles], the table that says who holds which: nobody would hold any",
            ),
            System::RoleTables
                if self.users.role.is_none() && self.roles.is_none() && self.user_permissions.is_none() =>
            {
                Some(
                    "nothing says who may do what: name [source.roles] and [source.user_roles], or [source.user_permissions], or the column of roles, as role = \"COLUMN\"",
                )
            }
            System::Laravel => None,
            _ if self.users.model.is_some() => Some("`model` is the model_type of Laravel alone"),
            _ => None,
        }
    }

    /// A table of roles or permissions, or of their links.
    fn in_tables(&self) -> Option<&str> {
        let named = [&self.roles, &self.permissions].into_iter().flatten().map(|it| it.table.as_str());
        let links = [&self.user_roles, &self.role_permissions, &self.user_permissions];
        named.chain(links.into_iter().flatten().map(|it| it.table.as_str())).next()
    }

    fn orphans(&self, tables: &Tables<'_>) -> Result<Vec<String>, Wanted> {
        let mut all = Vec::new();
        let users: (&str, &str) = (&self.users.table, &self.users.id);
        let key = |of: &Option<NameColumns>| of.as_ref().map(|it| (it.table.clone(), it.id.clone()));
        let (roles, permissions) = (key(&self.roles), key(&self.permissions));
        let mut side = |link: &LinkColumns, column: &str, to: &str, id: &str| {
            let (table, to): (&ForeignTable, &ForeignTable) = (tables.need(&link.table)?, tables.need(to)?);
            all.push(tables.orphans(table, &[link.holder.as_str(), link.held.as_str()], column, to, id)?);
            Ok::<(), Wanted>(())
        };
        for link in self.user_roles.iter().chain(&self.user_permissions) {
            side(link, &link.holder, users.0, users.1)?;
        }
        for (link, to) in [
            (&self.user_roles, &roles),
            (&self.user_permissions, &permissions),
            (&self.role_permissions, &permissions),
        ] {
            if let (Some(link), Some((table, id))) = (link, to) {
                side(link, &link.held, table, id)?;
            }
        }
        if let (Some(link), Some((table, id))) = (&self.role_permissions, &roles) {
            side(link, &link.holder, table, id)?;
        }
        Ok(all)
    }

    /// What is asked.
    pub fn statements(&self, tables: &Tables<'_>) -> Result<Statements, Wanted> {
        let users = tables.need(&self.users.table)?;
        let id = tables.plain(users, "u", &self.users.id)?;
        let (roles_join, roles) = joined(tables, self.user_roles.as_ref(), "r", &id)?;
        let (permissions_join, permissions) = joined(tables, self.user_permissions.as_ref(), "p", &id)?;
        let of = |column: &Option<String>| tables.text_or_null(users, "u", column.as_deref());
        let is_active = match &self.users.is_active {
            Some(column) => tables.text(users, "u", column)?,
            None => "'true'".to_owned(),
        };
        let organizations = match &self.organizations {
            None => None,
            Some(of) => {
                let table = tables.need(&of.table)?;
                let is_active = match &of.is_active {
                    Some(column) => tables.text(table, "o", column)?,
                    None => "'true'".to_owned(),
                };
                Some(format!(
                    "select {}, {}, {}, {is_active} from {} o order by 1",
                    tables.text(table, "o", &of.id)?,
                    tables.text(table, "o", &of.name)?,
                    tables.text_or_null(table, "o", of.enabled_modules.as_deref())?,
                    tables.name(table)?
                ))
            }
        };
        Ok(Statements {
            organizations,
            roles: self.roles.as_ref().map(|of| names(tables, of)).transpose()?,
            implied: None,
            permissions: self.permissions.as_ref().map(|of| names(tables, of)).transpose()?,
            role_permissions: self.role_permissions.as_ref().map(|link| pairs(tables, link)).transpose()?,
            users: format!(
                "select {}, {}, {}, {is_active}, {}, {}, {}, {roles}, {permissions}, {} from {} u{roles_join}{permissions_join} order by {id}",
                tables.text(users, "u", &self.users.id)?,
                tables.text(users, "u", &self.users.login)?,
                of(&self.users.name)?,
                of(&self.users.is_superuser)?,
                of(&self.users.organization)?,
                of(&self.users.role)?,
                of(&self.users.password)?,
                tables.name(users)?,
            ),
            orphans: self.orphans(tables)?,
            findings: match self.roles {
                Some(_) => unread_roles(tables, users, &self.users.unused_role)?,
                None => Vec::new(),
            },
            tells_modules: self.organizations.as_ref().is_some_and(|of| of.enabled_modules.is_some()),
            tells_superuser: self.users.is_superuser.is_some(),
            ..Statements::default()
        })
    }
}
