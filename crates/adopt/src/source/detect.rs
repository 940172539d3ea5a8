//! Which system a database belongs to, by the tables that are there. Nothing is guessed where two answers fit.

use super::named::{LinkColumns, NameColumns, NamedTables, OrganizationColumns, UserColumns};
use super::statements::{Statements, Tables, Wanted};
use super::{System, django, flask_appbuilder, frappe, laravel, odoo, tryton};
use charter_db::foreign::ForeignTable;

/// Tables that give a system away.
const SIGNS: &[(System, &[&str])] = &[
    (System::Django, &["auth_permission", "auth_group", "django_content_type"]),
    (System::FlaskAppbuilder, &["ab_user", "ab_role", "ab_permission_view_role"]),
    (System::Frappe, &["tabUser", "tabHas Role", "tabDocPerm"]),
    (System::Odoo, &["res_users", "res_groups", "ir_model_access"]),
    (System::Tryton, &["res_user", "res_user-res_group", "ir_model_access"]),
    (System::Laravel, &["model_has_roles", "role_has_permissions", "roles"]),
];

/// Systems whose tables are all there. More than one: the operator says which.
#[must_use]
pub fn detect(tables: &Tables<'_>) -> Vec<System> {
    let is_there = |names: &[&str]| names.iter().all(|name| tables.find(name).is_some());
    let mut found: Vec<System> =
        SIGNS.iter().filter(|(_, signs)| is_there(signs)).map(|(system, _)| *system).collect();
    if found.is_empty()
        && let Some(named) = proposed(tables)
    {
        found.push(if named.roles.is_some() { System::RoleTables } else { System::RoleColumn });
    }
    found
}

/// The statements of a system. Where its tables are named by the operator, or were found by their likeness, these are used.
pub fn statements(
    tables: &Tables<'_>,
    system: System,
    named: Option<&NamedTables>,
) -> Result<Statements, Wanted> {
    let users = named.map(|named| named.users.table.as_str());
    match system {
        System::Django => django::statements(tables, users),
        System::FlaskAppbuilder => flask_appbuilder::statements(tables),
        System::Laravel => laravel::statements(tables),
        System::Frappe => frappe::statements(tables),
        System::Odoo => odoo::statements(tables),
        System::Tryton => tryton::statements(tables),
        System::Keycloak => Err(Wanted::Unfit(
            "Keycloak is read from the file of a realm's export, not from its database: give that to --from"
                .to_owned(),
        )),
        System::RoleColumn | System::RoleTables => match named {
            Some(named) => named.statements(tables),
            None => proposed(tables)
                .ok_or_else(|| {
                    Wanted::Unfit(
                        "no table of users with roles was found: name it under [source.users]".to_owned(),
                    )
                })?
                .statements(tables),
        },
    }
}

/// The first of these columns that a table has.
fn column(table: &ForeignTable, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| table.column(name)).map(|column| column.name.clone())
}

fn first<'a>(tables: &Tables<'a>, names: &[&str]) -> Option<&'a ForeignTable> {
    names.iter().find_map(|name| tables.find(name))
}

fn organizations(tables: &Tables<'_>) -> Option<OrganizationColumns> {
    let table =
        first(tables, &["organizations", "organization", "companies", "company", "tenants", "tenant"])?;
    let id = column(table, &["id"])?;
    Some(OrganizationColumns {
        table: table.name.clone(),
        name: column(table, &["name", "title"]).unwrap_or_else(|| id.clone()),
        id,
        enabled_modules: column(table, &["enabled_modules", "modules"]),
        is_active: column(table, &["is_active", "active"]),
    })
}

fn link(tables: &Tables<'_>, names: &[&str], holder: &[&str], held: &[&str]) -> Option<LinkColumns> {
    let table = first(tables, names)?;
    Some(LinkColumns {
        table: table.name.clone(),
        holder: column(table, holder)?,
        held: column(table, held)?,
    })
}

fn names(tables: &Tables<'_>, of: &[&str], name: &[&str]) -> Option<NameColumns> {
    let table = first(tables, of)?;
    Some(NameColumns { table: table.name.clone(), id: column(table, &["id"])?, name: column(table, name)? })
}

/// Where the tables of a system of one's own seem to stand, by usual names: a proposal, to be read by the operator.
#[must_use]
pub fn proposed(tables: &Tables<'_>) -> Option<NamedTables> {
    let table = first(tables, &["users", "user", "app_users", "accounts", "members"])?;
    let mut users = UserColumns {
        table: table.name.clone(),
        id: column(table, &["id", "user_id"])?,
        login: column(table, &["email", "login", "username", "user_name"])?,
        name: column(table, &["full_name", "name", "display_name"]),
        role: column(table, &["role", "role_name", "user_role"]),
        is_active: column(table, &["is_active", "active", "enabled"]),
        is_superuser: column(table, &["is_superuser", "is_superadmin"]),
        organization: column(table, &["organization_id", "company_id", "tenant_id"]),
        password: column(table, &["hashed_password", "password_hash", "password"]),
    };
    const USER: &[&str] = &["user_id"];
    const ROLE: &[&str] = &["role_id"];
    const PERMISSION: &[&str] = &["permission_id"];
    let roles = names(tables, &["roles", "role"], &["name", "code", "key"]);
    let user_roles = link(tables, &["user_roles", "users_roles", "user_role", "role_user"], USER, ROLE);
    let organizations = organizations(tables);
    if organizations.is_none() {
        users.organization = None;
    }
    let (Some(roles), Some(user_roles)) = (roles, user_roles) else {
        users.role.as_ref()?;
        return Some(NamedTables {
            users,
            organizations,
            roles: None,
            user_roles: None,
            permissions: None,
            role_permissions: None,
            user_permissions: None,
        });
    };
    users.role = None;
    let permissions = names(tables, &["permissions", "permission"], &["code", "key", "name", "codename"]);
    let has_permissions = permissions.is_some();
    let of_permissions =
        |names: &[&str], holder| has_permissions.then(|| link(tables, names, holder, PERMISSION)).flatten();
    Some(NamedTables {
        users,
        organizations,
        roles: Some(roles),
        user_roles: Some(user_roles),
        role_permissions: of_permissions(&["role_permissions", "permission_role", "roles_permissions"], ROLE),
        user_permissions: of_permissions(&["user_permissions", "permission_user", "users_permissions"], USER),
        permissions,
    })
}
