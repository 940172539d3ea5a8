//! Django's `auth`: groups and permissions of a user add up, an inactive user has nothing, a superuser has every row, stale ones too.
//! The table of users may be the project's own.

use super::statements::{Statements, Tables, Wanted};
use charter_db::foreign::ForeignTable;

/// The table of users: the one that is named, Django's own, or the project's, from which links of groups and permissions lead.
pub fn users<'a>(tables: &Tables<'a>, named: Option<&str>) -> Result<&'a ForeignTable, Wanted> {
    if let Some(name) = named {
        return tables.need(name);
    }
    if tables.find("auth_user").is_some() {
        return tables.need("auth_user");
    }
    let is_user = |table: &&ForeignTable| {
        let link = |ending: &str| tables.find(&format!("{}_{ending}", table.name)).is_some();
        table.column("password").is_some() && link("groups") && link("user_permissions")
    };
    tables.all().find(is_user).ok_or_else(|| Wanted::Table("auth_user".to_owned()))
}

/// What is asked. A project with a user model of its own names its table.
pub fn statements(tables: &Tables<'_>, named: Option<&str>) -> Result<Statements, Wanted> {
    let users = users(tables, named)?;
    let (groups, permissions) = (tables.need("auth_group")?, tables.need("auth_permission")?);
    let types = tables.need("django_content_type")?;
    let group_permissions = tables.need("auth_group_permissions")?;
    // Django names the links of a user model after its table, and the column after the model.
    let user_groups = tables.need(&format!("{}_groups", users.name))?;
    let user_permissions = tables.need(&format!("{}_user_permissions", users.name))?;
    let owner = |link: &ForeignTable, other: &str| {
        let found = link.columns.iter().find(|column| column.name != "id" && column.name != other);
        found
            .map(|column| column.name.clone())
            .ok_or_else(|| Wanted::Column { table: link.name.clone(), column: "user_id".to_owned() })
    };
    let (groups_owner, permissions_owner) =
        (owner(user_groups, "group_id")?, owner(user_permissions, "permission_id")?);
    // What they type today: the user name, or the address where the project has no user names.
    let login =
        ["username", "email"].into_iter().find(|name| users.column(name).is_some()).unwrap_or("username");
    let login = tables.text(users, "u", login)?;
    let name = match (users.column("first_name"), users.column("last_name")) {
        (Some(_), Some(_)) => format!(
            "trim({} || ' ' || {})",
            tables.text(users, "u", "first_name")?,
            tables.text(users, "u", "last_name")?
        ),
        _ => "null".to_owned(),
    };
    let id = tables.plain(users, "u", "id")?;
    Ok(Statements {
        roles: Some(format!(
            "select {}, {} from {} g order by 1",
            tables.text(groups, "g", "id")?,
            tables.text(groups, "g", "name")?,
            tables.name(groups)?
        )),
        permissions: Some(format!(
            "select {}, {} || '.' || {} from {} p join {} t on {} = {} order by 1",
            tables.text(permissions, "p", "id")?,
            tables.text(types, "t", "app_label")?,
            tables.text(permissions, "p", "codename")?,
            tables.name(permissions)?,
            tables.name(types)?,
            tables.plain(types, "t", "id")?,
            tables.plain(permissions, "p", "content_type_id")?,
        )),
        role_permissions: Some(format!(
            "select {}, {} from {} l",
            tables.text(group_permissions, "l", "group_id")?,
            tables.text(group_permissions, "l", "permission_id")?,
            tables.name(group_permissions)?
        )),
        users: format!(
            "select {}, {login}, {name}, {}, {}, null, null, r.ids, p.ids, {} from {} u \
             left join {} r on r.owner = {id} left join {} p on p.owner = {id} order by {id}",
            tables.text(users, "u", "id")?,
            tables.text(users, "u", "is_active")?,
            tables.text(users, "u", "is_superuser")?,
            tables.text(users, "u", "password")?,
            tables.name(users)?,
            tables.gathered(user_groups, &groups_owner, "group_id")?,
            tables.gathered(user_permissions, &permissions_owner, "permission_id")?,
        ),
        orphans: vec![
            tables.orphans(user_groups, &groups_owner, users, "id")?,
            tables.orphans(user_groups, "group_id", groups, "id")?,
            tables.orphans(user_permissions, &permissions_owner, users, "id")?,
            tables.orphans(user_permissions, "permission_id", permissions, "id")?,
            tables.orphans(group_permissions, "group_id", groups, "id")?,
            tables.orphans(group_permissions, "permission_id", permissions, "id")?,
            tables.orphans(permissions, "content_type_id", types, "id")?,
        ],
        tells_superuser: true,
        ..Statements::default()
    })
}
