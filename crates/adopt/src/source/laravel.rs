//! spatie/laravel-permission: roles and permissions of models, by guard; with teams, by the team they count in.

use super::statements::{Statements, Tables, Wanted};
use charter_db::foreign::ForeignTable;

/// The column of teams, where the project uses them.
const TEAM: &str = "team_id";

/// A name with its guard, where it is not the one of web pages.
fn guarded(tables: &Tables<'_>, of: &ForeignTable, alias: &str) -> Result<String, Wanted> {
    let (name, guard) = (tables.text(of, alias, "name")?, tables.text(of, alias, "guard_name")?);
    Ok(format!("case when {guard} = 'web' then {name} else {guard} || ':' || {name} end"))
}

/// What is asked. Models other than users hold nothing here.
pub fn statements(tables: &Tables<'_>) -> Result<Statements, Wanted> {
    let users = tables.need("users")?;
    let (roles, permissions) = (tables.need("roles")?, tables.need("permissions")?);
    let (user_roles, user_permissions) =
        (tables.need("model_has_roles")?, tables.need("model_has_permissions")?);
    let role_permissions = tables.need("role_has_permissions")?;
    if user_roles.column(TEAM).is_some() {
        // Rights that differ by team are told apart by nothing here: refusing is better than adding them up.
        return Err(Wanted::Unfit(
            "roles are held by team: describe the tables as role tables, one membership a row".to_owned(),
        ));
    }
    let id = tables.plain(users, "u", "id")?;
    let gathered = |link: &ForeignTable, held: &str| -> Result<String, Wanted> {
        let held = tables.text(link, "l", held)?;
        Ok(format!(
            "(select l.model_id as owner, {} as ids from {} l where l.model_type like '%User' group by l.model_id)",
            tables.joined(&held),
            tables.name(link)?
        ))
    };
    let is_active = match ["is_active", "active"].into_iter().find(|name| users.column(name).is_some()) {
        Some(column) => tables.text(users, "u", column)?,
        None => "'true'".to_owned(),
    };
    let kept = match users.column("deleted_at") {
        Some(_) => format!(" where {} is null", tables.plain(users, "u", "deleted_at")?),
        None => String::new(),
    };
    Ok(Statements {
        roles: Some(format!(
            "select {}, {} from {} r order by 1",
            tables.text(roles, "r", "id")?,
            guarded(tables, roles, "r")?,
            tables.name(roles)?
        )),
        permissions: Some(format!(
            "select {}, {} from {} p order by 1",
            tables.text(permissions, "p", "id")?,
            guarded(tables, permissions, "p")?,
            tables.name(permissions)?
        )),
        role_permissions: Some(format!(
            "select {}, {} from {} l order by 1, 2",
            tables.text(role_permissions, "l", "role_id")?,
            tables.text(role_permissions, "l", "permission_id")?,
            tables.name(role_permissions)?
        )),
        users: format!(
            "select {}, {}, {}, {is_active}, null, null, null, r.ids, p.ids, {} from {} u \
             left join {} r on r.owner = {id} left join {} p on p.owner = {id}{kept} order by {id}",
            tables.text(users, "u", "id")?,
            tables.text(users, "u", "email")?,
            tables.text(users, "u", "name")?,
            tables.text(users, "u", "password")?,
            tables.name(users)?,
            gathered(user_roles, "role_id")?,
            gathered(user_permissions, "permission_id")?,
        ),
        orphans: vec![
            tables.orphans(user_roles, "role_id", roles, "id")?,
            tables.orphans(user_permissions, "permission_id", permissions, "id")?,
            tables.orphans(role_permissions, "role_id", roles, "id")?,
            tables.orphans(role_permissions, "permission_id", permissions, "id")?,
        ],
        ..Statements::default()
    })
}
