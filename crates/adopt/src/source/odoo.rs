//! Odoo: groups that imply others, and what a group may do to a model. A row without a group is for everybody. The account of the system
//! itself (id 1) is no person, and may do everything.

use super::statements::{Statements, Tables, Wanted};

/// The id of the role that stands for rows without a group.
const EVERYBODY: &str = "everybody";
/// Columns that allow something, and what they are called.
const ACTIONS: [(&str, &str); 4] =
    [("perm_read", "read"), ("perm_write", "write"), ("perm_create", "create"), ("perm_unlink", "unlink")];

/// What is asked.
pub fn statements(tables: &Tables<'_>) -> Result<Statements, Wanted> {
    let (users, groups) = (tables.need("res_users")?, tables.need("res_groups")?);
    let (implied, held) = (tables.need("res_groups_implied_rel")?, tables.need("res_groups_users_rel")?);
    let (access, models) = (tables.need("ir_model_access")?, tables.need("ir_model")?);
    let id = tables.plain(users, "u", "id")?;
    let group = format!("coalesce({}, '{EVERYBODY}')", tables.text(access, "a", "group_id")?);
    let joined = format!(
        "{} a join {} m on {} = {}",
        tables.name(access)?,
        tables.name(models)?,
        tables.plain(models, "m", "id")?,
        tables.plain(access, "a", "model_id")?
    );
    let is_on = match access.column("active") {
        Some(_) => format!("coalesce({}, 'true') in ('true', '1', 't')", tables.text(access, "a", "active")?),
        None => "1 = 1".to_owned(),
    };
    let mut rules = Vec::new();
    for (column, action) in ACTIONS {
        rules.push(format!(
            "select {group} as role, {} || '.{action}' as code from {joined} where {} in ('true', '1', 't') and {is_on}",
            tables.text(models, "m", "model")?,
            tables.text(access, "a", column)?
        ));
    }
    let rules = rules.join(" union ");
    // A name may be a document of its translations.
    let name = tables.text(groups, "g", "name")?;
    Ok(Statements {
        roles: Some(format!(
            "select {}, {name} from {} g union all select '{EVERYBODY}', 'Everybody' order by 1",
            tables.text(groups, "g", "id")?,
            tables.name(groups)?
        )),
        implied: Some(format!(
            "select {}, {} from {} i order by 1, 2",
            tables.text(implied, "i", "gid")?,
            tables.text(implied, "i", "hid")?,
            tables.name(implied)?
        )),
        permissions: Some(format!("select distinct code, code from ({rules}) a order by 1")),
        role_permissions: Some(format!("select role, code from ({rules}) a order by 1, 2")),
        users: format!(
            "select {0}, {1}, null, {2}, case when {0} = '1' then '1' else '0' end, null, null, r.ids, null, {3} from {4} u \
             left join {5} r on r.owner = {id} order by {id}",
            tables.text(users, "u", "id")?,
            tables.text(users, "u", "login")?,
            tables.text(users, "u", "active")?,
            tables.text(users, "u", "password")?,
            tables.name(users)?,
            tables.gathered(held, "uid", "gid")?,
        ),
        orphans: vec![
            tables.orphans(held, "gid", groups, "id")?,
            tables.orphans(held, "uid", users, "id")?,
            tables.orphans(implied, "hid", groups, "id")?,
            tables.orphans(access, "group_id", groups, "id")?,
        ],
        everybody: vec![EVERYBODY.to_owned()],
        ..Statements::default()
    })
}
