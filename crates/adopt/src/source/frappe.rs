//! Frappe and ERPNext: roles allow actions on types of documents. As soon as a type has one row of the project's own, all standard rows of
//! that type count no more. Everybody who may sign in holds All and Guest; Administrator may do everything. Rows of a permission level
//! above 0 open fields, not documents, and what only an owner may do is an action of its own.

use super::statements::{Statements, Tables, Wanted};
use charter_db::foreign::ForeignTable;

/// Columns that allow something, by version; those that a table lacks are left out.
const ACTIONS: &[&str] = &[
    "read", "write", "create", "delete", "submit", "cancel", "amend", "report", "export", "import", "share",
    "print", "email", "select",
];
/// Who may do everything.
const ADMINISTRATOR: &str = "'Administrator'";

/// What one table of rules allows: role and code, a row for each action.
fn allowed(tables: &Tables<'_>, rules: &ForeignTable, only: &str) -> Result<Vec<String>, Wanted> {
    let name = tables.name(rules)?;
    let (parent, role) = (tables.text(rules, "d", "parent")?, tables.text(rules, "d", "role")?);
    let is_owner = match rules.column("if_owner") {
        Some(_) => {
            format!("case when {} = '1' then '_if_owner' else '' end", tables.text(rules, "d", "if_owner")?)
        }
        None => "''".to_owned(),
    };
    let level = match rules.column("permlevel") {
        Some(_) => format!("coalesce({}, '0')", tables.text(rules, "d", "permlevel")?),
        None => "'0'".to_owned(),
    };
    let mut all = Vec::new();
    for action in ACTIONS.iter().filter(|action| rules.column(action).is_some()) {
        all.push(format!(
            "select {role} as role, {parent} || '.{action}' || {is_owner} as code from {name} d where {} = '1' and {level} = '0'{only}",
            tables.text(rules, "d", action)?
        ));
    }
    Ok(all)
}

/// What is asked.
pub fn statements(tables: &Tables<'_>) -> Result<Statements, Wanted> {
    let (users, roles, holds) =
        (tables.need("tabUser")?, tables.need("tabRole")?, tables.need("tabHas Role")?);
    let standard = tables.need("tabDocPerm")?;
    let (only, mut rules) = match tables.find("tabCustom DocPerm") {
        Some(custom) => {
            let custom = tables.need(&custom.name)?;
            let parent = tables.text(custom, "c", "parent")?;
            let only = format!(
                " and {} not in (select {parent} from {} c where {parent} is not null)",
                tables.text(standard, "d", "parent")?,
                tables.name(custom)?
            );
            (only, allowed(tables, custom, "")?)
        }
        None => (String::new(), Vec::new()),
    };
    rules.extend(allowed(tables, standard, &only)?);
    let rules = rules.join(" union ");
    let id = tables.plain(users, "u", "name")?;
    let (holder, role) = (tables.text(holds, "l", "parent")?, tables.text(holds, "l", "role")?);
    let is_disabled = match roles.column("disabled") {
        Some(_) => format!("coalesce({}, '0') <> '1'", tables.text(roles, "r", "disabled")?),
        None => "1 = 1".to_owned(),
    };
    Ok(Statements {
        roles: Some(format!(
            "select {0}, {0} from {1} r where {is_disabled} order by 1",
            tables.text(roles, "r", "name")?,
            tables.name(roles)?
        )),
        permissions: Some(format!("select distinct code, code from ({rules}) a order by 1")),
        role_permissions: Some(format!("select role, code from ({rules}) a order by 1, 2")),
        users: format!(
            "select {0}, {0}, {1}, {2}, case when {0} = {ADMINISTRATOR} then '1' else '0' end, null, null, r.ids, null, null from {3} u \
             left join (select {holder} as owner, {4} as ids from {5} l where {6} = 'User' group by {holder}) r on r.owner = {0} \
             where {0} <> 'Guest' order by {id}",
            tables.text(users, "u", "name")?,
            tables.text(users, "u", "full_name")?,
            tables.text(users, "u", "enabled")?,
            tables.name(users)?,
            tables.joined(&role),
            tables.name(holds)?,
            tables.text(holds, "l", "parenttype")?,
        ),
        orphans: vec![tables.orphans(holds, "role", roles, "name")?],
        everybody: vec!["All".to_owned(), "Guest".to_owned()],
        ..Statements::default()
    })
}
