//! Odoo: groups that imply others, over any number of steps, and what a group may do to a model. A row without a group is for everybody;
//! a row that is not active is none. The account of the system itself (id 1) may do everything, where anybody may sign in with it.

use super::statements::{Statements, Tables, Wanted};
use crate::anomaly::AnomalyKind;
use charter_db::foreign::ForeignTable;

/// The id of the role that stands for rows without a group.
const EVERYBODY: &str = "everybody";
/// Columns that allow something, and what they are called.
const ACTIONS: [(&str, &str); 4] =
    [("perm_read", "read"), ("perm_write", "write"), ("perm_create", "create"), ("perm_unlink", "unlink")];

/// The name of a group: the one by which code refers to it (`base.group_user`), for shown names are many times the same and translated.
fn group_name(tables: &Tables<'_>, groups: &ForeignTable) -> Result<String, Wanted> {
    let is_translated = groups.column("name").is_some_and(|column| column.kind.starts_with("json"));
    let shown = match is_translated {
        // In English, or in the first language there is.
        true => {
            let name = tables.plain(groups, "g", "name")?;
            tables.as_text(&format!(
                "coalesce({name} ->> 'en_US', (select min(v.value) from jsonb_each_text(cast({name} as jsonb)) v))"
            ))
        }
        false => tables.text(groups, "g", "name")?,
    };
    let Some(names) = tables.find("ir_model_data")? else { return Ok(shown) };
    let names = tables.need(&names.name)?;
    Ok(format!(
        "coalesce((select min({} || '.' || {}) from {} x where {} = 'res.groups' and {} = {}), {shown})",
        tables.text(names, "x", "module")?,
        tables.text(names, "x", "name")?,
        tables.name(names)?,
        tables.plain(names, "x", "model")?,
        tables.plain(names, "x", "res_id")?,
        tables.plain(groups, "g", "id")?,
    ))
}

/// The shown name of a user, which stands at the partner: what is joined, and the column.
fn shown_name(tables: &Tables<'_>, users: &ForeignTable) -> Result<(String, String), Wanted> {
    let partners = tables.find("res_partner")?.filter(|it| it.is_readable);
    let (Some(partners), Some(_)) = (partners, users.column("partner_id")) else {
        return Ok((String::new(), "null".to_owned()));
    };
    let join = format!(
        " left join {} n on {} = {}",
        tables.name(partners)?,
        tables.plain(partners, "n", "id")?,
        tables.plain(users, "u", "partner_id")?
    );
    Ok((join, tables.text(partners, "n", "name")?))
}

/// Rules of records, which narrow what is said of their model.
fn rules(tables: &Tables<'_>, models: &ForeignTable) -> Result<Vec<(AnomalyKind, String)>, Wanted> {
    let Some(rules) = tables.find("ir_rule")? else { return Ok(Vec::new()) };
    let rules = tables.need(&rules.name)?;
    let is_on = match rules.column("active") {
        Some(_) => tables.is_true(rules, "r", "active")?,
        None => "1 = 1".to_owned(),
    };
    let text = format!(
        "select 'ir_rule ' || {}, coalesce({}, '') || ' (records of ' || {} || ')' from {} r join {} m on {} = {} where {is_on} order by 1",
        tables.text(rules, "r", "id")?,
        tables.text(rules, "r", "name")?,
        tables.text(models, "m", "model")?,
        tables.name(rules)?,
        tables.name(models)?,
        tables.plain(models, "m", "id")?,
        tables.plain(rules, "r", "model_id")?,
    );
    Ok(vec![(AnomalyKind::Condition, text)])
}

/// What is asked.
pub fn statements(tables: &Tables<'_>) -> Result<Statements, Wanted> {
    let (users, groups) = (tables.need("res_users")?, tables.need("res_groups")?);
    let (implied, held) = (tables.need("res_groups_implied_rel")?, tables.need("res_groups_users_rel")?);
    let (access, models) = (tables.need("ir_model_access")?, tables.need("ir_model")?);
    let id = tables.plain(users, "u", "id")?;
    let group = format!("coalesce({}, '{EVERYBODY}')", tables.word(access, "a", "group_id")?);
    let joined = format!(
        "{} a join {} m on {} = {}",
        tables.name(access)?,
        tables.name(models)?,
        tables.plain(models, "m", "id")?,
        tables.plain(access, "a", "model_id")?
    );
    let is_on = match access.column("active") {
        Some(_) => tables.is_true(access, "a", "active")?,
        None => "1 = 1".to_owned(),
    };
    let mut rows = Vec::new();
    for (column, action) in ACTIONS {
        rows.push(format!(
            "select {group} as role, {} || '.{action}' as code from {joined} where {} and {is_on}",
            tables.text(models, "m", "model")?,
            tables.is_true(access, "a", column)?
        ));
    }
    let rows = rows.join(" union ");
    let (join, name) = shown_name(tables, users)?;
    let password = users.column("password").map(|_| "password");
    Ok(Statements {
        roles: Some(format!(
            "select {}, {} from {} g union all select '{EVERYBODY}', 'Everybody' order by 1",
            tables.text(groups, "g", "id")?,
            group_name(tables, groups)?,
            tables.name(groups)?
        )),
        implied: Some(format!(
            "select {}, {} from {} i order by 1, 2",
            tables.text(implied, "i", "gid")?,
            tables.text(implied, "i", "hid")?,
            tables.name(implied)?
        )),
        permissions: Some(format!("select distinct code, code from ({rows}) a order by 1")),
        role_permissions: Some(format!("select role, code from ({rows}) a order by 1, 2")),
        users: format!(
            "select {0}, {1}, {name}, {2}, case when {0} = '1' then '1' else '0' end, null, null, r.ids, null, {3} from {4} u \
             left join {5} r on r.owner = {id}{join} order by {id}",
            tables.word(users, "u", "id")?,
            tables.text(users, "u", "login")?,
            tables.text(users, "u", "active")?,
            tables.text_or_null(users, "u", password)?,
            tables.name(users)?,
            tables.gathered(held, "uid", "gid")?,
        ),
        orphans: vec![
            tables.orphans(held, &["uid", "gid"], "gid", groups, "id")?,
            tables.orphans(held, &["uid", "gid"], "uid", users, "id")?,
            tables.orphans(implied, &["gid", "hid"], "gid", groups, "id")?,
            tables.orphans(implied, &["gid", "hid"], "hid", groups, "id")?,
            tables.orphans(access, &["id"], "group_id", groups, "id")?,
        ],
        findings: rules(tables, models)?,
        everybody: vec![EVERYBODY.to_owned()],
        tells_superuser: true,
        ..Statements::default()
    })
}
