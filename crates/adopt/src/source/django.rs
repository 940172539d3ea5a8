//! Django's `auth`: groups and permissions of a user add up, an inactive user has nothing, a superuser has every row, stale ones too.
//! The table of users may be the project's own.

use super::named::{UserColumns, unread_roles};
use super::statements::{Statements, Tables, Wanted, whole};
use charter_db::foreign::ForeignTable;

/// The links of a table of users, which Django names after it.
const LINKS: [&str; 2] = ["groups", "user_permissions"];

/// The table of users: the one that is named, or the only one from which links of groups and permissions lead. Where several have them, one is
/// a leftover, and its rows say nothing.
pub fn users<'a>(tables: &Tables<'a>, named: Option<&str>) -> Result<&'a ForeignTable, Wanted> {
    if let Some(name) = named {
        return tables.need(name);
    }
    let is_user = |table: &&ForeignTable| {
        let has = |ending: &&str| tables.beside(table, &format!("{}_{ending}", table.name)).is_some();
        table.column("password").is_some() && LINKS.iter().all(has)
    };
    let found: Vec<&'a ForeignTable> = tables.all().filter(is_user).collect();
    match found.as_slice() {
        [] => tables.need("auth_user"),
        [one] => tables.need(&whole(one)),
        several => Err(Wanted::Unfit(format!(
            "several tables of users are there ({}): say in the mapping which one the project uses (AUTH_USER_MODEL), as table = \"NAME\" under \
             [source.users]",
            several.iter().map(|table| whole(table)).collect::<Vec<String>>().join(", ")
        ))),
    }
}

/// What is asked. A project with a user model of its own names its table.
pub fn statements(tables: &Tables<'_>, named: Option<&UserColumns>) -> Result<Statements, Wanted> {
    let users = users(tables, named.map(|named| named.table.as_str()))?;
    let (groups, permissions) = (tables.need("auth_group")?, tables.need("auth_permission")?);
    let types = tables.need("django_content_type")?;
    let group_permissions = tables.need("auth_group_permissions")?;
    // Django names the links of a user model after its table, and the column after the model.
    let user_groups = tables.need_beside(users, &format!("{}_groups", users.name))?;
    let user_permissions = tables.need_beside(users, &format!("{}_user_permissions", users.name))?;
    let owner = |link: &ForeignTable, other: &str| {
        let found = link.columns.iter().find(|column| column.name != "id" && column.name != other);
        found
            .map(|column| column.name.clone())
            .ok_or_else(|| Wanted::Column { table: link.name.clone(), column: "user_id".to_owned() })
    };
    let (groups_owner, permissions_owner) =
        (owner(user_groups, "group_id")?, owner(user_permissions, "permission_id")?);
    let (by_groups, by_permissions) =
        ([groups_owner.as_str(), "group_id"], [permissions_owner.as_str(), "permission_id"]);
    let by_both = ["group_id", "permission_id"];
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
            tables.orphans(user_groups, &by_groups, &groups_owner, users, "id")?,
            tables.orphans(user_groups, &by_groups, "group_id", groups, "id")?,
            tables.orphans(user_permissions, &by_permissions, &permissions_owner, users, "id")?,
            tables.orphans(user_permissions, &by_permissions, "permission_id", permissions, "id")?,
            tables.orphans(group_permissions, &by_both, "group_id", groups, "id")?,
            tables.orphans(group_permissions, &by_both, "permission_id", permissions, "id")?,
            tables.orphans(permissions, &["id"], "content_type_id", types, "id")?,
        ],
        findings: unread_roles(
            tables,
            users,
            named.map(|named| named.unused_role.as_slice()).unwrap_or_default(),
        )?,
        tells_superuser: true,
        ..Statements::default()
    })
}
