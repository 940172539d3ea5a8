//! Flask-AppBuilder: roles hold pairs of a permission and a view; newer versions give roles to groups of users too. Admin holds its rows
//! and no more. What strangers may do (the public role) is no right of any user. Roles that stand in an application's configuration replace
//! their rows there, which nobody can see in the tables.

use super::statements::{Statements, Tables, Wanted};

/// What is asked.
pub fn statements(tables: &Tables<'_>) -> Result<Statements, Wanted> {
    let (users, roles) = (tables.need("ab_user")?, tables.need("ab_role")?);
    let (permissions, views) = (tables.need("ab_permission")?, tables.need("ab_view_menu")?);
    let (pairs, held) = (tables.need("ab_permission_view")?, tables.need("ab_permission_view_role")?);
    let user_roles = tables.need("ab_user_role")?;
    let id = tables.plain(users, "u", "id")?;
    // A role by a group is a role; the same one twice is one.
    let holds = match (tables.find("ab_user_group")?, tables.find("ab_group_role")?) {
        (Some(user_groups), Some(group_roles)) => format!(
            "(select user_id, role_id from {} union select g.user_id, r.role_id from {} g join {} r on r.group_id = g.group_id)",
            tables.name(user_roles)?,
            tables.name(tables.need(&user_groups.name)?)?,
            tables.name(tables.need(&group_roles.name)?)?,
        ),
        _ => tables.name(user_roles)?,
    };
    let role_text = tables.as_text("l.role_id");
    let (by_user, by_pair) = (["user_id", "role_id"], ["permission_view_id", "role_id"]);
    let mut orphans = vec![
        tables.orphans(user_roles, &by_user, "user_id", users, "id")?,
        tables.orphans(user_roles, &by_user, "role_id", roles, "id")?,
        tables.orphans(pairs, &["id"], "permission_id", permissions, "id")?,
        tables.orphans(pairs, &["id"], "view_menu_id", views, "id")?,
        tables.orphans(held, &by_pair, "permission_view_id", pairs, "id")?,
        tables.orphans(held, &by_pair, "role_id", roles, "id")?,
    ];
    if let (Some(link), Some(groups)) = (tables.find("ab_user_group")?, tables.find("ab_group")?) {
        let by = ["user_id", "group_id"];
        orphans.push(tables.orphans(link, &by, "user_id", users, "id")?);
        orphans.push(tables.orphans(link, &by, "group_id", groups, "id")?);
    }
    if let (Some(link), Some(groups)) = (tables.find("ab_group_role")?, tables.find("ab_group")?) {
        let by = ["group_id", "role_id"];
        orphans.push(tables.orphans(link, &by, "group_id", groups, "id")?);
        orphans.push(tables.orphans(link, &by, "role_id", roles, "id")?);
    }
    Ok(Statements {
        roles: Some(format!(
            "select {}, {} from {} r order by 1",
            tables.text(roles, "r", "id")?,
            tables.text(roles, "r", "name")?,
            tables.name(roles)?
        )),
        permissions: Some(format!(
            "select {}, {} || '.' || {} from {} w join {} v on v.id = w.view_menu_id join {} p on p.id = w.permission_id order by 1",
            tables.text(pairs, "w", "id")?,
            tables.text(views, "v", "name")?,
            tables.text(permissions, "p", "name")?,
            tables.name(pairs)?,
            tables.name(views)?,
            tables.name(permissions)?,
        )),
        role_permissions: Some(format!(
            "select {}, {} from {} l order by 1, 2",
            tables.text(held, "l", "role_id")?,
            tables.text(held, "l", "permission_view_id")?,
            tables.name(held)?
        )),
        users: format!(
            "select {}, {}, trim({} || ' ' || {}), {}, null, null, null, h.ids, null, {} from {} u \
             left join (select l.user_id as owner, {} as ids from {holds} l group by l.user_id) h on h.owner = {id} order by {id}",
            tables.text(users, "u", "id")?,
            tables.text(users, "u", "username")?,
            tables.text(users, "u", "first_name")?,
            tables.text(users, "u", "last_name")?,
            tables.text(users, "u", "active")?,
            tables.text(users, "u", "password")?,
            tables.name(users)?,
            tables.joined(&role_text),
        ),
        orphans,
        ..Statements::default()
    })
}
