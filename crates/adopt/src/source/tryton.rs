//! Tryton: groups, which inherit from the groups above them, and what a group may do to a model. A row without a group is for everybody.
//! A model none of whose rows concerns a user is open to that user: being in a group can take something away, so what is open by default
//! to some users and not to others stands at the users themselves. Inactive groups give nothing, and pass on what those above them give.

use super::statements::{Statements, Tables, Wanted};
use crate::anomaly::AnomalyKind;
use charter_db::foreign::ForeignTable;

/// The id of the role that stands for rows without a group, and for models that nobody closed.
const EVERYBODY: &str = "everybody";
/// Columns that allow something, and what they are called.
const ACTIONS: [(&str, &str); 4] =
    [("perm_read", "read"), ("perm_write", "write"), ("perm_create", "create"), ("perm_delete", "delete")];
/// All actions, as a table.
const ALL_ACTIONS: &str =
    "(select 'read' as action union all select 'write' union all select 'create' union all select 'delete')";

/// The tables as the reader sees them.
struct Found<'a> {
    users: &'a ForeignTable,
    groups: &'a ForeignTable,
    holds: &'a ForeignTable,
    access: &'a ForeignTable,
    models: &'a ForeignTable,
}

/// A column of models: their number in older versions, their name in newer ones.
fn is_number(table: &ForeignTable) -> bool {
    table.column("model").is_some_and(|column| column.kind.to_ascii_lowercase().contains("int"))
}

/// The column of models that holds what code calls them.
fn model_column(models: &ForeignTable) -> &'static str {
    if models.column("model").is_some() { "model" } else { "name" }
}

/// Where the name of a row's model stands: what is joined, and the column.
fn model_of(
    tables: &Tables<'_>,
    table: &ForeignTable,
    alias: &str,
    models: &ForeignTable,
) -> Result<(String, String), Wanted> {
    let column = tables.plain(table, alias, "model")?;
    if !is_number(table) {
        return Ok((String::new(), column));
    }
    let join = format!(" join {} m on {} = {column}", tables.name(models)?, tables.plain(models, "m", "id")?);
    Ok((join, tables.plain(models, "m", model_column(models))?))
}

fn is_active(tables: &Tables<'_>, table: &ForeignTable, alias: &str) -> Result<String, Wanted> {
    match table.column("active") {
        Some(_) => tables.is_true(table, alias, "active"),
        None => Ok("1 = 1".to_owned()),
    }
}

impl Found<'_> {
    /// Rows that are in force: model, group (nothing for everybody) and what is said of each action.
    fn rows(&self, tables: &Tables<'_>) -> Result<String, Wanted> {
        let (join, model) = model_of(tables, self.access, "a", self.models)?;
        let group = tables.plain(self.access, "a", "group")?;
        let mut said = String::new();
        for (column, action) in ACTIONS {
            said.push_str(&format!(
                ", case when {} then 1 else 0 end as may_{action}",
                tables.is_true(self.access, "a", column)?
            ));
        }
        Ok(format!(
            "(select {model} as model, {group} as grp{said} from {} a{join} left join {} g on {} = {group} \
             where {} and ({group} is null or {}))",
            tables.name(self.access)?,
            tables.name(self.groups)?,
            tables.plain(self.groups, "g", "id")?,
            is_active(tables, self.access, "a")?,
            is_active(tables, self.groups, "g")?,
        ))
    }

    /// Users and their groups with those above them: uid, gid.
    fn effective(&self, tables: &Tables<'_>) -> Result<String, Wanted> {
        let holds = format!(
            "select {} as uid, {} as gid from {} l",
            tables.plain(self.holds, "l", "user")?,
            tables.plain(self.holds, "l", "group")?,
            tables.name(self.holds)?
        );
        if self.groups.column("parent").is_none() {
            return Ok(format!("with recursive eff(uid, gid) as ({holds})"));
        }
        let parent = tables.plain(self.groups, "p", "parent")?;
        Ok(format!(
            "with recursive eff(uid, gid) as ({holds} union select e.uid, {parent} from eff e join {} p on {} = e.gid where {parent} is not null)",
            tables.name(self.groups)?,
            tables.plain(self.groups, "p", "id")?
        ))
    }

    /// What is open to a user because no row concerns that user, and closed to others: a statement that gives `owner` and `ids`.
    fn open(&self, tables: &Tables<'_>) -> Result<String, Wanted> {
        let rows = self.rows(tables)?;
        let code = "o.model || '.' || c.action";
        Ok(format!(
            "({} select x.id as owner, {} as ids from {} x cross join \
             (select distinct r.model from {rows} r where r.grp is not null and r.model not in \
             (select s.model from {rows} s where s.grp is null)) o cross join {ALL_ACTIONS} c \
             where not exists (select 1 from eff e join {rows} t on t.grp = e.gid where e.uid = x.id and t.model = o.model) group by x.id)",
            self.effective(tables)?,
            tables.joined(code),
            tables.name(self.users)?,
        ))
    }

    fn findings(&self, tables: &Tables<'_>) -> Result<Vec<(AnomalyKind, String)>, Wanted> {
        let mut all = Vec::new();
        if let Some(rules) = tables.find("ir_rule_group")? {
            let rules = tables.need(&rules.name)?;
            let (join, model) = model_of(tables, rules, "r", self.models)?;
            all.push((
                AnomalyKind::Condition,
                format!(
                    "select 'ir_rule_group ' || {}, coalesce({}, '') || ' (records of ' || {model} || ')' from {} r{join} order by 1",
                    tables.text(rules, "r", "id")?,
                    tables.text(rules, "r", "name")?,
                    tables.name(rules)?
                ),
            ));
        }
        if let Some(fields) = tables.find("ir_model_field_access")? {
            let fields = tables.need(&fields.name)?;
            all.push((
                AnomalyKind::Condition,
                format!(
                    "select 'ir_model_field_access ' || {}, 'what may be done to one field' from {} f where {} order by 1",
                    tables.text(fields, "f", "id")?,
                    tables.name(fields)?,
                    is_active(tables, fields, "f")?
                ),
            ));
        }
        Ok(all)
    }
}

/// What is asked.
pub fn statements(tables: &Tables<'_>) -> Result<Statements, Wanted> {
    let found = Found {
        users: tables.need("res_user")?,
        groups: tables.need("res_group")?,
        holds: tables.need("res_user-res_group")?,
        access: tables.need("ir_model_access")?,
        models: tables.need("ir_model")?,
    };
    let Found { users, groups, holds, access, models } = found;
    let rows = found.rows(tables)?;
    let model = tables.plain(models, "m", model_column(models))?;
    let open = format!(
        "select '{EVERYBODY}' as role, {model} || '.' || c.action as code from {} m cross join {ALL_ACTIONS} c \
         where {model} not in (select n.model from {rows} n)",
        tables.name(models)?
    );
    let mut allowed = vec![open];
    for (_, action) in ACTIONS {
        allowed.push(format!(
            "select coalesce(cast(y.grp as text), '{EVERYBODY}') as role, y.model || '.{action}' as code from {rows} y where y.may_{action} = 1"
        ));
    }
    let allowed = allowed.join(" union ");
    let id = tables.plain(users, "u", "id")?;
    let implied = match groups.column("parent") {
        Some(_) => Some(format!(
            "select {}, {} from {} g where {} is not null order by 1, 2",
            tables.text(groups, "g", "id")?,
            tables.text(groups, "g", "parent")?,
            tables.name(groups)?,
            tables.plain(groups, "g", "parent")?
        )),
        None => None,
    };
    let password = users.column("password_hash").map(|_| "password_hash");
    Ok(Statements {
        roles: Some(format!(
            "select {}, {} from {} g union all select '{EVERYBODY}', 'Everybody' order by 1",
            tables.text(groups, "g", "id")?,
            tables.text(groups, "g", "name")?,
            tables.name(groups)?
        )),
        implied,
        permissions: Some(format!(
            "select p.code, p.code from (select {model} || '.' || c.action as code from {} m cross join {ALL_ACTIONS} c) p order by 1",
            tables.name(models)?
        )),
        role_permissions: Some(format!("select role, code from ({allowed}) a order by 1, 2")),
        users: format!(
            "select {0}, {1}, {2}, {3}, case when {0} = '0' then '1' else '0' end, null, null, r.ids, o.ids, {4} from {5} u \
             left join {6} r on r.owner = {id} left join {7} o on o.owner = {id} order by {id}",
            tables.word(users, "u", "id")?,
            tables.text(users, "u", "login")?,
            tables.text(users, "u", "name")?,
            tables.text(users, "u", "active")?,
            tables.text_or_null(users, "u", password)?,
            tables.name(users)?,
            tables.gathered(holds, "user", "group")?,
            found.open(tables)?,
        ),
        orphans: vec![
            tables.orphans(holds, &["user", "group"], "user", users, "id")?,
            tables.orphans(holds, &["user", "group"], "group", groups, "id")?,
            tables.orphans(access, &["id"], "group", groups, "id")?,
        ],
        findings: found.findings(tables)?,
        everybody: vec![EVERYBODY.to_owned()],
        tells_superuser: true,
        ..Statements::default()
    })
}
