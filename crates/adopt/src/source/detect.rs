//! Which system a database belongs to, by the tables that are there. Nothing is guessed where two answers fit.

use super::named::{LinkColumns, NameColumns, NamedTables, OrganizationColumns, ROLE_COLUMNS, UserColumns};
use super::statements::{Statements, Tables, Wanted, whole};
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
pub fn detect(tables: &Tables<'_>) -> Result<Vec<System>, Wanted> {
    let is_there = |names: &[&str]| names.iter().all(|name| !matches!(tables.find(name), Ok(None)));
    let mut found: Vec<System> =
        SIGNS.iter().filter(|(_, signs)| is_there(signs)).map(|(system, _)| *system).collect();
    if found.is_empty()
        && let Some(named) = proposed(tables, None)?
    {
        found.push(if named.roles.is_some() { System::RoleTables } else { System::RoleColumn });
    }
    Ok(found)
}

/// The statements of a system. Where its tables are named by the operator, or were found by their likeness, these are used.
pub fn statements(
    tables: &Tables<'_>,
    system: System,
    named: Option<&NamedTables>,
) -> Result<Statements, Wanted> {
    let users = named.map(|named| &named.users);
    // What one schema says is not mixed with what another one does.
    let sign = SIGNS.iter().find(|(known, _)| *known == system).and_then(|(_, signs)| signs.first());
    let around = sign.map(|sign| tables.around(sign)).transpose()?;
    let tables = around.as_ref().unwrap_or(tables);
    match system {
        System::Django => django::statements(tables, users),
        System::FlaskAppbuilder => flask_appbuilder::statements(tables),
        System::Laravel => laravel::statements(tables, users),
        System::Frappe => frappe::statements(tables),
        System::Odoo => odoo::statements(tables),
        System::Tryton => tryton::statements(tables),
        System::Keycloak => Err(Wanted::Unfit(
            "Keycloak is read from the file of a realm's export, not from its database: give that to --from"
                .to_owned(),
        )),
        System::RoleColumn | System::RoleTables => match named {
            Some(named) => named.statements(tables),
            None => proposed(tables, Some(system))?
                .ok_or_else(|| {
                    let what = match system {
                        System::RoleColumn => "no table of users with a column of roles was found: name both",
                        _ => "no table of users with roles was found: name it",
                    };
                    Wanted::Unfit(format!("{what} under [source.users]"))
                })?
                .statements(tables),
        },
    }
}

/// The first of these columns that a table has.
fn column(table: &ForeignTable, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| table.column(name)).map(|column| column.name.clone())
}

fn first<'a>(tables: &Tables<'a>, names: &[&str]) -> Result<Option<&'a ForeignTable>, Wanted> {
    names.iter().map(|name| tables.find(name)).find(|found| !matches!(found, Ok(None))).unwrap_or(Ok(None))
}

/// The name by which a mapping says a table: with its schema, unless that is the usual one.
fn written(table: &ForeignTable) -> String {
    if table.schema == "public" { table.name.clone() } else { whole(table) }
}

fn organizations(tables: &Tables<'_>) -> Result<Option<OrganizationColumns>, Wanted> {
    let of = |table: &ForeignTable| {
        let id = column(table, &["id"])?;
        Some(OrganizationColumns {
            table: written(table),
            name: column(table, &["name", "title"]).unwrap_or_else(|| id.clone()),
            id,
            enabled_modules: column(table, &["enabled_modules", "modules"]),
            is_active: column(table, &["is_active", "active"]),
        })
    };
    let usual = ["organizations", "organization", "companies", "company", "tenants", "tenant"];
    Ok(first(tables, &usual)?.and_then(of))
}

fn link(
    tables: &Tables<'_>,
    names: &[&str],
    holder: &[&str],
    held: &[&str],
) -> Result<Option<LinkColumns>, Wanted> {
    let of = |table: &ForeignTable| {
        Some(LinkColumns {
            table: written(table),
            holder: column(table, holder)?,
            held: column(table, held)?,
        })
    };
    Ok(first(tables, names)?.and_then(of))
}

fn names(tables: &Tables<'_>, of: &[&str], name: &[&str]) -> Result<Option<NameColumns>, Wanted> {
    let named = |table: &ForeignTable| {
        Some(NameColumns { table: written(table), id: column(table, &["id"])?, name: column(table, name)? })
    };
    Ok(first(tables, of)?.and_then(named))
}

fn users(tables: &Tables<'_>) -> Result<Option<UserColumns>, Wanted> {
    let of = |table: &ForeignTable| {
        Some(UserColumns {
            table: written(table),
            id: column(table, &["id", "user_id"])?,
            login: column(table, &["email", "login", "username", "user_name"])?,
            name: column(table, &["full_name", "name", "display_name"]),
            role: column(table, &ROLE_COLUMNS),
            is_active: column(table, &["is_active", "active", "enabled"]),
            is_superuser: column(table, &["is_superuser", "is_superadmin"]),
            organization: column(table, &["organization_id", "company_id", "tenant_id"]),
            password: column(table, &["hashed_password", "password_hash", "password"]),
            unused_role: Vec::new(),
            model: None,
        })
    };
    Ok(first(tables, &["users", "user", "app_users", "accounts", "members"])?.and_then(of))
}

/// Where the tables of a system of one's own seem to stand, by usual names: a proposal, to be read by the operator. Where both are there, tables of
/// roles come before words at users, unless these were chosen.
pub fn proposed(tables: &Tables<'_>, chosen: Option<System>) -> Result<Option<NamedTables>, Wanted> {
    let Some(mut users) = users(tables)? else { return Ok(None) };
    const USER: &[&str] = &["user_id"];
    const ROLE: &[&str] = &["role_id"];
    const PERMISSION: &[&str] = &["permission_id"];
    let roles = names(tables, &["roles", "role"], &["name", "code", "key"])?;
    let user_roles = link(tables, &["user_roles", "users_roles", "user_role", "role_user"], USER, ROLE)?;
    let organizations = organizations(tables)?;
    if organizations.is_none() {
        users.organization = None;
    }
    let in_tables = roles.zip(user_roles).filter(|_| chosen != Some(System::RoleColumn));
    let Some((roles, user_roles)) = in_tables else {
        return Ok(users.role.is_some().then_some(NamedTables {
            users,
            organizations,
            roles: None,
            user_roles: None,
            permissions: None,
            role_permissions: None,
            user_permissions: None,
        }));
    };
    users.role = None;
    let permissions = names(tables, &["permissions", "permission"], &["code", "key", "name", "codename"])?;
    let has_permissions = permissions.is_some();
    let of_permissions = |names: &[&str], holder| {
        if has_permissions { link(tables, names, holder, PERMISSION) } else { Ok(None) }
    };
    Ok(Some(NamedTables {
        users,
        organizations,
        roles: Some(roles),
        user_roles: Some(user_roles),
        role_permissions: of_permissions(
            &["role_permissions", "permission_role", "roles_permissions"],
            ROLE,
        )?,
        user_permissions: of_permissions(
            &["user_permissions", "permission_user", "users_permissions"],
            USER,
        )?,
        permissions,
    }))
}
